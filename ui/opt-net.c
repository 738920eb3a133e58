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
    o->net[o->n_net++] = (struct opt_net){ .kind = kind, .val = val };
    return 0;
}

char *net_list_text(const struct kv_list *l)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    const char *type = kv_get(l, "type");

    if (type)
        fputs(type, f);
    for (size_t i = 0; i < l->n; i++) {
        const char *key = l->item[i].key, *dot = strchr(key, '.');
        bool list = dot && dot[1] >= '0' && dot[1] <= '9';

        if (!strcmp(key, "type"))
            continue;
        if (i || type)
            fputc(',', f);
        if (*key)
            fprintf(f, "%.*s=", list ? (int)(dot - key) : (int)strlen(key), key);
        for (const char *s = l->item[i].val; *s; s++)
            fprintf(f, *s == ',' ? ",," : "%c", *s);
    }
    fclose(f);
    return text;
}

static bool is_help(const char *val)
{
    return !strcmp(val, "help") || !strcmp(val, "?");
}

int opt_netdev(struct options *o, const char *val, struct err *e)
{
    struct kv_list l = { NULL, 0 };
    struct err why = { "" };
    int ret = 0;

    if (is_help(val)) {
        o->action = ACT_NETDEV_HELP;
        return 0;
    }
    if (*val != '{')
        return keep(o, NET_NETDEV, "-netdev", val, e);
    if (kv_parse(&l, val, &why) < 0)
        ret = err_set(e, -EINVAL, "-netdev %s: %s", val, why.msg);
    if (ret == 0)
        ret = keep(o, NET_NETDEV, "-netdev", val, e);
    if (ret == 0)
        o->net[o->n_net - 1].val = o->net[o->n_net - 1].own = net_list_text(&l);
    kv_free(&l);
    return ret;
}

/* "help", or "model=help" somewhere */
static bool asks_for_cards(const char *val)
{
    const char *model = strstr(val, "model=");

    return model && (model == val || model[-1] == ',') && is_help(model + 6);
}

int opt_nic(struct options *o, const char *val, struct err *e)
{
    if (is_help(val) || asks_for_cards(val)) {
        o->action = is_help(val) ? ACT_NETDEV_HELP : ACT_NIC_HELP;
        return 0;
    }
    return keep(o, NET_NIC, "-nic", val, e);
}

int opt_net(struct options *o, const char *val, struct err *e)
{
    if (asks_for_cards(val)) {
        o->action = ACT_NIC_HELP;
        return 0;
    }
    return keep(o, NET_LEGACY, "-net", val, e);
}

int opt_filter_dump(struct options *o, const char *val, struct err *e)
{
    return keep(o, NET_DUMP, "-object", val, e);
}

void opt_net_free(struct options *o)
{
    for (unsigned i = 0; i < o->n_net; i++)
        free(o->net[i].own);
}
