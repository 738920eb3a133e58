/*
 * opt-debug.c - options to look at a guest's execution: -icount
 */
#include <stdlib.h>
#include "ui/options.h"

int opt_icount(struct options *o, const char *val, struct err *e)
{
    struct err why = { "" };
    int ret = icount_parse(val, &o->icount, &why);

    return ret < 0 ? err_set(e, ret, "-icount %s: %s", val, why.msg) : 0;
}

int opt_debug_finish(struct options *o, struct err *e)
{
    if (!o->icount.on)
        return 0;
    if (o->cfg.n_vcpus > 1)
        return err_set(e, -ENOTSUP, "-icount: works with one vCPU only, not with -smp %u", o->cfg.n_vcpus);
    if (o->sdl)
        return err_set(e, -ENOTSUP, "-icount: not together with a window (-display none, vnc=:N)");
    if (o->accel.ops != &accel_bt)
        return err_set(e, -ENOTSUP, "-icount: only -accel tcg counts instructions");
    o->accel.icount = o->icount;
    return 0;
}

void opt_debug_free(struct options *o)
{
    free(o->icount.hash_file);
}
