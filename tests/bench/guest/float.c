/*
 * float.c - scalar, vector and x87 arithmetic
 *
 * Only operations that IEEE 754 rounds exactly: checksums are those of the bits.
 * Compiled without contraction to fused multiply-add.
 */
#include <immintrin.h>
#include <string.h>
#include "kernel.h"

static uint64_t bits_of(double d)
{
    uint64_t v;

    memcpy(&v, &d, 8);
    return v;
}

enum { N = 96 };

static void fill(double m[N][N], double by)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            m[i][j] = (i * 7 + j * 3) % 19 * by - 0.5;
}

/* scalar: the compiler does not vectorise a sum of doubles */
static uint64_t run_matmul(uint64_t n)
{
    static double a[N][N], b[N][N], c[N][N];
    uint64_t sum = 0;

    fill(a, 0.125);
    fill(b, 0.0625);
    for (uint64_t k = 0; k < n; k++) {
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                double s = 0;

                for (int l = 0; l < N; l++)
                    s += a[i][l] * b[l][j];
                c[i][j] = s;
            }
        a[k % N][k % 7] = c[k % 5][k % N] * 0x1p-12;
        sum = bench_mix(sum, bits_of(c[k % N][3]));
    }
    return sum;
}

static uint64_t run_matmul_sse(uint64_t n)
{
    static float a[N][N] __attribute__((aligned(16))), b[N][N] __attribute__((aligned(16)));
    static float c[N][N] __attribute__((aligned(16)));
    uint64_t sum = 0;

    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (float)((i + j) % 13) * 0.25f;
            b[i][j] = (float)((i * j) % 17) * 0.5f;
        }
    for (uint64_t k = 0; k < n; k++) {
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j += 4) {
                __m128 s = _mm_setzero_ps();

                for (int l = 0; l < N; l++)
                    s = _mm_add_ps(s, _mm_mul_ps(_mm_set1_ps(a[i][l]), _mm_load_ps(&b[l][j])));
                _mm_store_ps(&c[i][j], s);
            }
        a[k % N][k % 7] = c[k % 5][k % N] * 0x1p-12f;
        sum = bench_mix(sum, bits_of(c[k % N][3]));
    }
    return sum;
}

struct body { double p[3], v[3], mass; };

static uint64_t run_nbody(uint64_t n)
{
    struct body b[5];
    uint64_t sum = 0;

    for (int i = 0; i < 5; i++)
        b[i] = (struct body){ { i * 1.5 + 0.1, i * i * 0.7, 1.0 / (i + 1) }, { 0.01 * i, 0.2, -0.03 * i },
                              1.0 / (1 << i) };
    for (uint64_t k = 0; k < n; k++) {
        for (int i = 0; i < 5; i++)
            for (int j = i + 1; j < 5; j++) {
                double d[3], r2 = 0.01, mag;

                for (int x = 0; x < 3; x++) {
                    d[x] = b[i].p[x] - b[j].p[x];
                    r2 += d[x] * d[x];
                }
                mag = 0.001 / (r2 * __builtin_sqrt(r2));
                for (int x = 0; x < 3; x++) {
                    b[i].v[x] -= d[x] * b[j].mass * mag;
                    b[j].v[x] += d[x] * b[i].mass * mag;
                }
            }
        for (int i = 0; i < 5; i++)
            for (int x = 0; x < 3; x++)
                b[i].p[x] += 0.001 * b[i].v[x];
    }
    for (int i = 0; i < 5; i++)
        sum = bench_mix(sum, bits_of(b[i].p[i % 3]));
    return sum;
}

/* ---- Mandelbrot: points of a row of 400, up to 50 steps ------------------------- */

static uint64_t run_mandel(uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t row = 0; row < n; row++)
        for (int i = 0; i < 400; i++) {
            double cr = i * 0.0075 - 2, ci = (double)(row % 300) * 0.0075 - 1.1, r = 0, m = 0;
            int k = 0;

            for (; k < 50 && r * r + m * m < 4; k++) {
                double t = r * r - m * m + cr;

                m = 2 * r * m + ci;
                r = t;
            }
            sum += (uint64_t)k;
        }
    return sum;
}

static uint64_t run_mandel_sse2(uint64_t n)
{
    const __m128d four = _mm_set1_pd(4), one = _mm_set1_pd(1);
    uint64_t sum = 0;

    for (uint64_t row = 0; row < n; row++)
        for (int i = 0; i < 400; i += 2) {
            __m128d cr = _mm_set_pd((i + 1) * 0.0075 - 2, i * 0.0075 - 2);
            __m128d ci = _mm_set1_pd((double)(row % 300) * 0.0075 - 1.1);
            __m128d r = _mm_setzero_pd(), m = r, count = r;

            for (int k = 0; k < 50; k++) {
                __m128d r2 = _mm_mul_pd(r, r), m2 = _mm_mul_pd(m, m), rm = _mm_mul_pd(r, m);
                __m128d in = _mm_cmplt_pd(_mm_add_pd(r2, m2), four);

                if (!_mm_movemask_pd(in))
                    break;
                count = _mm_add_pd(count, _mm_and_pd(in, one));
                m = _mm_add_pd(_mm_add_pd(rm, rm), ci);
                r = _mm_add_pd(_mm_sub_pd(r2, m2), cr);
            }
            sum += (uint64_t)_mm_cvtsd_si64(count) + (uint64_t)_mm_cvtsd_si64(_mm_unpackhi_pd(count, count));
        }
    return sum;
}

static int has_avx2(void) { return __builtin_cpu_supports("avx2"); }

__attribute__((target("avx2"))) static uint64_t run_mandel_avx2(uint64_t n)
{
    const __m256d four = _mm256_set1_pd(4), one = _mm256_set1_pd(1);
    uint64_t sum = 0;

    for (uint64_t row = 0; row < n; row++)
        for (int i = 0; i < 400; i += 4) {
            __m256d cr = _mm256_set_pd((i + 3) * 0.0075 - 2, (i + 2) * 0.0075 - 2, (i + 1) * 0.0075 - 2,
                                       i * 0.0075 - 2);
            __m256d ci = _mm256_set1_pd((double)(row % 300) * 0.0075 - 1.1);
            __m256d r = _mm256_setzero_pd(), m = r, count = r;
            double c[4];

            for (int k = 0; k < 50; k++) {
                __m256d r2 = _mm256_mul_pd(r, r), m2 = _mm256_mul_pd(m, m), rm = _mm256_mul_pd(r, m);
                __m256d in = _mm256_cmp_pd(_mm256_add_pd(r2, m2), four, _CMP_LT_OQ);

                if (!_mm256_movemask_pd(in))
                    break;
                count = _mm256_add_pd(count, _mm256_and_pd(in, one));
                m = _mm256_add_pd(_mm256_add_pd(rm, rm), ci);
                r = _mm256_add_pd(_mm256_sub_pd(r2, m2), cr);
            }
            _mm256_storeu_pd(c, count);
            sum += (uint64_t)(c[0] + c[1] + c[2] + c[3]);
        }
    return sum;
}

/* ---- x87 ------------------------------------------------------------------------- */

static uint64_t run_x87(uint64_t n)
{
    long double x = 1, y = 0.5L, s = 0;

    for (uint64_t i = 0; i < n; i++) {
        s += x * y;
        x = x * 0.999L + 0.01L;
        y = y - s * 1e-9L;
    }
    return bits_of((double)s) ^ bits_of((double)y);
}

static uint64_t run_x87_matmul(uint64_t n)
{
    static long double a[N][N], b[N][N];
    uint64_t sum = 0;

    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (i + 2 * j) % 11 * 0.5L;
            b[i][j] = (3 * i + j) % 7 * 0.25L;
        }
    for (uint64_t k = 0; k < n; k++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                long double s = 0;

                for (int l = 0; l < N; l++)
                    s += a[i][l] * b[l][j];
                sum = bench_mix(sum, bits_of((double)s));
            }
    return sum;
}

static uint64_t run_x87_divsqrt(uint64_t n)
{
    long double x = 2, s = 0;

    for (uint64_t i = 0; i < n; i++) {
        s += __builtin_sqrtl(x) / (x + 1);
        x += 0.25L;
    }
    return bits_of((double)s);
}

/* ---- the rest ------------------------------------------------------------------------ */

static uint64_t run_divsqrt(uint64_t n)
{
    double x = 2, s = 0;

    for (uint64_t i = 0; i < n; i++) {
        s += __builtin_sqrt(x) / (x + s * 1e-9);
        x += 0.25;
    }
    return bits_of(s);
}

static uint64_t run_convert(uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        double d = (double)(int64_t)(i * 12345);
        float f = (float)d;

        sum += (uint64_t)(int64_t)(d * 0.37) + (uint32_t)(int32_t)(f * 1e-6f);
    }
    return sum;
}

/* branches on comparisons: UCOMISD and its flags */
static uint64_t run_compare(uint64_t n)
{
    double v[64];
    uint64_t seed = 4, sum = 0;

    for (int i = 0; i < 64; i++)
        v[i] = (double)(bench_rand(&seed) & 1023) / 7;
    for (uint64_t k = 0; k < n; k++) {
        double most = v[k & 63];

        for (int i = 0; i < 64; i++) {
            if (v[i] > most)
                most = v[i];
            else if (v[i] < 20)
                sum++;
            asm volatile("" : "+x"(most));
        }
        sum += (uint64_t)most;
    }
    return sum;
}

/* integer vectors: pixel blending as a codec does it */
static uint64_t run_blend_sse2(uint64_t n)
{
    static uint8_t a[16384] __attribute__((aligned(16))), b[16384] __attribute__((aligned(16)));
    const __m128i zero = _mm_setzero_si128(), alpha = _mm_set1_epi16(77), beta = _mm_set1_epi16(179);
    uint64_t sum = 0;

    for (size_t i = 0; i < sizeof(a); i++) {
        a[i] = (uint8_t)(i * 5);
        b[i] = (uint8_t)(i * 11);
    }
    for (uint64_t k = 0; k < n; k++)
        for (size_t i = 0; i < sizeof(a); i += 16) {
            __m128i x = _mm_load_si128((__m128i *)(a + i)), y = _mm_load_si128((__m128i *)(b + i));
            __m128i lo = _mm_add_epi16(_mm_mullo_epi16(_mm_unpacklo_epi8(x, zero), alpha),
                                       _mm_mullo_epi16(_mm_unpacklo_epi8(y, zero), beta));
            __m128i hi = _mm_add_epi16(_mm_mullo_epi16(_mm_unpackhi_epi8(x, zero), alpha),
                                       _mm_mullo_epi16(_mm_unpackhi_epi8(y, zero), beta));
            __m128i r = _mm_packus_epi16(_mm_srli_epi16(lo, 8), _mm_srli_epi16(hi, 8));

            _mm_store_si128((__m128i *)(a + i), r);
            sum += (uint64_t)_mm_cvtsi128_si64(_mm_sad_epu8(r, y));
        }
    return sum;
}

const struct kernel kernels[] = {
    { "matmul", run_matmul, 300, 0, 0 },
    { "matmul_sse", run_matmul_sse, 1200, 0, 0 },
    { "nbody", run_nbody, 4000000, 0, 0 },
    { "mandel", run_mandel, 12000, 0, 0 },
    { "mandel_sse2", run_mandel_sse2, 24000, 0, 0 },
    { "mandel_avx2", run_mandel_avx2, 40000, has_avx2, 0 },
    { "x87", run_x87, 30000000, 0, 0 },
    { "x87_matmul", run_x87_matmul, 200, 0, 0 },
    { "x87_divsqrt", run_x87_divsqrt, 15000000, 0, 0 },
    { "divsqrt", run_divsqrt, 30000000, 0, 0 },
    { "convert", run_convert, 120000000, 0, 0 },
    { "compare", run_compare, 2500000, 0, 0 },
    { "blend_sse2", run_blend_sse2, 60000, 0, 0 },
    { 0, 0, 0, 0, 0 },
};
