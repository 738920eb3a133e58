/*
 * x87-trans.c - x87 transcendental functions on 127-bit significands
 *
 * Plain series after argument reduction, with enough bits to spare that the
 * single rounding at the end decides the result.
 */
#include "target-x86/x87-int.h"

const struct sf x87_ln2 = { .cls = SF_NORM, .exp = -1, .m = (u128)0x58b90bfbe8e7bcd5 << 64 | 0xe4f1d9cc01f97b58 };
const struct sf x87_log2e = { .cls = SF_NORM, .exp = 0, .m = (u128)0x5c551d94ae0bf85d << 64 | 0xdf43ff68348e9f44 };
const struct sf x87_pi = { .cls = SF_NORM, .exp = 1, .m = (u128)0x6487ed5110b4611a << 64 | 0x62633145c06e0e69 };
const struct sf x87_log2_10 = { .cls = SF_NORM, .exp = 1, .m = (u128)0x6a4d3c25e68dc57f << 64 | 0x2495fb7fa6d7eda6 };
const struct sf x87_log10_2 = { .cls = SF_NORM, .exp = -2, .m = (u128)0x4d104d427de7fbcc << 64 | 0x47c4acd605be48bc };

/* atan(i / 8) */
static const struct sf atan_tab[9] = {
    { .cls = SF_ZERO },
    { .cls = SF_NORM, .exp = -4, .m = (u128)0x7f56ea6ab0bdb719 << 64 | 0x644bcc4f9f44477c },
    { .cls = SF_NORM, .exp = -3, .m = (u128)0x7d6dd7e4b203758a << 64 | 0xb6e3cf7afbd10bf3 },
    { .cls = SF_NORM, .exp = -2, .m = (u128)0x5bd86507937bc239 << 64 | 0xc55190916e7f2242 },
    { .cls = SF_NORM, .exp = -2, .m = (u128)0x76b19c1586ed3da2 << 64 | 0xb7f222f65e1d4682 },
    { .cls = SF_NORM, .exp = -1, .m = (u128)0x47802eaf7bfacfcd << 64 | 0xae41af0b32e21ba4 },
    { .cls = SF_NORM, .exp = -1, .m = (u128)0x525e3e8c9a7b8492 << 64 | 0x0cd43f9522bed64f },
    { .cls = SF_NORM, .exp = -1, .m = (u128)0x5c029f15e118cf39 << 64 | 0xe596d2a90852221f },
    { .cls = SF_NORM, .exp = -1, .m = (u128)0x6487ed5110b4611a << 64 | 0x62633145c06e0e69 },
};

static const struct sf one = { .cls = SF_NORM, .exp = 0, .m = (u128)1 << 126 };

static struct sf add(struct sf a, struct sf b) { return sf_add(a, b, RM_NEAR); }
static struct sf sub(struct sf a, struct sf b) { return sf_add(a, sf_neg(b), RM_NEAR); }

/* s / n, n small */
static struct sf div_small(struct sf s, uint32_t n)
{
    if (s.cls != SF_NORM)
        return s;
    return sf_make(s.sign, s.m / n, s.exp - 126);
}

struct sf x87_2xm1(struct sf x)
{
    struct sf y = sf_mul(x, x87_ln2), p = one;

    for (uint32_t k = 36; k > 1; k--)          /* (e^y - 1) / y */
        p = add(one, div_small(sf_mul(p, y), k));
    return sf_mul(p, y);
}

/* 2 atanh(z) / ln 2, |z| < 0.18 */
static struct sf log2_ratio(struct sf z)
{
    struct sf z2 = sf_mul(z, z), s = sf_zero(false);

    for (uint32_t k = 51; k <= 51; k -= 2)
        s = add(div_small(one, k), sf_mul(s, z2));
    s = sf_mul(sf_mul(s, z), x87_log2e);
    s.exp++;
    return s;
}

struct sf x87_log2(struct sf x)
{
    int k = x.exp;

    x.exp = 0;
    if (x.m >> 63 > (u128)0xb504f333f9de6484) { /* above sqrt 2 */
        x.exp = -1;
        k++;
    }
    struct sf z = sf_divw(sub(x, one), add(x, one));
    return add(sf_from_int(k), z.cls == SF_NORM ? log2_ratio(z) : z);
}

struct sf x87_log2p1(struct sf x)
{
    struct sf sum = add(one, x);

    if (sum.cls != SF_NORM || sum.exp < -1 || sum.exp > 0 || x.exp >= -1)
        return x87_log2(sum.cls == SF_NORM ? sum : one);
    struct sf two = one;
    two.exp = 1;
    return log2_ratio(sf_divw(x, add(x, two)));
}

/* atan(t), 0 <= t <= 1: the nearest eighth from the table, the rest by series */
static struct sf atan_unit(struct sf t)
{
    unsigned i = 0;

    if (t.cls == SF_NORM && t.exp >= -4)
        i = (unsigned)(((t.m >> (119 - t.exp)) + 8) >> 4);   /* round(8 t) */
    if (i) {
        struct sf c = sf_make(false, i, -3);
        t = sf_divw(sub(t, c), add(one, sf_mul(t, c)));
    }
    if (t.cls != SF_NORM)
        return atan_tab[i];
    struct sf t2 = sf_neg(sf_mul(t, t)), s = sf_zero(false);
    for (uint32_t k = 33; k <= 33; k -= 2)
        s = add(div_small(one, k), sf_mul(s, t2));
    return add(atan_tab[i], sf_mul(s, t));
}

struct sf x87_atan2(struct sf y, struct sf x)
{
    bool sy = y.sign, sx = x.sign;
    struct sf r, half_pi = x87_pi;

    half_pi.exp--;
    x.sign = y.sign = false;
    if (sf_cmp(y, x) > 0)
        r = sub(half_pi, atan_unit(sf_divw(x, y)));
    else
        r = atan_unit(sf_divw(y, x));
    if (sx)
        r = sub(x87_pi, r);
    r.sign = sy;
    return r;
}

/* sine (@first = 1: products 2*3, 4*5...) or cosine (0: 1*2, 3*4...) factor */
static struct sf trig_series(struct sf r, uint32_t first)
{
    struct sf r2 = sf_neg(sf_mul(r, r)), p = one;

    for (uint32_t k = 32 + first; k > 1; k -= 2)
        p = add(one, div_small(sf_mul(p, r2), k * (k - 1)));
    return p;
}

void x87_sincos(struct sf x, struct sf *sine, struct sf *cosine)
{
    const u128 half_pi = (u128)3 << 64 | 0x243f6a8885a308d3;   /* * 2^-65 */
    bool sign = x.sign;
    unsigned q = 0;
    struct sf r = x;

    r.sign = false;
    if (x.exp >= -1) {
        u128 rem = x.m >> 63;
        for (int i = 0; i < x.exp + 2 && i < 66; i++) {
            rem <<= 1;
            q <<= 1;
            if (rem >= half_pi) {
                rem -= half_pi;
                q |= 1;
            }
        }
        bool over = rem > half_pi / 2;
        r = sf_make(over, over ? half_pi - rem : rem, -65);
        q += over;
    }
    struct sf s = r.cls == SF_NORM ? sf_mul(r, trig_series(r, 1)) : r;
    struct sf c = r.cls == SF_NORM ? trig_series(r, 0) : one;
    *sine = q & 1 ? c : s;
    *cosine = q & 1 ? s : c;
    sine->sign ^= (q & 2) != 0;
    cosine->sign ^= ((q + 1) & 2) != 0;
    sine->sign ^= sign;
}
