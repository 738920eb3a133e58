/*
 * vga.h - PCI VGA adapter with Bochs VBE extensions ("std" VGA, 1234:1111)
 */
#ifndef HW_DISPLAY_VGA_H
#define HW_DISPLAY_VGA_H

#include "hw/hw.h"

#define VGA_TEXT_CELLS_MAX 16384

/** struct vga_text - a text screen as it stands */
struct vga_text {
    unsigned cols, rows;           /* cols * rows <= VGA_TEXT_CELLS_MAX */
    bool cursor_on;
    unsigned cursor_col, cursor_row; /* valid while cursor_on */
    uint8_t ch[VGA_TEXT_CELLS_MAX];  /* code page 437, row after row */
    uint8_t attr[VGA_TEXT_CELLS_MAX];
};

/**
 * vga_add() - construct the adapter at PCI slot @devfn; it becomes m->vga
 * Its option ROM is vgabios-stdvga.bin from the ROM path; without one the
 * adapter has no ROM (firmware then leaves it dark, a kernel can still use it).
 * Returns 0 or a negative errno with @e set.
 */
int vga_add(struct machine *m, uint8_t devfn, struct err *e) MUST_CHECK;

extern const struct device_type vga_type;

/**
 * vga_set_text_mode() - program 80x25 colour text and clear the screen, as
 * firmware would have done; for kernels entered without firmware. No font is
 * loaded. Under the machine lock.
 */
void vga_set_text_mode(struct vga *v);

/**
 * vga_text_snapshot() - what is on the text screen; under the machine lock
 * Returns 0, or -ENODATA when the adapter is in a graphics mode or blank.
 */
int vga_text_snapshot(const struct vga *v, struct vga_text *t);

/**
 * vga_text_row() - one row as ASCII, trailing blanks cut
 * @row: below t->rows
 * @size: bytes at @buf, at least 1; what does not fit is cut
 * Returns the length; bytes outside ASCII become '.'.
 */
size_t vga_text_row(const struct vga_text *t, unsigned row, char *buf, size_t size);

#endif
