/*
 * vtd-walk.c - address translation: root and context entries, second-level
 * tables, IOTLB
 */
#include "hw/iommu/vtd-int.h"

#define ENTRY_P        1u
#define PAGE           4096u
#define PTE_R          1u
#define PTE_W          2u
#define PTE_PS         0x80u
#define CTX_FPD        2u
#define CTX_TT(lo)     ((lo) >> 2 & 3)
#define CTX_LO_RSVD    0xff0u
#define CTX_HI_RSVD    0xffffffffff000080ull
#define CTX_DOMAIN(hi) ((uint16_t)((hi) >> 8))
#define TABLE_ADDR     0x000ffffffffff000ull
#define INT_WINDOW     0xfee

enum { TT_TABLES, TT_DEVICE_TLB, TT_PASS };

/** struct walk - one translation on its way; @why 0: it worked */
struct walk {
    struct vtd *v;
    uint16_t rid;
    uint64_t addr;
    bool write;
    enum vtd_fault why;
    bool silent;               /* FPD: the fault is not recorded */
    struct vtd_tlb out;
};

static bool fail(struct walk *w, enum vtd_fault why)
{
    w->why = why;
    return false;
}

/* ---- IOTLB ------------------------------------------------------------------------------ */

static struct vtd_tlb *tlb_slot(struct vtd *v, uint16_t rid, uint64_t page)
{
    return &v->tlb[(page ^ page >> 8 ^ rid * 37u) % VTD_TLB_ENTRIES];
}

void vtd_tlb_flush(struct vtd *v)
{
    memset(v->tlb, 0, sizeof v->tlb);
}

void vtd_tlb_flush_domain(struct vtd *v, uint16_t domain, uint64_t addr, unsigned am)
{
    for (unsigned i = 0; i < VTD_TLB_ENTRIES; i++) {
        struct vtd_tlb *t = &v->tlb[i];
        unsigned drop = MAX(am, t->shift - 12u);

        if (t->valid && t->domain == domain && (am >= VTD_AM_ALL || (t->page ^ addr / PAGE) >> drop == 0))
            t->valid = false;
    }
}

void vtd_tlb_flush_device(struct vtd *v, uint16_t rid, uint16_t ignore)
{
    for (unsigned i = 0; i < VTD_TLB_ENTRIES; i++)
        if (!((v->tlb[i].rid ^ rid) & ~ignore))
            v->tlb[i].valid = false;
}

/* ---- tables ------------------------------------------------------------------------------- */

static bool get128(struct walk *w, gpa_t at, uint64_t e[2])
{
    uint8_t raw[16];

    if (!dma_get(&w->v->phys, at, raw, sizeof raw))
        return false;
    e[0] = ldl64(raw);
    e[1] = ldl64(raw + 8);
    return true;
}

static bool root_entry(struct walk *w, gpa_t *contexts)
{
    uint64_t e[2];

    if (!get128(w, (w->v->root & TABLE_ADDR) + (w->rid >> 8) * 16, e))
        return fail(w, FR_ROOT_ACCESS);
    if (!(e[0] & ENTRY_P))
        return fail(w, FR_ROOT_ABSENT);
    if ((e[0] & 0xffe) || e[1])
        return fail(w, FR_ROOT_RESERVED);
    *contexts = e[0] & TABLE_ADDR;
    return true;
}

static bool context_entry(struct walk *w, uint64_t e[2])
{
    gpa_t contexts;

    if (!root_entry(w, &contexts))
        return false;
    if (!get128(w, contexts + (w->rid & 0xff) * 16, e))
        return fail(w, FR_CONTEXT_ACCESS);
    w->silent = e[0] & CTX_FPD;
    if (!(e[0] & ENTRY_P))
        return fail(w, FR_CONTEXT_ABSENT);
    if ((e[0] & CTX_LO_RSVD) || (e[1] & CTX_HI_RSVD))
        return fail(w, FR_CONTEXT_RESERVED);
    return true;
}

/* Levels of the tables: AW 1 is three (39 bits), 2 four (48 bits); 0: not supported. */
static unsigned levels(const struct vtd *v, uint64_t hi)
{
    unsigned aw = hi & 7;

    return aw == 1 || (aw == 2 && v->aw_bits == 48) ? aw + 2 : 0;
}

static bool pte_sound(const struct vtd *v, uint64_t pte, unsigned level)
{
    unsigned shift = 12 + 9 * (level - 1);

    if (pte & TABLE_ADDR & ~(BIT(v->aw_bits) - 1))
        return false;
    if (level == 1 || !(pte & PTE_PS))
        return true;
    return level <= 3 && !(pte & (BIT(shift) - 1) & TABLE_ADDR);
}

static bool walk_tables(struct walk *w, gpa_t table, unsigned level)
{
    w->out.r = w->out.w = true;
    for (;; level--) {
        unsigned shift = 12 + 9 * (level - 1);
        uint8_t raw[8];
        uint64_t pte;

        if (!dma_get(&w->v->phys, table + (w->addr >> shift & 511) * 8, raw, sizeof raw))
            return fail(w, FR_TABLE_ACCESS);
        pte = ldl64(raw);
        w->out.r &= pte & PTE_R;
        w->out.w &= (pte & PTE_W) != 0;
        if (w->write ? !w->out.w : !w->out.r)
            return fail(w, w->write ? FR_WRITE : FR_READ);
        if (!pte_sound(w->v, pte, level))
            return fail(w, FR_PAGE_RESERVED);
        table = pte & TABLE_ADDR;
        if (level == 1 || (pte & PTE_PS)) {
            w->out.shift = shift;
            w->out.to = (table | (w->addr & (BIT(shift) - 1))) / PAGE;
            return true;
        }
    }
}

static bool walk(struct walk *w)
{
    uint64_t e[2];
    unsigned n;

    if (!context_entry(w, e))
        return false;
    n = levels(w->v, e[1]);
    if (!n || CTX_TT(e[0]) == TT_DEVICE_TLB || CTX_TT(e[0]) > TT_PASS)
        return fail(w, FR_CONTEXT_BAD);
    if (w->addr >> (12 + 9 * n))
        return fail(w, FR_ADDRESS);
    w->out = (struct vtd_tlb){ .valid = true, .rid = w->rid, .domain = CTX_DOMAIN(e[1]),
                               .page = w->addr / PAGE };
    if (CTX_TT(e[0]) == TT_PASS) {
        w->out.r = w->out.w = true;
        w->out.shift = 12;
        w->out.to = w->addr / PAGE;
        return true;
    }
    return walk_tables(w, e[0] & TABLE_ADDR, n);
}

/* ---- a transfer ------------------------------------------------------------------------------ */

bool vtd_translate(struct iommu *u, uint16_t rid, uint64_t addr, bool write, gpa_t *gpa,
                   uint64_t *len)
{
    struct vtd *v = container_of(u, struct vtd, iommu);
    struct walk w = { .v = v, .rid = rid, .addr = addr, .write = write };
    struct vtd_tlb *t;

    *gpa = addr;
    if (!(vtd_reg(v, R_GSTS) & GCMD_TE))
        return true;
    *len = MIN(*len, PAGE - addr % PAGE);
    if (addr >> 20 == INT_WINDOW) {            /* no memory there: 3.14 */
        log_guest(LOG_DMA, "vtd rid=%#x addr=%#llx: a transfer in the interrupt window", rid,
                  (unsigned long long)addr);
        return false;
    }
    t = tlb_slot(v, rid, addr / PAGE);
    if (!t->valid || t->rid != rid || t->page != addr / PAGE || !(write ? t->w : t->r)) {
        if (!walk(&w)) {
            if (!w.silent)
                vtd_fault(v, w.why, rid, addr & ~(uint64_t)(PAGE - 1), write);
            return false;
        }
        *t = w.out;
    }
    *gpa = t->to * PAGE + addr % PAGE;
    return true;
}
