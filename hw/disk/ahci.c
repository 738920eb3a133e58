/*
 * ahci.c - ICH9 AHCI controller
 */
#include "hw/disk/ahci.h"

static int ahci_init(struct device *d, struct err *e)
{
    return err_set(e, -ENOTSUP, "ahci: not supported yet");
}

int ahci_plug(struct device *ctl, struct ide_unit_device *u, int port, struct err *e)
{
    return err_set(e, -ENOTSUP, "ahci: not supported yet");
}

const struct device_type ahci_type = { .name = "ahci", .size = sizeof(struct pci_device), .init = ahci_init };
