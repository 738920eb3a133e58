/*
 * edu.c - educational PCI device, 1234:11e8
 *
 * BAR 0, 1 MiB:
 *   0x00 identification       0x20 status             0x80 DMA source
 *   0x04 liveness             0x24 interrupt status   0x88 DMA destination
 *   0x08 factorial            0x60 interrupt raise    0x90 DMA count
 *                             0x64 interrupt ack      0x98 DMA command
 * Accesses have 4 bytes, from 0x80 on 4 or 8. Its DMA addresses are in a buffer of
 * 4 KiB at 0x40000, which only DMA reaches, and in memory, below 2^28 by default.
 * Source: the device's specification, "EDU device".
 */
#include "hw/dma/sg.h"
#include "hw/misc/edu.h"
#include "hw/pci/msi.h"
#include "hw/prop.h"

enum { R_ID = 0x00, R_LIVE = 0x04, R_FACTORIAL = 0x08, R_STATUS = 0x20, R_INTR = 0x24,
       R_RAISE = 0x60, R_ACK = 0x64, R_DMA_SRC = 0x80, R_DMA_DST = 0x88, R_DMA_COUNT = 0x90,
       R_DMA_CMD = 0x98 };
#define VERSION_1_0      0x010000edu
#define BAR_BYTES        0x100000u
#define WIDE_FROM        0x80u
#define STATUS_COMPUTING 0x01u
#define STATUS_IRQ       0x80u
#define INTR_FACTORIAL   0x001u
#define INTR_DMA         0x100u
#define CMD_START        1u
#define CMD_TO_RAM       2u
#define CMD_IRQ          4u
#define BUFFER_AT        0x40000u
#define BUFFER_BYTES     4096u
#define WORK_NS          10000      /* how long a factorial or a transfer takes */

struct edu {
    struct pci_device pci;
    struct msi msi;
    struct mem_region mem;
    struct timer compute, transfer;
    uint32_t live, factorial, status, intr;
    uint64_t src, dst, count, cmd;
    uint8_t buffer[BUFFER_BYTES];
    uint64_t dma_mask;
    int32_t addr;
};

/* ---- interrupts ---------------------------------------------------------------------- */

static void raise_intr(struct edu *s, uint32_t bits)
{
    s->intr |= bits;
    if (!s->intr)
        return;
    pci_irq_set(&s->pci, 1);
    msi_notify(&s->msi, 0);
}

static void ack_intr(struct edu *s, uint32_t bits)
{
    s->intr &= ~bits;
    if (!s->intr)
        pci_irq_set(&s->pci, 0);
}

/* ---- work ------------------------------------------------------------------------------ */

static int64_t due(struct edu *s)
{
    return clock_now_ns(&s->pci.dev.machine->clock) + WORK_NS;
}

/* Modulo 2^32, so it is 0 from 34 on. */
static void compute_done(void *opaque)
{
    struct edu *s = opaque;
    uint32_t n = s->factorial, f = 1;

    for (; n > 1 && f; n--)
        f *= n;
    s->factorial = f;
    s->status &= ~STATUS_COMPUTING;
    if (s->status & STATUS_IRQ)
        raise_intr(s, INTR_FACTORIAL);
}

static uint8_t *buffer_at(struct edu *s, uint64_t addr)
{
    uint64_t off = addr - BUFFER_AT;

    if (addr < BUFFER_AT || off > BUFFER_BYTES || s->count > BUFFER_BYTES - off) {
        log_guest(LOG_PCI, "edu dma buffer addr=%#llx count=%#llx", (unsigned long long)addr,
                  (unsigned long long)s->count);
        return NULL;
    }
    return s->buffer + off;
}

static void transfer_done(void *opaque)
{
    struct edu *s = opaque;
    bool to_ram = s->cmd & CMD_TO_RAM, master = dma_enabled(&s->pci.dma);
    uint8_t *buf = buffer_at(s, to_ram ? s->src : s->dst);

    if (buf && master && to_ram)
        dma_put(&s->pci.dma, s->dst & s->dma_mask, buf, s->count);
    else if (buf && master)
        dma_get(&s->pci.dma, s->src & s->dma_mask, buf, s->count);
    s->cmd &= ~(uint64_t)CMD_START;
    if (s->cmd & CMD_IRQ)
        raise_intr(s, INTR_DMA);
}

/* ---- registers -------------------------------------------------------------------------- */

static uint64_t *dma_reg(struct edu *s, uint64_t off)
{
    switch (off) {
    case R_DMA_SRC:
        return &s->src;
    case R_DMA_DST:
        return &s->dst;
    case R_DMA_COUNT:
        return &s->count;
    case R_DMA_CMD:
        return &s->cmd;
    }
    return NULL;
}

static uint64_t edu_read(void *opaque, uint64_t off, unsigned size)
{
    struct edu *s = opaque;
    uint64_t *r = dma_reg(s, off);

    if (size != 4 && (size != 8 || off < WIDE_FROM))
        return ~0ull;
    if (r)
        return *r;
    switch (off) {
    case R_ID:
        return VERSION_1_0;
    case R_LIVE:
        return s->live;
    case R_FACTORIAL:
        return s->factorial;
    case R_STATUS:
        return s->status;
    case R_INTR:
        return s->intr;
    }
    return ~0ull;
}

static void small_write(struct edu *s, uint64_t off, uint32_t val)
{
    switch (off) {
    case R_LIVE:
        s->live = ~val;
        break;
    case R_FACTORIAL:
        if (s->status & STATUS_COMPUTING)
            break;
        s->factorial = val;
        s->status |= STATUS_COMPUTING;
        timer_mod(&s->compute, due(s));
        break;
    case R_STATUS:
        s->status = (s->status & ~STATUS_IRQ) | (val & STATUS_IRQ);
        break;
    case R_RAISE:
        raise_intr(s, val);
        break;
    case R_ACK:
        ack_intr(s, val);
        break;
    default:
        log_guest(LOG_PCI, "edu write off=%#llx val=%#x", (unsigned long long)off, val);
    }
}

static void edu_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct edu *s = opaque;
    uint64_t *r = dma_reg(s, off);

    if (size != 4 && (size != 8 || off < WIDE_FROM)) {
        log_guest(LOG_PCI, "edu write off=%#llx size=%u", (unsigned long long)off, size);
    } else if (!r) {
        small_write(s, off, val);
    } else if (!(s->cmd & CMD_START)) {          /* nothing changes during a transfer */
        *r = val;
        if (off == R_DMA_CMD && (val & CMD_START))
            timer_mod(&s->transfer, due(s));
    }
}

static const struct io_ops edu_ops = { edu_read, edu_write, 1, 8 };

/* ---- life ----------------------------------------------------------------------------------- */

static void edu_config_written(struct pci_device *p, unsigned off, unsigned size)
{
    msi_written(&((struct edu *)p)->msi, off, size);
}

static int edu_init(struct device *d, struct err *e)
{
    struct edu *s = (struct edu *)d;
    static const struct pci_info info = { .vendor = 0x1234, .device = 0x11e8, .revision = 0x10,
                                          .class_code = 0x00ff00, .int_pin = 1 };
    int ret = pci_device_init(&s->pci, &info, e);

    if (ret < 0)
        return ret;
    s->mem = (struct mem_region){ .name = "edu", .len = BAR_BYTES, .kind = MEM_MMIO,
                                  .ops = &edu_ops, .opaque = s };
    pci_bar_mem(&s->pci, 0, 0, &s->mem);
    timer_init(&s->compute, &d->machine->timers, compute_done, s);
    timer_init(&s->transfer, &d->machine->timers, transfer_done, s);
    s->pci.config_written = edu_config_written;
    return msi_init(&s->msi, &s->pci, 1, e);
}

static void edu_reset(struct device *d)
{
    struct edu *s = (struct edu *)d;

    timer_del(&s->compute);
    timer_del(&s->transfer);
    s->live = s->factorial = s->status = s->intr = 0;
    s->src = s->dst = s->count = s->cmd = 0;
    memset(s->buffer, 0, sizeof s->buffer);
    msi_reset(&s->msi);
    pci_device_reset(&s->pci);
}

static void edu_destroy(struct device *d)
{
    struct edu *s = (struct edu *)d;

    if (!s->pci.bus)
        return;
    timer_del(&s->compute);
    timer_del(&s->transfer);
    pci_device_unplug(&s->pci);
}

static const struct dev_prop edu_props[] = {
    PROP(DEVFN, "addr", struct edu, addr, NULL, 0, 0, "PCI slot[.function]"),
    PROP(U64, "dma_mask", struct edu, dma_mask, "0xfffffff", 0, 0, "address bits that its DMA has"),
    PROP_END
};

static const struct dev_field edu_fields[] = {
    FIELD(BYTES, struct edu, pci.config), FIELD(U32, struct edu, live),
    FIELD(U32, struct edu, factorial), FIELD(U32, struct edu, status), FIELD(U32, struct edu, intr),
    FIELD(U64, struct edu, src), FIELD(U64, struct edu, dst), FIELD(U64, struct edu, count),
    FIELD(U64, struct edu, cmd), FIELD(BYTES, struct edu, buffer), FIELD_END
};

const struct device_type edu_type = {
    .name = "edu", .desc = "educational PCI device", .size = sizeof(struct edu),
    .init = edu_init, .reset = edu_reset, .destroy = edu_destroy, .fields = edu_fields,
    .props = edu_props,
};
