/*
 * input.h - keys and pointer between front ends and input devices
 *
 * A front end says what the user did; a device attaches a sink for the kinds that
 * it takes. The device attached last gets them: a USB tablet is preferred
 * over the PS/2 mouse while it is there. With the machine lock held.
 */
#ifndef HW_INPUT_INPUT_H
#define HW_INPUT_INPUT_H

#include "hw/hw.h"

#define INPUT_POSITION_MAX 32767

/** struct input_sink - a device's side; members that it does not take are NULL */
struct input_sink {
    const char *name;                  /* for messages: "PS/2 mouse" */
    /** key() - @keycode as in hw/input/i8042.h */
    void (*key)(void *opaque, unsigned keycode, bool down);
    /** motion() - counts right and down, wheel clicks towards the user, MOUSE_* held */
    void (*motion)(void *opaque, int dx, int dy, int dz, unsigned buttons);
    /** position() - the same with a place on the screen, 0..INPUT_POSITION_MAX */
    void (*position)(void *opaque, unsigned x, unsigned y, int dz, unsigned buttons);
    /** ready() - whether the guest listens to it; NULL: always */
    bool (*ready)(void *opaque);
    void *opaque;
    struct input_sink *next;           /* owned by the machine */
    unsigned number;                   /* in order of attaching; set by input_attach() */
};

/** struct input_pointer - a pointing device as "info mice" tells it */
struct input_pointer {
    unsigned number;
    const char *name;
    bool absolute, used;
};

/** input_attach()/input_detach() - @s stays the device's and alive in between */
void input_attach(struct machine *m, struct input_sink *s);
void input_detach(struct machine *m, struct input_sink *s);
/** input_free() - forget all sinks; the machine's end */
void input_free(struct machine *m);

/** input_key() - press or release; a front end tells repeats as presses */
void input_key(struct machine *m, unsigned keycode, bool down);
/** input_release_keys() - let go of all that is held: the user went away */
void input_release_keys(struct machine *m);
/** input_motion() - see struct input_sink */
void input_motion(struct machine *m, int dx, int dy, int dz, unsigned buttons);
/**
 * input_position() - the pointer is at @x, @y of a picture of @width x @height pixels
 * Without a device that takes positions it becomes motion from the last one.
 */
void input_position(struct machine *m, unsigned x, unsigned y, unsigned width, unsigned height,
                    int dz, unsigned buttons);
/** input_is_absolute() - whether the pointer in use takes positions: no grab is needed */
bool input_is_absolute(const struct machine *m);
/** input_list() - call @show for every pointing device, in order of number */
void input_list(const struct machine *m, void (*show)(void *opaque, const struct input_pointer *p),
                void *opaque);
/** input_choose() - the pointing device @number is used from now on (while the guest listens
 *  to it); false: there is none */
bool input_choose(struct machine *m, unsigned number);

#endif
