/*
 * range.c - locks on byte ranges of a medium
 *
 * Requests that may change where a guest range lives (allocation, discard,
 * copy on write) hold it exclusively, all others shared; so that space which
 * one request gives back is never still being read or written by another.
 * Entries queue in order of arrival; one is granted when no earlier entry
 * conflicts, hence nobody starves. The list is as long as there are requests.
 */
#include "block/block-int.h"

void range_init(struct range_lock *l)
{
    pthread_mutex_init(&l->m, NULL);
    pthread_cond_init(&l->c, NULL);
    l->head = NULL;
    l->tail = &l->head;
    l->waiting = 0;
}

void range_destroy(struct range_lock *l)
{
    assert(!l->head);
    pthread_cond_destroy(&l->c);
    pthread_mutex_destroy(&l->m);
}

/* an entry before @r (or any, when @r is not in the list) that conflicts */
static bool blocked(struct range_lock *l, const struct range *r)
{
    for (struct range *x = l->head; x && x != r; x = x->next)
        if (x->start < r->end && r->start < x->end && (x->excl || r->excl))
            return true;
    return false;
}

static void append(struct range_lock *l, struct range *r)
{
    r->next = NULL;
    *l->tail = r;
    l->tail = &r->next;
}

/** range_take() - wait for [@start, @end); @r is the caller's until range_drop() */
void range_take(struct range_lock *l, struct range *r, uint64_t start, uint64_t end, bool excl)
{
    r->start = start;
    r->end = end;
    r->excl = excl;
    pthread_mutex_lock(&l->m);
    append(l, r);
    while (blocked(l, r)) {
        l->waiting++;
        pthread_cond_wait(&l->c, &l->m);
        l->waiting--;
    }
    pthread_mutex_unlock(&l->m);
}

/** range_try() - as range_take(), but false instead of waiting */
bool range_try(struct range_lock *l, struct range *r, uint64_t start, uint64_t end, bool excl)
{
    bool ok;

    r->start = start;
    r->end = end;
    r->excl = excl;
    pthread_mutex_lock(&l->m);
    ok = !blocked(l, r);
    if (ok)
        append(l, r);
    pthread_mutex_unlock(&l->m);
    return ok;
}

/** range_drop() - give it back; any thread */
void range_drop(struct range_lock *l, struct range *r)
{
    struct range **p;

    pthread_mutex_lock(&l->m);
    for (p = &l->head; *p != r; p = &(*p)->next)
        assert(*p);
    *p = r->next;
    if (!r->next)
        l->tail = p;
    if (l->waiting)
        pthread_cond_broadcast(&l->c);
    pthread_mutex_unlock(&l->m);
}
