/*
 * sum.c - the check sum of chunks
 */
#include "trace/format.h"

#define MIX 0x9fb21c651e98df25ull

uint32_t trace_sum(uint32_t sum, const void *p, size_t len)
{
    const uint8_t *b = p;
    uint64_t h = sum ^ (uint64_t)len << 32;

    for (; len >= 8; b += 8, len -= 8) {
        h = (h ^ ldl64(b)) * MIX;
        h ^= h >> 32;
    }
    for (; len; b++, len--) {
        h = (h ^ *b) * MIX;
        h ^= h >> 32;
    }
    return (uint32_t)h;
}
