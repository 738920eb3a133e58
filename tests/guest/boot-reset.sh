#!/bin/bash
# boot-reset.sh - a triple fault resets the machine, or ends it with -no-reboot
set -u
. "$(dirname "$0")/common.sh"

image=$BUILD/tests/guest/reset.bin
if [ ! -e "$image" ]; then
    make -s -C tests/guest BUILD="$BUILD" X86_CC="${X86_CC:-gcc}" "$image" > "$work/make.log" 2>&1 || {
        skip "triple fault" "$(tail_of "$work/make.log")"
        exit 0
    }
fi
args="-m 64 -display none -debugcon stdio -device isa-debug-exit,iobase=0x501 -bios $image"

for accel in tcg,backend=interp tcg; do
    name="triple fault, ${accel##*=}"
    log=$work/reset.log
    echo "# $name: the second run finds RAM kept and CR0 reset"
    # shellcheck disable=SC2086
    run_for 120 "$log" -accel $accel $args
    if [ "$status" = 33 ] && grep -aq '^1 passed' "$log"; then
        pass "$name"
    else
        fail "$name" "status $status: $(tail_of "$log")"
    fi
    echo "# $name, -no-reboot: ends with status 0 after the first run; -d cpu,int says why"
    # shellcheck disable=SC2086
    run_for 120 "$log" -accel $accel $args -no-reboot -d cpu,int -D "$work/reset-int.log"
    if [ "$status" = 0 ] && ! grep -aq reset "$log"; then
        pass "$name, -no-reboot"
    else
        fail "$name, -no-reboot" "status $status: $(tail_of "$log")"
    fi
    if grep -aqi 'triple fault' "$work/reset-int.log"; then
        pass "$name, the log says so"
    else
        fail "$name, the log says so" "no 'triple fault' under -d cpu,int"
    fi
done
