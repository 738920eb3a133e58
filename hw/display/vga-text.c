/*
 * vga-text.c - the picture of text modes
 *
 * Rows of characters are remembered as a hash of everything that shows in them, so
 * that only those that changed are drawn.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem":
 * attribute controller, character map select register, cursor registers.
 */
#include "hw/display/vga-draw.h"

#define FRAME_NS 14268000            /* 70 Hz */
enum { PHASE_CURSOR = 1, PHASE_TEXT = 2 };
enum { CUR_START = 0x1f, CUR_OFF = 0x20 };

/* A row as it is being drawn. */
struct text_row {
    uint32_t at;                     /* address of its first character */
    unsigned y, lines;               /* on the surface */
    unsigned first_scan;             /* of the characters */
    unsigned pan;
};

/* ---- what shows ------------------------------------------------------------------ */

/* The cursor is on for eight frames of sixteen, blinking text for sixteen of 32. */
static uint32_t blink_phase(const struct vga *v)
{
    uint64_t frame = (uint64_t)clock_now_ns(&v->pci.dev.machine->clock) / FRAME_NS;

    return (frame & 8 ? 0 : PHASE_CURSOR) | (frame & 16 ? 0 : PHASE_TEXT);
}

static uint32_t cursor_registers(const struct vga *v)
{
    return (uint32_t)v->cr[CR_CURSOR_HIGH] << 24 | v->cr[CR_CURSOR_LOW] << 16 |
           v->cr[CR_CURSOR_START] << 8 | v->cr[CR_CURSOR_END];
}

/* Fonts lie in plane 2, eight places of 8 KiB. False: they are as they were. */
static bool read_fonts(const struct vga *v, struct vga_screen *s)
{
    uint8_t sel = v->sr[SR_FONT], font[VGA_FONT_BYTES];
    unsigned map[2] = { (sel & 3) | (sel >> 2 & 4), (sel >> 2 & 3) | (sel >> 3 & 4) };
    bool changed = false;

    for (unsigned k = 0; k < 2; k++) {
        uint32_t base = (map[k] & 3) << 14 | (map[k] & 4) << 11;

        for (unsigned i = 0; i < VGA_FONT_BYTES; i++)
            font[i] = v->vram[(base + i) * 4 + 2];
        changed |= memcmp(font, s->font[k], sizeof font) != 0;
        memcpy(s->font[k], font, sizeof font);
    }
    return changed;
}

static const uint8_t *cell_at(const struct vga *v, uint32_t at)
{
    return &v->vram[(at & VGA_PLANE_MASK) * 4];
}

static bool cursor_at(const struct vga *v, const struct vga_screen *s, uint32_t at)
{
    unsigned skew = v->cr[CR_CURSOR_END] >> 5 & 3;
    uint32_t cursor = (v->cr[CR_CURSOR_HIGH] << 8 | v->cr[CR_CURSOR_LOW]) + skew;

    return (s->phase & PHASE_CURSOR) && !(v->cr[CR_CURSOR_START] & CUR_OFF) &&
           ((at ^ cursor) & VGA_PLANE_MASK) == 0;
}

static bool blinks(const struct vga_screen *s, uint8_t attr)
{
    return (s->mode.ar[AR_MODE] & AR10_BLINK) && (attr & 0x80);
}

/* ---- drawing ------------------------------------------------------------------------ */

/* The dots of one line of a character, leftmost in bit 8; the ninth repeats the eighth
 * in the line graphics, if so told. */
static unsigned cell_dots(const struct vga_screen *s, const uint8_t *cell, unsigned scan)
{
    uint8_t dots = scan < 32 ? s->font[cell[1] >> 3 & 1][cell[0] * 32 + scan] : 0;
    bool ninth = (s->mode.ar[AR_MODE] & AR10_LINE_GRAPHICS) && (cell[0] & 0xe0) == 0xc0;

    return dots << 1 | (ninth ? dots & 1 : 0);
}

static bool underlined(const struct vga *v, const struct vga_screen *s, uint8_t attr, unsigned scan)
{
    return (s->mode.ar[AR_MODE] & AR10_MONO) && (attr & 0x77) == 0x01 &&
           scan == (v->cr[CR_UNDERLINE] & 0x1fu);
}

static uint32_t *draw_cell(const struct vga *v, const struct vga_screen *s, uint32_t at,
                           unsigned scan, uint32_t *out)
{
    const uint8_t *cell = cell_at(v, at);
    unsigned dots = cell_dots(s, cell, scan), n = s->mode.nine ? 9 : 8;
    uint32_t fg = s->colour[cell[1] & 15], bg = s->colour[cell[1] >> 4];

    if (blinks(s, cell[1])) {
        bg = s->colour[cell[1] >> 4 & 7];
        if (!(s->phase & PHASE_TEXT))
            fg = bg;
    } else if (s->mode.ar[AR_MODE] & AR10_BLINK) {
        bg = s->colour[cell[1] >> 4 & 7];
    }
    if (underlined(v, s, cell[1], scan))
        dots = 0x1ff;
    if (cursor_at(v, s, at) && scan >= (v->cr[CR_CURSOR_START] & CUR_START) &&
        scan <= (v->cr[CR_CURSOR_END] & CUR_START))
        dots = 0x1ff;
    for (unsigned i = 0; i < n; i++) {
        uint32_t c = dots >> (8 - i) & 1 ? fg : bg;

        *out++ = c;
        if (s->mode.wide)
            *out++ = c;
    }
    return out;
}

static void draw_row(const struct vga *v, struct vga_screen *s, const struct text_row *r)
{
    struct console *c = s->console;
    unsigned left = c->width, right = 0;

    for (unsigned i = 0; i < r->lines; i++) {
        uint32_t *out = s->line;

        for (unsigned col = 0; col <= s->mode.cols; col++)
            out = draw_cell(v, s, r->at + col, r->first_scan + i, out);
        console_put_row(c, r->y + i, s->line + r->pan * (s->mode.wide ? 2 : 1), &left, &right);
    }
    if (right > left)
        console_damage(c, left, r->y, right - left, r->lines);
}

/* ---- which rows changed --------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 29;
}

static uint64_t hash_row(const struct vga *v, const struct vga_screen *s, const struct text_row *r)
{
    uint64_t h = mix(r->first_scan, r->lines);

    for (unsigned col = 0; col <= s->mode.cols; col++) {
        const uint8_t *cell = cell_at(v, r->at + col);
        uint32_t key = cell[0] | cell[1] << 8;

        if (blinks(s, cell[1]))
            key |= (s->phase & PHASE_TEXT) << 16;
        if (cursor_at(v, s, r->at + col))
            key |= 1u << 20 | (s->cursor & 0x3f1f) << 24;
        h = mix(h, key);
    }
    return h;
}

/* The row that line @y belongs to, as much of it as follows from there. */
static void row_at(const struct vga_mode *m, unsigned y, struct text_row *r)
{
    bool second = y >= m->split;
    unsigned scan = second ? y - m->split : y + m->preset % m->row_height;
    unsigned end = second ? m->height : m->split;

    r->y = y;
    r->at = (second ? 0 : m->start) + scan / m->row_height * m->pitch;
    r->first_scan = scan % m->row_height;
    r->lines = MIN(m->row_height - r->first_scan, end - y);
    r->pan = second && (m->ar[AR_MODE] & AR10_SPLIT_PAN) ? 0 : m->pan;
}

void vga_draw_text(struct vga *v, struct vga_screen *s, bool all, bool dirty)
{
    uint32_t phase = blink_phase(v), cursor = cursor_registers(v);
    struct text_row r;

    if (all || dirty || v->sr[SR_FONT] != s->font_select)
        all |= read_fonts(v, s);
    s->font_select = v->sr[SR_FONT];
    if (!all && !dirty && phase == s->phase && cursor == s->cursor)
        return;
    s->phase = phase;
    s->cursor = cursor;
    for (unsigned y = 0; y < s->mode.height; y += r.lines) {
        uint64_t h;

        row_at(&s->mode, y, &r);
        h = hash_row(v, s, &r);
        if (!all && h == s->row_hash[y])
            continue;
        s->row_hash[y] = h;
        draw_row(v, s, &r);
    }
}
