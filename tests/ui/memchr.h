/*
 * memchr.h - a back end of memory with the head that ui/ gives its own
 */
#ifndef TESTS_UI_MEMCHR_H
#define TESTS_UI_MEMCHR_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include "ui/chardev-int.h"

struct memback {
    struct chr chr;
    char out[65536];
    int n_out, room, polled;
    bool *closed;
};

static inline int memback_write(struct chardev *c, const uint8_t *buf, int len)
{
    struct memback *b = (struct memback *)c;

    len = MIN(len, MIN(b->room, (int)sizeof(b->out) - 1 - b->n_out));
    memcpy(b->out + b->n_out, buf, len);
    b->n_out += len;
    b->room -= len;
    return len;
}

static inline void memback_poll(struct chardev *c)
{
    ((struct memback *)c)->polled++;
}

static inline void memback_close(struct chardev *c)
{
    struct memback *b = (struct memback *)c;

    if (b->closed)
        *b->closed = true;
    free(b);
}

static inline struct memback *memback_new(void)
{
    struct memback *b = xzalloc(sizeof(*b));

    b->chr.c = (struct chardev){ .write = memback_write, .poll_input = memback_poll,
                                 .close = memback_close };
    b->chr.desc = "memory";
    b->room = 1 << 20;
    return b;
}

/* Type @s; what does not fit must be nothing. */
static inline void memback_type(struct memback *b, const char *s)
{
    struct chardev *c = &b->chr.c;

    for (; *s; s++) {
        cr_assert_gt(c->can_receive(c->front), 0);
        c->receive(c->front, (const uint8_t *)s, 1);
    }
}

static inline void memback_clear(struct memback *b)
{
    memset(b->out, 0, b->n_out);
    b->n_out = 0;
}

/** struct sink - a front end that remembers */
struct sink {
    char in[65536];
    int n_in, room, can_writes, events[3];
};

static inline int sink_can_receive(void *front)
{
    return ((struct sink *)front)->room;
}

static inline void sink_receive(void *front, const uint8_t *buf, int len)
{
    struct sink *s = front;

    cr_assert_leq(len, s->room);
    cr_assert_lt(s->n_in + len, (int)sizeof(s->in));
    memcpy(s->in + s->n_in, buf, len);
    s->n_in += len;
    s->room -= len;
}

static inline void sink_can_write(void *front)
{
    ((struct sink *)front)->can_writes++;
}

static inline void sink_event(void *front, int event)
{
    ((struct sink *)front)->events[event]++;
}

static inline void sink_attach(struct sink *s, struct chardev *c)
{
    memset(s, 0, sizeof(*s));
    s->room = 1 << 16;
    c->front = s;
    c->can_receive = sink_can_receive;
    c->receive = sink_receive;
    c->can_write = sink_can_write;
    c->event = sink_event;
}

#endif
