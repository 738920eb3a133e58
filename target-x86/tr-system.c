/*
 * tr-system.c - segments, control registers, ports and the rest of the system side
 *
 * Nearly all of it is a helper call; what is inline is what kernels do often.
 */
#include "target-x86/simd-int.h"
#include "target-x86/tr-int.h"

/* ---- segment registers ------------------------------------------------------------ */

static size_t seg_off(unsigned seg)
{
    return CPU_OFF(seg[0]) + seg * sizeof(struct x86_seg);
}

/* real and virtual-8086 mode: selector and base; limit and attributes stay */
static void load_seg_real(struct xlat *x, unsigned seg, ir_val v)
{
    ir_val t = ir_temp(x->b);

    ir_emit(x->b, IR_ZEXT, 2, t, v, IR_NONE);
    ir_ste(x->b, 2, seg_off(seg) + offsetof(struct x86_seg, sel), t);
    ir_emit_imm(x->b, IR_SHL, 4, t, t, 4);
    ir_ste(x->b, 8, seg_off(seg) + offsetof(struct x86_seg, base), t);
}

void xt_load_seg(struct xlat *x, unsigned seg, ir_val v)
{
    ir_val t;

    /* SS has a shadow; a flat segment that moves changes the mode */
    if (!xt_protected(x) && seg != S_SS && !(x->mode & MODE_FLAT_DATA)) {
        load_seg_real(x, seg, v);
        return;
    }
    t = ir_temp(x->b);
    ir_emit(x->b, IR_ZEXT, 2, t, v, IR_NONE);
    xt_lean(xt_call(x, h_mov_seg, IR_NONE, xt_imm(x, seg), t, IR_NONE));
    x->want_exit = true;
}

void tr_mov_from_seg(struct xlat *x)
{
    ir_val t = ir_temp(x->b);

    if (x->in->reg % 8 > S_GS) {
        xt_raise_ud(x);
        return;
    }
    ir_lde(x->b, 2, t, seg_off(x->in->reg % 8));
    xt_set_rm(x, x->in->mem ? 2 : x->in->opsize, t);
}

void tr_mov_to_seg(struct xlat *x)
{
    unsigned seg = x->in->reg % 8;

    if (seg > S_GS || seg == S_CS)
        xt_raise_ud(x);
    else
        xt_load_seg(x, seg, xt_rm(x, 2));
}

/* LDS and so on: the register is written when the segment is loaded */
void tr_lseg(struct xlat *x)
{
    unsigned size = x->in->opsize;
    ir_val off = ir_temp(x->b), sel = ir_temp(x->b);

    ir_ld(x->b, size, off, xt_addr(x, size, false));
    ir_ld(x->b, 2, sel, xt_addr_plus(x, size, 2, false));
    xt_call(x, h_lseg, IR_NONE, xt_imm(x, x->row->arg), sel, IR_NONE);
    xt_set_reg(x, x->in->reg, size, off);
}

static ir_val rpl_of(struct xlat *x, ir_val selector)
{
    ir_val t = ir_temp(x->b);

    ir_emit_imm(x->b, IR_AND, 4, t, selector, 3);
    return t;
}

/* Memory is written only when the RPL changes: else a read-only page is no fault. */
static void arpl_mem(struct xlat *x)
{
    ir_val d = ir_temp(x->b), t = ir_temp(x->b), addr = xt_addr(x, 2, false), old, new_;
    uint16_t keep = ir_label(x->b), done = ir_label(x->b);

    ir_ld(x->b, 2, d, addr);
    old = rpl_of(x, d);
    new_ = rpl_of(x, x->in->reg);
    ir_brcmp(x->b, IRC_GEU, 4, old, new_, keep);
    addr = xt_addr(x, 2, true);
    ir_emit(x->b, IR_LDW, 2, d, addr, IR_NONE);
    xt_call(x, h_arpl, t, d, x->in->reg, IR_NONE);
    ir_st(x->b, 2, addr, t);
    ir_br(x->b, done);
    ir_set_label(x->b, keep);
    xt_call(x, h_arpl, t, d, x->in->reg, IR_NONE);
    ir_set_label(x->b, done);
}

void tr_arpl(struct xlat *x)
{
    ir_val t;

    if (x->in->mem) {
        arpl_mem(x);
        return;
    }
    t = ir_temp(x->b);
    xt_call(x, h_arpl, t, x->in->rm, x->in->reg, IR_NONE);
    ir_mov(x->b, 2, x->in->rm, t);
}

/* selector operands are 16 bits whatever else the register holds */
static ir_val selector(struct xlat *x)
{
    ir_val t = ir_temp(x->b);

    ir_emit(x->b, IR_ZEXT, 2, t, xt_rm(x, 2), IR_NONE);
    return t;
}

void tr_lar(struct xlat *x)
{
    ir_val t = ir_temp(x->b);

    xt_call(x, x->row->arg ? h_lsl : h_lar, t, selector(x), IR_NONE, IR_NONE);
    ir_emit(x->b, IR_CMOV, x->in->opsize, x->in->reg, x->in->reg, t)->cc = IRC_Z;
}

void tr_verr(struct xlat *x)
{
    ir_val sel = selector(x);

    xt_call(x, h_verr, IR_NONE, sel, IR_IMM, IR_NONE)->imm = x->row->arg;
}

void tr_store_sel(struct xlat *x)
{
    ir_val t = ir_temp(x->b);

    xt_call(x, x->row->arg ? h_str : h_sldt, t, IR_NONE, IR_NONE, IR_NONE);
    xt_set_rm(x, x->in->mem ? 2 : x->in->opsize, t);
}

void tr_load_sel(struct xlat *x)
{
    xt_call(x, x->row->arg ? h_ltr : h_lldt, IR_NONE, selector(x), IR_NONE, IR_NONE);
}

/* ---- descriptor tables, control and debug registers ------------------------------------ */

static void table_op(struct xlat *x, ir_helper fn, bool write)
{
    unsigned size = xt_64(x) ? 8 : x->in->opsize;
    ir_val addr = xt_addr(x, xt_64(x) ? 10 : 6, write);

    xt_call(x, fn, IR_NONE, addr, IR_IMM, xt_imm(x, x->row->arg))->imm = size;
}

void tr_sgdt(struct xlat *x)
{
    table_op(x, h_sgdt, true);
}

void tr_lgdt(struct xlat *x)
{
    table_op(x, h_lgdt, false);
}

void tr_smsw(struct xlat *x)
{
    ir_val t = ir_temp(x->b);

    xt_call(x, h_smsw, t, IR_NONE, IR_NONE, IR_NONE);
    xt_set_rm(x, x->in->mem ? 2 : x->in->opsize, t);
}

void tr_lmsw(struct xlat *x)
{
    ir_val v = selector(x);

    xt_call(x, h_lmsw, IR_NONE, IR_NONE, v, IR_NONE);
}

static bool cr_exists(const struct xlat *x, unsigned n)
{
    return n == 0 || n == 2 || n == 3 || n == 4 || (n == 8 && xt_64(x));
}

static unsigned creg_bytes(const struct xlat *x)
{
    return xt_64(x) ? 8 : 4;
}

/* those of CR8 ask the local APIC */
static void lean_cr(struct xlat *x, ir_helper fn, struct ir_op *op)
{
    if ((fn == h_mov_from_cr || fn == h_mov_to_cr) && x->in->reg != 8)
        xt_lean(op);
}

static void mov_from(struct xlat *x, bool exists, ir_helper fn)
{
    ir_val t = ir_temp(x->b);

    if (!exists) {
        xt_raise_ud(x);
        return;
    }
    lean_cr(x, fn, xt_call_i(x, fn, t, x->in->reg, 0, 0));
    ir_mov(x->b, creg_bytes(x), x->in->rm, t);
}

static void mov_to(struct xlat *x, bool exists, ir_helper fn)
{
    ir_val v = x->in->rm;

    if (!exists) {
        xt_raise_ud(x);
        return;
    }
    if (creg_bytes(x) == 4) {
        v = ir_temp(x->b);
        ir_emit(x->b, IR_ZEXT, 4, v, x->in->rm, IR_NONE);
    }
    lean_cr(x, fn, xt_call(x, fn, IR_NONE, xt_imm(x, x->in->reg), v, IR_NONE));
}

void tr_mov_from_cr(struct xlat *x)
{
    mov_from(x, cr_exists(x, x->in->reg), h_mov_from_cr);
}

void tr_mov_to_cr(struct xlat *x)
{
    mov_to(x, cr_exists(x, x->in->reg), h_mov_to_cr);
}

void tr_mov_from_dr(struct xlat *x)
{
    mov_from(x, x->in->reg < 8, h_mov_from_dr);
}

void tr_mov_to_dr(struct xlat *x)
{
    mov_to(x, x->in->reg < 8, h_mov_to_dr);
}

/* ---- ports ---------------------------------------------------------------------------------- */

static ir_val port_operand(struct xlat *x)
{
    ir_val t;

    if (xt_opnd_is_imm(x->row->a))
        return xt_imm(x, x->in->imm & 0xff);
    t = ir_temp(x->b);
    ir_emit(x->b, IR_ZEXT, 2, t, G_RDX, IR_NONE);
    return t;
}

void tr_in(struct xlat *x)
{
    unsigned size = opnd_bytes(x->in, x->row->dst);
    ir_val t = ir_temp(x->b), port = port_operand(x);

    xt_call(x, h_in, t, port, IR_IMM, IR_NONE)->imm = size;
    ir_mov(x->b, size, G_RAX, t);
}

void tr_out(struct xlat *x)
{
    unsigned size = opnd_bytes(x->in, x->row->b);
    ir_val port = port_operand(x), v = ir_temp(x->b);

    ir_emit(x->b, IR_ZEXT, size, v, G_RAX, IR_NONE);
    xt_call(x, h_out, IR_NONE, port, IR_IMM, v)->imm = size;
    x->poll = true;       /* what the device asks of the CPU comes before the next instruction */
}

/* ---- the rest: one helper each ------------------------------------------------------------------ */

void tr_hlt(struct xlat *x)
{
    xt_call_i(x, h_hlt, IR_NONE, 0, 0, x->next_off);
    xt_exit(x, x->next_off);
}

void tr_clts(struct xlat *x)
{
    xt_lean(xt_call_i(x, h_clts, IR_NONE, 0, 0, 0));
}

void tr_invlpg(struct xlat *x)
{
    ir_val off = xt_ea(x, 0), lin = off;

    /* an address, not an access: no limit check in 64-bit code, none that matters elsewhere */
    if (!xt_64(x) || x->in->seg >= S_FS) {
        lin = ir_temp(x->b);
        ir_lde(x->b, 8, lin, seg_off(x->in->seg) + offsetof(struct x86_seg, base));
        ir_lea(x->b, xt_64(x) ? 8 : 4, lin, lin, off, 0, 0);
    }
    xt_lean(xt_call(x, h_invlpg, IR_NONE, lin, IR_NONE, IR_NONE));
}

void tr_invpcid(struct xlat *x)
{
    ir_val type = xt_get(x, x->row->a), addr = xt_addr(x, 16, false);

    xt_call(x, h_invpcid, IR_NONE, type, addr, IR_NONE);
}

void tr_wrmsr(struct xlat *x)
{
    xt_call_i(x, h_wrmsr, IR_NONE, 0, 0, x->next_off);
}

void tr_rdmsr(struct xlat *x)
{
    xt_call_i(x, h_rdmsr, IR_NONE, 0, 0, 0);
}

/* KVM's hypercalls; without its interfaces there is no hypervisor to call. */
void tr_vmcall(struct xlat *x)
{
    if (x->cpu->model->pv)
        xt_call_i(x, h_vmcall, IR_NONE, 0, 0, x->next_off);
    else
        xt_raise_ud(x);
}

void tr_rdpmc(struct xlat *x)
{
    xt_call_i(x, h_rdpmc, IR_NONE, 0, 0, 0);
}

void tr_rdtsc(struct xlat *x)
{
    ir_val t = ir_temp(x->b);

    xt_lean(xt_call_i(x, h_rdtsc, t, 0, 0, 0));
    ir_mov(x->b, 4, G_RAX, t);
    ir_emit_imm(x->b, IR_SHR, 8, t, t, 32);
    ir_mov(x->b, 4, G_RDX, t);
}

void tr_rdtscp(struct xlat *x)
{
    xt_lean(xt_call_i(x, h_rdtscp, IR_NONE, 0, 0, 0));
}

void tr_cpuid(struct xlat *x)
{
    xt_call_i(x, h_cpuid, IR_NONE, 0, 0, 0);
}

void tr_xgetbv(struct xlat *x)
{
    xt_call_i(x, h_xgetbv, IR_NONE, 0, 0, 0);
}

void tr_xsetbv(struct xlat *x)
{
    xt_call_i(x, h_xsetbv, IR_NONE, 0, 0, 0);
}

void tr_rdpkru(struct xlat *x)
{
    xt_lean(xt_call_i(x, h_rdpkru, IR_NONE, 0, 0, 0));
}

void tr_wrpkru(struct xlat *x)
{
    xt_lean(xt_call_i(x, h_wrpkru, IR_NONE, 0, 0, 0));
}

void tr_wbinvd(struct xlat *x)
{
    xt_call_i(x, h_wbinvd, IR_NONE, 0, 0, 0);
}

void tr_monitor(struct xlat *x)
{
    const struct x86_insn *in = x->in;
    ir_val off = G_RAX, byte = ir_temp(x->b);

    xt_call_i(x, x->row->arg ? h_mwait : h_monitor, IR_NONE, 0, 0, x->next_off);
    if (x->row->arg)
        return;
    if (in->addrsize != 8) {             /* MONITOR reads a byte */
        off = ir_temp(x->b);
        ir_emit(x->b, IR_ZEXT, in->addrsize, off, G_RAX, IR_NONE);
    }
    ir_emit(x->b, IR_LDM, 1, byte, xt_lin(x, off, in->seg_ovr == REGNO_NONE ? S_DS : in->seg_ovr, 1, false),
            IR_NONE);
}

/* the row has asked for 64-bit code and CPL 0 */
void tr_swapgs(struct xlat *x)
{
    size_t at = seg_off(S_GS) + offsetof(struct x86_seg, base);
    ir_val gs = ir_temp(x->b), kernel_gs = ir_temp(x->b);

    ir_lde(x->b, 8, gs, at);
    ir_lde(x->b, 8, kernel_gs, CPU_OFF(kernel_gs_base));
    ir_ste(x->b, 8, at, kernel_gs);
    ir_ste(x->b, 8, CPU_OFF(kernel_gs_base), gs);
}

void tr_rdpid(struct xlat *x)
{
    ir_val t = ir_temp(x->b);

    xt_call_i(x, h_rdpid, t, 0, 0, 0);
    ir_mov(x->b, creg_bytes(x), x->in->rm, t);
}

/* arg: 0 rdfs, 1 rdgs, 2 wrfs, 3 wrgs */
void tr_fsgsbase(struct xlat *x)
{
    unsigned size = x->in->opsize == 8 ? 8 : 4;
    ir_val t = ir_temp(x->b), kind = xt_imm(x, x->row->arg), sz = xt_imm(x, size);

    xt_lean(xt_call(x, h_fsgsbase, t, kind, x->in->rm, sz));
    if (x->row->arg < 2)
        ir_mov(x->b, size, x->in->rm, t);
}

void tr_rdrand(struct xlat *x)
{
    ir_val t = ir_temp(x->b);

    xt_call_i(x, h_rdrand, t, x->in->opsize, 0, 0);
    ir_mov(x->b, x->in->opsize, x->in->rm, t);
}

/* faults as a load does; there is no cache to flush */
void tr_clflush(struct xlat *x)
{
    ir_val addr = xt_addr(x, 1, false);

    ir_ld(x->b, 1, ir_temp(x->b), addr);
}

/** tr_movdir64b() - to ES:[reg], by address size; one piece here only as far as vCPUs that do not
 *  look in between can tell. Source: SDM vol. 2B, MOVDIR64B. */
void tr_movdir64b(struct xlat *x)
{
    ir_val from = xt_addr(x, 64, false), off = ir_temp(x->b);

    ir_emit(x->b, IR_ZEXT, x->in->addrsize, off, x->in->reg, IR_NONE);
    xt_call(x, h_movdir64b, IR_NONE, xt_lin(x, off, S_ES, 64, true), from, IR_NONE);
}

/** tr_clzero() - zero the cache line at DS:[rAX]. Source: APM vol. 3, CLZERO. */
void tr_clzero(struct xlat *x)
{
    const struct x86_insn *in = x->in;
    ir_val off = ir_temp(x->b);

    ir_emit(x->b, IR_ZEXT, in->addrsize, off, G_RAX, IR_NONE);
    ir_emit_imm(x->b, IR_AND, 8, off, off, -64);
    off = xt_lin(x, off, in->seg_ovr == REGNO_NONE ? S_DS : in->seg_ovr, 64, true);
    xt_call(x, h_clzero, IR_NONE, off, IR_NONE, IR_NONE);
}

void tr_fence(struct xlat *x)
{
    ir_emit(x->b, IR_FENCE, 0, IR_NONE, IR_NONE, IR_NONE);
}
