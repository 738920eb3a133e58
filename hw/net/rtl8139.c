/*
 * rtl8139.c - Realtek RTL8139C+ Fast Ethernet controller: registers
 *
 *   BAR 0  256 ports        BAR 1  the same as memory
 *
 * Registers have one to four bytes, and drivers write parts of them: a write is
 * merged into the whole register first.
 */
#include "hw/net/rtl8139-int.h"

#define TIMER_MHZ 33             /* TCTR counts the PCI clock */
#define TCR_VERSION 0x74800000u  /* bits 30..26 and 23..22: 8139C+ */
enum { REV_8139CPLUS = 0x20, EEM_CONFIG = 0xc0 };
enum { EE_CS = 8, EE_SK = 4, EE_DI = 2, EE_DO = 1 };
enum { TPPOLL_NORMAL = 0x40, TPPOLL_HIGH = 0x80 };
enum { BMSR_LINK = 4, BMSR_DONE = 0x20, MSR_NO_LINK = 4 };

static void update_irq(struct rtl8139 *s)
{
    pci_irq_set(&s->pci, (rtl16(s, R_ISR) & rtl16(s, R_IMR)) != 0);
}

void rtl_interrupt(struct rtl8139 *s, uint16_t causes)
{
    stl16(s->reg + R_ISR, rtl16(s, R_ISR) | causes);
    update_irq(s);
}

/* ---- timer, link --------------------------------------------------------------------------- */

static uint32_t ticks(const struct rtl8139 *s)
{
    return (clock_now_ns(&s->pci.dev.machine->clock) - s->timer_base_ns) * TIMER_MHZ / 1000;
}

static void timer_expired(void *opaque)
{
    rtl_interrupt(opaque, ISR_TIMEOUT);
}

static void set_timer(struct rtl8139 *s)
{
    uint32_t at = rtl32(s, R_TIMERINT), left = at - ticks(s);

    if (at)
        timer_mod(&s->timer, clock_now_ns(&s->pci.dev.machine->clock) +
                             (int64_t)left * 1000 / TIMER_MHZ);
    else
        timer_del(&s->timer);
}

static void link_registers(struct rtl8139 *s)
{
    bool up = net_link_up(&s->nic.port);

    s->reg[R_MSR] = up ? 0 : MSR_NO_LINK;
    stl16(s->reg + R_BMSR, 0x7809 | (up ? BMSR_LINK | BMSR_DONE : 0));
    stl16(s->reg + R_ANLPAR, up ? 0x45e1 : 0);
}

static void link_changed(void *opaque, bool up)
{
    struct rtl8139 *s = opaque;

    link_registers(s);
    rtl_interrupt(s, ISR_LINK);
}

/* ---- reset ------------------------------------------------------------------------------------- */

/* CR.RST and power-on; addresses and configuration come from the EEPROM. */
static void soft_reset(struct rtl8139 *s)
{
    memset(s->reg, 0, sizeof s->reg);
    memcpy(s->reg + R_IDR, s->nic.mac, 6);
    for (int n = 0; n < 4; n++)
        stl32(s->reg + R_TSD0 + n * 4, TSD_OWN);
    s->reg[R_CR] = CR_BUFE;
    stl16(s->reg + R_CAPR, 0xfff0);
    stl32(s->reg + R_TCR, TCR_VERSION);
    s->reg[R_CONFIG0] = 0x10;
    s->reg[R_CONFIG1] = 0x0d;
    s->reg[R_CONFIG3] = 0x01;
    stl16(s->reg + R_BMCR, 0x1100);
    stl16(s->reg + R_ANAR, 0x05e1);
    stl16(s->reg + R_ANER, 1);
    link_registers(s);
    s->tx_desc = s->rx_desc = s->tx_len = 0;
    s->tx_bad = false;
    s->timer_base_ns = clock_now_ns(&s->pci.dev.machine->clock);
    timer_del(&s->timer);
    timer_del(&s->tx_timer);
    eeprom93_reset(&s->eeprom);
    update_irq(s);
}

/* ---- registers --------------------------------------------------------------------------------- */

/* First byte and size of the register that holds byte @off. */
static unsigned reg_start(unsigned off, unsigned *width)
{
    if (off < 0x10 || (off >= 0x36 && off < 0x38) || (off >= 0x50 && off < 0x54) ||
        (off >= 0x58 && off < 0x5c) || (off >= 0x76 && off < 0xe0) || off >= 0xec)
        *width = 1;
    else if ((off >= 0x34 && off < 0x40) || (off >= 0x5c && off < 0x76) ||
             (off >= 0xe0 && off < 0xe4))
        *width = 2;
    else
        *width = 4;
    return off & ~(*width - 1);
}

static bool unlocked(const struct rtl8139 *s)
{
    return (s->reg[R_9346CR] & EEM_CONFIG) == EEM_CONFIG;
}

static void write_cr(struct rtl8139 *s, uint8_t val)
{
    if (val & CR_RST) {
        soft_reset(s);
        net_purge(&s->nic.port);
        return;
    }
    if (val & CR_RE && !(s->reg[R_CR] & CR_RE))
        s->rx_desc = 0;
    if (val & CR_TE && !(s->reg[R_CR] & CR_TE))
        s->tx_desc = s->tx_len = 0;
    s->reg[R_CR] = val & (CR_TE | CR_RE);
    if (val & CR_RE)
        net_flush(&s->nic.port);
}

static void write_9346(struct rtl8139 *s, uint8_t val)
{
    bool on = (val & EEM_CONFIG) == 0x80;    /* pins are the driver's */
    bool out = eeprom93_pins(&s->eeprom, on && val & EE_CS, val & EE_SK, val & EE_DI);

    s->reg[R_9346CR] = (val & ~EE_DO) | (on && out ? EE_DO : 0);
}

/* Status of the four TSD registers side by side. */
static uint16_t tsad_summary(const struct rtl8139 *s)
{
    uint16_t v = 0;

    for (int n = 0; n < 4; n++) {
        uint32_t tsd = rtl32(s, R_TSD0 + n * 4);

        v |= (tsd & TSD_OWN ? 1 : 0) << n | (tsd & TSD_TUN ? 0x100 : 0) << n |
             (tsd & TSD_TOK ? 0x1000 : 0) << n;
    }
    return v;
}

/* C+: the tally counters, all of which stand at 0 */
static void dump_counters(struct rtl8139 *s, uint32_t val)
{
    static const uint8_t zero[64];

    if (val & 8 && dma_enabled(&s->pci.dma))
        dma_put(&s->pci.dma, ldl64(s->reg + R_DTCCR) & ~63ull, zero, sizeof zero);
    stl32(s->reg + R_DTCCR, val & ~8u);
}

static void write_tsd(struct rtl8139 *s, unsigned off, uint32_t val)
{
    if (rtl16(s, R_CPCR) & CPCR_TXEN && off == R_DTCCR) {
        dump_counters(s, val);
        return;
    }
    stl32(s->reg + off, val & ~(uint32_t)(TSD_TOK | TSD_TUN));
    if (off < R_TSAD0 && !(val & TSD_OWN) && !(rtl16(s, R_CPCR) & CPCR_TXEN))
        rtl_transmit(s, (off - R_TSD0) / 4);
}

static void write_rx(struct rtl8139 *s, unsigned off, uint32_t val)
{
    if (off == R_CAPR) {
        stl16(s->reg + R_CAPR, val);
    } else if (off == R_RBSTART) {
        stl32(s->reg + R_RBSTART, val);
        stl16(s->reg + R_CBR, 0);
        stl16(s->reg + R_CAPR, 0xfff0);
    } else {
        stl32(s->reg + R_RCR, val);
    }
    if (s->reg[R_CR] & CR_RE)
        net_flush(&s->nic.port);
}

/* The rest: kept, or read-only. */
static void write_plain(struct rtl8139 *s, unsigned off, uint32_t val, unsigned width)
{
    bool config = off < R_MAR || (off >= R_CONFIG0 && off <= R_CONFIG1) ||
                  (off >= R_CONFIG3 && off <= R_CONFIG4) || off == R_BMCR;

    switch (off) {
    case R_CBR: case R_TSAD: case R_MSR: case R_BMSR: case R_ANLPAR: case R_ANER: case R_RERID:
    case R_TCTR + 1 ... R_TCTR + 3:
        return;
    case R_CONFIG0:
        return;
    case R_TPPOLL + 1 ... R_CPCR - 1:    /* 8169: largest frame; how drivers tell them apart */
    case R_CPCR + 2 ... R_RDSAR - 1:
    case R_ETTHR + 1 ... R_FER - 1:
        return;
    default:
        if (!config || unlocked(s))
            memcpy(s->reg + off, &val, width);
    }
}

static void write_reg(struct rtl8139 *s, unsigned off, uint32_t val, unsigned width)
{
    switch (off) {
    case R_TSD0: case R_TSD0 + 4: case R_TSD0 + 8: case R_TSD0 + 12: write_tsd(s, off, val); break;
    case R_RBSTART: case R_CAPR: case R_RCR: write_rx(s, off, val); break;
    case R_CR: write_cr(s, val); break;
    case R_9346CR: write_9346(s, val); break;
    case R_TCR: stl32(s->reg + R_TCR, (val & 0x03070ff0) | TCR_VERSION); break;
    case R_TCTR:
        s->timer_base_ns = clock_now_ns(&s->pci.dev.machine->clock);
        set_timer(s);
        break;
    case R_TIMERINT:
        stl32(s->reg + off, val);
        set_timer(s);
        break;
    case R_TPPOLL:
        if (val & TPPOLL_NORMAL)
            rtl_transmit_cplus(s);
        if (val & 1)
            rtl_interrupt(s, ISR_SWINT);
        break;
    case R_BMCR:
        if (val & 0x8000)
            val = 0x1100;
        if (unlocked(s) || rtl16(s, R_CPCR))
            stl16(s->reg + off, val & ~0x0200);
        break;
    default: write_plain(s, off, val, width);
    }
}

static void write_int(struct rtl8139 *s, unsigned off, uint16_t val)
{
    stl16(s->reg + off, off == R_ISR ? rtl16(s, R_ISR) & ~val : val);
    update_irq(s);
    if (off == R_ISR && s->reg[R_CR] & CR_RE)
        net_flush(&s->nic.port);         /* C+: descriptors may have been given back */
}

static void rtl_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct rtl8139 *s = opaque;

    for (unsigned i = 0; i < size; ) {
        unsigned width, start = reg_start(off + i, &width), at = off + i - start;
        unsigned n = MIN(width - at, size - i);
        uint32_t v = 0;

        if (start != R_ISR)              /* a bit not written is not cleared */
            memcpy(&v, s->reg + start, width);
        for (unsigned k = 0; k < n; k++) {
            v &= ~(0xffu << (at + k) * 8);
            v |= (uint32_t)(val >> (i + k) * 8 & 0xff) << (at + k) * 8;
        }
        if (start == R_ISR || start == R_IMR)
            write_int(s, start, v);
        else
            write_reg(s, start, v, width);
        i += n;
    }
}

static uint64_t rtl_read(void *opaque, uint64_t off, unsigned size)
{
    struct rtl8139 *s = opaque;
    uint8_t view[4];
    uint32_t v = 0;

    for (unsigned i = 0; i < size && off + i < RTL_REG_BYTES; i++) {
        unsigned at = off + i;

        view[i] = s->reg[at];
        if (at == R_CR)
            view[i] = (s->reg[at] & ~CR_BUFE) | (rtl_rx_empty(s) ? CR_BUFE : 0);
        else if (at >= R_TCTR && at < R_TCTR + 4)
            view[i] = ticks(s) >> (at - R_TCTR) * 8;
        else if (at == R_TSAD || at == R_TSAD + 1)
            view[i] = tsad_summary(s) >> (at - R_TSAD) * 8;
        v |= (uint32_t)view[i] << i * 8;
    }
    return v;
}

static const struct io_ops rtl_ops = { rtl_read, rtl_write, 1, 4 };

/* ---- life --------------------------------------------------------------------------------------- */

static const struct net_ops rtl_net_ops = {
    .kind = "nic", .receive = rtl_receive, .link = link_changed,
};

static void tx_again(void *opaque)
{
    rtl_transmit_cplus(opaque);
}

static void rtl8139_reset(struct device *d)
{
    struct rtl8139 *s = (struct rtl8139 *)d;

    pci_device_reset(&s->pci);
    soft_reset(s);
    net_purge(&s->nic.port);
}

static void rtl8139_destroy(struct device *d)
{
    struct rtl8139 *s = (struct rtl8139 *)d;

    timer_del(&s->timer);
    timer_del(&s->tx_timer);
    pci_device_unplug(&s->pci);
    nic_free(&s->nic);
}

static void eeprom_fill(struct rtl8139 *s)
{
    uint16_t *w = s->eeprom.word;

    w[0] = 0x8129;
    w[1] = ldl16(s->pci.config + PCI_VENDOR_ID);
    w[2] = ldl16(s->pci.config + PCI_DEVICE_ID);
    w[3] = ldl16(s->pci.config + PCI_SUBSYS_VENDOR);
    w[4] = ldl16(s->pci.config + PCI_SUBSYS_ID);
    for (int i = 0; i < 3; i++)
        w[7 + i] = ldl16(s->nic.mac + 2 * i);
}

static int rtl8139_init(struct device *d, struct err *e)
{
    static const struct pci_info info = {
        .vendor = 0x10ec, .device = 0x8139, .revision = REV_8139CPLUS, .class_code = 0x020000,
        .int_pin = 1,
    };
    struct rtl8139 *s = (struct rtl8139 *)d;
    int ret = nic_pci_init(&s->nic, &s->pci, &info, &rtl_net_ops, e);

    timer_init(&s->timer, &d->machine->timers, timer_expired, s);
    timer_init(&s->tx_timer, &d->machine->timers, tx_again, s);
    if (ret == 0) {
        s->mmio = (struct mem_region){ .name = "rtl8139", .len = RTL_REG_BYTES, .kind = MEM_MMIO,
                                       .ops = &rtl_ops, .opaque = s };
        pci_bar_io(&s->pci, 0, RTL_REG_BYTES, "rtl8139", &rtl_ops, s);
        pci_bar_mem(&s->pci, 1, 0, &s->mmio);
        ret = nic_rom(&s->nic, &s->pci, "efi-rtl8139.rom", e);
    }
    if (ret < 0) {
        rtl8139_destroy(d);
        return ret;
    }
    eeprom_fill(s);
    rtl8139_reset(d);
    return 0;
}

static const struct dev_prop rtl8139_props[] = {
    NIC_PCI_PROPS(struct rtl8139, nic),
    PROP_END
};

static const struct dev_field rtl8139_fields[] = {
    FIELD(BYTES, struct rtl8139, pci.config), FIELD(BYTES, struct rtl8139, reg),
    FIELD(BYTES, struct rtl8139, eeprom), FIELD(U64, struct rtl8139, timer_base_ns),
    FIELD(BOOL, struct rtl8139, tx_bad), FIELD(U16, struct rtl8139, tx_desc),
    FIELD(U16, struct rtl8139, rx_desc), FIELD(U32, struct rtl8139, tx_len),
    FIELD(BYTES, struct rtl8139, tx_buf), FIELD_END
};

const struct device_type rtl8139_type = {
    .name = "rtl8139", .desc = "Realtek RTL8139C+ Fast Ethernet", .size = sizeof(struct rtl8139),
    .init = rtl8139_init, .reset = rtl8139_reset, .destroy = rtl8139_destroy,
    .fields = rtl8139_fields, .props = rtl8139_props,
};
