#!/bin/sh
# stress.sh KIND COUNT - the long runs of the block layer's tests, in rounds
#
# KIND: oracle (COUNT operations), kill (SIGKILLs), power (power-cut states), fault
# (failing operations), mutate (malformed images). Each round has its own seed; what
# rounds have passed stands in $BUILD/stress/KIND, so that a run that was ended goes
# on where it stopped. A failed round stops with its seed. Images lie in memory (TMPDIR).
set -u
kind=$1 want=$2
BUILD=${BUILD:-build}
N=${N:-20}
mkdir -p "$BUILD/stress"
tally=$BUILD/stress/$kind
touch "$tally"
[ -d /dev/shm ] && TMPDIR=${TMPDIR:-/dev/shm}
export TMPDIR

total() { awk '{ n += $3 } END { print n + 0 }' "$tally"; }
seed=$(awk '{ if ($1 > n) n = $1 } END { print n + 0 }' "$tally")
while [ "$(total)" -lt "$want" ]; do
    seed=$((seed + 1))
    rm -f "$tally.round"
    BLOCK_N=$N BLOCK_SEED=$seed BLOCK_TALLY=$tally.round \
        "$BUILD/tests/unit" --filter "block_$kind/*" -j1 --timeout 86400 > "$tally.log" 2>&1 ||
        { echo "FAIL $kind: BLOCK_SEED=$seed BLOCK_N=$N, see $tally.log"; exit 1; }
    cat "$tally.round" >> "$tally"
done
echo "ok $kind: $(total) $(awk 'NR == 1 { print $2 }' "$tally"), seeds 1 to $seed, $(git describe --always 2> /dev/null)"
