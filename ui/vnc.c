/*
 * vnc.c - the VNC server: its option, its listeners, who is connected
 */
#define _GNU_SOURCE 1
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <rfb/rfb.h>
#include "ui/kv.h"
#include "ui/vnc-int.h"

#define VNC_PORT 5900
#define WEBSOCKET_PORT 5700
#define DISPLAY_MAX (65535 - VNC_PORT)

/* ---- the console's side ------------------------------------------------------------ */

static void tell_all(struct vnc *v, const struct rect *r)
{
    pthread_mutex_lock(&v->lock);
    for (struct vnc_client *c = v->clients; c; c = c->next)
        vnc_client_damage(c, r);
    pthread_mutex_unlock(&v->lock);
}

static void on_resized(struct console_viewer *viewer)
{
    tell_all(viewer->opaque, NULL);
}

static void on_damaged(struct console_viewer *viewer, const struct rect *r)
{
    tell_all(viewer->opaque, r);
}

/* ---- clients ------------------------------------------------------------------------- */

/* Take those whose thread has ended out of the list. */
static struct vnc_client *take_finished(struct vnc *v, bool all)
{
    struct vnc_client *out = NULL;

    pthread_mutex_lock(&v->lock);
    for (struct vnc_client **p = &v->clients; *p; ) {
        struct vnc_client *c = *p;

        if (!all && !__atomic_load_n(&c->finished, __ATOMIC_SEQ_CST)) {
            p = &c->next;
            continue;
        }
        *p = c->next;
        c->next = out;
        out = c;
        v->n_clients--;
    }
    pthread_mutex_unlock(&v->lock);
    return out;
}

static void reap(struct vnc *v, bool all)
{
    struct vnc_client *c = take_finished(v, all), *next;

    for (struct vnc_client *k = c; all && k; k = k->next)
        vnc_client_stop(k);
    for (; c; c = next) {
        next = c->next;
        vnc_client_free(c);
    }
}

static void peer_name(int fd, char *name, size_t size)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    char host[64], port[16];

    snprintf(name, size, "unix socket");
    if (getpeername(fd, (struct sockaddr *)&a, &len) < 0 || a.ss_family == AF_UNIX)
        return;
    if (!getnameinfo((struct sockaddr *)&a, len, host, sizeof host, port, sizeof port,
                     NI_NUMERICHOST | NI_NUMERICSERV))
        snprintf(name, size, "%s:%s", host, port);
}

void vnc_serve(struct vnc *v, int fd)
{
    int one = 1;

    reap(v, false);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);   /* no matter when it is none */
    pthread_mutex_lock(&v->lock);
    if (v->n_clients >= v->max_clients)
        close(fd);
    else if (vnc_client_start(v, fd) == 0)
        peer_name(v->clients->fd, v->clients->peer, sizeof v->clients->peer);
    pthread_mutex_unlock(&v->lock);
}

static void on_connect(void *opaque, int fd, short revents)
{
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    if (peer >= 0)
        vnc_serve(opaque, peer);
}

/* ---- listening -------------------------------------------------------------------------- */

static int add_listener(struct vnc *v, int fd)
{
    if (listen(fd, 8) < 0 || v->n_listeners == VNC_LISTENERS) {
        int ret = -errno;

        close(fd);
        return ret;
    }
    v->listener[v->n_listeners++] = fd;
    loop_add_fd(v->m->loop, fd, POLLIN, on_connect, v);
    return 0;
}

static int bind_one(struct vnc *v, const struct addrinfo *a)
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
    return add_listener(v, fd);
}

/* Every address of @host (NULL: all interfaces) at @port: all or, in use, none. */
static int listen_tcp(struct vnc *v, const char *host, unsigned port, struct err *e)
{
    struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
    struct addrinfo *list;
    unsigned before = v->n_listeners;
    char text[8];
    int ret, bad = 0;

    snprintf(text, sizeof text, "%u", port);
    ret = getaddrinfo(host, text, &hints, &list);
    if (ret)
        return err_set(e, -EINVAL, "%s: %s", host ? host : "*", gai_strerror(ret));
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        ret = bind_one(v, a);
        if (ret < 0 && (!bad || ret == -EADDRINUSE))
            bad = ret;
    }
    freeaddrinfo(list);
    if (v->n_listeners > before && bad != -EADDRINUSE)
        return 0;                /* a host without IPv6 has it in /etc/hosts often */
    while (v->n_listeners > before) {
        loop_del_fd(v->m->loop, v->listener[--v->n_listeners]);
        close(v->listener[v->n_listeners]);
    }
    if (bad == -EADDRINUSE)
        return err_set(e, bad, "port %u is in use", port);
    return err_set(e, bad, "port %u: %s", port, strerror(-bad));
}

static int listen_unix(struct vnc *v, const char *path, struct err *e)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd;

    if (!*path || strlen(path) >= sizeof a.sun_path)
        return err_set(e, -EINVAL, "a path of 1 to %zu bytes is wanted", sizeof a.sun_path - 1);
    strcpy(a.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(e, -errno, "%s", strerror(errno));
    unlink(path);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        int ret = err_set(e, -errno, "%s: %s", path, strerror(errno));

        close(fd);
        return ret;
    }
    v->unix_path = xstrdup(path);
    snprintf(v->address, sizeof v->address, "unix:%.100s", path);
    return add_listener(v, fd);
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

struct vnc_spec {
    struct kv_list kv;
    const char *address;         /* without its number */
    char host[256];
    unsigned display, to;
    const char *websocket;       /* "on", PORT, HOST:PORT, or NULL */
};

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
    static const char *const keys[] = { "id", "lossy", "non-adaptive", "key-delay-ms", "audiodev",
                                        "ipv4", "ipv6", "display", "head" };

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (!strcmp(key, keys[i]))
            return true;
    return false;
}

static int set_item(struct vnc *v, struct vnc_spec *s, const char *key, const char *val,
                    struct err *e)
{
    static const char *const keys[] = { "password", "to", "share", "websocket", "connections" };
    const char *near;

    if (!strcmp(key, "password"))
        return to_switch(val, &v->need_password) ? 0 :
               err_set(e, -EINVAL, "password=%s: on or off is wanted", val);
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

static int parse(struct vnc *v, struct vnc_spec *s, struct err *e)
{
    int ret = kv_parse(&s->kv, v->spec, e);

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

/* The server listens for WebSockets at its own port, too: the library tells by the
 * first bytes. */
static int listen_websocket(struct vnc *v, const struct vnc_spec *s, unsigned display, struct err *e)
{
    const char *colon;
    unsigned port = WEBSOCKET_PORT + display;
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
    return listen_tcp(v, *host ? host : NULL, port, e);
}

static int open_all(struct vnc *v, struct err *e)
{
    struct vnc_spec s = { .to = 0 };
    int ret = parse(v, &s, e);

    if (ret == 0 && !strncmp(s.address, "unix:", 5)) {
        ret = listen_unix(v, s.address + 5, e);
    } else if (ret == 0 && strcmp(s.address, "none")) {
        ret = parse_address(&s, e);
        for (unsigned d = s.display; ret == 0; d++) {
            ret = listen_tcp(v, *s.host ? s.host : NULL, VNC_PORT + d, e);
            if (ret == 0) {
                s.display = d;
                snprintf(v->address, sizeof v->address, "%.100s:%u", *s.host ? s.host : "*",
                         VNC_PORT + d);
                break;
            }
            if (ret == -EADDRINUSE && d < s.to)
                ret = 0;         /* the next */
        }
        if (ret == 0)
            ret = listen_websocket(v, &s, s.display, e);
    }
    kv_free(&s.kv);
    return ret;
}

/* ---- life -------------------------------------------------------------------------------------- */

static void library_log(const char *format, ...)
{
    char text[400];
    va_list ap;

    if (!log_on(LOG_DISPLAY))
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    log_write("vnc: %s", text);
}

struct vnc *vnc_new(struct machine *m, const char *spec, const char *name, struct err *e)
{
    struct vnc *v = xzalloc(sizeof *v);
    struct err why = { "" };

    v->m = m;
    v->spec = xstrdup(spec);
    v->name = xstrdup(name);
    v->max_clients = VNC_CLIENTS_MAX;
    snprintf(v->address, sizeof v->address, "none");
    pthread_mutex_init(&v->encoder, NULL);
    pthread_mutex_init(&v->lock, NULL);
    v->viewer = (struct console_viewer){ .resized = on_resized, .damaged = on_damaged, .opaque = v };
    rfbLog = rfbErr = library_log;
    if (open_all(v, &why) == 0)
        return v;
    err_set(e, -EINVAL, "%s: %s", spec, why.msg);
    vnc_free(v);
    return NULL;
}

void vnc_free(struct vnc *v)
{
    if (!v)
        return;
    for (unsigned i = 0; i < v->n_listeners; i++) {
        loop_del_fd(v->m->loop, v->listener[i]);
        close(v->listener[i]);
    }
    reap(v, true);
    if (v->unix_path)
        unlink(v->unix_path);
    pthread_mutex_destroy(&v->encoder);
    pthread_mutex_destroy(&v->lock);
    free(v->unix_path);
    free(v->spec);
    free(v->name);
    free(v);
}

int vnc_password(struct vnc *v, const char *password, struct err *e)
{
    if (!v->need_password)
        return err_set(e, -EINVAL, "the server asks for no password (-vnc ...,password=on)");
    pthread_mutex_lock(&v->lock);
    memset(v->password, 0, sizeof v->password);
    memcpy(v->password, password, MIN(strlen(password), sizeof v->password - 1));
    v->password_set = true;
    pthread_mutex_unlock(&v->lock);
    return 0;
}

void vnc_info(struct vnc *v, FILE *f)
{
    fprintf(f, "default:\n  Server: %s\n  Auth: %s\n", v->address, v->need_password ? "vnc" : "none");
    pthread_mutex_lock(&v->lock);
    for (const struct vnc_client *c = v->clients; c; c = c->next)
        if (!__atomic_load_n(&c->finished, __ATOMIC_SEQ_CST))
            fprintf(f, "  Client: %s\n", c->peer);
    pthread_mutex_unlock(&v->lock);
}
