/*
 * tr-shift.c - shifts, rotates, double shifts, and their BMI2 forms
 *
 * Memory forms load with LDW: the store can't fault after the flags changed.
 */
#include "target-x86/tr-int.h"

/* constant count, or -1 for CL */
static int const_count(const struct xlat *x)
{
    switch (opnd_kind(x->row->b)) {
    case K_C: return -1;
    case K_One: return 1;
    default: return x->in->imm & 0xff;
    }
}

/* a count that masks to 0 leaves the flags */
static uint8_t shift_flags(const struct xlat *x, int count, unsigned size)
{
    return count >= 0 && !(count & (size == 8 ? 63 : 31)) ? 0 : x->row->wf;
}

static void emit_shift(struct xlat *x, unsigned size, ir_val d, ir_val a)
{
    int count = const_count(x);
    struct ir_op *op = ir_emit(x->b, x->row->arg, size, d, a, count < 0 ? G_RCX : IR_IMM);

    op->imm = count & (size == 8 ? 63 : 31);
    op->wf = shift_flags(x, count, size);
}

void tr_shift(struct xlat *x)
{
    unsigned size = opnd_bytes(x->in, x->row->dst);
    ir_val t, addr;

    if (!x->in->mem) {
        t = xt_reg(x, x->in->rm, size);
        emit_shift(x, size, t, t);
        if (xt_is_high(x, x->in->rm, size))
            xt_set_reg(x, x->in->rm, 1, t);
        return;
    }
    addr = xt_addr(x, size, true);
    t = ir_temp(x->b);
    ir_emit(x->b, IR_LDW, size, t, addr, IR_NONE);
    emit_shift(x, size, t, t);
    ir_st(x->b, size, addr, t);
}

static void emit_shld(struct xlat *x, unsigned size, ir_val d)
{
    bool imm = ROW_HAS(x->row, IMM8);
    int count = imm ? x->in->imm & 0xff : -1;
    struct ir_op *op = ir_emit(x->b, x->row->arg, size, d, d, x->in->reg);

    op->c = imm ? IR_IMM : G_RCX;
    op->imm = imm ? count & (size == 8 ? 63 : 31) : 0;
    op->wf = shift_flags(x, count, size);
}

void tr_shld(struct xlat *x)
{
    unsigned size = x->in->opsize;
    ir_val t, addr;

    if (!x->in->mem) {
        emit_shld(x, size, x->in->rm);
        return;
    }
    addr = xt_addr(x, size, true);
    t = ir_temp(x->b);
    ir_emit(x->b, IR_LDW, size, t, addr, IR_NONE);
    emit_shld(x, size, t);
    ir_st(x->b, size, addr, t);
}
