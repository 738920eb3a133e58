/*
 * qcow2-check.c - counting every reference, comparing, repairing
 *
 * The reference counts are counted anew from everything that names clusters:
 * header, refcount table and blocks, snapshot table, all L1 and L2 tables. A
 * cluster with more users on record than real is leaked, which costs space; one
 * with fewer is a corruption, because it may be given away while in use.
 * Memory: 4 bytes a cluster of the file, refused past CHECK_MAX_CLUSTERS.
 */
#define _GNU_SOURCE 1
#include "block/qcow2.h"

#define CHECK_MAX_CLUSTERS (32ull << 20)
#define SAY_MAX 200

struct check {
    struct q2 *q;
    struct block_check *c;
    uint32_t *refs;
    uint8_t *seen;         /* one bit a cluster: L2 tables of the walk under way */
    uint64_t n;            /* clusters of the file */
    uint64_t last_host;    /* of the previous data cluster, for fragmentation */
    uint64_t work;         /* L2 tables read: bounded */
    unsigned fix;
};

static void say(struct check *k, const char *fmt, ...) PRINTF(2, 3);
static void say(struct check *k, const char *fmt, ...)
{
    char line[300];
    va_list ap;

    if (!k->c->say || k->c->said++ >= SAY_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    k->c->say(line);
}

static void corrupt(struct check *k, const char *what, uint64_t at)
{
    k->c->corruptions++;
    say(k, "ERROR %s: offset %#llx", what, (unsigned long long)at);
}

/* one user more for the clusters of [off, off+len) */
static bool count(struct check *k, uint64_t off, uint64_t len, const char *what)
{
    struct q2 *q = k->q;

    if (!len)
        return true;
    if (off > BLOCK_MAX_BYTES || len > BLOCK_MAX_BYTES || (off + len - 1) >> q->cluster_bits >= k->n) {
        corrupt(k, what, off);
        return false;
    }
    for (uint64_t c = off >> q->cluster_bits; c <= (off + len - 1) >> q->cluster_bits; c++)
        if (k->refs[c] < UINT32_MAX)
            k->refs[c]++;
    return true;
}

static void count_entry(struct check *k, uint64_t e, bool active)
{
    struct q2 *q = k->q;
    uint64_t off, len;

    if (e & Q2_COMPRESSED) {
        if (q->incompat & Q2_INC_DATA_FILE) {
            corrupt(k, "compressed cluster in an image with an external data file", e);
            return;
        }
        q2_comp_extent(q, e, &off, &len);
        /* rounded up to sectors, which may pass the end of the file */
        if (off >> q->cluster_bits < k->n)
            len = MIN(len, (k->n << q->cluster_bits) - off);
        count(k, off, len, "compressed cluster past the end of the file");
        if (active) {
            k->c->allocated++;
            k->c->compressed++;
            k->c->fragmented++;
        }
        return;
    }
    off = e & Q2_OFFSET;
    if (!off || (q->incompat & Q2_INC_DATA_FILE))
        return;
    if (!q2_aligned(q, off)) {
        corrupt(k, "data cluster is not properly aligned", off);
        return;
    }
    count(k, off, q->cs, "data cluster past the end of the file");
    if (active) {
        k->c->allocated++;
        if (k->last_host && off != k->last_host + q->cs)
            k->c->fragmented++;
        k->last_host = off;
    }
}

static int count_l2(struct check *k, uint64_t table, bool active)
{
    struct q2 *q = k->q;

    for (uint32_t at = 0; at < q->cs; at += q->l2c.bytes) {
        struct q2_slice *s;
        int r = q2_cache_get(q, &q->l2c, table + at, &s);
        if (r)
            return r;
        for (uint32_t i = 0; i < q->l2c.bytes; i += q->entry_bytes) {
            uint64_t e = get_be64(s->data + i);
            if (e)
                count_entry(k, e, active);
        }
    }
    return 0;
}

/* an L1 table and all below it */
static int count_l1(struct check *k, uint64_t off, uint64_t *l1, uint32_t n, bool active)
{
    struct q2 *q = k->q;
    int r = 0;

    if (!count(k, off, n * 8ull, "L1 table past the end of the file"))
        return 0;
    memset(k->seen, 0, k->n / 8 + 1);
    for (uint32_t i = 0; i < n && !r; i++) {
        uint64_t t = l1[i] & Q2_OFFSET, c = t >> q->cluster_bits;
        if (!t)
            continue;
        if (!q2_aligned(q, t)) {
            corrupt(k, "L2 table is not cluster aligned", t);
            continue;
        }
        if (!count(k, t, q->cs, "L2 table past the end of the file"))
            continue;
        if (k->seen[c / 8] & (1u << (c % 8))) {
            corrupt(k, "L2 table used twice", t);
            continue;
        }
        k->seen[c / 8] |= (uint8_t)(1u << (c % 8));
        if ((k->work += q->cs) > 16 * (k->n << q->cluster_bits) + GiB)
            return -EFBIG; /* tables that share one another without end */
        r = count_l2(k, t, active);
    }
    return r;
}

static int count_snapshots(struct check *k)
{
    struct q2 *q = k->q;
    int r = 0;

    count(k, q->snap_off, q->snap_bytes, "snapshot table past the end of the file");
    for (unsigned i = 0; i < q->n_snaps && !r; i++) {
        uint64_t *l1;
        if (q->snaps[i].l1_off >> q->cluster_bits >= k->n && q->snaps[i].l1_size) {
            corrupt(k, "snapshot L1 table past the end of the file", q->snaps[i].l1_off);
            continue;
        }
        r = q2_read_l1(q, q->snaps[i].l1_off, q->snaps[i].l1_size, &l1);
        r = r ? r : count_l1(k, q->snaps[i].l1_off, l1, q->snaps[i].l1_size, false);
        free(l1);
    }
    return r;
}

/* dirty bitmaps name clusters too: count them, or they would seem leaked. Tables
 * together cannot be larger than the file, unless somebody means harm. */
static int count_bitmaps(struct check *k)
{
    struct q2 *q = k->q;
    struct q2_bitmaps b;
    int64_t room = bfile_length(q->f);
    int r = q2_bitmaps_load(q, &b);

    if (r == -EINVAL)
        return 0;
    if (!r && b.bytes)
        count(k, b.off, b.bytes, "bitmap directory past the end of the file");
    for (unsigned i = 0; i < b.n && !r; i++) {
        uint64_t n = b.map[i].table_n, *t;
        room -= (int64_t)n * 8;
        if (room < 0)
            break;
        if (!n || !count(k, b.map[i].table_off, n * 8, "bitmap table past the end of the file") ||
            (r = q2_read_l1(q, b.map[i].table_off, (uint32_t)n, &t)))
            continue;
        for (uint64_t j = 0; j < n; j++)
            if (t[j] & Q2_OFFSET)
                count(k, t[j] & Q2_OFFSET, q->cs, "bitmap past the end of the file");
        free(t);
    }
    q2_bitmaps_free(&b);
    return r;
}

static void count_refblocks(struct check *k)
{
    struct q2 *q = k->q;

    count(k, q->reft_off, (uint64_t)q->reft_clusters << q->cluster_bits, "refcount table past the end of the file");
    for (uint32_t i = 0; i < q->reft_n; i++) {
        uint64_t off = q->reft[i] & Q2_OFFSET;
        if (!off)
            continue;
        if (!q2_aligned(q, off) || off >> q->cluster_bits >= k->n) {
            corrupt(k, "refcount block out of place", off);
            if (k->fix & CHECK_FIX_ERRORS) { /* made anew from what was counted */
                q->reft[i] = 0;
                q->reft_lo = 0;
                q->reft_hi = q->reft_n;
                k->c->corruptions--;
                k->c->corruptions_fixed++;
            }
            continue;
        }
        count(k, off, q->cs, "refcount block");
    }
}

/* a refcount block for @cluster, placed behind everything */
static int make_block(struct check *k, uint64_t cluster)
{
    struct q2 *q = k->q;
    uint64_t off, hint = q->free_hint;
    int r;

    q->free_hint = MAX(align_up(q->data_end, q->cs) >> q->cluster_bits, k->n);
    r = q2_alloc(q, 1, true, &off, NULL);
    q->free_hint = hint;
    if (r || (cluster >> q->per_bits < q->reft_n && (q->reft[cluster >> q->per_bits] & Q2_OFFSET)))
        return r; /* one leaked cluster at most; counted next time */
    if (cluster >> q->per_bits >= q->reft_n)
        return -EIO;
    q->data_end = MAX(q->data_end, off + q->cs);
    r = bfile_zero(q->f, off, q->cs, false);
    q2_cache_drop(&q->rcc, off, q->cs);
    q->reft[cluster >> q->per_bits] = off;
    q->reft_lo = 0;
    q->reft_hi = q->reft_n;
    return r;
}

static int put_ref(struct check *k, uint64_t cluster, uint64_t ref)
{
    int r = q2_ref_set(k->q, cluster, ref);

    if (r == -ENOENT && !(r = make_block(k, cluster)))
        r = q2_ref_set(k->q, cluster, ref);
    if (!r && k->q->rcc.n_dirty > k->q->rcc.max / 2)
        r = q2_write_refs(k->q);
    return r;
}

static int compare(struct check *k)
{
    struct q2 *q = k->q;

    for (uint64_t c = 0; c < k->n; c++) {
        uint64_t ref, want = MIN(k->refs[c], q2_ref_max(q));
        int r = q2_ref_get(q, c, &ref);
        bool leak;
        if (r) {
            k->c->errors++;
            continue;
        }
        if (want)
            k->c->image_end = (c + 1) << q->cluster_bits;
        if (ref == want)
            continue;
        leak = ref > want;
        bool fix = k->fix & (leak ? CHECK_FIX_LEAKS : CHECK_FIX_ERRORS);
        say(k, "%s cluster %llu refcount=%llu reference=%llu",
            fix ? "Repairing" : leak ? "Leaked" : "ERROR", (unsigned long long)c,
            (unsigned long long)ref, (unsigned long long)want);
        if (fix && !(r = put_ref(k, c, want)))
            ++*(leak ? &k->c->leaks_fixed : &k->c->corruptions_fixed);
        else
            ++*(leak ? &k->c->leaks : &k->c->corruptions);
        if (r)
            k->c->errors++;
    }
    return 0;
}

static bool owned(struct check *k, uint64_t off)
{
    uint64_t c = off >> k->q->cluster_bits;

    return c < k->n && k->refs[c] == 1;
}

/* bit 63 of an active entry must say whether the cluster has one user */
static bool flag_wrong(struct check *k, uint64_t e, const char *what)
{
    if (!!(e & Q2_COPIED) == owned(k, e & Q2_OFFSET))
        return false;
    say(k, "%s OFLAG_COPIED %s: entry=%#llx", k->fix & CHECK_FIX_ERRORS ? "Repairing" : "ERROR", what,
        (unsigned long long)e);
    if (k->fix & CHECK_FIX_ERRORS) {
        k->c->corruptions_fixed++;
        return true;
    }
    k->c->corruptions++;
    return false;
}

static int check_flags(struct check *k)
{
    struct q2 *q = k->q;

    memset(k->seen, 0, k->n / 8 + 1);
    for (uint32_t i = 0; i < q->l1_size; i++) {
        uint64_t t = q->l1[i] & Q2_OFFSET, c = t >> q->cluster_bits;
        if (!t || !q2_aligned(q, t) || c >= k->n || (k->seen[c / 8] & (1u << (c % 8))))
            continue;
        k->seen[c / 8] |= (uint8_t)(1u << (c % 8));
        if (flag_wrong(k, q->l1[i], "L2 table")) {
            q->l1[i] ^= Q2_COPIED;
            q->l1_lo = 0;
            q->l1_hi = q->l1_size;
        }
        for (uint32_t at = 0; at < q->cs; at += q->l2c.bytes) {
            struct q2_slice *s;
            int r = q2_cache_get(q, &q->l2c, t + at, &s);
            if (r)
                return r;
            for (uint32_t j = 0; j < q->l2c.bytes; j += q->entry_bytes) {
                uint64_t e = get_be64(s->data + j);
                if ((e & Q2_COMPRESSED) || !(e & Q2_OFFSET) || !q2_aligned(q, e & Q2_OFFSET) ||
                    (q->incompat & Q2_INC_DATA_FILE) || !flag_wrong(k, e, "data cluster"))
                    continue;
                put_be64(s->data + j, e ^ Q2_COPIED);
                q2_cache_dirty(&q->l2c, s);
            }
        }
    }
    return 0;
}

static int count_all(struct check *k)
{
    struct q2 *q = k->q;
    int r;

    count(k, 0, q->cs, "header");
    count_refblocks(k);
    r = count_l1(k, q->l1_off, q->l1, q->l1_size, true);
    r = r ? r : count_snapshots(k);
    return r ? r : count_bitmaps(k);
}

/**
 * q2_check() - the format's check(); nobody else may use the image
 * @fix: CHECK_FIX_*; the node must be writable for it
 * Returns 0 when the check could be done, whatever it found.
 */
int q2_check(struct bnode *b, unsigned fix, struct block_check *c, struct err *e)
{
    struct q2 *q = q2_of(b);
    struct check k = { .q = q, .c = c, .fix = b->readonly ? 0 : fix };
    int64_t len = bfile_length(q->f);
    int r;

    k.n = len < 0 ? 0 : align_up((uint64_t)len, q->cs) >> q->cluster_bits;
    if (k.n > CHECK_MAX_CLUSTERS)
        return err_set(e, -EFBIG, "'%s' is too large to check", b->filename);
    k.refs = xzalloc((k.n + 1) * sizeof(*k.refs));
    k.seen = xzalloc(k.n / 8 + 1);
    c->total = (b->length + q->cs - 1) >> q->cluster_bits;
    pthread_mutex_lock(&q->lock);
    r = count_all(&k);
    if (!r)
        r = compare(&k);
    if (!r)
        r = check_flags(&k);
    pthread_mutex_unlock(&q->lock);
    free(k.refs);
    free(k.seen);
    if (!r && k.fix) {
        bool lazy = q->lazy;
        q->lazy = false;
        r = q2_commit(q);
        q->lazy = lazy;
        if (!r && (k.fix & CHECK_FIX_ERRORS) && !c->corruptions && !c->errors)
            r = q2_set_incompat(q, 0, Q2_INC_DIRTY | Q2_INC_CORRUPT);
    }
    if (r) {
        c->errors++;
        err_set(e, r, "Check of '%s' failed: %s", b->filename, strerror(-r));
    }
    return r;
}
