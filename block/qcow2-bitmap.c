/*
 * qcow2-bitmap.c - dirty bitmaps in an image: looked at, and kept out of harm's way
 *
 * We do not record writes in them. An image that is opened for writing gets them
 * marked "in use", which is what the specification has for bitmaps that were not
 * saved: other programs then know that they say nothing, and whose clusters
 * they are.
 * Source: the qcow2 specification, "Bitmaps extension".
 */
#define _GNU_SOURCE 1
#include "block/qcow2.h"

#define MAX_DIR_BYTES (64 * MiB)
#define ENTRY_BYTES 24u
#define ENTRY_FLAGS 12u

/* the directory's place, from the header extension; 0 bytes: none */
static void find_directory(const struct q2 *q, uint64_t *off, uint64_t *len)
{
    const uint8_t *p = q->other_ext;
    uint32_t left = q->other_ext_bytes;

    *off = *len = 0;
    while (left >= 8 && (q->autoclear & Q2_AUTO_BITMAPS)) {
        uint32_t n = get_be32(p + 4), step = 8 + (uint32_t)align_up(n, 8);
        if (get_be32(p) == Q2_EXT_BITMAPS && n >= 24 && left >= 32) {
            *len = get_be64(p + 16);
            *off = get_be64(p + 24);
            return;
        }
        if (step > left)
            return;
        p += step;
        left -= step;
    }
}

static int parse(const uint8_t *dir, uint64_t len, struct q2_bitmaps *b)
{
    uint64_t next;

    for (uint64_t at = 0; at < len; at = next) {
        struct q2_bitmap *m;
        uint64_t name_at;
        uint16_t name_len;
        if (len - at < ENTRY_BYTES || b->n == Q2_MAX_BITMAPS)
            return -EINVAL;
        name_len = get_be16(dir + at + 18);
        name_at = at + ENTRY_BYTES + get_be32(dir + at + 20);
        next = align_up(name_at + name_len, 8);
        if (next > len || name_len > Q2_BITMAP_NAME)
            return -EINVAL;
        b->map = xrealloc(b->map, (b->n + 1) * sizeof(*b->map));
        m = &b->map[b->n++];
        *m = (struct q2_bitmap){ .table_off = get_be64(dir + at), .table_n = get_be32(dir + at + 8),
                                 .flags = get_be32(dir + at + ENTRY_FLAGS), .flags_at = b->off + at + ENTRY_FLAGS,
                                 .type = dir[at + 16], .granularity_bits = dir[at + 17] };
        memcpy(m->name, dir + name_at, name_len);
    }
    return 0;
}

int q2_bitmaps_load(struct q2 *q, struct q2_bitmaps *b)
{
    int64_t file = bfile_length(q->f);
    uint8_t *dir;
    int r;

    memset(b, 0, sizeof(*b));
    find_directory(q, &b->off, &b->bytes);
    if (!b->bytes)
        return 0;
    if (b->bytes > MAX_DIR_BYTES || file < 0 || b->off > (uint64_t)file || b->bytes > (uint64_t)file - b->off)
        return -EINVAL;
    dir = malloc(b->bytes);
    if (!dir)
        return -ENOMEM;
    r = bfile_pread(q->f, b->off, dir, b->bytes);
    r = r ? r : parse(dir, b->bytes, b);
    free(dir);
    if (r)
        q2_bitmaps_free(b);
    return r;
}

void q2_bitmaps_free(struct q2_bitmaps *b)
{
    free(b->map);
    b->map = NULL;
    b->n = 0;
}

int q2_bitmaps_give_up(struct q2 *q)
{
    struct q2_bitmaps b;
    int r = q2_bitmaps_load(q, &b);

    for (unsigned i = 0; i < b.n && !r; i++) {
        uint8_t flags[4];
        put_be32(flags, b.map[i].flags | Q2_BITMAP_IN_USE);
        if (!(b.map[i].flags & Q2_BITMAP_IN_USE))
            r = bfile_pwrite(q->f, b.map[i].flags_at, flags, 4);
    }
    r = r || !b.n ? r : bfile_flush(q->f);
    q2_bitmaps_free(&b);
    return r;
}
