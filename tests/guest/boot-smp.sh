#!/bin/bash
# boot-smp.sh [VCPUS] - a stock Debian kernel brings up several vCPUs, directly and through SeaBIOS
set -u
. "$(dirname "$0")/common.sh"

# Every processor works at the same time as the others, and all come to the same result.
script='echo cpus $(grep -c ^processor /proc/cpuinfo)
n=$(nproc); i=0
while [ $i -lt $n ]; do
  taskset $(printf %x $((1 << i))) sh -c "seq 1 20000 | md5sum" > /tmp/$i &
  i=$((i + 1))
done
wait
echo sums $(cat /tmp/* | sort -u | wc -l)
dmesg | grep -E "stall|lockup|Call Trace"'

# boot NAME VCPUS OPTION...
boot() {
    local name=$1 cpus=$2 log=$work/smp-$2.log
    shift 2
    run_for 900 "$log" -kernel "$BUILD/demo/vmlinuz" -initrd "$work/smp.cpio" \
        -append "console=ttyS0 panic=-1" -m 512 -display none -serial stdio -no-reboot -smp "$cpus" "$@"
    if grep -aq "^cpus ${cpus%%,*}" "$log" && grep -aq '^sums 1' "$log" && [ "$status" = 0 ] &&
        ! grep -aqE 'stall|lockup|Call Trace' "$log"; then
        pass "$name"
    else
        fail "$name" "status $status, $(tail_of "$log")"
    fi
}

if ! tools/fetch-guest.sh "$BUILD/demo" > "$work/fetch.log" 2>&1; then
    skip "Debian on several vCPUs" "$(tail -n 1 "$work/fetch.log")"
    exit 0
fi
tools/mkinitramfs.sh "$BUILD/demo/busybox" "$work/smp.cpio" "$script" || {
    fail "Debian on several vCPUs" "no initramfs"
    exit 0
}
if [ $# -gt 0 ]; then
    boot "Debian, $1 vCPUs" "$1"
    exit 0
fi
boot "Debian, 2 vCPUs" 2
# what KVM's interfaces are used for, and that each can be switched off
used() {
    local n=$(grep -acE 'remote TLB flush|PV sched yield|PV spinlocks enabled|setup PV IPIs' "$2")
    [ "$n" = "$3" ] && pass "$1" || fail "$1" "$n in place of $3"
}
used "Debian uses paravirtual spin locks" "$work/smp-2.log" 1
boot "Debian, 3 vCPUs with all paravirtual interfaces" 3 -cpu max,+kvm-pv-tlb-flush,+kvm-pv-ipi,kvm-pv-sched-yield=on
used "Debian uses paravirtual interfaces" "$work/smp-3.log" 4
boot "Debian, 3 vCPUs without paravirtual interfaces between them" 3 -cpu max,-kvm-steal-time,-kvm_pv_eoi,kvm-pv-unhalt=off
used "Debian does without" "$work/smp-3.log" 0
boot "Debian, 4 vCPUs with threads through SeaBIOS" 4,threads=2 -bios bios-256k.bin
boot "Debian, 8 vCPUs, two sockets" 8,sockets=2
