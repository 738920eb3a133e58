/* smp-start.S - where an application processor begins: page 2, from a start-up IPI */
	.section .rodata
	.globl ap_start, ap_start_end
	.set base, 0x2000
ap_start:
	.code16
	cli
	xor %ax, %ax
	mov %ax, %ds
	lgdtl base + (gdtr - ap_start)
	mov $0x6a0, %eax		/* as start.S: PAE, PGE, OSFXSR, OSXMMEXCPT */
	mov %eax, %cr4
	mov $0x70000, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $0x901, %eax
	wrmsr
	mov %cr0, %eax
	and $0x9ffffff3, %eax
	or $0x80010023, %eax
	mov %eax, %cr0
	ljmpl $0x18, $(base + (1f - ap_start))
	.code64
1:	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $1, %edi
	mov $ap_arrived, %rax
	lock xaddl %edi, (%rax)		/* EDI: our number */
	mov %edi, %eax
	shl $13, %eax			/* 8 KiB of stack each, from 3 MiB on */
	lea 0x302000(%rax), %rsp
	mov $ap_main, %rax
	call *%rax
	ud2
	.balign 8
gdt_:	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
gdtr:	.word . - gdt_ - 1
	.long base + (gdt_ - ap_start)
ap_start_end:
