/*
 * vec-gf.c - GFNI, AVX-VNNI and AVX-512 VNNI: every encoding
 *
 * Source: Intel SDM vol. 2, GF2P8AFFINEINVQB, GF2P8AFFINEQB, GF2P8MULB, VPDPxxx.
 */
#include "target-x86/vecx-int.h"

/* ---- GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 ------------------------------------------ */

static uint8_t gf_mul(uint8_t a, uint8_t b)
{
    unsigned r = 0, m = a;

    for (; b; b >>= 1, m = m << 1 ^ (m & 0x80 ? 0x11b : 0))
        if (b & 1)
            r ^= m;
    return (uint8_t)r;
}

/* a^254, which is 1/a and 0 for 0 */
static uint8_t gf_inverse(uint8_t a)
{
    uint8_t r = 1;

    for (unsigned i = 0; i < 7; i++) {
        a = gf_mul(a, a);
        r = gf_mul(r, a);
    }
    return r;
}

/* bit i of the result: parity of @v with row i; the matrix has row 0 in its top byte */
static uint8_t affine(uint64_t matrix, uint8_t v, uint8_t add)
{
    uint8_t r = 0;

    for (unsigned i = 0; i < 8; i++) {
        uint8_t p = (uint8_t)(matrix >> (56 - 8 * i)) & v;
        p ^= p >> 4;
        p ^= p >> 2;
        p ^= p >> 1;
        r |= (uint8_t)((p & 1) << i);
    }
    return r ^ add;
}

void vx_gf2p8mulb(struct vx *x)
{
    for (unsigned i = 0; i < x->n; i++)
        x->d.b[i] = gf_mul(x->a.b[i], x->b.b[i]);
}

void vx_gf2p8affine(struct vx *x)
{
    for (unsigned i = 0; i < x->n; i++)
        x->d.b[i] = affine(x->b.q[i / 8], x->a.b[i], x->imm);
}

void vx_gf2p8affineinv(struct vx *x)
{
    for (unsigned i = 0; i < x->n; i++)
        x->d.b[i] = affine(x->b.q[i / 8], gf_inverse(x->a.b[i]), x->imm);
}

/* ---- dot products of bytes and words ---------------------------------------------------- */

static int64_t dot_bytes(const struct vx *x, unsigned i)
{
    int64_t s = 0;

    for (unsigned k = 4 * i; k < 4 * i + 4; k++)
        s += x->a.b[k] * (int8_t)x->b.b[k];
    return s;
}

static int64_t dot_words(const struct vx *x, unsigned i)
{
    return (int64_t)(int16_t)x->a.w[2 * i] * (int16_t)x->b.w[2 * i] +
           (int64_t)(int16_t)x->a.w[2 * i + 1] * (int16_t)x->b.w[2 * i + 1];
}

/* opcodes 50 bytes, 51 bytes saturating, 52 words, 53 words saturating */
void vx_vpdp(struct vx *x)
{
    for (unsigned i = 0; i < x->n / 4; i++) {
        int64_t s = (int32_t)x->c.d[i] + (x->v->opcode & 2 ? dot_words : dot_bytes)(x, i);
        if (x->v->opcode & 1)
            s = s > INT32_MAX ? INT32_MAX : s < INT32_MIN ? INT32_MIN : s;
        x->d.d[i] = (uint32_t)s;
    }
}
