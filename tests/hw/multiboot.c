/* multiboot.c - Multiboot and PVH kernels good and bad; the test device */
#include <stdlib.h>
#include <unistd.h>
#include "hw/boot/direct.h"
#include "hw/intc/intc.h"
#include "hw/misc/pc_testdev.h"
#include "tests/hw/stepped.h"
#include "tests/temp-file.h"

#define FILE_LEN  0x2000u
#define MAGIC     0x1badb002u
#define LOAD_AT   0x400000u
#define HEADER_AT 0x1000u        /* in the file; the code follows it */

static char kernel_path[64], module_path[64];

static void header(uint8_t *at, uint32_t flags)
{
    stl32(at, MAGIC);
    stl32(at + 4, flags);
    stl32(at + 8, 0u - MAGIC - flags);
}

/* ELF32 for i386 with one segment of 0x1000 bytes in the file and 0x3000 in memory. */
static void elf32(uint8_t *f)
{
    memset(f, 0, FILE_LEN);
    memcpy(f, "\177ELF\1\1\1", 7);
    stl16(f + 16, 2), stl16(f + 18, 3), stl32(f + 20, 1);
    stl32(f + 24, LOAD_AT + 0x20);                       /* entry */
    stl32(f + 28, 52);
    stl16(f + 42, 32), stl16(f + 44, 1);
    stl32(f + 52, 1), stl32(f + 56, HEADER_AT);
    stl32(f + 60, LOAD_AT), stl32(f + 64, LOAD_AT);
    stl32(f + 68, 0x1000), stl32(f + 72, 0x3000);
    header(f + HEADER_AT, 3);
    memcpy(f + HEADER_AT + 0x20, "code", 4);
}

/* ELF64 linked at the top of the address space, loaded at LOAD_AT, with a PVH note. */
static void elf64(uint8_t *f)
{
    const uint64_t high = 0xffffffff80000000ull;

    memset(f, 0, FILE_LEN);
    memcpy(f, "\177ELF\2\1\1", 7);
    stl16(f + 16, 2), stl16(f + 18, 62), stl32(f + 20, 1);
    stl64(f + 24, high + 0x20);
    stl64(f + 32, 64);
    stl16(f + 54, 56), stl16(f + 56, 2);
    stl32(f + 64, 1), stl64(f + 72, HEADER_AT), stl64(f + 80, high), stl64(f + 88, LOAD_AT);
    stl64(f + 96, 0x1000), stl64(f + 104, 0x3000);
    stl32(f + 120, 4), stl64(f + 128, HEADER_AT + 0x100), stl64(f + 152, 20);
    stl32(f + HEADER_AT + 0x100, 4), stl32(f + HEADER_AT + 0x104, 4);
    stl32(f + HEADER_AT + 0x108, 18);
    memcpy(f + HEADER_AT + 0x10c, "Xen", 4);
    stl32(f + HEADER_AT + 0x110, LOAD_AT + 0x40);
}

static struct machine *boot(const uint8_t *f, size_t len, uint64_t ram, const char *initrd,
                            const char *append, struct err *e, int *ret)
{
    struct machine_config cfg = { .ram_bytes = ram, .n_vcpus = 1, .kernel = kernel_path,
                                  .initrd = initrd, .append = append };
    struct machine *m;

    e->msg[0] = 0;
    temp_file(kernel_path, f, len);
    m = machine_new(&cfg, e);
    cr_assert_not_null(m);
    clock_init_stepped(&m->clock);
    *ret = multiboot_boot_add(m, e);
    if (*ret > 0)
        *ret = pvh_boot_add(m, e);
    cr_assert(*ret >= 0 || (e->msg[0] && !strchr(e->msg, '\n')), "a reason in one line");
    return m;
}

static void done(struct machine *m)
{
    machine_free(m);
    unlink(kernel_path);
}

static int try_file(const uint8_t *f, size_t len, struct err *e)
{
    int ret;

    done(boot(f, len, 16 * MiB, NULL, NULL, e, &ret));
    return ret;
}

static void refused(const uint8_t *f, size_t len, const char *why)
{
    struct err e;

    cr_assert_lt(try_file(f, len, &e), 0, "%s", why);
    cr_assert_not_null(strstr(e.msg, why), "got \"%s\", not \"%s\"", e.msg, why);
}

/* ---- Multiboot ------------------------------------------------------------------------------- */

Test(multiboot, elf32_is_loaded_and_described)
{
    uint8_t f[FILE_LEN];
    struct err e;
    int ret;
    struct machine *m;
    const struct boot_state *b;
    const uint8_t *info, *mod;

    elf32(f);
    temp_file(module_path, "module", 6);
    char list[160];
    snprintf(list, sizeof list, "%s one two,%s", module_path, module_path);
    m = boot(f, sizeof f, 16 * MiB, list, "a b", &e, &ret);
    cr_assert_eq(ret, 0, "%s", e.msg);
    cr_assert_null(machine_boot_state(m), "not before the reset");
    memset(m->ram + LOAD_AT, 0xff, 0x3000);
    machine_reset(m);
    b = machine_boot_state(m);
    cr_assert(b && b->valid && !b->long_mode);
    cr_assert_eq(b->rip, LOAD_AT + 0x20);
    cr_assert_eq(b->eax, 0x2badb002);
    cr_assert_arr_eq(m->ram + b->rip, "code", 4);
    cr_assert_eq(m->ram[LOAD_AT + 0x2fff], 0, "the rest of the segment is zero");
    info = m->ram + b->ebx;
    cr_assert_eq(ldl32(info) & 0x4d, 0x4d, "memory, command line, modules, map");
    cr_assert_eq(ldl32(info + 4), 639);
    cr_assert_str_eq((char *)m->ram + ldl32(info + 16) + strlen(kernel_path), " a b");
    cr_assert_eq(ldl32(info + 20), 2);
    mod = m->ram + ldl32(info + 24);
    cr_assert_eq(ldl32(mod) % 4096, 0);
    cr_assert_eq(ldl32(mod + 4) - ldl32(mod), 6);
    cr_assert_arr_eq(m->ram + ldl32(mod + 16), "module", 6);
    cr_assert_not_null(strstr((char *)m->ram + ldl32(mod + 8), " one two"));
    done(m);
    unlink(module_path);
}

Test(multiboot, memory_map)
{
    uint8_t f[FILE_LEN];
    struct err e;
    int ret;
    uint64_t end = 0, ram = 0;
    struct machine *m;
    const uint8_t *info, *row;

    elf32(f);
    m = boot(f, sizeof f, 16 * MiB, NULL, NULL, &e, &ret);
    machine_reset(m);
    info = m->ram + machine_boot_state(m)->ebx;
    row = m->ram + ldl32(info + 48);
    for (unsigned n = 0; n < ldl32(info + 44); n += ldl32(row + n) + 4) {
        cr_assert_geq(ldl64(row + n + 4), end);
        end = ldl64(row + n + 4) + ldl64(row + n + 12);
        if (ldl32(row + n + 20) == 1)
            ram += ldl64(row + n + 12);
    }
    cr_assert(ram > 15 * MiB && ram < 16 * MiB);
    cr_assert_leq(ldl32(info + 8), 15 * 1024);
    done(m);
}

Test(multiboot, addresses_in_the_header)
{
    uint8_t f[FILE_LEN] = { 0 };
    struct err e;
    int ret;
    struct machine *m;

    header(f + 0x100, 1 << 16);
    stl32(f + 0x10c, LOAD_AT + 0x80);            /* the header; so file 0x80 goes to LOAD_AT */
    stl32(f + 0x110, LOAD_AT);
    stl32(f + 0x114, LOAD_AT + 0x800);
    stl32(f + 0x118, LOAD_AT + 0x1000);
    stl32(f + 0x11c, LOAD_AT + 0x300);
    f[0x80] = 0x55;
    f[0x80 + 0x800] = 0x66;
    m = boot(f, sizeof f, 16 * MiB, NULL, NULL, &e, &ret);
    cr_assert_eq(ret, 0, "%s", e.msg);
    machine_reset(m);
    cr_assert_eq(machine_boot_state(m)->rip, LOAD_AT + 0x300);
    cr_assert_eq(m->ram[LOAD_AT], 0x55);
    cr_assert_eq(m->ram[LOAD_AT + 0x800], 0);
    done(m);
    stl32(f + 0x10c, LOAD_AT + 0x104);
    refused(f, sizeof f, "nonsense");
    stl32(f + 0x10c, LOAD_AT + 0x80);
    stl32(f + 0x114, LOAD_AT + 0x10000);
    stl32(f + 0x118, LOAD_AT + 0x20000);
    refused(f, sizeof f, "truncated");
}

Test(multiboot, reasons)
{
    uint8_t f[FILE_LEN];

    elf32(f);
    header(f + HEADER_AT, 1 << 4);
    refused(f, sizeof f, "not known");
    elf32(f);
    f[0] = 0;
    refused(f, sizeof f, "not ELF");
    elf32(f);
    stl16(f + 18, 40);
    refused(f, sizeof f, "not for x86");
    elf32(f);
    stl32(f + 64, 0xff0000);
    refused(f, sizeof f, "needs RAM");
    elf32(f);
    stl32(f + 64, 0x9f000);
    refused(f, sizeof f, "no RAM");
    elf32(f);
    stl32(f + 72, 0x10);
    refused(f, sizeof f, "nonsense");
    elf32(f);
    stl32(f + 52, 6);
    refused(f, sizeof f, "nothing to load");
    elf32(f);
    refused(f, 0x1800, "truncated");
}

Test(multiboot, missing_modules_and_long_lines)
{
    static char line[70000];
    uint8_t f[FILE_LEN];
    struct err e;
    int ret;

    elf32(f);
    done(boot(f, sizeof f, 16 * MiB, "/nonexistent/module", NULL, &e, &ret));
    cr_assert_lt(ret, 0);
    cr_assert_not_null(strstr(e.msg, "-initrd /nonexistent/module: No such file"));
    memset(line, 'x', sizeof line - 1);
    done(boot(f, sizeof f, 16 * MiB, NULL, line, &e, &ret));
    cr_assert_lt(ret, 0);
    memset(line, ',', 80);
    line[80] = 0;
    done(boot(f, sizeof f, 16 * MiB, line, NULL, &e, &ret));
    cr_assert_lt(ret, 0);
}

Test(multiboot, random_numbers_do_no_harm)
{
    uint8_t f[FILE_LEN];
    struct err e;
    uint32_t seed = 3;

    for (unsigned round = 0; round < 300; round++) {
        elf32(f);
        if (round & 1)
            elf64(f);
        for (unsigned n = 0; n < 3; n++) {
            seed = seed * 1664525 + 1013904223;
            f[16 + (seed >> 8) % 0x90] = seed >> 24;
        }
        seed = seed * 1664525 + 1013904223;
        f[HEADER_AT + (round & 1 ? 0x100 : 4) + (seed >> 8) % 12] = seed >> 24;
        try_file(f, sizeof f, &e);
    }
}

Test(multiboot, a_wake_up_goes_to_the_waking_vector)
{
    uint8_t f[FILE_LEN];
    struct err e;
    int ret;
    struct machine *m;
    const uint8_t *rsdt;
    uint32_t facs;

    elf32(f);
    m = boot(f, sizeof f, 16 * MiB, NULL, NULL, &e, &ret);
    machine_reset(m);
    rsdt = m->ram + ldl32(m->ram + BOOT_RSDP_AT + 16);
    facs = ldl32(m->ram + ldl32(rsdt + 36) + 36);        /* FADT is first; FIRMWARE_CTRL */
    cr_assert_arr_eq(m->ram + facs, "FACS", 4);
    m->ram[LOAD_AT] = 0x77;
    m->waking = true;
    machine_reset(m);
    cr_assert(!machine_boot_state(m)->real_mode, "no vector: boot");
    stl32(m->ram + facs + 12, 0x12345);
    m->ram[LOAD_AT] = 0x77;
    m->waking = true;
    machine_reset(m);
    cr_assert(machine_boot_state(m)->real_mode);
    cr_assert_eq(machine_boot_state(m)->rip, 0x12345);
    cr_assert_eq(m->ram[LOAD_AT], 0x77, "RAM is kept");
    machine_reset(m);
    cr_assert(!machine_boot_state(m)->real_mode);
    done(m);
}

/* ---- PVH ------------------------------------------------------------------------------------------ */

Test(pvh, elf64_enters_at_the_note)
{
    uint8_t f[FILE_LEN];
    struct err e;
    int ret;
    struct machine *m;
    const struct boot_state *b;
    const uint8_t *info;

    elf64(f);
    m = boot(f, sizeof f, 16 * MiB, NULL, "quiet", &e, &ret);
    cr_assert_eq(ret, 0, "%s", e.msg);
    machine_reset(m);
    b = machine_boot_state(m);
    cr_assert_eq(b->rip, LOAD_AT + 0x40);
    info = m->ram + b->ebx;
    cr_assert_eq(ldl32(info), 0x336ec578);
    cr_assert_eq(ldl32(info + 4), 1);
    cr_assert_str_eq((char *)m->ram + ldl64(info + 24), "quiet");
    cr_assert_arr_eq(m->ram + ldl64(info + 32), "RSD PTR ", 8);
    cr_assert_gt(ldl32(info + 48), 3);
    done(m);
}

Test(pvh, plain_elf_is_refused)
{
    uint8_t f[FILE_LEN];

    elf64(f);
    f[HEADER_AT + 0x108] = 17;
    refused(f, sizeof f, "neither a Multiboot header nor");
}

/* ---- the test device ------------------------------------------------------------------------------ */

Test(pc_testdev, ports_and_window)
{
    struct machine *m = stepped_machine();
    struct err e = { "" };

    cr_assert_eq(pc_testdev_add(m, &e), 0);
    port_write(m, 0xe0, 0x12345678, 4);
    cr_assert_eq(port_read(m, 0xe0, 4), 0x12345678);
    cr_assert_eq(port_read(m, 0xe2, 2), 0x1234);
    cr_assert_eq(port_read(m, 0xe9, 1), 0x56);
    port_write(m, 0xe4, 0xdead000, 4);
    mmio_write(&m->mem, 0xff00fff8, 0x1122334455667788ull, 8);
    cr_assert_eq(mmio_read(&m->mem, 0xff00fffc, 4), 0x11223344);
    machine_free(m);
}

Test(pc_testdev, lines_reach_the_controllers)
{
    struct machine *m = stepped_machine();
    struct err e = { "" };

    cr_assert_not_null(machine_add_device(m, &i8259_type, 0, NULL, NULL, NULL, &e));
    cr_assert_eq(pc_testdev_add(m, &e), 0);
    machine_reset(m);
    port_write(m, 0x2003, 1, 1);
    port_write(m, 0x20, 0x0a, 1);                /* read IRR */
    cr_assert_eq(inb(m, 0x20) & 8, 8);
    cr_assert_eq(inb(m, 0x20) & 0x10, 0);
    port_write(m, 0x2017, 1, 1);                 /* no I/O APIC: nothing happens */
    machine_free(m);
}
