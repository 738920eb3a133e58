/*
 * sg.h - scatter lists over guest memory: how bus masters reach RAM
 *
 * A list is made of ranges as the bus master addresses them. They are translated
 * (hw/dma/iommu.h) and checked here, once. Pieces
 * in RAM are used in place; a piece with no memory behind it (a hole, ROM to be
 * written, device registers, what an IOMMU blocks) is backed by zeroed bounce memory whose contents
 * are then dropped. So no transfer can run into the registers of a device, its
 * own included, and none can see memory that is not the guest's.
 */
#ifndef HW_DMA_SG_H
#define HW_DMA_SG_H

#include <sys/uio.h>
#include "hw/dma/iommu.h"

#define SG_MAX_PIECES  1024u        /* as the block layer takes */
#define SG_MAX_BOUNCE  (1u << 20)   /* bytes a list; more fails */
#define SG_INLINE      6

struct sg_piece {
    gpa_t gpa;
    uint64_t len;
    uint8_t *host;
    bool bounce;
};

struct sg {
    const struct dma *dma;
    bool to_memory;                 /* the device writes */
    unsigned n, cap;
    uint32_t bounced;
    uint64_t bytes;                 /* sum of all pieces */
    struct sg_piece *piece;         /* small[] or heap */
    struct iovec *iov;              /* what sg_iov() made */
    struct sg_piece small[SG_INLINE];
    struct iovec small_iov[SG_INLINE];
};

/** sg_init() - an empty list of @dma, which must outlive it; @to_memory: the
 *  device is going to write */
void sg_init(struct sg *s, const struct dma *dma, bool to_memory);
/**
 * sg_add() - append the range [@addr, @addr + @len)
 * Returns 0; -E2BIG past SG_MAX_PIECES; -EFAULT past SG_MAX_BOUNCE or past the
 * end of the address space; -ENOMEM. The list stays as it was but for pieces of
 * this range already taken: free it.
 */
int sg_add(struct sg *s, uint64_t addr, uint64_t len) MUST_CHECK;
/**
 * sg_iov() - bytes [@skip, @skip + @len) of the list as host memory
 * Clamped to the list. Valid until the next call or sg_free().
 */
const struct iovec *sg_iov(struct sg *s, uint64_t skip, uint64_t len, unsigned *n);
/** sg_get() - copy out of guest memory at @skip; returns bytes copied (clamped) */
uint64_t sg_get(const struct sg *s, uint64_t skip, void *buf, uint64_t len);
/** sg_put() - copy into guest memory at @skip; told to listeners by sg_done() */
uint64_t sg_put(struct sg *s, uint64_t skip, const void *buf, uint64_t len);
/** sg_done() - the device has written the first @written bytes: tell who
 *  watches RAM; then sg_free() */
void sg_done(struct sg *s, uint64_t written);
/** sg_free() - forget the list; it is empty again */
void sg_free(struct sg *s);

/**
 * dma_get()/dma_put() - small structures: rings, descriptors, tables
 * RAM (and ROM for reading) only. dma_get() gives zeroes and false where
 * there is no memory; dma_put() drops what has no RAM to go to.
 */
bool dma_get(const struct dma *d, uint64_t addr, void *buf, uint64_t len);
bool dma_put(const struct dma *d, uint64_t addr, const void *buf, uint64_t len);
/** dma_host() - mem_host() at the bus master's @addr; *@gpa for mem_dirtied() */
uint8_t *dma_host(const struct dma *d, uint64_t addr, uint64_t *len, bool write, gpa_t *gpa);

#endif
