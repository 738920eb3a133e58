/*
 * disks.c - from the command line's drives and devices to the machine's
 */
#include <stdlib.h>
#include "hw/disk/fdc.h"
#include "hw/disk/ide.h"
#include "hw/virtio/virtio.h"
#include "ui/run-int.h"

#define IDE_DEVFN PCI_DEVFN(1, 1)

/* ---- drives ---------------------------------------------------------------------------- */

static int need_context(struct run *r, struct err *e)
{
    if (r->block_ctx)
        return 0;
    r->block_ctx = block_ctx_new(0, e);
    if (!r->block_ctx)
        return -EIO;
    block_ctx_attach(r->block_ctx, r->m->loop);
    return 0;
}

int run_open_drive(struct run *r, const struct opt_drive *o, struct err *e)
{
    struct err why = { "" };
    struct block *blk;
    struct drive *d;

    if (drive_find(r->m, o->id))
        return err_set(e, -EINVAL, "%s: id '%s' is taken", o->text, o->id);
    if (need_context(r, e) < 0)
        return -EIO;
    blk = block_open(r->block_ctx, &o->opts, &why);
    if (!blk)
        return err_set(e, -EIO, "%s: %s", o->text, why.msg);
    d = drive_new(r->m, o->id, blk);
    d->interface = o->interface;
    d->bus = o->bus;
    d->unit = o->unit;
    d->cdrom = o->cdrom;
    d->serial = o->serial ? xstrdup(o->serial) : NULL;
    return 0;
}

static int open_drives(struct run *r, struct err *e)
{
    for (const struct opt_drive *o = r->opt->disks.drives; o; o = o->next)
        if (!o->used && run_open_drive(r, o, e) < 0)
            return -EIO;
    return 0;
}

/* A CD-ROM drive without a disc in it, for -device ide-cd without drive=. */
static int empty_drive(struct run *r, const char *id, struct err *e)
{
    struct block_opts o;
    struct block *blk;

    block_opts_init(&o);
    o.readonly = true;
    blk = block_open(r->block_ctx, &o, e);
    if (!blk)
        return -EIO;
    drive_new(r->m, id, blk)->cdrom = true;
    return 0;
}

/* ---- devices ------------------------------------------------------------------------------ */

static bool needs_ide(const struct run *r)
{
    if (r->opt->cfg.board == BOARD_Q35)
        return false;                  /* its AHCI controller is always there */
    for (const struct opt_drive *o = r->opt->disks.drives; o; o = o->next)
        if (o->interface == DRIVE_IF_IDE)
            return true;
    for (const struct opt_dev *d = r->opt->disks.devs; d; d = d->next) {
        const char *bus = kv_get(&d->props, "bus");

        if (d->type->bus == USER_IDE && (!bus || !strncmp(bus, "ide.", 4)))
            return true;
    }
    return false;
}

static int add_ide(struct run *r, struct err *e)
{
    uint8_t devfn = IDE_DEVFN;

    if (!needs_ide(r))
        return 0;
    return machine_add_device(r->m, &piix3_ide_type, 0, NULL, pci_setup_devfn, &devfn, e) ? 0 : -EIO;
}

static bool needs_fdc(const struct run *r)
{
    for (const struct opt_drive *o = r->opt->disks.drives; o; o = o->next)
        if (o->interface == DRIVE_IF_FLOPPY)
            return true;
    for (const struct opt_dev *d = r->opt->disks.devs; d; d = d->next)
        if (d->type->type == &floppy_type)
            return true;
    return false;
}

static int add_fdc(struct run *r, struct err *e)
{
    if (!needs_fdc(r))
        return 0;
    return machine_add_device(r->m, &fdc_type, 0, NULL, NULL, NULL, e) ? 0 : -EIO;
}

static struct device *add(struct run *r, const char *type, const char *id,
                          const struct user_prop *props, size_t n, struct err *e)
{
    return user_device_add(r->m, user_device_find(type), id, props, n, e);
}

/* The device that if= stands for. */
static int add_default(struct run *r, struct drive *d, struct err *e)
{
    char bus[16], unit[16];
    struct user_prop ide[] = { { "drive", d->id }, { "bus", bus }, { "unit", unit } };

    snprintf(bus, sizeof bus, "ide.%d", d->bus);
    snprintf(unit, sizeof unit, "%d", d->unit);
    switch (d->interface) {
    case DRIVE_IF_IDE:
        return add(r, d->cdrom ? "ide-cd" : "ide-hd", NULL, ide, 3, e) ? 0 : -EIO;
    case DRIVE_IF_VIRTIO:
        return add(r, "virtio-blk-pci", NULL, ide, 1, e) ? 0 : -EIO;
    case DRIVE_IF_FLOPPY:
        ide[1] = ide[2];
        return add(r, "floppy", NULL, ide, 2, e) ? 0 : -EIO;
    default:
        return 0;
    }
}

static int add_defaults(struct run *r, struct err *e)
{
    for (struct drive *d = r->m->drives; d; d = d->next)
        if (add_default(r, d, e) < 0)
            return -EIO;
    return 0;
}

static int add_device(struct run *r, const struct opt_dev *o, unsigned n, struct err *e)
{
    struct user_prop *props = xzalloc((o->props.n + 1) * sizeof *props);
    struct err why = { "" };
    size_t count = o->props.n;
    char id[32];
    int ret = 0;

    for (size_t i = 0; i < count; i++)
        props[i] = (struct user_prop){ o->props.item[i].key, o->props.item[i].val };
    if (o->type->type == &ide_cd_type && !kv_get(&o->props, "drive")) {
        snprintf(id, sizeof id, "#cd%u", n);
        ret = empty_drive(r, id, e);
        props[count++] = (struct user_prop){ "drive", id };
    }
    if (ret == 0 && !user_device_add(r->m, o->type, o->id, props, count, &why))
        ret = err_set(e, -EINVAL, "-device %s", why.msg);
    free(props);
    return ret;
}

static int add_devices(struct run *r, struct err *e)
{
    unsigned n = 0;

    for (const struct opt_dev *o = r->opt->disks.devs; o; o = o->next)
        if (add_device(r, o, n++, e) < 0)
            return -EINVAL;
    return 0;
}

int run_drives(struct run *r, struct err *e)
{
    if ((r->opt->disks.drives || r->opt->disks.devs) && need_context(r, e) < 0)
        return -EIO;
    return open_drives(r, e);
}

int run_disks(struct run *r, struct err *e)
{
    int ret = add_ide(r, e);

    if (ret == 0)
        ret = add_fdc(r, e);
    if (ret == 0)
        ret = add_defaults(r, e);
    if (ret == 0)
        ret = add_devices(r, e);
    if (ret == 0)
        ret = boot_order_publish(r->m, e);
    return ret;
}

void run_disks_free(struct run *r, struct drive *drives)
{
    struct err e = { "" };

    if (drives_free(drives, &e) < 0)
        fprintf(stderr, "transom: %s\n", e.msg);
    if (r->block_ctx) {
        block_ctx_attach(r->block_ctx, NULL);
        block_ctx_free(r->block_ctx);
    }
    r->block_ctx = NULL;
}
