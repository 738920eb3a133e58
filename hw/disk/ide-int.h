/*
 * ide-int.h - inside the PIIX3 IDE controller
 *
 * A unit is in one phase at a time. Data of PIO commands go through buf; when
 * the host has moved all of a block, data_done() decides what comes next. A
 * disk request in flight means BSY, and BSY means that command and data
 * registers are not looked at: so there is never more than one request a
 * channel, and a reset waits for it before anything is cleared.
 */
#ifndef HW_DISK_IDE_INT_H
#define HW_DISK_IDE_INT_H

#include "hw/disk/ide.h"
#include "hw/dma/sg.h"

#define IDE_BUF_BYTES  (64u * 1024)      /* most that one DRQ block may hold */
#define IDE_AHEAD      (32u * 1024)      /* what PIO reads of the medium at once, when it is more */
#define IDE_DMA_CHUNK  (1u << 20)        /* bytes a disk request of a DMA command */

struct ide_channel;

enum ide_phase { IDE_IDLE, IDE_BUSY, IDE_DATA_IN, IDE_DATA_OUT, IDE_PACKET, IDE_DMA_WAIT };

struct ide_unit {
    struct ide_channel *ch;
    struct ata_dev ata;
    struct ata_tf tf;
    uint8_t status, error;
    enum ide_phase phase;
    void (*data_done)(struct ide_unit *u);  /* the host moved buf[0..end) */
    uint32_t pos, end;          /* in buf */
    uint8_t *buf;               /* IDE_BUF_BYTES; owned */
    /* the command being carried out */
    uint64_t lba;               /* next block of the medium */
    uint32_t left;              /* blocks still to do */
    uint32_t now;               /* blocks in the request or in buf */
    uint32_t block;             /* bytes: 512 or 2048 */
    bool write, fua, ext, dma;
    uint32_t per_drq;           /* sectors a DRQ block */
    bool trim;                  /* DATA SET MANAGEMENT: sg is the list, left its blocks */
    uint32_t trim_at;           /* next byte of it */
    bool cancelled;             /* a reset came: forget the result */
    struct drive_req req;
    struct iovec iov;
    struct sg sg;
    bool sg_used;
    uint32_t have;              /* PIO: bytes of the medium in buf */
    uint32_t reply_at;          /* next of them, or of the reply, for the host */
    bool piecewise;             /* reading ahead has failed: one DRQ block at a time */
    /* ATAPI */
    uint32_t limit;             /* byte count limit of PIO */
    bool reply_dma;             /* REPLY by bus master */
};

/** struct ide_bm - bus master registers and the walk through its table */
struct ide_bm {
    uint8_t cmd, status;
    uint32_t table;
    uint32_t at;                /* next entry */
    uint32_t addr, bytes;       /* rest of the current one */
    bool last;                  /* that was the one with EOT */
    uint32_t entries;           /* read since the start: bounded */
};

struct ide_channel {
    struct ide *ide;
    struct ide_unit u[IDE_UNITS];
    const struct irq_line *irq;
    uint8_t selected, control;
    bool intrq;                 /* the device asks, heard or not */
    struct ide_bm bm;
};

struct ide {
    struct pci_device pci;
    struct ide_channel ch[IDE_CHANNELS];
};

enum { BM_START = 1, BM_TO_MEMORY = 8 };                         /* BMICX */
enum { BM_ACTIVE = 1, BM_ERROR = 2, BM_INTERRUPT = 4, BM_CAPABLE = 0x60 }; /* BMISX */

static inline bool ide_present(const struct ide_unit *u)
{
    return u->ata.drive != NULL;
}

/* ide.c */
void ide_irq(struct ide_channel *ch, int level);
/* ide-cmd.c */
/* commands that are heard when others are not */
enum { IDE_DEVICE_RESET = 0x08, IDE_DIAGNOSTIC = 0x90 };

/** ide_command() - the guest wrote the command register, @u is present and may take it */
void ide_command(struct ide_unit *u, uint8_t command);
void ide_done(struct ide_unit *u);                 /* good ending, with interrupt */
void ide_abort(struct ide_unit *u, uint8_t error); /* bad ending, with interrupt */
/** ide_to_host() - the first @bytes of buf are there for the host, with interrupt; then @then */
void ide_to_host(struct ide_unit *u, uint32_t bytes, void (*then)(struct ide_unit *u));
/** ide_piece_to_host() - likewise, the next @bytes of what is in buf */
void ide_piece_to_host(struct ide_unit *u, uint32_t bytes, void (*then)(struct ide_unit *u));
/** ide_from_host() - buf wants @bytes from the host, with interrupt if @irq; then @then */
void ide_from_host(struct ide_unit *u, uint32_t bytes, void (*then)(struct ide_unit *u), bool irq);
/** ide_submit() - disk request; @cb runs unless a reset came first */
void ide_submit(struct ide_unit *u, enum block_op op, uint64_t off, uint64_t len,
                void (*cb)(struct drive_req *r, int ret));
/** ide_cancel() - forget the disk request that is under way */
void ide_cancel(struct ide_unit *u);
/** ide_unit_reset() - after power on, SRST, DEVICE RESET, EXECUTE DEVICE DIAGNOSTIC: the signature */
void ide_unit_reset(struct ide_unit *u);
/* ide-atapi.c */
void ide_packet(struct ide_unit *u);
void ide_atapi_dma(struct ide_unit *u);
/* ide-dma.c */
void ide_bm_start(struct ide_channel *ch);
void ide_bm_master_on(struct pci_device *pci);   /* struct pci_device.master_on */
void ide_bm_stop(struct ide_channel *ch);
/** ide_dma_begin() - a DMA command was accepted: goes on when the bus master runs */
void ide_dma_begin(struct ide_unit *u);
/** ide_bm_take() - the next @bytes of the guest's table into u->sg; false: it is too short */
bool ide_bm_take(struct ide_unit *u, uint32_t bytes, bool to_memory);
/** ide_bm_done() - end of a DMA command */
void ide_bm_done(struct ide_unit *u, bool error);

#endif
