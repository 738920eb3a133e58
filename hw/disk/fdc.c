/*
 * fdc.c - 82078 floppy disk controller
 *
 * Commands come byte by byte into a buffer whose length the opcode's row fixes,
 * results leave the same way: no index is ever taken from the guest. Sector
 * data go by DMA only (the non-DMA mode of the chip ends in an overrun, as on a
 * host that is too slow).
 *
 * Source: Intel 82078 datasheet, 290475: 2 (registers), 5 (commands), 6 (status).
 */
#include <stdlib.h>
#include "hw/disk/fdc.h"
#include "hw/dma/dma.h"
#include "hw/timer/timer.h"

enum { R_SRA, R_SRB, R_DOR, R_TDR, R_MSR_DSR, R_FIFO, R_DIR_CCR = 7 };
enum { DOR_NRESET = 4, DOR_DMA = 8 };
enum { MSR_RQM = 0x80, MSR_DIO = 0x40, MSR_BUSY = 0x10 };
enum { DSR_RESET = 0x80, DIR_CHANGED = 0x80 };
enum { ST0_ABNORMAL = 0x40, ST0_INVALID = 0x80, ST0_POLLING = 0xc0, ST0_SEEK_END = 0x20 };
enum { ST1_MISSING = 0x01, ST1_PROTECTED = 0x02, ST1_NO_DATA = 0x04, ST1_OVERRUN = 0x10,
       ST1_CRC = 0x20, ST1_END = 0x80 };
enum { ST3_TRACK0 = 0x10, ST3_TWO_SIDES = 0x08, ST3_READY = 0x20, ST3_PROTECTED = 0x40 };
enum { OPT_MT = 0x80 };
#define SECTOR     512u
#define DMA_CHAN   2
#define FDC_PORT   0x3f0
#define FDC_IRQ    6
#define BUF_SECTORS 72u              /* both sides of a 2.88 MB track */
#define MAX_BYTES  16

struct geometry {
    uint16_t sectors;                /* of the medium */
    uint8_t tracks, heads, per_track, cmos;
};

struct fdd {
    struct fdc *s;
    struct drive *drive;
    struct geometry g;
    uint8_t track;                   /* where the head is */
    bool changed;
};

struct fdc {
    struct device dev;
    struct fdd fdd[FDC_DRIVES];
    uint8_t dor, tdr, dsr, ccr, lock, perpendicular, config[3], specify[2];
    uint8_t in[MAX_BYTES], n_in, want;   /* command bytes */
    uint8_t out[MAX_BYTES], n_out, at;   /* result bytes */
    uint8_t polls;                   /* interrupts of a reset not yet sensed */
    uint8_t st0;                     /* of the seek that ended; 0: none */
    bool seek_done, busy, cancelled;
    /* the transfer being carried out */
    struct drive_req req;
    struct iovec iov;
    unsigned unit, sectors;
    uint32_t bytes;
    uint8_t buf[BUF_SECTORS * SECTOR];
};

static const struct geometry formats[] = {
    { 2880, 80, 2, 18, 4 }, { 5760, 80, 2, 36, 5 }, { 1440, 80, 2, 9, 3 }, { 2400, 80, 2, 15, 2 },
    { 720, 40, 2, 9, 1 }, { 640, 40, 2, 8, 1 }, { 360, 40, 1, 9, 1 }, { 320, 40, 1, 8, 1 },
    { 3360, 80, 2, 21, 4 }, { 3444, 82, 2, 21, 4 },
};

/* ---- interrupts, results --------------------------------------------------------------- */

static void set_irq(struct fdc *s, int level)
{
    irq_set(machine_irq(s->dev.machine, FDC_IRQ), level && (s->dor & DOR_DMA));
}

static void idle(struct fdc *s)
{
    s->n_in = s->want = s->n_out = s->at = 0;
    s->busy = false;
}

static void result(struct fdc *s, const uint8_t *bytes, unsigned n)
{
    idle(s);
    memcpy(s->out, bytes, n);
    s->n_out = n;
}

static void result1(struct fdc *s, uint8_t v)
{
    result(s, &v, 1);
}

/* ---- media ---------------------------------------------------------------------------------- */

static struct fdd *unit(struct fdc *s, unsigned n)
{
    n &= 3;
    return n < FDC_DRIVES && s->fdd[n].drive ? &s->fdd[n] : NULL;
}

static void look_at_medium(struct fdd *f)
{
    uint64_t n = drive_sectors(f->drive);

    f->g = formats[0];
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        if (formats[i].sectors == n)
            f->g = formats[i];
}

static void medium_changed(void *opaque)
{
    struct fdd *f = opaque;

    f->changed = true;
    look_at_medium(f);
}

/* ---- transfers -------------------------------------------------------------------------------- */

/* Result of read, write, verify, format: ST0-ST2 and where it came to. */
static void transfer_end(struct fdc *s, uint8_t st0, uint8_t st1, uint8_t st2)
{
    uint8_t c = s->in[2], h = s->in[3], r = s->in[4];
    uint8_t out[7] = { st0 | (s->in[1] & 7), st1, st2, c, h, r, s->in[5] };

    result(s, out, sizeof out);
    set_irq(s, 1);
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

static struct device *dma_chip(struct fdc *s)
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
    n = dma_channel_run(dma_chip(s), DMA_CHAN, s->buf, s->bytes, DMA_TO_MEMORY);
    if (!n) {
        transfer_fail(s, ST1_OVERRUN, 0);
        return;
    }
    advance(s, (n + SECTOR - 1) / SECTOR);
    if (n == s->bytes && !dma_channel_tc(dma_chip(s), DMA_CHAN))
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
    advance(s, s->bytes / SECTOR);
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
    *n = MIN(*n, BUF_SECTORS);
    if (*lba >= all) {
        transfer_fail(s, ST1_NO_DATA, 0);
        return false;
    }
    *n = MIN(*n, all - *lba);
    return true;
}

static void cmd_read(struct fdc *s)
{
    struct fdd *f = unit(s, s->in[1]);
    uint64_t lba;
    unsigned n;

    if (!locate(s, f, &lba, &n))
        return;
    s->bytes = n * SECTOR;
    submit(s, f, BLOCK_READ, lba * SECTOR, on_read);
}

static void cmd_write(struct fdc *s)
{
    struct fdd *f = unit(s, s->in[1]);
    uint64_t lba;
    unsigned n, got;

    if (!locate(s, f, &lba, &n))
        return;
    if (block_readonly(f->drive->blk)) {
        transfer_fail(s, ST1_PROTECTED, 0);
        return;
    }
    got = dma_channel_run(dma_chip(s), DMA_CHAN, s->buf, n * SECTOR, DMA_FROM_MEMORY);
    if (!got) {
        transfer_fail(s, ST1_OVERRUN, 0);
        return;
    }
    s->bytes = align_up(got, SECTOR);       /* the rest of the last sector is zeroes */
    memset(s->buf + got, 0, s->bytes - got);
    submit(s, f, BLOCK_WRITE, lba * SECTOR, on_written);
}

static void cmd_verify(struct fdc *s)
{
    uint64_t lba;
    unsigned n;

    if (!locate(s, unit(s, s->in[1]), &lba, &n))
        return;
    advance(s, n);
    transfer_end(s, 0, 0, 0);
}

/* FORMAT fills the track; the IDs that DMA brings are the usual ones. */
static void cmd_format(struct fdc *s)
{
    struct fdd *f = unit(s, s->in[1]);
    uint8_t ids[4 * 64], per = s->in[3], fill = s->in[5];
    unsigned h = s->in[1] >> 2 & 1, got;

    got = dma_channel_run(dma_chip(s), DMA_CHAN, ids, MIN(per * 4u, (unsigned)sizeof ids),
                          DMA_FROM_MEMORY);
    s->in[4] = 1;
    s->in[5] = s->in[2];
    s->in[2] = f ? f->track : 0;
    s->in[3] = h;
    s->in[6] = per;
    if (!f || !block_present(f->drive->blk) || !got || per > f->g.per_track ||
        s->in[2] >= f->g.tracks) {
        transfer_fail(s, ST1_MISSING, 0);
        return;
    }
    if (block_readonly(f->drive->blk)) {
        transfer_fail(s, ST1_PROTECTED, 0);
        return;
    }
    s->bytes = per * SECTOR;
    memset(s->buf, fill, s->bytes);
    submit(s, f, BLOCK_WRITE, ((uint64_t)s->in[2] * f->g.heads + h) * f->g.per_track * SECTOR,
           on_written);
}

/* ---- other commands ------------------------------------------------------------------------------- */

static void seek_to(struct fdc *s, uint8_t track)
{
    struct fdd *f = unit(s, s->in[1]);
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
    idle(s);
    set_irq(s, 1);
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

    set_irq(s, 0);
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
    f = unit(s, out[0]);
    out[1] = f ? f->track : 0;
    result(s, out, 2);
}

static void cmd_sense_drive(struct fdc *s)
{
    struct fdd *f = unit(s, s->in[1]);
    uint8_t st3 = (s->in[1] & 7) | ST3_TWO_SIDES;

    if (f) {
        st3 |= ST3_READY | (f->track ? 0 : ST3_TRACK0);
        st3 |= block_readonly(f->drive->blk) ? ST3_PROTECTED : 0;
    }
    result1(s, st3);
}

static void cmd_read_id(struct fdc *s)
{
    struct fdd *f = unit(s, s->in[1]);

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
    idle(s);
}

static void cmd_configure(struct fdc *s)
{
    memcpy(s->config, s->in + 1, 3);
    idle(s);
}

static void cmd_dumpreg(struct fdc *s)
{
    uint8_t out[10] = { s->fdd[0].track, s->fdd[1].track, 0, 0, s->specify[0], s->specify[1], 18,
                        s->lock | s->perpendicular, s->config[1], s->config[2] };

    result(s, out, sizeof out);
}

static void cmd_perpendicular(struct fdc *s)
{
    s->perpendicular = s->in[1] & 0x7f;
    idle(s);
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

/* ---- registers ---------------------------------------------------------------------------------------- */

static void cancel(struct fdc *s)
{
    s->cancelled = true;
    for (unsigned i = 0; i < FDC_DRIVES; i++)
        if (s->fdd[i].drive)
            drive_drain(s->fdd[i].drive);
}

/* Software or hardware reset of the chip; the drives keep their heads where they are. */
static void chip_reset(struct fdc *s)
{
    cancel(s);
    idle(s);
    s->seek_done = false;
    if (!s->lock)
        memset(s->config, 0, sizeof s->config);
    s->perpendicular &= 0x3c;
    s->polls = 4;
}

static void fifo_write(struct fdc *s, uint8_t v)
{
    const struct fdc_command *c;

    if (s->busy || s->n_out || !(s->dor & DOR_NRESET)) {
        log_guest(LOG_DMA, "fdc data=%#x while busy", v);
        return;
    }
    c = find(s->n_in ? s->in[0] : v);
    if (!c) {
        result1(s, ST0_INVALID);
        return;
    }
    s->want = c->bytes;                      /* never more than sizeof in */
    s->in[s->n_in++] = v;
    if (s->n_in == s->want)
        c->run(s);
}

static uint8_t fifo_read(struct fdc *s)
{
    uint8_t v;

    if (s->at >= s->n_out)
        return 0;
    if (s->n_out == 7)
        set_irq(s, 0);                       /* result phase acknowledges */
    v = s->out[s->at++];
    if (s->at == s->n_out)
        idle(s);
    return v;
}

static uint8_t main_status(const struct fdc *s)
{
    if (!(s->dor & DOR_NRESET))
        return 0;
    if (s->busy)
        return MSR_BUSY;
    return MSR_RQM | (s->n_out ? MSR_DIO : 0) | (s->n_in || s->n_out ? MSR_BUSY : 0);
}

static uint64_t fdc_read(void *opaque, uint64_t off, unsigned size)
{
    struct fdc *s = opaque;
    struct fdd *f = unit(s, s->dor);

    switch (off) {
    case R_DOR:
        return s->dor;
    case R_TDR:
        return s->tdr;
    case R_MSR_DSR:
        return main_status(s);
    case R_FIFO:
        return fifo_read(s);
    case R_DIR_CCR:
        return f && !(f->changed || !block_present(f->drive->blk)) ? 0 : DIR_CHANGED;
    }
    return 0;
}

static void set_dor(struct fdc *s, uint8_t v)
{
    uint8_t was = s->dor;

    s->dor = v;
    if (!(v & DOR_NRESET)) {
        chip_reset(s);
        set_irq(s, 0);
    } else if (!(was & DOR_NRESET)) {
        set_irq(s, 1);
    }
}

static void fdc_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct fdc *s = opaque;

    switch (off) {
    case R_DOR:
        set_dor(s, val);
        break;
    case R_TDR:
        s->tdr = val & 3;
        break;
    case R_MSR_DSR:
        s->dsr = val & ~DSR_RESET;
        if (val & DSR_RESET) {
            chip_reset(s);
            set_irq(s, 1);
        }
        break;
    case R_FIFO:
        fifo_write(s, val);
        break;
    case R_DIR_CCR:
        s->ccr = val & 3;
        break;
    }
}

static uint64_t ccr_read(void *opaque, uint64_t off, unsigned size)
{
    return fdc_read(opaque, R_DIR_CCR, size);
}

static void ccr_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    fdc_write(opaque, R_DIR_CCR, val, size);
}

static const struct io_ops fdc_ops = { fdc_read, fdc_write, 1, 1 };
static const struct io_ops ccr_ops = { ccr_read, ccr_write, 1, 1 };

/* ---- life ------------------------------------------------------------------------------------------------ */

static int fdc_init(struct device *d, struct err *e)
{
    struct fdc *s = (struct fdc *)d;

    if (!dma_chip(s))
        return err_set(e, -ENODEV, "%s: this machine has no DMA controller", d->type->name);
    for (unsigned i = 0; i < FDC_DRIVES; i++)
        s->fdd[i].s = s;
    port_map(d->machine, "fdc", FDC_PORT, 6, &fdc_ops, s);
    port_map(d->machine, "fdc-dir", FDC_PORT + 7, 1, &ccr_ops, s);
    return 0;
}

static void fdc_reset(struct device *d)
{
    struct fdc *s = (struct fdc *)d;

    s->lock = 0;
    chip_reset(s);
    s->dor = DOR_NRESET | DOR_DMA;
    s->tdr = s->dsr = s->ccr = s->polls = 0;
    for (unsigned i = 0; i < FDC_DRIVES; i++) {
        s->fdd[i].track = 0;
        s->fdd[i].changed = true;
    }
    set_irq(s, 0);
}

static void fdc_destroy(struct device *d)
{
    struct fdc *s = (struct fdc *)d;

    cancel(s);
    for (unsigned i = 0; i < FDC_DRIVES; i++)
        drive_release(s->fdd[i].drive);
}

static const struct dev_field fdc_fields[] = {
    FIELD(U8, struct fdc, dor), FIELD(U8, struct fdc, tdr), FIELD(U8, struct fdc, dsr),
    FIELD(U8, struct fdc, lock), FIELD(U8, struct fdc, polls), FIELD(U8, struct fdc, st0),
    FIELD(BOOL, struct fdc, seek_done), FIELD(BYTES, struct fdc, in), FIELD(U8, struct fdc, n_in),
    FIELD(BYTES, struct fdc, out), FIELD(U8, struct fdc, n_out), FIELD(U8, struct fdc, at),
    FIELD_END
};

const struct device_type fdc_type = {
    .name = "isa-fdc", .desc = "82078 floppy disk controller", .size = sizeof(struct fdc),
    .init = fdc_init, .reset = fdc_reset, .destroy = fdc_destroy, .fields = fdc_fields,
};

/* ---- drives --------------------------------------------------------------------------------------------------- */

struct floppy {
    struct device dev;
    struct drive *drive;
    int32_t unit, bootindex;
};

/* Firmware looks into CMOS for the kinds of drives. */
static void tell_cmos(struct fdc *s)
{
    struct device *rtc = machine_find_device(s->dev.machine, mc146818_type.name);
    uint8_t kind[2] = { 0 }, n = 0;

    for (unsigned i = 0; i < FDC_DRIVES; i++)
        if (s->fdd[i].drive) {
            kind[i] = s->fdd[i].g.cmos;
            n++;
        }
    if (!rtc)
        return;
    rtc_set_cmos(rtc, 0x10, kind[0] << 4 | kind[1]);
    rtc_set_cmos(rtc, 0x14, 0x06 | (n ? 1 | (n - 1) << 6 : 0));
}

static const struct drive_tray no_lock = { .move = NULL };

static int floppy_init(struct device *d, struct err *e)
{
    struct floppy *p = (struct floppy *)d;
    struct fdc *s = (struct fdc *)machine_find_device(d->machine, fdc_type.name);
    int n = p->unit, ret;

    if (!s || !p->drive)
        return err_set(e, -EINVAL, "floppy: %s", s ? "drive property not set" : "there is no controller");
    for (int i = 0; n < 0 && i < FDC_DRIVES; i++)
        if (!s->fdd[i].drive)
            n = i;
    if (n < 0 || n >= FDC_DRIVES || s->fdd[n].drive)
        return err_set(e, -EBUSY, "floppy: no such free place on the controller");
    ret = drive_claim(p->drive, d, medium_changed, &s->fdd[n], e);
    if (ret < 0)
        return ret;
    s->fdd[n].drive = p->drive;
    p->drive->tray = &no_lock;
    p->unit = n;
    look_at_medium(&s->fdd[n]);
    tell_cmos(s);
    return 0;
}

static const struct dev_prop floppy_props[] = {
    PROP(DRIVE, "drive", struct floppy, drive, NULL, 0, 0, "the disk: id of -drive or -blockdev"),
    PROP(I32, "unit", struct floppy, unit, "-1", 0, 0, "0 is A, 1 is B"),
    PROP(I32, "bootindex", struct floppy, bootindex, "-1", 0, 0, "place in the boot order"),
    PROP_END
};

const struct device_type floppy_type = {
    .name = "floppy", .desc = "floppy disk drive", .size = sizeof(struct floppy),
    .init = floppy_init, .props = floppy_props,
};
