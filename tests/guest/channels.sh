#!/bin/bash
# channels.sh - a Debian guest's virtio-rng and virtio-serial as programs of the host meet them (channels.py)
. "$(dirname "$0")/common.sh"

dir=$work/channels
demo=$BUILD/demo
modules="drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_pci_legacy_dev
    drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci drivers/char/hw_random/virtio-rng
    drivers/char/virtio_console"

write_init() {
    cat > "$dir/root/init" <<END
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
mount -t debugfs debug /sys/kernel/debug
for m in $(for m in $modules; do basename "$m"; done | tr '\n' ' '); do insmod /lib/\$m.ko; done 2> /dev/null
END
    cat >> "$dir/root/init" <<'END'
if grep -q hvc0 /proc/cmdline; then
    until [ -c /dev/hvc0 ]; do sleep 0.1; done
    exec 0<> /dev/hvc0 1>&0 2>&0
else
    exec 0<> /dev/ttyS0
fi
stty -echo
# port NAME: prints the device of the port with that name, once it is there
port() {
    while :; do
        for p in /sys/class/virtio-ports/*; do
            [ "$(cat $p/name 2> /dev/null)" = "$1" ] && [ -c /dev/${p##*/} ] && echo /dev/${p##*/} && return
        done
        sleep 0.1
    done
}
# no_port NAME: until it is not there
no_port() {
    while grep -qsx "$1" /sys/class/virtio-ports/*/name; do sleep 0.1; done
}
# host NAME 0|1: until nobody, somebody is at the host's end
host() {
    p=$(port "$1")
    until grep -q "^host_connected: $2" /sys/kernel/debug/virtio-ports/${p##*/}; do sleep 0.1; done
}
echo guest=ready
[ -c /dev/hwrng ] && echo "hwrng=$(dd if=/dev/hwrng bs=512 count=8 2> /dev/null | md5sum)"
while read -r line; do
    eval "$line"
    echo "done=$?"
done
END
    pack_guest channels.cpio
}

if ! command -v python3 > /dev/null; then
    skip channels "no python3"
elif ! tools/fetch-guest.sh "$demo" > "$work/fetch.log" 2>&1; then
    skip channels "$(tail -n 1 "$work/fetch.log")"
elif ! unpack $modules; then
    skip channels "the kernel's package is not in $demo"
else
    write_init
    by_python 1500 channels "$demo/vmlinuz"
fi
