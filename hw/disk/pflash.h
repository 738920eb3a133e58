/*
 * pflash.h - parallel flash chips with firmware and its variables
 */
#ifndef HW_DISK_PFLASH_H
#define HW_DISK_PFLASH_H

#include "hw/disk/drive.h"

#define PFLASH_UNITS 2
#define PFLASH_MAX   (16 * MiB)   /* all chips together */

/**
 * pflash_add_all() - the chips of -drive if=pflash and -machine pflash0=, pflash1=
 * Chip 0 ends at 4 GiB, chip 1 lies right below it; the last 128 KiB of chip 0 also
 * show below 1 MiB. Drives have to be there before.
 *
 * Returns how many chips there are (0: the caller maps a ROM), or a negative
 * errno with @e: no whole number of 4 KiB blocks, too large, only chip 1.
 */
int pflash_add_all(struct machine *m, struct err *e) MUST_CHECK;

#endif
