/*
 * net.c - ports, cables, queues
 */
#include <stdlib.h>
#include "net/net-int.h"

struct net_queued {
    struct net_queued *next;
    struct net_frame f;      /* data is behind the struct */
};

static void tell_sender(struct netport *p);

/* ---- life --------------------------------------------------------------------- */

struct net *net_new(struct loop *loop, struct timer_list *timers)
{
    struct net *n = xzalloc(sizeof *n);

    n->loop = loop;
    n->timers = timers;
    return n;
}

void net_free(struct net *n)
{
    if (!n)
        return;
    net_announce_end(n);
    while (n->ports)
        net_backend_del(n->ports);
    free(n);
}

struct netport *net_find(struct net *n, const char *id)
{
    struct netport *p = n->ports;

    while (p && strcmp(p->id, id))
        p = p->next;
    return p;
}

void netport_init(struct netport *p, struct net *n, const struct net_ops *ops, void *opaque,
                  const char *id)
{
    struct netport **last = &n->ports;

    memset(p, 0, sizeof *p);
    p->ops = ops;
    p->opaque = opaque;
    p->net = n;
    p->id = id ? xstrdup(id) : xasprintf("#net%u-%s", n->next_id++, ops->kind);
    p->tail = &p->head;
    while (*last)
        last = &(*last)->next;
    *last = p;
}

static void unplug(struct netport *p)
{
    struct netport *peer = p->peer;

    if (!peer)
        return;
    p->peer = peer->peer = NULL;
    if (peer->blocked && peer->ops->room) {
        peer->blocked = false;
        peer->ops->room(peer->opaque);
    }
    if (peer->ops->link)
        peer->ops->link(peer->opaque, false);
}

void netport_free(struct netport *p)
{
    struct netport **l;

    if (!p->net)
        return;
    for (l = &p->net->ports; *l && *l != p; l = &(*l)->next)
        ;
    if (*l)
        *l = p->next;
    if (p->net->forget)
        p->net->forget(p->net->arrive_opaque, p);
    unplug(p);
    net_purge(p);
    net_dump_free(p->dump);
    free(p->id);
    free(p->model);
    free(p->info);
    memset(p, 0, sizeof *p);
}

void net_backend_del(struct netport *p)
{
    if (p->ops->close)
        p->ops->close(p->opaque);   /* frees the port, and the owner */
    else
        netport_free(p);
}

void netport_info(struct netport *p, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    free(p->info);
    p->info = xstrdup(text);
}

int net_connect(struct netport *a, struct netport *b, struct err *e)
{
    struct netport *busy = b->peer ? b : a->peer ? a : NULL;

    if (busy)
        return err_set(e, -EBUSY, "netdev '%s' is in use by %s", busy->id,
                       busy->peer->model ? busy->peer->model : busy->peer->id);
    a->peer = b;
    b->peer = a;
    return 0;
}

bool net_link_up(const struct netport *p)
{
    return p->peer && !p->down && !p->peer->down;
}

void net_set_link(struct netport *p, bool up)
{
    bool before = net_link_up(p);

    p->down = !up;
    if (net_link_up(p) == before)
        return;
    log_ev(LOG_NET, "net id=%s link=%d", p->id, !before);
    if (p->ops->link)
        p->ops->link(p->opaque, !before);
    if (p->peer->ops->link)
        p->peer->ops->link(p->peer->opaque, !before);
}

/* ---- queues ---------------------------------------------------------------------- */

static void queue_put(struct netport *to, const struct net_frame *f)
{
    struct net_queued *q;

    if (to->n_queued >= NET_QUEUE_FRAMES || to->queued_bytes + f->len > NET_QUEUE_BYTES) {
        to->dropped++;
        return;
    }
    q = xmalloc(sizeof *q + f->len);
    q->f = *f;
    q->f.data = (uint8_t *)(q + 1);
    q->next = NULL;
    memcpy(q + 1, f->data, f->len);
    *to->tail = q;
    to->tail = &q->next;
    to->n_queued++;
    to->queued_bytes += f->len;
}

static struct net_queued *queue_take(struct netport *p)
{
    struct net_queued *q = p->head;

    if (!q)
        return NULL;
    p->head = q->next;
    if (!p->head)
        p->tail = &p->head;
    p->n_queued--;
    p->queued_bytes -= q->f.len;
    return q;
}

static void queue_back(struct netport *p, struct net_queued *q)
{
    q->next = p->head;
    if (!p->head)
        p->tail = &q->next;
    p->head = q;
    p->n_queued++;
    p->queued_bytes += q->f.len;
}

void net_purge(struct netport *p)
{
    struct net_queued *q;

    while ((q = queue_take(p)))
        free(q);
    tell_sender(p);
}

/* A receiver is held while it looks at a frame: what it sends in answer must not
 * come back to it in the middle. */
static bool offer(struct netport *to, const struct net_frame *f)
{
    bool taken;

    to->held++;
    taken = to->ops->receive(to->opaque, f);
    to->held--;
    if (taken)
        to->frames_in++;
    return taken;
}

static void tell_sender(struct netport *p)
{
    struct netport *from = p->peer;

    if (!from || !from->blocked || p->n_queued)
        return;
    from->blocked = false;
    if (from->ops->room)
        from->ops->room(from->opaque);
}

void net_flush(struct netport *p)
{
    struct net_queued *q;

    /* bounded, so that two ends cannot keep each other busy for ever */
    for (unsigned n = NET_QUEUE_FRAMES; n && !p->held && (q = queue_take(p)); n--) {
        if (!offer(p, &q->f)) {
            queue_back(p, q);
            return;
        }
        free(q);
    }
    if (!p->held)
        tell_sender(p);
}

void net_hold(struct netport *p)
{
    p->held++;
}

void net_release(struct netport *p)
{
    assert(p->held);
    if (--p->held == 0 && p->head)
        net_flush(p);
}

/* ---- sending ------------------------------------------------------------------------ */

static void deliver(struct netport *to, const struct net_frame *f)
{
    if (to->held || to->head || !offer(to, f))
        queue_put(to, f);
    else if (to->head && !to->held)  /* came while it was looking at this one */
        net_flush(to);
}

static void deliver_cb(void *opaque, const struct net_frame *f)
{
    deliver(opaque, f);
}

static uint32_t cap_of_gso(unsigned gso)
{
    static const uint8_t caps[] = { 0, NET_CAP_TSO4, NET_CAP_TSO6, NET_CAP_UFO };

    return gso < ARRAY_SIZE(caps) ? caps[gso] : 0;
}

/* The receiver wants checksums, and perhaps smaller pieces. */
static void complete(struct netport *to, const struct net_frame *f)
{
    struct net_frame done = *f;
    uint8_t *copy;

    if (f->off.gso && !(to->caps & NET_CAP_BIG)) {
        if (!net_segment(f, deliver_cb, to))
            log_guest(LOG_NET, "net: headers of a frame to be segmented make no sense");
        return;
    }
    copy = xmalloc(f->len);            /* bounded by NET_FRAME_MAX */
    memcpy(copy, f->data, f->len);
    if (net_finish_csum(copy, f->len, &f->off)) {
        done.data = copy;
        done.off = (struct net_offload){ .valid = true };
        deliver(to, &done);
    }
    free(copy);
}

static void dump(struct netport *p, const struct net_frame *f)
{
    if (p->dump)
        net_dump_frame(p->dump, f, true);
    if (p->peer && p->peer->dump)
        net_dump_frame(p->peer->dump, f, false);
}

void net_carry(struct netport *from, const struct net_frame *f)
{
    struct netport *to = from->peer;

    if (!net_link_up(from))
        return;
    if (f->off.gso ? (to->caps & cap_of_gso(f->off.gso)) != 0
                   : !f->off.csum || (to->caps & NET_CAP_CSUM))
        deliver(to, f);
    else
        complete(to, f);
}

bool net_send(struct netport *from, const struct net_frame *f)
{
    struct net *n = from->net;

    if (f->len < NET_ETH_HLEN || f->len > NET_FRAME_MAX)
        return true;
    from->frames_out++;
    if (unlikely(n && n->note))
        n->note(n->note_opaque, from, f->len);
    dump(from, f);
    if (!net_link_up(from))
        return true;
    if (n && n->arrive && !from->is_card && from->peer->is_card)
        n->arrive(n->arrive_opaque, from, f);
    else
        net_carry(from, f);
    return net_can_send(from);
}

bool net_can_send(struct netport *from)
{
    struct netport *to = from->peer;

    if (!to || to->n_queued < NET_QUEUE_FRAMES / 8)
        return true;
    from->blocked = true;
    return false;
}

/* ---- what ends tell each other ------------------------------------------------------------- */

void net_set_queues(struct netport *p, unsigned n)
{
    if (p->peer && p->peer->ops->set_queues)
        p->peer->ops->set_queues(p->peer->opaque, n);
}

void net_rx_filter_changed(struct netport *p)
{
    if (p->filter_told || !p->net->rx_filter_changed)
        return;
    p->filter_told = true;
    p->net->rx_filter_changed(p->net->rx_filter_opaque, p);
}

bool net_rx_filter(struct netport *p, struct net_rx_filter *f)
{
    if (!p->ops->rx_filter)
        return false;
    memset(f, 0, sizeof *f);
    p->ops->rx_filter(p->opaque, f);
    p->filter_told = false;
    return true;
}

/* ---- addresses ------------------------------------------------------------------------- */

int net_mac_parse(const char *s, uint8_t mac[6], struct err *e)
{
    unsigned b[6];
    int end = 0;

    if (sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
               &end) != 6 || s[end])
        return err_set(e, -EINVAL, "mac=%s: six hexadecimal bytes with colons are wanted", s);
    if (b[0] & 1)
        return err_set(e, -EINVAL, "mac=%s: a multicast address is nobody's own", s);
    for (int i = 0; i < 6; i++)
        mac[i] = b[i];
    return 0;
}

static const uint8_t first_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

void net_mac_taken(struct net *n, const uint8_t mac[6])
{
    if (!memcmp(mac, first_mac, 5))
        n->macs_taken[mac[5] / 8] |= 1u << mac[5] % 8;
}

void net_mac_next(struct net *n, uint8_t mac[6])
{
    memcpy(mac, first_mac, 6);
    for (unsigned i = 0; i < 256 && n->macs_taken[mac[5] / 8] >> mac[5] % 8 & 1; i++)
        mac[5]++;
    net_mac_taken(n, mac);
}
