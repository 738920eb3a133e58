/*
 * tr-stack.c - PUSH, POP, ENTER, LEAVE and the stack primitives
 *
 * Stack width: 8 in 64-bit code, else 4 or 2 by SS.B. SP is written after the
 * last access, so that a fault leaves it alone.
 */
#include "target-x86/tr-int.h"

static unsigned sp_bytes(const struct xlat *x)
{
    return xt_64(x) ? 8 : x->mode & MODE_SS32 ? 4 : 2;
}

/* @reg + @n in the stack's width: offset in SS */
static ir_val stack_off(struct xlat *x, unsigned reg, int64_t n)
{
    unsigned w = sp_bytes(x);
    ir_val t;

    if (!n && (w == 8 || (w == 4 && !(x->mode & MODE_LONG))))
        return reg;
    t = ir_temp(x->b);
    ir_lea(x->b, w == 8 ? 8 : 4, t, reg, IR_NONE, 0, n);
    if (w == 2)
        ir_emit(x->b, IR_ZEXT, 2, t, t, IR_NONE);
    return t;
}

static ir_val push_store(struct xlat *x, unsigned size, ir_val v)
{
    ir_val off = stack_off(x, R_SP, -(int64_t)size);

    ir_st(x->b, size, xt_lin(x, off, S_SS, size, true), v);
    return off;
}

void xt_push(struct xlat *x, unsigned size, ir_val v)
{
    ir_val off = push_store(x, size, v);

    ir_mov(x->b, sp_bytes(x), G_RSP, off);
}

ir_val xt_push_return(struct xlat *x, ir_val to)
{
    ir_val pc = xt_pc(x, x->next_off), off = push_store(x, x->in->opsize, pc);

    if (to != IR_NONE)
        xt_check_pc(x, to);
    ir_mov(x->b, sp_bytes(x), G_RSP, off);
    return pc;
}

ir_val xt_pop_load(struct xlat *x, unsigned size, unsigned skip)
{
    ir_val lin = xt_lin(x, stack_off(x, R_SP, skip), S_SS, size, false);
    ir_val t = ir_temp(x->b);

    ir_ld(x->b, size, t, lin);
    return t;
}

/* SP = @reg + n */
static void set_sp(struct xlat *x, unsigned reg, int64_t n)
{
    unsigned w = sp_bytes(x);
    ir_val t;

    if (w >= 4) {
        ir_lea(x->b, w, G_RSP, reg, IR_NONE, 0, n);
        return;
    }
    t = ir_temp(x->b);
    ir_lea(x->b, 4, t, reg, IR_NONE, 0, n);
    ir_mov(x->b, 2, G_RSP, t);
}

void xt_add_sp(struct xlat *x, int64_t n)
{
    set_sp(x, R_SP, n);
}

/* ---- instructions --------------------------------------------------------------- */

/* PUSH of a constant: the store takes it as it is */
static void push_imm(struct xlat *x, unsigned size, int64_t v)
{
    ir_val off = stack_off(x, R_SP, -(int64_t)size);
    ir_val lin = xt_lin(x, off, S_SS, size, true);

    ir_emit_imm(x->b, IR_ST, size, IR_NONE, lin, v);
    ir_mov(x->b, sp_bytes(x), G_RSP, off);
}

void tr_push(struct xlat *x)
{
    unsigned size = x->in->opsize;

    if (xt_opnd_is_imm(x->row->a))
        push_imm(x, size, x->in->imm);
    else
        xt_push(x, size, xt_get(x, x->row->a));
}

void tr_pop(struct xlat *x)
{
    unsigned size = x->in->opsize;
    ir_val v = xt_pop_load(x, size, 0);

    xt_add_sp(x, size);
    xt_set_reg(x, xt_opnd_reg(x, x->row->dst), size, v);   /* POP rSP: the value wins */
}

/* POP Ev: an address based on rSP sees it already incremented */
void tr_pop_rm(struct xlat *x)
{
    unsigned size = x->in->opsize;
    ir_val v, addr;

    if (!x->in->mem) {
        v = xt_pop_load(x, size, 0);
        xt_add_sp(x, size);
        xt_set_reg(x, x->in->rm, size, v);
        return;
    }
    v = xt_pop_load(x, size, 0);
    addr = xt_addr_plus(x, x->in->base == R_SP && x->in->addrsize != 2 ? size : 0, size, true);
    ir_st(x->b, size, addr, v);
    xt_add_sp(x, size);
}

void tr_push_seg(struct xlat *x)
{
    ir_val t = ir_temp(x->b);

    ir_lde(x->b, 2, t, CPU_OFF(seg[0].sel) + x->row->arg * sizeof(struct x86_seg));
    xt_push(x, x->in->opsize, t);
}

void tr_pop_seg(struct xlat *x)
{
    ir_val v = xt_pop_load(x, x->in->opsize, 0);

    xt_load_seg(x, x->row->arg, v);
    xt_add_sp(x, x->in->opsize);
}

void tr_pusha(struct xlat *x)
{
    xt_call_i(x, h_pusha, IR_NONE, x->in->opsize, 0, 0);
}

void tr_popa(struct xlat *x)
{
    xt_call_i(x, h_popa, IR_NONE, x->in->opsize, 0, 0);
}

void tr_enter(struct xlat *x)
{
    xt_call_i(x, h_enter, IR_NONE, x->in->imm & 0xffff, x->in->imm2 & 31, x->in->opsize);
}

void tr_leave(struct xlat *x)
{
    unsigned size = x->in->opsize;
    ir_val lin = xt_lin(x, stack_off(x, R_BP, 0), S_SS, size, false);
    ir_val t = ir_temp(x->b);

    ir_ld(x->b, size, t, lin);
    set_sp(x, R_BP, size);
    ir_mov(x->b, size, G_RBP, t);
}
