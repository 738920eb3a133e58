#!/bin/bash
# litmus.sh - memory ordering between vCPUs (make check-litmus ROUNDS=10000000 VCPUS=4)
set -u
. "$(dirname "$0")/common.sh"

vcpus=${VCPUS:-4} log=$work/litmus.log
run_for "${SECONDS_MAX:-7200}" "$log" -accel tcg -cpu max -m 64 -display none -no-reboot -debugcon stdio -smp "$vcpus" \
    -device isa-debug-exit,iobase=0x501 -bios "$BUILD/tests/guest/litmus.bin"
grep -a '^#' "$log"
sed -n -E "s/^(ok|skip) /\1 litmus, $vcpus vCPUs: /p; s/^FAIL (.*)( got .* want .*)$/FAIL litmus, $vcpus vCPUs: \1:\2/p" "$log"
grep -aq ' passed, .* failed, .* skipped' "$log" || fail "litmus" "ended early, status $status, after: $(tail_of "$log")"
