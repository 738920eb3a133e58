/*
 * tr-fpu.c - x87 instructions to IR
 *
 * Kept as they are (IR_VEC), except those that show or load pointers and tags:
 * the host's own must never be seen, so they go through helpers.
 *
 * Source: Intel SDM vol. 1, chapter 8; vol. 2, the F instructions.
 */
#include "target-x86/simd-int.h"
#include "target-x86/tr-int.h"
#include "target-x86/tr-simd-int.h"

static bool fpu_ok(struct xlat *x)
{
    if (!(x->mode & (MODE_NO_FPU | MODE_EM | MODE_TS)))
        return true;
    xt_raise_nm(x);
    return false;
}

/** fpu_vec() - register form @opcode /@digit ST(@rm) */
static struct ir_vec *fpu_vec(struct xlat *x, unsigned opcode, unsigned digit, unsigned rm,
                              unsigned *index)
{
    struct ir_vec *v = xt_vec_new(x, index);

    v->enc = VENC_X87;
    v->opcode = (uint8_t)opcode;
    v->reg = (uint8_t)digit;
    v->rm_kind = VRM_NONE;
    v->rm = (uint8_t)rm;
    v->is_x87 = true;
    v->can_fp_fault = true;
    return v;
}

/** no_wait() - one of the instructions that ignore pending exceptions */
static bool no_wait(const struct x86_insn *in)
{
    unsigned digit = (in->modrm >> 3) & 7;

    return in->mem ? digit == 7 && (in->opcode == 0xd9 || in->opcode == 0xdd)   /* FNSTCW, FNSTSW */
                   : in->opcode == 0xdb && digit == 4;                          /* FNCLEX */
}

/* ---- pointers: see x86_x87_mode() ------------------------------------------------ */

/** note() - FIP; and what FDP and FOP will be if this instruction has left an unmasked exception */
static void note(struct xlat *x)
{
    const struct x86_insn *in = x->in;
    uint32_t op = (in->opcode & 7u) << 8 | in->modrm | X87_LAST_VALID;
    ir_val sel = ir_temp(x->b);

    ir_ste(x->b, 8, CPU_OFF(fx.fip), xt_pc(x, x->pcoff));
    ir_lde(x->b, 2, sel, CPU_OFF(seg[S_CS].sel));
    ir_ste(x->b, 2, CPU_OFF(fpu_cs), sel);
    if (in->mem) {
        ir_ste(x->b, 8, CPU_OFF(x87_last.dp), xt_ea(x, 0));
        ir_lde(x->b, 2, sel, CPU_OFF(seg[0].sel) + in->seg * sizeof(struct x86_seg));
        ir_ste(x->b, 2, CPU_OFF(x87_last.ds), sel);
        op |= X87_LAST_MEM;
    }
    ir_stei(x->b, 4, CPU_OFF(x87_last.op), (int32_t)op);
}

void xt_x87_loaded(struct xlat *x, ir_val unmasked)
{
    if (x->mode & MODE_X87)
        x->want_exit = true;
    else
        ir_brcmpi(x->b, IRC_NE, 8, unmasked, 0, xt_slow_path(x, IR_NONE, SLOW_X87_MODE)->label);
}

/** fldcw() - FLDCW with its description @index: blocks are for one state of the masks */
static void fldcw(struct xlat *x, unsigned index)
{
    x->b->vec[index].x87_guard = !(x->mode & MODE_X87);
    xt_vec_emit(x, index, IR_NONE, IR_NONE);
    if (!(x->mode & MODE_X87))
        return;
    xt_call(x, h_x87_mode, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
    x->want_exit = true;
}

/**
 * tr_fpu() - most x87 instructions
 * arg: 0, or the documented opcode byte that an alias stands for; + 0x100: with /3
 */
void tr_fpu(struct xlat *x)
{
    const struct x86_insn *in = x->in;
    const struct x86_row *r = x->row;
    unsigned digit = r->arg & 0x100 ? 3 : (in->modrm >> 3) & 7, index;
    unsigned mem = r->dst ? r->dst : r->a;
    struct ir_vec *v;

    if (!fpu_ok(x))
        return;
    v = fpu_vec(x, r->arg ? r->arg & 0xff : in->opcode, digit, in->modrm & 7, &index);
    v->rf = r->rf;
    v->wf = r->wf;
    v->can_fp_fault = !no_wait(in);
    if (in->mem) {
        v->rm_kind = VRM_MEM;
        v->mem_bytes = (uint8_t)opnd_bytes(in, mem);
        v->mem_write = opnd_kind(r->dst) == K_M;
        v->mem_read = !v->mem_write;
    }
    if (in->mem && in->opcode == 0xd9 && digit == 5) {
        fldcw(x, index);
        return;
    }
    if (x->mode & MODE_X87 && !v->can_fp_fault)      /* FNCLEX forgets the exception */
        xt_call(x, h_x87_latch, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
    xt_vec_emit(x, index, IR_NONE, IR_NONE);
    if (x->mode & MODE_X87 && v->can_fp_fault)
        note(x);
}

/** tr_fnstsw() - FNSTSW AX: the host's own, through a temp (AX merges into RAX) */
void tr_fnstsw(struct xlat *x)
{
    ir_val t;
    unsigned index;
    struct ir_vec *v;

    if (!fpu_ok(x))
        return;
    v = fpu_vec(x, 0xdf, 4, 0, &index);
    v->gpr_out = true;
    v->gpr_size = 4;
    v->can_fp_fault = false;
    t = ir_temp(x->b);
    xt_vec_emit(x, index, t, IR_NONE);
    xt_set_reg(x, R_AX, 2, t);
}

void tr_fninit(struct xlat *x)
{
    if (!fpu_ok(x))
        return;
    xt_call(x, h_fninit, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
    x->want_exit |= (x->mode & MODE_X87) != 0;
}

/** tr_fwait() - WAIT; TS matters only with CR0.MP: the helper looks */
void tr_fwait(struct xlat *x)
{
    xt_call(x, h_fwait, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
}

/** tr_fpnop() - FENI, FDISI, FSETPM */
void tr_fpnop(struct xlat *x)
{
    fpu_ok(x);
}

/** env_helper() - a helper of (address, operand size 2 or 4, real-mode format)
 *  @regs: 80 bytes of registers follow; @waits: reports pending exceptions first */
static void env_helper(struct xlat *x, ir_helper fn, bool regs, bool write, bool waits)
{
    unsigned opsize = x->in->opsize == 2 ? 2 : 4;
    ir_val addr, unmasked = ir_temp(x->b);

    if (!fpu_ok(x))
        return;
    if (waits)
        xt_call(x, h_fwait, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
    addr = xt_addr(x, (opsize == 2 ? 14 : 28) + (regs ? 80 : 0), write);
    xt_call(x, fn, unmasked, addr, xt_imm(x, opsize), xt_imm(x, !xt_protected(x)));
    if (!write)
        xt_x87_loaded(x, unmasked);
    x->want_exit |= (x->mode & MODE_X87) != 0;
}

void tr_fstenv(struct xlat *x) { env_helper(x, h_fstenv, false, true, false); }
void tr_fldenv(struct xlat *x) { env_helper(x, h_fldenv, false, false, true); }
void tr_fsave(struct xlat *x) { env_helper(x, h_fsave, true, true, false); }
void tr_frstor(struct xlat *x) { env_helper(x, h_frstor, true, false, true); }
