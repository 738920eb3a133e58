/*
 * vec-fp.c - SSE, AVX, FMA and F16C floating point
 *
 * All arithmetic is x87-soft.c's: the bits and the MXCSR flags are the same on
 * every host. What is specific to SSE is here: which NaN survives, that a
 * denormal operand is reported only when no NaN or invalid operation takes
 * precedence, and the rules of MIN, MAX, compare and the conversions.
 *
 * Source: Intel SDM vol. 1, 4.8.3.5 (NaN operands), 11.5 (SIMD exceptions).
 */
#include "target-x86/vecx-int.h"

typedef uint64_t (*lane2)(struct sf_env *e, const struct sf_fmt *f, uint64_t a, uint64_t b);

static uint64_t get(const union vreg *u, const struct sf_fmt *f, unsigned i)
{
    return f->bits == 64 ? u->q[i & 7] : u->d[i & 15];
}

static void put(union vreg *u, const struct sf_fmt *f, unsigned i, uint64_t v)
{
    if (f->bits == 64)
        u->q[i & 7] = v;
    else
        u->d[i & 15] = (uint32_t)v;
}

/* element type from pp: none PS, 66 PD, F3 SS, F2 SD */
static const struct sf_fmt *pp_fmt(const struct vx *x)
{
    return x->v->pp & 1 ? &sf_f64 : &sf_f32;
}

static unsigned pp_lanes(const struct vx *x)
{
    return x->v->pp >= 2 ? 1 : x->n * 8 / pp_fmt(x)->bits;
}

static void map2(struct vx *x, lane2 op)
{
    const struct sf_fmt *f = pp_fmt(x);

    for (unsigned i = 0; i < pp_lanes(x); i++)
        put(&x->d, f, i, op(&x->env, f, get(&x->a, f, i), get(&x->b, f, i)));
}

/* ---- NaN, invalid, denormal ---------------------------------------------------- */

uint64_t vx_nan(struct sf_env *e, const struct sf_fmt *f, struct sf a, struct sf b)
{
    if (a.cls == SF_SNAN || b.cls == SF_SNAN)
        e->flags |= FE_I;
    return sf_pack(f, sf_quiet(sf_is_nan(a) ? a : b));
}

uint64_t vx_invalid(struct sf_env *e, const struct sf_fmt *f)
{
    e->flags |= FE_I;
    return sf_pack(f, sf_default_nan());
}

uint64_t vx_finish(struct sf_env *e, const struct sf_fmt *f, struct sf r)
{
    if (r.cls == SF_UNSUP)
        return vx_invalid(e, f);
    return sf_pack(f, sf_round(e, r, f));
}

#define ARITH(name, expr)                                                       \
    static uint64_t lane_##name(struct sf_env *e, const struct sf_fmt *f,       \
                                uint64_t av, uint64_t bv)                       \
    {                                                                           \
        struct sf a = sf_unpack(e, f, av), b = sf_unpack(e, f, bv);             \
        if (sf_is_nan(a) || sf_is_nan(b))                                       \
            return vx_nan(e, f, a, b);                                          \
        if (a.den || b.den)                                                     \
            e->flags |= FE_D;                                                   \
        return vx_finish(e, f, expr);                             \
    }
ARITH(add, sf_add(a, b, e->rm))
ARITH(sub, sf_add(a, sf_neg(b), e->rm))
ARITH(mul, sf_mul(a, b))

static uint64_t lane_div(struct sf_env *e, const struct sf_fmt *f, uint64_t av, uint64_t bv)
{
    struct sf a = sf_unpack(e, f, av), b = sf_unpack(e, f, bv);

    if (sf_is_nan(a) || sf_is_nan(b))
        return vx_nan(e, f, a, b);
    if (b.cls == SF_ZERO && a.cls == SF_NORM) {
        e->flags |= FE_Z;                      /* takes precedence over DE */
        return sf_pack(f, sf_inf(a.sign != b.sign));
    }
    if (a.den || b.den)
        e->flags |= FE_D;
    return vx_finish(e, f, sf_div(a, b));
}

static uint64_t lane_sqrt(struct sf_env *e, const struct sf_fmt *f, uint64_t av, uint64_t bv)
{
    struct sf b = sf_unpack(e, f, bv);

    if (sf_is_nan(b))
        return vx_nan(e, f, b, b);
    struct sf r = sf_sqrt(b);
    if (b.den && r.cls != SF_UNSUP)
        e->flags |= FE_D;
    return vx_finish(e, f, r);
}

/* an unpacked operand back in the form that sf_pack() takes */
struct sf vx_denorm(struct sf s, const struct sf_fmt *f)
{
    if (s.cls == SF_NORM && s.exp < f->emin) {
        s.m >>= f->emin - s.exp;
        s.exp = f->emin;
    }
    return s;
}

/* the second source unless the first is strictly on the wanted side */
static uint64_t pick(struct sf_env *e, const struct sf_fmt *f, uint64_t av, uint64_t bv, int side)
{
    struct sf a = sf_unpack(e, f, av), b = sf_unpack(e, f, bv);

    if (sf_is_nan(a) || sf_is_nan(b)) {
        e->flags |= FE_I;
        return sf_is_nan(b) ? bv : sf_pack(f, vx_denorm(b, f));
    }
    if (a.den || b.den)
        e->flags |= FE_D;
    return sf_pack(f, vx_denorm(sf_cmp(a, b) == side ? a : b, f));
}

static uint64_t lane_min(struct sf_env *e, const struct sf_fmt *f, uint64_t a, uint64_t b)
{
    return pick(e, f, a, b, -1);
}

static uint64_t lane_max(struct sf_env *e, const struct sf_fmt *f, uint64_t a, uint64_t b)
{
    return pick(e, f, a, b, 1);
}

void vx_fadd(struct vx *x) { map2(x, lane_add); }
void vx_fsub(struct vx *x) { map2(x, lane_sub); }
void vx_fmul(struct vx *x) { map2(x, lane_mul); }
void vx_fdiv(struct vx *x) { map2(x, lane_div); }
void vx_fsqrt(struct vx *x) { map2(x, lane_sqrt); }
void vx_fmin(struct vx *x) { map2(x, lane_min); }
void vx_fmax(struct vx *x) { map2(x, lane_max); }

/* horizontal and alternating forms: 66 is PD, F2 is PS */
static const struct sf_fmt *h_fmt(const struct vx *x)
{
    return x->v->pp == 1 ? &sf_f64 : &sf_f32;
}

static void horiz(struct vx *x, lane2 op)
{
    const struct sf_fmt *f = h_fmt(x);
    unsigned per = 128 / f->bits;

    for (unsigned i = 0; i < x->n * 8 / f->bits; i++) {
        unsigned in = i % per, k = i - in + 2 * (in % (per / 2));
        const union vreg *s = in < per / 2 ? &x->a : &x->b;
        put(&x->d, f, i, op(&x->env, f, get(s, f, k), get(s, f, k + 1)));
    }
}

void vx_hadd(struct vx *x) { horiz(x, lane_add); }
void vx_hsub(struct vx *x) { horiz(x, lane_sub); }

void vx_addsub(struct vx *x)
{
    const struct sf_fmt *f = h_fmt(x);

    for (unsigned i = 0; i < x->n * 8 / f->bits; i++)
        put(&x->d, f, i, (i & 1 ? lane_add : lane_sub)(&x->env, f, get(&x->a, f, i),
                                                       get(&x->b, f, i)));
}

/* ---- compare ----------------------------------------------------------------------- */

enum { CMP_LT = 1, CMP_EQ = 2, CMP_GT = 4, CMP_UN = 8, CMP_SIGNAL = 16 };

/* relation of a and b; IE on SNaN, and on QNaN when @signal */
static unsigned relation(struct sf_env *e, const struct sf_fmt *f, uint64_t av, uint64_t bv,
                         bool signal)
{
    struct sf a = sf_unpack(e, f, av), b = sf_unpack(e, f, bv);

    if (sf_is_nan(a) || sf_is_nan(b)) {
        if (signal || a.cls == SF_SNAN || b.cls == SF_SNAN)
            e->flags |= FE_I;
        return CMP_UN;
    }
    if (a.den || b.den)
        e->flags |= FE_D;
    int c = sf_cmp(a, b);
    return c < 0 ? CMP_LT : c > 0 ? CMP_GT : CMP_EQ;
}

bool vx_compare(struct sf_env *e, const struct sf_fmt *f, uint64_t a, uint64_t b, unsigned imm)
{
    static const uint8_t pred[16] = {   /* EQ LT LE UNORD NEQ NLT NLE ORD ... */
        2, 1 | 16, 3 | 16, 8, 13, 14 | 16, 12 | 16, 7,
        10, 9 | 16, 11 | 16, 0, 5, 6 | 16, 4 | 16, 15,
    };
    unsigned p = pred[imm & 15] ^ (imm & 16 ? CMP_SIGNAL : 0);

    return relation(e, f, a, b, p & CMP_SIGNAL) & p;
}

void vx_fcmp(struct vx *x)
{
    const struct sf_fmt *f = pp_fmt(x);
    unsigned im = x->imm & (x->vex ? 31 : 7);

    for (unsigned i = 0; i < pp_lanes(x); i++)
        put(&x->d, f, i, vx_compare(&x->env, f, get(&x->a, f, i), get(&x->b, f, i), im) ? ~0ull : 0);
}

static void comis(struct vx *x, bool signal)
{
    const struct sf_fmt *f = pp_fmt(x);
    unsigned r = relation(&x->env, f, get(&x->a, f, 0), get(&x->b, f, 0), signal);

    x->set_fl = true;
    x->fl = r == CMP_UN ? TCG_FL_Z | TCG_FL_P | TCG_FL_C
          : r == CMP_EQ ? TCG_FL_Z : r == CMP_LT ? TCG_FL_C : 0;
}

void vx_comis(struct vx *x) { comis(x, true); }
void vx_ucomis(struct vx *x) { comis(x, false); }

/* ---- conversions --------------------------------------------------------------------- */

uint64_t vx_f2f(struct sf_env *e, const struct sf_fmt *to, const struct sf_fmt *from,
                        uint64_t v)
{
    struct sf s = sf_unpack(e, from, v);

    if (sf_is_nan(s))
        return vx_nan(e, to, s, s);
    if (s.den)
        e->flags |= FE_D;
    return vx_finish(e, to, s);
}

uint64_t vx_f2i(struct sf_env *e, const struct sf_fmt *f, uint64_t v, unsigned bits,
                        bool trunc)
{
    uint8_t rm = e->rm;

    if (trunc)
        e->rm = RM_ZERO;
    int64_t r = sf_to_int(e, sf_unpack(e, f, v), bits);
    e->rm = rm;
    return bits == 32 ? (uint32_t)r : (uint64_t)r;
}

static uint64_t cvt_i2f(struct sf_env *e, const struct sf_fmt *f, int64_t v)
{
    return vx_finish(e, f, sf_from_int(v));
}

void vx_cvtpi2p(struct vx *x)
{
    for (unsigned i = 0; i < 2; i++)
        put(&x->d, pp_fmt(x), i, cvt_i2f(&x->env, pp_fmt(x), (int32_t)x->b.d[i]));
}

void vx_cvtp2pi(struct vx *x)
{
    for (unsigned i = 0; i < 2; i++)
        x->d.d[i] = (uint32_t)vx_f2i(&x->env, pp_fmt(x), get(&x->b, pp_fmt(x), i), 32,
                                      x->v->opcode == 0x2C);
}

void vx_cvtsi2s(struct vx *x)
{
    int64_t v = x->v->w ? (int64_t)x->b.q[0] : (int32_t)x->b.d[0];
    put(&x->d, pp_fmt(x), 0, cvt_i2f(&x->env, pp_fmt(x), v));
}

void vx_cvts2si(struct vx *x)
{
    x->gout = vx_f2i(&x->env, pp_fmt(x), get(&x->b, pp_fmt(x), 0), x->v->w ? 64 : 32,
                      x->v->opcode == 0x2C);
}

void vx_cvtps2pd(struct vx *x)
{
    for (unsigned i = 0; i < x->n / 8; i++)
        x->d.q[i] = vx_f2f(&x->env, &sf_f64, &sf_f32, x->b.d[i]);
}

void vx_cvtpd2ps(struct vx *x)
{
    for (unsigned i = 0; i < x->n / 8; i++)
        x->d.d[i] = (uint32_t)vx_f2f(&x->env, &sf_f32, &sf_f64, x->b.q[i]);
}

void vx_cvtss2sd(struct vx *x) { x->d.q[0] = vx_f2f(&x->env, &sf_f64, &sf_f32, x->b.d[0]); }
void vx_cvtsd2ss(struct vx *x)
{
    x->d.d[0] = (uint32_t)vx_f2f(&x->env, &sf_f32, &sf_f64, x->b.q[0]);
}

void vx_cvtdq2ps(struct vx *x)
{
    for (unsigned i = 0; i < x->n / 4; i++)
        x->d.d[i] = (uint32_t)cvt_i2f(&x->env, &sf_f32, (int32_t)x->b.d[i]);
}

void vx_cvtdq2pd(struct vx *x)
{
    for (unsigned i = 0; i < x->n / 8; i++)
        x->d.q[i] = cvt_i2f(&x->env, &sf_f64, (int32_t)x->b.d[i]);
}

void vx_cvtps2dq(struct vx *x)                 /* 66 rounds, F3 truncates */
{
    for (unsigned i = 0; i < x->n / 4; i++)
        x->d.d[i] = (uint32_t)vx_f2i(&x->env, &sf_f32, x->b.d[i], 32, x->v->pp == 2);
}

void vx_cvtpd2dq(struct vx *x)                 /* F2 rounds, 66 truncates */
{
    for (unsigned i = 0; i < x->n / 8; i++)
        x->d.d[i] = (uint32_t)vx_f2i(&x->env, &sf_f64, x->b.q[i], 32, x->v->pp == 1);
}

/*
 * Half precision ignores DAZ (as source) and FTZ (as result). Narrowing a denormal
 * to it reports PE even when UE is unmasked.
 */
void vx_cvtph2ps(struct vx *x)
{
    struct sf_env e = x->env;

    e.daz = false;
    for (unsigned i = 0; i < x->n / 4; i++) {
        struct sf s = sf_unpack(&e, &sf_f16, x->b.w[i]);
        x->d.d[i] = (uint32_t)(sf_is_nan(s) ? vx_nan(&x->env, &sf_f32, s, s)
                                            : sf_pack(&sf_f32, s));
    }
}

void vx_cvtps2ph(struct vx *x)
{
    struct sf_env e = x->env;

    memset(&x->d, 0, sizeof(x->d));
    e.ftz = false;
    if (!(x->imm & 4))
        e.rm = x->imm & 3;
    for (unsigned i = 0; i < x->n / 4; i++) {
        x->d.w[i] = (uint16_t)vx_f2f(&e, &sf_f16, &sf_f32, x->a.d[i]);
        if (sf_unpack(&e, &sf_f32, x->a.d[i]).den)
            e.flags |= FE_P;
    }
    x->env.flags |= e.flags;
}

/* ---- ROUNDxx --------------------------------------------------------------------------- */

static uint64_t lane_round(struct sf_env *e, const struct sf_fmt *f, uint64_t v)
{
    struct sf s = sf_unpack(e, f, v);

    if (sf_is_nan(s))
        return vx_nan(e, f, s, s);
    return sf_pack(f, sf_rint(e, s));
}

void vx_round(struct vx *x)
{
    const struct sf_fmt *f = x->v->opcode & 1 ? &sf_f64 : &sf_f32;
    unsigned n = x->v->opcode >= 0x0A ? 1 : x->n * 8 / f->bits;
    struct sf_env e = x->env;

    if (!(x->imm & 4))
        e.rm = x->imm & 3;
    for (unsigned i = 0; i < n; i++)
        put(&x->d, f, i, lane_round(&e, f, get(&x->b, f, i)));
    if (x->imm & 8)
        e.flags &= ~FE_P;
    x->env.flags |= e.flags;
}

/* ---- dot products ------------------------------------------------------------------------ */

/*
 * Three steps (products, sums of neighbours, sums of pairs), each taking its
 * exceptions before the next begins. Elements are added in the order that
 * decides between several NaNs on Intel's processors; the manual leaves it open.
 */
static void dot(struct vx *x, const struct sf_fmt *f)
{
    unsigned per = 128 / f->bits, n = x->n * 8 / f->bits;
    union vreg t = { { 0 } }, s = t, r = t;

    for (unsigned i = 0; i < n; i++)
        if ((x->imm >> (4 + i % per)) & 1)
            put(&t, f, i, lane_mul(&x->env, f, get(&x->a, f, i), get(&x->b, f, i)));
    if (!vx_fp_step(x))
        return;
    for (unsigned i = 0; i < n; i++) {
        unsigned first = per == 4 ? i ^ 1 : i;
        put(&s, f, i, lane_add(&x->env, f, get(&t, f, first), get(&t, f, first ^ 1)));
    }
    r = s;
    if (!vx_fp_step(x))
        return;
    for (unsigned i = 0; per == 4 && i < n; i++)
        put(&r, f, i, lane_add(&x->env, f, get(&s, f, i), get(&s, f, i ^ 2)));
    for (unsigned i = 0; i < n; i++)
        put(&x->d, f, i, (x->imm >> (i % per)) & 1 ? get(&r, f, i) : 0);
}

void vx_dpps(struct vx *x) { dot(x, &sf_f32); }
void vx_dppd(struct vx *x) { dot(x, &sf_f64); }

/* ---- fused multiply-add --------------------------------------------------------------------- */

/* a * b + c; NaN operands take precedence in the order a, b, c */
uint64_t vx_muladd(struct sf_env *e, const struct sf_fmt *f, uint64_t av, uint64_t bv,
                         uint64_t cv, bool neg_mul, bool neg_add)
{
    struct sf a = sf_unpack(e, f, av), b = sf_unpack(e, f, bv), c = sf_unpack(e, f, cv);

    if (sf_is_nan(a) || sf_is_nan(b) || sf_is_nan(c)) {
        if (a.cls == SF_SNAN || b.cls == SF_SNAN || c.cls == SF_SNAN)
            e->flags |= FE_I;
        return sf_pack(f, sf_quiet(sf_is_nan(a) ? a : sf_is_nan(b) ? b : c));
    }
    struct sf p = sf_mul(a, b);
    if (p.cls == SF_UNSUP)
        return vx_invalid(e, f);
    p.sign ^= neg_mul;
    c.sign ^= neg_add;
    struct sf r = sf_add(p, c, e->rm);
    if (r.cls == SF_UNSUP)
        return vx_invalid(e, f);
    if (a.den || b.den || c.den)
        e->flags |= FE_D;
    return vx_finish(e, f, r);
}

void vx_fma(struct vx *x)
{
    const struct sf_fmt *f = x->v->w ? &sf_f64 : &sf_f32;
    unsigned op = x->v->opcode & 15, order = x->v->opcode >> 4;
    unsigned n = op >= 9 && (op & 1) ? 1 : x->n * 8 / f->bits;

    x->d = x->c;
    const union vreg *a = order == 9 ? &x->c : &x->a;
    const union vreg *b = order == 10 ? &x->c : &x->b;
    const union vreg *c = order == 9 ? &x->a : order == 10 ? &x->b : &x->c;
    for (unsigned i = 0; i < n; i++) {
        bool neg_mul = op >= 12;
        bool neg_add = op < 8 ? (i & 1) == (op & 1) : (op & 2) != 0;
        put(&x->d, f, i, vx_muladd(&x->env, f, get(a, f, i), get(b, f, i), get(c, f, i),
                                  neg_mul, neg_add));
    }
}

/* ---- approximations ----------------------------------------------------------------------------- */

/*
 * RCP and RSQRT promise a relative error below 1.5 * 2^-12; which value they give
 * differs between vendors. Ours are those of Intel's processors: of the source only
 * the top 11 (RSQRT: 10) bits of the fraction count, the function is taken in the
 * middle of the interval that they leave, and rounded to 12 bits of fraction. They
 * raise nothing and read no control bits: denormal sources count as zeros, denormal
 * results become zeros.
 */
static uint32_t approx(uint32_t v, bool root)
{
    struct sf_env e = { .rm = RM_NEAR, .masked = FE_X86_ALL, .daz = true, .ftz = true };
    static const struct sf_fmt f13 = { 13, 0, -126, 127 };
    u128 middle = (u128)1 << (125 - (root ? 10 : 11));
    struct sf one = sf_from_int(1), s = sf_unpack(&e, &sf_f32, v);

    if (sf_is_nan(s))
        return (uint32_t)sf_pack(&sf_f32, sf_quiet(s));
    if (root && s.cls == SF_ZERO)
        return (uint32_t)sf_pack(&sf_f32, sf_inf(s.sign));
    if (s.cls == SF_NORM)
        s.m = (s.m & ~(2 * middle - 1)) | middle;
    if (root)
        s = sf_sqrt(s);
    if (s.cls == SF_UNSUP)
        return (uint32_t)sf_pack(&sf_f32, sf_default_nan());
    return (uint32_t)sf_pack(&sf_f32, sf_round(&e, sf_div(one, s), &f13));
}

static void approx_all(struct vx *x, bool root)
{
    for (unsigned i = 0; i < pp_lanes(x); i++)
        x->d.d[i] = approx(x->b.d[i], root);
}

void vx_rcp(struct vx *x) { approx_all(x, false); }
void vx_rsqrt(struct vx *x) { approx_all(x, true); }
