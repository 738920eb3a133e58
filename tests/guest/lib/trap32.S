/* trap32.S - protected mode: a stub for each vector, ring 3 and VM86 entry */
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

common:
	pushal
	pushl %ds
	pushl %es
	pushl %fs
	pushl %gs
	pushf
	pop %ebx
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %esp, %eax
	cld
	push %ebx
	push %eax
	call trap_handle
	add $8, %esp
	popl %gs
	popl %fs
	popl %es
	popl %ds
	popal
	add $8, %esp
	iret

/* trap_resume(frame): back to TRY with the registers of the frame */
	.globl trap_resume
trap_resume:
	mov 4(%esp), %ebx
	mov $0x10, %eax
	mov %eax, %ss
	mov trap+4, %esp
	push $2
	popf
	push trap
	mov 16(%ebx), %edi
	mov 20(%ebx), %esi
	mov 24(%ebx), %ebp
	mov 36(%ebx), %edx
	mov 40(%ebx), %ecx
	mov 44(%ebx), %eax
	mov 32(%ebx), %ebx
	ret

/* user_run(ip, sp, flags, cs, ss): ring 3 until the first exception */
	.globl user_run
user_run:
	mov %esp, %eax
	push %ebx
	push %esi
	push %edi
	push %ebp
	movl $9f, trap
	mov %esp, trap+4
	pushl 20(%eax)
	pushl 8(%eax)
	pushl 12(%eax)
	pushl 16(%eax)
	pushl 4(%eax)
	mov 20(%eax), %ecx
	mov %ecx, %ds
	mov %ecx, %es
	mov %ecx, %fs
	mov %ecx, %gs
	iret
9:	movl $0, trap
	pop %ebp
	pop %edi
	pop %esi
	pop %ebx
	ret

/* vm86_run(frame): IRET to VM86; the argument is eip, cs, eflags, esp, ss, es, ds, fs, gs */
	.globl vm86_run
vm86_run:
	mov 4(%esp), %eax
	push %ebx
	push %esi
	push %edi
	push %ebp
	movl $9b, trap
	mov %esp, trap+4
	mov $8, %ecx
0:	pushl (%eax,%ecx,4)
	dec %ecx
	jns 0b
	iret
