/*
 * ide.c - PIIX3 IDE controller: channels, task file, PCI function 00:01.1
 *
 * Ports: 0x1f0-0x1f7 and 0x3f6, IRQ 14; 0x170-0x177 and 0x376, IRQ 15. BAR 4
 * holds the bus master registers, 8 a channel.
 *
 * Source: Intel 82371SB datasheet, 2.3 and 2.7; ATA/ATAPI-7 volume 2.
 */
#include <stdlib.h>
#include "hw/disk/ide-int.h"

enum { R_DATA, R_FEATURE_ERROR, R_COUNT, R_LBA_LOW, R_LBA_MID, R_LBA_HIGH, R_DEVICE, R_COMMAND_STATUS };
enum { CTL_NIEN = 2, CTL_SRST = 4, CTL_HOB = 0x80 };
enum { BM_CMD = 0, BM_STATUS = 2, BM_TABLE = 4 };
enum { IDETIM = 0x40, IDETIM_DECODE = 0x8000 };

/* ---- interrupt ------------------------------------------------------------------------- */

/* nIEN takes the device off the wire, whose rise sets the bus master's bit. */
static void drive_wire(struct ide_channel *ch)
{
    bool on = ch->intrq && !(ch->control & CTL_NIEN);

    if (on)
        ch->bm.status |= BM_INTERRUPT;
    irq_set(ch->irq, on);
}

void ide_irq(struct ide_channel *ch, int level)
{
    ch->intrq = level;
    drive_wire(ch);
}

/* ---- task file ---------------------------------------------------------------------------- */

static struct ide_unit *selected(struct ide_channel *ch)
{
    return &ch->u[ch->selected];
}

/* With device 1 missing, device 0 answers for it, but its status is 0. */
static uint8_t status_of(struct ide_channel *ch)
{
    struct ide_unit *u = selected(ch);

    if (!ide_present(&ch->u[0]) && !ide_present(&ch->u[1]))
        return 0;                /* nothing drives the bus; pulled down */
    return ide_present(u) ? u->status : 0;
}

/* Writes go to both devices; what was there moves to the high order byte. */
static void set_reg(struct ide_channel *ch, unsigned reg, uint8_t v)
{
    for (unsigned i = 0; i < IDE_UNITS; i++) {
        struct ata_tf *tf = &ch->u[i].tf;
        uint8_t *r[] = { NULL, tf->feature, tf->count, tf->lba_low, tf->lba_mid, tf->lba_high };

        if (ch->u[i].status & ATA_BSY)
            continue;
        r[reg][1] = r[reg][0];
        r[reg][0] = v;
    }
}

static void set_device(struct ide_channel *ch, uint8_t v)
{
    if (selected(ch)->status & ATA_BSY)
        return;
    for (unsigned i = 0; i < IDE_UNITS; i++)
        ch->u[i].tf.device = v;
    ch->selected = v >> 4 & 1;
}

static void set_command(struct ide_channel *ch, uint8_t v)
{
    struct ide_unit *u = selected(ch);

    ide_irq(ch, 0);
    if (v == IDE_DIAGNOSTIC && !ide_present(u))
        u = &ch->u[!ch->selected];   /* for both, whichever is selected */
    if (!ide_present(u))
        return;
    /* only DEVICE RESET is heard while busy or in a data phase */
    if ((u->phase == IDE_BUSY || u->status & ATA_DRQ) && !(v == IDE_DEVICE_RESET && u->ata.cd)) {
        log_guest(LOG_PCI, "ide cmd=%#x while status=%#x", v, u->status);
        if (u->phase == IDE_BUSY)
            return;
    }
    block_plug(u->ata.drive->blk);   /* what the host has in memory needs no other thread */
    ide_command(u, v);
    block_unplug(u->ata.drive->blk);
}

static uint8_t read_reg(struct ide_channel *ch, unsigned reg)
{
    struct ide_unit *u = selected(ch);
    const struct ata_tf *tf = &u->tf;
    const uint8_t *r[] = { NULL, NULL, tf->count, tf->lba_low, tf->lba_mid, tf->lba_high };
    unsigned hob = ch->control & CTL_HOB ? 1 : 0;

    if (!ide_present(&ch->u[0]) && !ide_present(&ch->u[1]))
        return reg == R_COMMAND_STATUS ? 0 : 0xff;
    if (!ide_present(u))
        u = &ch->u[!ch->selected];
    switch (reg) {
    case R_FEATURE_ERROR:
        return ide_present(selected(ch)) ? u->error : 0;
    case R_DEVICE:
        return tf->device | 0xa0;
    case R_COMMAND_STATUS:
        ide_irq(ch, 0);
        return status_of(ch);
    default:
        return r[reg][hob];
    }
}

/* ---- data register ---------------------------------------------------------------------------- */

static void data_moved(struct ide_unit *u)
{
    void (*then)(struct ide_unit *u) = u->data_done;

    if (u->pos < u->end)
        return;
    u->status &= ~ATA_DRQ;
    block_plug(u->ata.drive->blk);
    then(u);
    block_unplug(u->ata.drive->blk);
}

static uint32_t data_read(struct ide_unit *u, unsigned size)
{
    uint32_t v = 0, n;

    if (u->phase != IDE_DATA_IN)
        return (uint32_t)size_mask(size);
    n = MIN(size, u->end - u->pos);
    memcpy(&v, u->buf + u->pos, n);
    u->pos += n;
    data_moved(u);
    return v;
}

static void data_write(struct ide_unit *u, uint32_t v, unsigned size)
{
    uint32_t n;

    if (u->phase != IDE_DATA_OUT && u->phase != IDE_PACKET)
        return;
    n = MIN(size, u->end - u->pos);
    memcpy(u->buf + u->pos, &v, n);
    u->pos += n;
    data_moved(u);
}

static unsigned cmd_read_string(void *opaque, uint64_t off, unsigned size, void *buf, unsigned n)
{
    struct ide_unit *u = selected(opaque);

    if (off != R_DATA || !ide_present(u) || u->phase != IDE_DATA_IN)
        return 0;
    n = MIN(n, (u->end - u->pos) / size);
    memcpy(buf, u->buf + u->pos, (size_t)n * size);
    u->pos += n * size;
    if (n)
        data_moved(u);
    return n;
}

static uint64_t cmd_read(void *opaque, uint64_t off, unsigned size)
{
    struct ide_channel *ch = opaque;

    if (off == R_DATA)
        return ide_present(selected(ch)) ? data_read(selected(ch), size) : size_mask(size);
    return read_reg(ch, off);
}

static void cmd_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct ide_channel *ch = opaque;

    if (off != R_DATA)
        ch->control &= ~CTL_HOB;
    if (off == R_DATA && ide_present(selected(ch)))
        data_write(selected(ch), val, size);
    else if (off == R_DEVICE)
        set_device(ch, val);
    else if (off == R_COMMAND_STATUS)
        set_command(ch, val);
    else if (off != R_DATA)
        set_reg(ch, off, val);
}

static uint64_t ctl_read(void *opaque, uint64_t off, unsigned size)
{
    return status_of(opaque);
}

/* Device control: SRST holds both devices in reset while it is set. */
static void ctl_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct ide_channel *ch = opaque;
    uint8_t was = ch->control;

    ch->control = val;
    if (val & CTL_SRST) {
        for (unsigned i = 0; i < IDE_UNITS; i++) {
            ide_cancel(&ch->u[i]);
            ch->u[i].phase = IDE_BUSY;
            ch->u[i].status = ide_present(&ch->u[i]) ? ATA_BSY : 0;
        }
        ide_irq(ch, 0);
    } else if (was & CTL_SRST) {
        for (unsigned i = 0; i < IDE_UNITS; i++) {
            ide_unit_reset(&ch->u[i]);
            ch->u[i].tf.device = 0;
        }
        ch->selected = 0;
    }
    if ((val ^ was) & CTL_NIEN)
        drive_wire(ch);              /* what is pending shows once it may */
}

static const struct io_ops cmd_ops = { cmd_read, cmd_write, 1, 4 };
static const struct io_ops ctl_ops = { ctl_read, ctl_write, 1, 1 };

/* ---- bus master registers ---------------------------------------------------------------------------- */

static uint64_t bm_read(void *opaque, uint64_t off, unsigned size)
{
    struct ide *s = opaque;
    struct ide_channel *ch = &s->ch[off >> 3 & 1];

    switch (off & 7) {
    case BM_CMD:
        return ch->bm.cmd;
    case BM_STATUS:
        return ch->bm.status;
    case BM_TABLE:
    case BM_TABLE + 1:
    case BM_TABLE + 2:
    case BM_TABLE + 3:
        return ch->bm.table >> (8 * (off & 3));
    }
    return 0xff;
}

static void bm_set_cmd(struct ide_channel *ch, uint8_t v)
{
    uint8_t was = ch->bm.cmd;

    ch->bm.cmd = v & (BM_START | BM_TO_MEMORY);
    if (!(was & BM_START) && (v & BM_START))
        ide_bm_start(ch);
    else if ((was & BM_START) && !(v & BM_START))
        ide_bm_stop(ch);
}

static void bm_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct ide *s = opaque;
    struct ide_channel *ch = &s->ch[off >> 3 & 1];
    unsigned sh = 8 * (off & 3);

    switch (off & 7) {
    case BM_CMD:
        bm_set_cmd(ch, val);
        break;
    case BM_STATUS:
        ch->bm.status = (ch->bm.status & ~BM_CAPABLE) | (val & BM_CAPABLE);
        ch->bm.status &= ~(val & (BM_ERROR | BM_INTERRUPT));
        break;
    case BM_TABLE:
    case BM_TABLE + 1:
    case BM_TABLE + 2:
    case BM_TABLE + 3:
        ch->bm.table &= ~((uint32_t)size_mask(size) << sh);
        ch->bm.table |= (uint32_t)val << sh;
        ch->bm.table &= ~3u;
        break;
    }
}

static const struct io_ops bm_ops = { bm_read, bm_write, 1, 4 };

/* ---- disks ----------------------------------------------------------------------------------------------- */

static int find_place(struct ide *s, int *bus, int *unit)
{
    for (int b = *bus < 0 ? 0 : *bus; b < IDE_CHANNELS && (*bus < 0 || b == *bus); b++)
        for (int n = *unit < 0 ? 0 : *unit; n < IDE_UNITS && (*unit < 0 || n == *unit); n++)
            if (!ide_present(&s->ch[b].u[n])) {
                *bus = b;
                *unit = n;
                return 0;
            }
    return -EBUSY;
}

int ide_plug(struct device *ctl, struct ide_unit_device *d, int bus, int unit, struct err *e)
{
    struct ide *s = (struct ide *)ctl;
    struct ide_unit *u;
    int ret;

    if (bus >= IDE_CHANNELS || unit >= IDE_UNITS)
        return err_set(e, -EINVAL, "%s: there is no place ide.%d unit %d", d->dev.type->name, bus,
                       unit);
    if (find_place(s, &bus, &unit) < 0)
        return err_set(e, -EBUSY, "%s: no free place on the IDE controller%s", d->dev.type->name,
                       bus < 0 ? "" : " there");
    u = &s->ch[bus].u[unit];
    u->ata.cd = d->dev.type == &ide_cd_type;
    u->ata.serial = d->serial;
    u->ata.model = d->model;
    u->ata.ver = d->ver;
    u->ata.unit = bus * IDE_UNITS + unit;
    u->ata.drive = d->drive;
    ret = ata_attach(&u->ata, &d->dev, e);
    if (ret < 0) {
        u->ata.drive = NULL;
        return ret;
    }
    u->buf = xzalloc(IDE_BUF_BYTES);
    ata_dev_reset(&u->ata);
    d->controller = ctl;
    d->place_bus = bus;
    d->place_unit = unit;
    return 0;
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

static void channel_init(struct ide *s, unsigned n)
{
    static const uint16_t cmd[] = { 0x1f0, 0x170 }, ctl[] = { 0x3f6, 0x376 };
    struct ide_channel *ch = &s->ch[n];
    struct machine *m = s->pci.dev.machine;

    ch->ide = s;
    ch->irq = machine_irq(m, 14 + n);
    for (unsigned i = 0; i < IDE_UNITS; i++)
        ch->u[i].ch = ch;
    port_set_strings(port_map(m, "ide-cmd", cmd[n], 8, &cmd_ops, ch), cmd_read_string);
    port_map(m, "ide-ctl", ctl[n], 1, &ctl_ops, ch);
}

static int ide_init(struct device *d, struct err *e)
{
    struct ide *s = (struct ide *)d;
    static const struct pci_info info = { .vendor = 0x8086, .device = 0x7010,
                                          .class_code = 0x010180 };
    int ret = pci_device_init(&s->pci, &info, e);

    if (ret < 0)
        return ret;
    pci_bar_io(&s->pci, 4, 16, "ide-bm", &bm_ops, s);
    s->pci.master_on = ide_bm_master_on;
    memset(s->pci.wmask + IDETIM, 0xff, 4);
    for (unsigned n = 0; n < IDE_CHANNELS; n++)
        channel_init(s, n);
    return 0;
}

static void ide_reset(struct device *d)
{
    struct ide *s = (struct ide *)d;

    for (unsigned n = 0; n < IDE_CHANNELS; n++) {
        struct ide_channel *ch = &s->ch[n];

        for (unsigned i = 0; i < IDE_UNITS; i++) {
            ide_unit_reset(&ch->u[i]);
            if (ide_present(&ch->u[i]))
                ata_dev_reset(&ch->u[i].ata);
            ch->u[i].tf.device = 0;
        }
        ch->selected = ch->control = 0;
        memset(&ch->bm, 0, sizeof ch->bm);
        ide_irq(ch, 0);
    }
    pci_device_reset(&s->pci);
    stl16(s->pci.config + PCI_STATUS, 0x0280);
    stl32(s->pci.config + IDETIM, 0);
}

static void ide_destroy(struct device *d)
{
    struct ide *s = (struct ide *)d;

    for (unsigned n = 0; n < IDE_CHANNELS; n++)
        for (unsigned i = 0; i < IDE_UNITS; i++) {
            ide_cancel(&s->ch[n].u[i]);
            drive_release(s->ch[n].u[i].ata.drive);
            free(s->ch[n].u[i].buf);
        }
    pci_device_unplug(&s->pci);
}

static const struct dev_field ide_fields[] = {
    FIELD(BYTES, struct ide, pci.config),
    FIELD(U8, struct ide, ch[0].selected), FIELD(U8, struct ide, ch[0].control),
    FIELD(U8, struct ide, ch[1].selected), FIELD(U8, struct ide, ch[1].control),
    FIELD(BOOL, struct ide, ch[0].intrq), FIELD(BOOL, struct ide, ch[1].intrq),
    FIELD(U8, struct ide, ch[0].bm.status), FIELD(U8, struct ide, ch[1].bm.status),
    FIELD(BYTES, struct ide, ch[0].u[0].tf), FIELD(BYTES, struct ide, ch[0].u[1].tf),
    FIELD(BYTES, struct ide, ch[1].u[0].tf), FIELD(BYTES, struct ide, ch[1].u[1].tf),
    FIELD_END
};

const struct device_type piix3_ide_type = {
    .name = "piix3-ide", .desc = "PIIX3 IDE controller", .size = sizeof(struct ide),
    .init = ide_init, .reset = ide_reset, .destroy = ide_destroy, .fields = ide_fields,
};
