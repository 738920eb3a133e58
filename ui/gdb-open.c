/*
 * gdb-open.c - -s and -gdb: the stub of a machine that is being run
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "ui/chardev-int.h"
#include "ui/run-int.h"

/** struct gdb_console - a back end for the monitor of gdb's "monitor" command */
struct gdb_console {
    struct chr chr;
    struct monitor *mon;
    char *text;
    size_t len, size;
};

/* ---- hooks --------------------------------------------------------------------------- */

static void hook_stop(void *opaque)
{
    run_want(opaque, WANT_STOP);
}

static void hook_go(void *opaque)
{
    run_want(opaque, WANT_DEBUG);
}

static void hook_quit(void *opaque)
{
    struct run *r = opaque;

    machine_request_shutdown(r->m, CAUSE_MONITOR, 0);
}

/* ---- the monitor ------------------------------------------------------------------------- */

/* The monitor ends lines for terminals. */
static int console_write(struct chardev *c, const uint8_t *buf, int len)
{
    struct gdb_console *k = (struct gdb_console *)c;

    if (k->len + (size_t)len + 1 > k->size) {
        k->size = 2 * (k->len + (size_t)len + 1);
        k->text = xrealloc(k->text, k->size);
    }
    for (int i = 0; i < len; i++)
        if (buf[i] && buf[i] != '\r')
            k->text[k->len++] = (char)buf[i];
    return len;
}

static void console_poll_input(struct chardev *c)
{
}

static char *hook_command(void *opaque, char *line)
{
    struct run *r = opaque;
    struct gdb_console *k = r->gdb_console;
    char *text;

    k->len = 0;
    monitor_command(k->mon, line);
    text = xmalloc(k->len + 1);
    memcpy(text, k->text, k->len);
    text[k->len] = 0;
    return text;
}

static struct gdb_console *console_new(struct run *r)
{
    struct gdb_console *k = xzalloc(sizeof(*k));

    k->chr.c = (struct chardev){ .label = "gdb-monitor", .write = console_write,
                                 .poll_input = console_poll_input };
    k->mon = run_monitor_new(r, &k->chr.c);
    return k;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* A server that waits for nobody, unless it is said otherwise. */
static char *socket_spec(const char *spec)
{
    bool tcp = !strncmp(spec, "tcp:", 4), sock = tcp || !strncmp(spec, "unix:", 5);

    if (!strcmp(spec, "stdio"))
        return xstrdup("stdio,signal=off");
    if (!sock || strstr(spec, ",server=off"))
        return xstrdup(spec);
    return xasprintf("%s%s%s%s", spec, strstr(spec, ",server") ? "" : ",server=on",
                     strstr(spec, "wait") ? "" : ",wait=off", tcp && !strstr(spec, ",nodelay") ? ",nodelay=on" : "");
}

int run_gdb_open(struct run *r, struct err *e)
{
    struct err why = { "" };
    char *spec;

    if (!r->opt->gdb || !strcmp(r->opt->gdb, "none"))
        return 0;
    spec = socket_spec(r->opt->gdb);
    r->gdb_chr = chardev_new(r->m->loop, spec, "gdb", &why);
    if (!r->gdb_chr)                /* it names what it was given, not what the user gave */
        err_set(e, -EINVAL, "-gdb %s%s", r->opt->gdb, why.msg + (strncmp(why.msg, spec, strlen(spec)) ? 0 : strlen(spec)));
    free(spec);
    return r->gdb_chr ? 0 : -EINVAL;
}

int run_gdb(struct run *r, struct err *e)
{
    const struct gdb_hooks hooks = { .opaque = r, .stop = hook_stop, .go = hook_go, .quit = hook_quit,
                                     .command = hook_command };
    struct err why = { "" };

    if (!r->gdb_chr)
        return 0;
    r->gdb_console = console_new(r);
    r->gdb = gdb_new(r->m, r->accel, r->gdb_chr, &hooks, &why);
    return r->gdb ? 0 : err_set(e, -ENOTSUP, "-gdb: %s", why.msg);
}

void run_gdb_free(struct run *r)
{
    struct gdb_console *k = r->gdb_console;

    if (r->gdb)
        gdb_exited(r->gdb, r->exit_code);
    gdb_free(r->gdb);
    chardev_free(r->gdb_chr);
    if (k) {
        monitor_free(k->mon);
        free(k->text);
        free(k);
    }
    r->gdb = NULL;
    r->gdb_chr = NULL;
    r->gdb_console = NULL;
}
