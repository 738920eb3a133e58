/*
 * fault.c - a layer around a file through which tests see and fail operations
 */
#include "block/block-int.h"

struct layer {
    int (*hook)(void *, enum bfile_event, uint64_t, const struct iovec *, unsigned, uint64_t);
    void *opaque;
};

static int ask(struct bfile *f, enum bfile_event ev, uint64_t off, const struct iovec *iov,
               unsigned n, uint64_t len)
{
    struct layer *l = f->priv;

    return l->hook(l->opaque, ev, off, iov, n, len);
}

static int layer_preadv(struct bfile *f, uint64_t off, const struct iovec *iov, unsigned n)
{
    int r = ask(f, BEV_READ, off, iov, n, iov_bytes(iov, n));

    return r ? r : bfile_preadv(f->inner, off, iov, n);
}

static int layer_pwritev(struct bfile *f, uint64_t off, const struct iovec *iov, unsigned n)
{
    int r = ask(f, BEV_WRITE, off, iov, n, iov_bytes(iov, n));

    return r ? r : bfile_pwritev(f->inner, off, iov, n);
}

static int layer_flush(struct bfile *f)
{
    int r = ask(f, BEV_FLUSH, 0, NULL, 0, 0);

    return r ? r : bfile_flush(f->inner);
}

static int layer_discard(struct bfile *f, uint64_t off, uint64_t len)
{
    int r = ask(f, BEV_DISCARD, off, NULL, 0, len);

    return r ? r : bfile_discard(f->inner, off, len);
}

static int layer_zero(struct bfile *f, uint64_t off, uint64_t len, bool unmap)
{
    int r = ask(f, BEV_ZERO, off, NULL, 0, len);

    return r ? r : f->inner->ops->zero(f->inner, off, len, unmap);
}

static int64_t layer_length(struct bfile *f)
{
    return bfile_length(f->inner);
}

static int layer_truncate(struct bfile *f, uint64_t len)
{
    int r = ask(f, BEV_TRUNCATE, len, NULL, 0, len);

    return r ? r : bfile_truncate(f->inner, len);
}

static void layer_close(struct bfile *f)
{
    bfile_close(f->inner);
    free(f->priv);
}

static const struct bfile_ops layer_ops = {
    .preadv = layer_preadv, .pwritev = layer_pwritev, .flush = layer_flush,
    .discard = layer_discard, .zero = layer_zero, .length = layer_length,
    .truncate = layer_truncate, .close = layer_close,
};

struct bfile *bfile_layer(struct bfile *f,
                          int (*hook)(void *opaque, enum bfile_event ev, uint64_t off,
                                      const struct iovec *iov, unsigned n, uint64_t len),
                          void *opaque)
{
    struct bfile *l = xzalloc(sizeof(*l));
    struct layer *p = xzalloc(sizeof(*p));

    p->hook = hook;
    p->opaque = opaque;
    l->ops = &layer_ops;
    l->path = xstrdup(f->path);
    l->fd = -1; /* nothing passes the hook by */
    l->readonly = f->readonly;
    l->align = 1;
    l->inner = f;
    l->priv = p;
    pthread_rwlock_init(&l->rmw, NULL);
    return l;
}
