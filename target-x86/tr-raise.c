/*
 * tr-raise.c - exceptions that are known when the instruction is translated
 */
#include "target-x86/tr-int.h"

static uint64_t h_raise(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    x86_raise(X86(tc), a);
    return 0;
}

static uint64_t h_raise0(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    x86_raise_err(X86(tc), a, 0);
    return 0;
}

static void raise_const(struct xlat *x, ir_helper fn, unsigned vector)
{
    xt_call(x, fn, IR_NONE, xt_imm(x, vector), IR_NONE, IR_NONE);
    xt_dead_end(x);
}

void xt_raise_ud(struct xlat *x)
{
    raise_const(x, h_raise, EXC_UD);
}

void xt_raise_nm(struct xlat *x)
{
    raise_const(x, h_raise, EXC_NM);
}

void xt_raise_gp(struct xlat *x)
{
    raise_const(x, h_raise0, EXC_GP);
}

void tr_ud(struct xlat *x)
{
    xt_raise_ud(x);
}
