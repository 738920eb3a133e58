# common.sh - sourced by the guest tests: what is run, and how results are told
#
# TRANSOM: the emulator; BUILD: where images, kernels and logs go.
# A test prints "ok NAME", "FAIL NAME: why" or "skip NAME: why"; tests/guest/run counts.

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
TRANSOM=${TRANSOM:-$top/transom}
BUILD=${BUILD:-$top/build}
work=$BUILD/tests/guest/work
mkdir -p "$work"
# what other programs print is compared: gdb, stat, apt
export LC_ALL=C
unset CDPATH
# the translator is what these tests are about, wherever they run
export TRANSOM_KVM_PROBE=${TRANSOM_KVM_PROBE-slow}
cd "$top"

pass() { echo "ok $1"; }
fail() { echo "FAIL $1: $2"; }
skip() { echo "skip $1: $2"; }

# first_words FILE: some lines for a message of failure
tail_of() { tail -n 3 "$1" | tr -c '[:print:]' ' ' | cut -c 1-200; }

# run_for SECONDS LOG ARG...: transom with a time limit; sets status
run_for() {
    local seconds=$1 log=$2
    shift 2
    status=0
    timeout -k 5 "$seconds" "$TRANSOM" "$@" > "$log" 2>&1 < /dev/null || status=$?
}

# why_no_kvm: prints why KVM cannot be had here, nothing where it can
why_no_kvm() {
    (unset TRANSOM_KVM_PROBE
     echo quit | timeout 60 "$TRANSOM" -accel kvm -m 16 -display none -S -monitor stdio 2>&1 > /dev/null | grep -v warning: | head -n 1)
}

# wait_for SECONDS FILE PATTERN PID: until a line matches; fails when the process ends before
wait_for() {
    local deadline=$((SECONDS + $1))
    while [ "$SECONDS" -le "$deadline" ]; do
        grep -aqE "$3" "$2" 2> /dev/null && return 0
        kill -0 "$4" 2> /dev/null || break
        sleep 0.2
    done
    grep -aqE "$3" "$2" 2> /dev/null
}

# end PID: ends an emulator that a test has started
end() {
    kill "$1" 2> /dev/null || true
    wait "$1" 2> /dev/null || true
}

# unpack MODULE...: from the kernel's package in $demo into root/lib of an initial RAM disk made anew in $dir
unpack() {
    local deb m pattern=()
    deb=$(ls "$demo"/linux-image-[0-9]*.deb 2> /dev/null | head -n 1)
    [ -n "$deb" ] || return 1
    for m; do pattern+=("./lib/modules/*/kernel/$m.ko"); done
    rm -rf "$dir"
    mkdir -p "$dir/root/bin" "$dir/root/lib"
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir" --wildcards "${pattern[@]}"
    for m; do mv "$dir"/lib/modules/*/kernel/"$m.ko" "$dir/root/lib/"; done
}

# pack_guest FILE: $dir/root, which unpack began and whose /init is written, with a busybox, as $dir/FILE
pack_guest() {
    cp -L "$demo/busybox" "$dir/root/bin/busybox"
    chmod 755 "$dir/root/init"
    (cd "$dir/root" && find . | cpio -o -H newc --quiet) > "$dir/$1"
}

# by_python SECONDS NAME ARG...: NAME.py tells results; it runs in $dir, for a socket's path is short
by_python() {
    local seconds=$1 name=$2
    shift 2
    (cd "$dir" && PYTHONDONTWRITEBYTECODE=1 timeout -k 5 "$seconds" python3 "$here/$name.py" "$TRANSOM" . "$@") 2> "$dir/log"
    [ $? -le 1 ] || fail "$name" "$(tail_of "$dir/log")"
}
