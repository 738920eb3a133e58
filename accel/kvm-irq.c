/*
 * kvm-irq.c - interrupts: the chips of hw/, or the kernel's
 *
 * kernel-irqchip=off: all chips are those of hw/. The vCPU stops for HLT, INIT and
 * start-up IPIs here; an external interrupt is handed to KVM when it says that the guest
 * can take one.
 */
#include <stdlib.h>
#include <time.h>
#include "accel/kvm-int.h"
#include "hw/intc/intc.h"

/* ---- chips in user space ------------------------------------------------------------------ */

static void do_init(struct x86_cpu *cpu, void *arg)
{
    x86_reset(cpu, true);
    cpu->wait_sipi = cpu->index != 0;
}

static void do_sipi(struct x86_cpu *cpu, void *arg)
{
    uint8_t page = *(uint8_t *)arg;

    cpu->wait_sipi = cpu->halted = false;
    cpu->seg[S_CS].sel = page << 8;
    cpu->seg[S_CS].base = (uint32_t)page << 12;
    cpu->tcg.pc = cpu->tcg.pcbase = 0;
    cpu->tcg.pcoff = 0;
}

static void take_init(struct kvm_cpu *k)
{
    vcpu_intr_lower(&k->c->vcpu, VCPU_INTR_INIT);
    if (k->c->vcpu.lapic)
        lapic_cpu_init(k->c->vcpu.lapic);
    kvm_edit(k, do_init, NULL);
}

static void take_sipi(struct kvm_cpu *k)
{
    uint8_t page = k->c->vcpu.lapic ? lapic_sipi_vector(k->c->vcpu.lapic) : 0;

    vcpu_intr_lower(&k->c->vcpu, VCPU_INTR_SIPI);
    if (k->mp == MP_WAIT_SIPI)
        kvm_edit(k, do_sipi, &page);
}

static void take_nmi(struct kvm_cpu *k)
{
    vcpu_intr_lower(&k->c->vcpu, VCPU_INTR_NMI);
    kvm_ioctl(k->fd, KVM_NMI, NULL);
    k->mp = MP_RUNNING;
}

#define EXTERNAL (VCPU_INTR_PIC | VCPU_INTR_APIC)

static uint32_t requests(const struct kvm_cpu *k)
{
    return __atomic_load_n(&k->c->vcpu.intr, __ATOMIC_SEQ_CST);
}

/* Hand one over when the guest can take it, else ask to be told when it can. */
static void offer_interrupt(struct kvm_cpu *k)
{
    struct kvm_run *r = k->run;
    bool want = (requests(k) & EXTERNAL) && !k->c->no_irq;

    if (want && r->ready_for_interrupt_injection) {
        int vector = vcpu_ack_interrupt(&k->c->vcpu);
        struct kvm_interrupt irq = { .irq = vector };

        if (vector >= 0) {
            kvm_ioctl(k->fd, KVM_INTERRUPT, &irq);
            r->ready_for_interrupt_injection = 0;
        }
        want = requests(k) & EXTERNAL;
    }
    r->request_interrupt_window = want;
}

/* Requests that act whatever the guest does; false: there was none. */
static bool take_one(struct kvm_cpu *k, uint32_t pending)
{
    if (pending & VCPU_INTR_INIT)
        take_init(k);
    else if (pending & VCPU_INTR_SIPI)
        take_sipi(k);
    else if (pending & (VCPU_INTR_SMI | VCPU_INTR_MCE))
        vcpu_intr_lower(&k->c->vcpu, VCPU_INTR_SMI | VCPU_INTR_MCE);
    else if ((pending & VCPU_INTR_NMI) && k->mp != MP_WAIT_SIPI)
        take_nmi(k);
    else
        return false;
    return true;
}

static bool wakes(const struct kvm_cpu *k, uint32_t pending)
{
    return k->mp == MP_HALTED && (pending & EXTERNAL) && k->run->if_flag && !k->c->no_irq;
}

/* As the translator: a request that is masked now is looked at again a little later. */
static void wait_for_event(struct kvm_cpu *k, uint32_t pending)
{
    static const struct timespec nap = { 0, 2000000 };

    __atomic_store_n(&k->in_run, 0, __ATOMIC_SEQ_CST);
    if (pending)
        nanosleep(&nap, NULL);
    else
        accel_halt(k->c);
    __atomic_store_n(&k->in_run, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&k->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

bool kvm_before_entry(struct kvm_cpu *k)
{
    struct lapic *l = k->c->vcpu.lapic;

    for (;;) {
        uint32_t pending = requests(k);

        if (pending && k->io_pending && (pending & ~EXTERNAL))
            kvm_complete(k);             /* an instruction is half done */
        if (pending & VCPU_INTR_EXIT)
            return false;
        if (pending & VCPU_INTR_STPCLK) {
            wait_for_event(k, pending);
            continue;
        }
        if (take_one(k, pending))
            continue;
        if (wakes(k, pending))
            k->mp = MP_RUNNING;
        if (k->mp == MP_RUNNING)
            break;
        wait_for_event(k, pending);
    }
    if (l)
        k->run->cr8 = lapic_get_tpr(l) >> 4;
    offer_interrupt(k);
    return true;
}

void kvm_after_exit(struct kvm_cpu *k)
{
    struct kvm_run *r = k->run;
    struct lapic *l = k->c->vcpu.lapic;

    if (!l)
        return;
    if (r->cr8 != lapic_get_tpr(l) >> 4)
        lapic_set_tpr(l, r->cr8 << 4);
    if (r->apic_base != k->apic_base) {
        k->apic_base = r->apic_base;
        lapic_set_base(l, r->apic_base);
    }
}

/* ---- the kernel's ------------------------------------------------------------------------- */

int kvm_irqchip_create(struct kvm *k, struct err *e)
{
    return 0;
}

void kvm_choose_irqchip(struct accel *a, bool on)
{
}

void kvm_irqchip_get(struct kvm *k)
{
}

void kvm_irqchip_put(struct kvm *k)
{
}
