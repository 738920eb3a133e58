/*
 * fdc.c - 82078 floppy disk controller: registers, drives
 *
 * Commands come byte by byte into a buffer whose length the opcode's row (fdc-cmd.c) fixes,
 * results leave the same way: no index is ever taken from the guest.
 *
 * Source: Intel 82078 datasheet, 290475: 2 (registers).
 */
#include <stdlib.h>
#include "hw/disk/fdc-int.h"
#include "hw/timer/timer.h"

enum { R_SRA, R_SRB, R_DOR, R_TDR, R_MSR_DSR, R_FIFO, R_DIR_CCR = 7 };
enum { DOR_NRESET = 4, DOR_DMA = 8 };
enum { MSR_RQM = 0x80, MSR_DIO = 0x40, MSR_BUSY = 0x10 };
enum { DSR_RESET = 0x80, DIR_CHANGED = 0x80 };
#define FDC_PORT   0x3f0
#define FDC_IRQ    6

static const struct fdc_geometry formats[] = {
    { 2880, 80, 2, 18, 4 }, { 5760, 80, 2, 36, 5 }, { 1440, 80, 2, 9, 3 }, { 2400, 80, 2, 15, 2 },
    { 720, 40, 2, 9, 1 }, { 640, 40, 2, 8, 1 }, { 360, 40, 1, 9, 1 }, { 320, 40, 1, 8, 1 },
    { 3360, 80, 2, 21, 4 }, { 3444, 82, 2, 21, 4 },
};

/* ---- interrupts, results --------------------------------------------------------------- */

void fdc_set_irq(struct fdc *s, int level)
{
    irq_set(machine_irq(s->dev.machine, FDC_IRQ), level && (s->dor & DOR_DMA));
}

void fdc_idle(struct fdc *s)
{
    s->n_in = s->want = s->n_out = s->at = 0;
    s->busy = false;
}

void fdc_result(struct fdc *s, const uint8_t *bytes, unsigned n)
{
    fdc_idle(s);
    memcpy(s->out, bytes, n);
    s->n_out = n;
}

/* ---- media ---------------------------------------------------------------------------------- */

struct fdd *fdc_unit(struct fdc *s, unsigned n)
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
    fdc_idle(s);
    s->seek_done = false;
    if (!s->lock)
        memset(s->config, 0, sizeof s->config);
    s->perpendicular &= 0x3c;
    s->polls = 4;
}

static void fifo_write(struct fdc *s, uint8_t v)
{
    static const uint8_t invalid = ST0_INVALID;

    if (s->busy || s->n_out || !(s->dor & DOR_NRESET)) {
        log_guest(LOG_DMA, "fdc data=%#x while busy", v);
        return;
    }
    s->want = fdc_command_bytes(s->n_in ? s->in[0] : v);   /* never more than sizeof in */
    if (!s->want) {
        fdc_result(s, &invalid, 1);
        return;
    }
    s->in[s->n_in++] = v;
    if (s->n_in == s->want)
        fdc_command_run(s);
}

static uint8_t fifo_read(struct fdc *s)
{
    uint8_t v;

    if (s->at >= s->n_out)
        return 0;
    if (s->n_out == 7)
        fdc_set_irq(s, 0);                       /* result phase acknowledges */
    v = s->out[s->at++];
    if (s->at == s->n_out)
        fdc_idle(s);
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
    struct fdd *f = fdc_unit(s, s->dor);

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
        fdc_set_irq(s, 0);
    } else if (!(was & DOR_NRESET)) {
        fdc_set_irq(s, 1);
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
            fdc_set_irq(s, 1);
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

    if (!fdc_dma_chip(s))
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
    fdc_set_irq(s, 0);
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
