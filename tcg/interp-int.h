/*
 * interp-int.h - the reference interpreter's inside
 *
 * One function a row of ops.def, ir_do_NAME(); it returns the operation to
 * execute next, or NULL to leave the block. The arithmetic rows are in
 * interp-alu.c, those of single bits in interp-bits.c, the others in interp.c.
 */
#ifndef TCG_INTERP_INT_H
#define TCG_INTERP_INT_H

#include "tcg/ir-int.h"

/** struct ir_run - one execution of a block; globals stay in the CPU struct */
struct ir_run {
    struct tcg_cpu *cpu;
    const struct tcg_target *target;
    const struct ir_op *ops;
    const struct ir_vec *vec;
    unsigned n_ops, n_globals;
    uint64_t temps[IR_MAX_VALS];   /* by value number; written before read */
};

typedef const struct ir_op *ir_do_fn(struct ir_run *r, const struct ir_op *op);

/** DO() - the head of row @N's function */
#define DO(N) const struct ir_op *ir_do_##N(struct ir_run *r, const struct ir_op *op)

static inline uint64_t *ir_slot(struct ir_run *r, ir_val v)
{
    if (v >= r->n_globals)
        return &r->temps[v];
    return (uint64_t *)((char *)r->cpu + r->target->globals[v].offset);
}

/** ir_in() - the whole of operand @v; 0 when absent */
static inline uint64_t ir_in(struct ir_run *r, const struct ir_op *op, ir_val v)
{
    if (likely(v < IR_IMM2))
        return *ir_slot(r, v);
    return v == IR_IMM ? (uint64_t)op->imm : v == IR_IMM2 ? (uint64_t)(int64_t)op->imm2 : 0;
}

/** ir_addr() - address of a memory operation */
static inline uint64_t ir_addr(struct ir_run *r, const struct ir_op *op)
{
    return ir_in(r, op, op->a) + (uint64_t)(int64_t)op->disp;
}

/** ir_in_sz() - operand @v, zero-extended from op->size */
static inline uint64_t ir_in_sz(struct ir_run *r, const struct ir_op *op, ir_val v)
{
    return ir_in(r, op, v) & size_mask(op->size);
}

/** ir_out() - write @v as a result of @size bytes; nowhere when @d is absent */
static inline void ir_out(struct ir_run *r, ir_val d, unsigned size, uint64_t v)
{
    uint64_t *p;

    if (d == IR_NONE)
        return;
    p = ir_slot(r, d);
    switch (size) {
    case 1:
        *p = (*p & ~0xffull) | (uint8_t)v;
        break;
    case 2:
        *p = (*p & ~0xffffull) | (uint16_t)v;
        break;
    case 4:
        *p = (uint32_t)v;
        break;
    default:
        *p = v;
        break;
    }
}

/* ---- flags, in the layout of cpu->fl ---------------------------------------- */

/** fl_mask() - the bits of cpu->fl that IRF_* bits @f name */
static inline uint32_t fl_mask(unsigned f)
{
    return (f & IRF_C) << 8 | (f & IRF_P) << 9 | (f & IRF_A) << 10 | (f & (IRF_Z | IRF_S)) << 11 |
           (f & IRF_O) >> 5;
}

static inline void fl_set(struct tcg_cpu *cpu, unsigned wf, uint32_t fl)
{
    uint32_t m = fl_mask(wf);

    cpu->fl = (cpu->fl & ~m) | (fl & m);
}

static inline unsigned fl_carry(const struct tcg_cpu *cpu)
{
    return cpu->fl & TCG_FL_C ? 1 : 0;
}

static inline unsigned top_bit(unsigned size, uint64_t v)
{
    return (v >> (size * 8 - 1)) & 1;
}

/** fl_szp() - S, Z, P of a result; @v zero-extended from @size */
static inline uint32_t fl_szp(unsigned size, uint64_t v)
{
    return (v ? 0 : TCG_FL_Z) | (top_bit(size, v) ? TCG_FL_S : 0) |
           (__builtin_parity((unsigned)v & 0xff) ? 0 : TCG_FL_P);
}

static inline uint32_t fl_co(bool c, bool o)
{
    return (c ? TCG_FL_C : 0) | (o ? TCG_FL_O : 0);
}

/** fl_add()/fl_sub() - flags of @a + @b + @carry, @a - @b - @borrow; operands
 *  zero-extended from @size. Source: Intel SDM vol. 1, 3.4.3.1. */
uint32_t fl_add(unsigned size, uint64_t a, uint64_t b, unsigned carry);
uint32_t fl_sub(unsigned size, uint64_t a, uint64_t b, unsigned borrow);
/** fl_test() - condition @cc over the flags @fl */
bool fl_test(uint32_t fl, enum ir_cc cc);
/** ir_compare() - @a @cc @b in @size bytes, for BRCMP */
bool ir_compare(enum ir_cc cc, unsigned size, uint64_t a, uint64_t b);

#define IROP(N, n, o, i, at) ir_do_fn ir_do_##N;
#include "tcg/ops.def"
#undef IROP

#endif
