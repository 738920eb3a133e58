/*
 * ir-int.h - what the passes and the interpreter share
 */
#ifndef TCG_IR_INT_H
#define TCG_IR_INT_H

#include "tcg/tcg.h"

/** ir_keeps_d() - the result replaces only part of d, so that d is an input too */
static inline bool ir_keeps_d(const struct ir_op *op)
{
    /* a one-byte product is written as two bytes: still partial */
    return ir_op_attr(op) & (op->size & 3 ? IRA_KEEPS | IRA_PART : IRA_KEEPS);
}

/** ir_keeps_e() - likewise for the second result */
static inline bool ir_keeps_e(const struct ir_op *op)
{
    return op->size == 1 || op->size == 2;
}

/** ir_is_branch() - goes to op->label, always or on a condition */
static inline bool ir_is_branch(const struct ir_op *op)
{
    return op->opc == IR_BR || op->opc == IR_BRCC || op->opc == IR_BRCMP;
}

/** ir_global_bit() - a global's bit; 0, or one that stands for nothing, for what is none */
extern const uint32_t ir_global_bits[IR_ALL_VALS];
static inline uint32_t ir_global_bit(ir_val v) { return ir_global_bits[v]; }

enum { IR_GONE = 0xff };      /* op->opc of an operation that ir_liveness() takes out */

/** ir_is_barrier() - everything the guest can look at must be in place around @op */
static inline bool ir_is_barrier(const struct ir_op *op)
{
    return (ir_op_attr(op) & IRA_STOP) || ir_op_can_fault(op);
}

/* rows without a width that write d whole have size 0 or 8 */

/**
 * ir_crc32c() - CRC-32C (polynomial 1EDC6F41h, reflected) of @n bytes of @data
 * Source: Intel SDM vol. 2A, CRC32.
 */
uint32_t ir_crc32c(uint32_t crc, uint64_t data, unsigned n);

#endif
