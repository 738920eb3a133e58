/*
 * bt-phys.c - RAM and ROM pages by guest physical address, for the soft MMU
 *
 * What is below "looking up" runs on page-map misses and on raised exceptions,
 * when the host's vector registers may hold the guest's: this file is built
 * with -mgeneral-regs-only on x86-64 hosts, and those functions call nothing.
 */
#include <stdlib.h>
#include "accel/bt-int.h"
#include "hw/outside.h"

#define PAGE 4096u

/* ---- rebuilding ------------------------------------------------------------- */

void bt_phys_init(struct bt_phys *p, const struct machine *m)
{
    p->map = p->retired = NULL;
    p->n_blocks = p->changes = 0;
    p->n_pages = m->cfg.ram_bytes / PAGE;
    p->max_pages = p->n_pages + BT_EXTRA_PAGES;
}

static bool host_within(const uint8_t *host, uint64_t len, const uint8_t *of, uint64_t of_len)
{
    return host >= of && len <= of_len && (uint64_t)(host - of) <= of_len - len;
}

/* A block of @n pages: one whose region has gone, or a new one. NULL: there are no numbers left. */
static struct bt_block *block_for(struct bt_phys *p, uint64_t n)
{
    struct bt_block *b;

    for (unsigned i = 0; i < p->n_blocks; i++)
        if (!p->block[i].host && !p->block[i].stale && p->block[i].n_pages >= n)
            return &p->block[i];
    if (p->n_blocks == BT_BLOCKS || n > p->max_pages - p->n_pages)
        return NULL;
    b = &p->block[p->n_blocks];
    *b = (struct bt_block){ .page = p->n_pages, .n_pages = n };
    p->n_pages += n;
    __atomic_store_n(&p->n_blocks, p->n_blocks + 1, __ATOMIC_RELEASE);
    return b;
}

/*
 * Number of the page at @host, which belongs to @r. Windows of RAM elsewhere
 * (shadow RAM) have the numbers of that RAM. False: there are none left.
 */
static bool page_number(struct bt_phys *p, const struct machine *m, const struct mem_region *r,
                        const uint8_t *host, uint64_t len, uint32_t *page)
{
    struct bt_block *b;

    if (host_within(host, len, m->ram, m->cfg.ram_bytes)) {
        *page = (host - m->ram) / PAGE;
        return true;
    }
    for (unsigned i = 0; i < p->n_blocks; i++) {
        b = &p->block[i];
        if (b->host && host_within(host, len, b->host, b->len)) {
            *page = b->page + (host - b->host) / PAGE;
            return true;
        }
    }
    b = block_for(p, r->len / PAGE);
    if (!b)
        return false;
    b->host = r->host;
    b->len = r->len;
    __atomic_store_n(&b->written, r->dirty ? r->dirty->written : NULL, __ATOMIC_RELEASE);
    *page = b->page + (host - r->host) / PAGE;
    return true;
}

/* Blocks without a region that lies in them: a card has been taken out, its memory is about to be freed. */
static void drop_blocks(struct bt_phys *p, const struct machine *m)
{
    for (unsigned i = 0; i < p->n_blocks; i++) {
        struct bt_block *b = &p->block[i];
        const struct mem_region *r = m->mem.regions;

        while (r && !(b->host && r->host && host_within(r->host, r->len, b->host, b->len)))
            r = r->next;
        if (r || !b->host)
            continue;
        __atomic_store_n(&b->written, NULL, __ATOMIC_RELEASE);
        b->host = NULL;
        b->stale = true;
    }
}

bool bt_phys_take_stale(struct bt_phys *p, uint32_t *page, uint32_t *n)
{
    for (unsigned i = 0; i < p->n_blocks; i++) {
        struct bt_block *b = &p->block[i];

        if (!b->stale)
            continue;
        b->stale = false;
        *page = b->page;
        *n = b->n_pages;
        return true;
    }
    return false;
}

/* The whole pages of @f, when it is memory; others stay device accesses, which
 * are always right. */
static void add_piece(struct bt_phys *p, struct bt_map *map, const struct machine *m,
                      const struct mem_flat *f)
{
    gpa_t base = align_up(f->base, PAGE), end = align_down(f->base + f->len, PAGE);
    struct mem_region *r = f->region;
    uint8_t *host;
    uint32_t page;

    if (r->kind == MEM_MMIO || end <= base || map->n_pieces == BT_PIECES)
        return;
    host = r->host + f->offset + (base - f->base);
    if ((uintptr_t)host % PAGE || !page_number(p, m, r, host, end - base, &page))
        return;
    map->piece[map->n_pieces++] = (struct bt_piece){
        base, end, host, page, r->kind == MEM_RAM ? PHYS_RAM : PHYS_ROM };
}

void bt_phys_rebuild(struct bt_phys *p, const struct machine *m)
{
    struct bt_map *map = xmalloc(sizeof *map), *old = p->map;

    drop_blocks(p, m);
    map->n_pieces = map->last = 0;
    for (size_t i = 0; i < m->mem.n_flat; i++)
        add_piece(p, map, m, &m->mem.flat[i]);
    __atomic_store_n(&p->map, map, __ATOMIC_RELEASE);
    __atomic_fetch_add(&p->changes, 1, __ATOMIC_RELEASE);
    if (old) {
        old->retired_in = 0;
        old->next = p->retired;
        p->retired = old;
    }
}

void bt_phys_reclaim(struct bt_phys *p, struct tcg *t)
{
    for (struct bt_map **pp = &p->retired; *pp;) {
        struct bt_map *map = *pp;

        if (!map->retired_in)
            map->retired_in = tcg_epoch(t);
        if (tcg_passed(t, map->retired_in, NULL)) {
            *pp = map->next;
            free(map);
        } else {
            pp = &map->next;
        }
    }
}

void bt_phys_free(struct bt_phys *p)
{
    for (struct bt_map *map = p->retired, *next; map; map = next) {
        next = map->next;
        free(map);
    }
    free(p->map);
    p->map = p->retired = NULL;
}

/* ---- looking up ---------------------------------------------------------------- */

static bool piece_has(const struct bt_map *m, uint32_t i, gpa_t gpa)
{
    return gpa >= m->piece[i].base && gpa < m->piece[i].end;
}

static uint32_t piece_search(const struct bt_map *m, gpa_t gpa)
{
    uint32_t lo = 0, hi = m->n_pieces;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (gpa >= m->piece[mid].end)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < m->n_pieces && gpa >= m->piece[lo].base ? lo : m->n_pieces;
}

enum phys_kind bt_phys_find(struct bt_phys *p, gpa_t gpa, uint8_t **host, uint32_t *page)
{
    struct bt_map *m = __atomic_load_n(&p->map, __ATOMIC_ACQUIRE);
    uint32_t i = __atomic_load_n(&m->last, __ATOMIC_RELAXED);
    const struct bt_piece *f;

    if (unlikely(i >= m->n_pieces || !piece_has(m, i, gpa))) {
        i = piece_search(m, gpa);
        if (i >= m->n_pieces)
            return PHYS_MMIO;
        __atomic_store_n(&m->last, i, __ATOMIC_RELAXED);
    }
    f = &m->piece[i];
    *host = f->host + (gpa - f->base);
    *page = f->page + (uint32_t)((gpa - f->base) / PAGE);
    return f->kind;
}

enum phys_kind bt_lookup(void *opaque, gpa_t gpa, uint8_t **host, uint32_t *page)
{
    struct bt *bt = opaque;

    return bt_phys_find(&bt->phys, gpa, host, page);
}

/* A change meanwhile makes the window old, not wrong: the count is that of before. */
void bt_window(void *opaque, gpa_t gpa, struct phys_window *w)
{
    struct bt_phys *p = &((struct bt *)opaque)->phys;
    uint32_t changes = __atomic_load_n(&p->changes, __ATOMIC_ACQUIRE);
    const struct bt_map *m = __atomic_load_n(&p->map, __ATOMIC_ACQUIRE);
    uint32_t i = piece_search(m, gpa);
    const struct bt_piece *f = &m->piece[i];

    if (i < m->n_pieces && f->kind == PHYS_RAM)
        *w = (struct phys_window){ f->base, f->end - f->base, f->host, f->page, changes };
}

void bt_note_write(void *opaque, uint32_t page)
{
    struct bt *bt = opaque;
    struct bt_phys *p = &bt->phys;
    uint32_t n = __atomic_load_n(&p->n_blocks, __ATOMIC_ACQUIRE);

    if (unlikely(page < bt->n_hashed))
        __atomic_store_n(&bt->hash_written[page], 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < n; i++) {
        const struct bt_block *b = &p->block[i];
        uint8_t *written = __atomic_load_n(&b->written, __ATOMIC_ACQUIRE);

        if (written && page - b->page < b->len / PAGE)
            __atomic_store_n(&written[page - b->page], 1, __ATOMIC_SEQ_CST);
    }
}

uint64_t bt_a20_mask(void *opaque)
{
    struct bt_cpu *c = opaque;

    return __atomic_load_n(&c->bt->m->mem.a20_mask, __ATOMIC_RELAXED);
}

uint32_t bt_intr(void *opaque)
{
    struct bt_cpu *c = opaque;

    uint32_t mask = unlikely(c->single) ? 0 : unlikely(c->ac.no_irq) ? VCPU_INTR_EXIT : ~0u;

    return __atomic_load_n(&c->ac.vcpu.intr, __ATOMIC_SEQ_CST) & mask;
}

uint64_t bt_tsc(void *opaque)
{
    struct bt_cpu *c = opaque;
    struct accel *a = c->bt->a;
    struct tcg_cpu *tc = &c->ac.cpu->tcg;
    unsigned what;
    uint64_t v;

    if (likely(!a->opt.icount.on && !c->bt->m->outside->observe))
        return accel_tsc(a);
    what = tcg_vec_put(tc);
    v = accel_tsc(a);
    tcg_vec_back(tc, what);
    return v;
}

void bt_prompt(void *opaque)
{
    struct bt_cpu *c = opaque;
    struct tcg_cpu *tc = &c->ac.cpu->tcg;
    unsigned what = tcg_vec_put(tc);

    bt_run_prompt(c);
    tcg_vec_back(tc, what);
}

bool bt_deliver(struct tcg_cpu *tc)
{
    struct bt_cpu *c = container_of(X86(tc)->bus, struct bt_cpu, bus);

    return !c->single && !c->ac.debugged && x86_deliver_quick(tc);
}

void bt_set_ferr(void *opaque, int level)
{
    struct bt_cpu *c = opaque;

    if (!level)
        return;                  /* a write to port 0xF0 lowers the line */
    __atomic_fetch_or(&c->work, WORK_FERR, __ATOMIC_SEQ_CST);
    tcg_kick(&c->ac.cpu->tcg);
}
