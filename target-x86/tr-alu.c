/*
 * tr-alu.c - integer arithmetic and logic
 *
 * One guest instruction is one IR op where its operands allow it: registers are
 * globals, memory destinations are RMW.
 */
#include "target-x86/tr-int.h"

static bool locked(const struct xlat *x)
{
    return x->in->prefixes & PFX_LOCK;
}

/* IRM_* of an IR opcode that has a memory form */
static enum ir_rmw rmw_of(unsigned opc)
{
    switch (opc) {
    case IR_ADD: return IRM_ADD;
    case IR_SUB: return IRM_SUB;
    case IR_AND: return IRM_AND;
    case IR_OR: return IRM_OR;
    case IR_XOR: return IRM_XOR;
    case IR_ADC: return IRM_ADC;
    case IR_SBB: return IRM_SBB;
    case IR_INC: return IRM_INC;
    case IR_DEC: return IRM_DEC;
    case IR_NEG: return IRM_NEG;
    default: return IRM_NOT;
    }
}

/* memory destination: [addr] = [addr] op b */
static void alu_rmw(struct xlat *x, unsigned size, ir_val b, int64_t imm)
{
    ir_val addr = xt_addr(x, size, true);
    struct ir_op *op = ir_emit(x->b, IR_RMW, size, IR_NONE, addr, b);

    op->rmw = rmw_of(x->row->arg);
    op->imm = imm;
    op->wf = x->row->wf;
    op->lock = locked(x);
}

/* register @reg (maybe AH..BH) = a op b, or flags only when @reg is -1 */
static void alu_reg(struct xlat *x, unsigned size, int reg, ir_val a, ir_val b, int64_t imm)
{
    bool high = reg >= 0 && xt_is_high(x, reg, size);
    ir_val d = reg < 0 ? IR_NONE : high ? a : (ir_val)reg;
    struct ir_op *op = ir_emit(x->b, x->row->arg, size, d, a, b);

    op->imm = imm;
    op->wf = x->row->wf;
    if (high)
        xt_set_reg(x, reg, 1, d);
}

void tr_alu(struct xlat *x)
{
    const struct x86_row *r = x->row;
    unsigned size = opnd_bytes(x->in, r->a);
    bool imm = xt_opnd_is_imm(r->b);
    int64_t iv = imm ? xt_opnd_imm(x, r->b) : 0;
    ir_val a, b;

    if (x->in->mem && opnd_kind(r->dst) == K_E) {
        alu_rmw(x, size, imm ? IR_IMM : xt_get(x, r->b), iv);
        return;
    }
    a = xt_get(x, r->a);
    b = imm ? IR_IMM : xt_get(x, r->b);
    alu_reg(x, size, r->dst ? xt_opnd_reg(x, r->dst) : -1, a, b, iv);
}

void tr_unary(struct xlat *x)
{
    unsigned size = opnd_bytes(x->in, x->row->a);

    if (x->in->mem)
        alu_rmw(x, size, IR_NONE, 0);
    else
        alu_reg(x, size, xt_opnd_reg(x, x->row->dst), xt_get(x, x->row->a), IR_NONE, 0);
}

/* ---- multiplication, division --------------------------------------------------- */

void tr_imul(struct xlat *x)
{
    const struct x86_row *r = x->row;
    bool imm = xt_opnd_is_imm(r->b);
    ir_val a = xt_get(x, r->a), b = imm ? IR_IMM : xt_get(x, r->b);
    struct ir_op *op = ir_emit(x->b, IR_IMUL, x->in->opsize, x->in->reg, a, b);

    op->imm = x->in->imm;
    op->wf = r->wf;
}

/* rDX:rAX = rAX * E; AX = AL * E */
void tr_mul(struct xlat *x)
{
    unsigned size = opnd_bytes(x->in, x->row->b);
    ir_val b = xt_get(x, x->row->b);
    struct ir_op *op = ir_emit(x->b, x->row->arg, size, G_RAX, G_RAX, b);

    if (size > 1)
        op->e = G_RDX;
    op->wf = x->row->wf;
}

/* AL, AH = AX / E; of the temps only the low bytes count */
static void div8(struct xlat *x, ir_val c)
{
    ir_val q = ir_temp(x->b), r = ir_temp(x->b);
    struct ir_op *op = ir_emit(x->b, x->row->arg, 1, q, G_RAX, IR_NONE);

    op->e = r;
    op->c = c;
    ir_mov(x->b, 1, G_RAX, q);
    ir_emit(x->b, IR_DEPH, 1, G_RAX, r, IR_NONE);
}

void tr_div(struct xlat *x)
{
    unsigned size = opnd_bytes(x->in, x->row->b);
    ir_val c = xt_get(x, x->row->b);
    struct ir_op *op;

    if (size == 1) {
        div8(x, c);
        return;
    }
    op = ir_emit(x->b, x->row->arg, size, G_RAX, G_RAX, G_RDX);
    op->e = G_RDX;
    op->c = c;
}

void tr_mulx(struct xlat *x)
{
    unsigned size = opnd_bytes(x->in, x->row->dst);
    ir_val b = xt_get(x, x->row->b);
    /* one register for both halves keeps the high one */
    ir_val lo = x->in->vvvv == x->in->reg ? ir_temp(x->b) : x->in->vvvv;
    struct ir_op *op = ir_emit(x->b, IR_MULX, size, lo, G_RDX, b);

    op->e = x->in->reg;
}

void tr_adx(struct xlat *x)
{
    unsigned size = opnd_bytes(x->in, x->row->dst);
    ir_val b = xt_get(x, x->row->b);

    ir_emit(x->b, x->row->arg, size, x->in->reg, x->in->reg, b)->wf = x->row->wf;
}

void tr_bcd(struct xlat *x)
{
    uint8_t imm = x->in->imm;

    if (x->row->arg == 4 && !imm)     /* AAM 0: #DE from the helper as well */
        imm = 0;
    xt_call_i(x, h_bcd, IR_NONE, x->row->arg, imm, 0);
}

/* ---- flags ---------------------------------------------------------------------------- */

void tr_flag(struct xlat *x)
{
    ir_emit(x->b, x->row->arg, 1, IR_NONE, IR_NONE, IR_NONE)->wf = IRF_C;
}

static bool no_lahf(const struct xlat *x)
{
    return xt_64(x) && x->cpu->model && !x86_has(x->cpu, FEAT_80000001_ECX, 0);
}

void tr_lahf(struct xlat *x)
{
    ir_val t;

    if (no_lahf(x)) {
        xt_raise_ud(x);
        return;
    }
    t = ir_temp(x->b);
    ir_emit(x->b, IR_GETF, 4, t, IR_NONE, IR_NONE);
    ir_emit_imm(x->b, IR_OR, 4, t, t, EF_1);
    ir_emit(x->b, IR_DEPH, 1, G_RAX, t, IR_NONE);
}

void tr_sahf(struct xlat *x)
{
    ir_val t;

    if (no_lahf(x)) {
        xt_raise_ud(x);
        return;
    }
    t = ir_temp(x->b);
    ir_emit(x->b, IR_EXTH, 1, t, G_RAX, IR_NONE);
    ir_emit(x->b, IR_SETF, 4, IR_NONE, t, IR_NONE)->wf = x->row->wf;
}

void tr_salc(struct xlat *x)
{
    ir_val t = ir_temp(x->b);

    ir_emit(x->b, IR_SETCC, 1, t, IR_NONE, IR_NONE)->cc = IRC_C;
    ir_emit(x->b, IR_NEG, 4, t, t, IR_NONE);
    ir_mov(x->b, 1, G_RAX, t);
}

void tr_setcc(struct xlat *x)
{
    ir_val t = ir_temp(x->b), addr;

    if (x->in->mem) {
        addr = xt_addr(x, 1, true);
        ir_emit(x->b, IR_SETCC, 1, t, IR_NONE, IR_NONE)->cc = x->in->opcode & 15;
        ir_st(x->b, 1, addr, t);
        return;
    }
    ir_emit(x->b, IR_SETCC, 1, t, IR_NONE, IR_NONE)->cc = x->in->opcode & 15;
    xt_set_reg(x, x->in->rm, 1, t);
}

void tr_cmov(struct xlat *x)
{
    ir_val v = xt_get(x, x->row->a);

    ir_emit(x->b, IR_CMOV, x->in->opsize, x->in->reg, x->in->reg, v)->cc = x->in->opcode & 15;
}
