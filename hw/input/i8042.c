/*
 * i8042.c - Intel 8042 as the keyboard controller of a PC AT and PS/2
 *
 * Ports: 0x60 data; 0x64 status (read), command (write).
 *
 * The output buffer holds one byte. When it is empty the controller fills it
 * from its own replies, then from the keyboard, then from the mouse, each
 * only if its clock is not held (command byte bits 4 and 5), and raises IRQ1
 * or IRQ12 until the byte is read.
 *
 * Source: IBM PC AT Technical Reference, "Keyboard Controller"; IBM PS/2
 * Hardware Interface Technical Reference, "Keyboard and Auxiliary Device
 * Controller".
 */
#include "hw/input/i8042.h"
#include "hw/input/input.h"
#include "hw/input/ps2-int.h"

enum { PORT_DATA = 0x60, PORT_CMD = 0x64, IRQ_KBD = 1, IRQ_AUX = 12 };

enum { STR_OBF = 0x01, STR_SYS = 0x04, STR_CMD = 0x08, STR_UNLOCKED = 0x10,
       STR_AUX_OBF = 0x20 };
/* command byte: byte 0 of the controller's RAM */
enum { CTR_KBD_INT = 0x01, CTR_AUX_INT = 0x02, CTR_SYS = 0x04, CTR_KBD_DIS = 0x10,
       CTR_AUX_DIS = 0x20, CTR_XLATE = 0x40,
       /* as firmware leaves it: a kernel may be entered without any */
       CTR_POWER_ON = CTR_KBD_INT | CTR_AUX_INT | CTR_SYS | CTR_XLATE };
enum { OUTP_RUN = 0x01, OUTP_A20 = 0x02, OUTP_KBD_OBF = 0x10, OUTP_AUX_OBF = 0x20,
       OUTP_LINES = 0xc0 };

enum {
    CCMD_READ_RAM = 0x20, CCMD_WRITE_RAM = 0x60, CCMD_TEST_PASSWORD = 0xa4,
    CCMD_AUX_DISABLE = 0xa7, CCMD_AUX_ENABLE = 0xa8, CCMD_AUX_TEST = 0xa9,
    CCMD_SELF_TEST = 0xaa, CCMD_KBD_TEST = 0xab, CCMD_KBD_DISABLE = 0xad,
    CCMD_KBD_ENABLE = 0xae, CCMD_READ_INPUT = 0xc0, CCMD_READ_OUTPUT = 0xd0,
    CCMD_WRITE_OUTPUT = 0xd1, CCMD_WRITE_KBD_OBUF = 0xd2, CCMD_WRITE_AUX_OBUF = 0xd3,
    CCMD_WRITE_AUX = 0xd4, CCMD_A20_OFF = 0xdd, CCMD_A20_ON = 0xdf,
    CCMD_READ_TEST = 0xe0, CCMD_PULSE = 0xf0,
};

#define OWN_REPLIES 4

struct kbd8042 {
    struct device dev;
    const struct irq_line *irq_aux;
    struct input_sink sink;
    struct ps2_kbd kbd;
    struct ps2_mouse mouse;
    uint8_t ram[32];            /* [0]: command byte */
    uint8_t status;             /* without STR_SYS, which is the command byte's */
    uint8_t obuf;
    uint8_t pending_cmd;        /* command whose data byte comes next, or 0 */
    uint8_t own[OWN_REPLIES];   /* replies of the controller itself */
    uint8_t own_head, own_count;
    bool break_prefix;          /* translation has swallowed an F0 */
};

/* ---- output buffer -------------------------------------------------------- */

static void kbd_update_irq(struct kbd8042 *k)
{
    bool full = k->status & STR_OBF, aux = k->status & STR_AUX_OBF;

    irq_set(k->dev.irq, full && !aux && (k->ram[0] & CTR_KBD_INT));
    irq_set(k->irq_aux, full && aux && (k->ram[0] & CTR_AUX_INT));
}

static void obuf_put(struct kbd8042 *k, uint8_t byte, uint8_t aux)
{
    k->obuf = byte;
    k->status = (k->status & ~STR_AUX_OBF) | STR_OBF | aux;
}

/* Set 2 to set 1 as the controller does it; false: nothing to deliver yet. */
static bool translate(struct kbd8042 *k, uint8_t *byte)
{
    if (!(k->ram[0] & CTR_XLATE))
        return true;
    if (*byte == 0xf0) {
        k->break_prefix = true;
        return false;
    }
    *byte = ps2_set2_to_set1(*byte);
    if (k->break_prefix)
        *byte |= 0x80;
    k->break_prefix = false;
    return true;
}

static bool fill_from_kbd(struct kbd8042 *k)
{
    while (!(k->ram[0] & CTR_KBD_DIS) && ps2_pending(&k->kbd.port)) {
        uint8_t byte = ps2_take(&k->kbd.port);

        if (translate(k, &byte)) {
            obuf_put(k, byte, 0);
            return true;
        }
    }
    return false;
}

static bool fill_from_mouse(struct kbd8042 *k)
{
    if ((k->ram[0] & CTR_AUX_DIS) || !ps2_pending(&k->mouse.port))
        return false;
    obuf_put(k, ps2_take(&k->mouse.port), STR_AUX_OBF);
    ps2_mouse_more(&k->mouse);
    return true;
}

/* After anything that may let a byte through. */
static void kbd_advance(struct kbd8042 *k)
{
    if (!(k->status & STR_OBF)) {
        if (k->own_count) {
            obuf_put(k, k->own[k->own_head], 0);
            k->own_head = (k->own_head + 1) % OWN_REPLIES;
            k->own_count--;
        } else if (!fill_from_kbd(k)) {
            fill_from_mouse(k);
        }
    }
    kbd_update_irq(k);
}

static void own_reply(struct kbd8042 *k, uint8_t byte)
{
    if (k->own_count < OWN_REPLIES)
        k->own[(k->own_head + k->own_count++) % OWN_REPLIES] = byte;
    else
        log_guest(LOG_KBD, "reply=%#x lost: earlier ones are unread", byte);
}

/* ---- output port -------------------------------------------------------------- */

static void set_a20(struct kbd8042 *k, bool on)
{
    struct mem_map *mm = &k->dev.machine->mem;
    uint64_t mask = on ? ~0ull : ~BIT(20);

    if (mm->a20_mask == mask)
        return;
    mm->a20_mask = mask;
    mem_update(mm); /* tells the CPUs */
}

static uint8_t output_port(const struct kbd8042 *k)
{
    uint8_t val = OUTP_RUN | OUTP_LINES;

    if (k->dev.machine->mem.a20_mask & BIT(20))
        val |= OUTP_A20;
    if (k->status & STR_OBF)
        val |= k->status & STR_AUX_OBF ? OUTP_AUX_OBF : OUTP_KBD_OBF;
    return val;
}

static void write_output_port(struct kbd8042 *k, uint8_t val)
{
    set_a20(k, val & OUTP_A20);
    if (!(val & OUTP_RUN))
        machine_request_reset(k->dev.machine, CAUSE_GUEST_RESET);
}

/* ---- controller commands --------------------------------------------------------- */

static void kbd_self_test(struct kbd8042 *k)
{
    k->ram[0] |= CTR_SYS;
    k->break_prefix = false;
    own_reply(k, 0x55);
}

static void kbd_control(struct kbd8042 *k, uint8_t cmd)
{
    switch (cmd) {
    case CCMD_READ_RAM ... CCMD_READ_RAM + 31:
        own_reply(k, k->ram[cmd - CCMD_READ_RAM]);
        break;
    case CCMD_TEST_PASSWORD:
        own_reply(k, 0xf1); /* none installed */
        break;
    case CCMD_AUX_DISABLE:
        k->ram[0] |= CTR_AUX_DIS;
        break;
    case CCMD_AUX_ENABLE:
        k->ram[0] &= ~CTR_AUX_DIS;
        break;
    case CCMD_SELF_TEST:
        kbd_self_test(k);
        break;
    case CCMD_KBD_TEST: case CCMD_AUX_TEST:
        own_reply(k, 0x00); /* lines are fine */
        break;
    case CCMD_KBD_DISABLE:
        k->ram[0] |= CTR_KBD_DIS;
        break;
    case CCMD_KBD_ENABLE:
        k->ram[0] &= ~CTR_KBD_DIS;
        break;
    case CCMD_READ_INPUT:
        own_reply(k, 0x80); /* keyboard lock open */
        break;
    case CCMD_READ_OUTPUT:
        own_reply(k, output_port(k));
        break;
    case CCMD_A20_OFF: case CCMD_A20_ON:
        set_a20(k, cmd == CCMD_A20_ON);
        break;
    case CCMD_READ_TEST:
        own_reply(k, 0x00); /* both clocks low */
        break;
    case CCMD_PULSE ... CCMD_PULSE + 15: /* lines whose bit is 0 go low */
        if (!(cmd & OUTP_RUN))
            machine_request_reset(k->dev.machine, CAUSE_GUEST_RESET);
        break;
    case CCMD_WRITE_RAM ... CCMD_WRITE_RAM + 31:
    case CCMD_WRITE_OUTPUT ... CCMD_WRITE_AUX:
        k->pending_cmd = cmd;
        break;
    default:
        log_guest(LOG_KBD, "controller command=%#x unknown", cmd);
    }
}

/* The data byte of the pending controller command. */
static void kbd_control_data(struct kbd8042 *k, uint8_t cmd, uint8_t val)
{
    switch (cmd) {
    case CCMD_WRITE_RAM ... CCMD_WRITE_RAM + 31:
        k->ram[cmd - CCMD_WRITE_RAM] = val;
        break;
    case CCMD_WRITE_OUTPUT:
        write_output_port(k, val);
        break;
    case CCMD_WRITE_KBD_OBUF:
        obuf_put(k, val, 0);
        break;
    case CCMD_WRITE_AUX_OBUF:
        obuf_put(k, val, STR_AUX_OBF);
        break;
    case CCMD_WRITE_AUX:
        k->ram[0] &= ~CTR_AUX_DIS; /* sending drives the clock */
        ps2_mouse_command(&k->mouse, val);
        break;
    }
}

/* ---- ports -------------------------------------------------------------------------- */

static uint64_t data_read(void *opaque, uint64_t off, unsigned size)
{
    struct kbd8042 *k = opaque;
    uint8_t val = k->obuf;

    k->status &= ~(STR_OBF | STR_AUX_OBF);
    kbd_update_irq(k); /* low first: the 8259 wants an edge for the next byte */
    kbd_advance(k);
    return val;
}

static void data_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct kbd8042 *k = opaque;
    uint8_t cmd = k->pending_cmd;

    k->status &= ~STR_CMD;
    k->pending_cmd = 0;
    if (cmd) {
        kbd_control_data(k, cmd, val);
    } else {
        k->ram[0] &= ~CTR_KBD_DIS; /* sending drives the clock */
        k->break_prefix = false;
        ps2_kbd_command(&k->kbd, val);
    }
    kbd_advance(k);
}

static uint64_t status_read(void *opaque, uint64_t off, unsigned size)
{
    struct kbd8042 *k = opaque;

    return k->status | (k->ram[0] & CTR_SYS ? STR_SYS : 0);
}

static void command_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct kbd8042 *k = opaque;

    log_ev(LOG_KBD, "controller command=%#x", (unsigned)val);
    k->status |= STR_CMD;
    k->pending_cmd = 0;
    kbd_control(k, val);
    kbd_advance(k);
}

/* ---- input from outside ----------------------------------------------------------------- */

void kbd_put_key(struct kbd8042 *k, unsigned keycode, bool down)
{
    ps2_kbd_key(&k->kbd, keycode, down);
    kbd_advance(k);
}

void mouse_put_event(struct kbd8042 *k, int dx, int dy, int dz, unsigned buttons)
{
    ps2_mouse_event(&k->mouse, dx, dy, dz, buttons);
    kbd_advance(k);
}

unsigned kbd_leds(const struct kbd8042 *k)
{
    return k->kbd.leds;
}

/* ---- the device ----------------------------------------------------------------------------- */

static void i8042_reset(struct device *d)
{
    struct kbd8042 *k = (struct kbd8042 *)d;

    ps2_kbd_reset(&k->kbd);
    ps2_mouse_reset(&k->mouse);
    memset(k->ram, 0, sizeof(k->ram));
    k->ram[0] = CTR_POWER_ON;
    k->status = STR_UNLOCKED;
    k->obuf = k->pending_cmd = 0;
    k->own_head = k->own_count = 0;
    k->break_prefix = false;
    set_a20(k, true);
    kbd_update_irq(k);
}

static void sink_key(void *opaque, unsigned keycode, bool down)
{
    kbd_put_key(opaque, keycode, down);
}

static void sink_motion(void *opaque, int dx, int dy, int dz, unsigned buttons)
{
    mouse_put_event(opaque, dx, dy, dz, buttons);
}

static int i8042_init(struct device *d, struct err *e)
{
    static const struct io_ops data = { data_read, data_write, 1, 1 };
    static const struct io_ops command = { status_read, command_write, 1, 1 };
    struct kbd8042 *k = (struct kbd8042 *)d;

    port_map(d->machine, "i8042-data", PORT_DATA, 1, &data, k);
    port_map(d->machine, "i8042-cmd", PORT_CMD, 1, &command, k);
    d->machine->kbd = k;
    k->sink = (struct input_sink){ .name = "PS/2", .key = sink_key, .motion = sink_motion,
                                   .opaque = k };
    input_attach(d->machine, &k->sink);
    i8042_reset(d);
    return 0;
}

static const struct dev_field i8042_fields[] = {
    FIELD(BYTES, struct kbd8042, ram), FIELD(U8, struct kbd8042, status),
    FIELD(U8, struct kbd8042, obuf), FIELD(U8, struct kbd8042, pending_cmd),
    FIELD(BYTES, struct kbd8042, own),
    FIELD(U8, struct kbd8042, own_head), FIELD(U8, struct kbd8042, own_count),
    FIELD(BOOL, struct kbd8042, break_prefix),
    FIELD(BYTES, struct kbd8042, kbd.port), FIELD(BOOL, struct kbd8042, kbd.scanning),
    FIELD(U8, struct kbd8042, kbd.scan_set), FIELD(U8, struct kbd8042, kbd.leds),
    FIELD(U8, struct kbd8042, kbd.typematic),
    FIELD(BYTES, struct kbd8042, mouse.port),
    FIELD(BOOL, struct kbd8042, mouse.reporting), FIELD(BOOL, struct kbd8042, mouse.remote),
    FIELD(BOOL, struct kbd8042, mouse.wrap), FIELD(BOOL, struct kbd8042, mouse.scale21),
    FIELD(U8, struct kbd8042, mouse.id), FIELD(U8, struct kbd8042, mouse.rate_hz),
    FIELD(U8, struct kbd8042, mouse.resolution), FIELD(BYTES, struct kbd8042, mouse.knock),
    FIELD(U8, struct kbd8042, mouse.buttons), FIELD(U16, struct kbd8042, mouse.dx),
    FIELD(U16, struct kbd8042, mouse.dy), FIELD(U16, struct kbd8042, mouse.dz),
    FIELD_END
};

const struct device_type i8042_type = {
    .name = "i8042", .desc = "keyboard controller, PS/2 keyboard and mouse",
    .size = sizeof(struct kbd8042),
    .init = i8042_init, .reset = i8042_reset, .fields = i8042_fields,
};

/* @arg: the mouse's interrupt line */
static void i8042_setup(struct device *d, const void *arg)
{
    ((struct kbd8042 *)d)->irq_aux = arg;
}

int i8042_add(struct machine *m, struct err *e)
{
    if (!machine_add_device(m, &i8042_type, 0, machine_irq(m, IRQ_KBD), i8042_setup,
                            machine_irq(m, IRQ_AUX), e))
        return -ENODEV;
    return 0;
}
