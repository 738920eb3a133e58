/*
 * vnc-open.c - the VNC server's option and its listening sockets
 */
#define _GNU_SOURCE 1
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "ui/kv.h"
#include "ui/vnc-int.h"

#define VNC_PORT 5900
#define WEBSOCKET_PORT 5700
#define DISPLAY_MAX (65535 - VNC_PORT)

struct vnc_spec {
    struct kv_list kv;
    const char *address;         /* without its number */
    char host[256];
    unsigned display, to;
    bool ipv4, ipv6;             /* only those; neither: both */
    const char *websocket;       /* "on", PORT, HOST:PORT, or NULL */
};

/* ---- listening -------------------------------------------------------------------------- */

static void on_connect(void *opaque, int fd, short revents)
{
    struct vnc *v = opaque;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    for (unsigned i = 0; peer >= 0 && i < v->n_listeners; i++)
        if (v->listener[i].fd == fd) {
            vnc_take(v, peer, &v->listener[i].end, false);
            return;
        }
}

static int add_listener(struct vnc *v, int fd, bool websocket)
{
    struct sockaddr_storage a = { 0 };
    socklen_t len = sizeof a;
    struct vnc_listener *l = &v->listener[v->n_listeners];

    if (v->n_listeners == VNC_LISTENERS) {
        close(fd);
        return -ENOSPC;
    }
    if (listen(fd, 8) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
        int ret = -errno;

        close(fd);
        return ret;
    }
    l->fd = fd;
    vnc_end_fill(&l->end, &a, len);
    l->end.websocket = websocket;
    v->n_listeners++;
    loop_add_fd(v->m->loop, fd, POLLIN, on_connect, v);
    return 0;
}

static int bind_one(struct vnc *v, const struct addrinfo *a, bool websocket)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, a->ai_addr, a->ai_addrlen) < 0) {
        int ret = -errno;

        close(fd);
        return ret;
    }
    return add_listener(v, fd, websocket);
}

/* Every address of @host ("": all interfaces) at @port: all or, in use, none. */
static int listen_tcp(struct vnc *v, const struct vnc_spec *s, const char *host, unsigned port,
                      bool websocket, struct err *e)
{
    int family = s->ipv4 == s->ipv6 ? AF_UNSPEC : s->ipv4 ? AF_INET : AF_INET6;
    struct addrinfo *list;
    struct err why;
    unsigned before = v->n_listeners;
    char text[8];
    int ret, bad = 0;

    snprintf(text, sizeof text, "%u", port);
    if (host_lookup(host, text, SOCK_STREAM, family, AI_PASSIVE | AI_NUMERICSERV, &list, &why) < 0)
        return err_set(e, -EINVAL, "%s: %s", *host ? host : "*", why.msg);
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        ret = bind_one(v, a, websocket);
        if (ret < 0 && (!bad || ret == -EADDRINUSE))
            bad = ret;
    }
    freeaddrinfo(list);
    if (v->n_listeners > before && bad != -EADDRINUSE)
        return 0;                /* a host without IPv6 has it in /etc/hosts often */
    while (v->n_listeners > before) {
        loop_del_fd(v->m->loop, v->listener[--v->n_listeners].fd);
        close(v->listener[v->n_listeners].fd);
    }
    if (bad == -EADDRINUSE)
        return err_set(e, bad, "port %u is in use", port);
    return err_set(e, bad, "port %u: %s", port, strerror(-bad));
}

static int listen_unix(struct vnc *v, const char *path, struct err *e)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct stat st;
    int fd;

    if (!*path || strlen(path) >= sizeof a.sun_path)
        return err_set(e, -EINVAL, "a path of 1 to %zu bytes is wanted", sizeof a.sun_path - 1);
    strcpy(a.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(e, -errno, "%s", strerror(errno));
    if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);            /* left behind by one that is gone */
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        int ret = err_set(e, -errno, "%s: %s", path, strerror(errno));

        close(fd);
        return ret;
    }
    v->unix_path = xstrdup(path);
    return add_listener(v, fd, false);
}

/* ---- the option ------------------------------------------------------------------------------ */

static bool to_switch(const char *val, bool *on)
{
    if (!strcmp(val, "on") || !strcmp(val, "yes") || !strcmp(val, "true"))
        *on = true;
    else if (!strcmp(val, "off") || !strcmp(val, "no") || !strcmp(val, "false"))
        *on = false;
    else
        return false;
    return true;
}

static bool to_number(const char *val, unsigned max, unsigned *n)
{
    char *end;
    unsigned long v = strtoul(val, &end, 10);

    if (*val < '0' || *val > '9' || *end || v > max)
        return false;
    *n = v;
    return true;
}

static int set_share(struct vnc *v, const char *val, struct err *e)
{
    if (!strcmp(val, "allow-exclusive"))
        v->share = SHARE_ALLOW_EXCLUSIVE;
    else if (!strcmp(val, "force-shared"))
        v->share = SHARE_FORCE;
    else if (!strcmp(val, "ignore"))
        v->share = SHARE_IGNORE;
    else
        return err_set(e, -EINVAL, "share=%s: allow-exclusive, force-shared or ignore is wanted", val);
    return 0;
}

/* What changes nothing here: losing quality is the viewer's to ask for, and there is
 * no sound and no remote power button. */
static bool without_effect(const char *key)
{
    static const char *const keys[] = { "lossy", "non-adaptive", "key-delay-ms", "audiodev" };

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (!strcmp(key, keys[i]))
            return true;
    return false;
}

static int set_item(struct vnc *v, struct vnc_spec *s, const char *key, const char *val,
                    struct err *e)
{
    static const char *const keys[] = { "password", "to", "share", "websocket", "connections", "id", "ipv4",
                                        "ipv6" };
    bool *flag = !strcmp(key, "password") ? &v->need_password : !strcmp(key, "ipv4") ? &s->ipv4 :
                 !strcmp(key, "ipv6") ? &s->ipv6 : NULL;
    const char *near;

    if (flag)
        return to_switch(val, flag) ? 0 : err_set(e, -EINVAL, "%s=%s: on or off is wanted", key, val);
    if (!strcmp(key, "id"))
        return *val && snprintf(v->id, sizeof v->id, "%s", val) < (int)sizeof v->id ? 0 :
               err_set(e, -EINVAL, "id=%s: a name of 1 to %zu bytes is wanted", val, sizeof v->id - 1);
    if (!strcmp(key, "share"))
        return set_share(v, val, e);
    if (!strcmp(key, "to"))
        return to_number(val, DISPLAY_MAX, &s->to) ? 0 :
               err_set(e, -EINVAL, "to=%s: a display number is wanted", val);
    if (!strcmp(key, "connections"))
        return to_number(val, VNC_CLIENTS_MAX, &v->max_clients) && v->max_clients ? 0 :
               err_set(e, -EINVAL, "connections=%s: 1 to %d is wanted", val, VNC_CLIENTS_MAX);
    if (!strcmp(key, "websocket")) {
        s->websocket = strcmp(val, "off") ? val : NULL;
        return 0;
    }
    if (without_effect(key))
        return 0;
    near = nearest_word(key, keys, ARRAY_SIZE(keys));
    return err_set(e, -EINVAL, "%s: not supported%s%s%s", key, near ? " (did you mean " : "",
                   near ? near : "", near ? "?)" : "");
}

/* HOST:N, [V6]:N or :N. */
static int parse_address(struct vnc_spec *s, struct err *e)
{
    const char *colon = strrchr(s->address, ':');
    size_t n = colon ? (size_t)(colon - s->address) : 0;

    if (!colon || !to_number(colon + 1, DISPLAY_MAX, &s->display) || n >= sizeof s->host)
        return err_set(e, -EINVAL, "[HOST]:DISPLAY, unix:PATH or none is wanted");
    if (n > 2 && s->address[0] == '[' && s->address[n - 1] == ']')
        snprintf(s->host, sizeof s->host, "%.*s", (int)n - 2, s->address + 1);
    else
        snprintf(s->host, sizeof s->host, "%.*s", (int)n, s->address);
    return 0;
}

static int parse(struct vnc *v, struct vnc_spec *s, const char *spec, struct err *e)
{
    int ret = kv_parse(&s->kv, spec, e);

    for (size_t i = 0; ret == 0 && i < s->kv.n; i++) {
        const char *key = s->kv.item[i].key, *val = s->kv.item[i].val;

        if (i == 0 && (!*key || !strcmp(key, "vnc")))
            s->address = val;
        else if (!*key)          /* a switch that is named is on */
            ret = set_item(v, s, val, "on", e);
        else
            ret = set_item(v, s, key, val, e);
    }
    if (ret == 0 && !s->address)
        ret = err_set(e, -EINVAL, "[HOST]:DISPLAY, unix:PATH or none is wanted");
    return ret;
}

/* on: at the port that goes with the display number. The library tells by the first bytes what a
 * client speaks, so both ports understand both. */
static int listen_websocket(struct vnc *v, const struct vnc_spec *s, struct err *e)
{
    const char *colon;
    unsigned port = WEBSOCKET_PORT + s->display;
    char host[256];

    if (!s->websocket)
        return 0;
    snprintf(host, sizeof host, "%s", s->host);
    colon = strrchr(s->websocket, ':');
    if (colon)
        snprintf(host, sizeof host, "%.*s", (int)(colon - s->websocket), s->websocket);
    if (strcmp(s->websocket, "on") &&
        !to_number(colon ? colon + 1 : s->websocket, 65535, &port))
        return err_set(e, -EINVAL, "websocket=%s: on, a port or HOST:PORT is wanted", s->websocket);
    return listen_tcp(v, s, host, port, true, e);
}

/* The first display from N to to= whose port is free. */
static int listen_display(struct vnc *v, struct vnc_spec *s, struct err *e)
{
    int ret = parse_address(s, e);

    while (ret == 0) {
        ret = listen_tcp(v, s, s->host, VNC_PORT + s->display, false, e);
        if (ret != -EADDRINUSE || s->display >= s->to)
            break;
        s->display++;
        ret = 0;
    }
    return ret < 0 ? ret : listen_websocket(v, s, e);
}

int vnc_open(struct vnc *v, const char *spec, struct err *e)
{
    struct vnc_spec s = { .to = 0 };
    int ret = parse(v, &s, spec, e);

    if (ret == 0 && s.websocket && (!strncmp(s.address, "unix:", 5) || !strcmp(s.address, "none")))
        ret = err_set(e, -EINVAL, "websocket goes with [HOST]:DISPLAY only");
    else if (ret == 0 && !strncmp(s.address, "unix:", 5))
        ret = listen_unix(v, s.address + 5, e);
    else if (ret == 0 && strcmp(s.address, "none"))
        ret = listen_display(v, &s, e);
    kv_free(&s.kv);
    return ret;
}
