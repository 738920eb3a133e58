/*
 * bt-map.c - changes of the memory map, and of RAM behind the CPU's back
 *
 * A new map is published at once. On the vCPU's own thread (a port write that moves
 * a window) and while it is parked its page maps are emptied at once too; otherwise
 * that is left for the vCPU, which looks before it runs its next unchained block.
 *
 * Blocks made from RAM that a device has written are dropped at once when there are
 * several vCPUs; a single one, whose translations have no lock, does it like the above,
 * when there are such blocks.
 */
#include "accel/bt-int.h"

static void leave_work(struct bt_cpu *c, uint32_t what)
{
    __atomic_fetch_or(&c->work, what, __ATOMIC_SEQ_CST);
    tcg_kick(&c->ac.cpu->tcg);
}

/* ---- the map ------------------------------------------------------------------ */

/* Page numbers do not change, so translations stay; only where pages are seen. */
static void forget_map(struct bt_cpu *c)
{
    tcg_mmu_flush(&c->ac.cpu->tcg, true);
    tcg_kick(&c->ac.cpu->tcg);      /* no longer in chained code of the old map */
}

/* Cards go while all vCPUs are parked; should one run, their numbers wait for the next change. */
static void drop_stale(struct bt *bt, bool parked)
{
    uint32_t page, n;

    while (parked && bt_phys_take_stale(&bt->phys, &page, &n))
        for (; n; n--, page++)
            tcg_invalidate_phys(bt->tcg, page, 0, 4096);
}

void bt_map_changed(struct accel *a)
{
    struct bt *bt = a->bt;
    bool parked = true;

    bt_phys_rebuild(&bt->phys, bt->m);
    for (unsigned i = 0; i < bt->n_cpus; i++) {
        struct bt_cpu *c = &bt->cpus[i];

        pthread_mutex_lock(&c->ac.lock);
        if (c->ac.parked || accel_self(&c->ac))
            forget_map(c);
        else
            leave_work(c, WORK_REMAP);
        parked &= c->ac.parked;
        pthread_mutex_unlock(&c->ac.lock);
    }
    drop_stale(bt, parked);
    bt_phys_reclaim(&bt->phys, bt->tcg);
}

/* ---- RAM ------------------------------------------------------------------------- */

/* Bytes of @len at @gpa that lie in its page. @page: the page's number, none for a device. */
static unsigned first_piece(struct bt *bt, gpa_t gpa, uint64_t len, uint32_t *page)
{
    uint8_t *host;

    if (bt_phys_find(&bt->phys, align_down(gpa, 4096), &host, page) == PHYS_MMIO)
        *page = UINT32_MAX;
    return MIN(len, 4096 - gpa % 4096);
}

static void invalidate(struct bt *bt, gpa_t gpa, uint64_t len)
{
    uint32_t page;

    for (unsigned n; len; gpa += n, len -= n) {
        n = first_piece(bt, gpa, len, &page);
        tcg_invalidate_phys(bt->tcg, page, gpa % 4096, n);
    }
}

/* For the state hashes. */
static void note_pages(struct bt *bt, gpa_t gpa, uint64_t len)
{
    uint32_t page;

    for (unsigned n; len; gpa += n, len -= n) {
        n = first_piece(bt, gpa, len, &page);
        if (page < bt->n_hashed)
            __atomic_store_n(&bt->hash_written[page], 1, __ATOMIC_RELAXED);
    }
}

/* Few writes meet code: buffers of disks and networks would fill the queue in no time. */
static void queue_write(struct bt_cpu *c, gpa_t gpa, uint64_t len)
{
    uint32_t page;

    for (unsigned n; len; gpa += n, len -= n) {
        n = first_piece(c->bt, gpa, len, &page);
        if (!tcg_may_hold_code(c->bt->tcg, page, gpa % 4096, n))
            continue;
        if (c->n_writes == BT_WRITES) {
            leave_work(c, WORK_INVALIDATE_ALL);
            return;
        }
        c->writes[c->n_writes++] = (struct bt_write){ gpa, n };
        leave_work(c, WORK_INVALIDATE);
    }
}

void bt_ram_written(struct accel *a, gpa_t gpa, uint64_t len)
{
    struct bt *bt = a->bt;
    struct bt_cpu *c = &bt->cpus[0];

    if (bt->n_cpus > 1) {        /* translations have a lock of their own then */
        invalidate(bt, gpa, len);
        return;
    }
    if (bt->n_hashed)
        note_pages(bt, gpa, len);
    pthread_mutex_lock(&c->ac.lock);
    if (c->ac.parked || accel_self(&c->ac))
        invalidate(bt, gpa, len);
    else
        queue_write(c, gpa, len);
    pthread_mutex_unlock(&c->ac.lock);
}

/* ---- pages whose writes somebody wants to hear of ------------------------------------- */

/* The ticket is read first: what is clean by then is taken out of the maps. */
static void watch_pages(struct bt_cpu *c)
{
    uint64_t ticket = __atomic_load_n(&c->bt->watch, __ATOMIC_SEQ_CST);
    const struct bt_phys *p = &c->bt->phys;
    uint32_t n = __atomic_load_n(&p->n_blocks, __ATOMIC_ACQUIRE);

    for (uint32_t i = 0; i < n; i++) {
        uint8_t *written = __atomic_load_n(&p->block[i].written, __ATOMIC_ACQUIRE);

        if (written)
            tcg_mmu_watch(&c->ac.cpu->tcg, p->block[i].page, p->block[i].len / 4096, written);
    }
    __atomic_store_n(&c->watching, ticket, __ATOMIC_SEQ_CST);
}

uint64_t bt_watch(struct accel *a)
{
    struct bt *bt = a->bt;
    uint64_t ticket = __atomic_add_fetch(&bt->watch, 1, __ATOMIC_SEQ_CST);

    for (unsigned i = 0; i < bt->n_cpus; i++) {
        struct bt_cpu *c = &bt->cpus[i];

        pthread_mutex_lock(&c->ac.lock);
        if (c->ac.parked || accel_self(&c->ac))
            watch_pages(c);
        else
            leave_work(c, WORK_WATCH);
        pthread_mutex_unlock(&c->ac.lock);
    }
    return ticket;
}

/* A halted vCPU has written all that it had to, and looks before it goes on. */
static bool cpu_watches(struct bt_cpu *c, uint64_t ticket)
{
    if (__atomic_load_n(&c->ac.sleeping, __ATOMIC_SEQ_CST)
        || __atomic_load_n(&c->watching, __ATOMIC_SEQ_CST) >= ticket)
        return true;
    pthread_mutex_lock(&c->ac.lock);
    if (c->ac.parked)               /* before it came to it */
        watch_pages(c);
    pthread_mutex_unlock(&c->ac.lock);
    return __atomic_load_n(&c->watching, __ATOMIC_SEQ_CST) >= ticket;
}

bool bt_watching(struct accel *a, uint64_t ticket)
{
    struct bt *bt = a->bt;

    for (unsigned i = 0; i < bt->n_cpus; i++)
        if (!cpu_watches(&bt->cpus[i], ticket))
            return false;
    return true;
}

/* ---- what was left ------------------------------------------------------------------ */

void bt_do_work(struct bt_cpu *c)
{
    uint32_t work = __atomic_exchange_n(&c->work, 0, __ATOMIC_SEQ_CST);

    if (work & WORK_REMAP)
        forget_map(c);
    if (work & WORK_WATCH)
        watch_pages(c);
    if (work & WORK_FERR)
        bt_raise_ferr(c);
    if (!(work & (WORK_INVALIDATE | WORK_INVALIDATE_ALL)))
        return;
    pthread_mutex_lock(&c->ac.lock);
    if (work & WORK_INVALIDATE_ALL)
        tcg_flush_all(c->bt->tcg, TCG_FLUSH_OVERRUN);
    for (unsigned i = 0; i < c->n_writes; i++)
        invalidate(c->bt, c->writes[i].gpa, c->writes[i].len);
    c->n_writes = 0;
    pthread_mutex_unlock(&c->ac.lock);
}
