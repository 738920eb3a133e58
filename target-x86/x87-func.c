/*
 * x87-func.c - x87 functions of ST(0) and ST(1)
 *
 * Square root, remainders, scaling, and what surrounds the series of
 * x87-trans.c: special operands, NaNs, C2, two results.
 * Source: Intel SDM vol. 2, the tables of results with each instruction.
 */
#include "target-x86/x87-int.h"

/* one operand: deals with faults, NaNs, DE; false: the result is in ST(0) already */
static bool unary(struct fpu *f, struct sf *s)
{
    *s = fpu_fetch(f, 0);
    if (!f->fault && fpu_is_nan(*s))
        *s = fpu_nan_of(f, *s, *s);
    else if (!f->fault && s->den)
        f->e.flags |= FE_D;
    if (fpu_stopped(f))
        return false;
    if (fpu_is_nan(*s))
        fpu_set(f, 0, *s);
    return !fpu_is_nan(*s);
}

/* two operands, result to ST(@dst) and @pops */
static bool binary(struct fpu *f, struct sf *a, struct sf *b, unsigned dst, bool pops)
{
    *a = fpu_fetch(f, 0);
    *b = fpu_fetch(f, 1);
    struct sf r = sf_default_nan();
    bool nan = f->fault || fpu_is_nan(*a) || fpu_is_nan(*b);
    if (!f->fault && nan)
        r = fpu_nan_of(f, *a, *b);
    if (fpu_stopped(f) || !nan)
        return !nan;
    fpu_set(f, dst, r);
    if (pops)
        fpu_pop(f);
    return false;
}

/* unrounded (or special) result to ST(@dst) */
static void result(struct fpu *f, unsigned dst, struct sf r, bool pops)
{
    if (r.cls == SF_UNSUP)
        r = fpu_invalid(f);
    if (fpu_stopped(f))
        return;
    fpu_set(f, dst, sf_round(&f->e, r, &sf_f80));
    if (pops)
        fpu_pop(f);
}

/* ST(0) stays; a pseudo-denormal becomes the normal number it stands for */
static void unchanged(struct fpu *f)
{
    struct fx80 v = fpu_get_raw(f, 0);

    if (!fpu_stopped(f) && !(v.se & 0x7fff) && v.m >> 63) {
        v.se |= 1;
        fpu_set_raw(f, 0, v);
    }
}

static struct sf unsup(void)
{
    return (struct sf){ .cls = SF_UNSUP };
}

static void fsqrt(struct fpu *f)
{
    struct sf s = fpu_fetch(f, 0), r;

    if (f->fault || fpu_is_nan(s)) {
        r = f->fault ? s : fpu_nan_of(f, s, s);
    } else {
        r = sf_sqrt(s);
        if (r.cls == SF_UNSUP)
            r = fpu_invalid(f);
        else if (s.den)
            f->e.flags |= FE_D;
    }
    if (!fpu_stopped(f))
        fpu_set(f, 0, sf_round(&f->e, r, fpu_precision(f)));
}

static void frndint(struct fpu *f)
{
    struct sf s;

    if (unary(f, &s))
        fpu_set(f, 0, sf_rint(&f->e, s));
}

static void change_sign(struct fpu *f, bool chs)
{
    if (fpu_empty(f, 0)) {
        struct sf s = fpu_fetch(f, 0);
        if (!fpu_stopped(f))
            fpu_set(f, 0, s);
        return;
    }
    struct fx80 v = fpu_get_raw(f, 0);
    v.se = chs ? v.se ^ 0x8000 : v.se & 0x7fff;
    fpu_set_raw(f, 0, v);
}

static void f2xm1(struct fpu *f)
{
    struct sf s;

    if (!unary(f, &s))
        return;
    if (s.cls == SF_INF && s.sign)
        s = sf_from_int(-1);
    else if (s.cls == SF_NORM && s.exp <= 0)   /* beyond |1|: undefined */
        s = x87_2xm1(s);
    result(f, 0, s, false);
}

/* FSIN, FCOS, FSINCOS, FPTAN: C2 set and nothing done when |x| >= 2^63 */
enum { TRIG_SIN, TRIG_COS, TRIG_SINCOS, TRIG_TAN };

static void fault_pair(struct fpu *f)
{
    if (fpu_stopped(f))
        return;
    fpu_set(f, 0, sf_default_nan());
    fpu_rotate(f->cpu, 7);
    fpu_set(f, 0, sf_default_nan());
}

static void trig_store(struct fpu *f, unsigned kind, struct sf sine, struct sf cosine)
{
    switch (kind) {
    case TRIG_SIN:
        result(f, 0, sine, false);
        break;
    case TRIG_COS:
        result(f, 0, cosine, false);
        break;
    case TRIG_SINCOS: {
        struct sf c = sf_round(&f->e, cosine, &sf_f80);
        result(f, 0, sine, false);
        if (!fpu_stopped(f)) {
            fpu_rotate(f->cpu, 7);
            fpu_set(f, 0, c);
        }
        break;
    }
    default:
        sine = sf_divw(sine, cosine);
        if (sine.cls == SF_NORM)
            sine.m |= 1;                       /* never exact */
        result(f, 0, sine, false);
        if (!fpu_stopped(f)) {
            fpu_rotate(f->cpu, 7);
            fpu_set(f, 0, sf_from_int(1));
        }
    }
}

static void trig(struct fpu *f, unsigned kind)
{
    struct sf s = fpu_fetch(f, 0), sine, cosine = sf_from_int(1);
    bool pair = kind >= TRIG_SINCOS;

    f->cc_mask = FSW_C2;
    if (pair)
        fpu_want_room(f);
    if (f->fault && pair) {
        fault_pair(f);
        return;
    }
    if (!f->fault && s.cls == SF_NORM && s.exp >= 63) {
        f->cc = FSW_C2;
        return;
    }
    if (!f->fault && (s.cls == SF_INF || fpu_is_nan(s)))
        s = fpu_is_nan(s) ? fpu_nan_of(f, s, s) : fpu_invalid(f);
    else if (s.den)
        f->e.flags |= FE_D;
    if (fpu_stopped(f))
        return;
    if (fpu_is_nan(s)) {
        fpu_set(f, 0, s);
        if (pair) {
            fpu_rotate(f->cpu, 7);
            fpu_set(f, 0, s);
        }
        return;
    }
    sine = s;
    if (s.cls == SF_NORM)
        x87_sincos(s, &sine, &cosine);
    trig_store(f, kind, sine, cosine);
}

/* y * log2(x): the cases without a finite logarithm */
static struct sf ylog_special(struct fpu *f, struct sf x, struct sf y)
{
    if (x.sign && x.cls != SF_ZERO)
        return unsup();
    if (x.cls == SF_ZERO) {
        if (y.cls == SF_ZERO)
            return unsup();
        if (y.cls == SF_NORM)
            f->e.flags |= FE_Z;
        return sf_inf(!y.sign);
    }
    return y.cls == SF_ZERO ? unsup() : sf_inf(y.sign);    /* x = +inf */
}

static void fyl2x(struct fpu *f)
{
    struct sf x, y, r;
    bool exact = true;

    if (!binary(f, &x, &y, 1, true))
        return;
    if (x.cls == SF_NORM && !x.sign)
        r = sf_mul(y, x87_log2(x)), exact = r.cls != SF_NORM;
    else
        r = ylog_special(f, x, y);
    if (r.cls != SF_UNSUP && !(f->e.flags & FE_Z) && (x.den || y.den))
        f->e.flags |= FE_D;
    result(f, 1, r, true);
    if (!exact && !fpu_stopped(f))
        f->e.flags |= FE_P;                    /* even for a power of two */
}

static void fyl2xp1(struct fpu *f)
{
    struct sf x, y, r;

    if (!binary(f, &x, &y, 1, true))
        return;
    if (x.cls == SF_ZERO)
        r = sf_mul(y, x);
    else if (x.cls == SF_INF)
        r = x.sign || y.cls == SF_ZERO ? unsup() : sf_inf(y.sign);
    else if (x.sign && x.exp >= 0)             /* x <= -1: undefined */
        r = unsup();
    else
        r = sf_mul(y, x87_log2p1(x));
    if (r.cls != SF_UNSUP && (x.den || y.den))
        f->e.flags |= FE_D;
    result(f, 1, r, true);
}

/* atan2 where a coordinate is zero or infinite: multiples of pi / 4 */
static struct sf atan_special(struct sf y, struct sf x)
{
    static const struct sf eighth = { .cls = SF_NORM, .exp = -3, .m = (u128)1 << 126 };
    unsigned n;                                /* in units of pi / 4 */

    if (y.cls == SF_ZERO)
        n = x.sign ? 4 : 0;
    else if (x.cls == SF_ZERO || (y.cls == SF_INF && x.cls != SF_INF))
        n = 2;
    else if (y.cls == SF_INF)
        n = x.sign ? 3 : 1;
    else
        n = x.sign ? 4 : 0;                    /* x is infinite, y is not */
    struct sf r = sf_mul(sf_mul(sf_from_int(2 * (int)n), eighth), x87_pi);
    r.sign = y.sign;
    return r;
}

static void fpatan(struct fpu *f)
{
    struct sf x, y;

    if (!binary(f, &x, &y, 1, true))
        return;
    if (x.den || y.den)
        f->e.flags |= FE_D;
    result(f, 1, x.cls == SF_NORM && y.cls == SF_NORM ? x87_atan2(y, x) : atan_special(y, x), true);
}

static void fscale(struct fpu *f)
{
    struct sf a, b;
    int32_t n = 0;

    if (!binary(f, &a, &b, 0, false))
        return;
    bool den = a.den || b.den;
    if (b.cls == SF_INF) {
        if (a.cls == (b.sign ? SF_INF : SF_ZERO))
            a = unsup();
        else
            a = b.sign ? sf_zero(a.sign) : sf_inf(a.sign);
    } else if (a.cls == SF_NORM && b.cls == SF_NORM && b.exp >= 0) {
        n = b.exp > 16 ? 1 << 17 : (int32_t)(b.m >> (126 - b.exp));
        a.exp += b.sign ? -n : n;
    }
    if (a.cls != SF_UNSUP && den)
        f->e.flags |= FE_D;
    if (a.cls == SF_NORM && b.cls == SF_ZERO)
        unchanged(f);
    else
        result(f, 0, a, false);
}

static void fxtract(struct fpu *f)
{
    struct sf s = fpu_fetch(f, 0), e;

    fpu_want_room(f);
    if (f->fault) {
        fault_pair(f);
        return;
    }
    if (fpu_is_nan(s)) {
        s = e = fpu_nan_of(f, s, s);
    } else if (s.cls == SF_ZERO) {
        f->e.flags |= FE_Z;
        e = sf_inf(true);
    } else if (s.cls == SF_INF) {
        e = sf_inf(false);
    } else {
        if (s.den)
            f->e.flags |= FE_D;
        e = sf_from_int(s.exp);
        s.exp = 0;
    }
    if (fpu_stopped(f))
        return;
    fpu_set(f, 0, e);
    fpu_rotate(f->cpu, 7);
    fpu_set(f, 0, s);
}

/* ---- remainder ------------------------------------------------------------------------------- */

/* quotient bits 2..0 to C0, C3, C1 */
static void quotient_bits(struct fpu *f, uint64_t q)
{
    f->cc = (q & 4 ? FSW_C0 : 0) | (q & 2 ? FSW_C3 : 0) | (q & 1 ? FSW_C1 : 0);
}

/* |a| - |b| * q for normal operands with exponents @d >= 0 apart (-1 for FPREM1) */
static struct sf reduce(struct fpu *f, struct sf a, struct sf b, bool nearest)
{
    int d = a.exp - b.exp;
    uint64_t mb = (uint64_t)(b.m >> 63), ma = (uint64_t)(a.m >> 63);
    bool sign = a.sign;

    if (d >= 64) {                             /* partial: exponent falls by 32..63 */
        int n = 32 + d % 32;
        struct sf r = sf_make(sign, ((u128)ma << n) % mb, b.exp - 63 + d - n);
        f->cc = FSW_C2;
        return r.cls == SF_ZERO ? sf_zero(sign) : r;
    }
    u128 num = d >= 0 ? (u128)ma << d : ma, den = d >= 0 ? mb : (u128)mb << 1;
    u128 q = num / den, rem = num % den;
    int32_t unit = (d >= 0 ? b.exp : a.exp) - 63;
    if (nearest && (rem * 2 > den || (rem * 2 == den && (q & 1)))) {
        rem = den - rem;
        sign = !sign;
        q++;
    }
    quotient_bits(f, (uint64_t)q);
    return rem ? sf_make(sign, rem, unit) : sf_zero(a.sign);
}

static void fprem(struct fpu *f, bool nearest)
{
    struct sf a, b, r;

    f->cc_mask = FSW_C2;
    if (!binary(f, &a, &b, 0, false))
        return;
    if (a.cls == SF_INF || b.cls == SF_ZERO) {
        result(f, 0, unsup(), false);
        return;
    }
    if (a.den || b.den)
        f->e.flags |= FE_D;
    if (fpu_stopped(f))
        return;
    f->cc_mask = FSW_CC;
    r = a;
    if (a.cls == SF_NORM && b.cls == SF_NORM && a.exp - b.exp >= (nearest ? -1 : 0))
        r = reduce(f, a, b, nearest);
    if (b.cls == SF_INF)
        unchanged(f);                          /* and no underflow */
    else
        result(f, 0, r, false);
    f->e.up = false;                           /* C1 is a quotient bit */
}

/* ---- dispatch --------------------------------------------------------------------------------- */

bool fpu_function(struct fpu *f, unsigned n)
{
    switch (n) {
    case 0x20: change_sign(f, true); return true;
    case 0x21: change_sign(f, false); return true;
    case 0x30: f2xm1(f); return true;
    case 0x31: fyl2x(f); return true;
    case 0x32: trig(f, TRIG_TAN); return true;
    case 0x33: fpatan(f); return true;
    case 0x34: fxtract(f); return true;
    case 0x35: fprem(f, true); return true;
    case 0x36: fpu_rotate(f->cpu, 7); return true;             /* FDECSTP */
    case 0x37: fpu_rotate(f->cpu, 1); return true;             /* FINCSTP */
    case 0x38: fprem(f, false); return true;
    case 0x39: fyl2xp1(f); return true;
    case 0x3A: fsqrt(f); return true;
    case 0x3B: trig(f, TRIG_SINCOS); return true;
    case 0x3C: frndint(f); return true;
    case 0x3D: fscale(f); return true;
    case 0x3E: trig(f, TRIG_SIN); return true;
    case 0x3F: trig(f, TRIG_COS); return true;
    default: return false;
    }
}
