/*
 * info.c - info, check, map, measure: looking at images
 */
#define _GNU_SOURCE 1
#include <sys/stat.h>
#include "block/tool/img.h"

/* ---- info ------------------------------------------------------------------------ */

static void json_bitmaps(struct q2 *q)
{
    struct q2_bitmaps b;

    if (q2_bitmaps_load(q, &b) || !b.n)
        return;
    printf("            \"bitmaps\": [\n");
    for (unsigned i = 0; i < b.n; i++) {
        unsigned f = b.map[i].flags;
        printf("                {\n                    \"flags\": [%s%s%s],\n                    \"name\": ",
               f & Q2_BITMAP_IN_USE ? "\"in-use\"" : "", (f & 3) == 3 ? ", " : "", f & Q2_BITMAP_AUTO ? "\"auto\"" : "");
        json_string(stdout, b.map[i].name);
        printf(",\n                    \"granularity\": %" PRIu64 "\n                }%s\n",
               (uint64_t)1 << (b.map[i].granularity_bits & 63), i + 1 < b.n ? "," : "");
    }
    printf("            ],\n");
    q2_bitmaps_free(&b);
}

static void human_bitmaps(struct q2 *q)
{
    struct q2_bitmaps b;

    if (q2_bitmaps_load(q, &b) || !b.n)
        return;
    printf("    bitmaps:\n");
    for (unsigned i = 0; i < b.n; i++) {
        unsigned n = 0, f = b.map[i].flags;
        printf("        [%u]:\n            flags:\n", i);
        if (f & Q2_BITMAP_IN_USE)
            printf("                [%u]: in-use\n", n++);
        if (f & Q2_BITMAP_AUTO)
            printf("                [%u]: auto\n", n++);
        printf("            name: %s\n            granularity: %" PRIu64 "\n", b.map[i].name,
               (uint64_t)1 << (b.map[i].granularity_bits & 63));
    }
    q2_bitmaps_free(&b);
}

static void json_qcow2(struct q2 *q)
{
    printf("    \"format-specific\": {\n        \"type\": \"qcow2\",\n        \"data\": {\n");
    printf("            \"compat\": \"%s\",\n", q->version < 3 ? "0.10" : "1.1");
    printf("            \"compression-type\": \"%s\",\n", q->zstd ? "zstd" : "zlib");
    if (q->version >= 3) {
        printf("            \"lazy-refcounts\": %s,\n", q->lazy ? "true" : "false");
        if (q->data_file) {
            printf("            \"data-file\": ");
            json_string(stdout, q->data_file);
            printf(",\n            \"data-file-raw\": %s,\n", q->raw_external ? "true" : "false");
        }
        printf("            \"corrupt\": %s,\n", q->incompat & Q2_INC_CORRUPT ? "true" : "false");
        printf("            \"extended-l2\": %s,\n", q->ext_l2 ? "true" : "false");
        json_bitmaps(q);
    }
    printf("            \"refcount-bits\": %u\n        }\n    },\n", 1u << q->ref_order);
}

static void json_snapshots(const struct block_snapshot *s, unsigned n)
{
    printf("    \"snapshots\": [\n");
    for (unsigned i = 0; i < n; i++) {
        printf("        {\n            \"vm-clock-nsec\": %u,\n            \"name\": ", (unsigned)(s[i].vm_clock_ns % 1000000000));
        json_string(stdout, s[i].name);
        printf(",\n            \"date-sec\": %u,\n            \"date-nsec\": %u,\n            \"vm-clock-sec\": %" PRIu64
               ",\n            \"id\": ", s[i].date_s, s[i].date_ns, s[i].vm_clock_ns / 1000000000);
        json_string(stdout, s[i].id);
        printf(",\n            \"vm-state-size\": %" PRIu64 "\n        }%s\n", s[i].vm_state_bytes, i + 1 < n ? "," : "");
    }
    printf("    ],\n");
}

static void info_json(struct block *b, const struct block_info *i, const struct block_snapshot *s, unsigned n, char *full)
{
    struct bnode *node = block_node(b);

    printf("{\n");
    if (n)
        json_snapshots(s, n);
    if (i->backing_file) {
        printf("    \"backing-filename\": ");
        json_string(stdout, i->backing_file);
        printf(",\n");
        if (full) {
            printf("    \"full-backing-filename\": ");
            json_string(stdout, full);
            printf(",\n");
        }
        if (i->backing_format) {
            printf("    \"backing-filename-format\": ");
            json_string(stdout, i->backing_format);
            printf(",\n");
        }
    }
    printf("    \"virtual-size\": %" PRIu64 ",\n    \"filename\": ", i->virtual_bytes);
    json_string(stdout, i->filename);
    printf(",\n");
    if (i->cluster_bytes)
        printf("    \"cluster-size\": %u,\n", i->cluster_bytes);
    printf("    \"format\": \"%s\",\n    \"actual-size\": %" PRIu64 ",\n", i->format, i->disk_bytes);
    if (node->drv == &qcow2_driver)
        json_qcow2(q2_of(node));
    printf("    \"dirty-flag\": %s\n}", i->dirty ? "true" : "false");
}

static void info_human(struct block *b, const struct block_info *i, const struct block_snapshot *s, unsigned n, char *full)
{
    struct bnode *node = block_node(b);

    printf("image: %s\nfile format: %s\nvirtual size: %s (%" PRIu64 " bytes)\ndisk size: %s\n", i->filename, i->format,
           human_size(i->virtual_bytes), i->virtual_bytes, human_size(i->disk_bytes));
    if (i->dirty)
        printf("cleanly shut down: no\n");
    if (i->cluster_bytes)
        printf("cluster_size: %u\n", i->cluster_bytes);
    if (i->backing_file) {
        printf("backing file: %s", i->backing_file);
        if (full && strcmp(full, i->backing_file))
            printf(" (actual path: %s)", full);
        else if (!full)
            printf(" (cannot determine actual path)");
        printf("\n");
        if (i->backing_format)
            printf("backing file format: %s\n", i->backing_format);
    }
    if (n)
        list_snapshots(s, n);
    if (node->drv == &qcow2_driver) {
        struct q2 *q = q2_of(node);
        printf("Format specific information:\n    compat: %s\n    compression type: %s\n",
               q->version < 3 ? "0.10" : "1.1", q->zstd ? "zstd" : "zlib");
        if (q->version >= 3)
            printf("    lazy refcounts: %s\n", q->lazy ? "true" : "false");
        human_bitmaps(q);
        printf("    refcount bits: %u\n", 1u << q->ref_order);
        if (q->data_file)
            printf("    data file: %s\n    data file raw: %s\n", q->data_file, q->raw_external ? "true" : "false");
        if (q->version >= 3)
            printf("    corrupt: %s\n    extended l2: %s\n", q->incompat & Q2_INC_CORRUPT ? "true" : "false",
                   q->ext_l2 ? "true" : "false");
    }
}

/* one image; *next is the file below it (the caller's), NULL when none */
static int info_one(const char *file, const char *fmt, bool json, unsigned flags, char **next, char **next_fmt)
{
    struct block *b = img_open(file, fmt, NULL, flags | IMG_NO_BACKING | IMG_NO_IO | IMG_DIRTY_OK);
    struct block_snapshot *s = NULL;
    struct block_info i;
    unsigned n = 0;
    char *full;

    *next = *next_fmt = NULL;
    if (!b || block_get_info(b, &i))
        return 1;
    if (block_snapshot_list(b, &s, &n))
        n = 0;
    full = i.backing_file ? backing_path(i.filename, i.backing_file, NULL) : NULL;
    (json ? info_json : info_human)(b, &i, s, n, full);
    free(s);
    *next = full;
    *next_fmt = full && i.backing_format ? xstrdup(i.backing_format) : NULL;
    return block_close(b) ? 1 : 0;
}

int cmd_info(int argc, char **argv)
{
    static const struct option longs[] = {
        { "format", 1, 0, 'f' }, { "output", 1, 0, OPT_OUTPUT }, { "backing-chain", 0, 0, OPT_BACKING_CHAIN },
        { "force-share", 0, 0, 'U' }, { "image-opts", 0, 0, OPT_IMAGE_OPTS }, { 0 },
    };
    const char *fmt = NULL;
    bool json = false, chain = false;
    unsigned flags = 0, depth = 0;
    char *file, *file_fmt;
    int o, ret = 0;

    while ((o = next_opt(argc, argv, "f:U", longs)) != -1) {
        switch (o) {
        case 'f': fmt = optarg; break;
        case 'U': flags |= IMG_SHARE; break;
        case OPT_OUTPUT: if (!parse_output(optarg, &json)) return 1; break;
        case OPT_BACKING_CHAIN: chain = true; break;
        case OPT_IMAGE_OPTS: flags |= IMG_IMAGE_OPTS; break;
        default: return 1;
        }
    }
    if (want_args(argc, 1, 1, "one image file name"))
        return 1;
    file = xstrdup(argv[optind]);
    file_fmt = fmt ? xstrdup(fmt) : NULL;
    if (json && chain)
        printf("[\n");
    while (file && !ret && depth++ < BLOCK_MAX_CHAIN) {
        char *next, *next_fmt;
        if (depth > 1)
            printf(json ? ",\n" : "\n");
        ret = info_one(file, file_fmt, json, flags, &next, &next_fmt);
        flags &= ~IMG_IMAGE_OPTS;
        free(file);
        free(file_fmt);
        file = chain ? next : NULL;
        file_fmt = chain ? next_fmt : NULL;
        if (!chain) {
            free(next);
            free(next_fmt);
        }
    }
    if (file && !ret)
        ret = fail("Backing file chain is too long or has a loop");
    if (json)
        printf(chain ? "\n]\n" : "\n");
    free(file);
    free(file_fmt);
    return ret;
}

/* ---- check ----------------------------------------------------------------------- */

static void say_line(const char *line)
{
    fprintf(stderr, "%s\n", line);
}

static void check_human(const struct block_check *c)
{
    if (!c->corruptions && !c->leaks && !c->errors)
        printf("No errors were found on the image.\n");
    if (c->corruptions)
        printf("\n%" PRIu64 " errors were found on the image.\n"
               "Data may be corrupted, or further writes to the image may corrupt it.\n", c->corruptions);
    if (c->leaks)
        printf("\n%" PRIu64 " leaked clusters were found on the image.\n"
               "This means waste of disk space, but no harm to data.\n", c->leaks);
    if (c->errors)
        printf("\n%" PRIu64 " internal errors have occurred during the check.\n", c->errors);
    if (c->total)
        printf("%" PRIu64 "/%" PRIu64 " = %0.2f%% allocated, %0.2f%% fragmented, %0.2f%% compressed clusters\n",
               c->allocated, c->total, c->allocated * 100.0 / (double)c->total,
               c->fragmented * 100.0 / (double)MAX(c->allocated, 1u), c->compressed * 100.0 / (double)MAX(c->allocated, 1u));
    if (c->image_end)
        printf("Image end offset: %" PRIu64 "\n", c->image_end);
}

static void check_json(const struct block_check *c, const char *file, const char *fmt)
{
    printf("{\n    \"image-end-offset\": %" PRIu64 ",\n    \"total-clusters\": %" PRIu64 ",\n    \"check-errors\": %" PRIu64
           ",\n", c->image_end, c->total, c->errors);
    if (c->corruptions)
        printf("    \"corruptions\": %" PRIu64 ",\n", c->corruptions);
    if (c->leaks)
        printf("    \"leaks\": %" PRIu64 ",\n", c->leaks);
    if (c->corruptions_fixed)
        printf("    \"corruptions-fixed\": %" PRIu64 ",\n", c->corruptions_fixed);
    if (c->leaks_fixed)
        printf("    \"leaks-fixed\": %" PRIu64 ",\n", c->leaks_fixed);
    printf("    \"allocated-clusters\": %" PRIu64 ",\n    \"fragmented-clusters\": %" PRIu64
           ",\n    \"compressed-clusters\": %" PRIu64 ",\n    \"filename\": ", c->allocated, c->fragmented, c->compressed);
    json_string(stdout, file);
    printf(",\n    \"format\": \"%s\"\n}\n", fmt);
}

static int run_check(struct block *b, unsigned fix, bool json, bool quiet)
{
    struct bnode *n = block_node(b);
    struct block_check c = { .say = quiet || json ? NULL : say_line }, again;
    struct err e = { "" };

    if (!n->drv->check) {
        fail("This image format does not support checks");
        return 63;
    }
    if (n->drv->check(n, fix, &c, &e))
        return fail("%s", e.msg);
    if (c.leaks_fixed || c.corruptions_fixed) {
        if (!quiet && !json)
            printf("The following inconsistencies were found and repaired:\n\n    %" PRIu64 " leaked clusters\n    %" PRIu64
                   " corruptions\n\nDouble checking the fixed image now...\n", c.leaks_fixed, c.corruptions_fixed);
        again = (struct block_check){ .say = c.say };
        if (n->drv->check(n, 0, &again, &e))
            return fail("%s", e.msg);
        again.leaks_fixed = c.leaks_fixed;
        again.corruptions_fixed = c.corruptions_fixed;
        c = again;
    }
    if (json)
        check_json(&c, n->filename, n->drv->name);
    else if (!quiet)
        check_human(&c);
    return c.errors ? 1 : c.corruptions ? 2 : c.leaks ? 3 : 0;
}

int cmd_check(int argc, char **argv)
{
    static const struct option longs[] = {
        { "format", 1, 0, 'f' }, { "repair", 1, 0, 'r' }, { "output", 1, 0, OPT_OUTPUT },
        { "force-share", 0, 0, 'U' }, { "quiet", 0, 0, 'q' }, { "image-opts", 0, 0, OPT_IMAGE_OPTS }, { 0 },
    };
    const char *fmt = NULL, *cache = NULL;
    unsigned fix = 0, flags = IMG_NO_BACKING | IMG_DIRTY_OK;
    bool json = false, quiet = false;
    struct block *b;
    int o, ret, r;

    while ((o = next_opt(argc, argv, "f:r:T:qU", longs)) != -1) {
        switch (o) {
        case 'f': fmt = optarg; break;
        case 'T': cache = optarg; break;
        case 'q': quiet = true; break;
        case 'U': flags |= IMG_SHARE; break;
        case OPT_OUTPUT: if (!parse_output(optarg, &json)) return 1; break;
        case 'r':
            fix = !strcmp(optarg, "leaks") ? CHECK_FIX_LEAKS : !strcmp(optarg, "all") ? CHECK_FIX_LEAKS | CHECK_FIX_ERRORS : 0;
            if (!fix)
                return fail("-r expects 'leaks' or 'all', not '%s'", optarg);
            break;
        case OPT_IMAGE_OPTS: flags |= IMG_IMAGE_OPTS; break;
        default: return 1;
        }
    }
    if (want_args(argc, 1, 1, "one image file name"))
        return 1;
    b = img_open(argv[optind], fmt, cache, flags | (fix ? IMG_WRITE : 0));
    if (!b)
        return 1;
    ret = run_check(b, fix, json, quiet);
    r = block_close(b);
    return ret ? ret : r ? 1 : 0;
}

/* ---- map --------------------------------------------------------------------------- */

static void map_json(const struct block_extent *x, bool first)
{
    printf("%s{ \"start\": %" PRIu64 ", \"length\": %" PRIu64 ", \"depth\": %u, \"present\": %s, \"zero\": %s, \"data\": %s",
           first ? "" : ",\n", x->off, x->len, x->depth, x->present ? "true" : "false", x->zero ? "true" : "false",
           x->data ? "true" : "false");
    if (x->host_valid)
        printf(", \"offset\": %" PRIu64, x->host_off);
    printf("}");
}

static int map_human(const struct block_extent *x)
{
    if (!x->data || x->zero)
        return 0;
    if (!x->host_valid)
        return fail("File contains external, encrypted or compressed clusters.");
    printf("%#-16" PRIx64 "%#-16" PRIx64 "%#-16" PRIx64 "%s\n", x->off, x->len, x->host_off, x->file);
    return 0;
}

static bool joins(const struct block_extent *a, const struct block_extent *b)
{
    return a->data == b->data && a->zero == b->zero && a->present == b->present && a->depth == b->depth &&
           a->compressed == b->compressed && a->host_valid == b->host_valid && a->file == b->file &&
           (!a->host_valid || a->host_off + a->len == b->host_off);
}

int cmd_map(int argc, char **argv)
{
    static const struct option longs[] = {
        { "format", 1, 0, 'f' }, { "output", 1, 0, OPT_OUTPUT }, { "force-share", 0, 0, 'U' },
        { "start-offset", 1, 0, 's' }, { "max-length", 1, 0, 'l' }, { "image-opts", 0, 0, OPT_IMAGE_OPTS }, { 0 },
    };
    struct block_extent x, last = { 0 };
    uint64_t at = 0, len = UINT64_MAX, end;
    const char *fmt = NULL;
    bool json = false, first = true;
    unsigned flags = 0;
    struct block *b;
    int o, ret = 0;

    while ((o = next_opt(argc, argv, "f:s:l:U", longs)) != -1) {
        switch (o) {
        case 'f': fmt = optarg; break;
        case 'U': flags |= IMG_SHARE; break;
        case 's': if (!img_size(optarg, &at)) return 1; break;
        case 'l': if (!img_size(optarg, &len)) return 1; break;
        case OPT_OUTPUT: if (!parse_output(optarg, &json)) return 1; break;
        case OPT_IMAGE_OPTS: flags |= IMG_IMAGE_OPTS; break;
        default: return 1;
        }
    }
    if (want_args(argc, 1, 1, "one image file name") || !(b = img_open(argv[optind], fmt, NULL, flags)))
        return 1;
    end = block_length(b);
    if (at > end)
        at = end;
    end = MIN(end - at, len) + at;
    printf("%s", json ? "[" : "Offset          Length          Mapped to       File\n");
    for (; at < end && !ret; at += x.len) {
        if ((o = block_map(b, at, end - at, &x))) {
            ret = fail("Failed to get block status: %s", strerror(-o));
        } else if (last.len && joins(&last, &x)) {
            last.len += x.len;
        } else {
            if (last.len && json)
                map_json(&last, first);
            else if (last.len)
                ret = map_human(&last);
            first = first && !last.len;
            last = x;
        }
    }
    if (last.len && !ret) {
        if (json)
            map_json(&last, first);
        else
            ret = map_human(&last);
    }
    if (json)
        printf("]\n");
    return block_close(b) ? 1 : ret;
}

/* ---- measure -------------------------------------------------------------------------- */

/* bytes of a qcow2 file for @size with @data bytes of whole clusters */
static uint64_t qcow2_bytes(uint64_t size, uint64_t data, uint32_t cs, unsigned ref_bits)
{
    uint64_t l2 = align_up(((size + cs - 1) / cs) * 8, cs), l1 = align_up(l2 / cs * 8, cs), meta, refs = 0, reft = 0;

    for (;;) {
        meta = cs + l1 + l2 + refs + reft;
        uint64_t clusters = (meta + data + cs - 1) / cs;
        uint64_t blocks = (clusters * ref_bits / 8 + cs - 1) / cs, table = align_up(blocks * 8, cs);
        if (blocks * cs <= refs && table <= reft)
            return meta + data;
        refs = MAX(refs, blocks * cs);
        reft = MAX(reft, table);
    }
}

static int count_data(struct block *b, uint32_t cs, uint64_t *data)
{
    uint64_t end = block_length(b), upto = 0;
    struct block_extent x;

    *data = 0;
    for (uint64_t at = 0; at < end; at += x.len) {
        int r = block_map(b, at, end - at, &x);
        if (r)
            return fail("Failed to get block status: %s", strerror(-r));
        if (!x.data || x.zero)
            continue;
        uint64_t lo = MAX(align_down(at, cs), upto);
        upto = align_up(at + x.len, cs);
        *data += upto - MIN(lo, upto);
    }
    return 0;
}

int cmd_measure(int argc, char **argv)
{
    static const struct option longs[] = {
        { "size", 1, 0, OPT_SIZE }, { "output", 1, 0, OPT_OUTPUT }, { "force-share", 0, 0, 'U' },
        { "object", 1, 0, OPT_IGNORED }, { "image-opts", 0, 0, OPT_IMAGE_OPTS }, { 0 },
    };
    struct block_create c = { 0 };
    const char *fmt = NULL, *out = "raw", *snap = NULL;
    uint64_t size = UINT64_MAX, data, need, full;
    bool json = false, bitmaps = false;
    unsigned flags = 0;
    struct err e = { "" };
    uint32_t cs;
    int o;

    while ((o = next_opt(argc, argv, "f:O:o:l:U", longs)) != -1) {
        switch (o) {
        case 'f': fmt = optarg; break;
        case 'O': out = optarg; break;
        case 'l': snap = optarg; break;
        case 'o': if (!create_opts(&c, optarg)) return 1; break;
        case 'U': flags |= IMG_SHARE; break;
        case OPT_SIZE: if (!img_size(optarg, &size)) return 1; break;
        case OPT_OUTPUT: if (!parse_output(optarg, &json)) return 1; break;
        case OPT_IGNORED: break;
        case OPT_IMAGE_OPTS: flags |= IMG_IMAGE_OPTS; break;
        default: return 1;
        }
    }
    if ((size == UINT64_MAX) == (optind == argc) || argc - optind > 1)
        return fail("Either --size N or one filename must be specified.");
    cs = !strcmp(out, "qcow2") ? c.cluster_bytes ? c.cluster_bytes : 65536 : 512;
    if (strcmp(out, "qcow2") && strcmp(out, "raw"))
        return fail("Format driver '%s' does not support measuring", out);
    data = 0;
    if (optind < argc) {
        struct block *b = img_open(argv[optind], fmt, NULL, flags);
        if (!b)
            return 1;
        if (snap && (!block_node(b)->drv->snap_load || block_node(b)->drv->snap_load(block_node(b), snap, &e)))
            return fail("Failed to load snapshot: %s", e.msg);
        size = block_length(b);
        bitmaps = cs != 512 && block_node(b)->drv == &qcow2_driver && q2_of(block_node(b))->version >= 3;
        o = count_data(b, cs, &data);
        if (block_close(b) || o)
            return 1;
    }
    need = full = size;
    if (cs != 512) {
        unsigned bits = c.refcount_bits ? c.refcount_bits : 16;
        full = qcow2_bytes(size, align_up(size, cs), cs, bits);
        need = full - align_up(size, cs) + data;
        if (c.prealloc && (!strcmp(c.prealloc, "full") || !strcmp(c.prealloc, "falloc")))
            need = full;
    }
    if (json) /* bitmaps are never copied: they need no room */
        printf("{\n%s    \"required\": %" PRIu64 ",\n    \"fully-allocated\": %" PRIu64 "\n}\n",
               bitmaps ? "    \"bitmaps\": 0,\n" : "", need, full);
    else
        printf("required size: %" PRIu64 "\nfully allocated size: %" PRIu64 "\n%s", need, full,
               bitmaps ? "bitmaps size: 0\n" : "");
    return 0;
}
