/*
 * softmmu.c - page maps: flushing them; mmu-fill.c fills them
 *
 * Built without vector registers (-mgeneral-regs-only on x86-64 hosts) and, like what
 * fills, without calls into libc: while it runs the host's vector registers may hold
 * the guest's.
 *
 * Rules
 * - An entry is filled only by a successful walk for that view and kind.
 * - The write map never has a page that holds translated code, nor one whose
 *   guest page-table entry is not dirty yet. What the first keeps out has the fourth
 *   word filled, from which the write word is made when all code of the page is gone.
 *   Whatever clears the fourth word clears both.
 * - Every fill leaves a node behind: the set's journal empties the set, the
 *   page's chain takes a page out of the write maps. Nodes are never reused
 *   before everything is emptied, so a stale one costs only an extra miss.
 */
#include "tcg/mmu-int.h"
#if TCG_FLAT_MAPS
#include <sys/mman.h>
#endif
#include <stdlib.h>

/* ---- small pieces -------------------------------------------------------- */

static void zero_words(void *p, size_t bytes)
{
    volatile uint64_t *w = p;   /* volatile: no call to memset */
    for (size_t i = 0; i < bytes / 8; i++)
        w[i] = 0;
}

#if TCG_FLAT_MAPS

static void map_region(uint8_t *at, uint64_t bytes)
{
    void *p = mmap(at, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    assert(p == at);
    madvise(p, bytes, MADV_NOHUGEPAGE);
}

static uint64_t set_bytes(const struct tcg_mmu *m)
{
    return VIEW_COUNT * m->view_bytes;
}

/* Address space for a set's maps; false: the host has no gap that large left. */
static bool set_reserve(struct tcg_mmu *m, unsigned set)
{
    void *p;

    if (m->base[set])
        return true;
    p = mmap(NULL, set_bytes(m), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return false;
    madvise(p, set_bytes(m), MADV_NOHUGEPAGE);
    m->base[set] = p;
    return true;
}

static int maps_init(struct tcg_mmu *m, struct err *e)
{
    m->narrow = m->tcg->narrow;
    m->view_bytes = m->narrow ? NARROW_VIEW_BYTES : MAP_VIEW_BYTES;
    m->index_mask = (1ull << (m->narrow ? NARROW_BITS : MAP_VPN_BITS)) - 1;
    m->n_sets = m->narrow ? MAP_SETS : MIN(MAP_SETS, MAP_SETS_ALL / MAX(m->tcg->cfg.n_cpus, 1u));
    if (!set_reserve(m, 0))
        return err_set(e, -errno, "cannot reserve %llu MiB of address space for page maps: %s",
                       (unsigned long long)(set_bytes(m) >> 20), strerror(errno));
    return 0;
}

/* Give the memory of a set's maps back, page tables included. */
static void set_release(struct tcg_mmu *m, unsigned set)
{
    map_region(m->base[set], set_bytes(m));
    m->set[set].n_touched = 0;
    zero_words(m->set[set].touched, sizeof(m->set[set].touched));
}

#else  /* hashed: one set, tags compared, a flush empties it */

static int maps_init(struct tcg_mmu *m, struct err *e)
{
    m->hash = xzalloc(VIEW_COUNT * sizeof(*m->hash));
    return 0;
}

#endif

/* ---- flushing ----------------------------------------------------------------- */

/* Whatever takes entries out of a map, or changes maps, comes by here. */
static void forget_pages(struct tcg_mmu *m)
{
    m->cpu->stack_page = STACK_NOWHERE;
    m->cpu->table_page = STACK_NOWHERE;
}

#if TCG_FLAT_MAPS

static void drop_everything(struct tcg_mmu *m)
{
    forget_pages(m);
    returns_forget_all(m->cpu);
    for (unsigned i = 0; i < MAP_SETS; i++) {
        struct mmu_set *s = &m->set[i];
        if (s->n_touched)
            set_release(m, i);
        s->journal[0] = s->journal[1] = 0;
        s->huge = false;
        zero_words(s->large_bloom, sizeof(s->large_bloom));
        zero_words(s->global_bloom, sizeof(s->global_bloom));
    }
    zero_words(m->page_head, align_up(m->tcg->phys.n_ram_pages * 4ull, 8));
    m->n_nodes = 0;
    m->flushes++;
}

/* Entry and word of a node's slot. */
static inline uint64_t *slot_entry(uint64_t slot) { return (uint64_t *)(slot & ~(MAP_WORDS * 8ull - 1)); }
static inline unsigned slot_word(uint64_t slot) { return slot / 8 % MAP_WORDS; }

/* The write word may have been made from the fourth and have no node of its own. */
static void slot_clear(uint64_t slot)
{
    if (slot_word(slot) == MAP_BESIDE)
        map_set(slot_entry(slot), ACC_WRITE, 0, 0);
    map_set(slot_entry(slot), slot_word(slot), 0, 0);
}

static void journal_empty(struct tcg_mmu *m, uint32_t *head)
{
    for (uint32_t n = *head; n; n = m->nodes[n - 1].next_set)
        slot_clear(m->nodes[n - 1].slot);
    *head = 0;
}

/* Empty one set; @keep_global leaves entries of global pages. */
static void set_flush(struct tcg_mmu *m, unsigned i, bool keep_global)
{
    struct mmu_set *s = &m->set[i];

    forget_pages(m);
    returns_forget(m->cpu, i);
    journal_empty(m, &s->journal[0]);
    if (keep_global && s->journal[1])
        return;
    journal_empty(m, &s->journal[1]);
    zero_words(s->large_bloom, sizeof(s->large_bloom));
    zero_words(s->global_bloom, sizeof(s->global_bloom));
    s->huge = false;
    if (s->n_touched > MMU_TOUCH * 3 / 4)
        set_release(m, i);
}

static void clear_slots(struct tcg_mmu *m, unsigned set, uint64_t vpn, unsigned n)
{
    bool code = false;

    for (unsigned v = 0; v < VIEW_COUNT; v++) {
        uint64_t *w = map_slot(m, set, v, ACC_READ, vpn);

        for (unsigned i = 0; i < n; i++)
            code |= (uint32_t)w[i * MAP_WORDS + ACC_EXEC] != 0;
        zero_words(w, n * MAP_WORDS * 8ull);
    }
    if (code)
        returns_forget(m->cpu, set);
}

static void set_flush_page(struct tcg_mmu *m, unsigned i, uint64_t va)
{
    struct mmu_set *s = &m->set[i];
    uint64_t vpn = vpn_of(va);

    forget_pages(m);
    if (s->huge)
        set_flush(m, i, false);
    else if (bloom_test(s->large_bloom, vpn >> 9))
        clear_slots(m, i, vpn & ~1023ull, 1024);     /* the page has 2 or 4 MiB */
    else
        clear_slots(m, i, vpn, 1);
}

#else

static void drop_everything(struct tcg_mmu *m)
{
    forget_pages(m);
    memset(m->hash, 0, VIEW_COUNT * sizeof(*m->hash));
    m->set[0].huge = false;
    m->flushes++;
}

#endif

static void load_view(struct tcg_cpu *cpu)
{
#if TCG_FLAT_MAPS
    struct tcg_mmu *m = cpu->mmu;
    uintptr_t base = (uintptr_t)view_base(m, m->cur, m->view);

    if (cpu->map_base == base)
        return;
    cpu->map_base = base;
    forget_pages(m);
#endif
}

void tcg_mmu_set_view(struct tcg_cpu *cpu, enum tcg_view v)
{
    cpu->mmu->view = v;
    load_view(cpu);
}

void tcg_mmu_flush(struct tcg_cpu *cpu, bool global)
{
    struct tcg_mmu *m = cpu->mmu;

    cpu->mmu_flushes++;
#if TCG_FLAT_MAPS
    for (unsigned i = 0; i < MAP_SETS; i++)
        if (m->set[i].journal[0] | m->set[i].journal[1])
            set_flush(m, i, !global);
    m->flushes++;
#else
    drop_everything(m);
#endif
    log_ev(LOG_MMU, "mmu: flush global=%d\n", global);
}

#if TCG_FLAT_MAPS
static int find_set(const struct tcg_mmu *m, uint32_t tag)
{
    for (unsigned i = 0; i < MAP_SETS; i++)
        if (m->set[i].valid && m->set[i].tag == tag)
            return (int)i;
    return -1;
}
#endif

#if TCG_FLAT_MAPS
/* A set for a new tag: an unused one, or the one that was switched to longest ago. */
static unsigned set_choose(struct tcg_mmu *m)
{
    unsigned best = 0;

    for (unsigned k = 0; k < m->n_sets; k++) {
        if (!m->set[k].valid) {
            if (set_reserve(m, k))
                return k;
            m->n_sets = k;   /* no room for more: make do with these */
            break;
        }
        if (m->set[k].used < m->set[best].used)
            best = k;
    }
    return best;
}
#endif

void tcg_mmu_switch(struct tcg_cpu *cpu, uint32_t tag, bool flush)
{
    struct tcg_mmu *m = cpu->mmu;

    cpu->mmu_flushes++;
#if TCG_FLAT_MAPS
    int i = find_set(m, tag);
    if (i < 0) {
        i = (int)set_choose(m);
        set_flush(m, (unsigned)i, true);
        m->set[i].valid = true;
        m->set[i].tag = tag;
    } else if (flush) {
        set_flush(m, (unsigned)i, true);
    }
    m->cur = (unsigned)i;
    m->set[i].used = ++m->clock;
    load_view(cpu);
    returns_select(cpu);
#else
    drop_everything(m);
#endif
    log_ev(LOG_MMU, "mmu: switch tag=%u flush=%d\n", tag, flush);
}

void tcg_mmu_flush_page(struct tcg_cpu *cpu, uint64_t va)
{
    struct tcg_mmu *m = cpu->mmu;

    cpu->mmu_flushes++;
#if TCG_FLAT_MAPS
    set_flush_page(m, m->cur, va);
    for (unsigned i = 0; i < MAP_SETS; i++)
        if (i != m->cur && m->set[i].journal[1]
            && (m->set[i].huge || bloom_test(m->set[i].global_bloom, vpn_of(va))
                || bloom_test(m->set[i].global_bloom, vpn_of(va) | 511)))
            set_flush_page(m, i, va);
#else
    for (unsigned v = 0; v < VIEW_COUNT; v++)
        for (unsigned k = 0; k < 3; k++)
            m->hash[v][k][vpn_of(va) & (MMU_HASH - 1)].tag = 0;
    if (m->set[0].huge)      /* entries of large pages: forget all */
        drop_everything(m);
#endif
    log_ev(LOG_MMU, "mmu: flush page=%#llx\n", (unsigned long long)va);
}

void tcg_mmu_flush_tag(struct tcg_cpu *cpu, uint32_t tag)
{
    cpu->mmu_flushes++;
#if TCG_FLAT_MAPS
    int i = find_set(cpu->mmu, tag);
    if (i >= 0)
        set_flush(cpu->mmu, (unsigned)i, true);
#else
    drop_everything(cpu->mmu);
#endif
}

void tcg_mmu_flush_tag_page(struct tcg_cpu *cpu, uint32_t tag, uint64_t va)
{
    cpu->mmu_flushes++;
#if TCG_FLAT_MAPS
    int i = find_set(cpu->mmu, tag);
    if (i >= 0)
        set_flush_page(cpu->mmu, (unsigned)i, va);
#else
    drop_everything(cpu->mmu);
#endif
}

#define KEEP_BESIDE 4        /* fourth words that survive; bounds what is walked next time */

/* No writes to @page without asking; at most @keep fourth words stay. */
static void drop_writes(struct tcg_mmu *m, uint32_t page, unsigned keep)
{
    forget_pages(m);
#if TCG_FLAT_MAPS
    uint32_t kept = 0, next;

    for (uint32_t n = m->page_head[page]; n; n = next) {
        struct mmu_node *nd = &m->nodes[n - 1];

        next = nd->next_page;
        if (!keep || slot_word(nd->slot) != MAP_BESIDE || !*(uint64_t *)nd->slot) {
            slot_clear(nd->slot);
            continue;
        }
        map_set(slot_entry(nd->slot), ACC_WRITE, 0, 0);
        nd->next_page = kept;
        kept = n;
        keep--;
    }
    m->page_head[page] = kept;
#else
    for (unsigned v = 0; v < VIEW_COUNT; v++)
        memset(m->hash[v][ACC_WRITE], 0, sizeof(m->hash[v][ACC_WRITE]));
#endif
}

void mmu_protect_page(struct tcg_cpu *cpu, uint32_t page)
{
    drop_writes(cpu->mmu, page, KEEP_BESIDE);
}

void mmu_protect_all(struct tcg_cpu *cpu)
{
    drop_everything(cpu->mmu);
}

void tcg_mmu_watch(struct tcg_cpu *cpu, uint32_t ram_page, uint32_t n, const uint8_t *noted)
{
    for (uint32_t i = 0; i < n; i++) {
        if (__atomic_load_n(&noted[i], __ATOMIC_RELAXED))
            continue;
#if TCG_FLAT_MAPS
        if (cpu->mmu->page_head[ram_page + i])
            drop_writes(cpu->mmu, ram_page + i, 0);
#else
        drop_writes(cpu->mmu, ram_page + i, 0);   /* takes out all */
        return;
#endif
    }
}

/* ---- life ------------------------------------------------------------------------------ */

int tcg_mmu_init(struct tcg_cpu *cpu, const struct phys_ops *phys, struct err *e)
{
    struct tcg_mmu *m = aligned_alloc(64, align_up(sizeof(*m), 64));
    int r;

    if (!m)
        return err_set(e, -ENOMEM, "no memory for the soft MMU");
    zero_words(m, sizeof(*m));
    m->tcg = cpu->tcg;
    m->cpu = cpu;
    forget_pages(m);
    r = maps_init(m, e);

    if (r) {
        free(m);
        return r;
    }
#if TCG_FLAT_MAPS
    m->nodes = mmap(NULL, MMU_NODES * sizeof(*m->nodes), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m->nodes == MAP_FAILED) {
        m->nodes = NULL;
        cpu->mmu = m;
        tcg_mmu_free(cpu);
        return err_set(e, -ENOMEM, "no memory for the page-map journal");
    }
#endif
    m->page_head = xzalloc(align_up(phys->n_ram_pages * 4ull, 8));
    m->set[0].valid = true;
    cpu->mmu = m;
    load_view(cpu);
    return 0;
}

void tcg_mmu_free(struct tcg_cpu *cpu)
{
    struct tcg_mmu *m = cpu->mmu;

    if (!m)
        return;
#if TCG_FLAT_MAPS
    for (unsigned i = 0; i < MAP_SETS; i++)
        if (m->base[i])
            munmap(m->base[i], set_bytes(m));
    if (m->nodes)
        munmap(m->nodes, MMU_NODES * sizeof(*m->nodes));
#endif
    free(m->hash);
    free(m->page_head);
    free(m);
    cpu->mmu = NULL;
}
