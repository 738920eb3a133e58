/*
 * msi.h - message signalled interrupts: MSI and MSI-X capabilities
 *
 * The device calls msi_notify() or msix_notify() under the machine lock (block
 * completions run there); a message is a call of lapic_msi(). Masked vectors
 * become pending and are sent when the guest unmasks them.
 *
 * Source: PCI Local Bus Specification 3.0, 6.8.1 (MSI) and 6.8.2 (MSI-X).
 */
#ifndef HW_PCI_MSI_H
#define HW_PCI_MSI_H

#include "hw/pci/pci.h"

#define MSIX_MAX_VECTORS 128
#define MSIX_NO_VECTOR   0xffff

/** struct msi - state beyond configuration space */
struct msi {
    struct pci_device *pci;
    uint8_t cap;                 /* offset; 0: no such capability */
    uint8_t vectors;
};

/**
 * msi_init() - add the capability: 64-bit address, per-vector masks
 * @vectors: power of two, 1..32
 * Returns 0 or -ENOSPC with @e set.
 */
int msi_init(struct msi *x, struct pci_device *p, unsigned vectors, struct err *e) MUST_CHECK;
void msi_reset(struct msi *x);
bool msi_enabled(const struct msi *x);
/** msi_notify() - send vector @n (wrapped into those the guest allocated) */
void msi_notify(struct msi *x, unsigned n);
/** msi_written() - from the device's config_written(): sends what was pending; enabled, the pin goes down */
void msi_written(struct msi *x, unsigned off, unsigned size);

/** struct msix - table and pending bits, in a memory BAR of their own */
struct msix {
    struct pci_device *pci;
    uint8_t cap;
    uint16_t vectors;
    struct mem_region mem;
    uint8_t table[MSIX_MAX_VECTORS * 16];
    uint8_t pba[MSIX_MAX_VECTORS / 8];
};

/**
 * msix_init() - add the capability, and BAR @bar of 4 KiB: table at 0, PBA at 0x800
 * @vectors: 1..MSIX_MAX_VECTORS
 */
int msix_init(struct msix *x, struct pci_device *p, unsigned bar, unsigned vectors,
              struct err *e) MUST_CHECK;
void msix_reset(struct msix *x);
bool msix_enabled(const struct msix *x);
/** msix_notify() - send vector @n; a number that does not exist is ignored */
void msix_notify(struct msix *x, unsigned n);
/** msix_written() - the same for MSI-X */
void msix_written(struct msix *x, unsigned off, unsigned size);

#endif
