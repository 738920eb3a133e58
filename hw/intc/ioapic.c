/*
 * ioapic.c - 82093AA I/O APIC, 24 pins, with the EOI register of version 0x20
 *
 *   0xfec00000  IOREGSEL    0xfec00010  IOWIN    0xfec00040  EOI
 *
 * Source: Intel 82093AA data sheet; ICH data sheets for the EOI register.
 * Pin levels are logical here, so the polarity bit is kept but has no effect.
 */
#include "hw/dma/iommu.h"
#include "hw/intc/intc.h"

enum {
    IOREGSEL = 0x00, IOWIN = 0x10, IOEOI = 0x40, /* MMIO offsets */
    IOAPICID = 0x00, IOAPICVER = 0x01, IOAPICARB = 0x02, IOREDTBL = 0x10,
    IOAPIC_VERSION = 0x20,
    IOAPIC_MMIO_BYTES = 0x1000,
};

#define ID_MASK 0x0f000000u

/* redirection table entry */
#define RTE_VECTOR      0xffull
#define RTE_DELMOD_POS  8
#define RTE_LOGICAL     BIT(11)
#define RTE_DELIVS      BIT(12)
#define RTE_REMOTE_IRR  BIT(14)
#define RTE_LEVEL       BIT(15)
#define RTE_MASKED      BIT(16)
/* An entry is sent as a message: bits 63:48 are 19:4 of its address (with interrupt
 * remapping they hold an index instead of a destination), 10:0 are data. */
#define RTE_ADDR_POS    48
#define RTE_DATA        0x7ffull
#define MSI_LEVEL       0xc000u
#define RTE_INDEX       0x00ff000000000000ull  /* writable where messages are remapped */
#define RTE_WRITABLE    (0xff0000000001ffffull & ~(RTE_DELIVS | RTE_REMOTE_IRR))

struct ioapic {
    struct device dev;
    struct mem_region region;
    uint64_t redtbl[IOAPIC_PINS];
    uint32_t lines;  /* pin levels */
    uint32_t id;
    uint8_t select;
    uint64_t raised[IOAPIC_PINS]; /* for the monitor */
};

/* Only fixed vectors are ever level: the others are edges, however programmed. */
static bool is_level(uint64_t rte)
{
    return (rte & RTE_LEVEL) && bits(rte, RTE_DELMOD_POS, 3) <= APIC_LOWEST;
}

/* Send what pin @n asks for. A level pin waits for EOI once accepted. */
static void pin_send(struct ioapic *io, unsigned n)
{
    uint64_t rte = io->redtbl[n];
    bool level = is_level(rte), ok;
    uint64_t addr;
    uint32_t data;

    log_ev(LOG_APIC, "ioapic send pin=%u rte=%#llx", n, (unsigned long long)rte);
    ioapic_message(io, n, &addr, &data);
    ok = bus_message(io->dev.machine, RID_IOAPIC, addr, data);
    if (level && ok)
        io->redtbl[n] |= RTE_REMOTE_IRR;
}

/* A level pin sends while it is asserted, open and not waiting for EOI. */
static void pin_check_level(struct ioapic *io, unsigned n)
{
    if (is_level(io->redtbl[n]) && (io->lines & BIT(n)) &&
        !(io->redtbl[n] & (RTE_MASKED | RTE_REMOTE_IRR)))
        pin_send(io, n);
}

/* To a chip that does this one's work. */
static bool passes_on(const struct ioapic *io, int pin, int level)
{
    const struct machine_chips *chips = io->dev.machine->chips;

    if (!chips || !chips->set_ioapic)
        return false;
    chips->set_ioapic(io->dev.machine, pin, level);
    return true;
}

void ioapic_set_irq(struct ioapic *io, int pin, int level)
{
    bool rise;

    if (!io || pin < 0 || pin >= IOAPIC_PINS)
        return;
    rise = level && !(io->lines & BIT(pin));
    if (!level) {
        io->lines &= ~BIT(pin);
        passes_on(io, pin, 0);
        return;
    }
    io->lines |= BIT(pin);
    io->raised[pin] += rise;
    if (passes_on(io, pin, 1))
        return;
    if (is_level(io->redtbl[pin]))
        pin_check_level(io, pin);
    else if (rise && !(io->redtbl[pin] & RTE_MASKED))
        pin_send(io, pin); /* an edge on a masked pin is lost, as documented */
}

uint64_t ioapic_irq_count(const struct ioapic *io, unsigned pin)
{
    return io && pin < IOAPIC_PINS ? io->raised[pin] : 0;
}

void ioapic_print(const struct ioapic *io, FILE *f)
{
    if (!io)
        return;
    fprintf(f, "ioapic: id=0x%02x sel=0x%02x\n", io->id >> 24, io->select);
    for (unsigned n = 0; n < IOAPIC_PINS; n++) {
        uint64_t rte = io->redtbl[n];

        fprintf(f, "pin %-2u 0x%016llx dest=%llu vec=%-3llu %s %s%s%s line=%u\n", n,
                (unsigned long long)rte, (unsigned long long)(rte >> 56),
                (unsigned long long)(rte & RTE_VECTOR), rte & RTE_LOGICAL ? "logical " : "physical",
                rte & RTE_LEVEL ? "level" : "edge ", rte & RTE_MASKED ? " masked" : "",
                rte & RTE_REMOTE_IRR ? " remote-irr" : "", io->lines >> n & 1);
    }
}

void ioapic_eoi(struct ioapic *io, uint8_t vector)
{
    if (!io)
        return;
    for (unsigned n = 0; n < IOAPIC_PINS; n++) {
        uint64_t rte = io->redtbl[n];

        if (!(rte & RTE_REMOTE_IRR) || (rte & RTE_VECTOR) != vector)
            continue;
        io->redtbl[n] &= ~RTE_REMOTE_IRR;
        pin_check_level(io, n);
    }
}

static void redtbl_write(struct ioapic *io, unsigned reg, uint32_t val)
{
    unsigned n = reg / 2;
    uint64_t writable = RTE_WRITABLE | (io->dev.machine->iommu ? RTE_INDEX : 0);
    uint64_t mask = (reg & 1 ? 0xffffffffull << 32 : 0xffffffffull) & writable;
    uint64_t v = reg & 1 ? (uint64_t)val << 32 : val;

    io->redtbl[n] = (io->redtbl[n] & ~mask) | (v & mask);
    if (!is_level(io->redtbl[n]))
        io->redtbl[n] &= ~RTE_REMOTE_IRR; /* edge pins await no EOI */
    log_ev(LOG_APIC, "ioapic write pin=%u rte=%#llx", n,
           (unsigned long long)io->redtbl[n]);
    if (io->dev.machine->chips && io->dev.machine->chips->routes_changed)
        io->dev.machine->chips->routes_changed(io->dev.machine);
    pin_check_level(io, n);
}

void ioapic_get_state(const struct ioapic *io, struct ioapic_state *s)
{
    memcpy(s->redtbl, io->redtbl, sizeof s->redtbl);
    s->lines = io->lines;
    s->id = io->id;
    s->select = io->select;
}

void ioapic_set_state(struct ioapic *io, const struct ioapic_state *s)
{
    memcpy(io->redtbl, s->redtbl, sizeof s->redtbl);
    io->lines = s->lines;
    io->id = s->id;
    io->select = s->select;
}

void ioapic_changed(struct ioapic *io)
{
    for (unsigned n = 0; n < IOAPIC_PINS; n++)
        pin_check_level(io, n);
}

bool ioapic_message(const struct ioapic *io, unsigned pin, uint64_t *addr, uint32_t *data)
{
    uint64_t rte = io->redtbl[pin];

    *addr = LAPIC_BASE | rte >> RTE_ADDR_POS << 4 | (rte & RTE_LOGICAL ? 4 : 0);
    *data = (rte & RTE_DATA) | (is_level(rte) ? MSI_LEVEL : 0);
    return !(rte & RTE_MASKED);
}

static uint32_t window_read(const struct ioapic *io)
{
    unsigned reg = io->select;

    if (reg >= IOREDTBL && reg < IOREDTBL + 2 * IOAPIC_PINS) {
        uint64_t rte = io->redtbl[(reg - IOREDTBL) / 2];
        return reg & 1 ? rte >> 32 : rte;
    }
    switch (reg) {
    case IOAPICID:
    case IOAPICARB: /* loaded with the ID */
        return io->id;
    case IOAPICVER:
        return (IOAPIC_PINS - 1) << 16 | IOAPIC_VERSION;
    }
    log_guest(LOG_APIC, "ioapic read reg=%#x", reg);
    return 0;
}

static void window_write(struct ioapic *io, uint32_t val)
{
    unsigned reg = io->select;

    if (reg >= IOREDTBL && reg < IOREDTBL + 2 * IOAPIC_PINS)
        redtbl_write(io, reg - IOREDTBL, val);
    else if (reg == IOAPICID)
        io->id = val & ID_MASK;
    else
        log_guest(LOG_APIC, "ioapic write reg=%#x val=%#x", reg, val);
}

static uint64_t ioapic_read(void *op, uint64_t off, unsigned size)
{
    struct ioapic *io = op;

    switch (off) {
    case IOREGSEL:
        return io->select;
    case IOWIN:
        return window_read(io);
    }
    return 0;
}

static void ioapic_write(void *op, uint64_t off, uint64_t val, unsigned size)
{
    struct ioapic *io = op;

    switch (off) {
    case IOREGSEL:
        io->select = val;
        break;
    case IOWIN:
        window_write(io, val);
        break;
    case IOEOI:
        ioapic_eoi(io, val);
        break;
    default:
        log_guest(LOG_APIC, "ioapic write off=%#llx", (unsigned long long)off);
    }
}

static const struct io_ops ioapic_ops = { ioapic_read, ioapic_write, 4, 4 };

static void ioapic_reset(struct device *d)
{
    struct ioapic *io = container_of(d, struct ioapic, dev);

    for (unsigned n = 0; n < IOAPIC_PINS; n++)
        io->redtbl[n] = RTE_MASKED;
    io->id = 0;
    io->select = 0;
}

static int ioapic_init(struct device *d, struct err *e)
{
    struct ioapic *io = container_of(d, struct ioapic, dev);

    io->region = (struct mem_region){
        .name = "ioapic", .base = IOAPIC_BASE, .len = IOAPIC_MMIO_BYTES,
        .kind = MEM_MMIO, .prio = 2, .enabled = true,
        .ops = &ioapic_ops, .opaque = io,
    };
    mem_add(&d->machine->mem, &io->region);
    d->machine->ioapic = io;
    ioapic_reset(d);
    return 0;
}

static void ioapic_destroy(struct device *d)
{
    struct ioapic *io = container_of(d, struct ioapic, dev);

    mem_remove(&d->machine->mem, &io->region);
    if (d->machine->ioapic == io)
        d->machine->ioapic = NULL;
}

static const struct dev_field ioapic_fields[] = {
    FIELD(BYTES, struct ioapic, redtbl),
    FIELD(U32, struct ioapic, lines),
    FIELD(U32, struct ioapic, id),
    FIELD(U8, struct ioapic, select),
    FIELD_END,
};

const struct device_type ioapic_type = {
    .name = "ioapic", .desc = "82093AA I/O APIC",
    .size = sizeof(struct ioapic), .init = ioapic_init, .reset = ioapic_reset,
    .destroy = ioapic_destroy, .fields = ioapic_fields,
};
