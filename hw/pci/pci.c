/*
 * pci.c - PCI bus: configuration space, base address registers, INTx
 *
 * Memory BARs sit below RAM in priority, because the host bridge decodes DRAM
 * first: a guest that moves a BAR onto RAM does not lose the RAM.
 */
#include <stdlib.h>
#include "hw/doorbell.h"
#include "hw/pci/pci.h"

#define BAR_PRIO      (-1)
#define DEFAULT_SUBSYS_VENDOR 0x1af4
#define DEFAULT_SUBSYS_ID     0x1100

struct pci_bus *pci_bus_new(struct machine *m)
{
    struct pci_bus *bus = xzalloc(sizeof *bus);

    bus->machine = m;
    bus->n_slots = 32;
    m->pci = bus;
    return bus;
}

void pci_bus_free(struct pci_bus *bus)
{
    if (bus)
        bus->machine->pci = NULL;
    free(bus);
}

void pci_setup_devfn(struct device *d, const void *arg)
{
    ((struct pci_device *)d)->devfn = *(const uint8_t *)arg;
}

struct pci_bus *pci_target(const struct pci_device *p)
{
    return p->target ? p->target : p->dev.machine->pci;
}

int pci_free_slot(const struct pci_bus *bus)
{
    for (unsigned slot = bus ? bus->first_slot : 0; bus && slot < bus->n_slots; slot++)
        if (!bus->slots[PCI_DEVFN(slot, 0)])
            return PCI_DEVFN(slot, 0);
    return -1;
}

/* ---- base address registers ------------------------------------------------- */

static unsigned bar_offset(unsigned n)
{
    return n == PCI_ROM_SLOT ? PCI_ROM_BAR : PCI_BAR0 + 4 * n;
}

/* Where BAR @n should answer now, or PCI_UNMAPPED. */
static uint64_t bar_wanted(struct pci_device *p, unsigned n)
{
    struct pci_bar *b = &p->bar[n];
    uint16_t cmd = ldl16(p->config + PCI_COMMAND);
    uint64_t v = ldl32(p->config + bar_offset(n));
    uint64_t limit = UINT32_MAX;

    if (!(cmd & (b->flags & PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEM)))
        return PCI_UNMAPPED;
    if (n == PCI_ROM_SLOT && !(v & PCI_ROM_ENABLE))
        return PCI_UNMAPPED;
    if (b->flags & PCI_BAR_IO)
        limit = UINT16_MAX;
    if (b->flags & PCI_BAR_64) {
        v |= (uint64_t)ldl32(p->config + bar_offset(n) + 4) << 32;
        limit = UINT64_MAX;
    }
    v &= ~(b->size - 1);
    /* 0 is "not assigned"; the very top is a size probe with decoding left on */
    if (v == 0 || v > limit || v + (b->size - 1) >= limit)
        return PCI_UNMAPPED;
    return v;
}

static void bar_map_io(struct pci_device *p, struct pci_bar *b, uint64_t at)
{
    struct machine *m = p->bus->machine;

    port_unmap(m, b->ports);
    b->ports = NULL;
    if (at != PCI_UNMAPPED)
        b->ports = port_map(m, b->name, at, b->size, &b->ops, b->opaque);
    doorbells_changed(m);
}

void pci_update_bars(struct pci_device *p)
{
    bool changed = false;

    for (unsigned n = 0; n < ARRAY_SIZE(p->bar); n++) {
        struct pci_bar *b = &p->bar[n];
        uint64_t at = b->size ? bar_wanted(p, n) : PCI_UNMAPPED;

        if (at != PCI_UNMAPPED && !pci_bridge_forwards(p->bus, at, b->size, b->flags & PCI_BAR_IO))
            at = PCI_UNMAPPED;
        if (!b->size || at == b->mapped_at)
            continue;
        log_ev(LOG_PCI, "pci devfn=%#x bar=%u at=%#llx size=%#llx", p->devfn, n,
               (unsigned long long)at, (unsigned long long)b->size);
        b->mapped_at = at;
        if (b->flags & PCI_BAR_IO) {
            bar_map_io(p, b, at);
            continue;
        }
        b->mem->enabled = at != PCI_UNMAPPED;
        b->mem->base = b->mem->enabled ? at : 0;
        changed = true;
    }
    if (changed)
        mem_update(&p->bus->machine->mem);
}

/* Writable address bits; the low ones read back as the BAR's type. */
static void bar_declare(struct pci_device *p, unsigned n, uint64_t size, unsigned flags)
{
    unsigned off = bar_offset(n);

    assert(n < ARRAY_SIZE(p->bar) && size && !(size & (size - 1)));
    p->bar[n].size = size;
    p->bar[n].flags = flags;
    p->bar[n].mapped_at = PCI_UNMAPPED;
    stl32(p->config + off, flags);
    stl32(p->wmask + off, (uint32_t)~(size - 1));
    if (flags & PCI_BAR_64)
        stl32(p->wmask + off + 4, (uint32_t)(~(size - 1) >> 32));
}

void pci_bar_io(struct pci_device *p, unsigned n, unsigned size, const char *name,
                const struct io_ops *ops, void *opaque)
{
    bar_declare(p, n, size, PCI_BAR_IO);
    p->bar[n].name = name;
    p->bar[n].ops = *ops;
    p->bar[n].opaque = opaque;
}

void pci_bar_mem(struct pci_device *p, unsigned n, unsigned flags, struct mem_region *r)
{
    bar_declare(p, n, r->len, flags);
    p->bar[n].mem = r;
    r->prio = BAR_PRIO;
    r->enabled = false;
    mem_add(&p->bus->machine->mem, r);
}

void pci_rom(struct pci_device *p, const uint8_t *image, size_t len)
{
    uint64_t size = 4096;

    while (size < len)
        size <<= 1;
    p->rom.host = aligned_alloc(4096, size);
    if (!p->rom.host)
        return;                 /* the card then simply has no ROM */
    memset(p->rom.host, 0xff, size);
    memcpy(p->rom.host, image, len);
    p->rom.name = p->dev.type->name;
    p->rom.len = size;
    p->rom.kind = MEM_ROM;
    pci_bar_mem(p, PCI_ROM_SLOT, 0, &p->rom);
    p->wmask[PCI_ROM_BAR] |= PCI_ROM_ENABLE;
}

uint8_t pci_add_cap(struct pci_device *p, uint8_t id, uint8_t len)
{
    uint8_t off = p->next_cap;

    if (off + len > 256)
        return 0;
    p->config[off] = id;
    p->config[off + 1] = p->config[PCI_CAP_PTR];
    p->config[PCI_CAP_PTR] = off;
    p->config[PCI_STATUS] |= PCI_STATUS_CAPS;
    p->next_cap = align_up(off + len, 4);
    return off;
}

/* ---- INTx ---------------------------------------------------------------------- */

unsigned pci_pirq_of(const struct pci_bus *bus, uint8_t devfn, unsigned pin)
{
    for (; bus->bridge; bus = bus->bridge->bus) {
        pin = ((pin + PCI_SLOT(devfn) - 1) & 3) + 1;
        devfn = bus->bridge->devfn;
    }
    return bus->pirq_of ? bus->pirq_of(bus, devfn, pin) & (PCI_PIRQS - 1) : 0;
}

static void pirq_count(struct pci_bus *bus, unsigned pirq, bool more)
{
    while (bus->bridge)
        bus = bus->bridge->bus;
    bus->intx_count[pirq] += more ? 1 : -1;
    if (bus->pirq_set)
        bus->pirq_set(bus->pirq_opaque, pirq, bus->intx_count[pirq] != 0);
}

static void pci_update_intx(struct pci_device *p)
{
    struct pci_bus *bus = p->bus;
    bool masked = ldl16(p->config + PCI_COMMAND) & PCI_COMMAND_INTX_OFF;
    bool level = p->intx_asserted && !masked && !p->messages;
    unsigned pirq = pci_pirq_of(bus, p->devfn, p->config[PCI_INT_PIN]);

    p->config[PCI_STATUS] &= ~PCI_STATUS_INTX;
    if (p->intx_asserted)
        p->config[PCI_STATUS] |= PCI_STATUS_INTX;
    if (level == p->intx_on_bus)
        return;
    p->intx_on_bus = level;
    pirq_count(bus, pirq, level);
}

void pci_rewire(struct pci_bus *bus, bool on)
{
    for (unsigned i = 0; i < ARRAY_SIZE(bus->slots); i++) {
        struct pci_device *p = bus->slots[i];

        if (p && p->intx_on_bus)
            pirq_count(bus, pci_pirq_of(bus, p->devfn, p->config[PCI_INT_PIN]), on);
    }
    for (struct pci_bus *b = bus->children; b; b = b->sibling)
        pci_rewire(b, on);
}

void pci_irq_set(struct pci_device *p, int level)
{
    if (!p->config[PCI_INT_PIN])
        return;
    p->intx_asserted = level != 0;
    pci_update_intx(p);
}

void pci_use_messages(struct pci_device *p, bool on)
{
    p->messages = on;
    pci_update_intx(p);
}

/* ---- configuration space -------------------------------------------------------- */

uint32_t pci_config_read(struct pci_device *p, unsigned off, unsigned size)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < size && off + i < sizeof p->config; i++)
        v |= (uint32_t)p->config[off + i] << (i * 8);
    return v;
}

static bool overlaps(unsigned off, unsigned size, unsigned first, unsigned end)
{
    return off < end && off + size > first;
}

void pci_config_write(struct pci_device *p, unsigned off, uint32_t val, unsigned size)
{
    bool master = dma_enabled(&p->dma);

    for (unsigned i = 0; i < size && off + i < sizeof p->config; i++) {
        uint8_t v = val >> (i * 8), *c = &p->config[off + i];
        uint8_t mask = p->wmask[off + i];

        *c = (*c & ~mask) | (v & mask);
        *c &= ~(v & p->w1c[off + i]);
    }
    if (overlaps(off, size, PCI_COMMAND, PCI_COMMAND + 2)) {
        pci_update_intx(p);
        pci_update_bars(p);
    } else if (overlaps(off, size, PCI_BAR0, PCI_BAR0 + 24) ||
               overlaps(off, size, PCI_ROM_BAR, PCI_ROM_BAR + 4)) {
        pci_update_bars(p);
    }
    if (p->config_written)
        p->config_written(p, off, size);
    if (!master && dma_enabled(&p->dma) && p->master_on)
        p->master_on(p);
}

/* ---- plugging --------------------------------------------------------------------- */

static void header_fill(struct pci_device *p, const struct pci_info *info)
{
    uint8_t *c = p->config;

    stl16(c + PCI_VENDOR_ID, info->vendor);
    stl16(c + PCI_DEVICE_ID, info->device);
    c[PCI_REVISION] = info->revision;
    c[PCI_CLASS] = info->class_code;
    stl16(c + PCI_CLASS + 1, info->class_code >> 8);
    c[PCI_HEADER_TYPE] = info->multifunction ? 0x80 : 0;
    stl16(c + PCI_SUBSYS_VENDOR, info->subsys_vendor ? info->subsys_vendor
                                                     : DEFAULT_SUBSYS_VENDOR);
    stl16(c + PCI_SUBSYS_ID, info->subsys_vendor ? info->subsys_id
                                                 : DEFAULT_SUBSYS_ID);
    c[PCI_INT_PIN] = info->int_pin;
    stl16(p->wmask + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEM |
          PCI_COMMAND_MASTER | PCI_COMMAND_SERR | PCI_COMMAND_INTX_OFF);
    stl16(p->w1c + PCI_STATUS, 0xf900);     /* error bits */
    p->wmask[PCI_INT_LINE] = 0xff;
    p->wmask[0x0c] = 0xff;                  /* cache line size */
    p->next_cap = 0x40;
}

int pci_device_init(struct pci_device *p, const struct pci_info *info, struct err *e)
{
    struct pci_bus *bus = pci_target(p);

    if (!bus)
        return err_set(e, -ENODEV, "%s: this machine has no PCI bus", p->dev.type->name);
    if (bus->slots[p->devfn])
        return err_set(e, -EBUSY, "%s: PCI slot %u.%u is taken by %s",
                       p->dev.type->name, PCI_SLOT(p->devfn), PCI_FUNC(p->devfn),
                       bus->slots[p->devfn]->dev.type->name);
    if (PCI_SLOT(p->devfn) >= bus->n_slots)
        return err_set(e, -EINVAL, "%s: addr=%x: the bus has no such slot", p->dev.type->name, PCI_SLOT(p->devfn));
    p->bus = bus;
    p->dma = (struct dma){ .m = bus->machine, .command = p->config + PCI_COMMAND, .rid = bus->number << 8 | p->devfn };
    bus->slots[p->devfn] = p;
    header_fill(p, info);
    return 0;
}

void pci_device_reset(struct pci_device *p)
{
    stl16(p->config + PCI_COMMAND, 0);
    p->config[PCI_INT_LINE] = 0;
    for (unsigned n = 0; n < ARRAY_SIZE(p->bar); n++) {
        if (!p->bar[n].size)
            continue;
        stl32(p->config + bar_offset(n), p->bar[n].flags);
        if (p->bar[n].flags & PCI_BAR_64)
            stl32(p->config + bar_offset(n) + 4, 0);
    }
    p->intx_asserted = false;
    pci_update_intx(p);
    pci_update_bars(p);
}

void pci_device_hide(struct pci_device *p)
{
    pci_irq_set(p, 0);
    stl16(p->config + PCI_COMMAND, 0);
    pci_update_bars(p);
    if (p->bus->slots[p->devfn] == p)
        p->bus->slots[p->devfn] = NULL;
}

void pci_device_unplug(struct pci_device *p)
{
    if (!p->bus)
        return;
    pci_device_hide(p);
    for (unsigned n = 0; n < ARRAY_SIZE(p->bar); n++) {
        port_unmap(p->bus->machine, p->bar[n].ports);
        if (p->bar[n].mem)
            mem_remove(&p->bus->machine->mem, p->bar[n].mem);
    }
    free(p->rom.host);
}
