/*
 * vtd-queue.c - invalidation: descriptors in a queue, and the two registers
 *
 * Interrupt entries are not cached, so that there is nothing to invalidate.
 * Source: chapter 6.5.
 */
#include "hw/iommu/vtd-int.h"

#define DESC_BYTES     16u
#define IQA_QS(iqa)    ((iqa) & 7)         /* 2^QS pages of 256 descriptors */
#define ICS_IWC        1u

enum { D_CONTEXT = 1, D_IOTLB = 2, D_INT_ENTRY = 4, D_WAIT = 5 };
enum { G_GLOBAL = 1, G_DOMAIN = 2, G_PAGE_OR_DEVICE = 3 };
enum { WAIT_IF = 1 << 4, WAIT_SW = 1 << 5 };
#define D_TYPE(lo)     ((lo) & 15)
#define D_GRANULE(lo)  ((lo) >> 4 & 3)
#define D_DOMAIN(lo)   ((uint16_t)((lo) >> 16))

/* Bits of a requester ID that FM leaves out of the comparison. */
static uint16_t function_mask(unsigned fm)
{
    static const uint8_t ignore[] = { 0, 4, 6, 7 };

    return ignore[fm & 3];
}

static bool invalidate_context(struct vtd *v, unsigned granule, uint16_t domain, uint16_t rid,
                               unsigned fm)
{
    if (granule == G_GLOBAL)
        vtd_tlb_flush(v);
    else if (granule == G_DOMAIN)
        vtd_tlb_flush_domain(v, domain, 0, VTD_AM_ALL);
    else if (granule == G_PAGE_OR_DEVICE)
        vtd_tlb_flush_device(v, rid, function_mask(fm));
    else
        return false;
    return true;
}

static bool invalidate_iotlb(struct vtd *v, unsigned granule, uint16_t domain, uint64_t addr)
{
    if (granule == G_GLOBAL)
        vtd_tlb_flush(v);
    else if (granule == G_DOMAIN)
        vtd_tlb_flush_domain(v, domain, 0, VTD_AM_ALL);
    else if (granule == G_PAGE_OR_DEVICE)
        vtd_tlb_flush_domain(v, domain, addr, MIN(addr & 63, (uint64_t)VTD_AM_ALL));
    else
        return false;
    return true;
}

/* ---- registers: 10.4.7, 10.4.8.1 ---------------------------------------------------------- */

void vtd_ccmd(struct vtd *v)
{
    uint32_t lo = vtd_reg(v, R_CCMD), hi = vtd_reg(v, R_CCMD + 4);
    unsigned granule = hi >> 29 & 3;

    if (!invalidate_context(v, granule, lo, lo >> 16, hi & 3))
        granule = 0;
    v->reg[R_CCMD / 4 + 1] = granule << 27 | granule << 29 | (hi & 3);   /* CAIG; ICC is clear */
}

void vtd_iotlb_cmd(struct vtd *v)
{
    uint32_t hi = vtd_reg(v, R_IOTLB + 4);
    unsigned granule = hi >> 28 & 3;

    if (!invalidate_iotlb(v, granule, hi, vtd_reg64(v, R_IVA)))
        granule = 0;
    v->reg[R_IOTLB / 4 + 1] = (hi & 0x3003ffff) | granule << 25;         /* IAIG; IVT is clear */
}

/* ---- the queue ------------------------------------------------------------------------------ */

static bool wait_desc(struct vtd *v, uint64_t lo, uint64_t hi)
{
    if (lo & WAIT_SW) {
        uint32_t status = lo >> 32;

        dma_put(&v->phys, hi & ~3ull, &status, sizeof status);
    }
    if (lo & WAIT_IF && !(vtd_reg(v, R_ICS) & ICS_IWC)) {
        v->reg[R_ICS / 4] |= ICS_IWC;
        vtd_event(v, R_IECTL);
    }
    return true;
}

/* Returns false for one that does not exist. */
static bool run_desc(struct vtd *v, uint64_t lo, uint64_t hi)
{
    switch (D_TYPE(lo)) {
    case D_CONTEXT:
        return invalidate_context(v, D_GRANULE(lo), D_DOMAIN(lo), lo >> 32, lo >> 48);
    case D_IOTLB:
        return invalidate_iotlb(v, D_GRANULE(lo), D_DOMAIN(lo), hi);
    case D_INT_ENTRY:
        return true;
    case D_WAIT:
        return wait_desc(v, lo, hi);
    }
    return false;
}

void vtd_queue_run(struct vtd *v)
{
    uint64_t iqa = vtd_reg64(v, R_IQA), base = iqa & ~0xfffull;
    uint32_t bytes = 4096u << IQA_QS(iqa), tail = vtd_reg(v, R_IQT), head = vtd_reg(v, R_IQH);

    if (!(vtd_reg(v, R_GSTS) & GCMD_QIE) || (vtd_reg(v, R_FSTS) & FSTS_IQE))
        return;
    if (tail >= bytes) {
        vtd_status(v, FSTS_IQE);
        return;
    }
    /* head only gets here below bytes or after a smaller queue was set */
    for (head %= bytes; head != tail; head = (head + DESC_BYTES) % bytes) {
        uint8_t raw[DESC_BYTES];

        v->reg[R_IQH / 4] = head;
        if (!dma_get(&v->phys, base + head, raw, sizeof raw) ||
            !run_desc(v, ldl64(raw), ldl64(raw + 8))) {
            log_guest(LOG_DMA, "vtd invalidation descriptor=%#llx at=%#x",
                      (unsigned long long)ldl64(raw), head);
            vtd_status(v, FSTS_IQE);
            return;
        }
    }
    v->reg[R_IQH / 4] = head;
}
