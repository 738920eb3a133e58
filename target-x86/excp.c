/*
 * excp.c - events: exceptions and interrupts through IVT and IDT, INT n
 *
 * Source: Intel SDM vol. 3, chapters 6 (events), 17.3 (debug exceptions), 20.3 (VM86 and VME).
 *
 * A fault during delivery becomes pending like any other; x86_deliver_pending()
 * combines it with the event that was under way.
 */
#include "target-x86/excp-int.h"
#include "trace/format.h"

/* ---- classes, double faults (SDM table 6-5) --------------------------------- */

#define CONTRIBUTORY (BIT(EXC_DE) | BIT(EXC_TS) | BIT(EXC_NP) | BIT(EXC_SS) | BIT(EXC_GP))

static bool in_class(unsigned vector, uint64_t set)
{
    return vector < 32 && (set >> vector & 1);
}

/** combine() - vector that results when @second is raised while @first is delivered;
 *  -1: triple fault */
static int combine(unsigned first, unsigned second)
{
    bool second_bad = in_class(second, CONTRIBUTORY) || second == EXC_PF;

    if (first == EXC_DF && second_bad)
        return -1;
    if (in_class(first, CONTRIBUTORY) && in_class(second, CONTRIBUTORY))
        return EXC_DF;
    if (first == EXC_PF && second_bad)
        return EXC_DF;
    return second;
}

/* ---- log ---------------------------------------------------------------------- */

static void log_event(struct x86_cpu *cpu, const struct event *ev)
{
    const struct x86_seg *cs = &cpu->seg[S_CS], *ss = &cpu->seg[S_SS];
    FILE *f = log_lock();

    fprintf(f, "%6u: v=%02x e=%04x i=%d cpl=%u IP=%04x:%016llx pc=%016llx SP=%04x:%016llx",
            cpu->int_count++, ev->vector, ev->error, ev->soft, cpu->cpl, cs->sel,
            (unsigned long long)cpu->tcg.pc, (unsigned long long)(cs->base + cpu->tcg.pc),
            ss->sel, (unsigned long long)GPR(cpu, R_SP));
    if (ev->vector == EXC_PF)
        fprintf(f, " CR2=%016llx\n", (unsigned long long)cpu->cr2);
    else
        fprintf(f, " env->regs[R_EAX]=%016llx\n", (unsigned long long)GPR(cpu, R_AX));
    x86_log_cpu(&cpu->tcg, f);
    log_unlock();
}

/* ---- real mode and redirected VM86 interrupts ---------------------------------- */

/** push3() - FLAGS, CS, IP as words */
static bool push3(struct x86_cpu *cpu, struct x86_stack *st, uint16_t flags, uint16_t ip)
{
    return x86_push(cpu, st, 2, flags) && x86_push(cpu, st, 2, cpu->seg[S_CS].sel) &&
           x86_push(cpu, st, 2, ip);
}

/** enter_ivt() - go on at far pointer @vec */
static void enter_ivt(struct x86_cpu *cpu, const struct x86_stack *st, uint32_t vec, uint32_t clear)
{
    x86_stack_commit(cpu, st);
    x86_load_real_seg(cpu, S_CS, vec >> 16);
    cpu->eflags &= ~clear;
    x86_set_pc(cpu, vec & 0xffff);
    x86_update_mode(cpu);
}

static bool deliver_real(struct x86_cpu *cpu, const struct event *ev)
{
    struct x86_stack st;
    uint64_t vec;

    if (ev->vector * 4u + 3 > cpu->idt.limit)
        return x86_gp0(cpu);
    if (!x86_sys_load(cpu, cpu->idt.base + ev->vector * 4u, 4, &vec))
        return false;
    x86_stack_current(cpu, &st);
    if (!push3(cpu, &st, x86_get_eflags(cpu), ev->ret_pc))
        return false;
    enter_ivt(cpu, &st, vec, EF_IF | EF_TF | EF_AC | EF_RF);
    return true;
}

/** deliver_vme() - INT n of a VM86 program through its own table at 0 (SDM vol. 3, 20.3.3) */
static bool deliver_vme(struct x86_cpu *cpu, const struct event *ev)
{
    uint32_t flags = x86_get_eflags(cpu), clear = EF_IF | EF_TF | EF_NT;
    struct x86_stack st;
    uint64_t vec;

    if (x86_iopl(cpu) < 3) {             /* the program sees VIF as IF, and IOPL 3 */
        flags = (flags & ~EF_IF) | EF_IOPL | (flags & EF_VIF ? EF_IF : 0);
        clear = EF_VIF | EF_TF | EF_NT;
    }
    if (!tcg_load_view(&cpu->tcg, VIEW_USER, ev->vector * 4u, 4, &vec))
        return false;
    x86_stack_current(cpu, &st);
    if (!push3(cpu, &st, flags, ev->ret_pc))
        return false;
    enter_ivt(cpu, &st, vec, clear | EF_RF);
    return true;
}

/* ---- protected mode -------------------------------------------------------------- */

static uint32_t idt_err(const struct event *ev)
{
    return ev->vector * 8u + 2;
}

/** read_gate() - the IDT entry, checked for limit; @attr etc. not yet */
static bool read_gate(struct x86_cpu *cpu, const struct event *ev, struct x86_desc *g, uint64_t *upper)
{
    bool lma = x86_lma(cpu);
    uint64_t at = cpu->idt.base + ev->vector * (lma ? 16u : 8u), raw;

    *upper = 0;
    if (ev->vector * (lma ? 16u : 8u) + (lma ? 15u : 7u) > cpu->idt.limit)
        return x86_fault(cpu, EXC_GP, idt_err(ev));
    if (!lma)
        at = (uint32_t)at;
    if (!x86_sys_load(cpu, at, 8, &raw) || (lma && !x86_sys_load(cpu, at + 8, 8, upper)))
        return false;
    x86_desc_parse(g, raw);
    return true;
}

/** check_gate() - type within @types, DPL of software interrupts, present */
static bool check_gate(struct x86_cpu *cpu, const struct event *ev, const struct x86_desc *g,
                       uint32_t types)
{
    if (!desc_system(g) || !(types >> desc_type(g) & 1))
        return x86_fault(cpu, EXC_GP, idt_err(ev));
    if (ev->soft && desc_dpl(g) < cpu->cpl)
        return x86_fault(cpu, EXC_GP, idt_err(ev));
    return desc_present(g) || x86_fault(cpu, EXC_NP, idt_err(ev));
}

/** gate_code() - the code segment a gate names */
static bool gate_code(struct x86_cpu *cpu, uint16_t sel, struct x86_desc *d)
{
    if (sel_null(sel))
        return x86_gp0(cpu);
    return x86_desc_read(cpu, sel, d, EXC_GP) && x86_check_code(cpu, sel, d, true);
}

/** new_cpl() - privilege that execution in @code has */
static unsigned new_cpl(const struct x86_cpu *cpu, const struct x86_desc *code)
{
    return desc_conforming(code) ? cpu->cpl : desc_dpl(code);
}

/** enter_handler() - commit: CS, privilege, flags */
static void enter_handler(struct x86_cpu *cpu, const struct x86_seg *cs, unsigned cpl, uint64_t pc,
                          bool trap_gate)
{
    uint32_t clear = EF_TF | EF_NT | EF_RF | EF_VM | (trap_gate ? 0 : EF_IF);

    x86_set_cs(cpu, cs, cpl);
    cpu->eflags &= ~clear;
    x86_set_pc(cpu, pc);
    x86_update_mode(cpu);
}

static bool push_vm86_segs(struct x86_cpu *cpu, struct x86_stack *st, unsigned size)
{
    static const uint8_t order[] = { S_GS, S_FS, S_DS, S_ES };

    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        if (!x86_push(cpu, st, size, cpu->seg[order[i]].sel))
            return false;
    return true;
}

/** push_frame() - [GS FS DS ES] [SS SP] FLAGS CS IP [error] */
static bool push_frame(struct x86_cpu *cpu, struct x86_stack *st, const struct event *ev,
                       unsigned size, bool inner)
{
    if (inner) {
        if (x86_vm86(cpu) && !push_vm86_segs(cpu, st, size))
            return false;
        if (!x86_push(cpu, st, size, cpu->seg[S_SS].sel) ||
            !x86_push(cpu, st, size, GPR(cpu, R_SP)))
            return false;
    }
    return x86_push(cpu, st, size, pushed_flags(cpu, ev)) &&
           x86_push(cpu, st, size, cpu->seg[S_CS].sel) &&
           x86_push(cpu, st, size, ev->ret_pc) &&
           (!ev->has_error || x86_push(cpu, st, size, ev->error));
}

/** frame_words() - how many words push_frame() pushes */
static unsigned frame_words(struct x86_cpu *cpu, const struct event *ev, bool inner)
{
    return 3 + ev->has_error + (inner ? 2 : 0) + (inner && x86_vm86(cpu) ? 4 : 0);
}

/** deliver_task() - through a task gate (SDM vol. 3, 6.12.2) */
static bool deliver_task(struct x86_cpu *cpu, const struct event *ev, uint16_t sel)
{
    struct x86_desc d;
    struct x86_stack st;

    if (!x86_task_tss(cpu, sel, &d) ||
        !x86_task_switch(cpu, sel, &d, TASK_INT, ev->ret_pc))
        return false;
    if (!ev->has_error)
        return true;
    x86_stack_current(cpu, &st);
    if (!x86_push(cpu, &st, cpu->tr.attr & 8 ? 4 : 2, ev->error))
        return false;
    x86_stack_commit(cpu, &st);
    return true;
}

/** deliver_gate32() - interrupt or trap gate of a 32-bit IDT */
static bool deliver_gate32(struct x86_cpu *cpu, const struct event *ev, const struct x86_desc *g)
{
    uint16_t sel = desc_gate_sel(g);
    unsigned size = desc_type(g) & 8 ? 4 : 2, cpl;
    uint32_t off = desc_gate_off(g) & (size == 4 ? ~0u : 0xffff);
    bool vm86 = x86_vm86(cpu), inner;
    struct x86_desc code;
    struct x86_stack st;
    struct x86_seg cs;

    if (!gate_code(cpu, sel, &code))
        return false;
    cpl = new_cpl(cpu, &code);
    inner = cpl < cpu->cpl;
    if (vm86 && cpl != 0)
        return x86_fault(cpu, EXC_GP, sel_err(sel));
    x86_seg_fill(&cs, (sel & ~3) | cpl, &code);
    if (inner ? !x86_tss_stack(cpu, cpl, &st) : (x86_stack_current(cpu, &st), false))
        return false;
    if (!x86_stack_room(cpu, &st, frame_words(cpu, ev, inner), size) ||
        !x86_code_limit(cpu, &cs, off) || !push_frame(cpu, &st, ev, size, inner) ||
        !x86_desc_accessed(cpu, &code))
        return false;
    cs.attr |= 1;
    if (vm86)
        for (unsigned i = 0; i < S_COUNT; i++)
            if (i != S_CS && i != S_SS)
                x86_seg_null(&cpu->seg[i], 0);
    if (inner)
        cpu->seg[S_SS] = st.ss;
    x86_stack_commit(cpu, &st);
    enter_handler(cpu, &cs, cpl, off, desc_type(g) & 1);
    return true;
}

static bool deliver_pm32(struct x86_cpu *cpu, const struct event *ev)
{
    struct x86_desc g;
    uint64_t upper;

    if (!read_gate(cpu, ev, &g, &upper) ||
        !check_gate(cpu, ev, &g, BIT(DT_TASK) | BIT(DT_INT16) | BIT(DT_TRAP16) |
                    BIT(DT_INT32) | BIT(DT_TRAP32)))
        return false;
    if (desc_type(&g) == DT_TASK)
        return deliver_task(cpu, ev, desc_gate_sel(&g));
    return deliver_gate32(cpu, ev, &g);
}

/* ---- long mode (SDM vol. 3, 6.14) --------------------------------------------------- */

/**
 * frame64() - SS RSP RFLAGS CS RIP [error], below 16-byte aligned *@rsp
 *
 * Stored in one piece; where that faults, push by push, so that CR2 is that of
 * the first push to fault.
 */
static bool frame64(struct x86_cpu *cpu, const struct event *ev, uint64_t *rsp, bool inner)
{
    uint64_t frame[6] = { ev->error, ev->ret_pc, cpu->seg[S_CS].sel, pushed_flags(cpu, ev),
                          GPR(cpu, R_SP), cpu->seg[S_SS].sel };
    struct x86_stack st = { .sp = *rsp & ~15ull, .mask = ~0ull, .long_mode = true, .sys = inner };
    unsigned from = ev->has_error ? 0 : 1;
    uint64_t low = st.sp - (6 - from) * 8;

    *rsp = low;
    if (x86_frame_store(cpu, inner, low, &frame[from], 6 - from))
        return true;
    for (unsigned i = 6; i-- > from;)
        if (!x86_push(cpu, &st, 8, frame[i]))
            return false;
    return true;
}

static bool deliver_long(struct x86_cpu *cpu, const struct event *ev)
{
    struct x86_desc g, code;
    uint64_t upper, off, rsp = GPR(cpu, R_SP);
    unsigned cpl, ist;
    struct x86_seg cs;
    uint16_t sel;
    bool inner;

    if (!read_gate(cpu, ev, &g, &upper) ||
        !check_gate(cpu, ev, &g, BIT(DT_INT32) | BIT(DT_TRAP32)))
        return false;
    sel = desc_gate_sel(&g);
    off = desc_gate_off(&g) | upper << 32;
    ist = g.raw >> 32 & 7;
    if (!gate_code(cpu, sel, &code))
        return false;
    if (!(code.attr & SEG_L))
        return x86_fault(cpu, EXC_GP, sel_err(sel));
    cpl = new_cpl(cpu, &code);
    inner = cpl < cpu->cpl;
    if ((inner || ist) && !x86_tss_rsp(cpu, cpl, ist, &rsp))
        return false;
    /* the stack is looked at before the handler's address */
    if (!x86_stack_room(cpu, &(struct x86_stack){ .sp = rsp & ~15ull, .mask = ~0ull, .long_mode = true },
                        5 + ev->has_error, 8))
        return false;
    if (!x86_canonical(off))
        return x86_gp0(cpu);
    if (!frame64(cpu, ev, &rsp, inner) || !x86_desc_accessed(cpu, &code))
        return false;
    x86_seg_fill(&cs, (sel & ~3) | cpl, &code);
    if (inner)
        x86_seg_null(&cpu->seg[S_SS], cpl);
    GPR(cpu, R_SP) = rsp;
    enter_handler(cpu, &cs, cpl, off, desc_type(&g) & 1);
    return true;
}

/* ---- one event --------------------------------------------------------------------- */

static bool deliver(struct x86_cpu *cpu, const struct event *ev)
{
    bool ok;

    if (log_on(LOG_INT))
        log_event(cpu, ev);
    if (trace_on(&cpu->tcg, TRACE_INT))
        trace_event(&cpu->tcg, TRACE_INT, (uint64_t[]){ ev->vector, ev->error, ev->soft, cpu->tcg.pc,
                                                        ev->vector == EXC_PF ? cpu->cr2 : 0 }, 5);
    cpu->delivering = ev->vector + 1;
    cpu->exc_ext = !ev->soft;
    if (!(cpu->cr0 & CR0_PE))
        ok = deliver_real(cpu, ev);
    else if (ev->vme)
        ok = deliver_vme(cpu, ev);
    else
        ok = !x86_lma(cpu) ? deliver_pm32(cpu, ev) : x86_event_quick(cpu, ev) || deliver_long(cpu, ev);
    cpu->exc_ext = false;
    if (ok)
        cpu->delivering = 0;
    return ok;
}

/** take_pending() - turn the pending exception into an event; CR2, DR6 change here */
static void take_pending(struct x86_cpu *cpu, struct event *ev)
{
    unsigned vector = cpu->tcg.exception - 1;

    ev->vector = vector;
    ev->soft = cpu->exc_soft;
    ev->vme = cpu->exc_vme;
    ev->has_error = cpu->exc_has_error;
    ev->error = cpu->exc_error;
    ev->ret_pc = cpu->tcg.pc + cpu->exc_soft_len;
    if (!x86_code64(cpu))
        ev->ret_pc = (uint32_t)ev->ret_pc;
    ev->fault = !ev->soft && in_class(vector, EXC_FAULTS);
    cpu->tcg.exception = 0;
    if (ev->soft)
        return;
    if (vector == EXC_DB)
        cpu->exc_dr6 |= cpu->trap_dr6;     /* traps that MOV SS held back join in */
    if (cpu->exc_canon && x86_stack_access(cpu, cpu->exc_cr2))
        ev->vector = EXC_SS;
    cpu->exc_canon = false;
    if (vector == EXC_PF)
        cpu->cr2 = cpu->exc_cr2;
    if (vector == EXC_DB) {
        cpu->dr[6] = (cpu->dr[6] & ~(uint64_t)0xf) | DR6_FIXED | cpu->exc_dr6;
        cpu->dr[7] &= ~(uint64_t)DR7_GD;
    }
}

static void triple_fault(struct x86_cpu *cpu)
{
    log_ev(LOG_INT | LOG_CPU | LOG_CPU_RESET, "Triple fault");
    if (log_on(LOG_INT | LOG_CPU)) {
        x86_log_cpu(&cpu->tcg, log_lock());
        log_unlock();
    }
    cpu->tcg.exception = 0;
    cpu->delivering = 0;
    cpu->shutdown = cpu->halted = true;
    tcg_kick(&cpu->tcg);
    cpu->bus->triple_fault(cpu->bus->opaque);
}

/** merge() - a new exception is pending while @ev was delivered; false: triple fault */
static bool merge(struct x86_cpu *cpu, const struct event *ev)
{
    unsigned second = cpu->tcg.exception - 1;
    /* interrupts, of software or from outside, are benign whatever their vector */
    bool benign = ev->soft || ev->external;
    int v = benign ? (int)second : combine(ev->vector, second);

    log_ev(LOG_INT, "check_exception old: 0x%x new 0x%x", benign ? ~0u : ev->vector, second);
    if (v < 0) {
        triple_fault(cpu);
        return false;
    }
    if (v == EXC_DF && second != EXC_DF) {
        cpu->tcg.exception = 0;
        x86_raise(cpu, EXC_DF);
    }
    return true;
}

/** deliver_event() - deliver @ev and the faults it meets; ends in a handler or a shutdown */
static void deliver_event(struct x86_cpu *cpu, struct event *ev)
{
    while (!deliver(cpu, ev)) {
        if (!merge(cpu, ev))
            return;
        take_pending(cpu, ev);
        ev->external = false;
    }
}

void x86_deliver_pending(struct x86_cpu *cpu)
{
    struct event ev = { 0 };
    bool held;

    if (!cpu->exc_soft)
        log_ev(LOG_INT, "check_exception old: 0xffffffff new 0x%x", cpu->tcg.exception - 1);
    /* a data breakpoint of MOV SS before INT n is reported in the handler */
    held = cpu->exc_soft && cpu->shadow_ss && cpu->tf_trap;
    cpu->shadow = cpu->shadow_ss = false;
    take_pending(cpu, &ev);
    if (!held) {
        cpu->trap_dr6 = 0;
        cpu->tf_trap = false;
    }
    deliver_event(cpu, &ev);
    if (held)
        tcg_kick(&cpu->tcg);
}

void x86_deliver_irq(struct x86_cpu *cpu, unsigned vector)
{
    struct event ev = { .vector = vector, .external = true, .ret_pc = cpu->tcg.pc };

    cpu->halted = false;
    deliver_event(cpu, &ev);
}

/* ---- instructions ------------------------------------------------------------------ */

/** vme_redirected() - software-interrupt bitmap of the TSS says that INT @n is the
 *  VM86 program's own (SDM vol. 3, 20.3.3); false with an exception: it faulted */
static bool vme_redirected(struct x86_cpu *cpu, unsigned n)
{
    uint64_t iomap, byte;
    unsigned at;

    if (!(cpu->cr4 & CR4_VME) || cpu->tr.limit < 0x67)
        return false;
    if (!x86_sys_load(cpu, (uint32_t)(cpu->tr.base + 0x66), 2, &iomap))
        return false;
    at = iomap - 32 + n / 8;
    if (iomap < 32 || at > cpu->tr.limit)
        return false;
    if (!x86_sys_load(cpu, (uint32_t)(cpu->tr.base + at), 1, &byte))
        return false;
    return !(byte >> (n % 8) & 1);
}

/**
 * h_int() - INT n, INT3, INTO, INT1: raise the software interrupt
 * @a: vector, @b: instruction length, @c: 0 INT n, 1 INT3, 2 INTO, 3 INT1
 *
 * Only INT n is sensitive to IOPL in VM86; INT1 is not subject to the gate's DPL.
 */
uint64_t h_int(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    bool vme = false;

    if (c == 3) {
        x86_raise_db(cpu, 0);
        cpu->exc_soft_len = b;
        return 0;
    }
    if (c == 0 && x86_vm86(cpu)) {
        vme = vme_redirected(cpu, a & 0xff);
        if (tc->exception)
            return 0;
        if (!vme && x86_iopl(cpu) < 3)
            return x86_gp0(cpu);
    }
    x86_raise_soft(cpu, a, b);
    cpu->exc_vme = vme;
    return 0;
}
