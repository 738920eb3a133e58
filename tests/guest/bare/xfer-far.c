/*
 * xfer-far.c - far JMP and CALL: direct, and through every kind of system descriptor
 *
 * Source of the model: Intel SDM vol. 2, CALL and JMP, "Operation"; vol. 3, 5.8.
 */
#include "bare/xfer.h"

enum { DIRECT, GATE, GATE_OUTSIDE };
enum { STACK_GOOD, STACK_BAD, STACK_ROOM };

struct far_case {
    u8 call, cpl, compat, size, kind, rpl, gate_type, gate_dpl, gate_p, params, ip, stack, room;
    struct seg_case code;
    struct inner_case inner;
};

static void draw_case(struct far_case *c, u32 call)
{
    u32 ring;

    bytes_set(c, 0, sizeof(*c));
    c->call = (u8)call;
    c->cpl = (u8)draw(4);
    c->compat = LONG && (c->cpl == 0 || c->cpl == 3) && one_in(4);
    c->size = LONG && !c->compat && one_in(3) ? 8 : one_in(4) ? 2 : 4;
    c->kind = one_in(32) ? GATE_OUTSIDE : (u8)draw(2);
    c->rpl = draw_mostly(draw(c->cpl + 1), 4);
    c->gate_type = draw_mostly(LONG || one_in(2) ? 12 : 4, 16);
    c->gate_dpl = draw_mostly(3, 4);
    c->gate_p = one_in(16) ? 0 : 1;
    if (!LONG && (c->gate_type == 1 || c->gate_type == 5 || c->gate_type == 9))
        c->gate_p = 0;                   /* switches of tasks are xfer-task.c's */
    c->params = (u8)(one_in(2) ? 0 : draw(32));
    c->ip = (LONG || limits_count()) && one_in(12);
    ring = c->kind == DIRECT ? c->cpl : draw(c->cpl + 1);
    draw_code(&c->code, ring);
    if (LONG && c->kind == DIRECT && c->compat && one_in(2))
        c->code.l = 0, c->code.d = 1;
    draw_inner(&c->inner, seg_code(&c->code) && !seg_conforming(&c->code) ? c->code.dpl : 0);
    if (c->inner.kind == INNER_ROOM)
        c->inner.room = (u8)(draw(80) * 2);
    if (c->cpl && one_in(6))
        c->stack = LONG ? c->compat ? STACK_GOOD : STACK_BAD : limits_count() ? STACK_ROOM : STACK_GOOD;
    c->room = (u8)(draw(12) * 2);
    if (c->stack == STACK_ROOM)          /* an expand-down stack without room also has no parameters above */
        c->params = 0;
}

/* MOV $sp, %ESP; [66] [REX.W] [CS] JMP or CALL far [FAR_POINTER] */
static ulong put_insn(const struct far_case *c, ulong sp, ulong *end)
{
    volatile u8 *p = (volatile u8 *)SRC, *insn;

    *p = 0xbc;
    *(volatile u32 *)(p + 1) = (u32)sp;
    p += LONG && !c->compat ? 0 : 5;
    insn = LONG && !c->compat ? (volatile u8 *)SRC : p;
    p = insn;
    *p++ = 0x2e;
    if (c->size == 2)
        *p++ = 0x66;
    if (c->size == 8)
        *p++ = 0x48;
    *p++ = 0xff;
    *p++ = c->call ? 0x1c : 0x2c;
    *p++ = 0x25;
    *(volatile u32 *)p = FAR_POINTER;
    *end = (ulong)p + 4;
    return (ulong)insn;
}

static u32 far_sel(const struct far_case *c)
{
    return c->kind == DIRECT ? seg_sel(&c->code, CODE_SLOT) : c->kind == GATE ? SEL_GATE | c->rpl : GDT_BYTES | c->rpl;
}

/* an offset past the limit; in 64-bit code one that is not canonical, where the operand can hold it */
static ulong far_offset(const struct far_case *c)
{
    if (!c->ip)
        return TARGET;
    return LONG && (c->kind == GATE || c->size == 8) ? 1ul << (LONG ? 47 : 0) : TARGET + 0x1000;
}

static u32 offset_bad(const struct far_case *c)
{
    return c->ip && (LONG ? far_offset(c) >> (LONG ? 47 : 0) != 0 : 1);
}

static void put_pointer(const struct far_case *c)
{
    ulong off = far_offset(c);

    bytes_copy((void *)FAR_POINTER, &off, c->size);
    *(volatile u16 *)(FAR_POINTER + c->size) = (u16)far_sel(c);
    gate_set(&gdt[SEL_GATE / 8], seg_sel(&c->code, CODE_SLOT), off, c->gate_type | (u32)c->gate_dpl << 5 | (u32)c->gate_p << 7,
             LONG ? 0 : c->params);
}

static u32 case_sp(const struct far_case *c, ulong *sp)
{
    *sp = SRC_SP - 256;
    for (u32 i = 0; i < 64; i++)
        ((volatile u32 *)*sp)[i] = 0x1000000 + i;
    if (c->stack == STACK_BAD)
        *sp = LONG ? (1ul << (LONG ? 47 : 0)) + 0x1000 : 0;
    if (c->stack != STACK_ROOM)
        return src_ss(c->cpl);
    desc_set(&gdt[SS_SLOT / 8], 0, (u32)*sp - c->room - 1, 0x4096 | (u32)c->cpl << 5);
    return SS_SLOT | c->cpl;
}

/* ---- the model -------------------------------------------------------------------- */

/* without a change of stack; @bytes: of each word that CALL pushes */
static int same_level(const struct far_case *c, u32 bytes, ulong end, u32 old_cs, struct outcome *o)
{
    if (c->call && (c->stack == STACK_BAD || (c->stack == STACK_ROOM && c->room < 2 * bytes)))
        return fault(o, SS, 0);
    if (offset_bad(c))
        return fault(o, GP, 0);
    o->cs = (seg_sel(&c->code, CODE_SLOT) & 0xfffc) | c->cpl;
    if (!c->call)
        return 1;
    o->sp -= 2 * bytes;
    o->frame_bytes = bytes;
    o->n_frame = 2;
    o->selectors = 1 << 1;
    o->frame[0] = end;
    o->frame[1] = old_cs;
    return 1;
}

static int inner_level(const struct far_case *c, u32 bytes, ulong end, u32 old_cs, struct outcome *o)
{
    u32 ring = c->code.dpl, params = LONG ? 0 : c->params, n = 4 + params, old_ss = (u32)o->ss;
    ulong old_sp = o->sp;

    if (!inner_model(&c->inner, ring, n * bytes, 0, o))
        return 0;
    if (offset_bad(c))
        return fault(o, GP, 0);
    o->cs = (seg_sel(&c->code, CODE_SLOT) & 0xfffc) | ring;
    o->sp -= n * bytes;
    o->frame_bytes = bytes;
    o->n_frame = n;
    o->selectors = 1 << 1 | 1ull << (n - 1);
    o->frame[0] = end;
    o->frame[1] = old_cs;
    for (u32 i = 0; i < params; i++)
        o->frame[2 + i] = bytes == 2 ? *(volatile u16 *)(old_sp + i * 2) : *(volatile u32 *)(old_sp + i * 4);
    o->frame[2 + params] = old_sp;
    o->frame[3 + params] = old_ss;
    return 1;
}

static int gate_model(const struct far_case *c, ulong end, u32 old_cs, struct outcome *o)
{
    const struct seg_case *t = &c->code;
    u32 sel = SEL_GATE, tsel = seg_sel(t, CODE_SLOT) & 0xfffc, same = seg_conforming(t) || t->dpl == c->cpl;
    u32 types = LONG ? 1 << 12 : 1 << 1 | 1 << 4 | 1 << 5 | 1 << 9 | 1 << 12;

    if (!(types >> c->gate_type & 1) || c->gate_dpl < c->cpl || c->gate_dpl < c->rpl)
        return fault(o, GP, sel);
    if (!c->gate_p)
        return fault(o, NP, sel);
    if (seg_is_null(t))
        return fault(o, GP, 0);
    if (seg_outside(t) || !seg_code(t) || t->dpl > c->cpl || (LONG && (!t->l || t->d)) || (!c->call && !same))
        return fault(o, GP, tsel);
    if (!t->p)
        return fault(o, NP, tsel);
    return (same ? same_level : inner_level)(c, LONG ? 8 : c->gate_type & 8 ? 4 : 2, end, old_cs, o);
}

static int direct_model(const struct far_case *c, ulong end, u32 old_cs, struct outcome *o)
{
    const struct seg_case *t = &c->code;
    u32 sel = seg_sel(t, CODE_SLOT), err = sel & 0xfffc;

    if (seg_is_null(t))
        return fault(o, GP, 0);
    if (seg_outside(t) || !seg_code(t) || (LONG && t->l && t->d))
        return fault(o, GP, err);
    if (seg_conforming(t) ? t->dpl > c->cpl : (sel & 3) > c->cpl || t->dpl != c->cpl)
        return fault(o, GP, err);
    if (!t->p)
        return fault(o, NP, err);
    return same_level(c, c->size, end, old_cs, o);
}

static void model(const struct far_case *c, ulong end, struct outcome *o)
{
    struct outcome at = *o;
    u32 old_cs = src_cs(c->cpl, c->compat);
    int ok;

    if (c->kind == GATE_OUTSIDE)
        ok = fault(o, GP, GDT_BYTES);
    else
        ok = (c->kind == GATE ? gate_model : direct_model)(c, end, old_cs, o);
    if (ok) {
        o->vec = LEAVE_VEC;
        o->ip = TARGET + 2;
        return;
    }
    at.vec = o->vec;
    at.err = o->err;
    *o = at;
}

static int possible(const struct far_case *c)
{
    const struct seg_case *t = &c->code;

    /* left out: 16-bit code; in legacy code offsets of 64 bits, and stack pointers: what becomes of the
     * upper half is undefined (SDM vol. 1, 3.4.1.1) */
    if (LONG && c->kind == DIRECT && !t->l && (!t->d || c->size == 8 || c->ip || c->stack))
        return 0;
    return !(LONG && c->ip && !offset_bad(c));
}

static void run(const struct far_case *c)
{
    struct outcome o = { .cs = src_cs(c->cpl, c->compat), .flags = 2 };
    ulong sp, end;

    o.ss = o.ds = case_sp(c, &sp);
    o.sp = sp;
    o.ip = put_insn(c, sp, &end);
    seg_put(&c->code, CODE_SLOT, LONG ? 0 : TARGET + 0xfff);
    inner_put(&c->inner, c->code.dpl);
    put_pointer(c);
    model(c, end, &o);
    run_case(c->cpl, c->compat, o.ds, sp, 2);
    judge(c->call ? "CALL" : "JMP", c, sizeof(*c), &o);
}

void test_xfer_far(void);
void test_xfer_far(void)
{
    struct far_case c;

    for (u32 call = 0; call < 2; call++) {
        for (u32 i = 0; i < XFER_CASES / 2; i++) {
            draw_case(&c, call);
            if (possible(&c))
                run(&c);
        }
        group(call ? "far CALL" : "far JMP");
    }
}
