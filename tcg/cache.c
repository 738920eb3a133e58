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

int cache_init(struct code_cache *c, size_t bytes, struct err *e)
{
    bytes = align_up(bytes, 2 * MiB);
    c->fd = memfd_create("transom-code", MFD_CLOEXEC);
    if (c->fd < 0 || ftruncate(c->fd, (off_t)bytes) < 0)
        return err_set(e, -errno, "cannot create the code cache (%zu MiB): %s",
                       bytes >> 20, strerror(errno));
    c->rw = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
    c->rx = mmap(NULL, bytes, PROT_READ | PROT_EXEC, MAP_SHARED, c->fd, 0);
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
    close(c->fd);
    c->bytes = 0;
}
