/*
 * lock.c - image locks that QEMU honours too
 *
 * An opener announces what it does and what it forbids with shared OFD locks
 * on single bytes of the file (the bytes themselves are never touched):
 *
 *   100 + i   this opener uses permission i
 *   200 + i   this opener forbids permission i to everybody else
 *   i: 0 consistent read, 1 write, 2 write unchanged, 3 resize
 *
 * First take all of one's own locks, then ask whether anybody else forbids
 * what we use or uses what we forbid; two that race both see the other.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include "block/block-int.h"

#define LOCK_USES 100
#define LOCK_FORBIDS 200
enum { PERM_READ = 1, PERM_WRITE = 2, PERM_WRITE_SAME = 4, PERM_RESIZE = 8, PERM_COUNT = 4 };

static int set_lock(int fd, off_t byte)
{
    struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

    return fcntl(fd, F_OFD_SETLK, &l) ? -errno : 0;
}

/* 1: another opener holds it; 0: none; or negative errno */
static int is_held(int fd, off_t byte)
{
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

    if (fcntl(fd, F_OFD_GETLK, &l))
        return -errno;
    return l.l_type != F_UNLCK;
}

static int lock_bits(int fd, off_t base, unsigned bits)
{
    int r = 0;

    for (unsigned i = 0; i < PERM_COUNT && !r; i++)
        if (bits & (1u << i))
            r = set_lock(fd, base + i);
    return r;
}

static int any_held(int fd, off_t base, unsigned bits)
{
    int r = 0;

    for (unsigned i = 0; i < PERM_COUNT && !r; i++)
        if (bits & (1u << i))
            r = is_held(fd, base + i);
    return r;
}

int image_lock(int fd, const char *path, bool write, struct err *e)
{
    unsigned uses = PERM_READ | (write ? PERM_WRITE | PERM_RESIZE : 0);
    unsigned forbids = PERM_WRITE | PERM_RESIZE;
    int r;

    if ((r = lock_bits(fd, LOCK_USES, uses)) || (r = lock_bits(fd, LOCK_FORBIDS, forbids))) {
        /* file systems without locks (some network ones): go on unlocked */
        if (r == -EINVAL || r == -ENOSYS || r == -ENOTTY || r == -EOPNOTSUPP || r == -ENOLCK)
            return 0;
        return err_set(e, r, "Failed to lock '%s': %s", path, strerror(-r));
    }
    if ((r = any_held(fd, LOCK_FORBIDS, uses)) > 0)
        return err_set(e, -EAGAIN, "Failed to get \"%s\" lock: is another process using the image [%s]?",
                       write ? "write" : "consistent read", path);
    if (!r && (r = any_held(fd, LOCK_USES, forbids)) > 0)
        return err_set(e, -EAGAIN, "Failed to get shared \"write\" lock: is another process using the image [%s]?",
                       path);
    return r;
}
