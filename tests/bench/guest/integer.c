/* integer.c - calls, branches, arithmetic, pointers: no system calls inside */
#include <stdlib.h>
#include <string.h>
#include "kernel.h"

/* ---- calls and jumps ------------------------------------------------------- */

static NOINLINE uint64_t fib(unsigned n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static uint64_t run_call(uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++)
        sum = bench_mix(sum, fib(20 + i % 4));
    return sum;
}

static NOINLINE uint64_t leaf_add(uint64_t v) { return v + 0x1234567; }
static NOINLINE uint64_t leaf_xor(uint64_t v) { return v ^ v >> 13; }
static NOINLINE uint64_t leaf_mul(uint64_t v) { return v * 5; }
static NOINLINE uint64_t leaf_rot(uint64_t v) { return v << 7 | v >> 57; }

static uint64_t run_leaf(uint64_t n)
{
    uint64_t v = 1;

    for (uint64_t i = 0; i < n; i++)
        v = leaf_rot(leaf_mul(leaf_xor(leaf_add(v))));
    return v;
}

static uint64_t (*volatile const leaves[])(uint64_t) = { leaf_add, leaf_xor, leaf_mul, leaf_rot };

/* the same target each time, and one that depends on data */
static uint64_t run_indirect_same(uint64_t n)
{
    uint64_t v = 1;

    for (uint64_t i = 0; i < n; i++)
        v = leaves[2](v) + i;
    return v;
}

static uint64_t run_indirect_any(uint64_t n)
{
    uint64_t v = 1;

    for (uint64_t i = 0; i < n; i++)
        v = leaves[v >> 40 & 3](v * 0x9e3779b97f4a7c15u + i);
    return v;
}

/* ---- a byte code interpreter -------------------------------------------------- */

enum { OP_PUSH, OP_ADD, OP_SUB, OP_XOR, OP_DUP, OP_SWAP, OP_LOAD, OP_STORE, OP_DEC, OP_JNZ, OP_MUL, OP_END };
static const uint8_t program[] = {
    OP_LOAD, 1, OP_LOAD, 0, OP_ADD, OP_DUP, OP_PUSH, 13, OP_MUL, OP_XOR, OP_STORE, 1,
    OP_LOAD, 2, OP_LOAD, 1, OP_SWAP, OP_SUB, OP_STORE, 2,
    OP_LOAD, 0, OP_DEC, OP_STORE, 0, OP_LOAD, 0, OP_JNZ, 0, OP_END,
};

static NOINLINE uint64_t interpret(const uint8_t *code, uint64_t *var)
{
    uint64_t stack[16], *sp = stack, t;
    const uint8_t *pc = code;

    for (;;)
        switch (*pc++) {
        case OP_PUSH: *sp++ = *pc++; break;
        case OP_ADD: sp--; sp[-1] += sp[0]; break;
        case OP_SUB: sp--; sp[-1] -= sp[0]; break;
        case OP_XOR: sp--; sp[-1] ^= sp[0]; break;
        case OP_MUL: sp--; sp[-1] *= sp[0]; break;
        case OP_DUP: sp[0] = sp[-1]; sp++; break;
        case OP_SWAP: t = sp[-1]; sp[-1] = sp[-2]; sp[-2] = t; break;
        case OP_LOAD: *sp++ = var[*pc++ & 3]; break;
        case OP_STORE: var[*pc++ & 3] = *--sp; break;
        case OP_DEC: sp[-1]--; break;
        case OP_JNZ: pc = *--sp ? code + *pc : pc + 1; break;
        default: return var[1] ^ var[2];
        }
}

static uint64_t run_switch(uint64_t n)
{
    uint64_t var[4] = { n, 1, 2, 3 };

    return interpret(program, var);
}

/* data decides each branch */
static uint64_t run_branchy(uint64_t n)
{
    uint64_t x = 27, steps = 0, seed = 1;

    for (uint64_t i = 0; i < n; i++) {
        if (x == 1)
            x = (bench_rand(&seed) & 0xfffff) | 2;
        if (x & 1)
            x = 3 * x + 1;
        else
            x >>= 1;
        if (x % 5 == 3)
            steps += 2;
        else if (x & 8)
            steps ^= x;
        else
            steps++;
    }
    return steps;
}

/* ---- arithmetic ------------------------------------------------------------------ */

static uint64_t run_alu(uint64_t n)
{
    uint64_t a = 1, b = 2, c = 3;

    for (uint64_t i = 0; i < n; i++) {
        a += b ^ i;
        b = (b << 9 | b >> 55) + c;
        c ^= a >> 7;
        asm volatile("" : "+r"(a), "+r"(b), "+r"(c));
    }
    return a ^ b ^ c;
}

static uint64_t run_divide(uint64_t n)
{
    uint64_t v = ~0ull, sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        uint64_t d = (i * 7919 & 0xffff) + 3;

        sum += v / d ^ v % d;
        v -= sum >> 20;
    }
    return sum;
}

static uint32_t crc_table[256];

static uint64_t run_crc(uint64_t n)
{
    static uint8_t buf[16384];
    uint32_t crc = ~0u;

    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
        crc_table[i] = c;
    }
    for (size_t i = 0; i < sizeof(buf); i++)
        buf[i] = (uint8_t)(i * 31);
    for (uint64_t k = 0; k < n; k++)
        for (size_t i = 0; i < sizeof(buf); i++)
            crc = crc >> 8 ^ crc_table[(crc ^ buf[i]) & 0xff];
    return crc;
}

enum { BIG_WORDS = 64 };

/* schoolbook multiplication: MUL and ADC chains */
static uint64_t run_bignum(uint64_t n)
{
    static uint64_t a[BIG_WORDS], b[BIG_WORDS], r[2 * BIG_WORDS];
    uint64_t seed = 5;

    for (int i = 0; i < BIG_WORDS; i++) {
        a[i] = bench_rand(&seed) << 32 ^ bench_rand(&seed);
        b[i] = bench_rand(&seed) << 32 ^ bench_rand(&seed);
    }
    for (uint64_t k = 0; k < n; k++) {
        memset(r, 0, sizeof(r));
        for (int i = 0; i < BIG_WORDS; i++) {
            unsigned __int128 t = 0;

            for (int j = 0; j < BIG_WORDS; j++) {
                t += (unsigned __int128)a[i] * b[j] + r[i + j];
                r[i + j] = (uint64_t)t;
                t >>= 64;
            }
            r[i + BIG_WORDS] = (uint64_t)t;
        }
        a[k % BIG_WORDS] ^= r[BIG_WORDS];
    }
    return r[0] ^ r[BIG_WORDS] ^ r[2 * BIG_WORDS - 1];
}

/* ---- data structures ----------------------------------------------------------------- */

enum { SLOTS = 1 << 16 };

static uint64_t run_hash(uint64_t n)
{
    static uint64_t key[SLOTS], count[SLOTS];
    uint64_t seed = 9, probes = 0;

    memset(key, 0, sizeof(key));
    memset(count, 0, sizeof(count));
    for (uint64_t i = 0; i < n; i++) {
        uint64_t k = bench_rand(&seed) % (SLOTS / 2) + 1, h = k * 0x9e3779b97f4a7c15u >> 48;

        while (key[h] && key[h] != k) {
            h = (h + 1) % SLOTS;
            probes++;
        }
        key[h] = k;
        count[h]++;
    }
    for (int i = 0; i < SLOTS; i++)
        probes = bench_mix(probes, count[i]);
    return probes;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* the library's sort: a callback through a pointer for each comparison */
static uint64_t run_qsort(uint64_t n)
{
    static uint32_t v[20000];
    uint64_t seed = 3, sum = 0;

    for (uint64_t k = 0; k < n; k++) {
        for (int i = 0; i < 20000; i++)
            v[i] = (uint32_t)bench_rand(&seed);
        qsort(v, 20000, sizeof(v[0]), by_value);
        sum = bench_mix(sum, v[k % 20000]);
    }
    return sum;
}

static void sift_down(uint32_t *v, uint32_t i, uint32_t n)
{
    uint32_t x = v[i];

    for (uint32_t c; (c = 2 * i + 1) < n; i = c) {
        c += c + 1 < n && v[c + 1] > v[c];
        if (v[c] <= x)
            break;
        v[i] = v[c];
    }
    v[i] = x;
}

static uint64_t run_heapsort(uint64_t n)
{
    static uint32_t v[20000];
    uint64_t seed = 3, sum = 0;

    for (uint64_t k = 0; k < n; k++) {
        for (int i = 0; i < 20000; i++)
            v[i] = (uint32_t)bench_rand(&seed);
        for (uint32_t i = 10000; i--; )
            sift_down(v, i, 20000);
        for (uint32_t m = 20000; --m; ) {
            uint32_t t = v[0];

            v[0] = v[m];
            v[m] = t;
            sift_down(v, 0, m);
        }
        sum = bench_mix(sum, v[k % 20000]);
    }
    return sum;
}

static struct cell { uint32_t next, value, pad[14]; } *cells;

/* one cycle through @len cells of 64 bytes, in an order that no prefetcher guesses */
static void link_cells(uint32_t len)
{
    uint32_t *order = malloc(len * sizeof(*order));
    uint64_t seed = 11;

    free(cells);
    cells = calloc(len, sizeof(*cells));
    bench_check(cells && order, "memory");
    for (uint32_t i = 0; i < len; i++)
        order[i] = i;
    for (uint32_t i = len - 1; i; i--) {
        uint32_t j = (uint32_t)(bench_rand(&seed) % i), t = order[i];

        order[i] = order[j];
        order[j] = t;
    }
    for (uint32_t i = 0; i < len; i++) {
        cells[order[i]].next = order[(i + 1) % len];
        cells[order[i]].value = i;
    }
    free(order);
}

static void link_32k(void) { link_cells(512); }
static void link_1m(void) { link_cells(1 << 14); }
static void link_64m(void) { link_cells(1 << 20); }

static uint64_t run_chase(uint64_t n)
{
    const struct cell *c = cells;
    uint64_t sum = 0;
    uint32_t at = 0;

    for (uint64_t i = 0; i < n; i++) {
        sum += c[at].value;
        at = c[at].next;
    }
    return sum;
}

static uint64_t run_sieve(uint64_t n)
{
    static uint8_t composite[1 << 18];
    uint64_t sum = 0;

    for (uint64_t k = 0; k < n; k++) {
        memset(composite, 0, sizeof(composite));
        for (uint32_t i = 2; i < sizeof(composite); i++) {
            if (composite[i])
                continue;
            sum += i;
            for (uint32_t j = 2 * i; j < sizeof(composite); j += i)
                composite[j] = 1;
        }
    }
    return sum;
}

/* match finding of a compressor: hash of 4 bytes, compare, copy lengths */
static uint64_t run_match(uint64_t n)
{
    static uint8_t text[1 << 16];
    static uint16_t head[4096];
    uint64_t seed = 2, sum = 0;

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "etaoin shrdlu"[bench_rand(&seed) % 13 * (bench_rand(&seed) & 1)];
    for (uint64_t k = 0; k < n; k++) {
        memset(head, 0, sizeof(head));
        for (uint32_t i = 0; i + 8 < sizeof(text); ) {
            uint32_t w, len = 0, from;

            memcpy(&w, text + i, 4);
            w = w * 2654435761u >> 20;
            from = head[w];
            head[w] = (uint16_t)i;
            while (len < 255 && i + len < sizeof(text) && text[from + len] == text[i + len] && from < i)
                len++;
            sum += len;
            i += len > 3 ? len : 1;
        }
    }
    return sum;
}

/* stores followed at once by loads of the same place: what call frames do */
static uint64_t run_memops(uint64_t n)
{
    static volatile uint64_t m[512];
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        m[i & 511] = i;
        m[(i + 64) & 511] += sum;
        sum += m[i & 511] ^ m[(i * 7) & 511];
    }
    return sum;
}

const struct kernel kernels[] = {
    { "call", run_call, 6000, 0, 0 },
    { "leaf", run_leaf, 60000000, 0, 0 },
    { "indirect_same", run_indirect_same, 120000000, 0, 0 },
    { "indirect_any", run_indirect_any, 25000000, 0, 0 },
    { "switch", run_switch, 8000000, 0, 0 },
    { "branchy", run_branchy, 40000000, 0, 0 },
    { "alu", run_alu, 250000000, 0, 0 },
    { "divide", run_divide, 30000000, 0, 0 },
    { "crc", run_crc, 8000, 0, 0 },
    { "bignum", run_bignum, 60000, 0, 0 },
    { "hash", run_hash, 60000000, 0, 0 },
    { "qsort", run_qsort, 120, 0, 0 },
    { "heapsort", run_heapsort, 240, 0, 0 },
    { "chase_32k", run_chase, 100000000, 0, link_32k },
    { "chase_1m", run_chase, 20000000, 0, link_1m },
    { "chase_64m", run_chase, 2500000, 0, link_64m },
    { "sieve", run_sieve, 300, 0, 0 },
    { "match", run_match, 600, 0, 0 },
    { "memops", run_memops, 150000000, 0, 0 },
    { 0, 0, 0, 0, 0 },
};
