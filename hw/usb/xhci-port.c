/*
 * xhci-port.c - root hub
 *
 * A socket has a USB 2 and a USB 3 port, as far as p2= and p3= go; what is plugged in shows
 * at the one of its speed. Resets and resumes are over at once.
 *
 * Source: xHCI 1.2, 4.15 (suspend, resume), 4.19.1 (port state machines), 4.19.2 (change
 * events), 5.4.8 (PORTSC).
 */
#include "hw/usb/xhci-int.h"

enum { SPEED_FULL = 1, SPEED_LOW = 2, SPEED_HIGH = 3, SPEED_SUPER = 4 };  /* 7.2.1 */

/* ---- state ------------------------------------------------------------------------------ */

static void set_pls(struct xhci_port *p, unsigned pls)
{
    p->sc = (p->sc & ~(15u << PORT_PLS_AT)) | pls << PORT_PLS_AT;
}

static unsigned speed_id(const struct usb_device *d)
{
    static const uint8_t ids[] = { SPEED_LOW, SPEED_FULL, SPEED_HIGH, SPEED_SUPER };

    return ids[d->speed];
}

/* What is plugged in at this port, and not at the other one of its socket. */
static struct usb_device *device_at(const struct xhci_port *p)
{
    struct usb_device *d = p->socket->dev;

    return d && (d->speed == USB_SUPER) == p->usb3 ? d : NULL;
}

/* Packets get through where it is enabled and awake. */
static void update(struct xhci_port *p)
{
    if (device_at(p))
        p->socket->enabled = p->sc & PORT_PED && PORT_PLS(p->sc) == PLS_U0;
}

/* 4.19.2: an event for the first of the changes; PCD tells of them all. */
static void changed(struct xhci *s, struct xhci_port *p, uint32_t bits)
{
    if (bits & ~p->sc)
        s->sts |= STS_PCD;
    if (!(p->sc & PORT_CHANGES))
        p->event_due = true;
    p->sc |= bits;
    update(p);
    xhci_ports_events(s);
}

void xhci_ports_events(struct xhci *s)
{
    for (unsigned n = 0; xhci_reaches_memory(s) && n < s->n_ports; n++) {
        struct xhci_trb ev = { (uint64_t)(n + 1) << 24, (uint32_t)CC_SUCCESS << 24, TRB_EV_PORT << TRB_TYPE_AT };

        if (!s->port[n].event_due || !xhci_event_room(s, 0))
            continue;
        s->port[n].event_due = false;
        xhci_event(s, 0, &ev, false);
    }
}

/* ---- coming and going ---------------------------------------------------------------------- */

/* A USB 3 link trains by itself, a USB 2 port wants a reset. */
static void connect(struct xhci_port *p)
{
    p->sc |= PORT_CCS | speed_id(p->socket->dev) << PORT_SPEED_AT | (p->usb3 ? PORT_PED : 0);
    set_pls(p, p->usb3 ? PLS_U0 : PLS_POLLING);
}

static void disconnect(struct xhci_port *p)
{
    p->sc &= ~(PORT_CCS | PORT_PED | 15u << PORT_SPEED_AT);
    set_pls(p, PLS_RXDETECT);
}

static void port_changed(void *opaque, unsigned socket, bool attached)
{
    struct xhci *s = opaque;

    for (unsigned n = 0; n < s->n_ports; n++) {
        struct xhci_port *p = &s->port[n];

        if (p->socket != &s->socket[socket])
            continue;
        if (attached && device_at(p)) {
            connect(p);
            changed(s, p, PORT_CSC);
        } else if (!attached && p->sc & PORT_CCS) {
            disconnect(p);
            changed(s, p, PORT_CSC);
        }
    }
    xhci_news(s);
}

static void port_wakeup(void *opaque, unsigned socket)
{
    struct xhci *s = opaque;

    for (unsigned n = 0; n < s->n_ports; n++) {
        struct xhci_port *p = &s->port[n];

        if (p->socket != &s->socket[socket] || !device_at(p) || PORT_PLS(p->sc) != PLS_U3)
            continue;
        set_pls(p, PLS_RESUME);
        changed(s, p, PORT_PLC);
    }
}

static const struct usb_port_ops port_ops = { port_changed, port_wakeup };

/* ---- what software does ---------------------------------------------------------------------- */

/* 4.19.5: hot or, of USB 3 only, warm reset */
static void port_reset(struct xhci *s, struct xhci_port *p, bool warm)
{
    struct usb_device *d = device_at(p);

    if (!d || !(p->sc & PORT_CCS))
        return;
    usb_reset_device(d);
    p->sc |= PORT_PED;
    set_pls(p, PLS_U0);
    changed(s, p, PORT_PRC | (warm ? PORT_WRC : 0));
    xhci_news(s);
}

/* PLS is written with LWS; which states that leads to, 5.4.8 */
static void link_write(struct xhci *s, struct xhci_port *p, unsigned want)
{
    unsigned is = PORT_PLS(p->sc);

    if (want == PLS_U3 && p->sc & PORT_PED && is < PLS_U3) {
        set_pls(p, PLS_U3);
    } else if (want == PLS_RESUME && !p->usb3 && is == PLS_U3) {
        set_pls(p, PLS_RESUME);
    } else if (want == PLS_U0 && p->sc & PORT_PED && (is == PLS_RESUME || is == PLS_U3)) {
        set_pls(p, PLS_U0);
        changed(s, p, PORT_PLC);
        xhci_news(s);
    } else if (want == PLS_DISABLED && p->usb3) {
        disconnect(p);
        set_pls(p, PLS_DISABLED);
    } else if (want == PLS_RXDETECT && p->usb3 && is == PLS_DISABLED) {
        set_pls(p, PLS_RXDETECT);
        if (device_at(p)) {
            usb_reset_device(device_at(p));
            connect(p);
            changed(s, p, PORT_CSC);
        }
    }
    update(p);
}

static void disable(struct xhci_port *p)
{
    if (!(p->sc & PORT_PED))
        return;
    p->sc &= ~PORT_PED;
    set_pls(p, p->usb3 ? PLS_DISABLED : PLS_POLLING);
    update(p);
}

void xhci_portsc_write(struct xhci *s, unsigned n, uint32_t val)
{
    struct xhci_port *p = &s->port[n];

    p->sc &= ~(val & PORT_CHANGES);
    p->sc = (p->sc & ~PORT_KEPT) | (val & PORT_KEPT);
    if (!(p->sc & PORT_CHANGES))
        p->event_due = false;
    if (val & PORT_PR || (val & PORT_WPR && p->usb3))
        port_reset(s, p, p->usb3 && val & PORT_WPR);
    else if (val & PORT_PED)
        disable(p);
    else if (val & PORT_LWS)
        link_write(s, p, PORT_PLS(val));
}

/* ---- life --------------------------------------------------------------------------------------- */

void xhci_ports_init(struct xhci *s)
{
    s->first3 = 0;
    s->first2 = s->p3;
    s->n_ports = s->p3 + s->p2;
    for (unsigned n = 0; n < MAX(s->p2, s->p3); n++) {
        usb_port_add(&s->bus, &s->socket[n], &port_ops, s, n, NULL);
        usb_port_speeds(&s->socket[n], (n < s->p2 ? BIT(USB_LOW) | BIT(USB_FULL) | BIT(USB_HIGH) : 0) |
                                           (n < s->p3 ? BIT(USB_SUPER) : 0));
    }
    for (unsigned n = 0; n < s->n_ports; n++)
        s->port[n] = (struct xhci_port){ .usb3 = n < s->first2,
                                         .socket = &s->socket[n < s->first2 ? n : n - s->first2] };
}

void xhci_ports_reset(struct xhci *s)
{
    for (unsigned n = 0; n < s->n_ports; n++) {
        struct xhci_port *p = &s->port[n];

        p->pmsc = 0;
        p->event_due = false;
        p->sc = PORT_PP | PLS_RXDETECT << PORT_PLS_AT;
        if (!device_at(p))
            continue;
        usb_reset_device(device_at(p));
        connect(p);
        changed(s, p, PORT_CSC);
    }
}
