/*
 * vga-draw.c - from registers and video memory to pixels: what mode is shown, and
 * the graphics modes
 *
 * Because of how memory is kept (vga-int.h) the address counter's byte, word and doubleword
 * modes make no difference but for which of its bits the row counter replaces.
 *
 * Not shown: blinking in graphics modes, border, and changes in mid-screen.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem".
 */
#include <stdlib.h>
#include "hw/display/vga-draw.h"

#define PAGE 4096u

/* ---- colours ----------------------------------------------------------------- */

static uint8_t widen(uint8_t six)
{
    return (six & 0x3f) << 2 | (six & 0x3f) >> 4;
}

/* The DAC as 0xrrggbb; false: as it was. */
static bool read_palette(const struct vga *v, struct vga_screen *s)
{
    bool wide = v->vbe[VBE_ENABLE] & VBE_8BIT_DAC;
    uint32_t dac[256];

    for (unsigned i = 0; i < 256; i++) {
        const uint8_t *c = &v->palette[i * 3];

        dac[i] = wide ? c[0] << 16 | c[1] << 8 | c[2]
                      : widen(c[0]) << 16 | widen(c[1]) << 8 | widen(c[2]);
    }
    if (!memcmp(dac, s->dac, sizeof dac))
        return false;
    memcpy(s->dac, dac, sizeof dac);
    return true;
}

/* What each of the sixteen attributes is in the end. */
static void read_attributes(const struct vga *v, struct vga_screen *s)
{
    for (unsigned i = 0; i < 16; i++) {
        uint8_t c = v->ar[i & v->ar[AR_PLANES] & 15] & 0x3f;

        if (v->ar[AR_MODE] & AR10_P54)
            c = (c & 0x0f) | (v->ar[AR_COLOUR] & 3) << 4;
        c |= (v->ar[AR_COLOUR] & 0x0c) << 4;
        s->colour[i] = s->dac[c & v->dac_mask];
    }
    for (unsigned i = 0; i < 256; i++)
        s->packed[i] = s->dac[i & v->dac_mask];
}

/* ---- the mode ------------------------------------------------------------------ */

static unsigned lines_shown(const struct vga *v)
{
    uint8_t over = v->cr[CR_OVERFLOW];

    return 1 + (v->cr[CR_VDISP_END] | (over & 0x02) << 7 | (over & 0x40) << 3);
}

/* First line that shows memory from address 0 again. */
static unsigned split_line(const struct vga *v)
{
    return 1 + (v->cr[CR_LINE_COMPARE] | (v->cr[CR_OVERFLOW] & 0x10) << 4 |
                (v->cr[CR_MAX_SCAN] & 0x40) << 3);
}

static void vbe_mode(const struct vga *v, struct vga_mode *m)
{
    static const uint8_t kinds[] = { [1] = VGA_PACKED, [2] = VGA_RGB16, [3] = VGA_RGB24,
                                     [4] = VGA_RGB32 };
    unsigned bpp = v->vbe[VBE_BPP], bytes = (bpp + 7) / 8;

    m->width = v->vbe[VBE_XRES];
    m->height = v->vbe[VBE_YRES];
    m->repeat = m->row_height = 1;
    m->split = m->height;
    m->row_bits = 3;
    m->linear = true;
    m->big_endian = v->big_endian;
    m->kind = bpp == 4 ? VGA_PLANAR : bpp == 15 ? VGA_RGB15 : kinds[bytes];
    if (bpp == 4) {
        m->pitch = v->vbe[VBE_VIRT_WIDTH] / 8;
        m->start = v->vbe[VBE_Y_OFFSET] * m->pitch + v->vbe[VBE_X_OFFSET] / 8;
        m->pan = v->vbe[VBE_X_OFFSET] % 8;
    } else {
        m->pitch = v->vbe[VBE_VIRT_WIDTH] * bytes;
        m->start = v->vbe[VBE_Y_OFFSET] * m->pitch + v->vbe[VBE_X_OFFSET] * bytes;
    }
}

static void graphics_mode(const struct vga *v, struct vga_mode *m)
{
    unsigned chars = v->cr[CR_HDISP_END] + 1;
    unsigned dup = v->cr[CR_MAX_SCAN] & 0x80 ? 2 : 1;
    unsigned scans = (v->cr[CR_MAX_SCAN] & 0x1f) + 1;

    m->row_bits = v->cr[CR_MODE] & 3;
    m->repeat = m->row_bits == 3 ? dup * scans : dup;
    m->row_height = m->row_bits == 3 ? 1 : scans;
    m->kind = v->gr[GR_MODE] & GR5_SHIFT256 ? VGA_PACKED
            : v->gr[GR_MODE] & GR5_INTERLEAVE ? VGA_CGA4 : VGA_PLANAR;
    m->width = m->kind == VGA_PACKED ? chars * 4 : chars * 8;
    m->height = MAX(lines_shown(v) / m->repeat, 1u);
    m->split = MIN((split_line(v) + m->repeat - 1) / m->repeat, m->height);
    m->pan = m->kind == VGA_PACKED ? (v->ar[AR_PAN] & 7) / 2 : v->ar[AR_PAN] & 7;
}

static void text_mode(const struct vga *v, struct vga_mode *m)
{
    unsigned pan = v->ar[AR_PAN] & 15;

    m->kind = VGA_TEXT;
    m->nine = !(v->sr[SR_CLOCKING] & SR1_8_DOTS);
    m->wide = v->sr[SR_CLOCKING] & SR1_HALF_CLOCK;
    m->cols = v->cr[CR_HDISP_END] + 1;
    m->row_height = (v->cr[CR_MAX_SCAN] & 0x1f) + 1;
    m->repeat = v->cr[CR_MAX_SCAN] & 0x80 ? 2 : 1;
    m->width = m->cols * (m->nine ? 9 : 8) * (m->wide ? 2 : 1);
    m->height = MAX(lines_shown(v) / m->repeat, 1u);
    m->split = MIN((split_line(v) + m->repeat - 1) / m->repeat, m->height);
    /* with nine dots 8 means none, 0 one dot ... */
    m->pan = m->nine ? (pan >= 8 ? 0 : pan + 1) : pan & 7;
}

/* What the registers make of the screen; all bytes of @m are set, for memcmp(). */
static void current_mode(const struct vga *v, struct vga_mode *m)
{
    memset(m, 0, sizeof *m);
    if (!(v->ar_index & 0x20) || (!vbe_on(v) && (v->sr[SR_CLOCKING] & SR1_SCREEN_OFF)))
        return;
    memcpy(m->ar, v->ar, AR_COUNT);
    m->dac_mask = v->dac_mask;
    if (vbe_on(v)) {
        vbe_mode(v, m);
        return;
    }
    m->start = (v->cr[CR_START_HIGH] << 8 | v->cr[CR_START_LOW]) +
               ((v->cr[CR_PRESET_ROW] >> 5) & 3);
    m->pitch = v->cr[CR_OFFSET] * 2;
    m->preset = v->cr[CR_PRESET_ROW] & 0x1f;
    m->shift = v->cr[CR_UNDERLINE] & 0x40 ? 2 : v->cr[CR_MODE] & 0x40 ? 0 : 1;
    if (v->gr[GR_MISC] & GR6_GRAPHICS)
        graphics_mode(v, m);
    else
        text_mode(v, m);
}

/* ---- lines of graphics ------------------------------------------------------------ */

/* Address (in words of four planes; bytes in linear modes) where line @y begins. */
static uint32_t line_address(const struct vga_mode *m, unsigned y, unsigned *pan)
{
    bool second = y >= m->split;
    unsigned row = second ? y - m->split : y + (m->row_height > 1 ? m->preset : 0);
    unsigned ra = row % m->row_height;
    uint32_t at = (second ? 0 : m->start) + row / m->row_height * m->pitch;

    *pan = second && (m->ar[AR_MODE] & AR10_SPLIT_PAN) ? 0 : m->pan;
    if (!(m->row_bits & 1))
        at = (at & ~(1u << (13 - m->shift))) | (ra & 1) << (13 - m->shift);
    if (!(m->row_bits & 2))
        at = (at & ~(1u << (14 - m->shift))) | ((ra >> 1) & 1) << (14 - m->shift);
    return at;
}

/* Bytes of video memory a line needs; panning shows a part of one word more. */
static uint32_t line_bytes(const struct vga_mode *m)
{
    switch (m->kind) {
    case VGA_PACKED:
        return m->linear ? m->width : m->width + 4;
    case VGA_RGB15: case VGA_RGB16:
        return m->width * 2;
    case VGA_RGB24:
        return m->width * 3;
    case VGA_RGB32:
        return m->width * 4;
    default:
        return (m->width / 8 + 1) * 4;
    }
}

/* Offset in video memory of the word (byte) at @at. */
static uint32_t vram_offset(const struct vga_mode *m, uint32_t at)
{
    if (!m->linear)
        return (at & VGA_PLANE_MASK) * 4;
    return (m->kind == VGA_PLANAR ? at * 4 : at) % VGA_VRAM_BYTES;
}

static void draw_planar(const struct vga *v, const struct vga_screen *s, uint32_t at,
                        uint32_t *out)
{
    for (unsigned x = 0; x < s->mode.width + 8u; x += 8, at++) {
        uint32_t w = ldl32(&v->vram[vram_offset(&s->mode, at)]);

        for (unsigned i = 0; i < 8; i++, w <<= 1)
            out[x + i] = s->colour[(w >> 7 & 1) | (w >> 14 & 2) | (w >> 21 & 4) | (w >> 28 & 8)];
    }
}

/* Two bits a pixel, four pixels a byte; planes 2 and 3 have the upper bits. */
static void draw_cga4(const struct vga *v, const struct vga_screen *s, uint32_t at,
                      uint32_t *out)
{
    for (unsigned x = 0; x < s->mode.width + 8u; x += 8, at++) {
        const uint8_t *p = &v->vram[vram_offset(&s->mode, at)];

        for (unsigned i = 0; i < 8; i++) {
            unsigned sh = 6 - 2 * (i % 4);

            out[x + i] = s->colour[(p[i / 4] >> sh & 3) | (p[i / 4 + 2] >> sh & 3) << 2];
        }
    }
}

static void draw_packed(const struct vga *v, const struct vga_screen *s, uint32_t at,
                        uint32_t *out)
{
    if (s->mode.linear) {
        for (unsigned x = 0; x < s->mode.width; x++)
            out[x] = s->packed[v->vram[(at + x) % VGA_VRAM_BYTES]];
        return;
    }
    for (unsigned x = 0; x < s->mode.width + 4u; x++)
        out[x] = s->packed[v->vram[vram_offset(&s->mode, at + x / 4) + x % 4]];
}

static uint32_t five(unsigned c)
{
    return (c & 0x1f) << 3 | (c & 0x1f) >> 2;
}

static uint32_t from16(unsigned c, bool fifteen)
{
    unsigned green = (c >> 5) & 0x3f;

    if (fifteen)
        return five(c >> 10) << 16 | five(c >> 5) << 8 | five(c);
    return five(c >> 11) << 16 | (green << 2 | green >> 4) << 8 | five(c);
}

static void draw_rgb(const struct vga *v, const struct vga_screen *s, uint32_t at, uint32_t *out)
{
    const struct vga_mode *m = &s->mode;
    const uint8_t *p = &v->vram[at];

    for (unsigned x = 0; x < m->width; x++) {
        if (m->kind == VGA_RGB32) {
            out[x] = m->big_endian ? __builtin_bswap32(ldl32(p + x * 4)) : ldl32(p + x * 4);
            out[x] &= 0xffffff;
        } else if (m->kind == VGA_RGB24) {
            const uint8_t *c = p + x * 3;

            out[x] = m->big_endian ? c[0] << 16 | c[1] << 8 | c[2] : c[2] << 16 | c[1] << 8 | c[0];
        } else {
            uint16_t c = ldl16(p + x * 2);

            out[x] = from16(m->big_endian ? __builtin_bswap16(c) : c, m->kind == VGA_RGB15);
        }
    }
}

/* A line that ends beyond memory is shown black: RGB modes do not wrap in mid-line. */
static const uint32_t *draw_line(const struct vga *v, struct vga_screen *s, uint32_t at,
                                 unsigned pan)
{
    uint32_t off = vram_offset(&s->mode, at);

    switch (s->mode.kind) {
    case VGA_PLANAR:
        draw_planar(v, s, at, s->line);
        break;
    case VGA_CGA4:
        draw_cga4(v, s, at, s->line);
        break;
    case VGA_PACKED:
        draw_packed(v, s, at, s->line);
        break;
    default:
        if (off > VGA_VRAM_BYTES - line_bytes(&s->mode))
            memset(s->line, 0, s->mode.width * sizeof *s->line);
        else
            draw_rgb(v, s, off, s->line);
        break;
    }
    return s->line + pan;
}

static bool line_dirty(const struct vga_screen *s, uint32_t at)
{
    uint32_t first = vram_offset(&s->mode, at), n = line_bytes(&s->mode);

    for (uint32_t p = first / PAGE; p <= (first + n - 1) / PAGE; p++)
        if (s->dirty[p % VGA_VRAM_PAGES])
            return true;
    /* planes wrap at 64 KiB */
    return !s->mode.linear && first + n > (VGA_PLANE_MASK + 1) * 4 && s->dirty[0];
}

static void draw_graphics(struct vga *v, struct vga_screen *s, bool all)
{
    struct console *c = s->console;
    unsigned top = 0, left = c->width, right = 0, pan;

    for (unsigned y = 0; y <= s->mode.height; y++) {
        bool changed = false;

        if (y < s->mode.height) {
            uint32_t at = line_address(&s->mode, y, &pan);

            if (all || line_dirty(s, at))
                changed = console_put_row(c, y, draw_line(v, s, at, pan), &left, &right);
        }
        if (changed)
            continue;
        if (right > left && y > top)
            console_damage(c, left, top, right - left, y - top);
        left = c->width;
        right = 0;
        top = y + 1;
    }
}

/* ---- the whole ---------------------------------------------------------------------- */

static void draw_blank(struct vga_screen *s)
{
    struct console *c = s->console;

    console_resize(c, c->width ? c->width : 720, c->height ? c->height : 400);
    memset(c->pixels, 0, (size_t)c->width * c->height * sizeof *c->pixels);
    console_damage(c, 0, 0, c->width, c->height);
}

static void vga_update(void *opaque, bool all)
{
    struct vga *v = opaque;
    struct vga_screen *s = v->screen;
    struct vga_mode mode;
    bool dirty = mem_dirty_take(&v->pci.dev.machine->mem, &v->framebuffer, 0, VGA_VRAM_PAGES,
                                s->dirty);

    current_mode(v, &mode);
    all |= read_palette(v, s) || !s->console->pixels || memcmp(&mode, &s->mode, sizeof mode);
    s->mode = mode;
    if (all)
        read_attributes(v, s);
    if (mode.kind == VGA_BLANK) {
        if (all)
            draw_blank(s);
        return;
    }
    console_resize(s->console, mode.width, mode.height);
    if (mode.kind == VGA_TEXT)
        vga_draw_text(v, s, all, dirty);
    else if (all || dirty)
        draw_graphics(v, s, all);
}

static const struct console_source vga_source = { .update = vga_update };

void vga_screen_init(struct vga *v)
{
    v->screen = xzalloc(sizeof *v->screen);
    v->screen->console = console_new(v->pci.dev.machine, "VGA", &vga_source, v);
}

void vga_screen_free(struct vga *v)
{
    console_free(v->screen->console);
    free(v->screen);
    v->screen = NULL;
}
