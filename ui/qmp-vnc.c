/*
 * qmp-vnc.c - commands about the VNC server: passwords, clients by descriptor, who is there
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "ui/commands-int.h"

/* The server, of name @id unless that is NULL; NULL with @e set. */
static struct vnc *server(struct call *c, const char *id, struct err *e)
{
    struct vnc *v = c->run && c->run->displays ? c->run->displays->vnc : NULL;

    if (!v)
        err_set(e, -ENOENT, "there is no VNC server (-vnc)");
    else if (id && !vnc_is(v, id))
        err_set(e, -ENOENT, "there is no VNC display '%.32s'", id);
    else
        return v;
    return NULL;
}

/* What protocol= and display= name. */
static struct vnc *addressed(struct call *c, struct err *e)
{
    const char *protocol = jv_text(c->args, "protocol");

    if (strcmp(protocol, "vnc")) {
        err_set(e, -EINVAL, "protocol '%.32s': only vnc is there", protocol);
        return NULL;
    }
    return server(c, jv_text(c->args, "display"), e);
}

/* ---- passwords ----------------------------------------------------------------------- */

int vnc_set_password(struct call *c, const char *password, struct err *e)
{
    struct vnc *v = server(c, NULL, e);

    return v ? vnc_password(v, password, e) : -ENOENT;
}

static int cmd_set_password(struct call *c, struct err *e)
{
    const char *connected = jv_text(c->args, "connected");
    struct vnc *v = addressed(c, e);

    if (!v)
        return -EINVAL;
    if (connected && strcmp(connected, "keep"))
        return err_set(e, -EINVAL, "connected=%.32s: with vnc only 'keep' is possible", connected);
    return vnc_password(v, jv_text(c->args, "password"), e);
}

static int cmd_change_password(struct call *c, struct err *e)
{
    return vnc_set_password(c, jv_text(c->args, "password"), e);
}

/* "now", "never", "+SECONDS" from now, or seconds since 1970 */
static int parse_time(const char *text, int64_t *when, struct err *e)
{
    int64_t now = time(NULL);
    const char *digits = text + (*text == '+');
    char *end;

    if (!strcmp(text, "now") || !strcmp(text, "never")) {
        *when = text[2] == 'w' ? now : INT64_MAX;
        return 0;
    }
    errno = 0;
    *when = strtoll(digits, &end, 10);
    if (*digits < '0' || *digits > '9' || *end || errno || *when > INT64_MAX - now)
        return err_set(e, -EINVAL, "time '%.32s': now, never, +SECONDS or seconds since 1970 are wanted", text);
    if (*text == '+')
        *when += now;
    return 0;
}

static int cmd_expire_password(struct call *c, struct err *e)
{
    struct vnc *v = addressed(c, e);
    int64_t when;

    if (!v || parse_time(jv_text(c->args, "time"), &when, e) < 0)
        return -EINVAL;
    return vnc_password_expires(v, when, e);
}

/* ---- clients --------------------------------------------------------------------------------- */

static int cmd_add_client(struct call *c, struct err *e)
{
    const char *name = jv_text(c->args, "fdname");
    struct vnc *v = addressed(c, e);
    int fd;

    if (!v)
        return -EINVAL;
    if (jv_flag(c->args, "tls", false))
        return err_set(e, -ENOTSUP, "tls is not supported");
    fd = c->qmp ? qmp_take_fd(c->qmp, name) : -1;
    if (fd < 0)
        return err_set(e, -ENOENT, "File descriptor named '%.64s' has not been found", name);
    vnc_serve(v, fd, jv_flag(c->args, "skipauth", false));
    return 0;
}

static int query_vnc(struct call *c, struct err *e)
{
    struct vnc *v = c->run->displays ? c->run->displays->vnc : NULL;

    if (v) {
        vnc_describe(v, c->out);
        return 0;
    }
    jw_open(c->out, NULL);
    jw_bool(c->out, "enabled", false);
    jw_close(c->out);
    return 0;
}

static int query_vnc_servers(struct call *c, struct err *e)
{
    struct vnc *v = c->run->displays ? c->run->displays->vnc : NULL;

    jw_open_array(c->out, NULL);
    if (v)
        vnc_describe_server(v, c->out);
    jw_close(c->out);
    return 0;
}

const struct command vnc_commands[] = {
    { .hmp = "set_password", .qmp = "set_password", .args = "protocol:s,password:s,connected:s?,display:s?",
      .help = "password of the VNC server: vnc PASSWORD", .run = cmd_set_password },
    { .hmp = "expire_password", .qmp = "expire_password", .args = "protocol:s,time:s,display:s?",
      .help = "until when it is good: vnc now, never, +SECONDS or seconds since 1970", .run = cmd_expire_password },
    { .qmp = "change-vnc-password", .args = "password:s", .run = cmd_change_password },
    { .qmp = "add_client", .args = "protocol:s,fdname:s,skipauth:b?,tls:b?", .run = cmd_add_client },
    { .qmp = "query-vnc", .returns = "any", .run = query_vnc },
    { .qmp = "query-vnc-servers", .returns = "any", .run = query_vnc_servers },
    { .hmp = NULL }
};
