/*
 * count.c - counting guest instructions (-icount, traces)
 *
 * With tcg_config.count each block begins with a few operations of plain IR: leave when
 * somebody wants the vCPU or when fewer instructions may be executed than the block has, else
 * take its length off cpu->count_left and say which block it is. Conditional branches end blocks
 * then, so a block is left early only by a fault; the run loop gives back what was not executed.
 * The back ends know nothing of it, and both count alike. Without the option nothing is generated.
 *
 * An instruction counts when it completes: a faulting one when it is executed again. A string
 * instruction that is interrupted counts at each attempt.
 */
#include "tcg/tcg-int.h"

#define CPU_OFF(f) offsetof(struct tcg_cpu, f)
#define HEAD_OPS 8

static void move_up(struct ir_block *b, unsigned n)
{
    memmove(&b->ops[n], &b->ops[0], b->n_ops * sizeof(b->ops[0]));
    b->n_ops = 0;
}

static void emit_head(struct ir_block *b, unsigned n_insns, uint32_t place, bool note, uint16_t leave)
{
    ir_val run = ir_temp(b), left = ir_temp(b);

    ir_lde(b, 4, run, CPU_OFF(run));
    ir_brcmpi(b, IRC_EQ, 4, run, 0, leave);
    ir_lde(b, 8, left, CPU_OFF(count_left));
    ir_lea(b, 8, left, left, IR_NONE, 0, -(int64_t)n_insns);
    ir_brcmpi(b, IRC_LT, 8, left, 0, leave);
    ir_ste(b, 8, CPU_OFF(count_left), left);
    ir_stei(b, 4, CPU_OFF(count_tb), (int32_t)place);
    if (note)
        ir_emit_imm(b, IR_NOTE, 0, IR_NONE, IR_NONE, place);
}

void count_head(struct tcg *t, struct ir_block *b, unsigned n_insns, int64_t pcoff)
{
    unsigned head = HEAD_OPS - !t->cfg.note, n_ops = b->n_ops;
    uint16_t leave = ir_label(b);

    if (b->overflow || n_ops + head + 3 > IR_MAX_OPS) {
        b->overflow = true;
        return;
    }
    move_up(b, head);
    emit_head(b, n_insns, t->n_tbs, t->cfg.note, leave);
    assert(b->n_ops == head);
    b->n_ops += n_ops;
    ir_set_label(b, leave);
    ir_insn(b, pcoff, 0);
    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, pcoff);
}

/* Lengths of the block's instructions: they come first and in order of the program. */
bool count_keep(struct tcg *t, struct tb *tb, const struct ir_block *b)
{
    uint8_t *len = tcg_arena(t, tb->n_insns);
    unsigned n = 0;

    if (!len)
        return false;
    for (unsigned i = 0; i < b->n_ops && n < tb->n_insns; i++)
        if (b->ops[i].opc == IR_INSN)
            len[n++] = b->ops[i].aux;
    assert(n == tb->n_insns);
    tb->insn_len = len;
    return true;
}

/* How many instructions of the block that counted last are not executed yet. */
static unsigned not_executed(const struct tcg_cpu *cpu)
{
    const struct tcg *t = cpu->tcg;
    const struct tb *tb = cpu->count_tb < t->n_tbs ? t->tbs[cpu->count_tb] : NULL;
    unsigned n = 0;
    int32_t at;

    if (!tb)
        return 0;
    for (at = tb->off; n < tb->n_insns && at < cpu->pcoff; n++)
        at += tb->insn_len[n];
    return at == cpu->pcoff ? tb->n_insns - n : 0;
}

void count_fault(struct tcg_cpu *cpu)
{
    cpu->count_left += not_executed(cpu);
}

bool tcg_counts(const struct tcg *t)
{
    return t->cfg.count;
}

uint64_t tcg_count(const struct tcg_cpu *cpu)
{
    return cpu->count_end - (uint64_t)cpu->count_left - (cpu->in_code ? not_executed(cpu) : 0);
}

void tcg_count_until(struct tcg_cpu *cpu, uint64_t end)
{
    cpu->count_left += (int64_t)(end - cpu->count_end);
    cpu->count_end = end;
}
