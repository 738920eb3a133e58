/*
 * opt-net.c - -netdev, -nic, -net, -object filter-dump
 *
 * The arguments are kept as they are: what they mean is known when the machine
 * is built (network.c). Here, only who they are for.
 */
#include <stdlib.h>
#include "ui/kv.h"
#include "ui/options.h"

static int keep(struct options *o, enum opt_net_kind kind, const char *opt, const char *val,
                struct err *e)
{
    if (o->n_net == OPT_NETS)
        return err_set(e, -E2BIG, "%s %s: more than %d network options", opt, val, OPT_NETS);
    o->net[o->n_net].kind = kind;
    o->net[o->n_net++].val = val;
    return 0;
}

/* A JSON object as the list that net_backend_new() reads; kept as the command
 * line is. In lists of objects, as of hostfwd, the name in front is the key. */
static char *from_json(const struct kv_list *l)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    const char *type = kv_get(l, "type");

    fprintf(f, "%s", type ? type : "");
    for (size_t i = 0; i < l->n; i++) {
        const char *key = l->item[i].key, *dot = strchr(key, '.');
        bool list = dot && dot[1] >= '0' && dot[1] <= '9';

        if (!strcmp(key, "type"))
            continue;
        fprintf(f, ",%.*s=", list ? (int)(dot - key) : (int)strlen(key), key);
        for (const char *s = l->item[i].val; *s; s++)
            fprintf(f, *s == ',' ? ",," : "%c", *s);
    }
    fclose(f);
    return text;
}

int opt_netdev(struct options *o, const char *val, struct err *e)
{
    struct kv_list l = { NULL, 0 };
    struct err why = { "" };

    if (*val != '{')
        return keep(o, NET_NETDEV, "-netdev", val, e);
    if (kv_parse(&l, val, &why) < 0)
        return err_set(e, -EINVAL, "-netdev %s: %s", val, why.msg);
    return keep(o, NET_NETDEV, "-netdev", from_json(&l), e);
}

int opt_nic(struct options *o, const char *val, struct err *e)
{
    return keep(o, NET_NIC, "-nic", val, e);
}

int opt_net(struct options *o, const char *val, struct err *e)
{
    return keep(o, NET_LEGACY, "-net", val, e);
}

int opt_filter_dump(struct options *o, const char *val, struct err *e)
{
    return keep(o, NET_DUMP, "-object", val, e);
}
