/*
 * start.S - from the reset vector to main() in the mode that MODE names (16, 32, 64)
 *
 * The image is the last 128 KiB below 4 GiB, seen below 1 MiB as well. It runs in
 * RAM at 0x8000, so that tests may patch their own code. The registers as reset
 * left them are kept at 0x500.
 */
	.section .reset, "ax"
	.code16
	ljmp $0xf000, $0xf000

	.section .boot, "ax"
	.code16
boot:
	mov %eax, 0x500			/* DS has base 0 after reset */
	mov %edx, 0x504
	mov %cr0, %eax
	mov %eax, 0x508
	xor %ax, %ax
	mov %ax, %ss
	mov $0x7000, %sp
	pushfl
	popl 0x50c
	cli
	cld
	mov $0xe000, %ax		/* 64 KiB, then the rest up to the code here */
	mov %ax, %ds
	mov $0x0800, %ax
	mov %ax, %es
	xor %si, %si
	xor %di, %di
	mov $0x4000, %cx
	rep movsl
	mov $0xf000, %ax
	mov %ax, %ds
	mov $0x1800, %ax
	mov %ax, %es
	mov $0x3c00, %cx
	rep movsl
	in $0x92, %al			/* A20 on: boards differ at reset */
	or $2, %al
	and $0xfe, %al
	out %al, $0x92
	ljmp $0, $start

	.section .text.start, "ax"
	.globl start
start:
	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %fs
	mov %ax, %gs
#if MODE == 16
	mov $0x7000, %esp
	calll main
0:	hlt
	jmp 0b
#else
	lgdtl boot_gdtr
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmpl $8, $start32

	.code32
start32:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %eax, %fs
	mov %eax, %gs
	mov $0x7ff0, %esp
#if MODE == 64
	/* identity map of 4 GiB in 2 MiB pages: PML4 0x70000, PDPT 0x71000, PDs from 0x72000 */
	mov $0x70000, %edi
	xor %eax, %eax
	mov $0x6000 / 4, %ecx
	rep stosl
	movl $0x71007, 0x70000
	mov $0x71000, %edi
	mov $0x72007, %eax
	mov $4, %ecx
0:	mov %eax, (%edi)
	add $0x1000, %eax
	add $8, %edi
	loop 0b
	mov $0x72000, %edi
	mov $0x87, %eax
	mov $2048, %ecx
0:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 0b
	mov $0x6a0, %eax		/* PAE, PGE, OSFXSR, OSXMMEXCPT */
	mov %eax, %cr4
	mov $0x70000, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx
	rdmsr
	or $0x901, %eax			/* LME, NXE, SCE */
	wrmsr
	mov %cr0, %eax
	and $0x9ffffff3, %eax		/* caches on, no EM, no TS */
	or $0x80010022, %eax
	mov %eax, %cr0
	ljmp $0x18, $start64
	.code64
start64:
	mov $0x7ff0, %rsp
	call main
#else
	call main
#endif
0:	hlt
	jmp 0b

	.balign 8
boot_gdt:
	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
boot_gdtr:
	.word . - boot_gdt - 1
	.long boot_gdt
#endif
