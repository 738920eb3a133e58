/*
 * xhci-xfer.c - endpoints: transfer descriptors become transactions
 *
 * A descriptor is carried out packet by packet from where it stands (xhci_ep.done). NAK
 * leaves it there until the bus has news. After one of an interrupt endpoint the next has
 * to wait for its interval; a device that was silent for longer is served at once.
 *
 * Source: xHCI 1.2, 4.6.9 (Stop Endpoint), 4.10 (events of transfers), 4.11.2.2 (control
 * transfers), 4.11.5.2 (Event Data), 6.4.1, 6.4.2.1.
 */
#include "hw/usb/xhci-int.h"

#define EDTLA_BITS 0xffffff

/* What became of a descriptor. */
enum outcome { TD_DONE, TD_WAITS, TD_FAILED };

struct usb_device *xhci_device(const struct xhci *s, unsigned n)
{
    const struct xhci_slot *slot = &s->slot[n];
    const struct xhci_port *p = &s->port[slot->port];
    const struct usb_device *root = p->socket->dev;

    if (!root || (root->speed == USB_SUPER) != p->usb3)
        return NULL;
    return usb_at(p->socket, slot->route);
}

/* ---- events ------------------------------------------------------------------------------- */

/** struct xfer - an endpoint's descriptor while it is carried out */
struct xfer {
    struct xhci *s;
    unsigned slot, dci;
    struct xhci_ep *ep;
    const struct xhci_td *td;
    uint32_t total;                  /* bytes that it is about */
};

static bool moves_data(const struct xhci_trb *t)
{
    return TRB_TYPE(t->control) == TRB_NORMAL || TRB_TYPE(t->control) == TRB_DATA;
}

static uint32_t trb_bytes(const struct xhci_trb *t)
{
    return moves_data(t) ? TRB_LEN(t->status) : 0;
}

static void tell(struct xfer *x, unsigned i, uint64_t param, uint32_t len, enum xhci_code code, bool data)
{
    const struct xhci_trb *t = &x->td->trb[i];
    struct xhci_trb ev = { param, len | (uint32_t)code << 24,
                           TRB_EV_TRANSFER << TRB_TYPE_AT | (data ? TRB_ED : 0) | x->dci << 16 | x->slot << 24 };

    xhci_event(x->s, TRB_INTR(t->status), &ev, t->control & TRB_BEI);
}

/* The last TRB that is more than a note to software. */
static unsigned last_real(const struct xhci_td *td)
{
    unsigned i = td->n - 1;

    while (i && TRB_TYPE(td->trb[i].control) == TRB_EVENT_DATA)
        i--;
    return i;
}

/*
 * Events of a descriptor of which ep->done bytes were moved: where IOC is set, where a packet
 * was short and ISP is set - of that one event (4.10.1.1) -, where it failed. A failure or a
 * stop ends it there.
 */
static void report(struct xfer *x, enum xhci_code code)
{
    bool broken = code != CC_SUCCESS && code != CC_SHORT, told = false;
    uint32_t left = x->ep->done, sum = x->ep->edtla;

    for (unsigned i = 0; i < x->td->n; i++) {
        const struct xhci_trb *t = &x->td->trb[i];
        uint32_t len = trb_bytes(t), moved = MIN(left, len);

        if (broken && (left < len || i == last_real(x->td))) {
            tell(x, i, x->td->at[i], len - moved, code, false);
            return;
        }
        left -= moved;
        sum += moved;
        if (TRB_TYPE(t->control) == TRB_EVENT_DATA) {
            if (t->control & TRB_IOC)
                tell(x, i, t->param, sum & EDTLA_BITS, code, true);
            sum = 0;
        } else if (!told && (t->control & TRB_IOC || (code == CC_SHORT && moved < len && t->control & TRB_ISP))) {
            tell(x, i, x->td->at[i], len - moved, moved < len ? code : CC_SUCCESS, false);
            told = moved < len;
        }
    }
}

/* The ring stands at the TRB that is under way, of which ep->done bytes were moved. */
static void settle(struct xfer *x)
{
    unsigned i = 0;

    while (i + 1 < x->td->n && x->ep->done >= trb_bytes(&x->td->trb[i])) {
        x->ep->done -= trb_bytes(&x->td->trb[i]);
        x->ep->edtla += trb_bytes(&x->td->trb[i]);
        i++;
    }
    x->ep->ring = (struct xhci_ring){ x->td->at[i], x->td->trb[i].control & TRB_CYCLE };
}

/* ---- data ------------------------------------------------------------------------------------- */

/* The descriptor's memory. What is immediate (IDT) lies in the TRB itself. */
static bool gather(struct xfer *x, struct sg *sg)
{
    for (unsigned i = 0; i < x->td->n; i++) {
        const struct xhci_trb *t = &x->td->trb[i];
        uint32_t len = trb_bytes(t);
        bool here = t->control & TRB_IDT;

        if ((here && len > 8) || len > XHCI_TD_BYTES - x->total)
            return false;
        x->total += len;
        if (len && sg_add(sg, here ? x->td->at[i] : t->param, len) < 0)
            return false;
    }
    return true;
}

/* Packets until the descriptor is done, short (*@code), or not taken. */
static int packets(struct xfer *x, struct usb_device *d, enum usb_pid pid, struct sg *sg, enum xhci_code *code)
{
    uint8_t buf[USB_PACKET_MAX];
    int n;

    do {
        uint32_t left = x->total - x->ep->done, want = MIN(left, (uint32_t)x->ep->packet);

        if (!x->s->packets)
            return USB_NAK;
        x->s->packets--;
        if (pid == USB_OUT)
            sg_get(sg, x->ep->done, buf, want);
        n = usb_transact(d, pid, x->dci / 2, buf, want);
        if (n < 0)
            return n;
        if (pid == USB_IN)
            sg_put(sg, x->ep->done, buf, n);
        x->ep->done += n;
        if ((uint32_t)n < want) {
            *code = CC_SHORT;
            return 0;
        }
    } while (x->ep->done < x->total);
    return 0;
}

static enum outcome failed(struct xfer *x, enum xhci_code code)
{
    report(x, code);
    settle(x);
    xhci_ep_state(x->s, x->slot, x->dci, EP_HALTED);
    return TD_FAILED;
}

/* @n: what the device said last. A pass that is used up is continued, not waited for. */
static enum outcome answered(struct xfer *x, int n, enum xhci_code code)
{
    switch (n) {
    case USB_NAK:
        x->ep->waiting = true;
        if (!x->s->packets)
            x->s->slot[x->slot].ready |= 1u << x->dci;
        return TD_WAITS;
    case USB_STALL:
        return failed(x, CC_STALL);
    case USB_SILENT:
        return failed(x, CC_TRANSACTION);
    default:
        report(x, code);
        return TD_DONE;
    }
}

static enum outcome transfer(struct xfer *x, enum usb_pid pid)
{
    struct usb_device *d = xhci_device(x->s, x->slot);
    enum xhci_code code = CC_SUCCESS;
    uint32_t before = x->ep->done;
    struct sg sg;
    int n;

    if (!d)
        return failed(x, CC_TRANSACTION);
    sg_init(&sg, &x->s->pci.dma, pid == USB_IN);
    if (!gather(x, &sg)) {
        sg_free(&sg);
        return failed(x, CC_TRB);
    }
    n = packets(x, d, pid, &sg, &code);
    sg_done(&sg, x->ep->done > before ? x->ep->done : 0);
    return answered(x, n, code);
}

/* ---- control transfers, stage by stage -------------------------------------------------------- */

static enum outcome setup_stage(struct xfer *x)
{
    const struct xhci_trb *t = &x->td->trb[0];
    struct usb_device *d = xhci_device(x->s, x->slot);
    uint8_t setup[8];

    if (x->td->n != 1 || !(t->control & TRB_IDT) || TRB_LEN(t->status) != sizeof setup)
        return failed(x, CC_TRB);
    if (!d)
        return failed(x, CC_TRANSACTION);
    stl64(setup, t->param);
    return answered(x, usb_transact(d, USB_SETUP, 0, setup, sizeof setup), CC_SUCCESS);
}

static enum outcome control(struct xfer *x)
{
    const struct xhci_trb *t = &x->td->trb[0];

    switch (TRB_TYPE(t->control)) {
    case TRB_SETUP:
        return setup_stage(x);
    case TRB_DATA: case TRB_STATUS:
        return transfer(x, t->control & TRB_DIR_IN ? USB_IN : USB_OUT);
    default:
        return failed(x, CC_TRB);
    }
}

static enum outcome carry_out(struct xfer *x)
{
    switch (TRB_TYPE(x->td->trb[0].control)) {
    case TRB_NOOP:
    case TRB_EVENT_DATA:
        report(x, CC_SUCCESS);
        return TD_DONE;
    default:
        if (x->dci == 1)
            return control(x);
        if (TRB_TYPE(x->td->trb[0].control) != TRB_NORMAL)
            return failed(x, CC_TRB);
        return transfer(x, x->dci & 1 ? USB_IN : USB_OUT);
    }
}

/* ---- endpoints ----------------------------------------------------------------------------------- */

/* Where events would go that there is no room for. */
static bool td_has_room(struct xhci *s)
{
    const struct xhci_td *td = &s->td;

    return xhci_event_room(s, TRB_INTR(td->trb[0].status)) && xhci_event_room(s, TRB_INTR(td->trb[td->n - 1].status));
}

static struct xfer xfer_of(struct xhci *s, unsigned slot, unsigned dci)
{
    return (struct xfer){ .s = s, .slot = slot, .dci = dci, .ep = &s->slot[slot].ep[dci], .td = &s->td };
}

/* What cannot be fetched to its end never will be. */
static void give_up(struct xfer *x)
{
    if (!xhci_running(x->s))
        return;
    if (x->td->n)
        tell(x, 0, x->td->at[0], 0, CC_TRB, false);
    xhci_ep_state(x->s, x->slot, x->dci, EP_ERROR);
}

static int64_t now(const struct xhci *s)
{
    return clock_now_ns(&s->pci.dev.machine->clock);
}

/* One descriptor; true: it is done, and there may be another. The endpoint is not ready where
 * only the driver or the device can go on; where room for events or time is wanted it stays so. */
static bool step(struct xhci *s, unsigned n, unsigned dci)
{
    struct xfer x = xfer_of(s, n, dci);
    enum xhci_fetch got;

    if (x.ep->interval_ns && now(s) < x.ep->next_ns) {
        s->wake_ns = MIN(s->wake_ns, x.ep->next_ns);
        return false;
    }
    got = xhci_fetch_td(s, &x.ep->ring);
    if (got == FETCH_DONE && !td_has_room(s)) {
        s->held = true;
        return false;
    }
    s->slot[n].ready &= ~(1u << dci);
    if (got == FETCH_BAD)
        give_up(&x);
    if (got != FETCH_DONE)
        return false;
    x.ep->waiting = false;
    if (carry_out(&x) != TD_DONE)
        return false;
    x.ep->ring = s->td.next;
    x.ep->done = x.ep->edtla = 0;
    x.ep->next_ns = now(s) + x.ep->interval_ns;
    s->slot[n].ready |= 1u << dci;
    return true;
}

bool xhci_ep_run(struct xhci *s, unsigned n, unsigned dci)
{
    struct xhci_ep *ep = &s->slot[n].ep[dci];

    for (unsigned i = 0; i < XHCI_PASS_TDS && s->packets; i++) {
        if (ep->state != EP_RUNNING || !xhci_running(s)) {
            s->slot[n].ready &= ~(1u << dci);
            return false;
        }
        if (!step(s, n, dci))
            return !s->packets && s->slot[n].ready >> dci & 1;
    }
    return true;
}

void xhci_doorbell(struct xhci *s, unsigned n, unsigned dci)
{
    struct xhci_slot *slot = &s->slot[n];
    struct xhci_ep *ep;

    if (slot->state == SLOT_DISABLED || dci < 1 || dci > 31) {
        log_guest(LOG_USB, "xhci doorbell=%u target=%u is nobody's", n, dci);
        return;
    }
    ep = &slot->ep[dci];
    if (ep->state == EP_STOPPED)
        xhci_ep_state(s, n, dci, EP_RUNNING);
    if (ep->state == EP_RUNNING)
        slot->ready |= 1u << dci;
}

void xhci_ep_stop(struct xhci *s, unsigned n, unsigned dci)
{
    struct xhci_ep *ep = &s->slot[n].ep[dci];
    struct xfer x = xfer_of(s, n, dci);

    if (ep->waiting && xhci_fetch_td(s, &ep->ring) == FETCH_DONE) {
        report(&x, CC_STOPPED);
        settle(&x);
    }
    ep->waiting = false;
    s->slot[n].ready &= ~(1u << dci);
    xhci_ep_state(s, n, dci, EP_STOPPED);
}

void xhci_news(struct xhci *s)
{
    for (unsigned n = 1; n <= s->n_slots; n++)
        for (unsigned dci = 1; dci < 32 && s->slot[n].state != SLOT_DISABLED; dci++)
            if (s->slot[n].ep[dci].waiting && s->slot[n].ep[dci].state == EP_RUNNING)
                s->slot[n].ready |= 1u << dci;
    xhci_work(s);
}
