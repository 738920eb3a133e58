/* string.S - string instructions, single and repeated */
#include "case.inc"
        cases   string

.irp op, movsb, movsl, movsq, stosb, stosl, lodsb, lodsq, scasb, cmpsb
user64 \op
        \op
.endr
.irp op, movsb, movsq, stosb, stosq, lodsb
user64 rep_\op
        rep \op
.endr
.irp op, scasb, scasq, cmpsb
user64 repne_\op
        repne \op
user64 repe_\op
        repe \op
.endr
user64 rep_movsb_fs
        rep movsb %fs:(%rsi), %es:(%rdi)
user64 cld_rep_stosq
        cld
        rep stosq
user64 xlat
        xlat
user32 rep_movsl32
        rep movsl
user32 stosb32
        stosb
real16 rep_movsw16
        rep movsw
real16 lodsb16
        lodsb
kernel64 rep_insw
        rep insw
kernel64 rep_outsb
        rep outsb
        done
