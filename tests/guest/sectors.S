/* sectors.S - a boot sector that reads, adds up and writes back pieces of its disk through the firmware */
    .code16
    .globl _start
_start:
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $0x7c00, %sp
    mov $400, %bp           /* pieces */
    mov $1, %edi            /* x = 1103515245 x + 12345 says which */
again:
    imul $1103515245, %edi, %edi
    add $12345, %edi
    mov %edi, %eax
    shr $16, %eax
    and $0x7f8, %eax        /* of 2048 sectors; not over the end with */
    mov %eax, packet + 8
    mov %edi, %ecx
    shr $28, %ecx
    and $7, %cx
    inc %cx                 /* 1 to 8 at once */
    mov %cx, packet + 2
    mov $packet, %si
    mov $0x42, %ah
    int $0x13
    jc failed
    mov packet + 2, %cx
    shl $7, %cx
    mov $0x8000, %bx
1:  add %edx, (%bx)         /* the data changes, too */
    add $4, %bx
    loop 1b
    test $3, %bp
    jnz 2f
    cmpl $0, packet + 8     /* not this sector itself */
    je 2f
    mov $packet, %si
    mov $0x4300, %ax
    int $0x13
    jc failed
2:  dec %bp
    jnz again
    mov $0x10, %al
    jmp leave
failed:
    mov $0x01, %al
leave:
    mov $0x501, %dx
    out %al, %dx
    hlt
    .align 4
packet: .byte 16, 0
    .word 0, 0x8000, 0
    .quad 0
    .org 510
    .word 0xaa55
