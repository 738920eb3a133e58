#!/bin/bash
# log-qemu.sh - -d exec,cpu,nochain tells the same pcs and registers as QEMU's, instruction by instruction
set -u
. "$(dirname "$0")/common.sh"

qemu=${QEMU:-qemu-system-x86_64}
name="-d exec,cpu,nochain as QEMU's"
image=$work/log.elf
command -v "$qemu" > /dev/null || { skip "$name" "no $qemu"; exit 0; }
case $("$qemu" --version | sed -n 's/^QEMU emulator version \([0-9]*\.[0-9]*\).*/\1/p') in
[1-7].* | 8.0) one="-singlestep" ;;
*) one="-accel tcg,one-insn-per-tb=on" ;;
esac
"${X86_CC:-gcc}" -m32 -nostdlib -static -no-pie -Wl,-N,-Ttext=0x100000,--build-id=none -o "$image" "$here/log.S" \
    2> "$work/log-qemu.err" || { skip "$name" "$(tail_of "$work/log-qemu.err")"; exit 0; }
from=$(nm "$image" | sed -n 's/^0*\([0-9a-f]*\) T compare_from$/\1/p')

# states: a line for each instruction from compare_from on: pc and general registers; a repeated
# string instruction once. Flags are left out: what the manuals leave undefined differs.
states() {
    awk -v from="$from" '
        function flush_line() { if (on && pc != last) { print line; last = pc } }
        /^Trace 0: / { flush_line(); split($4, a, "/"); pc = a[2]; sub(/^0*/, "", pc); line = pc; if (pc == from) on = 1; next }
        /^E(AX|SI)=/ { line = line " " $0 }
        END { flush_line() }'
}

# log EMULATOR OUT OPTION...: logs of megabytes, the firmware is in them, too
log() {
    local emulator=$1 out=$2
    shift 2
    timeout -k 5 600 "$emulator" "$@" -cpu qemu64 -m 32 -display none -no-reboot -nodefaults -kernel "$image" \
        -device isa-debug-exit,iobase=0x501 -d exec,cpu,nochain -D /dev/stdout 2> "$work/log-qemu.err" < /dev/null |
        states > "$out"
}

echo "# a program that asks no device for anything, one instruction a block"
# shellcheck disable=SC2086
log "$qemu" "$work/log-qemu.states" -accel tcg,thread=single $one -dfilter 0x100000..0x10ffff
log "$TRANSOM" "$work/log-our.states" -accel tcg,one-insn-per-tb=on
n=$(wc -l < "$work/log-qemu.states")
if [ "$n" -lt 2000 ]; then
    fail "$name" "only $n instructions under QEMU: $(tail_of "$work/log-qemu.err")"
elif cmp -s "$work/log-qemu.states" "$work/log-our.states"; then
    pass "$name: $n instructions"
else
    fail "$name" "$(diff "$work/log-qemu.states" "$work/log-our.states" | head -4 | tr '\n' ' ' | cut -c 1-300)"
fi
