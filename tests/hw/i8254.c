/* i8254.c - interval timer through its ports and a stepped clock */
#include "tests/hw/chips.h"

static struct bench b;
static struct device *pit;
static struct edges irq;
static struct irq_line wire = { edges_set, &irq, 0 };

static void setup(void)
{
    bench_init(&b, 0);
    irq = (struct edges){ 0 };
    pit = bench_add(&b, &i8254_type, 0x40, &wire);
}

static void teardown(void)
{
    machine_free(b.m);
}

/* Bring the clock to the start of PIT tick @n. */
static void to_tick(int64_t n)
{
    int64_t ns = (n * 1000000000 + PIT_HZ - 1) / PIT_HZ;

    bench_step(&b, ns - clock_now_ns(&b.m->clock));
}

static void load(unsigned counter, unsigned mode, uint16_t n)
{
    outb(b.m, 0x43, counter << 6 | 0x30 | mode << 1);
    outb(b.m, 0x40 + counter, n);
    outb(b.m, 0x40 + counter, n >> 8);
}

static uint16_t count(unsigned counter)
{
    uint8_t lo;

    outb(b.m, 0x43, counter << 6);
    lo = inb(b.m, 0x40 + counter);
    return lo | inb(b.m, 0x40 + counter) << 8;
}

static uint8_t status(unsigned counter)
{
    outb(b.m, 0x43, 0xe0 | 2 << counter);
    return inb(b.m, 0x40 + counter);
}

static bool out2(void)
{
    return inb(b.m, 0x61) & 0x20;
}

static void gate2(bool on)
{
    outb(b.m, 0x61, on);
}

TestSuite(i8254, .init = setup, .fini = teardown);

Test(i8254, mode2_ticks_at_its_rate)
{
    load(0, 2, 11932);
    bench_step(&b, 1000000000);
    cr_assert_eq(irq.rises, 99);
    bench_step(&b, 9000000000);
    cr_assert_eq(irq.rises, 999);
}

Test(i8254, mode3_ticks_and_counts_by_two)
{
    load(0, 3, 1000);
    cr_assert_eq(count(0), 1000);
    to_tick(100);
    cr_assert_eq(count(0), 800);
    cr_assert(status(0) & 0x80);
    to_tick(500);
    cr_assert_eq(count(0), 1000);
    cr_assert(!(status(0) & 0x80));
    to_tick(1000);
    cr_assert(status(0) & 0x80);
    cr_assert_eq(irq.rises, 1);
    to_tick(5000);
    cr_assert_eq(irq.rises, 5);
}

Test(i8254, mode0_terminal_count_once)
{
    load(0, 0, 500);
    cr_assert_eq(irq.level, 0);
    to_tick(499);
    cr_assert_eq(irq.rises, 0);
    cr_assert_eq(count(0), 1);
    to_tick(500);
    cr_assert_eq(irq.rises, 1);
    to_tick(501);
    cr_assert_eq(count(0), 0xffff, "goes on");
    to_tick(200000);
    cr_assert_eq(irq.rises, 1);
    outb(b.m, 0x40, 5); /* first byte: out falls, counting stops */
    cr_assert_eq(irq.level, 0);
    cr_assert(!(status(0) & 0x80));
}

Test(i8254, full_count_is_65536)
{
    load(0, 0, 0);
    to_tick(65535);
    cr_assert_eq(irq.rises, 0);
    to_tick(65536);
    cr_assert_eq(irq.rises, 1);
}

Test(i8254, mode4_strobe)
{
    load(2, 4, 100);
    cr_assert(out2());
    gate2(true);
    to_tick(99);
    cr_assert(out2());
    to_tick(100);
    cr_assert(!out2());
    to_tick(101);
    cr_assert(out2());
    load(0, 4, 100);
    to_tick(400);
    cr_assert_eq(irq.rises, 1);
}

Test(i8254, mode1_and_5_wait_for_gate)
{
    load(2, 1, 100);
    to_tick(10);
    cr_assert(out2());
    gate2(true);
    cr_assert(!out2());
    to_tick(60);
    gate2(false);
    gate2(true); /* again: the shot is prolonged */
    to_tick(159);
    cr_assert(!out2());
    to_tick(160);
    cr_assert(out2());
    gate2(false);
    load(2, 5, 10);
    gate2(true);
    cr_assert(out2());
    to_tick(170);
    cr_assert(!out2());
    to_tick(171);
    cr_assert(out2());
}

Test(i8254, gate_pauses_mode0)
{
    gate2(true);
    load(2, 0, 100);
    to_tick(40);
    gate2(false);
    to_tick(400);
    cr_assert_eq(count(2), 60);
    gate2(true);
    to_tick(459);
    cr_assert(!out2());
    to_tick(460);
    cr_assert(out2());
}

Test(i8254, gate_stops_and_reloads_mode2)
{
    gate2(true);
    load(2, 2, 100);
    to_tick(99);
    cr_assert(!out2());
    gate2(false);
    cr_assert(out2(), "gate low forces out high");
    to_tick(500);
    gate2(true);
    cr_assert_eq(count(2), 100);
}

Test(i8254, new_count_waits_for_end_of_cycle)
{
    load(0, 2, 1000);
    to_tick(2500);
    cr_assert_eq(irq.rises, 2);
    outb(b.m, 0x40, 100);
    outb(b.m, 0x40, 0);
    cr_assert(status(0) & 0x40, "null count");
    to_tick(2999);
    cr_assert_eq(irq.rises, 2);
    to_tick(3000);
    cr_assert_eq(irq.rises, 3);
    cr_assert(!(status(0) & 0x40));
    to_tick(3100);
    cr_assert_eq(irq.rises, 4);
}

Test(i8254, bcd)
{
    outb(b.m, 0x43, 0x31 | 0 << 1);
    outb(b.m, 0x40, 0x34);
    outb(b.m, 0x40, 0x12); /* 1234 */
    to_tick(1);
    cr_assert_eq(count(0), 0x1233);
    to_tick(1234);
    cr_assert_eq(irq.rises, 1);
    to_tick(1235);
    cr_assert_eq(count(0), 0x9999);
}

Test(i8254, byte_modes_and_toggle)
{
    outb(b.m, 0x43, 0x10);
    outb(b.m, 0x40, 200);
    to_tick(50);
    cr_assert_eq(inb(b.m, 0x40), 150);
    cr_assert_eq(inb(b.m, 0x40), 150);
    outb(b.m, 0x43, 0x20);
    outb(b.m, 0x40, 2);
    cr_assert_eq(inb(b.m, 0x40), 2);
    load(0, 0, 0x1234);
    cr_assert_eq(inb(b.m, 0x40), 0x34);
    cr_assert_eq(inb(b.m, 0x40), 0x12);
    cr_assert_eq(inb(b.m, 0x43), 0xff);
}

Test(i8254, latch_stands_until_read)
{
    uint8_t lo;

    load(0, 2, 1000);
    to_tick(100);
    outb(b.m, 0x43, 0x00);
    to_tick(200);
    outb(b.m, 0x43, 0x00);
    lo = inb(b.m, 0x40);
    cr_assert_eq(lo | inb(b.m, 0x40) << 8, 900);
    lo = inb(b.m, 0x40);
    cr_assert_eq(lo | inb(b.m, 0x40) << 8, 800);
}

Test(i8254, read_back_status_and_count)
{
    load(0, 2, 1000);
    load(2, 3, 500);
    to_tick(100);
    outb(b.m, 0x43, 0xc0 | 0x0a); /* both of counters 0 and 2 */
    cr_assert_eq(inb(b.m, 0x40), 0xb4);
    cr_assert_eq(inb(b.m, 0x40), 900 & 255);
    cr_assert_eq(inb(b.m, 0x40), 900 >> 8);
    cr_assert_eq(inb(b.m, 0x42), 0xb6);
}

Test(i8254, port_b)
{
    uint8_t first = inb(b.m, 0x61) & 0x10;

    bench_step(&b, 15085);
    cr_assert_neq(inb(b.m, 0x61) & 0x10, first, "refresh toggle");
    outb(b.m, 0x61, 0xff);
    cr_assert_eq(inb(b.m, 0x61) & 0x0f, 0x0f);
    load(2, 3, 100);
    cr_assert(i8254_speaker_level(pit));
    outb(b.m, 0x61, 0x01);
    cr_assert(!i8254_speaker_level(pit), "data bit off");
}

Test(i8254, cut_line_counts_on)
{
    load(0, 2, 1000);
    i8254_gate_irq(pit, false);
    to_tick(5500);
    cr_assert_eq(irq.rises, 0);
    i8254_gate_irq(pit, true);
    irq.rises = 0;
    to_tick(6000);
    cr_assert_eq(irq.rises, 1);
}

Test(i8254, late_host_catches_up)
{
    load(0, 2, 11932);
    b.m->clock.stopped_at_ns += 55000000; /* nobody ran timers for 55 ms */
    bench_step(&b, 0);
    cr_assert_eq(irq.rises, 1, "not all in one moment: they would fall together");
    bench_step(&b, 1000000000);
    cr_assert_eq(irq.rises, 100, "%d: one a period", irq.rises);
    while (b.m->late_tick)
        machine_tick_taken(b.m);
    cr_assert_eq(irq.rises, 105, "none is lost");
}

Test(i8254, illegal_and_tiny_counts_do_not_hang)
{
    load(0, 2, 1);
    bench_step(&b, 100000000);
    cr_assert_gt(irq.rises, 100);
    load(0, 3, 1);
    load(2, 3, 1);
    gate2(true);
    bench_step(&b, 1000000);
    count(2);
    for (int v = 0; v < 256; v++) {
        outb(b.m, 0x43, v);
        for (int p = 0x40; p < 0x43; p++) {
            outb(b.m, p, v);
            inb(b.m, p);
        }
        bench_step(&b, 10000);
    }
}

/* ---- a late host --------------------------------------------------------------------- */

/* Time goes on by @ticks of the PIT and nobody runs timers; then they run. */
static void late_by(int64_t ticks)
{
    b.m->clock.stopped_at_ns += ticks * 1000000000 / PIT_HZ;
    timer_list_run(&b.m->timers);
}

Test(i8254, late_ticks_wait_for_each_other)
{
    load(0, 2, 1000);
    late_by(5500);
    cr_assert_eq(irq.rises, 1, "the first");
    for (int i = 2; i <= 5; i++) {
        cr_assert_not_null(b.m->late_tick);
        machine_tick_taken(b.m);
        cr_assert_eq(irq.rises, i, "when the one before is taken");
    }
    cr_assert_null(b.m->late_tick, "caught up");
    bench_step(&b, 600ll * 1000000000 / PIT_HZ);
    cr_assert_eq(irq.rises, 6);
}

Test(i8254, late_ticks_that_nobody_takes_come_nevertheless)
{
    load(0, 2, 1000);
    late_by(3500);
    cr_assert_eq(irq.rises, 1);
    bench_step(&b, 1001ll * 1000000000 / PIT_HZ);
    cr_assert_eq(irq.rises, 2);
    cr_assert_not_null(b.m->late_tick);
    load(0, 0, 60000);                       /* another mode: what was owed is void */
    irq.rises = 0;
    machine_tick_taken(b.m);
    cr_assert_eq(irq.rises, 0);
    bench_step(&b, 59000ll * 1000000000 / PIT_HZ);
    cr_assert_eq(irq.rises, 0);
    bench_step(&b, 1001ll * 1000000000 / PIT_HZ);
    cr_assert_eq(irq.rises, 1);
}

Test(i8254, far_too_late_ticks_are_dropped)
{
    load(0, 2, 1000);
    late_by(PIT_HZ);                         /* a second */
    while (b.m->late_tick)
        machine_tick_taken(b.m);
    cr_assert(irq.rises <= 3, "%d", irq.rises);
}
