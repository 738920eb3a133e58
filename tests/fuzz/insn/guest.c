/*
 * guest.c - sequences on a bare translator instance
 *
 * The engines share one vCPU, translator and code cache. Each has page tables and RAM of
 * its own behind the same linear addresses, and an address-space set of the soft MMU, so
 * that changing engines flushes nothing.
 */
#include "tests/fuzz/insn/ifuzz.h"
#include "target-x86/system-int.h"
#include "tcg/tcg-int.h"
#include <stdlib.h>

const char *const engine_name[E_COUNT] = { "optimised", "plain", "single", "interpreter" };

/* pages of one engine's RAM; those of one stretch do not follow one another */
enum { RING_PAGES = RING_BYTES / 4096,
       PG_PML4 = 0, PG_PDPT, PG_PD, PG_PT_CODE, PG_PT_DATA, PG_RO, PG_DATA1, PG_STACK, PG_DATA0,
       PG_RING_END = 9 + RING_PAGES, PG_COUNT };
enum { RAM_PAGES = PG_COUNT * E_COUNT };
enum { PTE_P = 1, PTE_W = 2, PTE_U = 4 };
#define PTE_NX (1ull << 63)

struct fguest {
    uint8_t *ram;
    struct tcg_target target;
    struct tcg *tcg;
    struct x86_cpu *cpu;
    struct x86_bus bus;
    struct tcg_config cfg;
    struct phys_ops phys;
    const struct host_code *host;
    const struct image *im;
    int now;                      /* the engine that is set up, or -1 */
    unsigned bits;
    volatile int running, ticks, hang;
};

static uint8_t *page_of(struct fguest *g, unsigned e, unsigned page)
{
    return g->ram + (size_t)(e * PG_COUNT + page) * 4096;
}

/* ---- the world around the CPU ------------------------------------------------------ */

static enum phys_kind lookup(void *opaque, gpa_t gpa, uint8_t **host, uint32_t *page)
{
    struct fguest *g = opaque;

    if (gpa >= RAM_PAGES * 4096u)
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

/* the one instance of this process, for service(): its target has no room for a pointer */
static struct fguest *the_guest;

static bool service(struct tcg_cpu *tc)
{
    if (tc->exception || X86(tc)->tf_trap || the_guest->hang)
        return false;
    __atomic_store_n(&tc->run, 1, __ATOMIC_SEQ_CST);
    return !the_guest->hang;
}

static void set_entry(struct fguest *g, unsigned e, unsigned table, unsigned i, unsigned page, uint64_t bits)
{
    stl64(page_of(g, e, table) + (i & 511) * 8, (uint64_t)(e * PG_COUNT + page) << 12 | bits | PTE_P | PTE_U);
}

static void make_tables(struct fguest *g, unsigned e)
{
    set_entry(g, e, PG_PML4, 0, PG_PDPT, PTE_W);
    set_entry(g, e, PG_PDPT, 0, PG_PD, PTE_W);
    set_entry(g, e, PG_PD, CODE_VA >> 21, PG_PT_CODE, PTE_W);
    set_entry(g, e, PG_PD, DATA_VA >> 21, PG_PT_DATA, PTE_W);
    for (unsigned i = 0; i < RING_PAGES; i++)
        set_entry(g, e, PG_PT_CODE, (CODE_VA >> 12) + i, PG_RING_END - 1 - i, 0);
    set_entry(g, e, PG_PT_DATA, DATA_VA >> 12, PG_DATA0, PTE_W | PTE_NX);
    set_entry(g, e, PG_PT_DATA, (DATA_VA >> 12) + 1, PG_DATA1, PTE_W | PTE_NX);
    set_entry(g, e, PG_PT_DATA, STACK_VA >> 12, PG_STACK, PTE_W | PTE_NX);
    set_entry(g, e, PG_PT_DATA, RO_VA >> 12, PG_RO, PTE_NX);
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
    static const uint8_t data[] = { S_DS, S_ES, S_FS, S_GS };
    uint32_t all = 0xffffffff;

    for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
        if (bits == 16)
            set_seg(cpu, data[i], SEL_DATA16, USER16 | 3, DATA_VA, DATA_BYTES - 1);
        else
            set_seg(cpu, data[i], 0x2b, USER | 3, data[i] == S_FS ? FS_BASE : data[i] == S_GS ? GS_BASE : 0, all);
    if (bits == 16) {
        set_seg(cpu, S_CS, SEL_CODE16, USER16 | 0xb, CODE_VA, 0xffff);
        set_seg(cpu, S_SS, SEL_STACK16, USER16 | 3, STACK_VA, STACK_BYTES - 1);
    } else {
        set_seg(cpu, S_CS, bits == 64 ? 0x33 : 0x23,
                bits == 64 ? (USER & ~SEG_DB) | SEG_L | 0xb : USER | 0xb, 0, all);
        set_seg(cpu, S_SS, 0x2b, USER | 3, 0, all);
    }
    cpu->cpl = 3;
    x86_update_mode(cpu);
}

static void start_cpu(struct x86_cpu *cpu, unsigned bits)
{
    x86_reset(cpu, false);
    cpu->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_ET | CR0_AM;
    cpu->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
    cpu->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    cpu->xcr0 = XCR0_AVX | (has_avx512() ? XCR0_AVX512 : 0);
    cpu->eflags = EF_IF | EF_1;
    set_mode(cpu, bits);
}

/* ---- engines --------------------------------------------------------------------------- */

/* @e's page tables, back end and optimiser from now on */
static void choose(struct fguest *g, enum fuzz_engine e)
{
    struct tcg *t = g->tcg;

    if (g->now == (int)e)
        return;
    g->now = (int)e;
    g->cpu->cr3 = (uint64_t)(e * PG_COUNT + PG_PML4) << 12;
    tcg_mmu_switch(&g->cpu->tcg, e + 1, false);
    t->host = e == E_INTERP ? NULL : g->host;
    t->cfg.optimise = e == E_OPT || e == E_INTERP;
    t->cfg.one_insn = e == E_SINGLE;
}

/* Forgotten with the back end in place: its thunks are made again. */
void fguest_wrap(struct fguest *g)
{
    choose(g, E_OPT);
    tcg_flush_all(g->tcg, TCG_FLUSH_FULL);
}

/* Room for one more sequence, however much its code swells. */
static void make_room(struct fguest *g)
{
    const struct tcg *t = g->tcg;

    if (t->arena_used > t->arena_bytes / 4 * 3 || t->cache.used > t->cache.bytes / 4 * 3)
        fguest_wrap(g);
}

void fguest_image(struct fguest *g, const struct image *im)
{
    g->im = im;
    for (unsigned e = 0; e < E_COUNT; e++) {
        memcpy(page_of(g, e, PG_DATA0), im->data, 4096);
        memcpy(page_of(g, e, PG_DATA1), im->data + 4096, 4096);
        memcpy(page_of(g, e, PG_STACK), im->stack, 4096);
        memcpy(page_of(g, e, PG_RO), im->ro, 4096);
    }
}

/* The host's way back to its harness stands behind each sequence here, too: read as data
 * it must be the same. Here it faults. */
void fguest_code(struct fguest *g, unsigned off, const uint8_t *code, unsigned n)
{
    for (unsigned at = 0, part; at < n; at += part) {
        unsigned page = (off + at) >> 12, in = (off + at) & 4095;
        part = MIN(n - at, 4096 - in);
        for (unsigned e = 0; e < E_COUNT; e++)
            memcpy(page_of(g, e, PG_RING_END - 1 - page) + in, code + at, part);
    }
}

static void put_avx512(struct x86_cpu *cpu, const struct seq *q)
{
    uint8_t v[64];

    cpu->z = q->f.z;
    cpu->tcg.zmmh_live = 0;
    for (unsigned i = 0; i < 32 && q->zmm; i += 16) {   /* its setter knows who must hear of it */
        x86_get_zmm(cpu, i, v);
        x86_set_zmm(cpu, i, v);
    }
}

static void put_state(struct fguest *g, const struct seq *q, bool vec)
{
    struct x86_cpu *cpu = g->cpu;

    memcpy(cpu->tcg.regs, q->r, sizeof(q->r));
    cpu->tcg.exception = 0;
    cpu->exc_soft = cpu->exc_has_error = cpu->exc_canon = false;
    cpu->tf_trap = cpu->shadow = cpu->no_step = false;
    cpu->trap_dr6 = 0;
    x86_set_eflags(cpu, q->flags | EF_IF | EF_1);
    cpu->tcg.pc = (q->bits == 16 ? 0 : CODE_VA) + q->off;
    if (q->fpu) {
        cpu->fx = q->f.fx;
        memcpy(cpu->ymmh, q->f.ymmh, sizeof(cpu->ymmh));
        put_avx512(cpu, q);
        x86_x87_mode(cpu);
    } else if (vec) {
        memset(&cpu->z, 0, sizeof(cpu->z));
        memset(&cpu->fx, 0, sizeof(cpu->fx));
        memset(cpu->ymmh, 0, sizeof(cpu->ymmh));
        cpu->fx.fcw = 0x37f;
        cpu->fx.mxcsr = 0x1f80;
    }
}

/* what delivery would make of a non-canonical address by way of the stack segment */
static int vector_of(struct x86_cpu *cpu)
{
    if (cpu->exc_canon && x86_stack_access(cpu, cpu->exc_cr2))
        return EXC_SS;
    return (int)cpu->tcg.exception - 1;
}

static void take_event(struct fguest *g, const struct seq *q, struct outcome *o)
{
    struct x86_cpu *cpu = g->cpu;

    o->vector = g->hang && !cpu->tcg.exception ? VEC_HANG : vector_of(cpu);
    o->pc = cpu->tcg.pc + (q->bits == 16 ? CODE_VA : 0);
    if (!cpu->tcg.exception && cpu->tf_trap)
        o->vector = EXC_DB;
    o->error = cpu->exc_has_error ? cpu->exc_error : 0;
    o->cr2 = o->vector == EXC_PF ? cpu->exc_cr2 : 0;
    if (o->vector >= 0 && o->pc == CODE_VA + q->off + q->len)
        *o = (struct outcome){ .vector = VEC_END, .pc = o->pc };
    else if (cpu->exc_soft)
        o->pc += cpu->exc_soft_len;
}

static void take_vectors(const struct x86_cpu *cpu, struct outcome *o)
{
    o->vec = vec_hash(&cpu->fx, cpu->ymmh, &cpu->z);
    o->x87 = x87_hash(&cpu->fx);
    o->mxcsr = cpu->fx.mxcsr;
    o->fcw = cpu->fx.fcw;
    o->fsw = cpu->fx.fsw;
    o->ftw = cpu->fx.ftw;
}

static void take_full(struct fguest *g, enum fuzz_engine e, const struct outcome *o, struct state *st)
{
    memcpy(st->r, o->r, sizeof(st->r));
    st->flags = o->flags;
    st->pc = o->pc;
    st->cr2 = o->cr2;
    st->vector = o->vector;
    st->error = o->error;
    st->f.z = g->cpu->z;
    st->f.fx = g->cpu->fx;
    memcpy(st->f.ymmh, g->cpu->ymmh, sizeof(st->f.ymmh));
    memcpy(st->data, page_of(g, e, PG_DATA0), 4096);
    memcpy(st->data + 4096, page_of(g, e, PG_DATA1), 4096);
    memcpy(st->stack, page_of(g, e, PG_STACK), 4096);
}

/* Before some sequences, always the same, the page maps forget some pages: what misses takes other ways. */
static void forget_pages(struct fguest *g, const struct seq *q)
{
    static const uint32_t at[] = { DATA_VA, DATA_VA + 4096, STACK_VA, RO_VA };
    uint64_t h = (q->r[0] ^ q->r[3] ^ q->r[5] ^ q->off) * 0x9e3779b97f4a7c15;

    if (h >> 61)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
        if (h >> (57 + i) & 1)
            tcg_mmu_flush_page(&g->cpu->tcg, at[i]);
}

void fguest_run(struct fguest *g, enum fuzz_engine e, const struct seq *q, struct outcome *o, struct state *st)
{
    struct x86_cpu *cpu = g->cpu;

    make_room(g);
    choose(g, e);
    put_state(g, q, st != NULL);
    forget_pages(g, q);
    g->hang = g->ticks = 0;
    g->running = 1;
    tcg_run(&cpu->tcg);
    g->running = 0;
    memset(o, 0, sizeof(*o));
    take_event(g, q, o);
    memcpy(o->r, cpu->tcg.regs, sizeof(o->r));
    o->flags = x86_get_eflags(cpu);
    if (q->fpu)
        take_vectors(cpu, o);
    if (st)
        take_full(g, e, o, st);
    o->mem = mem_settle(page_of(g, e, PG_DATA0), g->im->data, 4096, 0) +
             mem_settle(page_of(g, e, PG_DATA1), g->im->data + 4096, 4096, 4096) +
             mem_settle(page_of(g, e, PG_STACK), g->im->stack, 4096, DATA_BYTES);
}

void fguest_tick(struct fguest *g)
{
    if (g && g->running && ++g->ticks >= 3) {
        g->hang = 1;
        tcg_kick(&g->cpu->tcg);
    }
}

void fguest_hook(struct fguest *g, unsigned (*fn)(struct tcg_cpu *, struct ir_block *, const struct tb_key *,
                                                  unsigned, unsigned *))
{
    g->target.translate = fn;
}

/* ---- life --------------------------------------------------------------------------------- */

struct fguest *fguest_new(unsigned bits, const struct x86_model *m)
{
    struct fguest *g = xzalloc(sizeof(*g));
    struct err err;

    g->cfg = (struct tcg_config){ .backend = TCG_BACKEND_HOST, .cache_bytes = 8 * MiB };
    g->phys = (struct phys_ops){ .lookup = lookup, .mmio_read = no_mmio, .mmio_write = no_mmio_w,
                                 .n_ram_pages = RAM_PAGES, .opaque = g };
    g->bits = bits;
    g->now = -1;
    g->ram = aligned_alloc(4096, RAM_PAGES * 4096);
    memset(g->ram, 0, RAM_PAGES * 4096);
    for (unsigned e = 0; e < E_COUNT; e++)
        make_tables(g, e);
    g->target = x86_target;
    g->target.service = service;
    g->bus = (struct x86_bus){ .intr = no_intr, .tsc = tsc, .port_in = port_in, .port_out = port_out,
                               .set_ferr = set_ferr, .a20_mask = a20_mask, .opaque = g };
    g->tcg = tcg_new(&g->target, &g->cfg, &g->phys, &err);
    struct tcg_cpu *tc = g->tcg ? tcg_cpu_alloc(g->tcg, &err) : NULL;
    if (!tc) {
        fprintf(stderr, "ifuzz: %s\n", err.msg);
        return NULL;
    }
    the_guest = g;
    g->host = g->tcg->host;
    g->cpu = X86(tc);
    g->cpu->model = m;
    g->cpu->bus = &g->bus;
    start_cpu(g->cpu, bits);
    return g;
}

void fguest_free(struct fguest *g)
{
    tcg_cpu_free(&g->cpu->tcg);
    tcg_free(g->tcg);
    free(g->ram);
    free(g);
    the_guest = NULL;
}
