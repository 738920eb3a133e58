/* i8259.c - interrupt controller pair through its ports and input lines */
#include "tests/hw/chips.h"

static struct bench b;

static void pic_setup(uint8_t icw4)
{
    outb(b.m, 0x20, 0x11);
    outb(b.m, 0x21, 0x30);
    outb(b.m, 0x21, 0x04);
    outb(b.m, 0x21, icw4);
    outb(b.m, 0xa0, 0x11);
    outb(b.m, 0xa1, 0x38);
    outb(b.m, 0xa1, 0x02);
    outb(b.m, 0xa1, icw4 & ~0x10);
    outb(b.m, 0x21, 0);
    outb(b.m, 0xa1, 0);
}

static void setup(void)
{
    bench_init(&b, 1);
    bench_add(&b, &i8259_type, 0, NULL);
    pic_setup(0x01);
}

static void teardown(void)
{
    machine_free(b.m);
}

static void line(unsigned n, int level)
{
    irq_set(machine_irq(b.m, n), level);
}

static bool intr(void)
{
    return b.v[0].intr & VCPU_INTR_PIC;
}

static int ack(void)
{
    return vcpu_ack_interrupt(&b.v[0]);
}

static uint8_t isr(uint16_t port)
{
    outb(b.m, port, 0x0b);
    return inb(b.m, port);
}

static uint8_t irr(uint16_t port)
{
    outb(b.m, port, 0x0a);
    return inb(b.m, port);
}

TestSuite(i8259, .init = setup, .fini = teardown);

Test(i8259, edge_request_ack_eoi)
{
    cr_assert_eq(ack(), -1);
    line(4, 1);
    cr_assert(intr());
    cr_assert_eq(b.kicks, 1);
    cr_assert_eq(irr(0x20), 0x10);
    cr_assert_eq(ack(), 0x34);
    cr_assert(!intr());
    cr_assert_eq(irr(0x20), 0);
    cr_assert_eq(isr(0x20), 0x10);
    outb(b.m, 0x20, 0x20);
    cr_assert_eq(isr(0x20), 0);
    cr_assert(!intr(), "a line that stays high is no new edge");
    line(4, 0);
    line(4, 1);
    cr_assert_eq(ack(), 0x34);
}

Test(i8259, pulse_stays_latched)
{
    irq_pulse(machine_irq(b.m, 1));
    cr_assert_eq(ack(), 0x31);
}

Test(i8259, priorities_nest)
{
    line(5, 1);
    cr_assert_eq(ack(), 0x35);
    line(6, 1);
    cr_assert(!intr(), "lower priority waits");
    line(3, 1);
    cr_assert_eq(ack(), 0x33);
    outb(b.m, 0x20, 0x20); /* 3 */
    cr_assert_eq(isr(0x20), 0x20);
    cr_assert(!intr());
    outb(b.m, 0x20, 0x65); /* specific: 5 */
    cr_assert_eq(ack(), 0x36);
}

Test(i8259, mask_holds_request)
{
    outb(b.m, 0x21, 0x10);
    line(4, 1);
    cr_assert(!intr());
    cr_assert_eq(inb(b.m, 0x21), 0x10);
    cr_assert_eq(irr(0x20), 0x10);
    outb(b.m, 0x21, 0);
    cr_assert_eq(ack(), 0x34);
}

Test(i8259, slave_through_cascade)
{
    line(12, 1);
    cr_assert_eq(irr(0x20), 0x04);
    cr_assert_eq(ack(), 0x3c);
    cr_assert_eq(isr(0x20), 0x04);
    cr_assert_eq(isr(0xa0), 0x10);
    line(14, 1);
    cr_assert(!intr());
    line(8, 1);
    cr_assert(!intr(), "master does not nest its own IR2");
    line(1, 1);
    cr_assert_eq(ack(), 0x31);
    outb(b.m, 0x20, 0x20);
    outb(b.m, 0xa0, 0x20);
    outb(b.m, 0x20, 0x20);
    cr_assert_eq(ack(), 0x38);
    outb(b.m, 0xa0, 0x20);
    outb(b.m, 0x20, 0x20);
    cr_assert_eq(ack(), 0x3e);
}

Test(i8259, special_fully_nested_lets_slave_nest)
{
    pic_setup(0x11);
    line(12, 1);
    cr_assert_eq(ack(), 0x3c);
    line(4, 1);
    cr_assert(!intr());
    line(8, 1);
    cr_assert_eq(ack(), 0x38);
}

Test(i8259, level_follows_line_and_spurious)
{
    outb(b.m, 0x4d0, 0xff);
    outb(b.m, 0x4d1, 0xff);
    cr_assert_eq(inb(b.m, 0x4d0), 0xf8, "IRQ 0-2 stay edge");
    cr_assert_eq(inb(b.m, 0x4d1), 0xde, "IRQ 8 and 13 stay edge");
    line(5, 1);
    cr_assert_eq(ack(), 0x35);
    outb(b.m, 0x20, 0x20);
    cr_assert(intr(), "still asserted: asks again");
    line(5, 0);
    cr_assert(!intr());
    cr_assert_eq(pic_ack(b.m->pic), 0x37, "spurious");
    cr_assert_eq(isr(0x20), 0, "without ISR");
}

Test(i8259, poll_on_slave_withdraws_cascade)
{
    outb(b.m, 0x4d1, 0x04);
    line(10, 1);
    /* the poll on the slave takes the request away below the master */
    outb(b.m, 0xa0, 0x0c);
    cr_assert_eq(inb(b.m, 0xa0), 0x82);
    cr_assert(!intr());
    outb(b.m, 0xa0, 0x20);
    cr_assert(intr());
    line(10, 0);
    cr_assert(!intr());
}

Test(i8259, poll)
{
    line(3, 1);
    outb(b.m, 0x20, 0x0c);
    cr_assert_eq(inb(b.m, 0x20), 0x83);
    cr_assert_eq(isr(0x20), 0x08);
    outb(b.m, 0x20, 0x0c);
    cr_assert_eq(inb(b.m, 0x20) & 0x80, 0);
}

Test(i8259, rotation)
{
    outb(b.m, 0x20, 0xc4); /* set priority: 4 lowest, 5 highest */
    line(0, 1);
    line(5, 1);
    cr_assert_eq(ack(), 0x35);
    outb(b.m, 0x20, 0xa0); /* rotate on non-specific EOI: 5 lowest */
    line(5, 0);
    line(5, 1);
    cr_assert_eq(ack(), 0x30);
    outb(b.m, 0x20, 0xe0); /* rotate on specific EOI of 0 */
    line(0, 0);
    line(0, 1);
    line(1, 1);
    cr_assert_eq(ack(), 0x31, "now 1 is highest");
}

Test(i8259, automatic_eoi_and_rotation)
{
    pic_setup(0x03);
    line(3, 1);
    cr_assert_eq(ack(), 0x33);
    cr_assert_eq(isr(0x20), 0);
    outb(b.m, 0x20, 0x80); /* rotate in AEOI mode */
    line(3, 0);
    line(3, 1);
    cr_assert_eq(ack(), 0x33);
    line(3, 0);
    line(3, 1);
    line(6, 1);
    cr_assert_eq(ack(), 0x36, "3 went to the end");
}

Test(i8259, special_mask_mode)
{
    line(3, 1);
    cr_assert_eq(ack(), 0x33);
    line(6, 1);
    cr_assert(!intr());
    outb(b.m, 0x21, 0x08);
    outb(b.m, 0x20, 0x68);
    cr_assert_eq(ack(), 0x36, "masked service does not hold back others");
    outb(b.m, 0x20, 0x20);
    cr_assert_eq(isr(0x20), 0x08, "non-specific EOI spares the masked one");
    outb(b.m, 0x20, 0x48);
    outb(b.m, 0x20, 0x20);
    cr_assert_eq(isr(0x20), 0);
}

Test(i8259, icw1_forgets_edges)
{
    line(3, 1);
    cr_assert(intr());
    pic_setup(0x01);
    cr_assert(!intr());
    line(3, 0);
    line(3, 1);
    cr_assert(intr());
}

Test(i8259, lint0_gates_intr)
{
    struct err e;
    struct lapic *a = lapic_new(b.m, &b.v[0], &e);
    gpa_t lint0 = LAPIC_BASE + 0x350;

    line(4, 1);
    cr_assert(intr(), "virtual wire after reset");
    wr32(&b, LAPIC_BASE + 0xf0, 0x1ff);
    wr32(&b, lint0, 0x10700);
    cr_assert(!intr(), "masked");
    wr32(&b, lint0, 0x700);
    cr_assert(intr());
    wr32(&b, lint0, 0x10700);
    cr_assert(lapic_set_base(a, LAPIC_BASE));
    cr_assert(intr(), "a disabled APIC passes INTR");
    cr_assert_eq(ack(), 0x34);
}
