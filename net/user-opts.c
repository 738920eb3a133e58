/*
 * user-opts.c - user networking: addresses, forwarded ports
 */
#ifdef CONFIG_SLIRP
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "net/user-int.h"

/* ---- addresses ----------------------------------------------------------------------- */

static int get_ip(struct net_props *ps, const char *key, uint32_t def, struct in_addr *a,
                  struct err *e)
{
    const char *s = props_get(ps, key, NULL);

    a->s_addr = htonl(def);
    if (s && !inet_aton(s, a))
        return err_set(e, -EINVAL, "%s=%s: an IPv4 address is wanted", key, s);
    return 0;
}

static int get_ip6(struct net_props *ps, const char *key, const char *def, struct in6_addr *a,
                   struct err *e)
{
    const char *s = props_get(ps, key, def);

    if (inet_pton(AF_INET6, s, a) != 1)
        return err_set(e, -EINVAL, "%s=%s: an IPv6 address is wanted", key, s);
    return 0;
}

/* "10.0.2.0/24", "10.0.2.0/255.255.255.0" or an address whose class says it */
static int get_net(struct net_props *ps, uint32_t *net, uint32_t *mask, struct err *e)
{
    const char *s = props_get(ps, "net", "10.0.2.0/24"), *slash = strchr(s, '/');
    char addr[64];
    struct in_addr a, m = { 0 };
    char *end = NULL;
    long len = -1;

    snprintf(addr, sizeof addr, "%.*s", slash ? (int)(slash - s) : (int)strlen(s), s);
    if (slash)
        len = strtol(slash + 1, &end, 10);
    if (!inet_aton(addr, &a) || (slash && *end && !inet_aton(slash + 1, &m)) ||
        (slash && !*end && (len < 4 || len > 28)))
        return err_set(e, -EINVAL, "net=%s: ADDRESS/BITS is wanted, 4 to 28 bits", s);
    *net = ntohl(a.s_addr);
    if (!slash)
        *mask = *net >> 31 == 0 ? 0xff000000 : *net >> 30 == 2 ? 0xffff0000 : 0xffffff00;
    else
        *mask = *end ? ntohl(m.s_addr) : ~0u << (32 - len);
    *net &= *mask;
    return 0;
}

static int config4(struct net_props *ps, SlirpConfig *c, struct err *e)
{
    uint32_t net = 0, mask = 0;

    if (get_net(ps, &net, &mask, e) < 0 ||
        get_ip(ps, "host", net | 2, &c->vhost, e) < 0 ||
        get_ip(ps, "dns", net | 3, &c->vnameserver, e) < 0 ||
        get_ip(ps, "dhcpstart", net | (15 & ~mask), &c->vdhcp_start, e) < 0)
        return -EINVAL;
    c->vnetwork.s_addr = htonl(net);
    c->vnetmask.s_addr = htonl(mask);
    if ((ntohl(c->vhost.s_addr) & mask) != net || (ntohl(c->vnameserver.s_addr) & mask) != net ||
        (ntohl(c->vdhcp_start.s_addr) & mask) != net)
        return err_set(e, -EINVAL, "user: host, dns and dhcpstart belong into the network of net=");
    if (c->vhost.s_addr == c->vnameserver.s_addr || c->vhost.s_addr == c->vdhcp_start.s_addr ||
        c->vdhcp_start.s_addr == c->vnameserver.s_addr)
        return err_set(e, -EINVAL, "user: host, dns and dhcpstart are the same address");
    return 0;
}

static int config6(struct net_props *ps, SlirpConfig *c, struct err *e)
{
    const char *prefix = props_get(ps, "ipv6-prefix", "fec0::");
    const char *s = props_get(ps, "ipv6-net", prefix), *slash = strchr(s, '/');
    char addr[64], host[80], dns[80], *end;
    long len;

    if (props_number(ps, "ipv6-prefixlen", 126, 64, &len, e) < 0)
        return -EINVAL;
    if (slash) {
        len = strtol(slash + 1, &end, 10);
        if (end == slash + 1 || *end)
            len = -1;
    }
    snprintf(addr, sizeof addr, "%.*s", slash ? (int)(slash - s) : (int)strlen(s), s);
    if (inet_pton(AF_INET6, addr, &c->vprefix_addr6) != 1 || len < 0 || len > 126)
        return err_set(e, -EINVAL, "ipv6-net=%s: PREFIX/BITS is wanted, 0 to 126 bits", s);
    c->vprefix_len = len;
    c->vhost6 = c->vnameserver6 = c->vprefix_addr6;
    c->vhost6.s6_addr[15] |= 2;
    c->vnameserver6.s6_addr[15] |= 3;
    inet_ntop(AF_INET6, &c->vhost6, host, sizeof host);
    inet_ntop(AF_INET6, &c->vnameserver6, dns, sizeof dns);
    if (get_ip6(ps, "ipv6-host", host, &c->vhost6, e) < 0)
        return -EINVAL;
    return get_ip6(ps, "ipv6-dns", dns, &c->vnameserver6, e);
}

static void config_search(struct user *u, struct net_props *ps, SlirpConfig *c)
{
    unsigned n = 0, i = 0;
    const char *s;

    u->dnssearch = xzalloc((ps->n + 1) * sizeof *u->dnssearch);
    while ((s = props_next(ps, "dnssearch", &i)))
        u->dnssearch[n++] = s;
    c->vdnssearch = n ? u->dnssearch : NULL;
}

int user_config(struct user *u, struct net_props *ps, SlirpConfig *c, struct err *e)
{
    bool on;
    long mtu;

    memset(c, 0, sizeof *c);
    c->version = 1;
    if (config4(ps, c, e) < 0 || config6(ps, c, e) < 0)
        return -EINVAL;
    if (props_bool(ps, "restrict", false, &on, e) < 0)
        return -EINVAL;
    c->restricted = on;
    if (props_bool(ps, "ipv4", true, &c->in_enabled, e) < 0 ||
        props_bool(ps, "ipv6", true, &c->in6_enabled, e) < 0 ||
        props_number(ps, "mtu", 65521, 0, &mtu, e) < 0)
        return -EINVAL;
    if (!c->in_enabled && !c->in6_enabled)
        return err_set(e, -EINVAL, "user: neither IPv4 nor IPv6 is left");
    c->if_mtu = c->if_mru = mtu;
    c->vhostname = props_get(ps, "hostname", NULL);
    c->vdomainname = props_get(ps, "domainname", NULL);
    c->tftp_path = props_get(ps, "tftp", NULL);
    c->tftp_server_name = props_get(ps, "tftp-server-name", NULL);
    c->bootfile = props_get(ps, "bootfile", NULL);
    if (c->tftp_path && access(c->tftp_path, R_OK) < 0)
        return err_set(e, -errno, "tftp=%s: %s", c->tftp_path, strerror(errno));
    config_search(u, ps, c);
    netport_info(&u->port, "net=%s,restrict=%s", inet_ntoa(c->vnetwork), on ? "on" : "off");
    return 0;
}

/* ---- forwarded ports --------------------------------------------------------------------- */

/* "[ADDR]:PORT" up to @end_char (0: the end); returns what follows, or NULL */
static const char *addr_port(const char *s, char end_char, struct in_addr *a, int *port)
{
    const char *colon = strchr(s, ':');
    char text[64], *end;
    long n;

    if (!colon || colon - s >= (int)sizeof text)
        return NULL;
    snprintf(text, sizeof text, "%.*s", (int)(colon - s), s);
    a->s_addr = INADDR_ANY;
    if (*text && !inet_aton(text, a))
        return NULL;
    n = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || n < 0 || n > 65535 || *end != end_char)
        return NULL;
    *port = n;
    return *end ? end + 1 : end;
}

static const char *protocol(const char *s, bool *udp)
{
    *udp = !strncmp(s, "udp:", 4);
    if (*udp || !strncmp(s, "tcp:", 4))
        return s + 4;
    return *s == ':' ? s + 1 : NULL;      /* TCP */
}

static int hostfwd(struct user *u, const char *rule, struct err *e)
{
    struct in_addr host, guest;
    int host_port, guest_port;
    bool udp;
    const char *s = protocol(rule, &udp);

    s = s ? addr_port(s, '-', &host, &host_port) : NULL;
    s = s ? addr_port(s, 0, &guest, &guest_port) : NULL;
    if (!s || !guest_port)
        return err_set(e, -EINVAL, "hostfwd=%s: tcp|udp:[HOST]:PORT-[GUEST]:PORT is wanted", rule);
    errno = 0;
    if (slirp_add_hostfwd(u->slirp, udp, host, host_port, guest, guest_port) < 0)
        return err_set(e, -EADDRINUSE, "hostfwd=%s: %s port %d: %s", rule, udp ? "UDP" : "TCP",
                       host_port, errno ? strerror(errno) : "cannot be had");
    return 0;
}

static int hostfwd_remove(struct user *u, const char *rule, struct err *e)
{
    struct in_addr host;
    int port;
    bool udp;
    const char *s = protocol(rule, &udp);

    if (!s || (!addr_port(s, 0, &host, &port) && !addr_port(s, '-', &host, &port)))
        return err_set(e, -EINVAL, "%s: tcp|udp:[HOST]:PORT is wanted", rule);
    if (slirp_remove_hostfwd(u->slirp, udp, host, port) < 0)
        return err_set(e, -ENOENT, "%s: there is no such forward", rule);
    return 0;
}

int net_user_hostfwd(struct net *n, const char *id, const char *rule, bool remove, struct err *e)
{
    struct netport *p = id ? net_find(n, id) : n->ports;

    while (!id && p && !user_is(p))
        p = p->next;
    if (!p || !user_is(p))
        return err_set(e, -ENOENT, "%s%sno user network", id ? id : "", id ? ": " : "");
    return remove ? hostfwd_remove(p->opaque, rule, e) : hostfwd(p->opaque, rule, e);
}

/* ---- guestfwd: a server inside the guest's network -------------------------------------------- */

/** struct user_fwd - a TCP port in the guest's network, a socket of the host */
struct user_fwd {
    struct user *u;
    struct user_fwd *next;
    struct in_addr addr;
    int port, fd;
    bool ended;              /* nothing more to read */
};

static ssize_t fwd_write(const void *buf, size_t len, void *opaque)
{
    struct user_fwd *f = opaque;
    ssize_t n = send(f->fd, buf, len, MSG_NOSIGNAL);

    return n < 0 && errno != EAGAIN ? -1 : MAX(n, 0);
}

static void fwd_readable(void *opaque, int fd, short revents)
{
    struct user_fwd *f = opaque;
    uint8_t buf[4096];
    size_t room = slirp_socket_can_recv(f->u->slirp, f->addr, f->port);
    ssize_t n;

    if (!room) {                 /* until user_fwd_resume() */
        loop_add_fd(f->u->port.net->loop, fd, 0, fwd_readable, f);
        return;
    }
    n = recv(fd, buf, MIN(room, sizeof buf), MSG_DONTWAIT);
    if (n > 0)
        slirp_socket_recv(f->u->slirp, f->addr, f->port, buf, n);
    else if (n == 0 || errno != EAGAIN) {
        f->ended = true;
        loop_del_fd(f->u->port.net->loop, fd);
    }
}

void user_fwd_resume(struct user *u)
{
    for (struct user_fwd *f = u->fwds; f; f = f->next)
        if (!f->ended && slirp_socket_can_recv(u->slirp, f->addr, f->port))
            loop_add_fd(u->port.net->loop, f->fd, POLLIN, fwd_readable, f);
}

static int connect_tcp(const char *where, struct err *e)
{
    const char *colon = strrchr(where, ':');
    struct addrinfo *ai, *a;
    int fd = -1, rc = 0;
    struct err why;
    char host[128];

    if (!colon || colon - where >= (int)sizeof host)
        return err_set(e, -EINVAL, "tcp:%s: HOST:PORT is wanted", where);
    snprintf(host, sizeof host, "%.*s", (int)(colon - where), where);
    if (host_lookup(host, colon + 1, SOCK_STREAM, AF_UNSPEC, 0, &ai, &why) < 0)
        return err_set(e, -EINVAL, "tcp:%s: %s", where, why.msg);
    for (a = ai; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0)
            break;
        rc = errno;
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(ai);
    return fd >= 0 ? fd : err_set(e, -rc, "tcp:%s: %s", where, strerror(rc));
}

static int fwd_socket(struct user *u, const char *where, struct in_addr addr, int port,
                      struct err *e)
{
    int fd = connect_tcp(where, e);
    struct user_fwd *f;

    if (fd < 0)
        return fd;
    f = xzalloc(sizeof *f);
    *f = (struct user_fwd){ .u = u, .next = u->fwds, .addr = addr, .port = port, .fd = fd };
    if (slirp_add_guestfwd(u->slirp, fwd_write, f, &f->addr, port) < 0) {
        close(fd);
        free(f);
        return -EINVAL;
    }
    u->fwds = f;
    loop_add_fd(u->port.net->loop, fd, POLLIN, fwd_readable, f);
    return 0;
}

void user_fwd_free(struct user *u)
{
    struct user_fwd *f;

    while ((f = u->fwds)) {
        u->fwds = f->next;
        loop_del_fd(u->port.net->loop, f->fd);
        close(f->fd);
        free(f);
    }
}

static int guestfwd(struct user *u, const char *rule, struct err *e)
{
    struct err why = { "" };
    struct in_addr addr;
    int port, ret;
    bool udp;
    const char *s = protocol(rule, &udp);

    s = s && !udp ? addr_port(s, '-', &addr, &port) : NULL;
    if (!s)
        return err_set(e, -EINVAL, "guestfwd=%s: tcp:ADDR:PORT-cmd:COMMAND, -unix:PATH or "
                       "-tcp:HOST:PORT is wanted", rule);
    if (!strncmp(s, "cmd:", 4))
        ret = slirp_add_exec(u->slirp, s + 4, &addr, port);
    else if (!strncmp(s, "unix:", 5))
        ret = slirp_add_unix(u->slirp, s + 5, &addr, port);
    else if (!strncmp(s, "tcp:", 4))
        ret = fwd_socket(u, s + 4, addr, port, &why);
    else
        return err_set(e, -ENOTSUP, "guestfwd=%s: only cmd:, unix: and tcp: are supported", rule);
    if (ret < 0)
        return err_set(e, -EINVAL, "guestfwd=%s: %s", rule, *why.msg ? why.msg :
                       "the address is not in the guest's network, or taken");
    return 0;
}

int user_forwards(struct user *u, struct net_props *ps, struct err *e)
{
    const char *rule;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && (rule = props_next(ps, "hostfwd", &i)); )
        ret = hostfwd(u, rule, e);
    for (unsigned i = 0; ret == 0 && (rule = props_next(ps, "guestfwd", &i)); )
        ret = guestfwd(u, rule, e);
    return ret;
}
#else
#include "net/net-int.h"

int net_user_hostfwd(struct net *n, const char *id, const char *rule, bool remove, struct err *e)
{
    return err_set(e, -ENOTSUP, "user networking was left out");
}

char *net_user_info(struct netport *p)
{
    return NULL;
}
#endif
