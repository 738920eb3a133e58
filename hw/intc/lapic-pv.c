/*
 * lapic-pv.c - end of interrupt without a register access, as KVM offers it (PV EOI)
 *
 * The guest names a word in memory. When a vector is taken whose EOI means nothing to anybody
 * else - no other request, no level, none below it in service - its bit 0 is set; a guest that finds it
 * set clears it in place of writing the EOI register. The local APIC then is owed an EOI and looks
 * when it next has a reason to: a request has come (VCPU_INTR_APIC is raised for any,
 * lapic_update()), or the guest looks at registers that depend on it.
 *
 * The guest clears the bit without a bus lock, so only the vCPU's own thread, or somebody while it is
 * parked, may touch the word.
 *
 * Source: the Linux kernel's Documentation/virt/kvm/x86/msr.rst, MSR_KVM_EOI_EN.
 */
#include "hw/intc/lapic-int.h"

enum { PV_EOI_ENABLED = 1, PV_EOI_RESERVED = 2 };
enum { EOI_NOT_NEEDED = 1 };

/* The word's byte that counts, or NULL: there is no memory. */
static uint8_t *word_of(struct lapic *a, gpa_t *gpa)
{
    uint64_t len = 4;
    uint8_t *p;

    *gpa = a->pv_eoi & ~(uint64_t)PV_EOI_ENABLED;
    p = mem_host(&a->dev.machine->mem, *gpa, &len, true);
    return len == 4 ? p : NULL;
}

void lapic_pv_settle(struct lapic *a)
{
    gpa_t gpa;
    uint8_t *p;

    if (!a->pv_eoi_owed)
        return;
    a->pv_eoi_owed = false;
    p = word_of(a, &gpa);
    if (!p || !__atomic_load_n(p, __ATOMIC_RELAXED)) {
        lapic_end_interrupt(a);
        return;
    }
    __atomic_store_n(p, 0, __ATOMIC_RELAXED);    /* too late: it is to write the register */
    mem_dirtied(&a->dev.machine->mem, gpa, 1);
}

void lapic_pv_offer(struct lapic *a)
{
    gpa_t gpa;
    uint8_t *p;

    if (!(a->pv_eoi & PV_EOI_ENABLED) || !(p = word_of(a, &gpa)))
        return;
    __atomic_store_n(p, EOI_NOT_NEEDED, __ATOMIC_RELAXED);
    mem_dirtied(&a->dev.machine->mem, gpa, 1);
    a->pv_eoi_owed = true;
}

bool lapic_set_pv_eoi(struct lapic *a, uint64_t val)
{
    if (val & PV_EOI_RESERVED)
        return false;
    machine_lock(a->dev.machine);
    lapic_pv_settle(a);
    a->pv_eoi = val;
    machine_unlock(a->dev.machine);
    return true;
}

void lapic_pv_stop(struct lapic *a)
{
    machine_lock(a->dev.machine);
    lapic_pv_settle(a);
    machine_unlock(a->dev.machine);
}
