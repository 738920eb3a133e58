/*
 * vmdk.c - VMware disk images, read only
 *
 * Sparse extents (a grain directory, grain tables, grains that may be
 * deflated) and text descriptors that list extents. Extents and parents are
 * plain local files; with no_io they are not opened, only added up.
 * Source: VMware Virtual Disk Format 5.0.
 */
#define _GNU_SOURCE 1
#ifdef CONFIG_ZLIB
#include <zlib.h>
#endif
#include "block/block-int.h"

#define VMDK_MAX_EXTENTS 256
#define VMDK_MAX_DESC (64 * KiB)
#define VMDK_MAX_GTES (32ull << 20)  /* grain table entries kept: 128 MiB */
#define VMDK_ZERO_GTE (1u << 2)
#define VMDK_COMPRESSED (1u << 16)

struct extent {
    struct bfile *f;
    bool own;                    /* close f */
    bool flat, zero, compressed, zero_gte;
    uint64_t start, bytes;       /* of the disk */
    uint64_t off;                /* flat: in f */
    uint64_t grain;              /* bytes */
    uint32_t *gt;                /* sector of each grain */
    uint64_t n_gt;
};

struct vmdk {
    struct extent x[VMDK_MAX_EXTENTS];
    unsigned n;
    uint64_t n_gtes;             /* of all extents */
};

static int vmdk_probe(const uint8_t *head, size_t n, uint64_t bytes)
{
    if (n >= 512 && !memcmp(head, "KDMV", 4))
        return 100;
    return n >= 512 && memmem(head, 512, "# Disk DescriptorFile", 21) ? 100 : 0;
}

/* every grain table, one behind the other */
static int load_tables(struct bnode *b, struct extent *x, uint64_t gd_off, uint32_t per, struct err *e)
{
    uint64_t n = x->n_gt, dirs = (n + per - 1) / per;
    uint32_t *gd = xzalloc(dirs * 4 + 4);
    int r = bfile_pread(x->f, gd_off, gd, dirs * 4);

    x->gt = xzalloc(n * 4 + 4);
    for (uint64_t i = 0; i < dirs && !r; i++)
        if (gd[i])
            r = bfile_pread(x->f, (uint64_t)gd[i] * 512, x->gt + i * per, MIN(per, n - i * per) * 4);
    free(gd);
    return r ? err_set(e, r, "Could not read the grain tables of '%s': %s", b->filename, strerror(-r)) : 0;
}

/* a sparse extent in @x->f; its capacity is added to the disk */
static int open_sparse(struct bnode *b, struct extent *x, struct err *e)
{
    struct vmdk *v = b->priv;
    uint8_t h[512];
    int64_t len = bfile_length(x->f);
    uint32_t flags, per;
    uint64_t gd;
    int r = bfile_pread(x->f, 0, h, sizeof(h));

    if (!r && ldl64(h + 56) == UINT64_MAX && len >= 1024) /* the real header is at the end */
        r = bfile_pread(x->f, (uint64_t)len - 1024, h, sizeof(h));
    if (r || memcmp(h, "KDMV", 4))
        return err_set(e, -EINVAL, "'%s' is no VMDK sparse extent", x->f->path);
    flags = ldl32(h + 8);
    x->bytes = ldl64(h + 12);
    x->grain = ldl64(h + 20);
    per = ldl32(h + 44);
    gd = ldl64(h + 56);
    x->compressed = flags & VMDK_COMPRESSED;
    x->zero_gte = flags & VMDK_ZERO_GTE;
    if (x->bytes > BLOCK_MAX_BYTES / 512 || !x->grain || x->grain > 16384 || (x->grain & (x->grain - 1)) ||
        !per || per > 65536 || gd > BLOCK_MAX_BYTES / 512)
        return err_set(e, -EINVAL, "'%s': VMDK header out of range", x->f->path);
    x->bytes *= 512;
    x->grain *= 512;
    x->n_gt = (x->bytes + x->grain - 1) / x->grain;
    /* over all extents, and not in more pieces than such a disk has */
    v->n_gtes += x->n_gt;
    if (v->n_gtes > VMDK_MAX_GTES || x->n_gt / per > 128 * KiB)
        return err_set(e, -EFBIG, "'%s': VMDK grain tables are too large", x->f->path);
    return b->opts.no_io ? 0 : load_tables(b, x, gd * 512, per, e);
}

/* the value of KEY="value" or KEY=value in a descriptor; caller frees */
static char *desc_value(const char *desc, const char *key)
{
    const char *p = desc;
    size_t n = strlen(key);

    while ((p = strstr(p, key))) {
        if ((p == desc || p[-1] == '\n') && p[n] == '=') {
            p += n + 1;
            p += *p == '"';
            return strndup(p, strcspn(p, "\"\r\n"));
        }
        p += n;
    }
    return NULL;
}

static void find_parent(struct bnode *b, const char *desc)
{
    char *cid = desc_value(desc, "parentCID");

    if (cid && strcmp(cid, "ffffffff") && (b->backing_file = desc_value(desc, "parentFileNameHint")))
        b->backing_fmt = xstrdup("vmdk");
    free(cid);
}

/* one line "RW 4192256 FLAT "name" 0" */
static int add_extent(struct bnode *b, struct vmdk *v, const char *line, struct err *e)
{
    struct extent *x = &v->x[v->n];
    unsigned long long sectors, off = 0;
    char access[16], type[16], name[512] = "", *path;
    struct block_opts o;
    int k = sscanf(line, "%15s %llu %15s \"%511[^\"]\" %llu", access, &sectors, type, name, &off), r = 0;

    if (k < 3 || (strcmp(access, "RW") && strcmp(access, "RDONLY") && strcmp(access, "NOACCESS")))
        return 0;
    if (v->n == VMDK_MAX_EXTENTS || sectors > BLOCK_MAX_BYTES / 512 || off > BLOCK_MAX_BYTES / 512)
        return err_set(e, -EINVAL, "'%s': too many or too large extents", b->filename);
    x->bytes = sectors * 512;
    x->off = off * 512;
    x->zero = !strcmp(type, "ZERO");
    x->flat = !strcmp(type, "FLAT") || !strcmp(type, "VMFS");
    if (!x->zero && !x->flat && strcmp(type, "SPARSE"))
        return err_set(e, -ENOTSUP, "'%s': VMDK extents of type %s are not supported", b->filename, type);
    v->n++;
    if (x->zero || b->opts.no_io)
        return 0;
    path = k >= 4 ? backing_path(b->filename, name, e) : NULL;
    if (!path)
        return e && e->msg[0] ? -EINVAL : err_set(e, -EINVAL, "'%s': an extent has no name", b->filename);
    block_opts_init(&o);
    o.cache = b->opts.cache;
    o.force_share = b->opts.force_share;
    x->f = bfile_open(path, &o, false, &r, e);
    x->own = true;
    free(path);
    if (x->f && !x->flat) {
        uint64_t want = x->bytes;
        r = open_sparse(b, x, e);
        if (!r && x->bytes < want)
            r = err_set(e, -EINVAL, "'%s': extent is smaller than its descriptor says", name);
        x->bytes = want;
    }
    return r;
}

static int open_desc(struct bnode *b, struct vmdk *v, char *desc, struct err *e)
{
    char *save = NULL, *type = desc_value(desc, "createType");
    int r = 0;

    free(type);
    find_parent(b, desc);
    for (char *line = strtok_r(desc, "\r\n", &save); line && !r; line = strtok_r(NULL, "\r\n", &save))
        r = add_extent(b, v, line, e);
    return r ? r : v->n ? 0 : err_set(e, -EINVAL, "'%s': no extents", b->filename);
}

static int vmdk_close(struct bnode *b)
{
    struct vmdk *v = b->priv;

    for (unsigned i = 0; i < v->n; i++) {
        free(v->x[i].gt);
        if (v->x[i].own)
            bfile_close(v->x[i].f);
    }
    free(v);
    return 0;
}

/* a sparse file that holds its own descriptor: parent, if any */
static void embedded_desc(struct bnode *b, const uint8_t *h)
{
    uint64_t off = ldl64(h + 28), n = ldl64(h + 36);
    char *desc;

    if (!off || !n || off > BLOCK_MAX_BYTES / 512 || n > VMDK_MAX_DESC / 512)
        return;
    desc = xzalloc(n * 512 + 1);
    if (!bfile_pread(b->file, off * 512, desc, n * 512))
        find_parent(b, desc);
    free(desc);
}

static int vmdk_open(struct bnode *b, struct err *e)
{
    struct vmdk *v = xzalloc(sizeof(*v));
    int64_t len = bfile_length(b->file);
    uint8_t h[512];
    int r = bfile_pread(b->file, 0, h, sizeof(h));

    b->priv = v;
    if (!r && !memcmp(h, "KDMV", 4)) {
        v->x[0].f = b->file;
        v->n = 1;
        r = open_sparse(b, &v->x[0], e);
        embedded_desc(b, h);
    } else if (!r && len > 0) {
        uint64_t n = MIN((uint64_t)len, VMDK_MAX_DESC);
        char *desc = xzalloc(n + 1);
        r = bfile_pread(b->file, 0, desc, n);
        r = r ? r : strstr(desc, "# Disk DescriptorFile") ? open_desc(b, v, desc, e)
              : err_set(e, -EINVAL, "'%s' is no VMDK image", b->filename);
        free(desc);
    } else if (!r) {
        r = err_set(e, -EINVAL, "'%s' is no VMDK image", b->filename);
    }
    for (unsigned i = 0; i < v->n && !r; i++) {
        v->x[i].start = b->length;
        b->length += v->x[i].bytes;
        if (b->length > BLOCK_MAX_BYTES)
            r = err_set(e, -EINVAL, "'%s': size out of range", b->filename);
    }
    if (r)
        vmdk_close(b);
    return r;
}

static struct extent *extent_at(struct vmdk *v, uint64_t off)
{
    for (unsigned i = 0; i < v->n; i++)
        if (off - v->x[i].start < v->x[i].bytes)
            return &v->x[i];
    return NULL;
}

static int vmdk_map(struct bnode *b, uint64_t off, uint64_t max, struct block_extent *x)
{
    struct extent *ex = extent_at(b->priv, off);
    uint64_t in, g;

    if (!ex)
        return -EIO;
    in = off - ex->start;
    x->len = MIN(max, ex->bytes - in);
    x->present = true;
    if (ex->zero || (!ex->f && b->opts.no_io)) {
        x->zero = true;
        return 0;
    }
    x->file = ex->f->path;
    if (ex->flat) {
        x->data = x->host_valid = true;
        x->host_off = ex->off + in;
        return 0;
    }
    if (!ex->gt)
        return -EIO;
    g = in / ex->grain;
    x->len = MIN(x->len, ex->grain - in % ex->grain);
    x->zero = ex->zero_gte && ex->gt[g] == 1;
    x->present = x->zero || ex->gt[g];
    x->data = x->present && !x->zero;
    x->compressed = x->data && ex->compressed;
    x->host_valid = x->data && !ex->compressed;
    x->host_off = x->data ? (uint64_t)ex->gt[g] * 512 + (ex->compressed ? 0 : in % ex->grain) : 0;
    return 0;
}

/* a deflated grain at @host: 12 bytes (sector, length), then a zlib stream */
static int read_grain(struct extent *x, uint64_t host, uint8_t *out)
{
#ifdef CONFIG_ZLIB
    uint8_t h[12], *in;
    uLongf got = x->grain;
    uint32_t n;
    int r = bfile_pread(x->f, host, h, sizeof(h));

    n = ldl32(h + 8);
    if (r || !n || n > 2 * x->grain + 4096)
        return r ? r : -EIO;
    in = xmalloc(n);
    r = bfile_pread(x->f, host + 12, in, n);
    if (!r && uncompress(out, &got, in, n) != Z_OK)
        r = -EIO;
    if (!r && got < x->grain)
        memset(out + got, 0, x->grain - got);
    free(in);
    return r;
#else
    return -ENOTSUP;
#endif
}

static int vmdk_preadv(struct bnode *b, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len)
{
    struct iovec tmp[BLOCK_MAX_IOV];
    uint64_t at = 0;
    int r = 0;

    while (at < len && !r) {
        struct block_extent m = { 0 };
        struct extent *x = extent_at(b->priv, off + at);
        r = vmdk_map(b, off + at, len - at, &m);
        if (r)
            break;
        if (m.compressed) {
            uint8_t *buf = xmalloc(x->grain);
            r = read_grain(x, m.host_off, buf);
            if (!r)
                iov_from_buf(iov, n, at, buf + (off + at - x->start) % x->grain, m.len);
            free(buf);
        } else if (m.data) {
            r = bfile_preadv(x->f, m.host_off, tmp, iov_slice(tmp, iov, n, at, m.len));
        } else if (m.present || !b->backing) {
            iov_zero(iov, n, at, m.len);
        } else {
            r = bnode_preadv(b->backing, off + at, tmp, iov_slice(tmp, iov, n, at, m.len), m.len);
        }
        at += m.len;
    }
    return r;
}

static void vmdk_info(struct bnode *b, struct block_info *i)
{
    struct vmdk *v = b->priv;

    i->cluster_bytes = (uint32_t)v->x[0].grain;
}

const struct block_driver vmdk_driver = {
    .name = "vmdk", .probe = vmdk_probe, .open = vmdk_open, .close = vmdk_close,
    .preadv = vmdk_preadv, .map = vmdk_map, .info = vmdk_info,
    .check = block_check_mapped,
};
