#!/bin/bash
# boot-idle.sh - a guest that halts costs the host next to nothing
#
# Loosely: within minutes it comes to rest, that is to less than half of a CPU over 4 seconds. What it
# really costs shows in make bench.
set -u
. "$(dirname "$0")/common.sh"

# ticks PID: user and system time so far, in clock ticks
ticks() {
    local stat
    stat=$(cat "/proc/$1/stat") || return 1
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    echo $((${12} + ${13}))
}

# idle NAME LOG PATTERN ARG...: CPU time after PATTERN came on LOG
idle() {
    local name=$1 log=$2 pattern=$3 pid before after used hz deadline
    shift 3
    echo "# $name: less than half of a CPU while it halts"
    rm -f "$log"
    "$TRANSOM" "$@" < /dev/null > "$work/idle.err" 2>&1 &
    pid=$!
    if ! wait_for 600 "$log" "$pattern" $pid; then
        fail "$name" "does not get there: $(tail_of "$log") $(tail_of "$work/idle.err")"
        end $pid
        return
    fi
    hz=$(getconf CLK_TCK) deadline=$((SECONDS + 120))
    after=$(ticks $pid)
    until
        before=$after
        sleep 4
        after=$(ticks $pid)
        used=$((after - before))
        [ -n "$after" ] && [ $used -lt $((4 * hz / 2)) ]
    do
        [ $SECONDS -le $deadline ] && kill -0 $pid 2> /dev/null || break
    done
    if [ -n "$after" ] && [ $used -lt $((4 * hz / 2)) ]; then
        pass "$name"
    else
        fail "$name" "$used of $((4 * hz)) ticks"
    fi
    end $pid
}

log=$work/idle.log
idle "idle SeaBIOS" "$log" 'No bootable device' -m 64 -display none -debugcon "file:$log"
if [ -e "$BUILD/demo/vmlinuz" ] && [ -e "$BUILD/demo/busybox" ]; then
    tools/mkinitramfs.sh "$BUILD/demo/busybox" "$work/idle.cpio" 'echo sleeping; sleep 1000'
    idle "idle Linux" "$log" '^sleeping' -kernel "$BUILD/demo/vmlinuz" -initrd "$work/idle.cpio" \
        -append console=ttyS0 -m 512 -display none -serial "file:$log"
else
    skip "idle Linux" "no kernel in $BUILD/demo"
fi
