/*
 * e1000.c - Intel 82540EM Gigabit Ethernet controller: registers, interrupts
 *
 *   BAR 0  128 KiB of registers
 *   BAR 1  64 ports: register number at 0, its value at 4
 *
 * The rings are in e1000-rx.c and e1000-tx.c. Descriptors and buffers are
 * reached through hw/dma/sg.h, which knows only RAM: a ring laid over the
 * registers of a card, this one included, does nothing.
 *
 * Source: see e1000-int.h.
 */
#include <stdlib.h>
#include "hw/net/e1000-int.h"

#define MMIO_BYTES   0x20000
#define IO_BYTES     64
#define ITR_UNIT_NS  256
#define RING_MASK    0xfff80u    /* RDLEN, TDLEN: multiples of 128 below 1 MiB */

/* ---- interrupts -------------------------------------------------------------------------- */

/* Edges of the line are at least ITR * 256 ns apart (13.4.18). */
static void update_irq(struct e1000 *s)
{
    bool want = *e1000_reg(s, E_ICR) & *e1000_reg(s, E_IMS);
    uint32_t itr = *e1000_reg(s, E_ITR) & 0xffff;

    if (want && !s->irq) {
        if (s->itr_timer.queued)
            return;
        if (itr)
            timer_mod(&s->itr_timer, clock_now_ns(&s->pci.dev.machine->clock) +
                                     (int64_t)itr * ITR_UNIT_NS);
    }
    s->irq = want;
    pci_irq_set(&s->pci, want);
}

static void itr_expired(void *opaque)
{
    update_irq(opaque);
}

void e1000_interrupt(struct e1000 *s, uint32_t causes)
{
    if (causes) {
        *e1000_reg(s, E_ICR) |= causes;
        update_irq(s);
    }
}

/* ---- statistics: they stop at their end and are cleared by reading ------------------------- */

void e1000_count(struct e1000 *s, unsigned reg, uint32_t n)
{
    uint32_t *r = e1000_reg(s, reg);

    *r = *r > UINT32_MAX - n ? UINT32_MAX : *r + n;
}

void e1000_count64(struct e1000 *s, unsigned low, uint32_t n)
{
    uint64_t v = ldl64(e1000_reg(s, low));

    stl64(e1000_reg(s, low), v > UINT64_MAX - n ? UINT64_MAX : v + n);
}

/* ---- registers ------------------------------------------------------------------------------ */

static void soft_reset(struct e1000 *s)
{
    memset(s->reg, 0, sizeof s->reg);
    eeprom93_reset(&s->eeprom);
    timer_del(&s->itr_timer);
    e1000_tx_reset(s);
    *e1000_reg(s, E_CTRL) = CTRL_FD | CTRL_SLU;
    *e1000_reg(s, E_STATUS) = STATUS_FD | STATUS_SPEED_1000;
    *e1000_reg(s, E_EECD) = EECD_PRES;
    *e1000_reg(s, E_PBA) = 0x00100030;
    *e1000_reg(s, E_VET) = 0x8100;
    *e1000_reg(s, E_MANC) = 1 << 2;
    *e1000_reg(s, E_RA) = ldl32(s->nic.mac);
    *e1000_reg(s, E_RA + 4) = ldl16(s->nic.mac + 4) | 1u << 31;
    e1000_phy_link(s);
    update_irq(s);
}

static uint32_t reg_read(struct e1000 *s, unsigned off)
{
    uint32_t v = *e1000_reg(s, off);

    switch (off) {
    case E_ICR:                          /* clears what it shows */
        if (v & *e1000_reg(s, E_IMS))
            v |= ICR_INT_ASSERTED;
        *e1000_reg(s, E_ICR) = 0;
        update_irq(s);
        break;
    case E_ICS: case E_IMC:              /* write-only */
        v = 0;
        break;
    default:
        if (off >= E_STATS && off < E_STATS_END)
            *e1000_reg(s, off) = 0;
    }
    return v;
}

static void write_ctrl(struct e1000 *s, uint32_t val)
{
    if (val & CTRL_RST) {
        soft_reset(s);
        return;
    }
    if (val >> 31)                       /* PHY_RST */
        e1000_phy_reset(s);
    *e1000_reg(s, E_CTRL) = val & ~(1u << 31);
}

static void write_int(struct e1000 *s, unsigned off, uint32_t val)
{
    if (off == E_ICR)
        *e1000_reg(s, E_ICR) &= ~val;
    else if (off == E_ICS)
        *e1000_reg(s, E_ICR) |= val & 0x1ffff;
    else if (off == E_IMS)
        *e1000_reg(s, E_IMS) |= val & 0x1ffff;
    else
        *e1000_reg(s, E_IMS) &= ~val;
    update_irq(s);
}

static void reg_write(struct e1000 *s, unsigned off, uint32_t val)
{
    switch (off) {
    case E_CTRL: case E_CTRL + 4: write_ctrl(s, val); break;
    case E_EECD: e1000_eecd(s, val); break;
    case E_EERD: e1000_eerd(s, val); break;
    case E_MDIC: e1000_mdic(s, val); break;
    case E_ICR: case E_ICS: case E_IMS: case E_IMC: write_int(s, off, val); break;
    case E_STATUS: break;                /* read-only */
    case E_RDLEN: case E_TDLEN: *e1000_reg(s, off) = val & RING_MASK; break;
    case E_RDH: case E_TDH: *e1000_reg(s, off) = val & 0xffff; break;
    case E_TDT: case E_TCTL:
        *e1000_reg(s, off) = off == E_TDT ? val & 0xffff : val;
        e1000_transmit(s);
        break;
    case E_RDT: case E_RCTL:
        *e1000_reg(s, off) = off == E_RDT ? val & 0xffff : val;
        if (*e1000_reg(s, E_RCTL) & RCTL_EN)
            net_flush(&s->nic.port);
        break;
    default:
        if (off < E_STATS || off >= E_STATS_END)
            *e1000_reg(s, off) = val;
    }
}

static uint64_t mmio_rd(void *opaque, uint64_t off, unsigned size)
{
    return off < E1000_REG_BYTES ? reg_read(opaque, off & ~3u) : 0;
}

static void mmio_wr(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    if (size != 4 || off & 3)
        log_guest(LOG_NET, "e1000 write off=%#llx size=%u", (unsigned long long)off, size);
    else if (off < E1000_REG_BYTES)
        reg_write(opaque, off, val);
}

static uint64_t io_rd(void *opaque, uint64_t off, unsigned size)
{
    struct e1000 *s = opaque;

    if (off == 0)
        return s->io_addr;
    return off == 4 ? mmio_rd(s, s->io_addr, 4) : 0;
}

static void io_wr(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct e1000 *s = opaque;

    if (size != 4)
        return;
    if (off == 0)
        s->io_addr = val & (MMIO_BYTES - 1) & ~3u;
    else if (off == 4)
        mmio_wr(s, s->io_addr, val, 4);
}

static const struct io_ops mmio_ops = { mmio_rd, mmio_wr, 4, 4 };
static const struct io_ops io_ops = { io_rd, io_wr, 4, 4 };

/* ---- life -------------------------------------------------------------------------------------- */

static void link_changed(void *opaque, bool up)
{
    struct e1000 *s = opaque;

    e1000_phy_link(s);
    e1000_interrupt(s, ICR_LSC);
}

static const struct net_ops e1000_net_ops = {
    .kind = "nic", .receive = e1000_receive, .link = link_changed,
};

static void tx_again(void *opaque)
{
    e1000_transmit(opaque);
}

static void e1000_reset(struct device *d)
{
    struct e1000 *s = (struct e1000 *)d;

    pci_device_reset(&s->pci);
    s->io_addr = 0;
    e1000_phy_reset(s);
    soft_reset(s);
    net_purge(&s->nic.port);
}

static void e1000_destroy(struct device *d)
{
    struct e1000 *s = (struct e1000 *)d;

    timer_del(&s->itr_timer);
    timer_del(&s->tx_timer);
    pci_device_unplug(&s->pci);
    nic_free(&s->nic);
}

static int e1000_init(struct device *d, struct err *e)
{
    static const struct pci_info info = {
        .vendor = 0x8086, .device = 0x100e, .revision = 3, .class_code = 0x020000, .int_pin = 1,
    };
    struct e1000 *s = (struct e1000 *)d;
    int ret = nic_pci_init(&s->nic, &s->pci, &info, &e1000_net_ops, e);

    timer_init(&s->itr_timer, &d->machine->timers, itr_expired, s);
    timer_init(&s->tx_timer, &d->machine->timers, tx_again, s);
    if (ret == 0) {
        s->mmio = (struct mem_region){ .name = "e1000-mmio", .len = MMIO_BYTES, .kind = MEM_MMIO,
                                       .ops = &mmio_ops, .opaque = s };
        pci_bar_mem(&s->pci, 0, 0, &s->mmio);
        pci_bar_io(&s->pci, 1, IO_BYTES, "e1000-io", &io_ops, s);
        ret = nic_rom(&s->nic, &s->pci, "efi-e1000.rom", e);
    }
    if (ret < 0) {
        e1000_destroy(d);
        return ret;
    }
    e1000_eeprom_init(s);
    e1000_reset(d);
    return 0;
}

static const struct dev_prop e1000_props[] = {
    NIC_PCI_PROPS(struct e1000, nic),
    PROP_END
};

static const struct dev_field e1000_fields[] = {
    FIELD(BYTES, struct e1000, pci.config), FIELD(BYTES, struct e1000, reg),
    FIELD(U32, struct e1000, io_addr), FIELD(BYTES, struct e1000, eeprom),
    FIELD(BYTES, struct e1000, phy), FIELD(BOOL, struct e1000, irq),
    FIELD(BYTES, struct e1000, ctx), FIELD(BOOL, struct e1000, tx_bad),
    FIELD(BOOL, struct e1000, tx_tse), FIELD(BOOL, struct e1000, tx_ixsm),
    FIELD(BOOL, struct e1000, tx_txsm), FIELD(BOOL, struct e1000, tx_legacy_csum),
    FIELD(U8, struct e1000, tx_css), FIELD(U8, struct e1000, tx_cso),
    FIELD(U32, struct e1000, tx_len), FIELD(BYTES, struct e1000, tx_buf),
    FIELD_END
};

const struct device_type e1000_type = {
    .name = "e1000", .desc = "Intel 82540EM Gigabit Ethernet", .size = sizeof(struct e1000),
    .init = e1000_init, .reset = e1000_reset, .destroy = e1000_destroy,
    .fields = e1000_fields, .props = e1000_props,
};
