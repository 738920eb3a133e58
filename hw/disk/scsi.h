/*
 * scsi.h - what a SCSI disk does, whatever carries the commands to it
 *
 * The carrier (hw/usb/storage.c) moves data and talks to the drive; here are the meaning of
 * commands, replies and sense data. A command is decided in scsi_command(); what it says is
 * to be done then is the carrier's, which reports failures with scsi_failed().
 *
 * Machine lock held. Source: INCITS SPC-4 (primary commands), SBC-3 (block commands).
 */
#ifndef HW_DISK_SCSI_H
#define HW_DISK_SCSI_H

#include "hw/disk/drive.h"

#define SCSI_BLOCK     512u
#define SCSI_REPLY_MAX 256u
#define SCSI_LIST_MAX  4096u         /* bytes of a parameter list */
#define SCSI_RANGES    ((SCSI_LIST_MAX - 8) / 16)

/** struct scsi_disk - one logical unit; everything but sense and medium is the carrier's, set before use */
struct scsi_disk {
    struct drive *drive;
    const char *serial;              /* or NULL */
    bool removable;
    uint8_t key, asc, ascq;          /* sense of the last command that failed */
    bool locked, unloaded;           /* PREVENT ALLOW MEDIUM REMOVAL; START STOP UNIT has put the medium out */
    bool changed;                    /* UNIT ATTENTION is due: another medium, another size */
};

enum scsi_what {
    SCSI_DONE,                       /* good, no data */
    SCSI_REPLY,                      /* reply[0..len) goes to the host */
    SCSI_READ, SCSI_WRITE,           /* @len bytes of the medium at @off */
    SCSI_FLUSH,
    SCSI_LIST,                       /* @len bytes come from the host, for scsi_unmap() */
    SCSI_FAILED,                     /* sense says why */
};

/** struct scsi_op - what a command comes to */
struct scsi_op {
    enum scsi_what what;
    uint64_t off, len;               /* bytes */
    bool fua;                        /* on stable storage before it is answered */
    uint8_t reply[SCSI_REPLY_MAX];
};

/** struct scsi_range - bytes of the medium */
struct scsi_range {
    uint64_t off, len;
};

/** scsi_reset() - power on: no sense, nothing locked */
void scsi_reset(struct scsi_disk *d);
/** scsi_medium() - a medium has come, gone or changed its size */
void scsi_medium(struct scsi_disk *d);
/** scsi_command() - decide about @cdb, of @n bytes (6 to 16; what is missing counts as 0) */
void scsi_command(struct scsi_disk *d, const uint8_t *cdb, unsigned n, struct scsi_op *op);
/**
 * scsi_unmap() - ranges that an UNMAP parameter list of @len bytes names
 * Returns how many of @range, which has room for SCSI_RANGES, or -1: sense says why.
 */
int scsi_unmap(struct scsi_disk *d, const uint8_t *list, unsigned len, struct scsi_range *range);
/** scsi_failed() - sense for a request to the drive that ended with @err (negative errno) */
void scsi_failed(struct scsi_disk *d, enum scsi_what what, int err);

#endif
