/*
 * probe.S - a guest of a few hundred instructions that tells whether KVM works
 *
 * At address 0, entered in real mode with all segment bases 0 (accel/kvm-probe.c). It writes
 * what it has worked out to port 0x10, one number a step, and at the end asks port 0x11 for a
 * count, runs a loop that often, writes port 0x12, until the count is 0.
 *
 * Tables that the host has made: page map at 0x4000 (identity, 2 MiB; linear 4 MiB is
 * 0x8000, the page after it is absent). GDT and IDT are here.
 */
        .globl  _start
        .code16
_start: cli
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %ss
        mov     $0x3000, %sp
        /* 1: real mode: a call, the stack, flags */
        mov     $0x1234, %ax
        push    %ax
        call    1f
        pop     %cx
        add     %cx, %ax
        movzwl  %ax, %eax
        out     %eax, $0x10
        jmp     2f
1:      add     $1, %ax
        ret
2:      lgdtl   gdt_ptr
        lidtl   idt_ptr
        mov     %cr0, %eax
        or      $1, %eax
        mov     %eax, %cr0
        ljmpl   $0x08, $prot

        .code32
prot:   mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     $0x3000, %esp
        /* 2: protected mode: multiplication, strings */
        mov     $0x6000, %edi
        mov     $0x01010101, %eax
        mov     $16, %ecx
        cld
        rep stosl
        mov     $0x6000, %esi
        mov     $16, %ecx
        xor     %ebx, %ebx
1:      lodsl
        add     %eax, %ebx
        loop    1b
        mov     %ebx, %eax
        mov     $7, %ecx
        mul     %ecx
        out     %eax, $0x10
        /* long mode */
        mov     $0x20, %eax             /* PAE */
        mov     %eax, %cr4
        mov     $0x4000, %eax
        mov     %eax, %cr3
        mov     $0xc0000080, %ecx
        rdmsr
        or      $0x100, %eax            /* LME */
        wrmsr
        mov     %cr0, %eax
        or      $0x80010000, %eax       /* PG, WP */
        mov     %eax, %cr0
        ljmpl   $0x18, $long

        .code64
long:   /* 3: 64-bit registers and addresses through paging */
        mov     $0x123456789abcdef0, %rax
        mov     %rax, %r15
        rol     $12, %r15
        mov     %r15, 0x400000          /* linear 4 MiB is 0x8000 */
        mov     0x8000, %rbx
        sub     %rbx, %rax
        mov     %rax, %rdx
        shr     $32, %rdx
        xor     %edx, %eax
        out     %eax, $0x10
        /* 4: a page fault: its address, its error code */
        mov     $fault_resume, %ebp
        mov     0x401010, %rax
fault_resume:
        mov     %cr2, %rax
        shl     $4, %rax
        or      %r14, %rax
        out     %eax, $0x10
        /* 5: ring 3, and back because it may not halt */
        mov     $0x28, %ax
        ltr     %ax
        push    $0x3b                   /* SS */
        push    $0x2f00
        push    $0x2
        push    $0x43                   /* CS */
        mov     $user, %eax
        push    %rax
        iretq
user:   mov     $0xabcd0000, %eax
        hlt
back:   out     %eax, $0x10
        /* how fast? */
1:      in      $0x11, %eax
        test    %eax, %eax
        jz      3f
        mov     %eax, %ecx
2:      dec     %ecx
        jnz     2b
        out     %eax, $0x12
        jmp     1b
3:      hlt
        jmp     3b

on_fault:
        pop     %r14                    /* error code */
        mov     %rbp, (%rsp)
        iretq
on_gp:  pop     %rbx                    /* error code 0 */
        add     %ebx, %eax
        or      8(%rsp), %eax           /* CS */
        add     $40, %rsp
        jmp     back

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      /* 08: 32-bit code */
        .quad   0x00cf93000000ffff      /* 10: data */
        .quad   0x00af9b000000ffff      /* 18: 64-bit code */
        .quad   0
        .word   0x67, tss, 0x8900, 0    /* 28: TSS, two entries */
        .quad   0
        .quad   0x00cff3000000ffff      /* 38: user data */
        .quad   0x00affb000000ffff      /* 40: user code */
gdt_ptr: .word  . - gdt - 1
        .long   gdt
        .balign 8
idt:    .fill   13 * 2, 8, 0
        .word   on_gp, 0x18, 0x8e00, 0
        .quad   0
        .word   on_fault, 0x18, 0x8e00, 0
        .quad   0
idt_ptr: .word  . - idt - 1
        .long   idt
        .balign 8
tss:    .long   0
        .quad   0x3000                  /* RSP0 */
        .fill   23, 4, 0
