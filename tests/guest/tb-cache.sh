#!/bin/bash
# tb-cache.sh - -accel tcg,tb-cache=FILE: a second boot takes its translations from there; which files are not taken
set -u
. "$(dirname "$0")/common.sh"

dir=$work/tb-cache
log=$work/tb-cache.log
chmod -R u+rwx "$dir" 2> /dev/null
rm -rf "$dir"
mkdir -m 700 "$dir"
file=$dir/file

# ---- images of our own -------------------------------------------------------------

# rom NAME [OPTION]...: one that ends with status 33 when all its tests passed
rom() {
    local name=$1
    shift
    run_for 300 "$log" -accel "tcg,tb-cache=$file" -bios "$BUILD/tests/guest/$name.bin" -display none \
        -debugcon null -device isa-debug-exit -no-reboot "$@"
}

# passed NAME NOTE: the last one did; it said of the file what is a NOTE, or nothing
passed() {
    local said
    said=$(grep -a 'tb-cache' "$log")
    if [ "$status" != 33 ]; then
        fail "$1" "status $status, $(tail_of "$log")"
    elif [ -n "$2" ] && [[ $said != *"$2"*"made anew"* ]] || [ -z "$2" ] && [ -n "$said" ]; then
        fail "$1" "'$2' is wanted, not '$said'"
    elif [ "$(stat -c '%F %a' "$file")" != "regular file 600" ]; then
        fail "$1" "the file: $(stat -c '%F %a' "$file")"
    else
        pass "$1"
    fi
}

echo "# firmware images of our own"
rom prot; passed "first run" ""
rom prot; passed "second run" ""
rom real; passed "other code with the same file" ""
rom long; passed "and other code" ""
rom prot -smp 2; passed "made for one vCPU" "other CPU features or options"
rom prot -smp 2 -cpu max,-avx2; passed "made for another CPU" "other CPU features or options"

rom prot; rom prot
byte=$(od -An -tu1 -j 5000 -N 1 "$file")
printf "\\$(printf %o $((255 - byte)))" | dd of="$file" bs=1 seek=5000 conv=notrunc status=none
rom prot; passed "a byte changed" "is damaged"
rom prot; passed "after that" ""
truncate -s 6000 "$file"
rom prot; passed "cut short" "is damaged"
head -c 100000 /dev/urandom > "$file"
rom prot; passed "garbage" "holds no translations"

echo "# two at once"
rm -f "$file"
for i in 1 2; do
    for _ in 1 2 3; do
        (work=$dir log=$dir/log$i; rom prot; [ "$status" = 33 ] || echo "status $status: $(tail_of "$log")" >> "$dir/failed")
    done &
done
wait
rom prot
if [ -e "$dir/failed" ]; then
    fail "two at once" "$(tail_of "$dir/failed")"
else
    passed "two at once" ""
fi
if find "$dir" -name '.file.*' | grep -q .; then
    fail "nothing is left over" "$(ls -A "$dir")"
else
    pass "nothing is left over"
fi

# ---- what is refused --------------------------------------------------------------------

# refused NAME WORDS: the file as it is now; one line, status 1, and it stays as it is
refused() {
    local was
    was=$(stat -c '%F %a %u %s' "$file" 2>&1)
    rom prot
    if [ "$status" = 1 ] && [ "$(wc -l < "$log")" = 1 ] && grep -aq "tb-cache.*$2" "$log" \
        && [ "$was" = "$(stat -c '%F %a %u %s' "$file" 2>&1)" ]; then
        pass "$1 is refused"
    else
        fail "$1 is refused" "status $status, $(tail_of "$log")"
    fi
}

echo "# what is refused"
mv "$file" "$dir/good"
ln -s good "$file"; refused "a symbolic link" "a symbolic link"; rm "$file"
mkfifo "$file"; refused "a pipe" "not a regular file"; rm "$file"
mkdir "$file"; refused "a directory" "not a regular file"; rmdir "$file"
cp "$dir/good" "$file"
chmod 660 "$file"; refused "a file that a group may write" "others may write to it"
chmod 600 "$file"
if chown $(($(id -u) == 65534 ? 65533 : 65534)) "$file" 2> /dev/null; then
    refused "another user's file" "belongs to another user"
    chown "$(id -u)" "$file"
else
    skip "another user's file is refused" "only root can make one"
fi
chmod 777 "$dir"; refused "a directory where others rename" "others may write to its directory"
chmod 700 "$dir"
rom prot; passed "the file itself is good" ""
file=$dir/none/file; refused "a directory that is not there" "No such file"
file=$dir/file
run_for 300 "$log" -accel "tcg,backend=interp,tb-cache=$file" -display none -S
if [ "$status" = 1 ] && grep -aq 'only with backend=host' "$log"; then
    pass "the interpreter has none"
else
    fail "the interpreter has none" "status $status, $(tail_of "$log")"
fi

# ---- a boot ---------------------------------------------------------------------------------

# boot N: Debian's kernel to power-off, then "info jit" to $dir/jit.N, what /init printed to $dir/init.N
boot() {
    local serial=$dir/serial.$1
    rm -f "$serial"
    mkfifo "$dir/monitor.$1"
    timeout -k 5 900 "$TRANSOM" -accel "tcg,tb-cache=$dir/boot" -kernel "$demo/vmlinuz" -initrd "$dir/initrd" \
        -append "console=ttyS0 panic=-1 nokaslr" -m 512 -display none -serial "file:$serial" -no-shutdown \
        -monitor stdio < "$dir/monitor.$1" > "$dir/jit.$1" 2>&1 &
    exec 3> "$dir/monitor.$1"
    wait_for 880 "$serial" 'reboot: Power down' $! || fail "boot $1" "$(tail_of "$serial")"
    printf 'info jit\nquit\n' >&3
    exec 3>&-
    wait $!
    status=$?
    tr -d '\r' < "$serial" | sed -n '/^begin-of-init/,/^end-of-init/p' > "$dir/init.$1"
}

echo "# Debian, twice"
demo=$BUILD/demo
if ! tools/fetch-guest.sh "$demo" > "$work/fetch.log" 2>&1; then
    skip "Debian, twice" "$(tail -n 1 "$work/fetch.log")"
    exit 0
fi
tools/mkinitramfs.sh "$demo/busybox" "$dir/initrd" 'echo begin-of-init; md5sum /bin/busybox; uname -a;
    seq 1 2000 | awk "{ s += \$1 * \$1; print s }" | sort -r | gzip | gunzip | sha256sum; ls -l / | awk "{ print \$1, \$NF }"; echo end-of-init' || exit 1
boot 1
first=$status
boot 2
if [ "$first$status" = 00 ] && [ -s "$dir/init.1" ] && cmp -s "$dir/init.1" "$dir/init.2"; then
    pass "both say the same"
else
    fail "both say the same" "status $first $status, $(diff "$dir/init.1" "$dir/init.2" | head -n 3 | tr '\n' ' ')"
fi
taken=$(sed -n 's/.*cache file: \([0-9]*\) blocks of .*/\1/p' "$dir/jit.2" | tail -n 1)
made=$(sed -n 's/^translations \([0-9]*\),.*/\1/p' "$dir/jit.2" | tail -n 1)
if [ "${taken:-0}" -gt 10000 ] && [ "$((taken * 10))" -gt "$(((taken + ${made:-$taken}) * 9))" ]; then
    pass "translations come from the file"
else
    fail "translations come from the file" "${taken:-none} of $((${taken:-0} + ${made:-0})), $(tail_of "$dir/jit.2")"
fi
echo "# $taken blocks taken, $made made"
rm -rf "$dir"
