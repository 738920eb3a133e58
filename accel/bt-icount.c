/*
 * bt-icount.c - time that is counted in instructions (-icount)
 *
 * The machine's clock stands at bias + (count << shift) and is brought there whenever devices
 * are about to look: at each access of the vCPU to them and when timers are run. Timers are run by
 * the vCPU's thread, between the instructions where their time has come: the translator counts
 * down to there and leaves (tcg/count.c). A halted vCPU goes on at the next timer's time, which the
 * bias absorbs; with sleep=on the thread waits as long meanwhile.
 *
 * So a run is a function of what the machine starts with, as long as nothing else comes from
 * outside: hw/outside.h has the rest.
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <time.h>
#include "accel/bt-int.h"
#include "accel/bt-icount.h"
#include "hw/outside.h"

#define NS_PER_S 1000000000ll
#define SLICE (1u << 24)         /* instructions between two looks when there is no timer */
#define ADAPT_NS 100000000ll     /* shift=auto: how often, in the guest's time */

/* ---- time ---------------------------------------------------------------------------- */

static int64_t ns_at(const struct bt_icount *ic, uint64_t count)
{
    return ic->bias_ns + (int64_t)((count - ic->from) << ic->shift);
}

/* The count at which the clock is not before @ns any more. */
static uint64_t count_at(const struct bt_icount *ic, int64_t ns)
{
    int64_t left = ns - ic->bias_ns;

    return left <= 0 ? 0 : ic->from + ((uint64_t)(left + (1ll << ic->shift) - 1) >> ic->shift);
}

static struct tcg_cpu *the_cpu(struct bt *bt)
{
    return &bt->cpus[0].ac.cpu->tcg;
}

int64_t bt_icount_ns(struct bt *bt)
{
    return ns_at(bt->icount, tcg_count(the_cpu(bt)));
}

uint64_t bt_icount_tsc(struct bt *bt)
{
    return (uint64_t)((unsigned __int128)bt_icount_ns(bt) * bt->a->model.tsc_hz / NS_PER_S);
}

/* Machine lock held; the vCPU's thread, or it stands still. */
static void set_clock(struct bt *bt)
{
    bt->m->clock.stopped_at_ns = MAX(bt_icount_ns(bt), bt->m->clock.stopped_at_ns);
}

/* Run up to the first timer, state hash or end; at most a slice. */
static void set_budget(struct bt *bt)
{
    const struct bt_icount *ic = bt->icount;
    const struct timer *t = bt->m->timers.head;
    uint64_t end = tcg_count(the_cpu(bt)) + SLICE;

    if (t)
        end = MIN(end, count_at(ic, t->deadline_ns));
    if (bt->trace)
        end = MIN(end, tcg_count(the_cpu(bt)) + bt_trace_room(bt));
    if (ic->hash)
        end = MIN(end, ic->next_hash);
    if (ic->opt.stop_at)
        end = MIN(end, ic->opt.stop_at);
    tcg_count_until(the_cpu(bt), end);
}

void bt_icount_enter(struct bt_cpu *c)
{
    machine_lock(c->bt->m);
    set_clock(c->bt);
}

void bt_icount_leave(struct bt_cpu *c)
{
    set_budget(c->bt);
    machine_unlock(c->bt->m);
}

/* ---- against the host's clock ------------------------------------------------------------ */

/* The guest's time goes on from here at another rate. */
static void rebase(struct bt_icount *ic, uint64_t count, int64_t ns)
{
    ic->bias_ns = ns;
    ic->from = count;
}

/* shift=auto: as many instructions in the guest's second as in the host's, within a factor of two */
static void adapt(struct bt *bt)
{
    struct bt_icount *ic = bt->icount;
    uint64_t count = tcg_count(the_cpu(bt));
    int64_t ns = ns_at(ic, count), host = host_monotonic_ns(), ahead;

    if (ns - ic->adapted_ns < ADAPT_NS)
        return;
    ahead = (ns - ic->adapted_ns) - (host - ic->adapted_host_ns);
    rebase(ic, count, ns);
    if (ahead > (ns - ic->adapted_ns) / 2 && ic->shift > 0)
        ic->shift--;
    else if (-ahead > ns - ic->adapted_ns && ic->shift < ICOUNT_SHIFT_MAX)
        ic->shift++;
    ic->shift = (uint8_t)outside_value(bt->m, OUTSIDE_TIME, OUTSIDE_RATE, ic->shift);
    ic->adapted_ns = ns;
    ic->adapted_host_ns = host;
}

/* Wait @ns of the host's time (-1: for ever), or until something is asked of the vCPU.
 * Returns how long: @ns when nothing was. */
static int64_t doze(struct bt_cpu *c, int64_t ns)
{
    int64_t start = host_monotonic_ns(), left = ns;
    struct timespec until;
    bool woken;

    clock_gettime(CLOCK_REALTIME, &until);
    left += until.tv_nsec;
    until.tv_sec += left / NS_PER_S;
    until.tv_nsec = left % NS_PER_S;
    pthread_mutex_lock(&c->ac.lock);
    __atomic_store_n(&c->ac.sleeping, 1, __ATOMIC_SEQ_CST);
    while (!(woken = __atomic_load_n(&c->ac.vcpu.intr, __ATOMIC_SEQ_CST) || c->bt->icount->woken))
        if (ns < 0)
            pthread_cond_wait(&c->ac.wake, &c->ac.lock);
        else if (pthread_cond_timedwait(&c->ac.wake, &c->ac.lock, &until) == ETIMEDOUT)
            break;
    __atomic_store_n(&c->ac.sleeping, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&c->ac.lock);
    if (!woken)
        return ns;
    return ns < 0 ? host_monotonic_ns() - start : MIN(ns, host_monotonic_ns() - start);
}

/* align=on: the guest does not run ahead */
static void align(struct bt_cpu *c)
{
    struct bt_icount *ic = c->bt->icount;
    int64_t ahead = (bt_icount_ns(c->bt) - ic->start_ns) - (host_monotonic_ns() - ic->start_host_ns);
    struct timespec ts = { .tv_sec = ahead / NS_PER_S, .tv_nsec = ahead % NS_PER_S };

    if (ahead > 0)
        nanosleep(&ts, NULL);
}

/* ---- running ------------------------------------------------------------------------------- */

/* What is due, and what has come from outside. Machine lock held. */
static void run_due(struct bt *bt)
{
    struct bt_cpu *c = &bt->cpus[0];

    pthread_mutex_lock(&c->ac.lock);
    bt->icount->woken = false;
    pthread_mutex_unlock(&c->ac.lock);
    set_clock(bt);
    while (timer_list_run(&bt->m->timers) == 0)
        ;
    outside_run(bt->m);
}

static void end_here(struct bt *bt)
{
    accel_stop_self(&bt->cpus[0].ac);
    machine_request_shutdown(bt->m, CAUSE_MONITOR, 0);
}

void bt_icount_before(struct bt_cpu *c)
{
    struct bt *bt = c->bt;
    struct bt_icount *ic = bt->icount;
    uint64_t count = tcg_count(&c->ac.cpu->tcg);

    if (ic->hash && count >= ic->next_hash) {
        bt_hash_write(ic->hash, bt, count);
        ic->next_hash = count - count % ic->opt.hash_every + ic->opt.hash_every;
    }
    if (ic->opt.stop_at && count >= ic->opt.stop_at) {
        end_here(bt);
        return;
    }
    machine_lock(bt->m);
    run_due(bt);
    machine_unlock(bt->m);
    if (ic->opt.automatic)
        adapt(bt);
    if (ic->opt.align)
        align(c);
}

void bt_icount_after(struct bt_cpu *c)
{
    machine_lock(c->bt->m);
    set_budget(c->bt);
    machine_unlock(c->bt->m);
}

/* ns to the first timer; -1: there is none */
static int64_t to_timer(struct bt *bt)
{
    const struct timer *t;
    int64_t ns = -1;

    machine_lock(bt->m);
    t = bt->m->timers.head;
    if (t)
        ns = MAX(t->deadline_ns - bt_icount_ns(bt), 0);
    machine_unlock(bt->m);
    return ns;
}

/*
 * How far the clock goes on for a CPU that waits up to @ns for a timer (-1: there is none). What comes from
 * outside ends the wait, and only it takes its time then: a look at the machine does not.
 */
static int64_t wait_ns(struct bt_cpu *c, int64_t ns)
{
    const struct bt_icount *ic = c->bt->icount;
    int64_t waited = ns;

    if (ns < 0 || (ns > 0 && ic->opt.sleep))
        waited = doze(c, ns);
    if (waited == ns)
        return ns;
    if (!ic->woken || !ic->opt.sleep)
        return 0;
    return (int64_t)outside_value(c->bt->m, OUTSIDE_TIME, OUTSIDE_WAITED, (uint64_t)waited);
}

/* A CPU that waits goes on when a timer's time has come: at once, or with sleep=on in as much of the host's time. */
void bt_icount_halt(struct bt_cpu *c)
{
    struct bt *bt = c->bt;

    while (!__atomic_load_n(&c->ac.vcpu.intr, __ATOMIC_SEQ_CST)) {
        int64_t ns = wait_ns(c, to_timer(bt));

        machine_lock(bt->m);
        bt->icount->bias_ns += ns;
        run_due(bt);
        machine_unlock(bt->m);
    }
}

/* ---- others -------------------------------------------------------------------------------- */

/* Something is to be done on the vCPU's thread. Its own accesses end in set_budget() anyway. */
static void wake(void *opaque)
{
    struct bt *bt = opaque;
    struct bt_cpu *c = &bt->cpus[0];

    if (accel_self(&c->ac))
        return;
    pthread_mutex_lock(&c->ac.lock);
    bt->icount->woken = true;
    pthread_cond_signal(&c->ac.wake);
    pthread_mutex_unlock(&c->ac.lock);
    tcg_kick(&c->ac.cpu->tcg);
}

static bool ours(void *opaque)
{
    struct bt *bt = opaque;

    return accel_self(&bt->cpus[0].ac);
}

static uint64_t count(void *opaque)
{
    return tcg_count(the_cpu(opaque));
}

/* SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators). */
static uint64_t next_random(void *opaque)
{
    struct bt *bt = opaque;
    uint64_t z = bt->icount->random += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static const struct outside_turns turns = { .ours = ours, .wake = wake, .count = count, .random = next_random };

/* ---- life ------------------------------------------------------------------------------------ */

int bt_icount_new(struct bt *bt, const struct icount_options *o, struct err *e)
{
    struct bt_icount *ic;
    int ret = 0;

    if (bt->n_cpus > 1)
        return err_set(e, -ENOTSUP, "-icount: one vCPU only (-smp 1)");
    ic = bt->icount = xzalloc(sizeof *ic);
    ic->opt = *o;
    ic->shift = o->shift;
    ic->next_hash = o->hash_every;
    bt->m->clock.by_count = true;
    bt->m->clock.stopped_at_ns = 0;      /* not what the host took to come here */
    bt->m->outside->turns = &turns;
    bt->m->outside->turns_opaque = bt;
    if (o->hash_file || bt->a->opt.verify.shared)
        ret = bt_hash_new(&ic->hash, bt, o->hash_file, e);
    return ret;
}

void bt_icount_start(struct bt *bt)
{
    struct bt_icount *ic = bt->icount;

    bt->m->timers.notify = wake;
    bt->m->timers.notify_opaque = bt;
    ic->start_host_ns = ic->adapted_host_ns = host_monotonic_ns();
    ic->start_ns = ic->adapted_ns = bt_icount_ns(bt);
}

void bt_icount_free(struct bt *bt)
{
    if (bt->icount)
        bt_hash_free(bt->icount->hash, bt);
    free(bt->icount);
    bt->icount = NULL;
}
