#!/bin/bash
# monitor.sh - people and programs at the monitors (qmp.py), and character devices from the command line
. "$(dirname "$0")/common.sh"

dir=$work/monitor
rm -rf "$dir"
mkdir -p "$dir"

if command -v python3 > /dev/null; then
    # a socket's path is short: the directory is entered
    (cd "$dir" && PYTHONDONTWRITEBYTECODE=1 timeout -k 5 500 python3 "$here/qmp.py" "$TRANSOM" .) 2> "$dir/log"
    [ $? -le 1 ] || fail "qmp" "$(tail_of "$dir/log")"
else
    skip qmp "no python3"
fi
