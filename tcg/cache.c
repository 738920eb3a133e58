/*
 * cache.c - memory for translated code, mapped twice: writable at one address,
 * executable at another, so that no page is ever both
 */
#define _GNU_SOURCE
#include "tcg/tcg-int.h"
#include <sys/mman.h>
#include <unistd.h>

/* What the parts of a whole boot and a compiler's run came to. */
#define HOT_PERCENT 42

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
    return 0;
}

void cache_empty(struct code_cache *c)
{
    c->used = 0;
    c->cold = c->cold_used = align_up(c->bytes / 100 * HOT_PERCENT, PAGE_SIZE);
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
