/*
 * main.c - from the command line to a running machine, and back
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "ui/run-int.h"

/* One line for the user; @o may be half filled. */
static int complain(const struct options *o, const char *msg)
{
    if (o->timestamps) {
        struct timespec ts;
        struct tm tm;
        char text[32];

        clock_gettime(CLOCK_REALTIME, &ts);
        gmtime_r(&ts.tv_sec, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
        fprintf(stderr, "%s.%06ldZ ", text, ts.tv_nsec / 1000);
    }
    fprintf(stderr, "transom: %s\n", msg);
    return 1;
}

/* ---- terminal and background --------------------------------------------------------- */

/* Before the loop takes signals over, and once it is done with them. */
static void on_fatal_signal(int sig)
{
    ui_tty_restore();
    _exit(128 + sig);
}

static void set_signals(void)
{
    static const int fatal[] = { SIGINT, SIGTERM, SIGHUP };
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(fatal); i++) {
        struct sigaction sa = { .sa_handler = on_fatal_signal }, old;

        sigaction(fatal[i], NULL, &old);
        if (old.sa_handler != SIG_IGN)     /* nohup */
            sigaction(fatal[i], &sa, NULL);
        sigaddset(&set, fatal[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* timeout(1) sends its signal twice; what has come by now has been obeyed. */
static void forget_signals(void)
{
    const struct timespec now = { 0, 0 };
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    while (sigtimedwait(&set, NULL, &now) > 0)
        ;
}

/* The parent waits here until the child is ready, and ends. Returns the pipe's
 * end through which daemon_ready() tells it; -1 with @e set. */
static int daemon_start(struct err *e)
{
    int fd[2];
    pid_t pid;
    char ok;

    if (pipe2(fd, O_CLOEXEC) < 0 || (pid = fork()) < 0)
        return err_set(e, -1, "-daemonize: %s", strerror(errno));
    if (pid > 0) {
        close(fd[1]);
        _exit(read(fd[0], &ok, 1) == 1 ? 0 : 1);
    }
    close(fd[0]);
    setsid();
    umask(027);
    return fd[1];
}

static int daemon_ready(int fd, struct err *e)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || chdir("/") < 0)
        return err_set(e, -errno, "-daemonize: %s: %s", null < 0 ? "/dev/null" : "/", strerror(errno));
    for (int i = 0; i <= 2; i++)
        dup2(null, i);
    close(null);
    if (write(fd, "", 1) != 1) {
        /* nobody waits any more */
    }
    close(fd);
    return 0;
}

/* Its name from the root in *@full, owned by the caller: -daemonize goes there. */
static int write_pidfile(const char *path, char **full, struct err *e)
{
    FILE *f = fopen(path, "we");

    if (!f)
        return err_set(e, -errno, "-pidfile %s: %s", path, strerror(errno));
    fprintf(f, "%d\n", (int)getpid());
    if (fclose(f)) {
        err_set(e, -EIO, "-pidfile %s: %s", path, strerror(errno));
        unlink_regular(path);
        return -EIO;
    }
    *full = realpath(path, NULL);
    return 0;
}

/* ---- a machine -------------------------------------------------------------------------- */

/* A machine that nobody can see needs a word. */
static void hint(const struct options *o)
{
    bool seen = o->display_given || o->sdl || o->monitor || o->debugcon || o->nodefaults ||
                o->n_serial > 1 || o->n_mon || !o->serial[0] || strcmp(o->serial[0], "null");

    if (!seen && isatty(STDERR_FILENO))
        fputs("transom: no desktop to open a window on; -nographic gives serial port and monitor here,\n"
              "         -vnc :0 a VNC server\n",
              stderr);
}

static int run_machine(struct options *o, struct err *e)
{
    struct run r = { .opt = o, .nodes = o, .signal_fd = -1 };
    int background = -1, ret = 0;
    char *pidfile = NULL;

    if (o->daemonize) {
        chardev_no_stdio("the terminal is given up with -daemonize");
        background = daemon_start(e);
        if (background < 0)
            return -1;
    }
    if (o->name)
        prctl(PR_SET_NAME, o->name);
    set_signals();
    ret = run_build(&r, e);
    if (ret == 0 && o->pidfile)
        ret = write_pidfile(o->pidfile, &pidfile, e);
    if (ret == 0) {
        ret = run_monitors(&r, e);
        if (ret == 0)
            ret = run_gdb(&r, e);
    }
    if (ret == 0 && background >= 0)
        ret = daemon_ready(background, e);
    if (ret == 0) {
        ret = run_loop(&r);
        forget_signals();
        set_signals();                     /* from here they end us at once */
    }
    if (pidfile)
        unlink_regular(pidfile);
    run_tear_down(&r);
    free(pidfile);
    return ret;
}

int main(int argc, char **argv)
{
    struct options o;
    struct err e = { "" };
    int ret;

    std_fds_open();
    ret = options_parse(&o, argc, argv, &e);
    if (ret == 0 && o.action != ACT_RUN) {
        options_info(&o, stdout);
        ret = stdout_flush(&e);
    } else if (ret == 0 && (ret = options_log(&o, &e)) == 0) {
        hint(&o);
        ret = opt_verify_start(&o, &e);
        if (ret == 0)
            ret = run_machine(&o, &e);
    }
    if (ret < 0)
        ret = complain(&o, e.msg);
    options_free(&o);
    return ret;
}
