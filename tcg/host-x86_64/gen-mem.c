/* gen-mem.c - guest memory operations; see mem.c for the address path */
#define _GNU_SOURCE
#include "tcg/host-x86_64/gen-int.h"

/* ---- memory ------------------------------------------------------------------------------------ */

/* The address of @m, in scratch register @r or an idle one, where there is one: the access comes a cycle later. */
static struct opn after_sum(struct gen *g, struct opn m, int r)
{
    if (r >= N_SCRATCH)
        r = scratch_idle(g);
    if (r < 0)
        return m;
    ins(&g->c, 8, 0x8d, r, m);
    if (g->mem->lead)
        g->mem->at = (uint8_t)(g->c.p - g->mem->op);
    return (struct opn){ .kind = ON_MEM, .base = (int8_t)r, .index = NOREG };
}

void gen_ld(struct gen *g, const struct ir_op *op)
{
    bool write = op->opc == IR_LDW;
    struct opn m = mem_begin(g, op, op->size, true, write);
    int p = pin_of(g, op->d);
    int r;

    g->mem->no_commit = true;
    if (op->opc == IR_LDM && op->size < 4) {
        /* only the low part of d changes */
        if (p >= 0) {
            ins_sz(&g->c, op->size, 0x8a, p, m);
            mem_end(g);
            return;
        }
        r = op->grp ? scratch_get(g) : m.index;
        ins(&g->c, 4, X0F | (op->size == 1 ? 0xb6u | XBM : 0xb7u), r, m);
        mem_end(g);
        def_done(g, op->d, r, op->size);
        return;
    }
    r = p >= 0 ? p : op->grp ? scratch_get(g) : m.index;
    if (op->opc == IR_LDS) {
        unsigned sz = op->sz2 == 8 ? 8 : 4;
        if (op->size == 1)
            ins(&g->c, sz, X0F | 0xbe | XBM, r, m);
        else if (op->size == 2)
            ins(&g->c, sz, X0F | 0xbf, r, m);
        else if (op->size == 4 && sz == 8)
            ins(&g->c, 8, 0x63, r, m);
        else
            ins(&g->c, op->size, 0x8b, r, m);
        mem_end(g);
        if (op->sz2 == 2)
            ins(&g->c, 4, X0F | 0xb7, r, o_reg(r));
        def_done(g, op->d, r, 8);
        return;
    }
    if (op->gives_way)
        m = after_sum(g, m, r);
    if (op->size == 1)
        ins(&g->c, 4, X0F | 0xb6 | XBM, r, m);
    else if (op->size == 2)
        ins(&g->c, 4, X0F | 0xb7, r, m);
    else
        ins(&g->c, op->size, 0x8b, r, m);
    mem_end(g);
    def_done(g, op->d, r, 8);
}

void gen_st(struct gen *g, const struct ir_op *op)
{
    int64_t k;
    bool is_k = val_const(g, op->b, op, &k);
    struct opn m = mem_begin(g, op, op->size, false, true);

    if (is_k && (op->size < 8 || fits32(k))) {
        ins_sz(&g->c, op->size, 0xc6, 0, m);
        imm_sz(&g->c, op->size, k);
    } else {
        ins_sz(&g->c, op->size, 0x88, val_reg(g, op->b), m);
    }
    mem_end(g);
}

/* The operation just begun is atomic: its slow path has to know. */
static void mem_locked(struct gen *g, bool lock)
{
    g->mem->lock = lock;
}

/*
 * An operation with flags that are likely to be looked at, in three instructions: from the result F can be had again.
 * Not when registers could get scarce.
 */
static bool may_split(const struct gen *g, const struct ir_op *op, bool is_k)
{
    return !op->lock && op->wf && op->rmw <= IRM_XOR && (is_k || pin_of(g, op->b) >= 0) && recipe_pays(g, op);
}

static void split_rmw(struct gen *g, const struct ir_op *op, struct opn m, unsigned alu, bool is_k, int64_t k)
{
    struct code *c = &g->c;
    int r = scratch_get(g);

    if (op->size < 4)
        ins(c, 4, X0F | (op->size == 1 ? 0xb6u | XBM : 0xb7u), r, m);
    else
        ins(c, op->size, 0x8b, r, m);
    if (is_k)
        alu_imm(c, op->size, alu, o_reg(r), imm_sx(k, op->size));
    else
        alu_rm(c, op->size, alu, r, o_reg(pin_of(g, op->b)));
    ins_sz(c, op->size, 0x88, r, m);
    mem_end(g);
    flags_set(g);
    recipe_of_result(g, alu == ALU_ADD ? REC_ADD : alu == ALU_SUB ? REC_SUB : REC_RESULT, op, r);
}

void gen_rmw(struct gen *g, const struct ir_op *op)
{
    static const uint8_t alu[] = { ALU_ADD, ALU_SUB, ALU_AND, ALU_OR, ALU_XOR, ALU_ADC, ALU_SBB };
    int64_t k = 0;
    bool is_k = op->b != IR_NONE && val_const(g, op->b, op, &k) && imm_ok(imm_sx(k, op->size), op->size);
    uint32_t lk = op->lock ? XLOCK : 0;
    int v = -1;
    struct opn m;

    if (op->rmw >= IRM_ADC && op->rmw != IRM_NEG && op->rmw != IRM_NOT)
        flags_save(g);       /* it starts from C in memory */
    flags_for_fault(g);
    flags_lost(g);
    m = mem_begin(g, op, op->size, true, true);
    mem_locked(g, op->lock);
    if (may_split(g, op, is_k)) {
        split_rmw(g, op, m, alu[op->rmw], is_k, k);
        return;
    }
    if (op->b != IR_NONE && !is_k)
        v = val_reg(g, op->b);
    bool bitop = op->rmw >= IRM_BTS;
    if (bitop && !is_k) {    /* inside the operand, or the host would reach beyond it */
        if (v < N_SCRATCH) {
            scratch_own(g, v);
        } else {
            int r = scratch_get(g);
            mov_rr(&g->c, 4, r, v);
            v = r;
        }
        alu_imm(&g->c, 4, ALU_AND, o_reg(v), op->size * 8 - 1);
    }
    if (op->rmw == IRM_ADC || op->rmw == IRM_SBB || op->rmw == IRM_INC || op->rmw == IRM_DEC) {
        ins(&g->c, 4, X0F | 0xba, 4, ENV(fl));   /* starts from C, which is in memory now */
        e8(&g->c, 8);
    }
    switch (op->rmw) {
    case IRM_ADD ... IRM_SBB:
        if (is_k) {
            k = imm_sx(k, op->size);
            if (op->size == 1) {
                ins(&g->c, 1, 0x80 | XBM | lk, alu[op->rmw], m);
                e8(&g->c, (unsigned)k);
            } else if (k >= -128 && k <= 127) {
                ins(&g->c, op->size, 0x83 | lk, alu[op->rmw], m);
                e8(&g->c, (unsigned)k);
            } else {
                ins(&g->c, op->size, 0x81 | lk, alu[op->rmw], m);
                if (op->size == 2)
                    e16(&g->c, (unsigned)k);
                else
                    e32(&g->c, (uint32_t)k);
            }
        } else {
            ins_sz(&g->c, op->size, (uint32_t)alu[op->rmw] << 3 | lk, v, m);
        }
        break;
    case IRM_INC: ins_sz(&g->c, op->size, 0xfe | lk, 0, m); break;
    case IRM_DEC: ins_sz(&g->c, op->size, 0xfe | lk, 1, m); break;
    case IRM_NEG: ins_sz(&g->c, op->size, 0xf6 | lk, 3, m); break;
    case IRM_NOT: ins_sz(&g->c, op->size, 0xf6 | lk, 2, m); break;
    default:                 /* bit operations: the index is inside the operand */
        if (is_k) {
            ins(&g->c, op->size, X0F | 0xba | lk, 5 + (op->rmw - IRM_BTS), m);
            e8(&g->c, (unsigned)k & (op->size * 8 - 1));
        } else {
            ins(&g->c, op->size, X0F | 0x83 | (uint32_t)(5 + op->rmw - IRM_BTS) << 3 | lk, v, m);
        }
    }
    if (bitop && op->wf) {   /* only C changes: merge it into F in memory */
        ins(&g->c, 1, X0F | 0x92 | XBM, 0, SLOW(save));
        alu_imm(&g->c, 1, ALU_AND, o_env(offsetof(struct tcg_cpu, fl) + 1), -2);
        ins(&g->c, 4, X0F | 0xb6 | XBM, m.index, SLOW(save));
        alu_mr(&g->c, 1, ALU_OR, o_env(offsetof(struct tcg_cpu, fl) + 1), m.index);
        mem_end(g);
        g->rec.kind = REC_NONE;
        return;
    }
    mem_end(g);
    if (op->rmw != IRM_NOT && op->wf)
        flags_set(g);
}

/* XCHG, XADD with memory: the register operand is exchanged, so work in a copy. */
void gen_xchg(struct gen *g, const struct ir_op *op)
{
    struct opn m = mem_begin(g, op, op->size, true, true);
    int r = scratch_get(g);

    mem_locked(g, op->lock || op->opc == IR_XCHGM);
    val_to(g, r, op->b);
    if (op->opc == IR_XCHGM)
        ins_sz(&g->c, op->size, 0x86, r, m);
    else
        ins_sz(&g->c, op->size, X0F | 0xc0 | (op->lock ? XLOCK : 0), r, m);
    mem_end(g);
    if (op->opc == IR_XADDM && op->wf)
        flags_set(g);
    def_done(g, op->d, r, op->size);
}

void gen_cmpxchg(struct gen *g, const struct ir_op *op)
{
    struct opn m;
    int v;

    flags_save(g);
    scratch_take(g, RAX);
    val_to(g, RAX, op->c);
    m = mem_begin(g, op, op->size, true, true);
    mem_locked(g, op->lock);
    v = pin_of(g, op->b);
    if (v < 0 && !(op->b < IR_MAX_VALS && !is_global(g, op->b) && g->v[op->b].reg >= 0)
        && m.base < N_SCRATCH) {
        /* no scratch left for the new value: fold address and delta together */
        struct stub *st = g->mem;
        ir_val av = g->owner[m.base];
        st->va_saved = true;
        mov_store(&g->c, SLOW(va), m.base);
        ins(&g->c, 8, 0x03, m.index, o_reg(m.base));
        if (av != IR_NONE) {
            assert(is_global(g, av) || dies(op, 2));
            g->v[av].reg = -1;
            g->owner[m.base] = IR_NONE;
        }
        val_to(g, m.base, op->b);
        ins_sz(&g->c, op->size, X0F | 0xb0 | (op->lock ? XLOCK : 0), m.base,
               (struct opn){ .kind = ON_MEM, .base = m.index, .index = NOREG });
        mem_end(g);
    } else {
        if (v < 0)
            v = val_reg(g, op->b);
        ins_sz(&g->c, op->size, X0F | 0xb0 | (op->lock ? XLOCK : 0), v, m);
        mem_end(g);
    }
    if (op->wf)
        flags_set(g);
    /* equal: the accumulator stays as it is (no zero extension); else it takes [a] */
    if (op->size == 4) {
        uint8_t *skip;
        int p = pin_of(g, op->d);
        if (op->d == op->c && is_global(g, op->d)) {
            e8(&g->c, 0x74);
            skip = g->c.p;
            e8(&g->c, 0);
            if (p >= 0)
                mov_rr(&g->c, 4, p, RAX);
            else
                mov_store(&g->c, o_env(g->b->target->globals[op->d].offset), RAX);
            if (p < 0)
                global_drop(g, op->d);
            *skip = (uint8_t)(g->c.p - skip - 1);
            return;
        }
    }
    def_done(g, op->d, RAX, op->size);
}
