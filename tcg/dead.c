/*
 * dead.c - what nobody needs: flags, results; operands' lives
 *
 * Both passes walk the block backwards once. Branches are nearly always
 * forward, so what a label needs is known when its branches are met; a branch
 * backwards assumes that everything is needed.
 */
#include "tcg/ir-int.h"

static void compact(struct ir_block *b)
{
    struct ir_op *end = b->ops + b->n_ops, *to = b->ops;

    while (to < end && to->opc != IR_GONE)
        to++;
    for (const struct ir_op *op = to; op < end; op++)
        if (op->opc != IR_GONE)
            *to++ = *op;
    b->n_ops = (unsigned)(to - b->ops);
}

/* ---- flags ---------------------------------------------------------------- */

/* F bits live behind @op, a label, a jump or a way out, when @live are behind it in order */
static uint8_t live_behind(const struct ir_op *op, uint8_t live, uint8_t *at_label)
{
    if (op->opc == IR_LABEL)
        return at_label[op->imm] = live;
    if (op->opc == IR_BR)
        return at_label[op->label];
    return ir_is_branch(op) ? live | at_label[op->label] : IRF_ALL;
}

/**
 * ir_dead_flags() - fill rf and lf; with @prune drop flags that nobody reads
 *
 * A guest fault shows all flags to the guest, so whatever can fault reads them
 * all; so does every way out of the block. With @prune, comparisons and the
 * like whose flags are not needed are removed.
 */
void ir_dead_flags(struct ir_block *b, bool prune)
{
    uint8_t at_label[IR_MAX_LABELS];
    uint8_t live = IRF_ALL;
    bool removed = false;

    memset(at_label, IRF_ALL, b->n_labels);    /* what a backward branch finds */
    for (struct ir_op *op = b->ops + b->n_ops; op-- > b->ops;) {
        unsigned attr = ir_op_attr(op);

        op->rf = 0;
        op->lf = live;
        if (op->opc == IR_INSN)
            continue;
        if (attr & IRA_STOP)
            op->lf = live = live_behind(op, live, at_label);
        if (prune && op->opc != IR_CALL)
            op->wf &= live;
        if (prune && (attr & IRA_IDLE) && !op->wf) {
            op->opc = IR_GONE;
            removed = true;
            continue;
        }
        if (op->wf)
            live &= ~ir_op_kills_flags(b, op);
        if (attr & IRA_FLAGS)
            live |= op->rf = ir_op_reads_flags(b, op);
        if (ir_op_can_fault(op))
            live = IRF_ALL;
    }
    if (removed)
        compact(b);
}

/* ---- values ---------------------------------------------------------------- */

/** struct lives - what is known of values while walking backwards */
struct lives {
    const struct ir_block *b;
    unsigned n_globals;
    uint32_t overwritten;         /* globals replaced before anything can see them */
    bool in_loop;                 /* a branch backwards was met: what stands here may run again */
    bool label_met[IR_MAX_LABELS];
    bool later[IR_ALL_VALS];      /* temp that occurs at a higher index, or lives across a loop's back edge; what is no temp */
};

static bool result_needed(const struct lives *s, ir_val v)
{
    if (v < s->n_globals)
        return !(s->overwritten & (1u << v));
    return v != IR_NONE && (s->later[v] || s->in_loop);
}

static bool is_removable(const struct lives *s, const struct ir_op *op)
{
    if (op->wf || ((ir_op_attr(op) & IRA_SIDE) && (op->opc != IR_CALL || (op->callf & ~IRCALL_NOVEC) != IRCALL_PURE)))
        return false;
    return !result_needed(s, op->d) && !result_needed(s, op->e);
}

/*
 * A branch backwards at @i: temps that occur before its label live as long as the
 * loop.
 */
static void enter_loop(struct lives *s, unsigned i)
{
    const struct ir_block *b = s->b;

    s->in_loop = true;
    for (unsigned k = 0; b->ops[k].opc != IR_LABEL || b->ops[k].imm != b->ops[i].label; k++) {
        const struct ir_op *op = &b->ops[k];
        const ir_val v[5] = { op->d, op->e, op->a, op->b, op->c };

        for (unsigned n = 0; n < 5; n++)
            if (v[n] < b->n_vals)
                s->later[v[n]] = true;
    }
}

/*
 * Fills op->last and notes what @op reads and writes. An input that is also a result goes on living as the result: for as
 * long as inputs are looked at, results live. A global that is written whole is overwritten, unless somebody looks at it here.
 */
static void note_values(struct lives *s, struct ir_op *op)
{
    bool *later = s->later, d = later[op->d], e = later[op->e];
    uint32_t read = ir_global_bit(op->a) | ir_global_bit(op->b) | ir_global_bit(op->c);
    uint32_t written = s->overwritten | ir_global_bit(op->d) | ir_global_bit(op->e);

    later[op->d] = later[op->e] = true;
    op->last = (uint8_t)((d | e << 1 | later[op->a] << 2 | later[op->b] << 3 | later[op->c] << 4) ^ 31);
    later[op->d] = d;
    later[op->e] = e;
    if (ir_keeps_d(op))
        read |= ir_global_bit(op->d), later[op->d] = true;
    if (ir_keeps_e(op))
        read |= ir_global_bit(op->e), later[op->e] = true;
    s->overwritten = ir_is_barrier(op) ? 0 : written & ~read;
    later[op->a] = later[op->b] = later[op->c] = true;
}

/* The operation at @i copies into a global what the load before it, and nothing else, has made for it: then that
 * loads the global itself. */
static bool load_directly(const struct lives *s, struct ir_block *b, unsigned i)
{
    const struct ir_op *op = &b->ops[i];
    struct ir_op *ld;

    if (op->opc != IR_MOV || op->size != 8 || op->d >= s->n_globals || op->b >= IR_IMM2 || op->b < s->n_globals
        || s->later[op->b] || s->in_loop)
        return false;
    while (i-- > 0) {
        ld = &b->ops[i];
        if (ld->opc == IR_INSN || ld->opc == IR_GONE)
            continue;
        if (ld->opc != IR_LD || ld->d != op->b || ld->size < 4)
            return false;
        ld->d = op->d;
        return true;
    }
    return false;
}

/**
 * ir_liveness() - fill op->last; with @prune remove operations whose results nobody reads
 *
 * A temp dies at its last occurrence in index order, except that one which is
 * older than a loop and occurs before the loop's end has no last use at all. A
 * global's value counts as read wherever the guest or a helper could see it. @prune
 * wants wf pruned (ir_dead_flags()).
 */
void ir_liveness(struct ir_block *b, bool prune)
{
    struct lives s;
    bool removed = false;

    s.b = b;
    s.n_globals = b->target->n_globals;
    s.overwritten = 0;
    s.in_loop = false;
    memset(s.label_met, 0, b->n_labels);
    memset(s.later, true, s.n_globals);
    memset(s.later + s.n_globals, false, b->n_vals - s.n_globals);
    s.later[IR_IMM2] = s.later[IR_IMM] = s.later[IR_NONE] = true;
    for (unsigned i = b->n_ops; i-- > 0;) {
        struct ir_op *op = &b->ops[i];

        op->last = 0;
        if (op->opc == IR_INSN)
            continue;
        if (op->opc == IR_GONE) {
            removed = true;
            continue;
        }
        if (ir_op_attr(op) & IRA_STOP) {
            if (op->opc == IR_LABEL)
                s.label_met[op->imm] = true;
            else if (ir_is_branch(op) && !s.label_met[op->label])
                enter_loop(&s, i);
        }
        if (prune && (is_removable(&s, op) || load_directly(&s, b, i))) {
            op->opc = IR_GONE;
            removed = true;
            continue;
        }
        note_values(&s, op);
    }
    if (removed)
        compact(b);
}
