/*
 * dirty.c - which pages of a RAM region were written
 *
 * A vCPU's write map lacks the pages that are clean, so the first write to one comes
 * to the slow path, which sets its byte. Taking a page makes it clean, but a vCPU
 * learns of that a little later. What it writes until then lands in a page that
 * was read already: so a page that was taken is "settling" and is reported once more
 * after all vCPUs have noticed.
 */
#include <stdlib.h>
#include "hw/hw-int.h"

#define PAGE 4096u

void mem_track(struct mem_region *r)
{
    struct mem_dirty *d = xzalloc(sizeof *d);

    d->n_pages = r->len / PAGE;
    d->written = xmalloc(align_up(d->n_pages, 8));
    d->settling = xzalloc(align_up(d->n_pages, 8));
    memset(d->written, 1, d->n_pages);
    r->dirty = d;
}

void mem_untrack(struct mem_region *r)
{
    if (r->dirty) {
        free(r->dirty->written);
        free(r->dirty->settling);
    }
    free(r->dirty);
    r->dirty = NULL;
}

static uint64_t watch(struct mem_map *mm)
{
    uint64_t ticket = 0;

    for (struct mem_listener *l = mm->listeners; l; l = l->next)
        if (l->watch)
            ticket = l->watch(l->opaque);
    return ticket;
}

static bool watching(struct mem_map *mm, uint64_t ticket)
{
    for (struct mem_listener *l = mm->listeners; l; l = l->next)
        if (l->watching && !l->watching(l->opaque, ticket))
            return false;
    return true;
}

static bool somebody_watches(const struct mem_map *mm)
{
    for (const struct mem_listener *l = mm->listeners; l; l = l->next)
        if (l->watch)
            return true;
    return false;
}

/* What the accelerator records elsewhere comes into "written". */
static void sync(struct mem_map *mm, struct mem_region *r)
{
    for (struct mem_listener *l = mm->listeners; l; l = l->next)
        if (l->dirty_sync)
            l->dirty_sync(l->opaque, r);
}

bool mem_dirty_take(struct mem_map *mm, struct mem_region *r, size_t page, size_t n,
                    uint8_t *out)
{
    struct mem_dirty *d = r->dirty;
    bool settled, any = false, fresh = false;

    sync(mm, r);
    settled = !d->any_settling || watching(mm, d->ticket);
    assert(page <= d->n_pages && n <= d->n_pages - page);
    for (size_t i = 0; i < n; i++) {
        uint8_t *written = &d->written[page + i], *settling = &d->settling[page + i];
        uint8_t now = 0;

        if (__atomic_load_n(written, __ATOMIC_RELAXED))
            now = __atomic_exchange_n(written, 0, __ATOMIC_SEQ_CST);
        out[i] = now | *settling;
        any |= out[i];
        fresh |= now;
        *settling = now | (*settling & !settled);
    }
    if (settled)
        d->any_settling = memchr(d->settling, 1, d->n_pages) != NULL;
    if (!fresh)
        return any;
    if (somebody_watches(mm)) {
        d->ticket = watch(mm);
        d->any_settling = true;
    } else {
        memset(d->settling, 0, d->n_pages);
        d->any_settling = false;
    }
    return any;
}
