/*
 * isa_debug_exit.c - a port through which a test guest ends the emulator
 *
 * The exit code is odd, so that it cannot be taken for success.
 */
#include "hw/misc/isa_debug_exit.h"

static uint64_t debug_exit_read(void *opaque, uint64_t off, unsigned size)
{
    return 0;
}

static void debug_exit_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct device *d = opaque;

    machine_request_shutdown(d->machine, CAUSE_DEBUG_EXIT, (int)((uint32_t)val << 1 | 1));
}

const struct device_type isa_debug_exit_type = {
    .name = "isa-debug-exit", .desc = "exit port for test guests",
    .size = sizeof(struct device),
    .io = { .len = 4, .ops = { .read = debug_exit_read, .write = debug_exit_write,
                               .min_bytes = 1, .max_bytes = 4 } },
};

int isa_debug_exit_add(struct machine *m, uint16_t port, struct err *e)
{
    if (!machine_add_device(m, &isa_debug_exit_type, port, NULL, NULL, NULL, e))
        return -ENODEV;
    return 0;
}
