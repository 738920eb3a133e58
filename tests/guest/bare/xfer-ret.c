/*
 * xfer-ret.c - far RET and IRET to the same level, outwards and inwards
 *
 * Source of the model: Intel SDM vol. 2, RET and IRET, "Operation".
 */
#include "bare/xfer.h"

enum { BY_RET, BY_RET_N, BY_IRET, SOURCES };

struct ret_case {
    u8 source, cpl, compat, size, ip, limited, room, flags, iopl, new_flags;
    struct seg_case code, stack;
};
#define RELEASED 12u                     /* RET 12 */

static void draw_case(struct ret_case *c, u32 source)
{
    u32 ring;

    bytes_set(c, 0, sizeof(*c));
    c->source = (u8)source;
    c->cpl = (u8)draw(4);
    c->compat = LONG && (c->cpl == 0 || c->cpl == 3) && one_in(4);
    c->size = LONG && !c->compat && one_in(2) ? 8 : one_in(4) ? 2 : 4;
    c->ip = (LONG || limits_count()) && one_in(10);
    c->limited = c->cpl && limits_count() && one_in(5);
    c->room = (u8)(draw(14) * 2);
    c->flags = (u8)draw(4);
    c->iopl = (u8)draw(4);
    c->new_flags = (u8)draw(32);
    ring = c->cpl + draw(4 - c->cpl);
    draw_code(&c->code, ring);
    draw_stack(&c->stack, ring);
    if (LONG && one_in(6))
        c->stack.where = NULL_SEL;       /* which ring 1 and 2 may have in 64-bit code */
    if (LONG && c->compat && one_in(2))
        c->code.l = 0, c->code.d = 1;
}

static u32 words(const struct ret_case *c) { return c->source == BY_IRET ? 3 : 2; }
static u32 released(const struct ret_case *c) { return c->source == BY_RET_N ? RELEASED : 0; }
static ulong old_flags(const struct ret_case *c)
{
    return 2 | (c->flags & 1 ? FL_IF : 0) | (c->flags & 2 ? FL_DF : 0) | (ulong)c->iopl << 12;
}
static ulong new_flags(const struct ret_case *c)
{
    return 2 | (c->new_flags & 1 ? FL_IF : 0) | (c->new_flags & 2 ? FL_NT : 0) | (c->new_flags & 4 ? FL_DF : 0) |
           (c->new_flags & 8 ? FL_AC : 0) | (ulong)(c->new_flags >> 3 & 3) << 12;
}

/* where 64-bit code can go wrong: not canonical, when the operand has 64 bits; else past the limit */
static ulong new_ip(const struct ret_case *c)
{
    return !c->ip ? TARGET : LONG ? 1ul << (LONG ? 47 : 0) : TARGET + 0x1000;
}

static ulong case_sp(const struct ret_case *c, u32 *ss)
{
    ulong sp = SRC_SP - 256;
    u32 n = words(c), sel = seg_sel(&c->stack, SS_SLOT + 8);
    ulong image[8] = { new_ip(c), seg_sel(&c->code, CODE_SLOT), new_flags(c) };
    volatile u8 *p = (volatile u8 *)sp;

    for (u32 i = 0; i < n; i++)
        bytes_copy((void *)(p + i * c->size), &image[i], c->size);
    p += n * c->size + released(c);
    image[0] = NEW_SP;
    bytes_copy((void *)p, &image[0], c->size);
    image[0] = sel;
    bytes_copy((void *)(p + c->size), &image[0], c->size);
    *ss = src_ss(c->cpl);
    if (c->limited) {                    /* @room bytes above the stack pointer */
        *ss = SS_SLOT | c->cpl;
        desc_set(&gdt[SS_SLOT / 8], 0, (u32)sp + c->room - 1, 0x4092 | (u32)c->cpl << 5);
    }
    return sp;
}

static ulong put_insn(const struct ret_case *c, ulong sp)
{
    static const u8 code[SOURCES][3] = { { 0xcb }, { 0xca, RELEASED }, { 0xcf } };
    volatile u8 *p = (volatile u8 *)SRC;
    ulong at;

    if (!LONG || c->compat) {
        *p++ = 0xbc;
        *(volatile u32 *)p = (u32)sp;
        p += 4;
    }
    at = (ulong)p;
    if (c->size == 2)
        *p++ = 0x66;
    if (c->size == 8)
        *p++ = 0x48;
    bytes_copy((void *)p, code[c->source], 3);
    return at;
}

/* ---- the model -------------------------------------------------------------------- */

static u32 room_bad(const struct ret_case *c, u32 n) { return c->limited && c->room < n; }

static int code_model(const struct ret_case *c, struct outcome *o)
{
    const struct seg_case *t = &c->code;
    u32 sel = seg_sel(t, CODE_SLOT), rpl = sel & 3, err = sel & 0xfffc;

    if (seg_is_null(t))
        return fault(o, GP, 0);
    if (seg_outside(t) || !seg_code(t) || rpl < c->cpl || (seg_conforming(t) ? t->dpl > rpl : t->dpl != rpl))
        return fault(o, GP, err);
    if (LONG && t->l && t->d)
        return fault(o, GP, err);
    return t->p || fault(o, NP, err);
}

static int stack_model(const struct ret_case *c, u32 ring, struct outcome *o)
{
    const struct seg_case *t = &c->stack;
    u32 sel = seg_sel(t, SS_SLOT + 8), err = sel & 0xfffc;

    o->ss = sel;
    if (seg_is_null(t))
        return (LONG && c->code.l && ring != 3 && (sel & 3) == ring) || fault(o, GP, 0);
    if (seg_outside(t) || (sel & 3) != ring || t->dpl != ring || !seg_writable(t))
        return fault(o, GP, err);
    return t->p || fault(o, SS, err);
}

static ulong flags_model(const struct ret_case *c)
{
    ulong mask = FL_NT | FL_DF;

    if (c->source != BY_IRET)
        return old_flags(c);
    if (c->cpl <= c->iopl)
        mask |= FL_IF;
    if (c->cpl == 0)
        mask |= FL_IOPL;
    if (c->size > 2)
        mask |= FL_AC;
    return (old_flags(c) & ~mask) | (new_flags(c) & mask);
}

static int steps(const struct ret_case *c, struct outcome *o)
{
    u32 ring = seg_sel(&c->code, CODE_SLOT) & 3, bytes = words(c) * c->size + released(c);
    u32 always = c->source == BY_IRET && LONG && !c->compat, outer = ring > c->cpl;

    if (room_bad(c, words(c) * c->size))
        return fault(o, SS, 0);
    if (!code_model(c, o))
        return 0;
    if (outer || always) {
        if (room_bad(c, bytes + 2 * c->size))
            return fault(o, SS, 0);
        if (!stack_model(c, ring, o))
            return 0;
    }
    if (c->ip)
        return fault(o, GP, 0);
    o->sp = outer || always ? (NEW_SP & (c->size == 2 ? 0xffff : ~0ul)) + released(c) : o->sp + bytes;
    o->cs = seg_sel(&c->code, CODE_SLOT);
    if (outer)
        o->ds = 0;
    return 1;
}

static void model(const struct ret_case *c, struct outcome *o)
{
    struct outcome at = *o;

    if (steps(c, o)) {
        o->vec = LEAVE_VEC;
        o->ip = TARGET + 2;
        o->flags = flags_model(c);
        return;
    }
    at.vec = o->vec;
    at.err = o->err;
    *o = at;
}

/* Offsets that the operand cannot hold, and 16-bit code segments in long mode, are left out. */
static int possible(const struct ret_case *c)
{
    if (LONG && ((!c->code.l && !c->code.d) || (c->ip && (c->size != 8 || !c->code.l))))
        return 0;
    return !(c->source == BY_IRET && !LONG && c->size == 2 && c->ip);
}

static void run(const struct ret_case *c)
{
    struct outcome o = { .cs = src_cs(c->cpl, c->compat), .flags = old_flags(c) };
    u32 ss;
    ulong sp = case_sp(c, &ss);

    o.ss = o.ds = ss;
    o.sp = sp;
    o.ip = put_insn(c, sp);
    seg_put(&c->code, CODE_SLOT, LONG ? 0 : TARGET + 0xfff);
    seg_put(&c->stack, SS_SLOT + 8, 0);
    model(c, &o);
    run_case(c->cpl, c->compat, ss, sp, old_flags(c));
    judge("RET", c, sizeof(*c), &o);
}

void test_xfer_ret(void);
void test_xfer_ret(void)
{
    static const char *const names[] = { "far RET", "far RET n", "IRET" };
    struct ret_case c;

    for (u32 source = 0; source < SOURCES; source++) {
        for (u32 i = 0; i < XFER_CASES / 2; i++) {
            draw_case(&c, source);
            if (possible(&c))
                run(&c);
        }
        group(names[source]);
    }
}
