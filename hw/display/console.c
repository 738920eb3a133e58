/*
 * console.c - surfaces, their viewers, and the timer that refreshes them
 *
 * The timer follows host time, since a paused machine is looked at, too. When nothing has
 * changed for a while it ticks less often; input makes it tick at full rate again only
 * through what the guest then draws.
 */
#define _GNU_SOURCE 1
#include <poll.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "hw/display/console.h"

#define PERIOD_NS 25000000
#define QUIET_NS 60000000
#define QUIET_AFTER 40       /* updates without a change */

struct console *console_new(struct machine *m, const char *name,
                            const struct console_source *source, void *opaque)
{
    struct console *c = xzalloc(sizeof *c), **end = &m->consoles;

    *c = (struct console){ .machine = m, .name = name, .source = source, .opaque = opaque,
                           .timer_fd = -1 };
    while (*end)
        end = &(*end)->next;
    *end = c;
    return c;
}

void console_free(struct console *c)
{
    if (!c)
        return;
    assert(!c->viewers);
    for (struct console **p = &c->machine->consoles; *p; p = &(*p)->next) {
        if (*p == c) {
            *p = c->next;
            break;
        }
    }
    free(c->pixels);
    free(c);
}

struct console *console_at(struct machine *m, unsigned n)
{
    struct console *c = m->consoles;

    while (c && n--)
        c = c->next;
    return c;
}

/* ---- the adapter's side -------------------------------------------------- */

void console_resize(struct console *c, unsigned width, unsigned height)
{
    width = MIN(MAX(width, 1u), CONSOLE_MAX_WIDTH);
    height = MIN(MAX(height, 1u), CONSOLE_MAX_HEIGHT);
    if (c->pixels && width == c->width && height == c->height)
        return;
    free(c->pixels);
    c->pixels = xzalloc((size_t)width * height * sizeof *c->pixels);
    c->width = width;
    c->height = height;
    c->unchanged = 0;
    for (struct console_viewer *v = c->viewers; v; v = v->next)
        v->resized(v);
}

void console_damage(struct console *c, unsigned x, unsigned y, unsigned w, unsigned h)
{
    struct rect r = { x, y, w, h };

    if (x >= c->width || y >= c->height)
        return;
    r.w = MIN(w, c->width - x);
    r.h = MIN(h, c->height - y);
    c->unchanged = 0;
    for (struct console_viewer *v = c->viewers; r.w && r.h && v; v = v->next)
        v->damaged(v, &r);
}

bool console_put_row(struct console *c, unsigned y, const uint32_t *row,
                     unsigned *left, unsigned *right)
{
    uint32_t *old = &c->pixels[(size_t)y * c->width];
    unsigned a = 0, b = c->width;

    if (!memcmp(old, row, c->width * sizeof *row))
        return false;
    while (old[a] == row[a])
        a++;
    while (old[b - 1] == row[b - 1])
        b--;
    memcpy(&old[a], &row[a], (b - a) * sizeof *row);
    *left = MIN(*left, a);
    *right = MAX(*right, b);
    return true;
}

/* ---- refreshing ------------------------------------------------------------ */

static void set_timer(struct console *c, int64_t ns)
{
    struct itimerspec t = { { 0, ns }, { 0, ns } };

    timerfd_settime(c->timer_fd, 0, &t, NULL);
}

static void set_pace(struct console *c)
{
    bool quiet = c->unchanged >= QUIET_AFTER;

    if (quiet == c->quiet)
        return;
    c->quiet = quiet;
    set_timer(c, quiet ? QUIET_NS : PERIOD_NS);
}

static void update(struct console *c, bool all)
{
    c->unchanged++;
    c->source->update(c->opaque, all);
    for (struct console_viewer *v = c->viewers; v; v = v->next)
        if (v->refreshed)
            v->refreshed(v);
}

void console_refresh(struct console *c)
{
    update(c, false);
}

static void on_timer(void *opaque, int fd, short revents)
{
    struct console *c = opaque;
    uint64_t n;

    if (read(fd, &n, sizeof n) != sizeof n)
        return;
    update(c, false);
    set_pace(c);
}

/* ---- viewers ------------------------------------------------------------------ */

static void start_timer(struct console *c)
{
    c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (c->timer_fd < 0)
        return;              /* no descriptors left: a still picture */
    c->quiet = false;
    c->unchanged = 0;
    set_timer(c, PERIOD_NS);
    loop_add_fd(c->machine->loop, c->timer_fd, POLLIN, on_timer, c);
}

static void stop_timer(struct console *c)
{
    if (c->timer_fd < 0)
        return;
    if (c->machine->loop)
        loop_del_fd(c->machine->loop, c->timer_fd);
    close(c->timer_fd);
    c->timer_fd = -1;
}

void console_view(struct console *c, struct console_viewer *v)
{
    struct rect all;

    console_refresh(c);
    v->console = c;
    v->next = c->viewers;
    c->viewers = v;
    if (c->timer_fd < 0)
        start_timer(c);
    all = (struct rect){ 0, 0, c->width, c->height };
    v->resized(v);
    v->damaged(v, &all);
    if (v->refreshed)
        v->refreshed(v);
}

void console_unview(struct console_viewer *v)
{
    struct console *c = v->console;

    if (!c)
        return;
    for (struct console_viewer **p = &c->viewers; *p; p = &(*p)->next) {
        if (*p == v) {
            *p = v->next;
            break;
        }
    }
    v->console = NULL;
    if (!c->viewers)
        stop_timer(c);
}
