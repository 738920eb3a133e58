/*
 * interp-bits.c - the interpreter's operations on single bits: tests, scans, counts, fields, CRC
 *
 * Source: Intel SDM vol. 2, the instructions that the rows are named after.
 */
#include "tcg/interp-int.h"

static uint64_t bit_of(struct ir_run *r, const struct ir_op *op)
{
    return 1ull << (ir_in(r, op, op->b) & (op->size * 8 - 1));
}

static const struct ir_op *do_bit(struct ir_run *r, const struct ir_op *op, uint64_t a, uint64_t bit,
                                  uint64_t v)
{
    if (op->wf)
        fl_set(r->cpu, op->wf & IRF_C, fl_co(a & bit, false));
    ir_out(r, op->d, op->size, v);
    return op + 1;
}

#define DO_BIT(N, value)                                             \
    DO(N)                                                            \
    {                                                                \
        uint64_t a = ir_in_sz(r, op, op->a), bit = bit_of(r, op);    \
        return do_bit(r, op, a, bit, value);                         \
    }
DO_BIT(BT, a)
DO_BIT(BTS, a | bit)
DO_BIT(BTR, a & ~bit)
DO_BIT(BTC, a ^ bit)

static const struct ir_op *scanned(struct ir_run *r, const struct ir_op *op, uint64_t v, uint32_t fl)
{
    if (op->wf)
        fl_set(r->cpu, op->wf, fl);
    ir_out(r, op->d, op->size, v);
    return op + 1;
}

/* source 0: the old destination, all of it */
static const struct ir_op *scanned_none(struct ir_run *r, const struct ir_op *op)
{
    if (op->wf)
        fl_set(r->cpu, op->wf, TCG_FL_Z);
    ir_out(r, op->d, 8, ir_in(r, op, op->b));
    return op + 1;
}

DO(BSF)
{
    uint64_t a = ir_in_sz(r, op, op->a);

    return a ? scanned(r, op, __builtin_ctzll(a), 0) : scanned_none(r, op);
}

DO(BSR)
{
    uint64_t a = ir_in_sz(r, op, op->a);

    return a ? scanned(r, op, 63 - __builtin_clzll(a), 0) : scanned_none(r, op);
}

static const struct ir_op *counted(struct ir_run *r, const struct ir_op *op, uint64_t n, bool none)
{
    return scanned(r, op, n, fl_co(none, false) | (n ? 0 : TCG_FL_Z));
}

DO(TZCNT)
{
    uint64_t a = ir_in_sz(r, op, op->a);

    return counted(r, op, a ? (unsigned)__builtin_ctzll(a) : op->size * 8u, !a);
}

DO(LZCNT)
{
    uint64_t a = ir_in_sz(r, op, op->a);

    return counted(r, op, a ? (unsigned)__builtin_clzll(a) - (64u - op->size * 8u) : op->size * 8u, !a);
}

DO(POPCNT)
{
    return counted(r, op, __builtin_popcountll(ir_in_sz(r, op, op->a)), false);
}

static const struct ir_op *bmi(struct ir_run *r, const struct ir_op *op, uint64_t v, bool c)
{
    v &= size_mask(op->size);
    return scanned(r, op, v, fl_szp(op->size, v) | fl_co(c, false));
}

DO(BLSR)
{
    uint64_t a = ir_in_sz(r, op, op->a);
    return bmi(r, op, a & (a - 1), !a);
}

DO(BLSMSK)
{
    uint64_t a = ir_in_sz(r, op, op->a);
    return bmi(r, op, a ^ (a - 1), !a);
}

DO(BLSI)
{
    uint64_t a = ir_in_sz(r, op, op->a);
    return bmi(r, op, a & -a, a);
}

DO(BEXTR)
{
    uint64_t a = ir_in_sz(r, op, op->a), b = ir_in(r, op, op->b);
    unsigned start = b & 0xff, len = (b >> 8) & 0xff;

    a = start < 64 ? a >> start : 0;
    if (len < 64)
        a &= (1ull << len) - 1;
    return bmi(r, op, a, false);
}

DO(BZHI)
{
    uint64_t a = ir_in_sz(r, op, op->a);
    unsigned n = ir_in(r, op, op->b) & 0xff, bits = op->size * 8;

    return bmi(r, op, n < bits ? a & ((1ull << n) - 1) : a, n >= bits);
}

DO(PDEP)
{
    uint64_t a = ir_in_sz(r, op, op->a), v = 0;

    for (uint64_t m = ir_in_sz(r, op, op->b); m; m &= m - 1, a >>= 1)
        if (a & 1)
            v |= m & -m;
    ir_out(r, op->d, op->size, v);
    return op + 1;
}

DO(PEXT)
{
    uint64_t a = ir_in_sz(r, op, op->a), v = 0, bit = 1;

    for (uint64_t m = ir_in_sz(r, op, op->b); m; m &= m - 1, bit <<= 1)
        if (a & m & -m)
            v |= bit;
    ir_out(r, op->d, op->size, v);
    return op + 1;
}

uint32_t ir_crc32c(uint32_t crc, uint64_t data, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        crc ^= (data >> (i * 8)) & 0xff;
        for (unsigned k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return crc;
}

DO(CRC32C)
{
    ir_out(r, op->d, 8, ir_crc32c((uint32_t)ir_in(r, op, op->a), ir_in(r, op, op->b), op->sz2));
    return op + 1;
}
