/*
 * vec.c - portable execution of vector instructions: dispatch and registers
 *
 * Operands are loaded into struct vx, the operation's row runs, and only when
 * no unmasked numeric exception came up are results and flags written: so an
 * instruction that faults has changed nothing but the MXCSR status bits.
 *
 * Source: Intel SDM vol. 2, chapter 2.3 (VEX: bits above the vector length are
 * zeroed; legacy SSE keeps bits 255:128); vol. 1, 11.5 (SIMD exceptions).
 */
#include "target-x86/vecx-int.h"

static const struct vrow rows[3][4][256] = {
#define VOP(map, pp, opcode, form, name) \
    [(map) - 1][pp][opcode] = { vx_##name, VF_##form },
#include "target-x86/vec-ops.def"
#undef VOP
};

/* ---- registers ------------------------------------------------------------------ */

static void load_vec(struct x86_cpu *cpu, unsigned r, union vreg *u)
{
    memcpy(u->b, cpu->fx.xmm[r & 15], 16);
    memcpy(u->b + 16, cpu->ymmh[r & 15], 16);
}

static void store_vec(struct vx *x, unsigned r)
{
    memcpy(x->cpu->fx.xmm[r & 15], x->d.b, 16);
    if (!x->vex)
        return;
    x86_clear_zmmh(x->cpu, r);
    if (x->v->l)
        memcpy(x->cpu->ymmh[r & 15], x->d.b + 16, 16);
    else
        memset(x->cpu->ymmh[r & 15], 0, 16);
}

static void load_mmx(struct x86_cpu *cpu, unsigned r, union vreg *u)
{
    memset(u, 0, sizeof(*u));
    memcpy(u->b, cpu->fx.st[r & 7], 8);
}

static void store_mmx(struct vx *x, unsigned r)
{
    uint8_t *st = x->cpu->fx.st[r & 7];

    memcpy(st, x->d.b, 8);
    st[8] = st[9] = 0xff;
}

static void load_reg(struct vx *x, union vreg *u)
{
    if (x->v->reg_mmx)
        load_mmx(x->cpu, x->v->reg, u);
    else if (!x->v->reg_gpr)
        load_vec(x->cpu, x->v->reg, u);
}

static void load_rm(struct vx *x, const void *mem, union vreg *u)
{
    const struct ir_vec *v = x->v;

    switch (v->rm_kind) {
    case VRM_VEC:
        load_vec(x->cpu, v->rm, u);
        break;
    case VRM_MMX:
        load_mmx(x->cpu, v->rm, u);
        break;
    case VRM_GPR:
        u->q[0] = x->gin;
        break;
    case VRM_MEM:
        if (v->mem_read)
            memcpy(u->b, mem, MIN(v->mem_bytes, sizeof(u->b)));
        break;
    }
}

static void load_operands(struct vx *x, unsigned form, const void *mem)
{
    union vreg *other = form == VF_ST ? &x->b : &x->a;

    if (form == VF_SHI) {
        load_rm(x, mem, &x->a);
        return;
    }
    load_reg(x, &x->a);
    load_rm(x, mem, &x->b);
    if (x->vex && (form == VF_BIN || (form == VF_ST && x->v->rm_kind == VRM_VEC)))
        load_vec(x->cpu, x->v->vvvv, other);
    if (x->vex && form == VF_BIN)
        load_vec(x->cpu, x->v->reg, &x->c);
    if (form == VF_BIN || form == VF_ST)
        x->d = *other;
}

static void store_rm(struct vx *x, void *mem, uint64_t *gpr)
{
    const struct ir_vec *v = x->v;

    switch (v->rm_kind) {
    case VRM_VEC:
        store_vec(x, v->rm);
        break;
    case VRM_MMX:
        store_mmx(x, v->rm);
        break;
    case VRM_GPR:
        *gpr = x->d.q[0];
        break;
    case VRM_MEM:
        memcpy(mem, x->d.b, MIN(v->mem_bytes, sizeof(x->d.b)));
        break;
    }
}

static void store_result(struct vx *x, unsigned form, void *mem, uint64_t *gpr)
{
    if (form == VF_ST)
        store_rm(x, mem, gpr);
    else if (form == VF_SHI && x->vex)
        store_vec(x, x->v->vvvv);
    else if (form == VF_SHI)
        store_rm(x, mem, gpr);
    else if (x->v->reg_gpr)
        *gpr = x->gout;
    else if (x->v->reg_mmx)
        store_mmx(x, x->v->reg);
    else
        store_vec(x, x->v->reg);
}

/* ---- numeric exceptions ------------------------------------------------------------ */

void vx_load_env(struct vx *x)
{
    uint32_t m = x->cpu->fx.mxcsr;

    x->env = (struct sf_env){
        .rm = (m >> 13) & 3, .masked = (m >> 7) & FE_X86_ALL,
        .daz = (m >> 6) & 1, .ftz = (m >> 15) & 1,
    };
}

bool vx_fp_step(struct vx *x)
{
    uint8_t f = x->env.flags, hit = f & ~x->env.masked;

    if (hit & (FE_I | FE_D | FE_Z))            /* results are not computed then */
        f &= FE_I | FE_D | FE_Z;
    x->flags_done |= f;
    x->env.flags = 0;
    return !hit;
}

bool vx_deliver(struct vx *x)
{
    struct x86_cpu *cpu = x->cpu;

    vx_fp_step(x);
    cpu->fx.mxcsr |= x->flags_done;
    if (!(x->flags_done & ~x->env.masked))
        return true;
    x86_raise(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
    return false;
}

/* ---- instructions on the state as a whole ------------------------------------------- */

/* EMMS (MMX state to empty) or VZEROUPPER, VZEROALL */
void vx_emms(struct vx *x)
{
    struct x86_cpu *cpu = x->cpu;

    x->no_wb = true;
    if (!x->vex) {
        if (x87_pending(cpu)) {
            x87_to_mmx(cpu);                   /* TOP = 0 */
            cpu->fx.ftw = 0;
        }
        return;
    }
    memset(cpu->ymmh, 0, sizeof(cpu->ymmh));
    memset(cpu->z.zmmh, 0, sizeof(cpu->z.zmmh));
    cpu->tcg.zmmh_live = 0;
    if (x->v->l)
        memset(cpu->fx.xmm, 0, sizeof(cpu->fx.xmm));
}

/* 0F AE /2 LDMXCSR, /3 STMXCSR */
void vx_mxcsr(struct vx *x)
{
    struct x86_cpu *cpu = x->cpu;

    if ((x->v->reg & 7) == 3) {
        x->d.d[0] = cpu->fx.mxcsr;
        return;
    }
    x->no_wb = true;
    if (x->b.d[0] & ~0xffffu)
        x86_raise_err(cpu, EXC_GP, 0);
    else
        cpu->fx.mxcsr = x->b.d[0];
}

bool vx_missing(struct x86_cpu *cpu, const struct ir_vec *v)
{
    log_guest(LOG_UNIMP, "vec_exec map=%u pp=%u opcode=%#x enc=%u", v->map, v->pp, v->opcode, v->enc);
    x86_raise(cpu, EXC_UD);
    return false;
}

/**
 * x86_vec_exec() - execute one vector or x87 instruction on the state in memory
 * @tc: the vCPU; its vector and x87 registers must be in cpu->fx and cpu->ymmh
 * @v: the instruction
 * @mem: its memory operand, @v->mem_bytes long: read before and written back
 *   after by the caller; NULL when it has none
 * @gpr: general register operand: value in, result out (zero-extended)
 *
 * PCMPxSTRI gives ECX through @gpr when @v->gpr_out, and PCMPESTRx reads EAX
 * and EDX from tc->regs. FIP, FDP and FOP are left to the caller. Returns false
 * when it raised an exception; then only status flags have changed.
 * Source: Intel SDM vol. 2 for each instruction.
 */
bool x86_vec_exec(struct tcg_cpu *tc, const struct ir_vec *v, void *mem, uint64_t *gpr)
{
    struct x86_cpu *cpu = X86(tc);
    uint64_t dummy = 0;

    if (!gpr)
        gpr = &dummy;
    assert(mem || v->rm_kind != VRM_MEM);
    if (v->enc == VENC_X87)
        return x87_exec(cpu, v, mem, gpr);

    bool mmx = v->reg_mmx || v->rm_kind == VRM_MMX;
    struct vx x = { .cpu = cpu, .v = v, .n = mmx ? 8 : v->l ? 32 : 16, .imm = v->imm,
                    .vex = v->enc == VENC_VEX, .gin = *gpr };
    if (v->enc == VENC_EVEX)
        return evex_exec(&x, mem, gpr);

    const struct vrow *row = v->map >= 1 && v->map <= 3 && v->l < 2
        ? &rows[v->map - 1][v->pp & 3][v->opcode] : NULL;
    if (!row || !row->fn) {
        return vx_missing(cpu, v);
    }
    if (row->form == VF_K)
        return k_exec(&x, row, mem, gpr);
    vx_load_env(&x);
    if (mmx) {
        if (!x87_pending(cpu))
            return false;
        x87_to_mmx(cpu);
    }
    load_operands(&x, row->form, mem);
    row->fn(&x);
    if (tc->exception || !vx_deliver(&x))
        return false;
    if (x.set_fl)
        tc->fl = x.fl;
    if (row->form == VF_TEST) {
        if (v->gpr_out)
            *gpr = x.gout;
    } else if (!x.no_wb) {
        store_result(&x, row->form, mem, gpr);
    }
    return true;
}
