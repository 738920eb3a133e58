/*
 * lapic.c - local APIC, xAPIC and x2APIC: registers, priorities, LVT
 *
 * IRR, ISR and TMR are 256-bit sets. Whether a vector is deliverable is worked
 * out whenever one of IRR, ISR, TPR or the enables change and put on the
 * VCPU_INTR_APIC line, so that the CPU only ever looks at vcpu->intr.
 *
 * Source: Intel SDM vol. 3A, "Advanced Programmable Interrupt Controller".
 */
#include "hw/intc/lapic-int.h"

enum {
    LAPIC_MMIO_BYTES = 0x1000,
    LAPIC_VERSION = (LVT_COUNT - 1) << 16 | 0x14,
    MSR_X2APIC = 0x800, N_REGS = 0x40,
    MIN_VECTOR = 16,
};

/* physical address bits of the base that exist */
#define BASE_ADDR 0x000000fffffff000ull

/* bits of each LVT entry that software can write */
static const uint32_t lvt_writable[LVT_COUNT] = {
    [LVT_TIMER]   = LVT_VECTOR | LVT_MASKED | LVT_TIMER_MODE,
    [LVT_THERMAL] = LVT_VECTOR | LVT_MASKED | 7 << LVT_DELMOD_POS,
    [LVT_PERF]    = LVT_VECTOR | LVT_MASKED | 7 << LVT_DELMOD_POS,
    [LVT_LINT0]   = 0x1a7ff, /* with polarity and trigger mode */
    [LVT_LINT1]   = 0x1a7ff,
    [LVT_ERROR]   = LVT_VECTOR | LVT_MASKED,
};

/* ---- vector sets and priorities ------------------------------------------------ */

static void vec_set(uint64_t set[4], uint8_t v)   { set[v >> 6] |= BIT(v & 63); }
static void vec_clear(uint64_t set[4], uint8_t v) { set[v >> 6] &= ~BIT(v & 63); }
static bool vec_test(const uint64_t set[4], uint8_t v) { return set[v >> 6] >> (v & 63) & 1; }

/* Highest member, or -1. */
static int vec_max(const uint64_t set[4])
{
    for (int i = 3; i >= 0; i--)
        if (set[i])
            return i * 64 + 63 - __builtin_clzll(set[i]);
    return -1;
}

static uint32_t vec_word(const uint64_t set[4], unsigned i)
{
    return set[(i >> 1) & 3] >> (i & 1 ? 32 : 0);
}

/** lapic_ppr() - processor priority: the higher class of TPR and ISR */
uint8_t lapic_ppr(const struct lapic *a)
{
    int isrv = MAX(vec_max(a->isr), 0);

    return (a->tpr & 0xf0) >= (isrv & 0xf0u) ? a->tpr : isrv & 0xf0;
}

/* The vector the CPU would get now, or -1. */
static int deliverable(const struct lapic *a)
{
    int v = vec_max(a->irr);

    if (v < 0 || !lapic_sw_enabled(a) || (v & 0xf0) <= (lapic_ppr(a) & 0xf0))
        return -1;
    return v;
}

static void update(struct lapic *a)
{
    bool on = deliverable(a) >= 0;
    bool was = __atomic_load_n(&a->vcpu->intr, __ATOMIC_RELAXED) & VCPU_INTR_APIC;

    if (on && !was)
        vcpu_intr_raise(a->vcpu, VCPU_INTR_APIC);
    else if (!on && was)
        vcpu_intr_lower(a->vcpu, VCPU_INTR_APIC);
}

int lapic_ack(struct lapic *a)
{
    int v = deliverable(a);

    if (v >= 0) {
        vec_clear(a->irr, v);
        vec_set(a->isr, v);
    }
    update(a);
    return v;
}

static void eoi(struct lapic *a)
{
    int v = vec_max(a->isr);

    if (v < 0)
        return;
    vec_clear(a->isr, v);
    update(a);
    if (unlikely(vec_test(a->tmr, v))) {
        vec_clear(a->tmr, v);
        for (unsigned n = LVT_LINT0; n <= LVT_LINT1; n++)
            if ((a->lvt[n] & LVT_REMOTE_IRR) && (a->lvt[n] & LVT_VECTOR) == (unsigned)v) {
                a->lvt[n] &= ~LVT_REMOTE_IRR;
                if (a->lint >> (n - LVT_LINT0) & 1)
                    lapic_lvt_event(a, n);
            }
        ioapic_eoi(a->dev.machine->ioapic, v);
    }
}

void lapic_eoi(struct lapic *a)
{
    machine_lock(a->dev.machine);
    eoi(a);
    machine_unlock(a->dev.machine);
}

/* ---- accepting messages ------------------------------------------------------- */

/**
 * lapic_error() - note an error; the error interrupt comes for new kinds only
 * @esr_bits: ESR_*
 */
void lapic_error(struct lapic *a, uint32_t esr_bits)
{
    log_guest(LOG_APIC, "error cpu=%u esr=%#x", a->vcpu->index, esr_bits);
    if ((a->esr_new & esr_bits) == esr_bits)
        return;
    a->esr_new |= esr_bits;
    lapic_lvt_event(a, LVT_ERROR);
}

static bool accept_vector(struct lapic *a, uint8_t vector, enum apic_trigger trigger)
{
    if (!lapic_sw_enabled(a))
        return false;
    if (vector < MIN_VECTOR) {
        lapic_error(a, ESR_RECEIVE_ILLEGAL);
        return false;
    }
    vec_set(a->irr, vector);
    if (trigger == APIC_LEVEL)
        vec_set(a->tmr, vector);
    else
        vec_clear(a->tmr, vector);
    update(a);
    return true;
}

static void accept_init(struct lapic *a)
{
    /* a start-up IPI that came before belongs to the past */
    vcpu_intr_lower(a->vcpu, VCPU_INTR_SIPI);
    vcpu_intr_raise(a->vcpu, VCPU_INTR_INIT);
}

/**
 * lapic_accept() - a message has arrived at this APIC
 * Returns whether it was taken: fixed vectors need the APIC software-enabled,
 * the others only hardware-enabled (which the caller has checked).
 */
bool lapic_accept(struct lapic *a, enum apic_delivery delivery, uint8_t vector,
                  enum apic_trigger trigger)
{
    switch (delivery) {
    case APIC_FIXED:
    case APIC_LOWEST:
        return accept_vector(a, vector, trigger);
    case APIC_SMI:
        vcpu_intr_raise(a->vcpu, VCPU_INTR_SMI);
        return true;
    case APIC_NMI:
        vcpu_intr_raise(a->vcpu, VCPU_INTR_NMI);
        return true;
    case APIC_INIT:
        accept_init(a);
        return true;
    case APIC_STARTUP:
        __atomic_store_n(&a->sipi_vector, vector, __ATOMIC_RELEASE);
        vcpu_intr_raise(a->vcpu, VCPU_INTR_SIPI);
        return true;
    case APIC_EXTINT:
        a->extint_msg = 1;
        vcpu_intr_raise(a->vcpu, VCPU_INTR_PIC);
        return true;
    case APIC_RESERVED:
        break;
    }
    log_guest(LOG_APIC, "message delivery=%d reserved", delivery);
    return false;
}

/* ---- local interrupts ----------------------------------------------------------- */

static bool lint0_passes_extint(const struct lapic *a)
{
    uint32_t lvt = a->lvt[LVT_LINT0];

    return !lapic_enabled(a) ||
           (!(lvt & LVT_MASKED) && bits(lvt, LVT_DELMOD_POS, 3) == APIC_EXTINT);
}

/* The 8259's wire reaches the CPU when LINT0 is ExtINT or the APIC is off. */
static void update_extint(struct lapic *a)
{
    if ((a->extint_msg && lapic_enabled(a)) || ((a->lint & 1) && lint0_passes_extint(a)))
        vcpu_intr_raise(a->vcpu, VCPU_INTR_PIC);
    else
        vcpu_intr_lower(a->vcpu, VCPU_INTR_PIC);
}

void lapic_extint_taken(struct lapic *a)
{
    a->extint_msg = 0;
    update_extint(a);
}

/**
 * lapic_lvt_event() - the source of an LVT entry has fired
 * A level-triggered LINT is not sent again until its EOI.
 */
void lapic_lvt_event(struct lapic *a, enum lapic_lvt which)
{
    uint32_t lvt = a->lvt[which];
    unsigned mode = which == LVT_TIMER || which == LVT_ERROR ?
                    APIC_FIXED : bits(lvt, LVT_DELMOD_POS, 3);
    bool level = which >= LVT_LINT0 && which <= LVT_LINT1 &&
                 mode == APIC_FIXED && (lvt & LVT_LEVEL);

    if (!lapic_enabled(a) || (lvt & (LVT_MASKED | LVT_REMOTE_IRR)))
        return;
    if (mode == APIC_EXTINT || mode == APIC_LOWEST || mode == APIC_STARTUP)
        return; /* ExtINT is a wire; the others are reserved in an LVT */
    if (lapic_accept(a, mode, lvt & LVT_VECTOR, level ? APIC_LEVEL : APIC_EDGE) && level)
        a->lvt[which] |= LVT_REMOTE_IRR;
}

void lapic_set_lint(struct lapic *a, unsigned n, int level)
{
    uint8_t bit = 1 << n;
    bool rise;

    if (n > 1)
        return;
    rise = level && !(a->lint & bit);
    a->lint = level ? a->lint | bit : a->lint & ~bit;
    if (n == 0)
        update_extint(a);
    if (rise && lapic_enabled(a))
        lapic_lvt_event(a, LVT_LINT0 + n);
    else if (rise && n == 1)
        vcpu_intr_raise(a->vcpu, VCPU_INTR_NMI); /* the pin is NMI then */
}

void lapic_raise_lvt(struct lapic *a, enum lapic_lvt which)
{
    if (which != LVT_PERF && which != LVT_THERMAL)
        return;
    machine_lock(a->dev.machine);
    lapic_lvt_event(a, which);
    if (which == LVT_PERF) /* the entry masks itself: SDM, "Local Vector Table" */
        a->lvt[which] |= LVT_MASKED;
    machine_unlock(a->dev.machine);
}

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
        update_extint(a);
    if ((val & LVT_LEVEL) && which >= LVT_LINT0 && (a->lint >> (which - LVT_LINT0) & 1))
        lapic_lvt_event(a, which);
}

static void svr_write(struct lapic *a, uint32_t val)
{
    a->svr = val & SVR_WRITABLE;
    if (!(val & SVR_ENABLE))
        for (unsigned i = 0; i < LVT_COUNT; i++)
            lvt_write(a, i, a->lvt[i] | LVT_MASKED);
    update(a);
}

static void tpr_write(struct lapic *a, uint8_t val)
{
    __atomic_store_n(&a->tpr, val, __ATOMIC_RELAXED);
    update(a);
}

/* Common to xAPIC and x2APIC; returns false when @reg cannot be written. */
static bool reg_write(struct lapic *a, unsigned reg, uint32_t val)
{
    switch (reg) {
    case R_EOI:
        eoi(a);
        return true;
    case R_TPR:
        tpr_write(a, val);
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
    case R_ID: /* read-only since Nehalem */
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

/* Common to xAPIC and x2APIC; returns false when there is nothing to read. */
static bool reg_read(const struct lapic *a, unsigned reg, uint32_t *val)
{
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

static bool xapic_reg_read(const struct lapic *a, unsigned reg, uint32_t *val)
{
    *val = 0;
    switch (reg) {
    case R_ID:       *val = a->vcpu->apic_id << 24; return true;
    case R_DFR:      *val = a->dfr; return true;
    case R_ICR:      *val = a->icr; return true;
    case R_ICR_HIGH: *val = a->icr >> 32; return true;
    case R_APR:      *val = lapic_ppr(a); return true;
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

static bool x2_read(const struct lapic *a, unsigned reg, uint64_t *val)
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

/* ---- base, TPR ------------------------------------------------------------------------ */

static void lapic_init_state(struct lapic *a)
{
    memset(a->irr, 0, sizeof a->irr);
    memset(a->isr, 0, sizeof a->isr);
    memset(a->tmr, 0, sizeof a->tmr);
    a->tpr = a->esr = a->esr_new = 0;
    a->svr = SVR_VECTOR;
    a->dfr = ~0u;
    a->icr = 0;
    a->ldr = 0;
    if (lapic_x2(a)) {
        uint32_t id = a->vcpu->apic_id;
        a->ldr = (id >> 4) << 16 | 1u << (id & 15);
    }
    for (unsigned i = 0; i < LVT_COUNT; i++)
        a->lvt[i] = LVT_MASKED;
    a->extint_msg = 0;
    lapic_timer_reset(a);
    update(a);
    update_extint(a);
}

uint64_t lapic_get_base(struct lapic *a)
{
    return __atomic_load_n(&a->base, __ATOMIC_RELAXED);
}

/* Legal changes of EN and EXTD: SDM, figure "Local x2APIC State Transitions". */
static bool base_legal(uint64_t old, uint64_t val)
{
    bool on = val & BASE_ENABLE, x2 = val & BASE_X2APIC;

    if (val & ~(BASE_ADDR | BASE_BSP | BASE_X2APIC | BASE_ENABLE))
        return false;
    if (x2 && !on)
        return false;
    if (x2 && !(old & BASE_ENABLE))
        return false;
    return !((old & BASE_X2APIC) && on && !x2);
}

/* The register page of vCPU 0 is the one in the memory map. */
static void move_page(struct lapic *a)
{
    if (a->region.ops && a->region.base != (a->base & BASE_ADDR)) {
        a->region.base = a->base & BASE_ADDR;
        mem_update(&a->dev.machine->mem);
    }
}

bool lapic_set_base(struct lapic *a, uint64_t val)
{
    uint64_t old;
    bool ok;

    machine_lock(a->dev.machine);
    old = a->base;
    ok = base_legal(old, val);
    if (ok) {
        log_ev(LOG_APIC, "base cpu=%u val=%#llx", a->vcpu->index, (unsigned long long)val);
        val = (val & ~(uint64_t)BASE_BSP) | (old & BASE_BSP);
        __atomic_store_n(&a->base, val, __ATOMIC_RELAXED);
        if ((old & BASE_ENABLE) && !(val & BASE_ENABLE)) {
            lapic_init_state(a);
        } else if ((old ^ val) & BASE_X2APIC) {
            a->icr &= 0xffffffff;
            a->ldr = (a->vcpu->apic_id >> 4) << 16 | 1u << (a->vcpu->apic_id & 15);
        }
        update(a);
        update_extint(a);
        move_page(a);
    }
    machine_unlock(a->dev.machine);
    return ok;
}

uint8_t lapic_get_tpr(struct lapic *a)
{
    return __atomic_load_n(&a->tpr, __ATOMIC_RELAXED);
}

void lapic_set_tpr(struct lapic *a, uint8_t tpr)
{
    if (lapic_get_tpr(a) == tpr) /* only its own CPU writes it */
        return;
    machine_lock(a->dev.machine);
    tpr_write(a, tpr);
    machine_unlock(a->dev.machine);
}

void lapic_cpu_init(struct lapic *a)
{
    machine_lock(a->dev.machine);
    lapic_init_state(a);
    machine_unlock(a->dev.machine);
}

uint8_t lapic_sipi_vector(const struct lapic *a)
{
    return __atomic_load_n(&a->sipi_vector, __ATOMIC_ACQUIRE);
}

bool lapic_is_bsp(const struct lapic *a)
{
    return a->base & BASE_BSP;
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

static const struct io_ops page_ops = { page_read, page_write, 4, 4 };

void lapic_route_by_vcpu(struct machine *m, struct vcpu *(*current)(struct machine *m))
{
    if (m->n_vcpus && m->vcpus[0]->lapic)
        m->vcpus[0]->lapic->current = current;
}

/* ---- life --------------------------------------------------------------------------------- */

/*
 * The board straps vCPU 0's LINT0 as firmware leaves it on a real PC (virtual
 * wire: SDM, "Virtual Wire Mode"), so that 8259 interrupts work before or
 * without firmware that programs it.
 */
static void lapic_reset(struct device *d)
{
    struct lapic *a = container_of(d, struct lapic, dev);
    bool bsp = a->vcpu->index == 0;

    a->base = LAPIC_BASE | BASE_ENABLE | (bsp ? BASE_BSP : 0);
    a->sipi_vector = 0;
    lapic_init_state(a);
    if (bsp)
        a->lvt[LVT_LINT0] = APIC_EXTINT << LVT_DELMOD_POS;
    update_extint(a);
    move_page(a);
}

static int lapic_init(struct device *d, struct err *e)
{
    struct lapic *a = container_of(d, struct lapic, dev);
    struct machine *m = d->machine;

    if (!a->vcpu && m->n_vcpus)
        a->vcpu = m->vcpus[0];
    if (!a->vcpu)
        return err_set(e, -EINVAL, "lapic: no vCPU to belong to");
    timer_init(&a->timer, &m->timers, lapic_timer_expired, a);
    a->vcpu->lapic = a;
    if (a->vcpu->index == 0) {
        a->region = (struct mem_region){
            .name = "lapic", .base = LAPIC_BASE, .len = LAPIC_MMIO_BYTES,
            .kind = MEM_MMIO, .prio = 2, .enabled = true,
            .ops = &page_ops, .opaque = a,
        };
        mem_add(&m->mem, &a->region);
    }
    lapic_reset(d);
    return 0;
}

static void lapic_destroy(struct device *d)
{
    struct lapic *a = container_of(d, struct lapic, dev);

    timer_del(&a->timer);
    if (a->region.ops)
        mem_remove(&d->machine->mem, &a->region);
    if (a->vcpu->lapic == a)
        a->vcpu->lapic = NULL;
}

static void set_vcpu(struct device *d, const void *arg)
{
    container_of(d, struct lapic, dev)->vcpu = (struct vcpu *)arg;
}

struct lapic *lapic_new(struct machine *m, struct vcpu *v, struct err *e)
{
    struct device *d = machine_add_device(m, &lapic_type, 0, NULL, set_vcpu, v, e);

    return d ? container_of(d, struct lapic, dev) : NULL;
}

int lapic_new_all(struct machine *m, struct err *e)
{
    for (unsigned i = 0; i < m->n_vcpus; i++)
        if (!m->vcpus[i]->lapic && !lapic_new(m, m->vcpus[i], e))
            return -ENOMEM;
    return 0;
}

static const struct dev_field lapic_fields[] = {
    FIELD(U64, struct lapic, base),
    FIELD(U64, struct lapic, irr),
    FIELD(U64, struct lapic, isr),
    FIELD(U64, struct lapic, tmr),
    FIELD(U32, struct lapic, tpr),
    FIELD(U32, struct lapic, svr),
    FIELD(U32, struct lapic, ldr),
    FIELD(U32, struct lapic, dfr),
    FIELD(U32, struct lapic, esr),
    FIELD(U32, struct lapic, esr_new),
    FIELD(U32, struct lapic, lvt),
    FIELD(U64, struct lapic, icr),
    FIELD(U8, struct lapic, lint),
    FIELD(U8, struct lapic, extint_msg),
    FIELD(U8, struct lapic, sipi_vector),
    FIELD(U32, struct lapic, timer_init),
    FIELD(U32, struct lapic, timer_divide),
    FIELD(U64, struct lapic, timer_next_ns),
    FIELD(U64, struct lapic, tsc_deadline),
    FIELD_END,
};

const struct device_type lapic_type = {
    .name = "lapic", .desc = "local APIC",
    .size = sizeof(struct lapic), .init = lapic_init, .reset = lapic_reset,
    .destroy = lapic_destroy, .fields = lapic_fields,
};
