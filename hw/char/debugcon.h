/*
 * debugcon.h - firmware debug console port
 */
#ifndef HW_CHAR_DEBUGCON_H
#define HW_CHAR_DEBUGCON_H

#include "hw/hw.h"

/**
 * debugcon_add() - construct the debug console
 * @port: 0x402 where SeaBIOS and OVMF look for it
 * @chr: back end, the caller's; NULL: nothing is constructed
 * Returns 0 or a negative errno with @e set.
 */
int debugcon_add(struct machine *m, uint16_t port, struct chardev *chr,
                 struct err *e) MUST_CHECK;

extern const struct device_type debugcon_type;

#endif
