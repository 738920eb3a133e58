/*
 * vpc.c - Virtual PC disk images (VHD), fixed and dynamic, read only
 *
 * Source: Virtual Hard Disk Image Format Specification. A footer at the end
 * (dynamic: a copy at the start too), a table of blocks, each block headed by
 * a bitmap of its sectors.
 */
#include "block/block-int.h"

#define VPC_MAX_ENTRIES (16u << 20)
#define VPC_FREE 0xffffffffu

struct vpc {
    uint32_t *bat, n, block, bitmap; /* bytes of a block and of the bitmap before it */
};

static int vpc_probe(const uint8_t *head, size_t n, uint64_t bytes)
{
    return n >= 8 && !memcmp(head, "conectix", 8) ? 100 : 0;
}

/* products that write the size; the others count in cylinders */
static bool has_size(const uint8_t *creator)
{
    static const char names[][5] = { "win ", "qem2", "d2v ", "tap\0", "CTXS", "w2k ", "vs  " };

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (!memcmp(creator, names[i], 4))
            return true;
    return false;
}

static uint64_t vpc_size(const uint8_t *foot)
{
    uint64_t chs = (uint64_t)get_be16(foot + 56) * foot[58] * foot[59];

    if (has_size(foot + 28) || chs == 65535ull * 16 * 255 || !chs)
        return get_be64(foot + 48);
    return chs * 512;
}

static int open_dynamic(struct bnode *b, struct vpc *v, const uint8_t *foot, struct err *e)
{
    uint8_t h[1024];
    uint64_t off = get_be64(foot + 16), bat;
    int r = off > BLOCK_MAX_BYTES ? -EINVAL : bfile_pread(b->file, off, h, sizeof(h));

    if (r || memcmp(h, "cxsparse", 8))
        return err_set(e, -EINVAL, "'%s': VHD dynamic header is missing", b->filename);
    bat = get_be64(h + 16);
    v->n = get_be32(h + 28);
    v->block = get_be32(h + 32);
    if (v->block < 512 || v->block > 64 * MiB || (v->block & (v->block - 1)) || v->n > VPC_MAX_ENTRIES ||
        bat > BLOCK_MAX_BYTES || b->length > (uint64_t)v->n * v->block)
        return err_set(e, -EINVAL, "'%s': VHD dynamic header out of range", b->filename);
    v->bitmap = (uint32_t)align_up(v->block / 512 / 8, 512);
    v->bat = xzalloc(MAX(v->n, 1u) * 4ull);
    r = bfile_pread(b->file, bat, v->bat, v->n * 4ull);
    for (uint32_t i = 0; i < v->n; i++)
        v->bat[i] = get_be32(&v->bat[i]);
    return r;
}

static int vpc_open(struct bnode *b, struct err *e)
{
    struct vpc *v = xzalloc(sizeof(*v));
    int64_t len = bfile_length(b->file);
    uint8_t foot[512];
    int r = bfile_pread(b->file, 0, foot, sizeof(foot));

    b->priv = v;
    if (!r && memcmp(foot, "conectix", 8) && len >= 512)
        r = bfile_pread(b->file, (uint64_t)len - 512, foot, sizeof(foot));
    if (r || memcmp(foot, "conectix", 8)) {
        r = err_set(e, -EINVAL, "'%s' is no VHD image", b->filename);
    } else {
        b->length = align_down(vpc_size(foot), 512);
        if (b->length > BLOCK_MAX_BYTES)
            r = err_set(e, -EINVAL, "'%s': VHD size out of range", b->filename);
        else if (get_be32(foot + 60) == 3)
            r = open_dynamic(b, v, foot, e);
        else if (get_be32(foot + 60) != 2)
            r = err_set(e, -ENOTSUP, "'%s': VHD images with a parent are not supported", b->filename);
    }
    if (r) {
        free(v->bat);
        free(v);
    }
    return r;
}

static int vpc_close(struct bnode *b)
{
    struct vpc *v = b->priv;

    free(v->bat);
    free(v);
    return 0;
}

static int vpc_map(struct bnode *b, uint64_t off, uint64_t max, struct block_extent *x)
{
    struct vpc *v = b->priv;
    uint64_t in;

    x->present = x->data = x->host_valid = true;
    x->len = max;
    x->host_off = off;
    if (!v->bat)
        return 0;
    in = off % v->block;
    if (off / v->block >= v->n)
        return -EIO;
    x->len = MIN(max, v->block - in);
    x->data = x->host_valid = v->bat[off / v->block] != VPC_FREE;
    x->zero = !x->data;
    x->host_off = (uint64_t)v->bat[off / v->block] * 512 + v->bitmap + in;
    return 0;
}

static void vpc_info(struct bnode *b, struct block_info *i)
{
    i->cluster_bytes = ((struct vpc *)b->priv)->block;
}

const struct block_driver vpc_driver = {
    .name = "vpc", .probe = vpc_probe, .open = vpc_open, .close = vpc_close,
    .preadv = block_read_mapped, .map = vpc_map, .info = vpc_info,
};
