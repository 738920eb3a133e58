/*
 * display.h - who shows the machine: windows, VNC
 */
#ifndef UI_DISPLAY_H
#define UI_DISPLAY_H

#include "hw/hw.h"

#define HELD_MAX 16

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
/** displays_vnc_password() - needs -vnc ...,password=on; 0 or -errno with @e set */
int displays_vnc_password(struct displays *d, const char *password, struct err *e);
/** displays_vnc_info() - as "info vnc" prints it; @d may be NULL */
void displays_vnc_info(struct displays *d, FILE *f);

/* ---- VNC (vnc.c) -------------------------------------------------------------- */

/**
 * vnc_new() - serve console 0 of @m
 * @spec: [HOST]:N or unix:PATH, then password=on|off, to=N, websocket=on|[HOST:]PORT,
 *   share=allow-exclusive|force-shared|ignore, connections=N
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
void vnc_info(struct vnc *v, FILE *f);
/** vnc_serve() - take over a connected socket as a client; closed on failure */
void vnc_serve(struct vnc *v, int fd);

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
