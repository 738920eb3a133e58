/*
 * ctx.c - where requests run and where their callbacks do
 *
 * A context has a pool of worker threads for blocking calls, an io_uring for
 * transfers whose place is known at once, and a list of requests that are
 * done. One eventfd tells of both kinds of completion; block_ctx_poll() runs
 * the callbacks. Queued requests are linked through themselves, so a queue
 * needs no memory of ours whatever a guest submits.
 */
#define _GNU_SOURCE 1
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>
#ifdef CONFIG_LIBURING
#include <liburing.h>
#endif
#include "block/block-int.h"

#define RING_ENTRIES 256
#define RING_IN_FLIGHT 384   /* below the completion queue's 512 */
#define RING_ASYNC_BYTES (64 * KiB) /* from here on, copying costs more than a kernel worker */
#define POLL_BATCH 256
#define THREADS_DEFAULT 8
#define THREADS_MAX 64

struct block_ctx {
    int fd;                       /* eventfd */
    struct loop *loop;
    pthread_mutex_t lock;         /* all below, except the ring */
    pthread_cond_t work;
    struct block_req *q_head, *q_tail;       /* waiting for a worker */
    struct block_req *done_head, *done_tail; /* waiting for their callback */
    pthread_t threads[THREADS_MAX];
    unsigned n_threads, max_threads, idle;
    bool stop;
    atomic_uint plugged;          /* block_ctx_plug() without its unplug */
    bool polling;                 /* callbacks run: of the thread that polls */
#ifdef CONFIG_LIBURING
    struct io_uring ring;
    pthread_mutex_t sq_lock;
    bool has_ring;
    atomic_uint in_ring;
#endif
};

static void signal_fd(struct block_ctx *c)
{
    uint64_t one = 1;

    /* a full counter is readable as well: nothing is lost */
    if (write(c->fd, &one, sizeof(one)) < 0)
        return;
}

struct block_ctx *block_ctx_new(unsigned threads, struct err *e)
{
    struct block_ctx *c = xzalloc(sizeof(*c));

    c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->fd < 0) {
        err_set(e, -errno, "eventfd: %s", strerror(errno));
        free(c);
        return NULL;
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->work, NULL);
    c->max_threads = threads ? MIN(threads, THREADS_MAX) : THREADS_DEFAULT;
#ifdef CONFIG_LIBURING
    pthread_mutex_init(&c->sq_lock, NULL);
    /* a kernel or a sandbox without io_uring: the threads do it all */
    if (!io_uring_queue_init(RING_ENTRIES, &c->ring, 0)) {
        c->has_ring = !io_uring_register_eventfd(&c->ring, c->fd);
        if (!c->has_ring)
            io_uring_queue_exit(&c->ring);
    }
#endif
    return c;
}

void block_ctx_free(struct block_ctx *c)
{
    if (!c)
        return;
    block_ctx_attach(c, NULL);
    pthread_mutex_lock(&c->lock);
    assert(!c->q_head && !c->done_head);
    c->stop = true;
    pthread_cond_broadcast(&c->work);
    pthread_mutex_unlock(&c->lock);
    for (unsigned i = 0; i < c->n_threads; i++)
        pthread_join(c->threads[i], NULL);
#ifdef CONFIG_LIBURING
    if (c->has_ring)
        io_uring_queue_exit(&c->ring);
    pthread_mutex_destroy(&c->sq_lock);
#endif
    pthread_cond_destroy(&c->work);
    pthread_mutex_destroy(&c->lock);
    close(c->fd);
    free(c);
}

static void loop_cb(void *opaque, int fd, short revents)
{
    block_ctx_poll(opaque);
}

void block_ctx_attach(struct block_ctx *c, struct loop *l)
{
    if (c->loop)
        loop_del_fd(c->loop, c->fd);
    c->loop = l;
    if (l)
        loop_add_fd(l, c->fd, POLLIN, loop_cb, c);
}

/* ---- workers ------------------------------------------------------------------- */

static void unlink_req(struct block_ctx *c, struct block_req *r)
{
    if (r->prev)
        r->prev->next = r->next;
    else
        c->q_head = r->next;
    if (r->next)
        r->next->prev = r->prev;
    else
        c->q_tail = r->prev;
}

/* the first request whose drive does not yet keep most workers busy */
static struct block_req *take_req(struct block_ctx *c)
{
    unsigned most = c->max_threads > 2 ? c->max_threads - 1 : c->max_threads;

    for (struct block_req *r = c->q_head; r; r = r->next) {
        unsigned *running = block_req_running(r);
        if (*running < most) {
            ++*running;
            unlink_req(c, r);
            r->state = REQ_RUNNING;
            return r;
        }
    }
    return NULL;
}

static void *worker(void *opaque)
{
    struct block_ctx *c = opaque;
    struct block_req *r;
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_mutex_lock(&c->lock);
    while (!c->stop) {
        r = take_req(c);
        if (!r) {
            c->idle++;
            pthread_cond_wait(&c->work, &c->lock);
            c->idle--;
            continue;
        }
        unsigned *running = block_req_running(r);
        pthread_mutex_unlock(&c->lock);
        block_req_run(r);
        pthread_mutex_lock(&c->lock);
        --*running; /* before the post: then the drive may be gone */
        pthread_mutex_unlock(&c->lock);
        ctx_post(c, r);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

void ctx_run(struct block_ctx *c, struct block_req *r)
{
    bool inline_run = false;

    pthread_mutex_lock(&c->lock);
    r->state = REQ_QUEUED;
    r->next = NULL;
    r->prev = c->q_tail;
    if (c->q_tail)
        c->q_tail->next = r;
    else
        c->q_head = r;
    c->q_tail = r;
    if (c->idle) {
        pthread_cond_signal(&c->work);
    } else if (c->n_threads < c->max_threads) {
        if (!pthread_create(&c->threads[c->n_threads], NULL, worker, c))
            c->n_threads++;
        else if (!c->n_threads) {
            inline_run = true; /* no thread at all: slow is better than never */
            unlink_req(c, r);
        }
    }
    pthread_mutex_unlock(&c->lock);
    if (inline_run) {
        r->state = REQ_RUNNING;
        block_req_run(r);
        ctx_post(c, r);
    }
}

bool ctx_unqueue(struct block_ctx *c, struct block_req *r)
{
    bool found = false;

    pthread_mutex_lock(&c->lock);
    /* r may be anywhere by now: only the queue itself can tell */
    for (struct block_req *q = c->q_head; q && !found; q = q->next)
        found = q == r;
    if (found)
        unlink_req(c, r);
    pthread_mutex_unlock(&c->lock);
    return found;
}

void ctx_post(struct block_ctx *c, struct block_req *r)
{
    bool first;

    pthread_mutex_lock(&c->lock);
    r->state = REQ_DONE;
    r->next = NULL;
    first = !c->done_head;
    if (first)
        c->done_head = r;
    else
        c->done_tail->next = r;
    c->done_tail = r;
    /* inside the lock: once it is released the context may be freed */
    if (first)
        signal_fd(c);
    pthread_mutex_unlock(&c->lock);
}

/* ---- io_uring ------------------------------------------------------------------- */

#ifdef CONFIG_LIBURING
static int ring_submit(struct block_ctx *c)
{
    int n;

    do
        n = io_uring_submit(&c->ring);
    while (n == -EINTR);
    return n;
}

bool ctx_ring(struct block_ctx *c, struct block_req *r, int fd, uint64_t host_off)
{
    struct io_uring_sqe *sqe;
    int n = 0;

    if (!c->has_ring || atomic_load(&c->in_ring) >= RING_IN_FLIGHT)
        return false;
    pthread_mutex_lock(&c->sq_lock);
    sqe = io_uring_get_sqe(&c->ring);
    if (sqe) {
        atomic_fetch_add(&c->in_ring, 1);
        r->state = REQ_RUNNING;
        if (r->op == BLOCK_READ)
            io_uring_prep_readv(sqe, fd, r->iov, r->niov, host_off);
        else
            io_uring_prep_writev(sqe, fd, r->iov, r->niov, host_off);
        io_uring_sqe_set_data(sqe, r);
        if (r->len >= RING_ASYNC_BYTES)
            sqe->flags |= IOSQE_ASYNC; /* else it is the submitter, a vCPU, that copies out of the page cache */
        /* EINTR, EBUSY: it stays in the queue; what cannot be submitted now
         * goes with the next one or from block_ctx_poll() */
        n = atomic_load(&c->plugged) ? 0 : ring_submit(c);
    }
    pthread_mutex_unlock(&c->sq_lock);
    if (sqe && n < 0)
        signal_fd(c);
    return sqe != NULL;
}

static unsigned poll_ring(struct block_ctx *c, unsigned max)
{
    struct io_uring_cqe *cqe;
    unsigned n = 0;

    if (!c->has_ring || !atomic_load(&c->in_ring))
        return 0;
    if (io_uring_sq_ready(&c->ring)) {
        pthread_mutex_lock(&c->sq_lock);
        io_uring_submit(&c->ring);
        pthread_mutex_unlock(&c->sq_lock);
    }
    while (n < max && !io_uring_peek_cqe(&c->ring, &cqe) && cqe) {
        struct block_req *r = io_uring_cqe_get_data(cqe);
        int res = cqe->res;
        io_uring_cqe_seen(&c->ring, cqe);
        atomic_fetch_sub(&c->in_ring, 1);
        n++;
        if (block_req_ring_done(r, res))
            block_req_finish(r);
        else
            ctx_run(c, r);
    }
    return n;
}
#else
bool ctx_ring(struct block_ctx *c, struct block_req *r, int fd, uint64_t host_off)
{
    return false;
}

static unsigned poll_ring(struct block_ctx *c, unsigned max)
{
    return 0;
}
#endif

/* ---- completions ------------------------------------------------------------------- */

void block_ctx_plug(struct block_ctx *c)
{
    if (c)
        atomic_fetch_add(&c->plugged, 1);
}

void block_ctx_unplug(struct block_ctx *c)
{
    if (!c || atomic_fetch_sub(&c->plugged, 1) != 1)
        return;
#ifdef CONFIG_LIBURING
    if (!c->has_ring)
        return;
    pthread_mutex_lock(&c->sq_lock);
    if (io_uring_sq_ready(&c->ring)) {
        /* what is in the page cache is done when this returns: nobody need wake up for it */
        int n;
        io_uring_cq_eventfd_toggle(&c->ring, false);
        n = ring_submit(c);
        io_uring_cq_eventfd_toggle(&c->ring, true);
        atomic_thread_fence(memory_order_seq_cst); /* a kernel worker may have been told nothing: look below */
        if (n < 0)
            signal_fd(c);
    }
    pthread_mutex_unlock(&c->sq_lock);
    if (c->polling) {
        signal_fd(c);
        return;
    }
    c->polling = true;
    if (poll_ring(c, POLL_BATCH) == POLL_BATCH)
        signal_fd(c);
    c->polling = false;
#endif
}

unsigned block_ctx_poll(struct block_ctx *c)
{
    struct block_req *r;
    uint64_t count;
    unsigned n = 0, k;

    if (read(c->fd, &count, sizeof(count)) < 0)
        count = 0; /* called without an event: look all the same */
    c->polling = true;
    n += k = poll_ring(c, POLL_BATCH / 2);
    while (n < POLL_BATCH) {
        pthread_mutex_lock(&c->lock);
        r = c->done_head;
        if (r && !(c->done_head = r->next))
            c->done_tail = NULL;
        pthread_mutex_unlock(&c->lock);
        if (!r)
            break;
        n++;
        block_req_finish(r);
    }
    c->polling = false;
    if (n == POLL_BATCH || k == POLL_BATCH / 2)
        signal_fd(c); /* there may be more */
    return n;
}

unsigned block_ctx_wait(struct block_ctx *c, int64_t timeout_ns)
{
    struct pollfd p = { .fd = c->fd, .events = POLLIN };
    int ms = timeout_ns < 0 ? -1 : (int)MIN((timeout_ns + 999999) / 1000000, INT32_MAX);
    unsigned n = block_ctx_poll(c);

    if (n)
        return n;
    if (poll(&p, 1, ms) < 0 && errno != EINTR)
        return 0;
    return block_ctx_poll(c);
}
