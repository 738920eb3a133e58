/*
 * quick.c - events and IRET of 64-bit code, when nothing about them is unusual
 *
 * Tables, stacks and segments are looked at where the page maps have them. Whatever is not as
 * it nearly always is (a fault, a conforming segment, compatibility mode, a frame over the end of
 * a page) is left to excp.c and far.c, which begin anew: nothing has changed then. Built like
 * desc.c, because it runs between blocks whose vector registers stay where they are.
 *
 * Source: Intel SDM vol. 3, 6.12-6.14; vol. 2, IRET.
 */
#include "target-x86/excp-int.h"

/* ---- descriptors ------------------------------------------------------------------ */

static unsigned raw_dpl(uint64_t raw) { return raw >> (40 + SEG_DPL_SHIFT) & 3; }

/** in_gdt() - the descriptor that @sel names in the GDT; false: look elsewhere */
static bool in_gdt(struct x86_cpu *cpu, uint16_t sel, uint64_t *raw)
{
    const uint8_t *p;

    if (sel_null(sel) || (sel & 4) || (sel | 7u) > cpu->gdt.limit)
        return false;
    p = tcg_hit(&cpu->tcg, VIEW_KERNEL, cpu->gdt.base + (sel & 0xfff8u), 8, ACC_READ);
    if (p)
        *raw = ldl64(p);
    return p;
}

/** plain_code64() - 64-bit code, not conforming, present, accessed */
static bool plain_code64(uint64_t raw)
{
    return (raw >> 40 & (SEG_P | SEG_S | 8 | 4 | 1 | SEG_L | SEG_DB)) == (SEG_P | SEG_S | 8 | 1 | SEG_L);
}

/** plain_data() - writable data, present, accessed */
static bool plain_data(uint64_t raw)
{
    return (raw >> 40 & (SEG_P | SEG_S | 8 | 2 | 1)) == (SEG_P | SEG_S | 2 | 1);
}

/** seg_set() - segment register @s from descriptor @raw; what follows from that is kept */
static void seg_set(struct x86_cpu *cpu, struct x86_seg *s, uint16_t sel, uint64_t raw)
{
    struct x86_seg_memo *m = &cpu->seg_memo[sel >> 3 & (ARRAY_SIZE(cpu->seg_memo) - 1)];
    struct x86_desc d;

    if (m->raw != raw) {
        x86_desc_parse(&d, raw);
        x86_seg_fill(&m->seg, sel, &d);
        m->raw = raw;
    }
    *s = m->seg;
    s->sel = sel;
}

/* ---- delivery ------------------------------------------------------------------------ */

/** struct entry - where an event leads: handler, code segment, stack */
struct entry {
    uint64_t gate, pc, code, rsp;
    uint16_t sel;
    unsigned cpl;
    bool inner;
};

/** find_gate() - an interrupt or trap gate to 64-bit code that @ev may go through */
static bool find_gate(struct x86_cpu *cpu, const struct event *ev, struct entry *e)
{
    unsigned at = ev->vector * 16u;
    const uint8_t *p;

    if (at + 15 > cpu->idt.limit || !(p = tcg_hit(&cpu->tcg, VIEW_KERNEL, cpu->idt.base + at, 16, ACC_READ)))
        return false;
    e->gate = ldl64(p);
    e->pc = (e->gate & 0xffff) | (e->gate >> 32 & 0xffff0000u) | ldl64(p + 8) << 32;
    e->sel = e->gate >> 16;
    if ((e->gate >> 40 & (SEG_P | SEG_S | 0xe)) != (SEG_P | DT_INT32) || (ev->soft && raw_dpl(e->gate) < cpu->cpl))
        return false;
    if (!in_gdt(cpu, e->sel, &e->code) || !plain_code64(e->code) || raw_dpl(e->code) > cpu->cpl)
        return false;
    e->cpl = raw_dpl(e->code);
    e->inner = e->cpl < cpu->cpl;
    return x86_canonical(e->pc);
}

/** find_stack() - the handler's stack pointer, aligned */
static bool find_stack(struct x86_cpu *cpu, struct entry *e)
{
    unsigned ist = e->gate >> 32 & 7, at = ist ? 0x24 + (ist - 1) * 8 : 4 + e->cpl * 8;
    const uint8_t *p;

    e->rsp = GPR(cpu, R_SP);
    if (ist || e->inner) {
        p = at + 7 > cpu->tr.limit ? NULL : tcg_hit(&cpu->tcg, VIEW_KERNEL, cpu->tr.base + at, 8, ACC_READ);
        if (!p)
            return false;
        e->rsp = ldl64(p);
        if (!x86_canonical(e->rsp))
            return false;
    }
    e->rsp &= ~15ull;
    return true;
}

bool x86_event_quick(struct x86_cpu *cpu, const struct event *ev)
{
    bool code64 = x86_code64(cpu);
    unsigned n = 5 + ev->has_error;
    struct entry e;
    uint8_t *p;

    if (!find_gate(cpu, ev, &e) || !find_stack(cpu, &e))
        return false;
    e.rsp -= n * 8;
    p = tcg_hit(&cpu->tcg, e.inner ? VIEW_KERNEL : x86_view(cpu), e.rsp, n * 8, ACC_WRITE);
    if (!p)
        return false;
    if (ev->has_error) {
        stl64(p, ev->error);
        p += 8;
    }
    stl64(p, ev->ret_pc);
    stl64(p + 8, cpu->seg[S_CS].sel);
    stl64(p + 16, pushed_flags(cpu, ev));
    stl64(p + 24, GPR(cpu, R_SP));
    stl64(p + 32, cpu->seg[S_SS].sel);
    if (e.inner)
        x86_seg_null(&cpu->seg[S_SS], e.cpl);
    GPR(cpu, R_SP) = e.rsp;
    seg_set(cpu, &cpu->seg[S_CS], (e.sel & ~3) | e.cpl, e.code);
    cpu->cpl = e.cpl;
    cpu->eflags &= ~(uint32_t)(EF_TF | EF_NT | EF_RF | EF_VM | (e.gate >> 40 & 1 ? 0 : EF_IF));
    x86_set_pc(cpu, e.pc);
    if (code64)
        x86_update_privilege(cpu);
    else
        x86_update_mode(cpu);
    return true;
}

/**
 * x86_deliver_quick() - deliver the pending exception at tcg.pc (tcg_target.deliver)
 *
 * Returns false with nothing changed when x86_service() is to do it: debug traps and what they may
 * join, faults that ask for the instruction's stack segment, logs.
 */
bool x86_deliver_quick(struct tcg_cpu *tc)
{
    struct x86_cpu *cpu = X86(tc);
    unsigned vector = tc->exception - 1;
    struct event ev = {
        .vector = vector, .soft = cpu->exc_soft, .has_error = cpu->exc_has_error, .error = cpu->exc_error,
        .ret_pc = tc->pc + cpu->exc_soft_len, .fault = !cpu->exc_soft && (vector < 32 && EXC_FAULTS >> vector & 1),
    };

    if (!x86_lma(cpu) || vector == EXC_DB || cpu->exc_vme || cpu->exc_canon || cpu->tf_trap || cpu->shadow ||
        unlikely(tc->trace_kinds))
        return false;
    if (!x86_code64(cpu))
        ev.ret_pc = (uint32_t)ev.ret_pc;
    if (!x86_event_quick(cpu, &ev))
        return false;
    if (!ev.soft && vector == EXC_PF)
        cpu->cr2 = cpu->exc_cr2;
    tc->exception = 0;
    cpu->trap_dr6 = 0;
    return true;
}

/* ---- IRET ----------------------------------------------------------------------------- */

/** find_return() - may CS be @cs and SS @ss? Their descriptors */
static bool find_return(struct x86_cpu *cpu, uint16_t cs, uint16_t ss, uint64_t *code, uint64_t *data)
{
    unsigned cpl = cs & 3;

    if (!in_gdt(cpu, cs, code) || !plain_code64(*code) || raw_dpl(*code) != cpl || cpl < cpu->cpl || (ss & 3u) != cpl)
        return false;
    if (sel_null(ss))
        return cpl != 3;
    return in_gdt(cpu, ss, data) && plain_data(*data) && raw_dpl(*data) == cpl;
}

bool x86_iret_quick(struct x86_cpu *cpu)
{
    unsigned cpl = cpu->cpl, iopl = x86_iopl(cpu);
    const uint8_t *p;
    uint64_t pc, code, data = 0;
    uint16_t cs, ss;
    bool outer, was_if = cpu->eflags & EF_IF;

    if (!x86_code64(cpu) || (cpu->eflags & EF_NT) || cpu->nmi_blocked || log_mask ||
        !(p = tcg_hit(&cpu->tcg, x86_view(cpu), GPR(cpu, R_SP), 40, ACC_READ)))
        return false;
    pc = ldl64(p);
    cs = ldl16(p + 8);
    ss = ldl16(p + 32);
    if (!find_return(cpu, cs, ss, &code, &data) || !x86_canonical(pc))
        return false;
    outer = (cs & 3u) > cpl;
    seg_set(cpu, &cpu->seg[S_CS], cs, code);
    cpu->cpl = cs & 3;
    if (data)
        seg_set(cpu, &cpu->seg[S_SS], ss, data);
    else
        x86_seg_null(&cpu->seg[S_SS], ss);
    GPR(cpu, R_SP) = ldl64(p + 24);
    if (outer)
        x86_drop_inner_segs(cpu);
    x86_set_pc(cpu, pc);
    x86_put_eflags(cpu, x86_iret_flags(x86_get_eflags(cpu), (uint32_t)ldl64(p + 16), cpl, iopl, 8));
    x86_update_privilege(cpu);
    if (!was_if && (cpu->eflags & EF_IF) && cpu->irq_held)
        x86_irq_recheck(cpu);
    return true;
}
