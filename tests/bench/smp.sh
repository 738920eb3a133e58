#!/bin/bash
# smp.sh [RUNS] - what several vCPUs cost and bring on this host (make bench-smp)
#
# Two ratios, medians of RUNS alternating runs: a stock kernel's boot with 8 vCPUs over that with 2 (goal: at most
# 1.5), and the work of two busy vCPUs over that of one (goal: at least 1.8). The host has to be quiet.
set -eu

runs=${1:-5}
top=$(cd "$(dirname "$0")/../.." && pwd)
TRANSOM=${TRANSOM:-$top/transom} BUILD=${BUILD:-$top/build}
cd "$top"
work=$BUILD/bench-smp
mkdir -p "$work"
tools/fetch-guest.sh "$BUILD/demo" > "$work/fetch.log" 2>&1 || { tail -n 1 "$work/fetch.log"; exit 1; }
tools/mkinitramfs.sh "$BUILD/demo/busybox" "$work/boot.cpio" 'echo booted'
# each processor counts for the same time; the sum is the work
tools/mkinitramfs.sh "$BUILD/demo/busybox" "$work/busy.cpio" '
count() { end=$(($(cut -d. -f1 /proc/uptime) + 8)); n=0
          while [ $(cut -d. -f1 /proc/uptime) -lt $end ]; do md5sum /tmp/data > /dev/null; n=$((n + 1)); done; echo $n > /tmp/$1; }
dd if=/dev/zero of=/tmp/data bs=1M count=16 2> /dev/null
i=0; while [ $i -lt $(nproc) ]; do count $i & i=$((i + 1)); done; wait
sum=0; for f in /tmp/[0-9]*; do sum=$((sum + $(cat $f))); done; echo work $sum'

# guest INITRD VCPUS: its output
guest() {
    timeout 300 "$TRANSOM" -accel tcg -kernel "$BUILD/demo/vmlinuz" -initrd "$work/$1.cpio" -append 'console=ttyS0 quiet panic=-1' \
        -m 512 -display none -serial stdio -no-reboot -smp "$2" < /dev/null 2>&1
}

# seconds VCPUS: from the start to the power-off
seconds() {
    local from=$EPOCHREALTIME out
    out=$(guest boot "$1")
    case $out in *booted*) ;; *) echo "smp.sh: no boot with $1 vCPUs: ${out: -200}" >&2; exit 1 ;; esac
    echo "$EPOCHREALTIME $from" | awk '{ printf "%.3f\n", $1 - $2 }'
}

work_of() { guest busy "$1" | tr -d '\r' | sed -n 's/^work //p'; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for ((i = 0; i < runs; i++)); do
    seconds 2 >> "$work/boot2.$$"
    seconds 8 >> "$work/boot8.$$"
    work_of 1 >> "$work/one.$$"
    work_of 2 >> "$work/two.$$"
done
b2=$(median < "$work/boot2.$$") b8=$(median < "$work/boot8.$$") w1=$(median < "$work/one.$$") w2=$(median < "$work/two.$$")
rm -f "$work"/*.$$
echo "host: $(nproc) CPUs, load $(cut -d' ' -f1 /proc/loadavg)"
echo "$b2 $b8" | awk '{ printf "boot: 2 vCPUs %.2f s, 8 vCPUs %.2f s, ratio %.2f (goal: at most 1.5)\n", $1, $2, $2 / $1 }'
echo "$w1 $w2" | awk '{ printf "work: one busy vCPU %d, two %d, ratio %.2f (goal: at least 1.8)\n", $1, $2, $2 / $1 }'
