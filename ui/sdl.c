/*
 * sdl.c - a window, by SDL 2
 *
 * On the main thread, which asks SDL for events every few milliseconds: SDL has no descriptor
 * to wait for. Pixels go to the window when the console says that they changed.
 */
#define _GNU_SOURCE 1
#include <poll.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <SDL.h>
#include "hw/display/console.h"
#include "hw/input/input.h"
#include "ui/display.h"
#include "ui/keymap.h"
#include "ui/kv.h"

#define TICK_NS 12000000         /* between looks at events */

enum grab_mod { MOD_CTRL_ALT, MOD_SHIFT_CTRL_ALT, MOD_RIGHT_CTRL };

struct sdl {
    struct machine *m;
    struct sdl_hooks hooks;
    char *title;
    struct console_viewer viewer;
    unsigned console;            /* number shown */
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture;
    int tick_fd;
    bool gl, close_quits, full_screen, show_cursor;
    enum grab_mod mod;
    bool grabbed, stale;
    bool scaled;                 /* the user chose the window's size */
    bool hot;                    /* a hot key is down: the guest does not see it */
    unsigned buttons;
    int shown_state;             /* run state and grab as the title has them */
};

bool sdl_available(void)
{
    const char *x = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");

    return (x && *x) || (wayland && *wayland);
}

/* ---- picture ------------------------------------------------------------------ */

static void draw(struct sdl *s)
{
    s->stale = false;
    SDL_RenderClear(s->renderer);
    if (s->texture)
        SDL_RenderCopy(s->renderer, s->texture, NULL, NULL);
    SDL_RenderPresent(s->renderer);
}

static void on_resized(struct console_viewer *v)
{
    struct sdl *s = v->opaque;
    struct console *c = v->console;

    if (s->texture)
        SDL_DestroyTexture(s->texture);
    s->texture = SDL_CreateTexture(s->renderer, SDL_PIXELFORMAT_RGB888,
                                   SDL_TEXTUREACCESS_STREAMING, c->width, c->height);
    SDL_RenderSetLogicalSize(s->renderer, c->width, c->height);
    if (!s->scaled && !s->full_screen)
        SDL_SetWindowSize(s->window, c->width, c->height);
    s->stale = true;
}

static void on_damaged(struct console_viewer *v, const struct rect *r)
{
    struct sdl *s = v->opaque;
    struct console *c = v->console;
    const SDL_Rect area = { r->x, r->y, r->w, r->h };

    if (s->texture)
        SDL_UpdateTexture(s->texture, &area, &c->pixels[(size_t)r->y * c->width + r->x],
                          c->width * 4);
    s->stale = true;
}

static void on_refreshed(struct console_viewer *v)
{
    struct sdl *s = v->opaque;

    if (s->stale)
        draw(s);
}

static const char *leave_keys(const struct sdl *s)
{
    static const char *const keys[] = { "Ctrl-Alt-G", "Ctrl-Alt-Shift-G", "Right-Ctrl-G" };

    return keys[s->mod];
}

static void show_title(struct sdl *s)
{
    bool running = s->m->run_state == RUN_RUNNING;
    int state = s->m->run_state << 1 | s->grabbed;
    char text[300];

    if (state == s->shown_state)
        return;
    s->shown_state = state;
    snprintf(text, sizeof text, "%s%s%s%s", s->title, running ? "" : " [Paused]",
             s->grabbed ? " - release the pointer with " : "", s->grabbed ? leave_keys(s) : "");
    SDL_SetWindowTitle(s->window, text);
}

/* ---- grab, full screen, consoles ---------------------------------------------------- */

static void set_grab(struct sdl *s, bool on)
{
    s->grabbed = on;
    SDL_SetWindowGrab(s->window, on);
    SDL_SetRelativeMouseMode(on && !input_is_absolute(s->m));
    show_title(s);
}

static void set_full_screen(struct sdl *s, bool on)
{
    s->full_screen = on;
    SDL_SetWindowFullscreen(s->window, on ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
    s->stale = true;
}

static void unscale(struct sdl *s)
{
    const struct console *c = s->viewer.console;

    s->scaled = false;
    if (c && !s->full_screen)
        SDL_SetWindowSize(s->window, c->width, c->height);
}

static void show_console(struct sdl *s, unsigned n)
{
    struct console *c = console_at(s->m, n);

    if (!c || c == s->viewer.console)
        return;
    console_unview(&s->viewer);
    s->console = n;
    console_view(c, &s->viewer);
}

/* ---- keys -------------------------------------------------------------------------------- */

static bool mod_held(const struct sdl *s, SDL_Keymod held)
{
    switch (s->mod) {
    case MOD_RIGHT_CTRL:
        return held & KMOD_RCTRL;
    case MOD_SHIFT_CTRL_ALT:
        return (held & KMOD_LCTRL) && (held & KMOD_LALT) && (held & KMOD_LSHIFT);
    default:
        return (held & KMOD_LCTRL) && (held & KMOD_LALT);
    }
}

/* False: it is no hot key. */
static bool hot_key(struct sdl *s, SDL_Scancode code)
{
    if (code >= SDL_SCANCODE_1 && code <= SDL_SCANCODE_9)
        show_console(s, code - SDL_SCANCODE_1);
    else if (code == SDL_SCANCODE_G)
        set_grab(s, !s->grabbed);
    else if (code == SDL_SCANCODE_F)
        set_full_screen(s, !s->full_screen);
    else if (code == SDL_SCANCODE_U)
        unscale(s);
    else
        return false;
    return true;
}

static void on_key(struct sdl *s, const SDL_KeyboardEvent *e)
{
    unsigned key = key_by_usage(e->keysym.scancode);
    bool down = e->type == SDL_KEYDOWN;

    if (down && !e->repeat && mod_held(s, e->keysym.mod) && hot_key(s, e->keysym.scancode)) {
        s->hot = true;
        return;
    }
    if (s->hot && (e->repeat || !down)) {   /* its release */
        s->hot = down;
        if (key != KEY_NONE && !(e->keysym.scancode >= SDL_SCANCODE_LCTRL))
            return;
    }
    if (key != KEY_NONE)
        input_key(s->m, key, down);
}

/* ---- pointer -------------------------------------------------------------------------------- */

static unsigned button_bit(unsigned sdl_button)
{
    static const uint8_t bits[] = { [SDL_BUTTON_LEFT] = MOUSE_LEFT, [SDL_BUTTON_MIDDLE] = MOUSE_MIDDLE,
                                    [SDL_BUTTON_RIGHT] = MOUSE_RIGHT, [SDL_BUTTON_X1] = MOUSE_SIDE,
                                    [SDL_BUTTON_X2] = MOUSE_EXTRA };

    return sdl_button < ARRAY_SIZE(bits) ? bits[sdl_button] : 0;
}

static void place_pointer(struct sdl *s, int x, int y, int dz)
{
    const struct console *c = s->viewer.console;

    input_position(s->m, MAX(x, 0), MAX(y, 0), c->width, c->height, dz, s->buttons);
}

static void on_motion(struct sdl *s, const SDL_MouseMotionEvent *e)
{
    if (input_is_absolute(s->m))
        place_pointer(s, e->x, e->y, 0);
    else if (s->grabbed)
        input_motion(s->m, e->xrel, e->yrel, 0, s->buttons);
}

static void on_button(struct sdl *s, const SDL_MouseButtonEvent *e)
{
    bool absolute = input_is_absolute(s->m), down = e->type == SDL_MOUSEBUTTONDOWN;

    if (!absolute && !s->grabbed) {
        if (down && e->button == SDL_BUTTON_LEFT)
            set_grab(s, true);
        return;
    }
    if (down)
        s->buttons |= button_bit(e->button);
    else
        s->buttons &= ~button_bit(e->button);
    if (absolute)
        place_pointer(s, e->x, e->y, 0);
    else
        input_motion(s->m, 0, 0, 0, s->buttons);
}

static void on_wheel(struct sdl *s, const SDL_MouseWheelEvent *e)
{
    int x, y;

    if (input_is_absolute(s->m)) {
        SDL_GetMouseState(&x, &y);
        place_pointer(s, x, y, -e->y);
    } else if (s->grabbed) {
        input_motion(s->m, 0, 0, -e->y, s->buttons);
    }
}

/* ---- events ------------------------------------------------------------------------------------ */

static void on_window(struct sdl *s, const SDL_WindowEvent *e)
{
    const struct console *c = s->viewer.console;

    switch (e->event) {
    case SDL_WINDOWEVENT_SIZE_CHANGED:
    case SDL_WINDOWEVENT_EXPOSED:
        s->stale = true;
        break;
    case SDL_WINDOWEVENT_RESIZED:          /* by the user or the window manager */
        s->scaled = c && ((unsigned)e->data1 != c->width || (unsigned)e->data2 != c->height);
        s->stale = true;
        break;
    case SDL_WINDOWEVENT_FOCUS_LOST:
        input_release_keys(s->m);
        if (s->grabbed)
            set_grab(s, false);
        break;
    case SDL_WINDOWEVENT_CLOSE:
        if (s->close_quits)
            s->hooks.quit(s->hooks.opaque);
        break;
    }
}

static void on_event(struct sdl *s, const SDL_Event *e)
{
    switch (e->type) {
    case SDL_KEYDOWN: case SDL_KEYUP:
        on_key(s, &e->key);
        break;
    case SDL_MOUSEMOTION:
        on_motion(s, &e->motion);
        break;
    case SDL_MOUSEBUTTONDOWN: case SDL_MOUSEBUTTONUP:
        on_button(s, &e->button);
        break;
    case SDL_MOUSEWHEEL:
        on_wheel(s, &e->wheel);
        break;
    case SDL_WINDOWEVENT:
        on_window(s, &e->window);
        break;
    }
}

static void on_tick(void *opaque, int fd, short revents)
{
    struct sdl *s = opaque;
    uint64_t n;
    SDL_Event e;

    if (read(fd, &n, sizeof n) != sizeof n)
        return;
    while (SDL_PollEvent(&e))
        on_event(s, &e);
    show_title(s);
    if (s->stale)
        draw(s);
}

/* ---- the option --------------------------------------------------------------------------------- */

static bool to_switch(const char *val, bool *on)
{
    if (strcmp(val, "on") && strcmp(val, "off") && strcmp(val, "core") && strcmp(val, "es"))
        return false;
    *on = strcmp(val, "off");
    return true;
}

static int set_mod(struct sdl *s, const char *val, struct err *e)
{
    static const char *const names[] = { "lctrl-lalt", "lshift-lctrl-lalt", "rctrl" };

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcmp(val, names[i])) {
            s->mod = i;
            return 0;
        }
    }
    return err_set(e, -EINVAL, "grab-mod=%s: lctrl-lalt, lshift-lctrl-lalt or rctrl is wanted", val);
}

static int set_item(struct sdl *s, const char *key, const char *val, struct err *e)
{
    const struct { const char *name; bool *on; } switches[] = {
        { "gl", &s->gl }, { "window-close", &s->close_quits }, { "full-screen", &s->full_screen },
        { "show-cursor", &s->show_cursor },
    };

    if (!strcmp(key, "grab-mod"))
        return set_mod(s, val, e);
    for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
        if (!strcmp(key, switches[i].name))
            return to_switch(val, switches[i].on) ? 0 :
                   err_set(e, -EINVAL, "%s=%s: on or off is wanted", key, val);
    return err_set(e, -EINVAL, "%s: gl, grab-mod, window-close, full-screen and show-cursor are known",
                   key);
}

static int parse(struct sdl *s, const char *spec, struct err *e)
{
    struct kv_list l = { NULL, 0 };
    int ret = kv_parse(&l, spec, e);

    for (size_t i = 0; ret == 0 && i < l.n; i++)
        if (*l.item[i].key)
            ret = set_item(s, l.item[i].key, l.item[i].val, e);
        else if (i)
            ret = set_item(s, l.item[i].val, "on", e);
    kv_free(&l);
    return ret;
}

/* ---- life ------------------------------------------------------------------------------------------ */

static int open_window(struct sdl *s, struct err *e)
{
    if (!sdl_available() && !getenv("SDL_VIDEODRIVER"))   /* SDL would draw where nobody looks */
        return err_set(e, -ENOENT, "no window: neither DISPLAY nor WAYLAND_DISPLAY is set");
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    SDL_SetHint(SDL_HINT_WINDOWS_NO_CLOSE_ON_ALT_F4, "1");
    if (SDL_Init(SDL_INIT_VIDEO) < 0)
        return err_set(e, -EIO, "no window: %s", SDL_GetError());
    SDL_EnableScreenSaver();
    s->window = SDL_CreateWindow(s->title, SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, 720, 400,
                                 SDL_WINDOW_RESIZABLE);
    if (s->window)
        s->renderer = SDL_CreateRenderer(s->window, -1, s->gl ? SDL_RENDERER_ACCELERATED
                                                              : SDL_RENDERER_SOFTWARE);
    if (s->window && !s->renderer)         /* whatever there is */
        s->renderer = SDL_CreateRenderer(s->window, -1, 0);
    if (!s->renderer)
        return err_set(e, -EIO, "no window: %s", SDL_GetError());
    SDL_StopTextInput();
    SDL_ShowCursor(s->show_cursor || !input_is_absolute(s->m));
    if (s->full_screen)
        set_full_screen(s, true);
    return 0;
}

static int start_ticks(struct sdl *s, struct err *e)
{
    struct itimerspec t = { { 0, TICK_NS }, { 0, TICK_NS } };

    s->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (s->tick_fd < 0)
        return err_set(e, -errno, "no timer: %s", strerror(errno));
    timerfd_settime(s->tick_fd, 0, &t, NULL);
    loop_add_fd(s->m->loop, s->tick_fd, POLLIN, on_tick, s);
    return 0;
}

struct sdl *sdl_new(struct machine *m, const char *spec, const char *title,
                    const struct sdl_hooks *hooks, struct err *e)
{
    struct sdl *s = xzalloc(sizeof *s);
    struct err why = { "" };

    *s = (struct sdl){ .m = m, .hooks = *hooks, .title = xstrdup(title), .tick_fd = -1,
                       .close_quits = true, .shown_state = -1 };
    s->viewer = (struct console_viewer){ .resized = on_resized, .damaged = on_damaged,
                                         .refreshed = on_refreshed, .opaque = s };
    if (parse(s, spec, &why) < 0 || open_window(s, &why) < 0 || start_ticks(s, &why) < 0) {
        err_set(e, -EINVAL, "%s: %s", spec, why.msg);
        sdl_free(s);
        return NULL;
    }
    machine_lock(m);
    show_title(s);
    if (console_at(m, 0))
        console_view(console_at(m, 0), &s->viewer);
    machine_unlock(m);
    return s;
}

void sdl_free(struct sdl *s)
{
    if (!s)
        return;
    machine_lock(s->m);
    console_unview(&s->viewer);
    machine_unlock(s->m);
    if (s->tick_fd >= 0) {
        loop_del_fd(s->m->loop, s->tick_fd);
        close(s->tick_fd);
    }
    if (s->texture)
        SDL_DestroyTexture(s->texture);
    if (s->renderer)
        SDL_DestroyRenderer(s->renderer);
    if (s->window)
        SDL_DestroyWindow(s->window);
    SDL_Quit();
    free(s->title);
    free(s);
}
