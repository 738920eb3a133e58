/*
 * input.c - keys and pointer to whichever device takes them
 */
#include <stdlib.h>
#include "hw/input/i8042.h"
#include "hw/input/input.h"

#define KEYS (KEY_CODE_MAX + 1)

struct input {
    struct input_sink *sinks;      /* newest first */
    bool held[KEYS];
    bool placed;                   /* x, y: where the pointer was last */
    unsigned x, y;
};

void input_attach(struct machine *m, struct input_sink *s)
{
    if (!m->input)
        m->input = xzalloc(sizeof *m->input);
    s->next = m->input->sinks;
    m->input->sinks = s;
}

void input_detach(struct machine *m, struct input_sink *s)
{
    if (!m->input)
        return;
    for (struct input_sink **p = &m->input->sinks; *p; p = &(*p)->next) {
        if (*p == s) {
            *p = s->next;
            return;
        }
    }
}

void input_free(struct machine *m)
{
    free(m->input);
    m->input = NULL;
}

static bool ready(const struct input_sink *s)
{
    return !s->ready || s->ready(s->opaque);
}

static struct input_sink *first_sink(const struct machine *m)
{
    return m->input ? m->input->sinks : NULL;
}

static struct input_sink *position_sink(const struct machine *m)
{
    for (struct input_sink *s = first_sink(m); s; s = s->next)
        if (s->position && ready(s))
            return s;
    return NULL;
}

void input_key(struct machine *m, unsigned keycode, bool down)
{
    if (keycode >= KEYS)
        return;
    for (struct input_sink *s = first_sink(m); s; s = s->next) {
        if (s->key && ready(s)) {
            m->input->held[keycode] = down;
            s->key(s->opaque, keycode, down);
            return;
        }
    }
}

void input_release_keys(struct machine *m)
{
    for (unsigned k = 0; m->input && k < KEYS; k++)
        if (m->input->held[k])
            input_key(m, k, false);
}

void input_motion(struct machine *m, int dx, int dy, int dz, unsigned buttons)
{
    for (struct input_sink *s = first_sink(m); s; s = s->next) {
        if (s->motion && ready(s)) {
            s->motion(s->opaque, dx, dy, dz, buttons);
            return;
        }
    }
}

static unsigned scaled(unsigned at, unsigned size)
{
    return size > 1 ? (uint64_t)MIN(at, size - 1) * INPUT_POSITION_MAX / (size - 1) : 0;
}

void input_position(struct machine *m, unsigned x, unsigned y, unsigned width, unsigned height,
                    int dz, unsigned buttons)
{
    struct input_sink *s = position_sink(m);
    struct input *in = m->input;

    if (s) {
        s->position(s->opaque, scaled(x, width), scaled(y, height), dz, buttons);
    } else if (in) {
        int dx = in->placed ? (int)x - (int)in->x : 0, dy = in->placed ? (int)y - (int)in->y : 0;

        input_motion(m, dx, dy, dz, buttons);
        in->x = x;
        in->y = y;
        in->placed = true;
    }
}

bool input_is_absolute(const struct machine *m)
{
    return position_sink(m) != NULL;
}
