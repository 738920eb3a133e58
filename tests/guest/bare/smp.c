/*
 * smp.c - several processors: start-up, work, IPIs of all kinds
 *
 * Source: Intel SDM vol. 3A, "Multiple-Processor Management" (start-up), "Advanced
 * Programmable Interrupt Controller" (IPIs).
 */
#include "bare/smp.h"

void test_smp_mem(void), test_smp_litmus(void), test_smp_code(void), test_smp_pv(void);

enum { APIC_ID = 0x20, APIC_EOI = 0xb0, APIC_LDR = 0xd0, APIC_DFR = 0xe0, APIC_SVR = 0xf0,
       APIC_ICR = 0x300, APIC_ICR2 = 0x310 };
enum { MSR_BASE = 0x1b, BASE_X2 = 1 << 10, MSR_X2_ID = 0x802, MSR_X2_EOI = 0x80b, MSR_X2_LDR = 0x80d,
       MSR_X2_SVR = 0x80f, MSR_X2_ICR = 0x830, MSR_X2_SELF = 0x83f };
enum { ICR_LOWEST = 0x100, ICR_NMI = 0x400, ICR_INIT = 0x500, ICR_SIPI = 0x600, ICR_LOGICAL = 0x800,
       ICR_ASSERT = 0x4000, ICR_SELF = 1 << 18, ICR_ALL = 2 << 18, ICR_OTHERS = 3 << 18 };
#define APIC(r) (*(volatile u32 *)(0xfee00000ul + (r)))
#define PATIENCE 400000000000ull         /* TSC ticks without anything happening */

struct cpu cpus[MAX_CPUS];
u32 n_cpus;
volatile u32 ap_arrived = 1;
void (*volatile on_call)(u32 cpu);
static void (*volatile job)(u32 cpu);
static volatile u32 job_number, job_cpus, meet_count, meet_round;
extern u8 ap_start[], ap_start_end[];

/* ---- the local APIC ------------------------------------------------------------- */

/*
 * Which way this processor's APIC is reached. Asked of the processor itself: while all change over, an
 * interrupt that woke one for the work may come before or after the change.
 */
static int in_x2(void)
{
    return !!(rdmsr(MSR_BASE) & BASE_X2);
}

static u32 apic_id(void)
{
    return in_x2() ? rdmsr(MSR_X2_ID) : APIC(APIC_ID) >> 24;
}

u32 this_cpu(void)
{
    u32 id = apic_id();

    for (u32 i = 0; i < n_cpus; i++)
        if (cpus[i].apic_id == id)
            return i;
    return 0;
}

void send_ipi(u32 dest, u32 low)
{
    if (in_x2()) {
        barrier();
        asm volatile("mfence" ::: "memory");   /* the x2APIC MSRs are not serialising */
        wrmsr(MSR_X2_ICR, (u64)dest << 32 | low);
    } else {
        APIC(APIC_ICR2) = dest << 24;
        APIC(APIC_ICR) = low;
    }
}

void end_interrupt(void)
{
    if (in_x2())
        wrmsr(MSR_X2_EOI, 0);
    else
        APIC(APIC_EOI) = 0;
}

struct iframe;
__attribute__((interrupt)) static void isr_count(struct iframe *f)
{
    cpus[this_cpu()].counts++;
    end_interrupt();
}

__attribute__((interrupt)) static void isr_call(struct iframe *f)
{
    u32 n = this_cpu();

    if (on_call)
        on_call(n);
    cpus[n].calls++;
    end_interrupt();
}

/* Out of HLT, no more: it may arrive when the work is under way, so it does not count as a call. */
__attribute__((interrupt)) static void isr_wake(struct iframe *f) { end_interrupt(); }
__attribute__((interrupt)) static void isr_nmi(struct iframe *f) { cpus[this_cpu()].nmis++; }
__attribute__((interrupt)) static void isr_spurious(struct iframe *f) { }

/* ---- processors -------------------------------------------------------------------- */

static struct table_reg idtr, gdtr;

/* The boot processor's tables, and its code segment */
static void load_tables(void)
{
    asm volatile("lidt %0\n\tlgdt %1\n\tpushq %2\n\tpushq $1f\n\tlretq\n1:"
                 : : "m"(idtr), "m"(gdtr), "i"(SEL_CODE) : "memory");
}

/* Waits for jobs; asleep between them when there is none for a while. */
void ap_main(u32 n)
{
    u32 seen = 0;

    load_tables();
    APIC(APIC_SVR) = 0x100 | VEC_SPURIOUS;
    cpus[n].apic_id = APIC(APIC_ID) >> 24;
    cpus[n].arrived++;
    asm volatile("sti");
    for (;;) {
        for (u32 i = 0; i < 1000 && job_number == seen; i++)
            pause();
        asm volatile("cli");
        if (job_number == seen) {
            asm volatile("sti; hlt");
            continue;
        }
        asm volatile("sti");
        seen = job_number;
        if (n < job_cpus)
            job(n);
        cpus[n].done = seen;
    }
}

int smp_wait(const volatile u32 *p, u32 v)
{
    u64 until = rdtsc() + PATIENCE;

    while (*p != v) {
        if (rdtsc() > until)
            return 0;
        pause();
    }
    return 1;
}

void smp_barrier(u32 n)
{
    u32 round = meet_round;

    if (xadd(&meet_count, 1) + 1 == n) {
        meet_count = 0;
        meet_round = round + 1;
    } else {
        while (meet_round == round)
            pause();
    }
}

void smp_run(u32 n, void (*fn)(u32 cpu))
{
    job = fn;
    job_cpus = n;
    job_number++;
    send_ipi(0, ICR_OTHERS | ICR_ASSERT | VEC_WAKE);
    fn(0);
    for (u32 i = 1; i < n_cpus; i++)
        while (cpus[i].done != job_number)
            pause();
}

/* How many there are: fw_cfg item 5. */
static u32 board_cpus(void)
{
    u32 n;

    asm volatile("outw %0, %1" : : "a"((unsigned short)5), "Nd"((u16)0x510));
    n = inb(0x511);
    return n | (u32)inb(0x511) << 8;
}

static void delay(u64 ticks)
{
    for (u64 until = rdtsc() + ticks; rdtsc() < until; )
        pause();
}

static void start_all(void)
{
    u8 *page = (u8 *)0x2000;

    asm volatile("sidt %0\n\tsgdt %1" : "=m"(idtr), "=m"(gdtr));
    idt_set(2, SEL_CODE, (ulong)isr_nmi, G_INT, 0);
    idt_set(VEC_COUNT, SEL_CODE, (ulong)isr_count, G_INT, 0);
    idt_set(VEC_CALL, SEL_CODE, (ulong)isr_call, G_INT, 0);
    idt_set(VEC_WAKE, SEL_CODE, (ulong)isr_wake, G_INT, 0);
    idt_set(VEC_SPURIOUS, SEL_CODE, (ulong)isr_spurious, G_INT, 0);
    bytes_copy(page, ap_start, ap_start_end - ap_start);
    APIC(APIC_SVR) = 0x100 | VEC_SPURIOUS;
    cpus[0].apic_id = APIC(APIC_ID) >> 24;
    n_cpus = board_cpus();
    send_ipi(0, ICR_OTHERS | ICR_ASSERT | ICR_INIT);
    delay(1000000);
    send_ipi(0, ICR_OTHERS | ICR_ASSERT | ICR_SIPI | 2);
    check("all processors start", smp_wait(&ap_arrived, n_cpus), 1);
    for (u32 i = 1; i < n_cpus; i++)
        smp_wait(&cpus[i].arrived, 1);
    asm volatile("sti");
}

/* ---- interprocessor interrupts --------------------------------------------------------- */

static u32 all_counts(void)
{
    u32 n = 0;

    for (u32 i = 0; i < n_cpus; i++)
        n += cpus[i].counts;
    return n;
}

/* After sending, @cpu's count grows by one and nobody else's. */
static void expect_one(const char *name, u32 cpu, u32 dest, u32 low)
{
    u32 before = cpus[cpu].counts, all = all_counts();

    send_ipi(dest, low | ICR_ASSERT | VEC_COUNT);
    check(name, smp_wait(&cpus[cpu].counts, before + 1) && all_counts() == all + 1, 1);
}

/* Everybody's does, or everybody's but our own. */
static void expect_all(const char *name, u32 low, u32 self)
{
    u32 before[MAX_CPUS], ok = 1, me = this_cpu();

    for (u32 i = 0; i < n_cpus; i++)
        before[i] = cpus[i].counts;
    send_ipi(0xff, low | ICR_ASSERT | VEC_COUNT);
    for (u32 i = 0; i < n_cpus; i++)
        ok &= smp_wait(&cpus[i].counts, before[i] + (i != me || self));
    check(name, ok, 1);
}

static void set_logical_flat(u32 cpu)
{
    APIC(APIC_DFR) = ~0u;
    APIC(APIC_LDR) = cpu < 8 ? 1u << (24 + cpu) : 0;
}

/* Clusters of four, at most fifteen of them. */
static void set_logical_cluster(u32 cpu)
{
    APIC(APIC_DFR) = 0x0fffffff;
    APIC(APIC_LDR) = (cpu / 4 << 4 | 1u << cpu % 4) << 24;
}

static void send_lowest(u32 dest, const char *name)
{
    u32 all = all_counts(), ok;

    send_ipi(dest, ICR_LOWEST | ICR_LOGICAL | ICR_ASSERT | VEC_COUNT);
    for (u64 until = rdtsc() + PATIENCE; all_counts() == all && rdtsc() < until; )
        pause();
    delay(100000);
    ok = all_counts() == all + 1;
    check(name, ok, 1);
}

static void test_ipis(void)
{
    u32 last = n_cpus - 1, all;

    expect_one("fixed, physical", last, cpus[last].apic_id, 0);
    expect_one("fixed, physical, to oneself", 0, cpus[0].apic_id, 0);
    expect_one("self", 0, 0, ICR_SELF);
    expect_all("all", ICR_ALL, 1);
    expect_all("others", ICR_OTHERS, 0);
    expect_all("physical broadcast", 0, 1);
    all = cpus[last].nmis;
    send_ipi(cpus[last].apic_id, ICR_ASSERT | ICR_NMI);
    check("NMI", smp_wait(&cpus[last].nmis, all + 1), 1);
    smp_run(n_cpus, set_logical_flat);
    expect_one("fixed, logical, flat", 1, 2, ICR_LOGICAL);
    send_lowest(3, "lowest priority goes to one");
    smp_run(n_cpus, set_logical_cluster);
    last = last < 60 ? last : 59;            /* cluster 15 is everybody */
    expect_one("fixed, logical, cluster", last, last / 4 << 4 | 1u << last % 4, ICR_LOGICAL);
}

static void enter_x2(u32 cpu) { wrmsr(MSR_BASE, rdmsr(MSR_BASE) | BASE_X2); }

static void test_x2apic(void)
{
    u32 last = n_cpus - 1, id = cpus[last].apic_id, before;

    if (!(cpuid(1, 0).c >> 21 & 1)) {
        skip("x2APIC", "not announced");
        return;
    }
    smp_run(n_cpus, enter_x2);
    expect_one("x2APIC: physical", last, id, 0);
    expect_one("x2APIC: logical", last, id >> 4 << 16 | 1u << (id & 15), ICR_LOGICAL);
    expect_all("x2APIC: others", ICR_OTHERS, 0);
    expect_all("x2APIC: all", ICR_ALL, 1);
    before = cpus[0].counts;
    wrmsr(MSR_X2_SELF, VEC_COUNT);
    check("x2APIC: self IPI register", smp_wait(&cpus[0].counts, before + 1), 1);
}

/* INIT takes a processor away from what it does; start-up begins anew. Comes last. */
static void test_restart(void)
{
    u32 id = cpus[n_cpus - 1].apic_id, arrived = ap_arrived;

    send_ipi(id, ICR_INIT | ICR_ASSERT);
    delay(1000000);
    check("INIT alone starts nothing", ap_arrived, arrived);
    send_ipi(id, ICR_SIPI | ICR_ASSERT | 2);
    check("INIT and start-up IPI start again", smp_wait(&ap_arrived, arrived + 1), 1);
}

int main(void)
{
    trap_init();
    start_all();
#ifdef ONLY_LITMUS
    test_smp_litmus();
    finish();
#endif
    test_ipis();
    test_smp_mem();
    test_smp_code();
    test_smp_pv();
    test_x2apic();
    test_smp_pv();
    test_smp_litmus();
    test_restart();
    finish();
}
