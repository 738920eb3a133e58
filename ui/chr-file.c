/*
 * chr-file.c - back ends on files and devices: file, pipe, serial (a host's port), null;
 * and the log file of any back end
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>
#include "ui/chardev-int.h"

/* ---- null -------------------------------------------------------------------------- */

static int null_write(struct chardev *c, const uint8_t *buf, int len)
{
    return len;
}

static void null_poll_input(struct chardev *c)
{
}

static void null_close(struct chardev *c)
{
    chr_head_free((struct chr *)c);
}

struct chardev *chr_open_null(const struct chr_spec *s, struct err *e)
{
    struct chr *n;

    if (s->kv->n) {
        err_set(e, -EINVAL, "%s: null takes no arguments", s->what);
        return NULL;
    }
    n = xzalloc(sizeof(*n));
    n->c = (struct chardev){ .write = null_write, .poll_input = null_poll_input,
                             .close = null_close };
    n->c.label = n->label = xstrdup(s->label);
    n->desc = xstrdup("null");
    return &n->c;
}

/* ---- streams on files ---------------------------------------------------------------- */

/* A file never comes back once it failed (disk full): output is dropped. */
static void fd_hangup(struct stream *s)
{
    if (s->in_fd >= 0 && s->in_fd != s->out_fd && s->connected) { /* end of the input file */
        loop_del_fd(s->loop, s->in_fd);
        close(s->in_fd);
        s->in_fd = -1;
        s->reading = false;
        return;
    }
    stream_detach(s);
    if (s->error)
        fprintf(stderr, "transom: %s: %s; what else is written is lost\n", s->chr.desc, strerror(s->error));
    log_ev(LOG_UART, "chardev=%s gone", s->chr.label);
}

static void fd_destroy(struct stream *s)
{
    if (s->in_fd >= 0 && s->in_fd != s->out_fd)
        close(s->in_fd);
    close(s->out_fd);
}

static struct chardev *fd_new(const struct chr_spec *spec, int in_fd, int out_fd, char *desc)
{
    struct stream *s = xzalloc(sizeof(*s));

    stream_init(s, spec->loop, spec->label, desc);
    s->in_fd = in_fd;
    s->out_fd = out_fd;
    s->hangup = fd_hangup;
    s->destroy = fd_destroy;
    stream_attach(s);
    return &s->chr.c;
}

static int open_path(const struct chr_spec *s, const char *path, int flags, struct err *e)
{
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);

    return fd < 0 ? err_set(e, -errno, "%s: %s", s->what, strerror(errno)) : fd;
}

static const char *wanted_path(const struct chr_spec *s, struct err *e)
{
    const char *path = chr_text(s, "path");

    if (!path || !*path) {
        err_set(e, -EINVAL, "%s: path= is wanted", s->what);
        return NULL;
    }
    return path;
}

struct chardev *chr_open_file(const struct chr_spec *s, struct err *e)
{
    static const char *const known[] = { "path", "append", "input-path", NULL };
    const char *path, *input = chr_text(s, "input-path");
    bool append = false;
    int in = -1, out;

    if (chr_options(s, known, e) < 0 || chr_switch(s, "append", &append, e) < 0 ||
        !(path = wanted_path(s, e)))
        return NULL;
    out = open_path(s, path, O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), e);
    if (out < 0)
        return NULL;
    if (input && (in = open_path(s, input, O_RDONLY, e)) < 0) {
        close(out);
        return NULL;
    }
    return fd_new(s, in, out, xasprintf("file:%s", path));
}

/* PATH.in and PATH.out, as far as they are there; else PATH both ways. */
struct chardev *chr_open_pipe(const struct chr_spec *s, struct err *e)
{
    static const char *const known[] = { "path", NULL };
    char *name_in, *name_out;
    const char *path;
    int in, out;

    if (chr_options(s, known, e) < 0 || !(path = wanted_path(s, e)))
        return NULL;
    name_in = xasprintf("%s.in", path);
    name_out = xasprintf("%s.out", path);
    /* a fifo opened both ways needs nobody at its other end */
    in = open(name_in, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    out = open(name_out, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    free(name_in);
    free(name_out);
    if (in >= 0 && out >= 0)
        return fd_new(s, in, out, xasprintf("pipe:%s", path));
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    in = open_path(s, path, O_RDWR, e);
    return in < 0 ? NULL : fd_new(s, in, in, xasprintf("pipe:%s", path));
}

static void make_raw(int fd)
{
    struct termios t;

    if (tcgetattr(fd, &t) < 0)
        return;
    cfmakeraw(&t);
    tcsetattr(fd, TCSANOW, &t);
}

struct chardev *chr_open_tty(const struct chr_spec *s, struct err *e)
{
    static const char *const known[] = { "path", NULL };
    const char *path;
    int fd;

    if (chr_options(s, known, e) < 0 || !(path = wanted_path(s, e)))
        return NULL;
    fd = open_path(s, path, O_RDWR, e);
    if (fd < 0)
        return NULL;
    make_raw(fd);
    return fd_new(s, fd, fd, xasprintf("serial:%s", path));
}

/* ---- logfile= --------------------------------------------------------------------------- */

struct chr_log {
    struct chr chr;
    struct chardev *back;
    int fd;                      /* -1: it could not be written, and ended there */
};

/* A full disk ends the log, not the conversation. */
static void log_bytes(struct chr_log *l, const uint8_t *buf, int len)
{
    ssize_t n = 0;

    for (; len && l->fd >= 0 && n >= 0; buf += n, len -= (int)n) {
        n = write(l->fd, buf, len);
        if (n < 0 && errno == EINTR)
            n = 0;
    }
    if (n >= 0)
        return;
    fprintf(stderr, "transom: logfile of %s: %s; it ends here\n", l->chr.label, strerror(errno));
    close(l->fd);
    l->fd = -1;
}

static int log_write_bytes(struct chardev *c, const uint8_t *buf, int len)
{
    struct chr_log *l = (struct chr_log *)c;
    int n = l->back->write(l->back, buf, len);

    if (n > 0)
        log_bytes(l, buf, n);
    return n;
}

static void log_poll_input(struct chardev *c)
{
    struct chardev *back = ((struct chr_log *)c)->back;

    back->poll_input(back);
}

static void log_close(struct chardev *c)
{
    struct chr_log *l = (struct chr_log *)c;

    chardev_free(l->back);
    if (l->fd >= 0)
        close(l->fd);
    chr_head_free(&l->chr);
}

static void log_flush(struct chr *c)
{
    chardev_flush(((struct chr_log *)c)->back);
}

static bool log_is_open(const struct chr *c)
{
    return chardev_is_open(((const struct chr_log *)c)->back);
}

static int log_take_fd(struct chr *c)
{
    return chardev_take_fd(((struct chr_log *)c)->back);
}

/* the back end's front: pass on to ours */
static int log_can_receive(void *front)
{
    struct chardev *c = front;

    return c->can_receive ? c->can_receive(c->front) : 0;
}

static void log_receive(void *front, const uint8_t *buf, int len)
{
    struct chardev *c = front;

    c->receive(c->front, buf, len);
}

static void log_can_write(void *front)
{
    struct chardev *c = front;

    if (c->can_write)
        c->can_write(c->front);
}

static bool log_front_open(void *front)
{
    struct chardev *c = front;

    return c->front && (!c->front_open || c->front_open(c->front));
}

static void log_event(void *front, int event)
{
    chr_event(front, event);
}

struct chardev *chr_log_new(struct chardev *back, const char *path, bool append, const char *what,
                            struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);
    struct chr_log *l;

    if (fd < 0) {
        err_set(e, -errno, "%s: logfile=%s: %s", what, path, strerror(errno));
        chardev_free(back);
        return NULL;
    }
    l = xzalloc(sizeof(*l));
    l->chr.c = (struct chardev){ .write = log_write_bytes, .poll_input = log_poll_input,
                                 .close = log_close };
    l->chr.c.label = l->chr.label = xstrdup(back->label);
    l->chr.desc = xstrdup(chardev_desc(back));
    l->chr.flush = log_flush;
    l->chr.take_fd = log_take_fd;
    l->chr.is_open = log_is_open;
    l->chr.ringbuf = ((struct chr *)back)->ringbuf;
    l->fd = fd;
    l->back = back;
    back->can_receive = log_can_receive;
    back->receive = log_receive;
    back->can_write = log_can_write;
    back->event = log_event;
    back->front_open = log_front_open;
    back->front = l;
    return &l->chr.c;
}
