/*
 * xhci.h - a driver of the host controller in miniature: rings in RAM, commands, control
 * transfers
 */
#ifndef TESTS_HW_XHCI_H
#define TESTS_HW_XHCI_H

#include "hw/usb/xhci-int.h"
#include "hw/user-devices.h"
#include "tests/hw/disk.h"

#define XHCI_DEV   PCI_DEVFN(5, 0)
#define XHCI_BAR   0x90000000u
#define XHCI_TABLE 0x91000000u
enum { OP_CMD = 0x40, OP_STS = 0x44, OP_CRCR = 0x58, OP_DCBAAP = 0x70, OP_CONFIG = 0x78, OP_PORTSC = 0x440,
       RT_MFINDEX = 0x1000, RT_INTR = 0x1020, DOORBELLS = 0x2000 };
enum { DCBAA = 0x10000, CMD_RING = 0x11000, ERST = 0x12000, EV_RING = 0x13000, INPUT = 0x14000, DEV_CTX = 0x15000,
       RINGS = 0x20000 /* 4 KiB an endpoint */, DATA = 0x40000, EV_TRBS = 32, CMD_TRBS = 64 };

/** struct hc - the driver's side */
struct hc {
    struct rig r;
    struct machine *m;
    struct xhci *s;
    unsigned ev, cmd, tr[32];        /* places on the rings */
    bool ev_cycle, cmd_cycle;
    unsigned slot;
};

static inline uint32_t hc_rd(struct hc *h, unsigned off) { return mmio_read(&h->m->mem, XHCI_BAR + off, 4); }
static inline void hc_wr(struct hc *h, unsigned off, uint32_t v) { mmio_write(&h->m->mem, XHCI_BAR + off, v, 4); }
static inline void hc_wr64(struct hc *h, unsigned off, uint64_t v) { mmio_write(&h->m->mem, XHCI_BAR + off, v, 8); }
static inline uint32_t hc_port(struct hc *h, unsigned n) { return hc_rd(h, OP_PORTSC + 16 * n); }
static inline void hc_step(struct hc *h, int64_t ns) { clock_step(&h->m->clock, &h->m->timers, ns); }

static inline void hc_trb(struct hc *h, uint64_t at, uint64_t param, uint32_t status, uint32_t control)
{
    uint8_t *p = h->m->ram + at;

    stl64(p, param);
    stl32(p + 8, status);
    stl32(p + 12, control);
}

/* rings, one interrupter; running */
static inline void hc_start(struct hc *h)
{
    h->ev = h->cmd = 0;
    h->ev_cycle = h->cmd_cycle = true;
    memset(h->tr, 0, sizeof h->tr);
    memset(h->m->ram + DCBAA, 0, 0x30000);
    stl64(h->m->ram + ERST, EV_RING);
    stl32(h->m->ram + ERST + 8, EV_TRBS);
    hc_trb(h, CMD_RING + (CMD_TRBS - 1) * 16, CMD_RING, 0, TRB_LINK << 10 | TRB_TC);
    hc_wr(h, OP_CONFIG, 8);
    hc_wr64(h, OP_DCBAAP, DCBAA);
    hc_wr64(h, OP_CRCR, CMD_RING | 1);
    hc_wr(h, RT_INTR + 8, 1);
    hc_wr64(h, RT_INTR + 0x18, EV_RING);
    hc_wr64(h, RT_INTR + 0x10, ERST);
    hc_wr(h, RT_INTR + 4, 0);
    hc_wr(h, RT_INTR, 2);
    hc_wr(h, OP_CMD, CMD_RS | CMD_INTE);
}

static inline void hc_init(struct hc *h, const char *const *props)
{
    memset(h, 0, sizeof *h);
    rig_init(&h->r);
    h->m = h->r.m;
    h->s = (struct xhci *)rig_add(&h->r, &qemu_xhci_type, XHCI_DEV, props);
    cfg_wr(h->m, XHCI_DEV, PCI_BAR0, XHCI_BAR, 4);
    cfg_wr(h->m, XHCI_DEV, PCI_BAR0 + 16, XHCI_TABLE, 4);
    cfg_wr(h->m, XHCI_DEV, PCI_COMMAND, 6, 2);
    hc_start(h);
}

/* the next event, taken; type 0: there is none */
static inline struct xhci_trb hc_event(struct hc *h)
{
    const uint8_t *p = h->m->ram + EV_RING + h->ev * 16;
    struct xhci_trb ev = { ldl64(p), ldl32(p + 8), ldl32(p + 12) };

    if ((ev.control & 1) != h->ev_cycle)
        return (struct xhci_trb){ 0, 0, 0 };
    h->ev = (h->ev + 1) % EV_TRBS;
    h->ev_cycle ^= h->ev == 0;
    hc_wr64(h, RT_INTR + 0x18, (EV_RING + h->ev * 16) | ERDP_EHB);
    return ev;
}

#define EV_TYPE(ev) TRB_TYPE((ev).control)
#define EV_CODE(ev) ((ev).status >> 24)
#define EV_LEN(ev)  ((ev).status & 0xffffff)

/* an event of that type; others before it are dropped */
static inline struct xhci_trb hc_event_of(struct hc *h, unsigned type)
{
    struct xhci_trb ev;

    do
        ev = hc_event(h);
    while (EV_TYPE(ev) && EV_TYPE(ev) != type);
    return ev;
}

static inline void hc_post(struct hc *h, uint64_t param, uint32_t status, uint32_t control)
{
    hc_trb(h, CMD_RING + h->cmd * 16, param, status, control | h->cmd_cycle);
    if (++h->cmd == CMD_TRBS - 1) {
        h->m->ram[CMD_RING + h->cmd * 16 + 12] ^= 1;
        h->cmd = 0;
        h->cmd_cycle = !h->cmd_cycle;
    }
}

/* a command carried out: its completion code */
static inline unsigned hc_cmd(struct hc *h, uint64_t param, unsigned type, unsigned slot, uint32_t flags)
{
    struct xhci_trb ev;

    hc_post(h, param, 0, type << 10 | slot << 24 | flags);
    hc_wr(h, DOORBELLS, 0);
    ev = hc_event_of(h, TRB_EV_COMMAND);
    h->slot = TRB_SLOT(ev.control);
    return EV_CODE(ev);
}

static inline struct device *hc_plug(struct hc *h, const char *name, const char *port, const char *more, const char *val)
{
    struct user_prop p[] = { { "port", port }, { more, val } };
    struct err e = { "" };
    struct device *d = user_device_add(h->m, user_device_find(name), NULL, p, more ? 2 : 1, &e);

    cr_assert_not_null(d, "%s", e.msg);
    return d;
}

static inline uint8_t *input_ctx(struct hc *h, unsigned n) { return h->m->ram + INPUT + n * 32; }
static inline uint64_t ring_of(unsigned dci) { return RINGS + dci * 0x1000; }

/* the endpoint's context in the input context */
static inline void hc_input_ep(struct hc *h, unsigned dci, unsigned type, unsigned packet, unsigned interval)
{
    uint8_t *c = input_ctx(h, dci + 1);

    memset(c, 0, 32);
    stl32(c, interval << 16);
    stl32(c + 4, 3 << 1 | type << 3 | packet << 16);
    stl64(c + 8, ring_of(dci) | 1);
    stl32(input_ctx(h, 0) + 4, ldl32(input_ctx(h, 0) + 4) | 1u << dci);
    h->tr[dci] = 0;
}

/* slot context of the device at root port @port (from 0), default pipe with @packet */
static inline void hc_input(struct hc *h, unsigned port, unsigned packet)
{
    memset(h->m->ram + INPUT, 0, 0x420);
    stl32(input_ctx(h, 0) + 4, 1);
    stl32(input_ctx(h, 1), 31u << 27);
    stl32(input_ctx(h, 1) + 4, (port + 1) << 16);
    if (packet)
        hc_input_ep(h, 1, EP_CONTROL, packet, 0);
}

/* slot 1 for what is at root port @port, after a reset of that */
static inline void hc_address(struct hc *h, unsigned port, unsigned packet)
{
    hc_wr(h, OP_PORTSC + 16 * port, PORT_PP | PORT_PR);
    cr_assert_eq(hc_cmd(h, 0, TRB_ENABLE_SLOT, 0, 0), CC_SUCCESS);
    cr_assert_eq(h->slot, 1);
    stl64(h->m->ram + DCBAA + 8, DEV_CTX);
    hc_input(h, port, packet);
    cr_assert_eq(hc_cmd(h, INPUT, TRB_ADDRESS_DEVICE, 1, 0), CC_SUCCESS);
    cr_assert_eq(ldl32(h->m->ram + DEV_CTX + 12), 2u << 27 | 1, "addressed, with address 1");
}

/* put a TRB on an endpoint's ring */
static inline uint64_t hc_put(struct hc *h, unsigned dci, uint64_t param, uint32_t status, uint32_t control)
{
    uint64_t at = ring_of(dci) + h->tr[dci]++ * 16;

    hc_trb(h, at, param, status, control | 1);
    return at;
}

static inline void hc_ring(struct hc *h, unsigned dci) { hc_wr(h, DOORBELLS + 4, dci); }

/* a control transfer to or from DATA: its length, or minus the completion code */
static inline int hc_control(struct hc *h, uint8_t type, uint8_t req, unsigned value, unsigned index, unsigned len)
{
    bool in = type & 0x80;
    int got = (int)len;
    struct xhci_trb ev;

    hc_put(h, 1, type | req << 8 | value << 16 | (uint64_t)index << 32 | (uint64_t)len << 48, 8,
           TRB_SETUP << 10 | TRB_IDT);
    if (len)
        hc_put(h, 1, DATA, len, TRB_DATA << 10 | TRB_ISP | (in ? TRB_DIR_IN : 0));
    hc_put(h, 1, 0, 0, TRB_STATUS << 10 | TRB_IOC | (in && len ? 0 : TRB_DIR_IN));
    hc_ring(h, 1);
    ev = hc_event_of(h, TRB_EV_TRANSFER);
    if (EV_CODE(ev) == CC_SHORT) {
        got -= EV_LEN(ev);
        ev = hc_event_of(h, TRB_EV_TRANSFER);
    }
    return EV_CODE(ev) == CC_SUCCESS ? got : -(int)EV_CODE(ev);
}

static inline void hc_free(struct hc *h)
{
    rig_free(&h->r);
}

#endif
