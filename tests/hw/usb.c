/* usb.c - UHCI registers and schedules, default pipe, tablet, mouse, keyboard, hub */
#include "hw/input/i8042.h"
#include "hw/input/input.h"
#include "hw/usb/usb.h"
#include "hw/user-devices.h"
#include "tests/hw/board.h"

#define UHCI  PCI_DEVFN(1, 2)
#define IO    0xc000
#define MS    1000000
enum { CMD = 0, STS = 2, INTR = 4, FRNUM = 6, FLBASE = 8, PORTSC = 16 };
enum { LIST = 0x10000, QH = 0x20000, TDS = 0x21000, DATA = 0x30000 };
enum { ACTIVE = 1 << 23, STALLED = 1 << 22, NAK = 1 << 19, TIMEOUT = 1 << 18, IOC = 1 << 24, SPD = 1 << 29 };
enum { IN = USB_IN, OUT = USB_OUT, SETUP = USB_SETUP };

static struct machine *usb_machine(void)
{
    struct machine *m = board_machine();

    board_add(m, &piix3_uhci_type, UHCI);
    machine_reset(m);
    cfg_wr(m, UHCI, 0x20, IO, 4);
    cfg_wr(m, UHCI, PCI_COMMAND, 5, 2);
    for (unsigned i = 0; i < 1024; i++)
        stl32(m->ram + LIST + i * 4, QH | 2);
    stl32(m->ram + QH, 1);
    stl32(m->ram + QH + 4, 1);
    port_write(m, IO + FLBASE, LIST, 4);
    return m;
}

static struct device *plug_at(struct machine *m, const char *name, const char *port)
{
    struct user_prop p = { "port", port };
    struct err e = { "" };
    struct device *d = user_device_add(m, user_device_find(name), NULL, &p, port ? 1 : 0, &e);

    cr_assert_not_null(d, "%s", e.msg);
    return d;
}

static struct device *plug(struct machine *m, const char *name)
{
    return plug_at(m, name, NULL);
}

static void enable_port(struct machine *m, unsigned n)
{
    port_write(m, IO + PORTSC + n * 2, 1 << 9, 2);
    port_write(m, IO + PORTSC + n * 2, 0, 2);
    port_write(m, IO + PORTSC + n * 2, 1 << 2 | 1 << 1, 2);
}

static void step(struct machine *m, unsigned ms)
{
    clock_step(&m->clock, &m->timers, (int64_t)ms * MS);
}

static void td(struct machine *m, unsigned n, unsigned pid, unsigned addr, unsigned ep, unsigned len,
               gpa_t buf, uint32_t flags, bool last)
{
    uint8_t *p = m->ram + TDS + n * 32;

    stl32(p, last ? 1 : (TDS + (n + 1) * 32) | 4);
    stl32(p + 4, ACTIVE | 3 << 27 | flags);
    stl32(p + 8, pid | addr << 8 | ep << 15 | ((len - 1) & 0x7ff) << 21);
    stl32(p + 12, buf);
}

static uint32_t td_status(struct machine *m, unsigned n) { return ldl32(m->ram + TDS + n * 32 + 4); }

static void go(struct machine *m)
{
    stl32(m->ram + QH + 4, TDS);
    port_write(m, IO + CMD, 1, 2);
}

/* A control transfer; what came in is at DATA + 8. Returns its length, -1: stalled. */
static int control(struct machine *m, unsigned addr, uint8_t type, uint8_t req, unsigned value,
                   unsigned index, unsigned len)
{
    uint8_t *s = m->ram + DATA;
    unsigned n = 0, got = 0, first;

    s[0] = type, s[1] = req;
    stl16(s + 2, value), stl16(s + 4, index), stl16(s + 6, len);
    td(m, n++, SETUP, addr, 0, 8, DATA, 0, false);
    first = n;
    for (unsigned at = 0; at < len; at += 8)
        td(m, n++, type & 0x80 ? IN : OUT, addr, 0, MIN(len - at, 8u), DATA + 8 + at, 0, false);
    td(m, n++, type & 0x80 ? OUT : IN, addr, 0, 0, 0, IOC, true);
    go(m);
    step(m, 10);
    if (td_status(m, n - 1) & (ACTIVE | STALLED))
        return -1;
    for (unsigned i = first; i < n - 1; i++)
        got += ((td_status(m, i) & 0x7ff) + 1) & 0x7ff;
    return got;
}

static struct machine *tablet_machine(void)
{
    struct machine *m = usb_machine();

    plug(m, "usb-tablet");
    enable_port(m, 0);
    cr_assert_eq(control(m, 0, 0, USB_SET_ADDRESS, 5, 0, 0), 0);
    cr_assert_eq(control(m, 5, 0, USB_SET_CONFIGURATION, 1, 0, 0), 0);
    return m;
}

Test(usb, registers_after_reset)
{
    struct machine *m = usb_machine();

    cr_assert_eq(cfg_rd(m, UHCI, 0, 4), 0x70208086);
    cr_assert_eq(cfg_rd(m, UHCI, 0x60, 1), 0x10);
    cr_assert_eq(port_read(m, IO + CMD, 2), 0);
    cr_assert_eq(port_read(m, IO + STS, 2), 0x20, "halted");
    cr_assert_eq(port_read(m, IO + 12, 1), 0x40);
    cr_assert_eq(port_read(m, IO + PORTSC, 2), 0x80, "nothing there");
    cr_assert_eq(port_read(m, IO + PORTSC, 4), 0x800080);
    cr_assert_eq(port_read(m, IO + FLBASE, 4), LIST);
    machine_free(m);
}

Test(usb, frames_count_while_it_runs_and_cost_nothing_while_not)
{
    struct machine *m = usb_machine();

    cr_assert_null(m->timers.head);
    port_write(m, IO + CMD, 1, 2);
    step(m, 5);
    cr_assert_eq(port_read(m, IO + FRNUM, 2), 5);
    step(m, 3000);
    cr_assert_eq(port_read(m, IO + FRNUM, 2), 3005 & 0x7ff);
    step(m, 200);
    cr_assert_geq(m->timers.head->deadline_ns - clock_now_ns(&m->clock), 8 * MS, "idle: seldom");
    port_write(m, IO + CMD, 0, 2);
    cr_assert_null(m->timers.head, "stopped: never");
    cr_assert_eq(port_read(m, IO + STS, 2) & 0x20, 0x20);
    machine_free(m);
}

Test(usb, frames_without_bus_mastering_do_nothing)
{
    struct machine *m = usb_machine();

    plug(m, "usb-tablet");
    enable_port(m, 0);
    cfg_wr(m, UHCI, PCI_COMMAND, 1, 2);
    cr_assert_eq(control(m, 0, 0, USB_SET_ADDRESS, 5, 0, 0), -1);
    cr_assert_eq(td_status(m, 0), ACTIVE | 3 << 27, "untouched");
    cr_assert_eq(port_read(m, IO + STS, 2), 0, "and no error");
    cr_assert_eq(port_read(m, IO + FRNUM, 2), 10);
    cfg_wr(m, UHCI, PCI_COMMAND, 5, 2);
    step(m, 1500);
    cr_assert_eq(td_status(m, 0) & (ACTIVE | STALLED), 0);
    machine_free(m);
}

Test(usb, attach_and_detach_show_in_the_port)
{
    struct machine *m = usb_machine();
    struct device *d = plug(m, "usb-tablet");

    cr_assert_eq(port_read(m, IO + PORTSC, 2), 0x80 | 0x10 | 3);
    enable_port(m, 0);
    cr_assert_eq(port_read(m, IO + PORTSC, 2), 0x80 | 0x10 | 5, "enabled, change cleared");
    machine_remove_device(m, d);
    cr_assert_eq(port_read(m, IO + PORTSC, 2), 0x80 | 0x0a, "gone, both changes");
    machine_free(m);
}

Test(usb, plugging_in_wakes_a_suspended_controller)
{
    struct machine *m = usb_machine();

    port_write(m, IO + INTR, 2, 2);
    port_write(m, IO + CMD, 8, 2);
    plug(m, "usb-mouse");
    cr_assert_eq(port_read(m, IO + STS, 2) & 4, 4);
    cr_assert(cfg_rd(m, UHCI, PCI_STATUS, 2) & PCI_STATUS_INTX);
    port_write(m, IO + STS, 4, 2);
    cr_assert_not(cfg_rd(m, UHCI, PCI_STATUS, 2) & PCI_STATUS_INTX);
    machine_free(m);
}

Test(usb, descriptors)
{
    struct machine *m = tablet_machine();
    const uint8_t *d = m->ram + DATA + 8;
    int report_len;

    cr_assert_eq(control(m, 5, 0x80, USB_GET_DESCRIPTOR, USB_DESC_DEVICE << 8, 0, 64), 18);
    cr_assert_eq(d[0], 18);
    cr_assert_eq(d[7], 8);
    cr_assert_eq(control(m, 5, 0x80, USB_GET_DESCRIPTOR, USB_DESC_DEVICE << 8, 0, 8), 8, "cut");
    cr_assert_eq(control(m, 5, 0x80, USB_GET_DESCRIPTOR, USB_DESC_CONFIG << 8, 0, 255), 34);
    cr_assert_eq(d[5 + 9], 3, "HID");
    report_len = d[9 + 9 + 7];
    cr_assert_eq(control(m, 5, 0x81, USB_GET_DESCRIPTOR, 0x22 << 8, 0, 255), report_len);
    cr_assert_eq(d[0], 0x05, "usage page");
    cr_assert_eq(control(m, 5, 0x80, USB_GET_DESCRIPTOR, USB_DESC_STRING << 8 | 2, 0, 255), 22);
    cr_assert_eq(d[2], 'U');
    cr_assert_eq(control(m, 5, 0x80, USB_GET_DESCRIPTOR, USB_DESC_STRING << 8 | 9, 0, 255), -1);
    cr_assert(td_status(m, 1) & STALLED);
    cr_assert_eq(control(m, 5, 0x80, USB_GET_DESCRIPTOR, 99 << 8, 0, 255), -1);
    cr_assert_eq(control(m, 5, 0x80, USB_GET_CONFIGURATION, 0, 0, 1), 1, "it recovers by itself");
    cr_assert_eq(d[0], 1);
    machine_free(m);
}

Test(usb, halted_endpoint)
{
    struct machine *m = tablet_machine();

    cr_assert_eq(control(m, 5, 2, USB_SET_FEATURE, 0, 0x81, 0), 0);
    cr_assert_eq(control(m, 5, 0x82, USB_GET_STATUS, 0, 0x81, 2), 2);
    cr_assert_eq(m->ram[DATA + 8], 1);
    td(m, 0, IN, 5, 1, 8, DATA, 0, true);
    go(m);
    step(m, 2);
    cr_assert_eq(td_status(m, 0) & (ACTIVE | STALLED), STALLED);
    cr_assert_eq(port_read(m, IO + STS, 2) & 2, 2);
    cr_assert_eq(control(m, 5, 2, USB_CLEAR_FEATURE, 0, 0x81, 0), 0);
    td(m, 0, IN, 5, 1, 8, DATA, 0, true);
    go(m);
    step(m, 2);
    cr_assert_eq(td_status(m, 0) & (ACTIVE | STALLED | NAK), ACTIVE | NAK);
    machine_free(m);
}

/* What the user does arrives within the frame, though the controller had gone lazy. */
Test(usb, tablet_reports)
{
    struct machine *m = tablet_machine();
    const uint8_t *r = m->ram + DATA;

    port_write(m, IO + INTR, 15, 2);
    port_write(m, IO + STS, 0x1f, 2);
    td(m, 0, IN, 5, 1, 8, DATA, IOC, true);
    go(m);
    step(m, 500);
    cr_assert_eq(td_status(m, 0) & (ACTIVE | NAK), ACTIVE | NAK);
    cr_assert(input_is_absolute(m));
    input_position(m, 1023, 0, 1024, 768, 1, MOUSE_LEFT);
    step(m, 1);
    cr_assert_eq(td_status(m, 0) & (ACTIVE | 0x7ff), 5, "6 bytes");
    cr_assert_eq(r[0], 1);
    cr_assert_eq(ldl16(r + 1), 32767);
    cr_assert_eq(ldl16(r + 3), 0);
    cr_assert_eq(r[5], 0xff, "towards the user counts down");
    cr_assert_eq(port_read(m, IO + STS, 2) & 1, 1);
    cr_assert(cfg_rd(m, UHCI, PCI_STATUS, 2) & PCI_STATUS_INTX);
    machine_free(m);
}

/* Press, move and release between two polls: all three are told. */
Test(usb, clicks_do_not_vanish)
{
    struct machine *m = tablet_machine();
    const uint8_t *r = m->ram + DATA;

    input_position(m, 10, 10, 100, 100, 0, 0);
    input_position(m, 20, 20, 100, 100, 0, 1);
    input_position(m, 30, 30, 100, 100, 0, 1);
    input_position(m, 40, 40, 100, 100, 0, 0);
    for (unsigned i = 0; i < 4; i++)
        td(m, i, IN, 5, 1, 8, DATA + i * 8, 0, i == 3);
    go(m);
    step(m, 5);
    cr_assert_eq(r[0], 0);
    cr_assert_eq(r[8], 1);
    cr_assert_eq(ldl16(r + 9), 30 * 32767 / 99, "the motion while pressed is one report");
    cr_assert_eq(r[16], 0);
    cr_assert(td_status(m, 3) & ACTIVE, "no more");
    machine_free(m);
}

Test(usb, mouse_splits_long_ways)
{
    struct machine *m = usb_machine();
    const uint8_t *r = m->ram + DATA;

    plug(m, "usb-mouse");
    enable_port(m, 0);
    control(m, 0, 0, USB_SET_CONFIGURATION, 1, 0, 0);
    input_motion(m, 300, -5, 0, 0);
    for (unsigned i = 0; i < 3; i++)
        td(m, i, IN, 0, 1, 4, DATA + i * 4, 0, i == 2);
    go(m);
    step(m, 5);
    cr_assert_eq((int8_t)r[1] + (int8_t)r[5] + (int8_t)r[9], 300);
    cr_assert_eq((int8_t)r[2], -5);
    cr_assert_eq(r[6], 0);
    machine_free(m);
}

Test(usb, keyboard_reports_keys_held)
{
    struct machine *m = usb_machine();
    const uint8_t *r = m->ram + DATA;

    plug(m, "usb-kbd");
    enable_port(m, 0);
    control(m, 0, 0, USB_SET_CONFIGURATION, 1, 0, 0);
    input_key(m, 0x2a, true);               /* left Shift, A, up arrow */
    input_key(m, 0x1e, true);
    input_key(m, KEY_E0 | 0x48, true);
    input_key(m, 0x1e, false);
    for (unsigned i = 0; i < 4; i++)
        td(m, i, IN, 0, 1, 8, DATA + i * 8, 0, i == 3);
    go(m);
    step(m, 5);
    cr_assert_arr_eq(r, "\x02\0\0\0\0\0\0\0", 8);
    cr_assert_arr_eq(r + 8, "\x02\0\x04\0\0\0\0\0", 8);
    cr_assert_arr_eq(r + 16, "\x02\0\x04\x52\0\0\0\0", 8);
    cr_assert_arr_eq(r + 24, "\x02\0\x52\0\0\0\0\0", 8);
    machine_free(m);
}

Test(usb, pointer_goes_to_the_chosen_device)
{
    struct machine *m = tablet_machine();

    plug_at(m, "usb-mouse", "2");
    cr_assert(input_is_absolute(m), "the guest does not listen to the mouse yet");
    enable_port(m, 1);
    control(m, 0, 0, USB_SET_CONFIGURATION, 1, 0, 0);
    cr_assert_not(input_is_absolute(m), "the newest that it listens to");
    cr_assert(input_choose(m, 0));
    cr_assert(input_is_absolute(m));
    cr_assert_not(input_choose(m, 2));
    machine_free(m);
}

Test(usb, nobody_at_the_address_ends_in_a_timeout)
{
    struct machine *m = usb_machine();

    td(m, 0, IN, 77, 1, 8, DATA, 0, true);
    go(m);
    step(m, 5);
    cr_assert_eq(td_status(m, 0) & (ACTIVE | STALLED | TIMEOUT | 3 << 27), STALLED | TIMEOUT);
    cr_assert_eq(port_read(m, IO + STS, 2) & 2, 2);
    machine_free(m);
}

Test(usb, short_packet_stops_the_queue)
{
    struct machine *m = tablet_machine();

    input_position(m, 1, 1, 10, 10, 0, 0);
    port_write(m, IO + INTR, 8, 2);
    port_write(m, IO + STS, 0x1f, 2);
    td(m, 0, IN, 5, 1, 8, DATA, SPD, false);
    td(m, 1, IN, 5, 1, 8, DATA, 0, true);
    go(m);
    step(m, 3);
    cr_assert_eq(td_status(m, 0) & ACTIVE, 0);
    cr_assert_eq(td_status(m, 1) & (ACTIVE | NAK), ACTIVE, "not tried");
    cr_assert_eq(ldl32(m->ram + QH + 4), TDS, "the queue stands there");
    cr_assert(cfg_rd(m, UHCI, PCI_STATUS, 2) & PCI_STATUS_INTX);
    machine_free(m);
}

/* A queue linked to itself, a TD linked to itself: frames end all the same. */
Test(usb, loops_end_with_the_frame)
{
    struct machine *m = tablet_machine();

    stl32(m->ram + QH, QH | 2);
    td(m, 0, IN, 5, 1, 8, DATA, 0, true);
    go(m);
    step(m, 20);
    stl32(m->ram + LIST, TDS);
    for (unsigned i = 0; i < 1024; i++)
        stl32(m->ram + LIST + i * 4, TDS);
    stl32(m->ram + TDS, TDS);
    step(m, 20);
    port_write(m, IO + CMD, 0, 2);
    cr_assert(td_status(m, 0) & ACTIVE);
    machine_free(m);
}

Test(usb, nonsense_is_a_process_error)
{
    struct machine *m = usb_machine();

    td(m, 0, 0x12, 5, 1, 8, DATA, 0, true);
    go(m);
    step(m, 2);
    cr_assert_eq(port_read(m, IO + STS, 2), 0x30, "process error, halted");
    cr_assert_eq(port_read(m, IO + CMD, 2) & 1, 0);
    cr_assert_null(m->timers.head);
    port_write(m, IO + STS, 0x10, 2);
    td(m, 0, IN, 5, 1, 0x600, DATA, 0, true);
    go(m);
    step(m, 2);
    cr_assert_eq(port_read(m, IO + STS, 2), 0x30, "longer than a frame");
    machine_free(m);
}

Test(usb, hub)
{
    struct machine *m = usb_machine();
    const uint8_t *d = m->ram + DATA + 8;

    plug(m, "usb-tablet");
    plug(m, "usb-kbd");                      /* a hub comes, since one port was left */
    enable_port(m, 1);
    cr_assert_eq(control(m, 0, 0, USB_SET_ADDRESS, 9, 0, 0), 0);
    cr_assert_eq(control(m, 9, 0, USB_SET_CONFIGURATION, 1, 0, 0), 0);
    cr_assert_eq(control(m, 9, 0xa0, USB_GET_DESCRIPTOR, 0x29 << 8, 0, 71), 11);
    cr_assert_eq(d[2], 8);
    cr_assert_eq(control(m, 9, 0xa3, USB_GET_STATUS, 0, 1, 4), 4);
    cr_assert_eq(ldl32(d), 0x10101, "power, connection; changed");
    td(m, 0, IN, 9, 1, 2, DATA, 0, true);
    go(m);
    step(m, 2);
    cr_assert_eq(m->ram[DATA], 2, "port 1 has changed");
    cr_assert_eq(control(m, 9, 0x23, USB_SET_FEATURE, 4, 1, 0), 0, "reset");
    cr_assert_eq(control(m, 9, 0xa3, USB_GET_STATUS, 0, 1, 4), 4);
    cr_assert_eq(ldl32(d), 0x110103, "enabled; reset is over");
    cr_assert_eq(control(m, 0, 0x80, USB_GET_DESCRIPTOR, USB_DESC_DEVICE << 8, 0, 18), 18);
    cr_assert_eq(control(m, 9, 0x23, USB_CLEAR_FEATURE, 1, 1, 0), 0, "disable");
    cr_assert_eq(control(m, 0, 0x80, USB_GET_DESCRIPTOR, USB_DESC_DEVICE << 8, 0, 18), -1);
    cr_assert_eq(control(m, 9, 0x23, USB_SET_FEATURE, 4, 9, 0), -1, "no port 9");
    machine_free(m);
}

Test(usb, where_to_plug_in)
{
    struct machine *m = board_machine();
    struct user_prop p[] = { { "port", "7" } };
    const struct user_device *u = user_device_find("usb-tablet");
    struct err e = { "" };

    cr_assert_null(user_device_add(m, u, NULL, NULL, 0, &e));
    cr_assert_not_null(strstr(e.msg, "no USB controller"), "%s", e.msg);
    board_add(m, &piix3_uhci_type, UHCI);
    cr_assert_null(user_device_add(m, u, NULL, p, 1, &e));
    cr_assert_str_eq(e.msg, "usb-tablet: usb-bus.0 has no port 7");
    p[0].val = "2";
    cr_assert_not_null(user_device_add(m, u, NULL, p, 1, &e), "%s", e.msg);
    cr_assert_null(user_device_add(m, u, NULL, p, 1, &e));
    cr_assert_str_eq(e.msg, "usb-tablet: port 2 is taken by usb-tablet");
    p[0] = (struct user_prop){ "bus", "usb-bus.4" };
    cr_assert_null(user_device_add(m, u, NULL, p, 1, &e));
    cr_assert_str_eq(e.msg, "usb-tablet: there is no bus 'usb-bus.4'");
    machine_free(m);
}
