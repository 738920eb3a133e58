/* nic.c - what all cards share: the option ROM */
#include <stdio.h>
#include <unistd.h>
#include "tests/hw/nic.h"

enum { ROM_BYTES = 1024, PCIR = 0x40, ROM_AT = 0xe8000000u };

/* A ROM of somebody else's device in a new directory. */
static void write_rom(char *dir, char *path, size_t size)
{
    uint8_t rom[ROM_BYTES] = { 0x55, 0xaa, ROM_BYTES / 512, 0xcb, [0x18] = PCIR };
    FILE *f;

    memcpy(rom + PCIR, "PCIR\x34\x12\x78\x56", 8);
    for (size_t i = 0; i < ROM_BYTES - 1; i++)
        rom[ROM_BYTES - 1] -= rom[i];
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, size, "%s/efi-rtl8139.rom", dir);
    f = fopen(path, "w");
    cr_assert(f && fwrite(rom, 1, ROM_BYTES, f) == ROM_BYTES && !fclose(f));
}

Test(nic, a_global_property_is_a_default)
{
    struct dev_global g[] = { { "e1000", "mac", "52:54:00:aa:00:01" }, { "rtl8139", "mac", "52:54:00:aa:00:02" } };
    struct machine *m = board_machine();
    struct err e = { "" };

    m->cfg.globals = g;
    m->cfg.n_globals = ARRAY_SIZE(g);
    cr_assert_not_null(nic_add(m, &e1000_type, NULL, NULL, &e), "%s", e.msg);
    cr_assert_not_null(nic_add(m, &rtl8139_type, NULL, "52:54:00:bb:00:01", &e), "%s", e.msg);
    cr_assert_not_null(strstr(m->net->ports->info, "52:54:00:aa:00:01"));
    cr_assert_not_null(strstr(m->net->ports->next->info, "52:54:00:bb:00:01"), "its own goes first");
    net_free(m->net);
    m->net = NULL;
    machine_free(m);
}

Test(nic, rom_names_the_card)
{
    char dir[] = "/tmp/nic-rom-XXXXXX", path[64];
    const char *dirs[] = { dir, NULL };
    struct machine *m = board_machine();
    struct err e = { "" };
    uint8_t rom[ROM_BYTES], sum = 0;

    write_rom(dir, path, sizeof path);
    m->cfg.rom_dirs = dirs;
    cr_assert_not_null(nic_add(m, &rtl8139_type, NULL, NULL, &e), "%s", e.msg);
    unlink(path);
    rmdir(dir);
    machine_reset(m);
    cfg_wr(m, NIC_SLOT, PCI_ROM_BAR, ROM_AT | PCI_ROM_ENABLE, 4);
    cfg_wr(m, NIC_SLOT, PCI_COMMAND, 7, 2);
    mem_read(&m->mem, ROM_AT, rom, sizeof rom);
    cr_assert_eq(ldl32(rom + PCIR + 4), 0x813910ecu);
    for (size_t i = 0; i < ROM_BYTES; i++)
        sum += rom[i];
    cr_assert_eq(sum, 0);
    net_free(m->net);
    m->net = NULL;
    machine_free(m);
}
