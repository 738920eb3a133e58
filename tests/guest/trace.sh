#!/bin/bash
# trace.sh - binary traces of bare-metal programs, and lockstep
set -u
. "$(dirname "$0")/common.sh"

READER=${READER:-$(dirname "$TRANSOM")/transom-trace}
prot=$BUILD/tests/guest/prot.bin
[ -f "$prot" ] || { skip "traces" "no $prot: bare.sh makes it"; exit 0; }
[ -x "$READER" ] || { skip "traces" "no $READER"; exit 0; }

# traced NAME EVENTS ACCEL [ARG]...: one counted run of prot.bin
traced() {
    local name=$1 events=$2 accel=$3
    shift 3
    run_for 600 "$work/trace-$name.log" -accel "$accel" -icount shift=1,sleep=off,stop=3000000 \
        -trace "$events,file=$work/$name.trace" -rtc base=2026-01-01 -m 64 -display none -no-reboot \
        -debugcon null -device isa-debug-exit,iobase=0x501 -bios "$prot" "$@"
}

# check NAME COMMAND...: it succeeds
check() {
    local name=$1
    shift
    if "$@" > "$work/trace-check.log" 2>&1; then pass "$name"; else fail "$name" "$(tail_of "$work/trace-check.log")"; fi
}

recorded() { "$READER" info "$work/$1.trace" | sed -n 's/^cpu 0: .* to \([0-9]*\), .*/\1/p'; }

echo "# the same run twice: translated and interpreted"
traced host exec,int tcg
traced interp exec,int tcg,backend=interp
if [ "$(recorded host)" = 3000000 ] && [ "$(recorded interp)" = 3000000 ]; then
    pass "trace: counts of both back ends"
else
    fail "trace: counts of both back ends" "$(recorded host), $(recorded interp): $(tail_of "$work/trace-host.log")"
fi
check "trace: the same instructions in both" "$READER" diff "$work/host.trace" "$work/interp.trace"

echo "# a CPU whose SBB forgets the borrow: the first wrong result is named"
traced right exec,reg tcg,one-insn-per-tb=on
traced wrong exec,reg tcg,one-insn-per-tb=on,x-seed-bug=sbb
"$READER" diff "$work/right.trace" "$work/wrong.trace" > "$work/trace-diff.log"
if [ $? = 1 ] && grep -q '^the instruction: .* sbb ' "$work/trace-diff.log"; then
    pass "trace: diff names the instruction"
else
    fail "trace: diff names the instruction" "$(tail_of "$work/trace-diff.log")"
fi

echo "# what comes out of a trace"
check "trace: callgrind" "$READER" stats --format callgrind -o "$work/callgrind.out" "$work/host.trace"
if command -v callgrind_annotate > /dev/null; then
    # KCachegrind's format as valgrind's own program reads it: its sum is the trace's
    check "trace: callgrind_annotate reads it" sh -c "callgrind_annotate '$work/callgrind.out' | tr -d , |
        grep -q '^ *3000000 .*PROGRAM TOTALS'"
else
    skip "trace: callgrind_annotate reads it" "no valgrind"
fi
check "trace: folded stacks add up" sh -c "'$READER' stats --format folded '$work/host.trace' |
    awk '{ n += \$NF } END { exit n != 3000000 }'"
check "trace: drcov" sh -c "'$READER' coverage '$work/host.trace' | head -1 | grep -q '^DRCOV VERSION: 2'"
if command -v python3 > /dev/null; then
    "$READER" export --limit 20000 -o "$work/trace.json" "$work/host.trace"
    check "trace: JSON is JSON" python3 -c "import json, sys
e = json.load(open(sys.argv[1]))['traceEvents']
assert len(e) > 1000 and all(x['ph'] in 'BEMi' for x in e)
assert all({'ph', 'pid', 'tid'} <= x.keys() and (x['ph'] == 'E' or 'name' in x) and (x['ph'] == 'M' or 'ts' in x) for x in e)
depth, last = {}, {}
for x in e:
    if x['ph'] == 'M':
        continue
    assert x['ts'] >= last.get(x['tid'], 0), x
    last[x['tid']] = x['ts']
    depth[x['tid']] = depth.get(x['tid'], 0) + {'B': 1, 'E': -1}.get(x['ph'], 0)
    assert depth[x['tid']] >= 0, x" "$work/trace.json"
else
    skip "trace: JSON is JSON" "no python3"
fi
check "trace: a filter by address" sh -c "'$READER' print --pc 0xfffffff0..0xffffffff '$work/host.trace' | grep -q ': .*jmp'"

echo "# every byte that is read is as it was written last, or is read for the first time"
real=$BUILD/tests/guest/real.bin
if command -v python3 > /dev/null && [ -f "$real" ]; then
    # without paging, and below 1 MiB: no byte has two addresses
    for accel in tcg tcg,backend=interp; do
        run_for 600 "$work/trace-values.log" -accel $accel -icount shift=1,sleep=off,stop=3000000 -m 64 -display none \
            -trace "mem,values=on,file=$work/values.trace" -rtc base=2026-01-01 -no-reboot -debugcon null \
            -device isa-debug-exit,iobase=0x501 -bios "$real"
        "$READER" print "$work/values.trace" | grep -a ' mem ' > "$work/values-$accel.txt"
        check "trace: values of memory, -accel $accel" python3 -c "import re, sys
mem, seen = {}, 0
for line in open(sys.argv[1]):
    m = re.search(r' mem (read|write) addr=(\S+) size=(\d+) value=(\S+)', line)
    if not m:     # a device's, see mmio
        continue
    at, n, v = int(m[2], 0), int(m[3]), int(m[4], 16)
    for i in range(at, at + n):
        byte = v >> 8 * (i - at) & 255
        if m[1] == 'read' and i in mem and i < 1 << 20:
            seen += 1
            assert mem[i] == byte, line
        mem[i] = byte
assert seen > 20000, seen" "$work/values-$accel.txt"
    done
    check "trace: the same values on both" cmp "$work/values-tcg.txt" "$work/values-tcg,backend=interp.txt"
else
    skip "trace: values of memory" "no python3, or no $real: bare.sh makes it"
fi

echo "# two vCPUs: a stream for each"
if [ -f "$BUILD/tests/guest/smp.bin" ]; then
    run_for 600 "$work/trace-smp.log" -smp 2 -trace "exec,int,size=200M,file=$work/smp.trace" -cpu max -m 64 -display none -no-reboot \
        -debugcon null -device isa-debug-exit,iobase=0x501 -bios "$BUILD/tests/guest/smp.bin"
    check "trace: vCPU 0 and 1" sh -c "'$READER' info '$work/smp.trace' | grep -c '^cpu [01]: .* recorded' | grep -qx 2"
    check "trace: both are printed" sh -c "'$READER' print --cpu 0 --limit 100 '$work/smp.trace' | grep -q '^0 ' &&
        '$READER' print --cpu 1 --limit 100 '$work/smp.trace' | grep -q '^1 ' &&
        ! '$READER' print --cpu 1 --limit 100 '$work/smp.trace' | grep -q '^0 '"
    check "trace: two vCPUs compared" "$READER" diff "$work/smp.trace" "$work/smp.trace"
else
    skip "trace: two vCPUs" "no smp.bin: bare.sh makes it"
fi

echo "# a ring of 3 MiB"
traced ring "exec,reg,mmio,io,size=3M,ring=on" tcg
if [ "$(stat -c %s "$work/ring.trace")" -le $((3 * 1024 * 1024)) ] && [ "$(recorded ring)" = 3000000 ] &&
    "$READER" print --insns 2999990..2999999 "$work/ring.trace" | grep -q '^0 2999999 '; then
    pass "trace: ring"
else
    fail "trace: ring" "$(stat -c %s "$work/ring.trace") bytes, $("$READER" info "$work/ring.trace" | tail -1)"
fi

echo "# coverage by line of a program with DWARF"
if "${X86_CC:-gcc}" -m32 -g -nostdlib -static -no-pie -Wl,-N,-Ttext=0x100000,--build-id=none -o "$work/cover.elf" \
    -x assembler-with-cpp "$here/cover.S" 2> "$work/cover.log"; then
    run_for 300 "$work/cover-run.log" -kernel "$work/cover.elf" -display none -no-reboot -m 32 \
        -device isa-debug-exit,iobase=0x501 -trace "exec,file=$work/cover.trace"
    if "$READER" coverage --format lcov --elf "$work/cover.elf" "$work/cover.trace" > "$work/cover.info" 2> "$work/cover.log"; then
        # the lines say themselves how often they are executed
        want=$(grep -n 'times [0-9]' "$here/cover.S" | sed -E 's/^([0-9]+):.*times ([0-9]+).*/DA:\1,\2/')
        missing=$(comm -23 <(sort <<< "$want") <(sort "$work/cover.info"))
        if [ -z "$missing" ]; then pass "trace: lcov"; else fail "trace: lcov" "no $missing"; fi
        if command -v genhtml > /dev/null; then
            check "trace: genhtml reads it" sh -c "genhtml -q -o '$work/cover-html' '$work/cover.info' && test -f '$work/cover-html/index.html'"
        else
            skip "trace: genhtml reads it" "no lcov"
        fi
    elif grep -q 'without libdw' "$work/cover.log"; then
        skip "trace: lcov" "built without libdw"
    else
        fail "trace: lcov" "$(tail_of "$work/cover.log") $(tail_of "$work/cover-run.log")"
    fi
else
    skip "trace: lcov" "$(tail_of "$work/cover.log")"
fi

echo "# switched on and off by the monitor; names from the monitor"
printf '%s\n' '.text' '.global _start' '.align 4' '.long 0x1badb002, 0, -0x1badb002' '_start: mov $0x2000, %esp' \
    'again: call work' 'jmp again' 'work: incl 0x3000' 'ret' > "$work/loop.S"
# say TEXT, then until COMMAND succeeds
until_true() { for _ in $(seq 3000); do sh -c "$1" && return 0; kill -0 "$pid" 2> /dev/null || break; sleep 0.1; done; sh -c "$1"; }
if "${X86_CC:-gcc}" -m32 -nostdlib -static -no-pie -Wl,-N,-Ttext=0x100000,--build-id=none -o "$work/loop.elf" \
    "$work/loop.S" 2> "$work/loop.log"; then
    rm -f "$work/loop.in" "$work/on.trace"
    mkfifo "$work/loop.in"
    timeout -k 5 600 "$TRANSOM" -kernel "$work/loop.elf" -m 32 -display none -monitor stdio < "$work/loop.in" > "$work/loop.log" 2>&1 &
    pid=$!
    exec 3> "$work/loop.in"
    printf 'trace\ntrace bogus\ntrace exec,size=64M,file=%s\n' "$work/on.trace" >&3
    until_true "[ \$(stat -c %s '$work/on.trace' 2> /dev/null || echo 0) -gt 600000 ]"
    printf 'trace\ntrace off\nsymbols %s\nx/1i 0x100018\ntrace\nquit\n' "$work/loop.elf" >&3
    wait "$pid"
    exec 3>&-
    check "trace: the monitor switches it" sh -c "tr '\r' '\n' < '$work/loop.log' | grep -ax 'trace: o[nf]*' | tr '\n' ' ' |
        grep -qx 'trace: off trace: on trace: off ' && grep -aq \"trace: no event 'bogus'\" '$work/loop.log'"
    check "trace: what the monitor had recorded" sh -c "'$READER' stats -s '$work/loop.elf' '$work/on.trace' | grep -q work"
    check "trace: symbols from the monitor" grep -aq '<work+0' "$work/loop.log"
else
    skip "trace: the monitor switches it" "$(tail_of "$work/loop.log")"
fi

echo "# lockstep"
verify() {
    run_for 600 "$work/verify.log" -accel "$1" -verify interp -rtc base=2026-01-01 -m 64 -display none -no-reboot \
        -debugcon null -device isa-debug-exit,iobase=0x501 -bios "$prot"
}
verify tcg
if grep -q 'no difference in [0-9]* blocks' "$work/verify.log" && [ "$status" = 33 ]; then
    pass "lockstep: $(sed -n 's/.*\(no difference.*\)/\1/p' "$work/verify.log")"
else
    fail "lockstep" "status $status, $(tail_of "$work/verify.log")"
fi
verify tcg,x-seed-bug=sbb
if [ "$status" = 1 ] && grep -q -- '-verify: difference behind the block at' "$work/verify.log" &&
    grep -q '^OP after optimization' "$work/verify.log" && grep -q '^OUT: ' "$work/verify.log"; then
    pass "lockstep: a wrong SBB is caught"
else
    fail "lockstep: a wrong SBB is caught" "status $status, $(tail_of "$work/verify.log")"
fi

echo "# lockstep with the host's CPU"
why=$(why_no_kvm)
if [ -n "$why" ]; then
    skip "lockstep with KVM" "$why"
elif [ -f "$real" ]; then
    run_for 900 "$work/verify-kvm.log" -verify kvm -icount shift=1,sleep=off,stop=3000 -rtc base=2026-01-01 -m 16 \
        -display none -no-reboot -debugcon null -device isa-debug-exit,iobase=0x501 -bios "$real"
    if grep -q 'no difference in [0-9][0-9]* blocks, [12][0-9][0-9][0-9] instructions' "$work/verify-kvm.log"; then
        pass "lockstep with KVM: $(sed -n 's/.*\(no difference.*\)/\1/p' "$work/verify-kvm.log")"
    else
        fail "lockstep with KVM" "status $status, $(tail_of "$work/verify-kvm.log")"
    fi
fi

echo "# the magic breakpoint: stopped behind it, then on to the end"
printf '%s\n' '.text' '.global _start' '.align 4' '.long 0x1badb002, 0, -0x1badb002' '_start: mov $0x1234, %eax' \
    'xchg %bx, %bx' 'mov $0x501, %edx' 'mov $0x10, %al' 'out %al, %dx' '1: hlt' 'jmp 1b' > "$work/magic.S"
if "${X86_CC:-gcc}" -m32 -nostdlib -static -no-pie -Wl,-N,-Ttext=0x100000,--build-id=none -o "$work/magic.elf" \
    "$work/magic.S" 2> "$work/magic.log"; then
    rm -f "$work/magic.in"
    mkfifo "$work/magic.in"
    timeout -k 5 300 "$TRANSOM" -magic-break -kernel "$work/magic.elf" -display none -monitor stdio -no-reboot \
        -device isa-debug-exit,iobase=0x501 < "$work/magic.in" > "$work/magic.log" 2>&1 &
    pid=$!
    exec 3> "$work/magic.in"
    wait_for 120 "$work/magic.log" 'magic breakpoint on CPU 0' "$pid"
    # the stop itself is carried out by another thread
    for _ in $(seq 100); do
        echo 'info status' >&3
        wait_for 1 "$work/magic.log" 'paused' "$pid" && break
    done
    printf 'x/1i $eip\ncont\n' >&3
    wait "$pid"
    status=$?
    exec 3>&-
    if grep -aq 'mov edx, 0x501' "$work/magic.log" && [ "$status" = 33 ]; then
        pass "magic breakpoint"
    else
        fail "magic breakpoint" "status $status, $(tail_of "$work/magic.log")"
    fi
else
    skip "magic breakpoint" "$(tail_of "$work/magic.log")"
fi
