/* trap64.S - long mode: a stub for each vector, ring 3 entry */
	.text
	.macro stub n
	.balign 16
	.if !((\n >= 10 && \n <= 14) || \n == 8 || \n == 17 || \n == 21)
	push $0
	.endif
	push $\n
	jmp common
	.endm
	.balign 16
	.globl trap_stubs
trap_stubs:
	.set i, 0
	.rept 256
	stub i
	.set i, i + 1
	.endr

	.macro each insn, regs:vararg
	.irp r, \regs
	\insn %\r
	.endr
	.endm

common:
	each push, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	pushf
	pop %rsi
	mov %rsp, %rdi
	mov %rsp, %rbx
	and $-16, %rsp
	cld
	call trap_handle
	mov %rbx, %rsp
	each pop, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
	add $16, %rsp
	iretq

	.globl trap_resume
trap_resume:
	mov %rdi, %rax
	mov $0x10, %ecx
	mov %ecx, %ss
	mov %ecx, %ds
	mov %ecx, %es
	mov trap+8, %rcx
	pushq $8			/* CS may be another one now */
	pushq $0f
	lretq
0:	mov %rcx, %rsp
	push $2
	popf
	push trap
	mov (%rax), %r15
	mov 8(%rax), %r14
	mov 16(%rax), %r13
	mov 24(%rax), %r12
	mov 32(%rax), %r11
	mov 40(%rax), %r10
	mov 48(%rax), %r9
	mov 56(%rax), %r8
	mov 64(%rax), %rdi
	mov 72(%rax), %rsi
	mov 80(%rax), %rbp
	mov 88(%rax), %rbx
	mov 96(%rax), %rdx
	mov 104(%rax), %rcx
	mov 112(%rax), %rax
	ret

/* user_run(ip, sp, flags, cs, ss): IRETQ to any ring or width until the first exception */
	.globl user_run
user_run:
	each push, rbx, rbp, r12, r13, r14, r15
	movq $9f, trap
	mov %rsp, trap+8
	push %r8
	push %rsi
	push %rdx
	push %rcx
	push %rdi
	iretq
9:	movq $0, trap
	each pop, r15, r14, r13, r12, rbp, rbx
	ret
