#!/bin/bash
# rows.sh - every row of the instruction table is tested on all engines
#
# tests/insn writes which rows it has run (make check-insn); the others have to run in the
# bare-metal programs, on the translator and on the interpreter. With one instruction a block
# a row that -d insn_rows names is about to be executed. The programs' own checks judge what
# it did.
set -u
. "$(dirname "$0")/common.sh"

rows=$BUILD/tests/insn/rows
[ -s "$rows" ] || { skip "rows of the instruction table" "make check-insn has not run"; exit 0; }
[ -s "$BUILD/tests/guest/sys64.bin" ] || { skip "rows of the instruction table" "no bare-metal programs"; exit 0; }

# ran BACKEND: rows that the programs execute, as "row=N name=NAME"
ran() {
    local image log=$work/rows.log
    for image in real prot long sys32 sys64; do
        rm -f "$log"
        run_for 900 "$work/rows.out" -accel "tcg,one-insn-per-tb=on,backend=$1" -cpu max,+monitor,+clzero -m 64 \
            -display none -no-reboot -debugcon stdio -device isa-debug-exit,iobase=0x501 -d insn_rows -D "$log" \
            -bios "$BUILD/tests/guest/$image.bin"
        sed 's/ bits=.*//' "$log" | sort -u
    done
}

total=$(grep -vc ' absent$' "$rows")
absent=$(grep -c ' absent$' "$rows")
[ "$absent" = 0 ] || echo "# $absent rows more are of features that no CPU model offers on this host"
grep -vE ' (tested|absent)$' "$rows" | sort > "$work/rows.wanted"
for backend in interp host; do
    ran "$backend" | sort -u > "$work/rows.ran"
    comm -23 "$work/rows.wanted" "$work/rows.ran" > "$work/rows.missing"
    missing=$(wc -l < "$work/rows.missing")
    what="$((total - missing)) of $total rows of the instruction table tested ($backend): $(((total - missing) * 100 / total)) %"
    if [ "$missing" = 0 ]; then
        pass "$what, $(wc -l < "$work/rows.wanted") of them by bare-metal programs only"
    else
        fail "$what" "not run: $(tr '\n' ' ' < "$work/rows.missing")"
    fi
done
