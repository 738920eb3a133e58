/*
 * chr-ringbuf.c - a back end of memory: keeps the last bytes written, which a monitor
 * reads; and takes input from there
 */
#include <stdlib.h>
#include "ui/chardev-int.h"

#define RINGBUF_BYTES 65536
#define RINGBUF_MAX   (16 * MiB)

struct ringbuf {
    struct chr chr;
    uint8_t *buf;
    size_t size, head, count;    /* size: a power of two; head: the oldest byte */
};

static int ringbuf_out(struct chardev *c, const uint8_t *buf, int len)
{
    struct ringbuf *r = (struct ringbuf *)c;

    for (int i = 0; i < len; i++) {
        r->buf[(r->head + r->count) & (r->size - 1)] = buf[i];
        if (r->count < r->size)
            r->count++;
        else
            r->head = (r->head + 1) & (r->size - 1);
    }
    return len;
}

static void ringbuf_poll_input(struct chardev *c)
{
}

static void ringbuf_close(struct chardev *c)
{
    struct ringbuf *r = (struct ringbuf *)c;

    free(r->buf);
    chr_head_free(&r->chr);
}

struct chardev *chr_open_ringbuf(const struct chr_spec *s, struct err *e)
{
    static const char *const known[] = { "size", NULL };
    uint64_t size = RINGBUF_BYTES;
    struct ringbuf *r;

    if (chr_options(s, known, e) < 0 || chr_number(s, "size", RINGBUF_MAX, &size, e) < 0)
        return NULL;
    if (!size || (size & (size - 1))) {
        err_set(e, -EINVAL, "%s: size=: a power of two is wanted", s->what);
        return NULL;
    }
    r = xzalloc(sizeof(*r));
    r->chr.c = (struct chardev){ .write = ringbuf_out, .poll_input = ringbuf_poll_input,
                                 .close = ringbuf_close };
    r->chr.c.label = r->chr.label = xstrdup(s->label);
    r->chr.desc = xstrdup("ringbuf");
    r->chr.ringbuf = r;
    r->size = size;
    r->buf = xmalloc(size);
    return &r->chr.c;
}

int chardev_ringbuf_read(struct chardev *c, uint8_t *buf, size_t len, struct err *e)
{
    struct ringbuf *r = ((struct chr *)c)->ringbuf;
    size_t n;

    if (!r)
        return err_set(e, -EINVAL, "%s is not a ringbuf device", c->label);
    n = MIN(len, r->count);
    for (size_t i = 0; i < n; i++)
        buf[i] = r->buf[(r->head + i) & (r->size - 1)];
    r->head = (r->head + n) & (r->size - 1);
    r->count -= n;
    return (int)n;
}

/* What a monitor writes is kept like what a guest writes: it is read back from here. */
int chardev_ringbuf_write(struct chardev *c, const uint8_t *buf, size_t len, struct err *e)
{
    struct ringbuf *r = ((struct chr *)c)->ringbuf;

    if (!r)
        return err_set(e, -EINVAL, "%s is not a ringbuf device", c->label);
    ringbuf_out(&r->chr.c, buf, (int)len);
    return 0;
}
