/* control.S - jumps, calls, returns, compare and branch, loops */
#include "case.inc"
        cases   control

.irp cc, o, b, e, be, s, p, l, le, ne, a, ge, g
user64 cmp_j\cc
        cmp     %rbx, %rax
        j\cc    2f
        nop
2:      nop
.endr
user64 cmp_jcc_backward
1:      cmp     %rbx, %rax
        jne     1b
user64 test_jz
        test    %eax, %eax
        jz      1f
        nop
1:      nop
user64 test_mem_jnz
        testb   $1, 16(%rdi)
        jnz     1f
        nop
1:      nop
user64 cmp_mem_imm_je
        cmpl    $0, (%rdi)
        je      1f
        nop
1:      nop
user64 cmp_mem_reg_jb
        cmp     8(%rdi), %rax
        jb      1f
        nop
1:      nop
user64 and_jz
        and     $7, %eax
        jz      1f
        nop
1:      nop
user64 sub_jc
        sub     %rbx, %rax
        jc      1f
        nop
1:      nop
user64 dec_jnz
1:      dec     %ecx
        jnz     1b
user64 dec_unpinned_jnz
1:      dec     %r10
        jnz     1b
user64 add_jo
        add     %ebx, %eax
        jo      1f
        nop
1:      nop
user64 bt_jc
        bt      %rcx, %rax
        jc      1f
        nop
1:      nop
user64 two_jcc_one_cmp
        cmp     %rbx, %rax
        jl      1f
        je      2f
        nop
1:      nop
2:      nop
user64 jcc_over_mov
        cmp     %rbx, %rax
        mov     %rcx, %rdx
        lea     1(%rdx), %rsi
        jae     1f
        nop
1:      nop
user64 jrcxz
        jrcxz   1f
        nop
1:      nop
user64 loop_instruction
1:      loop    1b
user64 jmp_forward
        jmp     1f
        nop
1:      nop
user64 jmp_other_page
        jmp     . + 0x2000
user64 jcc_other_page
        test    %eax, %eax
        je      . + 0x2000
        nop
user64 jmp_reg
        jmp     *%rax
user64 jmp_mem
        jmp     *(%rbx)
user64 jmp_table
        jmp     *0x1000(,%rax,8)
user64 call_near
        call    1f
1:      nop
user64 call_other_page
        call    . + 0x3000
user64 call_reg
        call    *%rax
user64 call_mem
        call    *16(%rbx)
user64 ret
        ret
user64 ret_imm
        ret     $16
user64 call_ret_pair
        call    1f
        nop
1:      ret
user64 syscall
        syscall
kernel64 sysretq
        sysretq
kernel64 iretq
        iretq
user64 int80
        int     $0x80
user64 int3
        int3
user64 ud2
        ud2
kernel64 hlt
        hlt
kernel64 cli_sti
        cli
        sti
kernel64 swapgs
        swapgs
kernel64 mov_cr3
        mov     %rax, %cr3
kernel64 mov_from_cr2
        mov     %cr2, %rax
kernel64 invlpg
        invlpg  (%rax)
kernel64 in_out
        in      %dx, %al
        out     %al, %dx
kernel64 wrmsr
        wrmsr
kernel64 clac_stac
        stac
        mov     (%rsi), %rax
        clac
user64 rdtsc
        rdtsc
user64 pause
        pause
user64 fences
        lfence
        mfence
        sfence
user32 call32
        call    1f
1:      nop
user32 ret32
        ret
user32 jcc32
        cmp     %ebx, %eax
        jg      1f
        nop
1:      nop
user32 jmp_mem32
        jmp     *(%ebx,%eax,4)
seg32 ret_seg
        ret
seg32 call_seg
        call    1f
1:      nop
real16 jcc16
        cmp     %bx, %ax
        jne     1f
        nop
1:      nop
real16 call16
        call    1f
1:      nop
real16 ret16
        ret
real16 loop16
1:      loop    1b
real16 int16
        int     $0x10
real16 jmp_far
        ljmp    $0x1000, $0x20

/* loops as compilers make them */
user64 loop_sum
1:      add     (%rdi,%rcx,8), %rax
        inc     %rcx
        cmp     %rdx, %rcx
        jne     1b
user64 loop_copy8
1:      movzbl  (%rsi), %eax
        mov     %al, (%rdi)
        inc     %rsi
        inc     %rdi
        dec     %rcx
        jnz     1b
user64 loop_crc
1:      movzbl  (%rdi), %eax
        inc     %rdi
        xor     %ecx, %eax
        shr     $8, %ecx
        movzbl  %al, %eax
        xor     (%rbx,%rax,4), %ecx
        cmp     %r8, %rdi
        jne     1b
user64 loop_strlen
1:      inc     %rax
        cmpb    $0, (%rax)
        jne     1b
user64 loop_chase
1:      mov     (%rax), %rax
        test    %rax, %rax
        jne     1b
user64 loop_hash
1:      movzbl  (%rdi), %edx
        add     $1, %rdi
        imul    $33, %eax, %eax
        add     %edx, %eax
        cmp     %rsi, %rdi
        jne     1b
user64 loop_swap
1:      mov     (%rdi), %eax
        mov     4(%rdi), %edx
        cmp     %edx, %eax
        jle     2f
        mov     %edx, (%rdi)
        mov     %eax, 4(%rdi)
2:      add     $4, %rdi
        cmp     %rsi, %rdi
        jb      1b
user64 loop_nested
1:      mov     %r8, %rcx
2:      add     %rcx, %rax
        dec     %rcx
        jnz     2b
        dec     %rdx
        jnz     1b
user64 loop_float
1:      movsd   (%rdi,%rcx,8), %xmm1
        mulsd   (%rsi,%rcx,8), %xmm1
        addsd   %xmm1, %xmm0
        inc     %rcx
        cmp     %rcx, %rdx
        jne     1b
user64 loop_sse_copy
1:      movups  (%rsi), %xmm0
        movups  16(%rsi), %xmm1
        movaps  %xmm0, (%rdi)
        movaps  %xmm1, 16(%rdi)
        add     $32, %rsi
        add     $32, %rdi
        sub     $32, %rcx
        jnz     1b
        done
