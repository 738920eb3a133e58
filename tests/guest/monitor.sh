#!/bin/bash
# monitor.sh - people and programs at the monitors (qmp.py), and character devices from the command line
. "$(dirname "$0")/common.sh"

dir=$work/monitor
rm -rf "$dir"
mkdir -p "$dir"

if command -v python3 > /dev/null; then
    by_python 1500 qmp
    by_python 1200 snapshots
else
    skip qmp "no python3"
fi
