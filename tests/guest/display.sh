#!/bin/bash
# display.sh - pictures of real guests, compared with stored ones
#
# SeaBIOS text, GRUB's graphical menu, the Linux console on a VESA frame buffer, an X session.
# Keys come through the monitor's sendkey. PICTURES=DIR stores new ones instead.
. "$(dirname "$0")/common.sh"

pictures=$here/pictures
dir=$BUILD/demo
shots=$work/display
mkdir -p "$shots"

# guest ARG...: starts it with a monitor on fd 8; its serial port goes to $log
guest() {
    log=$shots/$name.serial
    : > "$log"
    rm -f "$shots/monitor"
    mkfifo "$shots/monitor"
    timeout -k 5 1500 "$TRANSOM" -display none -net none -m 512 -monitor stdio -serial "file:$log" "$@" \
        < "$shots/monitor" > "$shots/$name.monitor" 2>&1 &
    pid=$!
    exec 8> "$shots/monitor"
}

finish() {
    echo quit >&8 2> /dev/null
    exec 8>&-
    wait "$pid"
}

# shot FILE: the picture as it is now
shot() {
    rm -f "$1"
    echo "screendump $1 -f png" >&8
    for _ in $(seq 600); do
        grep -q . "$1" 2> /dev/null && sleep 0.1 && return
        kill -0 "$pid" 2> /dev/null || return 1
        sleep 0.1
    done
    return 1
}

# looks_like NAME SECONDS [PERMILLE]: the picture becomes the stored one
looks_like() {
    local deadline=$((SECONDS + $2)) why="no picture"
    if [ -n "${PICTURES:-}" ]; then
        sleep 15
        shot "$shots/$1.png" && cp "$shots/$1.png" "$PICTURES/" && pass "display: $1 stored"
        return
    fi
    while [ "$SECONDS" -le "$deadline" ]; do
        if shot "$shots/$1.png"; then
            if why=$(python3 "$here/picdiff.py" "$shots/$1.png" "$pictures/$1.png" "${3:-5}" 2>&1); then
                pass "display: $1 ($why)"
                return
            fi
        fi
        kill -0 "$pid" 2> /dev/null || break
        sleep 0.5
    done
    fail "display: $1" "$why; $(tail_of "$log")"
    return 1
}

missing() {
    for need; do
        command -v "$need" > /dev/null || { echo "$need"; return 0; }
    done
    return 1
}

if what=$(missing python3 grub-mkrescue xorriso mformat cpio); then
    skip display "no $what"
    exit 0
fi
if ! "$top/tools/fetch-guest.sh" "$dir" > "$shots/fetch.log" 2>&1; then
    skip display "$(tail_of "$shots/fetch.log")"
    exit 0
fi

# ---- the disc ----------------------------------------------------------------------------

pack() { (cd "$1" && find . | cpio -o -H newc 2> /dev/null | gzip -1) > "$2"; }

console_files() {
    rm -rf "$shots/console"
    mkdir -p "$shots"/console/{bin,dev}
    cp -L "$dir/busybox" "$shots/console/bin/busybox"
    ln -s busybox "$shots/console/bin/sh"
    cat > "$shots/console/init" <<'END'
#!/bin/sh
/bin/busybox mount -t devtmpfs none /dev
exec < /dev/tty0 > /dev/tty0 2>&1
printf '\033[2J\033[H\033[?25lLinux console on a frame buffer\r\n\n'
i=0
while [ $i -lt 16 ]; do
    printf '\033[%dm colour %2d \033[0m \033[1;%dmbright\033[0m\r\n' $((40 + i % 8)) $i $((30 + i % 8))
    i=$((i + 1))
done
echo "console: drawn" > /dev/ttyS0
/bin/busybox stty -icanon
line=
while :; do
    IFS= read -r -n 1 key
    case $key in
    '') echo "typed: $line" > /dev/ttyS0; line= ;;
    *) line=$line$key; echo "key: $line" > /dev/ttyS0 ;;
    esac
done
END
    chmod 755 "$shots/console/init"
}

make_disc() {
    rm -rf "$shots/disc"
    mkdir -p "$shots/disc/boot/grub"
    cp -L "$dir/vmlinuz" "$shots/disc/vmlinuz"
    console_files
    pack "$shots/console" "$shots/disc/console.gz"
    x=yes
    if bash "$here/lib/x-files.sh" "$shots/x" "$dir/busybox" 2> "$shots/x.log"; then
        pack "$shots/x" "$shots/disc/x.gz"
    else
        x=$(tail_of "$shots/x.log")
    fi
    cat > "$shots/disc/boot/grub/grub.cfg" <<'END'
set timeout=-1
set gfxmode=1024x768x32
set gfxpayload=keep
loadfont unicode
insmod all_video
insmod gfxterm
terminal_output gfxterm
menuentry "Linux console" {
    linux /vmlinuz quiet console=ttyS0 console=tty0 vt.global_cursor_default=0
    initrd /console.gz
}
menuentry "X session" {
    linux /vmlinuz quiet console=tty0 vt.global_cursor_default=0
    initrd /x.gz
}
END
    grub-mkrescue -o "$shots/disc.iso" "$shots/disc" > "$shots/grub.log" 2>&1
}

if ! make_disc; then
    fail display "grub-mkrescue: $(tail_of "$shots/grub.log")"
    exit 0
fi

# ---- the pictures ---------------------------------------------------------------------------

name=seabios
guest
looks_like seabios 180
finish

name=console
guest -cdrom "$shots/disc.iso"
if looks_like grub 300; then
    echo "sendkey ret" >&8
    if wait_for 400 "$log" 'console: drawn' "$pid"; then
        looks_like console 120
        # a key when the one before has arrived, for a keyboard's buffer is small
        typed=
        for key in h:h e:e l:l l:l o:o 'spc: ' shift-w:W dot:.; do
            typed=$typed${key#*:}
            echo "sendkey ${key%%:*} 30" >&8
            wait_for 120 "$log" "key: ${typed//./[.]}" "$pid" || break
        done
        echo "sendkey ret 30" >&8
        if wait_for 120 "$log" 'typed: hello W\.' "$pid"; then
            pass "display: keys reach the guest"
        else
            fail "display: keys reach the guest" "$(tail_of "$log")"
        fi
    else
        fail "display: console" "$(tail_of "$log")"
    fi
fi
finish

name=x
if [ "$x" != yes ]; then
    skip "display: x" "$x"
    exit 0
fi
guest -cdrom "$shots/disc.iso"
if looks_like grub 300 > /dev/null; then
    echo "sendkey down" >&8
    sleep 1
    echo "sendkey ret" >&8
    if wait_for 900 "$log" 'X: session' "$pid"; then
        looks_like x 200
    else
        fail "display: x" "$(tail_of "$log")"
    fi
fi
finish
