/*
 * outside.c - what comes from outside: observed, and in its turn
 */
#include <stdlib.h>
#include "hw/outside.h"

#define WAITING_MAX (8 * MiB)

/** struct outside_waiting - an event that waits for its turn; its data is behind the struct */
struct outside_waiting {
    struct outside_waiting *next;
    struct outside_event ev;
    void (*happen)(void *target, const struct outside_event *ev);
    void *target;
};

void outside_init(struct machine *m)
{
    m->outside = xzalloc(sizeof *m->outside);
    m->outside->tail = &m->outside->head;
}

void outside_free(struct machine *m)
{
    for (struct outside_waiting *w = m->outside->head, *next; w; w = next) {
        next = w->next;
        free(w);
    }
    free(m->outside);
}

bool outside_counted(const struct machine *m)
{
    return m->outside->turns != NULL;
}

/* ---- observing -------------------------------------------------------------------------- */

static void observe(struct machine *m, struct outside_event *ev)
{
    const struct outside *o = m->outside;

    if (!o->observe)
        return;
    ev->insns = o->turns ? o->turns->count(o->turns_opaque) : 0;
    o->observe(o->observe_opaque, ev);
}

uint64_t outside_value_observed(struct machine *m, enum outside_kind kind, int64_t which, uint64_t v)
{
    struct outside_event ev = { .kind = kind, .arg = { which, (int64_t)v } };

    machine_lock(m);
    observe(m, &ev);
    machine_unlock(m);
    return (uint64_t)ev.arg[1];
}

uint64_t outside_entropy(struct machine *m, uint64_t v)
{
    const struct outside *o = m->outside;

    return outside_value(m, OUTSIDE_ENTROPY, 0, o->turns ? o->turns->random(o->turns_opaque) : v);
}

/* clock.host */
static int64_t host_clock(void *opaque, int64_t ns)
{
    return (int64_t)outside_value(opaque, OUTSIDE_TIME, OUTSIDE_CLOCK, (uint64_t)ns);
}

void outside_observe(struct machine *m, void (*observe)(void *opaque, struct outside_event *ev), void *opaque)
{
    m->outside->observe = observe;
    m->outside->observe_opaque = opaque;
    m->clock.host = observe ? host_clock : NULL;
    m->clock.host_opaque = m;
}

void outside_tell(struct machine *m, const struct outside_event *ev)
{
    struct outside_event copy;

    if (likely(!m->outside->observe))
        return;
    copy = *ev;
    observe(m, &copy);
}

/* ---- events -------------------------------------------------------------------------------- */

static void put_off(struct outside *o, const struct outside_event *ev,
                    void (*happen)(void *target, const struct outside_event *ev), void *target)
{
    struct outside_waiting *w = xmalloc(sizeof *w + ev->len);

    *w = (struct outside_waiting){ .ev = *ev, .happen = happen, .target = target };
    if (ev->len)
        w->ev.data = memcpy(w + 1, ev->data, ev->len);
    *o->tail = w;
    o->tail = &w->next;
    o->waiting_bytes += sizeof *w + ev->len;
}

bool outside_post(struct machine *m, const struct outside_event *ev,
                  void (*happen)(void *target, const struct outside_event *ev), void *target)
{
    struct outside *o = m->outside;

    if (!o->turns || o->turns->ours(o->turns_opaque)) {
        outside_tell(m, ev);
        happen(target, ev);
        return true;
    }
    if (o->waiting_bytes + ev->len > WAITING_MAX)
        return false;
    put_off(o, ev, happen, target);
    o->turns->wake(o->turns_opaque);
    return true;
}

/* Takes @w, to which *@p points, out of the queue. */
static void take_out(struct outside *o, struct outside_waiting **p, struct outside_waiting *w)
{
    *p = w->next;
    if (!*p)
        o->tail = p;
    o->waiting_bytes -= sizeof *w + w->ev.len;
}

void outside_run(struct machine *m)
{
    struct outside *o = m->outside;
    struct outside_waiting *w;

    while ((w = o->head)) {
        take_out(o, &o->head, w);
        outside_tell(m, &w->ev);
        w->happen(w->target, &w->ev);
        free(w);
    }
}

size_t outside_waiting(const struct machine *m, const void *target)
{
    size_t n = 0;

    for (const struct outside_waiting *w = m->outside->head; w; w = w->next)
        n += w->target == target ? w->ev.len : 0;
    return n;
}

void outside_forget(struct machine *m, const void *target)
{
    struct outside_waiting **p = &m->outside->head, *w;

    while ((w = *p)) {
        if (w->target != target) {
            p = &w->next;
            continue;
        }
        take_out(m->outside, p, w);
        free(w);
    }
}
