/*
 * ne2000.c - NE2000 on PCI (Realtek RTL8029AS): a DP8390 with 16 KiB of memory
 *
 *   port +0x00..0x0f  DP8390 registers, four pages of them (CR selects)
 *   port +0x10..0x17  data port of the remote DMA
 *   port +0x18..0x1f  reset
 *
 *   card memory 0x0000..0x001f  address PROM, each byte twice
 *               0x4000..0x7fff  RAM, in pages of 256 bytes
 *
 * Source: National DP8390D data sheet; Realtek RTL8029AS data sheet (page 3).
 */
#include "hw/net/nic.h"

#define RAM_START 0x4000u
#define RAM_END   0x8000u
#define PROM_END  0x20u
#define IO_BYTES  32
#define HDR_BYTES 4
#define FCS_BYTES 4
#define FRAME_MAX 1518u

enum { CR_STP = 1, CR_STA = 2, CR_TXP = 4, CR_RD = 0x38, CR_RD_READ = 8, CR_RD_WRITE = 0x10 };
enum { ISR_PRX = 1, ISR_PTX = 2, ISR_OVW = 0x10, ISR_RDC = 0x40, ISR_RST = 0x80 };
enum { RCR_AR = 2, RCR_AB = 4, RCR_AM = 8, RCR_PRO = 0x10, RCR_MON = 0x20 };
enum { RSR_PRX = 1, RSR_PHY = 0x20, TSR_PTX = 1, TCR_LOOP = 6, DCR_WTS = 1 };
/* page 0, as written; what is read there differs */
enum { P0_CR, P0_PSTART, P0_PSTOP, P0_BNRY, P0_TPSR, P0_TBCR0, P0_TBCR1, P0_ISR, P0_RSAR0,
       P0_RSAR1, P0_RBCR0, P0_RBCR1, P0_RCR, P0_TCR, P0_DCR, P0_IMR };
enum { P0_TSR = 4, P0_CRDA0 = 8, P0_ID0 = 10, P0_RSR = 12, P1_CURR = 7, P1_MAR = 8 };

struct ne2000 {
    struct pci_device pci;
    struct nic nic;
    uint8_t cr, pstart, pstop, bnry, tpsr, isr, rcr, tcr, dcr, imr, tsr, rsr, curr;
    uint8_t par[6], mar[8];
    uint16_t tbcr, rsar, rbcr;
    bool running;                /* STA was written, and no STP since */
    uint8_t mem[RAM_END];
    uint8_t rx[NET_ETH_MIN];
};

static void update_irq(struct ne2000 *s)
{
    pci_irq_set(&s->pci, (s->isr & s->imr & 0x7f) != 0);
}

static void interrupt(struct ne2000 *s, uint8_t causes)
{
    s->isr |= causes;
    update_irq(s);
}

/* ---- receiving ------------------------------------------------------------------------- */

/* The ring must lie in RAM; else the chip would write into nothing. */
static bool ring_ok(const struct ne2000 *s)
{
    return s->pstart >= RAM_START >> 8 && s->pstop <= RAM_END >> 8 && s->pstart < s->pstop &&
           s->curr >= s->pstart && s->curr < s->pstop;
}

/* Pages up to BNRY, which drivers set to one before PSTART too. */
static unsigned ring_room(const struct ne2000 *s)
{
    int all = s->pstop - s->pstart, behind = s->curr - s->bnry;
    int room = behind < 0 ? -behind : all - behind;

    return MAX(MIN(room, all), 0);
}

static bool address_wanted(const struct ne2000 *s, const uint8_t *dst)
{
    unsigned hash = nic_multicast_hash(dst) >> 26;

    if (nic_is_broadcast(dst))
        return s->rcr & (RCR_AB | RCR_PRO);
    if (dst[0] & 1)
        return s->rcr & RCR_PRO || (s->rcr & RCR_AM && s->mar[hash >> 3] >> (hash & 7) & 1);
    return s->rcr & RCR_PRO || !memcmp(dst, s->par, 6);
}

static unsigned ring_put(struct ne2000 *s, unsigned at, const uint8_t *buf, unsigned n)
{
    while (n) {
        unsigned piece = MIN(n, (s->pstop << 8) - at);

        memcpy(s->mem + at, buf, piece);
        buf += piece;
        n -= piece;
        at += piece;
        if (at == (unsigned)s->pstop << 8)
            at = s->pstart << 8;
    }
    return at;
}

static void store(struct ne2000 *s, const uint8_t *d, unsigned len, unsigned pages)
{
    static const uint8_t fcs[FCS_BYTES];
    unsigned next = s->curr + pages, at = s->curr << 8;
    uint8_t hdr[HDR_BYTES];

    if (next >= s->pstop)
        next -= s->pstop - s->pstart;
    s->rsr = RSR_PRX | (d[0] & 1 ? RSR_PHY : 0);
    hdr[0] = s->rsr;
    hdr[1] = next;
    stl16(hdr + 2, HDR_BYTES + len + FCS_BYTES);
    at = ring_put(s, at, hdr, sizeof hdr);
    at = ring_put(s, at, d, len);
    ring_put(s, at, fcs, sizeof fcs);
    s->curr = next;
}

static bool ne2000_receive(void *opaque, const struct net_frame *f)
{
    struct ne2000 *s = opaque;
    const uint8_t *d = f->data;
    size_t len = f->len;
    unsigned pages;

    if (!s->running || s->rcr & RCR_MON || !ring_ok(s) || len > FRAME_MAX)
        return true;
    d = nic_padded(d, &len, s->rx);
    if (!address_wanted(s, d))
        return true;
    pages = (HDR_BYTES + len + FCS_BYTES + 255) >> 8;
    if (pages >= (unsigned)s->pstop - s->pstart)
        return true;
    if (pages >= ring_room(s)) {
        /* The frame waits outside, where the chip would lose it and say so (OVW).
         * Drivers that stop reading after some frames still need to hear. */
        interrupt(s, ISR_PRX);
        return false;                    /* asked again after each register write */
    }
    store(s, d, len, pages);
    interrupt(s, ISR_PRX);
    return true;
}

/* ---- transmitting ------------------------------------------------------------------------ */

static void transmit(struct ne2000 *s)
{
    unsigned at = s->tpsr << 8, len = s->tbcr;
    struct net_frame f = { .len = len };

    s->cr &= ~CR_TXP;
    if (at < RAM_START || at + len > RAM_END || len > FRAME_MAX) {
        log_guest(LOG_NET, "ne2000 tx: at=%#x len=%u", at, len);
    } else if (!(s->tcr & TCR_LOOP)) {   /* loopback ends in the chip's FIFO */
        f.data = s->mem + at;
        net_send(&s->nic.port, &f);
    }
    s->tsr = TSR_PTX;
    interrupt(s, ISR_PTX);
}

/* ---- remote DMA ---------------------------------------------------------------------------- */

static uint8_t mem_read8(const struct ne2000 *s, unsigned at)
{
    return at < PROM_END || (at >= RAM_START && at < RAM_END) ? s->mem[at] : 0xff;
}

static void advance(struct ne2000 *s)
{
    s->rsar++;
    if (s->rsar == (s->pstop << 8 & 0xffff))
        s->rsar = s->pstart << 8;
    if (s->rbcr && --s->rbcr == 0)
        interrupt(s, ISR_RDC);
}

/* In word mode the chip moves words: a byte access takes one, and half is lost. */
static unsigned transfer_bytes(const struct ne2000 *s, unsigned size)
{
    return s->dcr & DCR_WTS ? MAX(size, 2u) : size;
}

static uint32_t data_read(struct ne2000 *s, unsigned size)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < transfer_bytes(s, size); i++) {
        v |= (uint32_t)(s->rbcr ? mem_read8(s, s->rsar) : 0xff) << i * 8;
        if (s->rbcr)
            advance(s);
    }
    return v;
}

static void data_write(struct ne2000 *s, uint32_t val, unsigned size)
{
    for (unsigned i = 0; i < transfer_bytes(s, size) && s->rbcr; i++) {
        if (s->rsar >= RAM_START && s->rsar < RAM_END)
            s->mem[s->rsar] = val >> i * 8;
        advance(s);
    }
}

/* ---- registers --------------------------------------------------------------------------------- */

static void write_cr(struct ne2000 *s, uint8_t val)
{
    s->cr = val;
    if (val & CR_STP) {
        s->running = false;
        interrupt(s, ISR_RST);
        return;
    }
    s->isr &= ~ISR_RST;
    if (val & CR_STA)                    /* drivers select pages with neither bit */
        s->running = true;
    if ((val & CR_RD) && (val & (CR_RD_READ | CR_RD_WRITE)) && !s->rbcr)
        interrupt(s, ISR_RDC);           /* nothing to move: done at once */
    if (val & CR_TXP)
        transmit(s);
    net_flush(&s->nic.port);
}

static void write_page0(struct ne2000 *s, unsigned n, uint8_t val)
{
    switch (n) {
    case P0_PSTART: s->pstart = val; break;
    case P0_PSTOP:  s->pstop = val; break;
    case P0_BNRY:   s->bnry = val; net_flush(&s->nic.port); break;
    case P0_TPSR:   s->tpsr = val; break;
    case P0_TBCR0:  s->tbcr = (s->tbcr & 0xff00) | val; break;
    case P0_TBCR1:  s->tbcr = (s->tbcr & 0xff) | val << 8; break;
    case P0_ISR:    s->isr &= ~(val & 0x7f); update_irq(s); break;
    case P0_RSAR0:  s->rsar = (s->rsar & 0xff00) | val; break;
    case P0_RSAR1:  s->rsar = (s->rsar & 0xff) | val << 8; break;
    case P0_RBCR0:  s->rbcr = (s->rbcr & 0xff00) | val; break;
    case P0_RBCR1:  s->rbcr = (s->rbcr & 0xff) | val << 8; break;
    case P0_RCR:    s->rcr = val; break;
    case P0_TCR:    s->tcr = val; break;
    case P0_DCR:    s->dcr = val; break;
    case P0_IMR:    s->imr = val; update_irq(s); break;
    }
}

static uint8_t read_page0(struct ne2000 *s, unsigned n)
{
    switch (n) {
    case P0_BNRY:   return s->bnry;
    case P0_TSR:    return s->tsr;
    case P0_ISR:    return s->isr;
    case P0_CRDA0:  return s->rsar;
    case P0_CRDA0 + 1: return s->rsar >> 8;
    case P0_ID0:    return 'P';          /* how a driver knows the RTL8029 */
    case P0_ID0 + 1: return 'C';
    case P0_RSR:    return s->rsr;
    default:        return 0;
    }
}

/* What page 0 was written with, for diagnosis (page 2). */
static uint8_t read_page2(struct ne2000 *s, unsigned n)
{
    switch (n) {
    case P0_PSTART: return s->pstart;
    case P0_PSTOP:  return s->pstop;
    case P0_TPSR:   return s->tpsr;
    case P0_RCR:    return s->rcr;
    case P0_TCR:    return s->tcr;
    case P0_DCR:    return s->dcr;
    case P0_IMR:    return s->imr;
    default:        return 0;
    }
}

static uint8_t *page1(struct ne2000 *s, unsigned n)
{
    return n < P1_CURR ? &s->par[n - 1] : n == P1_CURR ? &s->curr : &s->mar[n - P1_MAR];
}

static void reset_chip(struct ne2000 *s)
{
    s->cr = CR_STP | 0x20;
    s->running = false;
    s->isr = ISR_RST;
    s->imr = s->dcr = s->tcr = s->rcr = 0;
    update_irq(s);
}

static uint64_t ne2000_read(void *opaque, uint64_t off, unsigned size)
{
    struct ne2000 *s = opaque;
    uint32_t v = 0;

    if (off >= 0x10 && off < 0x18)
        return data_read(s, size);
    if (off >= 0x18) {
        reset_chip(s);
        return 0;
    }
    for (unsigned i = 0; i < size && off + i < 0x10; i++) {
        unsigned n = off + i, page = s->cr >> 6;
        uint8_t b = n == P0_CR ? s->cr : page == 0 ? read_page0(s, n) : page == 1 ? *page1(s, n)
                  : page == 2 ? read_page2(s, n) : n == 6 ? 0x40 : 0; /* page 3: full duplex */

        v |= (uint32_t)b << i * 8;
    }
    return v;
}

static void ne2000_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct ne2000 *s = opaque;

    if (off >= 0x10 && off < 0x18) {
        data_write(s, val, size);
        return;
    }
    net_hold(&s->nic.port);
    for (unsigned i = 0; i < size && off + i < 0x10; i++) {
        unsigned n = off + i, page = s->cr >> 6;
        uint8_t b = val >> i * 8;

        if (n == P0_CR)
            write_cr(s, b);
        else if (page == 0)
            write_page0(s, n, b);
        else if (page == 1)
            *page1(s, n) = b;
    }
    net_release(&s->nic.port);
    if (off >= 0x18)
        reset_chip(s);
    else
        net_flush(&s->nic.port);
}

static const struct io_ops ne2000_ops = { ne2000_read, ne2000_write, 1, 4 };

/* ---- life ------------------------------------------------------------------------------------------- */

static const struct net_ops ne2000_net_ops = { .kind = "nic", .receive = ne2000_receive };

static void ne2000_reset(struct device *d)
{
    struct ne2000 *s = (struct ne2000 *)d;

    pci_device_reset(&s->pci);
    memset(s->mem, 0, sizeof s->mem);
    for (int i = 0; i < 6; i++)
        s->mem[2 * i] = s->mem[2 * i + 1] = s->nic.mac[i];
    memset(s->mem + 28, 0x57, 4);        /* "word-wide card" */
    s->pstart = s->pstop = s->bnry = s->tpsr = s->curr = s->tsr = s->rsr = 0;
    s->tbcr = s->rsar = s->rbcr = 0;
    memcpy(s->par, s->nic.mac, 6);
    memset(s->mar, 0, sizeof s->mar);
    reset_chip(s);
    net_purge(&s->nic.port);
}

static void ne2000_destroy(struct device *d)
{
    struct ne2000 *s = (struct ne2000 *)d;

    pci_device_unplug(&s->pci);
    nic_free(&s->nic);
}

static int ne2000_init(struct device *d, struct err *e)
{
    static const struct pci_info info = {
        .vendor = 0x10ec, .device = 0x8029, .class_code = 0x020000, .int_pin = 1,
    };
    struct ne2000 *s = (struct ne2000 *)d;
    int ret = nic_pci_init(&s->nic, &s->pci, &info, &ne2000_net_ops, e);

    if (ret == 0) {
        pci_bar_io(&s->pci, 0, IO_BYTES, "ne2000", &ne2000_ops, s);
        ret = nic_rom(&s->nic, &s->pci, "efi-ne2k_pci.rom", e);
    }
    if (ret < 0) {
        ne2000_destroy(d);
        return ret;
    }
    ne2000_reset(d);
    return 0;
}

static const struct dev_prop ne2000_props[] = {
    NIC_PCI_PROPS(struct ne2000, nic),
    PROP_END
};

#define F8(m) FIELD(U8, struct ne2000, m)
static const struct dev_field ne2000_fields[] = {
    FIELD(BYTES, struct ne2000, pci.config), F8(cr), F8(pstart), F8(pstop), F8(bnry), F8(tpsr),
    F8(isr), F8(rcr), F8(tcr), F8(dcr), F8(imr), F8(tsr), F8(rsr), F8(curr),
    FIELD(BOOL, struct ne2000, running),
    FIELD(BYTES, struct ne2000, par), FIELD(BYTES, struct ne2000, mar),
    FIELD(U16, struct ne2000, tbcr), FIELD(U16, struct ne2000, rsar),
    FIELD(U16, struct ne2000, rbcr), FIELD(BYTES, struct ne2000, mem), FIELD_END
};

const struct device_type ne2k_pci_type = {
    .name = "ne2k_pci", .desc = "NE2000 on PCI (RTL8029)", .size = sizeof(struct ne2000),
    .init = ne2000_init, .reset = ne2000_reset, .destroy = ne2000_destroy,
    .fields = ne2000_fields, .props = ne2000_props,
};
