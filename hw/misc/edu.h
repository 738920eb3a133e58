/*
 * edu.h - educational PCI device: registers, interrupts, DMA to learn with
 */
#ifndef HW_MISC_EDU_H
#define HW_MISC_EDU_H

#include "hw/hw.h"

extern const struct device_type edu_type;

#endif
