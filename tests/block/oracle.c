/*
 * oracle.c - random operations on a qcow2 image beside a plain copy in memory,
 * judged at the end by qemu-img
 */
#define _GNU_SOURCE 1
#include <criterion/criterion.h>
#include "tests/block/harness.h"

#define DISK (8 * MiB)
#define DISK_MAX (12 * MiB)
#define QUEUES 8

struct mirror {
    struct block_ctx *ctx;
    struct block *b;
    struct rng r;
    char *path;
    uint8_t *now;             /* what the disk must hold */
    uint64_t bytes;
    struct { uint8_t *data; uint64_t bytes; char name[16]; } snap[4];
    unsigned n_snaps, serial;
    uint32_t bug;
    const char *wrong;
};

struct slot {
    struct block_req req;
    struct iovec iov[3];
    uint8_t *buf;
    int ret;
    bool done;
};

static void slot_done(struct block_req *r, int ret)
{
    struct slot *s = r->opaque;

    s->ret = ret;
    s->done = true;
}

static void pick_range(struct mirror *m, uint64_t *off, uint64_t *len)
{
    unsigned unit = rnd_n(&m->r, 3) ? 512 : 1;

    *off = rnd_n(&m->r, m->bytes);
    *len = 1 + rnd_n(&m->r, rnd_n(&m->r, 4) ? 20000 : 300000);
    *off &= ~(uint64_t)(unit - 1);
    *len = align_up(*len, unit);
    *len = MIN(*len, m->bytes - *off);
}

static void slot_start(struct mirror *m, struct slot *s, uint64_t off, uint64_t len, uint64_t kind)
{
    uint64_t a = rnd_n(&m->r, len + 1);

    s->req = (struct block_req){ .off = off, .len = len, .cb = slot_done, .opaque = s, .iov = s->iov, .niov = 2 };
    s->done = false;
    s->buf = xmalloc(len);
    s->iov[0] = (struct iovec){ s->buf, a };
    s->iov[1] = (struct iovec){ s->buf + a, len - a };
    if (kind < 45) {
        s->req.op = BLOCK_WRITE;
        s->req.flags = kind < 3 ? BLOCK_REQ_FUA : 0;
        for (uint64_t i = 0; i < len; i++)
            s->buf[i] = (uint8_t)(rnd_n(&m->r, 8) ? i * 7 + m->serial : rnd(&m->r));
        m->serial += 13;
    } else if (kind < 65) {
        s->req.op = BLOCK_READ;
    } else if (kind < 80) {
        s->req.op = BLOCK_WRITE_ZEROES;
        s->req.flags = kind & 1 ? BLOCK_REQ_UNMAP : 0;
    } else {
        s->req.op = BLOCK_DISCARD;
    }
    block_submit(m->b, &s->req);
}

static void slot_check(struct mirror *m, struct slot *s)
{
    uint64_t off = s->req.off, len = s->req.len;

    if (s->ret)
        m->wrong = "a request failed";
    else if (s->req.op == BLOCK_WRITE)
        memcpy(m->now + off, s->buf, len);
    else if (s->req.op == BLOCK_READ && memcmp(m->now + off, s->buf, len))
        m->wrong = "a read differs";
    else if (s->req.op == BLOCK_WRITE_ZEROES)
        memset(m->now + off, 0, len);
    else if (s->req.op == BLOCK_DISCARD) { /* each byte is what it was, or zero */
        if (block_pread(m->b, off, s->buf, len))
            m->wrong = "reading after a discard failed";
        for (uint64_t i = 0; i < len && !m->wrong; i++)
            if (s->buf[i] && s->buf[i] != m->now[off + i])
                m->wrong = "a discard changed bytes";
        memcpy(m->now + off, s->buf, len);
    }
    free(s->buf);
}

/* up to QUEUES requests at a time that do not overlap (but share clusters) */
static unsigned run_batch(struct mirror *m)
{
    struct slot s[QUEUES];
    unsigned n = 0, want = 1 + (unsigned)rnd_n(&m->r, QUEUES);

    for (unsigned tries = 0; n < want && tries < 20; tries++) {
        uint64_t off, len;
        bool clash = false;
        pick_range(m, &off, &len);
        if (n && rnd_n(&m->r, 2)) { /* next door to the one before */
            off = s[n - 1].req.off + s[n - 1].req.len;
            len = MIN(len, m->bytes - MIN(off, m->bytes));
        }
        for (unsigned i = 0; i < n; i++)
            clash |= off < s[i].req.off + s[i].req.len && s[i].req.off < off + len;
        if (!clash && len)
            slot_start(m, &s[n++], off, len, rnd_n(&m->r, 100));
    }
    block_drain(m->b);
    for (unsigned i = 0; i < n; i++) {
        if (!s[i].done)
            m->wrong = "a request did not complete";
        else
            slot_check(m, &s[i]);
    }
    return n;
}

static void do_snapshot(struct mirror *m)
{
    struct err e = { "" };
    unsigned i = (unsigned)rnd_n(&m->r, 4);
    int r = 0;

    if (i >= m->n_snaps) {
        struct block_snapshot s = { .icount = UINT64_MAX };
        i = m->n_snaps;
        snprintf(s.name, sizeof(s.name), "s%u", m->serial++);
        r = block_snapshot_create(m->b, &s, &e);
        if (!r) {
            m->snap[i].data = xmalloc(DISK_MAX);
            memcpy(m->snap[i].data, m->now, DISK_MAX);
            m->snap[i].bytes = m->bytes;
            snprintf(m->snap[i].name, sizeof(m->snap[i].name), "%.15s", s.name);
            m->n_snaps++;
        }
    } else if (rnd_n(&m->r, 2)) {
        r = block_snapshot_apply(m->b, m->snap[i].name, &e);
        if (!r) {
            memcpy(m->now, m->snap[i].data, DISK_MAX);
            m->bytes = m->snap[i].bytes;
        }
    } else {
        r = block_snapshot_delete(m->b, m->snap[i].name, &e);
        if (!r) {
            free(m->snap[i].data);
            m->snap[i] = m->snap[--m->n_snaps];
        }
    }
    if (r) {
        fprintf(stderr, "snapshot: %s\n", e.msg);
        m->wrong = "a snapshot operation failed";
    }
}

static void do_resize(struct mirror *m)
{
    uint64_t bytes = align_up(DISK_MAX / 2 + rnd_n(&m->r, DISK_MAX / 2), 512);
    struct err e = { "" };

    if (block_resize(m->b, bytes, &e)) {
        fprintf(stderr, "resize: %s\n", e.msg);
        m->wrong = "a resize failed";
        return;
    }
    if (bytes < m->bytes)
        memset(m->now + bytes, 0, DISK_MAX - bytes);
    m->bytes = bytes;
}

static void reopen(struct mirror *m)
{
    if (m->b && block_close(m->b))
        m->wrong = "closing failed";
    m->b = open_rw(m->ctx, m->path, "qcow2");
    if (!m->b)
        m->wrong = "opening failed";
    else
        q2_of(block_node(m->b))->bug = m->bug;
}

static void compare_all(struct mirror *m)
{
    uint8_t *buf = xmalloc(DISK_MAX);

    if (block_length(m->b) != m->bytes || block_pread(m->b, 0, buf, m->bytes) || memcmp(buf, m->now, m->bytes))
        m->wrong = "the disk differs from its mirror";
    free(buf);
}

/* returns what is wrong, or NULL */
static const char *run_oracle(struct block_create c, uint64_t ops, uint64_t seed, uint32_t bug)
{
    struct mirror m = { .r = seed_of(seed), .bytes = DISK, .bug = bug, .path = scratch("oracle.qcow2") };
    char *raw = scratch("oracle.raw");
    struct err e = { "" };
    uint64_t done = 0;

    m.ctx = block_ctx_new(4, &e);
    m.now = xzalloc(DISK_MAX);
    make_qcow2(m.path, DISK, c);
    reopen(&m);
    while (done < ops && !m.wrong) {
        uint64_t k = rnd_n(&m.r, 1000);
        if (k < 6 && c.compat != 2)
            do_snapshot(&m);
        else if (k < 10 && c.compat != 2)
            do_resize(&m);
        else if (k < 14)
            reopen(&m);
        else if (k < 20)
            compare_all(&m);
        else if (k < 60 && block_flush(m.b))
            m.wrong = "a flush failed";
        else
            done += run_batch(&m);
    }
    if (!m.wrong)
        compare_all(&m);
    if (m.b && block_close(m.b) && !m.wrong)
        m.wrong = "closing failed";
    block_ctx_free(m.ctx);
    FILE *f = fopen(raw, "w");
    if (fwrite(m.now, 1, m.bytes, f) != m.bytes || fclose(f))
        abort();
    if (!m.wrong && check_image(m.path, false))
        m.wrong = "our check is not content";
    if (!m.wrong && have_tool("qemu-img")) {
        if (sh("qemu-img check -f qcow2 %s > %s.log 2>&1", m.path, m.path))
            m.wrong = "qemu-img check is not content";
        else if (sh("qemu-img compare -f raw -F qcow2 %s %s > /dev/null 2>&1", raw, m.path))
            m.wrong = "qemu-img compare differs";
    }
    while (m.n_snaps)
        free(m.snap[--m.n_snaps].data);
    free(m.now);
    free(m.path);
    free(raw);
    return m.wrong;
}

static void oracle(struct block_create c, uint64_t ops, uint64_t seed)
{
    const char *wrong = run_oracle(c, count_of(ops), seed, 0);

    cr_assert_null(wrong, "%s (seed %llu)", wrong, (unsigned long long)seed);
    tally("operations", count_of(ops));
}

Test(block_oracle, default_options) { oracle((struct block_create){ 0 }, 3000, 1); }
Test(block_oracle, clusters_of_512) { oracle((struct block_create){ .cluster_bytes = 512 }, 1500, 2); }
Test(block_oracle, clusters_of_2m) { oracle((struct block_create){ .cluster_bytes = 2 * MiB }, 800, 3); }
Test(block_oracle, clusters_of_4k_lazy) { oracle((struct block_create){ .cluster_bytes = 4096, .lazy_refcounts = true }, 2000, 4); }
Test(block_oracle, refcounts_of_64) { oracle((struct block_create){ .cluster_bytes = 1024, .refcount_bits = 64 }, 1500, 5); }
Test(block_oracle, refcounts_of_4) { oracle((struct block_create){ .cluster_bytes = 8192, .refcount_bits = 4 }, 2000, 6); }
Test(block_oracle, version_2) { oracle((struct block_create){ .compat = 2, .cluster_bytes = 16384 }, 2000, 7); }

Test(block_oracle, finds_a_seeded_bug)
{
    const char *wrong = run_oracle((struct block_create){ 0 }, 30000, 1, Q2_BUG_COW_HEAD);

    cr_assert_not_null(wrong, "the oracle missed a copy-on-write that forgets the head");
}
