/*
 * pc_testdev.c - ports through which test guests reach what they test
 *
 *   0x0e0  4 ports   hold what was written to them
 *   0x0e4  4 ports   guest linear page to be dropped by the host; nothing to do,
 *                    as RAM never leaves the map here
 *   0x0e8  4 ports   the same bytes as 0xe0, one port at a time
 *   0x2000 24 ports  level of the interrupt line of that number
 *   0xff000000       64 KiB that hold what was written, as a device's registers
 */
#include "hw/intc/intc.h"
#include "hw/misc/pc_testdev.h"

enum { PORT_DATA = 0xe0, PORT_FLUSH = 0xe4, PORT_BYTES = 0xe8, PORT_LINES = 0x2000 };
#define WINDOW_AT  0xff000000u
#define WINDOW_LEN 0x10000u

struct pc_testdev {
    struct device dev;
    uint8_t data[4];
    uint8_t window[WINDOW_LEN];
    struct mem_region region;
};

static uint64_t load(const uint8_t *p, unsigned size)
{
    uint64_t v = 0;

    memcpy(&v, p, size);
    return v;
}

static uint64_t data_read(void *opaque, uint64_t off, unsigned size)
{
    return load(((struct pc_testdev *)opaque)->data + off, size);
}

static void data_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    memcpy(((struct pc_testdev *)opaque)->data + off, &val, size);
}

static uint64_t flush_read(void *opaque, uint64_t off, unsigned size)
{
    return 0;
}

static void flush_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
}

static uint64_t lines_read(void *opaque, uint64_t off, unsigned size)
{
    return 0;
}

/* Lines above the ISA bus's exist only at the I/O APIC. */
static void lines_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct machine *m = ((struct device *)opaque)->machine;

    if (machine_irq(m, off))
        irq_set(machine_irq(m, off), val & 1);
    else
        ioapic_set_irq(m->ioapic, off, val & 1);
}

static uint64_t window_read(void *opaque, uint64_t off, unsigned size)
{
    return load(((struct pc_testdev *)opaque)->window + off, size);
}

static void window_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    memcpy(((struct pc_testdev *)opaque)->window + off, &val, size);
}

static const struct io_ops data_ops = { data_read, data_write, 1, 4 };
static const struct io_ops flush_ops = { flush_read, flush_write, 4, 4 };
static const struct io_ops bytes_ops = { data_read, data_write, 1, 1 };
static const struct io_ops lines_ops = { lines_read, lines_write, 1, 1 };
static const struct io_ops window_ops = { window_read, window_write, 1, 8 };

static int pc_testdev_init(struct device *d, struct err *e)
{
    struct pc_testdev *t = (struct pc_testdev *)d;

    port_map(d->machine, "pc-testdev-data", PORT_DATA, 4, &data_ops, t);
    port_map(d->machine, "pc-testdev-flush", PORT_FLUSH, 4, &flush_ops, t);
    port_map(d->machine, "pc-testdev-bytes", PORT_BYTES, 4, &bytes_ops, t);
    port_map(d->machine, "pc-testdev-lines", PORT_LINES, IOAPIC_PINS, &lines_ops, t);
    t->region = (struct mem_region){
        .name = "pc-testdev", .base = WINDOW_AT, .len = WINDOW_LEN, .kind = MEM_MMIO,
        .prio = 2, .enabled = true, .ops = &window_ops, .opaque = t,
    };
    mem_add(&d->machine->mem, &t->region);
    return 0;
}

static void pc_testdev_destroy(struct device *d)
{
    mem_remove(&d->machine->mem, &((struct pc_testdev *)d)->region);
}

static const struct dev_field pc_testdev_fields[] = {
    FIELD(BYTES, struct pc_testdev, data),
    FIELD(BYTES, struct pc_testdev, window),
    FIELD_END
};

const struct device_type pc_testdev_type = {
    .name = "pc-testdev", .desc = "ports that test guests use", .size = sizeof(struct pc_testdev),
    .init = pc_testdev_init, .destroy = pc_testdev_destroy, .fields = pc_testdev_fields,
};

int pc_testdev_add(struct machine *m, struct err *e)
{
    return machine_add_device(m, &pc_testdev_type, 0, NULL, NULL, NULL, e) ? 0 : -ENODEV;
}
