/*
 * reset.S - a triple fault resets the machine: RAM keeps, registers do not
 *
 * The first run leaves a mark in RAM and faults without an IDT; the second finds
 * the mark. With -no-reboot the emulator ends between the two.
 */
	.code16
	.text
	.macro say text
	mov $9f, %si
	call print
	jmp 8f
9:	.asciz "\text\n"
8:
	.endm

start:
	mov $0xf000, %ax
	mov %ax, %ds
	mov $0x7000, %sp
	xor %ax, %ax
	mov %ax, %ss
	mov %ax, %es
	cmpl $0x7461464c, %es:0x600
	je second
	movl $0x7461464c, %es:0x600
	say "first run"
	mov $0x12345678, %edx
	lidtl %cs:no_idt
	int3
	say "FAIL still running after a triple fault"
	hlt
second:
	mov %cr0, %eax
	cmp $0x60000010, %eax
	jne 1f
	say "ok reset after a triple fault"
	say "1 passed, 0 failed, 0 skipped"
	mov $0x10, %al
	jmp 2f
1:	say "FAIL CR0 after reset"
	say "0 passed, 1 failed, 0 skipped"
	mov $0x11, %al
2:	mov $0x501, %dx
	out %al, %dx
3:	cli
	hlt
	jmp 3b

print:
	mov $0x402, %dx
	in %dx, %al
	cmp $0xe9, %al
	je 0f
	mov $0xe9, %dx
0:	lodsb
	test %al, %al
	jz 1f
	out %al, %dx
	jmp 0b
1:	ret
no_idt:
	.word 0
	.long 0
	.org 0xfff0
	ljmp $0xf000, $start
	.org 0x10000
