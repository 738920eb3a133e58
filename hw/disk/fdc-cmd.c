/*
 * fdc-cmd.c - 82078 floppy disk controller: commands
 *
 * Sector data go by DMA only (the non-DMA mode of the chip ends in an overrun, as on a
 * host that is too slow).
 *
 * Source: Intel 82078 datasheet, 290475: 5 (commands), 6 (status).
 */
#include "hw/disk/fdc-int.h"
#include "hw/dma/dma.h"

enum { ST0_ABNORMAL = 0x40, ST0_POLLING = 0xc0, ST0_SEEK_END = 0x20 };
enum { ST1_MISSING = 0x01, ST1_PROTECTED = 0x02, ST1_NO_DATA = 0x04, ST1_OVERRUN = 0x10,
       ST1_CRC = 0x20, ST1_END = 0x80 };
enum { ST3_TRACK0 = 0x10, ST3_TWO_SIDES = 0x08, ST3_READY = 0x20, ST3_PROTECTED = 0x40 };
enum { OPT_MT = 0x80 };
#define DMA_CHAN   2

static void result1(struct fdc *s, uint8_t v)
{
    fdc_result(s, &v, 1);
}

/* ---- transfers -------------------------------------------------------------------------------- */

/* Result of read, write, verify, format: ST0-ST2 and where it came to. */
static void transfer_end(struct fdc *s, uint8_t st0, uint8_t st1, uint8_t st2)
{
    uint8_t c = s->in[2], h = s->in[3], r = s->in[4];
    uint8_t out[7] = { st0 | (s->in[1] & 7), st1, st2, c, h, r, s->in[5] };

    fdc_result(s, out, sizeof out);
    fdc_set_irq(s, 1);
}

static void transfer_fail(struct fdc *s, uint8_t st1, uint8_t st2)
{
    transfer_end(s, ST0_ABNORMAL, st1, st2);
}

/* The registers name the sector after the last one that was moved. */
static void advance(struct fdc *s, unsigned n)
{
    for (; n; n--) {
        if (s->in[4]++ < s->in[6])
            continue;
        s->in[4] = 1;
        if ((s->in[0] & OPT_MT) && !(s->in[3] & 1)) {
            s->in[3] |= 1;
            s->in[1] |= 4;
        } else {
            s->in[3] &= ~1;
            s->in[1] &= ~4;
            s->in[2]++;
        }
    }
}

struct device *fdc_dma_chip(const struct fdc *s)
{
    return machine_find_device(s->dev.machine, i8237_type.name);
}

static void on_read(struct drive_req *r, int ret)
{
    struct fdc *s = r->opaque;
    unsigned n;

    if (s->cancelled)
        return;
    if (ret < 0) {
        transfer_fail(s, ST1_CRC, ST1_CRC);
        return;
    }
    n = dma_channel_run(fdc_dma_chip(s), DMA_CHAN, s->buf, s->bytes, DMA_TO_MEMORY);
    if (!n) {
        transfer_fail(s, ST1_OVERRUN, 0);
        return;
    }
    advance(s, (n + FDC_SECTOR - 1) / FDC_SECTOR);
    if (n == s->bytes && !dma_channel_tc(fdc_dma_chip(s), DMA_CHAN))
        transfer_fail(s, ST1_END, 0);    /* the host wanted more than the track has */
    else
        transfer_end(s, 0, 0, 0);
}

static void on_written(struct drive_req *r, int ret)
{
    struct fdc *s = r->opaque;

    if (s->cancelled)
        return;
    if (ret < 0) {
        transfer_fail(s, ret == -EROFS ? ST1_PROTECTED : ST1_CRC, 0);
        return;
    }
    advance(s, s->bytes / FDC_SECTOR);
    transfer_end(s, 0, 0, 0);
}

static void submit(struct fdc *s, struct fdd *f, enum block_op op, uint64_t off,
                   void (*cb)(struct drive_req *r, int ret))
{
    s->busy = true;
    s->cancelled = false;
    s->iov = (struct iovec){ s->buf, s->bytes };
    s->req.r.op = op;
    s->req.r.flags = 0;
    s->req.r.off = off;
    s->req.r.len = s->bytes;
    s->req.r.iov = &s->iov;
    s->req.r.niov = 1;
    s->req.opaque = s;
    s->req.cb = cb;
    drive_submit(f->drive, &s->req);
}

/* Which sectors the command names: *lba and *n; else it ends with an error. */
static bool locate(struct fdc *s, struct fdd *f, uint64_t *lba, unsigned *n)
{
    uint8_t c = s->in[2], h = s->in[3], r = s->in[4], last = s->in[6];
    uint64_t all = f ? drive_sectors(f->drive) : 0;

    if (!f || !block_present(f->drive->blk) || s->in[5] != 2) {
        transfer_fail(s, ST1_MISSING, 0);
        return false;
    }
    last = MIN(last, f->g.per_track);
    if (c >= f->g.tracks || (h & 1) >= f->g.heads || h > 1 || !r || r > last) {
        transfer_fail(s, ST1_NO_DATA, 0);
        return false;
    }
    f->track = c;
    *lba = ((uint64_t)c * f->g.heads + h) * f->g.per_track + r - 1;
    *n = last - r + 1;
    if ((s->in[0] & OPT_MT) && !h && f->g.heads > 1 && last == f->g.per_track)
        *n += last;
    *n = MIN(*n, FDC_BUF_SECTORS);
    if (*lba >= all) {
        transfer_fail(s, ST1_NO_DATA, 0);
        return false;
    }
    *n = MIN(*n, all - *lba);
    return true;
}

static void cmd_read(struct fdc *s)
{
    struct fdd *f = fdc_unit(s, s->in[1]);
    uint64_t lba;
    unsigned n;

    if (!locate(s, f, &lba, &n))
        return;
    s->bytes = n * FDC_SECTOR;
    submit(s, f, BLOCK_READ, lba * FDC_SECTOR, on_read);
}

static void cmd_write(struct fdc *s)
{
    struct fdd *f = fdc_unit(s, s->in[1]);
    uint64_t lba;
    unsigned n, got;

    if (!locate(s, f, &lba, &n))
        return;
    if (block_readonly(f->drive->blk)) {
        transfer_fail(s, ST1_PROTECTED, 0);
        return;
    }
    got = dma_channel_run(fdc_dma_chip(s), DMA_CHAN, s->buf, n * FDC_SECTOR, DMA_FROM_MEMORY);
    if (!got) {
        transfer_fail(s, ST1_OVERRUN, 0);
        return;
    }
    s->bytes = align_up(got, FDC_SECTOR);       /* the rest of the last sector is zeroes */
    memset(s->buf + got, 0, s->bytes - got);
    submit(s, f, BLOCK_WRITE, lba * FDC_SECTOR, on_written);
}

static void cmd_verify(struct fdc *s)
{
    uint64_t lba;
    unsigned n;

    if (!locate(s, fdc_unit(s, s->in[1]), &lba, &n))
        return;
    advance(s, n);
    transfer_end(s, 0, 0, 0);
}

/* FORMAT fills the track; the IDs that DMA brings are the usual ones. */
static void cmd_format(struct fdc *s)
{
    struct fdd *f = fdc_unit(s, s->in[1]);
    uint8_t ids[4 * 64], per = s->in[3], fill = s->in[5];
    unsigned h = s->in[1] >> 2 & 1, got;

    got = dma_channel_run(fdc_dma_chip(s), DMA_CHAN, ids, MIN(per * 4u, (unsigned)sizeof ids),
                          DMA_FROM_MEMORY);
    s->in[4] = 1;
    s->in[5] = s->in[2];
    s->in[2] = f ? f->track : 0;
    s->in[3] = h;
    s->in[6] = per;
    if (!f || !block_present(f->drive->blk) || !got || per > f->g.per_track ||
        s->in[2] >= f->g.tracks || h >= f->g.heads) {
        transfer_fail(s, ST1_MISSING, 0);
        return;
    }
    if (block_readonly(f->drive->blk)) {
        transfer_fail(s, ST1_PROTECTED, 0);
        return;
    }
    s->bytes = per * FDC_SECTOR;
    memset(s->buf, fill, s->bytes);
    submit(s, f, BLOCK_WRITE, ((uint64_t)s->in[2] * f->g.heads + h) * f->g.per_track * FDC_SECTOR,
           on_written);
}

/* ---- other commands ------------------------------------------------------------------------------- */

static void seek_to(struct fdc *s, uint8_t track)
{
    struct fdd *f = fdc_unit(s, s->in[1]);
    uint8_t st0 = ST0_SEEK_END | (s->in[1] & 7);

    if (f) {
        f->track = MIN(track, 83);
        if (block_present(f->drive->blk))
            f->changed = false;
    } else if (!track) {
        st0 |= ST0_ABNORMAL | 0x10;          /* no track 0 seen */
    }
    s->st0 = st0;
    s->seek_done = true;
    fdc_idle(s);
    fdc_set_irq(s, 1);
}

static void cmd_recalibrate(struct fdc *s)
{
    s->in[1] &= 3;
    seek_to(s, 0);
}

static void cmd_seek(struct fdc *s)
{
    seek_to(s, s->in[2]);
}

static void cmd_sense_interrupt(struct fdc *s)
{
    uint8_t out[2] = { ST0_INVALID, 0 };
    struct fdd *f;

    fdc_set_irq(s, 0);
    if (s->polls) {                          /* one for each of four drives */
        out[0] = ST0_POLLING | (4 - s->polls);
        s->polls--;
    } else if (s->seek_done) {
        out[0] = s->st0;
        s->seek_done = false;
    } else {
        result1(s, ST0_INVALID);
        return;
    }
    f = fdc_unit(s, out[0]);
    out[1] = f ? f->track : 0;
    fdc_result(s, out, 2);
}

static void cmd_sense_drive(struct fdc *s)
{
    struct fdd *f = fdc_unit(s, s->in[1]);
    uint8_t st3 = (s->in[1] & 7) | ST3_TWO_SIDES;

    if (f) {
        st3 |= ST3_READY | (f->track ? 0 : ST3_TRACK0);
        st3 |= block_readonly(f->drive->blk) ? ST3_PROTECTED : 0;
    }
    result1(s, st3);
}

static void cmd_read_id(struct fdc *s)
{
    struct fdd *f = fdc_unit(s, s->in[1]);

    s->in[2] = f ? f->track : 0;
    s->in[3] = s->in[1] >> 2 & 1;
    s->in[4] = 1;
    s->in[5] = 2;
    if (f && block_present(f->drive->blk) && s->in[2] < f->g.tracks)
        transfer_end(s, 0, 0, 0);
    else
        transfer_fail(s, ST1_MISSING, 0);
}

static void cmd_specify(struct fdc *s)
{
    memcpy(s->specify, s->in + 1, 2);
    fdc_idle(s);
}

static void cmd_configure(struct fdc *s)
{
    memcpy(s->config, s->in + 1, 3);
    fdc_idle(s);
}

static void cmd_dumpreg(struct fdc *s)
{
    uint8_t out[10] = { s->fdd[0].track, s->fdd[1].track, 0, 0, s->specify[0], s->specify[1], 18,
                        s->lock | s->perpendicular, s->config[1], s->config[2] };

    fdc_result(s, out, sizeof out);
}

static void cmd_perpendicular(struct fdc *s)
{
    s->perpendicular = s->in[1] & 0x7f;
    fdc_idle(s);
}

static void cmd_lock(struct fdc *s)
{
    s->lock = s->in[0] & 0x80;
    result1(s, s->lock >> 3);
}

static void cmd_version(struct fdc *s)
{
    result1(s, 0x90);
}

static void cmd_part_id(struct fdc *s)
{
    result1(s, 0x41);                        /* stepping 1 of the 82078 */
}

static const struct fdc_command {
    uint8_t code, mask, bytes;
    void (*run)(struct fdc *s);
} commands[] = {
    { 0x06, 0x1f, 9, cmd_read }, { 0x0c, 0x1f, 9, cmd_read },
    { 0x05, 0x3f, 9, cmd_write }, { 0x09, 0x3f, 9, cmd_write },
    { 0x16, 0x1f, 9, cmd_verify }, { 0x0d, 0xbf, 6, cmd_format },
    { 0x0a, 0xbf, 2, cmd_read_id }, { 0x07, 0xff, 2, cmd_recalibrate },
    { 0x0f, 0xff, 3, cmd_seek }, { 0x08, 0xff, 1, cmd_sense_interrupt },
    { 0x04, 0xff, 2, cmd_sense_drive }, { 0x03, 0xff, 3, cmd_specify },
    { 0x13, 0xff, 4, cmd_configure }, { 0x0e, 0xff, 1, cmd_dumpreg },
    { 0x12, 0xff, 2, cmd_perpendicular }, { 0x14, 0x7f, 1, cmd_lock },
    { 0x10, 0xff, 1, cmd_version }, { 0x18, 0xff, 1, cmd_part_id },
};

static const struct fdc_command *find(uint8_t code)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if ((code & commands[i].mask) == commands[i].code)
            return &commands[i];
    return NULL;
}

unsigned fdc_command_bytes(uint8_t code)
{
    const struct fdc_command *c = find(code);

    return c ? c->bytes : 0;
}

void fdc_command_run(struct fdc *s)
{
    find(s->in[0])->run(s);
}
