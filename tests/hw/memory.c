/* memory.c - the physical memory map */
#include "tests/hw/stepped.h"

struct probe {
    uint64_t off[16], val[16];
    unsigned size[16], n;
};

static uint64_t probe_read(void *opaque, uint64_t off, unsigned size)
{
    struct probe *p = opaque;

    p->off[p->n & 15] = off;
    p->size[p->n++ & 15] = size;
    return 0x1122334455667788ull >> (off & 7) * 8;
}

static void probe_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct probe *p = opaque;

    p->off[p->n & 15] = off;
    p->val[p->n & 15] = val;
    p->size[p->n++ & 15] = size;
}

static struct mem_region mmio(struct probe *p, const struct io_ops *ops, gpa_t base,
                              uint64_t len)
{
    return (struct mem_region){ .name = "probe", .base = base, .len = len, .prio = 2,
                                .kind = MEM_MMIO, .enabled = true, .ops = ops, .opaque = p };
}

Test(memory, ram_is_at_zero_and_ends)
{
    struct machine *m = stepped_machine();
    uint8_t in[5] = "abcd", out[5];

    mem_write(&m->mem, 0x1ffe, in, 5);
    mem_read(&m->mem, 0x1ffe, out, 5);
    cr_assert_arr_eq(in, out, 5);
    cr_assert_eq(m->ram[0x1fff], 'b');
    cr_assert_null(mem_find(&m->mem, MiB));
    cr_assert_eq(mmio_read(&m->mem, MiB, 4), 0xffffffff, "open bus");
    cr_assert_eq(mmio_read(&m->mem, MiB - 2, 4), 0xffff0000, "half of it open");
    machine_free(m);
}

Test(memory, higher_priority_wins_and_ties_go_to_the_newest)
{
    struct machine *m = stepped_machine();
    static uint8_t rom1[4096] __attribute__((aligned(4096))), rom2[4096]
        __attribute__((aligned(4096)));
    struct mem_region a = { .name = "a", .base = 0x8000, .len = 4096, .kind = MEM_ROM,
                            .prio = 1, .enabled = true, .host = rom1 };
    struct mem_region b = a;
    uint8_t v = 0x33;

    memset(rom1, 1, 4096);
    memset(rom2, 2, 4096);
    b.name = "b";
    b.host = rom2;
    mem_add(&m->mem, &a);
    cr_assert_eq(mmio_read(&m->mem, 0x8000, 1), 1);
    mem_add(&m->mem, &b);
    cr_assert_eq(mmio_read(&m->mem, 0x8fff, 1), 2);
    mem_write(&m->mem, 0x8000, &v, 1);
    cr_assert_eq(rom2[0], 2, "ROM is not written");
    cr_assert_eq(m->ram[0x8000], 0, "nor what lies below");
    b.enabled = false;
    mem_update(&m->mem);
    cr_assert_eq(mmio_read(&m->mem, 0x8000, 1), 1);
    mem_remove(&m->mem, &a);
    cr_assert_eq(mmio_read(&m->mem, 0x8000, 1), 0);
    machine_free(m);
}

Test(memory, pieces_are_sorted_and_disjoint)
{
    struct machine *m = stepped_machine();
    struct probe p = { .n = 0 };
    static const struct io_ops ops = { probe_read, probe_write, 1, 8 };
    struct mem_region r[3] = { mmio(&p, &ops, 0x4000, 0x2000), mmio(&p, &ops, 0x5000, 0x1000),
                               mmio(&p, &ops, ~0xfffull, ~0ull) };

    for (int i = 0; i < 3; i++)
        mem_add(&m->mem, &r[i]);
    for (size_t i = 1; i < m->mem.n_flat; i++)
        cr_assert_geq(m->mem.flat[i].base, m->mem.flat[i - 1].base + m->mem.flat[i - 1].len);
    cr_assert_eq(m->mem.n_flat, 4, "RAM, first, second, RAM; the absurd one is dropped");
    cr_assert_eq(mem_find(&m->mem, 0x6000)->offset, 0x6000);
    machine_free(m);
}

Test(memory, wide_accesses_are_split_and_narrow_ones_widened)
{
    struct machine *m = stepped_machine();
    struct probe p = { .n = 0 };
    static const struct io_ops words = { probe_read, probe_write, 4, 4 };
    struct mem_region r = mmio(&p, &words, 0x200000, 0x100);

    mem_add(&m->mem, &r);
    cr_assert_eq(mmio_read(&m->mem, 0x200001, 1), 0x77);
    cr_assert_eq(p.off[0], 0);
    cr_assert_eq(p.size[0], 4);
    p.n = 0;
    mmio_write(&m->mem, 0x200008, 0xaabbccdd11223344, 8);
    cr_assert_eq(p.n, 2);
    cr_assert_eq(p.off[1], 12);
    cr_assert_eq(p.val[1], 0xaabbccdd);
    p.n = 0;
    mmio_write(&m->mem, 0x200002, 0xff, 1);
    cr_assert_eq(p.size[0], 1, "narrow writes keep their size");
    machine_free(m);
}

static void count(void *opaque, gpa_t gpa, uint64_t len)
{
    *(uint64_t *)opaque += len;
}

Test(memory, listeners_hear_of_ram_but_not_of_rom)
{
    struct machine *m = stepped_machine();
    uint64_t n = 0;
    struct mem_listener l = { .ram_written = count, .opaque = &n };
    uint8_t buf[100] = { 0 };

    mem_listen(&m->mem, &l);
    mem_write(&m->mem, MiB - 40, buf, sizeof buf);   /* 60 bytes past the end */
    cr_assert_eq(n, 40);
    mmio_write(&m->mem, 0x10, 1, 4);
    cr_assert_eq(n, 44);
    machine_free(m);
}

Test(machine, ram_above_3_gib_moves_above_4_gib)
{
    struct machine_config cfg = { .ram_bytes = 3 * GiB + 5 * MiB };
    struct err e = { "" };
    struct machine *m = machine_new(&cfg, &e);

    cr_assert_not_null(m, "%s", e.msg);
    cr_assert_eq(m->ram_low.len, 3 * GiB);
    cr_assert_eq(m->ram_high.base, 4 * GiB);
    cr_assert_eq(m->ram_high.len, 5 * MiB);
    machine_free(m);
}

Test(machine, absurd_ram_is_refused_with_a_reason)
{
    struct machine_config cfg = { .ram_bytes = 1ull << 60 };
    struct err e = { "" };

    cr_assert_null(machine_new(&cfg, &e));
    cr_assert_not_null(strstr(e.msg, "guest RAM"));
    cfg.ram_bytes = 4096;
    cr_assert_null(machine_new(&cfg, &e));
}

Test(machine, no_reboot_turns_a_guest_reset_into_shutdown)
{
    struct machine *m = stepped_machine();

    machine_request_reset(m, CAUSE_GUEST_RESET);
    cr_assert_eq(m->request_reset, CAUSE_GUEST_RESET);
    m->cfg.no_reboot = true;
    machine_request_reset(m, CAUSE_TRIPLE_FAULT);
    cr_assert_eq(m->request_shutdown, CAUSE_TRIPLE_FAULT);
    machine_free(m);
}

Test(machine, missing_firmware_is_named)
{
    struct machine *m = stepped_machine();
    struct err e = { "" };
    size_t len;

    cr_assert_null(machine_read_rom(m, "no-such-firmware.bin", &len, &e));
    cr_assert_not_null(strstr(e.msg, "no-such-firmware.bin"));
    cr_assert_null(machine_read_rom(m, "/tmp", &len, &e), "a directory");
    machine_free(m);
}
