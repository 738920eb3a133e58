/*
 * x87-int.h - x87 transcendental functions and constants
 */
#ifndef TARGET_X86_X87_INT_H
#define TARGET_X86_X87_INT_H

#include "target-x86/x87-soft.h"

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
