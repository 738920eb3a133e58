/* groups.S - memory accesses that may share a page-map look-up, and what keeps them apart */
#include "case.inc"
        cases   groups

user64 two_loads
        mov     (%rbx), %rax
        mov     8(%rbx), %rcx
user64 four_loads
        mov     (%rbx), %rax
        mov     8(%rbx), %rcx
        mov     16(%rbx), %rdx
        mov     24(%rbx), %rsi
user64 two_stores
        mov     %rax, (%rbx)
        mov     %rcx, 8(%rbx)
user64 load_store
        mov     (%rbx), %rax
        mov     %rax, 8(%rbx)
user64 struct_copy
        mov     (%rsi), %rax
        mov     8(%rsi), %rdx
        mov     %rax, (%rdi)
        mov     %rdx, 8(%rdi)
user64 stack_frame
        mov     %rdi, -8(%rbp)
        mov     %esi, -12(%rbp)
        mov     -8(%rbp), %rax
        mov     -12(%rbp), %edx
user64 pushes
        push    %rbx
        push    %rcx
        push    %rdx
        push    %rsi
user64 pops
        pop     %rsi
        pop     %rdx
        pop     %rcx
        pop     %rbx
user64 push_call
        push    %rbx
        sub     $16, %rsp
        call    1f
1:      nop
user64 base_changes_between
        mov     (%rbx), %rax
        add     $8, %rbx
        mov     (%rbx), %rcx
user64 base_reloaded
        mov     (%rbx), %rax
        mov     (%rax), %rax
        mov     8(%rax), %rax
user64 too_far_apart
        mov     (%rbx), %rax
        mov     0x400(%rbx), %rcx
user64 sizes_differ
        mov     (%rbx), %al
        mov     4(%rbx), %ecx
        mov     8(%rbx), %dx
user64 rmw_and_load
        addl    $1, (%rbx)
        mov     4(%rbx), %eax
user64 over_helper
        mov     (%rbx), %rsi
        cpuid
        mov     8(%rbx), %rdi
user64 over_branch
        mov     (%rbx), %rax
        test    %rax, %rax
        je      1f
        mov     8(%rbx), %rcx
1:      nop
user64 two_bases
        mov     (%rbx), %rax
        mov     (%rcx), %rdx
        mov     8(%rbx), %rsi
        mov     8(%rcx), %rdi
user64 same_address_twice
        mov     (%rbx), %rax
        add     %rcx, %rax
        mov     %rax, (%rbx)
user64 fs_twice
        mov     %fs:0x28, %rax
        mov     %fs:0x30, %rcx
user64 index_twice
        mov     (%rbx,%rcx,8), %rax
        mov     %rdx, (%rbx,%rcx,8)
user64 vector_pair
        movups  (%rbx), %xmm0
        movups  %xmm0, 16(%rbx)
user64 stack_store_behind_branch
        mov     8(%rsp), %rax
        test    %rax, %rax
        je      1f
        mov     %rcx, 16(%rsp)
1:      nop
user64 two_globals
        mov     0x100(%rip), %rax
        add     %rax, 0x110(%rip)
user64 loop_copy
1:      mov     (%rsi,%rcx), %rax
        mov     %rax, (%rdi,%rcx)
        add     $8, %rcx
        cmp     %rdx, %rcx
        jne     1b
user64 loop_list
1:      add     8(%rax), %rcx
        mov     (%rax), %rax
        test    %rax, %rax
        jne     1b
user64 loop_index_list
1:      shl     $6, %rax
        add     %r8, %rax
        mov     4(%rax), %esi
        mov     (%rax), %eax
        add     %rsi, %rcx
        cmp     %rdx, %rcx
        jne     1b
user32 args32
        mov     8(%ebp), %eax
        mov     12(%ebp), %edx
        add     16(%ebp), %eax
user32 pushes32
        push    %ebx
        push    %esi
        push    %edi
        done
