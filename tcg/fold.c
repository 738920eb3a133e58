/*
 * fold.c - constants, copies and address sums
 *
 * One forward walk. For each value it keeps what is known about it: that it is
 * a constant, a copy of another value, or another value plus a constant. A fact
 * about another value holds as long as that value is not written again, which a
 * version number tells. Labels forget everything: facts never cross them.
 *
 * A rule may assume that inputs were replaced already, and must leave an
 * operation that the verifier passes. Rules that turn an operation into another
 * need wf == 0, so the dead-flag pass runs before.
 */
#include "tcg/ir-int.h"

enum fact_kind { FACT_NONE, FACT_CONST, FACT_COPY, FACT_SUM };

struct fact {
    uint8_t size;        /* SUM: width of the addition, 4 or 8 */
    ir_val src;          /* COPY, SUM */
    uint16_t src_version;
    int64_t imm;         /* CONST, SUM */
};

struct folder {
    struct ir_block *b;
    ir_val n_globals;
    uint16_t version[IR_ALL_VALS];
    uint8_t kind[IR_ALL_VALS];       /* enum fact_kind; NONE of what is no value */
    uint8_t bytes[IR_ALL_VALS];      /* bits above this many bytes are 0; 8: not known */
    struct fact facts[IR_ALL_VALS];  /* what kind says that there is */
};

static bool fits32(int64_t v)
{
    return v == (int32_t)v;
}

static bool is_global(const struct folder *f, ir_val v)
{
    return v < f->n_globals;
}

/* Is @v known to be a copy, or a sum, of a value that is still the same? Then *@k says of which. */
static inline bool is_fact(const struct folder *f, ir_val v, enum fact_kind kind, const struct fact **k)
{
    *k = &f->facts[v];
    return f->kind[v] == kind && f->version[(*k)->src] == (*k)->src_version;
}

static inline bool known(const struct folder *f, ir_val v, const struct ir_op *op, int64_t *c)
{
    if (f->kind[v] != FACT_CONST && v != IR_IMM)
        return false;
    *c = v == IR_IMM ? op->imm : f->facts[v].imm;
    return true;
}

/* how many low bytes of @v may be other than 0 */
static unsigned bytes_of(const struct folder *f, ir_val v) { return f->bytes[v]; }

static inline struct fact *learn(struct folder *f, ir_val v, enum fact_kind kind, unsigned bytes)
{
    f->kind[v] = (uint8_t)kind;
    f->bytes[v] = (uint8_t)bytes;
    return &f->facts[v];
}

/* Control may come from elsewhere. */
static void forget_all(struct folder *f)
{
    memset(f->kind, FACT_NONE, f->b->n_vals);
    memset(f->bytes, 8, f->b->n_vals);
}

/* ---- inputs ------------------------------------------------------------------ */

static ir_val copy_source(const struct folder *f, ir_val v)
{
    const struct fact *k;

    return is_fact(f, v, FACT_COPY, &k) ? k->src : v;
}

/* rows whose b a host can take as a sign-extended 32-bit immediate */
static bool takes_imm(const struct ir_op *op)
{
    switch (op->opc) {
    case IR_ADD: case IR_SUB: case IR_AND: case IR_OR: case IR_XOR: case IR_ADC: case IR_SBB:
    case IR_CMP: case IR_TEST: case IR_SHL: case IR_SHR: case IR_SAR: case IR_ROL: case IR_ROR:
    case IR_RCL: case IR_RCR: case IR_BT: case IR_BTS: case IR_BTR: case IR_BTC: case IR_IMUL:
    case IR_ST: case IR_BRCMP: case IR_MOV:
        return true;
    default:
        return false;
    }
}

/* b is a constant */
static void constant_b(struct folder *f, struct ir_op *op)
{
    int64_t c = f->facts[op->b].imm;

    if (op->opc == IR_STE) {
        c = (int64_t)sext((uint64_t)c, op->size);
        if (fits32(c)) {
            op->b = IR_IMM2;
            op->imm2 = (int32_t)c;
        }
        return;
    }
    if (!takes_imm(op))
        return;
    c = (int64_t)sext((uint64_t)c, op->size);
    if (op->opc != IR_MOV && !fits32(c))
        return;
    op->b = IR_IMM;
    op->imm = c;
}

static void replace_inputs(struct folder *f, struct ir_op *op)
{
    if (!(f->kind[op->a] | f->kind[op->b] | f->kind[op->c]))
        return;              /* nothing is known of any */
    op->a = copy_source(f, op->a);
    op->b = copy_source(f, op->b);
    op->c = copy_source(f, op->c);
    if (f->kind[op->b] == FACT_CONST)
        constant_b(f, op);
    /* where b is used for its own sake: the commutative swap brings constants there */
    if (f->kind[op->a] == FACT_CONST && op->b < IR_IMM2 && op->opc >= IR_ADD && op->opc <= IR_XOR &&
        op->opc != IR_SUB) {
        const struct fact *k = &f->facts[op->a];
        if (fits32((int64_t)sext((uint64_t)k->imm, op->size))) {
            op->a = op->b;
            op->b = IR_IMM;
            op->imm = (int64_t)sext((uint64_t)k->imm, op->size);
        }
    }
}

/* ---- rules ----------------------------------------------------------------------- */

static void become_mov(struct ir_op *op, unsigned size, ir_val src)
{
    op->opc = IR_MOV;
    op->size = size;
    op->a = op->c = IR_NONE;
    op->b = src;
    op->sc = 0;
}

static void become_const(struct ir_op *op, unsigned size, uint64_t v)
{
    become_mov(op, size, IR_IMM);
    op->imm = size == 8 ? (int64_t)v : (int64_t)sext(v, size);
    if (size == 4)
        op->imm = (uint32_t)v;
}

/* the value of an operation on constants; false: not one of those done here */
static bool evaluate(const struct ir_op *op, uint64_t a, uint64_t b, uint64_t *v)
{
    unsigned size = op->size, n = b & (size == 8 ? 63 : 31);

    switch (op->opc) {
    case IR_ADD: *v = a + b; return true;
    case IR_SUB: *v = a - b; return true;
    case IR_AND: *v = a & b; return true;
    case IR_OR: *v = a | b; return true;
    case IR_XOR: *v = a ^ b; return true;
    case IR_IMUL: *v = a * b; return true;
    case IR_INC: *v = a + 1; return true;
    case IR_DEC: *v = a - 1; return true;
    case IR_NEG: *v = -a; return true;
    case IR_NOT: *v = ~a; return true;
    case IR_SHL: *v = a << n; return true;
    case IR_SHR: *v = (a & size_mask(size)) >> n; return true;
    case IR_SAR: *v = (uint64_t)((int64_t)sext(a, size) >> n); return true;
    case IR_BSWAP: *v = size == 8 ? __builtin_bswap64(a) : __builtin_bswap32((uint32_t)a); return true;
    case IR_SEXT: *v = sext(a, op->sz2); return true;
    default: return false;
    }
}

static void simplify_lea(struct ir_op *op)
{
    if (op->a == IR_NONE && op->b == IR_NONE)
        become_const(op, op->size, (uint64_t)op->imm);
    else if (op->b == IR_NONE && !op->imm)
        become_mov(op, op->size, op->a);
    else if (op->a == IR_NONE && !op->sc && !op->imm)
        become_mov(op, op->size, op->b);
}

static void fold_lea(struct folder *f, struct ir_op *op)
{
    const struct fact *k;
    int64_t c;

    if (op->b < IR_IMM2 && known(f, op->b, op, &c)) {
        op->imm += (int64_t)((uint64_t)c << op->sc);
        op->b = IR_NONE;
        op->sc = 0;
    }
    if (op->a < IR_IMM2 && known(f, op->a, op, &c)) {
        op->imm += c;
        op->a = IR_NONE;
    }
    if (is_fact(f, op->a, FACT_SUM, &k) && k->size >= op->size && fits32(op->imm + k->imm)) {
        op->a = k->src;
        op->imm += k->imm;
    }
    simplify_lea(op);
}

/* LEA's displacement must stay one that a host can encode */
static void try_fold_lea(struct folder *f, struct ir_op *op)
{
    struct ir_op t;

    if (!(f->kind[op->a] | f->kind[op->b])) {
        simplify_lea(op);
        return;
    }
    t = *op;
    fold_lea(f, &t);
    if (t.opc != IR_LEA || fits32(t.imm) || t.imm == op->imm)
        *op = t;
}

static void fold_extend(struct folder *f, struct ir_op *op)
{
    int64_t c;

    if (known(f, op->a, op, &c)) {
        uint64_t v = op->opc == IR_EXTH ? ((uint64_t)c >> 8) & 0xff : (uint64_t)c & size_mask(op->size);
        become_const(op, 8, v);
    } else if (op->opc == IR_ZEXT && bytes_of(f, op->a) <= op->size) {
        become_mov(op, 8, op->a);
    }
}

/* x op 0 and the like, which address arithmetic and REP prologues leave */
static bool fold_identity(struct ir_op *op)
{
    if (op->b != IR_IMM || (int64_t)sext((uint64_t)op->imm, op->size))
        return false;
    switch (op->opc) {
    case IR_ADD: case IR_SUB: case IR_OR: case IR_XOR: case IR_SHL: case IR_SHR: case IR_SAR:
        become_mov(op, op->size, op->a);
        return true;
    case IR_AND:
        become_const(op, op->size, 0);
        return true;
    default:
        return false;
    }
}

static void fold_arith(struct folder *f, struct ir_op *op)
{
    unsigned ins = ir_op_info(op->opc)->ins;
    int64_t a = 0, b = 0;
    uint64_t v;

    if (op->wf || fold_identity(op))
        return;
    if (!known(f, op->a, op, &a) || ((ins & IRO_B) && !known(f, op->b, op, &b)))
        return;
    if (evaluate(op, (uint64_t)a, (uint64_t)b, &v))
        become_const(op, op->size, v);
}

static bool compare(enum ir_cc cc, unsigned size, uint64_t a, uint64_t b)
{
    int64_t sa = (int64_t)sext(a, size), sb = (int64_t)sext(b, size);
    bool t;

    a &= size_mask(size);
    b &= size_mask(size);
    switch (cc >> 1) {
    case IRC_LTU >> 1: t = a < b; break;
    case IRC_EQ >> 1: t = a == b; break;
    case IRC_LEU >> 1: t = a <= b; break;
    case IRC_LT >> 1: t = sa < sb; break;
    default: t = sa <= sb; break;
    }
    return t != (cc & 1);
}

/* a decided branch goes always, or never: then to nowhere, as a move of nothing */
static bool fold_brcmp(struct folder *f, struct ir_op *op)
{
    int64_t a, b;

    if (!known(f, op->a, op, &a) || !known(f, op->b, op, &b))
        return false;
    if (!compare(op->cc, op->size, (uint64_t)a, (uint64_t)b))
        return true;
    op->opc = IR_BR;
    op->size = 0;
    op->cc = 0;
    op->a = op->b = IR_NONE;
    return false;
}

enum rule { RULE_NONE, RULE_LEA, RULE_EXTEND, RULE_BRCMP, RULE_MOV, RULE_ARITH };
static const uint8_t rules[IR_OPC_COUNT] = {
    [IR_LEA] = RULE_LEA, [IR_ZEXT] = RULE_EXTEND, [IR_EXTH] = RULE_EXTEND, [IR_BRCMP] = RULE_BRCMP,
    [IR_MOV] = RULE_MOV, [IR_ADD] = RULE_ARITH, [IR_SUB] = RULE_ARITH, [IR_AND] = RULE_ARITH,
    [IR_OR] = RULE_ARITH, [IR_XOR] = RULE_ARITH, [IR_IMUL] = RULE_ARITH, [IR_INC] = RULE_ARITH,
    [IR_DEC] = RULE_ARITH, [IR_NEG] = RULE_ARITH, [IR_NOT] = RULE_ARITH, [IR_SHL] = RULE_ARITH,
    [IR_SHR] = RULE_ARITH, [IR_SAR] = RULE_ARITH, [IR_BSWAP] = RULE_ARITH, [IR_SEXT] = RULE_ARITH,
};

/* apply the row's rule; true: the operation is to be dropped */
static bool fold_op(struct folder *f, struct ir_op *op)
{
    switch (rules[op->opc]) {
    case RULE_LEA:
        try_fold_lea(f, op);
        return false;
    case RULE_EXTEND:
        fold_extend(f, op);
        return false;
    case RULE_BRCMP:
        return fold_brcmp(f, op);
    case RULE_ARITH:
        fold_arith(f, op);
        if (op->opc != IR_MOV)
            return false;
        /* fall through */
    case RULE_MOV:
        return op->b == op->d && op->size != 4;
    default:
        return false;
    }
}

/* ---- results ---------------------------------------------------------------------- */

enum { BYTES_OF_4 /* op->size if that is 4, else 8 */, BYTES_OF_SIZE = 16, BYTES_OF_SZ2 };
static const uint8_t bytes_rules[IR_OPC_COUNT] = {
    [IR_SETCC] = 1, [IR_EXTH] = 1, [IR_GETF] = 2, [IR_CRC32C] = 4,
    [IR_VEC] = 8, [IR_CALL] = 8, [IR_CMPXCHG] = 8, [IR_DEPH] = 8,
    [IR_BSF] = 8, [IR_BSR] = 8,   /* of 0: all of b */
    [IR_ZEXT] = BYTES_OF_SIZE, [IR_LD] = BYTES_OF_SIZE, [IR_LDW] = BYTES_OF_SIZE, [IR_LDE] = BYTES_OF_SIZE,
    [IR_LDS] = BYTES_OF_SZ2,
};

static inline unsigned result_bytes(const struct ir_op *op)
{
    unsigned n = bytes_rules[op->opc];

    if (n == BYTES_OF_4)
        return op->size == 4 ? 4 : 8;
    return n == BYTES_OF_SIZE ? op->size : n == BYTES_OF_SZ2 ? op->sz2 : n;
}

static void learn_mov(struct folder *f, const struct ir_op *op, unsigned src_bytes)
{
    struct fact *k;

    if (op->b == IR_IMM) {
        k = learn(f, op->d, FACT_CONST, 8);
        k->imm = op->size == 4 ? (int64_t)(uint32_t)op->imm : op->imm;
        return;
    }
    if (op->b >= IR_IMM2 || op->b == op->d || (op->size == 4 && src_bytes > 4))
        return;
    if (is_global(f, op->d)) {
        /* the global is the better name: it has its place anyway */
        if (is_global(f, op->b) || f->b->target->globals[op->d].pin < 0)
            return;
        k = learn(f, op->b, FACT_COPY, MIN(src_bytes, op->size));
        k->src = op->d;
        k->src_version = f->version[op->d];
        f->bytes[op->d] = MIN(src_bytes, op->size);
        return;
    }
    k = learn(f, op->d, FACT_COPY, MIN(src_bytes, op->size));
    k->src = op->b;
    k->src_version = f->version[op->b];
}

static void learn_sum(struct folder *f, const struct ir_op *op, unsigned bytes)
{
    struct fact *k;

    if (op->a >= IR_IMM2 || op->a == op->d || op->size < 4)
        return;
    k = learn(f, op->d, FACT_SUM, bytes);
    k->src = op->a;
    k->src_version = f->version[op->a];
    k->size = op->size;
    k->imm = op->opc == IR_SUB ? -op->imm : op->imm;
}

/* @v may be what is no value */
static void forget(struct folder *f, ir_val v, unsigned bytes)
{
    f->version[v]++;
    learn(f, v, FACT_NONE, bytes);
}

/* a partial write into a constant by a constant is a constant */
static void learn_merge(struct folder *f, const struct ir_op *op, unsigned bytes)
{
    bool merge = op->opc == IR_MOV && op->b == IR_IMM;
    uint64_t m = size_mask(op->size);
    int64_t old;

    merge = merge && known(f, op->d, op, &old);
    forget(f, op->d, bytes);
    if (merge)
        learn(f, op->d, FACT_CONST, 8)->imm = (int64_t)(((uint64_t)old & ~m) | ((uint64_t)op->imm & m));
}

static void learn_results(struct folder *f, const struct ir_op *op)
{
    unsigned bytes, src_bytes;

    if (op->e != IR_NONE)
        forget(f, op->e, op->size == 4 ? 4 : 8);
    if (op->d == IR_NONE)
        return;
    bytes = result_bytes(op);
    src_bytes = bytes_of(f, op->b);
    if (ir_keeps_d(op)) {
        learn_merge(f, op, bytes);
        return;
    }
    forget(f, op->d, bytes);
    if (op->d == op->e)
        return;
    if (op->opc == IR_MOV)
        learn_mov(f, op, src_bytes);
    else if (op->opc == IR_LEA && op->b == IR_NONE)
        learn_sum(f, op, bytes);
    else if ((op->opc == IR_ADD || op->opc == IR_SUB) && op->b == IR_IMM)
        learn_sum(f, op, bytes);
}

static void forget_globals(struct folder *f)
{
    for (unsigned g = 0; g < f->n_globals; g++)
        forget(f, (ir_val)g, 8);
}

/**
 * ir_fold() - constant folding, copy propagation, address arithmetic
 *
 * Replaces operands and operations; what this leaves without readers is for
 * ir_liveness() to remove.
 */
void ir_fold(struct ir_block *b)
{
    struct folder f;
    struct ir_op *to = b->ops;

    f.b = b;
    f.n_globals = (ir_val)b->target->n_globals;
    memset(f.version, 0, b->n_vals * sizeof(f.version[0]));
    forget_all(&f);
    for (ir_val v = IR_MAX_VALS; v < IR_ALL_VALS; v++)
        learn(&f, v, FACT_NONE, 8);
    for (struct ir_op *op = b->ops, *end = op + b->n_ops; op < end; op++) {
        if (op->opc == IR_LABEL) {
            forget_all(&f);
        } else if (op->opc != IR_INSN) {
            replace_inputs(&f, op);
            if (fold_op(&f, op))
                continue;
            learn_results(&f, op);
        }
        if (op->opc == IR_CALL && (op->callf & IRCALL_SYNC)) {
            forget_globals(&f);
            if (op->d != IR_NONE)
                forget(&f, op->d, 8);
        }
        if (to != op)
            *to = *op;
        to++;
    }
    b->n_ops = (unsigned)(to - b->ops);
}
