/*
 * sg.c - scatter lists over guest memory
 */
#include <stdlib.h>
#include "hw/dma/sg.h"

void sg_init(struct sg *s, const struct dma *dma, bool to_memory)
{
    s->dma = dma;
    s->to_memory = to_memory;
    s->n = s->bounced = 0;
    s->bytes = 0;
    s->cap = SG_INLINE;
    s->piece = s->small;
    s->iov = s->small_iov;
}

static bool sg_grow(struct sg *s)
{
    unsigned cap = s->cap * 4;
    struct sg_piece *p = malloc(cap * sizeof *p);
    struct iovec *iov = malloc(cap * sizeof *iov);

    if (!p || !iov) {
        free(p);
        free(iov);
        return false;
    }
    memcpy(p, s->piece, s->n * sizeof *p);
    if (s->piece != s->small) {
        free(s->piece);
        free(s->iov);
    }
    s->piece = p;
    s->iov = iov;
    s->cap = cap;
    return true;
}

static int sg_append(struct sg *s, gpa_t gpa, uint64_t len, uint8_t *host, bool bounce)
{
    struct sg_piece *last = s->n ? &s->piece[s->n - 1] : NULL;

    if (last && !bounce && !last->bounce && last->gpa + last->len == gpa &&
        last->host + last->len == host) {
        last->len += len;
        s->bytes += len;
        return 0;
    }
    if (s->n == SG_MAX_PIECES)
        return -E2BIG;
    if (s->n == s->cap && !sg_grow(s))
        return -ENOMEM;
    s->piece[s->n++] = (struct sg_piece){ gpa, len, host, bounce };
    s->bytes += len;
    return 0;
}

/* How far from @gpa there is no usable memory, page by page; more than can be had is not walked. */
static uint64_t hole_len(struct sg *s, gpa_t gpa, uint64_t len)
{
    uint64_t at = 4096 - gpa % 4096, one;

    len = MIN(len, SG_MAX_BOUNCE + 1ull);
    while (at < len && (one = 1, !mem_host(&s->dma->m->mem, gpa + at, &one, s->to_memory)))
        at += 4096;
    return MIN(at, len);
}

static int sg_add_bounce(struct sg *s, gpa_t gpa, uint64_t len)
{
    uint8_t *buf;
    int ret;

    log_guest(LOG_DMA, "gpa=%#llx len=%#llx write=%d not memory", (unsigned long long)gpa,
              (unsigned long long)len, s->to_memory);
    if (len > SG_MAX_BOUNCE - s->bounced)
        return -EFAULT;
    buf = calloc(1, len);
    if (!buf)
        return -ENOMEM;
    ret = sg_append(s, gpa, len, buf, true);
    if (ret < 0)
        free(buf);
    else
        s->bounced += len;
    return ret;
}

static int sg_add_physical(struct sg *s, gpa_t gpa, uint64_t len)
{
    while (len) {
        uint64_t n = len;
        uint8_t *host = mem_host(&s->dma->m->mem, gpa, &n, s->to_memory);
        int ret;

        if (host) {
            ret = sg_append(s, gpa, n, host, false);
        } else {
            n = hole_len(s, gpa, len);
            ret = sg_add_bounce(s, gpa, n);
        }
        if (ret < 0)
            return ret;
        gpa += n;
        len -= n;
    }
    return 0;
}

int sg_add(struct sg *s, uint64_t addr, uint64_t len)
{
    if (len > UINT64_MAX - addr)
        return -EFAULT;
    while (len) {
        uint64_t n = len;
        gpa_t gpa;
        int ret;

        if (dma_translate(s->dma, addr, s->to_memory, &gpa, &n))
            ret = sg_add_physical(s, gpa, n);
        else
            ret = sg_add_bounce(s, addr, n);
        if (ret < 0)
            return ret;
        addr += n;
        len -= n;
    }
    return 0;
}

const struct iovec *sg_iov(struct sg *s, uint64_t skip, uint64_t len, unsigned *n)
{
    *n = 0;
    for (unsigned i = 0; i < s->n && len; i++) {
        const struct sg_piece *p = &s->piece[i];
        uint64_t here;

        if (skip >= p->len) {
            skip -= p->len;
            continue;
        }
        here = MIN(len, p->len - skip);
        s->iov[(*n)++] = (struct iovec){ p->host + skip, here };
        len -= here;
        skip = 0;
    }
    return s->iov;
}

/* Copies between @buf and the list; which way is decided by @put. */
static uint64_t sg_copy(const struct sg *s, uint64_t skip, uint8_t *buf, uint64_t len, bool put)
{
    uint64_t done = 0;

    for (unsigned i = 0; i < s->n && done < len; i++) {
        const struct sg_piece *p = &s->piece[i];
        uint64_t here;

        if (skip >= p->len) {
            skip -= p->len;
            continue;
        }
        here = MIN(len - done, p->len - skip);
        if (put)
            memcpy(p->host + skip, buf + done, here);
        else
            memcpy(buf + done, p->host + skip, here);
        done += here;
        skip = 0;
    }
    return done;
}

uint64_t sg_get(const struct sg *s, uint64_t skip, void *buf, uint64_t len)
{
    return sg_copy(s, skip, buf, len, false);
}

uint64_t sg_put(struct sg *s, uint64_t skip, const void *buf, uint64_t len)
{
    return s->to_memory ? sg_copy(s, skip, (uint8_t *)buf, len, true) : 0;
}

void sg_done(struct sg *s, uint64_t written)
{
    for (unsigned i = 0; s->to_memory && i < s->n && written; i++) {
        const struct sg_piece *p = &s->piece[i];
        uint64_t n = MIN(written, p->len);

        if (!p->bounce)
            mem_dirtied(&s->dma->m->mem, p->gpa, n);
        written -= n;
    }
    sg_free(s);
}

void sg_free(struct sg *s)
{
    for (unsigned i = 0; s->bounced && i < s->n; i++)
        if (s->piece[i].bounce)
            free(s->piece[i].host);
    if (s->piece != s->small) {
        free(s->piece);
        free(s->iov);
    }
    sg_init(s, s->dma, s->to_memory);
}

uint8_t *dma_host(const struct dma *d, uint64_t addr, uint64_t *len, bool write, gpa_t *gpa)
{
    if (!dma_translate(d, addr, write, gpa, len))
        return NULL;
    return mem_host(&d->m->mem, *gpa, len, write);
}

bool dma_get(const struct dma *d, uint64_t addr, void *buf, uint64_t len)
{
    uint8_t *p = buf;

    while (len) {
        uint64_t n = len;
        gpa_t gpa;
        uint8_t *host = dma_host(d, addr, &n, false, &gpa);

        if (!host) {
            memset(p, 0, len);
            log_guest(LOG_DMA, "addr=%#llx no memory to read", (unsigned long long)addr);
            return false;
        }
        memcpy(p, host, n);
        p += n, addr += n, len -= n;
    }
    return true;
}

bool dma_put(const struct dma *d, uint64_t addr, const void *buf, uint64_t len)
{
    const uint8_t *p = buf;

    while (len) {
        uint64_t n = len;
        gpa_t gpa;
        uint8_t *host = dma_host(d, addr, &n, true, &gpa);

        if (!host) {
            log_guest(LOG_DMA, "addr=%#llx no RAM to write", (unsigned long long)addr);
            return false;
        }
        memcpy(host, p, n);
        mem_dirtied(&d->m->mem, gpa, n);
        p += n, addr += n, len -= n;
    }
    return true;
}
