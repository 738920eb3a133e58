/*
 * fdc.h - 82078 floppy disk controller and its drives
 *
 * Only built when a floppy drive is asked for. Ports 0x3f0-0x3f5 and 0x3f7,
 * IRQ 6, DMA channel 2.
 */
#ifndef HW_DISK_FDC_H
#define HW_DISK_FDC_H

#include "hw/disk/drive.h"
#include "hw/prop.h"

#define FDC_DRIVES 2

extern const struct device_type fdc_type;
/** a drive: -device floppy,drive=ID[,unit=N]; the controller is there before */
extern const struct device_type floppy_type;

#endif
