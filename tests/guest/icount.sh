#!/bin/bash
# icount.sh - with -icount two runs are the same run, and both back ends count alike
set -u
. "$(dirname "$0")/common.sh"

# counted NAME ARG...: one run; hashes in $work/icount-NAME.hash
counted() {
    local name=$1
    shift
    run_for 600 "$work/icount-$name.log" -icount "shift=1,sleep=off,hash=$work/icount-$name.hash,$1" \
        -rtc base=2026-01-01 -display none "${@:2}"
}

# same NAME A B MINIMUM [FIELDS]: the two files have these columns in common, and so many lines
same() {
    local a=$work/icount-$2.hash b=$work/icount-$3.hash
    if [ "$(wc -l < "$a")" -lt "$4" ]; then
        fail "$1" "$(wc -l < "$a") hashes instead of $4: $(tail_of "$work/icount-$2.log")"
    elif cmp -s <(cut -d ' ' -f "${5:-1-3}" "$a") <(cut -d ' ' -f "${5:-1-3}" "$b"); then
        pass "$1"
    else
        fail "$1" "$(diff <(cut -d ' ' -f "${5:-1-3}" "$a") <(cut -d ' ' -f "${5:-1-3}" "$b") | sed -n '2p')"
    fi
}

bare() {
    local image=$BUILD/tests/guest/$1.bin lines=$2
    [ -f "$image" ] || { skip "counted: $1" "no $image: bare.sh makes it"; return; }
    set -- "$1" every=10000 -m 64 -device isa-debug-exit,iobase=0x501 -no-reboot -bios "$image"
    counted "$1-a" "${@:2}"
    counted "$1-b" "${@:2}"
    counted "$1-interp" "${@:2}" -accel tcg,backend=interp
    same "counted: $1, twice" "$1-a" "$1-b" "$lines"
    # not the registers: what the manual leaves undefined in flags is the host's in translated code
    same "counted: $1, translated and interpreted" "$1-a" "$1-interp" "$lines" 1,3
}

echo "# bare-metal programs, state hashes every 10,000 instructions"
bare prot 100
bare long 100

# disk NAME ARG...: the firmware boots from it and serves sectors.S
disk() {
    local name=$1
    shift
    set -- "$name" every=100000 -m 32 -device isa-debug-exit,iobase=0x501 -no-reboot -nic none "$@"
    counted "$name-a" "${@:2}"
    [ "$status" = 33 ] || fail "counted: $name, read and written" "status $status, $(tail_of "$work/icount-$name-a.log")"
    counted "$name-b" "${@:2}"
    same "counted: $name, twice" "$name-a" "$name-b" 50
}

echo "# disks: requests end at a time of the guest's"
if "${X86_CC:-gcc}" -m32 -nostdlib -static -no-pie -Wl,--build-id=none,--oformat=binary,-Ttext=0x7c00 \
    -o "$work/sectors.img" "$here/sectors.S" 2> "$work/sectors.log" && truncate -s 1M "$work/sectors.img"; then
    disk virtio-blk -drive "file=$work/sectors.img,format=raw,if=virtio,snapshot=on"
    disk ide -drive "file=$work/sectors.img,format=raw,if=ide,snapshot=on"
    disk ahci -machine q35 -drive "file=$work/sectors.img,format=raw,snapshot=on"
    disk nvme -drive "file=$work/sectors.img,format=raw,if=none,id=d,snapshot=on" -device nvme,drive=d,serial=n
else
    skip "counted: disks" "$(tail_of "$work/sectors.log")"
fi

if tools/fetch-guest.sh "$BUILD/demo" > "$work/fetch.log" 2>&1 &&
    tools/mkinitramfs.sh "$BUILD/demo/busybox" "$work/icount.cpio" 'echo init-was-here'; then
    echo "# the first 300 million instructions of a Debian kernel, every million"
    for run in a b; do
        counted "linux-$run" stop=300000000 -m 256 -kernel "$BUILD/demo/vmlinuz" -initrd "$work/icount.cpio" \
            -append console=ttyS0 -serial null
    done
    same "counted: Debian kernel, twice" linux-a linux-b 300
else
    skip "counted: Debian kernel" "$(tail -n 1 "$work/fetch.log")"
fi
