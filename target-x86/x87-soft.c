/*
 * x87-soft.c - binary floating point in integers, as the x86 units do it
 *
 * Source: IEEE 754-2008; Intel SDM vol. 1, chapters 4.8, 8.5 and 11.5.
 */
#include "target-x86/x87-soft.h"

#define TOP 126                      /* bit of the leading one */

const struct sf_fmt sf_f16 = { 11, 16, -14, 15 };
const struct sf_fmt sf_f32 = { 24, 32, -126, 127 };
const struct sf_fmt sf_f64 = { 53, 64, -1022, 1023 };
const struct sf_fmt sf_f80 = { 64, 80, -16382, 16383 };
const struct sf_fmt sf_pc24 = { 24, 0, -16382, 16383 };
const struct sf_fmt sf_pc53 = { 53, 0, -16382, 16383 };

static unsigned clz128(u128 m)
{
    uint64_t hi = (uint64_t)(m >> 64), lo = (uint64_t)m;
    return hi ? (unsigned)__builtin_clzll(hi) : lo ? 64 + (unsigned)__builtin_clzll(lo) : 128;
}

u128 sf_shr_jam(u128 m, unsigned n)
{
    if (n == 0)
        return m;
    if (n >= 128)
        return m != 0;
    return (m >> n) | ((m << (128 - n)) != 0);
}

struct sf sf_zero(bool sign)
{
    return (struct sf){ .cls = SF_ZERO, .sign = sign };
}

struct sf sf_inf(bool sign)
{
    return (struct sf){ .cls = SF_INF, .sign = sign };
}

struct sf sf_default_nan(void)
{
    return (struct sf){ .cls = SF_QNAN, .sign = true, .m = (u128)3 << (TOP - 1) };
}

struct sf sf_quiet(struct sf s)
{
    s.cls = SF_QNAN;
    s.m |= (u128)1 << (TOP - 1);
    return s;
}

struct sf sf_make(bool sign, u128 m, int32_t e)
{
    if (!m)
        return sf_zero(sign);
    int n = (int)clz128(m) - 1;
    struct sf s = { .cls = SF_NORM, .sign = sign, .exp = e + TOP - n };
    s.m = n >= 0 ? m << n : sf_shr_jam(m, 1);
    return s;
}

/* ---- formats ------------------------------------------------------------------ */

struct sf sf_unpack(const struct sf_env *e, const struct sf_fmt *f, uint64_t v)
{
    unsigned fb = f->prec - 1u, eb = f->bits - f->prec;
    uint64_t frac = v & (((uint64_t)1 << fb) - 1);
    unsigned ex = (unsigned)(v >> fb) & ((1u << eb) - 1);
    bool sign = (v >> (f->bits - 1)) & 1;

    if (ex == (1u << eb) - 1) {
        if (!frac)
            return sf_inf(sign);
        return (struct sf){ .cls = (frac >> (fb - 1)) & 1 ? SF_QNAN : SF_SNAN, .sign = sign,
                            .m = (u128)(frac | ((uint64_t)1 << fb)) << (TOP - fb) };
    }
    if (ex == 0) {
        if (!frac || e->daz)
            return sf_zero(sign);
        struct sf s = sf_make(sign, frac, f->emin - (int)fb);
        s.den = true;
        return s;
    }
    return (struct sf){ .cls = SF_NORM, .sign = sign, .exp = (int)ex - f->emax,
                        .m = (u128)(frac | ((uint64_t)1 << fb)) << (TOP - fb) };
}

struct sf sf_unpack80(struct fx80 v)
{
    bool sign = v.se >> 15;
    int ex = v.se & 0x7fff;

    if (ex == 0) {
        if (!v.m)
            return sf_zero(sign);
        struct sf s = sf_make(sign, v.m, -16382 - 63);
        s.den = true;                          /* pseudo-denormals too */
        return s;
    }
    if (!(v.m >> 63))                          /* unnormal, pseudo-inf, pseudo-NaN */
        return (struct sf){ .cls = SF_UNSUP, .sign = sign, .m = (u128)v.m << 63 };
    if (ex == 0x7fff) {
        if (!(v.m << 1))
            return sf_inf(sign);
        return (struct sf){ .cls = (v.m >> 62) & 1 ? SF_QNAN : SF_SNAN, .sign = sign,
                            .m = (u128)v.m << 63 };
    }
    return (struct sf){ .cls = SF_NORM, .sign = sign, .exp = ex - 16383, .m = (u128)v.m << 63 };
}

uint64_t sf_pack(const struct sf_fmt *f, struct sf s)
{
    unsigned fb = f->prec - 1u;
    uint64_t mask = ((uint64_t)1 << fb) - 1;
    uint64_t frac = (uint64_t)(s.m >> (TOP - fb)) & mask;
    uint64_t emax = (uint64_t)(2 * f->emax + 1), ex = 0;

    switch (s.cls) {
    case SF_ZERO: frac = 0; break;
    case SF_INF: frac = 0; ex = emax; break;
    case SF_NORM: ex = (s.m >> TOP) ? (uint64_t)(s.exp + f->emax) : 0; break;
    default: ex = emax; break;
    }
    return ((uint64_t)s.sign << (f->bits - 1)) | (ex << fb) | frac;
}

struct fx80 sf_pack80(struct sf s)
{
    uint64_t m = (uint64_t)(s.m >> 63);
    unsigned ex = 0;

    switch (s.cls) {
    case SF_ZERO: m = 0; break;
    case SF_INF: m = (uint64_t)1 << 63; ex = 0x7fff; break;
    case SF_NORM: ex = (s.m >> TOP) ? (unsigned)(s.exp + 16383) & 0x7fff : 0; break;
    default: ex = 0x7fff; break;
    }
    return (struct fx80){ m, (uint16_t)(s.sign << 15 | ex) };
}

/* ---- rounding ------------------------------------------------------------------- */

/* whether the bits below @drop make the magnitude one unit larger */
static bool rounds_up(uint8_t rm, bool sign, u128 m, unsigned drop)
{
    u128 rest = m & (((u128)1 << drop) - 1), half = (u128)1 << (drop - 1);

    switch (rm) {
    case RM_NEAR: return rest > half || (rest == half && ((m >> drop) & 1));
    case RM_DOWN: return sign && rest;
    case RM_UP: return !sign && rest;
    default: return false;
    }
}

/* cut @s->m at bit @drop; returns whether that was inexact */
static bool round_at(struct sf_env *e, struct sf *s, unsigned drop)
{
    u128 low = ((u128)1 << drop) - 1;
    bool inexact = (s->m & low) != 0;

    e->up = rounds_up(e->rm, s->sign, s->m, drop);
    s->m &= ~low;
    if (e->up)
        s->m += low + 1;
    if (s->m >> (TOP + 1)) {
        s->m >>= 1;
        s->exp++;
    }
    return inexact;
}

static struct sf overflow(struct sf_env *e, struct sf s, const struct sf_fmt *f, bool inexact)
{
    e->flags |= FE_O;
    if (!(e->masked & FE_O)) {
        if (inexact)
            e->flags |= FE_P;
        if (e->wrap) {
            s.exp -= 24576;
            if (s.exp > f->emax) {             /* FSCALE by a huge amount */
                e->flags |= FE_P;
                e->up = true;
                return sf_inf(s.sign);
            }
        }
        return s;
    }
    e->flags |= FE_P;
    e->up = e->rm == RM_NEAR || e->rm == (s.sign ? RM_DOWN : RM_UP);
    if (e->up)
        return sf_inf(s.sign);
    s.exp = f->emax;
    s.m = (((u128)1 << f->prec) - 1) << (TOP + 1 - f->prec);
    return s;
}

static struct sf underflow(struct sf_env *e, struct sf s, const struct sf_fmt *f)
{
    unsigned drop = TOP + 1u - f->prec;
    struct sf t = s;
    bool inexact = round_at(e, &t, drop);
    bool tiny = t.exp < f->emin;

    if (tiny && !(e->masked & FE_U)) {
        e->flags |= FE_U | (inexact ? FE_P : 0);
        if (e->wrap) {
            t.exp += 24576;
            if (t.exp < f->emin) {
                e->flags |= FE_P;
                return sf_zero(s.sign);
            }
        }
        return t;
    }
    if (tiny && e->ftz) {
        e->flags |= FE_U | FE_P;
        return sf_zero(s.sign);
    }
    s.m = sf_shr_jam(s.m, (unsigned)(f->emin - s.exp));
    s.exp = f->emin;
    if (round_at(e, &s, drop))
        e->flags |= FE_P | (tiny ? FE_U : 0);
    return s.m ? s : sf_zero(s.sign);
}

struct sf sf_round(struct sf_env *e, struct sf s, const struct sf_fmt *f)
{
    e->up = false;
    if (s.cls != SF_NORM)
        return s;
    if (s.exp < f->emin)
        return underflow(e, s, f);
    bool inexact = round_at(e, &s, TOP + 1u - f->prec);
    if (s.exp > f->emax)
        return overflow(e, s, f, inexact);
    if (inexact)
        e->flags |= FE_P;
    return s;
}

struct sf sf_rint(struct sf_env *e, struct sf s)
{
    e->up = false;
    if (s.cls != SF_NORM || s.exp >= TOP)
        return s;
    if (s.exp < -1) {                          /* magnitude below one half */
        s.m = 1;
        s.exp = -1;
    }
    unsigned drop = (unsigned)(TOP - s.exp);   /* weight of one */
    u128 low = drop >= 127 ? ((u128)1 << 127) - 1 : ((u128)1 << drop) - 1;
    bool inexact = (s.m & low) != 0;
    e->up = rounds_up(e->rm, s.sign, s.m, drop);
    u128 n = drop >= 127 ? 0 : s.m >> drop;
    if (inexact)
        e->flags |= FE_P;
    return sf_make(s.sign, n + e->up, 0);
}

int64_t sf_to_int(struct sf_env *e, struct sf s, unsigned bits)
{
    int64_t indefinite = (int64_t)((uint64_t)-1 << (bits - 1));
    uint8_t old = e->flags;

    e->up = false;
    if (s.cls == SF_ZERO)
        return 0;
    if (s.cls == SF_NORM && s.exp < 64) {
        s = sf_rint(e, s);
        if (s.cls == SF_ZERO)
            return 0;
        u128 n = s.exp < 64 ? s.m >> (TOP - s.exp) : (u128)1 << 65;
        if (n < (u128)1 << (bits - 1))
            return s.sign ? -(int64_t)n : (int64_t)n;
        if (s.sign && n == (u128)1 << (bits - 1))
            return indefinite;
    }
    e->up = false;
    e->flags = old | FE_I;
    return indefinite;
}

struct sf sf_from_int(int64_t v)
{
    return sf_make(v < 0, v < 0 ? -(uint64_t)v : (uint64_t)v, 0);
}

/* ---- arithmetic -------------------------------------------------------------------- */

static struct sf invalid(void)
{
    return (struct sf){ .cls = SF_UNSUP };
}

struct sf sf_add(struct sf a, struct sf b, uint8_t rm)
{
    if (a.cls == SF_INF || b.cls == SF_INF) {
        if (a.cls == b.cls && a.sign != b.sign)
            return invalid();
        return a.cls == SF_INF ? a : b;
    }
    if (a.cls == SF_ZERO && b.cls == SF_ZERO)
        return sf_zero(a.sign == b.sign ? a.sign : rm == RM_DOWN);
    if (a.cls == SF_ZERO)
        return b;
    if (b.cls == SF_ZERO)
        return a;
    if (a.exp < b.exp || (a.exp == b.exp && a.m < b.m)) {
        struct sf t = a;
        a = b;
        b = t;
    }
    u128 m = sf_shr_jam(b.m, (unsigned)(a.exp - b.exp));
    if (a.sign == b.sign)
        return sf_make(a.sign, a.m + m, a.exp - TOP);
    if (a.m == m)
        return sf_zero(rm == RM_DOWN);
    return sf_make(a.sign, a.m - m, a.exp - TOP);
}

/* high half of a 128 x 128 bit product, low half jammed into bit 0 */
static u128 mulhi(u128 a, u128 b)
{
    uint64_t ah = (uint64_t)(a >> 64), al = (uint64_t)a;
    uint64_t bh = (uint64_t)(b >> 64), bl = (uint64_t)b;
    u128 hh = (u128)ah * bh, hl = (u128)ah * bl, lh = (u128)al * bh, ll = (u128)al * bl;
    u128 mid = (ll >> 64) + (uint64_t)hl + (uint64_t)lh;
    u128 hi = hh + (hl >> 64) + (lh >> 64) + (mid >> 64);

    return hi | (((uint64_t)mid | (uint64_t)ll) != 0);
}

struct sf sf_mul(struct sf a, struct sf b)
{
    bool sign = a.sign != b.sign;

    if (a.cls == SF_INF || b.cls == SF_INF) {
        if (a.cls == SF_ZERO || b.cls == SF_ZERO)
            return invalid();
        return sf_inf(sign);
    }
    if (a.cls == SF_ZERO || b.cls == SF_ZERO)
        return sf_zero(sign);
    return sf_make(sign, mulhi(a.m << 1, b.m << 1), a.exp + b.exp - TOP);
}

/* results of a division that need no arithmetic; false: both are normal */
static bool div_special(struct sf a, struct sf b, struct sf *r)
{
    bool sign = a.sign != b.sign;

    if (a.cls == SF_NORM && b.cls == SF_NORM)
        return false;
    if (a.cls == b.cls)                        /* 0/0, inf/inf */
        *r = invalid();
    else if (a.cls == SF_INF || b.cls == SF_ZERO)
        *r = sf_inf(sign);
    else
        *r = sf_zero(sign);
    return true;
}

struct sf sf_div(struct sf a, struct sf b)
{
    struct sf r;

    if (div_special(a, b, &r))
        return r;
    uint64_t d = (uint64_t)(b.m >> 63);
    u128 q = a.m / d, rem = a.m % d;
    u128 q2 = (rem << 64) / d;
    q = (q << 64) + q2;                        /* a / b * 2^127 */
    if ((rem << 64) % d)
        q |= 1;
    return sf_make(a.sign != b.sign, q, a.exp - b.exp - 127);
}

struct sf sf_divw(struct sf a, struct sf b)
{
    struct sf r;
    u128 q = 0, rem = a.m;

    if (div_special(a, b, &r))
        return r;
    for (int i = 0; i < 127; i++) {
        q <<= 1;
        if (rem >= b.m) {
            rem -= b.m;
            q |= 1;
        }
        rem <<= 1;
    }
    return sf_make(a.sign != b.sign, q << 1 | (rem != 0), a.exp - b.exp - 127);
}

struct sf sf_sqrt(struct sf a)
{
    if (a.cls == SF_ZERO)
        return a;
    if (a.sign)
        return invalid();
    if (a.cls == SF_INF)
        return a;
    bool odd = a.exp & 1;
    u128 m = odd ? a.m << 1 : a.m, root = 0, rem = 0;
    for (int i = 0; i < 70; i++) {             /* two bits in, one bit of root out */
        rem = rem << 2 | (m >> 126);
        m <<= 2;
        root <<= 1;
        if (rem >= (root << 1 | 1)) {
            rem -= root << 1 | 1;
            root |= 1;
        }
    }
    return sf_make(false, root << 1 | (rem != 0), (a.exp - odd) / 2 - 70);
}

int sf_cmp(struct sf a, struct sf b)
{
    int less = a.sign ? 1 : -1;                /* |a| < |b| */

    if (a.cls == SF_ZERO && b.cls == SF_ZERO)
        return 0;
    if (a.cls == SF_ZERO)
        return b.sign ? 1 : -1;
    if (b.cls == SF_ZERO)
        return -less;
    if (a.sign != b.sign)
        return -less;
    if (a.cls != b.cls)
        return a.cls == SF_INF ? -less : less;
    if (a.cls == SF_INF)
        return 0;
    if (a.exp != b.exp)
        return a.exp < b.exp ? less : -less;
    return a.m == b.m ? 0 : a.m < b.m ? less : -less;
}
