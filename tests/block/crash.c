/*
 * crash.c - what is left after SIGKILL, after a power cut, after failing writes
 */
#define _GNU_SOURCE 1
#include <criterion/criterion.h>
#include <fcntl.h>
#include <time.h>
#include "tests/block/harness.h"

static struct pages *pages_new(void)
{
    void *p = mmap(NULL, sizeof(struct pages), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        abort();
    return p;
}

static const struct block_create small_clusters = { .cluster_bytes = 4096 };
static const struct block_create lazy = { .lazy_refcounts = true };

/* ---- SIGKILL ------------------------------------------------------------------------ */

#define WRITERS 4u
struct writer { struct pages *p; struct block *b; struct rng r; struct lane lane; };

static void *write_on(void *arg)
{
    struct writer *w = arg;

    while (!page_step_in(w->p, w->b, &w->r, w->lane))
        ;
    _exit(2);
}

/* four threads on one image: what they do meets in clusters and tables */
static void kill_victim(struct pages *p, const char *path, uint64_t seed, uint32_t bug)
{
    struct block *b = open_rw(NULL, path, "qcow2");
    struct writer w[WRITERS];
    pthread_t t;

    if (!b)
        _exit(1);
    q2_of(block_node(b))->bug = bug;
    for (unsigned i = 0; i < WRITERS; i++) {
        w[i] = (struct writer){ p, b, seed_of(seed * WRITERS + i), { i, WRITERS } };
        if (pthread_create(&t, NULL, write_on, &w[i]))
            _exit(1);
    }
    pause();
}

/* until the victim writes, or has ended: what comes before would be all that a slow machine kills */
static void await_work(const struct pages *p, pid_t pid)
{
    const struct timespec nap = { 0, 100000 };
    uint32_t before = p->next;
    siginfo_t end = { 0 };

    while (p->next == before && !end.si_pid && !waitid(P_PID, (id_t)pid, &end, WEXITED | WNOHANG | WNOWAIT))
        nanosleep(&nap, NULL);
}

/* kills one writer after another on the same image; NULL, or what went wrong */
static const char *run_kills(struct block_create c, uint64_t kills, uint64_t seed, uint32_t bug)
{
    struct pages *p = pages_new();
    char *path = scratch("kill.qcow2");
    struct rng r = seed_of(seed);
    const char *wrong = NULL;
    bool qemu = have_tool("qemu-img");

    make_qcow2(path, PAGES * PAGE, c);
    for (uint64_t i = 0; i < kills && !wrong; i++) {
        struct timespec t = { 0, (long)(200000 + rnd_n(&r, 6000000)) };
        int status, k;
        pid_t pid = fork();
        if (!pid)
            kill_victim(p, path, rnd(&r) + i, bug);
        await_work(p, pid);
        nanosleep(&t, NULL);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        if (WIFEXITED(status)) {
            wrong = WEXITSTATUS(status) == 1 ? "the image cannot be opened" : "a request failed";
            break;
        }
        /* the next writer knows only what is certain */
        memcpy(p->written, (void *)p->durable, sizeof(p->written));
        if (c.lazy_refcounts && check_image(path, true))
            wrong = "a dirty image could not be repaired";
        k = check_image(path, false);
        if (k != 0 && k != 3)
            wrong = "corrupt";
        if (!wrong && qemu && i % 5 == 0) {
            k = sh("qemu-img check -q -f qcow2 %s > /dev/null 2>&1", path);
            if (k != 0 && k != 3)
                wrong = "qemu-img finds it corrupt";
        }
        if (!wrong)
            wrong = pages_verify(p, path);
        if (!wrong && i % 50 == 49)
            check_image(path, true);
    }
    free(path);
    munmap(p, sizeof(*p));
    return wrong;
}

static void kills(struct block_create c, uint64_t n, uint64_t seed)
{
    const char *wrong = run_kills(c, n, seed, 0);

    cr_assert_null(wrong, "%s", wrong);
    tally("kills", n);
}

Test(block_kill, leaks_at_worst)
{
    kills((struct block_create){ 0 }, count_of(60), 11);
    kills(small_clusters, count_of(30), 12);
}

Test(block_kill, lazy_refcounts_are_repaired) { kills(lazy, count_of(30), 13); }

Test(block_kill, finds_a_seeded_bug)
{
    cr_assert_not_null(run_kills(small_clusters, 300, 14, Q2_BUG_FLUSH_NOTHING),
                       "the kill test missed a FLUSH that writes no tables");
}

/* ---- power cut ------------------------------------------------------------------------ */

struct log_op { enum bfile_event ev; uint64_t off, len; uint8_t *data; };
struct log {
    struct log_op *op;
    unsigned n, cap;
    struct { unsigned at; uint32_t durable[PAGES], issued[PAGES]; } *mark; /* state of knowledge */
    unsigned n_marks;
};

static int log_hook(void *opaque, enum bfile_event ev, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len)
{
    struct log *l = opaque;

    if (ev == BEV_READ)
        return 0;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 256;
        l->op = xrealloc(l->op, l->cap * sizeof(*l->op));
    }
    l->op[l->n] = (struct log_op){ ev, off, len, NULL };
    if (ev == BEV_WRITE) {
        l->op[l->n].data = xmalloc(len ? len : 1);
        iov_to_buf(iov, n, 0, l->op[l->n].data, len);
    }
    l->n++;
    return 0;
}

static void apply_piece(int fd, const struct log_op *o, uint64_t at, uint64_t len)
{
    static const uint8_t zero[PAGE];

    if (o->ev == BEV_WRITE) {
        if (pwrite(fd, o->data + at, len, (off_t)(o->off + at)) != (ssize_t)len)
            abort();
        return;
    }
    for (uint64_t i = 0; i < len; i += sizeof(zero))
        if (pwrite(fd, zero, MIN(len - i, sizeof(zero)), (off_t)(o->off + at + i)) < 0)
            abort();
}

/* @lose: each sector run of an unsynced operation reaches the disk or not */
static void apply(int fd, const struct log_op *o, struct rng *r, bool lose)
{
    uint64_t step = MAX(512, align_up(o->len / 4, 512));

    if (o->ev == BEV_FLUSH)
        return;
    if (o->ev == BEV_TRUNCATE) {
        if (ftruncate(fd, (off_t)o->off))
            abort();
        return;
    }
    if (lose && !rnd_n(r, 3))
        return;
    if (!lose || rnd_n(r, 2)) {
        apply_piece(fd, o, 0, o->len);
        return;
    }
    for (uint64_t at = 0, n; at < o->len; at += n) {
        n = MIN(step - ((o->off + at) & 511), o->len - at);
        if (rnd_n(r, 2))
            apply_piece(fd, o, at, n);
    }
}

/* the file as it may be when the power fails after operation @cut of the log */
static void replay(const struct log *l, const char *start, const char *path, unsigned cut, struct rng *r)
{
    unsigned synced = 0, order[512], n = 0;
    int fd;

    sh("cp --sparse=always %s %s", start, path);
    fd = open(path, O_RDWR);
    /* a flush in the log is over when something follows it */
    for (unsigned i = 0; i + 1 < cut; i++)
        if (l->op[i].ev == BEV_FLUSH)
            synced = i;
    for (unsigned i = 0; i < synced; i++)
        apply(fd, &l->op[i], r, false);
    for (unsigned i = synced; i < cut && n < ARRAY_SIZE(order); i++)
        order[n++] = i;
    /* overlapping writes of one file reach it in order: neighbours may swap
     * only where they do not overlap, which dropping covers as well */
    for (unsigned i = 0; i < n; i++)
        apply(fd, &l->op[order[i]], r, true);
    close(fd);
}

static void add_mark(struct log *l, const struct pages *p)
{
    l->mark = xrealloc(l->mark, (l->n_marks + 1) * sizeof(*l->mark));
    l->mark[l->n_marks].at = l->n;
    memcpy(l->mark[l->n_marks].durable, (void *)p->durable, sizeof(p->durable));
    memcpy(l->mark[l->n_marks].issued, (void *)p->issued, sizeof(p->issued));
    l->n_marks++;
}

static const char *judge(const struct log *l, const char *path, unsigned cut, struct pages *p, bool qemu, bool repair)
{
    unsigned m = 0;
    int k;

    if (repair && check_image(path, true) == 2)
        return "a dirty image could not be repaired";
    k = check_image(path, false);
    if (k != 0 && k != 3)
        return k == 1 ? "cannot be opened" : "corrupt";
    if (qemu && (k = sh("qemu-img check -q -f qcow2 %s > /dev/null 2>&1", path)) != 0 && k != 3)
        return "qemu-img finds it corrupt";
    while (m + 1 < l->n_marks && l->mark[m + 1].at < cut)
        m++;
    /* durable: what was known before; less where a later step took it back;
     * issued: what may have begun by then */
    memcpy((void *)p->durable, l->mark[m].durable, sizeof(p->durable));
    k = (int)m;
    while (k + 1 < (int)l->n_marks && l->mark[k].at < cut)
        k++;
    memcpy((void *)p->issued, l->mark[k].issued, sizeof(p->issued));
    for (unsigned i = 0; i < PAGES; i++)
        p->durable[i] = MIN(p->durable[i], l->mark[k].durable[i]);
    return pages_verify(p, path);
}

static const char *run_cuts(struct block_create c, unsigned logs, unsigned cuts, uint64_t seed, uint32_t bug)
{
    char *path = scratch("cut.qcow2"), *start = scratch("start.qcow2"), *state = scratch("state.qcow2");
    const char *wrong = NULL;
    bool qemu = have_tool("qemu-img");

    for (unsigned g = 0; g < logs && !wrong; g++) {
        struct pages *p = pages_new();
        struct rng r = seed_of(seed + g);
        struct log l = { 0 };
        struct err e = { "" };
        make_qcow2(path, PAGES * PAGE, c);
        sh("cp --sparse=always %s %s", path, start);
        struct block *b = open_layered(path, log_hook, &l, &e);
        if (!b)
            return "open failed";
        q2_of(block_node(b))->bug = bug;
        add_mark(&l, p);
        for (unsigned i = 0; i < 120; i++) {
            if (page_step(p, b, &r))
                wrong = "a request failed";
            add_mark(&l, p);
        }
        if (block_close(b))
            wrong = "close failed";
        for (unsigned i = 0; i < cuts && !wrong; i++) {
            unsigned cut = 1 + (unsigned)rnd_n(&r, l.n);
            replay(&l, start, state, cut, &r);
            wrong = judge(&l, state, cut, p, qemu && i % 10 == 0, c.lazy_refcounts);
        }
        for (unsigned i = 0; i < l.n; i++)
            free(l.op[i].data);
        free(l.op);
        free(l.mark);
        munmap(p, sizeof(*p));
    }
    free(path);
    free(start);
    free(state);
    return wrong;
}

static void power_cuts(struct block_create c, uint64_t logs, unsigned cuts, uint64_t seed)
{
    const char *wrong = run_cuts(c, (unsigned)logs, cuts, seed, 0);

    cr_assert_null(wrong, "%s", wrong);
    tally("states", logs * cuts);
}

Test(block_power, nothing_flushed_is_lost)
{
    power_cuts((struct block_create){ 0 }, count_of(3), 50, 21);
    power_cuts(small_clusters, count_of(3), 50, 22);
}

Test(block_power, lazy_refcounts) { power_cuts(lazy, count_of(2), 40, 23); }

Test(block_power, finds_seeded_bugs)
{
    cr_assert_not_null(run_cuts(small_clusters, 10, 100, 24, Q2_BUG_NO_REFCOUNT_SYNC),
                       "the power cut missed L2 tables that pass refcounts by");
    cr_assert_not_null(run_cuts(small_clusters, 10, 100, 25, Q2_BUG_FREE_EARLY),
                       "the power cut missed clusters that are free too early");
}

/* ---- failing operations ------------------------------------------------------------------ */

struct fault { uint64_t at, seen; int err; bool sticky, off; };

static int fault_hook(void *opaque, enum bfile_event ev, uint64_t off, const struct iovec *iov, unsigned n, uint64_t len)
{
    struct fault *f = opaque;

    if (ev == BEV_READ || f->off)
        return 0;
    f->seen++;
    return f->seen == f->at || (f->sticky && f->seen > f->at) ? f->err : 0;
}

/* one run with the @at-th operation failing; *ops: how many there are */
static const char *run_fault(struct block_create c, struct fault *f, uint64_t seed, uint32_t bug, bool qemu)
{
    struct pages *p = pages_new();
    char *path = scratch("fault.qcow2");
    struct rng r = seed_of(seed);
    struct err e = { "" };
    const char *wrong = NULL;
    unsigned failed = 0;
    struct block *b;
    int k;

    make_qcow2(path, PAGES * PAGE, c);
    b = open_layered(path, fault_hook, f, &e);
    if (b) {
        q2_of(block_node(b))->bug = bug;
        for (unsigned i = 0; i < 100; i++)
            failed += page_step(p, b, &r) != 0;
        if (f->sticky)
            failed++;
        f->off = f->sticky && (seed & 1); /* space was made */
        failed += block_close(b) != 0;
        if (f->seen >= f->at && f->at && !failed)
            /* the discard of freed space is advice; all else must be told */
            f->off = true;
    }
    k = check_image(path, false);
    if (c.lazy_refcounts && k == 2)
        k = check_image(path, true);
    if (k != 0 && k != 3)
        wrong = k == 1 ? "cannot be opened" : "corrupt";
    if (!wrong && qemu && (k = sh("qemu-img check -q -f qcow2 %s > /dev/null 2>&1", path)) != 0 && k != 3)
        wrong = "qemu-img finds it corrupt";
    if (!wrong)
        wrong = pages_verify(p, path);
    free(path);
    munmap(p, sizeof(*p));
    return wrong;
}

static const char *run_faults(struct block_create c, uint64_t points, uint64_t seed, uint32_t bug)
{
    struct fault f = { 0 };
    const char *wrong = run_fault(c, &f, seed, bug, false);
    uint64_t ops = f.seen;
    struct rng r = seed_of(seed);
    bool qemu = have_tool("qemu-img");

    for (uint64_t i = 0; i < points && !wrong; i++) {
        uint64_t at = points >= 4 * ops ? 1 + i / 4 % ops : 1 + rnd_n(&r, ops);
        f = (struct fault){ .at = at, .err = i & 1 ? -ENOSPC : -EIO, .sticky = i & 2 };
        wrong = run_fault(c, &f, seed, bug, qemu && i % 10 == 0);
        if (wrong)
            fprintf(stderr, "fault at operation %llu of %llu, %s, %s\n", (unsigned long long)at,
                    (unsigned long long)ops, i & 1 ? "ENOSPC" : "EIO", f.sticky ? "sticky" : "once");
    }
    return wrong;
}

static void faults(struct block_create c, uint64_t points, uint64_t seed)
{
    const char *wrong = run_faults(c, points, seed, 0);

    cr_assert_null(wrong, "%s", wrong);
    tally("points", points);
}

Test(block_fault, image_stays_sound)
{
    faults((struct block_create){ 0 }, count_of(120), 31);
    faults(small_clusters, count_of(120), 32);
    faults((struct block_create){ .cluster_bytes = 512 }, count_of(60), 33);
}

Test(block_fault, finds_a_seeded_bug)
{
    cr_assert_not_null(run_faults(small_clusters, 400, 34, Q2_BUG_IGNORE_ERROR),
                       "the fault test missed a table write whose error is ignored");
}
