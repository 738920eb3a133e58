/*
 * bug.c - deliberate mistakes in the IR, made behind the translator's back: a fuzzer
 * that does not find them finds nothing
 */
#include "tests/fuzz/insn/ifuzz.h"

/* SBB of 16 bits forgets AF */
static void flag_bug(struct ir_block *b)
{
    for (unsigned i = 0; i < b->n_ops; i++)
        if (b->ops[i].opc == IR_SBB && b->ops[i].size == 2)
            b->ops[i].wf &= (uint8_t)~IRF_A;
}

/* a count in CL for 8 bits is masked with 15 instead of 31 */
static void shift_bug(struct ir_block *b)
{
    for (unsigned i = 0; i < b->n_ops; i++) {
        struct ir_op *op = &b->ops[i];
        if (op->opc >= IR_SHL && op->opc <= IR_SAR && op->size == 1 && op->b == IR_IMM)
            op->imm &= 15;
    }
}

static unsigned with_flag_bug(struct tcg_cpu *cpu, struct ir_block *b, const struct tb_key *k, unsigned max,
                              unsigned *n)
{
    unsigned len = x86_target.translate(cpu, b, k, max, n);

    flag_bug(b);
    return len;
}

static unsigned with_shift_bug(struct tcg_cpu *cpu, struct ir_block *b, const struct tb_key *k, unsigned max,
                               unsigned *n)
{
    unsigned len = x86_target.translate(cpu, b, k, max, n);

    shift_bug(b);
    return len;
}

unsigned (*bug_named(const char *name))(struct tcg_cpu *, struct ir_block *, const struct tb_key *, unsigned,
                                        unsigned *)
{
    if (!strcmp(name, "flag"))
        return with_flag_bug;
    return strcmp(name, "shift") ? NULL : with_shift_bug;
}
