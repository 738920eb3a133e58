/*
 * block-int.h - inside the block layer: files, formats, contexts
 *
 * Two levels. A struct bfile is bytes on the host (or a test's layer around
 * them); a struct bnode is a medium: one format over one bfile, with perhaps
 * another bnode below it as its backing file. All operations of both are
 * blocking and may be called from several threads at once; asynchrony is made
 * above them (ctx.c: a worker thread runs the blocking call, or io_uring does
 * the transfer where the format can say at once where the bytes are).
 */
#ifndef BLOCK_BLOCK_INT_H
#define BLOCK_BLOCK_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "block/block.h"

#define BLOCK_MAX_IOV 1024u
#define BLOCK_MAX_TRANSFER (1ull << 30)
#define BLOCK_MAX_CHAIN 200      /* backing files under one another */
#define BLOCK_MAX_BYTES (1ull << 62)

/* Big-endian fields of image files. */
static inline uint16_t get_be16(const void *p) { return __builtin_bswap16(ldl16(p)); }
static inline uint32_t get_be32(const void *p) { return __builtin_bswap32(ldl32(p)); }
static inline uint64_t get_be64(const void *p) { return __builtin_bswap64(ldl64(p)); }
static inline void put_be16(void *p, uint16_t v) { stl16(p, __builtin_bswap16(v)); }
static inline void put_be32(void *p, uint32_t v) { stl32(p, __builtin_bswap32(v)); }
static inline void put_be64(void *p, uint64_t v) { stl64(p, __builtin_bswap64(v)); }

/* ---- files (file.c, fault.c) ------------------------------------------------- */

struct bfile;
struct bfile_ops {
    /* whole transfer or an error; reads past the end give zeroes */
    int (*preadv)(struct bfile *f, uint64_t off, const struct iovec *iov, unsigned n);
    int (*pwritev)(struct bfile *f, uint64_t off, const struct iovec *iov, unsigned n);
    int (*flush)(struct bfile *f);
    int (*discard)(struct bfile *f, uint64_t off, uint64_t len);
    /* -ENOTSUP: the caller writes zeroes; never extends the file */
    int (*zero)(struct bfile *f, uint64_t off, uint64_t len, bool unmap);
    int64_t (*length)(struct bfile *f);
    int (*truncate)(struct bfile *f, uint64_t len);
    void (*close)(struct bfile *f);
};

struct bfile {
    const struct bfile_ops *ops;
    char *path;             /* as given; never NULL */
    int fd;                 /* for io_uring and mapping; -1 when layered */
    bool readonly, direct, unsafe, is_blk;
    atomic_bool no_punch, no_zero; /* the host said it cannot */
    atomic_int broken;      /* an fdatasync failed: what it lost is unknown */
    uint32_t align;         /* of offset, length and memory for O_DIRECT; else 1 */
    pthread_rwlock_t rmw;   /* O_DIRECT: exclusive for read-modify-write */
    struct bfile *inner;    /* layered: what is below */
    void *priv;
};

/**
 * bfile_open() - open and lock a local file or host device
 * Returns NULL with @e and *@err (negative errno).
 */
struct bfile *bfile_open(const char *path, const struct block_opts *o, bool write,
                         int *err, struct err *e);
/** bfile_create() - make or empty a regular file, open it for writing, locked */
struct bfile *bfile_create(const char *path, struct err *e);
/** bfile_tmp() - a file without a name for snapshot=on, in $TMPDIR or /var/tmp */
struct bfile *bfile_tmp(struct err *e);
void bfile_close(struct bfile *f);
int bfile_pread(struct bfile *f, uint64_t off, void *buf, size_t len) MUST_CHECK;
int bfile_pwrite(struct bfile *f, uint64_t off, const void *buf, size_t len) MUST_CHECK;
int bfile_preadv(struct bfile *f, uint64_t off, const struct iovec *iov, unsigned n) MUST_CHECK;
int bfile_pwritev(struct bfile *f, uint64_t off, const struct iovec *iov, unsigned n) MUST_CHECK;
int bfile_flush(struct bfile *f) MUST_CHECK;
/** bfile_zero() - zeroes by the cheapest way that works; may extend the file */
int bfile_zero(struct bfile *f, uint64_t off, uint64_t len, bool unmap) MUST_CHECK;
int bfile_discard(struct bfile *f, uint64_t off, uint64_t len);
int64_t bfile_length(struct bfile *f);
int bfile_truncate(struct bfile *f, uint64_t len) MUST_CHECK;
uint64_t bfile_allocated(struct bfile *f);
/** bfile_buf() - memory that is aligned for any file; free() it. NULL: no memory */
void *bfile_buf(size_t len);

/**
 * image_lock() - take the permission bytes of an image (lock.c)
 * @write: false: others may read, none may write; true: none else writes
 * @share: take nothing, ask nothing (-U)
 */
int image_lock(int fd, const char *path, bool write, struct err *e) MUST_CHECK;

/* A test's layer between format and file (fault.c). */
enum bfile_event { BEV_READ, BEV_WRITE, BEV_FLUSH, BEV_ZERO, BEV_DISCARD, BEV_TRUNCATE };
/** bfile_layer() - wrap @f: @hook sees every operation first; it returns 0 to
 *  go on or a negative errno that the operation then fails with. @closed may be NULL. */
struct bfile *bfile_layer(struct bfile *f,
                          int (*hook)(void *opaque, enum bfile_event ev, uint64_t off,
                                      const struct iovec *iov, unsigned n, uint64_t len),
                          void *opaque);

/* ---- scatter lists (iov.c) ------------------------------------------------------ */

uint64_t iov_bytes(const struct iovec *iov, unsigned n);
/** iov_slice() - entries of @iov that cover bytes [@skip, @skip+@len), into
 *  @out (room for @n entries); returns how many */
unsigned iov_slice(struct iovec *out, const struct iovec *iov, unsigned n,
                   uint64_t skip, uint64_t len);
void iov_zero(const struct iovec *iov, unsigned n, uint64_t skip, uint64_t len);
void iov_from_buf(const struct iovec *iov, unsigned n, uint64_t skip, const void *buf, uint64_t len);
void iov_to_buf(const struct iovec *iov, unsigned n, uint64_t skip, void *buf, uint64_t len);
bool iov_is_zero(const struct iovec *iov, unsigned n);
bool mem_is_zero(const void *p, size_t n);

/* ---- range locks (range.c) -------------------------------------------------------- */

struct range {
    uint64_t start, end;  /* [start, end) */
    bool excl;
    struct range *next;
};
struct range_lock {
    pthread_mutex_t m;
    pthread_cond_t c;
    struct range *head, **tail;
    unsigned waiting;
};
void range_init(struct range_lock *l);
void range_destroy(struct range_lock *l);
void range_take(struct range_lock *l, struct range *r, uint64_t start, uint64_t end, bool excl);
bool range_try(struct range_lock *l, struct range *r, uint64_t start, uint64_t end, bool excl);
void range_drop(struct range_lock *l, struct range *r);

/* ---- formats ------------------------------------------------------------------------ */

struct bnode;

enum { CHECK_FIX_LEAKS = 1, CHECK_FIX_ERRORS = 2 };
struct block_check {
    uint64_t corruptions, leaks, errors;   /* left after repair; errors: of the check itself */
    uint64_t corruptions_fixed, leaks_fixed;
    uint64_t allocated, total, compressed, fragmented; /* guest clusters */
    uint64_t image_end;                    /* bytes */
    void (*say)(const char *line);         /* NULL: quiet */
    unsigned said;
};

struct block_driver {
    const char *name;
    bool can_write, can_backing, can_create;
    /* 0..100: how surely @head (@n bytes from offset 0 of @bytes) is this format */
    int (*probe)(const uint8_t *head, size_t n, uint64_t bytes);
    int (*open)(struct bnode *b, struct err *e);
    int (*close)(struct bnode *b);
    int (*preadv)(struct bnode *b, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len);
    int (*pwritev)(struct bnode *b, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len);
    int (*flush)(struct bnode *b);
    int (*discard)(struct bnode *b, uint64_t off, uint64_t len);
    int (*zero)(struct bnode *b, uint64_t off, uint64_t len, bool unmap);
    /* the extent at @off of this image only; present = false: ask the backing file */
    int (*map)(struct bnode *b, uint64_t off, uint64_t max, struct block_extent *x);
    /* io_uring: the whole request is at *host_off of *file; without waiting.
     * done() ends what try() began; NULL: there is nothing to end. false: use the blocking call. */
    bool (*fast_try)(struct bnode *b, bool write, uint64_t off, uint64_t len,
                     struct bfile **file, uint64_t *host_off, struct range *r);
    void (*fast_done)(struct bnode *b, struct range *r);
    int (*truncate)(struct bnode *b, uint64_t bytes, bool shrink, struct err *e);
    void (*info)(struct bnode *b, struct block_info *i);
    int (*write_compressed)(struct bnode *b, uint64_t off, const void *buf, uint64_t len);
    int (*create)(const struct block_create *c, struct err *e);
    int (*check)(struct bnode *b, unsigned fix, struct block_check *c, struct err *e);
    int (*set_backing)(struct bnode *b, const char *file, const char *fmt, struct err *e);
    int (*make_empty)(struct bnode *b); /* forget all data: the backing file shows */
    int (*snap_list)(struct bnode *b, struct block_snapshot **out, unsigned *n);
    int (*snap_create)(struct bnode *b, struct block_snapshot *s, struct err *e);
    int (*snap_apply)(struct bnode *b, const char *id, struct err *e);
    int (*snap_load)(struct bnode *b, const char *id, struct err *e); /* read-only view */
    int (*snap_delete)(struct bnode *b, const char *id, struct err *e);
    int (*vmstate)(struct bnode *b, bool write, uint64_t off, void *buf, uint64_t len);
};

struct bnode {
    const struct block_driver *drv;
    struct bfile *file;
    struct bnode *backing;
    struct block_opts opts;     /* owned */
    char *filename;
    char *backing_file, *backing_fmt; /* as written in the image; NULL */
    uint64_t length;            /* bytes the guest sees */
    bool readonly;
    bool aligned_end;           /* unused tail of a raw file reads as zeroes */
    unsigned depth;             /* 0: top */
    void *priv;
};

extern const struct block_driver raw_driver, qcow2_driver, vmdk_driver, vdi_driver, vpc_driver;
extern const struct block_driver *const block_drivers[];
extern const unsigned block_n_drivers;
const struct block_driver *block_find_driver(const char *name);
/** block_probe_file() - the format of @f by its first bytes; raw when none fits */
const struct block_driver *block_probe_file(struct bfile *f);

/** qcow2_format() - make @f an empty qcow2 image */
int qcow2_format(struct bfile *f, const struct block_create *c, struct err *e);
/** bnode_open() - a medium and what is below it; NULL with @e */
struct bnode *bnode_open(const struct block_opts *o, unsigned depth, struct err *e);
/** bnode_open_file() - the same over a file that is open already (owned, also on failure) */
struct bnode *bnode_open_file(struct bfile *f, const struct block_driver *d,
                              const struct block_opts *o, unsigned depth, struct err *e);
int bnode_close(struct bnode *b);
int bnode_preadv(struct bnode *b, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len) MUST_CHECK;
int bnode_map(struct bnode *b, uint64_t off, uint64_t max, struct block_extent *x) MUST_CHECK;
int bnode_flush(struct bnode *b) MUST_CHECK;
/** backing_path() - @name as seen from the image @from: relative names are
 *  relative to its folder. NULL with @e when it is no plain file name. */
char *backing_path(const char *from, const char *name, struct err *e);
struct bnode *block_node(struct block *b);
/** block_read_mapped() - preadv for formats whose map() tells all */
int block_read_mapped(struct bnode *b, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len);
/** block_check_mapped() - check for the same: whether map() makes sense everywhere */
int block_check_mapped(struct bnode *b, unsigned fix, struct block_check *c, struct err *e);
/** block_from_node() - a drive around a node (owned) */
struct block *block_from_node(struct block_ctx *c, struct bnode *n);

/* ---- contexts (ctx.c) ------------------------------------------------------------------ */

/** ctx_run() - have a worker run r->kind's blocking call, then post it */
void ctx_run(struct block_ctx *c, struct block_req *r);
/** ctx_ring() - start the transfer on io_uring; false: not possible now */
bool ctx_ring(struct block_ctx *c, struct block_req *r, int fd, uint64_t host_off);
/** ctx_post() - queue r's callback with r->ret */
void ctx_post(struct block_ctx *c, struct block_req *r);
/** block_ctx_plug()/_unplug() - see block_plug(); @c may be NULL */
void block_ctx_plug(struct block_ctx *c);
void block_ctx_unplug(struct block_ctx *c);
bool ctx_unqueue(struct block_ctx *c, struct block_req *r);
/* called by ctx.c */
void block_req_run(struct block_req *r);              /* on a worker */
bool block_req_ring_done(struct block_req *r, int res); /* false: run it blocking */
void block_req_finish(struct block_req *r);           /* in poll: runs cb */
unsigned *block_req_running(struct block_req *r);     /* the drive's count of busy workers */

enum { REQ_IDLE, REQ_QUEUED, REQ_RUNNING, REQ_DONE };

#endif
