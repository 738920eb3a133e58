/*
 * gdb.c - the gdb stub's connection: bytes in, packets out, who comes and goes
 *
 * The stub works on the main thread. While the machine runs it reads only what
 * interrupts; anything else stops the machine first and waits in the buffer.
 */
#include <stdlib.h>
#include "ui/gdb-int.h"

#define BACKLOG_MAX (256 * 1024) /* a peer that does not read loses what is beyond */

/* ---- sending ----------------------------------------------------------------------------- */

static void flush(struct gdb *g)
{
    size_t done = 0;

    while (done < g->tx_len) {
        int n = g->chr->write(g->chr, (uint8_t *)g->tx + done, (int)MIN(g->tx_len - done, 65536));

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    done = MIN(done, g->tx_len);           /* the peer may have gone meanwhile: forget_peer() */
    g->tx_len -= done;
    memmove(g->tx, g->tx + done, g->tx_len);
}

static void send_bytes(struct gdb *g, const char *s, size_t n)
{
    if (!g->connected || g->tx_len + n > BACKLOG_MAX)
        return;
    if (g->tx_len + n > g->tx_size) {
        g->tx_size = g->tx_len + n;
        g->tx = xrealloc(g->tx, g->tx_size);
    }
    memcpy(g->tx + g->tx_len, s, n);
    g->tx_len += n;
    flush(g);
}

void gdb_put(struct gdb *g)
{
    struct gdb_out *o = &g->out;
    uint8_t sum = 0;
    char tail[4];

    if (o->full)
        gdb_error(g, GDB_E2BIG);
    for (unsigned i = 0; i < o->len; i++)
        sum += (uint8_t)o->buf[i];
    snprintf(tail, sizeof(tail), "#%02x", sum);
    g->last[0] = '$';
    memcpy(g->last + 1, o->buf, o->len);
    memcpy(g->last + 1 + o->len, tail, 3);
    g->last_len = o->len + 4u;
    o->len = 0;
    send_bytes(g, g->last, g->last_len);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static bool is_running(const struct gdb *g)
{
    return g->going || g->m->run_state == RUN_RUNNING;
}

static void acknowledge(struct gdb *g, bool good)
{
    if (!g->no_ack)
        send_bytes(g, good ? "+" : "-", 1);
}

static void take_byte(struct gdb *g, uint8_t b)
{
    switch (gdb_rx_byte(&g->rx, b)) {
    case RX_PACKET:
        acknowledge(g, true);
        if (g->connected)
            gdb_packet(g);
        break;
    case RX_BAD_SUM:
        acknowledge(g, false);
        break;
    case RX_TOO_LONG:
        acknowledge(g, true);
        gdb_error(g, GDB_E2BIG);
        gdb_put(g);
        break;
    case RX_NAK:
        if (!g->no_ack)
            send_bytes(g, g->last, g->last_len);
        break;
    case RX_INTERRUPT:       /* it stands still already */
    case RX_MORE:
        break;
    }
}

/* While the machine runs: false: what comes must wait until it stands still. */
static bool take_running(struct gdb *g, uint8_t b)
{
    if (b == '$') {
        g->hooks.stop(g->hooks.opaque);
        return false;
    }
    if (b == 3)
        g->hooks.stop(g->hooks.opaque);
    return true;
}

static void process(struct gdb *g)
{
    unsigned i = 0;

    while (i < g->n_in && g->connected) {
        if (is_running(g) && !take_running(g, g->in[i]))
            break;
        if (!is_running(g))
            take_byte(g, g->in[i]);
        i++;
    }
    i = MIN(i, g->n_in);                   /* likewise */
    g->n_in -= i;
    memmove(g->in, g->in + i, g->n_in);
}

/* ---- front end of the character device ----------------------------------------------------------- */

/* Who does not read our replies is not asked for more. */
static int gdb_can_receive(void *front)
{
    struct gdb *g = front;

    return g->tx_len ? 0 : (int)(GDB_INPUT - g->n_in);
}

static void gdb_receive(void *front, const uint8_t *buf, int len)
{
    struct gdb *g = front;
    unsigned n = MIN((unsigned)len, GDB_INPUT - g->n_in);

    memcpy(g->in + g->n_in, buf, n);
    g->n_in += n;
    g->connected = true;
    process(g);
}

static void gdb_can_write(void *front)
{
    struct gdb *g = front;

    flush(g);
    if (!g->tx_len)
        g->chr->poll_input(g->chr);
}

/* What one connection has set does not outlive it. */
static void forget_peer(struct gdb *g)
{
    g->connected = g->no_ack = g->multiprocess = g->swbreak = g->hwbreak = g->exec_events = false;
    g->waiting = g->told_exec = g->phys_mem = false;
    g->follow = true;
    g->sstep = SSTEP_ALL;
    g->cpu = 0;
    g->cont_cpu = -1;
    g->n_in = 0;
    g->tx_len = 0;
    g->last_len = 0;
    g->rx.state = RX_IDLE;
    gdb_points_clear(g);
}

static void gdb_event(void *front, int event)
{
    struct gdb *g = front;

    if (event == CHR_EVENT_OPENED) {
        forget_peer(g);
        g->connected = true;
        g->hooks.stop(g->hooks.opaque);
    } else if (event == CHR_EVENT_CLOSED) {
        forget_peer(g);
        if (is_running(g) && g->points_changed)
            g->hooks.stop(g->hooks.opaque);  /* to take the breakpoints out */
        else
            gdb_points_apply(g);
    }
}

void gdb_stopped(struct gdb *g)
{
    bool left = !g->connected && g->points_changed && g->m->run_state == RUN_PAUSED;

    gdb_note_stop(g);
    if (left) {
        gdb_go_all(g, GO_RUN);
        gdb_go(g);
        return;
    }
    process(g);
    g->chr->poll_input(g->chr);
}

void gdb_exited(struct gdb *g, int code)
{
    if (!g->connected)
        return;
    g->out.len = 0;
    out_fmt(&g->out, "W%02x", code & 0xff);
    gdb_put(g);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

struct gdb *gdb_new(struct machine *m, struct accel *accel, struct chardev *chr,
                    const struct gdb_hooks *hooks, struct err *e)
{
    struct gdb *g;

    if (m->n_vcpus > GDB_CPUS) {
        err_set(e, -ENOTSUP, "this accelerator cannot be debugged");
        return NULL;
    }
    g = xzalloc(sizeof(*g));
    g->m = m;
    g->accel = accel;
    g->chr = chr;
    g->hooks = *hooks;
    g->n_cpus = m->n_vcpus;
    g->last = xmalloc(GDB_PACKET + 4);
    g->last_stop.signal = 5;              /* SIGTRAP, until something happens */
    forget_peer(g);
    gdb_use_arch(g, gdb_arch_now(gdb_cpu(g)));
    chr->can_receive = gdb_can_receive;
    chr->receive = gdb_receive;
    chr->can_write = gdb_can_write;
    chr->event = gdb_event;
    chr->front = g;
    chr->poll_input(chr);
    return g;
}

void gdb_free(struct gdb *g)
{
    if (!g)
        return;
    g->chr->can_receive = NULL;
    g->chr->receive = NULL;
    g->chr->can_write = NULL;
    g->chr->event = NULL;
    gdb_regs_free(&g->regs);
    free(g->xfer);
    free(g->last);
    free(g->tx);
    free(g);
}
