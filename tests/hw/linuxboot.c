/* linuxboot.c - kernel files good and bad, direct boot, kernel through firmware */
#include <stdlib.h>
#include <unistd.h>
#include "hw/boot/linux.h"
#include "hw/misc/fw_cfg.h"
#include "tests/hw/stepped.h"
#include "tests/temp-file.h"

#define SETUP_SECTS 4
#define SETUP_LEN   ((SETUP_SECTS + 1) * 512)
#define BODY_LEN    0x4000
#define FILE_LEN    (SETUP_LEN + BODY_LEN)

static char kernel_path[64], initrd_path[64];

/* A file that says of itself what a bzImage says. */
static void image(uint8_t *k)
{
    memset(k, 0, FILE_LEN);
    k[HDR_SETUP_SECTS] = SETUP_SECTS;
    stl32(k + HDR_SYSSIZE, BODY_LEN / 16);
    stl16(k + HDR_BOOT_FLAG, 0xaa55);
    k[HDR_JUMP_LEN] = 0x66;
    memcpy(k + HDR_MAGIC, "HdrS", 4);
    stl16(k + HDR_VERSION, 0x020f);
    k[HDR_LOADFLAGS] = LOADED_HIGH;
    stl32(k + HDR_INITRD_ADDR_MAX, 0x7fffffff);
    stl32(k + HDR_KERNEL_ALIGNMENT, 0x200000);
    k[HDR_RELOCATABLE] = 1;
    stl16(k + HDR_XLOADFLAGS, XLF_KERNEL_64);
    stl32(k + HDR_CMDLINE_SIZE, 255);
    stl64(k + HDR_PREF_ADDRESS, 0x1000000);
    stl32(k + HDR_INIT_SIZE, 0x100000);
    for (unsigned i = 0; i < BODY_LEN; i++)
        k[SETUP_LEN + i] = i * 7;
}

static int try_open(const void *data, size_t len, struct err *e)
{
    struct bzimage k;
    int ret;

    e->msg[0] = 0;
    temp_file(kernel_path, data, len);
    ret = bzimage_open(&k, kernel_path, e);
    if (ret == 0) {
        cr_assert(k.setup_len + k.kernel_len <= len);
        bzimage_close(&k);
    } else {
        cr_assert_neq(e->msg[0], 0, "a reason is given");
        cr_assert_null(strchr(e->msg, '\n'));
    }
    unlink(kernel_path);
    return ret;
}

Test(bzimage, a_good_one_is_taken)
{
    uint8_t k[FILE_LEN];
    struct err e;

    image(k);
    cr_assert_eq(try_open(k, sizeof k, &e), 0, "%s", e.msg);
}

Test(bzimage, every_truncation_is_refused)
{
    uint8_t k[FILE_LEN];
    struct err e;

    image(k);
    for (size_t len = 0; len < sizeof k - 15; len += len < 0x400 ? 1 : 251)
        cr_assert_lt(try_open(k, len, &e), 0, "%zu bytes", len);
}

Test(bzimage, reasons)
{
    uint8_t k[FILE_LEN];
    struct err e;

    image(k);
    k[HDR_MAGIC] = 'X';
    cr_assert_lt(try_open(k, sizeof k, &e), 0);
    cr_assert_not_null(strstr(e.msg, "not a Linux kernel (no HdrS signature)"));
    image(k);
    stl16(k + HDR_VERSION, 0x0205);
    cr_assert_lt(try_open(k, sizeof k, &e), 0);
    cr_assert_not_null(strstr(e.msg, "2.05 is too old"));
    image(k);
    k[HDR_LOADFLAGS] = 0;
    cr_assert_lt(try_open(k, sizeof k, &e), 0);
    cr_assert_not_null(strstr(e.msg, "zImage"));
    image(k);
    cr_assert_lt(try_open(k, sizeof k / 2, &e), 0);
    cr_assert_not_null(strstr(e.msg, "truncated"));
}

Test(bzimage, missing_and_odd_files)
{
    struct bzimage k;
    struct err e = { "" };

    cr_assert_eq(bzimage_open(&k, "/nonexistent/vmlinuz", &e), -ENOENT);
    cr_assert_not_null(strstr(e.msg, "No such file"));
    cr_assert_lt(bzimage_open(&k, "/tmp", &e), 0);
    cr_assert_not_null(strstr(e.msg, "regular file"));
    cr_assert_lt(bzimage_open(&k, "/dev/zero", &e), 0);
}

/* Whatever the header claims, opening ends with sane numbers or a reason. */
Test(bzimage, random_headers_do_no_harm)
{
    uint8_t k[FILE_LEN];
    struct err e;
    uint32_t seed = 1;

    for (unsigned round = 0; round < 400; round++) {
        image(k);
        for (unsigned n = 0; n < 4; n++) {
            seed = seed * 1664525 + 1013904223;
            k[HDR_SETUP_SECTS + (seed >> 8) % 0x80] = seed >> 24;
        }
        try_open(k, sizeof k, &e);
    }
}

/* ---- direct boot ----------------------------------------------------------------------- */

static struct machine *boot_machine(uint64_t ram, const char *initrd, size_t initrd_len,
                                    const char *append, struct err *e, int *ret)
{
    uint8_t k[FILE_LEN];
    struct machine_config cfg = { .ram_bytes = ram, .n_vcpus = 1, .kernel = kernel_path,
                                  .append = append };
    struct machine *m;

    image(k);
    temp_file(kernel_path, k, sizeof k);
    if (initrd) {
        temp_file(initrd_path, initrd, initrd_len);
        cfg.initrd = initrd_path;
    }
    m = machine_new(&cfg, e);
    cr_assert_not_null(m);
    clock_init_stepped(&m->clock);
    *ret = linux_boot_add(m, e);
    return m;
}

static void boot_done(struct machine *m)
{
    machine_free(m);
    unlink(kernel_path);
    unlink(initrd_path);
}

Test(linuxboot, memory_is_filled_as_the_protocol_says)
{
    struct err e = { "" };
    int ret;
    struct machine *m = boot_machine(64 * MiB, "initrd!", 7, "quiet", &e, &ret);
    const uint8_t *bp;
    const struct boot_state *b;

    cr_assert_eq(ret, 0, "%s", e.msg);
    cr_assert_null(machine_boot_state(m), "not before the reset");
    machine_reset(m);
    b = machine_boot_state(m);
    cr_assert(b && b->valid && b->long_mode);
    cr_assert_eq(b->rip, 0x1000200);
    cr_assert_eq(m->ram[0x1000001], 7);
    bp = m->ram + b->rsi;
    cr_assert_str_eq((char *)m->ram + ldl32(bp + HDR_CMD_LINE_PTR), "quiet");
    cr_assert_eq(ldl32(bp + HDR_RAMDISK_SIZE), 7);
    cr_assert_eq(ldl32(bp + HDR_RAMDISK_IMAGE) % 4096, 0);
    cr_assert_arr_eq(m->ram + ldl32(bp + HDR_RAMDISK_IMAGE), "initrd!", 7);
    cr_assert_eq(bp[HDR_TYPE_OF_LOADER], 0xff);
    cr_assert_eq(ldl64(m->ram + b->gdt + 0x10) >> 53 & 1, 1, "code segment has L");
    cr_assert_eq(ldl64(m->ram + b->cr3) & 3, 3);
    boot_done(m);
}

Test(linuxboot, e820_is_sorted_and_covers_ram)
{
    struct err e = { "" };
    int ret;
    struct machine *m = boot_machine(64 * MiB, NULL, 0, NULL, &e, &ret);
    const uint8_t *bp;
    uint64_t end = 0, ram = 0;

    cr_assert_eq(ret, 0, "%s", e.msg);
    machine_reset(m);
    bp = m->ram + machine_boot_state(m)->rsi;
    for (unsigned i = 0; i < bp[0x1e8]; i++) {
        const uint8_t *row = bp + 0x2d0 + i * 20;

        cr_assert_geq(ldl64(row), end);
        end = ldl64(row) + ldl64(row + 8);
        if (ldl32(row + 16) == 1)
            ram += ldl64(row + 8);
    }
    cr_assert(ram > 62 * MiB && ram < 64 * MiB);
    boot_done(m);
}

Test(linuxboot, a_reset_loads_again)
{
    struct err e = { "" };
    int ret;
    struct machine *m = boot_machine(64 * MiB, NULL, 0, NULL, &e, &ret);

    machine_reset(m);
    m->ram[0x1000001] = 0;
    machine_reset(m);
    cr_assert_eq(m->ram[0x1000001], 7);
    boot_done(m);
}

Test(linuxboot, what_does_not_fit_is_refused)
{
    static char big[8 * 1024 * 1024];
    static char line[300];
    struct err e = { "" };
    int ret;
    struct machine *m = boot_machine(20 * MiB, big, sizeof big, NULL, &e, &ret);

    cr_assert_lt(ret, 0);
    cr_assert_not_null(strstr(e.msg, "-initrd"));
    boot_done(m);
    memset(line, 'a', sizeof line - 1);
    m = boot_machine(64 * MiB, NULL, 0, line, &e, &ret);
    cr_assert_lt(ret, 0);
    cr_assert_not_null(strstr(e.msg, "-append"));
    boot_done(m);
    m = boot_machine(2 * MiB, NULL, 0, NULL, &e, &ret);
    cr_assert_lt(ret, 0);
    cr_assert_not_null(strstr(e.msg, "RAM"));
    boot_done(m);
}

Test(linuxboot, a_small_machine_gets_a_relocatable_kernel_low)
{
    struct err e = { "" };
    int ret;
    struct machine *m = boot_machine(8 * MiB, NULL, 0, NULL, &e, &ret);

    cr_assert_eq(ret, 0, "%s", e.msg);
    machine_reset(m);
    cr_assert_eq(machine_boot_state(m)->rip, 0x200200);
    boot_done(m);
}

/* ---- through firmware ------------------------------------------------------------------------ */

Test(linuxboot, firmware_gets_kernel_and_rom)
{
    uint8_t k[FILE_LEN], sum = 0;
    struct err e = { "" };
    struct machine_config cfg = { .ram_bytes = 64 * MiB, .n_vcpus = 1, .append = "x=1",
                                  .kernel = kernel_path, .kernel_via_firmware = true };
    struct machine *m;
    const uint8_t *rom;
    uint32_t size;
    size_t len;

    image(k);
    temp_file(kernel_path, k, sizeof k);
    m = machine_new(&cfg, &e);
    cr_assert_not_null(machine_add_device(m, &fw_cfg_type, FW_CFG_PORT, NULL, NULL, NULL, &e));
    cr_assert_eq(linux_firmware_add(m, &e), 0, "%s", e.msg);
    port_write(m, 0x510, FW_CFG_KERNEL_SIZE, 2);
    size = inb(m, 0x511);
    size |= inb(m, 0x511) << 8;
    cr_assert_eq(size, BODY_LEN);
    port_write(m, 0x510, FW_CFG_KERNEL_DATA, 2);
    inb(m, 0x511);
    cr_assert_eq(inb(m, 0x511), 7);
    rom = fw_cfg_file(m->fw_cfg, "genroms/linuxboot.bin", &len);
    cr_assert(rom && len % 512 == 0 && rom[0] == 0x55 && rom[1] == 0xaa);
    cr_assert_eq(rom[2] * 512u, len);
    for (size_t i = 0; i < len; i++)
        sum += rom[i];
    cr_assert_eq(sum, 0);
    cr_assert_arr_eq(rom + ldl16(rom + 0x1a), "$PnP", 4);
    boot_done(m);
}
