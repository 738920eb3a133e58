/* alu.S - arithmetic: operand forms, flags that are read, fused and dropped */
#include "case.inc"
        cases   alu

.irp op, add, or, adc, sbb, and, sub, xor, cmp
user64 \op\()_rr
        \op     %rbx, %rax
user64 \op\()_rm
        \op     8(%rbx), %rax
user64 \op\()_mr
        \op     %eax, 8(%rbx)
user64 \op\()_mi
        \op\()l $5, (%rbx)
user64 \op\()_ri32
        \op     $0x12345, %ecx
user64 \op\()_rr8
        \op     %bl, %al
user64 \op\()_rr16
        \op     %bx, %ax
user32 \op\()_rm32
        \op     8(%ebx), %eax
.endr
user64 test_rr
        test    %rax, %rax
user64 test_mi
        testb   $4, 8(%rbx)
user64 test_high
        test    $1, %ah
.irp op, inc, dec, neg, not
user64 \op\()_r
        \op     %rax
user64 \op\()_m
        \op\()l (%rbx)
user64 \op\()_unpinned
        \op     %r10
.endr
.irp op, shl, shr, sar, rol, ror, rcl
user64 \op\()_imm
        \op     $3, %eax
user64 \op\()_cl
        \op     %cl, %rax
user64 \op\()_mem
        \op\()l $1, (%rbx)
.endr
user64 shl_cl_flags_dead
        shl     %cl, %eax
        add     %ebx, %eax
user64 shld_imm
        shld    $4, %rbx, %rax
user64 shrd_cl
        shrd    %cl, %ebx, %eax
.irp op, shlx, shrx, sarx
user64 \op
        \op     %rcx, (%rbx), %rax
.endr
user64 rorx
        rorx    $7, %rbx, %rax
user64 bt_reg
        bt      %ecx, %eax
user64 bt_imm_mem
        btl     $5, (%rbx)
user64 bts_mem_reg
        bts     %rcx, (%rbx)
user64 bsf
        bsf     %rbx, %rax
user64 bsr
        bsr     %ebx, %eax
user64 tzcnt
        tzcnt   %rbx, %rax
user64 popcnt_mem
        popcnt  (%rbx), %eax
user64 lzcnt
        lzcnt   %ebx, %eax
user64 imul_rr
        imul    %rbx, %rax
user64 imul_rri
        imul    $100, %ebx, %eax
user64 imul_rm
        imul    8(%rbx), %rax
user64 imul_one
        imul    %rbx
user64 mul_one
        mul     %rcx
user64 mul_mem
        mull    (%rbx)
user64 mulx
        mulx    (%rbx), %rax, %rcx
user64 div32
        div     %ecx
user64 idiv64
        idivq   8(%rbx)
user64 div8
        div     %cl
user64 andn
        andn    (%rbx), %rcx, %rax
user64 bextr
        bextr   %ecx, %ebx, %eax
user64 pdep
        pdep    %rcx, %rbx, %rax
user64 adcx_adox
        adcx    %rcx, %rax
        adox    %rcx, %rbx
user64 crc32
        crc32q  %rcx, %rax
user64 lock_add
        lock addl $1, (%rbx)
user64 lock_cmpxchg
        lock cmpxchg %ecx, (%rbx)
user64 lock_xadd
        lock xadd %rcx, (%rbx)
user64 lock_bts
        lock btsl $3, (%rbx)
user64 cmpxchg8b
        lock cmpxchg8b (%rbx)
user32 daa
        daa
user32 aam
        aam
user32 into
        into
user64 carry_flags
        clc
        stc
        cmc

/* flags: dropped, fused with what reads them, kept by a recipe over a memory access */
user64 flags_overwritten
        add     %rbx, %rax
        sub     %rcx, %rdx
        xor     %esi, %esi
user64 flags_over_load
        cmp     %rbx, %rax
        mov     (%rcx), %rdx
        je      1f
1:      nop
user64 flags_over_store
        add     $8, %rax
        mov     %rax, (%rcx)
user64 flags_result_over_store
        and     %rbx, %rax
        mov     %rdx, (%rcx)
user64 flags_operand_lost
        cmp     %rbx, %rax
        mov     (%rcx), %rax
user64 flags_operand_lost_before_access
        test    %rax, %rax
        mov     %rdx, %rax
        mov     (%rcx), %rbx
        add     %rbx, %rax
user64 flags_of_shift_before_access
        shr     $3, %rax
        mov     (%rcx), %rdx
        add     %rdx, %rax
user64 adox_dead
        adcx    %rcx, %rax
        adox    %rcx, %rbx
        adcx    %rcx, %rdx
        inc     %rsi
user64 dec_carry_in_memory
1:      add     %rbx, %rax
        mov     (%rcx), %rdx
        dec     %rsi
        jnz     1b
user64 inc_keeps_carry
        add     %rbx, %rax
        inc     %rcx
        adc     %rdx, %rsi
user64 add_adc
        add     %rbx, %rax
        adc     %rcx, %rdx
user64 add_adc_memory
        mov     (%rsi), %rax
        add     %rax, (%rdi)
        mov     8(%rsi), %rax
        adc     %rax, 8(%rdi)
user64 setcc
        cmp     %rbx, %rax
        setl    %al
user64 setcc_zero_extended
        xor     %ecx, %ecx
        cmp     %rbx, %rax
        sete    %cl
user64 setcc_memory
        test    %rax, %rax
        setne   (%rbx)
user64 cmov
        cmp     %rbx, %rax
        cmovg   %rcx, %rdx
user64 cmov_memory
        test    %eax, %eax
        cmovne  (%rbx), %ecx
user64 cmp_sbb_mask
        cmp     %rbx, %rax
        sbb     %rcx, %rcx
        and     %rdx, %rcx
user64 two_setcc_one_cmp
        cmp     %rbx, %rax
        seta    %cl
        setb    %dl
        sub     %dl, %cl
user64 flags_into_helper
        add     %rbx, %rax
        cpuid
user64 abs_value
        mov     %eax, %edx
        neg     %eax
        cmovs   %edx, %eax
        done
