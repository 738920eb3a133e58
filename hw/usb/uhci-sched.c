/*
 * uhci-sched.c - frame list, queue heads, transfer descriptors
 *
 * A frame has a budget in bytes of bus time; everything that is fetched or sent
 * takes from it, so loops in the schedule (software makes some on purpose, to use up
 * the frame) end where they end on the wire.
 *
 * Source: Intel Universal Host Controller Interface design guide 1.1, chapter 3.
 */
#include "hw/dma/sg.h"
#include "hw/usb/uhci-int.h"

#define FRAME_BYTES  1500            /* 12 Mbit/s */
#define FETCH_BYTES  4               /* of bus time while a pointer is followed */
#define PACKET_BYTES 16              /* token, handshake, gaps */

enum { LINK_END = 1, LINK_QH = 2, LINK_DEPTH = 4 };
#define LINK_ADDR(l) ((l) & ~15u)

enum { /* control and status of a TD */
    TD_ACTLEN = 0x7ff, TD_TIMEOUT = 1 << 18, TD_NAK = 1 << 19, TD_BABBLE = 1 << 20,
    TD_STALLED = 1 << 22, TD_ACTIVE = 1 << 23, TD_IOC = 1 << 24, TD_ISO = 1 << 25,
    TD_ERRORS_AT = 27, TD_SPD = 1 << 29,
};
#define TD_ERRORS(ctrl) ((ctrl) >> TD_ERRORS_AT & 3)
#define TD_MAX_LEN 0x4ff

struct td {
    uint32_t link, ctrl, token, buffer;
};

/* What is to be done next after a TD. */
enum td_next { TD_DONE, TD_STAYS, TD_HALTED };

static void process_error(struct uhci *s, const char *what, uint32_t at)
{
    log_guest(LOG_USB, "uhci frame=%u %s at=%#x", s->frnum, what, at);
    s->status |= STS_PROCESS;
    s->cmd &= ~CMD_RS;
}

/* ---- one transaction ------------------------------------------------------------------ */

static unsigned td_len(const struct td *td)
{
    return ((td->token >> 21) + 1) & 0x7ff;
}

static int transact(struct uhci *s, const struct td *td)
{
    struct usb_device *d = usb_find(&s->bus, td->token >> 8 & 0x7f);
    enum usb_pid pid = td->token & 0xff;
    unsigned len = td_len(td), ep = td->token >> 15 & 15;
    uint8_t buf[USB_PACKET_MAX];
    int n;

    if (!d)
        return USB_SILENT;
    if (pid != USB_IN)
        dma_get(&s->pci.dma, td->buffer, buf, len);
    n = usb_transact(d, pid, ep, buf, len);
    if (pid == USB_IN && n > 0)
        dma_put(&s->pci.dma, td->buffer, buf, n);
    return n;
}

/* No handshake: again, until the count of errors that are allowed runs out. */
static enum td_next td_silent(struct uhci *s, struct td *td)
{
    unsigned left = TD_ERRORS(td->ctrl);

    td->ctrl |= TD_TIMEOUT;
    if (left == 0)
        return TD_STAYS;                     /* as often as it takes */
    td->ctrl -= 1u << TD_ERRORS_AT;
    if (left > 1)
        return TD_STAYS;
    td->ctrl = (td->ctrl & ~TD_ACTIVE) | TD_STALLED;
    s->status |= STS_ERROR;
    return TD_HALTED;
}

static enum td_next td_stalled(struct uhci *s, struct td *td)
{
    td->ctrl = (td->ctrl & ~TD_ACTIVE) | TD_STALLED;
    s->status |= STS_ERROR;
    return TD_HALTED;
}

static enum td_next td_moved(struct uhci *s, struct td *td, unsigned n)
{
    bool is_short = (td->token & 0xff) == USB_IN && n < td_len(td);

    td->ctrl &= ~(TD_ACTIVE | TD_NAK | TD_ACTLEN);
    td->ctrl |= (n - 1) & TD_ACTLEN;
    if (is_short && td->ctrl & TD_SPD) {
        s->status |= STS_USBINT;
        s->cause_next |= INTR_SHORT;
        return TD_HALTED;                    /* software looks at the rest */
    }
    return TD_DONE;
}

static enum td_next td_answer(struct uhci *s, struct td *td, int n)
{
    switch (n) {
    case USB_NAK:
        td->ctrl |= TD_NAK;
        return TD_STAYS;
    case USB_STALL:
        return td_stalled(s, td);
    case USB_SILENT:
        return td_silent(s, td);
    default:
        return td_moved(s, td, n);
    }
}

/* Carry out the TD at @at; false: it cannot be one. */
static bool td_run(struct uhci *s, uint32_t at, struct td *td, int *budget, enum td_next *next,
                   bool *moved)
{
    uint8_t pid = td->token & 0xff;
    uint32_t before = td->ctrl;
    int n;

    if (pid != USB_IN && pid != USB_OUT && pid != USB_SETUP) {
        process_error(s, "TD with an unknown PID", at);
        return false;
    }
    if (td_len(td) > TD_MAX_LEN + 1) {
        process_error(s, "TD longer than a frame", at);
        return false;
    }
    n = transact(s, td);
    *budget -= PACKET_BYTES + MAX(n, 0);
    *moved |= n != USB_NAK;
    *next = td_answer(s, td, n);
    if (td->ctrl & TD_ISO) {                 /* one try, whatever came of it */
        td->ctrl &= ~TD_ACTIVE;
        *next = TD_DONE;
    }
    if (!(td->ctrl & TD_ACTIVE) && td->ctrl & TD_IOC) {
        s->status |= STS_USBINT;
        s->cause_next |= INTR_IOC;
    }
    if (td->ctrl != before)
        dma_put(&s->pci.dma, at + 4, &td->ctrl, 4);
    return true;
}

/* ---- a frame ---------------------------------------------------------------------------- */

/** struct queue - the queue head that is being worked on */
struct queue {
    uint32_t at, link, element;
};

static uint32_t queue_leave(struct queue *q)
{
    q->at = 0;
    return q->link;
}

static uint32_t queue_open(struct uhci *s, struct queue *q, uint32_t link)
{
    uint32_t qh[2];

    q->at = LINK_ADDR(link);
    dma_get(&s->pci.dma, q->at, qh, sizeof qh);
    q->link = qh[0];
    q->element = qh[1];
    return q->element & LINK_END ? queue_leave(q) : q->element;
}

/* Where to go after TD @td of queue @q; q->at 0: it stands in the frame list itself. */
static uint32_t after_td(struct uhci *s, struct queue *q, const struct td *td, enum td_next next)
{
    if (!q->at)
        return td->link;
    if (next != TD_DONE)
        return queue_leave(q);
    q->element = td->link;
    dma_put(&s->pci.dma, q->at + 4, &q->element, 4);
    return (td->link & (LINK_DEPTH | LINK_END)) == LINK_DEPTH ? td->link : queue_leave(q);
}

bool uhci_frame(struct uhci *s)
{
    struct queue q = { .at = 0 };
    int budget = FRAME_BYTES;
    bool moved = false;
    uint32_t link;

    if (!dma_enabled(&s->pci.dma))           /* the frame goes by */
        return false;
    dma_get(&s->pci.dma, s->flbase + (s->frnum & 0x3ff) * 4u, &link, 4);
    for (; !(link & LINK_END) && budget > 0; budget -= FETCH_BYTES) {
        enum td_next next = TD_STAYS;
        struct td td;

        if (link & LINK_QH) {
            link = queue_open(s, &q, link);
            continue;
        }
        if (!dma_get(&s->pci.dma, LINK_ADDR(link), &td, sizeof td)) {
            process_error(s, "no memory", link);
            break;
        }
        if (td.ctrl & TD_ACTIVE && !td_run(s, LINK_ADDR(link), &td, &budget, &next, &moved))
            break;
        link = after_td(s, &q, &td, next);
    }
    return moved;
}
