/*
 * file.c - image files and host devices
 *
 * Whole transfers or an error; bytes past the end of the file read as zeroes.
 * With O_DIRECT, what is not aligned goes through a buffer; a write that
 * covers part of a sector reads that sector first, alone in the file (rmw).
 *
 * An fdatasync that fails may have dropped dirty pages for good, and a second
 * one would succeed: so the first failure is remembered and every later flush
 * fails as well, unless O_DIRECT leaves no pages to lose.
 *
 * Nothing here shortens a file to lengthen it: an extension is always a write
 * at the new end, because a truncate could cut off a write that runs beside it.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include <unistd.h>
#include "block/block-int.h"

#define BUF_ALIGN 4096

void *bfile_buf(size_t len)
{
    void *p;

    return posix_memalign(&p, BUF_ALIGN, len ? len : 1) ? NULL : p;
}

static bool is_aligned(const struct bfile *f, uint64_t off, const struct iovec *iov, unsigned n)
{
    uint64_t m = off;

    if (f->align <= 1)
        return true;
    for (unsigned i = 0; i < n; i++)
        m |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
    return !(m & (f->align - 1));
}

/* one transfer of an aligned list; short reads end in zeroes */
static int file_rw(struct bfile *f, bool write, uint64_t off, const struct iovec *iov, unsigned n)
{
    struct iovec tmp[64];
    uint64_t left = iov_bytes(iov, n), done = 0;

    if (n > BLOCK_MAX_IOV || left > INT64_MAX - off)
        return -EINVAL;
    while (left) {
        const struct iovec *v = iov;
        unsigned k = n;
        ssize_t r;
        if (done) {
            /* the rest, as much as fits in tmp */
            uint64_t skip = done;
            unsigned i = 0;
            while (skip >= iov[i].iov_len)
                skip -= iov[i++].iov_len;
            for (k = 0; k < ARRAY_SIZE(tmp) && i < n; i++, k++) {
                tmp[k].iov_base = (char *)iov[i].iov_base + skip;
                tmp[k].iov_len = iov[i].iov_len - skip;
                skip = 0;
            }
            v = tmp;
        }
        r = write ? pwritev(f->fd, v, (int)k, (off_t)(off + done))
                  : preadv(f->fd, v, (int)k, (off_t)(off + done));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0) {
            if (write)
                return -ENOSPC;
            iov_zero(iov, n, done, left);
            return 0;
        }
        done += (uint64_t)r;
        left -= (uint64_t)r;
        if (f->direct && left && ((uint64_t)r & (f->align - 1)) && !write) {
            iov_zero(iov, n, done, left); /* the end of the file */
            return 0;
        }
    }
    return 0;
}

static int bounce_read(struct bfile *f, uint64_t off, const struct iovec *iov, unsigned n)
{
    uint64_t len = iov_bytes(iov, n);
    uint64_t lo = align_down(off, f->align), hi = align_up(off + len, f->align);
    struct iovec v = { bfile_buf(hi - lo), hi - lo };
    int r;

    if (!v.iov_base)
        return -ENOMEM;
    r = file_rw(f, false, lo, &v, 1);
    if (!r)
        iov_from_buf(iov, n, 0, (char *)v.iov_base + (off - lo), len);
    free(v.iov_base);
    return r;
}

/* the sectors at both ends are read first; a regular file is cut back to the
 * bytes that were meant, which is safe because nobody else is in the file */
static int bounce_write(struct bfile *f, uint64_t off, const struct iovec *iov, unsigned n)
{
    uint64_t len = iov_bytes(iov, n);
    uint64_t lo = align_down(off, f->align), hi = align_up(off + len, f->align);
    struct iovec v = { bfile_buf(hi - lo), hi - lo };
    int64_t old = 0;
    int r = 0;

    if (!v.iov_base)
        return -ENOMEM;
    pthread_rwlock_wrlock(&f->rmw);
    if (lo != off || hi != off + len) {
        old = bfile_length(f);
        r = old < 0 ? (int)old : file_rw(f, false, lo, &v, 1);
    }
    if (!r) {
        iov_to_buf(iov, n, 0, (char *)v.iov_base + (off - lo), len);
        r = file_rw(f, true, lo, &v, 1);
    }
    if (!r && hi != off + len && !f->is_blk && hi > (uint64_t)old &&
        ftruncate(f->fd, (off_t)MAX((uint64_t)old, off + len)))
        r = -errno;
    pthread_rwlock_unlock(&f->rmw);
    free(v.iov_base);
    return r;
}

static int file_preadv(struct bfile *f, uint64_t off, const struct iovec *iov, unsigned n)
{
    return is_aligned(f, off, iov, n) ? file_rw(f, false, off, iov, n) : bounce_read(f, off, iov, n);
}

static int file_pwritev(struct bfile *f, uint64_t off, const struct iovec *iov, unsigned n)
{
    int r;

    if (f->readonly)
        return -EROFS;
    if (!is_aligned(f, off, iov, n))
        return bounce_write(f, off, iov, n);
    if (!f->direct)
        return file_rw(f, true, off, iov, n);
    pthread_rwlock_rdlock(&f->rmw);
    r = file_rw(f, true, off, iov, n);
    pthread_rwlock_unlock(&f->rmw);
    return r;
}

static int file_flush(struct bfile *f)
{
    int r;

    if (f->unsafe || f->readonly)
        return 0;
    if ((r = atomic_load(&f->broken)))
        return -r;
    if (!fdatasync(f->fd))
        return 0;
    r = errno;
    if (!f->direct)
        atomic_store(&f->broken, r);
    return -r;
}

static bool is_unsupported(int err)
{
    return err == EOPNOTSUPP || err == ENOSYS || err == ENODEV || err == EINVAL || err == ENOTTY;
}

static int file_discard(struct bfile *f, uint64_t off, uint64_t len)
{
    if (f->readonly)
        return -EROFS;
    if (!len || atomic_load(&f->no_punch))
        return 0;
    if (!fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len))
        return 0;
    if (!is_unsupported(errno))
        return -errno;
    atomic_store(&f->no_punch, true);
    return 0;
}

static int file_zero(struct bfile *f, uint64_t off, uint64_t len, bool unmap)
{
    int mode = FALLOC_FL_KEEP_SIZE | (unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
    atomic_bool *no = unmap ? &f->no_punch : &f->no_zero;

    if (f->readonly)
        return -EROFS;
    if (atomic_load(no))
        return -ENOTSUP;
    if (!fallocate(f->fd, mode, (off_t)off, (off_t)len))
        return 0;
    if (!is_unsupported(errno))
        return -errno;
    if (!f->is_blk) /* a device may refuse only this alignment */
        atomic_store(no, true);
    return -ENOTSUP;
}

static int64_t file_length(struct bfile *f)
{
    struct stat st;
    off_t end;

    if (fstat(f->fd, &st))
        return -errno;
    if (S_ISREG(st.st_mode))
        return st.st_size;
    end = lseek(f->fd, 0, SEEK_END);
    return end < 0 ? -errno : end;
}

static int file_truncate(struct bfile *f, uint64_t len)
{
    if (f->readonly)
        return -EROFS;
    if (f->is_blk)
        return (uint64_t)file_length(f) >= len ? 0 : -ENOTSUP;
    return len > INT64_MAX ? -EFBIG : ftruncate(f->fd, (off_t)len) ? -errno : 0;
}

static void file_close(struct bfile *f)
{
    close(f->fd);
}

static const struct bfile_ops file_ops = {
    .preadv = file_preadv, .pwritev = file_pwritev, .flush = file_flush,
    .discard = file_discard, .zero = file_zero, .length = file_length,
    .truncate = file_truncate, .close = file_close,
};

/* the smallest size at which O_DIRECT reads; 4096 suits everything known */
static uint32_t direct_align(int fd, bool is_blk)
{
    static const uint32_t tries[] = { 512, 1024, 2048, 4096 };
    void *p = bfile_buf(BUF_ALIGN);
    uint32_t a = BUF_ALIGN;
    int ssz;

    if (is_blk && !ioctl(fd, BLKSSZGET, &ssz) && ssz >= 512 && ssz <= BUF_ALIGN)
        a = (uint32_t)ssz;
    else if (p && !is_blk)
        for (unsigned i = 0; i < ARRAY_SIZE(tries); i++)
            if (pread(fd, p, tries[i], 0) >= 0) {
                /* an empty file says nothing about alignment */
                struct stat st;
                a = fstat(fd, &st) || st.st_size < BUF_ALIGN ? BUF_ALIGN : tries[i];
                break;
            }
    free(p);
    return a;
}

static struct bfile *file_new(int fd, const char *path, bool write, bool direct, bool unsafe, bool is_blk)
{
    struct bfile *f = xzalloc(sizeof(*f));

    /* io_uring would answer EAGAIN instead of waiting for the disk */
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    f->ops = &file_ops;
    f->path = xstrdup(path);
    f->fd = fd;
    f->readonly = !write;
    f->direct = direct;
    f->unsafe = unsafe;
    f->is_blk = is_blk;
    f->align = direct ? direct_align(fd, is_blk) : 1;
    pthread_rwlock_init(&f->rmw, NULL);
    return f;
}

struct bfile *bfile_open(const char *path, const struct block_opts *o, bool write,
                         int *err, struct err *e)
{
    bool direct = o->cache == BLOCK_CACHE_NONE || o->cache == BLOCK_CACHE_DIRECTSYNC;
    struct stat st;
    int fd, r;

    /* O_NONBLOCK: a FIFO must not hang us before we can refuse it */
    fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | (direct ? O_DIRECT : 0));
    if (fd < 0) {
        *err = -errno;
        err_set(e, *err, "Could not open '%s': %s%s", path, strerror(errno),
                direct && errno == EINVAL ? " (file system without O_DIRECT?)" : "");
        return NULL;
    }
    if (fstat(fd, &st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))) {
        *err = err_set(e, -EINVAL, "Could not open '%s': neither a regular file nor a block device", path);
        close(fd);
        return NULL;
    }
    if (!o->force_share && !o->no_lock && (r = image_lock(fd, path, write, e))) {
        *err = r;
        close(fd);
        return NULL;
    }
    return file_new(fd, path, write, direct, o->cache == BLOCK_CACHE_UNSAFE, S_ISBLK(st.st_mode));
}

struct bfile *bfile_create(const char *path, struct err *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
    struct stat st;

    if (fd < 0) {
        err_set(e, -errno, "Could not create '%s': %s", path, strerror(errno));
        return NULL;
    }
    /* the lock first: another program's image must not be emptied */
    if (fstat(fd, &st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))) {
        err_set(e, -EINVAL, "Could not create '%s': neither a regular file nor a block device", path);
    } else if (image_lock(fd, path, true, e)) {
        ;
    } else if (S_ISREG(st.st_mode) && ftruncate(fd, 0)) {
        err_set(e, -errno, "Could not empty '%s': %s", path, strerror(errno));
    } else {
        return file_new(fd, path, true, false, false, S_ISBLK(st.st_mode));
    }
    close(fd);
    return NULL;
}

struct bfile *bfile_tmp(struct err *e)
{
    const char *dir = getenv("TMPDIR");
    char *path;
    int fd;

    dir = dir && *dir ? dir : "/var/tmp";
    path = xasprintf("%s/transom-XXXXXX", dir);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        err_set(e, -errno, "Could not create a temporary file in '%s': %s", dir, strerror(errno));
        free(path);
        return NULL;
    }
    unlink(path);
    struct bfile *f = file_new(fd, path, true, false, true, false);
    free(path);
    return f;
}

void bfile_close(struct bfile *f)
{
    if (!f)
        return;
    f->ops->close(f);
    pthread_rwlock_destroy(&f->rmw);
    free(f->path);
    free(f);
}

int bfile_preadv(struct bfile *f, uint64_t off, const struct iovec *iov, unsigned n)
{
    return f->ops->preadv(f, off, iov, n);
}

int bfile_pwritev(struct bfile *f, uint64_t off, const struct iovec *iov, unsigned n)
{
    return f->ops->pwritev(f, off, iov, n);
}

int bfile_pread(struct bfile *f, uint64_t off, void *buf, size_t len)
{
    struct iovec v = { buf, len };

    return f->ops->preadv(f, off, &v, 1);
}

int bfile_pwrite(struct bfile *f, uint64_t off, const void *buf, size_t len)
{
    struct iovec v = { (void *)buf, len };

    return f->ops->pwritev(f, off, &v, 1);
}

int bfile_flush(struct bfile *f)
{
    return f->ops->flush(f);
}

int bfile_discard(struct bfile *f, uint64_t off, uint64_t len)
{
    return f->ops->discard(f, off, len);
}

static int write_zero_buffers(struct bfile *f, uint64_t off, uint64_t len)
{
    size_t n = MIN(len, MiB);
    void *p = bfile_buf(n);
    int r = p ? 0 : -ENOMEM;

    if (p)
        memset(p, 0, n);
    for (; len && !r; off += n, len -= n) {
        n = MIN(len, n);
        r = bfile_pwrite(f, off, p, n);
    }
    free(p);
    return r;
}

int bfile_zero(struct bfile *f, uint64_t off, uint64_t len, bool unmap)
{
    int64_t end = bfile_length(f);
    uint64_t inside;
    int r = 0;

    if (end < 0)
        return (int)end;
    inside = off < (uint64_t)end ? MIN(len, (uint64_t)end - off) : 0;
    if (inside) {
        r = f->ops->zero(f, off, inside, unmap);
        if (r == -ENOTSUP)
            r = write_zero_buffers(f, off, inside);
    }
    if (!r && inside < len) { /* the host makes the rest of an extension zero */
        uint64_t tail = MIN(len - inside, 512);
        r = write_zero_buffers(f, off + len - tail, tail);
    }
    return r;
}

int64_t bfile_length(struct bfile *f)
{
    return f->ops->length(f);
}

int bfile_truncate(struct bfile *f, uint64_t len)
{
    return f->ops->truncate(f, len);
}

/** bfile_allocated() - bytes that the host keeps for the file */
uint64_t bfile_allocated(struct bfile *f)
{
    struct stat st;

    while (f->inner)
        f = f->inner;
    if (f->fd < 0 || fstat(f->fd, &st))
        return 0;
    return f->is_blk ? (uint64_t)bfile_length(f) : (uint64_t)st.st_blocks * 512;
}
