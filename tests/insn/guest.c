/*
 * guest.c - a case on a bare translator instance: RAM, page tables, one vCPU at
 * CPL 3 in 64-bit or compatibility mode; any exception ends it
 *
 * A vCPU takes too much address space for several of them, so the engines share
 * one and change the instance's back end and optimiser between cases; each case
 * drops all blocks of the case before.
 */
#include "tests/insn/insn.h"
#include "tcg/tcg-int.h"
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#define RAM_PAGES 32u
enum { PG_PML4 = 1, PG_PDPT, PG_PD, PG_PT_CODE, PG_PT_DATA,
       /* pages of one stretch do not follow one another */
       PG_CODE0 = 16, PG_CODE1 = 18, PG_DATA0 = 21, PG_DATA1 = 20, PG_STACK = 24, PG_RO = 26 };
enum { PTE_RWU = 7, PTE_RU = 5 };

struct guest {
    uint8_t *ram;
    struct tcg_target target;
    struct tcg *tcg;
    struct x86_cpu *cpu;
    struct x86_bus bus;
    uint64_t flush;
    struct tcg_config cfg;
    struct phys_ops phys;
    const struct x86_model *model;
    const struct host_code *host;
    unsigned engines;             /* that share it */
};

struct guest_mode {
    struct guest *g;
    bool interp, optimise, kept;
};

static struct {
    struct x86_cpu *volatile running;
    struct guest *shared;
    volatile int hang;
    sigjmp_buf crash;
    const char *keep;             /* guest_keep() */
    uint64_t taken;
    uint32_t dice;
} now;

void guest_crashed(void)
{
    if (now.running)
        siglongjmp(now.crash, 1);
}

void guest_kick(void)
{
    now.hang = 1;
    if (now.running)
        tcg_kick(&now.running->tcg);
}

static enum phys_kind lookup(void *opaque, gpa_t gpa, uint8_t **host, uint32_t *page)
{
    struct guest *g = opaque;

    if (gpa >= RAM_PAGES * 4096)
        return PHYS_NONE;
    *host = g->ram + gpa;
    *page = (uint32_t)(gpa >> 12);
    return PHYS_RAM;
}

static uint64_t no_mmio(void *opaque, struct tcg_cpu *cpu, gpa_t gpa, unsigned size) { return ~0ull; }
static void no_mmio_w(void *opaque, struct tcg_cpu *cpu, gpa_t gpa, uint64_t v, unsigned size) { }
static uint32_t no_intr(void *opaque) { return 0; }
static uint64_t tsc(void *opaque) { return 1000; }
static uint32_t port_in(void *opaque, uint16_t port, unsigned size) { return 0; }
static void port_out(void *opaque, uint16_t port, uint32_t v, unsigned size) { }
static void set_ferr(void *opaque, int level) { }
static uint64_t a20_mask(void *opaque) { return ~0ull; }

static bool service(struct tcg_cpu *tc)
{
    if (tc->exception || now.hang)
        return false;
    __atomic_store_n(&tc->run, 1, __ATOMIC_SEQ_CST);
    return !now.hang;
}

static void set_entry(struct guest *g, unsigned table, unsigned i, unsigned page)
{
    stl64(g->ram + table * 4096 + i * 8, (uint64_t)page << 12 | PTE_RWU);
}

static void make_tables(struct guest *g)
{
    set_entry(g, PG_PML4, 0, PG_PDPT);
    set_entry(g, PG_PDPT, 0, PG_PD);
    set_entry(g, PG_PD, CODE_VA >> 21, PG_PT_CODE);
    set_entry(g, PG_PD, DATA_VA >> 21, PG_PT_DATA);
    set_entry(g, PG_PT_CODE, CODE_VA >> 12 & 511, PG_CODE0);
    set_entry(g, PG_PT_CODE, (CODE_VA >> 12 & 511) + 1, PG_CODE1);
    set_entry(g, PG_PT_DATA, DATA_VA >> 12 & 511, PG_DATA0);
    set_entry(g, PG_PT_DATA, (DATA_VA >> 12 & 511) + 1, PG_DATA1);
    set_entry(g, PG_PT_DATA, STACK_VA >> 12 & 511, PG_STACK);
}

static void set_seg(struct x86_cpu *cpu, unsigned s, uint16_t sel, uint16_t attr, uint64_t base, uint32_t limit)
{
    cpu->seg[s] = (struct x86_seg){ .sel = sel, .attr = attr, .base = base, .limit = limit };
    x86_seg_derive(&cpu->seg[s], true);
}

/* as Linux runs a process */
static void set_mode(struct x86_cpu *cpu, unsigned bits)
{
    enum { USER16 = SEG_P | SEG_S | 3 << SEG_DPL_SHIFT, USER = USER16 | SEG_G | SEG_DB };
    uint32_t all = 0xffffffff;

    for (unsigned s = 0; s < S_COUNT; s++)
        set_seg(cpu, s, 0, 0, 0, 0);
    if (bits == 16) {
        set_seg(cpu, S_CS, SEL_CODE16, USER16 | 0xb, CODE_VA, 0xffff);
        set_seg(cpu, S_SS, SEL_STACK16, USER16 | 3, STACK_VA, STACK_BYTES - 1);
        set_seg(cpu, S_DS, SEL_DATA16, USER16 | 3, DATA_VA, DATA_BYTES - 1);
        set_seg(cpu, S_ES, SEL_DATA16, USER16 | 3, DATA_VA, DATA_BYTES - 1);
        set_seg(cpu, S_FS, SEL_DATA16, USER16 | 3, DATA_VA, DATA_BYTES - 1);
        set_seg(cpu, S_GS, SEL_DATA16, USER16 | 3, DATA_VA, DATA_BYTES - 1);
    } else {
        set_seg(cpu, S_CS, bits == 64 ? 0x33 : 0x23,
                bits == 64 ? (USER & ~SEG_DB) | SEG_L | 0xb : USER | 0xb, 0, all);
        set_seg(cpu, S_SS, 0x2b, USER | 3, 0, all);
        set_seg(cpu, S_DS, 0x2b, USER | 3, 0, all);
        set_seg(cpu, S_ES, 0x2b, USER | 3, 0, all);
        set_seg(cpu, S_FS, 0x2b, USER | 3, FS_BASE, all);
        set_seg(cpu, S_GS, 0x2b, USER | 3, GS_BASE, all);
    }
    cpu->cpl = 3;
    x86_update_mode(cpu);
}

static void start_cpu(struct x86_cpu *cpu)
{
    x86_reset(cpu, false);
    cpu->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_ET | CR0_AM;
    cpu->cr3 = PG_PML4 * 4096;
    cpu->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
    cpu->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    cpu->xcr0 = 7;
    if (x86_has(cpu, FEAT_7_EBX, 16))
        cpu->xcr0 |= XCR0_AVX512;
    cpu->eflags |= EF_IF;
    tcg_mmu_switch(&cpu->tcg, 0, true);
    tcg_mmu_flush(&cpu->tcg, true);
}

/* @va's place in RAM; all pages of a case are listed */
static void copy_in(struct guest *g, unsigned page0, unsigned page1, unsigned off, const uint8_t *p,
                    unsigned n)
{
    unsigned first = off < 4096 ? MIN(n, 4096 - off) : 0;

    memcpy(g->ram + page0 * 4096 + off, p, first);
    if (n > first)
        memcpy(g->ram + page1 * 4096 + (off + first) - 4096, p + first, n - first);
}

static void put_code(struct guest *g, const struct tcase *c)
{
    static const uint8_t end[END_BYTES] = { 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc };

    copy_in(g, PG_CODE0, PG_CODE1, c->off, c->code, c->len);
    copy_in(g, PG_CODE0, PG_CODE1, c->off + c->len, end, sizeof(end));
    tcg_invalidate_phys(g->tcg, PG_CODE0, 0, 4096);
    tcg_invalidate_phys(g->tcg, PG_CODE1, 0, 4096);
}

static void take_event(struct x86_cpu *cpu, const struct tcase *c, struct state *out)
{
    uint64_t end = CODE_VA + c->off + c->len;

    out->vector = now.hang && !cpu->tcg.exception ? VEC_HANG : (int)cpu->tcg.exception - 1;
    out->pc = cpu->tcg.pc + (c->bits == 16 ? CODE_VA : 0);
    out->error = cpu->exc_has_error ? cpu->exc_error : 0;
    out->cr2 = out->vector == EXC_PF ? cpu->exc_cr2 : 0;
    if (out->vector == EXC_BP && out->pc == end)
        out->vector = VEC_END;
    else if (cpu->exc_soft)
        out->pc += cpu->exc_soft_len;
}

/* the read-only page: there from the first stored case on */
static void set_ro(struct guest *g, const uint8_t *bytes)
{
    memcpy(g->ram + PG_RO * 4096, bytes, RO_BYTES);
    stl64(g->ram + PG_PT_DATA * 4096 + (RO_VA >> 12 & 511) * 8, PG_RO << 12 | PTE_RU);
    tcg_mmu_flush_page(&g->cpu->tcg, RO_VA);
}

static bool any_byte(const void *p, size_t n)
{
    const uint8_t *b = p;

    while (n && !b[n - 1])
        n--;
    return n;
}

static void put_case(struct guest *g, const struct tcase *c)
{
    struct x86_cpu *cpu = g->cpu;

    put_code(g, c);
    memcpy(g->ram + PG_DATA0 * 4096, c->init.data, 4096);
    memcpy(g->ram + PG_DATA1 * 4096, c->init.data + 4096, 4096);
    memcpy(g->ram + PG_STACK * 4096, c->init.stack, 4096);
    if (c->stored)
        set_ro(g, c->ro);
    memcpy(cpu->tcg.regs, c->init.r, sizeof(c->init.r));
    cpu->tcg.exception = 0;
    cpu->exc_soft = cpu->exc_has_error = false;
    cpu->tf_trap = cpu->shadow = false;
    cpu->eflags = EF_IF | EF_1;
    x86_set_eflags(cpu, (uint32_t)c->init.flags | EF_IF | EF_1);
    set_mode(cpu, c->bits);
    cpu->fx = c->init.f.fx;
    x86_x87_mode(cpu);
    memcpy(cpu->ymmh, c->init.f.ymmh, sizeof(cpu->ymmh));
    cpu->z = c->init.f.z;
    cpu->tcg.zmmh_live = any_byte(cpu->z.zmmh, sizeof(cpu->z.zmmh));
    cpu->tcg.hi16_live = any_byte(cpu->z.hi16, sizeof(cpu->z.hi16));
    cpu->tcg.pc = (c->bits == 16 ? 0 : CODE_VA) + c->off;
    if (++g->flush % 8 == 0)
        tcg_mmu_flush(&cpu->tcg, true);
}

static void get_state(struct guest *g, const struct tcase *c, struct state *out)
{
    struct x86_cpu *cpu = g->cpu;

    take_event(cpu, c, out);
    memcpy(out->r, cpu->tcg.regs, sizeof(out->r));
    out->flags = x86_get_eflags(cpu);
    out->f.fx = cpu->fx;
    memcpy(out->f.ymmh, cpu->ymmh, sizeof(out->f.ymmh));
    out->f.z = cpu->z;
    memcpy(out->data, g->ram + PG_DATA0 * 4096, 4096);
    memcpy(out->data + 4096, g->ram + PG_DATA1 * 4096, 4096);
    memcpy(out->stack, g->ram + PG_STACK * 4096, 4096);
}

static bool make_cpu(struct guest *g, struct err *e)
{
    g->tcg = tcg_new(&g->target, &g->cfg, &g->phys, e);
    struct tcg_cpu *tc = g->tcg ? tcg_cpu_alloc(g->tcg, e) : NULL;

    if (!tc)
        return false;
    g->host = g->tcg->host;
    g->cpu = X86(tc);
    g->cpu->model = g->model;
    g->cpu->bus = &g->bus;
    start_cpu(g->cpu);
    return true;
}

static void free_instance(struct guest *g)
{
    now.taken += tcg_get_stats(g->tcg)->taken;
    tcg_cpu_free(&g->cpu->tcg);
    tcg_free(g->tcg);
    if (now.keep)
        unlink(now.keep);
}

/* What the engine before has translated becomes images, which this one finds and puts elsewhere. */
static void keep_and_forget(struct guest *g)
{
    struct code_cache *c = &g->tcg->cache;
    struct err err;
    size_t bytes;

    g->tcg->host = g->host;
    tcg_flush_all(g->tcg, TCG_FLUSH_FULL);
    tcg_cache_kept(g->tcg, &bytes);
    if (bytes > g->cfg.cache_bytes / 2) {
        free_instance(g);
        if (!make_cpu(g, &err))
            exit(2);
        return;
    }
    now.dice = now.dice * 1103515245 + 12345;
    c->used += 16 * (1 + (now.dice >> 16) % 64);
    c->cold_used += 4 * (1 + (now.dice >> 22) % 256);
    g->tcg->arena_used += TB_ALIGN * (1 + (now.dice >> 18) % 8);
}

static void set_engine(const struct guest_mode *m)
{
    struct tcg *t;

    if (m->kept)
        keep_and_forget(m->g);
    t = m->g->tcg;
    t->host = m->g->host;
    if (t->arena_used > t->arena_bytes / 2 || t->cache.used > t->cache.cold / 2
        || t->cache.cold_used > (t->cache.cold + t->cache.bytes) / 2)
        tcg_flush_all(t, TCG_FLUSH_FULL);        /* never while the interpreter runs: thunks would be lost */
    if (m->interp)
        t->host = NULL;
    t->cfg.optimise = m->optimise;
}

static void run(struct engine *e, const struct tcase *c, struct state *out)
{
    const struct guest_mode *m = e->priv;
    struct guest *g = m->g;
    struct err err;

    set_engine(m);
    put_case(g, c);
    watchdog_reset();
    now.hang = 0;
    now.running = g->cpu;
    if (!sigsetjmp(now.crash, 1)) {
        tcg_run(&g->cpu->tcg);
        now.running = NULL;
        get_state(g, c, out);
        return;
    }
    /* the instance is in an unknown state: make another */
    now.running = NULL;
    *out = c->init;
    out->vector = VEC_CRASH;
    free_instance(g);
    if (!make_cpu(g, &err))
        exit(2);
}

static struct guest *guest_new(const struct x86_model *m, struct err *err)
{
    struct guest *g = xzalloc(sizeof(*g));

    g->cfg = (struct tcg_config){ .backend = TCG_BACKEND_HOST, .cache_bytes = 8 * MiB, .tb_cache = now.keep };
#ifndef __x86_64__
    g->cfg.backend = TCG_BACKEND_INTERP;
#endif
    g->phys = (struct phys_ops){ .lookup = lookup, .mmio_read = no_mmio, .mmio_write = no_mmio_w,
                                 .n_ram_pages = RAM_PAGES, .opaque = g };
    g->model = m;
    g->ram = aligned_alloc(4096, RAM_PAGES * 4096);
    memset(g->ram, 0, RAM_PAGES * 4096);
    make_tables(g);
    g->target = x86_target;
    g->target.service = service;
    g->bus = (struct x86_bus){ .intr = no_intr, .tsc = tsc, .port_in = port_in, .port_out = port_out,
                               .set_ferr = set_ferr, .a20_mask = a20_mask, .opaque = g };
    return make_cpu(g, err) ? g : NULL;
}

/* the last engine takes the guest along */
static void free_engine(struct engine *e)
{
    struct guest *g = now.shared;

    free(e->priv);
    if (--g->engines)
        return;
    now.shared = NULL;
    free_instance(g);
    free(g->ram);
    free(g);
}

void guest_keep(const char *path) { now.keep = path; }
uint64_t guest_taken(void) { return now.taken; }

bool guest_engine(struct engine *e, const char *name, bool interp, bool optimise, bool kept,
                  const struct x86_model *m)
{
    struct guest_mode *mode = xzalloc(sizeof(*mode));
    struct err err;

    if (!now.shared)
        now.shared = guest_new(m, &err);
    if (!now.shared) {
        fprintf(stderr, "insn: no %s: %s\n", name, err.msg);
        return false;
    }
    now.shared->engines++;
    *mode = (struct guest_mode){ now.shared, interp, optimise, kept };
    *e = (struct engine){ .name = name, .run = run, .free = free_engine, .priv = mode, .portable = interp };
    return true;
}
