/* xfer-lib.c - what the generated tests of control transfers share */
#include "bare/xfer.h"

static u32 state = 2463534242u, cases, wrong;

u32 draw(u32 n)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % n;
}

/* QEMU does not look at limits, and code that runs past one does not come back */
u32 limits_count(void)
{
    static int tcg = -1;

    if (tcg < 0)
        tcg = under_qemu_tcg();
    return !LONG && !tcg;
}

/* ---- segments ----------------------------------------------------------------------- */

static void draw_where(struct seg_case *t, u32 dpl)
{
    t->where = draw_mostly(one_in(3) ? IN_LDT : IN_GDT, 5);
    t->rpl = draw_mostly(dpl, 4);
    t->dpl = draw_mostly(dpl, 4);
    t->p = draw_mostly(1, 2);
    t->s = draw_mostly(1, 2);
    t->l = LONG;
    t->d = !LONG;
}

void draw_code(struct seg_case *t, u32 dpl)
{
    draw_where(t, dpl);
    t->type = draw_mostly(one_in(3) ? 14 : 10, 16);
    if (!t->s)
        t->type = 2;                     /* an LDT: neither gate nor task */
    if (LONG && one_in(4)) {
        t->l = (u8)draw(2);
        t->d = (u8)draw(2);
    }
}

void draw_stack(struct seg_case *t, u32 dpl)
{
    draw_where(t, dpl);
    t->type = draw_mostly(2, 16);
    if (t->s && (t->type & 12) == 4)
        t->type &= 11;                   /* expand-down is INNER_ROOM's */
    t->l = 0;
    t->d = 1;
}

u32 seg_sel(const struct seg_case *t, u32 slot)
{
    switch (t->where) {
    case IN_GDT: return slot | t->rpl;
    case IN_LDT: return (slot / 8 & 7) * 8 | 4 | t->rpl;
    case PAST_GDT: return GDT_BYTES | t->rpl;
    case PAST_LDT: return 0xfff8 | 4 | t->rpl;
    default: return t->rpl;
    }
}

void seg_put(const struct seg_case *t, u32 slot, u32 limit)
{
    u32 attr = t->type | (u32)t->s << 4 | (u32)t->dpl << 5 | (u32)t->p << 7 | (u32)t->l << 13 | (u32)t->d << 14;

    desc_set(t->where == IN_LDT ? &ldt[slot / 8 & 7] : &gdt[slot / 8], 0, limit ? limit : 0xfffff, attr | (limit ? 0 : D_G));
}

/* ---- inner stacks ------------------------------------------------------------------- */

void draw_inner(struct inner_case *i, u32 ring)
{
    i->kind = INNER_GOOD;
    i->room = (u8)(draw(24) * 2);
    draw_stack(&i->ss, ring);
    if (ring == 0 || ring == 3 || one_in(2)) /* ring 0 needs its stack for the fault itself */
        return;
    i->kind = (u8)draw(INNER_KINDS);
    if (i->kind == INNER_ROOM && !limits_count())
        i->kind = INNER_GOOD;
    if (LONG && (i->kind == INNER_SEG || i->kind == INNER_ROOM))
        i->kind = INNER_GOOD;
    if (!LONG && i->kind > INNER_TSS_SHORT)
        i->kind = INNER_SEG;
}

static void load_tr(u32 limit)
{
    gdt_set(SEL_TSS, (ulong)&tss, limit, D_TSS);
    asm volatile("ltr %w0" : : "r"(SEL_TSS));
}

void inner_put(const struct inner_case *i, u32 ring)
{
    load_tr(i->kind != INNER_TSS_SHORT ? sizeof(tss) - 1 : LONG ? 4 + ring * 8 + 6 : 4 + ring * 8 + 4);
#ifdef __x86_64__
    for (u32 n = 1; n < 3; n++)
        tss.rsp[n] = STACK(n);
    if (i->kind == INNER_SP_BAD)
        tss.rsp[ring] = 1ul << 47;
    if (i->kind == INNER_SP_EDGE)
        tss.rsp[ring] = 0xffff800000000000;
#else
    u32 *sp[] = { &tss.esp0, &tss.esp1, &tss.esp2 }, *ss[] = { &tss.ss0, &tss.ss1, &tss.ss2 };

    tss.esp1 = STACK(1);
    tss.esp2 = STACK(2);
    tss.ss1 = SEL_DATA1;
    tss.ss2 = SEL_DATA2;
    if (i->kind == INNER_SEG) {
        seg_put(&i->ss, INNER_SLOT, 0);
        *ss[ring] = seg_sel(&i->ss, INNER_SLOT);
    }
    if (i->kind == INNER_ROOM) {         /* expand-down: @room bytes below the stack pointer */
        *ss[ring] = INNER_SLOT | ring;
        desc_set(&gdt[INNER_SLOT / 8], 0, STACK(ring) - i->room - 1, 0x4096 | ring << 5);
        *sp[ring] = STACK(ring);
    }
#endif
}

/* SDM vol. 2, CALL, "MORE-PRIVILEGE", and INT, "INTER-PRIVILEGE-LEVEL-INTERRUPT" */
int inner_model(const struct inner_case *i, u32 ring, u32 bytes, u32 ext, struct outcome *o)
{
    const struct seg_case *s = &i->ss;
    u32 sel = seg_sel(s, INNER_SLOT), err = (sel & 0xfffc) | ext;

    o->sp = ring ? STACK(ring) : (ulong)stack0_top;
    o->ss = LONG ? ring : ring == 0 ? SEL_DATA : ring == 1 ? SEL_DATA1 : SEL_DATA2;
    switch (i->kind) {
    case INNER_TSS_SHORT: return fault(o, TS, SEL_TSS | ext);
    case INNER_SP_BAD: case INNER_SP_EDGE: return fault(o, SS, ext);
    case INNER_ROOM:
        o->ss = INNER_SLOT | ring;
        return i->room >= bytes || fault(o, SS, INNER_SLOT | ext);
    case INNER_SEG:
        if (seg_is_null(s))
            return fault(o, TS, ext);
        if (seg_outside(s) || s->rpl != ring || s->dpl != ring || !seg_writable(s))
            return fault(o, TS, err);
        if (!s->p)
            return fault(o, SS, err);
        o->ss = sel;
    }
    return 1;
}

/* ---- running ------------------------------------------------------------------------ */

u32 src_cs(u32 cpl, u32 compat)
{
    static const u16 code[] = { SEL_CODE, SEL_CODE1, SEL_CODE2, LONG ? SEL_UCODE64 : SEL_UCODE32 };

    return compat ? cpl ? SEL_UCODE32 : SEL_CODE32 : code[cpl];
}

u32 src_ss(u32 cpl)
{
    static const u16 data[] = { SEL_DATA, SEL_DATA1, SEL_DATA2, SEL_UDATA };

    return data[cpl];
}

void run_case(u32 cpl, u32 compat, ulong ss, ulong sp, ulong flags)
{
    static int there;

    if (!there)
        bytes_copy((void *)TARGET, "\xcd\x80", 2);
    there = 1;
    trap_arm();
    user_run(SRC, sp, flags, src_cs(cpl, compat), ss);
}

int fault(struct outcome *o, int vec, u32 err)
{
    o->vec = vec;
    o->err = err;
    return 0;
}

/* ---- judging ------------------------------------------------------------------------ */

void count_case(void) { cases++; }

int same(const char *name, const void *c, u32 bytes, const char *what, u64 got, u64 want)
{
    if (got == want)
        return 1;
    if (++wrong > XFER_COMPLAINTS)
        return 0;
    put_str("# ");
    put_str(name);
    put_str(" case ");
    put_hex(cases);
    put_char(':');
    for (u32 i = 0; i < bytes; i++) {
        put_char(' ');
        put_hex(((const u8 *)c)[i]);
    }
    put_str(": ");
    put_str(what);
    put_str(" got ");
    put_hex(got);
    put_str(" want ");
    put_hex(want);
    put_char('\n');
    return 0;
}

static u64 word_at(ulong at, u32 bytes)
{
    return bytes == 2 ? *(volatile u16 *)at : bytes == 4 ? *(volatile u32 *)at : *(volatile u64 *)at;
}

int judge(const char *name, const void *c, u32 bytes, struct outcome *want)
{
    ulong sp = trap.cs & 3 || LONG ? trap.sp : trap.handler_sp;
    u64 mask = want->frame_bytes == 8 ? ~0ull : (1ull << want->frame_bytes * 8) - 1, got;
    u32 keep = FL_RF | FL_AF | FL_PF | FL_ZF | FL_SF | FL_CF | FL_OF;

    cases++;
#define SAME(what, got, want) if (!same(name, c, bytes, what, got, want)) return 0;
    SAME("vector", trap.vec, want->vec)
    if (want->vec != LEAVE_VEC)
        SAME("error code", trap.err, want->err)
    SAME("CS", trap.cs, want->cs)
    SAME("IP", trap.ip, want->ip)
    SAME("SP", sp, want->sp)
    if (want->cs & 3 || LONG)
        SAME("SS", trap.ss & 0xffff, want->ss)
    SAME("EFLAGS", trap.flags & ~(ulong)keep, want->flags & ~(ulong)keep)
#ifndef __x86_64__
    SAME("DS", trap.frame.ds & 0xffff, want->ds)
#endif
    for (u32 i = 0; i < want->n_frame; i++) {
        got = word_at(want->sp + i * want->frame_bytes, want->frame_bytes);
        if (want->selectors >> i & 1)    /* what is above the selector is not defined */
            got &= 0xffff;
        SAME("frame", got & ~(want->images >> i & 1 ? keep : 0ull), want->frame[i] & mask & ~(want->images >> i & 1 ? keep : 0ull))
    }
    return 1;
#undef SAME
}

void group(const char *name)
{
    static u32 before, wrong_before;

    put_str("# ");
    put_str(name);
    put_str(": cases ");
    put_hex(cases - before);
    put_char('\n');
    check(name, cases == before ? 1 : wrong - wrong_before, 0);
    before = cases;
    wrong_before = wrong;
    load_tr(sizeof(tss) - 1);
    for (u32 v = 0; v < 8; v++)
        idt_default(v);
}
