/*
 * virtio-balloon.h - memory that the guest gives back, as the monitor sees it
 *
 * Machine lock held for all of it.
 */
#ifndef HW_VIRTIO_VIRTIO_BALLOON_H
#define HW_VIRTIO_VIRTIO_BALLOON_H

#include "hw/hw.h"

#define BALLOON_STATS 10         /* 5.5.6.4, tags 0 to 9 */

extern const struct device_type virtio_balloon_pci_type;
extern const struct device_type virtio_balloon_pci_transitional_type, virtio_balloon_pci_non_transitional_type;

/** balloon_find() - the machine's balloon, or NULL */
struct device *balloon_find(struct machine *m);
/** balloon_is() - whether @d is one */
bool balloon_is(const struct device *d);
/** balloon_set_target() - ask the guest to keep @bytes of its RAM (more than all: all) */
void balloon_set_target(struct device *d, uint64_t bytes);
/** balloon_actual() - bytes of RAM that are the guest's now */
uint64_t balloon_actual(const struct device *d);

/** balloon_set_polling() - ask the guest for statistics every @seconds; 0: never */
void balloon_set_polling(struct device *d, uint32_t seconds);
uint32_t balloon_polling(const struct device *d);
/** balloon_stats() - value of each tag, UINT64_MAX: never told; returns when the guest sent the last,
 *  in seconds of host time, 0: never */
int64_t balloon_stats(const struct device *d, uint64_t value[BALLOON_STATS]);

#endif
