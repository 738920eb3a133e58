/* port92.c - fast A20 gate and reset */
#include "hw/misc/port92.h"
#include "tests/hw/chips.h"

Test(port92, a20_and_reset)
{
    struct bench b;
    uint32_t gen;

    bench_init(&b, 0);
    bench_add(&b, &port92_type, 0, NULL);
    cr_assert_eq(inb(b.m, 0x92), 0x02);
    outb(b.m, 0x92, 0x00);
    cr_assert_eq(b.m->mem.a20_mask, ~(1ull << 20));
    cr_assert_eq(inb(b.m, 0x92) & 2, 0);
    gen = b.m->mem.generation;
    outb(b.m, 0x92, 0x00);
    cr_assert_eq(b.m->mem.generation, gen, "no change, no rebuild");
    machine_reset(b.m);
    cr_assert_eq(b.m->mem.a20_mask, ~0ull);
    outb(b.m, 0x92, 0x02);
    cr_assert_eq(b.m->request_reset, CAUSE_NONE);
    outb(b.m, 0x92, 0x03);
    cr_assert_eq(b.m->request_reset, CAUSE_GUEST_RESET);
    machine_free(b.m);
}
