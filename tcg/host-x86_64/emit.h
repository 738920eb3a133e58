/*
 * emit.h - x86-64 instruction encoding for the host back end
 *
 * Intel SDM vol. 2A, chapter 2. All emitters append at g->p and never check for
 * room: the caller keeps a margin (GEN_MARGIN) that covers one IR operation.
 */
#ifndef TCG_HOST_X86_64_EMIT_H
#define TCG_HOST_X86_64_EMIT_H

#include "util/util.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, NOREG = -1 };

/* An operand that ModRM can name. */
enum opn_kind { ON_REG, ON_ENV, ON_MEM };
struct opn {
    uint8_t kind;
    int8_t reg;              /* ON_REG */
    int8_t base, index;      /* ON_MEM */
    uint8_t scale;           /* log2 */
    int32_t disp;            /* ON_ENV: from RSP; ON_MEM */
};

static inline struct opn o_reg(int r) { return (struct opn){ .kind = ON_REG, .reg = (int8_t)r }; }
static inline struct opn o_env(size_t off) { return (struct opn){ .kind = ON_ENV, .disp = (int32_t)off }; }

/*
 * Where in the code something stands that depends on where the code is, for images of blocks (reloc.c). Whoever emits
 * a 64-bit address of the program, the block's place or its second page says so by rel_note(); displacements are
 * noted by what makes them. Kinds but REL_REL32 are those of enum tb_reloc.
 */
#define MAX_RELS 4096        /* a block with more has no image */
#define REL_REL32 0xff       /* of a jump or call */
struct rels {
    unsigned n;
    struct rel { uint8_t *at, kind; } r[MAX_RELS];
};

struct code {
    uint8_t *p;
    struct rels *rels;       /* NULL: nobody wants to know */
};

static inline void rel_note(struct code *c, uint8_t *at, unsigned kind)
{
    if (unlikely(c->rels) && c->rels->n < MAX_RELS)
        c->rels->r[c->rels->n++] = (struct rel){ at, (uint8_t)kind };
}

/** rel_copied() - code at @from, @n bytes, stands at @to, too */
static inline void rel_copied(struct code *c, const uint8_t *from, size_t n, uint8_t *to)
{
    for (unsigned i = 0, had = c->rels ? c->rels->n : 0; i < had; i++)
        if (c->rels->r[i].at >= from && c->rels->r[i].at < from + n)
            rel_note(c, to + (c->rels->r[i].at - from), c->rels->r[i].kind);
}

static inline void e8(struct code *c, unsigned v) { *c->p++ = (uint8_t)v; }
static inline void e16(struct code *c, unsigned v) { stl16(c->p, (uint16_t)v); c->p += 2; }
static inline void e32(struct code *c, uint32_t v) { stl32(c->p, v); c->p += 4; }
static inline void e64(struct code *c, uint64_t v) { stl64(c->p, v); c->p += 8; }

/* opcode word: low byte opcode, then map and prefix flags */
#define X0F    0x0100u
#define X0F38  0x0200u
#define X0F3A  0x0300u
#define XMAP   0x0300u
#define XF3    0x0400u
#define XF2    0x0800u
#define X66    0x1000u
#define XGS    0x2000u       /* GS segment override */
#define XB     0x4000u       /* the reg field names a byte register */
#define XBM    0x8000u       /* the rm operand is a byte register */
#define XLOCK  0x10000u
#define PREFIX_CS 0x2e       /* in 64-bit code without a meaning */

/* The next ones append at @p, not in memory, and return what is behind it: a store of a byte may change anything,
 * so a place in memory would be read and written again for each. One byte of displacement counts @unit bytes (EVEX). */
static inline uint8_t *put_disp(uint8_t *p, unsigned mod, int32_t disp, int unit)
{
    if (mod == 0x40) {
        *p = (uint8_t)(disp / unit);
        return p + 1;
    }
    if (mod == 0x80) {
        stl32(p, (uint32_t)disp);
        return p + 4;
    }
    return p;
}

static inline unsigned disp_mod(int b, int32_t disp, int unit)
{
    if (disp == 0 && (b & 7) != RBP)
        return 0;
    return disp % unit == 0 && disp / unit == (int8_t)(disp / unit) ? 0x40 : 0x80;
}

static inline __attribute__((always_inline)) uint8_t *put_modrm_unit(uint8_t *p, unsigned reg, struct opn m, int unit)
{
    unsigned mod;

    reg = (reg & 7) << 3;
    if (m.kind == ON_REG) {
        *p = (uint8_t)(0xc0 | reg | (m.reg & 7));
        return p + 1;
    }
    if (m.kind == ON_ENV) {
        mod = disp_mod(RSP, m.disp, unit);
        stl16(p, (uint16_t)(0x2404 | mod | reg));
        return put_disp(p + 2, mod, m.disp, unit);
    }
    if (m.index == NOREG) {
        mod = disp_mod(m.base, m.disp, unit);
        *p++ = (uint8_t)(mod | reg | (m.base & 7));
        if ((m.base & 7) == RSP)
            *p++ = 0x24;
        return put_disp(p, mod, m.disp, unit);
    }
    if (m.base == NOREG) {   /* index * scale + disp32 */
        stl16(p, (uint16_t)(reg | 4 | m.scale << 14 | (m.index & 7) << 11 | 5 << 8));
        stl32(p + 2, (uint32_t)m.disp);
        return p + 6;
    }
    mod = disp_mod(m.base, m.disp, unit);
    stl16(p, (uint16_t)(mod | reg | 4 | m.scale << 14 | (m.index & 7) << 11 | (m.base & 7) << 8));
    return put_disp(p + 2, mod, m.disp, unit);
}

static inline uint8_t *put_modrm(uint8_t *p, unsigned reg, struct opn m) { return put_modrm_unit(p, reg, m, 1); }
/** modrm() - ModRM, SIB and displacement */
static inline void modrm(struct code *c, unsigned reg, struct opn m) { c->p = put_modrm(c->p, reg, m); }

/* REX bits of the rm operand: X, B */
static inline unsigned rex_rm(struct opn m)
{
    if (m.kind == ON_REG)
        return m.reg >> 3;
    if (m.kind == ON_ENV)
        return 0;
    return (m.index != NOREG ? (m.index >> 3) << 1 : 0) | (m.base != NOREG ? m.base >> 3 : 0);
}

#define XPREFIX (XLOCK | XGS | X66 | XF3 | XF2)
static inline uint8_t *put_prefixes(uint8_t *p, unsigned size, uint32_t op)
{
    if (op & XLOCK)
        *p++ = 0xf0;
    if (op & XGS)
        *p++ = 0x65;
    if (size == 2 || (op & X66))
        *p++ = 0x66;
    if (op & XF3)
        *p++ = 0xf3;
    if (op & XF2)
        *p++ = 0xf2;
    return p;
}

/** ins() - one legacy-encoded instruction; @size 8 sets REX.W, 2 the 66 prefix */
static inline void ins(struct code *c, unsigned size, uint32_t op, int reg, struct opn m)
{
    unsigned rex = (size == 8 ? 8u : 0) | (unsigned)(reg >> 3) << 2 | rex_rm(m);
    uint8_t *p = c->p;

    if ((op & XPREFIX) || size == 2)
        p = put_prefixes(p, size, op);
    if (((op & XB) && reg >= 4) || ((op & XBM) && m.kind == ON_REG && m.reg >= 4))
        rex |= 0x40;
    *p = (uint8_t)(0x40 | rex);
    p += rex != 0;
    if (op & XMAP) {
        *p++ = 0x0f;
        if ((op & XMAP) != X0F)
            *p++ = (op & XMAP) == X0F38 ? 0x38 : 0x3a;
    }
    *p = (uint8_t)op;
    c->p = put_modrm(p + 1, (unsigned)reg, m);
}

/** ins_sz() - an instruction with a byte form at opcode and a word/dword/qword
 *  form at opcode + 1 */
static inline void ins_sz(struct code *c, unsigned size, uint32_t op, int reg, struct opn m)
{
    if (size == 1)
        ins(c, 1, op | XB | XBM, reg, m);
    else
        ins(c, size, (op & ~0xffu) | ((op & 0xff) + 1), reg, m);
}

/** vex() - VEX-encoded instruction; @pp 0 none, 1 66, 2 F3, 3 F2; @map 1..3 */
static inline void vex(struct code *c, unsigned map, unsigned pp, unsigned w, unsigned l,
                       unsigned op, int reg, int vvvv, struct opn m)
{
    unsigned x = rex_rm(m);
    uint8_t *p = c->p;

    p[0] = 0xc4;
    p[1] = (uint8_t)((~reg & 8) << 4 | (~x & 3) << 5 | map);
    p[2] = (uint8_t)(w << 7 | (~vvvv & 15) << 3 | l << 2 | pp);
    p[3] = (uint8_t)op;
    c->p = put_modrm(p + 4, (unsigned)reg, m);
}

/** struct evex - the fields of an EVEX prefix that the operands do not give
 *  @ll: L'L as encoded; @b: broadcast, rounding; @unit: what one byte of displacement
 *  counts multiples of: bytes of the memory operand, of an element where the mask says how many there are
 *  (Intel SDM vol. 2A, section 2.7.5); 0: no memory operand */
struct evex {
    uint8_t map, pp, w, ll, b, z, aaa, unit;
};

/** evex() - EVEX-encoded instruction; registers 0..31 */
static inline void evex(struct code *c, struct evex f, unsigned op, int reg, int vvvv, struct opn m)
{
    unsigned x = rex_rm(m);  /* a register's bit 4 is where an index's bit 3 would be */

    e8(c, 0x62);
    e8(c, (reg & 8 ? 0 : 0x80) | (x & 2 ? 0 : 0x40) | (x & 1 ? 0 : 0x20) | (reg & 16 ? 0 : 0x10) | f.map);
    e8(c, (unsigned)f.w << 7 | (~vvvv & 15) << 3 | 4 | f.pp);
    e8(c, (unsigned)f.z << 7 | (unsigned)f.ll << 5 | (unsigned)f.b << 4 | (vvvv & 16 ? 0 : 8) | f.aaa);
    e8(c, op);
    c->p = put_modrm_unit(c->p, (unsigned)reg, m, f.unit ? f.unit : 1);
}

static inline bool fits32(int64_t v) { return v == (int32_t)v; }

static inline void mov_rr(struct code *c, unsigned size, int d, int s)
{
    ins(c, size == 8 ? 8 : 4, 0x8b, d, o_reg(s));
}

static inline void mov_load(struct code *c, int d, struct opn m) { ins(c, 8, 0x8b, d, m); }
static inline void mov_store(struct code *c, struct opn m, int s) { ins(c, 8, 0x89, s, m); }

/* Flag neutral. */
static inline void mov_imm(struct code *c, int d, uint64_t v)
{
    uint8_t *p = c->p;

    if (v <= 0xffffffffu) {
        if (d >= 8)
            *p++ = 0x41;
        *p = (uint8_t)(0xb8 | (d & 7));
        stl32(p + 1, (uint32_t)v);
        c->p = p + 5;
    } else if (fits32((int64_t)v)) {
        ins(c, 8, 0xc7, 0, o_reg(d));
        e32(c, (uint32_t)v);
    } else {
        e8(c, 0x48 | (d >> 3));
        e8(c, 0xb8 | (d & 7));
        e64(c, v);
    }
}

static inline void mov_env_imm32(struct code *c, size_t off, uint32_t v)
{
    ins(c, 4, 0xc7, 0, o_env(off));
    e32(c, v);
}

/* group 1: 0 ADD 1 OR 2 ADC 3 SBB 4 AND 5 SUB 6 XOR 7 CMP, with an immediate */
static inline void alu_imm(struct code *c, unsigned size, unsigned n, struct opn m, int64_t v)
{
    if (size == 1) {
        ins(c, 1, 0x80 | XBM, (int)n, m);
        e8(c, (unsigned)v);
    } else if (v >= -128 && v <= 127) {
        ins(c, size, 0x83, (int)n, m);
        e8(c, (unsigned)v);
    } else {
        ins(c, size, 0x81, (int)n, m);
        if (size == 2)
            e16(c, (unsigned)v);
        else
            e32(c, (uint32_t)v);
    }
}

/** imm_sz() - the immediate of an operation of @size bytes (8: four, sign-extended) */
static inline void imm_sz(struct code *c, unsigned size, int64_t v)
{
    if (size == 1)
        e8(c, (unsigned)v);
    else if (size == 2)
        e16(c, (unsigned)v);
    else
        e32(c, (uint32_t)v);
}

enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

static inline void alu_rm(struct code *c, unsigned size, unsigned n, int d, struct opn m)
{
    ins_sz(c, size, n << 3 | 2, d, m);
}

static inline void alu_mr(struct code *c, unsigned size, unsigned n, struct opn m, int s)
{
    ins_sz(c, size, n << 3, s, m);
}

static inline void patch32(uint8_t *at, const uint8_t *target)
{
    stl32(at, (uint32_t)(target - (at + 4)));
}

/* jumps: return where the rel32 is, to be patched */
static inline uint8_t *jcc32(struct code *c, unsigned cc)
{
    uint8_t *p = c->p;

    stl16(p, (uint16_t)(0x800f | cc << 8));
    stl32(p + 2, 0);
    c->p = p + 6;
    rel_note(c, p + 2, REL_REL32);
    return p + 2;
}

/** lea_rip() - @r = an address in the same part of the block; the rel32, as jcc32()'s */
static inline uint8_t *lea_rip(struct code *c, int r)
{
    e8(c, 0x48 | (r >> 3) << 2);
    e8(c, 0x8d);
    e8(c, 0x05 | (r & 7) << 3);
    rel_note(c, c->p, REL_REL32);
    e32(c, 0);
    return c->p - 4;
}

/* E8 CALL or E9 JMP to @target */
static inline uint8_t *rel32_to(struct code *c, unsigned op, const uint8_t *target)
{
    uint8_t *p = c->p;

    *p = (uint8_t)op;
    patch32(p + 1, target);
    c->p = p + 5;
    rel_note(c, p + 1, REL_REL32);
    return p + 1;
}

static inline uint8_t *jmp32(struct code *c) { return rel32_to(c, 0xe9, c->p + 5); }
static inline void jmp_to(struct code *c, const uint8_t *target) { rel32_to(c, 0xe9, target); }

static inline void push(struct code *c, int r) { if (r >= 8) e8(c, 0x41); e8(c, 0x50 | (r & 7)); }
static inline void pop(struct code *c, int r) { if (r >= 8) e8(c, 0x41); e8(c, 0x58 | (r & 7)); }

static inline void call_to(struct code *c, const uint8_t *target) { rel32_to(c, 0xe8, target); }

#endif
