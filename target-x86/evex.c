/*
 * evex.c - portable execution of EVEX instructions: operands, masks, results
 *
 * As vec.c: nothing but MXCSR's status changes when an instruction faults.
 *
 * Source: Intel SDM vol. 1, chapter 15; vol. 2, 2.7 (EVEX) and 2.7.3 (opmasks: k0
 * as a write mask means all elements).
 */
#include "target-x86/evexx-int.h"

static const struct erow rows[3][4][256][2] = {
#define ROW(map, pp, opcode, w, form, es, ss, attr, fn) \
    [(map) - 1][pp][opcode][w] = { fn, EF_##form, es, ss, attr },
#define EOP(map, pp, opcode, w, form, es, ss, attr, name) \
    ROW(map, pp, opcode, w, form, es, ss, attr, ex_##name)
#define EOLD(map, pp, opcode, w, form, es, ss, attr, name) \
    ROW(map, pp, opcode, w, form, es, ss, attr, vx_##name)
#include "target-x86/evex-ops.def"
#undef EOP
#undef EOLD
#undef ROW
};

const struct erow *evex_row(unsigned map, unsigned pp, unsigned opcode, unsigned w)
{
    static const struct erow none;

    return map >= 1 && map <= 3 ? &rows[map - 1][pp & 3][opcode & 255][w & 1] : &none;
}

/* ---- operands --------------------------------------------------------------------- */

static void load_vec(const struct vx *x, unsigned r, union vreg *u)
{
    x86_get_zmm(x->cpu, r & 31, u->b);
}

/* a register, memory, an opmask; one element of memory for all with broadcast */
static void load_rm(struct vx *x, const struct erow *r, const void *mem, union vreg *u)
{
    const struct ir_vec *v = x->v;

    if (v->rm_kind == VRM_GPR)
        u->q[0] = x->gin;
    else if (r->form == EF_UNK)
        u->q[0] = x->cpu->z.k[v->rm & 7];
    else if (v->rm_kind == VRM_VEC)
        load_vec(x, v->rm, u);
    else if (v->rm_kind == VRM_MEM && v->mem_read)
        memcpy(u->b, mem, MIN(v->mem_bytes, sizeof(u->b)));
    for (unsigned i = 1; v->bcast && i < x->n / r->ss; i++)
        memcpy(u->b + i * r->ss, u->b, r->ss);
}

static void load_operands(struct vx *x, const struct erow *r, const void *mem)
{
    const struct ir_vec *v = x->v;

    switch (r->form) {
    case EF_BIN:
        load_vec(x, v->vvvv, &x->a);
        load_rm(x, r, mem, &x->b);
        load_vec(x, v->reg, &x->c);
        x->d = x->a;
        break;
    case EF_KBIN:
        load_vec(x, v->vvvv, &x->a);
        load_rm(x, r, mem, &x->b);
        break;
    case EF_ST:
        load_vec(x, v->reg, &x->a);
        load_vec(x, v->vvvv, &x->b);
        if (v->rm_kind == VRM_VEC)
            load_vec(x, v->rm, &x->c);
        break;
    case EF_SHI:
        load_rm(x, r, mem, &x->a);
        load_vec(x, v->vvvv, &x->c);
        break;
    case EF_TEST:
        load_vec(x, v->reg, &x->a);
        load_rm(x, r, mem, &x->b);
        break;
    default:
        load_rm(x, r, mem, &x->b);
        load_vec(x, v->reg, &x->c);
        break;
    }
}

/* lengths, mask, and rounding and suppression of exceptions by EVEX.b */
static void set_context(struct vx *x, const struct erow *r)
{
    const struct ir_vec *v = x->v;
    unsigned wider = MAX(r->es, r->ss);

    x->vex = true;
    x->es = r->es;
    x->ss = r->ss;
    x->n = r->attr & (EA_1 | EA_128) ? 16 : 16u << MIN(v->l, 2);
    x->lanes = r->attr & EA_1 ? 1 : x->n / (r->form == EF_BIN ? r->es : wider);
    x->k = v->aaa ? x->cpu->z.k[v->aaa & 7] : ~0ull;
    vx_load_env(x);
    if (v->rc && r->attr & (EA_R | EA_S))
        x->env.masked = FE_X86_ALL;
    if (v->rc && r->attr & EA_R)
        x->env.rm = (v->rc - 1) & 3;
}

/* ---- masks --------------------------------------------------------------------------- */

static uint64_t one(unsigned bytes)
{
    return bytes == 8 ? 0x3ff0000000000000 : bytes == 4 ? 0x3f800000 : 0x3c00;
}

/* 1.0 raises nothing, whatever is done with it; as an integer it converts exactly */
static void neutralise(struct vx *x, const struct erow *r)
{
    for (unsigned i = 0; i < x->lanes; i++) {
        if (el_on(x, i))
            continue;
        el_put(&x->a, r->form == EF_ST ? x->ss : x->es, i, one(r->form == EF_ST ? x->ss : x->es));
        el_put(&x->b, x->ss, i, one(x->ss));
        el_put(&x->c, x->es, i, one(x->es));
    }
}

static void apply_mask(struct vx *x)
{
    for (unsigned i = 0; i < x->lanes; i++)
        if (!el_on(x, i))
            el_put(&x->d, x->es, i, x->v->z ? 0 : el_get(&x->c, x->es, i));
}

static uint64_t lane_mask(const struct vx *x)
{
    return x->lanes >= 64 ? ~0ull : (1ull << x->lanes) - 1;
}

/* ---- results --------------------------------------------------------------------------- */

static void store_vec(struct vx *x, unsigned r)
{
    memset(x->d.b + x->n, 0, sizeof(x->d.b) - x->n);
    x86_set_zmm(x->cpu, r & 31, x->d.b);
}

/* elements that are masked off keep what memory has */
static void store_mem(struct vx *x, void *mem)
{
    const struct ir_vec *v = x->v;
    unsigned n = MIN(v->mem_bytes, sizeof(x->d.b));

    if (!v->aaa) {
        memcpy(mem, x->d.b, n);
        return;
    }
    for (unsigned i = 0; i < x->lanes && (i + 1) * x->es <= n; i++)
        if (el_on(x, i))
            memcpy((uint8_t *)mem + i * x->es, x->d.b + i * x->es, x->es);
}

static void store_result(struct vx *x, const struct erow *r, void *mem, uint64_t *gpr)
{
    const struct ir_vec *v = x->v;

    if (r->form == EF_TEST)
        x->cpu->tcg.fl = x->fl;
    else if (r->form == EF_KBIN || r->form == EF_KUN)
        x->cpu->z.k[v->reg & 7] = x->kout & x->k & lane_mask(x);
    else if (r->form == EF_SHI)
        store_vec(x, v->vvvv);
    else if (r->form == EF_ST && v->rm_kind == VRM_MEM)
        store_mem(x, mem);
    else if (r->form == EF_ST && v->rm_kind == VRM_GPR)
        *gpr = x->d.q[0];
    else if (r->form == EF_ST)
        store_vec(x, v->rm);
    else if (r->attr & EA_RGPR)
        *gpr = x->gout;
    else
        store_vec(x, v->reg);
}

bool evex_exec(struct vx *x, void *mem, uint64_t *gpr)
{
    const struct ir_vec *v = x->v;
    const struct erow *r = evex_row(v->map, v->pp, v->opcode, v->w);

    if (!r->fn)
        return vx_missing(x->cpu, v);
    set_context(x, r);
    load_operands(x, r, mem);
    union vreg old = x->c;
    if (r->attr & EA_X && v->aaa)
        neutralise(x, r);
    r->fn(x);
    if (r->attr & EA_X)
        x->c = old;
    if (v->rc && r->attr & (EA_R | EA_S))
        x->env.flags = 0;
    if (!vx_deliver(x))
        return false;
    apply_mask(x);
    store_result(x, r, mem, gpr);
    return true;
}
