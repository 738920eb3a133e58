/*
 * smp.c - several vCPUs: epochs, pages leaving write maps, exclusive sections, blocks
 * that are compared with memory until nobody can have stored to them unnoticed
 */
#include <pthread.h>
#include "tcg/tcg-int.h"
#include "tests/tcg/rig.h"

#define N_CPUS 3

/* A guest whose every block is one byte of code: cpu->extra[0] = that byte, then an exit. */
struct smp_rig {
    struct rig r;
    struct tcg_target target;
    struct rig_cpu *cpu[N_CPUS];
    unsigned steps;           /* blocks until service() says stop */
};

static unsigned byte_translate(struct tcg_cpu *cpu, struct ir_block *b, const struct tb_key *k,
                               unsigned max, unsigned *n)
{
    uint8_t code;

    ir_begin(b, cpu->tcg->target);
    *n = 1;
    if (!tcg_fetch(cpu, k->lin, &code, 1, true))
        return 0;
    ir_insn(b, k->lin & 4095, 1);
    ir_stei(b, 8, offsetof(struct rig_cpu, extra), code);
    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, (k->lin & 4095) + 1);
    return 1;
}

static void byte_key(struct tcg_cpu *cpu, struct tb_key *k)
{
    *k = (struct tb_key){ .pc = cpu->pc, .lin = cpu->pc, .flat = true, .pc_bytes = 8 };
}

/* Every second call stops, so tcg_run() runs blocks once: EXIT leaves run_blocks(). */
static bool one_block(struct tcg_cpu *cpu)
{
    uint64_t *calls = &((struct rig_cpu *)cpu)->extra[1];

    return (*calls)++ % 2 == 0;
}

static struct smp_rig *smp_new(void)
{
    struct smp_rig *s = xzalloc(sizeof *s);
    struct phys_ops phys = { .lookup = rig_lookup, .mmio_read = rig_mmio_read,
                             .mmio_write = rig_mmio_write, .n_ram_pages = RIG_PAGES, .opaque = &s->r };
    struct tcg_config cfg = { .backend = TCG_BACKEND_INTERP, .cache_bytes = 1 << 20, .n_cpus = N_CPUS };
    struct err e;

    s->target = rig_target;
    s->target.translate = byte_translate;
    s->target.get_key = byte_key;
    s->target.service = one_block;
    s->r.ram = aligned_alloc(4096, RIG_BYTES);
    memset(s->r.ram, 0, RIG_BYTES);
    s->r.tcg = tcg_new(&s->target, &cfg, &phys, &e);
    cr_assert(s->r.tcg, "%s", e.msg);
    for (unsigned i = 0; i < N_CPUS; i++) {
        s->cpu[i] = (struct rig_cpu *)tcg_cpu_alloc(s->r.tcg, &e);
        cr_assert(s->cpu[i], "%s", e.msg);
        s->cpu[i]->tcg.run = 1;
    }
    return s;
}

static void smp_free(struct smp_rig *s)
{
    for (unsigned i = 0; i < N_CPUS; i++)
        tcg_cpu_free(&s->cpu[i]->tcg);
    tcg_free(s->r.tcg);
    free(s->r.ram);
    free(s);
}

/* What the code byte at @pc does on vCPU @n. */
static uint64_t execute(struct smp_rig *s, unsigned n, uint64_t pc)
{
    struct tcg_cpu *c = &s->cpu[n]->tcg;

    c->pc = pc;
    c->run = 0;              /* back after the block */
    s->cpu[n]->extra[0] = ~0ull;
    tcg_run(c);
    return s->cpu[n]->extra[0];
}

Test(smp, an_epoch_is_passed_by_who_looks_and_who_is_away)
{
    struct smp_rig *s = smp_new();
    struct tcg_cpu *a = &s->cpu[0]->tcg, *b = &s->cpu[1]->tcg;
    uint64_t e = tcg_epoch(s->r.tcg);

    cr_assert(tcg_passed(s->r.tcg, e, NULL), "all are offline");
    tcg_online(a);
    tcg_online(b);
    e = tcg_epoch(s->r.tcg);
    cr_assert_not(tcg_passed(s->r.tcg, e, a));
    smp_catch_up(b);
    cr_assert(tcg_passed(s->r.tcg, e, a));
    cr_assert_not(tcg_passed(s->r.tcg, e, NULL));
    tcg_offline(a);
    cr_assert(tcg_passed(s->r.tcg, e, NULL));
    smp_free(s);
}

Test(smp, hurry_kicks_only_the_late)
{
    struct smp_rig *s = smp_new();
    struct tcg_cpu *a = &s->cpu[0]->tcg, *b = &s->cpu[1]->tcg;

    tcg_online(a);
    tcg_online(b);
    uint64_t e = tcg_epoch(s->r.tcg);
    smp_catch_up(a);
    smp_hurry(s->r.tcg, e, NULL);
    cr_assert_eq(a->run, 1);
    cr_assert_eq(b->run, 0);
    cr_assert_eq(s->cpu[2]->tcg.run, 1, "it is offline");
    smp_free(s);
}

Test(smp, a_page_with_code_leaves_every_write_map)
{
    struct smp_rig *s = smp_new();
    struct tcg_cpu *b = &s->cpu[1]->tcg;

    tcg_online(b);
    cr_assert(tcg_store(b, 0x2000, 4, 1));
    cr_assert_neq(tcg_host_page(b, 0x2000, ACC_WRITE), NULL);
    execute(s, 0, 0x2100);
    smp_catch_up(b);
    cr_assert_null(tcg_host_page(b, 0x2000, ACC_WRITE), "still writable past the slow path");
    smp_free(s);
}

Test(smp, stores_drop_blocks_by_units_of_8_bytes)
{
    static const uint64_t code[] = { 0x2104, 0x2105, 0x2114, 0x2fff, 0x2000 };
    static const struct { uint64_t at; unsigned drops; } stores[] = {
        { 0x20fc, 0 }, { 0x2108, 0 }, { 0x2110, 1 }, { 0x2114, 1 }, { 0x211c, 1 }, { 0x2100, 3 }, { 0x2104, 3 },
        { 0x2008, 3 }, { 0x2ff4, 3 }, { 0x2ff8, 4 }, { 0x2000, 5 }, { 0x2ffc, 5 },
    };
    struct smp_rig *s = smp_new();
    const uint64_t *drops = &s->r.tcg->stats.dropped[TCG_DROP_STORE];

    for (unsigned i = 0; i < ARRAY_SIZE(code); i++)
        execute(s, 0, code[i]);
    tcg_online(&s->cpu[0]->tcg);
    for (unsigned i = 0; i < ARRAY_SIZE(stores); i++) {
        cr_assert(tcg_store(&s->cpu[0]->tcg, stores[i].at, 4, 1));
        cr_assert_eq(*drops, stores[i].drops, "store %u: %llu", i, (unsigned long long)*drops);
    }
    cr_assert_eq(s->r.tcg->pages[2].code_bits, 0);
    tcg_offline(&s->cpu[0]->tcg);
    smp_free(s);
}

/* More than a bucket of the hash holds are among them. */
Test(smp, every_block_is_found_again_or_gone)
{
    enum { N = 1800, AT = 0x1000 };
    struct smp_rig *s = smp_new();
    const struct tcg_stats *st = &s->r.tcg->stats;
    struct tb_bucket *full = NULL;

    for (unsigned i = 0; i < N; i++) {
        s->r.ram[AT + i * 8] = (uint8_t)(i * 7);
        cr_assert_eq(execute(s, 0, AT + i * 8), (uint8_t)(i * 7));
    }
    for (unsigned i = 0; i < 1u << s->r.tcg->bucket_bits; i++)
        if (s->r.tcg->hash[i].more)
            full = &s->r.tcg->hash[i];
    cr_assert(full, "no bucket is full");
    cr_assert_eq(st->translations, N);
    for (unsigned i = 0; i < N; i++)
        execute(s, 0, AT + i * 8);
    cr_assert_eq(st->translations, N, "not found again");
    tcg_online(&s->cpu[0]->tcg);
    for (unsigned i = 0; i < N; i += 2)
        cr_assert(tcg_store(&s->cpu[0]->tcg, AT + i * 8, 1, i & 0xff));
    tcg_offline(&s->cpu[0]->tcg);
    for (unsigned i = 0; i < N; i++)
        cr_assert_eq(execute(s, 0, AT + i * 8), (uint8_t)(i % 2 ? i * 7 : i), "block %u", i);
    cr_assert_eq(st->translations, N + N / 2);
    cr_assert_eq(st->flushes, 0);
    smp_free(s);
}

static void count_note(void *opaque, uint32_t page)
{
    ((struct rig *)opaque)->cpu->extra[2] += page == 2;
}

/* Stores to page 2, which holds code at 0x2100; whether each makes note_write() hear of the page. */
static uint64_t notes_of_store(struct smp_rig *s, uint64_t va, uint64_t v)
{
    struct tcg_cpu *c = &s->cpu[0]->tcg;
    uint64_t before = s->cpu[0]->extra[2], got;

    cr_assert(tcg_store(c, va, 4, v));
    cr_assert(tcg_load(c, va, 4, &got));
    cr_assert_eq(got, v);
    return s->cpu[0]->extra[2] - before;
}

Test(smp, stores_beside_code_are_remembered_until_watched)
{
    struct smp_rig *s = smp_new();
    struct tcg_cpu *c = &s->cpu[0]->tcg;
    bool remembers = TCG_FLAT_MAPS && !c->mmu->narrow;

    s->r.cpu = s->cpu[0];
    s->r.tcg->phys.note_write = count_note;
    execute(s, 0, 0x2100);
    tcg_online(c);
    cr_assert_eq(notes_of_store(s, 0x2000, 1), 1);
    cr_assert_eq(notes_of_store(s, 0x2004, 2), !remembers);
    tcg_mmu_watch(c, 2, 1, (const uint8_t[]){ 0 });
    cr_assert_eq(notes_of_store(s, 0x2000, 3), 1, "not forgotten when the page was watched");
    tcg_mmu_flush_page(c, 0x2000);
    cr_assert_eq(notes_of_store(s, 0x2000, 4), 1, "not forgotten by INVLPG");
    tcg_mmu_flush(c, true);
    cr_assert_eq(notes_of_store(s, 0x2000, 5), 1, "not forgotten by a flush");
    cr_assert_null(tcg_host_page(c, 0x2000, ACC_WRITE), "code is there");
    /* the code is gone: the page goes into the write map */
    cr_assert_eq(notes_of_store(s, 0x2100, 6), !remembers);
    notes_of_store(s, 0x2000, 7);
    cr_assert_neq(tcg_host_page(c, 0x2000, ACC_WRITE), NULL);
    tcg_mmu_watch(c, 2, 1, (const uint8_t[]){ 0 });
    cr_assert_eq(notes_of_store(s, 0x2000, 8), 1, "write word left when the page was watched");
    /* and out of it when there is code again */
    tcg_offline(c);
    cr_assert_eq(execute(s, 0, 0x2100), 6);
    tcg_online(c);
    cr_assert_null(tcg_host_page(c, 0x2000, ACC_WRITE), "write word left for a page with code");
    tcg_mmu_flush_page(c, 0x2000);
    notes_of_store(s, 0x2100, 9);
    cr_assert_eq(execute(s, 0, 0x2100), 9);
    tcg_offline(c);
    smp_free(s);
}

Test(smp, more_pages_than_the_ring_holds)
{
    struct smp_rig *s = smp_new();
    struct tcg_cpu *b = &s->cpu[1]->tcg;

    tcg_online(b);
    cr_assert(tcg_store(b, 0x2000, 4, 1));
    execute(s, 0, 0x2100);
    for (unsigned i = 0; i < PROTECTED_RING + 10; i++)
        smp_protect(s->r.tcg, 5);
    tcg_epoch(s->r.tcg);
    smp_catch_up(b);
    cr_assert_null(tcg_host_page(b, 0x2000, ACC_WRITE), "lost with the ring");
    smp_free(s);
}

Test(smp, a_store_under_way_is_noticed)
{
    struct smp_rig *s = smp_new();
    struct tcg_cpu *b = &s->cpu[1]->tcg;

    tcg_online(b);           /* in a block, with the host address already at hand */
    uint8_t *at = tcg_host_page(b, 0x3000, ACC_WRITE);
    cr_assert_not_null(at);
    cr_assert_eq(execute(s, 0, 0x3000), 0);
    cr_assert_eq(execute(s, 0, 0x3000), 0);
    *at = 7;                 /* lands behind everybody's back */
    cr_assert_eq(execute(s, 0, 0x3000), 7);
    cr_assert_eq(tcg_get_stats(s->r.tcg)->invalidations, 1);
    smp_catch_up(b);
    cr_assert_eq(execute(s, 0, 0x3000), 7);
    *at = 9;                 /* nobody could: now the block is believed */
    cr_assert_eq(execute(s, 0, 0x3000), 7);
    cr_assert(tcg_store(b, 0x3000, 1, 11));
    cr_assert_eq(execute(s, 0, 0x3000), 11);
    smp_free(s);
}

Test(smp, vcpus_share_translations)
{
    struct smp_rig *s = smp_new();

    execute(s, 0, 0x4000);
    execute(s, 1, 0x4000);
    execute(s, 2, 0x4000);
    cr_assert_eq(tcg_get_stats(s->r.tcg)->translations, 1);
    tcg_invalidate_phys(s->r.tcg, 4, 0, 1);
    execute(s, 1, 0x4000);
    cr_assert_eq(tcg_get_stats(s->r.tcg)->translations, 2);
    smp_free(s);
}

Test(smp, only_many_vcpus_need_to_be_alone)
{
    struct rig *one = rig_new();
    struct smp_rig *s = smp_new();

    cr_assert_not(tcg_need_exclusive(&one->cpu->tcg));
    cr_assert(tcg_need_exclusive(&s->cpu[0]->tcg));
    cr_assert_eq(s->cpu[0]->tcg.exception, TCG_EXC_EXCLUSIVE);
    rig_free(one);
    smp_free(s);
}

/* ---- with threads -------------------------------------------------------------------- */

#define ROUNDS 300
struct worker {
    struct smp_rig *s;
    unsigned n;
    pthread_t thread;
};
static unsigned inside, guarded;   /* by exclusive sections only */

static void *alone_and_not(void *opaque)
{
    struct worker *w = opaque;
    struct tcg_cpu *c = &w->s->cpu[w->n]->tcg;

    tcg_online(c);
    for (unsigned i = 0; i < ROUNDS; i++) {
        smp_catch_up(c);
        if (i % 3 != w->n)
            continue;
        smp_exclusive_begin(c);
        cr_assert_eq(inside++, 0);
        guarded++;
        inside--;
        smp_exclusive_end(c);
    }
    tcg_offline(c);
    return NULL;
}

static void *makes_blocks(void *opaque)
{
    struct worker *w = opaque;

    for (unsigned i = 0; i < ROUNDS; i++)
        cr_assert_eq(execute(w->s, w->n, 0x5000 + i % 64), 0);
    return NULL;
}

static void with_threads(struct smp_rig *s, void *(*fn)(void *))
{
    struct worker w[N_CPUS];

    for (unsigned i = 0; i < N_CPUS; i++) {
        w[i].s = s;
        w[i].n = i;
        cr_assert_eq(pthread_create(&w[i].thread, NULL, fn, &w[i]), 0);
    }
    for (unsigned i = 0; i < N_CPUS; i++)
        pthread_join(w[i].thread, NULL);
}

Test(smp, exclusive_sections_exclude, .timeout = 300)
{
    struct smp_rig *s = smp_new();

    inside = guarded = 0;
    with_threads(s, alone_and_not);
    cr_assert_eq(guarded, ROUNDS);
    smp_free(s);
}

Test(smp, threads_share_translations, .timeout = 300)
{
    struct smp_rig *s = smp_new();

    with_threads(s, makes_blocks);
    cr_assert_eq(tcg_get_stats(s->r.tcg)->translations, 64);
    smp_free(s);
}
