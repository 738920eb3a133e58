/*
 * user.c - user networking: a TCP/IP stack (libslirp) that speaks to the guest
 * as a router does and to the world through ordinary sockets
 *
 * libslirp wants to be asked which descriptors it waits for whenever something
 * happened, and the set changes with every connection. So its descriptors live
 * in an epoll set of our own, and the event loop sees one descriptor. What the
 * guest sends may change the set: then the loop is told through an eventfd, once,
 * and the set is brought up to date there.
 */
#ifdef CONFIG_SLIRP
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "net/user-int.h"

#define NS_PER_MS 1000000ll

/* ---- descriptors ----------------------------------------------------------------- */

static int add_poll(int fd, int events, void *opaque)
{
    struct user *u = opaque;

    if (u->n_fds == u->cap_fds) {
        u->cap_fds = u->cap_fds * 2 + 16;
        u->fds = xrealloc(u->fds, u->cap_fds * sizeof *u->fds);
    }
    u->fds[u->n_fds] = (struct pollfd){ .fd = fd };
    if (events & SLIRP_POLL_IN)
        u->fds[u->n_fds].events |= POLLIN;
    if (events & SLIRP_POLL_OUT)
        u->fds[u->n_fds].events |= POLLOUT;
    if (events & SLIRP_POLL_PRI)
        u->fds[u->n_fds].events |= POLLPRI;
    return u->n_fds++;
}

static int get_revents(int i, void *opaque)
{
    struct user *u = opaque;
    short r = i >= 0 && (unsigned)i < u->n_fds ? u->fds[i].revents : 0;

    return (r & POLLIN ? SLIRP_POLL_IN : 0) | (r & POLLOUT ? SLIRP_POLL_OUT : 0) |
           (r & POLLPRI ? SLIRP_POLL_PRI : 0) | (r & POLLERR ? SLIRP_POLL_ERR : 0) |
           (r & POLLHUP ? SLIRP_POLL_HUP : 0);
}

/* @fd was opened or is about to be closed: what we know of that number is void. */
static void forget_fd(int fd, void *opaque)
{
    struct user *u = opaque;

    if (fd < 0 || (unsigned)fd >= u->n_known || !u->known[fd].events)
        return;
    u->known[fd].events = 0;
    epoll_ctl(u->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void want_fd(struct user *u, const struct pollfd *p)
{
    struct epoll_event ev = { .data.fd = p->fd };

    if ((unsigned)p->fd >= u->n_known) {
        unsigned n = p->fd + 64;

        u->known = xrealloc(u->known, n * sizeof *u->known);
        memset(u->known + u->n_known, 0, (n - u->n_known) * sizeof *u->known);
        u->n_known = n;
    }
    u->known[p->fd].round = u->round;
    if (u->known[p->fd].events == (p->events | USER_KNOWN))
        return;
    ev.events = (p->events & POLLIN ? EPOLLIN : 0) | (p->events & POLLOUT ? EPOLLOUT : 0) |
                (p->events & POLLPRI ? EPOLLPRI : 0);
    u->known[p->fd].events = p->events | USER_KNOWN;
    if (epoll_ctl(u->epoll_fd, EPOLL_CTL_MOD, p->fd, &ev) < 0 && errno == ENOENT)
        epoll_ctl(u->epoll_fd, EPOLL_CTL_ADD, p->fd, &ev);
}

/* Ask libslirp anew what it waits for, and how long. */
static void refill(struct user *u)
{
    uint32_t timeout_ms = UINT32_MAX;

    u->n_fds = 0;
    u->round++;
    slirp_pollfds_fill(u->slirp, &timeout_ms, add_poll, u);
    for (unsigned i = 0; i < u->n_fds; i++)
        want_fd(u, &u->fds[i]);
    for (unsigned fd = 0; fd < u->n_known; fd++)
        if (u->known[fd].events && u->known[fd].round != u->round)
            forget_fd(fd, u);
    if (timeout_ms == UINT32_MAX)
        timer_del(&u->timer);
    else
        timer_mod(&u->timer, clock_now_ns(u->port.net->timers->clock) +
                             MAX(timeout_ms, 1u) * NS_PER_MS);
}

static void service(void *opaque)
{
    struct user *u = opaque;

    u->dirty = false;
    net_hold(&u->port);
    if (u->n_fds)
        poll(u->fds, u->n_fds, 0);
    slirp_pollfds_poll(u->slirp, 0, get_revents, u);
    net_release(&u->port);
    if (u->fwds)
        user_fwd_resume(u);
    refill(u);
}

static void on_epoll(void *opaque, int fd, short revents)
{
    service(opaque);
}

static void on_kick(void *opaque, int fd, short revents)
{
    uint64_t count;

    if (read(fd, &count, sizeof count) == sizeof count)
        service(opaque);
}

static void kick(struct user *u)
{
    uint64_t one = 1;

    if (u->dirty)
        return;
    u->dirty = true;
    if (write(u->kick_fd, &one, sizeof one) < 0) {
        /* full: a kick is pending */
    }
}

/* ---- what libslirp calls ------------------------------------------------------------- */

static ssize_t send_packet(const void *buf, size_t len, void *opaque)
{
    struct user *u = opaque;
    struct net_frame f = { .data = buf, .len = len };

    net_send(&u->port, &f);
    return len;
}

static void guest_error(const char *msg, void *opaque)
{
    log_guest(LOG_NET, "net user: %s", msg);
}

static int64_t clock_get_ns(void *opaque)
{
    struct user *u = opaque;

    return clock_now_ns(u->port.net->timers->clock);
}

static void *timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
    struct user *u = opaque;
    struct timer *t = xzalloc(sizeof *t);

    timer_init(t, u->port.net->timers, cb, cb_opaque);
    return t;
}

static void timer_free(void *t, void *opaque)
{
    if (t)
        timer_del(t);
    free(t);
}

static void timer_mod_ms(void *t, int64_t expire_ms, void *opaque)
{
    timer_mod(t, expire_ms * NS_PER_MS);
}

static void notify(void *opaque)
{
    kick(opaque);
}

static const SlirpCb callbacks = {
    .send_packet = send_packet, .guest_error = guest_error, .clock_get_ns = clock_get_ns,
    .timer_new = timer_new, .timer_free = timer_free, .timer_mod = timer_mod_ms,
    .register_poll_fd = forget_fd, .unregister_poll_fd = forget_fd, .notify = notify,
};

/* ---- the port --------------------------------------------------------------------------- */

static bool user_receive(void *opaque, const struct net_frame *f)
{
    struct user *u = opaque;

    slirp_input(u->slirp, f->data, f->len);
    kick(u);
    return true;
}

static void user_close(void *opaque)
{
    struct user *u = opaque;

    user_fwd_free(u);
    user_smb_free(u);
    if (u->slirp)
        slirp_cleanup(u->slirp);
    timer_del(&u->timer);
    if (u->epoll_fd >= 0) {
        loop_del_fd(u->port.net->loop, u->epoll_fd);
        close(u->epoll_fd);
    }
    if (u->kick_fd >= 0) {
        loop_del_fd(u->port.net->loop, u->kick_fd);
        close(u->kick_fd);
    }
    netport_free(&u->port);
    free(u->fds);
    free(u->known);
    free(u->dnssearch);
    free(u);
}

static const struct net_ops user_ops = {
    .kind = "user", .receive = user_receive, .close = user_close,
};

bool user_is(const struct netport *p)
{
    return p->ops == &user_ops;
}

char *net_user_info(struct netport *p)
{
    return user_is(p) ? slirp_connection_info(((struct user *)p->opaque)->slirp) : NULL;
}

struct netport *net_user_new(struct net *n, const char *id, struct net_props *ps, struct err *e)
{
    struct user *u = xzalloc(sizeof *u);
    SlirpConfig cfg;

    u->epoll_fd = u->kick_fd = -1;
    netport_init(&u->port, n, &user_ops, u, id);
    u->port.caps = NET_CAP_BIG;
    timer_init(&u->timer, n->timers, service, u);
    if (user_config(u, ps, &cfg, e) < 0)
        goto fail;
    u->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    u->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (u->epoll_fd < 0 || u->kick_fd < 0) {
        err_set(e, -errno, "user: %s", strerror(errno));
        goto fail;
    }
    u->slirp = slirp_new(&cfg, &callbacks, u);
    if (!u->slirp) {
        err_set(e, -EINVAL, "user: libslirp refuses these addresses");
        goto fail;
    }
    if (user_smb(u, ps, &cfg, e) < 0 || user_forwards(u, ps, e) < 0)
        goto fail;
    if (n->loop) {
        loop_add_fd(n->loop, u->epoll_fd, POLLIN, on_epoll, u);
        loop_add_fd(n->loop, u->kick_fd, POLLIN, on_kick, u);
    }
    kick(u);
    return &u->port;
fail:
    user_close(u);
    return NULL;
}
#endif
