/*
 * bridge.c - PCI-to-PCI bridges: the type 1 header and the bus behind it
 *
 * What a device behind a bridge decodes is there as long as the windows of all bridges above let it
 * through. Its pins arrive at the bridge's, turned by the slot number.
 * Source: PCI-to-PCI Bridge Architecture Specification 1.2, 3.2 and 9.1.
 */
#include "hw/pci/pci.h"

enum {
    PRIMARY = 0x18, SECONDARY = 0x19, SUBORDINATE = 0x1a, IO_BASE = 0x1c, IO_LIMIT = 0x1d,
    SEC_STATUS = 0x1e, MEM_BASE = 0x20, MEM_LIMIT = 0x22, PREF_BASE = 0x24, PREF_LIMIT = 0x26,
    PREF_BASE_HIGH = 0x28, PREF_LIMIT_HIGH = 0x2c, CONTROL = 0x3e, HEADER_END = 0x40,
};
enum { CONTROL_PARITY = 1, CONTROL_SERR = 2, CONTROL_RESET = 0x40 };

void pci_bridge_init(struct pci_bus *bus, struct pci_device *bridge, unsigned n_slots)
{
    uint8_t *c = bridge->config, *w = bridge->wmask;

    *bus = (struct pci_bus){ .machine = bridge->bus->machine, .bridge = bridge, .n_slots = n_slots,
                             .sibling = bridge->bus->children };
    bridge->bus->children = bus;
    c[PCI_HEADER_TYPE] |= 1;
    memset(c + PRIMARY, 0, PCI_CAP_PTR - PRIMARY);        /* where others have a subsystem */
    c[PREF_BASE] = c[PREF_LIMIT] = 1;                     /* 64 bits */
    memset(w + PRIMARY, 0xff, 3);
    w[IO_BASE] = w[IO_LIMIT] = 0xf0;
    stl16(w + MEM_BASE, 0xfff0);
    stl16(w + MEM_LIMIT, 0xfff0);
    stl16(w + PREF_BASE, 0xfff0);
    stl16(w + PREF_LIMIT, 0xfff0);
    memset(w + PREF_BASE_HIGH, 0xff, 8);
    w[CONTROL] = CONTROL_PARITY | CONTROL_SERR | CONTROL_RESET;
    stl16(bridge->w1c + SEC_STATUS, 0xf900);
}

void pci_bridge_free(struct pci_bus *bus)
{
    struct pci_bus **p;

    if (!bus->bridge)
        return;
    for (p = &bus->bridge->bus->children; *p; p = &(*p)->sibling)
        if (*p == bus) {
            *p = bus->sibling;
            break;
        }
    bus->bridge = NULL;
}

/* ---- windows ------------------------------------------------------------------------ */

static bool within(uint64_t at, uint64_t size, uint64_t base, uint64_t last)
{
    return at >= base && at <= last && size - 1 <= last - at;
}

static bool one_forwards(const uint8_t *c, uint64_t at, uint64_t size, bool io)
{
    uint16_t cmd = ldl16(c + PCI_COMMAND);

    if (io)
        return (cmd & PCI_COMMAND_IO) &&
               within(at, size, (c[IO_BASE] & 0xf0u) << 8, (c[IO_LIMIT] & 0xf0u) << 8 | 0xfff);
    if (!(cmd & PCI_COMMAND_MEM))
        return false;
    return within(at, size, (ldl16(c + MEM_BASE) & 0xfff0ull) << 16,
                  (ldl16(c + MEM_LIMIT) & 0xfff0ull) << 16 | 0xfffff) ||
           within(at, size, (uint64_t)ldl32(c + PREF_BASE_HIGH) << 32 | (ldl16(c + PREF_BASE) & 0xfff0ull) << 16,
                  (uint64_t)ldl32(c + PREF_LIMIT_HIGH) << 32 | (ldl16(c + PREF_LIMIT) & 0xfff0ull) << 16 | 0xfffff);
}

bool pci_bridge_forwards(const struct pci_bus *bus, uint64_t at, uint64_t size, bool io)
{
    for (; bus->bridge; bus = bus->bridge->bus)
        if (!one_forwards(bus->bridge->config, at, size, io))
            return false;
    return true;
}

/* ---- changes --------------------------------------------------------------------------- */

/* Recursion is as deep as the user has nested bridges. */
static void update_below(struct pci_bus *bus)
{
    for (unsigned i = 0; i < ARRAY_SIZE(bus->slots); i++) {
        struct pci_device *p = bus->slots[i];

        if (!p)
            continue;
        p->dma.rid = bus->number << 8 | p->devfn;
        pci_update_bars(p);
    }
    for (struct pci_bus *b = bus->children; b; b = b->sibling)
        update_below(b);
}

static void reset_below(struct pci_bus *bus)
{
    for (unsigned i = 0; i < ARRAY_SIZE(bus->slots); i++) {
        struct pci_device *p = bus->slots[i];

        if (p && p->dev.type->reset)
            p->dev.type->reset(&p->dev);
    }
}

void pci_bridge_written(struct pci_bus *bus, unsigned off, unsigned size)
{
    uint8_t *c = bus->bridge->config;

    if (off >= HEADER_END)
        return;
    if (off <= CONTROL && off + size > CONTROL) {
        bool reset = c[CONTROL] & CONTROL_RESET;

        if (reset && !bus->in_reset)
            reset_below(bus);
        bus->in_reset = reset;
    }
    bus->number = c[SECONDARY];
    update_below(bus);
}

void pci_bridge_reset(struct pci_bus *bus)
{
    uint8_t *c = bus->bridge->config;

    memset(c + PRIMARY, 0, PCI_CAP_PTR - PRIMARY);
    c[PREF_BASE] = c[PREF_LIMIT] = 1;
    c[CONTROL] = 0;
    bus->in_reset = false;
    bus->number = 0;
    update_below(bus);
}

/* Whether configuration accesses for bus @n go through the bridge. */
static bool leads_to(const struct pci_bus *bus, uint8_t n)
{
    const uint8_t *c = bus->bridge->config;

    return c[SECONDARY] && n >= c[SECONDARY] && n <= c[SUBORDINATE];
}

struct pci_device *pci_find(struct pci_bus *bus, uint8_t busnr, uint8_t devfn)
{
    struct pci_bus *below;

    while (bus && busnr != bus->number) {
        for (below = bus->children; below && !leads_to(below, busnr); below = below->sibling)
            ;
        bus = below;
    }
    return bus ? bus->slots[devfn] : NULL;
}
