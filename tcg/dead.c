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
    unsigned n = 0;

    for (unsigned i = 0; i < b->n_ops; i++) {
        if (b->ops[i].opc == IR_GONE)
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

        if (op->opc == IR_INSN) {
            op->lf = live;
            op->rf = 0;
            continue;
        }
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
                op->opc = IR_GONE;
                removed = true;
                continue;
            }
        }
        op->rf = ir_op_reads_flags(b, op);
        if (op->wf)
            live &= ~ir_op_kills_flags(b, op);
        live |= op->rf;
        if (ir_op_can_fault(op))
            live = IRF_ALL;
        if (op->opc == IR_LABEL)
            at_label[op->imm] = live;
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
    bool later[IR_MAX_VALS];      /* temp that occurs at a higher index */
    bool looped[IR_MAX_VALS];     /* temp that lives across a loop's back edge: never dies in it */
};

static bool result_needed(const struct lives *s, ir_val v)
{
    if (v == IR_NONE)
        return false;
    if (v < s->n_globals)
        return !(s->overwritten & (1u << v));
    return s->later[v] || s->in_loop;
}

static bool is_removable(const struct lives *s, const struct ir_op *op)
{
    if (op->opc == IR_CALL) {
        if (op->callf != IRCALL_PURE && op->callf != (IRCALL_PURE | IRCALL_NOVEC))
            return false;
    } else if (ir_op_info(op->opc)->attr & IRA_SIDE) {
        return false;
    }
    return !op->wf && !result_needed(s, op->d) && !result_needed(s, op->e);
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
                s->looped[v[n]] = true;
    }
}

static uint32_t last_bit(const struct lives *s, ir_val v, unsigned bit)
{
    if (v >= IR_IMM2 || v < s->n_globals || s->later[v] || s->looped[v])
        return 0;
    return 1u << bit;
}

static void note_read(struct lives *s, ir_val v)
{
    if (v >= IR_IMM2)
        return;
    if (v < s->n_globals)
        s->overwritten &= ~(1u << v);
    else
        s->later[v] = true;
}

/* an input that is also a result goes on living as the result */
static void mark_lives(struct lives *s, struct ir_op *op)
{
    op->last = last_bit(s, op->d, 0) | last_bit(s, op->e, 1);
    if (op->a != op->d && op->a != op->e)
        op->last |= last_bit(s, op->a, 2);
    if (op->b != op->d && op->b != op->e)
        op->last |= last_bit(s, op->b, 3);
    if (op->c != op->d && op->c != op->e)
        op->last |= last_bit(s, op->c, 4);
}

/* a global that is written whole is overwritten, unless somebody looks at it here */
static void note_write(struct lives *s, ir_val v, bool keeps)
{
    if (v < s->n_globals && !keeps)
        s->overwritten |= 1u << v;
}

static void note_values(struct lives *s, const struct ir_op *op)
{
    bool keeps_d = op->d != IR_NONE && ir_keeps_d(op), keeps_e = op->e != IR_NONE && ir_keeps_e(op);

    note_write(s, op->d, keeps_d);
    note_write(s, op->e, keeps_e);
    if (ir_is_barrier(op))
        s->overwritten = 0;
    if (keeps_d)
        note_read(s, op->d);
    if (keeps_e)
        note_read(s, op->e);
    note_read(s, op->a);
    note_read(s, op->b);
    note_read(s, op->c);
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
    memset(s.later, 0, b->n_vals);
    memset(s.looped, 0, b->n_vals);
    for (unsigned i = b->n_ops; i-- > 0;) {
        struct ir_op *op = &b->ops[i];

        if (op->opc == IR_INSN) {
            op->last = 0;
            continue;
        }
        if (op->opc == IR_GONE) {
            removed = true;
            continue;
        }
        if (op->opc == IR_LABEL)
            s.label_met[op->imm] = true;
        else if (ir_is_branch(op) && !s.label_met[op->label])
            enter_loop(&s, i);
        if (prune && (is_removable(&s, op) || load_directly(&s, b, i))) {
            op->opc = IR_GONE;
            removed = true;
            continue;
        }
        mark_lives(&s, op);
        note_values(&s, op);
    }
    if (removed)
        compact(b);
}
