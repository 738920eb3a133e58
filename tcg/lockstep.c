/*
 * lockstep.c - two runs of the same blocks that are held against each other (--verify)
 *
 * Blocks are executed one by one through the run loop then; who compares is told before
 * each (tcg_config.before_block). Flags that the manual leaves undefined are the host's in
 * translated code and the interpreter's own there: a block says which are left so at its end.
 */
#include "tcg/tcg-int.h"

/* F in cpu->fl as IRF_* bits name it */
static uint32_t fl_of(unsigned f)
{
    return (f & IRF_C) << 8 | (f & IRF_P) << 9 | (f & IRF_A) << 10 | (f & (IRF_Z | IRF_S)) << 11 | (f & IRF_O) >> 5;
}

/* Does it shift by exactly one? Only then is O defined. */
static bool by_one(const struct ir_op *op)
{
    bool three = op->opc == IR_SHLD || op->opc == IR_SHRD;

    return (three ? op->c : op->b) == IR_IMM && (op->imm & (op->size == 8 ? 63 : 31)) == 1;
}

/* F bits without a defined value after @op, of those that it writes (Intel SDM vol. 2) */
static unsigned undefined_after(const struct ir_op *op)
{
    switch (op->opc) {
    case IR_AND: case IR_OR: case IR_XOR: case IR_TEST:
        return IRF_A;
    case IR_RMW:
        return op->rmw >= IRM_AND && op->rmw <= IRM_XOR ? IRF_A : 0;
    case IR_SHL: case IR_SHR: case IR_SAR:
        return IRF_A | (by_one(op) ? 0 : IRF_O) | (op->size < 4 ? IRF_C : 0);
    case IR_SHLD: case IR_SHRD:
        return op->size == 2 ? IRF_ALL : IRF_A | (by_one(op) ? 0 : IRF_O);
    case IR_ROL: case IR_ROR: case IR_RCL: case IR_RCR:
        return by_one(op) ? 0 : IRF_O;
    case IR_IMUL: case IR_MULU: case IR_MULS:
        return IRF_S | IRF_Z | IRF_A | IRF_P;
    case IR_ANDN: case IR_BLSR: case IR_BLSMSK: case IR_BLSI: case IR_BZHI:
        return IRF_A | IRF_P;
    case IR_BEXTR:
        return IRF_A | IRF_S | IRF_P;
    case IR_TZCNT: case IR_LZCNT:
        return IRF_O | IRF_S | IRF_A | IRF_P;
    case IR_BSF: case IR_BSR:
        return IRF_C | IRF_O | IRF_S | IRF_A | IRF_P;
    default:
        return 0;
    }
}

uint32_t ir_undefined_flags(const struct ir_block *b)
{
    unsigned undefined = 0;

    for (unsigned i = 0; i < b->n_ops; i++) {
        const struct ir_op *op = &b->ops[i];
        bool maybe = op->opc == IR_SHL || op->opc == IR_SHR || op->opc == IR_SAR || op->opc == IR_SHLD || op->opc == IR_SHRD;

        if (!maybe)              /* a count of 0 leaves them */
            undefined &= ~(unsigned)op->wf;
        undefined |= undefined_after(op) & op->wf;
    }
    return fl_of(undefined);
}

bool ir_has_vectors(const struct ir_block *b)
{
    for (unsigned i = 0; i < b->n_ops; i++)
        if (b->ops[i].opc == IR_VEC || (b->ops[i].opc == IR_CALL && !(b->ops[i].callf & IRCALL_NOVEC)))
            return true;
    return false;
}

void ir_seed_bug(struct ir_block *b, enum tcg_bug bug)
{
    for (unsigned i = 0; i < b->n_ops; i++) {
        struct ir_op *op = &b->ops[i];

        if (bug == TCG_BUG_SBB && op->opc == IR_SBB)
            op->opc = IR_SUB;
        if (bug == TCG_BUG_SAR && op->opc == IR_SAR && op->b == IR_IMM && op->imm == 5)
            op->imm = 4;
    }
}
