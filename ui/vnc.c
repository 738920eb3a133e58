/*
 * vnc.c - the VNC server: who is connected, passwords
 */
#define _GNU_SOURCE 1
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <rfb/rfb.h>
#include "ui/vnc-int.h"

/* ---- the console's side ------------------------------------------------------------ */

static void tell_all(struct vnc *v, const struct rect *r)
{
    pthread_mutex_lock(&v->lock);
    for (struct vnc_client *c = v->clients; c; c = c->next)
        vnc_client_damage(c, r);
    pthread_mutex_unlock(&v->lock);
}

static void on_resized(struct console_viewer *viewer)
{
    tell_all(viewer->opaque, NULL);
}

static void on_damaged(struct console_viewer *viewer, const struct rect *r)
{
    tell_all(viewer->opaque, r);
}

/* ---- clients ------------------------------------------------------------------------- */

/* Take those whose thread has ended out of the list. */
static struct vnc_client *take_finished(struct vnc *v, bool all)
{
    struct vnc_client *out = NULL;

    pthread_mutex_lock(&v->lock);
    for (struct vnc_client **p = &v->clients; *p; ) {
        struct vnc_client *c = *p;

        if (!all && !__atomic_load_n(&c->finished, __ATOMIC_SEQ_CST)) {
            p = &c->next;
            continue;
        }
        *p = c->next;
        c->next = out;
        out = c;
        v->n_clients--;
    }
    pthread_mutex_unlock(&v->lock);
    return out;
}

static void reap(struct vnc *v, bool all)
{
    struct vnc_client *c = take_finished(v, all), *next;

    for (struct vnc_client *k = c; all && k; k = k->next)
        vnc_client_stop(k);
    for (; c; c = next) {
        next = c->next;
        vnc_client_free(c);
    }
}

void vnc_take(struct vnc *v, int fd, const struct vnc_end *server, bool skip_auth)
{
    int one = 1;

    reap(v, false);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);   /* no matter when it is none */
    pthread_mutex_lock(&v->lock);
    if (v->n_clients >= v->max_clients)
        close(fd);
    else if (vnc_client_start(v, fd, server, skip_auth) < 0)
        log_ev(LOG_DISPLAY, "vnc: no thread for a client");
    pthread_mutex_unlock(&v->lock);
}

void vnc_serve(struct vnc *v, int fd, bool skip_auth)
{
    vnc_take(v, fd, &v->listener[0].end, skip_auth);
}

/* ---- life -------------------------------------------------------------------------------------- */

static void library_log(const char *format, ...)
{
    char text[400];
    va_list ap;

    if (!log_on(LOG_DISPLAY))
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    log_write("vnc: %s", text);
}

struct vnc *vnc_new(struct machine *m, const char *spec, const char *name, struct err *e)
{
    struct vnc *v = xzalloc(sizeof *v);
    struct err why = { "" };

    v->m = m;
    v->name = xstrdup(name);
    v->max_clients = VNC_CLIENTS_MAX;
    v->expires = INT64_MAX;
    v->listener[0].end.family = "unknown";
    snprintf(v->id, sizeof v->id, "default");
    pthread_mutex_init(&v->encoder, NULL);
    pthread_mutex_init(&v->lock, NULL);
    v->viewer = (struct console_viewer){ .resized = on_resized, .damaged = on_damaged, .opaque = v };
    rfbLog = rfbErr = library_log;
    if (vnc_open(v, spec, &why) == 0)
        return v;
    err_set(e, -EINVAL, "%s: %s", spec, why.msg);
    vnc_free(v);
    return NULL;
}

void vnc_free(struct vnc *v)
{
    if (!v)
        return;
    for (unsigned i = 0; i < v->n_listeners; i++) {
        loop_del_fd(v->m->loop, v->listener[i].fd);
        close(v->listener[i].fd);
    }
    reap(v, true);
    if (v->unix_path)
        unlink(v->unix_path);
    pthread_mutex_destroy(&v->encoder);
    pthread_mutex_destroy(&v->lock);
    free(v->unix_path);
    free(v->name);
    free(v);
}

/* ---- passwords ----------------------------------------------------------------------------------- */

static int no_password(struct err *e)
{
    return err_set(e, -EINVAL, "the server asks for no password (-vnc ...,password=on)");
}

int vnc_password(struct vnc *v, const char *password, struct err *e)
{
    if (!v->need_password)
        return no_password(e);
    pthread_mutex_lock(&v->lock);
    memset(v->password, 0, sizeof v->password);
    memcpy(v->password, password, MIN(strlen(password), sizeof v->password - 1));
    v->password_set = true;
    pthread_mutex_unlock(&v->lock);
    return 0;
}

int vnc_password_expires(struct vnc *v, int64_t when, struct err *e)
{
    if (!v->need_password)
        return no_password(e);
    pthread_mutex_lock(&v->lock);
    v->expires = when;
    pthread_mutex_unlock(&v->lock);
    return 0;
}

bool vnc_is(const struct vnc *v, const char *id)
{
    return !strcmp(v->id, id);
}
