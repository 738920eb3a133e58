/*
 * vga-int.h - state of the adapter, shared by vga*.c
 *
 * Video memory is kept with the four planes interleaved: plane p of address a
 * is byte 4 * a + p. So the latches are one 32-bit word, and in chain-4 and
 * VBE modes the CPU's linear bytes are simply the bytes of the array. (A real
 * VGA spreads chain-4 over every fourth address; only a program that changes
 * chain-4 while keeping the picture could see the difference.)
 */
#ifndef HW_DISPLAY_VGA_INT_H
#define HW_DISPLAY_VGA_INT_H

#include "hw/display/vga.h"
#include "hw/pci/pci.h"

#define VGA_VRAM_BYTES (16 * MiB)
#define VGA_PLANE_MASK 0xffffu      /* the classic 64 KiB a plane */
#define VGA_WINDOW 0xa0000
#define VGA_WINDOW_BYTES 0x20000

enum { SR_RESET, SR_CLOCKING, SR_MAP_MASK, SR_FONT, SR_MEMORY, SR_COUNT = 8 };
enum { GR_SET_RESET, GR_ENABLE_SR, GR_COMPARE, GR_ROTATE, GR_READ_MAP, GR_MODE,
       GR_MISC, GR_DONT_CARE, GR_BIT_MASK, GR_COUNT = 16 };
enum { CR_HDISP_END = 1, CR_OVERFLOW = 7, CR_PRESET_ROW = 8, CR_MAX_SCAN = 9, CR_CURSOR_START = 0x0a,
       CR_CURSOR_END = 0x0b, CR_START_HIGH = 0x0c, CR_START_LOW = 0x0d,
       CR_CURSOR_HIGH = 0x0e, CR_CURSOR_LOW = 0x0f, CR_VRETRACE_END = 0x11,
       CR_VDISP_END = 0x12, CR_OFFSET = 0x13, CR_UNDERLINE = 0x14, CR_MODE = 0x17,
       CR_LINE_COMPARE = 0x18, CR_LAST = 0x18, CR_COUNT = 0x20 };
enum { AR_MODE = 0x10, AR_PLANES = 0x12, AR_PAN = 0x13, AR_COLOUR = 0x14, AR_COUNT = 0x15 };

enum { SR1_8_DOTS = 0x01, SR1_HALF_CLOCK = 0x08, SR1_SCREEN_OFF = 0x20 };
enum { AR10_MONO = 0x02, AR10_LINE_GRAPHICS = 0x04, AR10_BLINK = 0x08, AR10_SPLIT_PAN = 0x20,
       AR10_P54 = 0x80 };
enum { SR4_SEQUENTIAL = 0x04, SR4_CHAIN4 = 0x08 };
enum { GR5_WRITE_MODE = 0x03, GR5_READ_MODE1 = 0x08, GR5_ODD_EVEN = 0x10,
       GR5_INTERLEAVE = 0x20, GR5_SHIFT256 = 0x40 };
enum { GR6_GRAPHICS = 0x01 };
enum { MISC_COLOUR = 0x01, MISC_RAM = 0x02 };

enum { VBE_ID, VBE_XRES, VBE_YRES, VBE_BPP, VBE_ENABLE, VBE_BANK, VBE_VIRT_WIDTH,
       VBE_VIRT_HEIGHT, VBE_X_OFFSET, VBE_Y_OFFSET, VBE_MEMORY_64K, VBE_COUNT };
enum { VBE_ENABLED = 0x01, VBE_GETCAPS = 0x02, VBE_8BIT_DAC = 0x20, VBE_LFB = 0x40,
       VBE_NOCLEAR = 0x80 };

struct vga {
    struct pci_device pci;
    int32_t devfn;                 /* wanted, or -1 */
    uint32_t vram_mib;
    uint8_t *vram;
    struct mem_region window;      /* 0xa0000 */
    struct mem_region framebuffer; /* BAR 0 */
    struct mem_region registers;   /* BAR 2 */
    uint8_t misc, feature;
    uint8_t sr_index, gr_index, cr_index, ar_index;
    uint8_t sr[SR_COUNT], gr[GR_COUNT], cr[CR_COUNT], ar[32];
    bool ar_data_next;             /* attribute flip-flop: next write is data */
    uint8_t dac_mask, dac_state, dac_read, dac_write, dac_sub;
    uint8_t dac_latch[3];
    uint8_t palette[768];          /* 6 bits a component, 8 with VBE_8BIT_DAC */
    uint32_t latch;                /* one byte a plane */
    uint16_t vbe_index;
    uint16_t vbe[VBE_COUNT];
    uint8_t vbe_low;               /* low byte of a data write under way */
    bool big_endian;               /* pixels of 15 bits and more */
    bool edid_on;
    uint32_t xres, yres;           /* preferred mode that EDID tells */
    uint8_t edid[128];
    struct vga_screen *screen;     /* vga-draw.h */
};

/** vga_port_read()/vga_port_write() - @port: 0x3b0..0x3df; bytes */
uint8_t vga_port_read(struct vga *v, uint16_t port);
void vga_port_write(struct vga *v, uint16_t port, uint8_t val);
/** vga_regs_reset() - registers and palette at power-on */
void vga_regs_reset(struct vga *v);

/** vga_edid() - a monitor of preferred size @xres x @yres, each 1 to 4095 */
void vga_edid(uint8_t edid[128], unsigned xres, unsigned yres);

/** vga_screen_init()/vga_screen_free() - the adapter's console */
void vga_screen_init(struct vga *v);
void vga_screen_free(struct vga *v);

extern const struct io_ops vga_window_ops; /* opaque: struct vga */

/** vbe_read()/vbe_write() - dispi register @index; unknown ones read 0 */
uint16_t vbe_read(const struct vga *v, unsigned index);
void vbe_write(struct vga *v, unsigned index, uint16_t val);
void vbe_reset(struct vga *v);
extern const struct io_ops vbe_port_ops;   /* ports 0x1ce..0x1d0 */

static inline bool vbe_on(const struct vga *v)
{
    return v->vbe[VBE_ENABLE] & VBE_ENABLED;
}

#endif
