/*
 * raw.c - an image without a format: the bytes of the file are the disk's
 *
 * offset= and size= choose a window. A file whose length is no multiple of
 * 512 reads as zeroes up to the next one, as a disk has whole sectors.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <unistd.h>
#include "block/block-int.h"

static int raw_probe(const uint8_t *head, size_t n, uint64_t bytes)
{
    return 1; /* whatever nobody else knows */
}

static int raw_open(struct bnode *b, struct err *e)
{
    int64_t len = bfile_length(b->file);
    uint64_t off = b->opts.offset, size = b->opts.size;

    if (len < 0)
        return err_set(e, (int)len, "Could not get the size of '%s': %s", b->filename, strerror((int)-len));
    if (off > (uint64_t)len || size > (uint64_t)len - off)
        return err_set(e, -EINVAL, "offset %llu and size %llu do not fit in '%s' of %lld bytes",
                       (unsigned long long)off, (unsigned long long)size, b->filename, (long long)len);
    b->length = size ? size : align_up((uint64_t)len - off, 512);
    return 0;
}

static int raw_preadv(struct bnode *b, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len)
{
    return bfile_preadv(b->file, off + b->opts.offset, iov, n);
}

static int raw_pwritev(struct bnode *b, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len)
{
    return bfile_pwritev(b->file, off + b->opts.offset, iov, n);
}

static int raw_flush(struct bnode *b)
{
    return bfile_flush(b->file);
}

static int raw_discard(struct bnode *b, uint64_t off, uint64_t len)
{
    return bfile_discard(b->file, off + b->opts.offset, len);
}

static int raw_zero(struct bnode *b, uint64_t off, uint64_t len, bool unmap)
{
    return bfile_zero(b->file, off + b->opts.offset, len, unmap);
}

static int raw_map(struct bnode *b, uint64_t off, uint64_t max, struct block_extent *x)
{
    int fd = b->file->fd;
    off_t at = (off_t)(off + b->opts.offset), end = at + (off_t)max, next;

    x->host_off = (uint64_t)at;
    x->host_valid = true;
    x->present = true;
    x->data = true;
    x->len = max;
    if (fd < 0)
        return 0;
    next = lseek(fd, at, SEEK_DATA);
    if (next < 0 && errno != ENXIO)
        return 0; /* a file system that cannot tell: all data */
    if (next < 0 || next > at) {
        x->data = false;
        x->zero = true;
        x->len = next < 0 || next > end ? max : (uint64_t)(next - at);
        return 0;
    }
    next = lseek(fd, at, SEEK_HOLE);
    if (next > at && next < end)
        x->len = (uint64_t)(next - at);
    return 0;
}

static bool raw_fast_try(struct bnode *b, bool write, uint64_t off, uint64_t len,
                         struct bfile **file, uint64_t *host_off, struct range *r)
{
    *file = b->file;
    *host_off = off + b->opts.offset;
    return true;
}

static int raw_truncate(struct bnode *b, uint64_t bytes, bool shrink, struct err *e)
{
    int r;

    if (b->opts.size)
        return err_set(e, -ENOTSUP, "Cannot resize a window (size=) of a file");
    r = bfile_truncate(b->file, bytes + b->opts.offset);
    if (r)
        return err_set(e, r, "Could not resize '%s': %s", b->filename, strerror(-r));
    b->length = bytes;
    return 0;
}

static void raw_info(struct bnode *b, struct block_info *i)
{
}

static int raw_create(const struct block_create *c, struct err *e)
{
    const char *p = c->prealloc ? c->prealloc : "off";
    struct bfile *f;
    int r = 0;

    if (!strcmp(p, "metadata"))
        return err_set(e, -EINVAL, "Unsupported preallocation mode: metadata");
    f = bfile_create(c->file, e);
    if (!f)
        return -EIO;
    if (f->is_blk && (uint64_t)bfile_length(f) >= c->size) {
        bfile_close(f);
        return 0;
    }
    if (!strcmp(p, "falloc"))
        r = c->size ? -posix_fallocate(f->fd, 0, (off_t)c->size) : 0;
    else
        r = bfile_truncate(f, c->size);
    if (!r && !strcmp(p, "full")) {
        char *z = xzalloc(MiB);
        for (uint64_t at = 0; at < c->size && !r; at += MiB)
            r = bfile_pwrite(f, at, z, MIN(MiB, c->size - at));
        free(z);
        r = r ? r : bfile_flush(f);
    }
    if (r)
        err_set(e, r, "Could not make '%s' %llu bytes long: %s", c->file,
                (unsigned long long)c->size, strerror(-r));
    bfile_close(f);
    return r;
}

const struct block_driver raw_driver = {
    .name = "raw", .can_write = true, .can_create = true,
    .probe = raw_probe, .open = raw_open, .preadv = raw_preadv, .pwritev = raw_pwritev,
    .flush = raw_flush, .discard = raw_discard, .zero = raw_zero, .map = raw_map,
    .fast_try = raw_fast_try, .truncate = raw_truncate,
    .info = raw_info, .create = raw_create,
};
