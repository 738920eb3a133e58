#!/bin/bash
# debian-disk.sh DIR - a small Debian installed on a disk: DIR/disk.raw
#
# GRUB, an ext4 root file system, systemd, a login on the serial console, root without a
# password. Made once. Wants root (debootstrap) and the packages debootstrap, grub-common,
# grub-pc-bin, e2fsprogs, fdisk, python3; MIRROR names another archive.
set -u

img=$1
grub=/usr/lib/grub/i386-pc
mib=1500
PATH=$PATH:/sbin:/usr/sbin

fail() {
    echo "debian-disk: $1" >&2
    exit 1
}

make_root() {
    local root=$img/root
    rm -rf "$root"
    debootstrap --variant=minbase \
        --include=systemd-sysv,udev,e2fsprogs,linux-image-amd64,initramfs-tools,zstd \
        bookworm "$root" "${MIRROR:-http://deb.debian.org/debian}" > "$img/debootstrap.log" 2>&1 || return 1
    echo disk > "$root/etc/hostname"
    sed -i 's/^root:[^:]*:/root::/' "$root/etc/shadow"
    echo 'LABEL=root / ext4 errors=remount-ro 0 1' > "$root/etc/fstab"
    mkdir -p "$root/boot/grub"
    ln -sf "$(basename "$root"/boot/vmlinuz-*)" "$root/boot/vmlinuz"
    ln -sf "$(basename "$root"/boot/initrd.img-*)" "$root/boot/initrd.img"
    cat > "$root/boot/grub/grub.cfg" <<'END'
serial --unit=0 --speed=115200
terminal_output serial
search --no-floppy --label root --set=root
linux /boot/vmlinuz root=LABEL=root ro console=ttyS0 fsck.mode=force net.ifnames=0
initrd /boot/initrd.img
boot
END
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* \
        "$root"/usr/share/{doc,man,locale}
}

# boot.img in the MBR loads core.img from the sectors behind it
make_disk() {
    truncate -s $((mib - 1))M "$img/fs" && mke2fs -q -t ext4 -L root -d "$img/root" "$img/fs" || return 1
    e2fsck -fy "$img/fs" > /dev/null 2>&1     # counts of mke2fs -d; see below for the guest's
    e2fsck -fn "$img/fs" > /dev/null 2>&1 || return 1
    printf 'search --no-floppy --label root --set=root\nset prefix=($root)/boot/grub\n' > "$img/load.cfg"
    grub-mkimage -O i386-pc -o "$img/core.img" -p '(hd0,msdos1)/boot/grub' -c "$img/load.cfg" \
        biosdisk part_msdos ext2 linux normal search search_label serial terminal echo configfile boot || return 1
    truncate -s ${mib}M "$img/disk.tmp"
    printf 'label: dos\n2048,,83,*\n' | sfdisk -q "$img/disk.tmp" || return 1
    python3 - "$img/disk.tmp" $grub/boot.img "$img/core.img" <<'END' || return 1
import struct, sys
disk, boot, core = sys.argv[1:]
boot = bytearray(open(boot, 'rb').read(512))
core = bytearray(open(core, 'rb').read())
core += bytes(-len(core) % 512)
with open(disk, 'r+b') as f:
    boot[0x1b8:0x200] = f.read(512)[0x1b8:]        # partition table
    boot[0x5c:0x64] = struct.pack('<Q', 1)         # where core.img begins
    boot[0x64] = 0xff                              # from the drive that was booted
    boot[0x66:0x68] = b'\x90\x90'                  # do not doubt it is a hard disk
    core[0x1f4:0x200] = struct.pack('<QHH', 2, len(core) // 512 - 1, 0x820)
    f.seek(0)
    f.write(boot + core)
END
    dd if="$img/fs" of="$img/disk.tmp" bs=1M seek=1 conv=notrunc,sparse status=none || return 1
    rm -f "$img/fs"
    mv "$img/disk.tmp" "$img/disk.raw"
}

[ ! -f "$img/disk.raw" ] || exit 0
for c in debootstrap grub-mkimage mke2fs sfdisk python3; do
    command -v $c > /dev/null || fail "no $c"
done
[ -f $grub/boot.img ] || fail "no grub-pc-bin"
[ "$(id -u)" = 0 ] || fail "debootstrap wants root"
mkdir -p "$img"
make_root || fail "debootstrap failed, see $img/debootstrap.log"
make_disk || fail "the image could not be made in $img"
rm -rf "$img/root"
