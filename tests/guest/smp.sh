#!/bin/bash
# smp.sh - the multiprocessor program's long run on 2, 4 and 8 vCPUs, Debian on 64 (make check-smp)
set -u
. "$(dirname "$0")/common.sh"

for n in 2 4 8; do
    log=$work/smp-long-$n.log
    echo "# bare-metal smp-long.bin, $n vCPUs"
    run_for 7200 "$log" -accel tcg -cpu max -m 64 -display none -no-reboot -debugcon stdio -smp "$n" \
        -device isa-debug-exit,iobase=0x501 -bios "$BUILD/tests/guest/smp-long.bin"
    grep -a '^#' "$log"
    sed -n -E "s/^(ok|skip) /\1 $n vCPUs: /p; s/^FAIL (.*)( got .* want .*)$/FAIL $n vCPUs: \1:\2/p" "$log"
    grep -aq ' passed, .* failed, .* skipped' "$log" ||
        fail "$n vCPUs" "ended early, status $status, after: $(tail_of "$log")"
done
bash tests/guest/boot-smp.sh 64
