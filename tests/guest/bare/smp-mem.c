/*
 * smp-mem.c - locked operations under contention: totals are exact
 *
 * Operands are aligned, across cache lines and across pages; the SDM promises
 * atomicity for each (vol. 3A, "Locked Atomic Operations").
 */
#include "bare/smp.h"

#define TIMES (20000u * ROUNDS)
#define TIMES_SPLIT (300u * ROUNDS)
#define MEM_AT 0x240000ul                 /* two pages of RAM for operands */

static volatile u32 *operand;
static volatile u32 lock_word, guarded, turn_next, turn_now;
static volatile u64 pair[2] __attribute__((aligned(16)));
static u32 times;

static void add_inc(u32 cpu)
{
    for (u32 i = 0; i < times; i++)
        asm volatile("lock incl %0" : "+m"(*operand) : : "cc");
}

static void add_xadd(u32 cpu)
{
    for (u32 i = 0; i < times; i++)
        xadd(operand, 3);
}

static void add_cmpxchg(u32 cpu)
{
    for (u32 i = 0; i < times; i++) {
        u32 old = *operand, seen;

        for (;; old = seen) {
            asm volatile("lock cmpxchgl %2, %1" : "=a"(seen), "+m"(*operand) : "r"(old + 1), "0"(old) : "cc");
            if (seen == old)
                break;
        }
    }
}

static void add_byte_word(u32 cpu)
{
    volatile u8 *b = (volatile u8 *)operand;

    for (u32 i = 0; i < times; i++) {
        asm volatile("lock addb $1, %0" : "+m"(b[0]) : : "cc");
        asm volatile("lock subw $1, %0" : "+m"(*(volatile u16 *)(b + 2)) : : "cc");
    }
}

static void add_cmpxchg8b(u32 cpu)
{
    volatile u32 *p = operand;

    for (u32 i = 0; i < times; i++) {
        u32 a = p[0], d = p[1];
        u8 ok;

        do
            asm volatile("lock cmpxchg8b %2; sete %3"
                         : "+a"(a), "+d"(d), "+m"(*(volatile u64 *)p), "=qm"(ok)
                         : "b"(a + 1), "c"(d) : "cc", "memory");
        while (!ok);
    }
}

static void add_pair(u32 cpu)
{
    for (u32 i = 0; i < times; i++) {
        u64 a = pair[0], d = pair[1];
        u8 ok;

        do
            asm volatile("lock cmpxchg16b %2; sete %3"
                         : "+a"(a), "+d"(d), "+m"(pair), "=qm"(ok) : "b"(a + 1), "c"(d - 1) : "cc", "memory");
        while (!ok);
    }
}

static void with_xchg_lock(u32 cpu)
{
    for (u32 i = 0; i < times; i++) {
        while (xchg(&lock_word, 1))
            while (lock_word)
                pause();
        guarded = guarded + 1;
        barrier();
        lock_word = 0;
    }
}

static void with_bit_lock(u32 cpu)
{
    for (u32 i = 0; i < times; i++) {
        for (u8 taken = 1; taken; ) {
            asm volatile("lock btsl $7, %0; setc %1" : "+m"(lock_word), "=qm"(taken) : : "cc", "memory");
            if (taken)
                pause();
        }
        guarded = guarded + 1;
        asm volatile("lock btrl $7, %0" : "+m"(lock_word) : : "cc", "memory");
    }
}

static void with_tickets(u32 cpu)
{
    for (u32 i = 0; i < times / 8; i++) {
        u32 mine = xadd(&turn_next, 1);

        while (turn_now != mine)
            pause();
        guarded = guarded + 1;
        barrier();
        turn_now = mine + 1;
    }
}

/* Swaps keep every token: none is lost, none is there twice. */
static void swap_tokens(u32 cpu)
{
    u32 token = cpu + 1;

    for (u32 i = 0; i < times; i++)
        token = xchg(operand, token);
    xadd(&guarded, token);
}

static void total(const char *name, void (*fn)(u32), ulong at, u32 n, u32 each)
{
    operand = (volatile u32 *)at;
    times = n;
    *operand = 0;
    smp_run(n_cpus, fn);
    check(name, *operand, (u64)(u32)(n_cpus * n * each));
}

static void guarded_total(const char *name, void (*fn)(u32), u32 n)
{
    times = n;
    guarded = lock_word = turn_next = turn_now = 0;
    smp_run(n_cpus, fn);
    check(name, guarded, (u64)n_cpus * (fn == with_tickets ? n / 8 : n));
}

static void test_narrow(void)
{
    u32 n = TIMES;

    operand = (volatile u32 *)MEM_AT;
    times = n;
    *operand = 0;
    smp_run(n_cpus, add_byte_word);
    check("byte and word beside one another", *operand,
          (n_cpus * n & 0xff) | ((u32)-(n_cpus * n) & 0xffff) << 16);
}

void test_smp_mem(void)
{
    total("lock inc", add_inc, MEM_AT, TIMES, 1);
    total("lock xadd", add_xadd, MEM_AT, TIMES, 3);
    total("lock cmpxchg", add_cmpxchg, MEM_AT, TIMES, 1);
    test_narrow();
    total("lock inc, misaligned", add_inc, MEM_AT + 5, TIMES, 1);
    total("lock inc across cache lines", add_inc, MEM_AT + 62, TIMES_SPLIT * 4, 1);
    total("lock inc across pages", add_inc, MEM_AT + 4094, TIMES_SPLIT, 1);
    total("lock xadd across pages", add_xadd, MEM_AT + 4093, TIMES_SPLIT, 3);
    total("lock cmpxchg across pages", add_cmpxchg, MEM_AT + 4095, TIMES_SPLIT, 1);
    ((volatile u32 *)MEM_AT)[1] = 0;
    total("lock cmpxchg8b", add_cmpxchg8b, MEM_AT, TIMES, 1);
    total("lock cmpxchg8b across pages", add_cmpxchg8b, MEM_AT + 4092, TIMES_SPLIT, 1);
    times = TIMES;
    pair[0] = pair[1] = 0;
    smp_run(n_cpus, add_pair);
    check("lock cmpxchg16b, first half", pair[0], (u64)n_cpus * TIMES);
    check("lock cmpxchg16b, second half", pair[1], -((u64)n_cpus * TIMES));
    guarded_total("xchg spin lock", with_xchg_lock, TIMES / 4);
    guarded_total("bts spin lock", with_bit_lock, TIMES / 4);
    guarded_total("ticket lock", with_tickets, TIMES / 4);
    guarded = 0;
    times = TIMES;
    operand = (volatile u32 *)MEM_AT;
    *operand = 0;
    smp_run(n_cpus, swap_tokens);
    check("xchg loses nothing", guarded + *operand, n_cpus * (n_cpus + 1) / 2);
}
