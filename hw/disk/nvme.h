/*
 * nvme.h - NVM Express controller with one namespace
 */
#ifndef HW_DISK_NVME_H
#define HW_DISK_NVME_H

#include "hw/pci/pci.h"

extern const struct device_type nvme_type;

#endif
