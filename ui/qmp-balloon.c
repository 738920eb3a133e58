/*
 * qmp-balloon.c - the memory balloon: its size, the guest's statistics
 */
#include "hw/virtio/virtio-balloon.h"
#include "ui/commands-int.h"
#include "ui/monitor-int.h"

#define STATS "guest-stats"
#define POLLING "guest-stats-polling-interval"

static struct device *balloon(struct call *c, struct err *e)
{
    struct device *d = balloon_find(c->m);

    if (!d) {
        c->class = CLASS_DEVICE_NOT_ACTIVE;
        err_set(e, -ENODEV, "No balloon device has been activated");
    }
    return d;
}

static int query_balloon(struct call *c, struct err *e)
{
    struct device *d = balloon(c, e);

    if (!d)
        return -ENODEV;
    jw_open(c->out, NULL);
    jw_uint(c->out, "actual", balloon_actual(d));
    jw_close(c->out);
    return 0;
}

static int set_target(struct call *c, int64_t unit, struct err *e)
{
    int64_t value = jv_number(c->args, "value", 0);
    struct device *d = balloon(c, e);

    if (!d)
        return -ENODEV;
    if (value <= 0 || value > INT64_MAX / unit)
        return err_set(e, -EINVAL, "Parameter 'value' expects a size above 0");
    balloon_set_target(d, (uint64_t)(value * unit));
    return 0;
}

static int cmd_balloon(struct call *c, struct err *e)
{
    return set_target(c, 1, e);
}

static int cmd_balloon_line(struct call *c, struct err *e)
{
    return set_target(c, MiB, e);
}

static void info_balloon(struct monitor *mon, char *rest)
{
    struct device *d = balloon_find(monitor_machine(mon));

    if (d)
        monitor_printf(mon, "balloon: actual=%llu\n", (unsigned long long)(balloon_actual(d) / MiB));
    else
        monitor_printf(mon, "Error: No balloon device has been activated\n");
}

/* ---- properties ---------------------------------------------------------------------- */

const char *const balloon_props[] = { STATS, POLLING, NULL };

static void write_stats(struct jw *w, const char *key, const struct device *d)
{
    static const char *const names[BALLOON_STATS] = {
        "stat-swap-in", "stat-swap-out", "stat-major-faults", "stat-minor-faults", "stat-free-memory",
        "stat-total-memory", "stat-available-memory", "stat-disk-caches", "stat-htlb-pgalloc",
        "stat-htlb-pgfail",
    };
    uint64_t value[BALLOON_STATS];
    int64_t when = balloon_stats(d, value);

    jw_open(w, key);
    jw_open(w, "stats");
    for (unsigned i = 0; i < BALLOON_STATS; i++)
        jw_uint(w, names[i], value[i]);
    jw_close(w);
    jw_int(w, "last-update", when);
    jw_close(w);
}

int balloon_prop_get(struct jw *w, const char *key, const struct device *d, const char *name)
{
    if (!balloon_is(d))
        return -ENOENT;
    if (!strcmp(name, STATS))
        write_stats(w, key, d);
    else if (!strcmp(name, POLLING))
        jw_uint(w, key, balloon_polling(d));
    else
        return -ENOENT;
    return 0;
}

int balloon_prop_set(struct device *d, const char *name, const struct jv *value, struct err *e)
{
    if (!balloon_is(d) || strcmp(name, POLLING))
        return -ENOENT;
    if (value->type != JV_INT || value->i < 0 || value->i > UINT32_MAX)
        return err_set(e, -EINVAL, "%s: seconds are wanted", name);
    balloon_set_polling(d, (uint32_t)value->i);
    return 0;
}

const struct command balloon_commands[] = {
    { .qmp = "query-balloon", .returns = "any", .run = query_balloon },
    { .qmp = "balloon", .args = "value:i", .run = cmd_balloon },
    { .hmp = "balloon", .args = "value:i", .help = "ask the guest to make do with so many MiB",
      .run = cmd_balloon_line },
    { .hmp = NULL }
};

const struct monitor_cmd balloon_infos[] = {
    { "balloon", "", "how much of its memory the guest has now", info_balloon },
    { NULL, NULL, NULL, NULL }
};
