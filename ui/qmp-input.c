/*
 * qmp-input.c - keys, pointer, pictures and VNC for programs
 */
#include "hw/input/input.h"
#include "ui/commands-int.h"
#include "ui/display.h"
#include "ui/keymap.h"

#define HOLD_MS     100
#define HOLD_MS_MAX 60000

/* ---- keys -------------------------------------------------------------------------- */

/* { "type": "qcode" | "number", "data": ... } */
static unsigned key_value(const struct jv *v)
{
    const char *type = jv_text(v, "type"), *name = jv_text(v, "data");
    char number[16];

    if (type && !strcmp(type, "qcode") && name)
        return key_by_name(name, strlen(name));
    if (!type || strcmp(type, "number"))
        return KEY_NONE;
    snprintf(number, sizeof(number), "%#llx", (unsigned long long)jv_number(v, "data", 0) & 0xffff);
    return key_by_name(number, strlen(number));
}

static int cmd_send_key(struct call *c, struct err *e)
{
    const struct jv *keys = jv_get(c->args, "keys");
    int64_t hold = jv_number(c->args, "hold-time", HOLD_MS);
    struct displays *d = c->run->displays;
    unsigned key[HELD_MAX], n = 0;

    if (keys->type != JV_ARRAY || hold < 0 || hold > HOLD_MS_MAX || !d)
        return err_set(e, -EINVAL, "keys are a list, hold-time is 0 to %d ms", HOLD_MS_MAX);
    for (const struct jv *k = keys->child; k; k = k->next) {
        if (n == HELD_MAX || (key[n] = key_value(k)) == KEY_NONE)
            return err_set(e, -EINVAL, "Invalid parameter 'keys'");
        n++;
    }
    displays_press(d, key, n, (unsigned)hold);
    return 0;
}

/* ---- input-send-event ------------------------------------------------------------------ */

/** struct pointer - what a list of events adds up to */
struct pointer {
    int dx, dy, dz;
    int64_t x, y;                /* -1: not said */
    unsigned buttons;
    bool moved;
};

static int button(struct pointer *p, const struct jv *data)
{
    static const struct { const char *name; unsigned bit; } names[] = {
        { "left", MOUSE_LEFT }, { "right", MOUSE_RIGHT }, { "middle", MOUSE_MIDDLE },
        { "side", MOUSE_SIDE }, { "extra", MOUSE_EXTRA },
    };
    const char *name = jv_text(data, "button");
    bool down = jv_flag(data, "down", false);

    if (!name)
        return -EINVAL;
    if (!strcmp(name, "wheel-up") || !strcmp(name, "wheel-down")) {
        p->dz += !down ? 0 : name[6] == 'u' ? -1 : 1;
        p->moved |= down;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(name, names[i].name)) {
            p->buttons = down ? p->buttons | names[i].bit : p->buttons & ~names[i].bit;
            p->moved = true;
            return 0;
        }
    return -EINVAL;
}

static int axis(struct pointer *p, const struct jv *data, bool absolute)
{
    const char *name = jv_text(data, "axis");
    int64_t v = jv_number(data, "value", 0);
    bool x = name && !strcmp(name, "x");

    if (!name || (!x && strcmp(name, "y")) || v < -65535 || v > 65535)
        return -EINVAL;
    if (absolute)
        *(x ? &p->x : &p->y) = MAX(0, MIN(v, INPUT_POSITION_MAX));
    else
        *(x ? &p->dx : &p->dy) += (int)v;
    p->moved = true;
    return 0;
}

static int event(struct call *c, struct pointer *p, const struct jv *v, bool act)
{
    const char *type = jv_text(v, "type");
    const struct jv *data = jv_get(v, "data");
    unsigned key;

    if (!type || !data)
        return -EINVAL;
    if (!strcmp(type, "btn"))
        return button(p, data);
    if (!strcmp(type, "rel") || !strcmp(type, "abs"))
        return axis(p, data, *type == 'a');
    if (strcmp(type, "key") || (key = key_value(jv_get(data, "key"))) == KEY_NONE)
        return -EINVAL;
    if (act)
        input_key(c->m, key, jv_flag(data, "down", false));
    return 0;
}

/* All or nothing: first they are looked at, then they happen. */
static int cmd_input_send_event(struct call *c, struct err *e)
{
    const struct jv *list = jv_get(c->args, "events");
    struct displays *d = c->run->displays;
    struct pointer p = { .x = -1, .y = -1 };

    if (list->type != JV_ARRAY || !d)
        return err_set(e, -EINVAL, "Invalid parameter type for 'events', expected: array");
    for (const struct jv *v = list->child; v; v = v->next)
        if (event(c, &p, v, false) < 0)
            return err_set(e, -EINVAL, "Invalid parameter 'events'");
    p = (struct pointer){ .x = -1, .y = -1, .buttons = d->buttons };
    for (const struct jv *v = list->child; v; v = v->next)
        if (event(c, &p, v, true) < 0)
            return -EINVAL;            /* not reached */
    d->buttons = p.buttons;
    if (p.x >= 0 || p.y >= 0)
        input_position(c->m, (unsigned)MAX(p.x, 0), (unsigned)MAX(p.y, 0), INPUT_POSITION_MAX + 1,
                       INPUT_POSITION_MAX + 1, p.dz, p.buttons);
    else if (p.moved)
        input_motion(c->m, p.dx, p.dy, p.dz, p.buttons);
    return 0;
}

/* ---- pictures ---------------------------------------------------------------------------- */

static int cmd_screendump(struct call *c, struct err *e)
{
    int64_t head = jv_number(c->args, "head", 0);

    if (head < 0 || head > 15)
        return err_set(e, -EINVAL, "there is no head %lld", (long long)head);
    return screendump(c->m, (unsigned)head, jv_text(c->args, "filename"), jv_text(c->args, "format"), e);
}

const struct command input_commands[] = {
    { .qmp = "send-key", .args = "keys:j,hold-time:i?", .run = cmd_send_key },
    { .qmp = "input-send-event", .args = "events:j,device:s?,head:i?", .run = cmd_input_send_event },
    { .qmp = "screendump", .args = "filename:F,head:i?,format:s?", .run = cmd_screendump },
    { .hmp = NULL }
};
