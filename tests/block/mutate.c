/*
 * mutate.c - images that somebody spoiled: bounded time and memory, no crash,
 * nothing opened that the user did not name
 */
#define _GNU_SOURCE 1
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include "tests/block/harness.h"

#define MEMORY (256 * MiB)
#define CPU_SECONDS 60      /* a mutant takes some ms: this one hangs */

static uint64_t interesting(struct rng *r)
{
    static const uint64_t v[] = {
        0, 1, 2, 7, 9, 21, 22, 63, 64, 255, 256, 511, 512, 513, 4096, 65535, 65536, 0x10000, 0x20000, 0x30000,
        0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
        0xfffffffffffffff0, 0xffffffffffffffff, 0x4000000000000000, 0xc000000000000001,
    };

    return rnd_n(r, 4) ? v[rnd_n(r, ARRAY_SIZE(v))] : rnd(r);
}

static void mutate(uint8_t *p, size_t n, struct rng *r)
{
    unsigned times = 1 + (unsigned)rnd_n(r, 6);
    size_t zone = rnd_n(r, 3) ? MIN(n, 512) : n;

    while (times--) {
        size_t at = rnd_n(r, zone);
        uint64_t v = interesting(r);
        unsigned w = 1u << rnd_n(r, 4);
        if (rnd_n(r, 4) == 0) {
            p[at] ^= (uint8_t)(1u << rnd_n(r, 8));
            continue;
        }
        at &= ~(size_t)(w - 1);
        for (unsigned i = 0; i < w && at + i < n; i++)
            p[at + i] = (uint8_t)(rnd_n(r, 2) ? v >> (8 * i) : v >> (8 * (w - 1 - i)));
    }
}

/* everything a user might do with an image, on a bounded part of it */
static void exercise(const char *path, bool write)
{
    static uint8_t buf[64 * 1024];
    struct block_opts o;
    struct err e;
    struct block *b;

    block_opts_init(&o);
    o.file = xstrdup(path);
    o.readonly = !write;
    o.discard = true;
    o.allow_dirty = !write;
    o.cache = BLOCK_CACHE_UNSAFE;
    b = block_open(NULL, &o, &e);
    block_opts_free(&o);
    if (!b)
        return;
    uint64_t len = block_length(b);
    struct block_extent x;
    unsigned n = 0;
    for (uint64_t at = 0; at < len && n < 2000; at += x.len, n++)
        if (block_map(b, at, len - at, &x))
            break;
    for (uint64_t i = 0; i < 64; i++) {
        uint64_t at = i < 32 ? i * sizeof(buf) : len / 32 * (i - 32);
        if (at < len && block_pread(b, at, buf, MIN(sizeof(buf), len - at)))
            continue;
        if (write && at < len && block_pwrite(b, at, buf, MIN(5000, len - at)))
            continue;
    }
    struct bnode *node = block_node(b);
    struct block_check c = { 0 };
    struct block_snapshot *s = NULL, mine = { .name = "x" };
    unsigned ns;
    if (write && block_discard(b, 0, MIN(len, GiB)))
        n = 0;
    if (!block_snapshot_list(b, &s, &ns) && ns && write && block_snapshot_apply(b, s[0].id, &e))
        n = 0;
    free(s);
    if (write && block_snapshot_create(b, &mine, &e))
        n = 0;
    if (node->drv->check && node->drv->check(node, write ? CHECK_FIX_LEAKS | CHECK_FIX_ERRORS : 0, &c, &e))
        n = 0;
    if (block_close(b))
        n = 0;
}

/* a child does it, with limits; NULL or what went wrong */
static const char *try_image(const char *path, bool write)
{
    static const struct rlimit cpu = { CPU_SECONDS, RLIM_INFINITY };
    struct rusage u;
    int status;
    pid_t pid;

    pid = fork();
    if (!pid) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 2);
        setrlimit(RLIMIT_CPU, &cpu);
        exercise(path, write);
        _exit(0);
    }
    if (wait4(pid, &status, 0, &u) != pid)
        return "wait failed";
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGXCPU ? "does not end" : "crashed";
    if (WEXITSTATUS(status))
        return "gave up";
    if ((uint64_t)u.ru_maxrss > MEMORY / KiB)
        return "used too much memory";
    return NULL;
}

static uint8_t *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    uint8_t *p = xzalloc(4 * MiB);

    *n = f ? fread(p, 1, 4 * MiB, f) : 0;
    if (f)
        fclose(f);
    return p;
}

static void run_mutations(const char *seed_image, uint64_t count, uint64_t seed)
{
    char *path = scratch("mutant.img");
    size_t n;
    uint8_t *good = slurp(seed_image, &n), *bad = xmalloc(n + 1);

    cr_assert(n > 0);
    for (uint64_t i = 0; i < count; i++) {
        struct rng r = seed_of(seed + i);
        size_t len = rnd_n(&r, 20) ? n : rnd_n(&r, n + 1);
        memcpy(bad, good, n);
        mutate(bad, n, &r);
        FILE *f = fopen(path, "wb");
        cr_assert(fwrite(bad, 1, len, f) == len);
        fclose(f);
        const char *wrong = try_image(path, i & 1);
        if (wrong) {
            sh("cp %s /tmp/transom-mutant-%llu.img", path, (unsigned long long)(seed + i));
            cr_assert_fail("%s (mutant %llu of %s)", wrong, (unsigned long long)(seed + i), seed_image);
        }
    }
    tally("mutants", count);
    free(good);
    free(bad);
    free(path);
}

static char *seed_qcow2(const char *name, struct block_create c, bool snaps)
{
    char *path = scratch(name);
    uint8_t *buf = xmalloc(64 * KiB);
    struct err e = { "" };
    struct block *b;

    make_qcow2(path, 4 * MiB, c);
    b = open_rw(NULL, path, "qcow2");
    memset(buf, 0x5a, 64 * KiB);
    for (unsigned i = 0; i < 10; i++)
        cr_assert_eq(block_pwrite(b, i * 300000ull, buf, 20000), 0);
    if (snaps) {
        struct block_snapshot s = { .name = "one", .icount = UINT64_MAX };
        cr_assert_eq(block_snapshot_create(b, &s, &e), 0);
        cr_assert_eq(block_pwrite(b, 100, buf, 5000), 0);
    }
    int r = block_node(b)->drv->write_compressed(block_node(b), 3 * MiB, buf, q2_of(block_node(b))->cs);
    cr_assert(r == 0 || r == -ENOTSUP); /* a build without zlib */
    cr_assert_eq(block_close(b), 0);
    free(buf);
    return path;
}

Test(block_mutate, qcow2)
{
    char *a = seed_qcow2("seed1.qcow2", (struct block_create){ .cluster_bytes = 4096 }, true);
    char *b = seed_qcow2("seed2.qcow2", (struct block_create){ .cluster_bytes = 512, .refcount_bits = 8 }, true);
    char *c = seed_qcow2("seed3.qcow2", (struct block_create){ .lazy_refcounts = true }, false);

    run_mutations(a, count_of(250), 100000);
    run_mutations(b, count_of(150), 200000);
    run_mutations(c, count_of(150), 300000);
    free(a);
    free(b);
    free(c);
}

Test(block_mutate, other_formats)
{
    static const char *const fmts[] = { "vmdk", "vdi", "vpc", "vmdk -o subformat=streamOptimized",
                                        "vmdk -o subformat=monolithicFlat" };
    char *raw = scratch("seed.raw"), *img = scratch("seed.img");

    if (!have_tool("qemu-img"))
        cr_skip_test("no qemu-img to make the images");
    sh("head -c 100000 /bin/sh > %s; truncate -s 2M %s", raw, raw);
    for (unsigned i = 0; i < ARRAY_SIZE(fmts); i++) {
        cr_assert_eq(sh("cd $(dirname %s) && rm -f seed* && head -c 100000 /bin/sh > %s && truncate -s 2M %s && "
                        "qemu-img convert -O %s %s %s", img, raw, raw, fmts[i], raw, img), 0);
        run_mutations(img, count_of(80), 400000 + 1000000 * i);
    }
    free(raw);
    free(img);
}

/* ---- names in images --------------------------------------------------------------- */

static int opens_seen(int in)
{
    char buf[4096];
    ssize_t n = read(in, buf, sizeof(buf));

    return n > 0;
}

static struct block *open_plain(const char *path, bool no_backing, struct err *e)
{
    struct block_opts o;
    struct block *b;

    block_opts_init(&o);
    o.file = xstrdup(path);
    o.format = xstrdup("qcow2");
    o.readonly = true;
    o.no_backing = no_backing;
    o.no_io = no_backing;
    b = block_open(NULL, &o, e);
    block_opts_free(&o);
    return b;
}

Test(block_names, looking_opens_only_the_named_file)
{
    char *canary = scratch("canary"), *img = scratch("names.qcow2");
    int in = inotify_init1(IN_NONBLOCK);
    struct err e = { "" };
    struct block *b;

    sh("truncate -s 1M %s", canary);
    make_qcow2(img, MiB, (struct block_create){ .backing = "canary", .backing_fmt = "raw" });
    cr_assert(inotify_add_watch(in, canary, IN_OPEN) >= 0);
    b = open_plain(img, true, &e);
    cr_assert_not_null(b, "%s", e.msg);
    block_close(b);
    cr_assert_not(opens_seen(in), "the backing file was opened");
    b = open_plain(img, false, &e); /* the test can fail: here it is opened */
    cr_assert_not_null(b, "%s", e.msg);
    block_close(b);
    cr_assert(opens_seen(in));
    free(canary);
    free(img);
}

Test(block_names, protocols_are_refused)
{
    static const char *const names[] = { "json:{\"driver\":\"raw\"}", "nbd:localhost:1", "http://x/y", "fat:/tmp" };
    char *img = scratch("proto.qcow2");

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        struct err e = { "" };
        make_qcow2(img, MiB, (struct block_create){ .backing = names[i], .backing_fmt = "raw" });
        cr_assert_null(open_plain(img, false, &e));
        cr_assert(strstr(e.msg, "plain file name"), "%s", e.msg);
    }
    free(img);
}

Test(block_names, loops_are_found)
{
    char *a = scratch("loop-a.qcow2"), *b = scratch("loop-b.qcow2");
    struct err e = { "" };

    make_qcow2(a, MiB, (struct block_create){ .backing = "loop-b.qcow2", .backing_fmt = "qcow2" });
    make_qcow2(b, MiB, (struct block_create){ .backing = "loop-a.qcow2", .backing_fmt = "qcow2" });
    cr_assert_null(open_plain(a, false, &e));
    cr_assert(strstr(e.msg, "its own backing file"), "%s", e.msg);
    free(a);
    free(b);
}
