#!/bin/bash
# demo.sh - what "make demo" does: from a clone to a prompt in a guest
#
# DEMO_CMD: shell command to run in the guest instead of a shell
# DEMO_ARGS: more options for transom
set -eu
cd "$(dirname "$0")/.."

tools/install-deps.sh build
[ -f config.mk ] || ./configure
${MAKE:-make} all
tools/fetch-guest.sh build/demo
tools/mkinitramfs.sh build/demo/busybox build/demo/initramfs.cpio "${DEMO_CMD:-}"

if [ -z "${DEMO_CMD:-}" ]; then
    echo "Booting; Ctrl-A x ends the emulator, Ctrl-A h lists its keys."
fi
# shellcheck disable=SC2086
exec ./transom -kernel build/demo/vmlinuz -initrd build/demo/initramfs.cpio \
    -append "console=ttyS0${DEMO_CMD:+ quiet}" -m 512 -nographic -no-reboot ${DEMO_ARGS:-}
