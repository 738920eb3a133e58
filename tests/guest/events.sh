#!/bin/bash
# events.sh - what a Debian guest does is told to programs at the monitor (events.py)
. "$(dirname "$0")/common.sh"

dir=$work/events
demo=$BUILD/demo
modules="drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_pci_legacy_dev
    drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci drivers/block/virtio_blk
    drivers/scsi/scsi_common drivers/scsi/scsi_mod drivers/ata/libata drivers/ata/ata_piix drivers/cdrom/cdrom
    drivers/scsi/sr_mod drivers/acpi/button"

write_init() {
    cat > "$dir/root/init" <<END
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
stty -echo < /dev/ttyS0
for m in $(for m in $modules; do basename "$m"; done | tr '\n' ' '); do insmod /lib/\$m.ko; done 2> /dev/null
until [ -b /dev/sr0 ] && [ -b /dev/vda ]; do sleep 0.1; done
END
    cat >> "$dir/root/init" <<'END'
echo guest=ready
while read -r line; do
    eval "$line"
    echo "done=$?"
done < /dev/ttyS0
END
    "${X86_CC:-gcc}" -static -O1 -o "$dir/root/bin/cdtray" "$here/lib/cdtray.c" || return 1
    pack_guest events.cpio
}

if ! command -v python3 > /dev/null; then
    skip events "no python3"
elif ! tools/fetch-guest.sh "$demo" > "$work/fetch.log" 2>&1; then
    skip events "$(tail -n 1 "$work/fetch.log")"
elif ! unpack $modules; then
    skip events "the kernel's package is not in $demo"
elif ! write_init; then
    fail events "no guest could be made"
else
    by_python 1500 events "$demo/vmlinuz"
fi
