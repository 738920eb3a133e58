/*
 * profile-report.c - the profile in words and figures
 */
#define _GNU_SOURCE
#include "tcg/tcg-int.h"
#include <inttypes.h>
#include <stdlib.h>

#define NAME_CHARS 32
#define PERCENT(part, whole) ((whole) ? 100.0 * (double)(part) / (double)(whole) : 0.0)

#define X(N, text) text,
static const char *const time_names[] = { PROFILE_TIMES(X) };
static const char *const exit_names[] = { PROFILE_EXITS(X) };
static const char *const miss_names[] = { PROFILE_MISSES(X) };
static const char *const drop_names[] = { TCG_DROPS(X) };
static const char *const flush_names[] = { TCG_FLUSHES(X) };
#undef X

/** struct hot - a block's record with its runs so far */
struct hot {
    const struct profile_block *b;
    uint64_t runs, insns;
};

struct report {
    struct tcg *t;
    FILE *f;
    struct cpu_profile *sum; /* of all vCPUs */
    double ns;               /* a tick */
    struct hot *hot;         /* by instructions executed */
    uint32_t n_hot;
    uint64_t insns, runs;
    struct tcg_stats stats;  /* since the last restart */
    uint64_t again, again_bytes;
};

/* ---- adding up ------------------------------------------------------------------------ */

static void add_all(uint64_t *to, const uint64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}
#define ADD(to, from, what) add_all((uint64_t *)(to)->what, (const uint64_t *)(from)->what, \
                                    sizeof((to)->what) / sizeof(uint64_t))

static void add_helper(struct cpu_profile *sum, const struct profile_helper *h)
{
    const void *fn = __atomic_load_n(&h->fn, __ATOMIC_RELAXED);
    unsigned i = 0;

    while (i < PROFILE_HELPERS && sum->helper[i].fn && sum->helper[i].fn != fn)
        i++;
    sum->helper[i].fn = fn;
    sum->helper[i].calls += __atomic_load_n(&h->calls, __ATOMIC_RELAXED);
    sum->helper[i].ticks += __atomic_load_n(&h->ticks, __ATOMIC_RELAXED);
}

static void add_cpu(struct report *r, const struct cpu_profile *p)
{
    struct cpu_profile *sum = r->sum;
    uint64_t since = __atomic_load_n(&p->since, __ATOMIC_RELAXED), now = profile_ticks(r->t);

    ADD(sum, p, ticks);
    ADD(sum, p, exits);
    ADD(sum, p, misses);
    ADD(sum, p, walks);
    ADD(sum, p, exceptions);
    if (now > since)
        sum->ticks[__atomic_load_n(&p->now, __ATOMIC_RELAXED)] += now - since;
    for (unsigned i = 0; i <= PROFILE_HELPERS; i++)
        if (__atomic_load_n(&p->helper[i].calls, __ATOMIC_RELAXED))
            add_helper(sum, &p->helper[i]);
}

static void subtract(uint64_t *from, const uint64_t *n, size_t count)
{
    for (size_t i = 0; i < count; i++)
        from[i] -= MIN(n[i], from[i]);
}
#define SUBTRACT(from, n, what) subtract((uint64_t *)(from)->what, (const uint64_t *)(n)->what, \
                                         sizeof((from)->what) / sizeof(uint64_t))

/* What had been when counting was restarted. */
static void leave_out(struct cpu_profile *sum, const struct cpu_profile *before)
{
    SUBTRACT(sum, before, ticks);
    SUBTRACT(sum, before, exits);
    SUBTRACT(sum, before, misses);
    SUBTRACT(sum, before, walks);
    SUBTRACT(sum, before, exceptions);
    for (unsigned i = 0; i <= PROFILE_HELPERS; i++)
        for (unsigned k = 0; k <= PROFILE_HELPERS && before->helper[k].calls; k++)
            if (sum->helper[i].fn == before->helper[k].fn) {
                sum->helper[i].calls -= MIN(before->helper[k].calls, sum->helper[i].calls);
                sum->helper[i].ticks -= MIN(before->helper[k].ticks, sum->helper[i].ticks);
            }
}

static int by_insns(const void *a, const void *b)
{
    const struct hot *x = a, *y = b;

    if (x->insns != y->insns)
        return x->insns > y->insns ? -1 : 1;
    return x->b < y->b ? -1 : x->b > y->b;
}

static void collect_blocks(struct report *r)
{
    const struct tcg_profile *p = r->t->profile;

    r->n_hot = p->n_blocks;
    r->hot = xzalloc((p->n_blocks + 1) * sizeof(*r->hot));
    for (uint32_t i = 0; i < p->n_blocks; i++)
        r->hot[i] = (struct hot){ .b = &p->block[i], .runs = p->block[i].runs };
    for (uint32_t i = 0; i < p->n_tbs; i++)
        r->hot[p->of_tb[i]].runs += profile_runs(r->t, i);
    for (uint32_t i = 0; i < p->n_blocks; i++) {
        r->hot[i].runs -= MIN(p->block[i].runs_before, r->hot[i].runs);
        r->hot[i].insns = r->hot[i].runs * r->hot[i].b->n_insns;
        r->insns += r->hot[i].insns;
        r->runs += r->hot[i].runs;
    }
    qsort(r->hot, r->n_hot, sizeof(*r->hot), by_insns);
}

/* ---- sections -------------------------------------------------------------------------- */

static double seconds(const struct report *r, uint64_t ticks)
{
    return (double)ticks * r->ns / 1e9;
}

static void print_times(const struct report *r)
{
    uint64_t busy = 0;

    for (unsigned i = 0; i < PT_COUNT; i++)
        if (i != PT_WAIT)
            busy += r->sum->ticks[i];
    fprintf(r->f, "\nTime of vCPU threads, waiting aside %.3f s\n", seconds(r, busy));
    for (unsigned i = 0; i < PT_COUNT; i++) {
        fprintf(r->f, "  %-28s %10.3f s", time_names[i], seconds(r, r->sum->ticks[i]));
        if (i != PT_WAIT)
            fprintf(r->f, " %5.1f%%", PERCENT(r->sum->ticks[i], busy));
        fputc('\n', r->f);
    }
}

static void print_translation(const struct report *r)
{
    const struct tcg_stats *s = &r->stats;
    double ns = (double)r->sum->ticks[PT_TRANSLATE] * r->ns;

    fprintf(r->f, "\nTranslation: %.3f s, %" PRIu64 " blocks, %" PRIu64 " guest bytes, %.1f ns a guest byte\n",
            ns / 1e9, s->translations, s->guest_bytes, s->guest_bytes ? ns / (double)s->guest_bytes : 0.0);
    fprintf(r->f, "  of code that had been translated before: %" PRIu64 " blocks, %" PRIu64 " guest bytes\n",
            r->again, r->again_bytes);
    fprintf(r->f, "  host bytes %" PRIu64 ", of them out of line %" PRIu64 "; %.1f a guest byte\n", s->host_bytes,
            s->cold_bytes, s->guest_bytes ? (double)s->host_bytes / (double)s->guest_bytes : 0.0);
    fprintf(r->f, "  look-ups by the run loop %" PRIu64 "\n", s->lookups);
}

static void print_counts(const struct report *r, const char *title, const char *const *names,
                         const uint64_t *n, unsigned count)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < count; i++)
        all += n[i];
    fprintf(r->f, "\n%s: %" PRIu64 "\n", title, all);
    for (unsigned i = 0; i < count; i++)
        if (n[i])
            fprintf(r->f, "  %-60s %12" PRIu64 " %5.1f%%\n", names[i], n[i], PERCENT(n[i], all));
}

static void print_misses(const struct report *r)
{
    const uint64_t (*m)[2] = (const uint64_t (*)[2])r->sum->misses;
    uint64_t all = 0;

    for (unsigned i = 0; i < PM_COUNT; i++)
        all += m[i][0] + m[i][1];
    fprintf(r->f, "\nPage-map misses of translated code: %" PRIu64 "%*s reads       writes\n", all, 20, "");
    for (unsigned i = 0; i < PM_COUNT; i++)
        if (m[i][0] + m[i][1])
            fprintf(r->f, "  %-52s %12" PRIu64 " %12" PRIu64 "\n", miss_names[i], m[i][0], m[i][1]);
    fprintf(r->f, "  walks of the guest's page tables, by all: %" PRIu64 " to read, %" PRIu64 " to write, %"
            PRIu64 " to execute\n", r->sum->walks[ACC_READ], r->sum->walks[ACC_WRITE], r->sum->walks[ACC_EXEC]);
}

static int by_ticks(const void *a, const void *b)
{
    const struct profile_helper *x = a, *y = b;

    return x->ticks != y->ticks ? (x->ticks > y->ticks ? -1 : 1) : 0;
}

static void print_helpers(struct report *r)
{
    struct symbols *syms = symbols_open();
    uint64_t calls = 0;

    qsort(r->sum->helper, PROFILE_HELPERS + 1, sizeof(r->sum->helper[0]), by_ticks);
    for (unsigned i = 0; i <= PROFILE_HELPERS; i++)
        calls += r->sum->helper[i].calls;
    fprintf(r->f, "\nHelpers: %" PRIu64 " calls%*s calls   ns each      seconds\n", calls, 25, "");
    for (unsigned i = 0; i <= PROFILE_HELPERS; i++) {
        const struct profile_helper *h = &r->sum->helper[i];
        const char *name = h->fn ? symbols_name(syms, h->fn) : "others";
        char at[24];

        if (!h->calls)
            continue;
        snprintf(at, sizeof(at), "%p", h->fn);
        fprintf(r->f, "  %-34s %12" PRIu64 " %9.1f %12.4f\n", name ? name : at, h->calls,
                (double)h->ticks * r->ns / (double)h->calls, seconds(r, h->ticks));
    }
    symbols_free(syms);
}

static void print_exceptions(const struct report *r)
{
    const struct tcg_target *target = r->t->target;

    fprintf(r->f, "\nGuest exceptions of translated code:");
    for (unsigned i = 0; i < PROFILE_EXCEPTIONS; i++) {
        char name[NAME_CHARS];

        if (!r->sum->exceptions[i])
            continue;
        if (target->exception_name)
            target->exception_name(i, name, sizeof(name));
        else
            snprintf(name, sizeof(name), "%u", i);
        fprintf(r->f, " %s %" PRIu64, name, r->sum->exceptions[i]);
    }
    fputc('\n', r->f);
}

/* ---- blocks ------------------------------------------------------------------------------- */

static void mode_text(const struct report *r, const struct profile_block *b, char *buf)
{
    const struct tcg_target *target = r->t->target;

    if (target->mode_name)
        target->mode_name(b->mode, buf, NAME_CHARS);
    else
        snprintf(buf, NAME_CHARS, "%#x", b->mode);
}

static void print_blocks(const struct report *r, unsigned top)
{
    char mode[NAME_CHARS];

    fprintf(r->f, "\nBlocks by heat: %u pieces of code, %" PRIu64 " runs, %" PRIu64 " instructions as if each run "
            "came to its end\n", r->n_hot, r->runs, r->insns);
    fprintf(r->f, "  %-18s %-14s %14s %6s %6s %6s %6s %6s %8s\n", "guest address", "mode", "runs", "insns",
            "bytes", "host", "+cold", "made", "share");
    for (uint32_t i = 0; i < MIN(top, r->n_hot) && r->hot[i].runs; i++) {
        const struct profile_block *b = r->hot[i].b;

        mode_text(r, b, mode);
        fprintf(r->f, "  0x%016" PRIx64 " %-14s %14" PRIu64 " %6u %6u %6u %6u %6u %7.2f%%\n", b->lin, mode,
                r->hot[i].runs, b->n_insns, b->len, b->host_bytes, b->cold_bytes, b->translations,
                PERCENT(r->hot[i].insns, r->insns));
    }
}

static void print_code(const struct report *r, const struct hot *h)
{
    const struct profile_block *b = h->b;
    struct tb_key k = { .mode = b->mode };
    char mode[NAME_CHARS];

    mode_text(r, b, mode);
    fprintf(r->f, "\n0x%016" PRIx64 " %s, %" PRIu64 " runs, %.2f%%\n", b->lin, mode, h->runs,
            PERCENT(h->insns, r->insns));
    tcg_disas(r->f, b->bytes, b->len, b->lin, r->t->target->disas_bits(&k));
    if (!b->tb || !r->t->host)
        return;
    fprintf(r->f, "  -- host code\n");
    tcg_disas(r->f, b->tb->code, b->tb->code_len, (uintptr_t)b->tb->code, 0);
}

/* Under the profile's lock: everything since the translator was made. */
static void add_up(struct report *r)
{
    r->sum = xzalloc(sizeof(*r->sum));
    for (const struct tcg_cpu *cpu = r->t->cpus; cpu; cpu = cpu->next)
        if (cpu->prof)
            add_cpu(r, cpu->prof);
    r->stats = *tcg_get_stats(r->t);
    r->again = r->t->profile->again;
    r->again_bytes = r->t->profile->again_bytes;
}

bool tcg_profile_restart(struct tcg *t)
{
    struct report r = { .t = t };
    struct tcg_profile *p = t->profile;

    if (!p)
        return false;
    pthread_mutex_lock(&p->lock);
    add_up(&r);
    free(p->before);
    p->before = r.sum;
    p->stats_before = r.stats;
    p->again = p->again_bytes = 0;
    for (uint32_t i = 0; i < p->n_blocks; i++)
        p->block[i].runs_before = p->block[i].runs;
    for (uint32_t i = 0; i < p->n_tbs; i++)
        p->block[p->of_tb[i]].runs_before += profile_runs(t, i);
    p->start_ticks = profile_ticks(t);
    p->start_ns = host_monotonic_ns();
    pthread_mutex_unlock(&p->lock);
    return true;
}

bool tcg_profile_report(struct tcg *t, FILE *f, unsigned top, unsigned disas)
{
    struct report r = { .t = t, .f = f };
    struct tcg_profile *p = t->profile;

    if (!p)
        return false;
    pthread_mutex_lock(&p->lock);
    double ticks = (double)(profile_ticks(t) - p->start_ticks), ns = (double)(host_monotonic_ns() - p->start_ns);
    r.ns = ticks > 0 ? ns / ticks : 1;
    add_up(&r);
    if (p->before) {
        leave_out(r.sum, p->before);
        subtract((uint64_t *)&r.stats, (const uint64_t *)&p->stats_before, sizeof(r.stats) / sizeof(uint64_t));
    }
    collect_blocks(&r);
    fprintf(f, "Transom: where the time went, %.3f s of the host's clock\n", ns / 1e9);
    print_times(&r);
    print_translation(&r);
    print_counts(&r, "Exits to the run loop", exit_names, r.sum->exits, PX_COUNT);
    print_exceptions(&r);
    print_misses(&r);
    print_helpers(&r);
    print_counts(&r, "Blocks dropped", drop_names, r.stats.dropped, TCG_DROP_COUNT);
    print_counts(&r, "Code cache emptied", flush_names, r.stats.flushed, TCG_FLUSH_COUNT);
    print_blocks(&r, top);
    for (uint32_t i = 0; i < MIN(disas, r.n_hot) && r.hot[i].runs; i++)
        print_code(&r, &r.hot[i]);
    pthread_mutex_unlock(&p->lock);
    free(r.hot);
    free(r.sum);
    return true;
}
