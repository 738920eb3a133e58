/*
 * file.c - a trace file as it is written: header, chunks one after the other or in a ring
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>
#include "trace/file.h"

#define MIN_SIZE (4 * TRACE_SLOT)

struct trace_file {
    int fd;
    pthread_mutex_t lock;        /* what follows */
    uint64_t next;               /* chunk number */
    uint64_t end;                /* where the next goes, when there is no ring */
    uint64_t limit;              /* bytes; 0: none */
    uint32_t slots;
    bool full;
};

static bool write_all(int fd, const void *p, size_t len, uint64_t at)
{
    while (len) {
        ssize_t n = pwrite(fd, p, len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p = (const char *)p + n;
        len -= (size_t)n;
        at += (uint64_t)n;
    }
    return true;
}

struct trace_file *trace_file_open(const struct trace_options *o, unsigned n_cpus, int ns_shift,
                                   struct err *e)
{
    char *name = o->file ? xstrdup(o->file) : xasprintf("transom-%d.trace", (int)getpid());
    struct trace_header h = { .magic = TRACE_MAGIC, .version = TRACE_VERSION, .bytes = sizeof h,
                              .kinds = o->kinds, .n_cpus = n_cpus };
    struct trace_file *f = xzalloc(sizeof *f);
    int code = 0;

    if (o->ring)
        h.slots = f->slots = (uint32_t)(MAX(o->size, MIN_SIZE) / TRACE_SLOT - 1);
    if (ns_shift >= 0) {
        h.flags = TRACE_COUNTED;
        h.ns_shift = (uint64_t)ns_shift;
    }
    pthread_mutex_init(&f->lock, NULL);
    f->limit = o->ring ? 0 : o->size;
    f->end = sizeof h;
    f->fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (f->fd < 0 || !write_all(f->fd, &h, sizeof h, 0))
        code = errno;
    if (code) {
        err_set(e, -code, "-trace file=%s: %s", name, strerror(code));
        trace_file_close(f);
        f = NULL;
    }
    free(name);
    return f;
}

/* Where chunk f->next goes. */
static uint64_t place(const struct trace_file *f)
{
    return f->slots ? (1 + f->next % f->slots) * TRACE_SLOT : f->end;
}

static uint32_t chunk_sum(const struct trace_chunk *c, const void *payload)
{
    size_t from = offsetof(struct trace_chunk, stream);

    return trace_sum(trace_sum(0, (const char *)c + from, sizeof *c - from), payload, c->bytes);
}

/* The header last: a reader sees the chunk when it is whole. */
static bool put(struct trace_file *f, const struct trace_chunk *c, const void *payload)
{
    uint64_t at = place(f);

    if (!write_all(f->fd, payload, c->bytes, at + sizeof *c) || !write_all(f->fd, c, sizeof *c, at)) {
        fprintf(stderr, "transom: -trace: %s; the trace ends here\n", strerror(errno));
        return false;
    }
    f->end = at + sizeof *c + c->bytes;
    f->next++;
    return true;
}

bool trace_file_write(struct trace_file *f, struct trace_chunk *c, const void *payload)
{
    bool ok;

    c->magic = TRACE_CHUNK_MAGIC;
    c->version = TRACE_VERSION;
    c->bytes = (uint32_t)((c->bits + 7) / 8);
    assert(c->bytes <= TRACE_SLOT - sizeof *c);
    pthread_mutex_lock(&f->lock);
    c->number = f->next;
    c->sum = chunk_sum(c, payload);
    if (f->limit && f->end + sizeof *c + c->bytes > f->limit)
        f->full = true;
    ok = !f->full && put(f, c, payload);
    f->full |= !ok;
    pthread_mutex_unlock(&f->lock);
    return ok;
}

void trace_file_close(struct trace_file *f)
{
    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
