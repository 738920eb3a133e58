/*
 * x87.c - portable execution of x87 instructions
 *
 * The register stack is in x87-stack.c, functions of ST(0) and ST(1) in x87-func.c,
 * their series in x87-trans.c.
 * Not here: FLDENV, FNSTENV, FRSTOR, FNSAVE (fpu-state.c).
 * Source: Intel SDM vol. 1, chapter 8; vol. 2 for each instruction.
 */
#include "target-x86/x87-int.h"

/* ---- NaN and arithmetic ------------------------------------------------------------- */

struct sf fpu_invalid(struct fpu *f)
{
    f->e.flags |= FE_I;
    f->e.up = false;
    return sf_default_nan();
}

/* one of the operands is a NaN or unsupported: the larger significand wins, a
 * quiet NaN before a signalling one */
struct sf fpu_nan_of(struct fpu *f, struct sf a, struct sf b)
{
    if (a.cls == SF_UNSUP || b.cls == SF_UNSUP)
        return fpu_invalid(f);
    if (a.cls == SF_SNAN || b.cls == SF_SNAN)
        f->e.flags |= FE_I;
    if (!sf_is_nan(a) || !sf_is_nan(b))
        return sf_quiet(sf_is_nan(a) ? a : b);
    if (a.cls != b.cls)
        return a.cls == SF_QNAN ? a : b;
    if (a.m != b.m)
        return sf_quiet(a.m > b.m ? a : b);
    return sf_quiet(a.sign ? b : a);
}

const struct sf_fmt *fpu_precision(const struct fpu *f)
{
    switch ((f->cpu->fx.fcw >> 8) & 3) {
    case 0: return &sf_pc24;
    case 2: return &sf_pc53;
    default: return &sf_f80;
    }
}

enum { OP_ADD, OP_MUL, OP_COM, OP_COMP, OP_SUB, OP_SUBR, OP_DIV, OP_DIVR };

static struct sf divide(struct fpu *f, struct sf a, struct sf b)
{
    if (b.cls == SF_ZERO && a.cls == SF_NORM)
        f->e.flags |= FE_Z;
    return sf_div(a, b);
}

static struct sf arith(struct fpu *f, unsigned op, struct sf a, struct sf b)
{
    struct sf r;

    if (f->fault)
        return sf_default_nan();
    if (fpu_is_nan(a) || fpu_is_nan(b))
        return fpu_nan_of(f, a, b);
    switch (op) {
    case OP_ADD: r = sf_add(a, b, f->e.rm); break;
    case OP_MUL: r = sf_mul(a, b); break;
    case OP_SUB: r = sf_add(a, sf_neg(b), f->e.rm); break;
    case OP_SUBR: r = sf_add(b, sf_neg(a), f->e.rm); break;
    case OP_DIV: r = divide(f, a, b); break;
    default: r = divide(f, b, a); break;
    }
    if (r.cls == SF_UNSUP)
        return fpu_invalid(f);
    if ((a.den || b.den) && !(f->e.flags & FE_Z))
        f->e.flags |= FE_D;
    return fpu_stopped(f) ? r : sf_round(&f->e, r, fpu_precision(f));
}

/* ---- comparison ----------------------------------------------------------------------- */

/* C3 C2 C0 of a : b; @quiet: a QNaN is not an invalid operand */
static uint16_t relation(struct fpu *f, struct sf a, struct sf b, bool quiet)
{
    if (f->fault || fpu_is_nan(a) || fpu_is_nan(b)) {
        if (!quiet || a.cls > SF_QNAN || b.cls > SF_QNAN)
            f->e.flags |= FE_I;
        return FSW_C3 | FSW_C2 | FSW_C0;
    }
    if (a.den || b.den)
        f->e.flags |= FE_D;
    int c = sf_cmp(a, b);
    return c < 0 ? FSW_C0 : c > 0 ? 0 : FSW_C3;
}

static void fcom(struct fpu *f, struct sf b, bool quiet, unsigned pops)
{
    uint16_t cc = relation(f, fpu_fetch(f, 0), b, quiet);

    f->cc = cc;                                /* even when the exception is unmasked */
    f->cc_mask = FSW_CC;
    while (pops-- && !fpu_stopped(f))
        fpu_pop(f);
}

static void fcomi(struct fpu *f, bool quiet, bool pops)
{
    struct sf b = fpu_fetch(f, f->v->rm & 7);
    uint16_t cc = relation(f, fpu_fetch(f, 0), b, quiet);

    f->keep_c1 = true;
    f->cpu->tcg.fl = (cc & FSW_C3 ? TCG_FL_Z : 0) | (cc & FSW_C2 ? TCG_FL_P : 0) |
                     (cc & FSW_C0 ? TCG_FL_C : 0);
    if (pops && !fpu_stopped(f))
        fpu_pop(f);
}

static void ftst(struct fpu *f)
{
    fcom(f, sf_zero(false), false, 0);
}

static void fxam(struct fpu *f)
{
    struct sf s = sf_unpack80(fpu_get_raw(f, 0));
    static const uint16_t cls[] = {
        [SF_ZERO] = FSW_C3, [SF_NORM] = FSW_C2, [SF_INF] = FSW_C2 | FSW_C0,
        [SF_QNAN] = FSW_C0, [SF_SNAN] = FSW_C0, [SF_UNSUP] = 0,
    };

    f->cc_mask = FSW_CC;
    f->cc = fpu_empty(f, 0) ? FSW_C3 | FSW_C0 : s.den ? FSW_C3 | FSW_C2 : cls[s.cls];
    if (fpu_get_raw(f, 0).se >> 15)
        f->cc |= FSW_C1;
}

/* ---- loads and stores -------------------------------------------------------------------- */

/* @s as loaded from a 32- or 64-bit operand */
static void fld(struct fpu *f, struct sf s)
{
    fpu_want_room(f);
    if (!f->fault) {
        if (s.den) {
            f->e.flags |= FE_D;
            f->e.masked |= FE_D;               /* loads all the same */
        }
        if (s.cls == SF_SNAN) {
            f->e.flags |= FE_I;
            s = sf_quiet(s);
        }
    }
    fpu_push(f, sf_pack80(s));
}

static void fst(struct fpu *f, const struct sf_fmt *fmt, bool pops)
{
    struct sf s = fpu_fetch(f, 0);

    if (s.cls == SF_UNSUP)
        s = fpu_invalid(f);
    else if (sf_is_nan(s))
        s = fpu_nan_of(f, s, s);
    if (fpu_stopped(f))
        return;
    f->e.wrap = false;
    s = sf_round(&f->e, s, fmt);
    if (f->e.flags & ~f->e.masked & (FE_O | FE_U)) {
        f->e.up = false;                       /* nothing is stored, PE not looked for */
        f->e.flags &= ~FE_P;
        return;
    }
    uint64_t v = sf_pack(fmt, s);
    memcpy(f->mem, &v, fmt->bits / 8);
    if (pops)
        fpu_pop(f);
}

static void fst80(struct fpu *f)
{
    struct fx80 v = fpu_empty(f, 0) ? sf_pack80(fpu_fetch(f, 0)) : fpu_get_raw(f, 0);

    if (fpu_stopped(f))
        return;
    stl64(f->mem, v.m);
    stl16(f->mem + 8, v.se);
    fpu_pop(f);
}

static void fist(struct fpu *f, unsigned bits, bool trunc, bool pops)
{
    struct sf s = fpu_fetch(f, 0);

    if (trunc)
        f->e.rm = RM_ZERO;
    int64_t v = sf_to_int(&f->e, s, bits);
    if (fpu_stopped(f))
        return;
    memcpy(f->mem, &v, bits / 8);
    if (pops)
        fpu_pop(f);
}

/* FST, FSTP, FFREEP to a register */
static void fst_reg(struct fpu *f, bool pops)
{
    struct fx80 v = fpu_empty(f, 0) ? sf_pack80(fpu_fetch(f, 0)) : fpu_get_raw(f, 0);

    if (fpu_stopped(f))
        return;
    fpu_set_raw(f, f->v->rm & 7, v);
    if (pops)
        fpu_pop(f);
}

/* D9 D8+i, the undocumented FSTPNCE: FSTP that only pops when ST(0) is empty */
static void fstpnce(struct fpu *f)
{
    if (!fpu_empty(f, 0))
        fpu_set_raw(f, f->v->rm & 7, fpu_get_raw(f, 0));
    fpu_pop(f);
}

static void fbld(struct fpu *f)
{
    uint64_t v = 0;

    for (int i = 8; i >= 0; i--)
        v = v * 100 + (uint64_t)(f->mem[i] >> 4) * 10 + (f->mem[i] & 15);
    fpu_push(f, sf_pack80(sf_make(f->mem[9] >> 7, v, 0)));
}

static void fbstp(struct fpu *f)
{
    static const uint8_t indefinite[10] = { 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff };
    struct sf s = fpu_fetch(f, 0);
    uint8_t flags = f->e.flags;
    int64_t v = sf_to_int(&f->e, s, 64);
    bool bad = v >= 1000000000000000000 || v <= -1000000000000000000;

    if (bad) {
        f->e.flags = flags | FE_I;
        f->e.up = false;
    }
    if (fpu_stopped(f))
        return;
    memcpy(f->mem, indefinite, 10);
    if (!(f->e.flags & FE_I)) {
        uint64_t m = v < 0 ? -(uint64_t)v : (uint64_t)v;
        for (unsigned i = 0; i < 9; i++, m /= 100)
            f->mem[i] = (uint8_t)(m % 10 | m / 10 % 10 << 4);
        f->mem[9] = s.sign ? 0x80 : 0;
    }
    fpu_pop(f);
}

static void fxch(struct fpu *f)
{
    unsigned i = f->v->rm & 7;
    struct fx80 a = fpu_empty(f, 0) ? sf_pack80(fpu_fetch(f, 0)) : fpu_get_raw(f, 0);
    struct fx80 b = fpu_empty(f, i) ? sf_pack80(fpu_fetch(f, i)) : fpu_get_raw(f, i);

    if (fpu_stopped(f))
        return;
    fpu_set_raw(f, 0, b);
    fpu_set_raw(f, i, a);
}

static void fcmov(struct fpu *f, bool negate)
{
    static const uint32_t cond[4] = { TCG_FL_C, TCG_FL_Z, TCG_FL_C | TCG_FL_Z, TCG_FL_P };
    bool take = ((f->cpu->tcg.fl & cond[f->v->reg & 3]) != 0) != negate;
    unsigned i = f->v->rm & 7;

    f->keep_c1 = true;
    if (fpu_empty(f, 0) || fpu_empty(f, i)) {
        fpu_stack_fault(f, false);
        if (!fpu_stopped(f))
            fpu_set(f, 0, sf_default_nan());
    } else if (take) {
        fpu_set_raw(f, 0, fpu_get_raw(f, i));
    }
}

static void load_constant(struct fpu *f, unsigned n)
{
    struct sf_env e = { .rm = f->e.rm, .masked = FE_X86_ALL };
    struct sf one = sf_from_int(1);
    const struct sf *c[7] = { &one, &x87_log2_10, &x87_log2e, &x87_pi, &x87_log10_2, &x87_ln2 };

    fpu_push(f, sf_pack80(n < 6 ? sf_round(&e, *c[n], &sf_f80) : sf_zero(false)));
}

/* ---- control -------------------------------------------------------------------------------------- */

static void fninit(struct x86_cpu *cpu)
{
    fpu_clear_top(cpu);
    cpu->fx.fcw = 0x37f;
    cpu->fx.fsw = 0;
    cpu->fx.ftw = 0;
    cpu->fx.fop = 0;
    cpu->fx.fip = cpu->fx.fdp = 0;
}

static void fldcw(struct fpu *f)
{
    struct x86_fxarea *fx = &f->cpu->fx;

    fx->fcw = (ldl16(f->mem) & 0x1f3f) | 0x40;
    if (fx->fsw & ~fx->fcw & FE_X86_ALL)
        fx->fsw |= FSW_ES | FSW_B;
    else
        fx->fsw &= (uint16_t)~(FSW_ES | FSW_B);
    f->quiet = true;
}

/* instructions that do not wait for pending exceptions; true: done */
static bool no_wait(struct fpu *f, uint64_t *gpr)
{
    const struct ir_vec *v = f->v;
    struct x86_fxarea *fx = &f->cpu->fx;
    bool mem = v->rm_kind == VRM_MEM;
    unsigned digit = v->reg & 7;

    if (v->opcode == 0xD9 && mem && digit == 7)
        stl16(f->mem, fx->fcw);
    else if (v->opcode == 0xDD && mem && digit == 7)
        stl16(f->mem, fx->fsw);
    else if (v->opcode == 0xDF && !mem && digit == 4 && (v->rm & 7) == 0)
        *gpr = (*gpr & ~0xffffull) | fx->fsw;
    else if (v->opcode == 0xDB && !mem && digit == 4 && (v->rm & 7) == 2)
        fx->fsw &= 0x7f00;                     /* FNCLEX */
    else if (v->opcode == 0xDB && !mem && digit == 4 && (v->rm & 7) == 3)
        fninit(f->cpu);
    else
        return v->opcode == 0xDB && !mem && digit == 4 && (v->rm & 7) < 5; /* 8087, 287 relics */
    return true;
}

/* ---- dispatch --------------------------------------------------------------------------------------- */

/* D8, DA, DC, DE: ST(0) with a memory operand */
static void mem_arith(struct fpu *f)
{
    unsigned digit = f->v->reg & 7;
    struct sf b, a;

    switch (f->v->opcode) {
    case 0xD8: b = sf_unpack(&f->e, &sf_f32, ldl32(f->mem)); break;
    case 0xDA: b = sf_from_int((int32_t)ldl32(f->mem)); break;
    case 0xDC: b = sf_unpack(&f->e, &sf_f64, ldl64(f->mem)); break;
    default: b = sf_from_int((int16_t)ldl16(f->mem)); break;
    }
    if (digit == OP_COM || digit == OP_COMP) {
        fcom(f, b, false, digit == OP_COMP);
        return;
    }
    a = arith(f, digit, fpu_fetch(f, 0), b);
    if (!fpu_stopped(f))
        fpu_set(f, 0, a);
}

static bool mem_d9(struct fpu *f)
{
    switch (f->v->reg & 7) {
    case 0: fld(f, sf_unpack(&f->e, &sf_f32, ldl32(f->mem))); return true;
    case 2: fst(f, &sf_f32, false); return true;
    case 3: fst(f, &sf_f32, true); return true;
    case 5: fldcw(f); return true;
    default: return false;
    }
}

static bool mem_db(struct fpu *f)
{
    switch (f->v->reg & 7) {
    case 0: fpu_push(f, sf_pack80(sf_from_int((int32_t)ldl32(f->mem)))); return true;
    case 1: fist(f, 32, true, true); return true;
    case 2: fist(f, 32, false, false); return true;
    case 3: fist(f, 32, false, true); return true;
    case 5: fpu_push(f, (struct fx80){ ldl64(f->mem), ldl16(f->mem + 8) }); return true;
    case 7: fst80(f); return true;
    default: return false;
    }
}

static bool mem_dd(struct fpu *f)
{
    switch (f->v->reg & 7) {
    case 0: fld(f, sf_unpack(&f->e, &sf_f64, ldl64(f->mem))); return true;
    case 1: fist(f, 64, true, true); return true;
    case 2: fst(f, &sf_f64, false); return true;
    case 3: fst(f, &sf_f64, true); return true;
    default: return false;
    }
}

static bool mem_df(struct fpu *f)
{
    switch (f->v->reg & 7) {
    case 0: fpu_push(f, sf_pack80(sf_from_int((int16_t)ldl16(f->mem)))); return true;
    case 1: fist(f, 16, true, true); return true;
    case 2: fist(f, 16, false, false); return true;
    case 3: fist(f, 16, false, true); return true;
    case 4: fbld(f); return true;
    case 5: fpu_push(f, sf_pack80(sf_from_int((int64_t)ldl64(f->mem)))); return true;
    case 6: fbstp(f); return true;
    default: fist(f, 64, false, true); return true;
    }
}

static bool exec_mem(struct fpu *f)
{
    switch (f->v->opcode) {
    case 0xD9: return mem_d9(f);
    case 0xDB: return mem_db(f);
    case 0xDD: return mem_dd(f);
    case 0xDF: return mem_df(f);
    default: mem_arith(f); return true;
    }
}

/* D8: to ST(0); DC: to ST(i); DE: to ST(i), popping */
static void reg_arith(struct fpu *f)
{
    unsigned digit = f->v->reg & 7, i = f->v->rm & 7, dst = f->v->opcode == 0xD8 ? 0 : i;
    bool pops = f->v->opcode == 0xDE;
    struct sf b = fpu_fetch(f, i);

    if (digit == OP_COM || digit == OP_COMP) {
        fcom(f, b, false, (digit == OP_COMP) + (unsigned)pops);
        return;
    }
    struct sf r = arith(f, digit, fpu_fetch(f, 0), b);
    if (fpu_stopped(f))
        return;
    fpu_set(f, dst, r);
    if (pops)
        fpu_pop(f);
}

static bool reg_d9(struct fpu *f)
{
    unsigned i = f->v->rm & 7, digit = f->v->reg & 7;
    struct fx80 v;

    switch (digit) {
    case 0:
        v = fpu_empty(f, i) ? sf_pack80(fpu_fetch(f, i)) : fpu_get_raw(f, i);
        fpu_push(f, v);
        return true;
    case 1: fxch(f); return true;
    case 2: f->quiet = true; return i == 0;                /* FNOP */
    case 3: fstpnce(f); return true;
    case 5:
        if (i < 7)
            load_constant(f, i);
        return i < 7;
    default:
        if (digit == 4 && i == 4)
            ftst(f);
        else if (digit == 4 && i == 5)
            fxam(f);
        else
            return fpu_function(f, digit << 3 | i);
        return true;
    }
}

static bool reg_dd(struct fpu *f)
{
    switch (f->v->reg & 7) {
    case 0:                                                /* FFREE */
        fpu_free(f, f->v->rm & 7);
        return true;
    case 1: fxch(f); return true;
    case 2: fst_reg(f, false); return true;
    case 3: fst_reg(f, true); return true;
    case 4: fcom(f, fpu_fetch(f, f->v->rm & 7), true, 0); return true;
    case 5: fcom(f, fpu_fetch(f, f->v->rm & 7), true, 1); return true;
    default: return false;
    }
}

static bool reg_df(struct fpu *f)
{
    switch (f->v->reg & 7) {
    case 0:                                                /* FFREEP */
        fpu_free(f, f->v->rm & 7);
        fpu_pop(f);
        return true;
    case 1: fxch(f); return true;
    case 2:
    case 3: fst_reg(f, true); return true;
    case 5: fcomi(f, true, true); return true;
    case 6: fcomi(f, false, true); return true;
    default: return false;
    }
}

static bool exec_reg(struct fpu *f)
{
    unsigned digit = f->v->reg & 7, i = f->v->rm & 7;

    switch (f->v->opcode) {
    case 0xD8:
    case 0xDC:
        reg_arith(f);
        return true;
    case 0xD9: return reg_d9(f);
    case 0xDA:
        if (digit == 5 && i == 1)
            fcom(f, fpu_fetch(f, 1), true, 2);                 /* FUCOMPP */
        else if (digit < 4)
            fcmov(f, false);
        return digit < 4 || (digit == 5 && i == 1);
    case 0xDB:
        if (digit < 4)
            fcmov(f, true);
        else
            fcomi(f, digit == 5, false);
        return digit < 4 || digit == 5 || digit == 6;
    case 0xDD: return reg_dd(f);
    case 0xDE:
        if (digit == OP_COMP && i != 1)
            return false;
        reg_arith(f);
        return true;
    default: return reg_df(f);
    }
}

bool x87_exec(struct x86_cpu *cpu, const struct ir_vec *v, void *mem, uint64_t *gpr)
{
    uint16_t fcw = cpu->fx.fcw;
    struct fpu f = { .cpu = cpu, .v = v, .mem = mem };

    f.e = (struct sf_env){ .rm = (fcw >> 10) & 3, .masked = fcw & FE_X86_ALL, .wrap = true };
    if (v->opcode == 0x9B)
        return x87_pending(cpu);
    if (no_wait(&f, gpr))
        return true;
    if (v->x87_guard && (ldl16(mem) & FE_X86_ALL) != FE_X86_ALL) {
        x86_x87_unmask(&cpu->tcg);
        return false;
    }
    if (!x87_pending(cpu))
        return false;
    if (!(v->rm_kind == VRM_MEM ? exec_mem(&f) : exec_reg(&f))) {
        log_guest(LOG_UNIMP, "x87_exec opcode=%#x reg=%u rm=%u", v->opcode, v->reg, v->rm);
        x86_raise(cpu, EXC_UD);
        return false;
    }
    fpu_finish(&f);
    return true;
}
