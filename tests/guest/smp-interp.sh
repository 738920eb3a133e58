#!/bin/bash
# smp-interp.sh - the multiprocessor program, interpreted; with TSAN=1 any race is a failure
set -u
. "$(dirname "$0")/common.sh"

log=$work/smp-interp.log
run_for 1800 "$log" -accel tcg,backend=interp -cpu max -m 64 -display none -no-reboot -debugcon stdio \
    -smp 4 -device isa-debug-exit,iobase=0x501 -bios "$BUILD/tests/guest/smp.bin"
if grep -aq 'WARNING: ThreadSanitizer' "$log"; then
    fail "no data race" "$(grep -a 'SUMMARY' "$log" | head -n 1)"
elif [ "$status" = 33 ]; then
    pass "no data race"
else
    fail "no data race" "status $status, $(tail_of "$log")"
fi
