/*
 * chardev-int.h - what the character back ends share
 */
#ifndef UI_CHARDEV_INT_H
#define UI_CHARDEV_INT_H

#include "ui/kv.h"
#include "ui/ui.h"

/** struct chr - head of every back end and multiplexer port of ours */
struct chr {
    struct chardev c;
    char *label, *desc;
    void (*flush)(struct chr *c);  /* may be NULL */
    int (*take_fd)(struct chr *c); /* chardev_take_fd(); may be NULL */
    bool (*is_open)(const struct chr *c); /* NULL: always */
    struct mux *mux;               /* of a port; else NULL */
    struct ringbuf *ringbuf;       /* of a ring buffer; else NULL */
};

/** struct chr_spec - what is asked of a kind */
struct chr_spec {
    struct loop *loop;
    const struct kv_list *kv;      /* its options; the kind, id and the general ones are out */
    const char *what;              /* as the user wrote it, for messages */
    const char *label;
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
    bool tells_end;           /* the kind's: poll tells that the peer left, whether somebody reads or not */
    bool end_waits;           /* it did, and left something that somebody is going to read */
    bool kernel_full;         /* waiting for POLLOUT with bytes in the buffer */
    bool front_waits;         /* the front end was told 0 */
    bool timer_armed;
    int error;                /* errno of the write that failed last; 0: none has */
    int64_t flushed_ns;       /* host time of the last write */
    int len;
    uint8_t buf[STREAM_BYTES];
    /* kind's own way to read and to make bytes ready to leave; may be NULL.
     * input(): as read(2); 0 is the end, -1 with EAGAIN nothing for now. encode(): fills
     * @out (of @room bytes) from @in, returns how many bytes; *taken of @in are in it. */
    ssize_t (*input)(struct stream *s, uint8_t *buf, size_t len);
    int (*encode)(struct stream *s, const uint8_t *in, int len, uint8_t *out, int room, int *taken);
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

/**
 * chr_options() - whether @s has no other options than @known, a NULL-terminated list
 * Options without a value are switches. Returns 0, or -EINVAL with @e set.
 */
int chr_options(const struct chr_spec *s, const char *const *known, struct err *e) MUST_CHECK;
/** chr_text() - value of an option, or NULL */
const char *chr_text(const struct chr_spec *s, const char *key);
/** chr_switch() - on or off of "KEY", "KEY=on" or the old "noKEY" into @val, which stays
 *  when it is not there; -EINVAL with @e set for another value */
int chr_switch(const struct chr_spec *s, const char *key, bool *val, struct err *e) MUST_CHECK;
/** chr_number() - likewise a number of 0..@max */
int chr_number(const struct chr_spec *s, const char *key, uint64_t max, uint64_t *val,
               struct err *e) MUST_CHECK;

/* kinds; each returns NULL with @e set */
struct chardev *chr_open_stdio(const struct chr_spec *s, struct err *e);
struct chardev *chr_open_pty(const struct chr_spec *s, struct err *e);
struct chardev *chr_open_socket(const struct chr_spec *s, struct err *e);
struct chardev *chr_open_file(const struct chr_spec *s, struct err *e);
struct chardev *chr_open_pipe(const struct chr_spec *s, struct err *e);
struct chardev *chr_open_tty(const struct chr_spec *s, struct err *e);
struct chardev *chr_open_null(const struct chr_spec *s, struct err *e);
struct chardev *chr_open_ringbuf(const struct chr_spec *s, struct err *e);

/** chr_log_new() - what is written to @back goes to a file, too; owns @back
 *  Returns NULL with @e set, @back closed, when the file cannot be opened. */
struct chardev *chr_log_new(struct chardev *back, const char *path, bool append, const char *what,
                            struct err *e);

/* telnet: input without its commands, in place; output with 255 doubled (chr-telnet.c) */
struct telnet { uint8_t state; };
int telnet_decode(struct telnet *t, uint8_t *buf, int len);
int telnet_encode(const uint8_t *in, int len, uint8_t *out, int room, int *taken);
extern const uint8_t telnet_hello[];
extern const int telnet_hello_len;

/** chr_head_free() - free @c and its strings; the last step of a close */
void chr_head_free(struct chr *c);

#endif
