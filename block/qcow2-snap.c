/*
 * qcow2-snap.c - internal snapshots
 *
 * A snapshot is a copy of the L1 table; what it names has one user more. All
 * of these operations hold the whole disk exclusively and, in version 3, run
 * with the dirty bit set, so that a crash half way is repaired on opening.
 * Source: qcow2 specification, "Snapshots".
 */
#define _GNU_SOURCE 1
#include "block/qcow2.h"

void q2_snaps_free(struct q2 *q)
{
    for (unsigned i = 0; i < q->n_snaps; i++)
        free(q->snaps[i].extra);
    free(q->snaps);
    q->snaps = NULL;
    q->n_snaps = 0;
}

/* one entry of the table at @p; returns its length, 0 when it cannot be */
static uint64_t parse_snap(struct q2 *q, const uint8_t *p, uint64_t room, struct q2_snap *sn)
{
    uint32_t extra, id, name;
    uint64_t len;

    memset(sn, 0, sizeof(*sn));
    if (room < 40)
        return 0;
    extra = get_be32(p + 36);
    id = get_be16(p + 12);
    name = get_be16(p + 14);
    len = 40ull + extra + id + name;
    if (extra > 1024 || len > room)
        return 0;
    sn->l1_off = get_be64(p);
    sn->l1_size = get_be32(p + 8);
    sn->s.date_s = get_be32(p + 16);
    sn->s.date_ns = get_be32(p + 20);
    sn->s.vm_clock_ns = get_be64(p + 24);
    sn->s.vm_state_bytes = extra >= 8 ? get_be64(p + 40) : get_be32(p + 32);
    sn->s.disk_bytes = extra >= 16 ? get_be64(p + 48) : q->node->length;
    sn->s.icount = extra >= 24 ? get_be64(p + 56) : UINT64_MAX;
    snprintf(sn->s.id, sizeof(sn->s.id), "%.*s", (int)id, (const char *)p + 40 + extra);
    snprintf(sn->s.name, sizeof(sn->s.name), "%.*s", (int)name, (const char *)p + 40 + extra + id);
    if (sn->l1_size > Q2_MAX_L1_BYTES / 8 || !q2_aligned(q, sn->l1_off) || sn->l1_off > BLOCK_MAX_BYTES ||
        sn->s.disk_bytes > BLOCK_MAX_BYTES)
        return 0;
    if (extra > 24) {
        sn->extra_bytes = extra - 24;
        sn->extra = xmalloc(sn->extra_bytes);
        memcpy(sn->extra, p + 64, sn->extra_bytes);
    }
    return align_up(len, 8);
}

/** q2_snaps_load() - the snapshot table of @n entries */
int q2_snaps_load(struct q2 *q, uint32_t n, struct err *e)
{
    uint64_t at = 0, cap = 0, need = 64 * KiB;
    uint8_t *buf = NULL;
    int r = 0;

    if (n > Q2_MAX_SNAPSHOTS)
        return err_set(e, -EFBIG, "'%s': too many snapshots", q->node->filename);
    if (n)
        q->snaps = xzalloc(n * sizeof(*q->snaps));
    while (q->n_snaps < n && !r) {
        uint64_t len = cap ? parse_snap(q, buf + at, cap - at, &q->snaps[q->n_snaps]) : 0;
        if (len && at + len <= cap) {
            at += len;
            q->n_snaps++;
            continue;
        }
        if (len)
            free(q->snaps[q->n_snaps].extra);
        if (need > Q2_MAX_SNAP_BYTES || (cap && (int64_t)(q->snap_off + cap) > bfile_length(q->f))) {
            r = err_set(e, -EINVAL, "'%s': snapshot table is damaged", q->node->filename);
            break;
        }
        cap = need; /* more of the table */
        need *= 4;
        buf = xrealloc(buf, cap);
        r = bfile_pread(q->f, q->snap_off, buf, cap);
        if (r)
            err_set(e, r, "Could not read the snapshots of '%s': %s", q->node->filename, strerror(-r));
    }
    q->snap_bytes = at;
    free(buf);
    return r;
}

/* the table as bytes; *len is its length */
static uint8_t *format_snaps(const struct q2 *q, uint64_t *len)
{
    uint64_t total = 0;
    uint8_t *buf, *p;

    for (unsigned i = 0; i < q->n_snaps; i++) {
        const struct q2_snap *sn = &q->snaps[i];
        total += align_up(64ull + sn->extra_bytes + strlen(sn->s.id) + strlen(sn->s.name), 8);
    }
    buf = p = xzalloc(align_up(MAX(total, 1u), q->cs));
    for (unsigned i = 0; i < q->n_snaps; i++) {
        const struct q2_snap *sn = &q->snaps[i];
        uint32_t id = (uint32_t)strlen(sn->s.id), name = (uint32_t)strlen(sn->s.name);
        put_be64(p, sn->l1_off);
        put_be32(p + 8, sn->l1_size);
        put_be16(p + 12, (uint16_t)id);
        put_be16(p + 14, (uint16_t)name);
        put_be32(p + 16, sn->s.date_s);
        put_be32(p + 20, sn->s.date_ns);
        put_be64(p + 24, sn->s.vm_clock_ns);
        put_be32(p + 32, (uint32_t)MIN(sn->s.vm_state_bytes, UINT32_MAX));
        put_be32(p + 36, 24 + sn->extra_bytes);
        put_be64(p + 40, sn->s.vm_state_bytes);
        put_be64(p + 48, sn->s.disk_bytes);
        put_be64(p + 56, sn->s.icount);
        if (sn->extra_bytes)
            memcpy(p + 64, sn->extra, sn->extra_bytes);
        memcpy(p + 64 + sn->extra_bytes, sn->s.id, id);
        memcpy(p + 64 + sn->extra_bytes + id, sn->s.name, name);
        p += align_up(64ull + sn->extra_bytes + id + name, 8);
    }
    *len = total;
    return buf;
}

/* the table in q->snaps becomes the image's */
static int write_snaps(struct q2 *q)
{
    uint64_t len, off = 0, old_off = q->snap_off, old_len = q->snap_bytes, n;
    uint8_t *buf = format_snaps(q, &len), head[12];
    int r = 0;

    n = align_up(len, q->cs) >> q->cluster_bits;
    if (len > Q2_MAX_SNAP_BYTES)
        r = -EFBIG;
    if (!r && n) {
        pthread_mutex_lock(&q->lock);
        r = q2_alloc(q, n, true, &off, NULL);
        q->data_end = MAX(q->data_end, off + (n << q->cluster_bits));
        pthread_mutex_unlock(&q->lock);
        r = r ? r : bfile_pwrite(q->f, off, buf, n << q->cluster_bits);
    }
    free(buf);
    r = r ? r : q2_commit(q);
    put_be32(head, q->n_snaps);
    put_be64(head + 4, off);
    r = r ? r : bfile_pwrite(q->f, 60, head, sizeof(head));
    r = r ? r : bfile_flush(q->f);
    if (r)
        return r; /* at worst the new clusters leak */
    q->snap_off = off;
    q->snap_bytes = len;
    if (old_len) {
        pthread_mutex_lock(&q->lock);
        q2_free_later(q, old_off, (uint32_t)(align_up(old_len, q->cs) >> q->cluster_bits), false);
        pthread_mutex_unlock(&q->lock);
    }
    return 0;
}

/* ---- walking L1 tables -------------------------------------------------------------- */

static int walk_entry(struct q2 *q, struct q2_slice *s, uint8_t *p, int delta, bool flags)
{
    uint64_t e = get_be64(p), off, len, ref = 0, was = e;
    int r = 0;

    if (e & Q2_COMPRESSED) {
        q2_comp_extent(q, e, &off, &len);
        uint64_t first = off >> q->cluster_bits, last = (off + len - 1) >> q->cluster_bits;
        if (delta < 0)
            return q2_release(q, first << q->cluster_bits, last - first + 1);
        for (uint64_t c = first; delta && c <= last && !r; c++)
            r = q2_ref_add(q, c, delta, NULL);
        return r;
    }
    off = e & Q2_OFFSET;
    if (!off)
        return 0;
    if (!q2_aligned(q, off))
        return -EIO;
    if (delta < 0)
        return q2_release(q, off, 1);
    r = q2_ref_add(q, off >> q->cluster_bits, delta, &ref);
    if (r || !flags)
        return r;
    e = ref == 1 ? e | Q2_COPIED : e & ~Q2_COPIED;
    if (e != was) {
        put_be64(p, e);
        q2_cache_dirty(&q->l2c, s);
    }
    return 0;
}

static int walk_table(struct q2 *q, uint64_t table, int delta, bool flags)
{
    for (uint32_t at = 0; at < q->cs; at += q->l2c.bytes) {
        for (uint32_t i = 0; i < q->l2c.bytes; i += q->entry_bytes) {
            struct q2_slice *s;
            /* looked up each time: a release may drop slices */
            int r = q2_cache_get(q, &q->l2c, table + at, &s);
            r = r ? r : walk_entry(q, s, s->data + i, delta, flags);
            if (r)
                return r;
        }
    }
    return 0;
}

/*
 * Add @delta users to everything that @l1 names, the L2 tables included.
 * @flags: @l1 is the active table: bring the COPIED flags in line.
 */
static int walk(struct q2 *q, uint64_t *l1, uint32_t n, int delta, bool flags)
{
    int r = 0;

    for (uint32_t i = 0; i < n && !r; i++) {
        uint64_t table = l1[i] & Q2_OFFSET, ref = 0;
        if (!table)
            continue;
        if (!q2_aligned(q, table))
            return -EIO;
        pthread_mutex_lock(&q->lock);
        r = walk_table(q, table, delta, flags);
        if (!r && delta < 0)
            r = q2_release(q, table, 1);
        else if (!r)
            r = q2_ref_add(q, table >> q->cluster_bits, delta, &ref);
        if (!r && flags) {
            l1[i] = ref == 1 ? table | Q2_COPIED : table;
            q->l1_lo = 0;
            q->l1_hi = q->l1_size;
        }
        pthread_mutex_unlock(&q->lock);
        r = r ? r : q2_commit_if_large(q);
    }
    return r;
}

static int max_entry(struct q2 *q, uint64_t cluster, uint64_t *most)
{
    uint64_t ref;
    int r = q2_ref_get(q, cluster, &ref);

    *most = MAX(*most, ref);
    return r;
}

/* whether every cluster can have one user more; narrow refcounts may be full */
static int room_for_one(struct q2 *q)
{
    uint64_t most = 0, clusters = (uint64_t)bfile_length(q->f) >> q->cluster_bits;
    int r = 0;

    if (q->ref_order >= 4)
        return 0;
    pthread_mutex_lock(&q->lock);
    for (uint64_t c = 0; c <= clusters && !r; c++) {
        uint64_t idx = c >> q->per_bits;
        if (idx >= q->reft_n)
            break;
        if (q->reft[idx] & Q2_OFFSET)
            r = max_entry(q, c, &most);
        else
            c |= (1ull << q->per_bits) - 1; /* nothing in use here */
    }
    pthread_mutex_unlock(&q->lock);
    return r ? r : most >= q2_ref_max(q) ? -EOVERFLOW : 0;
}

/* ---- operations ---------------------------------------------------------------------------- */

static int begin(struct q2 *q, struct range *range)
{
    int r;

    range_take(&q->ranges, range, 0, UINT64_MAX, true);
    r = q->incompat & Q2_INC_CORRUPT ? -EIO : q2_commit(q);
    return r ? r : q2_set_incompat(q, Q2_INC_DIRTY, 0);
}

static int end(struct q2 *q, struct range *range, int r, const char *what, struct err *e)
{
    int r2 = q2_commit(q);

    if (!r2 && q->rcc.n_dirty && !(q->lazy && q->dirty_set))
        r2 = q2_commit(q);
    r = r ? r : r2;
    /* after an error the bit stays: the next opening repairs */
    if (!r && !q->dirty_set)
        r = q2_set_incompat(q, 0, Q2_INC_DIRTY);
    range_drop(&q->ranges, range);
    if (r && e && !e->msg[0])
        err_set(e, r, "Could not %s snapshot: %s", what,
                r == -EOVERFLOW ? "the image's refcounts are too narrow" : strerror(-r));
    return r;
}

static struct q2_snap *find(struct q2 *q, const char *id)
{
    for (unsigned i = 0; i < q->n_snaps; i++)
        if (!strcmp(q->snaps[i].s.id, id))
            return &q->snaps[i];
    for (unsigned i = 0; i < q->n_snaps; i++)
        if (!strcmp(q->snaps[i].s.name, id))
            return &q->snaps[i];
    return NULL;
}

int q2_snap_list(struct bnode *b, struct block_snapshot **out, unsigned *n)
{
    struct q2 *q = q2_of(b);

    *n = q->n_snaps;
    *out = xzalloc(MAX(1u, q->n_snaps) * sizeof(**out));
    for (unsigned i = 0; i < q->n_snaps; i++)
        (*out)[i] = q->snaps[i].s;
    return 0;
}

static int copy_l1(struct q2 *q, struct q2_snap *sn)
{
    uint64_t n = MAX(1u, align_up(q->l1_size * 8ull, q->cs) >> q->cluster_bits);
    uint64_t *copy = xmalloc(MAX(1u, q->l1_size) * 8ull);
    int r;

    pthread_mutex_lock(&q->lock);
    r = q2_alloc(q, n, true, &sn->l1_off, NULL);
    q->data_end = MAX(q->data_end, sn->l1_off + (n << q->cluster_bits));
    for (uint32_t i = 0; i < q->l1_size; i++)
        copy[i] = q->l1[i] & ~Q2_COPIED;
    pthread_mutex_unlock(&q->lock);
    sn->l1_size = q->l1_size;
    r = r ? r : q2_write_l1_at(q, sn->l1_off, copy, q->l1_size);
    free(copy);
    return r;
}

int q2_snap_create(struct bnode *b, struct block_snapshot *s, struct err *e)
{
    struct q2 *q = q2_of(b);
    struct q2_snap sn = { 0 };
    unsigned long last = 0;
    struct range range;
    int r;

    if (q->n_snaps >= Q2_MAX_SNAPSHOTS)
        return err_set(e, -EFBIG, "'%s' has as many snapshots as can be", b->filename);
    for (unsigned i = 0; i < q->n_snaps; i++)
        last = MAX(last, strtoul(q->snaps[i].s.id, NULL, 10));
    snprintf(s->id, sizeof(s->id), "%lu", last + 1);
    s->disk_bytes = b->length;
    sn.s = *s;
    r = begin(q, &range);
    r = r ? r : room_for_one(q);
    r = r ? r : copy_l1(q, &sn);
    r = r ? r : walk(q, q->l1, q->l1_size, 1, true);
    r = r ? r : q2_commit(q);
    if (!r) {
        q->snaps = xrealloc(q->snaps, (q->n_snaps + 1) * sizeof(*q->snaps));
        q->snaps[q->n_snaps++] = sn;
        r = write_snaps(q);
        if (r)
            q->n_snaps--;
    }
    return end(q, &range, r, "create", e);
}

int q2_snap_apply(struct bnode *b, const char *id, struct err *e)
{
    struct q2 *q = q2_of(b);
    struct q2_snap *sn = find(q, id);
    uint64_t *snap_l1 = NULL, *old;
    struct range range;
    uint32_t old_n;
    int r;

    if (!sn)
        return err_set(e, -ENOENT, "Can't find snapshot '%s'", id);
    if (q2_l1_needed(q, sn->s.disk_bytes) > sn->l1_size)
        return err_set(e, -EINVAL, "Snapshot '%s' is damaged: its L1 table is too small", id);
    r = begin(q, &range);
    pthread_mutex_lock(&q->lock);
    r = r ? r : q2_grow_l1(q, sn->l1_size);
    pthread_mutex_unlock(&q->lock);
    r = r ? r : q2_read_l1(q, sn->l1_off, sn->l1_size, &snap_l1);
    r = r ? r : walk(q, snap_l1, sn->l1_size, 1, false);
    r = r ? r : q2_commit(q);
    if (!r) {
        uint8_t size[8];
        old = q->l1;
        old_n = q->l1_size;
        q->l1 = xzalloc(old_n * 8ull);
        for (uint32_t i = 0; i < sn->l1_size; i++)
            q->l1[i] = snap_l1[i] & ~Q2_COPIED;
        q->l1_lo = 0;
        q->l1_hi = q->l1_size;
        r = q2_commit(q);
        put_be64(size, sn->s.disk_bytes);
        r = r ? r : bfile_pwrite(q->f, 24, size, 8);
        r = r ? r : bfile_flush(q->f);
        if (!r) {
            b->length = sn->s.disk_bytes;
            r = walk(q, old, old_n, -1, false);
        }
        r = r ? r : walk(q, q->l1, q->l1_size, 0, true);
        free(old);
    }
    free(snap_l1);
    return end(q, &range, r, "apply", e);
}

int q2_snap_delete(struct bnode *b, const char *id, struct err *e)
{
    struct q2 *q = q2_of(b);
    struct q2_snap *sn = find(q, id), gone;
    uint64_t *l1 = NULL;
    struct range range;
    int r;

    if (!sn)
        return err_set(e, -ENOENT, "Can't find snapshot '%s'", id);
    r = begin(q, &range);
    r = r ? r : q2_read_l1(q, sn->l1_off, sn->l1_size, &l1);
    if (!r) {
        unsigned i = (unsigned)(sn - q->snaps);
        gone = *sn;
        memmove(sn, sn + 1, (q->n_snaps - i - 1) * sizeof(*sn));
        q->n_snaps--;
        r = write_snaps(q);
        if (r) {
            memmove(sn + 1, sn, (q->n_snaps - i) * sizeof(*sn));
            *sn = gone;
            q->n_snaps++;
        }
    }
    if (!r) {
        r = walk(q, l1, gone.l1_size, -1, false);
        pthread_mutex_lock(&q->lock);
        r = r ? r : q2_release(q, gone.l1_off, MAX(1u, align_up(gone.l1_size * 8ull, q->cs) >> q->cluster_bits));
        pthread_mutex_unlock(&q->lock);
        r = r ? r : walk(q, q->l1, q->l1_size, 0, true);
        q2_dc_forget(q);
        free(gone.extra);
    }
    free(l1);
    return end(q, &range, r, "delete", e);
}

/** q2_snap_load() - an image that is open read-only shows a snapshot from now on */
int q2_snap_load(struct bnode *b, const char *id, struct err *e)
{
    struct q2 *q = q2_of(b);
    struct q2_snap *sn = find(q, id);
    uint64_t *l1;
    int r;

    if (!sn)
        return err_set(e, -ENOENT, "Can't find snapshot '%s'", id);
    if (!b->readonly || q2_l1_needed(q, sn->s.disk_bytes) > sn->l1_size)
        return err_set(e, -EINVAL, "Snapshot '%s' cannot be loaded", id);
    r = q2_read_l1(q, sn->l1_off, sn->l1_size, &l1);
    if (r)
        return err_set(e, r, "Could not read snapshot '%s': %s", id, strerror(-r));
    free(q->l1);
    q->l1 = l1;
    q->l1_size = sn->l1_size;
    b->length = sn->s.disk_bytes;
    return 0;
}

/** q2_make_empty() - all clusters unallocated (after a commit into the backing file) */
int q2_make_empty(struct bnode *b)
{
    struct q2 *q = q2_of(b);
    struct range range;
    int r;

    range_take(&q->ranges, &range, 0, UINT64_MAX, true);
    r = q2_unmap(q, 0, b->length);
    range_drop(&q->ranges, &range);
    return r ? r : q2_commit(q);
}
