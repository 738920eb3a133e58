/*
 * vga-pci.c - the VGA on the PCI bus: 1234:1111
 *
 * BAR 0: video memory, 16 MiB. BAR 2, 4 KiB of registers: 0x000..0x3ff EDID, 0x400..0x41f
 * the ports 0x3c0..0x3df, 0x500..0x515 the dispi registers (16 bits each), 0x600
 * size and 0x604 byte order of an extension block. The legacy ports and the
 * 0xa0000 window are decoded always.
 *
 * Source: QEMU's documentation of the device, "QEMU Standard VGA".
 */
#include <stdlib.h>
#include <sys/mman.h>
#include "hw/display/vga-int.h"
#include "hw/prop.h"

#define VGA_ROM "vgabios-stdvga.bin"

enum { MMIO_EDID_END = 0x80, MMIO_PORTS = 0x400, MMIO_PORTS_END = 0x420, MMIO_DISPI = 0x500,
       MMIO_DISPI_END = MMIO_DISPI + 2 * VBE_COUNT, MMIO_EXT_SIZE = 0x600,
       MMIO_EXT_ORDER = 0x604, MMIO_BYTES = 0x1000 };
#define ORDER_LITTLE 0x1e1e     /* each half of the register */
#define ORDER_BIG 0xbebe

static uint64_t mmio_regs_read(void *opaque, uint64_t off, unsigned size)
{
    struct vga *v = opaque;

    if (off >= MMIO_PORTS && off < MMIO_PORTS_END) {
        uint64_t val = vga_port_read(v, 0x3c0 + off - MMIO_PORTS);

        if (size == 2 && off + 1 < MMIO_PORTS_END)
            val |= vga_port_read(v, 0x3c0 + off - MMIO_PORTS + 1) << 8;
        return val;
    }
    if (off >= MMIO_DISPI && off < MMIO_DISPI_END)
        return vbe_read(v, (off - MMIO_DISPI) / 2) >> (off & 1 ? 8 : 0);
    if (off == MMIO_EXT_SIZE)
        return 8;
    if (off == MMIO_EXT_ORDER || off == MMIO_EXT_ORDER + 2)
        return v->big_endian ? ORDER_BIG : ORDER_LITTLE;
    if (off < MMIO_EDID_END && v->edid_on)
        return size == 2 ? ldl16(&v->edid[off]) : v->edid[off];
    return 0;
}

static void mmio_regs_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct vga *v = opaque;

    if (off >= MMIO_PORTS && off < MMIO_PORTS_END) {
        vga_port_write(v, 0x3c0 + off - MMIO_PORTS, val);
        if (size == 2 && off + 1 < MMIO_PORTS_END)
            vga_port_write(v, 0x3c0 + off - MMIO_PORTS + 1, val >> 8);
    } else if (off >= MMIO_DISPI && off < MMIO_DISPI_END && !(off & 1)) {
        vbe_write(v, (off - MMIO_DISPI) / 2, val);
    } else if (off == MMIO_EXT_ORDER && (val == ORDER_BIG || val == ORDER_LITTLE)) {
        v->big_endian = val == ORDER_BIG;
    }
}

static const struct io_ops mmio_regs_ops = {
    .read = mmio_regs_read, .write = mmio_regs_write, .min_bytes = 1, .max_bytes = 2,
};

/* One handler a port base: the bus gives offsets, vga_port_* wants ports. */
static uint64_t port_3b4_read(void *v, uint64_t off, unsigned size)
{
    return vga_port_read(v, 0x3b4 + off);
}

static void port_3b4_write(void *v, uint64_t off, uint64_t val, unsigned size)
{
    vga_port_write(v, 0x3b4 + off, val);
}

static uint64_t port_3ba_read(void *v, uint64_t off, unsigned size)
{
    return vga_port_read(v, 0x3ba);
}

static void port_3ba_write(void *v, uint64_t off, uint64_t val, unsigned size)
{
    vga_port_write(v, 0x3ba, val);
}

static uint64_t port_3c0_read(void *v, uint64_t off, unsigned size)
{
    return vga_port_read(v, 0x3c0 + off);
}

static void port_3c0_write(void *v, uint64_t off, uint64_t val, unsigned size)
{
    vga_port_write(v, 0x3c0 + off, val);
}

static void map_ports(struct vga *v)
{
    static const struct {
        uint16_t port;
        uint8_t len;
        struct io_ops ops;
    } ranges[] = {
        { 0x3b4, 2, { port_3b4_read, port_3b4_write, 1, 1 } },
        { 0x3ba, 1, { port_3ba_read, port_3ba_write, 1, 1 } },
        { 0x3c0, 0x20, { port_3c0_read, port_3c0_write, 1, 1 } },
    };

    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
        port_map(v->pci.dev.machine, "vga", ranges[i].port, ranges[i].len,
                 &ranges[i].ops, v);
    port_map(v->pci.dev.machine, "vbe-dispi", 0x1ce, 3, &vbe_port_ops, v);
}

static void vga_reset(struct device *d)
{
    struct vga *v = (struct vga *)d;

    pci_device_reset(&v->pci);
    vga_regs_reset(v);
    vbe_reset(v);
    v->big_endian = false;
}

static void vga_load_rom(struct vga *v)
{
    struct err e = { "" };
    size_t len;
    uint8_t *image = machine_read_rom(v->pci.dev.machine, VGA_ROM, &len, &e);

    if (!image) {
        log_ev(LOG_VGA, "no option ROM: %s", e.msg);
        return;
    }
    pci_rom(&v->pci, image, len);
    free(image);
}

static int vga_init(struct device *d, struct err *e)
{
    static const struct pci_info info = {
        .vendor = 0x1234, .device = 0x1111, .revision = 2, .class_code = 0x030000,
    };
    struct vga *v = (struct vga *)d;
    int rc;

    if (d->machine->vga)
        return err_set(e, -EEXIST, "VGA: there is one already");
    rc = pci_device_init(&v->pci, &info, e);
    if (rc < 0)
        return rc;
    v->vram = mmap(NULL, VGA_VRAM_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (v->vram == MAP_FAILED) {
        pci_device_unplug(&v->pci);
        return err_set(e, -ENOMEM, "VGA: cannot get 16 MiB of video memory");
    }
    v->framebuffer = (struct mem_region){ .name = "vga-vram", .len = VGA_VRAM_BYTES,
                                          .kind = MEM_RAM, .host = v->vram };
    mem_track(&v->framebuffer);
    v->registers = (struct mem_region){ .name = "vga-mmio", .len = MMIO_BYTES,
                                        .kind = MEM_MMIO, .ops = &mmio_regs_ops,
                                        .opaque = v };
    v->window = (struct mem_region){ .name = "vga-window", .base = VGA_WINDOW,
                                     .len = VGA_WINDOW_BYTES, .kind = MEM_MMIO,
                                     .prio = 2, .enabled = true,
                                     .ops = &vga_window_ops, .opaque = v };
    pci_bar_mem(&v->pci, 0, PCI_BAR_PREFETCH, &v->framebuffer);
    pci_bar_mem(&v->pci, 2, 0, &v->registers);
    vga_load_rom(v);
    vga_edid(v->edid, v->xres, v->yres);
    vga_screen_init(v);
    mem_add(&d->machine->mem, &v->window);
    map_ports(v);
    d->machine->vga = v;
    vga_reset(d);
    return 0;
}

static void vga_destroy(struct device *d)
{
    struct vga *v = (struct vga *)d;

    pci_device_unplug(&v->pci);
    mem_remove(&d->machine->mem, &v->window);
    vga_screen_free(v);
    mem_untrack(&v->framebuffer);
    munmap(v->vram, VGA_VRAM_BYTES);
    d->machine->vga = NULL;
}

static const struct dev_field vga_fields[] = {
    FIELD(BYTES, struct vga, pci.config),
    FIELD(U8, struct vga, misc), FIELD(U8, struct vga, feature),
    FIELD(U8, struct vga, sr_index), FIELD(U8, struct vga, gr_index),
    FIELD(U8, struct vga, cr_index), FIELD(U8, struct vga, ar_index),
    FIELD(BYTES, struct vga, sr), FIELD(BYTES, struct vga, gr),
    FIELD(BYTES, struct vga, cr), FIELD(BYTES, struct vga, ar),
    FIELD(BOOL, struct vga, ar_data_next),
    FIELD(U8, struct vga, dac_mask), FIELD(U8, struct vga, dac_state),
    FIELD(U8, struct vga, dac_read), FIELD(U8, struct vga, dac_write),
    FIELD(U8, struct vga, dac_sub), FIELD(BYTES, struct vga, dac_latch),
    FIELD(BYTES, struct vga, palette), FIELD(U32, struct vga, latch),
    FIELD(U16, struct vga, vbe_index), FIELD(U16, struct vga, vbe),
    FIELD(U8, struct vga, vbe_low), FIELD(BOOL, struct vga, big_endian),
    FIELD_END
};

static const struct dev_prop vga_props[] = {
    PROP(DEVFN, "addr", struct vga, devfn, "-1", 0, 0, "slot, or slot.function"),
    PROP(BOOL, "edid", struct vga, edid_on, "on", 0, 0, "tell about the monitor"),
    PROP(U32, "xres", struct vga, xres, "1280", 1, 4095, "preferred width"),
    PROP(U32, "yres", struct vga, yres, "800", 1, 4095, "preferred height"),
    PROP(U32, "vgamem_mb", struct vga, vram_mib, "16", 16, 16, "video memory in MiB"),
    PROP_END
};

const struct device_type vga_type = {
    .name = "VGA", .desc = "PCI VGA with Bochs VBE",
    .size = sizeof(struct vga),
    .init = vga_init, .reset = vga_reset, .destroy = vga_destroy,
    .fields = vga_fields, .props = vga_props,
};

/* @arg: devfn */
static void vga_setup(struct device *d, const void *arg)
{
    prop_defaults(d);
    pci_setup_devfn(d, arg);
}

int vga_add(struct machine *m, uint8_t devfn, struct err *e)
{
    if (!machine_add_device(m, &vga_type, 0, NULL, vga_setup, &devfn, e))
        return -ENODEV;
    return 0;
}
