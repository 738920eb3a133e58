/*
 * multiboot.S - a Multiboot image that a real boot loader starts
 *
 * It writes to the first serial port what it was given: the magic number, the
 * loader's name, the command line. Then isa-debug-exit ends the emulator with 33.
 * Source: Multiboot Specification 0.6.96, sections 3.1 to 3.3.
 */
	.set MAGIC, 0x1badb002
	.set FLAGS, 3                    /* modules on pages, memory information */
	.set COM1, 0x3f8
	.set INFO_CMDLINE, 16
	.set INFO_LOADER, 64
	.code32
	.text
	.align 4
	.long MAGIC, FLAGS, -(MAGIC + FLAGS)

	.globl start
start:
	mov $stack, %esp
	cmp $0x2badb002, %eax
	mov $loader, %esi
	je 1f
	mov $wrong, %esi
1:	call print
	mov INFO_LOADER(%ebx), %esi
	call print
	mov $cmdline, %esi
	call print
	mov INFO_CMDLINE(%ebx), %esi
	call print
	mov $end, %esi
	call print
	mov $0x10, %al
	mov $0x501, %dx
	outb %al, %dx
2:	hlt
	jmp 2b

/* zero-terminated text at ESI */
print:
	mov $COM1 + 5, %dx
1:	inb %dx, %al
	test $0x20, %al
	jz 1b
	lodsb
	test %al, %al
	jz 2f
	mov $COM1, %dx
	outb %al, %dx
	jmp print
2:	ret

loader:	.asciz "\r\nmultiboot: loader="
wrong:	.asciz "\r\nmultiboot: wrong magic number, loader="
cmdline: .asciz " cmdline="
end:	.asciz "\r\n"

	.bss
	.skip 4096
stack:
