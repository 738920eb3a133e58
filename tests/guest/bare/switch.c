/*
 * switch.c - state that must survive a change of the accelerator at any moment
 *
 * Rounds without end, each of which keeps values in all registers for a while and
 * waits for interrupts. A line of progress now and then; tests/guest/switch.sh makes the
 * changes and ends the emulator. The first difference ends the program.
 */
#include "lib/desc.h"

enum { LAPIC_VEC = 0x50, IPI_VEC = 0x51, PIT_VEC = 0x20, PROGRESS = 8 };
#define TICK_NS 4000000u
#define PATTERN 0x0123456789abcdefull

static volatile u32 *const lapic = (u32 *)0xfee00000;
static volatile u32 lapic_ticks, pit_ticks, ipis;

static int on_interrupt(struct frame *f)
{
    switch (f->vec) {
    case LAPIC_VEC:
        lapic_ticks++;
        break;
    case IPI_VEC:
        ipis++;
        break;
    case PIT_VEC:
        pit_ticks++;
        outb(0x20, 0x20);
        return 1;
    default:
        return 0;
    }
    lapic[0xb0 / 4] = 0;
    return 1;
}

static void start_chips(void)
{
    outb(0x20, 0x11), outb(0x21, 0x20), outb(0x21, 4), outb(0x21, 1);
    outb(0xa0, 0x11), outb(0xa1, 0x28), outb(0xa1, 2), outb(0xa1, 1);
    outb(0x21, 0xfe), outb(0xa1, 0xff);
    outb(0x43, 0x34), outb(0x40, 11932 & 0xff), outb(0x40, 11932 >> 8);   /* 100 Hz */
    lapic[0xf0 / 4] = 0x1ff;
    lapic[0x350 / 4] = 0x700;                     /* LINT0: the 8259 */
    lapic[0x320 / 4] = 0x20000 | LAPIC_VEC;       /* periodic */
    lapic[0x3e0 / 4] = 0xb;                       /* by 1: 1 GHz */
    lapic[0x380 / 4] = TICK_NS;
}

/* ---- what stays in registers for a while ---------------------------------------- */

static u64 general(u64 seed)
{
    u64 sum = seed;

    asm volatile("mov %0, %%r8\n\tlea 1(%0), %%r9\n\tlea 2(%0), %%r10\n\tlea 3(%0), %%r11\n\t"
                 "lea 4(%0), %%r12\n\tlea 5(%0), %%r13\n\tlea 6(%0), %%r14\n\tlea 7(%0), %%r15\n\t"
                 "mov $2000, %%ecx\n"
                 "1:\tadd %%r8, %%r9\n\tadd %%r9, %%r10\n\txor %%r10, %%r11\n\tadd %%r11, %%r12\n\t"
                 "ror $7, %%r12\n\tadd %%r12, %%r13\n\tadd %%r13, %%r14\n\tadc %%r14, %%r15\n\t"
                 "add %%r15, %%r8\n\tdec %%ecx\n\tjnz 1b\n\t"
                 "lea (%%r8,%%r15), %0"
                 : "+r"(sum) : : "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc");
    return sum;
}

/* Eight numbers on the x87 stack, and what is added to the top one all the time. */
static u64 x87(u32 n)
{
    static const u32 start[8] = { 3, 1, 4, 15, 92, 65, 35, 89 };
    u64 out[8], sum = 0;
    u32 count = n;

    asm volatile("fninit" : : : "memory");
    for (int i = 0; i < 8; i++)
        asm volatile("fildl %0" : : "m"(start[i]));
    asm volatile("1:\tfadd %%st(1), %%st(0)\n\tdec %0\n\tjnz 1b" : "+r"(count));
    for (int i = 7; i >= 0; i--) {
        asm volatile("fistpll %0" : "=m"(out[i]));
        sum = sum * 31 + out[i];
    }
    return sum;
}

static u64 x87_expected(u32 n)
{
    static const u32 start[8] = { 3, 1, 4, 15, 92, 65, 35, 89 };
    u64 sum = 0;

    for (int i = 7; i >= 0; i--)
        sum = sum * 31 + (i == 7 ? start[7] + (u64)n * start[6] : start[i]);
    return sum;
}

/* XMM0 to XMM15: sixteen sums. */
static u64 vectors(u32 n)
{
    static u64 in[2] = { PATTERN, ~PATTERN }, out[2];
    u32 count = n;

    asm volatile("movdqu %2, %%xmm0\n\tmovdqa %%xmm0, %%xmm1\n\tmovdqa %%xmm0, %%xmm7\n\tmovdqa %%xmm0, %%xmm15\n"
                 "1:\tpaddq %%xmm0, %%xmm1\n\tpxor %%xmm1, %%xmm7\n\tpaddq %%xmm7, %%xmm15\n\t"
                 "movdqa %%xmm15, %%xmm8\n\tdec %0\n\tjnz 1b\n\tmovdqu %%xmm8, %1"
                 : "+r"(count), "=m"(out) : "m"(in) : "memory");
    return out[0] ^ out[1] * 3;
}

static u64 vectors_expected(u32 n)
{
    u64 in[2] = { PATTERN, ~PATTERN }, out[2];

    for (int i = 0; i < 2; i++) {
        u64 a = in[i], b = in[i], c = in[i];

        for (u32 k = 0; k < n; k++)
            a += in[i], b ^= a, c += b;
        out[i] = c;
    }
    return out[0] ^ out[1] * 3;
}

/* ---- what stays in system registers ------------------------------------------------ */

static const struct { u32 msr; u64 val; } msrs[] = {
    { 0xc0000081, 0x0023001000000000ull }, { 0xc0000082, 0xffff800000123456ull },
    { 0xc0000084, 0x47700 }, { 0xc0000100, 0x7fff12345000ull }, { 0xc0000102, 0xffff888000001000ull },
    { 0x174, 0x10 }, { 0x175, 0x123000 }, { 0x176, 0x456000 }, { 0x277, 0x0007010600070106ull },
};

static void set_system(void)
{
    for (u32 i = 0; i < sizeof msrs / sizeof msrs[0]; i++)
        wrmsr(msrs[i].msr, msrs[i].val);
    asm volatile("mov %0, %%cr2" : : "r"(PATTERN));
    asm volatile("mov %0, %%dr0\n\tmov %1, %%dr3" : : "r"(0x111000ul), "r"(0x333000ul));
}

static u32 system_differs(void)
{
    ulong cr2, dr0, dr3;
    u32 bad = 0;

    for (u32 i = 0; i < sizeof msrs / sizeof msrs[0]; i++)
        bad |= (u32)(rdmsr(msrs[i].msr) != msrs[i].val) << i;
    asm volatile("mov %%cr2, %0\n\tmov %%dr0, %1\n\tmov %%dr3, %2" : "=r"(cr2), "=r"(dr0), "=r"(dr3));
    return bad | (u32)(cr2 != PATTERN) << 16 | (u32)(dr0 != 0x111000) << 17 | (u32)(dr3 != 0x333000) << 18;
}

/* ---- rounds ---------------------------------------------------------------------------- */

static void must(const char *what, u64 got, u64 want)
{
    if (got == want)
        return;
    check(what, got, want);
    finish();
}

/* Nothing gets lost: both timers go on, an IPI to oneself arrives, once. */
static void wait_for_interrupts(u32 round)
{
    u32 l = lapic_ticks, p = pit_ticks;

    lapic[0x300 / 4] = 0x40000 | IPI_VEC;
    while (lapic_ticks == l || pit_ticks == p || ipis != round)
        asm volatile("hlt");
}

int main(void)
{
    u64 g = 0, begin, last, hz;
    u32 first, n = 500;

    trap_init();
    trap.hook = on_interrupt;
    asm volatile("mov %%cr4, %%rax\n\tor $0x600, %%eax\n\tmov %%rax, %%cr4" : : : "rax");
    set_system();
    start_chips();
    hz = (u64)cpuid(0x40000010, 0).a * 1000;
    g = general(PATTERN);
    begin = last = rdtsc();
    first = lapic_ticks;
    asm volatile("sti");
    for (u32 round = 1;; round++) {
        u64 now;

        must("general registers", general(PATTERN), g);
        must("x87 registers", x87(n), x87_expected(n));
        must("vector registers", vectors(n), vectors_expected(n));
        must("system registers", system_differs(), 0);
        wait_for_interrupts(round);
        must("IPIs", ipis, round);
        now = rdtsc();
        must("the TSC goes forward", now > last, 1);
        last = now;
        if (hz)
            must("not more ticks than time", lapic_ticks - first <= (now - begin) / (hz / (1000000000 / TICK_NS)) + 3, 1);
        if (round % PROGRESS == 0)
            check("rounds", 1, 1);
    }
}
