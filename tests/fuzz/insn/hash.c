/*
 * hash.c - states as numbers: what changed in memory, vector registers, x87 registers
 */
#include "tests/fuzz/insn/ifuzz.h"
#include <immintrin.h>

static inline uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 29;
}

static uint64_t mix_bytes(uint64_t h, const void *p, unsigned n)
{
    const uint8_t *b = p;

    for (unsigned i = 0; i < n; i += 8)
        h = mix(h, ldl64(b + i));
    return h;
}

/* native_lacks() asks for AVX2 */
__attribute__((target("avx2"))) static inline bool line_same(const uint8_t *a, const uint8_t *b)
{
    const __m256i *va = (const __m256i *)a, *vb = (const __m256i *)b;
    __m256i d = (va[0] ^ vb[0]) | (va[1] ^ vb[1]);

    return _mm256_testz_si256(d, d);
}

__attribute__((target("avx2"))) uint64_t mem_settle(uint8_t *now, const uint8_t *was, unsigned n, unsigned salt)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < n; i += 64)
        if (unlikely(!line_same(now + i, was + i))) {
            sum += mix_bytes(salt + i + 1, now + i, 64);
            memcpy(now + i, was + i, 64);
        }
    return sum;
}

uint64_t vec_hash(const struct x86_fxarea *fx, const uint8_t ymmh[16][16], const struct x86_avx512 *z)
{
    uint64_t h[4] = { 1, 2, 3, 4 };

    for (unsigned i = 0; i < 16; i++) {
        h[0] = mix(h[0], ldl64(fx->xmm[i]));
        h[1] = mix(h[1], ldl64(fx->xmm[i] + 8));
        h[2] = mix(h[2], ldl64(ymmh[i]));
        h[3] = mix(h[3], ldl64(ymmh[i] + 8));
    }
    for (unsigned i = 0; i + 32 <= sizeof(*z); i += 32)
        for (unsigned k = 0; k < 4; k++)
            h[k] = mix(h[k], ldl64((const uint8_t *)z + i + k * 8));
    return mix_bytes(0, h, sizeof(h));
}

uint64_t x87_hash(const struct x86_fxarea *fx)
{
    uint64_t h = 5;

    for (unsigned i = 0; i < 8; i++)
        h = mix(mix(h, ldl64(fx->st[i])), ldl16(fx->st[i] + 8));
    return h;
}
