/*
 * monitor-display.c - monitor commands about pictures, keys and the pointer
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "hw/input/input.h"
#include "ui/display.h"
#include "ui/keymap.h"
#include "ui/monitor-int.h"
#include "ui/picture.h"
#include "ui/run-int.h"

#define HOLD_MS 100            /* how long sendkey holds keys, unless told */
#define HOLD_MS_MAX 60000

/* The next word of *@rest, NUL-terminated in place; NULL at the end. */
static char *next_word(char **rest)
{
    char *w = *rest + strspn(*rest, " \t");
    size_t n = strcspn(w, " \t");

    if (!n)
        return NULL;
    *rest = w + n;
    if (w[n])
        *(*rest)++ = 0;
    return w;
}

/* ---- screendump --------------------------------------------------------------------- */

int screendump(struct machine *m, unsigned head, const char *file, const char *format_name, struct err *e)
{
    enum picture_format format;
    struct console *c = console_at(m, head);

    if (picture_format_find(format_name ? format_name : "ppm", &format, e) < 0)
        return -EINVAL;
    if (!c)
        return err_set(e, -ENODEV, "there is no display adapter");
    console_refresh(c);
    return picture_write(c->pixels, c->width, c->height, file, format, e);
}

static void cmd_screendump(struct monitor *mon, char *rest)
{
    const char *file = NULL, *format = "ppm";
    struct err e = { "" };

    for (char *w; (w = next_word(&rest)); ) {
        if (!strcmp(w, "-f")) {
            if (!(format = next_word(&rest)))
                break;
        } else if (!file) {
            file = w;
        } else {
            file = format = NULL;
            break;
        }
    }
    if (!file || !format)
        monitor_printf(mon, "screendump: FILE [-f png|ppm] is wanted\n");
    else if (screendump(monitor_machine(mon), 0, file, format, &e) < 0)
        monitor_printf(mon, "screendump: %s\n", e.msg);
}

/* ---- keys ------------------------------------------------------------------------------- */

static struct displays *displays_of(struct monitor *mon)
{
    struct run *r = monitor_hooks(mon)->opaque;

    return r ? r->displays : NULL;
}

/* "ctrl-alt-f1" into @key; returns the first name that is none, or past HELD_MAX, or NULL. */
static const char *parse_keys(const char *text, unsigned *key, unsigned *n_keys)
{
    *n_keys = 0;
    for (size_t n; *text; text += n + (text[n] == '-')) {
        n = strcspn(text, "-");
        key[*n_keys] = *n_keys < HELD_MAX ? key_by_name(text, n) : KEY_NONE;
        if (key[*n_keys] == KEY_NONE)
            return text;
        ++*n_keys;
    }
    return NULL;
}

void displays_press(struct displays *d, const unsigned *key, unsigned n, unsigned hold_ms)
{
    while (d->n_held)                  /* those of the one before */
        input_key(d->m, d->held[--d->n_held], false);
    for (unsigned i = 0; i < n; i++)
        input_key(d->m, d->held[d->n_held++] = key[i], true);
    timer_mod(&d->release, clock_now_ns(&d->m->clock) + (int64_t)hold_ms * 1000000);
}

static void cmd_sendkey(struct monitor *mon, char *rest)
{
    char *keys = next_word(&rest), *ms = next_word(&rest), *end = NULL;
    unsigned long hold = ms ? strtoul(ms, &end, 0) : HOLD_MS;
    struct displays *d = displays_of(mon);
    unsigned key[HELD_MAX + 1], n;
    const char *bad;

    if (!d || !keys || (ms && (*end || hold > HOLD_MS_MAX))) {
        monitor_printf(mon, "sendkey: KEY[-KEY...] [MILLISECONDS] is wanted\n");
        return;
    }
    if ((bad = parse_keys(keys, key, &n))) {
        if (n == HELD_MAX)
            monitor_printf(mon, "sendkey: more than %d keys at once\n", HELD_MAX);
        else
            monitor_printf(mon, "sendkey: unknown key: '%.*s'\n", (int)strcspn(bad, "-"), bad);
        return;
    }
    displays_press(d, key, n, (unsigned)hold);
}

/* ---- pointer -------------------------------------------------------------------------------- */

static bool number(char **rest, long min, long max, long *v)
{
    char *w = next_word(rest), *end;

    if (!w)
        return false;
    *v = strtol(w, &end, 0);
    return !*end && *v >= min && *v <= max;
}

static void cmd_mouse_move(struct monitor *mon, char *rest)
{
    struct machine *m = monitor_machine(mon);
    struct displays *d = displays_of(mon);
    long dx, dy, dz = 0;

    if (!number(&rest, -65535, 65535, &dx) || !number(&rest, -65535, 65535, &dy) ||
        (*rest && !number(&rest, -127, 127, &dz))) {
        monitor_printf(mon, "mouse_move: DX DY [DZ] is wanted\n");
        return;
    }
    if (input_is_absolute(m))          /* then they are a place, 0 to INPUT_POSITION_MAX */
        input_position(m, MAX(dx, 0), MAX(dy, 0), INPUT_POSITION_MAX + 1, INPUT_POSITION_MAX + 1, dz,
                       d ? d->buttons : 0);
    else
        input_motion(m, dx, dy, dz, d ? d->buttons : 0);
}

static void cmd_mouse_button(struct monitor *mon, char *rest)
{
    struct displays *d = displays_of(mon);
    long state;

    if (!d || !number(&rest, 0, 31, &state)) {
        monitor_printf(mon, "mouse_button: STATE is wanted: 1 left, 2 right, 4 middle, added up\n");
        return;
    }
    d->buttons = state;
    input_motion(monitor_machine(mon), 0, 0, 0, d->buttons);
}

static void print_pointer(void *opaque, const struct input_pointer *p)
{
    monitor_printf(opaque, "%c Mouse #%u: %s%s\n", p->used ? '*' : ' ', p->number, p->name,
                   p->absolute ? " (absolute)" : "");
}

static void info_mice(struct monitor *mon, char *rest)
{
    input_list(monitor_machine(mon), print_pointer, mon);
}

static void cmd_mouse_set(struct monitor *mon, char *rest)
{
    long n;

    if (!number(&rest, 0, INT32_MAX, &n))
        monitor_printf(mon, "mouse_set: a number is wanted (info mice lists them)\n");
    else if (!input_choose(monitor_machine(mon), n))
        monitor_printf(mon, "mouse_set: there is no mouse #%ld (info mice lists them)\n", n);
}

/* ---- VNC ---------------------------------------------------------------------------------------- */

static void info_vnc(struct monitor *mon, char *rest)
{
    struct displays *d = displays_of(mon);
    char *text = NULL;
    size_t len;
    FILE *f = d && d->vnc ? open_memstream(&text, &len) : NULL;

    if (!f) {
        monitor_printf(mon, "Server: disabled\n");
        return;
    }
    vnc_info(d->vnc, f);
    fclose(f);
    monitor_printf(mon, "%s", text);
    free(text);
}

const struct monitor_cmd display_commands[] = {
    { "screendump", "FILE [-f png|ppm]", "write the picture to a file", cmd_screendump },
    { "sendkey", "KEY[-KEY...] [MS]", "press keys together, for MS milliseconds", cmd_sendkey },
    { "mouse_move", "DX DY [DZ]", "move the pointer (a tablet's: to that place), turn the wheel",
      cmd_mouse_move },
    { "mouse_button", "STATE", "hold buttons: 1 left, 2 right, 4 middle", cmd_mouse_button },
    { "mouse_set", "N", "use this mouse from now on", cmd_mouse_set },
    { NULL, NULL, NULL, NULL }
};

const struct monitor_cmd display_infos[] = {
    { "vnc", "", "the VNC server and its clients", info_vnc },
    { "mice", "", "pointing devices; * is in use", info_mice },
    { NULL, NULL, NULL, NULL }
};
