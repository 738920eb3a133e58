/*
 * drive.h - what sits between a disk controller and a struct block
 *
 * A drive is what -drive or -blockdev made: it belongs to the machine, and at
 * most one device owns it. Its requests follow werror= and rerror=: a request
 * that fails under "stop" is parked, the guest is paused, and it is tried again
 * when the user continues; the device does not notice.
 *
 * When time is counted (hw/outside.h) the host carries a request out at once, as far as the guest can
 * tell, and it ends a time after its submission that follows from its length alone.
 *
 * All calls and callbacks: machine lock held. Callbacks come from the main loop
 * (or from drive_drain(), or block_unplug()), never from inside drive_submit(). Controllers
 * never drain from a callback.
 */
#ifndef HW_DISK_DRIVE_H
#define HW_DISK_DRIVE_H

#include "block/block.h"
#include "hw/hw.h"

enum drive_if { DRIVE_IF_NONE, DRIVE_IF_IDE, DRIVE_IF_VIRTIO, DRIVE_IF_FLOPPY, DRIVE_IF_SCSI,
                DRIVE_IF_PFLASH, DRIVE_IF_COUNT };

struct drive_req;

/** struct drive_tray - what the device of a drive with removable media tells and does
 *  @opaque: of drive_claim(). A NULL function: no lock, always closed, no button. */
struct drive_tray {
    bool (*locked)(void *opaque);       /* the guest holds the medium */
    bool (*open)(void *opaque);
    void (*ask)(void *opaque);          /* eject button pressed: the guest may let go */
    void (*move)(void *opaque, bool open); /* to this position, whoever holds what; NULL: no tray */
};

struct drive {
    char *id;                   /* owned */
    struct block *blk;          /* owned */
    struct machine *machine;
    enum drive_if interface;
    int bus, unit;
    bool cdrom;
    char *serial;               /* owned, or NULL */
    struct device *owner;       /* device that uses it, or NULL */
    void (*changed)(void *opaque);  /* medium or size changed; the owner's */
    void *changed_opaque;
    const struct drive_tray *tray; /* NULL: the medium stays in the drive */
    struct drive_req *parked;   /* waiting for "cont" */
    unsigned in_flight;
    struct drive *next;         /* of the machine, in order of construction */
};

/** struct drive_req - a block request on behalf of a device */
struct drive_req {
    struct block_req r;         /* op, flags, off, len, iov, niov: the device's */
    struct drive *drive;
    void (*cb)(struct drive_req *r, int ret);  /* 0 or -errno; may submit, may free */
    void *opaque;
    bool ahead;                 /* more than was asked for: a failure goes to cb alone, which tries less */
    struct drive_req *next_parked;
    struct timer due;           /* counted time: it ends then, */
    int ret;                    /* with this result */
};

/** drive_new() - add a drive to @m; owns @blk from here on. @id is copied. */
struct drive *drive_new(struct machine *m, const char *id, struct block *blk);
/** drive_find() - by id, or NULL */
struct drive *drive_find(struct machine *m, const char *id);
/** drive_claim() - @owner uses @d now; -EBUSY with @e when another does */
int drive_claim(struct drive *d, struct device *owner, void (*changed)(void *opaque),
                void *opaque, struct err *e) MUST_CHECK;
/** drive_eject() - take the medium out
 *  -EPERM with @e when it cannot be removed, or the guest has locked it and not
 *  @force (the guest is asked to let go). What was written reaches it before. */
int drive_eject(struct drive *d, bool force, struct err *e) MUST_CHECK;
/** drive_change() - take the medium out and put in what @o names; same refusals,
 *  or the new image cannot be opened (the drive is empty then) */
int drive_change(struct drive *d, const struct block_opts *o, bool force, struct err *e) MUST_CHECK;
/** drive_release() - drain and give it back */
void drive_release(struct drive *d);
/** drive_del() - close the image of a drive that no device owns, and remove it
 *  -EBUSY with @e: one does; else the error of the last write-back */
int drive_del(struct drive *d, struct err *e) MUST_CHECK;
/** drive_may_open() - whether the tray may be opened, as drive_eject() would */
int drive_may_open(struct drive *d, bool force, struct err *e) MUST_CHECK;
/** drive_tray_move() - open or close it; programs are told (DEVICE_TRAY_MOVED) unless it was so before,
 *  or the drive has none */
void drive_tray_move(struct drive *d, bool open);
/** drive_tray_open() - whether the drive has a tray, and it is open */
bool drive_tray_open(const struct drive *d);
/** drives_free() - after the machine's devices are gone; closes all images.
 *  Returns 0, or the first error of a write-back with @e naming the drive. */
int drives_free(struct drive *list, struct err *e);

/** drive_submit() - start; ends in exactly one callback */
void drive_submit(struct drive *d, struct drive_req *r);
/** drive_drain() - until no request is in flight; parked ones are cancelled
 *  (-ECANCELED): for resets */
void drive_drain(struct drive *d);
/** drive_busy() - requests in flight or parked */
bool drive_busy(const struct drive *d);
/** drives_stopped() - whether a drive waits with a failed request for the guest to go on */
bool drives_stopped(const struct machine *m);
/** drives_resume() - the guest goes on: try parked requests again */
void drives_resume(struct machine *m);

static inline uint64_t drive_sectors(const struct drive *d)
{
    return block_length(d->blk) / 512;
}

#endif
