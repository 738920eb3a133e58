/*
 * fdc-int.h - what the parts of the floppy disk controller share: registers (fdc.c), commands (fdc-cmd.c)
 */
#ifndef HW_DISK_FDC_INT_H
#define HW_DISK_FDC_INT_H

#include "hw/disk/fdc.h"

#define FDC_SECTOR      512u
#define FDC_BUF_SECTORS 72u          /* both sides of a 2.88 MB track */
#define FDC_MAX_BYTES   16           /* of a command, of its result */

/** enum - status register 0 of what cannot be carried out */
enum { ST0_INVALID = 0x80 };

/** struct fdc_geometry - of a medium */
struct fdc_geometry {
    uint16_t sectors;                /* of the medium */
    uint8_t tracks, heads, per_track, cmos;
};

/** struct fdd - a drive */
struct fdd {
    struct fdc *s;
    struct drive *drive;
    struct fdc_geometry g;
    uint8_t track;                   /* where the head is */
    bool changed;
};

/** struct fdc - the chip */
struct fdc {
    struct device dev;
    struct fdd fdd[FDC_DRIVES];
    uint8_t dor, tdr, dsr, ccr, lock, perpendicular, config[3], specify[2];
    uint8_t in[FDC_MAX_BYTES], n_in, want;   /* command bytes */
    uint8_t out[FDC_MAX_BYTES], n_out, at;   /* result bytes */
    uint8_t polls;                   /* interrupts of a reset not yet sensed */
    uint8_t st0;                     /* of the seek that ended; 0: none */
    bool seek_done, busy, cancelled;
    /* the transfer being carried out */
    struct drive_req req;
    struct iovec iov;
    uint32_t bytes;
    uint8_t buf[FDC_BUF_SECTORS * FDC_SECTOR];
};

/** fdc_unit() - drive @n, of which two bits count; NULL: there is none */
struct fdd *fdc_unit(struct fdc *s, unsigned n);
/** fdc_set_irq() - the interrupt line, as DOR lets it pass */
void fdc_set_irq(struct fdc *s, int level);
/** fdc_idle() - ready for a command */
void fdc_idle(struct fdc *s);
/** fdc_result() - the command's result phase: @n bytes, up to FDC_MAX_BYTES */
void fdc_result(struct fdc *s, const uint8_t *bytes, unsigned n);

/** fdc_command_bytes() - length of the command that begins with @code, 1 to FDC_MAX_BYTES; 0: no such one */
unsigned fdc_command_bytes(uint8_t code);
/** fdc_command_run() - carry out the command in s->in, which is complete */
void fdc_command_run(struct fdc *s);
/** fdc_dma_chip() - the 8237 pair, or NULL */
struct device *fdc_dma_chip(const struct fdc *s);

#endif
