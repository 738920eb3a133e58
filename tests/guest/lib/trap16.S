/* trap16.S - real mode: a stub for each vector, recording, IVT at 0 */
	.code16
	.text
	.macro stub n
	.balign 8
	pushl $\n
	jmp common
	.endm
	.balign 8
	.globl trap_stubs
trap_stubs:
	.set i, 0
	.rept 64
	stub i
	.set i, i + 1
	.endr

common:
	pushal
	push %ds
	push %es
	push %fs
	push %gs
	pushfl
	pop %ebx
	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %es
	movzwl %sp, %eax
	mov %ss, %dx			/* C wants one flat segment: frame on SS 0 only */
	cld
	pushl %ebx
	pushl %eax
	calll trap_handle
	add $8, %sp
	pop %gs
	pop %fs
	pop %es
	pop %ds
	popal
	add $4, %sp
	iret

	.globl trap_resume
trap_resume:
	mov 4(%esp), %ebx
	xor %ax, %ax
	mov %ax, %ss
	mov trap+4, %esp
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %fs
	mov %ax, %gs
	pushl $2
	popfl
	pushl trap
	mov 8(%ebx), %edi
	mov 12(%ebx), %esi
	mov 16(%ebx), %ebp
	mov 28(%ebx), %edx
	mov 32(%ebx), %ecx
	mov 36(%ebx), %eax
	mov 24(%ebx), %ebx
	retl

	.globl trap_init
trap_init:
	push %edi
	mov $0, %edi
	mov $trap_stubs, %eax
	mov $64, %ecx
0:	mov %eax, (%edi)		/* segment 0 */
	add $8, %eax
	add $4, %edi
	loop 0b
	pop %edi
	retl
