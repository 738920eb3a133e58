/*
 * qmp-net.c - network back ends and cards, for programs and people
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <unistd.h>
#include "net/net.h"
#include "ui/commands-int.h"
#include "ui/kv.h"

/* ---- JSON objects as option lists --------------------------------------------------- */

static bool is_skipped(const char *key, const char *const *skip)
{
    for (; skip && *skip; skip++)
        if (!strcmp(key, *skip))
            return true;
    return false;
}

/* Depth is that of the JSON text, which is bounded. */
static void flatten(struct kv_list *l, const char *prefix, const struct jv *v, const char *const *skip)
{
    unsigned n = 0;

    for (const struct jv *m = v->child; m; m = m->next, n++) {
        char number[32], *key = m->key ? xasprintf("%s%s%s", prefix, *prefix ? "." : "", m->key)
                                       : xasprintf("%s.%u", prefix, n);

        snprintf(number, sizeof(number), "%lld", (long long)m->i);
        if (m->key && !*prefix && is_skipped(m->key, skip))
            ;
        else if (m->type == JV_OBJECT || m->type == JV_ARRAY)
            flatten(l, key, m, NULL);
        else if (m->type != JV_NULL && m->type != JV_REAL)
            kv_add(l, key, m->type == JV_STRING ? m->s : m->type == JV_INT ? number : m->b ? "on" : "off");
        free(key);
    }
}

void flat_kv(struct kv_list *l, const struct jv *args, const char *const *skip)
{
    flatten(l, "", args, skip);
}

/* ---- netdevs -------------------------------------------------------------------------- */

/* "hostfwd": [{ "str": "tcp::1-:2" }] is hostfwd=tcp::1-:2; "fd": NAME is a descriptor from getfd */
static char *netdev_text(struct call *c, int *fd)
{
    static const char *const skip[] = { "type", NULL };
    struct kv_list l = { NULL, 0 };
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    flat_kv(&l, c->args, skip);
    fprintf(f, "%s", jv_text(c->args, "type"));
    for (size_t i = 0; i < l.n; i++) {
        const char *key = l.item[i].key, *val = l.item[i].val, *dot = strchr(key, '.');
        bool list = dot && dot[1] >= '0' && dot[1] <= '9';

        fprintf(f, ",%.*s=", list ? (int)(dot - key) : (int)strlen(key), key);
        if (!strcmp(key, "fd") && (*fd = qmp_take_fd(c->qmp, val)) >= 0) {
            fprintf(f, "%d", *fd);
            continue;
        }
        for (const char *s = val; *s; s++)
            fprintf(f, *s == ',' ? ",," : "%c", *s);
    }
    fclose(f);
    kv_free(&l);
    return text;
}

static int cmd_netdev_add(struct call *c, struct err *e)
{
    int fd = -1, ret = 0;
    char *text;

    if (net_find(c->m->net, jv_text(c->args, "id")))
        return err_set(e, -EEXIST, "Duplicate ID '%.64s' for netdev", jv_text(c->args, "id"));
    text = netdev_text(c, &fd);
    if (!net_backend_new(c->m->net, text, NULL, e)) {
        ret = -EINVAL;
        if (fd >= 0)
            close(fd);
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

const struct command net_commands[] = {
    { .qmp = "netdev_add", .args = "type:s,id:s,*", .run = cmd_netdev_add },
    { .hmp = "netdev_add", .args = "netdev:S", .help = "open a network back end, as after -netdev",
      .run = cmd_netdev_add_line },
    { .hmp = "netdev_del", .qmp = "netdev_del", .args = "id:N", .help = "close one", .run = cmd_netdev_del },
    { .hmp = "set_link", .qmp = "set_link", .args = "name:N,up:b", .help = "plug a network cable in or out",
      .run = cmd_set_link },
    { .hmp = NULL }
};
