/*
 * xfer-int.c - INT n, INT3, INT1 and an exception through every kind of gate
 *
 * Source of the model: Intel SDM vol. 2, INT n, "Operation"; vol. 3, 6.12 and 6.14.
 */
#include "bare/xfer.h"

enum { BY_INT, BY_UD2, BY_INT3, BY_INT1, SOURCES };
enum { IP_GOOD, IP_BAD };

/* one byte a dimension: they are printed in this order */
struct int_case {
    u8 source, cpl, compat, gate_type, gate_dpl, gate_p, idt_short, ist, ip, stack, flags;
    struct seg_case code;
    struct inner_case inner;
};
enum { STACK_GOOD, STACK_BAD, STACK_ROOM }; /* the one in use; ROOM has inner.room bytes */

static const u8 vectors[] = { 0x41, UD, BP, DB };

static u32 soft(const struct int_case *c) { return c->source == BY_INT || c->source == BY_INT3; }

static void draw_case(struct int_case *c, u32 source)
{
    u32 ring;

    bytes_set(c, 0, sizeof(*c));
    c->source = (u8)source;
    c->cpl = (u8)draw(4);
    c->compat = LONG && (c->cpl == 0 || c->cpl == 3) && one_in(4);
    c->gate_type = draw_mostly(14 + draw(2), 16);
    if (!LONG && one_in(4))
        c->gate_type = (u8)(6 + draw(2));
    if (!LONG && c->gate_type == 5)      /* tasks are xfer-task.c's */
        c->gate_type = 4;
    c->gate_dpl = draw_mostly(3, 4);
    c->gate_p = one_in(16) ? 0 : 1;
    c->idt_short = c->source == BY_INT && one_in(24); /* the faults have lower vectors */
    c->ip = (LONG || limits_count()) && one_in(12);
    c->flags = (u8)draw(8);
    ring = draw(c->cpl + 1);
    draw_code(&c->code, ring);
    if (LONG && !c->code.p)
        c->code.l = 1, c->code.d = 0;    /* absent and not of 64 bits: no order is given */
    draw_inner(&c->inner, seg_code(&c->code) && !seg_conforming(&c->code) ? c->code.dpl : 0);
    if (LONG && one_in(3))
        c->ist = (u8)(1 + draw(7));
    if (c->cpl && one_in(6))
        c->stack = LONG ? c->compat ? STACK_GOOD : STACK_BAD : limits_count() ? STACK_ROOM : STACK_GOOD;
}

static ulong case_flags(const struct int_case *c)
{
    return 2 | (c->flags & 1 ? FL_IF : 0) | (c->flags & 2 ? FL_NT : 0) | (c->flags & 4 ? FL_DF | FL_IOPL : 0);
}

/* IST 1 to 4 are good, one of them misaligned; 5, 6 not canonical, 7 behind the TSS' limit */
static void put_ist(const struct int_case *c)
{
#ifdef __x86_64__
    for (u32 n = 0; n < 4; n++)
        tss.ist[n] = STACK(3) + (n == 2 ? 9 : 0);
    tss.ist[4] = 1ul << 47;
    tss.ist[5] = 0xffff800000000000;
    tss.ist[6] = STACK(3);
    if (c->ist == 7) {
        gdt_set(SEL_TSS, (ulong)&tss, 0x24 + 6 * 8 + 6, D_TSS);
        asm volatile("ltr %w0" : : "r"(SEL_TSS));
    }
#endif
}

static void put_idt_limit(u32 vec, u32 is_short)
{
    struct table_reg r;

    asm volatile("sidt %0" : "=m"(r));
    r.limit = (u16)(is_short ? (vec + 1) * WORD * 2 - 2 : 256 * WORD * 2 - 1);
    asm volatile("lidt %0" : : "m"(r));
}

static u32 case_sp(const struct int_case *c, ulong *sp)
{
    u32 ss = src_ss(c->cpl);

    *sp = SRC_SP - 4 * (c->flags & 1);   /* 64-bit: aligned by the CPU */
    if (c->stack == STACK_BAD)
        *sp = LONG ? (1ul << (LONG ? 47 : 0)) + 0x1000 : 0;
    if (c->stack == STACK_ROOM) {
        desc_set(&gdt[SS_SLOT / 8], 0, (u32)*sp - c->inner.room - 1, 0x4096 | (u32)c->cpl << 5);
        ss = SS_SLOT | c->cpl;
    }
    return ss;
}

static u32 insn_bytes(const struct int_case *c) { return c->source == BY_INT || c->source == BY_UD2 ? 2 : 1; }

static ulong insn_at(void) { return SRC + (LONG ? 0 : 5); }

static void put_insn(const struct int_case *c, ulong sp)
{
    static const u8 code[SOURCES][2] = { { 0xcd, 0x41 }, { 0x0f, 0x0b }, { 0xcc }, { 0xf1 } };

    *(volatile u8 *)SRC = 0xbc;          /* MOV $sp, %ESP: IRET of the same ring does not load it */
    *(volatile u32 *)(SRC + 1) = (u32)sp;
    bytes_copy((void *)insn_at(), code[c->source], 2);
}

/* ---- the model -------------------------------------------------------------------- */

static void push_frame(const struct int_case *c, struct outcome *o, u32 size, u32 old_ss, ulong old_sp, u32 all)
{
    ulong flags = case_flags(c) | (c->source == BY_UD2 ? FL_RF : 0);

    o->frame_bytes = size;
    o->n_frame = all ? 5 : 3;
    o->selectors = 1 << 1 | 1 << 4;
    o->images = 1 << 2;
    o->frame[0] = insn_at() + (c->source == BY_UD2 ? 0 : insn_bytes(c));
    o->frame[1] = src_cs(c->cpl, c->compat);
    o->frame[2] = flags;
    o->frame[3] = old_sp;
    o->frame[4] = old_ss;
    o->sp -= o->n_frame * size;
}

static int code_model(const struct int_case *c, u32 ext, struct outcome *o)
{
    const struct seg_case *t = &c->code;
    u32 err = (seg_sel(t, CODE_SLOT) & 0xfffc) | ext;

    if (seg_is_null(t))
        return fault(o, GP, ext);
    if (seg_outside(t) || !seg_code(t) || t->dpl > c->cpl || (LONG && (!t->l || t->d)))
        return fault(o, GP, err);
    return t->p || fault(o, NP, err);
}

/* the stack in use, or the one of the IST or the inner ring */
static int stack_model(const struct int_case *c, u32 ring, u32 inner, u32 bytes, u32 ext, struct outcome *o)
{
    if (LONG && c->ist) {
        o->ss = inner ? ring : o->ss;
        o->sp = STACK(3) + (c->ist == 3 ? 9 : 0);
        if (c->ist == 7 || c->inner.kind == INNER_TSS_SHORT)
            return fault(o, TS, SEL_TSS | ext);
        return c->ist < 5 || fault(o, SS, ext);
    }
    if (inner)
        return inner_model(&c->inner, ring, bytes, ext, o);
    if (c->stack == STACK_BAD || (c->stack == STACK_ROOM && c->inner.room < bytes))
        return fault(o, SS, ext);
    return 1;
}

static int enter_model(const struct int_case *c, u32 ext, struct outcome *o)
{
    const struct seg_case *t = &c->code;
    u32 inner = !seg_conforming(t) && t->dpl < c->cpl, ring = inner ? t->dpl : c->cpl;
    u32 size = LONG ? 8 : c->gate_type & 8 ? 4 : 2, old_ss = (u32)o->ss;
    ulong old_sp = o->sp;

    if (!code_model(c, ext, o) || !stack_model(c, ring, inner, (inner || LONG ? 5 : 3) * size, ext, o))
        return 0;
    if (c->ip == IP_BAD)
        return fault(o, GP, ext);
    if (LONG)
        o->sp &= ~15ul;
    push_frame(c, o, size, old_ss, old_sp, inner || LONG);
    o->cs = (seg_sel(t, CODE_SLOT) & 0xfffc) | ring;
    o->ip = TARGET + 2;
    o->flags &= ~(ulong)(FL_NT | (c->gate_type & 1 ? 0 : FL_IF));
    o->vec = LEAVE_VEC;
    return 1;
}

static int model(const struct int_case *c, struct outcome *o)
{
    u32 ext = !soft(c), idt = vectors[c->source] * 8 + 2 + ext;
    u32 types = LONG ? 1 << 14 | 1 << 15 : 1 << 6 | 1 << 7 | 1 << 14 | 1 << 15;
    struct outcome at = *o;

    if (c->idt_short || !(types >> c->gate_type & 1) || (soft(c) && c->gate_dpl < c->cpl))
        return fault(o, GP, idt);
    if (!c->gate_p)
        return fault(o, NP, idt);
    if (enter_model(c, ext, o))
        return 1;
    at.vec = o->vec;                     /* a fault leaves everything as it was */
    at.err = o->err;
    *o = at;
    return 0;
}

/* ---- running ---------------------------------------------------------------------- */

static void run(const struct int_case *c)
{
    struct outcome o = { .cs = src_cs(c->cpl, c->compat), .ip = insn_at(), .flags = case_flags(c) };
    u32 vec = vectors[c->source];
    ulong sp, target = c->ip == IP_BAD ? LONG ? 1ul << (LONG ? 47 : 0) : TARGET + 0x1000 : TARGET;

    o.ss = case_sp(c, &sp);
    o.ds = o.ss;
    o.sp = sp;
    put_insn(c, sp);
    seg_put(&c->code, CODE_SLOT, LONG ? 0 : TARGET + 0xfff);
    inner_put(&c->inner, c->code.dpl);
    put_ist(c);
    put_idt_limit(vec, c->idt_short);
    idt_set(vec, seg_sel(&c->code, CODE_SLOT), target, c->gate_type | (u32)c->gate_dpl << 5 | (u32)c->gate_p << 7, c->ist);
    model(c, &o);
    run_case(c->cpl, c->compat, o.ds, sp, case_flags(c));
    idt_default(vec);
    put_idt_limit(0, 0);
    judge("INT", c, sizeof(*c), &o);
}

void test_xfer_int(void);
void test_xfer_int(void)
{
    static const char *const names[] = { "gates: INT n", "gates: #UD", "gates: INT3", "gates: INT1" };
    struct int_case c;

    for (u32 source = 0; source < SOURCES; source++) {
        for (u32 i = 0; i < XFER_CASES / 4; i++) {
            draw_case(&c, source);
            run(&c);
        }
        group(names[source]);
    }
}
