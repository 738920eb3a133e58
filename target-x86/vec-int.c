/*
 * vec-int.c - packed integer operations: MMX, SSE2..SSE4.2, AVX, AVX2
 *
 * One function serves every vector length: operations that x86 confines to
 * 128-bit lanes work through x->n in lanes of at most 16 bytes. x->d may start
 * as a copy of x->a (enum vform), sources are never modified.
 */
#include "target-x86/vecx-int.h"

#define LANES(x, T) ((x)->n / (unsigned)sizeof(T))
/* bytes of an (at most 128-bit) lane */
#define LANE(x) MIN((x)->n, 16u)

static int32_t sat(int32_t v, int32_t lo, int32_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}
#define SAT_B(v) ((uint8_t)sat(v, -128, 127))
#define SAT_W(v) ((uint16_t)sat(v, -32768, 32767))
#define SAT_UB(v) ((uint8_t)sat(v, 0, 255))
#define SAT_UW(v) ((uint16_t)sat(v, 0, 65535))

/* ---- element by element ------------------------------------------------------- */

#define BIN(name, f, T, expr)                               \
    void vx_##name(struct vx *x)                            \
    {                                                       \
        for (unsigned i = 0; i < LANES(x, T); i++) {        \
            T A = (T)x->a.f[i], B = (T)x->b.f[i];           \
            (void)A;                                        \
            x->d.f[i] = (__typeof__(x->d.f[i]))(expr);      \
        }                                                   \
    }

BIN(pand, q, uint64_t, A & B)
BIN(pandn, q, uint64_t, ~A & B)
BIN(por, q, uint64_t, A | B)
BIN(pxor, q, uint64_t, A ^ B)
BIN(paddb, b, uint8_t, A + B)
BIN(paddw, w, uint16_t, A + B)
BIN(paddd, d, uint32_t, A + B)
BIN(paddq, q, uint64_t, A + B)
BIN(psubb, b, uint8_t, A - B)
BIN(psubw, w, uint16_t, A - B)
BIN(psubd, d, uint32_t, A - B)
BIN(psubq, q, uint64_t, A - B)
BIN(paddsb, b, int8_t, SAT_B(A + B))
BIN(paddsw, w, int16_t, SAT_W(A + B))
BIN(paddusb, b, uint8_t, SAT_UB(A + B))
BIN(paddusw, w, uint16_t, SAT_UW(A + B))
BIN(psubsb, b, int8_t, SAT_B(A - B))
BIN(psubsw, w, int16_t, SAT_W(A - B))
BIN(psubusb, b, uint8_t, SAT_UB(A - B))
BIN(psubusw, w, uint16_t, SAT_UW(A - B))
BIN(pcmpeqb, b, uint8_t, A == B ? -1 : 0)
BIN(pcmpeqw, w, uint16_t, A == B ? -1 : 0)
BIN(pcmpeqd, d, uint32_t, A == B ? -1 : 0)
BIN(pcmpeqq, q, uint64_t, A == B ? -1 : 0)
BIN(pcmpgtb, b, int8_t, A > B ? -1 : 0)
BIN(pcmpgtw, w, int16_t, A > B ? -1 : 0)
BIN(pcmpgtd, d, int32_t, A > B ? -1 : 0)
BIN(pcmpgtq, q, int64_t, A > B ? -1 : 0)
BIN(pminub, b, uint8_t, MIN(A, B))
BIN(pminsb, b, int8_t, MIN(A, B))
BIN(pminuw, w, uint16_t, MIN(A, B))
BIN(pminsw, w, int16_t, MIN(A, B))
BIN(pminud, d, uint32_t, MIN(A, B))
BIN(pminsd, d, int32_t, MIN(A, B))
BIN(pmaxub, b, uint8_t, MAX(A, B))
BIN(pmaxsb, b, int8_t, MAX(A, B))
BIN(pmaxuw, w, uint16_t, MAX(A, B))
BIN(pmaxsw, w, int16_t, MAX(A, B))
BIN(pmaxud, d, uint32_t, MAX(A, B))
BIN(pmaxsd, d, int32_t, MAX(A, B))
BIN(pavgb, b, uint8_t, (A + B + 1) >> 1)
BIN(pavgw, w, uint16_t, (A + B + 1) >> 1)
BIN(pmullw, w, uint16_t, (uint32_t)A * B)
BIN(pmulhw, w, int16_t, (int32_t)A * B >> 16)
BIN(pmulhuw, w, uint16_t, (uint32_t)A * B >> 16)
BIN(pmulhrsw, w, int16_t, (((int32_t)A * B >> 14) + 1) >> 1)
BIN(pmulld, d, uint32_t, A * B)
BIN(pmuludq, q, uint64_t, (uint64_t)(uint32_t)A * (uint32_t)B)
BIN(pmuldq, q, uint64_t, (int64_t)(int32_t)A * (int32_t)B)
BIN(psignb, b, int8_t, B < 0 ? -A : B ? A : 0)
BIN(psignw, w, int16_t, B < 0 ? -A : B ? A : 0)
BIN(psignd, d, int32_t, B < 0 ? 0u - (uint32_t)A : B ? (uint32_t)A : 0)
BIN(pabsb, b, int8_t, B < 0 ? -B : B)
BIN(pabsw, w, int16_t, B < 0 ? -B : B)
BIN(pabsd, d, int32_t, B < 0 ? 0u - (uint32_t)B : (uint32_t)B)
BIN(vpsravd, d, int32_t, A >> MIN((uint32_t)B, 31u))

static void srlv32(struct vx *x)
{
    for (unsigned i = 0; i < LANES(x, uint32_t); i++)
        x->d.d[i] = x->b.d[i] > 31 ? 0 : x->a.d[i] >> x->b.d[i];
}

static void srlv64(struct vx *x)
{
    for (unsigned i = 0; i < LANES(x, uint64_t); i++)
        x->d.q[i] = x->b.q[i] > 63 ? 0 : x->a.q[i] >> x->b.q[i];
}

static void sllv32(struct vx *x)
{
    for (unsigned i = 0; i < LANES(x, uint32_t); i++)
        x->d.d[i] = x->b.d[i] > 31 ? 0 : x->a.d[i] << x->b.d[i];
}

static void sllv64(struct vx *x)
{
    for (unsigned i = 0; i < LANES(x, uint64_t); i++)
        x->d.q[i] = x->b.q[i] > 63 ? 0 : x->a.q[i] << x->b.q[i];
}

void vx_vpsrlv(struct vx *x) { x->v->w ? srlv64(x) : srlv32(x); }
void vx_vpsllv(struct vx *x) { x->v->w ? sllv64(x) : sllv32(x); }

/* ---- shifts by one count ---------------------------------------------------------- */

enum shift { SH_SRL, SH_SRA, SH_SLL };

#define SHIFT(f, bits, S)                                               \
    static void shift_##f(struct vx *x, enum shift k, uint64_t n)       \
    {                                                                   \
        for (unsigned i = 0; i < x->n * 8 / bits; i++) {                \
            if (k == SH_SRA)                                            \
                x->d.f[i] = (__typeof__(x->d.f[0]))((S)x->a.f[i] >> MIN(n, bits - 1u)); \
            else if (n >= bits)                                         \
                x->d.f[i] = 0;                                          \
            else                                                        \
                x->d.f[i] = (__typeof__(x->d.f[0]))(k == SH_SRL ? x->a.f[i] >> n : x->a.f[i] << n); \
        }                                                               \
    }
SHIFT(w, 16, int16_t)
SHIFT(d, 32, int32_t)
SHIFT(q, 64, int64_t)

void vx_psrlw(struct vx *x) { shift_w(x, SH_SRL, x->b.q[0]); }
void vx_psrld(struct vx *x) { shift_d(x, SH_SRL, x->b.q[0]); }
void vx_psrlq(struct vx *x) { shift_q(x, SH_SRL, x->b.q[0]); }
void vx_psraw(struct vx *x) { shift_w(x, SH_SRA, x->b.q[0]); }
void vx_psrad(struct vx *x) { shift_d(x, SH_SRA, x->b.q[0]); }
void vx_psllw(struct vx *x) { shift_w(x, SH_SLL, x->b.q[0]); }
void vx_pslld(struct vx *x) { shift_d(x, SH_SLL, x->b.q[0]); }
void vx_psllq(struct vx *x) { shift_q(x, SH_SLL, x->b.q[0]); }

/* the digit of the group: 2 SRL, 4 SRA, 6 SLL */
static enum shift group_shift(const struct vx *x)
{
    unsigned digit = x->v->reg & 7;
    return digit == 2 ? SH_SRL : digit == 4 ? SH_SRA : SH_SLL;
}

void vx_shiftw_imm(struct vx *x) { shift_w(x, group_shift(x), x->imm); }
void vx_shiftd_imm(struct vx *x) { shift_d(x, group_shift(x), x->imm); }

/* digits 3 and 7 shift 128-bit lanes by bytes */
void vx_shiftq_imm(struct vx *x)
{
    unsigned digit = x->v->reg & 7, n = MIN(x->imm, 16u);

    if (!(digit & 1)) {
        shift_q(x, group_shift(x), x->imm);
        return;
    }
    for (unsigned i = 0; i < x->n / 16; i++) {
        u128 v = x->a.x[i];
        x->d.x[i] = n == 16 ? 0 : digit == 3 ? v >> (8 * n) : v << (8 * n);
    }
}

/* ---- interleave, pack -------------------------------------------------------------- */

#define UNPACK(name, f, T, hi)                                          \
    void vx_##name(struct vx *x)                                        \
    {                                                                   \
        unsigned per = LANE(x) / (unsigned)sizeof(T);                   \
        for (unsigned l = 0; l < LANES(x, T); l += per)                 \
            for (unsigned i = 0; i < per / 2; i++) {                    \
                x->d.f[l + 2 * i] = x->a.f[l + i + (hi ? per / 2 : 0)]; \
                x->d.f[l + 2 * i + 1] = x->b.f[l + i + (hi ? per / 2 : 0)]; \
            }                                                           \
    }
UNPACK(punpcklbw, b, uint8_t, 0)
UNPACK(punpcklwd, w, uint16_t, 0)
UNPACK(punpckldq, d, uint32_t, 0)
UNPACK(punpcklqdq, q, uint64_t, 0)
UNPACK(punpckhbw, b, uint8_t, 1)
UNPACK(punpckhwd, w, uint16_t, 1)
UNPACK(punpckhdq, d, uint32_t, 1)
UNPACK(punpckhqdq, q, uint64_t, 1)

#define PACK(name, from, S, to, conv)                                   \
    void vx_##name(struct vx *x)                                        \
    {                                                                   \
        unsigned per = LANE(x) / (unsigned)sizeof(S);                   \
        for (unsigned l = 0; l < LANES(x, S); l += per)                 \
            for (unsigned i = 0; i < per; i++) {                        \
                x->d.to[2 * l + i] = conv((S)x->a.from[l + i]);         \
                x->d.to[2 * l + per + i] = conv((S)x->b.from[l + i]);   \
            }                                                           \
    }
PACK(packsswb, w, int16_t, b, SAT_B)
PACK(packuswb, w, int16_t, b, SAT_UB)
PACK(packssdw, d, int32_t, w, SAT_W)
PACK(packusdw, d, int32_t, w, SAT_UW)

/* ---- horizontal ---------------------------------------------------------------------- */

#define HORIZ(name, f, T, expr)                                         \
    void vx_##name(struct vx *x)                                        \
    {                                                                   \
        unsigned per = LANE(x) / (unsigned)sizeof(T);                   \
        for (unsigned l = 0; l < LANES(x, T); l += per)                 \
            for (unsigned i = 0; i < per; i++) {                        \
                const union vreg *s = i < per / 2 ? &x->a : &x->b;      \
                unsigned k = l + 2 * (i % (per / 2));                   \
                T A = (T)s->f[k], B = (T)s->f[k + 1];                   \
                x->d.f[l + i] = (__typeof__(x->d.f[0]))(expr);          \
            }                                                           \
    }
HORIZ(phaddw, w, uint16_t, A + B)
HORIZ(phaddd, d, uint32_t, A + B)
HORIZ(phaddsw, w, int16_t, SAT_W(A + B))
HORIZ(phsubw, w, uint16_t, A - B)
HORIZ(phsubd, d, uint32_t, A - B)
HORIZ(phsubsw, w, int16_t, SAT_W(A - B))

void vx_pmaddwd(struct vx *x)
{
    for (unsigned i = 0; i < LANES(x, uint32_t); i++)
        x->d.d[i] = (uint32_t)((int16_t)x->a.w[2 * i] * (int16_t)x->b.w[2 * i]) +
                    (uint32_t)((int16_t)x->a.w[2 * i + 1] * (int16_t)x->b.w[2 * i + 1]);
}

void vx_pmaddubsw(struct vx *x)
{
    for (unsigned i = 0; i < LANES(x, uint16_t); i++)
        x->d.w[i] = SAT_W(x->a.b[2 * i] * (int8_t)x->b.b[2 * i] +
                          x->a.b[2 * i + 1] * (int8_t)x->b.b[2 * i + 1]);
}

static unsigned sad(const uint8_t *a, const uint8_t *b, unsigned n)
{
    unsigned s = 0;

    for (unsigned i = 0; i < n; i++)
        s += (unsigned)(a[i] > b[i] ? a[i] - b[i] : b[i] - a[i]);
    return s;
}

void vx_psadbw(struct vx *x)
{
    for (unsigned i = 0; i < LANES(x, uint64_t); i++)
        x->d.q[i] = sad(x->a.b + 8 * i, x->b.b + 8 * i, 8);
}

void vx_mpsadbw(struct vx *x)
{
    for (unsigned l = 0; l < x->n / 16; l++) {
        unsigned im = x->imm >> (3 * l);
        const uint8_t *a = x->a.b + 16 * l + (im & 4), *b = x->b.b + 16 * l + (im & 3) * 4;
        for (unsigned i = 0; i < 8; i++)
            x->d.w[8 * l + i] = (uint16_t)sad(a + i, b, 4);
    }
}

void vx_phminposuw(struct vx *x)
{
    unsigned best = 0;

    for (unsigned i = 1; i < 8; i++)
        if (x->b.w[i] < x->b.w[best])
            best = i;
    x->d.q[0] = x->b.w[best] | (uint64_t)best << 16;
}

/* ---- shuffles within lanes -------------------------------------------------------------- */

void vx_pshufb(struct vx *x)
{
    for (unsigned i = 0; i < x->n; i++) {
        uint8_t c = x->b.b[i];
        unsigned lane = LANE(x);
        x->d.b[i] = c & 0x80 ? 0 : x->a.b[(i & ~(lane - 1)) + (c & (lane - 1))];
    }
}

void vx_pshufd(struct vx *x)
{
    for (unsigned i = 0; i < LANES(x, uint32_t); i++)
        x->d.d[i] = x->b.d[(i & ~3u) + ((x->imm >> (2 * (i & 3))) & 3)];
}

/* words @from..@from+3 of each lane by imm, the others copied */
static void shufw(struct vx *x, unsigned from)
{
    x->d = x->b;
    for (unsigned l = 0; l < LANES(x, uint16_t); l += 8)
        for (unsigned i = 0; i < 4; i++)
            x->d.w[l + from + i] = x->b.w[l + from + ((x->imm >> (2 * i)) & 3)];
}

void vx_pshufw(struct vx *x) { shufw(x, 0); }
void vx_pshuflw(struct vx *x) { shufw(x, 0); }
void vx_pshufhw(struct vx *x) { shufw(x, 4); }

void vx_shufp(struct vx *x)
{
    if (x->v->pp == 1) {
        for (unsigned i = 0; i < LANES(x, uint64_t); i++) {
            const union vreg *s = i & 1 ? &x->b : &x->a;
            x->d.q[i] = s->q[(i & ~1u) + ((x->imm >> i) & 1)];
        }
        return;
    }
    for (unsigned i = 0; i < LANES(x, uint32_t); i++) {
        const union vreg *s = i & 2 ? &x->b : &x->a;
        x->d.d[i] = s->d[(i & ~3u) + ((x->imm >> (2 * (i & 3))) & 3)];
    }
}

void vx_palignr(struct vx *x)
{
    unsigned lane = LANE(x);

    for (unsigned i = 0; i < x->n; i++) {
        unsigned base = i & ~(lane - 1), k = (i & (lane - 1)) + x->imm;
        x->d.b[i] = k < lane ? x->b.b[base + k] : k < 2 * lane ? x->a.b[base + k - lane] : 0;
    }
}

void vx_vpermilps(struct vx *x)
{
    for (unsigned i = 0; i < LANES(x, uint32_t); i++)
        x->d.d[i] = x->a.d[(i & ~3u) + (x->b.d[i] & 3)];
}

void vx_vpermilpd(struct vx *x)
{
    for (unsigned i = 0; i < LANES(x, uint64_t); i++)
        x->d.q[i] = x->a.q[(i & ~1u) + ((x->b.q[i] >> 1) & 1)];
}

void vx_vpermilps_imm(struct vx *x) { vx_pshufd(x); }

void vx_vpermilpd_imm(struct vx *x)
{
    for (unsigned i = 0; i < LANES(x, uint64_t); i++)
        x->d.q[i] = x->b.q[(i & ~1u) + ((x->imm >> i) & 1)];
}

/* ---- across lanes ------------------------------------------------------------------------- */

void vx_vpermd(struct vx *x)
{
    for (unsigned i = 0; i < 8; i++)
        x->d.d[i] = x->b.d[x->a.d[i] & 7];
}

void vx_vpermq(struct vx *x)
{
    for (unsigned i = 0; i < 4; i++)
        x->d.q[i] = x->b.q[(x->imm >> (2 * i)) & 3];
}

void vx_vperm2x128(struct vx *x)
{
    for (unsigned i = 0; i < 2; i++) {
        unsigned c = x->imm >> (4 * i);
        x->d.x[i] = c & 8 ? 0 : (c & 2 ? &x->b : &x->a)->x[c & 1];
    }
}

void vx_vinsert128(struct vx *x) { x->d.x[x->imm & 1] = x->b.x[0]; }
void vx_vextract128(struct vx *x)
{
    x->d.x[0] = x->a.x[x->imm & 1];
    x->d.x[1] = 0;
}

#define BCAST(name, f, T)                                \
    void vx_##name(struct vx *x)                         \
    {                                                    \
        for (unsigned i = 0; i < LANES(x, T); i++)       \
            x->d.f[i] = x->b.f[0];                       \
    }
BCAST(bcast1, b, uint8_t)
BCAST(bcast2, w, uint16_t)
BCAST(bcast4, d, uint32_t)
BCAST(bcast8, q, uint64_t)
BCAST(bcast16, x, u128)

#define EXTEND(name, from, S, to, T)                                \
    void vx_##name(struct vx *x)                                    \
    {                                                               \
        for (unsigned i = 0; i < LANES(x, T); i++)                  \
            x->d.to[i] = (T)(S)x->b.from[i];                        \
    }
EXTEND(pmovsxbw, b, int8_t, w, uint16_t)
EXTEND(pmovsxbd, b, int8_t, d, uint32_t)
EXTEND(pmovsxbq, b, int8_t, q, uint64_t)
EXTEND(pmovsxwd, w, int16_t, d, uint32_t)
EXTEND(pmovsxwq, w, int16_t, q, uint64_t)
EXTEND(pmovsxdq, d, int32_t, q, uint64_t)
EXTEND(pmovzxbw, b, uint8_t, w, uint16_t)
EXTEND(pmovzxbd, b, uint8_t, d, uint32_t)
EXTEND(pmovzxbq, b, uint8_t, q, uint64_t)
EXTEND(pmovzxwd, w, uint16_t, d, uint32_t)
EXTEND(pmovzxwq, w, uint16_t, q, uint64_t)
EXTEND(pmovzxdq, d, uint32_t, q, uint64_t)

/* ---- blends ---------------------------------------------------------------------------------- */

/* the mask register: XMM0, or imm8[7:4] in VEX encodings */
static union vreg blend_mask(struct vx *x)
{
    unsigned r = x->vex ? x->imm >> 4 : 0;
    union vreg m;

    memcpy(m.b, x->cpu->fx.xmm[r], 16);
    memcpy(m.b + 16, x->cpu->ymmh[r], 16);
    return m;
}

#define BLENDV(name, f, T)                                          \
    void vx_##name(struct vx *x)                                    \
    {                                                               \
        union vreg m = blend_mask(x);                               \
        for (unsigned i = 0; i < LANES(x, T); i++)                  \
            x->d.f[i] = m.f[i] >> (8 * sizeof(T) - 1) ? x->b.f[i] : x->a.f[i]; \
    }
BLENDV(pblendvb, b, uint8_t)
BLENDV(blendvps, d, uint32_t)
BLENDV(blendvpd, q, uint64_t)

#define BLEND(name, f, T)                                           \
    void vx_##name(struct vx *x)                                    \
    {                                                               \
        for (unsigned i = 0; i < LANES(x, T); i++)                  \
            x->d.f[i] = (x->imm >> (i & 7)) & 1 ? x->b.f[i] : x->a.f[i]; \
    }
BLEND(pblendw, w, uint16_t)
BLEND(blendps, d, uint32_t)
BLEND(blendpd, q, uint64_t)

/* ---- moves -------------------------------------------------------------------------------------- */

static void copy(struct vx *x, const union vreg *s)
{
    memset(&x->d, 0, sizeof(x->d));
    memcpy(&x->d, s, x->n);
}

void vx_mov(struct vx *x) { copy(x, &x->b); }
void vx_st(struct vx *x) { copy(x, &x->a); }

/* from memory the rest of the register is cleared */
void vx_movss(struct vx *x)
{
    if (x->v->rm_kind == VRM_MEM)
        memset(&x->d, 0, sizeof(x->d));
    x->d.d[0] = x->b.d[0];
}

void vx_movsd(struct vx *x)
{
    if (x->v->rm_kind == VRM_MEM)
        memset(&x->d, 0, sizeof(x->d));
    x->d.q[0] = x->b.q[0];
}

void vx_movss_st(struct vx *x) { x->d.d[0] = x->a.d[0]; }
void vx_movsd_st(struct vx *x) { x->d.q[0] = x->a.q[0]; }

/* MOVLPS/PD from memory; MOVHLPS from a register */
void vx_movlp(struct vx *x)
{
    x->d.q[0] = x->b.q[x->v->rm_kind == VRM_MEM ? 0 : 1];
}
void vx_movhp(struct vx *x) { x->d.q[1] = x->b.q[0]; }
void vx_movlp_st(struct vx *x) { x->d.q[0] = x->a.q[0]; }
void vx_movhp_st(struct vx *x) { x->d.q[0] = x->a.q[1]; }

void vx_movq(struct vx *x) { x->d.q[0] = x->b.q[0]; }
void vx_movq_st(struct vx *x)
{
    memset(&x->d, 0, sizeof(x->d));
    x->d.q[0] = x->a.q[0];
}

void vx_movd(struct vx *x) { x->d.q[0] = x->v->w ? x->b.q[0] : x->b.d[0]; }
void vx_movd_st(struct vx *x) { x->d.q[0] = x->v->w ? x->a.q[0] : x->a.d[0]; }

void vx_movsldup(struct vx *x)
{
    for (unsigned i = 0; i < LANES(x, uint32_t); i++)
        x->d.d[i] = x->b.d[i & ~1u];
}

void vx_movshdup(struct vx *x)
{
    for (unsigned i = 0; i < LANES(x, uint32_t); i++)
        x->d.d[i] = x->b.d[i | 1];
}

void vx_movddup(struct vx *x)
{
    for (unsigned i = 0; i < LANES(x, uint64_t); i++)
        x->d.q[i] = x->b.q[i & ~1u];
}

void vx_movmskp(struct vx *x)
{
    if (x->v->pp == 1)
        for (unsigned i = 0; i < LANES(x, uint64_t); i++)
            x->gout |= (x->b.q[i] >> 63) << i;
    else
        for (unsigned i = 0; i < LANES(x, uint32_t); i++)
            x->gout |= (uint64_t)(x->b.d[i] >> 31) << i;
}

void vx_pmovmskb(struct vx *x)
{
    for (unsigned i = 0; i < x->n; i++)
        x->gout |= (uint64_t)(x->b.b[i] >> 7) << i;
}

void vx_pinsrb(struct vx *x) { x->d.b[x->imm & 15] = x->b.b[0]; }
void vx_pinsrw(struct vx *x) { x->d.w[x->imm & (x->n == 8 ? 3 : 7)] = x->b.w[0]; }
void vx_pinsrd(struct vx *x)
{
    if (x->v->w)
        x->d.q[x->imm & 1] = x->b.q[0];
    else
        x->d.d[x->imm & 3] = x->b.d[0];
}

void vx_pextrw(struct vx *x) { x->gout = x->b.w[x->imm & (x->n == 8 ? 3 : 7)]; }
void vx_pextrb(struct vx *x) { x->d.q[0] = x->a.b[x->imm & 15]; }
void vx_pextrw_st(struct vx *x) { x->d.q[0] = x->a.w[x->imm & 7]; }
void vx_pextrd(struct vx *x)
{
    x->d.q[0] = x->v->w ? x->a.q[x->imm & 1] : x->a.d[x->imm & 3];
}
void vx_extractps(struct vx *x) { x->d.q[0] = x->a.d[x->imm & 3]; }

void vx_insertps(struct vx *x)
{
    unsigned from = x->v->rm_kind == VRM_MEM ? 0 : x->imm >> 6;

    x->d.d[(x->imm >> 4) & 3] = x->b.d[from];
    for (unsigned i = 0; i < 4; i++)
        if ((x->imm >> i) & 1)
            x->d.d[i] = 0;
}

/* ---- tests -------------------------------------------------------------------------------------- */

/* ZF: no bit of (b & a & mask) is set; CF: none of (b & ~a & mask) */
static void test_bits(struct vx *x, uint64_t mask)
{
    uint64_t and = 0, andn = 0;

    for (unsigned i = 0; i < LANES(x, uint64_t); i++) {
        and |= x->b.q[i] & x->a.q[i] & mask;
        andn |= x->b.q[i] & ~x->a.q[i] & mask;
    }
    x->set_fl = true;
    x->fl = (and ? 0 : TCG_FL_Z) | (andn ? 0 : TCG_FL_C);
}

void vx_ptest(struct vx *x) { test_bits(x, ~0ull); }
void vx_vtestps(struct vx *x) { test_bits(x, 0x8000000080000000ull); }
void vx_vtestpd(struct vx *x) { test_bits(x, 1ull << 63); }
