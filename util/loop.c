/*
 * loop.c - the main thread's event loop: poll(2) and an eventfd
 *
 * The set of descriptors has a lock of its own, because devices change it
 * from vCPU threads while the main thread waits without the machine lock.
 * Callbacks run without that lock and may add and remove any descriptor:
 * after the wait each ready one is looked up again, by number and by the
 * serial of its registration, so that a descriptor closed and reused by an
 * earlier callback does not receive its predecessor's event.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "util/util.h"

struct loop_fd {
    int fd;
    short events;
    uint64_t serial;
    void (*cb)(void *opaque, int fd, short revents);
    void *opaque;
};

struct loop {
    pthread_mutex_t lock;  /* everything below */
    struct loop_fd *fds;
    size_t n_fds;
    uint64_t next_serial;
    bool waiting;          /* the runner is in poll with an older set */
    int wake_fd;           /* constant */
    /* the runner's own: what it waits for */
    struct pollfd *polls;
    uint64_t *serials;
    size_t n_polls;
};

/**
 * loop_new() - a loop without descriptors
 * Never NULL: a host that has no eventfd left ends the process.
 */
struct loop *loop_new(void)
{
    struct loop *l = xzalloc(sizeof(*l));

    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake_fd < 0) {
        perror("transom: eventfd");
        exit(1);
    }
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

/** loop_free() - descriptors stay open, they are their owners' */
void loop_free(struct loop *l)
{
    if (!l)
        return;
    close(l->wake_fd);
    pthread_mutex_destroy(&l->lock);
    free(l->fds);
    free(l->polls);
    free(l->serials);
    free(l);
}

static struct loop_fd *find_fd(struct loop *l, int fd)
{
    for (size_t i = 0; i < l->n_fds; i++)
        if (l->fds[i].fd == fd)
            return &l->fds[i];
    return NULL;
}

void loop_wake(struct loop *l)
{
    uint64_t one = 1;
    int saved = errno; /* we may be in a signal handler */

    if (write(l->wake_fd, &one, sizeof(one)) < 0) {
        /* EAGAIN: the counter is full, so a wake is pending anyway */
    }
    errno = saved;
}

void loop_add_fd(struct loop *l, int fd, short events,
                 void (*cb)(void *opaque, int fd, short revents), void *opaque)
{
    struct loop_fd *f;

    pthread_mutex_lock(&l->lock);
    f = find_fd(l, fd);
    if (!f) {
        l->fds = xrealloc(l->fds, (l->n_fds + 1) * sizeof(*l->fds));
        f = &l->fds[l->n_fds++];
        f->serial = l->next_serial++;
    }
    f->fd = fd;
    f->events = events;
    f->cb = cb;
    f->opaque = opaque;
    if (l->waiting)
        loop_wake(l);
    pthread_mutex_unlock(&l->lock);
}

void loop_del_fd(struct loop *l, int fd)
{
    struct loop_fd *f;

    pthread_mutex_lock(&l->lock);
    f = find_fd(l, fd);
    if (f)
        *f = l->fds[--l->n_fds];
    if (l->waiting)
        loop_wake(l);
    pthread_mutex_unlock(&l->lock);
}

/* Entry 0 is the wake descriptor; the lock is held. */
static void collect(struct loop *l)
{
    l->n_polls = l->n_fds + 1;
    l->polls = xrealloc(l->polls, l->n_polls * sizeof(*l->polls));
    l->serials = xrealloc(l->serials, l->n_polls * sizeof(*l->serials));
    l->polls[0] = (struct pollfd){ .fd = l->wake_fd, .events = POLLIN };
    for (size_t i = 0; i < l->n_fds; i++) {
        /* without events it rests: poll would still report POLLHUP, for ever */
        l->polls[i + 1] = (struct pollfd){
            .fd = l->fds[i].events ? l->fds[i].fd : -1,
            .events = l->fds[i].events,
        };
        l->serials[i + 1] = l->fds[i].serial;
    }
}

static void dispatch(struct loop *l, size_t i)
{
    struct pollfd *p = &l->polls[i];
    struct loop_fd f = { .cb = NULL }, *now;
    short ready = 0;

    pthread_mutex_lock(&l->lock);
    now = find_fd(l, p->fd);
    if (now && now->serial == l->serials[i] && now->events) {
        f = *now;
        ready = p->revents & (f.events | POLLERR | POLLHUP | POLLNVAL);
    }
    pthread_mutex_unlock(&l->lock);
    if (ready && f.cb)
        f.cb(f.opaque, f.fd, ready);
}

static int wait_ready(struct loop *l, int64_t timeout_ns)
{
    struct timespec ts = { timeout_ns / 1000000000, timeout_ns % 1000000000 };
    int n;

    pthread_mutex_lock(&l->lock);
    collect(l);
    l->waiting = true;
    pthread_mutex_unlock(&l->lock);
    n = ppoll(l->polls, l->n_polls, timeout_ns < 0 ? NULL : &ts, NULL);
    pthread_mutex_lock(&l->lock);
    l->waiting = false;
    pthread_mutex_unlock(&l->lock);
    return n;
}

void loop_run_once(struct loop *l, int64_t timeout_ns,
                   void (*lock)(void *), void (*unlock)(void *), void *opaque)
{
    uint64_t count;

    if (wait_ready(l, timeout_ns) <= 0)
        return; /* timeout, or a signal: the caller looks at its requests */
    if (l->polls[0].revents && read(l->wake_fd, &count, sizeof(count)) < 0) {
        /* somebody else's read of the counter cannot happen; EAGAIN is harmless */
    }
    if (lock)
        lock(opaque);
    for (size_t i = 1; i < l->n_polls; i++)
        if (l->polls[i].revents)
            dispatch(l, i);
    if (unlock)
        unlock(opaque);
}
