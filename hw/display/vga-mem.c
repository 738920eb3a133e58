/*
 * vga-mem.c - the 0xa0000 window: planes, latches, write modes
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem",
 * graphics controller and sequencer registers.
 */
#include "hw/display/vga-int.h"

/* Bit p of a nibble spread to byte p: a mask or a colour of all planes. */
static uint32_t spread(uint8_t nibble)
{
    uint32_t v = 0;

    for (unsigned p = 0; p < 4; p++)
        if (nibble & (1 << p))
            v |= 0xffu << (p * 8);
    return v;
}

/* @off in the 128 KiB window to an offset in the mapped one; false: outside. */
static bool window_offset(const struct vga *v, uint32_t off, uint32_t *addr)
{
    static const struct { uint32_t start, len; } maps[4] = {
        { 0x00000, 0x20000 }, { 0x00000, 0x10000 },
        { 0x10000, 0x08000 }, { 0x18000, 0x08000 },
    };
    unsigned map = (v->gr[GR_MISC] >> 2) & 3;

    if (!(v->misc & MISC_RAM) || off < maps[map].start ||
        off - maps[map].start >= maps[map].len)
        return false;
    *addr = off - maps[map].start;
    if (map == 1 && vbe_on(v))
        *addr += v->vbe[VBE_BANK] * 0x10000u;
    return true;
}

static uint32_t linear_offset(uint32_t addr)
{
    return addr % VGA_VRAM_BYTES;
}

/* Of the word of the four planes; @addr counts plane bytes. VBE modes have all memory. */
static uint32_t planes_offset(const struct vga *v, uint32_t addr)
{
    return vbe_on(v) ? addr * 4 % VGA_VRAM_BYTES : (addr & VGA_PLANE_MASK) * 4;
}

static uint8_t window_read_byte(struct vga *v, uint32_t off)
{
    uint8_t plane = v->gr[GR_READ_MAP] & 3;
    uint32_t addr, diff;

    if (!window_offset(v, off, &addr))
        return 0xff;
    if (v->sr[SR_MEMORY] & SR4_CHAIN4)
        return v->vram[linear_offset(addr)];
    if (v->gr[GR_MODE] & GR5_ODD_EVEN) {
        plane = (plane & 2) | (addr & 1);
        addr >>= 1;
    }
    v->latch = ldl32(&v->vram[planes_offset(v, addr)]);
    if (!(v->gr[GR_MODE] & GR5_READ_MODE1))
        return v->latch >> (plane * 8);
    diff = (v->latch ^ spread(v->gr[GR_COMPARE])) & spread(v->gr[GR_DONT_CARE]);
    return ~(diff | diff >> 8 | diff >> 16 | diff >> 24);
}

/* The logical unit between new data and latches (GR3 bits 4..3). */
static uint32_t alu(const struct vga *v, uint32_t data)
{
    switch ((v->gr[GR_ROTATE] >> 3) & 3) {
    case 1:
        return data & v->latch;
    case 2:
        return data | v->latch;
    case 3:
        return data ^ v->latch;
    default:
        return data;
    }
}

static uint8_t rotated(const struct vga *v, uint8_t val)
{
    unsigned n = v->gr[GR_ROTATE] & 7;

    return (unsigned)val >> n | (unsigned)val << (8 - n);
}

/* What the write mode makes of a CPU byte: the word for the four planes. */
static uint32_t write_data(const struct vga *v, uint8_t val)
{
    uint8_t mask = v->gr[GR_BIT_MASK];
    uint32_t data, set = spread(v->gr[GR_SET_RESET]), bit_mask;

    switch (v->gr[GR_MODE] & GR5_WRITE_MODE) {
    case 0: {
        uint32_t enable = spread(v->gr[GR_ENABLE_SR]);

        data = (rotated(v, val) * 0x01010101u & ~enable) | (set & enable);
        break;
    }
    case 1:
        return v->latch;
    case 2:
        data = spread(val & 15);
        break;
    default:
        mask &= rotated(v, val);
        data = set;
        break;
    }
    bit_mask = mask * 0x01010101u;
    return (alu(v, data) & bit_mask) | (v->latch & ~bit_mask);
}

static void window_write_byte(struct vga *v, uint32_t off, uint8_t val)
{
    uint8_t planes = v->sr[SR_MAP_MASK] & 15;
    uint32_t addr, mask, at;

    if (!window_offset(v, off, &addr))
        return;
    if (v->sr[SR_MEMORY] & SR4_CHAIN4) {
        if (!(planes & (1 << (addr & 3))))
            return;
        v->vram[linear_offset(addr)] = val;
        mem_dirty_set(&v->framebuffer, linear_offset(addr), 1);
        return;
    }
    if (!(v->sr[SR_MEMORY] & SR4_SEQUENTIAL)) { /* odd/even */
        planes &= addr & 1 ? 0xa : 0x5;
        addr >>= 1;
    }
    at = planes_offset(v, addr);
    mask = spread(planes);
    stl32(&v->vram[at], (ldl32(&v->vram[at]) & ~mask) | (write_data(v, val) & mask));
    mem_dirty_set(&v->framebuffer, at, 4);
}

static uint64_t window_read(void *opaque, uint64_t off, unsigned size)
{
    uint64_t val = 0;

    for (unsigned i = 0; i < size; i++)
        val |= (uint64_t)window_read_byte(opaque, off + i) << (i * 8);
    return val;
}

static void window_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        window_write_byte(opaque, off + i, val >> (i * 8));
}

const struct io_ops vga_window_ops = {
    .read = window_read, .write = window_write, .min_bytes = 1, .max_bytes = 8,
};
