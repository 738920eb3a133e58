/*
 * chain.c - rebase, commit, compare: more than one image at a time
 */
#define _GNU_SOURCE 1
#include "block/tool/img.h"

#define PIECE (1 * MiB)

/* bytes of @b; past its end, and without an image at all, zeroes */
static int read_padded(struct block *b, uint64_t off, uint8_t *buf, uint64_t len)
{
    uint64_t size = b ? block_length(b) : 0, in = off < size ? MIN(len, size - off) : 0;

    memset(buf + in, 0, len - in);
    return in ? block_pread(b, off, buf, in) : 0;
}

/* ---- rebase ------------------------------------------------------------------------- */

/* what shows through from the old backing file and differs in the new one */
static int keep_content(struct block *top, struct block *new, bool progress)
{
    uint64_t end = block_length(top);
    uint8_t *a = bfile_buf(PIECE), *b = bfile_buf(PIECE);
    struct block_extent x;
    int r = a && b ? 0 : -ENOMEM;

    for (uint64_t at = 0; at < end && !r; at += x.len) {
        progress_show(progress, (double)at * 100 / (double)end);
        r = block_map(top, at, MIN(PIECE, end - at), &x);
        if (r || (x.present && x.depth == 0))
            continue;
        r = block_pread(top, at, a, x.len);
        r = r ? r : read_padded(new, at, b, x.len);
        for (uint64_t i = 0; i < x.len && !r; i += 4096) {
            uint64_t n = MIN(4096u, x.len - i);
            if (memcmp(a + i, b + i, n))
                r = block_pwrite(top, at + i, a + i, n);
        }
    }
    free(a);
    free(b);
    return r;
}

static int rebase(const char *file, const char *fmt, const char *base, const char *base_fmt, bool unsafe, bool progress)
{
    struct block *top = img_open(file, fmt, NULL, IMG_WRITE | (unsafe ? IMG_NO_BACKING : 0)), *new = NULL;
    struct err e = { "" };
    struct bnode *n;
    int ret = 0, r;

    if (!top)
        return 1;
    n = block_node(top);
    if (!n->drv->set_backing)
        ret = fail("Format %s has no backing files", n->drv->name);
    if (!ret && !unsafe) {
        char *path = base && *base ? backing_path(file, base, &e) : NULL;
        if (base && *base && (!path || !(new = img_open(path, base_fmt, NULL, 0))))
            ret = path ? 1 : fail("%s", e.msg);
        free(path);
        if (!ret && (r = keep_content(top, new, progress)))
            ret = fail("error while copying from the old backing file: %s", strerror(-r));
        if (!ret)
            progress_show(progress, 100);
        progress_end(progress);
    }
    if (!ret && n->drv->set_backing(n, base, base && *base ? base_fmt : NULL, &e))
        ret = fail("Could not change the backing file to '%s': %s", base ? base : "", e.msg);
    if (new && block_close(new))
        ret = 1;
    if ((r = block_close(top)) && !ret)
        ret = fail("Closing failed: %s", strerror(-r));
    return ret;
}

int cmd_rebase(int argc, char **argv)
{
    static const struct option longs[] = {
        { "format", 1, 0, 'f' }, { "backing", 1, 0, 'b' }, { "backing-format", 1, 0, 'F' },
        { "backing-unsafe", 0, 0, 'u' }, { "quiet", 0, 0, 'q' }, { "force-share", 0, 0, 'U' }, { 0 },
    };
    const char *fmt = NULL, *base = NULL, *base_fmt = NULL;
    bool unsafe = false, progress = false, quiet = false;
    int o;

    while ((o = next_opt(argc, argv, "f:b:F:upqt:T:U", longs)) != -1) {
        switch (o) {
        case 'f': fmt = optarg; break;
        case 'b': base = optarg; break;
        case 'F': base_fmt = optarg; break;
        case 'u': unsafe = true; break;
        case 'p': progress = true; break;
        case 'q': quiet = true; break;
        case 't': case 'T': case 'U': break;
        default: return 1;
        }
    }
    if (want_args(argc, 1, 1, "one image file name"))
        return 1;
    if (!base)
        return fail("Must specify backing file (-b) or use simple rebase mode (-u)");
    if (*base && !base_fmt)
        return fail("backing file specified without backing format (-F)");
    if (base_fmt && !block_find_driver(base_fmt))
        return fail("Invalid format name: '%s'", base_fmt);
    return rebase(argv[optind], fmt, base, base_fmt, unsafe, progress && !quiet);
}

/* ---- commit -------------------------------------------------------------------------- */

static int copy_down(struct block *top, struct block *base, bool progress)
{
    uint64_t end = block_length(top);
    uint8_t *buf = bfile_buf(PIECE);
    struct block_extent x;
    int r = buf ? 0 : -ENOMEM;

    for (uint64_t at = 0; at < end && !r; at += x.len) {
        progress_show(progress, (double)at * 100 / (double)end);
        r = block_map(top, at, MIN(PIECE, end - at), &x);
        if (r || !x.present)
            continue;
        if (x.zero && !x.data) {
            r = block_write_zeroes(base, at, x.len, BLOCK_REQ_UNMAP);
            continue;
        }
        r = block_pread(top, at, buf, x.len);
        r = r ? r : block_pwrite(base, at, buf, x.len);
    }
    free(buf);
    return r ? r : block_flush(base);
}

static int commit(const char *file, const char *fmt, const char *cache, bool drop, bool progress)
{
    struct block *top = img_open(file, fmt, cache, IMG_WRITE | IMG_NO_BACKING), *base = NULL;
    struct err e = { "" };
    struct bnode *n;
    char *path = NULL;
    int ret = 0, r;

    if (!top)
        return 1;
    n = block_node(top);
    if (!n->backing_file)
        ret = fail("Image does not have a backing file");
    else if (!(path = backing_path(file, n->backing_file, &e)))
        ret = fail("%s", e.msg);
    if (!ret && !(base = img_open(path, n->backing_fmt, cache, IMG_WRITE)))
        ret = 1;
    if (!ret && block_length(base) < block_length(top) && block_resize(base, block_length(top), &e))
        ret = fail("%s", e.msg);
    if (!ret && (r = copy_down(top, base, progress)))
        ret = fail("error while committing: %s", strerror(-r));
    if (!ret)
        progress_show(progress, 100);
    progress_end(progress);
    if (base && (r = block_close(base)) && !ret)
        ret = fail("Closing the backing file failed: %s", strerror(-r));
    /* only now is it all in the backing file */
    if (!ret && !drop && n->drv->make_empty && (r = n->drv->make_empty(n)))
        ret = fail("Could not empty %s: %s", file, strerror(-r));
    if ((r = block_close(top)) && !ret)
        ret = fail("Closing failed: %s", strerror(-r));
    free(path);
    return ret;
}

int cmd_commit(int argc, char **argv)
{
    static const struct option longs[] = { { "format", 1, 0, 'f' }, { "quiet", 0, 0, 'q' }, { 0 } };
    const char *fmt = NULL, *cache = NULL;
    bool drop = false, progress = false, quiet = false;
    int o, ret;

    while ((o = next_opt(argc, argv, "f:t:b:dpqr:", longs)) != -1) {
        switch (o) {
        case 'f': fmt = optarg; break;
        case 't': cache = optarg; break;
        case 'd': drop = true; break;
        case 'p': progress = true; break;
        case 'q': quiet = true; break;
        case 'r': break;
        case 'b': return fail("commit -b is not supported: commit one image at a time");
        default: return 1;
        }
    }
    if (want_args(argc, 1, 1, "one image file name"))
        return 1;
    ret = commit(argv[optind], fmt, cache, drop, progress && !quiet);
    if (!ret && !quiet)
        printf("Image committed.\n");
    return ret;
}

/* ---- compare ---------------------------------------------------------------------------- */

/* 0: equal; 1: differ, *where; or negative errno */
static int compare_range(struct block *a, struct block *b, uint64_t end, bool progress, uint64_t *where)
{
    uint8_t *p = bfile_buf(PIECE), *q = bfile_buf(PIECE);
    int r = p && q ? 0 : -ENOMEM;

    for (uint64_t at = 0, n; at < end && !r; at += n) {
        struct block_extent x = { 0 }, y = { 0 };
        progress_show(progress, (double)at * 100 / (double)end);
        n = MIN(PIECE, end - at);
        if (at < block_length(a) && at < block_length(b) && !block_map(a, at, end - at, &x) &&
            !block_map(b, at, end - at, &y) && x.zero && y.zero && !x.data && !y.data) {
            n = MIN(x.len, y.len);
            continue;
        }
        r = read_padded(a, at, p, n);
        r = r ? r : read_padded(b, at, q, n);
        if (!r && memcmp(p, q, n)) {
            uint64_t i = 0;
            while (p[i] == q[i])
                i++;
            *where = at + i;
            r = 1;
        }
    }
    free(p);
    free(q);
    return r;
}

int cmd_compare(int argc, char **argv)
{
    static const struct option longs[] = {
        { "force-share", 0, 0, 'U' }, { "quiet", 0, 0, 'q' }, { "strict", 0, 0, 's' }, { 0 },
    };
    const char *fmt1 = NULL, *fmt2 = NULL, *cache = NULL;
    bool strict = false, progress = false, quiet = false;
    unsigned flags = 0;
    uint64_t where = 0, len1, len2;
    struct block *a, *b;
    int o, r;

    while ((o = next_opt(argc, argv, "f:F:T:pqsU", longs)) != -1) {
        switch (o) {
        case 'f': fmt1 = optarg; break;
        case 'F': fmt2 = optarg; break;
        case 'T': cache = optarg; break;
        case 'p': progress = true; break;
        case 'q': quiet = true; break;
        case 's': strict = true; break;
        case 'U': flags |= IMG_SHARE; break;
        default: return 2;
        }
    }
    if (want_args(argc, 2, 2, "two image file names"))
        return 2;
    a = img_open(argv[optind], fmt1, cache, flags);
    b = a ? img_open(argv[optind + 1], fmt2, cache, flags) : NULL;
    if (!b)
        return block_close(a), 2;
    len1 = block_length(a);
    len2 = block_length(b);
    if (strict && len1 != len2) {
        if (!quiet)
            printf("Strict mode: Image size mismatch!\n");
        r = 1;
    } else {
        if (len1 != len2 && !quiet)
            printf("Warning: Image size mismatch!\n");
        r = compare_range(a, b, MAX(len1, len2), progress && !quiet, &where);
        progress_end(progress && !quiet);
        if (r < 0)
            fail("Error while reading: %s", strerror(-r));
        else if (r && !quiet)
            printf("Content mismatch at offset %" PRIu64 "!\n", where);
        else if (!quiet)
            printf("Images are identical.\n");
        r = r < 0 ? 4 : r;
    }
    block_close(a);
    block_close(b);
    return r;
}
