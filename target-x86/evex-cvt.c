/*
 * evex-cvt.c - AVX-512 conversions: unsigned integers, quadwords
 *
 * Source: Intel SDM vol. 2; vol. 1, table E-11 and following (results of invalid
 * conversions).
 */
#include "target-x86/evexx-int.h"

static const struct sf_fmt *fmt(unsigned bytes)
{
    return bytes == 8 ? &sf_f64 : &sf_f32;
}

/* to an unsigned integer of @bits: all ones and IE when it does not fit */
static uint64_t f2u(struct sf_env *e, const struct sf_fmt *f, uint64_t v, unsigned bits, bool trunc)
{
    struct sf s = sf_unpack(e, f, v);
    struct sf_env r = { .rm = trunc ? RM_ZERO : e->rm, .masked = FE_X86_ALL };

    if (s.cls == SF_NORM && s.exp < 64)
        s = sf_rint(&r, s);
    if (s.cls == SF_ZERO) {
        e->flags |= r.flags;
        return 0;
    }
    if (s.cls != SF_NORM || s.sign || s.exp >= (int)bits) {
        e->flags |= FE_I;
        return bits == 64 ? ~0ull : ~0ull >> (64 - bits);
    }
    e->flags |= r.flags;
    return (uint64_t)(s.m >> (126 - s.exp));
}

static uint64_t i2f(struct sf_env *e, const struct sf_fmt *f, int64_t v)
{
    return vx_finish(e, f, sf_from_int(v));
}

static uint64_t u2f(struct sf_env *e, const struct sf_fmt *f, uint64_t v)
{
    return vx_finish(e, f, sf_make(false, v, 0));
}

/* rows tell the sizes: x->ss to x->es */
#define CONVERT(name, expr)                                     \
    void ex_##name(struct vx *x)                                \
    {                                                           \
        for (unsigned i = 0; i < x->lanes; i++) {               \
            uint64_t v = el_get(&x->b, x->ss, i);               \
            (void)v;                                            \
            el_put(&x->d, x->es, i, expr);                      \
        }                                                       \
    }
CONVERT(f2i, vx_f2i(&x->env, fmt(x->ss), v, x->es * 8u, false))
CONVERT(f2i_trunc, vx_f2i(&x->env, fmt(x->ss), v, x->es * 8u, true))
CONVERT(f2u, f2u(&x->env, fmt(x->ss), v, x->es * 8u, false))
CONVERT(f2u_trunc, f2u(&x->env, fmt(x->ss), v, x->es * 8u, true))
CONVERT(i2f, i2f(&x->env, fmt(x->es), el_sget(&x->b, x->ss, i)))
CONVERT(u2f, u2f(&x->env, fmt(x->es), v))

/* ---- general registers: x->ss is the float's size --------------------------------- */

void ex_cvts2usi(struct vx *x)
{
    x->gout = f2u(&x->env, fmt(x->ss), el_get(&x->b, x->ss, 0), x->v->w ? 64 : 32,
                  x->v->opcode == 0x78);
}

void ex_cvtusi2s(struct vx *x)
{
    uint64_t v = x->v->w ? x->b.q[0] : x->b.d[0];
    el_put(&x->d, x->es, 0, u2f(&x->env, fmt(x->es), v));
}
