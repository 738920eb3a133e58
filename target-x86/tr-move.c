/*
 * tr-move.c - MOV, extensions, LEA, exchanges, XLAT
 */
#include "target-x86/tr-int.h"

/* load straight into register @n */
static void load_reg(struct xlat *x, unsigned n, unsigned size, ir_val addr)
{
    ir_val t;

    if (size >= 4) {
        ir_ld(x->b, size, n, addr);
    } else if (!xt_is_high(x, n, size)) {
        ir_emit(x->b, IR_LDM, size, n, addr, IR_NONE);
    } else {
        t = ir_temp(x->b);
        ir_ld(x->b, size, t, addr);
        xt_set_reg(x, n, size, t);
    }
}

static void mov_imm(struct xlat *x, int reg, unsigned size)
{
    int64_t v = x->in->imm;

    if (reg < 0)
        ir_emit_imm(x->b, IR_ST, size, IR_NONE, xt_opnd_addr(x, x->row->dst, true), v);
    else if (xt_is_high(x, reg, size))
        xt_set_reg(x, reg, size, xt_imm(x, v));
    else
        ir_emit_imm(x->b, IR_MOV, size, reg, IR_NONE, v);
}

void tr_mov(struct xlat *x)
{
    const struct x86_row *r = x->row;
    unsigned size = opnd_bytes(x->in, r->dst);
    int dst = xt_opnd_reg(x, r->dst), src = xt_opnd_reg(x, r->a);

    if (xt_opnd_is_imm(r->a))
        mov_imm(x, dst, size);
    else if (dst >= 0 && src < 0)
        load_reg(x, dst, size, xt_opnd_addr(x, r->a, false));
    else
        xt_put(x, r->dst, xt_get(x, r->a));
}

void tr_movzx(struct xlat *x)
{
    unsigned from = opnd_bytes(x->in, x->row->a), size = x->in->opsize;
    ir_val d = size == 2 ? ir_temp(x->b) : x->in->reg;

    if (x->in->mem)
        ir_ld(x->b, from, d, xt_addr(x, from, false));
    else if (xt_is_high(x, x->in->rm, from))
        ir_emit(x->b, IR_EXTH, 1, d, x->in->rm - 4, IR_NONE);
    else
        ir_emit(x->b, IR_ZEXT, from, d, x->in->rm, IR_NONE);
    if (size == 2)
        ir_mov(x->b, 2, x->in->reg, d);
}

void tr_movsx(struct xlat *x)
{
    unsigned from = opnd_bytes(x->in, x->row->a), size = x->in->opsize;
    ir_val d, addr;

    if (from >= size) {               /* MOVSXD without REX.W */
        ir_mov(x->b, size, x->in->reg, xt_rm(x, size));
        return;
    }
    if (!x->in->mem) {
        ir_val s = xt_reg(x, x->in->rm, from);
        ir_emit(x->b, IR_SEXT, size, x->in->reg, s, IR_NONE)->sz2 = from;
        return;
    }
    addr = xt_addr(x, from, false);
    d = size == 2 ? ir_temp(x->b) : x->in->reg;
    ir_emit(x->b, IR_LDS, from, d, addr, IR_NONE)->sz2 = MAX(size, 4u);
    if (size == 2)
        ir_mov(x->b, 2, x->in->reg, d);
}

void tr_cbw(struct xlat *x)
{
    ir_emit(x->b, IR_SEXT, x->in->opsize, G_RAX, G_RAX, IR_NONE)->sz2 = x->in->opsize / 2;
}

void tr_cwd(struct xlat *x)
{
    unsigned size = x->in->opsize;

    if (size == 2) {
        ir_mov(x->b, 2, G_RDX, G_RAX);
        ir_emit_imm(x->b, IR_SAR, 2, G_RDX, G_RDX, 15);
    } else {
        ir_emit_imm(x->b, IR_SAR, size, G_RDX, G_RAX, size * 8 - 1);
    }
}

/* address and operand sizes of 4 and 8: one LEA of the narrower width */
static void lea_direct(struct xlat *x, unsigned size)
{
    const struct x86_insn *in = x->in;
    ir_val base = in->base == REGNO_NONE ? IR_NONE : in->base;
    ir_val index = in->index == REGNO_NONE ? IR_NONE : in->index;

    if (base == IR_NONE && index == IR_NONE)
        ir_emit_imm(x->b, IR_MOV, size, in->reg, IR_NONE, in->disp);
    else if (index == IR_NONE && !in->disp)
        ir_mov(x->b, size, in->reg, base);
    else
        ir_lea(x->b, size, in->reg, base, index, in->scale, in->disp);
}

void tr_lea(struct xlat *x)
{
    const struct x86_insn *in = x->in;

    if (in->opsize >= 4 && in->addrsize >= 4 && in->base != REGNO_RIP)
        lea_direct(x, MIN(in->opsize, in->addrsize));
    else
        ir_mov(x->b, in->opsize, in->reg, xt_ea(x, 0));
}

/* ---- exchanges ------------------------------------------------------------------- */

static void xchg_regs(struct xlat *x, unsigned size, unsigned r1, unsigned r2)
{
    ir_val a = xt_reg(x, r1, size), b;

    if (!xt_is_high(x, r1, size))
        a = xt_copy(x, a);
    b = xt_reg(x, r2, size);
    xt_set_reg(x, r1, size, b);
    xt_set_reg(x, r2, size, a);
}

/* where an exchange with memory leaves what was there: the register, or for AH..BH a
 * fresh temp, of which only the low byte counts */
static ir_val old_value(struct xlat *x, unsigned size)
{
    return xt_is_high(x, x->in->reg, size) ? ir_temp(x->b) : x->in->reg;
}

void tr_xchg(struct xlat *x)
{
    unsigned size = opnd_bytes(x->in, x->row->dst);
    ir_val addr, v, old;

    if (!x->in->mem) {
        xchg_regs(x, size, x->in->rm, x->in->reg);
        return;
    }
    addr = xt_addr(x, size, true);
    v = xt_reg(x, x->in->reg, size);
    old = old_value(x, size);
    ir_emit(x->b, IR_XCHGM, size, old, addr, v);
    if (old != x->in->reg)
        xt_set_reg(x, x->in->reg, size, old);
}

/* 90 is NOP: it must not clear the upper half of RAX */
void tr_xchg_acc(struct xlat *x)
{
    unsigned r = xt_opnd_reg(x, x->row->dst);

    if (r != R_AX)
        xchg_regs(x, x->in->opsize, r, R_AX);
}

void tr_nop(struct xlat *x)
{
}

/* Somebody spins: the one waited for may want the host CPU. */
void tr_pause(struct xlat *x)
{
    if (x->cpu->model->n_vcpus > 1)
        ir_call(x->b, tcg_pause, IRCALL_NOVEC, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
}

/*
 * Register destination: both results are selected, nothing can fault. The one that
 * is not written keeps its upper half, as on silicon.
 */
static void cmpxchg_reg(struct xlat *x, unsigned size)
{
    const struct x86_insn *in = x->in;
    unsigned w = size == 4 ? 8 : size;
    ir_val dst = xt_reg(x, in->rm, size), src = ir_temp(x->b), old = ir_temp(x->b);

    ir_emit(x->b, IR_ZEXT, size, src, xt_reg(x, in->reg, size), IR_NONE);
    ir_emit(x->b, IR_ZEXT, size, old, dst, IR_NONE);
    ir_emit(x->b, IR_CMP, size, IR_NONE, G_RAX, old)->wf = x->row->wf;
    ir_emit(x->b, IR_CMOV, 8, src, dst, src)->cc = IRC_Z;
    ir_emit(x->b, IR_CMOV, 8, old, G_RAX, old)->cc = IRC_NZ;
    ir_mov(x->b, w, G_RAX, old);
    xt_set_reg(x, in->rm, w, src);
}

void tr_cmpxchg(struct xlat *x)
{
    unsigned size = opnd_bytes(x->in, x->row->dst);
    ir_val addr, src;
    struct ir_op *op;

    if (!x->in->mem) {
        cmpxchg_reg(x, size);
        return;
    }
    addr = xt_addr(x, size, true);
    src = xt_reg(x, x->in->reg, size);
    op = ir_emit(x->b, IR_CMPXCHG, size, G_RAX, addr, src);
    op->c = G_RAX;
    op->wf = x->row->wf;
    op->lock = x->in->prefixes & PFX_LOCK;
}

static void xadd_reg(struct xlat *x, unsigned size)
{
    const struct x86_insn *in = x->in;
    ir_val old = xt_copy(x, xt_reg(x, in->rm, size)), sum = xt_copy(x, old);
    ir_val src = xt_reg(x, in->reg, size);

    ir_emit(x->b, IR_ADD, size, sum, sum, src)->wf = x->row->wf;
    xt_set_reg(x, in->reg, size, old);
    xt_set_reg(x, in->rm, size, sum);
}

void tr_xadd(struct xlat *x)
{
    unsigned size = opnd_bytes(x->in, x->row->dst);
    ir_val addr, v, old;
    struct ir_op *op;

    if (!x->in->mem) {
        xadd_reg(x, size);
        return;
    }
    addr = xt_addr(x, size, true);
    v = xt_reg(x, x->in->reg, size);
    old = old_value(x, size);
    op = ir_emit(x->b, IR_XADDM, size, old, addr, v);
    op->wf = x->row->wf;
    op->lock = x->in->prefixes & PFX_LOCK;
    if (old != x->in->reg)
        xt_set_reg(x, x->in->reg, size, old);
}

void tr_cmpxchg8b(struct xlat *x)
{
    ir_val addr = xt_addr(x, x->row->arg ? 16 : 8, true);

    xt_lean(xt_call(x, x->row->arg ? h_cmpxchg16b : h_cmpxchg8b, IR_NONE, addr, IR_NONE, IR_NONE));
}

void tr_xlat(struct xlat *x)
{
    const struct x86_insn *in = x->in;
    unsigned seg = in->seg_ovr == REGNO_NONE ? S_DS : in->seg_ovr;
    ir_val al = ir_temp(x->b), off = ir_temp(x->b);

    ir_emit(x->b, IR_ZEXT, 1, al, G_RAX, IR_NONE);
    ir_lea(x->b, in->addrsize == 8 ? 8 : 4, off, G_RBX, al, 0, 0);
    if (in->addrsize == 2)
        ir_emit(x->b, IR_ZEXT, 2, off, off, IR_NONE);
    ir_emit(x->b, IR_LDM, 1, G_RAX, xt_lin(x, off, seg, 1, false), IR_NONE);
}
