/*
 * pvh.c - direct entry into ELF kernels that have a PVH entry point
 *
 * So an uncompressed Linux (vmlinux) and others start without a boot loader.
 * The start information follows the image, then the modules, a page each.
 * Source: Xen, "x86/HVM direct boot ABI" (struct hvm_start_info, version 1).
 */
#include <stdlib.h>
#include "hw/boot/direct.h"
#include "hw/boot/linux.h"
#include "hw/display/vga.h"
#include "hw/pci/pci.h"

#define START_MAGIC 0x336ec578u
#define TEXT_MAX    (64 * KiB)
enum { START_LEN = 56, MODULE_LEN = 32, MMAP_LEN = 24 };

struct pvh {
    struct direct_boot b;
    struct boot_image img;
    struct boot_modules mods;
    uint64_t info_at;
    uint8_t *info;               /* start information, modules, memory map, text; owned */
    size_t info_len;
};

static void fill_tables(struct pvh *p, uint8_t *mods, uint8_t *mmap, const struct boot_range *r,
                        unsigned n)
{
    for (unsigned i = 0; i < p->mods.n; i++, mods += MODULE_LEN) {
        stl64(mods, p->mods.mod[i].at);
        stl64(mods + 8, p->mods.mod[i].len);
    }
    for (unsigned i = 0; i < n; i++, mmap += MMAP_LEN) {
        stl64(mmap, r[i].base);
        stl64(mmap + 8, r[i].end - r[i].base);
        stl32(mmap + 16, r[i].type);
    }
}

static void fill_info(struct pvh *p, const struct boot_range *r, unsigned n)
{
    const char *append = p->b.dev.machine->cfg.append;
    size_t mods = START_LEN, mmap = mods + p->mods.n * MODULE_LEN, text = mmap + n * MMAP_LEN;
    uint8_t *i = p->info;

    stl32(i, START_MAGIC);
    stl32(i + 4, 1);                             /* version */
    stl32(i + 12, p->mods.n);
    stl64(i + 16, p->mods.n ? p->info_at + mods : 0);
    stl64(i + 24, p->info_at + text);
    stl64(i + 32, p->b.tables.acpi ? BOOT_RSDP_AT : 0);
    stl64(i + 40, p->info_at + mmap);
    stl32(i + 48, n);
    fill_tables(p, i + mods, i + mmap, r, n);
    strcpy((char *)i + text, append ? append : "");
}

static int layout(struct pvh *p, struct err *e)
{
    struct machine *m = p->b.dev.machine;
    size_t text = m->cfg.append ? strlen(m->cfg.append) : 0;
    struct boot_range r[BOOT_MAX_RANGES];
    unsigned n = boot_memory_map(&p->b.tables, m, r);
    int ret = boot_image_fits(&p->img, p->b.tables.acpi_at, e);

    if (ret < 0)
        return ret;
    if (text > TEXT_MAX)
        return err_set(e, -E2BIG, "-append: longer than %llu characters",
                       (unsigned long long)TEXT_MAX);
    p->info_len = START_LEN + p->mods.n * MODULE_LEN + n * MMAP_LEN + text + 1;
    p->info = xzalloc(p->info_len);
    p->info_at = align_up(MAX(p->img.end, MiB), 4096);
    ret = boot_modules_place(&p->mods, p->info_at + p->info_len, p->b.tables.acpi_at, e);
    if (ret == 0 && p->info_at + p->info_len > p->b.tables.acpi_at)
        ret = err_set(e, -ENOMEM, "-kernel %s: no RAM left beside it (-m)", p->img.path);
    if (ret == 0)
        fill_info(p, r, n);
    return ret;
}

/* ---- the device ---------------------------------------------------------------------------- */

static void pvh_setup(struct device *d, const void *arg)
{
    ((struct pvh *)d)->img = *(const struct boot_image *)arg;
}

static int pvh_init(struct device *d, struct err *e)
{
    struct pvh *p = (struct pvh *)d;
    int ret = boot_tables_layout(&p->b.tables, d->machine, e);

    if (ret == 0)
        ret = boot_modules_open(&p->mods, d->machine->cfg.initrd, e);
    if (ret == 0)
        ret = layout(p, e);
    if (ret < 0)
        d->type->destroy(d);
    return ret;
}

static void pvh_reset(struct device *d)
{
    struct pvh *p = (struct pvh *)d;
    struct machine *m = d->machine;

    if (boot_wakes(&p->b))
        return;
    pci_shadow_set(m, 3);
    boot_tables_put(&p->b.tables, m);
    boot_put(m, p->info_at, p->info, p->info_len);
    if (boot_image_put(&p->img, m) < 0 || boot_modules_put(&p->mods, m) < 0)
        return;
    board_init_like_firmware(m);
    if (m->vga)
        vga_set_text_mode(m->vga);
    p->b.state = (struct boot_state){
        .valid = true, .rip = p->img.pvh_entry, .ebx = p->info_at,
    };
}

static void pvh_destroy(struct device *d)
{
    struct pvh *p = (struct pvh *)d;

    boot_image_close(&p->img);
    boot_modules_close(&p->mods);
    boot_tables_free(&p->b.tables);
    free(p->info);
    p->info = NULL;
}

const struct device_type pvh_type = {
    .name = "pvh-boot", .desc = "direct PVH kernel entry", .size = sizeof(struct pvh),
    .init = pvh_init, .reset = pvh_reset, .destroy = pvh_destroy, .reset_last = true,
};

int pvh_boot_add(struct machine *m, struct err *e)
{
    struct boot_image img;
    int ret = boot_image_open(&img, m->cfg.kernel, e);

    if (ret < 0)
        return ret;
    if (!boot_image_is_elf(&img))
        ret = 1;
    else
        ret = boot_image_read_elf(&img, e);
    if (ret == 0 && !img.pvh)
        ret = err_set(e, -ENOEXEC, "-kernel %s: an ELF file with neither a Multiboot header nor "
                      "a PVH entry point", img.path);
    if (ret != 0) {
        boot_image_close(&img);
        return ret;
    }
    return machine_add_device(m, &pvh_type, 0, NULL, pvh_setup, &img, e) ? 0 : -EINVAL;
}
