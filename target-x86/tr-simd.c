/*
 * tr-simd.c - MMX, SSE and AVX instructions to IR
 *
 * Nearly every row is kept as it is: tr_vec() reads the row's operand letters and
 * describes the instruction in a struct ir_vec. The rest (masked moves, gathers,
 * state saving) calls helpers, which find vector state in memory.
 *
 * Source: Intel SDM vol. 2, chapter 2 (VEX rules: tables 2-16 to 2-25).
 */
#include "target-x86/simd-int.h"
#include "target-x86/tr-int.h"
#include "target-x86/tr-simd-int.h"

/** where the operands of one instruction are, collected from its row */
struct vec_ops {
    struct ir_vec *v;
    ir_val d, b;           /* general registers out and in */
    bool any_wide;         /* an operand whose size follows VEX.L */
};

/* ---- may it run? ------------------------------------------------------------ */

/** names_opmask() - an operand is an opmask register: AVX-512 state is needed even with VEX */
static bool names_opmask(const struct x86_row *r)
{
    return opnd_kind(r->dst) == K_KR || opnd_kind(r->dst) == K_KM || opnd_kind(r->a) == K_KR ||
           opnd_kind(r->a) == K_KM;
}

bool xt_sse_ok(struct xlat *x)
{
    bool vex = x->in->enc != ENC_LEGACY;
    uint32_t need = x->in->enc == ENC_EVEX || names_opmask(x->row) ? MODE_AVX512 : MODE_AVX;

    if (vex ? !xt_protected(x) || !(x->mode & need)
            : (x->mode & (MODE_NO_SSE | MODE_EM)) != 0) {
        xt_raise_ud(x);
        return false;
    }
    if (x->mode & MODE_TS) {
        xt_raise_nm(x);
        return false;
    }
    return true;
}

bool xt_mmx_ok(struct xlat *x)
{
    if (x->mode & MODE_EM) {
        xt_raise_ud(x);
        return false;
    }
    if (x->mode & (MODE_TS | MODE_NO_FPU)) {
        xt_raise_nm(x);
        return false;
    }
    return true;
}

/* ---- IR_VEC -------------------------------------------------------------------- */

struct ir_vec *xt_vec_new(struct xlat *x, unsigned *index)
{
    struct ir_block *b = x->b;
    struct ir_vec *v;

    if (b->n_vec >= IR_MAX_VEC) {
        b->overflow = true;
        *index = IR_MAX_VEC - 1;
    } else {
        *index = b->n_vec++;
    }
    v = &b->vec[*index];
    memset(v, 0, sizeof(*v));
    v->row = (uint16_t)(x->row - x86_rows);
    return v;
}

void xt_vec_emit(struct xlat *x, unsigned index, ir_val d, ir_val b)
{
    const struct ir_vec *v = &x->b->vec[index];
    ir_val addr = IR_NONE;
    struct ir_op *op;

    x->masked = v->mem_masked ? v : NULL;
    if (v->mem_bytes)
        addr = xt_addr(x, v->mem_bytes, v->mem_write);
    x->masked = NULL;
    op = ir_emit(x->b, IR_VEC, 8, d, addr, b);
    op->imm = index;
    op->wf = v->wf;
}

/** gpr_width() - bytes of a general-register operand: 8 only with REX.W/VEX.W */
static unsigned gpr_width(const struct xlat *x, unsigned o)
{
    return opnd_bytes(x->in, o) == 8 ? 8 : 4;
}

/** take_rm() - the operand in modrm.rm; @is_dst: it is written */
static void take_rm(struct xlat *x, struct vec_ops *s, unsigned o, bool is_dst)
{
    const struct x86_insn *in = x->in;
    struct ir_vec *v = s->v;
    enum opnd_kind k = opnd_kind(o);

    if (in->mem) {
        v->rm_kind = VRM_MEM;
        v->mem_bytes = (uint8_t)(in->bcast ? ev_mem_elem(x->row->arg) : opnd_bytes(in, o));
        v->mem_write = is_dst;
        v->mem_read = !is_dst;
        return;
    }
    v->rm = in->rm;
    if (k == K_Q || k == K_N) {
        v->rm_kind = VRM_MMX;
        v->rm &= 7;
    } else if (k == K_KM) {
        v->rm_kind = VRM_K;
        v->rm &= 7;
    } else if (k == K_E || k == K_R) {
        v->rm_kind = VRM_GPR;
        v->rm &= 15;
        v->gpr_size = (uint8_t)gpr_width(x, o);
        v->gpr_out = is_dst;
        v->gpr_in = !is_dst;
        *(is_dst ? &s->d : &s->b) = v->rm;
    } else {
        v->rm_kind = VRM_VEC;
    }
}

/** take_reg() - the operand in modrm.reg */
static void take_reg(struct xlat *x, struct vec_ops *s, unsigned o)
{
    struct ir_vec *v = s->v;

    v->reg = x->in->reg;
    if (opnd_kind(o) == K_P) {
        v->reg_mmx = true;
        v->reg &= 7;
    } else if (opnd_kind(o) == K_KR) {
        v->reg_k = true;
    } else if (opnd_kind(o) == K_G) {     /* only ever a destination here */
        v->reg_gpr = v->gpr_out = true;
        v->gpr_size = (uint8_t)gpr_width(x, o);
        s->d = x->in->reg;
    }
}

static void take_operand(struct xlat *x, struct vec_ops *s, unsigned o, bool is_dst)
{
    enum opnd_size z = opnd_size(o);

    switch (opnd_kind(o)) {
    case K_NONE:
        return;
    case K_V: case K_P: case K_G: case K_KR:
        take_reg(x, s, o);
        break;
    case K_H: case K_KV:
        s->v->vvvv = x->in->vvvv;
        s->v->vvvv_k = opnd_kind(o) == K_KV;
        break;
    case K_I:
        s->v->has_imm = true;
        return;
    default:
        take_rm(x, s, o, is_dst);
        break;
    }
    if (z == Z_x || z == Z_qq || z == Z_xh || z == Z_xq || z == Z_xo)
        s->any_wide = true;
}

/** take_encoding() - prefix, opcode and immediate fields */
static void take_encoding(struct xlat *x, struct ir_vec *v)
{
    const struct x86_insn *in = x->in;

    v->enc = in->enc == ENC_VEX ? VENC_VEX : in->enc == ENC_EVEX ? VENC_EVEX : VENC_LEGACY;
    v->map = in->map;
    v->pp = in->pp;
    v->opcode = in->opcode;
    v->w = in->w;
    v->l = in->l;
    v->reg = (in->modrm >> 3) & 7;        /* a digit, unless an operand says more */
    v->rm_kind = VRM_NONE;
    v->has_imm = ROW_HAS(x->row, IMM8);
    v->can_fp_fault = ROW_HAS(x->row, FPFAULT);
    v->wf = x->row->wf;
}

/** names_gpr() - an operand is a general register, or may be one (memory form) */
static bool names_gpr(const struct x86_row *r)
{
    const unsigned ops[3] = { r->dst, r->a, r->b };

    for (unsigned i = 0; i < 3; i++)
        if (opnd_kind(ops[i]) == K_E || opnd_kind(ops[i]) == K_G || opnd_kind(ops[i]) == K_R)
            return true;
    return false;
}

/** take_evex() - masking, broadcast and rounding; after the operands */
static void take_evex(struct xlat *x, struct ir_vec *v)
{
    const struct x86_insn *in = x->in;
    uint32_t arg = x->row->arg;

    v->aaa = in->aaa;
    v->z = in->z;
    v->bcast = in->bcast;
    v->rc = in->rc;
    v->scalar = arg & EV_SCALAR;
    v->mask_bits = (uint8_t)(v->scalar ? 1 : (16u << in->l) / ev_mask_elem(arg));
    if (opnd_size(x->row->dst) == Z_dq || opnd_size(x->row->dst) == Z_qq)
        v->mask_bits = (uint8_t)(opnd_bytes(in, x->row->dst) / ev_mask_elem(arg));   /* VEXTRACTF32X4 */
    v->mem_elem = (uint8_t)ev_mem_elem(arg);
    v->compact = arg & EV_COMPACT;
    if (v->mem_bytes && in->aaa && !(arg & EV_NF))
        v->mem_masked = MIN(v->mem_bytes / v->mem_elem, v->mask_bits);
    if (v->mem_write && in->aaa && !v->mem_masked)
        v->mem_read = true;               /* all of it is accessed: it is merged with what was there */
    if (v->scalar)
        v->l = 0;
}

/** fix_encoding() - what depends on all operands together */
static void fix_encoding(struct xlat *x, struct vec_ops *s)
{
    struct ir_vec *v = s->v;
    bool operands = x->row->dst || x->row->a;

    if (v->has_imm)
        v->imm = (uint8_t)x->in->imm;
    if (x->row->arg & VA_IS4) {
        v->imm &= xt_64(x) ? 0xf0 : 0x70;
        v->is4 = v->imm >> 4;
    }
    v->is_mmx = v->reg_mmx || v->rm_kind == VRM_MMX || (x->row->arg & VA_MMX);
    if (operands && v->enc != VENC_EVEX && !s->any_wide && !(x->row->attr & A_GROUP(L0, L2)))
        v->l = 0;                         /* scalar: VEX.L is ignored */
    if (v->enc == VENC_EVEX)
        take_evex(x, v);
    if (!xt_64(x) && names_gpr(x->row))
        v->w = 0;                         /* W widens nothing outside 64-bit code */
    if (v->is_mmx)
        v->can_fp_fault = true;           /* a pending x87 exception: #MF */
    if (v->enc == VENC_LEGACY)
        v->mem_align = v->mem_bytes == 16 && !(x->row->arg & VA_UNAL) ? 16 : 0;
    else
        v->mem_align = ROW_HAS(x->row, ALIGNED) ? v->mem_bytes : 0;
}

/**
 * tr_vec() - an instruction kept as it is, described by its row's operands
 * arg: VA_UNAL, VA_IS4, VA_MMX, VA_ECX
 */
void tr_vec(struct xlat *x)
{
    const struct x86_row *r = x->row;
    bool mmx_only = (r->arg & VA_MMX) || opnd_kind(r->dst) == K_P || opnd_kind(r->a) == K_P ||
                    opnd_kind(r->dst) == K_N || opnd_kind(r->a) == K_N;
    struct vec_ops s = { .d = IR_NONE, .b = IR_NONE };
    unsigned index;

    /* CVTPI2PS and its like read MMX registers but are SSE by their checks */
    if (opnd_kind(r->a) == K_W || opnd_kind(r->a) == K_U || opnd_kind(r->dst) == K_V)
        mmx_only = false;
    if (!(mmx_only ? xt_mmx_ok(x) : xt_sse_ok(x)))
        return;
    s.v = xt_vec_new(x, &index);
    take_encoding(x, s.v);
    take_operand(x, &s, r->dst, true);
    take_operand(x, &s, r->a, false);
    take_operand(x, &s, r->b, false);
    if (r->arg & VA_ECX) {
        s.v->gpr_out = s.v->out_cx = true;
        s.v->gpr_size = 4;
        s.d = G_RCX;
    }
    fix_encoding(x, &s);
    xt_vec_emit(x, index, s.d, s.b);
}

/** tr_vzero() - VZEROUPPER, VZEROALL (arg 1)
 *
 * Outside 64-bit code registers 8 to 15 keep what they have, which the host's own
 * instruction would not leave them: there, VMOVAPS i, i or VXORPS i, i, i for the others.
 */
void tr_vzero(struct xlat *x)
{
    if (xt_64(x)) {
        tr_vec(x);
        return;
    }
    if (!xt_sse_ok(x))
        return;
    for (unsigned i = 0; i < 8; i++) {
        unsigned index;
        struct ir_vec *v = xt_vec_new(x, &index);
        v->enc = VENC_VEX;
        v->map = 1;
        v->opcode = x->row->arg ? 0x57 : 0x28;
        v->rm_kind = VRM_VEC;
        v->reg = v->rm = (uint8_t)i;
        v->vvvv = x->row->arg ? (uint8_t)i : 0;
        xt_vec_emit(x, index, IR_NONE, IR_NONE);
    }
}

/* ---- through helpers ----------------------------------------------------------------- */

/** tr_pcmpstr() - PCMPESTRI, PCMPESTRM: three implicit general registers are more
 *  than an IR_VEC has room for */
void tr_pcmpstr(struct xlat *x)
{
    const struct x86_insn *in = x->in;
    ir_val addr;

    if (!xt_sse_ok(x))
        return;
    addr = in->mem ? xt_addr(x, 16, false) : xt_imm(x, 0);
    xt_call(x, h_pcmpstr, IR_NONE, addr,
            xt_imm(x, PCMPSTR_PACK(in->opcode, (uint8_t)in->imm, in->reg, in->rm, in->mem,
                                   xt_64(x) && in->w, in->enc == ENC_VEX)), IR_NONE);
}

/** tr_maskmov() - MASKMOVQ, MASKMOVDQU: to DS:[rDI] */
void tr_maskmov(struct xlat *x)
{
    const struct x86_insn *in = x->in;
    bool mmx = opnd_kind(x->row->a) == K_P;
    ir_val off = R_DI;

    if (!(mmx ? xt_mmx_ok(x) : xt_sse_ok(x)))
        return;
    if (in->addrsize != 8) {
        off = ir_temp(x->b);
        ir_emit(x->b, IR_ZEXT, in->addrsize, off, R_DI, IR_NONE);
    }
    off = xt_lin(x, off, in->seg_ovr == REGNO_NONE ? S_DS : in->seg_ovr, mmx ? 8 : 16, true);
    xt_call(x, h_maskmov, IR_NONE, off,
            xt_imm(x, in->reg | (unsigned)in->rm << 8 | (mmx ? 1u << 16 : 0)), IR_NONE);
}

/** tr_vmaskmov() - VMASKMOVPS/PD, VPMASKMOVD/Q; arg: bytes of an element */
void tr_vmaskmov(struct xlat *x)
{
    const struct x86_insn *in = x->in;
    bool store = opnd_kind(x->row->dst) == K_M;
    ir_val addr;

    if (!xt_sse_ok(x))
        return;
    x->unchecked = true;
    addr = xt_addr(x, in->l ? 32 : 16, store);
    x->unchecked = false;
    xt_call(x, h_vmaskmov, IR_NONE, addr,
            xt_imm(x, VMASKMOV_PACK(in->reg, in->vvvv, x->row->arg, in->l, store, in->seg, !xt_64(x))), IR_NONE);
}

/** tr_vgather() - all gathers; arg: VA_GATHER(element, index bytes) */
void tr_vgather(struct xlat *x)
{
    const struct x86_insn *in = x->in;
    unsigned index = in->index;
    ir_val base = ir_temp(x->b);

    /* no SIB byte, or two of the three registers are the same */
    if (index > 15 || in->addrsize == 2 || (in->modrm & 7) != 4 || index == in->reg ||
        index == in->vvvv || in->reg == in->vvvv) {
        xt_raise_ud(x);
        return;
    }
    if (!xt_sse_ok(x))
        return;
    if (in->base == REGNO_NONE)
        ir_movi(x->b, base, (uint64_t)(int64_t)in->disp);
    else
        ir_lea(x->b, 8, base, in->base, IR_NONE, 0, in->disp);
    xt_call(x, h_vgather, IR_NONE, base,
            xt_imm(x, VGATHER_PACK(in->reg, index, in->vvvv, in->scale, x->row->arg & 15,
                                   x->row->arg >> 4, in->l, in->addrsize, in->seg)), IR_NONE);
}

/** evgather() - @fn on the operands of an EVEX gather or scatter */
static void evgather(struct xlat *x, ir_helper fn)
{
    const struct x86_insn *in = x->in;
    uint32_t arg = x->row->arg;
    unsigned esize = ev_mem_elem(arg);
    ir_val base = ir_temp(x->b);

    if (in->base == REGNO_NONE)
        ir_movi(x->b, base, (uint64_t)(int64_t)in->disp);
    else
        ir_lea(x->b, 8, base, in->base, IR_NONE, 0, in->disp);
    xt_call(x, fn, IR_NONE, base,
            xt_imm(x, EVGATHER_PACK(in->reg, in->index, in->aaa, in->scale, esize, arg & VA_INDEX8 ? 8 : 4,
                                    in->l, in->addrsize, in->seg)), IR_NONE);
}

/** tr_evgather(), tr_evscatter() - gathers and scatters with an opmask; arg: VA_INDEX8 */
void tr_evgather(struct xlat *x)
{
    if (x->in->reg == x->in->index)
        xt_raise_ud(x);
    else if (xt_sse_ok(x))
        evgather(x, h_evgather);
}

void tr_evscatter(struct xlat *x)
{
    if (xt_sse_ok(x))
        evgather(x, h_evscatter);
}

/* ---- control and state ------------------------------------------------------------------ */

void tr_ldmxcsr(struct xlat *x)
{
    ir_val v;

    if (!xt_sse_ok(x))
        return;
    v = ir_temp(x->b);
    ir_ld(x->b, 4, v, xt_addr(x, 4, false));
    xt_call(x, h_ldmxcsr, IR_NONE, v, IR_NONE, IR_NONE);
}

void tr_stmxcsr(struct xlat *x)
{
    ir_val v;

    if (!xt_sse_ok(x))
        return;
    v = ir_temp(x->b);
    xt_call(x, h_stmxcsr, v, IR_NONE, IR_NONE, IR_NONE);
    ir_st(x->b, 4, xt_addr(x, 4, true), v);
}

/** state_helper() - a helper of (address, @b) on @bytes at the memory operand */
static void state_helper(struct xlat *x, ir_helper fn, unsigned bytes, bool write, uint64_t b)
{
    ir_val addr = xt_addr(x, bytes, write), unmasked = ir_temp(x->b);

    xt_call(x, fn, unmasked, addr, xt_imm(x, b), IR_NONE);
    if (!write)
        xt_x87_loaded(x, unmasked);
}

void tr_fxsave(struct xlat *x)
{
    if (x->mode & (MODE_NO_FPU | MODE_EM | MODE_TS))
        xt_raise_nm(x);
    else
        state_helper(x, h_fxsave, 512, true, xt_64(x) && x->in->w ? 8 : 4);
}

void tr_fxrstor(struct xlat *x)
{
    if (x->mode & (MODE_NO_FPU | MODE_EM | MODE_TS))
        xt_raise_nm(x);
    else
        state_helper(x, h_fxrstor, 512, false, xt_64(x) && x->in->w ? 8 : 4);
}

/** tr_xsave() - arg: 0 XSAVE, 1 XSAVEOPT, 2 XSAVEC, 3 XSAVES; the helper checks
 *  CR4.OSXSAVE, TS and privilege, and memory beyond the header */
void tr_xsave(struct xlat *x)
{
    state_helper(x, h_xsave, 576, true, (xt_64(x) && x->in->w ? 8u : 4u) | x->row->arg << 8);
}

/** tr_xrstor() - arg: 0 XRSTOR, 3 XRSTORS */
void tr_xrstor(struct xlat *x)
{
    state_helper(x, h_xrstor, 576, false, (xt_64(x) && x->in->w ? 8u : 4u) | x->row->arg << 8);
}
