/*
 * vcpu-intr.c - request lines into a vCPU
 *
 * Chips set bits under the machine lock; the CPU reads them without it. A bit
 * that was clear is followed by a kick, so that a CPU in HLT or in chained
 * code looks; a bit that was already set has been kicked for.
 */
#include "hw/intc/intc.h"
#include "hw/outside.h"

/**
 * vcpu_intr_raise() - assert request lines
 * @bits: enum vcpu_intr
 * Any thread.
 */
void vcpu_intr_raise(struct vcpu *v, uint32_t bits)
{
    uint32_t old = __atomic_fetch_or(&v->intr, bits, __ATOMIC_SEQ_CST);

    if ((old & bits) != bits && v->kick)
        v->kick(v);
}

/** vcpu_intr_lower() - release request lines; any thread */
void vcpu_intr_lower(struct vcpu *v, uint32_t bits)
{
    __atomic_fetch_and(&v->intr, ~bits, __ATOMIC_SEQ_CST);
}

/**
 * vcpu_ack_interrupt() - the CPU takes an external interrupt (INTA cycle)
 * Returns the vector 0..255 or -1 when the request has gone. Takes the lock.
 * Source: Intel SDM vol. 3A, "Interrupt, Task, and Processor Priority".
 */
int vcpu_ack_interrupt(struct vcpu *v)
{
    int vec = -1;

    machine_lock(v->machine);
    if (v->lapic)
        vec = lapic_ack(v->lapic);
    if (vec < 0 && v->machine->pic &&
        (__atomic_load_n(&v->intr, __ATOMIC_RELAXED) & VCPU_INTR_PIC)) {
        vec = pic_ack(v->machine->pic);
        if (v->lapic)
            lapic_extint_taken(v->lapic);
    }
    if (vec >= 0)
        outside_tell(v->machine, &(struct outside_event){ .kind = OUTSIDE_INTERRUPT, .arg = { v->index, vec } });
    if (unlikely(v->machine->late_tick != NULL) && vec >= 0)
        machine_tick_taken(v->machine);
    machine_unlock(v->machine);
    log_ev(LOG_INT, "ack cpu=%u vector=%d", v->index, vec);
    return vec;
}
