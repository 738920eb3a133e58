/*
 * rng.c - sources of random bytes for devices
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include "hw/misc/rng.h"
#include "hw/outside.h"

struct rng *rng_find(struct machine *m, const char *id)
{
    struct rng *r = m->rngs;

    while (r && strcmp(r->id, id))
        r = r->next;
    return r;
}

struct rng *rng_new(struct machine *m, const char *id, const char *filename, struct err *e)
{
    struct rng *r;
    int fd = -1;

    if (rng_find(m, id)) {
        err_set(e, -EEXIST, "id '%s' is taken", id);
        return NULL;
    }
    if (filename && (fd = open(filename, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)) < 0) {
        err_set(e, -errno, "%s: %s", filename, strerror(errno));
        return NULL;
    }
    r = xzalloc(sizeof *r);
    *r = (struct rng){ .id = xstrdup(id), .machine = m, .fd = fd, .next = m->rngs };
    m->rngs = r;
    return r;
}

static void rng_free(struct rng *r)
{
    if (r->fd >= 0)
        close(r->fd);
    free(r->id);
    free(r);
}

int rng_del(struct rng *r, struct err *e)
{
    struct rng **p = &r->machine->rngs;

    if (r->users)
        return err_set(e, -EBUSY, "object '%.64s' is in use, can not be deleted", r->id);
    while (*p != r)
        p = &(*p)->next;
    *p = r->next;
    rng_free(r);
    return 0;
}

void rngs_free(struct machine *m)
{
    struct rng *next;

    for (struct rng *r = m->rngs; r; r = next) {
        next = r->next;
        rng_free(r);
    }
    m->rngs = NULL;
}

static size_t from_host(const struct rng *r, void *buf, size_t len)
{
    ssize_t n = r->fd < 0 ? getrandom(buf, len, GRND_NONBLOCK) : read(r->fd, buf, len);

    return n > 0 ? (size_t)n : 0;
}

size_t rng_read(struct rng *r, void *buf, size_t len)
{
    size_t n = outside_counted(r->machine) ? len : from_host(r, buf, len);

    for (size_t at = 0; at < n; at += 8) {
        size_t part = MIN(n - at, (size_t)8);
        uint64_t v = 0;

        memcpy(&v, (uint8_t *)buf + at, part);
        v = outside_entropy(r->machine, v);
        memcpy((uint8_t *)buf + at, &v, part);
    }
    return n;
}
