/*
 * xhci-regs.c - registers in BAR 0: capabilities, operational, runtime, doorbells
 *
 * Source: xHCI 1.2, chapters 5 and 7. HCIVERSION says 1.0: of what came later nothing is
 * implemented, and HCCPARAMS2 is 0.
 */
#include "hw/usb/xhci-int.h"

#define OPER_AT     0x0040u          /* CAPLENGTH */
#define PORTS_AT    0x0440u          /* OPER_AT + 0x400 */
#define RUNTIME_AT  0x1000u
#define INTRS_AT    0x1020u
#define INTR_BYTES  0x20u
#define DOORBELL_AT 0x2000u
#define XECP2_AT    0x20u
#define XECP3_AT    0x30u
#define ERST_MAX    4                /* XHCI_SEGMENTS is its power of two */
#define PAGE_4K     1

enum { REG_CMD = 0x00, REG_STS = 0x04, REG_PAGESIZE = 0x08, REG_DNCTRL = 0x14, REG_CRCR = 0x18, REG_DCBAAP = 0x30,
       REG_CONFIG = 0x38 };
enum { PORT_SC = 0, PORT_PMSC = 4 };
enum { CRCR_RCS = 1 << 0, CRCR_CS = 1 << 1, CRCR_CA = 1 << 2, CRCR_CRR = 1 << 3 };

/* ---- capabilities, 5.3 and 7.2 -------------------------------------------------------------- */

/* Word @n of the Supported Protocol capability of @count ports from @first (from 0). */
static uint32_t protocol(unsigned n, unsigned major, unsigned next, unsigned first, unsigned count)
{
    switch (n) {
    case 0: return 2 | next << 8 | major << 24;
    case 1: return 0x20425355;       /* "USB " */
    case 2: return (first + 1) | count << 8;
    default: return 0;
    }
}

/* The first list entry that there is, or 0. */
static unsigned xecp(const struct xhci *s)
{
    return s->p2 ? XECP2_AT : XECP3_AT;
}

static uint32_t cap_read(const struct xhci *s, unsigned off)
{
    if (off >= XECP3_AT && s->p3)
        return protocol((off - XECP3_AT) / 4, 3, 0, s->first3, s->p3);
    if (off >= XECP2_AT && off < XECP3_AT && s->p2)
        return protocol((off - XECP2_AT) / 4, 2, s->p3 ? (XECP3_AT - XECP2_AT) / 4 : 0, s->first2, s->p2);
    switch (off) {
    case 0x00: return OPER_AT | 0x0100u << 16;
    case 0x04: return s->n_slots | s->n_intrs << 8 | s->n_ports << 24;
    case 0x08: return 1 | ERST_MAX << 4;             /* HCSPARAMS2: IST one microframe */
    case 0x10: return 1 | (xecp(s) / 4) << 16;       /* HCCPARAMS1: AC64 */
    case 0x14: return DOORBELL_AT;
    case 0x18: return RUNTIME_AT;
    default: return 0;
    }
}

/* ---- operational, 5.4 --------------------------------------------------------------------------- */

static void set_low(uint64_t *reg, uint32_t val)
{
    *reg = (*reg & ~0xffffffffull) | val;
}

static void set_high(uint64_t *reg, uint32_t val)
{
    *reg = (*reg & 0xffffffff) | (uint64_t)val << 32;
}

static void command_write(struct xhci *s, uint32_t val)
{
    uint32_t was = s->cmd;

    if (val & CMD_HCRST) {
        xhci_reset(s);
        return;
    }
    if (val & CMD_CRS && s->sts & STS_HCH)
        s->sts |= STS_SRE;           /* nothing was saved anywhere: start anew */
    s->cmd = val & CMD_KEPT;
    if ((was ^ s->cmd) & CMD_RS)
        xhci_run(s, s->cmd & CMD_RS);
    xhci_intr_update(s);
}

static void crcr_write(struct xhci *s, bool high, uint32_t val)
{
    if (!s->crr) {
        if (high)
            set_high(&s->crcr, val);
        else
            set_low(&s->crcr, val & ~(uint32_t)(CRCR_CS | CRCR_CA | CRCR_CRR));
        s->cmd_ring = (struct xhci_ring){ s->crcr & ~63ull, s->crcr & CRCR_RCS };
    } else if (!high && val & (CRCR_CS | CRCR_CA)) {
        xhci_command_stop(s);
    }
}

static uint32_t oper_read(const struct xhci *s, unsigned off)
{
    switch (off) {
    case REG_CMD: return s->cmd;
    case REG_STS: return s->sts;
    case REG_PAGESIZE: return PAGE_4K;
    case REG_DNCTRL: return s->dnctrl;
    case REG_CRCR: return s->crr ? CRCR_CRR : 0;
    case REG_DCBAAP: return s->dcbaap;
    case REG_DCBAAP + 4: return s->dcbaap >> 32;
    case REG_CONFIG: return s->config;
    default: return 0;
    }
}

static void oper_write(struct xhci *s, unsigned off, uint32_t val)
{
    switch (off) {
    case REG_CMD:
        command_write(s, val);
        break;
    case REG_STS:
        s->sts &= ~(val & (STS_HSE | STS_EINT | STS_PCD | STS_SRE));
        break;
    case REG_DNCTRL:
        s->dnctrl = val & 0xffff;
        break;
    case REG_CRCR:
    case REG_CRCR + 4:
        crcr_write(s, off & 4, val);
        break;
    case REG_DCBAAP:
        set_low(&s->dcbaap, val & ~63u);
        break;
    case REG_DCBAAP + 4:
        set_high(&s->dcbaap, val);
        break;
    case REG_CONFIG:
        s->config = val & 0xff;
        break;
    default:
        log_guest(LOG_USB, "xhci write operational=%#x val=%#x", off, val);
    }
}

static uint32_t port_read_reg(const struct xhci *s, unsigned off)
{
    const struct xhci_port *p = &s->port[off / 16];

    return off % 16 == PORT_SC ? p->sc : off % 16 == PORT_PMSC ? p->pmsc : 0;
}

static void port_write_reg(struct xhci *s, unsigned off, uint32_t val)
{
    if (off % 16 == PORT_SC)
        xhci_portsc_write(s, off / 16, val);
    else if (off % 16 == PORT_PMSC)
        s->port[off / 16].pmsc = val & 0x1ffff;
}

/* ---- doorbells, 5.6 --------------------------------------------------------------------------------- */

static void doorbell(struct xhci *s, unsigned n, uint32_t val)
{
    if (!xhci_running(s) || n > s->n_slots) {
        log_guest(LOG_USB, "xhci doorbell=%u val=%#x refused", n, val);
        return;
    }
    if (n) {
        xhci_doorbell(s, n, val & 0xff);
    } else if ((val & 0xff) == 0) {
        s->crr = s->cmd_ready = true;
    }
    xhci_work(s);
}

/* ---- all of them -------------------------------------------------------------------------------------- */

static uint64_t mem_get(void *opaque, uint64_t off, unsigned size)
{
    struct xhci *s = opaque;

    if (off < OPER_AT)
        return cap_read(s, off);
    if (off < PORTS_AT)
        return oper_read(s, off - OPER_AT);
    if (off < PORTS_AT + s->n_ports * 16)
        return port_read_reg(s, off - PORTS_AT);
    if (off == RUNTIME_AT)
        return xhci_mfindex(s);
    if (off >= INTRS_AT && off < INTRS_AT + s->n_intrs * INTR_BYTES)
        return xhci_intr_read(&s->intr[(off - INTRS_AT) / INTR_BYTES], (off - INTRS_AT) % INTR_BYTES);
    return 0;
}

static void mem_set(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct xhci *s = opaque;

    log_ev(LOG_USB, "xhci write off=%#llx val=%#llx", (unsigned long long)off, (unsigned long long)val);
    if (size != 4 || off & 3)
        log_guest(LOG_USB, "xhci write off=%#llx size=%u", (unsigned long long)off, size);
    else if (off >= OPER_AT && off < PORTS_AT)
        oper_write(s, off - OPER_AT, val);
    else if (off >= PORTS_AT && off < PORTS_AT + s->n_ports * 16)
        port_write_reg(s, off - PORTS_AT, val);
    else if (off >= INTRS_AT && off < INTRS_AT + s->n_intrs * INTR_BYTES)
        xhci_intr_write(s, (off - INTRS_AT) / INTR_BYTES, (off - INTRS_AT) % INTR_BYTES, val);
    else if (off >= DOORBELL_AT && off < DOORBELL_AT + 4 * (XHCI_SLOTS + 1))
        doorbell(s, (off - DOORBELL_AT) / 4, val);
    else
        log_guest(LOG_USB, "xhci write off=%#llx val=%#llx", (unsigned long long)off, (unsigned long long)val);
}

const struct io_ops xhci_mem_ops = { mem_get, mem_set, 4, 4 };
