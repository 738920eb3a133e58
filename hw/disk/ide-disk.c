/*
 * ide-disk.c - ide-hd and ide-cd: disks as the command line names them
 *
 * They only find their place; the controller carries out the commands.
 */
#include <stdlib.h>
#include "hw/disk/ahci.h"
#include "hw/disk/ide.h"

/* "NAME.N": @name gets NAME, returns N; -1 when there is none. */
static int split_bus(const char *bus, char *name, size_t size)
{
    const char *dot = strrchr(bus, '.');

    snprintf(name, size, "%.*s", dot ? (int)(dot - bus) : (int)strlen(bus), bus);
    return dot && dot[1] ? atoi(dot + 1) : -1;
}

static struct device *controller(struct machine *m, const char *name)
{
    struct device *ahci = NULL;

    for (struct device *d = m->devices; d; d = d->next) {
        bool ide = d->type == &piix3_ide_type;

        if (!ide && d->type != &ahci_type)
            continue;
        if (name && d->id && !strcmp(d->id, name))
            return d;
        if (ide && (!name || !strcmp(name, "ide")))
            return d;
        ahci = ahci ? ahci : d;
    }
    return name && strcmp(name, "ide") ? NULL : ahci;
}

static int unit_init(struct device *d, struct err *e)
{
    struct ide_unit_device *u = (struct ide_unit_device *)d;
    char name[64];
    int bus = u->bus ? split_bus(u->bus, name, sizeof name) : -1;
    struct device *ctl = controller(d->machine, u->bus ? name : NULL);

    if (!u->drive)
        return err_set(e, -EINVAL, "%s: drive property not set", d->type->name);
    if (!ctl)
        return err_set(e, -EINVAL, "%s: there is no bus '%s'", d->type->name,
                       u->bus ? u->bus : "ide");
    if (ctl->type == &ahci_type)
        return ahci_plug(ctl, u, bus, e);
    return ide_plug(ctl, u, bus, u->unit, e);
}

static const struct dev_prop unit_props[] = {
    PROP(DRIVE, "drive", struct ide_unit_device, drive, NULL, 0, 0, "the disk: id of -drive or -blockdev"),
    PROP(STRING, "bus", struct ide_unit_device, bus, NULL, 0, 0, "ide.0, ide.1, or ID.PORT of an ahci"),
    PROP(I32, "unit", struct ide_unit_device, unit, "-1", 0, 0, "0 master, 1 slave"),
    PROP(I32, "bootindex", struct ide_unit_device, bootindex, "-1", 0, 0, "place in the boot order"),
    PROP(STRING, "serial", struct ide_unit_device, serial, NULL, 0, 0, "serial number, 20 characters"),
    PROP(STRING, "model", struct ide_unit_device, model, NULL, 0, 0, "model, 40 characters"),
    PROP(STRING, "ver", struct ide_unit_device, ver, NULL, 0, 0, "firmware version, 8 characters"),
    { .name = "share-rw", .type = PROP_IGNORED, .help = "no effect" },
    { .name = "write-cache", .type = PROP_IGNORED, .help = "no effect: cache= of the drive decides" },
    { .name = "rotation_rate", .type = PROP_IGNORED, .help = "no effect" },
    PROP_END
};

const struct device_type ide_hd_type = {
    .name = "ide-hd", .desc = "IDE or SATA hard disk", .size = sizeof(struct ide_unit_device),
    .init = unit_init, .props = unit_props,
};
const struct device_type ide_cd_type = {
    .name = "ide-cd", .desc = "IDE or SATA CD-ROM", .size = sizeof(struct ide_unit_device),
    .init = unit_init, .props = unit_props,
};
