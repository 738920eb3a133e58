/*
 * console.h - pictures between adapters and those who show them
 *
 * An adapter owns a console and keeps its surface up to date when asked; viewers
 * (a window, a VNC server) hear of rectangles that changed. Neither knows the other.
 * Everything here runs with the machine lock held.
 */
#ifndef HW_DISPLAY_CONSOLE_H
#define HW_DISPLAY_CONSOLE_H

#include "hw/hw.h"

#define CONSOLE_MAX_WIDTH 8192
#define CONSOLE_MAX_HEIGHT 4096

struct console;

/** struct rect - pixels; 0 <= x, x + w <= width, likewise y and h */
struct rect {
    unsigned x, y, w, h;
};

/** struct console_source - the adapter's side */
struct console_source {
    /** update() - bring the surface up to date with console_resize(), pixels and
     *  console_damage(); @all: draw it even where nothing changed */
    void (*update)(void *opaque, bool all);
};

/** struct console_viewer - whoever shows a console; filled in by its owner */
struct console_viewer {
    void (*resized)(struct console_viewer *v);    /* the surface is another one, all black */
    void (*damaged)(struct console_viewer *v, const struct rect *r);
    void (*refreshed)(struct console_viewer *v);  /* after each update; may be NULL */
    void *opaque;
    struct console *console;
    struct console_viewer *next;
};

struct console {
    struct machine *machine;
    const char *name;              /* "VGA" */
    const struct console_source *source;
    void *opaque;
    uint32_t *pixels;              /* 0x00rrggbb, rows without gaps */
    unsigned width, height;
    struct console_viewer *viewers;
    int timer_fd;                  /* -1: nobody watches */
    bool quiet;                    /* the last updates changed nothing: looked at less often */
    unsigned unchanged;            /* updates in a row */
    struct console *next;          /* in m->consoles, in order of creation */
};

/** console_new() - @source and @name stay the caller's; added to m->consoles */
struct console *console_new(struct machine *m, const char *name,
                            const struct console_source *source, void *opaque);
/** console_free() - viewers have gone before */
void console_free(struct console *c);

/* the adapter's side */
/** console_resize() - another size: a new, black surface. Sizes are cut to what
 *  CONSOLE_MAX_* and 1 allow; the same size again changes nothing */
void console_resize(struct console *c, unsigned width, unsigned height);
/** console_damage() - pixels were changed; the rectangle is cut to the surface */
void console_damage(struct console *c, unsigned x, unsigned y, unsigned w, unsigned h);
/**
 * console_put_row() - replace a row of the surface by @row (width pixels)
 * @left, @right: widened to the columns that changed; start with width and 0
 * Returns whether any did.
 */
bool console_put_row(struct console *c, unsigned y, const uint32_t *row,
                     unsigned *left, unsigned *right);

/* the viewers' side */
/** console_view() - start watching: the surface is drawn, resized() and damaged()
 *  follow at once; from now on it is refreshed by a timer */
void console_view(struct console *c, struct console_viewer *v);
/** console_unview() - stop watching; nothing when @v never did */
void console_unview(struct console_viewer *v);
/** console_refresh() - bring the surface up to date now */
void console_refresh(struct console *c);
/** console_at() - console number @n of the machine, or NULL */
struct console *console_at(struct machine *m, unsigned n);

#endif
