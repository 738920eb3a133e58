/* pc.c - the whole board: what a guest finds, and direct boot's preparations */
#include <stdlib.h>
#include <unistd.h>
#include "hw/boot/linux.h"
#include "hw/disk/ide.h"
#include "hw/misc/fw_cfg.h"
#include "hw/user-devices.h"
#include "tests/hw/board.h"
#include "tests/hw/chips.h"
#include "tests/temp-file.h"

/* A board whose firmware is a file of the test's making. */
static struct machine *pc(struct bench *b, struct machine_config *cfg, struct err *e, int *ret)
{
    static struct memchar com;

    memset(b, 0, sizeof *b);
    memchar_init(&com);
    cfg->serial[0] = &com.c;
    cfg->n_vcpus = 1;
    b->m = machine_new(cfg, e);
    cr_assert_not_null(b->m, "%s", e->msg);
    clock_init_stepped(&b->m->clock);
    b->v[0] = (struct vcpu){ .machine = b->m, .kick = bench_kick, .cpu = &b->kicks };
    b->pv[0] = &b->v[0];
    b->m->vcpus = b->pv;
    b->m->n_vcpus = 1;
    *ret = pc_build(b->m, e);
    return b->m;
}

static void make_rom(char *path)
{
    static uint8_t image[256 * 1024];

    image[0] = 0xaa;
    image[sizeof image - 16] = 0xea;              /* the reset vector's far jump */
    temp_file(path, image, sizeof image);
}

static uint8_t cmos(struct machine *m, uint8_t reg)
{
    outb(m, 0x70, reg);
    return inb(m, 0x71);
}

Test(pc, firmware_is_mapped_twice_and_cmos_tells_the_ram)
{
    char rom[32];
    struct machine_config cfg = { .ram_bytes = 64 * MiB, .bios = rom };
    struct bench b;
    struct err e = { "" };
    int ret;
    struct machine *m;

    make_rom(rom);
    m = pc(&b, &cfg, &e, &ret);
    cr_assert_eq(ret, 0, "%s", e.msg);
    machine_reset(m);
    cr_assert_eq(mmio_read(&m->mem, 0xfffffff0, 1), 0xea);
    cr_assert_eq(mmio_read(&m->mem, 0xffff0, 1), 0xea);
    cr_assert_eq(mmio_read(&m->mem, 0xfffc0000, 1), 0xaa);
    cr_assert_eq(mmio_read(&m->mem, 0xe0000, 1), 0, "only the last 128 KiB");
    cr_assert_eq(cmos(m, 0x34) | cmos(m, 0x35) << 8, 48 * 16);
    cr_assert_eq(cmos(m, 0x15) | cmos(m, 0x16) << 8, 640);
    cr_assert_eq(cmos(m, 0x3d), 0x12, "boot order cad");
    cr_assert_null(machine_boot_state(m));
    machine_free(m);
    unlink(rom);
}

Test(pc, fw_cfg_has_what_seabios_asks_for)
{
    static const char *files[] = { "etc/e820", "etc/acpi/tables", "etc/acpi/rsdp",
        "etc/table-loader", "etc/smbios/smbios-tables", "etc/smbios/smbios-anchor",
        "etc/system-states", "etc/boot-fail-wait" };
    char rom[32];
    struct machine_config cfg = { .ram_bytes = 64 * MiB, .bios = rom };
    struct bench b;
    struct err e = { "" };
    int ret;
    size_t len;
    struct machine *m;

    make_rom(rom);
    m = pc(&b, &cfg, &e, &ret);
    cr_assert_eq(ret, 0, "%s", e.msg);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        cr_assert_not_null(fw_cfg_file(m->fw_cfg, files[i], &len), "%s", files[i]);
    machine_free(m);
    unlink(rom);
}

/* As \_S3, \_S4 and \_S5 of the two boards say, the top bit where there is such a state. */
Test(pc, fw_cfg_says_which_sleep_states_there_are)
{
    static const struct {
        enum board board;
        bool no_s3, no_s4;
        uint8_t state[6];
    } cases[] = {
        { BOARD_PC, false, false, { 0x80, 0, 0, 0x81, 0x82, 0x80 } },
        { BOARD_PC, true, false, { 0x80, 0, 0, 0x01, 0x82, 0x80 } },
        { BOARD_PC, false, true, { 0x80, 0, 0, 0x81, 0x02, 0x80 } },
        { BOARD_Q35, false, false, { 0x80, 0, 0, 0x85, 0x86, 0x87 } },
        { BOARD_Q35, true, true, { 0x80, 0, 0, 0x05, 0x06, 0x87 } },
    };
    char rom[32];

    make_rom(rom);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct machine_config cfg = { .ram_bytes = 64 * MiB, .bios = rom, .board = cases[i].board };
        struct bench b;
        struct err e = { "" };
        int ret;
        size_t len;
        struct machine *m;
        const uint8_t *state;

        cfg.no_s3[cfg.board] = cases[i].no_s3;
        cfg.no_s4[cfg.board] = cases[i].no_s4;
        m = pc(&b, &cfg, &e, &ret);
        cr_assert_eq(ret, 0, "%s", e.msg);
        state = fw_cfg_file(m->fw_cfg, "etc/system-states", &len);
        cr_assert_eq(len, sizeof cases[i].state);
        cr_assert_arr_eq(state, cases[i].state, len, "case %zu", i);
        machine_free(m);
    }
    unlink(rom);
}

/* The table of a device lies inside it, names nothing twice, and gives each piece its whole size. */
static void check_fields(const struct device_type *t)
{
    for (const struct dev_field *f = t->fields; f && f->name; f++) {
        unsigned width = dev_field_width(f);

        cr_assert_leq(f->offset + f->bytes, t->size, "%s: %s", t->name, f->name);
        cr_assert_gt(f->bytes, 0, "%s: %s", t->name, f->name);
        cr_assert(!width || f->bytes % width == 0, "%s: %s", t->name, f->name);
        for (const struct dev_field *g = t->fields; g != f; g++)
            cr_assert_str_neq(g->name, f->name, "%s", t->name);
    }
}

Test(pc, tables_of_state_fit_their_devices)
{
    char rom[32];
    struct machine_config cfg = { .ram_bytes = 64 * MiB, .bios = rom };
    struct bench b;
    struct err e = { "" };
    int ret;
    size_t n;
    const struct user_device *u = user_devices(&n);
    struct machine *m;

    make_rom(rom);
    m = pc(&b, &cfg, &e, &ret);
    cr_assert_eq(ret, 0, "%s", e.msg);
    for (const struct device *d = m->devices; d; d = d->next)
        check_fields(d->type);
    for (size_t i = 0; i < n; i++)
        check_fields(u[i].type);
    machine_free(m);
    unlink(rom);
}

Test(pc, missing_or_odd_firmware_is_one_line)
{
    struct machine_config cfg = { .ram_bytes = 64 * MiB, .bios = "/nonexistent/bios.bin" };
    struct bench b;
    struct err e = { "" };
    int ret;
    struct machine *m = pc(&b, &cfg, &e, &ret);

    cr_assert_lt(ret, 0);
    cr_assert_not_null(strstr(e.msg, "/nonexistent/bios.bin"));
    machine_free(m);
    cfg.bios = "/dev/null";
    m = pc(&b, &cfg, &e, &ret);
    cr_assert_lt(ret, 0);
    machine_free(m);
}

Test(pc, initrd_or_append_want_a_kernel)
{
    struct machine_config cfg = { .ram_bytes = 64 * MiB, .append = "quiet" };
    struct bench b;
    struct err e = { "" };
    int ret;
    struct machine *m = pc(&b, &cfg, &e, &ret);

    cr_assert_lt(ret, 0);
    cr_assert_not_null(strstr(e.msg, "-append without -kernel"));
    machine_free(m);
}

Test(pc, the_board_is_left_as_firmware_would)
{
    char rom[32];
    struct machine_config cfg = { .ram_bytes = 64 * MiB, .bios = rom };
    struct bench b;
    struct err e = { "" };
    int ret;
    struct machine *m;

    make_rom(rom);
    m = pc(&b, &cfg, &e, &ret);
    cr_assert_eq(ret, 0, "%s", e.msg);
    board_add(m, &piix3_ide_type, PCI_DEVFN(1, 1));
    machine_reset(m);
    board_init_like_firmware(m);
    cr_assert_neq(port_read(m, 0x604, 2), 0xffff, "PM block");
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(1, 0), 0x60, 4), 0x0b0b0a0a);
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(1, 3), PCI_INT_LINE, 1), 9);
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(1, 1), 0x40, 4), 0x80008000, "both IDE channels decode");
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(1, 1), PCI_COMMAND, 2) & PCI_COMMAND_IO, PCI_COMMAND_IO);
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(2, 0), PCI_COMMAND, 2) & 2, 2);
    cr_assert_geq(cfg_rd(m, PCI_DEVFN(2, 0), PCI_BAR0, 4), 0x80000000);
    cr_assert_eq(mmio_read(&m->mem, LAPIC_BASE + 0x350, 4), 0x700, "LINT0 is ExtINT");
    cr_assert_eq(inb(m, 0x4d1), 0x0e);
    machine_free(m);
    unlink(rom);
}
