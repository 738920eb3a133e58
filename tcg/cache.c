/*
 * cache.c - memory for translated code, mapped twice: writable at one address,
 * executable at another, so that no page is ever both
 */
#define _GNU_SOURCE
#include "tcg/tcg-int.h"
#include <sys/mman.h>
#include <unistd.h>

/* The host makes this much memory ready at once: cheaper than a page fault for each page and mapping. */
#define STRETCH (256 * KiB)
#define MARGIN (64 * KiB)    /* more than any block takes */

/* What the parts of a whole boot and a compiler's run came to. */
#define HOT_PERCENT 60

/* perf looks into its map file only for memory that is no file's. Of that a second
 * mapping is had from mremap() with length 0. */
static void map_nameless(struct code_cache *c, size_t bytes)
{
    c->fd = -1;
    c->rx = MAP_FAILED;
    c->rw = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c->rw != MAP_FAILED)
        c->rx = mremap(c->rw, 0, bytes, MREMAP_MAYMOVE);
    if (c->rx != MAP_FAILED && mprotect(c->rx, bytes, PROT_READ | PROT_EXEC))
        c->rx = MAP_FAILED;
}

int cache_init(struct code_cache *c, size_t bytes, bool nameless, struct err *e)
{
    bytes = align_up(bytes, 2 * MiB);
    if (nameless) {
        map_nameless(c, bytes);
    } else {
        c->fd = memfd_create("transom-code", MFD_CLOEXEC);
        if (c->fd < 0 || ftruncate(c->fd, (off_t)bytes) < 0)
            return err_set(e, -errno, "cannot create the code cache (%zu MiB): %s",
                           bytes >> 20, strerror(errno));
        c->rw = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
        c->rx = mmap(NULL, bytes, PROT_READ | PROT_EXEC, MAP_SHARED, c->fd, 0);
    }
    if (c->rw == MAP_FAILED || c->rx == MAP_FAILED)
        return err_set(e, -errno, "cannot map the code cache (%zu MiB): %s",
                       bytes >> 20, strerror(errno));
    c->bytes = bytes;
    cache_empty(c);
    c->ready = 0;
    c->cold_ready = c->cold;
    return 0;
}

void cache_empty(struct code_cache *c)
{
    c->used = 0;
    c->cold = c->cold_used = align_up(c->bytes / 100 * HOT_PERCENT, PAGE_SIZE);
}

static void populate(uint8_t *at, size_t bytes, bool written)
{
#ifdef MADV_POPULATE_WRITE   /* Linux 5.14; where it fails each page comes by a fault */
    (void)!madvise(at, bytes, written ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
#endif
}

/* Bytes from *@ready on that are to be made ready when @used are in use, of @end at most; mostly 0. */
static size_t next_stretch(size_t *ready, size_t used, size_t end)
{
    size_t n;

    if (likely(used + MARGIN <= *ready))
        return 0;
    n = MIN(end - *ready, (size_t)STRETCH);
    *ready += n;
    return n;
}

void cache_ready(struct code_cache *c)
{
    size_t hot = next_stretch(&c->ready, c->used, c->cold), at = c->ready - hot;
    size_t cold = next_stretch(&c->cold_ready, c->cold_used, c->bytes), cold_at = c->cold_ready - cold;

    if (hot) {
        populate(c->rw + at, hot, true);
        populate(c->rx + at, hot, false);
    }
    if (cold) {
        populate(c->rw + cold_at, cold, true);
        populate(c->rx + cold_at, cold, false);
    }
}

void arena_ready(uint8_t *arena, size_t *ready, size_t used, size_t bytes)
{
    size_t n = next_stretch(ready, used, bytes);

    if (n)
        populate(arena + *ready - n, n, true);
}

void cache_free(struct code_cache *c)
{
    if (!c->bytes)
        return;
    munmap(c->rw, c->bytes);
    munmap(c->rx, c->bytes);
    if (c->fd >= 0)
        close(c->fd);
    c->bytes = 0;
}
