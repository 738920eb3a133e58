/*
 * lapic-regs.c - local APIC registers: the xAPIC page and the x2APIC MSRs
 *
 * Source: Intel SDM vol. 3A, "Local APIC Register Address Map" and "Extended
 * XAPIC (x2APIC)".
 */
#include "hw/intc/lapic-int.h"

enum {
    LAPIC_VERSION = (LVT_COUNT - 1) << 16 | 0x14,
    MSR_X2APIC = 0x800, N_REGS = 0x40,
};

/* bits of each LVT entry that software can write */
static const uint32_t lvt_writable[LVT_COUNT] = {
    [LVT_TIMER]   = LVT_VECTOR | LVT_MASKED | LVT_TIMER_MODE,
    [LVT_THERMAL] = LVT_VECTOR | LVT_MASKED | 7 << LVT_DELMOD_POS,
    [LVT_PERF]    = LVT_VECTOR | LVT_MASKED | 7 << LVT_DELMOD_POS,
    [LVT_LINT0]   = 0x1a7ff, /* with polarity and trigger mode */
    [LVT_LINT1]   = 0x1a7ff,
    [LVT_ERROR]   = LVT_VECTOR | LVT_MASKED,
};

/* ---- register writes --------------------------------------------------------------- */

static void lvt_write(struct lapic *a, enum lapic_lvt which, uint32_t val)
{
    uint32_t old = a->lvt[which];

    val &= lvt_writable[which];
    if (!lapic_sw_enabled(a))
        val |= LVT_MASKED;
    if ((val & LVT_LEVEL) && (old & LVT_REMOTE_IRR))
        val |= LVT_REMOTE_IRR;
    if (which == LVT_TIMER) {
        lapic_timer_set_lvt(a, val);
        return;
    }
    a->lvt[which] = val;
    if (which == LVT_LINT0)
        lapic_update_extint(a);
    if ((val & LVT_LEVEL) && which >= LVT_LINT0 && (a->lint >> (which - LVT_LINT0) & 1))
        lapic_lvt_event(a, which);
}

static void svr_write(struct lapic *a, uint32_t val)
{
    a->svr = val & SVR_WRITABLE;
    if (!(val & SVR_ENABLE))
        for (unsigned i = 0; i < LVT_COUNT; i++)
            lvt_write(a, i, a->lvt[i] | LVT_MASKED);
    lapic_update(a);
}

/* Common to xAPIC and x2APIC; returns false when @reg cannot be written. */
static bool reg_write(struct lapic *a, unsigned reg, uint32_t val)
{
    switch (reg) {
    case R_EOI:
        lapic_end_interrupt(a);
        return true;
    case R_TPR:
        lapic_tpr_write(a, val);
        return true;
    case R_SVR:
        svr_write(a, val);
        return true;
    case R_ESR: /* the write makes what was gathered readable */
        a->esr = a->esr_new;
        a->esr_new = 0;
        return true;
    case R_TIMER_INIT:
        lapic_timer_set_initial(a, val);
        return true;
    case R_TIMER_DIVIDE:
        lapic_timer_set_divide(a, val);
        return true;
    }
    if (reg < R_LVT || reg >= R_LVT + LVT_COUNT)
        return false;
    lvt_write(a, reg - R_LVT, val);
    return true;
}

/* Registers that only the xAPIC has, or has in another shape. */
static bool xapic_reg_write(struct lapic *a, unsigned reg, uint32_t val)
{
    switch (reg) {
    case R_LDR:
        a->ldr = val & 0xff000000u;
        return true;
    case R_DFR:
        a->dfr = val | 0x0fffffff;
        return true;
    case R_ICR:
        a->icr = (a->icr & ~0xffffffffull) | (val & 0x000ccfff);
        lapic_send_ipi(a);
        return true;
    case R_ICR_HIGH:
        a->icr = (a->icr & 0xffffffffull) | (uint64_t)(val & 0xff000000u) << 32;
        return true;
    case R_ID: /* on newer Intel processors read-only; SDM: "Local APIC ID" calls it model specific */
        a->xapic_id = val >> 24;
        return true;
    case R_VERSION:
        return true;
    }
    return reg_write(a, reg, val);
}

void lapic_mmio_write(struct lapic *a, uint64_t off, uint64_t val, unsigned size)
{
    if (!lapic_enabled(a) || lapic_x2(a))
        return;
    if (size != 4 || (off & 0xf) || off >= LAPIC_MMIO_BYTES) {
        log_guest(LOG_APIC, "write off=%#llx size=%u", (unsigned long long)off, size);
        return;
    }
    if (off >> 4 >= N_REGS || !xapic_reg_write(a, off >> 4, val))
        lapic_error(a, ESR_REGISTER);
}

/* ---- register reads ----------------------------------------------------------------- */

static uint32_t vec_word(const uint64_t set[4], unsigned i)
{
    return set[(i >> 1) & 3] >> (i & 1 ? 32 : 0);
}

/* Common to xAPIC and x2APIC; returns false when there is nothing to read. */
static bool reg_read(struct lapic *a, unsigned reg, uint32_t *val)
{
    if (reg == R_PPR || (reg >= R_ISR && reg < R_ISR + 8))
        lapic_pv_settle(a);
    switch (reg) {
    case R_VERSION:       *val = LAPIC_VERSION; return true;
    case R_TPR:           *val = a->tpr; return true;
    case R_PPR:           *val = lapic_ppr(a); return true;
    case R_LDR:           *val = a->ldr; return true;
    case R_SVR:           *val = a->svr; return true;
    case R_ESR:           *val = a->esr; return true;
    case R_TIMER_INIT:    *val = a->timer_init; return true;
    case R_TIMER_CURRENT: *val = lapic_timer_current(a); return true;
    case R_TIMER_DIVIDE:  *val = a->timer_divide; return true;
    }
    if (reg >= R_ISR && reg < R_ISR + 8)
        *val = vec_word(a->isr, reg - R_ISR);
    else if (reg >= R_TMR && reg < R_TMR + 8)
        *val = vec_word(a->tmr, reg - R_TMR);
    else if (reg >= R_IRR && reg < R_IRR + 8)
        *val = vec_word(a->irr, reg - R_IRR);
    else if (reg >= R_LVT && reg < R_LVT + LVT_COUNT)
        *val = a->lvt[reg - R_LVT];
    else
        return false;
    return true;
}

static bool xapic_reg_read(struct lapic *a, unsigned reg, uint32_t *val)
{
    *val = 0;
    switch (reg) {
    case R_ID:       *val = (uint32_t)a->xapic_id << 24; return true;
    case R_DFR:      *val = a->dfr; return true;
    case R_ICR:      *val = a->icr; return true;
    case R_ICR_HIGH: *val = a->icr >> 32; return true;
    case R_APR:      return reg_read(a, R_PPR, val);
    case R_EOI: case R_RRD: return true;
    }
    return reg_read(a, reg, val);
}

uint64_t lapic_mmio_read(struct lapic *a, uint64_t off, unsigned size)
{
    uint32_t val = 0;

    if (!lapic_enabled(a) || lapic_x2(a))
        return size_mask(size);
    if (off >= LAPIC_MMIO_BYTES || (off & 0xf) >= 4)
        return 0;
    if (off >> 4 >= N_REGS || !xapic_reg_read(a, off >> 4, &val))
        lapic_error(a, ESR_REGISTER);
    return (uint64_t)val >> (off & 3) * 8 & size_mask(size);
}

/* ---- x2APIC ------------------------------------------------------------------------- */

/* Bits that may be set in a write to @reg; others are #GP. */
static uint64_t x2_writable(unsigned reg)
{
    switch (reg) {
    case R_EOI: case R_ESR:
        return 0;
    case R_TPR: case R_SELF_IPI:
        return 0xff;
    case R_SVR:
        return SVR_WRITABLE;
    case R_ICR:
        return 0xffffffff000ccfffull;
    case R_TIMER_INIT:
        return 0xffffffff;
    case R_TIMER_DIVIDE:
        return 0xb;
    }
    if (reg >= R_LVT && reg < R_LVT + LVT_COUNT) /* read-only bits may be set */
        return lvt_writable[reg - R_LVT] | LVT_DELIVS |
               (reg == R_LVT + LVT_LINT0 || reg == R_LVT + LVT_LINT1 ? LVT_REMOTE_IRR : 0);
    return 0;
}

static bool x2_read(struct lapic *a, unsigned reg, uint64_t *val)
{
    uint32_t v;

    if (reg == R_ID) {
        *val = a->vcpu->apic_id;
        return true;
    }
    if (reg == R_ICR) {
        *val = a->icr;
        return true;
    }
    if (reg >= N_REGS || !reg_read(a, reg, &v))
        return false;
    *val = v;
    return true;
}

static bool x2_write(struct lapic *a, unsigned reg, uint64_t val)
{
    if (reg >= N_REGS || (val & ~x2_writable(reg)))
        return false;
    switch (reg) {
    case R_ICR:
        a->icr = val & ~BIT(12); /* delivery status does not exist here */
        lapic_send_ipi(a);
        return true;
    case R_SELF_IPI:
        lapic_send_self(a, val);
        return true;
    case R_LDR: case R_DFR: case R_ICR_HIGH:
        return false;
    }
    return reg_write(a, reg, val);
}

bool lapic_msr_read(struct lapic *a, uint32_t msr, uint64_t *val)
{
    bool ok;

    machine_lock(a->dev.machine);
    ok = lapic_enabled(a) && lapic_x2(a) && x2_read(a, msr - MSR_X2APIC, val);
    machine_unlock(a->dev.machine);
    return ok;
}

bool lapic_msr_write(struct lapic *a, uint32_t msr, uint64_t val)
{
    bool ok;

    machine_lock(a->dev.machine);
    ok = lapic_enabled(a) && lapic_x2(a) && x2_write(a, msr - MSR_X2APIC, val);
    machine_unlock(a->dev.machine);
    return ok;
}

/* ---- the register page in the memory map ------------------------------------------------ */

/* The APIC of the vCPU that makes this access; NULL: a device does. */
static struct lapic *accessor(struct lapic *boot)
{
    struct vcpu *v;

    if (!boot->current)
        return boot;
    v = boot->current(boot->dev.machine);
    return v ? v->lapic : NULL;
}

static uint64_t page_read(void *op, uint64_t off, unsigned size)
{
    struct lapic *a = accessor(op);

    return a ? lapic_mmio_read(a, off, size) : size_mask(size);
}

static void page_write(void *op, uint64_t off, uint64_t val, unsigned size)
{
    struct lapic *boot = op, *a = accessor(boot);

    if (a)
        lapic_mmio_write(a, off, val, size);
    else
        lapic_msi(boot->dev.machine, boot->region.base + off, val);
}

const struct io_ops lapic_page_ops = { page_read, page_write, 4, 4 };

void lapic_route_by_vcpu(struct machine *m, struct vcpu *(*current)(struct machine *m))
{
    if (m->n_vcpus && m->vcpus[0]->lapic)
        m->vcpus[0]->lapic->current = current;
}
