/*
 * vga.c - VGA registers and the text screen
 *
 * Ports: 0x3c0/1 attribute controller, 0x3c2/0x3cc miscellaneous output,
 * 0x3c4/5 sequencer, 0x3c6..9 DAC, 0x3ce/f graphics controller, 0x3d4/5 (or
 * 0x3b4/5 in monochrome) CRT controller, 0x3da (0x3ba) input status.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem".
 */
#include "hw/display/vga-int.h"

/* 720x400 at 70 Hz: what a text mode's monitor sees */
#define FRAME_NS 14268000
#define LINE_NS 31778
#define LINE_SHOWN_NS 25422
#define LINES_SHOWN 400
#define RETRACE_START 412
#define RETRACE_LINES 2

/* bits that exist in each register */
static const uint8_t sr_mask[SR_COUNT] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
static const uint8_t gr_mask[GR_COUNT] = {
    0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff,
};

/* Input status 1 as the beam stands: bit 0 not displaying, bit 3 retrace. */
static uint8_t input_status1(const struct vga *v)
{
    int64_t t = clock_now_ns(&v->pci.dev.machine->clock) % FRAME_NS;
    int64_t line = t / LINE_NS;

    if (line >= RETRACE_START && line < RETRACE_START + RETRACE_LINES)
        return 0x09;
    return line >= LINES_SHOWN || t % LINE_NS >= LINE_SHOWN_NS;
}

/* ---- DAC ---------------------------------------------------------------- */

static uint8_t dac_read_data(struct vga *v)
{
    uint8_t val = v->palette[v->dac_read * 3 + v->dac_sub];

    if (++v->dac_sub == 3) {
        v->dac_sub = 0;
        v->dac_read++;
    }
    return val;
}

static void dac_write_data(struct vga *v, uint8_t val)
{
    bool wide = v->vbe[VBE_ENABLE] & VBE_8BIT_DAC;

    v->dac_latch[v->dac_sub] = wide ? val : val & 0x3f;
    if (++v->dac_sub == 3) { /* a colour changes as a whole */
        memcpy(&v->palette[v->dac_write * 3], v->dac_latch, 3);
        v->dac_sub = 0;
        v->dac_write++;
    }
}

static void dac_set_index(struct vga *v, uint8_t index, bool reading)
{
    if (reading)
        v->dac_read = index;
    else
        v->dac_write = index;
    v->dac_state = reading ? 3 : 0;
    v->dac_sub = 0;
}

/* ---- indexed registers ------------------------------------------------------ */

static void attribute_write(struct vga *v, uint8_t val)
{
    unsigned index = v->ar_index & 0x1f;

    if (!v->ar_data_next)
        v->ar_index = val & 0x3f;
    else if (index < AR_COUNT && (index >= AR_MODE || !(v->ar_index & 0x20)))
        v->ar[index] = index < AR_MODE ? val & 0x3f : val;
    v->ar_data_next = !v->ar_data_next;
}

static void crtc_write(struct vga *v, uint8_t val)
{
    unsigned index = v->cr_index & 0x1f;
    bool locked = v->cr[CR_VRETRACE_END] & 0x80;

    if (index > CR_LAST)
        return;
    if (locked && index == CR_OVERFLOW) /* but for the line compare bit */
        v->cr[index] = (v->cr[index] & ~0x10) | (val & 0x10);
    else if (!locked || index > CR_OVERFLOW)
        v->cr[index] = val;
}

/* The CRT controller and status answer at 3Bx or 3Dx, never at both. */
static bool wrong_half(const struct vga *v, uint16_t port)
{
    return (port >= 0x3d0 && !(v->misc & MISC_COLOUR)) ||
           (port < 0x3c0 && (v->misc & MISC_COLOUR));
}

uint8_t vga_port_read(struct vga *v, uint16_t port)
{
    if (wrong_half(v, port))
        return 0xff;
    switch (port) {
    case 0x3c0:
        return v->ar_data_next ? v->ar[v->ar_index & 0x1f] : v->ar_index;
    case 0x3c1:
        return v->ar[v->ar_index & 0x1f];
    case 0x3c2:
        return 0x10; /* a monitor is there */
    case 0x3c4:
        return v->sr_index;
    case 0x3c5:
        return v->sr[v->sr_index % SR_COUNT];
    case 0x3c6:
        return v->dac_mask;
    case 0x3c7:
        return v->dac_state;
    case 0x3c8:
        return v->dac_write;
    case 0x3c9:
        return dac_read_data(v);
    case 0x3ca:
        return v->feature;
    case 0x3cc:
        return v->misc;
    case 0x3ce:
        return v->gr_index;
    case 0x3cf:
        return v->gr[v->gr_index % GR_COUNT];
    case 0x3b4: case 0x3d4:
        return v->cr_index;
    case 0x3b5: case 0x3d5:
        return v->cr[v->cr_index % CR_COUNT];
    case 0x3ba: case 0x3da:
        v->ar_data_next = false;
        return input_status1(v);
    default:
        return 0xff;
    }
}

void vga_port_write(struct vga *v, uint16_t port, uint8_t val)
{
    if (wrong_half(v, port))
        return;
    switch (port) {
    case 0x3c0:
        attribute_write(v, val);
        break;
    case 0x3c2:
        v->misc = val;
        break;
    case 0x3c4:
        v->sr_index = val & 7;
        break;
    case 0x3c5:
        v->sr[v->sr_index] = val & sr_mask[v->sr_index];
        break;
    case 0x3c6:
        v->dac_mask = val;
        break;
    case 0x3c7: case 0x3c8:
        dac_set_index(v, val, port == 0x3c7);
        break;
    case 0x3c9:
        dac_write_data(v, val);
        break;
    case 0x3ce:
        v->gr_index = val & 15;
        break;
    case 0x3cf:
        v->gr[v->gr_index] = val & gr_mask[v->gr_index];
        break;
    case 0x3b4: case 0x3d4:
        v->cr_index = val;
        break;
    case 0x3b5: case 0x3d5:
        crtc_write(v, val);
        break;
    case 0x3ba: case 0x3da:
        v->feature = val & 0x08;
        break;
    }
}

/* ---- reset and text mode --------------------------------------------------------- */

void vga_regs_reset(struct vga *v)
{
    v->misc = v->feature = 0;
    v->sr_index = v->gr_index = v->cr_index = v->ar_index = 0;
    memset(v->sr, 0, sizeof(v->sr));
    memset(v->gr, 0, sizeof(v->gr));
    memset(v->cr, 0, sizeof(v->cr));
    memset(v->ar, 0, sizeof(v->ar));
    v->ar_data_next = false;
    v->dac_mask = 0xff;
    v->dac_state = v->dac_read = v->dac_write = v->dac_sub = 0;
    memset(v->palette, 0, sizeof(v->palette));
    v->latch = 0;
}

/* The sixteen colours of CGA as DAC values, and where text looks for them. */
static void text_palette(struct vga *v)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned dac = i == 6 ? 0x14 : i < 8 ? i : i + 0x30;
        uint8_t high = i & 8 ? 0x15 : 0;

        v->ar[i] = dac;
        v->palette[dac * 3 + 0] = (i & 4 ? 0x2a : 0) + high;
        v->palette[dac * 3 + 1] = (i == 6 ? 0x15 : i & 2 ? 0x2a : 0) + high;
        v->palette[dac * 3 + 2] = (i & 1 ? 0x2a : 0) + high;
    }
}

void vga_set_text_mode(struct vga *v)
{
    /* BIOS mode 3: PS/2 Technical Reference, "Video Modes", 80x25, 9x16 box */
    static const uint8_t crtc[CR_LAST + 1] = {
        0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
        0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
    };
    static const uint8_t seq[5] = { 0x03, 0x00, 0x03, 0x00, 0x02 };
    static const uint8_t gfx[9] = { 0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff };

    vga_regs_reset(v);
    vbe_reset(v);
    memcpy(v->cr, crtc, sizeof(crtc));
    memcpy(v->sr, seq, sizeof(seq));
    memcpy(v->gr, gfx, sizeof(gfx));
    text_palette(v);
    v->ar[AR_MODE] = 0x0c;
    v->ar[0x12] = 0x0f;
    v->ar[0x13] = 0x08;
    v->ar_index = 0x20;
    v->misc = 0x67;
    for (unsigned i = 0; i < 0x4000; i++)
        stl16(&v->vram[i * 4], 0x0720);
    mem_dirty_set(&v->framebuffer, 0, 0x10000);
}

/* ---- the text screen -------------------------------------------------------------- */

static void text_cursor(const struct vga *v, struct vga_text *t, unsigned start,
                        unsigned pitch)
{
    unsigned at = v->cr[CR_CURSOR_HIGH] << 8 | v->cr[CR_CURSOR_LOW];
    unsigned rel = (at - start) & VGA_PLANE_MASK;

    if (!pitch || (v->cr[CR_CURSOR_START] & 0x20))
        return;
    t->cursor_row = rel / pitch;
    t->cursor_col = rel % pitch;
    t->cursor_on = t->cursor_row < t->rows && t->cursor_col < t->cols;
}

int vga_text_snapshot(const struct vga *v, struct vga_text *t)
{
    unsigned height = (v->cr[CR_MAX_SCAN] & 0x1f) + 1;
    unsigned lines = 1 + (v->cr[CR_VDISP_END] | (v->cr[CR_OVERFLOW] & 0x02) << 7 |
                          (v->cr[CR_OVERFLOW] & 0x40) << 3);
    unsigned start = v->cr[CR_START_HIGH] << 8 | v->cr[CR_START_LOW];
    unsigned pitch = v->cr[CR_OFFSET] * 2;

    memset(t, 0, sizeof(*t));
    if (vbe_on(v) || (v->gr[GR_MISC] & GR6_GRAPHICS) || !(v->ar_index & 0x20) ||
        (v->sr[SR_CLOCKING] & SR1_SCREEN_OFF))
        return -ENODATA;
    t->cols = v->cr[CR_HDISP_END] + 1;
    t->rows = MIN(lines / height, VGA_TEXT_CELLS_MAX / t->cols);
    for (unsigned r = 0; r < t->rows; r++) {
        for (unsigned c = 0; c < t->cols; c++) {
            const uint8_t *cell = &v->vram[((start + r * pitch + c) & VGA_PLANE_MASK) * 4];

            t->ch[r * t->cols + c] = cell[0];
            t->attr[r * t->cols + c] = cell[1];
        }
    }
    text_cursor(v, t, start, pitch);
    return 0;
}

size_t vga_text_row(const struct vga_text *t, unsigned row, char *buf, size_t size)
{
    const uint8_t *ch = &t->ch[row * t->cols];
    size_t len = 0;

    for (size_t i = 0; i < t->cols && i + 1 < size; i++) {
        buf[i] = ch[i] == 0 ? ' ' : ch[i] < 0x20 || ch[i] > 0x7e ? '.' : ch[i];
        if (buf[i] != ' ')
            len = i + 1;
    }
    buf[len] = 0;
    return len;
}
