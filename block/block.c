/*
 * block.c - drives: media that come and go, requests, statistics
 */
#define _GNU_SOURCE 1
#include "block/block-int.h"

struct block {
    struct block_ctx *ctx;
    struct bnode *node;         /* NULL: no medium */
    struct block_opts opts;
    atomic_uint in_flight;
    unsigned running;           /* busy workers; the context's lock */
    atomic_bool write_cache;    /* false: every write is followed by a flush */
    void (*change_cb)(void *);
    void *change_opaque;
    pthread_mutex_t lock;       /* stats */
    struct block_stats stats;
};

/* ---- opening ---------------------------------------------------------------------- */

/* snapshot=on: an overlay without a name above the medium that was asked for */
static struct bnode *open_overlay(const struct block_opts *o, struct err *e)
{
    struct block_create c = { 0 };
    struct block_opts oo;
    struct bnode *base = bnode_open(o, 1, e), *top;
    struct bfile *f = base ? bfile_tmp(e) : NULL;

    if (!f) {
        if (base)
            bnode_close(base);
        return NULL;
    }
    c.size = base->length;
    c.size_set = true;
    if (qcow2_format(f, &c, e)) {
        bfile_close(f);
        bnode_close(base);
        return NULL;
    }
    block_opts_init(&oo);
    oo.no_backing = true;
    oo.discard = o->discard;
    oo.cache = BLOCK_CACHE_UNSAFE;
    top = bnode_open_file(f, &qcow2_driver, &oo, 0, e);
    if (top)
        top->backing = base;
    else
        bnode_close(base);
    return top;
}

static int open_medium(struct block *b, const struct block_opts *o, struct err *e)
{
    struct block_opts old = b->opts;

    block_opts_copy(&b->opts, o);
    block_opts_free(&old);
    if (!o->file)
        return 0;
    b->node = o->snapshot ? open_overlay(o, e) : bnode_open(o, 0, e);
    return b->node ? 0 : -EINVAL;
}

static struct block *block_alloc(struct block_ctx *c, enum block_cache cache)
{
    struct block *b = xzalloc(sizeof(*b));

    b->ctx = c;
    pthread_mutex_init(&b->lock, NULL);
    atomic_store(&b->write_cache, cache != BLOCK_CACHE_WRITETHROUGH && cache != BLOCK_CACHE_DIRECTSYNC);
    return b;
}

struct block *block_open(struct block_ctx *c, const struct block_opts *o, struct err *e)
{
    struct block *b = block_alloc(c, o->cache);

    block_opts_init(&b->opts);
    if (!open_medium(b, o, e))
        return b;
    block_close(b);
    return NULL;
}

struct block *block_from_node(struct block_ctx *c, struct bnode *n)
{
    struct block *b = block_alloc(c, n->opts.cache);

    block_opts_copy(&b->opts, &n->opts);
    b->node = n;
    return b;
}

struct bnode *block_node(struct block *b)
{
    return b->node;
}

static int close_medium(struct block *b)
{
    struct bnode *n = b->node;

    block_drain(b);
    b->node = NULL;
    return n ? bnode_close(n) : 0;
}

int block_close(struct block *b)
{
    int r;

    if (!b)
        return 0;
    r = close_medium(b);
    block_opts_free(&b->opts);
    pthread_mutex_destroy(&b->lock);
    free(b);
    return r;
}

static void tell_change(struct block *b)
{
    if (b->change_cb)
        b->change_cb(b->change_opaque);
}

int block_change(struct block *b, const struct block_opts *o, struct err *e)
{
    int r = close_medium(b), r2;

    r2 = open_medium(b, o, e);
    tell_change(b);
    if (!r2 && r) /* the new one is in; what is lost is the old one's */
        return err_set(e, r, "The old medium could not be written back: %s", strerror(-r));
    return r2;
}

int block_eject(struct block *b)
{
    bool had = b->node != NULL;
    int r = close_medium(b);

    if (had)
        tell_change(b);
    return r;
}

bool block_present(const struct block *b)
{
    return b->node != NULL;
}

void block_set_change(struct block *b, void (*cb)(void *opaque), void *opaque)
{
    b->change_cb = cb;
    b->change_opaque = opaque;
}

/* ---- properties -------------------------------------------------------------------- */

uint64_t block_length(const struct block *b)
{
    return b->node ? b->node->length : 0;
}

bool block_readonly(const struct block *b)
{
    return b->node ? b->node->readonly : b->opts.readonly;
}

const struct block_opts *block_options(const struct block *b)
{
    return &b->opts;
}

bool block_write_cache(const struct block *b)
{
    return atomic_load(&b->write_cache);
}

void block_set_write_cache(struct block *b, bool on)
{
    atomic_store(&b->write_cache, on);
}

int block_get_info(const struct block *b, struct block_info *i)
{
    struct bnode *n = b->node;

    memset(i, 0, sizeof(*i));
    if (!n)
        return -ENOMEDIUM;
    i->format = n->drv->name;
    i->filename = n->filename;
    i->backing_file = n->backing_file;
    i->backing_format = n->backing_fmt;
    i->virtual_bytes = n->length;
    i->disk_bytes = bfile_allocated(n->file);
    if (n->drv->info)
        n->drv->info(n, i);
    for (n = n->backing; n; n = n->backing)
        i->backing_depth++;
    return 0;
}

void block_get_stats(const struct block *b, struct block_stats *s)
{
    struct block *w = (struct block *)b;

    pthread_mutex_lock(&w->lock);
    *s = b->stats;
    pthread_mutex_unlock(&w->lock);
}

void block_plug(struct block *b)
{
    block_ctx_plug(b->ctx);
}

void block_unplug(struct block *b)
{
    block_ctx_unplug(b->ctx);
}

/* ---- blocking operations -------------------------------------------------------------- */

/* what is wrong with a request before anything is touched; 0: nothing */
static int check_req(const struct block *b, enum block_op op, uint64_t off, uint64_t len)
{
    if (!b->node)
        return -ENOMEDIUM;
    if (op != BLOCK_READ && op != BLOCK_FLUSH && b->node->readonly)
        return -EROFS;
    if (op == BLOCK_FLUSH)
        return 0;
    if (off > b->node->length || len > b->node->length - off)
        return -EIO;
    if ((op == BLOCK_READ || op == BLOCK_WRITE) && len > BLOCK_MAX_TRANSFER)
        return -EINVAL;
    return 0;
}

static int do_zero(struct block *b, uint64_t off, uint64_t len, bool unmap)
{
    return b->node->drv->zero(b->node, off, len, unmap && b->opts.discard);
}

static int do_write(struct block *b, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len)
{
    enum block_detect_zeroes dz = b->opts.detect_zeroes;

    if (dz != BLOCK_DZ_OFF && iov_is_zero(iov, n))
        return do_zero(b, off, len, dz == BLOCK_DZ_UNMAP);
    return b->node->drv->pwritev(b->node, off, iov, n, len);
}

static int do_op(struct block *b, enum block_op op, unsigned flags, uint64_t off, uint64_t len,
                 const struct iovec *iov, unsigned n)
{
    int r = check_req(b, op, off, len);

    if (r || (!len && op != BLOCK_FLUSH))
        return r;
    switch (op) {
    case BLOCK_READ:
        return bnode_preadv(b->node, off, iov, n, len);
    case BLOCK_WRITE:
        r = do_write(b, off, iov, n, len);
        break;
    case BLOCK_FLUSH:
        return bnode_flush(b->node);
    case BLOCK_DISCARD:
        if (b->opts.discard && b->node->drv->discard)
            r = b->node->drv->discard(b->node, off, len);
        break;
    case BLOCK_WRITE_ZEROES:
        r = do_zero(b, off, len, flags & BLOCK_REQ_UNMAP);
        break;
    }
    if (!r && ((flags & BLOCK_REQ_FUA) || !atomic_load(&b->write_cache)))
        r = bnode_flush(b->node);
    return r;
}

int block_pread(struct block *b, uint64_t off, void *buf, uint64_t len)
{
    struct iovec v = { buf, len };

    return do_op(b, BLOCK_READ, 0, off, len, &v, 1);
}

int block_pwrite(struct block *b, uint64_t off, const void *buf, uint64_t len)
{
    struct iovec v = { (void *)buf, len };

    return do_op(b, BLOCK_WRITE, 0, off, len, &v, 1);
}

int block_flush(struct block *b)
{
    return do_op(b, BLOCK_FLUSH, 0, 0, 0, NULL, 0);
}

int block_discard(struct block *b, uint64_t off, uint64_t len)
{
    return do_op(b, BLOCK_DISCARD, 0, off, len, NULL, 0);
}

int block_write_zeroes(struct block *b, uint64_t off, uint64_t len, unsigned flags)
{
    return do_op(b, BLOCK_WRITE_ZEROES, flags, off, len, NULL, 0);
}

int block_resize(struct block *b, uint64_t bytes, struct err *e)
{
    int r;

    if (!b->node)
        return err_set(e, -ENOMEDIUM, "No medium");
    if (b->node->readonly)
        return err_set(e, -EROFS, "'%s' is read-only", b->node->filename);
    if (!b->node->drv->truncate)
        return err_set(e, -ENOTSUP, "Format %s cannot be resized", b->node->drv->name);
    if (bytes > BLOCK_MAX_BYTES)
        return err_set(e, -EFBIG, "The new size is out of range");
    block_drain(b);
    r = b->node->drv->truncate(b->node, bytes, bytes < b->node->length, e);
    if (!r)
        tell_change(b);
    return r;
}

int block_map(struct block *b, uint64_t off, uint64_t max, struct block_extent *x)
{
    int r = check_req(b, BLOCK_READ, off, 0);

    if (r)
        return r;
    if (off == b->node->length)
        return -EIO;
    return bnode_map(b->node, off, MIN(max, b->node->length - off), x);
}

/* ---- asynchronous requests -------------------------------------------------------------- */

static struct block_ctx *ctx_of(const struct block_req *r)
{
    return r->ctx ? r->ctx : r->blk->ctx;
}

static bool is_direct_ok(const struct bfile *f, uint64_t off, const struct block_req *r)
{
    uint64_t m = off | r->len;

    if (f->align <= 1)
        return true;
    for (unsigned i = 0; i < r->niov; i++)
        m |= (uintptr_t)r->iov[i].iov_base | r->iov[i].iov_len;
    return !(m & (f->align - 1));
}

static void end_fast(struct block *b, struct block_req *r)
{
    if (b->node->drv->fast_done)
        b->node->drv->fast_done(b->node, (struct range *)r->priv);
}

/* hand the transfer to io_uring when its place in the file is known at once */
static bool start_fast(struct block *b, struct block_req *r)
{
    struct range *range = (struct range *)r->priv;
    bool write = r->op == BLOCK_WRITE;
    struct bfile *f;
    uint64_t host;

    _Static_assert(sizeof(struct range) <= sizeof(r->priv), "room for a range in a request");
    if (!(r->op == BLOCK_READ || write) || !b->node->drv->fast_try ||
        (b->opts.aio_set && b->opts.aio == BLOCK_AIO_THREADS))
        return false;
    if (write && ((r->flags & BLOCK_REQ_FUA) || b->opts.detect_zeroes || !atomic_load(&b->write_cache)))
        return false;
    if (!b->node->drv->fast_try(b->node, write, r->off, r->len, &f, &host, range))
        return false;
    /* rmw: an O_DIRECT read-modify-write beside us would put old bytes back */
    if (f->fd >= 0 && !(write && f->direct) && is_direct_ok(f, host, r)) {
        r->kind = 1;
        if (ctx_ring(ctx_of(r), r, f->fd, host))
            return true;
    }
    r->kind = 0;
    end_fast(b, r);
    return false;
}

void block_submit(struct block *b, struct block_req *r)
{
    r->blk = b;
    r->ret = 0;
    r->kind = 0;
    r->start_ns = host_monotonic_ns();
    atomic_fetch_add(&b->in_flight, 1);
    r->ret = check_req(b, r->op, r->off, r->len);
    if (!r->ret && (r->op == BLOCK_READ || r->op == BLOCK_WRITE) &&
        (r->niov > BLOCK_MAX_IOV || iov_bytes(r->iov, r->niov) != r->len))
        r->ret = -EINVAL;
    if (r->ret || (!r->len && r->op != BLOCK_FLUSH))
        ctx_post(ctx_of(r), r);
    else if (!start_fast(b, r))
        ctx_run(ctx_of(r), r);
}

void block_req_run(struct block_req *r)
{
    r->ret = do_op(r->blk, r->op, r->flags, r->off, r->len, r->iov, r->niov);
}

bool block_req_ring_done(struct block_req *r, int res)
{
    end_fast(r->blk, r);
    r->kind = 0;
    if (res >= 0 && (uint64_t)res == r->len) {
        r->ret = 0;
        return true;
    }
    /* short, or not possible this way: the blocking call knows what to do */
    if (res >= 0 || res == -EAGAIN || res == -EINTR || res == -EINVAL || res == -EOPNOTSUPP ||
        res == -ECANCELED)
        return false;
    r->ret = res;
    return true;
}

static void account(struct block *b, const struct block_req *r)
{
    struct block_stats *s = &b->stats;
    uint64_t ns = (uint64_t)(host_monotonic_ns() - r->start_ns);
    bool ok = !r->ret;

    pthread_mutex_lock(&b->lock);
    switch (r->op) {
    case BLOCK_READ:
        ok ? (s->rd_ops++, s->rd_bytes += r->len, s->rd_ns += ns) : s->rd_failed++;
        break;
    case BLOCK_WRITE:
    case BLOCK_WRITE_ZEROES:
        ok ? (s->wr_ops++, s->wr_bytes += r->len, s->wr_ns += ns) : s->wr_failed++;
        if (ok)
            s->wr_highest_offset = MAX(s->wr_highest_offset, r->off + r->len);
        break;
    case BLOCK_FLUSH:
        ok ? (s->flush_ops++, s->flush_ns += ns) : s->flush_failed++;
        break;
    case BLOCK_DISCARD:
        ok ? (s->unmap_ops++, s->unmap_bytes += r->len, s->unmap_ns += ns) : s->unmap_failed++;
        break;
    }
    pthread_mutex_unlock(&b->lock);
}

void block_req_finish(struct block_req *r)
{
    struct block *b = r->blk;
    int ret = r->ret;

    account(b, r);
    r->state = REQ_IDLE;
    r->cb(r, ret); /* may free r, may submit */
    atomic_fetch_sub(&b->in_flight, 1);
}

unsigned *block_req_running(struct block_req *r)
{
    return &r->blk->running;
}

bool block_cancel(struct block_req *r)
{
    struct block_ctx *c = ctx_of(r);

    if (!ctx_unqueue(c, r))
        return false;
    r->ret = -ECANCELED;
    ctx_post(c, r);
    return true;
}

void block_drain(struct block *b)
{
    /* other contexts poll for themselves; look back every few ms */
    while (atomic_load(&b->in_flight))
        block_ctx_wait(b->ctx, 5000000);
}

unsigned block_in_flight(const struct block *b)
{
    return atomic_load(&((struct block *)b)->in_flight);
}

/* ---- snapshots --------------------------------------------------------------------------- */

static int snap_ok(struct block *b, bool have, bool write, struct err *e)
{
    if (!b->node)
        return err_set(e, -ENOMEDIUM, "No medium");
    if (!have)
        return err_set(e, -ENOTSUP, "Format %s has no internal snapshots", b->node->drv->name);
    if (write && b->node->readonly)
        return err_set(e, -EROFS, "'%s' is read-only", b->node->filename);
    block_drain(b);
    return 0;
}

int block_snapshot_list(struct block *b, struct block_snapshot **out, unsigned *n)
{
    *out = NULL;
    *n = 0;
    if (!b->node)
        return -ENOMEDIUM;
    return b->node->drv->snap_list ? b->node->drv->snap_list(b->node, out, n) : -ENOTSUP;
}

int block_snapshot_create(struct block *b, struct block_snapshot *s, struct err *e)
{
    int r = snap_ok(b, b->node && b->node->drv->snap_create, true, e);

    return r ? r : b->node->drv->snap_create(b->node, s, e);
}

int block_snapshot_apply(struct block *b, const char *id_or_name, struct err *e)
{
    int r = snap_ok(b, b->node && b->node->drv->snap_apply, true, e);

    if (!r)
        r = b->node->drv->snap_apply(b->node, id_or_name, e);
    if (!r)
        tell_change(b);
    return r;
}

int block_snapshot_delete(struct block *b, const char *id_or_name, struct err *e)
{
    int r = snap_ok(b, b->node && b->node->drv->snap_delete, true, e);

    return r ? r : b->node->drv->snap_delete(b->node, id_or_name, e);
}

static int vmstate(struct block *b, bool write, uint64_t off, void *buf, uint64_t len)
{
    if (!b->node)
        return -ENOMEDIUM;
    if (!b->node->drv->vmstate)
        return -ENOTSUP;
    if (write && b->node->readonly)
        return -EROFS;
    if (off > BLOCK_MAX_BYTES || len > BLOCK_MAX_TRANSFER)
        return -EINVAL;
    return b->node->drv->vmstate(b->node, write, off, buf, len);
}

int block_vmstate_read(struct block *b, uint64_t off, void *buf, uint64_t len)
{
    return vmstate(b, false, off, buf, len);
}

int block_vmstate_write(struct block *b, uint64_t off, const void *buf, uint64_t len)
{
    return vmstate(b, true, off, (void *)buf, len);
}
