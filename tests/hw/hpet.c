/* hpet.c - HPET through its registers and a stepped clock */
#include "tests/hw/chips.h"

static struct bench b;
static struct edges isa[16];

enum { CAP = 0, CFG = 0x10, ISR = 0x20, CNT = 0xf0 };
#define TN_CFG(n) (0x100 + 0x20 * (n))
#define TN_CMP(n) (0x108 + 0x20 * (n))
#define TN_FSB(n) (0x110 + 0x20 * (n))

static void setup(void)
{
    struct err e = { "" };

    bench_init(&b, 1);
    cr_assert_eq(lapic_new_all(b.m, &e), 0, "%s", e.msg);
    wr32(&b, LAPIC_BASE + 0xf0, 0x1ff);
    bench_add(&b, &ioapic_type, 0, NULL);
    for (int i = 0; i < 16; i++) {
        isa[i] = (struct edges){ 0 };
        b.m->isa_irq[i] = (struct irq_line){ edges_set, &isa[i], 0 };
    }
    bench_add(&b, &i8254_type, 0x40, machine_irq(b.m, 0));
    bench_add(&b, &mc146818_type, 0x70, machine_irq(b.m, 8));
    bench_add(&b, &hpet_type, 0, NULL);
}

static void teardown(void)
{
    machine_free(b.m);
}

static uint64_t rd(unsigned off)
{
    return mmio_read(&b.m->mem, HPET_BASE + off, 8);
}

static void wr(unsigned off, uint64_t v)
{
    mmio_write(&b.m->mem, HPET_BASE + off, v, 8);
}

static void route(unsigned pin, uint32_t low)
{
    wr32(&b, IOAPIC_BASE, 0x10 + 2 * pin);
    wr32(&b, IOAPIC_BASE + 0x10, low);
}

static int ack(void)
{
    int v = vcpu_ack_interrupt(&b.v[0]);

    if (v >= 0)
        lapic_eoi(b.v[0].lapic);
    return v;
}

TestSuite(hpet, .init = setup, .fini = teardown);

Test(hpet, capabilities)
{
    cr_assert_eq(rd(CAP), 0x009896808086a201);
    cr_assert_eq(rd32(&b, HPET_BASE + 4), 10000000);
    cr_assert_eq(rd(TN_CFG(0)), 0x00f0000000008030);
    wr(TN_CFG(0), ~0ull);
    cr_assert_eq(rd(TN_CFG(0)), 0x00f000000000ff3e, "writable bits");
    cr_assert_eq(rd(TN_CFG(3)), 0, "three timers");
}

Test(hpet, counter_runs_while_enabled)
{
    bench_step(&b, 1000);
    cr_assert_eq(rd(CNT), 0);
    wr(CNT, 0xfffffff0);
    wr(CFG, 1);
    bench_step(&b, 1000);
    cr_assert_eq(rd(CNT), 0xfffffff0ull + 100);
    cr_assert_eq(rd32(&b, HPET_BASE + CNT + 4), 1);
    wr(CFG, 0);
    bench_step(&b, 1000);
    cr_assert_eq(rd(CNT), 0xfffffff0ull + 100);
    wr(CFG, 1);
    bench_step(&b, 10);
    cr_assert_eq(rd(CNT), 0xfffffff0ull + 101);
}

Test(hpet, one_shot_to_ioapic)
{
    route(20, 0x61);
    wr(TN_CFG(0), 20 << 9 | 4);
    wr(TN_CMP(0), 5000);
    wr(CFG, 1);
    bench_step(&b, 49990);
    cr_assert_eq(ack(), -1);
    bench_step(&b, 10);
    cr_assert_eq(ack(), 0x61);
    bench_step(&b, 1000000);
    cr_assert_eq(ack(), -1);
}

Test(hpet, past_comparator_waits_for_wrap)
{
    route(21, 0x62);
    wr(TN_CFG(1), 21 << 9 | 0x100 | 4); /* 32 bit */
    wr(CFG, 1);
    bench_step(&b, 1000);
    wr(TN_CMP(1), 50);
    bench_step(&b, 1000000000);
    cr_assert_eq(ack(), -1);
    bench_step(&b, 42949672960ll);
    cr_assert_eq(ack(), 0x62);
}

Test(hpet, periodic_with_value_set)
{
    route(20, 0x61);
    wr(CFG, 1);
    bench_step(&b, 123450);
    wr(TN_CFG(0), 20 << 9 | 0x4c);
    wr(TN_CMP(0), 12345 + 700); /* first match */
    wr(TN_CMP(0), 2000);        /* period */
    bench_step(&b, 7000);
    cr_assert_eq(ack(), 0x61);
    cr_assert_eq(rd(TN_CMP(0)), 12345 + 2700);
    for (int i = 0; i < 10; i++) {
        bench_step(&b, 19990);
        cr_assert_eq(ack(), -1);
        bench_step(&b, 10);
        cr_assert_eq(ack(), 0x61);
    }
}

Test(hpet, periodic_by_halves)
{
    route(20, 0x61);
    wr(CFG, 1);
    wr32(&b, HPET_BASE + TN_CFG(0), 20 << 9 | 0x14c); /* 32 bit */
    wr32(&b, HPET_BASE + TN_CMP(0), 1000);
    wr32(&b, HPET_BASE + TN_CMP(0), 4000);
    bench_step(&b, 10000);
    cr_assert_eq(ack(), 0x61);
    bench_step(&b, 39999);
    cr_assert_eq(ack(), -1);
    bench_step(&b, 1);
    cr_assert_eq(ack(), 0x61);
}

Test(hpet, level_until_status_written)
{
    route(22, 0x8063);
    wr(TN_CFG(2), 22 << 9 | 6);
    wr(TN_CMP(2), 100);
    wr(CFG, 1);
    bench_step(&b, 1000);
    cr_assert_eq(rd(ISR), 4);
    cr_assert_eq(ack(), 0x63);
    cr_assert_eq(ack(), 0x63, "line still up");
    wr(ISR, 3);
    cr_assert_eq(rd(ISR), 4);
    wr(ISR, 4);
    cr_assert_eq(rd(ISR), 0);
    cr_assert_eq(ack(), 0x63, "sent before");
    cr_assert_eq(ack(), -1);
}

Test(hpet, legacy_replacement)
{
    outb(b.m, 0x43, 0x34);
    outb(b.m, 0x40, 0xe8);
    outb(b.m, 0x40, 0x03); /* 8254: every 1000 ticks */
    bench_step(&b, 10000000);
    cr_assert_eq(isa[0].rises, 11);
    isa[0].rises = 0;
    wr(TN_CFG(0), 4);
    wr(TN_CFG(1), 4);
    wr(TN_CMP(0), 100000);
    wr(TN_CMP(1), 200000);
    wr(CFG, 3);
    bench_step(&b, 3000000);
    cr_assert_eq(isa[0].rises, 1, "8254 is cut off");
    cr_assert_eq(isa[8].rises, 1);
    wr(CFG, 0);
    isa[0].rises = 0;
    bench_step(&b, 1000000);
    cr_assert_geq(isa[0].rises, 1, "8254 is back");
}

Test(hpet, fsb_message)
{
    wr(TN_FSB(0), 0xfee00000ull << 32 | 0x71);
    wr(TN_CFG(0), 1 << 14 | 4);
    wr(TN_CMP(0), 10);
    wr(CFG, 1);
    bench_step(&b, 100);
    cr_assert_eq(ack(), 0x71);
}

Test(hpet, disabled_timer_is_silent_and_keeps_phase)
{
    route(20, 0x61);
    wr(CFG, 1);
    wr(TN_CFG(0), 20 << 9 | 0x4c);
    wr(TN_CMP(0), 2000);
    wr(TN_CFG(0), 20 << 9 | 0x08);
    bench_step(&b, 105000);
    cr_assert_eq(ack(), -1);
    wr(TN_CFG(0), 20 << 9 | 0x0c);
    bench_step(&b, 14990);
    cr_assert_eq(ack(), -1);
    bench_step(&b, 10);
    cr_assert_eq(ack(), 0x61);
}

Test(hpet, late_host_and_tiny_periods_do_not_hang)
{
    wr(CFG, 1);
    wr(TN_CFG(0), 0x4c);
    wr(TN_CMP(0), 1);
    wr(TN_CFG(1), 0x14c);
    wr(TN_CMP(1), 0);
    wr(TN_CFG(2), 0x4c);
    wr(TN_CMP(2), 1000);
    bench_step(&b, 100000000);
    b.m->clock.stopped_at_ns += 1000000000000ll;
    bench_step(&b, 1000000);
    for (unsigned off = 0; off < 0x400; off += 4) {
        wr32(&b, HPET_BASE + off, ~0u);
        rd32(&b, HPET_BASE + off);
        bench_step(&b, 1000);
    }
}

Test(hpet, reset)
{
    wr(TN_CFG(0), 0x4c);
    wr(CFG, 3);
    machine_reset(b.m);
    cr_assert_eq(rd(CFG), 0);
    cr_assert_eq(rd(TN_CFG(0)), 0x00f0000000008030);
    cr_assert_eq(rd(TN_CMP(0)), ~0ull);
    cr_assert_eq(rd(CNT), 0);
}

Test(hpet, late_ticks_wait_for_each_other)
{
    wr(TN_CFG(0), 1 << 6 | 1 << 3 | 1 << 2);     /* periodic */
    wr(TN_CMP(0), 1000000);                  /* 10 ms */
    wr(TN_CMP(0), 1000000);
    wr(CFG, 3);
    b.m->clock.stopped_at_ns += 55000000;
    timer_list_run(&b.m->timers);
    cr_assert_eq(isa[0].rises, 1);
    for (int i = 2; i <= 5; i++) {
        cr_assert_not_null(b.m->late_tick);
        machine_tick_taken(b.m);
        cr_assert_eq(isa[0].rises, i);
    }
    cr_assert_null(b.m->late_tick);
    bench_step(&b, 4999900);
    cr_assert_eq(isa[0].rises, 5);
    bench_step(&b, 200);
    cr_assert_eq(isa[0].rises, 6);
}
