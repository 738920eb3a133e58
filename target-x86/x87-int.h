/*
 * x87-int.h - what the x87 files share
 */
#ifndef TARGET_X86_X87_INT_H
#define TARGET_X86_X87_INT_H

#include "target-x86/vecx-int.h"

enum {
    FSW_SF = 1 << 6, FSW_ES = 1 << 7, FSW_C0 = 1 << 8, FSW_C1 = 1 << 9, FSW_C2 = 1 << 10,
    FSW_C3 = 1 << 14, FSW_B = 1 << 15, FSW_TOP = 7 << 11, FSW_TOP_SHIFT = 11,
    FSW_CC = FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3,
};

/**
 * struct fpu - one x87 instruction in execution
 * @fault: a stack fault happened (IE and SF; C1 tells over- from underflow)
 * @over: it was an overflow
 * @quiet: the status word stays as it is
 * @keep_c1: C1 stays unless there is a stack fault
 * @cc: C0, C2, C3 (and C1 when @cc_all) to set
 * @cc_mask: which of them the instruction defines; C1 always
 */
struct fpu {
    struct x86_cpu *cpu;
    const struct ir_vec *v;
    uint8_t *mem;
    struct sf_env e;
    bool fault, over, quiet, keep_c1;
    uint16_t cc, cc_mask;
};

/** fpu_fetch() - ST(@i); empty: the default NaN, with a stack underflow */
struct sf fpu_fetch(struct fpu *f, unsigned i);
/** fpu_empty() - whether ST(@i)'s tag says so */
bool fpu_empty(const struct fpu *f, unsigned i);
/** fpu_set() - ST(@i) = a value that sf_round() produced; its tag becomes valid */
void fpu_set(struct fpu *f, unsigned i, struct sf s);
/** fpu_get_raw() - the bits of ST(@i), whatever its tag; fpu_set_raw() - likewise set, with the tag */
struct fx80 fpu_get_raw(const struct fpu *f, unsigned i);
void fpu_set_raw(struct fpu *f, unsigned i, struct fx80 v);
/** fpu_push() - @v, or the default NaN after a stack fault; nothing when that is forbidden */
void fpu_push(struct fpu *f, struct fx80 v);
/** fpu_free() - ST(@i) becomes empty where it is */
void fpu_free(struct fpu *f, unsigned i);
/** fpu_pop() - ST(0) becomes empty, TOP moves on */
void fpu_pop(struct fpu *f);
/** fpu_rotate() - TOP += @n (7: -1); positions follow, tags stay */
void fpu_rotate(struct x86_cpu *cpu, unsigned n);
/** fpu_clear_top() - TOP = 0; positions follow, tags stay */
void fpu_clear_top(struct x86_cpu *cpu);
/** fpu_stack_fault() - note an underflow or, @over, an overflow */
void fpu_stack_fault(struct fpu *f, bool over);
/** fpu_want_room() - a push follows: stack overflow when there is no room */
void fpu_want_room(struct fpu *f);
/** fpu_stopped() - whether an unmasked exception forbids the result */
bool fpu_stopped(const struct fpu *f);
/** fpu_finish() - the status word at the end of an instruction */
void fpu_finish(struct fpu *f);
/** fpu_invalid() - IE; returns the default NaN */
struct sf fpu_invalid(struct fpu *f);
/** fpu_nan_of() - result of an operation on @a and @b, one of them a NaN or
 *  unsupported: the larger significand, a quiet NaN before a signalling one */
struct sf fpu_nan_of(struct fpu *f, struct sf a, struct sf b);
/** fpu_precision() - what precision control rounds to */
const struct sf_fmt *fpu_precision(const struct fpu *f);
static inline bool fpu_is_nan(struct sf s) { return s.cls >= SF_QNAN; } /* or unsupported */
/** fpu_function() - D9 with ModRM C0+@n: functions of x87-func.c; false: not one */
bool fpu_function(struct fpu *f, unsigned n);

/* ---- series (x87-trans.c) ---------------------------------------------------------------- */

extern const struct sf x87_pi, x87_ln2, x87_log2e, x87_log2_10, x87_log10_2;

/*
 * All take zero, normal (or as said) numbers and return the result before
 * rounding, good to about 120 bits: so it rounds correctly but for rare ties.
 * Processors promise 1 ulp; their last bits differ between vendors.
 */
/** x87_2xm1() - 2^x - 1 for |x| <= 1 */
struct sf x87_2xm1(struct sf x);
/** x87_log2() - binary logarithm of a positive normal number */
struct sf x87_log2(struct sf x);
/** x87_log2p1() - log2(1 + x), x > -1, normal */
struct sf x87_log2p1(struct sf x);
/** x87_atan2() - angle of the point (x, y), normal coordinates, -pi..pi */
struct sf x87_atan2(struct sf y, struct sf x);
/**
 * x87_sincos() - sine and cosine of @x, normal, |x| < 2^63
 * The argument is reduced with the processor's 66-bit pi.
 * Source: Intel SDM vol. 1, 8.3.8 "Approximation of Pi".
 */
void x87_sincos(struct sf x, struct sf *sine, struct sf *cosine);

#endif
