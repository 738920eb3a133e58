/*
 * ata.c - ATA commands and identification
 */
#include "hw/disk/ata.h"

static const struct ata_op ops[] = {
    /* code  move          ext    multi  fua    ncq */
    { 0x20, ATA_PIO_IN,  false, false, false, false }, /* READ SECTOR(S) */
    { 0x21, ATA_PIO_IN,  false, false, false, false }, /* without retry */
    { 0x24, ATA_PIO_IN,  true,  false, false, false }, /* READ SECTOR(S) EXT */
    { 0x25, ATA_DMA_IN,  true,  false, false, false }, /* READ DMA EXT */
    { 0x29, ATA_PIO_IN,  true,  true,  false, false }, /* READ MULTIPLE EXT */
    { 0x30, ATA_PIO_OUT, false, false, false, false }, /* WRITE SECTOR(S) */
    { 0x31, ATA_PIO_OUT, false, false, false, false },
    { 0x34, ATA_PIO_OUT, true,  false, false, false }, /* WRITE SECTOR(S) EXT */
    { 0x35, ATA_DMA_OUT, true,  false, false, false }, /* WRITE DMA EXT */
    { 0x39, ATA_PIO_OUT, true,  true,  false, false }, /* WRITE MULTIPLE EXT */
    { 0x3d, ATA_DMA_OUT, true,  false, true,  false }, /* WRITE DMA FUA EXT */
    { 0x40, ATA_NO_DATA, false, false, false, false }, /* READ VERIFY */
    { 0x41, ATA_NO_DATA, false, false, false, false },
    { 0x42, ATA_NO_DATA, true,  false, false, false }, /* READ VERIFY EXT */
    { 0x60, ATA_DMA_IN,  true,  false, false, true  }, /* READ FPDMA QUEUED */
    { 0x61, ATA_DMA_OUT, true,  false, false, true  }, /* WRITE FPDMA QUEUED */
    { 0xc4, ATA_PIO_IN,  false, true,  false, false }, /* READ MULTIPLE */
    { 0xc5, ATA_PIO_OUT, false, true,  false, false }, /* WRITE MULTIPLE */
    { 0xc8, ATA_DMA_IN,  false, false, false, false }, /* READ DMA */
    { 0xc9, ATA_DMA_IN,  false, false, false, false },
    { 0xca, ATA_DMA_OUT, false, false, false, false }, /* WRITE DMA */
    { 0xcb, ATA_DMA_OUT, false, false, false, false },
    { 0xce, ATA_PIO_OUT, true,  true,  true,  false }, /* WRITE MULTIPLE FUA EXT */
};

const struct ata_op *ata_op(uint8_t code)
{
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
        if (ops[i].code == code)
            return &ops[i];
    return NULL;
}

bool ata_is_flush(uint8_t code)
{
    return code == 0xe7 || code == 0xea;
}

/* ---- attaching, reset -------------------------------------------------------------- */

static void medium_changed(void *opaque)
{
    struct ata_dev *d = opaque;

    if (d->cd)
        atapi_medium(d);
}

int ata_attach(struct ata_dev *d, struct device *owner, struct err *e)
{
    int ret;

    d->owner = owner;
    if (!d->cd && !block_present(d->drive->blk))
        return err_set(e, -ENOMEDIUM, "%s: drive '%s' is empty, and a hard disk cannot be",
                       owner->type->name, d->drive->id);
    if (!d->cd && block_readonly(d->drive->blk))
        return err_set(e, -EROFS, "%s: drive '%s' is read-only, and a hard disk cannot be",
                       owner->type->name, d->drive->id);
    d->atapi.present = block_present(d->drive->blk);
    ret = drive_claim(d->drive, owner, medium_changed, d, e);
    if (ret == 0 && d->cd)
        d->drive->tray = &atapi_tray;
    return ret;
}

/* 16 heads, 63 sectors: what BIOSes of all ages can translate. */
static void default_geometry(struct ata_dev *d)
{
    d->heads = 16;
    d->sectors = 63;
}

void ata_dev_reset(struct ata_dev *d)
{
    default_geometry(d);
    d->mult = ATA_MULT_MAX;
    d->udma = d->cd ? 2 : 5;
    d->mdma = 0xff;
    d->atapi.key = d->atapi.asc = d->atapi.ascq = 0;
    d->atapi.locked = false;
    d->atapi.event = 0;
    d->atapi.changed = d->cd && d->drive && block_present(d->drive->blk);
    if (d->drive && !d->cd)
        block_set_write_cache(d->drive->blk,
                              block_options(d->drive->blk)->cache != BLOCK_CACHE_WRITETHROUGH &&
                              block_options(d->drive->blk)->cache != BLOCK_CACHE_DIRECTSYNC);
}

void ata_signature(const struct ata_dev *d, struct ata_tf *tf)
{
    uint8_t device = tf->device & ATA_DEV_SELECT;

    memset(tf, 0, sizeof *tf);
    tf->device = device;
    tf->count[0] = tf->lba_low[0] = 1;
    if (d->cd) {
        tf->lba_mid[0] = 0x14;
        tf->lba_high[0] = 0xeb;
    }
}

/* ---- identification ------------------------------------------------------------------ */

/* ATA strings: blanks behind, bytes of each word swapped. */
static void put_string(uint8_t *buf, unsigned word, unsigned len, const char *s)
{
    for (unsigned i = 0; i < len; i++) {
        char c = *s ? *s++ : ' ';

        buf[word * 2 + (i ^ 1)] = c;
    }
}

static void put_word(uint8_t *buf, unsigned word, uint16_t v)
{
    stl16(buf + word * 2, v);
}

static void put_names(const struct ata_dev *d, uint8_t *buf)
{
    char serial[24];
    const char *s = d->serial ? d->serial : d->drive->serial;

    snprintf(serial, sizeof serial, "TM%05u", d->unit + 1);
    put_string(buf, 10, 20, s ? s : serial);
    put_string(buf, 23, 8, d->ver ? d->ver : "1.0");
    put_string(buf, 27, 40, d->model ? d->model : d->cd ? "TRANSOM DVD-ROM" : "TRANSOM HARDDISK");
}

static void put_modes(const struct ata_dev *d, uint8_t *buf)
{
    put_word(buf, 53, 7);                       /* words 54-58, 64-70, 88 valid */
    put_word(buf, 63, 7 | (d->mdma < 3 ? 0x100 << d->mdma : 0));
    put_word(buf, 64, 3);                       /* PIO 3, 4 */
    for (unsigned w = 65; w <= 68; w++)
        put_word(buf, w, 120);                  /* ns a cycle */
    put_word(buf, 88, (d->cd ? 0x07 : 0x3f) | (d->udma < 6 ? 0x100 << d->udma : 0));
    if (!d->sata)
        put_word(buf, 93, 0x6001);              /* 80-conductor cable seen */
}

static void identify_packet(const struct ata_dev *d, uint8_t *buf)
{
    put_word(buf, 0, 0x85c0);                   /* ATAPI CD-ROM, removable, 12-byte packets */
    put_word(buf, 49, 0x0b00);                  /* LBA, DMA */
    put_word(buf, 80, 0x7e);
    put_word(buf, 81, 0x16);
    put_word(buf, 82, 0x4210);                  /* NOP, DEVICE RESET, PACKET */
    put_word(buf, 83, 0x4000);
    put_word(buf, 84, 0x4000);
    put_word(buf, 85, 0x4210);
    put_word(buf, 87, 0x4000);
}

static void put_geometry(const struct ata_dev *d, uint8_t *buf, uint64_t total)
{
    uint64_t cyl = MIN(total / (16 * 63), 16383u);
    uint64_t now = MIN(total / (d->heads * d->sectors), 65535u), chs;

    put_word(buf, 1, cyl);
    put_word(buf, 3, 16);
    put_word(buf, 6, 63);
    put_word(buf, 54, now);
    put_word(buf, 55, d->heads);
    put_word(buf, 56, d->sectors);
    chs = now * d->heads * d->sectors;
    put_word(buf, 57, chs);
    put_word(buf, 58, chs >> 16);
    total = MIN(total, ATA_LBA28_MAX);
    put_word(buf, 60, total);
    put_word(buf, 61, total >> 16);
}

static bool discards(const struct ata_dev *d)
{
    return !d->cd && block_options(d->drive->blk)->discard;
}

static void identify_disk(const struct ata_dev *d, uint8_t *buf)
{
    uint64_t total = drive_sectors(d->drive);
    bool cache = block_write_cache(d->drive->blk);

    put_word(buf, 0, 0x0040);
    put_geometry(d, buf, total);
    put_word(buf, 47, 0x8000 | ATA_MULT_MAX);
    put_word(buf, 48, 1);                       /* 32-bit PIO */
    put_word(buf, 49, 0x0f00);                  /* LBA, DMA, IORDY */
    put_word(buf, 50, 0x4000);
    put_word(buf, 59, d->mult ? 0x100 | d->mult : 0);
    if (d->ncq_depth) {
        put_word(buf, 75, d->ncq_depth - 1);
        put_word(buf, 76, 0x0106);              /* NCQ, generations 1 and 2 */
    }
    put_word(buf, 80, discards(d) ? 0x1f0 : 0xf0);  /* ATA-4 to ATA-7, ATA8-ACS */
    put_word(buf, 82, 0x4020);                  /* NOP, write cache */
    put_word(buf, 83, 0x7400);                  /* 48-bit, FLUSH CACHE (EXT) */
    put_word(buf, 84, 0x4040);                  /* FUA */
    put_word(buf, 85, 0x4000 | (cache ? 0x20 : 0));
    put_word(buf, 86, 0x3400);
    put_word(buf, 87, 0x4040);
    for (unsigned i = 0; i < 4; i++)
        put_word(buf, 100 + i, total >> (16 * i));
    put_word(buf, 106, 0x4000);                 /* one logical sector a physical one */
    if (discards(d)) {
        put_word(buf, 105, ATA_TRIM_MAX);
        put_word(buf, 169, 1);                  /* TRIM; what is read then is not told */
    }
    put_word(buf, 217, 1);                      /* does not rotate */
}

void ata_identify(const struct ata_dev *d, uint8_t *buf)
{
    memset(buf, 0, ATA_SECTOR);
    put_names(d, buf);
    put_modes(d, buf);
    if (d->cd)
        identify_packet(d, buf);
    else
        identify_disk(d, buf);
}

/* ---- addresses -------------------------------------------------------------------------- */

static uint64_t lba48(const struct ata_tf *tf)
{
    return (uint64_t)tf->lba_high[1] << 40 | (uint64_t)tf->lba_mid[1] << 32 |
           (uint64_t)tf->lba_low[1] << 24 | (uint64_t)tf->lba_high[0] << 16 |
           (uint64_t)tf->lba_mid[0] << 8 | tf->lba_low[0];
}

static uint64_t lba28(const struct ata_tf *tf)
{
    return (uint64_t)(tf->device & 15) << 24 | (uint64_t)tf->lba_high[0] << 16 |
           (uint64_t)tf->lba_mid[0] << 8 | tf->lba_low[0];
}

/* ~0: no such cylinder, head, sector */
static uint64_t from_chs(const struct ata_dev *d, const struct ata_tf *tf)
{
    uint64_t cyl = (uint64_t)tf->lba_high[0] << 8 | tf->lba_mid[0];
    unsigned head = tf->device & 15, sector = tf->lba_low[0];

    if (!sector || sector > d->sectors || head >= d->heads)
        return UINT64_MAX;
    return (cyl * d->heads + head) * d->sectors + sector - 1;
}

bool ata_range(const struct ata_dev *d, const struct ata_tf *tf, const struct ata_op *op,
               uint64_t *lba, uint32_t *n)
{
    uint64_t total = drive_sectors(d->drive);
    const uint8_t *count = op->ncq ? tf->feature : tf->count;

    *n = op->ext ? count[1] << 8 | count[0] : count[0];
    if (!*n)
        *n = op->ext ? 65536 : 256;
    if (op->ext)
        *lba = lba48(tf);
    else
        *lba = tf->device & ATA_DEV_LBA ? lba28(tf) : from_chs(d, tf);
    return *n <= total && *lba <= total - *n;
}

void ata_set_lba(const struct ata_dev *d, struct ata_tf *tf, bool ext, uint64_t lba)
{
    if (!ext && !(tf->device & ATA_DEV_LBA)) {
        uint64_t track = lba / d->sectors, cyl = track / d->heads;

        tf->lba_low[0] = lba % d->sectors + 1;
        tf->lba_mid[0] = cyl;
        tf->lba_high[0] = cyl >> 8;
        tf->device = (tf->device & 0xf0) | track % d->heads;
        return;
    }
    tf->lba_low[0] = lba;
    tf->lba_mid[0] = lba >> 8;
    tf->lba_high[0] = lba >> 16;
    if (ext) {
        tf->lba_low[1] = lba >> 24;
        tf->lba_mid[1] = lba >> 32;
        tf->lba_high[1] = lba >> 40;
    } else {
        tf->device = (tf->device & 0xf0) | (lba >> 24 & 15);
    }
}

/* ---- ranges to give up ---------------------------------------------------------------------- */

enum { DSM_TRIM = 1, TRIM_ENTRY = 8 };

uint32_t ata_trim_bytes(const struct ata_dev *d, const struct ata_tf *tf)
{
    uint32_t blocks = tf->count[1] << 8 | tf->count[0];

    if (!discards(d) || !(tf->feature[0] & DSM_TRIM) || blocks > ATA_TRIM_MAX)
        return 0;
    return blocks * ATA_SECTOR;
}

int ata_trim_next(const struct ata_dev *d, const struct sg *list, uint32_t *at, uint32_t end,
                  uint64_t *lba, uint32_t *n)
{
    uint64_t total = drive_sectors(d->drive), v;

    for (*n = 0; !*n && *at < end; *at += TRIM_ENTRY) {
        if (sg_get(list, *at, &v, sizeof v) != sizeof v)
            return -EINVAL;
        *lba = v & (BIT(48) - 1);
        *n = v >> 48;
    }
    if (!*n)
        return 0;
    return *n <= total && *lba <= total - *n ? 1 : -EINVAL;
}

/* ---- commands without data ----------------------------------------------------------------- */

static uint8_t set_transfer_mode(struct ata_dev *d, uint8_t mode)
{
    unsigned n = mode & 7;

    switch (mode >> 3) {
    case 0:                       /* PIO default */
    case 1:                       /* PIO flow control */
        return 0;
    case 4:
        if (n > 2)
            return ATA_ABRT;
        d->mdma = n;
        d->udma = 0xff;
        return 0;
    case 8:
        if (n > (d->cd ? 2 : 5))
            return ATA_ABRT;
        d->udma = n;
        d->mdma = 0xff;
        return 0;
    }
    return ATA_ABRT;
}

static uint8_t set_features(struct ata_dev *d, const struct ata_tf *tf)
{
    switch (tf->feature[0]) {
    case 0x02:                    /* write cache on, off */
    case 0x82:
        if (d->cd)
            return ATA_ABRT;
        block_set_write_cache(d->drive->blk, tf->feature[0] == 0x02);
        return 0;
    case 0x03:
        return set_transfer_mode(d, tf->count[0]);
    case 0x05: case 0x85:         /* power management */
    case 0x42: case 0xc2:         /* acoustics */
    case 0x55: case 0xaa:         /* look-ahead */
    case 0x66: case 0xcc:         /* defaults after soft reset */
    case 0x67: case 0x10: case 0x90:
        return 0;
    }
    return ATA_ABRT;
}

static uint8_t set_multiple(struct ata_dev *d, uint8_t n)
{
    if (n > ATA_MULT_MAX || (n & (n - 1)))
        return ATA_ABRT;
    d->mult = n;
    return 0;
}

static uint8_t init_params(struct ata_dev *d, const struct ata_tf *tf)
{
    if (!tf->count[0])
        return ATA_ABRT;
    d->heads = (tf->device & 15) + 1;
    d->sectors = tf->count[0];
    return 0;
}

static uint8_t native_max(struct ata_dev *d, struct ata_tf *tf, bool ext)
{
    uint64_t last = drive_sectors(d->drive) - 1;

    if (d->cd)
        return ATA_ABRT;
    tf->device |= ATA_DEV_LBA;
    ata_set_lba(d, tf, ext, ext ? last : MIN(last, ATA_LBA28_MAX));
    return 0;
}

uint8_t ata_simple(struct ata_dev *d, struct ata_tf *tf)
{
    if (!d->cd && (tf->command & 0xf0) == 0x10)   /* RECALIBRATE */
        return 0;
    switch (tf->command) {
    case 0xef:
        return set_features(d, tf);
    case 0xe5: case 0x98:         /* CHECK POWER MODE */
        tf->count[0] = 0xff;
        return 0;
    case 0xe0: case 0xe1: case 0xe2: case 0xe3: case 0xe6:
    case 0x94: case 0x95: case 0x96: case 0x97: case 0x99:
        return 0;                 /* standby, idle, sleep */
    }
    if (d->cd)
        return ATA_ABRT;
    switch (tf->command) {
    case 0xc6:
        return set_multiple(d, tf->count[0]);
    case 0x91:
        return init_params(d, tf);
    case 0x27:
    case 0xf8:
        return native_max(d, tf, tf->command == 0x27);
    case 0x70:                    /* SEEK */
        return 0;
    }
    return ATA_ABRT;
}
