#!/bin/bash
# disk-boot.sh - a Debian installed on disk boots from each controller, raw and
# qcow2, to a login, with a clean file system, and powers off; an ISO boots, and so
# does the Debian installer (netboot) from one
#
# Wants root (debootstrap) and the packages debootstrap, grub-common,
# grub-pc-bin, xorriso, mtools, e2fsprogs, fdisk; skipped without. The installer is
# that of debian-installer-12-netboot-amd64. The image is
# made once, in $BUILD/demo/disk.
# DISK_BUS: which of ide ahci q35 virtio nvme; DISK_FORMATS: raw qcow2
set -u
. "$(dirname "$0")/common.sh"

img=$BUILD/demo/disk
buses=${DISK_BUS:-ide ahci q35 virtio nvme}
formats=${DISK_FORMATS:-raw qcow2}
grub=/usr/lib/grub/i386-pc

need() {
    for c in debootstrap grub-mkimage grub-mkrescue xorriso mformat mke2fs sfdisk python3; do
        PATH=$PATH:/sbin:/usr/sbin command -v $c > /dev/null || { echo "skip disk-boot: no $c"; exit 0; }
    done
    [ -f $grub/boot.img ] || { echo "skip disk-boot: no grub-pc-bin"; exit 0; }
    [ "$(id -u)" = 0 ] || [ -f "$img/disk.raw" ] || { echo "skip disk-boot: not root"; exit 0; }
}

installer=/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
make_installer_iso() {
    rm -rf "$img/iso"
    mkdir -p "$img/iso/boot/grub"
    cp $installer/linux $installer/initrd.gz "$img/iso/boot/"
    printf 'linux /boot/linux console=ttyS0 priority=critical\ninitrd /boot/initrd.gz\nboot\n' > "$img/iso/boot/grub/grub.cfg"
    grub-mkrescue -o "$img/installer.iso" "$img/iso" > "$img/mkrescue.log" 2>&1
}

boot_installer() {
    [ -f $installer/linux ] || { echo "skip disk-boot installer: no debian-installer-12-netboot-amd64"; return; }
    make_installer_iso || { echo "FAIL disk-boot installer: grub-mkrescue"; return; }
    local log=$work/installer.log
    timeout 240 "$TRANSOM" -m 1024 -nographic -no-reboot -nic none -cdrom "$img/installer.iso" < /dev/null > "$log" 2>&1 &
    local pid=$!
    if wait_for 240 "$log" 'Select a language|Choose.*language' $pid; then echo "ok disk-boot installer"
    else echo "FAIL disk-boot installer: see $log"; fi
    end $pid
    rm -f "$img/installer.iso"
}

make_iso() {
    rm -rf "$img/iso"
    mkdir -p "$img/iso/boot/grub"
    printf 'serial --unit=0\nterminal_output serial\necho ISO-BOOTED\nhalt\n' > "$img/iso/boot/grub/grub.cfg"
    grub-mkrescue -o "$img/cd.iso" "$img/iso" > "$img/mkrescue.log" 2>&1
}

# the arguments that put image $2 of format $3 on bus $1
disk_args() {
    case $1 in
    ide) echo "-drive file=$2,format=$3,if=ide" ;;
    q35) echo "-machine q35 -drive file=$2,format=$3" ;;
    virtio) echo "-drive file=$2,format=$3,if=virtio" ;;
    ahci) echo "-device ahci,id=sata -drive file=$2,format=$3,if=none,id=d -device ide-hd,drive=d,bus=sata.0" ;;
    nvme) echo "-drive file=$2,format=$3,if=none,id=d -device nvme,drive=d,serial=n1" ;;
    esac
}

# boots, logs in, writes a file, powers off; the guest's console is in $log
boot() {
    local log=$1 fifo=$img/in sent= i
    shift
    rm -f "$fifo"
    mkfifo "$fifo"
    exec 3<> "$fifo"
    timeout 240 "$TRANSOM" -m 512 -nographic -no-reboot "$@" < "$fifo" > "$log" 2>&1 &
    local pid=$!
    for ((i = 0; i < 240; i++)); do
        sleep 1
        kill -0 $pid 2> /dev/null || break
        if [ -z "$sent" ] && grep -aq 'login:' "$log"; then
            sent=1
            printf 'root\n' >&3
            sleep 3
            printf 'systemctl is-failed systemd-fsck-root; echo FSCK-$?; date > /root/stamp; sync; poweroff\n' >&3
        fi
    done
    wait $pid
    local code=$?
    exec 3>&-
    return $code
}

one() {
    local bus=$1 fmt=$2 file=$img/run.$2 log=$work/disk-$1-$2.log part=$img/part
    if [ "$fmt" = qcow2 ]; then
        "$(dirname "$TRANSOM")/transom-img" convert -O qcow2 "$img/disk.raw" "$file" > "$log" 2>&1 ||
            { echo "FAIL disk-boot $bus $fmt: transom-img convert"; return; }
    else
        cp --sparse=always "$img/disk.raw" "$file"
    fi
    # shellcheck disable=SC2046
    boot "$log" $(disk_args "$bus" "$file" "$fmt")
    local code=$?
    if [ $code != 0 ]; then echo "FAIL disk-boot $bus $fmt: exit $code, see $log"; return; fi
    grep -aq 'reboot: Power down' "$log" || { echo "FAIL disk-boot $bus $fmt: no power-off, see $log"; return; }
    grep -aq 'FSCK-1' "$log" || { echo "FAIL disk-boot $bus $fmt: fsck in the guest, see $log"; return; }
    if grep -aqE 'I/O error|EXT4-fs error|timeout, aborting|failed command' "$log"; then
        echo "FAIL disk-boot $bus $fmt: disk errors, see $log"; return
    fi
    if [ "$fmt" = qcow2 ]; then
        "$(dirname "$TRANSOM")/transom-img" check "$file" > /dev/null 2>&1 ||
            { echo "FAIL disk-boot $bus $fmt: transom-img check"; return; }
        "$(dirname "$TRANSOM")/transom-img" convert -O raw "$file" "$img/run.raw" > /dev/null 2>&1
        file=$img/run.raw
    fi
    dd if="$file" of="$part" bs=1M skip=1 conv=sparse status=none
    e2fsck -fn "$part" > "$work/fsck.log" 2>&1 || { echo "FAIL disk-boot $bus $fmt: fsck, see $work/fsck.log"; return; }
    rm -f "$part" "$img/run.raw" "$img/run.qcow2"
    echo "ok disk-boot $bus $fmt"
}

PATH=$PATH:/sbin:/usr/sbin
need
mkdir -p "$img"
tools/debian-disk.sh "$img" || { echo "FAIL disk-boot: the image could not be made, see $img"; exit 0; }
for bus in $buses; do
    for fmt in $formats; do one "$bus" "$fmt"; done
done
make_iso || { echo "FAIL disk-boot: grub-mkrescue"; exit 0; }
timeout 60 "$TRANSOM" -m 128 -nographic -no-reboot -cdrom "$img/cd.iso" < /dev/null > "$work/iso.log" 2>&1
if grep -aq 'ISO-BOOTED' "$work/iso.log"; then echo "ok disk-boot iso"
else echo "FAIL disk-boot iso: see $work/iso.log"; fi
boot_installer
