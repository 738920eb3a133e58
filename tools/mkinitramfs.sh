#!/bin/bash
# mkinitramfs.sh BUSYBOX OUT [COMMAND] - an initramfs of busybox alone
#
# Its /init runs COMMAND and powers off, or gives a shell on the first serial
# port (with job control), and powers off when that ends.
set -eu

busybox=$(realpath "$1") out=$(realpath -m "$2")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root"/{bin,sbin,dev,proc,sys,tmp,root,etc}
cp "$busybox" "$root/bin/busybox"
if [ -n "${3:-}" ]; then
    printf '%s\n' "$3" > "$root/etc/command"
fi
cat > "$root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin HOME=/root TERM="${TERM:-vt102}"
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2> /dev/null
cd /root
if [ -f /etc/command ]; then
    dmesg -n 1       # no message of the kernel's in the middle of what COMMAND prints
    sh /etc/command
else
    echo
    echo "This is a stock Debian kernel with busybox. 'exit' or 'poweroff -f' ends it."
    # a session of its own on the terminal, so that Ctrl-C and job control work
    setsid -c sh < /dev/ttyS0 > /dev/ttyS0 2>&1
fi
poweroff -f
END
chmod +x "$root/init"
cd "$root"
find . | LC_ALL=C sort | "$busybox" cpio -o -H newc > "$out" 2> /dev/null
