/*
 * monitor-disk.c - what the monitor shows of drives and snapshots; boot order
 */
#include <stdlib.h>
#include "hw/boot/boot-order.h"
#include "hw/disk/drive.h"
#include "ui/monitor-int.h"
#include "ui/run-int.h"

static void cmd_boot_set(struct monitor *mon, char *rest)
{
    struct err e = { "" };
    int ret = *rest ? boot_order_set(monitor_machine(mon), rest, &e) : err_set(&e, -EINVAL, "boot_set: LETTERS are wanted");

    if (ret < 0)
        monitor_printf(mon, "Error: %s\n", e.msg);
    else
        monitor_printf(mon, "boot device list now set to %s\n", rest);
}

/* Images can have snapshots (transom-img makes them), but the machine's state is not saved yet. The
 * words are those that programs look for to see that it failed. */
static void cmd_savevm(struct monitor *mon, char *rest)
{
    monitor_printf(mon, "Error while creating snapshot: saving the state of a machine is not supported yet\n");
}

static void cmd_loadvm(struct monitor *mon, char *rest)
{
    monitor_printf(mon, "Error: loading the state of a machine is not supported yet\n");
}

/* ---- info ------------------------------------------------------------------------------- */

static const char *cache_name(enum block_cache c)
{
    static const char *const names[] = {
        [BLOCK_CACHE_WRITEBACK] = "writeback", [BLOCK_CACHE_NONE] = "writeback, direct",
        [BLOCK_CACHE_WRITETHROUGH] = "writethrough",
        [BLOCK_CACHE_DIRECTSYNC] = "writethrough, direct",
        [BLOCK_CACHE_UNSAFE] = "writeback, ignore flushes",
    };

    return names[c];
}

static void show_drive(struct monitor *mon, const struct drive *d)
{
    const struct drive_tray *t = d->tray;
    struct block_info i;

    if (block_get_info(d->blk, &i) < 0)
        monitor_printf(mon, "%s: [not inserted]\n", d->id);
    else
        monitor_printf(mon, "%s: %s (%s%s)\n", d->id, i.filename, i.format,
                       block_readonly(d->blk) ? ", read-only" : "");
    if (d->owner)
        monitor_printf(mon, "    Attached to:      %s%s%s\n", d->owner->id ? d->owner->id : d->owner->type->name,
                       d->owner->id ? ", " : "", d->owner->id ? d->owner->type->name : "");
    if (t)
        monitor_printf(mon, "    Removable device: %slocked, tray %s\n",
                       t->locked && t->locked(d->changed_opaque) ? "" : "not ",
                       t->open && t->open(d->changed_opaque) ? "open" : "closed");
    if (!block_present(d->blk))
        return;
    monitor_printf(mon, "    Cache mode:       %s\n", cache_name(block_options(d->blk)->cache));
    if (i.backing_file)
        monitor_printf(mon, "    Backing file:     %s (chain depth: %u)\n", i.backing_file, i.backing_depth);
}

static void info_block(struct monitor *mon, char *rest)
{
    const char *first = "";

    for (const struct drive *d = monitor_machine(mon)->drives; d; d = d->next, first = "\n") {
        monitor_printf(mon, "%s", first);
        show_drive(mon, d);
    }
}

static void info_blockstats(struct monitor *mon, char *rest)
{
    for (const struct drive *d = monitor_machine(mon)->drives; d; d = d->next) {
        struct block_stats s;

        block_get_stats(d->blk, &s);
        monitor_printf(mon, "%s: rd_bytes=%llu wr_bytes=%llu rd_operations=%llu wr_operations=%llu "
                       "flush_operations=%llu wr_total_time_ns=%llu rd_total_time_ns=%llu "
                       "flush_total_time_ns=%llu\n", d->id, (unsigned long long)s.rd_bytes,
                       (unsigned long long)s.wr_bytes, (unsigned long long)s.rd_ops,
                       (unsigned long long)s.wr_ops, (unsigned long long)s.flush_ops,
                       (unsigned long long)s.wr_ns, (unsigned long long)s.rd_ns,
                       (unsigned long long)s.flush_ns);
    }
}

/* Internal snapshots of every image that has some. */
static void info_snapshots(struct monitor *mon, char *rest)
{
    bool any = false;

    for (const struct drive *d = monitor_machine(mon)->drives; d; d = d->next) {
        struct block_snapshot *list = NULL;
        unsigned n = 0;

        if (!block_present(d->blk) || block_snapshot_list(d->blk, &list, &n) < 0)
            continue;
        if (n)
            monitor_printf(mon, "%s:\n%-8s %-24s %12s %s\n", d->id, "ID", "TAG", "VM SIZE", "VM CLOCK");
        for (unsigned i = 0; i < n; i++)
            monitor_printf(mon, "%-8s %-24s %12llu %llu.%03llu s\n", list[i].id, list[i].name,
                           (unsigned long long)list[i].vm_state_bytes,
                           (unsigned long long)(list[i].vm_clock_ns / 1000000000),
                           (unsigned long long)(list[i].vm_clock_ns / 1000000 % 1000));
        any |= n;
        free(list);
    }
    if (!any)
        monitor_printf(mon, "There is no snapshot available.\n");
}

const struct monitor_cmd disk_infos[] = {
    { "block", "", "drives and what is in them", info_block },
    { "blockstats", "", "requests of each drive", info_blockstats },
    { "snapshots", "", "snapshots in the images", info_snapshots },
    { NULL, NULL, NULL, NULL }
};

const struct monitor_cmd disk_commands[] = {
    { "savevm", "NAME", "save the machine's state (not supported yet)", cmd_savevm },
    { "loadvm", "NAME", "load it (not supported yet)", cmd_loadvm },
    { "boot_set", "LETTERS", "boot order from the next reset on, as with -boot", cmd_boot_set },
    { NULL, NULL, NULL, NULL }
};
