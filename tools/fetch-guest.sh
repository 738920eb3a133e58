#!/bin/bash
# fetch-guest.sh DIR [FLAVOUR] - a stock Debian kernel and busybox, unpacked in DIR
#
# FLAVOUR: amd64 (default) or cloud-amd64. Leaves DIR/vmlinuz and DIR/busybox.
# Packages are downloaded from the archives that apt knows, not installed, and
# never twice.
set -eu

dir=$1 flavour=${2:-amd64}
mkdir -p "$dir"
cd "$dir"

sudo=
if [ "$(id -u)" != 0 ] && command -v sudo > /dev/null; then
    sudo=sudo
fi

# download PACKAGE: PACKAGE_*.deb in the current directory
download() {
    ls "$1"_*.deb > /dev/null 2>&1 && return
    echo "Downloading $1"
    # the sandboxed download user may not be able to write here: apt then warns only
    apt-get download -q "$1" 2> download.log && return
    $sudo apt-get update -q > /dev/null 2>&1 || true
    apt-get download -q "$1" 2> download.log && return
    cat download.log >&2
    echo "fetch-guest: cannot download package $1 (no network?); missing: $dir/$2" >&2
    exit 1
}

# linux-image-FLAVOUR is an empty package that depends on the current kernel
kernel_package() {
    apt-cache depends "linux-image-$flavour" 2> /dev/null |
        sed -n "s/^ *Depends: \(linux-image-[0-9].*-$flavour\)\$/\1/p" | tail -n 1
}

if [ ! -e vmlinuz ]; then
    deb=$(ls linux-image-[0-9]*.deb 2> /dev/null | head -n 1)
    if [ -z "$deb" ]; then
        name=$(kernel_package)
        if [ -z "$name" ]; then
            $sudo apt-get update -q > /dev/null 2>&1 || true
            name=$(kernel_package)
        fi
        if [ -z "$name" ]; then
            echo "fetch-guest: apt knows no linux-image-$flavour (no network?); missing: $dir/vmlinuz" >&2
            exit 1
        fi
        download "$name" vmlinuz
        deb=$(ls "$name"_*.deb)
    fi
    # only the kernel itself: its modules are some 400 MB
    dpkg-deb --fsys-tarfile "$deb" | tar -x --wildcards './boot/vmlinuz-*'
    mv boot/vmlinuz-* vmlinuz
    rmdir boot
fi

if [ ! -e busybox ]; then
    download busybox-static busybox
    dpkg-deb --fsys-tarfile "$(ls busybox-static_*.deb | head -n 1)" | tar -x ./bin/busybox
    mv bin/busybox busybox
    rmdir bin
fi
