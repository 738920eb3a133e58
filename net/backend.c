/*
 * backend.c - what -netdev says, taken apart; the table of back ends
 */
#include <ctype.h>
#include <stdlib.h>
#include "net/net-int.h"

static const struct {
    const char *name;
    net_make *make;
    const char *props;       /* accepted keys, blank separated */
} kinds[] = {
#ifdef CONFIG_SLIRP
    { "user", net_user_new,
      "net host ipv4 ipv6 ipv6-net ipv6-prefix ipv6-prefixlen ipv6-host ipv6-dns restrict hostname dhcpstart dns dnssearch "
      "domainname smb smbserver tftp tftp-server-name bootfile hostfwd guestfwd mtu" },
#endif
    { "tap", net_tap_new,
      "ifname script downscript fd fds br helper vhost vhostfd vhostfds queues sndbuf vnet_hdr" },
    { "bridge", net_bridge_new, "br helper" },
    { "socket", net_socket_new, "fd listen connect mcast localaddr udp" },
    { "stream", net_stream_new,
      "server addr.type addr.host addr.port addr.path addr.abstract addr.tight addr.ipv4 addr.ipv6 "
      "addr.numeric addr.keep-alive addr.str reconnect reconnect-ms" },
    { "dgram", net_dgram_new,
      "local.type local.host local.port local.path local.abstract local.tight local.ipv4 local.ipv6 "
      "local.numeric local.str remote.type remote.host remote.port remote.path remote.abstract "
      "remote.tight remote.ipv4 remote.ipv6 remote.numeric" },
    { "hubport", net_hubport_new, "hubid netdev" },
    { "null", net_null_new, "" },
};

/* ---- properties ----------------------------------------------------------------- */

/* One item up to a comma; ",," stands for one. Returns what follows. */
static char *item(char *s)
{
    char *out = s;

    for (; *s; s++) {
        if (*s == ',' && *++s != ',') {
            *out = 0;
            return s;
        }
        *out++ = *s;
    }
    *out = 0;
    return NULL;
}

int props_parse(struct net_props *ps, const char *spec, struct err *e)
{
    char *s, *next, *eq;

    memset(ps, 0, sizeof *ps);
    ps->text = xstrdup(spec);
    for (s = ps->text; s && *s; s = next) {
        next = item(s);
        if (ps->n == NET_MAX_PROPS) {
            props_free(ps);
            return err_set(e, -E2BIG, "more than %d properties", NET_MAX_PROPS);
        }
        eq = strchr(s, '=');
        if (eq)
            *eq = 0;
        ps->p[ps->n].key = s;
        ps->p[ps->n++].val = eq ? eq + 1 : NULL;
    }
    return 0;
}

void props_free(struct net_props *ps)
{
    free(ps->text);
    memset(ps, 0, sizeof *ps);
}

const char *props_get(struct net_props *ps, const char *key, const char *def)
{
    const char *v = def;

    for (unsigned i = 0; i < ps->n; i++)
        if (!strcmp(ps->p[i].key, key)) {
            v = ps->p[i].val ? ps->p[i].val : "on";
            ps->p[i].used = true;
        }
    return v;
}

const char *props_next(struct net_props *ps, const char *key, unsigned *i)
{
    while (*i < ps->n) {
        unsigned at = (*i)++;

        if (strcmp(ps->p[at].key, key))
            continue;
        ps->p[at].used = true;
        return ps->p[at].val ? ps->p[at].val : "";
    }
    return NULL;
}

int props_bool(struct net_props *ps, const char *key, bool def, bool *v, struct err *e)
{
    const char *s = props_get(ps, key, def ? "on" : "off");

    *v = !strcmp(s, "on") || !strcmp(s, "yes") || !strcmp(s, "y") || !strcmp(s, "true");
    if (*v || !strcmp(s, "off") || !strcmp(s, "no") || !strcmp(s, "n") || !strcmp(s, "false"))
        return 0;
    return err_set(e, -EINVAL, "%s=%s: on or off is wanted", key, s);
}

int props_number(struct net_props *ps, const char *key, unsigned long max, long def, long *v,
                 struct err *e)
{
    const char *s = props_get(ps, key, NULL);
    char *end;
    unsigned long n;

    *v = def;
    if (!s)
        return 0;
    n = strtoul(s, &end, 0);
    if (!isdigit((unsigned char)*s) || *end || n > max)
        return err_set(e, -EINVAL, "%s=%s: a number up to %lu is wanted", key, s, max);
    *v = n;
    return 0;
}

/* ---- the table --------------------------------------------------------------------- */

/* The keys of @list as words; returns how many. @text holds them. */
static size_t words(const char *list, char *text, size_t room, const char **w, size_t max)
{
    size_t n = 0;
    char *save = NULL;

    snprintf(text, room, "%s", list);
    for (char *t = strtok_r(text, " ", &save); t && n < max; t = strtok_r(NULL, " ", &save))
        w[n++] = t;
    return n;
}

int props_check(const char *kind, const char *list, struct net_props *ps, struct err *e)
{
    char text[512];
    const char *w[64], *near;
    size_t n = words(list, text, sizeof text, w, ARRAY_SIZE(w));

    for (unsigned i = 0; i < ps->n; i++) {
        size_t k = 0;

        if (ps->p[i].used)
            continue;
        while (k < n && strcmp(w[k], ps->p[i].key))
            k++;
        if (k < n)
            continue;
        near = nearest_word(ps->p[i].key, w, n);
        return err_set(e, -EINVAL, "%s: no property '%s'%s%s%s", kind, ps->p[i].key,
                       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    }
    return 0;
}

const char *net_backend_kind(size_t i)
{
    return i < ARRAY_SIZE(kinds) ? kinds[i].name : NULL;
}

static struct netport *no_kind(const char *kind, struct err *e)
{
    const char *names[ARRAY_SIZE(kinds)], *near;
    char all[128] = "";

    if (!strcmp(kind, "user")) {
        err_set(e, -ENOTSUP, "user networking was left out (libslirp was not found by configure)");
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        names[i] = kinds[i].name;
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", names[i]);
    }
    near = nearest_word(kind, names, ARRAY_SIZE(names));
    if (near)
        err_set(e, -EINVAL, "no network back end '%s' (did you mean %s?)", kind, near);
    else
        err_set(e, -EINVAL, "no network back end '%s': there are %s", kind, all);
    return NULL;
}

static struct netport *make(struct net *n, const char *kind, const char *id,
                            struct net_props *ps, struct err *e)
{
    size_t i = 0;

    while (i < ARRAY_SIZE(kinds) && strcmp(kind, kinds[i].name))
        i++;
    if (i == ARRAY_SIZE(kinds))
        return no_kind(kind, e);
    if (net_find(n, id)) {
        err_set(e, -EEXIST, "there is a netdev '%s' already", id);
        return NULL;
    }
    if (props_check(kind, kinds[i].props, ps, e) < 0)
        return NULL;
    return kinds[i].make(n, id, ps, e);
}

struct netport *net_backend_new(struct net *n, const char *spec, const char *id, struct err *e)
{
    struct net_props ps;
    struct netport *p = NULL;
    const char *kind, *given;

    if (props_parse(&ps, spec, e) < 0)
        return NULL;
    kind = ps.n && !ps.p[0].val ? ps.p[0].key : props_get(&ps, "type", NULL);
    if (ps.n && !ps.p[0].val)
        ps.p[0].used = true;
    given = props_get(&ps, "id", NULL);
    if (!kind)
        err_set(e, -EINVAL, "the kind of back end comes first, e.g. user,id=n0");
    else if (given ? !*given : !id)
        err_set(e, -EINVAL, "%s: id= is missing", kind);
    else if (given && !id_is_good(given))
        err_set(e, -EINVAL, "id=%s: a letter is wanted, then letters, digits, '-', '.' or '_'", given);
    else
        p = make(n, kind, given ? given : id, &ps, e);
    props_free(&ps);
    return p;
}
