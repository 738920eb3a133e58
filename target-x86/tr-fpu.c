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
    xt_vec_emit(x, index, IR_NONE, IR_NONE);
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
    if (fpu_ok(x))
        xt_call(x, h_fninit, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
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
    ir_val addr;

    if (!fpu_ok(x))
        return;
    if (waits)
        xt_call(x, h_fwait, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
    addr = xt_addr(x, (opsize == 2 ? 14 : 28) + (regs ? 80 : 0), write);
    xt_call(x, fn, IR_NONE, addr, xt_imm(x, opsize), xt_imm(x, !xt_protected(x)));
}

void tr_fstenv(struct xlat *x) { env_helper(x, h_fstenv, false, true, false); }
void tr_fldenv(struct xlat *x) { env_helper(x, h_fldenv, false, false, true); }
void tr_fsave(struct xlat *x) { env_helper(x, h_fsave, true, true, false); }
void tr_frstor(struct xlat *x) { env_helper(x, h_frstor, true, false, true); }
