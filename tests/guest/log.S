/* log.S - a Multiboot program that asks no device for anything: any two PCs execute it alike */
        .text
        .global _start
        .align 4
        .long 0x1badb002, 0, -0x1badb002
_start:
        jmp begin
        .align 4096
begin:                          /* what is compared starts behind these */
        xor %eax, %eax
        xor %ebx, %ebx
        xor %ecx, %ecx
        xor %edx, %edx
        xor %esi, %esi
        xor %edi, %edi
        xor %ebp, %ebp
        mov $stack_top, %esp
        .global compare_from
compare_from:
        lgdt gdtr
        ljmp $8, $1f
1:      mov $16, %ax
        mov %ax, %ds
        mov %ax, %es
        mov %ax, %ss
        mov $handler, %eax      /* INT 0x30 and #DE lead to handler */
        mov %ax, idt + 0x30 * 8
        mov %ax, idt
        shr $16, %eax
        mov %ax, idt + 0x30 * 8 + 6
        mov %ax, idt + 6
        movw $0x8e00, idt + 0x30 * 8 + 4
        movw $8, idt + 0x30 * 8 + 2
        movw $8, idt + 2
        movw $0x8e00, idt + 4
        lidt idtr
        mov $100, %ecx
2:      mov %ecx, %eax
        imul $0x1234567, %eax, %ebx
        add %ebx, %esi
        adc %eax, %edi
        rol $7, %esi
        bswap %edi
        push %esi
        push %edi
        call mix
        pop %edi
        pop %esi
        test $3, %cl
        jne 3f
        int $0x30
3:      dec %ecx
        jnz 2b
        mov $source, %esi
        mov $target, %edi
        mov $64, %ecx
        rep movsl
        mov $target, %edi
        mov $256, %ecx
        mov $0x55, %al
        repne scasb
        mov $0x12345678, %eax
        xor %edx, %edx
        mov $1000, %ebx
        div %ebx
        xor %ebx, %ebx
        div %ebx                /* #DE: the handler steps over it */
        .byte 0x90, 0x90
        cmpxchg %edx, target
        xadd %eax, target + 8
        lock incl target + 12
        bsf %eax, %ecx
        bts $5, %edx
        shld $5, %eax, %edx
        setc %bl
        cmovz %edx, %ecx
        cwd
        pusha
        popa
        enter $16, $0
        leave
        mov $0x501, %edx
        mov $1, %al
        out %al, %dx
4:      hlt
        jmp 4b

mix:    mov 4(%esp), %eax
        xor 8(%esp), %eax
        movzbl %al, %edx
        movsbl %ah, %ebp
        lea (%eax, %edx, 4), %edx
        sub %ebp, %edx
        sbb $0, %edx
        ret

handler:
        incl count
        mov (%esp), %edx        /* #DE is a fault: DIV %EBX has two bytes */
        cmpw $0xf3f7, (%edx)
        jne 5f
        addl $2, (%esp)
5:      iret

        .data
        .align 8
gdt:    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:   .word 23
        .long gdt
idtr:   .word 0x31 * 8 - 1
        .long idt
count:  .long 0
source: .fill 256, 1, 0x33
        .align 8
target: .fill 256, 1, 0
idt:    .fill 0x31, 8, 0
        .fill 1024, 1, 0
stack_top:
        .long 0
