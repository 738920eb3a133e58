/*
 * vdi.c - VirtualBox disk images, read only
 *
 * A header, a map of 32-bit block numbers, then the blocks.
 */
#include "block/block-int.h"

#define VDI_SIGNATURE 0xbeda107fu
#define VDI_FREE 0xfffffffeu      /* this and above: no block, reads as zeroes */
#define VDI_MAX_BLOCKS (32u << 20)

struct vdi {
    uint32_t *map, n;
    uint32_t data_off, block;     /* bytes */
};

static int vdi_probe(const uint8_t *head, size_t n, uint64_t bytes)
{
    return n >= 512 && ldl32(head + 64) == VDI_SIGNATURE ? 100 : 0;
}

static int vdi_open(struct bnode *b, struct err *e)
{
    struct vdi *v = xzalloc(sizeof(*v));
    uint8_t h[512];
    uint32_t map_off, type;
    uint64_t size;
    int r = bfile_pread(b->file, 0, h, sizeof(h));

    b->priv = v;
    type = ldl32(h + 76);
    map_off = ldl32(h + 340);
    v->data_off = ldl32(h + 344);
    size = ldl64(h + 368);
    v->block = ldl32(h + 376);
    v->n = ldl32(h + 384);
    if (r)
        err_set(e, r, "Could not read '%s': %s", b->filename, strerror(-r));
    else if (ldl32(h + 64) != VDI_SIGNATURE || ldl32(h + 68) >> 16 != 1)
        r = err_set(e, -EINVAL, "'%s' is no VDI image of version 1", b->filename);
    else if (type != 1 && type != 2)
        r = err_set(e, -ENOTSUP, "'%s': VDI images with a parent are not supported", b->filename);
    else if (v->block < 4096 || v->block > 64 * MiB || (v->block & (v->block - 1)) ||
             v->n > VDI_MAX_BLOCKS || size > (uint64_t)v->n * v->block || size > BLOCK_MAX_BYTES)
        r = err_set(e, -EINVAL, "'%s': VDI header out of range", b->filename);
    if (!r) {
        v->map = xzalloc(MAX(v->n, 1u) * 4ull);
        r = bfile_pread(b->file, map_off, v->map, v->n * 4ull);
        b->length = align_up(size, 512);
        b->length = MIN(b->length, (uint64_t)v->n * v->block);
    }
    if (r) {
        free(v->map);
        free(v);
    }
    return r;
}

static int vdi_close(struct bnode *b)
{
    struct vdi *v = b->priv;

    free(v->map);
    free(v);
    return 0;
}

static int vdi_map(struct bnode *b, uint64_t off, uint64_t max, struct block_extent *x)
{
    struct vdi *v = b->priv;
    uint64_t i = off / v->block, in = off % v->block;

    x->len = MIN(max, v->block - in);
    x->present = true;
    if (i >= v->n)
        return -EIO;
    x->data = v->map[i] < VDI_FREE;
    x->zero = !x->data;
    x->host_valid = x->data;
    x->host_off = v->data_off + (uint64_t)v->map[i] * v->block + in;
    return 0;
}

/** block_read_mapped() - preadv for formats whose map() tells all */
int block_read_mapped(struct bnode *b, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len)
{
    struct iovec tmp[BLOCK_MAX_IOV];
    uint64_t at = 0;
    int r = 0;

    while (at < len && !r) {
        struct block_extent x = { 0 };
        r = b->drv->map(b, off + at, len - at, &x);
        if (r)
            break;
        x.len = MIN(x.len, len - at);
        if (x.data)
            r = bfile_preadv(b->file, x.host_off, tmp, iov_slice(tmp, iov, n, at, x.len));
        else if (x.present || !b->backing)
            iov_zero(iov, n, at, x.len);
        else
            r = bnode_preadv(b->backing, off + at, tmp, iov_slice(tmp, iov, n, at, x.len), x.len);
        at += x.len;
    }
    return r;
}

static void vdi_info(struct bnode *b, struct block_info *i)
{
    i->cluster_bytes = ((struct vdi *)b->priv)->block;
}

int block_check_mapped(struct bnode *b, unsigned fix, struct block_check *c, struct err *e)
{
    struct block_extent x = { 0 };

    for (uint64_t at = 0; at < b->length && !c->corruptions; at += x.len)
        if (b->drv->map(b, at, b->length - at, &x) || !x.len)
            c->corruptions++;
    if (c->corruptions && c->say)
        c->say("ERROR: a table points past the end of the file, or cannot be read");
    return fix && c->corruptions ? err_set(e, -ENOTSUP, "Images of format '%s' cannot be repaired", b->drv->name) : 0;
}

const struct block_driver vdi_driver = {
    .name = "vdi", .probe = vdi_probe, .open = vdi_open, .close = vdi_close,
    .preadv = block_read_mapped, .map = vdi_map, .info = vdi_info,
    .check = block_check_mapped,
};
