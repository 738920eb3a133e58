/*
 * blocks.c - the blocks there are: finding, chaining and dropping them
 *
 * A block is known by the RAM page and offset of its first byte and by the mode
 * bits; where the code segment is not flat also by its base, limit and pcbase.
 * Chained jumps and the jump cache only ever shorten that look-up.
 *
 * Chaining and dropping want tcg_lock(); look-ups do without: see smp.c.
 */
#include "tcg/blocks-int.h"
#include "tcg/tb-cache-int.h"
#include "tcg/trace.h"

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

/* Which bucket (top bits), and a tag for it (the low 32). */
static inline uint64_t tb_hash(uint32_t page, unsigned off, uint32_t mode)
{
    uint64_t h = ((uint64_t)page << 12 | off) * 0x9e3779b97f4a7c15ull ^ mode * 0xd6e8feb86659fd93ull;

    return (h ^ h >> 32) * 0x9e3779b97f4a7c15ull;
}

static inline struct tb_bucket *bucket_of(const struct tcg *t, uint64_t h)
{
    return &t->hash[h >> (64 - t->bucket_bits)];
}

static inline struct tb *way_tb(const struct tcg *t, uint64_t way)
{
    return (struct tb *)(t->arena + ((uint32_t)way - 1ull) * TB_ALIGN);
}

static inline uint64_t way_of(const struct tcg *t, const struct tb *tb, uint64_t h)
{
    return h << 32 | ((uint64_t)((const char *)tb - t->arena) / TB_ALIGN + 1);
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

struct tb *tb_lookup(struct tcg_cpu *cpu, const struct tb_key *k, uint32_t page)
{
    const struct tcg *t = cpu->tcg;
    uint64_t h = tb_hash(page, k->lin & PAGE_MASK, k->mode), way;
    const struct tb_bucket *b = bucket_of(t, h);
    struct tb *tb;

    __atomic_store_n(&cpu->lookups, cpu->lookups + 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < TB_WAYS; i++) {
        way = __atomic_load_n(&b->way[i], __ATOMIC_ACQUIRE);
        if (way >> 32 != (uint32_t)h || !way)
            continue;
        tb = way_tb(t, way);
        if (tb_matches(tb, k, page) && tb_page2_ok(cpu, tb, k))
            return tb;
    }
    for (tb = __atomic_load_n(&b->more, __ATOMIC_ACQUIRE); tb; tb = __atomic_load_n(&tb->hash_next, __ATOMIC_ACQUIRE))
        if (tb_matches(tb, k, page) && tb_page2_ok(cpu, tb, k))
            return tb;
    return NULL;
}

static bool tb_is_it(const struct tb *tb, const struct tb_key *k, uint32_t page, uint32_t page2)
{
    return tb_matches(tb, k, page) && (tb->page2 == NO_PAGE || tb->page2 == page2);
}

struct tb *tb_made(struct tcg *t, const struct tb_key *k, uint32_t page, uint32_t page2)
{
    uint64_t h = tb_hash(page, k->lin & PAGE_MASK, k->mode);
    const struct tb_bucket *b = bucket_of(t, h);
    struct tb *tb = b->more;

    for (unsigned i = 0; i < TB_WAYS; i++)
        if (b->way[i] && b->way[i] >> 32 == (uint32_t)h && tb_is_it(way_tb(t, b->way[i]), k, page, page2))
            return way_tb(t, b->way[i]);
    while (tb && !tb_is_it(tb, k, page, page2))
        tb = tb->hash_next;
    return tb;
}

static void bucket_add(struct tcg *t, struct tb *tb)
{
    uint64_t h = tb_hash(tb->page, tb->off, tb->mode);
    struct tb_bucket *b = bucket_of(t, h);

    for (unsigned i = 0; i < TB_WAYS; i++)
        if (!b->way[i]) {
            __atomic_store_n(&b->way[i], way_of(t, tb, h), __ATOMIC_RELEASE);
            return;
        }
    tb->hash_next = b->more;
    __atomic_store_n(&b->more, tb, __ATOMIC_RELEASE);
}

static void bucket_remove(struct tcg *t, const struct tb *tb)
{
    uint64_t h = tb_hash(tb->page, tb->off, tb->mode), way = way_of(t, tb, h);
    struct tb_bucket *b = bucket_of(t, h);
    struct tb **pp = &b->more;

    for (unsigned i = 0; i < TB_WAYS; i++)
        if (b->way[i] == way) {
            __atomic_store_n(&b->way[i], 0, __ATOMIC_RELEASE);
            return;
        }
    while (*pp && *pp != tb)
        pp = &(*pp)->hash_next;
    if (*pp)
        __atomic_store_n(pp, tb->hash_next, __ATOMIC_RELEASE);
}

/* Less than 0: @pc is before @tb's code, 0: in it */
static inline int tb_compare(const struct tb *tb, const uint8_t *pc, bool cold)
{
    const uint8_t *code = cold ? tb->cold : tb->code;

    return pc < code ? -1 : pc >= code + (cold ? tb->cold_len : tb->code_len);
}

/* Code that stores beside code does it again and again: where the last was found is looked at first. */
struct tb *tb_find_by_code(struct tcg *t, const uint8_t *pc)
{
    bool cold = t->cache.bytes && pc >= t->cache.rx + t->cache.cold;
    uint32_t lo = 0, hi = __atomic_load_n(&t->n_tbs, __ATOMIC_ACQUIRE), mid = __atomic_load_n(&t->found, __ATOMIC_RELAXED);

    if (mid < hi && !tb_compare(t->tbs[mid], pc, cold))
        return t->tbs[mid];
    while (lo < hi) {
        mid = (lo + hi) / 2;
        int where = tb_compare(t->tbs[mid], pc, cold);
        if (!where) {
            __atomic_store_n(&t->found, mid, __ATOMIC_RELAXED);
            return t->tbs[mid];
        }
        if (where < 0)
            hi = mid;
        else
            lo = mid + 1;
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

/* First and last byte of @tb in page @which. */
static void tb_bytes(const struct tb *tb, unsigned which, unsigned *from, unsigned *to)
{
    unsigned in_first = MIN(tb->len, PAGE_SIZE - tb->off);

    *from = which ? 0 : tb->off;
    *to = which ? tb->len - in_first - 1 : tb->off + in_first - 1;
}

static bool page_ready(struct tcg *t, uint32_t page)
{
    struct code_page *cp = t->pages[page].code;

    if (cp)
        return true;
    cp = tcg_arena(t, sizeof(*cp));
    if (!cp)
        return false;
    memset(cp, 0, sizeof(*cp));
    __atomic_store_n(&t->pages[page].code, cp, __ATOMIC_RELEASE);
    return true;
}

bool tb_pages_ready(struct tcg *t, const struct tb *tb)
{
    return page_ready(t, tb->page) && (tb->page2 == NO_PAGE || page_ready(t, tb->page2));
}

static void page_add_tb(struct tcg *t, struct tb *tb, unsigned which)
{
    uint32_t page = which ? tb->page2 : tb->page;
    struct ram_page *pg = &t->pages[page];
    struct code_page *cp = pg->code;
    unsigned from, to;

    tb->page_next[which] = cp->first;
    cp->first = tb;
    if (!pg->code_bits)
        smp_protect(t, page);
    tb_bytes(tb, which, &from, &to);
    for (unsigned w = from >> 9; w <= to >> 9; w++)
        __atomic_store_n(&cp->units[w], cp->units[w] | unit_bits(from, to, w), __ATOMIC_RELAXED);
    __atomic_store_n(&pg->code_bits, pg->code_bits | tb_granules(tb, which), __ATOMIC_RELAXED);
}

/* Bits that go are those that no other block of the page has: no bit is ever 0 in between. */
static void page_remove_tb(struct tcg *t, struct tb *tb, uint32_t page)
{
    struct ram_page *pg = &t->pages[page];
    struct tb **pp = &pg->code->first;
    uint64_t left = 0, units[PAGE_SIZE / 512] = { 0 };
    unsigned from, to, a, b;

    tb_bytes(tb, tb->page != page, &from, &to);
    while (*pp) {
        struct tb *it = *pp;
        unsigned which = it->page == page ? 0 : 1;
        if (it == tb) {
            *pp = it->page_next[which];
            continue;
        }
        left |= tb_granules(it, which);
        tb_bytes(it, which, &a, &b);
        for (unsigned w = MAX(a, from) >> 9; w <= MIN(b, to) >> 9; w++)
            units[w] |= unit_bits(a, b, w);
        pp = &it->page_next[which];
    }
    for (unsigned w = from >> 9; w <= to >> 9; w++)
        __atomic_store_n(&pg->code->units[w], units[w], __ATOMIC_RELAXED);
    __atomic_store_n(&pg->code_bits, left, __ATOMIC_RELAXED);
}

void tb_enlist(struct tcg *t, struct tb *tb)
{
    page_add_tb(t, tb, 0);
    if (tb->page2 != NO_PAGE)
        page_add_tb(t, tb, 1);
    if (t->smp)
        tb->born = tcg_epoch(t);
    bucket_add(t, tb);
}

/* ---- code that stores into its own block ------------------------------------------------ */

static inline uint64_t end_key(uint32_t page, unsigned off) { return ((uint64_t)page << PAGE_BITS | off) + 1; }

static inline unsigned end_slot(uint64_t key) { return (unsigned)(key * 0x9e3779b97f4a7c15ull >> 32) % TCG_ENDS; }

void tb_end_at(struct tcg *t, uint32_t page, unsigned off)
{
    uint64_t key = end_key(page, off);

    t->ends[end_slot(key)] = key;
    t->has_ends = true;
}

bool tcg_end_at(const struct tcg *t, unsigned off)
{
    uint32_t making = __atomic_load_n(&t->making, __ATOMIC_RELAXED);
    uint64_t key = end_key(making - 1, off);

    return making != MAKING_ANY && off < PAGE_SIZE && t->ends[end_slot(key)] == key;
}

/* ---- chaining ------------------------------------------------------------------------ */

#define SLOT_MASK ((uintptr_t)15)    /* blocks are aligned to 16 bytes */
_Static_assert(TB_LINKS <= SLOT_MASK + 1, "slot numbers fit beside block addresses");

static inline struct tb *in_tb(uintptr_t v) { return (struct tb *)(v & ~SLOT_MASK); }

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
    if (t->host)             /* without a guard it is known that the page is mapped there */
        return l->jmp_off && (l->guard_off || tb->page == to->page);
    return tb->page == to->page && to->page2 == NO_PAGE;   /* the interpreter has no guards */
}

void tb_chain(struct tcg_cpu *cpu, struct tb *tb, unsigned slot, struct tb *to)
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
            __atomic_store_n(&cpu->jc[i].lin, ~0ull, __ATOMIC_RELAXED);
}

void tb_drop(struct tcg *t, struct tb *tb, enum tcg_drop why)
{
    bucket_remove(t, tb);
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

/* Was @tb made from any of the units of 8 bytes that these bytes are in? */
static bool tb_overlaps(const struct tb *tb, uint32_t page, unsigned off, unsigned len)
{
    unsigned from, to;

    if (tb->page != page && tb->page2 != page)
        return false;
    tb_bytes(tb, tb->page != page, &from, &to);
    return off >> 3 <= to >> 3 && from >> 3 <= (off + len - 1) >> 3;
}

void tb_invalidate_range(struct tcg *t, uint32_t page, unsigned off, unsigned len, enum tcg_drop why)
{
    const struct code_page *cp;
    struct tb *next;

    tcg_lock(t);
    cp = t->pages[page].code;
    for (struct tb *tb = cp ? cp->first : NULL; tb; tb = next) {
        next = tb->page_next[tb->page == page ? 0 : 1];
        if (tb_overlaps(tb, page, off, len))
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

    return !tb || tb_overlaps(tb, page, off, len);
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

void jc_clear(struct tcg_cpu *cpu)
{
    for (unsigned i = 0; i < 1u << JC_BITS; i++)
        cpu->jc[i] = (struct jump_cache_entry){ .lin = ~0ull };
}

void tcg_flush_all(struct tcg *t, enum tcg_flush why)
{
    t->stats.flushes++;
    t->stats.flushed[why]++;
    if (t->tb_cache)
        tb_cache_collect(t);
    if (t->profile)
        profile_emptied(t);
    for (struct tcg_cpu *cpu = t->cpus; t->cfg.note && cpu; cpu = cpu->next)
        if (cpu->trace)
            trace_forget(cpu);
    t->generation++;
    memset(t->hash, 0, sizeof(*t->hash) << t->bucket_bits);
    memset(t->pages, 0, t->phys.n_ram_pages * sizeof(*t->pages));
    memset(t->ends, 0, sizeof(t->ends));
    t->has_ends = false;
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
        for (struct tcg_cpu *cpu = t->cpus; cpu; cpu = cpu->next)
            returns_forget_all(cpu);
        if (t->perf) {
            perf_emptied(t);
            perf_thunks(t);
        }
    }
}
