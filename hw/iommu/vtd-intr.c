/*
 * vtd-intr.c - interrupt remapping
 *
 * Source: chapter 5.1; entry format: 9.10.
 */
#include "hw/intc/intc.h"
#include "hw/iommu/vtd-int.h"

#define ADDR_REMAPPABLE  0x10u
#define ADDR_SHV         0x08u
#define INT_WINDOW       0xfee
#define IRTA_EIME        (1u << 11)
#define IRTA_ENTRIES(r)  (2u << ((r) & 15))
#define IRTA_BASE(r)     ((r) & ~0xfffull)
#define IRTE_BYTES       16u

#define IRTE_P           1u
#define IRTE_FPD         2u
#define IRTE_LOGICAL     4u
#define IRTE_LEVEL       0x10u
#define IRTE_DLM(lo)     ((lo) >> 5 & 7)
#define IRTE_LO_RSVD     0xff00f000ull       /* with IM: posted format is not there */
#define IRTE_VECTOR(lo)  ((lo) >> 16 & 0xff)
#define IRTE_SID(hi)     ((uint16_t)(hi))
#define IRTE_SQ(hi)      ((hi) >> 16 & 3)
#define IRTE_SVT(hi)     ((hi) >> 18 & 3)
#define IRTE_HI_RSVD     0xfffffffffff00000ull

static bool blocked(struct vtd *v, enum vtd_fault why, uint16_t rid, unsigned index, uint64_t irte)
{
    if (!(irte & IRTE_FPD))
        vtd_fault(v, why, rid, (uint64_t)index << 48, false);
    return false;
}

/*
 * Whether @rid may use the entry: 5.1.3, "SVT" and "SQ" in 9.10. What the I/O APIC
 * sends is not verified: no device can make it send, and software exists that puts
 * the ID of the device behind the pin into the entry (docs/fidelity.md).
 */
static bool source_ok(uint64_t hi, uint16_t rid)
{
    static const uint8_t ignore[] = { 0, 4, 6, 7 };
    uint16_t sid = IRTE_SID(hi);

    if (rid == RID_IOAPIC)
        return true;
    switch (IRTE_SVT(hi)) {
    case 0:
        return true;
    case 1:
        return !((sid ^ rid) & ~ignore[IRTE_SQ(hi)]);
    case 2:
        return rid >> 8 >= sid >> 8 && rid >> 8 <= (sid & 0xff);
    }
    return false;
}

static bool deliver(struct vtd *v, uint64_t lo)
{
    struct machine *m = v->dev.machine;
    enum apic_destmode mode = lo & IRTE_LOGICAL ? APIC_LOGICAL : APIC_PHYSICAL;
    enum apic_trigger trigger = lo & IRTE_LEVEL ? APIC_LEVEL : APIC_EDGE;
    uint32_t dest = lo >> 32;

    if (v->irta & IRTA_EIME)
        return apic_deliver_x2(m, dest, mode, IRTE_DLM(lo), IRTE_VECTOR(lo), trigger);
    return apic_deliver(m, dest >> 8, mode, IRTE_DLM(lo), IRTE_VECTOR(lo), trigger);
}

static bool remap(struct vtd *v, uint16_t rid, uint64_t addr, uint32_t data)
{
    uint32_t index = (addr >> 5 & 0x7fff) | (addr >> 2 & 1) << 15;
    uint8_t raw[IRTE_BYTES];
    uint64_t lo, hi;

    if (addr & ADDR_SHV) {
        if (data >> 16)
            return blocked(v, FR_INT_RESERVED, rid, index, 0);
        index += data & 0xffff;
    }
    if (index >= IRTA_ENTRIES(v->irta))
        return blocked(v, FR_INT_INDEX, rid, index, 0);
    if (!dma_get(&v->phys, IRTA_BASE(v->irta) + index * IRTE_BYTES, raw, sizeof raw))
        return blocked(v, FR_IRTE_ACCESS, rid, index, 0);
    lo = ldl64(raw);
    hi = ldl64(raw + 8);
    if (!(lo & IRTE_P))
        return blocked(v, FR_IRTE_ABSENT, rid, index, lo);
    if ((lo & IRTE_LO_RSVD) || (hi & IRTE_HI_RSVD) || IRTE_SVT(hi) == 3)
        return blocked(v, FR_IRTE_RESERVED, rid, index, lo);
    if (!source_ok(hi, rid))
        return blocked(v, FR_INT_SOURCE, rid, index, lo);
    return deliver(v, lo);
}

bool vtd_message(struct iommu *u, uint16_t rid, uint64_t addr, uint32_t data)
{
    struct vtd *v = container_of(u, struct vtd, iommu);
    uint32_t gsts = vtd_reg(v, R_GSTS);
    bool ok;

    machine_lock(v->dev.machine);
    if (!(gsts & GCMD_IRE) || addr >> 20 != INT_WINDOW)
        ok = lapic_msi(v->dev.machine, addr, data);
    else if (addr & ADDR_REMAPPABLE)
        ok = remap(v, rid, addr, data);
    else if ((v->irta & IRTA_EIME) || !(gsts & GCMD_CFI))
        ok = blocked(v, FR_INT_COMPAT, rid, 0, 0);
    else
        ok = lapic_msi(v->dev.machine, addr, data);
    machine_unlock(v->dev.machine);
    return ok;
}
