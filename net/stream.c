/*
 * stream.c - frames through a stream socket: "stream", and "socket" with
 * listen=, connect= or fd=
 *
 * Each frame is preceded by its length, 32 bits, most significant byte first;
 * that is what QEMU speaks. One peer at a time. A peer that sends a length no
 * frame can have has lost its place in the stream and is disconnected.
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>
#include "net/sock.h"

#define HEADER_BYTES   4
#define CONNECT_WAIT_MS 300  /* at the start */
#define FRAMES_A_TURN  64    /* so that one peer does not keep the loop */

struct stream {
    struct netport port;
    struct sock_addr addr;
    int listen_fd, fd;       /* -1: none */
    bool connecting, keep_alive;
    long reconnect_ms;       /* 0: never */
    struct timer timer;
    uint8_t *in, *out;       /* HEADER_BYTES + NET_FRAME_MAX each */
    size_t n_in, n_out, out_done;
    bool paused;             /* the other end of the cable is full */
};

static void stream_ready(void *opaque, int fd, short revents);
static void stream_accept(void *opaque, int fd, short revents);

static void watch(struct stream *s)
{
    short events = s->paused || s->connecting ? 0 : POLLIN;

    if (s->connecting || s->n_out)
        events |= POLLOUT;
    loop_add_fd(s->port.net->loop, s->fd, events, stream_ready, s);
}

static void hang_up(struct stream *s, const char *why)
{
    log_ev(LOG_NET, "net id=%s peer gone: %s", s->port.id, why);
    loop_del_fd(s->port.net->loop, s->fd);
    close(s->fd);
    s->fd = -1;
    s->connecting = false;
    s->n_in = s->n_out = s->out_done = 0;
    netport_info(&s->port, "disconnected from %s", s->addr.text);
    if (s->listen_fd >= 0)
        loop_add_fd(s->port.net->loop, s->listen_fd, POLLIN, stream_accept, s);
    else if (s->reconnect_ms)
        timer_mod(&s->timer, clock_now_ns(s->port.net->timers->clock) +
                             s->reconnect_ms * 1000000);
    net_flush(&s->port);     /* what waits is dropped, as without a peer */
}

static void established(struct stream *s)
{
    int one = 1;

    s->connecting = false;
    if (s->keep_alive)
        setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    netport_info(&s->port, "connected: %s", s->addr.text);
    watch(s);
    net_flush(&s->port);
}

/* ---- reading ------------------------------------------------------------------------ */

/* Hand on the whole frames of in[]; false: the stream makes no sense. */
static bool take_frames(struct stream *s)
{
    size_t at = 0;

    while (s->n_in - at >= HEADER_BYTES) {
        uint32_t len = ntohl(ldl32(s->in + at));
        struct net_frame f = { .data = s->in + at + HEADER_BYTES, .len = len };

        if (len < NET_ETH_HLEN || len > NET_FRAME_MAX)
            return false;
        if (s->n_in - at - HEADER_BYTES < len)
            break;
        if (!net_send(&s->port, &f))
            s->paused = true;
        at += HEADER_BYTES + len;
    }
    s->n_in -= at;
    memmove(s->in, s->in + at, s->n_in);
    return true;
}

static void stream_read(struct stream *s)
{
    for (int i = 0; i < FRAMES_A_TURN && !s->paused && s->fd >= 0; i++) {
        ssize_t n = recv(s->fd, s->in + s->n_in, HEADER_BYTES + NET_FRAME_MAX - s->n_in,
                         MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0) {
            hang_up(s, n ? strerror(errno) : "closed");
            return;
        }
        s->n_in += n;
        if (!take_frames(s)) {
            hang_up(s, "a frame of an impossible length");
            return;
        }
    }
    watch(s);
}

static void stream_room(void *opaque)
{
    struct stream *s = opaque;

    if (!s->paused)
        return;
    s->paused = false;
    if (s->fd >= 0)
        watch(s);
}

/* ---- writing -------------------------------------------------------------------------- */

static void stream_write(struct stream *s)
{
    ssize_t n = send(s->fd, s->out + s->out_done, s->n_out - s->out_done,
                     MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        hang_up(s, strerror(errno));
        return;
    }
    s->out_done += MAX(n, 0);
    if (s->out_done < s->n_out)
        return;
    s->n_out = s->out_done = 0;
    watch(s);
    net_flush(&s->port);
}

static bool stream_receive(void *opaque, const struct net_frame *f)
{
    struct stream *s = opaque;
    uint32_t len = htonl(f->len);
    struct iovec iov[2] = { { &len, HEADER_BYTES }, { (void *)f->data, f->len } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
    size_t all = HEADER_BYTES + f->len;
    ssize_t n;

    if (s->fd < 0 || s->connecting)
        return true;                 /* nobody there: a cable to nowhere */
    if (s->n_out)
        return false;
    n = sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return true;                 /* the loop will see the hang-up */
    n = MAX(n, 0);
    if ((size_t)n == all)
        return true;
    memcpy(s->out, &len, HEADER_BYTES);
    memcpy(s->out + HEADER_BYTES, f->data, f->len);
    s->n_out = all;
    s->out_done = n;
    watch(s);
    return true;
}

/* ---- connecting ------------------------------------------------------------------------- */

static void stream_ready(void *opaque, int fd, short revents)
{
    struct stream *s = opaque;

    if (s->connecting) {
        int code = 0;
        socklen_t len = sizeof code;

        getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len);
        if (code)
            hang_up(s, strerror(code));
        else
            established(s);
        return;
    }
    if (revents & POLLOUT && s->n_out)
        stream_write(s);
    if (s->fd >= 0 && revents & ~POLLOUT)
        stream_read(s);
}

static void stream_accept(void *opaque, int fd, short revents)
{
    struct stream *s = opaque;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (peer < 0)
        return;
    loop_del_fd(s->port.net->loop, fd);    /* one at a time */
    s->fd = peer;
    established(s);
}

static int stream_connect(struct stream *s, struct err *e)
{
    int code;

    s->fd = socket(s->addr.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return err_set(e, -errno, "%s: %s", s->addr.text, strerror(errno));
    if (connect(s->fd, (struct sockaddr *)&s->addr.sa, s->addr.len) == 0) {
        established(s);
        return 0;
    }
    code = errno;
    if (code != EINPROGRESS) {
        close(s->fd);
        s->fd = -1;
        return err_set(e, -code, "%s: %s", s->addr.text, strerror(code));
    }
    s->connecting = true;
    watch(s);
    return 0;
}

static void stream_retry(void *opaque)
{
    struct stream *s = opaque;

    if (s->fd < 0 && stream_connect(s, NULL) < 0)
        timer_mod(&s->timer, clock_now_ns(s->port.net->timers->clock) +
                             s->reconnect_ms * 1000000);
}

/* ---- life --------------------------------------------------------------------------------- */

static void stream_close(void *opaque)
{
    struct stream *s = opaque;

    timer_del(&s->timer);
    if (s->fd >= 0) {
        loop_del_fd(s->port.net->loop, s->fd);
        close(s->fd);
    }
    if (s->listen_fd >= 0) {
        loop_del_fd(s->port.net->loop, s->listen_fd);
        close(s->listen_fd);
        sock_unlink(&s->addr);
    }
    netport_free(&s->port);
    free(s->in);
    free(s->out);
    free(s);
}

static const struct net_ops stream_ops = {
    .kind = "stream", .receive = stream_receive, .room = stream_room, .close = stream_close,
};

static struct stream *stream_alloc(struct net *n, const char *id)
{
    struct stream *s = xzalloc(sizeof *s);

    s->fd = s->listen_fd = -1;
    s->in = xmalloc(HEADER_BYTES + NET_FRAME_MAX);
    s->out = xmalloc(HEADER_BYTES + NET_FRAME_MAX);
    netport_init(&s->port, n, &stream_ops, s, id);
    timer_init(&s->timer, n->timers, stream_retry, s);
    return s;
}

static int stream_listen(struct stream *s, struct err *e)
{
    s->listen_fd = sock_bind(&s->addr, SOCK_STREAM, false, e);
    if (s->listen_fd < 0)
        return s->listen_fd;
    netport_info(&s->port, "listening on %s", s->addr.text);
    loop_add_fd(s->port.net->loop, s->listen_fd, POLLIN, stream_accept, s);
    return 0;
}

/* Nobody there is an error when it shows at once, and nothing else is to be tried. */
static int refused(struct stream *s, struct err *e)
{
    struct pollfd p = { .fd = s->fd, .events = POLLOUT };
    int code = 0;
    socklen_t len = sizeof code;

    if (s->reconnect_ms || !s->connecting || poll(&p, 1, CONNECT_WAIT_MS) <= 0)
        return 0;
    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &code, &len);
    if (!code)
        established(s);
    return code ? err_set(e, -code, "%s: %s", s->addr.text, strerror(code)) : 0;
}

static struct netport *stream_start(struct stream *s, bool server, struct err *e)
{
    int ret = server ? stream_listen(s, e) : stream_connect(s, e);

    if (ret == 0 && !server)
        ret = refused(s, e);
    if (ret < 0 && !server && s->reconnect_ms) {
        stream_retry(s);
        ret = 0;
    }
    if (ret == 0)
        return &s->port;
    stream_close(s);
    return NULL;
}

static struct netport *stream_fd(struct net *n, const char *id, int fd)
{
    struct stream *s = stream_alloc(n, id);

    snprintf(s->addr.text, sizeof s->addr.text, "fd %d", fd);
    s->fd = fd;
    established(s);
    return &s->port;
}

/* addr.type=fd */
static struct netport *stream_from(struct net *n, const char *id, const char *text, struct err *e)
{
    int type = 0, fd = sock_fd(text, &type, e);

    if (fd >= 0 && type == SOCK_STREAM)
        return stream_fd(n, id, fd);
    if (fd >= 0)
        err_set(e, -EINVAL, "fd=%s: not a stream socket", text);
    return NULL;
}

struct netport *net_stream_new(struct net *n, const char *id, struct net_props *ps,
                               struct err *e)
{
    const char *fd = props_get(ps, "addr.str", NULL);
    bool server = false, alive = false;
    struct stream *s;
    long sec = 0;

    if (!strcmp(props_get(ps, "addr.type", ""), "fd")) {
        if (fd)
            return stream_from(n, id, fd, e);
        err_set(e, -EINVAL, "addr.str=FD is missing");
        return NULL;
    }
    s = stream_alloc(n, id);
    if (props_bool(ps, "server", false, &server, e) < 0 ||
        props_bool(ps, "addr.keep-alive", false, &alive, e) < 0 ||
        props_number(ps, "reconnect", 86400, 0, &sec, e) < 0 ||
        props_number(ps, "reconnect-ms", 86400000, sec * 1000, &s->reconnect_ms, e) < 0 ||
        sock_props(&s->addr, ps, "addr", SOCK_STREAM, server, e) < 0) {
        stream_close(s);
        return NULL;
    }
    if (server && s->reconnect_ms) {
        err_set(e, -EINVAL, "reconnect= is for the side that connects, not for a server");
        stream_close(s);
        return NULL;
    }
    s->keep_alive = alive;
    return stream_start(s, server, e);
}

static struct netport *socket_fd(struct net *n, const char *id, const char *text, struct err *e)
{
    int type = 0, fd = sock_fd(text, &type, e);

    if (fd < 0)
        return NULL;
    return type == SOCK_STREAM ? stream_fd(n, id, fd) : net_dgram_fd(n, id, fd);
}

/* -netdev socket: the older spelling, also for datagrams */
struct netport *net_socket_new(struct net *n, const char *id, struct net_props *ps,
                               struct err *e)
{
    const char *listen = props_get(ps, "listen", NULL), *to = props_get(ps, "connect", NULL);
    const char *fd = props_get(ps, "fd", NULL);
    bool datagram = props_get(ps, "mcast", NULL) || props_get(ps, "udp", NULL);
    struct stream *s;

    if (!!listen + !!to + !!fd + datagram != 1) {
        err_set(e, -EINVAL, "socket: one of listen=, connect=, mcast=, udp= and fd= is wanted");
        return NULL;
    }
    if (props_get(ps, "localaddr", NULL) && !datagram) {
        err_set(e, -EINVAL, "localaddr= goes with mcast= and udp= only");
        return NULL;
    }
    if (datagram)
        return net_dgram_new(n, id, ps, e);
    if (fd)
        return socket_fd(n, id, fd, e);
    s = stream_alloc(n, id);
    if (sock_host_port(&s->addr, listen ? listen : to, SOCK_STREAM, listen != NULL, e) < 0) {
        stream_close(s);
        return NULL;
    }
    return stream_start(s, listen != NULL, e);
}
