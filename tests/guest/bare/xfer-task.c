/*
 * xfer-task.c - task switches: JMP, CALL, IRET, interrupts and exceptions, directly and through gates
 *
 * What fails before the new task's state is loaded belongs to the old task and leaves both TSSs, the
 * busy bits and TR alone; what fails later is raised in the new task, before its first instruction.
 * Source of the model: Intel SDM vol. 3, 7.2 and 7.3 (table 7-1); vol. 2, CALL, JMP, INT n, IRET.
 */
#include "bare/xfer.h"

#define SP_OF_TASK 0x2e00u               /* below 64 KiB: 16-bit TSSs hold no more */
#define SP0_OF_TASK 0x7000u

enum how { BY_JMP, BY_CALL, BY_INT, BY_UD2, BY_GP, BY_IRET, HOWS };
enum bad { NOTHING, BAD_LDT, BAD_CS, BAD_SS, BAD_DATA, BAD_IP, T_BIT, BADS };

struct task_case {
    u8 how, cpl, gate, gate_rpl, gate_dpl, gate_p, old16, new16;
    u8 tss_type, tss_dpl, tss_p, tss_where, tss_rpl, tss_short; /* the TSS' descriptor and selector */
    u8 bad, ring, data_seg, ldt, flags, new_flags;
    struct seg_case code, stack, data;
};

static const u8 vectors[HOWS] = { [BY_INT] = 0x41, [BY_UD2] = UD, [BY_GP] = GP };

static u32 is_event(const struct task_case *c) { return c->how == BY_INT || c->how == BY_UD2 || c->how == BY_GP; }
static u32 nests(const struct task_case *c) { return c->how == BY_CALL || is_event(c); }

static void draw_segment(struct seg_case *s, u32 ring, u32 good, u32 kind)
{
    if (kind == BAD_CS)
        draw_code(s, ring);
    else
        draw_stack(s, ring);
    if (good)
        *s = (struct seg_case){ .where = (u8)draw(2), .rpl = (u8)ring, .dpl = (u8)ring, .p = 1, .s = 1, .d = 1,
                                .type = kind == BAD_CS ? 10 : 2 };
    s->rpl = (u8)ring;                   /* also a bad one must lead to the ring whose faults have a stack */
}

static void draw_case(struct task_case *c, u32 how)
{
    bytes_set(c, 0, sizeof(*c));
    c->how = (u8)how;
    c->cpl = one_in(2) ? 3 : 0;
    c->gate = is_event(c) || (how != BY_IRET && one_in(2));
    c->gate_rpl = draw_mostly(0, 4);
    c->gate_dpl = draw_mostly(3, 4);
    c->gate_p = one_in(10) ? 0 : 1;
    c->old16 = one_in(4);
    c->new16 = one_in(3);
    c->tss_type = one_in(8) ? (u8)draw(16) : (u8)((c->new16 ? 1 : 9) + (how == BY_IRET ? 2 : 0));
    if ((c->tss_type & 5) == 1)
        c->new16 = !(c->tss_type & 8);
    if (!c->gate && (c->tss_type & 7) >= 4 && (c->tss_type & 7) <= 5)
        c->tss_type = 2;                 /* gates are xfer-far.c's */
    c->tss_dpl = draw_mostly(3, 4);
    c->tss_p = one_in(10) ? 0 : 1;
    c->tss_where = one_in(8) ? (u8)draw(5) : IN_GDT;
    c->tss_rpl = (u8)draw(4);
    c->tss_short = one_in(10);
    c->bad = one_in(2) ? NOTHING : (u8)draw(BADS);
    if (how == BY_GP) {                  /* with its own delivery's faults that would be a double fault */
        c->bad = c->tss_where = c->tss_short = 0;
        c->tss_p = c->gate_p = 1;
        c->tss_type = c->new16 ? 1 : 9;
    }
    if ((c->bad == BAD_IP && (!limits_count() || how == BY_UD2)) || (c->bad == T_BIT && c->new16))
        c->bad = NOTHING;
    c->ring = c->new16 || c->bad ? 3 : (u8)draw(4);
    c->data_seg = (u8)draw(4);
    c->ldt = c->bad == BAD_LDT ? (u8)(2 + draw(4)) : (u8)draw(2);
    c->flags = (u8)draw(4);
    c->new_flags = (u8)draw(4);
    draw_segment(&c->code, c->ring, c->bad != BAD_CS, BAD_CS);
    draw_segment(&c->stack, c->ring, c->bad != BAD_SS, BAD_SS);
    draw_segment(&c->data, c->ring, c->bad != BAD_DATA, BAD_DATA);
    c->stack.d = !c->new16;
    if (c->ldt == 0 && c->bad != BAD_CS && c->code.where == IN_LDT)
        c->code.where = IN_GDT;
    if (c->ldt == 0 && c->bad != BAD_SS && c->stack.where == IN_LDT)
        c->stack.where = IN_GDT;
    if (c->ldt == 0 && c->bad != BAD_DATA && c->data.where == IN_LDT)
        c->data.where = IN_GDT;
}

/* ---- what the case is made of ------------------------------------------------------- */

static u32 tss_sel(const struct task_case *c)
{
    static const u16 at[] = { SEL_TSS2, 0x3c, GDT_BYTES, 0xfffc, 0 };

    return at[c->tss_where] | c->tss_rpl;
}
/* 0: none, 1: good; then: of another type, not present, in an LDT, outside the GDT */
static u32 ldt_sel(const struct task_case *c)
{
    static const u16 sel[] = { 0, SEL_LDT, SEL_SCRATCH2, SEL_SCRATCH2, SEL_LDT | 4, GDT_BYTES };

    return sel[c->ldt];
}
static ulong old_flags(const struct task_case *c)
{
    return 2 | (c->flags & 1 ? FL_DF : 0) | (c->flags & 2 ? FL_IF : 0) | (c->how == BY_IRET ? FL_NT : 0);
}
static ulong new_flags(const struct task_case *c)
{
    return 2 | (c->new_flags & 1 ? FL_IOPL : 0) | (c->new_flags & 2 ? FL_NT : 0);
}
static ulong new_ip(const struct task_case *c) { return c->bad == BAD_IP ? TARGET + 0x1000 : TARGET; }

static void put_new_tss(const struct task_case *c)
{
    u32 cs = seg_sel(&c->code, CODE_SLOT), ss = seg_sel(&c->stack, SS_SLOT + 8), ds = seg_sel(&c->data, SEL_SCRATCH + 8);
    u32 segs[6] = { SEL_UDATA, cs, ss, SEL_UDATA, SEL_UDATA, SEL_UDATA };
    static const u8 data_regs[] = { 0, 3, 4, 5 };
    u16 *t = (u16 *)&tss2;

    segs[data_regs[c->new16 ? c->data_seg & 1 : c->data_seg]] = ds;
    bytes_set(&tss2, 0, 104);
    if (c->new16) {
        u16 image[22] = { [1] = SP0_OF_TASK, SEL_DATA, [7] = (u16)new_ip(c), (u16)new_flags(c), 0xa0a0, 0xc1c1, 0xd2d2, 0xb3b3,
                          SP_OF_TASK, 0xb5b5, 0x5656, 0xd7d7, (u16)segs[0], (u16)cs, (u16)ss, (u16)segs[3], (u16)ldt_sel(c) };
        bytes_copy(t, image, sizeof(image));
    } else {
        tss2 = (struct tss){ .esp0 = SP0_OF_TASK, .ss0 = SEL_DATA, .eip = new_ip(c), .eflags = new_flags(c), .eax = 0xa0a0a0a0,
                             .ecx = 0xc1c1c1c1, .edx = 0xd2d2d2d2, .ebx = 0xb3b3b3b3, .esp = SP_OF_TASK, .ebp = 0xb5b5b5b5,
                             .esi = 0x56565656, .edi = 0xd7d7d7d7, .es = segs[0], .cs = cs, .ss = ss, .ds = segs[3],
                             .fs = segs[4], .gs = segs[5], .ldt = ldt_sel(c), .trap = c->bad == T_BIT };
    }
    t[0] = 0x7777;
}

static void put_tables(const struct task_case *c)
{
    u32 attr = c->tss_type | (u32)c->tss_dpl << 5 | (u32)c->tss_p << 7, limit = (c->tss_type & 8 ? 103u : 43u) - c->tss_short;

    gdt_set(SEL_TSS, (ulong)&tss, sizeof(tss) - 1, c->old16 ? D_TSS16 : D_TSS);
    asm volatile("ltr %w0\n\tlldt %w1" : : "r"(SEL_TSS), "r"(SEL_LDT));
    gdt_set(SEL_TSS2, (ulong)&tss2, limit, attr);
    ldt[7] = gdt[SEL_TSS2 / 8];
    seg_put(&c->code, CODE_SLOT, TARGET + 0xfff);
    seg_put(&c->stack, SS_SLOT + 8, 0);
    seg_put(&c->data, SEL_SCRATCH + 8, 0);
    gdt_set(SEL_SCRATCH2, (ulong)ldt, sizeof(ldt) - 1, c->ldt == 2 ? D_DATA : D_LDT & ~D_P);
    put_new_tss(c);
    gate_set(&gdt[SEL_GATE / 8], tss_sel(c), 0, 5 | (u32)c->gate_dpl << 5 | (u32)c->gate_p << 7, 0);
    if (is_event(c))
        idt_set(vectors[c->how], tss_sel(c), 0, 5 | (u32)c->gate_dpl << 5 | (u32)c->gate_p << 7, 0);
    *(u16 *)&tss = (u16)tss_sel(c);
}

static u32 first_sel(const struct task_case *c)
{
    return c->how == BY_GP ? GDT_BYTES : c->gate ? SEL_GATE | c->gate_rpl : tss_sel(c);
}

/* MOV $sp, %ESP; the instruction; *@next: behind it */
static ulong put_insn(const struct task_case *c, ulong *next)
{
    static const u8 far[HOWS] = { [BY_JMP] = 0x2c, [BY_CALL] = 0x1c, [BY_GP] = 0x2c };
    volatile u8 *p = (volatile u8 *)SRC + 5;

    *(volatile u8 *)SRC = 0xbc;
    *(volatile u32 *)(SRC + 1) = SRC_SP;
    *next = (ulong)p + 2;
    if (far[c->how]) {
        bytes_copy((void *)p, "\x2e\xff", 2);
        p[2] = far[c->how];
        p[3] = 0x25;
        *(volatile u32 *)(p + 4) = FAR_POINTER;
        *(volatile u32 *)FAR_POINTER = 0;
        *(volatile u16 *)(FAR_POINTER + 4) = (u16)first_sel(c);
        *next = (ulong)p + 8;
    } else if (c->how == BY_INT) {
        bytes_copy((void *)p, "\xcd\x41", 2);
    } else if (c->how == BY_UD2) {
        bytes_copy((void *)p, "\x0f\x0b", 2);
    } else {
        *p = 0xcf;
        *next = (ulong)p + 1;
    }
    if (c->how == BY_UD2 || c->how == BY_GP)
        *next = SRC + 5;
    return SRC + 5;
}

/* ---- the model ---------------------------------------------------------------------- */

/* before the switch */
static int tss_model(const struct task_case *c, u32 ext, struct outcome *o)
{
    u32 sel = tss_sel(c), err = (sel & 0xfffc) | ext, iret = c->how == BY_IRET, t = c->tss_type;
    u32 is_tss = (c->tss_where == IN_GDT || c->tss_where == IN_LDT) && (iret ? t == 3 || t == 11 : t == 1 || t == 9);

    if (!c->gate && !iret && is_tss && (c->tss_dpl < c->cpl || c->tss_dpl < c->tss_rpl))
        return fault(o, GP, err);
    if (c->tss_where != IN_GDT || !is_tss)
        return fault(o, iret ? TS : GP, err);
    if (!c->tss_p)
        return fault(o, NP, err);
    return !c->tss_short || fault(o, TS, err);
}

static int gate_model(const struct task_case *c, u32 ext, struct outcome *o)
{
    u32 soft = c->how == BY_INT || c->how == BY_JMP || c->how == BY_CALL;
    u32 err = is_event(c) ? vectors[c->how] * 8 + 2 + ext : SEL_GATE;

    if (soft && (c->gate_dpl < c->cpl || (!is_event(c) && c->gate_dpl < c->gate_rpl)))
        return fault(o, GP, err);
    return c->gate_p || fault(o, NP, err);
}

/* in the new task: at most one of these is bad */
static int new_task(const struct task_case *c, u32 ext, struct outcome *o)
{
    const struct seg_case *s = &c->code;
    u32 no_ldt = c->ldt != 1, sel = seg_sel(s, CODE_SLOT);

    if (c->bad == BAD_LDT)
        return fault(o, TS, (ldt_sel(c) & 0xfffc) | ext);
    if (seg_is_null(s) || seg_outside(s) || (no_ldt && s->where == IN_LDT) || !seg_code(s) ||
        (seg_conforming(s) ? s->dpl > s->rpl : s->dpl != s->rpl))
        return fault(o, TS, (sel & 0xfffc) | ext);
    if (!s->p)
        return fault(o, NP, (sel & 0xfffc) | ext);
    s = &c->stack;
    sel = seg_sel(s, SS_SLOT + 8);
    if (seg_is_null(s) || seg_outside(s) || (no_ldt && s->where == IN_LDT) || !seg_writable(s))
        return fault(o, TS, (sel & 0xfffc) | ext);
    if (!s->p)                           /* table 7-1 has it before the DPL */
        return fault(o, SS, (sel & 0xfffc) | ext);
    if (s->dpl != c->ring)
        return fault(o, TS, (sel & 0xfffc) | ext);
    s = &c->data;
    sel = seg_sel(s, SEL_SCRATCH + 8);
    if (seg_is_null(s))
        return 1;
    if (seg_outside(s) || (no_ldt && s->where == IN_LDT) || !s->s || (seg_code(s) && !(s->type & 2)) ||
        (!(seg_code(s) && seg_conforming(s)) && s->dpl < c->ring))
        return fault(o, TS, (sel & 0xfffc) | ext);
    return s->p || fault(o, NP, (sel & 0xfffc) | ext);
}

/* returns whether the switch takes place */
static int model(const struct task_case *c, struct outcome *o)
{
    u32 ext = c->how == BY_UD2 || c->how == BY_GP;

    if ((c->gate && !gate_model(c, ext, o)) || !tss_model(c, ext, o))
        return 0;
    o->cs = seg_sel(&c->code, CODE_SLOT);
    o->ss = seg_sel(&c->stack, SS_SLOT + 8);
    o->sp = SP_OF_TASK - (c->how == BY_GP ? c->new16 ? 2 : 4 : 0);
    o->ip = new_ip(c);
    o->flags = new_flags(c) | (nests(c) ? FL_NT : 0);
    if (!new_task(c, ext, o))
        return 1;
    if (c->bad == BAD_IP)
        return fault(o, GP, 0), 1;
    if (c->bad == T_BIT)
        return fault(o, DB, 0), 1;
    o->vec = LEAVE_VEC;
    o->ip += 2;
    return 1;
}

/* ---- judging -------------------------------------------------------------------------- */

static u32 type_of(u32 sel) { return gdt[sel / 8] >> 40 & 15; }
static u32 str(void)
{
    u32 v;
    asm volatile("str %0" : "=r"(v));
    return v & 0xffff;
}

static void judge_task(const struct task_case *c, const struct outcome *o, u32 switched, ulong next)
{
    u32 mask = c->new16 ? 0xffff : ~0u, old = c->old16 ? 1 : 9, fl = FL_RF | 0xffff0000;
    const u16 *t = (const u16 *)&tss;

    count_case();
#define SAME(what, got, want) if (!same("task", c, sizeof(*c), what, got, want)) return;
    SAME("vector", trap.vec, o->vec)
    if (o->vec != LEAVE_VEC && o->vec != DB)
        SAME("error code", trap.err, o->err)
    SAME("CS", trap.cs, o->cs)
    SAME("IP", trap.ip, o->ip)
    if (o->cs & 3) {
        SAME("SS", trap.ss, o->ss)
        SAME("SP", trap.sp & (switched ? mask : ~0u), o->sp)
    }
    SAME("EFLAGS", trap.flags & ~(ulong)(FL_RF | 0x8d5), o->flags & ~(ulong)0x8d5)
    SAME("TR", str(), switched ? tss_sel(c) : SEL_TSS)
    SAME("old TSS busy", type_of(SEL_TSS), old | (switched && !nests(c) ? 0 : 2))
    SAME("new TSS busy", type_of(SEL_TSS2), c->tss_type | (switched ? 2 : 0))
    SAME("CR0.TS", read_cr0() & CR0_TS, switched ? CR0_TS : 0)
    SAME("back link", tss2.link & 0xffff, switched && nests(c) ? SEL_TSS : 0x7777)
    if (!switched)
        return;
    SAME("DR6.BT", read_dr6() & 0x8000, o->vec == DB ? 0x8000 : 0)
    SAME("EAX", trap.frame.ax & mask, 0xa0a0a0a0 & mask)
    SAME("ECX", trap.frame.cx & mask, 0xc1c1c1c1 & mask)
    SAME("EDX", trap.frame.dx & mask, 0xd2d2d2d2 & mask)
    SAME("EBX", trap.frame.bx & mask, 0xb3b3b3b3 & mask)
    SAME("EBP", trap.frame.bp & mask, 0xb5b5b5b5 & mask)
    SAME("ESI", trap.frame.si & mask, 0x56565656 & mask)
    SAME("EDI", trap.frame.di & mask, 0xd7d7d7d7 & mask)
    SAME("saved IP", c->old16 ? t[7] : tss.eip, next)
    SAME("saved SP", c->old16 ? t[13] : tss.esp, c->old16 ? SRC_SP & 0xffff : SRC_SP)
    SAME("saved CS", c->old16 ? t[18] : tss.cs, src_cs(c->cpl, 0))
    SAME("saved flags", (c->old16 ? t[8] : tss.eflags) & ~fl & ~0x8d5u, old_flags(c) & ~(ulong)FL_NT & ~0x8d5u)
    if (c->how == BY_GP)
        SAME("error code on the new stack", *(volatile u16 *)o->sp, GDT_BYTES)
#undef SAME
}

static void home(const struct task_case *c)
{
    asm volatile("pushfl\n\tandl $~0x4000, (%%esp)\n\tpopfl" : : : "cc");
    if (is_event(c))
        idt_default(vectors[c->how]);
    write_cr0(read_cr0() & ~CR0_TS);
    write_dr6(0);
}

static void run(const struct task_case *c)
{
    struct outcome o = { .cs = src_cs(c->cpl, 0), .ss = src_ss(c->cpl), .sp = SRC_SP, .flags = old_flags(c) };
    ulong next;
    u32 switched;
    struct tss saved = tss;
    u16 *t = (u16 *)&tss;

    o.ip = put_insn(c, &next);
    if (c->old16) {
        t[1] = SP0_OF_TASK;
        t[2] = SEL_DATA;
    }
    put_tables(c);
    switched = (u32)model(c, &o);
    run_case(c->cpl, 0, src_ss(c->cpl), SRC_SP, old_flags(c));
    judge_task(c, &o, switched, next);
    home(c);
    tss = saved;
}

void test_xfer_task(void);
void test_xfer_task(void)
{
    static const char *const names[HOWS] = { "task: JMP", "task: CALL", "task: INT n", "task: #UD", "task: #GP", "task: IRET" };
    struct task_case c;

    write_dr6(0);
    for (u32 how = 0; how < HOWS; how++) {
        if (under_qemu_tcg() && how > BY_JMP) {
            skip(names[how], "QEMU does not come back from it");
            continue;
        }
        for (u32 i = 0; i < XFER_CASES / 4; i++) {
            draw_case(&c, how);
            run(&c);
        }
        group(names[how]);
    }
    asm volatile("lldt %w0" : : "r"(SEL_LDT));
}
