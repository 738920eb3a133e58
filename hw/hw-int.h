/*
 * hw-int.h - what the files of the machine core share among themselves
 */
#ifndef HW_HW_INT_H
#define HW_HW_INT_H

#include "hw/hw.h"

/**
 * io_read()/io_write() - one access, fitted to what the device decodes
 * @len: length of the region or port range, bounds every call that is made
 * @off: must be below @len
 * @size: 1, 2, 4 or 8; bytes that lie past @len read as ones and ignore writes
 *
 * Wide accesses are split in ascending address order, as the bus bridges of a
 * PC do; narrow reads are widened to min_bytes and shifted.
 */
uint64_t io_read(const struct io_ops *ops, void *opaque, uint64_t len,
                 uint64_t off, unsigned size);
void io_write(const struct io_ops *ops, void *opaque, uint64_t len,
              uint64_t off, uint64_t val, unsigned size);

/** ram_map() - @bytes of host memory as m->cfg wants them, and m->ram_fd; NULL with @e set */
uint8_t *ram_map(struct machine *m, uint64_t bytes, struct err *e);
void ram_unmap(struct machine *m);
/** machine_irq_init() - connect the 16 ISA lines to both interrupt controllers */
void machine_irq_init(struct machine *m);
/** ports_init()/ports_free() - the port table of a machine */
void ports_init(struct machine *m);
void ports_free(struct machine *m);
/** devices_free() - destroy all devices, last constructed first */
void devices_free(struct machine *m);
/** mem_map_free() - forget all regions (they belong to their owners) */
void mem_map_free(struct mem_map *mm);

#endif
