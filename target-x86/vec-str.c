/*
 * vec-str.c - PCMPISTRI, PCMPISTRM, PCMPESTRI, PCMPESTRM
 *
 * Source: Intel SDM vol. 2B, 4.1 "Imm8 Control Byte Operation for
 * PCMPESTRI/PCMPESTRM/PCMPISTRI/PCMPISTRM".
 */
#include "target-x86/vecx-int.h"

enum { AGG_ANY, AGG_RANGES, AGG_EACH, AGG_ORDERED };

/**
 * struct strcmp_op - one comparison
 * @n: elements a register holds: 16 or 8
 * @la, @lb: valid elements of the first and second operand, 0..@n
 */
struct strcmp_op {
    const struct vx *x;
    unsigned n, la, lb;
};

static int32_t elem(const struct strcmp_op *s, const union vreg *u, unsigned i)
{
    switch (s->x->imm & 3) {
    case 0: return u->b[i];
    case 1: return u->w[i];
    case 2: return (int8_t)u->b[i];
    default: return (int16_t)u->w[i];
    }
}

static unsigned implicit_len(const struct strcmp_op *s, const union vreg *u)
{
    unsigned i = 0;

    while (i < s->n && elem(s, u, i))
        i++;
    return i;
}

/* EAX or EDX: its absolute value, at most @n */
static unsigned explicit_len(const struct strcmp_op *s, uint64_t reg)
{
    int64_t v = s->x->v->w ? (int64_t)reg : (int32_t)reg;
    uint64_t m = v < 0 ? -(uint64_t)v : (uint64_t)v;

    return (unsigned)MIN(m, (uint64_t)s->n);
}

static bool match_any(const struct strcmp_op *s, unsigned j)
{
    for (unsigned i = 0; i < s->la; i++)
        if (elem(s, &s->x->a, i) == elem(s, &s->x->b, j))
            return j < s->lb;
    return false;
}

static bool match_range(const struct strcmp_op *s, unsigned j)
{
    int32_t e = elem(s, &s->x->b, j);

    for (unsigned i = 0; i + 1 < s->la; i += 2)
        if (elem(s, &s->x->a, i) <= e && e <= elem(s, &s->x->a, i + 1))
            return j < s->lb;
    return false;
}

static bool match_each(const struct strcmp_op *s, unsigned j)
{
    if (j >= s->la || j >= s->lb)
        return j >= s->la && j >= s->lb;
    return elem(s, &s->x->a, j) == elem(s, &s->x->b, j);
}

/* the first operand's string begins at @j of the second's */
static bool match_ordered(const struct strcmp_op *s, unsigned j)
{
    for (unsigned i = 0; i < s->la && i + j < s->n; i++)
        if (i + j >= s->lb || elem(s, &s->x->a, i) != elem(s, &s->x->b, i + j))
            return false;
    return true;
}

/* the comparison's bit mask after polarity; flags into @x */
static uint32_t compare(struct vx *x, unsigned *n)
{
    static bool (*const match[4])(const struct strcmp_op *, unsigned) = {
        match_any, match_range, match_each, match_ordered,
    };
    struct strcmp_op s = { .x = x, .n = x->imm & 1 ? 8 : 16 };
    bool explicit = x->v->opcode < 0x62;
    uint32_t r = 0;

    s.la = explicit ? explicit_len(&s, x->cpu->tcg.regs[R_AX]) : implicit_len(&s, &x->a);
    s.lb = explicit ? explicit_len(&s, x->cpu->tcg.regs[R_DX]) : implicit_len(&s, &x->b);
    for (unsigned j = 0; j < s.n; j++)
        r |= (uint32_t)match[(x->imm >> 2) & 3](&s, j) << j;
    if (x->imm & 0x10)                         /* negate: all, or the valid elements */
        r ^= (1u << (x->imm & 0x20 ? s.lb : s.n)) - 1;
    x->set_fl = true;
    x->fl = (r ? TCG_FL_C : 0) | (s.lb < s.n ? TCG_FL_Z : 0) | (s.la < s.n ? TCG_FL_S : 0) |
            (r & 1 ? TCG_FL_O : 0);
    *n = s.n;
    return r;
}

void vx_pcmpstri(struct vx *x)
{
    unsigned n;
    uint32_t r = compare(x, &n);

    x->gout = !r ? n : x->imm & 0x40 ? 31u - (unsigned)__builtin_clz(r)
                                     : (unsigned)__builtin_ctz(r);
    if (!x->v->gpr_out)
        x->cpu->tcg.regs[R_CX] = x->gout;
}

void vx_pcmpstrm(struct vx *x)
{
    union vreg m = { { 0 } };
    unsigned n;
    uint32_t r = compare(x, &n);

    if (!(x->imm & 0x40))
        m.d[0] = r;
    else
        for (unsigned i = 0; i < 16; i++)
            m.b[i] = (r >> (n == 16 ? i : i / 2)) & 1 ? 0xff : 0;
    memcpy(vx_xmm0(x), m.b, 16);
    if (x->vex) {
        memset(x->cpu->ymmh[0], 0, 16);
        x86_clear_zmmh(x->cpu, 0);
    }
}
