/*
 * evex-int.c - AVX-512 integer operations that have no shorter form
 *
 * One function serves all element sizes: the row gives x->es.
 *
 * Source: Intel SDM vol. 2 for each instruction.
 */
#include "target-x86/evexx-int.h"

#define BITS(x) (8u * (x)->es)

/* @A, @B, @C: elements of vvvv, rm and the old destination; @SA, @SB signed */
#define EACH(name, expr)                                                        \
    void ex_##name(struct vx *x)                                                \
    {                                                                           \
        for (unsigned i = 0; i < x->lanes; i++) {                               \
            uint64_t A = el_get(&x->a, x->es, i), B = el_get(&x->b, x->es, i);  \
            int64_t SA = el_sget(&x->a, x->es, i), SB = el_sget(&x->b, x->es, i); \
            (void)A, (void)B, (void)SA, (void)SB;                               \
            el_put(&x->d, x->es, i, (uint64_t)(expr));                          \
        }                                                                       \
    }
EACH(mins, SA < SB ? A : B)
EACH(maxs, SA > SB ? A : B)
EACH(minu, A < B ? A : B)
EACH(maxu, A > B ? A : B)
EACH(abs, SB < 0 ? -B : B)
EACH(mullq, A * B)
EACH(srlv, B < BITS(x) ? A >> B : 0)
EACH(sllv, B < BITS(x) ? A << B : 0)
EACH(srav, SA >> MIN(B, BITS(x) - 1u))

static uint64_t rotate(uint64_t v, unsigned bits, unsigned left)
{
    left &= bits - 1;
    return left ? v << left | v >> (bits - left) : v;
}
EACH(rolv, rotate(A, BITS(x), (unsigned)B & 63))
EACH(rorv, rotate(A, BITS(x), 0u - ((unsigned)B & 63)))

/* VPBLENDMx: a disabled element is the first source's */
void ex_blendm(struct vx *x)
{
    x->c = x->a;
    x->d = x->b;
}

/* 66 0F E2 W1: all elements by one count */
void ex_sraq(struct vx *x)
{
    for (unsigned i = 0; i < x->lanes; i++)
        x->d.q[i] = (uint64_t)((int64_t)x->a.q[i] >> MIN(x->b.q[0], 63u));
}

/* 66 0F 72: the digit chooses VPROR, VPROL, VPSRL, VPSRA, VPSLL */
void ex_shift_imm(struct vx *x)
{
    unsigned n = x->imm, bits = BITS(x);

    for (unsigned i = 0; i < x->lanes; i++) {
        uint64_t v = el_get(&x->a, x->es, i);
        int64_t s = el_sget(&x->a, x->es, i);
        switch (x->v->reg & 7) {
        case 0: v = rotate(v, bits, 0u - n); break;
        case 1: v = rotate(v, bits, n); break;
        case 2: v = n < bits ? v >> n : 0; break;
        case 4: v = (uint64_t)(s >> MIN(n, bits - 1)); break;
        default: v = n < bits ? v << n : 0; break;
        }
        el_put(&x->d, x->es, i, v);
    }
}

/* @bits of @hi:@lo starting @n bits below the top */
static uint64_t funnel(uint64_t hi, uint64_t lo, unsigned bits, unsigned n)
{
    n &= bits - 1;
    return n ? hi << n | lo >> (bits - n) : hi;
}

static uint64_t shld(const struct vx *x, unsigned i, const union vreg *hi, const union vreg *lo,
                     uint64_t n)
{
    return funnel(el_get(hi, x->es, i), el_get(lo, x->es, i), BITS(x), (unsigned)n & 63);
}

/* right by n is left by the rest, except by nothing */
static uint64_t shrd(const struct vx *x, unsigned i, const union vreg *hi, const union vreg *lo,
                     uint64_t n)
{
    unsigned r = (unsigned)n & (BITS(x) - 1);
    return r ? shld(x, i, hi, lo, BITS(x) - r) : el_get(lo, x->es, i);
}

#define FUNNEL(name, expr)                              \
    void ex_##name(struct vx *x)                        \
    {                                                   \
        for (unsigned i = 0; i < x->lanes; i++)         \
            el_put(&x->d, x->es, i, expr);              \
    }
FUNNEL(shldi, shld(x, i, &x->a, &x->b, x->imm))
FUNNEL(shrdi, shrd(x, i, &x->b, &x->a, x->imm))
FUNNEL(shldv, shld(x, i, &x->c, &x->a, el_get(&x->b, x->es, i)))
FUNNEL(shrdv, shrd(x, i, &x->a, &x->c, el_get(&x->b, x->es, i)))

/* each bit of imm8 answers for one combination of the three operands' bits */
void ex_ternlog(struct vx *x)
{
    for (unsigned i = 0; i < x->n / 8; i++) {
        uint64_t r = 0;
        for (unsigned m = 0; m < 8; m++)
            if (x->imm >> m & 1)
                r |= (m & 4 ? x->c.q[i] : ~x->c.q[i]) & (m & 2 ? x->a.q[i] : ~x->a.q[i]) &
                     (m & 1 ? x->b.q[i] : ~x->b.q[i]);
        x->d.q[i] = r;
    }
}

/* ---- bit counts, conflicts -------------------------------------------------------- */

static unsigned count_ones(uint64_t v)
{
    unsigned n = 0;

    for (; v; v &= v - 1)
        n++;
    return n;
}
EACH(popcnt, count_ones(B))
EACH(lzcnt, B ? (unsigned)__builtin_clzll(B) - (64 - BITS(x)) : BITS(x))

void ex_conflict(struct vx *x)
{
    for (unsigned i = 0; i < x->lanes; i++) {
        uint64_t r = 0;
        for (unsigned k = 0; k < i; k++)
            r |= (uint64_t)(el_get(&x->b, x->es, k) == el_get(&x->b, x->es, i)) << k;
        el_put(&x->d, x->es, i, r);
    }
}

void ex_multishift(struct vx *x)
{
    for (unsigned i = 0; i < x->n; i++)
        x->d.b[i] = (uint8_t)rotate(x->b.q[i / 8], 64, 0u - x->a.b[i]);
}

void ex_shufbitq(struct vx *x)
{
    for (unsigned i = 0; i < x->n; i++)
        x->kout |= (x->a.q[i / 8] >> (x->b.b[i] & 63) & 1) << i;
}

/* ---- compare into a mask ------------------------------------------------------------ */

#define KEACH(name, expr)                                                       \
    void ex_##name(struct vx *x)                                                \
    {                                                                           \
        for (unsigned i = 0; i < x->lanes; i++) {                               \
            uint64_t A = el_get(&x->a, x->es, i), B = el_get(&x->b, x->es, i);  \
            int64_t SA = el_sget(&x->a, x->es, i), SB = el_sget(&x->b, x->es, i); \
            (void)A, (void)B, (void)SA, (void)SB;                               \
            x->kout |= (uint64_t)(expr) << i;                                   \
        }                                                                       \
    }
/* predicates EQ LT LE FALSE NE GE GT TRUE */
static bool predicate(unsigned imm, bool lt, bool eq)
{
    static const uint8_t holds[4] = { 2, 1, 3, 0 };   /* 1: less, 2: equal */
    bool r = holds[imm & 3] & (lt ? 1 : eq ? 2 : 4);

    return r != ((imm & 4) != 0);
}
KEACH(cmps, predicate(x->imm, SA < SB, A == B))
KEACH(cmpu, predicate(x->imm, A < B, A == B))
KEACH(kcmpeq, A == B)
KEACH(kcmpgt, SA > SB)
KEACH(testm, (A & B) != 0)
KEACH(testnm, (A & B) == 0)
KEACH(movx2m, SB < 0)

/* VPMOVM2x; VPBROADCASTMB2Q, MW2D */
FUNNEL(movm2x, x->b.q[0] >> i & 1 ? ~0ull : 0)
FUNNEL(bcastm, x->b.q[0] & (x->es == 8 ? 0xff : 0xffff))

/* ---- multiply and add ------------------------------------------------------------------ */

static u128 mul52(const struct vx *x, unsigned i)
{
    const uint64_t low52 = (1ull << 52) - 1;
    return (u128)(x->a.q[i] & low52) * (x->b.q[i] & low52);
}
FUNNEL(madd52lo, x->c.q[i] + (uint64_t)(mul52(x, i) & ((1ull << 52) - 1)))
FUNNEL(madd52hi, x->c.q[i] + (uint64_t)(mul52(x, i) >> 52))

/* ---- sums of absolute differences ---------------------------------------------------------- */

/* a word of VDBPSADBW: @a against four bytes of the shuffled second source */
static uint16_t sad4(const uint8_t *a, const uint8_t *b)
{
    unsigned s = 0;

    for (unsigned i = 0; i < 4; i++)
        s += (unsigned)(a[i] > b[i] ? a[i] - b[i] : b[i] - a[i]);
    return (uint16_t)s;
}

void ex_dbpsadbw(struct vx *x)
{
    union vreg t;

    for (unsigned i = 0; i < x->n / 4; i++)
        t.d[i] = x->b.d[(i & ~3u) + (x->imm >> (2 * (i & 3)) & 3)];
    for (unsigned i = 0; i < x->n; i += 8) {
        x->d.w[i / 2] = sad4(x->a.b + i, t.b + i);
        x->d.w[i / 2 + 1] = sad4(x->a.b + i, t.b + i + 1);
        x->d.w[i / 2 + 2] = sad4(x->a.b + i + 4, t.b + i + 2);
        x->d.w[i / 2 + 3] = sad4(x->a.b + i + 4, t.b + i + 3);
    }
}

/* ---- narrowing -------------------------------------------------------------------------------- */

/* VPMOV, VPMOVS, VPMOVUS: opcode 3x cuts, 2x saturates signed, 1x unsigned */
void ex_narrow(struct vx *x)
{
    unsigned bits = BITS(x), how = x->v->opcode >> 4;
    int64_t max = (int64_t)((1ull << (bits - 1)) - 1);
    uint64_t umax = (1ull << bits) - 1;

    for (unsigned i = 0; i < x->lanes; i++) {
        uint64_t v = el_get(&x->a, x->ss, i);
        int64_t s = el_sget(&x->a, x->ss, i);
        if (how == 2)
            v = (uint64_t)(s > max ? max : s < -max - 1 ? -max - 1 : s);
        else if (how == 1)
            v = MIN(v, umax);
        el_put(&x->d, x->es, i, v);
    }
}
