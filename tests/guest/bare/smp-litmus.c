/*
 * smp-litmus.c - what processors may see of one another's stores
 *
 * Each test goes through arrays of independent cells; each processor runs its part
 * on cell after cell, so no round needs a meeting. Outcomes are counted afterwards. Only
 * loads that overtake older stores may be seen (SB, R): SDM vol. 3A, "Memory Ordering in P6 and More Recent
 * Processor Families".
 */
#include "bare/smp.h"

#define CELLS 1024u
#define BATCHES (100u * ROUNDS)

/* x and y in cache lines of their own */
struct cell {
    volatile u32 x, pad0[15], y, pad1[15];
};
static struct cell *const cells = (struct cell *)0x400000ul;
static volatile u32 (*const result)[4] = (volatile u32 (*)[4])0x500000ul;

typedef void part(struct cell *c, volatile u32 *r);

static void sb0(struct cell *c, volatile u32 *r) { c->x = 1; r[0] = c->y; }
static void sb1(struct cell *c, volatile u32 *r) { c->y = 1; r[1] = c->x; }
static int sb(const struct cell *c, volatile u32 *r) { return !r[0] && !r[1]; }

#define FENCE asm volatile("mfence" ::: "memory")
static void sbf0(struct cell *c, volatile u32 *r) { c->x = 1; FENCE; r[0] = c->y; }
static void sbf1(struct cell *c, volatile u32 *r) { c->y = 1; FENCE; r[1] = c->x; }
static void sbl0(struct cell *c, volatile u32 *r) { xchg(&c->x, 1); r[0] = c->y; }
static void sbl1(struct cell *c, volatile u32 *r) { xchg(&c->y, 1); r[1] = c->x; }

static void mp0(struct cell *c, volatile u32 *r) { c->x = 1; c->y = 1; }
static void mp1(struct cell *c, volatile u32 *r) { r[0] = c->y; r[1] = c->x; }
static int mp(const struct cell *c, volatile u32 *r) { return r[0] && !r[1]; }

static void lb0(struct cell *c, volatile u32 *r) { r[0] = c->x; c->y = 1; }
static void lb1(struct cell *c, volatile u32 *r) { r[1] = c->y; c->x = 1; }
static int lb(const struct cell *c, volatile u32 *r) { return r[0] && r[1]; }

static void ww0(struct cell *c, volatile u32 *r) { c->x = 1; c->y = 2; }
static void ww1(struct cell *c, volatile u32 *r) { c->y = 1; c->x = 2; }
static int ww(const struct cell *c, volatile u32 *r) { return c->x == 1 && c->y == 1; }

static void iriw0(struct cell *c, volatile u32 *r) { c->x = 1; }
static void iriw1(struct cell *c, volatile u32 *r) { c->y = 1; }
static void iriw2(struct cell *c, volatile u32 *r) { r[0] = c->x; r[1] = c->y; }
static void iriw3(struct cell *c, volatile u32 *r) { r[2] = c->y; r[3] = c->x; }
static int iriw(const struct cell *c, volatile u32 *r) { return r[0] && !r[1] && r[2] && !r[3]; }

static void corr0(struct cell *c, volatile u32 *r) { c->x = 1; c->x = 2; }
static void corr1(struct cell *c, volatile u32 *r) { r[0] = c->x; r[1] = c->x; }
static int corr(const struct cell *c, volatile u32 *r) { return r[1] < r[0]; }

/* the same with locked instructions in place of stores or loads */
static void mpl0(struct cell *c, volatile u32 *r) { xchg(&c->x, 1); xchg(&c->y, 1); }
static void mpl1(struct cell *c, volatile u32 *r) { r[0] = xadd(&c->y, 0); r[1] = c->x; }
static void lbl0(struct cell *c, volatile u32 *r) { r[0] = xadd(&c->x, 0); xchg(&c->y, 1); }
static void lbl1(struct cell *c, volatile u32 *r) { r[1] = xadd(&c->y, 0); xchg(&c->x, 1); }
static void wwl0(struct cell *c, volatile u32 *r) { xchg(&c->x, 1); c->y = 2; }
static void wwl1(struct cell *c, volatile u32 *r) { xchg(&c->y, 1); c->x = 2; }
static void iriwl0(struct cell *c, volatile u32 *r) { xchg(&c->x, 1); }
static void iriwl1(struct cell *c, volatile u32 *r) { xchg(&c->y, 1); }
static void corrl0(struct cell *c, volatile u32 *r) { xadd(&c->x, 1); xadd(&c->x, 1); }

static void s0(struct cell *c, volatile u32 *r) { c->x = 2; c->y = 1; }
static void s1(struct cell *c, volatile u32 *r) { r[0] = c->y; c->x = 1; }
static void sl1(struct cell *c, volatile u32 *r) { r[0] = c->y; xchg(&c->x, 1); }
static int s_(const struct cell *c, volatile u32 *r) { return r[0] == 1 && c->x == 2; }

static void r0(struct cell *c, volatile u32 *r) { c->x = 1; c->y = 1; }
static void r1(struct cell *c, volatile u32 *r) { c->y = 2; r[0] = c->x; }
static void rl1(struct cell *c, volatile u32 *r) { xchg(&c->y, 2); r[0] = c->x; }
static int r_(const struct cell *c, volatile u32 *r) { return c->y == 2 && !r[0]; }

struct litmus {
    const char *name;
    u32 cpus;
    part *parts[4];
    int (*weak)(const struct cell *c, volatile u32 *r);
    int allowed;
};
static const struct litmus tests[] = {
    { "SB", 2, { sb0, sb1 }, sb, 1 },
    { "SB with MFENCE", 2, { sbf0, sbf1 }, sb, 0 },
    { "SB with XCHG", 2, { sbl0, sbl1 }, sb, 0 },
    { "MP", 2, { mp0, mp1 }, mp, 0 },
    { "LB", 2, { lb0, lb1 }, lb, 0 },
    { "2+2W", 2, { ww0, ww1 }, ww, 0 },
    { "CoRR", 2, { corr0, corr1 }, corr, 0 },
    { "S", 2, { s0, s1 }, s_, 0 },
    { "R", 2, { r0, r1 }, r_, 1 },           /* a load overtakes a store, as in SB */
    { "R with XCHG", 2, { r0, rl1 }, r_, 0 },
    { "S with XCHG", 2, { s0, sl1 }, s_, 0 },
    { "MP, locked", 2, { mpl0, mpl1 }, mp, 0 },
    { "LB, locked", 2, { lbl0, lbl1 }, lb, 0 },
    { "2+2W, locked", 2, { wwl0, wwl1 }, ww, 0 },
    { "CoRR, locked", 2, { corrl0, corr1 }, corr, 0 },
    { "IRIW", 4, { iriw0, iriw1, iriw2, iriw3 }, iriw, 0 },
    { "IRIW, locked", 4, { iriwl0, iriwl1, iriw2, iriw3 }, iriw, 0 },
};
static const struct litmus *running;
static u32 weak_count;

static void clear_cells(void)
{
    for (u32 i = 0; i < CELLS; i++) {
        cells[i].x = cells[i].y = 0;
        result[i][0] = result[i][1] = result[i][2] = result[i][3] = 0;
    }
}

static void count_weak(void)
{
    for (u32 i = 0; i < CELLS; i++)
        weak_count += running->weak(&cells[i], result[i]);
}

/* Two processors come to the same cells at about the same time. More of them than the host has CPUs
 * would only wait for each other. */
#define PACE 8u
static struct { volatile u32 at, pad[15]; } pace[2] __attribute__((aligned(64)));

static void keep_pace(u32 cpu, u32 cell)
{
    pace[cpu].at = cell;
    for (u32 i = 0; pace[!cpu].at < cell; i++)
        if (i > 200)
            pause();
}

static void run_part(u32 cpu)
{
    part *p = running->parts[cpu];
    u32 n = running->cpus;

    for (u32 b = 0; b < BATCHES; b++) {
        if (cpu == 0) {
            clear_cells();
            pace[0].at = pace[1].at = 0;
        }
        smp_barrier(n);
        for (u32 i = 0; i < CELLS; i++) {
            if (n == 2 && b % 4 == 0 && i % PACE == 0)
                keep_pace(cpu, i);
            p(&cells[i], result[i]);
        }
        smp_barrier(n);
        if (cpu == 0)
            count_weak();
    }
}

void test_smp_litmus(void)
{
    for (u32 i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
        running = &tests[i];
        if (running->cpus > n_cpus) {
            skip(running->name, "needs four processors");
            continue;
        }
        weak_count = 0;
        smp_run(running->cpus, run_part);
        put_str("# ");
        put_str(running->name);
        put_str(": rounds ");
        put_hex((u64)BATCHES * CELLS);
        put_str(" reordered ");
        put_hex(weak_count);
        put_char('\n');
        check(running->name, running->allowed ? 0 : weak_count, 0);
    }
}
