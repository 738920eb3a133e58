/*
 * qcow2.h - inside the qcow2 format
 *
 * Source of the layout: the qcow2 image format specification ("QCOW2 Image
 * Format", versions 2 and 3). Files: qcow2.c header, open and close;
 * qcow2-cache.c metadata cache and write order; qcow2-alloc.c refcounts;
 * qcow2-io.c mapping, reading; qcow2-write.c; qcow2-snap.c snapshots and L1 walks;
 * qcow2-check.c; qcow2-create.c; qcow2-comp.c compressed clusters.
 *
 * Locks, outermost first: a range of the guest disk (ranges), commit_lock,
 * lock. Everything below "metadata" belongs to @lock. No lock but the range is
 * held while guest data is transferred.
 */
#ifndef BLOCK_QCOW2_H
#define BLOCK_QCOW2_H

#include "block/block-int.h"

#define Q2_MAGIC 0x514649fbu
#define Q2_OFFSET 0x00fffffffffffe00ull  /* host offset in L1, L2, refcount table */
#define Q2_COPIED (1ull << 63)
#define Q2_COMPRESSED (1ull << 62)
#define Q2_ZERO 1ull
#define Q2_INC_DIRTY 1ull
#define Q2_INC_CORRUPT 2ull
#define Q2_INC_DATA_FILE 4ull
#define Q2_INC_COMPRESSION 8ull
#define Q2_INC_EXT_L2 16ull
#define Q2_COMPAT_LAZY 1ull
#define Q2_AUTO_BITMAPS 1ull
#define Q2_MAX_L1_BYTES (32 * MiB)
#define Q2_MAX_REFT_BYTES (8 * MiB)
#define Q2_MAX_SNAPSHOTS 65536u
#define Q2_MAX_SNAP_BYTES (16 * MiB)
#define Q2_EXT_BACKING_FMT 0xe2792acau
#define Q2_EXT_FEATURES 0x6803f857u
#define Q2_EXT_BITMAPS 0x23852875u
#define Q2_EXT_DATA_FILE 0x44415441u

/* A piece of a table in memory: a whole cluster, or 4 KiB of it. */
struct q2_slice {
    uint64_t off;             /* in the file */
    uint8_t *data;
    bool dirty;
    uint64_t gen;             /* counts changes */
    struct q2_slice *hash_next;
    struct q2_slice *newer, *older;
};
#define Q2_HASH 1024u
struct q2_cache {
    struct q2_slice *hash[Q2_HASH];
    struct q2_slice *newest, *oldest;
    unsigned count, max, n_dirty;
    uint32_t bytes;           /* of a slice */
};

struct q2_snap {
    uint64_t l1_off;
    uint32_t l1_size;
    struct block_snapshot s;
    uint32_t extra_bytes;     /* as found; kept */
    uint8_t *extra;
};

struct q2_free { uint64_t off; uint32_t n; bool punch; };

struct q2 {
    struct bnode *node;
    struct bfile *f;
    struct bfile *data;       /* guest data: f, or the external data file */
    struct range_lock ranges;
    pthread_mutex_t commit_lock;
    pthread_mutex_t lock;

    /* constant while open */
    unsigned version, cluster_bits, l2_bits, entry_bytes, ref_order, per_bits;
    uint32_t cs;              /* cluster bytes */
    bool zstd, ext_l2, lazy;

    /* metadata */
    uint64_t incompat, compat, autoclear;
    uint64_t *l1;             /* host byte order */
    uint32_t l1_size;
    uint64_t l1_off;
    uint32_t l1_lo, l1_hi;    /* changed entries [lo, hi) */
    uint64_t *reft;
    uint32_t reft_n, reft_clusters;
    uint64_t reft_off;
    uint32_t reft_lo, reft_hi;
    struct q2_cache l2c, rcc;
    uint64_t free_hint;       /* no cluster below is free, by index */
    uint64_t data_end;        /* bytes from here on were never written */
    struct q2_free *pending;  /* given back when the L2 change is on disk */
    unsigned n_pending, cap_pending;
    uint64_t comp_off;        /* next byte for a compressed cluster; 0: none */
    struct q2_snap *snaps;
    unsigned n_snaps;
    uint64_t snap_off;
    uint64_t snap_bytes;
    uint8_t *other_ext;       /* header extensions we only keep */
    uint32_t other_ext_bytes;
    char *data_file;
    bool dirty_set, raw_external;
    unsigned bug;             /* tests: seeded bugs, enum q2_bug */

    pthread_mutex_t dc_lock;  /* decompressed clusters */
    struct { uint64_t entry; uint8_t *data; uint64_t used; } dc[4];
    uint64_t dc_clock;
};

/* Bugs that a test can switch on, to see that it would find them. */
enum q2_bug {
    Q2_BUG_NO_REFCOUNT_SYNC = 1,  /* L2 may reach the disk before refcounts */
    Q2_BUG_FREE_EARLY = 2,        /* give clusters back before L2 is on disk */
    Q2_BUG_FLUSH_NOTHING = 4,     /* FLUSH does not write the tables */
    Q2_BUG_COW_HEAD = 8,          /* forget the bytes before a partial write */
    Q2_BUG_IGNORE_ERROR = 16,     /* a failed table write counts as done */
};

enum q2_kind { Q2_UNALLOC, Q2_ZEROED, Q2_DATA, Q2_COMP };
struct q2_map {
    enum q2_kind kind;
    uint64_t host;            /* Q2_DATA: of the byte asked for */
    uint64_t len;             /* bytes of one kind, contiguous in the file */
    uint64_t entry;           /* of the first cluster */
    bool copied;
};

/* qcow2-cache.c */
void q2_cache_init(struct q2_cache *c, uint32_t slice_bytes, uint32_t budget);
void q2_cache_free(struct q2_cache *c);
struct q2_slice *q2_cache_peek(struct q2_cache *c, uint64_t off);
int q2_cache_get(struct q2 *q, struct q2_cache *c, uint64_t off, struct q2_slice **out) MUST_CHECK;
void q2_cache_dirty(struct q2_cache *c, struct q2_slice *s);
void q2_cache_drop(struct q2_cache *c, uint64_t off, uint64_t len);
int q2_commit(struct q2 *q) MUST_CHECK;
int q2_commit_if_large(struct q2 *q) MUST_CHECK;
int q2_write_refs(struct q2 *q) MUST_CHECK;
int q2_set_incompat(struct q2 *q, uint64_t set, uint64_t clear) MUST_CHECK;
void q2_free_later(struct q2 *q, uint64_t off, uint32_t n, bool punch);
void q2_mark_corrupt(struct q2 *q, const char *what, uint64_t at);

/* qcow2-alloc.c; all with q->lock held */
int q2_ref_get(struct q2 *q, uint64_t cluster, uint64_t *ref) MUST_CHECK;
int q2_ref_add(struct q2 *q, uint64_t cluster, int delta, uint64_t *now) MUST_CHECK;
int q2_ref_set(struct q2 *q, uint64_t cluster, uint64_t ref) MUST_CHECK;
uint64_t q2_ref_max(const struct q2 *q);
uint64_t q2_ref_read(const uint8_t *p, unsigned order, uint64_t i);
void q2_ref_write(uint8_t *p, unsigned order, uint64_t i, uint64_t v);
/** q2_alloc() - contiguous clusters, refcount 1; *got <= n (== n when exact) */
int q2_alloc(struct q2 *q, uint64_t n, bool exact, uint64_t *off, uint64_t *got) MUST_CHECK;
int q2_release(struct q2 *q, uint64_t off, uint64_t n) MUST_CHECK;
int q2_alloc_bytes(struct q2 *q, uint32_t len, uint64_t *off) MUST_CHECK;

/* qcow2-io.c, qcow2-write.c */
int q2_lookup(struct q2 *q, uint64_t off, uint64_t max, bool cached, struct q2_map *m) MUST_CHECK;
int q2_l2_entry(struct q2 *q, uint64_t g, bool create, struct q2_slice **s, uint8_t **p) MUST_CHECK;
int q2_read_held(struct q2 *q, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len) MUST_CHECK;
void q2_take(struct q2 *q, struct range *r, uint64_t off, uint64_t len, bool excl);
void q2_comp_extent(const struct q2 *q, uint64_t entry, uint64_t *off, uint64_t *len);
void q2_free_entry(struct q2 *q, uint64_t entry, bool punch);
int q2_preadv(struct bnode *b, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len);
int q2_pwritev(struct bnode *b, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len);
int q2_discard(struct bnode *b, uint64_t off, uint64_t len);
int q2_zero(struct bnode *b, uint64_t off, uint64_t len, bool unmap);
int q2_map_extent(struct bnode *b, uint64_t off, uint64_t max, struct block_extent *x);
bool q2_fast_try(struct bnode *b, bool write, uint64_t off, uint64_t len,
                 struct bfile **file, uint64_t *host, struct range *r);
void q2_fast_done(struct bnode *b, struct range *r);
/** q2_unmap() - entries of whole clusters to unallocated; exclusive range held */
int q2_unmap(struct q2 *q, uint64_t off, uint64_t len) MUST_CHECK;
int q2_prealloc(struct q2 *q, uint64_t off, uint64_t len) MUST_CHECK;
int q2_write_compressed(struct bnode *b, uint64_t off, const void *buf, uint64_t len);
int q2_vmstate(struct bnode *b, bool write, uint64_t off, void *buf, uint64_t len);

/* qcow2-comp.c */
/** q2_compress() - returns the compressed length, 0 when it does not shrink, or negative errno */
int64_t q2_compress(const struct q2 *q, const void *in, uint32_t n, void *out, uint32_t cap);
int q2_decompress(const struct q2 *q, const void *in, uint64_t n, void *out, uint32_t cs);
/** q2_read_comp() - bytes of a compressed cluster from @skip into @iov */
int q2_read_comp(struct q2 *q, uint64_t entry, uint32_t skip, const struct iovec *iov,
                 unsigned n, uint64_t iov_skip, uint32_t len);
void q2_dc_forget(struct q2 *q);

/* qcow2.c */
int q2_grow_l1(struct q2 *q, uint64_t entries) MUST_CHECK;
uint64_t q2_l1_needed(const struct q2 *q, uint64_t bytes);
int q2_write_l1_at(struct q2 *q, uint64_t off, const uint64_t *l1, uint32_t n) MUST_CHECK;
int q2_read_l1(struct q2 *q, uint64_t off, uint32_t n, uint64_t **out) MUST_CHECK;
int q2_build_header(const struct q2 *q, uint64_t size, const char *backing, const char *fmt,
                    uint8_t *buf, struct err *e) MUST_CHECK;

/* qcow2-snap.c */
int q2_snaps_load(struct q2 *q, uint32_t n, struct err *e) MUST_CHECK;
void q2_snaps_free(struct q2 *q);
int q2_snap_list(struct bnode *b, struct block_snapshot **out, unsigned *n);
int q2_snap_create(struct bnode *b, struct block_snapshot *s, struct err *e);
int q2_snap_apply(struct bnode *b, const char *id, struct err *e);
int q2_snap_delete(struct bnode *b, const char *id, struct err *e);
int q2_snap_load(struct bnode *b, const char *id, struct err *e);
int q2_make_empty(struct bnode *b);

/* qcow2-check.c */
int q2_check(struct bnode *b, unsigned fix, struct block_check *c, struct err *e);

/* qcow2-bitmap.c */
#define Q2_MAX_BITMAPS 65535u
#define Q2_BITMAP_NAME 1023u
#define Q2_BITMAP_IN_USE 1u
#define Q2_BITMAP_AUTO 2u
struct q2_bitmap {
    uint64_t table_off, flags_at; /* in the file */
    uint32_t table_n;             /* entries of 8 bytes */
    uint32_t flags;
    uint8_t type, granularity_bits;
    char name[Q2_BITMAP_NAME + 1];
};
struct q2_bitmaps { uint64_t off, bytes; struct q2_bitmap *map; unsigned n; };
/** q2_bitmaps_load() - the directory, when there is a valid one; for
 *  q2_bitmaps_free(), also after an error (-EINVAL: malformed) */
int q2_bitmaps_load(struct q2 *q, struct q2_bitmaps *b) MUST_CHECK;
void q2_bitmaps_free(struct q2_bitmaps *b);
/** q2_bitmaps_give_up() - mark all of them as not saved */
int q2_bitmaps_give_up(struct q2 *q) MUST_CHECK;

/* qcow2-create.c */
int qcow2_create(const struct block_create *c, struct err *e);

static inline struct q2 *q2_of(struct bnode *b) { return b->priv; }
static inline bool q2_aligned(const struct q2 *q, uint64_t off) { return !(off & (q->cs - 1)); }

#endif
