/*
 * qcow2-create.c - new images
 *
 * Layout: header, refcount table, refcount blocks, L1 table; then nothing.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include "block/qcow2.h"

struct plan { uint64_t reft, blocks, l1, end; /* clusters of each, and their sum */ };

static struct plan plan_tables(const struct q2 *q, uint64_t l1_entries)
{
    struct plan p = { 1, 1, align_up(l1_entries * 8, q->cs) >> q->cluster_bits, 0 };

    for (;;) { /* blocks describe themselves: until they suffice */
        p.end = 1 + p.reft + p.blocks + p.l1;
        uint64_t blocks = (p.end + (1ull << q->per_bits) - 1) >> q->per_bits;
        uint64_t reft = align_up(blocks * 8, q->cs) >> q->cluster_bits;
        if (blocks <= p.blocks && reft <= p.reft)
            return p;
        p.blocks = MAX(blocks, p.blocks);
        p.reft = MAX(reft, p.reft);
    }
}

static int write_tables(struct q2 *q, struct bfile *f, const struct plan *p)
{
    uint64_t bytes = (p->reft + p->blocks + p->l1) << q->cluster_bits;
    uint8_t *buf = bfile_buf(bytes), *blocks;
    int r;

    if (!buf)
        return -ENOMEM;
    memset(buf, 0, bytes);
    blocks = buf + (p->reft << q->cluster_bits);
    for (uint64_t i = 0; i < p->blocks; i++)
        put_be64(buf + 8 * i, (1 + p->reft + i) << q->cluster_bits);
    for (uint64_t c = 0; c < p->end; c++)
        q2_ref_write(blocks + (c >> q->per_bits << q->cluster_bits), q->ref_order,
                     c & ((1ull << q->per_bits) - 1), 1);
    r = bfile_pwrite(f, q->cs, buf, bytes);
    free(buf);
    return r;
}

static int check_create(const struct block_create *c, struct err *e)
{
    uint32_t cs = c->cluster_bytes, w = c->refcount_bits;

    if (cs && (cs < 512 || cs > 2 * MiB || (cs & (cs - 1))))
        return err_set(e, -EINVAL, "Cluster size must be a power of two between 512 and 2048k");
    if (w && (w > 64 || (w & (w - 1))))
        return err_set(e, -EINVAL, "Refcount width must be a power of two and may not exceed 64 bits");
    if (c->compat == 2 && (w && w != 16))
        return err_set(e, -EINVAL, "Different refcount widths than 16 bits require compatibility level 1.1 or above");
    if (c->compat == 2 && c->lazy_refcounts)
        return err_set(e, -EINVAL, "Lazy refcounts only supported with compatibility level 1.1 and above");
    if (c->compat == 2 && c->zstd)
        return err_set(e, -EINVAL, "Non-zlib compression type is only supported with compatibility level 1.1 and above");
    if (c->extended_l2)
        return err_set(e, -ENOTSUP, "Images with extended L2 entries can be read, not made");
    if (c->data_file)
        return err_set(e, -ENOTSUP, "Images with an external data file can be read, not made");
#ifndef CONFIG_ZSTD
    if (c->zstd)
        return err_set(e, -ENOTSUP, "This build has no zstd");
#endif
    return 0;
}

int qcow2_format(struct bfile *f, const struct block_create *c, struct err *e)
{
    struct q2 q = { 0 };
    uint64_t entries, size = align_up(c->size, 512);
    struct plan p;
    uint8_t *head;
    int r = check_create(c, e);

    if (r)
        return r;
    q.version = c->compat == 2 ? 2 : 3;
    q.cs = c->cluster_bytes ? c->cluster_bytes : 64 * KiB;
    q.cluster_bits = (unsigned)__builtin_ctz(q.cs);
    q.ref_order = c->refcount_bits ? (unsigned)__builtin_ctz(c->refcount_bits) : 4;
    q.l2_bits = q.cluster_bits - 3;
    q.per_bits = q.cluster_bits + 3 - q.ref_order;
    q.zstd = c->zstd;
    q.incompat = c->zstd ? Q2_INC_COMPRESSION : 0;
    q.compat = c->lazy_refcounts ? Q2_COMPAT_LAZY : 0;
    entries = c->size > BLOCK_MAX_BYTES ? UINT64_MAX : q2_l1_needed(&q, size);
    if (entries > Q2_MAX_L1_BYTES / 8)
        return err_set(e, -EFBIG, "The image size is too large for file format 'qcow2' (try using a larger cluster size)");
    p = plan_tables(&q, entries);
    q.reft_off = q.cs;
    q.reft_clusters = (uint32_t)p.reft;
    q.l1_off = (1 + p.reft + p.blocks) << q.cluster_bits;
    q.l1_size = (uint32_t)entries;
    head = xmalloc(q.cs);
    r = q2_build_header(&q, size, c->backing, c->backing_fmt, head, e);
    if (!r) {
        r = write_tables(&q, f, &p);
        r = r ? r : bfile_flush(f);
        r = r ? r : bfile_pwrite(f, 0, head, q.cs);
        r = r ? r : bfile_flush(f);
        if (r)
            err_set(e, r, "Could not write the tables of '%s': %s", f->path, strerror(-r));
    }
    free(head);
    return r;
}

static int preallocate(const struct block_create *c, struct err *e)
{
    struct block_opts o;
    struct bnode *b;
    int r = 0;

    block_opts_init(&o);
    o.file = xstrdup(c->file);
    o.format = xstrdup("qcow2");
    o.no_backing = true;
    b = bnode_open(&o, 0, e);
    block_opts_free(&o);
    if (!b)
        return -EIO;
    for (uint64_t at = 0; at < b->length && !r; at += 64 * MiB)
        r = q2_prealloc(q2_of(b), at, MIN(64 * MiB, b->length - at));
    r = r ? r : q2_commit(q2_of(b));
    if (!r && !strcmp(c->prealloc, "falloc"))
        r = -posix_fallocate(b->file->fd, 0, bfile_length(b->file));
    if (!r && !strcmp(c->prealloc, "full")) {
        struct iovec v = { xzalloc(MiB), 0 };
        for (uint64_t at = 0; at < b->length && !r; at += MiB) {
            v.iov_len = MIN(MiB, b->length - at);
            r = q2_pwritev(b, at, &v, 1, v.iov_len);
        }
        free(v.iov_base);
    }
    int r2 = bnode_close(b);
    r = r ? r : r2;
    return r ? err_set(e, r, "Could not preallocate '%s': %s", c->file, strerror(-r)) : 0;
}

int qcow2_create(const struct block_create *c, struct err *e)
{
    bool pre = c->prealloc && strcmp(c->prealloc, "off");
    struct bfile *f;
    int r = check_create(c, e);

    if (r)
        return r;
    if (pre && c->backing)
        return err_set(e, -EINVAL, "Backing file and preallocation can only be used at the same time if extended_l2 is enabled");
    f = bfile_create(c->file, e);
    if (!f)
        return -EIO;
    r = qcow2_format(f, c, e);
    bfile_close(f);
    return r || !pre ? r : preallocate(c, e);
}
