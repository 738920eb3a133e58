/*
 * hub.c - usb-hub: eight more ports
 *
 * Ports have power from the start and the hub never suspends its own; a port that is
 * reset is enabled at once.
 * Source: USB 1.1 specification, chapter 11.
 */
#include "hw/usb/usb.h"

#define HUB_PORTS 8
#define HUB_TIERS 5                  /* 4.1.1: hubs one behind the other */
enum { HUB_DESC = 0x29 };
enum { PORT_CONNECTION = 0, PORT_ENABLE = 1, PORT_SUSPEND = 2, PORT_RESET = 4, PORT_POWER = 8,
       PORT_LOW_SPEED = 9, C_PORT_CONNECTION = 16, C_PORT_ENABLE = 17, C_PORT_RESET = 20 };
#define STATUS(feature) (1u << (feature))
#define CHANGE(feature) (1u << ((feature) - 16))

struct hub_port {
    uint16_t status, change;
};

struct hub {
    struct usb_device usb;
    struct usb_port port[HUB_PORTS];
    struct hub_port state[HUB_PORTS];
};

static const uint8_t hub_config[] = {
    9, 2, 25, 0, 1, 1, 0, 0xe0, 0,                   /* self powered, remote wakeup */
    9, 4, 0, 0, 1, 9, 0, 0, 0,
    7, 5, 0x81, 3, 2, 0, 255,                        /* status change, 2 bytes */
};

/* ---- ports ---------------------------------------------------------------------------- */

static void port_changed(void *opaque, unsigned n, bool attached)
{
    struct hub *s = opaque;
    struct hub_port *p = &s->state[n];

    p->status &= STATUS(PORT_POWER);
    if (attached)
        p->status |= STATUS(PORT_CONNECTION) |
                     (s->port[n].dev->speed == USB_LOW ? STATUS(PORT_LOW_SPEED) : 0);
    p->change |= CHANGE(C_PORT_CONNECTION);
    usb_wakeup(&s->usb);
    usb_ready(&s->usb);
}

static void port_wakeup(void *opaque, unsigned n)
{
    struct hub *s = opaque;

    s->state[n].status &= ~STATUS(PORT_SUSPEND);
    s->port[n].enabled = s->state[n].status & STATUS(PORT_ENABLE);
    usb_wakeup(&s->usb);
}

static const struct usb_port_ops port_ops = { port_changed, port_wakeup };

static void port_update(struct hub *s, unsigned n)
{
    uint16_t st = s->state[n].status;

    s->port[n].enabled = st & STATUS(PORT_ENABLE) && !(st & STATUS(PORT_SUSPEND));
}

static int port_set(struct hub *s, unsigned n, unsigned feature)
{
    struct hub_port *p = &s->state[n];

    switch (feature) {
    case PORT_POWER:
        p->status |= STATUS(PORT_POWER);
        break;
    case PORT_SUSPEND:
        if (p->status & STATUS(PORT_ENABLE))
            p->status |= STATUS(PORT_SUSPEND);
        break;
    case PORT_RESET:
        if (!s->port[n].dev)
            break;
        usb_reset_device(s->port[n].dev);
        p->status &= ~STATUS(PORT_SUSPEND);
        p->status |= STATUS(PORT_ENABLE);
        p->change |= CHANGE(C_PORT_RESET);
        usb_ready(&s->usb);
        break;
    default:
        return USB_STALL;
    }
    port_update(s, n);
    return 0;
}

static int port_clear(struct hub *s, unsigned n, unsigned feature)
{
    struct hub_port *p = &s->state[n];

    switch (feature) {
    case PORT_ENABLE:
    case PORT_SUSPEND:
    case PORT_POWER:
        p->status &= ~STATUS(feature);
        break;
    default:
        if (feature < C_PORT_CONNECTION || feature > C_PORT_RESET)
            return USB_STALL;
        p->change &= ~CHANGE(feature);
    }
    port_update(s, n);
    return 0;
}

/* ---- requests --------------------------------------------------------------------------- */

static int hub_descriptor(uint8_t *data)
{
    static const uint8_t desc[] = { 11, HUB_DESC, HUB_PORTS, 0x0a, 0, 1, 0, 0, 0, 0xff, 0xff };

    memcpy(data, desc, sizeof desc);
    return sizeof desc;
}

static int hub_itself(const struct usb_request *r, uint8_t *data)
{
    switch (r->request) {
    case USB_GET_DESCRIPTOR:
        return r->value >> 8 == HUB_DESC ? hub_descriptor(data) : USB_STALL;
    case USB_GET_STATUS:
        memset(data, 0, 4);
        return 4;
    case USB_CLEAR_FEATURE:
        return r->value < 2 ? 0 : USB_STALL;
    default:
        return USB_STALL;
    }
}

static int hub_request(struct usb_device *d, const struct usb_request *r, uint8_t *data)
{
    struct hub *s = (struct hub *)d;
    unsigned n = (r->index & 0xff) - 1u;

    if ((r->type & ~USB_DIR_IN) == USB_CLASS)
        return hub_itself(r, data);
    if ((r->type & ~USB_DIR_IN) != (USB_CLASS | USB_OTHER) || n >= HUB_PORTS)
        return USB_STALL;
    switch (r->request) {
    case USB_GET_STATUS:
        stl16(data, s->state[n].status);
        stl16(data + 2, s->state[n].change);
        return 4;
    case USB_SET_FEATURE:
        return port_set(s, n, r->value);
    case USB_CLEAR_FEATURE:
        return port_clear(s, n, r->value);
    default:
        return USB_STALL;
    }
}

static int hub_in(struct usb_device *d, unsigned ep, uint8_t *buf, unsigned len)
{
    struct hub *s = (struct hub *)d;
    uint8_t map[2] = { 0, 0 };

    if (ep != 1)
        return USB_STALL;
    for (unsigned n = 0; n < HUB_PORTS; n++)
        if (s->state[n].change)
            map[(n + 1) / 8] |= 1u << (n + 1) % 8;
    if (!map[0] && !map[1])
        return USB_NAK;
    len = MIN(len, sizeof map);
    memcpy(buf, map, len);
    return len;
}

static void hub_bus_reset(struct usb_device *d)
{
    struct hub *s = (struct hub *)d;

    for (unsigned n = 0; n < HUB_PORTS; n++) {
        struct usb_device *dev = s->port[n].dev;

        s->port[n].enabled = false;
        s->state[n].status = STATUS(PORT_POWER);
        if (dev)
            s->state[n].status |= STATUS(PORT_CONNECTION) |
                                  (dev->speed == USB_LOW ? STATUS(PORT_LOW_SPEED) : 0);
        s->state[n].change = dev ? CHANGE(C_PORT_CONNECTION) : 0;
    }
}

static const struct usb_model hub_model = {
    .product = "USB Hub", .vendor = 0x0409, .product_id = 0x55aa, .class = 9,
    .form[USB_FULL] = { 0x0110, 8, hub_config, sizeof hub_config },
    .request = hub_request, .in = hub_in, .reset = hub_bus_reset,
};

/* ---- life ----------------------------------------------------------------------------------- */

static unsigned tier(const struct usb_device *d)
{
    unsigned n = 1;

    for (; d->port->hub; d = d->port->hub)
        n++;
    return n;
}

static int hub_init(struct device *d, struct err *e)
{
    struct hub *s = (struct hub *)d;
    int ret = usb_plug(&s->usb, &hub_model, e);

    if (ret == 0 && tier(&s->usb) > HUB_TIERS)
        ret = err_set(e, -EINVAL, "usb-hub: at most %d one behind the other", HUB_TIERS);
    if (ret < 0) {
        usb_unplug(&s->usb);
        return ret;
    }
    for (unsigned n = 0; n < HUB_PORTS; n++)
        usb_port_add(s->usb.port->bus, &s->port[n], &port_ops, s, n, &s->usb);
    return 0;
}

static void hub_reset(struct device *d)
{
    usb_reset_device((struct usb_device *)d);
}

static void hub_destroy(struct device *d)
{
    struct hub *s = (struct hub *)d;

    for (unsigned n = 0; n < HUB_PORTS; n++)
        usb_port_remove(&s->port[n]);
    usb_unplug(&s->usb);
}

static const struct dev_prop hub_props[] = { USB_PROPS(struct hub, usb), USB_PROP_NO_SERIAL, PROP_END };

static const struct dev_field hub_fields[] = {
    USB_FIELDS(struct hub, usb), FIELD(BYTES, struct hub, state),
    FIELD_END
};

const struct device_type usb_hub_type = {
    .name = "usb-hub", .desc = "USB hub with eight ports", .size = sizeof(struct hub),
    .init = hub_init, .reset = hub_reset, .destroy = hub_destroy, .fields = hub_fields,
    .props = hub_props,
};
