/*
 * opt-debug.c - options to look at a guest's execution: -icount, -trace, -symbols, -verify
 */
#define _GNU_SOURCE 1
#include <fnmatch.h>
#include <stdlib.h>
#include <time.h>
#include "ui/options.h"

#define VERIFY_RAM_EVERY 1000000     /* instructions between two looks at all of RAM */

int opt_icount(struct options *o, const char *val, struct err *e)
{
    struct err why = { "" };
    int ret = icount_parse(val, &o->icount, &why);

    return ret < 0 ? err_set(e, ret, "-icount %s: %s", val, why.msg) : 0;
}

/* ---- -trace --------------------------------------------------------------------------- */

static const struct { const char *name, *help; enum trace_kind kind; } events[] = {
    { "exec", "which code is executed", TRACE_EXEC },
    { "int", "exceptions and interrupts as they are delivered", TRACE_INT },
    { "io", "accesses to ports", TRACE_IO },
    { "mmio", "accesses to devices in memory", TRACE_MMIO },
    { "mem", "all accesses to memory, with values=on what is read and written (slow)", TRACE_MEM },
    { "reg", "general registers that change, block by block (slow)", TRACE_REG },
    { "irq", "interrupt lines", TRACE_IRQ },
    { "blk", "requests to drives", TRACE_BLK },
    { "net", "packets of network back ends", TRACE_NET },
};

/* Take (or with "-" in front drop) all events that @pattern matches. */
static int trace_events(struct trace_options *t, const char *pattern, struct err *e)
{
    const char *names[ARRAY_SIZE(events)];
    bool off = *pattern == '-', any = false;

    pattern += off;
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        names[i] = events[i].name;
        if (fnmatch(pattern, events[i].name, 0))
            continue;
        any = true;
        t->kinds = off ? t->kinds & ~TRACE_HAS(events[i].kind) : t->kinds | TRACE_HAS(events[i].kind);
    }
    return any ? 0 : opt_err_near(e, pattern, names, ARRAY_SIZE(names), "", "no event '%s'", pattern);
}

/* A file of patterns, one a line; "#" begins a comment. */
static int trace_list(struct trace_options *t, const char *path, struct err *e)
{
    FILE *f = fopen(path, "re");
    char line[128];
    int ret = 0;

    if (!f)
        return err_set(e, -errno, "events=%s: %s", path, strerror(errno));
    while (ret == 0 && fgets(line, sizeof line, f)) {
        line[strcspn(line, "#\n\r \t")] = 0;
        if (*line)
            ret = trace_events(t, line, e);
    }
    fclose(f);
    return ret;
}

static int trace_set(struct trace_options *t, const char *key, const char *val, struct err *e)
{
    static const char *const keys[] = { "enable", "events", "file", "size", "ring", "values" };

    if (!strcmp(key, "enable"))
        return trace_events(t, val, e);
    if (!strcmp(key, "events"))
        return trace_list(t, val, e);
    if (!strcmp(key, "file") && !*val)
        return err_set(e, -EINVAL, "file=: a file's name is wanted");
    if (!strcmp(key, "file")) {
        free(t->file);
        t->file = xstrdup(val);
        return 0;
    }
    if (!strcmp(key, "size"))
        return parse_size(val, 1, &t->size) < 0 || !t->size
               ? err_set(e, -EINVAL, "size=%s: bytes are wanted, with K, M or G", val) : 0;
    if (!strcmp(key, "ring")) {
        t->ring = !strcmp(val, "on");
        return t->ring || !strcmp(val, "off") ? 0 : err_set(e, -EINVAL, "ring=%s: on or off is wanted", val);
    }
    if (!strcmp(key, "values")) {
        t->values = !strcmp(val, "on");
        return t->values || !strcmp(val, "off") ? 0 : err_set(e, -EINVAL, "values=%s: on or off is wanted", val);
    }
    return opt_err_near(e, key, keys, ARRAY_SIZE(keys), "", "unknown property '%s'", key);
}

int trace_parse(struct trace_options *t, const char *val, struct err *e)
{
    char *copy = xstrdup(val), *rest = copy, *item;
    int ret = 0;

    while (ret == 0 && (item = strsep(&rest, ",|"))) {
        char *eq = strchr(item, '=');

        if (eq)
            *eq++ = 0;
        ret = eq ? trace_set(t, item, eq, e) : trace_events(t, item, e);
    }
    free(copy);
    return ret;
}

int trace_complete(struct trace_options *t, struct err *e)
{
    if (!t->kinds && (t->file || t->size || t->ring))
        return err_set(e, -EINVAL, "which events? ('help' lists them)");
    if (t->ring && !t->size)
        return err_set(e, -EINVAL, "ring=on wants size=");
    if (t->values && !(t->kinds & TRACE_HAS(TRACE_MEM)))
        return err_set(e, -EINVAL, "values=on is for mem");
    if (t->values)
        t->kinds |= TRACE_VALUES;
    return 0;
}

int opt_trace(struct options *o, const char *val, struct err *e)
{
    struct err why = { "" };
    int ret = 0;

    if (!strcmp(val, "help") || !strcmp(val, "?"))
        o->action = ACT_TRACE_HELP;
    else if (o->action == ACT_RUN)
        ret = trace_parse(&o->trace, val, &why);
    return ret < 0 ? err_set(e, ret, "-trace %s: %s", val, why.msg) : 0;
}

void opt_trace_help(FILE *f)
{
    fputs("Events of -trace (patterns with * and ? work, too):\n", f);
    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        fprintf(f, "  %-6s %s\n", events[i].name, events[i].help);
}

static int trace_finish(struct options *o, struct err *e)
{
    struct trace_options *t = &o->trace;
    struct err why = { "" };

    if (trace_complete(t, &why) < 0)
        return err_set(e, -EINVAL, "-trace: %s", why.msg);
    if (t->kinds && o->accel.ops != &accel_bt)
        return err_set(e, -ENOTSUP, "-trace: only -accel tcg can record");
    o->accel.trace = *t;
    return 0;
}

/* ---- -verify ---------------------------------------------------------------------------- */

int opt_verify(struct options *o, const char *val, struct err *e)
{
    o->verify_kvm = !strcmp(val, "kvm");
    if (!o->verify_kvm && strcmp(val, "interp"))
        return err_set(e, -EINVAL, "-verify %s: interp or kvm is wanted", val);
    o->verify = true;
    return 0;
}

/* Nothing may come from outside, and nothing be written twice. */
static int verify_finish(struct options *o, struct err *e)
{
    if (!o->verify)
        return 0;
    if (o->accel.ops != &accel_bt || o->accel.backend != TCG_BACKEND_HOST)
        return err_set(e, -EINVAL, "-verify: what is verified is -accel tcg,backend=host");
    if (o->cfg.n_vcpus > 1 || o->daemonize || o->n_net || o->trace.kinds || o->icount.automatic || o->icount.hash_file)
        return err_set(e, -ENOTSUP, "-verify: not together with several vCPUs, -daemonize, networks, -trace, "
                       "-icount shift=auto or hash=");
    if (o->verify_kvm && o->cfg.mem_path)
        return err_set(e, -ENOTSUP, "-verify kvm: not together with -mem-path");
    o->cfg.mem_shared = o->accel.verify.kvm = o->verify_kvm;
    for (const struct opt_drive *d = o->disks.drives; d; d = d->next)
        if (d->opts.file && !d->opts.snapshot && !d->opts.readonly)
            return err_set(e, -EINVAL, "-verify: with disks only together with -snapshot");
    if (!o->icount.on)
        o->icount = (struct icount_options){ .on = true, .shift = 1, .hash_every = VERIFY_RAM_EVERY };
    if (!o->cfg.rtc_base_set) {
        o->cfg.rtc_base_set = true;
        o->cfg.rtc_base_s = time(NULL);
    }
    return 0;
}

/* The child says and hears nothing. */
static void verify_child(struct options *o)
{
    for (unsigned i = 0; i < o->n_serial; i++)
        if (strcmp(o->serial[i], "none"))
            o->serial[i] = "null";
    o->monitor = "none";
    o->debugcon = o->debugcon ? "null" : NULL;
    o->gdb = o->pidfile = o->vnc = NULL;
    o->accel.backend = TCG_BACKEND_INTERP;
    o->accel.bug = TCG_BUG_NONE;
    log_mask = 0;
}

int opt_verify_start(struct options *o, struct err *e)
{
    struct verify_options *v = &o->accel.verify;

    if (!o->verify || v->kvm)
        return 0;
    fflush(NULL);
    v->shared = verify_fork(&v->child, &v->pid, e);
    if (!v->shared)
        return -EIO;
    if (v->child)
        verify_child(o);
    return 0;
}

int opt_symbols(struct options *o, const char *val, struct err *e)
{
    struct err why = { "" };
    int ret = guest_symbols_add(&o->symbols, val, &why);

    return ret < 0 ? err_set(e, ret, "-symbols %s", why.msg) : 0;
}

/* ---- together --------------------------------------------------------------------------- */

int opt_debug_finish(struct options *o, struct err *e)
{
    if (!o->symbols)
        o->symbols = guest_symbols_new();
    o->accel.symbols = o->symbols;
    o->accel.magic_break = o->magic_break;
    if (o->magic_break && o->accel.ops != &accel_bt)
        return err_set(e, -ENOTSUP, "-magic-break: only with -accel tcg");
    if (trace_finish(o, e) < 0 || verify_finish(o, e) < 0)
        return -EINVAL;
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
    free(o->trace.file);
    guest_symbols_free(o->symbols);
}
