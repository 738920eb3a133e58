/*
 * xsave-int.h - layout of the XSAVE area, and what xsave.c takes from fpu-state.c
 */
#ifndef TARGET_X86_XSAVE_INT_H
#define TARGET_X86_XSAVE_INT_H

#include "target-x86/x86.h"

/* state components as XCR0 numbers them */
enum {
    XC_X87 = 1 << 0, XC_SSE = 1 << 1, XC_AVX = 1 << 2, XC_OPMASK = 1 << 5, XC_ZMM_HI256 = 1 << 6,
    XC_HI16_ZMM = 1 << 7, XC_PKRU = 1 << 9, XC_AVX512 = XC_OPMASK | XC_ZMM_HI256 | XC_HI16_ZMM,
    XC_COUNT = 10,
};
enum {
    FX_BYTES = 512, FX_X87_BYTES = 24, FX_MXCSR = 24, FX_ST = 32, FX_XMM = 160,
    XS_BV = 512, XS_COMP_BV = 520, XS_HEADER_END = 576, XS_MAX_BYTES = 2696,
};

/** xs_bytes() - size of component @i (2..9), 0 when there is no such one */
unsigned xs_bytes(unsigned i);
/** xs_offset() - where component @i (2..9) lies in an area compacted to @comp, or not
 *  compacted (@comp 0). No component asks for alignment. */
unsigned xs_offset(unsigned i, uint64_t comp);
/** xs_end() - length of an area with components @parts; @comp as for xs_offset() */
unsigned xs_end(uint64_t parts, uint64_t comp);
/** xs_in_use() - XINUSE: components that differ from their initial state, which must
 *  be in memory */
uint64_t xs_in_use(const struct x86_cpu *cpu);

/* pieces of the FXSAVE image: fpu-state.c */
/** fpu_init_state() - FNINIT: registers keep their contents, marked empty */
void fpu_init_state(struct x86_cpu *cpu);
/** fx_n_xmm() - XMM registers that the current mode can name */
unsigned fx_n_xmm(const struct x86_cpu *cpu);
/** fx_pack_x87()/fx_unpack_x87() - bytes 0..23 and 32..159; @wide: 64-bit pointers (REX.W) */
void fx_pack_x87(const struct x86_cpu *cpu, uint8_t *img, bool wide);
void fx_unpack_x87(struct x86_cpu *cpu, const uint8_t *img, bool wide);
/** fx_pack_mxcsr() - MXCSR and its mask */
void fx_pack_mxcsr(const struct x86_cpu *cpu, uint8_t *img);
/** fx_check_aligned() - #GP(0) unless @va is a multiple of @align */
bool fx_check_aligned(struct x86_cpu *cpu, uint64_t va, unsigned align);

#endif
