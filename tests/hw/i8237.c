/* i8237.c - DMA controllers through their ports and guest memory */
#include "hw/dma/dma.h"
#include "tests/hw/chips.h"

static struct bench b;
static struct device *dma;

static void setup(void)
{
    bench_init(&b, 0);
    dma = bench_add(&b, &i8237_type, 0, NULL);
}

static void teardown(void)
{
    machine_free(b.m);
}

static void pair(uint16_t port, uint16_t v)
{
    outb(b.m, port, v);
    outb(b.m, port, v >> 8);
}

static uint16_t read_pair(uint16_t port)
{
    uint8_t lo = inb(b.m, port);

    return lo | inb(b.m, port) << 8;
}

/* Channel 2, the floppy's: page 0x81. */
static void setup2(uint8_t mode, uint8_t page, uint16_t addr, uint16_t count)
{
    outb(b.m, 0x0a, 6);
    outb(b.m, 0x0c, 0);
    outb(b.m, 0x0b, mode | 2);
    pair(0x04, addr);
    pair(0x05, count);
    outb(b.m, 0x81, page);
    outb(b.m, 0x0a, 2);
}

TestSuite(i8237, .init = setup, .fini = teardown);

Test(i8237, device_to_memory)
{
    char buf[16] = "";

    setup2(0x44, 0x01, 0x2345, 9);
    cr_assert(dma_channel_ready(dma, 2));
    cr_assert_eq(dma_channel_run(dma, 2, "abcdefghijkl", 4, DMA_TO_MEMORY), 4);
    cr_assert_eq(read_pair(0x04), 0x2349);
    cr_assert_eq(read_pair(0x05), 5);
    cr_assert(!dma_channel_tc(dma, 2));
    cr_assert_eq(dma_channel_run(dma, 2, "efghijklmnop", 12, DMA_TO_MEMORY), 6, "stops at TC");
    mem_read(&b.m->mem, 0x12345, buf, 12);
    cr_assert_arr_eq(buf, "abcdefghij\0", 11);
    cr_assert(dma_channel_tc(dma, 2));
    cr_assert_eq(inb(b.m, 0x08), 0x04);
    cr_assert_eq(inb(b.m, 0x08), 0, "reading clears TC");
    cr_assert(!dma_channel_ready(dma, 2), "masked at TC");
    cr_assert_eq(read_pair(0x05), 0xffff);
}

Test(i8237, memory_to_device_and_autoinit)
{
    char buf[8] = "";

    mem_write(&b.m->mem, 0x3000, "wxyz", 4);
    setup2(0x58, 0x00, 0x3000, 3);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(dma_channel_run(dma, 2, buf, 8, DMA_FROM_MEMORY), 4);
        cr_assert_str_eq(buf, "wxyz");
        cr_assert_eq(read_pair(0x04), 0x3000);
        cr_assert_eq(read_pair(0x05), 3);
    }
}

Test(i8237, wrong_direction_masked_cascade)
{
    char buf[4] = "...";

    setup2(0x44, 0, 0x3000, 3);
    cr_assert_eq(dma_channel_run(dma, 2, buf, 4, DMA_FROM_MEMORY), 0);
    outb(b.m, 0x08, 0x04);
    cr_assert_eq(dma_channel_run(dma, 2, buf, 4, DMA_TO_MEMORY), 0, "disabled");
    outb(b.m, 0x08, 0x00);
    outb(b.m, 0x0f, 0x04);
    cr_assert_eq(dma_channel_run(dma, 2, buf, 4, DMA_TO_MEMORY), 0, "masked");
    cr_assert_eq(inb(b.m, 0x0f), 0xf4);
    outb(b.m, 0x0e, 0);
    outb(b.m, 0x0b, 0xc6);
    cr_assert_eq(dma_channel_run(dma, 2, buf, 4, DMA_TO_MEMORY), 0, "cascade");
    cr_assert(!dma_channel_ready(dma, 4));
    cr_assert(!dma_channel_ready(dma, 99));
}

Test(i8237, verify_moves_nothing)
{
    uint8_t was[4], is[4];

    mem_read(&b.m->mem, 0x3000, was, 4);
    setup2(0x40, 0, 0x3000, 3);
    cr_assert_eq(dma_channel_run(dma, 2, "abcd", 4, DMA_TO_MEMORY), 4);
    mem_read(&b.m->mem, 0x3000, is, 4);
    cr_assert_arr_eq(was, is, 4);
    cr_assert(dma_channel_tc(dma, 2));
}

Test(i8237, wraps_within_page)
{
    char hi[2], lo[2];

    setup2(0x44, 0x02, 0xfffe, 3);
    cr_assert_eq(dma_channel_run(dma, 2, "abcd", 4, DMA_TO_MEMORY), 4);
    mem_read(&b.m->mem, 0x2fffe, hi, 2);
    mem_read(&b.m->mem, 0x20000, lo, 2);
    cr_assert_arr_eq(hi, "ab", 2);
    cr_assert_arr_eq(lo, "cd", 2);
}

Test(i8237, downwards)
{
    char buf[4];

    setup2(0x64, 0, 0x3003, 3);
    cr_assert_eq(dma_channel_run(dma, 2, "abcd", 4, DMA_TO_MEMORY), 4);
    mem_read(&b.m->mem, 0x3000, buf, 4);
    cr_assert_arr_eq(buf, "dcba", 4);
}

Test(i8237, word_channels)
{
    char buf[6];

    outb(b.m, 0xd8, 0);
    outb(b.m, 0xd6, 0x45); /* channel 5 */
    pair(0xc4, 0x1800);
    pair(0xc6, 2);
    outb(b.m, 0x8b, 0x03); /* bit 0 is not used */
    outb(b.m, 0xd4, 1);
    cr_assert_eq(dma_channel_run(dma, 5, "abcdefgh", 8, DMA_TO_MEMORY), 6);
    mem_read(&b.m->mem, 0x23000, buf, 6);
    cr_assert_arr_eq(buf, "abcdef", 6);
    cr_assert_eq(inb(b.m, 0xd0), 0x02);
}

Test(i8237, flipflop_requests_clear)
{
    outb(b.m, 0x0c, 0);
    outb(b.m, 0x00, 0x34);
    outb(b.m, 0x00, 0x12);
    cr_assert_eq(read_pair(0x00), 0x1234);
    inb(b.m, 0x00);
    outb(b.m, 0x0c, 0);
    cr_assert_eq(inb(b.m, 0x00), 0x34);
    outb(b.m, 0x09, 0x05);
    cr_assert_eq(inb(b.m, 0x08), 0x20);
    outb(b.m, 0x0d, 0);
    cr_assert_eq(inb(b.m, 0x08), 0);
    cr_assert_eq(inb(b.m, 0x0f), 0xff);
    cr_assert_eq(inb(b.m, 0x00), 0x34, "flip-flop cleared too");
}

Test(i8237, page_registers_and_post_code)
{
    for (int i = 0; i < 16; i++)
        outb(b.m, 0x80 + i, 0xa0 + i);
    for (int i = 0; i < 16; i++)
        cr_assert_eq(inb(b.m, 0x80 + i), 0xa0 + i);
}
