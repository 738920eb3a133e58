/*
 * guest.h - a bare guest CPU for tests of translation: no machine, no paging
 *
 * Sixteen pages of RAM at GUEST_BASE, guest-physical = linear = host address, so
 * that the same bytes run natively too.
 */
#ifndef TESTS_TARGET_X86_GUEST_H
#define TESTS_TARGET_X86_GUEST_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "target-x86/decode-int.h"

#define GUEST_BASE 0x10000000u
#define GUEST_PAGES 16u
#define GUEST_CODE GUEST_BASE
#define GUEST_DATA (GUEST_BASE + 0x4000)
#define GUEST_STACK (GUEST_BASE + 0x8800)

struct guest {
    uint8_t *ram;
    struct tcg *tcg;
    struct x86_cpu *cpu;
    struct ir_block *b;
    struct x86_model model;
    struct x86_bus bus;
    unsigned joined;          /* the host has the pages in reverse order, but for runs of so many; 0: as they are */
    bool faulted;             /* an exception went out: without an IDT that is a triple fault */
};
enum { GUEST_INTR_EXIT = 1 << 7 };   /* VCPU_INTR_EXIT */

/** guest_page() - where the host has page @n */
static inline uint8_t *guest_page(const struct guest *g, unsigned n)
{
    return g->ram + (g->joined ? GUEST_PAGES - g->joined * (n / g->joined + 1) + n % g->joined : n) * 4096;
}

static inline enum phys_kind guest_lookup(void *opaque, gpa_t gpa, uint8_t **host, uint32_t *page)
{
    struct guest *g = opaque;

    if (gpa < GUEST_BASE || gpa >= GUEST_BASE + GUEST_PAGES * 4096u)
        return PHYS_NONE;
    *host = guest_page(g, (unsigned)(gpa - GUEST_BASE) >> 12) + (gpa & 4095);
    *page = (uint32_t)((gpa - GUEST_BASE) >> 12);
    return PHYS_RAM;
}

static inline uint64_t guest_mmio_read(void *o, struct tcg_cpu *c, gpa_t gpa, unsigned size)
{
    return ~0ull;
}

static inline void guest_mmio_write(void *o, struct tcg_cpu *c, gpa_t gpa, uint64_t v, unsigned size)
{
}

static inline uint64_t guest_a20(void *opaque)
{
    return ~0ull;
}

/* whenever the CPU looks for work, it is to stop */
static inline uint32_t guest_intr(void *opaque)
{
    return GUEST_INTR_EXIT;
}

static inline void guest_intr_clear(void *opaque, uint32_t bits)
{
}

static inline void guest_triple_fault(void *opaque)
{
    ((struct guest *)opaque)->faulted = true;
}

static inline struct guest *guest_new_config(struct tcg_config cfg)
{
    struct guest *g = xzalloc(sizeof(*g));
    struct phys_ops phys = { .lookup = guest_lookup, .mmio_read = guest_mmio_read,
                             .mmio_write = guest_mmio_write, .n_ram_pages = GUEST_PAGES,
                             .opaque = g };
    struct err e;

    g->ram = mmap((void *)(uintptr_t)GUEST_BASE, GUEST_PAGES * 4096u,
                  PROT_READ | PROT_WRITE | PROT_EXEC,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    cr_assert(g->ram == (void *)(uintptr_t)GUEST_BASE, "no room at %#x", GUEST_BASE);
    g->tcg = tcg_new(&x86_target, &cfg, &phys, &e);
    cr_assert(g->tcg, "%s", e.msg);
    g->cpu = (struct x86_cpu *)tcg_cpu_alloc(g->tcg, &e);
    cr_assert(g->cpu, "%s", e.msg);
    memset(g->model.feat, 0xff, sizeof(g->model.feat));
    g->cpu->model = &g->model;
    g->bus = (struct x86_bus){ .a20_mask = guest_a20, .intr = guest_intr, .opaque = g,
                               .intr_clear = guest_intr_clear, .triple_fault = guest_triple_fault };
    g->cpu->bus = &g->bus;
    g->cpu->tcg.run = 1;
    g->cpu->df = 1;
    g->cpu->eflags = EF_1;
    g->b = ir_block_new();
    return g;
}

static inline struct guest *guest_new_on(enum tcg_backend backend, bool opt)
{
    return guest_new_config((struct tcg_config){ .backend = backend, .optimise = opt, .cache_bytes = 4 << 20 });
}

static inline struct guest *guest_new(void)
{
    return guest_new_on(TCG_BACKEND_INTERP, false);
}

static inline void guest_free(struct guest *g)
{
    ir_block_free(g->b);
    tcg_cpu_free(&g->cpu->tcg);
    tcg_free(g->tcg);
    munmap(g->ram, GUEST_PAGES * 4096u);
    free(g);
}

/* modes as x86_update_mode() makes them */
enum {
    GUEST_LONG = MODE_CODE64 | MODE_SS32 | MODE_PE | MODE_LONG | MODE_FLAT_CS | MODE_FLAT_DATA |
                 MODE_FLAT_FSGS | MODE_IOPL_OK,
    GUEST_PROT = MODE_CODE32 | MODE_SS32 | MODE_PE | MODE_FLAT_CS | MODE_FLAT_DATA |
                 MODE_FLAT_FSGS | MODE_IOPL_OK,
    GUEST_PROT_SEG = MODE_CODE32 | MODE_SS32 | MODE_PE | MODE_IOPL_OK,
    GUEST_REAL = MODE_CODE16 | MODE_IOPL_OK,
};

/** guest_key() - key for @mode at code offset @off; segment based modes have CS at GUEST_CODE */
static inline void guest_key(struct guest *g, struct tb_key *k, uint32_t mode, unsigned off)
{
    bool flat = mode & MODE_FLAT_CS;

    g->cpu->mode = mode;
    g->cpu->cr0 = mode & MODE_PE ? CR0_PE | CR0_NE : 0;
    *k = (struct tb_key){ .mode = mode, .flat = flat, .lin = GUEST_CODE + off,
                          .pc = flat ? GUEST_CODE + off : off,
                          .cs_base = flat ? 0 : GUEST_CODE,
                          .cs_limit = (mode & MODE_CODE_MASK) == MODE_CODE16 ? 0xffff : 0xffffffff,
                          .pc_bytes = (mode & MODE_CODE_MASK) == MODE_CODE64 ? 8 : 4 };
    g->cpu->tcg.pc = k->pc;
    g->cpu->tcg.pcbase = k->pc - (k->lin & 0xfff);
    for (unsigned s = 0; s < S_COUNT; s++) {
        struct x86_seg *seg = &g->cpu->seg[s];
        seg->base = flat ? 0 : s == S_CS ? GUEST_CODE : GUEST_DATA;
        seg->lo = 0;
        seg->limit = seg->hi_r = seg->hi_w = flat ? 0xffffffff : 0xffff;
    }
}

/** guest_translate() - translate at offset @off and verify; returns instructions */
static inline unsigned guest_translate(struct guest *g, uint32_t mode, unsigned off, unsigned max)
{
    struct tb_key k;
    unsigned n = 0, len;
    const char *why;

    guest_key(g, &k, mode, off);
    g->cpu->tcg.exception = 0;
    len = x86_translate(&g->cpu->tcg, g->b, &k, max, &n);
    if (!len)
        return 0;
    why = ir_verify(g->b);
    if (why || g->b->overflow)
        ir_dump(g->b, stderr);
    cr_assert_null(why, "%s", why);
    cr_assert(!g->b->overflow, "block overflowed");
    cr_assert_leq(g->b->n_ops, IR_MAX_OPS);
    return n;
}

#endif
