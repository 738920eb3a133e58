#!/bin/bash
# run-qemu.sh [IMAGE]... - the bare-metal programs under QEMU, to check what they expect
#
# Not a test of ours: the SDM decides. Cases that QEMU's TCG gets wrong stand in
# qemu-wrong.txt with the reason; others that fail here deserve a second look.
set -u
. "$(dirname "$0")/common.sh"

qemu=${QEMU:-qemu-system-x86_64}
command -v "$qemu" > /dev/null || { echo "skip: no $qemu"; exit 0; }
images=$BUILD/qemu
make -s -C tests/guest BUILD="$images" EXTRA=-DUNDER_QEMU || exit 1
for image in ${*:-real prot long}; do
    log=$work/qemu-$image.log
    timeout 60 "$qemu" -accel "${ACCEL:-tcg}" -cpu max -m 64 -display none -no-reboot -nodefaults \
        -global isa-debugcon.iobase=0x402 -debugcon "file:$log" \
        -device isa-debug-exit,iobase=0x501 -bios "$images/tests/guest/$image.bin"
    echo "$image: exit status $?; $(grep -c '^ok ' "$log") ok, $(grep -c '^FAIL ' "$log") differ, of these not in qemu-wrong.txt:"
    sed -n 's/^FAIL \(.*\) got .*/\1/p' "$log" | while read -r name; do
        grep -qF "$image: $name" "$here/qemu-wrong.txt" || grep -F "FAIL $name got" "$log"
    done
    tail -n 1 "$log"
done
