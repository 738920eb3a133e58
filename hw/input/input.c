/*
 * input.c - keys and pointer to whichever device takes them
 */
#include <stdlib.h>
#include "hw/input/i8042.h"
#include "hw/input/input.h"
#include "hw/outside.h"

#define KEYS (KEY_CODE_MAX + 1)

struct input {
    struct input_sink *sinks;      /* newest first */
    struct input_sink *chosen;     /* by the user, as the pointer; or NULL */
    bool held[KEYS];
    bool placed;                   /* x, y: where the pointer was last */
    unsigned x, y;
    unsigned at_x, at_y;           /* the same, as devices get it */
    unsigned next_number;
};

void input_attach(struct machine *m, struct input_sink *s)
{
    if (!m->input)
        m->input = xzalloc(sizeof *m->input);
    s->number = m->input->next_number++;
    if (s->motion || s->position)
        m->input->chosen = NULL;
    s->next = m->input->sinks;
    m->input->sinks = s;
}

void input_detach(struct machine *m, struct input_sink *s)
{
    if (!m->input)
        return;
    if (m->input->chosen == s)
        m->input->chosen = NULL;
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

/* The pointer in use; NULL: there is none. */
static struct input_sink *pointer_sink(const struct machine *m)
{
    if (m->input && m->input->chosen && ready(m->input->chosen))
        return m->input->chosen;
    for (struct input_sink *s = first_sink(m); s; s = s->next)
        if ((s->position || s->motion) && ready(s))
            return s;
    return NULL;
}

static struct input_sink *position_sink(const struct machine *m)
{
    struct input_sink *s = pointer_sink(m);

    return s && s->position ? s : NULL;
}

static void key(struct machine *m, unsigned keycode, bool down)
{
    for (struct input_sink *s = first_sink(m); s; s = s->next) {
        if (s->key && ready(s)) {
            m->input->held[keycode] = down;
            s->key(s->opaque, keycode, down);
            return;
        }
    }
}

static void motion(struct machine *m, int dx, int dy, int dz, unsigned buttons)
{
    struct input_sink *s = pointer_sink(m);

    if (s && s->motion)
        s->motion(s->opaque, dx, dy, dz, buttons);
    else if (s)                        /* it has no distances: buttons and wheel at least */
        s->position(s->opaque, m->input->at_x, m->input->at_y, dz, buttons);
}

static unsigned scaled(unsigned at, unsigned size)
{
    return size > 1 ? (uint64_t)MIN(at, size - 1) * INPUT_POSITION_MAX / (size - 1) : 0;
}

static void position(struct machine *m, unsigned x, unsigned y, unsigned width, unsigned height,
                     int dz, unsigned buttons)
{
    struct input_sink *s = position_sink(m);
    struct input *in = m->input;

    if (s) {
        in->at_x = scaled(x, width);
        in->at_y = scaled(y, height);
        s->position(s->opaque, in->at_x, in->at_y, dz, buttons);
    } else if (in) {
        int dx = in->placed ? (int)x - (int)in->x : 0, dy = in->placed ? (int)y - (int)in->y : 0;

        motion(m, dx, dy, dz, buttons);
        in->x = x;
        in->y = y;
        in->placed = true;
    }
}

/* ---- from front ends --------------------------------------------------------------------- */

/* outside_post()'s */
static void happen(void *target, const struct outside_event *ev)
{
    struct machine *m = target;
    const int64_t *a = ev->arg;

    switch (a[0]) {
    case OUTSIDE_KEY:
        key(m, (unsigned)a[1], a[2]);
        break;
    case OUTSIDE_MOTION:
        motion(m, (int)a[1], (int)a[2], (int)a[3], (unsigned)a[4]);
        break;
    case OUTSIDE_POSITION:
        position(m, (unsigned)(a[1] >> 32), (uint32_t)a[1], (unsigned)(a[2] >> 32), (uint32_t)a[2],
                 (int)a[3], (unsigned)a[4]);
        break;
    }
}

static void post(struct machine *m, enum outside_input what, int64_t a, int64_t b, int64_t c, int64_t d)
{
    struct outside_event ev = { .kind = OUTSIDE_INPUT, .arg = { what, a, b, c, d } };

    (void)outside_post(m, &ev, happen, m);
}

void input_key(struct machine *m, unsigned keycode, bool down)
{
    if (keycode < KEYS)
        post(m, OUTSIDE_KEY, keycode, down, 0, 0);
}

void input_release_keys(struct machine *m)
{
    for (unsigned k = 0; m->input && k < KEYS; k++)
        if (m->input->held[k])
            input_key(m, k, false);
}

void input_motion(struct machine *m, int dx, int dy, int dz, unsigned buttons)
{
    post(m, OUTSIDE_MOTION, dx, dy, dz, buttons);
}

void input_position(struct machine *m, unsigned x, unsigned y, unsigned width, unsigned height,
                    int dz, unsigned buttons)
{
    post(m, OUTSIDE_POSITION, (int64_t)((uint64_t)x << 32 | y), (int64_t)((uint64_t)width << 32 | height), dz, buttons);
}

bool input_is_absolute(const struct machine *m)
{
    return position_sink(m) != NULL;
}

/* ---- choosing ------------------------------------------------------------------------- */

void input_list(const struct machine *m, void (*show)(void *opaque, const struct input_pointer *p),
                void *opaque)
{
    struct input_sink *used = pointer_sink(m);

    for (unsigned n = 0; m->input && n < m->input->next_number; n++) {
        for (struct input_sink *s = first_sink(m); s; s = s->next) {
            struct input_pointer p = { s->number, s->name, s->position != NULL, s == used };

            if (s->number == n && (s->position || s->motion))
                show(opaque, &p);
        }
    }
}

bool input_choose(struct machine *m, unsigned number)
{
    struct input_sink *s = first_sink(m);

    while (s && (s->number != number || !(s->position || s->motion)))
        s = s->next;
    if (s)
        m->input->chosen = s;
    return s != NULL;
}
