/*
 * stepped.h - a machine with a stepped clock, one watched interrupt line and a
 * character back end of memory, for chip tests
 */
#ifndef TESTS_HW_STEPPED_H
#define TESTS_HW_STEPPED_H

#include <criterion/criterion.h>
#include "hw/hw.h"

struct memchar {
    struct chardev c;
    char out[4096];
    int n_out;
    int room;           /* bytes write() still takes */
    const char *in;     /* what poll_input delivers */
};

static inline int memchar_write(struct chardev *c, const uint8_t *buf, int len)
{
    struct memchar *mc = (struct memchar *)c;

    len = MIN(len, MIN(mc->room, (int)sizeof(mc->out) - 1 - mc->n_out));
    memcpy(mc->out + mc->n_out, buf, len);
    mc->n_out += len;
    mc->room -= len;
    return len;
}

static inline void memchar_poll(struct chardev *c)
{
    struct memchar *mc = (struct memchar *)c;
    int n;

    if (!mc->in)
        return;
    n = MIN((int)strlen(mc->in), c->can_receive(c->front));
    mc->in += n;
    if (n)
        c->receive(c->front, (const uint8_t *)mc->in - n, n);
}

static inline void memchar_init(struct memchar *mc)
{
    *mc = (struct memchar){ .c = { .write = memchar_write, .poll_input = memchar_poll },
                            .room = 1 << 20 };
}

static inline void watch_line(void *opaque, int n, int level)
{
    ((int *)opaque)[n] = level;
}

static inline struct machine *stepped_machine(void)
{
    struct machine_config cfg = { .ram_bytes = MiB };
    struct err e = { "" };
    struct machine *m = machine_new(&cfg, &e);

    cr_assert_not_null(m, "%s", e.msg);
    clock_init_stepped(&m->clock);
    return m;
}

static inline uint8_t inb(struct machine *m, uint16_t port)
{
    return port_read(m, port, 1);
}

static inline void outb(struct machine *m, uint16_t port, uint8_t val)
{
    port_write(m, port, val, 1);
}

#endif
