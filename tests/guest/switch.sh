#!/bin/bash
# switch.sh - a running program moved between translator and KVM, SWITCHES times (make check-switch)
#
# bare/switch.c checks its registers, timers and interrupts all the time; the moments are random.
set -u
. "$(dirname "$0")/common.sh"

count=${SWITCHES:-20}
log=$work/switch.log

# switches COUNT CHIPS: monitor commands; each in its time
commands() {
    for ((i = 1; i <= count; i++)); do
        if ((i % 2)); then echo "accel kvm"; else echo "accel tcg"; fi
        sleep "0.0$((RANDOM % 60 + 10))"
    done
    echo "info accel"
    wait_rounds
    echo quit
}

rounds() { grep -ac '^ok rounds' "$log"; }

# it goes on after the last change
wait_rounds() {
    local before=$(rounds) deadline=$((SECONDS + 240))
    while [ "$(rounds)" -le "$before" ] && [ $SECONDS -lt $deadline ] && ! grep -aq '^FAIL' "$log"; do
        sleep 0.2
    done
    rounds > "$log.after"
    echo "$before" > "$log.before"
}

make -s -C tests/guest BUILD="$BUILD" X86_CC="${X86_CC:-gcc}" > "$work/make.log" 2>&1 || {
    fail "bare-metal programs" "$(tail_of "$work/make.log")"
    exit 0
}

# one CHIPS
one() {
    local name="$count changes of the accelerator, kernel-irqchip=$1"
    : > "$log"
    commands | timeout -k 5 $((count * 10 + 600)) "$TRANSOM" -accel tcg,switch=on -machine kernel-irqchip="$1" -cpu qemu64 \
        -m 64 -display none -no-reboot -monitor stdio -debugcon "file:$log" -device isa-debug-exit,iobase=0x501 \
        -bios "$BUILD/tests/guest/switch.bin" > "$log.monitor" 2>&1
    if grep -aq '^FAIL' "$log"; then
        fail "$name" "$(grep -a '^FAIL' "$log" | head -n 1)"
    elif ! grep -aq "handed over $count times" "$log.monitor"; then
        fail "$name" "$(grep -aE 'handed over|Error: ' "$log.monitor" | head -n 2 | tr '\r\n' '  ')"
    elif [ "$(cat "$log.after")" -le "$(cat "$log.before")" ]; then
        fail "$name" "the program stands still, $(rounds) times 8 rounds done"
    else
        pass "$name; $(rounds) times 8 rounds"
    fi
}

why=$(why_no_kvm)
if [ -n "$why" ]; then
    skip "live switch" "$why"
else
    for chips in ${CHIPS:-off split on}; do
        one "$chips"
    done
fi

# The translator's own state through the common form and back, while Linux boots and works on two vCPUs.
linux() {
    local name="Debian, two vCPUs, state through the common form again and again" log=$work/switch-linux.log want n
    if ! tools/fetch-guest.sh "$BUILD/demo" > "$work/fetch.log" 2>&1; then
        skip "$name" "$(tail -n 1 "$work/fetch.log")"
        return
    fi
    want=$(sha256sum < "$BUILD/demo/busybox")
    tools/mkinitramfs.sh "$BUILD/demo/busybox" "$work/switch.cpio" 'for i in 1 2 3 4; do sha256sum < /bin/busybox & sha256sum < /bin/busybox; wait; done; dmesg | grep -ciE "lockup|stall|bug:"' || {
        fail "$name" "no initramfs"
        return
    }
    rm -f "$work/switch.in" "$log"
    mkfifo "$work/switch.in"
    timeout -k 5 900 "$TRANSOM" -accel tcg -smp 2 -kernel "$BUILD/demo/vmlinuz" -initrd "$work/switch.cpio" -m 512 \
        -append "console=ttyS0 panic=-1" -display none -serial "file:$log" -no-reboot -monitor stdio \
        < "$work/switch.in" > "$log.monitor" 2>&1 &
    local pid=$!
    exec 3> "$work/switch.in"
    for ((n = 0; n < 100000; n++)); do
        kill -0 $pid 2> /dev/null && echo "accel tcg" >&3 2> /dev/null || break
        sleep "0.0$((RANDOM % 30 + 10))"
    done
    exec 3>&-
    wait $pid
    if [ "$(tr -d '\r' < "$log" | grep -cF "$want")" = 8 ] && tr -d '\r' < "$log" | grep -qx 0 && ! grep -aq 'Error: ' "$log.monitor"; then
        pass "$name; $n times"
    else
        fail "$name" "$(grep -a 'Error: ' "$log.monitor" | head -n 1) $(tail_of "$log")"
    fi
}
trap '' PIPE
linux
