/*
 * dma.h - the two 8237A DMA controllers of the PC and their page registers
 */
#ifndef HW_DMA_DMA_H
#define HW_DMA_DMA_H

#include "hw/hw.h"

extern const struct device_type i8237_type; /* one device: both controllers */

enum dma_dir {
    DMA_TO_MEMORY,   /* the device is read: "write transfer" */
    DMA_FROM_MEMORY, /* "read transfer" */
};

/**
 * dma_channel_run() - a device asserts DREQ and moves bytes
 * @dma: the i8237 device
 * @chan: 0-3 (bytes), 5-7 (16-bit words); 4 is the cascade
 * @buf: @len bytes: source for DMA_TO_MEMORY, filled for DMA_FROM_MEMORY
 * @dir: must be what the channel's mode says; a verify channel takes either
 *   and moves nothing (@buf is then left alone)
 *
 * Returns how many bytes were counted: fewer than @len at terminal count, 0
 * when the channel is masked, disabled or set up for the other direction.
 * Caller holds the machine lock.
 * Source: Intel 8237A data sheet, "DMA Operation".
 */
unsigned dma_channel_run(struct device *dma, unsigned chan, void *buf,
                         unsigned len, enum dma_dir dir);

/** dma_channel_ready() - whether DREQ on @chan would be acknowledged now */
bool dma_channel_ready(struct device *dma, unsigned chan);
/** dma_channel_tc() - whether @chan reached terminal count since its status
 *  was last read by the guest */
bool dma_channel_tc(struct device *dma, unsigned chan);

#endif
