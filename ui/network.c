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

/* ---- cards ------------------------------------------------------------------------------- */

/** struct card - what an instance being made is to get */
struct card {
    const struct kv_list *props;
    const char *netdev;      /* or NULL */
    struct err *e;
    int ret;
};

static void card_setup(struct device *d, const void *arg)
{
    struct card *c = *(struct card *const *)arg;

    prop_defaults(d);
    if (c->netdev)
        c->ret = prop_set(d, "netdev", c->netdev, c->e);
    for (size_t i = 0; c->ret == 0 && i < c->props->n; i++)
        c->ret = prop_set(d, c->props->item[i].key, c->props->item[i].val, c->e);
}

/* Properties first: a wrong one must not leave a half-made card behind. */
static int add_card(struct machine *m, const struct device_type *t, const struct kv_list *props,
                    const char *netdev, struct err *e)
{
    struct err why = { "" };
    struct card c = { .props = props, .netdev = netdev, .e = &why }, *arg = &c;
    struct device *d = machine_add_device(m, t, 0, NULL, card_setup, &arg, e);

    if (c.ret < 0)
        return err_set(e, c.ret, "%s", why.msg);
    return d ? 0 : -EINVAL;
}

/* What is the card's moves from @l to @card; "macaddr" is an old name. */
static void take_card_props(struct kv_list *l, struct kv_list *card)
{
    static const char *const keys[] = { "mac", "macaddr", "addr", "vectors", "romfile", "bootindex" };

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *v = kv_get(l, keys[i]);

        if (v)
            kv_add(card, !strcmp(keys[i], "macaddr") ? "mac" : keys[i], v);
        kv_del(l, keys[i]);
    }
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

/* A "-nic": back end and card in one; nothing for a back end: a card without a cable. */
static int add_nic(struct machine *m, struct kv_list *l, struct err *e)
{
    struct kv_list card = { NULL, 0 };
    const struct device_type *t = model(kv_get(l, "model"), e);
    char *id = NULL, *spec = NULL;
    struct netport *p = NULL;
    int ret = t ? 0 : -EINVAL;

    take_card_props(l, &card);
    kv_del(l, "model");
    if (ret == 0 && l->n) {
        spec = net_list_text(l);
        id = xasprintf("#nic%u", m->net->next_id++);
        p = net_backend_new(m->net, spec, id, e);
        ret = p ? 0 : -EINVAL;
    }
    if (ret == 0)
        ret = add_card(m, t, &card, p ? p->id : NULL, e);
    free(id);
    free(spec);
    kv_free(&card);
    return ret;
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

/* "nic,model=,macaddr=,netdev=,addr=,vectors=,name=" */
static int add_legacy_nic(struct machine *m, struct kv_list *l, struct err *e)
{
    const struct device_type *t = model(kv_get(l, "model"), e);
    const char *netdev = kv_get(l, "netdev");
    struct kv_list card = { NULL, 0 };
    struct netport *p = NULL;
    int ret = t ? 0 : -EINVAL;

    take_card_props(l, &card);
    for (size_t i = 1; ret == 0 && i < l->n; i++)   /* 0: "nic" */
        if (strcmp(l->item[i].key, "model") && strcmp(l->item[i].key, "netdev") &&
            strcmp(l->item[i].key, "name"))
            ret = err_set(e, -EINVAL, "no property '%s': there are model, macaddr, netdev, addr, "
                          "vectors, name", *l->item[i].key ? l->item[i].key : l->item[i].val);
    if (ret == 0 && !netdev) {
        p = hub_port(m->net, NULL, e);
        ret = p ? 0 : -EINVAL;
    }
    if (ret == 0)
        ret = add_card(m, t, &card, netdev ? netdev : p->id, e);
    kv_free(&card);
    return ret;
}

static int add_legacy_backend(struct machine *m, const struct kv_list *l, struct err *e)
{
    char *id = xasprintf("#net%u", m->net->next_id++), *spec = net_list_text(l);
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
    struct kv_list l = { NULL, 0 };
    int ret;

    if (n->kind == NET_NETDEV)
        return net_backend_new(m->net, n->val, NULL, e) ? 0 : -EINVAL;
    if (n->kind != NET_LEGACY || is_none(n->val) || is_legacy_nic(n))
        return 0;
    ret = kv_parse(&l, n->val, e);
    if (ret == 0)
        ret = add_legacy_backend(m, &l, e);
    kv_free(&l);
    return ret;
}

static int one_card(struct machine *m, const struct opt_net *n, struct err *e)
{
    struct kv_list l = { NULL, 0 };
    int ret = kv_parse(&l, n->val, e);

    if (ret == 0)
        ret = n->kind == NET_NIC ? add_nic(m, &l, e) : add_legacy_nic(m, &l, e);
    kv_free(&l);
    return ret;
}

static const char *const opt_names[] = {
    [NET_NETDEV] = "-netdev", [NET_NIC] = "-nic", [NET_LEGACY] = "-net",
    [NET_DUMP] = "-object",
};

/* "-netdev user: hostfwd=...: ...": the option and its kind, and what is wrong, which names the
 * property; the whole argument where neither helps to find it. */
static int blame(const struct opt_net *n, int ret, const struct err *why, struct err *e)
{
    int kind = strcspn(n->val, ",=");
    const char *msg = why->msg;

    if (n->val[kind] == '=' || !kind)
        return err_set(e, ret, "%s %s: %s", opt_names[n->kind], n->val, msg);
    if (!strncmp(msg, n->val, kind) && msg[kind] == ':' && msg[kind + 1] == ' ')
        msg += kind + 2;
    return err_set(e, ret, "%s %.*s: %s", opt_names[n->kind], kind, n->val, msg);
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
    r->m->net->note = note_frame;
    r->m->net->note_opaque = r->m;
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
    struct kv_list l = { NULL, 0 };
    int ret;

    for (const struct opt_dev *d = r->opt->disks.devs; d; d = d->next)
        if (nic_find_type(d->type->type->name))
            return 0;
    if (r->opt->nodefaults || r->opt->n_net)
        return 0;
#ifdef CONFIG_SLIRP
    kv_add(&l, "", "user");
#endif
    ret = add_nic(r->m, &l, e);
    kv_free(&l);
    return ret;
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
