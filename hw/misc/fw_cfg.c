/*
 * fw_cfg.c - firmware configuration device: selector, data port, DMA
 *
 * Read-only for the guest. Everything is big-endian where the interface's
 * specification says so (directory and DMA), little-endian elsewhere.
 */
#include <stdlib.h>
#include "hw/misc/fw_cfg.h"

#define ID_TRADITIONAL 1
#define ID_DMA         2
#define DMA_ERROR      0x01
#define DMA_READ       0x02
#define DMA_SKIP       0x04
#define DMA_SELECT     0x08
#define DMA_WRITE      0x10
#define DMA_SIGNATURE  0x51454d5520434647ull   /* "QEMU CFG" */
#define KEY_ARCH       0x8000
#define N_ARCH         8
#define PAST_END_MAX   (64 * KiB)  /* zeros that one DMA read may ask for */

struct fw_item {
    uint8_t *data;
    size_t len;
};

struct fw_file {
    char name[FW_CFG_NAME_BYTES];
    struct fw_item item;
    void (*refresh)(struct machine *m);   /* before it is read, or NULL */
};

struct fw_cfg {
    struct device dev;
    uint16_t key;
    uint32_t offset;           /* of the next byte in the selected item */
    uint64_t dma_addr;         /* high half, until the low one arrives */
    struct fw_item items[FW_CFG_FILE_FIRST], arch[N_ARCH];
    struct fw_file files[FW_CFG_MAX_FILES];   /* sorted by name */
    unsigned n_files;
};

static void be16_put(uint8_t *p, uint16_t v) { stl16(p, __builtin_bswap16(v)); }
static void be32_put(uint8_t *p, uint32_t v) { stl32(p, __builtin_bswap32(v)); }

/* ---- items ------------------------------------------------------------------------ */

static struct fw_item *item_of(struct fw_cfg *f, uint16_t key)
{
    if (key < FW_CFG_FILE_FIRST)
        return &f->items[key];
    if (key < FW_CFG_FILE_FIRST + f->n_files)
        return &f->files[key - FW_CFG_FILE_FIRST].item;
    if (key >= KEY_ARCH && key < KEY_ARCH + N_ARCH)
        return &f->arch[key - KEY_ARCH];
    return NULL;
}

void fw_cfg_give(struct fw_cfg *f, uint16_t key, void *data, size_t len)
{
    struct fw_item *it = item_of(f, key);

    assert(it);
    free(it->data);
    it->data = data;
    it->len = len;
}

void fw_cfg_add(struct fw_cfg *f, uint16_t key, const void *data, size_t len)
{
    uint8_t *copy = xmalloc(len + 1);

    memcpy(copy, data, len);
    fw_cfg_give(f, key, copy, len);
}

void fw_cfg_add_u16(struct fw_cfg *f, uint16_t key, uint16_t v)
{
    fw_cfg_add(f, key, &v, sizeof v);
}

void fw_cfg_add_u32(struct fw_cfg *f, uint16_t key, uint32_t v)
{
    fw_cfg_add(f, key, &v, sizeof v);
}

void fw_cfg_add_u64(struct fw_cfg *f, uint16_t key, uint64_t v)
{
    fw_cfg_add(f, key, &v, sizeof v);
}

void fw_cfg_add_string(struct fw_cfg *f, uint16_t key, const char *s)
{
    fw_cfg_add(f, key, s, strlen(s) + 1);
}

static void directory_update(struct fw_cfg *f)
{
    size_t len = 4 + f->n_files * 64;
    uint8_t *dir = xzalloc(len);

    be32_put(dir, f->n_files);
    for (unsigned i = 0; i < f->n_files; i++) {
        uint8_t *row = dir + 4 + i * 64;

        be32_put(row, f->files[i].item.len);
        be16_put(row + 4, FW_CFG_FILE_FIRST + i);
        memcpy(row + 8, f->files[i].name, FW_CFG_NAME_BYTES);
    }
    fw_cfg_give(f, FW_CFG_FILE_DIR, dir, len);
}

int fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, size_t len)
{
    unsigned i = 0;

    if (strlen(name) >= FW_CFG_NAME_BYTES)
        return -ENAMETOOLONG;
    while (i < f->n_files && strcmp(f->files[i].name, name) < 0)
        i++;
    if (i == f->n_files || strcmp(f->files[i].name, name) != 0) {
        if (f->n_files == FW_CFG_MAX_FILES)
            return -ENOSPC;
        memmove(&f->files[i + 1], &f->files[i], (f->n_files - i) * sizeof f->files[0]);
        memset(&f->files[i], 0, sizeof f->files[i]);
        strcpy(f->files[i].name, name);
        f->n_files++;
    }
    fw_cfg_add(f, FW_CFG_FILE_FIRST + i, data, len);
    directory_update(f);
    return FW_CFG_FILE_FIRST + i;
}

void fw_cfg_on_select(struct fw_cfg *f, const char *name, void (*refresh)(struct machine *m))
{
    for (unsigned i = 0; i < f->n_files; i++)
        if (strcmp(f->files[i].name, name) == 0)
            f->files[i].refresh = refresh;
}

const uint8_t *fw_cfg_file(struct fw_cfg *f, const char *name, size_t *len)
{
    for (unsigned i = 0; i < f->n_files; i++)
        if (strcmp(f->files[i].name, name) == 0) {
            *len = f->files[i].item.len;
            return f->files[i].item.data;
        }
    return NULL;
}

/* ---- selector and data port ---------------------------------------------------------- */

static void fw_select(struct fw_cfg *f, uint16_t key)
{
    log_ev(LOG_FWCFG, "fw_cfg select key=%#x", key);
    f->key = key & ~0x4000;      /* bit 14: write channel, which does nothing */
    f->offset = 0;
    if (f->key >= FW_CFG_FILE_FIRST && f->key < FW_CFG_FILE_FIRST + f->n_files &&
        f->files[f->key - FW_CFG_FILE_FIRST].refresh)
        f->files[f->key - FW_CFG_FILE_FIRST].refresh(f->dev.machine);
}

static size_t fw_left(struct fw_cfg *f, struct fw_item **it)
{
    *it = item_of(f, f->key);
    return *it && f->offset < (*it)->len ? (*it)->len - f->offset : 0;
}

/* Past the end the data port reads 0. */
static uint8_t fw_next_byte(struct fw_cfg *f)
{
    struct fw_item *it;

    return fw_left(f, &it) ? it->data[f->offset++] : 0;
}

static uint64_t fw_read(void *opaque, uint64_t off, unsigned size)
{
    return off == 1 ? fw_next_byte(opaque) : 0;
}

static void fw_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    if (off == 0 && size == 2)
        fw_select(opaque, val);
}

/* ---- DMA -------------------------------------------------------------------------------- */

/* Returns the control word to report: 0, or DMA_ERROR. */
static uint32_t dma_transfer(struct fw_cfg *f, uint32_t control, uint32_t len, gpa_t addr)
{
    struct machine *m = f->dev.machine;
    struct fw_item *it;
    size_t left, n;

    if (control & DMA_SELECT)
        fw_select(f, control >> 16);
    left = fw_left(f, &it);
    n = MIN(left, len);
    if ((control & DMA_WRITE) || len - n > PAST_END_MAX) {
        log_guest(LOG_FWCFG, "fw_cfg dma refused control=%#x key=%#x len=%#x left=%#zx",
                  control, f->key, len, left);
        return DMA_ERROR;
    }
    if (control & DMA_READ) {
        static const uint8_t zeros[PAST_END_MAX];

        if (n)
            dma_write(m, addr, it->data + f->offset, n);
        dma_write(m, addr + n, zeros, len - n);
    }
    if (control & (DMA_READ | DMA_SKIP))
        f->offset += n;
    return 0;
}

static void dma_run(struct fw_cfg *f, gpa_t desc)
{
    struct machine *m = f->dev.machine;
    uint8_t d[16];
    uint32_t status;

    dma_read(m, desc, d, sizeof d);
    status = dma_transfer(f, __builtin_bswap32(ldl32(d)), __builtin_bswap32(ldl32(d + 4)),
                          __builtin_bswap64(ldl64(d + 8)));
    status = __builtin_bswap32(status);
    dma_write(m, desc, &status, 4);
}

static uint64_t fw_dma_read(void *opaque, uint64_t off, unsigned size)
{
    uint64_t v = __builtin_bswap64(DMA_SIGNATURE);

    return v >> (off * 8) & size_mask(size);
}

static void fw_dma_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct fw_cfg *f = opaque;

    if (size != 4) {
        log_guest(LOG_FWCFG, "fw_cfg dma address size=%u", size);
    } else if (off == 0) {
        f->dma_addr = (uint64_t)__builtin_bswap32(val) << 32;
    } else {
        gpa_t desc = f->dma_addr | __builtin_bswap32(val);

        f->dma_addr = 0;
        dma_run(f, desc);
    }
}

static const struct io_ops fw_dma_ops = { fw_dma_read, fw_dma_write, 1, 4 };

/* ---- construction -------------------------------------------------------------------------- */

static int fw_cfg_init(struct device *d, struct err *e)
{
    struct fw_cfg *f = (struct fw_cfg *)d;

    d->machine->fw_cfg = f;
    fw_cfg_add(f, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add_u32(f, FW_CFG_ID, ID_TRADITIONAL | ID_DMA);
    directory_update(f);
    port_map(d->machine, "fw_cfg-dma", FW_CFG_DMA_PORT, 8, &fw_dma_ops, f);
    return 0;
}

static void fw_cfg_reset(struct device *d)
{
    struct fw_cfg *f = (struct fw_cfg *)d;

    fw_select(f, FW_CFG_SIGNATURE);
    f->dma_addr = 0;
}

static void fw_cfg_destroy(struct device *d)
{
    struct fw_cfg *f = (struct fw_cfg *)d;

    for (unsigned i = 0; i < ARRAY_SIZE(f->items); i++)
        free(f->items[i].data);
    for (unsigned i = 0; i < N_ARCH; i++)
        free(f->arch[i].data);
    for (unsigned i = 0; i < f->n_files; i++)
        free(f->files[i].item.data);
    d->machine->fw_cfg = NULL;
}

static const struct dev_field fw_cfg_fields[] = {
    FIELD(U16, struct fw_cfg, key),
    FIELD(U32, struct fw_cfg, offset),
    FIELD(U64, struct fw_cfg, dma_addr),
    FIELD_END
};

const struct device_type fw_cfg_type = {
    .name = "fw_cfg", .desc = "firmware configuration", .size = sizeof(struct fw_cfg),
    .init = fw_cfg_init, .reset = fw_cfg_reset, .destroy = fw_cfg_destroy,
    .fields = fw_cfg_fields,
    .io = { .len = 2, .ops = { fw_read, fw_write, 1, 2 } },
};
