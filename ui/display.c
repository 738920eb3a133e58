/*
 * display.c - opening and closing the front ends of a machine
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "hw/input/input.h"
#include "ui/run-int.h"

/* ---- VNC, when it is not built in ----------------------------------------------- */

#ifndef CONFIG_VNC
struct vnc *vnc_new(struct machine *m, const char *spec, const char *name, struct err *e)
{
    err_set(e, -ENOTSUP, "%s: not built in (LibVNCServer was not there)", spec);
    return NULL;
}
void vnc_free(struct vnc *v) { }
int vnc_password(struct vnc *v, const char *password, struct err *e) { return -ENOTSUP; }
void vnc_info(struct vnc *v, FILE *f) { }
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

int displays_vnc_password(struct displays *d, const char *password, struct err *e)
{
    if (!d || !d->vnc)
        return err_set(e, -ENOENT, "there is no VNC server (-vnc)");
    if (!password)
        return err_set(e, -EINVAL, "a password is wanted");
    return vnc_password(d->vnc, password, e);
}

void displays_vnc_info(struct displays *d, FILE *f)
{
    if (d && d->vnc)
        vnc_info(d->vnc, f);
    else
        fprintf(f, "Server: disabled\n");
}

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
    if (r->opt->vnc)
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
