/* prot-dev.c - interrupts: PIC and PIT, STI and MOV SS shadows, LAPIC, TSC. Shared with 64 bit. */
#include "lib/desc.h"

#define MEM "memory", "cc"

static volatile u32 *const lapic = (u32 *)0xfee00000ul;
static volatile int ticks; /* counted by the handler */
static volatile ulong irq_ip;

static void pic_init(void)
{
    static const u8 words[][2] = { { 0x20, 0x11 }, { 0x21, 0x30 }, { 0x21, 4 }, { 0x21, 1 },
        { 0xa0, 0x11 }, { 0xa1, 0x38 }, { 0xa1, 2 }, { 0xa1, 1 }, { 0xa1, 0xff }, { 0x21, 0xff } };

    for (u32 i = 0; i < sizeof(words) / 2; i++)
        outb(words[i][0], words[i][1]);
    lapic[0xf0 / 4] = 0x1ff;  /* after reset LINT0 is masked: SDM vol. 3, 10.4.7.1 */
    lapic[0x350 / 4] = 0x700; /* ExtINT: the PIC */
}

static int hook_irq(struct frame *f)
{
    if (f->vec != 0x30)
        return 0;
    ticks++;
    irq_ip = f->ip;
    outb(0x20, 0x20);
    return 1;
}

static void pit_once(u16 count)
{
    outb(0x43, 0x30); /* counter 0, mode 0: one interrupt */
    outb(0x40, (u8)count);
    outb(0x40, (u8)(count >> 8));
}

static u8 pic_irr(void)
{
    outb(0x20, 0x0a);
    return inb(0x20);
}

/* The timer's request is pending, but not delivered: IF is 0. An older one is let in before. */
static void pit_pending(void)
{
    asm volatile("sti\n\tnop\n\tnop\n\tcli");
    outb(0x43, 0x30); /* mode 0 without a count: quiet */
    asm volatile("sti\n\tnop\n\tnop\n\tcli");
    ticks = 0;
    pit_once(0x100);
    for (u32 i = 0; i < 1000000000 && !(pic_irr() & 1); i++)
        ;
}

static void test_pit(void)
{
    ulong a;

    trap.hook = hook_irq;
    outb(0x21, 0xfe);
    ticks = 0;
    outb(0x43, 0x34);
    outb(0x40, 0xff);
    outb(0x40, 0x0f);
    TRY("sti\n\thlt\n\tcli", : : : MEM);
    check("PIT wakes HLT", ticks >= 1, 1);
    ticks = 0;
    asm volatile("sti");
    for (u64 t = rdtsc(); ticks < 5 && rdtsc() - t < 400000000000ull; )
        ;
    asm volatile("cli");
    check("PIT interrupts a loop", ticks >= 5, 1);
    ticks = 0;
    pit_pending();
    check("pending while IF is 0", pic_irr() & 1, 1);
    check("not delivered", ticks, 0);
    TRY("mov $1f, %0\n\tsti\n\tnop\n1:\tnop\n\tcli", : "=&r"(a) : : MEM);
    check("delivered behind STI's shadow", ticks, 1);
    check("IP after one instruction", irq_ip, a);
    ticks = 0;
    pit_pending();
    TRY("sti\n\tcli", : : : MEM);
    check("STI, CLI: nothing comes through", ticks, 0);
    trap.hook = 0;
    outb(0x21, 0xff);
    asm volatile("cli");
}

/* A pending interrupt, and MOV SS right before CLI: the shadow keeps it out */
static void test_mov_ss(void)
{
    ulong a;

    trap.hook = hook_irq;
    outb(0x21, 0xfe);
    ticks = 0;
    pit_pending();
    /* IF comes with POPF, which has no shadow; MOV SS at once would be too late: so STI */
    TRY("mov %%ss, %0\n\tsti\n\tmov %0, %%ss\n\tcli", : "=&r"(a) : : MEM);
    check("STI, MOV SS, CLI: at most one shadow holds", ticks <= 1, 1); /* SDM vol. 2, STI: not guaranteed */
    ticks = 0;
    pit_pending();
    asm volatile("sti\n\tnop\n\tnop\n\tcli");
    check("it was pending", ticks, 1);
    trap.hook = 0;
    outb(0x21, 0xff);
}

static int hook_lapic(struct frame *f)
{
    if (f->vec != 0x50)
        return 0;
    ticks++;
    lapic[0xb0 / 4] = 0;
    return 1;
}

static void test_lapic(void)
{
    u32 first, second;

    check("LAPIC enabled in its MSR", rdmsr(0x1b) >> 11 & 1, 1);
    check("APIC base", rdmsr(0x1b) & 0xfffff000, 0xfee00000);
    lapic[0xf0 / 4] = 0x1ff;
    trap.hook = hook_lapic;
    ticks = 0;
    lapic[0x320 / 4] = 0x50;      /* once */
    lapic[0x3e0 / 4] = 3;         /* by 16 */
    lapic[0x380 / 4] = 20000;
    first = lapic[0x390 / 4];
    second = lapic[0x390 / 4];
    check("LAPIC counter counts down", second <= first && first <= 20000, 1);
    TRY("sti\n\thlt\n\tcli", : : : MEM);
    check("LAPIC timer wakes HLT", ticks, 1);
    check("its counter stopped at 0", lapic[0x390 / 4], 0);
    lapic[0x300 / 4] = 0x40050;   /* self, fixed, vector 0x50 */
    asm volatile("sti\n\tnop\n\tnop\n\tcli");
    check("self IPI", ticks, 2);
    lapic[0x80 / 4] = 0x50;       /* TPR holds class 5 back */
    lapic[0x300 / 4] = 0x40050;
    asm volatile("sti\n\tnop\n\tnop\n\tcli");
    check("TPR holds it back", ticks, 2);
    lapic[0x80 / 4] = 0;
    asm volatile("sti\n\tnop\n\tnop\n\tcli");
    check("and lets it go", ticks, 3);
    if (cpuid(1, 0).c >> 24 & 1) {
        lapic[0x320 / 4] = 0x40050;
        wrmsr(0x6e0, rdtsc() + 1000000);
        TRY("sti\n\thlt\n\tcli", : : : MEM);
        check("TSC deadline wakes HLT", ticks, 4);
        check("the deadline is 0 then", rdmsr(0x6e0), 0);
    } else {
        skip("TSC deadline", "CPUID does not offer it");
    }
    trap.hook = 0;
}

static void test_tsc(void)
{
    u64 last = rdtsc(), now;
    u32 back = 0;

    for (u32 i = 0; i < 10000; i++) {
        now = rdtsc();
        back += now < last;
        last = now;
    }
    check("TSC never goes back", back, 0);
    wrmsr(0x10, 0x123456789000ull);
    now = rdtsc() - 0x123456789000ull;
    check("TSC can be written", now < 1ull << 36, 1);
}

void test_prot_dev(void);
void test_prot_dev(void)
{
    pic_init();
    test_pit();
    test_mov_ss();
    test_lapic();
    test_tsc();
}
