/*
 * tr-bits.c - bit tests, scans, counts, BMI, byte swaps, CRC32
 */
#include "target-x86/tr-int.h"

static enum ir_rmw bt_rmw(unsigned opc)
{
    return opc == IR_BTS ? IRM_BTS : opc == IR_BTR ? IRM_BTR : IRM_BTC;
}

static unsigned log2_bytes(unsigned size)
{
    return size == 8 ? 3 : size == 4 ? 2 : size == 2 ? 1 : 0;
}

/*
 * Linear address of the element of the bit string that holds bit G: the index is
 * signed and reaches outside the operand.
 */
static ir_val bit_addr(struct xlat *x, unsigned size, bool write)
{
    const struct x86_insn *in = x->in;
    unsigned sh = log2_bytes(size);
    ir_val ea = xt_ea(x, 0), t = ir_temp(x->b), off = ir_temp(x->b);

    if (size == 8) {
        ir_mov(x->b, 8, t, in->reg);
    } else {
        ir_emit(x->b, IR_SEXT, 8, t, in->reg, IR_NONE)->sz2 = size;
    }
    ir_emit_imm(x->b, IR_SAR, 8, t, t, sh + 3);
    ir_lea(x->b, in->addrsize == 8 ? 8 : 4, off, ea, t, sh, 0);
    if (in->addrsize == 2)
        ir_emit(x->b, IR_ZEXT, 2, off, off, IR_NONE);
    return xt_lin(x, off, in->seg, size, write);
}

static void bt_mem(struct xlat *x, unsigned size, bool imm)
{
    unsigned opc = x->row->arg;
    bool write = opc != IR_BT;
    ir_val addr = imm ? xt_addr(x, size, write) : bit_addr(x, size, write);
    ir_val bit = imm ? IR_IMM : x->in->reg, t = IR_NONE;
    struct ir_op *op;

    if (write) {
        op = ir_emit(x->b, IR_RMW, size, IR_NONE, addr, bit);
        op->rmw = bt_rmw(opc);
        op->lock = x->in->prefixes & PFX_LOCK;
    } else {
        t = ir_temp(x->b);
        ir_ld(x->b, size, t, addr);
        op = ir_emit(x->b, IR_BT, size, IR_NONE, t, bit);
    }
    op->imm = x->in->imm & (size * 8 - 1);
    op->wf = x->row->wf;
}

void tr_bt(struct xlat *x)
{
    unsigned size = x->in->opsize;
    bool imm = xt_opnd_is_imm(x->row->b);
    struct ir_op *op;

    if (x->in->mem) {
        bt_mem(x, size, imm);
        return;
    }
    op = ir_emit(x->b, x->row->arg, size, x->row->arg == IR_BT ? IR_NONE : x->in->rm,
                 x->in->rm, imm ? IR_IMM : x->in->reg);
    op->imm = x->in->imm & (size * 8 - 1);
    op->wf = x->row->wf;
}

/* a zero source leaves the destination, as every CPU since the 486 does */
void tr_bsf(struct xlat *x)
{
    ir_val a = xt_get(x, x->row->a);

    ir_emit(x->b, x->row->arg, x->in->opsize, x->in->reg, a, x->in->reg)->wf = x->row->wf;
}

void tr_count(struct xlat *x)
{
    ir_val a = xt_get(x, x->row->a);

    ir_emit(x->b, x->row->arg, x->in->opsize, x->in->reg, a, IR_NONE)->wf = x->row->wf;
}

/* three-operand VEX forms: ANDN, BZHI, BEXTR, PDEP, PEXT, SHLX..., RORX */
void tr_bmi(struct xlat *x)
{
    const struct x86_row *r = x->row;
    unsigned size = opnd_bytes(x->in, r->dst);
    bool imm = xt_opnd_is_imm(r->b);
    ir_val a = xt_get(x, r->a), b = imm ? IR_IMM : xt_get(x, r->b);
    struct ir_op *op = ir_emit(x->b, r->arg, size, x->in->reg, a, b);

    op->imm = imm ? x->in->imm & (size == 8 ? 63 : 31) : 0;
    op->wf = r->wf;
}

void tr_bls(struct xlat *x)
{
    unsigned size = opnd_bytes(x->in, x->row->dst);
    ir_val a = xt_get(x, x->row->a);

    ir_emit(x->b, x->row->arg, size, x->in->vvvv, a, IR_NONE)->wf = x->row->wf;
}

/* BSWAP of 16 bits is undefined; CPUs clear the word */
void tr_bswap(struct xlat *x)
{
    unsigned r = xt_opnd_reg(x, x->row->dst), size = x->in->opsize;

    if (size == 2)
        ir_emit_imm(x->b, IR_MOV, 2, r, IR_NONE, 0);
    else
        ir_emit(x->b, IR_BSWAP, size, r, r, IR_NONE);
}

static void swap_bytes(struct xlat *x, unsigned size, ir_val t)
{
    if (size == 2)
        ir_emit_imm(x->b, IR_ROL, 2, t, t, 8);
    else
        ir_emit(x->b, IR_BSWAP, size, t, t, IR_NONE);
}

void tr_movbe(struct xlat *x)
{
    unsigned size = x->in->opsize;
    ir_val t;

    if (x->row->arg) {
        t = xt_copy(x, x->in->reg);
        swap_bytes(x, size, t);
        ir_st(x->b, size, xt_addr(x, size, true), t);
        return;
    }
    t = xt_rm(x, size);
    swap_bytes(x, size, t);
    ir_mov(x->b, size, x->in->reg, t);
}

void tr_crc32(struct xlat *x)
{
    unsigned size = opnd_bytes(x->in, x->row->dst);
    ir_val b = xt_get(x, x->row->b);

    ir_emit(x->b, IR_CRC32C, size, x->in->reg, x->in->reg, b)->sz2 =
        opnd_bytes(x->in, x->row->b);
}
