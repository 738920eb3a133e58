/*
 * display.c - opening and closing the front ends of a machine
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "hw/input/input.h"
#include "ui/run-int.h"

/* ---- VNC, when it is not built in ----------------------------------------------- */

#ifdef CONFIG_VNC
static const bool vnc_built = true;
#else
static const bool vnc_built = false;
struct vnc *vnc_new(struct machine *m, const char *spec, const char *name, struct err *e)
{
    err_set(e, -ENOTSUP, "%s: not built in (LibVNCServer was not there)", spec);
    return NULL;
}
void vnc_free(struct vnc *v) { }
int vnc_password(struct vnc *v, const char *password, struct err *e) { return -ENOTSUP; }
int vnc_password_expires(struct vnc *v, int64_t when, struct err *e) { return -ENOTSUP; }
bool vnc_is(const struct vnc *v, const char *id) { return false; }
void vnc_serve(struct vnc *v, int fd, bool skip_auth) { }
void vnc_info(struct vnc *v, FILE *f) { }
void vnc_describe(struct vnc *v, struct jw *w) { }
void vnc_describe_server(struct vnc *v, struct jw *w) { }
#endif

#ifndef CONFIG_SDL
struct sdl *sdl_new(struct machine *m, const char *spec, const char *title,
                    const struct sdl_hooks *hooks, struct err *e)
{
    err_set(e, -ENOTSUP, "sdl: not built in (SDL was not there)");
    return NULL;
}
void sdl_free(struct sdl *s) { }
bool sdl_available(void) { return false; }
#endif

/* ---- life ---------------------------------------------------------------------------- */

static void release_keys(void *opaque)
{
    struct displays *d = opaque;

    while (d->n_held)
        input_key(d->m, d->held[--d->n_held], false);
}

static void window_closed(void *opaque)
{
    struct run *r = opaque;

    machine_request_shutdown(r->m, CAUSE_MONITOR, 0);
}

static int open_vnc(struct run *r, struct err *e)
{
    struct err why = { "" };
    char *name = r->opt->name ? xasprintf("QEMU (%s)", r->opt->name) : xstrdup("QEMU");

    r->displays->vnc = vnc_new(r->m, r->opt->vnc, name, &why);
    free(name);
    return r->displays->vnc ? 0 : err_set(e, -EINVAL, "-vnc %s", why.msg);
}

static int open_window(struct run *r, struct err *e)
{
    const struct sdl_hooks hooks = { .opaque = r, .quit = window_closed };
    struct err why = { "" };
    char *title = r->opt->name ? xasprintf("Transom (%s)", r->opt->name) : xstrdup("Transom");

    r->displays->sdl = sdl_new(r->m, r->opt->sdl, title, &hooks, &why);
    free(title);
    if (!r->displays->sdl && !r->opt->display_given) {
        fprintf(stderr, "transom: %s; going on without\n", why.msg);   /* nobody asked for one */
        return 0;
    }
    return r->displays->sdl ? 0 : err_set(e, -EINVAL, "-display %s", why.msg);
}

int run_displays(struct run *r, struct err *e)
{
    int ret = 0;

    r->displays = xzalloc(sizeof *r->displays);
    r->displays->m = r->m;
    timer_init(&r->displays->release, &r->m->timers, release_keys, r->displays);
    if (r->opt->vnc && (vnc_built || strcmp(r->opt->vnc, "none")))
        ret = open_vnc(r, e);
    if (ret == 0 && r->opt->sdl)
        ret = open_window(r, e);
    return ret;
}

void run_displays_free(struct run *r)
{
    if (!r->displays)
        return;
    timer_del(&r->displays->release);
    vnc_free(r->displays->vnc);
    sdl_free(r->displays->sdl);
    free(r->displays);
    r->displays = NULL;
}
