/*
 * lapic.c - local APIC: vectors and priorities, local interrupts, life
 *
 * IRR, ISR and TMR are 256-bit sets. Whether a vector is deliverable is worked
 * out whenever one of IRR, ISR, TPR or the enables change and put on the
 * VCPU_INTR_APIC line, so that the CPU only ever looks at vcpu->intr.
 *
 * Source: Intel SDM vol. 3A, "Advanced Programmable Interrupt Controller".
 */
#include "hw/intc/lapic-int.h"

enum { MIN_VECTOR = 16 };

/* physical address bits of the base that exist */
#define BASE_ADDR 0x000000fffffff000ull

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

/** lapic_update() - put on VCPU_INTR_APIC whether a vector is deliverable, or would be if
 *  the interrupt in service has ended in the guest's memory */
void lapic_update(struct lapic *a)
{
    bool on = deliverable(a) >= 0 || (a->pv_eoi_owed && vec_max(a->irr) >= 0);
    bool was = __atomic_load_n(&a->vcpu->intr, __ATOMIC_RELAXED) & VCPU_INTR_APIC;

    if (on && !was)
        vcpu_intr_raise(a->vcpu, VCPU_INTR_APIC);
    else if (!on && was)
        vcpu_intr_lower(a->vcpu, VCPU_INTR_APIC);
}

/* Whether the EOI of @v, which is in service, does nothing but take it out of there. */
static bool alone_in_service(const struct lapic *a, uint8_t v)
{
    uint64_t isr = 0, irr = 0;

    for (unsigned i = 0; i < 4; i++) {
        isr |= a->isr[i] & ~(i == v / 64u ? BIT(v % 64) : 0);
        irr |= a->irr[i];
    }
    return !isr && !irr && !vec_test(a->tmr, v);
}

int lapic_ack(struct lapic *a)
{
    int v;

    lapic_pv_settle(a);
    v = deliverable(a);
    if (v >= 0) {
        vec_clear(a->irr, v);
        vec_set(a->isr, v);
        if (a->pv_eoi && alone_in_service(a, v))
            lapic_pv_offer(a);
    }
    lapic_update(a);
    return v;
}

/** lapic_end_interrupt() - EOI: the highest vector leaves service */
void lapic_end_interrupt(struct lapic *a)
{
    int v;

    lapic_pv_settle(a);                      /* one that came before */
    v = vec_max(a->isr);
    if (v < 0)
        return;
    vec_clear(a->isr, v);
    lapic_update(a);
    if (unlikely(vec_test(a->tmr, v))) {     /* TMR stays until the vector comes again */
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
    lapic_end_interrupt(a);
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
    lapic_update(a);
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

/** lapic_update_extint() - the 8259's wire reaches the CPU when LINT0 is
 *  ExtINT or the APIC is off */
void lapic_update_extint(struct lapic *a)
{
    bool wire = a->lint & 1;

    if (a->dev.machine->chips ? wire : (a->extint_msg && lapic_enabled(a)) || (wire && lint0_passes_extint(a)))
        vcpu_intr_raise(a->vcpu, VCPU_INTR_PIC);
    else
        vcpu_intr_lower(a->vcpu, VCPU_INTR_PIC);
}

void lapic_extint_taken(struct lapic *a)
{
    a->extint_msg = 0;
    lapic_update_extint(a);
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
        lapic_update_extint(a);
    if (a->dev.machine->chips) {             /* the pins are what is left of this one */
        if (rise && n == 1)
            vcpu_intr_raise(a->vcpu, VCPU_INTR_NMI);
        return;
    }
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
    a->pv_eoi_owed = false;
    lapic_timer_reset(a);
    lapic_update(a);
    lapic_update_extint(a);
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
void lapic_move_page(struct lapic *a)
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
            a->xapic_id = a->vcpu->apic_id;      /* INIT leaves it alone */
            lapic_init_state(a);
        } else if ((old ^ val) & BASE_X2APIC) {
            a->icr &= 0xffffffff;
            a->ldr = (a->vcpu->apic_id >> 4) << 16 | 1u << (a->vcpu->apic_id & 15);
        }
        lapic_update(a);
        lapic_update_extint(a);
        lapic_move_page(a);
    }
    machine_unlock(a->dev.machine);
    return ok;
}

/** lapic_tpr_write() - task priority, lock held */
void lapic_tpr_write(struct lapic *a, uint8_t val)
{
    __atomic_store_n(&a->tpr, val, __ATOMIC_RELAXED);
    lapic_update(a);
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
    lapic_tpr_write(a, tpr);
    machine_unlock(a->dev.machine);
}

void lapic_cpu_init(struct lapic *a)
{
    machine_lock(a->dev.machine);
    a->pv_eoi = 0;
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
    a->pv_eoi = 0;
    a->xapic_id = a->vcpu->apic_id;
    lapic_init_state(a);
    if (bsp)
        a->lvt[LVT_LINT0] = APIC_EXTINT << LVT_DELMOD_POS;
    lapic_update_extint(a);
    lapic_move_page(a);
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
    a->timer.prompt = true;
    a->vcpu->lapic = a;
    if (a->vcpu->index == 0) {
        a->region = (struct mem_region){
            .name = "lapic", .base = LAPIC_BASE, .len = LAPIC_MMIO_BYTES,
            .kind = MEM_MMIO, .prio = 2, .enabled = true,
            .ops = &lapic_page_ops, .opaque = a,
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
    /* the accelerator may have taken the vCPUs away already */
    for (unsigned i = 0; d->machine->vcpus && i < d->machine->n_vcpus; i++)
        if (d->machine->vcpus[i]->lapic == a)
            d->machine->vcpus[i]->lapic = NULL;
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
