/*
 * multiboot.c - direct entry into Multiboot kernels
 *
 * The image goes where its ELF segments or the address fields of its header
 * say; the information structure, its tables and strings follow on a page of
 * their own, then the modules, a page each.
 * Source: Multiboot Specification 0.6.96, chapter 3.
 */
#include <stdlib.h>
#include "hw/boot/direct.h"
#include "hw/boot/linux.h"
#include "hw/display/vga.h"
#include "hw/pci/pci.h"

#define SEARCH_LEN   8192u           /* the header is within these first bytes */
#define HEADER_MAGIC 0x1badb002u
#define LOADER_MAGIC 0x2badb002u     /* EAX */
#define TEXT_MAX     (64 * KiB)

enum { WANT_VIDEO = 1 << 2, WANT_UNKNOWN = 0xfff8, HAS_ADDRESSES = 1 << 16 };  /* header flags */
enum { INFO_MEM = 1 << 0, INFO_BOOTDEV = 1 << 1, INFO_CMDLINE = 1 << 2, INFO_MODS = 1 << 3,
       INFO_MMAP = 1 << 6, INFO_LOADER = 1 << 9 };
enum { INFO_LEN = 120, MODULE_LEN = 16, MMAP_LEN = 24 };

struct multiboot {
    struct direct_boot b;
    struct boot_image img;
    struct boot_modules mods;
    uint64_t info_at;
    uint8_t *info;               /* structure, memory map, module list, strings; owned */
    size_t info_len;
};

/* ---- the header ---------------------------------------------------------------------------- */

/* Returns the header's offset, or -1. @buf holds the first @n bytes. */
static int find_header(const uint8_t *buf, size_t n)
{
    for (size_t off = 0; off + 12 <= n; off += 4)
        if (ldl32(buf + off) == HEADER_MAGIC &&
            !(uint32_t)(ldl32(buf + off) + ldl32(buf + off + 4) + ldl32(buf + off + 8)))
            return off;
    return -1;
}

/* Addresses in the header: header, load, load end, bss end, entry. */
static int use_addresses(struct boot_image *img, const uint8_t *h, uint32_t header_off,
                         struct err *e)
{
    uint32_t header = ldl32(h + 12), load = ldl32(h + 16), load_end = ldl32(h + 20);
    uint32_t bss_end = ldl32(h + 24);
    struct boot_segment s = { .addr = load };

    if (header < load || header - load > header_off || (load_end && load_end < load) ||
        (bss_end && bss_end < load_end))
        return err_set(e, -ENOEXEC, "-kernel %s: nonsense in the Multiboot header's addresses",
                       img->path);
    s.file_off = header_off - (header - load);
    s.file_len = load_end ? load_end - load : img->file_len - s.file_off;
    s.mem_len = MAX(s.file_len, bss_end ? (uint64_t)bss_end - load : 0);
    img->entry = ldl32(h + 28);
    return boot_image_add(img, &s, e);
}

/* 0, -errno, or 1: not a Multiboot image. */
static int read_image(struct boot_image *img, struct err *e)
{
    uint8_t buf[SEARCH_LEN + 32] = { 0 };
    size_t n = MIN(img->file_len, sizeof buf);
    uint32_t flags;
    int off;

    if (boot_read(img->fd, buf, n, 0) < 0)
        return err_set(e, -EIO, "-kernel %s: cannot be read", img->path);
    off = find_header(buf, MIN(n, SEARCH_LEN));
    if (off < 0)
        return 1;
    flags = ldl32(buf + off + 4);
    if (flags & WANT_UNKNOWN)
        return err_set(e, -ENOTSUP, "-kernel %s: its Multiboot header asks for features that "
                       "are not known (flags %#x)", img->path, flags);
    if (flags & WANT_VIDEO)
        log_guest(LOG_UNIMP, "multiboot: video mode request ignored");
    if (flags & HAS_ADDRESSES)
        return use_addresses(img, buf + off, off, e);
    if (!boot_image_is_elf(img))
        return err_set(e, -ENOEXEC, "-kernel %s: a Multiboot header without addresses, in a "
                       "file that is not ELF", img->path);
    return boot_image_read_elf(img, e);
}

/* ---- the information structure ------------------------------------------------------------- */

/** struct layout - offsets within info */
struct layout {
    size_t mmap, mods, text;
};

static uint32_t put_text(struct multiboot *mb, size_t *at, const char *a, const char *sep,
                         const char *b)
{
    uint32_t where = mb->info_at + *at;

    *at += sprintf((char *)mb->info + *at, "%s%s%s", a, sep, b) + 1;
    return where;
}

static void fill_mmap(struct multiboot *mb, uint8_t *row, const struct boot_range *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++, row += MMAP_LEN) {
        stl32(row, MMAP_LEN - 4);            /* of what follows */
        stl64(row + 4, r[i].base);
        stl64(row + 12, r[i].end - r[i].base);
        stl32(row + 20, r[i].type);
    }
}

static void fill_modules(struct multiboot *mb, uint8_t *row, size_t *text)
{
    for (unsigned i = 0; i < mb->mods.n; i++, row += MODULE_LEN) {
        const struct boot_module *mod = &mb->mods.mod[i];

        stl32(row, mod->at);
        stl32(row + 4, mod->at + mod->len);
        stl32(row + 8, put_text(mb, text, mod->text, "", ""));
    }
}

static void fill_info(struct multiboot *mb, struct layout l, const struct boot_range *r,
                      unsigned n_ranges)
{
    const char *append = mb->b.dev.machine->cfg.append;
    uint8_t *p = mb->info;

    stl32(p, INFO_MEM | INFO_BOOTDEV | INFO_CMDLINE | INFO_MODS | INFO_MMAP | INFO_LOADER);
    stl32(p + 4, BOOT_BASE_RAM_END / KiB);
    stl32(p + 8, (mb->b.tables.acpi_at - MiB) / KiB);
    stl32(p + 12, 0x8000ffff);               /* first hard disk, no partitions */
    stl32(p + 16, put_text(mb, &l.text, mb->img.path, append ? " " : "", append ? append : ""));
    stl32(p + 20, mb->mods.n);
    stl32(p + 24, mb->info_at + l.mods);
    stl32(p + 44, n_ranges * MMAP_LEN);
    stl32(p + 48, mb->info_at + l.mmap);
    stl32(p + 64, put_text(mb, &l.text, "transom", "", ""));
    fill_mmap(mb, p + l.mmap, r, n_ranges);
    fill_modules(mb, p + l.mods, &l.text);
}

static size_t text_len(const struct multiboot *mb)
{
    const char *append = mb->b.dev.machine->cfg.append;
    size_t n = strlen(mb->img.path) + 2 + (append ? strlen(append) : 0) + sizeof "transom";

    for (unsigned i = 0; i < mb->mods.n; i++)
        n += strlen(mb->mods.mod[i].text) + 1;
    return n;
}

static int layout(struct multiboot *mb, struct err *e)
{
    struct machine *m = mb->b.dev.machine;
    struct boot_range r[BOOT_MAX_RANGES];
    unsigned n = boot_memory_map(&mb->b.tables, m, r);
    struct layout l = { .mmap = INFO_LEN };
    int ret = boot_image_fits(&mb->img, mb->b.tables.acpi_at, e);

    if (ret < 0)
        return ret;
    if (text_len(mb) > TEXT_MAX)
        return err_set(e, -E2BIG, "-append: longer than %llu characters",
                       (unsigned long long)TEXT_MAX);
    l.mods = l.mmap + n * MMAP_LEN;
    l.text = l.mods + mb->mods.n * MODULE_LEN;
    mb->info_len = l.text + text_len(mb);
    mb->info = xzalloc(mb->info_len);
    mb->info_at = align_up(MAX(mb->img.end, MiB), 4096);
    ret = boot_modules_place(&mb->mods, mb->info_at + mb->info_len, mb->b.tables.acpi_at, e);
    if (ret == 0 && mb->info_at + mb->info_len > mb->b.tables.acpi_at)
        ret = err_set(e, -ENOMEM, "-kernel %s: no RAM left beside it (-m)", mb->img.path);
    if (ret == 0)
        fill_info(mb, l, r, n);
    return ret;
}

/* ---- the device ---------------------------------------------------------------------------- */

/* The image was opened before, to see what it is; it becomes ours. */
static void multiboot_setup(struct device *d, const void *arg)
{
    ((struct multiboot *)d)->img = *(const struct boot_image *)arg;
}

static int multiboot_init(struct device *d, struct err *e)
{
    struct multiboot *mb = (struct multiboot *)d;
    int ret = boot_tables_layout(&mb->b.tables, d->machine, e);

    if (ret == 0)
        ret = boot_modules_open(&mb->mods, d->machine->cfg.initrd, e);
    if (ret == 0)
        ret = layout(mb, e);
    if (ret < 0)
        d->type->destroy(d);
    return ret;
}

/* A reset loads everything again: the guest may have overwritten any of it. */
static void multiboot_reset(struct device *d)
{
    struct multiboot *mb = (struct multiboot *)d;
    struct machine *m = d->machine;

    if (boot_wakes(&mb->b))
        return;
    pci_shadow_set(m, 3);
    boot_tables_put(&mb->b.tables, m);
    boot_put(m, mb->info_at, mb->info, mb->info_len);
    if (boot_image_put(&mb->img, m) < 0 || boot_modules_put(&mb->mods, m) < 0)
        return;
    board_init_like_firmware(m);
    if (m->vga)
        vga_set_text_mode(m->vga);
    mb->b.state = (struct boot_state){
        .valid = true, .rip = mb->img.entry, .eax = LOADER_MAGIC, .ebx = mb->info_at,
    };
}

static void multiboot_destroy(struct device *d)
{
    struct multiboot *mb = (struct multiboot *)d;

    boot_image_close(&mb->img);
    boot_modules_close(&mb->mods);
    boot_tables_free(&mb->b.tables);
    free(mb->info);
    mb->info = NULL;
}

const struct device_type multiboot_type = {
    .name = "multiboot", .desc = "direct Multiboot kernel entry",
    .size = sizeof(struct multiboot),
    .init = multiboot_init, .reset = multiboot_reset, .destroy = multiboot_destroy, .reset_last = true,
};

int multiboot_boot_add(struct machine *m, struct err *e)
{
    struct boot_image img;
    int ret = boot_image_open(&img, m->cfg.kernel, e);

    if (ret < 0)
        return ret;
    ret = read_image(&img, e);
    if (ret != 0) {
        boot_image_close(&img);
        return ret;
    }
    if (!machine_add_device(m, &multiboot_type, 0, NULL, multiboot_setup, &img, e))
        return -EINVAL;
    return 0;
}
