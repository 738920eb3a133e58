/*
 * pv-smp.c - paravirtual interfaces that guests know from KVM: what several vCPUs want of each other
 *
 * Steal time: a page tells how long the vCPU's thread has been ready without a host CPU. A flag
 * in it says that the vCPU does not run at all; others then ask by another flag, in place of an
 * interrupt, that it drop its translations before it goes on.
 *
 * Hypercalls: out of HLT (spinlocks), one interrupt for many, giving the host CPU away.
 *
 * Source: the Linux kernel's Documentation/virt/kvm/x86/{msr,cpuid,hypercalls}.rst.
 */
#define _GNU_SOURCE 1
#include <sched.h>
#include "target-x86/system-int.h"

/* ---- steal time --------------------------------------------------------------------- */

enum { STEAL_ENABLED = 1, STEAL_RESERVED = 0x3e };
enum { VCPU_PREEMPTED = 1, VCPU_FLUSH_TLB = 2 };
#define STEAL_TELL_HZ 100        /* how often at most a busy vCPU's time is told */

/** struct pv_steal - what the guest reads; @version is odd while it changes */
struct pv_steal {
    uint64_t ns;
    uint32_t version, flags;
    uint8_t preempted, pad[47];
};
_Static_assert(sizeof(struct pv_steal) == 64, "as the interface has it");

static struct pv_steal *steal_page(struct x86_cpu *cpu, uint64_t *gpa)
{
    *gpa = cpu->kvm_steal_time & ~(uint64_t)STEAL_ENABLED;
    return cpu->kvm_steal_time & STEAL_ENABLED ? x86_pv_ram(cpu, *gpa, sizeof(struct pv_steal)) : NULL;
}

static void tell(struct x86_cpu *cpu, struct pv_steal *p)
{
    uint64_t ns = cpu->bus->steal_ns ? cpu->bus->steal_ns(cpu->bus->opaque) : 0;
    uint32_t version = (__atomic_load_n(&p->version, __ATOMIC_RELAXED) | 1) + 1;

    if (cpu->steal_seen_ns == PV_STEAL_UNSEEN)
        cpu->steal_seen_ns = ns;
    __atomic_store_n(&p->version, version - 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&p->ns, __atomic_load_n(&p->ns, __ATOMIC_RELAXED) + (ns - cpu->steal_seen_ns), __ATOMIC_RELAXED);
    __atomic_store_n(&p->version, version, __ATOMIC_RELEASE);
    cpu->steal_seen_ns = ns;
}

void x86_pv_steal_update(struct x86_cpu *cpu)
{
    uint64_t now = cpu->bus->tsc(cpu->bus->opaque), gpa;
    struct pv_steal *p;

    if (now < cpu->steal_next_tsc || !(p = steal_page(cpu, &gpa)))
        return;
    cpu->steal_next_tsc = now + cpu->model->tsc_hz / STEAL_TELL_HZ;
    tell(cpu, p);
    cpu->bus->ram_done(cpu->bus->opaque, gpa, sizeof(*p));
}

bool x86_pv_set_steal_time(struct x86_cpu *cpu, uint64_t v)
{
    if (v & STEAL_RESERVED)
        return false;
    cpu->kvm_steal_time = v;
    cpu->steal_seen_ns = cpu->bus->steal_ns ? cpu->bus->steal_ns(cpu->bus->opaque) : 0;
    cpu->steal_next_tsc = 0;
    x86_pv_steal_update(cpu);
    return true;
}

void x86_pv_wait_begin(struct x86_cpu *cpu)
{
    struct pv_steal *p;
    uint64_t gpa;

    if (!cpu->kvm_steal_time || !(p = steal_page(cpu, &gpa)))
        return;
    __atomic_store_n(&p->preempted, VCPU_PREEMPTED, __ATOMIC_SEQ_CST);
    cpu->bus->ram_done(cpu->bus->opaque, gpa, sizeof(*p));
}

void x86_pv_wait_end(struct x86_cpu *cpu)
{
    struct pv_steal *p;
    uint64_t gpa;

    if (!cpu->kvm_steal_time || !(p = steal_page(cpu, &gpa)))
        return;
    if (__atomic_exchange_n(&p->preempted, 0, __ATOMIC_SEQ_CST) & VCPU_FLUSH_TLB)
        tcg_mmu_flush(&cpu->tcg, true);
    cpu->bus->ram_done(cpu->bus->opaque, gpa, sizeof(*p));
}

/* ---- hypercalls ---------------------------------------------------------------------- */

enum { HC_KICK_CPU = 5, HC_SEND_IPI = 10, HC_SCHED_YIELD = 11 };
enum { HC_EPERM = 1, HC_EINVAL = 22, HC_ENOSYS = 1000 };
/* bits of the ICR that SEND_IPI has arguments of its own for: destination mode, shorthand */
#define ICR_ELSEWHERE (1u << 11 | 3u << 18)

static int64_t send_ipi(struct x86_cpu *cpu, const uint64_t arg[4], bool wide)
{
    uint64_t map[2] = { arg[0], arg[1] };

    if (arg[3] & ICR_ELSEWHERE)
        return -HC_EINVAL;
    if (!wide) {                 /* two halves of 32 bits */
        map[0] |= map[1] << 32;
        map[1] = 0;
    }
    return cpu->bus->pv_send_ipi(cpu->bus->opaque, map, (uint32_t)arg[2], (uint32_t)arg[3]);
}

static int64_t hypercall(struct x86_cpu *cpu, uint64_t nr, const uint64_t arg[4], bool wide)
{
    uint32_t pv = cpu->model->pv;

    if (cpu->cpl != 0)
        return -HC_EPERM;
    if (nr == HC_KICK_CPU && (pv & PV_UNHALT) && cpu->bus->pv_kick) {
        cpu->bus->pv_kick(cpu->bus->opaque, (uint32_t)arg[1]);
        return 0;
    }
    if (nr == HC_SEND_IPI && (pv & PV_SEND_IPI) && cpu->bus->pv_send_ipi)
        return send_ipi(cpu, arg, wide);
    if (nr == HC_SCHED_YIELD && (pv & PV_SCHED_YIELD)) {
        sched_yield();           /* whoever the guest means: it is ready and gets its turn */
        return 0;
    }
    log_guest(LOG_UNIMP, "hypercall nr=%llu unknown", (unsigned long long)nr);
    return -HC_ENOSYS;
}

uint64_t h_vmcall(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    bool wide = x86_code64(cpu);
    uint64_t mask = wide ? ~0ull : 0xffffffff;
    const uint64_t arg[4] = { GPR(cpu, R_BX) & mask, GPR(cpu, R_CX) & mask, GPR(cpu, R_DX) & mask,
                              GPR(cpu, R_SI) & mask };

    GPR(cpu, R_AX) = (uint64_t)hypercall(cpu, GPR(cpu, R_AX) & mask, arg, wide) & mask;
    return 0;
}
