/*
 * vecx-int.h - portable vector execution: what its files share
 */
#ifndef TARGET_X86_VECX_INT_H
#define TARGET_X86_VECX_INT_H

#include "target-x86/x86.h"
#include "target-x86/x87-soft.h"

/* a vector register by lanes; MMX uses the low 8 bytes */
union vreg {
    uint8_t b[32];
    uint16_t w[16];
    uint32_t d[8];
    uint64_t q[4];
    u128 x[2];
};

/**
 * struct vx - one vector instruction in execution
 * @d: destination; before the operation: see enum vform
 * @a, @b: first and second source
 * @n: bytes of vector the operation works on: 8 (MMX), 16, 32
 * @gin, @gout: general register in and out
 * @fl: F bits, written when @set_fl
 */
struct vx {
    struct x86_cpu *cpu;
    const struct ir_vec *v;
    union vreg d, a, b;
    unsigned n;
    uint8_t imm;
    bool vex, set_fl, no_wb;
    uint32_t fl;
    uint64_t gin, gout;
    struct sf_env env;
    uint8_t flags_done;   /* status flags of finished steps (DPPS has several) */
};

enum vform {
    VF_NONE,
    VF_BIN,   /* reg = vvvv (legacy: reg) op rm; d starts as the first source */
    VF_UN,    /* reg = op rm; a is the old reg, d starts as 0 */
    VF_ST,    /* rm = op reg: a is reg, b is rm (VEX: vvvv); d starts as b */
    VF_SHI,   /* rm (VEX: vvvv) = a shifted by imm, a is rm */
    VF_TEST,  /* flags of reg, rm; nothing written unless the operation does */
};

typedef void (*vfn)(struct vx *x);
struct vrow {
    vfn fn;
    uint8_t form;
};

#define VOP(map, pp, opcode, form, name) void vx_##name(struct vx *x);
#include "target-x86/vec-ops.def"
#undef VOP

/** vx_fp_step() - end of a step of arithmetic: its flags are counted; false: one
 *  of them is unmasked, the instruction ends here */
bool vx_fp_step(struct vx *x);
/** vx_xmm0() - low 128 bits of XMM0, the implicit operand of some operations */
static inline uint8_t *vx_xmm0(struct vx *x) { return x->cpu->fx.xmm[0]; }

/** x87_exec() - an x87 instruction; as x86_vec_exec() */
bool x87_exec(struct x86_cpu *cpu, const struct ir_vec *v, void *mem, uint64_t *gpr);
/** x87_pending() - a waiting instruction begins: false when it raised #MF */
bool x87_pending(struct x86_cpu *cpu);
/** x87_to_mmx() - TOP = 0, all registers valid: what every MMX instruction does */
void x87_to_mmx(struct x86_cpu *cpu);

#endif
