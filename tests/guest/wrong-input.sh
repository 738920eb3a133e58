#!/bin/bash
# wrong-input.sh - what cannot work ends with one line on stderr and status 1
set -u
. "$(dirname "$0")/common.sh"
unset DISPLAY WAYLAND_DISPLAY
export SDL_VIDEODRIVER=x11          # where SDL knows other ways to a screen

# wrong NAME PATTERN ARG...: the line must match PATTERN. as: words to start the emulator with
wrong() {
    local name=$1 pattern=$2 lines
    shift 2
    echo "# $name: one line, status 1"
    status=0
    timeout -k 5 120 ${as:-} "$TRANSOM" -display none "$@" < /dev/null > "$work/wrong.out" 2> "$work/wrong.err" || status=$?
    lines=$(wc -l < "$work/wrong.err")
    if [ "$status" != 1 ]; then
        fail "$name" "status $status: $(tail_of "$work/wrong.err")"
    elif [ "$lines" != 1 ]; then
        fail "$name" "$lines lines on stderr: $(tail_of "$work/wrong.err")"
    elif ! grep -aqE -e "$pattern" "$work/wrong.err"; then
        fail "$name" "the line does not name it ($pattern): $(tail_of "$work/wrong.err")"
    else
        pass "$name"
    fi
}

# hold_port: somebody, $busy, listens on 127.0.0.1 at $port, which the kernel has chosen (a VNC server's or above)
hold_port() {
    rm -f "$work/busy"
    python3 -c 'import socket, time
s = []
while not s or s[-1].getsockname()[1] < 5900:
    s.append(socket.socket())
    s[-1].bind(("127.0.0.1", 0))
s[-1].listen()
print(s[-1].getsockname()[1], flush=True)
time.sleep(100000)' > "$work/busy" 2> /dev/null &
    busy=$!
    wait_for 120 "$work/busy" '^[0-9]' "$busy"
    port=$(cat "$work/busy")
}

kernel=$BUILD/demo/vmlinuz
head -c 100000 /dev/urandom > "$work/no-kernel"
: > "$work/empty"
head -c 8M /dev/zero > "$work/big-initrd"

wrong "-kernel missing" 'no-such-file' -kernel "$work/no-such-file"
wrong "-kernel is a directory" "$work" -kernel "$work"
wrong "-kernel is no kernel" 'no-kernel' -kernel "$work/no-kernel"
wrong "-kernel is empty" 'empty' -kernel "$work/empty"
if [ "$(id -u)" != 0 ]; then
    cp "$work/empty" "$work/unreadable"
    chmod 0 "$work/unreadable"
    wrong "-kernel unreadable" 'unreadable' -kernel "$work/unreadable"
else
    skip "-kernel unreadable" "root can read every file"
fi
if [ -e "$kernel" ]; then
    head -c 300 "$kernel" > "$work/truncated-head"
    head -c 100000 "$kernel" > "$work/truncated"
    wrong "-kernel truncated in its header" 'truncated-head' -kernel "$work/truncated-head"
    wrong "-kernel truncated" 'truncated' -kernel "$work/truncated"
    wrong "-initrd missing" 'no-such-file' -kernel "$kernel" -initrd "$work/no-such-file"
    wrong "-initrd larger than RAM" 'initrd|RAM|memory' -kernel "$kernel" -initrd "$work/big-initrd" -m 8
else
    skip "-kernel truncated, -initrd" "no kernel in $BUILD/demo"
fi
wrong "-initrd without -kernel" 'initrd|kernel' -initrd "$work/empty"
wrong "-bios missing" 'no-such-file' -bios "$work/no-such-file"
wrong "-bios empty" 'empty' -bios "$work/empty"
wrong "-mem-path missing" 'no-such-dir/file' -mem-path "$work/no-such-dir/file"
wrong "kernel-irqchip without KVM" 'only with kvm' -accel tcg,kernel-irqchip=split
wrong "kernel-irqchip of another kind" 'on, split or off' -accel kvm,kernel-irqchip=yes
TRANSOM_KVM_PROBE=none wrong "KVM that cannot be had" 'not there' -accel kvm
nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
if [ -e /dev/kvm ] && $nobody test -x "$TRANSOM" 2> /dev/null && ! $nobody test -w /dev/kvm; then
    (unset TRANSOM_KVM_PROBE; as=$nobody; wrong "no permission on /dev/kvm" 'no permission on /dev/kvm' -accel kvm)
else
    skip "no permission on /dev/kvm" "no such file, or nobody is forbidden to use it"
fi
if [ -z "$(why_no_kvm)" ]; then           # capabilities by their numbers in linux/kvm.h
    TRANSOM_KVM_PROBE=fast TRANSOM_KVM_LACKS=3 wrong "a KVM without memory" 'lacks user memory' -accel kvm
    TRANSOM_KVM_PROBE=fast TRANSOM_KVM_LACKS=9,66 wrong "more vCPUs than KVM has" 'at most 4 vCPUs' -accel kvm -smp 5
    TRANSOM_KVM_PROBE=fast TRANSOM_KVM_LACKS=121 wrong "interrupt chips that KVM lacks" 'kernel-irqchip=split: this KVM' \
        -accel kvm,kernel-irqchip=split
    TRANSOM_KVM_PROBE=fast wrong "an interface that KVM lacks" "no 'kvm-asyncpf'" -accel kvm,kernel-irqchip=off -cpu max,+kvm-asyncpf
else
    skip "what a KVM lacks" "$(why_no_kvm)"
fi
mkdir -p "$work/huge"
printf 'mount -t hugetlbfs none "$1" || exit 77\nshift\nexec "$@"\n' > "$work/with-huge"
if grep -q '^HugePages_Free: *0$' /proc/meminfo && unshare -m sh "$work/with-huge" "$work/huge" true 2> /dev/null; then
    as="unshare -m sh $work/with-huge $work/huge" wrong "huge pages that cannot be had" 'cannot get 64 MiB of huge pages' \
        -m 64 -mem-path "$work/huge"
else
    skip "huge pages that cannot be had" "there are some, or hugetlbfs cannot be mounted"
fi
wrong "unknown option" "kernl.*-kernel" -kernl x
wrong "option without its argument" 'kernel' -kernel
wrong "unknown device" 'isa-debug-exi' -device isa-debug-exi
wrong "unknown device property" 'iobas' -device isa-debug-exit,iobas=1
wrong "USB device without a controller" 'no USB controller' -device usb-tablet
wrong "USB port that is not there" 'no port 5' -usb -device usb-tablet,port=5
wrong "more USB ports than there can be" 'p2=16: a number from 0 to 15' -device qemu-xhci,p2=16
wrong "USB controller without ports" 'leave no port' -device qemu-xhci,p2=0,p3=0
wrong "USB streams" 'no device here has streams' -device qemu-xhci,streams=on
wrong "USB port of another speed" 'port 2 of usb-bus.0 has no speed' -device qemu-xhci,p2=1 -device usb-tablet,port=2
wrong "USB disk without a drive" 'drive property not set' -device qemu-xhci -device usb-storage
wrong "unknown USB device" 'did you mean tablet' -usbdevice tablets
wrong "a source of random bytes that is none" "no source of random bytes 'x'" -device virtio-rng-pci,rng=x
wrong "random bytes of a missing file" 'no-such-file: No such file' -object "rng-random,id=x,filename=$work/no-such-file"
wrong "random bytes from an entropy daemon" "kind 'rng-egd' is not supported" -object rng-egd,id=x
wrong "a port without a controller" 'no virtio-serial bus: -device virtio-serial-pci' -device virtserialport
wrong "a port on a bus that is none" "no virtio-serial bus 'vs1.0'" -device virtio-serial-pci,id=vs -device virtconsole,bus=vs1.0
wrong "a port without its back end" "virtserialport: there is no character device 'x'" -device virtio-serial-pci -device virtserialport,chardev=x
wrong "a port number twice" "nr=2 of 'vs.0' is taken" -device virtio-serial-pci,id=vs -device virtserialport,nr=2 -device virtserialport,nr=2
wrong "a channel of SPICE" "'spicevmc' is not supported" -device virtio-serial-pci -chardev spicevmc,id=x,name=vdagent -device virtserialport,chardev=x,name=com.redhat.spice.0
wrong "a back end of two ports" "device 'x' is in use" -chardev null,id=x -device virtio-serial-pci -device virtserialport,chardev=x -device virtserialport,chardev=x
wrong "an id twice" "id 'x' is taken" -usb -device usb-tablet,id=x -device usb-mouse,id=x
wrong "unknown CPU model" 'qemu65' -cpu qemu65
wrong "a CPU flag nobody has" 'not emulated: la57' -cpu max,+la57
wrong "a model that lacks something, enforced" 'not emulated: hle, rtm' -cpu Haswell,enforce
wrong "unknown CPU flag" 'sse9' -cpu qemu64,+sse9
wrong "unknown machine" 'pd' -M pd
wrong "unknown accelerator" 'tgc' -accel tgc
wrong "unknown trace item" 'intt' -d intt
wrong "RAM of nonsense" '12x' -m 12x
wrong "more RAM than can be had" 'memory|RAM|-m' -m 900000G
wrong "no RAM" "memory" -m 0
wrong "unknown display" 'did you mean sdl' -display sdk
wrong "a window without a desktop" 'no window' -display sdl,gl=off
wrong "unknown property of a window" 'grap-mod' -display sdl,grap-mod=rctrl
wrong "unknown display adapter" 'cirrus' -vga cirrus
wrong "VNC without a display number" 'DISPLAY' -vnc localhost
wrong "unknown VNC property" 'did you mean password' -vnc :7,pasword=on
wrong "VNC password neither on nor off" 'password=maybe: on or off' -vnc :7,password=maybe
wrong "VNC display beyond all ports" 'DISPLAY' -vnc :70000
wrong "VNC share= that is none" 'allow-exclusive, force-shared or ignore' -vnc :7,share=all
wrong "VNC WebSocket at a port that is none" 'a port or HOST:PORT' -vnc :7,websocket=x
wrong "VNC WebSocket without a port" 'websocket goes with' -vnc unix:x,websocket=on
wrong "-device on a bus that is none" "there is no PCI bus 'pci.7'" -device edu,bus=pci.7
wrong "a root port on the i440FX board" 'q35 only' -device pcie-root-port,id=p1
wrong "VNC with TLS" 'tls-creds: not supported' -vnc :7,tls-creds=x
# no name server is asked for a name with an empty part
wrong "VNC at a host that is none" 'nowhere..invalid' -vnc nowhere..invalid:1
wrong "VNC socket that cannot be" 'nowhere' -vnc unix:/nowhere/at/all
hold_port
wrong "VNC port in use is named" "port $port is in use" -vnc "127.0.0.1:$((port - 5900))"
wrong "network back end of an unknown kind" '^transom: -netdev usr: no network back end .*mean user' -netdev usr,id=n
wrong "-netdev without id" '^transom: -netdev user: id= is missing' -netdev user
wrong "-nic with a wrong property" 'no property .hostfw. \(did you mean hostfwd' -nic user,hostfw=tcp::1-:2
wrong "unknown network card" 'did you mean e1000' -nic user,model=e1001
wrong "an address that is none" 'mac=52:54: six' -nic user,mac=52:54
wrong "a netdev that is not there" "there is no netdev 'x'" -device e1000,netdev=x
wrong "a netdev for two cards" "rtl8139: netdev 'n' is in use by e1000" -netdev hubport,hubid=0,id=n \
    -device e1000,netdev=n -device rtl8139,netdev=n
wrong "old -net nic with a property it has not" "no property 'vlan'" -net nic,vlan=1
wrong "-global of an unknown device" 'did you mean e1000' -global e1001.mac=x
wrong "-global of an unknown property" "did you mean mac" -global e1000.mca=x
wrong "forwarded port in use is named" "TCP port $port: Address already in use" -nic "user,hostfwd=tcp:127.0.0.1:$port-:22"
wrong "listening at a port in use names it" "127.0.0.1:$port: Address already in use" -nic "socket,listen=127.0.0.1:$port"
wrong "serial port that cannot open" 'nowhere' -serial file:/nowhere/at/all
wrong "serial to a socket nobody serves" 'nobody' -serial "unix:$work/nobody"
wrong "-chardev of an unknown kind" "did you mean 'socket'" -chardev sokcet,id=a
wrong "-chardev without id" 'id= is wanted' -chardev null
wrong "two character devices of one id" "id 'a' is taken" -chardev null,id=a -chardev null,id=a
wrong "-mon without its character device" "-mon chardev:nothing: there is no" -mon nothing
wrong "-mon of an unknown mode" 'mode is readline or control' -chardev null,id=a -mon a,mode=x
wrong "two users of one character device" 'in use \(mux=on' -chardev null,id=a -mon a -serial chardev:a
wrong "-qmp nowhere" 'No such file' -qmp unix:/no/where,server=on,wait=off
wrong "TLS" 'tls-creds is not supported' -chardev socket,id=a,port=1,server=on,tls-creds=t
wrong "serial port in use is named" "port $port is already in use" -serial "tcp:127.0.0.1:$port,server=on,wait=off"
end "$busy"
wrong "memory of another size" '-m says' -object memory-backend-ram,id=r,size=1M -machine memory-backend=r -m 32
wrong "an object of an unknown kind" "kind 'iothread' is not supported" -object iothread,id=t
wrong "a secret that is not there" 'No such file' -object secret,id=s,file=/no/where
wrong "a port beyond all" "port '99999999' is not from 0 to 65535" -serial tcp::99999999
wrong "a debugger's port beyond all" "port '65536' is not" -gdb tcp::65536
wrong "a network's port beyond all" "port '65536' is not" -nic socket,connect=127.0.0.1:65536
wrong "JSON that ends too early names its option" '^transom: -blockdev .*not well-formed' -blockdev '{"driver":"file"'
wrong "a device in JSON that is none" 'isa-debug-exti: unknown device' -device '{"driver":"isa-debug-exti"}'
wrong "more vCPUs than there can be" 'up to 64 vCPUs' -smp 99999
wrong "-overcommit neither on nor off" 'on or off' -overcommit mem-lock=maybe
wrong "standard output in the background" 'given up with -daemonize' -daemonize -serial stdio

# full NAME COMMAND...: what is printed onto a full disk is not lost in silence
full() {
    local name=$1
    shift
    status=0
    timeout -k 5 120 "$@" > /dev/full 2> "$work/wrong.err" < /dev/null || status=$?
    if [ "$status" = 1 ] && [ "$(wc -l < "$work/wrong.err")" = 1 ] && grep -q 'standard output: ' "$work/wrong.err"; then
        pass "$name"
    else
        fail "$name" "status $status: $(tail_of "$work/wrong.err")"
    fi
}
full "help onto a full disk" "$TRANSOM" -help
full "versions onto a full disk" "$TRANSOM" -version
full "what an image is, onto a full disk" "$TRANSOM-img" info "$work/empty"

# a guest that writes onto a full disk goes on, and the user is told once
lost() {
    local name=$1
    shift
    run_for 300 "$work/lost" -bios "$BUILD/tests/guest/prot.bin" -display none -device isa-debug-exit -no-reboot "$@"
    if [ "$status" = 33 ] && [ "$(grep -c 'No space left on device' "$work/lost")" = 1 ]; then
        pass "$name"
    else
        fail "$name" "status $status: $(tail_of "$work/lost")"
    fi
}
if [ -e "$BUILD/tests/guest/prot.bin" ]; then
    lost "output onto a full disk" -debugcon file:/dev/full
    lost "log of output onto a full disk" -chardev null,id=c,logfile=/dev/full -debugcon chardev:c
else
    skip "output onto a full disk" "no firmware images in $BUILD/tests/guest"
fi

# no file of its own gets the number of one that was closed
"$TRANSOM" -display none -S -m 16 -pidfile "$work/closed.pid" 0<&- 1>&- 2>&- &
closed=$!
wait_for 120 "$work/closed.pid" "^$closed\$" "$closed"
taken=$(for fd in 0 1 2; do readlink "/proc/$closed/fd/$fd"; done | sort -u)
if [ "$taken" = /dev/null ]; then pass "without standard files"; else fail "without standard files" "$taken"; fi
end "$closed"

wrong "log file that cannot open" 'nowhere' -D /nowhere/log -d int
wrong "a KVM flag on the translator" 'kvm-asyncpf.* needs KVM' -cpu max,+kvm-asyncpf -accel tcg
