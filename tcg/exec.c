/*
 * exec.c - the run loop, and the life of translator and vCPUs
 */
#define _GNU_SOURCE
#include "tcg/blocks-int.h"
#include "tcg/mmu-int.h"
#include "tcg/tb-cache-int.h"
#include "tcg/trace.h"
#include <stdlib.h>
#include <sys/mman.h>

#define CPU_STACK_BYTES (512 * KiB)

/* ---- blocks that are not settled yet (smp.c) ------------------------------------------------- */

#define WAITS_HURRY 8        /* entries after which the others are asked to look */

/* Others may be writing to @ram. */
static bool bytes_differ(const uint8_t *ram, const uint8_t *was, unsigned n)
{
    while (n--)
        if (__atomic_load_n(ram++, __ATOMIC_RELAXED) != *was++)
            return true;
    return false;
}

static bool source_differs(struct tcg_cpu *cpu, const struct tb *tb, const struct tb_key *k,
                           const uint8_t *host)
{
    unsigned first = MIN(tb->len, PAGE_SIZE - tb->off);
    uint8_t *host2;

    if (bytes_differ(host + tb->off, tb->source, first))
        return true;
    if (tb->page2 == NO_PAGE)
        return false;
    uint64_t va = ((k->lin & ~(uint64_t)PAGE_MASK) + PAGE_SIZE) & cpu->va_mask;
    return mmu_exec_page(cpu, va, &host2, false) != tb->page2
           || bytes_differ(host2, tb->source + first, tb->len - first);
}

/* May @tb be entered? False: its bytes have changed; it is gone. */
static bool tb_settle(struct tcg_cpu *cpu, struct tb *tb, const struct tb_key *k, const uint8_t *host)
{
    struct tcg *t = cpu->tcg;
    bool passed = tcg_passed(t, tb->born, cpu);

    if (source_differs(cpu, tb, k, host)) {
        tcg_lock(t);
        if (!tb->dead)
            tb_drop(t, tb, TCG_DROP_CHANGED);
        tcg_unlock(t);
        return false;
    }
    if (passed) {
        __atomic_store_n(&tb->settled, true, __ATOMIC_RELEASE);
    } else {
        uint8_t waits = __atomic_load_n(&tb->waits, __ATOMIC_RELAXED);
        if (waits == WAITS_HURRY)
            smp_hurry(t, tb->born, cpu);
        __atomic_store_n(&tb->waits, waits < 255 ? waits + 1 : WAITS_HURRY, __ATOMIC_RELAXED);
    }
    return true;
}

static struct tb *tb_make_counted(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page, bool keep)
{
    enum profile_time before = profile_begin(cpu, PT_TRANSLATE);
    struct tb *tb = tb_make(cpu, k, page, keep);

    profile_end(cpu, before);
    return tb;
}

/* RAM page to execute @lin from, or NO_PAGE; without a walk when the map knows. Several vCPUs
 * want to know where it is. */
static uint32_t page_of(struct tcg_cpu *cpu, uint64_t lin, uint8_t **host)
{
    uint32_t hit = cpu->tcg->smp || !canonical(lin) ? 0 : mmu_exec_hit(cpu, lin);

    return hit ? hit - 1 : mmu_exec_page(cpu, lin, host, true);
}

/* The block for cpu->pc, @alone: without groups; NULL: an exception is pending. */
static struct tb *tb_get(struct tcg_cpu *cpu, struct tb_key *k, bool alone)
{
    uint8_t *host = NULL;
    bool keep = !cpu->restart1;
    struct tb *tb;

    cpu->tcg->target->get_key(cpu, k);
    if (alone)
        k->mode |= KEY_ALONE;
    cpu->pcbase = k->pc - (k->lin & PAGE_MASK);
    cpu->pcoff = (int32_t)(k->lin & PAGE_MASK);
    uint32_t page = page_of(cpu, k->lin, &host);
    if (cpu->exception)
        return NULL;
    if (unlikely(cpu->tcg->debug) && keep && debug_break_at(cpu->tcg, k->lin)) {
        cpu->exception = TCG_EXC_DEBUG;
        return NULL;
    }
    for (;;) {
        tb = keep && page != NO_PAGE ? tb_lookup(cpu, k, page) : NULL;
        if (!tb && !(tb = tb_make_counted(cpu, k, page, keep)))
            return NULL;
        if (!cpu->tcg->smp || tb->once || tb_is_settled(tb) || tb_settle(cpu, tb, k, host))
            return tb;
    }
}

/* ---- running -------------------------------------------------------------------------------- */

static void log_exec(struct tcg_cpu *cpu, const struct tb *tb)
{
    uint64_t lin = tb->flat ? cpu->pc : (uint32_t)(cpu->pc + tb->cs_base);
    char name[SYMBOL_CHARS];
    FILE *f;

    if (!log_in_filter(lin))
        return;
    f = log_lock();
    if (log_on(LOG_EXEC))
        fprintf(f, "Trace 0: %p [%016llx/%016llx/%08x/%08x] %s\n", (const void *)tb->code,
                (unsigned long long)tb->cs_base, (unsigned long long)lin, tb->mode, tb->n_insns,
                tcg_symbol_at(cpu->tcg, lin, name, sizeof name));
    if (log_on(LOG_CPU))
        cpu->tcg->target->log_cpu(cpu, f);
    log_unlock();
}

static inline void run_tb(struct tcg_cpu *cpu, struct tb *tb)
{
    cpu->exit_tb = NULL;
    cpu->cur_tb = tb;
    cpu->in_code = 1;
    if (cpu->tcg->host)
        cpu->tcg->host->enter(cpu, tb->code);
    else
        ir_interp(cpu, tb->ir);
    cpu->in_code = 0;
}

static void run_tb_counted(struct tcg_cpu *cpu, struct tb *tb)
{
    enum profile_time before = profile_begin(cpu, PT_CODE);
    struct profile_from from = { tb->once, tb->flat, tb->flat ? 0 : tb->cs_base };   /* it may be gone afterwards */

    if (!cpu->tcg->host)
        profile_ran(cpu, tb);
    run_tb(cpu, tb);
    profile_end(cpu, before);
    profile_left(cpu, &from);
}

/* @tb gets entry @i of some vCPU's jump cache. */
static void jc_note(struct tb *tb, unsigned i)
{
    uint16_t at = __atomic_load_n(&tb->jc_at, __ATOMIC_RELAXED);

    if (at == i)
        return;
    if (at == JC_NONE && __atomic_compare_exchange_n(&tb->jc_at, &at, (uint16_t)i, false, __ATOMIC_SEQ_CST,
                                                     __ATOMIC_RELAXED))
        return;
    if (at != i)
        __atomic_store_n(&tb->jc_more, true, __ATOMIC_SEQ_CST);
}

static void jc_fill(struct tcg_cpu *cpu, const struct tb_key *k, struct tb *tb)
{
    unsigned i = jc_index(k->lin);
    struct jump_cache_entry *j = &cpu->jc[i];

    if (tb->brk || tb_is_dead(tb) || (cpu->tcg->smp && !tb_is_settled(tb)))
        return;
    jc_note(tb, i);
    __atomic_store_n(&j->tb, tb, __ATOMIC_RELAXED);
    j->check = (tb->page + 1ull) | cpu->mode_salt | (tb->flat ? 0 : JC_SEGMENT);
    j->code = tb->code;
    if (!cpu->tcg->smp) {
        j->lin = k->lin;
        return;
    }
    /* who drops it says so first and looks here then: one of us sees the other */
    __atomic_store_n(&j->lin, k->lin, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&tb->dead, __ATOMIC_SEQ_CST))
        __atomic_store_n(&j->lin, ~0ull, __ATOMIC_RELAXED);
}

/* The short way: the jump cache, for code that is flat. */
static inline struct tb *jc_find(struct tcg_cpu *cpu)
{
    struct jump_cache_entry *j = &cpu->jc[jc_index(cpu->pc)];

    if (__atomic_load_n(&j->lin, __ATOMIC_RELAXED) != cpu->pc || j->check != (mmu_exec_hit(cpu, cpu->pc) | cpu->mode_salt)
        || j->tb->page2 != NO_PAGE)
        return NULL;
    cpu->pcbase = cpu->pc & ~(uint64_t)PAGE_MASK;
    return j->tb;
}

static inline void sync_pc(struct tcg_cpu *cpu)
{
    cpu->pc = tcg_cur_pc(cpu) & cpu->va_mask;
}

/*
 * Fewer instructions are to be executed than *@tb has: none, or the first alone. False: ask
 * service() first.
 */
static bool count_fits(struct tcg_cpu *cpu, struct tb **tb)
{
    struct tb_key k;
    uint8_t again = cpu->restart1;

    if (cpu->count_left <= 0)
        return false;
    cpu->restart1 = 1;
    *tb = tb_get(cpu, &k, false);
    cpu->restart1 = again;
    cpu->exit_tb = NULL;
    return *tb;
}

/* The jump that left the block went to no address: the fault is pending. */
static bool branch_faults(struct tcg_cpu *cpu)
{
    uint32_t b = cpu->branch;

    cpu->branch = 0;
    if (likely(canonical(cpu->pc)) || !b)
        return false;
    cpu->pcoff = (int32_t)(b >> 16);
    return cpu->tcg->target->branch_fault(cpu, (int16_t)b - BRANCH_UNCHECKED(0));
}

/* An interrupt or an exception: the block was not finished. */
static void left_within(struct tcg_cpu *cpu)
{
    if (unlikely(cpu->tcg->cfg.count) && cpu->exit_reason == TCG_EXIT_EXCEPTION)
        count_fault(cpu);
    sync_pc(cpu);
}

const uint8_t *exec_deliver(struct tcg_cpu *cpu)
{
    const struct tcg *t = cpu->tcg;
    const struct tb *tb;

    cpu->exit_reason = TCG_EXIT_EXCEPTION;
    if (!t->target->deliver || cpu->exception >= TCG_EXC_DEBUG || cpu->restart1 || unlikely(cpu->prof || log_mask))
        return NULL;
    sync_pc(cpu);
    if (!t->target->deliver(cpu))
        return NULL;
    cpu->exit_reason = TCG_EXIT_PC;
    if (!__atomic_load_n(&cpu->run, __ATOMIC_RELAXED))
        return NULL;
    tb = jc_find(cpu);
    return tb ? tb->code : NULL;
}

/* Run blocks until something asks for the target's service. */
static void run_blocks(struct tcg_cpu *cpu)
{
    struct tcg *t = cpu->tcg;
    struct tb *tb;
    bool alone = false;

    cpu->exit_tb = NULL;
    for (;;) {
        struct tb_key k;
        if (unlikely(__atomic_load_n(&t->epoch, __ATOMIC_RELAXED) != cpu->seen))
            smp_catch_up(cpu);
        tb = cpu->restart1 || alone ? NULL : jc_find(cpu);
        if (!tb) {
            enum profile_time before = profile_begin(cpu, PT_LOOKUP);
            tb = tb_get(cpu, &k, alone);
            profile_end(cpu, before);
            if (!tb)
                return;
            if (!alone && !t->cfg.before_block)
                jc_fill(cpu, &k, tb);
        }
        if (unlikely(t->cfg.count) && cpu->count_left < tb->n_insns && !count_fits(cpu, &tb))
            return;
        /* not in a variable of our own: making @tb may have flushed the cache */
        if (cpu->exit_tb && !log_on(LOG_NOCHAIN) && !t->cfg.before_block)
            tb_chain(cpu, cpu->exit_tb, cpu->exit_slot, tb);
        if (log_on(LOG_EXEC | LOG_CPU))
            log_exec(cpu, tb);
        if (unlikely(t->cfg.before_block != NULL))
            t->cfg.before_block(t->cfg.before_block_opaque, cpu, tb);
        if (likely(!cpu->prof))
            run_tb(cpu, tb);
        else
            run_tb_counted(cpu, tb);
        alone = false;
        switch (cpu->exit_reason) {
        case TCG_EXIT_NEXT:
            sync_pc(cpu);
            if (!cpu->exit_tb || cpu->restart1)
                return;
            alone = cpu->exit_tb->link[cpu->exit_slot].alone;
            break;
        case TCG_EXIT_LOOKUP:
            cpu->exit_tb = NULL;
            if (unlikely(branch_faults(cpu))) {
                cpu->exit_reason = TCG_EXIT_EXCEPTION;
                left_within(cpu);
                return;
            }
            if (cpu->restart1)
                return;
            break;
        case TCG_EXIT_PC:
            return;
        default:
            left_within(cpu);
            return;
        }
        if (unlikely(!__atomic_load_n(&cpu->run, __ATOMIC_RELAXED)))
            return;
    }
}

/* The instruction at cpu->pc again, as a block of its own. */
static void run_again(struct tcg_cpu *cpu)
{
    bool alone = cpu->exception == TCG_EXC_EXCLUSIVE;

    cpu->exception = 0;
    if (alone)
        smp_exclusive_begin(cpu);
    cpu->restart1 = 1;
    run_blocks(cpu);
    cpu->restart1 = cpu->step;
    if (alone)
        smp_exclusive_end(cpu);
}

/* An instruction is complete, or has faulted; not so when it is to be done again. */
static inline void note_step(struct tcg_cpu *cpu)
{
    if (unlikely(cpu->step) && cpu->exception != TCG_EXC_RESTART && cpu->exception != TCG_EXC_EXCLUSIVE)
        cpu->stepped = 1;
}

static bool service(struct tcg_cpu *cpu)
{
    enum profile_time before = profile_begin(cpu, PT_SERVICE);
    bool run = cpu->tcg->target->service(cpu);

    profile_end(cpu, before);
    return run;
}

void tcg_run(struct tcg_cpu *cpu)
{
    tcg_online(cpu);
    for (;;) {
        if (cpu->exception == TCG_EXC_RESTART || cpu->exception == TCG_EXC_EXCLUSIVE) {
            run_again(cpu);
            note_step(cpu);
            continue;
        }
        if (!service(cpu))
            break;
        if (cpu->exception)
            continue;
        run_blocks(cpu);
        note_step(cpu);
    }
    tcg_offline(cpu);
}

void tcg_mode_changed(struct tcg_cpu *cpu, uint32_t mode)
{
    cpu->mode_salt = (uint64_t)mode << 32;
    returns_select(cpu);
}

/* ---- life ---------------------------------------------------------------------------------------- */

struct tcg *tcg_new(const struct tcg_target *target, const struct tcg_config *c,
                    const struct phys_ops *phys, struct err *e)
{
    struct tcg *t = xzalloc(sizeof(*t));

    t->target = target;
    t->cfg = *c;
    t->phys = *phys;
    t->smp = c->n_cpus > 1;
    t->narrow = c->n_cpus > MAP_SETS_ALL || NARROW_ALWAYS;
    t->epoch = 1;
    pthread_mutex_init(&t->excl_lock, NULL);
    pthread_cond_init(&t->excl_cond, NULL);
    t->pages = xzalloc(phys->n_ram_pages * sizeof(*t->pages));
    t->work = ir_block_new();
    t->max_tbs = (uint32_t)(c->cache_bytes / 256);
    t->tbs = mmap(NULL, t->max_tbs * sizeof(*t->tbs), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    while (t->bucket_bits < 8 || (t->max_tbs >> t->bucket_bits) > TB_WAYS + 1)
        t->bucket_bits++;
    t->hash = mmap(NULL, sizeof(*t->hash) << t->bucket_bits, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    t->arena_bytes = c->backend == TCG_BACKEND_INTERP ? c->cache_bytes * 2 : c->cache_bytes;
    t->arena = mmap(NULL, t->arena_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    /* looked into at random */
    madvise(t->hash, sizeof(*t->hash) << t->bucket_bits, MADV_HUGEPAGE);
    if (t->arena == MAP_FAILED || t->tbs == MAP_FAILED || t->hash == MAP_FAILED) {
        err_set(e, -ENOMEM, "no memory for %llu MiB of translations",
                (unsigned long long)(c->cache_bytes >> 20));
        return NULL;
    }
    if (c->backend == TCG_BACKEND_HOST && !(t->host = host_code_here(e)))
        return NULL;
    if (profile_init(t, e) || perf_open(t, e))
        return NULL;
    if (t->host && (cache_init(&t->cache, c->cache_bytes, c->perf_map, e) || t->host->init(t, e)))
        return NULL;
    if (t->perf)
        perf_thunks(t);
    if (c->tb_cache && tb_cache_open(t, e)) {
        tcg_free(t);
        return NULL;
    }
    return t;
}

void tcg_free(struct tcg *t)
{
    tb_cache_close(t);
    cache_free(&t->cache);
    munmap(t->arena, t->arena_bytes);
    munmap(t->hash, sizeof(*t->hash) << t->bucket_bits);
    munmap(t->tbs, t->max_tbs * sizeof(*t->tbs));
    free(t->host_priv);
    perf_close(t);
    ir_block_free(t->work);
    profile_free(t);
    free(t->pages);
    free(t->debug);
    free(t);
}

struct tcg_cpu *tcg_cpu_alloc(struct tcg *t, struct err *e)
{
    size_t bytes = profile_runs_offset(t) + profile_runs_bytes(t);
    uint8_t *p = mmap(NULL, PAGE_SIZE + CPU_STACK_BYTES + bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        err_set(e, -ENOMEM, "no memory for a vCPU");
        return NULL;
    }
    mprotect(p, PAGE_SIZE, PROT_NONE);   /* below the stack of translated code */
    struct tcg_cpu *cpu = (struct tcg_cpu *)(p + PAGE_SIZE + CPU_STACK_BYTES);
    cpu->tcg = t;
    cpu->slow = (struct tcg_slow *)cpu->slow_area;
    cpu->va_mask = ~0ull;
    cpu->map_mask = t->narrow ? NARROW_MASK : MAP_MASK;
    cpu->jc = (struct jump_cache_entry *)((char *)cpu + jc_offset(t));
    jc_clear(cpu);
    if (tcg_mmu_init(cpu, &t->phys, e)) {
        tcg_cpu_free(cpu);
        return NULL;
    }
    if (returns_new(cpu)) {
        err_set(e, -ENOMEM, "no memory for return addresses");
        tcg_cpu_free(cpu);
        return NULL;
    }
    cpu->seen = TCG_OFFLINE;
    profile_cpu_init(cpu);
    if (t->smp || t->tb_cache)
        cpu->own_source = xmalloc(sizeof(*cpu->own_source));
    cpu->next = t->cpus;
    t->cpus = cpu;
    return cpu;
}

void tcg_cpu_free(struct tcg_cpu *cpu)
{
    size_t bytes = profile_runs_offset(cpu->tcg) + profile_runs_bytes(cpu->tcg);

    tcg_mmu_free(cpu);
    returns_free(cpu);
    profile_cpu_free(cpu);
    free(cpu->own_source);
    for (struct tcg_cpu **pp = &cpu->tcg->cpus; *pp; pp = &(*pp)->next)
        if (*pp == cpu) {
            *pp = cpu->next;
            break;
        }
    munmap((uint8_t *)cpu - CPU_STACK_BYTES - PAGE_SIZE, PAGE_SIZE + CPU_STACK_BYTES + bytes);
}

const struct tcg_stats *tcg_get_stats(struct tcg *t)
{
    t->stats.lookups = 0;
    for (const struct tcg_cpu *cpu = t->cpus; cpu; cpu = cpu->next)
        t->stats.lookups += __atomic_load_n(&cpu->lookups, __ATOMIC_RELAXED);
    return &t->stats;
}
