#!/bin/bash
# install-deps.sh [build|check|cross|demo|disk|net|bench|bench-disk|bench-net]... - the Debian packages that we need
#
# Installs what is missing with apt-get (through sudo when not root) and says
# so; what is there already is left alone. Without a network, or without the
# right to install, it names the missing packages and fails.
set -eu

build="gcc libc6-dev make pkg-config libcapstone-dev libsdl2-dev zlib1g-dev libslirp-dev liburing-dev libzstd-dev libcriterion-dev
       libpng-dev libvncserver-dev libjansson-dev libdw-dev
       acpica-tools binutils seabios"
check="gdb busybox-static cpio tshark ipxe-qemu qemu-utils util-linux grub-common grub-pc-bin xorriso mtools python3
       xserver-xorg-core xserver-xorg-video-fbdev x11-xkb-utils xkb-data xfonts-base twm xterm x11-apps
       xvfb xdotool tigervnc-viewer tigervnc-tools"
cross="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static"
demo="busybox-static cpio"
disk="debootstrap grub-common grub-pc-bin xorriso mtools e2fsprogs fdisk python3 ovmf
      debian-installer-12-netboot-amd64"

bench="python3 gcc perl zstd xz-utils gzip openssl sqlite3 git busybox-static cpio coreutils
       debootstrap grub-common grub-pc-bin xorriso mtools e2fsprogs fdisk"
net="ethtool iproute2 qemu-system-common"
bench_disk="fio qemu-system-x86"
bench_net="iperf3 iproute2 util-linux qemu-system-x86"

wanted=
for set in "${@:-build}"; do
    case $set in
    build) wanted="$wanted $build" ;;
    check) wanted="$wanted $check" ;;
    cross) wanted="$wanted $cross" ;;
    demo) wanted="$wanted $demo" ;;
    disk) wanted="$wanted $disk" ;;
    net) wanted="$wanted $net" ;;
    bench) wanted="$wanted $bench" ;;
    bench-disk) wanted="$wanted $bench_disk" ;;
    bench-net) wanted="$wanted $bench_net" ;;
    *) echo "install-deps: no such set '$set' (build, check, cross, demo, disk, net, bench, bench-disk, bench-net)" >&2; exit 1 ;;
    esac
done

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null)" = installed ]
}

missing=
for p in $wanted; do
    is_installed "$p" && continue
    case " $missing " in
    *" $p "*) ;;
    *) missing="$missing $p" ;;
    esac
done
[ -n "$missing" ] || exit 0

fail() {
    echo "install-deps: $1; missing packages:$missing" >&2
    exit 1
}

command -v apt-get > /dev/null || fail "this is no Debian system (no apt-get)"
sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo > /dev/null || fail "not root and no sudo"
    sudo=sudo
fi

echo "Installing with apt-get:$missing"
install() {
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
}
# package lists may be old or absent: try without fetching them first
install || { $sudo apt-get update -q && install; } || fail "apt-get could not install (no network?)"
