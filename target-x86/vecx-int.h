/*
 * vecx-int.h - portable vector execution: what its files share
 */
#ifndef TARGET_X86_VECX_INT_H
#define TARGET_X86_VECX_INT_H

#include "target-x86/x86.h"
#include "target-x86/x87-soft.h"

/* a vector register by lanes; MMX uses the low 8 bytes */
union vreg {
    uint8_t b[64];
    uint16_t w[32];
    uint32_t d[16];
    uint64_t q[8];
    u128 x[4];
};

/**
 * struct vx - one vector instruction in execution
 * @d: destination; before the operation: see enum vform
 * @a, @b: first and second source
 * @c: what the destination held (VEX and EVEX)
 * @n: bytes of vector the operation works on: 8 (MMX), 16, 32, 64
 * @gin, @gout: general register in and out
 * @fl: F bits, written when @set_fl
 */
struct vx {
    struct x86_cpu *cpu;
    const struct ir_vec *v;
    union vreg d, a, b, c;
    unsigned n;
    uint8_t imm;
    bool vex, set_fl, no_wb;
    uint32_t fl;
    uint64_t gin, gout;
    struct sf_env env;
    uint8_t flags_done;   /* status flags of finished steps (DPPS has several) */
    /* EVEX, otherwise 0 */
    uint8_t es, ss;       /* bytes of an element: that masks count; of the source */
    unsigned lanes;       /* elements of the result */
    uint64_t k;           /* elements wanted, bit i for element i */
    uint64_t kout;        /* result in a mask register */
};

enum vform {
    VF_NONE,
    VF_BIN,   /* reg = vvvv (legacy: reg) op rm; d starts as the first source */
    VF_UN,    /* reg = op rm; a is the old reg, d starts as 0 */
    VF_ST,    /* rm = op reg: a is reg, b is rm (VEX: vvvv); d starts as b */
    VF_SHI,   /* rm (VEX: vvvv) = a shifted by imm, a is rm */
    VF_TEST,  /* flags of reg, rm; nothing written unless the operation does */
    VF_K,     /* on opmask registers: a, b and d are 64-bit masks (evex-mask.c) */
};

typedef void (*vfn)(struct vx *x);
struct vrow {
    vfn fn;
    uint8_t form;
};

#define VOP(map, pp, opcode, form, name) void vx_##name(struct vx *x);
#include "target-x86/vec-ops.def"
#undef VOP

/* ---- floating-point elements (vec-fp.c): one value in format @f each ---- */

/** vx_nan() - result of an operation one of whose operands is a NaN */
uint64_t vx_nan(struct sf_env *e, const struct sf_fmt *f, struct sf a, struct sf b);
/** vx_invalid() - the default NaN, with IE */
uint64_t vx_invalid(struct sf_env *e, const struct sf_fmt *f);
/** vx_finish() - round to @f and pack; SF_UNSUP is an invalid operation */
uint64_t vx_finish(struct sf_env *e, const struct sf_fmt *f, struct sf r);
/** vx_denorm() - an unpacked operand back in the form that sf_pack() takes */
struct sf vx_denorm(struct sf s, const struct sf_fmt *f);
/** vx_compare() - result of predicate @imm (0..31) of CMPxx */
bool vx_compare(struct sf_env *e, const struct sf_fmt *f, uint64_t a, uint64_t b, unsigned imm);
uint64_t vx_f2f(struct sf_env *e, const struct sf_fmt *to, const struct sf_fmt *from, uint64_t v);
/** vx_f2i() - to a signed integer of @bits; @trunc: towards zero */
uint64_t vx_f2i(struct sf_env *e, const struct sf_fmt *f, uint64_t v, unsigned bits, bool trunc);
/** vx_muladd() - a * b + c, the product and c negated on demand */
uint64_t vx_muladd(struct sf_env *e, const struct sf_fmt *f, uint64_t a, uint64_t b, uint64_t c,
                   bool neg_mul, bool neg_add);

/** vx_fp_step() - end of a step of arithmetic: its flags are counted; false: one
 *  of them is unmasked, the instruction ends here */
bool vx_fp_step(struct vx *x);
/** vx_xmm0() - low 128 bits of XMM0, the implicit operand of some operations */
static inline uint8_t *vx_xmm0(struct vx *x) { return x->cpu->fx.xmm[0]; }

/** vx_load_env() - rounding, masks, DAZ and FTZ from MXCSR */
void vx_load_env(struct vx *x);
/** vx_deliver() - status flags to MXCSR; false: an exception is unmasked and was raised */
bool vx_deliver(struct vx *x);
/** vx_missing() - no implementation: logs, raises #UD and returns false */
bool vx_missing(struct x86_cpu *cpu, const struct ir_vec *v);
/** k_exec() - an instruction on opmask registers, row @row; as x86_vec_exec() */
bool k_exec(struct vx *x, const struct vrow *row, void *mem, uint64_t *gpr);
/** evex_exec() - an EVEX instruction; as x86_vec_exec(). @x: cpu, v, imm, gin are set */
bool evex_exec(struct vx *x, void *mem, uint64_t *gpr);

/** x87_exec() - an x87 instruction; as x86_vec_exec() */
bool x87_exec(struct x86_cpu *cpu, const struct ir_vec *v, void *mem, uint64_t *gpr);
/** x87_pending() - a waiting instruction begins: false when it raised #MF */
bool x87_pending(struct x86_cpu *cpu);
/** x87_to_mmx() - TOP = 0, all registers valid: what every MMX instruction does */
void x87_to_mmx(struct x86_cpu *cpu);

#endif
