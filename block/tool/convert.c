/*
 * convert.c - convert and dd: copying images
 *
 * Threads take pieces of the disk in order; each asks what the piece is, reads
 * what is data, and writes what is not zero. A fresh target reads as zeroes
 * already; any other gets them written.
 */
#define _GNU_SOURCE 1
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "block/tool/img.h"

/* What is read stays in the CPU's cache until it is written. */
#define PIECE (128 * KiB)

struct copy {
    struct block *src, *dst;
    uint64_t bytes;         /* of the source's disk */
    uint64_t src_skip;      /* dd */
    uint64_t dst_at;        /* where the source begins in the target */
    uint64_t total;         /* of all sources, for progress and rate */
    uint64_t rate;          /* bytes a second; 0: as fast as it goes */
    int64_t start_ns;
    uint64_t piece;         /* bytes a thread takes at a time: whole clusters */
    uint32_t grain;         /* zeroes are looked for in units of this */
    bool zero_init;         /* the target reads as zeroes */
    bool compress;
    bool progress, salvage;
    unsigned skip_depth;    /* extents from this depth on are the target's backing file's */
    uint32_t sparse;        /* 0: write zeroes too */
    pthread_mutex_t lock;   /* below */
    uint64_t next, done, shown;
    struct block_extent known; /* the source's, last looked up */
    int ret;
    char what[64];
};

static void set_failed(struct copy *c, int r, const char *what)
{
    pthread_mutex_lock(&c->lock);
    if (!c->ret) {
        c->ret = r;
        snprintf(c->what, sizeof(c->what), "%s", what);
    }
    pthread_mutex_unlock(&c->lock);
}

static int put_zeroes(struct copy *c, uint64_t off, uint64_t len)
{
    return c->zero_init ? 0 : block_write_zeroes(c->dst, c->dst_at + off, len, BLOCK_REQ_UNMAP);
}

/* @len bytes at @buf, without the zeroes in them */
static int put_data(struct copy *c, uint64_t off, const uint8_t *buf, uint64_t len)
{
    uint64_t at = 0;
    int r = 0;

    while (at < len && !r) {
        uint64_t n = MIN(len - at, c->grain - ((c->dst_at + off + at) & (c->grain - 1))), m;
        bool zero = c->sparse && mem_is_zero(buf + at, n);
        for (; at + n < len; n += m) {
            m = MIN(len - at - n, c->grain);
            if ((c->sparse && mem_is_zero(buf + at + n, m)) != zero)
                break;
        }
        r = zero ? put_zeroes(c, off + at, n) : block_pwrite(c->dst, c->dst_at + off + at, buf + at, n);
        at += n;
    }
    return r;
}

static int put_compressed(struct copy *c, uint64_t off, const uint8_t *buf, uint64_t len)
{
    struct bnode *n = block_node(c->dst);
    int r = 0;

    for (uint64_t at = 0; at < len && !r; at += c->grain) {
        uint64_t k = MIN(len - at, c->grain);
        if (mem_is_zero(buf + at, k))
            r = put_zeroes(c, off + at, k);
        else
            r = n->drv->write_compressed(n, c->dst_at + off + at, buf + at, k);
    }
    return r;
}

static int read_piece(struct copy *c, uint64_t off, uint8_t *buf, uint64_t len)
{
    int r = block_pread(c->src, off + c->src_skip, buf, len);

    if (r && c->salvage) {
        for (uint64_t at = 0; at < len; at += 512)
            if (block_pread(c->src, off + c->src_skip + at, buf + at, MIN(512u, len - at))) {
                fail("warning: error while reading offset %" PRIu64 ": %s", off + at, strerror(EIO));
                memset(buf + at, 0, MIN(512u, len - at));
            }
        r = 0;
    }
    return r;
}

/* the source's extent at @off, at most @max long. One look-up serves all the
 * pieces in it: finding the end of data in a large file can cost as much as
 * copying it. */
static int source_extent(struct copy *c, uint64_t off, uint64_t max, struct block_extent *x)
{
    struct block_extent *k = &c->known;
    int r = 0;

    off += c->src_skip;
    pthread_mutex_lock(&c->lock);
    if (off < k->off || off - k->off >= k->len)
        r = block_map(c->src, off, c->bytes + c->src_skip - off, k);
    if (r)
        k->len = 0;
    *x = *k;
    x->len = MIN(k->off + k->len - off, max);
    x->off = off;
    pthread_mutex_unlock(&c->lock);
    return r;
}

/* compressed clusters are made whole: the piece is read whole unless it is empty */
static int copy_compressed(struct copy *c, uint64_t off, uint64_t len, uint8_t *buf)
{
    struct block_extent x;
    int r = source_extent(c, off, len, &x);

    if (!r && x.len >= len && (!x.data || x.depth >= c->skip_depth))
        return x.depth >= c->skip_depth ? 0 : put_zeroes(c, off, len);
    r = read_piece(c, off, buf, len);
    return r ? r : put_compressed(c, off, buf, len);
}

static int copy_piece(struct copy *c, uint64_t off, uint64_t len, uint8_t *buf, const char **what)
{
    struct block_extent x;
    int r = 0;

    *what = "writing";
    if (c->compress)
        return copy_compressed(c, off, len, buf);
    for (uint64_t at = 0; at < len && !r; at += x.len) {
        *what = "reading";
        if ((r = source_extent(c, off + at, len - at, &x)))
            break;
        if (x.depth >= c->skip_depth)
            continue;
        if (x.zero && !x.data && c->sparse) {
            *what = "writing";
            r = put_zeroes(c, off + at, x.len);
            continue;
        }
        if ((r = read_piece(c, off + at, buf, x.len)))
            break;
        *what = "writing";
        r = put_data(c, off + at, buf, x.len);
    }
    return r;
}

/* -r: no piece is over before its time */
static void keep_rate(struct copy *c, uint64_t done)
{
    int64_t due = c->start_ns + (int64_t)((double)(c->dst_at + done) * 1e9 / (double)c->rate);
    int64_t wait = due - host_monotonic_ns();
    struct timespec t = { wait / 1000000000, wait % 1000000000 };

    if (wait > 0)
        nanosleep(&t, NULL);
}

static void *copier(void *opaque)
{
    struct copy *c = opaque;
    uint8_t *buf = bfile_buf(c->piece);

    for (;;) {
        const char *what;
        uint64_t off, len, done;
        int r;
        pthread_mutex_lock(&c->lock);
        off = c->next;
        len = c->ret ? 0 : MIN(c->piece, c->bytes - off);
        c->next += len;
        pthread_mutex_unlock(&c->lock);
        if (!len)
            break;
        r = buf ? copy_piece(c, off, len, buf, &what) : -ENOMEM;
        if (r)
            set_failed(c, r, buf ? what : "reading");
        pthread_mutex_lock(&c->lock);
        done = c->done += len;
        if (c->progress && c->done - c->shown >= c->total / 1000) {
            c->shown = c->done;
            progress_show(true, (double)(c->dst_at + c->done) * 100 / (double)c->total);
        }
        pthread_mutex_unlock(&c->lock);
        if (c->rate)
            keep_rate(c, done);
    }
    free(buf);
    return NULL;
}

static int run_copy(struct copy *c, unsigned threads)
{
    pthread_t t[16];
    unsigned n = 0;

    pthread_mutex_init(&c->lock, NULL);
    while (n + 1 < threads && !pthread_create(&t[n], NULL, copier, c))
        n++;
    copier(c);
    while (n)
        pthread_join(t[--n], NULL);
    pthread_mutex_destroy(&c->lock);
    return c->ret ? fail("error while %s at byte %" PRIu64 ": %s", c->what, c->done, strerror(-c->ret)) : 0;
}

/* the depth in the source's chain of the file that the target will be backed by */
static unsigned depth_of(struct block *src, const char *path)
{
    struct stat a, b;
    unsigned depth = 0;

    if (!path || stat(path, &a))
        return UINT32_MAX;
    for (struct bnode *n = block_node(src); n; n = n->backing, depth++)
        if (!stat(n->filename, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
            return depth;
    return UINT32_MAX;
}

struct args {
    struct common k;
    struct block_create c;
    const char *snapshot;
    bool keep_target, target_is_zero, salvage, compress, target_opts, offload, sparse_set;
    uint64_t rate;
    uint32_t sparse;
    unsigned threads, flags;
    uint64_t bs, count, skip;
};

#define MAX_SOURCES 64
struct sources { struct block *b[MAX_SOURCES]; unsigned n; uint64_t bytes; };

static void close_sources(struct sources *s)
{
    while (s->n)
        if (block_close(s->b[--s->n])) { /* only read: nothing is lost */
        }
}

static int open_sources(struct args *a, char **names, unsigned n, struct sources *s)
{
    struct err e = { "" };

    if (n > MAX_SOURCES)
        return fail("More than %d source images", MAX_SOURCES);
    if (n > 1 && (a->c.backing || a->snapshot))
        return fail("Having a backing file or a snapshot is not possible when concatenating multiple input images");
    while (s->n < n) {
        struct block *b = img_open(names[s->n], a->k.fmt, a->k.src_cache, a->flags);
        if (!b)
            return 1;
        s->b[s->n++] = b;
        if (a->snapshot) {
            struct bnode *node = block_node(b);
            if (!node->drv->snap_load || node->drv->snap_load(node, a->snapshot, &e))
                return fail("Failed to load snapshot: %s", e.msg[0] ? e.msg : "the format has none");
        }
        s->bytes += block_length(b);
    }
    return 0;
}

static int open_target(struct args *a, struct block **dst)
{
    struct stat st;

    if (!a->keep_target && create_image(a->k.out_fmt, &a->c, true))
        return 1;
    if (!a->target_opts && stat(a->c.file, &st))
        return fail("Could not open '%s': %s", a->c.file, strerror(errno));
    *dst = img_open(a->c.file, a->target_opts ? NULL : a->k.out_fmt, a->k.cache,
                    IMG_WRITE | IMG_NO_BACKING | (a->target_opts ? IMG_IMAGE_OPTS : 0));
    return *dst ? 0 : 1;
}

/* what all sources have in common */
static int plan_copy(const struct args *a, struct block *src, struct block *dst, struct copy *c)
{
    struct bnode *n = block_node(dst);
    struct block_info i;

    *c = (struct copy){ .dst = dst, .progress = a->k.progress, .salvage = a->salvage, .compress = a->compress,
                        .sparse = a->sparse, .skip_depth = UINT32_MAX, .rate = a->rate };
    if (block_get_info(dst, &i))
        return 1;
    if (a->compress && !n->drv->write_compressed)
        return fail("Compression not supported for this file format");
    c->src_skip = a->skip * a->bs;
    c->grain = i.cluster_bytes && (a->compress || i.cluster_bytes > a->sparse) ? i.cluster_bytes : MAX(a->sparse, 512u);
    c->piece = MAX(PIECE, i.cluster_bytes);
    c->zero_init = a->target_is_zero || (!a->keep_target && !n->file->is_blk && !a->c.backing);
    if (a->c.backing && !a->keep_target) {
        struct err e = { "" };
        char *path = backing_path(a->c.file, a->c.backing, &e);
        c->skip_depth = depth_of(src, path);
        free(path);
    }
    return 0;
}

/* one file is written by one thread at a time: a second reads meanwhile; only
 * compression gains from all CPUs */
static unsigned threads_for(const struct args *a)
{
    if (a->threads)
        return a->threads;
    return a->compress ? (unsigned)MAX(2, MIN(16, sysconf(_SC_NPROCESSORS_ONLN))) : 2;
}

static int copy_all(struct args *a, struct sources *s, struct block *dst, uint64_t bytes)
{
    struct copy c;
    int ret = plan_copy(a, s->b[0], dst, &c);

    c.total = bytes;
    c.start_ns = host_monotonic_ns();
    if (!ret)
        progress_show(c.progress, 0);
    for (unsigned i = 0; i < s->n && !ret; i++) {
        c.src = s->b[i];
        c.bytes = s->n > 1 ? block_length(c.src) : bytes;
        c.next = c.done = c.shown = 0;
        c.known.len = 0;
        if (a->compress && c.dst_at % c.grain)
            return fail("Source images must be whole clusters to be compressed into one");
        ret = run_copy(&c, threads_for(a));
        c.dst_at += c.bytes;
    }
    if (!ret)
        progress_show(c.progress, 100);
    progress_end(c.progress);
    return ret;
}

static int convert_to(struct args *a, struct sources *s)
{
    struct block *dst = NULL;
    uint64_t bytes = s->bytes - MIN(s->bytes, a->skip * a->bs);
    int ret, r;

    if (a->count != UINT64_MAX && a->count <= UINT64_MAX / a->bs)
        bytes = MIN(bytes, a->count * a->bs);
    if (!a->c.size_set)
        a->c.size = bytes;
    ret = open_target(a, &dst);
    if (!ret && block_length(dst) < bytes)
        ret = fail("output file is smaller than input file");
    if (!ret)
        ret = copy_all(a, s, dst, bytes);
    if (dst && (r = block_close(dst)) && !ret)
        ret = fail("error while closing '%s': %s", a->c.file, strerror(-r));
    return ret;
}

static int convert(struct args *a, char **names, unsigned n)
{
    struct sources s = { .n = 0 };
    int ret = open_sources(a, names, n, &s);

    if (!ret)
        ret = convert_to(a, &s);
    close_sources(&s);
    return ret;
}

static void args_init(struct args *a)
{
    memset(a, 0, sizeof(*a));
    a->k.out_fmt = "raw";
    a->k.cache = "unsafe";
    a->sparse = 4096;
    a->bs = 512;
    a->count = UINT64_MAX;
}

static bool convert_opt(struct args *a, int o)
{
    struct common *k = &a->k;
    uint64_t n;

    switch (o) {
    case 'f': k->fmt = optarg; break;
    case 'O': k->out_fmt = optarg; break;
    case 'B': a->c.backing = optarg; break;
    case 'F': a->c.backing_fmt = optarg; break;
    case 'o': return create_opts(&a->c, optarg);
    case 'c': a->compress = true; break;
    case 'l': a->snapshot = strncmp(optarg, "snapshot.name=", 14) ? strncmp(optarg, "snapshot.id=", 12) ? optarg : optarg + 12
                                                                  : optarg + 14; break;
    case 'p': k->progress = true; break;
    case 'q': k->quiet = true; break;
    case 'n': a->keep_target = true; break;
    case 'W': case OPT_BITMAPS: case OPT_IGNORED: break;
    case 't': k->cache = optarg; break;
    case 'T': k->src_cache = optarg; break;
    case 'U': a->flags |= IMG_SHARE; break;
    case OPT_SALVAGE: a->salvage = true; break;
    case OPT_TARGET_IS_ZERO: a->target_is_zero = true; break;
    case 'S':
        if (!img_size(optarg, &n) || n > 16 * MiB || (n & (n - 1)))
            return fail("Invalid buffer size for sparse output specified: a power of two up to 16M, or 0"), false;
        a->sparse = (uint32_t)n;
        a->sparse_set = true;
        break;
    case 'm':
        n = strtoul(optarg, NULL, 10);
        if (n < 1 || n > 16)
            return fail("Invalid number of coroutines. Allowed number of coroutines is between 1 and 16"), false;
        a->threads = (unsigned)n;
        break;
    case 'C': a->offload = true; break;
    case OPT_IMAGE_OPTS: a->flags |= IMG_IMAGE_OPTS; break;
    case OPT_TARGET_OPTS: a->target_opts = true; break;
    case 'r':
        if (!parse_size(optarg, 1, &a->rate) && a->rate)
            return true;
        return fail("Invalid rate limit specified: bytes a second, with one of the suffixes k, M, G, T, P or E"), false;
    default:
        return false;
    }
    return true;
}

int cmd_convert(int argc, char **argv)
{
    static const struct option longs[] = {
        { "quiet", 0, 0, 'q' }, { "force-share", 0, 0, 'U' }, { "target-is-zero", 0, 0, OPT_TARGET_IS_ZERO },
        { "salvage", 0, 0, OPT_SALVAGE }, { "format", 1, 0, 'f' }, { "output-format", 1, 0, 'O' },
        { "image-opts", 0, 0, OPT_IMAGE_OPTS }, { "target-image-opts", 0, 0, OPT_TARGET_OPTS },
        { "bitmaps", 0, 0, OPT_BITMAPS }, { 0 },
    };
    struct args a;
    int o;

    args_init(&a);
    while ((o = next_opt(argc, argv, "f:O:B:F:co:l:S:pqnWm:t:T:Ur:C", longs)) != -1) {
        if (o == 'o' && create_help(a.k.out_fmt, optarg))
            return 0;
        if (!convert_opt(&a, o))
            return 1;
    }
    if (want_args(argc, 2, MAX_SOURCES + 1, "source images and an output image file name"))
        return 1;
    a.c.file = argv[argc - 1];
    if (a.compress && !strcmp(a.k.out_fmt, "raw"))
        return fail("Compression not supported for this file format");
    if (a.offload && (a.compress || a.sparse_set))
        return fail("Cannot enable copy offloading when -%c is used", a.compress ? 'c' : 'S');
    if (a.target_opts && !a.keep_target)
        return fail("--target-image-opts requires use of -n flag");
    if (a.k.fmt && (a.flags & IMG_IMAGE_OPTS))
        return fail("--image-opts and --format are mutually exclusive");
    if (a.target_is_zero && !a.keep_target)
        return fail("--target-is-zero requires use of -n flag");
    if (a.c.backing && !a.c.backing_fmt)
        return fail("backing file specified without backing format (-F)");
    a.k.progress = a.k.progress && !a.k.quiet;
    return convert(&a, argv + optind, (unsigned)(argc - 1 - optind));
}

int cmd_dd(int argc, char **argv)
{
    static const struct option longs[] = { { "force-share", 0, 0, 'U' }, { "image-opts", 0, 0, OPT_IMAGE_OPTS }, { 0 } };
    char *from = NULL;
    struct args a;
    int o;

    args_init(&a);
    a.k.cache = NULL;
    while ((o = next_opt(argc, argv, "f:O:U", longs)) != -1)
        if (!convert_opt(&a, o))
            return 1;
    for (; optind < argc; optind++) {
        char *s = argv[optind];
        bool ok = true;
        if (!strncmp(s, "if=", 3))
            from = s + 3;
        else if (!strncmp(s, "of=", 3))
            a.c.file = s + 3;
        else if (!strncmp(s, "bs=", 3))
            ok = img_size(s + 3, &a.bs) && a.bs && a.bs <= INT32_MAX;
        else if (!strncmp(s, "count=", 6))
            ok = img_size(s + 6, &a.count);
        else if (!strncmp(s, "skip=", 5))
            ok = img_size(s + 5, &a.skip) && a.skip <= BLOCK_MAX_BYTES / MAX(a.bs, 1u);
        else
            return fail("unrecognized operand %s", s);
        if (!ok)
            return fail("invalid number: '%s'", s);
    }
    if (!from || !a.c.file)
        return fail("Must specify both input and output file names");
    return convert(&a, &from, 1);
}
