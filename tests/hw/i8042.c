/* i8042.c - keyboard controller, keyboard and mouse through ports 0x60, 0x64 */
#include "hw/input/i8042.h"
#include "tests/hw/stepped.h"

static struct machine *m;
static int line[16];

static void setup(void)
{
    struct err e = { "" };

    m = stepped_machine();
    for (int i = 0; i < 16; i++)
        m->isa_irq[i] = (struct irq_line){ watch_line, line, i };
    cr_assert_eq(i8042_add(m, &e), 0);
}

static void teardown(void)
{
    machine_free(m);
}

/* Everything that comes out now must be exactly these bytes, from @aux. */
static void expect(bool aux, const char *bytes, int n)
{
    for (int i = 0; i < n; i++) {
        uint8_t st = inb(m, 0x64), got;

        cr_assert_eq(st & 0x21, aux ? 0x21 : 0x01, "status %#x before byte %d", st, i);
        got = inb(m, 0x60);
        cr_assert_eq(got, (uint8_t)bytes[i], "byte %d is %#x", i, got);
    }
    cr_assert_eq(inb(m, 0x64) & 1, 0, "nothing more");
}

#define EXPECT_KBD(s) expect(false, s, sizeof(s) - 1)
#define EXPECT_AUX(s) expect(true, s, sizeof(s) - 1)

static void set_ctr(uint8_t val)
{
    outb(m, 0x64, 0x60);
    outb(m, 0x60, val);
}

static void aux(uint8_t byte)
{
    outb(m, 0x64, 0xd4);
    outb(m, 0x60, byte);
}

TestSuite(i8042, .init = setup, .fini = teardown);

Test(i8042, self_tests)
{
    cr_assert_eq(inb(m, 0x64) & 0x3b, 0x10);
    outb(m, 0x64, 0xaa);
    EXPECT_KBD("\x55");
    cr_assert_eq(inb(m, 0x64) & 0x04, 0x04);
    outb(m, 0x64, 0xab);
    EXPECT_KBD("\x00");
    outb(m, 0x64, 0xa9);
    EXPECT_KBD("\x00");
    outb(m, 0x64, 0xa4);
    EXPECT_KBD("\xf1");
}

Test(i8042, command_byte_and_ram)
{
    set_ctr(0x65);
    outb(m, 0x64, 0x20);
    EXPECT_KBD("\x65");
    outb(m, 0x64, 0x7f);
    outb(m, 0x60, 0xa5);
    outb(m, 0x64, 0x3f);
    EXPECT_KBD("\xa5");
    outb(m, 0x64, 0xa8);
    outb(m, 0x64, 0x20);
    EXPECT_KBD("\x45");
    outb(m, 0x64, 0xad);
    outb(m, 0x64, 0xa7);
    outb(m, 0x64, 0x20);
    EXPECT_KBD("\x75");
}

Test(i8042, command_data_bit)
{
    outb(m, 0x64, 0xae);
    cr_assert_eq(inb(m, 0x64) & 8, 8);
    outb(m, 0x60, 0xee);
    cr_assert_eq(inb(m, 0x64) & 8, 0);
    EXPECT_KBD("\xee");
}

Test(i8042, keyboard_commands)
{
    set_ctr(0x00); /* no translation */
    outb(m, 0x60, 0xff);
    EXPECT_KBD("\xfa\xaa");
    outb(m, 0x60, 0xf2);
    EXPECT_KBD("\xfa\xab\x83");
    outb(m, 0x60, 0xed);
    EXPECT_KBD("\xfa");
    outb(m, 0x60, 0x05);
    EXPECT_KBD("\xfa");
    cr_assert_eq(kbd_leds(m->kbd), KBD_LED_CAPS | KBD_LED_SCROLL);
    outb(m, 0x60, 0xf3);
    outb(m, 0x60, 0x20);
    EXPECT_KBD("\xfa\xfa");
    outb(m, 0x60, 0xf0);
    outb(m, 0x60, 0x00);
    EXPECT_KBD("\xfa\xfa\x02");
    outb(m, 0x60, 0xfe);
    EXPECT_KBD("\x02");
    outb(m, 0x60, 0x12);
    EXPECT_KBD("\xfe");
}

Test(i8042, identify_is_translated)
{
    outb(m, 0x60, 0xf2);
    EXPECT_KBD("\xfa\xab\x41");
}

Test(i8042, keys_in_set_one)
{
    kbd_put_key(m->kbd, 0x1e, true);           /* a */
    cr_assert_eq(line[1], 1);
    kbd_put_key(m->kbd, 0x1e, false);
    kbd_put_key(m->kbd, KEY_E0 | 0x4d, true);  /* right arrow */
    kbd_put_key(m->kbd, KEY_E0 | 0x4d, false);
    kbd_put_key(m->kbd, 0x41, true);           /* F7 */
    EXPECT_KBD("\x1e\x9e\xe0\x4d\xe0\xcd\x41");
    cr_assert_eq(line[1], 0);
}

Test(i8042, keys_in_set_two)
{
    set_ctr(0x01);
    kbd_put_key(m->kbd, 0x1e, true);
    kbd_put_key(m->kbd, 0x1e, false);
    kbd_put_key(m->kbd, KEY_E0 | 0x4d, false);
    kbd_put_key(m->kbd, 0x41, true);
    EXPECT_KBD("\x1c\xf0\x1c\xe0\xf0\x74\x83");
}

/* Every key: what the controller makes of set 2 is what set 1 says. */
Test(i8042, all_keys_round_trip)
{
    for (unsigned code = 1; code <= 0x58; code++) {
        if (code == 0x55)
            continue;
        kbd_put_key(m->kbd, code, true);
        kbd_put_key(m->kbd, code, false);
        cr_assert_eq(inb(m, 0x60), code);
        cr_assert_eq(inb(m, 0x60), code | 0x80);
    }
}

Test(i8042, print_and_pause)
{
    kbd_put_key(m->kbd, KEY_PRINT, true);
    kbd_put_key(m->kbd, KEY_PRINT, false);
    EXPECT_KBD("\xe0\x2a\xe0\x37\xe0\xb7\xe0\xaa");
    kbd_put_key(m->kbd, KEY_PAUSE, true);
    kbd_put_key(m->kbd, KEY_PAUSE, false);
    EXPECT_KBD("\xe1\x1d\x45\xe1\x9d\xc5");
    kbd_put_key(m->kbd, 0x3000, true);
    EXPECT_KBD("");
}

Test(i8042, native_set_one)
{
    set_ctr(0x00);
    outb(m, 0x60, 0xf0);
    outb(m, 0x60, 0x01);
    EXPECT_KBD("\xfa\xfa");
    kbd_put_key(m->kbd, KEY_E0 | 0x4d, false);
    EXPECT_KBD("\xe0\xcd");
}

Test(i8042, scanning_and_clock)
{
    outb(m, 0x60, 0xf5);
    EXPECT_KBD("\xfa");
    kbd_put_key(m->kbd, 0x1e, true);
    EXPECT_KBD("");
    outb(m, 0x60, 0xf4);
    EXPECT_KBD("\xfa");
    outb(m, 0x64, 0xad);
    kbd_put_key(m->kbd, 0x1e, true);
    EXPECT_KBD("");
    outb(m, 0x64, 0xae);
    EXPECT_KBD("\x1e");
}

Test(i8042, full_buffer_loses_whole_keys)
{
    int n = 0;

    set_ctr(0x00);
    for (int i = 0; i < 100; i++)
        kbd_put_key(m->kbd, KEY_E0 | 0x4d, false); /* three bytes each */
    while (inb(m, 0x64) & 1) {
        static const uint8_t want[3] = { 0xe0, 0xf0, 0x74 };

        cr_assert_eq(inb(m, 0x60), want[n++ % 3]);
    }
    cr_assert(n > 30 && n % 3 == 0, "%d", n);
}

Test(i8042, reply_overtakes_waiting_keys)
{
    kbd_put_key(m->kbd, 0x1e, true);
    kbd_put_key(m->kbd, 0x30, true);
    outb(m, 0x60, 0xed);
    EXPECT_KBD("\x1e\xfa\x30");
}

Test(i8042, interrupt_enables)
{
    set_ctr(0x40);
    kbd_put_key(m->kbd, 0x1e, true);
    cr_assert_eq(line[1], 0);
    set_ctr(0x41);
    cr_assert_eq(line[1], 1);
    inb(m, 0x60);
    cr_assert_eq(line[1], 0);
    set_ctr(0x43);
    aux(0xf2);
    cr_assert_eq(line[1], 0);
    cr_assert_eq(line[12], 1);
    EXPECT_AUX("\xfa\x00");
    cr_assert_eq(line[12], 0);
}

Test(i8042, a20)
{
    cr_assert(m->mem.a20_mask & BIT(20));
    outb(m, 0x64, 0xd1);
    outb(m, 0x60, 0xdd);
    cr_assert_not(m->mem.a20_mask & BIT(20));
    outb(m, 0x64, 0xd0);
    EXPECT_KBD("\xc1");
    outb(m, 0x64, 0xd1);
    outb(m, 0x60, 0xdf);
    cr_assert_eq(m->mem.a20_mask, ~0ull);
    outb(m, 0x64, 0xdd);
    cr_assert_not(m->mem.a20_mask & BIT(20));
    outb(m, 0x64, 0xdf);
    cr_assert(m->mem.a20_mask & BIT(20));
}

Test(i8042, reset_pulse)
{
    outb(m, 0x64, 0xff); /* pulses nothing */
    cr_assert_eq(m->request_reset, CAUSE_NONE);
    outb(m, 0x64, 0xfe);
    cr_assert_eq(m->request_reset, CAUSE_GUEST_RESET);
}

Test(i8042, reset_through_output_port)
{
    outb(m, 0x64, 0xd1);
    outb(m, 0x60, 0x02);
    cr_assert_eq(m->request_reset, CAUSE_GUEST_RESET);
}

Test(i8042, loop_through_output_buffer)
{
    outb(m, 0x64, 0xd3);
    outb(m, 0x60, 0x5a);
    EXPECT_AUX("\x5a");
    outb(m, 0x64, 0xd2);
    outb(m, 0x60, 0xa5);
    EXPECT_KBD("\xa5");
}

Test(i8042, mouse_commands)
{
    aux(0xff);
    EXPECT_AUX("\xfa\xaa\x00");
    aux(0xe9);
    EXPECT_AUX("\xfa\x00\x02\x64");
    aux(0xe8);
    aux(0x03);
    aux(0xe7);
    aux(0xf4);
    EXPECT_AUX("\xfa\xfa\xfa\xfa");
    aux(0xe9);
    EXPECT_AUX("\xfa\x30\x03\x64");
    aux(0xf6);
    EXPECT_AUX("\xfa");
    aux(0xee);
    aux(0x12);
    aux(0xec);
    EXPECT_AUX("\xfa\x12\xfa");
    aux(0x01);
    EXPECT_AUX("\xfe");
}

Test(i8042, mouse_reports)
{
    mouse_put_event(m->kbd, 5, 5, 0, 0);
    EXPECT_AUX(""); /* not enabled */
    aux(0xf6);
    aux(0xf4);
    EXPECT_AUX("\xfa\xfa");
    mouse_put_event(m->kbd, 3, 4, 0, MOUSE_LEFT);
    EXPECT_AUX("\x29\x03\xfc");
    mouse_put_event(m->kbd, -300, 0, 0, 0);
    EXPECT_AUX("\x18\x01\x00\x18\xd3\x00");
}

Test(i8042, mouse_motion_adds_up_and_clicks_are_kept)
{
    aux(0xf4);
    EXPECT_AUX("\xfa");
    for (int i = 0; i < 1000; i++)
        mouse_put_event(m->kbd, 0, -1, 0, 0);
    mouse_put_event(m->kbd, 0, 0, 0, MOUSE_RIGHT);
    mouse_put_event(m->kbd, 0, 0, 0, 0);
    /* the first step left at once; the press and the release carry the rest */
    EXPECT_AUX("\x08\x00\x01" "\x0a\x00\xff" "\x08\x00\xff"
               "\x08\x00\xff" "\x08\x00\xea");
}

Test(i8042, wheel_knock)
{
    static const uint8_t knock3[] = { 200, 100, 80 }, knock4[] = { 200, 200, 80 };

    for (int i = 0; i < 3; i++) {
        aux(0xf3);
        aux(knock3[i]);
    }
    EXPECT_AUX("\xfa\xfa\xfa\xfa\xfa\xfa");
    aux(0xf2);
    EXPECT_AUX("\xfa\x03");
    aux(0xf4);
    EXPECT_AUX("\xfa");
    mouse_put_event(m->kbd, 0, 0, -1, 0);
    EXPECT_AUX("\x08\x00\x00\xff");
    for (int i = 0; i < 3; i++) {
        aux(0xf3);
        aux(knock4[i]);
    }
    EXPECT_AUX("\xfa\xfa\xfa\xfa\xfa\xfa");
    aux(0xf2);
    EXPECT_AUX("\xfa\x04");
    mouse_put_event(m->kbd, 0, 0, 1, MOUSE_SIDE);
    EXPECT_AUX("\x08\x00\x00\x11");
}

Test(i8042, mouse_remote_mode)
{
    aux(0xf0);
    aux(0xf4);
    EXPECT_AUX("\xfa\xfa");
    mouse_put_event(m->kbd, 7, 0, 0, 0);
    EXPECT_AUX("");
    aux(0xeb);
    EXPECT_AUX("\xfa\x08\x07\x00");
}

/* A guest that only writes must not make anything grow or overflow. */
Test(i8042, unread_replies_are_bounded)
{
    int n = 0;

    for (int i = 0; i < 1000; i++) {
        outb(m, 0x60, 0xf2);
        aux(0xe9);
        outb(m, 0x64, 0x20);
    }
    while (inb(m, 0x64) & 1) {
        inb(m, 0x60);
        n++;
    }
    cr_assert(n < 64, "%d", n);
}
