/*
 * dump.c - printing IR (-d op, -d op_opt, and failing tests)
 *
 *    ---- +0x12 len=3
 *    add.4     rax, rax, $0x5            wf=CPAZSO lf=CZ
 */
#include <inttypes.h>
#include "tcg/tcg.h"

static const char *const cc_names[16] = {
    "o", "no", "c", "nc", "z", "nz", "cz", "ncz", "s", "ns", "p", "np", "lt", "ge", "le", "gt",
};
static const char *const cmp_names[16] = {
    "?", "?", "ltu", "geu", "eq", "ne", "leu", "gtu", "?", "?", "?", "?", "lt", "ge", "le", "gt",
};
static const char *const rmw_names[] = {
    "add", "sub", "and", "or", "xor", "adc", "sbb", "inc", "dec", "neg", "not", "bts", "btr", "btc",
};

/* a line under construction; what does not fit is cut */
struct line {
    char s[200];
    size_t n;
};

static void put(struct line *l, const char *fmt, ...) PRINTF(2, 3);
static void put(struct line *l, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(l->s + l->n, sizeof(l->s) - l->n, fmt, ap);
    va_end(ap);
    l->n = MIN(sizeof(l->s) - 1, l->n + (size_t)MAX(n, 0));
}

static void pad(struct line *l, size_t column)
{
    while (l->n < column)
        put(l, " ");
}

static void put_imm(struct line *l, int64_t v)
{
    if (v < 0 && v > INT64_MIN)
        put(l, "$-%#" PRIx64, (uint64_t)-v);
    else
        put(l, "$%#" PRIx64, (uint64_t)v);
}

static void put_val(struct line *l, const struct ir_block *b, const struct ir_op *op, ir_val v)
{
    if (v == IR_NONE)
        put(l, "-");
    else if (v == IR_IMM)
        put_imm(l, op->imm);
    else if (v == IR_IMM2)
        put_imm(l, op->imm2);
    else if (v < b->target->n_globals)
        put(l, "%s", b->target->globals[v].name);
    else
        put(l, "t%u", (unsigned)(v - b->target->n_globals));
}

static void put_flags(struct line *l, const char *what, unsigned f)
{
    static const char letters[] = "CPAZSO";

    if (!f)
        return;
    put(l, " %s=", what);
    for (unsigned i = 0; i < 6; i++)
        if (f & (1u << i))
            put(l, "%c", letters[i]);
}

static void put_operands(struct line *l, const struct ir_block *b, const struct ir_op *op)
{
    const struct ir_info *inf = ir_op_info(op->opc);
    const ir_val v[] = { op->d, op->e, op->a, op->b, op->c };
    unsigned mask = inf->outs | inf->ins;
    const char *sep = "";

    for (unsigned i = 0; i < ARRAY_SIZE(v); i++) {
        /* trailing absent operands are left out; d and a keep their place */
        if (!(mask & (1u << i)) || (v[i] == IR_NONE && (i == 1 || i == 4)))
            continue;
        put(l, "%s", sep);
        put_val(l, b, op, v[i]);
        if (op->last & (1u << i))
            put(l, "'");
        sep = ", ";
    }
}

static void put_vec(struct line *l, const struct ir_block *b, const struct ir_op *op)
{
    static const char *const enc[] = { "legacy", "vex", "evex", "x87" };
    const struct ir_vec *v;

    if (op->imm < 0 || op->imm >= (int64_t)b->n_vec || op->imm >= IR_MAX_VEC) {
        put(l, " vec=?");
        return;
    }
    v = &b->vec[op->imm];
    put(l, " %s map=%u pp=%u op=%#x reg=%u rm=%u mem=%u", enc[v->enc & 3], v->map, v->pp,
        v->opcode, v->reg, v->rm, v->mem_bytes);
}

/* what some rows say besides operands */
static void put_extra(struct line *l, const struct ir_block *b, const struct ir_op *op)
{
    switch (op->opc) {
    case IR_LEA:
        put(l, "<<%u ", op->sc);
        put_imm(l, op->imm);
        break;
    case IR_SEXT: case IR_LDS: case IR_CRC32C:
        put(l, " from=%u", op->sz2);
        break;
    case IR_LDE: case IR_STE:
        put(l, " [cpu+%#" PRIx64 "]", (uint64_t)op->imm);
        break;
    case IR_BR: case IR_BRCC: case IR_BRCMP:
        put(l, " -> L%u", op->label);
        break;
    case IR_CALL:
        put(l, " fn=%p callf=%#x", op->fn, op->callf);
        break;
    case IR_GOTO_TB: case IR_LEAVECC: case IR_RETURNS:
        put(l, "%sslot=%u", op->opc == IR_RETURNS ? " " : "", op->aux);
        /* fall through */
    case IR_EXIT:
        put(l, " +%#" PRIx64 "%s", (uint64_t)op->imm, op->poll ? " poll" : "");
        break;
    case IR_GOTO_PC:
        if (op->c != IR_NONE)
            put(l, " from -%" PRIu64, (uint64_t)op->imm);
        break;
    case IR_NOTE:
        put_imm(l, op->imm);
        break;
    case IR_VEC:
        put_vec(l, b, op);
        break;
    default:
        break;
    }
    if ((ir_op_attr(op) & IRA_MEM) && op->grp >= GRP_LEAD) {
        if (op->disp)
            put(l, " %+d", op->disp);
        put(l, " %+d..%+d: ", op->span_lo, op->span_hi);
        put_val(l, b, op, op->e);
    } else if ((ir_op_attr(op) & IRA_MEM) && op->grp == GRP_USE) {
        put(l, " %+d in ", op->disp);
        put_val(l, b, op, op->c);
    }
    if (op->lock)
        put(l, " lock");
}

static void put_name(struct line *l, const struct ir_op *op)
{
    const struct ir_info *inf = ir_op_info(op->opc);

    put(l, "    %s", inf->name);
    if (op->opc == IR_RMW)
        put(l, ".%s", op->rmw < ARRAY_SIZE(rmw_names) ? rmw_names[op->rmw] : "?");
    else if (ir_op_attr(op) & IRA_CC)
        put(l, ".%s", op->opc == IR_BRCMP ? cmp_names[op->cc & 15] : cc_names[op->cc & 15]);
    if (op->size)
        put(l, ".%u", op->size);
    pad(l, 16);
}

static void dump_op(const struct ir_block *b, const struct ir_op *op, FILE *f)
{
    struct line l = { .n = 0 };

    l.s[0] = 0;
    if (op->opc >= IR_OPC_COUNT) {
        fprintf(f, "    ?%u\n", op->opc);
        return;
    }
    if (op->opc == IR_INSN) {
        fprintf(f, " ---- +%#" PRIx64 " len=%u\n", (uint64_t)op->imm, op->aux);
        return;
    }
    if (op->opc == IR_LABEL) {
        fprintf(f, "  L%" PRId64 ":\n", op->imm);
        return;
    }
    put_name(&l, op);
    put_operands(&l, b, op);
    put_extra(&l, b, op);
    if (op->wf || op->rf || op->lf)
        pad(&l, 47);
    put_flags(&l, "rf", op->rf);
    put_flags(&l, "wf", op->wf);
    put_flags(&l, "lf", op->lf);
    fprintf(f, "%s\n", l.s);
}

static void dump_page(const struct ir_block *b, const struct ir_page *p, FILE *f)
{
    struct line l = { .n = 0 };

    put(&l, "    page        ");
    put_val(&l, b, b->ops, p->delta);
    put(&l, p->write ? ", writable: " : ": ");
    if (p->a == IR_PAGE_PC)
        put(&l, "pcbase");
    else
        put_val(&l, b, b->ops, p->a);
    if (p->b != IR_NONE) {
        put(&l, " + ");
        put_val(&l, b, b->ops, p->b);
        put(&l, " << %u", p->sc);
    }
    put(&l, " %+d, %u bytes", p->disp + p->lo, p->bytes);
    fprintf(f, "%s\n", l.s);
}

void ir_dump(const struct ir_block *b, FILE *f)
{
    for (unsigned i = 0; i < b->loop.n; i++)
        dump_page(b, &b->loop.page[i], f);
    for (unsigned i = 0; i < b->n_ops; i++)
        dump_op(b, &b->ops[i], f);
}
