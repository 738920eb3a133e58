/*
 * qmp-node.c - block nodes that come and go, and media put into drives node by node
 *
 * A node is what -blockdev or blockdev-add describes. The file under a format is only
 * remembered: opening the format opens it. A node that no drive has is a drive
 * without owner, so that device_add finds it. A medium that is taken out is closed; its
 * node can be put in again, or deleted.
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "hw/disk/drive.h"
#include "ui/commands-int.h"
#include "ui/options.h"

static int cmd_blockdev_add(struct call *c, struct err *e)
{
    struct kv_list l = { NULL, 0 };
    struct opt_drive *node;
    int ret = 0;

    if (drive_find(c->m, jv_text(c->args, "node-name")))
        return err_set(e, -EEXIST, "Duplicate nodes with node-name='%.64s'", jv_text(c->args, "node-name"));
    flat_kv(&l, c->args);
    node = blockdev_add(c->run->nodes, &l, e);
    kv_free(&l);
    if (!node)
        return -EINVAL;
    if (!node->protocol)
        ret = run_open_drive(c->run, node, e);
    if (ret < 0)
        blockdev_del(c->run->nodes, node);
    return ret;
}

/* Whether a format on top of it is there. */
static bool is_below(const struct run *r, const struct opt_drive *node)
{
    for (const struct opt_drive *o = r->opt->disks.drives; o; o = o->next)
        if (!o->protocol && o->blockdev && o->opts.file && node->opts.file &&
            !strcmp(o->opts.file, node->opts.file))
            return true;
    return false;
}

/* Whether a drive's image has it as its backing file. */
static bool is_backing(const struct machine *m, const struct opt_drive *node)
{
    for (const struct drive *d = m->drives; d; d = d->next) {
        const char *file = block_present(d->blk) ? block_options(d->blk)->backing : NULL;

        if (file && node->opts.file && !strcmp(file, node->opts.file))
            return true;
    }
    return false;
}

static int cmd_blockdev_del(struct call *c, struct err *e)
{
    const char *name = jv_text(c->args, "node-name");
    struct opt_drive *node = blockdev_find(c->run->opt, name);
    struct drive *d = drive_find(c->m, name);
    int ret = 0;

    if (!node)
        return err_set(e, -ENOENT, "Failed to find node with node-name='%.64s'", name);
    if (node->protocol ? is_below(c->run, node) : is_backing(c->m, node))
        return err_set(e, -EBUSY, "Node '%.64s' is busy: node is used as a child", name);
    if (d)
        ret = drive_del(d, e);
    if (ret != -EBUSY)
        blockdev_del(c->run->nodes, node);
    return ret;
}

/* ---- media ---------------------------------------------------------------------------- */

static struct drive *by_device(struct call *c, struct err *e)
{
    const char *id = jv_text(c->args, "id");

    for (struct drive *d = c->m->drives; d; d = d->next)
        if (d->owner && d->owner->id && !strcmp(d->owner->id, id))
            return d;
    cmd_not_found(c, e, "Device '%.64s' not found", id);
    return NULL;
}

static int cmd_open_tray(struct call *c, struct err *e)
{
    struct drive *d = by_device(c, e);

    if (!d)
        return -ENODEV;
    if (drive_may_open(d, jv_flag(c->args, "force", false), e) < 0)
        return -EPERM;
    drive_tray_move(d, true);
    return 0;
}

static int cmd_close_tray(struct call *c, struct err *e)
{
    struct drive *d = by_device(c, e);

    if (!d)
        return -ENODEV;
    drive_tray_move(d, false);
    return 0;
}

/* A medium comes and goes while the tray is open; where there is none, at any time. */
static int reachable(const struct drive *d, struct err *e)
{
    if (d->tray && d->tray->move && !drive_tray_open(d))
        return err_set(e, -EBUSY, "Tray of device '%.64s' is not open", d->owner->id);
    return 0;
}

static int rename_drive(struct drive *d, char *id)
{
    free(d->id);
    d->id = id;
    return 0;
}

static int cmd_remove_medium(struct call *c, struct err *e)
{
    struct drive *d = by_device(c, e);
    int ret = d ? drive_may_open(d, true, e) : -ENODEV;

    if (ret == 0)
        ret = reachable(d, e);
    if (ret < 0)
        return ret;
    drive_drain(d);
    if (block_present(d->blk) && (ret = block_eject(d->blk)) < 0)
        return err_set(e, ret, "Device '%s': %s", d->id, strerror(-ret));
    if (blockdev_find(c->run->opt, d->id))
        rename_drive(d, xasprintf("#empty-%s", d->owner->id));
    return 0;
}

static int cmd_insert_medium(struct call *c, struct err *e)
{
    const char *name = jv_text(c->args, "node-name");
    struct opt_drive *node = blockdev_find(c->run->opt, name);
    struct drive *d = by_device(c, e), *holder;
    int ret = 0;

    if (!d)
        return -ENODEV;
    if (!node || node->protocol)
        return err_set(e, -ENOENT, "Node '%.64s' not found", name);
    if (reachable(d, e) < 0)
        return -EBUSY;
    if (block_present(d->blk))
        return err_set(e, -EBUSY, "There already is a medium in device '%.64s'", jv_text(c->args, "id"));
    holder = drive_find(c->m, name);
    if (holder && holder != d)
        ret = drive_del(holder, e);
    if (d->cdrom)
        node->opts.readonly = true;
    if (ret == 0)
        ret = drive_may_open(d, true, e);
    if (ret == 0)
        ret = block_change(d->blk, &node->opts, e);
    return ret < 0 ? ret : rename_drive(d, xstrdup(name));
}

const struct command node_commands[] = {
    { .qmp = "blockdev-add", .args = "driver:s,node-name:s,*", .run = cmd_blockdev_add },
    { .qmp = "blockdev-del", .args = "node-name:s", .run = cmd_blockdev_del },
    { .qmp = "blockdev-open-tray", .args = "id:s,force:b?", .run = cmd_open_tray },
    { .qmp = "blockdev-close-tray", .args = "id:s", .run = cmd_close_tray },
    { .qmp = "blockdev-remove-medium", .args = "id:s", .run = cmd_remove_medium },
    { .qmp = "blockdev-insert-medium", .args = "id:s,node-name:s", .run = cmd_insert_medium },
    { .hmp = NULL }
};
