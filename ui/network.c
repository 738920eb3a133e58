/*
 * network.c - from -netdev, -nic and -net to back ends and cards; what
 * the monitor says about them
 *
 * Back ends are opened before the board is built, cards added after it: they
 * then get the first free PCI slots, as people expect.
 */
#include <stdlib.h>
#include "hw/net/nic.h"
#include "ui/commands-int.h"

#define DEFAULT_MODEL "e1000"
#define MAX_PROPS     32

/* ---- lists of properties ------------------------------------------------------------- */

/** struct list - "head,key=value,..." taken apart; ",," is a comma in a value */
struct list {
    char *text;
    unsigned n;
    char *key[MAX_PROPS], *val[MAX_PROPS]; /* val NULL: no '=' */
};

static char *next_item(char *s)
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

static int list_parse(struct list *l, const char *spec, struct err *e)
{
    char *next;

    memset(l, 0, sizeof *l);
    l->text = xstrdup(spec);
    for (char *s = l->text; s && *s; s = next) {
        char *eq;

        next = next_item(s);
        if (l->n == MAX_PROPS)
            return err_set(e, -E2BIG, "more than %d properties", MAX_PROPS);
        eq = strchr(s, '=');
        if (eq)
            *eq++ = 0;
        l->key[l->n] = s;
        l->val[l->n++] = eq;
    }
    return 0;
}

/* Value of @key, which is taken off the list; or NULL. */
static const char *list_take(struct list *l, const char *key)
{
    for (unsigned i = 0; i < l->n; i++) {
        char *val = l->val[i];

        if (!val || strcmp(l->key[i], key))
            continue;
        l->n--;
        memmove(l->key + i, l->key + i + 1, (l->n - i) * sizeof *l->key);
        memmove(l->val + i, l->val + i + 1, (l->n - i) * sizeof *l->val);
        return val;
    }
    return NULL;
}

/* Back to text, commas doubled; to be freed. */
static char *list_text(const struct list *l)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    for (unsigned i = 0; f && i < l->n; i++) {
        fprintf(f, "%s%s", i ? "," : "", l->key[i]);
        for (const char *s = l->val[i] ? l->val[i] : ""; *s; s++)
            fprintf(f, "%s%c%s", s == l->val[i] ? "=" : "", *s, *s == ',' ? "," : "");
        if (l->val[i] && !*l->val[i])
            fputc('=', f);
    }
    if (f)
        fclose(f);
    return text;
}

/* ---- cards ------------------------------------------------------------------------------- */

/** struct card - what an instance being made is to get */
struct card {
    const struct list *l;
    const char *netdev;      /* unless the list says it */
    struct err *e;
    int ret;
};

static void card_setup(struct device *d, const void *arg)
{
    struct card *c = *(struct card *const *)arg;

    prop_defaults(d);
    if (c->netdev)
        c->ret = prop_set(d, "netdev", c->netdev, c->e);
    for (unsigned i = 0; c->ret == 0 && i < c->l->n; i++) {
        c->ret = prop_set(d, c->l->key[i], c->l->val[i] ? c->l->val[i] : "on", c->e);
    }
}

/* Properties first: a wrong one must not leave a half-made card behind. */
static int add_card(struct machine *m, const struct device_type *t, const struct list *l,
                    const char *netdev, struct err *e)
{
    struct err why = { "" };
    struct card c = { .l = l, .netdev = netdev, .e = &why }, *arg = &c;
    struct device *d = machine_add_device(m, t, 0, NULL, card_setup, &arg, e);

    if (c.ret < 0)
        return err_set(e, c.ret, "%s", why.msg);
    return d ? 0 : -EINVAL;
}

static const struct device_type *model(const char *name, struct err *e)
{
    const struct device_type *t = nic_find_type(name ? name : DEFAULT_MODEL);
    const char *const *names = nic_models();
    size_t n = 0;

    while (names[n])
        n++;
    if (!t)
        opt_err_near(e, name, names, n, "", "no network card '%s'", name);
    return t;
}

/* ---- -nic, -net ------------------------------------------------------------------------------ */

/* A "-nic": back end and card in one. @spec NULL: the default. */
static int add_nic(struct machine *m, struct list *l, struct err *e)
{
    static const char *const card_keys[] = { "mac", "addr", "romfile" };
    struct list card = { .n = 0 };
    const struct device_type *t;
    struct netport *p;
    char *spec;

    for (size_t i = 0; i < ARRAY_SIZE(card_keys); i++) {
        const char *v = list_take(l, card_keys[i]);

        if (!v)
            continue;
        card.key[card.n] = (char *)card_keys[i];
        card.val[card.n++] = (char *)v;
    }
    t = model(list_take(l, "model"), e);
    if (!t)
        return -EINVAL;
    if (!l->n)
        return add_card(m, t, &card, NULL, e);
    spec = list_text(l);
    {
        char *id = xasprintf("#nic%u", m->net->next_id++);

        p = net_backend_new(m->net, spec, id, e);
        free(id);
    }
    free(spec);
    return p ? add_card(m, t, &card, p->id, e) : -EINVAL;
}

/* A port of hub 0, where everything that "-net" names meets. */
static struct netport *hub_port(struct net *n, const char *behind, struct err *e)
{
    char *spec = xasprintf("hubport,id=hub0port%u,hubid=0%s%s", n->next_id, behind ? ",netdev=" : "",
                           behind ? behind : "");
    struct netport *p;

    n->next_id++;
    p = net_backend_new(n, spec, NULL, e);
    free(spec);
    return p;
}

static int add_legacy_nic(struct machine *m, struct list *l, struct err *e)
{
    const char *mac = list_take(l, "macaddr"), *netdev = list_take(l, "netdev");
    const struct device_type *t = model(list_take(l, "model"), e);
    struct list card = { .n = mac ? 1 : 0, .key = { "mac" }, .val = { (char *)mac } };
    struct netport *p;

    if (!t)
        return -EINVAL;
    if (netdev)
        return add_card(m, t, &card, netdev, e);
    p = hub_port(m->net, NULL, e);
    return p ? add_card(m, t, &card, p->id, e) : -EINVAL;
}

static int add_legacy_backend(struct machine *m, struct list *l, struct err *e)
{
    char *id = xasprintf("#net%u", m->net->next_id++), *spec = list_text(l);
    struct netport *p = net_backend_new(m->net, spec, id, e);
    int ret = p && hub_port(m->net, p->id, e) ? 0 : -EINVAL;

    free(id);
    free(spec);
    return ret;
}

/* ---- all of them --------------------------------------------------------------------------------- */

static bool is_none(const char *v)
{
    return !strcmp(v, "none");
}

static bool is_legacy_nic(const struct opt_net *n)
{
    return n->kind == NET_LEGACY && !strncmp(n->val, "nic", 3) && (!n->val[3] || n->val[3] == ',');
}

static int one_backend(struct machine *m, const struct opt_net *n, struct err *e)
{
    struct list l;
    int ret;

    if (n->kind == NET_NETDEV)
        return net_backend_new(m->net, n->val, NULL, e) ? 0 : -EINVAL;
    if (n->kind != NET_LEGACY || is_none(n->val) || is_legacy_nic(n))
        return 0;
    ret = list_parse(&l, n->val, e);
    if (ret == 0)
        ret = add_legacy_backend(m, &l, e);
    free(l.text);
    return ret;
}

static int one_card(struct machine *m, const struct opt_net *n, struct err *e)
{
    struct list l;
    int ret = list_parse(&l, n->val, e);

    if (ret == 0 && n->kind == NET_NIC) {
        ret = add_nic(m, &l, e);
    } else if (ret == 0) {
        ret = add_legacy_nic(m, &l, e);
    }
    free(l.text);
    return ret;
}

static const char *const opt_names[] = {
    [NET_NETDEV] = "-netdev", [NET_NIC] = "-nic", [NET_LEGACY] = "-net",
    [NET_DUMP] = "-object",
};

static int blame(const struct opt_net *n, int ret, const struct err *why, struct err *e)
{
    return err_set(e, ret, "%s %s: %s", opt_names[n->kind], n->val, why->msg);
}

/* For -trace net: the first eight letters of the port's name, the direction, the length. */
static void note_frame(void *opaque, const struct netport *p, size_t len)
{
    struct machine *m = opaque;
    char name[8] = "";

    if (!m->trace.event)
        return;
    memcpy(name, p->id, MIN(strlen(p->id), sizeof name));
    m->trace.event(m->trace.opaque, TRACE_NET, (uint64_t[]){ ldl64(name), p->is_card, len }, 3);
}

static void unlock(void *opaque)
{
    machine_unlock(opaque);
}

static void lock(void *opaque)
{
    machine_lock(opaque);
}

/* A card's port is its device's. */
static void rx_filter_changed(void *opaque, const struct netport *p)
{
    struct machine *m = opaque;
    const struct device *d = p->opaque;
    char *path = device_path(m, d, "/virtio-backend");

    machine_event(m, "NIC_RX_FILTER_CHANGED", "{%s%s%s\"path\": \"%s\"}", d->id ? "\"name\": \"" : "",
                  d->id ? d->id : "", d->id ? "\", " : "", path);
    free(path);
}

int run_netdevs(struct run *r, struct err *e)
{
    const struct options *o = r->opt;
    int ret = 0;

    r->m->net = net_new(r->m->loop, &r->m->timers);
    r->m->net->rx_filter_changed = rx_filter_changed;
    r->m->net->rx_filter_opaque = r->m;
    r->m->net->unlock = unlock;
    r->m->net->lock = lock;
    r->m->net->lock_opaque = r->m;
    if (r->opt->trace.kinds & TRACE_HAS(TRACE_NET)) {
        r->m->net->note = note_frame;
        r->m->net->note_opaque = r->m;
    }
    for (unsigned i = 0; i < o->n_net; i++) {
        struct err why = { "" };

        ret = one_backend(r->m, &o->net[i], &why);
        if (ret < 0)
            return blame(&o->net[i], ret, &why, e);
    }
    for (unsigned i = 0; i < o->n_net; i++) {
        struct err why = { "" };

        if (o->net[i].kind != NET_DUMP)
            continue;
        ret = net_dump_new(r->m->net, o->net[i].val, &why);
        if (ret < 0)
            return blame(&o->net[i], ret, &why, e);
    }
    return 0;
}

/* One card on user networking, when nothing was said about networks. */
static int default_nic(struct run *r, struct err *e)
{
    struct list l = { .n = 0 };

#ifdef CONFIG_SLIRP
    l.n = 1;
    l.key[0] = "user";
#endif
    for (const struct opt_dev *d = r->opt->disks.devs; d; d = d->next)
        if (nic_find_type(d->type->type->name))
            return 0;
    return r->opt->nodefaults || r->opt->n_net ? 0 : add_nic(r->m, &l, e);
}

int run_nics(struct run *r, struct err *e)
{
    const struct options *o = r->opt;
    int ret = default_nic(r, e);

    for (unsigned i = 0; ret == 0 && i < o->n_net; i++) {
        const struct opt_net *n = &o->net[i];
        struct err why = { "" };

        if (!is_legacy_nic(n) && (n->kind != NET_NIC || is_none(n->val)))
            continue;
        ret = one_card(r->m, n, &why);
        if (ret < 0)
            return blame(n, ret, &why, e);
    }
    return ret;
}

void run_network_check(const struct run *r)
{
    for (struct netport *p = r->m->net->ports; p; p = p->next)
        if (!p->peer)
            fprintf(stderr, "transom: warning: %s '%s' is not connected to %s\n",
                    p->is_card ? "network card" : "netdev", p->id,
                    p->is_card ? "a back end" : "a card");
}

/* ---- monitor ----------------------------------------------------------------------------------------- */

static struct net *mon_net(struct monitor *mon)
{
    return monitor_machine(mon)->net;
}

static void print_port(struct monitor *mon, const struct netport *p, const char *indent)
{
    monitor_printf(mon, "%s%s: type=%s%s%s%s\n", indent, p->id, p->ops->kind, p->info ? "," : "",
                   p->info ? p->info : "", p->down ? ",link=down" : "");
}

static void info_network(struct monitor *mon, char *rest)
{
    for (struct netport *p = mon_net(mon)->ports; p; p = p->next) {
        if (p->peer && !p->is_card && p->peer->is_card)
            continue;                    /* shown with its card */
        print_port(mon, p, "");
        if (p->peer)
            print_port(mon, p->peer, " \\ ");
    }
}

static void info_usernet(struct monitor *mon, char *rest)
{
    for (struct netport *p = mon_net(mon)->ports; p; p = p->next) {
        char *text = net_user_info(p);

        if (text)
            monitor_printf(mon, "Hub -1 (%s):\n%s", p->id, text);
        free(text);
    }
}

static void hostfwd(struct monitor *mon, char *rest, bool remove)
{
    char *blank = strchr(rest, ' ');
    struct err e = { "" };
    const char *id = NULL, *rule = rest;

    if (blank) {
        *blank = 0;
        id = rest;
        rule = blank + 1 + strspn(blank + 1, " ");
    }
    if (net_user_hostfwd(mon_net(mon), id, rule, remove, &e) < 0)
        monitor_printf(mon, "%s\n", e.msg);
}

static void cmd_hostfwd_add(struct monitor *mon, char *rest)
{
    hostfwd(mon, rest, false);
}

static void cmd_hostfwd_remove(struct monitor *mon, char *rest)
{
    hostfwd(mon, rest, true);
}

const struct monitor_cmd network_infos[] = {
    { "network", "", "network cards and back ends", info_network },
    { "usernet", "", "connections of user networking", info_usernet },
    { NULL, NULL, NULL, NULL }
};

const struct monitor_cmd network_commands[] = {
    { "hostfwd_add", "[ID] tcp|udp:[HOST]:PORT-[GUEST]:PORT", "forward a host port", cmd_hostfwd_add },
    { "hostfwd_remove", "[ID] tcp|udp:[HOST]:PORT", "end a forward", cmd_hostfwd_remove },
    { NULL, NULL, NULL, NULL }
};
