/* fdc.c - floppy controller by its ports and the 8237 */
#include "hw/disk/fdc.h"
#include "hw/dma/dma.h"
#include "tests/hw/disk.h"

#define DMA 0x20000

struct guest {
    struct rig r;
    struct machine *m;
    struct drive *d;
    int irq[16];
};

static void setup_unit(struct device *d, const void *arg)
{
    struct err e = { "" };

    prop_defaults(d);
    cr_assert_eq(prop_set(d, "drive", "fd", &e), 0, "%s", e.msg);
}

static void guest_with(struct guest *g, unsigned sectors)
{
    struct err e = { "" };

    memset(g, 0, sizeof *g);
    rig_init(&g->r);
    g->m = g->r.m;
    g->d = rig_drive(&g->r, "fd", sectors);
    for (unsigned i = 0; i < 16; i++)
        g->m->isa_irq[i] = (struct irq_line){ watch_line, g->irq, i };
    bench_add(&g->r.b, &i8237_type, 0, NULL);
    bench_add(&g->r.b, &fdc_type, 0, NULL);
    cr_assert_not_null(machine_add_device(g->m, &floppy_type, 0, NULL, setup_unit, NULL, &e),
                       "%s", e.msg);
    machine_reset(g->m);
    outb(g->m, 0xd6, 0xc0);              /* cascade */
    outb(g->m, 0xd4, 0);
    outb(g->m, 0x3f2, 0);
    outb(g->m, 0x3f2, 0x1c);
}

static void guest_init(struct guest *g)
{
    guest_with(g, 2880);
}

static void dma(struct guest *g, uint8_t mode, unsigned bytes)
{
    outb(g->m, 0x0c, 0);
    outb(g->m, 0x0b, mode | 2);
    outb(g->m, 0x04, DMA & 0xff);
    outb(g->m, 0x04, DMA >> 8 & 0xff);
    outb(g->m, 0x81, DMA >> 16);
    outb(g->m, 0x05, (bytes - 1) & 0xff);
    outb(g->m, 0x05, (bytes - 1) >> 8);
    outb(g->m, 0x0a, 2);
}

static void send(struct guest *g, const uint8_t *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        cr_assert_eq(inb(g->m, 0x3f4) & 0xc0, 0x80);
        outb(g->m, 0x3f5, bytes[i]);
    }
    rig_wait(&g->r, g->d);
}

static unsigned results(struct guest *g, uint8_t *out)
{
    unsigned n = 0;

    while ((inb(g->m, 0x3f4) & 0xc0) == 0xc0 && n < 16)
        out[n++] = inb(g->m, 0x3f5);
    return n;
}

static const uint8_t sense[] = { 0x08 };

Test(fdc, reset_is_sensed_four_times)
{
    struct guest g;
    uint8_t out[16];

    guest_init(&g);
    cr_assert_eq(g.irq[6], 1);
    for (unsigned i = 0; i < 4; i++) {
        send(&g, sense, 1);
        cr_assert_eq(results(&g, out), 2);
        cr_assert_eq(out[0], 0xc0 + i);
    }
    cr_assert_eq(g.irq[6], 0);
    send(&g, sense, 1);
    cr_assert_eq(results(&g, out), 1);
    cr_assert_eq(out[0], 0x80, "nothing to sense");
    rig_free(&g.r);
}

static void settle(struct guest *g)
{
    uint8_t out[16];

    for (unsigned i = 0; i < 4; i++) {
        send(g, sense, 1);
        results(g, out);
    }
}

Test(fdc, seek_read_write)
{
    struct guest g;
    static const uint8_t recal[] = { 0x07, 0 }, seek[] = { 0x0f, 0, 1 };
    static const uint8_t read[] = { 0xe6, 0, 1, 0, 3, 2, 18, 0x1b, 0xff };
    static const uint8_t write[] = { 0xc5, 4, 1, 1, 18, 2, 18, 0x1b, 0xff };
    uint8_t out[16];

    guest_init(&g);
    settle(&g);
    cr_assert_eq(inb(g.m, 0x3f7) & 0x80, 0x80, "changed since power-on");
    send(&g, recal, 2);
    send(&g, sense, 1);
    results(&g, out);
    cr_assert_eq(out[0], 0x20);
    cr_assert_eq(inb(g.m, 0x3f7) & 0x80, 0);
    send(&g, seek, 3);
    send(&g, sense, 1);
    results(&g, out);
    cr_assert_eq(out[1], 1, "track");
    dma(&g, 0x44, 1024);
    send(&g, read, 9);
    cr_assert_eq(g.irq[6], 1);
    cr_assert_eq(results(&g, out), 7);
    cr_assert_eq(g.irq[6], 0);
    cr_assert_eq(out[0], 0);
    cr_assert_eq(out[5], 5, "next sector");
    cr_assert_eq(g.m->ram[DMA], (36 + 2 + 1) & 0xff);
    cr_assert_eq(g.m->ram[DMA + 512], 40);
    cr_assert_eq(g.m->ram[DMA + 1024], 0, "not past terminal count");
    memset(g.m->ram + DMA, 0xee, 512);
    dma(&g, 0x48, 512);
    send(&g, write, 9);
    results(&g, out);
    cr_assert_eq(out[0] & 0xc0, 0);
    cr_assert_eq(out[3], 2, "next track");
    cr_assert_eq(rig_file_byte(&g.r, 0, (36 + 18 + 17) * 512), 0xee);
    cr_assert_eq(rig_file_byte(&g.r, 0, (36 + 18 + 18) * 512), (36 + 18 + 18 + 1) & 0xff);
    rig_free(&g.r);
}

/* FORMAT of the track under head @head; returns ST0 */
static uint8_t format(struct guest *g, uint8_t head, uint8_t sectors)
{
    const uint8_t cmd[] = { 0x4d, head << 2, 2, sectors, 0x54, 0xf6 };
    uint8_t out[16];

    dma(g, 0x48, sectors * 4);
    send(g, cmd, sizeof cmd);
    cr_assert_eq(results(g, out), 7);
    return out[0];
}

Test(fdc, format_fills_a_track)
{
    static const uint8_t seek[] = { 0x0f, 0, 2 };
    struct guest g;
    uint8_t out[16];

    guest_init(&g);
    settle(&g);
    send(&g, seek, 3);
    send(&g, sense, 1);
    results(&g, out);
    cr_assert_eq(format(&g, 1, 18) & 0xc0, 0);
    cr_assert_eq(rig_file_byte(&g.r, 0, (2 * 36 + 18) * 512 - 1), (2 * 36 + 18) & 0xff);
    cr_assert_eq(rig_file_byte(&g.r, 0, (2 * 36 + 18) * 512), 0xf6);
    cr_assert_eq(rig_file_byte(&g.r, 0, 3 * 36 * 512 - 1), 0xf6);
    cr_assert_eq(rig_file_byte(&g.r, 0, 3 * 36 * 512), (3 * 36 + 1) & 0xff);
    cr_assert_eq(format(&g, 0, 19) & 0xc0, 0x40, "more sectors than the track has");
    rig_free(&g.r);
}

Test(fdc, no_second_side_to_format)
{
    struct guest g;

    guest_with(&g, 320);                 /* 160 KB: one side, 8 sectors a track */
    settle(&g);
    cr_assert_eq(format(&g, 1, 8) & 0xc0, 0x40);
    cr_assert_eq(rig_file_byte(&g.r, 0, 8 * 512), 9, "the next track keeps what it has");
    cr_assert_eq(format(&g, 0, 8) & 0xc0, 0);
    cr_assert_eq(rig_file_byte(&g.r, 0, 0), 0xf6);
    rig_free(&g.r);
}

Test(fdc, wrong_addresses_end_abnormally)
{
    struct guest g;
    static const uint8_t bad[][9] = {
        { 0xe6, 0, 80, 0, 1, 2, 18, 0x1b, 0xff }, { 0xe6, 0, 0, 0, 19, 2, 18, 0x1b, 0xff },
        { 0xe6, 0, 0, 0, 0, 2, 18, 0x1b, 0xff }, { 0xe6, 0, 0, 9, 1, 2, 18, 0x1b, 0xff },
        { 0xe6, 1, 0, 0, 1, 2, 18, 0x1b, 0xff }, { 0xe6, 0, 0, 0, 1, 6, 18, 0x1b, 0xff },
        { 0xe6, 0, 255, 255, 255, 255, 255, 255, 255 },
    };
    uint8_t out[16];

    guest_init(&g);
    settle(&g);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        dma(&g, 0x44, 512);
        send(&g, bad[i], 9);
        cr_assert_eq(results(&g, out), 7, "%u", i);
        cr_assert_eq(out[0] & 0xc0, 0x40, "%u", i);
    }
    rig_free(&g.r);
}

/* CVE-2015-3456: endless data bytes must not run past any buffer */
Test(fdc, the_fifo_is_bounded)
{
    struct guest g;

    guest_init(&g);
    for (unsigned first = 0; first < 256; first++) {
        outb(g.m, 0x3f2, 0);
        outb(g.m, 0x3f2, 0x1c);
        for (unsigned i = 0; i < 600; i++)
            outb(g.m, 0x3f5, i ? 0x8e : first);
        rig_wait(&g.r, g.d);
        for (unsigned i = 0; i < 600; i++)
            inb(g.m, 0x3f5);
        cr_assert_eq(inb(g.m, 0x3f4) & 0xc0, 0x80, "opcode %#x: ready again", first);
    }
    rig_free(&g.r);
}
