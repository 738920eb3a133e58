/*
 * ps2.c - PS/2 keyboard and mouse
 *
 * The keyboard speaks scan code set 2 (and 1 on request); set 1 codes of a
 * usual PC come from the controller's translation. The mouse is an
 * IntelliMouse Explorer: plain until the driver knocks with sample rates
 * 200, 100, 80 (wheel) or 200, 200, 80 (wheel and five buttons).
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboards" and
 * "Mouse"; Microsoft "Keyboard Scan Code Specification", appendix;
 * Microsoft "Plug and play external COM device / IntelliMouse" notes.
 */
#include "hw/input/i8042.h"
#include "hw/input/ps2-int.h"

enum { PS2_ACK = 0xfa, PS2_RESEND = 0xfe, PS2_BAT_OK = 0xaa };

/* ---- queues ------------------------------------------------------------ */

static void reply_put(struct ps2_port *p, uint8_t byte)
{
    /* full: the host sends commands without reading the answers */
    if (p->reply_count < PS2_REPLY_BYTES)
        p->reply[(p->reply_head + p->reply_count++) % PS2_REPLY_BYTES] = byte;
    else
        log_guest(LOG_KBD, "reply=%#x lost: earlier ones are unread", byte);
}

/* All of @bytes or nothing: half a scan code would be another key. */
static bool event_put(struct ps2_port *p, const uint8_t *bytes, unsigned n)
{
    if (n + p->event_count > PS2_EVENT_BYTES)
        return false;
    for (unsigned i = 0; i < n; i++)
        p->event[(p->event_head + p->event_count++) % PS2_EVENT_BYTES] = bytes[i];
    return true;
}

static void events_clear(struct ps2_port *p)
{
    p->event_head = p->event_count = 0;
}

unsigned ps2_pending(const struct ps2_port *p)
{
    return p->reply_count + p->event_count;
}

uint8_t ps2_take(struct ps2_port *p)
{
    if (p->reply_count) {
        p->last = p->reply[p->reply_head];
        p->reply_head = (p->reply_head + 1) % PS2_REPLY_BYTES;
        p->reply_count--;
    } else if (p->event_count) {
        p->last = p->event[p->event_head];
        p->event_head = (p->event_head + 1) % PS2_EVENT_BYTES;
        p->event_count--;
    }
    return p->last;
}

/* ---- scan codes ------------------------------------------------------------ */

/* Set 1 code of each set 2 code; from 0x85 on they are equal. */
static const uint8_t set2_to_set1[0x85] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58,
    0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a,
    0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c,
    0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e,
    0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60,
    0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e,
    0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b,
    0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45,
    0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
    0x80, 0x81, 0x82, 0x41, 0x54,
};

uint8_t ps2_set2_to_set1(uint8_t code)
{
    return code < sizeof(set2_to_set1) ? set2_to_set1[code] : code;
}

/* The set 2 code of a set 1 code, 0 when there is none. Searched downwards:
 * F7 and SysRq have two, of which keyboards send the higher. */
static uint8_t set1_to_set2(uint8_t code)
{
    for (unsigned i = sizeof(set2_to_set1) - 1; i > 0; i--)
        if (set2_to_set1[i] == code)
            return i;
    return 0;
}

/* Append one code to @seq (room for 3 more); returns the new length. */
static unsigned code_put(const struct ps2_kbd *k, uint8_t *seq, unsigned n,
                         unsigned code, bool down)
{
    uint8_t set1 = code & 0x7f;

    if (code & KEY_E0)
        seq[n++] = 0xe0;
    if (k->scan_set == 1) {
        seq[n++] = set1 | (down ? 0 : 0x80);
        return n;
    }
    if (!down)
        seq[n++] = 0xf0;
    seq[n++] = set1_to_set2(set1);
    return n;
}

void ps2_kbd_key(struct ps2_kbd *k, unsigned keycode, bool down)
{
    static const uint8_t pause1[] = { 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5 };
    static const uint8_t pause2[] = { 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 };
    uint8_t seq[8];
    unsigned n = 0;
    bool fits = true;

    if (!k->scanning)
        return;
    if (keycode == KEY_PAUSE) {
        if (down)
            fits = k->scan_set == 1 ? event_put(&k->port, pause1, sizeof(pause1))
                                    : event_put(&k->port, pause2, sizeof(pause2));
    } else if (keycode == KEY_PRINT) { /* wrapped in a left shift */
        n = code_put(k, seq, 0, down ? KEY_E0 | 0x2a : KEY_PRINT, down);
        n = code_put(k, seq, n, down ? KEY_PRINT : KEY_E0 | 0x2a, down);
        fits = event_put(&k->port, seq, n);
    } else if (!(keycode & ~(KEY_E0 | 0x7fu)) && set1_to_set2(keycode & 0x7f)) {
        n = code_put(k, seq, 0, keycode, down);
        fits = event_put(&k->port, seq, n);
    }
    if (!fits)
        log_ev(LOG_KBD, "key=%#x lost: buffer full", keycode);
}

/* ---- keyboard commands -------------------------------------------------------- */

enum {
    KBD_SET_LEDS = 0xed, KBD_ECHO = 0xee, KBD_SCAN_SET = 0xf0, KBD_IDENTIFY = 0xf2,
    KBD_TYPEMATIC = 0xf3, KBD_ENABLE = 0xf4, KBD_DISABLE = 0xf5, KBD_DEFAULTS = 0xf6,
    KBD_ALL_TYPEMATIC = 0xf7, KBD_ALL_BOTH = 0xfa, KBD_KEY_TYPEMATIC = 0xfb,
    KBD_KEY_MAKE = 0xfd, KBD_RESEND = 0xfe, KBD_RESET = 0xff,
};

static void kbd_defaults(struct ps2_kbd *k)
{
    events_clear(&k->port);
    k->scan_set = 2;
    k->typematic = 0x2b; /* 10.9 a second after 500 ms */
}

void ps2_kbd_reset(struct ps2_kbd *k)
{
    memset(k, 0, sizeof(*k));
    kbd_defaults(k);
    k->scanning = true;
}

static void kbd_parameter(struct ps2_kbd *k, uint8_t cmd, uint8_t byte)
{
    k->port.pending_cmd = 0;
    reply_put(&k->port, PS2_ACK);
    switch (cmd) {
    case KBD_SET_LEDS:
        k->leds = byte & 7;
        break;
    case KBD_TYPEMATIC:
        k->typematic = byte;
        break;
    case KBD_SCAN_SET:
        if (byte == 0)
            reply_put(&k->port, k->scan_set);
        else if (byte == 1 || byte == 2)
            k->scan_set = byte;
        else
            log_guest(LOG_KBD, "scan_set=%u not there", byte);
        break;
    }
}

void ps2_kbd_command(struct ps2_kbd *k, uint8_t byte)
{
    uint8_t cmd = k->port.pending_cmd;

    log_ev(LOG_KBD, "kbd command=%#x pending=%#x", byte, cmd);
    if (cmd && byte < KBD_SET_LEDS) { /* a command byte abandons the pending one */
        kbd_parameter(k, cmd, byte);
        return;
    }
    k->port.pending_cmd = 0;
    switch (byte) {
    case KBD_ECHO:
        reply_put(&k->port, KBD_ECHO);
        return;
    case KBD_RESEND:
        reply_put(&k->port, k->port.last);
        return;
    case KBD_RESET:
        ps2_kbd_reset(k);
        reply_put(&k->port, PS2_ACK);
        reply_put(&k->port, PS2_BAT_OK);
        return;
    case KBD_SET_LEDS: case KBD_SCAN_SET: case KBD_TYPEMATIC:
    case KBD_KEY_TYPEMATIC ... KBD_KEY_MAKE: /* the keys are of set 3: ignored */
        k->port.pending_cmd = byte;
        break;
    case KBD_IDENTIFY:
        reply_put(&k->port, PS2_ACK);
        reply_put(&k->port, 0xab);
        reply_put(&k->port, 0x83);
        return;
    case KBD_ENABLE:
        events_clear(&k->port);
        k->scanning = true;
        break;
    case KBD_DISABLE: case KBD_DEFAULTS:
        kbd_defaults(k);
        k->scanning = byte == KBD_DEFAULTS;
        break;
    case KBD_ALL_TYPEMATIC ... KBD_ALL_BOTH: /* set 3 only: nothing to do */
        break;
    default:
        log_guest(LOG_KBD, "kbd command=%#x unknown", byte);
        reply_put(&k->port, PS2_RESEND);
        return;
    }
    reply_put(&k->port, PS2_ACK);
}

/* ---- mouse reports ----------------------------------------------------------------- */

enum {
    MOUSE_SCALE11 = 0xe6, MOUSE_SCALE21 = 0xe7, MOUSE_SET_RES = 0xe8, MOUSE_STATUS = 0xe9,
    MOUSE_STREAM = 0xea, MOUSE_POLL = 0xeb, MOUSE_UNWRAP = 0xec, MOUSE_WRAP = 0xee,
    MOUSE_REMOTE = 0xf0, MOUSE_IDENTIFY = 0xf2, MOUSE_SET_RATE = 0xf3,
    MOUSE_ENABLE = 0xf4, MOUSE_DISABLE = 0xf5, MOUSE_DEFAULTS = 0xf6,
    MOUSE_RESEND = 0xfe, MOUSE_RESET = 0xff,
};

static int clamp(int v, int low, int high)
{
    return MIN(MAX(v, low), high);
}

static bool mouse_moved(const struct ps2_mouse *m)
{
    return m->dx || m->dy || (m->id && m->dz);
}

/* Build one report of the motion added up (at most what it can express). */
static unsigned mouse_report(struct ps2_mouse *m, uint8_t *b)
{
    int dx = clamp(m->dx, -255, 255), dy = clamp(-m->dy, -255, 255);
    int dz = clamp(m->dz, -8, 7);

    b[0] = 0x08 | (m->buttons & 7) | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0);
    b[1] = dx;
    b[2] = dy;
    m->dx -= dx;
    m->dy += dy;
    if (!m->id) {
        m->dz = 0;
        return 3;
    }
    m->dz -= dz;
    b[3] = m->id == 4 ? (dz & 0x0f) | (m->buttons & 0x18) << 1 : dz;
    return 4;
}

static void mouse_queue_report(struct ps2_mouse *m)
{
    uint8_t b[4];

    if (PS2_EVENT_BYTES - m->port.event_count >= 4)
        event_put(&m->port, b, mouse_report(m, b));
}

static bool mouse_streams(const struct ps2_mouse *m)
{
    return m->reporting && !m->remote && !m->wrap;
}

void ps2_mouse_more(struct ps2_mouse *m)
{
    if (mouse_streams(m) && !m->port.event_count && mouse_moved(m))
        mouse_queue_report(m);
}

void ps2_mouse_event(struct ps2_mouse *m, int dx, int dy, int dz, unsigned buttons)
{
    bool pressed = buttons != m->buttons;

    /* two steps, so that no caller's value overflows */
    m->dx = clamp(m->dx + clamp(dx, -4096, 4096), -16384, 16384);
    m->dy = clamp(m->dy + clamp(dy, -4096, 4096), -16384, 16384);
    m->dz = clamp(m->dz + clamp(dz, -128, 128), -256, 256);
    m->buttons = buttons & 0x1f;
    if (pressed && mouse_streams(m))
        mouse_queue_report(m); /* or a quick click would vanish */
    else
        ps2_mouse_more(m);
}

/* ---- mouse commands -------------------------------------------------------------------- */

static void mouse_defaults(struct ps2_mouse *m)
{
    m->rate_hz = 100;
    m->resolution = 2; /* 4 counts a millimetre */
    m->scale21 = m->reporting = m->remote = false;
    m->dx = m->dy = m->dz = 0;
}

void ps2_mouse_reset(struct ps2_mouse *m)
{
    memset(m, 0, sizeof(*m));
    mouse_defaults(m);
}

static void mouse_set_rate(struct ps2_mouse *m, uint8_t rate)
{
    if (m->knock[0] == 200 && m->knock[1] == 100 && rate == 80)
        m->id = 3;
    else if (m->knock[0] == 200 && m->knock[1] == 200 && rate == 80)
        m->id = 4;
    m->knock[0] = m->knock[1];
    m->knock[1] = rate;
    m->rate_hz = rate;
}

static void mouse_status(struct ps2_mouse *m)
{
    uint8_t b = m->buttons;

    reply_put(&m->port, (b & MOUSE_LEFT ? 4 : 0) | (b & MOUSE_MIDDLE ? 2 : 0) |
                            (b & MOUSE_RIGHT ? 1 : 0) | (m->scale21 ? 0x10 : 0) |
                            (m->reporting ? 0x20 : 0) | (m->remote ? 0x40 : 0));
    reply_put(&m->port, m->resolution);
    reply_put(&m->port, m->rate_hz);
}

static void mouse_poll(struct ps2_mouse *m)
{
    uint8_t b[4];
    unsigned n = mouse_report(m, b);

    for (unsigned i = 0; i < n; i++)
        reply_put(&m->port, b[i]);
}

/* In wrap mode everything comes back but the two ways out of it. */
static bool mouse_wrapped(struct ps2_mouse *m, uint8_t byte)
{
    if (!m->wrap || byte == MOUSE_RESET || byte == MOUSE_UNWRAP)
        return false;
    reply_put(&m->port, byte);
    return true;
}

static bool mouse_parameter(struct ps2_mouse *m, uint8_t byte)
{
    uint8_t cmd = m->port.pending_cmd;

    m->port.pending_cmd = 0;
    if (!cmd)
        return false;
    if (cmd == MOUSE_SET_RATE)
        mouse_set_rate(m, byte);
    else
        m->resolution = byte & 3;
    reply_put(&m->port, PS2_ACK);
    return true;
}

/* The commands that are acknowledged first and then answered or obeyed. */
static void mouse_simple_command(struct ps2_mouse *m, uint8_t byte)
{
    reply_put(&m->port, PS2_ACK);
    switch (byte) {
    case MOUSE_SCALE11: case MOUSE_SCALE21:
        m->scale21 = byte == MOUSE_SCALE21;
        break;
    case MOUSE_SET_RES: case MOUSE_SET_RATE:
        m->port.pending_cmd = byte;
        break;
    case MOUSE_STATUS:
        mouse_status(m);
        break;
    case MOUSE_STREAM: case MOUSE_REMOTE:
        m->remote = byte == MOUSE_REMOTE;
        break;
    case MOUSE_POLL:
        mouse_poll(m);
        break;
    case MOUSE_WRAP: case MOUSE_UNWRAP:
        m->wrap = byte == MOUSE_WRAP;
        break;
    case MOUSE_IDENTIFY:
        reply_put(&m->port, m->id);
        break;
    case MOUSE_ENABLE: case MOUSE_DISABLE:
        m->reporting = byte == MOUSE_ENABLE;
        break;
    case MOUSE_DEFAULTS:
        mouse_defaults(m);
        break;
    case MOUSE_RESET:
        ps2_mouse_reset(m);
        reply_put(&m->port, PS2_ACK);
        reply_put(&m->port, PS2_BAT_OK);
        reply_put(&m->port, m->id);
        break;
    }
}

static bool mouse_knows(uint8_t byte)
{
    return (byte >= MOUSE_SCALE11 && byte <= MOUSE_UNWRAP) || byte == MOUSE_WRAP ||
           byte == MOUSE_REMOTE || (byte >= MOUSE_IDENTIFY && byte <= MOUSE_DEFAULTS) ||
           byte == MOUSE_RESET;
}

void ps2_mouse_command(struct ps2_mouse *m, uint8_t byte)
{
    log_ev(LOG_KBD, "mouse command=%#x pending=%#x", byte, m->port.pending_cmd);
    events_clear(&m->port); /* a report is aborted by the host's transmission */
    if (mouse_wrapped(m, byte) || mouse_parameter(m, byte))
        return;
    if (byte == MOUSE_RESEND) {
        reply_put(&m->port, m->port.last);
    } else if (mouse_knows(byte)) {
        mouse_simple_command(m, byte);
    } else {
        log_guest(LOG_KBD, "mouse command=%#x unknown", byte);
        reply_put(&m->port, PS2_RESEND);
    }
}
