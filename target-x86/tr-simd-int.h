/*
 * tr-simd-int.h - between tr-simd.c and tr-fpu.c
 */
#ifndef TARGET_X86_TR_SIMD_INT_H
#define TARGET_X86_TR_SIMD_INT_H

#include "target-x86/tr-int.h"

/** xt_sse_ok()/xt_mmx_ok() - may an SSE/AVX or MMX instruction run in this mode?
 *  false: code raising #UD or #NM was emitted */
bool xt_sse_ok(struct xlat *x);
bool xt_mmx_ok(struct xlat *x);
/** xt_vec_new() - a cleared ir_vec of the block; @index: its number. When there
 *  is no room the block overflows and the last one is handed out again. */
struct ir_vec *xt_vec_new(struct xlat *x, unsigned *index);
/** xt_vec_emit() - address of the memory operand, if any, and the IR_VEC op
 *  @d, @b: general register out and in, or IR_NONE */
void xt_vec_emit(struct xlat *x, unsigned index, ir_val d, ir_val b);

/** xt_x87_loaded() - behind a helper that has loaded the control word; @unmasked: its result */
void xt_x87_loaded(struct xlat *x, ir_val unmasked);

#endif
