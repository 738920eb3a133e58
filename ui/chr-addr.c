/*
 * chr-addr.c - where a socket back end listens or connects to
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "ui/chr-addr.h"

#define PORT_MAX 65535

void sock_addr_free(struct sock_addr *a)
{
    if (a->path && a->unlink)
        unlink(a->path);
    if (a->fd >= 0)
        close(a->fd);
    free(a->path);
    free(a->host);
    free(a->port);
    *a = (struct sock_addr){ .fd = -1 };
}

/* ---- options ----------------------------------------------------------------------- */

static char *copy(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

static int parse_fd(struct sock_addr *a, const struct chr_spec *s, struct err *e)
{
    const char *text = chr_text(s, "fd");
    struct sockaddr_un sa = { .sun_family = AF_UNSPEC };
    socklen_t len = sizeof(sa) - 1;
    struct stat st;
    char *end;
    long fd;

    if (!text)
        return 0;
    fd = strtol(text, &end, 10);
    if (end == text || *end || fd < 0 || fd > INT32_MAX || fstat((int)fd, &st) < 0 ||
        !S_ISSOCK(st.st_mode))
        return err_set(e, -EINVAL, "%s: fd=%s is no open socket", s->what, text);
    a->fd = (int)fd;
    fcntl(a->fd, F_SETFD, FD_CLOEXEC);
    if (getsockname(a->fd, (struct sockaddr *)&sa, &len) == 0 && sa.sun_family == AF_UNIX)
        snprintf(a->shown, sizeof(a->shown), "%.*s", (int)sizeof(sa.sun_path), sa.sun_path);
    return 0;
}

static int parse_families(struct sock_addr *a, const struct chr_spec *s, struct err *e)
{
    bool v4 = false, v6 = false, not4 = true, not6 = true;

    if (chr_switch(s, "ipv4", &v4, e) < 0 || chr_switch(s, "ipv6", &v6, e) < 0 ||
        chr_switch(s, "ipv4", &not4, e) < 0 || chr_switch(s, "ipv6", &not6, e) < 0)
        return -EINVAL;
    a->ipv4 = not4 && (v4 || !v6);
    a->ipv6 = not6 && (v6 || !v4);
    return a->ipv4 || a->ipv6 ? 0 : err_set(e, -EINVAL, "%s: neither IPv4 nor IPv6 is left", s->what);
}

static int parse_to(struct sock_addr *a, const struct chr_spec *s, struct err *e)
{
    uint64_t to = 0;

    if (chr_number(s, "to", PORT_MAX, &to, e) < 0)
        return -EINVAL;
    a->to = (unsigned)to;
    return 0;
}

int sock_addr_parse(struct sock_addr *a, const struct chr_spec *s, bool server, struct err *e)
{
    const char *port = chr_text(s, "port"), *path = chr_text(s, "path");
    struct sockaddr_un sa;
    int ret;

    *a = (struct sock_addr){ .fd = -1 };
    ret = parse_fd(a, s, e);
    if (ret == 0)
        ret = parse_families(a, s, e);
    if (ret == 0)
        ret = parse_to(a, s, e);
    if (ret == 0 && !!path + !!port + (a->fd >= 0) != 1)
        ret = err_set(e, -EINVAL, "%s: one of path=, port= and fd= is wanted", s->what);
    if (ret == 0 && path && !*path)
        ret = err_set(e, -EINVAL, "%s: path= is empty", s->what);
    if (ret == 0 && path && strlen(path) >= sizeof(sa.sun_path))
        ret = err_set(e, -ENAMETOOLONG, "%s: %s", s->what, strerror(ENAMETOOLONG));
    if (ret < 0) {
        *a = (struct sock_addr){ .fd = -1 };
        return ret;
    }
    a->path = copy(path);
    a->port = copy(port);
    a->host = copy(chr_text(s, "host"));
    return 0;
}

/* ---- Unix ---------------------------------------------------------------------------- */

static int unix_socket(const struct sock_addr *a, struct sockaddr_un *sa, int flags)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    *sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(sa->sun_path, a->path, strlen(a->path));
    return fd < 0 ? -errno : fd;
}

static int unix_listen(struct sock_addr *a)
{
    struct sockaddr_un sa;
    struct stat st;
    int fd = unix_socket(a, &sa, 0), ret;
    char *full;

    if (fd < 0)
        return fd;
    if (!lstat(a->path, &st) && S_ISSOCK(st.st_mode))
        unlink(a->path); /* of an earlier run */
    if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 1) < 0) {
        ret = -errno;
        close(fd);
        return ret;
    }
    a->unlink = true;
    full = realpath(a->path, NULL);    /* -daemonize changes the directory */
    if (full) {
        free(a->path);
        a->path = full;
    }
    return fd;
}

static int finish_connect(int fd, const struct sockaddr *sa, socklen_t len, bool *pending)
{
    int ret;

    *pending = false;
    if (connect(fd, sa, len) == 0)
        return fd;
    ret = -errno;
    if (ret == -EINPROGRESS) {
        *pending = true;
        return fd;
    }
    close(fd);
    return ret;
}

/* ---- TCP ------------------------------------------------------------------------------- */

static int tcp_bind(const struct addrinfo *i, int fd)
{
    int one = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    return bind(fd, i->ai_addr, i->ai_addrlen) < 0 || listen(fd, 1) < 0 ? -errno : 0;
}

static int tcp_one(const struct addrinfo *i, bool server, bool no_wait, bool *pending)
{
    int flags = SOCK_CLOEXEC | (no_wait ? SOCK_NONBLOCK : 0);
    int fd = socket(i->ai_family, i->ai_socktype | flags, i->ai_protocol), ret;

    if (fd < 0)
        return -errno;
    if (!server)
        return finish_connect(fd, i->ai_addr, i->ai_addrlen, pending);
    ret = tcp_bind(i, fd);
    if (ret == 0)
        return fd;
    close(fd);
    return ret;
}

static int tcp_open(const struct sock_addr *a, const char *port, bool server, bool no_wait,
                    bool *pending, const char *what, struct err *e)
{
    int family = !a->ipv6 ? AF_INET : !a->ipv4 ? AF_INET6 : AF_UNSPEC, ret = -EADDRNOTAVAIL;
    struct addrinfo *list;
    struct err why;

    if (host_lookup(a->host, port, SOCK_STREAM, family, server ? AI_PASSIVE : 0, &list, &why) < 0)
        return err_set(e, -EINVAL, "%s: %s", what, why.msg);
    for (struct addrinfo *i = list; i && ret < 0; i = i->ai_next)
        ret = tcp_one(i, server, no_wait, pending);
    freeaddrinfo(list);
    if (ret == -EADDRINUSE)
        return err_set(e, ret, "%s: port %s is already in use", what, port);
    return ret < 0 ? err_set(e, ret, "%s: %s", what, strerror(-ret)) : ret;
}

/* The first free port from port= to to=. */
static int tcp_listen(struct sock_addr *a, const char *what, struct err *e)
{
    bool pending;
    int ret = tcp_open(a, a->port, true, false, &pending, what, e);

    for (long port = strtol(a->port, NULL, 10) + 1; ret == -EADDRINUSE && port <= (long)a->to; port++) {
        char *next = xasprintf("%ld", port);

        ret = tcp_open(a, next, true, false, &pending, what, e);
        free(a->port);
        a->port = next;
    }
    return ret;
}

/* ---- any ------------------------------------------------------------------------------- */

int sock_addr_connect(const struct sock_addr *a, bool no_wait, bool *pending)
{
    struct sockaddr_un sa;
    int fd;

    if (!a->path)
        return a->port ? tcp_open(a, a->port, false, no_wait, pending, "", NULL) : -ENOTCONN;
    fd = unix_socket(a, &sa, no_wait ? SOCK_NONBLOCK : 0);
    return fd < 0 ? fd : finish_connect(fd, (struct sockaddr *)&sa, sizeof(sa), pending);
}

int sock_addr_open(struct sock_addr *a, bool server, const char *what, struct err *e)
{
    bool pending;
    int fd = a->fd;

    if (fd >= 0) {
        a->fd = -1;
        if (server && listen(fd, 1) < 0)
            return err_set(e, -errno, "%s: %s", what, strerror(errno));
        return fd;
    }
    if (a->port)
        return server ? tcp_listen(a, what, e) : tcp_open(a, a->port, false, false, &pending, what, e);
    fd = server ? unix_listen(a) : sock_addr_connect(a, false, &pending);
    return fd < 0 ? err_set(e, fd, "%s: %s", what, strerror(-fd)) : fd;
}

char *sock_addr_describe(const struct sock_addr *a, bool server, bool telnet)
{
    const char *s = server ? ",server=on" : "";

    if (a->path)
        return xasprintf("unix:%s%s", a->path, s);
    if (!a->port)
        return *a->shown ? xasprintf("unix:%s%s", a->shown, s) : xasprintf("fd:%s", server ? "server=on" : "");
    return xasprintf("%s:%s:%s%s", telnet ? "telnet" : "tcp", a->host ? a->host : "", a->port, s);
}
