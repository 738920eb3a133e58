/*
 * uart16550.h - National PC16550D UART on the ISA bus
 */
#ifndef HW_CHAR_UART16550_H
#define HW_CHAR_UART16550_H

#include "hw/hw.h"

/**
 * uart16550_add() - construct COM@n of a PC
 * @n: 0..3: ports 0x3f8, 0x2f8, 0x3e8, 0x2e8 on ISA lines 4, 3, 4, 3
 * @chr: back end; stays the caller's and must outlive the machine. NULL: the
 *   board has no such port, and nothing is constructed.
 *
 * Returns 0 or a negative errno with @e set.
 */
int uart16550_add(struct machine *m, unsigned n, struct chardev *chr,
                  struct err *e) MUST_CHECK;

extern const struct device_type uart16550_type;
/** uart16550_setup() - for machine_add_device(): @arg is the struct chardev */
void uart16550_setup(struct device *d, const void *arg);

#endif
