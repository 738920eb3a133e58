/* stubs.S - cases whose out-of-line code is listed, too: one of each kind of stub */
#include "case.inc"
        cases   stubs

user64 load
        mov     (%rbx), %rax
user64 load_with_flags_in_a_recipe
        cmp     %rcx, %rdx
        mov     (%rbx), %rax
        je      1f
        nop
1:      nop
user64 store
        mov     %rax, (%rbx)
user64 read_modify_write
        addl    $1, (%rbx)
user64 locked
        lock incl (%rbx)
user64 two_of_a_group
        mov     (%rbx), %rax
        mov     8(%rbx), %rcx
user64 vector_load
        movaps  (%rbx), %xmm0
user64 x87_load
        fldl    (%rbx)
user64 masked_store
        vmovdqu32 %zmm0, (%rbx){%k1}
user64 divide
        div     %ecx
user64 helper_that_faults
        int3
user64 side_exit
        cmp     %rbx, %rax
        je      1f
        inc     %rcx
1:      nop
user64 jump_other_page
        jmp     . + 0x2000
user64 return
        ret
user64 loop_polls
1:      dec     %rax
        jnz     1b
        done
