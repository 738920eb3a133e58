/*
 * clock.c - guest virtual time and one-shot timers
 *
 * A stepped clock is a clock that is never resumed: it stands, and only
 * clock_step() moves it.
 */
#include <time.h>
#include "util/util.h"

/* A callback may queue itself again in the past; give the lock back now and then. */
#define TIMERS_PER_RUN 256

int64_t host_monotonic_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static int64_t host_ns(const struct clock *c)
{
    int64_t ns = host_monotonic_ns();

    return c->host ? c->host(c->host_opaque, ns) : ns;
}

void clock_init_running(struct clock *c)
{
    *c = (struct clock){ .offset_ns = -host_monotonic_ns(), .running = true };
}

void clock_init_stepped(struct clock *c)
{
    *c = (struct clock){ 0 };
}

int64_t clock_now_ns(const struct clock *c)
{
    return c->running ? host_ns(c) + c->offset_ns : c->stopped_at_ns;
}

void clock_pause(struct clock *c)
{
    c->stopped_at_ns = clock_now_ns(c);
    c->running = false;
}

void clock_resume(struct clock *c)
{
    if (c->running || c->by_count)
        return;
    c->offset_ns = c->stopped_at_ns - host_ns(c);
    c->running = true;
}

void timer_list_init(struct timer_list *l, struct clock *c)
{
    *l = (struct timer_list){ .clock = c };
}

void timer_init(struct timer *t, struct timer_list *l, void (*cb)(void *), void *opaque)
{
    *t = (struct timer){ .list = l, .cb = cb, .opaque = opaque };
}

void timer_del(struct timer *t)
{
    struct timer **p;

    if (!t->queued)
        return;
    for (p = &t->list->head; *p != t; p = &(*p)->next)
        ;
    *p = t->next;
    t->queued = false;
}

void timer_mod(struct timer *t, int64_t deadline_ns)
{
    struct timer_list *l = t->list;
    struct timer **p;

    timer_del(t);
    t->deadline_ns = deadline_ns;
    /* equal deadlines run in the order in which they were set */
    for (p = &l->head; *p && (*p)->deadline_ns <= deadline_ns; p = &(*p)->next)
        ;
    t->next = *p;
    *p = t;
    t->queued = true;
    if (l->head == t && l->notify)
        l->notify(l->notify_opaque);
}

static void run_head(struct timer_list *l)
{
    struct timer *t = l->head;

    l->head = t->next;
    t->queued = false;
    t->cb(t->opaque);
}

int64_t timer_list_run(struct timer_list *l)
{
    int64_t now = clock_now_ns(l->clock);
    int64_t left;

    for (int n = 0; l->head && l->head->deadline_ns <= now && n < TIMERS_PER_RUN; n++)
        run_head(l);
    if (!l->head)
        return -1;
    left = l->head->deadline_ns - clock_now_ns(l->clock);
    return MAX(left, 0);
}

void timer_list_run_prompt(struct timer_list *l)
{
    int64_t now = clock_now_ns(l->clock);

    for (int n = 0; n < TIMERS_PER_RUN; n++) {
        struct timer *t = l->head;

        while (t && t->deadline_ns <= now && !t->prompt)
            t = t->next;
        if (!t || t->deadline_ns > now)
            return;
        timer_del(t);
        t->cb(t->opaque);
    }
}

void clock_step(struct clock *c, struct timer_list *l, int64_t ns)
{
    int64_t target = c->stopped_at_ns + ns;

    assert(!c->running);
    while (l->head && l->head->deadline_ns <= target) {
        c->stopped_at_ns = MAX(c->stopped_at_ns, l->head->deadline_ns);
        run_head(l);
    }
    c->stopped_at_ns = target;
}
