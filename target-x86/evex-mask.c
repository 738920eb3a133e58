/*
 * evex-mask.c - instructions on the opmask registers (VEX encoded)
 *
 * Source: Intel SDM vol. 2, KADD to KXOR; W and pp give the width.
 */
#include "target-x86/vecx-int.h"

/* bits the instruction works on: KMOV to and from general registers has D and Q at
 * F2, everything else at W1 */
static unsigned width(const struct ir_vec *v)
{
    if (v->pp == 3)
        return v->w ? 64 : 32;
    if (v->map == 3)                           /* shifts: B W at even opcodes, D Q at odd */
        return (v->opcode & 1 ? 32 : 8) << v->w;
    return v->w ? (v->pp ? 32 : 64) : (v->pp ? 8 : 16);
}

static uint64_t cut(uint64_t m, unsigned bits)
{
    return bits == 64 ? m : m & ((1ull << bits) - 1);
}

#define K_OP(name, expr)                                        \
    void vx_##name(struct vx *x)                                \
    {                                                           \
        uint64_t A = x->a.q[0], B = x->b.q[0];                  \
        (void)A;                                                \
        x->d.q[0] = (expr);                                     \
    }
K_OP(kand, A & B)
K_OP(kandn, ~A & B)
K_OP(knot, ~B)
K_OP(kor, A | B)
K_OP(kxnor, ~(A ^ B))
K_OP(kxor, A ^ B)
K_OP(kadd, A + B)
K_OP(kmov, B)
K_OP(kmov_st, B)
K_OP(kmov_gpr, B)
K_OP(kshiftr, x->imm < width(x->v) ? cut(B, width(x->v)) >> x->imm : 0)
K_OP(kshiftl, x->imm < width(x->v) ? B << x->imm : 0)

/* the width is that of the result: 66 W0 words of bytes, W0 of words, W1 of doublewords */
void vx_kunpck(struct vx *x)
{
    unsigned half = x->v->w ? 32 : x->v->pp ? 8 : 16;
    x->d.q[0] = cut(x->a.q[0], half) << half | cut(x->b.q[0], half);
}

void vx_kortest(struct vx *x)
{
    unsigned bits = width(x->v);
    uint64_t m = cut(x->a.q[0] | x->b.q[0], bits);

    x->set_fl = true;
    x->fl = (m ? 0 : TCG_FL_Z) | (m == cut(~0ull, bits) ? TCG_FL_C : 0);
}

void vx_ktest(struct vx *x)
{
    unsigned bits = width(x->v);
    uint64_t a = x->a.q[0], b = x->b.q[0];

    x->set_fl = true;
    x->fl = (cut(a & b, bits) ? 0 : TCG_FL_Z) | (cut(~a & b, bits) ? 0 : TCG_FL_C);
}

bool k_exec(struct vx *x, const struct vrow *row, void *mem, uint64_t *gpr)
{
    const struct ir_vec *v = x->v;
    uint64_t *k = x->cpu->z.k;
    bool test = v->map == 1 && v->opcode >= 0x98, store = v->map == 1 && v->opcode == 0x91;
    unsigned bits = width(v);

    x->a.q[0] = k[(test ? v->reg : v->vvvv) & 7];
    if (store)
        x->b.q[0] = k[v->reg & 7];
    else if (v->rm_kind == VRM_MEM)
        memcpy(x->b.b, mem, bits / 8);
    else
        x->b.q[0] = v->rm_kind == VRM_GPR ? x->gin : k[v->rm & 7];
    row->fn(x);
    if (x->set_fl) {
        x->cpu->tcg.fl = x->fl;
        return true;
    }
    if (row->fn != vx_kunpck)
        x->d.q[0] = cut(x->d.q[0], bits);
    if (store)
        memcpy(mem, x->d.b, bits / 8);
    else if (v->reg_gpr)
        *gpr = x->d.q[0];
    else
        k[v->reg & 7] = x->d.q[0];
    return true;
}
