#!/bin/bash
# viewers.sh - a person at the window and at a VNC viewer: types, and sees what the guest
# makes of it. Both on an X server of our own (Xvfb), driven by xdotool.
. "$(dirname "$0")/common.sh"

dir=$BUILD/demo
shots=$work/viewers
rm -rf "$shots"
mkdir -p "$shots"/root/{bin,dev}

missing() {
    for need; do
        command -v "$need" > /dev/null || { echo "$need"; return 0; }
    done
    return 1
}
if what=$(missing Xvfb xdotool xwd xtigervncviewer tigervncpasswd python3 cpio); then
    skip viewers "no $what"
    exit 0
fi
if ! "$top/tools/fetch-guest.sh" "$dir" > "$shots/fetch.log" 2>&1; then
    skip viewers "$(tail_of "$shots/fetch.log")"
    exit 0
fi

cp -L "$dir/busybox" "$shots/root/bin/busybox"
ln -s busybox "$shots/root/bin/sh"
cat > "$shots/root/init" <<'END'
#!/bin/sh
/bin/busybox mount -t devtmpfs none /dev
exec < /dev/tty0 > /dev/tty0 2>&1
printf '\033[2J\033[H\033[?25lType here\r\n\n'
echo "guest: ready" > /dev/ttyS0
/bin/busybox stty -icanon
line=
while :; do
    IFS= read -r -n 1 key
    case $key in
    '') echo "typed: $line" > /dev/ttyS0; line= ;;
    *) line=$line$key; echo "so far: $line" > /dev/ttyS0 ;;
    esac
done
END
chmod 755 "$shots/root/init"
(cd "$shots/root" && find . | cpio -o -H newc 2> /dev/null | gzip -1) > "$shots/root.gz"

# an X server that chooses its own number, and goes on when the last client leaves
exec 9> "$shots/number"
Xvfb -noreset -displayfd 9 -screen 0 1280x1024x24 -nolisten tcp > "$shots/xvfb.log" 2>&1 &
server=$!
until [ -s "$shots/number" ] || ! kill -0 "$server" 2> /dev/null; do sleep 0.1; done
DISPLAY=:$(cat "$shots/number")
unset WAYLAND_DISPLAY
export DISPLAY SDL_VIDEODRIVER=x11

# start NAME ARG...: a guest with a monitor on fd 8
start() {
    name=$1
    shift
    log=$shots/$name.serial
    : > "$log"
    rm -f "$shots/monitor"
    mkfifo "$shots/monitor"
    timeout -k 5 1200 "$TRANSOM" -net none -m 256 -bios bios-256k.bin -name "$name" -monitor stdio -serial "file:$log" \
        -kernel "$dir/vmlinuz" -initrd "$shots/root.gz" -append "quiet console=tty0 vt.global_cursor_default=0" "$@" \
        < "$shots/monitor" > "$shots/$name.monitor" 2>&1 &
    pid=$!
    exec 8> "$shots/monitor"
    wait_for 600 "$log" 'guest: ready' "$pid" && return
    fail "viewers: $name" "$(tail_of "$shots/$name.monitor")"
    return 1
}

finish() {
    echo quit >&8 2> /dev/null
    exec 8>&-
    wait "$pid"
}

# window TITLE: waits for it; sets win
window() {
    for _ in $(seq 600); do
        win=$(xdotool search --onlyvisible --name "$1" 2> /dev/null | tail -n 1)
        [ -n "$win" ] && sleep 1 && xdotool windowfocus "$win" && return
        sleep 0.2
    done
    fail "viewers: $name" "no window '$1'"
    return 1
}

# shot FILE: the guest's picture; fails when there is none
shot() {
    rm -f "$1"
    echo "screendump $1 -f png" >&8
    for _ in $(seq 600); do
        [ -s "$1" ] && sleep 0.2 && return
        sleep 0.1
    done
    return 1
}

# type_text TEXT: a key when the one before has arrived, for a keyboard's buffer is small
type_text() {
    local n deadline
    for ((n = 1; n <= ${#1}; n++)); do
        deadline=$((SECONDS + 200))
        xdotool type -- "${1:n - 1:1}"
        until grep -aqF "so far: ${1:0:n}" "$log" || [ $SECONDS -gt $deadline ]; do sleep 0.05; done
    done
    xdotool key Return
}

# type_and_look: what is typed reaches the guest, and the window shows what it made of it
type_and_look() {
    sleep 1
    shot "$shots/$name-before.png"
    type_text 'Hello, (World) 42!'
    if ! wait_for 200 "$log" 'typed: Hello, \(World\) 42!' "$pid"; then
        fail "viewers: $name: typing reaches the guest" "$(tail_of "$log")"
        return
    fi
    pass "viewers: $name: typing reaches the guest"
    local why=
    for _ in $(seq 120); do
        sleep 0.5
        shot "$shots/$name.png" || continue
        if python3 "$here/picdiff.py" "$shots/$name-before.png" "$shots/$name.png" 0 > /dev/null 2>&1; then
            why="the guest's picture has not changed"
            continue
        fi
        xwd -silent -id "$win" -out "$shots/$name.xwd" 2> /dev/null || continue
        why=$(python3 "$here/picdiff.py" "$shots/$name.xwd" "$shots/$name.png" 0.5 2>&1) &&
            pass "viewers: $name: the picture follows ($why)" && return
    done
    fail "viewers: $name: the picture follows" "$why"
}

if start window -display sdl; then
    window 'Transom \(window\)' && type_and_look
    echo stop >&8
    for _ in $(seq 600); do
        title=$(xdotool getwindowname "$win" 2> /dev/null)
        case $title in *'[Paused]'*) break ;; esac
        sleep 0.2
    done
    case $title in
    *'[Paused]'*) pass "viewers: the title tells the state" ;;
    *) fail "viewers: the title tells the state" "$title" ;;
    esac
fi
finish

# seen_with ENCODING: a viewer that prefers this one is sent pictures in it (the server counts them when
# the viewer is gone) and shows what the guest shows
seen_with() {
    name=vnc-$1
    start "$name" -vnc "unix:${shots#"$top"/}/vnc,password=on" -d display -D "$shots/$name.log" || return
    printf 'set_password vnc sesame\nprint 4242\n' >&8
    wait_for 120 "$shots/$name.monitor" 0x1092 "$pid"       # it is set
    xtigervncviewer -passwd "$shots/passwd" -RemoteResize=0 -AutoSelect=0 -PreferredEncoding="$1" -QualityLevel=9 \
        "${shots#"$top"/}/vnc" > "$shots/$name.viewer" 2>&1 &
    viewer=$!
    window "QEMU \\($name\\)" && type_and_look
    end "$viewer"
    if wait_for 120 "$shots/$name.log" "vnc:  $2 *: *[1-9]" "$pid"; then
        pass "viewers: $name: the picture came as $2"
    else
        fail "viewers: $name: the picture came as $2" "$(tail_of "$shots/$name.log")"
    fi
    finish
}

tigervncpasswd -f <<< sesame > "$shots/passwd"
seen_with ZRLE ZRLE
seen_with Tight tight
end "$server"
