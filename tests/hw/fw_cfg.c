/* fw_cfg.c - firmware configuration device */
#include "hw/misc/fw_cfg.h"
#include "tests/hw/stepped.h"

static struct machine *fw_machine(void)
{
    struct machine *m = stepped_machine();
    struct err e = { "" };

    cr_assert_not_null(machine_add_device(m, &fw_cfg_type, FW_CFG_PORT, NULL, NULL, NULL, &e));
    machine_reset(m);
    return m;
}

static void fetch(struct machine *m, uint16_t key, void *buf, size_t n)
{
    port_write(m, 0x510, key, 2);
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)buf)[i] = inb(m, 0x511);
}

/* Returns the control word after the transfer, in host order. */
static uint32_t dma(struct machine *m, uint32_t control, uint32_t len, uint64_t addr)
{
    uint8_t *d = m->ram + 0x1000;

    stl32(d, __builtin_bswap32(control));
    stl32(d + 4, __builtin_bswap32(len));
    stl64(d + 8, __builtin_bswap64(addr));
    port_write(m, 0x514, 0, 4);
    port_write(m, 0x518, __builtin_bswap32(0x1000), 4);
    return __builtin_bswap32(ldl32(d));
}

Test(fw_cfg, signature_and_features)
{
    struct machine *m = fw_machine();
    char sig[6];
    uint8_t id[4];

    fetch(m, FW_CFG_SIGNATURE, sig, 6);
    cr_assert_arr_eq(sig, "QEMU\0\0", 6, "zeros past the end");
    fetch(m, FW_CFG_ID, id, 4);
    cr_assert_eq(ldl32(id), 3);
    cr_assert_eq(port_read(m, 0x514, 4), 0x554d4551, "QEMU, big-endian");
    cr_assert_eq(port_read(m, 0x518, 4), 0x47464320, " CFG");
    machine_free(m);
}

Test(fw_cfg, unknown_items_read_zero)
{
    struct machine *m = fw_machine();
    uint8_t b[4];

    for (uint32_t key = 0; key < 0x10000; key += 0x111) {
        fetch(m, key, b, 4);
        if (key > 0x19)
            cr_assert_eq(ldl32(b), 0, "key %#x", key);
    }
    machine_free(m);
}

Test(fw_cfg, the_directory_is_sorted_and_finds_files)
{
    struct machine *m = fw_machine();
    static const char *names[] = { "etc/b", "etc/a", "bootorder" };
    uint8_t dir[4 + 3 * 64], byte;
    size_t len;

    for (unsigned i = 0; i < 3; i++)
        cr_assert_geq(fw_cfg_add_file(m->fw_cfg, names[i], names[i] + 4, 1), 0);
    fetch(m, FW_CFG_FILE_DIR, dir, sizeof dir);
    cr_assert_eq(dir[3], 3);
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *row = dir + 4 + i * 64;
        const char *name = (const char *)row + 8;

        cr_assert_str_eq(name, names[2 - i]);
        cr_assert_eq(row[3], 1, "size 1");
        fetch(m, row[4] << 8 | row[5], &byte, 1);
        cr_assert_eq(byte, name[4]);
    }
    cr_assert_not_null(fw_cfg_file(m->fw_cfg, "etc/a", &len));
    cr_assert_null(fw_cfg_file(m->fw_cfg, "etc/c", &len));
    machine_free(m);
}

Test(fw_cfg, files_have_limits)
{
    struct machine *m = fw_machine();
    char name[64];

    memset(name, 'x', 63);
    name[63] = 0;
    cr_assert_eq(fw_cfg_add_file(m->fw_cfg, name, "", 0), -ENAMETOOLONG);
    for (unsigned i = 0; i < FW_CFG_MAX_FILES; i++) {
        snprintf(name, sizeof name, "f%u", i);
        cr_assert_geq(fw_cfg_add_file(m->fw_cfg, name, "", 0), 0);
    }
    cr_assert_eq(fw_cfg_add_file(m->fw_cfg, "one more", "", 0), -ENOSPC);
    cr_assert_geq(fw_cfg_add_file(m->fw_cfg, "f3", "new", 3), 0, "replacing is fine");
    machine_free(m);
}

Test(fw_cfg, dma_reads_skips_and_fills)
{
    struct machine *m = fw_machine();

    fw_cfg_add_string(m->fw_cfg, FW_CFG_CMDLINE_DATA, "hello");
    memset(m->ram + 0x2000, 0xee, 16);
    cr_assert_eq(dma(m, FW_CFG_CMDLINE_DATA << 16 | 0x0a, 3, 0x2000), 0);
    cr_assert_arr_eq(m->ram + 0x2000, "hel\xee", 4);
    cr_assert_eq(dma(m, 0x04, 1, 0), 0);                 /* skip one */
    cr_assert_eq(dma(m, 0x02, 4, 0x2000), 0);
    cr_assert_arr_eq(m->ram + 0x2000, "o\0\0\0\xee", 5, "zeros past the end");
    machine_free(m);
}

Test(fw_cfg, dma_refuses_writes_and_endless_reads)
{
    struct machine *m = fw_machine();

    cr_assert_eq(dma(m, FW_CFG_ID << 16 | 0x18, 4, 0x2000), 1);
    cr_assert_eq(dma(m, FW_CFG_ID << 16 | 0x0a, 0xffffffff, 0x2000), 1);
    cr_assert_eq(dma(m, FW_CFG_ID << 16 | 0x0a, 4, 0xfffffffffffffffcull), 0);
    machine_free(m);
}
