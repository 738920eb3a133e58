#!/bin/bash
# balloon.sh - Debian gives memory back to the host (balloon.py): inflated pages, free pages, statistics
. "$(dirname "$0")/common.sh"

dir=$work/balloon
demo=$BUILD/demo
modules="drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_pci_legacy_dev
    drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci drivers/virtio/virtio_balloon"

write_init() {
    cat > "$dir/root/init" <<END
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs -o size=90% tmp /tmp
stty -echo < /dev/ttyS0
for m in $(for m in $modules; do basename "$m"; done | tr '\n' ' '); do insmod /lib/\$m.ko; done
END
    cat >> "$dir/root/init" <<'END'
echo guest=ready
while read -r what mib; do
    case $what in
    fill) dd if=/dev/zero of=/tmp/x bs=1M count=$mib 2> /dev/null; echo "filled=$(($(wc -c < /tmp/x) / 1048576))" ;;
    free) rm /tmp/x; echo freed ;;
    esac
done < /dev/ttyS0
END
    pack_guest balloon.cpio
}

if ! command -v python3 > /dev/null; then
    skip balloon "no python3"
elif ! tools/fetch-guest.sh "$demo" > "$work/fetch.log" 2>&1; then
    skip balloon "$(tail -n 1 "$work/fetch.log")"
elif ! unpack $modules; then
    skip balloon "the kernel's package is not in $demo"
else
    write_init
    by_python 1500 balloon "$demo/vmlinuz"
fi
