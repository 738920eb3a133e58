/*
 * kvm-exit.c - what a vCPU needs of the machine: ports, devices in memory, MSRs,
 * standing still; and what to say when KVM gives up
 */
#include <stdlib.h>
#include "accel/kvm-int.h"
#include "hw/intc/intc.h"

/* ---- ports and memory -------------------------------------------------------------------- */

static void port_one(struct machine *m, const struct kvm_run *r, uint8_t *data)
{
    uint32_t v = 0;

    if (r->io.direction == KVM_EXIT_IO_OUT) {
        memcpy(&v, data, r->io.size);
        port_write(m, r->io.port, v, r->io.size);
    } else {
        v = port_read(m, r->io.port, r->io.size);
        memcpy(data, &v, r->io.size);
    }
}

/* One access, or a stretch of a string instruction's. */
static void exit_io(struct kvm_cpu *k)
{
    struct kvm_run *r = k->run;
    uint8_t *data = (uint8_t *)r + r->io.data_offset;

    for (uint32_t i = 0; i < r->io.count; i++)
        port_one(k->c->a->m, r, data + i * r->io.size);
    k->io_pending = true;
    accel_stop_when_requested(k->c);
}

static unsigned piece(unsigned left)
{
    return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

static void exit_mmio(struct kvm_cpu *k)
{
    struct kvm_run *r = k->run;
    struct mem_map *mm = &k->c->a->m->mem;
    uint64_t a20 = __atomic_load_n(&mm->a20_mask, __ATOMIC_RELAXED);

    accel_enter_access(k->c, r->mmio.phys_addr & a20);
    for (unsigned at = 0, n; at < MIN(r->mmio.len, 8u); at += n) {
        gpa_t gpa = (r->mmio.phys_addr + at) & a20;
        uint64_t v = 0;

        n = piece(MIN(r->mmio.len, 8u) - at);
        if (r->mmio.is_write) {
            memcpy(&v, r->mmio.data + at, n);
            mmio_write(mm, gpa, v, n);
        } else {
            v = mmio_read(mm, gpa, n);
            memcpy(r->mmio.data + at, &v, n);
        }
    }
    accel_leave_access(k->c);
    k->io_pending = true;
    accel_stop_when_requested(k->c);
}

/* MSRs that KVM does not know: the model's, and those of a local APIC in user space. */
static void exit_msr(struct kvm_cpu *k, bool write)
{
    struct kvm_run *r = k->run;
    uint64_t v = r->msr.data;

    r->msr.error = !x86_debug_msr(k->c->cpu, r->msr.index, &v, write);
    if (!write)
        r->msr.data = v;
    if (r->msr.error)
        log_guest(LOG_UNIMP, "%smsr msr=%#x: #GP", write ? "wr" : "rd", r->msr.index);
    k->io_pending = true;
}

void kvm_complete(struct kvm_cpu *k)
{
    while (k->io_pending) {
        int ret;

        __atomic_store_n(&k->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        k->io_pending = false;
        ret = kvm_ioctl(k->fd, KVM_RUN, NULL);
        kvm_after_exit(k);
        if (ret == 0)
            kvm_handle_exit(k);      /* the next part of it */
    }
}

/* ---- the state as a whole ------------------------------------------------------------------- */

void kvm_edit(struct kvm_cpu *k, void (*change)(struct x86_cpu *cpu, void *arg), void *arg)
{
    struct x86_state *s = xmalloc(sizeof *s);
    struct err e = { "" };

    if (kvm_get_state(k->c, s, &e) == 0) {
        x86_state_put(k->c->cpu, s);
        change(k->c->cpu, arg);
        x86_state_get(k->c->cpu, s);
        kvm_put_state(k->c, s, &e);
    }
    if (e.msg[0])
        log_write("%s", e.msg);
    free(s);
}

/* ---- when it cannot go on ---------------------------------------------------------------------- */

static void show(struct x86_cpu *cpu, void *arg)
{
    x86_log_cpu(&cpu->tcg, arg);
}

static void give_up(struct kvm_cpu *k, const char *why, uint64_t code)
{
    fprintf(stderr, "transom: kvm: vCPU %u cannot go on: %s (%#llx); the guest is paused\n",
            k->c->vcpu.index, why, (unsigned long long)code);
    kvm_edit(k, show, stderr);
    machine_request_stop(k->c->a->m);
    accel_stop_self(k->c);
}

static void execute_one(struct x86_cpu *cpu, void *arg)
{
    accel_bt_step(arg);
}

static void internal_error(struct kvm_cpu *k)
{
    static const char *const why[] = { "internal error", "an instruction that it does not emulate",
                                       "two exceptions at once", "an event that it cannot deliver",
                                       "an exit that it does not know" };
    uint32_t n = k->run->internal.suberror;

    if (n == KVM_INTERNAL_ERROR_EMULATION) {
        k->c->a->kvm->stepped++;
        kvm_edit(k, execute_one, k->c);
        return;
    }
    give_up(k, n < ARRAY_SIZE(why) ? why[n] : why[0], n);
}

static void triple_fault(struct kvm_cpu *k)
{
    k->mp = MP_SHUTDOWN;
    machine_request_reset(k->c->a->m, CAUSE_TRIPLE_FAULT);
    accel_stop_self(k->c);
}

/* ---- all exits ------------------------------------------------------------------------------------ */

void kvm_handle_exit(struct kvm_cpu *k)
{
    struct kvm_run *r = k->run;

    switch (r->exit_reason) {
    case KVM_EXIT_IO: exit_io(k); break;
    case KVM_EXIT_MMIO: exit_mmio(k); break;
    case KVM_EXIT_X86_RDMSR: exit_msr(k, false); break;
    case KVM_EXIT_X86_WRMSR: exit_msr(k, true); break;
    case KVM_EXIT_HLT: k->mp = MP_HALTED; break;
    case KVM_EXIT_SHUTDOWN: triple_fault(k); break;
    case KVM_EXIT_IRQ_WINDOW_OPEN:
    case KVM_EXIT_SET_TPR:           /* kvm_after_exit() has seen it */
    case KVM_EXIT_INTR: break;
    case KVM_EXIT_DEBUG: kvm_debug_exit(k); break;
    case KVM_EXIT_IOAPIC_EOI:
        machine_lock(k->c->a->m);
        ioapic_eoi(k->c->a->m->ioapic, r->eoi.vector);
        machine_unlock(k->c->a->m);
        break;
    case KVM_EXIT_INTERNAL_ERROR: internal_error(k); break;
    case KVM_EXIT_FAIL_ENTRY:
        give_up(k, "the host CPU refuses its state", r->fail_entry.hardware_entry_failure_reason);
        break;
    default: give_up(k, "unknown exit", r->exit_reason);
    }
}
