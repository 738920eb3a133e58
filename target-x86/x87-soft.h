/*
 * x87-soft.h - binary floating point in integers, as the x86 units do it
 *
 * One unpacked number with a 127-bit significand serves half, single, double
 * and extended formats, so SSE and x87 share one rounding routine, and the bits
 * do not depend on the host's floating point. SSE code uses it as well.
 */
#ifndef TARGET_X86_X87_SOFT_H
#define TARGET_X86_X87_SOFT_H

#include "util/util.h"

typedef unsigned __int128 u128;

/* exception flags: positions in MXCSR and in the x87 status word */
enum { FE_I = 1, FE_D = 2, FE_Z = 4, FE_O = 8, FE_U = 16, FE_P = 32, FE_X86_ALL = 63 };
/* rounding control as MXCSR.RC and FCW.RC encode it */
enum { RM_NEAR, RM_DOWN, RM_UP, RM_ZERO };

enum sf_class { SF_ZERO, SF_NORM, SF_INF, SF_QNAN, SF_SNAN, SF_UNSUP };

/**
 * struct sf - an unpacked number: m / 2^126 * 2^exp
 * @m: NORM: bit 126 is the leading one (a denormal result of sf_round() keeps
 *   exp at the format's least and has it clear); NaN: significand, bit 126 the
 *   integer bit, bit 125 the quiet bit
 * @den: it was unpacked from a denormal
 */
struct sf {
    uint8_t cls;
    bool sign, den;
    int32_t exp;
    u128 m;
};

struct sf_fmt {
    uint8_t prec;        /* significand bits with the leading one */
    uint8_t bits;        /* width of the memory format; 0: x87 precision control */
    int32_t emin, emax;
};

extern const struct sf_fmt sf_f16, sf_f32, sf_f64, sf_f80, sf_pc24, sf_pc53;

/**
 * struct sf_env - control in, status out
 * @masked: FE_* bits whose exceptions are masked
 * @up: the last rounding increased the magnitude (x87 C1)
 * @wrap: unmasked overflow and underflow deliver a result whose exponent is
 *   adjusted by 24576 (x87 registers)
 */
struct sf_env {
    uint8_t rm, flags, masked;
    bool daz, ftz, up, wrap;
};

struct fx80 { uint64_t m; uint16_t se; };

/** sf_unpack() - @v in format @f (16, 32, 64 bits); DAZ is applied */
struct sf sf_unpack(const struct sf_env *e, const struct sf_fmt *f, uint64_t v);
struct sf sf_unpack80(struct fx80 v);
/** sf_pack() - a number that sf_round() produced for @f; NaN payloads are cut */
uint64_t sf_pack(const struct sf_fmt *f, struct sf s);
struct fx80 sf_pack80(struct sf s);

/** sf_round() - round to @f, detecting overflow and (after rounding) underflow */
struct sf sf_round(struct sf_env *e, struct sf s, const struct sf_fmt *f);
/** sf_rint() - round to an integral value; flags PE when inexact */
struct sf sf_rint(struct sf_env *e, struct sf s);
/** sf_to_int() - to a signed integer of @bits (16, 32, 64): the integer
 *  indefinite and IE when it does not fit or is not a number */
int64_t sf_to_int(struct sf_env *e, struct sf s, unsigned bits);
struct sf sf_from_int(int64_t v);

/*
 * Arithmetic on zero, normal and infinite numbers, before rounding (the low bit
 * of m is sticky). Invalid operations (inf - inf, 0 * inf, 0 / 0, inf / inf,
 * sqrt(-x)) return SF_UNSUP; 0 operands give exact results.
 */
struct sf sf_add(struct sf a, struct sf b, uint8_t rm);
struct sf sf_mul(struct sf a, struct sf b);
struct sf sf_div(struct sf a, struct sf b);   /* 64-bit significands; x / 0 is inf */
struct sf sf_sqrt(struct sf a);               /* 64-bit significands */
/** sf_divw() - as sf_div() with all 127 bits of both significands */
struct sf sf_divw(struct sf a, struct sf b);

/** sf_cmp() - -1, 0, 1 for a <, =, > b; neither may be a NaN */
int sf_cmp(struct sf a, struct sf b);

static inline bool sf_is_nan(struct sf s) { return s.cls == SF_QNAN || s.cls == SF_SNAN; }
static inline struct sf sf_neg(struct sf s) { s.sign = !s.sign; return s; }
struct sf sf_quiet(struct sf s);              /* NaN: quiet bit set */
struct sf sf_default_nan(void);
struct sf sf_inf(bool sign);
struct sf sf_zero(bool sign);
/** sf_make() - (-1)^sign * m * 2^e, m any 128-bit integer */
struct sf sf_make(bool sign, u128 m, int32_t e);
u128 sf_shr_jam(u128 m, unsigned n);

#endif
