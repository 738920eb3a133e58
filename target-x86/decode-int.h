/*
 * decode-int.h - the instruction table and what the decoder makes of bytes
 *
 * Tables: insn.def (integer, string, control, system), insn-simd.def (x87, MMX,
 * SSE, AVX) and insn-evex.def (AVX-512), one row an instruction form:
 *
 *     op     name dst a   b   read, written, attributes       handler, argument
 *   INSN(00,     ADD, Eb, Eb, Gb, NONE, F_ARITH, LOCKABLE,         alu, IR_ADD)
 *   INSN(0FAE,  MFENCE, __, __, __, NONE, NONE, X6 | REG,          fence, 0)
 *   INSN(0F58, ADDPS, Vps, Vps, Wps, NONE, NONE, PNP | FT(SSE),    vec, 0)
 *   INSN(0F58, VADDPS, Vps, Hps, Wps, NONE, NONE, PNP | VEX | FT(AVX), vec, 0)
 *
 * op is bare hexadecimal with its escape bytes (0Fxx, 0F38xx, 0F3Axx); VEX rows
 * use the same numbers and the attribute VEX. The handler is tr_<handler>(x),
 * its argument x->row->arg. Rows of one opcode (and of one VEX-ness) stand
 * together in their file; a LATER row is tried FIRST, so exceptions follow the
 * general form. When no row matches: #UD.
 */
#ifndef TARGET_X86_DECODE_INT_H
#define TARGET_X86_DECODE_INT_H

#include "target-x86/x86.h"

/* ---- attributes ------------------------------------------------------------
 * Low 32 bits: conditions. A row matches when each group either has no bit
 * set or has the bit set that describes the instruction. */
#define ROW_ATTRS(X)                                                            \
    X(PNP, 0) X(P66, 1) X(PF3, 2) X(PF2, 3)      /* mandatory prefix: the last of F2/F3, else 66, else none */ \
    X(MEM, 4) X(REG, 5)                          /* modrm.mod != 3, == 3 */      \
    X(X0, 6) X(X1, 7) X(X2, 8) X(X3, 9) X(X4, 10) X(X5, 11) X(X6, 12) X(X7, 13) /* modrm.reg */ \
    X(RM0, 14) X(RM1, 15) X(RM2, 16) X(RM3, 17) X(RM4, 18) X(RM5, 19) X(RM6, 20) X(RM7, 21) \
    X(NO64, 22) X(ONLY64, 23)                    /* not in / only in 64-bit code */ \
    X(W0, 24) X(W1, 25)                          /* REX.W / VEX.W */             \
    X(L0, 26) X(L1, 27) X(L2, 28)                /* VEX.L, EVEX.L'L */           \
    /* not conditions: */                                                        \
    X(LOCKABLE, 32)   /* LOCK allowed (with a memory destination) */             \
    X(CPL0, 33)       /* #GP(0) unless CPL is 0 */                               \
    X(ENDS_BLOCK, 34) /* state changed that translation depends on: EXIT after */ \
    X(D64, 35)        /* operand size 8 by default in 64-bit code */             \
    X(F64, 36)        /* operand size 8 always in 64-bit code */                 \
    X(PMODE, 37)      /* #UD in real and virtual-8086 mode */                    \
    X(PLUSR, 38)      /* low three opcode bits are a register: eight opcodes */  \
    X(PLUSC, 39)      /* low four opcode bits are a condition: sixteen opcodes */ \
    X(MODRM, 40)      /* has a modrm byte though no operand says so */           \
    X(IMM8, 41)       /* an imm8 follows besides the operands' own (ENTER: imm2) */ \
    X(VEX, 42) X(EVEX, 43)                                                       \
    X(VSIB, 44)       /* memory operand has a vector index */                    \
    X(ANYV, 45)       /* VEX.vvvv used although no operand says so */            \
    X(ALIGNED, 46)    /* memory operand must be aligned to its size (#GP) */     \
    X(STORES, 47)     /* vector: the memory operand is written */                \
    X(LOADS, 48)      /* vector: it is read even though it is the destination */ \
    X(FPFAULT, 49)    /* may raise a numeric exception */                        \
    X(REPOK, 50)      /* string instruction: takes REP */                        \
    X(NOSSECHK, 51)   /* vector row without the CR0/CR4 checks of SSE */         \
    X(WAITS, 52)      /* x87: reports a pending exception first */

enum {
#define X(n, b) AB_##n = b,
    ROW_ATTRS(X)
#undef X
};
#define A_(n) (1ull << AB_##n)
#define A_GROUP(from, to) (((2ull << AB_##to) - 1) & ~((1ull << AB_##from) - 1))

/* features a row depends on: FT(name); absent: the row does not exist */
#define ROW_FEATURES(X)                                                          \
    X(CMOV, 1_EDX, 15) X(CX8, 1_EDX, 8) X(TSC, 1_EDX, 4) X(SEP, 1_EDX, 11)       \
    X(CLFSH, 1_EDX, 19) X(MMX, 1_EDX, 23) X(FXSR, 1_EDX, 24) X(SSE, 1_EDX, 25)   \
    X(SSE2, 1_EDX, 26) X(MSR, 1_EDX, 5)                                          \
    X(SSE3, 1_ECX, 0) X(PCLMUL, 1_ECX, 1) X(MONITOR, 1_ECX, 3) X(SSSE3, 1_ECX, 9) \
    X(FMA, 1_ECX, 12) X(CX16, 1_ECX, 13) X(SSE41, 1_ECX, 19) X(SSE42, 1_ECX, 20) \
    X(MOVBE, 1_ECX, 22) X(POPCNT, 1_ECX, 23) X(AES, 1_ECX, 25) X(XSAVE, 1_ECX, 26) \
    X(AVX, 1_ECX, 28) X(F16C, 1_ECX, 29) X(RDRAND, 1_ECX, 30)                    \
    X(FSGSBASE, 7_EBX, 0) X(BMI1, 7_EBX, 3) X(AVX2, 7_EBX, 5) X(BMI2, 7_EBX, 8)  \
    X(INVPCID, 7_EBX, 10) X(RDSEED, 7_EBX, 18) X(ADX, 7_EBX, 19) X(SMAP, 7_EBX, 20) \
    X(CLFLUSHOPT, 7_EBX, 23) X(CLWB, 7_EBX, 24) X(SHA, 7_EBX, 29)                \
    X(PKU, 7_ECX, 3) X(GFNI, 7_ECX, 8) X(VAES, 7_ECX, 9) X(VPCLMUL, 7_ECX, 10)   \
    X(RDPID, 7_ECX, 22)                                                          \
    X(SYSCALL, 80000001_EDX, 11) X(RDTSCP, 80000001_EDX, 27)                     \
    X(LAHF64, 80000001_ECX, 0) X(LZCNT, 80000001_ECX, 5) X(SSE4A, 80000001_ECX, 6) \
    X(PREFETCHW, 80000001_ECX, 8)                                                \
    X(XSAVEOPT, XSAVE, 0) X(XSAVEC, XSAVE, 1) X(XGETBV1, XSAVE, 2) X(XSAVES, XSAVE, 3) \
    X(AVXVNNI, 7_1_EAX, 4)                                                       \
    X(AVX512F, 7_EBX, 16) X(AVX512DQ, 7_EBX, 17) X(AVX512IFMA, 7_EBX, 21)       \
    X(AVX512CD, 7_EBX, 28) X(AVX512BW, 7_EBX, 30) X(AVX512VL, 7_EBX, 31)         \
    X(AVX512VBMI, 7_ECX, 1) X(AVX512VBMI2, 7_ECX, 6) X(AVX512VNNI, 7_ECX, 11)    \
    X(AVX512BITALG, 7_ECX, 12) X(AVX512VPOPCNTDQ, 7_ECX, 14)                     \
    X(CLDEMOTE, 7_ECX, 25) X(MOVDIRI, 7_ECX, 27) X(MOVDIR64B, 7_ECX, 28)         \
    X(SERIALIZE, 7_EDX, 14) X(WBNOINVD, 80000008_EBX, 9) X(CLZERO, 80000008_EBX, 0)                         \
    X(AVX512BF16, 7_1_EAX, 5)

enum x86_ft {
    FT_NONE,
#define X(n, w, b) FT_##n,
    ROW_FEATURES(X)
#undef X
    FT_COUNT
};
#define AB_FT_SHIFT 56

/* flags columns */
enum { NONE = 0, F_ARITH = IRF_ALL, F_C = IRF_C, F_Z = IRF_Z, F_P = IRF_P, F_O = IRF_O,
       F_NOTC = IRF_ALL & ~IRF_C, F_CO = IRF_C | IRF_O };

/* ---- operands -------------------------------------------------------------- */
enum opnd_kind { K_NONE, K_E, K_G, K_M, K_R, K_I, K_Iw, K_Iz, K_Iv, K_J, K_Jz, K_Ap, K_O,
                 K_Z, K_A, K_C, K_D, K_One, K_S, K_Cr, K_Dr, K_B, K_X, K_Y,
                 K_V, K_W, K_H, K_U, K_L, K_P, K_Q, K_N, K_St0, K_Sti, K_KR, K_KV, K_KM, K_COUNT };
enum opnd_size { Z_n, Z_b, Z_w, Z_d, Z_q, Z_v, Z_z, Z_y, Z_dq, Z_x, Z_qq, Z_t, Z_p,
                 Z_xh, Z_xq, Z_xo };
/* what follows modrm/disp */
enum imm_code { IMM_NONE, IMM_B, IMM_W, IMM_Z, IMM_V, IMM_O, IMM_A };

/* an operand constant: kind 0-5, size 6-9, imm_code 10-12, VVVV 13, MODRM 15 */
enum { OP_VVVV = 1 << 13, OP_MODRM = 1 << 15 };
#define OP_FLAGS(k)                                                             \
    (((k) == K_E || (k) == K_G || (k) == K_M || (k) == K_R || (k) == K_S || (k) == K_Cr || \
      (k) == K_Dr || (k) == K_V || (k) == K_W || (k) == K_U || (k) == K_P ||    \
      (k) == K_Q || (k) == K_N || (k) == K_Sti || (k) == K_St0 || (k) == K_KR || \
      (k) == K_KM ? OP_MODRM : 0) |                                              \
     ((k) == K_B || (k) == K_H || (k) == K_KV ? OP_VVVV : 0) |                  \
     ((k) == K_I || (k) == K_J || (k) == K_L ? IMM_B << 10 : 0) |               \
     ((k) == K_Iw ? IMM_W << 10 : 0) | ((k) == K_Iz || (k) == K_Jz ? IMM_Z << 10 : 0) | \
     ((k) == K_Iv ? IMM_V << 10 : 0) | ((k) == K_O ? IMM_O << 10 : 0) |         \
     ((k) == K_Ap ? IMM_A << 10 : 0))
enum opnd {
    O___ = 0,
#define OPND(n, k, z) O_##n = K_##k | Z_##z << 6 | OP_FLAGS(K_##k),
#include "target-x86/operands.def"
#undef OPND
};
static inline enum opnd_kind opnd_kind(unsigned o) { return (enum opnd_kind)(o & 63); }
static inline enum opnd_size opnd_size(unsigned o) { return (enum opnd_size)(o >> 6 & 15); }

/* ---- rows -------------------------------------------------------------------- */
struct xlat;

/** struct x86_row - one line of the table, with what the decoder derives from it */
struct x86_row {
    uint32_t forbid;       /* conditions (low attribute bits) that exclude the row */
    uint16_t op;           /* opcode byte | map << 8 (enum x86_map) */
    uint8_t span;          /* further opcodes: 0, 7 (PLUSR), 15 (PLUSC) */
    uint8_t imm;           /* enum imm_code */
    uint16_t dst, a, b;    /* enum opnd */
    uint8_t rf, wf;        /* IRF_* read, written (or undefined after) */
    bool modrm, vvvv;      /* has modrm; uses VEX.vvvv */
    bool vl;               /* EVEX: lengths below 512 need AVX512VL */
    uint32_t arg;
    uint64_t attr;
    void (*tr)(struct xlat *x);
    const char *name;
};
enum x86_map { MAP_1B, MAP_0F, MAP_0F38, MAP_0F3A, MAP_VEX = 4, MAP_EVEX = 8, MAP_COUNT = 12 };

/*
 * Argument of EVEX rows: what the prefix may say (the rest is #UD), and element
 * sizes. The mask has vector length / ev_mask_elem() bits (so that is the wider of
 * source and destination element); broadcast, compressed disp8 and fault suppression
 * go by the element in memory. disp8 is scaled by the whole memory operand, or by an
 * element with broadcast, EV_COMPACT and VSIB.
 */
enum {
    EV_K = 1 << 8,         /* EVEX.aaa may name a write mask */
    EV_Z = 1 << 9,         /* EVEX.z: zeroing, when the destination is a register */
    EV_KREQ = 1 << 10,     /* mask k0 is #UD */
    EV_BC = 1 << 11,       /* EVEX.b with a memory operand: broadcast */
    EV_RC = 1 << 12,       /* EVEX.b with registers: rounding by L'L, exceptions suppressed */
    EV_SAE = 1 << 13,      /* the same, without rounding */
    EV_NF = 1 << 14,       /* reads memory even for elements that are masked off */
    EV_COMPACT = 1 << 15,  /* memory holds the elements selected by the mask only */
    EV_SCALAR = 1 << 16,   /* one element; L'L is ignored (3 is #UD as ever) */
};
#define EV_LOG2(n) ((n) == 1 ? 0u : (n) == 2 ? 1u : (n) == 4 ? 2u : (n) == 8 ? 3u : 4u)
#define EV_ELEM(mask, mem) (EV_LOG2(mask) << 20 | EV_LOG2(mem) << 24)
static inline unsigned ev_mask_elem(uint32_t arg) { return 1u << (arg >> 20 & 7); }
static inline unsigned ev_mem_elem(uint32_t arg) { return 1u << (arg >> 24 & 7); }

static inline bool row_has(const struct x86_row *r, unsigned bit) { return r->attr >> bit & 1; }
#define ROW_HAS(r, n) row_has(r, AB_##n)

extern const struct x86_row x86_rows[];   /* row 0 is a placeholder: "no such instruction" */
/** x86_row_count()/x86_row_name() - enumerate the table (coverage); index 1..count-1 */
unsigned x86_row_count(void);
const char *x86_row_name(unsigned i);
/** x86_last_integer_row() - number of insn.def's last row; insn-simd.def's follow, */
unsigned x86_last_integer_row(void);
/** x86_last_avx_row() - up to this one; then insn-evex.def's */
unsigned x86_last_avx_row(void);

/* ---- a decoded instruction ------------------------------------------------------ */
enum { PFX_OPSIZE = 1, PFX_ADSIZE = 2, PFX_LOCK = 4, PFX_REP = 8, PFX_REPNE = 16, PFX_SEG = 32 };
enum x86_enc { ENC_LEGACY, ENC_VEX, ENC_EVEX };
enum x86_dec { DEC_OK, DEC_UD, DEC_LONG /* > 15 bytes: #GP(0) */, DEC_SHORT /* bytes ran out */ };
enum { REGNO_NONE = 0xff, REGNO_RIP = 0xfe };

struct x86_insn {
    const struct x86_row *row;  /* never NULL; x86_rows[0] when undefined */
    uint8_t err;           /* enum x86_dec */
    uint8_t len;           /* bytes, 1..15 */
    uint8_t bits;          /* code size 16, 32, 64 */
    uint8_t prefixes;      /* PFX_*; of F2/F3 only the last is recorded */
    uint8_t enc;           /* enum x86_enc */
    uint8_t map;           /* 0 one byte, 1 0F, 2 0F38, 3 0F3A (VEX, EVEX likewise) */
    uint8_t opcode;
    uint8_t pp;            /* mandatory prefix 0 none, 1 66, 2 F3, 3 F2 (VEX.pp or legacy) */
    uint8_t rex;           /* raw REX byte or 0; VEX: 0x40 | W R X B as if REX */
    uint8_t opsize;        /* 2, 4, 8 */
    uint8_t addrsize;      /* 2, 4, 8 */
    uint8_t w, l;          /* REX.W/VEX.W; VEX.L; EVEX: 2 is 512 bits, also for embedded rounding */
    uint8_t vvvv;          /* 0..15, EVEX 0..31, already inverted */
    uint8_t aaa;           /* EVEX: mask register; */
    bool z, bcast;         /* zeroing; the memory operand is one element, repeated; */
    uint8_t rc;            /* embedded rounding or SAE: 1 + L'L; 0: none */
    uint8_t p0;            /* its first byte: R X B R' inverted, map */
    uint8_t modrm;         /* raw */
    uint8_t reg, rm;       /* modrm.reg | REX.R << 3; modrm.rm | REX.B << 3; EVEX vectors 0..31 */
    bool has_modrm, mem;   /* mem: mod != 3, the fields below are valid */
    uint8_t base, index;   /* register number, REGNO_NONE, REGNO_RIP (base); VSIB: vector 0..31 */
    uint8_t scale;         /* shift 0..3 */
    uint8_t seg;           /* segment of the memory operand (override applied) */
    uint8_t seg_ovr;       /* override prefix's segment or REGNO_NONE */
    int32_t disp;
    int64_t imm;           /* sign-extended (Iw zero-extended; moffs, far offset zero-extended) */
    uint16_t imm2;         /* far selector; ENTER level; second imm8 */
};

#define X86_DECODE_ROOM 48u     /* 15 bytes of prefixes, and all that could follow them */
/**
 * x86_decode_with() - decode one instruction
 * @bytes, @len: code; at most 15 are looked at. It is faster with X86_DECODE_ROOM or more
 * @bits: code segment size 16, 32 or 64
 * @m: features decide which rows exist; NULL: all of them
 *
 * Returns the length (also kept in out->len), or 0 when @len bytes do not hold a
 * whole instruction (out->err DEC_SHORT). An undefined opcode returns the
 * bytes looked at so far with out->err DEC_UD. Never reads past @len.
 * Source: Intel SDM vol. 2A chapter 2.
 */
int x86_decode_with(const uint8_t *bytes, unsigned len, unsigned bits,
                    const struct x86_model *m, struct x86_insn *out);
/** x86_decode() - the same with every row present */
int x86_decode(const uint8_t *bytes, unsigned len, unsigned bits, struct x86_insn *out);

/** opnd_bytes() - size in bytes of operand @o in @in; 0 when it has none */
unsigned opnd_bytes(const struct x86_insn *in, unsigned o);
/** insn_mem_bytes() - bytes of memory that @in accesses as one operand; a broadcast
 *  one's element; EV_COMPACT: when all elements are enabled; 0: not known here */
unsigned insn_mem_bytes(const struct x86_insn *in);

#endif
