/*
 * ram.c - the host memory behind guest RAM: anonymous, or of a file or a file system (-mem-path)
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "hw/hw-int.h"

#define HUGE_PAGE        (2 * MiB)
#define HUGETLBFS_MAGIC  0x958458f6
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23   /* Linux 5.14 */
#endif

/* Anonymous memory aligned so that the host can back it with huge pages. */
static uint8_t *map_anonymous(uint64_t bytes)
{
    uint64_t span = bytes + HUGE_PAGE;
    uint8_t *p, *ram;

    if (span < bytes || span > SIZE_MAX / 2) {
        errno = ENOMEM;
        return NULL;
    }
    p = mmap(NULL, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    ram = (uint8_t *)align_up((uintptr_t)p, HUGE_PAGE);
    if (ram > p)
        munmap(p, ram - p);
    if (p + span > ram + bytes)
        munmap(ram + bytes, p + span - (ram + bytes));
    madvise(ram, bytes, MADV_HUGEPAGE);    /* a hint; refusal is no error */
    return ram;
}

/* Of a file in memory. */
static uint8_t *map_shared(struct machine *m, uint64_t bytes)
{
    int fd = memfd_create("transom-ram", MFD_CLOEXEC);
    void *p = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
        p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    m->ram_fd = fd;
    return p;
}

/* ---- -mem-path ---------------------------------------------------------------------- */

/* A file of its own in a directory, without a name; or the file itself. */
static int open_path(const char *path, bool dir)
{
    char *name;
    int fd;

    if (!dir)
        return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    name = xasprintf("%s/transom-ram-XXXXXX", path);
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    free(name);
    return fd;
}

static uint8_t *map_path(struct machine *m, uint64_t *bytes, struct err *e)
{
    const char *path = m->cfg.mem_path;
    struct statfs fs;
    struct stat st;
    bool huge;
    void *p;
    int fd = open_path(path, stat(path, &st) == 0 && S_ISDIR(st.st_mode));

    if (fd < 0 || fstatfs(fd, &fs) < 0) {
        err_set(e, -errno, "-mem-path %s: %s", path, strerror(errno));
        goto fail;
    }
    huge = (uint32_t)fs.f_type == HUGETLBFS_MAGIC;
    if (huge && *bytes % (uint64_t)fs.f_bsize) {
        err_set(e, -EINVAL, "-mem-path %s: RAM of %llu MiB is no multiple of its pages of %llu MiB", path,
                (unsigned long long)(*bytes / MiB), (unsigned long long)fs.f_bsize / MiB);
        goto fail;
    }
    if (fstat(fd, &st) < 0 || ((uint64_t)st.st_size < *bytes && ftruncate(fd, (off_t)*bytes) < 0)) {
        err_set(e, -errno, "-mem-path %s: %s", path, strerror(errno));
        goto fail;
    }
    p = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
        err_set(e, -errno, "-mem-path %s: cannot get %llu MiB of %s: %s", path,
                (unsigned long long)(*bytes / MiB), huge ? "huge pages" : "memory", strerror(errno));
        goto fail;
    }
    m->ram_fd = fd;
    return p;
fail:
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* ---- all of it ------------------------------------------------------------------------- */

/* Kernels that cannot do it as a whole get each page touched. */
static int preallocate(uint8_t *ram, uint64_t bytes, struct err *e)
{
    if (madvise(ram, bytes, MADV_POPULATE_WRITE) == 0)
        return 0;
    if (errno != EINVAL)
        return err_set(e, -errno, "-mem-prealloc: cannot get all %llu MiB of guest RAM: %s",
                       (unsigned long long)(bytes / MiB), strerror(errno));
    for (uint64_t at = 0; at < bytes; at += 4096)
        ((volatile uint8_t *)ram)[at] = 0;
    return 0;
}

uint8_t *ram_map(struct machine *m, uint64_t bytes, struct err *e)
{
    uint8_t *ram = m->cfg.mem_path ? map_path(m, &bytes, e)
                   : m->cfg.mem_shared ? map_shared(m, bytes) : map_anonymous(bytes);

    if (!ram && !m->cfg.mem_path)
        err_set(e, -ENOMEM, "-m: cannot get %llu MiB of guest RAM: %s",
                (unsigned long long)(bytes / MiB), strerror(errno));
    if (!ram)
        return NULL;
    madvise(ram, bytes, MADV_DONTFORK);
    if (!m->cfg.no_mem_merge)
        madvise(ram, bytes, MADV_MERGEABLE);   /* for KSM, where it runs */
    if (m->cfg.mem_prealloc && preallocate(ram, bytes, e) < 0) {
        munmap(ram, bytes);
        if (m->ram_fd >= 0)
            close(m->ram_fd);
        return NULL;
    }
    return ram;
}

void ram_unmap(struct machine *m)
{
    munmap(m->ram, m->cfg.ram_bytes);
    if (m->ram_fd >= 0)
        close(m->ram_fd);
}

void ram_discard(struct machine *m, gpa_t gpa, uint64_t len)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    for (uint64_t n; len; gpa += n, len -= n) {
        const struct mem_flat *f = mem_find(&m->mem, gpa);
        uint8_t *host;
        uint64_t skip;

        n = f ? MIN(len, f->base + f->len - gpa) : MIN(len, page - gpa % page);
        host = f ? mem_host(&m->mem, gpa, &n, true) : NULL;
        if (!host || host < m->ram || host >= m->ram + m->cfg.ram_bytes)
            continue;
        skip = align_up((uintptr_t)host, page) - (uintptr_t)host;
        if (skip >= n || (n - skip) / page == 0)
            continue;
        if (madvise(host + skip, (n - skip) / page * page, MADV_DONTNEED) == 0)
            mem_dirtied(&m->mem, gpa + skip, (n - skip) / page * page);
    }
}
