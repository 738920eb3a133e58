/*
 * sys-rig.h - a whole vCPU over 1 MiB of RAM, for tests of the system side
 *
 * Guest-physical address n is ram[n]; paging is off until a test switches it on.
 * The GDT at SR_GDT holds the selectors below; SR_TSS is the current TSS. The
 * bus is the test's: sr->intr is what is pending, ack_irq gives sr->vector.
 */
#ifndef TESTS_TARGET_X86_SYS_RIG_H
#define TESTS_TARGET_X86_SYS_RIG_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include "target-x86/system-int.h"

#define SR_BYTES 0x100000u
enum {
    SR_GDT = 0x1000, SR_IDT = 0x2000, SR_TSS = 0x3000, SR_TSS2 = 0x3400, SR_LDT = 0x3800,
    SR_HANDLER = 0x5000, SR_CODE = 0x6000, SR_STACK0 = 0x8000, SR_STACK3 = 0x9000,
    SR_TABLES = 0x10000,
};
enum {
    SEL_CODE = 0x08, SEL_DATA = 0x10, SEL_CODE3 = 0x1b, SEL_DATA3 = 0x23, SEL_CODE64 = 0x28,
    SEL_CODE64_3 = 0x33, SEL_TSS = 0x40, SEL_LDT = 0x50, SEL_TSS2 = 0x60, SEL_FREE = 0x70,
};
/* descriptor attributes: bits 55..40 */
enum {
    DA_CODE = 0xc09a, DA_DATA = 0xc092, DA_CODE3 = 0xc0fa, DA_DATA3 = 0xc0f2, DA_CODE64 = 0xa09a,
    DA_CODE64_3 = 0xa0fa, DA_TSS = 0x89, DA_TSS16 = 0x81, DA_LDT = 0x82,
};

struct sys_rig {
    struct tcg *tcg;
    struct x86_cpu *cpu;
    struct tcg_cpu *tc;
    uint8_t *ram;
    struct x86_bus bus;
    struct x86_model model;
    uint32_t intr;
    int vector, triple, halts, acks;
    uint8_t tpr;
    uint64_t tsc, a20, apic_value;
    uint32_t apic_msr, port, tables_used;
};

static inline enum phys_kind sr_lookup(void *opaque, gpa_t gpa, uint8_t **host, uint32_t *page)
{
    struct sys_rig *r = opaque;

    if (gpa >= SR_BYTES)
        return PHYS_NONE;
    *host = r->ram + gpa;
    *page = (uint32_t)(gpa >> 12);
    return PHYS_RAM;
}

static inline uint64_t sr_mmio_read(void *o, struct tcg_cpu *c, gpa_t gpa, unsigned size)
{
    return size_mask(size);
}

static inline void sr_mmio_write(void *o, struct tcg_cpu *c, gpa_t gpa, uint64_t v, unsigned size)
{
}

static inline uint32_t sr_intr(void *o) { return ((struct sys_rig *)o)->intr; }
static inline void sr_intr_clear(void *o, uint32_t bits_) { ((struct sys_rig *)o)->intr &= ~bits_; }

static inline int sr_ack(void *o)
{
    struct sys_rig *r = o;

    r->acks++;
    r->intr &= ~(uint32_t)(X86_INTR_PIC | X86_INTR_APIC);
    return r->vector;
}

/* nothing will ever happen unless the test says so: leave */
static inline void sr_halt(void *o, uint32_t masked)
{
    struct sys_rig *r = o;

    r->halts++;
    r->intr |= X86_INTR_EXIT;
}

static inline void sr_triple(void *o)
{
    struct sys_rig *r = o;

    r->triple++;
    r->intr |= X86_INTR_EXIT;
}

static inline uint8_t sr_sipi(void *o) { return 0x12; }
static inline uint64_t sr_tsc(void *o) { return ((struct sys_rig *)o)->tsc; }
static inline uint64_t sr_a20(void *o) { return ((struct sys_rig *)o)->a20; }
static inline uint8_t sr_get_tpr(void *o) { return ((struct sys_rig *)o)->tpr; }
static inline void sr_set_tpr(void *o, uint8_t v) { ((struct sys_rig *)o)->tpr = v; }
static inline uint32_t sr_in(void *o, uint16_t port, unsigned size)
{
    ((struct sys_rig *)o)->port = port;
    return 0x5a;
}
static inline void sr_out(void *o, uint16_t port, uint32_t v, unsigned size)
{
    ((struct sys_rig *)o)->port = port;
}

static inline bool sr_apic_msr(void *o, uint32_t msr, uint64_t *v, bool write)
{
    struct sys_rig *r = o;

    r->apic_msr = msr;
    if (write)
        r->apic_value = *v;
    else
        *v = r->apic_value;
    return msr != 0x8ff;
}

/* sr_desc() - a segment descriptor; @limit in bytes or, with G in @attr, in pages */
static inline uint64_t sr_desc(uint32_t base, uint32_t limit, uint16_t attr)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attr & 0xf0ff) << 40 |
           (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)(base >> 24) << 56;
}

static inline uint64_t sr_gate(uint16_t sel, uint32_t off, uint8_t attr, uint8_t count)
{
    return (off & 0xffff) | (uint64_t)sel << 16 | (uint64_t)count << 32 | (uint64_t)attr << 40 |
           (uint64_t)(off >> 16) << 48;
}

static inline void sr_set_gdt(struct sys_rig *r, uint16_t sel, uint64_t raw)
{
    stl64(r->ram + SR_GDT + (sel & ~7), raw);
}

static inline uint64_t sr_get_gdt(struct sys_rig *r, uint16_t sel)
{
    return ldl64(r->ram + SR_GDT + (sel & ~7));
}

/* sr_load() - put the GDT's descriptor into a segment register, unchecked */
static inline void sr_load(struct sys_rig *r, struct x86_seg *s, uint16_t sel)
{
    struct x86_desc d;

    x86_desc_parse(&d, sr_get_gdt(r, sel));
    x86_seg_fill(s, sel, &d);
}

static inline void sr_idt(struct sys_rig *r, unsigned v, uint16_t sel, uint32_t off, uint8_t attr)
{
    if (x86_lma(r->cpu)) {
        stl64(r->ram + SR_IDT + v * 16, sr_gate(sel, off, attr, 0));
        stl64(r->ram + SR_IDT + v * 16 + 8, 0);
    } else {
        stl64(r->ram + SR_IDT + v * 8, sr_gate(sel, off, attr, 0));
    }
}

static inline struct sys_rig *sr_new_on(enum tcg_backend backend)
{
    struct sys_rig *r = xzalloc(sizeof(*r));
    struct phys_ops phys = { .lookup = sr_lookup, .mmio_read = sr_mmio_read,
                             .mmio_write = sr_mmio_write, .n_ram_pages = SR_BYTES / 4096,
                             .opaque = r };
    struct tcg_config cfg = { .backend = backend, .optimise = backend == TCG_BACKEND_HOST, .cache_bytes = 1 << 20 };
    struct err e;

    r->ram = aligned_alloc(4096, SR_BYTES);
    memset(r->ram, 0, SR_BYTES);
    cr_assert_eq(x86_model_parse("max", &r->model, &e), 0, "%s", e.msg);
    r->tcg = tcg_new(&x86_target, &cfg, &phys, &e);
    cr_assert(r->tcg, "%s", e.msg);
    r->tc = tcg_cpu_alloc(r->tcg, &e);
    cr_assert(r->tc, "%s", e.msg);
    r->cpu = X86(r->tc);
    r->a20 = ~0ull;
    r->bus = (struct x86_bus){
        .port_in = sr_in, .port_out = sr_out, .ack_irq = sr_ack, .intr = sr_intr,
        .intr_clear = sr_intr_clear, .sipi_vector = sr_sipi, .apic_msr = sr_apic_msr,
        .get_tpr = sr_get_tpr, .set_tpr = sr_set_tpr, .halt = sr_halt, .triple_fault = sr_triple,
        .tsc = sr_tsc, .a20_mask = sr_a20, .opaque = r };
    r->cpu->bus = &r->bus;
    r->cpu->model = &r->model;
    x86_reset(r->cpu, false);
    return r;
}

static inline struct sys_rig *sr_new(void) { return sr_new_on(TCG_BACKEND_INTERP); }

static inline void sr_free(struct sys_rig *r)
{
    tcg_cpu_free(r->tc);
    tcg_free(r->tcg);
    free(r->ram);
    free(r);
}

/* sr_real() - real mode at SR_CODE with a stack at SR_STACK0 */
static inline struct sys_rig *sr_real(void)
{
    struct sys_rig *r = sr_new();

    for (unsigned i = 0; i < S_COUNT; i++)
        x86_load_real_seg(r->cpu, i, 0);
    GPR(r->cpu, R_SP) = SR_STACK0;
    x86_set_pc(r->cpu, SR_CODE);
    x86_update_mode(r->cpu);
    return r;
}

/* sr_cpl() - flat 32- or 64-bit segments of privilege 0 or 3 */
static inline void sr_cpl(struct sys_rig *r, unsigned cpl)
{
    bool lma = x86_lma(r->cpu);

    sr_load(r, &r->cpu->seg[S_CS], lma ? (cpl ? SEL_CODE64_3 : SEL_CODE64) : cpl ? SEL_CODE3 : SEL_CODE);
    for (unsigned i = 0; i < S_COUNT; i++)
        if (i != S_CS)
            sr_load(r, &r->cpu->seg[i], cpl ? SEL_DATA3 : SEL_DATA);
    r->cpu->cpl = cpl;
    GPR(r->cpu, R_SP) = cpl ? SR_STACK3 : SR_STACK0;
    x86_update_mode(r->cpu);
}

static inline void sr_tables(struct sys_rig *r)
{
    r->cpu->gdt = (struct x86_dtr){ SR_GDT, 0x7f };
    r->cpu->idt = (struct x86_dtr){ SR_IDT, 0xfff };
    sr_set_gdt(r, SEL_CODE, sr_desc(0, 0xfffff, DA_CODE));
    sr_set_gdt(r, SEL_DATA, sr_desc(0, 0xfffff, DA_DATA));
    sr_set_gdt(r, SEL_CODE3, sr_desc(0, 0xfffff, DA_CODE3));
    sr_set_gdt(r, SEL_DATA3, sr_desc(0, 0xfffff, DA_DATA3));
    sr_set_gdt(r, SEL_CODE64, sr_desc(0, 0xfffff, DA_CODE64));
    sr_set_gdt(r, SEL_CODE64_3, sr_desc(0, 0xfffff, DA_CODE64_3));
    sr_set_gdt(r, SEL_TSS, sr_desc(SR_TSS, 0x3ff, DA_TSS | 2));
    sr_set_gdt(r, SEL_TSS2, sr_desc(SR_TSS2, 0x67, DA_TSS));
    sr_set_gdt(r, SEL_LDT, sr_desc(SR_LDT, 0xff, DA_LDT));
    sr_load(r, &r->cpu->tr, SEL_TSS);
}

/* sr_protected() - flat 32-bit protected mode, CPL 0; every IDT entry a trap to itself */
static inline struct sys_rig *sr_protected_on(enum tcg_backend backend)
{
    struct sys_rig *r = sr_new_on(backend);

    r->cpu->cr0 = CR0_PE | CR0_ET | CR0_NE;
    sr_tables(r);
    stl32(r->ram + SR_TSS + 4, SR_STACK0);
    stl16(r->ram + SR_TSS + 8, SEL_DATA);
    stl16(r->ram + SR_TSS + 0x66, 0x88);
    for (unsigned v = 0; v < 256; v++)
        sr_idt(r, v, SEL_CODE, SR_HANDLER + v, 0x8e);
    sr_cpl(r, 0);
    x86_set_pc(r->cpu, SR_CODE);
    return r;
}

static inline struct sys_rig *sr_protected(void) { return sr_protected_on(TCG_BACKEND_INTERP); }

/* sr_map() - long mode: map the page of @va to @pa with entry bits @flags (4 KiB) */
static inline void sr_map(struct sys_rig *r, uint64_t va, uint64_t pa, uint64_t flags)
{
    uint64_t at = SR_TABLES;
    static const uint8_t shifts[] = { 39, 30, 21 };

    for (unsigned i = 0; i < 3; i++) {
        uint8_t *e = r->ram + at + (va >> shifts[i] & 511) * 8;
        if (!(ldl64(e) & 1)) {
            r->tables_used += 0x1000;
            stl64(e, (SR_TABLES + r->tables_used) | 7);
        }
        at = ldl64(e) & ~0xfffull;
    }
    stl64(r->ram + at + (va >> 12 & 511) * 8, pa | flags);
}

/* sr_long() - 64-bit mode, CPL 0, the first MiB mapped one to one for everybody */
static inline struct sys_rig *sr_long_on(enum tcg_backend backend)
{
    struct sys_rig *r = sr_protected_on(backend);

    for (unsigned p = 0; p < SR_BYTES; p += 4096)
        sr_map(r, p, p, 7);
    r->cpu->cr3 = SR_TABLES;
    r->cpu->cr4 = CR4_PAE | CR4_OSFXSR;
    r->cpu->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    r->cpu->cr0 |= CR0_PG | CR0_WP;
    tcg_mmu_flush(r->tc, true);
    stl64(r->ram + SR_TSS + 4, SR_STACK0);
    for (unsigned v = 0; v < 256; v++)
        sr_idt(r, v, SEL_CODE64, SR_HANDLER + v, 0x8e);
    sr_cpl(r, 0);
    return r;
}

static inline struct sys_rig *sr_long(void) { return sr_long_on(TCG_BACKEND_INTERP); }

/* sr_exception() - vector pending, -1: none; its error code stays in cpu->exc_error */
static inline int sr_exception(struct sys_rig *r)
{
    int v = (int)r->tc->exception - 1;

    r->tc->exception = 0;
    return v;
}

#define sr_expect(r, vec, err)                                                       \
    do {                                                                             \
        int v_ = sr_exception(r);                                                    \
        cr_assert_eq(v_, vec, "exception %d, expected %d", v_, vec);                 \
        cr_assert_eq((r)->cpu->exc_error, (uint32_t)(err), "error code %#x",         \
                     (r)->cpu->exc_error);                                           \
    } while (0)

/* sr_deliver() - let the pending event be delivered */
static inline bool sr_deliver(struct sys_rig *r)
{
    r->tc->run = 0;
    return x86_service(r->tc);
}

static inline uint32_t sr_stack32(struct sys_rig *r, unsigned slot)
{
    return ldl32(r->ram + (uint32_t)GPR(r->cpu, R_SP) + slot * 4);
}

static inline uint64_t sr_stack64(struct sys_rig *r, unsigned slot)
{
    return ldl64(r->ram + GPR(r->cpu, R_SP) + slot * 8);
}

#endif
