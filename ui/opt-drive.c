/*
 * opt-drive.c - -drive, -blockdev, -hda and friends, -device
 */
#include <ctype.h>
#include <stdlib.h>
#include "hw/disk/fdc.h"
#include "ui/options.h"

static const char *const if_names[] = {
    [DRIVE_IF_NONE] = "none", [DRIVE_IF_IDE] = "ide", [DRIVE_IF_VIRTIO] = "virtio",
    [DRIVE_IF_FLOPPY] = "floppy", [DRIVE_IF_SCSI] = "scsi", [DRIVE_IF_PFLASH] = "pflash",
};
/* units on one bus of the interface; 0: one row of them. IDE: two channels with
 * two places each, or six SATA ports */
static unsigned units(const struct options *o, enum drive_if i)
{
    return i != DRIVE_IF_IDE ? 0 : o->cfg.board == BOARD_Q35 ? 1 : 2;
}

/* Owns @text from now on. */
static struct opt_drive *drive_append(struct options *o, char *text)
{
    struct opt_drive *d = xzalloc(sizeof *d), **p = &o->disks.drives;

    while (*p)
        p = &(*p)->next;
    *p = d;
    d->text = text;
    d->interface = DRIVE_IF_IDE;
    d->bus = d->unit = d->index = -1;
    block_opts_init(&d->opts);
    return d;
}

static void drive_free_option(struct opt_drive *d)
{
    block_opts_free(&d->opts);
    free(d->text);
    free(d->id);
    free(d->serial);
    free(d);
}

static struct opt_drive *find_id(const struct options *o, const char *id)
{
    struct opt_drive *d = o->disks.drives;

    while (d && (!d->id || strcmp(d->id, id)))
        d = d->next;
    return d;
}

static int set_id(struct options *o, struct opt_drive *d, const char *id, struct err *e)
{
    for (const char *p = id; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("-._#", *p))
            return err_set(e, -EINVAL, "%s: id '%s': letters, digits, - . _ only", d->text, id);
    if (!*id || find_id(o, id))
        return err_set(e, -EINVAL, "%s: id '%s' %s", d->text, id, *id ? "is taken" : "is empty");
    free(d->id);
    d->id = xstrdup(id);
    return 0;
}

/* ---- -drive ---------------------------------------------------------------------------- */

static int set_interface(struct opt_drive *d, const char *val, struct err *e)
{
    for (unsigned i = 0; i < ARRAY_SIZE(if_names); i++) {
        if (strcmp(val, if_names[i]))
            continue;
        if (i == DRIVE_IF_SCSI)
            return err_set(e, -ENOTSUP, "%s: if=%s: not supported yet", d->text, val);
        d->interface = i;
        return 0;
    }
    return opt_err_near(e, val, if_names, ARRAY_SIZE(if_names), "", "%s: if=%s: no such interface",
                        d->text, val);
}

static int set_place(struct opt_drive *d, const char *key, const char *val, struct err *e)
{
    char *end;
    long n = strtol(val, &end, 10);

    if (!isdigit((unsigned char)*val) || *end || n > 255)
        return err_set(e, -EINVAL, "%s: %s=%s: a number is wanted", d->text, key, val);
    *(!strcmp(key, "bus") ? &d->bus : !strcmp(key, "unit") ? &d->unit : &d->index) = n;
    return 0;
}

static int set_media(struct opt_drive *d, const char *val, struct err *e)
{
    d->cdrom = !strcmp(val, "cdrom");
    if (!d->cdrom && strcmp(val, "disk"))
        return err_set(e, -EINVAL, "%s: media=%s: disk or cdrom is wanted", d->text, val);
    return 0;
}

static int unknown_key(const struct opt_drive *d, const char *key, struct err *e)
{
    static const char *const keys[] = {
        "file", "format", "if", "index", "bus", "unit", "media", "id", "serial", "cache", "aio",
        "discard", "detect-zeroes", "readonly", "snapshot", "werror", "rerror", "driver",
        "node-name", "read-only", "filename", "offset", "size", "backing", "locking",
        "cache.direct", "cache.no-flush", "auto-read-only", "force-share",
    };

    if (!strncmp(key, "throttling", 10) || !strncmp(key, "bps", 3) || !strncmp(key, "iops", 4))
        return err_set(e, -ENOTSUP, "%s: %s: not supported yet", d->text, key);
    return opt_err_near(e, key, keys, ARRAY_SIZE(keys), "", "%s: unknown property '%s'", d->text,
                        key);
}

static int block_key(struct opt_drive *d, const char *key, const char *val, struct err *e)
{
    struct err why = { "" };
    int ret = block_opts_set(&d->opts, key, val, &why);

    if (ret == -ENOENT)
        return unknown_key(d, key, e);
    return ret < 0 ? err_set(e, ret, "%s: %s", d->text, why.msg) : 0;
}

/* An empty name is a drive without a medium. */
static int set_file(struct opt_drive *d, const char *file, struct err *e)
{
    return *file ? block_key(d, "file", file, e) : 0;
}

static int drive_key(struct options *o, struct opt_drive *d, const struct kv *k, struct err *e)
{
    const char *key = k->key, *val = k->val;

    if (!*key)
        return unknown_key(d, val, e);
    if (!strcmp(key, "if"))
        return set_interface(d, val, e);
    if (!strcmp(key, "file"))
        return set_file(d, val, e);
    if (!strcmp(key, "id"))
        return set_id(o, d, val, e);
    if (!strcmp(key, "media"))
        return set_media(d, val, e);
    if (!strcmp(key, "index") || !strcmp(key, "bus") || !strcmp(key, "unit"))
        return set_place(d, key, val, e);
    if (!strcmp(key, "serial")) {
        free(d->serial);
        d->serial = xstrdup(val);
        return 0;
    }
    if (!strcmp(key, "copy-on-read") && !strcmp(val, "off"))
        return 0;
    return block_key(d, key, val, e);
}

static int parse_list(struct kv_list *l, const struct opt_drive *d, const char *val, struct err *e)
{
    struct err why = { "" };

    return kv_parse(l, val, &why) < 0 ? err_set(e, -EINVAL, "%s: %s", d->text, why.msg) : 0;
}

static int parse_drive(struct options *o, struct opt_drive *d, const char *val, struct err *e)
{
    struct kv_list l = { NULL, 0 };
    int ret = parse_list(&l, d, val, e);

    for (size_t i = 0; ret == 0 && i < l.n; i++)
        ret = drive_key(o, d, &l.item[i], e);
    kv_free(&l);
    return ret;
}

int opt_drive(struct options *o, const char *val, struct err *e)
{
    return parse_drive(o, drive_append(o, xasprintf("-drive %s", val)), val, e);
}

static int simple(struct options *o, const char *opt, enum drive_if interface, int index,
                  bool cdrom, const char *file, struct err *e)
{
    struct opt_drive *d = drive_append(o, xasprintf("%s %s", opt, file));

    d->interface = interface;
    d->index = index;
    d->cdrom = cdrom;
    return set_file(d, file, e);
}

int opt_hda(struct options *o, const char *v, struct err *e)
{
    return simple(o, "-hda", DRIVE_IF_IDE, 0, false, v, e);
}

int opt_hdb(struct options *o, const char *v, struct err *e)
{
    return simple(o, "-hdb", DRIVE_IF_IDE, 1, false, v, e);
}

int opt_hdc(struct options *o, const char *v, struct err *e)
{
    return simple(o, "-hdc", DRIVE_IF_IDE, 2, false, v, e);
}

int opt_hdd(struct options *o, const char *v, struct err *e)
{
    return simple(o, "-hdd", DRIVE_IF_IDE, 3, false, v, e);
}

int opt_cdrom(struct options *o, const char *v, struct err *e)
{
    return simple(o, "-cdrom", DRIVE_IF_IDE, 2, true, v, e);
}

int opt_fda(struct options *o, const char *v, struct err *e)
{
    return simple(o, "-fda", DRIVE_IF_FLOPPY, 0, false, v, e);
}

int opt_fdb(struct options *o, const char *v, struct err *e)
{
    return simple(o, "-fdb", DRIVE_IF_FLOPPY, 1, false, v, e);
}

int opt_pflash(struct options *o, const char *v, struct err *e)
{
    return simple(o, "-pflash", DRIVE_IF_PFLASH, -1, false, v, e);
}

int opt_snapshot(struct options *o, const char *v, struct err *e)
{
    o->disks.snapshot = true;
    return 0;
}

/* ---- -blockdev ------------------------------------------------------------------------------ */

/* driver=qcow2,file=NODE: NODE names the file for this one. */
static int use_node(struct options *o, struct opt_drive *d, const char *name, struct err *e)
{
    struct opt_drive *below = find_id(o, name);

    if (!below || !below->protocol)
        return err_set(e, -EINVAL, "%s: file=%s: there is no such node before it", d->text, name);
    if (below->used)
        return err_set(e, -EINVAL, "%s: node '%s' is in use already", d->text, name);
    below->used = true;
    free(d->opts.file);
    d->opts.file = xstrdup(below->opts.file);
    d->opts.cache = below->opts.cache;
    d->opts.aio = below->opts.aio;
    d->opts.aio_set = below->opts.aio_set;
    d->opts.no_lock = below->opts.no_lock;
    d->opts.discard |= below->opts.discard;
    d->opts.readonly |= below->opts.readonly;
    return 0;
}

/* backing=NODE, backing=null, or a node in place: backing.driver, backing.file.filename */
static int use_backing(struct options *o, struct opt_drive *d, struct kv_list *l, struct err *e)
{
    const char *name = kv_get(l, "backing"), *file = kv_get(l, "backing.file.filename");
    const char *format = kv_get(l, "backing.driver");
    struct opt_drive *below = name && *name && strcmp(name, "null") ? find_id(o, name) : NULL;

    if (name && *name && strcmp(name, "null")) {
        if (!below || !below->blockdev || below->protocol)
            return err_set(e, -EINVAL, "%s: backing=%s: there is no such node before it", d->text, name);
        below->used = true;
        file = below->opts.file;
        format = below->opts.format;
    }
    if (file) {
        free(d->opts.backing);
        d->opts.backing = xstrdup(file);
        free(d->opts.backing_format);
        d->opts.backing_format = format ? xstrdup(format) : NULL;
        kv_del(l, "backing");
    }
    return 0;
}

/* One key of a node. Below a format may be a file, or raw over one: file.file.x is
 * file.x, and their drivers are no format. */
static int node_key(struct opt_drive *d, const struct kv *k, struct err *e)
{
    const char *key = k->key;

    while (!strncmp(key, "file.file.", 10))
        key += 5;
    if (!strcmp(key, "file.node-name") || !strncmp(key, "backing.", 8))
        return 0;
    if (strcmp(key, "file.driver"))
        return block_key(d, key, k->val, e);
    if (strcmp(k->val, "file") && strcmp(k->val, "host_device") && strcmp(k->val, "raw"))
        return err_set(e, -ENOTSUP, "%s: %s=%s: file, host_device or raw is wanted there", d->text, k->key, k->val);
    return 0;
}

static int blockdev(struct options *o, struct opt_drive *d, struct kv_list *l, struct err *e)
{
    const char *driver = kv_get(l, "driver"), *name = kv_get(l, "node-name");
    const char *node = kv_get(l, "file");
    int ret;

    if (!driver || !name)
        return err_set(e, -EINVAL, "%s: driver= and node-name= are wanted", d->text);
    d->interface = DRIVE_IF_NONE;
    d->blockdev = true;
    d->protocol = !strcmp(driver, "file") || !strcmp(driver, "host_device");
    ret = set_id(o, d, name, e);
    kv_del(l, "node-name");
    if (ret == 0 && node && !d->protocol) {
        ret = use_node(o, d, node, e);
        kv_del(l, "file");
    }
    if (ret == 0)
        ret = use_backing(o, d, l, e);
    for (size_t i = 0; ret == 0 && i < l->n; i++)
        ret = node_key(d, &l->item[i], e);
    if (ret == 0 && !d->opts.file)
        return err_set(e, -EINVAL, "%s: no file is named", d->text);
    return ret;
}

int opt_blockdev(struct options *o, const char *val, struct err *e)
{
    struct opt_drive *d = drive_append(o, xasprintf("-blockdev %s", val));
    struct kv_list l = { NULL, 0 };
    int ret = parse_list(&l, d, val, e);

    if (ret == 0)
        ret = blockdev(o, d, &l, e);
    kv_free(&l);
    return ret;
}

struct opt_drive *blockdev_find(const struct options *o, const char *name)
{
    struct opt_drive *d = find_id(o, name);

    return d && d->blockdev ? d : NULL;
}

struct opt_drive *blockdev_add(struct options *o, struct kv_list *l, struct err *e)
{
    struct opt_drive *d = drive_append(o, xstrdup("blockdev-add"));

    if (blockdev(o, d, l, e) == 0)
        return d;
    blockdev_del(o, d);
    return NULL;
}

void blockdev_del(struct options *o, struct opt_drive *d)
{
    struct opt_drive **p = &o->disks.drives;

    /* the file under it is free for another format */
    for (struct opt_drive *below = o->disks.drives; below; below = below->next)
        if (below->protocol && below != d && below->opts.file && d->opts.file &&
            !strcmp(below->opts.file, d->opts.file))
            below->used = false;
    while (*p != d)
        p = &(*p)->next;
    *p = d->next;
    drive_free_option(d);
}

/* ---- places ------------------------------------------------------------------------------------ */

/* By one of the drives before @end; NULL: by any. */
static bool is_taken(const struct options *o, const struct opt_drive *end, enum drive_if interface,
                     int index)
{
    for (const struct opt_drive *d = o->disks.drives; d && d != end; d = d->next)
        if (d->interface == interface && d->index == index)
            return true;
    return false;
}

static int place(struct options *o, struct opt_drive *d, struct err *e)
{
    unsigned per = units(o, d->interface);
    int first = 0;

    if (d->index < 0 && (d->bus >= 0 || d->unit >= 0))
        d->index = MAX(d->bus, 0) * (int)per + MAX(d->unit, 0);
    if (d->index >= 0 && is_taken(o, d, d->interface, d->index))
        return err_set(e, -EINVAL, "%s: there is a drive with if=%s, index=%d already", d->text,
                       if_names[d->interface], d->index);
    if (d->index < 0) {
        while (is_taken(o, NULL, d->interface, first))
            first++;
        d->index = first;
    }
    d->bus = per ? d->index / (int)per : 0;
    d->unit = per ? d->index % (int)per : d->index;
    if (d->interface == DRIVE_IF_IDE && d->index >= (o->cfg.board == BOARD_Q35 ? 6 : 4))
        return err_set(e, -EINVAL, "%s: the %s controller has %d places", d->text,
                       o->cfg.board == BOARD_Q35 ? "SATA" : "IDE",
                       o->cfg.board == BOARD_Q35 ? 6 : 4);
    if (d->interface == DRIVE_IF_FLOPPY && d->unit > 1)
        return err_set(e, -EINVAL, "%s: the floppy controller has 2 places", d->text);
    if (d->interface == DRIVE_IF_PFLASH && d->unit > 1)
        return err_set(e, -EINVAL, "%s: there are 2 flash chips", d->text);
    return 0;
}

static void name_it(struct opt_drive *d)
{
    if (d->id)
        return;
    if (d->interface == DRIVE_IF_IDE)
        d->id = xasprintf("ide%d-%s%d", d->bus, d->cdrom ? "cd" : "hd", d->unit);
    else
        d->id = xasprintf("%s%d", if_names[d->interface], d->unit);
}

static int default_drive(struct options *o, const char *name, enum drive_if interface, int index,
                         bool cdrom, struct err *e)
{
    struct opt_drive *d;

    if (is_taken(o, NULL, interface, index))
        return 0;
    d = drive_append(o, xstrdup(name));
    d->interface = interface;
    d->index = index;
    d->cdrom = cdrom;
    return place(o, d, e);
}

/* As QEMU has it: an empty CD-ROM drive, and with i440FX a floppy drive, unless there are
 * devices of the kind. */
static int default_drives(struct options *o, struct err *e)
{
    bool cd = !o->nodefaults, floppy = cd && o->cfg.board == BOARD_PC;
    int ret = 0;

    for (const struct opt_dev *d = o->disks.devs; d; d = d->next) {
        cd = cd && d->type->bus != USER_IDE;
        floppy = floppy && d->type->type != &floppy_type;
    }
    if (cd)
        ret = default_drive(o, "default CD-ROM drive", DRIVE_IF_IDE, 2, true, e);
    if (floppy && ret == 0)
        ret = default_drive(o, "default floppy drive", DRIVE_IF_FLOPPY, 0, false, e);
    return ret;
}

int disks_finish(struct options *o, struct err *e)
{
    for (unsigned pass = 0; pass < 2; pass++)     /* given places first */
        for (struct opt_drive *d = o->disks.drives; d; d = d->next) {
            bool given = d->index >= 0 || d->bus >= 0 || d->unit >= 0;

            if ((pass == 0) != given || (pass && d->id && d->blockdev && d->index >= 0))
                continue;
            if (place(o, d, e) < 0)
                return -EINVAL;
            if (pass == 0)
                continue;
        }
    if (default_drives(o, e) < 0)
        return -EINVAL;
    for (struct opt_drive *d = o->disks.drives; d; d = d->next) {
        name_it(d);
        if (d->cdrom)
            d->opts.readonly = true;
        if (o->disks.snapshot && !d->cdrom)
            d->opts.snapshot = true;
    }
    return 0;
}

/* ---- -device -------------------------------------------------------------------------------------- */

static int check_prop(const struct user_device *u, const struct kv *k, const char *val, struct err *e)
{
    const char *names[64];
    size_t n = 0;

    if (prop_find(u->type, k->key) || (!strcmp(k->key, "bus") && u->bus != USER_IDE))
        return 0;
    if (!*k->key && prop_find(u->type, k->val))
        return err_set(e, -EINVAL, "-device %s: '%s' lacks its value", val, k->val);
    for (const struct dev_prop *p = u->type->props; p && p->name && n < ARRAY_SIZE(names); p++)
        names[n++] = p->name;
    return opt_err_near(e, *k->key ? k->key : k->val, names, n, "", "-device %s: unknown property '%s'",
                        val, *k->key ? k->key : k->val);
}

/* "X,help" asks about X */
static bool asks_help(const struct kv_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (!*l->item[i].key && (!strcmp(l->item[i].val, "help") || !strcmp(l->item[i].val, "?")))
            return true;
    return false;
}

/* Takes @l over. */
static int append_device(struct options *o, const struct user_device *u, struct kv_list *l,
                         const char *val, struct err *e)
{
    struct opt_dev *d = xzalloc(sizeof *d), **p = &o->disks.devs;
    const char *id = kv_get(l, "id");

    if (id && !id_is_good(id)) {
        free(d);
        return err_set(e, -EINVAL, "-device %s: id '%s': a letter is wanted, then letters, digits, '-', '.' or '_'", val, id);
    }
    while (*p)
        p = &(*p)->next;
    *p = d;
    d->type = u;
    d->id = id ? xstrdup(id) : NULL;
    kv_del(l, "id");
    d->props = *l;
    *l = (struct kv_list){ NULL, 0 };
    for (size_t i = 0; i < d->props.n; i++)
        if (check_prop(u, &d->props.item[i], val, e) < 0)
            return -EINVAL;
    return 0;
}

int disks_device(struct options *o, const char *val, struct err *e)
{
    struct kv_list l = { NULL, 0 };
    const struct user_device *u;
    const char *name;
    struct err why = { "" };
    int ret = 1;

    if (kv_parse(&l, val, &why) < 0) {
        kv_free(&l);
        return err_set(e, -EINVAL, "-device %s: %s", val, why.msg);
    }
    if (!kv_get(&l, "driver") && l.n && !*l.item[0].key) {
        free(l.item[0].key);
        l.item[0].key = xstrdup("driver");
    }
    name = kv_get(&l, "driver");
    u = name ? user_device_find(name) : NULL;
    kv_del(&l, "driver");
    if (u && asks_help(&l)) {
        o->disks.help = u;
        o->action = ACT_DEVICE_HELP;
        ret = 0;
    } else if (u) {
        ret = append_device(o, u, &l, val, e);
    }
    kv_free(&l);
    return ret;
}

void disks_options_free(struct opt_disks *d)
{
    struct opt_drive *drive;
    struct opt_dev *dev;

    while ((drive = d->drives)) {
        d->drives = drive->next;
        drive_free_option(drive);
    }
    while ((dev = d->devs)) {
        d->devs = dev->next;
        kv_free(&dev->props);
        free(dev->id);
        free(dev);
    }
}

static void prop_help(const struct user_device *u, FILE *f)
{
    fprintf(f, "%s options:\n", u->type->name);
    for (const struct dev_prop *p = u->type->props; p && p->name; p++) {
        char left[64];

        snprintf(left, sizeof left, "%s=<%s>", p->name, prop_type_name(p->type));
        fprintf(f, "  %-31s - %s%s%s%s\n", left, p->help ? p->help : "", p->def ? " (default: " : "",
                p->def ? p->def : "", p->def ? ")" : "");
    }
}

void disks_device_help(const struct user_device *u, FILE *f)
{
    static const char *const bus[] = { [USER_PCI] = "PCI", [USER_IDE] = "IDE", [USER_ISA] = "ISA",
                                       [USER_SYSTEM] = "System", [USER_USB] = "usb-bus", [USER_VSERIAL] = "virtio-serial-bus" };
    const char *category = "";
    size_t n;
    const struct user_device *t = user_devices(&n);

    if (u) {
        prop_help(u, f);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(category, t[i].category))
            fprintf(f, "%s%s devices:\n", *category ? "\n" : "", t[i].category);
        category = t[i].category;
        fprintf(f, "name \"%s\", bus %s", t[i].type->name, bus[t[i].bus]);
        if (t[i].alias)
            fprintf(f, ", alias \"%s\"", t[i].alias);
        fprintf(f, ", desc \"%s\"\n", t[i].type->desc ? t[i].type->desc : "");
    }
}
