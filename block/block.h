/*
 * block.h - disks as devices and tools see them
 *
 * A struct block is what a device holds for as long as the machine lives: a
 * drive, with or without a medium. The medium (an image file with a format,
 * perhaps with backing files under it) can be changed while the drive stays.
 *
 * Requests are asynchronous. The caller owns the struct block_req and all
 * memory it names until the callback has run. Threading:
 *
 *  - block_submit() and block_cancel() may be called from any thread, with or
 *    without the machine lock; they do not wait for the disk.
 *  - The callback runs inside block_ctx_poll() of the request's context, on the
 *    thread that called that, or in block_unplug(), never inside block_submit(). A device whose
 *    context is on the main loop (block_ctx_attach()) therefore gets its
 *    callbacks on the main thread, with the machine lock held.
 *  - Requests in flight together may complete in any order. A FLUSH covers
 *    the writes whose callbacks ran before it was submitted, and no others.
 *  - Opening, closing, changing, resizing, draining: on the thread that polls
 *    the context, machine lock held.
 *
 * Offsets and lengths are bytes and need no alignment (O_DIRECT is bounced).
 * Requests past the end fail with -EIO without touching anything; a length of
 * 0 succeeds. Errors: -EIO, -ENOSPC, -EROFS (write to a read-only medium),
 * -ENOMEDIUM (ejected), -ECANCELED, -ENOTSUP.
 */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <sys/uio.h>
#include "util/util.h"

struct block;
struct block_ctx;

/* ---- options -------------------------------------------------------------- */

enum block_cache {          /* cache=; names as on the command line */
    BLOCK_CACHE_WRITEBACK,  /* host page cache; FLUSH reaches the disk (default) */
    BLOCK_CACHE_NONE,       /* O_DIRECT; FLUSH reaches the disk */
    BLOCK_CACHE_WRITETHROUGH, /* every write is followed by a flush */
    BLOCK_CACHE_DIRECTSYNC, /* O_DIRECT and writethrough */
    BLOCK_CACHE_UNSAFE,     /* FLUSH does nothing */
};
enum block_aio { BLOCK_AIO_THREADS, BLOCK_AIO_NATIVE, BLOCK_AIO_IO_URING };
enum block_detect_zeroes { BLOCK_DZ_OFF, BLOCK_DZ_ON, BLOCK_DZ_UNMAP };
/* werror=, rerror=: what the *device* does with a failed request; carried here
 * because the option is the drive's. ENOSPC: stop on -ENOSPC, else report. */
enum block_onerr { BLOCK_ERR_REPORT, BLOCK_ERR_IGNORE, BLOCK_ERR_STOP, BLOCK_ERR_ENOSPC };

/**
 * struct block_opts - how to open a medium
 * Filled by block_opts_init() and block_opts_set(); strings are owned by it.
 */
struct block_opts {
    char *file;             /* plain local path; NULL: no medium */
    char *format;           /* "raw", "qcow2", "vmdk", "vdi", "vpc"; NULL: probe */
    char *backing;          /* overrides the backing file named in the image */
    char *backing_format;   /* of that; NULL: probe */
    enum block_cache cache;
    enum block_aio aio;
    enum block_detect_zeroes detect_zeroes;
    enum block_onerr werror, rerror;
    bool aio_set;
    bool discard;           /* discard=unmap; ignored otherwise */
    bool readonly, auto_readonly;
    bool snapshot;          /* writes go to a temporary overlay */
    bool force_share;       /* open although another program writes (-U) */
    bool no_lock;           /* locking=off */
    bool no_backing;        /* open nothing but the named file */
    bool no_io;             /* metadata only: data files are not needed */
    bool allow_dirty;       /* do not repair a dirty image on open (check) */
    uint64_t offset, size;  /* raw: window of the file; size 0: to its end */
    const void *chain;      /* the block layer's: images above, against loops */
};

void block_opts_init(struct block_opts *o);
void block_opts_free(struct block_opts *o);
/** block_opts_copy() - deep copy into uninitialised @d */
void block_opts_copy(struct block_opts *d, const struct block_opts *s);
/**
 * block_opts_set() - one key=value of -drive or -blockdev
 * @key: file, filename, file.filename, format, driver, cache, cache.direct,
 *       cache.no-flush, aio, discard, detect-zeroes, readonly, read-only,
 *       auto-read-only, snapshot, werror, rerror, force-share, locking,
 *       offset, size, backing ("" or null: none); also with prefix "file."
 *
 * Returns 0; -ENOENT when the key is not one of the block layer's (the caller
 * then looks at if=, media=, ... itself; @e is not set); -EINVAL with @e for
 * a bad value.
 */
int block_opts_set(struct block_opts *o, const char *key, const char *val,
                   struct err *e) MUST_CHECK;

/* ---- contexts: where completions run ---------------------------------------- */

/**
 * block_ctx_new() - a completion queue with its worker pool and io_uring
 * @threads: most worker threads, 1..64; 0: the default (8)
 * Returns NULL with @e when the host refuses.
 */
struct block_ctx *block_ctx_new(unsigned threads, struct err *e);
/** block_ctx_free() - all blocks of it must be closed; ends its threads */
void block_ctx_free(struct block_ctx *c);
/** block_ctx_attach() - let @l poll @c; NULL detaches */
void block_ctx_attach(struct block_ctx *c, struct loop *l);
/** block_ctx_poll() - run the callbacks that are due; returns how many ran.
 *  At most 256 a call, so that no queue starves the loop. Not reentrant. */
unsigned block_ctx_poll(struct block_ctx *c);
/** block_ctx_wait() - block_ctx_poll(), waiting for one at most @timeout_ns (-1: for ever) */
unsigned block_ctx_wait(struct block_ctx *c, int64_t timeout_ns);

/* ---- opening ------------------------------------------------------------------ */

/**
 * block_open() - a drive, with the medium that @o names
 * @c: context of its callbacks; NULL for users of the blocking calls only
 * @o: copied; o->file NULL gives an empty drive
 *
 * Takes the image lock (compatible with QEMU's) before anything is read.
 * Returns NULL with @e.
 */
struct block *block_open(struct block_ctx *c, const struct block_opts *o, struct err *e);
/** block_close() - drain, write back, release the lock; @b may be NULL.
 *  Returns 0 or the error of the last write-back (cannot be retried). */
int block_close(struct block *b);

/** block_change() - replace the medium (tray closed again); on failure the
 *  drive is left empty. Calls the change callback. */
int block_change(struct block *b, const struct block_opts *o, struct err *e) MUST_CHECK;
/** block_eject() - drain, close the medium, leave the drive empty */
int block_eject(struct block *b);
bool block_present(const struct block *b);
/** block_set_change() - @cb is told of a new or removed medium and of a new size */
void block_set_change(struct block *b, void (*cb)(void *opaque), void *opaque);

/* ---- what the medium is -------------------------------------------------------- */

/** block_length() - bytes of the medium; 0 when empty. A resize changes it. */
uint64_t block_length(const struct block *b);
bool block_readonly(const struct block *b);
const struct block_opts *block_options(const struct block *b);
/** block_write_cache() - whether a guest must flush (false for writethrough);
 *  block_set_write_cache() - guest turned its write cache on or off */
bool block_write_cache(const struct block *b);
void block_set_write_cache(struct block *b, bool on);

struct block_info {
    const char *format;         /* "raw", "qcow2" ... */
    const char *filename;       /* valid until the medium changes */
    const char *backing_file;   /* as written in the image; NULL when none */
    const char *backing_format; /* NULL when not given */
    uint64_t virtual_bytes;
    uint64_t disk_bytes;        /* allocated on the host */
    uint32_t cluster_bytes;     /* 0: the format has none */
    unsigned backing_depth;     /* files under this one */
    bool encrypted, dirty, corrupt;
};
/** block_get_info() - returns 0, or -ENOMEDIUM */
int block_get_info(const struct block *b, struct block_info *i);

struct block_stats { /* since the drive was made */
    uint64_t rd_ops, rd_bytes, rd_ns;
    uint64_t wr_ops, wr_bytes, wr_ns;
    uint64_t flush_ops, flush_ns;
    uint64_t unmap_ops, unmap_bytes, unmap_ns;
    uint64_t rd_failed, wr_failed, flush_failed, unmap_failed;
    uint64_t wr_highest_offset;
};
void block_get_stats(const struct block *b, struct block_stats *s);

/* ---- requests ------------------------------------------------------------------ */

enum block_op {
    BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_WRITE_ZEROES,
};
enum {
    BLOCK_REQ_FUA = 1,   /* WRITE, WRITE_ZEROES: on stable storage before cb */
    BLOCK_REQ_UNMAP = 2, /* WRITE_ZEROES: may give the space back */
};

struct block_req {
    /* set by the caller; all of it must stay valid until cb */
    enum block_op op;
    unsigned flags;
    uint64_t off;               /* bytes */
    uint64_t len;               /* bytes; READ, WRITE: the sum of the iovec */
    const struct iovec *iov;    /* READ, WRITE: at most 1024 entries */
    unsigned niov;
    void (*cb)(struct block_req *r, int ret); /* ret: 0 or negative errno; may
                                               * submit, may free @r */
    void *opaque;
    struct block_ctx *ctx;      /* where cb runs; NULL: the drive's context */

    /* the block layer's while in flight */
    struct block *blk;
    struct block_req *next, *prev;
    int64_t start_ns;
    int ret;
    uint8_t state;
    uint8_t kind;
    void *node;
    uint64_t priv[4];
    struct iovec iov1;
};

/**
 * block_submit() - start a request; always ends in exactly one cb
 * A failed submission too is reported through cb. A context works on at most
 * 384 transfers in io_uring and one request a worker; a drive keeps all
 * workers but one. More requests wait their turn (in the callers' memory).
 */
void block_submit(struct block *b, struct block_req *r);
/**
 * block_plug() - requests of @b's context submitted from here on may wait
 * block_unplug() - start them all, and run the callbacks of those that are done at once
 * For a device that takes several requests from a queue: fewer system calls, and no
 * other thread has to wake up for what the host has in memory. Machine lock held from
 * plug to unplug.
 */
void block_plug(struct block *b);
void block_unplug(struct block *b);
/**
 * block_cancel() - take back a request that has not been started
 * Returns true when it will complete with -ECANCELED untouched (cb still
 * runs); false when it runs or has run: wait for cb, e.g. block_drain().
 * A device reset must drain before it forgets its state.
 */
bool block_cancel(struct block_req *r);
/** block_drain() - return when no request of @b is in flight; runs callbacks
 *  (those of other drives in the same contexts too). Requests that callbacks
 *  submit are drained as well: stop submitting first. */
void block_drain(struct block *b);
/** block_in_flight() - requests submitted whose cb has not run */
unsigned block_in_flight(const struct block *b);

/* ---- blocking calls (tools, snapshots, firmware tables) --------------------------- */

/* Any thread; 0 or negative errno. They wait for the disk: no vCPU thread may
 * use them for a guest's request. */
int block_pread(struct block *b, uint64_t off, void *buf, uint64_t len) MUST_CHECK;
int block_pwrite(struct block *b, uint64_t off, const void *buf, uint64_t len) MUST_CHECK;
int block_flush(struct block *b) MUST_CHECK;
int block_discard(struct block *b, uint64_t off, uint64_t len) MUST_CHECK;
int block_write_zeroes(struct block *b, uint64_t off, uint64_t len, unsigned flags) MUST_CHECK;
/** block_resize() - new size of the medium; drained first. Shrinking drops data. */
int block_resize(struct block *b, uint64_t bytes, struct err *e) MUST_CHECK;

struct block_extent {
    uint64_t off, len;   /* bytes of the medium */
    bool data;           /* reads need the file; else zeroes */
    bool zero;           /* reads as zeroes */
    bool present;        /* allocated somewhere in the chain */
    bool compressed;
    bool host_valid;
    uint64_t host_off;   /* in @file when host_valid */
    unsigned depth;      /* 0: this image, 1: its backing file ... */
    const char *file;
};
/** block_map() - the extent at @off, at most @max bytes long */
int block_map(struct block *b, uint64_t off, uint64_t max, struct block_extent *x) MUST_CHECK;

/* ---- new images ---------------------------------------------------------------------- */

/** struct block_create - what they are to be; 0 and NULL take the format's default */
struct block_create {
    const char *file;
    uint64_t size;          /* bytes of the disk */
    bool size_set;
    const char *backing, *backing_fmt; /* as they are to stand in the image */
    uint32_t cluster_bytes, refcount_bits;
    int compat;             /* 2 or 3 */
    bool lazy_refcounts, zstd, extended_l2;
    const char *prealloc;   /* off, metadata, falloc, full */
    const char *data_file;
    bool data_file_raw;
};
/** block_may_create() - whether images of @format ("raw", "qcow2" ...) can be made as @c says; 0 or -errno
 *  with @e set. Touches no file. */
int block_may_create(const char *format, const struct block_create *c, struct err *e) MUST_CHECK;
/** block_create() - make c->file, or empty it and make it anew; what it held is gone. Refused
 *  when somebody has it open (locks). 0 or -errno with @e set */
int block_create(const char *format, const struct block_create *c, struct err *e) MUST_CHECK;

/* ---- internal snapshots (savevm, transom-img snapshot) ------------------------------ */

struct block_snapshot {
    char id[32];
    char name[256];
    uint64_t vm_state_bytes;
    uint64_t disk_bytes;
    uint32_t date_s, date_ns; /* since 1970 */
    uint64_t vm_clock_ns;
    uint64_t icount;          /* ~0: none */
};
/** block_snapshot_list() - *out: array of *n, to be freed by the caller */
int block_snapshot_list(struct block *b, struct block_snapshot **out, unsigned *n) MUST_CHECK;
/** block_snapshot_create() - @s->name given; id and sizes are filled in. Drains. */
int block_snapshot_create(struct block *b, struct block_snapshot *s, struct err *e) MUST_CHECK;
/** block_snapshot_apply/_delete() - by id or else by name; -ENOENT */
int block_snapshot_apply(struct block *b, const char *id_or_name, struct err *e) MUST_CHECK;
int block_snapshot_delete(struct block *b, const char *id_or_name, struct err *e) MUST_CHECK;
/** block_vmstate_read/_write() - bytes of VM state that lie behind the disk's
 *  (a snapshot made after them keeps them) */
int block_vmstate_read(struct block *b, uint64_t off, void *buf, uint64_t len) MUST_CHECK;
int block_vmstate_write(struct block *b, uint64_t off, const void *buf, uint64_t len) MUST_CHECK;

#endif
