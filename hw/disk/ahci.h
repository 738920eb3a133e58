/*
 * ahci.h - ICH9 AHCI controller (8086:2922)
 */
#ifndef HW_DISK_AHCI_H
#define HW_DISK_AHCI_H

#include "hw/disk/ide.h"

#define AHCI_PORTS 6

extern const struct device_type ahci_type;

/** ahci_plug() - put a disk at port @port (-1: the first free one); 0, -EBUSY
 *  or -EINVAL with @e set */
int ahci_plug(struct device *ctl, struct ide_unit_device *u, int port, struct err *e) MUST_CHECK;

#endif
