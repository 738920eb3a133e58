/*
 * port92.c - system control port A: fast A20 gate and fast reset
 *
 * The 8042 can open and close A20 as well; whoever writes last wins, and reads
 * show how the gate stands.
 *
 * Source: PIIX3 data sheet, "Port 92h".
 */
#include "hw/misc/port92.h"

enum { PORT92_RESET = 0x01, PORT92_A20 = 0x02 };

#define A20_CLOSED (~(1ull << 20))

struct port92 {
    struct device dev;
    uint8_t latch;       /* as written; A20 is in the memory map */
};

static bool a20_open(const struct machine *m)
{
    return m->mem.a20_mask == ~0ull;
}

static void a20_set(struct machine *m, bool open)
{
    if (open == a20_open(m))
        return;
    m->mem.a20_mask = open ? ~0ull : A20_CLOSED;
    mem_update(&m->mem);
}

static uint64_t port92_read(void *op, uint64_t off, unsigned size)
{
    struct port92 *p = op;

    return (p->latch & ~PORT92_A20) | (a20_open(p->dev.machine) ? PORT92_A20 : 0);
}

static void port92_write(void *op, uint64_t off, uint64_t val, unsigned size)
{
    struct port92 *p = op;
    bool pulse = (val & PORT92_RESET) && !(p->latch & PORT92_RESET);

    p->latch = val;
    a20_set(p->dev.machine, val & PORT92_A20);
    if (pulse) /* the bit acts when it goes from 0 to 1 */
        machine_request_reset(p->dev.machine, CAUSE_GUEST_RESET);
}

static const struct io_ops port92_ops = { port92_read, port92_write, 1, 1 };

/* The CPU starts at the top of memory, which a closed gate would hide. */
static void port92_reset(struct device *d)
{
    container_of(d, struct port92, dev)->latch = 0;
    a20_set(d->machine, true);
}

static int port92_init(struct device *d, struct err *e)
{
    port_map(d->machine, "port92", 0x92, 1, &port92_ops, d);
    port92_reset(d);
    return 0;
}

static const struct dev_field port92_fields[] = {
    FIELD(U8, struct port92, latch),
    FIELD_END,
};

const struct device_type port92_type = {
    .name = "port92", .desc = "fast A20 and reset",
    .size = sizeof(struct port92), .init = port92_init, .reset = port92_reset,
    .fields = port92_fields,
};
