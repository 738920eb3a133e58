/*
 * sink.c - sums with constants are put off
 *
 * A chain of pushes moves the stack pointer each time, though nobody looks at it before the last
 * of them: accesses that follow a leader (group.c) cannot fault. So a change of a global by a constant
 * is put off until something could see it; until then readers that can add a constant of their own
 * do that: followers, address sums, copies. What a later write of the global replaces is never done.
 */
#include "tcg/ir-int.h"

/* a temp that is global @g, as its register has it, + @off; no longer when that is written */
struct copy {
    ir_val g;
    uint32_t version;
    int64_t off;
};

struct sinker {
    struct ir_block *b;
    ir_val n_globals;
    uint32_t put_off;                    /* globals */
    int64_t off[IR_MAX_GLOBALS];         /* what is to be added */
    unsigned at[IR_MAX_GLOBALS];         /* the operation that did it last: room for the sum */
    uint32_t version[IR_MAX_GLOBALS];
    struct copy copy[IR_ALL_VALS];       /* of temps written so far; g: IR_NONE if none */
};

static bool is_global(const struct sinker *s, ir_val v) { return v < s->n_globals; }

static bool is_put_off(const struct sinker *s, ir_val v) { return is_global(s, v) && (s->put_off >> v & 1); }

/* Before which operation is the sum that @v waits for best done, when @i needs it? Not between a comparison and
 * the jump that it is for, which are one to the host. */
static unsigned place(const struct sinker *s, ir_val v, unsigned i)
{
    const struct ir_op *ops = s->b->ops;
    unsigned at = i;

    if (ops[i].opc != IR_BRCC && ops[i].opc != IR_LEAVECC)
        return i;
    while (at > s->at[v] + 1 && (ops[at - 1].opc == IR_INSN || ops[at - 1].opc == IR_GONE))
        at--;
    return at > s->at[v] + 1 && (ops[at - 1].opc == IR_CMP || ops[at - 1].opc == IR_TEST) ? at - 1 : i;
}

/* Does the sum that @v waits for, for operation @i: what stands between moves down by one. */
static void settle(struct sinker *s, ir_val v, unsigned i)
{
    struct ir_op *ops = s->b->ops, sum = ops[s->at[v]];
    unsigned from = s->at[v];

    i = place(s, v, i);
    sum.opc = IR_LEA;
    sum.size = 8;
    sum.wf = 0;
    if (ops[i].opc == IR_CMP || ops[i].opc == IR_TEST)
        sum.lf = 0;          /* they replace F */
    sum.d = sum.a = v;
    sum.b = IR_NONE;
    sum.sc = 0;
    sum.imm = s->off[v];
    if (!sum.imm)
        sum.opc = IR_GONE;
    memmove(&ops[from], &ops[from + 1], (i - 1 - from) * sizeof(*ops));
    ops[i - 1] = sum;
    s->put_off &= ~(1u << v);
    for (uint32_t left = s->put_off; left; left &= left - 1)
        s->at[__builtin_ctz(left)] -= s->at[__builtin_ctz(left)] > from;
    s->version[v]++;
}

static void settle_all(struct sinker *s, unsigned i)
{
    for (ir_val v = 0; s->put_off; v++)
        if (s->put_off >> v & 1)
            settle(s, v, i);
}

static bool sum_fits(int64_t a, int64_t b) { return a == (int32_t)a && b == (int32_t)b && a + b == (int32_t)(a + b); }

/* Can @op, which reads @v as operand a, add @off itself? Then it does. */
static bool absorb(struct ir_op *op, ir_val v, int64_t off)
{
    if (op->a == v && op->b != v && (ir_op_attr(op) & IRA_MEM) && op->grp == GRP_USE && sum_fits(op->disp, off)) {
        op->disp += (int32_t)off;
        return true;
    }
    if (op->opc == IR_LEA && op->size == 8 && op->a == v && op->b != v && sum_fits(op->imm, off)) {
        op->imm += off;
        return true;
    }
    if (op->opc == IR_MOV && op->size == 8 && op->b == v && !op->wf) {
        op->opc = IR_LEA;
        op->a = v;
        op->b = IR_NONE;
        op->sc = 0;
        op->imm = off;
        return true;
    }
    return false;
}

/* The constant that @op, which must be fit to be put off, adds to global @d's register. */
static bool changes_by(const struct sinker *s, const struct ir_op *op, int64_t *k)
{
    int64_t old;

    if (op->size != 8 || op->wf || !is_global(s, op->d))
        return false;
    old = is_put_off(s, op->d) ? s->off[op->d] : 0;
    if (op->opc == IR_LEA && op->a == op->d && op->b == IR_NONE)
        *k = op->imm;
    else if ((op->opc == IR_ADD || op->opc == IR_SUB) && op->a == op->d && op->b == IR_IMM)
        *k = op->opc == IR_ADD ? op->imm : (int64_t)-(uint64_t)op->imm;
    else if (op->opc == IR_MOV && op->b < IR_IMM2 && !is_global(s, op->b) && s->copy[op->b].g == op->d
             && s->copy[op->b].version == s->version[op->d])
        return *k = s->copy[op->b].off, true;
    else
        return false;
    if (!sum_fits(*k, old))
        return false;
    *k += old;
    return true;
}

static void put_off(struct sinker *s, struct ir_op *op, unsigned i, int64_t k)
{
    ir_val v = op->d;

    if (is_put_off(s, v))
        s->b->ops[s->at[v]].opc = IR_GONE;
    s->put_off |= 1u << v;
    s->off[v] = k;
    s->at[v] = i;
}

/* @v may be what is no value */
static void note_written(struct sinker *s, ir_val v)
{
    if (!is_global(s, v)) {
        s->copy[v].g = IR_NONE;
        return;
    }
    if (is_put_off(s, v)) {
        s->b->ops[s->at[v]].opc = IR_GONE;
        s->put_off &= ~(1u << v);
    }
    s->version[v]++;
}

/* Globals that @op may read */
static uint32_t globals_of(const struct ir_op *op)
{
    return ir_global_bit(op->a) | ir_global_bit(op->b) | ir_global_bit(op->c) | ir_global_bit(op->d) | ir_global_bit(op->e);
}

/* What @op reads is as it is to be. */
static void readers(struct sinker *s, struct ir_op *op, unsigned i)
{
    const ir_val in[5] = { op->a, op->b, op->c, ir_keeps_d(op) ? op->d : IR_NONE,
                           op->e != IR_NONE && ir_keeps_e(op) ? op->e : IR_NONE };

    for (unsigned n = 0; n < 5; n++)
        if (in[n] < IR_IMM2 && is_put_off(s, in[n])) {
            bool sole = true;
            for (unsigned m = 0; m < 5; m++)
                sole &= m == n || in[m] != in[n];
            if (!sole || !absorb(op, in[n], s->off[in[n]]))
                settle(s, in[n], i);
        }
}

static void learn_copy(struct sinker *s, const struct ir_op *op)
{
    if (op->size == 8 && op->d < IR_IMM2 && !is_global(s, op->d)) {
        if (op->opc == IR_LEA && op->b == IR_NONE && op->a < IR_IMM2 && is_global(s, op->a))
            s->copy[op->d] = (struct copy){ op->a, s->version[op->a], op->imm };
        else if (op->opc == IR_MOV && op->b < IR_IMM2 && is_global(s, op->b))
            s->copy[op->d] = (struct copy){ op->b, s->version[op->b], 0 };
    }
}

/**
 * ir_sink() - put off changes of globals by constants
 *
 * Wants groups made (ir_group()); leaves operations that are GONE to ir_liveness().
 */
void ir_sink(struct ir_block *b)
{
    struct sinker s;         /* its copies not cleared: temps are written before they are read */
    struct ir_op *op = b->ops;
    int64_t k;

    s.b = b;
    s.n_globals = (ir_val)b->target->n_globals;
    s.put_off = 0;
    memset(s.version, 0, sizeof(s.version));
    for (unsigned i = 0; i < b->n_ops; i++, op++) {

        if (op->opc == IR_INSN || op->opc == IR_GONE)
            continue;
        if (ir_is_barrier(op)) {
            settle_all(&s, i);
        } else if (changes_by(&s, op, &k)) {
            put_off(&s, op, i, k);
            continue;
        }
        if (s.put_off & globals_of(op))
            readers(&s, op, i);
        note_written(&s, op->d);
        note_written(&s, op->e);
        learn_copy(&s, op);
    }
}
