/*
 * display.h - who shows the machine: windows, VNC
 */
#ifndef UI_DISPLAY_H
#define UI_DISPLAY_H

#include "hw/hw.h"

#define HELD_MAX 16

struct jw;
struct sdl;
struct vnc;

/** struct displays - the front ends of a machine */
struct displays {
    struct machine *m;
    struct vnc *vnc;                   /* or NULL */
    struct sdl *sdl;                   /* or NULL */
    unsigned buttons;                  /* that the monitor's mouse_button holds */
    struct timer release;              /* sendkey lets go of these */
    unsigned held[HELD_MAX], n_held;
};

/** displays_press() - up to HELD_MAX keys together; they are let go after @hold_ms */
void displays_press(struct displays *d, const unsigned *key, unsigned n, unsigned hold_ms);
/** screendump() - picture of console @head into @file; @format: "png", "ppm" or NULL (ppm).
 *  0 or -errno with @e set */
int screendump(struct machine *m, unsigned head, const char *file, const char *format, struct err *e);
/* ---- VNC (vnc*.c) -------------------------------------------------------------- */

/**
 * vnc_new() - serve console 0 of @m
 * @spec: [HOST]:N, unix:PATH or none, then password=on|off, to=N, websocket=on|[HOST:]PORT,
 *   share=allow-exclusive|force-shared|ignore, connections=N, id=NAME, ipv4=on, ipv6=on
 * @name: desktop name; copied
 *
 * Returns NULL with @e set to "SPEC: why". Clients have threads of their own, so a slow
 * one holds up neither the guest nor other clients.
 */
struct vnc *vnc_new(struct machine *m, const char *spec, const char *name, struct err *e) MUST_CHECK;
/** vnc_free() - disconnect everybody; the machine lock is not held. NULL is allowed */
void vnc_free(struct vnc *v);
/** vnc_password() - from now on; at most 8 bytes count. -EINVAL: it asks for none */
int vnc_password(struct vnc *v, const char *password, struct err *e) MUST_CHECK;
/** vnc_password_expires() - from @when on, in seconds since 1970, it lets nobody in. -EINVAL: it
 *  asks for none */
int vnc_password_expires(struct vnc *v, int64_t when, struct err *e) MUST_CHECK;
/** vnc_is() - whether @id names this server */
bool vnc_is(const struct vnc *v, const char *id);
/** vnc_serve() - take over a connected socket as a client; closed on failure
 *  @skip_auth: let it in without a password */
void vnc_serve(struct vnc *v, int fd, bool skip_auth);
/** vnc_info() - for people; vnc_describe(), vnc_describe_server(): the objects of query-vnc and
 *  query-vnc-servers */
void vnc_info(struct vnc *v, FILE *f);
void vnc_describe(struct vnc *v, struct jw *w);
void vnc_describe_server(struct vnc *v, struct jw *w);

/* ---- SDL (sdl.c) ---------------------------------------------------------------- */

/** struct sdl_hooks - what a window needs of run control */
struct sdl_hooks {
    void *opaque;
    void (*quit)(void *opaque);
};

/**
 * sdl_new() - a window
 * @spec: what follows "sdl": gl=on|off, grab-mod=lctrl-lalt|lshift-lctrl-lalt|rctrl,
 *   window-close=on|off, full-screen=on|off, show-cursor=on|off
 * @title: what the window is called besides the state; copied
 */
struct sdl *sdl_new(struct machine *m, const char *spec, const char *title,
                    const struct sdl_hooks *hooks, struct err *e) MUST_CHECK;
void sdl_free(struct sdl *s);
/** sdl_available() - whether a window could be opened here */
bool sdl_available(void);

#endif
