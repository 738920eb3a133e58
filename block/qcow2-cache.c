/*
 * qcow2-cache.c - tables in memory, and the order in which they reach the disk
 *
 * The rules. A crash at any instant may leave clusters that nobody uses, and
 * nothing worse, because:
 *
 *  1. Guest data and copied-on-write data are written to a new cluster before
 *     the L2 entry that names it is set, even in memory.
 *  2. A new L2 table or refcount block is written out whole (zeroes, or the
 *     copy of the shared table) when it is allocated, before anything names it.
 *  3. q2_commit() writes changed refcounts, then *syncs* (this covers 1 and 2),
 *     then the refcount table if it changed, then *syncs*, then those L2 entries
 *     and L1 entries that were set before step one began, then *syncs*.
 *     So: data and refcounts before L2, new tables before the L1 that names them.
 *  4. A cluster that an L2 entry no longer names keeps its refcount until the
 *     commit that wrote the entry has synced (pending). Only then is it
 *     punched out of the file, and only after that is it free: neither
 *     an old table nor a late punch can hit its next user.
 *  5. Refcounts are written with the lock held, always the newest; L2 and L1 are
 *     written from copies, so that the lock is free while the disk syncs.
 *  6. With lazy refcounts the dirty bit is on disk before the first change;
 *     refcounts are then written at close, and rebuilt after a crash.
 *  7. Snapshot operations change many refcounts and flags; they run with the
 *     dirty bit set (version 3), between two commits.
 *
 * Dirty slices are never evicted; a commit starts when they grow to half of
 * the cache. A failed write leaves the slices dirty, to be tried again.
 */
#include "block/qcow2.h"

#define PENDING_MAX 4096

/** q2_cache_init() - an empty cache of at most about @budget bytes */
void q2_cache_init(struct q2_cache *c, uint32_t slice_bytes, uint32_t budget)
{
    memset(c, 0, sizeof(*c));
    c->bytes = slice_bytes;
    c->max = MAX(64u, budget / slice_bytes);
}

void q2_cache_free(struct q2_cache *c)
{
    struct q2_slice *s, *next;

    for (s = c->newest; s; s = next) {
        next = s->older;
        free(s->data);
        free(s);
    }
    memset(c->hash, 0, sizeof(c->hash));
    c->newest = c->oldest = NULL;
    c->count = c->n_dirty = 0;
}

static unsigned slot(const struct q2_cache *c, uint64_t off)
{
    return (unsigned)(off / c->bytes * 0x9e3779b97f4a7c15ull >> 54) & (Q2_HASH - 1);
}

static void lru_out(struct q2_cache *c, struct q2_slice *s)
{
    *(s->newer ? &s->newer->older : &c->newest) = s->older;
    *(s->older ? &s->older->newer : &c->oldest) = s->newer;
}

static void lru_in(struct q2_cache *c, struct q2_slice *s)
{
    s->newer = NULL;
    s->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = s;
    c->newest = s;
}

static void hash_out(struct q2_cache *c, struct q2_slice *s)
{
    struct q2_slice **p = &c->hash[slot(c, s->off)];

    while (*p != s)
        p = &(*p)->hash_next;
    *p = s->hash_next;
}

/** q2_cache_peek() - the slice at @off when it is in memory, else NULL */
struct q2_slice *q2_cache_peek(struct q2_cache *c, uint64_t off)
{
    struct q2_slice *s = c->hash[slot(c, off)];

    while (s && s->off != off)
        s = s->hash_next;
    if (s && c->newest != s) {
        lru_out(c, s);
        lru_in(c, s);
    }
    return s;
}

/* the oldest clean slice to be used again, or a new one */
static struct q2_slice *slice_new(struct q2_cache *c)
{
    struct q2_slice *s = NULL;

    if (c->count >= c->max)
        for (s = c->oldest; s && s->dirty; s = s->newer)
            ;
    if (s) {
        hash_out(c, s);
        lru_out(c, s);
        return s;
    }
    s = xzalloc(sizeof(*s));
    s->data = bfile_buf(c->bytes);
    if (!s->data) {
        free(s);
        return NULL;
    }
    c->count++;
    return s;
}

/** q2_cache_get() - the slice at @off, read if need be. It stays valid for at
 *  least the next 60 calls. */
int q2_cache_get(struct q2 *q, struct q2_cache *c, uint64_t off, struct q2_slice **out)
{
    struct q2_slice *s = q2_cache_peek(c, off);
    int r;

    *out = s;
    if (s)
        return 0;
    s = slice_new(c);
    if (!s)
        return -ENOMEM;
    r = bfile_pread(q->f, off, s->data, c->bytes);
    if (r) {
        free(s->data);
        free(s);
        c->count--;
        return r;
    }
    s->off = off;
    s->dirty = false;
    s->gen++;
    s->hash_next = c->hash[slot(c, off)];
    c->hash[slot(c, off)] = s;
    lru_in(c, s);
    *out = s;
    return 0;
}

/** q2_cache_dirty() - @s was changed */
void q2_cache_dirty(struct q2_cache *c, struct q2_slice *s)
{
    if (!s->dirty)
        c->n_dirty++;
    s->dirty = true;
    s->gen++;
}

/** q2_cache_drop() - forget slices of [@off, @off+@len), changes included */
void q2_cache_drop(struct q2_cache *c, uint64_t off, uint64_t len)
{
    for (uint64_t at = off; at < off + len; at += c->bytes) {
        struct q2_slice *s = q2_cache_peek(c, at);
        if (!s)
            continue;
        if (s->dirty)
            c->n_dirty--;
        hash_out(c, s);
        lru_out(c, s);
        free(s->data);
        free(s);
        c->count--;
    }
}

/* ---- commit --------------------------------------------------------------------- */

/* L2 and L1 as they were when the commit began */
struct batch {
    struct { uint64_t off, gen; uint8_t *data; } *l2;
    unsigned n_l2;
    uint8_t *l1;
    uint32_t l1_lo, l1_hi;
    uint64_t l1_off;
    unsigned n_pending;
};

/** q2_write_refs() - changed refcounts to the file, lock held, no sync */
int q2_write_refs(struct q2 *q)
{
    struct q2_cache *c = &q->rcc;
    int r = 0;

    for (struct q2_slice *s = c->newest; s && !r && c->n_dirty; s = s->older) {
        if (!s->dirty)
            continue;
        r = bfile_pwrite(q->f, s->off, s->data, c->bytes);
        if (!r || (q->bug & Q2_BUG_IGNORE_ERROR)) {
            s->dirty = false;
            c->n_dirty--;
            r = 0;
        }
    }
    return r;
}

static int sync_file(struct q2 *q)
{
    int r = q->data != q->f ? bfile_flush(q->data) : 0;

    return r ? r : bfile_flush(q->f);
}

/* the refcount table's changed entries; lock held */
static int write_reft(struct q2 *q)
{
    uint32_t lo = q->reft_lo, n = q->reft_hi - lo;
    uint8_t *buf = xmalloc(n * 8ull);
    int r;

    for (uint32_t i = 0; i < n; i++)
        put_be64(buf + 8ull * i, q->reft[lo + i]);
    r = bfile_pwrite(q->f, q->reft_off + 8ull * lo, buf, n * 8ull);
    free(buf);
    if (!r)
        q->reft_lo = q->reft_hi = 0;
    return r;
}

/* lock held */
static int batch_take(struct q2 *q, struct batch *b)
{
    struct q2_cache *c = &q->l2c;

    memset(b, 0, sizeof(*b));
    b->n_pending = q->n_pending;
    if (c->n_dirty)
        b->l2 = xzalloc(c->n_dirty * sizeof(*b->l2));
    for (struct q2_slice *s = c->newest; s && b->n_l2 < c->n_dirty; s = s->older) {
        if (!s->dirty)
            continue;
        b->l2[b->n_l2].data = bfile_buf(c->bytes);
        if (!b->l2[b->n_l2].data)
            return -ENOMEM;
        memcpy(b->l2[b->n_l2].data, s->data, c->bytes);
        b->l2[b->n_l2].off = s->off;
        b->l2[b->n_l2++].gen = s->gen;
    }
    if (q->l1_lo < q->l1_hi) {
        b->l1_lo = q->l1_lo;
        b->l1_hi = q->l1_hi;
        b->l1_off = q->l1_off;
        b->l1 = xmalloc((b->l1_hi - b->l1_lo) * 8ull);
        for (uint32_t i = b->l1_lo; i < b->l1_hi; i++)
            put_be64(b->l1 + 8ull * (i - b->l1_lo), q->l1[i]);
        q->l1_lo = q->l1_hi = 0;
    }
    return 0;
}

static void batch_free(struct batch *b)
{
    for (unsigned i = 0; i < b->n_l2; i++)
        free(b->l2[i].data);
    free(b->l2);
    free(b->l1);
}

/* no lock held (commit_lock is): nobody else writes L2 or L1 */
static int batch_write(struct q2 *q, struct batch *b)
{
    int r = 0;

    for (unsigned i = 0; i < b->n_l2 && !r; i++)
        r = bfile_pwrite(q->f, b->l2[i].off, b->l2[i].data, q->l2c.bytes);
    if (!r && b->l1)
        r = bfile_pwrite(q->f, b->l1_off + 8ull * b->l1_lo, b->l1, 8ull * (b->l1_hi - b->l1_lo));
    return r;
}

/* lock held: what was written and not changed since is clean */
static void batch_done(struct q2 *q, struct batch *b, bool ok)
{
    if (!ok) {
        if (b->l1 && b->l1_off == q->l1_off) {
            bool none = q->l1_lo >= q->l1_hi;
            q->l1_lo = none ? b->l1_lo : MIN(q->l1_lo, b->l1_lo);
            q->l1_hi = none ? b->l1_hi : MAX(q->l1_hi, b->l1_hi);
        }
        return;
    }
    for (unsigned i = 0; i < b->n_l2; i++) {
        struct q2_slice *s = q2_cache_peek(&q->l2c, b->l2[i].off);
        if (s && s->dirty && s->gen == b->l2[i].gen) {
            s->dirty = false;
            q->l2c.n_dirty--;
        }
    }
}

/* give back the first @n pending clusters: punch, then free. Lock not held. */
static int free_pending(struct q2 *q, unsigned n)
{
    int r = 0;

    for (unsigned i = 0; i < n; i++) {
        struct q2_free p;
        uint64_t ref = 0;
        pthread_mutex_lock(&q->lock);
        p = q->pending[i];
        if (p.punch && q2_ref_get(q, p.off >> q->cluster_bits, &ref))
            ref = 0;
        pthread_mutex_unlock(&q->lock);
        /* punched while the refcount still keeps others away */
        if (p.punch && p.n == 1 && ref == 1)
            bfile_discard(q->f, p.off, q->cs);
    }
    pthread_mutex_lock(&q->lock);
    for (unsigned i = 0; i < n; i++) {
        int r2 = q2_release(q, q->pending[i].off, q->pending[i].n);
        r = r ? r : r2; /* the rest is not lost for it: a leak at worst */
    }
    q->n_pending -= n;
    if (n)
        memmove(q->pending, q->pending + n, q->n_pending * sizeof(*q->pending));
    pthread_mutex_unlock(&q->lock);
    return r;
}

static int commit_locked(struct q2 *q)
{
    struct batch b;
    bool lazy = q->lazy && q->dirty_set, tables;
    int r = 0;

    pthread_mutex_lock(&q->lock);
    if (!lazy)
        r = q2_write_refs(q);
    if (r) {
        pthread_mutex_unlock(&q->lock);
        return r;
    }
    r = batch_take(q, &b);
    tables = b.n_l2 || b.l1;
    if (!r && q->reft_lo < q->reft_hi) {
        r = sync_file(q);
        r = r ? r : write_reft(q);
    }
    pthread_mutex_unlock(&q->lock);
    if (!r && tables && !(q->bug & Q2_BUG_NO_REFCOUNT_SYNC))
        r = sync_file(q);
    if (!r && tables)
        r = batch_write(q, &b);
    if (q->bug & Q2_BUG_IGNORE_ERROR)
        r = 0;
    if (!r)
        r = sync_file(q);
    pthread_mutex_lock(&q->lock);
    batch_done(q, &b, !r);
    pthread_mutex_unlock(&q->lock);
    if (!r)
        r = free_pending(q, b.n_pending);
    batch_free(&b);
    return r;
}

/**
 * q2_commit() - everything that was written before is on stable storage
 * Call without q->lock. Returns 0 or the first error; nothing is forgotten then.
 */
int q2_commit(struct q2 *q)
{
    int r;

    if (q->bug & Q2_BUG_FLUSH_NOTHING)
        return bfile_flush(q->f);
    pthread_mutex_lock(&q->commit_lock);
    r = commit_locked(q);
    pthread_mutex_unlock(&q->commit_lock);
    return r;
}

/** q2_commit_if_large() - bounds what is kept in memory; before a change, no locks */
int q2_commit_if_large(struct q2 *q)
{
    bool large;

    pthread_mutex_lock(&q->lock);
    large = q->l2c.n_dirty > q->l2c.max / 2 || q->rcc.n_dirty > q->rcc.max / 2 ||
            q->n_pending > PENDING_MAX;
    pthread_mutex_unlock(&q->lock);
    return large ? q2_commit(q) : 0;
}

/** q2_free_later() - @n clusters at @off lose a user when the next commit is done; lock held */
void q2_free_later(struct q2 *q, uint64_t off, uint32_t n, bool punch)
{
    if (q->bug & Q2_BUG_FREE_EARLY) {
        if (q2_release(q, off, n))
            return;
        return;
    }
    if (q->n_pending == q->cap_pending) {
        q->cap_pending = q->cap_pending ? q->cap_pending * 2 : 64;
        q->pending = xrealloc(q->pending, q->cap_pending * sizeof(*q->pending));
    }
    q->pending[q->n_pending++] = (struct q2_free){ off, n, punch };
}

/** q2_set_incompat() - change incompatible feature bits on disk, synced */
int q2_set_incompat(struct q2 *q, uint64_t set, uint64_t clear)
{
    uint64_t v = (q->incompat | set) & ~clear;
    uint8_t buf[8];
    int r;

    if (q->version < 3 || v == q->incompat)
        return 0;
    put_be64(buf, v);
    r = bfile_pwrite(q->f, 72, buf, sizeof(buf));
    if (!r)
        r = bfile_flush(q->f);
    if (!r)
        q->incompat = v;
    return r;
}

/** q2_mark_corrupt() - metadata that cannot be: no more writes, and say so; lock held */
void q2_mark_corrupt(struct q2 *q, const char *what, uint64_t at)
{
    if (q->incompat & Q2_INC_CORRUPT)
        return;
    log_write("qcow2: image '%s' is corrupt: %s (offset %#llx); further writes are refused\n",
              q->node->filename, what, (unsigned long long)at);
    if (q->node->readonly || q2_set_incompat(q, Q2_INC_CORRUPT, 0))
        q->incompat |= Q2_INC_CORRUPT;
}
