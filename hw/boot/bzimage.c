/*
 * bzimage.c - opening and checking a kernel file
 *
 * Every number in the header is a claim of the file's: all are checked against
 * the file's length and sane limits before anybody computes with them.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hw/boot/linux.h"

#define PROTOCOL_MIN   0x0206
#define PROTOCOL_2_10  0x020a      /* pref_address, init_size */
#define PROTOCOL_2_12  0x020c      /* xloadflags */
#define DEFAULT_LOAD   0x100000u
#define INIT_SIZE_MAX  (2 * GiB)

int boot_open(const char *opt, const char *path, uint64_t *len, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), code;
    struct stat st;

    if (fd < 0)
        return err_set(e, -errno, "%s %s: %s", opt, path, strerror(errno));
    if (fstat(fd, &st) < 0) {
        code = errno;
        close(fd);
        return err_set(e, -code, "%s %s: %s", opt, path, strerror(code));
    }
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(e, -EINVAL, "%s %s: not a regular file", opt, path);
    }
    *len = st.st_size;
    return fd;
}

int boot_read(int fd, void *buf, size_t len, uint64_t off)
{
    uint8_t *p = buf;

    while (len) {
        ssize_t n = pread(fd, p, len, off);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        p += n, off += n, len -= n;
    }
    return 0;
}

/* Magic, version and flags; @n bytes of the head are there. */
static int check_head(struct bzimage *k, size_t n, struct err *e)
{
    if (n < HDR_MAGIC + 4 || memcmp(k->head + HDR_MAGIC, "HdrS", 4) != 0)
        return err_set(e, -ENOEXEC, "-kernel %s: not a Linux kernel (no HdrS signature)",
                       k->path);
    if (n < sizeof k->head)
        return err_set(e, -ENOEXEC, "-kernel %s: truncated (%zu bytes)", k->path, n);
    k->version = ldl16(k->head + HDR_VERSION);
    if (ldl16(k->head + HDR_BOOT_FLAG) != 0xaa55)
        return err_set(e, -ENOEXEC, "-kernel %s: not a Linux kernel (no 55 AA boot flag)",
                       k->path);
    if (k->version < PROTOCOL_MIN)
        return err_set(e, -ENOEXEC, "-kernel %s: boot protocol %u.%02u is too old "
                       "(2.06 or newer is needed)", k->path, k->version >> 8,
                       k->version & 0xff);
    if (!(k->head[HDR_LOADFLAGS] & LOADED_HIGH))
        return err_set(e, -ENOEXEC, "-kernel %s: a zImage; only bzImage is supported",
                       k->path);
    return 0;
}

static int check_sizes(struct bzimage *k, uint64_t file_len, struct err *e)
{
    unsigned sects = k->head[HDR_SETUP_SECTS] ? k->head[HDR_SETUP_SECTS] : 4;
    uint64_t sys = (uint64_t)ldl32(k->head + HDR_SYSSIZE) * 16;

    k->setup_len = (sects + 1) * 512;
    /* syssize is rounded up to paragraphs, so the last one may be short */
    if (file_len <= k->setup_len || file_len + 15 < k->setup_len + sys || sys == 0)
        return err_set(e, -ENOEXEC, "-kernel %s: truncated (%llu of %llu bytes)", k->path,
                       (unsigned long long)file_len,
                       (unsigned long long)(k->setup_len + sys));
    if (file_len - k->setup_len > INIT_SIZE_MAX)
        return err_set(e, -EFBIG, "-kernel %s: too large", k->path);
    k->kernel_len = MIN(file_len - k->setup_len, sys);
    return 0;
}

static int read_fields(struct bzimage *k, struct err *e)
{
    const uint8_t *h = k->head;

    k->pref_address = DEFAULT_LOAD;
    k->init_size = 4ull * k->kernel_len;      /* a guess for old kernels */
    k->relocatable = h[HDR_RELOCATABLE] != 0;
    k->alignment = ldl32(h + HDR_KERNEL_ALIGNMENT);
    k->cmdline_max = ldl32(h + HDR_CMDLINE_SIZE);
    k->initrd_addr_max = ldl32(h + HDR_INITRD_ADDR_MAX);
    if (k->version >= PROTOCOL_2_10) {
        k->pref_address = ldl64(h + HDR_PREF_ADDRESS);
        k->init_size = ldl32(h + HDR_INIT_SIZE);
    }
    if (k->version >= PROTOCOL_2_12)
        k->entry64 = ldl16(h + HDR_XLOADFLAGS) & XLF_KERNEL_64;
    k->init_size = MAX(k->init_size, k->kernel_len);
    if (k->init_size > INIT_SIZE_MAX || k->pref_address > UINT32_MAX ||
        k->pref_address < DEFAULT_LOAD || (k->entry64 && k->kernel_len < 0x210))
        return err_set(e, -ENOEXEC, "-kernel %s: nonsense in the setup header", k->path);
    if (!k->alignment || (k->alignment & (k->alignment - 1)) || k->alignment < 4096)
        k->relocatable = false;
    return 0;
}

int bzimage_open(struct bzimage *k, const char *path, struct err *e)
{
    uint64_t len;
    int ret;

    memset(k, 0, sizeof *k);
    k->path = path;
    k->fd = boot_open("-kernel", path, &len, e);
    if (k->fd < 0)
        return k->fd;
    ret = boot_read(k->fd, k->head, MIN(len, sizeof k->head), 0);
    if (ret < 0)
        err_set(e, ret, "-kernel %s: %s", path, strerror(-ret));
    if (ret == 0)
        ret = check_head(k, MIN(len, sizeof k->head), e);
    if (ret == 0)
        ret = check_sizes(k, len, e);
    if (ret == 0)
        ret = read_fields(k, e);
    if (ret < 0)
        bzimage_close(k);
    return ret;
}

void bzimage_close(struct bzimage *k)
{
    if (k->fd >= 0)
        close(k->fd);
    k->fd = -1;
}
