/*
 * qcow2-write.c - writing, zeroes, giving back
 *
 * See qcow2-io.c for what is locked, qcow2-cache.c for the order of writes.
 */
#define _GNU_SOURCE 1
#include "block/qcow2.h"

#define ALLOC_MAX (16 * MiB)   /* bytes allocated in one step */

/* ---- writing --------------------------------------------------------------------------- */

/** q2_free_entry() - what an L2 entry that is gone named; q->lock held */
void q2_free_entry(struct q2 *q, uint64_t e, bool punch)
{
    uint64_t off, len, first, last;

    if (e & Q2_COMPRESSED) {
        q2_comp_extent(q, e, &off, &len);
        first = off >> q->cluster_bits;
        last = (off + len - 1) >> q->cluster_bits;
        q2_free_later(q, first << q->cluster_bits, (uint32_t)(last - first + 1), false);
        q2_dc_forget(q);
    } else if (e & Q2_OFFSET) {
        q2_free_later(q, e & Q2_OFFSET, 1, punch && (e & Q2_COPIED));
    }
}

/* how many guest clusters from @off on need a new home, at most until @end */
static int count_unowned(struct q2 *q, uint64_t off, uint64_t end, uint64_t *n)
{
    uint64_t pos = align_down(off, q->cs), stop = MIN(align_up(end, q->cs), pos + ALLOC_MAX);
    uint64_t table_end = ((off >> q->cluster_bits >> q->l2_bits) + 1) << (q->l2_bits + q->cluster_bits);
    struct q2_map m;
    int r;

    stop = MIN(stop, table_end);
    *n = 0;
    while (pos < stop) {
        if ((r = q2_lookup(q, pos, stop - pos, false, &m)))
            return r;
        if (m.kind == Q2_DATA && m.copied)
            break;
        pos += align_up(m.len, q->cs);
        *n = (MIN(pos, stop) - align_down(off, q->cs)) >> q->cluster_bits;
    }
    return 0;
}

/* old contents around a partial write; NULL *buf: nothing but zeroes there */
static int old_bytes(struct q2 *q, uint64_t off, uint64_t len, bool fresh, uint8_t **buf)
{
    uint64_t inside = off < q->node->length ? MIN(len, q->node->length - off) : 0;
    struct iovec v;
    int r = 0;

    *buf = NULL;
    if (!len)
        return 0;
    *buf = bfile_buf(len);
    if (!*buf)
        return -ENOMEM;
    v = (struct iovec){ *buf, inside };
    memset(*buf + inside, 0, len - inside);
    if (inside)
        r = q2_read_held(q, off, &v, 1, inside);
    if (!r && !(fresh && mem_is_zero(*buf, len)))
        return 0;
    free(*buf);
    *buf = NULL;
    return r;
}

/* guest bytes and what surrounds them in their clusters, to @host */
static int write_new(struct q2 *q, uint64_t host, bool fresh, uint64_t off,
                     const struct iovec *iov, unsigned n, uint64_t at, uint64_t len)
{
    struct iovec v[BLOCK_MAX_IOV + 2];
    uint64_t head = off & (q->cs - 1), end = off + len, tail = align_up(end, q->cs) - end;
    uint8_t *hb = NULL, *tb = NULL;
    unsigned k = 0;
    int r;

    r = q->bug & Q2_BUG_COW_HEAD ? 0 : old_bytes(q, off - head, head, fresh, &hb);
    r = r ? r : old_bytes(q, end, tail, fresh, &tb);
    if (!r && hb)
        v[k++] = (struct iovec){ hb, head };
    if (!r)
        k += iov_slice(v + k, iov, n, at, len);
    if (!r && tb && k < BLOCK_MAX_IOV)
        v[k++] = (struct iovec){ tb, tail };
    else if (!r && tb)
        r = bfile_pwrite(q->f, host + head + len, tb, tail);
    if (!r && k > BLOCK_MAX_IOV) { /* 1024 entries and a head */
        r = bfile_pwritev(q->f, host, v, 1);
        if (!r)
            r = bfile_pwritev(q->f, host + head, v + 1, k - 1);
    } else if (!r) {
        r = bfile_pwritev(q->f, hb ? host : host + head, v, k);
    }
    free(hb);
    free(tb);
    return r;
}

/* q->lock held: entries of @n clusters from guest cluster @g to @host; the old
 * ones go. On failure those that were not linked are given back. */
static int link_clusters(struct q2 *q, uint64_t g, uint64_t n, uint64_t host)
{
    for (uint64_t i = 0; i < n; i++) {
        struct q2_slice *s;
        uint8_t *p;
        int r = q2_l2_entry(q, g + i, true, &s, &p);
        if (r) {
            host += i << q->cluster_bits;
            if (q2_release(q, host, n - i))
                q->free_hint = MIN(q->free_hint, host >> q->cluster_bits); /* leaked */
            return r;
        }
        uint64_t old = get_be64(p);
        put_be64(p, (host + (i << q->cluster_bits)) | Q2_COPIED);
        q2_cache_dirty(&q->l2c, s);
        q2_free_entry(q, old, true);
    }
    return 0;
}

/* before the first change with lazy refcounts (rule 6); q->lock held */
static int begin_change(struct q2 *q)
{
    int r = 0;

    if (q->incompat & Q2_INC_CORRUPT)
        return -EIO;
    if (q->lazy && !q->dirty_set && !(r = q2_set_incompat(q, Q2_INC_DIRTY, 0)))
        q->dirty_set = true;
    return r;
}

/* one step of a write that needs clusters; *done bytes were written. Range held. */
static int write_alloc(struct q2 *q, uint64_t off, const struct iovec *iov, unsigned n,
                       uint64_t at, uint64_t len, uint64_t *done)
{
    uint64_t g = off >> q->cluster_bits, want, got = 0, host = 0;
    struct q2_slice *s;
    bool fresh = false;
    uint8_t *p;
    int r;

    *done = 0;
    pthread_mutex_lock(&q->lock);
    r = begin_change(q);
    r = r ? r : count_unowned(q, off, off + len, &want);
    if (!r && want && !(r = q2_l2_entry(q, g, true, &s, &p)))
        r = q2_alloc(q, want, false, &host, &got);
    if (!r && got) {
        fresh = host >= q->data_end;
        q->data_end = MAX(q->data_end, host + (got << q->cluster_bits));
    }
    pthread_mutex_unlock(&q->lock);
    if (r || !got)
        return r;
    len = MIN(len, ((g + got) << q->cluster_bits) - off);
    r = write_new(q, host, fresh, off, iov, n, at, len);
    pthread_mutex_lock(&q->lock);
    if (!r)
        r = link_clusters(q, g, got, host);
    else if (q2_release(q, host, got))
        q->free_hint = MIN(q->free_hint, host >> q->cluster_bits); /* leaked */
    pthread_mutex_unlock(&q->lock);
    if (!r)
        *done = len;
    return r;
}

/* the leading part that is ours already, in place. Range held. */
static int write_in_place(struct q2 *q, uint64_t off, const struct iovec *iov, unsigned n,
                          uint64_t at, uint64_t len, uint64_t *done)
{
    struct iovec tmp[BLOCK_MAX_IOV];
    struct q2_map m;
    unsigned k;
    int r;

    *done = 0;
    pthread_mutex_lock(&q->lock);
    r = q->incompat & Q2_INC_CORRUPT ? -EIO : q2_lookup(q, off, len, false, &m);
    /* an entry that names what was never written would make the file huge */
    if (!r && m.kind == Q2_DATA && m.copied && (m.host & ~(uint64_t)(q->cs - 1)) >= q->data_end) {
        q2_mark_corrupt(q, "data cluster past the end of the file", m.host);
        r = -EIO;
    }
    pthread_mutex_unlock(&q->lock);
    if (r || m.kind != Q2_DATA || !m.copied)
        return r;
    k = iov_slice(tmp, iov, n, at, m.len);
    r = bfile_pwritev(q->f, m.host, tmp, k);
    *done = r ? 0 : m.len;
    return r;
}

int q2_pwritev(struct bnode *b, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len)
{
    struct q2 *q = q2_of(b);
    struct range range;
    uint64_t at = 0, done;
    bool excl = false;
    int r = q2_commit_if_large(q);

    while (!r && at < len) {
        q2_take(q, &range, off + at, len - at, excl);
        do {
            r = write_in_place(q, off + at, iov, n, at, len - at, &done);
            at += done;
        } while (!r && done && at < len);
        if (!r && at < len && excl) {
            r = write_alloc(q, off + at, iov, n, at, len - at, &done);
            at += done;
        }
        range_drop(&q->ranges, &range);
        excl = true;
        if (!r && at < len)
            r = q2_commit_if_large(q);
    }
    return r;
}

/* ---- zeroes and discards ----------------------------------------------------------------- */

enum drop_how { DROP_ZERO, DROP_ZERO_KEEP, DROP_DISCARD, DROP_UNMAP };

/* the new entry in place of @old */
static uint64_t dropped_entry(const struct q2 *q, uint64_t old, enum drop_how how)
{
    bool v3 = q->version >= 3;

    if (how == DROP_UNMAP)
        return 0;
    if (!v3)
        return q->node->backing ? old : 0;
    if (how == DROP_ZERO_KEEP && (old & Q2_COPIED) && (old & Q2_OFFSET) && !(old & Q2_COMPRESSED))
        return old | Q2_ZERO;
    if (!old && !q->node->backing)
        return 0;
    return Q2_ZERO;
}

/* whole clusters [@g, @g+@n) of one L2 table; q->lock held, range exclusive */
static int drop_run(struct q2 *q, uint64_t g, uint64_t n, enum drop_how how)
{
    bool bare = !(g >> q->l2_bits < q->l1_size && (q->l1[g >> q->l2_bits] & Q2_OFFSET));
    int r = begin_change(q);

    if (r || (bare && (how == DROP_UNMAP || !q->node->backing)))
        return r;
    for (uint64_t i = 0; i < n && !r; i++) {
        struct q2_slice *s;
        uint8_t *p;
        uint64_t old, new;
        r = q2_l2_entry(q, g + i, false, &s, &p);
        if (r)
            break;
        old = s ? get_be64(p) : 0;
        new = dropped_entry(q, old, how);
        if (new == old)
            continue;
        r = q2_l2_entry(q, g + i, true, &s, &p);
        if (r)
            break;
        put_be64(p, new);
        q2_cache_dirty(&q->l2c, s);
        if (!(new & Q2_OFFSET))
            q2_free_entry(q, old, true);
    }
    return r;
}

/* whole clusters; takes the range */
static int drop_clusters(struct q2 *q, uint64_t off, uint64_t end, enum drop_how how)
{
    uint64_t g = off >> q->cluster_bits, stop = end >> q->cluster_bits;
    struct range range;
    int r = 0;

    while (g < stop && !r) {
        uint64_t n = MIN(stop - g, (1ull << q->l2_bits) - (g & ((1ull << q->l2_bits) - 1)));
        n = MIN(n, 4096);
        r = q2_commit_if_large(q);
        if (r)
            break;
        range_take(&q->ranges, &range, g << q->cluster_bits, (g + n) << q->cluster_bits, true);
        pthread_mutex_lock(&q->lock);
        r = drop_run(q, g, n, how);
        pthread_mutex_unlock(&q->lock);
        range_drop(&q->ranges, &range);
        g += n;
    }
    return r;
}

int q2_unmap(struct q2 *q, uint64_t off, uint64_t len)
{
    uint64_t g = off >> q->cluster_bits, stop = align_up(off + len, q->cs) >> q->cluster_bits;
    int r = 0;

    while (g < stop && !r) {
        uint64_t n = MIN(stop - g, (1ull << q->l2_bits) - (g & ((1ull << q->l2_bits) - 1)));
        pthread_mutex_lock(&q->lock);
        r = drop_run(q, g, n, DROP_UNMAP);
        pthread_mutex_unlock(&q->lock);
        if (!r)
            r = q2_commit_if_large(q);
        g += n;
    }
    return r;
}

/* the whole clusters of [off, off+len); the disk's short last cluster counts */
static void whole_clusters(struct q2 *q, uint64_t off, uint64_t len, uint64_t *lo, uint64_t *hi)
{
    uint64_t end = off + len;

    *lo = align_up(off, q->cs);
    *hi = end == q->node->length ? align_up(end, q->cs) : align_down(end, q->cs);
    if (*hi < *lo)
        *hi = *lo;
}

int q2_discard(struct bnode *b, uint64_t off, uint64_t len)
{
    struct q2 *q = q2_of(b);
    uint64_t lo, hi;

    whole_clusters(q, off, len, &lo, &hi);
    return drop_clusters(q, lo, hi, DROP_DISCARD);
}

/* zeroes over part of a cluster (or, in version 2, over whole ones) */
static int zero_by_writing(struct q2 *q, uint64_t off, uint64_t len)
{
    uint64_t at = 0;
    size_t n = MIN(len, MiB);
    void *z;
    int r = 0;

    if (!len)
        return 0;
    z = bfile_buf(n);
    if (!z)
        return -ENOMEM;
    memset(z, 0, n);
    while (at < len && !r) {
        struct q2_map m;
        struct range range;
        uint64_t part = MIN(len - at, n);
        q2_take(q, &range, off + at, part, false);
        pthread_mutex_lock(&q->lock);
        r = q2_lookup(q, off + at, part, false, &m);
        pthread_mutex_unlock(&q->lock);
        range_drop(&q->ranges, &range);
        if (r)
            break;
        part = m.len;
        if (m.kind != Q2_ZEROED && !(m.kind == Q2_UNALLOC && !q->node->backing)) {
            struct iovec v = { z, part };
            r = q2_pwritev(q->node, off + at, &v, 1, part);
        }
        at += part;
    }
    free(z);
    return r;
}

int q2_zero(struct bnode *b, uint64_t off, uint64_t len, bool unmap)
{
    struct q2 *q = q2_of(b);
    uint64_t lo, hi, end = off + len;
    int r;

    whole_clusters(q, off, len, &lo, &hi);
    if (lo >= hi || (q->version < 3 && b->backing))
        return zero_by_writing(q, off, len);
    r = zero_by_writing(q, off, lo - off);
    r = r ? r : drop_clusters(q, lo, hi, unmap ? DROP_ZERO : DROP_ZERO_KEEP);
    return r || hi >= end ? r : zero_by_writing(q, hi, end - hi);
}

/** q2_prealloc() - clusters for [@off, @off+@len) that have none; reads stay as they were */
int q2_prealloc(struct q2 *q, uint64_t off, uint64_t len)
{
    uint64_t end = off + len;
    int r = 0;

    off = align_down(off, q->cs);
    while (off < end && !r) {
        struct range range;
        uint64_t want = 0, got = 0, host = 0;
        q2_take(q, &range, off, end - off, true);
        pthread_mutex_lock(&q->lock);
        r = begin_change(q);
        r = r ? r : count_unowned(q, off, end, &want);
        r = r || !want ? r : q2_alloc(q, want, false, &host, &got);
        if (!r && got) {
            bool fresh = host >= q->data_end;
            q->data_end = MAX(q->data_end, host + (got << q->cluster_bits));
            r = fresh ? bfile_zero(q->f, host + (got << q->cluster_bits) - 512, 512, false)
                      : bfile_zero(q->f, host, got << q->cluster_bits, false);
            r = r ? r : link_clusters(q, off >> q->cluster_bits, got, host);
        }
        pthread_mutex_unlock(&q->lock);
        range_drop(&q->ranges, &range);
        off += got ? got << q->cluster_bits : q->cs;
        r = r ? r : q2_commit_if_large(q);
    }
    return r;
}

int q2_write_compressed(struct bnode *b, uint64_t off, const void *buf, uint64_t len)
{
    struct q2 *q = q2_of(b);
    struct range range;
    struct q2_slice *s;
    uint8_t *p, *out, *full = NULL;
    uint64_t host;
    unsigned x = 62 - (q->cluster_bits - 8);
    int64_t n;
    int r;

    if (!q2_aligned(q, off) || len > q->cs || (len < q->cs && off + len != b->length))
        return -EINVAL;
    if (len < q->cs) {
        full = xzalloc(q->cs);
        memcpy(full, buf, len);
        buf = full;
    }
    out = xmalloc(q->cs);
    n = q2_compress(q, buf, q->cs, out, q->cs - 1);
    if (n <= 0) {
        struct iovec v = { (void *)buf, len };
        r = n < 0 ? (int)n : q2_pwritev(b, off, &v, 1, len);
        goto out;
    }
    r = q2_commit_if_large(q);
    if (r)
        goto out;
    range_take(&q->ranges, &range, off, off + q->cs, true);
    pthread_mutex_lock(&q->lock);
    r = begin_change(q);
    r = r ? r : q2_l2_entry(q, off >> q->cluster_bits, true, &s, &p);
    r = r ? r : q2_alloc_bytes(q, (uint32_t)n, &host);
    pthread_mutex_unlock(&q->lock);
    if (!r) {
        r = bfile_pwrite(q->f, host, out, (size_t)n);
        pthread_mutex_lock(&q->lock);
        uint64_t sectors = ((host + (uint64_t)n - 1) >> 9) - (host >> 9);
        uint64_t entry = Q2_COMPRESSED | host | sectors << x;
        r = r ? r : q2_l2_entry(q, off >> q->cluster_bits, true, &s, &p);
        if (r) {
            q2_free_entry(q, entry, false);
        } else {
            uint64_t old = get_be64(p);
            put_be64(p, entry);
            q2_cache_dirty(&q->l2c, s);
            q2_free_entry(q, old, true);
        }
        pthread_mutex_unlock(&q->lock);
    }
    range_drop(&q->ranges, &range);
out:
    free(out);
    free(full);
    return r;
}

/* VM state lies in guest clusters behind the end of the disk */
int q2_vmstate(struct bnode *b, bool write, uint64_t off, void *buf, uint64_t len)
{
    struct q2 *q = q2_of(b);
    uint64_t base = q2_l1_needed(q, b->length) << (q->l2_bits + q->cluster_bits);
    struct iovec v = { buf, len };
    uint64_t disk = b->length;
    struct bnode *below = b->backing;
    int r = 0;

    if (!len)
        return 0;
    if (write) {
        pthread_mutex_lock(&q->lock);
        r = q2_grow_l1(q, q2_l1_needed(q, base + off + len));
        pthread_mutex_unlock(&q->lock);
    }
    /* for this call the disk reaches to the end of the state, without a
     * backing file: drained by the caller, so that nobody else looks */
    b->length = base + off + len;
    b->backing = NULL;
    if (!r)
        r = write ? q2_pwritev(b, base + off, &v, 1, len) : q2_preadv(b, base + off, &v, 1, len);
    b->backing = below;
    b->length = disk;
    return r;
}
