/*
 * Events and IRET in 64-bit code: the short way, which wants everything in the page maps, does what the
 * long one does, or leaves all as it was. Random tables, selectors, stacks and flags, each case once with
 * empty maps and once with full ones.
 */
#include "tests/target-x86/sys-rig.h"

#define CASES 3000
#define USED 0x20000u      /* bytes of RAM that anything is in */

static uint64_t seed = 0x9e3779b97f4a7c15ull;

static unsigned rnd(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 24) % n;
}

static bool one_in(unsigned n) { return rnd(n) == 0; }

struct saved {
    struct x86_cpu cpu;
    uint8_t ram[USED];
};

static struct saved *saved_new(void)
{
    struct saved *s = aligned_alloc(64, align_up(sizeof(*s), 64));

    cr_assert(s);
    return s;
}

static void save(struct sys_rig *r, struct saved *s)
{
    memcpy(&s->cpu, r->cpu, sizeof(s->cpu));
    memcpy(s->ram, r->ram, USED);
}

static void restore(struct sys_rig *r, const struct saved *s)
{
    memcpy(r->cpu, &s->cpu, sizeof(s->cpu));
    memcpy(r->ram, s->ram, USED);
    r->intr = 0;
}

/* All that a table or a stack may need is in the maps. */
static void warm(struct sys_rig *r)
{
    static const unsigned pages[] = { SR_GDT, SR_IDT, SR_TSS, SR_STACK0 - 4096, SR_STACK0, SR_STACK3 - 4096, SR_STACK3 };
    uint64_t v;

    r->cpu->cpl = 0;
    for (unsigned view = 0; view < VIEW_COUNT; view++) {
        r->cpu->eflags = view == VIEW_KERNEL ? EF_1 : EF_1 | EF_AC;
        for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
            if (tcg_load_view(r->tc, view, pages[i], 8, &v))
                cr_assert(tcg_store_view(r->tc, view, pages[i], 8, v));
        r->tc->exception = 0;
    }
}

/* what a program sees, the mode, the view, what is pending; not the accessed bits of the page tables */
static void states_equal(const struct sys_rig *r, const struct saved *a, unsigned n)
{
    struct x86_words want, got;
    char name[32];

    x86_get_words(&a->cpu, &want);
    x86_get_words(r->cpu, &got);
    for (unsigned i = 0; i < X86_WORDS; i++) {
        if (want.w[i] == got.w[i])
            continue;
        x86_word_name(i, name, sizeof(name));
        cr_assert(false, "case %u: %s is %#llx, not %#llx", n, name, (unsigned long long)got.w[i],
                  (unsigned long long)want.w[i]);
    }
    for (unsigned i = 0; i < S_COUNT; i++) {
        cr_assert_eq(a->cpu.seg[i].lo, r->cpu->seg[i].lo, "case %u, segment %u", n, i);
        cr_assert_eq(a->cpu.seg[i].hi_w, r->cpu->seg[i].hi_w, "case %u, segment %u", n, i);
    }
    cr_assert_eq(a->cpu.mode, r->cpu->mode, "case %u: mode %#x, not %#x", n, r->cpu->mode, a->cpu.mode);
    cr_assert_eq(a->cpu.tcg.mode_salt, r->tc->mode_salt);
    cr_assert_eq(a->cpu.tcg.map_base, r->tc->map_base, "case %u: view", n);
    cr_assert_eq(a->cpu.tcg.va_mask, r->tc->va_mask);
    cr_assert_eq(a->cpu.tcg.exception, r->tc->exception, "case %u", n);
    cr_assert_eq(a->cpu.exc_error, r->cpu->exc_error, "case %u", n);
    cr_assert_eq(a->cpu.cr2, r->cpu->cr2, "case %u", n);
    cr_assert_eq(memcmp(a->ram, r->ram, SR_TABLES), 0, "case %u: memory", n);
}

/* now and then a descriptor that is not plain */
static uint16_t code_attr(unsigned dpl)
{
    uint16_t attr = (DA_CODE64 | 1) | dpl << SEG_DPL_SHIFT;

    if (one_in(16))
        attr ^= (const uint16_t[]){ 1, 4, 8, SEG_S, SEG_P, SEG_L, SEG_DB, 2 }[rnd(8)];
    return attr;
}

static uint16_t data_attr(unsigned dpl)
{
    uint16_t attr = (DA_DATA | 1) | dpl << SEG_DPL_SHIFT;

    if (one_in(16))
        attr ^= (const uint16_t[]){ 1, 2, 4, 8, SEG_S, SEG_P, 1 << SEG_DPL_SHIFT }[rnd(7)];
    return attr;
}

static void random_tables(struct sys_rig *r)
{
    unsigned base = rnd(0x10000), limit = rnd(0x100000);

    sr_set_gdt(r, SEL_CODE64, sr_desc(base, limit, code_attr(0)));
    sr_set_gdt(r, SEL_CODE64_3, sr_desc(base, limit, code_attr(3)));
    sr_set_gdt(r, SEL_DATA, sr_desc(base, limit, data_attr(0)));
    sr_set_gdt(r, SEL_DATA3, sr_desc(base, limit, data_attr(3)));
}

static uint64_t random_stack(void)
{
    uint64_t sp = (one_in(2) ? SR_STACK0 : SR_STACK3) - rnd(256);

    return one_in(16) ? (const uint64_t[]){ 0x800000000000, 0xffff800000000000, 0x8000, 0x200000 }[rnd(4)] : sp;
}

static void random_cpu(struct sys_rig *r)
{
    struct x86_cpu *cpu = r->cpu;

    random_tables(r);
    cpu->cr4 |= one_in(2) ? CR4_SMAP : 0;
    sr_cpl(r, one_in(2) ? 3 : 0);
    if (one_in(8))
        x86_seg_null(&cpu->seg[S_SS], cpu->cpl);
    GPR(cpu, R_SP) = random_stack();
    x86_set_eflags(cpu, (uint32_t)rnd(1 << 22) & (EF_ARITH | EF_IF | EF_DF | EF_IOPL | EF_RF | EF_AC | EF_ID |
                                                 (one_in(8) ? EF_NT | EF_TF : 0)));
    x86_set_pc(cpu, SR_CODE + rnd(256));
    cpu->cr0 |= one_in(2) ? CR0_AM : 0;
    if (one_in(16))
        cpu->gdt.limit = (uint16_t)(rnd(16) * 8 + 7);
    x86_update_mode(cpu);
}

static void random_event(struct sys_rig *r)
{
    static const uint8_t types[] = { 0x8e, 0x8f, 0xee, 0xef, 0x8c, 0x0e, 0x85, 0x9e };
    unsigned v = rnd(32), type = one_in(8) ? rnd(8) : rnd(4);
    uint16_t sel = one_in(16) ? (const uint16_t[]){ 0, SEL_DATA, SEL_CODE64_3, SEL_TSS, 4, 0x70 }[rnd(6)] : SEL_CODE64;
    uint8_t *gate = r->ram + SR_IDT + v * 16;

    stl64(gate, sr_gate(sel, SR_HANDLER + v, types[type], (uint8_t)(one_in(3) ? rnd(8) : 0)));
    stl64(gate + 8, one_in(16) ? 0x8000 : one_in(4) ? 0xffffffff : 0);
    for (unsigned i = 0; i < 3; i++)
        stl64(r->ram + SR_TSS + 4 + i * 8, random_stack());
    for (unsigned i = 0; i < 7; i++)
        stl64(r->ram + SR_TSS + 0x24 + i * 8, random_stack());
    if (one_in(16))
        r->cpu->idt.limit = (uint16_t)rnd(512);
    if (one_in(3))
        x86_raise_soft(r->cpu, v, 2);
    else if (v == EXC_PF)
        x86_raise_pf(r->cpu, SR_CODE + rnd(0x1000), rnd(32));
    else
        x86_raise_err(r->cpu, v, rnd(0x10000));
}

Test(quick, events)
{
    struct sys_rig *r = sr_long();
    struct saved *fresh = saved_new(), *start = saved_new(), *slow = saved_new();
    unsigned taken = 0;

    save(r, fresh);
    for (unsigned n = 0; n < CASES; n++) {
        restore(r, fresh);
        random_cpu(r);
        random_event(r);
        save(r, start);
        tcg_mmu_flush(r->tc, true);
        cr_assert(!x86_deliver_quick(r->tc), "nothing is in the maps");
        sr_deliver(r);
        save(r, slow);
        restore(r, start);
        r->tc->exception = 0;
        warm(r);
        restore(r, start);
        if (x86_deliver_quick(r->tc)) {
            taken++;
            states_equal(r, slow, n);
            continue;
        }
        states_equal(r, start, n);
        sr_deliver(r);
        states_equal(r, slow, n);
    }
    cr_assert(taken > CASES / 5 && taken < CASES, "%u of %u", taken, CASES);
    free(fresh);
    free(start);
    free(slow);
    sr_free(r);
}

static void random_frame(struct sys_rig *r)
{
    static const uint16_t codes[] = { SEL_CODE64, SEL_CODE64_3, SEL_CODE, SEL_CODE3, 0, SEL_DATA, SEL_CODE64 | 1, 4 };
    static const uint16_t stacks[] = { SEL_DATA, SEL_DATA3, 0, 3, SEL_DATA | 1, SEL_CODE64, SEL_DATA3 & ~3, 4 };
    unsigned cs = one_in(8) ? rnd(8) : rnd(2), ss = one_in(8) ? rnd(8) : cs;
    uint64_t sp = GPR(r->cpu, R_SP);
    uint8_t *p;

    if (sp + 40 > USED)
        return;
    p = r->ram + sp;
    stl64(p, one_in(16) ? 0x800000000000 : SR_CODE + rnd(4096));
    stl64(p + 8, codes[cs] | (one_in(4) ? 0xabcd0000 : 0));
    stl64(p + 16, (uint64_t)rnd(1 << 24) << 8 | rnd(256));
    stl64(p + 24, random_stack());
    stl64(p + 32, stacks[ss]);
}

Test(quick, iret)
{
    struct sys_rig *r = sr_long();
    struct saved *fresh = saved_new(), *start = saved_new(), *slow = saved_new();
    unsigned taken = 0;
    uint64_t done;

    save(r, fresh);
    for (unsigned n = 0; n < CASES; n++) {
        restore(r, fresh);
        random_cpu(r);
        random_frame(r);
        r->cpu->nmi_blocked = one_in(16);
        save(r, start);
        tcg_mmu_flush(r->tc, true);
        cr_assert(!x86_iret_quick(r->cpu), "nothing is in the maps");
        done = h_iret(r->tc, 8, 0, 2);
        save(r, slow);
        restore(r, start);
        warm(r);
        restore(r, start);
        if (x86_iret_quick(r->cpu)) {
            taken++;
            cr_assert_eq(done, 1, "case %u", n);
        } else {
            states_equal(r, start, n);
            cr_assert_eq(h_iret(r->tc, 8, 0, 2), done, "case %u", n);
        }
        states_equal(r, slow, n);
    }
    cr_assert(taken > CASES / 8 && taken < CASES, "%u of %u", taken, CASES);
    free(fresh);
    free(start);
    free(slow);
    sr_free(r);
}
