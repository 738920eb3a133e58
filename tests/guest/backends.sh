#!/bin/bash
# backends.sh - two Debian guests and a host, joined by every kind of network back end at once
#
# Guest b serves a file, guest a fetches it over each cable; each cable has virtio-net with
# other features. Also: a bridge and taps of the host (in a network namespace of the test's
# own), guestfwd, several queues, VLANs, a changed address, a recording for tshark.
set -u
. "$(dirname "$0")/common.sh"

dir=$work/backends
demo=$BUILD/demo
modules="net/core/failover drivers/net/net_failover drivers/virtio/virtio_ring drivers/virtio/virtio
    drivers/virtio/virtio_pci_legacy_dev drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci
    drivers/net/virtio_net net/llc/llc net/802/stp net/802/garp net/802/mrp net/8021q/8021q
    net/dns_resolver/dns_resolver fs/netfs/netfs fs/fscache/fscache fs/smb/common/cifs_md4
    fs/smb/common/cifs_arc4 crypto/ccm crypto/ctr crypto/cmac crypto/gcm crypto/sha512_generic
    fs/nls/nls_utf8 fs/smb/client/cifs"
smbd=/usr/sbin/smbd
helper=/usr/lib/qemu/qemu-bridge-helper

# Where a test may make devices: a network namespace as root, bridge.conf its own.
if [ -z "${IN_NAMESPACE:-}" ]; then
    if unshare -nm true 2> /dev/null; then
        IN_NAMESPACE=1 exec unshare -nm bash "$here/backends.sh"
    fi
    skip backends "no right to a network namespace"
    exit 0
fi

# cables: name, features of a's card, how a and b are joined; a is 10.1.N.1, b 10.1.N.2
cables=(
    "dgram-unix packed=on"
    "dgram-udp disable-legacy=on"
    "mcast disable-modern=on"
    "socket mrg_rxbuf=off"
    "stream-unix csum=off,gso=off"
    "hub event_idx=off,indirect_desc=off"
    "stream-tcp ctrl_vq=off,vectors=0"
)

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# netdev KIND SIDE ID: sets the options of that end
netdev() {
    local id=$3 near=$2 far=a
    [ "$near" = a ] && far=b
    case $1-$2 in
    dgram-unix-*) o=(dgram "local.type=unix,local.path=$dir/d-$near,remote.type=unix,remote.path=$dir/d-$far") ;;
    dgram-udp-a) o=(dgram "local.type=inet,local.host=127.0.0.1,local.port=$p1,remote.type=inet,remote.host=127.0.0.1,remote.port=$p2") ;;
    dgram-udp-b) o=(socket "udp=127.0.0.1:$p1,localaddr=127.0.0.1:$p2") ;;
    mcast-*) o=(socket "mcast=230.0.0.1:$p3,localaddr=127.0.0.1") ;;
    socket-b) o=(socket "listen=127.0.0.1:$p4") ;;
    socket-a) o=(socket "connect=127.0.0.1:$p4") ;;
    stream-unix-b | hub-b) o=(stream "server=on,addr.type=unix,addr.path=$dir/s-$1") ;;
    stream-unix-a | hub-a) o=(stream "server=off,addr.type=unix,addr.path=$dir/s-$1") ;;
    stream-tcp-b) o=(stream "server=on,addr.type=inet,addr.host=127.0.0.1,addr.port=$p5") ;;
    stream-tcp-a) o=(stream "server=off,addr.type=inet,addr.host=127.0.0.1,addr.port=$p5") ;;
    esac
    args+=(-netdev "${o[0]},id=$id,${o[1]}")
    [ "$1" = hub ] || return 0
    args+=(-netdev "hubport,id=$id-1,hubid=1,netdev=$id" -netdev "hubport,id=$id-2,hubid=1")
    card=$id-2
}

# guest SIDE ARG...: starts it with all cables; the serial port goes to $dir/SIDE.log
guest() {
    local side=$1 n=0 c card
    args=()
    shift
    for c in "${cables[@]}"; do
        card=n$n
        netdev "${c%% *}" "$side" n$n
        [ "$side" = a ] && card=$card,${c##* }
        args+=(-device "virtio-net-pci,netdev=$card,mac=52:54:00:00:0$n:0$([ "$side" = a ] && echo 1 || echo 2)")
        n=$((n + 1))
    done
    : > "$dir/$side.log"
    timeout -k 5 400 "$TRANSOM" -kernel "$demo/vmlinuz" -initrd "$dir/net.cpio" -m 256 -smp 2 -nic none \
        -append "console=ttyS0 quiet panic=-1 side=$side port=$port ${share:-}" -display none -serial "file:$dir/$side.log" -monitor none \
        "${args[@]}" "$@" > "$dir/$side.err" 2>&1 < /dev/null &
}

write_init() {
    local n=${#cables[@]}
    {
        cat <<END
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /www
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in $(for m in $modules; do basename "$m"; done | tr '\n' ' '); do insmod /lib/\$m.ko || echo missing=\$m; done
for a in \$(cat /proc/cmdline); do case \$a in side=*) side=\${a#*=} ;; esac; done
me=1 other=2
[ \$side = a ] || me=2 other=1
cables=$n
END
        cat <<'END'
n=0
while [ $n -lt $cables ]; do
    ip link set eth$n up
    ip addr add 10.1.$n.$me/24 dev eth$n
    n=$((n + 1))
done
ip link add link eth0 name vlan5 type vlan id 5 && ip addr add 10.5.0.$me/24 dev vlan5 && ip link set vlan5 up
if [ $side = b ]; then
    cp /file /www/file
    httpd -p 80 -h /www
    echo serving=yes
    while sleep 100; do :; done
fi

# fetch NAME ADDRESS
fetch() {
    for try in 1 2 3 4 5 6; do
        timeout 60 wget -q -O /tmp/f http://$2/file && break
        sleep 1
    done
    echo "sum $1 $(sha256sum < /tmp/f | cut -d' ' -f1)"
    rm -f /tmp/f
}
n=0
while [ $n -lt $cables ]; do
    fetch cable$n 10.1.$n.2
    n=$((n + 1))
done
fetch vlan 10.5.0.2
ip link set eth0 promisc on; ip link set eth0 promisc off; ifconfig eth0 allmulti
ip link set eth0 down; ip link set eth0 address 52:54:00:77:77:77; ip link set eth0 up
fetch address 10.1.0.2
[ -e /sys/class/net/eth$cables ] && {
    u=eth$cables b=eth$((cables + 1)) t=eth$((cables + 2))
    ip link set $u up; ip addr add 10.0.2.15/24 dev $u
    for p in 7 8; do
        for try in 1 2 3 4 5; do
            got=$(echo "hello $p" | timeout 10 nc 10.0.2.100 $p)
            [ -n "$got" ] && break
        done
        echo "guestfwd $p $got"
    done
    # not for busybox, which is static
    export LD_LIBRARY_PATH=/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu
    ethtool -l $u | awk '/Combined/ { print "queues " ++n, $2 }'
    ethtool -L $u combined 1 && ethtool -L $u combined 2 && echo "queues set $(ethtool -l $u | awk '/Combined/ { v = $2 } END { print v }')"
    unset LD_LIBRARY_PATH
    echo "queues vectors $(grep -c "virtio.*put" /proc/interrupts)"
    fetch queues 10.0.2.2:$(sed 's/.*port=\([0-9]*\).*/\1/' /proc/cmdline)
    mkdir /smb
    if grep -q smb=yes /proc/cmdline && mount -t cifs //10.0.2.4/qemu /smb -o guest,sec=none,vers=3.0,ip=10.0.2.4; then
        echo "sum smb $(sha256sum < /smb/file | cut -d' ' -f1)"
        cp /file /smb/written
        umount /smb
    fi
    ip link set $b up; ip addr add 10.2.0.2/24 dev $b
    fetch bridge 10.2.0.1
    ip link set $t up; ip addr add 10.3.0.2/24 dev $t
    echo "tap mtu $(cat /sys/class/net/$t/mtu)"
    # a queue is a CPU's; the host sends a flow through the queue that it comes from
    ethtool_q() { LD_LIBRARY_PATH=/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu ethtool "$@"; }
    ethtool_q -L $t combined 2
    dev=$(basename $(readlink /sys/class/net/$t/device))
    for cpu in 1 2; do
        ( taskset $cpu wget -q -O /tmp/f$cpu http://10.3.0.1/file )
        echo "sum tap$cpu $(sha256sum < /tmp/f$cpu | cut -d' ' -f1)"
    done
    for q in 0 1; do
        echo "tap queue$q $(awk -v d="$dev-input.$q" '$NF == d { for (i = 2; i < NF; i++) n += $i ~ /^[0-9]+$/ ? $i : 0; print (n > 0 ? "used" : "idle") }' /proc/interrupts)"
    done
    ethtool_q -L $t combined 1
    fetch tap 10.3.0.1
}
echo finished=yes
while sleep 100; do :; done
END
    } > "$dir/root/init"
}

make_initrd() {
    local lib
    # shellcheck disable=SC2086
    unpack $modules || return 1
    write_init
    head -c 2M /dev/urandom > "$dir/root/file"
    cp -L "$demo/busybox" "$dir/root/bin/busybox"
    cp -L "$(command -v ethtool)" "$dir/root/bin/"
    for lib in $(ldd "$(command -v ethtool)" | sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*/\1/p'); do
        mkdir -p "$dir/root/$(dirname "$lib")"
        cp -L "$lib" "$dir/root/$lib"
    done
    chmod 755 "$dir/root/init"
    (cd "$dir/root" && find . | cpio -o -H newc --quiet) > "$dir/net.cpio"
    sum=$(sha256sum < "$dir/root/file" | cut -d' ' -f1)
}

# The host's side: a bridge, a script for a tap, web servers, something behind guestfwd.
make_host() {
    ip link set lo up multicast on
    ip link add br0 type bridge && ip addr add 10.2.0.1/24 dev br0 && ip link set br0 up
    mkdir -p /etc/qemu 2> /dev/null
    mount -t tmpfs none /etc/qemu && echo 'allow br0' > /etc/qemu/bridge.conf
    printf '#!/bin/sh\nip addr add 10.3.0.1/24 dev "$1" && ip link set "$1" up\n' > "$dir/ifup"
    chmod 755 "$dir/ifup"
    port=$(free_port) p1=$(free_port) p2=$(free_port) p3=$(free_port) p4=$(free_port) p5=$(free_port)
    busybox httpd -f -p "$port" -h "$dir/root" & servers=$!
    busybox httpd -f -p 80 -h "$dir/root" & servers="$servers $!"
    python3 -c '
import socket, sys, threading
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()
def echo(c):
    while d := c.recv(4096): c.sendall(d)
    c.close()
while True: threading.Thread(target=echo, args=(s.accept()[0],), daemon=True).start()' "$dir/echo" & servers="$servers $!"
}

# line WHAT: what guest a printed about it
line() { tr -d '\r' < "$dir/a.log" | sed -n "s/^$1 //p" | head -n 1; }

# check WHAT GOT WANTED
check() {
    if [ "$2" = "$3" ]; then pass "backends: $1"; else fail "backends: $1" "'$2' instead of '$3'"; fi
}

results() {
    local n=0 c
    for c in "${cables[@]}"; do
        check "${c%% *}, ${c##* }" "$(line "sum cable$n")" "$sum"
        n=$((n + 1))
    done
    check "VLAN, packed ring" "$(line 'sum vlan')" "$sum"
    check "another address, modes of reception" "$(line 'sum address')" "$sum"
    check "guestfwd to a command" "$(line 'guestfwd 7')" "hello 7"
    check "guestfwd to a unix socket" "$(line 'guestfwd 8')" "hello 8"
    if [ -x $smbd ]; then
        check "smb: a file of the host" "$(line 'sum smb')" "$sum"
        check "smb: a file written by the guest" "$(sha256sum < "$dir/share/written" | cut -d' ' -f1)" "$sum"
    else
        skip "backends: smb" "no $smbd"
    fi
    check "queues there are" "$(line 'queues 1')" 2
    check "queues after ethtool -L" "$(line 'queues set')" 2
    check "a file over two queues" "$(line 'sum queues')" "$sum"
    if [ -u $helper ] || [ -x $helper ]; then check "bridge helper" "$(line 'sum bridge')" "$sum"; else skip "backends: bridge helper" "no $helper"; fi
    check "tap, ifup script, two queues: from CPU 0" "$(line 'sum tap1')" "$sum"
    check "tap, two queues: from CPU 1" "$(line 'sum tap2')" "$sum"
    check "tap: interrupts of the first queue" "$(line 'tap queue0')" used
    check "tap: interrupts of the second queue" "$(line 'tap queue1')" used
    check "tap: one of two queues" "$(line 'sum tap')" "$sum"
    check "host_mtu" "$(line 'tap mtu')" 1400
    check "tshark reads the recording" "$(tshark -r "$dir/dump.pcap" -Y 'http.request.uri == "/file"' 2> /dev/null | wc -l)" 1
}

missing() {
    for need; do
        command -v "$need" > /dev/null || { echo "$need"; return 0; }
    done
    return 1
}

if what=$(missing ip python3 ethtool tshark busybox); then
    skip backends "no $what"
elif [ ! -c /dev/net/tun ]; then
    skip backends "no /dev/net/tun"
elif ! tools/fetch-guest.sh "$demo" > "$work/fetch.log" 2>&1; then
    skip backends "$(tail -n 1 "$work/fetch.log")"
elif ! make_initrd; then
    skip backends "the kernel's package is not in $demo"
else
    make_host
    smb= share=
    if [ -x $smbd ]; then
        mkdir "$dir/share" && cp "$dir/root/file" "$dir/share/file"
        smb=",smb=$dir/share" share="smb=yes"
    fi
    guest b
    b=$!
    extra=(-netdev "user,id=u,guestfwd=tcp:10.0.2.100:7-cmd:cat,guestfwd=tcp:10.0.2.100:8-unix:$dir/echo$smb"
        -device virtio-net-pci,netdev=u,mq=on,vectors=6,queue-pairs=2)
    if [ -x $helper ]; then extra+=(-netdev "bridge,id=br,br=br0" -device virtio-net-pci,netdev=br); else extra+=(-device virtio-net-pci); fi
    extra+=(-netdev "tap,id=t,ifname=transom0,script=$dir/ifup,downscript=no,queues=2"
        -device virtio-net-pci,netdev=t,mq=on,vectors=6,host_mtu=1400
        -object "filter-dump,id=f,netdev=n1,file=$dir/dump.pcap")
    if wait_for 150 "$dir/b.log" '^serving' $b; then
        guest a "${extra[@]}"
        a=$!
        wait_for 300 "$dir/a.log" '^finished' $a || fail backends "$(tail_of "$dir/a.err") $(tail_of "$dir/a.log")"
        end $a
        results
    else
        fail backends "$(tail_of "$dir/b.err") $(tail_of "$dir/b.log")"
    fi
    end $b
    for s in $servers; do end "$s"; done
fi
