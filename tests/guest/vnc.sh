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
    by_python 1200 vnc
fi
