/*
 * evex-perm.c - AVX-512 moves between elements: permutes, inserts, compression
 *
 * Source: Intel SDM vol. 2 for each instruction.
 */
#include "target-x86/evexx-int.h"

/* ---- permutes ------------------------------------------------------------------- */

/* VPERMB/W/D/Q/PS/PD: element i of the result is element a[i] of rm */
void ex_perm(struct vx *x)
{
    for (unsigned i = 0; i < x->lanes; i++)
        el_put(&x->d, x->es, i,
               el_get(&x->b, x->es, (unsigned)el_get(&x->a, x->es, i) & (x->lanes - 1)));
}

/* VPERMQ, VPERMPD by imm8, within 256 bits */
void ex_permq_imm(struct vx *x)
{
    for (unsigned i = 0; i < x->lanes; i++)
        x->d.q[i] = x->b.q[(i & ~3u) + (x->imm >> (2 * (i & 3)) & 3)];
}

/* indices @idx into the concatenation of @lo and rm */
static void perm2(struct vx *x, const union vreg *idx, const union vreg *lo)
{
    for (unsigned i = 0; i < x->lanes; i++) {
        unsigned n = (unsigned)el_get(idx, x->es, i);
        el_put(&x->d, x->es, i, el_get(n & x->lanes ? &x->b : lo, x->es, n & (x->lanes - 1)));
    }
}

void ex_permi2(struct vx *x) { perm2(x, &x->c, &x->a); }
void ex_permt2(struct vx *x) { perm2(x, &x->a, &x->c); }

/* VSHUFF32X4 and its like: 128-bit parts, the lower half of them from vvvv */
void ex_shuf128(struct vx *x)
{
    unsigned parts = x->n / 16, bits = parts / 2;

    for (unsigned i = 0; i < parts; i++)
        x->d.x[i] = (i < parts / 2 ? &x->a : &x->b)->x[x->imm >> (i * bits) & (parts - 1)];
}

void ex_align(struct vx *x)
{
    for (unsigned i = 0; i < x->lanes; i++) {
        unsigned k = i + (x->imm & (x->lanes - 1));
        el_put(&x->d, x->es, i, el_get(k < x->lanes ? &x->b : &x->a, x->es, k & (x->lanes - 1)));
    }
}

/* ---- parts of 128 and 256 bits ------------------------------------------------------ */

/* bytes of the part that an insert or extract opcode moves */
static unsigned part_bytes(const struct vx *x)
{
    return x->v->opcode & 2 ? 32 : 16;
}

static unsigned part_offset(const struct vx *x)
{
    unsigned b = part_bytes(x);
    return b * (x->imm & (x->n / b - 1));
}

void ex_insert(struct vx *x)
{
    memcpy(x->d.b + part_offset(x), x->b.b, part_bytes(x));
}

void ex_extract(struct vx *x)
{
    memcpy(x->d.b, x->a.b + part_offset(x), part_bytes(x));
    x->lanes = part_bytes(x) / x->es;
}

void ex_bcast32(struct vx *x)
{
    memcpy(x->d.b, x->b.b, 32);
    memcpy(x->d.b + 32, x->b.b, 32);
}

/* from a general register */
void ex_bcast_gpr(struct vx *x)
{
    for (unsigned i = 0; i < x->lanes; i++)
        el_put(&x->d, x->es, i, x->b.q[0]);
}

/* ---- compression -------------------------------------------------------------------- */

/* wanted elements of rm end up in front; only so many are written */
void ex_compress(struct vx *x)
{
    unsigned n = 0;

    for (unsigned i = 0; i < x->lanes; i++)
        if (el_on(x, i))
            el_put(&x->d, x->es, n++, el_get(&x->a, x->es, i));
    x->k = n == 64 ? ~0ull : (1ull << n) - 1;
}

void ex_expand(struct vx *x)
{
    unsigned n = 0;

    for (unsigned i = 0; i < x->lanes; i++)
        if (el_on(x, i))
            el_put(&x->d, x->es, i, el_get(&x->b, x->es, n++));
}

/* ---- scalar moves -------------------------------------------------------------------- */

/* VMOVSS, VMOVSD: from memory the rest of the register is cleared */
void ex_movs(struct vx *x)
{
    if (x->v->rm_kind == VRM_MEM)
        memset(&x->d, 0, sizeof(x->d));
    el_put(&x->d, x->es, 0, el_get(&x->b, x->es, 0));
}

void ex_movs_st(struct vx *x)
{
    x->d = x->b;
    el_put(&x->d, x->es, 0, el_get(&x->a, x->es, 0));
}
