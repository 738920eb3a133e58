/*
 * ahci-int.h - inside the AHCI controller
 *
 * Each port takes its commands from the slots in memory. NCQ commands run side
 * by side; others one after another, and not beside NCQ ones. Stopping a port
 * (ST cleared), resetting it or the controller waits for its disk requests, and
 * only then forgets the slots.
 */
#ifndef HW_DISK_AHCI_INT_H
#define HW_DISK_AHCI_INT_H

#include "hw/disk/ahci.h"
#include "hw/dma/sg.h"
#include "hw/pci/msi.h"

#define AHCI_SLOTS 32

enum { /* port registers */
    P_CLB = 0x00, P_CLBU = 0x04, P_FB = 0x08, P_FBU = 0x0c, P_IS = 0x10, P_IE = 0x14,
    P_CMD = 0x18, P_TFD = 0x20, P_SIG = 0x24, P_SSTS = 0x28, P_SCTL = 0x2c, P_SERR = 0x30,
    P_SACT = 0x34, P_CI = 0x38, P_SNTF = 0x3c,
};
enum { CMD_ST = 1, CMD_SUD = 2, CMD_POD = 4, CMD_CLO = 8, CMD_FRE = 1 << 4, CMD_FR = 1 << 14,
       CMD_CR = 1 << 15, CMD_ATAPI = 1 << 24 };
enum { IS_DHRS = 1, IS_PSS = 2, IS_SDBS = 8, IS_TFES = 1 << 30 };

struct ahci_port;

struct ahci_slot {
    struct ahci_port *port;
    struct drive_req req;
    struct sg sg;
    bool active, ncq, pio, to_memory;
    uint8_t tag;
    uint64_t lba;               /* for the error log */
    uint64_t header;            /* guest address of the command header */
    uint32_t bytes;
    uint32_t trim_at, trim_end; /* bytes of the list of DATA SET MANAGEMENT */
    struct ata_tf tf;
};

struct ahci_port {
    struct ahci *ahci;
    unsigned n;
    struct ata_dev ata;
    uint64_t clb, fb;
    uint32_t is, ie, cmd, tfd, sctl, serr, sact, ci;
    uint32_t running;           /* slots with a disk request in flight */
    bool single;                /* a non-NCQ command is running */
    bool halted;                /* after an error, until ST is cleared */
    bool cancelled;             /* being stopped: forget results */
    bool in_reset;              /* SRST set by a control FIS */
    uint8_t bad_tag;            /* of the last NCQ error */
    uint64_t bad_lba;
    struct ata_tf tf;
    struct ahci_slot slot[AHCI_SLOTS];
};

struct ahci {
    struct pci_device pci;
    struct msi msi;
    struct mem_region mem;
    uint32_t ghc, is;
    int32_t addr;
    struct ahci_port port[AHCI_PORTS];
};

/* ahci.c */
/** ahci_raise() - set @bits of PxIS, with an interrupt if they are enabled */
void ahci_raise(struct ahci_port *p, uint32_t bits);
/* ahci-cmd.c */
/** ahci_run() - start what the guest has issued, as far as the port is free */
void ahci_run(struct ahci_port *p);
/** ahci_stop() - wait for requests, forget the slots */
void ahci_stop(struct ahci_port *p);
/** ahci_device_reset() - COMRESET or soft reset: signature, first FIS */
void ahci_device_reset(struct ahci_port *p);

#endif
