/*
 * chr-socket.c - back ends on sockets: unix: and tcp:, client or server
 *
 * A server serves one client at a time; the next waits in the backlog until
 * the first leaves. A client that loses its connection stays disconnected.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "ui/chardev-int.h"

struct sock {
    struct stream s;
    int listen_fd;      /* -1: client */
    char *unlink_path;  /* of a unix server */
    bool nodelay;
};

struct sock_opts {
    bool server, wait, nodelay;
};

/* ---- options ------------------------------------------------------------------ */

static int parse_option(const char *opt, struct sock_opts *o, const char *spec,
                        struct err *e)
{
    static const char *const names[] = { "server", "wait", "nowait", "nodelay" };
    bool nowait = false;
    const char *near;
    char word[32];
    int rc;

    if ((rc = chr_bool_option(opt, "server", &o->server)) == -ENOENT &&
        (rc = chr_bool_option(opt, "wait", &o->wait)) == -ENOENT &&
        (rc = chr_bool_option(opt, "nodelay", &o->nodelay)) == -ENOENT &&
        (rc = chr_bool_option(opt, "nowait", &nowait)) == 0)
        o->wait = !nowait;
    if (rc == -EINVAL)
        return err_set(e, rc, "%s: %s: wants on or off", spec, opt);
    if (!rc)
        return 0;
    snprintf(word, sizeof(word), "%.*s", (int)strcspn(opt, "="), opt);
    near = nearest_word(word, names, ARRAY_SIZE(names));
    return err_set(e, -EINVAL, "%s: unknown option '%s'%s%s%s", spec, word,
                   near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Cuts the options off @addr. */
static int parse_options(char *addr, struct sock_opts *o, const char *spec, struct err *e)
{
    char *rest = addr, *opt;

    *o = (struct sock_opts){ .wait = true };
    strsep(&rest, ",");
    while ((opt = strsep(&rest, ","))) {
        int rc = parse_option(opt, o, spec, e);

        if (rc)
            return rc;
    }
    return 0;
}

/* ---- connections -------------------------------------------------------------- */

static void sock_accept(void *opaque, int fd, short revents);

static void sock_listen(struct sock *k, bool on)
{
    if (k->listen_fd >= 0)
        loop_add_fd(k->s.loop, k->listen_fd, on ? POLLIN : 0, sock_accept, k);
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
    chr_event(&k->s.chr.c, CHR_EVENT_OPENED);
}

static void sock_accept(void *opaque, int fd, short revents)
{
    struct sock *k = opaque;
    int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    if (c >= 0)
        sock_connected(k, c);
}

static void sock_hangup(struct stream *s)
{
    struct sock *k = (struct sock *)s;
    int fd = s->in_fd;

    stream_detach(s);
    s->in_fd = s->out_fd = -1;
    close(fd);
    chr_event(&s->chr.c, CHR_EVENT_CLOSED);
    sock_listen(k, true);
}

static void sock_destroy(struct stream *s)
{
    struct sock *k = (struct sock *)s;

    if (s->in_fd >= 0)
        close(s->in_fd);
    if (k->listen_fd >= 0) {
        loop_del_fd(s->loop, k->listen_fd);
        close(k->listen_fd);
    }
    if (k->unlink_path)
        unlink(k->unlink_path);
    free(k->unlink_path);
}

/* Build the back end on @fd, listening or connected. */
static struct chardev *sock_new(struct loop *l, const char *spec, const char *label,
                                const struct sock_opts *o, int fd, const char *path)
{
    struct sock *k = xzalloc(sizeof(*k));

    stream_init(&k->s, l, label, xstrdup(spec));
    k->s.hangup = sock_hangup;
    k->s.destroy = sock_destroy;
    k->nodelay = o->nodelay;
    k->listen_fd = o->server ? fd : -1;
    if (!o->server) {
        sock_connected(k, fd);
        return &k->s.chr.c;
    }
    k->unlink_path = path ? xstrdup(path) : NULL;
    sock_listen(k, true);
    if (o->wait) {
        fprintf(stderr, "transom: waiting for a connection on %s\n", spec);
        while (!k->s.connected) {
            int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

            if (c >= 0)
                sock_connected(k, c);
            else if (errno != EINTR && errno != ECONNABORTED)
                break; /* the loop goes on trying */
        }
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return &k->s.chr.c;
}

/* bind and listen, or connect; -errno */
static int sock_start(int fd, const struct sock_opts *o, const struct sockaddr *sa,
                      socklen_t len)
{
    if (o->server ? bind(fd, sa, len) < 0 || listen(fd, 1) < 0
                  : connect(fd, sa, len) < 0)
        return -errno;
    return 0;
}

/* ---- unix: ------------------------------------------------------------------------ */

static int unix_open(const char *path, const struct sock_opts *o)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    struct stat st;
    int fd, rc;

    if (!*path)
        return -EINVAL;
    if (strlen(path) >= sizeof(sa.sun_path))
        return -ENAMETOOLONG;
    memcpy(sa.sun_path, path, strlen(path));
    if (o->server && !lstat(path, &st) && S_ISSOCK(st.st_mode))
        unlink(path); /* of an earlier run */
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    rc = sock_start(fd, o, (struct sockaddr *)&sa, sizeof(sa));
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

struct chardev *chr_open_unix(struct loop *l, const char *spec, const char *rest,
                              const char *label, struct err *e)
{
    char *path = xstrdup(rest);
    struct chardev *c = NULL;
    struct sock_opts o;

    if (!parse_options(path, &o, spec, e)) {
        int fd = unix_open(path, &o);

        if (fd < 0)
            err_set(e, fd, "%s: %s", spec, strerror(-fd));
        else
            c = sock_new(l, spec, label, &o, fd, path);
    }
    free(path);
    return c;
}

/* ---- tcp: -------------------------------------------------------------------------- */

/* Splits "HOST:PORT" or "[V6]:PORT" in place; false when there is no port. */
static bool split_host_port(char *addr, char **host, char **port)
{
    char *colon = strrchr(addr, ':'), *end;

    if (!colon || !colon[1])
        return false;
    *colon = 0;
    *port = colon + 1;
    *host = addr;
    if (*addr == '[') {
        end = strchr(addr, ']');
        if (!end || end + 1 != colon)
            return false;
        *end = 0;
        ++*host;
    }
    return true;
}

static int tcp_try(const struct addrinfo *a, const struct sock_opts *o)
{
    int one = 1, rc;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);

    if (fd < 0)
        return -errno;
    if (o->server)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    rc = sock_start(fd, o, a->ai_addr, a->ai_addrlen);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

static int tcp_open(char *addr, const struct sock_opts *o, const char *spec, struct err *e)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
    char *host, *port;
    int rc;

    if (!split_host_port(addr, &host, &port))
        return err_set(e, -EINVAL, "%s: wants HOST:PORT", spec);
    hints.ai_flags = o->server ? AI_PASSIVE : 0;
    rc = getaddrinfo(*host ? host : NULL, port, &hints, &list);
    if (rc)
        return err_set(e, -EINVAL, "%s: %s", spec, gai_strerror(rc));
    rc = -EADDRNOTAVAIL;
    for (struct addrinfo *a = list; a && rc < 0; a = a->ai_next)
        rc = tcp_try(a, o);
    freeaddrinfo(list);
    return rc < 0 ? err_set(e, rc, "%s: %s", spec, strerror(-rc)) : rc;
}

struct chardev *chr_open_tcp(struct loop *l, const char *spec, const char *rest,
                             const char *label, struct err *e)
{
    char *addr = xstrdup(rest);
    struct chardev *c = NULL;
    struct sock_opts o;

    if (!parse_options(addr, &o, spec, e)) {
        int fd = tcp_open(addr, &o, spec, e);

        if (fd >= 0)
            c = sock_new(l, spec, label, &o, fd, NULL);
    }
    free(addr);
    return c;
}
