/*
 * pc_testdev.h - ports through which test guests reach what they test
 */
#ifndef HW_MISC_PC_TESTDEV_H
#define HW_MISC_PC_TESTDEV_H

#include "hw/hw.h"

extern const struct device_type pc_testdev_type; /* claims its ports itself */

/** pc_testdev_add() - put the device on the board; 0 or -errno with @e set */
int pc_testdev_add(struct machine *m, struct err *e) MUST_CHECK;

#endif
