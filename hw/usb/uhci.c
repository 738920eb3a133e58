/*
 * uhci.c - PIIX3 function 2: universal host controller with two ports
 *
 * Frames are not carried out one a millisecond but when somebody could notice: those that
 * are due before every access to a register and when a device has news, and while
 * transactions move every millisecond by a timer. After QUIET_FRAMES without any the timer
 * comes every LAZY_FRAMES only: a descriptor that the guest has linked meanwhile without
 * touching a register waits that long. A stopped controller has no timer.
 *
 * Departures: no over-current, no bandwidth errors; SOF timing is constant; legacy
 * keyboard emulation (0xc0) is a register without effect.
 * Source: Intel Universal Host Controller Interface design guide 1.1, chapter 2;
 * 82371SB datasheet, 290550, 2.5 (configuration space).
 */
#include "hw/usb/uhci-int.h"

enum { REG_CMD = 0, REG_STS = 2, REG_INTR = 4, REG_FRNUM = 6, REG_FLBASE = 8, REG_SOFMOD = 12,
       REG_PORTSC = 16, REG_END = 20 };
enum { CFG_SBRN = 0x60, CFG_LEGSUP = 0xc0 };
#define IO_LEN        32
#define SOFMOD_RESET  0x40
#define FRNUM_BITS    0x7ff
#define QUIET_FRAMES  64
#define LAZY_FRAMES   16
#define LATE_FRAMES   32             /* more than these are lost, as time is */

static int64_t now(const struct uhci *s)
{
    return clock_now_ns(&s->pci.dev.machine->clock);
}

/* ---- interrupt, timer ------------------------------------------------------------------- */

static void update_irq(struct uhci *s)
{
    bool level = (s->status & STS_USBINT && s->intr & s->cause) ||
                 (s->status & STS_ERROR && s->intr & INTR_ERROR) ||
                 (s->status & STS_RESUME && s->intr & INTR_RESUME) ||
                 s->status & (STS_HSE | STS_PROCESS);

    pci_irq_set(&s->pci, level);
}

static void set_timer(struct uhci *s)
{
    unsigned frames = s->quiet < QUIET_FRAMES ? 1 : LAZY_FRAMES;

    if (s->cmd & CMD_RS)
        timer_mod(&s->timer, s->frame_ns + (int64_t)frames * UHCI_FRAME_NS);
    else
        timer_del(&s->timer);
}

static void one_frame(struct uhci *s)
{
    s->cause_next = 0;
    if (uhci_frame(s))
        s->quiet = 0;
    else if (s->quiet < QUIET_FRAMES)
        s->quiet++;
    s->cause |= s->cause_next;
    s->frnum = (s->frnum + 1) & FRNUM_BITS;
    s->frame_ns += UHCI_FRAME_NS;
}

/* Carry out the frames that have begun. */
static void catch_up(struct uhci *s)
{
    int64_t due = s->cmd & CMD_RS ? (now(s) - s->frame_ns) / UHCI_FRAME_NS : 0;

    if (due <= 0 || s->busy)
        return;
    s->busy = true;
    if (due > LATE_FRAMES) {
        s->frnum = (s->frnum + (due - LATE_FRAMES)) & FRNUM_BITS;
        s->frame_ns += (due - LATE_FRAMES) * UHCI_FRAME_NS;
        due = LATE_FRAMES;
    }
    while (due-- && s->cmd & CMD_RS)
        one_frame(s);
    s->busy = false;
    if (!(s->cmd & CMD_RS))
        s->status |= STS_HALTED;             /* a process error */
    update_irq(s);
}

static void tick(void *opaque)
{
    catch_up(opaque);
    set_timer(opaque);
}

/* A device has news: the frames until now, then the next ones in time. */
static void bus_ready(void *opaque)
{
    struct uhci *s = opaque;

    catch_up(s);
    s->quiet = 0;
    set_timer(s);
}

/* ---- ports ---------------------------------------------------------------------------------- */

static void port_update(struct uhci *s, unsigned n)
{
    s->port[n].enabled = (s->portsc[n] & (PORT_PED | PORT_RESET | PORT_SUSPEND)) == PORT_PED &&
                         !(s->cmd & CMD_GRESET);
}

static void resume_detected(struct uhci *s, unsigned n)
{
    if (s->portsc[n] & PORT_SUSPEND)
        s->portsc[n] |= PORT_RD;
    if (s->cmd & CMD_EGSM)
        s->status |= STS_RESUME;
    update_irq(s);
}

static void port_changed(void *opaque, unsigned n, bool attached)
{
    struct uhci *s = opaque;
    uint16_t was = s->portsc[n];

    s->portsc[n] &= ~(PORT_CCS | PORT_LSDA | PORT_LINE_DP | PORT_LINE_DM | PORT_PED | PORT_SUSPEND);
    if (attached)
        s->portsc[n] |= PORT_CCS | (s->port[n].dev->speed == USB_LOW ? PORT_LSDA | PORT_LINE_DM
                                                                      : PORT_LINE_DP);
    s->portsc[n] |= PORT_CSC | (was & PORT_PED ? PORT_PEDC : 0);
    port_update(s, n);
    resume_detected(s, n);
}

static void port_wakeup(void *opaque, unsigned n)
{
    struct uhci *s = opaque;

    if (s->portsc[n] & PORT_SUSPEND || s->cmd & CMD_EGSM)
        resume_detected(s, n);
}

static const struct usb_port_ops port_ops = { port_changed, port_wakeup };

static void portsc_write(struct uhci *s, unsigned n, uint16_t val)
{
    uint16_t *p = &s->portsc[n], was = *p;
    uint16_t rw = PORT_PED | PORT_RD | PORT_RESET | PORT_SUSPEND;

    *p &= ~(val & (PORT_CSC | PORT_PEDC));
    *p = (*p & ~rw) | (val & rw);
    if (!(*p & PORT_CCS))
        *p &= ~PORT_PED;
    if (*p & PORT_RESET)
        *p &= ~(PORT_PED | PORT_SUSPEND | PORT_RD);
    if (*p & PORT_RESET && !(was & PORT_RESET) && s->port[n].dev)
        usb_reset_device(s->port[n].dev);
    if (was & PORT_RD && !(*p & PORT_RD))
        *p &= ~PORT_SUSPEND;                 /* resume is over */
    port_update(s, n);
}

/* ---- registers -------------------------------------------------------------------------------- */

static void reset_devices(struct uhci *s)
{
    for (unsigned n = 0; n < UHCI_PORTS; n++)
        if (s->port[n].dev)
            usb_reset_device(s->port[n].dev);
}

static void controller_reset(struct uhci *s)
{
    s->cmd = s->intr = s->frnum = 0;
    s->cause = 0;
    s->status = STS_HALTED;
    s->flbase = 0;
    s->sofmod = SOFMOD_RESET;
    s->quiet = 0;
    for (unsigned n = 0; n < UHCI_PORTS; n++) {
        s->portsc[n] = PORT_ONE;
        if (s->port[n].dev)
            port_changed(s, n, true);
    }
    reset_devices(s);
    for (unsigned n = 0; n < UHCI_PORTS; n++)
        port_update(s, n);
    set_timer(s);
    update_irq(s);
}

static void command_write(struct uhci *s, uint16_t val)
{
    uint16_t was = s->cmd;

    if (val & CMD_HCRESET) {
        controller_reset(s);
        return;
    }
    s->cmd = val & CMD_BITS;
    if (s->cmd & CMD_GRESET && !(was & CMD_GRESET))
        reset_devices(s);
    if (s->cmd & CMD_RS && !(was & CMD_RS)) {
        s->frame_ns = now(s);
        s->quiet = 0;
        s->status &= ~STS_HALTED;
    } else if (!(s->cmd & CMD_RS)) {
        s->status |= STS_HALTED;
    }
    for (unsigned n = 0; n < UHCI_PORTS; n++)
        port_update(s, n);
}

static uint16_t reg_read(struct uhci *s, unsigned off)
{
    switch (off) {
    case REG_CMD: return s->cmd;
    case REG_STS: return s->status;
    case REG_INTR: return s->intr;
    case REG_FRNUM: return s->frnum;
    case REG_FLBASE: return s->flbase;
    case REG_FLBASE + 2: return s->flbase >> 16;
    case REG_SOFMOD: return s->sofmod;
    case REG_PORTSC: return s->portsc[0];
    case REG_PORTSC + 2: return s->portsc[1];
    default: return 0xffff;                  /* no more ports: bit 7 must not look like one */
    }
}

static void reg_write(struct uhci *s, unsigned off, uint16_t val)
{
    switch (off) {
    case REG_CMD:
        command_write(s, val);
        break;
    case REG_STS:
        s->status &= ~(val & (STS_USBINT | STS_ERROR | STS_RESUME | STS_HSE | STS_PROCESS));
        if (!(s->status & STS_USBINT))
            s->cause = 0;
        break;
    case REG_INTR:
        s->intr = val & 15;
        break;
    case REG_FRNUM:
        if (!(s->cmd & CMD_RS))
            s->frnum = val & FRNUM_BITS;
        break;
    case REG_FLBASE:
        s->flbase = (s->flbase & 0xffff0000) | (val & 0xf000);
        break;
    case REG_FLBASE + 2:
        s->flbase = (s->flbase & 0xffff) | (uint32_t)val << 16;
        break;
    case REG_SOFMOD:
        s->sofmod = val & 0x7f;
        break;
    case REG_PORTSC:
    case REG_PORTSC + 2:
        portsc_write(s, (off - REG_PORTSC) / 2, val);
        break;
    default:
        log_guest(LOG_USB, "uhci write off=%#x val=%#x", off, val);
    }
}

static uint64_t io_read(void *opaque, uint64_t off, unsigned size)
{
    struct uhci *s = opaque;
    uint32_t v;

    catch_up(s);
    v = reg_read(s, off & ~1u);
    if (size == 4)
        v |= (uint32_t)reg_read(s, (off & ~1u) + 2) << 16;
    return v >> (off & 1) * 8 & size_mask(size);
}

/* Registers are words; of a byte's neighbour only what a write of 0 leaves alone is kept. */
static void io_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct uhci *s = opaque;
    unsigned at = off & ~1u;

    log_ev(LOG_USB, "uhci write off=%#llx val=%#llx size=%u", (unsigned long long)off,
           (unsigned long long)val, size);
    catch_up(s);
    if (size == 1 && at == REG_STS)
        val <<= (off & 1) * 8;
    else if (size == 1)
        val = (reg_read(s, at) & ~(0xffu << (off & 1) * 8)) | (uint32_t)(val & 0xff) << (off & 1) * 8;
    reg_write(s, at, val);
    if (size == 4)
        reg_write(s, at + 2, val >> 16);
    s->quiet = 0;
    set_timer(s);
    update_irq(s);
}

static const struct io_ops uhci_ops = { io_read, io_write, 1, 4 };

/* ---- life -------------------------------------------------------------------------------------- */

static int uhci_init(struct device *d, struct err *e)
{
    struct uhci *s = (struct uhci *)d;
    static const struct pci_info info = {
        .vendor = 0x8086, .device = 0x7020, .revision = 1, .class_code = 0x0c0300, .int_pin = 4,
    };
    int ret = pci_device_init(&s->pci, &info, e);

    if (ret < 0)
        return ret;
    s->pci.config[CFG_SBRN] = 0x10;          /* USB 1.0 */
    stl16(s->pci.wmask + CFG_LEGSUP, 0xffff);
    pci_bar_io(&s->pci, 4, IO_LEN, "uhci", &uhci_ops, s);
    timer_init(&s->timer, &d->machine->timers, tick, s);
    usb_bus_init(&s->bus, d->machine, bus_ready, s);
    usb_bus_rename(&s->bus, d->id);
    s->bus.controller = d;
    for (unsigned n = 0; n < UHCI_PORTS; n++)
        usb_port_add(&s->bus, &s->port[n], &port_ops, s, n, NULL);
    return 0;
}

static void uhci_reset(struct device *d)
{
    struct uhci *s = (struct uhci *)d;

    pci_device_reset(&s->pci);
    stl16(s->pci.config + CFG_LEGSUP, 0x2000);
    controller_reset(s);
}

static void uhci_destroy(struct device *d)
{
    struct uhci *s = (struct uhci *)d;

    usb_bus_free(&s->bus);
    timer_del(&s->timer);
    pci_device_unplug(&s->pci);
}

static const struct dev_prop uhci_props[] = {
    PROP(DEVFN, "addr", struct uhci, addr, NULL, 0, 0, "PCI slot[.function]"),
    PROP_END
};

static const struct dev_field uhci_fields[] = {
    FIELD(BYTES, struct uhci, pci.config),
    FIELD(U16, struct uhci, cmd), FIELD(U16, struct uhci, status), FIELD(U16, struct uhci, intr),
    FIELD(U16, struct uhci, frnum), FIELD(BYTES, struct uhci, portsc), FIELD(U32, struct uhci, flbase),
    FIELD(U8, struct uhci, sofmod), FIELD(U8, struct uhci, cause), FIELD(U64, struct uhci, frame_ns),
    FIELD_END
};

const struct device_type piix3_uhci_type = {
    .name = "piix3-usb-uhci", .desc = "82371SB USB host controller", .size = sizeof(struct uhci),
    .init = uhci_init, .reset = uhci_reset, .destroy = uhci_destroy, .fields = uhci_fields,
    .props = uhci_props,
};
