/*
 * debugcon.c - firmware debug console: a byte written is printed, a read
 * gives 0xe9, by which firmware knows that the port is there
 *
 * Output that the back end does not take is dropped: the port has no status
 * that could make the guest wait.
 */
#include "hw/char/debugcon.h"

#define DEBUGCON_PRESENT 0xe9

struct debugcon {
    struct device dev;
    struct chardev *chr;
};

static uint64_t debugcon_read(void *opaque, uint64_t off, unsigned size)
{
    return DEBUGCON_PRESENT;
}

static void debugcon_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct debugcon *dc = opaque;
    uint8_t byte = val;

    dc->chr->write(dc->chr, &byte, 1);
}

const struct device_type debugcon_type = {
    .name = "isa-debugcon", .desc = "firmware debug console",
    .size = sizeof(struct debugcon),
    .io = { .len = 1, .ops = { .read = debugcon_read, .write = debugcon_write,
                               .min_bytes = 1, .max_bytes = 1 } },
};

static void debugcon_setup(struct device *d, const void *arg)
{
    ((struct debugcon *)d)->chr = (struct chardev *)arg;
}

int debugcon_add(struct machine *m, uint16_t port, struct chardev *chr, struct err *e)
{
    if (!chr)
        return 0;
    if (!machine_add_device(m, &debugcon_type, port, NULL, debugcon_setup, chr, e))
        return -ENODEV;
    return 0;
}
