/*
 * flags.c - where the guest's arithmetic flags are
 *
 * In EFLAGS right after the operation that made them. When something destroys
 * EFLAGS, F is made again if it is asked for: from a recipe as long as the values
 * of that operation are still in guest registers, which costs nothing until a fault
 * wants to see F; else it is saved to env->fl by LAHF + SETO first. Where control meets F
 * is in env->fl.
 *
 * At a chained exit env->fl may hold the recipe instead (FL_OWED): most blocks replace F
 * before anybody asks for it. Such an exit leads to the next block directly only if that is
 * one of those, and keeps the recipe's values until then; else by way of a stub that
 * saves F. What leaves translated code meanwhile pays the debt on the way: flags_pay().
 */
#include "tcg/host-x86_64/gen-int.h"
#include "tcg/interp-int.h"
#include "tcg/ir-int.h"

#define MAX_INSN 16          /* bytes */

void flags_lost(struct gen *g)
{
    g->fl_host = false;
    g->fl_part = 0;
}

void flags_store(struct gen *g)
{
    e8(&g->c, 0x9f);                                     /* lahf */
    ins(&g->c, 1, X0F | 0x90, 0, o_reg(RAX));            /* seto al */
    ins(&g->c, 4, 0x89, RAX, ENV(fl));
}

static bool in_recipe(const struct gen *g)
{
    return !g->fl_host && !g->fl_mem && g->rec.kind != REC_NONE;
}

/* F into EFLAGS when only the recipe has it. */
static void from_recipe(struct gen *g)
{
    if (!in_recipe(g))
        return;
    recipe_run(g, &g->rec, scratch_take(g, RAX));
    g->locked &= ~(1 << RAX);
    g->fl_host = true;
}

void flags_save(struct gen *g)
{
    if (g->fl_mem)
        return;
    from_recipe(g);
    if (g->fl_host) {
        scratch_take(g, RAX);
        flags_store(g);
        g->locked &= ~(1 << RAX);
    }                        /* else dead: a partial write over flags nobody reads */
    g->fl_mem = true;
}

void flags_load(struct gen *g)
{
    from_recipe(g);
    if (g->fl_host)
        return;
    scratch_take(g, RAX);
    ins(&g->c, 4, 0x8b, RAX, ENV(fl));
    e8(&g->c, 0x04);                                     /* add al, 127: O from bit 0 */
    e8(&g->c, 0x7f);
    e8(&g->c, 0x9e);                                     /* sahf */
    g->locked &= ~(1 << RAX);
    g->fl_host = true;
}

void flags_for_fault(struct gen *g)
{
    if (g->rec.kind == REC_NONE)
        flags_save(g);
}

void flags_clobber(struct gen *g, uint8_t live)
{
    if (live)
        flags_for_fault(g);
    flags_lost(g);
}

void flags_set(struct gen *g)
{
    g->fl_host = true;
    g->fl_mem = g->f_late = false;
    g->rec.kind = REC_NONE;
}

/* ---- recipes ---------------------------------------------------------------------- */

/*
 * A value that is in no register of the guest's - an operand from memory - goes to env->f_operand when that is likely to
 * spare saving F: an access destroys EFLAGS before F is replaced, or the block ends with a jump that can owe it. It stays there
 * as long as the recipe holds: what replaces it replaces F first.
 */
bool recipe_pays(const struct gen *g, const struct ir_op *op)
{
    const struct ir_op *end = g->b->ops + g->b->n_ops;
    bool lost = false;

    for (const struct ir_op *o = op + 1; o < end && o <= op + 24; o++) {
        if (o->opc == IR_BRCC || o->opc == IR_GOTO_TB)
            return true;
        if (o->opc == IR_CALL || ir_op_attr(o) & IRA_END)
            return false;
        lost |= ir_op_can_fault(o) && o->grp != GRP_USE;
        if (o->wf)
            return lost;
    }
    return lost;
}

static bool is_in_register(const struct gen *g, ir_val v)
{
    return v < IR_MAX_VALS && !is_global(g, v) && !g->v[v].is_const && g->v[v].reg >= 0;
}

/* The instruction that made F, if it was the last, is taken away to stand behind what comes next: the conditional jump
 * behind it then is as one with it. */
static size_t set_lift(struct gen *g, uint8_t *set)
{
    size_t n = g->fl_host && g->c.p == g->set_end ? (size_t)(g->c.p - g->set_at) : 0;

    assert(n <= MAX_INSN);
    g->c.p -= n;
    memcpy(set, g->c.p, n);
    return n;
}

static void set_put(struct gen *g, const uint8_t *set, size_t n)
{
    memcpy(g->c.p, set, n);
    g->set_at = g->c.p;
    g->set_end = g->c.p += n;
}

static void keep_operand(struct gen *g, int r)
{
    uint8_t set[MAX_INSN];
    size_t n = set_lift(g, set);

    mov_store(&g->c, ENV(f_operand), r);
    if (n)
        set_put(g, set, n);
}

static bool is_global_or_k(struct gen *g, ir_val v, const struct ir_op *op, struct recipe *r)
{
    r->is_k = val_const(g, v, op, &r->k);
    r->b = v;
    if (r->is_k) {
        r->k = (int64_t)sext((uint64_t)r->k, r->size);
        return fits32(r->k);
    }
    return is_global(g, v);
}

/* The second operand, which may be kept if the first is not. */
static bool second_operand(struct gen *g, const struct ir_op *op, struct recipe *r)
{
    if (is_global_or_k(g, op->b, op, r))
        return true;
    if (r->is_k || r->d == REC_KEPT || !is_in_register(g, op->b) || !recipe_pays(g, op))
        return false;
    keep_operand(g, g->v[op->b].reg);
    r->b = REC_KEPT;
    return true;
}

static void set_recipe(struct gen *g, const struct recipe *r)
{
    g->rec = *r;
    g->rec_globals = ir_global_bit(r->d) | ir_global_bit(r->b);
    g->rec_new = true;
}

/** recipe_set() - F, which EFLAGS hold now, can also be had as @k says */
void recipe_set(struct gen *g, enum recipe_kind k, const struct ir_op *op)
{
    struct recipe r = { .kind = (uint8_t)k, .size = op->size, .b = IR_NONE };
    bool compares = k == REC_CMP || k == REC_TEST, keep;

    r.d = compares ? op->a : op->d;
    if (r.d == IR_NONE || r.d >= IR_MAX_VALS)
        return;
    keep = compares && is_in_register(g, r.d) && recipe_pays(g, op);
    if (!is_global(g, r.d) && !keep)
        return;
    if ((k == REC_ADD || k == REC_SUB) && (op->d != op->a || op->b == op->d))
        return;              /* the first operand could not be had back */
    if ((k == REC_INC || k == REC_DEC || k == REC_NEG) && op->d != op->a)
        return;
    if (keep)
        r.d = REC_KEPT;
    if ((compares || k == REC_ADD || k == REC_SUB) && !second_operand(g, op, &r))
        return;
    if (keep)
        keep_operand(g, g->v[op->a].reg);
    set_recipe(g, &r);
}

/** recipe_of_result() - F is to be had from a result in register @r, which goes to memory, and op->b, which must
 *  be a constant or a global if @k asks for it */
void recipe_of_result(struct gen *g, enum recipe_kind k, const struct ir_op *op, int r)
{
    struct recipe n = { .kind = (uint8_t)k, .size = op->size, .d = REC_KEPT, .b = IR_NONE };

    if (k != REC_RESULT && !is_global_or_k(g, op->b, op, &n))
        return;
    keep_operand(g, r);
    set_recipe(g, &n);
}

static struct opn home(const struct gen *g, ir_val v)
{
    int p = v == REC_KEPT ? -1 : pin_of(g, v);

    return p >= 0 ? o_reg(p) : v == REC_KEPT ? ENV(f_operand) : o_env(g->t->target->globals[v].offset);
}

/* op t, b */
static void with_b(struct gen *g, const struct recipe *r, unsigned alu, int t)
{
    if (r->is_k)
        alu_imm(&g->c, r->size, alu, o_reg(t), r->k);
    else
        alu_rm(&g->c, r->size, alu, t, home(g, r->b));
}

static void run_test(struct gen *g, const struct recipe *r, int t)
{
    mov_load(&g->c, t, home(g, r->d));
    if (r->kind == REC_RESULT) {
        ins_sz(&g->c, r->size, 0x84, t, o_reg(t));
    } else if (!r->is_k) {
        struct opn b = home(g, r->b);
        if (b.kind == ON_REG)
            ins_sz(&g->c, r->size, 0x84, b.reg, o_reg(t));
        else
            ins_sz(&g->c, r->size, 0x84, t, b);
    } else {
        ins_sz(&g->c, r->size, 0xf6, 0, o_reg(t));
        imm_sz(&g->c, r->size, r->k);
    }
}

void recipe_run(struct gen *g, const struct recipe *r, int t)
{
    struct code *c = &g->c;

    if (r->kind == REC_TEST || r->kind == REC_RESULT) {
        run_test(g, r, t);
        return;
    }
    mov_load(c, t, home(g, r->d));
    switch (r->kind) {
    case REC_CMP:
        with_b(g, r, ALU_CMP, t);
        break;
    case REC_ADD:
        with_b(g, r, ALU_SUB, t);
        with_b(g, r, ALU_ADD, t);
        break;
    case REC_SUB:
        with_b(g, r, ALU_ADD, t);
        with_b(g, r, ALU_CMP, t);
        break;
    case REC_NEG:
        ins_sz(c, r->size, 0xf6, 3, o_reg(t));
        ins_sz(c, r->size, 0xf6, 3, o_reg(t));
        break;
    case REC_SHL: case REC_SHR: case REC_SAR:
        ins_sz(c, r->size, 0xc0, r->kind == REC_SHL ? 4 : r->kind == REC_SHR ? 5 : 7, o_reg(t));
        e8(c, (unsigned)r->k);
        break;
    default:                 /* INC, DEC: undo, take C, do it again */
        alu_imm(c, r->size, r->kind == REC_INC ? ALU_SUB : ALU_ADD, o_reg(t), 1);
        ins(c, 4, X0F | 0xba, 4, ENV(fl));
        e8(c, 8);
        ins_sz(c, r->size, 0xfe, r->kind == REC_INC ? 0 : 1, o_reg(t));
    }
}

void recipe_save(struct gen *g, const struct recipe *r)
{
    if (r->kind == REC_NONE)
        return;
    mov_store(&g->c, o_env(SLOW_OFF(save) + 8), RAX);
    recipe_run(g, r, RAX);
    flags_store(g);
    mov_load(&g->c, RAX, o_env(SLOW_OFF(save) + 8));
}

/* The host code of @op does not touch EFLAGS. */
static bool is_neutral(const struct ir_op *op)
{
    switch (op->opc) {
    case IR_MOV: case IR_ZEXT: case IR_SEXT: case IR_LEA: case IR_BSWAP: case IR_LDE: case IR_NOT:
    case IR_MULX:
        return true;
    default:
        return false;
    }
}

/** flags_fate() - what becomes of F behind @op */
enum fate flags_fate(const struct gen *g, const struct ir_op *op)
{
    const struct ir_op *end = g->b->ops + g->b->n_ops;
    bool lost = false;

    for (const struct ir_op *o = op + 1; o < end && o <= op + 32; o++) {
        switch (o->opc) {
        case IR_INSN: case IR_LEAVECC: case IR_RETURNS:
            continue;
        case IR_GOTO_TB:
            return FATE_AT_END;
        case IR_BRCC:
            return o + 4 == end ? FATE_AT_END : FATE_SAVED;
        case IR_CALL: case IR_CMPXCHG: case IR_GETF: case IR_SETF: case IR_LABEL: case IR_BR: case IR_BRCMP:
            return FATE_SAVED;
        default:
            lost |= ir_op_can_fault(o) && o->grp != GRP_USE;
            if (o->wf)
                return lost ? FATE_LOST : FATE_REPLACED;
        }
    }
    return FATE_SAVED;
}

/* Is it worth an instruction to be able to make F again behind @op, which may itself destroy EFLAGS? What is saved anyway is
 * saved best at once. */
static bool keeping_pays(const struct gen *g, const struct ir_op *op, bool destroys)
{
    uint32_t code;

    switch (flags_fate(g, op)) {
    case FATE_LOST: return true;
    case FATE_REPLACED: return destroys;
    case FATE_AT_END: return recipe_code(&g->rec, &code);
    default: return false;
    }
}

/** keeps_for_shift() - before op->a, in @r, is shifted by a constant: keep it, if that pays */
bool keeps_for_shift(struct gen *g, const struct ir_op *op, int r)
{
    if (!op->wf || kept_flags(op) || op->opc > IR_SAR || flags_fate(g, op) != FATE_LOST)
        return false;
    mov_store(&g->c, ENV(f_operand), r);
    return true;
}

/** recipe_of_shift() - F, which EFLAGS hold now, can also be had by shifting what is kept by @k once more */
void recipe_of_shift(struct gen *g, const struct ir_op *op, int64_t k)
{
    set_recipe(g, &(struct recipe){ .kind = (uint8_t)(REC_SHL + (op->opc - IR_SHL)), .size = op->size, .d = REC_KEPT,
                                    .b = IR_NONE, .is_k = true, .k = k });
}

/* Global @v goes to env->f_operand, if that is free, and the recipe finds it there. */
static bool recipe_keeps(struct gen *g, ir_val v)
{
    struct recipe *r = &g->rec;
    int reg;

    if (r->d == REC_KEPT || (r->b == REC_KEPT && !r->is_k))
        return false;
    g->locked = 0;
    reg = val_reg(g, v);
    if (r->kind == REC_CMP || r->kind == REC_TEST)
        keep_operand(g, reg);
    else                     /* what made F may have made it, too */
        mov_store(&g->c, ENV(f_operand), reg);
    g->locked = 0;
    g->rec_globals &= ~ir_global_bit(v);
    r->d = r->d == v ? REC_KEPT : r->d;
    r->b = r->b == v ? REC_KEPT : r->b;
    return true;
}

/* @op changes what the recipe is made from. */
void flags_guard(struct gen *g, const struct ir_op *op)
{
    bool d = ir_global_bit(op->d) & g->rec_globals, e = ir_global_bit(op->e) & g->rec_globals;
    bool destroys = !(g->fl_host && is_neutral(op));

    if (!(op->lf & ~op->wf) || g->fl_mem)
        return;
    if (d != e && op->opc != IR_CALL && op->opc != IR_CMPXCHG && keeping_pays(g, op, destroys)
        && recipe_keeps(g, d ? op->d : op->e))
        return;
    if (destroys)
        flags_save(g);
}

/* ---- recipes that outlive their block -------------------------------------------------- */

/*
 * env->fl says that it holds a recipe by a bit that is 0 in F; around it, from the top: 3 bits
 * kind, 2 log2 of size, 5 d (31: f_operand), 1 is_k, 20 k or b. (LAHF + SETO leave what they like in the
 * high half.)
 */

bool recipe_code(const struct recipe *r, uint32_t *code)
{
    uint32_t d = r->d == REC_KEPT ? LAZY_KEPT : r->d;
    bool two = r->kind == REC_CMP || r->kind == REC_TEST || r->kind == REC_ADD || r->kind == REC_SUB;
    uint32_t last = 0;

    if (r->kind == REC_NONE || r->kind > REC_NEG)
        return false;        /* INC and DEC need C from env->fl */
    if (two && r->is_k) {
        if (r->k != sext_bits(r->k, LAZY_K_BITS))
            return false;
        last = (uint32_t)r->k & ((1u << LAZY_K_BITS) - 1);
    } else if (two) {
        last = r->b == REC_KEPT ? LAZY_KEPT : r->b;
    }
    *code = around_mark((uint32_t)r->kind << 28 | (uint32_t)__builtin_ctz(r->size) << 26 | d << 21
                        | (uint32_t)(two && r->is_k) << LAZY_K_BITS | last);
    return true;
}

static ir_val operand_of(uint32_t n) { return n == LAZY_KEPT ? REC_KEPT : (ir_val)n; }

struct recipe recipe_of(uint32_t code)
{
    uint32_t bare = without_mark(code);

    return (struct recipe){ .kind = bare >> 28 & 7, .size = (uint8_t)(1u << (bare >> 26 & 3)), .d = operand_of(bare >> 21 & 31),
                            .is_k = bare >> LAZY_K_BITS & 1, .b = operand_of(bare & 31), .k = sext_bits(bare, LAZY_K_BITS) };
}

static uint32_t operand_bit(ir_val v) { return 1u << (v == REC_KEPT ? LAZY_KEPT : v); }

/* Never 0: a block that reads F spoils all of them. */
uint32_t recipe_globals(const struct recipe *r)
{
    return operand_bit(r->d) | (r->is_k || r->b == IR_NONE ? 0 : operand_bit(r->b));
}

bool recipe_leave(struct gen *g, const struct recipe *r)
{
    uint8_t set[MAX_INSN];
    uint32_t code;
    size_t n;

    if (!recipe_code(r, &code))
        return false;
    n = set_lift(g, set);
    g->owed_at = g->c.p;
    mov_env_imm32(&g->c, offsetof(struct tcg_cpu, fl), code);
    if (n)
        set_put(g, set, n);
    return true;
}

/* Nothing behind the store may depend on where it is. */
void owed_stretch(struct gen *g, unsigned before)
{
    unsigned n = -((uintptr_t)g->c.p + before) & 3;

    memmove(g->owed_at + n, g->owed_at, (size_t)(g->c.p - g->owed_at));
    memset(g->owed_at, PREFIX_CS, n);
    g->c.p += n;
}

bool flags_leave(struct gen *g, struct recipe *r)
{
    if (!g->fl_mem && recipe_leave(g, &g->rec)) {
        *r = g->rec;
        return true;
    }
    flags_save(g);
    return false;
}

/* What changes behind the last operation that may show F does not matter: a counter that is compared, most often. */
uint32_t flags_spoils(const struct ir_block *b)
{
    uint32_t spoils = 0, changed = 0;

    for (unsigned i = 0; i < b->n_ops; i++) {
        const struct ir_op *op = &b->ops[i];
        unsigned attr = ir_op_attr(op);

        if (op->opc == IR_INSN)
            continue;
        if (((attr & IRA_FLAGS) && ir_op_reads_flags(b, op)) || op->opc == IR_CALL || attr & IRA_STOP)
            return ~0u;
        if (ir_op_can_fault(op))
            spoils |= changed;
        if (op->wf)
            return op->lf & ~ir_op_kills_flags(b, op) ? ~0u : spoils;
        if (op->d < b->target->n_globals)
            changed |= 1u << op->d;
        if (op->e < b->target->n_globals)
            changed |= 1u << op->e;
    }
    return ~0u;
}
