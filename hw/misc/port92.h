/*
 * port92.h - system control port A
 */
#ifndef HW_MISC_PORT92_H
#define HW_MISC_PORT92_H

#include "hw/hw.h"

extern const struct device_type port92_type; /* claims port 0x92 itself */

#endif
