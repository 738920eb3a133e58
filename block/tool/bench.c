/*
 * bench.c - many requests in flight, as a device would have them
 */
#define _GNU_SOURCE 1
#include "block/tool/img.h"

struct bench {
    struct block *b;
    uint64_t left, in_flight, offset, step, size, at, flush_every, since;
    bool write, flushing, want_flush;
    int ret;
    struct block_req flush;
};

static void start(struct bench *t, struct block_req *r);

static void flush_done(struct block_req *r, int ret)
{
    struct bench *t = r->opaque;

    t->flushing = false;
    t->ret = t->ret ? t->ret : ret;
}

static void done(struct block_req *r, int ret)
{
    struct bench *t = r->opaque;

    t->in_flight--;
    t->ret = t->ret ? t->ret : ret;
    if (t->flush_every && ++t->since >= t->flush_every && !t->flushing) {
        t->since = 0;
        t->flushing = true;
        t->flush = (struct block_req){ .op = BLOCK_FLUSH, .cb = flush_done, .opaque = t };
        block_submit(t->b, &t->flush);
    }
    start(t, r);
}

static void start(struct bench *t, struct block_req *r)
{
    uint64_t len = block_length(t->b);

    if (!t->left || t->ret)
        return;
    t->left--;
    t->in_flight++;
    if (t->at + t->size > len)
        t->at = t->offset;
    r->op = t->write ? BLOCK_WRITE : BLOCK_READ;
    r->off = t->at;
    r->len = t->size;
    t->at += t->step;
    block_submit(t->b, r);
}

static int run(struct bench *t, struct block_ctx *c, uint64_t depth, int pattern)
{
    struct block_req *reqs = xzalloc(depth * sizeof(*reqs));
    uint8_t *mem = bfile_buf(depth * t->size);
    struct iovec *iov = xzalloc(depth * sizeof(*iov));
    int64_t t0 = host_monotonic_ns();

    memset(mem, pattern, depth * t->size);
    t->at = t->offset;
    for (uint64_t i = 0; i < depth; i++) {
        iov[i] = (struct iovec){ mem + i * t->size, t->size };
        reqs[i] = (struct block_req){ .iov = &iov[i], .niov = 1, .cb = done, .opaque = t };
        start(t, &reqs[i]);
    }
    while (t->in_flight || t->flushing)
        block_ctx_wait(c, -1);
    free(reqs);
    free(iov);
    free(mem);
    if (t->ret)
        return fail("Failed request: %s", strerror(-t->ret));
    printf("Run completed in %3.3f seconds.\n", (double)(host_monotonic_ns() - t0) / 1e9);
    return 0;
}

int cmd_bench(int argc, char **argv)
{
    static const struct option longs[] = {
        { "flush-interval", 1, 0, OPT_FLUSH }, { "no-drain", 0, 0, OPT_NO_DRAIN }, { "pattern", 1, 0, OPT_PATTERN },
        { "force-share", 0, 0, 'U' }, { "native", 0, 0, 'n' }, { 0 },
    };
    uint64_t count = 75000, depth = 64, step = 0, n;
    struct bench t = { .size = 4096 };
    const char *fmt = NULL, *cache = NULL, *aio = NULL;
    struct block_opts o;
    struct block_ctx *c;
    struct err e = { "" };
    int k, ret, pattern = 0;
    bool share = false;

    while ((k = next_opt(argc, argv, "c:d:f:ni:o:qs:S:t:wU", longs)) != -1) {
        switch (k) {
        case 'c': if (!img_size(optarg, &count)) return 1; break;
        case 'd': if (!img_size(optarg, &depth)) return 1; break;
        case 's': if (!img_size(optarg, &t.size)) return 1; break;
        case 'S': if (!img_size(optarg, &step)) return 1; break;
        case 'o': if (!img_size(optarg, &t.offset)) return 1; break;
        case 'f': fmt = optarg; break;
        case 'n': aio = "native"; break;
        case 'i': aio = optarg; break;
        case 't': cache = optarg; break;
        case 'w': t.write = true; break;
        case 'q': break;
        case 'U': share = true; break;
        case OPT_FLUSH: if (!img_size(optarg, &t.flush_every)) return 1; break;
        case OPT_NO_DRAIN: break;
        case OPT_PATTERN:
            if (!img_size(optarg, &n))
                return 1;
            if (n > 255)
                return fail("Invalid pattern byte specified");
            pattern = (int)n;
            break;
        default: return 1;
        }
    }
    if (want_args(argc, 1, 1, "one image file name"))
        return 1;
    if (t.flush_every && !t.write)
        return fail("--flush-interval is only available in write tests");
    if (t.flush_every && t.flush_every < depth)
        return fail("Flush interval can't be smaller than depth");
    if (!depth || depth > 1024 || !t.size || t.size > 64 * MiB || depth * t.size > GiB)
        return fail("Invalid queue depth or buffer size");
    t.step = step ? step : t.size;
    t.left = count;
    block_opts_init(&o);
    o.file = xstrdup(argv[optind]);
    o.readonly = !t.write;
    o.force_share = share;
    if ((fmt && block_opts_set(&o, "format", fmt, &e)) || (cache && block_opts_set(&o, "cache", cache, &e)) ||
        (aio && block_opts_set(&o, "aio", aio, &e)) || !(c = block_ctx_new(0, &e)))
        return fail("%s", e.msg);
    t.b = block_open(c, &o, &e);
    block_opts_free(&o);
    if (!t.b)
        return fail("%s", e.msg);
    if (t.offset + t.size > block_length(t.b))
        return fail("The image is smaller than one request");
    printf("Sending %" PRIu64 " %s requests, %" PRIu64 " bytes each, %" PRIu64 " in parallel (starting at offset %" PRIu64
           ", step size %" PRIu64 ")\n", count, t.write ? "write" : "read", t.size, depth, t.offset, t.step);
    ret = run(&t, c, depth, pattern);
    k = block_close(t.b);
    block_ctx_free(c);
    return ret ? ret : k ? fail("Closing failed: %s", strerror(-k)) : 0;
}
