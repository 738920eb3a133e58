/*
 * vtd.h - Intel VT-d remapping unit of the Q35 board
 */
#ifndef HW_IOMMU_VTD_H
#define HW_IOMMU_VTD_H

#include "hw/hw.h"

/** needs the Q35 board; there can be one */
extern const struct device_type intel_iommu_type;

#endif
