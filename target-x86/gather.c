/*
 * gather.c - AVX-512 gathers and scatters on the state in memory
 *
 * Elements go in ascending order. A fault leaves what is done: those elements are
 * in the destination or in memory and their mask bits are clear, so that the
 * instruction goes on where it stopped.
 *
 * Source: Intel SDM vol. 2, VPGATHERDD and VPSCATTERDD with their relatives.
 */
#include "target-x86/simd-int.h"

/** struct gather - unpacked EVGATHER_PACK() */
struct gather {
    unsigned reg, idx, k, scale, esize, isize, l, asize, seg, n;
};

static struct gather unpack(uint64_t b)
{
    struct gather g = {
        .reg = b & 31, .idx = (b >> 5) & 31, .k = (b >> 10) & 7, .scale = (b >> 13) & 3,
        .esize = (b >> 16) & 8 ? 8 : 4, .isize = (b >> 20) & 8 ? 8 : 4, .l = (b >> 24) & 3,
        .asize = (b >> 28) & 15, .seg = (b >> 32) & 7,
    };

    g.n = (16u << MIN(g.l, 2u)) / MAX(g.esize, g.isize);
    return g;
}

/* linear address of element @i; false: outside its segment, raised */
static bool address(struct x86_cpu *cpu, const struct gather *g, const uint8_t *idx, uint64_t base,
                    unsigned i, bool write, uint64_t *lin)
{
    uint64_t ix = g->isize == 4 ? sext(ldl32(idx + i * 4), 4) : ldl64(idx + i * 8);
    uint64_t off = (base + (ix << g->scale)) & size_mask(g->asize);

    return seg_to_linear(cpu, g->seg, off, g->esize, write, lin);
}

/**
 * h_evgather() - VGATHERxPS/PD, VPGATHERxD/Q with an opmask
 * @a: base register + displacement (an offset), @b: EVGATHER_PACK()
 */
uint64_t h_evgather(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    struct gather g = unpack(b);
    uint8_t dst[64], idx[64];
    bool any = false;
    uint64_t lin, v;
    unsigned i;

    x86_get_zmm(cpu, g.reg, dst);
    x86_get_zmm(cpu, g.idx, idx);
    for (i = 0; i < g.n; i++) {
        if (!(cpu->z.k[g.k] >> i & 1))
            continue;
        if (!address(cpu, &g, idx, a, i, false, &lin) || !tcg_load(tc, lin, g.esize, &v))
            break;
        memcpy(dst + i * g.esize, &v, g.esize);
        cpu->z.k[g.k] &= ~BIT(i);
        any = true;
    }
    unsigned keep = i < g.n ? 16u << MIN(g.l, 2u) : g.n * g.esize;
    if (i == g.n)
        cpu->z.k[g.k] = 0;
    if (i == g.n || any)     /* a fault leaves the destination up to the vector length */
        memset(dst + keep, 0, sizeof(dst) - keep);
    x86_set_zmm(cpu, g.reg, dst);
    return 0;
}

/** h_evscatter() - VSCATTERxPS/PD, VPSCATTERxD/Q; operands as h_evgather() */
uint64_t h_evscatter(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    struct gather g = unpack(b);
    uint8_t src[64], idx[64];
    uint64_t lin;

    x86_get_zmm(cpu, g.reg, src);
    x86_get_zmm(cpu, g.idx, idx);
    for (unsigned i = 0; i < g.n; i++) {
        uint64_t v = g.esize == 4 ? ldl32(src + i * 4) : ldl64(src + i * 8);

        if (!(cpu->z.k[g.k] >> i & 1))
            continue;
        if (!address(cpu, &g, idx, a, i, true, &lin) || !tcg_store(tc, lin, g.esize, v))
            return 0;
        cpu->z.k[g.k] &= ~BIT(i);
    }
    cpu->z.k[g.k] = 0;
    return 0;
}
