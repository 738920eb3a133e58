/*
 * vec-random.h - operands that vector instructions find interesting
 *
 * No expression draws twice in an order that the compiler may choose: known answers
 * depend on the numbers.
 */
#ifndef TESTS_VEC_RANDOM_H
#define TESTS_VEC_RANDOM_H

#include <stdlib.h>
#include "util/util.h"

static uint64_t rng_state;

static inline uint64_t rnd(void)                      /* xorshift64* */
{
    rng_state ^= rng_state >> 12;
    rng_state ^= rng_state << 25;
    rng_state ^= rng_state >> 27;
    return rng_state * 0x2545f4914f6cdd1dull;
}

static inline uint32_t special32(void)
{
    static const uint32_t s[] = {
        0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345, 0x7f800001,
        0xffa00000, 1, 0x80000001, 0x007fffff, 0x00800000, 0x80800000, 0x00800001, 0x7f7fffff, 0xff7fffff,
        0x3f000000, 0x3fc00000, 0x40200000, 0x4f000000, 0xcf000000, 0x4effffff, 0x5f000000, 0xdf000000,
        0x00400000, 0x33800000, 0x477fe000, 0x477ff000, 0x38800000, 0x387fffff, 0x33000000, 0x4b000001,
    };
    uint64_t kind = rnd() % 4, r = rnd(), t = rnd();

    switch (kind) {
    case 0: return s[r % ARRAY_SIZE(s)];
    case 1: return (uint32_t)r;
    case 2: return (uint32_t)(r & 0x807fffff) | (uint32_t)(124 + t % 8) << 23;
    default: return (uint32_t)(r & 0x807fffff) | (uint32_t)(t & 1 ? (t >> 8) % 30 : 225 + (t >> 8) % 30) << 23;
    }
}

static inline uint64_t special64(void)
{
    static const uint64_t s[] = {
        0, 1ull << 63, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000, 0xfff0000000000000,
        0x7ff8000000000000, 0xfff8123456789abc, 0x7ff0000000000001, 0xfff4000000000000, 1, 0x8000000000000001,
        0x000fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0xffefffffffffffff, 0x3fe0000000000000,
        0x3ff8000000000000, 0x41dfffffffc00000, 0x41e0000000000000, 0xc1e0000000000000, 0xc1e0000000100000,
        0x43e0000000000000, 0xc3e0000000000000, 0x47efffffe0000000, 0x47effffff0000000, 0x3810000000000000,
        0x380fffffffffffff, 0x36a0000000000000, 0x3690000000000000, 0x4330000000000001,
    };
    uint64_t kind = rnd() % 5, r = rnd(), t = rnd();

    switch (kind) {
    case 0: return s[r % ARRAY_SIZE(s)];
    case 1: return r;
    case 2: return (r & 0x800fffffffffffff) | (1020 + t % 8) << 52;
    case 3: return (r & 0x800fffffe0000000) | (880 + t % 280) << 52;
    default: return (r & 0x800fffffffffffff) | (t & 1 ? (t >> 8) % 60 : 1980 + (t >> 8) % 66) << 52;
    }
}

/* two singles, a double, small counts, ... */
static inline uint64_t operand(unsigned kind)
{
    uint64_t low = special32();

    switch (kind) {
    case 0: return low | (uint64_t)special32() << 32;
    case 1: return special64();
    case 2: return rnd() & rnd() & 0x0f0f1f0f0f070f3f;     /* small counts, NULs */
    case 3: return rnd() % 80;
    case 4: return rnd() & 0x8001800080018001 ? rnd() : ~0ull;
    case 5: return 0x4142434400414243ull ^ (rnd() & rnd() & 0x0102010301020103);
    default: return rnd();
    }
}

#endif
