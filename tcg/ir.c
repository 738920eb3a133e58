/*
 * ir.c - building blocks of intermediate representation, and what its rows say
 *
 * Nothing here fails: a block that runs out of room sets overflow and keeps
 * accepting (and losing) operations, so that a translator needs one check at
 * the end of each guest instruction instead of one at each operation.
 */
#include <stdlib.h>
#include "tcg/ir-int.h"

/* the short names of ops.def */
#define D IRO_D
#define DE (IRO_D | IRO_E)
#define A IRO_A
#define B IRO_B
#define AB (IRO_A | IRO_B)
#define ABC (IRO_A | IRO_B | IRO_C)
#define AC (IRO_A | IRO_C)
#define W IRA_W
#define CC IRA_CC
#define MEM IRA_MEM
#define SIDE IRA_SIDE
#define END IRA_END
#define RF IRA_RF
#define RFC IRA_RFC
/* what the passes would otherwise ask of each operation, again and again */
#define IS_SHIFT(c) ((c) >= IR_SHL && (c) <= IR_SHRD)
#define READS(c, at) ((at) & (RF | RFC) || IS_SHIFT(c) || (c) == IR_RMW || (c) == IR_CALL || (c) == IR_VEC)
#define STOPS(c, at) ((at) & END || (c) == IR_LABEL || (c) == IR_LEAVECC || (c) == IR_BR || (c) == IR_BRCC || (c) == IR_BRCMP)
#define TRAPS(c) ((c) == IR_CALL || (c) == IR_DIVU || (c) == IR_DIVS)
#define MORE(c, o, at)                                                                            \
    ((READS(c, at) ? IRA_FLAGS : 0) | (STOPS(c, at) ? IRA_STOP : 0) | (TRAPS(c) ? IRA_TRAP : 0) | \
     ((c) == IR_DEPH || (c) == IR_CMPXCHG ? IRA_KEEPS : 0) /* its d stays when the comparison succeeds */ | \
     (((o) & D) && !((at) & W) ? IRA_PART : 0) | (!(o) && !((at) & SIDE) ? IRA_IDLE : 0))
const struct ir_info ir_infos[IR_OPC_COUNT] = {
#define IROP(N, n, o, i, at) [IR_##N] = { n, o, i },
#include "tcg/ops.def"
#undef IROP
};
const uint16_t ir_attrs[IR_OPC_COUNT] = {
#define IROP(N, n, o, i, at) [IR_##N] = (at) | MORE(IR_##N, o, at),
#include "tcg/ops.def"
#undef IROP
};
#undef D
#undef DE
#undef A
#undef B
#undef AB
#undef ABC
#undef AC
#undef W
#undef CC
#undef MEM
#undef SIDE
#undef END
#undef RF
#undef RFC

#define BIT4(n) [n] = 1u << (n), 1u << ((n) + 1), 1u << ((n) + 2), 1u << ((n) + 3)
const uint32_t ir_global_bits[IR_ALL_VALS] = { BIT4(0), BIT4(4), BIT4(8), BIT4(12), BIT4(16), BIT4(20) };
_Static_assert(IR_MAX_GLOBALS == 24, "a bit for each global");

/* ---- builder ------------------------------------------------------------ */

struct ir_block *ir_block_new(void)
{
    struct ir_block *b = xzalloc(sizeof(*b));

    b->ops = xzalloc(IR_MAX_OPS * sizeof(*b->ops));
    b->vec = xzalloc(IR_MAX_VEC * sizeof(*b->vec));
    return b;
}

void ir_block_free(struct ir_block *b)
{
    if (!b)
        return;
    free(b->ops);
    free(b->vec);
    free(b);
}

/**
 * ir_begin() - empty @b for a block of target @t
 * @b: from ir_block_new(). Operations are cleared when they are emitted.
 */
void ir_begin(struct ir_block *b, const struct tcg_target *t)
{
    assert(t->n_globals <= IR_MAX_GLOBALS);
    b->target = t;
    b->n_carry = b->n_ops = b->loop.n = 0;
    b->n_vals = t->n_globals;
    b->n_labels = 0;
    b->n_vec = 0;
    b->n_exits = TB_SIDE_LINK;
    b->overflow = b->steps = false;
}

/** ir_temp() - a new temp; its value is undefined until it is written */
ir_val ir_temp(struct ir_block *b)
{
    if (b->n_vals >= IR_MAX_VALS) {
        b->overflow = true;
        return IR_MAX_VALS - 1;
    }
    return b->n_vals++;
}

/** ir_label() - a new label, to be placed once by ir_set_label() */
uint16_t ir_label(struct ir_block *b)
{
    if (b->n_labels >= IR_MAX_LABELS) {
        b->overflow = true;
        return IR_MAX_LABELS - 1;
    }
    return b->n_labels++;
}

/**
 * ir_emit() - append an operation
 * @size: 1, 2, 4, 8; 0 where the row has no width
 * @d, @a, @bb: operands or IR_NONE; IR_IMM for @bb wants op->imm filled by the caller
 *
 * Other fields are 0 or IR_NONE, but CLC, STC, CMC have wf = IRF_C already.
 * Returns the operation, valid until the next one; never NULL.
 */
struct ir_op *ir_emit(struct ir_block *b, enum ir_opc opc, unsigned size,
                      ir_val d, ir_val a, ir_val bb)
{
    struct ir_op *op;

    if (b->n_ops >= IR_MAX_OPS) {
        b->overflow = true;
        op = &b->ops[IR_MAX_OPS - 1];
    } else {
        op = &b->ops[b->n_ops++];
    }
    memset(op, 0, sizeof(*op));
    op->opc = opc;
    op->size = size;
    op->d = d;
    op->e = IR_NONE;
    op->a = a;
    op->b = bb;
    op->c = IR_NONE;
    if (opc == IR_CLC || opc == IR_STC || opc == IR_CMC)
        op->wf = IRF_C;
    return op;
}

/* rows whose imm is not an operand, or that have no b */
static bool imm_is_operand(enum ir_opc opc)
{
    return (ir_infos[opc].ins & IRO_B) && opc != IR_LEA && opc != IR_VEC && opc != IR_STE;
}

/**
 * ir_emit_imm() - append an operation with an immediate
 *
 * The immediate becomes operand b where the row has one; where imm means
 * something else (a label, a pcoff, an offset) only the field is set.
 */
struct ir_op *ir_emit_imm(struct ir_block *b, enum ir_opc opc, unsigned size,
                          ir_val d, ir_val a, int64_t imm)
{
    struct ir_op *op = ir_emit(b, opc, size, d, a, imm_is_operand(opc) ? IR_IMM : IR_NONE);

    op->imm = imm;
    return op;
}

/** ir_mov() - d = s in @size bytes (1, 2: the rest of d is kept) */
struct ir_op *ir_mov(struct ir_block *b, unsigned size, ir_val d, ir_val s)
{
    return ir_emit(b, IR_MOV, size, d, IR_NONE, s);
}

/** ir_movi() - d = imm, all 8 bytes */
struct ir_op *ir_movi(struct ir_block *b, ir_val d, uint64_t imm)
{
    return ir_emit_imm(b, IR_MOV, 8, d, IR_NONE, (int64_t)imm);
}

/**
 * ir_lea() - d = base + (index << sc) + disp, in @size (4, 8) bytes
 * @base, @index: may be IR_NONE
 * @sc: 0..3
 */
struct ir_op *ir_lea(struct ir_block *b, unsigned size, ir_val d, ir_val base,
                     ir_val index, unsigned sc, int64_t disp)
{
    struct ir_op *op = ir_emit(b, IR_LEA, size, d, base, index);

    op->sc = sc;
    op->imm = disp;
    return op;
}

/** ir_ld() - d = guest memory at linear address @addr, zero-extended */
struct ir_op *ir_ld(struct ir_block *b, unsigned size, ir_val d, ir_val addr)
{
    return ir_emit(b, IR_LD, size, d, addr, IR_NONE);
}

/** ir_st() - guest memory at linear address @addr = low @size bytes of v */
struct ir_op *ir_st(struct ir_block *b, unsigned size, ir_val addr, ir_val v)
{
    return ir_emit(b, IR_ST, size, IR_NONE, addr, v);
}

/** ir_lde() - d = @size bytes at offset @off of the CPU struct, zero-extended */
struct ir_op *ir_lde(struct ir_block *b, unsigned size, ir_val d, size_t off)
{
    return ir_emit_imm(b, IR_LDE, size, d, IR_NONE, (int64_t)off);
}

/** ir_ste() - @size bytes at offset @off of the CPU struct = v */
struct ir_op *ir_ste(struct ir_block *b, unsigned size, size_t off, ir_val v)
{
    struct ir_op *op = ir_emit(b, IR_STE, size, IR_NONE, IR_NONE, v);

    op->imm = (int64_t)off;
    return op;
}

/** ir_stei() - as ir_ste(), of a constant (sign-extended to @size) */
struct ir_op *ir_stei(struct ir_block *b, unsigned size, size_t off, int32_t v)
{
    struct ir_op *op = ir_ste(b, size, off, IR_IMM2);

    op->imm2 = v;
    return op;
}

/**
 * ir_call() - d = fn(cpu, a, bb, c)
 * @callf: IRCALL_*
 * @d, @a, @bb, @c: IR_NONE where there is none (the helper then gets 0)
 */
struct ir_op *ir_call(struct ir_block *b, void *fn, unsigned callf, ir_val d,
                      ir_val a, ir_val bb, ir_val c)
{
    struct ir_op *op = ir_emit(b, IR_CALL, 8, d, a, bb);

    op->c = c;
    op->fn = fn;
    op->callf = callf;
    return op;
}

/** ir_set_label() - @label stands here */
void ir_set_label(struct ir_block *b, uint16_t label)
{
    ir_emit(b, IR_LABEL, 0, IR_NONE, IR_NONE, IR_NONE)->imm = label;
}

/** ir_br() - go to @label */
void ir_br(struct ir_block *b, uint16_t label)
{
    ir_emit(b, IR_BR, 0, IR_NONE, IR_NONE, IR_NONE)->label = label;
}

/** ir_brcc() - go to @label when condition @cc over F holds */
void ir_leavecc(struct ir_block *b, enum ir_cc cc, int64_t pcoff, unsigned slot)
{
    struct ir_op *op = ir_emit_imm(b, IR_LEAVECC, 0, IR_NONE, IR_NONE, pcoff);

    op->cc = cc;
    op->aux = slot;
    b->n_exits = MAX(b->n_exits, slot + 1);
}

void ir_brcc(struct ir_block *b, enum ir_cc cc, uint16_t label)
{
    struct ir_op *op = ir_emit(b, IR_BRCC, 0, IR_NONE, IR_NONE, IR_NONE);

    op->cc = cc;
    op->label = label;
}

/** ir_brcmp() - go to @label when a @cc bb in @size bytes; F is not touched */
void ir_brcmp(struct ir_block *b, enum ir_cc cc, unsigned size, ir_val a, ir_val bb, uint16_t label)
{
    struct ir_op *op = ir_emit(b, IR_BRCMP, size, IR_NONE, a, bb);

    op->cc = cc;
    op->label = label;
}

/** ir_brcmpi() - ir_brcmp() with a constant */
void ir_brcmpi(struct ir_block *b, enum ir_cc cc, unsigned size, ir_val a, int64_t imm, uint16_t label)
{
    struct ir_op *op = ir_emit_imm(b, IR_BRCMP, size, IR_NONE, a, imm);

    op->cc = cc;
    op->label = label;
}

/** ir_insn() - a guest instruction of @len bytes starts at @pcoff */
void ir_insn(struct ir_block *b, int64_t pcoff, unsigned len)
{
    ir_emit_imm(b, IR_INSN, 0, IR_NONE, IR_NONE, pcoff)->aux = len;
}

/* ---- flags of an operation ------------------------------------------------ */

uint8_t ir_cc_flags(enum ir_cc cc)
{
    static const uint8_t pair[8] = {
        IRF_O, IRF_C, IRF_Z, IRF_C | IRF_Z, IRF_S, IRF_P, IRF_S | IRF_O, IRF_Z | IRF_S | IRF_O,
    };

    return pair[(cc >> 1) & 7];
}

static bool is_shift(const struct ir_op *op) { return IS_SHIFT(op->opc); }

/* the shift's masked count; -1 when only known at run time */
static int shift_count(const struct ir_op *op)
{
    ir_val n = op->opc == IR_SHLD || op->opc == IR_SHRD ? op->c : op->b;

    return n == IR_IMM ? (int)(op->imm & (op->size == 8 ? 63 : 31)) : -1;
}

uint8_t ir_op_reads_flags(const struct ir_block *b, const struct ir_op *op)
{
    unsigned attr = ir_op_attr(op);

    switch (op->opc) {
    case IR_ADCX:
        return IRF_C;
    case IR_ADOX:
        return IRF_O;
    case IR_GETF:
        return IRF_ALL;
    case IR_RMW:
        return op->rmw == IRM_ADC || op->rmw == IRM_SBB ? IRF_C : 0;
    case IR_CALL:
        return op->callf & IRCALL_SYNC ? IRF_ALL : 0;
    case IR_VEC:
        return b->vec[op->imm].rf;
    default:
        break;
    }
    if (attr & IRA_RF)
        return ir_cc_flags(op->cc);
    uint8_t f = attr & IRA_RFC ? IRF_C : 0;
    if (is_shift(op) && op->wf && shift_count(op) < 0)
        f |= op->wf;      /* what it keeps when the count is 0 */
    return f;
}

/*
 * Bits that the row can change at all; others in wf are kept whatever wf says.
 */
static uint8_t may_write(enum ir_opc opc)
{
    switch (opc) {
    case IR_INC: case IR_DEC:
        return IRF_ALL & ~IRF_C;
    case IR_ROL: case IR_ROR: case IR_RCL: case IR_RCR:
        return IRF_C | IRF_O;
    case IR_BT: case IR_BTS: case IR_BTR: case IR_BTC:
    case IR_CLC: case IR_STC: case IR_CMC: case IR_ADCX:
        return IRF_C;
    case IR_ADOX:
        return IRF_O;
    default:
        return IRF_ALL;
    }
}

static uint8_t rmw_may_write(enum ir_rmw r)
{
    switch (r) {
    case IRM_INC: case IRM_DEC:
        return IRF_ALL & ~IRF_C;
    case IRM_BTS: case IRM_BTR: case IRM_BTC:
        return IRF_C;
    case IRM_NOT:
        return 0;
    default:
        return IRF_ALL;
    }
}

uint8_t ir_op_kills_flags(const struct ir_block *b, const struct ir_op *op)
{
    if (!op->wf || op->opc == IR_CALL)
        return 0;
    if (is_shift(op) && shift_count(op) <= 0)
        return 0;
    if (op->opc == IR_RCL || op->opc == IR_RCR) {
        /* 8 and 16 bits: a count of a whole turn is a count of 0 */
        if (op->size < 4 && shift_count(op) % (op->size * 8 + 1) == 0)
            return 0;
    }
    if (op->opc == IR_RMW)
        return op->wf & rmw_may_write(op->rmw);
    return op->wf & may_write(op->opc);
}

void ir_find_labels(struct ir_block *b)
{
    uint16_t at[IR_MAX_LABELS] = { 0 };

    for (unsigned i = 0; i < b->n_ops; i++)
        if (b->ops[i].opc == IR_LABEL)
            at[b->ops[i].imm] = (uint16_t)i;
    for (unsigned i = 0; i < b->n_ops; i++)
        if (ir_is_branch(&b->ops[i]))
            b->ops[i].imm2 = at[b->ops[i].label];
}

void ir_optimise(struct ir_block *b, bool opt, bool group)
{
    ir_dead_flags(b, opt);     /* first: operations without flags fold further */
    if (opt) {
        ir_fold(b);
        if (group) {
            ir_group(b);
            if (b->steps)
                ir_sink(b);
        }
    }
    ir_liveness(b, opt);
}
