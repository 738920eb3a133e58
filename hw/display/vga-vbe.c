/*
 * vga-vbe.c - Bochs VBE extensions ("dispi"): linear modes beyond VGA
 *
 * Source: the interface description in Bochs' VBE display documentation
 * (vbe_display_api.txt), registers 0 to 10.
 */
#include "hw/display/vga-int.h"

enum { VBE_ID_FIRST = 0xb0c0, VBE_ID_LAST = 0xb0c5 };
enum { VBE_MAX_XRES = 2560, VBE_MAX_YRES = 1600, VBE_MAX_BPP = 32 };

static unsigned vbe_line_bytes(const struct vga *v, unsigned width)
{
    unsigned bpp = v->vbe[VBE_BPP];

    return bpp == 4 ? width / 2 : width * ((bpp + 7) / 8);
}

static bool vbe_bpp_known(unsigned bpp)
{
    return bpp == 4 || bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32;
}

/* Largest virtual width, then the height that memory leaves for it. */
static void vbe_set_virtual(struct vga *v, unsigned width)
{
    unsigned line, height;

    width = MIN(MAX(width, v->vbe[VBE_XRES]), 0xfff8u) & ~7u;
    line = vbe_line_bytes(v, width);
    if (!line || (uint64_t)line * v->vbe[VBE_YRES] > VGA_VRAM_BYTES) {
        width = v->vbe[VBE_XRES];
        line = MAX(vbe_line_bytes(v, width), 1u);
    }
    height = MIN(VGA_VRAM_BYTES / line, 0xffffu);
    v->vbe[VBE_VIRT_WIDTH] = width;
    v->vbe[VBE_VIRT_HEIGHT] = height;
}

static bool vbe_mode_fits(const struct vga *v)
{
    uint64_t line = vbe_line_bytes(v, v->vbe[VBE_XRES]);

    return v->vbe[VBE_XRES] && v->vbe[VBE_YRES] &&
           line * v->vbe[VBE_YRES] <= VGA_VRAM_BYTES;
}

/* Registers of the VGA core that must not stand in the way of a linear mode. */
static void vbe_enter(struct vga *v, uint16_t val)
{
    vbe_set_virtual(v, v->vbe[VBE_XRES]);
    v->vbe[VBE_X_OFFSET] = v->vbe[VBE_Y_OFFSET] = v->vbe[VBE_BANK] = 0;
    v->gr[GR_MISC] = (v->gr[GR_MISC] & ~0x0c) | 0x04 | GR6_GRAPHICS;
    if (v->vbe[VBE_BPP] == 4) {
        v->sr[SR_MEMORY] &= ~SR4_CHAIN4;
    } else {
        v->sr[SR_MEMORY] |= SR4_CHAIN4;
        v->sr[SR_MAP_MASK] |= 15;
    }
    if (!(val & VBE_NOCLEAR)) {
        uint64_t n = MIN((uint64_t)vbe_line_bytes(v, v->vbe[VBE_XRES]) * v->vbe[VBE_YRES],
                         VGA_VRAM_BYTES);

        memset(v->vram, 0, n);
        mem_dirty_set(&v->framebuffer, 0, n);
    }
}

static void vbe_write_enable(struct vga *v, uint16_t val)
{
    bool was = vbe_on(v);

    if ((val & VBE_ENABLED) && !was) {
        if (!vbe_mode_fits(v)) {
            log_guest(LOG_VGA, "vbe mode %ux%ux%u does not fit", v->vbe[VBE_XRES],
                      v->vbe[VBE_YRES], v->vbe[VBE_BPP]);
            return;
        }
        vbe_enter(v, val);
        log_ev(LOG_VGA, "vbe mode=%ux%ux%u", v->vbe[VBE_XRES], v->vbe[VBE_YRES],
               v->vbe[VBE_BPP]);
    } else if (!(val & VBE_ENABLED)) {
        v->vbe[VBE_BANK] = 0;
    }
    v->vbe[VBE_ENABLE] = val;
}

static uint16_t vbe_capability(unsigned index)
{
    switch (index) {
    case VBE_XRES:
        return VBE_MAX_XRES;
    case VBE_YRES:
        return VBE_MAX_YRES;
    default:
        return VBE_MAX_BPP;
    }
}

uint16_t vbe_read(const struct vga *v, unsigned index)
{
    if (index >= VBE_COUNT)
        return 0;
    if (index == VBE_MEMORY_64K)
        return VGA_VRAM_BYTES / 65536;
    if ((v->vbe[VBE_ENABLE] & VBE_GETCAPS) && index >= VBE_XRES && index <= VBE_BPP)
        return vbe_capability(index);
    return v->vbe[index];
}

static void vbe_set(struct vga *v, unsigned index, unsigned val, unsigned limit)
{
    if (val <= limit)
        v->vbe[index] = val;
    else
        log_guest(LOG_VGA, "vbe register=%u value=%u above %u", index, val, limit);
}

/* The size of a mode only changes while it is off. */
static void vbe_set_size(struct vga *v, unsigned index, unsigned val)
{
    if (vbe_on(v)) {
        log_guest(LOG_VGA, "vbe register=%u changed while enabled", index);
        return;
    }
    if (index == VBE_BPP && !vbe_bpp_known(val ? val : 8))
        log_guest(LOG_VGA, "vbe bpp=%u unknown", val);
    else if (index == VBE_BPP)
        v->vbe[VBE_BPP] = val ? val : 8;
    else if (index == VBE_XRES)
        vbe_set(v, index, val & ~7u, VBE_MAX_XRES);
    else
        vbe_set(v, index, val, VBE_MAX_YRES);
}

void vbe_write(struct vga *v, unsigned index, uint16_t val)
{
    switch (index) {
    case VBE_ID:
        if (val >= VBE_ID_FIRST && val <= VBE_ID_LAST)
            v->vbe[VBE_ID] = val;
        break;
    case VBE_XRES: case VBE_YRES: case VBE_BPP:
        vbe_set_size(v, index, val);
        break;
    case VBE_ENABLE:
        vbe_write_enable(v, val);
        break;
    case VBE_BANK:
        vbe_set(v, index, val, VGA_VRAM_BYTES / 65536 - 1);
        break;
    case VBE_VIRT_WIDTH:
        vbe_set_virtual(v, val);
        break;
    case VBE_X_OFFSET:
        vbe_set(v, index, val, v->vbe[VBE_VIRT_WIDTH] - MIN(v->vbe[VBE_XRES],
                                                            v->vbe[VBE_VIRT_WIDTH]));
        break;
    case VBE_Y_OFFSET:
        vbe_set(v, index, val, v->vbe[VBE_VIRT_HEIGHT] - MIN(v->vbe[VBE_YRES],
                                                             v->vbe[VBE_VIRT_HEIGHT]));
        break;
    default: /* virtual height and memory size are results */
        break;
    }
}

void vbe_reset(struct vga *v)
{
    memset(v->vbe, 0, sizeof(v->vbe));
    v->vbe[VBE_ID] = VBE_ID_LAST;
    v->vbe[VBE_BPP] = 8;
    v->vbe_index = v->vbe_low = 0;
}

/* Index at 0x1ce, data at 0x1cf, both 16 bits and so overlapping. The bus
 * splits the misaligned data access: its low byte waits for the high one. */
static uint64_t vbe_port_read(void *opaque, uint64_t off, unsigned size)
{
    struct vga *v = opaque;
    uint16_t val = vbe_read(v, v->vbe_index);

    if (off == 0)
        return v->vbe_index;
    return off == 1 ? val & 0xff : val >> 8;
}

static void vbe_port_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct vga *v = opaque;

    if (off == 0)
        v->vbe_index = val;
    else if (off == 1)
        v->vbe_low = val;
    else
        vbe_write(v, v->vbe_index, v->vbe_low | (uint16_t)(val << 8));
}

const struct io_ops vbe_port_ops = {
    .read = vbe_port_read, .write = vbe_port_write, .min_bytes = 1, .max_bytes = 2,
};
