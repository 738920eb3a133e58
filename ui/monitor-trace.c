/*
 * monitor-trace.c - recording, and names of guest code, while the machine runs
 *
 * trace alone says whether something is recorded; "trace on" records what was recorded last, or what
 * -trace says, into the same file anew.
 */
#include <stdlib.h>
#include "ui/monitor-int.h"
#include "ui/options.h"
#include "ui/run-int.h"

#define HOLD_TRIES 50            /* of 100 ms: the host may be busy */

/* ---- the machine's side ------------------------------------------------------------------- */

int run_while_held(struct run *r, int (*change)(struct run *r, const void *arg, struct err *e), const void *arg,
                   struct err *e)
{
    int ret = -EBUSY;
    bool held = false;

    machine_unlock(r->m);
    for (unsigned n = 0; n < HOLD_TRIES && !held; n++) {
        held = accel_hold(r->accel);
        if (held)
            ret = change(r, arg, e);
        accel_release(r->accel);
    }
    machine_lock(r->m);
    return held ? ret : err_set(e, ret, "the vCPUs do not stand still; try again");
}

static int set_trace(struct run *r, const void *arg, struct err *e)
{
    return accel_trace(r->accel, arg, e);
}

static int record(struct run *r, const char *what, struct err *e)
{
    struct trace_options t = { 0 };
    int ret = trace_parse(&t, what, e);

    if (ret == 0)
        ret = trace_complete(&t, e);
    if (ret < 0) {
        free(t.file);
        return ret;
    }
    free(r->trace.file);
    r->trace = t;
    return run_while_held(r, set_trace, &r->trace, e);
}

int run_hook_trace(void *opaque, const char *what, struct err *e)
{
    struct run *r = opaque;
    const struct trace_options *last = r->trace.kinds ? &r->trace : &r->opt->trace;

    if (!strcmp(what, "off"))
        return run_while_held(r, set_trace, NULL, e);
    if (strcmp(what, "on"))
        return record(r, what, e);
    if (!last->kinds)
        return err_set(e, -EINVAL, "on: which events? (exec,int,file=FILE for example)");
    return run_while_held(r, set_trace, last, e);
}

bool run_hook_tracing(void *opaque)
{
    return accel_traces(((struct run *)opaque)->accel);
}

static int add_symbols(struct run *r, const void *arg, struct err *e)
{
    struct guest_symbols *s = r->opt->symbols;

    return guest_symbols_add(&s, arg, e);
}

int run_hook_symbols(void *opaque, const char *path, struct err *e)
{
    return run_while_held(opaque, add_symbols, path, e);
}

/* ---- commands --------------------------------------------------------------------------------- */

static void cmd_trace(struct monitor *mon, char *rest)
{
    const struct monitor_hooks *hooks = monitor_hooks(mon);
    struct err e = { "" };

    if (!hooks->trace)
        monitor_printf(mon, "trace: there is no CPU\n");
    else if (!*rest)
        monitor_printf(mon, "trace: %s\n", hooks->tracing(hooks->opaque) ? "on" : "off");
    else if (hooks->trace(hooks->opaque, rest, &e) < 0)
        monitor_printf(mon, "trace: %s\n", e.msg);
}

static void cmd_symbols(struct monitor *mon, char *rest)
{
    const struct monitor_hooks *hooks = monitor_hooks(mon);
    struct err e = { "" };

    if (!*rest)
        monitor_printf(mon, "symbols: which file?\n");
    else if (!hooks->symbols)
        monitor_printf(mon, "symbols: there is no CPU\n");
    else if (hooks->symbols(hooks->opaque, rest, &e) < 0)
        monitor_printf(mon, "symbols: %s\n", e.msg);
}

const struct monitor_cmd trace_commands[] = {
    { "trace", "[on|off|EVENT[,...][,file=FILE...]]", "record what is executed, as with -trace", cmd_trace },
    { "symbols", "FILE", "names of guest code, as with -symbols", cmd_symbols },
    { NULL, NULL, NULL, NULL }
};
