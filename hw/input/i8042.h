/*
 * i8042.h - keyboard controller with a PS/2 keyboard and a PS/2 mouse
 */
#ifndef HW_INPUT_I8042_H
#define HW_INPUT_I8042_H

#include "hw/hw.h"

/* Key codes: the set 1 make code of the key, plus KEY_E0 when the key is one
 * of those that a 101-key keyboard prefixes with E0. */
enum {
    KEY_E0 = 0x100,
    KEY_PRINT = KEY_E0 | 0x37,
    KEY_PAUSE = 0x200,          /* make sequence only, as on the real one */
    KEY_CODE_MAX = 0x200,
};

enum { MOUSE_LEFT = 1, MOUSE_RIGHT = 2, MOUSE_MIDDLE = 4, MOUSE_SIDE = 8,
       MOUSE_EXTRA = 16 };

enum { KBD_LED_SCROLL = 1, KBD_LED_NUM = 2, KBD_LED_CAPS = 4 };

/**
 * i8042_add() - construct the controller at ports 0x60 and 0x64, ISA lines 1
 * and 12; it becomes m->kbd
 * Returns 0 or a negative errno with @e set.
 */
int i8042_add(struct machine *m, struct err *e) MUST_CHECK;

extern const struct device_type i8042_type;

/**
 * kbd_put_key() - press or release a key; under the machine lock
 * @keycode: see above; others are ignored
 * A key that does not fit into the keyboard's buffer is lost, as on a real one.
 */
void kbd_put_key(struct kbd8042 *k, unsigned keycode, bool down);

/**
 * mouse_put_event() - move, turn the wheel, press; under the machine lock
 * @dx, @dy: counts to the right and down
 * @dz: wheel clicks towards the user
 * @buttons: MOUSE_* now pressed
 * Motion that the guest does not fetch is added up; button changes are queued.
 */
void mouse_put_event(struct kbd8042 *k, int dx, int dy, int dz, unsigned buttons);

/** kbd_leds() - KBD_LED_* the guest has lit */
unsigned kbd_leds(const struct kbd8042 *k);

#endif
