/* clock.c - virtual time and timers, on a stepped clock */
#include <criterion/criterion.h>
#include "util/util.h"

struct ticker {
    struct timer t;
    struct clock *c;
    int64_t at[8];
    int n, period;
};

static void tick(void *opaque)
{
    struct ticker *k = opaque;

    if (k->n < 8)
        k->at[k->n++] = clock_now_ns(k->c);
    if (k->period)
        timer_mod(&k->t, k->t.deadline_ns + k->period);
}

Test(clock, stepped_stands)
{
    struct clock c;
    struct timer_list l;

    clock_init_stepped(&c);
    timer_list_init(&l, &c);
    cr_assert_eq(clock_now_ns(&c), 0);
    clock_step(&c, &l, 77);
    cr_assert_eq(clock_now_ns(&c), 77);
    cr_assert_eq(timer_list_run(&l), -1);
}

Test(clock, timers_run_at_their_deadlines)
{
    struct clock c;
    struct timer_list l;
    struct ticker a = { .c = &c, .period = 10 }, b = { .c = &c };

    clock_init_stepped(&c);
    timer_list_init(&l, &c);
    timer_init(&a.t, &l, tick, &a);
    timer_init(&b.t, &l, tick, &b);
    timer_mod(&a.t, 10);
    timer_mod(&b.t, 15);
    clock_step(&c, &l, 35);
    cr_assert_eq(a.n, 3);
    cr_assert_eq(a.at[0], 10);
    cr_assert_eq(a.at[2], 30);
    cr_assert_eq(b.n, 1);
    cr_assert_eq(b.at[0], 15);
    cr_assert_eq(clock_now_ns(&c), 35);
    cr_assert_eq(timer_list_run(&l), 5);
    timer_del(&a.t);
    timer_del(&a.t);
    clock_step(&c, &l, 100);
    cr_assert_eq(a.n, 3);
}

static void count(void *opaque)
{
    ++*(int *)opaque;
}

Test(clock, notify_only_for_an_earlier_head)
{
    struct clock c;
    struct timer_list l;
    struct timer t, u;
    int told = 0, fired = 0;

    clock_init_stepped(&c);
    timer_list_init(&l, &c);
    l.notify = count;
    l.notify_opaque = &told;
    timer_init(&t, &l, count, &fired);
    timer_init(&u, &l, count, &fired);
    timer_mod(&t, 100);
    cr_assert_eq(told, 1);
    timer_mod(&u, 200);
    cr_assert_eq(told, 1);
    timer_mod(&u, 50);
    cr_assert_eq(told, 2);
    clock_step(&c, &l, 60);
    cr_assert_eq(fired, 1);
    cr_assert(!u.queued && t.queued);
}

/* A timer that always queues itself in the past must not hold the lock for ever. */
Test(clock, run_is_bounded)
{
    struct clock c;
    struct timer_list l;
    struct ticker a = { .c = &c, .period = 1 };

    clock_init_stepped(&c);
    timer_list_init(&l, &c);
    timer_init(&a.t, &l, tick, &a);
    c.stopped_at_ns = 1000000000;
    timer_mod(&a.t, 0);
    cr_assert_eq(timer_list_run(&l), 0);
    cr_assert(a.t.queued);
}

Test(clock, pause_and_resume)
{
    struct clock c;
    int64_t at;

    clock_init_running(&c);
    clock_pause(&c);
    at = clock_now_ns(&c);
    cr_assert_geq(at, 0);
    cr_assert_eq(clock_now_ns(&c), at);
    clock_resume(&c);
    cr_assert(c.running);
    cr_assert_geq(clock_now_ns(&c), at);
}

Test(clock, prompt_timers_run_without_the_others)
{
    struct clock c;
    struct timer_list l;
    struct ticker a = { .c = &c, .period = 10 }, b = { .c = &c }, late = { .c = &c };

    clock_init_stepped(&c);
    timer_list_init(&l, &c);
    timer_init(&a.t, &l, tick, &a);
    timer_init(&b.t, &l, tick, &b);
    timer_init(&late.t, &l, tick, &late);
    a.t.prompt = late.t.prompt = true;
    timer_mod(&a.t, 10);
    timer_mod(&b.t, 5);
    timer_mod(&late.t, 100);
    c.stopped_at_ns = 30;
    timer_list_run_prompt(&l);
    cr_assert_eq(a.n, 3, "also those that its callback queues");
    cr_assert_eq(b.n, 0);
    cr_assert_eq(late.n, 0, "not due");
    timer_list_run(&l);
    cr_assert_eq(b.n, 1);
}
