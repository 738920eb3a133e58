/*
 * smp-code.c - code that another processor changes; translations that another revokes
 *
 * Source: Intel SDM vol. 3A, "Handling Self- and Cross-Modifying Code" and
 * "Propagation of Paging-Structure Changes to Multiple Processors".
 */
#include "bare/smp.h"

#define TIMES_CODE (2000u * ROUNDS)
#define TIMES_MAP (1000u * ROUNDS)
#define CODE_AT 0x250000ul
#define VA (1ul << 39)
#define FRAME(n) (0x260000ul + (n) * 0x1000)

static volatile u32 version, seen_by[MAX_CPUS * 16], wrong;
#define SEEN(cpu) seen_by[(cpu) * 16]

static u32 call_code(ulong at)
{
    u32 r;

    asm volatile("call *%1" : "=a"(r) : "r"(at) : "memory", "cc");
    return r;
}

/* mov $@v, %eax; ret */
static void write_code(ulong at, u32 v)
{
    volatile u8 *p = (volatile u8 *)at;

    *(volatile u32 *)(p + 1) = v;
    p[0] = 0xb8;
    p[5] = 0xc3;
}

static void wait_seen(u32 v)
{
    for (u32 i = 1; i < n_cpus; i++)
        while (SEEN(i) != v)
            pause();
}

/* The flag tells of new code; a serialising instruction, then the call. */
static void execute_versions(u32 cpu)
{
    if (cpu == 0) {
        for (u32 v = 1; v <= TIMES_CODE; v++) {
            write_code(CODE_AT, v);
            version = v;
            wait_seen(v);
        }
        return;
    }
    for (u32 v = 1; v <= TIMES_CODE; v++) {
        while (version != v)
            pause();
        cpuid(0, 0);
        if (call_code(CODE_AT) != v)
            xadd(&wrong, 1);
        SEEN(cpu) = v;
    }
}

/* The same through data on the code's own page, which is written all the time. */
static void execute_beside_data(u32 cpu)
{
    volatile u32 *word = (volatile u32 *)(CODE_AT + 2048);

    for (u32 v = 1; v <= TIMES_CODE / 4; v++) {
        if (cpu == 0) {
            write_code(CODE_AT + 64, v);
            *word = v;
            wait_seen(v);
            continue;
        }
        while (*word != v)
            pause();
        cpuid(0, 0);
        for (u32 i = 0; i < 20; i++) {
            word[cpu] = i;
            if (call_code(CODE_AT + 64) != v)
                xadd(&wrong, 1);
        }
        SEEN(cpu) = v;
    }
}

/* Old code or new code, nothing else, and at last the new. */
static void execute_unsynchronised(u32 cpu)
{
    if (cpu == 0) {
        for (u32 v = 1; v <= TIMES_CODE; v++) {
            *(volatile u32 *)(CODE_AT + 132) = v & 1 ? 0x11111111 : 0x22222222;
            for (u32 i = 0; i < 20; i++)
                pause();
        }
        version = 1;
        wait_seen(1);
        return;
    }
    for (u32 i = 0; !version; i++) {
        u32 r = call_code(CODE_AT + 131);

        if (i % 16 == 0)     /* there may be more of us than host CPUs */
            pause();
        if (r != 0x11111111 && r != 0x22222222)
            xadd(&wrong, 1);
    }
    cpuid(0, 0);
    if (call_code(CODE_AT + 131) != *(volatile u32 *)(CODE_AT + 132))
        xadd(&wrong, 1);
    SEEN(cpu) = 1;
}

static void start_over(void)
{
    version = wrong = 0;
    for (u32 i = 0; i < MAX_CPUS; i++)
        SEEN(i) = 0;
}

/* An interrupt brings the news; its IRET serialises. */
static volatile u32 told;
static void run_new_code(u32 cpu)
{
    if (call_code(CODE_AT + 256) != told)
        xadd(&wrong, 1);
}

static void test_by_ipi(void)
{
    u32 before[MAX_CPUS];

    start_over();
    on_call = run_new_code;
    for (u32 v = 1; v <= TIMES_CODE / 4; v++) {
        for (u32 i = 1; i < n_cpus; i++)
            before[i] = cpus[i].calls;
        write_code(CODE_AT + 256, v);
        told = v;
        send_ipi(0, 3 << 18 | 0x4000 | VEC_CALL);
        for (u32 i = 1; i < n_cpus; i++)
            while (cpus[i].calls == before[i])
                pause();
    }
    on_call = 0;
    check("code changed before an interrupt", wrong, 0);
}

/* ---- translations ------------------------------------------------------------------- */

static volatile u64 *const pt = (volatile u64 *)0x203000ul;

static void map_window(void)
{
    volatile u64 *pml4 = (volatile u64 *)0x70000ul, *pdpt = (volatile u64 *)0x201000ul;
    volatile u64 *pd = (volatile u64 *)0x202000ul;

    for (u32 i = 0; i < 512; i++)
        pdpt[i] = pd[i] = pt[i] = 0;
    pdpt[0] = (ulong)pd | 3;
    pd[0] = (ulong)pt | 3;
    pml4[1] = (ulong)pdpt | 3;
    for (u32 i = 0; i < 8; i++)
        *(volatile u32 *)FRAME(i) = i;
    pt[0] = FRAME(0) | 3;
}

static void drop_page(u32 cpu) { asm volatile("invlpg (%0)" : : "r"(VA) : "memory"); }

static volatile u32 stop_reading;
static void read_window(u32 cpu)
{
    while (!stop_reading) {
        for (u32 i = 0; i < 16; i++)
            if (*(volatile u32 *)VA > 7)
                xadd(&wrong, 1);
        pause();
    }
}

/* After the shoot-down everybody reads, and writes, the new frame. */
static void use_new_frame(u32 cpu)
{
    drop_page(cpu);
    if (*(volatile u32 *)VA != told)
        xadd(&wrong, 1);
    *(volatile u32 *)(VA + 64 + cpu * 4) = told;
    if (*(volatile u32 *)(FRAME(told) + 64 + cpu * 4) != told)
        xadd(&wrong, 1);
}

static void shoot_down(u32 cpu)
{
    u32 before[MAX_CPUS];

    if (cpu) {
        read_window(cpu);
        return;
    }
    for (u32 v = 1; v <= TIMES_MAP; v++) {
        for (u32 i = 1; i < n_cpus; i++)
            before[i] = cpus[i].calls;
        told = v % 8;
        pt[0] = FRAME(told) | 3;
        drop_page(0);
        send_ipi(0, 3 << 18 | 0x4000 | VEC_CALL);
        for (u32 i = 1; i < n_cpus; i++)
            while (cpus[i].calls == before[i])
                pause();
    }
    stop_reading = 1;
}

/* Each processor's own page, walked for the first time by all: A and D bits of neighbours stay. */
static void touch_pages(u32 cpu)
{
    for (u32 i = cpu; i < 512; i += n_cpus)
        *(volatile u32 *)(VA + i * 4096) = i;
}

static void flush_all(u32 cpu) { write_cr3(read_cr3()); }

static void test_accessed_dirty(void)
{
    u32 bad = 0;

    for (u32 round = 0; round < 20 * ROUNDS; round++) {
        for (u32 i = 0; i < 512; i++)
            pt[i] = FRAME(i % 8) | 3;
        smp_run(n_cpus, flush_all);
        smp_run(n_cpus, touch_pages);
        for (u32 i = 0; i < 512; i++)
            bad += (pt[i] & 0x60) != 0x60;
        for (u32 i = 0; i < 512; i++)
            pt[i] = 0;
        smp_run(n_cpus, flush_all);
    }
    check("accessed and dirty bits of neighbouring entries", bad, 0);
}

void test_smp_code(void)
{
    start_over();
    smp_run(n_cpus, execute_versions);
    check("code changed before a flag", wrong, 0);
    start_over();
    smp_run(n_cpus, execute_beside_data);
    check("code changed beside data", wrong, 0);
    start_over();
    write_code(CODE_AT + 131, 0x11111111);
    smp_run(n_cpus, execute_unsynchronised);
    check("code changed at any time", wrong, 0);
    test_by_ipi();
    start_over();
    map_window();
    on_call = use_new_frame;
    told = 0;
    smp_run(n_cpus, shoot_down);
    on_call = 0;
    check("a page moved under all processors", wrong, 0);
    test_accessed_dirty();
}
