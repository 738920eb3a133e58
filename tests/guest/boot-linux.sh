#!/bin/bash
# boot-linux.sh - stock Debian kernels with a busybox initramfs reach /init and power off
set -u
. "$(dirname "$0")/common.sh"

# boot NAME DIR MEMORY [OPTION]...
boot() {
    local name=$1 dir=$2 log=$work/linux-$1.log
    shift 2
    echo "# $name: /init runs, then power-off ends the emulator with status 0"
    tools/mkinitramfs.sh "$dir/busybox" "$work/$name.cpio" 'echo init-was-here; uname -m' || {
        fail "$name" "no initramfs"
        return
    }
    run_for 600 "$log" -kernel "$dir/vmlinuz" -initrd "$work/$name.cpio" \
        -append "console=ttyS0 panic=-1" -m 512 -display none -serial stdio -no-reboot "$@"
    if grep -aq '^init-was-here' "$log" && [ "$status" = 0 ]; then
        pass "$name"
    else
        fail "$name" "status $status, $(tail_of "$log")"
    fi
}

if tools/fetch-guest.sh "$BUILD/demo" > "$work/fetch.log" 2>&1; then
    boot "Debian amd64" "$BUILD/demo"
    boot "Debian amd64 through SeaBIOS" "$BUILD/demo" -bios bios-256k.bin
    boot "Debian amd64 on q35" "$BUILD/demo" -machine q35
    boot "Debian amd64 on q35 through SeaBIOS" "$BUILD/demo" -machine q35 -bios bios-256k.bin
else
    skip "Debian amd64" "$(tail -n 1 "$work/fetch.log")"
fi
if tests/guest/fetch-i386.sh "$BUILD/demo-i386" > "$work/fetch.log" 2>&1; then
    boot "Debian i386 (686-pae)" "$BUILD/demo-i386"
else
    skip "Debian i386 (686-pae)" "$(tail -n 1 "$work/fetch.log")"
fi
