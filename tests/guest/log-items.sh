#!/bin/bash
# log-items.sh - every item of -d prints what its name says; files by thread; wrong items; forms of -icount
set -u
. "$(dirname "$0")/common.sh"

prot=$BUILD/tests/guest/prot.bin
[ -f "$prot" ] || { skip "log items" "no $prot: bare.sh makes it"; exit 0; }
log=$work/log-items.log

# guest SECONDS OPTION...: the first 40,000 instructions of prot.bin
guest() {
    run_for 300 "$work/log-items.err" -m 64 -display none -no-reboot -nodefaults -debugcon null -bios "$prot" \
        -device isa-debug-exit,iobase=0x501 -icount shift=1,sleep=off,stop=40000 "$@"
}

# item NAME PATTERN [OPTION]...: -d NAME writes such a line
item() {
    local name=$1 pattern=$2
    shift 2
    guest -d "$name" -D "$log" "$@"
    if grep -aqE -- "$pattern" "$log"; then pass "-d $name"
    else fail "-d $name" "no '$pattern' in $(wc -l < "$log") lines: $(tail_of "$work/log-items.err")"; fi
}

echo "# translation and execution"
item in_asm '^0x[0-9a-f]+:  ([0-9a-f]{2} )+ +[a-z]'
item op '^OP: pc=0x'
item op_ind '^OP: pc=0x'
item op_opt '^OP after optimization: pc=0x'
[ "$(uname -m)" = x86_64 ] && item out_asm '^OUT: \[size=[0-9]+\]'
item exec '^Trace 0: 0x[0-9a-f]+ \[[0-9a-f]{16}/[0-9a-f]{16}/[0-9a-f]{8}/[0-9a-f]{8}\]'
item exec,nochain '^Trace 0: '
item cpu '^EAX=[0-9a-f]{8} EBX='
item cpu,fpu '^FPR0='
item cpu,vpu '^XMM0*0='
echo "# the CPU's events"
item int 'v=[0-9a-f]{2} e=[0-9a-f]{4} i=[01] cpl=[0-3] IP='
item int '^check_exception old: 0x[0-9a-f]+ new 0x'
item mmu '^mmu: '
item pcall '^ljmp '
item cpu_reset '^CPU Reset \(CPU 0\)'
item page 'region=ram-low'

# device NAME PATTERN: SeaBIOS sets it up
device() {
    run_for 300 "$work/log-items.err" -m 64 -display none -no-reboot -serial null -icount shift=1,sleep=off,stop=30000000 \
        -d "$1" -D "$log"
    if grep -aqE -- "$2" "$log"; then pass "-d $1"; else fail "-d $1" "no '$2': $(tail_of "$work/log-items.err")"; fi
}
echo "# devices"
device pit '^control counter=0 rw=3 mode=2'
device pic '^write chip=[01] a0=[01] val=0x'
device rtc '^write reg=0x'
device kbd '^controller command=0x'
device pci '^config read address=0x80000000 reg=0 size=2 val=0x8086'
device fw_cfg '^fw_cfg select key=0'
device dma '^write chip=[01] reg='

echo "# a file for each thread, or for the process"
rm -f "$work"/log-tid.*
guest -d int,tid -D "$work/log-tid.%d"
if [ "$(grep -al 'v=' "$work"/log-tid.* | wc -l)" = 1 ]; then pass "-d tid"; else fail "-d tid" "$(ls "$work"/log-tid.*)"; fi
rm -f "$work"/log-pid.*
guest -d int -D "$work/log-pid.%d"
if [ "$(ls "$work"/log-pid.* | wc -l)" = 1 ]; then pass "-D FILE%d"; else fail "-D FILE%d" "$(ls "$work"/log-pid.*)"; fi
echo "# a range of addresses"
guest -d in_asm -dfilter 0xf0000+0x10000 -D "$log"
if grep -aq '^0x000f' "$log" && ! grep -aqE '^0x0000' "$log"; then pass "-dfilter"; else fail "-dfilter" "$(head -3 "$log")"; fi

# refused NAME OPTION...: one line, status 1
refused() {
    local name=$1
    shift
    guest "$@"
    if [ "$status" = 1 ] && [ "$(wc -l < "$work/log-items.err")" = 1 ]; then pass "$name"
    else fail "$name" "status $status: $(tail_of "$work/log-items.err")"; fi
}
refused "-d: unknown item" -d in_asm,nosuch
refused "-D: unknown conversion" -d int -D "$work/%s"
refused "-dfilter: no range" -d int -dfilter 5
refused "-trace: unknown event" -trace exec,nosuch
refused "-verify: unknown engine" -verify bochs
refused "-symbols: no such file" -symbols "$work/nosuch"

echo "# forms of -icount: each gets there"
for how in shift=auto 3 shift=0,align=on shift=1,sleep=off shift=4,sleep=on; do
    # the firmware's reset loop alone: a few million instructions are enough for shift=auto to adapt
    run_for 300 "$work/log-items.err" -m 64 -display none -no-reboot -nodefaults -debugcon null -bios "$prot" \
        -device isa-debug-exit,iobase=0x501 -icount "$how,stop=2000000"
    # in the host's time the program is at its end before, with 33
    if [ "$status" = 0 ] || [ "$status" = 33 ]; then pass "-icount $how"; else fail "-icount $how" "status $status: $(tail_of "$work/log-items.err")"; fi
done
