/*
 * chardev.c - the buffered stream that most character back ends are
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "ui/chardev-int.h"

#define FLUSH_NS 1000000     /* longest stay of a byte in the buffer */
#define CLOSE_WAIT_MS 1000
#define BLOCKING_WRITE 256   /* a tty that polls writable has this much room */

void chr_event(struct chardev *c, int event)
{
    if (c->event)
        c->event(c->front, event);
}

void chr_head_free(struct chr *c)
{
    free(c->label);
    free(c->desc);
    free(c);
}

/* ---- stream ---------------------------------------------------------------- */

static void stream_ready(void *opaque, int fd, short revents);

/* Whether there is nobody whom input could reach. */
static bool is_deaf(const struct stream *s)
{
    const struct chardev *c = &s->chr.c;

    return c->front_open && !c->front_open(c->front);
}

/* While nobody reads: who only ended what it says may yet wait for an answer. */
static short end_events(const struct stream *s)
{
    if (!s->tells_end || s->end_waits)
        return 0;
    return is_deaf(s) ? POLLHUP | POLLRDHUP : POLLHUP;
}

static void stream_watch(struct stream *s)
{
    short in = s->reading ? POLLIN : end_events(s);
    short out = s->kernel_full || s->front_waits ? POLLOUT : 0;

    if (s->in_fd >= 0 && s->in_fd == s->out_fd) {
        loop_add_fd(s->loop, s->in_fd, in | out, stream_ready, s);
        return;
    }
    if (s->in_fd >= 0)
        loop_add_fd(s->loop, s->in_fd, in, stream_ready, s);
    if (s->out_fd >= 0 && out)
        loop_add_fd(s->loop, s->out_fd, out, stream_ready, s);
    else if (s->out_fd >= 0)
        loop_del_fd(s->loop, s->out_fd);
}

static bool writable(int fd, int wait_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };

    return poll(&p, 1, wait_ms) > 0 && (p.revents & (POLLOUT | POLLERR));
}

/* One write(2); like it, but -EAGAIN instead of ever blocking. */
static ssize_t stream_put(struct stream *s)
{
    int n = s->len;
    ssize_t rc;

    if (s->blocking) {
        if (!writable(s->out_fd, 0))
            return -EAGAIN;
        n = MIN(n, BLOCKING_WRITE);
    }
    do
        rc = write(s->out_fd, s->buf, n);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : rc;
}

/* Write until the buffer is empty or the kernel takes no more. */
static void stream_flush(struct stream *s)
{
    while (s->len) {
        ssize_t n = stream_put(s);

        if (n == -EAGAIN)
            break;
        if (n < 0) { /* reader is gone */
            s->error = (int)-n;
            s->len = 0;
            s->connected = false;
            s->kernel_full = false;
            s->hangup(s);
            return;
        }
        s->len -= n;
        memmove(s->buf, s->buf + n, s->len);
    }
    if (s->kernel_full != (s->len > 0)) {
        s->kernel_full = s->len > 0;
        stream_watch(s);
    }
}

static void stream_arm_timer(struct stream *s, int64_t ns)
{
    struct itimerspec t = { .it_value = { .tv_nsec = MAX(ns, 1) } };

    timerfd_settime(s->timer_fd, 0, &t, NULL);
    s->timer_armed = true;
}

/* New bytes are in the buffer: out with them, or soon. */
static void stream_schedule(struct stream *s)
{
    int64_t now, since;

    if (s->kernel_full)
        return;
    if (s->len == STREAM_BYTES) {
        stream_flush(s);
        return;
    }
    if (s->timer_armed)
        return;
    now = host_monotonic_ns();
    since = now - s->flushed_ns;
    if (since >= FLUSH_NS) {
        s->flushed_ns = now;
        stream_flush(s);
    } else {
        stream_arm_timer(s, FLUSH_NS - since);
    }
}

static int stream_write(struct chardev *c, const uint8_t *buf, int len)
{
    struct stream *s = (struct stream *)c;
    int done = 0;

    while (done < len && s->connected) {
        int n = MIN(len - done, STREAM_BYTES - s->len), taken = n;

        if (s->encode)
            n = s->encode(s, buf + done, len - done, s->buf + s->len, n, &taken);
        else
            memcpy(s->buf + s->len, buf + done, n);
        if (!taken)
            break;
        s->len += n;
        done += taken;
        stream_schedule(s);
    }
    if (!s->connected)
        return len; /* nobody listens */
    if (done < len && !s->front_waits) {
        s->front_waits = true;
        stream_watch(s);
    }
    return done;
}

static void stream_tell_front(struct stream *s)
{
    struct chardev *c = &s->chr.c;

    if (!s->front_waits || s->len > STREAM_BYTES - 2) /* room for a doubled byte */
        return;
    s->front_waits = false;
    stream_watch(s);
    if (c->can_write)
        c->can_write(c->front);
}

static void stream_timer(void *opaque, int fd, short revents)
{
    struct stream *s = opaque;
    uint64_t count;

    if (read(fd, &count, sizeof(count)) < 0)
        return;
    s->timer_armed = false;
    s->flushed_ns = host_monotonic_ns();
    stream_flush(s);
    stream_tell_front(s);
}

static void stream_set_reading(struct stream *s, bool on)
{
    if (s->in_fd < 0 || s->reading == on)
        return;
    s->reading = on;
    s->end_waits = false;
    stream_watch(s);
}

static void stream_input(struct stream *s)
{
    struct chardev *c = &s->chr.c;
    uint8_t buf[1024];
    int room = c->can_receive ? c->can_receive(c->front) : 0;
    ssize_t n;

    if (room <= 0) { /* until poll_input */
        stream_set_reading(s, false);
        return;
    }
    room = MIN(room, (int)sizeof(buf));
    n = s->input ? s->input(s, buf, room) : read(s->in_fd, buf, room);
    if (n > 0)
        c->receive(c->front, buf, n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        s->hangup(s);
}

/* The peer left while nobody takes its input: what it said last is kept for a front end that listens. */
static void stream_end(struct stream *s)
{
    int unread = 0;

    if (!is_deaf(s) && !ioctl(s->in_fd, FIONREAD, &unread) && unread > 0) {
        s->end_waits = true;
        stream_watch(s);
    } else {
        s->hangup(s);
    }
}

static void stream_ready(void *opaque, int fd, short revents)
{
    struct stream *s = opaque;

    if (fd == s->out_fd && (revents & (POLLOUT | POLLERR))) {
        stream_flush(s);
        stream_tell_front(s);
    }
    if (fd == s->in_fd && s->reading && (revents & (POLLIN | POLLHUP | POLLERR)))
        stream_input(s);
    else if (fd == s->in_fd && !s->reading && (revents & (POLLRDHUP | POLLHUP)))
        stream_end(s);
}

static void stream_poll_input(struct chardev *c)
{
    stream_set_reading((struct stream *)c, true);
}

void stream_attach(struct stream *s)
{
    s->connected = true;
    s->end_waits = false;
    s->reading = s->in_fd >= 0;
    stream_watch(s);
}

void stream_detach(struct stream *s)
{
    s->connected = s->reading = s->kernel_full = false;
    s->len = 0;
    if (s->in_fd >= 0)
        loop_del_fd(s->loop, s->in_fd);
    if (s->out_fd >= 0)
        loop_del_fd(s->loop, s->out_fd);
    /* It may go on, its bytes are dropped now. Told by the timer, because it
     * may be the front end's own write that found the reader gone. */
    if (s->front_waits)
        stream_arm_timer(s, 1);
}

/* At the end the reader gets a little time, but cannot keep us. */
static void stream_close(struct chardev *c)
{
    struct stream *s = (struct stream *)c;
    int64_t until = host_monotonic_ns() + CLOSE_WAIT_MS * 1000000ll;

    c->can_write = NULL;
    c->event = NULL;
    while (s->connected && s->len && host_monotonic_ns() < until) {
        stream_flush(s);
        if (s->connected && s->len)
            writable(s->out_fd, CLOSE_WAIT_MS);
    }
    stream_detach(s);
    loop_del_fd(s->loop, s->timer_fd);
    close(s->timer_fd);
    if (s->destroy)
        s->destroy(s);
    chr_head_free(&s->chr);
}

static void stream_chr_flush(struct chr *c)
{
    struct stream *s = (struct stream *)c;

    if (s->connected)
        stream_flush(s);
}

static bool stream_is_open(const struct chr *c)
{
    return ((const struct stream *)c)->connected;
}

void stream_init(struct stream *s, struct loop *loop, const char *label, char *desc)
{
    s->chr.c = (struct chardev){ .write = stream_write, .poll_input = stream_poll_input,
                                 .close = stream_close };
    s->chr.c.label = s->chr.label = xstrdup(label);
    s->chr.desc = desc;
    s->chr.flush = stream_chr_flush;
    s->chr.is_open = stream_is_open;
    s->loop = loop;
    s->in_fd = s->out_fd = -1;
    s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    loop_add_fd(loop, s->timer_fd, POLLIN, stream_timer, s);
}

/* ---- any back end ---------------------------------------------------------------- */

void chardev_free(struct chardev *c)
{
    if (c && c->close)
        c->close(c);
}

void chardev_flush(struct chardev *c)
{
    struct chr *h = (struct chr *)c;

    if (h && h->flush)
        h->flush(h);
}

const char *chardev_desc(const struct chardev *c)
{
    return ((const struct chr *)c)->desc;
}

bool chardev_is_open(const struct chardev *c)
{
    const struct chr *h = (const struct chr *)c;

    return !h->is_open || h->is_open(h);
}

int chardev_take_fd(struct chardev *c)
{
    struct chr *h = (struct chr *)c;

    return h->take_fd ? h->take_fd(h) : -1;
}
