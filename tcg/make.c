/*
 * make.c - making blocks: guest bytes to IR to host code, under tcg_lock()
 */
#include "tcg/blocks-int.h"
#include "tcg/tb-cache-int.h"
#include "tcg/trace.h"
#include <stdlib.h>

#define MAX_BLOCK_INSNS 64
#define MAX_INSN_BYTES 15

/* ---- what is logged ------------------------------------------------------------------------ */

static void log_ir(const struct ir_block *b, const struct tb_key *k, const char *what)
{
    FILE *f = log_lock();

    fprintf(f, "%s: pc=%#llx mode=%#x\n", what, (unsigned long long)k->pc, k->mode);
    ir_dump(b, f);
    log_unlock();
}

const char *tcg_symbol_at(const struct tcg *t, uint64_t lin, char *buf, size_t size)
{
    uint64_t start = 0;
    const char *name = guest_symbols_find(t->cfg.symbols, lin, &start);

    if (name && start == lin)
        snprintf(buf, size, "%s", name);
    else
        snprintf(buf, size, name ? "%s+%#llx" : "", name, (unsigned long long)(lin - start));
    return buf;
}

static void log_guest_code(struct tcg_cpu *cpu, const struct tb_key *k, unsigned len)
{
    uint8_t buf[1024];
    unsigned n = tcg_fetch(cpu, k->lin, buf, MIN(len, sizeof(buf)), false);
    char name[SYMBOL_CHARS];
    FILE *f = log_lock();

    fprintf(f, "----------------\nIN: %s\n", tcg_symbol_at(cpu->tcg, k->lin, name, sizeof name));
    tcg_disas(f, buf, n, k->lin, cpu->tcg->target->disas_bits(k));
    fputc('\n', f);
    log_unlock();
}

void tcg_list_host_code(const struct tb *tb, FILE *f)
{
    fprintf(f, "OUT: [size=%u]\n", tb->code_len + tb->cold_len);
    tcg_disas(f, tb->code, tb->code_len, (uintptr_t)tb->code, 0);
    if (tb->cold_len) {
        fprintf(f, "  -- out of line\n");
        tcg_disas(f, tb->cold, tb->cold_len, (uintptr_t)tb->cold, 0);
    }
    fputc('\n', f);
}

static void log_host_code(const struct tb *tb)
{
    tcg_list_host_code(tb, log_lock());
    log_unlock();
}

/* ---- making ------------------------------------------------------------------------------ */

/* Keep just as much of the work block as it holds, for the interpreter. */
static struct ir_block *keep_ir(struct tcg *t, const struct ir_block *b)
{
    struct ir_block *k = tcg_arena(t, sizeof(*k));
    size_t n = b->n_ops * sizeof(*b->ops), nv = b->n_vec * sizeof(*b->vec);
    struct ir_op *ops = k ? tcg_arena(t, n) : NULL;
    struct ir_vec *vec = ops ? tcg_arena(t, nv + 1) : NULL;

    if (!vec)
        return NULL;
    *k = *b;
    k->ops = memcpy(ops, b->ops, n);
    k->vec = memcpy(vec, b->vec, nv);
    return k;
}

static bool build_code(struct tcg *t, struct tb *tb, struct ir_block *b)
{
    if (t->host)
        return t->host->compile(t, tb, b);
    ir_find_labels(b);
    tb->ir = keep_ir(t, b);
    return tb->ir != NULL;
}

static void check_ir(const struct ir_block *b, const char *when)
{
#ifdef CONFIG_DEBUG
    const char *why = ir_verify(b);
    if (why) {
        FILE *f = log_lock();
        fprintf(f, "IR is wrong %s: %s\n", when, why);
        ir_dump(b, f);
        log_unlock();
        abort();
    }
#endif
}

/*
 * Guest code to IR; returns guest bytes, 0 when the first fetch faults. When a
 * block is too much for the work area it is made again with fewer instructions.
 */
static unsigned make_ir(struct tcg_cpu *cpu, const struct tb_key *k, unsigned max, bool group,
                        unsigned *n_insns)
{
    struct tcg *t = cpu->tcg;
    struct ir_block *b = t->work;
    unsigned len;

    for (;; max = MAX(*n_insns / 2, 1u)) {
        ir_begin(b, t->target);
        b->pc32 = k->pc_bytes < 8;
        *n_insns = max;
        len = t->target->translate(cpu, b, k, max, n_insns);
        if (t->cfg.count && len)
            count_head(t, b, *n_insns, (int64_t)(k->lin & PAGE_MASK));
        if (!len || !b->overflow)
            break;
        assert(max > 1);
    }
    if (!len)
        return 0;
    if (log_on(LOG_IN_ASM) && log_in_filter(k->lin))
        log_guest_code(cpu, k, len);
    if (log_on(LOG_OP) && log_in_filter(k->lin))
        log_ir(b, k, "OP");
    check_ir(b, "after translation");
    ir_optimise(b, t->cfg.optimise, group);
    check_ir(b, "after optimisation");
    if (log_on(LOG_OP_OPT) && log_in_filter(k->lin))
        log_ir(b, k, "OP after optimization");
    if (t->cfg.bug && t->host)
        ir_seed_bug(b, t->cfg.bug);
    return len;
}

void tcg_list_block(struct tcg_cpu *cpu, const struct tb *tb, uint64_t pcbase)
{
    struct tb_key k = { .pc = pcbase + tb->off, .cs_base = tb->cs_base, .cs_limit = tb->cs_limit,
                        .mode = tb->mode, .flat = tb->flat, .pc_bytes = 8 };
    uint32_t mask = log_mask;
    unsigned n;

    k.lin = k.pc + (tb->flat ? 0 : tb->cs_base);
    log_mask = LOG_IN_ASM | LOG_OP | LOG_OP_OPT;
    tcg_lock(cpu->tcg);
    (void)make_ir(cpu, &k, tb->n_insns, false, &n);
    tcg_unlock(cpu->tcg);
    log_mask = mask;
}

/* RAM page of what follows the page of @k; NO_PAGE: not there. */
static uint32_t next_page(struct tcg_cpu *cpu, const struct tb_key *k)
{
    uint64_t va = ((k->lin & ~(uint64_t)PAGE_MASK) + PAGE_SIZE) & cpu->va_mask;
    uint8_t *host;

    return mmu_exec_page(cpu, va, &host, false);
}

/* A block struct for @k; NULL: the arena is full. @keep: will it be found again? */
static struct tb *tb_new(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page, unsigned len,
                         unsigned n_insns, unsigned n_links, bool keep)
{
    struct tcg *t = cpu->tcg;
    size_t bytes = sizeof(struct tb) + n_links * sizeof(struct tb_link);
    struct tb *tb;

    t->arena_used = align_up(t->arena_used, TB_ALIGN);
    tb = t->n_tbs < t->max_tbs ? tcg_arena(t, bytes) : NULL;
    if (!tb)
        return NULL;
    *tb = (struct tb){ .n_links = (uint8_t)n_links };
    for (unsigned i = 0; i < n_links; i++)
        tb->link[i] = (struct tb_link){ 0 };
    tb->pcbase = k->pc - (k->lin & PAGE_MASK);
    tb->cs_base = k->cs_base;
    tb->cs_limit = k->cs_limit;
    tb->mode = k->mode;
    tb->flat = k->flat;
    tb->page = page;
    tb->page2 = NO_PAGE;
    tb->off = k->lin & PAGE_MASK;
    tb->len = (uint16_t)len;
    tb->n_insns = (uint16_t)n_insns;
    tb->once = !keep || page == NO_PAGE;
    tb->place = t->n_tbs;
    tb->jc_at = JC_NONE;
    tb->brk = tcg_break_offset(t, k->lin & PAGE_MASK);
    if (!tb->once && tb->off + len > PAGE_SIZE) {
        tb->page2 = cpu->source ? cpu->source->page2 : next_page(cpu, k);
        if (tb->page2 == NO_PAGE || tb->page2 == page) {
            tb->once = true;
            tb->page2 = NO_PAGE;
        }
    }
    return tb->once || tb_pages_ready(t, tb) ? tb : NULL;
}

/* Keep the bytes a block was made from, to be compared until it is settled, and for its image. */
static bool keep_source(struct tcg_cpu *cpu, struct tb *tb)
{
    uint8_t *p;

    if (!cpu->source || tb->once)
        return true;
    p = tcg_arena(cpu->tcg, tb->len);
    tb->source = p ? memcpy(p, cpu->source->buf, tb->len) : NULL;
    return p;
}

static void tb_log(struct tcg *t, const struct tb *tb, const struct tb_key *k)
{
    if (t->perf)
        perf_block(t, tb, k->lin);
    if (log_on(LOG_OUT_ASM) && t->host && log_in_filter(k->lin))
        log_host_code(tb);
}

/* Are a block's bytes fetched before it is made? With several vCPUs; and what is kept in a file is known by the very
 * bytes that were translated. */
static bool fetches_first(const struct tcg *t) { return t->smp || t->tb_cache; }

/*
 * Fetch the bytes that a block at @k may be made from. With several vCPUs this comes
 * before the lock: page tables or code may lie in a device.
 */
static void source_fill(struct tcg_cpu *cpu, const struct tb_key *k, bool in_ram)
{
    struct tcg_source *s = cpu->own_source;
    unsigned left = PAGE_SIZE - (k->lin & PAGE_MASK);
    unsigned want = MIN(left, in_ram ? SOURCE_BYTES - MAX_INSN_BYTES : MAX_INSN_BYTES);

    *s = (struct tcg_source){ .lin = k->lin, .page2 = NO_PAGE };   /* buf: about as cheap as not */
    s->have = tcg_fetch(cpu, k->lin, s->buf, want, false);
    if (s->have == left && left < MAX_INSN_BYTES) {
        s->page2 = next_page(cpu, k);
        s->have += tcg_fetch(cpu, (k->lin + left) & cpu->va_mask, s->buf + left, MAX_INSN_BYTES, false);
    }
    cpu->source = s;
}

/* The decoder wanted bytes that could not be had: raise the fault that is the reason. */
static void source_fault(struct tcg_cpu *cpu, const struct tb_key *k)
{
    unsigned left = PAGE_SIZE - (k->lin & PAGE_MASK);
    uint8_t b;

    if (tcg_fetch(cpu, k->lin, &b, 1, true) && left < MAX_INSN_BYTES)
        (void)!tcg_fetch(cpu, (k->lin + left) & cpu->va_mask, &b, 1, true);
}

/* Accesses may share address translations, unless this is the way out of where they cannot,
 * or every instruction is to be accounted for. */
static bool groups_wanted(const struct tcg *t, const struct tb_key *k, bool keep)
{
    return t->host && keep && !t->cfg.count && !(k->mode & KEY_ALONE) && !log_on(LOG_EXEC | LOG_CPU | LOG_NOCHAIN);
}

/* One attempt, under the lock. *@len 0: nothing to make it from; else NULL: no room. */
static struct tb *tb_build(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page, bool keep,
                           unsigned max, unsigned *n, unsigned *len)
{
    struct tcg *t = cpu->tcg;
    struct tb *tb;

    *len = make_ir(cpu, k, max, groups_wanted(t, k, keep), n);
    if (!*len)
        return NULL;
    if (unlikely(cpu->stored_self) && !keep && page != NO_PAGE && (k->lin & PAGE_MASK) + *len < PAGE_SIZE)
        tb_end_at(t, page, (k->lin & PAGE_MASK) + *len);
    cpu->stored_self = 0;
    tb = tb_new(cpu, k, page, *len, *n, t->work->n_exits, keep);
    if (!tb || !keep_source(cpu, tb) || (t->cfg.count && !count_keep(cpu, tb, t->work, k->lin))
        || !build_code(t, tb, t->work))
        return NULL;
    if (t->cfg.before_block) {
        tb->undefined_fl = ir_undefined_flags(t->work);
        tb->has_vectors = ir_has_vectors(t->work);
    }
    t->stats.translations++;
    t->stats.guest_bytes += *len;
    t->stats.host_bytes += tb->code_len + tb->cold_len;
    t->stats.cold_bytes += tb->cold_len;
    if (t->profile)
        profile_translated(cpu, tb, k->lin);
    return tb;
}

/* Likewise, from an image. */
static struct tb *tb_take(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page, const struct tb_image *im)
{
    struct tcg *t = cpu->tcg;
    struct tb *tb = tb_new(cpu, k, page, im->len, im->n_insns, im->n_links, true);

    if (!tb || !keep_source(cpu, tb) || !t->host->unpack(t, tb, im))
        return NULL;
    t->stats.taken++;
    t->stats.taken_bytes += im->len;
    return tb;
}

/* @tb is complete: from now on it is found. */
static void tb_publish(struct tcg *t, struct tb *tb, const struct tb_key *k)
{
    tb_log(t, tb, k);
    t->tbs[t->n_tbs] = tb;
    __atomic_store_n(&t->n_tbs, t->n_tbs + 1, __ATOMIC_RELEASE);
    if (tb->once)
        tb->dead = true;     /* never found, never chained */
    else
        tb_enlist(t, tb);
}

/* The block from the cache file, or else a new one; @len and NULL as in tb_build(). */
static struct tb *tb_obtain(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page, bool keep, unsigned max,
                            unsigned *n, unsigned *len)
{
    struct tcg *t = cpu->tcg;
    const struct tb_image *im = t->tb_cache && keep && page != NO_PAGE ? tb_cache_find(cpu, k, page) : NULL;
    struct tb *tb;

    arena_ready((uint8_t *)t->arena, &t->arena_ready, t->arena_used, t->arena_bytes);
    if (t->host)
        cache_ready(&t->cache);
    if (im) {
        *n = im->n_insns;
        *len = im->len;
        tb = tb_take(cpu, k, page, im);
    } else {
        tb = tb_build(cpu, k, page, keep, max, n, len);
    }
    if (tb)
        tb_publish(t, tb, k);
    return tb;
}

/* Start over with an empty cache, unless somebody else just has. */
static void make_room(struct tcg_cpu *cpu, uint32_t generation)
{
    struct tcg *t = cpu->tcg;
    bool alone = cpu->exclusive;

    if (!alone)
        smp_exclusive_begin(cpu);
    if (t->generation == generation)
        tcg_flush_all(t, TCG_FLUSH_FULL);
    if (!alone)
        smp_exclusive_end(cpu);
}

/* Before the bytes of @page are read: see tcg_may_hold_code(). */
static void say_making(struct tcg *t, uint32_t page)
{
    __atomic_store_n(&t->making, page == NO_PAGE ? MAKING_ANY : page + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

struct tb *tb_make(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page, bool keep)
{
    struct tcg *t = cpu->tcg;
    unsigned n, max = keep && !t->cfg.one_insn ? MAX_BLOCK_INSNS : 1, len;
    bool fetched = fetches_first(t);
    struct tb *tb;

    for (int attempt = 0;; attempt++) {
        if (!t->smp)
            say_making(t, page);
        if (fetched)
            source_fill(cpu, k, page != NO_PAGE);
        tcg_lock(t);
        uint32_t generation = t->generation;
        tb = t->smp && keep && page != NO_PAGE ? tb_made(t, k, page, cpu->source->page2) : NULL;
        if (t->smp)
            say_making(t, page);
        if (!tb)
            tb = tb_obtain(cpu, k, page, keep, max, &n, &len);
        __atomic_store_n(&t->making, 0, __ATOMIC_RELEASE);
        tcg_unlock(t);
        cpu->source = NULL;
        if (tb)
            break;
        if (!len && fetched && !cpu->exception)
            source_fault(cpu, k);
        if (!len && (cpu->exception || !fetched))
            return NULL;
        if (!len)            /* another vCPU has mapped it meanwhile */
            continue;
        if (attempt) {       /* more code than the back end takes in one block */
            assert(n > 1);
            max = n / 2;
        }
        make_room(cpu, generation);
    }
    smp_take_protected(cpu);
    return tb;
}
