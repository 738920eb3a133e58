/* memory.c - string instructions, vector copies, the C library's string functions */
#include <emmintrin.h>
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>
#include "kernel.h"

enum { BIG = 8 << 20, PAGE = 4096 };
static uint8_t from[BIG + 64] __attribute__((aligned(64)));
static uint8_t to[BIG + 64] __attribute__((aligned(64)));

/* both areas: touched, the same, no zero bytes */
static void fill(void)
{
    uint64_t seed = 7;

    for (size_t i = 0; i < sizeof(from); i++)
        from[i] = (uint8_t)(bench_rand(&seed) | 1);
    memcpy(to, from, sizeof(to));
}

static uint64_t sum_of(const uint8_t *p, size_t len)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < len; i += 61)
        sum = bench_mix(sum, p[i]);
    return sum;
}

/* ---- REP ------------------------------------------------------------------------ */

static void rep_movsb(void *d, const void *s, size_t len)
{
    asm volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(len) : : "memory");
}

static void rep_movsq(void *d, const void *s, size_t words)
{
    asm volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
}

static void rep_stosb(void *d, int v, size_t len)
{
    asm volatile("rep stosb" : "+D"(d), "+c"(len) : "a"(v) : "memory");
}

static uint64_t run_movsb(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        rep_movsb(to + (i & 15) * 3, from + (i & 7) * PAGE, PAGE);
    return sum_of(to, 2 * PAGE);
}

static uint64_t run_movsb_32(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        rep_movsb(to + (i & 63), from + (i & 127), 32);
    return sum_of(to, PAGE);
}

static uint64_t run_movsq(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        rep_movsq(to, from + (i & 7) * PAGE, PAGE / 8);
    return sum_of(to, PAGE);
}

static uint64_t run_stosb(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        rep_stosb(to + (i & 15), (int)i, 4 * PAGE);
    return sum_of(to, 4 * PAGE);
}

static uint64_t run_scasb(uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *p = from + (i & 63);
        size_t len = 200;

        asm volatile("repne scasb" : "+D"(p), "+c"(len) : "a"(0) : "memory", "cc");
        sum += len + 1;
    }
    return sum;
}

static uint64_t run_cmpsb(uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *p = from + (i & 63), *q = to + (i & 63);
        size_t len = 200;

        asm volatile("repe cmpsb" : "+D"(p), "+S"(q), "+c"(len) : : "memory", "cc");
        sum += len + 1;
    }
    return sum;
}

/* ---- vector registers -------------------------------------------------------------- */

static uint64_t run_copy_sse2(uint64_t n)
{
    for (uint64_t k = 0; k < n; k++)
        for (size_t i = 0; i < 4 * PAGE; i += 64) {
            const __m128i *s = (const __m128i *)(from + (k & 3) * PAGE + i);
            __m128i *d = (__m128i *)(to + i);

            _mm_store_si128(d, _mm_load_si128(s));
            _mm_store_si128(d + 1, _mm_load_si128(s + 1));
            _mm_store_si128(d + 2, _mm_load_si128(s + 2));
            _mm_store_si128(d + 3, _mm_load_si128(s + 3));
            asm volatile("" : : : "memory");
        }
    return sum_of(to, 4 * PAGE);
}

static uint64_t run_copy_unaligned(uint64_t n)
{
    for (uint64_t k = 0; k < n; k++)
        for (size_t i = 0; i < 4 * PAGE; i += 32) {
            __m128i a = _mm_loadu_si128((const __m128i *)(from + 3 + i));
            __m128i b = _mm_loadu_si128((const __m128i *)(from + 19 + i));

            _mm_storeu_si128((__m128i *)(to + 5 + i), a);
            _mm_storeu_si128((__m128i *)(to + 21 + i), b);
            asm volatile("" : : : "memory");
        }
    return sum_of(to, 4 * PAGE);
}

static int has_avx2(void) { return __builtin_cpu_supports("avx2"); }

__attribute__((target("avx2"))) static uint64_t run_copy_avx2(uint64_t n)
{
    for (uint64_t k = 0; k < n; k++)
        for (size_t i = 0; i < 4 * PAGE; i += 64) {
            const __m256i *s = (const __m256i *)(from + (k & 3) * PAGE + i);
            __m256i *d = (__m256i *)(to + i);

            _mm256_store_si256(d, _mm256_load_si256(s));
            _mm256_store_si256(d + 1, _mm256_load_si256(s + 1));
            asm volatile("" : : : "memory");
        }
    return sum_of(to, 4 * PAGE);
}

/* byte search as a compiler's or library's SSE2 code does it */
static uint64_t run_scan_sse2(uint64_t n)
{
    uint64_t found = 0;

    for (uint64_t k = 0; k < n; k++) {
        __m128i want = _mm_set1_epi8((char)(k | 1));

        for (size_t i = 0; i < 4 * PAGE; i += 16) {
            __m128i v = _mm_load_si128((const __m128i *)(from + i));

            found += (uint64_t)__builtin_popcount((unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, want)));
        }
    }
    return found;
}

/* ---- the C library; which code it takes depends on CPUID ------------------------------ */

static uint64_t run_memcpy(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        memcpy(to, from + (i & 1023), 16 * PAGE);
        asm volatile("" : : : "memory");
    }
    return sum_of(to, 16 * PAGE);
}

static uint64_t run_memcpy_big(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        memcpy(to, from + (i & 15), BIG);
        asm volatile("" : : : "memory");
    }
    return sum_of(to, BIG);
}

static uint64_t run_memcpy_small(uint64_t n)
{
    uint64_t seed = 1;

    for (uint64_t i = 0; i < n; i++) {
        uint64_t r = bench_rand(&seed);
        volatile size_t len = r & 63;

        memcpy(to + (r >> 8 & 1023), from + (r >> 18 & 1023), len);
    }
    return sum_of(to, PAGE);
}

static uint64_t run_memset(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        memset(to + (i & 31), (int)i, 4 * PAGE);
        asm volatile("" : : : "memory");
    }
    return sum_of(to, 4 * PAGE);
}

static uint64_t run_strlen(uint64_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < 64 * PAGE; i += 40 + i % 23)
        from[i] = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += strlen((char *)from + (i * 61 & 0xffff));
    return sum;
}

static uint64_t run_strlen_long(uint64_t n)
{
    uint64_t sum = 0;

    from[4 * PAGE] = 0;
    for (uint64_t i = 0; i < n; i++) {
        sum += strlen((char *)from + (i & 63));
        asm volatile("" : : : "memory");
    }
    return sum;
}

static uint64_t run_memcmp(uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        to[PAGE + (i & 255)] ^= 1;
        sum += (uint64_t)memcmp(to + (i & 31), from + (i & 31), 2 * PAGE) >> 63;
        to[PAGE + (i & 255)] ^= 1;
    }
    return sum;
}

/* loads and stores that cross cache lines and, every 64th time, a page */
static uint64_t run_unaligned(uint64_t n)
{
    uint64_t sum = 0, v;

    for (uint64_t i = 0; i < n; i++) {
        size_t at = (i & 63) * 64 + 60;

        memcpy(&v, from + at, 8);
        sum += v;
        memcpy(to + at, &sum, 8);
        asm volatile("" : : : "memory");
    }
    return sum;
}

const struct kernel kernels[] = {
    { "rep_movsb", run_movsb, 1500000, 0, fill },
    { "rep_movsb_32", run_movsb_32, 15000000, 0, fill },
    { "rep_movsq", run_movsq, 3000000, 0, fill },
    { "rep_stosb", run_stosb, 1200000, 0, fill },
    { "rep_scasb", run_scasb, 1500000, 0, fill },
    { "rep_cmpsb", run_cmpsb, 1500000, 0, fill },
    { "copy_sse2", run_copy_sse2, 700000, 0, fill },
    { "copy_unaligned", run_copy_unaligned, 500000, 0, fill },
    { "copy_avx2", run_copy_avx2, 1000000, has_avx2, fill },
    { "scan_sse2", run_scan_sse2, 100000, 0, fill },
    { "memcpy_64k", run_memcpy, 40000, 0, fill },
    { "memcpy_8m", run_memcpy_big, 250, 0, fill },
    { "memcpy_small", run_memcpy_small, 25000000, 0, fill },
    { "memset_16k", run_memset, 600000, 0, fill },
    { "strlen_short", run_strlen, 80000000, 0, fill },
    { "strlen_16k", run_strlen_long, 1000000, 0, fill },
    { "memcmp_8k", run_memcmp, 3000000, 0, fill },
    { "unaligned", run_unaligned, 200000000, 0, fill },
    { 0, 0, 0, 0, 0 },
};
