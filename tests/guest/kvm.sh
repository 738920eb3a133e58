#!/bin/bash
# kvm.sh - KVM: what the probe says, SeaBIOS to its boot menu, change of accelerator, bare-metal programs
set -u
. "$(dirname "$0")/common.sh"
unset TRANSOM_KVM_PROBE

# choice PROBE EXPECTED: what is chosen, and that a reason is given
choice() {
    local line
    line=$(TRANSOM_KVM_PROBE=$1 "$TRANSOM" -accel help | tail -n 1)
    if [[ $line == "Here the default is $2 ("?*")" ]]; then pass "probe says $1: $2"; else fail "probe says $1: $2" "$line"; fi
}

choice fast kvm
choice slow tcg
choice wrong tcg
choice none tcg
echo "# $("$TRANSOM" -accel help | tail -n 1)"

why=$(why_no_kvm)
if [ -n "$why" ]; then
    skip "guests on KVM" "$why"
    exit 0
fi

# boot_menu CHIPS: SeaBIOS shows its menu when ESC is pressed
boot_menu() {
    local name="SeaBIOS on KVM, kernel-irqchip=$1: boot menu" log=$work/kvm-menu.log pid
    rm -f "$log" "$work/kvm-menu.in"
    mkfifo "$work/kvm-menu.in"
    "$TRANSOM" -accel kvm,kernel-irqchip="$1" -m 128 -display none -debugcon "file:$log" -boot menu=on -serial null \
        -monitor stdio < "$work/kvm-menu.in" > "$work/kvm-menu.err" 2>&1 &
    pid=$!
    exec 3> "$work/kvm-menu.in"
    wait_for 300 "$log" 'ESC for boot menu' $pid && echo "sendkey esc" >&3
    if wait_for 300 "$log" 'Select boot device' $pid; then
        pass "$name"
    else
        fail "$name" "$(tail_of "$log") $(tail_of "$work/kvm-menu.err")"
    fi
    exec 3>&-
    end $pid
}

# A boot sector that says "K!" at the debug console and ends with status 15
{ printf '\xba\x02\x04\xb0K\xee\xb0!\xee\xba\x01\x05\xb0\x07\xee\xf4'; head -c 494 /dev/zero; printf '\x55\xaa'; } > "$work/kvm-boot.img"
truncate -s 1M "$work/kvm-boot.img"

# boot_virtio CHIPS PROPERTIES: SeaBIOS reads it by virtio, whose notifications are ioeventfds
boot_virtio() {
    local name="SeaBIOS on KVM, kernel-irqchip=$1: boot from virtio-blk-pci$2"
    run_for 300 "$work/kvm-virtio.log" -accel kvm,kernel-irqchip="$1" -m 64 -display none -debugcon "file:$work/kvm-virtio.con" \
        -device isa-debug-exit,iobase=0x501 -drive "file=$work/kvm-boot.img,format=raw,if=none,id=d" -device "virtio-blk-pci,drive=d$2" -net none
    if [ "$status" = 15 ] && [ "$(tail -c 2 "$work/kvm-virtio.con")" = 'K!' ]; then
        pass "$name"
    else
        fail "$name" "status $status: $(tail_of "$work/kvm-virtio.con") $(tail_of "$work/kvm-virtio.log")"
    fi
}

for chips in ${CHIPS:-off split on}; do
    boot_menu "$chips"
done
boot_virtio off ,disable-modern=on
boot_virtio split ,disable-legacy=on
boot_virtio on ,disable-modern=on
PYTHONDONTWRITEBYTECODE=1 python3 tests/guest/accel.py "$TRANSOM" "$work"
bash tests/guest/compare-system.sh -e transom-kvm real prot long sys64 || true
