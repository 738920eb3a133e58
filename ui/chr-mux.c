/*
 * chr-mux.c - one back end for several front ends, with the Ctrl-A keys
 *
 * Output of all ports goes out; input goes to the port in focus. Each port
 * keeps what its front end cannot take yet, so that Ctrl-A works although
 * the guest does not read.
 */
#include <stdlib.h>
#include "ui/chardev-int.h"

#define MUX_PORTS 4
#define MUX_RING 1024   /* bytes a port keeps; power of two */
#define ESCAPE 0x01     /* Ctrl-A */

struct mux_port {
    struct chr chr;
    uint8_t ring[MUX_RING];
    unsigned head, count;
};

struct mux {
    struct chardev *back;
    struct mux_port *ports[MUX_PORTS];
    unsigned n_ports, focus;
    bool escaped;       /* Ctrl-A was the last key */
    bool stamps, line_start;
    int64_t epoch_ns;
    void (*quit)(void *opaque);
    void *quit_opaque;
};

static void mux_puts(struct mux *x, const char *s)
{
    x->back->write(x->back, (const uint8_t *)s, strlen(s));
}

/* ---- output ------------------------------------------------------------------ */

static void mux_stamp(struct mux *x)
{
    int64_t ms = (host_monotonic_ns() - x->epoch_ns) / 1000000;
    char text[32];

    snprintf(text, sizeof(text), "[%02d:%02d:%02d.%03d] ", (int)(ms / 3600000 % 100),
             (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), (int)(ms % 1000));
    mux_puts(x, text);
}

static int mux_port_write(struct chardev *c, const uint8_t *buf, int len)
{
    struct mux *x = ((struct chr *)c)->mux;
    int done = 0;

    if (!x->stamps)
        return x->back->write(x->back, buf, len);
    while (done < len) {
        if (x->line_start)
            mux_stamp(x);
        x->line_start = false;
        if (x->back->write(x->back, buf + done, 1) != 1)
            break;
        x->line_start = buf[done++] == '\n';
    }
    return done;
}

static void mux_can_write(void *front)
{
    struct mux *x = front;

    for (unsigned i = 0; i < x->n_ports; i++) {
        struct chardev *c = &x->ports[i]->chr.c;

        if (c->can_write)
            c->can_write(c->front);
    }
}

/* ---- input ---------------------------------------------------------------------- */

static void mux_port_drain(struct mux_port *p)
{
    struct chardev *c = &p->chr.c;

    while (p->count && c->can_receive) {
        int run = MIN(p->count, MUX_RING - p->head);
        int n = MIN(run, c->can_receive(c->front));
        uint8_t part[64];

        if (n <= 0)
            return;
        n = MIN(n, (int)sizeof(part));
        memcpy(part, &p->ring[p->head], n);
        p->head = (p->head + n) % MUX_RING;
        p->count -= n;
        c->receive(c->front, part, n); /* may call us again */
    }
}

static void mux_port_poll_input(struct chardev *c)
{
    struct mux_port *p = (struct mux_port *)c;
    bool was_full = p->count == MUX_RING;

    mux_port_drain(p);
    if (was_full && p->count < MUX_RING)
        p->chr.mux->back->poll_input(p->chr.mux->back);
}

static void mux_help(struct mux *x)
{
    mux_puts(x, "\r\nC-a h   show this help\r\n"
                "C-a x   quit\r\n"
                "C-a s   save disk changes (with -snapshot)\r\n"
                "C-a t   time stamps on output, on or off\r\n"
                "C-a b   send a break\r\n"
                "C-a c   switch between console and monitor\r\n"
                "C-a C-a send C-a\r\n");
}

static void mux_set_focus(struct mux *x, unsigned n)
{
    if (n == x->focus)
        return;
    x->focus = n;
    chr_event(&x->ports[n]->chr.c, CHR_EVENT_OPENED);
}

static void mux_key(struct mux *x, uint8_t key)
{
    switch (key) {
    case 'h': case '?':
        mux_help(x);
        break;
    case 'x':
        if (x->quit)
            x->quit(x->quit_opaque);
        break;
    case 's':
        mux_puts(x, "\r\nno disk with changes to save\r\n");
        break;
    case 't':
        x->stamps = !x->stamps;
        x->line_start = true;
        x->epoch_ns = host_monotonic_ns();
        break;
    case 'b':
        chr_event(&x->ports[x->focus]->chr.c, CHR_EVENT_BREAK);
        break;
    case 'c':
        mux_set_focus(x, (x->focus + 1) % x->n_ports);
        break;
    }
}

static void mux_byte(struct mux *x, uint8_t byte)
{
    struct mux_port *p = x->ports[x->focus];
    bool literal = x->escaped && byte == ESCAPE;

    if (x->escaped && !literal) {
        x->escaped = false;
        mux_key(x, byte);
        return;
    }
    x->escaped = byte == ESCAPE && !literal;
    if (!x->escaped && p->count < MUX_RING)
        p->ring[(p->head + p->count++) % MUX_RING] = byte;
}

/* A full port that is not in focus must not keep keys from the one that is. */
static int mux_can_receive(void *front)
{
    struct mux *x = front;

    return MUX_RING - x->ports[x->focus]->count;
}

static void mux_receive(void *front, const uint8_t *buf, int len)
{
    struct mux *x = front;

    for (int i = 0; i < len; i++) {
        mux_byte(x, buf[i]);
        mux_port_drain(x->ports[x->focus]);
    }
}

static void mux_event(void *front, int event)
{
    struct mux *x = front;

    if (event != CHR_EVENT_CLOSED) {
        chr_event(&x->ports[x->focus]->chr.c, event);
        return;
    }
    for (unsigned i = 0; i < x->n_ports; i++)
        chr_event(&x->ports[i]->chr.c, event);
}

/* ---- ports ------------------------------------------------------------------------- */

static void mux_port_flush(struct chr *c)
{
    chardev_flush(c->mux->back);
}

static bool mux_port_is_open(const struct chr *c)
{
    return chardev_is_open(c->mux->back);
}

static void mux_port_close(struct chardev *c)
{
    struct mux_port *p = (struct mux_port *)c;
    struct mux *x = p->chr.mux;
    unsigned i;

    for (i = 0; x->ports[i] != p; i++)
        ;
    x->ports[i] = x->ports[--x->n_ports];
    x->focus = x->focus < x->n_ports ? x->focus : 0;
    if (!x->n_ports) {
        chardev_free(x->back);
        free(x);
    }
    chr_head_free(&p->chr);
}

static struct chardev *mux_port_new(struct mux *x, const char *label)
{
    struct mux_port *p = xzalloc(sizeof(*p));

    p->chr.c = (struct chardev){ .write = mux_port_write, .poll_input = mux_port_poll_input,
                                 .close = mux_port_close };
    p->chr.c.label = p->chr.label = xstrdup(label);
    p->chr.desc = xasprintf("mux:%s", chardev_desc(x->back));
    p->chr.flush = mux_port_flush;
    p->chr.is_open = mux_port_is_open;
    p->chr.mux = x;
    x->ports[x->n_ports++] = p;
    return &p->chr.c;
}

struct chardev *chardev_mux_new(struct chardev *backend, const char *label)
{
    struct mux *x = xzalloc(sizeof(*x));

    x->back = backend;
    backend->can_receive = mux_can_receive;
    backend->receive = mux_receive;
    backend->can_write = mux_can_write;
    backend->event = mux_event;
    backend->front = x;
    return mux_port_new(x, label);
}

struct chardev *chardev_mux_add(struct chardev *port, const char *label)
{
    struct mux *x = ((struct chr *)port)->mux;

    return x && x->n_ports < MUX_PORTS ? mux_port_new(x, label) : NULL;
}

bool chardev_has_focus(const struct chardev *c)
{
    const struct chr *h = (const struct chr *)c;

    return !h->mux || &h->mux->ports[h->mux->focus]->chr == h;
}

void chardev_mux_on_quit(struct chardev *port, void (*quit)(void *opaque), void *opaque)
{
    struct mux *x = ((struct chr *)port)->mux;

    if (!x)
        return;
    x->quit = quit;
    x->quit_opaque = opaque;
}
