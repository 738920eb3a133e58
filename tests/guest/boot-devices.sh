#!/bin/bash
# boot-devices.sh - what SeaBIOS boots from: -boot, bootindex of every disk device,
# media changed in the monitor. The media hold one sector that says its letter.
set -u
. "$(dirname "$0")/common.sh"

dir=$work/boot-devices
command -v python3 > /dev/null || { skip boot-devices "no python3"; exit 0; }
rm -rf "$dir" && mkdir -p "$dir"

# disk, floppy and CD images: "<letter>" to port 0x402, then exit (port 0x501) or reset
python3 - "$dir" <<'END'
import struct, sys
def sector(letter, reset):
    code = b'\xba\x02\x04' + b''.join(b'\xb0%c\xee' % c for c in b'<%s>' % letter.encode())
    code += b'\xb0\xfe\xe6\x64' if reset else b'\xba\x01\x05\xb0\x10\xee'
    code += b'\xf4\xeb\xfd'
    return code.ljust(510, b'\0') + b'\x55\xaa'
def iso(letter):
    img = bytearray(64 * 2048)
    img[16 * 2048:16 * 2048 + 6] = b'\x01CD001'
    img[17 * 2048:17 * 2048 + 39] = b'\0CD001\x01EL TORITO SPECIFICATION'.ljust(39, b'\0')
    struct.pack_into('<I', img, 17 * 2048 + 0x47, 19)
    img[18 * 2048:18 * 2048 + 7] = b'\xffCD001\x01'
    entry = bytearray(32)
    entry[0], entry[30], entry[31] = 1, 0x55, 0xaa
    words = struct.unpack('<16H', entry)
    struct.pack_into('<H', entry, 28, -sum(words) & 0xffff)
    boot = struct.pack('<BBHBBHI', 0x88, 0, 0, 0, 0, 4, 20).ljust(32, b'\0')
    img[19 * 2048:19 * 2048 + 64] = entry + boot
    img[20 * 2048:20 * 2048 + 512] = sector(letter, False)
    return bytes(img)
def put(name, data, size):
    open(sys.argv[1] + '/' + name, 'wb').write(data.ljust(size, b'\0'))
put('h.raw', sector('H', False), 1 << 20)
put('x.raw', sector('X', False), 1 << 20)
put('empty.raw', b'', 1 << 20)
put('f.raw', sector('F', False), 1474560)
put('g.raw', sector('G', False), 1474560)
put('reset.raw', sector('R', True), 1474560)
put('c.iso', iso('C'), 0)
put('d.iso', iso('D'), 0)
END

# said FILE: the letters that boot sectors wrote
said() { grep -ao '<[A-Z]>' "$1" 2> /dev/null | tr -dc 'A-Z'; }

# boots NAME WANT ARG...: the letters that were said
boots() {
    local name=$1 want=$2 got
    shift 2
    run_for 240 "$dir/log" -m 32 -display none -nodefaults -device isa-debug-exit \
        -debugcon "file:$dir/$name.debug" "$@"
    got=$(said "$dir/$name.debug")
    if [ "$got" = "$want" ] && [ "$status" = 33 ]; then pass "boot-devices $name"
    else fail "boot-devices $name" "'$got' not '$want', exit $status $(tail_of "$dir/log")"; fi
}

h="-drive file=$dir/h.raw,format=raw,if=ide"
x="-drive file=$dir/x.raw,format=raw,if=none,id=x"
boots order-c H $h -fda "$dir/f.raw" -cdrom "$dir/c.iso" -boot c
boots order-a F $h -fda "$dir/f.raw" -cdrom "$dir/c.iso" -boot a
boots order-d C $h -fda "$dir/f.raw" -cdrom "$dir/c.iso" -boot order=d
boots once RH $h -fda "$dir/reset.raw" -boot order=c,once=a
boots index-ide X $h $x -device ide-hd,drive=x,bus=ide.1,bootindex=0
boots index-cd C $h -drive "file=$dir/c.iso,if=none,id=c,media=cdrom" -device ide-cd,drive=c,bus=ide.1,bootindex=0
boots index-ahci X $h $x -device ahci,id=s -device ide-hd,drive=x,bus=s.3,bootindex=0
boots index-virtio X $h $x -device virtio-blk-pci,drive=x,bootindex=0
boots index-nvme X $h $x -device nvme,drive=x,serial=1,bootindex=0
boots index-usb X $h $x -device qemu-xhci -device usb-storage,drive=x,bootindex=0
boots index-usb-hub X $h $x -machine q35 -device qemu-xhci,id=u -device usb-hub,bus=u.0,port=2 \
    -device usb-storage,drive=x,bus=u.0,port=2.3,bootindex=0
boots index-usb-uhci X $h $x -usb -device usb-storage,drive=x,bootindex=0
boots index-floppy F $h -drive "file=$dir/f.raw,format=raw,if=none,id=f" -device floppy,drive=f,bootindex=0
boots index-order X $h $x -drive "file=$dir/f.raw,format=raw,if=none,id=f" \
    -device floppy,drive=f,bootindex=7 -device virtio-blk-pci,drive=x,bootindex=3

# nothing but what has an index, with strict=on
e="-drive file=$dir/empty.raw,format=raw,if=none,id=e -device virtio-blk-pci,drive=e,bootindex=0"
boots lax F $e -fda "$dir/f.raw"
run_for 240 "$dir/log" -m 32 -display none -nodefaults -device isa-debug-exit -no-reboot \
    -debugcon "file:$dir/strict" $e -fda "$dir/f.raw" -boot strict=on,reboot-timeout=100
if grep -q 'No bootable device' "$dir/strict" && [ "$status" = 0 ]; then pass "boot-devices strict"
else fail "boot-devices strict" "exit $status $(tail_of "$dir/strict")"; fi
run_for 240 "$dir/log" -m 32 -nographic -device isa-debug-exit $h -boot menu=on,splash-time=500
if grep -aq 'for boot menu' "$dir/log" && [ "$status" = 33 ]; then pass "boot-devices menu"
else fail "boot-devices menu" "exit $status $(tail_of "$dir/log")"; fi

# media NAME WANT "COMMAND\n..." ARG...: commands before the guest starts
media() {
    local name=$1 want=$2 words=$3 got
    shift 3
    printf "%b" "$words" > "$dir/commands"
    timeout -k 5 240 "$TRANSOM" -m 32 -display none -nodefaults -device isa-debug-exit -S -monitor stdio \
        -debugcon "file:$dir/$name.debug" "$@" < "$dir/commands" > "$dir/log" 2>&1
    status=$?
    got=$(said "$dir/$name.debug")
    if [ "$got" = "$want" ] && [ "$status" = 33 ]; then pass "boot-devices $name"
    else fail "boot-devices $name" "'$got' not '$want', exit $status $(tail_of "$dir/log")"; fi
}
media change-cd D "change ide1-cd0 $dir/d.iso\ncont\n" -cdrom "$dir/c.iso" -boot d
media change-id D "change tray $dir/d.iso raw\ncont\n" -device ide-cd,id=tray,bus=ide.0 -boot d
media change-floppy G "change floppy0 $dir/g.raw raw read-only\ncont\n" -fda "$dir/f.raw" -boot a
media eject-cd H "eject ide1-cd0\ninfo block\ncont\n" $h -cdrom "$dir/c.iso" -boot d
grep -q 'ide1-cd0: \[not inserted\]' "$dir/log" && pass "boot-devices info" || fail "boot-devices info" "$(tail_of "$dir/log")"
media eject-disk H "eject ide0-hd0\nboot_set c\ncont\n" $h -cdrom "$dir/c.iso" -boot c
grep -q "Device 'ide0-hd0' is not removable" "$dir/log" && pass "boot-devices fixed" || fail "boot-devices fixed" "$(tail_of "$dir/log")"
