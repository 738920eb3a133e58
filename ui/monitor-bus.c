/*
 * monitor-bus.c - PCI functions, for people and programs; the device tree
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "hw/pci/pci.h"
#include "hw/prop.h"
#include "ui/commands-int.h"
#include "ui/monitor-int.h"

/* ---- PCI --------------------------------------------------------------------------- */

/* Source: PCI Code and ID Assignment Specification. */
static const char *class_name(unsigned class)
{
    static const struct { uint16_t class; const char *name; } names[] = {
        { 0x0100, "SCSI controller" }, { 0x0101, "IDE controller" }, { 0x0106, "SATA controller" },
        { 0x0108, "NVMe controller" }, { 0x0200, "Ethernet controller" }, { 0x0300, "VGA controller" },
        { 0x0380, "Display controller" }, { 0x0401, "Audio controller" }, { 0x0403, "Audio controller" },
        { 0x0500, "RAM controller" }, { 0x0600, "Host bridge" }, { 0x0601, "ISA bridge" },
        { 0x0604, "PCI bridge" }, { 0x0680, "Bridge" }, { 0x0780, "Communication controller" },
        { 0x0806, "IOMMU" }, { 0x0880, "System peripheral" }, { 0x0c03, "USB controller" },
        { 0x0c05, "SMBus" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].class == class)
            return names[i].name;
    return NULL;
}

static unsigned class_of(const struct pci_device *p)
{
    return ldl16(p->config + PCI_CLASS + 1);
}

static void print_bar(struct monitor *mon, const struct pci_device *p, unsigned n)
{
    const struct pci_bar *b = &p->bar[n];
    unsigned long long at = b->mapped_at, last = b->mapped_at + b->size - 1;

    if (!b->size)
        return;
    if (b->flags & PCI_BAR_IO)
        monitor_printf(mon, "      BAR%u: I/O at 0x%04llx [0x%04llx].\n", n, at & 0xffff, last & 0xffff);
    else if (b->mapped_at == PCI_UNMAPPED)
        monitor_printf(mon, "      BAR%u: %s bit %smemory (not mapped).\n", n, b->flags & PCI_BAR_64 ? "64" : "32",
                       b->flags & PCI_BAR_PREFETCH ? "prefetchable " : "");
    else
        monitor_printf(mon, "      BAR%u: %s bit %smemory at 0x%08llx [0x%08llx].\n", n,
                       b->flags & PCI_BAR_64 ? "64" : "32", b->flags & PCI_BAR_PREFETCH ? "prefetchable " : "",
                       at, last);
}

static void print_function(struct monitor *mon, const struct pci_device *p)
{
    const char *name = class_name(class_of(p));
    unsigned pin = p->config[PCI_INT_PIN];

    monitor_printf(mon, "  Bus %2d, device %3d, function %d:\n", p->bus->number, PCI_SLOT(p->devfn),
                   PCI_FUNC(p->devfn));
    if (name)
        monitor_printf(mon, "    %s", name);
    else
        monitor_printf(mon, "    Class %04x", class_of(p));
    monitor_printf(mon, ": PCI device %04x:%04x\n", ldl16(p->config), ldl16(p->config + PCI_DEVICE_ID));
    monitor_printf(mon, "      PCI subsystem %04x:%04x\n", ldl16(p->config + PCI_SUBSYS_VENDOR),
                   ldl16(p->config + PCI_SUBSYS_ID));
    if (pin)
        monitor_printf(mon, "      IRQ %d, pin %c\n", p->config[PCI_INT_LINE], 'A' + pin - 1);
    for (unsigned n = 0; n < ARRAY_SIZE(p->bar); n++)
        print_bar(mon, p, n);
    monitor_printf(mon, "      id \"%s\"\n", p->dev.id ? p->dev.id : "");
}

static void print_bus(struct monitor *mon, const struct pci_bus *bus)
{
    for (unsigned fn = 0; fn < 256; fn++)
        if (bus->slots[fn])
            print_function(mon, bus->slots[fn]);
    for (const struct pci_bus *b = bus->children; b; b = b->sibling)
        print_bus(mon, b);
}

static void info_pci(struct monitor *mon, char *rest)
{
    const struct pci_bus *bus = monitor_machine(mon)->pci;

    if (bus)
        print_bus(mon, bus);
}

static void write_regions(struct jw *w, const struct pci_device *p)
{
    jw_open_array(w, "regions");
    for (unsigned n = 0; n < ARRAY_SIZE(p->bar); n++) {
        const struct pci_bar *b = &p->bar[n];

        if (!b->size)
            continue;
        jw_open(w, NULL);
        jw_int(w, "bar", n);
        jw_str(w, "type", b->flags & PCI_BAR_IO ? "io" : "memory");
        jw_int(w, "address", b->mapped_at == PCI_UNMAPPED ? -1 : (int64_t)b->mapped_at);
        jw_uint(w, "size", b->size);
        if (!(b->flags & PCI_BAR_IO)) {
            jw_bool(w, "prefetch", b->flags & PCI_BAR_PREFETCH);
            jw_bool(w, "mem_type_64", b->flags & PCI_BAR_64);
        }
        jw_close(w);
    }
    jw_close(w);
}

static void write_bus(struct jw *w, const struct pci_bus *bus);

/* The buses behind a bridge: at most one. */
static void write_bridge(struct jw *w, const struct pci_device *p)
{
    for (const struct pci_bus *b = p->bus->children; b; b = b->sibling) {
        if (b->bridge != p)
            continue;
        jw_open(w, "pci_bridge");
        jw_open(w, "bus");
        jw_int(w, "number", p->config[0x18]);
        jw_int(w, "secondary", p->config[0x19]);
        jw_int(w, "subordinate", p->config[0x1a]);
        jw_close(w);
        write_bus(w, b);
        jw_close(w);
    }
}

static void write_function(struct jw *w, const struct pci_device *p)
{
    const char *name = class_name(class_of(p));

    jw_open(w, NULL);
    jw_int(w, "bus", p->bus->number);
    jw_int(w, "slot", PCI_SLOT(p->devfn));
    jw_int(w, "function", PCI_FUNC(p->devfn));
    jw_open(w, "class_info");
    jw_int(w, "class", class_of(p));
    if (name)
        jw_str(w, "desc", name);
    jw_close(w);
    jw_open(w, "id");
    jw_int(w, "vendor", ldl16(p->config));
    jw_int(w, "device", ldl16(p->config + PCI_DEVICE_ID));
    jw_int(w, "subsystem-vendor", ldl16(p->config + PCI_SUBSYS_VENDOR));
    jw_int(w, "subsystem", ldl16(p->config + PCI_SUBSYS_ID));
    jw_close(w);
    if (p->config[PCI_INT_PIN])
        jw_int(w, "irq", p->config[PCI_INT_LINE]);
    jw_int(w, "irq_pin", p->config[PCI_INT_PIN]);
    jw_str(w, "qdev_id", p->dev.id ? p->dev.id : "");
    write_regions(w, p);
    write_bridge(w, p);
    jw_close(w);
}

static void write_bus(struct jw *w, const struct pci_bus *bus)
{
    jw_open_array(w, "devices");
    for (unsigned fn = 0; fn < 256; fn++)
        if (bus->slots[fn])
            write_function(w, bus->slots[fn]);
    jw_close(w);
}

static int query_pci(struct call *c, struct err *e)
{
    const struct pci_bus *bus = c->m->pci;

    jw_open_array(c->out, NULL);
    if (bus) {
        jw_open(c->out, NULL);
        jw_int(c->out, "bus", bus->number);
        write_bus(c->out, bus);
        jw_close(c->out);
    }
    jw_close(c->out);
    return 0;
}

const struct command bus_commands[] = {
    { .qmp = "query-pci", .returns = "any", .run = query_pci },
    { .hmp = NULL }
};

/* ---- the device tree ------------------------------------------------------------------ */

static void print_prop(struct monitor *mon, const struct device *d, const struct dev_prop *p)
{
    struct jw w = { .text = NULL };

    prop_write(&w, NULL, d, p);
    monitor_printf(mon, "      %s = %s\n", p->name, w.text);
    jw_free(&w);
}

static void print_device(struct monitor *mon, const struct device *d)
{
    monitor_printf(mon, "    dev: %s, id \"%s\"\n", d->type->name, d->id ? d->id : "");
    if (d->port)
        monitor_printf(mon, "      port = 0x%x\n", d->port);
    for (const struct dev_prop *p = d->type->props; p && p->name; p++)
        if (p->type != PROP_IGNORED && p->type != PROP_DEVFN)
            print_prop(mon, d, p);
}

static const struct pci_device *on_pci(const struct pci_bus *bus, const struct device *d)
{
    const struct pci_device *p = NULL;

    for (unsigned fn = 0; bus && fn < 256; fn++)
        if (bus->slots[fn] && &bus->slots[fn]->dev == d)
            return bus->slots[fn];
    for (const struct pci_bus *b = bus ? bus->children : NULL; b && !p; b = b->sibling)
        p = on_pci(b, d);
    return p;
}

static void info_qtree(struct monitor *mon, char *rest)
{
    const struct machine *m = monitor_machine(mon);

    monitor_printf(mon, "bus: main-system-bus\n  type System\n");
    for (const struct device *d = m->devices; d; d = d->next)
        if (!on_pci(m->pci, d))
            print_device(mon, d);
    if (!m->pci)
        return;
    monitor_printf(mon, "bus: %s\n  type %s\n", m->cfg.board == BOARD_Q35 ? "pcie.0" : "pci.0",
                   m->cfg.board == BOARD_Q35 ? "PCIE" : "PCI");
    for (const struct device *d = m->devices; d; d = d->next) {
        const struct pci_device *p = on_pci(m->pci, d);

        if (!p)
            continue;
        print_device(mon, d);
        monitor_printf(mon, "      addr = %02x.%x\n      class %s, addr %02x:%02x.%x, pci id %04x:%04x\n",
                       PCI_SLOT(p->devfn), PCI_FUNC(p->devfn),
                       class_name(class_of(p)) ? class_name(class_of(p)) : "unknown", p->bus->number,
                       PCI_SLOT(p->devfn), PCI_FUNC(p->devfn), ldl16(p->config),
                       ldl16(p->config + PCI_DEVICE_ID));
    }
}

const struct monitor_cmd bus_infos[] = {
    { "pci", "", "PCI functions and what they decode", info_pci },
    { "qtree", "", "devices, with their properties", info_qtree },
    { NULL, NULL, NULL, NULL }
};
