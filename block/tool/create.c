/*
 * create.c - create, resize, snapshot
 */
#define _GNU_SOURCE 1
#include <time.h>
#include <sys/time.h>
#include "block/tool/img.h"

static bool on_off(const char *key, const char *v, bool *out)
{
    *out = !strcmp(v, "on") || !strcmp(v, "true") || !strcmp(v, "yes");
    if (*out || !strcmp(v, "off") || !strcmp(v, "false") || !strcmp(v, "no"))
        return true;
    fail("Parameter '%s' expects 'on' or 'off'", key);
    return false;
}

static bool set_prealloc(struct block_create *c, const char *v)
{
    if (strcmp(v, "off") && strcmp(v, "metadata") && strcmp(v, "falloc") && strcmp(v, "full")) {
        fail("Parameter 'preallocation' does not accept value '%s' (off, metadata, falloc, full)", v);
        return false;
    }
    c->prealloc = xstrdup(v);
    return true;
}

static const char *const create_keys[] = {
    "size", "backing_file", "backing_fmt", "cluster_size", "compat", "lazy_refcounts", "refcount_bits",
    "preallocation", "compression_type", "extended_l2", "data_file", "data_file_raw", "nocow", "encryption",
};

static bool create_opt(struct block_create *c, const char *key, const char *v)
{
    uint64_t n;
    bool b;

    if (!strcmp(key, "size"))
        return img_size(v, &c->size) && (c->size_set = true);
    if (!strcmp(key, "backing_file"))
        return (c->backing = xstrdup(v)) != NULL;
    if (!strcmp(key, "backing_fmt"))
        return (c->backing_fmt = xstrdup(v)) != NULL;
    if (!strcmp(key, "cluster_size") || !strcmp(key, "refcount_bits")) {
        if (!img_size(v, &n) || n > UINT32_MAX)
            return fail("Parameter '%s' is out of range", key), false;
        *(*key == 'c' ? &c->cluster_bytes : &c->refcount_bits) = (uint32_t)n;
        return true;
    }
    if (!strcmp(key, "compat")) {
        c->compat = !strcmp(v, "0.10") || !strcmp(v, "v2") ? 2 : !strcmp(v, "1.1") || !strcmp(v, "v3") ? 3 : 0;
        return c->compat ? true : (fail("Invalid compatibility level: '%s' (0.10, 1.1)", v), false);
    }
    if (!strcmp(key, "lazy_refcounts"))
        return on_off(key, v, &c->lazy_refcounts);
    if (!strcmp(key, "extended_l2"))
        return on_off(key, v, &c->extended_l2);
    if (!strcmp(key, "data_file_raw"))
        return on_off(key, v, &c->data_file_raw);
    if (!strcmp(key, "nocow"))
        return on_off(key, v, &b);
    if (!strcmp(key, "data_file"))
        return (c->data_file = xstrdup(v)) != NULL;
    if (!strcmp(key, "preallocation"))
        return set_prealloc(c, v);
    if (!strcmp(key, "compression_type")) {
        c->zstd = !strcmp(v, "zstd");
        return c->zstd || !strcmp(v, "zlib") ? true : (fail("Unknown compression type '%s' (zlib, zstd)", v), false);
    }
    if (!strcmp(key, "encryption") && !strcmp(v, "off"))
        return true;
    const char *near = nearest_word(key, create_keys, ARRAY_SIZE(create_keys));
    fail("Invalid parameter '%s'%s%s%s", key, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return false;
}

bool create_opts(struct block_create *c, const char *list)
{
    char *copy = xstrdup(list), *p = copy;
    bool ok = true;

    while (ok && *p) {
        char *key = p, *val, *out;
        /* ",," is a comma in a value */
        for (out = p; *p && !(p[0] == ',' && p[1] != ','); p++)
            *out++ = *p == ',' ? *p++ : *p;
        if (*p)
            p++;
        *out = 0;
        val = strchr(key, '=');
        if (val)
            *val++ = 0;
        ok = create_opt(c, key, val ? val : "on");
    }
    free(copy);
    return ok;
}

static bool backing_size(struct block_create *c)
{
    struct err e = { "" };
    char *path = backing_path(c->file, c->backing, &e);
    struct block *b;

    if (!path) {
        fail("%s", e.msg);
        return false;
    }
    b = img_open(path, c->backing_fmt, NULL, IMG_NO_IO);
    free(path);
    if (!b)
        return false;
    if (!c->size_set) {
        c->size = block_length(b);
        c->size_set = true;
    }
    return !block_close(b);
}

bool create_help(const char *fmt, const char *list)
{
    static const char *const help[][2] = {
        { "backing_file", "File name of a base image" }, { "backing_fmt", "Image format of the base image" },
        { "cluster_size", "qcow2 cluster size: 512 to 2M" }, { "compat", "0.10 or 1.1: lowest version that opens it" },
        { "compression_type", "zlib or zstd" }, { "lazy_refcounts", "Postpone refcount updates" },
        { "preallocation", "off, metadata, falloc or full" }, { "refcount_bits", "Width of a reference count: 1 to 64" },
    };
    bool raw = !strcmp(fmt, "raw");

    if (strcmp(list, "help") && strcmp(list, "?"))
        return false;
    printf("Supported %s options:\n", fmt);
    for (unsigned i = 0; i < ARRAY_SIZE(help); i++)
        if (!raw || !strcmp(help[i][0], "preallocation"))
            printf("  %-18s - %s\n", help[i][0], raw ? "off, falloc or full" : help[i][1]);
    printf("  %-18s - Virtual disk size\n", "size");
    return true;
}

int create_image(const char *fmt, struct block_create *c, bool quiet)
{
    bool qcow2 = block_find_driver(fmt) == &qcow2_driver;
    struct err e = { "" };

    if (block_may_create(fmt, c, &e))
        return fail("%s", e.msg);
    if (!quiet) {
        printf("Formatting '%s', fmt=%s", c->file, fmt);
        if (qcow2)
            printf(" cluster_size=%u extended_l2=off compression_type=%s", c->cluster_bytes ? c->cluster_bytes : 65536,
                   c->zstd ? "zstd" : "zlib");
        printf(" size=%" PRIu64, c->size);
        if (c->backing)
            printf(" backing_file=%s backing_fmt=%s", c->backing, c->backing_fmt ? c->backing_fmt : "");
        if (qcow2)
            printf(" lazy_refcounts=%s refcount_bits=%u", c->lazy_refcounts ? "on" : "off",
                   c->refcount_bits ? c->refcount_bits : 16);
        printf("\n");
        fflush(stdout);
    }
    return block_create(fmt, c, &e) ? fail("%s: %s", c->file, e.msg) : 0;
}

int cmd_create(int argc, char **argv)
{
    static const struct option longs[] = {
        { "format", 1, 0, 'f' }, { "quiet", 0, 0, 'q' }, { "options", 1, 0, 'o' }, { "backing", 1, 0, 'b' },
        { "backing-format", 1, 0, 'F' }, { "backing-unsafe", 0, 0, 'u' }, { 0 },
    };
    struct block_create c = { 0 };
    const char *fmt = "raw";
    bool quiet = false, unsafe = false;
    int o;

    while ((o = next_opt(argc, argv, "f:b:F:o:qu6", longs)) != -1) {
        switch (o) {
        case 'f': fmt = optarg; break;
        case 'b': c.backing = optarg; break;
        case 'F': c.backing_fmt = optarg; break;
        case 'o':
            if (create_help(fmt, optarg))
                return 0;
            if (!create_opts(&c, optarg))
                return 1;
            break;
        case 'q': quiet = true; break;
        case 'u': unsafe = true; break;
        default: return 1;
        }
    }
    if (want_args(argc, 1, 2, "an image file name, and perhaps a size"))
        return 1;
    c.file = argv[optind];
    if (optind + 1 < argc) {
        if (!img_size(argv[optind + 1], &c.size))
            return 1;
        c.size_set = true;
    }
    if (c.backing && !*c.backing)
        c.backing = NULL;
    if (c.backing && !c.backing_fmt)
        return fail("%s: backing file specified without backing format (-F)", c.file);
    if (c.backing && c.backing_fmt && !block_find_driver(c.backing_fmt))
        return fail("Unknown backing file format '%s'", c.backing_fmt);
    if (c.backing && !unsafe && !backing_size(&c))
        return 1;
    if (!c.size_set)
        return fail("%s: Image creation needs a size parameter", c.file);
    return create_image(fmt, &c, quiet);
}

int cmd_resize(int argc, char **argv)
{
    static const struct option longs[] = {
        { "format", 1, 0, 'f' }, { "quiet", 0, 0, 'q' }, { "shrink", 0, 0, OPT_SHRINK },
        { "preallocation", 1, 0, OPT_PREALLOC }, { "image-opts", 0, 0, OPT_IMAGE_OPTS }, { 0 },
    };
    struct block_create c = { 0 };
    const char *fmt = NULL, *s;
    bool quiet = false, shrink = false;
    unsigned flags = IMG_WRITE;
    uint64_t n, now, want;
    struct err e = { "" };
    struct block *b;
    int o, sign = 0, ret = 0;

    /* the size may look like an option: "-1G" */
    char *size = argc > 2 ? argv[--argc] : NULL;
    if (size)
        argv[argc] = NULL;
    while ((o = next_opt(argc, argv, "f:q", longs)) != -1) {
        switch (o) {
        case 'f': fmt = optarg; break;
        case 'q': quiet = true; break;
        case OPT_SHRINK: shrink = true; break;
        case OPT_PREALLOC: if (!set_prealloc(&c, optarg)) return 1; break;
        case OPT_IMAGE_OPTS: flags |= IMG_IMAGE_OPTS; break;
        default: return 1;
        }
    }
    if (!size || want_args(argc, 1, 1, "an image file name and a size"))
        return size ? 1 : fail("Expecting an image file name and a size");
    s = size;
    if (*s == '+' || *s == '-')
        sign = *s++ == '+' ? 1 : -1;
    if (!img_size(s, &n))
        return 1;
    b = img_open(argv[optind], fmt, NULL, flags);
    if (!b)
        return 1;
    now = block_length(b);
    want = !sign ? n : sign > 0 ? now + n : now - n;
    if ((sign < 0 && n >= now) || want > BLOCK_MAX_BYTES)
        ret = fail("New image size must be positive");
    else if (want < now && c.prealloc && strcmp(c.prealloc, "off"))
        ret = fail("Preallocation can only be used for growing images");
    else if (want < now && !shrink)
        ret = fail("Use the --shrink option to perform a shrink operation.\n"
                   "Warning: Shrinking an image will delete all data beyond the shrunken image's end. "
                   "Before performing such an operation, make sure there is no important data there.");
    else if (block_resize(b, want, &e))
        ret = fail("%s", e.msg);
    else if (c.prealloc && strcmp(c.prealloc, "off") && want > now && block_node(b)->drv == &qcow2_driver &&
             (o = q2_prealloc(q2_of(block_node(b)), now, want - now)))
        ret = fail("Preallocation failed: %s", strerror(-o));
    if ((o = block_close(b)) && !ret)
        ret = fail("Closing failed: %s", strerror(-o));
    if (!ret && !quiet)
        printf("Image resized.\n");
    return ret;
}

void list_snapshots(const struct block_snapshot *s, unsigned n)
{
    printf("Snapshot list:\n%-10s%-17s%8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT");
    for (unsigned i = 0; i < n; i++) {
        time_t t = s[i].date_s;
        uint64_t sec = s[i].vm_clock_ns / 1000000000;
        char date[32], clock[40], icount[24] = "";
        struct tm tm;
        localtime_r(&t, &tm);
        strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
        snprintf(clock, sizeof(clock), "%02d:%02d:%02d.%03d", (int)(sec / 3600), (int)(sec / 60 % 60), (int)(sec % 60),
                 (int)(s[i].vm_clock_ns / 1000000 % 1000));
        if (s[i].icount != UINT64_MAX)
            snprintf(icount, sizeof(icount), "%" PRIu64, s[i].icount);
        printf("%-9s %-16s %8s%20s%13s%11s\n", s[i].id, s[i].name, human_size(s[i].vm_state_bytes), date, clock, icount);
    }
}

static int run_snapshot(struct block *b, int what, const char *name)
{
    struct block_snapshot s = { .icount = UINT64_MAX }, *list;
    struct err e = { "" };
    struct timeval tv;
    unsigned n;
    int r;

    switch (what) {
    case 'c':
        gettimeofday(&tv, NULL);
        s.date_s = (uint32_t)tv.tv_sec;
        s.date_ns = (uint32_t)tv.tv_usec * 1000;
        snprintf(s.name, sizeof(s.name), "%s", name);
        return block_snapshot_create(b, &s, &e) ? fail("Could not create snapshot '%s': %s", name, e.msg) : 0;
    case 'a':
        return block_snapshot_apply(b, name, &e) ? fail("Could not apply snapshot '%s': %s", name, e.msg) : 0;
    case 'd':
        return block_snapshot_delete(b, name, &e) ? fail("Could not delete snapshot '%s': %s", name, e.msg) : 0;
    default:
        r = block_snapshot_list(b, &list, &n);
        if (!r && n)
            list_snapshots(list, n);
        free(list);
        return 0;
    }
}

int cmd_snapshot(int argc, char **argv)
{
    static const struct option longs[] = {
        { "format", 1, 0, 'f' }, { "quiet", 0, 0, 'q' }, { "force-share", 0, 0, 'U' }, { "list", 0, 0, 'l' },
        { "apply", 1, 0, 'a' }, { "create", 1, 0, 'c' }, { "delete", 1, 0, 'd' }, { "image-opts", 0, 0, OPT_IMAGE_OPTS }, { 0 },
    };
    const char *fmt = NULL, *name = NULL;
    unsigned flags = IMG_NO_BACKING;
    int o, what = 0, ret, r;
    struct block *b;

    while ((o = next_opt(argc, argv, "la:c:d:f:qU", longs)) != -1) {
        switch (o) {
        case 'f': fmt = optarg; break;
        case 'q': break;
        case 'U': flags |= IMG_SHARE; break;
        case 'l': case 'a': case 'c': case 'd':
            if (what)
                return fail("Cannot mix '-l', '-a', '-c', '-d'");
            what = o;
            name = optarg;
            break;
        case OPT_IMAGE_OPTS: flags |= IMG_IMAGE_OPTS; break;
        default: return 1;
        }
    }
    if (want_args(argc, 1, 1, "one image file name"))
        return 1;
    if (what && what != 'l')
        flags |= IMG_WRITE;
    b = img_open(argv[optind], fmt, NULL, flags);
    if (!b)
        return 1;
    ret = run_snapshot(b, what, name);
    if ((r = block_close(b)) && !ret)
        ret = fail("Closing failed: %s", strerror(-r));
    return ret;
}
