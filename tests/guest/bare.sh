#!/bin/bash
# bare.sh - the bare-metal programs on both back ends
set -u
. "$(dirname "$0")/common.sh"

cc=${X86_CC:-gcc}
if ! echo 'int x;' | "$cc" -m32 -ffreestanding -xc -c -o "$work/m32.o" - 2> /dev/null; then
    skip "bare-metal programs" "$cc does not build for 32 bit x86"
    exit 0
fi
make -s -C tests/guest BUILD="$BUILD" X86_CC="$cc" > "$work/make.log" 2>&1 || {
    fail "bare-metal programs" "$(tail_of "$work/make.log")"
    exit 0
}

# one IMAGE BACKEND [VCPUS [OPTION]...]
one() {
    local image=$1 accel=$2 vcpus=${3:-1} log=$work/bare-$1-${2##*=}.log reboot=-no-reboot
    shift $(($# < 3 ? $# : 3))
    case $image in
    triple*) reboot= ;;
    sys*) set -- "$@" -drive "file=$BUILD/tests/guest/$image.bin,format=raw,if=ide,snapshot=on" ;; # itself, for DMA
    esac
    echo "# bare-metal $image.bin, -accel $accel"
    run_for 600 "$log" -accel "$accel" -smp "$vcpus" -cpu max -m 64 -display none $reboot -debugcon stdio \
        -device isa-debug-exit,iobase=0x501 -bios "$BUILD/tests/guest/$image.bin" "$@"
    # every line becomes a result of its own; the program's own count is the check of completeness
    sed -n -E "s/^(ok|skip) /\1 bare $image ${accel##*=}: /p; s/^FAIL (.*)( got .* want .*)$/FAIL bare $image ${accel##*=}: \1:\2/p" "$log"
    grep -aq ' passed, .* failed, .* skipped' "$log" ||
        fail "bare $image ${accel##*=}" "ended early, status $status, after: $(tail_of "$log")"
}

for image in real prot long sys32 sys64 xfer32 xfer64 triple32 triple64; do
    for accel in tcg,backend=interp tcg; do
        one "$image" "$accel"
    done
done

one q35 tcg,backend=interp 1 -machine q35 -device intel-iommu -device edu
one q35 tcg 1 -machine q35 -device intel-iommu -device edu

# more processors than most hosts of tests have: IRIW wants four
pv=max,+kvm-pv-tlb-flush,+kvm-pv-ipi,+kvm-pv-sched-yield
one smp tcg,backend=interp 2 -cpu $pv
one smp tcg 4 -cpu $pv

# the same images under QEMU, where it is installed: equal but for what qemu-wrong.txt explains
bash tests/guest/compare-system.sh -e qemu || true
