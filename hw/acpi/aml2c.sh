#!/bin/sh
# aml2c.sh NAME FILE - the bytes of FILE as a C array NAME, on stdout
set -eu
echo "/* made from $(basename "$2"); do not edit */"
echo "static const unsigned char $1[] = {"
od -An -v -tx1 "$2" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
echo "};"
