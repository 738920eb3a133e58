/*
 * smp.h - the multiprocessor program: starting processors, handing them work, IPIs
 *
 * Processors are numbered in the order in which they arrive; 0 is the boot processor.
 */
#ifndef BARE_SMP_H
#define BARE_SMP_H

#include "lib/desc.h"

#define MAX_CPUS 64
#ifndef ROUNDS
#define ROUNDS 1                /* times the short run */
#endif

enum { VEC_COUNT = 0x41, VEC_CALL = 0x42, VEC_WAKE = 0x43, VEC_SPURIOUS = 0xff };

struct cpu {
    volatile u32 apic_id, arrived, counts, calls, nmis, done;
    u8 pad[40];
} __attribute__((aligned(64)));
extern struct cpu cpus[MAX_CPUS];
extern u32 n_cpus;

/**
 * smp_run() - @fn(number) on the first @n processors at the same time, this one
 * included; returns when all have finished
 */
void smp_run(u32 n, void (*fn)(u32 cpu));
/** smp_barrier() - processors of the running smp_run() meet */
void smp_barrier(u32 n);
/** smp_wait() - until *@p is @v; false: it never came to be */
int smp_wait(const volatile u32 *p, u32 v);
/** send_ipi() - @low: the ICR's low half; by xAPIC or x2APIC, as the mode is */
void send_ipi(u32 dest, u32 low);
/** on_call - what the interrupt VEC_CALL does on a processor */
extern void (*volatile on_call)(u32 cpu);
u32 this_cpu(void);
/** end_interrupt() - writes the EOI register */
void end_interrupt(void);

static inline void pause(void) { asm volatile("pause" ::: "memory"); }
static inline void barrier(void) { asm volatile("" ::: "memory"); }
static inline u32 xadd(volatile u32 *p, u32 v)
{
    asm volatile("lock xaddl %0, %1" : "+r"(v), "+m"(*p) : : "memory", "cc");
    return v;
}
static inline u32 xchg(volatile u32 *p, u32 v)
{
    asm volatile("xchgl %0, %1" : "+r"(v), "+m"(*p) : : "memory");
    return v;
}

#endif
