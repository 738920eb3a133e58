/*
 * helper-rig.h - a vCPU with memory, for tests of helpers
 *
 * 16 pages of RAM, linear addresses 0..0xffff; page 14 is read-only, page 15 a
 * device that remembers bytes; everything above raises #PF. Ports read as a
 * counter and remember what is written. 64-bit code at CPL 0 unless changed.
 */
#ifndef TESTS_TARGET_X86_HELPER_RIG_H
#define TESTS_TARGET_X86_HELPER_RIG_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include "target-x86/simd-int.h"

#define HR_BYTES 0x10000u
#define HR_RO 0xe000u
#define HR_MMIO 0xf000u

struct helper_rig {
    struct tcg *tcg;
    struct x86_cpu *cpu;
    struct tcg_cpu *tc;
    uint8_t *ram;
    gpa_t swap;              /* 0x1000: neighbouring pages change places in ram */
    uint8_t device[4096];
    struct x86_bus bus;
    uint32_t port_count, port_last;
    unsigned port_size;
    bool ferr;
};

static inline enum tcg_fill_result hr_walk(struct tcg_cpu *tc, uint64_t va, enum tcg_access acc,
                                           bool user, bool probe, struct tcg_fill *out)
{
    bool ro = (va & ~4095ull) == HR_RO;

    if (va >= HR_BYTES || (acc == ACC_WRITE && ro)) {
        if (!probe)
            x86_raise_pf(X86(tc), va, acc == ACC_WRITE ? PF_W : 0);
        return FILL_FAULT;
    }
    *out = (struct tcg_fill){ .gpa = va, .page_shift = 12, .readable = true, .writable = !ro };
    return FILL_OK;
}

static inline void hr_canonical(struct tcg_cpu *tc, uint64_t va, enum tcg_access acc)
{
    x86_raise_err(X86(tc), EXC_GP, 0);
}

static inline enum phys_kind hr_lookup(void *opaque, gpa_t gpa, uint8_t **host, uint32_t *page)
{
    struct helper_rig *r = opaque;

    if (gpa >= HR_MMIO)
        return PHYS_MMIO;
    *host = r->ram + (gpa ^ r->swap);
    *page = (uint32_t)(gpa >> 12);
    return PHYS_RAM;
}

static inline uint64_t hr_mmio_read(void *opaque, struct tcg_cpu *tc, gpa_t gpa, unsigned size)
{
    uint64_t v = 0;

    memcpy(&v, ((struct helper_rig *)opaque)->device + (gpa & 4095), size);
    return v;
}

static inline void hr_mmio_write(void *opaque, struct tcg_cpu *tc, gpa_t gpa, uint64_t v, unsigned size)
{
    memcpy(((struct helper_rig *)opaque)->device + (gpa & 4095), &v, size);
}

static inline uint32_t hr_port_in(void *opaque, uint16_t port, unsigned size)
{
    struct helper_rig *r = opaque;

    r->port_size = size;
    return ++r->port_count;
}

static inline void hr_port_out(void *opaque, uint16_t port, uint32_t v, unsigned size)
{
    struct helper_rig *r = opaque;

    r->port_size = size;
    r->port_last = v;
    r->port_count++;
}

static inline void hr_ferr(void *opaque, int level)
{
    ((struct helper_rig *)opaque)->ferr = level;
}

static const struct tcg_target hr_target = {
    .name = "helper-rig", .cpu_size = sizeof(struct x86_cpu), .walk = hr_walk,
    .canonical_fault = hr_canonical,
};

static inline struct helper_rig *hr_new(void)
{
    struct helper_rig *r = xzalloc(sizeof(*r));
    struct phys_ops phys = { .lookup = hr_lookup, .mmio_read = hr_mmio_read,
                             .mmio_write = hr_mmio_write, .n_ram_pages = 16, .opaque = r };
    struct tcg_config cfg = { .backend = TCG_BACKEND_INTERP, .cache_bytes = 1 << 20 };
    struct err e;

    r->ram = aligned_alloc(4096, HR_BYTES);
    memset(r->ram, 0, HR_BYTES);
    r->tcg = tcg_new(&hr_target, &cfg, &phys, &e);
    cr_assert(r->tcg, "%s", e.msg);
    r->tc = tcg_cpu_alloc(r->tcg, &e);
    cr_assert(r->tc, "%s", e.msg);
    r->cpu = X86(r->tc);
    r->tc->run = 1;
    r->tc->va_mask = ~0ull;
    r->cpu->df = 1;
    r->cpu->mode = MODE_CODE64 | MODE_PE | MODE_LONG;
    r->cpu->cr0 = CR0_PE | CR0_NE;
    r->bus = (struct x86_bus){ .port_in = hr_port_in, .port_out = hr_port_out,
                               .set_ferr = hr_ferr, .opaque = r };
    r->cpu->bus = &r->bus;
    x86_fpu_reset(r->cpu);
    return r;
}

static inline void hr_free(struct helper_rig *r)
{
    tcg_cpu_free(r->tc);
    tcg_free(r->tcg);
    free(r->ram);
    free(r);
}

/* 16-bit real-mode-like code: 64 KiB segments at @base */
static inline void hr_code16(struct helper_rig *r, uint64_t base)
{
    r->cpu->mode = MODE_CODE16;
    r->tc->va_mask = 0xffffffff;
    for (unsigned i = 0; i < S_COUNT; i++)
        r->cpu->seg[i] = (struct x86_seg){ .base = base, .limit = 0xffff, .lo = 0,
                                           .hi_r = 0xffff, .hi_w = 0xffff };
}

/* pending exception's vector, -1: none; forgets it */
static inline int hr_exception(struct helper_rig *r)
{
    int v = (int)r->tc->exception - 1;

    r->tc->exception = 0;
    return v;
}

#endif
