/*
 * vtd.c - VT-d remapping unit: registers, fault recording, events
 *
 * Not there: PASID and first-level tables, device TLBs, page requests, posted
 * interrupts, protected memory regions, draining of transfers under way.
 */
#include "hw/intc/intc.h"
#include "hw/iommu/vtd-int.h"

#define REGS_AT      0xfed90000u
#define REGS_LEN     0x1000u
#define REGS_PRIO    2
#define VERSION      0x10
#define CTL_IM       (1u << 31)
#define CTL_IP       (1u << 30)
#define RECORD_F     (1u << 31)
#define ICS_IWC      1u
#define IRTA_EIME    (1u << 11)
#define CCMD_ICC     (1u << 31)
#define IOTLB_IVT    (1u << 31)

/* Bits that software can write; registers with commands are treated apart. */
static const struct { uint16_t off; uint32_t mask; } writable[] = {
    { R_RTADDR, 0xfffff000 }, { R_RTADDR + 4, ~0u }, { R_CCMD, ~0u }, { R_CCMD + 4, 0xe0000003 },
    { R_FECTL, CTL_IM }, { R_FEDATA, ~0u }, { R_FEADDR, ~3u }, { R_FEUADDR, ~0u },
    { R_IQT, 0x7fff0 }, { R_IQA, 0xfffff007 }, { R_IQA + 4, ~0u }, { R_IECTL, CTL_IM },
    { R_IEDATA, ~0u }, { R_IEADDR, ~3u }, { R_IEUADDR, ~0u }, { R_IRTA, 0xfffff80f },
    { R_IRTA + 4, ~0u }, { R_IVA, 0xfffff07f }, { R_IVA + 4, ~0u }, { R_IOTLB + 4, 0xb003ffff },
};

/* ---- events --------------------------------------------------------------------------- */

/* The unit's own messages are not remapped; with EIM they have a wide destination. */
static void event_send(struct vtd *v, unsigned ctl)
{
    uint32_t data = vtd_reg(v, ctl + 4), addr = vtd_reg(v, ctl + 8), high = vtd_reg(v, ctl + 12);

    if (!(v->irta & IRTA_EIME)) {
        lapic_msi(v->dev.machine, addr, data);
        return;
    }
    apic_deliver_x2(v->dev.machine, (high & ~0xffu) | bits(addr, 12, 8),
                    addr & 4 ? APIC_LOGICAL : APIC_PHYSICAL, bits(data, 8, 3), data & 0xff,
                    APIC_EDGE);
}

void vtd_event(struct vtd *v, unsigned ctl)
{
    if (vtd_reg(v, ctl) & CTL_IM)
        v->reg[ctl / 4] |= CTL_IP;
    else
        event_send(v, ctl);
}

void vtd_status(struct vtd *v, uint32_t set)
{
    bool pending = vtd_reg(v, R_FSTS) & FSTS_EVENTS;

    v->reg[R_FSTS / 4] |= set;
    if (!pending)
        vtd_event(v, R_FECTL);
}

static uint32_t *record(struct vtd *v, unsigned n)
{
    return &v->reg[(R_FRCD + n * 16) / 4];
}

void vtd_fault(struct vtd *v, enum vtd_fault why, uint16_t rid, uint64_t info, bool write)
{
    uint32_t *r = record(v, v->next_record);

    log_guest(LOG_DMA, "vtd fault=%#x rid=%#x info=%#llx write=%d", why, rid,
              (unsigned long long)info, write);
    if (vtd_reg(v, R_FSTS) & FSTS_PFO)
        return;
    if (r[3] & RECORD_F) {               /* all taken: 7.2.1 */
        vtd_status(v, FSTS_PFO);
        return;
    }
    r[0] = info & 0xfffff000;
    r[1] = info >> 32;
    r[2] = rid;
    r[3] = RECORD_F | (write ? 0 : 1u << 30) | why;
    if (!(vtd_reg(v, R_FSTS) & FSTS_PPF))
        v->reg[R_FSTS / 4] = (vtd_reg(v, R_FSTS) & 0xff) | v->next_record << 8;
    v->next_record = (v->next_record + 1) % VTD_RECORDS;
    vtd_status(v, FSTS_PPF);
}

/* PPF is the sum of the records' F; no status, no pending event: 10.4.9, 10.4.10. */
static void status_settle(struct vtd *v)
{
    bool any = false;

    for (unsigned n = 0; n < VTD_RECORDS; n++)
        any |= (record(v, n)[3] & RECORD_F) != 0;
    if (!any)
        v->reg[R_FSTS / 4] &= ~FSTS_PPF;
    if (!(vtd_reg(v, R_FSTS) & FSTS_EVENTS))
        v->reg[R_FECTL / 4] &= ~CTL_IP;
    if (!(vtd_reg(v, R_ICS) & ICS_IWC))
        v->reg[R_IECTL / 4] &= ~CTL_IP;
}

/* ---- registers --------------------------------------------------------------------------- */

static void global_command(struct vtd *v, uint32_t val)
{
    uint32_t *gsts = &v->reg[R_GSTS / 4], keep = GCMD_TE | GCMD_QIE;

    if (v->iommu.intremap)
        keep |= GCMD_IRE | GCMD_CFI;
    if (val & GCMD_SRTP) {
        v->root = vtd_reg64(v, R_RTADDR);
        *gsts |= GCMD_SRTP;
    }
    if ((val & GCMD_SIRTP) && v->iommu.intremap) {
        v->irta = vtd_reg64(v, R_IRTA);
        *gsts |= GCMD_SIRTP;
    }
    if ((*gsts ^ val) & GCMD_QIE)
        v->reg[R_IQH / 4] = 0;
    *gsts = (*gsts & ~keep) | (val & keep);
    vtd_tlb_flush(v);
    log_ev(LOG_DMA, "vtd gcmd=%#x gsts=%#x root=%#llx", val, *gsts, (unsigned long long)v->root);
}

static void write_masked(struct vtd *v, unsigned off, uint32_t val)
{
    for (size_t i = 0; i < ARRAY_SIZE(writable); i++) {
        uint32_t mask = writable[i].mask;

        if (writable[i].off != off)
            continue;
        if (off == R_IRTA && !v->iommu.eim)
            mask &= ~IRTA_EIME;
        v->reg[off / 4] = (v->reg[off / 4] & ~mask) | (val & mask);
    }
}

/* Bits that a written 1 clears. */
static bool write_clear(struct vtd *v, unsigned off, uint32_t val)
{
    if (off == R_FSTS)
        v->reg[off / 4] &= ~(val & FSTS_EVENTS & ~FSTS_PPF);
    else if (off == R_ICS)
        v->reg[off / 4] &= ~(val & ICS_IWC);
    else if (off >= R_FRCD && off < R_FRCD + VTD_RECORDS * 16 && off % 16 == 12)
        v->reg[off / 4] &= ~(val & RECORD_F);
    else
        return false;
    status_settle(v);
    return true;
}

static void unmasked(struct vtd *v, unsigned ctl)
{
    if ((vtd_reg(v, ctl) & (CTL_IM | CTL_IP)) != CTL_IP)
        return;
    v->reg[ctl / 4] &= ~CTL_IP;
    event_send(v, ctl);
}

static void regs_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
    struct vtd *v = opaque;

    if (size != 4 || off % 4 || off >= VTD_REG_BYTES) {
        log_guest(LOG_DMA, "vtd write off=%#llx size=%u", (unsigned long long)off, size);
        return;
    }
    log_ev(LOG_DMA, "vtd write off=%#llx val=%#llx", (unsigned long long)off,
           (unsigned long long)val);
    if (!write_clear(v, off, val))
        write_masked(v, off, val);
    switch (off) {
    case R_GCMD:
        global_command(v, val);
        vtd_queue_run(v);
        break;
    case R_CCMD + 4:
        if (val & CCMD_ICC)
            vtd_ccmd(v);
        break;
    case R_IOTLB + 4:
        if (val & IOTLB_IVT)
            vtd_iotlb_cmd(v);
        break;
    case R_FECTL:
    case R_IECTL:
        unmasked(v, off);
        break;
    case R_IQT:
    case R_FSTS:                           /* an error may be gone */
        vtd_queue_run(v);
        break;
    }
}

static uint64_t regs_read(void *opaque, uint64_t off, unsigned size)
{
    struct vtd *v = opaque;

    return off < VTD_REG_BYTES && off % 4 == 0 && off != R_GCMD ? vtd_reg(v, off) : 0;
}

static const struct io_ops regs_ops = { regs_read, regs_write, 4, 4 };

/* ---- life -------------------------------------------------------------------------------- */

static void put64(struct vtd *v, unsigned off, uint64_t val)
{
    v->reg[off / 4] = val;
    v->reg[off / 4 + 1] = val >> 32;
}

static uint64_t capabilities(const struct vtd *v)
{
    enum { DOMAINS_64K = 6, CM = 1 << 7, SAGAW_39 = 2 << 8, SAGAW_48 = 4 << 8, ZLR = 1 << 22 };
    uint64_t cap = DOMAINS_64K | SAGAW_39 | ZLR;

    if (v->caching_mode)
        cap |= CM;
    if (v->aw_bits == 48)
        cap |= SAGAW_48;
    cap |= (v->aw_bits - 1) << 16;                 /* MGAW */
    cap |= (uint64_t)(R_FRCD / 16) << 24;          /* FRO */
    cap |= 3ull << 34;                             /* 2 MiB and 1 GiB pages */
    cap |= 1ull << 39;                             /* page-selective invalidation */
    cap |= (uint64_t)(VTD_RECORDS - 1) << 40;
    return cap | 18ull << 48;                      /* MAMV: up to 1 GiB at once */
}

static uint64_t extended_capabilities(const struct vtd *v)
{
    enum { QI = 1 << 1, IR = 1 << 3, EIM = 1 << 4, PT = 1 << 6, MHMV = 15 << 20 };
    uint64_t ecap = QI | PT | (R_IVA / 16) << 8;

    if (v->iommu.intremap)
        ecap |= IR | MHMV;
    return v->iommu.eim ? ecap | EIM : ecap;
}

static void vtd_reset(struct device *d)
{
    struct vtd *v = (struct vtd *)d;

    memset(v->reg, 0, sizeof v->reg);
    v->reg[R_VER / 4] = VERSION;
    put64(v, R_CAP, capabilities(v));
    put64(v, R_ECAP, extended_capabilities(v));
    v->reg[R_FECTL / 4] = v->reg[R_IECTL / 4] = CTL_IM;
    v->root = v->irta = 0;
    v->next_record = 0;
    vtd_tlb_flush(v);
}

static int vtd_init(struct device *d, struct err *e)
{
    struct vtd *v = (struct vtd *)d;
    struct machine *m = d->machine;

    if (m->cfg.board != BOARD_Q35)
        return err_set(e, -EINVAL, "%s: only on the q35 board", d->type->name);
    if (m->iommu)
        return err_set(e, -EBUSY, "%s: there is one already", d->type->name);
    if (v->aw_bits != 39 && v->aw_bits != 48)
        return err_set(e, -EINVAL, "%s: aw-bits=%u: 39 or 48 is wanted", d->type->name, v->aw_bits);
    if (v->eim == ON_OFF_AUTO_ON && v->intremap == ON_OFF_AUTO_OFF)
        return err_set(e, -EINVAL, "%s: eim=on needs intremap=on", d->type->name);
    v->phys = (struct dma){ .m = m, .bypass = true };
    v->iommu = (struct iommu){ .regs = REGS_AT, .addr_bits = v->aw_bits,
        .intremap = v->intremap != ON_OFF_AUTO_OFF, .translate = vtd_translate,
        .message = vtd_message };
    v->iommu.eim = v->iommu.intremap && v->eim != ON_OFF_AUTO_OFF;
    m->iommu = &v->iommu;
    v->mem = (struct mem_region){ .name = "vtd", .base = REGS_AT, .len = REGS_LEN,
        .kind = MEM_MMIO, .prio = REGS_PRIO, .enabled = true, .ops = &regs_ops, .opaque = v };
    mem_add(&m->mem, &v->mem);
    return 0;
}

static void vtd_destroy(struct device *d)
{
    struct vtd *v = (struct vtd *)d;

    if (d->machine->iommu != &v->iommu)
        return;
    mem_remove(&d->machine->mem, &v->mem);
    d->machine->iommu = NULL;
}

static const struct dev_prop vtd_props[] = {
    PROP(ON_OFF_AUTO, "intremap", struct vtd, intremap, "auto", 0, 0, "interrupt remapping (auto: on)"),
    PROP(ON_OFF_AUTO, "eim", struct vtd, eim, "auto", 0, 0, "32-bit APIC IDs (auto: as intremap)"),
    PROP(BOOL, "caching-mode", struct vtd, caching_mode, NULL, 0, 0,
         "ask drivers to announce new mappings too"),
    PROP(U32, "aw-bits", struct vtd, aw_bits, "48", 0, 0, "width of addresses: 39 or 48"),
    { .name = "device-iotlb", .type = PROP_IGNORED, .help = "no effect: there are no device TLBs" },
    PROP_END
};

static const struct dev_field vtd_fields[] = {
    FIELD(BYTES, struct vtd, reg), FIELD(U64, struct vtd, root), FIELD(U64, struct vtd, irta),
    FIELD(U8, struct vtd, next_record), FIELD_END
};

const struct device_type intel_iommu_type = {
    .name = "intel-iommu", .desc = "Intel VT-d remapping unit", .size = sizeof(struct vtd),
    .init = vtd_init, .reset = vtd_reset, .destroy = vtd_destroy, .fields = vtd_fields,
    .props = vtd_props,
};
