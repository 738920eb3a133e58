/*
 * chr-socket.c - back ends on sockets: Unix, TCP or inherited, client or server
 *
 * A server serves one client at a time; the next waits in the backlog until
 * the first leaves. A client that loses its connection tries again with reconnect=,
 * else it stays disconnected. Descriptors that a peer sends along (SCM_RIGHTS) are kept
 * for chardev_take_fd().
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "ui/chardev-int.h"
#include "ui/chr-addr.h"

#define FDS_KEPT 16

struct sock {
    struct stream s;
    struct sock_addr addr;
    int listen_fd;          /* -1: client */
    int retry_fd;           /* timer of reconnect=; -1: none */
    int trying_fd;          /* connect under way; -1: none */
    int fds[FDS_KEPT];      /* sent by the peer, oldest first */
    unsigned n_fds;
    struct telnet telnet;
    bool nodelay, use_telnet;
    uint64_t reconnect_ms;
};

/* ---- connections -------------------------------------------------------------- */

static void sock_accept(void *opaque, int fd, short revents);

static void sock_listen(struct sock *k, bool on)
{
    if (k->listen_fd >= 0)
        loop_add_fd(k->s.loop, k->listen_fd, on ? POLLIN : 0, sock_accept, k);
}

static void drop_fds(struct sock *k)
{
    while (k->n_fds)
        close(k->fds[--k->n_fds]);
}

static void sock_connected(struct sock *k, int fd)
{
    int one = 1;

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (k->nodelay)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    k->s.in_fd = k->s.out_fd = fd;
    sock_listen(k, false);
    stream_attach(&k->s);
    k->telnet.state = 0;
    /* a fresh socket has room for these few bytes */
    if (k->use_telnet && send(fd, telnet_hello, telnet_hello_len, MSG_NOSIGNAL) < 0)
        log_ev(LOG_UART, "chardev=%s telnet: %s", k->s.chr.label, strerror(errno));
    chr_event(&k->s.chr.c, CHR_EVENT_OPENED);
}

static void sock_accept(void *opaque, int fd, short revents)
{
    struct sock *k = opaque;
    int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    if (c >= 0)
        sock_connected(k, c);
}

static void retry_later(struct sock *k)
{
    struct itimerspec t = { .it_value = { .tv_sec = k->reconnect_ms / 1000,
                                          .tv_nsec = k->reconnect_ms % 1000 * 1000000 } };

    timerfd_settime(k->retry_fd, 0, &t, NULL);
}

static void sock_hangup(struct stream *s)
{
    struct sock *k = (struct sock *)s;
    int fd = s->in_fd;

    stream_detach(s);
    s->in_fd = s->out_fd = -1;
    close(fd);
    drop_fds(k);
    chr_event(&s->chr.c, CHR_EVENT_CLOSED);
    sock_listen(k, true);
    if (k->retry_fd >= 0)
        retry_later(k);
}

/* ---- reconnect= ----------------------------------------------------------------- */

static void try_done(struct sock *k, int err)
{
    int fd = k->trying_fd;

    k->trying_fd = -1;
    loop_del_fd(k->s.loop, fd);
    if (!err) {
        sock_connected(k, fd);
        return;
    }
    close(fd);
    retry_later(k);
}

static void try_ready(void *opaque, int fd, short revents)
{
    socklen_t len = sizeof(int);
    int err = 0;

    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
    try_done(opaque, err);
}

static void try_again(void *opaque, int fd, short revents)
{
    struct sock *k = opaque;
    uint64_t count;
    bool pending;
    int c;

    if (read(fd, &count, sizeof(count)) < 0)
        return;
    c = sock_addr_connect(&k->addr, true, &pending);
    if (c < 0) {
        retry_later(k);
    } else if (pending) {
        k->trying_fd = c;
        loop_add_fd(k->s.loop, c, POLLOUT, try_ready, k);
    } else {
        sock_connected(k, c);
    }
}

static void set_retry(struct sock *k)
{
    k->retry_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    loop_add_fd(k->s.loop, k->retry_fd, POLLIN, try_again, k);
}

/* ---- bytes and descriptors ---------------------------------------------------------- */

static void keep_fds(struct sock *k, struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        unsigned n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (unsigned i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (k->n_fds < FDS_KEPT)
                k->fds[k->n_fds++] = fd;
            else
                close(fd);
        }
    }
}

static ssize_t sock_input(struct stream *s, uint8_t *buf, size_t len)
{
    struct sock *k = (struct sock *)s;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(FDS_KEPT * sizeof(int))];
    } control;
    struct iovec iov = { buf, len };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
                        .msg_controllen = sizeof(control.bytes) };
    ssize_t n = recvmsg(s->in_fd, &m, MSG_CMSG_CLOEXEC);

    if (n < 0)
        return n;
    keep_fds(k, &m);
    if (n == 0 || !k->use_telnet)
        return n;
    n = telnet_decode(&k->telnet, buf, (int)n);
    if (n == 0) {
        errno = EAGAIN;
        return -1;
    }
    return n;
}

static int sock_encode(struct stream *s, const uint8_t *in, int len, uint8_t *out, int room,
                       int *taken)
{
    return telnet_encode(in, len, out, room, taken);
}

static int sock_take_fd(struct chr *c)
{
    struct sock *k = (struct sock *)c;
    int fd = k->n_fds ? k->fds[0] : -1;

    if (k->n_fds)
        memmove(k->fds, k->fds + 1, --k->n_fds * sizeof(int));
    return fd;
}

static void forget_fd(struct loop *l, int fd)
{
    if (fd < 0)
        return;
    loop_del_fd(l, fd);
    close(fd);
}

static void sock_destroy(struct stream *s)
{
    struct sock *k = (struct sock *)s;

    if (s->in_fd >= 0)
        close(s->in_fd);
    forget_fd(s->loop, k->listen_fd);
    forget_fd(s->loop, k->retry_fd);
    forget_fd(s->loop, k->trying_fd);
    drop_fds(k);
    sock_addr_free(&k->addr);
}

/* ---- opening ------------------------------------------------------------------------- */

struct sock_opts {
    bool server, wait, nodelay, telnet;
    uint64_t reconnect_ms;
};

static int parse_options(const struct chr_spec *s, struct sock_opts *o, struct err *e)
{
    static const char *const known[] = { "server", "wait", "delay", "nodelay", "telnet", "reconnect",
                                         "reconnect-ms", "path", "host", "port", "fd", "to", "ipv4",
                                         "ipv6", "abstract", "tight", "websocket", "tn3270",
                                         "tls-creds", "tls-authz", NULL };
    static const char *const refused[] = { "websocket", "tn3270", "tls-creds", "tls-authz", "abstract" };
    bool delay = true;
    uint64_t s_max = 3600;

    *o = (struct sock_opts){ .wait = true };
    if (chr_options(s, known, e) < 0 || chr_switch(s, "server", &o->server, e) < 0 ||
        chr_switch(s, "wait", &o->wait, e) < 0 || chr_switch(s, "telnet", &o->telnet, e) < 0 ||
        chr_switch(s, "delay", &delay, e) < 0 || chr_number(s, "reconnect", s_max, &o->reconnect_ms, e) < 0)
        return -EINVAL;
    o->reconnect_ms *= 1000;
    if (chr_number(s, "reconnect-ms", s_max * 1000, &o->reconnect_ms, e) < 0)
        return -EINVAL;
    o->nodelay = !delay;
    if (chr_switch(s, "nodelay", &o->nodelay, e) < 0)
        return -EINVAL;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        const char *v = chr_text(s, refused[i]);

        if (v && strcmp(v, "off") && strcmp(v, "no"))
            return err_set(e, -ENOTSUP, "%s: %s is not supported", s->what, refused[i]);
    }
    if (o->server && o->reconnect_ms)
        return err_set(e, -EINVAL, "%s: reconnect is for clients, not servers", s->what);
    return 0;
}

/* Wait for the first client; it may take as long as it takes. */
static void wait_for_client(struct sock *k)
{
    fprintf(stderr, "transom: waiting for a connection on %s\n", k->s.chr.desc);
    while (!k->s.connected) {
        int c = accept4(k->listen_fd, NULL, NULL, SOCK_CLOEXEC);

        if (c >= 0)
            sock_connected(k, c);
        else if (errno == EAGAIN)
            poll(&(struct pollfd){ .fd = k->listen_fd, .events = POLLIN }, 1, -1);
        else if (errno != EINTR && errno != ECONNABORTED)
            break; /* the loop goes on trying */
    }
}

static void start_server(struct sock *k, int fd, bool wait)
{
    k->listen_fd = fd;
    sock_listen(k, true);
    if (wait)
        wait_for_client(k);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

struct chardev *chr_open_socket(const struct chr_spec *s, struct err *e)
{
    struct sock_addr addr;
    struct sock_opts o;
    struct sock *k;
    int fd;

    if (parse_options(s, &o, e) < 0 || sock_addr_parse(&addr, s, o.server, e) < 0)
        return NULL;
    fd = sock_addr_open(&addr, o.server, s->what, o.reconnect_ms ? NULL : e);
    if (fd < 0 && !o.reconnect_ms) {
        sock_addr_free(&addr);
        return NULL;
    }
    k = xzalloc(sizeof(*k));
    stream_init(&k->s, s->loop, s->label, sock_addr_describe(&addr, o.server, o.telnet));
    k->s.hangup = sock_hangup;
    k->s.destroy = sock_destroy;
    k->s.input = sock_input;
    k->s.tells_end = true;
    k->s.encode = o.telnet ? sock_encode : NULL;
    k->s.chr.take_fd = sock_take_fd;
    k->addr = addr;
    k->nodelay = o.nodelay;
    k->use_telnet = o.telnet;
    k->listen_fd = k->retry_fd = k->trying_fd = -1;
    k->reconnect_ms = o.reconnect_ms;
    if (o.reconnect_ms)
        set_retry(k);
    if (o.server)
        start_server(k, fd, o.wait);
    else if (fd >= 0)
        sock_connected(k, fd);
    else
        retry_later(k);
    return &k->s.chr.c;
}
