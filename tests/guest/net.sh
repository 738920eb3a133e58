#!/bin/bash
# net.sh - a Debian guest with each network card: DHCP, names, a file fetched from
# the host and one fetched by the host through hostfwd; frames recorded for tshark
#
# Where the kernel lets it, in a network namespace of its own with a name server of
# its own, so that nothing depends on the world; else names are the host's.
# NET_MIB: size of the file (8); NET_CARDS: which cards (all)
set -u
. "$(dirname "$0")/common.sh"

size_mib=${NET_MIB:-8}
cards=${NET_CARDS:-e1000 rtl8139 ne2k_pci virtio-net-pci}
netdir=$work/net dir=$work/net
demo=$BUILD/demo
test_name=guest.test test_address=192.0.2.7
mkdir -p "$netdir"

# modules from the kernel's own package; all that any card needs, in order
modules="net/core/failover drivers/net/net_failover drivers/net/mii drivers/virtio/virtio_ring
    drivers/virtio/virtio drivers/virtio/virtio_pci_legacy_dev
    drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci
    drivers/net/ethernet/intel/e1000/e1000 drivers/net/ethernet/realtek/8139cp
    drivers/net/ethernet/8390/8390 drivers/net/ethernet/8390/ne2k-pci drivers/net/virtio_net"

write_init() {
    cat > "$netdir/root/init" <<END
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /etc /www
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in $(for m in $modules; do basename "$m"; done | tr '\n' ' '); do insmod /lib/\$m.ko; done 2> /dev/null
for a in \$(cat /proc/cmdline); do case \$a in port=*|name=*) export "\$a";; esac; done
ip link set lo up
ip link set eth0 up
echo driver=\$(basename \$(readlink /sys/class/net/eth0/device/driver))
udhcpc -i eth0 -n -q -t 10 -T 2 -s /dhcp > /dev/null 2>&1 && echo dhcp=\$(cat /tmp/ip)
[ -n "\$name" ] && nslookup \$name 10.0.2.3 2> /dev/null | awk '/^Address/ && !/:53/ { print "resolved=" \$NF; exit }'
start=\$(cut -d. -f1 /proc/uptime)
wget -q -O /tmp/file http://10.0.2.2:\$port/file
echo fetched=\$(sha256sum < /tmp/file | cut -d' ' -f1) seconds=\$((\$(cut -d. -f1 /proc/uptime) - start))
mv /tmp/file /www/file
httpd -p 80 -h /www
echo serving
read line < /dev/console
cat /proc/interrupts | grep -a eth0
ifconfig eth0
poweroff -f
END
    cat > "$netdir/root/dhcp" <<'END'
#!/bin/busybox sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr add $ip/${mask:-24} dev $interface
ip route add default via $router
echo $ip > /tmp/ip
END
    cp "$demo/busybox" "$netdir/root/bin/busybox"
    chmod +x "$netdir/root/init" "$netdir/root/dhcp"
    (cd "$netdir/root" && find . | cpio -o -H newc --quiet) > "$netdir/net.cpio"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

value() { tr -d '\r' < "$log" | sed -n "s/.*$1=\([^ ]*\).*/\1/p" | head -n 1; }

# A name that can be resolved, or nothing; its addresses are in $netdir/names.
known_name() {
    if [ -n "${NET_OWN:-}" ]; then
        echo "$test_address " > "$netdir/names"
        echo $test_name
    elif getent ahostsv4 deb.debian.org > "$netdir/names" 2> /dev/null; then
        echo deb.debian.org
    fi
}

# own_network WAY...: this script again where lo is all there is
own_network() {
    unshare "$@" mount --bind "$netdir/resolv.conf" "$(realpath /etc/resolv.conf)" 2> /dev/null || return
    NET_OWN=1 exec unshare "$@" bash "$here/net.sh"
}

# As root, or as what looks like root in a user namespace.
enter_network() {
    echo 'nameserver 127.0.0.1' > "$netdir/resolv.conf"
    if [ -n "${NET_OWN:-}" ]; then
        mount --bind "$netdir/resolv.conf" "$(realpath /etc/resolv.conf)"
        busybox ip link set lo up
        python3 "$here/dns.py" $test_name $test_address > "$netdir/dns.log" &
        name_server=$!
        wait_for 120 "$netdir/dns.log" ready $name_server || fail "net: name server" "$(tail_of "$netdir/dns.log")"
        return
    fi
    own_network -mn || own_network -rmn || echo "# net: no network namespace; names are the host's"
}

# check CARD WHAT GOT WANTED
check() {
    if [ -n "$3" ] && [ "$3" = "$4" ]; then pass "net $1 $2"; else fail "net $1 $2" "'$3' instead of '$4'"; fi
}

run_card() {
    local card=$1 pid forward got name
    log=$netdir/$card.log
    forward=$(free_port)
    name=$(known_name)
    rm -f "$netdir/in" "$netdir/$card.pcap"
    mkfifo "$netdir/in"
    timeout -k 5 1200 "$TRANSOM" -kernel "$demo/vmlinuz" -initrd "$netdir/net.cpio" -m 512 \
        -append "console=ttyS0 panic=-1 quiet port=$port name=$name" -display none -serial stdio \
        -netdev "user,id=n0,hostfwd=tcp:127.0.0.1:$forward-:80" -device "$card,netdev=n0" \
        -object "filter-dump,id=f0,netdev=n0,file=$netdir/$card.pcap,maxlen=600" -no-reboot \
        < "$netdir/in" > "$log" 2>&1 &
    pid=$!
    exec 9> "$netdir/in"
    wait_for 1100 "$log" '^serving' $pid || { fail "net $card" "$(tail_of "$log")"; end $pid; exec 9>&-; return; }
    check "$card" "gets its address by DHCP" "$(value dhcp)" 10.0.2.15
    if [ -n "$name" ]; then
        got=$(value resolved)
        if grep -q "^${got:-none} " "$netdir/names"; then pass "net $card resolves"; else fail "net $card resolves" "$name is '$got'"; fi
    else
        skip "net $card resolves" "no name service here"
    fi
    check "$card" "fetches $size_mib MiB" "$(value fetched)" "$sum"
    got=$(timeout 300 busybox wget -Y off -q -O - "http://127.0.0.1:$forward/file" | sha256sum | cut -d' ' -f1)
    check "$card" "is reached through hostfwd" "$got" "$sum"
    echo >&9
    exec 9>&-
    wait_for 300 "$log" nothing-matches $pid
    end $pid
    if command -v tshark > /dev/null; then
        got=$(tshark -r "$netdir/$card.pcap" -Y dhcp.option.dhcp==5 2> /dev/null | wc -l)
        check "$card" "tshark finds the DHCP answer" "$((got > 0))" 1
    else
        skip "net $card tshark" "tshark is not installed"
    fi
}

if ! tools/fetch-guest.sh "$demo" > "$work/fetch.log" 2>&1; then
    skip net "$(tail -n 1 "$work/fetch.log")"
elif ! unpack $modules; then # shellcheck disable=SC2086
    skip net "the kernel's package is not in $demo"
else
    name_server=
    enter_network
    write_init
    mkdir -p "$netdir/www"
    head -c "${size_mib}M" /dev/urandom > "$netdir/www/file"
    sum=$(sha256sum < "$netdir/www/file" | cut -d' ' -f1)
    port=$(free_port)
    busybox httpd -f -p "127.0.0.1:$port" -h "$netdir/www" &
    server=$!
    for card in $cards; do
        if "$TRANSOM" -device help | grep -q "\"$card\""; then run_card "$card"; else skip "net $card" "not built"; fi
    done
    end $server
    [ -z "$name_server" ] || end "$name_server"
    rm -f "$netdir/www/file"
fi
