/*
 * host.h - what the host bridges share: configuration mechanism #1, the reset
 * control register among its ports, and the shadow RAM windows below 1 MiB
 */
#ifndef HW_PCI_HOST_H
#define HW_PCI_HOST_H

#include "hw/pci/pci.h"

#define PAM_WINDOWS 13

/** struct pci_host - ports 0xcf8..0xcff; 0xcf9 is the ISA bridge's RC */
struct pci_host {
    struct machine *m;
    uint32_t address;              /* CONFADD */
    uint8_t rc;                    /* reset control */
};

/** pci_host_init() - claim the ports; the bus is m->pci */
void pci_host_init(struct pci_host *h, struct machine *m);
void pci_host_reset(struct pci_host *h);

/**
 * struct shadow - 0xA0000..0xFFFFF belongs to PCI unless a register says
 * otherwise: the "hole" region hides the RAM there, and thirteen windows (PAM)
 * bring it back, for reads, writes or both; another one opens SMRAM.
 * A window that only takes writes is slow MMIO; firmware uses it for moments.
 */
struct shadow {
    struct pci_device *bridge;
    uint8_t pam_reg, smram_reg;    /* in the bridge's configuration space */
    struct mem_region hole, smram;
    struct pam {
        struct mem_region r;
        struct shadow *shadow;
    } pam[PAM_WINDOWS];
};

/** shadow_init() - map the windows, set the registers' write masks */
void shadow_init(struct shadow *s, struct pci_device *bridge, uint8_t pam_reg, uint8_t smram_reg);
/** shadow_reset() - registers to 0, all windows closed, those of RAM at the end of S3 excepted; after pci_device_reset() */
void shadow_reset(struct shadow *s);
/** shadow_written() - from the bridge's config_written() */
void shadow_written(struct shadow *s, unsigned off, unsigned size);
void shadow_free(struct shadow *s);

#endif
