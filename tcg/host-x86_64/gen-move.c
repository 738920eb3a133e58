/*
 * gen-move.c - moves, extensions, addresses; what every operation needs to choose
 * the register it computes in
 */
#define _GNU_SOURCE
#include "tcg/host-x86_64/gen-int.h"

/* F bits that must survive @op because it does not define them. */
uint8_t kept_flags(const struct ir_op *op) { return op->lf & ~op->wf; }

/* Before an instruction that writes EFLAGS. When the operation defines some of F and
 * the rest stays live, the host instruction has to start from F: it keeps what IR
 * says is kept. */
void flags_prepare(struct gen *g, const struct ir_op *op)
{
    if (!op->wf)
        flags_clobber(g, op->lf);
    else if (kept_flags(op))
        flags_load(g);
}

void flags_done(struct gen *g, const struct ir_op *op)
{
    if (op->wf)
        flags_set(g);
}

bool dies(const struct ir_op *op, unsigned which) { return op->last >> which & 1; }

/* The scratch register of temp @v when it is not needed after this operation. */
int dying_reg(struct gen *g, const struct ir_op *op, ir_val v, unsigned which)
{
    if (v >= IR_MAX_VALS || is_global(g, v) || !dies(op, which))
        return -1;
    return g->v[v].reg;
}

/* Sub-register results keep the rest of the destination: it must be there first. */
bool merges(const struct gen *g, const struct ir_op *op)
{
    return op->size < 4 && op->d != op->a && (is_global(g, op->d) || g->v[op->d].defined);
}

/*
 * A register that holds operand a and may be computed in; afterwards d.
 * @busy: register that must not be it (an input used later), or -1.
 */
int start_dest(struct gen *g, const struct ir_op *op, int busy)
{
    int p = pin_of(g, op->d), r;
    int64_t k;

    if (merges(g, op)) {     /* low part of a into the old d */
        if (p >= 0 && p != busy) {
            struct opn m = val_const(g, op->a, op, &k) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
            ins_sz(&g->c, op->size, 0x8a, p, m);
            return p;
        }
        r = scratch_get(g);
        val_to(g, r, op->a);
        return r;
    }
    if (p >= 0 && (p != busy || op->a == op->d)) {
        if (op->a != op->d)
            val_to(g, p, op->a);
        return p;
    }
    if (op->a == op->d && p < 0 && (!is_global(g, op->d) || op->size >= 4)) {
        r = val_reg(g, op->d);
        if (r != busy)
            return r;
    }
    r = dying_reg(g, op, op->a, 2);
    if (r >= 0 && r != busy && !(op->a == op->b)) {
        g->locked |= 1 << r;
        return r;
    }
    r = scratch_get(g);
    val_to(g, r, op->a);
    return r;
}

/* ---- moves -------------------------------------------------------------------- */

void gen_mov(struct gen *g, const struct ir_op *op)
{
    int p = pin_of(g, op->d);
    int64_t k;
    bool is_k = val_const(g, op->b, op, &k);

    if (is_k && !is_global(g, op->d) && op->size >= 4) {
        def_const(g, op->d, op->size == 4 ? (int64_t)(uint32_t)k : k);
        return;
    }
    if (is_k && is_global(g, op->d)) {
        struct opn m = p >= 0 ? o_reg(p) : o_env(g->b->target->globals[op->d].offset);
        if (op->size == 4)
            k = (int64_t)(uint32_t)k;
        if (p < 0)
            global_drop(g, op->d);
        if (op->size >= 4 && p >= 0) {
            mov_imm(&g->c, p, (uint64_t)k);
        } else if (op->size >= 4 && fits32(k)) {
            ins(&g->c, 8, 0xc7, 0, m);
            e32(&g->c, (uint32_t)k);
        } else if (op->size >= 4) {
            int r = scratch_get(g);
            mov_imm(&g->c, r, (uint64_t)k);
            mov_store(&g->c, m, r);
        } else if (op->size == 2) {
            ins(&g->c, 2, 0xc7, 0, m);
            e16(&g->c, (unsigned)k);
        } else {
            ins(&g->c, 1, 0xc6 | XBM, 0, m);
            e8(&g->c, (unsigned)k);
        }
        return;
    }
    if (op->size >= 4) {
        if (p >= 0) {
            ins(&g->c, op->size, 0x8b, p, val_rm(g, op->b));
        } else if (is_global(g, op->d)) {
            int r = val_reg(g, op->b);
            if (op->size == 4) {
                int s = scratch_get(g);
                mov_rr(&g->c, 4, s, r);
                r = s;
            }
            global_drop(g, op->d);
            mov_store(&g->c, o_env(g->b->target->globals[op->d].offset), r);
        } else {
            int r = dying_reg(g, op, op->b, 3);
            if (r < 0 || op->size == 4) {
                struct opn m = val_rm(g, op->b);
                r = scratch_get(g);
                ins(&g->c, op->size, 0x8b, r, m);
            }
            def_done(g, op->d, r, 8);
        }
        return;
    }
    /* byte and word moves merge */
    if (p >= 0) {
        ins_sz(&g->c, op->size, 0x8a, p, is_k ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b));
    } else if (is_global(g, op->d)) {
        ins_sz(&g->c, op->size, 0x88, val_reg(g, op->b), o_env(g->b->target->globals[op->d].offset));
        global_drop(g, op->d);
    } else if (g->v[op->d].defined) {
        int s = val_reg(g, op->b), r = val_reg(g, op->d);
        ins_sz(&g->c, op->size, 0x8a, r, o_reg(s));
        g->v[op->d].is_const = false;
        def_done(g, op->d, r, 8);
    } else {
        int r = scratch_get(g);
        val_to(g, r, op->b);
        def_done(g, op->d, r, 8);
    }
}

/* A destination for a whole-register result that must not be an input's register. */
static int whole_dest(struct gen *g, const struct ir_op *op)
{
    return def_reg(g, op->d);
}

void gen_zext(struct gen *g, const struct ir_op *op)
{
    struct opn m = val_rm(g, op->a);
    int r = whole_dest(g, op);

    switch (op->size) {
    case 1: ins(&g->c, 4, X0F | 0xb6 | XBM, r, m); break;
    case 2: ins(&g->c, 4, X0F | 0xb7, r, m); break;
    case 4: ins(&g->c, 4, 0x8b, r, m); break;
    default: mov_load(&g->c, r, m);
    }
    def_done(g, op->d, r, 8);
}

void gen_sext(struct gen *g, const struct ir_op *op)
{
    struct opn m = val_rm(g, op->a);
    int r;

    if (op->size == 2 && merges(g, op) && pin_of(g, op->d) < 0) {
        r = scratch_get(g);
    } else {
        r = whole_dest(g, op);
    }
    unsigned sz = op->size;
    if (op->sz2 == 1)
        ins(&g->c, sz, X0F | 0xbe | XBM, r, m);
    else if (op->sz2 == 2)
        ins(&g->c, sz, X0F | 0xbf, r, m);
    else if (sz == 8)
        ins(&g->c, 8, 0x63, r, m);
    else
        ins(&g->c, 4, 0x8b, r, m);
    def_done(g, op->d, r, op->size);
}

void rorx(struct code *c, unsigned size, int d, struct opn m, unsigned n)
{
    vex(c, 3, 3, size == 8, 0, 0xf0, d, 0, m);
    e8(c, n);
}

void gen_exth(struct gen *g, const struct ir_op *op)
{
    struct opn m = val_rm(g, op->a);
    int r = whole_dest(g, op);

    rorx(&g->c, 4, r, m, 8);
    ins(&g->c, 4, X0F | 0xb6 | XBM, r, o_reg(r));
    def_done(g, op->d, r, 8);
}

void gen_deph(struct gen *g, const struct ir_op *op)
{
    int64_t k;
    int r = pin_of(g, op->d);
    bool is_k = val_const(g, op->a, op, &k);
    int s = is_k ? -1 : val_reg(g, op->a);

    if (r < 0) {
        if (is_global(g, op->d)) {   /* memory: the byte itself */
            struct opn m = o_env(g->b->target->globals[op->d].offset + 1);
            if (s < 0 || g->v[op->d].reg != s)
                global_drop(g, op->d);
            if (is_k) {
                ins(&g->c, 1, 0xc6 | XBM, 0, m);
                e8(&g->c, (unsigned)k);
            } else {
                ins(&g->c, 1, 0x88 | XB, s, m);
                global_drop(g, op->d);
            }
            return;
        }
        r = val_reg(g, op->d);
    }
    if (s == r) {
        s = scratch_get(g);
        mov_rr(&g->c, 8, s, r);
    }
    rorx(&g->c, 8, r, o_reg(r), 8);
    if (is_k) {
        ins(&g->c, 1, 0xc6 | XBM, 0, o_reg(r));
        e8(&g->c, (unsigned)k);
    } else {
        ins(&g->c, 1, 0x8a | XB | XBM, r, o_reg(s));
    }
    rorx(&g->c, 8, r, o_reg(r), 56);
    def_done(g, op->d, r, 8);
}

void lea(struct gen *g, unsigned size, int r, int base, int index, unsigned sc, int32_t disp)
{
    if (index < 0 && base < 0)
        mov_imm(&g->c, r, size == 4 ? (uint64_t)(uint32_t)disp : (uint64_t)(int64_t)disp);
    else if (index < 0 && disp == 0)
        mov_rr(&g->c, size, r, base);
    else
        ins(&g->c, size, 0x8d, r, (struct opn){ .kind = ON_MEM, .base = (int8_t)base,
            .index = (int8_t)index, .scale = (uint8_t)sc, .disp = disp });
}

void gen_lea(struct gen *g, const struct ir_op *op)
{
    int64_t ka = 0, kb = 0, disp = op->imm;
    int base = -1, index = -1, r;

    if (op->a != IR_NONE) {
        if (val_const(g, op->a, op, &ka) && op->a != IR_IMM)
            disp += ka;
        else
            base = val_reg(g, op->a);
    }
    if (op->b != IR_NONE) {
        if (op->b != IR_IMM && val_const(g, op->b, op, &kb))
            disp = (int64_t)((uint64_t)disp + ((uint64_t)kb << op->sc));
        else
            index = val_reg(g, op->b);
    }
    if (op->size == 4)
        disp = (int32_t)disp;
    if (!fits32(disp)) {
        int k = scratch_get(g);
        if (index >= 0) {        /* base and index first, then the constant */
            lea(g, op->size, k, base, index, op->sc, 0);
            base = k;
            if (index < N_SCRATCH && pin_of(g, op->b) < 0)
                g->locked &= ~(1 << index), index = -1;
            index = scratch_get(g);
            mov_imm(&g->c, index, (uint64_t)disp);
            lea(g, op->size, k, base, index, 0, 0);
            def_done(g, op->d, k, op->size);
            return;
        }
        mov_imm(&g->c, k, (uint64_t)disp);
        if (base >= 0)
            lea(g, op->size, k, k, base, 0, 0);
        def_done(g, op->d, k, op->size);
        return;
    }
    r = pin_of(g, op->d);
    if (r < 0) {
        r = dying_reg(g, op, op->a, 2);
        if (r < 0)
            r = dying_reg(g, op, op->b, 3);
        if (r < 0)
            r = scratch_get(g);
    }
    if (base < 0 && index >= 0 && op->sc == 0) {
        base = index;
        index = -1;
    }
    lea(g, op->size, r, base, index, op->sc, (int32_t)disp);
    def_done(g, op->d, r, op->size);
}
