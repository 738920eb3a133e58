#!/bin/bash
# profile.sh - -accel tcg,profile=on counts a known loop; info profile; what perf is told
set -u
. "$(dirname "$0")/common.sh"

rounds=300000
rom=$work/profile.rom
out=$work/profile.txt
log=$work/profile.log

# bytes OFFSET HEX...: into the ROM
bytes() {
    local at=$1
    shift
    # shellcheck disable=SC2059
    printf "$(printf '\\x%s' "$@")" | dd of="$rom" bs=1 seek="$at" conv=notrunc status=none
}

# f000:0000  mov ecx, ROUNDS; 6: add eax, 3; dec ecx; jnz 6; mov dx, 0x501; mov al, 16; out dx, al; hlt
make_rom() {
    local hex
    printf -v hex '%08x' $rounds
    head -c 65536 /dev/zero > "$rom"
    bytes 0 66 b9 "${hex:6:2}" "${hex:4:2}" "${hex:2:2}" "${hex:0:2}" 66 83 c0 03 66 49 75 f8 \
        ba 01 05 b0 10 ee f4
    bytes $((0xfff0)) ea 00 00 00 f0
}

# run_rom ARG...
run_rom() {
    run_for 300 "$log" -bios "$rom" -m 16 -display none -device isa-debug-exit,iobase=0x501 "$@"
}

# expect NAME FILE PATTERN
expect() {
    if grep -aqE "$3" "$2"; then
        pass "$1"
    else
        fail "$1" "no line like '$3'; status $status, $(tail_of "$log")"
    fi
}

make_rom
for backend in host interp; do
    echo "# a loop of $rounds rounds, backend=$backend"
    rm -f "$out"
    run_rom -accel "tcg,profile=on,profile-file=$out,profile-disas=1,backend=$backend"
    [ "$status" = 33 ] || fail "profile $backend" "the loop ended with status $status: $(tail_of "$log")"
    expect "profile $backend: runs of the loop" "$out" "0x0+f0006 16 real +$((rounds - 1)) +3 +8 "
    expect "profile $backend: instructions" "$out" "$((rounds + 2)) runs, $((rounds * 3 + 6)) instructions"
    expect "profile $backend: helper by name" "$out" '^  h_out +1 '
    expect "profile $backend: code of the hottest" "$out" 'add +eax, 3|built without Capstone'
done

echo "# the monitor, while it runs"
printf 'profile-restart\ninfo profile 3 1\ninfo jit\nquit\n' | timeout -k 5 300 "$TRANSOM" -accel "tcg,profile=on,profile-file=$out" \
    -m 16 -display none -S -monitor stdio > "$log" 2>&1
expect "info profile" "$log" 'where the time went'
printf 'info profile\nquit\n' | timeout -k 5 300 "$TRANSOM" -m 16 -display none -S -monitor stdio > "$log" 2>&1
expect "info profile without the option" "$log" 'nothing is counted'

echo "# perf"
if ! command -v perf > /dev/null; then
    skip "perf" "no perf (Debian package linux-perf)"
elif ! (cd "$work" && perf record -q -o probe.data true) > /dev/null 2>&1; then
    skip "perf" "perf record is not allowed here"
else
    cd "$work" || exit 1
    rounds=200000000
    make_rom
    for how in jitdump perf-map; do
        rm -f jit-*.dump jitted-*.so perf.data perf2.data
        perf record -q -k 1 -o perf.data "$TRANSOM" -accel "tcg,$how=on" -bios "$rom" -m 16 -display none \
            -device isa-debug-exit,iobase=0x501 > "$log" 2>&1 < /dev/null
        status=$?
        if [ $how = jitdump ]; then
            perf inject -j -i perf.data -o perf2.data > /dev/null 2>&1
        else
            cp perf.data perf2.data
        fi
        perf report -i perf2.data --stdio > perf.txt 2> /dev/null
        expect "perf names the loop, $how" perf.txt 'guest:f0006.16-real'
        rm -f jit-*.dump jitted-*.so
    done
fi
