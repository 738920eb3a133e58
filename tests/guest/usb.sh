#!/bin/bash
# usb.sh - Debian's kernel finds the USB controllers, tablet, mouse, keyboard, hub and disk; what the
# monitor sends arrives in its input devices, the disk is read and written; devices come and go while it runs
set -u
. "$(dirname "$0")/common.sh"

dir=$work/usb
demo=$BUILD/demo
modules="drivers/usb/common/usb-common drivers/usb/core/usbcore drivers/usb/host/uhci-hcd
    drivers/usb/host/xhci-hcd drivers/usb/host/xhci-pci drivers/scsi/scsi_common drivers/scsi/scsi_mod
    crypto/crct10dif_common lib/crc-t10dif lib/crc64 crypto/crc64_rocksoft_generic lib/crc64-rocksoft block/t10-pi
    drivers/scsi/sd_mod drivers/usb/storage/usb-storage drivers/hid/hid drivers/hid/hid-generic drivers/hid/usbhid/usbhid drivers/input/evdev"

write_init() {
    cat > "$dir/root/init" <<END
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in $(for m in $modules; do basename "$m"; done | tr '\n' ' '); do insmod /lib/\$m.ko || echo missing=\$m; done
END
    cat >> "$dir/root/init" <<'END'
# the kernel's messages would come in the middle of ours
until dmesg | grep 'ports detected'; do sleep 0.1; done
# events DEVICE NAME: one line an input event; 24 bytes each: time, type, code, value
events() {
    exec 5< "$1"
    echo "listening=$2, number $3"
    while dd bs=24 count=1 of=/$2 <&5 2> /dev/null && [ -s /$2 ]; do
        echo "event=$2$(hexdump -s 16 -v -e '2/2 " %u" 1/4 " %d"' /$2)"
    done
    echo "gone=$2"
}
# disk NAME: read it all, write its first MiB again at 2 MiB; until it is gone
disk() {
    until dd if=/dev/$1 of=/dev/null bs=512 count=1 2> /dev/null; do sleep 0.1; done
    at=/sys/block/$1/device/../../../..
    echo "disk=$(cat /sys/block/$1/size) speed=$(cat $at/speed) serial=$(cat $at/serial) sum=$(md5sum < /dev/$1)"
    dd if=/dev/$1 of=/dev/$1 bs=64k count=16 seek=32 conv=fsync 2> /dev/null && echo "written=$(cat $at/serial)"
    while [ -e /sys/block/$1 ]; do sleep 0.2; done
    echo gone=disk
}
seen=" " tablet=0 mouse=0 keyboard=0
while sleep 0.3; do
    for e in /sys/class/input/event*; do
        name=$(cat $e/device/name 2> /dev/null)
        id=$(readlink $e/device)
        case $name in *USB*) ;; *) continue ;; esac
        case $seen in *" $id "*) continue ;; esac
        seen="$seen$id "
        word=$(echo $name | awk '{ print tolower($NF) }')
        echo "found=$word name=$name"
        eval "n=\$(($word + 1)) $word=\$(($word + 1))"
        events /dev/input/${e##*/} $word $n &
    done
    for d in /sys/block/sd*; do
        id=disk$(cat $d/diskseq 2> /dev/null) || continue
        case $seen in *" $id "*) continue ;; esac
        seen="$seen$id "
        disk ${d##*/} &
    done
done
END
    pack_guest usb.cpio
}

# start NAME ARG...: a guest with a monitor on fd 8; its console goes to $log
start() {
    name=$1 log=$dir/$1.log monitor=$dir/$1.monitor
    shift
    rm -f "$dir/mon"
    : > "$log"
    mkfifo "$dir/mon"
    timeout -k 5 1200 "$TRANSOM" -kernel "$demo/vmlinuz" -initrd "$dir/usb.cpio" -m 256 -net none \
        -append "console=ttyS0 panic=-1 quiet" -display none -serial "file:$log" -monitor stdio "$@" \
        < "$dir/mon" > "$monitor" 2>&1 &
    pid=$!
    exec 8> "$dir/mon"
}

finish() {
    echo quit >&8
    exec 8>&-
    wait $pid || fail "usb $name" "exit status $?: $(tail_of "$monitor")"
}

# expect WHAT PATTERN: it shows on the guest's console
expect() {
    if wait_for 400 "$log" "$2" $pid; then pass "usb: $1"; else fail "usb: $1" "no '$2': $(tail_of "$log")"; fi
}

# says WHAT COMMAND PATTERN: the monitor answers so
says() {
    local at deadline=$((SECONDS + 200))
    at=$(stat -c %s "$monitor")
    echo "$2" >&8
    while [ $SECONDS -le $deadline ]; do
        tail -c +$((at + 1)) "$monitor" | grep -aqE "$3" && pass "usb: $1" && return
        sleep 0.1
    done
    fail "usb: $1" "'$2' says $(tail -c +$((at + 1)) "$monitor" | tr -c '[:print:]' ' ')"
}

tablet() {
    start tablet -usbdevice tablet -vnc "unix:${dir#"$top"/}/vnc"
    expect "the kernel finds the controller" 'hub 1-0:1.0: 2 ports detected'
    expect "the kernel finds the tablet" 'listening=tablet,'
    says "info usb" "info usb" 'Device 0\.[0-9]+, Port 1, Speed 12 Mb/s, Product USB Tablet'
    says "info mice" "info mice" '\* Mouse #1: USB Tablet \(absolute\)'
    echo "mouse_move 12345 321" >&8
    expect "X arrives as sent" 'event=tablet 3 0 12345'
    expect "Y arrives as sent" 'event=tablet 3 1 321'
    echo "mouse_button 1" >&8
    expect "a button" 'event=tablet 1 272 1'
    echo "mouse_move 32767 0 1" >&8
    expect "the edge" 'event=tablet 3 0 32767'
    expect "the wheel" 'event=tablet 2 8 -1'
    set -- $(python3 "$here/pointer.py" "${dir#"$top"/}/vnc" 2>&1)
    expect "X of a VNC client's pointer ($*)" "event=tablet 3 0 $1[^0-9]"
    expect "Y of a VNC client's pointer" "event=tablet 3 1 $2[^0-9]"
    says "mouse_set of nothing" "mouse_set 7" 'there is no mouse #7'
    finish
}

several() {
    start several -M usb=on -device usb-mouse -device usb-kbd,id=k1 -device usb-tablet,id=t1
    expect "mouse" 'listening=mouse,'
    expect "keyboard, behind a hub that came by itself" 'listening=keyboard,'
    expect "tablet" 'listening=tablet,'
    echo "sendkey a" >&8
    expect "a key" 'event=keyboard 1 30 1'
    expect "it is let go" 'event=keyboard 1 30 0'
    echo "mouse_set 1" >&8
    echo "mouse_move 300 -5" >&8
    expect "motion" 'event=mouse 2 0 127'
    expect "the rest of it" 'event=mouse 2 0 46'
    echo "device_del t1" >&8
    expect "device_del" 'gone=tablet'
    says "device_del of nothing" "device_del t1" "Error: Device 't1' not found"
    echo "device_add usb-tablet,id=t2" >&8
    expect "device_add" 'listening=tablet, number 2'
    echo "mouse_move 77 88" >&8
    expect "the new one is used" 'event=tablet 3 0 77'
    finish
}

sum_of() { md5sum < "$dir/stick.img" | cut -d' ' -f1; }

# xhci NAME SPEED ARG...: the controller is "u"; its disks have that speed
xhci() {
    local name=$1 speed=$2 before after
    shift 2
    python3 -c 'import random, sys; sys.stdout.buffer.write(random.Random(3).randbytes(4 << 20))' > "$dir/stick.img"
    before=$(sum_of)
    start "$name" "$@" -device usb-tablet,bus=u.0,port=1,id=t1 -device usb-kbd,bus=u.0,port=2 \
        -drive "if=none,id=d,format=raw,file=$dir/stick.img" -device usb-storage,bus=u.0,port=3,drive=d,serial=S1,id=s1
    expect "$name: tablet" 'listening=tablet,'
    expect "$name: keyboard" 'listening=keyboard,'
    says "$name: info usb" "info usb" 'Device 0\.[0-9]+, Port 1, Speed 480 Mb/s, Product USB Tablet, ID: t1'
    echo "mouse_move 12345 321" >&8
    expect "$name: X arrives as sent" 'event=tablet 3 0 12345'
    echo "sendkey a" >&8
    expect "$name: a key" 'event=keyboard 1 30 1'
    expect "$name: the disk is read" "disk=8192 speed=$speed serial=S1 sum=$before"
    expect "$name: and written" 'written=S1'
    dd if="$dir/stick.img" bs=64k count=16 status=none | cmp -s - <(dd if="$dir/stick.img" bs=64k skip=32 count=16 status=none) &&
        pass "usb: $name: as the guest says" || fail "usb: $name: as the guest says" "the image is another"
    after=$(sum_of)
    echo "device_del s1" >&8
    expect "$name: the disk goes" 'gone=disk'
    echo "device_add usb-storage,bus=u.0,port=4,drive=d,serial=S2,id=s2" >&8
    expect "$name: comes back elsewhere, with what was written" "disk=8192 speed=$speed serial=S2 sum=$after"
    echo "device_del t1" >&8
    expect "$name: the tablet goes" 'gone=tablet'
    echo "device_add usb-hub,bus=u.0,port=1,id=h1" >&8
    echo "device_add usb-tablet,bus=u.0,port=1.2,id=t2" >&8
    expect "$name: one behind a hub comes" 'listening=tablet, number 2'
    echo "mouse_move 77 88" >&8
    expect "$name: and is used" 'event=tablet 3 0 77'
    finish
    if grep -aE 'xhci.*(died|WARN|timed out)|usb .*error|I/O error' "$log" > "$dir/complaints"; then
        fail "usb: $name: complaints" "$(tail_of "$dir/complaints")"
    fi
}

if ! tools/fetch-guest.sh "$demo" > "$work/fetch.log" 2>&1; then
    skip usb "$(tail -n 1 "$work/fetch.log")"
elif ! unpack $modules; then
    skip usb "the kernel's package is not in $demo"
else
    write_init
    tablet
    several
    xhci qemu-xhci 5000 -M q35 -device qemu-xhci,id=u,p2=15,p3=15
    xhci nec-usb-xhci 480 -M pc -device nec-usb-xhci,id=u,p3=0,msix=off
fi
