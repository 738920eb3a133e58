/*
 * smp-pv.c - KVM's paravirtual interfaces between processors: end of interrupt in memory, out of
 * HLT, one interrupt for many, TLB flushes of those that do not run
 *
 * Source: the Linux kernel's Documentation/virt/kvm/x86/{cpuid,msr,hypercalls}.rst.
 */
#include "bare/smp.h"

enum { F_STEAL_TIME = 1 << 5, F_EOI = 1 << 6, F_UNHALT = 1 << 7, F_TLB_FLUSH = 1 << 9, F_SEND_IPI = 1 << 11,
       F_SCHED_YIELD = 1 << 13 };
enum { MSR_STEAL_TIME = 0x4b564d03, MSR_PV_EOI = 0x4b564d04 };
enum { HC_KICK_CPU = 5, HC_SEND_IPI = 10, HC_SCHED_YIELD = 11 };
enum { VEC_PV = 0x51, PREEMPTED = 1, FLUSH_TLB = 2 };
#define TIMES (1000u * ROUNDS)

struct steal { u64 ns; u32 version, flags; volatile u8 preempted; u8 pad[47]; } __attribute__((aligned(64)));

static struct steal steal[MAX_CPUS];
static volatile u32 eoi_word[MAX_CPUS][16];
static volatile u32 taken, unwritten, asleep, awake;
static u32 features;

static u64 hypercall(u64 nr, u64 a, u64 b, u64 c, u64 d)
{
    asm volatile(".byte 0x0f, 0x01, 0xc1" : "+a"(nr) : "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
    return nr;
}

/* Bit 1 is reserved in all of them. The handler leaves IF as the exception made it. */
static void expect_gp(const char *name, u32 msr)
{
    TRY("wrmsr", : : "c"(msr), "a"(2), "d"(0) : "memory");
    check_trap(name, GP, 0);
    asm volatile("sti");
}

/* ---- end of interrupt ----------------------------------------------------------------- */

struct iframe;
__attribute__((interrupt)) static void isr_pv(struct iframe *f)
{
    u32 cpu = this_cpu();
    u8 was;

    asm volatile("btrl $0, %0\n\tsetc %1" : "+m"(eoi_word[cpu][0]), "=q"(was) : : "cc");
    if (was)
        xadd(&unwritten, 1);
    else
        end_interrupt();
    xadd(&taken, 1);
}

static void eoi_on(u32 cpu)  { wrmsr(MSR_PV_EOI, (u64)(ulong)&eoi_word[cpu][0] | 1); }
static void eoi_off(u32 cpu) { wrmsr(MSR_PV_EOI, 0); }

static void send_many(u32 cpu)
{
    for (u32 i = 0; i < TIMES && !cpu; i++) {
        u32 before = taken;

        send_ipi(cpus[i % n_cpus].apic_id, 0x4000 | VEC_PV);
        smp_wait(&taken, before + 1);
    }
}

static void test_eoi(void)
{
    u32 word = 0;

    taken = unwritten = 0;
    smp_run(n_cpus, eoi_on);
    smp_run(1, send_many);
    check("PV EOI: each interrupt comes once", taken, TIMES);
    check("PV EOI: the register is not always written", unwritten > TIMES / 2, 1);
    smp_run(n_cpus, eoi_off);
    for (u32 i = 0; i < n_cpus; i++)
        word |= eoi_word[i][0];
    check("PV EOI: nothing is left when it is off", word, 0);
    word = unwritten;
    send_ipi(cpus[n_cpus - 1].apic_id, 0x4000 | VEC_PV);
    check("PV EOI: off, an interrupt", smp_wait(&taken, TIMES + 1), 1);
    check("PV EOI: off, its end is written", unwritten, word);
    expect_gp("PV EOI: the reserved bit", MSR_PV_EOI);
}

/* ---- out of HLT ------------------------------------------------------------------------ */

static void sleep_deaf(u32 cpu)
{
    if (cpu != 1)
        return;
    asm volatile("cli");
    asleep = 1;
    asm volatile("hlt" : : : "memory");
    awake++;
    smp_wait(&asleep, 2);            /* here comes a kick for somebody awake: the next HLT ends at once */
    asm volatile("hlt" : : : "memory");
    awake++;
    asm volatile("sti");
}

static void kick_sleeper(u32 cpu)
{
    u64 until = rdtsc() + 50000000;

    if (cpu)
        return sleep_deaf(cpu);
    smp_wait(&asleep, 1);
    send_ipi(cpus[1].apic_id, 0x4000 | VEC_COUNT);   /* does not wake it: IF is 0 */
    while (rdtsc() < until)
        pause();
    check("HLT without IF: an interrupt ends nothing", awake, 0);
    check("hypercall: kick", hypercall(HC_KICK_CPU, 0, cpus[1].apic_id, 0, 0), 0);
    check("HLT without IF: a kick ends it", smp_wait(&awake, 1), 1);
    hypercall(HC_KICK_CPU, 0, cpus[1].apic_id, 0, 0);
    asleep = 2;
    check("a kick waits for the next HLT", smp_wait(&awake, 2), 1);
}

static void test_unhalt(void)
{
    u32 counts = cpus[1].counts;

    asleep = awake = 0;
    smp_run(2, kick_sleeper);
    check("the interrupt comes after STI", smp_wait(&cpus[1].counts, counts + 1), 1);
    check("hypercall: a kick for nobody", hypercall(HC_KICK_CPU, 0, 0x12345678, 0, 0), 0);
}

/* ---- one interrupt for many ---------------------------------------------------------------- */

static u32 counts_of_all(void)
{
    u32 n = 0;

    for (u32 i = 0; i < n_cpus; i++)
        n += cpus[i].counts;
    return n;
}

static void test_send_ipi(void)
{
    u64 low = 0, high = 0;
    u32 before = counts_of_all(), first = cpus[1].apic_id, ok = 1;
    u64 until = rdtsc() + 400000000000ull;

    for (u32 i = 1; i < n_cpus; i++) {
        u32 at = cpus[i].apic_id - first;

        if (at < 64)
            low |= 1ull << at;
        else if (at < 128)
            high |= 1ull << (at - 64);
        else
            ok = 0;                  /* started in an order of their own */
    }
    if (!ok)
        first = 0, low = (n_cpus == 64 ? ~0ull : (1ull << n_cpus) - 1) & ~1ull, high = 0;
    check("hypercall: interrupts for many", hypercall(HC_SEND_IPI, low, high, first, VEC_COUNT), n_cpus - 1);
    while (counts_of_all() != before + n_cpus - 1 && rdtsc() < until)
        pause();
    check("each has got it", counts_of_all(), before + n_cpus - 1);
    check("hypercall: no logical destination", hypercall(HC_SEND_IPI, low, high, first, 0x800 | VEC_COUNT), -22ull);
    check("hypercall: an impossible vector", hypercall(HC_SEND_IPI, low, high, first, 3), 0);
}

/* ---- translations of those that do not run --------------------------------------------------- */

/* 4 KiB page of a test's own table: the guest's tables map 2 MiB each */
#define WINDOW 0x60000000ul
static u64 table[512] __attribute__((aligned(4096)));
static u8 first_page[4096] __attribute__((aligned(4096))), second_page[4096] __attribute__((aligned(4096)));
static volatile u32 seen_before, seen_after, stage;

static void look_and_sleep(u32 cpu)
{
    volatile u32 *window = (volatile u32 *)WINDOW;

    wrmsr(MSR_STEAL_TIME, (u64)(ulong)&steal[1] | 1);
    asm volatile("cli");
    seen_before = *window;
    stage = 1;
    while (stage == 1)               /* the interrupt that brought us here may come late */
        asm volatile("sti; hlt; cli" : : : "memory");
    seen_after = *window;
    asm volatile("sti");
    wrmsr(MSR_STEAL_TIME, 0);
}

static void flush_sleeper(u32 cpu)
{
    u64 until = rdtsc() + 400000000000ull;
    u8 was;

    if (cpu)
        return look_and_sleep(cpu);
    smp_wait(&stage, 1);
    *(volatile u64 *)table = (u64)(ulong)second_page | 3;
    do
        asm volatile("mov %2, %%al\n\tlock cmpxchgb %b3, %1\n\tsetz %0" : "=&q"(was), "+m"(steal[1].preempted)
                     : "i"(PREEMPTED), "q"(PREEMPTED | FLUSH_TLB) : "rax", "cc", "memory");
    while (!was && rdtsc() < until);
    check("steal time: who halts is marked and can be told to flush", was, 1);
    stage = 2;
    send_ipi(cpus[1].apic_id, 0x4000 | VEC_WAKE);
}

static void map_window(void)
{
    u64 cr3, *p;

    asm volatile("mov %%cr3, %0" : "=r"(cr3));
    p = (u64 *)(ulong)(cr3 & ~0xffful);
    p = (u64 *)(ulong)(p[WINDOW >> 39 & 511] & 0xffffffffff000);
    p = (u64 *)(ulong)(p[WINDOW >> 30 & 511] & 0xffffffffff000);
    p[WINDOW >> 21 & 511] = (u64)(ulong)table | 3;
    table[0] = (u64)(ulong)first_page | 3;
    *(u32 *)first_page = 1111;
    *(u32 *)second_page = 2222;
}

static void load_cr3(u32 cpu) { asm volatile("mov %%cr3, %%rax\n\tmov %%rax, %%cr3" : : : "rax", "memory"); }

static void test_tlb_flush(void)
{
    map_window();
    smp_run(n_cpus, load_cr3);
    stage = 0;
    smp_run(2, flush_sleeper);
    check("TLB flush: before", seen_before, 1111);
    check("TLB flush: after", seen_after, 2222);
    check("steal time: who runs is not marked", steal[1].preempted, 0);
    check("steal time: the version is even", steal[1].version & 1, 0);
    expect_gp("steal time: reserved bits", MSR_STEAL_TIME);
}

void test_smp_pv(void)
{
    features = under_kvm() ? cpuid(0x40000001, 0).a : 0;
    idt_set(VEC_PV, SEL_CODE, (ulong)isr_pv, G_INT, 0);
    if (features & F_EOI)
        test_eoi();
    else
        skip("PV EOI", "not announced");
    if (features & F_UNHALT)
        test_unhalt();
    else
        skip("out of HLT", "not announced");
    if (features & F_SEND_IPI)
        test_send_ipi();
    else
        skip("hypercall: interrupts for many", "not announced");
    if ((features & F_STEAL_TIME) && (features & F_TLB_FLUSH))
        test_tlb_flush();
    else
        skip("TLB flush of who halts", "not announced");
    if (features & F_SCHED_YIELD) {
        check("hypercall: yield", hypercall(HC_SCHED_YIELD, cpus[1].apic_id, 0, 0, 0), 0);
        check("hypercall: unknown", hypercall(77, 0, 0, 0, 0), -1000ull);
    }
}
