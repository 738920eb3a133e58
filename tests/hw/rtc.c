/* rtc.c - MC146818 through its ports and a stepped clock */
#include <stdlib.h>
#include <time.h>
#include "tests/hw/chips.h"

static struct bench b;
static struct device *rtc;
static struct edges irq;
static struct irq_line wire = { edges_set, &irq, 0 };

enum { A = 0x0a, B = 0x0b, C = 0x0c, D = 0x0d, CENTURY = 0x32 };
#define S 1000000000ll

static void setup(void)
{
    bench_init(&b, 0);
    irq = (struct edges){ 0 };
    rtc = bench_add(&b, &mc146818_type, 0x70, &wire);
}

static void teardown(void)
{
    machine_free(b.m);
}

static uint8_t rd(uint8_t reg)
{
    outb(b.m, 0x70, reg);
    return inb(b.m, 0x71);
}

static void wr(uint8_t reg, uint8_t v)
{
    outb(b.m, 0x70, reg);
    outb(b.m, 0x71, v);
}

/* BCD, 24 hours; leaves the clock at the start of that second. */
static void set_time(const uint8_t v[8])
{
    static const uint8_t reg[8] = { CENTURY, 9, 8, 7, 4, 2, 0, 6 };

    wr(A, 0x76); /* divider reset: the phase is known */
    wr(B, 0x82);
    for (int i = 0; i < 8; i++)
        wr(reg[i], v[i]);
    wr(B, 0x02);
    wr(A, 0x26);
    bench_step(&b, S / 2);
    wr(B, 0x82);
    for (int i = 0; i < 8; i++)
        wr(reg[i], v[i]);
    wr(B, 0x02);
    rd(C);
}

static void expect_time(const uint8_t v[8])
{
    static const uint8_t reg[8] = { CENTURY, 9, 8, 7, 4, 2, 0, 6 };

    for (int i = 0; i < 8; i++)
        cr_assert_eq(rd(reg[i]), v[i], "reg %#x is %#x", reg[i], rd(reg[i]));
}

#define TIME(...) ((const uint8_t[8]){ __VA_ARGS__ })

TestSuite(rtc, .init = setup, .fini = teardown);

static unsigned bcd(uint8_t v)
{
    return (v >> 4) * 10 + (v & 15);
}

Test(rtc, starts_at_host_time_utc)
{
    struct tm tm = {
        .tm_year = bcd(rd(9)) + 100 * bcd(rd(CENTURY)) - 1900, .tm_mon = bcd(rd(8)) - 1,
        .tm_mday = bcd(rd(7)), .tm_hour = bcd(rd(4)), .tm_min = bcd(rd(2)),
        .tm_sec = bcd(rd(0)),
    };
    time_t t = timegm(&tm), host = time(NULL);

    cr_assert_leq(t, host);
    cr_assert_geq(t, host - 3600);
    cr_assert_eq(tm.tm_wday, (int)bcd(rd(6)) - 1);
    cr_assert_eq(rd(D), 0x80);
    cr_assert_eq(rd(B), 0x02);
}

Test(rtc, localtime_of_the_host)
{
    struct bench l;
    struct device *d;
    unsigned utc, local;

    setenv("TZ", "TST-5", 1); /* five hours east */
    tzset();
    bench_init(&l, 0);
    l.m->cfg.rtc_localtime = true;
    d = bench_add(&l, &mc146818_type, 0x70, NULL);
    utc = bcd(rtc_get_cmos(rtc, 4));
    local = bcd(rtc_get_cmos(d, 4));
    /* the hour may turn between the two */
    cr_assert((local + 24 - utc) % 24 == 5 || (local + 24 - utc) % 24 == 6);
    machine_free(l.m);
}

Test(rtc, runs_over_midnight_and_leap_day)
{
    set_time(TIME(0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x59, 4));
    expect_time(TIME(0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x59, 4));
    bench_step(&b, S);
    expect_time(TIME(0x20, 0x24, 0x02, 0x29, 0x00, 0x00, 0x00, 5));
    bench_step(&b, 86400 * S);
    expect_time(TIME(0x20, 0x24, 0x03, 0x01, 0x00, 0x00, 0x00, 6));
    set_time(TIME(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59, 6));
    bench_step(&b, S);
    expect_time(TIME(0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 7));
}

Test(rtc, binary_and_12_hours)
{
    set_time(TIME(0x20, 0x21, 0x11, 0x30, 0x13, 0x45, 0x58, 3));
    wr(B, 0x04);
    cr_assert_eq(rd(4), 0x81, "1 pm");
    cr_assert_eq(rd(2), 45);
    cr_assert_eq(rd(9), 21);
    wr(B, 0x00);
    cr_assert_eq(rd(4), 0x81);
    wr(4, 0x12); /* 12 am */
    wr(B, 0x02);
    cr_assert_eq(rd(4), 0x00);
    wr(B, 0x00);
    wr(4, 0x92); /* 12 pm */
    wr(B, 0x02);
    cr_assert_eq(rd(4), 0x12);
}

Test(rtc, set_freezes)
{
    set_time(TIME(0x20, 0x21, 0x11, 0x30, 0x13, 0x45, 0x10, 3));
    wr(B, 0x82);
    bench_step(&b, 5 * S);
    cr_assert_eq(rd(0), 0x10);
    wr(0, 0x30);
    wr(B, 0x02);
    cr_assert_eq(rd(0), 0x30);
    bench_step(&b, 2 * S);
    cr_assert_eq(rd(0), 0x32);
}

Test(rtc, uip_before_update)
{
    set_time(TIME(0x20, 0x21, 0x11, 0x30, 0x13, 0x45, 0x10, 3));
    cr_assert(!(rd(A) & 0x80));
    bench_step(&b, S - 244000);
    cr_assert(rd(A) & 0x80);
    bench_step(&b, 244000);
    cr_assert(!(rd(A) & 0x80));
    cr_assert_eq(rd(0), 0x11);
}

Test(rtc, update_flag_by_polling)
{
    set_time(TIME(0x20, 0x21, 0x11, 0x30, 0x13, 0x45, 0x10, 3));
    cr_assert_eq(rd(C) & 0x10, 0);
    bench_step(&b, S);
    cr_assert_eq(rd(C) & 0x90, 0x10);
    cr_assert_eq(rd(C) & 0x10, 0, "reading clears");
    cr_assert_eq(irq.rises, 0);
}

Test(rtc, update_interrupt_every_second)
{
    set_time(TIME(0x20, 0x21, 0x11, 0x30, 0x13, 0x45, 0x10, 3));
    wr(B, 0x12);
    for (int i = 1; i <= 3; i++) {
        bench_step(&b, S);
        cr_assert_eq(irq.rises, i);
        cr_assert_eq(irq.level, 1);
        cr_assert_eq(rd(C) & 0xf0 & ~0x40, 0x90);
        cr_assert_eq(irq.level, 0);
    }
}

Test(rtc, alarm)
{
    set_time(TIME(0x20, 0x21, 0x11, 0x30, 0x13, 0x45, 0x58, 3));
    wr(5, 0x13);
    wr(3, 0x46);
    wr(1, 0x03);
    wr(B, 0x22);
    bench_step(&b, 4 * S);
    cr_assert_eq(irq.rises, 0);
    bench_step(&b, S);
    cr_assert_eq(irq.rises, 1);
    cr_assert_eq(rd(C) & 0xa0, 0xa0);
    bench_step(&b, 3600 * S);
    cr_assert_eq(irq.rises, 1);
    wr(5, 0xff); /* every hour */
    bench_step(&b, 3600 * S);
    cr_assert_eq(irq.rises, 2);
}

Test(rtc, alarm_flag_by_polling)
{
    set_time(TIME(0x20, 0x21, 0x11, 0x30, 0x13, 0x45, 0x58, 3));
    wr(5, 0x12);
    wr(3, 0x00);
    wr(1, 0x00);
    bench_step(&b, 22 * 3600 * S);
    cr_assert_eq(rd(C) & 0x20, 0);
    bench_step(&b, 2 * 3600 * S);
    cr_assert_eq(rd(C) & 0x20, 0x20);
}

Test(rtc, periodic_rates)
{
    set_time(TIME(0x20, 0x21, 0x11, 0x30, 0x13, 0x45, 0x10, 3));
    for (int rs = 1; rs < 16; rs++) {
        int hz = rs < 3 ? 32768 >> (rs + 6) : 32768 >> (rs - 1), seen = 0;

        wr(A, 0x20 | rs);
        wr(B, 0x42);
        rd(C);
        for (int i = 0; i < hz * 2 && i < 512; i++) {
            bench_step(&b, (S + hz - 1) / hz);
            seen += !!(rd(C) & 0x40);
        }
        cr_assert_eq(seen, MIN(hz * 2, 512), "rate %d", rs);
    }
    wr(A, 0x20);
    rd(C);
    bench_step(&b, S);
    cr_assert_eq(rd(C) & 0x40, 0);
}

Test(rtc, reset_keeps_time_and_memory)
{
    set_time(TIME(0x20, 0x21, 0x11, 0x30, 0x13, 0x45, 0x10, 3));
    wr(0x40, 0xa5);
    wr(B, 0x72);
    machine_reset(b.m);
    cr_assert_eq(rd(B), 0x02);
    cr_assert_eq(rd(0x40), 0xa5);
    cr_assert_eq(rd(2), 0x45);
    cr_assert_eq(irq.level, 0);
}

Test(rtc, board_bytes_and_nmi_mask)
{
    rtc_set_cmos(rtc, 0x34, 0x77);
    cr_assert_eq(rd(0x34), 0x77);
    cr_assert_eq(rtc_get_cmos(rtc, 0x34), 0x77);
    rtc_set_cmos(rtc, B, 0xff);
    cr_assert_eq(rd(B), 0x02);
    cr_assert(!rtc_nmi_masked(rtc));
    outb(b.m, 0x70, 0xb4);
    cr_assert(rtc_nmi_masked(rtc));
    cr_assert_eq(inb(b.m, 0x71), 0x77);
    cr_assert_eq(inb(b.m, 0x70), 0xff);
}

Test(rtc, cut_line)
{
    rtc_gate_irq(rtc, false);
    wr(B, 0x12);
    bench_step(&b, 2 * S);
    cr_assert_eq(irq.level, 0);
    rtc_gate_irq(rtc, true);
    cr_assert_eq(irq.level, 1, "the line is level until C is read");
}

static char told[128];

static void on_event(void *opaque, const char *name, const char *data)
{
    cr_assert_str_eq(name, "RTC_CHANGE");
    cr_assert_str_empty(told, "told twice: %s, %s", told, data);
    snprintf(told, sizeof told, "%s", data);
}

static void expect_told(int seconds)
{
    char want[128];

    snprintf(want, sizeof want, "{\"offset\": %d, \"qom-path\": \"/machine/unattached/device[0]\"}", seconds);
    cr_assert_str_eq(told, want);
    told[0] = 0;
}

Test(rtc, tells_by_how_much_it_was_set)
{
    int was, now;

    b.m->event = on_event;
    wr(B, 0x06);                 /* binary, 24 hours */
    was = rd(2);
    now = (was + 30) % 60;
    wr(2, was);
    cr_assert_str_empty(told, "the same minute");
    wr(2, now);
    expect_told((now - was) * 60);
    wr(B, 0x86);
    wr(2, was);
    cr_assert_str_empty(told, "not before it runs again");
    wr(B, 0x06);
    expect_told(0);
    b.m->event = NULL;
}

Test(rtc, garbage_is_harmless)
{
    for (int v = 0; v < 256; v++) {
        for (int reg = 0; reg < 10; reg++)
            wr(reg, v);
        wr(CENTURY, v);
        wr(A, v);
        wr(B, v);
        bench_step(&b, S);
        for (int reg = 0; reg < 14; reg++)
            rd(reg);
        rd(CENTURY);
        wr(B, 0x02);
    }
}
