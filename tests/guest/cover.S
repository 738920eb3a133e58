/* cover.S - a Multiboot program whose lines say how often they are executed */
        .text
        .global _start
        .align 4
        .long 0x1badb002, 0, -0x1badb002
_start:
        mov $5, %ecx            /* times 1 */
1:
        dec %ecx                /* times 5 */
        jnz 1b                  /* times 5 */
        test %ecx, %ecx         /* times 1 */
        jz 2f                   /* times 1 */
        nop                     /* times 0 */
2:
        mov $0x501, %edx        /* times 1 */
        mov $1, %al             /* times 1 */
        out %al, %dx
3:
        hlt
        jmp 3b
