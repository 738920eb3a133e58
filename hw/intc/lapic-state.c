/*
 * lapic-state.c - a local APIC's registers as a whole: its work goes to somebody else
 * and comes back
 */
#include "hw/intc/lapic-int.h"

static void put(uint8_t *page, unsigned reg, uint32_t v)
{
    memcpy(page + reg * 16, &v, sizeof v);
}

static uint32_t get(const uint8_t *page, unsigned reg)
{
    uint32_t v;

    memcpy(&v, page + reg * 16, sizeof v);
    return v;
}

static void put_set(uint8_t *page, unsigned reg, const uint64_t set[4])
{
    for (unsigned i = 0; i < 8; i++)
        put(page, reg + i, set[i / 2] >> (i & 1 ? 32 : 0));
}

static void get_set(const uint8_t *page, unsigned reg, uint64_t set[4])
{
    for (unsigned i = 0; i < 4; i++)
        set[i] = get(page, reg + 2 * i) | (uint64_t)get(page, reg + 2 * i + 1) << 32;
}

void lapic_get_page(const struct lapic *a, uint8_t *page)
{
    memset(page, 0, LAPIC_PAGE_BYTES);
    put(page, R_ID, lapic_x2(a) ? a->vcpu->apic_id : (uint32_t)a->xapic_id << 24);
    put(page, R_VERSION, (LVT_COUNT - 1) << 16 | 0x14);
    put(page, R_TPR, a->tpr);
    put(page, R_LDR, a->ldr);
    put(page, R_DFR, a->dfr);
    put(page, R_SVR, a->svr);
    put_set(page, R_ISR, a->isr);
    put_set(page, R_TMR, a->tmr);
    put_set(page, R_IRR, a->irr);
    put(page, R_ESR, a->esr);
    put(page, R_ICR, (uint32_t)a->icr);
    put(page, R_ICR_HIGH, a->icr >> 32);
    for (unsigned i = 0; i < LVT_COUNT; i++)
        put(page, R_LVT + i, a->lvt[i]);
    put(page, R_TIMER_INIT, a->timer_init);
    put(page, R_TIMER_CURRENT, lapic_timer_current(a));
    put(page, R_TIMER_DIVIDE, a->timer_divide);
}

void lapic_set_page(struct lapic *a, uint64_t base, const uint8_t *page)
{
    lapic_silence(a);
    __atomic_store_n(&a->base, base, __ATOMIC_RELAXED);
    __atomic_store_n(&a->tpr, get(page, R_TPR), __ATOMIC_RELAXED);
    a->xapic_id = lapic_x2(a) ? a->vcpu->apic_id : get(page, R_ID) >> 24;
    a->ldr = get(page, R_LDR);
    a->dfr = get(page, R_DFR);
    a->svr = get(page, R_SVR);
    get_set(page, R_ISR, a->isr);
    get_set(page, R_TMR, a->tmr);
    get_set(page, R_IRR, a->irr);
    a->esr = get(page, R_ESR);
    a->icr = get(page, R_ICR) | (uint64_t)get(page, R_ICR_HIGH) << 32;
    for (unsigned i = 0; i < LVT_COUNT; i++)
        a->lvt[i] = get(page, R_LVT + i) & ~(uint32_t)LVT_DELIVS;
    lapic_timer_restore(a, get(page, R_TIMER_INIT), get(page, R_TIMER_CURRENT), get(page, R_TIMER_DIVIDE));
    lapic_move_page(a);
    lapic_update(a);
    lapic_update_extint(a);
}

void lapic_follow(struct lapic *a, uint64_t base, uint8_t tpr)
{
    __atomic_store_n(&a->base, base, __ATOMIC_RELAXED);
    __atomic_store_n(&a->tpr, tpr, __ATOMIC_RELAXED);
}

void lapic_silence(struct lapic *a)
{
    lapic_timer_reset(a);
    memset(a->irr, 0, sizeof a->irr);
    memset(a->isr, 0, sizeof a->isr);
    lapic_update(a);
    lapic_update_extint(a);
}
