/*
 * ata.h - what ATA and ATAPI devices do, whatever controller they hang on
 *
 * The controller (ide.c, ahci.c) moves registers and data; here are the
 * meaning of commands, identification and packet commands.
 *
 * Source: ATA/ATAPI-7 (T13/1532D), INCITS MMC-5, SPC-3.
 */
#ifndef HW_DISK_ATA_H
#define HW_DISK_ATA_H

#include "hw/disk/drive.h"
#include "hw/dma/sg.h"
#include "hw/prop.h"

#define ATA_SECTOR     512u
#define ATA_MULT_MAX   16u
#define CD_BLOCK       2048u
#define ATAPI_BUF      4096u     /* replies that are not data of the medium */
#define ATA_LBA28_MAX  0x0fffffffull
#define ATA_DSM        0x06      /* DATA SET MANAGEMENT */
#define ATA_TRIM_MAX   8u        /* blocks of ranges that it takes */

enum { /* status register */
    ATA_ERR = 0x01, ATA_DRQ = 0x08, ATA_DSC = 0x10, ATA_DF = 0x20, ATA_DRDY = 0x40, ATA_BSY = 0x80,
};
enum { /* error register */
    ATA_ABRT = 0x04, ATA_IDNF = 0x10, ATA_UNC = 0x40,
};
enum { ATA_DEV_LBA = 0x40, ATA_DEV_SELECT = 0x10 };

/** struct ata_tf - the command block registers; [1] is what was there before:
 *  the high order bytes of 48-bit commands */
struct ata_tf {
    uint8_t feature[2], count[2], lba_low[2], lba_mid[2], lba_high[2];
    uint8_t device, command;
};

enum ata_move { ATA_NO_DATA, ATA_PIO_IN, ATA_PIO_OUT, ATA_DMA_IN, ATA_DMA_OUT, ATA_PACKET };

/** struct ata_op - what an opcode of the read/write family means */
struct ata_op {
    uint8_t code;
    enum ata_move move;
    bool ext;                   /* 48-bit */
    bool multi;                 /* blocks of several sectors */
    bool fua;
    bool ncq;
};

/** struct atapi - packet device: sense, tray */
struct atapi {
    uint8_t key, asc, ascq;     /* sense */
    bool tray_open, locked;
    bool changed;               /* UNIT ATTENTION due */
    uint8_t event;              /* media event for GET EVENT STATUS */
    bool present;               /* medium at the last look */
    uint32_t len;               /* bytes in buf */
    uint8_t buf[ATAPI_BUF];
};

/** struct ata_dev - one disk or CD-ROM */
struct ata_dev {
    struct device *owner;       /* whose drive this is */
    struct drive *drive;        /* NULL: nobody at home */
    bool cd;
    uint8_t mult;               /* SET MULTIPLE; 0: off */
    uint8_t udma, mdma;         /* mode numbers chosen, 0xff: none */
    uint16_t heads, sectors;    /* CHS translation */
    uint8_t ncq_depth;          /* 0: no NCQ */
    bool sata;                  /* a serial link: no cable to detect */
    const char *serial, *model, *ver; /* NULL: defaults; serial is of the drive */
    uint32_t unit;              /* for a default serial number */
    struct atapi atapi;
};

enum atapi_what {
    ATAPI_DONE,     /* good, no data */
    ATAPI_REPLY,    /* buf[0..len) goes to the host */
    ATAPI_READ,     /* *lba, *n: blocks of the medium go to the host */
    ATAPI_FAILED,   /* sense says why */
    ATAPI_TAKE,     /* the host sends a parameter list, which is ignored */
};

/** ata_op() - the row of a read or write command, or NULL */
const struct ata_op *ata_op(uint8_t code);
/** ata_attach() - claim the drive, which tells @d about changes of the medium */
int ata_attach(struct ata_dev *d, struct device *owner, struct err *e) MUST_CHECK;
/** ata_dev_reset() - power-on state */
void ata_dev_reset(struct ata_dev *d);
/** ata_signature() - count, LBA and device registers after reset */
void ata_signature(const struct ata_dev *d, struct ata_tf *tf);
/** ata_identify() - IDENTIFY DEVICE or IDENTIFY PACKET DEVICE data, 512 bytes */
void ata_identify(const struct ata_dev *d, uint8_t *buf);
/**
 * ata_range() - first sector and number of sectors of a read or write
 * Returns false when they are not all on the medium.
 */
bool ata_range(const struct ata_dev *d, const struct ata_tf *tf, const struct ata_op *op,
               uint64_t *lba, uint32_t *n);
/** ata_set_lba() - put @lba into the registers, as the command addresses it */
void ata_set_lba(const struct ata_dev *d, struct ata_tf *tf, bool ext, uint64_t lba);
/**
 * ata_simple() - carry out a command that moves no data and needs no disk
 * Returns 0, or the bits of the error register (ATA_ABRT for all unknown).
 */
uint8_t ata_simple(struct ata_dev *d, struct ata_tf *tf);
/** ata_is_flush() - FLUSH CACHE and FLUSH CACHE EXT */
bool ata_is_flush(uint8_t code);
/**
 * ata_trim_bytes() - what DATA SET MANAGEMENT in @tf wants to send: a list of ranges to give up
 * Returns 0 when the command is to be aborted: the drive does not discard, not TRIM, too long.
 */
uint32_t ata_trim_bytes(const struct ata_dev *d, const struct ata_tf *tf);
/**
 * ata_trim_next() - the next range of @list, which ends at byte @end; *@at: where, moved on
 * Returns 1 with @lba and @n (1 to 65535 sectors); 0: there are no more; -EINVAL: not on the medium.
 * Source: ATA8-ACS-2 (T13/2015-D), 7.5.
 */
int ata_trim_next(const struct ata_dev *d, const struct sg *list, uint32_t *at, uint32_t end,
                  uint64_t *lba, uint32_t *n);

/** atapi_command() - decide about a packet; see enum atapi_what */
enum atapi_what atapi_command(struct ata_dev *d, const uint8_t *cdb, uint64_t *lba, uint32_t *n);
void atapi_sense(struct ata_dev *d, uint8_t key, uint8_t asc, uint8_t ascq);
/** atapi_read_failed() - sense of a read error */
void atapi_read_failed(struct ata_dev *d, int err);
/** atapi_medium() - a medium has come or gone; the tray stays as it is */
void atapi_medium(struct ata_dev *d);
/** atapi_tray - lock, tray and eject button, which GET EVENT STATUS tells the guest of; opaque: the
 *  struct ata_dev */
extern const struct drive_tray atapi_tray;

#endif
