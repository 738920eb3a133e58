/*
 * pci-hotplug.c - slots of the root bus: injected, to be ejected, ejected
 *
 *   0xae00  slots that a card has come to, a bit each; cleared by reading
 *   0xae04  slots whose card is to be given back
 *   0xae08  write: slots to switch off
 *   0xae0c  slots whose card can be taken out
 *
 * A change sets GPE 1; the method behind it (dsdt.asl) reads the first two and notifies the
 * operating system, whose answer to the second is the slot's _EJ0, a write to the third.
 * The card is off the bus at once; the main loop destroys it when no vCPU runs.
 *
 * Source: "QEMU<->ACPI BIOS PCI hotplug interface", the published interface of these ports;
 * ACPI 6.3, 5.6.4 and 6.3.
 */
#include "hw/acpi/pci-hotplug.h"
#include "hw/acpi/pm.h"

#define HOTPLUG_PORT 0xae00
#define HOTPLUG_LEN  16
#define HOTPLUG_GPE  1
enum { REG_UP = 0, REG_DOWN = 4, REG_EJECT = 8, REG_REMOVABLE = 12 };

static bool removable(const struct pci_device *p)
{
    return PCI_SLOT(p->devfn) >= PCI_HOTPLUG_FIRST && !p->fixed;
}

static uint32_t removable_slots(const struct pci_bus *bus)
{
    uint32_t slots = 0;

    for (unsigned slot = PCI_HOTPLUG_FIRST; slot < 32; slot++) {
        const struct pci_device *p = bus->slots[PCI_DEVFN(slot, 0)];

        if (p && removable(p))
            slots |= 1u << slot;
    }
    return slots;
}

static void eject(struct pci_hotplug *h, uint32_t slots)
{
    struct pci_bus *bus = h->m->pci;

    h->down &= ~slots;
    h->up &= ~slots;
    slots &= removable_slots(bus);
    for (unsigned devfn = 0; devfn < ARRAY_SIZE(bus->slots); devfn++) {
        struct pci_device *p = bus->slots[devfn];

        if (!p || !(slots >> PCI_SLOT(devfn) & 1))
            continue;
        log_ev(LOG_PCI, "pci eject devfn=%#x device=%s", devfn, p->dev.type->name);
        pci_device_hide(p);
        machine_request_remove(h->m, &p->dev);
    }
}

static uint64_t hotplug_read(void *opaque, uint64_t off, unsigned size)
{
    struct pci_hotplug *h = opaque;
    uint32_t v = 0;

    switch (off & ~3u) {
    case REG_UP:
        v = h->up;
        h->up = 0;
        break;
    case REG_DOWN:
        v = h->down;
        break;
    case REG_REMOVABLE:
        v = removable_slots(h->m->pci);
        break;
    }
    return v >> (off & 3) * 8 & size_mask(size);
}

static void hotplug_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    if (off == REG_EJECT && size == 4)
        eject(opaque, val);
    else
        log_guest(LOG_PCI, "pci hotplug write off=%#llx size=%u", (unsigned long long)off, size);
}

void pci_hotplug_init(struct pci_hotplug *h, struct machine *m)
{
    static const struct io_ops ops = { hotplug_read, hotplug_write, 1, 4 };

    h->m = m;
    m->hotplug = h;
    port_map(m, "pci-hotplug", HOTPLUG_PORT, HOTPLUG_LEN, &ops, h);
}

void pci_hotplug_reset(struct pci_hotplug *h)
{
    uint32_t down = h->down;

    h->up = h->down = 0;
    if (down)
        eject(h, down);
}

/* ---- the host's side ---------------------------------------------------------------- */

int pci_hotplug_check(struct machine *m, const char *name, int devfn, struct err *e)
{
    if (!m->hotplug || m->cfg.no_acpi)
        return err_set(e, -EOPNOTSUPP, "%s: this machine's PCI slots cannot be changed while it runs%s",
                       name, m->cfg.no_acpi ? " (no ACPI)" : "");
    if (devfn < 0)
        return 0;
    if (PCI_FUNC(devfn) || PCI_SLOT(devfn) < PCI_HOTPLUG_FIRST)
        return err_set(e, -EINVAL, "%s: addr=%x.%x: slots %x to 1f, function 0, can be changed while it runs",
                       name, PCI_SLOT(devfn), PCI_FUNC(devfn), PCI_HOTPLUG_FIRST);
    if (m->pci->slots[devfn])
        return err_set(e, -EBUSY, "%s: PCI slot %x is taken by %s", name, PCI_SLOT(devfn),
                       m->pci->slots[devfn]->dev.type->name);
    return 0;
}

void pci_hotplug_added(struct pci_device *p)
{
    struct pci_hotplug *h = p->dev.machine->hotplug;

    h->up |= 1u << PCI_SLOT(p->devfn);
    pm_gpe_event(h->m, HOTPLUG_GPE);
}

int pci_hotplug_remove(struct pci_device *p, struct err *e)
{
    struct pci_hotplug *h = p->dev.machine->hotplug;

    if (!h || p->dev.machine->cfg.no_acpi || !removable(p))
        return err_set(e, -EOPNOTSUPP, "%s cannot be taken out while the machine runs",
                       p->dev.type->name);
    if (p->dev.gone)
        return 0;                    /* the main loop is about to */
    h->down |= 1u << PCI_SLOT(p->devfn);
    h->up &= ~h->down;
    pm_gpe_event(h->m, HOTPLUG_GPE);
    return 0;
}
