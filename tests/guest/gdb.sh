#!/bin/bash
# gdb.sh - the real gdb on a Debian kernel and, from the reset vector on, on SeaBIOS
set -u
. "$(dirname "$0")/common.sh"

command -v gdb > /dev/null || { skip "gdb" "no gdb (Debian package gdb)"; exit 0; }

sock=${work#"$top"/}/gdb.sock       # a short name: a socket's has 107 bytes

# debug SCRIPT LOG ARG...: transom waits for gdb, which runs SCRIPT; $pid is transom's
debug() {
    local script=$1 log=$2
    shift 2
    rm -f "$sock"
    "$TRANSOM" -S -gdb "unix:$sock" -display none "$@" < /dev/null > "$work/gdb.err" 2>&1 &
    pid=$!
    until [ -S "$sock" ] || ! kill -0 "$pid" 2> /dev/null; do sleep 0.1; done
    timeout -k 5 900 gdb -nx -batch -ex 'set pagination off' -ex 'set confirm off' -ex "target remote $sock" \
        -x "$script" ${symbols:+"$symbols"} > "$log" 2>&1 < /dev/null
}

# lines NAME LOG PATTERN...: the log has them all, in this order
lines() {
    local name=$1 log=$2 from=1 at
    shift 2
    for pattern in "$@"; do
        at=$(tail -n "+$from" "$log" | grep -anE -m 1 -- "$pattern" | cut -d : -f 1)
        if [ -z "$at" ]; then
            fail "$name" "no '$pattern' behind line $from: $(tail_of "$log") $(tail_of "$work/gdb.err")"
            return
        fi
        from=$((from + at))
    done
    pass "$name"
}

# gdb gives up "stepi 1000" where the mode changes, so seabios() steps one by one.

# The kernel's addresses, as it tells them itself: an ELF file of nothing but symbols.
kernel_symbols() {
    local list=$work/kallsyms base=0xffffffff81000000
    tools/mkinitramfs.sh "$BUILD/demo/busybox" "$work/gdb.cpio" \
        "grep -E ' (start_kernel|jiffies_64|do_exit|kernel_init)\$' /proc/kallsyms" || return
    run_for 600 "$list" -kernel "$BUILD/demo/vmlinuz" -initrd "$work/gdb.cpio" -m 512 -display none -serial stdio \
        -append "console=ttyS0 quiet nokaslr" -no-reboot
    echo '.skip 0x4000000' | as --64 -o "$work/sym.o" - &&
        ld -m elf_x86_64 --section-start=.text=$base -e $base -o "$work/sym.elf" \
            -T <(echo 'SECTIONS { .text '$base' (NOLOAD) : { *(.text) } }') "$work/sym.o" || return
    tr -d '\r' < "$list" | while read -r addr kind name; do
        [[ $addr =~ ^ffffffff[0-9a-f]{8}$ ]] || continue
        case $kind in [tT]) kind=function ;; *) kind=object ;; esac
        echo "--add-symbol $name=.text:$((0x$addr - base)),$kind,global"
    done > "$work/sym.args"
    objcopy "@$work/sym.args" "$work/sym.elf"
    nm "$work/sym.elf" | grep -q start_kernel
}

kernel() {
    local name="gdb on a Debian kernel" log=$work/gdb-kernel.log
    echo "# $name: start_kernel, 1,000 steps, jiffies watched, to the shell and its end"
    kernel_symbols || { fail "$name" "no symbols: $(tail_of "$work/kallsyms")"; return; }
    tools/mkinitramfs.sh "$BUILD/demo/busybox" "$work/gdb.cpio" 'echo shell-was-here'
    cat > "$work/gdb.script" << 'END'
break start_kernel
continue
x/i $pc
stepi 1000
printf "behind 1000 steps: %#lx\n", $pc
watch *(unsigned long *) &jiffies_64
continue
continue
delete
tbreak kernel_init
continue
info registers cs efer
continue
END
    symbols=$work/sym.elf
    debug "$work/gdb.script" "$log" -kernel "$BUILD/demo/vmlinuz" -initrd "$work/gdb.cpio" -m 512 \
        -append "console=ttyS0 quiet nokaslr" -serial "file:$work/gdb-serial.log" -no-reboot
    wait "$pid"
    lines "$name" "$log" '^Breakpoint 1, 0xffffffff[0-9a-f]* in start_kernel' '^=> 0xffffffff[0-9a-f]* <start_kernel>' \
        '^behind 1000 steps: 0xffffffff8' '^Old value = ' '^New value = ' '^Old value = ' '^New value = ' \
        '^Temporary breakpoint .* in kernel_init' '^cs *0x10 ' '^efer .*LMA' 'exited normally'
    lines "the shell behind gdb" "$work/gdb-serial.log" '^shell-was-here'
}

seabios() {
    local name="gdb from the reset vector" log=$work/gdb-bios.log bios=$work/gdb-bios-console.log
    echo "# $name: 16-bit code at CS base + IP, 1,000 steps, a watchpoint met in 32-bit code"
    cat > "$work/gdb.script" << 'END'
show architecture
x/i $pc
break *0xfe05b
continue
set $i = 0
while $i < 1000
    stepi
    set $i = $i + 1
end
printf "behind %d steps: %#lx\n", $i, $pc
watch *(unsigned short *) 0x413
continue
show architecture
info registers cr0
detach
END
    symbols=
    rm -f "$bios"
    debug "$work/gdb.script" "$log" -debugcon "file:$bios"
    if wait_for 300 "$bios" 'No bootable device' "$pid"; then
        lines "$name" "$log" 'currently "i8086"' '^=> 0xfffffff0:.*ljmp +\$0xf000,\$0xe05b' '^Breakpoint 1, 0x0*fe05b' \
            '^behind 1000 steps: ' '^Old value = 0$' '^New value = 6[34][0-9]$' 'currently "i386"' '^cr0 .* PE'
    else
        fail "$name" "$(tail_of "$bios") $(tail_of "$log")"
    fi
    end "$pid"
}

seabios
if tools/fetch-guest.sh "$BUILD/demo" > "$work/fetch.log" 2>&1; then
    kernel
else
    skip "gdb on a Debian kernel" "$(tail -n 1 "$work/fetch.log")"
fi
