/*
 * pv.c - paravirtual interfaces that guests know from KVM: the clock (kvmclock); pv-smp.c has the others
 *
 * The guest names a page by MSR; there it finds a TSC value, the time that belongs to it and the
 * TSC's scale, and reads the time without an exit from then on. Time is the machine's TSC in
 * ns, so the page changes only when the guest changes its own TSC.
 *
 * Source: the Linux kernel's Documentation/virt/kvm/x86/msr.rst and cpuid.rst.
 */
#include "target-x86/system-int.h"

enum { CLOCK_ENABLED = 1, CLOCK_TSC_STABLE = 1 };

/** struct pv_time - what the guest reads; @version is odd while it changes */
struct pv_time {
    uint32_t version, pad0;
    uint64_t tsc, ns;
    uint32_t mul;               /* ns = (ticks << shift, or >> -shift) * mul >> 32 */
    int8_t shift;
    uint8_t flags, pad1[2];
};
_Static_assert(sizeof(struct pv_time) == 32, "as the interface has it");

/** struct pv_wall - the time of day when the clock was 0 */
struct pv_wall {
    uint32_t version, sec, nsec;
};

/* Ticks at @hz to ns, as exact as the form allows. */
static void scale_of(uint64_t hz, uint32_t *mul, int8_t *shift)
{
    uint64_t ns = 1000000000;
    int s = 0;

    while (ns >= hz)                 /* the quotient is to be below 1 ... */
        hz *= 2, s++;
    while (ns * 2 < hz)              /* ... and at least a half */
        ns *= 2, s--;
    *mul = (uint32_t)(((unsigned __int128)ns << 32) / hz);
    *shift = (int8_t)s;
}

static uint64_t to_ns(uint64_t ticks, uint32_t mul, int8_t shift)
{
    ticks = shift < 0 ? ticks >> -shift : ticks << shift;
    return (uint64_t)((unsigned __int128)ticks * mul >> 32);
}

void *x86_pv_ram(struct x86_cpu *cpu, uint64_t gpa, uint64_t len)
{
    if (gpa % 4 || !cpu->bus->ram)
        return NULL;
    return cpu->bus->ram(cpu->bus->opaque, gpa, len);
}

void x86_pv_clock_update(struct x86_cpu *cpu)
{
    uint64_t gpa = cpu->kvm_system_time & ~(uint64_t)CLOCK_ENABLED, ticks;
    struct pv_time *p, t = { .flags = CLOCK_TSC_STABLE };

    if (!(cpu->kvm_system_time & CLOCK_ENABLED) || !(p = x86_pv_ram(cpu, gpa, sizeof(*p))))
        return;
    scale_of(cpu->model->tsc_hz, &t.mul, &t.shift);
    ticks = cpu->bus->tsc(cpu->bus->opaque);
    t.tsc = ticks + cpu->tsc_offset + cpu->tsc_adjust;
    t.ns = to_ns(ticks, t.mul, t.shift);
    t.version = (__atomic_load_n(&p->version, __ATOMIC_RELAXED) | 1) + 1;
    __atomic_store_n(&p->version, t.version - 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    memcpy((char *)p + 8, (char *)&t + 8, sizeof(t) - 8);
    __atomic_store_n(&p->version, t.version, __ATOMIC_RELEASE);
    cpu->bus->ram_done(cpu->bus->opaque, gpa, sizeof(t));
}

bool x86_pv_set_system_time(struct x86_cpu *cpu, uint64_t v)
{
    cpu->kvm_system_time = v;
    x86_pv_clock_update(cpu);
    return true;
}

bool x86_pv_set_wall_clock(struct x86_cpu *cpu, uint64_t v)
{
    struct pv_wall *p = x86_pv_ram(cpu, v, sizeof(*p));
    uint32_t mul;
    int8_t shift;
    uint64_t ns;

    cpu->kvm_wall_clock = v;
    if (!p)
        return true;
    scale_of(cpu->model->tsc_hz, &mul, &shift);
    ns = (uint64_t)cpu->bus->wall_ns(cpu->bus->opaque) - to_ns(cpu->bus->tsc(cpu->bus->opaque), mul, shift);
    p->version = (p->version | 1) + 1;
    p->sec = (uint32_t)(ns / 1000000000);
    p->nsec = (uint32_t)(ns % 1000000000);
    cpu->bus->ram_done(cpu->bus->opaque, v, sizeof(*p));
    return true;
}

uint64_t x86_pv_ns(const struct x86_model *m, uint64_t ticks)
{
    uint32_t mul;
    int8_t shift;

    scale_of(m->tsc_hz, &mul, &shift);
    return to_ns(ticks, mul, shift);
}
