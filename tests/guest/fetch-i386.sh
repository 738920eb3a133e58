#!/bin/bash
# fetch-i386.sh DIR - Debian's i386 kernel (686-pae) and busybox, unpacked in DIR
#
# As tools/fetch-guest.sh, for the other architecture. The package lists are kept
# in DIR, so that the system's own set of architectures stays as it is.
set -eu

mkdir -p "$1"
cd "$1"
[ -e vmlinuz ] && [ -e busybox ] && exit 0

apt_i386() {
    local command=$1
    shift
    "$command" -q -o APT::Architecture=i386 -o APT::Architectures=i386 -o Dir::State::Lists="$PWD/lists" \
        -o Dir::Cache="$PWD/cache" -o APT::Sandbox::User=root "$@"
}

# the lists are fetched at most once, and only when something is missing
update() {
    [ -e updated ] || apt_i386 apt-get update > update.log 2>&1 && touch updated || true
}

# unpack PACKAGE PATTERN FILE
unpack() {
    ls "$1"_*.deb > /dev/null 2>&1 || { update; apt_i386 apt-get download "$1" > download.log 2>&1; } || {
        echo "fetch-i386: cannot download package $1 (no network?); missing: $PWD/$3"
        exit 1
    }
    dpkg-deb --fsys-tarfile "$(ls "$1"_*.deb | head -n 1)" | tar -x --wildcards "$2"
    # shellcheck disable=SC2086
    mv $2 "$3"
}

rm -f updated
mkdir -p lists/partial cache/archives/partial
kernel=$(ls linux-image-[0-9]*-686-pae_*.deb 2> /dev/null | head -n 1)
kernel=${kernel%%_*}
if [ -z "$kernel" ]; then
    update
    kernel=$(apt_i386 apt-cache depends linux-image-686-pae 2> /dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*-686-pae\)\(:i386\)\?$/\1/p' | tail -n 1)
fi
if [ -z "$kernel" ]; then
    echo "fetch-i386: apt finds no linux-image-686-pae for i386 (no network?); missing: $PWD/vmlinuz"
    exit 1
fi
[ -e vmlinuz ] || unpack "$kernel" './boot/vmlinuz-*' vmlinuz
[ -e busybox ] || unpack busybox-static ./bin/busybox busybox
rmdir boot bin 2> /dev/null || true
rm -rf lists cache updated
