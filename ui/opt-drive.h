/*
 * opt-drive.h - disks and devices of the command line
 */
#ifndef UI_OPT_DRIVE_H
#define UI_OPT_DRIVE_H

#include "block/block.h"
#include "hw/disk/drive.h"
#include "hw/user-devices.h"
#include "ui/kv.h"

struct options;

/** struct opt_drive - one -drive, -blockdev, -hda, ... */
struct opt_drive {
    char *text;                  /* option and argument, for messages */
    char *id;
    enum drive_if interface;
    int bus, unit;               /* -1: to be chosen */
    int index;                   /* -1: to be chosen */
    bool cdrom;
    char *serial;
    struct block_opts opts;
    bool blockdev;               /* by node-name */
    bool protocol;               /* -blockdev driver=file: others build on it */
    bool used;                   /* another -blockdev is above it */
    struct opt_drive *next;
};

/** struct opt_dev - one -device */
struct opt_dev {
    const struct user_device *type;
    struct kv_list props;        /* without driver and id */
    char *id;                    /* or NULL */
    struct opt_dev *next;
};

/** struct opt_disks - part of struct options */
struct opt_disks {
    struct opt_drive *drives;
    struct opt_dev *devs;
    const struct user_device *help; /* -device X,help */
    bool snapshot;               /* -snapshot: all drives */
};

/** blockdev_find() - a -blockdev or blockdev-add by node-name, or NULL */
struct opt_drive *blockdev_find(const struct options *o, const char *name);
/** blockdev_add() - one more node, while the machine runs; NULL with @e set. It is not opened.
 *  blockdev_del() - forget it */
struct opt_drive *blockdev_add(struct options *o, struct kv_list *l, struct err *e) MUST_CHECK;
void blockdev_del(struct options *o, struct opt_drive *d);
/** disks_device() - -device of the table in hw/user-devices.h; 1 when it is none
 *  of them, else as an option's set() */
int disks_device(struct options *o, const char *val, struct err *e);
/** disks_finish() - places and names of drives that gave none; 0 or -EINVAL */
int disks_finish(struct options *o, struct err *e) MUST_CHECK;
/** disks_options_free() - drives and devices of the command line */
void disks_options_free(struct opt_disks *d);
/** disks_device_help() - -device help, and X,help when @u is given */
void disks_device_help(const struct user_device *u, FILE *f);

int opt_drive(struct options *o, const char *val, struct err *e);
int opt_blockdev(struct options *o, const char *val, struct err *e);
int opt_hda(struct options *o, const char *val, struct err *e);
int opt_hdb(struct options *o, const char *val, struct err *e);
int opt_hdc(struct options *o, const char *val, struct err *e);
int opt_hdd(struct options *o, const char *val, struct err *e);
int opt_cdrom(struct options *o, const char *val, struct err *e);
int opt_fda(struct options *o, const char *val, struct err *e);
int opt_fdb(struct options *o, const char *val, struct err *e);
int opt_pflash(struct options *o, const char *v, struct err *e);
int opt_snapshot(struct options *o, const char *val, struct err *e);

#endif
