/* ioapic.c - I/O APIC through its window, with local APICs as receivers */
#include "tests/hw/chips.h"

static struct bench b;

static void setup(void)
{
    struct err e = { "" };

    bench_init(&b, 3);
    cr_assert_eq(lapic_new_all(b.m, &e), 0, "%s", e.msg);
    bench_add(&b, &ioapic_type, 0, NULL);
    for (int i = 0; i < 3; i++) {
        lapic_mmio_write(b.v[i].lapic, 0xf0, 0x1ff, 4);
        lapic_mmio_write(b.v[i].lapic, 0xd0, 1u << (24 + i), 4);
    }
}

static void teardown(void)
{
    machine_free(b.m);
}

static uint32_t rd(unsigned reg)
{
    wr32(&b, IOAPIC_BASE, reg);
    return rd32(&b, IOAPIC_BASE + 0x10);
}

static void wr(unsigned reg, uint32_t v)
{
    wr32(&b, IOAPIC_BASE, reg);
    wr32(&b, IOAPIC_BASE + 0x10, v);
}

static void route(unsigned pin, uint32_t low, uint8_t dest)
{
    wr(0x11 + 2 * pin, (uint32_t)dest << 24);
    wr(0x10 + 2 * pin, low);
}

static void pin(unsigned n, int level)
{
    ioapic_set_irq(b.m->ioapic, n, level);
}

static int ack(int cpu)
{
    return vcpu_ack_interrupt(&b.v[cpu]);
}

TestSuite(ioapic, .init = setup, .fini = teardown);

Test(ioapic, identity)
{
    cr_assert_eq(rd(0), 0);
    cr_assert_eq(rd(1), 0x00170020);
    wr(0, 0xffffffff);
    cr_assert_eq(rd(0), 0x0f000000);
    cr_assert_eq(rd(2), 0x0f000000);
    for (unsigned i = 0; i < 24; i++)
        cr_assert_eq(rd(0x10 + 2 * i), 0x10000, "pin %u masked", i);
    cr_assert_eq(rd(0x40), 0);
    wr(0x10, 0xffffffff);
    cr_assert_eq(rd(0x10), 0x1afff, "status bits are read-only");
}

Test(ioapic, edge_to_physical_destination)
{
    route(4, 0x41, 1);
    irq_set(machine_irq(b.m, 4), 1);
    cr_assert_eq(ack(0), -1);
    cr_assert_eq(ack(1), 0x41);
    lapic_eoi(b.v[1].lapic);
    cr_assert_eq(ack(1), -1, "no new edge");
    pin(4, 0);
    pin(4, 1);
    cr_assert_eq(ack(1), 0x41);
}

Test(ioapic, isa_line_0_is_pin_2)
{
    route(2, 0x42, 0);
    irq_set(machine_irq(b.m, 0), 1);
    cr_assert_eq(ack(0), 0x42);
}

Test(ioapic, masked_edge_is_lost)
{
    pin(5, 1);
    route(5, 0x45, 0);
    cr_assert_eq(ack(0), -1);
}

Test(ioapic, level_remote_irr_and_eoi)
{
    route(10, 0x8050, 0);
    pin(10, 1);
    cr_assert_eq(rd(0x10 + 20), 0xc050);
    cr_assert_eq(ack(0), 0x50);
    pin(10, 0);
    pin(10, 1);
    lapic_mmio_write(b.v[0].lapic, 0xb0, 0, 4);
    cr_assert_eq(ack(0), 0x50, "still asserted at EOI: again");
    pin(10, 0);
    lapic_mmio_write(b.v[0].lapic, 0xb0, 0, 4);
    cr_assert_eq(ack(0), -1);
    cr_assert_eq(rd(0x10 + 20), 0x8050);
}

Test(ioapic, level_held_while_masked)
{
    pin(10, 1);
    route(10, 0x8050, 0);
    cr_assert_eq(ack(0), 0x50);
}

Test(ioapic, eoi_register_releases)
{
    route(10, 0x8050, 0);
    pin(10, 1);
    pin(10, 0);
    wr32(&b, IOAPIC_BASE + 0x40, 0x51);
    cr_assert_eq(rd(0x10 + 20), 0xc050, "other vector");
    wr32(&b, IOAPIC_BASE + 0x40, 0x50);
    cr_assert_eq(rd(0x10 + 20), 0x8050);
}

Test(ioapic, switch_to_edge_clears_remote_irr)
{
    route(10, 0x8050, 0);
    pin(10, 1);
    pin(10, 0);
    route(10, 0x10050, 0);
    route(10, 0x8050, 0);
    cr_assert_eq(rd(0x10 + 20), 0x8050);
}

Test(ioapic, logical_destinations)
{
    route(6, 0x0860, 0x05); /* flat: CPUs 0 and 2 */
    pin(6, 1);
    cr_assert_eq(ack(0), 0x60);
    cr_assert_eq(ack(1), -1);
    cr_assert_eq(ack(2), 0x60);
}

Test(ioapic, lowest_priority)
{
    lapic_set_tpr(b.v[0].lapic, 0x40);
    lapic_set_tpr(b.v[1].lapic, 0x20);
    lapic_set_tpr(b.v[2].lapic, 0x30);
    route(6, 0x0960, 0x07);
    pin(6, 1);
    cr_assert_eq(ack(0), -1);
    cr_assert_eq(ack(2), -1);
    cr_assert_eq(ack(1), 0x60);
}

Test(ioapic, other_delivery_modes)
{
    route(7, 0x0400, 1);
    pin(7, 1);
    cr_assert(b.v[1].intr & VCPU_INTR_NMI);
    route(8, 0x0200, 1);
    pin(8, 1);
    cr_assert(b.v[1].intr & VCPU_INTR_SMI);
    route(9, 0x0500, 2);
    pin(9, 1);
    cr_assert(b.v[2].intr & VCPU_INTR_INIT);
}

Test(ioapic, extint_is_acked_by_8259)
{
    bench_add(&b, &i8259_type, 0, NULL);
    outb(b.m, 0x20, 0x11);
    outb(b.m, 0x21, 0x30);
    outb(b.m, 0x21, 0x04);
    outb(b.m, 0x21, 0x01);
    outb(b.m, 0x21, 0);
    route(0, 0x0700, 1);
    irq_set(machine_irq(b.m, 3), 1);
    cr_assert(b.v[1].intr & VCPU_INTR_PIC);
    cr_assert_eq(ack(1), 0x33);
    cr_assert(!(b.v[1].intr & VCPU_INTR_PIC));
}

Test(ioapic, msi)
{
    lapic_msi(b.m, 0xfee01000, 0x0077);
    cr_assert_eq(ack(1), 0x77);
    lapic_msi(b.m, 0xfee04004, 0x0078); /* logical 4: CPU 2 */
    cr_assert_eq(ack(2), 0x78);
    lapic_msi(b.m, 0xfeeff000, 0x0079);
    for (int i = 0; i < 3; i++) {
        lapic_eoi(b.v[i].lapic);
        cr_assert_eq(ack(i), 0x79, "broadcast");
    }
    lapic_msi(b.m, 0xfed00000, 0x80);
    cr_assert_eq(ack(0), -1);
}
