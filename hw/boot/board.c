/*
 * board.c - the state in which firmware leaves the board
 *
 * Done through the same configuration registers and ports that firmware uses.
 */
#include "hw/acpi/acpi.h"
#include "hw/boot/linux.h"
#include "hw/intc/intc.h"
#include "hw/pci/pci.h"

#define IO_BARS_AT   0xc000u
#define MEM_BARS_END 0xfec00000u

static const uint8_t pirq_line[4] = { 10, 10, 11, 11 };

static uint32_t next_io(uint32_t *at, uint64_t size)
{
    uint32_t v = align_up(*at, size);

    *at = v + size;
    return v;
}

/* Downwards from the chips at 0xfec00000, so that no low end is needed. */
static uint32_t next_mem(uint64_t *top, uint64_t low, uint64_t size)
{
    size = MAX(size, 4096ull);
    if (size > *top - low || align_down(*top - size, size) < low)
        return 0;
    *top = align_down(*top - size, size);
    return *top;
}

static void assign_bars(struct pci_device *p, uint32_t *io, uint64_t *mem, uint64_t low)
{
    uint16_t cmd = pci_config_read(p, PCI_COMMAND, 2);

    for (unsigned n = 0; n < ARRAY_SIZE(p->bar); n++) {
        struct pci_bar *b = &p->bar[n];
        unsigned off = n == PCI_ROM_SLOT ? PCI_ROM_BAR : PCI_BAR0 + 4 * n;

        if (!b->size)
            continue;
        if (b->flags & PCI_BAR_IO)
            pci_config_write(p, off, next_io(io, b->size), 4);
        else
            pci_config_write(p, off, next_mem(mem, low, b->size), 4);
        cmd |= b->flags & PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEM;
    }
    if (p->config[PCI_INT_PIN])
        pci_config_write(p, PCI_INT_LINE,
                         pirq_line[pci_pirq_of(p->bus, p->devfn, p->config[PCI_INT_PIN]) & 3], 1);
    pci_config_write(p, PCI_COMMAND, cmd, 2);
}

static void assign_all_bars(struct machine *m)
{
    uint64_t mem = MEM_BARS_END, low = acpi_pci_window(m);
    uint32_t io = IO_BARS_AT;

    for (unsigned devfn = 0; devfn < 256; devfn++) {
        struct pci_device *p = pci_find(m->pci, 0, devfn);

        if (p)
            assign_bars(p, &io, &mem, low);
    }
}

static void chip_write(struct machine *m, uint8_t devfn, unsigned reg, uint32_t v, unsigned size)
{
    struct pci_device *p = pci_find(m->pci, 0, devfn);

    if (p)
        pci_config_write(p, reg, v, size);
}

static void route_pirqs(struct machine *m, uint8_t devfn, unsigned reg)
{
    for (unsigned i = 0; i < 4; i++)
        chip_write(m, devfn, reg + i, pirq_line[i], 1);
}

static void init_pc(struct machine *m)
{
    const uint8_t isa = PCI_DEVFN(1, 0), pm = PCI_DEVFN(1, 3);

    route_pirqs(m, isa, 0x60);
    chip_write(m, pm, 0x40, ACPI_PM_BASE | 1, 4);
    chip_write(m, pm, 0x80, 1, 1);
    chip_write(m, pm, 0x90, ACPI_SMB_BASE | 1, 4);
    chip_write(m, pm, 0xd2, 9, 1);
    chip_write(m, pm, PCI_INT_LINE, 9, 1);
}

static void init_q35(struct machine *m)
{
    const uint8_t mch = PCI_DEVFN(0, 0), lpc = PCI_DEVFN(31, 0);

    route_pirqs(m, lpc, 0x60);
    route_pirqs(m, lpc, 0x68);
    chip_write(m, lpc, 0x40, ACPI_PM_BASE | 1, 4);
    chip_write(m, lpc, 0x44, 0x80, 1);           /* ACPI_EN, SCI is IRQ 9 */
    chip_write(m, lpc, 0xf0, ICH9_RCBA | 1, 4);
    chip_write(m, mch, 0x64, 0, 4);
    chip_write(m, mch, 0x60, MCH_ECAM_BASE | 1, 4);
}

/* 8259 pair at vectors 0x08 and 0x70, only the timer and the cascade open; 18.2 Hz. */
static void legacy_interrupts(struct machine *m)
{
    static const struct { uint16_t port; uint8_t val; } writes[] = {
        { 0x20, 0x11 }, { 0x21, 0x08 }, { 0x21, 0x04 }, { 0x21, 0x01 }, { 0x21, 0xfa },
        { 0xa0, 0x11 }, { 0xa1, 0x70 }, { 0xa1, 0x02 }, { 0xa1, 0x01 }, { 0xa1, 0xff },
        { 0x43, 0x34 }, { 0x40, 0x00 }, { 0x40, 0x00 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
        port_write(m, writes[i].port, writes[i].val, 1);
}

/* Both channels of the PIIX3 IDE decode their ports: drivers believe these bits. */
static void enable_ide(struct machine *m)
{
    struct pci_device *ide = pci_find(m->pci, 0, PCI_DEVFN(1, 1));

    if (ide && pci_config_read(ide, 0, 4) == 0x70108086)
        pci_config_write(ide, 0x40, 0x80008000, 4);
}

/* The 8259s' INTR reaches the boot CPU through LINT0, NMI through LINT1. */
static void virtual_wire(struct machine *m)
{
    struct lapic *a = m->n_vcpus && m->vcpus[0] ? m->vcpus[0]->lapic : NULL;

    if (!a)
        return;
    lapic_mmio_write(a, 0x0f0, 0x1ff, 4);
    lapic_mmio_write(a, 0x350, 0x00700, 4);
    lapic_mmio_write(a, 0x360, 0x00400, 4);
}

void board_init_like_firmware(struct machine *m)
{
    assign_all_bars(m);
    if (m->cfg.board == BOARD_Q35)
        init_q35(m);
    else
        init_pc(m);
    port_write(m, 0x4d0, 0, 1);
    port_write(m, 0x4d1, 0x0e, 1);       /* ELCR: lines 9, 10, 11 are level */
    enable_ide(m);
    legacy_interrupts(m);
    virtual_wire(m);
    port_write(m, 0x92, 0x02, 1);        /* A20 */
    pci_shadow_set(m, 1);
}
