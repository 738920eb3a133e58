#!/bin/sh
# mkrom.sh IN OUT - finish an option ROM: pad to 512 bytes, set its length byte,
# and make the PnP header (at 0x20) and the whole image sum to 0 mod 256
set -eu
in=$1 out=$2
size=$(wc -c < "$in")
blocks=$(( (size + 1 + 511) / 512 ))    # + 1: room for the checksum at the end

byte_at() { # FILE OFFSET VALUE
    printf "$(printf '\\%03o' "$3")" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
negated_sum() { # FILE OFFSET LENGTH
    od -An -v -tu1 -j "$2" -N "$3" "$1" |
        awk '{ for (i = 1; i <= NF; i++) s += $i } END { print (256 - s % 256) % 256 }'
}

cp "$in" "$out.tmp"
dd if=/dev/zero of="$out.tmp" bs=1 seek=$(( blocks * 512 - 1 )) count=1 conv=notrunc 2>/dev/null
byte_at "$out.tmp" 2 "$blocks"
byte_at "$out.tmp" 41 "$(negated_sum "$out.tmp" 32 32)"
byte_at "$out.tmp" $(( blocks * 512 - 1 )) "$(negated_sum "$out.tmp" 0 $(( blocks * 512 )))"
mv "$out.tmp" "$out"
