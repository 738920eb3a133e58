/* sg.c - scatter lists: what is memory, what is not */
#include "hw/dma/sg.h"
#include "tests/hw/disk.h"

static int touched;

static uint64_t reg_read(void *opaque, uint64_t off, unsigned size)
{
    touched++;
    return 0x55;
}

static void reg_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    touched++;
}

static const struct io_ops reg_ops = { reg_read, reg_write, 1, 4 };

Test(sg, pieces_in_ram_are_used_in_place_and_merge)
{
    struct machine *m = stepped_machine();
    struct sg s;
    unsigned n;

    sg_init(&s, &(struct dma){ .m = m }, true);
    cr_assert_eq(sg_add(&s, 0x1000, 0x800), 0);
    cr_assert_eq(sg_add(&s, 0x1800, 0x800), 0);
    cr_assert_eq(sg_add(&s, 0x5000, 16), 0);
    cr_assert_eq(s.n, 2);
    cr_assert_eq(s.bytes, 0x1010);
    const struct iovec *v = sg_iov(&s, 0x1000 - 8, 100, &n);
    cr_assert_eq(n, 2);
    cr_assert_eq(v[0].iov_base, m->ram + 0x1ff8);
    cr_assert_eq(v[0].iov_len, 8);
    cr_assert_eq(v[1].iov_base, m->ram + 0x5000);
    cr_assert_eq(v[1].iov_len, 16);
    sg_put(&s, 0xffe, "abcd", 4);
    cr_assert_eq(memcmp(m->ram + 0x1ffe, "ab", 2), 0);
    cr_assert_eq(memcmp(m->ram + 0x5000, "cd", 2), 0);
    sg_done(&s, s.bytes);
    machine_free(m);
}

Test(sg, device_registers_are_never_touched)
{
    struct machine *m = stepped_machine();
    struct mem_region r = { .name = "regs", .base = 0x8000, .len = 0x1000, .kind = MEM_MMIO,
                            .prio = 2, .enabled = true, .ops = &reg_ops };
    uint8_t buf[32];
    struct sg s;
    unsigned n;

    touched = 0;
    mem_add(&m->mem, &r);
    for (int to = 0; to < 2; to++) {
        sg_init(&s, &(struct dma){ .m = m }, to);
        cr_assert_eq(sg_add(&s, 0x7ff0, 0x1020), 0);
        cr_assert_eq(s.n, 3);
        cr_assert_eq(s.bytes, 0x1020);
        sg_iov(&s, 0, s.bytes, &n);
        cr_assert_eq(n, 3);
        sg_get(&s, 0x10, buf, 32);
        cr_assert_eq(buf[0] | buf[31], 0, "zeroes, not registers");
        sg_done(&s, s.bytes);
    }
    cr_assert(!dma_get(&(struct dma){ .m = m }, 0x8000, buf, 4));
    cr_assert(!dma_put(&(struct dma){ .m = m }, 0x8000, buf, 4));
    cr_assert_eq(touched, 0);
    mem_remove(&m->mem, &r);
    machine_free(m);
}

Test(sg, no_memory_without_bus_mastering)
{
    struct machine *m = stepped_machine();
    uint8_t command = 3, buf[4] = { 1, 2, 3, 4 };
    struct dma d = { .m = m, .command = &command };
    uint64_t n = 4;
    gpa_t gpa;
    struct sg s;

    memset(m->ram + 0x1000, 0xee, 8);
    cr_assert(!dma_put(&d, 0x1000, buf, 4));
    cr_assert(!dma_get(&d, 0x1000, buf, 4));
    cr_assert_eq(ldl32(buf), 0);
    cr_assert_null(dma_host(&d, 0x1000, &n, true, &gpa));
    sg_init(&s, &d, true);
    cr_assert_eq(sg_add(&s, 0x1000, 4), 0);
    sg_put(&s, 0, "abcd", 4);
    sg_done(&s, 4);
    cr_assert_eq(ldl32(m->ram + 0x1000), 0xeeeeeeee);
    command = 7;
    cr_assert(dma_put(&d, 0x1000, buf, 4));
    cr_assert_eq(ldl64(m->ram + 0x1000), 0xeeeeeeee00000000);
    machine_free(m);
}

Test(sg, what_has_no_end_is_refused)
{
    struct machine *m = stepped_machine();
    struct sg s;
    int ret = 0;

    sg_init(&s, &(struct dma){ .m = m }, true);
    cr_assert_eq(sg_add(&s, 1ull << 40, 1ull << 40), -EFAULT);
    cr_assert_eq(sg_add(&s, UINT64_MAX - 5, 10), -EFAULT);
    for (unsigned i = 0; i < SG_MAX_PIECES; i++)
        cr_assert_eq(sg_add(&s, (i * 2 % 250) * 4096, 16), 0);
    ret = sg_add(&s, 4096, 16);
    cr_assert_eq(ret, -E2BIG);
    sg_free(&s);
    machine_free(m);
}
