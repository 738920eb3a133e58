/*
 * qmp-snapshot.c - snapshots of disks: images put above, and snapshots inside of images
 *
 * "blockdev-snapshot" and "-sync" put a new image above the one that a drive has, which is not
 * written any more from then on; "-internal-sync" makes a snapshot in the image. A transaction does
 * several, or none: what was done is taken back when the next fails. The machine's state is in none
 * of them. All of it happens while no request of the drive is in flight.
 */
#define _GNU_SOURCE 1
#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include "hw/disk/drive.h"
#include "ui/commands-int.h"
#include "ui/options.h"

/* One step of a transaction, and what takes it back. */
struct step {
    const struct snap_action *action;
    const struct jv *args;
    struct drive *d;
    struct block_opts old;       /* external: what the drive had; owned */
    char *old_id, *new_id;       /* external: the drive's names, where they change; owned */
    struct opt_drive *added;     /* external: a node that the step made */
    char name[256];              /* internal */
    bool done;
};

struct snap_action {
    struct command c;            /* names and arguments */
    int (*run)(struct call *c, struct step *s, struct err *e);
    void (*undo)(struct call *c, struct step *s);
};

/* ---- which drive --------------------------------------------------------------------------- */

/* A drive by its own name, its node's, or its device's. */
static struct drive *drive_by_name(const struct call *c, const char *name)
{
    struct drive *d = drive_find(c->m, name);

    for (struct drive *i = c->m->drives; i && !d; i = i->next)
        if (i->owner && i->owner->id && !strcmp(i->owner->id, name))
            d = i;
    return d;
}

static struct drive *wanted_drive(struct call *c, const struct jv *args, struct err *e)
{
    const char *device = jv_text(args, "device"), *node = jv_text(args, "node-name");
    const char *name = device ? device : node ? node : jv_text(args, "node");
    struct drive *d = name ? drive_by_name(c, name) : NULL;

    if (!name)
        err_set(e, -EINVAL, "Parameter 'node-name' is missing");
    else if (!d)
        cmd_not_found(c, e, "Cannot find device='%.64s' nor node-name='%.64s'", name, name);
    else if (!block_present(d->blk))
        err_set(e, -ENOMEDIUM, "Device '%.64s' has no medium", name);
    return d && block_present(d->blk) ? d : NULL;
}

/* ---- an image above ------------------------------------------------------------------------- */

/* Whether opening the image of @d by its name alone gives what the drive shows: it will be a backing file. */
static int may_be_below(const struct drive *d, const struct block_info *i, struct err *e)
{
    const struct block_opts *o = block_options(d->blk);

    if (block_readonly(d->blk) || d->tray)
        return err_set(e, -EROFS, "Device '%.64s' is read-only or removable", d->id);
    if (o->snapshot)
        return err_set(e, -ENOTSUP, "Device '%.64s' has snapshot=on: what it shows is in no file", d->id);
    if (o->offset || o->size)
        return err_set(e, -ENOTSUP, "Device '%.64s' is a window (offset=, size=) of its file", d->id);
    if (i->backing_file && (o->no_backing || (o->backing && strcmp(o->backing, i->backing_file))))
        return err_set(e, -ENOTSUP, "Device '%.64s' has another backing file than its image names", d->id);
    return 0;
}

/* Before anything changes: is @file an image of that @format, and large enough? */
static int try_overlay(const struct drive *d, const char *file, const char *format, struct err *e)
{
    struct block_opts o;
    struct block *b;
    int ret = 0;

    block_opts_init(&o);
    o.file = xstrdup(file);
    o.format = xstrdup(format);
    o.no_backing = true;
    b = block_open(NULL, &o, e);
    block_opts_free(&o);
    if (!b)
        return -EINVAL;
    if (block_length(b) < block_length(d->blk))
        ret = err_set(e, -EINVAL, "'%.200s' is smaller than the disk of '%.64s'", file, d->id);
    if (block_close(b) < 0 && ret == 0)
        ret = err_set(e, -EIO, "'%.200s' could not be written", file);
    return ret;
}

/* The drive has its former image again, which was closed in good order. */
static void go_back(struct step *s)
{
    struct err e = { "" };

    if (block_change(s->d->blk, &s->old, &e) < 0 && !block_present(s->d->blk))
        fprintf(stderr, "transom: drive %s is left without its image: %s\n", s->d->id, e.msg);
}

/* @file, an image of @format, is above what the drive has; @new_id, owned from here on, is its node. */
static int put_above(struct step *s, const char *file, const char *format, char *new_id, struct err *e)
{
    struct block_info i = { NULL };
    struct block_opts o;
    int ret = block_get_info(s->d->blk, &i);

    s->new_id = new_id;
    if (ret == 0)
        ret = may_be_below(s->d, &i, e);
    if (ret == 0)
        ret = try_overlay(s->d, file, format, e);
    if (ret == 0 && (ret = block_flush(s->d->blk)) < 0)
        err_set(e, ret, "Device '%.64s': %s", s->d->id, strerror(-ret));
    if (ret < 0)
        return ret;
    block_opts_copy(&s->old, block_options(s->d->blk));
    block_opts_copy(&o, &s->old);
    free(o.file);
    free(o.format);
    free(o.backing);
    free(o.backing_format);
    o.file = xstrdup(file);
    o.format = xstrdup(format);
    o.backing = xstrdup(s->old.file);
    o.backing_format = xstrdup(i.format);
    o.no_backing = false;
    ret = block_change(s->d->blk, &o, e);
    block_opts_free(&o);
    if (ret < 0) {
        go_back(s);
        return ret;
    }
    if (s->new_id) {
        s->old_id = s->d->id;
        s->d->id = xstrdup(s->new_id);
    }
    s->done = true;
    return 0;
}

static void undo_above(struct call *c, struct step *s)
{
    go_back(s);
    if (s->old_id) {
        free(s->d->id);
        s->d->id = s->old_id;
        s->old_id = NULL;
    }
    if (s->added)
        blockdev_del(c->run->nodes, s->added);
}

/* blockdev-snapshot: both are nodes, and nobody uses the upper one. */
static int snapshot_node(struct call *c, struct step *s, struct err *e)
{
    const char *name = jv_text(s->args, "overlay");
    const struct opt_drive *node = blockdev_find(c->run->opt, name);
    struct drive *top = drive_find(c->m, name);

    s->d = wanted_drive(c, s->args, e);
    if (!s->d)
        return -ENODEV;
    if (!node || node->protocol)
        return cmd_not_found(c, e, "Cannot find device='' nor node-name='%.64s'", name);
    if (top && (top->owner || top == s->d))
        return err_set(e, -EBUSY, "The overlay '%.64s' is already in use", name);
    if (!node->opts.no_backing)
        return err_set(e, -EINVAL, "The overlay '%.64s' already has a backing image", name);
    if (strcmp(node->opts.format, "qcow2"))
        return err_set(e, -ENOTSUP, "The overlay '%.64s' does not support backing images", name);
    if (top && drive_del(top, e) < 0)
        return -EIO;
    return put_above(s, node->opts.file, node->opts.format, xstrdup(name), e);
}

/* A new node over @file, for a drive that is itself one; NULL with @e set. */
static struct opt_drive *add_node(struct call *c, const char *file, const char *format, const char *name, struct err *e)
{
    struct kv_list l = { NULL, 0 };
    struct opt_drive *node;

    kv_add(&l, "driver", format);
    kv_add(&l, "node-name", name);
    kv_add(&l, "file.filename", file);
    node = blockdev_add(c->run->nodes, &l, e);
    kv_free(&l);
    return node;
}

static int make_overlay(const struct drive *d, const char *file, const char *format, struct err *e)
{
    char *below = realpath(block_options(d->blk)->file, NULL);
    struct block_create n = { .file = file, .size = block_length(d->blk), .size_set = true, .backing = below };
    struct block_info i;
    int ret = block_get_info(d->blk, &i);

    n.backing_fmt = ret == 0 ? i.format : NULL;
    if (ret == 0)
        ret = below ? may_be_below(d, &i, e) : err_set(e, -errno, "'%s': %s", block_options(d->blk)->file, strerror(errno));
    if (ret == 0)
        ret = block_create(format, &n, e);
    free(below);
    return ret;
}

/* blockdev-snapshot-sync: with mode=existing the image is there, otherwise it is made. */
static int snapshot_file(struct call *c, struct step *s, struct err *e)
{
    const char *file = jv_text(s->args, "snapshot-file"), *name = jv_text(s->args, "snapshot-node-name");
    const char *format = jv_text(s->args, "format"), *mode = jv_text(s->args, "mode");
    bool is_node;
    int ret = 0;

    s->d = wanted_drive(c, s->args, e);
    if (!s->d)
        return -ENODEV;
    is_node = blockdev_find(c->run->opt, s->d->id) != NULL;
    format = format ? format : "qcow2";
    if (mode && strcmp(mode, "existing") && strcmp(mode, "absolute-paths"))
        return err_set(e, -EINVAL, "Parameter 'mode' does not accept value '%.32s'", mode);
    if (strcmp(format, "qcow2"))
        return err_set(e, -ENOTSUP, "Format '%.32s' does not support backing images", format);
    if (is_node ? !name : !!name)
        return err_set(e, -EINVAL, is_node ? "Parameter 'snapshot-node-name' is missing" :
                       "Parameter 'snapshot-node-name' is for drives of -blockdev");
    if (!mode || strcmp(mode, "existing"))
        ret = make_overlay(s->d, file, format, e);
    if (ret == 0 && is_node && !(s->added = add_node(c, file, format, name, e)))
        ret = -EINVAL;
    if (ret == 0)
        ret = put_above(s, file, format, is_node ? xstrdup(name) : NULL, e);
    if (ret < 0 && s->added)
        blockdev_del(c->run->nodes, s->added);
    return ret;
}

/* ---- inside the image -------------------------------------------------------------------------- */

/* The snapshot called @name, or numbered @id (either may be NULL), into *@out; 0 or -ENOENT, -EIO */
static int look_up(struct block *b, const char *id, const char *name, struct block_snapshot *out)
{
    struct block_snapshot *list = NULL;
    unsigned n = 0;
    int ret = block_snapshot_list(b, &list, &n) < 0 ? -EIO : -ENOENT;

    for (unsigned i = 0; ret == -ENOENT && i < n; i++)
        if ((!id || !strcmp(list[i].id, id)) && (!name || !strcmp(list[i].name, name))) {
            *out = list[i];
            ret = 0;
        }
    free(list);
    return ret;
}

static int snapshot_inside(struct call *c, struct step *s, struct err *e)
{
    const char *name = jv_text(s->args, "name");
    struct block_snapshot made = { .icount = UINT64_MAX }, other;
    struct timespec now;
    int ret;

    s->d = wanted_drive(c, s->args, e);
    if (!s->d)
        return -ENODEV;
    if (!*name || strlen(name) >= sizeof made.name)
        return err_set(e, -EINVAL, "Name is empty or too long");
    if (look_up(s->d->blk, NULL, name, &other) == 0)
        return err_set(e, -EEXIST, "Snapshot with name '%.64s' already exists on device '%.64s'", name, s->d->id);
    clock_gettime(CLOCK_REALTIME, &now);
    made.date_s = (uint32_t)now.tv_sec;
    made.date_ns = (uint32_t)now.tv_nsec;
    made.vm_clock_ns = (uint64_t)clock_now_ns(c->m->timers.clock);
    strcpy(made.name, name);
    ret = block_snapshot_create(s->d->blk, &made, e);
    if (ret == 0) {
        strcpy(s->name, name);
        s->done = true;
    }
    return ret;
}

static void undo_inside(struct call *c, struct step *s)
{
    struct err e = { "" };

    if (block_snapshot_delete(s->d->blk, s->name, &e) < 0)
        fprintf(stderr, "transom: drive %s: snapshot '%s' is left over: %s\n", s->d->id, s->name, e.msg);
}

static int cmd_delete_inside(struct call *c, struct err *e)
{
    const char *id = jv_text(c->args, "id"), *name = jv_text(c->args, "name");
    struct drive *d = wanted_drive(c, c->args, e);
    struct block_snapshot s;
    int ret;

    if (!d)
        return -ENODEV;
    if (!id && !name)
        return err_set(e, -EINVAL, "Name or id must be provided");
    ret = look_up(d->blk, id, name, &s);
    if (ret < 0)
        return err_set(e, ret, "Snapshot with id '%.32s' and name '%.64s' does not exist on device '%.64s'",
                       id ? id : "", name ? name : "", d->id);
    ret = block_snapshot_delete(d->blk, s.id, e);
    if (ret < 0 || c->mon)
        return ret;
    jw_open(c->out, NULL);
    jw_str(c->out, "id", s.id);
    jw_str(c->out, "name", s.name);
    jw_uint(c->out, "vm-state-size", s.vm_state_bytes);
    jw_uint(c->out, "date-sec", s.date_s);
    jw_uint(c->out, "date-nsec", s.date_ns);
    jw_uint(c->out, "vm-clock-sec", s.vm_clock_ns / 1000000000);
    jw_uint(c->out, "vm-clock-nsec", s.vm_clock_ns % 1000000000);
    jw_close(c->out);
    return 0;
}

/* snapshot-delete: from each of the nodes that has it */
static int delete_everywhere(struct call *c, void *what, struct err *e)
{
    const struct jv *devices = jv_get(c->args, "devices");
    const char *tag = jv_text(c->args, "tag");
    int ret = 0;

    for (const struct jv *v = devices->child; v && ret == 0; v = v->next) {
        struct drive *d = v->type == JV_STRING ? drive_by_name(c, v->s) : NULL;
        struct block_snapshot s;

        if (!d || !block_present(d->blk))
            return err_set(e, -ENOENT, "No block device node '%.64s'", v->type == JV_STRING ? v->s : "");
        if (look_up(d->blk, NULL, tag, &s) == 0)
            ret = block_snapshot_delete(d->blk, s.id, e);
    }
    return ret;
}

static int cmd_snapshot_delete(struct call *c, struct err *e)
{
    if (jv_get(c->args, "devices")->type != JV_ARRAY)
        return err_set(e, -EINVAL, "Invalid parameter type for 'devices', expected: array");
    return run_job(c, jv_text(c->args, "job-id"), "snapshot-delete", delete_everywhere, NULL, e);
}

/* delvm: from every disk that has it */
static int cmd_delvm(struct call *c, struct err *e)
{
    const char *name = jv_text(c->args, "name");
    bool found = false;
    int ret = 0;

    for (struct drive *d = c->m->drives; d && ret == 0; d = d->next) {
        struct block_snapshot s;

        if (!block_present(d->blk) || look_up(d->blk, NULL, name, &s) < 0)
            continue;
        found = true;
        ret = block_snapshot_delete(d->blk, s.id, e);
    }
    return found ? ret : err_set(e, -ENOENT, "Snapshot '%.64s' not found", name);
}

/* ---- transactions --------------------------------------------------------------------------------- */

static const struct snap_action actions[] = {
    { { .qmp = "blockdev-snapshot", .args = "node:s,overlay:s" }, snapshot_node, undo_above },
    { { .qmp = "blockdev-snapshot-sync", .args = "device:s?,node-name:s?,snapshot-file:s,snapshot-node-name:s?,"
                                                 "format:s?,mode:s?" }, snapshot_file, undo_above },
    { { .qmp = "blockdev-snapshot-internal-sync", .args = "device:s,name:s" }, snapshot_inside, undo_inside },
};

static const struct snap_action *find_action(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_SIZE(actions); i++)
        if (!strcmp(actions[i].c.qmp, name))
            return &actions[i];
    return NULL;
}

static void step_free(struct step *s)
{
    block_opts_free(&s->old);
    free(s->old_id);
    free(s->new_id);
}

/* All of @s, or none of them. */
static int run_steps(struct call *c, struct step *s, unsigned n, struct err *e)
{
    int ret = 0;

    for (unsigned i = 0; i < n && ret == 0; i++)
        ret = s[i].action->run(c, &s[i], e);
    for (unsigned i = n; i-- > 0; ) {
        if (ret < 0 && s[i].done)
            s[i].action->undo(c, &s[i]);
        step_free(&s[i]);
    }
    return ret;
}

static int run_one(struct call *c, const char *name, struct err *e)
{
    struct step s = { .action = find_action(name), .args = c->args };

    return run_steps(c, &s, 1, e);
}

static int parse_steps(const struct jv *list, struct step *s, struct err *e)
{
    for (const struct jv *v = list->child; v; v = v->next, s++) {
        const char *type = jv_text(v, "type");

        s->action = find_action(type);
        s->args = jv_get(v, "data");
        if (!s->action)
            return err_set(e, -ENOTSUP, "action '%.64s' is not supported", type ? type : "");
        if (!s->args || s->args->type != JV_OBJECT)
            return err_set(e, -EINVAL, "Parameter 'data' is missing");
        if (cmd_check_args(&s->action->c, s->args, e) < 0)
            return -EINVAL;
    }
    return 0;
}

static int cmd_transaction(struct call *c, struct err *e)
{
    const struct jv *list = jv_get(c->args, "actions"), *how = jv_get(c->args, "properties");
    const char *mode = jv_text(how, "completion-mode");
    unsigned n = 0;
    struct step *s;
    int ret;

    if (list->type != JV_ARRAY)
        return err_set(e, -EINVAL, "Invalid parameter type for 'actions', expected: array");
    if (mode && strcmp(mode, "individual"))
        return err_set(e, -ENOTSUP, "completion-mode '%.32s' is not supported", mode);
    for (const struct jv *v = list->child; v; v = v->next)
        n++;
    s = xzalloc((n + 1) * sizeof *s);
    ret = parse_steps(list, s, e);
    if (ret == 0)
        ret = run_steps(c, s, n, e);
    free(s);
    return ret;
}

static int cmd_snapshot(struct call *c, struct err *e)
{
    return run_one(c, "blockdev-snapshot", e);
}

static int cmd_snapshot_sync(struct call *c, struct err *e)
{
    return run_one(c, "blockdev-snapshot-sync", e);
}

static int cmd_snapshot_internal(struct call *c, struct err *e)
{
    return run_one(c, "blockdev-snapshot-internal-sync", e);
}

const struct command snapshot_commands[] = {
    { .qmp = "transaction", .args = "actions:j,properties:j?", .run = cmd_transaction },
    { .qmp = "blockdev-snapshot", .args = "node:s,overlay:s", .run = cmd_snapshot },
    { .hmp = "snapshot_blkdev", .qmp = "blockdev-snapshot-sync",
      .args = "device:B?,node-name:s?!,snapshot-file:F,snapshot-node-name:s?!,format:s?,mode:s?",
      .help = "put a new image above a drive's, which is not written any more then (mode existing: the image is there)",
      .run = cmd_snapshot_sync },
    { .hmp = "snapshot_blkdev_internal", .qmp = "blockdev-snapshot-internal-sync", .args = "device:B,name:s",
      .help = "make a snapshot in the image, without the machine's state", .run = cmd_snapshot_internal },
    { .hmp = "snapshot_delete_blkdev_internal", .qmp = "blockdev-snapshot-delete-internal-sync", .returns = "any",
      .args = "device:B,name:s?,id:s?", .help = "delete one", .run = cmd_delete_inside },
    { .hmp = "delvm", .args = "name:s", .help = "delete a snapshot from all images", .run = cmd_delvm },
    { .qmp = "snapshot-delete", .args = "job-id:s,tag:s,devices:j", .run = cmd_snapshot_delete },
    { .hmp = NULL }
};
