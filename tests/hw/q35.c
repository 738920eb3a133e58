/* q35.c - the Q35 board: configuration window, PIRQs, power management, tables */
#include <unistd.h>
#include "hw/acpi/acpi.h"
#include "hw/acpi/pm.h"
#include "hw/boot/linux.h"
#include "tests/hw/board.h"
#include "tests/hw/chips.h"

#define MCH PCI_DEVFN(0, 0)
#define LPC PCI_DEVFN(31, 0)
#define SATA PCI_DEVFN(31, 2)
#define SMB PCI_DEVFN(31, 3)

static struct bench b;

/* The whole board, with a memory image as firmware. */
static struct machine *q35(uint64_t ram_bytes)
{
    static uint8_t image[64 * 1024];
    struct machine_config cfg = { .board = BOARD_Q35, .ram_bytes = ram_bytes, .n_vcpus = 1 };
    struct err e = { "" };
    char rom[] = "/tmp/q35-rom-XXXXXX";
    int fd = mkstemp(rom);

    cr_assert_eq(write(fd, image, sizeof image), (ssize_t)sizeof image);
    close(fd);
    cfg.bios = rom;
    memset(&b, 0, sizeof b);
    b.m = machine_new(&cfg, &e);
    cr_assert_not_null(b.m, "%s", e.msg);
    clock_init_stepped(&b.m->clock);
    b.v[0] = (struct vcpu){ .machine = b.m, .kick = bench_kick, .cpu = &b.kicks };
    b.pv[0] = &b.v[0];
    b.m->vcpus = b.pv;
    b.m->n_vcpus = 1;
    cr_assert_eq(pc_build(b.m, &e), 0, "%s", e.msg);
    b.m->cfg.bios = NULL;
    unlink(rom);
    machine_reset(b.m);
    return b.m;
}

Test(q35, chips_are_where_drivers_look)
{
    struct machine *m = q35(64 * MiB);

    cr_assert_eq(cfg_rd(m, MCH, 0, 4), 0x29c08086);
    cr_assert_eq(cfg_rd(m, LPC, 0, 4), 0x29188086);
    cr_assert_eq(cfg_rd(m, LPC, PCI_HEADER_TYPE, 1), 0x80);
    cr_assert_eq(cfg_rd(m, SATA, 0, 4), 0x29228086);
    cr_assert_eq(cfg_rd(m, SATA, 0x0a, 2), 0x0106);
    cr_assert_eq(cfg_rd(m, SMB, 0, 4), 0x29308086);
    cr_assert_eq(cfg_rd(m, PCI_DEVFN(1, 0), 0x0a, 2), 0x0300, "VGA");
    machine_free(m);
}

Test(q35, the_configuration_window_opens_where_pciexbar_says)
{
    struct machine *m = q35(64 * MiB);
    gpa_t lpc = 0xb0000000 + (LPC << 12);

    cr_assert_eq(mmio_read(&m->mem, lpc, 4), 0xffffffff, "closed at reset");
    cr_assert_eq(mch_ecam_base(m), MCH_ECAM_BASE, "the tables' answer until then");
    cfg_wr(m, MCH, 0x60, 0xb0000001, 4);
    cr_assert_eq(mmio_read(&m->mem, lpc, 4), 0x29188086);
    cr_assert_eq(mmio_read(&m->mem, lpc + 2, 2), 0x2918);
    mmio_write(&m->mem, lpc + 0x60, 0x0b, 1);
    cr_assert_eq(cfg_rd(m, LPC, 0x60, 1), 0x0b);
    cr_assert_eq(mmio_read(&m->mem, lpc + 0x100, 4), 0xffffffff, "no extended space");
    cr_assert_eq(mmio_read(&m->mem, lpc + (1 << 20), 4), 0xffffffff, "bus 1");
    cfg_wr(m, MCH, 0x60, 0xe0000005, 4);                /* 64 MiB */
    cr_assert_eq(mmio_read(&m->mem, lpc, 4), 0xffffffff);
    cr_assert_eq(mmio_read(&m->mem, 0xe0000000 + (LPC << 12), 4), 0x29188086);
    cr_assert_eq(mch_ecam_base(m), 0xe0000000);
    cfg_wr(m, MCH, 0x60, 0xe0000007, 4);                /* reserved length */
    cr_assert_eq(mmio_read(&m->mem, 0xe0000000, 4), 0xffffffff);
    machine_free(m);
}

Test(q35, ram_ends_below_the_window)
{
    static const struct { uint64_t ram, low; } rows[] = {
        { 1 * GiB, 1 * GiB }, { 0xb0000000, 0xb0000000 }, { 3 * GiB, 2 * GiB },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct machine *m = q35(rows[i].ram);

        cr_assert_eq(m->ram_low.len, rows[i].low);
        cr_assert_eq(m->ram_high.len, rows[i].ram - rows[i].low);
        machine_free(m);
    }
}

static void open_pin(unsigned pin, uint8_t vector)
{
    wr32(&b, IOAPIC_BASE, 0x10 + 2 * pin);
    wr32(&b, IOAPIC_BASE + 0x10, vector | 0x8000);
}

static int taken(void)
{
    int v = lapic_ack(b.v[0].lapic);

    if (v >= 0)
        lapic_eoi(b.v[0].lapic);
    return v;
}

static void use_lapic(void)
{
    lapic_mmio_write(b.v[0].lapic, 0xf0, 0x1ff, 4);
}

Test(q35, pirqs_reach_io_apic_pins_16_to_23_and_routed_lines)
{
    struct machine *m = q35(64 * MiB);
    int lines[16] = { 0 };

    use_lapic();
    for (int n = 0; n < 16; n++)
        m->isa_irq[n] = (struct irq_line){ watch_line, lines, n };
    for (unsigned n = 0; n < 8; n++) {
        unsigned reg = n < 4 ? 0x60 + n : 0x68 + n - 4;

        open_pin(16 + n, 0x40 + n);
        m->pci->pirq_set(m->pci->pirq_opaque, n, 1);
        cr_assert_eq(taken(), 0x40 + (int)n);
        cr_assert_eq(lines[10], 0, "not routed at reset");
        cfg_wr(m, LPC, reg, 10, 1);
        cr_assert_eq(lines[10], 1, "PIRQ %u", n);
        m->pci->pirq_set(m->pci->pirq_opaque, n, 0);
        cr_assert_eq(lines[10], 0);
        while (taken() >= 0)             /* it was still asserted at EOI */
            ;
        cfg_wr(m, LPC, reg, 0x80, 1);
    }
    machine_free(m);
}

Test(q35, slots_go_round_e_to_h_and_the_ich_follows_its_registers)
{
    struct machine *m = q35(64 * MiB);
    const gpa_t rcba = ICH9_RCBA;

    cr_assert_eq(pci_pirq_of(m->pci, PCI_DEVFN(0, 0), 1), 4);
    cr_assert_eq(pci_pirq_of(m->pci, PCI_DEVFN(2, 0), 1), 6);
    cr_assert_eq(pci_pirq_of(m->pci, PCI_DEVFN(3, 0), 2), 4);
    cr_assert_eq(pci_pirq_of(m->pci, PCI_DEVFN(24, 0), 4), 7);
    for (unsigned slot = 25; slot < 32; slot++)
        for (unsigned pin = 1; pin <= 4; pin++)
            cr_assert_eq(pci_pirq_of(m->pci, PCI_DEVFN(slot, 0), pin), pin - 1);
    cfg_wr(m, LPC, 0xf0, rcba | 1, 4);
    cr_assert_eq(mmio_read(&m->mem, rcba + 0x3140, 2), 0x3210);
    mmio_write(&m->mem, rcba + 0x3140, 0x3217, 2);      /* D31IR: INTA on PIRQH */
    cr_assert_eq(pci_pirq_of(m->pci, SATA, 1), 7);
    cr_assert_eq(pci_pirq_of(m->pci, PCI_DEVFN(30, 0), 1), 0);
    machine_free(m);
}

Test(q35, rewiring_moves_an_asserted_pin)
{
    struct machine *m = q35(64 * MiB);
    struct pci_device *smb = pci_find(m->pci, 0, SMB);

    use_lapic();
    open_pin(16, 0x50);
    open_pin(23, 0x57);
    cfg_wr(m, LPC, 0xf0, ICH9_RCBA | 1, 4);
    pci_irq_set(smb, 1);
    cr_assert_eq(lapic_ack(b.v[0].lapic), 0x50);
    mmio_write(&m->mem, ICH9_RCBA + 0x3140, 0x3217, 2);
    lapic_eoi(b.v[0].lapic);
    cr_assert_eq(taken(), 0x57);
    pci_irq_set(smb, 0);
    for (unsigned n = 0; n < PCI_PIRQS; n++)
        cr_assert_eq(m->pci->intx_count[n], 0);
    machine_free(m);
}

static void open_pm(struct machine *m)
{
    cfg_wr(m, LPC, 0x40, 0x601, 4);
    cfg_wr(m, LPC, 0x44, 0x80, 1);
}

Test(q35, power_button_raises_the_sci_where_it_is_selected)
{
    struct machine *m = q35(64 * MiB);
    int lines[16] = { 0 };

    for (int n = 0; n < 16; n++)
        m->isa_irq[n] = (struct irq_line){ watch_line, lines, n };
    cr_assert_eq(port_read(m, 0x604, 2), 0xffff, "closed at reset");
    open_pm(m);
    port_write(m, 0x602, 1 << 8, 2);
    pm_power_button(m);
    cr_assert_eq(lines[9], 0, "SCI_EN is off");
    outb(m, 0xb2, 0xf1);
    cr_assert_eq(port_read(m, 0x604, 2) & 1, 1);
    cr_assert_eq(lines[9], 1);
    cfg_wr(m, LPC, 0x44, 0x81, 1);
    cr_assert_eq(lines[9], 0);
    cr_assert_eq(lines[10], 1, "SCI_IRQ_SEL 1");
    port_write(m, 0x600, 1 << 8, 2);
    cr_assert_eq(lines[10], 0);
    cr_assert_eq(port_read(m, 0x630, 4), 0x20, "APMC_EN");
    machine_free(m);
}

Test(q35, general_purpose_events_have_64_bits)
{
    struct machine *m = q35(64 * MiB);

    open_pm(m);
    for (unsigned off = 0x28; off < 0x30; off += 2)
        port_write(m, 0x600 + off, 0xa500 + off, 2);
    for (unsigned off = 0x28; off < 0x30; off += 2)
        cr_assert_eq(port_read(m, 0x600 + off, 2), 0xa500 + off);
    cr_assert_eq(port_read(m, 0x62e, 4), 0x0020a52e, "then SMI_EN");
    cr_assert_eq(port_read(m, 0x620, 4), 0);
    machine_free(m);
}

Test(q35, sleep_types_are_the_ich9s)
{
    struct machine *m = q35(64 * MiB);

    open_pm(m);
    port_write(m, 0x604, 6 << 10 | 1 << 13, 2);
    cr_assert_eq(m->request_shutdown, CAUSE_GUEST_SHUTDOWN, "S4: what it needs is on its disk");
    m->request_shutdown = CAUSE_NONE;
    port_write(m, 0x604, 7 << 10 | 1 << 13, 2);
    cr_assert_eq(m->request_shutdown, CAUSE_GUEST_SHUTDOWN);
    m->request_shutdown = CAUSE_NONE;
    port_write(m, 0x604, 1 << 13, 2);
    cr_assert_eq(m->request_shutdown, CAUSE_GUEST_SHUTDOWN, "as guests of virtual machines do");
    outb(m, 0xcf9, 0x06);
    cr_assert_eq(m->request_reset, CAUSE_GUEST_RESET);
    machine_free(m);
}

Test(q35, suspends_by_its_own_type_and_by_that_of_other_boards)
{
    static const unsigned types[] = { 5, 1 };

    for (unsigned i = 0; i < 2; i++) {
        struct machine *m = q35(64 * MiB);

        open_pm(m);
        port_write(m, 0x602, 1 << 10, 2);                /* RTC_EN */
        port_write(m, 0x604, types[i] << 10 | 1 << 13, 2);
        cr_assert_eq(m->request_reset, CAUSE_NONE);
        pm_rtc_event(m);
        cr_assert_eq(m->request_reset, CAUSE_WAKEUP, "SLP_TYP %u", types[i]);
        machine_free(m);
    }
}

Test(q35, smbus_says_that_nobody_answers)
{
    struct machine *m = q35(64 * MiB);

    cfg_wr(m, SMB, 0x20, 0x700, 4);
    cfg_wr(m, SMB, PCI_COMMAND, PCI_COMMAND_IO, 2);
    outb(m, 0x704, 0xa1);
    outb(m, 0x702, 0x49);
    cr_assert_eq(inb(m, 0x700), 0x04);
    cr_assert_eq(inb(m, 0x702), 0x09, "START reads 0");
    cr_assert_eq(cfg_rd(m, SMB, PCI_STATUS, 2) & PCI_STATUS_INTX, PCI_STATUS_INTX);
    outb(m, 0x700, 0x04);
    cr_assert_eq(inb(m, 0x700), 0);
    cr_assert_eq(cfg_rd(m, SMB, PCI_STATUS, 2) & PCI_STATUS_INTX, 0);
    machine_free(m);
}

Test(q35, shadow_ram_and_smram_have_the_mchs_registers)
{
    struct machine *m = q35(64 * MiB);

    mmio_write(&m->mem, 0xd0000, 0x11, 1);
    cr_assert_eq(mmio_read(&m->mem, 0xd0000, 1), 0xff);
    cfg_wr(m, MCH, 0x93, 0x33, 1);                     /* PAM3: 0xd0000 */
    mmio_write(&m->mem, 0xd0000, 0x11, 1);
    cr_assert_eq(mmio_read(&m->mem, 0xd0000, 1), 0x11);
    cfg_wr(m, MCH, 0x9d, 0x4a, 1);                     /* D_OPEN, G_SMRAME */
    mmio_write(&m->mem, 0xa0000, 0x22, 1);
    cr_assert_eq(m->ram[0xa0000], 0x22);
    cfg_wr(m, MCH, 0x9d, 0x1a, 1);                     /* D_LCK */
    cfg_wr(m, MCH, 0x9d, 0x4a, 1);
    cr_assert_eq(cfg_rd(m, MCH, 0x9d, 1) & 0x40, 0);
    machine_free(m);
}

Test(q35, the_board_is_left_as_firmware_would)
{
    struct machine *m = q35(64 * MiB);

    board_init_like_firmware(m);
    cr_assert_eq(cfg_rd(m, LPC, 0x60, 4), 0x0b0b0a0a);
    cr_assert_eq(cfg_rd(m, LPC, 0x68, 4), 0x0b0b0a0a);
    cr_assert_neq(port_read(m, 0x604, 2), 0xffff, "PM block");
    cr_assert_eq(mmio_read(&m->mem, MCH_ECAM_BASE, 4), 0x29c08086);
    cr_assert_eq(mmio_read(&m->mem, ICH9_RCBA + 0x3140, 2), 0x3210);
    cr_assert_geq(cfg_rd(m, SATA, 0x24, 4), 0xc0000000);
    cr_assert_eq(cfg_rd(m, SATA, PCI_INT_LINE, 1), 10);
    machine_free(m);
}

/* Tables begin at multiples of 16. */
static const uint8_t *find(const struct acpi_tables *t, const char *sig)
{
    for (size_t at = 0; at + 64 <= t->len; at += 16)
        if (memcmp(t->tables + at, sig, 4) == 0)
            return t->tables + at;
    return NULL;
}

Test(q35, tables_name_the_window_and_the_ich9s_registers)
{
    struct machine *m = q35(64 * MiB);
    struct acpi_tables *t = acpi_build(m);
    const uint8_t *mcfg = find(t, "MCFG");
    const uint8_t *fadt = find(t, "FACP");

    cr_assert_not_null(mcfg);
    cr_assert_eq(ldl64(mcfg + 44), MCH_ECAM_BASE);
    cr_assert_eq(mcfg[55], 255);
    cr_assert_not_null(fadt);
    cr_assert_eq(ldl32(fadt + 80), ACPI_PM_BASE + 0x20);
    cr_assert_eq(fadt[92], 16);
    acpi_free(t);
    cfg_wr(m, MCH, 0x60, 0xe0000001, 4);
    t = acpi_build(m);
    mcfg = find(t, "MCFG");
    cr_assert_eq(ldl64(mcfg + 44), 0xe0000000);
    acpi_free(t);
    machine_free(m);
}
