#!/bin/bash
# real.sh - software that we did not write proves itself by a line of its own output
#
# Boot loaders, a memory tester, network boot ROMs, kernels, firmware for UEFI and
# Debian's installer, all from Debian packages. Each guest is a function below
# whose last step is "proved NAME SECONDS PATTERN"; the line that matched is shown.
# REAL: "short" (default, in make check), "all" (make check-real), or names of guests
# REAL_TIME: factor on every time limit (5: no host is expected to need it)
set -u
. "$(dirname "$0")/common.sh"
. "$here/dialogue.sh"

short="memtest_iso_x64 grub_rescue grub_menu ipxe_prompt ipxe_interp ipxe_lkrn pxe_virtio cloud"
long="grub_interp memtest_pass memtest_interp memtest_iso_ia32 ipxe_iso pxe_e1000 pxe_rtl8139 pxe_ne2k cloud_firmware ovmf
    installer_iso installer_pxelinux installer_pxe_e1000 installer_pxe_virtio installer_pxe_rtl8139
    installer_pxe_ne2k"
packages=$BUILD/demo/packages
real=$work/real
mkdir -p "$packages" "$real"

# ---- packages ------------------------------------------------------------------------

# unpacked PACKAGE FILE: $got is FILE of PACKAGE, installed or downloaded and unpacked
unpacked() {
    got=/$2
    [ -e "$got" ] && return
    got=$packages/$1/$2
    [ -e "$got" ] && return
    (cd "$packages" && { ls "$1"_*.deb || apt-get download -q "$1"; } && rm -rf "$1" &&
        dpkg-deb -x "$(ls "$1"_*.deb | head -n 1)" "$1") > "$work/download.log" 2>&1
    [ -e "$got" ] && return
    skip "$guest" "cannot download package $1 (no network?)"
    return 1
}

# has COMMAND PACKAGE
has() {
    command -v "$1" > /dev/null && return
    skip "$guest" "no $1 (package $2)"
    return 1
}

# ---- memory tester ---------------------------------------------------------------------

# As a kernel, on the serial port: every test once.
memtest_pass() {
    unpacked memtest86+ boot/memtest86+x64.bin || return
    start -m 32 -kernel "$got" -append console=ttyS0,115200 -nographic
    proved 600 'Pass:  1        Errors: 0 '
}

memtest_interp() {
    unpacked memtest86+ boot/memtest86+ia32.bin || return
    start -accel tcg,backend=interp -m 16 -kernel "$got" -append console=ttyS0,115200 -nographic
    proved 300 'Pass:  0        Errors: 0 ' after '#4 +.Moving inv'
}

# memtest_iso FILE: its own disc; it writes to the VGA's text memory only. The last test
# waits for minutes with nothing to see: when it begins all others are done.
memtest_iso() {
    unpacked memtest86+ "usr/lib/memtest86+/$1" || return
    start -m 32 -cdrom "$got" -display none -serial none -monitor stdio
    seen_on_screen 200 '#10 .Bit fade.* Pass: 0 Errors: 0 '
}
memtest_iso_x64() { memtest_iso memtest86+x64.iso; }
memtest_iso_ia32() { memtest_iso memtest86+ia32.iso; }

# ---- GRUB ---------------------------------------------------------------------------------

# A core without its modules: GRUB's rescue mode, on the BIOS' console.
grub_rescue() {
    has grub-mkimage grub-common && has xorriso xorriso || return
    mkdir -p "$real/rescue"
    { grub-mkimage -O i386-pc-eltorito -p '(nowhere)/boot/grub' -o "$real/rescue/core.img" biosdisk iso9660 &&
        xorriso -as mkisofs -quiet -b core.img -no-emul-boot -boot-load-size 4 -boot-info-table \
            -o "$real/rescue.iso" "$real/rescue"; } > "$work/grub.log" 2>&1 || {
        skip "$guest" "no rescue disc: $(tail_of "$work/grub.log")"
        return
    }
    start -m 64 -net none -nographic -cdrom "$real/rescue.iso" "$@"
    expect 60 'grub rescue>' || return
    say ls
    expect 20 '\(cd\)' || return
    say 'set'
    proved 20 'prefix=\(nowhere\)/boot/grub'
}
grub_interp() { grub_rescue -accel tcg,backend=interp; }

# Menu, command line, files of the disc, and a kernel: our own Multiboot image.
grub_menu() {
    local image=$BUILD/tests/guest/multiboot.elf
    has grub-mkrescue grub-common && has xorriso xorriso && has mformat mtools || return
    [ -e "$image" ] || make -s -C tests/guest BUILD="$BUILD" X86_CC="${X86_CC:-gcc}" "$image" > "$work/make.log" 2>&1 || {
        skip "$guest" "$(tail_of "$work/make.log")"
        return
    }
    make_disc menu.iso "$image" <<'END' || return
set timeout=-1
menuentry "Multiboot image" { multiboot /multiboot.elf from the menu; boot }
menuentry "Nothing" { halt }
END
    start -m 64 -net none -nographic -cdrom "$real/menu.iso" -device isa-debug-exit,iobase=0x501 "$@"
    expect 60 '\*Multiboot image' || return
    say c
    expect 20 'grub>' || return
    say 'ls /'
    expect 20 'multiboot.elf' || return
    say 'multiboot /multiboot.elf of two words'
    expect 20 'of two words' && expect 20 'grub>' || return
    say 'boot'
    proved 20 'multiboot: loader=GRUB 2.* cmdline=of two words'
}

# make_disc NAME FILE...: $real/NAME boots GRUB with the configuration on stdin
make_disc() {
    local disc=$real/$1
    shift
    rm -rf "$real/disc"
    mkdir -p "$real/disc/boot/grub"
    cp "$@" "$real/disc/"
    { printf 'serial --unit=0 --speed=115200\nterminal_input serial\nterminal_output serial\n'; cat; } \
        > "$real/disc/boot/grub/grub.cfg"
    grub-mkrescue -o "$disc" "$real/disc" > "$work/grub.log" 2>&1 && rm -rf "$real/disc" && return
    fail "$guest" "grub-mkrescue: $(tail_of "$work/grub.log")"
    return 1
}

# ---- iPXE ---------------------------------------------------------------------------------

# A person at the card's boot ROM: Ctrl-B in time, then commands.
ipxe_prompt() {
    unpacked ipxe-qemu usr/lib/ipxe/qemu/efi-e1000.rom || return
    start -m 64 -nographic -boot n -nic user,model=e1000 "$@"
    expect 60 'iPXE initialising devices' || return
    press '\002'                  # ahead of the prompt, which is there for two seconds; it waits in the serial port
    expect 60 'Press Ctrl-B for the iPXE command line' || return
    expect 60 'iPXE>' || return
    say dhcp
    expect 60 'Configuring .*ok' || return
    say 'show ip'
    proved 20 'net0.dhcp/ip:ipv4 = 10.0.2.15'
}
ipxe_interp() { ipxe_prompt -accel tcg,backend=interp; }

# The same program as a kernel image and from its own disc.
ipxe_lkrn() {
    unpacked ipxe boot/ipxe.lkrn || return
    start -m 64 -nographic -bios bios-256k.bin -kernel "$got" \
        -append 'dhcp && echo lkrn ${net0/ip} || echo failed' -nic user,model=e1000
    proved 60 'lkrn 10.0.2.15'
}
ipxe_iso() {
    unpacked ipxe usr/lib/ipxe/ipxe.iso || return
    start -m 64 -display none -serial none -monitor stdio -cdrom "$got" -nic user,model=rtl8139
    seen_on_screen 90 'net0: 10.0.2.15/255.255.255.0'
}

# ---- kernels --------------------------------------------------------------------------------

# fetched FLAVOUR: a Debian kernel and busybox in $got
fetched() {
    got=$BUILD/demo${1:+-$1}
    tools/fetch-guest.sh "$got" "${1:-amd64}" > "$work/fetch.log" 2>&1 && return
    skip "$guest" "$(tail -n 1 "$work/fetch.log")"
    return 1
}

initramfs() { tools/mkinitramfs.sh "$got/busybox" "$real/initrd" "echo \"user space of \$(uname -r)\""; }

cloud() {
    fetched cloud-amd64 && initramfs || return
    start -m 512 -nographic -no-reboot -kernel "$got/vmlinuz" -initrd "$real/initrd" \
        -append "console=ttyS0 panic=-1" "$@"
    proved 200 'user space of 6.*-cloud-amd64'
}
cloud_firmware() { cloud -bios bios-256k.bin; }

# pxe CARD: the card's ROM fetches a script, a kernel and its initramfs by TFTP
pxe() {
    local card=$1
    fetched '' && initramfs || return
    rm -rf "$real/tftp"
    mkdir -p "$real/tftp"
    cp "$got/vmlinuz" "$real/initrd" "$real/tftp/"
    printf '#!ipxe\nkernel vmlinuz console=ttyS0 initrd=initrd panic=-1\ninitrd initrd\nboot\n' > "$real/tftp/boot.ipxe"
    start -m 512 -nographic -no-reboot -boot n -device "$card,netdev=n0" \
        -netdev "user,id=n0,tftp=$real/tftp,bootfile=boot.ipxe"
    expect 120 'vmlinuz.*ok' || return
    proved 200 'user space of 6.*-amd64'
}
pxe_virtio() { pxe virtio-net-pci; }
pxe_e1000() { pxe e1000; }
pxe_rtl8139() { pxe rtl8139; }
pxe_ne2k() { pxe ne2k_pci; }

# ---- UEFI -----------------------------------------------------------------------------------

ovmf() {
    unpacked ovmf usr/share/ovmf/OVMF.fd || return
    start -m 256 -nographic -net none -bios "$got" "$@"
    proved 200 'UEFI Interactive Shell|BdsDxe: .*Boot|Shell>'
}

# ---- Debian's installer -----------------------------------------------------------------------

di_images=usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
first_dialogue='Choose the language to be used for the installation'

installer() { unpacked debian-installer-12-netboot-amd64 $di_images/linux && di=${got%/linux}; }

# The package has no disc image: its kernel and initrd on one that grub-mkrescue makes.
installer_iso() {
    has grub-mkrescue grub-common && has xorriso xorriso && has mformat mtools && installer || return
    make_disc installer.iso "$di/linux" "$di/initrd.gz" <<'END' || return
set timeout=1
menuentry "Install" { linux /linux console=ttyS0 --- quiet; initrd /initrd.gz }
END
    start -m 1024 -nographic -cdrom "$real/installer.iso"
    proved 300 "$first_dialogue"
}

# Debian's PXELINUX, started by the card's ROM, with a configuration for the serial port.
installer_pxelinux() {
    installer || return
    installer_tftp "$di"
    start -m 1024 -nographic -boot n -nic "user,model=e1000,tftp=$real/di-tftp,bootfile=pxelinux.0"
    expect 60 'PXELINUX 6' || return
    proved 300 "$first_dialogue"
}

installer_tftp() {
    rm -rf "$real/di-tftp"
    mkdir -p "$real/di-tftp/pxelinux.cfg"
    cp "$1/linux" "$1/initrd.gz" "$1/pxelinux.0" "$1/boot-screens/ldlinux.c32" "$real/di-tftp/"
    printf 'serial 0 115200\ndefault linux\nlabel linux\nkernel linux\nappend initrd=initrd.gz console=ttyS0 --- quiet\n' \
        > "$real/di-tftp/pxelinux.cfg/default"
    printf '#!ipxe\nkernel linux console=ttyS0 initrd=initrd.gz --- quiet\ninitrd initrd.gz\nboot\n' > "$real/di-tftp/di.ipxe"
}

installer_pxe() {
    installer || return
    installer_tftp "$di"
    start -m 1024 -nographic -boot n -nic "user,model=$1,tftp=$real/di-tftp,bootfile=di.ipxe"
    expect 120 'initrd.gz.*ok' || return
    proved 300 "$first_dialogue"
}
installer_pxe_e1000() { installer_pxe e1000; }
installer_pxe_virtio() { installer_pxe virtio-net-pci; }
installer_pxe_rtl8139() { installer_pxe rtl8139; }
installer_pxe_ne2k() { installer_pxe ne2k_pci; }

case ${REAL:-short} in
short) guests=$short ;;
all) guests="$short $long" ;;
*) guests=$REAL ;;
esac
for guest in $guests; do
    "$guest"
    finish
done
