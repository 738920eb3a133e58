#!/bin/bash
# boot-seabios.sh - Debian's SeaBIOS, without a disk, gets to its end
set -u
. "$(dirname "$0")/common.sh"

# nothing_to_boot NAME ARG...
nothing_to_boot() {
    local name=$1 log=$work/seabios.log pid
    shift
    echo "# $name: says \"No bootable device\" on the debug console"
    rm -f "$log"
    "$TRANSOM" -m 128 -display none -debugcon "file:$log" "$@" < /dev/null > "$work/seabios.err" 2>&1 &
    pid=$!
    if wait_for 180 "$log" 'No bootable device' $pid; then
        pass "$name"
    else
        fail "$name" "$(tail_of "$log") $(tail_of "$work/seabios.err")"
    fi
    end $pid
}

nothing_to_boot "SeaBIOS without a disk"
nothing_to_boot "SeaBIOS without a disk, q35" -machine q35
