/*
 * opt-net.c - -netdev, -nic, -net, -object filter-dump
 *
 * The arguments are kept as they are: what they mean is known when the machine
 * is built (network.c). Here, only who they are for.
 */
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

int opt_netdev(struct options *o, const char *val, struct err *e)
{
    return keep(o, NET_NETDEV, "-netdev", val, e);
}

int opt_nic(struct options *o, const char *val, struct err *e)
{
    return keep(o, NET_NIC, "-nic", val, e);
}

int opt_net(struct options *o, const char *val, struct err *e)
{
    return keep(o, NET_LEGACY, "-net", val, e);
}

int opt_object(struct options *o, const char *val, struct err *e)
{
    static const char dump[] = "filter-dump,";

    if (strncmp(val, dump, sizeof dump - 1))
        return err_set(e, -ENOTSUP, "-object %s: only filter-dump is supported yet", val);
    return keep(o, NET_DUMP, "-object", val, e);
}
