/*
 * xhci-event.c - event rings and interrupters
 *
 * A ring is started when the first event is due after its table was written. Entries of the
 * table are believed then and not read again.
 *
 * Source: xHCI 1.2, 4.9.4 (event ring), 4.17 (interrupters), 5.5.2 (their registers), 6.5
 * (segment table).
 */
#include "hw/usb/xhci-int.h"

enum { REG_IMAN = 0x00, REG_IMOD = 0x04, REG_ERSTSZ = 0x08, REG_ERSTBA = 0x10, REG_ERDP = 0x18 };
#define IMOD_RESET     4000          /* 1 ms */
#define IMOD_UNIT_NS   250
#define SEGMENT_MIN    16
#define SEGMENT_MAX    4096
#define ERST_BYTES     16
#define TD_EVENTS      3             /* of a descriptor or command; one with more Event Data TRBs may lose some */

/* ---- the ring ------------------------------------------------------------------------- */

static bool read_table(struct xhci *s, struct xhci_intr *it)
{
    it->n_seg = MIN(it->erstsz, (uint32_t)XHCI_SEGMENTS);
    for (unsigned i = 0; i < it->n_seg; i++) {
        struct xhci_segment *g = &it->table[i];
        uint8_t raw[ERST_BYTES];

        if (!dma_get(&s->pci.dma, it->erstba + i * ERST_BYTES, raw, sizeof raw))
            return false;
        g->base = ldl64(raw) & ~63ull;
        g->n = ldl16(raw + 8);
        if (g->n < SEGMENT_MIN || g->n > SEGMENT_MAX)
            return false;
    }
    return it->n_seg != 0;
}

static bool start(struct xhci *s, struct xhci_intr *it)
{
    if (!dma_enabled(&s->pci.dma))
        return false;
    if (it->started)
        return !it->broken;
    it->started = true;
    it->seg = it->at = 0;
    it->cycle = true;
    it->full = false;
    it->broken = !read_table(s, it);
    if (it->broken && it->erstsz)
        xhci_die(s, STS_HCE, "event ring segment table", it->erstba);
    return !it->broken;
}

static uint64_t address(const struct xhci_intr *it, uint32_t seg, uint32_t at)
{
    return it->table[seg].base + at * (uint64_t)TRB_BYTES;
}

static void advance(const struct xhci_intr *it, uint32_t *seg, uint32_t *at)
{
    if (++*at < it->table[*seg].n)
        return;
    *at = 0;
    *seg = (*seg + 1) % it->n_seg;
}

/* Whether @ahead more events leave one place free, which tells a full ring from an empty one. */
static bool has_room(const struct xhci_intr *it, unsigned ahead)
{
    uint32_t seg = it->seg, at = it->at;

    while (ahead--) {
        advance(it, &seg, &at);
        if (address(it, seg, at) == (it->erdp & ~15ull))
            return false;
    }
    return true;
}

static void put(struct xhci *s, struct xhci_intr *it, const struct xhci_trb *ev)
{
    uint64_t to = address(it, it->seg, it->at);
    uint8_t raw[TRB_BYTES];

    stl64(raw, ev->param);
    stl32(raw + 8, ev->status);
    stl32(raw + 12, (ev->control & ~TRB_CYCLE) | it->cycle);
    /* the cycle bit makes it valid: it goes last */
    dma_put(&s->pci.dma, to, raw, 12);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    dma_put(&s->pci.dma, to + 12, raw + 12, 4);
    advance(it, &it->seg, &it->at);
    if (!it->seg && !it->at)
        it->cycle = !it->cycle;
    log_ev(LOG_USB, "xhci event type=%u param=%#llx status=%#x control=%#x", TRB_TYPE(ev->control),
           (unsigned long long)ev->param, ev->status, ev->control);
}

bool xhci_event_room(struct xhci *s, unsigned n)
{
    struct xhci_intr *it = &s->intr[MIN(n, XHCI_INTRS - 1u)];

    return n >= s->n_intrs || !start(s, it) || (!it->full && has_room(it, TD_EVENTS + 1));
}

void xhci_event(struct xhci *s, unsigned n, const struct xhci_trb *ev, bool quiet)
{
    static const struct xhci_trb full = { 0, (uint32_t)CC_RING_FULL << 24, TRB_EV_HOST << TRB_TYPE_AT };
    struct xhci_intr *it = &s->intr[MIN(n, XHCI_INTRS - 1u)];

    if (n >= s->n_intrs || !start(s, it)) {
        log_guest(LOG_USB, "xhci interrupter=%u has no event ring", n);
        return;
    }
    if (it->full || !has_room(it, 1)) {
        log_guest(LOG_USB, "xhci interrupter=%u event ring full", n);
        it->full = true;
        return;
    }
    if (!has_room(it, 2)) {
        it->full = true;
        ev = &full;
    }
    put(s, it, ev);
    if (quiet)
        return;
    it->due = true;
    xhci_intr_update(s);
}

/* ---- interrupts -------------------------------------------------------------------------- */

static int64_t now(const struct xhci *s)
{
    return clock_now_ns(&s->pci.dev.machine->clock);
}

/* 4.17.2: IPE becomes IP when nobody is handling events and the interval is over. */
static void raise(struct xhci *s, struct xhci_intr *it)
{
    int64_t t = now(s);

    if (!it->due || it->iman & IMAN_IP || it->erdp & ERDP_EHB)
        return;
    if (t < it->next_ns) {
        if (!it->timer.queued)
            timer_mod(&it->timer, it->next_ns);
        return;
    }
    it->due = false;
    it->iman |= IMAN_IP;
    it->erdp |= ERDP_EHB;
    it->next_ns = t + (int64_t)(it->imod & 0xffff) * IMOD_UNIT_NS;
    s->sts |= STS_EINT;
}

static bool by_message(const struct xhci *s)
{
    return msix_enabled(&s->msix) || msi_enabled(&s->msi);
}

static void send(struct xhci *s, unsigned n)
{
    if (msix_enabled(&s->msix))
        msix_notify(&s->msix, n);
    else
        msi_notify(&s->msi, n);
}

void xhci_intr_update(struct xhci *s)
{
    bool level = false;

    for (unsigned n = 0; n < s->n_intrs; n++) {
        struct xhci_intr *it = &s->intr[n];

        raise(s, it);
        if (!(it->iman & IMAN_IP) || !(it->iman & IMAN_IE) || !(s->cmd & CMD_INTE))
            continue;
        if (by_message(s)) {
            it->iman &= ~IMAN_IP;    /* 4.17.5: a message clears it */
            send(s, n);
        } else {
            level = true;
        }
    }
    pci_irq_set(&s->pci, level);
}

static void on_interval(void *opaque)
{
    xhci_intr_update(((struct xhci_intr *)opaque)->s);
}

void xhci_intr_reset(struct xhci_intr *it)
{
    struct xhci *s = it->s;

    timer_del(&it->timer);
    *it = (struct xhci_intr){ .s = s, .imod = IMOD_RESET };
    timer_init(&it->timer, &s->pci.dev.machine->timers, on_interval, it);
    it->timer.prompt = true;
}

/* ---- registers ------------------------------------------------------------------------------ */

uint32_t xhci_intr_read(const struct xhci_intr *it, unsigned off)
{
    int64_t left = it->next_ns - now(it->s);

    switch (off) {
    case REG_IMAN: return it->iman;
    case REG_IMOD: return it->imod | (left > 0 ? (uint32_t)(left / IMOD_UNIT_NS) << 16 : 0);
    case REG_ERSTSZ: return it->erstsz;
    case REG_ERSTBA: return it->erstba;
    case REG_ERSTBA + 4: return it->erstba >> 32;
    case REG_ERDP: return it->erdp;
    case REG_ERDP + 4: return it->erdp >> 32;
    default: return 0;
    }
}

/* 4.17.2: nothing is left to interrupt for once software has seen all there is. */
static void forget_seen(struct xhci_intr *it)
{
    if (it->started && !it->broken && address(it, it->seg, it->at) == (it->erdp & ~15ull))
        it->due = false;
}

/* The low half carries EHB, which a written 1 clears; events that came meanwhile interrupt again. */
static void erdp_write(struct xhci *s, struct xhci_intr *it, uint32_t val)
{
    uint32_t ehb = it->erdp & ERDP_EHB & ~val;

    it->erdp = (it->erdp & ~0xffffffffull) | (val & ~(uint32_t)ERDP_EHB) | ehb;
    it->full = false;
    forget_seen(it);
}

void xhci_intr_write(struct xhci *s, unsigned n, unsigned off, uint32_t val)
{
    struct xhci_intr *it = &s->intr[n];

    switch (off) {
    case REG_IMAN:
        it->iman = (it->iman & IMAN_IP & ~val) | (val & IMAN_IE);
        break;
    case REG_IMOD:
        it->imod = val & 0xffff;
        it->next_ns = now(s) + (int64_t)(val >> 16) * IMOD_UNIT_NS;
        timer_del(&it->timer);
        break;
    case REG_ERSTSZ:
        it->erstsz = val & 0xffff;
        it->started = false;
        break;
    case REG_ERSTBA:
        it->erstba = (it->erstba & ~0xffffffffull) | (val & ~63u);
        it->started = false;
        break;
    case REG_ERSTBA + 4:
        it->erstba = (it->erstba & 0xffffffff) | (uint64_t)val << 32;
        it->started = false;
        break;
    case REG_ERDP:
        erdp_write(s, it, val);
        break;
    case REG_ERDP + 4:
        it->erdp = (it->erdp & 0xffffffff) | (uint64_t)val << 32;
        forget_seen(it);
        break;
    }
    xhci_intr_update(s);
    if (off != REG_ERDP && off != REG_ERDP + 4)
        return;
    xhci_ports_events(s);
    if (s->held)
        xhci_work(s);
}
