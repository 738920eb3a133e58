/*
 * harness.c - see harness.h
 */
#define _GNU_SOURCE 1
#include "tests/block/harness.h"

uint64_t rnd(struct rng *r)
{
    uint64_t z = r->s += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

struct rng seed_of(uint64_t n)
{
    const char *s = getenv("BLOCK_SEED");

    return (struct rng){ (s ? strtoull(s, NULL, 0) : 1) * 1000003 + n };
}

uint64_t count_of(uint64_t small)
{
    const char *s = getenv("BLOCK_N");

#ifndef __x86_64__
    small = MAX(small / 8, 1u); /* probably under user emulation */
#endif
    return small * (s ? strtoull(s, NULL, 0) : 1);
}

void tally(const char *what, uint64_t n)
{
    const char *path = getenv("BLOCK_TALLY"), *seed = getenv("BLOCK_SEED");
    FILE *f = path ? fopen(path, "a") : NULL;

    if (f) {
        fprintf(f, "%s %s %llu\n", seed ? seed : "1", what, (unsigned long long)n);
        fclose(f);
    }
}

static char scratch_dir[256];
static pid_t scratch_pid;

static void scratch_remove(void)
{
    if (getpid() == scratch_pid)
        sh("rm -rf '%s'", scratch_dir);
}

char *scratch(const char *name)
{
    if (!scratch_dir[0]) {
        const char *tmp = getenv("TMPDIR");
        snprintf(scratch_dir, sizeof(scratch_dir), "%.200s/transom-block-XXXXXX", tmp ? tmp : "/tmp");
        if (!mkdtemp(scratch_dir))
            abort();
        scratch_pid = getpid();
        atexit(scratch_remove);
    }
    return xasprintf("%s/%s", scratch_dir, name);
}

int sh(const char *fmt, ...)
{
    char *cmd;
    va_list ap;
    int r;

    va_start(ap, fmt);
    if (vasprintf(&cmd, fmt, ap) < 0)
        abort();
    va_end(ap);
    r = system(cmd);
    free(cmd);
    return r < 0 || !WIFEXITED(r) ? 255 : WEXITSTATUS(r);
}

bool have_tool(const char *name)
{
    return !sh("command -v %s > /dev/null 2>&1", name);
}

void make_qcow2(const char *path, uint64_t bytes, struct block_create c)
{
    struct err e = { "" };

    c.file = path;
    c.size = bytes;
    c.size_set = true;
    if (qcow2_driver.create(&c, &e)) {
        fprintf(stderr, "create: %s\n", e.msg);
        abort();
    }
}

struct block *open_rw(struct block_ctx *c, const char *path, const char *fmt)
{
    struct block_opts o;
    struct err e = { "" };
    struct block *b;

    block_opts_init(&o);
    o.file = xstrdup(path);
    o.format = xstrdup(fmt);
    o.discard = true;
    b = block_open(c, &o, &e);
    block_opts_free(&o);
    if (!b)
        fprintf(stderr, "open: %s\n", e.msg);
    return b;
}

struct block *open_layered(const char *path,
                           int (*hook)(void *, enum bfile_event, uint64_t, const struct iovec *, unsigned, uint64_t),
                           void *opaque, struct err *e)
{
    struct block_opts o;
    struct bfile *f;
    struct bnode *n;
    int r;

    block_opts_init(&o);
    o.discard = true;
    f = bfile_open(path, &o, true, &r, e);
    if (!f)
        return NULL;
    n = bnode_open_file(bfile_layer(f, hook, opaque), &qcow2_driver, &o, 0, e);
    return n ? block_from_node(NULL, n) : NULL;
}

int check_image(const char *path, bool repair)
{
    struct block_opts o;
    struct block_check c = { 0 };
    struct err e = { "" };
    struct bnode *n;
    int r;

    block_opts_init(&o);
    o.file = xstrdup(path);
    o.format = xstrdup("qcow2");
    o.readonly = !repair;
    o.allow_dirty = true;
    o.no_backing = true;
    n = bnode_open(&o, 0, &e);
    block_opts_free(&o);
    if (!n) {
        fprintf(stderr, "check: %s\n", e.msg);
        return 1;
    }
    r = n->drv->check(n, repair ? CHECK_FIX_LEAKS | CHECK_FIX_ERRORS : 0, &c, &e);
    bnode_close(n);
    return r || c.errors ? 1 : c.corruptions ? 2 : c.leaks ? 3 : 0;
}

/* ---- numbered pages -------------------------------------------------------------- */

void page_fill(uint8_t *buf, uint32_t page, uint32_t number)
{
    for (unsigned i = 0; i < PAGE; i += 16) {
        stl32(buf + i, page);
        stl32(buf + i + 4, number);
        stl64(buf + i + 8, ((uint64_t)number << 32 | page) * 0x9e3779b97f4a7c15ull + i);
    }
}

/* Lanes are groups of eight pages in turn: writers share clusters, never pages. */
#define GROUP 8u
static bool in_lane(uint32_t page, struct lane l)
{
    return page / GROUP % l.of == l.no;
}

/* Writes whose number was taken before the flush are on the disk after it. */
static int flush_pages(struct pages *p, struct block *b, struct lane l)
{
    int r = block_flush(b);

    for (unsigned i = 0; i < PAGES && !r; i++)
        if (in_lane(i, l) && p->written[i] > p->durable[i])
            p->durable[i] = p->written[i];
    return r;
}

static uint32_t pick_pages(struct rng *r, struct lane l, uint32_t *n)
{
    uint32_t page = (uint32_t)rnd_n(r, PAGES - GROUP), group;

    *n = 1 + (uint32_t)rnd_n(r, GROUP);
    if (rnd_n(r, 2))
        page &= ~63u; /* meet the same clusters often */
    if (l.of == 1)
        return page;
    group = page / GROUP / l.of * l.of + l.no;
    *n = MIN(*n, GROUP - page % GROUP);
    return group * GROUP + page % GROUP;
}

static uint64_t page_at(uint32_t page) { return page * (uint64_t)PAGE; }

/* a discarded page may be old, or any later one, or zeroes: nothing is known of
 * it until it is written again */
int page_step_in(struct pages *p, struct block *b, struct rng *r, struct lane l)
{
    uint8_t buf[GROUP * PAGE];
    uint32_t n, page = pick_pages(r, l, &n);
    uint64_t what = rnd_n(r, 100);
    int ret;

    if (what < 12)
        return flush_pages(p, b, l);
    for (unsigned i = 0; i < n && what < 20; i++) {
        p->durable[page + i] = 0; /* zeroes from now on, or any earlier page */
        p->written[page + i] = 0;
    }
    if (what < 20)
        return what < 16 ? block_discard(b, page_at(page), n * PAGE)
                         : block_write_zeroes(b, page_at(page), n * PAGE, what & 1 ? BLOCK_REQ_UNMAP : 0);
    for (unsigned i = 0; i < n; i++) {
        uint32_t number = atomic_fetch_add(&p->next, 1) + 1;
        page_fill(buf + i * PAGE, page + i, number);
        p->issued[page + i] = number;
    }
    ret = block_pwrite(b, page_at(page), buf, n * PAGE);
    for (unsigned i = 0; i < n && !ret; i++)
        p->written[page + i] = p->issued[page + i];
    return ret;
}

int page_step(struct pages *p, struct block *b, struct rng *r)
{
    return page_step_in(p, b, r, (struct lane){ 0, 1 });
}

const char *pages_verify(const struct pages *p, const char *path)
{
    static char what[160];
    uint8_t buf[PAGE], want[PAGE];
    struct block_opts o;
    struct err e = { "" };
    struct block *b;

    block_opts_init(&o);
    o.file = xstrdup(path);
    o.format = xstrdup("qcow2");
    o.readonly = true;
    b = block_open(NULL, &o, &e);
    block_opts_free(&o);
    if (!b) {
        snprintf(what, sizeof(what), "cannot open: %.100s", e.msg);
        return what;
    }
    what[0] = 0;
    for (unsigned i = 0; i < PAGES && !what[0]; i++) {
        if (block_pread(b, i * (uint64_t)PAGE, buf, PAGE)) {
            snprintf(what, sizeof(what), "page %u cannot be read", i);
            break;
        }
        uint32_t got = ldl32(buf + 4);
        if (mem_is_zero(buf, PAGE)) {
            if (p->durable[i])
                snprintf(what, sizeof(what), "page %u is empty, number %u was flushed", i, p->durable[i]);
            continue;
        }
        /* a write under way may have reached the disk in part, in sectors */
        for (unsigned s = 0; s < PAGE && !what[0]; s += 512) {
            if (mem_is_zero(buf + s, 512)) {
                if (p->durable[i])
                    snprintf(what, sizeof(what), "page %u+%u is empty, number %u was flushed", i, s, p->durable[i]);
                continue;
            }
            got = ldl32(buf + s + 4);
            page_fill(want, i, got);
            if (memcmp(buf + s, want + s, 512))
                snprintf(what, sizeof(what), "page %u+%u holds foreign bytes", i, s);
            else if (got < p->durable[i] || got > p->issued[i])
                snprintf(what, sizeof(what), "page %u+%u is number %u, not %u to %u", i, s, got, p->durable[i], p->issued[i]);
        }
    }
    if (block_close(b) && !what[0])
        snprintf(what, sizeof(what), "close failed");
    return what[0] ? what : NULL;
}
