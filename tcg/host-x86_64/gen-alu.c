/* gen-alu.c - arithmetic, logic, multiplication and division */
#define _GNU_SOURCE
#include "tcg/host-x86_64/gen-int.h"

/* ---- two-operand arithmetic ------------------------------------------------------ */

static bool commutes(unsigned opc)
{
    return opc == IR_ADD || opc == IR_AND || opc == IR_OR || opc == IR_XOR || opc == IR_ADC;
}

static unsigned alu_no(unsigned opc)
{
    switch (opc) {
    case IR_ADD: return ALU_ADD;
    case IR_SUB: return ALU_SUB;
    case IR_AND: return ALU_AND;
    case IR_OR: return ALU_OR;
    case IR_XOR: return ALU_XOR;
    case IR_ADC: return ALU_ADC;
    case IR_SBB: return ALU_SBB;
    default: return ALU_CMP;
    }
}

bool imm_ok(int64_t k, unsigned size) { return size < 8 || fits32(k); }
int64_t imm_sx(int64_t k, unsigned size) { return (int64_t)sext((uint64_t)k, size); }

/* ADD and SUB without flags become LEA: EFLAGS stay. */
static bool try_lea(struct gen *g, const struct ir_op *op)
{
    int64_t k;

    if (op->wf || op->size < 4 || !op->lf)
        return false;
    if (val_const(g, op->b, op, &k)) {
        if (op->opc == IR_SUB)
            k = -k;
        if (op->size == 4)
            k = (int32_t)k;
        if (!fits32(k))
            return false;
        int a = val_reg(g, op->a), r = pin_of(g, op->d);
        if (r < 0)
            r = scratch_get(g);
        lea(g, op->size, r, a, -1, 0, (int32_t)k);
        def_done(g, op->d, r, op->size);
        return true;
    }
    if (op->opc != IR_ADD)
        return false;
    int a = val_reg(g, op->a), b = val_reg(g, op->b), r = pin_of(g, op->d);
    if (r < 0)
        r = scratch_get(g);
    lea(g, op->size, r, a, b, 0, 0);
    def_done(g, op->d, r, op->size);
    return true;
}

/* bt dword [fl], 8 */
static void carry_from_mem(struct gen *g)
{
    ins(&g->c, 4, X0F | 0xba, 4, ENV(fl));
    e8(&g->c, 8);
}

void carry_in(struct gen *g, const struct ir_op *op)
{
    if (kept_flags(op) && op->wf) {
        flags_load(g);
    } else {
        if (!op->wf && op->lf)
            flags_save(g);
        if (!g->fl_mem)
            flags_load(g);
        if (!g->fl_host)         /* only C is wanted */
            carry_from_mem(g);
    }
    if (!op->wf)
        flags_lost(g);
}

/* A register in memory, cleared: its value is not needed. */
static bool try_clear(struct gen *g, const struct ir_op *op)
{
    if (op->opc != IR_XOR || op->a != op->b || op->size < 4 || !is_global(g, op->a) || pin_of(g, op->d) >= 0)
        return false;
    int r = def_reg(g, op->d);
    alu_rm(&g->c, 4, ALU_XOR, r, o_reg(r));
    flags_done(g, op);
    def_done(g, op->d, r, op->size);
    if (op->wf)
        recipe_set(g, REC_RESULT, op);
    return true;
}

/* The code since @at is an instruction that made F of registers and constants. */
static void may_move(struct gen *g, uint8_t *at)
{
    g->set_at = at;
    g->set_end = g->c.p;
}

void gen_alu(struct gen *g, const struct ir_op *op0)
{
    struct ir_op sw = *op0;
    const struct ir_op *op = op0;
    int64_t k;
    bool cin = op->opc == IR_ADC || op->opc == IR_SBB;
    unsigned n = alu_no(op->opc);

    if ((op->opc == IR_ADD || op->opc == IR_SUB) && try_lea(g, op))
        return;
    if (cin)
        carry_in(g, op);
    else
        flags_prepare(g, op);
    if (try_clear(g, op))
        return;
    if (op->d == op->b && op->d != op->a && commutes(op->opc)) {
        sw.a = op0->b;
        sw.b = op0->a;
        sw.last = (op0->last & ~12u) | (op0->last & 4) << 1 | (op0->last & 8) >> 1;
        op = &sw;
    }
    bool is_k = val_const(g, op->b, op, &k);
    if (is_k) {
        k = imm_sx(k, op->size);
        is_k = imm_ok(k, op->size);
    }
    /* [env] op= value */
    if (op->d == op->a && is_global(g, op->d) && pin_of(g, op->d) < 0 && op->size < 4) {
        struct opn m = o_env(g->b->target->globals[op->d].offset);
        if (is_k)
            alu_imm(&g->c, op->size, n, m, k);
        else
            alu_mr(&g->c, op->size, n, m, val_reg(g, op->b));
        global_drop(g, op->d);
        flags_done(g, op);
        return;
    }
    struct opn mb = { 0 };
    int busy = -1;
    if (!is_k) {
        mb = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
        busy = mb.kind == ON_REG ? mb.reg : -1;
    }
    int r = op->a == op->b && pin_of(g, op->d) >= 0 && op->d == op->a
            ? pin_of(g, op->d) : start_dest(g, op, busy);
    uint8_t *at = g->c.p;
    if (is_k)
        alu_imm(&g->c, op->size, n, o_reg(r), k);
    else
        alu_rm(&g->c, op->size, n, r, mb);
    may_move(g, at);
    flags_done(g, op);
    def_done(g, op->d, r, op->size);
    if (op->wf && !cin)
        recipe_set(g, op->opc == IR_ADD ? REC_ADD : op->opc == IR_SUB ? REC_SUB : REC_RESULT, op);
}

void gen_cmp(struct gen *g, const struct ir_op *op)
{
    uint8_t *at;
    int64_t k;

    flags_prepare(g, op);
    if (op->opc == IR_CMP && val_const(g, op->b, op, &k) && imm_ok(imm_sx(k, op->size), op->size)) {
        struct opn a = val_const(g, op->a, op, &(int64_t){ 0 }) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        at = g->c.p;
        alu_imm(&g->c, op->size, ALU_CMP, a, imm_sx(k, op->size));
    } else if (op->opc == IR_CMP) {
        int a = val_reg(g, op->a);
        struct opn b = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
        at = g->c.p;
        alu_rm(&g->c, op->size, ALU_CMP, a, b);
    } else if (val_const(g, op->b, op, &k) && imm_ok(imm_sx(k, op->size), op->size)) {
        struct opn a = val_const(g, op->a, op, &(int64_t){ 0 }) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        at = g->c.p;
        ins_sz(&g->c, op->size, 0xf6, 0, a);
        imm_sz(&g->c, op->size, k);
    } else {
        int b = val_reg(g, op->b);
        struct opn a = val_const(g, op->a, op, &k) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        at = g->c.p;
        ins_sz(&g->c, op->size, 0x84, b, a);
    }
    may_move(g, at);
    flags_done(g, op);
    if (op->wf)
        recipe_set(g, op->opc == IR_CMP ? REC_CMP : REC_TEST, op);
}

static void unary_flags(struct gen *g, const struct ir_op *op, bool keep_c)
{
    if (!op->wf)
        return;
    flags_set(g);
    if (keep_c) {
        g->fl_host = false;
        g->fl_part = IRF_ALL & ~IRF_C;
        recipe_set(g, op->opc == IR_INC ? REC_INC : REC_DEC, op);
    } else if (op->opc == IR_NEG) {
        recipe_set(g, REC_NEG, op);
    }
}

/* INC DEC NEG NOT */
void gen_unary(struct gen *g, const struct ir_op *op)
{
    static const struct { uint8_t opc, grp; uint8_t ext; } tab[] = {
        { IR_INC, 0xfe, 0 }, { IR_DEC, 0xfe, 1 }, { IR_NEG, 0xf6, 3 }, { IR_NOT, 0xf6, 2 } };
    unsigned i = 0;
    bool keep_c = false;

    while (tab[i].opc != op->opc)
        i++;
    if (op->opc != IR_NOT) {
        if ((op->opc == IR_INC || op->opc == IR_DEC) && !op->wf && op->lf && op->size >= 4) {
            int a = val_reg(g, op->a), r = pin_of(g, op->d);
            if (r < 0)
                r = scratch_get(g);
            lea(g, op->size, r, a, -1, 0, op->opc == IR_INC ? 1 : -1);
            def_done(g, op->d, r, op->size);
            return;
        }
        /* C stays where it is, in memory: the rest can be made again, if that is all that is wanted */
        bool c_in_mem = op->wf && (op->opc == IR_INC || op->opc == IR_DEC) && kept_flags(op) == IRF_C
                        && g->fl_mem && !g->fl_host;
        keep_c = c_in_mem && op->d == op->a && is_global(g, op->d) && flags_fate(g, op) <= FATE_LOST;
        if (c_in_mem && !keep_c)
            carry_from_mem(g);
        else if (!keep_c)
            flags_prepare(g, op);
    }
    if (op->d == op->a && is_global(g, op->d) && pin_of(g, op->d) < 0 && op->size < 4) {
        global_drop(g, op->d);
        ins_sz(&g->c, op->size, tab[i].grp, tab[i].ext, o_env(g->b->target->globals[op->d].offset));
        unary_flags(g, op, keep_c);
        return;
    }
    int r = start_dest(g, op, -1);
    ins_sz(&g->c, op->size, tab[i].grp, tab[i].ext, o_reg(r));
    if (op->opc != IR_NOT)
        unary_flags(g, op, keep_c);
    def_done(g, op->d, r, op->size);
}

/* Instructions of the form op r, r/m with flags as the IR row: two operands. */
void gen_rrm(struct gen *g, const struct ir_op *op, uint32_t code, bool reads_d)
{
    int64_t k;

    flags_prepare(g, op);
    struct opn m = val_const(g, reads_d ? op->b : op->a, op, &k)
                   ? o_reg(val_reg(g, reads_d ? op->b : op->a)) : val_rm(g, reads_d ? op->b : op->a);
    int r;
    if (reads_d) {
        r = start_dest(g, op, m.kind == ON_REG ? m.reg : -1);
    } else {
        r = pin_of(g, op->d);
        if (r < 0)
            r = scratch_get(g);
    }
    ins(&g->c, op->size, code, r, m);
    flags_done(g, op);
    def_done(g, op->d, r, op->size);
}

/* ADCX, ADOX: of EFLAGS the host's change C or O only, as the guest's. */
void gen_addx(struct gen *g, const struct ir_op *op)
{
    int64_t k;

    flags_load(g);
    struct opn m = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
    int r = start_dest(g, op, m.kind == ON_REG ? m.reg : -1);

    ins(&g->c, op->size, (op->opc == IR_ADCX ? X66 : XF3) | X0F38 | 0xf6, r, m);
    flags_done(g, op);
    def_done(g, op->d, r, op->size);
}

void gen_bsf(struct gen *g, const struct ir_op *op)
{
    struct ir_op o = *op;

    flags_prepare(g, op);
    struct opn m = val_const(g, op->a, op, &(int64_t){ 0 }) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
    if (m.kind == ON_REG && pin_of(g, op->d) == m.reg && op->b == op->d) {
        ;                    /* bsf r, r */
    }
    o.a = op->b;             /* the destination starts as b: hardware keeps it when a is 0 */
    o.last = dies(op, 3) ? 4 : 0;
    o.b = IR_NONE;
    int r = start_dest(g, &o, m.kind == ON_REG ? m.reg : -1);
    ins(&g->c, op->size, X0F | (op->opc == IR_BSF ? 0xbc : 0xbd), r, m);
    flags_done(g, op);
    def_done(g, op->d, r, op->size);
}

void gen_imul(struct gen *g, const struct ir_op *op)
{
    int64_t k;

    if (val_const(g, op->b, op, &k) && imm_ok(imm_sx(k, op->size), op->size)) {
        flags_prepare(g, op);
        struct opn m = val_const(g, op->a, op, &(int64_t){ 0 }) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        int r = pin_of(g, op->d);
        if (r < 0)
            r = scratch_get(g);
        k = imm_sx(k, op->size);
        bool b8 = k >= -128 && k <= 127;
        ins(&g->c, op->size, b8 ? 0x6b : 0x69, r, m);
        if (b8)
            e8(&g->c, (unsigned)k);
        else if (op->size == 2)
            e16(&g->c, (unsigned)k);
        else
            e32(&g->c, (uint32_t)k);
        flags_done(g, op);
        def_done(g, op->d, r, op->size);
        return;
    }
    gen_rrm(g, op, X0F | 0xaf, true);
}

/* One-operand MUL, IMUL: RAX, RDX. */
void gen_mul(struct gen *g, const struct ir_op *op)
{
    unsigned ext = op->opc == IR_MULS ? 5 : 4;
    int64_t k;

    flags_prepare(g, op);
    scratch_take(g, RAX);
    if (op->size > 1)
        scratch_take(g, RDX);
    struct opn m = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
    val_to(g, RAX, op->a);
    ins_sz(&g->c, op->size, 0xf6, (int)ext, m);
    flags_done(g, op);
    g->locked = 1 << RAX | (op->size > 1) << RDX;        /* inputs are consumed */
    if (op->size == 1) {
        def_done(g, op->d, RAX, 2);
        return;
    }
    def_done(g, op->d, RAX, op->size);
    if (op->e != IR_NONE)
        def_done(g, op->e, RDX, op->size);
}

/* Flags stay. */
void gen_mulx(struct gen *g, const struct ir_op *op)
{
    int hi = op->e != IR_NONE ? pin_of(g, op->e) : -1, lo = pin_of(g, op->d);
    int64_t k;

    scratch_take(g, RDX);
    struct opn m = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
    val_to(g, RDX, op->a);
    lo = lo < 0 ? scratch_get(g) : lo;
    hi = hi < 0 ? RDX : hi;
    vex(&g->c, 2, 3, op->size == 8, 0, 0xf6, hi, lo, m);
    def_done(g, op->d, lo, op->size);
    if (op->e != IR_NONE)
        def_done(g, op->e, hi, op->size);
}

/* DIV, IDIV: a divide error is the host's #DE, directed to a stub. */
void gen_div(struct gen *g, const struct ir_op *op)
{
    int64_t k;
    struct stub *s;

    flags_for_fault(g);
    struct recipe rec = g->fl_mem ? (struct recipe){ 0 } : g->rec;
    flags_lost(g);
    scratch_take(g, RAX);
    if (op->size > 1)
        scratch_take(g, RDX);
    struct opn m = val_const(g, op->c, op, &k) ? o_reg(val_reg(g, op->c)) : val_rm(g, op->c);
    val_to(g, RAX, op->a);
    if (op->size > 1)
        val_to(g, RDX, op->b);
    s = stub_new(g, STUB_FAULT);
    s->thunk = TH_DIVIDE;
    s->rec = rec;
    s->fpe = true;
    s->op = g->c.p;
    ins_sz(&g->c, op->size, 0xf6, op->opc == IR_DIVU ? 6 : 7, m);
    g->locked = 1 << RAX | (op->size > 1) << RDX;        /* inputs are consumed */
    if (op->size == 1) {     /* AL quotient, AH remainder */
        if (op->e != IR_NONE) {
            scratch_take(g, RDX);
            e8(&g->c, 0x0f);     /* movzx edx, ah */
            e8(&g->c, 0xb6);
            e8(&g->c, 0xd4);
        }
    }
    def_done(g, op->d, RAX, op->size);
    if (op->e != IR_NONE)
        def_done(g, op->e, RDX, op->size);
}
