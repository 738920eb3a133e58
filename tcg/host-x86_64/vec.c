/*
 * vec.c - vector and x87 instructions: the guest's own, re-encoded with the
 * translated address or the host's general register
 */
#include "tcg/host-x86_64/gen-int.h"

/* First use in a block, or after something that may have put the state away. */
static void ensure(struct gen *g, bool *ok, struct opn flag, enum thunk load)
{
    struct stub *s;

    if (*ok)
        return;
    alu_imm(&g->c, 1, ALU_CMP, flag, 0);
    s = stub_new(g, STUB_VEC);
    s->thunk = load;
    s->from[0] = jcc32(&g->c, 4);
    s->after = g->c.p;
    *ok = true;
}

static bool needs_avx512(const struct ir_vec *v)
{
    return v->enc == VENC_EVEX || v->reg_k || v->rm_kind == VRM_K;
}

static void ensure_loaded(struct gen *g, const struct ir_vec *v)
{
    if (v->is_x87 || v->is_mmx)
        ensure(g, &g->x87_ok, ENV(x87_loaded), TH_X87_LOAD);
    if (needs_avx512(v)) {
        ensure(g, &g->zmm_ok, ENV(zmm_loaded), TH_ZMM_LOAD);
        g->vec_ok = true;
    } else if (!v->is_x87) {     /* CVTPI2PS and the like use both; loading is cheap when loaded */
        ensure(g, &g->vec_ok, ENV(vec_loaded), TH_VEC_LOAD);
    }
}

void vec_ready(struct gen *g)
{
    for (unsigned i = 0; i < g->b->n_vec; i++)
        ensure_loaded(g, &g->b->vec[i]);
}

static void emit_legacy(struct code *c, const struct ir_vec *v, int reg, struct opn rm)
{
    static const uint32_t map[] = { 0, X0F, X0F38, X0F3A };
    static const uint32_t pp[] = { 0, X66, XF3, XF2 };

    ins(c, v->w ? 8 : 4, v->opcode | map[v->map] | pp[v->pp], reg, rm);
}

static void emit_evex(struct code *c, const struct ir_vec *v, int reg, struct opn rm)
{
    struct evex f = { .map = v->map, .pp = v->pp, .w = v->w, .ll = v->rc ? v->rc - 1 : v->l,
                      .b = v->rc || v->bcast, .z = v->z, .aaa = v->aaa,
                      .unit = v->compact ? v->mem_elem : v->mem_bytes };

    evex(c, f, v->opcode, reg, v->vvvv, rm);
}

static void emit_x87(struct code *c, const struct ir_vec *v, struct opn rm)
{
    if (v->mem_bytes) {
        ins(c, 4, v->opcode, v->reg, rm);
    } else {
        e8(c, v->opcode);
        e8(c, 0xc0 | (v->reg & 7) << 3 | (v->rm & 7));
    }
}

static void emit(struct code *c, const struct ir_vec *v, int reg, struct opn rm)
{
    if (v->enc == VENC_X87) {
        emit_x87(c, v, rm);
        return;
    }
    if (v->rm_kind == VRM_NONE) {    /* EMMS, VZEROUPPER, VZEROALL: no ModRM */
        if (v->enc == VENC_VEX) {
            e8(c, 0xc5);
            e8(c, 0xf8u | v->l << 2 | v->pp);
        } else {
            e8(c, 0x0f);
        }
        e8(c, v->opcode);
        return;
    }
    if (v->enc == VENC_EVEX)
        emit_evex(c, v, reg, rm);
    else if (v->enc == VENC_VEX)
        vex(c, v->map, v->pp, v->w, v->l, v->opcode, reg, v->vvvv, rm);
    else
        emit_legacy(c, v, reg, rm);
    if (v->has_imm)
        e8(c, v->imm);
}

static bool is_fnstsw_ax(const struct ir_vec *v)
{
    return v->enc == VENC_X87 && v->opcode == 0xdf && v->gpr_out;
}

/* Nothing that it does, or that precedes it, touches EFLAGS or shows them. */
static bool is_quiet(const struct gen *g, const struct ir_op *op, const struct ir_vec *v)
{
    return (!v->mem_bytes || op->grp == GRP_USE) && !v->can_fp_fault && !v->is_x87 && !v->is_mmx && !v->wf
           && !v->rf && g->vec_ok && (g->zmm_ok || !needs_avx512(v));
}

/* FLDCW of @rm: is every exception masked? Returns a jump for when not: the target decides then. */
static uint8_t *guard_masks(struct gen *g, struct opn rm)
{
    ins(&g->c, 4, X0F | 0xb6, RAX, rm);              /* movzx eax, byte */
    alu_imm(&g->c, 4, ALU_OR, o_reg(RAX), -0x40);
    alu_imm(&g->c, 4, ALU_CMP, o_reg(RAX), -1);
    return jcc32(&g->c, 5);
}

static void fault_stub(struct gen *g, enum thunk thunk, struct recipe rec, uint16_t mem, uint8_t *op, uint8_t *from)
{
    struct stub *s = stub_new(g, STUB_FAULT);

    s->thunk = thunk;
    s->fpe = op != NULL;
    s->rec = rec;
    s->op = op;
    s->mem = mem;
    s->from[0] = from;
}

void gen_vec(struct gen *g, const struct ir_op *op)
{
    const struct ir_vec *v = &g->b->vec[op->imm];
    struct code *c = &g->c;
    struct opn rm = o_reg(v->rm);
    int reg = v->reg, out = -1;
    uint16_t mem = 0;
    int64_t k;

    bool quiet = is_quiet(g, op, v);
    if (!quiet)
        flags_for_fault(g);  /* it may fault */
    struct recipe rec = g->fl_mem ? (struct recipe){ 0 } : g->rec;
    if (!quiet)
        flags_lost(g);
    ensure_loaded(g, v);
    if (is_fnstsw_ax(v) || v->x87_guard)
        scratch_take(g, RAX);
    if (v->out_cx)
        scratch_take(g, RCX);
    if (v->mem_bytes) {
        rm = mem_begin_vec(g, op, v);
        mem = op->grp == GRP_USE ? 0 : (uint16_t)g->n_stubs;
    }
    if (v->gpr_in) {
        int r = val_const(g, op->b, op, &k) ? val_reg(g, op->b) : val_reg(g, op->b);
        if (v->reg_gpr)
            reg = r;
        else if (v->rm_kind == VRM_GPR)
            rm = o_reg(r);
    }
    if (is_fnstsw_ax(v)) {
        out = RAX;
        mov_imm(c, RAX, 0);
    } else if (v->out_cx) {
        out = RCX;
    } else if (v->gpr_out) {
        out = pin_of(g, op->d);
        if (out < 0)
            out = v->mem_bytes ? rm.index : scratch_get(g);
        if (v->reg_gpr)
            reg = out;
        else if (v->rm_kind == VRM_GPR)
            rm = o_reg(out);
    }
    if (v->rf)
        flags_load(g);
    uint8_t *unmasks = v->x87_guard ? guard_masks(g, rm) : NULL, *at = c->p;
    emit(c, v, reg, rm);
    if (v->mem_bytes)
        mem_end(g);
    if (v->can_fp_fault || v->is_x87)
        fault_stub(g, v->is_x87 || v->is_mmx ? TH_FP_X87 : TH_FP_SSE, rec, mem, at, NULL);
    if (unmasks)
        fault_stub(g, TH_X87_UNMASK, rec, mem, NULL, unmasks);
    if (v->wf && op->wf)
        flags_set(g);
    else if (v->wf)
        flags_lost(g);
    if (out >= 0)
        def_done(g, op->d, out, 8);
}
