/*
 * iommu.h - whose transfers and messages they are, and what may stand between
 * a bus master and memory
 *
 * Every PCI device has a struct dma; whatever it reads, writes or signals names
 * it. Without an IOMMU that costs two tests. Machine lock held, as everywhere.
 */
#ifndef HW_DMA_IOMMU_H
#define HW_DMA_IOMMU_H

#include "hw/hw.h"

/** struct dma - a bus master */
struct dma {
    struct machine *m;
    const uint8_t *command; /* of a PCI function: its command register, low byte; else NULL */
    uint16_t rid;          /* requester: bus << 8 | devfn */
    bool bypass;           /* its addresses are guest physical in any case */
};

/* Requesters that are no PCI functions: on a bus that no function can be on. */
#define RID_IOAPIC 0xff00
#define RID_HPET   0xff08

/** struct iommu - m->iommu, installed by the device that is one */
struct iommu {
    /* what the firmware's tables say of it */
    gpa_t regs;
    uint8_t addr_bits;
    bool intremap, eim;
    /**
     * translate() - where a transfer of @rid at @addr really goes
     * @len: wanted; reduced to what @gpa is good for in one piece, at least 1
     * Returns false when it is blocked; *@len is then what was blocked. The fault
     * has been recorded.
     */
    bool (*translate)(struct iommu *u, uint16_t rid, uint64_t addr, bool write,
                      gpa_t *gpa, uint64_t *len);
    /** message() - an interrupt message of @rid; false: blocked or not accepted */
    bool (*message)(struct iommu *u, uint16_t rid, uint64_t addr, uint32_t data);
};

#define DMA_COMMAND_MASTER (1 << 2)

/**
 * dma_enabled() - whether it may reach memory at all: a PCI function only with bus mastering enabled
 * A transfer that has begun ends as it would have. Bridges above do not count: firmware made for virtual
 * machines leaves theirs off.
 * Source: PCI Local Bus Specification 3.0, 6.2.2.
 */
static inline bool dma_enabled(const struct dma *d)
{
    return !d->command || *d->command & DMA_COMMAND_MASTER;
}

/** dma_translate() - as struct iommu says; without one addresses are physical. Nothing is to be had while
 *  !dma_enabled(). */
static inline bool dma_translate(const struct dma *d, uint64_t addr, bool write,
                                 gpa_t *gpa, uint64_t *len)
{
    *gpa = addr;
    if (!dma_enabled(d))
        return false;
    if (!d->m->iommu || d->bypass)
        return true;
    return d->m->iommu->translate(d->m->iommu, d->rid, addr, write, gpa, len);
}

/**
 * bus_message() - a write of @data to the interrupt window by @rid: MSI, or what
 * the I/O APIC sends. Returns whether an APIC accepted it.
 */
bool bus_message(struct machine *m, uint16_t rid, uint64_t addr, uint32_t data);

#endif
