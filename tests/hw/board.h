/*
 * board.h - a stepped machine with the PCI chips of the i440FX board, and
 * configuration mechanism #1
 */
#ifndef TESTS_HW_BOARD_H
#define TESTS_HW_BOARD_H

#include "hw/pci/pci.h"
#include "tests/hw/stepped.h"

static inline void board_add(struct machine *m, const struct device_type *t, uint8_t devfn)
{
    struct err e = { "" };

    cr_assert_not_null(machine_add_device(m, t, 0, NULL, pci_setup_devfn, &devfn, &e),
                       "%s", e.msg);
}

static inline struct machine *board_machine(void)
{
    struct machine *m = stepped_machine();

    pci_bus_new(m);
    board_add(m, &i440fx_type, PCI_DEVFN(0, 0));
    board_add(m, &piix3_type, PCI_DEVFN(1, 0));
    board_add(m, &piix4_pm_type, PCI_DEVFN(1, 3));
    machine_reset(m);
    return m;
}

static inline void cfg_select(struct machine *m, uint8_t devfn, uint8_t reg)
{
    port_write(m, 0xcf8, 0x80000000u | devfn << 8 | (reg & 0xfc), 4);
}

static inline uint32_t cfg_rd(struct machine *m, uint8_t devfn, uint8_t reg, unsigned size)
{
    cfg_select(m, devfn, reg);
    return port_read(m, 0xcfc + (reg & 3), size);
}

static inline void cfg_wr(struct machine *m, uint8_t devfn, uint8_t reg, uint32_t v,
                          unsigned size)
{
    cfg_select(m, devfn, reg);
    port_write(m, 0xcfc + (reg & 3), v, size);
}

#endif
