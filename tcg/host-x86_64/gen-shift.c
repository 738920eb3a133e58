/* gen-shift.c - shifts, rotates, single bits, BMI */
#define _GNU_SOURCE
#include "tcg/host-x86_64/gen-int.h"

/* ---- shifts ------------------------------------------------------------------------ */

void gen_shift(struct gen *g, const struct ir_op *op)
{
    static const uint8_t ext[] = { [IR_SHL - IR_SHL] = 4, [IR_SHR - IR_SHL] = 5, [IR_SAR - IR_SHL] = 7,
                                   [IR_ROL - IR_SHL] = 0, [IR_ROR - IR_SHL] = 1, [IR_RCL - IR_SHL] = 2,
                                   [IR_RCR - IR_SHL] = 3 };
    unsigned n = ext[op->opc - IR_SHL];
    bool through_c = op->opc == IR_RCL || op->opc == IR_RCR;
    int64_t k;
    bool is_k = val_const(g, op->b, op, &k);

    if (is_k)
        k &= op->size == 8 ? 63 : 31;
    /* BMI2: no flags wanted, none destroyed */
    if (!op->wf && op->size >= 4 && (op->opc == IR_SHL || op->opc == IR_SHR || op->opc == IR_SAR) && !is_k) {
        struct opn m = val_const(g, op->a, op, &(int64_t){ 0 }) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        int cnt = val_reg(g, op->b), r = pin_of(g, op->d);
        if (r < 0)
            r = scratch_get(g);
        vex(&g->c, 2, op->opc == IR_SHL ? 1 : op->opc == IR_SHR ? 3 : 2, op->size == 8, 0, 0xf7, r, cnt, m);
        def_done(g, op->d, r, op->size);
        return;
    }
    if (!op->wf && op->size >= 4 && is_k && op->lf && (op->opc == IR_ROR || op->opc == IR_ROL)) {
        struct opn m = val_const(g, op->a, op, &(int64_t){ 0 }) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        int r = pin_of(g, op->d);
        if (r < 0)
            r = scratch_get(g);
        rorx(&g->c, op->size, r, m, (unsigned)(op->opc == IR_ROR ? k : (int64_t)op->size * 8 - k) & (op->size * 8 - 1));
        def_done(g, op->d, r, op->size);
        return;
    }
    if (through_c) {
        if (op->wf)
            flags_load(g);
        else
            carry_in(g, op);
    } else if (op->wf && !is_k) {
        flags_load(g);       /* a count of 0 keeps F */
    } else {
        flags_prepare(g, op);
    }
    if (is_k && k == 0 && op->wf && !g->fl_host)
        flags_load(g);
    if (is_k) {
        int r = start_dest(g, op, -1);
        bool kept = k && keeps_for_shift(g, op, r);
        if (k == 1) {
            ins_sz(&g->c, op->size, 0xd0, (int)n, o_reg(r));
        } else {
            ins_sz(&g->c, op->size, 0xc0, (int)n, o_reg(r));
            e8(&g->c, (unsigned)k);
        }
        flags_done(g, op);
        if (kept)
            recipe_of_shift(g, op, k);
        def_done(g, op->d, r, op->size);
        return;
    }
    int breg = !is_global(g, op->b) ? g->v[op->b].reg : -1;
    if (breg == RCX)
        g->locked |= 1 << RCX;
    else
        scratch_take(g, RCX);
    if (breg != RCX)
        val_to(g, RCX, op->b);
    int r = start_dest(g, op, RCX);
    ins_sz(&g->c, op->size, 0xd2, (int)n, o_reg(r));
    flags_done(g, op);
    def_done(g, op->d, r, op->size);
}

void gen_shiftd(struct gen *g, const struct ir_op *op)
{
    bool left = op->opc == IR_SHLD;
    int64_t k;
    bool is_k = val_const(g, op->c, op, &k);

    if (is_k)
        k &= op->size == 8 ? 63 : 31;
    if (op->wf && (!is_k || k == 0))
        flags_load(g);
    else
        flags_prepare(g, op);
    if (!is_k) {
        int creg = !is_global(g, op->c) ? g->v[op->c].reg : -1;
        if (creg == RCX)
            g->locked |= 1 << RCX;
        else {
            scratch_take(g, RCX);
            val_to(g, RCX, op->c);
        }
    }
    int b = val_reg(g, op->b);
    int r = start_dest(g, op, b);
    ins(&g->c, op->size, X0F | (left ? 0xa4 : 0xac) | (is_k ? 0 : 1), b, o_reg(r));
    if (is_k)
        e8(&g->c, (unsigned)k);
    flags_done(g, op);
    def_done(g, op->d, r, op->size);
}

/* ---- bits ------------------------------------------------------------------------------ */

void gen_bt(struct gen *g, const struct ir_op *op)
{
    static const uint8_t ext[] = { 4, 5, 6, 7 };   /* BT BTS BTR BTC */
    unsigned n = ext[op->opc - IR_BT];
    int64_t k;
    bool is_k = val_const(g, op->b, op, &k);

    flags_prepare(g, op);
    if (op->opc == IR_BT) {
        int a = val_reg(g, op->a);
        if (is_k) {
            ins(&g->c, op->size, X0F | 0xba, 4, o_reg(a));
            e8(&g->c, (unsigned)k & (op->size * 8 - 1));
        } else {
            ins(&g->c, op->size, X0F | 0xa3, val_reg(g, op->b), o_reg(a));
        }
        flags_done(g, op);
        return;
    }
    int b = is_k ? -1 : val_reg(g, op->b);
    int r = start_dest(g, op, b);
    if (is_k) {
        ins(&g->c, op->size, X0F | 0xba, (int)n, o_reg(r));
        e8(&g->c, (unsigned)k & (op->size * 8 - 1));
    } else {
        ins(&g->c, op->size, X0F | 0x83 | n << 3, b, o_reg(r));
    }
    flags_done(g, op);
    def_done(g, op->d, r, op->size);
}

/* VEX.vvvv forms. @ndd: destination in vvvv (BLSR group) */
void gen_bmi(struct gen *g, const struct ir_op *op)
{
    unsigned w = op->size == 8;
    int64_t k;
    int r;

    if (op->opc == IR_PDEP || op->opc == IR_PEXT) {
        int a = val_reg(g, op->a);
        struct opn m = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
        r = def_reg(g, op->d);
        vex(&g->c, 2, op->opc == IR_PDEP ? 3 : 2, w, 0, 0xf5, r, a, m);
        def_done(g, op->d, r, op->size);
        return;
    }
    flags_prepare(g, op);
    if (op->opc == IR_ANDN) {
        int a = val_reg(g, op->a);
        struct opn m = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
        r = def_reg(g, op->d);
        vex(&g->c, 2, 0, w, 0, 0xf2, r, a, m);
    } else if (op->opc == IR_BEXTR || op->opc == IR_BZHI) {
        int b = val_reg(g, op->b);
        struct opn m = val_const(g, op->a, op, &k) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        r = def_reg(g, op->d);
        vex(&g->c, 2, 0, w, 0, op->opc == IR_BEXTR ? 0xf7 : 0xf5, r, b, m);
    } else {
        struct opn m = val_const(g, op->a, op, &k) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        r = def_reg(g, op->d);
        vex(&g->c, 2, 0, w, 0, 0xf3, op->opc == IR_BLSR ? 1 : op->opc == IR_BLSMSK ? 2 : 3, r, m);
    }
    flags_done(g, op);
    def_done(g, op->d, r, op->size);
}

void gen_crc32(struct gen *g, const struct ir_op *op)
{
    int64_t k;
    struct opn m = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
    int r = start_dest(g, op, m.kind == ON_REG ? m.reg : -1);

    unsigned sz = op->sz2;
    if (sz == 1)
        ins(&g->c, 4, XF2 | X0F38 | 0xf0 | XBM, r, m);
    else
        ins(&g->c, sz, XF2 | X0F38 | 0xf1, r, m);
    def_done(g, op->d, r, 8);
}

void gen_bswap(struct gen *g, const struct ir_op *op)
{
    int r = start_dest(g, op, -1);

    if (op->size == 8 || r >= 8)
        e8(&g->c, 0x40 | (op->size == 8 ? 8 : 0) | r >> 3);
    e8(&g->c, 0x0f);
    e8(&g->c, 0xc8 | (r & 7));
    def_done(g, op->d, r, op->size);
}
