/*
 * qcow2-io.c - where guest bytes are, and reading them
 *
 * Reads and writes in place hold their guest range shared, whatever changes
 * the mapping holds it exclusively: the mapping seen under q->lock stays true
 * while the data is transferred without it. Order of writes: qcow2-cache.c.
 */
#define _GNU_SOURCE 1
#include "block/qcow2.h"

/* ---- mapping ------------------------------------------------------------------------ */

static void l1_changed(struct q2 *q, uint32_t i)
{
    bool none = q->l1_lo >= q->l1_hi;

    q->l1_lo = none ? i : MIN(q->l1_lo, i);
    q->l1_hi = none ? i + 1 : MAX(q->l1_hi, i + 1);
}

/* a private L2 table for l1[i]: zeroes, or a copy of the one that is shared */
static int new_l2(struct q2 *q, uint32_t i, uint64_t old)
{
    uint8_t *buf = NULL;
    uint64_t off;
    int r = q2_alloc(q, 1, true, &off, NULL);

    if (r)
        return r;
    q2_cache_drop(&q->l2c, off, q->cs);
    q2_cache_drop(&q->rcc, off, q->cs);
    q->data_end = MAX(q->data_end, off + q->cs);
    if (old) {
        buf = bfile_buf(q->cs);
        r = buf ? 0 : -ENOMEM;
        for (uint32_t at = 0; at < q->cs && !r; at += q->l2c.bytes) {
            struct q2_slice *s;
            r = q2_cache_get(q, &q->l2c, old + at, &s);
            if (!r)
                memcpy(buf + at, s->data, q->l2c.bytes);
        }
        r = r ? r : bfile_pwrite(q->f, off, buf, q->cs);
        free(buf);
    } else {
        r = bfile_zero(q->f, off, q->cs, false);
    }
    if (r) {
        if (q2_release(q, off, 1))
            q->free_hint = MIN(q->free_hint, off >> q->cluster_bits); /* a leak */
        return r;
    }
    q->l1[i] = off | Q2_COPIED;
    l1_changed(q, i);
    if (old)
        q2_free_later(q, old, 1, false);
    return 0;
}

/**
 * q2_l2_entry() - the L2 entry of guest cluster @g; q->lock held
 * @create: it will be changed: make the table, and make it ours alone
 *
 * *@s is NULL when there is no table (and !create). Errors: -EIO for tables
 * that cannot be, and what allocation gives.
 */
int q2_l2_entry(struct q2 *q, uint64_t g, bool create, struct q2_slice **s, uint8_t **p)
{
    uint64_t i = g >> q->l2_bits, off, in;
    int r;

    *s = NULL;
    if (i >= q->l1_size)
        return create ? -EIO : 0;
    off = q->l1[i] & Q2_OFFSET;
    if (!off && !create)
        return 0;
    if (!q2_aligned(q, off)) {
        q2_mark_corrupt(q, "unaligned L2 table", off);
        return -EIO;
    }
    if (create && (!off || !(q->l1[i] & Q2_COPIED))) {
        if (q->incompat & Q2_INC_CORRUPT)
            return -EIO;
        r = new_l2(q, (uint32_t)i, off);
        if (r)
            return r;
        off = q->l1[i] & Q2_OFFSET;
    }
    if (create && off >= q->data_end) {
        q2_mark_corrupt(q, "L2 table past the end of the file", off);
        return -EIO;
    }
    in = (g & ((1ull << q->l2_bits) - 1)) * q->entry_bytes;
    r = q2_cache_get(q, &q->l2c, off + align_down(in, q->l2c.bytes), s);
    if (!r)
        *p = (*s)->data + (in & (q->l2c.bytes - 1));
    return r;
}

/* kind of the (sub)cluster @sub of an entry; spec, "L2 table entries" */
static enum q2_kind entry_kind(const struct q2 *q, uint64_t e, uint64_t map, unsigned sub)
{
    bool has_data = (e & Q2_OFFSET) || (q->data != q->f && (e & Q2_COPIED));

    if (e & Q2_COMPRESSED)
        return Q2_COMP;
    if (q->ext_l2) {
        if (map & (1ull << (32 + sub)))
            return Q2_ZEROED;
        return (map & (1ull << sub)) ? Q2_DATA : Q2_UNALLOC;
    }
    if (q->version >= 3 && (e & Q2_ZERO))
        return Q2_ZEROED;
    return has_data ? Q2_DATA : Q2_UNALLOC;
}

/**
 * q2_lookup() - what guest byte @off is, and how far that goes; q->lock held
 * @cached: do not read tables; -EAGAIN when one is needed
 */
int q2_lookup(struct q2 *q, uint64_t off, uint64_t max, bool cached, struct q2_map *m)
{
    unsigned unit_bits = q->ext_l2 ? q->cluster_bits - 5 : q->cluster_bits;
    uint64_t g = off >> q->cluster_bits, i = g >> q->l2_bits, table, in, pos = off, end = off + max;
    struct q2_slice *s;
    int r;

    memset(m, 0, sizeof(*m));
    m->len = max;
    m->kind = Q2_UNALLOC;
    if (i >= q->l1_size || !(table = q->l1[i] & Q2_OFFSET)) {
        uint64_t next = (i + 1) << (q->l2_bits + q->cluster_bits);
        m->len = MIN(max, next - off);
        return 0;
    }
    if (!q2_aligned(q, table)) {
        q2_mark_corrupt(q, "unaligned L2 table", table);
        return -EIO;
    }
    in = (g & ((1ull << q->l2_bits) - 1)) * q->entry_bytes;
    table += align_down(in, q->l2c.bytes);
    in &= q->l2c.bytes - 1;
    if (cached) {
        s = q2_cache_peek(&q->l2c, table);
        if (!s)
            return -EAGAIN;
    } else if ((r = q2_cache_get(q, &q->l2c, table, &s))) {
        return r;
    }
    for (bool first = true; pos < end && in < q->l2c.bytes; first = false) {
        uint64_t e = get_be64(s->data + in);
        uint64_t map = q->ext_l2 ? get_be64(s->data + in + 8) : 0;
        unsigned sub = (unsigned)((pos & (q->cs - 1)) >> unit_bits);
        enum q2_kind k = entry_kind(q, e, map, sub);
        uint64_t host = (e & Q2_OFFSET) + (pos & (q->cs - 1));
        if (first) {
            m->kind = k;
            m->entry = e;
            m->copied = e & Q2_COPIED;
            m->host = host;
        } else if (k != m->kind || k == Q2_COMP ||
                   (k == Q2_DATA && (host != m->host + (pos - off) || m->copied != !!(e & Q2_COPIED)))) {
            break;
        }
        if (k == Q2_DATA && !q2_aligned(q, e & Q2_OFFSET)) {
            q2_mark_corrupt(q, "unaligned data cluster", e & Q2_OFFSET);
            return -EIO;
        }
        pos = k == Q2_COMP ? align_down(pos, q->cs) + q->cs : align_down(pos, 1ull << unit_bits) + (1ull << unit_bits);
        if (!(pos & (q->cs - 1)))
            in += q->entry_bytes;
    }
    m->len = MIN(pos, end) - off;
    return 0;
}

/* ---- reading -------------------------------------------------------------------------- */

static int read_extent(struct q2 *q, const struct q2_map *m, uint64_t off,
                       const struct iovec *iov, unsigned n, uint64_t at, uint64_t len)
{
    struct iovec tmp[BLOCK_MAX_IOV];
    struct bnode *below = q->node->backing;
    unsigned k;

    if (m->kind == Q2_COMP)
        return q2_read_comp(q, m->entry, (uint32_t)(off & (q->cs - 1)), iov, n, at, (uint32_t)len);
    if (m->kind == Q2_ZEROED || (m->kind == Q2_UNALLOC && !below)) {
        iov_zero(iov, n, at, len);
        return 0;
    }
    k = iov_slice(tmp, iov, n, at, len);
    return m->kind == Q2_DATA ? bfile_preadv(q->data, m->host, tmp, k) : bnode_preadv(below, off, tmp, k, len);
}

/** q2_read_held() - read; the caller holds the range */
int q2_read_held(struct q2 *q, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len)
{
    struct q2_map m;
    uint64_t at = 0;
    int r = 0;

    while (at < len && !r) {
        pthread_mutex_lock(&q->lock);
        r = q2_lookup(q, off + at, len - at, false, &m);
        pthread_mutex_unlock(&q->lock);
        if (!r)
            r = read_extent(q, &m, off + at, iov, n, at, m.len);
        at += m.len;
    }
    return r;
}

/** q2_take() - the range of whole clusters around [@off, @off+@len) */
void q2_take(struct q2 *q, struct range *r, uint64_t off, uint64_t len, bool excl)
{
    range_take(&q->ranges, r, align_down(off, q->cs), align_up(off + len, q->cs), excl);
}

int q2_preadv(struct bnode *b, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len)
{
    struct q2 *q = q2_of(b);
    struct range range;
    int r;

    if (!q->data)
        return -EIO;
    q2_take(q, &range, off, len, false);
    r = q2_read_held(q, off, iov, n, len);
    range_drop(&q->ranges, &range);
    return r;
}

/* What is not in the overlay, in a backing file that says where it is and wants no range held. */
static bool fast_below(struct bnode *below, uint64_t off, uint64_t len, struct bfile **file, uint64_t *host)
{
    return below && below->drv->fast_try && !below->drv->fast_done && off + len <= below->length
           && below->drv->fast_try(below, false, off, len, file, host, NULL);
}

bool q2_fast_try(struct bnode *b, bool write, uint64_t off, uint64_t len,
                 struct bfile **file, uint64_t *host, struct range *range)
{
    struct q2 *q = q2_of(b);
    struct q2_map m = { .kind = Q2_UNALLOC };
    bool ok = false, below = false;

    if (!q->data || !range_try(&q->ranges, range, align_down(off, q->cs), align_up(off + len, q->cs), false))
        return false;
    if (!pthread_mutex_trylock(&q->lock)) {
        ok = !q2_lookup(q, off, len, true, &m) && m.len == len;
        below = ok && m.kind == Q2_UNALLOC;
        ok = ok && m.kind == Q2_DATA &&
             (!write || (m.copied && align_up(m.host + len, q->cs) <= align_up(q->data_end, q->cs) && !(q->incompat & Q2_INC_CORRUPT)));
        pthread_mutex_unlock(&q->lock);
    }
    if (below && !write && fast_below(b->backing, off, len, file, host))
        return true;
    if (!ok) {
        range_drop(&q->ranges, range);
        return false;
    }
    *file = q->data;
    *host = m.host;
    return true;
}

void q2_fast_done(struct bnode *b, struct range *r)
{
    range_drop(&q2_of(b)->ranges, r);
}

int q2_map_extent(struct bnode *b, uint64_t off, uint64_t max, struct block_extent *x)
{
    struct q2 *q = q2_of(b);
    struct q2_map m;
    uint64_t total = 0;
    int r;

    pthread_mutex_lock(&q->lock);
    r = q2_lookup(q, off, max, false, &m);
    total = m.len;
    x->present = m.kind != Q2_UNALLOC;
    x->data = m.kind == Q2_DATA || m.kind == Q2_COMP;
    x->zero = m.kind == Q2_ZEROED;
    x->compressed = m.kind == Q2_COMP;
    x->host_valid = m.kind == Q2_DATA;
    x->host_off = x->host_valid ? m.host : 0;
    while (!r && total < max && total < GiB) { /* join what continues in the next slice */
        struct q2_map next;
        r = q2_lookup(q, off + total, max - total, false, &next);
        if (r || next.kind != m.kind || (m.kind == Q2_DATA && next.host != m.host + total))
            break;
        total += next.len;
    }
    pthread_mutex_unlock(&q->lock);
    x->len = total;
    return r;
}
