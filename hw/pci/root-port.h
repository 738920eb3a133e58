/*
 * root-port.h - PCI Express slots
 */
#ifndef HW_PCI_ROOT_PORT_H
#define HW_PCI_ROOT_PORT_H

#include "hw/pci/pci.h"

extern const struct device_type pcie_root_port_type;

/** root_port_bus() - the bus behind the root port with this id, or NULL */
struct pci_bus *root_port_bus(struct machine *m, const char *id);
/** root_port_check() - whether a card can come to @bus, which is a root port's; messages begin with
 *  @name. 0, or -EBUSY with @e set */
int root_port_check(const struct pci_bus *bus, const char *name, struct err *e) MUST_CHECK;
/** root_port_added() - @p, constructed and reset, is in its slot: tell the guest */
void root_port_added(struct pci_device *p);
/** root_port_remove() - press the slot's attention button; @p is removed when the guest switches the slot
 *  off, after five seconds. 0, or -EBUSY with @e set: it has been pressed already */
int root_port_remove(struct pci_device *p, struct err *e) MUST_CHECK;

#endif
