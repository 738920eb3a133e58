/* ioport.c - the port space */
#include "tests/hw/stepped.h"

static uint64_t id_read(void *opaque, uint64_t off, unsigned size)
{
    return (uintptr_t)opaque + off;
}

static uint32_t log_off[8], log_n;

static void log_writes(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    log_off[log_n++ & 7] = off << 8 | size;
}

static const struct io_ops bytes = { id_read, log_writes, 1, 1 };
static const struct io_ops dwords = { id_read, log_writes, 1, 4 };

Test(ioport, unclaimed_ports_read_ones)
{
    struct machine *m = stepped_machine();

    cr_assert_eq(port_read(m, 0x1234, 1), 0xff);
    cr_assert_eq(port_read(m, 0xffff, 4), 0xffffffff);
    port_write(m, 0xffff, 0, 4);
    machine_free(m);
}

Test(ioport, the_last_claim_wins_and_unmapping_uncovers)
{
    struct machine *m = stepped_machine();
    struct port_range *b;

    port_map(m, "a", 0x100, 8, &bytes, (void *)0x10);
    b = port_map(m, "b", 0x104, 8, &bytes, (void *)0x40);
    cr_assert_eq(port_read(m, 0x103, 1), 0x13);
    cr_assert_eq(port_read(m, 0x104, 1), 0x40);
    cr_assert_eq(port_read(m, 0x102, 4), 0x41401312, "across both");
    port_unmap(m, b);
    cr_assert_eq(port_read(m, 0x104, 1), 0x14);
    cr_assert_eq(port_read(m, 0x108, 1), 0xff);
    machine_free(m);
}

static unsigned give(void *opaque, uint64_t off, unsigned size, void *buf, unsigned n)
{
    n = MIN(n, 3);
    memset(buf, 0x11, n * size);
    return n;
}

Test(ioport, strings_only_from_one_device_that_has_them)
{
    static const struct io_ops words = { id_read, log_writes, 1, 2 };
    struct machine *m = stepped_machine();
    uint32_t buf[4] = { 0 };

    port_set_strings(port_map(m, "strings", 0x100, 4, &words, NULL), give);
    port_map(m, "none", 0x104, 4, &bytes, NULL);
    cr_assert_eq(port_read_string(m, 0x100, 2, buf, 8), 3);
    cr_assert_eq(buf[0], 0x11111111);
    cr_assert_eq(buf[1], 0x1111);
    cr_assert_eq(buf[2], 0);
    cr_assert_eq(port_read_string(m, 0x103, 2, buf, 8), 0, "another answers for half of it");
    cr_assert_eq(port_read_string(m, 0x100, 4, buf, 8), 0, "wider than the device");
    cr_assert_eq(port_read_string(m, 0x104, 1, buf, 8), 0);
    cr_assert_eq(port_read_string(m, 0xffff, 1, buf, 8), 0);
    machine_free(m);
}

Test(ioport, accesses_fit_the_device)
{
    struct machine *m = stepped_machine();

    port_map(m, "narrow", 0x200, 4, &bytes, 0);
    port_map(m, "wide", 0x300, 4, &dwords, 0);
    log_n = 0;
    port_write(m, 0x200, 0, 4);
    cr_assert_eq(log_n, 4);
    cr_assert_eq(log_off[3], 0x301);
    port_write(m, 0x300, 0, 4);
    cr_assert_eq(log_off[4], 0x004);
    port_write(m, 0x301, 0, 2);
    cr_assert_eq(log_n, 7, "unaligned words are two cycles");
    machine_free(m);
}

Test(ioport, a_range_at_the_top_is_cut)
{
    struct machine *m = stepped_machine();

    port_map(m, "top", 0xfffe, 16, &bytes, 0);
    cr_assert_eq(port_read(m, 0xfffe, 4), 0xffff0100);
    machine_free(m);
}
