/*
 * doorbell.h - registers whose writes only say "look at your queue"
 *
 * A device names them; an accelerator may take the writes itself, so that the vCPU goes on at
 * once, and have the main loop call ring(). It need not: a write that comes through the device's
 * io_ops does the same.
 */
#ifndef HW_DOORBELL_H
#define HW_DOORBELL_H

#include "hw/hw.h"

/**
 * struct doorbell - one queue's; owned by its device, in the machine's list
 * @mem, @mem_off: in device memory, a write of any size; @mem NULL: not there
 * @ports, @port_off, @value: at a port, a 16-bit write of @value; *@ports NULL: not mapped,
 *   @ports NULL: not there
 * @ring: main loop, with the machine lock; may come late and once for several writes
 */
struct doorbell {
    struct mem_region *mem;
    uint64_t mem_off;
    struct port_range *const *ports;
    uint16_t port_off, value;
    void (*ring)(void *opaque, unsigned n);
    void *opaque;
    unsigned n;
    struct doorbell *next;
};

/** doorbell_add()/doorbell_remove() - machine lock held; after remove() ring() is not called */
void doorbell_add(struct machine *m, struct doorbell *d);
void doorbell_remove(struct machine *m, struct doorbell *d);
/** doorbells_changed() - ports that a device has doorbells at were moved; machine lock held.
 *  Changes of the memory map need no word. */
void doorbells_changed(struct machine *m);

/** doorbell_gpa() - where it answers in memory now; false: nowhere, or something else lies there */
bool doorbell_gpa(const struct machine *m, const struct doorbell *d, gpa_t *gpa);
/** doorbell_port() - its port now, or -1 */
int doorbell_port(const struct machine *m, const struct doorbell *d);

#endif
