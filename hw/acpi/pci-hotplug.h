/*
 * pci-hotplug.h - cards that come and go while the guest runs
 */
#ifndef HW_ACPI_PCI_HOTPLUG_H
#define HW_ACPI_PCI_HOTPLUG_H

#include "hw/pci/pci.h"

#define PCI_HOTPLUG_FIRST 3     /* slots below hold the chipset and the display; as slots.sh says */

/** struct pci_hotplug - embedded in the chip whose GPE tells the guest; becomes m->hotplug */
struct pci_hotplug {
    struct machine *m;
    uint32_t up, down;          /* slots the guest is to look at, to give back */
};

/** pci_hotplug_init() - claim the ports, become m->hotplug */
void pci_hotplug_init(struct pci_hotplug *h, struct machine *m);
/** pci_hotplug_reset() - the guest starts anew: what it was to give back is gone */
void pci_hotplug_reset(struct pci_hotplug *h);

/**
 * pci_hotplug_check() - whether a card can be plugged into the running machine
 * @devfn: where, or -1: anywhere
 * Returns 0, or -EOPNOTSUPP / -EBUSY / -EINVAL with @e set; messages begin with @name.
 */
int pci_hotplug_check(struct machine *m, const char *name, int devfn, struct err *e) MUST_CHECK;
/** pci_hotplug_added() - @p, constructed and reset, is there: tell the guest */
void pci_hotplug_added(struct pci_device *p);
/**
 * pci_hotplug_remove() - ask the guest to give @p back; it is removed when the guest does
 * Returns 0, or -EOPNOTSUPP with @e set when it cannot be taken out.
 */
int pci_hotplug_remove(struct pci_device *p, struct err *e) MUST_CHECK;

/** PCI_HOTPLUG_FIELDS - rows of the chip's fields table; @base: the struct in it */
#define PCI_HOTPLUG_FIELDS(st, base) FIELD(U32, st, base.up), FIELD(U32, st, base.down)

#endif
