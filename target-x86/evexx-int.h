/*
 * evexx-int.h - portable execution of EVEX instructions: what its files share
 *
 * An operation computes all elements of its result in x->d from x->a (EVEX.vvvv),
 * x->b (rm) and x->c (what the destination held); evex.c has applied broadcast
 * and rounding before and applies the opmask afterwards. An operation only looks
 * at x->k when disabled elements matter to the enabled ones, or when it raises
 * exceptions that the value 1.0 (put into disabled elements by EA_X) would raise.
 */
#ifndef TARGET_X86_EVEXX_INT_H
#define TARGET_X86_EVEXX_INT_H

#include "target-x86/vecx-int.h"

/** enum eform - where operands are (besides enum vform's BIN, UN, ST, SHI, TEST) */
enum eform {
    EF_NONE,
    EF_BIN,    /* reg = f(vvvv, rm, reg); d starts as vvvv */
    EF_UN,     /* reg = f(rm) */
    EF_ST,     /* rm = f(reg); b is vvvv */
    EF_SHI,    /* vvvv = f(rm); modrm.reg is an opcode digit */
    EF_TEST,   /* flags of reg, rm */
    EF_KBIN,   /* k[reg] = f(vvvv, rm) */
    EF_KUN,    /* k[reg] = f(rm) */
    EF_UNK,    /* reg = f(k[rm]) */
};

/* attributes; those of the second group only describe the encodings that exist */
enum eattr {
    EA_X = 1,        /* numeric exceptions: disabled elements count as 1.0 */
    EA_1 = 2,        /* scalar: one element, bits 127 up to it from vvvv */
    EA_R = 4,        /* EVEX.b with registers: embedded rounding, exceptions suppressed */
    EA_S = 8,        /* EVEX.b with registers: exceptions suppressed */
    EA_GPR = 16,     /* rm is a general register (or memory) */
    EA_RGPR = 32,    /* reg is a general register */
    EA_HALF = 64,    /* the result is shorter than the vector length */
    EA_M128 = 128,   /* rm in memory is 16 bytes whatever the length */
    /* encodings */
    EA_B = 1 << 8,   /* broadcast */
    EA_I = 1 << 9,   /* imm8 */
    EA_MEM = 1 << 10, EA_REG = 1 << 11,   /* only these forms of rm */
    EA_256 = 1 << 12, EA_512 = 1 << 13,   /* least vector length; without either 128 */
    EA_128 = 1 << 14,                     /* only 128 */
    EA_NK = 1 << 15, EA_NZ = 1 << 16,     /* no opmask; no zeroing */
    EA_MOVD = 1 << 17,                    /* memory is as wide as es */
};

struct erow {
    vfn fn;
    uint8_t form;      /* enum eform */
    uint8_t es, ss;    /* bytes of an element of the result (as masks count), of the source */
    uint32_t attr;
};

#define EOP(map, pp, opcode, w, form, es, ss, attr, name) void ex_##name(struct vx *x);
#define EOLD(map, pp, opcode, w, form, es, ss, attr, name)
#include "target-x86/evex-ops.def"
#undef EOP
#undef EOLD

/** evex_row() - the operation of an EVEX encoding; fn is NULL when there is none */
const struct erow *evex_row(unsigned map, unsigned pp, unsigned opcode, unsigned w);

static inline uint64_t el_get(const union vreg *u, unsigned es, unsigned i)
{
    switch (es) {
    case 1: return u->b[i & 63];
    case 2: return u->w[i & 31];
    case 4: return u->d[i & 15];
    default: return u->q[i & 7];
    }
}

static inline int64_t el_sget(const union vreg *u, unsigned es, unsigned i)
{
    return (int64_t)(el_get(u, es, i) << (64 - 8 * es)) >> (64 - 8 * es);
}

static inline void el_put(union vreg *u, unsigned es, unsigned i, uint64_t v)
{
    switch (es) {
    case 1: u->b[i & 63] = (uint8_t)v; break;
    case 2: u->w[i & 31] = (uint16_t)v; break;
    case 4: u->d[i & 15] = (uint32_t)v; break;
    default: u->q[i & 7] = v; break;
    }
}

/* element @i is not masked off */
static inline bool el_on(const struct vx *x, unsigned i)
{
    return x->k >> (i & 63) & 1;
}

#endif
