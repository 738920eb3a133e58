/*
 * verify.c - the invariants of a block of IR
 *
 * Run on every block in debug builds, before and after the passes, so that a
 * translator's or a pass's mistake is found where it was made. The checks are
 * linear: a temp must be written at a lower index than it is read at, which
 * with forward branches alone means on every path that matters.
 */
#include "tcg/tcg.h"

struct verifier {
    const struct ir_block *b;
    const struct ir_op *op;
    unsigned at;                      /* index of op */
    uint8_t defined[IR_MAX_VALS];     /* 1: written at a lower index */
    uint8_t label_seen[IR_MAX_LABELS];
    bool label_used[IR_MAX_LABELS];
    bool slot_used[TB_LINKS];
    const char *why;
};

static bool bad(struct verifier *v, const char *why)
{
    v->why = why;
    return false;
}

/* legal widths as an OR of 1, 2, 4, 8; 0: the row has no width */
static unsigned legal_sizes(const struct ir_op *op)
{
    switch (op->opc) {
    case IR_LEA: case IR_BSWAP: case IR_ANDN: case IR_MULX: case IR_BLSR: case IR_BLSMSK:
    case IR_BLSI: case IR_BEXTR: case IR_BZHI: case IR_PDEP: case IR_PEXT: case IR_CRC32C:
    case IR_ADCX: case IR_ADOX:
        return 4 | 8;
    case IR_IMUL: case IR_SHLD: case IR_SHRD: case IR_BT: case IR_BTS: case IR_BTR: case IR_BTC:
    case IR_BSF: case IR_BSR: case IR_TZCNT: case IR_LZCNT: case IR_POPCNT: case IR_CMOV:
    case IR_SEXT:
        return 2 | 4 | 8;
    case IR_LDS:
        return 1 | 2 | 4;
    case IR_EXTH: case IR_DEPH: case IR_SETCC: case IR_GETF: case IR_SETF: case IR_CLC:
    case IR_STC: case IR_CMC: case IR_FENCE: case IR_NOTE: case IR_VEC: case IR_CALL: case IR_INSN:
    case IR_LABEL: case IR_BR: case IR_BRCC: case IR_LEAVECC: case IR_GOTO_TB: case IR_RETURNS: case IR_GOTO_PC: case IR_EXIT:
    case IR_EXIT_PC:
        return 0;
    default:
        return 1 | 2 | 4 | 8;
    }
}

static bool one_of(unsigned n, unsigned set)
{
    return n && !(n & (n - 1)) && (n & set);
}

static bool check_sizes(struct verifier *v)
{
    const struct ir_op *op = v->op;
    unsigned legal = legal_sizes(op);

    if (legal && !one_of(op->size, legal))
        return bad(v, "illegal size");
    switch (op->opc) {
    case IR_SEXT:
        if (!one_of(op->sz2, 1 | 2 | 4) || op->sz2 > op->size)
            return bad(v, "illegal source size");
        break;
    case IR_LDS:
        if (!one_of(op->sz2, 2 | 4 | 8) || op->sz2 < op->size)
            return bad(v, "illegal result size");
        break;
    case IR_CRC32C:
        if (!one_of(op->sz2, 1 | 2 | 4 | 8))
            return bad(v, "illegal source size");
        break;
    case IR_LEA:
        if (op->sc > 3)
            return bad(v, "illegal scale");
        break;
    default:
        break;
    }
    return true;
}

/* operands (IRO_*) that may be IR_NONE although the row names them */
static unsigned optional(const struct ir_op *op)
{
    switch (op->opc) {
    case IR_LEA:
        return IRO_A | IRO_B;
    case IR_MULU: case IR_MULS: case IR_MULX:
        return IRO_D | IRO_E;
    case IR_DIVU: case IR_DIVS:
        return IRO_D | IRO_E | (op->size == 1 ? IRO_B : 0);
    case IR_VEC:
        return IRO_D | IRO_A | IRO_B;
    case IR_CALL:
        return IRO_D | IRO_A | IRO_B | IRO_C;
    case IR_GOTO_PC:
        return IRO_C;
    case IR_RMW:
        return op->rmw >= IRM_INC && op->rmw <= IRM_NOT ? IRO_B : 0;
    default:
        return 0;
    }
}

static bool imm_legal(const struct ir_op *op, unsigned which, ir_val val)
{
    if (val == IR_IMM2)
        return op->opc == IR_STE && which == IRO_B;
    if (which == IRO_C)
        return op->opc == IR_SHLD || op->opc == IR_SHRD;
    return which == IRO_B && op->opc != IR_LEA && op->opc != IR_VEC && op->opc != IR_STE;
}

static bool check_input(struct verifier *v, unsigned which, ir_val val)
{
    const struct ir_info *inf = ir_op_info(v->op->opc);

    if (!(inf->ins & which) && !(which == IRO_C && v->op->grp == GRP_USE && (ir_op_attr(v->op) & IRA_MEM)))
        return val == IR_NONE || bad(v, "input that the row does not have");
    if (val == IR_NONE)
        return (optional(v->op) & which) || bad(v, "input missing");
    if (val == IR_IMM || val == IR_IMM2)
        return imm_legal(v->op, which, val) || bad(v, "immediate not legal here");
    if (val >= v->b->n_vals)
        return bad(v, "input out of range");
    if (val >= v->b->target->n_globals && !v->defined[val])
        return bad(v, "temp read before it is written");
    return true;
}

/* a result that keeps part of d reads d; a fresh temp must not lose bits so */
static bool check_output(struct verifier *v, unsigned which, ir_val val)
{
    const struct ir_info *inf = ir_op_info(v->op->opc);

    if (!(inf->outs & which) && !(which == IRO_E && v->op->grp >= GRP_LEAD && (ir_op_attr(v->op) & IRA_MEM)))
        return val == IR_NONE || bad(v, "result that the row does not have");
    if (val == IR_NONE)
        return (optional(v->op) & which) || bad(v, "result missing");
    if (val >= v->b->n_vals)
        return bad(v, "result out of range");
    return true;
}

static bool check_operands(struct verifier *v)
{
    const struct ir_op *op = v->op;

    if (!check_input(v, IRO_A, op->a) || !check_input(v, IRO_B, op->b) ||
        !check_input(v, IRO_C, op->c))
        return false;
    if (!check_output(v, IRO_D, op->d) || !check_output(v, IRO_E, op->e))
        return false;
    if (op->opc == IR_DEPH && op->d >= v->b->target->n_globals && !v->defined[op->d])
        return bad(v, "temp read before it is written");
    if (op->d != IR_NONE)
        v->defined[op->d] = 1;
    if (op->e != IR_NONE)
        v->defined[op->e] = 1;
    return true;
}

static bool check_label(struct verifier *v)
{
    const struct ir_op *op = v->op;

    switch (op->opc) {
    case IR_LABEL:
        if (op->imm < 0 || op->imm >= v->b->n_labels || op->imm >= IR_MAX_LABELS)
            return bad(v, "label out of range");
        if (v->label_seen[op->imm]++)
            return bad(v, "label placed twice");
        return true;
    case IR_BR: case IR_BRCC: case IR_BRCMP:
        if (op->label >= v->b->n_labels || op->label >= IR_MAX_LABELS)
            return bad(v, "label out of range");
        v->label_used[op->label] = true;
        return true;
    default:
        return true;
    }
}

static bool cmp_cc_legal(unsigned cc)
{
    return (cc >= IRC_C && cc <= IRC_NCZ) || (cc >= IRC_LT && cc <= IRC_GT);
}

static bool use_slot(struct verifier *v)
{
    if (v->slot_used[v->op->aux])
        return bad(v, "slot used twice");
    v->slot_used[v->op->aux] = true;
    return true;
}

/* what is there before the first operation */
static const char *check_loop(struct verifier *v)
{
    const struct ir_loop *l = &v->b->loop;

    if (!l->n)
        return NULL;
    if (l->n > IR_N_PAGES || l->slot < TB_SIDE_LINK || l->slot >= TB_LINKS || l->step < 1
        || l->counter >= v->b->target->n_globals || v->b->target->globals[l->counter].pin < 0)
        return "loop out of range";
    v->slot_used[l->slot] = true;
    for (unsigned i = 0; i < l->n; i++) {
        const struct ir_page *p = &l->page[i];
        if (p->delta < v->b->target->n_globals || p->delta >= v->b->n_vals || v->defined[p->delta])
            return "page's value is no temp of its own";
        if (!p->bytes || p->bytes > 4096 || (p->a >= v->b->target->n_globals && p->a != IR_PAGE_PC)
            || (p->b >= v->b->target->n_globals && p->b != IR_NONE))
            return "page out of range";
        v->defined[p->delta] = 1;
    }
    return NULL;
}

static bool check_fields(struct verifier *v)
{
    const struct ir_op *op = v->op;

    if ((op->wf | op->rf | op->lf) & ~IRF_ALL)
        return bad(v, "unknown flag");
    if ((ir_op_attr(op) & IRA_CC) && op->cc > IRC_GT)
        return bad(v, "no such condition");
    if (op->opc == IR_BRCMP && !cmp_cc_legal(op->cc))
        return bad(v, "condition does not compare");
    if (op->opc == IR_RMW && op->rmw > IRM_BTC)
        return bad(v, "no such read-modify-write");
    if (op->opc == IR_VEC && (op->imm < 0 || op->imm >= v->b->n_vec || op->imm >= IR_MAX_VEC))
        return bad(v, "vector description out of range");
    if (op->opc == IR_CALL && !op->fn)
        return bad(v, "call of nothing");
    if (op->opc == IR_LDE || op->opc == IR_STE) {
        int64_t end = (int64_t)v->b->target->cpu_size - op->size;

        if (op->imm < 0 || op->imm > end)
            return bad(v, "offset outside the CPU struct");
    }
    if (op->opc == IR_GOTO_TB || op->opc == IR_LEAVECC || op->opc == IR_RETURNS) {
        bool side = op->opc == IR_LEAVECC;

        if (op->aux >= TB_SIDE_LINK + (side ? TB_SIDE_LINKS : 0) || (side && op->aux < TB_SIDE_LINK))
            return bad(v, "no such slot");
        if (op->opc != IR_GOTO_TB && (op->imm & ~0xfffll))
            return bad(v, "leaves for another page");
        if (!use_slot(v))
            return false;
    }
    if ((ir_op_attr(op) & IRA_MEM) && op->grp >= GRP_LEAD) {
        if (op->aux < TB_SIDE_LINK || op->aux >= TB_LINKS)
            return bad(v, "no such slot");
        if (!use_slot(v))
            return false;
    }
    return true;
}

/* control must not run past the last operation, nor into one nobody reaches */
static bool check_flow(struct verifier *v)
{
    bool is_last = v->at + 1 == v->b->n_ops;

    if (ir_op_attr(v->op) & IRA_END)
        return is_last || v->op[1].opc == IR_LABEL || bad(v, "operation after the block's end");
    if (is_last && v->op->opc != IR_BR)
        return bad(v, "block does not end");
    return true;
}

static const char *report(struct verifier *v)
{
    static _Thread_local char text[160];   /* per thread: blocks are verified in parallel */

    if (v->op && v->op->opc < IR_OPC_COUNT)
        snprintf(text, sizeof(text), "op %u (%s): %s", v->at, ir_op_info(v->op->opc)->name, v->why);
    else
        snprintf(text, sizeof(text), "op %u: %s", v->at, v->why);
    return text;
}

const char *ir_verify(const struct ir_block *b)
{
    struct verifier v = { .b = b };
    const char *why;

    if (b->overflow)
        return "block overflowed";
    if (!b->n_ops || b->n_ops > IR_MAX_OPS || b->n_vals > IR_MAX_VALS ||
        b->n_labels > IR_MAX_LABELS || b->n_vec > IR_MAX_VEC)
        return "counts out of range";
    if ((why = check_loop(&v)) != NULL)
        return why;
    for (v.at = 0; v.at < b->n_ops; v.at++) {
        v.op = &b->ops[v.at];
        if (v.op->opc >= IR_OPC_COUNT) {
            bad(&v, "no such operation");
            return report(&v);
        }
        if (!check_sizes(&v) || !check_operands(&v) || !check_label(&v) ||
            !check_fields(&v) || !check_flow(&v))
            return report(&v);
    }
    for (unsigned i = 0; i < b->n_labels; i++)
        if (v.label_used[i] && !v.label_seen[i])
            return "branch to a label that is not placed";
    return NULL;
}
