/*
 * boot-order.h - what -boot says, told to the firmware
 */
#ifndef HW_BOOT_BOOT_ORDER_H
#define HW_BOOT_BOOT_ORDER_H

#include "hw/hw.h"

/**
 * boot_order_add() - put cfg.boot into CMOS and fw_cfg
 * With boot.once the order of the first boot; the second reset (the first one
 * starts the machine) brings back boot.order.
 * Returns 0 or a negative errno with @e set (splash picture not readable).
 */
int boot_order_add(struct machine *m, struct err *e) MUST_CHECK;

/** boot_order_set() - another order, from the next reset on; "" is the default's
 *  Returns 0, or -EINVAL with @e when @letters is no order (see boot_order_valid()). */
int boot_order_set(struct machine *m, const char *letters, struct err *e) MUST_CHECK;

/** boot_order_valid() - letters a to p, none twice */
bool boot_order_valid(const char *letters);

#endif
