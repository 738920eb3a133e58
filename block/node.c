/*
 * node.c - media: choosing the format, opening the chain of backing files
 *
 * A name found inside an image is a plain local file name and nothing else:
 * no "json:", no "nbd:", no URL. Image files are data that others made; what
 * they name is opened read-only, and only where the user asked for the chain.
 */
#define _GNU_SOURCE 1
#include <sys/stat.h>
#include "block/block-int.h"

const struct block_driver *const block_drivers[] = {
    &qcow2_driver, &vmdk_driver, &vdi_driver, &vpc_driver, &raw_driver,
};
const unsigned block_n_drivers = ARRAY_SIZE(block_drivers);

/** block_find_driver() - by its name on the command line, or NULL */
const struct block_driver *block_find_driver(const char *name)
{
    for (unsigned i = 0; i < block_n_drivers; i++)
        if (!strcmp(block_drivers[i]->name, name))
            return block_drivers[i];
    return NULL;
}

const struct block_driver *block_probe_file(struct bfile *f)
{
    uint8_t head[2048];
    const struct block_driver *best = &raw_driver;
    int64_t len = bfile_length(f);
    int score = 0;

    if (len <= 0 || bfile_pread(f, 0, head, sizeof(head)))
        return best;
    for (unsigned i = 0; i < block_n_drivers; i++) {
        int s = block_drivers[i]->probe(head, sizeof(head), (uint64_t)len);
        if (s > score) {
            score = s;
            best = block_drivers[i];
        }
    }
    return best;
}

char *backing_path(const char *from, const char *name, struct err *e)
{
    const char *slash = strrchr(from, '/');
    const char *colon = strchr(name, ':'), *first = strchr(name, '/');

    if (!strncmp(name, "file:", 5)) /* the local protocol, said aloud */
        name += 5;
    else if (colon && (!first || colon < first)) {
        err_set(e, -EINVAL, "'%s' names '%s', which is no plain file name; "
                "protocols in images are not followed", from, name);
        return NULL;
    }
    if (*name == '/' || !slash)
        return xstrdup(name);
    return xasprintf("%.*s/%s", (int)(slash - from), from, name);
}

/* images from the top of a chain to where it is being opened */
struct chain {
    dev_t dev;
    ino_t ino;
    const struct chain *above;
};

static int enter_chain(struct bnode *b, struct chain *me, struct err *e)
{
    struct stat st;

    me->above = b->opts.chain;
    me->dev = 0;
    me->ino = 0;
    if (b->file->fd < 0 || fstat(b->file->fd, &st))
        return 0;
    me->dev = st.st_dev;
    me->ino = st.st_ino;
    for (const struct chain *c = me->above; c; c = c->above)
        if (c->ino == me->ino && c->dev == me->dev)
            return err_set(e, -ELOOP, "'%s' is its own backing file", b->filename);
    return 0;
}

/* the file under @b, opened for reading */
static int open_backing(struct bnode *b, struct err *e)
{
    struct chain me;
    const char *name = b->opts.backing ? b->opts.backing : b->backing_file;
    struct block_opts o;
    char *path;

    if (!name || b->opts.no_backing)
        return 0;
    if (b->depth + 1 >= BLOCK_MAX_CHAIN)
        return err_set(e, -ELOOP, "'%s': more than %d backing files under one another (a loop?)",
                       b->filename, BLOCK_MAX_CHAIN);
    if (enter_chain(b, &me, e))
        return -ELOOP;
    path = b->opts.backing ? xstrdup(name) : backing_path(b->filename, name, e);
    if (!path)
        return -EINVAL;
    block_opts_init(&o);
    o.file = path;
    o.readonly = true;
    o.cache = b->opts.cache;
    o.force_share = b->opts.force_share;
    o.no_lock = b->opts.no_lock;
    o.allow_dirty = true;
    o.chain = &me;
    if (b->opts.backing && b->opts.backing_format)
        o.format = xstrdup(b->opts.backing_format);
    if (b->backing_fmt && !b->opts.backing) {
        if (!block_find_driver(b->backing_fmt)) {
            int r = err_set(e, -EINVAL, "'%s': unknown backing format '%s'", b->filename, b->backing_fmt);
            block_opts_free(&o);
            return r;
        }
        o.format = xstrdup(b->backing_fmt);
    }
    b->backing = bnode_open(&o, b->depth + 1, e);
    block_opts_free(&o);
    if (b->backing)
        b->backing->opts.chain = NULL;
    return b->backing ? 0 : -EINVAL;
}

struct bnode *bnode_open_file(struct bfile *f, const struct block_driver *d,
                              const struct block_opts *o, unsigned depth, struct err *e)
{
    struct bnode *b = xzalloc(sizeof(*b));
    int r;

    b->drv = d ? d : block_probe_file(f);
    b->file = f;
    b->depth = depth;
    b->readonly = f->readonly || o->readonly;
    block_opts_copy(&b->opts, o);
    b->filename = xstrdup(f->path);
    if (!b->readonly && !b->drv->can_write) {
        r = err_set(e, -ENOTSUP, "'%s': format %s can be read, not written (use readonly=on, or convert it)",
                    b->filename, b->drv->name);
    } else {
        r = b->drv->open(b, e);
        if (!r && b->length > BLOCK_MAX_BYTES)
            r = err_set(e, -EFBIG, "'%s': the disk's size is out of range", b->filename);
        if (!r && (r = open_backing(b, e)) && b->drv->close)
            b->drv->close(b);
    }
    if (!r)
        return b;
    bfile_close(f);
    free(b->filename);
    free(b->backing_file);
    free(b->backing_fmt);
    block_opts_free(&b->opts);
    free(b);
    return NULL;
}

struct bnode *bnode_open(const struct block_opts *o, unsigned depth, struct err *e)
{
    const struct block_driver *d = o->format ? block_find_driver(o->format) : NULL;
    bool write = !o->readonly && !o->snapshot;
    struct bfile *f;
    int r = 0;

    if (o->format && !d) {
        err_set(e, -EINVAL, "Unknown driver '%s'", o->format);
        return NULL;
    }
    f = bfile_open(o->file, o, write, &r, e);
    if (!f && write && o->auto_readonly && (r == -EACCES || r == -EROFS || r == -EPERM))
        f = bfile_open(o->file, o, false, &r, e);
    return f ? bnode_open_file(f, d, o, depth, e) : NULL;
}

/** bnode_close() - write back and close the whole chain; first error, or 0 */
int bnode_close(struct bnode *b)
{
    int ret = 0;

    while (b) {
        struct bnode *below = b->backing;
        int r = b->drv->close ? b->drv->close(b) : 0;
        if (!ret)
            ret = r;
        bfile_close(b->file);
        free(b->filename);
        free(b->backing_file);
        free(b->backing_fmt);
        block_opts_free(&b->opts);
        free(b);
        b = below;
    }
    return ret;
}

/** bnode_preadv() - read; past the node's end come zeroes (short backing files) */
int bnode_preadv(struct bnode *b, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len)
{
    uint64_t inside = off < b->length ? MIN(len, b->length - off) : 0;
    struct iovec tmp[BLOCK_MAX_IOV];

    if (inside == len)
        return len ? b->drv->preadv(b, off, iov, n, len) : 0;
    iov_zero(iov, n, inside, len - inside);
    if (!inside)
        return 0;
    n = iov_slice(tmp, iov, MIN(n, BLOCK_MAX_IOV), 0, inside);
    return b->drv->preadv(b, off, tmp, n, inside);
}

int bnode_flush(struct bnode *b)
{
    return b->readonly || !b->drv->flush ? 0 : b->drv->flush(b);
}

/** bnode_map() - the extent at @off, looked up through the chain */
int bnode_map(struct bnode *b, uint64_t off, uint64_t max, struct block_extent *x)
{
    unsigned depth = 0;

    for (; b; b = b->backing, depth++) {
        int r;
        memset(x, 0, sizeof(*x));
        x->off = off;
        x->depth = depth;
        x->file = b->file->path;
        if (off >= b->length) {
            /* above a short backing file: zeroes of the image that asks */
            x->len = max;
            x->zero = true;
            x->present = depth > 0;
            x->depth = depth ? depth - 1 : 0;
            x->file = NULL;
            return 0;
        }
        max = MIN(max, b->length - off);
        r = b->drv->map(b, off, max, x);
        if (r)
            return r;
        x->len = MIN(x->len, max);
        if (!x->len)
            return -EIO;
        if (x->present)
            return 0;
        max = x->len;
        if (!b->backing) {
            x->zero = true;
            return 0;
        }
    }
    return -ENOMEDIUM;
}

/* ---- new images ---------------------------------------------------------------------- */

int block_may_create(const char *format, const struct block_create *c, struct err *e)
{
    const struct block_driver *d = block_find_driver(format);

    if (!d)
        return err_set(e, -EINVAL, "Unknown file format '%.64s'", format);
    if (!d->can_create)
        return err_set(e, -ENOTSUP, "Format driver '%s' does not support image creation", format);
    if (c->backing && !d->can_backing)
        return err_set(e, -EINVAL, "Backing file not supported for file format '%s'", format);
    if (c->backing_fmt && !block_find_driver(c->backing_fmt))
        return err_set(e, -EINVAL, "Unknown backing file format '%.64s'", c->backing_fmt);
    return 0;
}

int block_create(const char *format, const struct block_create *c, struct err *e)
{
    int ret = block_may_create(format, c, e);

    return ret < 0 ? ret : block_find_driver(format)->create(c, e);
}
