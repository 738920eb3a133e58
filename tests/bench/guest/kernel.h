/*
 * kernel.h - what the benchmark programs share
 *
 * A program is one class of kernels: a table `kernels`, ended by a null name, and
 * main.c. The tables' counts give some 0.2 to 0.5 s each on a CPU of 2023.
 * Checksums depend on the count only: they must agree natively and in any guest,
 * so no kernel uses libm, addresses, process ids or the time.
 */
#ifndef BENCH_KERNEL_H
#define BENCH_KERNEL_H

#include <stdint.h>

struct kernel {
    const char *name;
    /* Does the work @n times; returns the checksum. May end the program on failure. */
    uint64_t (*run)(uint64_t n);
    uint64_t n;
    int (*usable)(void);   /* null: on every CPU */
    void (*prepare)(void); /* null, or called before the clock starts */
};

extern const struct kernel kernels[];

/* Folder of the program, for programs that it starts */
extern char bench_dir[];

/**
 * bench_rand() - next number of a 64-bit linear congruential generator
 * @state: any value
 */
static inline uint64_t bench_rand(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* Order-dependent checksum of one more value */
static inline uint64_t bench_mix(uint64_t sum, uint64_t v)
{
    return ((sum << 5 | sum >> 59) ^ v) * 0x9e3779b97f4a7c15u;
}

/**
 * bench_check() - end the program with errno's message unless @ok
 */
void bench_check(int ok, const char *what);

#define NOINLINE __attribute__((noinline, noclone))

#endif
