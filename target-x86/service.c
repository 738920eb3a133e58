/*
 * service.c - the work between blocks: traps, requests, waiting; HLT
 *
 * Source: Intel SDM vol. 3, 6.8, 6.9 and table 6-2 (what comes first), 8.4 (INIT, SIPI).
 */
#include <time.h>
#include "target-x86/excp-int.h"

/** h_step_end() - see x86.h: an instruction translated on its own is complete */
uint64_t h_step_end(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    /* MOV SS holds back the traps of itself (SDM vol. 3, 6.8.3) */
    if ((a & MODE_TF) && !cpu->no_step && !(cpu->shadow_ss && !(a & MODE_SHADOW))) {
        cpu->tf_trap = true;
        cpu->trap_dr6 |= DR6_BS;
    }
    cpu->no_step = false;
    if (a & MODE_SHADOW) {
        cpu->shadow = cpu->shadow_ss = false;
        x86_update_mode(cpu);
        x86_irq_recheck(cpu);
    }
    if (cpu->tf_trap)
        tcg_kick(tc);
    return 0;
}

static void debug_trap(struct x86_cpu *cpu)
{
    x86_raise_db(cpu, cpu->trap_dr6);
    cpu->halted = false;                   /* the step over HLT ends it */
    x86_deliver_pending(cpu);
}

static void take_init(struct x86_cpu *cpu)
{
    cpu->bus->intr_clear(cpu->bus->opaque, X86_INTR_INIT | X86_INTR_UNHALT);
    x86_reset(cpu, true);
    cpu->wait_sipi = cpu->index != 0;
}

static void take_sipi(struct x86_cpu *cpu)
{
    uint8_t v = cpu->bus->sipi_vector(cpu->bus->opaque);

    cpu->bus->intr_clear(cpu->bus->opaque, X86_INTR_SIPI);
    if (!cpu->wait_sipi)
        return;
    cpu->wait_sipi = cpu->halted = false;
    cpu->seg[S_CS].sel = v << 8;
    cpu->seg[S_CS].base = (uint32_t)v << 12;
    x86_set_pc(cpu, 0);
    x86_update_mode(cpu);
}

static void take_nmi(struct x86_cpu *cpu)
{
    cpu->bus->intr_clear(cpu->bus->opaque, X86_INTR_NMI);
    cpu->nmi_blocked = true;
    cpu->shutdown = false;
    x86_deliver_irq(cpu, EXC_NMI);
}

/* While the CPU is not halted the request waits for its next HLT. */
static void take_unhalt(struct x86_cpu *cpu)
{
    cpu->bus->intr_clear(cpu->bus->opaque, X86_INTR_UNHALT);
    cpu->halted = false;
}

/** take_irq() - INTA cycle; false: the request has gone */
static bool take_irq(struct x86_cpu *cpu)
{
    int v = cpu->bus->ack_irq(cpu->bus->opaque);

    if (cpu->kvm_steal_time)
        x86_pv_steal_update(cpu);
    if (v >= 0) {
        log_ev(LOG_INT, "Servicing hardware INT=0x%02x", v & 0xff);
        x86_deliver_irq(cpu, v & 0xff);
    }
    return v >= 0;
}

/** take_one() - act on the most urgent of @pending; false: nothing can be taken now */
static bool take_one(struct x86_cpu *cpu, uint32_t pending)
{
    if (pending & X86_INTR_INIT)
        take_init(cpu);
    else if (pending & X86_INTR_SIPI)
        take_sipi(cpu);
    else if (cpu->wait_sipi)
        return false;
    else if (pending & (X86_INTR_SMI | X86_INTR_MCE)) {
        log_ev(LOG_UNIMP, "cpu=%u %s ignored", cpu->index, pending & X86_INTR_SMI ? "SMI" : "#MC");
        cpu->bus->intr_clear(cpu->bus->opaque, X86_INTR_SMI | X86_INTR_MCE);
    } else if (cpu->shadow)
        return false;
    else if ((pending & X86_INTR_NMI) && !cpu->nmi_blocked)
        take_nmi(cpu);
    else if ((pending & (X86_INTR_PIC | X86_INTR_APIC)) && (cpu->eflags & EF_IF) && !cpu->shutdown)
        return take_irq(cpu);
    else if ((pending & X86_INTR_UNHALT) && cpu->halted && !cpu->shutdown)
        take_unhalt(cpu);
    else
        return false;
    return true;
}

/** wait_for_event() - sleep while halted, or while the chipset has stopped the clock, which it
 *  starts again without telling; @pending cannot be taken now, nor until something else comes */
static void wait_for_event(struct x86_cpu *cpu, uint32_t pending)
{
    static const struct timespec nap = { 0, 2000000 };

    if (!(pending & X86_INTR_STPCLK)) {
        x86_pv_wait_begin(cpu);
        cpu->bus->halt(cpu->bus->opaque, pending);
        x86_pv_wait_end(cpu);
        return;
    }
    tcg_offline(&cpu->tcg);
    nanosleep(&nap, NULL);
    tcg_online(&cpu->tcg);
}

/**
 * x86_service() - work between blocks (tcg_target.service)
 *
 * Delivers the pending exception, then debug traps, then takes requests in the
 * order of SDM vol. 3 table 6-2, and waits while the CPU is halted. An interrupt
 * that is masked now is looked at again when IF is set (x86_irq_recheck()).
 * Returns false when the run loop is to be left (VCPU_INTR_EXIT).
 */
bool x86_service(struct tcg_cpu *tc)
{
    struct x86_cpu *cpu = X86(tc);

    if (tc->exception)
        x86_deliver_pending(cpu);
    /* whoever has work for us also clears run: mostly there is none */
    if (likely(__atomic_load_n(&tc->run, __ATOMIC_RELAXED)))
        return true;
    for (;;) {
        uint32_t pending;

        /* before looking: a kick after this point clears it again */
        __atomic_store_n(&tc->run, 1, __ATOMIC_SEQ_CST);
        pending = cpu->bus->intr(cpu->bus->opaque);
        if (pending & X86_INTR_EXIT)
            return false;
        if (pending & X86_INTR_STPCLK) {
            wait_for_event(cpu, pending);
            continue;
        }
        if (cpu->tf_trap && !cpu->shadow_ss) {
            debug_trap(cpu);
            continue;
        }
        if (pending && take_one(cpu, pending))
            continue;
        cpu->irq_held = pending & ~(uint32_t)X86_INTR_UNHALT;
        if (!cpu->halted && !cpu->wait_sipi)
            return true;
        wait_for_event(cpu, pending);
    }
}

uint64_t h_hlt(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (!x86_need_cpl0(cpu))
        return 0;
    cpu->halted = true;
    cpu->shadow = cpu->shadow_ss = false;  /* STI; HLT: the HLT was its one instruction */
    x86_update_mode(cpu);
    tcg_kick(tc);
    return 0;
}
