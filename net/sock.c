/*
 * sock.c - host socket addresses for back ends
 */
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "net/sock.h"

/* @family: AF_UNSPEC for either; @flags: AI_* */
static int resolve(struct sock_addr *a, const char *host, const char *port, int type, int family,
                   int flags, struct err *e)
{
    struct addrinfo *ai;
    struct err why;

    if (flags & AI_PASSIVE && !*host && family == AF_UNSPEC)
        family = AF_INET;
    if (host_lookup(host, port, type, family, flags, &ai, &why) < 0)
        return err_set(e, -EINVAL, "%s:%s: %s", host, port, why.msg);
    memcpy(&a->sa, ai->ai_addr, ai->ai_addrlen);
    a->len = ai->ai_addrlen;
    freeaddrinfo(ai);
    snprintf(a->text, sizeof a->text, "%s:%s", host, port);
    return 0;
}

int sock_host_port(struct sock_addr *a, const char *text, int type, bool passive, struct err *e)
{
    const char *colon = strrchr(text, ':');
    char host[128];

    if (!colon || colon - text >= (int)sizeof host || !colon[1])
        return err_set(e, -EINVAL, "%s: HOST:PORT is wanted", text);
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    return resolve(a, host, colon + 1, type, AF_UNSPEC, passive ? AI_PASSIVE : 0, e);
}

/* @abstract: a name that is no file; @tight: as long as @path, else filled up with zeros */
static int unix_addr(struct sock_addr *a, const char *path, bool abstract, bool tight, struct err *e)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&a->sa;
    size_t len = strlen(path), max = sizeof un->sun_path - 1;

    memset(un, 0, sizeof *un);
    un->sun_family = AF_UNIX;
    if (len > max)
        return err_set(e, -ENAMETOOLONG, "%s: the path of a socket has at most %zu characters",
                       path, max);
    memcpy(un->sun_path + abstract, path, len);
    a->len = abstract && tight ? offsetof(struct sockaddr_un, sun_path) + 1 + len : sizeof *un;
    snprintf(a->text, sizeof a->text, "%s", path);
    return 0;
}

/* Properties of one address: PREFIX.type and so on. */
struct addr_props {
    struct net_props *ps;
    const char *prefix;
};

static const char *get(const struct addr_props *p, const char *name)
{
    char key[32];

    snprintf(key, sizeof key, "%s.%s", p->prefix, name);
    return props_get(p->ps, key, NULL);
}

static int get_switch(const struct addr_props *p, const char *name, bool def, bool *v, struct err *e)
{
    char key[32];

    snprintf(key, sizeof key, "%s.%s", p->prefix, name);
    return props_bool(p->ps, key, def, v, e);
}

static int inet_props(struct sock_addr *a, const struct addr_props *p, int type, bool passive,
                      struct err *e)
{
    const char *host = get(p, "host"), *port = get(p, "port");
    bool v4, v6, numeric;

    if (!port)
        return err_set(e, -EINVAL, "%s.port= is missing", p->prefix);
    /* naming one family leaves the other out */
    if (get_switch(p, "ipv4", !get(p, "ipv6") || !strcmp(get(p, "ipv6"), "off"), &v4, e) < 0 ||
        get_switch(p, "ipv6", !get(p, "ipv4") || !strcmp(get(p, "ipv4"), "off"), &v6, e) < 0 ||
        get_switch(p, "numeric", false, &numeric, e) < 0)
        return -EINVAL;
    if (!v4 && !v6)
        return err_set(e, -EINVAL, "%s: neither IPv4 nor IPv6 is left", p->prefix);
    return resolve(a, host ? host : "", port, type, v4 && v6 ? AF_UNSPEC : v4 ? AF_INET : AF_INET6,
                   (passive ? AI_PASSIVE : 0) | (numeric ? AI_NUMERICHOST | AI_NUMERICSERV : 0), e);
}

static int unix_props(struct sock_addr *a, const struct addr_props *p, struct err *e)
{
    const char *path = get(p, "path");
    bool abstract, tight;

    if (!path || !*path)
        return err_set(e, -EINVAL, "%s.path= is missing", p->prefix);
    if (get_switch(p, "abstract", false, &abstract, e) < 0 || get_switch(p, "tight", true, &tight, e) < 0)
        return -EINVAL;
    return unix_addr(a, path, abstract, tight, e);
}

int sock_props(struct sock_addr *a, struct net_props *ps, const char *prefix, int type, bool passive,
               struct err *e)
{
    const struct addr_props p = { ps, prefix };
    const char *kind = get(&p, "type");

    if (kind && !strcmp(kind, "inet"))
        return inet_props(a, &p, type, passive, e);
    if (kind && !strcmp(kind, "unix"))
        return unix_props(a, &p, e);
    if (kind)
        return err_set(e, -EINVAL, "%s.type=%s: inet, unix or fd is wanted", prefix, kind);
    return err_set(e, -EINVAL, "%s.type= is missing (inet, unix or fd)", prefix);
}

int sock_fd(const char *text, int *type, struct err *e)
{
    char *end;
    long fd = strtol(text, &end, 10);
    socklen_t len = sizeof *type;

    if (*end || end == text || fd < 0 || fd > INT32_MAX ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, type, &len) < 0)
        return err_set(e, -EINVAL, "fd=%s: not a socket", text);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

/* What is left of an earlier run is in the way; a file that is no socket is somebody's. */
static void remove_stale(const struct sock_addr *a)
{
    const char *path = ((const struct sockaddr_un *)&a->sa)->sun_path;
    struct stat st;

    if (*path && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
}

int sock_bind(const struct sock_addr *a, int type, bool shared, struct err *e)
{
    int one = 1, code;
    int fd = socket(a->sa.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return err_set(e, -errno, "%s: %s", a->text, strerror(errno));
    if (a->sa.ss_family == AF_UNIX)
        remove_stale(a);
    else if (shared || type == SOCK_STREAM)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)&a->sa, a->len) == 0 &&
        (type != SOCK_STREAM || listen(fd, 1) == 0))
        return fd;
    code = errno;
    close(fd);
    return err_set(e, -code, "%s: %s", a->text, strerror(code));
}

void sock_unlink(const struct sock_addr *a)
{
    if (a->sa.ss_family == AF_UNIX)
        remove_stale(a);
}
