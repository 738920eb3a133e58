/*
 * vga-draw.h - the picture of the adapter, shared by vga-draw.c and vga-text.c
 */
#ifndef HW_DISPLAY_VGA_DRAW_H
#define HW_DISPLAY_VGA_DRAW_H

#include "hw/display/console.h"
#include "hw/display/vga-int.h"

#define VGA_VRAM_PAGES (VGA_VRAM_BYTES / 4096)
#define VGA_LINE_MAX 4736          /* 256 characters of 18 dots, or 2560; and what panning needs */
#define VGA_LINES_MAX 2048
#define VGA_FONT_BYTES 8192        /* 256 characters of 32 lines */

enum vga_kind { VGA_BLANK, VGA_TEXT, VGA_PLANAR, VGA_CGA4, VGA_PACKED, VGA_RGB15, VGA_RGB16,
                VGA_RGB24, VGA_RGB32 };

/** struct vga_mode - all that decides about the picture besides memory and DAC;
 *  everything is drawn anew when it changes. Lines: those of the surface */
struct vga_mode {
    uint8_t kind;                  /* enum vga_kind */
    bool linear;                   /* VBE: addresses are bytes (4 bits a pixel: plane bytes) */
    bool big_endian;
    bool nine, wide;               /* text: 9 dots a character; each dot twice */
    uint8_t row_bits;              /* CRTC mode bits 0, 1: which address bits are not the row's */
    uint8_t shift;                 /* of the address counter: 0 byte, 1 word, 2 doubleword */
    uint8_t pan, preset;           /* pixels to the left; lines up, in the first row */
    uint16_t width, height;
    uint16_t cols;                 /* text */
    uint16_t row_height;           /* lines a character row */
    uint16_t repeat;               /* scan lines a line */
    uint16_t split;                /* line that shows address 0 */
    uint32_t start, pitch;         /* addresses: first, a row */
    uint8_t ar[AR_COUNT];
    uint8_t dac_mask;
};

struct vga_screen {
    struct console *console;
    struct vga_mode mode;          /* as drawn */
    uint32_t dac[256];
    uint32_t colour[16];           /* of an attribute */
    uint32_t packed[256];          /* of a byte */
    uint8_t dirty[VGA_VRAM_PAGES];
    uint64_t row_hash[VGA_LINES_MAX];  /* text: of what each character row shows */
    uint8_t font[2][VGA_FONT_BYTES];   /* text: of attribute bit 3 clear, set */
    uint32_t phase;                /* text: of blinking */
    uint32_t cursor;               /* text: its registers */
    uint8_t font_select;           /* text: as the fonts were read */
    uint32_t line[VGA_LINE_MAX];
};

/** vga_draw_text() - update the surface of a text mode
 *  @dirty: some memory was written, as s->dirty tells */
void vga_draw_text(struct vga *v, struct vga_screen *s, bool all, bool dirty);

#endif
