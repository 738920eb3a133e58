/*
 * dead.c - what nobody needs: flags, results, operands' lives
 *
 * All three passes walk the block backwards once. Branches are nearly always
 * forward, so what a label needs is known when its branches are met; a branch
 * backwards assumes that everything is needed.
 */
#include "tcg/ir-int.h"

enum { GONE = 0xff };      /* op->opc of a removed operation, until compact() */

static void compact(struct ir_block *b)
{
    unsigned n = 0;

    for (unsigned i = 0; i < b->n_ops; i++) {
        if (b->ops[i].opc == GONE)
            continue;
        if (n != i)
            b->ops[n] = b->ops[i];
        n++;
    }
    b->n_ops = n;
}

/* ---- flags ---------------------------------------------------------------- */

/* an operation that only exists for its flags, or for nothing */
static bool is_pointless(const struct ir_op *op)
{
    const struct ir_info *inf = ir_op_info(op->opc);

    return !inf->outs && !(inf->attr & IRA_SIDE) && !op->wf;
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
    for (unsigned i = b->n_ops; i-- > 0;) {
        struct ir_op *op = &b->ops[i];

        if ((ir_op_info(op->opc)->attr & IRA_END) || op->opc == IR_LEAVECC)
            live = IRF_ALL;
        else if (op->opc == IR_BR)
            live = at_label[op->label];
        else if (ir_is_branch(op))
            live |= at_label[op->label];
        op->lf = live;
        if (prune && op->opc != IR_CALL) {
            op->wf &= live;
            if (is_pointless(op)) {
                op->opc = GONE;
                removed = true;
                continue;
            }
        }
        op->rf = ir_op_reads_flags(b, op);
        live = (live & ~ir_op_kills_flags(b, op)) | op->rf;
        if (ir_op_can_fault(op))
            live = IRF_ALL;
        if (op->opc == IR_LABEL)
            at_label[op->imm] = live;
    }
    if (removed)
        compact(b);
}

/* ---- values ---------------------------------------------------------------- */

/* first index at which each label stands, and the earliest target of a loop */
struct loops {
    uint16_t label_at[IR_MAX_LABELS];
    bool any;
};

static void find_loops(const struct ir_block *b, struct loops *l)
{
    l->any = false;
    for (unsigned i = 0; i < b->n_labels; i++)
        l->label_at[i] = 0xffff;
    for (unsigned i = 0; i < b->n_ops; i++) {
        const struct ir_op *op = &b->ops[i];

        if (op->opc == IR_LABEL)
            l->label_at[op->imm] = i;
        else if (ir_is_branch(op) && l->label_at[op->label] != 0xffff)
            l->any = true;
    }
}

struct dce {
    const struct ir_block *b;
    bool temp_read[IR_MAX_VALS];  /* read at a higher index, or perhaps in a loop */
    uint32_t overwritten;         /* globals replaced before anything can see them */
};

static bool is_global(const struct ir_block *b, ir_val v)
{
    return v < b->target->n_globals;
}

static bool result_needed(const struct dce *s, ir_val v)
{
    if (v == IR_NONE)
        return false;
    if (is_global(s->b, v))
        return !(s->overwritten & (1u << v));
    return s->temp_read[v];
}

static void note_read(struct dce *s, ir_val v)
{
    if (v >= IR_IMM2)
        return;
    if (is_global(s->b, v))
        s->overwritten &= ~(1u << v);
    else
        s->temp_read[v] = true;
}

static void note_write(struct dce *s, ir_val v, bool whole)
{
    if (v == IR_NONE || !is_global(s->b, v))
        return;
    if (whole)
        s->overwritten |= 1u << v;
}

/* whether everything the guest can look at must be in place around @op */
static bool is_barrier(const struct ir_op *op)
{
    return op->opc == IR_LABEL || op->opc == IR_LEAVECC || ir_is_branch(op) || ir_op_can_fault(op) ||
           (ir_op_info(op->opc)->attr & IRA_END);
}

static bool is_removable(const struct dce *s, const struct ir_op *op)
{
    if (op->opc == IR_CALL) {
        if (op->callf != IRCALL_PURE && op->callf != (IRCALL_PURE | IRCALL_NOVEC))
            return false;
    } else if (ir_op_info(op->opc)->attr & IRA_SIDE) {
        return false;
    }
    return !op->wf && !result_needed(s, op->d) && !result_needed(s, op->e);
}

/**
 * ir_dead_code() - remove operations whose results nobody reads
 *
 * Wants wf pruned (ir_dead_flags()). A global's value counts as read wherever
 * the guest or a helper could see it.
 */
void ir_dead_code(struct ir_block *b)
{
    struct dce s = { .b = b };
    struct loops l;
    bool removed = false;

    find_loops(b, &l);
    if (l.any)
        memset(s.temp_read, 1, b->n_vals);   /* rare: keep what a loop might read */
    for (unsigned i = b->n_ops; i-- > 0;) {
        struct ir_op *op = &b->ops[i];

        if (is_removable(&s, op)) {
            op->opc = GONE;
            removed = true;
            continue;
        }
        note_write(&s, op->d, !ir_keeps_d(op));
        note_write(&s, op->e, !ir_keeps_e(op));
        if (is_barrier(op))
            s.overwritten = 0;
        if (op->d != IR_NONE && ir_keeps_d(op))
            note_read(&s, op->d);
        if (op->e != IR_NONE && ir_keeps_e(op))
            note_read(&s, op->e);
        note_read(&s, op->a);
        note_read(&s, op->b);
        note_read(&s, op->c);
    }
    if (removed)
        compact(b);
}

/* ---- lives ------------------------------------------------------------------ */

struct lives {
    const struct ir_block *b;
    bool later[IR_MAX_VALS];     /* temp read at a higher index */
    bool looped[IR_MAX_VALS];    /* lives across a loop's back edge: never dies in it */
};

/* temps that exist before a loop and are used in it live as long as the loop */
static void find_looped(struct lives *s, const struct loops *l)
{
    const struct ir_block *b = s->b;
    uint16_t first[IR_MAX_VALS];

    for (unsigned i = 0; i < b->n_vals; i++)
        first[i] = 0xffff;
    for (unsigned i = 0; i < b->n_ops; i++) {
        const struct ir_op *op = &b->ops[i];
        const ir_val v[5] = { op->d, op->e, op->a, op->b, op->c };

        for (unsigned k = 0; k < 5; k++)
            if (v[k] < b->n_vals && first[v[k]] == 0xffff)
                first[v[k]] = i;
    }
    for (unsigned i = 0; i < b->n_ops; i++) {
        const struct ir_op *op = &b->ops[i];
        unsigned head;

        if (!ir_is_branch(op) || l->label_at[op->label] >= i)
            continue;
        head = l->label_at[op->label];
        for (unsigned v = b->target->n_globals; v < b->n_vals; v++)
            if (first[v] < head)
                s->looped[v] = true;
    }
}

static uint32_t last_bit(const struct lives *s, ir_val v, unsigned bit)
{
    if (v >= IR_IMM2 || is_global(s->b, v) || s->later[v] || s->looped[v])
        return 0;
    return 1u << bit;
}

static void mark_lives(struct lives *s, struct ir_op *op)
{
    op->last = last_bit(s, op->d, 0) | last_bit(s, op->e, 1);
    /* an input that is also a result goes on living as the result */
    if (op->a != op->d && op->a != op->e)
        op->last |= last_bit(s, op->a, 2);
    if (op->b != op->d && op->b != op->e)
        op->last |= last_bit(s, op->b, 3);
    if (op->c != op->d && op->c != op->e)
        op->last |= last_bit(s, op->c, 4);
    if (op->d != IR_NONE && ir_keeps_d(op))
        s->later[op->d] = true;
    if (op->e != IR_NONE && ir_keeps_e(op))
        s->later[op->e] = true;
    if (op->a < IR_IMM2)
        s->later[op->a] = true;
    if (op->b < IR_IMM2)
        s->later[op->b] = true;
    if (op->c < IR_IMM2)
        s->later[op->c] = true;
}

/**
 * ir_liveness() - fill op->last, and branches' imm2 with their label's index
 *
 * A temp dies at its last occurrence in index order, except that one which is
 * older than a loop and occurs before the loop's end has no last use at all.
 */
void ir_liveness(struct ir_block *b)
{
    struct lives s = { .b = b };
    struct loops l;

    find_loops(b, &l);
    if (l.any)
        find_looped(&s, &l);
    for (unsigned i = b->n_ops; i-- > 0;) {
        struct ir_op *op = &b->ops[i];

        mark_lives(&s, op);
        if (ir_is_branch(op))
            op->imm2 = l.label_at[op->label];
    }
}
