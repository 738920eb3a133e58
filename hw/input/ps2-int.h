/*
 * ps2-int.h - the two PS/2 devices as the 8042 sees them
 */
#ifndef HW_INPUT_PS2_INT_H
#define HW_INPUT_PS2_INT_H

#include "hw/hw.h"

#define PS2_EVENT_BYTES 64 /* power of two */
#define PS2_REPLY_BYTES 16 /* power of two; longest reply is 4 bytes */

/** struct ps2_port - what a device sends: replies to commands go first */
struct ps2_port {
    uint8_t reply[PS2_REPLY_BYTES];
    uint8_t reply_head, reply_count;
    uint8_t event[PS2_EVENT_BYTES];
    uint8_t event_head, event_count;
    uint8_t last;               /* for the resend command */
    uint8_t pending_cmd;        /* command whose parameter comes next, or 0 */
};

struct ps2_kbd {
    struct ps2_port port;
    bool scanning;
    uint8_t scan_set;           /* 1 or 2 */
    uint8_t leds, typematic;
};

struct ps2_mouse {
    struct ps2_port port;
    bool reporting, remote, wrap, scale21;
    uint8_t id;                 /* 0, 3: wheel, 4: wheel and five buttons */
    uint8_t rate_hz, resolution;
    uint8_t knock[2];           /* last sample rates, for the wheel's knock */
    uint8_t buttons;
    int16_t dx, dy, dz;         /* not yet reported */
};

/** ps2_pending() - bytes that wait to be sent */
unsigned ps2_pending(const struct ps2_port *p);
/** ps2_take() - the next byte; ps2_pending() must not be 0 */
uint8_t ps2_take(struct ps2_port *p);

/** ps2_kbd_reset()/ps2_mouse_reset() - power-on state, nothing queued */
void ps2_kbd_reset(struct ps2_kbd *k);
void ps2_mouse_reset(struct ps2_mouse *m);
/** ps2_kbd_command()/ps2_mouse_command() - a byte from the host */
void ps2_kbd_command(struct ps2_kbd *k, uint8_t byte);
void ps2_mouse_command(struct ps2_mouse *m, uint8_t byte);

/** ps2_kbd_key() - queue the scan code of a key (codes of i8042.h) */
void ps2_kbd_key(struct ps2_kbd *k, unsigned keycode, bool down);
/** ps2_mouse_event() - see mouse_put_event() */
void ps2_mouse_event(struct ps2_mouse *m, int dx, int dy, int dz, unsigned buttons);
/** ps2_mouse_more() - after a byte was taken: queue motion that has added up */
void ps2_mouse_more(struct ps2_mouse *m);

/** ps2_set2_to_set1() - the controller's translation of one code byte, break
 *  prefix excluded */
uint8_t ps2_set2_to_set1(uint8_t code);

#endif
