/*
 * kvm-irq.c - interrupts: the chips of hw/, or the kernel's
 *
 * kernel-irqchip=off: all chips are those of hw/. The vCPU stops for HLT, INIT and
 * start-up IPIs here; an external interrupt is handed to KVM when it says that the guest
 * can take one.
 * split: the local APICs are the kernel's; the I/O APIC of hw/ sends it messages, the 8259s
 * their interrupt as above. on: all of them are. hw/intc's pass on what devices do
 * (struct machine_chips) and are brought up to date when the machine is handed on.
 */
#include <stdlib.h>
#include <time.h>
#include <asm/kvm_para.h>
#include "accel/kvm-int.h"
#include "hw/intc/intc.h"

enum { MSR_TSC_DEADLINE = 0x6e0 };

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

/* Only the translator's hypercall asks for it, so it is left over from there. */
static void take_unhalt(struct kvm_cpu *k)
{
    vcpu_intr_lower(&k->c->vcpu, VCPU_INTR_UNHALT);
    if (k->mp == MP_HALTED)
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
    else if (pending & VCPU_INTR_UNHALT)
        take_unhalt(k);
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
        accel_halt(k->c, 0);
    __atomic_store_n(&k->in_run, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&k->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

/* With the kernel's local APIC only what comes from outside of it is looked at. */
static bool before_entry_chips(struct kvm_cpu *k)
{
    for (;;) {
        uint32_t pending = requests(k);

        if (pending && k->io_pending && (pending & ~EXTERNAL))
            kvm_complete(k);
        if (pending & VCPU_INTR_EXIT)
            return false;
        if (pending & VCPU_INTR_STPCLK)
            wait_for_event(k, pending);
        else if (!take_one(k, pending))
            break;
    }
    offer_interrupt(k);
    return true;
}

bool kvm_before_entry(struct kvm_cpu *k)
{
    struct lapic *l = k->c->vcpu.lapic;

    if (k->c->a->kvm->irqchip != IRQCHIP_OFF)
        return before_entry_chips(k);

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

    if (!l || k->c->a->kvm->irqchip != IRQCHIP_OFF)
        return;
    if (r->cr8 != lapic_get_tpr(l) >> 4)
        lapic_set_tpr(l, r->cr8 << 4);
    if (r->apic_base != k->apic_base) {
        k->apic_base = r->apic_base;
        lapic_set_base(l, r->apic_base);
    }
}

/* ---- the kernel's: while they do the work ------------------------------------------------ */

/* GSIs: the 8259s' inputs, then the I/O APIC's pins. split: the pins alone, as messages. */
enum { GSI_IOAPIC = 16 };

static struct kvm *vm_of(struct machine *m)
{
    return accel_of(m)->kvm;
}

static void drive_gsi(struct machine *m, uint32_t gsi, int level)
{
    struct kvm_irq_level l = { .irq = gsi, .level = (uint32_t)!!level };

    kvm_ioctl(vm_of(m)->vm_fd, KVM_IRQ_LINE, &l);
}

static void set_pic(struct machine *m, int irq, int level)
{
    drive_gsi(m, (uint32_t)irq, level);
}

static void set_ioapic(struct machine *m, int pin, int level)
{
    drive_gsi(m, GSI_IOAPIC + (uint32_t)pin, level);
}

static void routes_changed(struct machine *m)
{
    kvm_routes_set(vm_of(m));
}

static const struct machine_chips chips_on = { .set_pic = set_pic, .set_ioapic = set_ioapic, .message = kvm_message };
static const struct machine_chips chips_split = { .message = kvm_message, .routes_changed = routes_changed };

int kvm_irqchip_create(struct kvm *k, struct err *e)
{
    struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { IOAPIC_PINS } };
    struct kvm_enable_cap ids = { .cap = KVM_CAP_X2APIC_API,
                                  .args = { KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK } };
    int ret;

    if (k->irqchip == IRQCHIP_OFF)
        return 0;
    if (k->irqchip == IRQCHIP_SPLIT && !k->a->opt.irqchip_given && !kvm_cap(k, KVM_CAP_SPLIT_IRQCHIP)) {
        k->irqchip = IRQCHIP_OFF;
        return 0;
    }
    if (!kvm_cap(k, KVM_CAP_IRQCHIP) || !kvm_cap(k, KVM_CAP_SIGNAL_MSI) || !kvm_cap(k, KVM_CAP_IRQ_ROUTING)
        || (k->irqchip == IRQCHIP_SPLIT && !kvm_cap(k, KVM_CAP_SPLIT_IRQCHIP)))
        return err_set(e, -ENOTSUP, "kernel-irqchip=%s: this KVM has no such interrupt chips (off works)",
                       k->irqchip == IRQCHIP_ON ? "on" : "split");
    ret = k->irqchip == IRQCHIP_ON ? kvm_ioctl(k->vm_fd, KVM_CREATE_IRQCHIP, NULL)
                                   : kvm_ioctl(k->vm_fd, KVM_ENABLE_CAP, &split);
    if (ret < 0)
        return err_set(e, ret, "kernel-irqchip=%s: %s", k->irqchip == IRQCHIP_ON ? "on" : "split", strerror(-ret));
    k->x2api = kvm_ioctl(k->vm_fd, KVM_ENABLE_CAP, &ids) == 0;
    k->irqfd = kvm_cap(k, KVM_CAP_IRQFD);
    if (k->irqchip == IRQCHIP_ON)
        kvm_routes_set(k);
    return 0;
}

/* ---- their state --------------------------------------------------------------------------- */

enum { ICW1_IC4 = 1, ICW4_UPM = 1, ICW4_AEOI = 2, ICW4_SFNM = 0x10 };

static void pic_out(struct kvm_pic_state *s, const struct pic_chip *c, uint8_t elcr_mask)
{
    *s = (struct kvm_pic_state){
        .last_irr = c->lines, .irr = c->irr, .imr = c->imr, .isr = c->isr,
        .priority_add = (c->lowest + 1) & 7, .irq_base = c->vector_base, .read_reg_select = c->read_isr,
        .poll = c->poll, .special_mask = c->smm, .init_state = c->step, .auto_eoi = !!(c->icw4 & ICW4_AEOI),
        .rotate_on_auto_eoi = c->rotate_aeoi, .special_fully_nested_mode = !!(c->icw4 & ICW4_SFNM),
        .init4 = c->icw1 & ICW1_IC4, .elcr = c->elcr, .elcr_mask = elcr_mask,
    };
}

static void pic_in(struct pic_chip *c, const struct kvm_pic_state *s)
{
    c->irr = s->irr;
    c->imr = s->imr;
    c->isr = s->isr;
    c->lowest = (s->priority_add - 1) & 7;
    c->vector_base = s->irq_base;
    c->read_isr = s->read_reg_select;
    c->poll = s->poll;
    c->smm = s->special_mask;
    c->step = s->init_state;
    c->rotate_aeoi = s->rotate_on_auto_eoi;
    c->icw4 = ICW4_UPM | (s->auto_eoi ? ICW4_AEOI : 0) | (s->special_fully_nested_mode ? ICW4_SFNM : 0);
    c->elcr = s->elcr;
}

#define RTE_LEVEL BIT(15)

/* Lines of edge-triggered pins that are up have been heard of already. */
static void ioapic_out(struct kvm_ioapic_state *k, const struct ioapic_state *s)
{
    *k = (struct kvm_ioapic_state){ .base_address = IOAPIC_BASE, .ioregsel = s->select, .id = s->id >> 24 };
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        k->redirtbl[i].bits = s->redtbl[i];
        if ((s->redtbl[i] & RTE_LEVEL) && (s->lines >> i & 1))
            k->irr |= 1u << i;
    }
}

static void ioapic_in(struct ioapic_state *s, const struct kvm_ioapic_state *k)
{
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        s->redtbl[i] = k->redirtbl[i].bits & ~BIT(12);   /* delivery status */
    s->id = k->id << 24;
    s->select = k->ioregsel;
}

static void chips_out(struct kvm *k)
{
    struct machine *m = k->a->m;
    /* inputs that can be told to be levels: not timer, keyboard, cascade, clock, FERR# */
    static const uint8_t elcr_mask[2] = { 0xf8, 0xde };
    struct kvm_irqchip c = { .chip_id = KVM_IRQCHIP_PIC_MASTER };
    struct ioapic_state s;

    for (unsigned i = 0; m->pic && i < 2; i++) {
        c.chip_id = KVM_IRQCHIP_PIC_MASTER + i;
        pic_out(&c.chip.pic, &pic_chips(m->pic)[i], elcr_mask[i]);
        kvm_ioctl(k->vm_fd, KVM_SET_IRQCHIP, &c);
    }
    if (m->pic)
        pic_silence(m->pic);
    if (!m->ioapic)
        return;
    c.chip_id = KVM_IRQCHIP_IOAPIC;
    ioapic_get_state(m->ioapic, &s);
    ioapic_out(&c.chip.ioapic, &s);
    kvm_ioctl(k->vm_fd, KVM_SET_IRQCHIP, &c);
}

static void chips_in(struct kvm *k)
{
    struct machine *m = k->a->m;
    struct kvm_irqchip c = { .chip_id = KVM_IRQCHIP_PIC_MASTER };
    struct ioapic_state s;

    for (unsigned i = 0; i < 2; i++) {
        c.chip_id = KVM_IRQCHIP_PIC_MASTER + i;
        if (kvm_ioctl(k->vm_fd, KVM_GET_IRQCHIP, &c) == 0)
            pic_in(&pic_chips(m->pic)[i], &c.chip.pic);
    }
    c.chip_id = KVM_IRQCHIP_IOAPIC;
    if (kvm_ioctl(k->vm_fd, KVM_GET_IRQCHIP, &c) == 0) {
        ioapic_get_state(m->ioapic, &s);
        ioapic_in(&s, &c.chip.ioapic);
        ioapic_set_state(m->ioapic, &s);
    }
}

void kvm_refresh_chips(struct accel *a)
{
    if (a->kvm->irqchip == IRQCHIP_ON && a->m->pic && a->m->ioapic)
        chips_in(a->kvm);
}

bool kvm_lapic_page(struct accel_cpu *c, uint8_t page[ACCEL_LAPIC_BYTES])
{
    struct kvm_cpu *k = kvm_of(c);
    struct kvm_lapic_state s;

    if (c->a->kvm->irqchip == IRQCHIP_OFF || k->lapic_due || kvm_ioctl(k->fd, KVM_GET_LAPIC, &s) < 0)
        return false;
    memcpy(page, s.regs, MIN(sizeof s.regs, (size_t)ACCEL_LAPIC_BYTES));
    return true;
}

/* The guest's TSC as it stands still. */
static uint64_t guest_tsc(const struct accel_cpu *c, const struct x86_state *s)
{
    return accel_tsc(c->a) + s->tsc_offset + s->msr[ST_TSC_ADJUST];
}

void kvm_lapic_out(struct kvm_cpu *k)
{
    struct lapic *l = k->c->vcpu.lapic;
    struct kvm_lapic_state s;

    if (!l || k->c->a->kvm->irqchip == IRQCHIP_OFF)
        return;
    lapic_get_page(l, (uint8_t *)s.regs);
    kvm_ioctl(k->fd, KVM_SET_LAPIC, &s);
    kvm_set_msr(k, MSR_TSC_DEADLINE, lapic_get_tsc_deadline(l));
    lapic_silence(l);
    k->lapic_due = false;
}

static void lapic_in(struct kvm_cpu *k)
{
    struct accel_cpu *c = k->c;
    struct x86_state *s = xmalloc(sizeof *s);
    struct kvm_lapic_state page;
    struct err e = { "" };
    uint64_t deadline;

    if (kvm_get_state(c, s, &e) == 0 && kvm_ioctl(k->fd, KVM_GET_LAPIC, &page) == 0) {
        lapic_set_page(c->vcpu.lapic, s->apic_base, (const uint8_t *)page.regs);
        if (kvm_get_msr(k, MSR_TSC_DEADLINE, &deadline) && deadline)
            lapic_set_tsc_deadline(c->vcpu.lapic, deadline, guest_tsc(c, s), c->a->model.tsc_hz);
    }
    free(s);
}

/* A reset gives the chips of hw/ their initial state: that is the kernel's then, too. */
void kvm_irqchip_reset(struct accel *a)
{
    struct kvm *k = a->kvm;

    if (k->irqchip == IRQCHIP_OFF)
        return;
    kvm_messages_forget(k);
    if (k->irqchip == IRQCHIP_ON)
        chips_out(k);
    kvm_routes_set(k);
    for (unsigned i = 0; i < a->n_cpus; i++)
        k->cpus[i].lapic_due = true;
}

/* Interfaces of KVM alone: the common form does not know these MSRs. */
static void reset_pv(struct kvm_cpu *k)
{
    kvm_set_msr(k, MSR_KVM_ASYNC_PF_EN, 0);
    kvm_set_msr(k, MSR_KVM_ASYNC_PF_INT, 0);
    kvm_set_msr(k, MSR_KVM_POLL_CONTROL, 1);
}

void kvm_reset(struct accel *a)
{
    kvm_irqchip_reset(a);
    for (unsigned i = 0; i < a->n_cpus; i++)
        reset_pv(&a->kvm->cpus[i]);
}

/* Machine lock held, vCPUs paused. */
void kvm_choose_irqchip(struct accel *a, bool on)
{
    struct kvm *k = a->kvm;
    struct machine *m = a->m;

    if (k->irqchip == IRQCHIP_OFF)
        return;
    if (on) {
        m->chips = k->irqchip == IRQCHIP_ON ? &chips_on : &chips_split;
        if (m->ioapic)                       /* else the first reset is still to come */
            kvm_irqchip_reset(a);
        return;
    }
    m->chips = NULL;
    kvm_messages_forget(k);              /* none is under way any more */
    for (unsigned i = 0; i < a->n_cpus; i++)
        lapic_in(&k->cpus[i]);
    if (k->irqchip == IRQCHIP_ON)
        chips_in(k);
    pic_changed(m->pic);
    ioapic_changed(m->ioapic);
}
