/*
 * firmware.h - mapping the firmware ROM and telling it about the machine
 */
#ifndef HW_BOOT_FIRMWARE_H
#define HW_BOOT_FIRMWARE_H

#include "hw/hw.h"

#define FIRMWARE_DEFAULT "bios-256k.bin"

extern const struct device_type firmware_rom_type;

/**
 * firmware_rom_add() - load @name and map it below 4 GiB and, its last 128
 *  KiB, below 1 MiB
 * Returns 0 or a negative errno with @e set (not found, not a multiple of 4
 * KiB, larger than 16 MiB).
 */
int firmware_rom_add(struct machine *m, const char *name, struct err *e) MUST_CHECK;

/** firmware_items_add() - fw_cfg items and files of the board; 0 or -errno */
int firmware_items_add(struct machine *m, struct err *e) MUST_CHECK;

#endif
