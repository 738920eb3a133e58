/*
 * chr-tty.c - back ends on terminals: our own (stdio) and a new one (pty)
 *
 * The saved modes of the terminal are the one thing here that is not owned by
 * an object: a signal handler and exit() must find them.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <unistd.h>
#include "ui/chardev-int.h"

static struct termios tty_saved, tty_raw;
static volatile sig_atomic_t tty_is_raw;
static bool stdio_in_use;
static const char *stdio_denied;   /* why nobody gets it, or NULL */

/* ---- terminal modes -------------------------------------------------------- */

/* In the background, changing modes would only stop us (SIGTTOU); and there
 * the shell has put its own in place. */
static bool tty_foreground(void)
{
    return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

void ui_tty_restore(void)
{
    int saved = errno;

    if (tty_is_raw && tty_foreground())
        tcsetattr(STDIN_FILENO, TCSANOW, &tty_saved);
    errno = saved;
}

/* After Ctrl-Z and fg the shell has put its own modes in place. */
static void on_continue(int sig)
{
    int saved = errno;

    if (tty_is_raw && tty_foreground())
        tcsetattr(STDIN_FILENO, TCSANOW, &tty_raw);
    errno = saved;
}

static void tty_make_raw(bool signals)
{
    static bool registered;
    struct sigaction sa = { .sa_handler = on_continue, .sa_flags = SA_RESTART };

    if (!isatty(STDIN_FILENO) || !tty_foreground() ||
        tcgetattr(STDIN_FILENO, &tty_saved) < 0)
        return;
    tty_raw = tty_saved;
    tty_raw.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    tty_raw.c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN);
    if (!signals)
        tty_raw.c_lflag &= ~ISIG;
    tty_raw.c_cflag = (tty_raw.c_cflag & ~(CSIZE | PARENB)) | CS8;
    tty_raw.c_cc[VMIN] = 1;
    tty_raw.c_cc[VTIME] = 0;
    tty_is_raw = 1;
    tcsetattr(STDIN_FILENO, TCSANOW, &tty_raw);
    if (!registered)
        atexit(ui_tty_restore);
    registered = true;
    sigaction(SIGCONT, &sa, NULL);
}

/* ---- stdio ------------------------------------------------------------------- */

static void stdio_hangup(struct stream *s)
{
    if (s->connected) { /* end of input: output goes on */
        loop_del_fd(s->loop, s->in_fd);
        s->in_fd = -1;
        s->reading = false;
    } else {
        stream_detach(s);
    }
}

static void stdio_destroy(struct stream *s)
{
    close(s->out_fd);
    ui_tty_restore();
    tty_is_raw = 0;
    stdio_in_use = false;
}

/* O_NONBLOCK belongs to the open file, which the shell shares with us: so
 * open our own where that is possible. A plain file would lose its offset,
 * and never blocks anyway. */
static int open_stdout(bool *blocking)
{
    struct stat st;
    int fd = -1;

    if (!fstat(STDOUT_FILENO, &st) && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)))
        fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    *blocking = fd < 0;
    return fd < 0 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3) : fd;
}

void chardev_no_stdio(const char *why)
{
    stdio_denied = why;
}

struct chardev *chr_open_stdio(const struct chr_spec *spec, struct err *e)
{
    static const char *const known[] = { "signal", NULL };
    struct stream *s;
    bool signals = true;

    if (chr_options(spec, known, e) < 0 || chr_switch(spec, "signal", &signals, e) < 0)
        return NULL;
    if (stdio_denied) {
        err_set(e, -ENOTSUP, "%s: %s", spec->what, stdio_denied);
        return NULL;
    }
    if (stdio_in_use) {
        err_set(e, -EBUSY, "%s: standard input and output are already in use "
                "(mon:stdio shares them)", spec->what);
        return NULL;
    }
    stdio_in_use = true;
    s = xzalloc(sizeof(*s));
    stream_init(s, spec->loop, spec->label, xstrdup("stdio"));
    s->in_fd = STDIN_FILENO;
    s->out_fd = open_stdout(&s->blocking);
    s->hangup = stdio_hangup;
    s->destroy = stdio_destroy;
    fflush(stdout);
    tty_make_raw(signals);
    stream_attach(s);
    return &s->chr.c;
}

/* ---- pty ------------------------------------------------------------------------ */

#define PTY_LOOK_MS 500 /* a master is not told when somebody opens the slave */

struct pty {
    struct stream s;
    int master, look_fd;
    char *link;             /* path=, a symbolic link that goes with it; or NULL */
};

static void pty_look(struct pty *p, bool on)
{
    struct itimerspec t = { 0 };

    if (on)
        t.it_value.tv_nsec = t.it_interval.tv_nsec = PTY_LOOK_MS * 1000000;
    timerfd_settime(p->look_fd, 0, &t, NULL);
}

static void pty_looked(void *opaque, int fd, short revents)
{
    struct pty *p = opaque;
    struct pollfd m = { .fd = p->master, .events = POLLIN };
    uint64_t count;

    if (read(fd, &count, sizeof(count)) < 0)
        return;
    if (poll(&m, 1, 0) > 0 && (m.revents & (POLLHUP | POLLIN)) == POLLHUP)
        return; /* nobody has it open, and nobody left a word */
    pty_look(p, false);
    p->s.in_fd = p->s.out_fd = p->master;
    stream_attach(&p->s);
    chr_event(&p->s.chr.c, CHR_EVENT_OPENED);
}

static void pty_hangup(struct stream *s)
{
    struct pty *p = (struct pty *)s;

    stream_detach(s);
    s->in_fd = s->out_fd = -1;
    pty_look(p, true);
    chr_event(&s->chr.c, CHR_EVENT_CLOSED);
}

static void pty_destroy(struct stream *s)
{
    struct pty *p = (struct pty *)s;

    loop_del_fd(s->loop, p->look_fd);
    close(p->look_fd);
    close(p->master);
    if (p->link)
        unlink(p->link);
    free(p->link);
}

/* Returns the master of a new raw terminal; its name in @name. */
static int pty_create(char *name, size_t size)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), slave;
    struct termios t;

    if (fd < 0)
        return -errno;
    if (grantpt(fd) < 0 || unlockpt(fd) < 0 || ptsname_r(fd, name, size) ||
        (slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
        int rc = -errno;

        close(fd);
        return rc;
    }
    tcgetattr(slave, &t);
    cfmakeraw(&t);
    tcsetattr(slave, TCSAFLUSH, &t);
    close(slave);
    return fd;
}

struct chardev *chr_open_pty(const struct chr_spec *s, struct err *e)
{
    static const char *const known[] = { "path", NULL };
    const char *link = chr_text(s, "path");
    char name[64];
    struct pty *p;
    int fd;

    if (chr_options(s, known, e) < 0)
        return NULL;
    fd = pty_create(name, sizeof(name));
    if (fd >= 0 && link && symlink(name, link) < 0) {
        err_set(e, -errno, "%s: path=%s: %s", s->what, link, strerror(errno));
        close(fd);
        return NULL;
    }
    if (fd < 0) {
        err_set(e, fd, "%s: %s", s->what, strerror(-fd));
        return NULL;
    }
    p = xzalloc(sizeof(*p));
    stream_init(&p->s, s->loop, s->label, xasprintf("pty:%s", name));
    p->link = link ? xstrdup(link) : NULL;
    p->master = fd;
    p->look_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    p->s.hangup = pty_hangup;
    p->s.tells_end = true;
    p->s.destroy = pty_destroy;
    loop_add_fd(s->loop, p->look_fd, POLLIN, pty_looked, p);
    pty_look(p, true);
    /* the line that scripts look for to find the terminal */
    printf("char device redirected to %s (label %s)\n", name, s->label);
    fflush(stdout);
    return &p->s.chr.c;
}
