/*
 * code.c - random guest code on a bare CPU: nothing a guest does may end the process
 *
 * A case is a seed: it makes RAM with descriptor and page tables that are right
 * in part, a mode, registers that point to where it hurts, and code: random
 * bytes, or forms of the instruction table with random operands. The case runs
 * on the host back end with and without the optimiser, and interpreted, until
 * it has had its share of blocks. What the guest's registers come to is not
 * looked at (tests/insn does that): only asserts, host signals, sanitizer
 * reports and what does not end are findings.
 *
 * Cases run in a child process, so that one that crashes does not end the run.
 *
 *   code [--seed N] [--count N | --seconds N] [--one N [--log ITEMS]] [--verbose]
 */
#define _GNU_SOURCE
#include "target-x86/decode-int.h"
#include "target-x86/system-int.h"
#include "tcg/tcg-int.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    RAM_PAGES = 64, ROM_PAGE = 63,
    /* pages of RAM, identity mapped */
    PG_GDT = 1, PG_IDT, PG_LDT, PG_TSS, PG_BITMAP /* the TSS's second page */,
    PG_PML4 = 8, PG_PDPT, PG_PD, PG_PT, PG_PD32, PG_PT32, PG_PDPTE,
    PG_CODE = 16, PG_CODE_END = 32, PG_DATA = 32, PG_STACK = 48,
    MMIO_FIRST = 64, MMIO_END = 96,     /* then nothing */
};
enum {
    MAX_WORK = 3000,          /* look-ups and visits to the service hook of one run */
    TICK_MS = 40,             /* a run that is inside one block until then is asked to end, */
    HANG_TICKS = 250,         /* and hangs if it has not by then */
    EXIT_HANG = 99,
};

enum fuzz_mode { M_REAL, M_PM16, M_PM32, M_PM32_SEG, M_VM86, M_COMPAT16, M_COMPAT32, M_LONG, M_COUNT };
static const char *const mode_names[] = {
    "real", "prot16", "prot32", "prot32-seg", "vm86", "compat16", "compat32", "long",
};
static const char *const engine_names[] = { "host-opt", "host", "interp" };

struct fuzz {
    uint8_t *ram;
    struct tcg *tcg;
    struct x86_cpu *cpu;
    struct tcg_target target;
    struct tcg_config cfg;
    struct x86_model model;
    struct x86_bus bus;
    const struct host_code *host;
    uint64_t rng;
    uint64_t rng_bus;         /* numbers that the running guest uses up */
    unsigned work;
    enum fuzz_mode mode;
    bool verbose;
};

/* what the parent sees of its child */
static struct progress {
    volatile uint64_t seed;
    volatile unsigned engine, mode;
} *shown;

static struct {
    struct x86_cpu *volatile cpu;
    volatile int stop, ticks;
} now;

/* ---- numbers ------------------------------------------------------------------- */

static uint64_t next(uint64_t *s)
{
    uint64_t z = (*s += 0x9e3779b97f4a7c15ull);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static uint64_t r64(struct fuzz *f) { return next(&f->rng); }
static unsigned pick(struct fuzz *f, unsigned n) { return (unsigned)(r64(f) >> 16) % n; }
static bool one_in(struct fuzz *f, unsigned n) { return pick(f, n) == 0; }

/* an address where accesses go wrong, or right */
static uint64_t address(struct fuzz *f)
{
    uint64_t page = (uint64_t)pick(f, RAM_PAGES) << 12;

    switch (pick(f, 16)) {
    case 0: return page - pick(f, 9);                                     /* crosses a page */
    case 1: return (uint64_t)(MMIO_FIRST + pick(f, 40)) << 12 | pick(f, 4096);
    case 2: return (PG_CODE + pick(f, 4)) << 12 | pick(f, 256);           /* code */
    case 3: return 0x00007fffffffffffull - pick(f, 12);                   /* canonical hole */
    case 4: return 0xffff800000000000ull + pick(f, 8) - 4;
    case 5: return 0xffffffffffffffffull - pick(f, 40);
    case 6: return 0xffffffffull - pick(f, 12);
    case 7: return 0xffff - pick(f, 4);
    case 8: return r64(f);
    case 9: return r64(f) >> pick(f, 64);
    case 10: return pick(f, 64);
    case 11: return (MMIO_FIRST << 12) - pick(f, 12);                     /* RAM to MMIO */
    case 12: return 0xffffffff80000000ull + page + pick(f, 4096);
    default: return (uint64_t)(PG_DATA + pick(f, 16)) << 12 | pick(f, 4096);
    }
}

/* ---- the machine around the CPU ------------------------------------------------- */

static enum phys_kind lookup(void *opaque, gpa_t gpa, uint8_t **host, uint32_t *page)
{
    struct fuzz *f = opaque;
    uint64_t n = gpa >> 12;

    if (n >= RAM_PAGES)
        return n < MMIO_END ? PHYS_MMIO : PHYS_NONE;
    *host = f->ram + gpa;
    *page = (uint32_t)n;
    return n == ROM_PAGE ? PHYS_ROM : PHYS_RAM;
}

static uint64_t bus_random(void *opaque) { return next(&((struct fuzz *)opaque)->rng_bus); }
static uint64_t mmio_rd(void *o, struct tcg_cpu *c, gpa_t gpa, unsigned size) { return bus_random(o); }
static void mmio_wr(void *o, struct tcg_cpu *c, gpa_t gpa, uint64_t v, unsigned size) { }
static uint32_t port_in(void *o, uint16_t port, unsigned size) { return (uint32_t)bus_random(o); }

/* a device writes to memory: whatever the page holds */
static void port_out(void *o, uint16_t port, uint32_t v, unsigned size)
{
    struct fuzz *f = o;
    uint32_t page = (uint32_t)bus_random(o) % RAM_PAGES;

    f->ram[page << 12 | (v & 0xfff)] = (uint8_t)(v >> 12);
    tcg_invalidate_phys(f->tcg, page, v & 0xfff, 1);
    if (port % 16 == 0)
        tcg_mmu_flush(&f->cpu->tcg, true);      /* a board's memory map changes */
}

static int ack_irq(void *o) { return (int)(bus_random(o) % 257) - 1; }
static void intr_clear(void *o, uint32_t bits) { }
static uint8_t sipi_vector(void *o) { return (uint8_t)(bus_random(o) % 64); }
static bool apic_msr(void *o, uint32_t msr, uint64_t *v, bool w) { *v = bus_random(o); return *v & 1; }
static uint8_t get_tpr(void *o) { return (uint8_t)bus_random(o); }
static void set_tpr(void *o, uint8_t tpr) { }
static void set_ferr(void *o, int level) { }
static void triple_fault(void *o) { now.stop = 1; }
static uint64_t tsc(void *o) { return bus_random(o); }
static uint64_t a20_mask(void *o) { return ~0ull; }

static void end_run(struct fuzz *f)
{
    now.stop = 1;
    tcg_kick(&f->cpu->tcg);
}

static uint32_t intr(void *opaque)
{
    static const uint16_t rare[] = { X86_INTR_NMI, X86_INTR_SMI, X86_INTR_INIT, X86_INTR_MCE,
                                     X86_INTR_PIC, X86_INTR_APIC };
    struct fuzz *f = opaque;
    uint64_t r = bus_random(f);

    if (now.stop || ++f->work > MAX_WORK)
        return X86_INTR_EXIT;
    return r % 8 ? 0 : r >> 8 & 7 ? rare[4 + (r >> 12 & 1)] : rare[(r >> 16) % ARRAY_SIZE(rare)];
}

/* HLT: mostly somebody wakes the CPU; interrupts may be off for good, so not always */
static void halt(void *opaque, uint32_t masked)
{
    struct fuzz *f = opaque;

    if (bus_random(f) % 8 == 0)
        now.stop = 1;
}

/* so that registers do not end as rubbish that only faults */
static void refresh(struct fuzz *f)
{
    static const uint32_t msrs[] = { 0x10, 0x1b, 0x3a, 0x79, 0x8b, 0xfe, 0x174, 0x175, 0x176, 0x17a, 0x1a0,
        0x1d9, 0x200, 0x20f, 0x250, 0x258, 0x26f, 0x277, 0x2ff, 0x400, 0x40f, 0x800, 0x83f, 0xda0,
        0xc0000080, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103 };
    uint64_t keep = f->rng, r;

    f->rng = bus_random(f);
    r = r64(f);
    GPR(f->cpu, r % 16) = address(f);
    GPR(f->cpu, R_SP) = r >> 8 & 3 ? (PG_STACK << 12) + pick(f, 0x8000) : address(f);
    if ((r >> 16 & 7) == 0)
        GPR(f->cpu, R_CX) = msrs[pick(f, ARRAY_SIZE(msrs))];
    else if ((r >> 16 & 7) == 1)
        GPR(f->cpu, R_CX) = pick(f, 300);
    f->rng = keep;
}

static bool service(struct tcg_cpu *tc)
{
    struct fuzz *f = tc->tcg->phys.opaque;

    if (++f->work > MAX_WORK || now.stop)
        return false;
    /* most exceptions are not delivered: code goes on elsewhere */
    if (tc->exception && bus_random(f) % 4) {
        tc->exception = 0;
        tc->pc = X86(tc)->mode & MODE_FLAT_CS ? PG_CODE << 12 : 0;
        tc->pc += bus_random(f) % 0x4000;
        refresh(f);
    }
    if (f->work % 16 == 0)
        tcg_kick(tc);
    return x86_service(tc) && !now.stop;
}

static void get_key(struct tcg_cpu *tc, struct tb_key *k)
{
    struct fuzz *f = tc->tcg->phys.opaque;

    if (++f->work > MAX_WORK)
        end_run(f);
    x86_get_key(tc, k);
}

static void on_tick(int sig)
{
    now.stop = 1;
    if (now.cpu)
        tcg_kick(&now.cpu->tcg);
    if (++now.ticks > HANG_TICKS)
        _exit(EXIT_HANG);
}

/* ---- tables ------------------------------------------------------------------------ */

static void put64(struct fuzz *f, unsigned page, unsigned off, uint64_t v)
{
    stl64(f->ram + page * 4096 + off, v);
}

static uint64_t descriptor(uint32_t base, uint32_t limit, unsigned attr)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attr & 0xff) << 40 |
           (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)(attr >> 12 & 0xf) << 52 |
           (uint64_t)(base >> 24) << 56;
}

/* a descriptor of any type, mostly present */
static uint64_t any_descriptor(struct fuzz *f)
{
    unsigned attr = pick(f, 0x100) | pick(f, 16) << 12 | (one_in(f, 6) ? 0 : SEG_P);

    if (one_in(f, 8))
        return r64(f);
    if (one_in(f, 3))      /* a gate to code */
        return (uint64_t)(attr & 0xff) << 40 | (uint64_t)(pick(f, 32) * 8 | pick(f, 4)) << 16 |
               pick(f, 4096) | (uint64_t)pick(f, 4) << 32;
    return descriptor(one_in(f, 2) ? 0 : (uint32_t)address(f), one_in(f, 2) ? 0xfffff : pick(f, 0x100000),
                      attr);
}

enum { SEL_CODE0 = 0x08, SEL_DATA0 = 0x10, SEL_CODE3 = 0x1b, SEL_DATA3 = 0x23, SEL_TSS = 0x28,
       SEL_LDT = 0x38, SEL_FIRST_ANY = 0x48 };

static void make_gdt(struct fuzz *f)
{
    bool l = f->mode >= M_LONG, db = f->mode == M_PM32 || f->mode == M_PM32_SEG || f->mode == M_COMPAT32;
    unsigned code = 0x9b | (l ? SEG_L : db ? SEG_DB : 0) | SEG_G;
    unsigned tss = f->mode >= M_COMPAT16 || one_in(f, 2) ? 0x89 : 0x81;

    for (unsigned i = SEL_FIRST_ANY; i < 0x1000; i += 8)
        put64(f, PG_GDT, i, any_descriptor(f));
    for (unsigned i = 0; i < 0x1000; i += 8)
        put64(f, PG_LDT, i, any_descriptor(f));
    put64(f, PG_GDT, 0, 0);
    put64(f, PG_GDT, SEL_CODE0, descriptor(0, 0xfffff, code));
    put64(f, PG_GDT, SEL_DATA0, descriptor(0, 0xfffff, 0x93 | SEG_DB | SEG_G));
    put64(f, PG_GDT, SEL_CODE3 & ~7, descriptor(0, 0xfffff, code | 0x60));
    put64(f, PG_GDT, SEL_DATA3 & ~7, descriptor(0, 0xfffff, 0xf3 | SEG_DB | SEG_G));
    put64(f, PG_GDT, SEL_TSS, descriptor(PG_TSS << 12, 0x67 + pick(f, 0x1000), tss));
    put64(f, PG_GDT, SEL_TSS + 8, 0);
    put64(f, PG_GDT, SEL_LDT, descriptor(PG_LDT << 12, 0xfff, 0x82));
    put64(f, PG_GDT, SEL_LDT + 8, 0);
}

/* gates to code; some wrong */
static void make_idt(struct fuzz *f)
{
    bool longmode = f->mode >= M_COMPAT16;

    for (unsigned i = 0; i < 256; i++) {
        unsigned type = one_in(f, 8) ? pick(f, 32) : 0xe + pick(f, 2);
        uint64_t to = (uint64_t)(PG_CODE + pick(f, 4)) << 12 | pick(f, 4096);
        uint64_t g = (to & 0xffff) | (uint64_t)(one_in(f, 12) ? pick(f, 0x10000) : SEL_CODE0) << 16 |
                     (uint64_t)(type | pick(f, 4) << 5 | (one_in(f, 8) ? 0 : 0x80)) << 40 |
                     (to >> 16 & 0xffff) << 48;
        if (longmode && i < 128) {
            put64(f, PG_IDT, i * 16, g | (uint64_t)(one_in(f, 4) ? pick(f, 8) : 0) << 32);
            put64(f, PG_IDT, i * 16 + 8, one_in(f, 32) ? r64(f) : 0);
        } else if (!longmode) {
            put64(f, PG_IDT, i * 8, g);
        }
    }
    for (unsigned i = 0; f->mode == M_REAL && i < 256; i++)
        stl32(f->ram + i * 4, 0x1000u << 16 | pick(f, 0x4000));
}

static void make_tss(struct fuzz *f)
{
    uint8_t *t = f->ram + PG_TSS * 4096;

    for (unsigned i = 0; i < 0x80; i += 4)
        if (!one_in(f, 8))
            stl32(t + i, 0);
    if (f->mode >= M_COMPAT16) {
        for (unsigned i = 4; i < 0x5c; i += 8)
            stl64(t + i, one_in(f, 6) ? address(f) : (PG_STACK + pick(f, 8)) << 12 | 0x800);
    } else {
        for (unsigned i = 0; i < 3; i++) {
            stl32(t + 4 + i * 8, (PG_STACK + i * 4) << 12 | 0x800);
            stl32(t + 8 + i * 8, one_in(f, 6) ? pick(f, 0x10000) : SEL_DATA0);
        }
        stl32(t + 0x1c, PG_PD32 << 12);
        stl32(t + 0x20, PG_CODE << 12);
    }
    stl32(t + 0x64, (uint32_t)(one_in(f, 3) ? pick(f, 0x2000) : 0x68) << 16);
}

static uint64_t pte(struct fuzz *f, unsigned page)
{
    if (one_in(f, 24))
        return r64(f);
    if (one_in(f, 24))
        return r64(f) & 0xfffff1ffull;
    return (uint64_t)page << 12 | 7 | (one_in(f, 16) ? pick(f, 0x200) : 0) |
           (one_in(f, 40) ? 1ull << 63 : 0);
}

/* The low 2 MiB map to themselves in all forms, with holes; the top half has them again. */
static void make_page_tables(struct fuzz *f)
{
    for (unsigned i = 0; i < 512; i++) {
        bool keep = i >= PG_CODE && i < PG_CODE + 2;
        put64(f, PG_PT, i * 8, keep ? i << 12 | 7 : pte(f, i % 128));
        stl32(f->ram + PG_PT32 * 4096 + i * 4, keep ? i << 12 | 7 : (uint32_t)pte(f, i % 128));
        put64(f, PG_PD, i * 8, one_in(f, 2) ? pte(f, PG_PT) | 1 : (uint64_t)i << 21 | 0x87);
        stl32(f->ram + PG_PD32 * 4096 + i * 8, PG_PT32 << 12 | 7);
        put64(f, PG_PDPT, i * 8, one_in(f, 8) ? 0x87 | r64(f) << 30 : pte(f, PG_PD));
        put64(f, PG_PML4, i * 8, one_in(f, 2) ? PG_PDPT << 12 | 7 : pte(f, PG_PDPT));
    }
    put64(f, PG_PD, 0, PG_PT << 12 | 7);
    put64(f, PG_PDPT, 0, PG_PD << 12 | 7);
    put64(f, PG_PML4, 0, PG_PDPT << 12 | 7);
    for (unsigned i = 0; i < 4; i++)
        put64(f, PG_PDPTE, i * 8, i && one_in(f, 3) ? pte(f, PG_PD) : PG_PD << 12 | 1);
}

/* ---- code ---------------------------------------------------------------------------- */

static unsigned code_bits(const struct fuzz *f)
{
    return f->mode == M_LONG ? 64 : f->mode == M_PM32 || f->mode == M_PM32_SEG || f->mode == M_COMPAT32 ? 32 : 16;
}

/* one of the attributes from..to that the row asks for; @n: none of them */
static unsigned asked(struct fuzz *f, const struct x86_row *r, unsigned from, unsigned n)
{
    unsigned first = pick(f, n);

    for (unsigned i = 0; i < n; i++)
        if (row_has(r, from + (first + i) % n))
            return (first + i) % n;
    return n;
}

static unsigned put_modrm(struct fuzz *f, const struct x86_row *r, uint8_t *p)
{
    unsigned reg = asked(f, r, AB_X0, 8), rm = asked(f, r, AB_RM0, 8), mod = pick(f, 4);

    if (ROW_HAS(r, REG))
        mod = 3;
    else if (ROW_HAS(r, MEM))
        mod = pick(f, 3);
    *p = (uint8_t)(mod << 6 | (reg < 8 ? reg : pick(f, 8)) << 3 | (rm < 8 ? rm : pick(f, 8)));
    return 1;
}

static unsigned put_vex(struct fuzz *f, const struct x86_row *r, unsigned map, unsigned pp, uint8_t *p)
{
    unsigned l = ROW_HAS(r, L0) ? 0 : ROW_HAS(r, L1) ? 1 : pick(f, 2);
    unsigned w = ROW_HAS(r, W0) ? 0 : ROW_HAS(r, W1) ? 1 : pick(f, 2);

    p[0] = 0xc4;
    p[1] = (uint8_t)((code_bits(f) == 64 ? pick(f, 8) : 7) << 5 | map);
    p[2] = (uint8_t)(w << 7 | (r->vvvv ? pick(f, 16) : 15) << 3 | l << 2 | pp);
    return 3;
}

static unsigned put_legacy(struct fuzz *f, const struct x86_row *r, unsigned map, unsigned pp, uint8_t *p)
{
    static const uint8_t mandatory[] = { 0, 0x66, 0xf3, 0xf2 };
    unsigned n = 0;

    if (pp)
        p[n++] = mandatory[pp];
    if (code_bits(f) == 64 && (ROW_HAS(r, W1) || one_in(f, 2)))
        p[n++] = (uint8_t)(0x40 | (ROW_HAS(r, W1) ? 8 : 0) | pick(f, 16));
    if (map)
        p[n++] = 0x0f;
    if (map >= 2)
        p[n++] = map == 2 ? 0x38 : 0x3a;
    return n;
}

/* an instruction of table row @i with random operands; @p has room for 32 bytes */
static unsigned put_row(struct fuzz *f, unsigned i, uint8_t *p)
{
    static const uint8_t pfx[] = { 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
    const struct x86_row *r = &x86_rows[i];
    unsigned n = 0, pp = asked(f, r, AB_PNP, 4), map = r->op >> 8 & 3;
    struct x86_insn in;

    while (one_in(f, 4) && n < 3)
        p[n++] = pfx[pick(f, ARRAY_SIZE(pfx))];
    if (ROW_HAS(r, LOCKABLE) && one_in(f, 4))
        p[n++] = 0xf0;
    if (pp == 4)
        pp = 0;
    n += r->op >> 8 & MAP_VEX ? put_vex(f, r, map, pp, p + n) : put_legacy(f, r, map, pp, p + n);
    p[n++] = (uint8_t)((r->op & 0xff) + (r->span ? pick(f, r->span + 1) : 0));
    if (r->modrm)
        n += put_modrm(f, r, p + n);
    for (unsigned k = 0; k < 12; k += 8)
        stl64(p + n + k, one_in(f, 3) ? r64(f) : one_in(f, 2) ? address(f) : r64(f) & 0x0f0f0f0f0f0f0f0full);
    x86_decode_with(p, 32, code_bits(f), NULL, &in);
    return in.err ? n : in.len;
}

static void make_code(struct fuzz *f)
{
    uint8_t *p = f->ram + PG_CODE * 4096, *end = f->ram + (PG_CODE + 4) * 4096 - 32, one[40];
    unsigned style = pick(f, 6), rows = x86_row_count() - 1, few[4];

    for (unsigned i = 0; i < 4; i++)
        few[i] = 1 + pick(f, rows);
    if (style == 0)
        return;              /* all of RAM is random already */
    while (p < end) {
        /* 1: a few forms over and over, to fill blocks; else all forms */
        unsigned row = style == 1 ? few[pick(f, 4)] : 1 + pick(f, one_in(f, 2) ? x86_last_integer_row() : rows);
        unsigned n = put_row(f, row, one), times = style == 2 && one_in(f, 10) ? 70 : 1;
        while (times-- && p < end) {
            memcpy(p, one, n);
            p += n;
        }
    }
}

/* frames for returns: selectors, flags, addresses of code and stack */
static void make_stacks(struct fuzz *f)
{
    unsigned unit = code_bits(f) / 8;

    for (unsigned i = PG_STACK * 4096; i < (PG_STACK + 10) * 4096; i += unit) {
        uint64_t v[] = { pick(f, 64) * 4, pick(f, 0x1000), (PG_CODE << 12) + pick(f, 0x4000), pick(f, 0x4000),
                         (PG_STACK << 12) + pick(f, 0x8000), r64(f) & 0x3f7fd7, r64(f) };
        memcpy(f->ram + i, &v[pick(f, ARRAY_SIZE(v))], unit);
    }
}

/* ---- a case ------------------------------------------------------------------------------ */

static void make_ram(struct fuzz *f)
{
    for (unsigned i = 0; i < RAM_PAGES * 4096; i += 8)
        stl64(f->ram + i, r64(f));
    make_gdt(f);
    make_idt(f);
    make_tss(f);
    make_page_tables(f);
    make_code(f);
    make_stacks(f);
}

static void set_seg(struct fuzz *f, unsigned s, uint16_t sel, unsigned attr, uint64_t base, uint32_t limit)
{
    struct x86_cpu *cpu = f->cpu;

    cpu->seg[s] = (struct x86_seg){ .sel = sel, .attr = (uint16_t)attr, .base = base, .limit = limit };
    x86_seg_derive(&cpu->seg[s], cpu->cr0 & CR0_PE && !(cpu->eflags & EF_VM));
}

/* one data segment: flat, or with a base and a limit, or unusable */
static void set_data_seg(struct fuzz *f, unsigned s, unsigned dpl)
{
    bool ss = s == S_SS, odd = f->mode == M_PM32_SEG || one_in(f, 8);
    unsigned attr = SEG_P | SEG_S | 3 | dpl << SEG_DPL_SHIFT | SEG_DB | SEG_G;

    if (!odd || ss)
        set_seg(f, s, (uint16_t)(dpl ? SEL_DATA3 : SEL_DATA0), ss && one_in(f, 8) ? attr & ~SEG_DB : attr, 0, ~0u);
    else if (one_in(f, 6))
        set_seg(f, s, 0, 0, 0, 0);
    else
        set_seg(f, s, (uint16_t)(pick(f, 512) * 8 | dpl), (attr & ~7u) | pick(f, 8),
                (uint32_t)address(f), (uint32_t)r64(f) >> pick(f, 32));
}

static void set_segments(struct fuzz *f, unsigned cpl)
{
    bool real = f->mode == M_REAL || f->mode == M_VM86;
    unsigned bits = code_bits(f), attr = SEG_P | SEG_S | 0xb | cpl << SEG_DPL_SHIFT | SEG_G;

    for (unsigned s = 0; s < S_COUNT; s++)
        if (real)
            set_seg(f, s, (uint16_t)(s == S_CS ? PG_CODE << 8 : pick(f, 0x4000)), 0x93 | cpl << SEG_DPL_SHIFT, 0, 0xffff);
        else if (s != S_CS)
            set_data_seg(f, s, cpl);
    for (unsigned s = 0; real && s < S_COUNT; s++)
        f->cpu->seg[s].base = (uint32_t)f->cpu->seg[s].sel << 4;
    if (real)
        return;
    attr |= bits == 64 ? SEG_L : bits == 32 ? SEG_DB : 0;
    if (f->mode == M_PM16 || f->mode == M_PM32_SEG)
        set_seg(f, S_CS, (uint16_t)(cpl ? SEL_CODE3 : SEL_CODE0), attr, PG_CODE << 12, 0x3fff);
    else
        set_seg(f, S_CS, (uint16_t)(cpl ? SEL_CODE3 : SEL_CODE0), attr, 0, ~0u);
    if (bits == 64 && one_in(f, 2))
        f->cpu->seg[S_GS].base = f->cpu->seg[S_FS].base = address(f) & 0x00007fffffffffffull;
}

static void set_control(struct fuzz *f)
{
    struct x86_cpu *cpu = f->cpu;
    bool longmode = f->mode >= M_COMPAT16, paging = longmode || (f->mode != M_REAL && one_in(f, 2));
    uint64_t odd4 = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PGE | CR4_PCE | CR4_UMIP |
                    CR4_SMEP | CR4_SMAP | CR4_PKE;

    cpu->cr0 = CR0_ET | (f->mode == M_REAL ? 0 : CR0_PE) | (paging ? CR0_PG : 0) |
               (r64(f) & (CR0_NE | CR0_WP | CR0_AM | CR0_MP)) |
               (one_in(f, 10) ? r64(f) & (CR0_TS | CR0_EM) : 0);
    cpu->cr4 = (one_in(f, 3) ? r64(f) & odd4 : 0) | (one_in(f, 10) ? 0 : CR4_OSFXSR | CR4_OSXSAVE) |
               (r64(f) & (CR4_OSXMMEXCPT | CR4_FSGSBASE));
    cpu->xcr0 = one_in(f, 8) ? 1 : 7;
    if (longmode || (paging && one_in(f, 3)))
        cpu->cr4 |= CR4_PAE;
    cpu->efer = longmode ? EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE : r64(f) & (EFER_SCE | EFER_NXE);
    cpu->cr3 = (uint64_t)(longmode ? PG_PML4 : cpu->cr4 & CR4_PAE ? PG_PDPTE : PG_PD32) << 12;
    for (unsigned i = 0; i < 4; i++)
        cpu->pdpte[i] = ldl64(f->ram + PG_PDPTE * 4096 + i * 8);
    cpu->eflags = EF_1 | (f->mode == M_VM86 ? EF_VM : 0) | (one_in(f, 2) ? EF_IF : 0) |
                  (uint32_t)(one_in(f, 8) ? r64(f) & (EF_TF | EF_NT | EF_RF | EF_AC | EF_VIF | EF_VIP) : 0) |
                  pick(f, 4) << EF_IOPL_SHIFT;
    for (unsigned i = 0; i < 8; i++)
        cpu->dr[i] = i < 4 ? address(f) : i == 6 ? 0xffff0ff0 : 0x400;
    if (one_in(f, 12))
        cpu->dr[7] = 0x400 | (r64(f) & 0xffff03ff);
}

static void set_registers(struct fuzz *f)
{
    struct x86_cpu *cpu = f->cpu;
    bool flat = f->mode == M_PM32 || f->mode >= M_COMPAT16;
    uint8_t *fx = (uint8_t *)&cpu->fx;

    for (unsigned i = 0; i < 16; i++)
        GPR(cpu, i) = address(f);
    GPR(cpu, R_CX) = one_in(f, 3) ? GPR(cpu, R_CX) : pick(f, 5000);
    GPR(cpu, R_SP) = one_in(f, 8) ? address(f) : (PG_STACK + 8) << 12 | pick(f, 4096);
    if (f->mode != M_LONG)
        for (unsigned i = 0; i < 16; i++)
            GPR(cpu, i) = (uint32_t)GPR(cpu, i);
    for (unsigned i = 0; i < 512; i++)
        if (i >= 32)
            fx[i] = (uint8_t)r64(f);
    cpu->fx.fcw = one_in(f, 3) ? (uint16_t)(r64(f) & 0x1f7f) | 0x40 : 0x37f;
    cpu->fx.fsw = (uint16_t)(pick(f, 8) << 11);
    cpu->fx.ftw = (uint8_t)r64(f);
    cpu->fx.mxcsr = one_in(f, 3) ? (uint32_t)(r64(f) & 0xffff) : 0x1f80;
    x86_set_eflags(cpu, cpu->eflags | (uint32_t)(r64(f) & EF_ARITH) | (one_in(f, 4) ? EF_DF : 0));
    cpu->tcg.pc = (flat ? PG_CODE << 12 : 0) + (one_in(f, 4) ? 4096 - pick(f, 16) : 0);
}

static void start_cpu(struct fuzz *f)
{
    struct x86_cpu *cpu = f->cpu;
    unsigned cpl = f->mode == M_REAL ? 0 : f->mode == M_VM86 ? 3 : one_in(f, 2) ? 0 : 3;

    x86_reset(cpu, false);
    set_control(f);
    cpu->cpl = cpl;
    cpu->gdt = (struct x86_dtr){ PG_GDT << 12, (uint16_t)(one_in(f, 8) ? pick(f, 0x1000) : 0xfff) };
    cpu->idt = (struct x86_dtr){ f->mode == M_REAL ? 0 : PG_IDT << 12, 0xfff };
    cpu->ldt = (struct x86_seg){ .sel = SEL_LDT, .attr = 0x82, .base = PG_LDT << 12, .limit = 0xfff };
    cpu->tr = (struct x86_seg){ .sel = SEL_TSS, .attr = f->mode >= M_COMPAT16 || one_in(f, 2) ? 0x8b : 0x83,
                                .base = PG_TSS << 12, .limit = 0x67 + pick(f, 0x1000) };
    cpu->star = r64(f) & 0x00ff00ff00000000ull;
    cpu->lstar = cpu->sysenter_eip = one_in(f, 4) ? address(f) : PG_CODE << 12;
    cpu->sysenter_cs = SEL_CODE0;
    cpu->sysenter_esp = (PG_STACK + 4) << 12;
    cpu->kernel_gs_base = address(f);
    set_segments(f, cpl);
    set_registers(f);
    x86_update_mode(cpu);
    tcg_mmu_switch(&cpu->tcg, 0, true);
    tcg_mmu_flush(&cpu->tcg, true);
}

/* A triple fault is not the end: the CPU starts again elsewhere. */
static void run_on(struct fuzz *f)
{
    unsigned starts = 0;

    do {
        now.stop = 0;
        tcg_run(&f->cpu->tcg);
        if (now.ticks > 1)
            break;
        start_cpu(f);
        f->cpu->tcg.pc += bus_random(f) % 0x3000;
    } while (++starts < 30 && f->work < MAX_WORK);
}

static void run_engine(struct fuzz *f, unsigned engine)
{
    size_t room = 32 * KiB + pick(f, 64) * KiB;

    f->tcg->host = f->host;
    tcg_flush_all(f->tcg, TCG_FLUSH_FULL);
    room += 3 * f->tcg->cache.used;          /* what the thunks have of main lines' part, two fifths of all */
    /* a cache that fills up soon: flushes in the midst of everything */
    f->tcg->cache.bytes = one_in(f, 3) ? room : f->cfg.cache_bytes;
    f->tcg->arena_bytes = one_in(f, 6) ? room * 2 : f->cfg.cache_bytes;
    if (engine == 2)
        f->tcg->host = NULL;
    f->tcg->cfg.optimise = engine == 0;
    f->work = 0;
    now.stop = now.ticks = 0;
    now.cpu = f->cpu;
    f->cpu->tcg.restart1 = 0;
    __atomic_store_n(&f->cpu->tcg.run, 1, __ATOMIC_SEQ_CST);
    run_on(f);
    now.cpu = NULL;
}

static void run_case(struct fuzz *f, uint64_t seed)
{
    for (unsigned e = f->host ? 0 : 2; e < 3; e++) {
        f->rng = seed;
        f->rng_bus = ~seed;
        f->mode = (enum fuzz_mode)pick(f, M_COUNT);
        shown->seed = seed;
        shown->engine = e;
        shown->mode = f->mode;
        make_ram(f);
        start_cpu(f);
        run_engine(f, e);
        if (f->verbose)
            printf("seed %llu: %s %s: %u looks, pc %#llx\n", (unsigned long long)seed,
                   mode_names[f->mode], engine_names[e], f->work, (unsigned long long)f->cpu->tcg.pc);
    }
}

static struct fuzz *fuzz_new(void)
{
    struct fuzz *f = xzalloc(sizeof(*f));
    struct phys_ops phys = { .lookup = lookup, .mmio_read = mmio_rd, .mmio_write = mmio_wr,
                             .n_ram_pages = RAM_PAGES, .opaque = f };
    struct err e = { "" };
    struct tcg_cpu *tc;

    f->cfg = (struct tcg_config){ .backend = TCG_BACKEND_HOST, .cache_bytes = 4 * MiB };
#ifndef __x86_64__
    f->cfg.backend = TCG_BACKEND_INTERP;
#endif
    f->ram = aligned_alloc(4096, RAM_PAGES * 4096);
    f->target = x86_target;
    f->target.service = service;
    f->target.get_key = get_key;
    f->bus = (struct x86_bus){
        .port_in = port_in, .port_out = port_out, .ack_irq = ack_irq, .intr = intr,
        .intr_clear = intr_clear, .sipi_vector = sipi_vector, .apic_msr = apic_msr,
        .get_tpr = get_tpr, .set_tpr = set_tpr, .halt = halt, .triple_fault = triple_fault,
        .set_ferr = set_ferr, .tsc = tsc, .a20_mask = a20_mask, .opaque = f,
    };
    f->tcg = tcg_new(&f->target, &f->cfg, &phys, &e);
    tc = f->tcg && !x86_model_parse("max", &f->model, &e) ? tcg_cpu_alloc(f->tcg, &e) : NULL;
    if (!tc) {
        fprintf(stderr, "fuzz-code: %s\n", e.msg);
        exit(2);
    }
    f->host = f->tcg->host;
    f->cpu = X86(tc);
    f->cpu->model = &f->model;
    f->cpu->bus = &f->bus;
    return f;
}

/* ---- the run -------------------------------------------------------------------------------- */

static void child(uint64_t from, uint64_t to, time_t until, bool verbose)
{
    struct fuzz *f = fuzz_new();
    struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART | SA_ONSTACK };
    struct itimerval tick = { { 0, TICK_MS * 1000 }, { 0, TICK_MS * 1000 } };

    f->verbose = verbose;
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigaction(SIGPROF, &sa, NULL);
    setitimer(ITIMER_PROF, &tick, NULL);        /* its own time: the machine may be busy */
    for (uint64_t s = from; s < to && (!until || time(NULL) < until); s++)
        run_case(f, s);
    shown->seed = shown->seed + 1;
    _exit(0);
}

/* runs cases until one ends the child; returns the first seed not run yet */
static uint64_t run_child(uint64_t from, uint64_t to, time_t until, bool verbose, unsigned *found)
{
    int status;
    pid_t pid;

    shown->seed = from;
    fflush(stdout);
    pid = fork();
    if (!pid)
        child(from, to, until, verbose);
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("fuzz-code");
        exit(2);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return shown->seed;
    ++*found;
    printf("FOUND: seed %llu %s %s: %s %d\n", (unsigned long long)shown->seed, mode_names[shown->mode],
           engine_names[shown->engine],
           WIFSIGNALED(status) ? "signal" : WEXITSTATUS(status) == EXIT_HANG ? "hang, exit" : "exit",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return shown->seed + 1;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1, count = 250, from;
    unsigned found = 0, seconds = 0;
    bool verbose = false, in_process = false;
    struct err e;
    time_t until;

    for (int i = 1; i < argc; i++) {
        const char *v = i + 1 < argc ? argv[i + 1] : "0";
        if (!strcmp(argv[i], "--verbose"))
            verbose = true;
        else if (!strcmp(argv[i], "--one"))
            seed = strtoull(v, NULL, 0), count = 1, verbose = in_process = true, i++;
        else if (!strcmp(argv[i], "--log")) {
            if (log_set_items(v, &e) || log_set_file(NULL, &e))
                return fprintf(stderr, "fuzz-code: %s\n", e.msg), 2;
            i++;
        } else if (!strcmp(argv[i], "--seed"))
            seed = strtoull(v, NULL, 0), i++;
        else if (!strcmp(argv[i], "--count"))
            count = strtoull(v, NULL, 0), i++;
        else if (!strcmp(argv[i], "--seconds"))
            seconds = (unsigned)strtoul(v, NULL, 0), count = ~0ull >> 1, i++;
        else
            return fprintf(stderr, "usage: code [--seed N] [--count N | --seconds N] [--one SEED [--log ITEMS]] [--verbose]\n"), 2;
    }
    shown = mmap(NULL, sizeof(*shown), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    until = seconds ? time(NULL) + seconds : 0;
    printf("fuzz-code: seed %llu\n", (unsigned long long)seed);
    if (in_process)
        child(seed, seed + 1, 0, true);
    for (from = seed; from < seed + count && (!until || time(NULL) < until);)
        from = run_child(from, MIN(from + 2000, seed + count), until, verbose, &found);
    printf("fuzz-code: %llu cases, %u found\n", (unsigned long long)(from - seed), found);
    return found != 0;
}
