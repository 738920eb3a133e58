/*
 * monitor-disk.c - monitor commands about drives: media, sizes, boot order
 *
 * A drive is named by its id, or by the id of the -device that it belongs to.
 */
#include <stdlib.h>
#include "hw/boot/boot-order.h"
#include "hw/disk/drive.h"
#include "ui/monitor-int.h"
#include "ui/run-int.h"

#define WORDS 4

static struct drive *find(struct monitor *mon, const char *name)
{
    struct machine *m = monitor_machine(mon);
    struct drive *d = drive_find(m, name);

    for (struct drive *i = m->drives; i && !d; i = i->next)
        if (i->owner && i->owner->id && !strcmp(i->owner->id, name))
            d = i;
    if (!d)
        monitor_printf(mon, "Error: Device '%s' not found\n", name);
    return d;
}

/* Words of a line, "with blanks in quotes"; returns how many. The line is cut up. */
static unsigned split(char *s, char *word[WORDS])
{
    unsigned n = 0;

    while (*(s += strspn(s, " \t")) && n < WORDS) {
        const char *end = *s == '"' ? "\"" : " \t";

        word[n++] = s += *s == '"';
        s += strcspn(s, end);
        if (*s)
            *s++ = 0;
    }
    return *s ? WORDS + 1 : n;
}

static void report(struct monitor *mon, int ret, const struct err *e)
{
    if (ret < 0)
        monitor_printf(mon, "Error: %s\n", e->msg);
}

static void cmd_eject(struct monitor *mon, char *rest)
{
    char *w[WORDS];
    unsigned n = split(rest, w), force = n && !strcmp(w[0], "-f");
    struct err e = { "" };
    struct drive *d;

    if (n != 1 + force)
        monitor_printf(mon, "eject [-f] DEVICE\n");
    else if ((d = find(mon, w[force])))
        report(mon, drive_eject(d, force, &e), &e);
}

/* read-only, read-write or retain: as the drive was opened first */
static bool access_mode(const char *word, struct block_opts *o)
{
    if (!strcmp(word, "read-only"))
        o->readonly = true;
    else if (!strcmp(word, "read-write"))
        o->readonly = o->auto_readonly = false;
    else
        return !strcmp(word, "retain");
    return true;
}

static void put_medium(struct monitor *mon, struct drive *d, char **w, unsigned n, bool force)
{
    const struct block_opts *old = block_options(d->blk);
    struct err e = { "" };
    struct block_opts o;
    int ret;

    block_opts_init(&o);
    o.cache = old->cache;
    o.aio = old->aio;
    o.aio_set = old->aio_set;
    o.discard = old->discard;
    o.detect_zeroes = old->detect_zeroes;
    o.werror = old->werror;
    o.rerror = old->rerror;
    o.snapshot = old->snapshot;
    o.readonly = old->readonly;
    o.auto_readonly = !d->cdrom;
    ret = block_opts_set(&o, "file", w[0], &e);
    if (ret == 0 && n > 1)
        ret = block_opts_set(&o, "format", w[1], &e);
    if (n > 2 && !access_mode(w[2], &o))
        ret = err_set(&e, -EINVAL, "'%s': read-only, read-write or retain is wanted", w[2]);
    if (d->cdrom)
        o.readonly = true;
    if (ret == 0)
        ret = drive_change(d, &o, force, &e);
    report(mon, ret, &e);
    block_opts_free(&o);
}

static void cmd_change(struct monitor *mon, char *rest)
{
    char *w[WORDS + 1];
    unsigned n, force;
    struct drive *d;

    if (monitor_change_vnc(mon, rest))
        return;
    n = split(rest, w);
    force = n && !strcmp(w[0], "-f");
    if (n < 2 + force || n > 4)
        monitor_printf(mon, "change [-f] DEVICE FILE [FORMAT [read-only|read-write|retain]]\n");
    else if ((d = find(mon, w[force])))
        put_medium(mon, d, w + force + 1, n - force - 1, force);
}

static void cmd_block_resize(struct monitor *mon, char *rest)
{
    char *w[WORDS];
    struct err e = { "" };
    struct drive *d;
    uint64_t bytes;

    if (split(rest, w) != 2) {
        monitor_printf(mon, "block_resize DEVICE SIZE (in MiB, or with a suffix)\n");
    } else if (parse_size(w[1], MiB, &bytes) < 0 || bytes % 512) {
        monitor_printf(mon, "Error: '%s': a size in whole sectors is wanted\n", w[1]);
    } else if ((d = find(mon, w[0]))) {
        report(mon, block_resize(d->blk, bytes, &e), &e);
    }
}

static void cmd_boot_set(struct monitor *mon, char *rest)
{
    struct err e = { "" };
    int ret = boot_order_set(monitor_machine(mon), rest, &e);

    report(mon, ret, &e);
    if (ret == 0)
        monitor_printf(mon, "boot device list now set to %s\n", rest);
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

const struct monitor_cmd disk_infos[] = {
    { "block", "", "drives and what is in them", info_block },
    { "blockstats", "", "requests of each drive", info_blockstats },
    { NULL, NULL, NULL, NULL }
};

const struct monitor_cmd disk_commands[] = {
    { "eject", "[-f] DEVICE", "take out a CD or floppy (-f: even when the guest has locked it)", cmd_eject },
    { "change", "[-f] DEVICE FILE [FORMAT [read-only|read-write|retain]]",
      "put in another; or vnc password PASSWORD", cmd_change },
    { "block_resize", "DEVICE SIZE", "give a disk another size", cmd_block_resize },
    { "boot_set", "LETTERS", "boot order from the next reset on, as with -boot", cmd_boot_set },
    { NULL, NULL, NULL, NULL }
};
