/*
 * vtd-int.h - inside the VT-d remapping unit
 *
 * vtd.c: registers, faults and events; vtd-walk.c: root, context and second-level
 * tables, IOTLB; vtd-queue.c: invalidation; vtd-intr.c: interrupt remapping.
 *
 * Root, context and interrupt entries are read afresh every time, so that only
 * the IOTLB needs invalidating. Legacy mode: requests without PASID.
 * Source: Intel Virtualization Technology for Directed I/O, Architecture
 * Specification, rev. 3.1 (D51397-011); chapters are of it.
 */
#ifndef HW_IOMMU_VTD_INT_H
#define HW_IOMMU_VTD_INT_H

#include "hw/dma/sg.h"
#include "hw/iommu/vtd.h"
#include "hw/prop.h"

enum { /* registers, 10.4 */
    R_VER = 0x00, R_CAP = 0x08, R_ECAP = 0x10, R_GCMD = 0x18, R_GSTS = 0x1c, R_RTADDR = 0x20,
    R_CCMD = 0x28, R_FSTS = 0x34, R_FECTL = 0x38, R_FEDATA = 0x3c, R_FEADDR = 0x40,
    R_FEUADDR = 0x44, R_IQH = 0x80, R_IQT = 0x88, R_IQA = 0x90, R_ICS = 0x9c, R_IECTL = 0xa0,
    R_IEDATA = 0xa4, R_IEADDR = 0xa8, R_IEUADDR = 0xac, R_IRTA = 0xb8, R_IVA = 0xf0,
    R_IOTLB = 0xf8, R_FRCD = 0x220,
};
#define VTD_REG_BYTES  0x300u
#define VTD_RECORDS    8u          /* fault recording registers */

#define GCMD_TE        (1u << 31)  /* the same bits in GSTS */
#define GCMD_SRTP      (1u << 30)
#define GCMD_QIE       (1u << 26)
#define GCMD_IRE       (1u << 25)
#define GCMD_SIRTP     (1u << 24)
#define GCMD_CFI       (1u << 23)
#define FSTS_PFO       0x01u
#define FSTS_PPF       0x02u
#define FSTS_IQE       0x10u
#define FSTS_EVENTS    0x73u       /* PFO, PPF, IQE, ICE, ITE */

enum vtd_fault { /* 7.1.3 and 5.1.4.1 */
    FR_ROOT_ABSENT = 0x01, FR_CONTEXT_ABSENT = 0x02, FR_CONTEXT_BAD = 0x03, FR_ADDRESS = 0x04,
    FR_WRITE = 0x05, FR_READ = 0x06, FR_TABLE_ACCESS = 0x07, FR_ROOT_ACCESS = 0x08,
    FR_CONTEXT_ACCESS = 0x09, FR_ROOT_RESERVED = 0x0a, FR_CONTEXT_RESERVED = 0x0b,
    FR_PAGE_RESERVED = 0x0c, FR_INT_RESERVED = 0x20, FR_INT_INDEX = 0x21, FR_IRTE_ABSENT = 0x22,
    FR_IRTE_ACCESS = 0x23, FR_IRTE_RESERVED = 0x24, FR_INT_COMPAT = 0x25, FR_INT_SOURCE = 0x26,
};

/** struct vtd_tlb - one 4 KiB piece of a translation */
struct vtd_tlb {
    bool valid, r, w;
    uint8_t shift;         /* of the page it is part of: 12, 21, 30; 12 for pass-through */
    uint16_t rid, domain;
    uint64_t page, to;     /* address >> 12, guest physical >> 12 */
};
#define VTD_TLB_ENTRIES 256u

struct vtd {
    struct device dev;
    struct iommu iommu;
    struct mem_region mem;
    struct dma phys;               /* its own accesses are not translated */
    uint32_t reg[VTD_REG_BYTES / 4];
    uint64_t root, irta;           /* latched by SRTP, SIRTP */
    uint8_t next_record;
    struct vtd_tlb tlb[VTD_TLB_ENTRIES];
    /* properties */
    uint8_t intremap, eim;         /* enum on_off_auto */
    bool caching_mode;
    uint32_t aw_bits;
};

static inline uint32_t vtd_reg(const struct vtd *v, unsigned off)
{
    return v->reg[off / 4];
}

static inline uint64_t vtd_reg64(const struct vtd *v, unsigned off)
{
    return vtd_reg(v, off) | (uint64_t)vtd_reg(v, off + 4) << 32;
}

/* vtd.c */
/**
 * vtd_fault() - record a fault and tell the driver
 * @info: the page address of a transfer; an interrupt's index << 48
 */
void vtd_fault(struct vtd *v, enum vtd_fault why, uint16_t rid, uint64_t info, bool write);
/** vtd_status() - set bits of FSTS; an event unless one is pending */
void vtd_status(struct vtd *v, uint32_t bits);
/** vtd_event() - interrupt of the event registers at @ctl, R_FECTL or R_IECTL */
void vtd_event(struct vtd *v, unsigned ctl);

/* vtd-walk.c */
bool vtd_translate(struct iommu *u, uint16_t rid, uint64_t addr, bool write, gpa_t *gpa,
                   uint64_t *len);
void vtd_tlb_flush(struct vtd *v);
/** vtd_tlb_flush_domain() - of @domain, 2^@am pages at @addr (@am 52: all) */
void vtd_tlb_flush_domain(struct vtd *v, uint16_t domain, uint64_t addr, unsigned am);
/** vtd_tlb_flush_device() - of requester @rid; @ignore: bits of it that do not count */
void vtd_tlb_flush_device(struct vtd *v, uint16_t rid, uint16_t ignore);
#define VTD_AM_ALL 52u

/* vtd-queue.c */
/** vtd_queue_run() - carry out descriptors up to the tail, at most one round */
void vtd_queue_run(struct vtd *v);
/** vtd_ccmd()/vtd_iotlb_cmd() - the register-based commands, by their high dword */
void vtd_ccmd(struct vtd *v);
void vtd_iotlb_cmd(struct vtd *v);

/* vtd-intr.c */
bool vtd_message(struct iommu *u, uint16_t rid, uint64_t addr, uint32_t data);

#endif
