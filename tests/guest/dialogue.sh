# dialogue.sh - sourced by tests that talk to a guest through a terminal
#
# start runs an emulator, expect waits for text, say and press type. One guest at a
# time; $guest is its name in messages. A step that fails says so and returns 1.

trap '' PIPE                         # an emulator that has ended does not end the test
limit=${REAL_TIME:-5}

# start ARG...: what the guest writes goes to $log
start() {
    log=$work/real-$guest.log at=0
    began=$(date +%s%N)
    rm -f "$work/in"
    : > "$log"
    mkfifo "$work/in"
    exec 8<> "$work/in"
    "$TRANSOM" "$@" < "$work/in" > "$log" 2>&1 8>&- &
    pid=$!
}

press() { printf "$1" >&8; }
say() { printf '%s\r' "$1" >&8; }

# The guest's text without the terminal's escape sequences.
plain() { sed -E 's/\x1b\[[0-9;?]*[A-Za-z]//g; s/\x1b[()][A-Z0-9]//g; s/\x1b[a-zA-Z]//g' "$log" | tr -d '\r\000'; }

# found PATTERN: from $at on; $at is then behind it, $line what matched
found() {
    local hit
    hit=$(plain | tail -c +$((at + 1)) | LC_ALL=C grep -aobE "$1" | head -n 1)
    [ -n "$hit" ] || return 1
    line=${hit#*:}
    at=$((at + ${hit%%:*} + ${#line}))
}

# expect SECONDS PATTERN
expect() {
    local deadline=$((SECONDS + $1 * limit)) ended=
    until found "$2"; do
        if [ -n "$ended" ] || [ $SECONDS -ge $deadline ]; then
            fail "$guest" "no '$2' within $(($1 * limit)) s${ended:+, ended before}: $(plain | tail -c 200 | tr -c '[:print:]' ' ')"
            return 1
        fi
        kill -0 "$pid" 2> /dev/null || ended=yes     # and look a last time
        sleep 0.1
    done
}

# tells: how long it took, and the line that proves it
tells() {
    echo "# $guest: $((($(date +%s%N) - began) / 1000000)) ms, '$line'"
    pass "$guest"
}

# proved SECONDS PATTERN [after EARLIER]
proved() {
    [ -z "${4:-}" ] || expect "$1" "$4" || return
    expect "$1" "$2" && tells
}

# The text on the VGA's screen, read through the monitor: every other byte of 4000.
screen() {
    : > "$work/screen"
    at=$(wc -c < "$log")
    say 'xp /4000xb 0xb8000'
    sleep 0.5
    tail -c +$((at + 1)) "$log" | tr -d '\r' | sed -n 's/^[0-9a-f]*: //p' | tr ' ' '\n' | sed -n '1~2s/0x/\\x/p' |
        tr -d '\n' | sed 's/$/\n/' > "$work/screen"
    printf "$(cat "$work/screen")" | tr -c '[:print:]' ' '
}

# seen_on_screen SECONDS PATTERN: anywhere on it, lines joined, runs of blanks as one
seen_on_screen() {
    local deadline=$((SECONDS + $1 * limit)) text=
    while [ $SECONDS -lt $deadline ] && kill -0 "$pid" 2> /dev/null; do
        sleep 0.5
        text=$(screen)
        line=$(echo "$text" | tr -s ' ' | grep -aoE "$2") && { tells; return; }
    done
    fail "$guest" "no '$2' on the screen: $(echo "$text" | tr -s ' ' | tail -c 400)"
}

# finish: end the emulator, if any
finish() {
    [ -n "${pid:-}" ] || return 0
    end "$pid"
    exec 8>&-
    pid=
}
