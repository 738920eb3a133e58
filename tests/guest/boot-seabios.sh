#!/bin/bash
# boot-seabios.sh - Debian's SeaBIOS, without a disk, gets to its end
set -u
. "$(dirname "$0")/common.sh"

echo '# SeaBIOS says "No bootable device" on the debug console'
log=$work/seabios.log
"$TRANSOM" -m 128 -display none -debugcon "file:$log" < /dev/null > "$work/seabios.err" 2>&1 &
pid=$!
if wait_for 30 "$log" 'No bootable device' $pid; then
    pass "SeaBIOS without a disk"
else
    fail "SeaBIOS without a disk" "$(tail_of "$log") $(tail_of "$work/seabios.err")"
fi
end $pid
