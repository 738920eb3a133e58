/*
 * hub.c - hubport: ports of one number see each other's frames; null: a cable
 * that ends in the air
 */
#include <stdlib.h>
#include "net/net-int.h"

struct hubport {
    struct netport port;
    long hub;
};

static bool hub_receive(void *opaque, const struct net_frame *f);

static void hub_close(void *opaque)
{
    struct hubport *h = opaque;

    netport_free(&h->port);
    free(h);
}

static const struct net_ops hub_ops = {
    .kind = "hubport", .receive = hub_receive, .close = hub_close,
};

/* Senders see an endless hub: a slow port loses frames, it does not stop others. */
static bool hub_receive(void *opaque, const struct net_frame *f)
{
    struct hubport *h = opaque;

    for (struct netport *p = h->port.net->ports; p; p = p->next) {
        struct hubport *other = p->opaque;

        if (p->ops == &hub_ops && other != h && other->hub == h->hub)
            net_send(p, f);
    }
    return true;
}

struct netport *net_hubport_new(struct net *n, const char *id, struct net_props *ps,
                                struct err *e)
{
    const char *dev = props_get(ps, "netdev", NULL);
    struct netport *behind = dev ? net_find(n, dev) : NULL;
    struct hubport *h = xzalloc(sizeof *h);

    netport_init(&h->port, n, &hub_ops, h, id);
    h->port.caps = NET_CAP_CSUM | NET_CAP_TSO4 | NET_CAP_TSO6 | NET_CAP_UFO | NET_CAP_BIG;
    if (props_number(ps, "hubid", INT32_MAX, -1, &h->hub, e) < 0)
        goto fail;
    if (h->hub < 0) {
        err_set(e, -EINVAL, "hubport: hubid= is missing");
        goto fail;
    }
    if (dev && !behind) {
        err_set(e, -ENOENT, "hubport: there is no netdev '%s'", dev);
        goto fail;
    }
    if (behind && net_connect(&h->port, behind, e) < 0)
        goto fail;
    netport_info(&h->port, "hub=%ld", h->hub);
    return &h->port;
fail:
    hub_close(h);
    return NULL;
}

static bool null_receive(void *opaque, const struct net_frame *f)
{
    return true;
}

static void null_close(void *opaque)
{
    netport_free(opaque);
    free(opaque);
}

static const struct net_ops null_ops = {
    .kind = "null", .receive = null_receive, .close = null_close,
};

struct netport *net_null_new(struct net *n, const char *id, struct net_props *ps, struct err *e)
{
    struct netport *p = xzalloc(sizeof *p);

    netport_init(p, n, &null_ops, p, id);
    p->caps = NET_CAP_CSUM | NET_CAP_TSO4 | NET_CAP_TSO6 | NET_CAP_UFO;
    return p;
}
