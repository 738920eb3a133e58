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

struct rebase_args {
    const char *file, *fmt, *base, *base_fmt, *cache, *src_cache;
    unsigned flags;
    bool unsafe, progress;
};

/* the new backing file, opened; NULL in *new: none is wanted */
static int open_new_base(const struct rebase_args *a, const char *above, struct block **new)
{
    struct err e = { "" };
    char *path;

    *new = NULL;
    if (!*a->base)
        return 0;
    path = backing_path(above, a->base, &e);
    if (!path)
        return fail("%s", e.msg);
    *new = img_open(path, a->base_fmt, a->src_cache, a->flags & IMG_SHARE);
    free(path);
    return *new ? 0 : 1;
}

static int rebase_safely(const struct rebase_args *a, struct block *top)
{
    struct block *new;
    int ret = open_new_base(a, block_node(top)->filename, &new), r;

    if (!ret && (r = keep_content(top, new, a->progress)))
        ret = fail("error while copying from the old backing file: %s", strerror(-r));
    if (!ret)
        progress_show(a->progress, 100);
    progress_end(a->progress);
    if (new && block_close(new))
        ret = 1;
    return ret;
}

static int rebase(const struct rebase_args *a)
{
    struct block *top = img_open(a->file, a->fmt, a->cache, a->flags | IMG_WRITE | (a->unsafe ? IMG_NO_BACKING : 0));
    struct err e = { "" };
    struct bnode *n;
    int ret = 0, r;

    if (!top)
        return 1;
    n = block_node(top);
    if (!n->drv->set_backing)
        ret = fail("Format %s has no backing files", n->drv->name);
    if (!ret && !a->unsafe)
        ret = rebase_safely(a, top);
    if (!ret && n->drv->set_backing(n, a->base, *a->base ? a->base_fmt : NULL, &e))
        ret = fail("Could not change the backing file to '%s': %s", a->base, e.msg);
    if ((r = block_close(top)) && !ret)
        ret = fail("Closing failed: %s", strerror(-r));
    return ret;
}

int cmd_rebase(int argc, char **argv)
{
    static const struct option longs[] = {
        { "format", 1, 0, 'f' }, { "backing", 1, 0, 'b' }, { "backing-format", 1, 0, 'F' },
        { "backing-unsafe", 0, 0, 'u' }, { "quiet", 0, 0, 'q' }, { "force-share", 0, 0, 'U' }, { "image-opts", 0, 0, OPT_IMAGE_OPTS }, { 0 },
    };
    struct rebase_args a = { 0 };
    bool quiet = false;
    int o;

    while ((o = next_opt(argc, argv, "f:b:F:upqt:T:U", longs)) != -1) {
        switch (o) {
        case 'f': a.fmt = optarg; break;
        case 'b': a.base = optarg; break;
        case 'F': a.base_fmt = optarg; break;
        case 'u': a.unsafe = true; break;
        case 'p': a.progress = true; break;
        case 'q': quiet = true; break;
        case 't': a.cache = optarg; break;
        case 'T': a.src_cache = optarg; break;
        case 'U': a.flags |= IMG_SHARE; break;
        case OPT_IMAGE_OPTS: a.flags |= IMG_IMAGE_OPTS; break;
        default: return 1;
        }
    }
    if (want_args(argc, 1, 1, "one image file name"))
        return 1;
    if (!a.base)
        return fail("Must specify backing file (-b) or use simple rebase mode (-u)");
    if (*a.base && !a.base_fmt)
        return fail("backing file specified without backing format (-F)");
    if (a.base_fmt && !block_find_driver(a.base_fmt))
        return fail("Invalid format name: '%s'", a.base_fmt);
    a.file = argv[optind];
    a.progress = a.progress && !quiet;
    return rebase(&a);
}

/* ---- commit -------------------------------------------------------------------------- */

struct commit_args {
    const char *file, *fmt, *cache, *base;
    unsigned flags;
    bool drop, progress;
};

/* what the @depth images from @top down hold goes to @base */
static int copy_down(struct block *top, unsigned depth, struct block *base, bool progress)
{
    uint64_t end = block_length(top);
    uint8_t *buf = bfile_buf(PIECE);
    struct block_extent x;
    int r = buf ? 0 : -ENOMEM;

    for (uint64_t at = 0; at < end && !r; at += x.len) {
        progress_show(progress, (double)at * 100 / (double)end);
        r = block_map(top, at, MIN(PIECE, end - at), &x);
        if (r || !x.present || x.depth >= depth)
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

/* the node below the top that -b names (the next one without), and how deep; NULL after a message */
static struct bnode *find_base(const struct commit_args *a, struct block *top, unsigned *depth)
{
    struct bnode *n = block_node(top);

    *depth = 0;
    if (!n->backing) {
        fail("Image does not have a backing file");
        return NULL;
    }
    while ((n = n->backing)) {
        ++*depth;
        if (!a->base || !strcmp(a->base, n->filename))
            return n;
    }
    fail("Did not find '%s' in the backing chain of '%s'", a->base, a->file);
    return NULL;
}

/* Opens the chain to find @path, format and depth of the base, and closes it again:
 * the base is going to be written. */
static int look_for_base(const struct commit_args *a, char **path, char **fmt, unsigned *depth)
{
    struct block *top = img_open(a->file, a->fmt, a->cache, a->flags);
    struct bnode *n = top ? find_base(a, top, depth) : NULL;

    *path = n ? xstrdup(n->filename) : NULL;
    *fmt = n ? xstrdup(n->drv->name) : NULL;
    return block_close(top) || !n;
}

/* With one level the top is opened alone, for writing: it is emptied afterwards.
 * With more the chain is only read, without locks that would keep the base shut; that
 * of the top is held beside. */
static int commit_to(const struct commit_args *a, const char *path, const char *fmt, unsigned depth)
{
    bool empty = depth == 1 && !a->drop;
    unsigned how = depth == 1 ? IMG_WRITE | IMG_NO_BACKING : IMG_SHARE;
    struct block *base = img_open(path, fmt, a->cache, IMG_WRITE);
    struct block *held = depth > 1 ? img_open(a->file, a->fmt, a->cache, a->flags | IMG_WRITE | IMG_NO_BACKING) : NULL;
    struct block *top = base && (held || depth == 1) ? img_open(a->file, a->fmt, a->cache, a->flags | how) : NULL;
    struct err e = { "" };
    struct bnode *n;
    int ret = !top, r;

    if (!ret && block_length(base) < block_length(top) && block_resize(base, block_length(top), &e))
        ret = fail("%s", e.msg);
    if (!ret && (r = copy_down(top, depth, base, a->progress)))
        ret = fail("error while committing: %s", strerror(-r));
    if (!ret)
        progress_show(a->progress, 100);
    progress_end(a->progress);
    if (base && (r = block_close(base)) && !ret)
        ret = fail("Closing the backing file failed: %s", strerror(-r));
    /* only now is it all in the backing file */
    n = top ? block_node(top) : NULL;
    if (!ret && empty && n->drv->make_empty && (r = n->drv->make_empty(n)))
        ret = fail("Could not empty %s: %s", a->file, strerror(-r));
    if ((r = block_close(top)) && !ret)
        ret = fail("Closing failed: %s", strerror(-r));
    return block_close(held) ? 1 : ret;
}

static int commit(const struct commit_args *a)
{
    char *path, *fmt;
    unsigned depth;
    int ret = look_for_base(a, &path, &fmt, &depth);

    ret = ret ? 1 : commit_to(a, path, fmt, depth);
    free(path);
    free(fmt);
    return ret;
}

int cmd_commit(int argc, char **argv)
{
    static const struct option longs[] = {
        { "format", 1, 0, 'f' }, { "quiet", 0, 0, 'q' }, { "image-opts", 0, 0, OPT_IMAGE_OPTS }, { 0 },
    };
    struct commit_args a = { 0 };
    bool quiet = false;
    uint64_t rate;
    int o, ret;

    while ((o = next_opt(argc, argv, "f:t:b:dpqr:", longs)) != -1) {
        switch (o) {
        case 'f': a.fmt = optarg; break;
        case 't': a.cache = optarg; break;
        case 'd': a.drop = true; break;
        case 'p': a.progress = true; break;
        case 'q': quiet = true; break;
        case 'r': if (!img_size(optarg, &rate)) return 1; break;
        case 'b': a.base = optarg; break;
        case OPT_IMAGE_OPTS: a.flags |= IMG_IMAGE_OPTS; break;
        default: return 1;
        }
    }
    if (want_args(argc, 1, 1, "one image file name"))
        return 1;
    a.file = argv[optind];
    a.progress = a.progress && !quiet;
    ret = commit(&a);
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
        { "force-share", 0, 0, 'U' }, { "quiet", 0, 0, 'q' }, { "strict", 0, 0, 's' }, { "image-opts", 0, 0, OPT_IMAGE_OPTS }, { 0 },
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
        case OPT_IMAGE_OPTS: flags |= IMG_IMAGE_OPTS; break;
        default: return 1;
        }
    }
    if (want_args(argc, 2, 2, "two image file names"))
        return 1;
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
