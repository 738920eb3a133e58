/*
 * xhci.c - qemu-xhci and nec-usb-xhci: the PCI function, and when work is done
 *
 * Both are the same controller; the second has the identification of a NEC uPD720200, and
 * none of its vendor commands.
 *
 * Source: xHCI 1.2, 4.2 (initialization), 5.2 (configuration space).
 */
#include "hw/usb/xhci-int.h"

enum { CFG_SBRN = 0x60, CFG_FLADJ = 0x61 };
#define MF_BITS      0x3fff          /* MFINDEX */
#define MSIX_BAR     4
#define PASSES       4               /* one after the other, before time goes on */

static int64_t now(const struct xhci *s)
{
    return clock_now_ns(&s->pci.dev.machine->clock);
}

/* ---- passes ----------------------------------------------------------------------------- */

/* One look at everything that is ready; true: more is left. */
static bool pass(struct xhci *s)
{
    bool left = s->cmd_ready && xhci_commands(s);

    for (unsigned n = 1; n <= s->n_slots; n++)
        for (uint32_t ready = s->slot[n].ready; ready; ready &= ready - 1)
            left |= xhci_ep_run(s, n, __builtin_ctz(ready));
    return left;
}

void xhci_work(struct xhci *s)
{
    bool left = true;

    if (s->busy) {
        s->again = true;
        return;
    }
    if (!xhci_reaches_memory(s))
        return;
    s->busy = true;
    s->held = false;
    s->wake_ns = INT64_MAX;
    s->packets = XHCI_PASS_PACKETS;
    for (unsigned n = 0; n < PASSES && left; n++) {
        s->again = false;
        left = pass(s);
        left = (left || s->again) && xhci_running(s);
    }
    s->busy = false;
    if (left)
        s->wake_ns = now(s) + XHCI_FRAME_NS;
    if (s->wake_ns != INT64_MAX)
        timer_mod(&s->work, s->wake_ns);
}

static void on_work(void *opaque)
{
    xhci_work(opaque);
}

/* ---- MFINDEX ------------------------------------------------------------------------------- */

uint32_t xhci_mfindex(const struct xhci *s)
{
    uint64_t frames = s->sts & STS_HCH ? s->mf_stopped : (uint64_t)(now(s) - s->start_ns) / XHCI_FRAME_NS;

    return frames & MF_BITS;
}

static void set_wrap(struct xhci *s)
{
    timer_mod(&s->wrap, now(s) + (MF_BITS + 1ll - xhci_mfindex(s)) * XHCI_FRAME_NS);
}

static void on_wrap(void *opaque)
{
    static const struct xhci_trb ev = { 0, (uint32_t)CC_SUCCESS << 24, TRB_EV_WRAP << TRB_TYPE_AT };
    struct xhci *s = opaque;

    if (!xhci_running(s) || !(s->cmd & CMD_EWE))
        return;
    xhci_event(s, 0, &ev, false);
    set_wrap(s);
}

/* ---- running, reset --------------------------------------------------------------------------- */

static void halt(struct xhci *s)
{
    s->mf_stopped = xhci_mfindex(s);
    s->sts |= STS_HCH;
    s->crr = s->cmd_ready = false;
    timer_del(&s->work);
    timer_del(&s->wrap);
}

void xhci_run(struct xhci *s, bool on)
{
    if (!on) {
        halt(s);
        return;
    }
    if (s->sts & (STS_HCE | STS_HSE)) {
        s->cmd &= ~CMD_RS;
        return;
    }
    s->sts &= ~STS_HCH;
    s->start_ns = now(s) - (int64_t)s->mf_stopped * XHCI_FRAME_NS;
    if (s->cmd & CMD_EWE)
        set_wrap(s);
    xhci_ports_events(s);
    xhci_work(s);
}

void xhci_die(struct xhci *s, uint32_t why, const char *what, uint64_t at)
{
    log_guest(LOG_USB, "xhci %s at=%#llx, halted", what, (unsigned long long)at);
    halt(s);
    s->sts |= why;
    s->cmd &= ~CMD_RS;
    xhci_intr_update(s);
}

void xhci_reset(struct xhci *s)
{
    timer_del(&s->work);
    timer_del(&s->wrap);
    s->cmd = s->dnctrl = s->config = 0;
    s->sts = STS_HCH;
    s->dcbaap = s->crcr = s->mf_stopped = 0;
    s->crr = s->cmd_ready = s->held = false;
    s->cmd_ring = (struct xhci_ring){ 0, false };
    memset(s->slot, 0, sizeof s->slot);
    for (unsigned n = 0; n < s->n_intrs; n++)
        xhci_intr_reset(&s->intr[n]);
    xhci_ports_reset(s);
    xhci_intr_update(s);
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void bus_ready(void *opaque)
{
    xhci_news(opaque);
}

static void config_written(struct pci_device *pci, unsigned off, unsigned size)
{
    struct xhci *s = container_of(pci, struct xhci, pci);

    msi_written(&s->msi, off, size);
    msix_written(&s->msix, off, size);
    xhci_intr_update(s);
}

static void master_on(struct pci_device *pci)
{
    struct xhci *s = container_of(pci, struct xhci, pci);

    xhci_ports_events(s);
    xhci_work(s);
}

static int add_messages(struct xhci *s, struct err *e)
{
    int ret = 0;

    if (s->use_msi == ON_OFF_AUTO_ON)
        ret = msi_init(&s->msi, &s->pci, 1u << (31 - __builtin_clz(s->n_intrs)), e);
    if (ret == 0 && s->use_msix != ON_OFF_AUTO_OFF)
        ret = msix_init(&s->msix, &s->pci, MSIX_BAR, s->n_intrs, e);
    return ret;
}

static int check(const struct xhci *s, struct err *e)
{
    const char *name = s->pci.dev.type->name;

    if (!s->p2 && !s->p3)
        return err_set(e, -EINVAL, "%s: p2=0 and p3=0 leave no port", name);
    if (s->streams)
        return err_set(e, -EINVAL, "%s: streams=on: no device here has streams", name);
    return 0;
}

static int xhci_init(struct device *d, struct err *e)
{
    static const struct pci_info qemu = {
        .vendor = 0x1b36, .device = 0x000d, .revision = 1, .class_code = 0x0c0330, .int_pin = 1,
    }, nec = {
        .vendor = 0x1033, .device = 0x0194, .revision = 3, .class_code = 0x0c0330, .int_pin = 1,
    };
    struct xhci *s = (struct xhci *)d;
    int ret = check(s, e);

    if (ret == 0)
        ret = pci_device_init(&s->pci, d->type == &nec_xhci_type ? &nec : &qemu, e);
    if (ret < 0)
        return ret;
    s->pci.config[CFG_SBRN] = 0x30;
    s->pci.config[CFG_FLADJ] = 0x20;
    s->pci.config_written = config_written;
    s->pci.master_on = master_on;
    s->mem = (struct mem_region){ .name = "xhci", .len = XHCI_MEM_BYTES, .kind = MEM_MMIO, .ops = &xhci_mem_ops,
                                  .opaque = s };
    pci_bar_mem(&s->pci, 0, PCI_BAR_64, &s->mem);
    ret = add_messages(s, e);
    if (ret < 0) {
        pci_device_unplug(&s->pci);
        return ret;
    }
    timer_init(&s->work, &d->machine->timers, on_work, s);
    timer_init(&s->wrap, &d->machine->timers, on_wrap, s);
    for (unsigned n = 0; n < s->n_intrs; n++) {
        s->intr[n].s = s;
        xhci_intr_reset(&s->intr[n]);
    }
    usb_bus_init(&s->bus, d->machine, bus_ready, s);
    usb_bus_rename(&s->bus, d->id);
    s->bus.controller = d;
    xhci_ports_init(s);
    return 0;
}

static void xhci_device_reset(struct device *d)
{
    struct xhci *s = (struct xhci *)d;

    pci_device_reset(&s->pci);
    msi_reset(&s->msi);
    msix_reset(&s->msix);
    xhci_reset(s);
}

static void xhci_destroy(struct device *d)
{
    struct xhci *s = (struct xhci *)d;

    s->cmd = 0;                      /* what is unplugged now tells nobody */
    usb_bus_free(&s->bus);
    timer_del(&s->work);
    timer_del(&s->wrap);
    for (unsigned n = 0; n < s->n_intrs; n++)
        timer_del(&s->intr[n].timer);
    pci_device_unplug(&s->pci);
}

static const struct dev_prop xhci_props[] = {
    PROP(U32, "p2", struct xhci, p2, "4", 0, XHCI_SOCKETS, "USB 2 ports"),
    PROP(U32, "p3", struct xhci, p3, "4", 0, XHCI_SOCKETS, "USB 3 ports"),
    PROP(U32, "intrs", struct xhci, n_intrs, "16", 1, XHCI_INTRS, "interrupters"),
    PROP(U32, "slots", struct xhci, n_slots, "64", 1, XHCI_SLOTS, "device slots"),
    PROP(ON_OFF_AUTO, "msi", struct xhci, use_msi, "auto", 0, 0, "MSI; auto: off"),
    PROP(ON_OFF_AUTO, "msix", struct xhci, use_msix, "auto", 0, 0, "MSI-X; auto: on"),
    PROP(BOOL, "streams", struct xhci, streams, "off", 0, 0, "bulk streams; cannot be on"),
    PROP(DEVFN, "addr", struct xhci, addr, NULL, 0, 0, "PCI slot[.function]"),
    PROP_END
};

#define INTR(n) \
    FIELD(U32, struct xhci, intr[n].iman), FIELD(U32, struct xhci, intr[n].imod), FIELD(U32, struct xhci, intr[n].erstsz), \
    FIELD(U64, struct xhci, intr[n].erstba), FIELD(U64, struct xhci, intr[n].erdp), FIELD(BOOL, struct xhci, intr[n].started), \
    FIELD(BOOL, struct xhci, intr[n].broken), FIELD(BOOL, struct xhci, intr[n].full), FIELD(BOOL, struct xhci, intr[n].due), \
    FIELD(BOOL, struct xhci, intr[n].cycle), FIELD(U32, struct xhci, intr[n].n_seg), FIELD(U32, struct xhci, intr[n].seg), \
    FIELD(U32, struct xhci, intr[n].at), FIELD(BYTES, struct xhci, intr[n].table), FIELD(U64, struct xhci, intr[n].next_ns)
#define PORT(n) \
    FIELD(U32, struct xhci, port[n].sc), FIELD(U32, struct xhci, port[n].pmsc), FIELD(BOOL, struct xhci, port[n].event_due)
#define PORTS(n) PORT(n), PORT(n + 1), PORT(n + 2), PORT(n + 3), PORT(n + 4)

static const struct dev_field xhci_fields[] = {
    FIELD(BYTES, struct xhci, pci.config), FIELD(BYTES, struct xhci, msix.table), FIELD(BYTES, struct xhci, msix.pba),
    FIELD(U32, struct xhci, cmd), FIELD(U32, struct xhci, sts), FIELD(U32, struct xhci, dnctrl),
    FIELD(U32, struct xhci, config), FIELD(U64, struct xhci, dcbaap), FIELD(U64, struct xhci, crcr),
    FIELD(BOOL, struct xhci, crr), FIELD(BOOL, struct xhci, cmd_ready), FIELD(BOOL, struct xhci, held),
    FIELD(BYTES, struct xhci, cmd_ring), FIELD(BYTES, struct xhci, slot), FIELD(U64, struct xhci, start_ns),
    FIELD(U64, struct xhci, mf_stopped),
    INTR(0), INTR(1), INTR(2), INTR(3), INTR(4), INTR(5), INTR(6), INTR(7), INTR(8), INTR(9), INTR(10), INTR(11),
    INTR(12), INTR(13), INTR(14), INTR(15),
    PORTS(0), PORTS(5), PORTS(10), PORTS(15), PORTS(20), PORTS(25),
    FIELD_END
};

#define XHCI_TYPE(name_, desc_) \
    { .name = name_, .desc = desc_, .size = sizeof(struct xhci), .init = xhci_init, \
      .reset = xhci_device_reset, .destroy = xhci_destroy, .fields = xhci_fields, .props = xhci_props }

const struct device_type qemu_xhci_type = XHCI_TYPE("qemu-xhci", "USB 3 host controller (xHCI)");
const struct device_type nec_xhci_type = XHCI_TYPE("nec-usb-xhci", "NEC uPD720200 USB 3 host controller (xHCI)");
