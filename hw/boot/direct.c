/*
 * direct.c - what every way to enter a kernel without firmware shares
 *
 * Low memory:  0x00400  BIOS data area      0xf5000  RSDP, SMBIOS
 * The ACPI tables go to the top of low RAM.
 */
#include <stdlib.h>
#include <unistd.h>
#include "hw/acpi/acpi.h"
#include "hw/boot/direct.h"
#include "hw/boot/linux.h"
#include "hw/pci/pci.h"

#define ANCHOR_AT 0xf5040u
#define SMBIOS_AT 0xf5080u

/* ---- tables -------------------------------------------------------------------------------- */

int boot_tables_layout(struct boot_tables *t, struct machine *m, struct err *e)
{
    uint64_t low = m->ram_low.len;

    t->smbios = smbios_build(m);
    if (SMBIOS_AT + t->smbios->len > 0x100000)
        return err_set(e, -ENOSPC, "SMBIOS tables do not fit below 1 MiB");
    smbios_place(t->smbios, SMBIOS_AT);
    t->acpi_at = low;
    if (m->cfg.no_acpi)
        return 0;
    t->acpi = acpi_build(m);
    t->acpi_at = align_down(low - t->acpi->len, 64 * KiB);
    acpi_place(t->acpi, t->acpi_at);
    return 0;
}

/*
 * Interrupts of real-mode code that has no BIOS: F000:FF53 is an IRET, the
 * traditional place of one; hardware interrupts are acknowledged and the timer
 * counts the ticks at 0040:006C.
 */
static const uint8_t dummy_int[] = { 0xcf };
static const uint8_t master_irq[] = { 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf };
static const uint8_t slave_irq[] = { 0x50, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0x58, 0xcf };
static const uint8_t timer_irq[] = {
    0x50, 0x1e, 0x31, 0xc0, 0x8e, 0xd8,          /* push ax, ds; ds = 0 */
    0x66, 0xff, 0x06, 0x6c, 0x04,                /* inc dword [046c] */
    0xb0, 0x20, 0xe6, 0x20, 0x1f, 0x58, 0xcf,    /* end of interrupt */
};
enum { TIMER_IRQ_AT = 0xfea5, MASTER_IRQ_AT = 0xfec0, SLAVE_IRQ_AT = 0xfed0, DUMMY_AT = 0xff53 };

static void put_vectors(struct machine *m)
{
    uint32_t vec[256];

    for (unsigned n = 0; n < 256; n++)
        vec[n] = 0xf0000000u | (n == 0x08 ? TIMER_IRQ_AT : n > 0x08 && n < 0x10 ? MASTER_IRQ_AT :
                                n >= 0x70 && n < 0x78 ? SLAVE_IRQ_AT : DUMMY_AT);
    boot_put(m, 0, vec, sizeof vec);
    boot_put(m, 0xf0000 + TIMER_IRQ_AT, timer_irq, sizeof timer_irq);
    boot_put(m, 0xf0000 + MASTER_IRQ_AT, master_irq, sizeof master_irq);
    boot_put(m, 0xf0000 + SLAVE_IRQ_AT, slave_irq, sizeof slave_irq);
    boot_put(m, 0xf0000 + DUMMY_AT, dummy_int, sizeof dummy_int);
}

/* What real-mode code of the BIOS era left for its successors. */
static void put_bios_area(struct machine *m)
{
    static const uint16_t com[4] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 }, none = 0;
    uint16_t ebda = BOOT_BASE_RAM_END >> 4, base_kib = BOOT_BASE_RAM_END / 1024;
    uint8_t ebda_kib = 1;

    for (unsigned i = 0; i < ARRAY_SIZE(com); i++)
        boot_put(m, 0x400 + 2 * i, m->cfg.serial[i] ? &com[i] : &none, 2);
    boot_put(m, 0x40e, &ebda, 2);
    boot_put(m, 0x413, &base_kib, 2);
    boot_put(m, BOOT_BASE_RAM_END, &ebda_kib, 1);
}

void boot_tables_put(const struct boot_tables *t, struct machine *m)
{
    put_vectors(m);
    put_bios_area(m);
    boot_put(m, ANCHOR_AT, t->smbios->anchor, sizeof t->smbios->anchor);
    boot_put(m, SMBIOS_AT, t->smbios->tables, t->smbios->len);
    if (t->acpi) {
        boot_put(m, BOOT_RSDP_AT, t->acpi->rsdp, sizeof t->acpi->rsdp);
        boot_put(m, t->acpi_at, t->acpi->tables, t->acpi->len);
    }
}

void boot_tables_free(struct boot_tables *t)
{
    acpi_free(t->acpi);
    smbios_free(t->smbios);
    t->acpi = NULL;
    t->smbios = NULL;
}

unsigned boot_memory_map(const struct boot_tables *t, struct machine *m,
                         struct boot_range r[BOOT_MAX_RANGES])
{
    const struct boot_range all[] = {
        { 0, BOOT_BASE_RAM_END, E820_RAM },
        { BOOT_BASE_RAM_END, 0xa0000, E820_RESERVED },
        { 0xf0000, 0x100000, E820_RESERVED },
        { 0x100000, t->acpi_at, E820_RAM },
        { t->acpi_at, m->ram_low.len, E820_ACPI },
        { MCH_ECAM_BASE, m->cfg.board == BOARD_Q35 ? MCH_ECAM_BASE + MCH_ECAM_LEN : 0,
          E820_RESERVED },
        { 0xfffc0000, 4 * GiB, E820_RESERVED },
        { m->ram_high.base, m->ram_high.base + m->ram_high.len, E820_RAM },
    };
    unsigned n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (all[i].end > all[i].base)
            r[n++] = all[i];
    return n;
}

/* ---- copying ------------------------------------------------------------------------------- */

void boot_put(struct machine *m, gpa_t at, const void *p, size_t n)
{
    mem_write(&m->mem, at, p, n);
}

int boot_put_file(struct machine *m, gpa_t at, int fd, uint64_t off, uint64_t len)
{
    enum { CHUNK = 64 * 1024 };
    uint8_t *buf = xmalloc(CHUNK);
    int ret = 0;

    while (len && ret == 0) {
        size_t n = MIN(len, (uint64_t)CHUNK);

        ret = boot_read(fd, buf, n, off);
        if (ret == 0)
            boot_put(m, at, buf, n);
        at += n, off += n, len -= n;
    }
    free(buf);
    return ret;
}

void boot_unreadable(struct machine *m, const char *opt, const char *path)
{
    fprintf(stderr, "transom: %s %s: cannot be read any more\n", opt, path);
    machine_request_shutdown(m, CAUSE_MONITOR, 1);
}

/* ---- modules ------------------------------------------------------------------------------- */

/* Up to the next single comma; doubled ones become one. Returns where to go on. */
static const char *split(const char *list, char *out)
{
    for (; *list; list++) {
        if (*list == ',' && *++list != ',')
            break;
        *out++ = *list;
    }
    *out = 0;
    return list;
}

static int open_module(struct boot_modules *mods, char *text, struct err *e)
{
    struct boot_module *mod = &mods->mod[mods->n];
    char *space = strchr(text, ' ');

    if (space)
        *space = 0;
    *mod = (struct boot_module){ .text = text };
    mod->fd = boot_open("-initrd", text, &mod->len, e);
    if (space)
        *space = ' ';
    if (mod->fd < 0) {
        free(text);
        return mod->fd;
    }
    mods->n++;
    return 0;
}

int boot_modules_open(struct boot_modules *mods, const char *list, struct err *e)
{
    int ret = 0;

    while (list && *list && ret == 0) {
        char *text;

        if (mods->n == BOOT_MAX_MODULES)
            return err_set(e, -E2BIG, "-initrd: more than %d files", BOOT_MAX_MODULES);
        text = xmalloc(strlen(list) + 1);
        list = split(list, text);
        ret = open_module(mods, text, e);
    }
    return ret;
}

void boot_modules_close(struct boot_modules *mods)
{
    while (mods->n) {
        struct boot_module *mod = &mods->mod[--mods->n];

        close(mod->fd);
        free(mod->text);
    }
}

int boot_modules_place(struct boot_modules *mods, uint64_t at, uint64_t end, struct err *e)
{
    for (unsigned i = 0; i < mods->n; i++) {
        struct boot_module *mod = &mods->mod[i];

        at = align_up(at, 4096);
        if (at > end || mod->len > end - at)
            return err_set(e, -ENOMEM, "-initrd %s: %llu MiB do not fit into RAM beside the "
                           "kernel (-m)", mod->text, (unsigned long long)(mod->len / MiB + 1));
        mod->at = at;
        at += mod->len;
    }
    return 0;
}

int boot_modules_put(const struct boot_modules *mods, struct machine *m)
{
    int ret = 0;

    for (unsigned i = 0; i < mods->n && ret == 0; i++) {
        const struct boot_module *mod = &mods->mod[i];

        ret = boot_put_file(m, mod->at, mod->fd, 0, mod->len);
        if (ret < 0)
            boot_unreadable(m, "-initrd", mod->text);
    }
    return ret;
}

/* ---- wake-up and entry --------------------------------------------------------------------------------- */

bool boot_wakes(struct direct_boot *b)
{
    enum { FACS_WAKING_VECTOR = 12 };
    struct machine *m = b->dev.machine;
    uint8_t v[4] = { 0 };

    if (!m->waking || !b->tables.acpi)
        return false;
    mem_read(&m->mem, b->tables.acpi_at + FACS_WAKING_VECTOR, v, sizeof v);  /* FACS comes first */
    if (!ldl32(v) || ldl32(v) >= MiB)
        return false;
    board_init_like_firmware(m);
    b->state = (struct boot_state){ .valid = true, .real_mode = true, .rip = ldl32(v) };
    return true;
}

/**
 * machine_boot_state() - how the boot CPU enters the kernel
 * Returns NULL when it starts at the reset vector. Valid after machine_reset().
 */
const struct boot_state *machine_boot_state(struct machine *m)
{
    static const struct device_type *const ways[] = { &linux_boot_type, &multiboot_type,
                                                      &pvh_type };

    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        struct direct_boot *b = (struct direct_boot *)machine_find_device(m, ways[i]->name);

        if (b && b->state.valid)
            return &b->state;
    }
    return NULL;
}
