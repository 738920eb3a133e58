/*
 * qmp-block.c - what programs ask about drives and images
 *
 * A drive of -drive is called by its id; one of -blockdev is a node, and the device in
 * front of it is what has a name. An image is shown as two nodes: its format, and the file.
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "hw/disk/drive.h"
#include "ui/commands-int.h"
#include "ui/options.h"

/* The option that made @d, or NULL. */
static const struct opt_drive *option_of(const struct run *r, const struct drive *d)
{
    for (const struct opt_drive *o = r->opt->disks.drives; o; o = o->next)
        if (!strcmp(o->id, d->id))
            return o;
    return NULL;
}

static bool is_blockdev(const struct run *r, const struct drive *d)
{
    const struct opt_drive *o = option_of(r, d);

    return o && o->blockdev;
}

/* The node-name of a drive's format, or of the file under it: owned by the caller. */
static char *node_name(const struct run *r, const struct drive *d)
{
    return is_blockdev(r, d) ? xstrdup(d->id) : xasprintf("#block-%s", d->id);
}

static char *file_node_name(const struct run *r, const struct drive *d)
{
    const struct opt_drive *o = option_of(r, d);

    for (const struct opt_drive *p = r->opt->disks.drives; p && o; p = p->next)
        if (p->protocol && p->opts.file && o->opts.file && !strcmp(p->opts.file, o->opts.file))
            return xstrdup(p->id);
    return xasprintf("#file-%s", d->id);
}

/* ---- images ------------------------------------------------------------------------ */

static void write_image(struct jw *w, const struct block *b, const struct block_info *i, bool file)
{
    jw_open(w, "image");
    jw_uint(w, "virtual-size", file ? i->disk_bytes : i->virtual_bytes);
    jw_str(w, "filename", i->filename);
    if (!file && i->cluster_bytes)
        jw_uint(w, "cluster-size", i->cluster_bytes);
    jw_str(w, "format", file ? "file" : i->format);
    jw_uint(w, "actual-size", i->disk_bytes);
    if (!file && i->backing_file)
        jw_str(w, "backing-filename", i->backing_file);
    if (!file && i->backing_format)
        jw_str(w, "backing-filename-format", i->backing_format);
    jw_bool(w, "dirty-flag", !file && i->dirty);
    jw_close(w);
}

static void write_cache(struct jw *w, const struct block *b)
{
    enum block_cache c = block_options(b)->cache;

    jw_open(w, "cache");
    jw_bool(w, "no-flush", c == BLOCK_CACHE_UNSAFE);
    jw_bool(w, "direct", c == BLOCK_CACHE_NONE || c == BLOCK_CACHE_DIRECTSYNC);
    jw_bool(w, "writeback", c != BLOCK_CACHE_WRITETHROUGH && c != BLOCK_CACHE_DIRECTSYNC);
    jw_close(w);
}

static const char *zeroes_name(const struct block *b)
{
    static const char *const names[] = { [BLOCK_DZ_OFF] = "off", [BLOCK_DZ_ON] = "on",
                                         [BLOCK_DZ_UNMAP] = "unmap" };

    return names[block_options(b)->detect_zeroes];
}

/* Members of a node: the format's, or the file's. */
static void write_node(struct jw *w, const struct run *r, const struct drive *d, bool file)
{
    static const char *const none[] = { "bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr",
                                        "write_threshold" };
    char *name = file ? file_node_name(r, d) : node_name(r, d);
    struct block_info i;

    if (block_get_info(d->blk, &i) == 0) {
        jw_str(w, "node-name", name);
        jw_str(w, "drv", file ? "file" : i.format);
        jw_str(w, "file", i.filename);
        jw_bool(w, "ro", block_readonly(d->blk));
        jw_bool(w, "encrypted", !file && i.encrypted);
        jw_str(w, "detect_zeroes", file ? "off" : zeroes_name(d->blk));
        jw_int(w, "backing_file_depth", file ? 0 : (int)i.backing_depth);
        if (!file && i.backing_file)
            jw_str(w, "backing_file", i.backing_file);
        for (size_t k = 0; k < ARRAY_SIZE(none); k++)
            jw_int(w, none[k], 0);
        write_cache(w, d->blk);
        write_image(w, d->blk, &i, file);
    }
    free(name);
}

static int query_named_nodes(struct call *c, struct err *e)
{
    jw_open_array(c->out, NULL);
    for (const struct drive *d = c->m->drives; d; d = d->next)
        for (int file = 0; file < 2 && block_present(d->blk); file++) {
            jw_open(c->out, NULL);
            write_node(c->out, c->run, d, file);
            jw_close(c->out);
        }
    jw_close(c->out);
    return 0;
}

/* ---- drives ---------------------------------------------------------------------------- */

static void write_qdev(struct jw *w, struct machine *m, const struct drive *d)
{
    bool virtio = d->owner && !strncmp(d->owner->type->name, "virtio-", 7);
    char *path;

    if (!d->owner)
        return;
    path = device_path(m, d->owner, virtio ? "/virtio-backend" : "");
    jw_str(w, "qdev", path);
    free(path);
}

static void write_drive(struct jw *w, const struct run *r, const struct drive *d)
{
    const struct drive_tray *t = d->tray;

    jw_open(w, NULL);
    jw_str(w, "device", is_blockdev(r, d) ? "" : d->id);
    write_qdev(w, r->m, d);
    jw_str(w, "type", "unknown");
    jw_bool(w, "removable", t != NULL);
    jw_bool(w, "locked", t && t->locked && t->locked(d->changed_opaque));
    if (t && t->open)
        jw_bool(w, "tray_open", t->open(d->changed_opaque));
    if (!t)
        jw_str(w, "io-status", d->parked ? "failed" : "ok");
    if (block_present(d->blk)) {
        jw_open(w, "inserted");
        write_node(w, r, d, false);
        jw_close(w);
    }
    jw_close(w);
}

static int query_block(struct call *c, struct err *e)
{
    jw_open_array(c->out, NULL);
    for (const struct drive *d = c->m->drives; d; d = d->next)
        if (d->owner || !is_blockdev(c->run, d))
            write_drive(c->out, c->run, d);
    jw_close(c->out);
    return 0;
}

static void write_stats(struct jw *w, const struct block *b)
{
    struct block_stats s;

    block_get_stats(b, &s);
    jw_open(w, "stats");
    jw_uint(w, "rd_bytes", s.rd_bytes);
    jw_uint(w, "wr_bytes", s.wr_bytes);
    jw_uint(w, "unmap_bytes", s.unmap_bytes);
    jw_uint(w, "rd_operations", s.rd_ops);
    jw_uint(w, "wr_operations", s.wr_ops);
    jw_uint(w, "flush_operations", s.flush_ops);
    jw_uint(w, "unmap_operations", s.unmap_ops);
    jw_uint(w, "rd_total_time_ns", s.rd_ns);
    jw_uint(w, "wr_total_time_ns", s.wr_ns);
    jw_uint(w, "flush_total_time_ns", s.flush_ns);
    jw_uint(w, "unmap_total_time_ns", s.unmap_ns);
    jw_uint(w, "failed_rd_operations", s.rd_failed);
    jw_uint(w, "failed_wr_operations", s.wr_failed);
    jw_uint(w, "failed_flush_operations", s.flush_failed);
    jw_uint(w, "failed_unmap_operations", s.unmap_failed);
    jw_uint(w, "wr_highest_offset", s.wr_highest_offset);
    jw_int(w, "rd_merged", 0);
    jw_int(w, "wr_merged", 0);
    jw_close(w);
}

static int query_blockstats(struct call *c, struct err *e)
{
    bool nodes = jv_flag(c->args, "query-nodes", false);

    jw_open_array(c->out, NULL);
    for (const struct drive *d = c->m->drives; d; d = d->next) {
        char *name = node_name(c->run, d);

        jw_open(c->out, NULL);
        if (!nodes) {
            jw_str(c->out, "device", is_blockdev(c->run, d) ? "" : d->id);
            write_qdev(c->out, c->m, d);
        }
        if (block_present(d->blk))
            jw_str(c->out, "node-name", name);
        write_stats(c->out, d->blk);
        jw_close(c->out);
        free(name);
    }
    jw_close(c->out);
    return 0;
}

/* ---- media -------------------------------------------------------------------------------- */

/* Drive by id=, which names the device, or device=, which names the drive; either at the prompt. */
static struct drive *find(struct call *c, struct err *e)
{
    const char *id = jv_text(c->args, "id"), *name = id ? id : jv_text(c->args, "device");
    struct drive *d;

    if (!name) {
        err_set(e, -EINVAL, "Need exactly one of 'device' and 'id'");
        return NULL;
    }
    if (!strncmp(name, "/machine/peripheral/", 20))
        name += 20;
    d = id ? NULL : drive_find(c->m, name);
    for (struct drive *i = c->m->drives; i && !d; i = i->next)
        if (i->owner && i->owner->id && strlen(i->owner->id) == strcspn(name, "/") &&
            !strncmp(i->owner->id, name, strcspn(name, "/")))
            d = i;
    if (!d)
        cmd_not_found(c, e, "Device '%.128s' not found", name);
    return d;
}

static int cmd_eject(struct call *c, struct err *e)
{
    struct drive *d = find(c, e);

    return d ? drive_eject(d, jv_flag(c->args, "force", false), e) : -ENODEV;
}

/* read-only, read-write or retain: as the drive was opened first */
static int access_mode(const char *word, struct block_opts *o, struct err *e)
{
    if (!strcmp(word, "read-only"))
        o->readonly = true;
    else if (!strcmp(word, "read-write"))
        o->readonly = o->auto_readonly = false;
    else if (strcmp(word, "retain"))
        return err_set(e, -EINVAL, "'%.32s': read-only, read-write or retain is wanted", word);
    return 0;
}

static int put_medium(struct drive *d, const char *file, const char *format, const char *mode, bool force,
                      struct err *e)
{
    const struct block_opts *old = block_options(d->blk);
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
    ret = block_opts_set(&o, "file", file, e);
    if (ret == 0 && format)
        ret = block_opts_set(&o, "format", format, e);
    if (ret == 0 && mode)
        ret = access_mode(mode, &o, e);
    if (d->cdrom)
        o.readonly = true;
    if (ret == 0)
        ret = drive_change(d, &o, force, e);
    block_opts_free(&o);
    return ret;
}

static int cmd_change_medium(struct call *c, struct err *e)
{
    struct drive *d = find(c, e);

    return d ? put_medium(d, jv_text(c->args, "filename"), jv_text(c->args, "format"),
                          jv_text(c->args, "read-only-mode"), jv_flag(c->args, "force", false), e) : -ENODEV;
}

static int change_vnc(struct call *c, struct err *e)
{
    const char *what = jv_text(c->args, "filename"), *password = jv_text(c->args, "format");

    if (strcmp(what, "password") && strcmp(what, "passwd"))
        return err_set(e, -EINVAL, "vnc password PASSWORD is wanted");
    if (!password)
        return err_set(e, -EINVAL, "a password is wanted");
    return vnc_set_password(c, password, e);
}

/* At the prompt "change vnc password ..." is another thing. */
static int cmd_change(struct call *c, struct err *e)
{
    return strcmp(jv_text(c->args, "device"), "vnc") ? cmd_change_medium(c, e) : change_vnc(c, e);
}

static int cmd_change_qmp(struct call *c, struct err *e)
{
    const char *device = jv_text(c->args, "device"), *target = jv_text(c->args, "target");
    const char *arg = jv_text(c->args, "arg");
    struct drive *d;

    if (!strcmp(device, "vnc") && (!strcmp(target, "password") || !strcmp(target, "passwd")))
        return arg ? vnc_set_password(c, arg, e) : err_set(e, -EINVAL, "a password is wanted");
    d = find(c, e);
    return d ? put_medium(d, target, arg, NULL, false, e) : -ENODEV;
}

/* ---- sizes ---------------------------------------------------------------------------------- */

static int resize(struct drive *d, uint64_t bytes, struct err *e)
{
    if (bytes % 512)
        return err_set(e, -EINVAL, "a size in whole sectors is wanted");
    return block_resize(d->blk, bytes, e);
}

static int cmd_block_resize(struct call *c, struct err *e)
{
    const char *node = jv_text(c->args, "node-name");
    int64_t size = jv_number(c->args, "size", -1);
    struct drive *d = node ? drive_find(c->m, node) : find(c, e);

    if (!d)
        return node ? cmd_not_found(c, e, "Cannot find node '%.64s'", node) : -ENODEV;
    return size < 0 ? err_set(e, -EINVAL, "Parameter 'size' expects a >0 size") : resize(d, (uint64_t)size, e);
}

static int cmd_block_resize_line(struct call *c, struct err *e)
{
    struct drive *d = find(c, e);
    uint64_t bytes;

    if (!d)
        return -ENODEV;
    if (parse_size(jv_text(c->args, "size"), MiB, &bytes) < 0)
        return err_set(e, -EINVAL, "'%s': a size in whole sectors is wanted", jv_text(c->args, "size"));
    return resize(d, bytes, e);
}

const struct command block_commands[] = {
    { .qmp = "query-block", .args = "flat:b?", .returns = "any", .run = query_block },
    { .qmp = "query-named-block-nodes", .args = "flat:b?", .returns = "any", .run = query_named_nodes },
    { .qmp = "query-blockstats", .args = "query-nodes:b?", .returns = "any", .run = query_blockstats },
    { .hmp = "eject", .qmp = "eject", .args = "force:f,device:B?,id:D?!",
      .help = "take out a CD or floppy (-f: even when the guest has locked it)", .run = cmd_eject },
    { .hmp = "change", .args = "force:f,device:B,filename:F,format:s?,read-only-mode:s?",
      .help = "put in another (read-only, read-write, retain); or vnc password PASSWORD", .run = cmd_change },
    { .qmp = "change", .args = "device:B,target:F,arg:s?", .run = cmd_change_qmp },
    { .qmp = "blockdev-change-medium",
      .args = "device:B?,id:D?,filename:F,format:s?,force:b?,read-only-mode:s?", .run = cmd_change_medium },
    { .hmp = "block_resize", .args = "device:B,size:s", .help = "give a disk another size (in MiB, or with "
      "a suffix)", .run = cmd_block_resize_line },
    { .qmp = "block_resize", .args = "device:B?,node-name:s?,size:i", .run = cmd_block_resize },
    { .hmp = NULL }
};
