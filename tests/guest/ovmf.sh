#!/bin/bash
# ovmf.sh - UEFI firmware in two flash chips keeps its variables, and its drivers
# find a file system behind every disk controller (package ovmf)
set -u
. "$(dirname "$0")/common.sh"
code=/usr/share/OVMF/OVMF_CODE_4M.fd vars=/usr/share/OVMF/OVMF_VARS_4M.fd
dir=$work/ovmf
[ -f $code ] && [ -f $vars ] || { skip ovmf "no package ovmf"; exit 0; }
command -v mformat > /dev/null || { skip ovmf "no mtools"; exit 0; }
rm -rf "$dir" && mkdir -p "$dir"

# the shell of OVMF runs startup.nsh from the first file system that has it
truncate -s 8M "$dir/fat.raw"
mformat -i "$dir/fat.raw" ::
printf 'echo NSH%s\r\nreset -s\r\n' '-RAN' > "$dir/startup.nsh"
mcopy -i "$dir/fat.raw" "$dir/startup.nsh" ::
cp $vars "$dir/vars.fd"

# firmware NAME ARG...
firmware() {
    local name=$1
    shift
    run_for 120 "$dir/$name.log" -m 128 -nographic -net none -no-reboot "$@"
    if [ "$status" = 0 ] && grep -aq 'NSH-RAN' "$dir/$name.log"; then pass "ovmf $name"
    else fail "ovmf $name" "exit $status $(tail_of "$dir/$name.log")"; fi
}
chips="-drive if=pflash,format=raw,readonly=on,file=$code -drive if=pflash,format=raw,file=$dir/vars.fd"
d="-drive if=none,id=d,format=raw,snapshot=on,file=$dir/fat.raw"
firmware ide $chips -snapshot -hda "$dir/fat.raw"
cmp -s $vars "$dir/vars.fd" && pass "ovmf snapshot" || fail "ovmf snapshot" "-snapshot wrote to the chip"
firmware ahci $chips $d -device ahci,id=s -device ide-hd,drive=d,bus=s.0
cmp -s $vars "$dir/vars.fd" && fail "ovmf variables" "nothing was written" || pass "ovmf variables"
firmware q35 $chips -machine q35 $d -device ide-hd,drive=d
firmware virtio $chips $d -device virtio-blk-pci,drive=d,bootindex=0
firmware usb $chips -machine q35 $d -device qemu-xhci -device usb-storage,drive=d
firmware nvme $d -device nvme,drive=d,serial=n1 \
    -blockdev "driver=file,filename=$code,node-name=f0,read-only=on" \
    -blockdev driver=raw,file=f0,node-name=chip0,read-only=on \
    -blockdev "driver=raw,file.driver=file,file.filename=$dir/vars.fd,node-name=chip1" \
    -machine pc,pflash0=chip0,pflash1=chip1
