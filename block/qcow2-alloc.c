/*
 * qcow2-alloc.c - refcounts and finding free clusters
 *
 * Everything here runs with q->lock held. The rules of write order are in
 * qcow2-cache.c.
 */
#include "block/qcow2.h"

/** q2_ref_read() - entry @i of a refcount block; spec, "Refcount table" */
uint64_t q2_ref_read(const uint8_t *p, unsigned order, uint64_t i)
{
    switch (order) {
    case 3: return p[i];
    case 4: return get_be16(p + i * 2);
    case 5: return get_be32(p + i * 4);
    case 6: return get_be64(p + i * 8);
    default: { /* entries narrower than a byte: lowest bits first */
        unsigned per = 3 - order, width = 1u << order;
        return (p[i >> per] >> ((i & ((1u << per) - 1)) * width)) & ((1u << width) - 1);
    }
    }
}

void q2_ref_write(uint8_t *p, unsigned order, uint64_t i, uint64_t v)
{
    switch (order) {
    case 3: p[i] = (uint8_t)v; break;
    case 4: put_be16(p + i * 2, (uint16_t)v); break;
    case 5: put_be32(p + i * 4, (uint32_t)v); break;
    case 6: put_be64(p + i * 8, v); break;
    default: {
        unsigned per = 3 - order, width = 1u << order;
        unsigned shift = (unsigned)(i & ((1u << per) - 1)) * width;
        unsigned mask = ((1u << width) - 1) << shift;
        p[i >> per] = (uint8_t)((p[i >> per] & ~mask) | (v << shift));
    }
    }
}

/** q2_ref_max() - the largest refcount that the image's width holds */
uint64_t q2_ref_max(const struct q2 *q)
{
    return q->ref_order == 6 ? INT64_MAX : (1ull << (1u << q->ref_order)) - 1;
}

/* the slice and index in it of @cluster's refcount; -ENOENT: no block there */
static int ref_slice(struct q2 *q, uint64_t cluster, struct q2_slice **s, uint64_t *i)
{
    uint64_t idx = cluster >> q->per_bits, off, per_slice;

    if (idx >= q->reft_n || !(off = q->reft[idx] & Q2_OFFSET))
        return -ENOENT;
    if (!q2_aligned(q, off)) {
        q2_mark_corrupt(q, "unaligned refcount block", off);
        return -EIO;
    }
    per_slice = (uint64_t)q->rcc.bytes * 8 >> q->ref_order;
    *i = cluster & ((1ull << q->per_bits) - 1);
    off += *i / per_slice * q->rcc.bytes;
    *i %= per_slice;
    return q2_cache_get(q, &q->rcc, off, s);
}

/** q2_ref_get() - users of a cluster; 0 where the image has no refcount block */
int q2_ref_get(struct q2 *q, uint64_t cluster, uint64_t *ref)
{
    struct q2_slice *s;
    uint64_t i;
    int r = ref_slice(q, cluster, &s, &i);

    *ref = r ? 0 : q2_ref_read(s->data, q->ref_order, i);
    return r == -ENOENT ? 0 : r;
}

/** q2_ref_set() - the refcount block must be there (-ENOENT) */
int q2_ref_set(struct q2 *q, uint64_t cluster, uint64_t ref)
{
    struct q2_slice *s;
    uint64_t i;
    int r = ref_slice(q, cluster, &s, &i);

    if (r)
        return r;
    if (s->off >= q->data_end) {
        q2_mark_corrupt(q, "refcount block past the end of the file", s->off);
        return -EIO;
    }
    q2_ref_write(s->data, q->ref_order, i, ref);
    q2_cache_dirty(&q->rcc, s);
    if (!ref && cluster < q->free_hint)
        q->free_hint = cluster;
    return 0;
}

/** q2_ref_add() - @delta users more; -EOVERFLOW, or -EIO when there were none to lose */
int q2_ref_add(struct q2 *q, uint64_t cluster, int delta, uint64_t *now)
{
    uint64_t ref;
    int r = q2_ref_get(q, cluster, &ref);

    if (r)
        return r;
    if (delta < 0 && ref < (uint64_t)-delta) {
        q2_mark_corrupt(q, "refcount below zero", cluster << q->cluster_bits);
        return -EIO;
    }
    if (delta > 0 && ref + (uint64_t)delta > q2_ref_max(q))
        return -EOVERFLOW;
    ref += (uint64_t)(int64_t)delta;
    if (now)
        *now = ref;
    return delta ? q2_ref_set(q, cluster, ref) : 0;
}

/* ---- the refcount table ------------------------------------------------------------ */

static void reft_changed(struct q2 *q, uint32_t i)
{
    bool none = q->reft_lo >= q->reft_hi;

    q->reft_lo = none ? i : MIN(q->reft_lo, i);
    q->reft_hi = none ? i + 1 : MAX(q->reft_hi, i + 1);
}

/* write a cluster of zeroes that nothing names yet (rule 2) */
static int blank_cluster(struct q2 *q, uint64_t off)
{
    q2_cache_drop(&q->rcc, off, q->cs);
    q2_cache_drop(&q->l2c, off, q->cs);
    q->data_end = MAX(q->data_end, off + q->cs);
    return bfile_zero(q->f, off, q->cs, false);
}

static bool has_block(const struct q2 *q, uint64_t idx)
{
    return idx < q->reft_n && (q->reft[idx] & Q2_OFFSET);
}

static int switch_reft(struct q2 *q, uint64_t off, uint32_t clusters)
{
    uint8_t head[12], *buf = xzalloc((size_t)clusters << q->cluster_bits);
    int r;

    for (uint32_t i = 0; i < q->reft_n; i++)
        put_be64(buf + 8ull * i, q->reft[i]);
    r = q2_write_refs(q);
    r = r ? r : bfile_pwrite(q->f, off, buf, (size_t)clusters << q->cluster_bits);
    r = r ? r : bfile_flush(q->f);
    free(buf);
    if (r)
        return r;
    put_be64(head, off); /* offset and size in one write: bytes 48..59 */
    put_be32(head + 8, clusters);
    r = bfile_pwrite(q->f, 48, head, sizeof(head));
    return r ? r : bfile_flush(q->f);
}

/*
 * A longer refcount table, at the end of the file together with the refcount
 * blocks that describe both. Old and new table are complete at every instant.
 */
static int grow_reft(struct q2 *q, uint64_t idx, uint64_t at)
{
    uint64_t start = MAX(at, align_up(q->data_end, q->cs) >> q->cluster_bits);
    uint64_t entries = MAX(idx + 1, q->reft_n + q->reft_n / 2ull), blocks = 0, clusters, end;
    uint64_t *old = q->reft, old_off = q->reft_off;
    uint32_t old_n = q->reft_n, old_clusters = q->reft_clusters;
    int r = 0;

    for (;;) {
        uint64_t need = 0;
        clusters = align_up(entries * 8, q->cs) >> q->cluster_bits;
        end = start + blocks + clusters;
        for (uint64_t i = start >> q->per_bits; i <= (end - 1) >> q->per_bits; i++)
            need += !has_block(q, i);
        entries = MAX(entries, ((end - 1) >> q->per_bits) + 1);
        if (need <= blocks && entries * 8 <= clusters << q->cluster_bits)
            break;
        blocks = MAX(need, blocks);
    }
    if (clusters << q->cluster_bits > Q2_MAX_REFT_BYTES)
        return -EFBIG;
    q->reft_n = (uint32_t)(clusters << q->cluster_bits >> 3);
    q->reft = xzalloc(q->reft_n * 8ull);
    memcpy(q->reft, old, old_n * 8ull);
    q->data_end = MAX(q->data_end, end << q->cluster_bits);
    uint64_t c = start;
    for (uint64_t i = start >> q->per_bits; i <= (end - 1) >> q->per_bits && !r; i++)
        if (!(q->reft[i] & Q2_OFFSET)) {
            r = blank_cluster(q, c << q->cluster_bits);
            q->reft[i] = c++ << q->cluster_bits;
        }
    for (uint64_t i = start; i < end && !r; i++)
        r = q2_ref_set(q, i, i < c || i >= start + blocks);
    if (!r)
        r = switch_reft(q, (start + blocks) << q->cluster_bits, (uint32_t)clusters);
    if (r) { /* as if nothing had been: what was written is past all users */
        q2_cache_drop(&q->rcc, start << q->cluster_bits, blocks << q->cluster_bits);
        for (uint64_t i = start; i < end; i++)
            if (i >> q->per_bits < old_n && (old[i >> q->per_bits] & Q2_OFFSET) && q2_ref_set(q, i, 0))
                break;
        free(q->reft);
        q->reft = old;
        q->reft_n = old_n;
        return r;
    }
    free(old);
    q->reft_off = (start + blocks) << q->cluster_bits;
    q->reft_clusters = (uint32_t)clusters;
    q->reft_lo = q->reft_hi = 0;
    q2_free_later(q, old_off, old_clusters, false);
    return 0;
}

/* a refcount block for the region of @cluster, in @cluster itself (it is free) */
static int new_block(struct q2 *q, uint64_t cluster)
{
    uint64_t idx = cluster >> q->per_bits;
    int r;

    if (idx >= q->reft_n) {
        r = grow_reft(q, idx, cluster);
        if (r || has_block(q, idx))
            return r; /* growing has described this region */
    }
    r = blank_cluster(q, cluster << q->cluster_bits);
    if (r)
        return r;
    q->reft[idx] = cluster << q->cluster_bits;
    reft_changed(q, (uint32_t)idx);
    return q2_ref_set(q, cluster, 1);
}

/* clusters that no refcount may say are free */
static bool is_fixed(const struct q2 *q, uint64_t cluster)
{
    uint64_t off = cluster << q->cluster_bits;

    return off < q->cs ||
           (off >= q->l1_off && off < q->l1_off + 8ull * q->l1_size) ||
           (off >= q->reft_off && off < q->reft_off + 8ull * q->reft_n) ||
           (q->snap_bytes && off >= q->snap_off && off < q->snap_off + q->snap_bytes);
}

int q2_alloc(struct q2 *q, uint64_t n, bool exact, uint64_t *off, uint64_t *got)
{
    uint64_t c = q->free_hint, run = 0, first = UINT64_MAX, last = 1ull << (55 - q->cluster_bits), ref;
    int r = 0;

    while (run < n) {
        if (c >= last)
            return -EFBIG;
        if (!has_block(q, c >> q->per_bits)) {
            if (run && !exact)
                break;
            if ((r = new_block(q, c)))
                return r;
            continue; /* @c may or may not have been taken for it */
        }
        if ((r = q2_ref_get(q, c, &ref)))
            return r;
        if (!ref && is_fixed(q, c)) {
            q2_mark_corrupt(q, "cluster in use has refcount 0", c << q->cluster_bits);
            return -EIO;
        }
        if (ref) {
            if (run && !exact)
                break;
            run = 0;
        } else {
            run++;
            if (first == UINT64_MAX)
                first = c;
        }
        c++;
    }
    for (uint64_t i = c - run; i < c; i++)
        if ((r = q2_ref_set(q, i, 1))) {
            while (i-- > c - run)
                if (q2_ref_set(q, i, 0))
                    break;
            return r;
        }
    q->free_hint = first == c - run ? c : MIN(first, c);
    *off = (c - run) << q->cluster_bits;
    if (got)
        *got = run;
    return 0;
}

/** q2_release() - one user less for each of @n clusters; free ones leave the caches */
int q2_release(struct q2 *q, uint64_t off, uint64_t n)
{
    int ret = 0;

    for (uint64_t i = 0; i < n; i++) {
        uint64_t c = (off >> q->cluster_bits) + i, now;
        int r = q2_ref_add(q, c, -1, &now);
        if (r) {
            ret = ret ? ret : r;
        } else if (!now) {
            q2_cache_drop(&q->l2c, c << q->cluster_bits, q->cs);
            q2_cache_drop(&q->rcc, c << q->cluster_bits, q->cs);
            if (q->comp_off >> q->cluster_bits == c)
                q->comp_off = 0;
        }
    }
    return ret;
}

/**
 * q2_alloc_bytes() - room for a compressed cluster, packed behind the last one
 * Each compressed cluster is one user of every host cluster that it touches.
 */
int q2_alloc_bytes(struct q2 *q, uint32_t len, uint64_t *off)
{
    uint64_t room = q->comp_off ? align_up(q->comp_off, q->cs) - q->comp_off : 0, fresh, now;
    int r;

    if (room && room >= len) {
        r = q2_ref_add(q, q->comp_off >> q->cluster_bits, 1, &now);
        if (!r) {
            *off = q->comp_off;
            goto out;
        }
        if (r != -EOVERFLOW)
            return r;
        room = 0;
    }
    r = q2_alloc(q, 1, true, &fresh, NULL);
    if (r)
        return r;
    if (room && fresh == align_up(q->comp_off, q->cs) &&
        !q2_ref_add(q, q->comp_off >> q->cluster_bits, 1, &now))
        *off = q->comp_off; /* over the border into the next cluster */
    else
        *off = fresh;
out:
    q->comp_off = *off + len;
    if (q2_aligned(q, q->comp_off))
        q->comp_off = 0;
    q->data_end = MAX(q->data_end, *off + len);
    return 0;
}
