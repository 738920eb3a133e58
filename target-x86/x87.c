/*
 * x87.c - portable execution of x87 instructions
 *
 * fx.st[] is by stack position, so a push or pop rotates it; the abridged tag
 * fx.ftw is by physical register. An unmasked exception only marks the status
 * word: the next waiting instruction raises #MF (x87_pending()).
 *
 * Not here: FLDENV, FNSTENV, FRSTOR, FNSAVE (fpu-state.c).
 * Source: Intel SDM vol. 1, chapter 8; vol. 2 for each instruction.
 */
#include "target-x86/vecx-int.h"
#include "target-x86/x87-int.h"

enum {
    FSW_SF = 1 << 6, FSW_ES = 1 << 7, FSW_C0 = 1 << 8, FSW_C1 = 1 << 9, FSW_C2 = 1 << 10,
    FSW_C3 = 1 << 14, FSW_B = 1 << 15, FSW_TOP = 7 << 11, FSW_TOP_SHIFT = 11,
    FSW_CC = FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3,
};

/**
 * struct fpu - one x87 instruction in execution
 * @fault: a stack fault happened (IE and SF; C1 tells over- from underflow)
 * @over: it was an overflow
 * @quiet: the status word stays as it is
 * @keep_c1: C1 stays unless there is a stack fault
 * @cc: C0, C2, C3 (and C1 when @cc_all) to set
 * @cc_mask: which of them the instruction defines; C1 always
 */
struct fpu {
    struct x86_cpu *cpu;
    const struct ir_vec *v;
    uint8_t *mem;
    struct sf_env e;
    bool fault, over, quiet, keep_c1;
    uint16_t cc, cc_mask;
};

/* ---- the register stack ------------------------------------------------------------ */

static unsigned top(const struct x86_cpu *cpu)
{
    return (cpu->fx.fsw >> FSW_TOP_SHIFT) & 7;
}

static uint8_t tag_bit(const struct x86_cpu *cpu, unsigned i)
{
    return (uint8_t)(1u << ((top(cpu) + i) & 7));
}

static bool empty(const struct fpu *f, unsigned i)
{
    return !(f->cpu->fx.ftw & tag_bit(f->cpu, i));
}

/* TOP += @n; positions follow */
static void rotate(struct x86_cpu *cpu, unsigned n)
{
    uint8_t old[8][16];

    memcpy(old, cpu->fx.st, sizeof(old));
    for (unsigned i = 0; i < 8; i++)
        memcpy(cpu->fx.st[i], old[(i + n) & 7], 16);
    cpu->fx.fsw = (uint16_t)((cpu->fx.fsw & ~FSW_TOP) | ((top(cpu) + n) & 7) << FSW_TOP_SHIFT);
}

void x87_to_mmx(struct x86_cpu *cpu)
{
    if (top(cpu))
        rotate(cpu, 8 - top(cpu));
    cpu->fx.ftw = 0xff;
}

bool x87_pending(struct x86_cpu *cpu)
{
    if (!(cpu->fx.fsw & FSW_ES))
        return true;
    if (cpu->cr0 & CR0_NE) {
        x86_raise(cpu, EXC_MF);
        return false;
    }
    cpu->ferr_pending = true;                  /* FERR#: IRQ 13 comes when it comes */
    if (cpu->bus && cpu->bus->set_ferr)
        cpu->bus->set_ferr(cpu->bus->opaque, 1);
    return true;
}

static struct fx80 get_raw(const struct fpu *f, unsigned i)
{
    return (struct fx80){ ldl64(f->cpu->fx.st[i]), ldl16(f->cpu->fx.st[i] + 8) };
}

static void set_raw(struct fpu *f, unsigned i, struct fx80 v)
{
    uint8_t *st = f->cpu->fx.st[i];

    stl64(st, v.m);
    stl16(st + 8, v.se);
    memset(st + 10, 0, 6);
    f->cpu->fx.ftw |= tag_bit(f->cpu, i);
}

static void set(struct fpu *f, unsigned i, struct sf s)
{
    set_raw(f, i, sf_pack80(s));
}

static void stack_fault(struct fpu *f, bool over)
{
    f->fault = true;
    f->over = over;
    f->e.flags |= FE_I;
    f->e.up = false;
}

/* ST(@i), or the default NaN with a stack underflow */
static struct sf fetch(struct fpu *f, unsigned i)
{
    if (empty(f, i)) {
        if (!f->fault)
            stack_fault(f, false);
        return sf_default_nan();
    }
    return sf_unpack80(get_raw(f, i));
}

static void pop(struct fpu *f)
{
    f->cpu->fx.ftw &= (uint8_t)~tag_bit(f->cpu, 0);
    rotate(f->cpu, 1);
}

/* whether an unmasked exception forbids the result */
static bool stopped(const struct fpu *f)
{
    return f->e.flags & ~f->e.masked & (FE_I | FE_D | FE_Z);
}

/* room for a push: else a stack overflow */
static void want_room(struct fpu *f)
{
    if (!f->fault && !empty(f, 7))
        stack_fault(f, true);
}

static void push(struct fpu *f, struct fx80 v)
{
    want_room(f);
    if (stopped(f))
        return;
    rotate(f->cpu, 7);
    set_raw(f, 0, f->fault ? sf_pack80(sf_default_nan()) : v);
}

/* status word at the end of an instruction */
static void finish(struct fpu *f)
{
    uint16_t *fsw = &f->cpu->fx.fsw;

    if (f->quiet)
        return;
    *fsw &= (uint16_t)~((f->keep_c1 && !f->fault ? 0 : FSW_C1) | f->cc_mask);
    *fsw |= f->cc | f->e.flags;
    if (f->fault)
        *fsw |= FSW_SF | (f->over ? FSW_C1 : 0);
    else if (f->e.up)
        *fsw |= FSW_C1;
    if (*fsw & ~f->cpu->fx.fcw & FE_X86_ALL)
        *fsw |= FSW_ES | FSW_B;
    else
        *fsw &= (uint16_t)~(FSW_ES | FSW_B);
}

/* ---- NaN and arithmetic ------------------------------------------------------------- */

static struct sf invalid(struct fpu *f)
{
    f->e.flags |= FE_I;
    f->e.up = false;
    return sf_default_nan();
}

/* one of the operands is a NaN or unsupported: the larger significand wins, a
 * quiet NaN before a signalling one */
static struct sf nan_of(struct fpu *f, struct sf a, struct sf b)
{
    if (a.cls == SF_UNSUP || b.cls == SF_UNSUP)
        return invalid(f);
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

static bool is_nan(struct sf s)
{
    return s.cls >= SF_QNAN;
}

static const struct sf_fmt *precision(const struct fpu *f)
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
    if (is_nan(a) || is_nan(b))
        return nan_of(f, a, b);
    switch (op) {
    case OP_ADD: r = sf_add(a, b, f->e.rm); break;
    case OP_MUL: r = sf_mul(a, b); break;
    case OP_SUB: r = sf_add(a, sf_neg(b), f->e.rm); break;
    case OP_SUBR: r = sf_add(b, sf_neg(a), f->e.rm); break;
    case OP_DIV: r = divide(f, a, b); break;
    default: r = divide(f, b, a); break;
    }
    if (r.cls == SF_UNSUP)
        return invalid(f);
    if ((a.den || b.den) && !(f->e.flags & FE_Z))
        f->e.flags |= FE_D;
    return stopped(f) ? r : sf_round(&f->e, r, precision(f));
}

/* ---- comparison ----------------------------------------------------------------------- */

/* C3 C2 C0 of a : b; @quiet: a QNaN is not an invalid operand */
static uint16_t relation(struct fpu *f, struct sf a, struct sf b, bool quiet)
{
    if (f->fault || is_nan(a) || is_nan(b)) {
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
    uint16_t cc = relation(f, fetch(f, 0), b, quiet);

    f->cc = cc;                                /* even when the exception is unmasked */
    f->cc_mask = FSW_CC;
    while (pops-- && !stopped(f))
        pop(f);
}

static void fcomi(struct fpu *f, bool quiet, bool pops)
{
    struct sf b = fetch(f, f->v->rm & 7);
    uint16_t cc = relation(f, fetch(f, 0), b, quiet);

    f->keep_c1 = true;
    f->cpu->tcg.fl = (cc & FSW_C3 ? TCG_FL_Z : 0) | (cc & FSW_C2 ? TCG_FL_P : 0) |
                     (cc & FSW_C0 ? TCG_FL_C : 0);
    if (pops && !stopped(f))
        pop(f);
}

static void fxam(struct fpu *f)
{
    struct sf s = sf_unpack80(get_raw(f, 0));
    static const uint16_t cls[] = {
        [SF_ZERO] = FSW_C3, [SF_NORM] = FSW_C2, [SF_INF] = FSW_C2 | FSW_C0,
        [SF_QNAN] = FSW_C0, [SF_SNAN] = FSW_C0, [SF_UNSUP] = 0,
    };

    f->cc_mask = FSW_CC;
    f->cc = empty(f, 0) ? FSW_C3 | FSW_C0 : s.den ? FSW_C3 | FSW_C2 : cls[s.cls];
    if (get_raw(f, 0).se >> 15)
        f->cc |= FSW_C1;
}

/* ---- loads and stores -------------------------------------------------------------------- */

/* @s as loaded from a 32- or 64-bit operand */
static void fld(struct fpu *f, struct sf s)
{
    want_room(f);
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
    push(f, sf_pack80(s));
}

static void fst(struct fpu *f, const struct sf_fmt *fmt, bool pops)
{
    struct sf s = fetch(f, 0);

    if (s.cls == SF_UNSUP)
        s = invalid(f);
    else if (sf_is_nan(s))
        s = nan_of(f, s, s);
    if (stopped(f))
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
        pop(f);
}

static void fst80(struct fpu *f)
{
    struct fx80 v = empty(f, 0) ? sf_pack80(fetch(f, 0)) : get_raw(f, 0);

    if (stopped(f))
        return;
    stl64(f->mem, v.m);
    stl16(f->mem + 8, v.se);
    pop(f);
}

static void fist(struct fpu *f, unsigned bits, bool trunc, bool pops)
{
    struct sf s = fetch(f, 0);

    if (trunc)
        f->e.rm = RM_ZERO;
    int64_t v = sf_to_int(&f->e, s, bits);
    if (stopped(f))
        return;
    memcpy(f->mem, &v, bits / 8);
    if (pops)
        pop(f);
}

/* FST, FSTP, FFREEP to a register */
static void fst_reg(struct fpu *f, bool pops)
{
    struct fx80 v = empty(f, 0) ? sf_pack80(fetch(f, 0)) : get_raw(f, 0);

    if (stopped(f))
        return;
    set_raw(f, f->v->rm & 7, v);
    if (pops)
        pop(f);
}

/* D9 D8+i, the undocumented FSTPNCE: FSTP that only pops when ST(0) is empty */
static void fstpnce(struct fpu *f)
{
    if (!empty(f, 0))
        set_raw(f, f->v->rm & 7, get_raw(f, 0));
    pop(f);
}

static void fbld(struct fpu *f)
{
    uint64_t v = 0;

    for (int i = 8; i >= 0; i--)
        v = v * 100 + (uint64_t)(f->mem[i] >> 4) * 10 + (f->mem[i] & 15);
    push(f, sf_pack80(sf_make(f->mem[9] >> 7, v, 0)));
}

static void fbstp(struct fpu *f)
{
    static const uint8_t indefinite[10] = { 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff };
    struct sf s = fetch(f, 0);
    uint8_t flags = f->e.flags;
    int64_t v = sf_to_int(&f->e, s, 64);
    bool bad = v >= 1000000000000000000 || v <= -1000000000000000000;

    if (bad) {
        f->e.flags = flags | FE_I;
        f->e.up = false;
    }
    if (stopped(f))
        return;
    memcpy(f->mem, indefinite, 10);
    if (!(f->e.flags & FE_I)) {
        uint64_t m = v < 0 ? -(uint64_t)v : (uint64_t)v;
        for (unsigned i = 0; i < 9; i++, m /= 100)
            f->mem[i] = (uint8_t)(m % 10 | m / 10 % 10 << 4);
        f->mem[9] = s.sign ? 0x80 : 0;
    }
    pop(f);
}

static void fxch(struct fpu *f)
{
    unsigned i = f->v->rm & 7;
    struct fx80 a = empty(f, 0) ? sf_pack80(fetch(f, 0)) : get_raw(f, 0);
    struct fx80 b = empty(f, i) ? sf_pack80(fetch(f, i)) : get_raw(f, i);

    if (stopped(f))
        return;
    set_raw(f, 0, b);
    set_raw(f, i, a);
}

static void fcmov(struct fpu *f, bool negate)
{
    static const uint32_t cond[4] = { TCG_FL_C, TCG_FL_Z, TCG_FL_C | TCG_FL_Z, TCG_FL_P };
    bool take = ((f->cpu->tcg.fl & cond[f->v->reg & 3]) != 0) != negate;
    unsigned i = f->v->rm & 7;

    f->keep_c1 = true;
    if (empty(f, 0) || empty(f, i)) {
        stack_fault(f, false);
        if (!stopped(f))
            set(f, 0, sf_default_nan());
    } else if (take) {
        set_raw(f, 0, get_raw(f, i));
    }
}

static void load_constant(struct fpu *f, unsigned n)
{
    struct sf_env e = { .rm = f->e.rm, .masked = FE_X86_ALL };
    struct sf one = sf_from_int(1);
    const struct sf *c[7] = { &one, &x87_log2_10, &x87_log2e, &x87_pi, &x87_log10_2, &x87_ln2 };

    push(f, sf_pack80(n < 6 ? sf_round(&e, *c[n], &sf_f80) : sf_zero(false)));
}

/* ---- functions of ST(0) and ST(1) ----------------------------------------------------------- */

/* one operand: deals with faults, NaNs, DE; false: the result is in ST(0) already */
static bool unary(struct fpu *f, struct sf *s)
{
    *s = fetch(f, 0);
    if (!f->fault && is_nan(*s))
        *s = nan_of(f, *s, *s);
    else if (!f->fault && s->den)
        f->e.flags |= FE_D;
    if (stopped(f))
        return false;
    if (is_nan(*s))
        set(f, 0, *s);
    return !is_nan(*s);
}

/* two operands, result to ST(@dst) and @pops */
static bool binary(struct fpu *f, struct sf *a, struct sf *b, unsigned dst, bool pops)
{
    *a = fetch(f, 0);
    *b = fetch(f, 1);
    struct sf r = sf_default_nan();
    bool nan = f->fault || is_nan(*a) || is_nan(*b);
    if (!f->fault && nan)
        r = nan_of(f, *a, *b);
    if (stopped(f) || !nan)
        return !nan;
    set(f, dst, r);
    if (pops)
        pop(f);
    return false;
}

/* unrounded (or special) result to ST(@dst) */
static void result(struct fpu *f, unsigned dst, struct sf r, bool pops)
{
    if (r.cls == SF_UNSUP)
        r = invalid(f);
    if (stopped(f))
        return;
    set(f, dst, sf_round(&f->e, r, &sf_f80));
    if (pops)
        pop(f);
}

/* ST(0) stays; a pseudo-denormal becomes the normal number it stands for */
static void unchanged(struct fpu *f)
{
    struct fx80 v = get_raw(f, 0);

    if (!stopped(f) && !(v.se & 0x7fff) && v.m >> 63) {
        v.se |= 1;
        set_raw(f, 0, v);
    }
}

static struct sf unsup(void)
{
    return (struct sf){ .cls = SF_UNSUP };
}

static void fsqrt(struct fpu *f)
{
    struct sf s = fetch(f, 0), r;

    if (f->fault || is_nan(s)) {
        r = f->fault ? s : nan_of(f, s, s);
    } else {
        r = sf_sqrt(s);
        if (r.cls == SF_UNSUP)
            r = invalid(f);
        else if (s.den)
            f->e.flags |= FE_D;
    }
    if (!stopped(f))
        set(f, 0, sf_round(&f->e, r, precision(f)));
}

static void ftst(struct fpu *f)
{
    fcom(f, sf_zero(false), false, 0);
}

static void frndint(struct fpu *f)
{
    struct sf s;

    if (unary(f, &s))
        set(f, 0, sf_rint(&f->e, s));
}

static void change_sign(struct fpu *f, bool chs)
{
    if (empty(f, 0)) {
        struct sf s = fetch(f, 0);
        if (!stopped(f))
            set(f, 0, s);
        return;
    }
    struct fx80 v = get_raw(f, 0);
    v.se = chs ? v.se ^ 0x8000 : v.se & 0x7fff;
    set_raw(f, 0, v);
}

static void f2xm1(struct fpu *f)
{
    struct sf s;

    if (!unary(f, &s))
        return;
    if (s.cls == SF_INF && s.sign)
        s = sf_from_int(-1);
    else if (s.cls == SF_NORM && s.exp <= 0)   /* beyond |1|: undefined */
        s = x87_2xm1(s);
    result(f, 0, s, false);
}

/* FSIN, FCOS, FSINCOS, FPTAN: C2 set and nothing done when |x| >= 2^63 */
enum { TRIG_SIN, TRIG_COS, TRIG_SINCOS, TRIG_TAN };

static void fault_pair(struct fpu *f)
{
    if (stopped(f))
        return;
    set(f, 0, sf_default_nan());
    rotate(f->cpu, 7);
    set(f, 0, sf_default_nan());
}

static void trig_store(struct fpu *f, unsigned kind, struct sf sine, struct sf cosine)
{
    switch (kind) {
    case TRIG_SIN:
        result(f, 0, sine, false);
        break;
    case TRIG_COS:
        result(f, 0, cosine, false);
        break;
    case TRIG_SINCOS: {
        struct sf c = sf_round(&f->e, cosine, &sf_f80);
        result(f, 0, sine, false);
        if (!stopped(f)) {
            rotate(f->cpu, 7);
            set(f, 0, c);
        }
        break;
    }
    default:
        sine = sf_divw(sine, cosine);
        if (sine.cls == SF_NORM)
            sine.m |= 1;                       /* never exact */
        result(f, 0, sine, false);
        if (!stopped(f)) {
            rotate(f->cpu, 7);
            set(f, 0, sf_from_int(1));
        }
    }
}

static void trig(struct fpu *f, unsigned kind)
{
    struct sf s = fetch(f, 0), sine, cosine = sf_from_int(1);
    bool pair = kind >= TRIG_SINCOS;

    f->cc_mask = FSW_C2;
    if (pair)
        want_room(f);
    if (f->fault && pair) {
        fault_pair(f);
        return;
    }
    if (!f->fault && s.cls == SF_NORM && s.exp >= 63) {
        f->cc = FSW_C2;
        return;
    }
    if (!f->fault && (s.cls == SF_INF || is_nan(s)))
        s = is_nan(s) ? nan_of(f, s, s) : invalid(f);
    else if (s.den)
        f->e.flags |= FE_D;
    if (stopped(f))
        return;
    if (is_nan(s)) {
        set(f, 0, s);
        if (pair) {
            rotate(f->cpu, 7);
            set(f, 0, s);
        }
        return;
    }
    sine = s;
    if (s.cls == SF_NORM)
        x87_sincos(s, &sine, &cosine);
    trig_store(f, kind, sine, cosine);
}

/* y * log2(x): the cases without a finite logarithm */
static struct sf ylog_special(struct fpu *f, struct sf x, struct sf y)
{
    if (x.sign && x.cls != SF_ZERO)
        return unsup();
    if (x.cls == SF_ZERO) {
        if (y.cls == SF_ZERO)
            return unsup();
        if (y.cls == SF_NORM)
            f->e.flags |= FE_Z;
        return sf_inf(!y.sign);
    }
    return y.cls == SF_ZERO ? unsup() : sf_inf(y.sign);    /* x = +inf */
}

static void fyl2x(struct fpu *f)
{
    struct sf x, y, r;
    bool exact = true;

    if (!binary(f, &x, &y, 1, true))
        return;
    if (x.cls == SF_NORM && !x.sign)
        r = sf_mul(y, x87_log2(x)), exact = r.cls != SF_NORM;
    else
        r = ylog_special(f, x, y);
    if (r.cls != SF_UNSUP && !(f->e.flags & FE_Z) && (x.den || y.den))
        f->e.flags |= FE_D;
    result(f, 1, r, true);
    if (!exact && !stopped(f))
        f->e.flags |= FE_P;                    /* even for a power of two */
}

static void fyl2xp1(struct fpu *f)
{
    struct sf x, y, r;

    if (!binary(f, &x, &y, 1, true))
        return;
    if (x.cls == SF_ZERO)
        r = sf_mul(y, x);
    else if (x.cls == SF_INF)
        r = x.sign || y.cls == SF_ZERO ? unsup() : sf_inf(y.sign);
    else if (x.sign && x.exp >= 0)             /* x <= -1: undefined */
        r = unsup();
    else
        r = sf_mul(y, x87_log2p1(x));
    if (r.cls != SF_UNSUP && (x.den || y.den))
        f->e.flags |= FE_D;
    result(f, 1, r, true);
}

/* atan2 where a coordinate is zero or infinite: multiples of pi / 4 */
static struct sf atan_special(struct sf y, struct sf x)
{
    static const struct sf eighth = { .cls = SF_NORM, .exp = -3, .m = (u128)1 << 126 };
    unsigned n;                                /* in units of pi / 4 */

    if (y.cls == SF_ZERO)
        n = x.sign ? 4 : 0;
    else if (x.cls == SF_ZERO || (y.cls == SF_INF && x.cls != SF_INF))
        n = 2;
    else if (y.cls == SF_INF)
        n = x.sign ? 3 : 1;
    else
        n = x.sign ? 4 : 0;                    /* x is infinite, y is not */
    struct sf r = sf_mul(sf_mul(sf_from_int(2 * (int)n), eighth), x87_pi);
    r.sign = y.sign;
    return r;
}

static void fpatan(struct fpu *f)
{
    struct sf x, y;

    if (!binary(f, &x, &y, 1, true))
        return;
    if (x.den || y.den)
        f->e.flags |= FE_D;
    result(f, 1, x.cls == SF_NORM && y.cls == SF_NORM ? x87_atan2(y, x) : atan_special(y, x), true);
}

static void fscale(struct fpu *f)
{
    struct sf a, b;
    int32_t n = 0;

    if (!binary(f, &a, &b, 0, false))
        return;
    bool den = a.den || b.den;
    if (b.cls == SF_INF) {
        if (a.cls == (b.sign ? SF_INF : SF_ZERO))
            a = unsup();
        else
            a = b.sign ? sf_zero(a.sign) : sf_inf(a.sign);
    } else if (a.cls == SF_NORM && b.cls == SF_NORM && b.exp >= 0) {
        n = b.exp > 16 ? 1 << 17 : (int32_t)(b.m >> (126 - b.exp));
        a.exp += b.sign ? -n : n;
    }
    if (a.cls != SF_UNSUP && den)
        f->e.flags |= FE_D;
    if (a.cls == SF_NORM && b.cls == SF_ZERO)
        unchanged(f);
    else
        result(f, 0, a, false);
}

static void fxtract(struct fpu *f)
{
    struct sf s = fetch(f, 0), e;

    want_room(f);
    if (f->fault) {
        fault_pair(f);
        return;
    }
    if (is_nan(s)) {
        s = e = nan_of(f, s, s);
    } else if (s.cls == SF_ZERO) {
        f->e.flags |= FE_Z;
        e = sf_inf(true);
    } else if (s.cls == SF_INF) {
        e = sf_inf(false);
    } else {
        if (s.den)
            f->e.flags |= FE_D;
        e = sf_from_int(s.exp);
        s.exp = 0;
    }
    if (stopped(f))
        return;
    set(f, 0, e);
    rotate(f->cpu, 7);
    set(f, 0, s);
}

/* ---- remainder ------------------------------------------------------------------------------- */

/* quotient bits 2..0 to C0, C3, C1 */
static void quotient_bits(struct fpu *f, uint64_t q)
{
    f->cc = (q & 4 ? FSW_C0 : 0) | (q & 2 ? FSW_C3 : 0) | (q & 1 ? FSW_C1 : 0);
}

/* |a| - |b| * q for normal operands with exponents @d >= 0 apart (-1 for FPREM1) */
static struct sf reduce(struct fpu *f, struct sf a, struct sf b, bool nearest)
{
    int d = a.exp - b.exp;
    uint64_t mb = (uint64_t)(b.m >> 63), ma = (uint64_t)(a.m >> 63);
    bool sign = a.sign;

    if (d >= 64) {                             /* partial: exponent falls by 32..63 */
        int n = 32 + d % 32;
        struct sf r = sf_make(sign, ((u128)ma << n) % mb, b.exp - 63 + d - n);
        f->cc = FSW_C2;
        return r.cls == SF_ZERO ? sf_zero(sign) : r;
    }
    u128 num = d >= 0 ? (u128)ma << d : ma, den = d >= 0 ? mb : (u128)mb << 1;
    u128 q = num / den, rem = num % den;
    int32_t unit = (d >= 0 ? b.exp : a.exp) - 63;
    if (nearest && (rem * 2 > den || (rem * 2 == den && (q & 1)))) {
        rem = den - rem;
        sign = !sign;
        q++;
    }
    quotient_bits(f, (uint64_t)q);
    return rem ? sf_make(sign, rem, unit) : sf_zero(a.sign);
}

static void fprem(struct fpu *f, bool nearest)
{
    struct sf a, b, r;

    f->cc_mask = FSW_C2;
    if (!binary(f, &a, &b, 0, false))
        return;
    if (a.cls == SF_INF || b.cls == SF_ZERO) {
        result(f, 0, unsup(), false);
        return;
    }
    if (a.den || b.den)
        f->e.flags |= FE_D;
    if (stopped(f))
        return;
    f->cc_mask = FSW_CC;
    r = a;
    if (a.cls == SF_NORM && b.cls == SF_NORM && a.exp - b.exp >= (nearest ? -1 : 0))
        r = reduce(f, a, b, nearest);
    if (b.cls == SF_INF)
        unchanged(f);                          /* and no underflow */
    else
        result(f, 0, r, false);
    f->e.up = false;                           /* C1 is a quotient bit */
}

/* ---- control -------------------------------------------------------------------------------------- */

static void fninit(struct x86_cpu *cpu)
{
    if (top(cpu))
        rotate(cpu, 8 - top(cpu));
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
    a = arith(f, digit, fetch(f, 0), b);
    if (!stopped(f))
        set(f, 0, a);
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
    case 0: push(f, sf_pack80(sf_from_int((int32_t)ldl32(f->mem)))); return true;
    case 1: fist(f, 32, true, true); return true;
    case 2: fist(f, 32, false, false); return true;
    case 3: fist(f, 32, false, true); return true;
    case 5: push(f, (struct fx80){ ldl64(f->mem), ldl16(f->mem + 8) }); return true;
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
    case 0: push(f, sf_pack80(sf_from_int((int16_t)ldl16(f->mem)))); return true;
    case 1: fist(f, 16, true, true); return true;
    case 2: fist(f, 16, false, false); return true;
    case 3: fist(f, 16, false, true); return true;
    case 4: fbld(f); return true;
    case 5: push(f, sf_pack80(sf_from_int((int64_t)ldl64(f->mem)))); return true;
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
    struct sf b = fetch(f, i);

    if (digit == OP_COM || digit == OP_COMP) {
        fcom(f, b, false, (digit == OP_COMP) + (unsigned)pops);
        return;
    }
    struct sf r = arith(f, digit, fetch(f, 0), b);
    if (stopped(f))
        return;
    set(f, dst, r);
    if (pops)
        pop(f);
}

static bool reg_d9_group(struct fpu *f, unsigned n)
{
    switch (n) {
    case 0x20: change_sign(f, true); return true;
    case 0x21: change_sign(f, false); return true;
    case 0x24: ftst(f); return true;
    case 0x25: fxam(f); return true;
    case 0x30: f2xm1(f); return true;
    case 0x31: fyl2x(f); return true;
    case 0x32: trig(f, TRIG_TAN); return true;
    case 0x33: fpatan(f); return true;
    case 0x34: fxtract(f); return true;
    case 0x35: fprem(f, true); return true;
    case 0x36: rotate(f->cpu, 7); return true;             /* FDECSTP */
    case 0x37: rotate(f->cpu, 1); return true;             /* FINCSTP */
    case 0x38: fprem(f, false); return true;
    case 0x39: fyl2xp1(f); return true;
    case 0x3A: fsqrt(f); return true;
    case 0x3B: trig(f, TRIG_SINCOS); return true;
    case 0x3C: frndint(f); return true;
    case 0x3D: fscale(f); return true;
    case 0x3E: trig(f, TRIG_SIN); return true;
    case 0x3F: trig(f, TRIG_COS); return true;
    default: return false;
    }
}

static bool reg_d9(struct fpu *f)
{
    unsigned i = f->v->rm & 7, digit = f->v->reg & 7;
    struct fx80 v;

    switch (digit) {
    case 0:
        v = empty(f, i) ? sf_pack80(fetch(f, i)) : get_raw(f, i);
        push(f, v);
        return true;
    case 1: fxch(f); return true;
    case 2: f->quiet = true; return i == 0;                /* FNOP */
    case 3: fstpnce(f); return true;
    case 5:
        if (i < 7)
            load_constant(f, i);
        return i < 7;
    default: return reg_d9_group(f, digit << 3 | i);
    }
}

static bool reg_dd(struct fpu *f)
{
    switch (f->v->reg & 7) {
    case 0:                                                /* FFREE */
        f->cpu->fx.ftw &= (uint8_t)~tag_bit(f->cpu, f->v->rm & 7);
        return true;
    case 1: fxch(f); return true;
    case 2: fst_reg(f, false); return true;
    case 3: fst_reg(f, true); return true;
    case 4: fcom(f, fetch(f, f->v->rm & 7), true, 0); return true;
    case 5: fcom(f, fetch(f, f->v->rm & 7), true, 1); return true;
    default: return false;
    }
}

static bool reg_df(struct fpu *f)
{
    switch (f->v->reg & 7) {
    case 0:                                                /* FFREEP */
        f->cpu->fx.ftw &= (uint8_t)~tag_bit(f->cpu, f->v->rm & 7);
        pop(f);
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
            fcom(f, fetch(f, 1), true, 2);                 /* FUCOMPP */
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
    if (!x87_pending(cpu))
        return false;
    if (!(v->rm_kind == VRM_MEM ? exec_mem(&f) : exec_reg(&f))) {
        log_guest(LOG_UNIMP, "x87_exec opcode=%#x reg=%u rm=%u", v->opcode, v->reg, v->rm);
        x86_raise(cpu, EXC_UD);
        return false;
    }
    finish(&f);
    return true;
}
