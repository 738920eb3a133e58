/*
 * linux.c - direct entry into a Linux kernel, without firmware
 *
 * Low memory, beside what direct.c puts there:
 *              0x10000  boot_params         0x11000  GDT
 *              0x12000  page tables (6)     0x20000  command line
 * The kernel goes to its preferred address, the initrd as high as allowed.
 */
#include <stdlib.h>
#include <unistd.h>
#include "hw/boot/direct.h"
#include "hw/boot/linux.h"
#include "hw/display/vga.h"
#include "hw/pci/pci.h"

#define PARAMS_AT    0x10000u
#define GDT_AT       0x11000u
#define PAGES_AT     0x12000u
#define STACK_AT     0x10000u
#define CMDLINE_AT   0x20000u
#define CMDLINE_ROOM 0x10000u
#define ENTRY64      0x200            /* from the load address */

/* boot_params outside the setup header */
enum { BP_SCREEN_INFO = 0x000, BP_EXT_MEM_K = 0x002, BP_RSDP_ADDR = 0x070,
       BP_ALT_MEM_K = 0x1e0, BP_E820_ENTRIES = 0x1e8, BP_E820_TABLE = 0x2d0 };

struct linux_boot {
    struct direct_boot b;
    struct bzimage kernel;
    int initrd_fd;                    /* -1: none */
    uint32_t initrd_len, initrd_at;
    uint32_t load_at;
};

/* ---- layout --------------------------------------------------------------------------- */

static int layout_kernel(struct linux_boot *b, struct err *e)
{
    struct bzimage *k = &b->kernel;
    uint64_t at = k->pref_address;

    if (k->relocatable && at + k->init_size > b->b.tables.acpi_at && k->alignment <= GiB)
        at = align_up(MiB, k->alignment);       /* small machine: as low as it goes */
    if (at + k->init_size > b->b.tables.acpi_at)
        return err_set(e, -ENOMEM, "-kernel %s: needs %llu MiB of RAM, the machine has "
                       "%llu (-m)", k->path,
                       (unsigned long long)((at + k->init_size) / MiB + 1),
                       (unsigned long long)(b->b.dev.machine->cfg.ram_bytes / MiB));
    b->load_at = at;
    return 0;
}

static int layout_initrd(struct linux_boot *b, struct err *e)
{
    struct machine *m = b->b.dev.machine;
    uint64_t len, top = MIN((uint64_t)b->kernel.initrd_addr_max + 1, b->b.tables.acpi_at);
    uint64_t low = b->load_at + b->kernel.init_size;

    if (!m->cfg.initrd)
        return 0;
    b->initrd_fd = boot_open("-initrd", m->cfg.initrd, &len, e);
    if (b->initrd_fd < 0)
        return b->initrd_fd;
    if (top < low || len > top - low || align_down(top - len, 4096) < low)
        return err_set(e, -ENOMEM, "-initrd %s: %llu MiB do not fit into RAM beside the "
                       "kernel (-m %llu)", m->cfg.initrd,
                       (unsigned long long)(len / MiB + 1),
                       (unsigned long long)(m->cfg.ram_bytes / MiB));
    b->initrd_len = len;
    b->initrd_at = align_down(top - len, 4096);
    return 0;
}

static int check_cmdline(struct linux_boot *b, struct err *e)
{
    const char *s = b->b.dev.machine->cfg.append;
    uint32_t max = MIN(b->kernel.cmdline_max, CMDLINE_ROOM - 1);

    if (s && strlen(s) > max)
        return err_set(e, -E2BIG, "-append: %zu characters, this kernel takes %u",
                       strlen(s), max);
    return 0;
}

/* ---- filling memory ---------------------------------------------------------------------- */

static void put_page_tables(struct machine *m)
{
    uint64_t table[512] = { 0 };

    table[0] = (PAGES_AT + 0x1000) | 3;          /* PML4: present, writable */
    boot_put(m, PAGES_AT, table, 4096);
    for (unsigned i = 0; i < 4; i++)
        table[i] = (PAGES_AT + 0x2000 + i * 0x1000) | 3;
    boot_put(m, PAGES_AT + 0x1000, table, 4096);
    for (unsigned pd = 0; pd < 4; pd++) {
        for (unsigned i = 0; i < 512; i++)       /* 2 MiB pages, identity */
            table[i] = pd * GiB + i * 2 * MiB + 0x83;
        boot_put(m, PAGES_AT + 0x2000 + pd * 0x1000, table, 4096);
    }
}

static void put_gdt(struct machine *m, bool long_mode)
{
    uint64_t gdt[4] = { 0, 0, long_mode ? 0x00af9b000000ffff : 0x00cf9b000000ffff,
                        0x00cf93000000ffff };

    boot_put(m, GDT_AT, gdt, sizeof gdt);
}

static void fill_e820(struct linux_boot *b, uint8_t *bp)
{
    struct boot_range r[BOOT_MAX_RANGES];
    unsigned n = boot_memory_map(&b->b.tables, b->b.dev.machine, r);
    uint8_t *row = bp + BP_E820_TABLE;

    for (unsigned i = 0; i < n; i++, row += 20) {
        stl64(row, r[i].base);
        stl64(row + 8, r[i].end - r[i].base);
        stl32(row + 16, r[i].type);
    }
    bp[BP_E820_ENTRIES] = n;
}

/* The text mode that vga_set_text_mode() programmed (struct screen_info). */
static void fill_screen_info(uint8_t *bp)
{
    bp[0x06] = 3;                                /* BIOS video mode */
    bp[0x07] = 80;                               /* columns */
    bp[0x0a] = 3;                                /* EGA BX: 256 KiB */
    bp[0x0e] = 25;                               /* lines */
    bp[0x0f] = 1;                                /* a VGA is there */
    bp[0x10] = 16;                               /* scan lines a character */
}

static void put_boot_params(struct linux_boot *b)
{
    uint8_t bp[4096] = { 0 };
    const uint8_t *head = b->kernel.head;
    size_t end = HDR_MAGIC + head[HDR_JUMP_LEN];

    memcpy(bp + HDR_SETUP_SECTS, head + HDR_SETUP_SECTS, end - HDR_SETUP_SECTS);
    bp[HDR_TYPE_OF_LOADER] = 0xff;               /* no registered loader */
    bp[HDR_LOADFLAGS] |= CAN_USE_HEAP;
    stl16(bp + HDR_HEAP_END_PTR, 0xfe00);
    stl16(bp + HDR_VID_MODE, 0xffff);            /* as it is */
    stl32(bp + HDR_CODE32_START, b->load_at);
    stl32(bp + HDR_CMD_LINE_PTR, CMDLINE_AT);
    stl32(bp + HDR_RAMDISK_IMAGE, b->initrd_len ? b->initrd_at : 0);
    stl32(bp + HDR_RAMDISK_SIZE, b->initrd_len);
    stl64(bp + BP_RSDP_ADDR, b->b.tables.acpi ? BOOT_RSDP_AT : 0);
    stl32(bp + BP_ALT_MEM_K, (b->b.tables.acpi_at - MiB) / KiB);
    stl16(bp + BP_EXT_MEM_K, MIN((b->b.tables.acpi_at - MiB) / KiB, 0xfc00u));
    fill_e820(b, bp);
    if (b->b.dev.machine->vga)
        fill_screen_info(bp);
    boot_put(b->b.dev.machine, PARAMS_AT, bp, sizeof bp);
}

static int put_images(struct linux_boot *b)
{
    struct machine *m = b->b.dev.machine;
    const char *cmdline = m->cfg.append ? m->cfg.append : "";
    int ret = boot_put_file(m, b->load_at, b->kernel.fd, b->kernel.setup_len,
                       b->kernel.kernel_len);

    if (ret == 0 && b->initrd_len)
        ret = boot_put_file(m, b->initrd_at, b->initrd_fd, 0, b->initrd_len);
    boot_put(m, CMDLINE_AT, cmdline, strlen(cmdline) + 1);
    return ret;
}

/* ---- the device -------------------------------------------------------------------------------- */

static int linux_boot_init(struct device *d, struct err *e)
{
    struct linux_boot *b = (struct linux_boot *)d;
    int ret;

    b->initrd_fd = -1;
    ret = bzimage_open(&b->kernel, d->machine->cfg.kernel, e);
    if (ret < 0)
        return ret;
    ret = boot_tables_layout(&b->b.tables, d->machine, e);
    if (ret == 0)
        ret = layout_kernel(b, e);
    if (ret == 0)
        ret = layout_initrd(b, e);
    if (ret == 0)
        ret = check_cmdline(b, e);
    if (ret < 0)
        d->type->destroy(d);
    return ret;
}

/* A reset loads everything again: the guest may have overwritten any of it. */
static void linux_boot_reset(struct device *d)
{
    struct linux_boot *b = (struct linux_boot *)d;
    struct machine *m = d->machine;

    if (boot_wakes(&b->b))
        return;
    pci_shadow_set(m, 3);
    boot_tables_put(&b->b.tables, m);
    put_page_tables(m);
    put_gdt(m, b->kernel.entry64);
    put_boot_params(b);
    if (put_images(b) < 0)
        boot_unreadable(m, "-kernel", b->kernel.path);
    board_init_like_firmware(m);
    if (m->vga)
        vga_set_text_mode(m->vga);
    b->b.state = (struct boot_state){
        .valid = true, .long_mode = b->kernel.entry64,
        .rip = b->load_at + (b->kernel.entry64 ? ENTRY64 : 0),
        .rsi = PARAMS_AT, .rsp = STACK_AT, .cr3 = PAGES_AT,
        .gdt = GDT_AT, .gdt_limit = 31,
    };
}

static void linux_boot_destroy(struct device *d)
{
    struct linux_boot *b = (struct linux_boot *)d;

    bzimage_close(&b->kernel);
    if (b->initrd_fd >= 0)
        close(b->initrd_fd);
    b->initrd_fd = -1;
    boot_tables_free(&b->b.tables);
}

const struct device_type linux_boot_type = {
    .name = "linux-boot", .desc = "direct kernel entry", .size = sizeof(struct linux_boot),
    .init = linux_boot_init, .reset = linux_boot_reset, .destroy = linux_boot_destroy, .reset_last = true,
};

int linux_boot_add(struct machine *m, struct err *e)
{
    return machine_add_device(m, &linux_boot_type, 0, NULL, NULL, NULL, e) ? 0 : -EINVAL;
}
