/* moves.S - moves between registers, constants and memory; address forms; stack */
#include "case.inc"
        cases   moves

user64 mov_rr
        mov     %rbx, %rax
user64 mov_rr32
        mov     %ebx, %eax
user64 mov_rr16
        mov     %bx, %ax
user64 mov_rr8
        mov     %bl, %al
user64 mov_rr8_high
        mov     %bh, %al
user64 mov_to_high
        mov     %al, %bh
user64 mov_unpinned
        mov     %r9, %r10
user64 mov_unpinned32
        mov     %r9d, %eax
user64 mov_imm32
        mov     $0x12345678, %eax
user64 mov_imm64
        movabs  $0x123456789abcdef0, %rax
user64 mov_imm_negative
        mov     $-5, %rax
user64 mov_imm8
        mov     $7, %cl
user64 zero_idiom
        xor     %eax, %eax
user64 xchg_rr
        xchg    %rax, %rbx
user64 movzx_rr
        movzbl  %bl, %eax
user64 movzx_high
        movzbl  %bh, %eax
user64 movsx_rr
        movsbq  %bl, %rax
user64 movsxd
        movslq  %ebx, %rax
user64 cdqe
        cltq
user64 cqo
        cqto
user64 bswap64
        bswap   %rdi
user64 lahf_sahf
        lahf
        sahf
user64 load64
        mov     (%rbx), %rax
user64 load32
        mov     8(%rbx), %eax
user64 load16
        mov     8(%rbx), %ax
user64 load8
        mov     8(%rbx), %al
user64 load_index
        mov     8(%rbx,%rcx,4), %eax
user64 load_index_only
        mov     0x1000(,%rcx,8), %rax
user64 load_rip
        mov     0x100(%rip), %rax
user64 load_abs32
        mov     0x12345678, %eax
user64 load_unpinned
        mov     (%r9), %r10
user64 load_fs
        mov     %fs:0x28, %rax
user64 load_gs_index
        mov     %gs:(%rdi,%rsi), %rax
user64 load_addr32
        mov     (%ebx,%ecx), %eax
user64 load_movzx8
        movzbl  (%rbx), %eax
user64 load_movzx16
        movzwl  (%rbx), %eax
user64 load_movsx8
        movsbl  (%rbx), %eax
user64 load_movsxd
        movslq  (%rbx,%rcx,4), %rax
user64 load_same_register
        mov     (%rax), %rax
user64 store64
        mov     %rax, (%rbx)
user64 store32
        mov     %eax, 8(%rbx,%rcx,4)
user64 store16
        mov     %ax, (%rbx)
user64 store8
        mov     %al, (%rbx)
user64 store8_high
        mov     %ah, (%rbx)
user64 store_imm
        movl    $1, (%rbx)
user64 store_imm64
        movq    $-1, 8(%rbx)
user64 store_unpinned
        mov     %r11, (%r15)
user64 store_gs
        mov     %rax, %gs:0x10
user64 xchg_mem
        xchg    %rax, (%rbx)
user64 lea_base_index
        lea     4(%rbx,%rcx,8), %rax
user64 lea_32
        lea     4(%rbx,%rcx), %eax
user64 lea_rip
        lea     0x40(%rip), %rax
user64 lea_same
        lea     1(%rax), %rax
user64 movbe_load
        movbe   (%rbx), %eax
user64 movnti
        movnti  %rax, (%rbx)
user64 push_reg
        push    %rax
user64 push_imm
        push    $5
user64 push_mem
        push    (%rbx)
user64 pop_reg
        pop     %rax
user64 pop_mem
        pop     (%rbx)
user64 push_pop
        push    %rax
        pop     %rbx
user64 prologue
        push    %rbp
        mov     %rsp, %rbp
        push    %r12
        push    %rbx
        sub     $0x20, %rsp
user64 epilogue
        add     $0x20, %rsp
        pop     %rbx
        pop     %r12
        pop     %rbp
        ret
user64 leave_ret
        leave
        ret
user64 enter
        enter   $16, $0
user64 pushf_popf
        pushf
        popf
user32 mov32_load
        mov     4(%ebx,%ecx,2), %eax
user32 mov32_store
        mov     %eax, 4(%ebx)
user32 mov32_store_high
        mov     %dh, 4(%ebx)
user32 push32
        push    %eax
user32 pop32
        pop     %eax
user32 pusha_popa
        pusha
        popa
user32 prologue32
        push    %ebp
        mov     %esp, %ebp
        push    %edi
        push    %esi
        sub     $12, %esp
user32 load32_fs
        mov     %fs:4, %eax
seg32 load_seg
        mov     4(%ebx), %eax
seg32 store_seg
        mov     %eax, 4(%ebx)
seg32 store_stack_seg
        mov     %eax, 4(%esp)
seg32 push_seg
        push    %eax
real16 load16
        mov     (%bx), %ax
real16 load16_index
        mov     4(%bp,%si), %ax
real16 store16
        mov     %ax, (%di)
real16 load_es
        mov     %es:(%di), %al
real16 push16
        push    %ax
real16 pop16
        pop     %ax
real16 load_seg_register
        mov     %ax, %ds
        done
