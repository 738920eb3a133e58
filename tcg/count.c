/*
 * count.c - counting guest instructions (-icount, traces)
 *
 * With tcg_config.count each block begins with a few operations of plain IR: leave when
 * somebody wants the vCPU or when fewer instructions may be executed than the block has, else
 * take its length off cpu->count_left and say which block it is. Conditional branches end blocks
 * then, so a block is left early only by a fault; the run loop gives back what was not executed.
 * The back ends know nothing of it, and both count alike. Without the option nothing is generated.
 *
 * An instruction counts when it completes: one that faults, or a string instruction that has more
 * to do, when it is executed for the last time.
 */
#include "tcg/tcg-int.h"
#include "tcg/trace.h"

#define CPU_OFF(f) offsetof(struct tcg_cpu, f)
#define FL_BITS (TCG_FL_C | TCG_FL_P | TCG_FL_A | TCG_FL_Z | TCG_FL_S | TCG_FL_O)

static void move_up(struct ir_block *b, unsigned n)
{
    memmove(&b->ops[n], &b->ops[0], b->n_ops * sizeof(b->ops[0]));
    b->n_ops = 0;
}

/* Registers that are not as they were last told. */
static uint64_t note_regs(struct tcg_cpu *cpu, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t field[18], *last = cpu->reg_noted;
    unsigned n = 1;

    field[0] = 0;
    for (unsigned i = 0; i < 17; i++) {
        uint64_t v = i < 16 ? cpu->regs[i] : cpu->fl & FL_BITS;

        if (v == last[i])
            continue;
        field[0] |= BIT(i);
        field[n++] = last[i] = v;
    }
    if (n > 1)
        trace_event(cpu, TRACE_REG, field, n);
    return 0;
}

static void emit_head(struct tcg *t, struct ir_block *b, unsigned n_insns, uint16_t leave)
{
    ir_val run = ir_temp(b), left = ir_temp(b);

    ir_lde(b, 4, run, CPU_OFF(run));
    ir_brcmpi(b, IRC_EQ, 4, run, 0, leave);
    ir_lde(b, 8, left, CPU_OFF(count_left));
    ir_lea(b, 8, left, left, IR_NONE, 0, -(int64_t)n_insns);
    ir_brcmpi(b, IRC_LT, 8, left, 0, leave);
    ir_ste(b, 8, CPU_OFF(count_left), left);
    ir_stei(b, 4, CPU_OFF(count_tb), (int32_t)t->n_tbs);
    if (t->cfg.note_regs)
        ir_call(b, note_regs, IRCALL_SYNC | IRCALL_NOVEC, IR_NONE, IR_NONE, IR_NONE, IR_NONE);
    if (t->cfg.note)
        ir_emit_imm(b, IR_NOTE, 0, IR_NONE, IR_NONE, t->n_tbs);
}

void count_head(struct tcg *t, struct ir_block *b, unsigned n_insns, int64_t pcoff)
{
    unsigned head = 7 + t->cfg.note + t->cfg.note_regs, n_ops = b->n_ops;
    uint16_t leave = ir_label(b);

    if (b->overflow || n_ops + head + 3 > IR_MAX_OPS) {
        b->overflow = true;
        return;
    }
    move_up(b, head);
    emit_head(t, b, n_insns, leave);
    assert(b->n_ops == head);
    b->n_ops += n_ops;
    ir_set_label(b, leave);
    ir_insn(b, pcoff, 0);
    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, pcoff);
}

/* Lengths of the block's instructions, which come first and in order of the program, and
 * for a trace their bytes. */
bool count_keep(struct tcg_cpu *cpu, struct tb *tb, const struct ir_block *b, uint64_t lin)
{
    struct tcg *t = cpu->tcg;
    uint8_t *len = tcg_arena(t, tb->n_insns + (size_t)(t->cfg.note ? tb->len : 0));
    unsigned n = 0;

    if (!len)
        return false;
    if (t->cfg.note)
        tcg_fetch(cpu, lin, len + tb->n_insns, tb->len, false);
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
    uint64_t n = not_executed(cpu);

    cpu->count_left += (int64_t)n;
    if (trace_on(cpu, TRACE_PARTIAL))
        trace_event(cpu, TRACE_PARTIAL, &n, 1);
}

/* Instructions of the running block that are complete; 127: all. */
static uint64_t done_in_block(const struct tcg_cpu *cpu)
{
    const struct tcg *t = cpu->tcg;

    if (!cpu->in_code || cpu->count_tb >= t->n_tbs)
        return 127;
    return t->tbs[cpu->count_tb]->n_insns - not_executed(cpu);
}

void trace_event(struct tcg_cpu *cpu, unsigned kind, const uint64_t *field, unsigned n)
{
    uint64_t *u = cpu->note;

    if (!trace_on(cpu, kind))
        return;
    if (u + n + 2 > cpu->note_end)   /* more than any instruction does; it has left since long */
        return;
    *u++ = TRACE_UNIT_EVENT | kind << 8 | n | done_in_block(cpu) << 32;
    for (unsigned i = 0; i < n; i++)
        *u++ = field[i];
    cpu->note = u + !(n & 1);
    if (cpu->note > cpu->note_soon)
        tcg_kick(cpu);
}

uint64_t tcg_count_again(struct tcg_cpu *cpu, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t one = 1;

    cpu->count_left++;
    if (trace_on(cpu, TRACE_PARTIAL))
        trace_event(cpu, TRACE_PARTIAL, &one, 1);
    return 0;
}

bool tcg_ends_before_pushf(const struct tcg *t)
{
    return t->cfg.before_block != NULL;
}

void tcg_set_notes(struct tcg *t, const struct tcg_notes *n)
{
    tcg_flush_all(t, TCG_FLUSH_BREAKS);      /* while the old blocks can still be told about */
    t->cfg.count = n->count;
    t->cfg.note = n->note;
    t->cfg.note_regs = n->note_regs;
    t->cfg.note_mem = n->note_mem;
    for (struct tcg_cpu *cpu = t->cpus; cpu; cpu = cpu->next)
        tcg_mmu_flush(cpu, true);
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
