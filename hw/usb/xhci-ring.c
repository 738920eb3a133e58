/*
 * xhci-ring.c - TRBs and transfer descriptors of rings that software fills
 *
 * Source: xHCI 1.2, 4.9.2 (transfer rings), 4.9.3 (command ring), 4.11.5.1 (Link TRB).
 */
#include "hw/usb/xhci-int.h"

#define POINTER(param) ((param) & ~15ull)

static bool read_trb(struct xhci *s, uint64_t at, struct xhci_trb *trb)
{
    uint8_t raw[TRB_BYTES];

    if (!dma_get(&s->pci.dma, at, raw, sizeof raw)) {
        xhci_die(s, STS_HSE, "no memory for a ring", at);
        return false;
    }
    *trb = (struct xhci_trb){ ldl64(raw), ldl32(raw + 8), ldl32(raw + 12) };
    return true;
}

enum xhci_fetch xhci_fetch(struct xhci *s, struct xhci_ring *r, struct xhci_trb *trb, uint64_t *at)
{
    struct xhci_ring now = *r;

    for (unsigned links = 0; links <= XHCI_LINKS; links++) {
        if (!read_trb(s, now.dequeue, trb))
            return FETCH_BAD;
        if ((trb->control & TRB_CYCLE) != now.cycle)
            return FETCH_NONE;
        if (TRB_TYPE(trb->control) != TRB_LINK) {
            *at = now.dequeue;
            now.dequeue += TRB_BYTES;
            *r = now;
            return FETCH_DONE;
        }
        now.dequeue = POINTER(trb->param);
        now.cycle ^= (trb->control & TRB_TC) != 0;
    }
    log_guest(LOG_USB, "xhci ring at=%#llx has nothing but links", (unsigned long long)r->dequeue);
    return FETCH_BAD;
}

enum xhci_fetch xhci_fetch_td(struct xhci *s, const struct xhci_ring *r)
{
    struct xhci_td *td = &s->td;
    enum xhci_fetch ret;

    td->n = 0;
    td->next = *r;
    do {
        if (td->n == XHCI_TD_TRBS) {
            log_guest(LOG_USB, "xhci descriptor at=%#llx is too long", (unsigned long long)r->dequeue);
            return FETCH_BAD;
        }
        ret = xhci_fetch(s, &td->next, &td->trb[td->n], &td->at[td->n]);
        if (ret != FETCH_DONE)
            return ret;
    } while (td->trb[td->n++].control & TRB_CH);
    return FETCH_DONE;
}
