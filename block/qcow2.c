/*
 * qcow2.c - the qcow2 format: header, opening, closing, resizing
 *
 * Source: qcow2 image format specification, "Header", "Header extensions".
 * Every size in a header is bounded before it sizes anything here.
 */
#define _GNU_SOURCE 1
#include "block/qcow2.h"

#define L2_CACHE_BYTES (8u << 20)
#define REF_CACHE_BYTES (2u << 20)

static int q2_probe(const uint8_t *head, size_t n, uint64_t bytes)
{
    return n >= 8 && get_be32(head) == Q2_MAGIC && get_be32(head + 4) >= 2 ? 100 : 0;
}

static int bad(struct q2 *q, struct err *e, const char *what)
{
    return err_set(e, -EINVAL, "'%s' is no valid qcow2 image: %s", q->node->filename, what);
}

/* ---- header extensions ------------------------------------------------------------- */

static void keep_ext(struct q2 *q, const uint8_t *p, uint32_t len)
{
    q->other_ext = xrealloc(q->other_ext, q->other_ext_bytes + len);
    memcpy(q->other_ext + q->other_ext_bytes, p, len);
    q->other_ext_bytes += len;
}

static int parse_exts(struct q2 *q, const uint8_t *buf, uint32_t at, uint32_t end, struct err *e)
{
    while (at + 8 <= end) {
        uint32_t type = get_be32(buf + at), len = get_be32(buf + at + 4);
        if (type == 0)
            break;
        if (len > end - at - 8)
            return bad(q, e, "a header extension is too long");
        const char *data = (const char *)buf + at + 8;
        if (type == Q2_EXT_BACKING_FMT && !q->node->backing_fmt && len < 64)
            q->node->backing_fmt = strndup(data, len);
        else if (type == Q2_EXT_DATA_FILE && !q->data_file && len < 1024)
            q->data_file = strndup(data, len);
        else if (type != Q2_EXT_FEATURES && type != Q2_EXT_BACKING_FMT)
            keep_ext(q, buf + at, MIN(end - at, 8 + (uint32_t)align_up(len, 8)));
        at += 8 + (uint32_t)align_up(len, 8);
    }
    return 0;
}

static const struct { uint8_t kind, bit; const char *name; } features[] = {
    { 0, 0, "dirty bit" }, { 0, 1, "corrupt bit" }, { 0, 2, "external data file" },
    { 0, 3, "compression type" }, { 0, 4, "extended L2 entries" },
    { 1, 0, "lazy refcounts" }, { 2, 0, "bitmaps" }, { 2, 1, "raw external data" },
};

static uint32_t put_ext(uint8_t *buf, uint32_t at, uint32_t type, const void *data, uint32_t len)
{
    put_be32(buf + at, type);
    put_be32(buf + at + 4, len);
    memcpy(buf + at + 8, data, len);
    return at + 8 + (uint32_t)align_up(len, 8);
}

/**
 * q2_build_header() - the header cluster as it stands
 * @buf: one cluster, cleared here. Returns 0, or -ENOSPC when it does not fit.
 */
int q2_build_header(const struct q2 *q, uint64_t size, const char *backing, const char *fmt,
                    uint8_t *buf, struct err *e)
{
    uint32_t at = q->version < 3 ? 72 : q->zstd ? 112 : 104, len = backing ? (uint32_t)strlen(backing) : 0;
    uint8_t table[ARRAY_SIZE(features) * 48];
    uint64_t need = at + 8 + len + (fmt ? 8 + align_up(strlen(fmt), 8) : 0) + q->other_ext_bytes +
                    (q->data_file ? 8 + align_up(strlen(q->data_file), 8) : 0);

    if (need > q->cs || len > 1023)
        return err_set(e, -ENOSPC, "The backing file's name is too long for the image's header");
    memset(buf, 0, q->cs);
    put_be32(buf, Q2_MAGIC);
    put_be32(buf + 4, q->version);
    put_be32(buf + 20, q->cluster_bits);
    put_be64(buf + 24, size);
    put_be32(buf + 36, q->l1_size);
    put_be64(buf + 40, q->l1_off);
    put_be64(buf + 48, q->reft_off);
    put_be32(buf + 56, q->reft_clusters);
    put_be32(buf + 60, q->n_snaps);
    put_be64(buf + 64, q->snap_off);
    if (q->version >= 3) {
        put_be64(buf + 72, q->incompat);
        put_be64(buf + 80, q->compat);
        put_be64(buf + 88, q->autoclear);
        put_be32(buf + 96, q->ref_order);
        put_be32(buf + 100, at);
        if (q->zstd)
            buf[104] = 1;
    }
    if (fmt)
        at = put_ext(buf, at, Q2_EXT_BACKING_FMT, fmt, (uint32_t)strlen(fmt));
    if (q->data_file)
        at = put_ext(buf, at, Q2_EXT_DATA_FILE, q->data_file, (uint32_t)strlen(q->data_file));
    if (q->version >= 3 && need + 8 + sizeof(table) <= q->cs) { /* only a courtesy */
        memset(table, 0, sizeof(table));
        for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
            table[i * 48] = features[i].kind;
            table[i * 48 + 1] = features[i].bit;
            memcpy(table + i * 48 + 2, features[i].name, strlen(features[i].name));
        }
        at = put_ext(buf, at, Q2_EXT_FEATURES, table, sizeof(table));
    }
    if (q->other_ext_bytes)
        memcpy(buf + at, q->other_ext, q->other_ext_bytes);
    at += q->other_ext_bytes + 8; /* the end marker is zeroes */
    if (len) {
        put_be64(buf + 8, at);
        put_be32(buf + 16, len);
        memcpy(buf + at, backing, len);
    }
    return 0;
}

/* ---- opening ------------------------------------------------------------------------- */

/* the unknown bit's name, from the image's own table when it has one */
static int check_features(struct q2 *q, struct err *e)
{
    uint64_t unknown = q->incompat & ~(Q2_INC_DIRTY | Q2_INC_CORRUPT | Q2_INC_DATA_FILE |
                                       Q2_INC_COMPRESSION | Q2_INC_EXT_L2);

    if (unknown)
        return err_set(e, -ENOTSUP, "'%s': unsupported qcow2 feature(s): incompatible bits %#llx",
                       q->node->filename, (unsigned long long)unknown);
    if (q->node->readonly)
        return 0;
    if (q->ext_l2)
        return err_set(e, -ENOTSUP, "'%s': extended L2 entries can be read, not written; "
                       "open it read-only or convert it", q->node->filename);
    if (q->incompat & Q2_INC_DATA_FILE)
        return err_set(e, -ENOTSUP, "'%s': an external data file can be read, not written; "
                       "open the image read-only or convert it", q->node->filename);
    if ((q->incompat & Q2_INC_CORRUPT) && !q->node->opts.allow_dirty)
        return err_set(e, -EACCES, "qcow2: Image is corrupt; cannot be opened read/write");
    return 0;
}

static int parse_header(struct q2 *q, const uint8_t *h, struct err *e)
{
    uint32_t bits = get_be32(h + 20), hlen = 72;

    q->version = get_be32(h + 4);
    if (get_be32(h) != Q2_MAGIC)
        return bad(q, e, "Image is not in qcow2 format");
    if (q->version < 2 || q->version > 3)
        return err_set(e, -ENOTSUP, "'%s': unsupported qcow2 version %u", q->node->filename, q->version);
    if (bits < 9 || bits > 21)
        return err_set(e, -EINVAL, "'%s': unsupported cluster size: 2^%u", q->node->filename, bits);
    if (get_be32(h + 32))
        return err_set(e, -ENOTSUP, "'%s': encrypted images cannot be opened", q->node->filename);
    q->cluster_bits = bits;
    q->cs = 1u << bits;
    q->node->length = get_be64(h + 24);
    q->l1_size = get_be32(h + 36);
    q->l1_off = get_be64(h + 40);
    q->reft_off = get_be64(h + 48);
    q->reft_clusters = get_be32(h + 56);
    q->snap_off = get_be64(h + 64);
    q->ref_order = 4;
    if (q->version >= 3) {
        q->incompat = get_be64(h + 72);
        q->compat = get_be64(h + 80);
        q->autoclear = get_be64(h + 88);
        q->ref_order = get_be32(h + 96);
        hlen = get_be32(h + 100);
        if (hlen < 104 || hlen > q->cs)
            return bad(q, e, "header length out of range");
        if (q->ref_order > 6)
            return bad(q, e, "refcount width out of range");
        if (hlen > 104 && h[104] > 1)
            return err_set(e, -ENOTSUP, "'%s': unknown compression type %u", q->node->filename, h[104]);
        q->zstd = hlen > 104 && h[104] == 1;
        if (q->zstd != !!(q->incompat & Q2_INC_COMPRESSION))
            return bad(q, e, "compression type and its feature bit disagree");
    }
    q->ext_l2 = q->incompat & Q2_INC_EXT_L2;
    if (q->ext_l2 && bits < 14)
        return bad(q, e, "extended L2 entries need clusters of 16 KiB at least");
    q->entry_bytes = q->ext_l2 ? 16 : 8;
    q->l2_bits = bits - (q->ext_l2 ? 4 : 3);
    q->per_bits = bits + 3 - q->ref_order;
    q->lazy = q->compat & Q2_COMPAT_LAZY;
    q->raw_external = q->autoclear & 2;
    return (int)hlen;
}

uint64_t q2_l1_needed(const struct q2 *q, uint64_t bytes)
{
    unsigned shift = q->cluster_bits + q->l2_bits;

    return (bytes >> shift) + !!(bytes & ((1ull << shift) - 1));
}

static int check_sizes(struct q2 *q, struct err *e)
{
    if (q->node->length > BLOCK_MAX_BYTES)
        return bad(q, e, "disk size out of range");
    if (q->l1_size > Q2_MAX_L1_BYTES / 8)
        return err_set(e, -EFBIG, "'%s': Active L1 table too large", q->node->filename);
    if (q->l1_size < q2_l1_needed(q, q->node->length))
        return bad(q, e, "L1 table is too small");
    if (q->l1_size && (!q2_aligned(q, q->l1_off) || q->l1_off > BLOCK_MAX_BYTES))
        return bad(q, e, "L1 table offset");
    if (!q2_aligned(q, q->reft_off) || q->reft_off > BLOCK_MAX_BYTES)
        return bad(q, e, "refcount table offset");
    if ((uint64_t)q->reft_clusters << q->cluster_bits > Q2_MAX_REFT_BYTES)
        return err_set(e, -EFBIG, "'%s': Reference count table too large", q->node->filename);
    if (!q->reft_clusters && !q->node->opts.allow_dirty)
        return bad(q, e, "Image does not contain a reference count table");
    if (!q2_aligned(q, q->snap_off) || q->snap_off > BLOCK_MAX_BYTES)
        return bad(q, e, "snapshot table offset");
    return 0;
}

/** q2_read_l1() - an L1 table in host byte order; *out is the caller's */
int q2_read_l1(struct q2 *q, uint64_t off, uint32_t n, uint64_t **out)
{
    uint64_t *t = bfile_buf(n * 8ull);
    int r = t ? bfile_pread(q->f, off, t, n * 8ull) : -ENOMEM;

    *out = t;
    for (uint32_t i = 0; !r && i < n; i++)
        t[i] = get_be64(&t[i]);
    if (r) {
        free(t);
        *out = NULL;
    }
    return r;
}

/** q2_write_l1_at() - @l1 (host byte order) to the file; no sync */
int q2_write_l1_at(struct q2 *q, uint64_t off, const uint64_t *l1, uint32_t n)
{
    uint64_t bytes = align_up(n * 8ull, q->cs);
    uint8_t *buf = bfile_buf(bytes);
    int r;

    if (!buf)
        return -ENOMEM;
    memset(buf, 0, bytes);
    for (uint32_t i = 0; i < n; i++)
        put_be64(buf + 8ull * i, l1[i]);
    r = bfile_pwrite(q->f, off, buf, bytes);
    free(buf);
    return r;
}

static int read_names(struct q2 *q, const uint8_t *h, uint32_t hlen, struct err *e)
{
    uint64_t off = get_be64(h + 8);
    uint32_t len = get_be32(h + 16), end = q->cs;
    uint8_t *buf = xmalloc(q->cs);
    int r = bfile_pread(q->f, 0, buf, q->cs);

    if (!r && off) {
        if (len > 1023 || off < hlen || off > q->cs || len > q->cs - off)
            r = bad(q, e, "backing file name out of range");
        else if (len)
            q->node->backing_file = strndup((char *)buf + off, len);
        end = (uint32_t)off;
    } else if (r) {
        err_set(e, r, "Could not read '%s': %s", q->node->filename, strerror(-r));
    }
    r = r ? r : parse_exts(q, buf, hlen, end, e);
    free(buf);
    return r;
}

static int open_data_file(struct q2 *q, struct err *e)
{
    struct block_opts o;
    char *path;
    int r = 0;

    q->data = q->f;
    if (!(q->incompat & Q2_INC_DATA_FILE))
        return 0;
    q->data = NULL;
    if (q->node->opts.no_io)
        return 0;
    if (!q->data_file)
        return bad(q, e, "the external data file has no name");
    path = backing_path(q->node->filename, q->data_file, e);
    if (!path)
        return -EINVAL;
    block_opts_init(&o);
    o.cache = q->node->opts.cache;
    o.force_share = q->node->opts.force_share;
    q->data = bfile_open(path, &o, false, &r, e);
    free(path);
    return q->data ? 0 : r;
}

/* a dirty image must be put right before it is written */
static int settle_dirty(struct q2 *q, struct err *e)
{
    struct block_check c = { 0 };
    int r;

    if (q->node->readonly || q->node->opts.allow_dirty)
        return 0;
    if (q->incompat & Q2_INC_DIRTY) {
        r = q2_check(q->node, CHECK_FIX_LEAKS | CHECK_FIX_ERRORS, &c, e);
        if (r || c.corruptions || c.errors)
            return err_set(e, r ? r : -EIO, "'%s' was not closed properly and could not be repaired",
                           q->node->filename);
    }
    if (q->autoclear) { /* what we do not know we do not keep up to date */
        uint64_t keep = q->autoclear & Q2_AUTO_BITMAPS;
        uint8_t bits[8];
        if (keep && q2_bitmaps_give_up(q))
            keep = 0;
        put_be64(bits, keep);
        r = keep == q->autoclear ? 0 : bfile_pwrite(q->f, 88, bits, 8);
        if (r)
            return err_set(e, r, "Could not write '%s': %s", q->node->filename, strerror(-r));
        q->autoclear = keep;
    }
    return 0;
}

static void q2_free_all(struct q2 *q)
{
    q2_cache_free(&q->l2c);
    q2_cache_free(&q->rcc);
    q2_snaps_free(q);
    for (unsigned i = 0; i < ARRAY_SIZE(q->dc); i++)
        free(q->dc[i].data);
    if (q->data && q->data != q->f)
        bfile_close(q->data);
    range_destroy(&q->ranges);
    free(q->l1);
    free(q->reft);
    free(q->pending);
    free(q->other_ext);
    free(q->data_file);
    free(q);
}

static int load_tables(struct q2 *q, struct err *e)
{
    int64_t len = bfile_length(q->f);
    int r = len < 0 ? (int)len : 0;

    q->data_end = q->f->is_blk ? UINT64_MAX >> 2 : (uint64_t)len;
    q->reft_n = (uint32_t)((uint64_t)q->reft_clusters << q->cluster_bits >> 3);
    r = r ? r : q2_read_l1(q, q->l1_off, q->l1_size, &q->l1);
    r = r ? r : q2_read_l1(q, q->reft_off, q->reft_n, &q->reft);
    return r ? err_set(e, r, "Could not read the tables of '%s': %s", q->node->filename, strerror(-r)) : 0;
}

static int q2_open(struct bnode *b, struct err *e)
{
    struct q2 *q = xzalloc(sizeof(*q));
    uint8_t h[112];
    int r, hlen = 0;

    b->priv = q;
    q->node = b;
    q->f = b->file;
    range_init(&q->ranges);
    pthread_mutex_init(&q->lock, NULL);
    pthread_mutex_init(&q->commit_lock, NULL);
    pthread_mutex_init(&q->dc_lock, NULL);
    r = bfile_pread(q->f, 0, h, sizeof(h));
    if (r)
        err_set(e, r, "Could not read '%s': %s", b->filename, strerror(-r));
    else if ((r = hlen = parse_header(q, h, e)) > 0)
        r = 0;
    r = r ? r : check_features(q, e);
    r = r ? r : check_sizes(q, e);
    if (!r) {
        uint32_t slice = MIN(q->cs, 4096u);
        q2_cache_init(&q->l2c, slice, L2_CACHE_BYTES);
        q2_cache_init(&q->rcc, slice, REF_CACHE_BYTES);
        r = read_names(q, h, (uint32_t)hlen, e);
    }
    r = r ? r : load_tables(q, e);
    r = r ? r : q2_snaps_load(q, get_be32(h + 60), e);
    r = r ? r : open_data_file(q, e);
    r = r ? r : settle_dirty(q, e);
    if (r)
        q2_free_all(q);
    return r;
}

static int q2_close(struct bnode *b)
{
    struct q2 *q = q2_of(b);
    int r = 0;

    if (!b->readonly) {
        r = q2_commit(q);
        /* what the first one gave back is free on disk after the second */
        if (!r && (q->rcc.n_dirty || q->n_pending)) {
            q->lazy = false;
            r = q2_commit(q);
        }
        if (!r && q->dirty_set && !(q->incompat & Q2_INC_CORRUPT))
            r = q2_set_incompat(q, 0, Q2_INC_DIRTY);
    }
    q2_free_all(q);
    return r;
}

static int q2_flush(struct bnode *b)
{
    return q2_commit(q2_of(b));
}

/* ---- resizing, header changes ------------------------------------------------------------ */

/** q2_grow_l1() - room for @entries; q->lock held, nobody else in the image */
int q2_grow_l1(struct q2 *q, uint64_t entries)
{
    uint64_t old_off = q->l1_off, off, n = MAX(entries, q->l1_size + q->l1_size / 2ull);
    uint32_t old_clusters = (uint32_t)(align_up(q->l1_size * 8ull, q->cs) >> q->cluster_bits), clusters;
    uint64_t *t;
    uint8_t head[12];
    int r;

    if (entries <= q->l1_size)
        return 0;
    if (entries > Q2_MAX_L1_BYTES / 8)
        return -EFBIG;
    n = MIN(n, Q2_MAX_L1_BYTES / 8);
    clusters = (uint32_t)(align_up(n * 8, q->cs) >> q->cluster_bits);
    t = bfile_buf(n * 8);
    if (!t)
        return -ENOMEM;
    memset(t, 0, n * 8);
    memcpy(t, q->l1, q->l1_size * 8ull);
    r = q2_alloc(q, clusters, true, &off, NULL);
    if (!r) {
        q->data_end = MAX(q->data_end, off + ((uint64_t)clusters << q->cluster_bits));
        /* the copy may name L2 tables whose refcounts are still in memory */
        r = q2_write_refs(q);
        r = r ? r : bfile_flush(q->f);
        if (!r && q->reft_lo < q->reft_hi) {
            uint8_t e8[8];
            for (uint32_t i = q->reft_lo; i < q->reft_hi && !r; i++) {
                put_be64(e8, q->reft[i]);
                r = bfile_pwrite(q->f, q->reft_off + 8ull * i, e8, 8);
            }
            r = r ? r : bfile_flush(q->f);
        }
        r = r ? r : q2_write_l1_at(q, off, t, (uint32_t)n);
        r = r ? r : bfile_flush(q->f);
        put_be32(head, (uint32_t)n); /* size and offset in one write: bytes 36..47 */
        put_be64(head + 4, off);
        r = r ? r : bfile_pwrite(q->f, 36, head, sizeof(head));
        r = r ? r : bfile_flush(q->f);
        if (r && q2_release(q, off, clusters))
            q->free_hint = MIN(q->free_hint, off >> q->cluster_bits);
    }
    if (r) {
        free(t);
        return r;
    }
    free(q->l1);
    q->l1 = t;
    q->l1_size = (uint32_t)n;
    q->l1_off = off;
    q->l1_lo = q->l1_hi = 0;
    if (old_clusters)
        q2_free_later(q, old_off, old_clusters, false);
    return 0;
}

static int set_size(struct q2 *q, uint64_t bytes)
{
    uint8_t buf[8];
    int r;

    put_be64(buf, bytes);
    r = bfile_pwrite(q->f, 24, buf, sizeof(buf));
    r = r ? r : bfile_flush(q->f);
    if (!r)
        q->node->length = bytes;
    return r;
}

static int grow(struct q2 *q, uint64_t bytes)
{
    uint64_t old = q->node->length, below = q->node->backing ? q->node->backing->length : 0;
    int r;

    pthread_mutex_lock(&q->lock);
    r = q2_grow_l1(q, q2_l1_needed(q, bytes));
    pthread_mutex_unlock(&q->lock);
    if (r)
        return r;
    /* what lies behind the old end, in its last cluster or in a longer
     * backing file, must read as zeroes before it becomes visible */
    q->node->length = bytes;
    uint64_t stop = MAX(align_up(old, q->cs), MIN(below, bytes));
    if (stop > old)
        r = q2_zero(q->node, old, MIN(stop, bytes) - old, true);
    r = r ? r : q2_commit(q);
    r = r ? r : set_size(q, bytes);
    if (r)
        q->node->length = old;
    return r;
}

static int shrink(struct q2 *q, uint64_t bytes)
{
    uint64_t old = q->node->length;
    struct range range;
    int r = 0;

    range_take(&q->ranges, &range, 0, UINT64_MAX, true);
    if (align_up(bytes, q->cs) < old)
        r = q2_unmap(q, align_up(bytes, q->cs), old - align_up(bytes, q->cs));
    range_drop(&q->ranges, &range);
    r = r ? r : q2_commit(q);
    return r ? r : set_size(q, bytes);
}

static int q2_truncate(struct bnode *b, uint64_t bytes, bool is_shrink, struct err *e)
{
    struct q2 *q = q2_of(b);
    int r;

    bytes = align_up(bytes, 512);
    if (q->n_snaps && q->version < 3)
        return err_set(e, -ENOTSUP, "Can't resize a version 2 image that has snapshots");
    if (q2_l1_needed(q, bytes) > Q2_MAX_L1_BYTES / 8)
        return err_set(e, -EFBIG, "The image size is too large for file format 'qcow2' (try using a larger cluster size)");
    r = q2_commit(q);
    if (!r && bytes != b->length)
        r = is_shrink ? shrink(q, bytes) : grow(q, bytes);
    return r ? err_set(e, r, "Could not resize '%s': %s", b->filename, strerror(-r)) : 0;
}

static int q2_set_backing(struct bnode *b, const char *file, const char *fmt, struct err *e)
{
    struct q2 *q = q2_of(b);
    char *f = file && *file ? xstrdup(file) : NULL, *m = f && fmt ? xstrdup(fmt) : NULL;
    uint8_t *buf = xmalloc(q->cs);
    int r = q2_commit(q);

    r = r ? r : q2_build_header(q, b->length, f, m, buf, e);
    r = r ? r : bfile_pwrite(q->f, 0, buf, q->cs);
    r = r ? r : bfile_flush(q->f);
    free(buf);
    if (r) {
        free(f);
        free(m);
        return e && e->msg[0] ? r : err_set(e, r, "Could not write the header: %s", strerror(-r));
    }
    free(b->backing_file);
    free(b->backing_fmt);
    b->backing_file = f;
    b->backing_fmt = m;
    return 0;
}

static void q2_info(struct bnode *b, struct block_info *i)
{
    struct q2 *q = q2_of(b);

    i->cluster_bytes = q->cs;
    i->dirty = q->incompat & Q2_INC_DIRTY;
    i->corrupt = q->incompat & Q2_INC_CORRUPT;
}

const struct block_driver qcow2_driver = {
    .name = "qcow2", .can_write = true, .can_backing = true, .can_create = true,
    .probe = q2_probe, .open = q2_open, .close = q2_close,
    .preadv = q2_preadv, .pwritev = q2_pwritev, .flush = q2_flush,
    .discard = q2_discard, .zero = q2_zero, .map = q2_map_extent,
    .fast_try = q2_fast_try, .fast_done = q2_fast_done, .truncate = q2_truncate,
    .info = q2_info, .write_compressed = q2_write_compressed, .create = qcow2_create,
    .check = q2_check, .set_backing = q2_set_backing, .make_empty = q2_make_empty,
    .snap_list = q2_snap_list, .snap_create = q2_snap_create,
    .snap_apply = q2_snap_apply, .snap_load = q2_snap_load, .snap_delete = q2_snap_delete, .vmstate = q2_vmstate,
};
