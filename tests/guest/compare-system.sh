#!/bin/bash
# compare-system.sh [-e "ENGINE..."] [IMAGE]... - the bare-metal programs on several emulators
#
# Engines: transom, interp (its interpreter), transom-kvm, qemu ($QEMU, TCG), kvm (QEMU on /dev/kvm),
# bochs. Default: those installed, kvm only when asked for. The same image runs everywhere.
# The manuals decide, not the others: what QEMU or Bochs does otherwise stands in
# qemu-wrong.txt, bochs-wrong.txt and kvm-wrong.txt with the reason. For each image and engine one line:
#
#   ok IMAGE under ENGINE: N equal, N known differences
#   FAIL IMAGE under ENGINE: what differs and stands in no list, or that it ended early
#
# SHOW=1 prints the known differences as well; LIMIT=SECONDS bounds each run. Exit status 1 after a FAIL.
set -u
. "$(dirname "$0")/common.sh"

images="real prot long sys32 sys64 xfer32 xfer64"
qemu=${QEMU:-qemu-system-x86_64}
bochs=${BOCHS:-bochs}
engines="transom interp qemu bochs"
[ "${1:-}" = -e ] && { engines=$2; shift 2; }
[ $# -gt 0 ] && images=$*
out=$work/compare
limit=${LIMIT:-600}
mkdir -p "$out"
exit_status=0

# on_qemu ACCEL IMAGE LOG
on_qemu() {
    timeout -k 5 "$limit" "$qemu" -accel "$1" -cpu "$([ "$1" = kvm ] && echo host || echo max)" -m 64 -display none \
        -no-reboot -nodefaults -global isa-debugcon.iobase=0x402 -debugcon stdio \
        -device isa-debug-exit,iobase=0x501 -bios "$2" -drive "file=$2,format=raw,if=ide,snapshot=on" > "$3" 2> "$3.err" < /dev/null
}

# on_bochs IMAGE LOG: its debugger, where it is built in, wants a "c" to begin
on_bochs() {
    cat > "$out/bochsrc" << EOF
config_interface: textconfig
display_library: rfb, options="timeout=0"
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, sb16=0, es1370=0, gameport=0, parallel=0
megs: 64
romimage: file=$1, address=0xfffe0000
cpu: model=${BOCHS_CPU:-corei7_skylake_x}, count=1, ips=50000000, reset_on_triple_fault=0
clock: sync=none
port_e9_hack: enabled=1
log: $out/bochs.log
panic: action=fatal
error: action=report
boot: floppy
EOF
    echo c | timeout -k 5 "$limit" "$bochs" -q -f "$out/bochsrc" 2> "$2.err" | sed 's/^<bochs:1> //' > "$2"
}

run_engine() {
    local image=$BUILD/tests/guest/$2.bin
    case $1 in
    transom) run_for "$limit" "$3" -cpu max -m 64 -display none -no-reboot -debugcon stdio \
        -device isa-debug-exit,iobase=0x501 -bios "$image" -drive "file=$image,format=raw,if=ide,snapshot=on" ;;
    interp) run_for "$limit" "$3" -accel tcg,backend=interp -cpu max -m 64 -display none -no-reboot -debugcon stdio \
        -device isa-debug-exit,iobase=0x501 -bios "$image" -drive "file=$image,format=raw,if=ide,snapshot=on" ;;
    transom-kvm) run_for "$limit" "$3" -accel kvm${CHIPS:+,kernel-irqchip=$CHIPS} -cpu max -m 64 -display none -no-reboot -debugcon stdio \
        -device isa-debug-exit,iobase=0x501 -bios "$image" -drive "file=$image,format=raw,if=ide,snapshot=on" ;;
    qemu) on_qemu tcg "$image" "$3" ;;
    kvm) on_qemu kvm "$image" "$3" ;;
    bochs) on_bochs "$image" "$3" ;;
    esac
    tr -d '\r' < "$3" | grep -aE '^(ok|FAIL|skip|unexpected) |passed, ' > "$3.lines"
}

# why_not ENGINE: prints why it can not run here
why_not() {
    case $1 in
    qemu | kvm) command -v "$qemu" > /dev/null || { echo "no $qemu"; return; } ;;
    bochs) command -v "$bochs" > /dev/null || echo "no $bochs" ;;
    esac
    [ "${1#transom-}" != kvm ] || [ -w /dev/kvm ] || echo "no /dev/kvm"
}

# not_seen ENGINE IMAGE LINES LIST: differences listed for a KVM without hardware that it does not show; those of
# interrupts that come late are left out, which depend on the moment
not_seen() {
    [ "$1" = transom-kvm ] && (unset TRANSOM_KVM_PROBE; "$TRANSOM" -accel help | grep -q 'no hardware behind it') || return
    grep "^$2: " "$4" | grep -v ' - interrupts are looked for' | sed "s/^$2: //; s/ - .*//" | while read -r name; do
        [ "$name" = "ended early" ] || grep -aqF "FAIL $name got " "$3" || echo "$name"
    done
}

# judge ENGINE IMAGE LINES
judge() {
    local list="$here/${1#transom-}-wrong.txt" known=0 unknown= name line
    while read -r line; do
        name=${line#FAIL }
        name=${name%% got *}
        if grep -qsF "$2: $name - " "$list"; then
            known=$((known + 1))
            [ -z "${SHOW:-}" ] || echo "# $1: $(grep -F "$2: $name - " "$list" | head -n 1)"
        else
            unknown="$unknown
    ${line#FAIL }"
        fi
    done < <(grep -a '^FAIL ' "$3")
    if ! grep -aq 'passed, ' "$3" && grep -qsF "$2: ended early - " "$list"; then
        known=$((known + 1))
    elif ! grep -aq 'passed, ' "$3"; then
        fail "$2 under $1" "ended early, after: $(tail -n 1 "$3")$unknown"
        exit_status=1
        return
    fi
    stale=$(not_seen "$1" "$2" "$3" "$list")
    if [ -n "$unknown" ]; then
        fail "$2 under $1" "in no list:$unknown"
    elif [ -n "$stale" ]; then
        fail "$2 under $1" "listed, but no longer so: $stale"
    else
        pass "$2 under $1: $(grep -ac '^ok ' "$3") equal, $known known differences"
        return
    fi
    exit_status=1
}

make -s -C tests/guest BUILD="$BUILD" X86_CC="${X86_CC:-gcc}" > "$out/make.log" 2>&1 || {
    fail "bare-metal programs" "$(tail_of "$out/make.log")"
    exit 1
}
for engine in $engines; do
    why=$(why_not "$engine")
    [ -z "$why" ] || { skip "bare-metal programs under $engine" "$why"; continue; }
    for image in $images; do
        run_engine "$engine" "$image" "$out/$image-$engine"
        judge "$engine" "$image" "$out/$image-$engine.lines"
    done
done
exit $exit_status
