/*
 * far.c - far JMP, CALL, RET and IRET in all modes, with gates and stack switches
 *
 * Source: Intel SDM vol. 2 (JMP, CALL, RET, IRET), vol. 3, 5.8, 6.12, 6.14, 20.2.
 */
#include "target-x86/system-int.h"

static uint64_t op_mask(unsigned size)
{
    return size_mask(size);
}

static void log_far(const struct x86_cpu *cpu, const char *what, uint16_t sel, uint64_t off)
{
    log_ev(LOG_PCALL, "%s sel=%#x off=%#llx cpl=%u pc=%#llx", what, sel, (unsigned long long)off,
           cpu->cpl, (unsigned long long)tcg_cur_pc(&cpu->tcg));
}

/** push_return() - CS and the return address */
static bool push_return(struct x86_cpu *cpu, struct x86_stack *st, unsigned size, uint64_t pc)
{
    return x86_push(cpu, st, size, cpu->seg[S_CS].sel) && x86_push(cpu, st, size, pc);
}

static uint64_t go(struct x86_cpu *cpu, uint64_t pc)
{
    x86_set_pc(cpu, pc);
    x86_update_mode(cpu);
    return 1;
}

/* ---- real mode, VM86 ---------------------------------------------------------------- */

static uint64_t real_transfer(struct x86_cpu *cpu, uint16_t sel, uint64_t off,
                              const struct x86_stack *st)
{
    uint32_t limit = x86_vm86(cpu) ? 0xffff : cpu->seg[S_CS].limit;

    if (off > limit)
        return x86_gp0(cpu);
    if (st)
        x86_stack_commit(cpu, st);
    x86_load_real_seg(cpu, S_CS, sel);
    return go(cpu, off);
}

/* ---- JMP, CALL: protected mode --------------------------------------------------------- */

/**
 * struct transfer - a far JMP or CALL under way
 * @ret_pc: return address of a CALL
 * @size: operand size, then that of the gate
 */
struct transfer {
    bool call;
    uint16_t sel;
    uint64_t off, ret_pc;
    unsigned size;
};

/** enter_code() - last steps of a transfer without a change of stack */
static bool enter_code(struct x86_cpu *cpu, const struct transfer *t, struct x86_desc *d)
{
    struct x86_stack st;
    struct x86_seg cs;

    x86_seg_fill(&cs, (t->sel & ~3) | cpu->cpl, d);
    x86_stack_current(cpu, &st);
    if ((t->call && !x86_stack_room(cpu, &st, 2, t->size)) || !x86_code_limit(cpu, &cs, t->off))
        return false;
    if ((t->call && !push_return(cpu, &st, t->size, t->ret_pc)) || !x86_desc_accessed(cpu, d))
        return false;
    if (t->call)
        x86_stack_commit(cpu, &st);
    cs.attr |= 1;
    x86_set_cs(cpu, &cs, cpu->cpl);
    return go(cpu, t->off);
}

/** copy_params() - @n parameters of @size bytes from the current stack to @to */
static bool copy_params(struct x86_cpu *cpu, struct x86_stack *to, unsigned n, unsigned size)
{
    struct x86_stack from;
    uint64_t v;

    for (unsigned i = n; i-- > 0;) {
        x86_stack_current(cpu, &from);
        from.sp = (from.sp & ~from.mask) | ((from.sp + i * size) & from.mask);
        if (!x86_pop(cpu, &from, size, &v) || !x86_push(cpu, to, size, v))
            return false;
    }
    return true;
}

/** inner_stack() - the stack of privilege @dpl for a call gate, 16/32 or 64 bit */
static bool inner_stack(struct x86_cpu *cpu, unsigned dpl, struct x86_stack *st)
{
    if (!x86_lma(cpu))
        return x86_tss_stack(cpu, dpl, st);
    x86_seg_null(&st->ss, dpl);
    st->mask = ~0ull;
    st->err = 0;
    st->long_mode = st->sys = true;
    return x86_tss_rsp(cpu, dpl, 0, &st->sp);
}

/** call_inner() - CALL through a gate to more privileged code (SDM vol. 3, 5.8.5) */
static bool call_inner(struct x86_cpu *cpu, const struct transfer *t, struct x86_desc *d,
                       unsigned params)
{
    unsigned dpl = desc_dpl(d);
    struct x86_stack st;
    struct x86_seg cs;

    if (x86_lma(cpu))
        params = 0;
    x86_seg_fill(&cs, (t->sel & ~3) | dpl, d);
    if (!inner_stack(cpu, dpl, &st) || !x86_stack_room(cpu, &st, 4 + params, t->size) ||
        !x86_code_limit(cpu, &cs, t->off))
        return false;
    if (!x86_push(cpu, &st, t->size, cpu->seg[S_SS].sel) ||
        !x86_push(cpu, &st, t->size, GPR(cpu, R_SP)) ||
        !copy_params(cpu, &st, params, t->size) ||
        !push_return(cpu, &st, t->size, t->ret_pc) || !x86_desc_accessed(cpu, d))
        return false;
    cs.attr |= 1;
    cpu->seg[S_SS] = st.ss;
    x86_set_cs(cpu, &cs, dpl);
    x86_stack_commit(cpu, &st);
    return go(cpu, t->off);
}

/** gate_target() - selector and offset that gate @g gives; size follows its type */
static bool gate_target(struct x86_cpu *cpu, struct transfer *t, const struct x86_desc *g)
{
    uint64_t upper = 0;

    if (x86_lma(cpu) && !x86_desc_upper(cpu, t->sel, g, &upper))
        return false;
    t->size = x86_lma(cpu) ? 8 : desc_type(g) == DT_CALL16 ? 2 : 4;
    t->off = desc_gate_off(g) | upper << 32;
    if (t->size == 2)
        t->off &= 0xffff;
    t->sel = desc_gate_sel(g);
    return true;
}

static bool call_gate(struct x86_cpu *cpu, struct transfer *t, const struct x86_desc *g)
{
    unsigned params = g->raw >> 32 & 0x1f;
    struct x86_desc d;
    bool same;

    if (!gate_target(cpu, t, g))
        return false;
    if (sel_null(t->sel))
        return x86_gp0(cpu);
    if (!x86_desc_read(cpu, t->sel, &d, EXC_GP))
        return false;
    if (x86_lma(cpu) && (d.attr & (SEG_L | SEG_DB)) != SEG_L)
        return x86_fault(cpu, EXC_GP, sel_err(t->sel));
    same = desc_conforming(&d) || desc_dpl(&d) == cpu->cpl;
    if (!t->call && !same)                /* JMP never changes privilege */
        return x86_fault(cpu, EXC_GP, sel_err(t->sel));
    if (!x86_check_code(cpu, t->sel, &d, true))
        return false;
    return same ? enter_code(cpu, t, &d) : call_inner(cpu, t, &d, params);
}

static bool task_transfer(struct x86_cpu *cpu, const struct transfer *t, uint16_t sel)
{
    struct x86_desc d;

    return x86_task_tss(cpu, sel, &d) &&
           x86_task_switch(cpu, sel, &d, t->call ? TASK_CALL : TASK_JMP, t->ret_pc);
}

/** system_transfer() - the selector named a system descriptor */
static bool system_transfer(struct x86_cpu *cpu, struct transfer *t, const struct x86_desc *d)
{
    unsigned type = desc_type(d);
    uint32_t types = BIT(DT_CALL32);

    if (!x86_lma(cpu))
        types |= BIT(DT_CALL16) | BIT(DT_TASK) | BIT(DT_TSS16) | BIT(DT_TSS32);
    if (!(types >> type & 1) || desc_dpl(d) < cpu->cpl || desc_dpl(d) < (t->sel & 3u))
        return x86_fault(cpu, EXC_GP, sel_err(t->sel));
    if (type == DT_TSS16 || type == DT_TSS32)
        return task_transfer(cpu, t, t->sel);
    if (!desc_present(d))
        return x86_fault(cpu, EXC_NP, sel_err(t->sel));
    if (type == DT_TASK)
        return task_transfer(cpu, t, desc_gate_sel(d));
    return call_gate(cpu, t, d);
}

static bool transfer(struct x86_cpu *cpu, struct transfer *t)
{
    struct x86_desc d;

    log_far(cpu, t->call ? "lcall" : "ljmp", t->sel, t->off);
    if (sel_null(t->sel))
        return x86_gp0(cpu);
    if (!x86_desc_read(cpu, t->sel, &d, EXC_GP))
        return false;
    if (desc_system(&d))
        return system_transfer(cpu, t, &d);
    return x86_check_code(cpu, t->sel, &d, false) && enter_code(cpu, t, &d);
}

uint64_t h_jmp_far(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    struct transfer t = { .sel = a, .size = c >> 32, .ret_pc = x86_next_pc(cpu, c) };

    t.off = b & op_mask(t.size);
    if (!x86_pe(cpu))
        return real_transfer(cpu, t.sel, t.off, NULL);
    return transfer(cpu, &t);
}

uint64_t h_call_far(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    struct transfer t = { .call = true, .sel = a, .size = c >> 32, .ret_pc = x86_next_pc(cpu, c) };
    struct x86_stack st;

    t.off = b & op_mask(t.size);
    if (x86_pe(cpu))
        return transfer(cpu, &t);
    x86_stack_current(cpu, &st);
    return push_return(cpu, &st, t.size, t.ret_pc) && real_transfer(cpu, t.sel, t.off, &st);
}

/* ---- RET, IRET --------------------------------------------------------------------------- */

/**
 * struct ret - a far return: the stack it pops from, then what was popped
 * @drop: bytes of parameters to release on both stacks (RET n)
 * @force_ss: SS:RSP are popped whatever the privilege (IRET in 64-bit code)
 */
struct ret {
    struct x86_stack st;
    unsigned size, drop;
    uint64_t pc, cs, sp, ss;
    struct x86_seg new_cs, new_ss;
    struct x86_desc code;
    unsigned cpl;
    bool outer, force_ss;
};

/** ret_code() - check CS of a return and make it */
static bool ret_code(struct x86_cpu *cpu, struct ret *r)
{
    uint16_t sel = r->cs;
    struct x86_desc d;
    bool ok;

    if (sel_null(sel))
        return x86_gp0(cpu);
    if (!x86_desc_read(cpu, sel, &d, EXC_GP))
        return false;
    r->cpl = sel & 3;
    ok = desc_code(&d) && r->cpl >= cpu->cpl &&
         (desc_conforming(&d) ? desc_dpl(&d) <= r->cpl : desc_dpl(&d) == r->cpl);
    if (x86_lma(cpu) && (d.attr & (SEG_L | SEG_DB)) == (SEG_L | SEG_DB))
        ok = false;
    if (!ok)
        return x86_fault(cpu, EXC_GP, sel_err(sel));
    if (!desc_present(&d))
        return x86_fault(cpu, EXC_NP, sel_err(sel));
    x86_seg_fill(&r->new_cs, sel, &d);
    r->code = d;
    r->outer = r->cpl > cpu->cpl;
    return true;
}

/** ret_stack() - SS of a return outwards; null is for 64-bit code inside CPL 3 */
static bool ret_stack(struct x86_cpu *cpu, struct ret *r)
{
    struct x86_desc d;

    if (sel_null(r->ss)) {
        if (!(r->new_cs.attr & SEG_L) || !x86_lma(cpu) || r->cpl == 3 || (r->ss & 3) != r->cpl)
            return x86_gp0(cpu);
        x86_seg_null(&r->new_ss, r->ss);
        return true;
    }
    if (!x86_check_stack(cpu, r->ss, &d, r->cpl, EXC_GP) || !x86_code_limit(cpu, &r->new_cs, r->pc) ||
        !x86_desc_accessed(cpu, &d))
        return false;
    x86_seg_fill(&r->new_ss, r->ss, &d);
    return true;
}

/** ret_enter() - the last checks: is the return address in the segment? */
static bool ret_enter(struct x86_cpu *cpu, struct ret *r)
{
    if (!x86_code_limit(cpu, &r->new_cs, r->pc) || !x86_desc_accessed(cpu, &r->code))
        return false;
    r->new_cs.attr |= 1;
    return true;
}

/** release() - drop @n bytes of parameters */
static void release(struct x86_stack *st, unsigned n)
{
    st->sp = (st->sp & ~st->mask) | ((st->sp + n) & st->mask);
}

/** ret_commit() - load CS, SS:SP; data segments that are too privileged go */
static void ret_commit(struct x86_cpu *cpu, struct ret *r)
{
    bool outer = r->outer;

    x86_set_cs(cpu, &r->new_cs, r->cpl);
    if (outer || r->force_ss) {
        cpu->seg[S_SS] = r->new_ss;
        x86_stack_current(cpu, &r->st);
        r->st.sp = r->sp;
        release(&r->st, r->drop);
    }
    x86_stack_commit(cpu, &r->st);
    if (outer)
        x86_drop_inner_segs(cpu);
    x86_set_pc(cpu, r->pc);
}

uint64_t h_ret_far(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    struct ret r = { .size = a, .drop = b & 0xffff };

    x86_stack_current(cpu, &r.st);
    if (!x86_pop(cpu, &r.st, a, &r.pc) || !x86_pop(cpu, &r.st, a, &r.cs))
        return 0;
    log_far(cpu, "lret", r.cs, r.pc);
    if (!x86_pe(cpu)) {
        release(&r.st, r.drop);
        return real_transfer(cpu, r.cs, r.pc, &r.st);
    }
    if (!ret_code(cpu, &r))
        return 0;
    release(&r.st, r.drop);
    if (r.outer && (!x86_pop(cpu, &r.st, a, &r.sp) || !x86_pop(cpu, &r.st, a, &r.ss) ||
                    !ret_stack(cpu, &r)))
        return 0;
    if (!ret_enter(cpu, &r))
        return 0;
    ret_commit(cpu, &r);
    x86_update_mode(cpu);
    return 1;
}

/* ---- IRET ----------------------------------------------------------------------------------- */

#define IRET_USER (EF_ARITH | EF_TF | EF_DF | EF_NT)

uint32_t x86_iret_flags(uint32_t old, uint32_t v, unsigned cpl, unsigned iopl, unsigned size)
{
    uint32_t mask = IRET_USER;

    if (cpl <= iopl)
        mask |= EF_IF;
    if (cpl == 0)
        mask |= EF_IOPL;
    if (size > 2) {
        mask |= EF_RF | EF_AC | EF_ID;
        if (cpl == 0)
            mask |= EF_VIF | EF_VIP;
    }
    return (old & ~mask) | (v & mask);
}

static void unblock_nmi(struct x86_cpu *cpu)
{
    if (cpu->nmi_blocked) {
        cpu->nmi_blocked = false;
        x86_irq_recheck(cpu);
    }
}

/** vm86_iret_flags() - false: #GP (IOPL, or VME and a virtual interrupt is pending) */
static bool vm86_iret_flags(struct x86_cpu *cpu, uint32_t v, unsigned size, uint32_t *ef)
{
    uint32_t old = x86_get_eflags(cpu), keep = EF_IOPL | EF_VM | EF_VIF | EF_VIP;

    if (size == 2)
        keep |= 0xffff0000;
    if (x86_iopl(cpu) == 3) {
        *ef = (old & keep) | (v & ~keep);
        return true;
    }
    if (!(cpu->cr4 & CR4_VME) || size != 2)
        return x86_gp0(cpu);
    if ((v & EF_TF) || ((v & EF_IF) && (old & EF_VIP)))
        return x86_gp0(cpu);
    keep = (keep | EF_IF) & ~EF_VIF;
    *ef = (old & keep) | (v & ~keep & 0xffff & ~EF_VIF) | (v & EF_IF ? EF_VIF : 0);
    return true;
}

/** iret_real() - real mode and VM86 */
static uint64_t iret_real(struct x86_cpu *cpu, unsigned size)
{
    uint32_t keep = EF_VM | EF_VIF | EF_VIP | (size == 2 ? 0xffff0000 : 0), ef;
    uint64_t pc, cs, fl;
    struct x86_stack st;

    x86_stack_current(cpu, &st);
    if (x86_vm86(cpu) && x86_iopl(cpu) < 3 && (!(cpu->cr4 & CR4_VME) || size != 2))
        return x86_gp0(cpu);
    if (!x86_pop(cpu, &st, size, &pc) || !x86_pop(cpu, &st, size, &cs) ||
        !x86_pop(cpu, &st, size, &fl))
        return 0;
    if (!x86_vm86(cpu))
        ef = (x86_get_eflags(cpu) & keep) | (fl & ~keep);
    else if (!vm86_iret_flags(cpu, fl, size, &ef))
        return 0;
    if (!real_transfer(cpu, cs, pc, &st))
        return 0;
    x86_set_eflags(cpu, ef);
    unblock_nmi(cpu);
    return 1;
}

/** iret_task() - EFLAGS.NT: back to the task that the link of this TSS names */
static uint64_t iret_task(struct x86_cpu *cpu, uint64_t next_pc)
{
    struct x86_desc d;
    uint64_t link;

    if (x86_lma(cpu))
        return x86_gp0(cpu);
    if (!x86_sys_load(cpu, (uint32_t)cpu->tr.base, 2, &link))
        return 0;
    if (sel_null(link) || (link & 4))
        return x86_fault(cpu, EXC_TS, sel_err(link));
    if (!x86_desc_read(cpu, link, &d, EXC_TS))
        return 0;
    if (!desc_system(&d) || (desc_type(&d) != DT_TSS16_BUSY && desc_type(&d) != DT_TSS32_BUSY))
        return x86_fault(cpu, EXC_TS, sel_err(link));
    if (!desc_present(&d))
        return x86_fault(cpu, EXC_NP, sel_err(link));
    return x86_task_switch(cpu, link, &d, TASK_IRET, next_pc);
}

/** iret_vm86() - CPL 0 popped an EFLAGS with VM set: six words more (SDM vol. 3, 20.2.4) */
static uint64_t iret_vm86(struct x86_cpu *cpu, struct ret *r, uint32_t ef)
{
    static const uint8_t order[] = { S_ES, S_DS, S_FS, S_GS };
    uint16_t sel[S_COUNT] = { [S_CS] = r->cs };
    uint64_t v;

    if (!x86_pop(cpu, &r->st, 4, &r->sp) || !x86_pop(cpu, &r->st, 4, &r->ss))
        return 0;
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
        if (!x86_pop(cpu, &r->st, 4, &v))
            return 0;
        sel[order[i]] = v;
    }
    if (r->pc > 0xffff)
        return x86_gp0(cpu);
    sel[S_SS] = r->ss;
    x86_enter_vm86(cpu, sel);
    GPR(cpu, R_SP) = (uint32_t)r->sp;
    x86_set_pc(cpu, r->pc);
    x86_set_eflags(cpu, ef);
    unblock_nmi(cpu);
    return 1;
}

/** iret_pop() - what every IRET pops, and SS:SP too when @n is 5 */
static bool iret_pop(struct x86_cpu *cpu, struct ret *r, uint64_t *fl, unsigned n)
{
    uint64_t *to[] = { &r->pc, &r->cs, fl, &r->sp, &r->ss };

    for (unsigned i = 0; i < n; i++)
        if (!x86_pop(cpu, &r->st, r->size, to[i]))
            return false;
    return true;
}

/** iret_pop64() - the whole frame at once; false: nothing popped */
static bool iret_pop64(struct x86_cpu *cpu, struct ret *r, uint64_t *fl)
{
    uint64_t f[5];

    if (!r->force_ss || r->size != 8 || !x86_frame_load(cpu, r->st.sp, f, 5))
        return false;
    r->pc = f[0];
    r->cs = f[1];
    *fl = f[2];
    r->sp = f[3];
    r->ss = f[4];
    return true;
}

static uint64_t iret_protected(struct x86_cpu *cpu, unsigned size)
{
    struct ret r = { .size = size, .force_ss = x86_code64(cpu) };
    unsigned cpl = cpu->cpl, iopl = x86_iopl(cpu);
    uint64_t fl;

    x86_stack_current(cpu, &r.st);
    if (!iret_pop64(cpu, &r, &fl) && !iret_pop(cpu, &r, &fl, r.force_ss ? 5 : 3))
        return 0;
    log_far(cpu, "iret", r.cs, r.pc);
    if (size == 4 && (fl & EF_VM) && cpl == 0 && !x86_lma(cpu))
        return iret_vm86(cpu, &r, fl);
    if (!ret_code(cpu, &r))
        return 0;
    if (r.outer && !r.force_ss &&
        (!x86_pop(cpu, &r.st, size, &r.sp) || !x86_pop(cpu, &r.st, size, &r.ss)))
        return 0;
    if (((r.outer || r.force_ss) && !ret_stack(cpu, &r)) || !ret_enter(cpu, &r))
        return 0;
    ret_commit(cpu, &r);
    x86_set_eflags(cpu, x86_iret_flags(x86_get_eflags(cpu), fl, cpl, iopl, size));
    unblock_nmi(cpu);
    return 1;
}

uint64_t h_iret(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (a == 8 && x86_iret_quick(cpu))
        return 1;
    if (!x86_pe(cpu))
        return iret_real(cpu, a);
    tcg_vec_away(tc);
    if (cpu->eflags & EF_NT)
        return iret_task(cpu, x86_next_pc(cpu, c));
    return iret_protected(cpu, a);
}
