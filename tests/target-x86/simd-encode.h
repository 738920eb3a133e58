/*
 * simd-encode.h - machine code for a row of the instruction table
 */
#ifndef TESTS_TARGET_X86_SIMD_ENCODE_H
#define TESTS_TARGET_X86_SIMD_ENCODE_H

#define x86_insn cs_x86_insn   /* both have a tag of this name */
#include <capstone/capstone.h>
#undef x86_insn
#include <criterion/criterion.h>
#include <ctype.h>

#include "target-x86/decode-int.h"

struct code { uint8_t b[24]; unsigned n; };

static inline void put(struct code *c, unsigned byte)
{
    c->b[c->n++] = (uint8_t)byte;
}

/* first member of a condition group that the row names, else @dflt */
static inline unsigned pick(const struct x86_row *r, unsigned first, unsigned last, unsigned dflt)
{
    for (unsigned i = first; i <= last; i++)
        if (row_has(r, i))
            return i - first;
    return dflt;
}

static inline bool any_kind(const struct x86_row *r, enum opnd_kind k)
{
    return opnd_kind(r->dst) == k || opnd_kind(r->a) == k || opnd_kind(r->b) == k;
}

/* @ext: REX.R and REX.B set, vvvv 11 */
static inline void put_prefix(struct code *c, const struct x86_row *r, bool ext)
{
    static const uint8_t legacy[4] = { 0, 0x66, 0xf3, 0xf2 };
    unsigned map = (r->op >> 8) & 3, pp = pick(r, AB_PNP, AB_PF2, 0);
    unsigned w = pick(r, AB_W0, AB_W1, 0);

    if (ROW_HAS(r, VEX)) {
        unsigned l = pick(r, AB_L0, AB_L1, 0), v = r->vvvv ? 3 + 8 * ext : 0;
        put(c, 0xc4);
        put(c, (ext ? 0x40 : 0xe0) | map);
        put(c, w << 7 | (~v & 15) << 3 | l << 2 | pp);
        return;
    }
    if (legacy[pp])
        put(c, legacy[pp]);
    if (w || ext)
        put(c, 0x40 | w << 3 | (ext ? 5 : 0));
    if (map)
        put(c, 0x0f);
    if (map == MAP_0F38)
        put(c, 0x38);
    if (map == MAP_0F3A)
        put(c, 0x3a);
}

#define ENC_DISP 0x12345678

static inline void put_modrm(struct code *c, const struct x86_row *r, bool mem)
{
    unsigned reg = pick(r, AB_X0, AB_X7, 1), rm = pick(r, AB_RM0, AB_RM7, 2);

    if (ROW_HAS(r, VSIB)) {
        put(c, 0x40 | reg << 3 | 4);
        put(c, 0x90 | 7);       /* [rdi + xmm2*4 + disp8] */
        put(c, 0x10);
    } else if (mem) {
        put(c, 0x80 | reg << 3 | 6);
        stl32(c->b + c->n, ENC_DISP);
        c->n += 4;
    } else {
        put(c, 0xc0 | reg << 3 | rm);
    }
}

static inline struct code encode(const struct x86_row *r, bool mem, bool ext)
{
    struct code c = { .n = 0 };

    put_prefix(&c, r, ext);
    put(&c, r->op & 0xff);
    if (r->modrm)
        put_modrm(&c, r, mem);
    if (r->imm == IMM_B)
        put(&c, 0x40);
    return c;
}

/* rows of insn-simd.def follow those of insn.def; WAIT is the first by opcode */
static inline unsigned first_simd_row(void)
{
    unsigned i = 1;

    while (strcmp(x86_row_name(i), "WAIT") != 0)
        i++;
    return i;
}

static inline bool row_takes_mem(const struct x86_row *r)
{
    return ROW_HAS(r, MEM) ||
           (!ROW_HAS(r, REG) && (any_kind(r, K_E) || any_kind(r, K_W) || any_kind(r, K_Q)));
}

/* rows that Capstone 4 does not know or decodes otherwise */
static inline bool capstone_lacks(const struct x86_row *r, bool mem)
{
    return !strcmp(r->name, "VBROADCASTI128") || r->attr >> AB_FT_SHIFT == FT_VAES ||
           r->attr >> AB_FT_SHIFT == FT_VPCLMUL || r->attr >> AB_FT_SHIFT == FT_GFNI ||
           r->attr >> AB_FT_SHIFT == FT_AVXVNNI ||
           (!mem && r->arg >= 0xd8 && (r->op >> 8) == MAP_1B);      /* x87 aliases */
}

#endif
