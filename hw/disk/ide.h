/*
 * ide.h - IDE controller of the PIIX3, its disks and CD-ROMs
 *
 * The controller is PCI function 00:01.1 with the two channels at their
 * compatible ports; ide-hd and ide-cd are devices that plug into it.
 */
#ifndef HW_DISK_IDE_H
#define HW_DISK_IDE_H

#include "hw/disk/ata.h"
#include "hw/pci/pci.h"

#define IDE_CHANNELS 2
#define IDE_UNITS    2

extern const struct device_type piix3_ide_type;
/** also plug into an AHCI controller: bus=ide.N of the one that is there */
extern const struct device_type ide_hd_type, ide_cd_type;

/** struct ide_unit_device - ide-hd or ide-cd: properties; the controller does the work */
struct ide_unit_device {
    struct device dev;
    struct drive *drive;
    char *bus;               /* "ide.0", "ide.1", ...; NULL: the first free place */
    int32_t unit;            /* -1: the first free one */
    char *serial, *model, *ver;
    int32_t bootindex;
    bool empty;              /* out: this made an empty drive of its own */
    struct device *controller; /* out: where it plugged in */
    int place_bus, place_unit; /* out */
};

/** ide_plug() - put a disk at @bus, @unit (-1: first free) of a PIIX3 IDE
 *  controller @ctl. Returns 0, -EBUSY or -EINVAL with @e set. */
int ide_plug(struct device *ctl, struct ide_unit_device *u, int bus, int unit,
             struct err *e) MUST_CHECK;

#endif
