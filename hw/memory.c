/*
 * memory.c - guest physical address space
 *
 * Owners add regions; every change resolves them into a sorted array of
 * disjoint pieces, which is all that accesses look at. There are a few dozen
 * regions and changes are rare (BAR moves, PAM writes), so the rebuild is plain.
 */
#include <stdlib.h>
#include "hw/hw-int.h"

#define GPA_END BIT(52)   /* architectural limit: SDM vol. 3A, 4.1.4 */

/* ---- fitting an access to a device ------------------------------------- */

static unsigned ops_min(const struct io_ops *ops)
{
    return ops->min_bytes ? ops->min_bytes : 1;
}

static unsigned ops_max(const struct io_ops *ops)
{
    return ops->max_bytes ? ops->max_bytes : 4;
}

/* The largest power of two that device, alignment, region end and request allow. */
static unsigned io_chunk(const struct io_ops *ops, uint64_t off, uint64_t room,
                         unsigned want)
{
    unsigned n = MIN(ops_max(ops), 8u);

    while (n > 1 && (n > want || n > room || (off & (n - 1))))
        n >>= 1;
    return n;
}

static uint64_t io_read_widened(const struct io_ops *ops, void *opaque,
                                uint64_t len, uint64_t off, unsigned n)
{
    unsigned min = ops_min(ops);
    uint64_t start = align_down(off, min);

    if (n >= min || start + min > len)
        return ops->read(opaque, off, n) & size_mask(n);
    return ops->read(opaque, start, min) >> ((off - start) * 8) & size_mask(n);
}

uint64_t io_read(const struct io_ops *ops, void *opaque, uint64_t len,
                 uint64_t off, unsigned size)
{
    uint64_t val = ~0ull;
    unsigned done = 0;

    while (done < size && off + done < len) {
        unsigned n = io_chunk(ops, off + done, len - off - done, size - done);
        uint64_t mask = size_mask(n) << (done * 8), v = ~0ull;

        if (ops->read)
            v = io_read_widened(ops, opaque, len, off + done, n);
        val = (val & ~mask) | (v << (done * 8) & mask);
        done += n;
    }
    return val & size_mask(size);
}

void io_write(const struct io_ops *ops, void *opaque, uint64_t len,
              uint64_t off, uint64_t val, unsigned size)
{
    unsigned done = 0;

    while (ops->write && done < size && off + done < len) {
        unsigned n = io_chunk(ops, off + done, len - off - done, size - done);

        ops->write(opaque, off + done, val >> (done * 8) & size_mask(n), n);
        done += n;
    }
}

/* ---- resolving the map ---------------------------------------------------- */

/* First address after the region; 0-length when it lies outside the space. */
static gpa_t region_end(const struct mem_region *r)
{
    if (r->base >= GPA_END)
        return r->base;
    return r->len > GPA_END - r->base ? GPA_END : r->base + r->len;
}

static int cmp_gpa(const void *a, const void *b)
{
    gpa_t x = *(const gpa_t *)a, y = *(const gpa_t *)b;

    return x < y ? -1 : x > y;
}

/* Sorted start and end addresses of all enabled regions. */
static size_t map_cuts(const struct mem_map *mm, gpa_t **out)
{
    size_t n = 0;
    gpa_t *cuts;

    for (struct mem_region *r = mm->regions; r; r = r->next)
        n += 2;
    cuts = xmalloc((n + 1) * sizeof *cuts);
    n = 0;
    for (struct mem_region *r = mm->regions; r; r = r->next) {
        if (!r->enabled || region_end(r) <= r->base)
            continue;
        cuts[n++] = r->base;
        cuts[n++] = region_end(r);
    }
    qsort(cuts, n, sizeof *cuts, cmp_gpa);
    *out = cuts;
    return n;
}

/* Who answers at @gpa. The list is newest first, so ties go to the newest. */
static struct mem_region *map_winner(const struct mem_map *mm, gpa_t gpa)
{
    struct mem_region *best = NULL;

    for (struct mem_region *r = mm->regions; r; r = r->next)
        if (r->enabled && gpa >= r->base && gpa < region_end(r) &&
            (!best || r->prio > best->prio))
            best = r;
    return best;
}

static void map_rebuild(struct mem_map *mm)
{
    gpa_t *cuts;
    size_t n = map_cuts(mm, &cuts), used = 0;
    struct mem_flat *flat = xmalloc((n + 1) * sizeof *flat);

    for (size_t i = 0; i + 1 < n; i++) {
        struct mem_region *r;
        struct mem_flat *last = used ? &flat[used - 1] : NULL;

        if (cuts[i] == cuts[i + 1] || !(r = map_winner(mm, cuts[i])))
            continue;
        if (last && last->region == r && last->base + last->len == cuts[i])
            last->len += cuts[i + 1] - cuts[i];
        else
            flat[used++] = (struct mem_flat){ cuts[i], cuts[i + 1] - cuts[i], r,
                                              cuts[i] - r->base };
    }
    free(cuts);
    free(mm->flat);
    mm->flat = flat;
    mm->n_flat = used;
    mm->generation++;
}

void mem_update(struct mem_map *mm)
{
    map_rebuild(mm);
    for (size_t i = 0; log_on(LOG_PAGE) && i < mm->n_flat; i++)
        log_write("map gen=%u base=%#llx end=%#llx region=%s offset=%#llx",
                  mm->generation, (unsigned long long)mm->flat[i].base,
                  (unsigned long long)(mm->flat[i].base + mm->flat[i].len),
                  mm->flat[i].region->name,
                  (unsigned long long)mm->flat[i].offset);
    for (struct mem_listener *l = mm->listeners; l; l = l->next)
        if (l->map_changed)
            l->map_changed(l->opaque);
}

void mem_add(struct mem_map *mm, struct mem_region *r)
{
    r->next = mm->regions;
    mm->regions = r;
    mem_update(mm);
}

void mem_remove(struct mem_map *mm, struct mem_region *r)
{
    for (struct mem_region **p = &mm->regions; *p; p = &(*p)->next) {
        if (*p == r) {
            *p = r->next;
            r->next = NULL;
            mem_update(mm);
            return;
        }
    }
}

void mem_listen(struct mem_map *mm, struct mem_listener *l)
{
    l->next = mm->listeners;
    mm->listeners = l;
}

void mem_map_free(struct mem_map *mm)
{
    free(mm->flat);
    mm->flat = NULL;
    mm->n_flat = 0;
    mm->regions = NULL;
}

const struct mem_flat *mem_find(const struct mem_map *mm, gpa_t gpa)
{
    size_t lo = 0, hi = mm->n_flat;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const struct mem_flat *f = &mm->flat[mid];

        if (gpa < f->base)
            hi = mid;
        else if (gpa - f->base >= f->len)
            lo = mid + 1;
        else
            return f;
    }
    return NULL;
}

/* ---- accesses ----------------------------------------------------------------- */

static uint8_t *flat_host(const struct mem_flat *f, gpa_t gpa)
{
    return f->region->host + f->offset + (gpa - f->base);
}

void mem_dirty_set(struct mem_region *r, uint64_t off, uint64_t len)
{
    const struct mem_dirty *d = r->dirty;

    if (!d || !len)
        return;
    for (uint64_t p = off / 4096; p < d->n_pages && p <= (off + len - 1) / 4096; p++)
        if (!__atomic_load_n(&d->written[p], __ATOMIC_RELAXED))
            __atomic_store_n(&d->written[p], 1, __ATOMIC_SEQ_CST);
}

static void ram_written(struct mem_map *mm, const struct mem_flat *f, gpa_t gpa, uint64_t len)
{
    if (f && f->region->dirty)
        mem_dirty_set(f->region, f->offset + (gpa - f->base), len);
    for (struct mem_listener *l = mm->listeners; l; l = l->next)
        if (l->ram_written)
            l->ram_written(l->opaque, gpa, len);
}

uint8_t *mem_host(struct mem_map *mm, gpa_t gpa, uint64_t *len, bool write)
{
    const struct mem_flat *f = mem_find(mm, gpa);

    if (!f || f->region->kind == MEM_MMIO || (write && f->region->kind != MEM_RAM))
        return NULL;
    *len = MIN(*len, f->len - (gpa - f->base));
    return flat_host(f, gpa);
}

void mem_dirtied(struct mem_map *mm, gpa_t gpa, uint64_t len)
{
    ram_written(mm, mem_find(mm, gpa), gpa, len);
}

/* One access of at most 8 bytes that lies inside @f. */
static uint64_t flat_read(const struct mem_flat *f, gpa_t gpa, unsigned size)
{
    struct mem_region *r = f->region;
    uint64_t v = 0;

    if (r->kind == MEM_MMIO)
        return io_read(r->ops, r->opaque, r->len, f->offset + (gpa - f->base), size);
    memcpy(&v, flat_host(f, gpa), size);
    return v;
}

static void flat_write(struct mem_map *mm, const struct mem_flat *f, gpa_t gpa,
                       uint64_t val, unsigned size)
{
    struct mem_region *r = f->region;

    if (r->kind == MEM_MMIO) {
        io_write(r->ops, r->opaque, r->len, f->offset + (gpa - f->base), val, size);
    } else if (r->kind == MEM_RAM) {
        memcpy(flat_host(f, gpa), &val, size);
        ram_written(mm, f, gpa, size);
    } else if (r->ops) {
        io_write(r->ops, r->opaque, r->len, f->offset + (gpa - f->base), val, size);
    } else {
        log_guest(LOG_PAGE, "rom write gpa=%#llx size=%u region=%s",
                  (unsigned long long)gpa, size, r->name);
    }
}

uint64_t mmio_read(struct mem_map *mm, gpa_t gpa, unsigned size)
{
    const struct mem_flat *f = mem_find(mm, gpa);
    uint64_t v = 0;

    if (f && f->len - (gpa - f->base) >= size)
        return flat_read(f, gpa, size);
    if (!f && !mem_find(mm, gpa + size - 1)) {
        log_guest(LOG_PAGE, "open bus read gpa=%#llx size=%u",
                  (unsigned long long)gpa, size);
        return size_mask(size);
    }
    for (unsigned i = 0; i < size; i++) {      /* crosses a piece's end */
        f = mem_find(mm, gpa + i);
        v |= (f ? flat_read(f, gpa + i, 1) : 0xff) << (i * 8);
    }
    return v;
}

void mmio_write(struct mem_map *mm, gpa_t gpa, uint64_t val, unsigned size)
{
    const struct mem_flat *f = mem_find(mm, gpa);

    if (f && f->len - (gpa - f->base) >= size) {
        flat_write(mm, f, gpa, val, size);
        return;
    }
    if (!f && !mem_find(mm, gpa + size - 1)) {
        log_guest(LOG_PAGE, "open bus write gpa=%#llx val=%#llx size=%u",
                  (unsigned long long)gpa, (unsigned long long)val, size);
        return;
    }
    for (unsigned i = 0; i < size; i++)        /* a write may change the map */
        if ((f = mem_find(mm, gpa + i)))
            flat_write(mm, f, gpa + i, val >> (i * 8) & 0xff, 1);
}

/* Natural size for a block access to registers at @gpa with @left bytes to go. */
static unsigned mmio_step(gpa_t gpa, uint64_t left)
{
    unsigned n = 4;

    while (n > 1 && ((gpa & (n - 1)) || n > left))
        n >>= 1;
    return n;
}

/* What guest and devices do to the same bytes at the same time is the guest's affair: the
 * thread sanitizer is not to take it for ours. */
static void ram_copy(uint8_t *to, const uint8_t *from, uint64_t n)
{
#ifdef CONFIG_TSAN
    while (n--)
        __atomic_store_n(to++, __atomic_load_n(from++, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
#else
    memcpy(to, from, n);
#endif
}

void mem_read(struct mem_map *mm, gpa_t gpa, void *buf, uint64_t len)
{
    uint8_t *p = buf;

    while (len) {
        const struct mem_flat *f = mem_find(mm, gpa);
        uint64_t n = mmio_step(gpa, len), v;

        if (f && f->region->kind != MEM_MMIO) {
            n = MIN(len, f->len - (gpa - f->base));
            ram_copy(p, flat_host(f, gpa), n);
        } else {
            v = f ? mmio_read(mm, gpa, n) : ~0ull;
            memcpy(p, &v, n);
        }
        p += n, gpa += n, len -= n;
    }
}

void mem_write(struct mem_map *mm, gpa_t gpa, const void *buf, uint64_t len)
{
    const uint8_t *p = buf;

    while (len) {
        const struct mem_flat *f = mem_find(mm, gpa);
        uint64_t n = mmio_step(gpa, len), v = 0;

        if (f && f->region->kind != MEM_MMIO) {
            n = MIN(len, f->len - (gpa - f->base));
            if (f->region->kind == MEM_RAM) {
                ram_copy(flat_host(f, gpa), p, n);
                ram_written(mm, f, gpa, n);
            }
        } else if (f) {
            memcpy(&v, p, n);
            mmio_write(mm, gpa, v, n);
        }
        p += n, gpa += n, len -= n;
    }
}
