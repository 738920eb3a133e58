/* loop.c - descriptors and wake-ups */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>
#include "util/util.h"

struct seen {
    struct loop *l;
    int calls, other, locked, was_locked;
};

static void on_ready(void *opaque, int fd, short revents)
{
    struct seen *s = opaque;
    char c;

    s->calls++;
    s->was_locked = s->locked;
    if (revents & POLLIN)
        cr_assert_eq(read(fd, &c, 1), 1);
}

static void on_ready_del_other(void *opaque, int fd, short revents)
{
    struct seen *s = opaque;

    on_ready(opaque, fd, revents);
    loop_del_fd(s->l, s->other);
}

static void lock_it(void *opaque) { ((struct seen *)opaque)->locked++; }
static void unlock_it(void *opaque) { ((struct seen *)opaque)->locked--; }

Test(loop, callback_and_lock)
{
    struct seen s = { .l = loop_new() };
    int p[2];

    cr_assert_eq(pipe(p), 0);
    loop_add_fd(s.l, p[0], POLLIN, on_ready, &s);
    loop_run_once(s.l, 0, lock_it, unlock_it, &s);
    cr_assert_eq(s.calls, 0);
    cr_assert_eq(write(p[1], "xy", 2), 2);
    loop_run_once(s.l, -1, lock_it, unlock_it, &s);
    cr_assert_eq(s.calls, 1);
    cr_assert_eq(s.was_locked, 1);
    cr_assert_eq(s.locked, 0);
    loop_del_fd(s.l, p[0]);
    loop_run_once(s.l, 0, NULL, NULL, NULL);
    cr_assert_eq(s.calls, 1);
    loop_free(s.l);
}

Test(loop, removed_by_an_earlier_callback)
{
    struct seen s = { .l = loop_new() }, t = { .l = s.l };
    int p[2], q[2];

    cr_assert_eq(pipe(p), 0);
    cr_assert_eq(pipe(q), 0);
    s.other = q[0];
    loop_add_fd(s.l, p[0], POLLIN, on_ready_del_other, &s);
    loop_add_fd(s.l, q[0], POLLIN, on_ready, &t);
    cr_assert_eq(write(p[1], "x", 1), 1);
    cr_assert_eq(write(q[1], "x", 1), 1);
    loop_run_once(s.l, -1, NULL, NULL, NULL);
    cr_assert_eq(s.calls, 1);
    cr_assert_eq(t.calls, 0);
    loop_free(s.l);
}

Test(loop, resting_descriptor_does_not_spin)
{
    struct seen s = { .l = loop_new() };
    int p[2];

    cr_assert_eq(pipe(p), 0);
    loop_add_fd(s.l, p[0], 0, on_ready, &s);
    close(p[1]); /* POLLHUP from now on */
    loop_run_once(s.l, 0, NULL, NULL, NULL);
    cr_assert_eq(s.calls, 0);
    loop_free(s.l);
}

static void *waker(void *l)
{
    loop_wake(l);
    return NULL;
}

Test(loop, wake_from_a_thread, .timeout = 300)
{
    struct loop *l = loop_new();
    pthread_t t;

    cr_assert_eq(pthread_create(&t, NULL, waker, l), 0);
    loop_run_once(l, -1, NULL, NULL, NULL); /* hangs if the wake is lost */
    pthread_join(t, NULL);
    loop_free(l);
}

static void *adder(void *opaque)
{
    struct seen *s = opaque;

    loop_add_fd(s->l, s->other, POLLIN, on_ready, s);
    return NULL;
}

Test(loop, add_while_waiting, .timeout = 300)
{
    struct seen s = { .l = loop_new() };
    pthread_t t;
    int p[2];

    cr_assert_eq(pipe(p), 0);
    cr_assert_eq(write(p[1], "x", 1), 1);
    s.other = p[0];
    cr_assert_eq(pthread_create(&t, NULL, adder, &s), 0);
    while (!s.calls)
        loop_run_once(s.l, -1, NULL, NULL, NULL);
    pthread_join(t, NULL);
    loop_free(s.l);
}
