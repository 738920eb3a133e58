/*
 * chardev-int.h - what the character back ends share
 */
#ifndef UI_CHARDEV_INT_H
#define UI_CHARDEV_INT_H

#include "ui/ui.h"

/** struct chr - head of every back end and multiplexer port of ours */
struct chr {
    struct chardev c;
    char *label, *desc;
    void (*flush)(struct chr *c);  /* may be NULL */
    struct mux *mux;               /* of a port; else NULL */
};

#define STREAM_BYTES 4096

/**
 * struct stream - back end on descriptors
 *
 * A guest writes byte by byte. The first byte after a pause leaves at once,
 * so that echo is immediate; what follows within a millisecond is collected
 * and leaves with the timer or when the buffer is full.
 */
struct stream {
    struct chr chr;
    struct loop *loop;
    int in_fd, out_fd;        /* -1: none; equal for sockets and ttys */
    int timer_fd;             /* flush timer */
    bool connected;           /* else output is dropped */
    bool blocking;            /* out_fd lacks O_NONBLOCK: poll before each write */
    bool reading;             /* input is watched */
    bool kernel_full;         /* waiting for POLLOUT with bytes in the buffer */
    bool front_waits;         /* the front end was told 0 */
    bool timer_armed;
    int64_t flushed_ns;       /* host time of the last write */
    int len;
    uint8_t buf[STREAM_BYTES];
    /* kind's own: the other side went away (end of file, error) */
    void (*hangup)(struct stream *s);
    void (*destroy)(struct stream *s);  /* closes descriptors; may be NULL */
};

/** stream_init() - fill @s (zeroed, allocated by the kind; freed by close) */
void stream_init(struct stream *s, struct loop *loop, const char *label, char *desc);
/** stream_attach()/stream_detach() - start and stop serving in_fd and out_fd */
void stream_attach(struct stream *s);
void stream_detach(struct stream *s);

/** chr_event() - tell the front end */
void chr_event(struct chardev *c, int event);

/** chr_bool_option() - whether @opt is "KEY", "KEY=on" or "KEY=off"
 *  Returns 0 with *@val set, -ENOENT for another key, -EINVAL for another value. */
int chr_bool_option(const char *opt, const char *key, bool *val);

/* kinds; each returns NULL with @e set; @rest is @spec after its prefix */
struct chardev *chr_open_stdio(struct loop *l, const char *spec, const char *rest,
                               const char *label, struct err *e);
struct chardev *chr_open_pty(struct loop *l, const char *spec, const char *rest,
                             const char *label, struct err *e);
struct chardev *chr_open_unix(struct loop *l, const char *spec, const char *rest,
                              const char *label, struct err *e);
struct chardev *chr_open_tcp(struct loop *l, const char *spec, const char *rest,
                             const char *label, struct err *e);

/** chr_head_free() - free @c and its strings; the last step of a close */
void chr_head_free(struct chr *c);

#endif
