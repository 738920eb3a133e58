/*
 * exec.c - blocks: finding, making, chaining and dropping them; the run loop
 *
 * A block is known by the RAM page and offset of its first byte and by the mode
 * bits; where the code segment is not flat also by its base, limit and pcbase.
 * Chained jumps and the jump cache only ever shorten that look-up.
 *
 * Making, chaining and dropping want tcg_lock(); look-ups do without: see smp.c.
 */
#define _GNU_SOURCE
#include "tcg/tcg-int.h"
#include "tcg/mmu-int.h"
#include "tcg/trace.h"
#include <stdlib.h>
#include <sys/mman.h>

#define CPU_STACK_BYTES (512 * KiB)
#define MAX_BLOCK_INSNS 64
#define MAX_INSN_BYTES 15

/* ---- memory that lives until the next flush -------------------------------- */

void *tcg_arena(struct tcg *t, size_t bytes)
{
    bytes = align_up(bytes, 16);
    if (t->arena_used + bytes > t->arena_bytes)
        return NULL;
    void *p = t->arena + t->arena_used;
    t->arena_used += bytes;
    return p;
}

/* ---- look-up ------------------------------------------------------------------ */

static inline unsigned tb_hash(uint32_t page, unsigned off, uint32_t mode)
{
    uint64_t h = ((uint64_t)page << 12 | off) * 0x9e3779b97f4a7c15ull;
    return (unsigned)((h >> 40) ^ (mode * 0x9e3779b1u >> 12)) & ((1u << TB_HASH_BITS) - 1);
}

static inline bool tb_matches(const struct tb *tb, const struct tb_key *k, uint32_t page)
{
    if (tb->page != page || tb->off != (k->lin & PAGE_MASK) || tb->mode != k->mode
        || tb->flat != k->flat)
        return false;
    return k->flat || (tb->pcbase == k->pc - (k->lin & PAGE_MASK)
                       && tb->cs_base == k->cs_base && tb->cs_limit == k->cs_limit);
}

/* The second page of a block must still be the one it was made from. */
static bool tb_page2_ok(struct tcg_cpu *cpu, const struct tb *tb, const struct tb_key *k)
{
    uint8_t *host;

    if (tb->page2 == NO_PAGE)
        return true;
    uint64_t va = ((k->lin & ~(uint64_t)PAGE_MASK) + PAGE_SIZE) & cpu->va_mask;
    return mmu_exec_page(cpu, va, &host, false) == tb->page2;
}

static struct tb *tb_lookup(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page)
{
    struct tcg *t = cpu->tcg;
    struct tb *tb = __atomic_load_n(&t->hash[tb_hash(page, k->lin & PAGE_MASK, k->mode)], __ATOMIC_ACQUIRE);

    __atomic_store_n(&cpu->lookups, cpu->lookups + 1, __ATOMIC_RELAXED);
    for (; tb; tb = __atomic_load_n(&tb->hash_next, __ATOMIC_ACQUIRE))
        if (tb_matches(tb, k, page) && tb_page2_ok(cpu, tb, k))
            return tb;
    return NULL;
}

/* Has another vCPU made the block meanwhile? Under the lock. */
static struct tb *tb_made(struct tcg *t, const struct tb_key *k, uint32_t page, uint32_t page2)
{
    struct tb *tb = t->hash[tb_hash(page, k->lin & PAGE_MASK, k->mode)];

    while (tb && !(tb_matches(tb, k, page) && (tb->page2 == NO_PAGE || tb->page2 == page2)))
        tb = tb->hash_next;
    return tb;
}

struct tb *tb_find_by_code(struct tcg *t, const uint8_t *pc)
{
    bool cold = t->cache.bytes && pc >= t->cache.rx + t->cache.cold;
    uint32_t lo = 0, hi = __atomic_load_n(&t->n_tbs, __ATOMIC_ACQUIRE);

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        struct tb *tb = t->tbs[mid];
        const uint8_t *code = cold ? tb->cold : tb->code;
        if (pc < code)
            hi = mid;
        else if (pc >= code + (cold ? tb->cold_len : tb->code_len))
            lo = mid + 1;
        else
            return tb;
    }
    return NULL;
}

/* ---- pages with code -------------------------------------------------------------- */

static uint64_t granules(unsigned off, unsigned len)
{
    unsigned a = off >> 6, b = (off + len - 1) >> 6;

    return (b >= 63 ? ~0ull : (2ull << b) - 1) & ~((1ull << a) - 1);
}

/* Bytes of @tb in page @which (0: first, 1: second). */
static uint64_t tb_granules(const struct tb *tb, unsigned which)
{
    unsigned in_first = MIN(tb->len, PAGE_SIZE - tb->off);

    return which == 0 ? granules(tb->off, in_first) : granules(0, tb->len - in_first);
}

static void page_add_tb(struct tcg *t, struct tb *tb, unsigned which)
{
    uint32_t page = which ? tb->page2 : tb->page;
    struct ram_page *pg = &t->pages[page];

    tb->page_next[which] = pg->first;
    pg->first = tb;
    if (!pg->code_bits)
        smp_protect(t, page);
    __atomic_store_n(&pg->code_bits, pg->code_bits | tb_granules(tb, which), __ATOMIC_RELAXED);
}

static void page_remove_tb(struct tcg *t, struct tb *tb, uint32_t page)
{
    struct ram_page *pg = &t->pages[page];
    struct tb **pp = &pg->first;
    uint64_t left = 0;

    while (*pp) {
        struct tb *it = *pp;
        unsigned which = it->page == page ? 0 : 1;
        if (it == tb) {
            *pp = it->page_next[which];
            continue;
        }
        left |= tb_granules(it, which);
        pp = &it->page_next[which];
    }
    __atomic_store_n(&pg->code_bits, left, __ATOMIC_RELAXED);
}

/* ---- chaining ------------------------------------------------------------------------ */

#define SLOT_MASK ((uintptr_t)15)    /* blocks are aligned to 16 bytes */
_Static_assert(TB_LINKS <= SLOT_MASK + 1, "slot numbers fit beside block addresses");

static inline struct tb *in_tb(uintptr_t v) { return (struct tb *)(v & ~SLOT_MASK); }

static inline bool tb_is_dead(const struct tb *tb)
{
    return __atomic_load_n(&tb->dead, __ATOMIC_RELAXED);
}

static inline bool tb_is_settled(const struct tb *tb)
{
    return __atomic_load_n(&tb->settled, __ATOMIC_ACQUIRE);
}

/* Could exit @slot of @tb be chained to @to? */
static bool tb_chainable(struct tcg *t, const struct tb *tb, unsigned slot, const struct tb *to)
{
    const struct tb_link *l = &tb->link[slot];

    if (__atomic_load_n(&l->to, __ATOMIC_RELAXED) || tb_is_dead(tb) || tb_is_dead(to)
        || (tb->mode ^ to->mode) & ~KEY_ALONE || tb->flat != to->flat || to->brk
        || l->alone != !!(to->mode & KEY_ALONE))
        return false;
    if (t->smp && (!tb_is_settled(tb) || !tb_is_settled(to)))
        return false;
    if (t->host)
        return l->jmp_off;
    return tb->page == to->page && to->page2 == NO_PAGE;   /* the interpreter has no guards */
}

static void tb_chain(struct tcg_cpu *cpu, struct tb *tb, unsigned slot, struct tb *to)
{
    struct tcg *t = cpu->tcg;
    struct tb_link *l = &tb->link[slot];

    if (!tb_chainable(t, tb, slot, to))
        return;
    tcg_lock(t);
    /* after it led elsewhere, nobody may be between its guard and the jump any more */
    if (tb_chainable(t, tb, slot, to) && (!l->free_from || tcg_passed(t, l->free_from, cpu))) {
        __atomic_store_n(&l->to, to, __ATOMIC_RELAXED);
        l->next_in = (struct tb *)to->incoming;
        to->incoming = (uintptr_t)tb | slot;
        if (t->host)
            t->host->set_link(t, tb, slot, to);
    }
    tcg_unlock(t);
}

static void tb_unchain(struct tcg *t, struct tb *tb, unsigned slot)
{
    struct tb_link *l = &tb->link[slot];
    struct tb *to = l->to;

    if (!to)
        return;
    uintptr_t *pp = &to->incoming;
    while (*pp && *pp != ((uintptr_t)tb | slot))
        pp = (uintptr_t *)&in_tb(*pp)->link[*pp & SLOT_MASK].next_in;
    if (*pp)
        *pp = (uintptr_t)l->next_in;
    __atomic_store_n(&l->to, NULL, __ATOMIC_RELAXED);
    l->next_in = NULL;
    if (t->host)
        t->host->set_link(t, tb, slot, NULL);
    if (t->smp && l->guard_off)
        l->free_from = tcg_epoch(t);
}

/*
 * No entry of a jump cache may lead to a dropped block. Only its own vCPU fills an
 * entry and jumps through it; others take the address away that it is found by.
 */
static void jc_forget(struct tcg_cpu *cpu, const struct tb *tb)
{
    unsigned at = __atomic_load_n(&tb->jc_at, __ATOMIC_SEQ_CST);
    bool more = __atomic_load_n(&tb->jc_more, __ATOMIC_SEQ_CST);
    unsigned from = more ? 0 : at, to = more ? (1u << JC_BITS) - 1 : at;

    if (at == JC_NONE)
        return;
    for (unsigned i = from; i <= to; i++)
        if (__atomic_load_n(&cpu->jc[i].tb, __ATOMIC_RELAXED) == tb)
            __atomic_store_n(&cpu->jc[i].pc, ~0ull, __ATOMIC_RELAXED);
}

/* Under the lock. */
static void tb_drop(struct tcg *t, struct tb *tb, enum tcg_drop why)
{
    struct tb **pp = &t->hash[tb_hash(tb->page, tb->off, tb->mode)];

    while (*pp && *pp != tb)
        pp = &(*pp)->hash_next;
    if (*pp)
        __atomic_store_n(pp, tb->hash_next, __ATOMIC_RELEASE);
    __atomic_store_n(&tb->dead, true, __ATOMIC_SEQ_CST);   /* then the jump caches: see jc_fill() */
    page_remove_tb(t, tb, tb->page);
    if (tb->page2 != NO_PAGE)
        page_remove_tb(t, tb, tb->page2);
    for (unsigned i = 0; i < tb->n_links; i++)
        tb_unchain(t, tb, i);
    while (tb->incoming)
        tb_unchain(t, in_tb(tb->incoming), tb->incoming & SLOT_MASK);
    for (struct tcg_cpu *cpu = t->cpus; cpu; cpu = cpu->next) {
        jc_forget(cpu, tb);
        if (!t->smp && cpu->exit_tb == tb)
            cpu->exit_tb = NULL;
    }
    t->stats.invalidations++;
    t->stats.dropped[why]++;
}

void tb_invalidate_range(struct tcg *t, uint32_t page, unsigned off, unsigned len, enum tcg_drop why)
{
    uint64_t hit = granules(off, len);
    struct tb *next;

    tcg_lock(t);
    for (struct tb *tb = t->pages[page].first; tb; tb = next) {
        unsigned which = tb->page == page ? 0 : 1;
        next = tb->page_next[which];
        if (tb_granules(tb, which) & hit)
            tb_drop(t, tb, why);
    }
    tcg_unlock(t);
}

static bool tb_has_offset(const struct tb *tb, const uint16_t *offs, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (((offs[i] - tb->off) & PAGE_MASK) < tb->len)
            return true;
    return false;
}

void tb_drop_offsets(struct tcg *t, const uint16_t *offs, unsigned n)
{
    tcg_lock(t);
    for (uint32_t i = 0; i < t->n_tbs; i++)
        if (!t->tbs[i]->dead && tb_has_offset(t->tbs[i], offs, n))
            tb_drop(t, t->tbs[i], TCG_DROP_DEBUGGER);
    tcg_unlock(t);
}

bool tb_covers(struct tcg *t, const uint8_t *from, uint32_t page, unsigned off, unsigned len)
{
    const struct tb *tb = from ? tb_find_by_code(t, from) : NULL;
    uint64_t hit = granules(off, len);

    if (!tb)
        return true;
    return (tb->page == page && (tb_granules(tb, 0) & hit))
           || (tb->page2 == page && (tb_granules(tb, 1) & hit));
}

void tcg_invalidate_phys(struct tcg *t, uint32_t page, unsigned off, unsigned len)
{
    if (page < t->phys.n_ram_pages && len && tb_store_hits_code(t, page, off, len))
        tb_invalidate_range(t, page, off, len, TCG_DROP_OUTSIDE);
}

/* The translating thread says so before it reads the bytes and enlists the block before
 * it says that it has ended; here they are written before both are looked at. */
bool tcg_may_hold_code(struct tcg *t, uint32_t page, unsigned off, unsigned len)
{
    if (page >= t->phys.n_ram_pages || !len)
        return false;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint32_t making = __atomic_load_n(&t->making, __ATOMIC_ACQUIRE);
    return making == page + 1 || making == MAKING_ANY || tb_store_hits_code(t, page, off, len);
}

static void jc_clear(struct tcg_cpu *cpu)
{
    for (unsigned i = 0; i < 1u << JC_BITS; i++)
        cpu->jc[i] = (struct jump_cache_entry){ .pc = ~0ull };
}

void tcg_flush_all(struct tcg *t, enum tcg_flush why)
{
    t->stats.flushes++;
    t->stats.flushed[why]++;
    if (t->profile)
        profile_emptied(t);
    for (struct tcg_cpu *cpu = t->cpus; t->cfg.note && cpu; cpu = cpu->next)
        if (cpu->trace)
            trace_forget(cpu);
    t->generation++;
    memset(t->hash, 0, sizeof(t->hash));
    memset(t->pages, 0, t->phys.n_ram_pages * sizeof(*t->pages));
    t->n_tbs = 0;
    t->arena_used = 0;
    cache_empty(&t->cache);
    for (struct tcg_cpu *cpu = t->cpus; cpu; cpu = cpu->next) {
        jc_clear(cpu);
        cpu->exit_tb = NULL;
        cpu->cur_tb = NULL;
    }
    if (t->host) {
        struct err e;
        int r = t->host->init(t, &e);
        assert(r == 0);
        if (t->perf) {
            perf_emptied(t);
            perf_thunks(t);
        }
    }
}

/* ---- making ------------------------------------------------------------------------------ */

static void log_ir(const struct ir_block *b, const struct tb_key *k, const char *what)
{
    FILE *f = log_lock();

    fprintf(f, "%s: pc=%#llx mode=%#x\n", what, (unsigned long long)k->pc, k->mode);
    ir_dump(b, f);
    log_unlock();
}

#define SYMBOL_CHARS 256
/* "name" or "name+0x12" of -symbols, or "" */
static const char *symbol_at(const struct tcg *t, uint64_t lin, char *buf, size_t size)
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

    fprintf(f, "----------------\nIN: %s\n", symbol_at(cpu->tcg, k->lin, name, sizeof name));
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

/* slots in use are numbered without gaps, but for those at the end */
static unsigned count_links(const struct ir_block *b)
{
    unsigned n = TB_SIDE_LINK;

    for (unsigned i = 0; i < b->n_ops; i++)
        if (b->ops[i].opc == IR_LEAVECC
            || (b->ops[i].grp == GRP_LEAD && ir_op_info(b->ops[i].opc)->attr & IRA_MEM))
            n = MAX(n, b->ops[i].aux + 1u);
    return n;
}

/* A block struct for @k; NULL: the arena is full. @keep: will it be found again? */
static struct tb *tb_new(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page, unsigned len,
                         unsigned n_insns, bool keep)
{
    struct tcg *t = cpu->tcg;
    unsigned n_links = count_links(t->work);
    size_t bytes = sizeof(struct tb) + n_links * sizeof(struct tb_link);
    struct tb *tb = t->n_tbs < t->max_tbs ? tcg_arena(t, bytes) : NULL;

    if (!tb)
        return NULL;
    memset(tb, 0, bytes);
    *tb = (struct tb){
        .n_links = n_links,
        .pcbase = k->pc - (k->lin & PAGE_MASK), .cs_base = k->cs_base, .cs_limit = k->cs_limit,
        .mode = k->mode, .flat = k->flat, .page = page, .page2 = NO_PAGE,
        .off = k->lin & PAGE_MASK, .len = (uint16_t)len, .n_insns = (uint16_t)n_insns,
        .once = !keep || page == NO_PAGE, .place = t->n_tbs, .jc_at = JC_NONE,
        .brk = tcg_break_offset(t, k->lin & PAGE_MASK),
    };
    if (!tb->once && tb->off + len > PAGE_SIZE) {
        tb->page2 = cpu->source ? cpu->source->page2 : next_page(cpu, k);
        if (tb->page2 == NO_PAGE || tb->page2 == page || !k->flat) {
            tb->once = true;
            tb->page2 = NO_PAGE;
        }
    }
    return tb;
}

/* Keep the bytes a block was made from, to be compared until it is settled. */
static bool keep_source(struct tcg_cpu *cpu, struct tb *tb)
{
    uint8_t *p;

    if (!cpu->source || tb->once)
        return true;
    p = tcg_arena(cpu->tcg, tb->len);
    tb->source = p ? memcpy(p, cpu->source->buf, tb->len) : NULL;
    return p;
}

/* From now on the block is found by look-ups, and by stores into its bytes. */
static void tb_enlist(struct tcg *t, struct tb *tb)
{
    unsigned h = tb_hash(tb->page, tb->off, tb->mode);

    page_add_tb(t, tb, 0);
    if (tb->page2 != NO_PAGE)
        page_add_tb(t, tb, 1);
    tb->born = tcg_epoch(t);
    tb->hash_next = t->hash[h];
    __atomic_store_n(&t->hash[h], tb, __ATOMIC_RELEASE);
}

static void tb_log(struct tcg *t, const struct tb *tb, const struct tb_key *k)
{
    if (t->perf)
        perf_block(t, tb, k->lin);
    if (log_on(LOG_OUT_ASM) && t->host && log_in_filter(k->lin))
        log_host_code(tb);
}

/*
 * Fetch the bytes that a block at @k may be made from. With several vCPUs this comes
 * before the lock: page tables or code may lie in a device. @host: of the page, or NULL.
 */
static void source_fill(struct tcg_cpu *cpu, const struct tb_key *k, const uint8_t *host)
{
    struct tcg_source *s = cpu->own_source;
    unsigned left = PAGE_SIZE - (k->lin & PAGE_MASK);
    unsigned want = MIN(left, host ? SOURCE_BYTES - MAX_INSN_BYTES : MAX_INSN_BYTES);

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
    return keep && !t->cfg.count && !(k->mode & KEY_ALONE) && !log_on(LOG_EXEC | LOG_CPU | LOG_NOCHAIN);
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
    tb = tb_new(cpu, k, page, *len, *n, keep);
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
    tb_log(t, tb, k);
    if (t->profile)
        profile_translated(cpu, tb, k->lin);
    t->tbs[t->n_tbs] = tb;
    __atomic_store_n(&t->n_tbs, t->n_tbs + 1, __ATOMIC_RELEASE);
    if (tb->once)
        tb->dead = true;     /* never found, never chained */
    else
        tb_enlist(t, tb);
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

struct tb *tb_make(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page, const uint8_t *host, bool keep)
{
    struct tcg *t = cpu->tcg;
    unsigned n, max = keep && !t->cfg.one_insn ? MAX_BLOCK_INSNS : 1, len;
    struct tb *tb;

    for (int attempt = 0;; attempt++) {
        if (t->smp)
            source_fill(cpu, k, host);
        tcg_lock(t);
        uint32_t generation = t->generation;
        tb = t->smp && keep && page != NO_PAGE ? tb_made(t, k, page, cpu->source->page2) : NULL;
        __atomic_store_n(&t->making, page == NO_PAGE ? MAKING_ANY : page + 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (!tb)
            tb = tb_build(cpu, k, page, keep, max, &n, &len);
        __atomic_store_n(&t->making, 0, __ATOMIC_RELEASE);
        tcg_unlock(t);
        cpu->source = NULL;
        if (tb)
            break;
        if (!len && t->smp && !cpu->exception)
            source_fault(cpu, k);
        if (!len && (cpu->exception || !t->smp))
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

static struct tb *tb_make_counted(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page,
                                  const uint8_t *host, bool keep)
{
    enum profile_time before = profile_begin(cpu, PT_TRANSLATE);
    struct tb *tb = tb_make(cpu, k, page, host, keep);

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
        if (!tb && !(tb = tb_make_counted(cpu, k, page, host, keep)))
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
                symbol_at(cpu->tcg, lin, name, sizeof name));
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
    bool flat = tb->flat && !tb->once;   /* it may be gone afterwards */

    if (!cpu->tcg->host)
        profile_ran(cpu, tb);
    run_tb(cpu, tb);
    profile_end(cpu, before);
    profile_left(cpu, flat);
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
    unsigned i = jc_index(k->pc);
    struct jump_cache_entry *j = &cpu->jc[i];

    if (!tb->flat || tb->brk || tb_is_dead(tb) || (cpu->tcg->smp && !tb_is_settled(tb)))
        return;
    jc_note(tb, i);
    __atomic_store_n(&j->tb, tb, __ATOMIC_RELAXED);
    j->check = (tb->page + 1ull) | cpu->mode_salt;
    j->code = tb->code;
    if (!cpu->tcg->smp) {
        j->pc = k->pc;
        return;
    }
    /* who drops it says so first and looks here then: one of us sees the other */
    __atomic_store_n(&j->pc, k->pc, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&tb->dead, __ATOMIC_SEQ_CST))
        __atomic_store_n(&j->pc, ~0ull, __ATOMIC_RELAXED);
}

/* The short way: the jump cache. */
static inline struct tb *jc_find(struct tcg_cpu *cpu)
{
    struct jump_cache_entry *j = &cpu->jc[jc_index(cpu->pc)];

    if (__atomic_load_n(&j->pc, __ATOMIC_RELAXED) != cpu->pc || j->check != (mmu_exec_hit(cpu, cpu->pc) | cpu->mode_salt)
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
            if (cpu->restart1)
                return;
            break;
        case TCG_EXIT_PC:
            return;
        default:             /* interrupt, exception */
            if (unlikely(t->cfg.count) && cpu->exit_reason == TCG_EXIT_EXCEPTION)
                count_fault(cpu);
            sync_pc(cpu);
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
    t->arena_bytes = c->backend == TCG_BACKEND_INTERP ? c->cache_bytes * 2 : c->cache_bytes;
    t->arena = mmap(NULL, t->arena_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->arena == MAP_FAILED || t->tbs == MAP_FAILED) {
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
    return t;
}

void tcg_free(struct tcg *t)
{
    cache_free(&t->cache);
    munmap(t->arena, t->arena_bytes);
    munmap(t->tbs, t->max_tbs * sizeof(*t->tbs));
    free(t->host_priv);
    perf_close(t);
    ir_block_free(t->work);
    profile_free(t);
    free(t->pages);
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
    if (tcg_mmu_init(cpu, &t->phys, e))
        return NULL;
    cpu->seen = TCG_OFFLINE;
    profile_cpu_init(cpu);
    if (t->smp)
        cpu->own_source = xmalloc(sizeof(*cpu->own_source));
    cpu->next = t->cpus;
    t->cpus = cpu;
    return cpu;
}

void tcg_cpu_free(struct tcg_cpu *cpu)
{
    size_t bytes = profile_runs_offset(cpu->tcg) + profile_runs_bytes(cpu->tcg);

    tcg_mmu_free(cpu);
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
