/*
 * qmp-net.c - network back ends and cards, for programs and people
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <unistd.h>
#include "net/net.h"
#include "ui/commands-int.h"
#include "ui/kv.h"
#include "ui/options.h"

/* ---- JSON objects as option lists --------------------------------------------------- */

/* What stands for scalar @m on the command line; @number, 32 bytes, is written for some. */
static const char *as_word(const struct jv *m, char number[32])
{
    switch (m->type) {
    case JV_STRING:
        return m->s;
    case JV_INT:
        snprintf(number, 32, "%lld", (long long)m->i);
        return number;
    case JV_REAL:
        snprintf(number, 32, "%.17g", m->r);
        return number;
    case JV_NULL:
        return "null";
    default:
        return m->b ? "on" : "off";
    }
}

/* Depth is that of the JSON text, which is bounded. */
static void flatten(struct kv_list *l, const char *prefix, const struct jv *v)
{
    unsigned n = 0;

    for (const struct jv *m = v->child; m; m = m->next, n++) {
        char number[32], *key = m->key ? xasprintf("%s%s%s", prefix, *prefix ? "." : "", m->key)
                                       : xasprintf("%s.%u", prefix, n);

        if (m->type == JV_OBJECT || m->type == JV_ARRAY)
            flatten(l, key, m);
        else
            kv_add(l, key, as_word(m, number));
        free(key);
    }
}

void flat_kv(struct kv_list *l, const struct jv *args)
{
    flatten(l, "", args);
}

/* ---- netdevs -------------------------------------------------------------------------- */

/** struct taken - descriptors from getfd that a back end is given; closed when it is not made */
struct taken {
    int fd[32];
    unsigned n;
};

/* The names in @val, with colons between them, as numbers; what is none of them stays. */
static char *number_fds(struct call *c, const char *val, struct taken *t)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    for (const char *s = val; ; s++) {
        size_t n = strcspn(s, ":");
        char *name = xasprintf("%.*s", (int)n, s);
        int fd = t->n < ARRAY_SIZE(t->fd) ? qmp_take_fd(c->qmp, name) : -1;

        if (fd >= 0)
            fprintf(f, "%d", t->fd[t->n++] = fd);
        else
            fputs(name, f);
        free(name);
        s += n;
        if (!*s)
            break;
        fputc(':', f);
    }
    fclose(f);
    return text;
}

/* As the command line has it; "fd" and "fds" name descriptors from getfd. */
static char *netdev_text(struct call *c, struct taken *taken)
{
    struct kv_list l = { NULL, 0 };
    char *text;

    flat_kv(&l, c->args);
    for (size_t i = 0; i < l.n; i++)
        if (!strcmp(l.item[i].key, "fd") || !strcmp(l.item[i].key, "fds")) {
            char *numbers = number_fds(c, l.item[i].val, taken);

            free(l.item[i].val);
            l.item[i].val = numbers;
        }
    text = net_list_text(&l);
    kv_free(&l);
    return text;
}

static int cmd_netdev_add(struct call *c, struct err *e)
{
    struct taken taken = { .n = 0 };
    int ret = 0;
    char *text;

    if (net_find(c->m->net, jv_text(c->args, "id")))
        return err_set(e, -EEXIST, "Duplicate ID '%.64s' for netdev", jv_text(c->args, "id"));
    text = netdev_text(c, &taken);
    if (!net_backend_new(c->m->net, text, NULL, e)) {
        ret = -EINVAL;
        while (taken.n)
            close(taken.fd[--taken.n]);
    }
    free(text);
    return ret;
}

static int cmd_netdev_add_line(struct call *c, struct err *e)
{
    return net_backend_new(c->m->net, jv_text(c->args, "netdev"), NULL, e) ? 0 : -EINVAL;
}

static int cmd_netdev_del(struct call *c, struct err *e)
{
    struct netport *p = net_find(c->m->net, jv_text(c->args, "id"));

    if (!p || p->is_card)
        return cmd_not_found(c, e, "Device '%.64s' not found", jv_text(c->args, "id"));
    net_backend_del(p);
    return 0;
}

/* A card is called by its id, which its port has, too. */
static int cmd_set_link(struct call *c, struct err *e)
{
    struct netport *p = net_find(c->m->net, jv_text(c->args, "name"));

    if (!p)
        return cmd_not_found(c, e, "Device '%.64s' not found", jv_text(c->args, "name"));
    net_set_link(p, jv_flag(c->args, "up", true));
    return 0;
}

/* ---- cards ------------------------------------------------------------------------------- */

static void put_mac(struct jw *w, const char *key, const uint8_t *mac)
{
    jw_strf(w, key, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void put_filter(struct jw *w, const char *name, const struct net_rx_filter *f)
{
    static const char *const modes[] = { [NET_RX_NORMAL] = "normal", [NET_RX_NONE] = "none",
                                         [NET_RX_ALL] = "all" };

    jw_open(w, NULL);
    jw_str(w, "name", name);
    jw_bool(w, "promiscuous", f->promiscuous);
    jw_str(w, "multicast", modes[f->multicast]);
    jw_str(w, "unicast", modes[f->unicast]);
    jw_str(w, "vlan", modes[f->vlan]);
    jw_bool(w, "broadcast-allowed", f->broadcast);
    jw_bool(w, "multicast-overflow", f->multicast_overflow);
    jw_bool(w, "unicast-overflow", f->unicast_overflow);
    put_mac(w, "main-mac", f->mac);
    jw_open_array(w, "vlan-table");
    for (unsigned id = 0; id < 4096; id++)
        if (f->vlans[id / 32] >> id % 32 & 1)
            jw_int(w, NULL, id);
    jw_close(w);
    jw_open_array(w, "unicast-table");
    for (unsigned i = 0; i < f->n_unicast; i++)
        put_mac(w, NULL, f->table[i]);
    jw_close(w);
    jw_open_array(w, "multicast-table");
    for (unsigned i = 0; i < f->n_multicast; i++)
        put_mac(w, NULL, f->table[f->n_unicast + i]);
    jw_close(w);
    jw_close(w);
}

/* Of all cards that say it, or of one, which then has to. */
static int cmd_query_rx_filter(struct call *c, struct err *e)
{
    const char *name = jv_text(c->args, "name");
    struct netport *one = name ? net_find(c->m->net, name) : NULL;

    if (name && !one)
        return err_set(e, -ENOENT, "invalid net client name: %.64s", name);
    if (one && !one->is_card)
        return err_set(e, -EINVAL, "net client(%.64s) isn't a NIC", name);
    if (one && !one->ops->rx_filter)
        return err_set(e, -ENOTSUP, "net client(%.64s) doesn't support rx-filter querying", name);
    jw_open_array(c->out, NULL);
    for (struct netport *p = c->m->net->ports; p; p = p->next) {
        struct net_rx_filter f;

        if ((!one || p == one) && net_rx_filter(p, &f))
            put_filter(c->out, p->id, &f);
    }
    jw_close(c->out);
    return 0;
}

static int cmd_announce(struct call *c, struct err *e)
{
    struct net_announce_plan plan = {
        .initial_ms = jv_number(c->args, "initial", 50), .max_ms = jv_number(c->args, "max", 550),
        .rounds = jv_number(c->args, "rounds", 5), .step_ms = jv_number(c->args, "step", 100),
    };

    if (plan.initial_ms < 0 || plan.initial_ms > 100000 || plan.max_ms < 0 || plan.max_ms > 100000 ||
        plan.step_ms < 0 || plan.step_ms > 10000 || plan.rounds < 1 || plan.rounds > 1000)
        return err_set(e, -EINVAL, "initial and max are 0 to 100000 ms, step 0 to 10000 ms, rounds 1 to 1000");
    net_announce(c->m->net, &plan);
    return 0;
}

const struct command net_commands[] = {
    { .qmp = "netdev_add", .args = "type:s,id:s,*", .run = cmd_netdev_add },
    { .hmp = "netdev_add", .args = "netdev:S", .help = "open a network back end, as after -netdev",
      .run = cmd_netdev_add_line },
    { .hmp = "netdev_del", .qmp = "netdev_del", .args = "id:N", .help = "close one", .run = cmd_netdev_del },
    { .hmp = "set_link", .qmp = "set_link", .args = "name:N,up:b", .help = "plug a network cable in or out",
      .run = cmd_set_link },
    { .qmp = "query-rx-filter", .args = "name:s?", .returns = "[any]", .run = cmd_query_rx_filter },
    { .hmp = "announce_self", .qmp = "announce-self", .args = "initial:i!,max:i!,rounds:i!,step:i!",
      .help = "tell the network where the cards are (RARP, gratuitous ARP)", .run = cmd_announce },
    { .hmp = NULL }
};
