/*
 * vec_exec.c - x86_vec_exec() against the host CPU, and known answers
 *
 * On an x86-64 host every row of vec-ops.def runs in each of its encodings on
 * random and special operands and must agree with silicon in every bit of the
 * vector registers, memory, general register, flags and MXCSR. Other hosts
 * check the known answers at the end.
 */
#include "target-x86/vecx-int.h"
#include "tests/target-x86/vec-native.h"
#include "tests/target-x86/vec-random.h"
#include <criterion/criterion.h>

/* table rows leave trailing fields 0 */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

enum {
    L = 1, V = 2, Y = 4,          /* encodings: legacy, VEX.128, VEX.256 */
    W1 = 8, WX = 16,              /* W = 1 too; W = 1 only */
    IMM = 32,
    RMG = 64, RGG = 128,          /* rm, reg is a general register */
    MX = 256, RMX = 512, REGMX = 1024, /* MMX: both, rm only, reg only */
    NOMEM = 2048, NOREG = 4096,
    STO = 8192,                   /* writes rm */
    NDS = 1 << 14,                /* VEX.vvvv names an operand */
    FLG = 1 << 15,                /* writes F */
    APPROX = 1 << 16,             /* other vendors' hosts: compared within 1.5 * 2^-12 */
    IS4 = 1 << 17, RCX = 1 << 18,
    DIG = 1 << 19,                /* reg is an opcode digit: row.digit */
    ANYNAN = 1 << 20,             /* which of several NaNs survives is vendor specific */
    LV = L | V, LVY = L | V | Y, VY = V | Y,
    BIN = LVY | NDS, BINM = LVY | NDS | MX, SCA = LV | NDS,
};

struct row {
    uint8_t map, pp, op;
    uint32_t f;
    uint8_t digit, mem;           /* mem: bytes of a store, 0: the vector */
};

static const struct row rows[] = {
    /* moves */
    { 1, 0, 0x10, LVY }, { 1, 1, 0x10, LVY }, { 1, 0, 0x11, LVY | STO }, { 1, 1, 0x11, LVY | STO },
    { 1, 2, 0x10, SCA | NOMEM }, { 1, 2, 0x10, LV | NOREG }, { 1, 3, 0x10, SCA | NOMEM }, { 1, 3, 0x10, LV | NOREG },
    { 1, 2, 0x11, SCA | NOMEM | STO }, { 1, 2, 0x11, LV | NOREG | STO, 0, 4 },
    { 1, 3, 0x11, SCA | NOMEM | STO }, { 1, 3, 0x11, LV | NOREG | STO, 0, 8 },
    { 1, 0, 0x12, SCA }, { 1, 1, 0x12, SCA | NOREG }, { 1, 2, 0x12, LVY }, { 1, 3, 0x12, LVY },
    { 1, 0, 0x13, LV | NOREG | STO, 0, 8 }, { 1, 1, 0x13, LV | NOREG | STO, 0, 8 },
    { 1, 0, 0x14, BIN }, { 1, 1, 0x14, BIN }, { 1, 0, 0x15, BIN }, { 1, 1, 0x15, BIN },
    { 1, 0, 0x16, SCA }, { 1, 1, 0x16, SCA | NOREG }, { 1, 2, 0x16, LVY },
    { 1, 0, 0x17, LV | NOREG | STO, 0, 8 }, { 1, 1, 0x17, LV | NOREG | STO, 0, 8 },
    { 1, 0, 0x28, LVY }, { 1, 1, 0x28, LVY }, { 1, 0, 0x29, LVY | STO }, { 1, 1, 0x29, LVY | STO },
    { 1, 0, 0x2B, LVY | STO | NOREG }, { 1, 1, 0x2B, LVY | STO | NOREG },
    { 1, 0, 0x50, LVY | RGG | NOMEM }, { 1, 1, 0x50, LVY | RGG | NOMEM },
    { 1, 1, 0x6E, LV | W1 | RMG }, { 1, 0, 0x6E, L | W1 | RMG | REGMX },
    { 1, 1, 0x7E, LV | RMG | STO, 0, 4 }, { 1, 1, 0x7E, LV | WX | RMG | STO, 0, 8 },
    { 1, 0, 0x7E, L | RMG | STO | REGMX, 0, 4 }, { 1, 0, 0x7E, L | WX | RMG | STO | REGMX, 0, 8 },
    { 1, 2, 0x7E, LV }, { 1, 1, 0x6F, LVY }, { 1, 2, 0x6F, LVY }, { 1, 0, 0x6F, L | MX },
    { 1, 1, 0x7F, LVY | STO }, { 1, 2, 0x7F, LVY | STO }, { 1, 0, 0x7F, L | MX | STO, 0, 8 },
    { 1, 1, 0xD6, LV | STO, 0, 8 }, { 1, 2, 0xD6, L | RMX | NOMEM }, { 1, 3, 0xD6, L | REGMX | NOMEM },
    { 1, 1, 0xD7, LVY | RGG | NOMEM }, { 1, 0, 0xD7, L | RGG | RMX | NOMEM },
    { 1, 1, 0xE7, LVY | STO | NOREG }, { 1, 0, 0xE7, L | MX | STO | NOREG, 0, 8 },
    { 1, 3, 0xF0, LVY | NOREG }, { 2, 1, 0x2A, LVY | NOREG },
    { 1, 1, 0xC4, SCA | RMG | IMM }, { 1, 0, 0xC4, L | RMG | REGMX | IMM },
    { 1, 1, 0xC5, LV | RGG | IMM | NOMEM }, { 1, 0, 0xC5, L | RGG | RMX | IMM | NOMEM },
    { 1, 0, 0x77, L | VY },
    { 1, 0, 0xAE, L | V | NOREG | DIG | STO, 3, 4 }, { 1, 0, 0xAE, L | V | NOREG | DIG, 2 },
    /* SSE2 */
#define R(op) { 1, 1, op, BIN }, { 1, 0, op, L | MX },
    R(0x60) R(0x61) R(0x62) R(0x63) R(0x64) R(0x65) R(0x66) R(0x67) R(0x68) R(0x69) R(0x6A) R(0x6B)
    { 1, 1, 0x6C, BIN }, { 1, 1, 0x6D, BIN },
    { 1, 1, 0x70, LVY | IMM }, { 1, 2, 0x70, LVY | IMM }, { 1, 3, 0x70, LVY | IMM }, { 1, 0, 0x70, L | MX | IMM },
#define G(op, d) { 1, 1, op, LVY | NDS | IMM | NOMEM | DIG, d }, { 1, 0, op, L | MX | IMM | NOMEM | DIG, d },
    G(0x71, 2) G(0x71, 4) G(0x71, 6) G(0x72, 2) G(0x72, 4) G(0x72, 6) G(0x73, 2) G(0x73, 6)
    { 1, 1, 0x73, LVY | NDS | IMM | NOMEM | DIG, 3 }, { 1, 1, 0x73, LVY | NDS | IMM | NOMEM | DIG, 7 },
    R(0x74) R(0x75) R(0x76)
    R(0xD1) R(0xD2) R(0xD3) R(0xD4) R(0xD5) R(0xD8) R(0xD9) R(0xDA) R(0xDB) R(0xDC) R(0xDD) R(0xDE) R(0xDF)
    R(0xE0) R(0xE1) R(0xE2) R(0xE3) R(0xE4) R(0xE5) R(0xE8) R(0xE9) R(0xEA) R(0xEB) R(0xEC) R(0xED) R(0xEE) R(0xEF)
    R(0xF1) R(0xF2) R(0xF3) R(0xF4) R(0xF5) R(0xF6) R(0xF8) R(0xF9) R(0xFA) R(0xFB) R(0xFC) R(0xFD) R(0xFE)
    /* SSSE3, SSE4, AVX2 */
#define S(op) { 2, 1, op, BIN }, { 2, 0, op, L | MX },
    S(0) S(1) S(2) S(3) S(4) S(5) S(6) S(7) S(8) S(9) S(10) S(11)
    { 2, 1, 0x1C, LVY }, { 2, 0, 0x1C, L | MX }, { 2, 1, 0x1D, LVY }, { 2, 0, 0x1D, L | MX },
    { 2, 1, 0x1E, LVY }, { 2, 0, 0x1E, L | MX },
    { 2, 1, 0x10, L }, { 2, 1, 0x14, L }, { 2, 1, 0x15, L },
    { 2, 1, 0x0C, VY | NDS }, { 2, 1, 0x0D, VY | NDS }, { 2, 1, 0x0E, VY | FLG }, { 2, 1, 0x0F, VY | FLG },
    { 2, 1, 0x17, LVY | FLG }, { 2, 1, 0x16, Y | NDS }, { 2, 1, 0x36, Y | NDS },
    { 2, 1, 0x18, VY }, { 2, 1, 0x19, Y }, { 2, 1, 0x1A, Y | NOREG }, { 2, 1, 0x58, VY }, { 2, 1, 0x59, VY },
    { 2, 1, 0x5A, Y | NOREG }, { 2, 1, 0x78, VY }, { 2, 1, 0x79, VY },
#define U(op) { 2, 1, op, LVY },
    U(0x20) U(0x21) U(0x22) U(0x23) U(0x24) U(0x25) U(0x30) U(0x31) U(0x32) U(0x33) U(0x34) U(0x35)
#define T(op) { 2, 1, op, BIN },
    T(0x28) T(0x29) T(0x2B) T(0x37) T(0x38) T(0x39) T(0x3A) T(0x3B) T(0x3C) T(0x3D) T(0x3E) T(0x3F) T(0x40)
    { 2, 1, 0x41, LV }, { 2, 1, 0x45, VY | NDS | W1 }, { 2, 1, 0x46, VY | NDS }, { 2, 1, 0x47, VY | NDS | W1 },
    { 3, 1, 0x00, Y | WX | IMM }, { 3, 1, 0x01, Y | WX | IMM }, { 3, 1, 0x02, VY | NDS | IMM },
    { 3, 1, 0x04, VY | IMM }, { 3, 1, 0x05, VY | IMM }, { 3, 1, 0x06, Y | NDS | IMM }, { 3, 1, 0x46, Y | NDS | IMM },
    { 3, 1, 0x0C, BIN | IMM }, { 3, 1, 0x0D, BIN | IMM }, { 3, 1, 0x0E, BIN | IMM },
    { 3, 1, 0x0F, BIN | IMM }, { 3, 0, 0x0F, L | MX | IMM },
    { 3, 1, 0x14, LV | IMM | RMG | STO, 0, 1 }, { 3, 1, 0x15, LV | IMM | RMG | STO, 0, 2 },
    { 3, 1, 0x16, LV | IMM | RMG | STO, 0, 4 }, { 3, 1, 0x16, LV | WX | IMM | RMG | STO, 0, 8 },
    { 3, 1, 0x17, LV | IMM | RMG | STO, 0, 4 },
    { 3, 1, 0x18, Y | NDS | IMM }, { 3, 1, 0x38, Y | NDS | IMM },
    { 3, 1, 0x19, Y | IMM | STO, 0, 16 }, { 3, 1, 0x39, Y | IMM | STO, 0, 16 },
    { 3, 1, 0x20, SCA | RMG | IMM }, { 3, 1, 0x21, SCA | IMM }, { 3, 1, 0x22, SCA | RMG | W1 | IMM },
    { 3, 1, 0x42, BIN | IMM },
    { 3, 1, 0x4A, VY | NDS | IS4 }, { 3, 1, 0x4B, VY | NDS | IS4 }, { 3, 1, 0x4C, VY | NDS | IS4 },
    { 3, 1, 0x60, LV | IMM | FLG }, { 3, 1, 0x61, LV | IMM | FLG | RCX },
    { 3, 1, 0x62, LV | IMM | FLG }, { 3, 1, 0x63, LV | IMM | FLG | RCX }, { 3, 1, 0x61, L | WX | IMM | FLG | RCX },
    /* floating point */
    { 1, 0, 0x54, BIN }, { 1, 1, 0x55, BIN }, { 1, 0, 0x56, BIN }, { 1, 1, 0x57, BIN },
#define F4(op, x) { 1, 0, op, BIN | x }, { 1, 1, op, BIN | x }, { 1, 2, op, SCA | x }, { 1, 3, op, SCA | x },
    { 1, 0, 0x51, LVY }, { 1, 1, 0x51, LVY }, { 1, 2, 0x51, SCA }, { 1, 3, 0x51, SCA },
    F4(0x58, 0) F4(0x59, 0) F4(0x5C, 0) F4(0x5D, 0) F4(0x5E, 0) F4(0x5F, 0) F4(0xC2, IMM)
    { 1, 0, 0x52, LVY | APPROX }, { 1, 2, 0x52, SCA | APPROX }, { 1, 0, 0x53, LVY | APPROX }, { 1, 2, 0x53, SCA | APPROX },
    { 1, 0, 0x2E, LV | FLG }, { 1, 1, 0x2E, LV | FLG }, { 1, 0, 0x2F, LV | FLG }, { 1, 1, 0x2F, LV | FLG },
    { 1, 0, 0xC6, BIN | IMM }, { 1, 1, 0xC6, BIN | IMM },
    { 1, 1, 0x7C, BIN }, { 1, 3, 0x7C, BIN }, { 1, 1, 0x7D, BIN }, { 1, 3, 0x7D, BIN }, { 1, 1, 0xD0, BIN }, { 1, 3, 0xD0, BIN },
    { 1, 0, 0x2A, L | RMX | NOMEM }, { 1, 1, 0x2A, L | RMX | NOMEM }, { 1, 1, 0x2A, L | NOREG },
    { 1, 2, 0x2A, SCA | RMG | W1 }, { 1, 3, 0x2A, SCA | RMG | W1 },
    { 1, 0, 0x2C, L | REGMX }, { 1, 1, 0x2C, L | REGMX }, { 1, 0, 0x2D, L | REGMX }, { 1, 1, 0x2D, L | REGMX },
    { 1, 2, 0x2C, LV | RGG | W1 }, { 1, 3, 0x2C, LV | RGG | W1 }, { 1, 2, 0x2D, LV | RGG | W1 }, { 1, 3, 0x2D, LV | RGG | W1 },
    { 1, 0, 0x5A, LVY }, { 1, 1, 0x5A, LVY }, { 1, 2, 0x5A, SCA }, { 1, 3, 0x5A, SCA },
    { 1, 0, 0x5B, LVY }, { 1, 1, 0x5B, LVY }, { 1, 2, 0x5B, LVY },
    { 1, 1, 0xE6, LVY }, { 1, 2, 0xE6, LVY }, { 1, 3, 0xE6, LVY },
    { 2, 1, 0x13, VY }, { 3, 1, 0x1D, V | IMM | STO, 0, 8 }, { 3, 1, 0x1D, Y | IMM | STO, 0, 16 },
    { 3, 1, 0x08, LVY | IMM }, { 3, 1, 0x09, LVY | IMM }, { 3, 1, 0x0A, SCA | IMM }, { 3, 1, 0x0B, SCA | IMM },
    { 3, 1, 0x40, BIN | IMM | ANYNAN }, { 3, 1, 0x41, SCA | IMM | ANYNAN },
#define FP(h, o) { 2, 1, h + o, VY | NDS | W1 },
#define FS(h, o) { 2, 1, h + o, V | NDS | W1 },
#define FH(h) FP(h, 6) FP(h, 7) FP(h, 8) FS(h, 9) FP(h, 10) FS(h, 11) FP(h, 12) FS(h, 13) FP(h, 14) FS(h, 15)
    FH(0x90) FH(0xA0) FH(0xB0)
    /* cryptography */
    { 2, 1, 0xDB, LV }, { 2, 1, 0xDC, BIN }, { 2, 1, 0xDD, BIN }, { 2, 1, 0xDE, BIN }, { 2, 1, 0xDF, BIN },
    { 3, 1, 0xDF, LV | IMM }, { 3, 1, 0x44, BIN | IMM },
    { 2, 1, 0xCF, BIN }, { 3, 1, 0xCE, L | IMM }, { 3, 1, 0xCE, VY | NDS | WX | IMM },
    { 3, 1, 0xCF, L | IMM }, { 3, 1, 0xCF, VY | NDS | WX | IMM },
    { 2, 1, 0x50, VY | NDS }, { 2, 1, 0x51, VY | NDS }, { 2, 1, 0x52, VY | NDS }, { 2, 1, 0x53, VY | NDS },
    { 2, 0, 0xC8, L }, { 2, 0, 0xC9, L }, { 2, 0, 0xCA, L }, { 2, 0, 0xCB, L }, { 2, 0, 0xCC, L }, { 2, 0, 0xCD, L },
    { 3, 0, 0xCC, L | IMM },
};

/* every operation of vec-ops.def has a row above */
Test(vec_exec, table_is_complete)
{
    static const struct row ops[] = {
#define VOP(m, p, o, form, name) { m, p, o, VF_##form },
#include "target-x86/vec-ops.def"
#undef VOP
    };
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        bool found = ops[i].f == VF_K ||       /* evex_exec.c */
                     (ops[i].map == 1 && ops[i].op >= 0x54 && ops[i].op <= 0x57); /* bitwise, shared */
        for (size_t k = 0; k < ARRAY_SIZE(rows) && !found; k++)
            found = rows[k].map == ops[i].map && rows[k].pp == ops[i].pp && rows[k].op == ops[i].op;
        cr_assert(found, "no test row for map %u pp %u opcode %02x", ops[i].map, ops[i].pp, ops[i].op);
    }
}

#ifdef __x86_64__

static void random_state(struct native *s, uint8_t *mem, unsigned trial)
{
    memset(s, 0, sizeof(*s));
    s->fx.fcw = 0x37f;
    s->fx.fsw = (uint16_t)((rnd() & 7) << 11);
    s->fx.ftw = (uint8_t)rnd();
    s->fx.mxcsr = 0x1f80;
    if (trial % 2)
        s->fx.mxcsr = 0x1f80 | (uint32_t)(rnd() & 0xe040);
    if (trial % 5 == 4 && host_is_intel())     /* some exceptions unmasked, some flags set */
        s->fx.mxcsr = (uint32_t)rnd() & (rnd() & 1 ? 0xffc0 : 0xffff);
    for (unsigned i = 0; i < 8; i++)
        for (unsigned k = 0; k < 10; k++)
            s->fx.st[i][k] = (uint8_t)rnd();
    unsigned kind = trial % 7;
    for (unsigned i = 0; i < 16; i++)
        for (unsigned k = 0; k < 4; k++)
            stl64(s->ymm[i] + 8 * k, operand(rnd() % 4 ? kind : (unsigned)(rnd() % 7)));
    for (unsigned k = 0; k < 8; k++)
        stl64(mem + 8 * k, operand(kind));
    for (unsigned i = 0; i < 16; i++)
        if (rnd() % 4 == 0)                    /* equal operands happen */
            memcpy(s->ymm[i], s->ymm[rnd() & 15], 32);
    for (unsigned i = 0; i < 16; i++)
        memcpy(s->fx.xmm[i], s->ymm[i], 16);
    s->ax = operand(kind);
    s->dx = rnd() % 2 ? rnd() % 20 : 0 - (rnd() % 20);
    s->cx = rnd();
}

/* the encoding of @v into @p, memory operands at [rsi] */
static unsigned encode(const struct ir_vec *v, bool imm, uint8_t *p)
{
    static const uint8_t pps[4] = { 0, 0x66, 0xf3, 0xf2 };
    uint8_t *s = p;
    unsigned rm = v->rm_kind == VRM_MEM ? 6 : v->rm;

    if (v->enc == VENC_VEX) {
        *p++ = 0xc4;
        *p++ = (uint8_t)((~v->reg & 8) << 4 | 0x40 | (~rm & 8) << 2 | v->map);
        *p++ = (uint8_t)(v->w << 7 | (~v->vvvv & 15) << 3 | v->l << 2 | v->pp);
    } else {
        if (v->pp)
            *p++ = pps[v->pp];
        *p++ = (uint8_t)(0x40 | v->w << 3 | (v->reg & 8) >> 1 | (rm & 8) >> 3);
        *p++ = 0x0f;
        if (v->map > 1)
            *p++ = v->map == 2 ? 0x38 : 0x3a;
    }
    *p++ = v->opcode;
    if (!(v->map == 1 && v->opcode == 0x77))
        *p++ = (uint8_t)((v->rm_kind == VRM_MEM ? 0 : 0xc0) | (v->reg & 7) << 3 | (rm & 7));
    if (imm)
        *p++ = v->imm;
    return (unsigned)(p - s);
}

/* one way to encode a row: registers, memory or not, immediate */
static struct ir_vec make_vec(const struct row *r, unsigned enc, bool mem, bool w)
{
    struct ir_vec v = { .enc = enc == L ? VENC_LEGACY : VENC_VEX, .map = r->map, .pp = r->pp,
                        .opcode = r->op, .w = w, .l = enc == Y, .reg = rnd() & 15 };
    bool vex = enc != L;

    v.rm_kind = mem ? VRM_MEM : VRM_VEC;
    v.rm = rnd() & 15;
    if (r->f & (MX | REGMX)) {
        v.reg_mmx = true;
        v.reg &= 7;
    }
    if (!mem && (r->f & (MX | RMX))) {
        v.rm_kind = VRM_MMX;
        v.rm &= 7;
    }
    if (!mem && (r->f & RMG)) {
        v.rm_kind = VRM_GPR;
        v.rm = 0;
    }
    if (r->f & RGG) {
        v.reg_gpr = true;
        v.reg = 0;
    }
    if (r->f & DIG)
        v.reg = r->digit, v.reg_mmx = false;
    v.vvvv = vex && (r->f & NDS) && !(r->f & STO && mem) ? rnd() & 15 : 0;
    v.imm = (uint8_t)rnd();
    v.has_imm = r->f & (IMM | IS4);
    v.gpr_out = r->f & (RGG | RCX);
    if (r->op == 0x77)
        v.rm_kind = VRM_NONE, v.reg = 0, v.rm = 0;
    if (mem) {
        v.mem_bytes = r->mem ? r->mem : r->f & MX || (r->f & REGMX && !r->pp) ? 8 : v.l ? 32 : 16;
        v.mem_write = r->f & STO;
        v.mem_read = !v.mem_write;
    }
    return v;
}

static struct x86_cpu *new_cpu(const struct native *s)
{
    struct x86_cpu *c = aligned_alloc(64, align_up(sizeof(*c), 64));

    memset(c, 0, sizeof(*c));
    c->cr0 = CR0_NE | CR0_PE;
    c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    c->fx = s->fx;
    for (unsigned i = 0; i < 16; i++)
        memcpy(c->ymmh[i], s->ymm[i] + 16, 16);
    c->tcg.regs[R_AX] = s->ax;
    c->tcg.regs[R_DX] = s->dx;
    return c;
}

static bool near32(uint32_t a, uint32_t b)
{
    float x, y;

    if (a == b)
        return true;
    memcpy(&x, &a, 4);
    memcpy(&y, &b, 4);
    if ((a & 0x7f800000) <= 0x00800000 && (b & 0x7f800000) <= 0x00800000)
        return true;                           /* tiny results: flushed or not */
    float d = x - y, lim = (x < 0 ? -x : x) * 8e-4f;
    return d <= lim && -d <= lim;
}

static bool both_nan(const uint8_t *a, const uint8_t *b, bool dbl)
{
    return dbl ? (ldl64(a) << 1) > 0xffe0000000000000 && (ldl64(b) << 1) > 0xffe0000000000000
               : (ldl32(a) << 1) > 0xff000000 && (ldl32(b) << 1) > 0xff000000;
}

static bool same_nan(const struct row *r, const uint8_t *got, const uint8_t *want, unsigned n)
{
    bool dbl = r->op & 1;

    for (unsigned i = 0; i < n; i += dbl ? 8 : 4)
        if (memcmp(got + i, want + i, dbl ? 8 : 4) && !both_nan(got + i, want + i, dbl))
            return false;
    return true;
}

static bool same_vec(const struct row *r, const uint8_t *got, const uint8_t *want, unsigned n)
{
    if ((r->f & ANYNAN) && !getenv("VEC_STRICT"))
        return same_nan(r, got, want, n);
    if (!(r->f & APPROX) || host_is_intel())
        return !memcmp(got, want, n);
    for (unsigned i = 0; i < n; i += 4)
        if (!near32(ldl32(got + i), ldl32(want + i)))
            return false;
    return true;
}

static void show(const char *what, const void *p, unsigned n)
{
    char buf[2 * 64 + 1] = "";

    for (unsigned i = 0; i < n && i < 64; i++)
        sprintf(buf + 2 * i, "%02x", ((const uint8_t *)p)[n - 1 - i]);
    fprintf(stderr, "  %s %s\n", what, buf);
}

struct outcome { unsigned ran, ill, bad; };

/* compare everything; on a difference print the case */
static void compare(const struct row *r, const struct ir_vec *v, const struct native *before,
                    const struct native *s, enum native_result nr, const struct x86_cpu *c,
                    const uint8_t *mem0, const uint8_t *mem, const uint8_t *mem2, uint64_t gpr, struct outcome *o)
{
    const char *bad = NULL;
    unsigned reg = 0;

    if ((nr == NATIVE_FPE) != (c->tcg.exception != 0))
        bad = "exception";
    if (s->fx.mxcsr != c->fx.mxcsr)
        bad = "mxcsr";
    if (nr == NATIVE_OK) {
        for (unsigned i = 0; i < 16; i++)
            if (!same_vec(r, c->fx.xmm[i], s->fx.xmm[i], 16) ||
                !same_vec(r, c->ymmh[i], s->ymm[i] + 16, 16))
                bad = "vector", reg = i;
        for (unsigned i = 0; i < 8; i++)
            if (memcmp(c->fx.st[i], s->fx.st[i], 10))
                bad = "st", reg = i;
        if (c->fx.ftw != s->fx.ftw || c->fx.fsw != s->fx.fsw)
            bad = "x87 status";
        if (memcmp(mem, mem2, 64))
            bad = "memory";
        if ((v->gpr_out || v->rm_kind == VRM_GPR) && gpr != (r->f & RCX ? s->cx : s->ax))
            bad = "gpr";
        if ((r->f & FLG) && x86_fl_to_eflags(c->tcg.fl) != (s->flags & EF_ARITH))
            bad = "flags";
    }
    o->ran++;
    if (!bad || ++o->bad > 2)
        return;
    fprintf(stderr, "%s differs (%u): enc %u map %u pp %u op %02x w %u l %u reg %u vvvv %u rm %u kind %u imm %02x\n",
            bad, reg, v->enc, v->map, v->pp, v->opcode, v->w, v->l, v->reg, v->vvvv, v->rm, v->rm_kind, v->imm);
    fprintf(stderr, "  mxcsr %04x host %04x ours %04x exc %u/%u flags %llx/%x ax %llx host %llx ours %llx\n", before->fx.mxcsr,
            s->fx.mxcsr, c->fx.mxcsr, nr, c->tcg.exception, (unsigned long long)s->flags & EF_ARITH,
            x86_fl_to_eflags(c->tcg.fl), (unsigned long long)before->ax,
            (unsigned long long)s->ax, (unsigned long long)gpr);
    show("old dst", before->ymm[v->reg & 15], 32);
    show("vvvv   ", before->ymm[v->vvvv & 15], 32);
    show("rm     ", v->rm_kind == VRM_MEM ? mem0 : before->ymm[v->rm & 15], 32);
    show("host   ", s->ymm[reg], 32);
    show("ours hi", c->ymmh[reg], 16);
    show("ours lo", c->fx.xmm[reg], 16);
}

static void one_case(const struct row *r, const struct ir_vec *v, unsigned trial, struct outcome *o)
{
    struct native before, *s = aligned_alloc(64, align_up(sizeof(*s), 64));
    uint8_t mem0[64] __attribute__((aligned(64))), mem[64] __attribute__((aligned(64))), mem2[64];

    random_state(s, mem0, trial);
    if (r->map == 1 && r->op == 0xAE && r->digit == 2)
        stl32(mem0, (uint32_t)rnd() & 0xffff); /* LDMXCSR: valid values only */
    before = *s;
    memcpy(mem, mem0, 64);
    memcpy(mem2, mem0, 64);
    enum native_result nr = native_run(s, mem);
    if (nr == NATIVE_ILL) {
        o->ill++;
    } else {
        struct x86_cpu *c = new_cpu(&before);
        uint64_t gpr = before.ax;
        x86_vec_exec(&c->tcg, v, mem2, &gpr);
        compare(r, v, &before, s, nr, c, mem0, mem, mem2, gpr, o);
        free(c);
    }
    free(s);
}

static void run_row(const struct row *r, unsigned trials, struct outcome *o)
{
    for (unsigned enc = L; enc <= Y; enc <<= 1)
        for (unsigned mem = 0; mem < 2; mem++)
            for (unsigned w = 0; w < 2; w++) {
                if (!(r->f & enc) || (mem && (r->f & NOMEM)) || (!mem && (r->f & NOREG)) ||
                    (w ? !(r->f & (W1 | WX)) : (r->f & WX)) || (r->op == 0x77 && mem))
                    continue;
                struct outcome one = { 0 };
                for (unsigned t = 0; t < trials && !one.ill; t++) {
                    struct ir_vec v = make_vec(r, enc, mem, w);
                    uint8_t insn[16];
                    native_emit(insn, encode(&v, v.has_imm, insn));
                    one_case(r, &v, t, &one);
                }
                o->ran += one.ran;
                o->bad += one.bad;
                o->ill += one.ill != 0;
                if (one.bad)
                    fprintf(stderr, "== map %u pp %u op %02x enc %u mem %u w %u: %u of %u bad\n", r->map, r->pp,
                            r->op, enc, mem, w, one.bad, one.ran);
            }
}

static void run_rows(size_t from, size_t to)
{
    struct outcome o = { 0 };
    const char *t = getenv("VEC_TRIALS");

    rng_state = 0x9e3779b97f4a7c15ull + (getenv("VEC_SEED") ? (uint64_t)atoll(getenv("VEC_SEED")) : 0);
    for (size_t i = from; i < to; i++)
        run_row(&rows[i], t ? (unsigned)atoi(t) : 70, &o);
    cr_assert_gt(o.ran, 1000);
    cr_assert_eq(o.bad, 0, "%u of %u differ from the host", o.bad, o.ran);
}

Test(vec_exec, as_host_1) { run_rows(0, ARRAY_SIZE(rows) / 2); }
Test(vec_exec, as_host_2) { run_rows(ARRAY_SIZE(rows) / 2, ARRAY_SIZE(rows)); }

#endif

/* ---- known answers, for every host ------------------------------------------------ */

static struct x86_cpu *plain_cpu(void)
{
    struct x86_cpu *c = aligned_alloc(64, align_up(sizeof(*c), 64));

    memset(c, 0, sizeof(*c));
    c->cr0 = CR0_NE | CR0_PE;
    c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    c->fx.mxcsr = 0x1f80;
    c->fx.fcw = 0x37f;
    return c;
}

static void set128(uint8_t *p, uint64_t hi, uint64_t lo)
{
    stl64(p, lo);
    stl64(p + 8, hi);
}

/* computed on an x86 processor: xmm1 = xmm1 op xmm2 */
static const struct known {
    uint8_t map, pp, op, imm;
    uint16_t mxcsr, mxcsr_after;
    uint64_t ah, al, bh, bl, rh, rl;
} known[] = {
    { 1, 0, 0x58, 0, 0x3f80, 0x3fa3, 0x17f800001, 0x3eaaaaab3f800000, 0x40490fdb00800000, 0x40490fdb7fc12345, 0x40490fdb7fc00001, 0x405e65307fc12345 },
    { 1, 0, 0x58, 0, 0x9fc0, 0x9fe0, 0x3ed90475bee25d94, 0xbfe74ef53ef675cc, 0x3f9950d83e00a35a, 0x3f03675a3f0d549b, 0x3fcf91f5bea20be7, 0xbfa59b483f8447c0 },
    { 1, 1, 0x58, 0, 0x1f80, 0x1fa0, 0x7ff0000000000000, 0x400921fb54442d18, 0x3fd5555555555555, 0x10000000000000, 0x7ff0000000000000, 0x400921fb54442d18 },
    { 1, 1, 0x58, 0, 0x1f80, 0x1fa0, 0x90c192cfd3ac94af, 0xf28c105d1fb17c23, 0xa170b33839263059, 0x953f48f1a09f76b5, 0xa170b33839263059, 0xf28c105d1fb17c23 },
    { 1, 0, 0x59, 0, 0x1f80, 0x1f83, 0xc2280000c2280000, 0x7f8000013f800000, 0x800000003f800000, 0x80000000000001, 0xc2280000, 0x7fc0000100000001 },
    { 1, 0, 0x59, 0, 0x3f80, 0x3fa0, 0x3f4cb2423eede6a4, 0xbe6a63ec3e27a1c0, 0xbe2766583ef8aa38, 0xbf6d0558beeda82f, 0xbe05da1f3e67159e, 0x3e590366bd9b9ee0 },
    { 1, 1, 0x59, 0, 0x1f80, 0x1fa8, 0x400921fb54442d18, 0x7ff0000000000000, 0x7fefffffffffffff, 0x400921fb54442d18, 0x7ff0000000000000, 0x7ff0000000000000 },
    { 1, 1, 0x59, 0, 0x9fc0, 0x9ff0, 0x1012f037b64ce422, 0xf4205b4907a70c3, 0x34b9b5df9e7769b1, 0xae2eb1547f150524, 0x4de6e9d32b064fa, 0x8000000000000000 },
    { 1, 0, 0x5e, 0, 0x9fc0, 0x9fc5, 0x7f8000017fc12345, 0x7f7fffffc2280000, 0x7f7fffff7fc12345, 0x7f80000080000000, 0x7fc000017fc12345, 0x7f800000 },
    { 1, 0, 0x5e, 0, 0x1f80, 0x1fa0, 0xbef14c94bfa2ea20, 0x3e7d1bfb3ef4733f, 0xbf0d6eaf3edd2055, 0xbe7347213ebff206, 0x3f5a61cec03c9b93, 0xbf852c3c3fa3035d },
    { 1, 1, 0x5e, 0, 0x3f80, 0x3fa0, 0xc045000000000000, 0x7ff8000012345678, 0x400921fb54442d18, 0x400921fb54442d18, 0xc02abcef9018d72c, 0x7ff8000012345678 },
    { 1, 1, 0x5e, 0, 0x9fc0, 0x9ff0, 0x2a3af4d46b0a18e8, 0x5790f82ec1d3fcff, 0xeeeacbe226e87555, 0x6bf46c697d2caf82, 0x8000000000000000, 0x2b8a9691811c08cf },
    { 1, 0, 0x51, 0, 0x1f80, 0x1f81, 0x3eaaaaab40490fdb, 0x800000c2280000, 0x7fc123457fc12345, 0xbf19999a7fc12345, 0x7fc123457fc12345, 0xffc000007fc12345 },
    { 1, 0, 0x51, 0, 0x9fc0, 0x9fe1, 0x3f26144bbe74031b, 0xbe011cdd3ec9df6a, 0x3f9a72d1bf0820fe, 0x3ff5e837bfd69ed6, 0x3f8c9a8effc00000, 0x3fb16a42ffc00000 },
    { 1, 1, 0x51, 0, 0x3f80, 0x3f80, 0xc045000000000000, 0x400921fb54442d18, 0x3ff0000000000000, 0x7ff8000012345678, 0x3ff0000000000000, 0x7ff8000012345678 },
    { 1, 1, 0x51, 0, 0x9fc0, 0x9fc1, 0xae658f33fe3b890b, 0x72158370d269a9a5, 0xb774eb5248db40af, 0xe315128862c33a4f, 0xfff8000000000000, 0xfff8000000000000 },
    { 1, 0, 0x5d, 0, 0x3f80, 0x3f83, 0x3f8000007f7fffff, 0x7fc1234500000001, 0xc228000040490fdb, 0x7f7fffff3f800000, 0xc228000040490fdb, 0x7f7fffff00000001 },
    { 1, 0, 0x5d, 0, 0x1f80, 0x1f80, 0xbeaaeac13f952399, 0x3f1c70cfbf0561e6, 0x3f63af833fdc9f50, 0x3e15479cbeb477d2, 0xbeaaeac13f952399, 0x3e15479cbf0561e6 },
    { 1, 1, 0x5f, 0, 0x5f80, 0x5f82, 0x400921fb54442d18, 0x1, 0xc045000000000000, 0x10000000000000, 0x400921fb54442d18, 0x10000000000000 },
    { 1, 1, 0x5f, 0, 0x9fc0, 0x9fc0, 0xe22571594720771f, 0xd1bc52d9230d977e, 0xdd2e16096e36aab0, 0x47469a4d8cdb305f, 0xdd2e16096e36aab0, 0x47469a4d8cdb305f },
    { 1, 0, 0xc2, 1, 0x5f80, 0x5f83, 0x7fc123453eaaaaab, 0x7f80000180000000, 0x140490fdb, 0x100000001, 0xffffffff, 0xffffffff },
    { 1, 0, 0xc2, 1, 0x1f80, 0x1f80, 0xbe948c893fbbe9ea, 0x3f16909e3e26847f, 0xbec28c2ebed0cc5f, 0x3eae05cf3f435cc5, 0x0, 0xffffffff },
    { 1, 1, 0x5a, 0, 0x3f80, 0x3fb0, 0x3ff0000000000000, 0x1, 0x10000000000000, 0x3fd5555555555555, 0x0, 0x3eaaaaaa },
    { 1, 1, 0x5a, 0, 0x3f80, 0x3fb0, 0x90fbbd119c1caaf7, 0xf3fe39c0519088f5, 0xb0c4312d20203626, 0x83f73f16dbf4a8b2, 0x0, 0x8000000180000001 },
    { 1, 0, 0x5a, 0, 0x9fc0, 0x9fc1, 0x3eaaaaab3eaaaaab, 0xbf19999a3f800000, 0x7f7fffff3eaaaaab, 0x8000007f800001, 0x3810000000000000, 0x7ff8000020000000 },
    { 1, 0, 0x5a, 0, 0x5f80, 0x5f80, 0x3e237a043ee50cad, 0x3e81682c3f45145c, 0xbe60cd0b3e836886, 0x3fef79283ecbc97d, 0x3ffdef2500000000, 0x3fd9792fa0000000 },
    { 1, 1, 0x5b, 0, 0x1f80, 0x1fa1, 0x7ff0000000000000, 0xc045000000000000, 0x1, 0x400921fb54442d18, 0x0, 0x280000000 },
    { 1, 1, 0x5b, 0, 0x3f80, 0x3fa0, 0xd75985d99c94309, 0xf49c81a358ca0, 0x26b94c7f9118bb16, 0x19f9919c895fd7b3, 0xffffffff, 0xffffffff },
    { 1, 3, 0x7c, 0, 0x3f80, 0x3fa3, 0xc22800003f800000, 0x40490fdb80000000, 0xc22800007f800001, 0x13eaaaaab, 0x7fc000013eaaaaab, 0xc224000040490fdb },
    { 1, 3, 0x7c, 0, 0x3f80, 0x3fa0, 0x58ee8571f4998d7c, 0x5d39d0a89a2ef80f, 0x1f7296ab7961fd92, 0xd953ee261d87cec3, 0x7961fd92d953ee26, 0xf4998d7c5d39d0a7 },
    { 1, 1, 0xfe, 0, 0x5f80, 0x5f80, 0xc045000000000000, 0xc045000000000000, 0xc045000000000000, 0x7ff8000012345678, 0x808a000000000000, 0x403d000012345678 },
    { 1, 1, 0xfe, 0, 0x1f80, 0x1f80, 0x1a28f7b324e4e25a, 0x57b6fb7ebfeaa155, 0x43c71b9abd87a865, 0xd42fddbb7a86f7a2, 0x5df0134de26c8abf, 0x2be6d9393a7198f7 },
    { 1, 1, 0xf5, 0, 0x1f80, 0x1f80, 0x3fd5555555555555, 0x3ff0000000000000, 0x7ff0000000000000, 0x3fd5555555555555, 0x1fe682b000000000, 0xff142b000000000 },
    { 1, 1, 0xf5, 0, 0x3f80, 0x3f80, 0xb0a844e52587be6b, 0xea0575438b0d590b, 0xc215a82a06ec41ad, 0x4c4f9b0687322e25, 0xfb8d635af0309bc3, 0xcb32041d473cdc21 },
    { 1, 1, 0xf6, 0, 0x1f80, 0x1f80, 0x7ff8000012345678, 0x3fd5555555555555, 0x7fefffffffffffff, 0x1, 0x4ef, 0x311 },
    { 1, 1, 0xf6, 0, 0x3f80, 0x3f80, 0x3908f227c59db916, 0x8aa4248c8857f9a4, 0x80b0c08bc7702420, 0xa2eddbbd5464ecc2, 0x253, 0x1b5 },
    { 1, 1, 0x63, 0, 0x1f80, 0x1f80, 0x7ff0000000000000, 0x7ff0000000000000, 0x10000000000000, 0x7ff0000000000000, 0x100000007f000000, 0x7f0000007f000000 },
    { 1, 1, 0x63, 0, 0x1f80, 0x1f80, 0x7e26f36a8483f8b8, 0xbb2313f55b06258e, 0xfd56a926076b3e36, 0xca44eb860726e25c, 0x80807f7f80807f80, 0x7f808080807f7f7f },
    { 1, 1, 0x60, 0, 0x3f80, 0x3f80, 0xc045000000000000, 0x7ff8000012345678, 0x7ff0000000000000, 0x7fefffffffffffff, 0x7f7feff8ff00ff00, 0xff12ff34ff56ff78 },
    { 1, 1, 0x60, 0, 0x5f80, 0x5f80, 0xefe09f07cefe2a1f, 0xfcf00fecb91ee9e5, 0xf47aebdd597a1ecf, 0x5d58c705f979d04a, 0x5dfc58f0c70f05ec, 0xf9b9791ed0e94ae5 },
    { 2, 1, 0x00, 0, 0x1f80, 0x1f80, 0x7ff0000000000000, 0x400921fb54442d18, 0x7ff0000000000000, 0xc045000000000000, 0x7f00181818181818, 0x21181818181818 },
    { 2, 1, 0x00, 0, 0x1f80, 0x1f80, 0x3451d0135675f6ad, 0x9fc2d0a17b8f2ab5, 0xe67a9b75fc394724, 0xd726c86b9c3a23cd, 0x7500d000f69fa1, 0xc2005600757b00 },
    { 2, 1, 0x0b, 0, 0x1f80, 0x1f80, 0xc045000000000000, 0x7fefffffffffffff, 0x400921fb54442d18, 0x400921fb54442d18, 0xe01e000000000000, 0x40000000ffff0000 },
    { 2, 1, 0x0b, 0, 0x5f80, 0x5f80, 0xb6246771c8450070, 0x330698a1c0093492, 0xe39639be7a605a91, 0x6f15b6ad2db3997f, 0x10652eaacab8004f, 0x2c483b37e92ad5e7 },
    { 2, 1, 0x40, 0, 0x3f80, 0x3f80, 0x400921fb54442d18, 0x10000000000000, 0xc045000000000000, 0x10000000000000, 0x68a7000000000000, 0x0 },
    { 2, 1, 0x40, 0, 0x1f80, 0x1f80, 0x28aaca51b98c67c2, 0xfe3c9c8f2b855c1f, 0x70d710920859634, 0x973f798626b1cffc, 0x4e6bddd91d1abf68, 0x99ea89daf832bf84 },
    { 3, 1, 0x0f, 5, 0x5f80, 0x5f80, 0x1, 0xc045000000000000, 0x7fefffffffffffff, 0x1, 0x7fefff, 0xffffffffff000000 },
    { 3, 1, 0x0f, 5, 0x9fc0, 0x9fc0, 0x2188287e8c5c715f, 0x3a56cc1057a40b2, 0xf88c422bcca2a92b, 0xa6511445b9f3635c, 0xc1057a40b2f88c42, 0x2bcca2a92ba65114 },
    { 3, 1, 0x08, 1, 0x1f80, 0x1fa0, 0x3fd5555555555555, 0x1, 0x10000000000000, 0x7ff0000000000000, 0x0, 0x7ff0000000000000 },
    { 3, 1, 0x08, 1, 0x1f80, 0x1fa0, 0x40783f0a072a98d2, 0x4affdcd13678bc8d, 0x3d93fd4c804c25d6, 0x9620bf0dc38084a0, 0xbf800000, 0xbf800000c3810000 },
    { 3, 1, 0x42, 6, 0x3f80, 0x3f80, 0x7ff8000012345678, 0x3fd5555555555555, 0x10000000000000, 0x1, 0x10a0046009c0114, 0x14101e201e101be },
    { 3, 1, 0x42, 6, 0x1f80, 0x1f80, 0xbd6b881ae8f6e0bd, 0xe5cfedfa5a9196f0, 0xa997f351754a09cd, 0xd0a6ec179556585e, 0x74014b01f90206, 0x1e301bc01c90206 },
    { 3, 1, 0x40, 241, 0x9fc0, 0x9fe0, 0x10000000000000, 0x3fd5555555555555, 0x1, 0x3fd5555555555555, 0x0, 0x6b31c71c },
    { 3, 1, 0x40, 241, 0x1f80, 0x1fb0, 0x82b3359986048719, 0xdf70301704c9d78d, 0xc6c91b9270ac06ac, 0x9bca3cb72ee0289d, 0x0, 0x3bbd65db },
    { 2, 1, 0xdc, 0, 0x1f80, 0x1f80, 0x1, 0x1, 0x1, 0xc045000000000000, 0x63636363427c7c5c, 0xa3266363427c7c5d },
    { 2, 1, 0xdc, 0, 0x9fc0, 0x9fc0, 0x1ece615db9a6442e, 0xfcf31ca8e752fdf, 0xaead44b0537390e5, 0x87ddaeb784b28054, 0x4901f1cb9e16ae46, 0xb99473e03a359577 },
    { 2, 1, 0xde, 0, 0x9fc0, 0x9fc0, 0xc045000000000000, 0x400921fb54442d18, 0x3fd5555555555555, 0x3ff0000000000000, 0x2f9e8b6d1cc0036f, 0x550c9faa3ed1923b },
    { 2, 1, 0xde, 0, 0x1f80, 0x1f80, 0x46e4099030f97058, 0xc5b2e75a0acd8be1, 0x81f98b521905d591, 0x8fcd7f4073c1cd2c, 0xc6291287b1e7a25a, 0x6bfc01c542823c61 },
    { 3, 1, 0x44, 16, 0x1f80, 0x1f80, 0x400921fb54442d18, 0xc045000000000000, 0x7fefffffffffffff, 0x3fd5555555555555, 0x20127bafffffffff, 0xbfc3000000000000 },
    { 3, 1, 0x44, 16, 0x9fc0, 0x9fc0, 0x330c16a3831d03bf, 0x46f5a1b4b156d1ad, 0x8216858f73ccef03, 0xceaf4915888564e8, 0x23f2e0f99c87b05c, 0xc54d153972d639f7 },
    { 2, 0, 0xc9, 0, 0x5f80, 0x5f80, 0x80000080000000, 0xbf19999a00800000, 0x7f80000000800000, 0x800000007f7fffff, 0xbf99999a80800000, 0xc099999a00000000 },
    { 2, 0, 0xc9, 0, 0x1f80, 0x1f80, 0x3ea8b9e03f229dd0, 0x3e71fde43f2ea6b3, 0x3ee40d543e926185, 0xbfd0d7fb3f9a8079, 0xd94404000c3b63, 0x95f0b001bcc736 },
    { 2, 0, 0xcd, 0, 0x5f80, 0x5f80, 0x40490fdb80000000, 0x3eaaaaab7f800000, 0x40490fdb00000001, 0xbf19999a3eaaaaab, 0x325ff28ac41fd018, 0xe4b185197f80a000 },
    { 2, 0, 0xcd, 0, 0x3f80, 0x3f80, 0x3e9a45843ecbacd0, 0xbe0155223f231e1e, 0xbfb103df3fbd891f, 0x3e36e865bf268ea0, 0x6e8810f3cb008a26, 0x5fbd1990b4c6b569 },
};

Test(vec_exec, known_answers)
{
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        const struct known *k = &known[i];
        struct x86_cpu *c = plain_cpu();
        struct ir_vec v = { .map = k->map, .pp = k->pp, .opcode = k->op, .imm = k->imm,
                            .reg = 1, .rm = 2, .rm_kind = VRM_VEC };
        c->fx.mxcsr = k->mxcsr;
        set128(c->fx.xmm[1], k->ah, k->al);
        set128(c->fx.xmm[2], k->bh, k->bl);
        c->ymmh[1][0] = 0x5a;
        cr_assert(x86_vec_exec(&c->tcg, &v, NULL, NULL));
        cr_assert(ldl64(c->fx.xmm[1]) == k->rl && ldl64(c->fx.xmm[1] + 8) == k->rh &&
                  c->fx.mxcsr == k->mxcsr_after,
                  "map %u pp %u op %02x: %016llx%016llx mxcsr %x", k->map, k->pp, k->op,
                  (unsigned long long)ldl64(c->fx.xmm[1] + 8),
                  (unsigned long long)ldl64(c->fx.xmm[1]), c->fx.mxcsr);
        cr_assert_eq(c->ymmh[1][0], 0x5a, "legacy SSE keeps bits 255:128");
        free(c);
    }
}

Test(vec_exec, vex_clears_upper)
{
    struct x86_cpu *c = plain_cpu();
    struct ir_vec v = { .enc = VENC_VEX, .map = 1, .pp = 1, .opcode = 0xFE, .reg = 1, .vvvv = 2,
                        .rm = 3, .rm_kind = VRM_VEC };       /* VPADDD xmm1, xmm2, xmm3 */
    memset(c->ymmh, 0x77, sizeof(c->ymmh));
    cr_assert(x86_vec_exec(&c->tcg, &v, NULL, NULL));
    for (unsigned i = 0; i < 16; i++)
        cr_assert_eq(c->ymmh[1][i], 0);
    cr_assert_eq(c->ymmh[2][0], 0x77);
    free(c);
}

Test(vec_exec, unmasked_exception_changes_only_status)
{
    struct x86_cpu *c = plain_cpu();
    struct ir_vec v = { .map = 1, .pp = 0, .opcode = 0x5E, .reg = 1, .rm = 2, .rm_kind = VRM_VEC };

    c->fx.mxcsr = 0x1f80 & ~0x200u;              /* DIVPS, divide by zero unmasked */
    set128(c->fx.xmm[1], 0x3f8000003f800000, 0x3f8000003f800000);
    set128(c->fx.xmm[2], 0x3f80000040400000, 0x3f80000000000000);
    cr_assert_not(x86_vec_exec(&c->tcg, &v, NULL, NULL));
    cr_assert_eq(c->tcg.exception, EXC_XM + 1);
    cr_assert_eq(c->fx.mxcsr, (0x1f80 & ~0x200) | 4);
    cr_assert_eq(ldl64(c->fx.xmm[1]), 0x3f8000003f800000);
    free(c);
}

Test(vec_exec, unknown_is_ud)
{
    struct x86_cpu *c = plain_cpu();
    struct ir_vec v = { .map = 2, .pp = 3, .opcode = 0x00, .rm_kind = VRM_VEC };

    cr_assert_not(x86_vec_exec(&c->tcg, &v, NULL, NULL));
    cr_assert_eq(c->tcg.exception, EXC_UD + 1);
    free(c);
}
