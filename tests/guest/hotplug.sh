#!/bin/bash
# hotplug.sh - Debian sees PCI cards come (and uses them), lets them go, sees the same slots filled
# again: device_add, device_del; by ACPI on the i440FX board, in PCI Express slots on q35; and what the
# monitor says to nonsense
set -u
. "$(dirname "$0")/common.sh"

dir=$work/hotplug
demo=$BUILD/demo
modules="net/core/failover drivers/net/net_failover drivers/virtio/virtio_ring
    drivers/virtio/virtio drivers/virtio/virtio_pci_legacy_dev
    drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci
    drivers/net/ethernet/intel/e1000/e1000 drivers/net/virtio_net drivers/block/virtio_blk
    crypto/crct10dif_common lib/crc-t10dif crypto/crct10dif_generic lib/crc64
    crypto/crc64_rocksoft_generic lib/crc64-rocksoft block/t10-pi
    drivers/nvme/host/nvme-core drivers/nvme/host/nvme"

write_init() {
    cat > "$dir/root/init" <<END
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in $(for m in $modules; do basename "$m"; done | tr '\n' ' '); do insmod /lib/\$m.ko; done 2> /dev/null
END
    cat >> "$dir/root/init" <<'END'
come() {
    case $1 in
    /sys/class/net/*)
        ip link set $2 up
        udhcpc -i $2 -n -q -t 20 -T 2 -s /dhcp > /dev/null 2>&1
        echo "come=$(basename $(readlink $1/device/driver)) $(cat /tmp/ip.$2)" ;;
    *)
        # its entry in /sys comes before it can be opened
        until text=$(head -c 15 /dev/$2 2> /dev/null) && [ -n "$text" ]; do
            [ -e $1 ] || return
            sleep 0.1
        done
        echo "come=${2%%[0-9]*} $text" ;;
    esac
}
there=
echo guest=ready
while sleep 0.2; do
    now=
    for d in /sys/class/net/eth* /sys/block/vd* /sys/block/nvme*; do
        [ -e $d ] || continue
        now="$now $d"
        case "$there " in *" $d "*) ;; *) come $d ${d##*/} ;; esac
    done
    for d in $there; do
        case "$now " in *" $d "*) ;; *) n=${d##*/}; echo "gone=${n%%[0-9]*}" ;; esac
    done
    there=$now
done
END
    cat > "$dir/root/dhcp" <<'END'
#!/bin/busybox sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr add $ip/24 dev $interface
echo $ip > /tmp/ip.$interface
END
    chmod 755 "$dir/root/dhcp"
    pack_guest hotplug.cpio
}

# start BOARD ARG...
start() {
    board=$1
    shift
    log=$dir/log.$board monitor=$dir/monitor.$board seen=0
    : > "$log"
    rm -f "$dir/mon"
    mkfifo "$dir/mon"
    echo 'virtio-blk disk' > "$dir/blk.img"
    echo 'nvme disk here.' > "$dir/nvme.img"
    truncate -s 1M "$dir/blk.img" "$dir/nvme.img"
    timeout -k 5 1500 "$TRANSOM" -M "$board" "$@" -kernel "$demo/vmlinuz" -initrd "$dir/hotplug.cpio" -m 256 -nic none \
        -append "console=ttyS0 panic=-1 quiet" -display none -serial "file:$log" -monitor stdio \
        -netdev user,id=n0 -drive "if=none,id=d0,format=raw,file=$dir/blk.img" \
        -drive "if=none,id=d1,format=raw,file=$dir/nvme.img" \
        < "$dir/mon" > "$monitor" 2>&1 &
    pid=$!
    exec 8> "$dir/mon"
}

finish() {
    echo quit >&8
    exec 8>&-
    wait $pid || fail hotplug "exit status $?: $(tail_of "$monitor")"
}

# expect WHAT PATTERN: it shows on the guest's console, after what showed before
expect() {
    local deadline=$((SECONDS + 400)) line
    while [ $SECONDS -le $deadline ]; do
        line=$(tail -n +$((seen + 1)) "$log" | grep -anE "$2" | head -n 1 | cut -d: -f1)
        [ -n "$line" ] && seen=$((seen + line)) && pass "hotplug: $board: $1" && return
        kill -0 $pid 2> /dev/null || break
        sleep 0.1
    done
    fail "hotplug: $board: $1" "no '$2': $(tail_of "$log")"
}

# says WHAT COMMAND PATTERN: the monitor answers so
says() {
    local at deadline=$((SECONDS + 200))
    at=$(stat -c %s "$monitor")
    echo "$2" >&8
    while [ $SECONDS -le $deadline ]; do
        tail -c +$((at + 1)) "$monitor" | grep -aqE "$3" && pass "hotplug: $board: $1" && return
        sleep 0.1
    done
    fail "hotplug: $board: $1" "'$2' says $(tail -c +$((at + 1)) "$monitor" | tr -c '[:print:]' ' ')"
}

# plug SPEC: device_add; the guest shows that a card goes somewhat before it lets it go, so as
# long as the old one is in the way this is said again
plug() {
    local at deadline=$((SECONDS + 400))
    while [ $SECONDS -le $deadline ]; do
        at=$(stat -c %s "$monitor")
        printf 'device_add %s\nprint 4242\n' "$1" >&8
        until tail -c +$((at + 1)) "$monitor" | grep -aq '^0x1092' || [ $SECONDS -gt $deadline ]; do sleep 0.05; done
        tail -c +$((at + 1)) "$monitor" | grep -aqE 'is taken|in use' || return
        sleep 0.1
    done
}

# settled: until c0 is really gone, which is somewhat after the guest says so
settled() {
    local at deadline=$((SECONDS + 200))
    while [ $SECONDS -le $deadline ]; do
        at=$(stat -c %s "$monitor")
        printf 'info pci\nprint 4242\n' >&8
        until tail -c +$((at + 1)) "$monitor" | grep -aq '^0x1092' || [ $SECONDS -gt $deadline ]; do sleep 0.05; done
        tail -c +$((at + 1)) "$monitor" | grep -aq 'id "c0"' || return
        sleep 0.1
    done
}

# round DEVICE SIGN GONE PROPS [TIMES]: comes, works, goes; twice, so everything was given back
round() {
    local n
    for n in ${5:-first second}; do
        plug "$1,id=c0$4"
        expect "$1 comes and works, $n time" "come=$2"
        echo "device_del c0" >&8
        expect "$1 goes, $n time" "gone=$3"
        settled
    done
}

if ! tools/fetch-guest.sh "$demo" > "$work/fetch.log" 2>&1; then
    skip hotplug "$(tail -n 1 "$work/fetch.log")"
elif ! unpack $modules; then
    skip hotplug "the kernel's package is not in $demo"
else
    write_init
    start pc -device VGA,id=vga1,addr=9
    expect "the guest is up" 'guest=ready'
    round virtio-net-pci 'virtio_net 10.0.2.1.' eth ,netdev=n0
    round e1000 'e1000 10.0.2.1.' eth ,netdev=n0,addr=1f
    round virtio-blk-pci 'vd. virtio-blk disk' vd ,drive=d0
    round nvme 'nvme nvme disk here.' nvme ,drive=d1,serial=1
    says "no such device" "device_add virtio-nett" "Error: there is no device 'virtio-nett'"
    says "no name" "device_add" "usage: device_add device"
    says "no such property" "device_add e1000,mak=1" "no property 'mak' \(did you mean mac\?\)"
    says "a wrong address" "device_add e1000,addr=1" "slots 3 to 1f"
    says "a slot in use" "device_add e1000,addr=9" "PCI slot 9 is taken by VGA"
    says "a device that stays" "device_del vga1" "VGA cannot be taken out"
    says "a device that cannot come" "device_add VGA" "VGA cannot be plugged"
    says "no netdev" "device_add e1000,netdev=n9" "there is no netdev 'n9'"
    says "no drive" "device_add nvme,drive=d9,serial=1" "there is no drive 'd9'"
    says "an id in use" "device_add e1000,id=vga1" "id 'vga1' is taken"
    says "removal of nothing" "device_del c0" "Error: Device 'c0' not found"
    finish
    start q35 -device pcie-root-port,id=port1,chassis=1,addr=2.0,multifunction=on \
        -device pcie-root-port,id=port2,chassis=2,addr=2.1 -device edu,bus=port1,id=edu1
    expect "the guest is up" 'guest=ready'
    round virtio-blk-pci 'vd. virtio-blk disk' vd ,drive=d0,bus=port2
    round virtio-net-pci 'virtio_net 10.0.2.1.' eth ,netdev=n0,bus=port2,addr=0 once
    round nvme 'nvme nvme disk here.' nvme ,drive=d1,serial=1,bus=port2 once
    says "a slot in use" "device_add nvme,drive=d1,serial=1,bus=port1" "the slot of 'port1' is taken by edu"
    says "a slot that is none" "device_add nvme,drive=d1,serial=1,bus=port2,addr=1" "the bus has no such slot"
    says "no slot at all" "device_add nvme,drive=d1,serial=1" "cannot be changed while it runs"
    says "a port that cannot go" "device_del port1" "cannot be taken out"
    says "no such port" "device_add nvme,drive=d1,serial=1,bus=port3" "there is no PCI bus 'port3'"
    finish
fi
