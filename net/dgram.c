/*
 * dgram.c - one frame a datagram: "dgram", and "socket" with mcast= or udp=
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include "net/sock.h"

#define FRAMES_A_TURN 256

struct dgram {
    struct netport port;
    struct sock_addr local, remote;
    int fd;
    bool paused, connected;  /* connected: fd= from outside, which knows where to */
    uint8_t buf[NET_FRAME_MAX];
};

static void dgram_ready(void *opaque, int fd, short revents)
{
    struct dgram *d = opaque;

    for (int i = 0; i < FRAMES_A_TURN && !d->paused; i++) {
        ssize_t n = recv(fd, d->buf, sizeof d->buf, MSG_DONTWAIT | MSG_TRUNC);
        struct net_frame f = { .data = d->buf, .len = n };

        if (n < 0)
            break;
        if ((size_t)n > sizeof d->buf || n < (ssize_t)NET_ETH_HLEN)
            continue;
        if (!net_send(&d->port, &f)) {
            d->paused = true;
            loop_add_fd(d->port.net->loop, fd, 0, dgram_ready, d);
        }
    }
}

static void dgram_room(void *opaque)
{
    struct dgram *d = opaque;

    d->paused = false;
    loop_add_fd(d->port.net->loop, d->fd, POLLIN, dgram_ready, d);
}

static bool dgram_receive(void *opaque, const struct net_frame *f)
{
    struct dgram *d = opaque;

    /* a full socket loses frames, as a network does */
    if (d->remote.len || d->connected)
        sendto(d->fd, f->data, f->len, MSG_DONTWAIT | MSG_NOSIGNAL,
               d->remote.len ? (struct sockaddr *)&d->remote.sa : NULL, d->remote.len);
    return true;
}

static void dgram_close(void *opaque)
{
    struct dgram *d = opaque;

    if (d->fd >= 0) {
        loop_del_fd(d->port.net->loop, d->fd);
        close(d->fd);
        sock_unlink(&d->local);
    }
    netport_free(&d->port);
    free(d);
}

static const struct net_ops dgram_ops = {
    .kind = "dgram", .receive = dgram_receive, .room = dgram_room, .close = dgram_close,
};

/* Everybody on this host and in the group shares port and cable. */
static int join(struct dgram *d, const char *localaddr, struct err *e)
{
    struct sockaddr_in *group = (struct sockaddr_in *)&d->remote.sa;
    struct ip_mreq req = { .imr_multiaddr = group->sin_addr };
    int one = 1;

    if (group->sin_family != AF_INET || !IN_MULTICAST(ntohl(group->sin_addr.s_addr)))
        return err_set(e, -EINVAL, "mcast=%s: not a multicast address", d->remote.text);
    if (localaddr && !inet_aton(localaddr, &req.imr_interface))
        return err_set(e, -EINVAL, "localaddr=%s: an IPv4 address is wanted", localaddr);
    d->local = d->remote;
    d->fd = sock_bind(&d->local, SOCK_DGRAM, true, e);
    if (d->fd < 0)
        return d->fd;
    if (setsockopt(d->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &req, sizeof req) < 0 ||
        setsockopt(d->fd, IPPROTO_IP, IP_MULTICAST_LOOP, &one, sizeof one) < 0 ||
        (localaddr && setsockopt(d->fd, IPPROTO_IP, IP_MULTICAST_IF, &req.imr_interface,
                                 sizeof req.imr_interface) < 0))
        return err_set(e, -errno, "mcast=%s: %s", d->remote.text, strerror(errno));
    return 0;
}

static int dgram_open(struct dgram *d, struct net_props *ps, struct err *e)
{
    const char *mcast = props_get(ps, "mcast", NULL), *udp = props_get(ps, "udp", NULL);
    const char *local = props_get(ps, "localaddr", NULL);
    struct sockaddr_in *to = (struct sockaddr_in *)&d->remote.sa;
    int ret;

    if (mcast || udp)
        ret = sock_host_port(&d->remote, mcast ? mcast : udp, SOCK_DGRAM, false, e);
    else
        ret = props_get(ps, "remote.type", NULL) ? sock_props(&d->remote, ps, "remote", SOCK_DGRAM, false, e) : 0;
    if (ret < 0)
        return ret;
    if (mcast)
        return join(d, local, e);
    if (!udp && d->remote.len && to->sin_family == AF_INET &&
        IN_MULTICAST(ntohl(to->sin_addr.s_addr)))
        return join(d, NULL, e);
    if (udp && !local)
        return err_set(e, -EINVAL, "udp=%s: localaddr=HOST:PORT is needed too", udp);
    ret = udp ? sock_host_port(&d->local, local, SOCK_DGRAM, true, e)
              : sock_props(&d->local, ps, "local", SOCK_DGRAM, true, e);
    if (ret < 0)
        return ret;
    d->fd = sock_bind(&d->local, SOCK_DGRAM, false, e);
    return MIN(d->fd, 0);
}

static struct dgram *dgram_alloc(struct net *n, const char *id)
{
    struct dgram *d = xzalloc(sizeof *d);

    d->fd = -1;
    netport_init(&d->port, n, &dgram_ops, d, id);
    return d;
}

struct netport *net_dgram_fd(struct net *n, const char *id, int fd)
{
    struct dgram *d = dgram_alloc(n, id);

    d->fd = fd;
    d->connected = true;
    netport_info(&d->port, "fd=%d", fd);
    loop_add_fd(n->loop, fd, POLLIN, dgram_ready, d);
    return &d->port;
}

/* local.type=fd */
static struct netport *dgram_from(struct net *n, const char *id, const char *text, struct err *e)
{
    int type = 0, fd = text ? sock_fd(text, &type, e) : err_set(e, -EINVAL, "local.str=FD is missing");

    if (fd >= 0 && type == SOCK_DGRAM)
        return net_dgram_fd(n, id, fd);
    if (fd >= 0)
        err_set(e, -EINVAL, "fd=%s: not a datagram socket", text);
    return NULL;
}

struct netport *net_dgram_new(struct net *n, const char *id, struct net_props *ps, struct err *e)
{
    struct dgram *d;

    if (!strcmp(props_get(ps, "local.type", ""), "fd"))
        return dgram_from(n, id, props_get(ps, "local.str", NULL), e);
    d = dgram_alloc(n, id);
    if (dgram_open(d, ps, e) < 0) {
        dgram_close(d);
        return NULL;
    }
    netport_info(&d->port, "local=%s,remote=%s", d->local.text, d->remote.text);
    loop_add_fd(n->loop, d->fd, POLLIN, dgram_ready, d);
    return &d->port;
}
