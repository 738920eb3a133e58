#!/bin/bash
# dmesg-diff.sh [KERNEL BUSYBOX] - kernel warnings that only transom gives
#
# Boots the same kernel under QEMU (TCG) and transom and lists lines of level
# "warning" and above that only the latter has; numbers and addresses do not count.
set -u
. "$(dirname "$0")/common.sh"

kernel=${1:-$BUILD/demo/vmlinuz} busybox=${2:-$BUILD/demo/busybox}
qemu=${QEMU:-qemu-system-x86_64}
command -v "$qemu" > /dev/null || { echo "skip: no $qemu"; exit 0; }
[ -e "$kernel" ] || tools/fetch-guest.sh "$BUILD/demo"
# the level is the lowest three bits of the number that dmesg -r leaves in front
tools/mkinitramfs.sh "$busybox" "$work/dmesg.cpio" 'dmesg -r | sed "s/^/@/"'

# warnings FILE: lines of level 0 to 4, without time, digits normalised
warnings() {
    tr -d '\r' < "$1" | sed -n -E 's/^@<([0-9]*)>\[ *[0-9.]*\] (.*)/\1 \2/p' |
        awk '$1 % 8 <= 4 { $1 = ""; print }' | sed -E 's/0x[0-9a-f]+|[0-9]+/N/g' | sort -u
}

args=(-kernel "$kernel" -initrd "$work/dmesg.cpio" -append "console=ttyS0 quiet" -m 512 -display none -no-reboot)
timeout 300 "$qemu" -accel tcg -cpu "${QEMU_CPU:-qemu64}" "${args[@]}" -serial "file:$work/dmesg-qemu" < /dev/null > /dev/null 2>&1
timeout 300 "$TRANSOM" -accel tcg "${args[@]}" -serial "file:$work/dmesg-transom" < /dev/null > /dev/null 2>&1
warnings "$work/dmesg-qemu" > "$work/dmesg-qemu.warn"
warnings "$work/dmesg-transom" > "$work/dmesg-transom.warn"
echo "warnings under QEMU: $(wc -l < "$work/dmesg-qemu.warn"), under transom: $(wc -l < "$work/dmesg-transom.warn"); only under transom:"
comm -13 "$work/dmesg-qemu.warn" "$work/dmesg-transom.warn"
[ -s "$work/dmesg-transom" ] || { echo "transom did not get to /init"; exit 1; }
! comm -13 "$work/dmesg-qemu.warn" "$work/dmesg-transom.warn" | grep -q .
