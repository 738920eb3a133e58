/*
 * rig.h - a machine without a guest architecture, for tests of tcg/
 *
 * Eight globals, 16 pages of RAM mapped one to one at 0; page 14 is read-only,
 * page 15 a device that reads as a pattern; everything above faults.
 */
#ifndef TESTS_TCG_RIG_H
#define TESTS_TCG_RIG_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include "tcg/tcg.h"

#define RIG_PAGES 16
#define RIG_BYTES (RIG_PAGES * 4096u)
#define RIG_RO 0xe000u
#define RIG_MMIO 0xf000u
#define RIG_EXC_PAGE 15u      /* cpu->exception values */
#define RIG_EXC_DIVIDE 1u
#define RIG_EXC_ALIGN 18u

enum { G0, G1, G2, G3, G4, G5, G6, G7, RIG_GLOBALS };

struct rig_cpu {
    struct tcg_cpu tcg;
    uint64_t extra[8];        /* for LDE and STE */
    uint64_t last_write;      /* to the device */
};

struct rig {
    uint8_t *ram;
    struct tcg *tcg;
    struct rig_cpu *cpu;
    struct ir_block *b;
};

static const struct tcg_global rig_globals[RIG_GLOBALS] = {
#define G(n) { "g" #n, offsetof(struct tcg_cpu, regs) + n * 8, n < 6 ? n : -1 }
    G(0), G(1), G(2), G(3), G(4), G(5), G(6), G(7),
#undef G
};

static inline enum tcg_fill_result rig_walk(struct tcg_cpu *cpu, uint64_t va, enum tcg_access acc,
                                            bool user, bool probe, struct tcg_fill *out)
{
    if (va >= RIG_BYTES || (acc == ACC_WRITE && (va & ~4095ull) == RIG_RO)) {
        if (!probe)
            cpu->exception = RIG_EXC_PAGE;
        return FILL_FAULT;
    }
    *out = (struct tcg_fill){ .gpa = va, .page_shift = 12, .readable = true, .executable = true,
                              .writable = (va & ~4095ull) != RIG_RO };
    return FILL_OK;
}

static inline void rig_canonical(struct tcg_cpu *cpu, uint64_t va, enum tcg_access acc)
{
    cpu->exception = RIG_EXC_PAGE;
}

static inline void rig_divide(struct tcg_cpu *cpu)
{
    cpu->exception = RIG_EXC_DIVIDE;
}

static inline void rig_align(struct tcg_cpu *cpu)
{
    cpu->exception = RIG_EXC_ALIGN;
}

/* the only vector instruction: adds its general register to each byte */
static inline bool rig_vec(struct tcg_cpu *cpu, const struct ir_vec *v, void *mem, uint64_t *gpr)
{
    uint8_t *p = mem;

    for (unsigned i = 0; mem && i < v->mem_bytes; i++)
        p[i] += (uint8_t)*gpr;
    *gpr = mem ? p[0] : 0;
    return true;
}

static const struct tcg_target rig_target = {
    .name = "rig", .n_globals = RIG_GLOBALS, .globals = rig_globals,
    .cpu_size = sizeof(struct rig_cpu), .walk = rig_walk, .canonical_fault = rig_canonical,
    .raise_divide = rig_divide, .raise_align = rig_align, .vec_exec = rig_vec,
};

static inline enum phys_kind rig_lookup(void *opaque, gpa_t gpa, uint8_t **host, uint32_t *page)
{
    struct rig *r = opaque;

    if (gpa == RIG_MMIO || gpa >= RIG_BYTES)
        return PHYS_MMIO;
    *host = r->ram + gpa;
    *page = (uint32_t)(gpa >> 12);
    return PHYS_RAM;
}

static inline uint64_t rig_mmio_read(void *opaque, struct tcg_cpu *cpu, gpa_t gpa, unsigned size)
{
    return 0x1122334455667788ull & size_mask(size);
}

static inline void rig_mmio_write(void *opaque, struct tcg_cpu *cpu, gpa_t gpa, uint64_t v, unsigned size)
{
    ((struct rig_cpu *)cpu)->last_write = v;
}

static inline struct rig *rig_new(void)
{
    struct rig *r = xzalloc(sizeof(*r));
    struct phys_ops phys = { .lookup = rig_lookup, .mmio_read = rig_mmio_read,
                             .mmio_write = rig_mmio_write, .n_ram_pages = RIG_PAGES, .opaque = r };
    struct tcg_config cfg = { .backend = TCG_BACKEND_INTERP, .cache_bytes = 1 << 20 };
    struct err e;

    r->ram = aligned_alloc(4096, RIG_BYTES);
    memset(r->ram, 0, RIG_BYTES);
    r->tcg = tcg_new(&rig_target, &cfg, &phys, &e);
    cr_assert(r->tcg, "%s", e.msg);
    r->cpu = (struct rig_cpu *)tcg_cpu_alloc(r->tcg, &e);
    cr_assert(r->cpu, "%s", e.msg);
    r->cpu->tcg.run = 1;
    r->b = ir_block_new();
    ir_begin(r->b, &rig_target);
    return r;
}

static inline void rig_free(struct rig *r)
{
    ir_block_free(r->b);
    tcg_cpu_free(&r->cpu->tcg);
    tcg_free(r->tcg);
    free(r->ram);
    free(r);
}

/* end the block at pcoff 0x100, verify and run it */
static inline void rig_run(struct rig *r)
{
    const char *why;

    ir_emit_imm(r->b, IR_GOTO_TB, 0, IR_NONE, IR_NONE, 0x100);
    why = ir_verify(r->b);
    if (why)
        ir_dump(r->b, stderr);
    cr_assert_null(why, "%s", why);
    r->cpu->tcg.exception = 0;
    ir_interp(&r->cpu->tcg, r->b);
    ir_begin(r->b, &rig_target);
}

/* a generator with a period of 2^64 and no surprises (Marsaglia's xorshift) */
static inline uint64_t rig_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s * 0x2545f4914f6cdd1dull;
}

#endif
