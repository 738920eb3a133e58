/*
 * tr-mem.c - operands: registers, effective addresses, segment checks
 *
 * In flat modes an address costs at most one LEA. Elsewhere the limit is
 * checked inline; the failing path stands behind the block's end.
 */
#include "target-x86/tr-int.h"

ir_val xt_imm(struct xlat *x, uint64_t v)
{
    ir_val t = ir_temp(x->b);

    ir_movi(x->b, t, v);
    return t;
}

/* ---- effective address ---------------------------------------------------------- */

/* d = base + index << sc + disp in @size bytes, whatever the displacement */
static void lea_any(struct xlat *x, unsigned size, ir_val d, ir_val base, ir_val index,
                    unsigned sc, int64_t disp)
{
    if (base == IR_NONE && index == IR_NONE) {
        ir_movi(x->b, d, size == 4 ? (uint32_t)disp : (uint64_t)disp);
        return;
    }
    if (disp != (int32_t)disp && size == 8) {   /* RIP-relative at the far edge */
        ir_val t = ir_temp(x->b);
        ir_lea(x->b, 8, t, base, index, sc, disp / 2);
        ir_lea(x->b, 8, d, t, IR_NONE, 0, disp - disp / 2);
        return;
    }
    ir_lea(x->b, size, d, base, index, sc, (int32_t)disp);
}

/* base register as an operand; for RIP, pcbase, with the rest added to @disp */
static ir_val ea_base(struct xlat *x, int64_t *disp)
{
    ir_val t;

    if (x->in->base == REGNO_NONE)
        return IR_NONE;
    if (x->in->base != REGNO_RIP)
        return x->in->base;
    t = ir_temp(x->b);
    ir_lde(x->b, 8, t, CPU_OFF(tcg.pcbase));
    *disp += x->next_off;
    return t;
}

static ir_val ea16(struct xlat *x, int64_t plus)
{
    const struct x86_insn *in = x->in;
    int64_t disp = in->disp + plus;
    ir_val t;

    if (in->base == REGNO_NONE)
        return xt_imm(x, (uint16_t)disp);
    t = ir_temp(x->b);
    if (in->index == REGNO_NONE && !disp) {
        ir_emit(x->b, IR_ZEXT, 2, t, in->base, IR_NONE);
        return t;
    }
    ir_lea(x->b, 4, t, in->base, in->index == REGNO_NONE ? IR_NONE : in->index, 0, disp);
    ir_emit(x->b, IR_ZEXT, 2, t, t, IR_NONE);
    return t;
}

ir_val xt_ea(struct xlat *x, int64_t plus)
{
    const struct x86_insn *in = x->in;
    int64_t disp = in->disp + plus;
    ir_val base, index, t;

    if (in->addrsize == 2)
        return ea16(x, plus);
    base = ea_base(x, &disp);
    index = in->index == REGNO_NONE ? IR_NONE : in->index;
    /* the register itself, where its upper half can't be set */
    if (base != IR_NONE && index == IR_NONE && !disp &&
        (in->addrsize == 8 || !(x->mode & MODE_LONG)))
        return base;
    t = ir_temp(x->b);
    lea_any(x, in->addrsize, t, base, index, in->scale, disp);
    return t;
}

/* ---- segmentation --------------------------------------------------------------------- */

enum seg_how { SEG_FLAT, SEG_BASE, SEG_CHECK };

static enum seg_how seg_how(const struct xlat *x, unsigned seg)
{
    if (seg == S_FS || seg == S_GS)
        return xt_64(x) || (x->mode & MODE_FLAT_FSGS) ? SEG_BASE : SEG_CHECK;
    if (xt_64(x))
        return SEG_FLAT;
    return seg != S_CS && (x->mode & MODE_FLAT_DATA) ? SEG_FLAT : SEG_CHECK;
}

bool xt_seg_is_flat(const struct xlat *x, unsigned seg) { return seg_how(x, seg) == SEG_FLAT; }

static ir_val seg_base(struct xlat *x, unsigned seg)
{
    ir_val t = ir_temp(x->b);

    ir_lde(x->b, 8, t, CPU_OFF(seg[0].base) + seg * sizeof(struct x86_seg));
    return t;
}

struct x86_slow *xt_slow_path(struct xlat *x, ir_val off, uint32_t what)
{
    struct x86_slow *s;

    if (x->n_slow >= X_MAX_SLOW) {
        x->b->overflow = true;
        return &x->slow[X_MAX_SLOW - 1];
    }
    s = &x->slow[x->n_slow++];
    s->label = ir_label(x->b);
    s->len = x->in->len;
    s->off = off;
    s->what = what;
    s->pcoff = x->pcoff;
    return s;
}

/* lo <= off and off + size - 1 <= hi, or to the slow path, which raises */
static void check_limit(struct xlat *x, ir_val off, unsigned seg, unsigned size, bool write)
{
    size_t s = CPU_OFF(seg[0]) + seg * sizeof(struct x86_seg);
    uint32_t what = seg | size << 8 | (write ? SEG_CHECK_WRITE : 0);
    ir_val hi, last = off;
    struct x86_slow *sp;

    if (x->unchecked)
        return;
    if (x->masked) {         /* only elements that are accessed count */
        xt_call(x, h_seg_check, IR_NONE, off, IR_IMM, IR_NONE)->imm = what | SEG_CHECK_MASK(x->masked);
        return;
    }
    sp = xt_slow_path(x, off, what);
    hi = ir_temp(x->b);
    ir_lde(x->b, 4, hi, s + (write ? offsetof(struct x86_seg, hi_w)
                                   : offsetof(struct x86_seg, hi_r)));
    if (size > 1) {
        last = ir_temp(x->b);
        ir_lea(x->b, 8, last, off, IR_NONE, 0, size - 1);
    }
    ir_brcmp(x->b, IRC_GTU, 8, last, hi, sp->label);
    /* where nothing may be accessed hi is 0: only one byte at offset 0 gets this far */
    if (x->mode & MODE_PE && !(x->mode & MODE_VM86) && (size == 1 || x->mode & MODE_LOWER)) {
        ir_val lo = ir_temp(x->b);
        ir_lde(x->b, 4, lo, s + (write ? offsetof(struct x86_seg, lo_w) : offsetof(struct x86_seg, lo)));
        ir_brcmp(x->b, IRC_LTU, 4, off, lo, sp->label);
    }
}

/* bits 63..47 are all equal: shifted down they are 0 or -1 */
void xt_check_canonical(struct xlat *x, ir_val pc)
{
    struct x86_slow *sp = xt_slow_path(x, pc, SEG_CHECK_CANONICAL);
    ir_val t = ir_temp(x->b);

    ir_emit_imm(x->b, IR_SAR, 8, t, pc, 47);
    ir_lea(x->b, 8, t, t, IR_NONE, 0, 1);
    ir_brcmpi(x->b, IRC_GTU, 8, t, 1, sp->label);
}

static void check_dr(struct xlat *x, ir_val lin, unsigned size, bool write)
{
    if (x->mode & MODE_DR)
        xt_call(x, h_dr_check, IR_NONE, lin, IR_IMM, IR_NONE)->imm = size | write << 8;
}

/* words, doublewords, quadwords; pointers and x87 operands as their parts */
static void check_align(struct xlat *x, ir_val lin, unsigned size, bool write)
{
    unsigned align = MIN(size & -size, 8u);

    if (!(x->mode & MODE_AC) || size < 2 || size > 10)
        return;
    if (size == 10)
        align = 8;
    xt_call(x, h_align_check, IR_NONE, lin, IR_IMM, IR_NONE)->imm = align | write << 8;
}

ir_val xt_lin(struct xlat *x, ir_val off, unsigned seg, unsigned size, bool write)
{
    enum seg_how how = seg_how(x, seg);
    ir_val lin = off;

    if (how == SEG_CHECK) {
        if (off < x->b->target->n_globals && (x->mode & MODE_LONG)) {
            lin = ir_temp(x->b);
            ir_emit(x->b, IR_ZEXT, 4, lin, off, IR_NONE);
            off = lin;
        }
        check_limit(x, off, seg, size, write);
    }
    if (how != SEG_FLAT) {
        ir_val base = seg_base(x, seg);
        lin = ir_temp(x->b);
        ir_lea(x->b, xt_64(x) ? 8 : 4, lin, base, off, 0, 0);
    }
    check_dr(x, lin, size, write);
    check_align(x, lin, size, write);
    return lin;
}

/* FS:[reg + disp] in 64-bit code: thread and per-CPU data, one LEA */
static ir_val addr_fsgs(struct xlat *x, int64_t plus)
{
    const struct x86_insn *in = x->in;
    ir_val base = seg_base(x, in->seg), t = ir_temp(x->b);

    ir_lea(x->b, 8, t, base, in->base == REGNO_NONE ? IR_NONE : in->base, 0, in->disp + plus);
    return t;
}

ir_val xt_addr_plus(struct xlat *x, int64_t plus, unsigned size, bool write)
{
    const struct x86_insn *in = x->in;

    if (xt_64(x) && in->seg >= S_FS && in->addrsize == 8 && in->index == REGNO_NONE &&
        in->base != REGNO_RIP) {
        ir_val lin = addr_fsgs(x, plus);
        check_dr(x, lin, size, write);
        check_align(x, lin, size, write);
        return lin;
    }
    return xt_lin(x, xt_ea(x, plus), in->seg, size, write);
}

ir_val xt_addr(struct xlat *x, unsigned size, bool write)
{
    return xt_addr_plus(x, 0, size, write);
}

/* ---- registers -------------------------------------------------------------------------- */

bool xt_is_high(const struct xlat *x, unsigned n, unsigned size)
{
    return size == 1 && n >= 4 && n < 8 && !x->in->rex;
}

ir_val xt_reg(struct xlat *x, unsigned n, unsigned size)
{
    ir_val t;

    if (!xt_is_high(x, n, size))
        return n;
    t = ir_temp(x->b);
    ir_emit(x->b, IR_EXTH, 1, t, n - 4, IR_NONE);
    return t;
}

void xt_set_reg(struct xlat *x, unsigned n, unsigned size, ir_val v)
{
    if (xt_is_high(x, n, size))
        ir_emit(x->b, IR_DEPH, 1, n - 4, v, IR_NONE);
    else
        ir_mov(x->b, size, n, v);
}

ir_val xt_rm(struct xlat *x, unsigned size)
{
    ir_val t, addr;

    if (!x->in->mem)
        return xt_reg(x, x->in->rm, size);
    addr = xt_addr(x, size, false);
    t = ir_temp(x->b);
    ir_ld(x->b, size, t, addr);
    return t;
}

void xt_set_rm(struct xlat *x, unsigned size, ir_val v)
{
    if (x->in->mem)
        ir_st(x->b, size, xt_addr(x, size, true), v);
    else
        xt_set_reg(x, x->in->rm, size, v);
}

/* ---- operands by letter -------------------------------------------------------------------- */

int xt_opnd_reg(const struct xlat *x, unsigned o)
{
    const struct x86_insn *in = x->in;

    switch (opnd_kind(o)) {
    case K_E: return in->mem ? -1 : in->rm;
    case K_R: return in->rm;
    case K_G: return in->reg;
    case K_Z: return (in->opcode & 7) | (in->rex & 1) << 3;
    case K_A: return R_AX;
    case K_C: return R_CX;
    case K_D: return R_DX;
    case K_B: return in->vvvv;
    default: return -1;
    }
}

bool xt_opnd_is_imm(unsigned o)
{
    enum opnd_kind k = opnd_kind(o);

    return k == K_I || k == K_Iw || k == K_Iz || k == K_Iv || k == K_One;
}

int64_t xt_opnd_imm(const struct xlat *x, unsigned o)
{
    return opnd_kind(o) == K_One ? 1 : x->in->imm;
}

ir_val xt_opnd_addr(struct xlat *x, unsigned o, bool write)
{
    unsigned size = opnd_bytes(x->in, o);

    if (opnd_kind(o) == K_O) {
        unsigned seg = x->in->seg_ovr == REGNO_NONE ? S_DS : x->in->seg_ovr;
        return xt_lin(x, xt_imm(x, x->in->imm), seg, size, write);
    }
    return xt_addr(x, size, write);
}

ir_val xt_get(struct xlat *x, unsigned o)
{
    unsigned size = opnd_bytes(x->in, o);
    int reg = xt_opnd_reg(x, o);
    ir_val addr, t;

    if (reg >= 0)
        return xt_reg(x, reg, size);
    if (xt_opnd_is_imm(o))
        return xt_imm(x, xt_opnd_imm(x, o));
    addr = xt_opnd_addr(x, o, false);
    t = ir_temp(x->b);
    ir_ld(x->b, size, t, addr);
    return t;
}

void xt_put(struct xlat *x, unsigned o, ir_val v)
{
    unsigned size = opnd_bytes(x->in, o);
    int reg = xt_opnd_reg(x, o);

    if (reg >= 0)
        xt_set_reg(x, reg, size, v);
    else
        ir_st(x->b, size, xt_opnd_addr(x, o, true), v);
}

ir_val xt_copy(struct xlat *x, ir_val v)
{
    ir_val t = ir_temp(x->b);

    ir_mov(x->b, 8, t, v);
    return t;
}
