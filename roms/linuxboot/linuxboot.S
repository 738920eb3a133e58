/*
 * linuxboot.S - option ROM that boots the kernel the command line named
 *
 * Registers a bootstrap entry vector (BEV). When the firmware boots from it,
 * the kernel's parts are fetched with fw_cfg DMA to the addresses that fw_cfg
 * names, and the real-mode setup is entered. The host has already filled in the
 * setup header.
 *
 * Build (Makefile): as --32, ld -m elf_i386 -Ttext=0 --oformat binary, then
 *   roms/mkrom.sh IN OUT        pads and sums it
 *   hw/acpi/aml2c.sh linuxboot_rom OUT > linuxboot.rom.h
 * Source: Plug and Play BIOS Specification 1.0A, chapter 3; BIOS Boot
 * Specification 1.01; Linux/x86 boot protocol, "Running the kernel".
 */
        .code16
        .text
        .globl  _start

        .set    FW_SELECT, 0x510
        .set    FW_DATA, 0x511
        .set    FW_DMA_HIGH, 0x514
        .set    FW_DMA_LOW, 0x518
        .set    DMA_READ_SELECT, 0x0a   /* control: read, after selecting */
        .set    DMA_ERROR, 0x01

        /* item keys: address, size, data */
        .set    KERNEL_ADDR, 0x07
        .set    KERNEL_SIZE, 0x08
        .set    KERNEL_DATA, 0x11
        .set    INITRD_ADDR, 0x0a
        .set    INITRD_SIZE, 0x0b
        .set    INITRD_DATA, 0x12
        .set    CMDLINE_ADDR, 0x13
        .set    CMDLINE_SIZE, 0x14
        .set    CMDLINE_DATA, 0x15
        .set    SETUP_ADDR, 0x16
        .set    SETUP_SIZE, 0x17
        .set    SETUP_DATA, 0x18

_start:
        .byte   0x55, 0xaa
        .byte   0                       /* size in 512 bytes: mkrom.sh */
init:                                   /* offset 3: called at POST */
        movw    $0x20, %ax              /* "IPL device attached" */
        lret
        .org    0x18
        .word   0                       /* no PCI data structure */
        .word   pnp
        .org    0x20
pnp:
        .ascii  "$PnP"
        .byte   1, 2                    /* revision, length in 16 bytes */
        .word   0                       /* no next header */
        .byte   0
        .byte   0                       /* checksum: mkrom.sh */
        .long   0                       /* device ID */
        .word   manufacturer
        .word   product
        .byte   0x02, 0x00, 0x80        /* class: network/other boot device */
        .byte   0x14                    /* boot device, not needed at POST */
        .word   0, 0                    /* BCV, disconnect vector */
        .word   boot                    /* BEV */
        .word   0, 0
        .org    0x40

manufacturer:
        .asciz  "Transom"
product:
        .asciz  "Linux kernel"
failed:
        .asciz  "linuxboot: cannot read the kernel from fw_cfg\r\n"

/* %eax = little-endian dword of item %bx */
read_dword:
        movw    $FW_SELECT, %dx
        movw    %bx, %ax
        outw    %ax, %dx
        movw    $FW_DATA, %dx
        movl    $4, %ecx
1:      inb     %dx, %al                /* low byte first: rotate it in */
        rorl    $8, %eax
        loop    1b
        ret

/* Fetch item %si to the address in item %bx, size in item %di. */
fetch:
        call    read_dword
        movl    %eax, %ebp
        movw    %di, %bx
        call    read_dword
        testl   %eax, %eax
        jz      2f
        /* descriptor on the stack, big-endian: control, length, address */
        bswapl  %ebp
        pushl   %ebp
        pushl   $0
        bswapl  %eax
        pushl   %eax
        movzwl  %si, %eax
        shll    $16, %eax
        orl     $DMA_READ_SELECT, %eax
        bswapl  %eax
        pushl   %eax
        xorl    %eax, %eax
        movw    $FW_DMA_HIGH, %dx
        outl    %eax, %dx
        movw    %ss, %ax                /* its physical address */
        shll    $4, %eax
        movzwl  %sp, %ecx
        addl    %ecx, %eax
        bswapl  %eax
        movw    $FW_DMA_LOW, %dx
        outl    %eax, %dx
        movw    %sp, %bp
        movl    (%bp), %eax             /* control: 0 when done */
        addw    $16, %sp
        testl   %eax, %eax
        jnz     fail
2:      ret

fail:
        movw    %cs, %ax
        movw    %ax, %ds
        movw    $failed, %si
        movb    $0x0e, %ah
        movw    $7, %bx
1:      lodsb
        testb   %al, %al
        jz      2f
        int     $0x10
        jmp     1b
2:      int     $0x18                   /* try the next boot device */
        jmp     2b

boot:
        cli
        cld
        xorw    %ax, %ax
        movw    %ax, %ss
        movl    $0x7c00, %esp
        sti
        movw    $SETUP_ADDR, %bx
        movw    $SETUP_SIZE, %di
        movw    $SETUP_DATA, %si
        call    fetch
        movw    $CMDLINE_ADDR, %bx
        movw    $CMDLINE_SIZE, %di
        movw    $CMDLINE_DATA, %si
        call    fetch
        movw    $KERNEL_ADDR, %bx
        movw    $KERNEL_SIZE, %di
        movw    $KERNEL_DATA, %si
        call    fetch
        movw    $INITRD_ADDR, %bx
        movw    $INITRD_SIZE, %di
        movw    $INITRD_DATA, %si
        call    fetch
        /* setup entry: segment of SETUP_ADDR + 0x20, other segments there too */
        movw    $SETUP_ADDR, %bx
        call    read_dword
        shrl    $4, %eax
        cli
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    $0xfff0, %esp
        addw    $0x20, %ax
        pushw   %ax
        pushw   $0
        xorl    %eax, %eax
        xorl    %ebx, %ebx
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        xorl    %edi, %edi
        xorl    %ebp, %ebp
        lret
