/*
 * user-devices.c - making the devices that the user asks for, and their order
 * when booting
 */
#include <stdlib.h>
#include "hw/acpi/pci-hotplug.h"
#include "hw/disk/ahci.h"
#include "hw/disk/fdc.h"
#include "hw/disk/ide.h"
#include "hw/disk/nvme.h"
#include "hw/display/vga.h"
#include "hw/iommu/vtd.h"
#include "hw/misc/edu.h"
#include "hw/misc/fw_cfg.h"
#include "hw/net/nic.h"
#include "hw/pci/root-port.h"
#include "hw/usb/usb.h"
#include "hw/user-devices.h"
#include "hw/virtio/virtio-balloon.h"
#include "hw/virtio/virtio-serial.h"
#include "hw/virtio/virtio.h"

#define MAX_BOOT 32

static const struct user_device table[] = {
    { &virtio_blk_pci_type, USER_PCI, "Storage", "virtio-blk", false },
    { &virtio_blk_pci_transitional_type, USER_PCI, "Storage", NULL, false },
    { &virtio_blk_pci_non_transitional_type, USER_PCI, "Storage", NULL, false },
    { &ide_hd_type, USER_IDE, "Storage", NULL, false },
    { &ide_cd_type, USER_IDE, "Storage", NULL, false },
    { &ahci_type, USER_PCI, "Storage", "ich9-ahci", true },
    { &nvme_type, USER_PCI, "Storage", NULL, false },
    { &usb_storage_type, USER_USB, "Storage", NULL, false },
    { &e1000_type, USER_PCI, "Network", "e1000-82540em", false },
    { &rtl8139_type, USER_PCI, "Network", NULL, false },
    { &ne2k_pci_type, USER_PCI, "Network", NULL, false },
    { &virtio_net_pci_type, USER_PCI, "Network", "virtio-net", false },
    { &virtio_net_pci_transitional_type, USER_PCI, "Network", NULL, false },
    { &virtio_net_pci_non_transitional_type, USER_PCI, "Network", NULL, false },
    { &virtio_balloon_pci_type, USER_PCI, "Misc", "virtio-balloon", false },
    { &virtio_balloon_pci_transitional_type, USER_PCI, "Misc", NULL, false },
    { &virtio_balloon_pci_non_transitional_type, USER_PCI, "Misc", NULL, false },
    { &virtio_rng_pci_type, USER_PCI, "Misc", "virtio-rng", false },
    { &virtio_rng_pci_transitional_type, USER_PCI, "Misc", NULL, false },
    { &virtio_rng_pci_non_transitional_type, USER_PCI, "Misc", NULL, false },
    { &virtio_serial_pci_type, USER_PCI, "Misc", "virtio-serial", false },
    { &virtio_serial_pci_transitional_type, USER_PCI, "Misc", NULL, false },
    { &virtio_serial_pci_non_transitional_type, USER_PCI, "Misc", NULL, false },
    { &virtconsole_type, USER_VSERIAL, "Misc", NULL, false },
    { &virtserialport_type, USER_VSERIAL, "Misc", NULL, false },
    { &pcie_root_port_type, USER_PCI, "Bridge", NULL, true },
    { &floppy_type, USER_ISA, "Storage", NULL, false },
    { &intel_iommu_type, USER_SYSTEM, "Misc", NULL, false },
    { &vga_type, USER_PCI, "Display", NULL, true },
    { &piix3_uhci_type, USER_PCI, "USB", NULL, true },
    { &qemu_xhci_type, USER_PCI, "USB", NULL, true },
    { &nec_xhci_type, USER_PCI, "USB", NULL, true },
    { &usb_hub_type, USER_USB, "USB", NULL, false },
    { &usb_tablet_type, USER_USB, "Input", NULL, false },
    { &usb_mouse_type, USER_USB, "Input", NULL, false },
    { &usb_kbd_type, USER_USB, "Input", NULL, false },
    { &edu_type, USER_PCI, "Misc", NULL, false },
};

const struct user_device *user_devices(size_t *n)
{
    *n = ARRAY_SIZE(table);
    return table;
}

const struct user_device *user_device_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (!strcmp(name, table[i].type->name) || (table[i].alias && !strcmp(name, table[i].alias)))
            return &table[i];
    return NULL;
}

/* ---- construction -------------------------------------------------------------------- */

struct making {
    const struct user_device *u;
    const char *id;
    const struct user_prop *props;
    size_t n;
    struct err *e;
    int ret;
};

static int32_t *devfn_prop(struct device *d)
{
    for (const struct dev_prop *p = d->type->props; p && p->name; p++)
        if (p->type == PROP_DEVFN)
            return (int32_t *)((char *)d + p->offset);
    return NULL;
}

static int choose_slot(struct device *d, struct err *e)
{
    struct pci_device *p = (struct pci_device *)d;
    int32_t *want = devfn_prop(d);
    int devfn = want && *want >= 0 ? *want : pci_free_slot(pci_target(p));

    if (devfn < 0)
        return err_set(e, -EBUSY, "%s: all PCI slots are taken", d->type->name);
    p->devfn = devfn;
    return 0;
}

static const struct user_device *row_of(const struct device *d)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (table[i].type == d->type)
            return &table[i];
    return NULL;
}

/* On a bus that a device of the user's has. */
static bool names_bus(const struct user_device *u)
{
    return u->bus == USER_USB || u->bus == USER_VSERIAL;
}

/* What is on the root bus need not say so. */
static bool is_plain_bus(const struct making *mk, const struct machine *m,
                         const struct user_prop *p)
{
    bool q35 = m->cfg.board == BOARD_Q35;

    return !strcmp(p->name, "bus") && mk->u->bus != USER_IDE && !names_bus(mk->u) &&
           (!strcmp(p->val, q35 ? "pcie.0" : "pci.0") || !strcmp(p->val, q35 ? "pcie" : "pci") ||
            !strcmp(p->val, "isa.0"));
}

/* bus= of a PCI device is the root bus, or a root port. */
static int check_bus(struct machine *m, const struct user_device *u, const struct user_prop *props, size_t n,
                     struct err *e)
{
    const struct making mk = { .u = u };

    for (size_t i = 0; u->bus == USER_PCI && i < n; i++)
        if (!strcmp(props[i].name, "bus") && !is_plain_bus(&mk, m, &props[i]) && !root_port_bus(m, props[i].val))
            return err_set(e, -EINVAL, "%s: there is no PCI bus '%s'", u->type->name, props[i].val);
    return 0;
}

/* The bus that bus= names, NULL: the root. */
static struct pci_bus *named_bus(struct machine *m, const struct user_device *u, const struct user_prop *props, size_t n)
{
    for (size_t i = 0; u->bus == USER_PCI && i < n; i++)
        if (!strcmp(props[i].name, "bus"))
            return root_port_bus(m, props[i].val);
    return NULL;
}

static void making_setup(struct device *d, const void *arg)
{
    struct making *mk = (struct making *)arg;
    struct pci_bus *bus = named_bus(d->machine, mk->u, mk->props, mk->n);

    d->id = mk->id ? xstrdup(mk->id) : NULL;
    prop_defaults(d);
    if (bus)
        ((struct pci_device *)d)->target = bus;
    for (size_t i = 0; i < mk->n && mk->ret == 0; i++)
        if (!is_plain_bus(mk, d->machine, &mk->props[i]) && !(bus && !strcmp(mk->props[i].name, "bus")))
            mk->ret = prop_set(d, mk->props[i].name, mk->props[i].val, mk->e);
    if (mk->u->bus == USER_PCI)
        ((struct pci_device *)d)->fixed = mk->u->fixed;
    if (mk->ret == 0 && mk->u->bus == USER_PCI)
        mk->ret = choose_slot(d, mk->e);
}

/* A trial run over a bare instance: init must not see half-set properties. */
static int try_props(struct machine *m, struct making *mk)
{
    struct device *d = xzalloc(mk->u->type->size);

    d->type = mk->u->type;
    d->machine = m;
    making_setup(d, mk);
    prop_free(d);
    free((char *)d->id);
    free(d);
    return mk->ret;
}

struct device *user_device_add(struct machine *m, const struct user_device *u, const char *id,
                               const struct user_prop *props, size_t n, struct err *e)
{
    struct making mk = { u, id, props, n, e, 0 };

    if (id && machine_device_by_id(m, id)) {
        err_set(e, -EEXIST, "%s: id '%s' is taken", u->type->name, id);
        return NULL;
    }
    if (check_bus(m, u, props, n, e) < 0 || try_props(m, &mk) < 0)
        return NULL;
    return machine_add_device(m, u->type, 0, NULL, making_setup, &mk, e);
}

/* ---- while the machine runs ------------------------------------------------------------ */

/* What addr= asks for, -1: nothing; nonsense is left to prop_set() to complain about. */
static int wanted_devfn(const struct user_prop *props, size_t n)
{
    unsigned slot, fn = 0;

    for (size_t i = 0; i < n; i++)
        if (!strcmp(props[i].name, "addr") && sscanf(props[i].val, "%x.%x", &slot, &fn) >= 1)
            return slot < 32 && fn < 8 ? (int)PCI_DEVFN(slot, fn) : -1;
    return -1;
}

struct device *user_device_plug(struct machine *m, const struct user_device *u, const char *id,
                                const struct user_prop *props, size_t n, struct err *e)
{
    struct pci_bus *bus = named_bus(m, u, props, n);
    struct device *d;

    if (u->fixed || (u->bus != USER_PCI && !names_bus(u))) {
        err_set(e, -EOPNOTSUPP, "%s cannot be plugged into a machine that runs", u->type->name);
        return NULL;
    }
    if (id && !id_is_good(id)) {
        err_set(e, -EINVAL, "%s: id '%s': a letter is wanted, then letters, digits, '-', '.' or '_'", u->type->name, id);
        return NULL;
    }
    if (check_bus(m, u, props, n, e) < 0)
        return NULL;
    if (bus && root_port_check(bus, u->type->name, e) < 0)
        return NULL;
    if (!bus && u->bus == USER_PCI && pci_hotplug_check(m, u->type->name, wanted_devfn(props, n), e) < 0)
        return NULL;
    d = user_device_add(m, u, id, props, n, e);
    if (d && d->type->reset)
        d->type->reset(d);
    if (d && bus)
        root_port_added((struct pci_device *)d);
    else if (d && u->bus == USER_PCI)
        pci_hotplug_added((struct pci_device *)d);
    return d;
}

/* A device behind hub @hub, or NULL. */
static struct device *behind(struct machine *m, const struct device *hub)
{
    for (struct device *d = m->devices; d; d = d->next) {
        const struct user_device *u = row_of(d);
        const struct usb_port *port = u && u->bus == USER_USB ? ((struct usb_device *)d)->port : NULL;

        if (port && port->hub && &port->hub->dev == hub)
            return d;
    }
    return NULL;
}

/* Recursion is as deep as hubs are: 5. */
static void remove_usb(struct device *d)
{
    struct device *leaf;

    while ((leaf = behind(d->machine, d)))
        remove_usb(leaf);
    machine_remove_device(d->machine, d);
}

int user_device_unplug(struct device *d, struct err *e)
{
    const struct user_device *u = row_of(d);

    if (u && u->bus == USER_PCI && ((struct pci_device *)d)->target && !u->fixed)
        return root_port_remove((struct pci_device *)d, e);
    if (u && u->bus == USER_PCI)
        return pci_hotplug_remove((struct pci_device *)d, e);
    if (!u || !names_bus(u))
        return err_set(e, -EOPNOTSUPP, "%s cannot be taken out while the machine runs", d->type->name);
    if (u->bus == USER_USB)
        remove_usb(d);
    else
        machine_remove_device(d->machine, d);
    return 0;
}

/* ---- boot order -------------------------------------------------------------------------- */

/* Recursion is as deep as bridges are nested. */
static void pci_path(const struct pci_device *p, const char *name, char *path, size_t size)
{
    size_t n;

    if (p->bus->bridge)
        pci_path(p->bus->bridge, "pci-bridge", path, size);
    else
        snprintf(path, size, "/pci@i0cf8");
    n = strlen(path);
    if (PCI_FUNC(p->devfn))
        snprintf(path + n, size - n, "/%s@%x,%x", name, PCI_SLOT(p->devfn), PCI_FUNC(p->devfn));
    else
        snprintf(path + n, size - n, "/%s@%x", name, PCI_SLOT(p->devfn));
}

static void ide_path(const struct ide_unit_device *u, char *path, size_t size)
{
    bool ahci = u->controller->type == &ahci_type;
    size_t n;

    pci_path((struct pci_device *)u->controller, ahci ? "pci8086,2922" : "ide", path, size);
    n = strlen(path);
    snprintf(path + n, size - n, "/drive@%x/disk@%x", u->place_bus, u->place_unit);
}

bool boot_path(const struct device *d, char *path, size_t size)
{
    size_t n;

    if (d->type == &ide_hd_type || d->type == &ide_cd_type) {
        ide_path((const struct ide_unit_device *)d, path, size);
    } else if (virtio_pci_is(d, &virtio_blk_pci_type)) {
        pci_path((const struct pci_device *)d, "scsi", path, size);
        n = strlen(path);
        snprintf(path + n, size - n, "/disk@0,0");
    } else if (d->type == &floppy_type) {
        snprintf(path, size, "/pci@i0cf8/isa@1/fdc@03f0/floppy@%d", *(int32_t *)((char *)d +
                 prop_find(d->type, "unit")->offset));
    } else if (d->type == &nvme_type) {
        pci_path((const struct pci_device *)d, "pci1b36,10", path, size);
        n = strlen(path);
        snprintf(path + n, size - n, "/namespace@1,0");
    } else if (d->type == &usb_storage_type) {
        const struct usb_device *u = (const struct usb_device *)d;

        pci_path((const struct pci_device *)u->port->bus->controller, "usb", path, size);
        usb_path(u, "storage", path, size);
        n = strlen(path);
        snprintf(path + n, size - n, "/channel@0/disk@0,0");
    } else if (nic_find_type(d->type->name)) {
        pci_path((const struct pci_device *)d, "ethernet", path, size);
        n = strlen(path);
        snprintf(path + n, size - n, "/ethernet-phy@0");
    } else {
        return false;
    }
    return true;
}

struct boot_item {
    int32_t index;
    const struct device *d;
};

static int cmp_item(const void *a, const void *b)
{
    const struct boot_item *x = a, *y = b;

    return x->index < y->index ? -1 : x->index > y->index;
}

static size_t collect(struct machine *m, struct boot_item *items)
{
    size_t n = 0;

    for (struct device *d = m->devices; d; d = d->next) {
        const struct dev_prop *p = prop_find(d->type, "bootindex");
        int32_t index = p && p->type == PROP_I32 ? *(int32_t *)((char *)d + p->offset) : -1;

        if (index >= 0 && n < MAX_BOOT)
            items[n++] = (struct boot_item){ index, d };
    }
    qsort(items, n, sizeof *items, cmp_item);
    return n;
}

int boot_order_publish(struct machine *m, struct err *e)
{
    struct boot_item items[MAX_BOOT];
    size_t n = collect(m, items), len = 0;
    char text[MAX_BOOT * 96 + 8] = "", path[96];
    int ret;

    for (size_t i = 0; i < n; i++) {
        if (i && items[i].index == items[i - 1].index)
            return err_set(e, -EINVAL, "bootindex=%d: used by both %s and %s", items[i].index,
                           items[i - 1].d->type->name, items[i].d->type->name);
        if (boot_path(items[i].d, path, sizeof path))
            len += snprintf(text + len, sizeof text - len, "%s%s", len ? "\n" : "", path);
    }
    if (!len || !m->fw_cfg)
        return 0;
    if (m->cfg.boot.strict)
        len += snprintf(text + len, sizeof text - len, "\nHALT");
    ret = fw_cfg_add_file(m->fw_cfg, "bootorder", text, len + 1);
    return ret < 0 ? err_set(e, ret, "fw_cfg: no room for the boot order") : 0;
}
