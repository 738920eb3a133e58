#!/bin/bash
# vnc.sh - the VNC server and a client of our own (vnc.py); a person at a viewer: viewers.sh
. "$(dirname "$0")/common.sh"

dir=$work/vnc
rm -rf "$dir"
mkdir -p "$dir"

if ! "$TRANSOM" -display help | grep -q '^vnc'; then
    skip vnc "LibVNCServer is not built in"
elif ! command -v python3 > /dev/null; then
    skip vnc "no python3"
else
    # a socket's path is short: the directory is entered
    (cd "$dir" && PYTHONDONTWRITEBYTECODE=1 timeout -k 5 300 python3 "$here/vnc.py" "$TRANSOM" .) 2> "$dir/log"
    [ $? -le 1 ] || fail vnc "$(tail_of "$dir/log")"
fi
