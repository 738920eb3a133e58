/*
 * isa_debug_exit.h - a port through which a test guest ends the emulator
 */
#ifndef HW_MISC_ISA_DEBUG_EXIT_H
#define HW_MISC_ISA_DEBUG_EXIT_H

#include "hw/hw.h"

/**
 * isa_debug_exit_add() - construct the exit port
 * @port: first of four ports; 0x501 by QEMU's default
 * A write of v asks the machine to end with process exit code (v << 1) | 1.
 * Returns 0 or a negative errno with @e set.
 */
int isa_debug_exit_add(struct machine *m, uint16_t port, struct err *e) MUST_CHECK;

extern const struct device_type isa_debug_exit_type;

#endif
