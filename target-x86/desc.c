/*
 * desc.c - descriptors, the hidden half of segment registers, stacks of the
 * TSS: the checks that far transfers, event delivery and task switches share
 *
 * Source: Intel SDM vol. 3, chapters 3.4, 3.5, 5.
 */
#include "target-x86/system-int.h"

/*
 * A table above 4 GiB is reached from compatibility-mode code too, so the wrap
 * of a page-crossing access follows the mode of the tables, not of the code.
 */
static uint64_t begin_implicit(struct x86_cpu *cpu)
{
    uint64_t mask = cpu->tcg.va_mask;

    cpu->implicit = true;
    cpu->tcg.va_mask = x86_lma(cpu) ? ~0ull : 0xffffffff;
    return mask;
}

static void end_implicit(struct x86_cpu *cpu, uint64_t mask)
{
    cpu->implicit = false;
    cpu->tcg.va_mask = mask;
}

static uint64_t load_sized(const uint8_t *p, unsigned size)
{
    return size == 8 ? ldl64(p) : size == 4 ? ldl32(p) : size == 2 ? ldl16(p) : *p;
}

/** load_here() - tcg_load(), sooner where the page map has it */
static bool load_here(struct x86_cpu *cpu, uint64_t va, unsigned size, uint64_t *v)
{
    const uint8_t *p = tcg_hit(&cpu->tcg, x86_view(cpu), va, size, ACC_READ);

    if (unlikely(!p))
        return tcg_load(&cpu->tcg, va, size, v);
    *v = load_sized(p, size);
    return true;
}

bool x86_sys_load(struct x86_cpu *cpu, uint64_t va, unsigned size, uint64_t *v)
{
    const uint8_t *p = tcg_hit(&cpu->tcg, VIEW_KERNEL, va, size, ACC_READ);
    uint64_t mask;
    bool ok;

    if (likely(p)) {
        *v = load_sized(p, size);
        return true;
    }
    mask = begin_implicit(cpu);
    ok = tcg_load_view(&cpu->tcg, VIEW_KERNEL, va, size, v);
    end_implicit(cpu, mask);
    return ok;
}

bool x86_sys_store(struct x86_cpu *cpu, uint64_t va, unsigned size, uint64_t v)
{
    uint64_t mask = begin_implicit(cpu);
    bool ok = tcg_store_view(&cpu->tcg, VIEW_KERNEL, va, size, v);

    end_implicit(cpu, mask);
    return ok;
}

/** table_addr() - linear address, 32 bits wide outside long mode */
static uint64_t table_addr(const struct x86_cpu *cpu, uint64_t a)
{
    return x86_lma(cpu) ? a : (uint32_t)a;
}

/* ---- descriptors ----------------------------------------------------------- */

void x86_desc_parse(struct x86_desc *d, uint64_t raw)
{
    d->raw = raw;
    d->base = bits(raw, 16, 24) | bits(raw, 56, 8) << 24;
    d->limit = bits(raw, 0, 16) | bits(raw, 48, 4) << 16;
    d->attr = bits(raw, 40, 16) & 0xf0ff;
    if (d->attr & SEG_G)
        d->limit = d->limit << 12 | 0xfff;
}

/** table_of() - bounds of the table that @sel indexes; false: no LDT */
static bool table_of(const struct x86_cpu *cpu, uint16_t sel, uint64_t *base, uint32_t *limit)
{
    if (!(sel & 4)) {
        *base = cpu->gdt.base;
        *limit = cpu->gdt.limit;
        return true;
    }
    *base = cpu->ldt.base;
    *limit = cpu->ldt.limit;
    return !sel_null(cpu->ldt.sel) && (cpu->ldt.attr & SEG_P);
}

bool x86_desc_peek(struct x86_cpu *cpu, uint16_t sel, struct x86_desc *d, bool *found)
{
    uint64_t base, raw;
    uint32_t limit;

    *found = table_of(cpu, sel, &base, &limit) && (sel | 7u) <= limit;
    if (!*found)
        return true;
    d->at = table_addr(cpu, base + (sel & 0xfff8u));
    if (!x86_sys_load(cpu, d->at, 8, &raw))
        return false;
    x86_desc_parse(d, raw);
    return true;
}

bool x86_desc_read(struct x86_cpu *cpu, uint16_t sel, struct x86_desc *d, unsigned vector)
{
    bool found;

    if (!x86_desc_peek(cpu, sel, d, &found))
        return false;
    return found || x86_fault(cpu, vector, sel_err(sel));
}

bool x86_desc_upper(struct x86_cpu *cpu, uint16_t sel, const struct x86_desc *d, uint64_t *upper)
{
    uint64_t base;
    uint32_t limit;

    if (!table_of(cpu, sel, &base, &limit) || (sel | 7u) + 8 > limit)
        return x86_fault(cpu, EXC_GP, sel_err(sel));
    if (!x86_sys_load(cpu, d->at + 8, 8, upper))
        return false;
    if (*upper >> 40 & 0x1f)             /* type and S of the second half are 0 */
        return x86_fault(cpu, EXC_GP, sel_err(sel));
    return true;
}

bool x86_desc_accessed(struct x86_cpu *cpu, struct x86_desc *d)
{
    if (d->attr & 1)
        return true;
    if (!x86_sys_store(cpu, d->at + 5, 1, bits(d->raw, 40, 8) | 1))
        return false;
    d->attr |= 1;
    d->raw |= BIT(40);
    return true;
}

bool x86_desc_set_type(struct x86_cpu *cpu, struct x86_desc *d, unsigned type)
{
    uint8_t b = (bits(d->raw, 40, 8) & ~SEG_TYPE) | type;

    if (!x86_sys_store(cpu, d->at + 5, 1, b))
        return false;
    d->attr = (d->attr & ~SEG_TYPE) | type;
    d->raw = (d->raw & ~(0xffull << 40)) | (uint64_t)b << 40;
    return true;
}

/* ---- segment registers -------------------------------------------------------- */

/**
 * x86_seg_derive() - lo, hi_r, hi_w from attr and limit
 * @protected_mode: false: type bits do not restrict access (real mode, VM86)
 *
 * What is not permitted has lower bound 1 and upper bound 0: nothing lies between.
 */
void x86_seg_derive(struct x86_seg *s, bool protected_mode)
{
    bool code = s->attr & 8;
    uint32_t hi;

    s->lo = s->lo_w = 1;
    s->hi_r = s->hi_w = 0;
    if (!(s->attr & SEG_P) || !(s->attr & SEG_S))
        return;
    if (!code && (s->attr & 4)) {        /* expand-down: everything above the limit */
        hi = s->attr & SEG_DB ? 0xffffffff : 0xffff;
        if (s->limit >= hi)
            return;
        s->lo = s->limit + 1;
    } else {
        hi = s->limit;
        s->lo = 0;
    }
    if (!protected_mode || !code || (s->attr & 2))
        s->hi_r = hi;
    else
        s->lo = 1;
    if (!protected_mode || (!code && (s->attr & 2))) {
        s->lo_w = s->lo;
        s->hi_w = hi;
    }
}

void x86_seg_fill(struct x86_seg *s, uint16_t sel, const struct x86_desc *d)
{
    s->sel = sel;
    s->attr = d->attr;
    s->limit = d->limit;
    s->base = d->base;
    x86_seg_derive(s, true);
}

void x86_seg_null(struct x86_seg *s, uint16_t sel)
{
    s->sel = sel;
    s->attr = 0;
    s->limit = 0;
    s->base = 0;
    x86_seg_derive(s, true);
}

void x86_seg_flat(struct x86_seg *s, uint16_t sel, uint16_t attr)
{
    bool code = attr & 8;

    s->sel = sel;
    s->attr = attr;
    s->limit = 0xffffffff;
    s->base = 0;
    s->lo = 0;
    s->lo_w = code;
    s->hi_r = 0xffffffff;
    s->hi_w = code ? 0 : 0xffffffff;
}

/**
 * x86_load_real_seg() - load a segment register in real mode or VM86
 *
 * VM86 sets all of the hidden part; real mode sets the base and keeps limit and
 * attributes, which is what makes "unreal" mode work. A CS load makes it a
 * writable data-like segment again only in type (SDM vol. 3, 9.10).
 */
void x86_load_real_seg(struct x86_cpu *cpu, unsigned seg, uint16_t sel)
{
    struct x86_seg *s = &cpu->seg[seg];

    s->sel = sel;
    s->base = (uint32_t)sel << 4;
    if (x86_vm86(cpu)) {
        s->limit = 0xffff;
        s->attr = SEG_P | SEG_S | 3 << SEG_DPL_SHIFT | 3;
    } else if (!(s->attr & SEG_P)) {     /* was null when protection was switched off */
        s->limit = 0xffff;
        s->attr = SEG_P | SEG_S | 3;
    }
    x86_seg_derive(s, false);
}

void x86_enter_vm86(struct x86_cpu *cpu, const uint16_t sel[S_COUNT])
{
    cpu->eflags |= EF_VM;
    cpu->cpl = 3;
    for (unsigned i = 0; i < S_COUNT; i++)
        x86_load_real_seg(cpu, i, sel[i]);
}

/* ---- checks --------------------------------------------------------------------- */

bool x86_check_code(struct x86_cpu *cpu, uint16_t sel, const struct x86_desc *d, bool gate)
{
    unsigned dpl = desc_dpl(d);
    bool ok = desc_code(d);

    if (desc_conforming(d) || gate)
        ok = ok && dpl <= cpu->cpl;
    else
        ok = ok && (sel & 3u) <= cpu->cpl && dpl == cpu->cpl;
    if (x86_lma(cpu) && (d->attr & SEG_L) && (d->attr & SEG_DB))
        ok = false;
    if (!ok)
        return x86_fault(cpu, EXC_GP, sel_err(sel));
    return desc_present(d) || x86_fault(cpu, EXC_NP, sel_err(sel));
}

bool x86_check_stack(struct x86_cpu *cpu, uint16_t sel, struct x86_desc *d, unsigned dpl,
                     unsigned vector)
{
    if (sel_null(sel))
        return x86_fault(cpu, vector, vector == EXC_GP ? 0 : sel_err(sel));
    if (!x86_desc_read(cpu, sel, d, vector))
        return false;
    if ((sel & 3u) != dpl || desc_dpl(d) != dpl || !desc_writable_data(d))
        return x86_fault(cpu, vector, sel_err(sel));
    return desc_present(d) || x86_fault(cpu, EXC_SS, sel_err(sel));
}

bool x86_load_data_seg(struct x86_cpu *cpu, unsigned seg, uint16_t sel, unsigned vector)
{
    struct x86_desc d;
    unsigned dpl;

    if (sel_null(sel)) {
        x86_seg_null(&cpu->seg[seg], sel);
        return true;
    }
    if (!x86_desc_read(cpu, sel, &d, vector))
        return false;
    dpl = desc_dpl(&d);
    if (desc_system(&d) || (desc_code(&d) && !(d.attr & 2)))
        return x86_fault(cpu, vector, sel_err(sel));
    if (!(desc_code(&d) && desc_conforming(&d)) && ((sel & 3u) > dpl || cpu->cpl > dpl))
        return x86_fault(cpu, vector, sel_err(sel));
    if (!desc_present(&d))
        return x86_fault(cpu, EXC_NP, sel_err(sel));
    if (!x86_desc_accessed(cpu, &d))
        return false;
    x86_seg_fill(&cpu->seg[seg], sel, &d);
    return true;
}

/* Unusable, but the base stays, as the silicon does it: 64-bit code goes on using
 * the base of FS and GS. */
static void drop_seg(struct x86_seg *s)
{
    uint64_t base = s->base;

    x86_seg_null(s, 0);
    s->base = base;
}

void x86_drop_inner_segs(struct x86_cpu *cpu)
{
    static const uint8_t data[] = { S_ES, S_DS, S_FS, S_GS };

    for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
        struct x86_seg *s = &cpu->seg[data[i]];
        bool conforming_code = (s->attr & 12) == 12;

        if ((s->attr & SEG_P) && !conforming_code && (s->attr >> SEG_DPL_SHIFT & 3u) < cpu->cpl)
            drop_seg(s);
    }
}

bool x86_code_limit(struct x86_cpu *cpu, const struct x86_seg *cs, uint64_t pc)
{
    if (x86_lma(cpu) && (cs->attr & SEG_L))
        return x86_canonical(pc) || x86_gp0(cpu);
    return pc <= cs->limit || x86_gp0(cpu);
}

/* ---- stacks ------------------------------------------------------------------------ */

static uint64_t stack_mask(const struct x86_seg *ss)
{
    return ss->attr & SEG_DB ? 0xffffffff : 0xffff;
}

void x86_stack_current(struct x86_cpu *cpu, struct x86_stack *st)
{
    st->ss = cpu->seg[S_SS];
    st->long_mode = x86_code64(cpu);
    st->mask = st->long_mode ? ~0ull : stack_mask(&st->ss);
    st->sp = GPR(cpu, R_SP);
    st->err = 0;
    st->sys = false;
}

void x86_stack_new(struct x86_stack *st, const struct x86_seg *ss, uint64_t sp, uint32_t err)
{
    st->ss = *ss;
    st->sp = sp;
    st->mask = stack_mask(ss);
    st->err = err;
    st->long_mode = false;
    st->sys = true;
}

/** stack_addr() - linear address of @size bytes at @off; raises #SS */
static bool stack_addr(struct x86_cpu *cpu, const struct x86_stack *st, uint64_t off, unsigned size,
                       bool write, uint64_t *va)
{
    uint32_t hi = write ? st->ss.hi_w : st->ss.hi_r;

    if (st->long_mode) {
        *va = off;
        return (x86_canonical(off) && x86_canonical(off + size - 1)) ||
               x86_fault(cpu, EXC_SS, st->err);
    }
    if (off < st->ss.lo || off + size - 1 > hi)
        return x86_fault(cpu, EXC_SS, st->err);
    *va = (uint32_t)(st->ss.base + off);
    return true;
}

/** frame_page() - host address of @n quadwords at @va when they lie in one page of RAM,
 *  else NULL with nothing raised */
static uint8_t *frame_page(struct x86_cpu *cpu, uint64_t va, unsigned n, enum tcg_access acc)
{
    uint8_t *p;

    if ((va & 4095) + n * 8 > 4096 || !x86_canonical(va))
        return NULL;
    p = tcg_host_page(&cpu->tcg, va, acc);
    if (!p)
        cpu->tcg.exception = 0;          /* the caller meets the fault again, in its place */
    return p;
}

bool x86_frame_store(struct x86_cpu *cpu, bool sys, uint64_t va, const uint64_t *v, unsigned n)
{
    uint64_t mask;
    uint8_t *p;

    if (sys) {
        mask = begin_implicit(cpu);
        tcg_mmu_set_view(&cpu->tcg, VIEW_KERNEL);
        p = frame_page(cpu, va, n, ACC_WRITE);
        x86_update_view(cpu);
        end_implicit(cpu, mask);
    } else {
        p = frame_page(cpu, va, n, ACC_WRITE);
    }
    for (unsigned i = 0; p && i < n; i++)
        stl64(p + i * 8, v[i]);
    return p;
}

bool x86_frame_load(struct x86_cpu *cpu, uint64_t va, uint64_t *v, unsigned n)
{
    uint8_t *p = frame_page(cpu, va, n, ACC_READ);

    for (unsigned i = 0; p && i < n; i++)
        v[i] = ldl64(p + i * 8);
    return p;
}

bool x86_stack_room(struct x86_cpu *cpu, const struct x86_stack *st, unsigned n, unsigned size)
{
    uint64_t va;

    for (unsigned i = 1; i <= n; i++)
        if (!stack_addr(cpu, st, (st->sp - i * size) & st->mask, size, true, &va))
            return false;
    return true;
}

bool x86_push(struct x86_cpu *cpu, struct x86_stack *st, unsigned size, uint64_t v)
{
    uint64_t sp = (st->sp - size) & st->mask;
    uint64_t va;
    bool ok;

    if (!stack_addr(cpu, st, sp, size, true, &va))
        return false;
    ok = st->sys ? x86_sys_store(cpu, va, size, v) : tcg_store(&cpu->tcg, va, size, v);
    if (ok)
        st->sp = (st->sp & ~st->mask) | sp;
    return ok;
}

bool x86_pop(struct x86_cpu *cpu, struct x86_stack *st, unsigned size, uint64_t *v)
{
    uint64_t sp = st->sp & st->mask;
    uint64_t va;
    bool ok;

    if (!stack_addr(cpu, st, sp, size, false, &va))
        return false;
    ok = st->sys ? x86_sys_load(cpu, va, size, v) : load_here(cpu, va, size, v);
    if (ok)
        st->sp = (st->sp & ~st->mask) | ((sp + size) & st->mask);
    return ok;
}

void x86_stack_commit(struct x86_cpu *cpu, const struct x86_stack *st)
{
    uint64_t *rsp = &GPR(cpu, R_SP);

    if (st->mask == 0xffff)
        *rsp = (*rsp & ~0xffffull) | (st->sp & 0xffff);
    else
        *rsp = st->sp & st->mask;
}

bool x86_tss_stack(struct x86_cpu *cpu, unsigned dpl, struct x86_stack *st)
{
    bool tss32 = cpu->tr.attr & 8;
    unsigned size = tss32 ? 4 : 2;
    unsigned at = tss32 ? 4 + dpl * 8 : 2 + dpl * 4;
    uint64_t sp, sel;
    struct x86_desc d;
    struct x86_seg ss;

    if (at + size + 1 > cpu->tr.limit)
        return x86_fault(cpu, EXC_TS, sel_err(cpu->tr.sel));
    if (!x86_sys_load(cpu, (uint32_t)(cpu->tr.base + at), size, &sp) ||
        !x86_sys_load(cpu, (uint32_t)(cpu->tr.base + at + size), 2, &sel))
        return false;
    if (!x86_check_stack(cpu, sel, &d, dpl, EXC_TS) || !x86_desc_accessed(cpu, &d))
        return false;
    x86_seg_fill(&ss, sel, &d);
    x86_stack_new(st, &ss, sp, sel_err(sel));
    return true;
}

bool x86_tss_rsp(struct x86_cpu *cpu, unsigned n, unsigned ist, uint64_t *rsp)
{
    unsigned at = ist ? 0x24 + (ist - 1) * 8 : 4 + n * 8;

    if (at + 7 > cpu->tr.limit)
        return x86_fault(cpu, EXC_TS, sel_err(cpu->tr.sel));
    if (!x86_sys_load(cpu, cpu->tr.base + at, 8, rsp))
        return false;
    return x86_canonical(*rsp) || x86_fault(cpu, EXC_SS, 0);
}
