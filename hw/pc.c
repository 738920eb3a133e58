/*
 * pc.c - the boards: i440FX with PIIX3 ("pc"), Q35 with ICH9 ("q35")
 *
 * Address map:
 *   0x00000000  RAM, up to 3 GiB             0xfec00000  I/O APIC
 *   0x000a0000  VGA window                   0xfed00000  HPET
 *   0x000c0000  option ROMs, shadow RAM      0xfee00000  local APICs
 *   0x000e0000  firmware (low copy)          0xfffc0000  firmware
 *   0x80000000 or 0xc0000000  PCI memory     0x100000000 RAM above 4 GiB
 * Q35: RAM ends below 0xb0000000, where firmware opens the configuration window
 * (256 MiB); PCI memory starts at 0xc0000000; 0xfed1c000 is the chipset's.
 */
#include "hw/acpi/acpi.h"
#include "hw/boot/boot-order.h"
#include "hw/boot/direct.h"
#include "hw/boot/firmware.h"
#include "hw/boot/linux.h"
#include "hw/disk/pflash.h"
#include "hw/char/debugcon.h"
#include "hw/char/uart16550.h"
#include "hw/disk/ahci.h"
#include "hw/display/vga.h"
#include "hw/dma/dma.h"
#include "hw/input/i8042.h"
#include "hw/intc/intc.h"
#include "hw/misc/fw_cfg.h"
#include "hw/misc/isa_debug_exit.h"
#include "hw/misc/pc_testdev.h"
#include "hw/misc/port92.h"
#include "hw/pci/pci.h"
#include "hw/timer/timer.h"
#include "hw/usb/usb.h"

#define DEBUGCON_PORT 0x402
#define RAM_SPLIT_PC  (3 * GiB)
#define RAM_SPLIT_Q35 (2 * GiB)      /* when there is more than fits below the window */

/* Construction order, top to bottom; reset goes the same way. */
static const struct device_row chips[] = {
    { &i8259_type,    .irq = -1 },
    { &ioapic_type,   .irq = -1 },
    { &i8254_type,    .port = 0x40, .irq = 0, .has_irq = true },
    { &mc146818_type, .port = 0x70, .irq = 8, .has_irq = true },
    { &i8237_type,    .irq = -1 },
    { &port92_type,   .irq = -1 },
    { &fw_cfg_type,   .port = FW_CFG_PORT, .irq = -1 },
};

static const struct pci_row {
    const struct device_type *type;
    uint8_t devfn;
} pc_chips[] = {
    { &i440fx_type,   PCI_DEVFN(0, 0) },
    { &piix3_type,    PCI_DEVFN(1, 0) },
    { &piix4_pm_type, PCI_DEVFN(1, 3) },
}, q35_chips[] = {
    { &mch_type,      PCI_DEVFN(0, 0) },
    { &ich9_lpc_type, PCI_DEVFN(31, 0) },
    { &ahci_type,     PCI_DEVFN(31, 2) },
    { &ich9_smb_type, PCI_DEVFN(31, 3) },
};

/* What differs between the boards. */
static const struct board_row {
    const struct pci_row *chips;
    unsigned n_chips;
    uint8_t vga_slot, uhci_devfn;
} boards[] = {
    [BOARD_PC] = { pc_chips, ARRAY_SIZE(pc_chips), 2, PCI_DEVFN(1, 2) },
    [BOARD_Q35] = { q35_chips, ARRAY_SIZE(q35_chips), 1, PCI_DEVFN(29, 0) },
};

uint64_t pc_low_end(const struct machine_config *cfg)
{
    if (cfg->board == BOARD_PC)
        return RAM_SPLIT_PC;
    return cfg->ram_bytes <= MCH_ECAM_BASE ? MCH_ECAM_BASE : RAM_SPLIT_Q35;
}

static int add_chips(struct machine *m, struct err *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(chips); i++) {
        const struct device_row *r = &chips[i];
        const struct irq_line *irq = r->has_irq ? machine_irq(m, r->irq) : NULL;

        if (r->type == &i8254_type && m->cfg.no_pit)
            continue;
        if (!machine_add_device(m, r->type, r->port, irq, NULL, NULL, e))
            return -EIO;
    }
    if (!m->cfg.no_hpet && !machine_add_device(m, &hpet_type, 0, NULL, NULL, NULL, e))
        return -EIO;
    return 0;
}

static int add_pci(struct machine *m, struct err *e)
{
    const struct board_row *b = &boards[m->cfg.board];

    pci_bus_new(m);
    for (unsigned i = 0; i < b->n_chips; i++)
        if (!machine_add_device(m, b->chips[i].type, 0, NULL, pci_setup_devfn,
                                &b->chips[i].devfn, e))
            return -EIO;
    if (m->cfg.usb && !machine_add_device(m, &piix3_uhci_type, 0, NULL, pci_setup_devfn,
                                          &b->uhci_devfn, e))
        return -EIO;
    return m->cfg.no_vga ? 0 : vga_add(m, PCI_DEVFN(b->vga_slot, 0), e);
}

static int add_ports(struct machine *m, struct err *e)
{
    int ret = i8042_add(m, e);

    for (unsigned n = 0; ret == 0 && n < ARRAY_SIZE(m->cfg.serial); n++)
        ret = uart16550_add(m, n, m->cfg.serial[n], e);
    if (ret == 0)
        ret = debugcon_add(m, DEBUGCON_PORT, m->cfg.debugcon, e);
    if (ret == 0 && m->cfg.isa_debug_exit)
        ret = isa_debug_exit_add(m, m->cfg.isa_debug_exit_port, e);
    if (ret == 0 && m->cfg.pc_testdev)
        ret = pc_testdev_add(m, e);
    return ret;
}

/* ---- CMOS: what firmware reads before it knows fw_cfg --------------------------- */

static void cmos_put16(struct device *rtc, uint8_t reg, uint32_t val)
{
    val = MIN(val, 0xffffu);
    rtc_set_cmos(rtc, reg, val);
    rtc_set_cmos(rtc, reg + 1, val >> 8);
}

static void cmos_memory(struct machine *m, struct device *rtc)
{
    uint64_t low = m->ram_low.len, high = m->ram_high.len / (64 * KiB);
    uint32_t ext_kib = MIN((low - MiB) / KiB, 0xffffu);

    cmos_put16(rtc, 0x15, 640);
    cmos_put16(rtc, 0x17, ext_kib);
    cmos_put16(rtc, 0x30, ext_kib);
    cmos_put16(rtc, 0x34, low > 16 * MiB ? (low - 16 * MiB) / (64 * KiB) : 0);
    rtc_set_cmos(rtc, 0x5b, high);
    rtc_set_cmos(rtc, 0x5c, high >> 8);
    rtc_set_cmos(rtc, 0x5d, high >> 16);
}

static void cmos_equipment(struct machine *m, struct device *rtc)
{
    rtc_set_cmos(rtc, 0x14, 0x06);          /* FPU, PS/2 mouse */
    rtc_set_cmos(rtc, 0x5f, m->cfg.n_vcpus ? m->cfg.n_vcpus - 1 : 0);
}

/* ---- ways to boot ------------------------------------------------------------------ */

/* By what the file is; a Linux kernel also when it is nothing else, so that the
 * message says what was expected. */
static int add_direct_boot(struct machine *m, struct err *e)
{
    int ret = multiboot_boot_add(m, e);

    if (ret > 0)
        ret = pvh_boot_add(m, e);
    return ret > 0 ? linux_boot_add(m, e) : ret;
}

static int add_boot(struct machine *m, struct err *e)
{
    bool direct = m->cfg.kernel && !m->cfg.kernel_via_firmware;
    int ret;

    if (m->cfg.initrd && !m->cfg.kernel)
        return err_set(e, -EINVAL, "-initrd without -kernel");
    if (m->cfg.append && !m->cfg.kernel)
        return err_set(e, -EINVAL, "-append without -kernel");
    ret = firmware_items_add(m, e);
    if (ret < 0)
        return ret;
    if (direct)
        return add_direct_boot(m, e);
    if (m->cfg.kernel)
        ret = linux_firmware_add(m, e);
    if (ret < 0)
        return ret;
    ret = pflash_add_all(m, e);
    if (ret > 0 && m->cfg.bios)
        return err_set(e, -EINVAL, "-bios %s: the firmware is in the flash chip", m->cfg.bios);
    if (ret)
        return MIN(ret, 0);
    return firmware_rom_add(m, m->cfg.bios ? m->cfg.bios : FIRMWARE_DEFAULT, e);
}

/**
 * pc_board() - construct the board's devices
 * m->vcpus and m->n_vcpus are set before: they get their local APICs here.
 *
 * Returns 0, or a negative errno with @e naming what is wrong; the caller ends
 * with machine_free() either way.
 */
int pc_board(struct machine *m, struct err *e)
{
    int ret = add_chips(m, e);

    if (ret == 0)
        ret = lapic_new_all(m, e);
    if (ret == 0)
        ret = add_pci(m, e);
    if (ret == 0)
        ret = add_ports(m, e);
    return ret;
}

/**
 * pc_boot() - tables, CMOS, firmware or kernel
 * The caller then calls machine_reset() once, before the first vCPU runs; the
 * kernel of a direct boot is copied there.
 */
int pc_boot(struct machine *m, struct err *e)
{
    struct device *rtc = machine_find_device(m, mc146818_type.name);
    int ret = add_boot(m, e);

    if (ret < 0)
        return ret;
    cmos_memory(m, rtc);
    cmos_equipment(m, rtc);
    return boot_order_add(m, e);
}

int pc_build(struct machine *m, struct err *e)
{
    int ret = pc_board(m, e);

    return ret == 0 ? pc_boot(m, e) : ret;
}
