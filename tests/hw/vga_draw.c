/* vga_draw.c - the picture of each kind of mode, programmed through ports as a driver does */
#include <stdlib.h>
#include "hw/display/console.h"
#include "hw/display/vga-int.h"
#include "tests/hw/stepped.h"

#define LFB 0xe0000000u
#define MMIO 0xf0000000u

static struct machine *m;
static struct pci_bus bus;
static struct console *con;

/* What a viewer was told. */
static struct seen {
    struct console_viewer v;
    unsigned resized, damaged;
    struct rect last;
} seen;

static void on_resized(struct console_viewer *v) { seen.resized++; }

static void on_damaged(struct console_viewer *v, const struct rect *r)
{
    seen.damaged++;
    seen.last = *r;
}

static void setup(void)
{
    struct err e = { "" };
    struct pci_device *p;

    m = stepped_machine();
    bus = (struct pci_bus){ .machine = m, .n_slots = 32 };
    m->pci = &bus;
    cr_assert_eq(vga_add(m, PCI_DEVFN(2, 0), &e), 0, "%s", e.msg);
    p = pci_find(m->pci, 0, PCI_DEVFN(2, 0));
    pci_config_write(p, PCI_BAR0, LFB, 4);
    pci_config_write(p, PCI_BAR0 + 8, MMIO, 4);
    pci_config_write(p, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEM, 2);
    con = console_at(m, 0);
    cr_assert_not_null(con);
}

static void teardown(void)
{
    console_unview(&seen.v);
    machine_free(m);
}

TestSuite(vga_draw, .init = setup, .fini = teardown);

static void seq(uint8_t i, uint8_t v) { port_write(m, 0x3c4, v << 8 | i, 2); }
static void gfx(uint8_t i, uint8_t v) { port_write(m, 0x3ce, v << 8 | i, 2); }
static void crtc(uint8_t i, uint8_t v) { port_write(m, 0x3d4, v << 8 | i, 2); }

static void attr(uint8_t i, uint8_t v)
{
    inb(m, 0x3da);
    outb(m, 0x3c0, i);
    outb(m, 0x3c0, v);
}

static void dac(uint8_t i, uint8_t r, uint8_t g, uint8_t b)
{
    outb(m, 0x3c8, i);
    outb(m, 0x3c9, r);
    outb(m, 0x3c9, g);
    outb(m, 0x3c9, b);
}

static void vbe(uint16_t i, uint16_t v)
{
    port_write(m, 0x1ce, i, 2);
    port_write(m, 0x1cf, v, 2);
}

static void poke(gpa_t a, uint8_t v) { mmio_write(&m->mem, a, v, 1); }
static void poke16(gpa_t a, uint16_t v) { mmio_write(&m->mem, a, v, 2); }

static uint32_t pixel(unsigned x, unsigned y)
{
    cr_assert_lt(x, con->width);
    cr_assert_lt(y, con->height);
    return con->pixels[y * con->width + x];
}

static void expect_pixel(unsigned x, unsigned y, uint32_t want)
{
    cr_assert_eq(pixel(x, y), want, "%u,%u is %06x, not %06x", x, y, pixel(x, y), want);
}

static void expect_size(unsigned w, unsigned h)
{
    console_refresh(con);
    cr_assert_eq(con->width, w, "width %u", con->width);
    cr_assert_eq(con->height, h, "height %u", con->height);
}

/* What all VGA modes here share; colour n of the DAC is grey level n (of 64). */
static void common(unsigned chars, unsigned lines, uint8_t offset, uint8_t max_scan, uint8_t mode)
{
    outb(m, 0x3c2, 0x63);
    crtc(0x11, 0);
    crtc(1, chars - 1);
    crtc(0x12, lines - 1);
    crtc(7, ((lines - 1) >> 7 & 2) | ((lines - 1) >> 3 & 0x40) | 0x10);
    crtc(9, max_scan | 0x40);
    crtc(0x18, 0xff);
    crtc(0x13, offset);
    crtc(0x17, mode);
    for (unsigned i = 0; i < 16; i++)
        attr(i, i);
    attr(0x12, 0x0f);
    attr(0x13, 0);
    attr(0x14, 0);
    for (unsigned i = 0; i < 64; i++)
        dac(i, i, i, i);
    outb(m, 0x3c6, 0xff);
    seq(1, 1);
    inb(m, 0x3da);
    outb(m, 0x3c0, 0x20);
}

static uint32_t grey(unsigned n)
{
    unsigned c = n << 2 | n >> 4;

    return c << 16 | c << 8 | c;
}

static void mode_13h(void)
{
    common(80, 400, 0x28, 1, 0xa3);
    crtc(0x14, 0x40);
    attr(0x10, 0x41);
    seq(2, 15);
    seq(4, 0x0e);
    gfx(5, 0x40);
    gfx(6, 0x05);
    gfx(8, 0xff);
    outb(m, 0x3c0, 0x20);
}

static void mode_12h(void)
{
    common(80, 480, 0x28, 0, 0xe3);
    attr(0x10, 0x01);
    seq(2, 15);
    seq(4, 0x06);
    for (int i = 0; i < 6; i++)
        gfx(i, 0);
    gfx(6, 0x05);
    gfx(8, 0xff);
    outb(m, 0x3c0, 0x20);
}

Test(vga_draw, blank_until_programmed)
{
    expect_size(720, 400);
    expect_pixel(0, 0, 0);
}

/* ---- text ----------------------------------------------------------------- */

static void text(void)
{
    uint8_t *vram = m->vga->vram;

    vga_set_text_mode(m->vga);
    for (unsigned i = 0; i < 32; i++) {      /* 'A': left and right edge */
        vram[('A' * 32 + i) * 4 + 2] = 0x81;
        vram[(0xc4 * 32 + i) * 4 + 2] = 0x01;
    }
    crtc(0x0a, 0x20);                        /* no cursor */
}

static void cell(unsigned at, uint8_t ch, uint8_t a)
{
    poke16(0xb8000 + at * 2, a << 8 | ch);
}

Test(vga_draw, text_cells)
{
    text();
    cell(81, 'A', 0x1e);
    expect_size(720, 400);
    expect_pixel(9, 16, 0xffff55);           /* yellow on blue */
    expect_pixel(10, 16, 0x0000aa);
    expect_pixel(16, 31, 0xffff55);
    expect_pixel(17, 16, 0x0000aa);          /* ninth column */
    expect_pixel(18, 16, 0);
    expect_pixel(9, 32, 0);
    cell(0, 0xc4, 0x07);                     /* line graphics: the ninth repeats the eighth */
    console_refresh(con);
    expect_pixel(8, 0, 0xaaaaaa);
    expect_pixel(9, 0, 0);
    seq(1, 1);                               /* eight dots */
    expect_size(640, 400);
    expect_pixel(8, 16, 0xffff55);
    seq(1, 9);                               /* half the clock: each dot twice */
    expect_size(1280, 400);
    expect_pixel(17, 16, 0xffff55);
}

Test(vga_draw, text_cursor_blinks)
{
    unsigned on = 0;

    text();
    crtc(0x0a, 0x0e);
    crtc(0x0b, 0x0f);
    crtc(0x0e, 0);
    crtc(0x0f, 2);
    for (unsigned i = 0; i < 32; i++) {
        console_refresh(con);
        on += pixel(2 * 9, 14) == 0xaaaaaa;
        expect_pixel(2 * 9, 13, 0);
        clock_step(&m->clock, &m->timers, 14268000);
    }
    cr_assert_eq(on, 16, "half of the time, not %u of 32", on);
}

Test(vga_draw, text_blinks)
{
    unsigned on = 0;

    text();
    cell(0, 'A', 0x87);
    for (unsigned i = 0; i < 64; i++) {
        console_refresh(con);
        on += pixel(0, 0) == 0xaaaaaa;
        clock_step(&m->clock, &m->timers, 14268000);
    }
    cr_assert_eq(on, 32, "half of the time, not %u of 64", on);
    attr(0x10, 0x04);                        /* bit 7 is a bright background instead */
    outb(m, 0x3c0, 0x20);
    console_refresh(con);
    expect_pixel(1, 0, 0x555555);
}

Test(vga_draw, text_second_font)
{
    uint8_t *vram = m->vga->vram;

    text();
    vram[(0x4000 + 'B' * 32) * 4 + 2] = 0x80;  /* font 1, 16 KiB on */
    mem_dirty_set(&m->vga->framebuffer, 0, 0x40000);
    seq(3, 0x04);                            /* A: bit 3 set: font 1; B: font 0 */
    cell(0, 'B', 0x0f);
    cell(1, 'B', 0x07);
    console_refresh(con);
    expect_pixel(0, 0, 0xffffff);
    expect_pixel(9, 0, 0);
}

Test(vga_draw, text_pans_and_splits)
{
    text();
    cell(0, 'A', 0x0f);
    cell(80, 'A', 0x0f);
    attr(0x13, 2);                           /* three dots to the left */
    outb(m, 0x3c0, 0x20);
    console_refresh(con);
    expect_pixel(4, 0, 0xffffff);            /* the right edge, dot 7 */
    expect_pixel(0, 0, 0);
    attr(0x13, 8);
    outb(m, 0x3c0, 0x20);
    crtc(8, 4);                              /* preset row scan: four lines up */
    console_refresh(con);
    expect_pixel(0, 27, 0xffffff);
    expect_pixel(0, 28, 0);
    crtc(8, 0);
    crtc(0x18, 199);                         /* from line 200 on: address 0 again */
    crtc(7, 0x1f & ~0x10);
    crtc(9, 0x0f);
    crtc(0x0d, 160);                         /* start two rows down */
    console_refresh(con);
    expect_pixel(0, 0, 0);
    expect_pixel(0, 199, 0);
    expect_pixel(0, 200, 0xffffff);
    expect_pixel(0, 216, 0xffffff);
}

Test(vga_draw, text_rows_that_changed_only)
{
    text();
    seen.v = (struct console_viewer){ .resized = on_resized, .damaged = on_damaged };
    console_view(con, &seen.v);
    cr_assert_eq(seen.resized, 1);
    cr_assert_eq(seen.damaged, 1);
    console_refresh(con);
    cr_assert_eq(seen.damaged, 1, "nothing changed");
    cell(80 * 3 + 5, 'A', 0x07);
    console_refresh(con);
    cr_assert_eq(seen.damaged, 2);
    cr_assert_eq(seen.last.y, 48);
    cr_assert_eq(seen.last.h, 16);
    cr_assert_eq(seen.last.x, 45);
    cr_assert_leq(seen.last.w, 9);
}

/* ---- VGA graphics ----------------------------------------------------------- */

Test(vga_draw, mode_13h_is_linear)
{
    mode_13h();
    poke(0xa0000, 7);
    poke(0xa0000 + 320 * 199 + 319, 63);
    expect_size(320, 200);
    expect_pixel(0, 0, grey(7));
    expect_pixel(1, 0, 0);
    expect_pixel(319, 199, grey(63));
    outb(m, 0x3c6, 0x03);                    /* DAC mask */
    console_refresh(con);
    expect_pixel(0, 0, grey(3));
}

Test(vga_draw, mode_x_has_pages)
{
    mode_13h();
    seq(4, 0x06);                            /* unchained */
    crtc(0x14, 0);
    crtc(0x17, 0xe3);
    seq(2, 2);                               /* plane 1: columns 1, 5 ... */
    poke(0xa0000 + 80, 9);
    poke(0xa0000 + 16000, 11);
    console_refresh(con);
    expect_pixel(1, 1, grey(9));
    expect_pixel(0, 1, 0);
    crtc(0x0c, 16000 >> 8);                  /* the second page */
    crtc(0x0d, 16000 & 0xff);
    console_refresh(con);
    expect_pixel(1, 0, grey(11));
}

Test(vga_draw, planar)
{
    mode_12h();
    seq(2, 0x0a);
    poke(0xa0000 + 80 * 479 + 79, 0x01);     /* planes 1 and 3 of the last pixel */
    expect_size(640, 480);
    expect_pixel(639, 479, grey(10));
    expect_pixel(638, 479, 0);
    attr(0x12, 0x08);                        /* plane 1 is not shown */
    outb(m, 0x3c0, 0x20);
    console_refresh(con);
    expect_pixel(639, 479, grey(8));
    attr(0x14, 0x0c);                        /* upper bits of the colour */
    dac(0xc8, 1, 2, 3);
    outb(m, 0x3c0, 0x20);
    console_refresh(con);
    expect_pixel(639, 479, 0x04080c);
}

Test(vga_draw, planar_pans_splits_and_wraps)
{
    mode_12h();
    seq(2, 15);
    poke(0xa0000, 0x08);                     /* pixel 4 */
    attr(0x13, 3);
    outb(m, 0x3c0, 0x20);
    console_refresh(con);
    expect_pixel(1, 0, grey(15));
    crtc(0x18, 99);
    crtc(7, 0x02);
    crtc(9, 0);
    crtc(0x0c, 0xff);                        /* start so near the end that it wraps */
    crtc(0x0d, 0xb0);
    console_refresh(con);
    expect_pixel(1, 1, grey(15));
    expect_pixel(1, 100, grey(15));
    attr(0x10, 0x21);                        /* no panning below the split */
    outb(m, 0x3c0, 0x20);
    console_refresh(con);
    expect_pixel(1, 1, grey(15));
    expect_pixel(4, 100, grey(15));
}

Test(vga_draw, cga_modes)
{
    common(40, 400, 0x14, 0x81, 0xa2);       /* mode 4: 320x200, odd lines 8 KiB on */
    attr(0x10, 0x01);
    seq(2, 3);
    seq(4, 0x02);
    gfx(5, 0x30);
    gfx(6, 0x0f);
    gfx(8, 0xff);
    outb(m, 0x3c0, 0x20);
    poke(0xb8000, 0x1b);                     /* 0 1 2 3 */
    poke(0xb8000 + 1, 0xc0);
    poke(0xb8000 + 0x2000, 0x80);
    poke(0xb8000 + 80, 0x40);
    expect_size(320, 200);
    for (unsigned x = 0; x < 4; x++)
        expect_pixel(x, 0, grey(x));
    expect_pixel(4, 0, grey(3));
    expect_pixel(0, 1, grey(2));
    expect_pixel(0, 2, grey(1));

    common(80, 400, 0x28, 0x81, 0xc2);       /* mode 6: 640x200, one plane */
    attr(0x10, 0x01);
    attr(0x12, 0x01);
    seq(2, 1);
    seq(4, 0x06);
    gfx(5, 0);
    gfx(6, 0x0d);
    outb(m, 0x3c0, 0x20);
    poke(0xb8000 + 0x2000, 0x80);
    poke(0xb8000, 0x01);
    expect_size(640, 200);
    expect_pixel(7, 0, grey(1));
    expect_pixel(0, 1, grey(1));
}

/* ---- VBE ---------------------------------------------------------------------- */

static void vbe_mode(unsigned w, unsigned h, unsigned bpp)
{
    outb(m, 0x3c2, 0x63);
    vbe(4, 0);
    vbe(1, w);
    vbe(2, h);
    vbe(3, bpp);
    vbe(4, 0x41);
    inb(m, 0x3da);
    outb(m, 0x3c0, 0x20);
}

static void lfb(uint32_t off, uint64_t v, unsigned size) { mem_write(&m->mem, LFB + off, &v, size); }

Test(vga_draw, vbe_depths)
{
    vbe_mode(800, 600, 32);
    lfb(4 * (800 * 599 + 799), 0x00123456, 4);
    expect_size(800, 600);
    expect_pixel(799, 599, 0x123456);
    mmio_write(&m->mem, MMIO + 0x604, 0xbebebebe, 4);
    cr_assert_eq(mmio_read(&m->mem, MMIO + 0x604, 4), 0xbebebebe);
    console_refresh(con);
    expect_pixel(799, 599, 0x341200);        /* now most significant byte first */
    mmio_write(&m->mem, MMIO + 0x604, 0x1e1e1e1e, 4);

    vbe_mode(800, 600, 24);
    lfb(3, 0xabcdef, 3);
    console_refresh(con);
    expect_pixel(1, 0, 0xabcdef);
    vbe_mode(640, 480, 16);
    lfb(2 * 640, 0xf81f, 2);
    lfb(2 * 641, 0x07e0, 2);
    expect_size(640, 480);
    expect_pixel(0, 1, 0xff00ff);
    expect_pixel(1, 1, 0x00ff00);
    vbe_mode(640, 480, 15);
    lfb(0, 0x7c1f, 2);
    lfb(2, 0x03e0, 2);
    console_refresh(con);
    expect_pixel(0, 0, 0xff00ff);
    expect_pixel(1, 0, 0x00ff00);
    vbe_mode(640, 480, 8);
    dac(200, 63, 0, 1);
    lfb(640, 200, 1);
    console_refresh(con);
    expect_pixel(0, 1, 0xff0004);
}

Test(vga_draw, vbe_planar_beyond_64k)
{
    mode_12h();
    vbe_mode(1024, 768, 4);
    seq(2, 5);
    vbe(5, 1);                               /* bank 1: from 64 KiB of each plane */
    poke(0xa0000 + (128 * 767 + 127 - 0x10000), 0x01);
    expect_size(1024, 768);
    expect_pixel(1023, 767, grey(5));
    expect_pixel(1022, 767, 0);
}

Test(vga_draw, vbe_scrolls)
{
    vbe_mode(640, 480, 32);
    vbe(6, 1024);
    lfb(4 * (1024 * 10 + 7), 0xff0000, 4);
    vbe(8, 7);
    vbe(9, 10);
    console_refresh(con);
    expect_pixel(0, 0, 0xff0000);
}

Test(vga_draw, damage_is_what_changed)
{
    vbe_mode(640, 480, 32);
    seen.v = (struct console_viewer){ .resized = on_resized, .damaged = on_damaged };
    console_view(con, &seen.v);
    seen.damaged = 0;
    lfb(4 * (640 * 100 + 50), 0xffffff, 4);
    console_refresh(con);
    cr_assert_eq(seen.damaged, 1);
    cr_assert_eq(seen.last.x, 50);
    cr_assert_eq(seen.last.y, 100);
    cr_assert_eq(seen.last.w, 1);
    cr_assert_eq(seen.last.h, 1);
    lfb(4 * (640 * 100 + 50), 0xffffff, 4);  /* the same again */
    console_refresh(con);
    cr_assert_eq(seen.damaged, 1);
}

Test(vga_draw, edid)
{
    uint8_t edid[128], sum = 0;

    for (unsigned i = 0; i < 128; i++)
        sum += edid[i] = mmio_read(&m->mem, MMIO + i, 1);
    cr_assert_eq(sum, 0);
    cr_assert_eq(edid[1], 0xff);
    cr_assert_eq(edid[56] | (edid[58] & 0xf0) << 4, 1280);
    cr_assert_eq(edid[59] | (edid[61] & 0xf0) << 4, 800);
    cr_assert_eq(mmio_read(&m->mem, MMIO + 0x80, 4), 0);
}

/* Any registers, any memory: no access outside, no endless loop (for the sanitizers). */
Test(vga_draw, wild_registers)
{
    uint32_t seed = 1;

    for (unsigned i = 0; i < 3000; i++) {
        for (unsigned k = 0; k < 6; k++) {
            uint16_t port = 0x3c0 + (seed = seed * 1664525 + 1013904223) % 0x1c;

            outb(m, port == 0x3c2 ? 0x3c4 : port, seed >> 16);
            outb(m, port == 0x3c2 ? 0x3c5 : port + 1, seed >> 24);
        }
        crtc(0x11, 0);
        if (i % 16 == 0) {
            vbe(4, 0);
            vbe(1 + seed % 3, seed >> 8);
            vbe(4, seed >> 20 & 0xe1);
            vbe(5 + seed % 5, seed >> 12);
        }
        inb(m, 0x3da);
        outb(m, 0x3c0, 0x20);
        seq(1, seed >> 28 & 0xd);
        poke(0xa0000 + (seed >> 12), seed);
        if (i % 4 == 0)
            console_refresh(con);
    }
    cr_assert_not_null(con->pixels);
}
