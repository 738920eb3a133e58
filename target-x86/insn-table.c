/*
 * insn-table.c - insn.def, insn-simd.def and insn-evex.def as constant tables
 *
 * The rows in file order, and for each opcode the LAST row it may be: the
 * compiler lets a later initialiser of the same element win, so walking
 * backwards from there meets the exceptions before the general form.
 */
#include "target-x86/tr-int.h"
#include "target-x86/insn-table.h"

/* attribute and feature names as the tables write them */
#define PNP A_(PNP)
#define P66 A_(P66)
#define PF3 A_(PF3)
#define PF2 A_(PF2)
#define MEM A_(MEM)
#define REG A_(REG)
#define X0 A_(X0)
#define X1 A_(X1)
#define X2 A_(X2)
#define X3 A_(X3)
#define X4 A_(X4)
#define X5 A_(X5)
#define X6 A_(X6)
#define X7 A_(X7)
#define RM0 A_(RM0)
#define RM1 A_(RM1)
#define RM2 A_(RM2)
#define RM3 A_(RM3)
#define RM4 A_(RM4)
#define RM5 A_(RM5)
#define RM6 A_(RM6)
#define RM7 A_(RM7)
#define NO64 A_(NO64)
#define ONLY64 A_(ONLY64)
#define W0 A_(W0)
#define W1 A_(W1)
#define L0 A_(L0)
#define L1 A_(L1)
#define L2 A_(L2)
#define LOCKABLE A_(LOCKABLE)
#define CPL0 A_(CPL0)
#define ENDS_BLOCK A_(ENDS_BLOCK)
#define D64 A_(D64)
#define F64 A_(F64)
#define PMODE A_(PMODE)
#define PLUSR A_(PLUSR)
#define PLUSC A_(PLUSC)
#define MODRM A_(MODRM)
#define IMM8 A_(IMM8)
#define VEX A_(VEX)
#define EVEX A_(EVEX)
#define VSIB A_(VSIB)
#define ANYV A_(ANYV)
#define ALIGNED A_(ALIGNED)
#define STORES A_(STORES)
#define LOADS A_(LOADS)
#define FPFAULT A_(FPFAULT)
#define REPOK A_(REPOK)
#define NOSSECHK A_(NOSSECHK)
#define WAITS A_(WAITS)
#define FT(n) ((uint64_t)FT_##n << AB_FT_SHIFT)

/* a group's missing conditions, when the row names any of the group */
#define NOT_IN(at, g) ((uint32_t)(((at) & (g)) ? (g) & ~(at) : 0))
#define G_PFX A_GROUP(PNP, PF2)
#define G_MOD A_GROUP(MEM, REG)
#define G_REG A_GROUP(X0, X7)
#define G_RM A_GROUP(RM0, RM7)
#define G_64 A_GROUP(NO64, ONLY64)
#define G_W A_GROUP(W0, W1)
#define G_L A_GROUP(L0, L2)
#define ROW_FORBID(at)                                                        \
    (NOT_IN(at, G_PFX) | NOT_IN(at, G_MOD) | NOT_IN(at, G_REG) | NOT_IN(at, G_RM) | \
     NOT_IN(at, G_64) | NOT_IN(at, G_W) | NOT_IN(at, G_L))

#define ROW_MAP(op, at)                                                       \
    (((op) >> 8 == 0xf38 ? MAP_0F38 : (op) >> 8 == 0xf3a ? MAP_0F3A :         \
      (op) >> 8 == 0xf ? MAP_0F : MAP_1B) |                                   \
     ((at) & A_(VEX) ? MAP_VEX : (at) & A_(EVEX) ? MAP_EVEX : 0))
#define ROW_OP(op, at) (ROW_MAP(op, at) << 8 | ((op) & 0xff))
#define ROW_SPAN(at) ((at) & A_(PLUSR) ? 7 : (at) & A_(PLUSC) ? 15 : 0)
#define ROW_IMM(d, s, t, at)                                                  \
    ((((d) | (s) | (t)) >> 10 & 7) ? (((d) | (s) | (t)) >> 10 & 7)            \
                                   : ((at) & A_(IMM8)) ? IMM_B : IMM_NONE)
/* an operand whose size follows the vector length */
#define OPND_VARIES(o)                                                        \
    (((o) >> 6 & 15) == Z_x || ((o) >> 6 & 15) == Z_xh || ((o) >> 6 & 15) == Z_xq || ((o) >> 6 & 15) == Z_xo)
#define ROW_VL(d, s, t, at)                                                   \
    (((at) & A_(EVEX)) && (OPND_VARIES(d) || OPND_VARIES(s) || OPND_VARIES(t)))
#define ROW_MODRM(d, s, t, at)                                                \
    ((((d) | (s) | (t)) & OP_MODRM) || ((at) & (A_(MODRM) | G_MOD | G_REG | G_RM)))

const struct x86_row x86_rows[] = {
    { .name = "(bad)" },
#define INSN(o, n, d, s, t, r, w, at, h, ar)                                  \
    { .forbid = ROW_FORBID(at), .op = ROW_OP(0x##o, at), .span = ROW_SPAN(at), \
      .imm = ROW_IMM(O_##d, O_##s, O_##t, at), .dst = O_##d, .a = O_##s, .b = O_##t, \
      .rf = r, .wf = w, .modrm = ROW_MODRM(O_##d, O_##s, O_##t, at),          \
      .vvvv = ((O_##d | O_##s | O_##t) & OP_VVVV) || ((at) & A_(ANYV)),       \
      .vl = ROW_VL(O_##d, O_##s, O_##t, at),                                  \
      .arg = ar, .attr = at, .tr = tr_##h, .name = #n },
#include "target-x86/insn.def"
#include "target-x86/insn-simd.def"
#include "target-x86/insn-evex.def"
#undef INSN
};

/* row numbers, in the same order */
#define ROW_ENUM_(n, l) ROW_##n##_##l
#define ROW_ENUM(n, l) ROW_ENUM_(n, l)
enum int_rows {
    ROW_0,
#define INSN(o, n, d, s, t, r, w, at, h, ar) ROW_ENUM(I, __LINE__),
#include "target-x86/insn.def"
#undef INSN
    INT_ROWS
};
enum simd_rows {
    SIMD_0 = INT_ROWS - 1,
#define INSN(o, n, d, s, t, r, w, at, h, ar) ROW_ENUM(S, __LINE__),
#include "target-x86/insn-simd.def"
#undef INSN
    SIMD_ROWS
};
enum evex_rows {
    EVEX_0 = SIMD_ROWS - 1,
#define INSN(o, n, d, s, t, r, w, at, h, ar) ROW_ENUM(E, __LINE__),
#include "target-x86/insn-evex.def"
#undef INSN
    ALL_ROWS
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
const uint16_t x86_last_int_row[MAP_COUNT * 256] = {
#define INSN(o, n, d, s, t, r, w, at, h, ar)                                  \
    [ROW_OP(0x##o, at) ... ROW_OP(0x##o, at) + ROW_SPAN(at)] = ROW_ENUM(I, __LINE__),
#include "target-x86/insn.def"
#undef INSN
};
const uint16_t x86_last_simd_row[MAP_COUNT * 256] = {
#define INSN(o, n, d, s, t, r, w, at, h, ar)                                  \
    [ROW_OP(0x##o, at) ... ROW_OP(0x##o, at) + ROW_SPAN(at)] = ROW_ENUM(S, __LINE__),
#include "target-x86/insn-simd.def"
#undef INSN
};
const uint16_t x86_last_evex_row[MAP_COUNT * 256] = {
#define INSN(o, n, d, s, t, r, w, at, h, ar)                                  \
    [ROW_OP(0x##o, at) ... ROW_OP(0x##o, at) + ROW_SPAN(at)] = ROW_ENUM(E, __LINE__),
#include "target-x86/insn-evex.def"
#undef INSN
};
#pragma GCC diagnostic pop

const struct x86_ft_bit x86_ft_bits[FT_COUNT] = {
#define X(n, w, b) [FT_##n] = { FEAT_##w, b },
    ROW_FEATURES(X)
#undef X
};

unsigned x86_row_count(void)
{
    return ALL_ROWS;
}

unsigned x86_last_integer_row(void)
{
    return INT_ROWS - 1;
}

unsigned x86_last_avx_row(void)
{
    return SIMD_ROWS - 1;
}

const char *x86_row_name(unsigned i)
{
    return i < ALL_ROWS ? x86_rows[i].name : NULL;
}
