/*
 * main.c - ifuzz [--seed N] [--count N | --seconds N] [--mode 16|32|64] [--jobs N]
 *                [--replay SEED:INDEX] [--cases DIR] [--seed-bug flag|shift] [--show N]
 *                [--against host|interpreter]
 *
 * Which engines run: every sequence on the host CPU and optimised; of eight, one also
 * plain, one with a block for each instruction, and one interpreted (that one reads no flag
 * that the manual leaves undefined; the others may read what the silicon settles). A quarter of the
 * guided sequences closes with a loop, so that its blocks are chained and run again.
 * Where the host cannot run 16-bit code, or with --against interpreter, all are interpreted
 * in its place.
 * Exit status 1: states differ (with --seed-bug: the mistake was not found).
 */
#define _GNU_SOURCE
#include "tests/fuzz/insn/seq-int.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_JOBS 64

struct options {
    uint64_t seed, count, replay;
    double seconds;
    unsigned bits, jobs, shown;
    const char *cases, *bug;
    bool replaying, by_interp;
};

/* counts of one worker, seen by its parent */
struct tally {
    uint64_t seqs, ins, bytes, vector[32], hangs, runs[E_COUNT], differ, dead;
    double cpu_s;
    bool used[MAX_ROWS];
    unsigned rows, shown;
};

static struct fguest *ticking;
static void on_alarm(int sig) { fguest_tick(ticking); }

static double now_s(clockid_t c)
{
    struct timespec t;

    clock_gettime(c, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* of this process and the children it has waited for */
static double cpu_s(void)
{
    struct rusage me, kids;

    getrusage(RUSAGE_SELF, &me);
    getrusage(RUSAGE_CHILDREN, &kids);
    return (double)(me.ru_utime.tv_sec + me.ru_stime.tv_sec + kids.ru_utime.tv_sec + kids.ru_stime.tv_sec) +
           1e-6 * (double)(me.ru_utime.tv_usec + me.ru_stime.tv_usec + kids.ru_utime.tv_usec + kids.ru_stime.tv_usec);
}

/* ---- a worker's bench ---------------------------------------------------------------- */

static void bench_free(struct bench *b)
{
    ticking = NULL;
    if (b->guest)
        fguest_free(b->guest);
    if (b->native)
        native_free(b->native);
    free(b->src);
    free(b->pool);
    free(b->sa);
    free(b->sb);
}

/* does the interpreter stand in for the host CPU? */
static bool stands_in(const struct options *o, unsigned bits)
{
    return o->by_interp || (bits == 16 && native_lacks(16));
}

static bool bench_init(struct bench *b, const struct options *o, unsigned bits)
{
    struct err err;

    *b = (struct bench){ .bits = bits, .seed = o->seed };
    if (x86_model_parse("max", &b->model, &err)) {
        fprintf(stderr, "ifuzz: %s\n", err.msg);
        return false;
    }
    b->by_interp = stands_in(o, bits);
    b->native = native_new(bits, !b->by_interp);      /* before there is much to copy for the child */
    b->guest = b->native ? fguest_new(bits, &b->model) : NULL;
    if (!b->guest)
        return false;
    if (o->bug)
        fguest_hook(b->guest, bug_named(o->bug));
    b->im = native_image(b->native);
    b->seq = native_seqs(b->native);
    b->host = native_outcomes(b->native);
    b->src = source_new(bits, &b->model);
    b->src->portable = b->by_interp;
    b->pool = aligned_alloc(64, POOL_FPU * sizeof(*b->pool));
    fpu_pool_make(b->pool, o->seed);
    b->sa = aligned_alloc(64, align_up(sizeof(*b->sa), 64));
    b->sb = aligned_alloc(64, align_up(sizeof(*b->sb), 64));
    ticking = b->guest;
    return true;
}

void bench_rewind(struct bench *b)
{
    fguest_wrap(b->guest);
    b->ring = 0;
}

bool bench_place(struct bench *b, struct seq *q)
{
    q->off = b->ring;
    seq_assemble(q);
    if (q->off + seq_room(q) > RING_BYTES - RING_TAIL)
        return false;
    b->ring = q->off + seq_room(q);
    return true;
}

bool bench_host(struct bench *b)
{
    if (!bench_place(b, &b->seq[0])) {
        bench_rewind(b);
        bench_place(b, &b->seq[0]);
    }
    native_run(b->native, 1, b->sa);
    fguest_code(b->guest, b->seq[0].off, native_ring(b->native) + b->seq[0].off, seq_room(&b->seq[0]));
    if (b->by_interp)
        fguest_run(b->guest, E_INTERP, &b->seq[0], &b->host[0], b->sa);
    return b->host[0].vector >= VEC_END;
}

bool bench_differs(struct bench *b, enum fuzz_engine e)
{
    struct outcome g;

    fguest_run(b->guest, e, &b->seq[0], &g, b->sb);
    return !outcome_same(&b->seq[0], &b->host[0], &g);
}

/* ---- one batch ------------------------------------------------------------------------- */

static bool wants(const struct options *o, enum fuzz_engine e, uint64_t index, const struct seq *q, bool by_interp)
{
    unsigned turn = index % 8;

    if (by_interp && (q->approximate || e == E_INTERP))
        return false;
    if (o->replaying && index == o->replay)
        return e != E_INTERP || (q->portable && !q->approximate);
    switch (e) {
    case E_OPT: return true;
    case E_PLAIN: return turn == 1;
    case E_SINGLE: return turn == 3;
    default: return q->portable && !q->approximate;
    }
}

static void report(struct bench *b, const struct options *o, uint64_t index, enum fuzz_engine e)
{
    char *why = xasprintf("--mode %u --replay %llu:%llu [%s]", b->bits, (unsigned long long)b->seed,
                          (unsigned long long)index, engine_name[e]);

    fguest_image(b->guest, b->im);
    bool alone = shrink(b, e);
    bench_host(b);
    bench_differs(b, e);
    printf("--- %s: differs from the %s%s\n", why,
           b->by_interp ? "interpreter" : "host CPU", alone ? "" : ", but not alone");
    show_sequence(&b->seq[0]);
    show_states(b->sa, b->sb);
    if (o->cases && alone)
        case_store(b, o->cases, why);
    free(why);
    fflush(stdout);
}

/* sequences that differ, until their batch is through */
#define MAX_FINDINGS 8u
struct findings {
    struct seq q[MAX_FINDINGS];
    uint64_t index[MAX_FINDINGS];
    enum fuzz_engine e[MAX_FINDINGS];
    unsigned n;
};

static void note(struct findings *f, const struct seq *q, uint64_t index, enum fuzz_engine e)
{
    if (f->n == MAX_FINDINGS)
        return;
    f->q[f->n] = *q;
    f->index[f->n] = index;
    f->e[f->n++] = e;
}

static void run_engine(struct bench *b, const struct options *o, enum fuzz_engine e, uint64_t first, unsigned n,
                       struct tally *t, struct findings *f)
{
    struct outcome g;

    for (unsigned i = 0; i < n; i++) {
        if (!wants(o, e, first + i, &b->seq[i], b->by_interp) || b->host[i].vector == VEC_CRASH)
            continue;
        fguest_run(b->guest, e, &b->seq[i], &g, NULL);
        t->runs[e]++;
        if (outcome_same(&b->seq[i], &b->host[i], &g) || (o->replaying && first + i != o->replay))
            continue;
        t->differ++;
        note(f, &b->seq[i], first + i, e);
    }
}

static void count_in(struct tally *t, const struct seq *q, const struct outcome *o)
{
    t->seqs++;
    t->ins += q->n;
    t->bytes += q->len;
    if (o->vector >= 0)
        t->vector[o->vector & 31]++;
    t->hangs += o->vector == VEC_HANG;
    t->dead += o->vector == VEC_CRASH;
}

/* Sequences from @first on, @n at most, as many as the ring takes; returns how many. */
static unsigned run_part(struct bench *b, const struct options *o, struct tally *t, uint64_t first, unsigned n)
{
    static struct findings f;
    unsigned made = 0;

    f.n = 0;
    bench_rewind(b);
    for (; made < n; made++) {
        seq_make(&b->seq[made], b->src, b->pool, b->seed, first + made, t->used);
        if (!bench_place(b, &b->seq[made]))
            break;
    }
    native_run(b->native, made, NULL);
    fguest_code(b->guest, 0, native_ring(b->native), RING_BYTES);
    for (unsigned i = 0; i < made && b->by_interp; i++)
        fguest_run(b->guest, E_INTERP, &b->seq[i], &b->host[i], NULL);
    if (o->replaying && first + made == o->replay + 1)
        show_sequence(&b->seq[made - 1]);
    for (unsigned i = 0; i < made; i++)
        count_in(t, &b->seq[i], &b->host[i]);
    for (unsigned e = 0; e < E_COUNT; e++)
        run_engine(b, o, e, first, made, t, &f);
    for (unsigned i = 0; i < f.n && t->shown < o->shown; i++, t->shown++) {
        image_make(b->im, b->seed, first / BATCH);
        b->seq[0] = f.q[i];
        report(b, o, f.index[i], f.e[i]);
    }
    return made;
}

/* Sequences first..first+n-1, which share their image. */
static void run_batch(struct bench *b, const struct options *o, struct tally *t, uint64_t first, unsigned n)
{
    image_make(b->im, b->seed, first / BATCH);
    fguest_image(b->guest, b->im);
    for (unsigned at = 0; at < n;)
        at += run_part(b, o, t, first + at, n - at);
}

/* ---- workers ------------------------------------------------------------------------------ */

static void work(const struct options *o, unsigned bits, unsigned job, struct tally *t)
{
    struct itimerval every = { { 0, 300000 }, { 0, 300000 } };
    double end = now_s(CLOCK_MONOTONIC) + o->seconds;
    struct bench b;

    if (!bench_init(&b, o, bits))
        exit(2);
    t->rows = source_rows(b.src);
    signal(SIGVTALRM, on_alarm);
    setitimer(ITIMER_VIRTUAL, &every, NULL);
    for (uint64_t k = job; k * BATCH < o->count; k += o->jobs) {
        if ((o->seconds > 0 && now_s(CLOCK_MONOTONIC) > end) || (o->bug && t->differ))
            break;
        run_batch(&b, o, t, k * BATCH, (unsigned)MIN((uint64_t)BATCH, o->count - k * BATCH));
    }
    bench_free(&b);
    t->cpu_s = cpu_s();
}

/* The batch of the sequence asked for, up to it. */
static void replay(const struct options *o, unsigned bits, struct tally *t)
{
    uint64_t first = o->replay / BATCH * BATCH;
    struct bench b;

    if (!bench_init(&b, o, bits))
        exit(2);
    run_batch(&b, o, t, first, (unsigned)(o->replay - first + 1));
    bench_free(&b);
}

static bool wait_workers(const pid_t *pid, unsigned n)
{
    bool ok = true;

    for (unsigned i = 0; i < n; i++) {
        int status;
        waitpid(pid[i], &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status)) {
            printf("ifuzz: worker %u ended by itself, status %#x\n", i, status);
            ok = false;
        }
    }
    return ok;
}

static void summary(const struct options *o, unsigned bits, const struct tally *t, double wall)
{
    struct tally s = { 0 };
    uint64_t faults = 0;
    unsigned used = 0;

    for (unsigned j = 0; j < o->jobs; j++) {
        s.seqs += t[j].seqs, s.ins += t[j].ins, s.bytes += t[j].bytes;
        s.hangs += t[j].hangs, s.dead += t[j].dead, s.differ += t[j].differ, s.cpu_s += t[j].cpu_s;
        for (unsigned e = 0; e < E_COUNT; e++)
            s.runs[e] += t[j].runs[e];
        for (unsigned i = 0; i < MAX_ROWS; i++)
            s.used[i] |= t[j].used[i];
        for (unsigned i = 0; i < 32; i++)
            s.vector[i] += t[j].vector[i];
    }
    for (unsigned i = 0; i < 32; i++)
        faults += s.vector[i];
    for (unsigned i = 0; i < MAX_ROWS; i++)
        used += s.used[i];
    printf("ifuzz: %u-bit: seed %llu, %llu sequences %s and optimised, of these", bits, (unsigned long long)o->seed,
           (unsigned long long)s.seqs, stands_in(o, bits) ? "interpreted" : "on the host CPU");
    for (unsigned e = 1; e < E_COUNT; e++)
        printf(" %llu %s%s", (unsigned long long)s.runs[e], engine_name[e], e + 1 < E_COUNT ? "," : ";");
    printf(" %.1f instructions, %.1f bytes each, %.1f %% end by a fault; %u of %u rows\n",
           (double)s.ins / (double)s.seqs, (double)s.bytes / (double)s.seqs, 100.0 * (double)faults / (double)s.seqs,
           used, t[0].rows);
    printf("ifuzz: %u-bit: faults by vector:", bits);
    for (unsigned i = 0; i < 32; i++)
        if (s.vector[i])
            printf(" %u: %llu", i, (unsigned long long)s.vector[i]);
    printf("\n");
    printf("ifuzz: %u-bit: %.0f sequences a second, %.0f a second of CPU time; %llu differ, %llu hang, %llu not run\n",
           bits, (double)s.seqs / wall, (double)s.seqs / s.cpu_s, (unsigned long long)s.differ,
           (unsigned long long)s.hangs, (unsigned long long)s.dead);
}

/* false: differences, or something went wrong */
static bool run_mode(const struct options *o, unsigned bits)
{
    size_t bytes = o->jobs * sizeof(struct tally);
    struct tally *t = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double start = now_s(CLOCK_MONOTONIC);
    pid_t pid[MAX_JOBS];
    bool ok;

    fflush(stdout);
    for (unsigned j = 0; j < o->jobs; j++) {
        pid[j] = fork();
        if (pid[j])
            continue;
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (o->replaying)
            replay(o, bits, &t[j]);
        else
            work(o, bits, j, &t[j]);
        fflush(stdout);
        _exit(0);
    }
    ok = wait_workers(pid, o->jobs);
    summary(o, bits, t, now_s(CLOCK_MONOTONIC) - start);
    for (unsigned j = 0; j < o->jobs; j++)
        ok &= !t[j].differ && !t[j].dead;
    munmap(t, bytes);
    return ok;
}

/* ---- options --------------------------------------------------------------------------------- */

static bool parse_replay(struct options *o, const char *s)
{
    char *end;

    o->seed = strtoull(s, &end, 0);
    if (*end != ':')
        return false;
    o->replay = strtoull(end + 1, &end, 0);
    o->replaying = true;
    o->jobs = 1;
    return !*end;
}

static bool parse_one(struct options *o, const char *name, const char *v)
{
    if (!strcmp(name, "--seed"))
        o->seed = strtoull(v, NULL, 0);
    else if (!strcmp(name, "--count"))
        o->count = strtoull(v, NULL, 0);
    else if (!strcmp(name, "--seconds"))
        o->seconds = strtod(v, NULL), o->count = UINT64_MAX / 2;
    else if (!strcmp(name, "--mode"))
        o->bits = (unsigned)strtoul(v, NULL, 0);
    else if (!strcmp(name, "--jobs"))
        o->jobs = (unsigned)strtoul(v, NULL, 0);
    else if (!strcmp(name, "--show"))
        o->shown = (unsigned)strtoul(v, NULL, 0);
    else if (!strcmp(name, "--cases"))
        o->cases = v;
    else if (!strcmp(name, "--seed-bug"))
        o->bug = v;
    else if (!strcmp(name, "--against"))
        return (o->by_interp = !strcmp(v, "interpreter")) || !strcmp(v, "host");
    else if (!strcmp(name, "--replay"))
        return parse_replay(o, v);
    else
        return false;
    return true;
}

static bool parse(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !parse_one(o, argv[i], argv[i + 1]))
            return false;
    return o->jobs >= 1 && o->jobs <= MAX_JOBS && (!o->bug || bug_named(o->bug)) &&
           (!o->bits || o->bits == 16 || o->bits == 32 || o->bits == 64);
}

int main(int argc, char **argv)
{
    struct options o = { .seed = 1, .count = 100000, .jobs = 1, .shown = 4 };
    bool ok = true;

    if (!parse(&o, argc, argv)) {
        fprintf(stderr, "usage: ifuzz [--seed N] [--count N | --seconds N] [--mode 16|32|64] [--jobs N] [--show N]\n"
                "             [--replay SEED:INDEX] [--cases DIR] [--seed-bug flag|shift]\n"
                "             [--against host|interpreter]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned bits = 64; bits >= 16; bits /= 2) {
        const char *lacks = o.by_interp || (o.bits && o.bits != bits) ? NULL : native_lacks(bits);
        if (lacks)
            printf("ifuzz: %u-bit: %s: this host cannot be compared with: %s\n", bits,
                   bits == 16 ? "with the interpreter in its place" : "skipped", lacks);
        if ((!lacks || bits == 16) && (!o.bits || o.bits == bits))
            ok &= run_mode(&o, bits);
    }
    if (o.bug)
        printf("ifuzz: the mistake '%s' was %s\n", o.bug, ok ? "NOT found" : "found");
    return o.bug ? ok : !ok;
}
