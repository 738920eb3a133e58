/*
 * hid.c - usb-tablet, usb-mouse, usb-kbd
 *
 * What the user does becomes events in a short queue; a poll of the interrupt
 * endpoint takes one. Motion joins the newest event while the buttons are the same,
 * so a slow guest loses no distance and no click.
 *
 * Source: Device Class Definition for HID 1.11, chapters 4 to 7 and appendices B
 * (boot interface) and E (descriptors); HID Usage Tables 1.12, chapters 4, 7, 9.
 */
#include "hw/input/i8042.h"
#include "hw/input/input.h"
#include "hw/usb/hid-int.h"

enum { HID_DESC = 0x21, HID_DESC_REPORT = 0x22 };
enum { GET_REPORT = 1, GET_IDLE = 2, GET_PROTOCOL = 3, SET_REPORT = 9, SET_IDLE = 10,
       SET_PROTOCOL = 11 };
#define REPORT_MAX   8
#define QUEUE_EVENTS 64
#define IDLE_NS      4000000         /* unit of the idle rate, 7.2.4 */
#define HID_DESC_AT  18              /* behind configuration and interface */
#define FULL_INTERVAL 10             /* bInterval: ms */
#define HIGH_INTERVAL 7              /* 2^(7-1) microframes: 8 ms */
#define ROLL_OVER    1               /* usage: more keys than a report holds */
#define MODIFIER(u)  ((u) >= 0xe0 && (u) <= 0xe7)

struct hid_event {
    int32_t x, y, dz;                /* tablet: place; mouse: distance left */
    uint8_t buttons;
    uint8_t usage, down;             /* keyboard */
};

struct hid {
    struct usb_device usb;
    const struct hid_kind *kind;
    struct input_sink sink;
    struct hid_event queue[QUEUE_EVENTS];
    uint8_t head, count;
    uint8_t last[REPORT_MAX];        /* what was reported last */
    uint8_t held[32];                /* keyboard: a bit a usage */
    uint8_t protocol, idle, leds;
    int64_t idle_until_ns;
    struct timer repeat;             /* then */
    uint32_t usb_version;            /* property */
};

/* ---- queue -------------------------------------------------------------------------- */

static struct hid_event *event_at(struct hid *s, unsigned n)
{
    return &s->queue[(s->head + n) % QUEUE_EVENTS];
}

static void announce(struct hid *s)
{
    usb_wakeup(&s->usb);
    usb_ready(&s->usb);
}

static int32_t clamp(int32_t v, int32_t limit)
{
    return MAX(-limit, MIN(v, limit));
}

/* The event that pointer input goes into: the newest, or a new one for other buttons. */
static struct hid_event *pointer_event(struct hid *s, unsigned buttons)
{
    struct hid_event *e = s->count ? event_at(s, s->count - 1) : NULL;

    if (!e || (e->buttons != buttons && s->count < QUEUE_EVENTS)) {
        e = event_at(s, s->count++);
        *e = (struct hid_event){ .x = 0 };
    }
    e->buttons = buttons;
    return e;
}

static void tablet_position(void *opaque, unsigned x, unsigned y, int dz, unsigned buttons)
{
    struct hid_event *e = pointer_event(opaque, buttons & 0x1f);

    e->x = MIN(x, INPUT_POSITION_MAX + 0u);
    e->y = MIN(y, INPUT_POSITION_MAX + 0u);
    e->dz = clamp(e->dz + clamp(dz, 1000), 1000);
    announce(opaque);
}

static void mouse_motion(void *opaque, int dx, int dy, int dz, unsigned buttons)
{
    struct hid_event *e = pointer_event(opaque, buttons & 0x1f);

    e->x = clamp(e->x + clamp(dx, 65535), 65535);
    e->y = clamp(e->y + clamp(dy, 65535), 65535);
    e->dz = clamp(e->dz + clamp(dz, 1000), 1000);
    announce(opaque);
}

static void kbd_key(void *opaque, unsigned keycode, bool down)
{
    struct hid *s = opaque;
    uint8_t usage = hid_usage(keycode);

    if (!usage || s->count == QUEUE_EVENTS)
        return;
    *event_at(s, s->count++) = (struct hid_event){ .usage = usage, .down = down };
    announce(s);
}

/* ---- reports ---------------------------------------------------------------------------- */

/* Takes what one report can tell of *@v. */
static int8_t portion(int32_t *v)
{
    int32_t n = clamp(*v, 127);

    *v -= n;
    return n;
}

static bool tablet_report(struct hid *s, struct hid_event *e)
{
    s->last[0] = e->buttons;
    stl16(s->last + 1, e->x);
    stl16(s->last + 3, e->y);
    s->last[5] = -portion(&e->dz);   /* the usage counts away from the user */
    return !e->dz;
}

static bool mouse_report(struct hid *s, struct hid_event *e)
{
    s->last[0] = e->buttons;
    s->last[1] = portion(&e->x);
    s->last[2] = portion(&e->y);
    s->last[3] = -portion(&e->dz);
    return !e->x && !e->y && !e->dz;
}

static bool kbd_report(struct hid *s, struct hid_event *e)
{
    unsigned n = 0;

    s->held[e->usage / 8] &= ~(1u << e->usage % 8);
    s->held[e->usage / 8] |= e->down << e->usage % 8;
    memset(s->last, 0, sizeof s->last);
    s->last[0] = s->held[0xe0 / 8];
    for (unsigned u = 4; u < 0xe0; u++) {
        if (!(s->held[u / 8] >> u % 8 & 1))
            continue;
        if (n < 6)
            s->last[2 + n] = u;
        n++;
    }
    if (n > 6)
        memset(s->last + 2, ROLL_OVER, 6);
    return true;
}

static void idle_again(struct hid *s)
{
    s->idle_until_ns = clock_now_ns(&s->usb.dev.machine->clock) + (int64_t)s->idle * IDLE_NS;
    if (s->idle)
        timer_mod(&s->repeat, s->idle_until_ns);
    else
        timer_del(&s->repeat);
}

static void on_repeat(void *opaque)
{
    usb_ready(&((struct hid *)opaque)->usb);
}

/* The last report again, without motion, when the guest asked for that. */
static bool repeat_due(struct hid *s)
{
    if (!s->idle || clock_now_ns(&s->usb.dev.machine->clock) < s->idle_until_ns)
        return false;
    if (s->kind->motion)
        memset(s->last + 1, 0, s->kind->report_bytes - 1);
    return true;
}

static int hid_in(struct usb_device *d, unsigned ep, uint8_t *buf, unsigned len)
{
    struct hid *s = (struct hid *)d;

    if (ep != 1)
        return USB_STALL;
    if (s->count) {
        if (s->kind->report(s, event_at(s, 0))) {
            s->head = (s->head + 1) % QUEUE_EVENTS;
            s->count--;
        }
    } else if (!repeat_due(s)) {
        return USB_NAK;
    }
    idle_again(s);
    len = MIN(len, s->kind->report_bytes);
    memcpy(buf, s->last, len);
    return len;
}

/* ---- requests ------------------------------------------------------------------------------ */

static int hid_descriptor(struct hid *s, unsigned type, uint8_t *data)
{
    const struct hid_kind *k = s->kind;

    if (type == HID_DESC_REPORT) {
        memcpy(data, k->report_desc, k->report_desc_len);
        return k->report_desc_len;
    }
    if (type != HID_DESC)
        return USB_STALL;
    memcpy(data, usb_form(&s->usb)->config + HID_DESC_AT, 9);
    return 9;
}

static int class_request(struct hid *s, const struct usb_request *r, uint8_t *data)
{
    switch (r->request) {
    case GET_REPORT:
        memcpy(data, s->last, s->kind->report_bytes);
        return s->kind->report_bytes;
    case GET_IDLE:
        data[0] = s->idle;
        return 1;
    case GET_PROTOCOL:
        data[0] = s->protocol;
        return 1;
    case SET_REPORT:
        if (s->kind->key && r->length)
            s->leds = data[0];
        return 0;
    case SET_IDLE:
        s->idle = r->value >> 8;
        idle_again(s);
        return 0;
    case SET_PROTOCOL:
        s->protocol = r->value & 1;  /* both protocols have the same report here */
        return 0;
    default:
        return USB_STALL;
    }
}

static int hid_request(struct usb_device *d, const struct usb_request *r, uint8_t *data)
{
    struct hid *s = (struct hid *)d;

    if (r->index)
        return USB_STALL;
    if (r->type == (USB_DIR_IN | USB_INTERFACE) && r->request == USB_GET_DESCRIPTOR)
        return hid_descriptor(s, r->value >> 8, data);
    if ((r->type & ~USB_DIR_IN) == (USB_CLASS | USB_INTERFACE))
        return class_request(s, r, data);
    return USB_STALL;
}

static void hid_bus_reset(struct usb_device *d)
{
    struct hid *s = (struct hid *)d;

    s->head = s->count = s->idle = s->leds = 0;
    s->protocol = 1;
    timer_del(&s->repeat);
    memset(s->held, 0, sizeof s->held);
    memset(s->last, 0, sizeof s->last);
}

/* ---- kinds ---------------------------------------------------------------------------------- */

/* Configuration with one interface: HID @sub/@proto, one interrupt IN endpoint, polled every
 * @interval. */
#define CONFIG(sub, proto, desc_len, bytes, interval) \
    { 9, 2, 34, 0, 1, 1, 0, 0xa0, 50,                        /* remote wakeup, 100 mA */ \
      9, 4, 0, 0, 1, 3, sub, proto, 0, \
      9, HID_DESC, 0x11, 0x01, 0, 1, HID_DESC_REPORT, desc_len, 0, \
      7, 5, 0x81, 3, bytes, 0, interval }

#define BUTTONS_5 /* five, and three bits of nothing */ \
    0x05, 0x09, 0x19, 0x01, 0x29, 0x05, 0x15, 0x00, 0x25, 0x01, 0x95, 0x05, 0x75, 0x01, 0x81, 0x02, \
    0x95, 0x01, 0x75, 0x03, 0x81, 0x01

static const uint8_t tablet_desc[] = {
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, /* generic desktop, mouse, pointer */
    BUTTONS_5,
    0x05, 0x01, 0x09, 0x30, 0x09, 0x31,                         /* X, Y: absolute, 0..32767 */
    0x15, 0x00, 0x26, 0xff, 0x7f, 0x35, 0x00, 0x46, 0xff, 0x7f, 0x75, 0x10, 0x95, 0x02, 0x81, 0x02,
    0x09, 0x38, 0x15, 0x81, 0x25, 0x7f, 0x35, 0x00, 0x45, 0x00, 0x75, 0x08, 0x95, 0x01, 0x81, 0x06,
    0xc0, 0xc0,
};
static const uint8_t tablet_config[] = CONFIG(0, 0, sizeof tablet_desc, 8, FULL_INTERVAL);
static const uint8_t tablet_config_high[] = CONFIG(0, 0, sizeof tablet_desc, 8, HIGH_INTERVAL);

static const uint8_t mouse_desc[] = {
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00,
    BUTTONS_5,
    0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x09, 0x38,             /* X, Y, wheel: relative */
    0x15, 0x81, 0x25, 0x7f, 0x75, 0x08, 0x95, 0x03, 0x81, 0x06,
    0xc0, 0xc0,
};
static const uint8_t mouse_config[] = CONFIG(1, 2, sizeof mouse_desc, 4, FULL_INTERVAL);
static const uint8_t mouse_config_high[] = CONFIG(1, 2, sizeof mouse_desc, 4, HIGH_INTERVAL);

static const uint8_t kbd_desc[] = {
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01,
    0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02,
    0x95, 0x01, 0x75, 0x08, 0x81, 0x01,                         /* a byte of nothing */
    0x95, 0x05, 0x75, 0x01, 0x05, 0x08, 0x19, 0x01, 0x29, 0x05, 0x91, 0x02, /* LEDs */
    0x95, 0x01, 0x75, 0x03, 0x91, 0x01,
    0x95, 0x06, 0x75, 0x08, 0x15, 0x00, 0x26, 0xff, 0x00, 0x05, 0x07, 0x19, 0x00, 0x2a, 0xff, 0x00,
    0x81, 0x00, 0xc0,
};
static const uint8_t kbd_config[] = CONFIG(1, 1, sizeof kbd_desc, 8, FULL_INTERVAL);
static const uint8_t kbd_config_high[] = CONFIG(1, 1, sizeof kbd_desc, 8, HIGH_INTERVAL);

/* The identification that guests' tables of quirks know for such devices. */
#define MODEL(name, config_) \
    { .product = name, .vendor = 0x0627, .product_id = 0x0001, \
      .form[USB_FULL] = { 0x0110, 8, config_, sizeof config_ }, \
      .form[USB_HIGH] = { 0x0200, 64, config_##_high, sizeof config_##_high }, \
      .request = hid_request, .in = hid_in, .reset = hid_bus_reset }

static const struct hid_kind tablet_kind = {
    .model = MODEL("USB Tablet", tablet_config), .report_desc = tablet_desc,
    .report_desc_len = sizeof tablet_desc, .report_bytes = 6, .report = tablet_report,
    .position = tablet_position,
};
static const struct hid_kind mouse_kind = {
    .model = MODEL("USB Mouse", mouse_config), .report_desc = mouse_desc,
    .report_desc_len = sizeof mouse_desc, .report_bytes = 4, .report = mouse_report,
    .motion = mouse_motion,
};
static const struct hid_kind kbd_kind = {
    .model = MODEL("USB Keyboard", kbd_config), .report_desc = kbd_desc,
    .report_desc_len = sizeof kbd_desc, .report_bytes = 8, .report = kbd_report, .key = kbd_key,
};

static const struct hid_kind *kind_of(const struct device_type *t)
{
    return t == &usb_tablet_type ? &tablet_kind : t == &usb_mouse_type ? &mouse_kind : &kbd_kind;
}

/* ---- life --------------------------------------------------------------------------------------- */

static bool hid_listening(void *opaque)
{
    return ((struct hid *)opaque)->usb.configuration != 0;
}

static int hid_init(struct device *d, struct err *e)
{
    struct hid *s = (struct hid *)d;
    int ret;

    s->kind = kind_of(d->type);
    s->usb.full_only = s->usb_version == 1;
    timer_init(&s->repeat, &d->machine->timers, on_repeat, s);
    ret = usb_plug(&s->usb, &s->kind->model, e);
    if (ret < 0) {
        usb_unplug(&s->usb);
        return ret;
    }
    s->sink = (struct input_sink){ .name = s->kind->model.product, .key = s->kind->key,
                                   .motion = s->kind->motion, .position = s->kind->position,
                                   .ready = hid_listening, .opaque = s };
    input_attach(d->machine, &s->sink);
    return 0;
}

static void hid_reset(struct device *d)
{
    usb_reset_device((struct usb_device *)d);
}

static void hid_destroy(struct device *d)
{
    struct hid *s = (struct hid *)d;

    timer_del(&s->repeat);
    input_detach(d->machine, &s->sink);
    usb_unplug(&s->usb);
}

static const struct dev_prop hid_props[] = {
    USB_PROPS(struct hid, usb), USB_PROP_NO_SERIAL,
    PROP(U32, "usb_version", struct hid, usb_version, "2", 1, 2, "1: full speed in any port"),
    { .name = "display", .type = PROP_IGNORED, .help = "no effect" },
    { .name = "head", .type = PROP_IGNORED, .help = "no effect" },
    PROP_END
};

static const struct dev_field hid_fields[] = {
    USB_FIELDS(struct hid, usb),
    FIELD(BYTES, struct hid, queue), FIELD(U8, struct hid, head), FIELD(U8, struct hid, count),
    FIELD(BYTES, struct hid, last), FIELD(BYTES, struct hid, held), FIELD(U8, struct hid, protocol),
    FIELD(U8, struct hid, idle), FIELD(U8, struct hid, leds), FIELD(U64, struct hid, idle_until_ns),
    FIELD_END
};

#define HID_TYPE(name_, desc_) \
    { .name = name_, .desc = desc_, .size = sizeof(struct hid), .init = hid_init, \
      .reset = hid_reset, .destroy = hid_destroy, .fields = hid_fields, .props = hid_props }

const struct device_type usb_tablet_type = HID_TYPE("usb-tablet", "USB pointer with absolute positions");
const struct device_type usb_mouse_type = HID_TYPE("usb-mouse", "USB mouse");
const struct device_type usb_kbd_type = HID_TYPE("usb-kbd", "USB keyboard");
