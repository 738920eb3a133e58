/*
 * evex-fp.c - AVX-512 floating-point operations that have no shorter form
 *
 * Arithmetic is x87-soft.c's as in vec-fp.c. x->es gives the type.
 *
 * Source: Intel SDM vol. 2 for each instruction.
 */
#include "target-x86/evexx-int.h"

static const struct sf_fmt *fmt(const struct vx *x)
{
    return x->es == 8 ? &sf_f64 : x->es == 4 ? &sf_f32 : &sf_f16;
}

typedef uint64_t (*fp2)(struct vx *x, struct sf a, struct sf b, uint64_t av, uint64_t bv);

/* @op on every wanted element, operands unpacked */
static void each(struct vx *x, fp2 op)
{
    const struct sf_fmt *f = fmt(x);

    for (unsigned i = 0; i < x->lanes; i++) {
        uint64_t av = el_get(&x->a, x->es, i), bv = el_get(&x->b, x->es, i);
        if (el_on(x, i))
            el_put(&x->d, x->es, i, op(x, sf_unpack(&x->env, f, av), sf_unpack(&x->env, f, bv), av, bv));
    }
}

static uint64_t nan1(struct vx *x, struct sf a)
{
    return vx_nan(&x->env, fmt(x), a, a);
}

static void denormal(struct vx *x, bool den)
{
    if (den)
        x->env.flags |= FE_D;
}

/* ---- compare, classify ---------------------------------------------------------- */

void ex_fcmp(struct vx *x)
{
    for (unsigned i = 0; i < x->lanes; i++)
        if (el_on(x, i))
            x->kout |= (uint64_t)vx_compare(&x->env, fmt(x), el_get(&x->a, x->es, i),
                                            el_get(&x->b, x->es, i), x->imm & 31) << i;
}

/* VFPCLASS: the classes that @s belongs to, as bits of imm8 */
static unsigned classes(struct sf s)
{
    switch (s.cls) {
    case SF_QNAN: return 1;
    case SF_SNAN: return 0x80;
    case SF_ZERO: return s.sign ? 4 : 2;
    case SF_INF: return s.sign ? 0x10 : 8;
    default: return (s.den ? 0x20 : 0) | (s.sign ? 0x40 : 0);
    }
}

void ex_fpclass(struct vx *x)
{
    for (unsigned i = 0; i < x->lanes; i++) {
        struct sf s = sf_unpack(&x->env, fmt(x), el_get(&x->b, x->es, i));
        x->kout |= (uint64_t)((classes(s) & x->imm) != 0) << i;
    }
}

/* ---- exponent and mantissa --------------------------------------------------------- */

static uint64_t getexp(struct vx *x, struct sf a, struct sf s, uint64_t av, uint64_t bv)
{
    if (sf_is_nan(s))
        return nan1(x, s);
    if (s.cls == SF_INF)
        return sf_pack(fmt(x), sf_inf(false));
    if (s.cls == SF_ZERO)
        return sf_pack(fmt(x), sf_inf(true));
    denormal(x, s.den);
    return sf_pack(fmt(x), sf_from_int(s.exp));
}

/* imm8[1:0]: the interval, imm8[2]: no sign, imm8[3]: negative sources are invalid */
static uint64_t getmant(struct vx *x, struct sf a, struct sf s, uint64_t av, uint64_t bv)
{
    bool upper_half = s.m >> 125 & 1;

    if (sf_is_nan(s))
        return nan1(x, s);
    if (s.cls == SF_ZERO || s.cls == SF_INF) {
        if (s.cls == SF_INF && s.sign && x->imm & 8)
            return vx_invalid(&x->env, fmt(x));
        struct sf one = sf_from_int(1);
        one.sign = s.sign && !(x->imm & 4);
        return sf_pack(fmt(x), one);
    }
    if (s.sign && x->imm & 8)
        return vx_invalid(&x->env, fmt(x));
    denormal(x, s.den);
    switch (x->imm & 3) {
    case 0: s.exp = 0; break;
    case 1: s.exp = s.exp & 1 ? -1 : 0; break;
    case 2: s.exp = -1; break;
    case 3: s.exp = upper_half ? -1 : 0; break;
    }
    if (x->imm & 4)
        s.sign = false;
    return sf_pack(fmt(x), s);
}

void ex_getexp(struct vx *x) { each(x, getexp); }
void ex_getmant(struct vx *x) { each(x, getmant); }

/* ---- rounding to a multiple of 2^-M -------------------------------------------------- */

/* rounding for imm8: [7:4] M, [3] no PE, [2] MXCSR's rounding, [1:0] rounding */
static struct sf_env imm_env(const struct vx *x)
{
    struct sf_env e = x->env;

    e.flags = 0;
    if (!(x->imm & 4))
        e.rm = x->imm & 3;
    return e;
}

static struct sf round_scaled(const struct vx *x, struct sf_env *e, struct sf s)
{
    int m = x->imm >> 4;

    s.exp += m;
    s = sf_rint(e, s);
    s.exp -= m;
    return s;
}

static void imm_flags(struct vx *x, const struct sf_env *e)
{
    if (!(x->imm & 8))
        x->env.flags |= e->flags & FE_P;
}

static uint64_t rndscale(struct vx *x, struct sf a, struct sf s, uint64_t av, uint64_t bv)
{
    struct sf_env e = imm_env(x);

    if (sf_is_nan(s))
        return nan1(x, s);
    s = round_scaled(x, &e, s);
    imm_flags(x, &e);
    return sf_pack(fmt(x), s);
}

/* what rounding leaves over; PE only when that is inexact itself */
static uint64_t reduce(struct vx *x, struct sf a, struct sf s, uint64_t av, uint64_t bv)
{
    struct sf_env e = imm_env(x);

    if (sf_is_nan(s))
        return nan1(x, s);
    if (s.cls == SF_INF)
        return sf_pack(fmt(x), sf_zero(false));
    struct sf r = round_scaled(x, &e, s);
    e.flags = 0;
    e.masked = FE_X86_ALL;                     /* a tiny rest is no underflow, but flushed */
    uint64_t v = vx_finish(&e, fmt(x), sf_add(s, sf_neg(r), e.rm));
    imm_flags(x, &e);
    return v;
}

void ex_rndscale(struct vx *x) { each(x, rndscale); }
void ex_reduce(struct vx *x) { each(x, reduce); }

/* ---- VRANGE ---------------------------------------------------------------------------- */

static struct sf magnitude(struct sf s)
{
    s.sign = false;
    return s;
}

/* whether the first operand is the wanted one: less (or equal), by imm8[1:0] */
static bool range_first(unsigned imm, struct sf a, struct sf b)
{
    int c = imm & 2 ? sf_cmp(magnitude(a), magnitude(b)) : sf_cmp(a, b);

    if (c == 0 && a.sign != b.sign)            /* the negative one is less */
        c = a.sign ? -1 : 1;
    return imm & 1 ? c >= 0 : c <= 0;
}

static uint64_t range(struct vx *x, struct sf a, struct sf b, uint64_t av, uint64_t bv)
{
    const struct sf_fmt *f = fmt(x);
    struct sf r;

    if (a.cls == SF_SNAN || b.cls == SF_SNAN) {
        x->env.flags |= FE_I;
        return sf_pack(f, sf_quiet(a.cls == SF_SNAN ? a : b));
    }
    if (!sf_is_nan(a) && !sf_is_nan(b))
        denormal(x, a.den || b.den);
    if (sf_is_nan(a) || sf_is_nan(b))
        r = sf_is_nan(b) ? a : b;              /* the number, if there is one */
    else
        r = range_first(x->imm, a, b) ? a : b;
    switch (x->imm >> 2 & 3) {
    case 0: r.sign = a.sign; break;
    case 2: r.sign = false; break;
    case 3: r.sign = true; break;
    }
    return sf_pack(f, vx_denorm(r, f));
}

void ex_range(struct vx *x) { each(x, range); }

/* ---- VSCALEF ----------------------------------------------------------------------------- */

static int32_t floor_clamped(struct sf s)
{
    struct sf_env e = { .rm = RM_DOWN, .masked = FE_X86_ALL };

    if (s.cls == SF_ZERO)
        return 0;
    if (s.cls == SF_INF || s.exp > 20)
        return s.sign ? -100000 : 100000;
    return (int32_t)sf_to_int(&e, s, 32);
}

static uint64_t scalef(struct vx *x, struct sf a, struct sf b, uint64_t av, uint64_t bv)
{
    const struct sf_fmt *f = fmt(x);

    if (a.cls == SF_QNAN && b.cls == SF_INF)
        return sf_pack(f, b.sign ? sf_zero(false) : b);
    if (sf_is_nan(a) || b.cls == SF_SNAN)
        return vx_nan(&x->env, f, a, b);
    if (b.cls == SF_QNAN)
        return sf_pack(f, b);
    if (b.cls == SF_INF && a.cls == (b.sign ? SF_INF : SF_ZERO))
        return vx_invalid(&x->env, f);
    denormal(x, a.den);
    if (b.cls == SF_INF && a.cls != SF_INF)
        return sf_pack(f, b.sign ? sf_zero(a.sign) : sf_inf(a.sign));
    if (a.cls != SF_NORM)
        return sf_pack(f, a);
    a.exp += floor_clamped(b);
    return vx_finish(&x->env, f, a);
}

void ex_scalef(struct vx *x) { each(x, scalef); }

/* ---- VFIXUPIMM ------------------------------------------------------------------------------ */

/* which nibble of the table answers for @s */
static unsigned fixup_token(const struct sf_fmt *f, struct sf s, uint64_t v)
{
    switch (s.cls) {
    case SF_QNAN: return 0;
    case SF_SNAN: return 1;
    case SF_ZERO: return 2;
    case SF_INF: return s.sign ? 4 : 5;
    default: return v == sf_pack(f, sf_from_int(1)) ? 3 : s.sign ? 6 : 7;
    }
}

/* imm8 asks for exceptions by token */
static void fixup_flags(struct vx *x, unsigned token)
{
    static const uint8_t z[8] = { 0, 0, 1, 4, 0, 0, 0, 0 }, i[8] = { 0, 16, 2, 8, 32, 128, 64, 0 };

    if (x->imm & z[token])
        x->env.flags |= FE_Z;
    if (x->imm & i[token])
        x->env.flags |= FE_I;
}

static uint64_t fixup_response(const struct sf_fmt *f, unsigned response, uint64_t old, struct sf s,
                               uint64_t v)
{
    static const uint64_t half_90_pi[3] = { 0x3fe0000000000000, 0x4056800000000000, 0x3ff921fb54442d18 };
    struct sf_env e = { .masked = FE_X86_ALL };
    uint64_t sign = 1ull << (f->bits - 1), inf = sf_pack(f, sf_inf(false));

    switch (response) {
    case 0: return old;
    case 1: return v;
    case 2: return v | inf | 1ull << (f->prec - 2);
    case 3: return sf_pack(f, sf_default_nan());
    case 4: return inf | sign;
    case 5: return inf;
    case 6: return inf | (s.sign ? sign : 0);
    case 7: return sign;
    case 8: return 0;
    case 9: return sf_pack(f, sf_from_int(-1));
    case 10: return sf_pack(f, sf_from_int(1));
    case 14: return inf - 1;
    case 15: return (inf - 1) | sign;
    default: return vx_f2f(&e, f, &sf_f64, half_90_pi[response - 11]);
    }
}

void ex_fixupimm(struct vx *x)
{
    const struct sf_fmt *f = fmt(x);

    for (unsigned i = 0; i < x->lanes; i++) {
        if (!el_on(x, i))
            continue;
        uint64_t v = el_get(&x->a, x->es, i);
        struct sf s = sf_unpack(&x->env, f, v);
        unsigned t = fixup_token(f, s, v), table = (unsigned)el_get(&x->b, x->es, i);
        if (s.cls == SF_ZERO)                  /* perhaps a denormal taken for zero */
            v = sf_pack(f, s);
        fixup_flags(x, t);
        el_put(&x->d, x->es, i,
               fixup_response(f, table >> (4 * t) & 15, el_get(&x->c, x->es, i), s, v));
    }
}

/* ---- bfloat16 --------------------------------------------------------------------------------- */

/* nearest even, denormals are zeros; no exception, no control bits of MXCSR */
static uint16_t to_bf16(uint32_t v)
{
    uint32_t e = v & 0x7f800000;

    if (e == 0x7f800000)
        return (uint16_t)(v >> 16 | (v & 0x7fffff ? 0x40 : 0));
    if (!e)
        return (uint16_t)(v >> 16 & 0x8000);
    return (uint16_t)((v + 0x7fff + (v >> 16 & 1)) >> 16);
}

void ex_cvtneps2bf16(struct vx *x)
{
    for (unsigned i = 0; i < x->n / 4; i++)
        x->d.w[i] = to_bf16(x->b.d[i]);
}

/* elements of rm end up in the low half */
void ex_cvtne2ps2bf16(struct vx *x)
{
    unsigned n = x->n / 4;

    for (unsigned i = 0; i < n; i++) {
        x->d.w[i] = to_bf16(x->b.d[i]);
        x->d.w[n + i] = to_bf16(x->a.d[i]);
    }
}

/* the odd elements' product is added first; each step rounds once */
void ex_dpbf16(struct vx *x)
{
    struct sf_env e = { .rm = RM_NEAR, .masked = FE_X86_ALL, .daz = true, .ftz = true };

    for (unsigned i = 0; i < x->n / 4; i++) {
        uint64_t s = x->c.d[i];
        for (unsigned k = 2; k-- > 0;)
            s = vx_muladd(&e, &sf_f32, (uint32_t)x->a.w[2 * i + k] << 16,
                          (uint32_t)x->b.w[2 * i + k] << 16, s, false, false);
        x->d.d[i] = (uint32_t)s;
    }
}
