/* vga.c - the display adapter through ports, window, BARs */
#include "hw/display/vga.h"
#include "hw/pci/pci.h"
#include "tests/hw/stepped.h"

static struct machine *m;
static struct pci_bus bus; /* no host bridge owns one here */
static struct vga_text text;

static void setup(void)
{
    struct err e = { "" };

    m = stepped_machine();
    bus = (struct pci_bus){ .machine = m, .n_slots = 32 };
    m->pci = &bus;
    cr_assert_eq(vga_add(m, PCI_DEVFN(2, 0), &e), 0, "%s", e.msg);
}

static void teardown(void)
{
    machine_free(m);
}

static void seq(uint8_t i, uint8_t v) { port_write(m, 0x3c4, v << 8 | i, 2); }
static void gfx(uint8_t i, uint8_t v) { port_write(m, 0x3ce, v << 8 | i, 2); }
static void crtc(uint8_t i, uint8_t v) { port_write(m, 0x3d4, v << 8 | i, 2); }

static uint8_t indexed(uint16_t port, uint8_t i)
{
    outb(m, port, i);
    return inb(m, port + 1);
}

static void attr(uint8_t i, uint8_t v)
{
    inb(m, 0x3da);
    outb(m, 0x3c0, i);
    outb(m, 0x3c0, v);
}

static uint16_t vbe_get(uint16_t i)
{
    port_write(m, 0x1ce, i, 2);
    return port_read(m, 0x1cf, 2);
}

static void vbe_set(uint16_t i, uint16_t v)
{
    port_write(m, 0x1ce, i, 2);
    port_write(m, 0x1cf, v, 2);
}

static uint8_t peek(gpa_t a) { return mmio_read(&m->mem, a, 1); }
static void poke(gpa_t a, uint8_t v) { mmio_write(&m->mem, a, v, 1); }

/* planar 64 KiB at 0xa0000, all planes enabled */
static void planar(void)
{
    outb(m, 0x3c2, 0x63);
    seq(2, 0x0f);
    seq(4, 0x06);
    for (int i = 0; i < 8; i++)
        gfx(i, 0);
    gfx(6, 0x05);
    gfx(7, 0x0f);
    gfx(8, 0xff);
}

static uint8_t plane(int p, gpa_t a)
{
    gfx(5, 0);
    gfx(4, p);
    return peek(a);
}

/* The whole of one address must be these four plane bytes. */
static void expect_planes(gpa_t a, uint8_t p0, uint8_t p1, uint8_t p2, uint8_t p3)
{
    cr_assert_eq(plane(0, a), p0, "plane 0 is %#x", plane(0, a));
    cr_assert_eq(plane(1, a), p1, "plane 1 is %#x", plane(1, a));
    cr_assert_eq(plane(2, a), p2, "plane 2 is %#x", plane(2, a));
    cr_assert_eq(plane(3, a), p3, "plane 3 is %#x", plane(3, a));
}

TestSuite(vga, .init = setup, .fini = teardown);

Test(vga, identification)
{
    struct pci_device *p = pci_find(m->pci, 0, PCI_DEVFN(2, 0));

    cr_assert_eq(pci_config_read(p, 0, 4), 0x11111234);
    cr_assert_eq(pci_config_read(p, 8, 4) >> 8, 0x030000);
    pci_config_write(p, PCI_BAR0, 0xffffffff, 4);
    cr_assert_eq(pci_config_read(p, PCI_BAR0, 4), 0xff000008, "16 MiB, prefetchable");
    pci_config_write(p, PCI_BAR0 + 8, 0xffffffff, 4);
    cr_assert_eq(pci_config_read(p, PCI_BAR0 + 8, 4), 0xfffff000);
}

Test(vga, index_registers)
{
    outb(m, 0x3c2, 0x67);
    cr_assert_eq(inb(m, 0x3cc), 0x67);
    seq(2, 0xff);
    cr_assert_eq(indexed(0x3c4, 2), 0x0f);
    gfx(8, 0xa5);
    cr_assert_eq(indexed(0x3ce, 8), 0xa5);
    crtc(0x0e, 0x12);
    cr_assert_eq(indexed(0x3d4, 0x0e), 0x12);
    attr(0x13, 0x08);
    inb(m, 0x3da);
    outb(m, 0x3c0, 0x13);
    cr_assert_eq(inb(m, 0x3c1), 0x08);
    crtc(0xff, 0x55); /* no such register */
    outb(m, 0x3ce, 0xff);
    inb(m, 0x3cf);
}

Test(vga, palette_source_bit_protects_the_palette)
{
    outb(m, 0x3c2, 0x67);
    attr(0x03, 0x2a);
    attr(0x23, 0x15);
    inb(m, 0x3da);
    outb(m, 0x3c0, 0x03);
    cr_assert_eq(inb(m, 0x3c1), 0x2a);
}

Test(vga, crtc_write_protection)
{
    outb(m, 0x3c2, 0x67);
    crtc(0x11, 0x00);
    crtc(0x01, 0x4f);
    crtc(0x11, 0x80);
    crtc(0x01, 0x27);
    crtc(0x07, 0xff);
    cr_assert_eq(indexed(0x3d4, 0x01), 0x4f);
    cr_assert_eq(indexed(0x3d4, 0x07), 0x10, "only line compare bit 8");
}

Test(vga, monochrome_or_colour_ports)
{
    outb(m, 0x3c2, 0x66);
    cr_assert_eq(inb(m, 0x3da), 0xff);
    cr_assert_neq(inb(m, 0x3ba), 0xff);
    outb(m, 0x3c2, 0x67);
    cr_assert_eq(inb(m, 0x3ba), 0xff);
}

Test(vga, dac)
{
    outb(m, 0x3c8, 5);
    for (int i = 1; i <= 6; i++)
        outb(m, 0x3c9, i | 0xc0);
    outb(m, 0x3c7, 5);
    cr_assert_eq(inb(m, 0x3c7), 3);
    for (int i = 1; i <= 6; i++)
        cr_assert_eq(inb(m, 0x3c9), i);
    outb(m, 0x3c8, 255); /* runs round */
    for (int i = 0; i < 6; i++)
        outb(m, 0x3c9, 9);
    outb(m, 0x3c7, 0);
    cr_assert_eq(inb(m, 0x3c9), 9);
}

Test(vga, retrace_comes_and_goes)
{
    int seen = 0;

    outb(m, 0x3c2, 0x67);
    for (int i = 0; i < 450; i++) {
        seen |= 1 << (inb(m, 0x3da) >> 3 & 1);
        seen |= 4 << (inb(m, 0x3da) & 1);
        clock_step(&m->clock, &m->timers, 31778);
    }
    cr_assert_eq(seen, 0xf);
}

Test(vga, window_needs_enabled_memory)
{
    planar();
    outb(m, 0x3c2, 0x61);
    poke(0xa0000, 0x12);
    cr_assert_eq(peek(0xa0000), 0xff);
    outb(m, 0x3c2, 0x63);
    cr_assert_eq(peek(0xa0000), 0x00);
    cr_assert_eq(peek(0xb0000), 0xff, "map is 64 KiB");
}

Test(vga, write_mode_0)
{
    planar();
    seq(2, 0x05);
    poke(0xa0010, 0x3c);
    expect_planes(0xa0010, 0x3c, 0, 0x3c, 0);
    seq(2, 0x0f);
    gfx(3, 4);               /* rotate by 4 */
    gfx(1, 0x0c);            /* set/reset for planes 2, 3 */
    gfx(0, 0x08);
    poke(0xa0011, 0x12);
    expect_planes(0xa0011, 0x21, 0x21, 0x00, 0xff);
}

Test(vga, bit_mask_and_functions)
{
    planar();
    poke(0xa0000, 0xf0);
    peek(0xa0000);           /* load the latches */
    gfx(8, 0x3c);
    gfx(3, 0x18);            /* xor */
    poke(0xa0001, 0xff);
    expect_planes(0xa0001, 0xcc, 0xcc, 0xcc, 0xcc);
    peek(0xa0000);
    gfx(3, 0x08);            /* and */
    poke(0xa0002, 0x30);
    cr_assert_eq(plane(1, 0xa0002), 0xf0);
    peek(0xa0000);
    gfx(3, 0x10);            /* or */
    poke(0xa0003, 0x0c);
    cr_assert_eq(plane(1, 0xa0003), 0xfc);
}

Test(vga, write_mode_1_copies_latches)
{
    planar();
    seq(2, 0x02);
    poke(0xa0000, 0x55);
    seq(2, 0x08);
    poke(0xa0000, 0xaa);
    seq(2, 0x0f);
    peek(0xa0000);
    gfx(5, 1);
    poke(0xa0100, 0x00);
    expect_planes(0xa0100, 0, 0x55, 0, 0xaa);
}

Test(vga, write_mode_2_paints_a_colour)
{
    planar();
    gfx(5, 2);
    gfx(8, 0x0f);
    peek(0xa0200);
    poke(0xa0200, 0x0a);
    expect_planes(0xa0200, 0, 0x0f, 0, 0x0f);
}

Test(vga, write_mode_3_masks_with_the_data)
{
    planar();
    gfx(0, 0x05);
    gfx(8, 0xf0);
    gfx(5, 3);
    peek(0xa0300);
    poke(0xa0300, 0x3c);
    expect_planes(0xa0300, 0x30, 0, 0x30, 0);
}

Test(vga, read_mode_1_compares)
{
    planar();
    gfx(5, 2);
    gfx(8, 0xf0);
    peek(0xa0400);
    poke(0xa0400, 0x06);
    gfx(5, 8);
    gfx(2, 0x06);
    cr_assert_eq(peek(0xa0400), 0xf0);
    gfx(2, 0x00);
    cr_assert_eq(peek(0xa0400), 0x0f);
    gfx(7, 0x09); /* planes 1 and 2 do not care */
    cr_assert_eq(peek(0xa0400), 0xff);
}

Test(vga, chain4_is_linear)
{
    planar();
    seq(4, 0x0e);
    mmio_write(&m->mem, 0xa0000, 0x44332211, 4);
    cr_assert_eq(peek(0xa0002), 0x33);
    seq(4, 0x06);
    expect_planes(0xa0000, 0x11, 0x22, 0x33, 0x44);
}

Test(vga, text_screen)
{
    const char *msg = "Hello, VGA";
    char row[200];

    cr_assert_eq(vga_text_snapshot(m->vga, &text), -ENODATA, "blank after reset");
    vga_set_text_mode(m->vga);
    for (int i = 0; msg[i]; i++)
        mmio_write(&m->mem, 0xb8000 + 160 + i * 2, 0x1f00 | msg[i], 2);
    crtc(0x0f, 85);
    cr_assert_eq(vga_text_snapshot(m->vga, &text), 0);
    cr_assert_eq(text.cols, 80);
    cr_assert_eq(text.rows, 25);
    cr_assert_eq(vga_text_row(&text, 1, row, sizeof(row)), 10);
    cr_assert_str_eq(row, msg);
    cr_assert_eq(text.attr[80], 0x1f);
    cr_assert_eq(text.attr[90], 0x07);
    cr_assert_eq(vga_text_row(&text, 0, row, sizeof(row)), 0);
    cr_assert(text.cursor_on);
    cr_assert_eq(text.cursor_row, 1);
    cr_assert_eq(text.cursor_col, 5);
    crtc(0x0d, 80); /* start one row later */
    vga_text_snapshot(m->vga, &text);
    vga_text_row(&text, 0, row, 6);
    cr_assert_str_eq(row, "Hello");
    cr_assert_eq(peek(0xb8000 + 160), 'H');
    cr_assert_eq(peek(0xb8000 + 161), 0x1f);
    gfx(6, 0x05);
    cr_assert_eq(vga_text_snapshot(m->vga, &text), -ENODATA);
}

/* Any register contents give a bounded picture. */
Test(vga, wild_text_geometry)
{
    vga_set_text_mode(m->vga);
    crtc(0x11, 0);
    crtc(0x01, 0xff);
    crtc(0x07, 0xff);
    crtc(0x12, 0xff);
    crtc(0x09, 0x00);
    crtc(0x13, 0xff);
    crtc(0x0c, 0xff);
    cr_assert_eq(vga_text_snapshot(m->vga, &text), 0);
    cr_assert_leq(text.cols * text.rows, VGA_TEXT_CELLS_MAX);
    crtc(0x13, 0);
    cr_assert_eq(vga_text_snapshot(m->vga, &text), 0);
}

Test(vga, dispi_modes)
{
    cr_assert_eq(vbe_get(0), 0xb0c5);
    cr_assert_eq(vbe_get(10), 256);
    vbe_set(1, 800);
    vbe_set(2, 600);
    vbe_set(3, 32);
    vbe_set(4, 0x41);
    cr_assert_eq(vbe_get(4), 0x41);
    cr_assert_eq(vbe_get(6), 800);
    cr_assert_eq(vbe_get(7), 5242);
    vbe_set(1, 1024);
    cr_assert_eq(vbe_get(1), 800, "fixed while enabled");
    vbe_set(6, 1024);
    cr_assert_eq(vbe_get(6), 1024);
    vbe_set(8, 224);
    cr_assert_eq(vbe_get(8), 224);
    vbe_set(8, 225);
    cr_assert_eq(vbe_get(8), 224);
    vbe_set(4, 0);
    vbe_set(4, 2);
    cr_assert_eq(vbe_get(1), 2560);
    cr_assert_eq(vbe_get(3), 32);
}

Test(vga, dispi_refuses_what_cannot_be)
{
    vbe_set(4, 1);
    cr_assert_eq(vbe_get(4), 0, "0x0");
    vbe_set(3, 77);
    cr_assert_eq(vbe_get(3), 8);
    vbe_set(1, 9999);
    cr_assert_eq(vbe_get(1), 0);
    vbe_set(5, 255);
    cr_assert_eq(vbe_get(5), 255);
    vbe_set(5, 256);
    cr_assert_eq(vbe_get(5), 255);
    vbe_set(99, 1);
    cr_assert_eq(vbe_get(99), 0);
}

Test(vga, dispi_bank_and_framebuffer)
{
    struct pci_device *p = pci_find(m->pci, 0, PCI_DEVFN(2, 0));
    uint32_t v;

    pci_config_write(p, PCI_BAR0, 0xe0000000, 4);
    pci_config_write(p, PCI_BAR0 + 8, 0xe1000000, 4);
    pci_config_write(p, PCI_COMMAND, 3, 2);
    outb(m, 0x3c2, 0x67);
    vbe_set(1, 640);
    vbe_set(2, 480);
    vbe_set(3, 32);
    vbe_set(4, 0x41);
    v = 0x12345678;
    mem_write(&m->mem, 0xe0010004, &v, 4);
    vbe_set(5, 1);
    cr_assert_eq(mmio_read(&m->mem, 0xa0004, 4), 0x12345678);
    cr_assert_eq(mmio_read(&m->mem, 0xe1000502, 2), 640);
    mmio_write(&m->mem, 0xe1000508, 0, 2);
    cr_assert_eq(vbe_get(4), 0);
    cr_assert_eq(mmio_read(&m->mem, 0xe1000604, 4), 0x1e1e1e1e);
    mmio_write(&m->mem, 0xe1000404, 2, 1);
    cr_assert_eq(inb(m, 0x3c4), 2);
}
