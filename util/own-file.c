/*
 * own-file.c - a file that nobody but our effective user, or root, can have written
 *
 * Who may write to a directory may put any file there under our file's name, unless it is sticky; who owns a
 * directory may change that. So the directory is looked at, too, and kept open: paths are not followed again.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/util.h"

#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

static int check_dir(const struct own_file *f, struct err *e)
{
    struct stat st;

    if (fstat(f->dir, &st))
        return err_set(e, -errno, "%s: its directory: %s", f->path, strerror(errno));
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return err_set(e, -EPERM, "%s: its directory belongs to another user", f->path);
    if (st.st_mode & OTHERS_WRITE && !(st.st_mode & S_ISVTX))
        return err_set(e, -EPERM, "%s: others may write to its directory", f->path);
    if (faccessat(f->dir, ".", W_OK | X_OK, AT_EACCESS))
        return err_set(e, -errno, "%s: its directory cannot be written: %s", f->path, strerror(errno));
    return 0;
}

int own_file_open(struct own_file *f, const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    char *dir;

    *f = (struct own_file){ .dir = -1, .name = xstrdup(slash ? slash + 1 : path), .path = xstrdup(path) };
    if (!*f->name || !strcmp(f->name, ".") || !strcmp(f->name, ".."))
        return err_set(e, -EINVAL, "%s: the name of a file is wanted", path);
    dir = slash == path ? xstrdup("/") : slash ? xasprintf("%.*s", (int)(slash - path), path) : xstrdup(".");
    f->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (f->dir < 0)
        return err_set(e, -errno, "%s: its directory: %s", path, strerror(errno));
    return check_dir(f, e);
}

void own_file_close(struct own_file *f)
{
    if (f->dir >= 0)
        close(f->dir);
    free(f->name);
    free(f->path);
    *f = (struct own_file){ .dir = -1 };
}

static int check_file(const struct own_file *f, const struct stat *st, struct err *e)
{
    if (!S_ISREG(st->st_mode))
        return err_set(e, -EPERM, "%s: not a regular file", f->path);
    if (st->st_uid != geteuid())
        return err_set(e, -EPERM, "%s: belongs to another user", f->path);
    if (st->st_mode & OTHERS_WRITE)
        return err_set(e, -EPERM, "%s: others may write to it", f->path);
    return 0;
}

static ssize_t read_all(const struct own_file *f, int fd, uint8_t *buf, size_t room, struct err *e)
{
    size_t have = 0;

    while (have <= room) {
        uint8_t more;
        ssize_t n = have < room ? read(fd, buf + have, room - have) : read(fd, &more, 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, -errno, "%s: %s", f->path, strerror(errno));
        if (!n)
            return (ssize_t)have;
        have += (size_t)n;
    }
    return err_set(e, -EFBIG, "%s: has more than %zu bytes", f->path, room);
}

ssize_t own_file_read(const struct own_file *f, void *buf, size_t room, struct err *e)
{
    /* O_NONBLOCK: a pipe of that name must not stop us */
    int fd = openat(f->dir, f->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    ssize_t n;

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 && errno == ELOOP)
        return err_set(e, -EPERM, "%s: a symbolic link", f->path);
    if (fd < 0)
        return err_set(e, -errno, "%s: %s", f->path, strerror(errno));
    n = fstat(fd, &st) ? err_set(e, -errno, "%s: %s", f->path, strerror(errno)) : check_file(f, &st, e);
    if (n == 0)
        n = read_all(f, fd, buf, room, e);
    close(fd);
    return n;
}

static int write_all(int fd, const uint8_t *p, size_t len)
{
    while (len) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return fsync(fd) ? -errno : 0;
}

int own_file_replace(const struct own_file *f, const void *buf, size_t len, struct err *e)
{
    uint64_t chance = 0;
    char *temp;
    int fd, ret;

    if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
        chance = (uint64_t)getpid();     /* O_EXCL is what counts */
    temp = xasprintf(".%.200s.%016llx", f->name, (unsigned long long)chance);
    fd = openat(f->dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    ret = fd < 0 ? -errno : write_all(fd, buf, len);
    if (fd >= 0 && close(fd) && ret == 0)
        ret = -errno;
    if (ret == 0 && renameat(f->dir, temp, f->dir, f->name))
        ret = -errno;
    if (ret < 0 && fd >= 0)
        unlinkat(f->dir, temp, 0);
    free(temp);
    return ret < 0 ? err_set(e, ret, "%s: cannot be written: %s", f->path, strerror(-ret)) : 0;
}
