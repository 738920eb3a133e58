/*
 * bus.c - which device is plugged in where
 */
#include <stdlib.h>
#include "hw/usb/usb.h"

/* ---- buses, ports ------------------------------------------------------------------ */

void usb_bus_init(struct usb_bus *b, struct machine *m, void (*ready)(void *opaque), void *opaque)
{
    struct usb_bus **last = &m->usb;
    unsigned n = 0;

    for (; *last; last = &(*last)->next)
        n++;
    *b = (struct usb_bus){ .m = m, .ready = ready, .opaque = opaque };
    snprintf(b->name, sizeof b->name, "usb-bus.%u", n);
    *last = b;
}

void usb_bus_rename(struct usb_bus *b, const char *id)
{
    if (id)
        snprintf(b->name, sizeof b->name, "%.60s.0", id);
}

void usb_bus_free(struct usb_bus *b)
{
    if (!b->m)
        return;
    while (b->ports)
        usb_port_remove(b->ports);
    for (struct usb_bus **p = &b->m->usb; *p; p = &(*p)->next) {
        if (*p == b) {
            *p = b->next;
            break;
        }
    }
    b->m = NULL;
}

void usb_port_add(struct usb_bus *b, struct usb_port *p, const struct usb_port_ops *ops,
                  void *opaque, unsigned index, struct usb_device *hub)
{
    struct usb_port **last = &b->ports;

    *p = (struct usb_port){ .bus = b, .ops = ops, .opaque = opaque, .index = index, .hub = hub,
                            .speeds = BIT(USB_LOW) | BIT(USB_FULL) };
    snprintf(p->path, sizeof p->path, "%.10s%s%u", hub ? hub->port->path : "", hub ? "." : "",
             index + 1);
    while (*last)
        last = &(*last)->next;
    *last = p;
}

void usb_port_speeds(struct usb_port *p, unsigned speeds)
{
    p->speeds = speeds;
}

static void detach(struct usb_device *d)
{
    struct usb_port *p = d->port;

    d->port = NULL;
    p->dev = NULL;
    p->enabled = false;
    p->ops->changed(p->opaque, p->index, false);
}

void usb_port_remove(struct usb_port *p)
{
    if (!p->bus)
        return;
    if (p->dev)
        detach(p->dev);
    for (struct usb_port **l = &p->bus->ports; *l; l = &(*l)->next) {
        if (*l == p) {
            *l = p->next;
            break;
        }
    }
    p->bus = NULL;
}

/* ---- plugging in -------------------------------------------------------------------- */

static struct usb_bus *find_bus(struct usb_device *d, struct err *e)
{
    struct usb_bus *b = d->dev.machine->usb;

    if (!b) {
        err_set(e, -ENODEV, "%s: there is no USB controller (-device qemu-xhci or -usb adds one)",
                d->dev.type->name);
        return NULL;
    }
    while (b && d->bus_name && strcmp(b->name, d->bus_name))
        b = b->next;
    if (!b)
        err_set(e, -ENODEV, "%s: there is no bus '%s'", d->dev.type->name, d->bus_name);
    return b;
}

static unsigned free_ports(const struct usb_bus *b, struct usb_port **first)
{
    unsigned n = 0;

    for (struct usb_port *p = b->ports; p; p = p->next) {
        if (p->dev)
            continue;
        if (!n++)
            *first = p;
    }
    return n;
}

/* The fastest speed that both have, -1: none. */
static int common_speed(const struct usb_device *d, const struct usb_port *p)
{
    int top = d->full_only ? USB_FULL : USB_SUPER;

    while (top >= 0 && !(p->speeds >> top & 1 && d->model->form[top].config))
        top--;
    return top;
}

static struct usb_port *named_port(struct usb_device *d, struct usb_bus *b, struct err *e)
{
    struct usb_port *p = b->ports;

    while (p && strcmp(p->path, d->port_path))
        p = p->next;
    if (!p)
        err_set(e, -ENODEV, "%s: %s has no port %s", d->dev.type->name, b->name, d->port_path);
    else if (p->dev)
        err_set(e, -EBUSY, "%s: port %s is taken by %s", d->dev.type->name, d->port_path,
                p->dev->dev.type->name);
    else if (common_speed(d, p) < 0)
        err_set(e, -EINVAL, "%s: port %s of %s has no speed that it knows", d->dev.type->name, d->port_path, b->name);
    else
        return p;
    return NULL;
}

static void hub_setup(struct device *d, const void *arg)
{
    ((struct usb_device *)d)->bus_name = xstrdup(arg);
}

static struct usb_port *any_port(struct usb_device *d, struct usb_bus *b, struct err *e)
{
    bool is_hub = d->dev.type == &usb_hub_type;
    struct usb_port *p = NULL;

    if (free_ports(b, &p) == 1 && !is_hub) {
        if (!machine_add_device(d->dev.machine, &usb_hub_type, 0, NULL, hub_setup, b->name, e))
            return NULL;
        free_ports(b, &p);
    }
    while (p && (p->dev || common_speed(d, p) < 0))
        p = p->next;
    if (!p)
        err_set(e, -ENOSPC, "%s: no free USB port on %s", d->dev.type->name, b->name);
    return p;
}

int usb_plug(struct usb_device *d, const struct usb_model *model, struct err *e)
{
    struct usb_bus *b = find_bus(d, e);
    struct usb_port *p;

    if (!b)
        return -ENODEV;
    d->model = model;
    p = d->port_path ? named_port(d, b, e) : any_port(d, b, e);
    if (!p)
        return -ENODEV;
    d->port = p;
    d->speed = common_speed(d, p);
    p->dev = d;
    usb_reset_device(d);
    p->ops->changed(p->opaque, p->index, true);
    return 0;
}

void usb_unplug(struct usb_device *d)
{
    if (d->port)
        detach(d);
}

/* ---- reaching devices ----------------------------------------------------------------- */

static bool reachable(const struct usb_port *p)
{
    while (p && p->enabled && p->hub)
        p = p->hub->port;
    return p && p->enabled;
}

struct usb_device *usb_find(const struct usb_bus *b, uint8_t addr)
{
    for (struct usb_port *p = b->ports; p; p = p->next)
        if (p->dev && p->dev->addr == addr && reachable(p))
            return p->dev;
    return NULL;
}

/* Recursion is as deep as hubs are: 5. */
void usb_path(const struct usb_device *d, const char *name, char *path, size_t size)
{
    const struct usb_port *p = d->port;
    size_t len;

    if (p->hub)
        usb_path(p->hub, "hub", path, size);
    len = strlen(path);
    snprintf(path + len, size - len, "/%s@%x", name, p->index + 1);
}

static struct usb_port *hub_port(const struct usb_port *root, const struct usb_device *hub, unsigned n)
{
    struct usb_port *p = root->bus->ports;

    while (p && (p->hub != hub || p->index + 1 != n))
        p = p->next;
    return p;
}

struct usb_device *usb_at(const struct usb_port *root, uint32_t route)
{
    const struct usb_port *p = root;

    for (; p && p->enabled && p->dev && route & 15; route >>= 4)
        p = hub_port(root, p->dev, route & 15);
    return p && p->enabled ? p->dev : NULL;
}

void usb_ready(struct usb_device *d)
{
    if (d->port && d->port->bus->ready)
        d->port->bus->ready(d->port->bus->opaque);
}

void usb_wakeup(struct usb_device *d)
{
    if (d->port && d->remote_wakeup)
        d->port->ops->wakeup(d->port->opaque, d->port->index);
}
