/*
 * gen.c - IR to x86-64 code, one operation at a time
 *
 * Flags protocol of an operation: first whatever must happen to F (flags_clobber,
 * flags_load), then operands (which may only move, never compute), then the host
 * instruction, then flags_set() when EFLAGS became F.
 */
#define _GNU_SOURCE
#include "tcg/host-x86_64/gen-int.h"
#include <stdlib.h>

/* F bits that must survive @op because it does not define them. */
static uint8_t kept_flags(const struct ir_op *op) { return op->lf & ~op->wf; }

/* Before an instruction that writes EFLAGS. When the operation defines some of F and
 * the rest stays live, the host instruction has to start from F: it keeps what IR
 * says is kept. */
static void flags_prepare(struct gen *g, const struct ir_op *op)
{
    if (!op->wf)
        flags_clobber(g, op->lf);
    else if (kept_flags(op))
        flags_load(g);
}

static void flags_done(struct gen *g, const struct ir_op *op)
{
    if (op->wf)
        flags_set(g);
}

static bool dies(const struct ir_op *op, unsigned which) { return op->last >> which & 1; }

/* The scratch register of temp @v when it is not needed after this operation. */
static int dying_reg(struct gen *g, const struct ir_op *op, ir_val v, unsigned which)
{
    if (v >= IR_MAX_VALS || is_global(g, v) || !dies(op, which))
        return -1;
    return g->v[v].reg;
}

/* Sub-register results keep the rest of the destination: it must be there first. */
static bool merges(const struct gen *g, const struct ir_op *op)
{
    return op->size < 4 && op->d != op->a && (is_global(g, op->d) || g->v[op->d].defined);
}

/*
 * A register that holds operand a and may be computed in; afterwards d.
 * @busy: register that must not be it (an input used later), or -1.
 */
static int start_dest(struct gen *g, const struct ir_op *op, int busy)
{
    int p = pin_of(g, op->d), r;
    int64_t k;

    if (merges(g, op)) {     /* low part of a into the old d */
        if (p >= 0 && p != busy) {
            struct opn m = val_const(g, op->a, op, &k) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
            ins_sz(&g->c, op->size, 0x8a, p, m);
            return p;
        }
        r = scratch_get(g);
        val_to(g, r, op->a);
        return r;
    }
    if (p >= 0 && (p != busy || op->a == op->d)) {
        if (op->a != op->d)
            val_to(g, p, op->a);
        return p;
    }
    if (op->a == op->d && p < 0 && !is_global(g, op->d) && g->v[op->d].reg >= 0
        && g->v[op->d].reg != busy) {
        g->locked |= 1 << g->v[op->d].reg;
        return g->v[op->d].reg;
    }
    r = dying_reg(g, op, op->a, 2);
    if (r >= 0 && r != busy && !(op->a == op->b)) {
        g->locked |= 1 << r;
        return r;
    }
    r = scratch_get(g);
    val_to(g, r, op->a);
    return r;
}

/* ---- moves -------------------------------------------------------------------- */

static void gen_mov(struct gen *g, const struct ir_op *op)
{
    int p = pin_of(g, op->d);
    int64_t k;
    bool is_k = val_const(g, op->b, op, &k);

    if (is_k && !is_global(g, op->d) && op->size >= 4) {
        def_const(g, op->d, op->size == 4 ? (int64_t)(uint32_t)k : k);
        return;
    }
    if (is_k && is_global(g, op->d)) {
        struct opn m = p >= 0 ? o_reg(p) : o_env(g->b->target->globals[op->d].offset);
        if (op->size == 4)
            k = (int64_t)(uint32_t)k;
        if (op->size >= 4 && p >= 0) {
            mov_imm(&g->c, p, (uint64_t)k);
        } else if (op->size >= 4 && fits32(k)) {
            ins(&g->c, 8, 0xc7, 0, m);
            e32(&g->c, (uint32_t)k);
        } else if (op->size >= 4) {
            int r = scratch_get(g);
            mov_imm(&g->c, r, (uint64_t)k);
            mov_store(&g->c, m, r);
        } else if (op->size == 2) {
            ins(&g->c, 2, 0xc7, 0, m);
            e16(&g->c, (unsigned)k);
        } else {
            ins(&g->c, 1, 0xc6 | XBM, 0, m);
            e8(&g->c, (unsigned)k);
        }
        return;
    }
    if (op->size >= 4) {
        if (p >= 0) {
            ins(&g->c, op->size, 0x8b, p, val_rm(g, op->b));
        } else if (is_global(g, op->d)) {
            int r = val_reg(g, op->b);
            if (op->size == 4) {
                int s = scratch_get(g);
                mov_rr(&g->c, 4, s, r);
                r = s;
            }
            mov_store(&g->c, o_env(g->b->target->globals[op->d].offset), r);
        } else {
            int r = dying_reg(g, op, op->b, 3);
            if (r < 0 || op->size == 4) {
                struct opn m = val_rm(g, op->b);
                r = scratch_get(g);
                ins(&g->c, op->size, 0x8b, r, m);
            }
            def_done(g, op->d, r, 8);
        }
        return;
    }
    /* byte and word moves merge */
    if (p >= 0) {
        ins_sz(&g->c, op->size, 0x8a, p, is_k ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b));
    } else if (is_global(g, op->d)) {
        ins_sz(&g->c, op->size, 0x88, val_reg(g, op->b), o_env(g->b->target->globals[op->d].offset));
    } else if (g->v[op->d].defined) {
        int s = val_reg(g, op->b), r = val_reg(g, op->d);
        ins_sz(&g->c, op->size, 0x8a, r, o_reg(s));
        g->v[op->d].is_const = false;
        def_done(g, op->d, r, 8);
    } else {
        int r = scratch_get(g);
        val_to(g, r, op->b);
        def_done(g, op->d, r, 8);
    }
}

/* A destination for a whole-register result that must not be an input's register. */
static int whole_dest(struct gen *g, const struct ir_op *op)
{
    return def_reg(g, op->d);
}

static void gen_zext(struct gen *g, const struct ir_op *op)
{
    struct opn m = val_rm(g, op->a);
    int r = whole_dest(g, op);

    switch (op->size) {
    case 1: ins(&g->c, 4, X0F | 0xb6 | XBM, r, m); break;
    case 2: ins(&g->c, 4, X0F | 0xb7, r, m); break;
    case 4: ins(&g->c, 4, 0x8b, r, m); break;
    default: mov_load(&g->c, r, m);
    }
    def_done(g, op->d, r, 8);
}

static void gen_sext(struct gen *g, const struct ir_op *op)
{
    struct opn m = val_rm(g, op->a);
    int r;

    if (op->size == 2 && merges(g, op) && pin_of(g, op->d) < 0) {
        r = scratch_get(g);
    } else {
        r = whole_dest(g, op);
    }
    unsigned sz = op->size;
    if (op->sz2 == 1)
        ins(&g->c, sz, X0F | 0xbe | XBM, r, m);
    else if (op->sz2 == 2)
        ins(&g->c, sz, X0F | 0xbf, r, m);
    else if (sz == 8)
        ins(&g->c, 8, 0x63, r, m);
    else
        ins(&g->c, 4, 0x8b, r, m);
    def_done(g, op->d, r, op->size);
}

static void rorx(struct code *c, unsigned size, int d, struct opn m, unsigned n)
{
    vex(c, 3, 3, size == 8, 0, 0xf0, d, 0, m);
    e8(c, n);
}

static void gen_exth(struct gen *g, const struct ir_op *op)
{
    struct opn m = val_rm(g, op->a);
    int r = whole_dest(g, op);

    rorx(&g->c, 4, r, m, 8);
    ins(&g->c, 4, X0F | 0xb6 | XBM, r, o_reg(r));
    def_done(g, op->d, r, 8);
}

static void gen_deph(struct gen *g, const struct ir_op *op)
{
    int64_t k;
    int r = pin_of(g, op->d);
    bool is_k = val_const(g, op->a, op, &k);
    int s = is_k ? -1 : val_reg(g, op->a);

    if (r < 0) {
        if (is_global(g, op->d)) {   /* memory: the byte itself */
            struct opn m = o_env(g->b->target->globals[op->d].offset + 1);
            if (is_k) {
                ins(&g->c, 1, 0xc6 | XBM, 0, m);
                e8(&g->c, (unsigned)k);
            } else {
                ins(&g->c, 1, 0x88 | XB, s, m);
            }
            return;
        }
        r = val_reg(g, op->d);
    }
    if (s == r) {
        s = scratch_get(g);
        mov_rr(&g->c, 8, s, r);
    }
    rorx(&g->c, 8, r, o_reg(r), 8);
    if (is_k) {
        ins(&g->c, 1, 0xc6 | XBM, 0, o_reg(r));
        e8(&g->c, (unsigned)k);
    } else {
        ins(&g->c, 1, 0x8a | XB | XBM, r, o_reg(s));
    }
    rorx(&g->c, 8, r, o_reg(r), 56);
    def_done(g, op->d, r, 8);
}

static void lea(struct gen *g, unsigned size, int r, int base, int index, unsigned sc, int32_t disp)
{
    if (index < 0 && base < 0)
        mov_imm(&g->c, r, size == 4 ? (uint64_t)(uint32_t)disp : (uint64_t)(int64_t)disp);
    else if (index < 0 && disp == 0)
        mov_rr(&g->c, size, r, base);
    else
        ins(&g->c, size, 0x8d, r, (struct opn){ .kind = ON_MEM, .base = (int8_t)base,
            .index = (int8_t)index, .scale = (uint8_t)sc, .disp = disp });
}

static void gen_lea(struct gen *g, const struct ir_op *op)
{
    int64_t ka = 0, kb = 0, disp = op->imm;
    int base = -1, index = -1, r;

    if (op->a != IR_NONE) {
        if (val_const(g, op->a, op, &ka) && op->a != IR_IMM)
            disp += ka;
        else
            base = val_reg(g, op->a);
    }
    if (op->b != IR_NONE) {
        if (op->b != IR_IMM && val_const(g, op->b, op, &kb))
            disp = (int64_t)((uint64_t)disp + ((uint64_t)kb << op->sc));
        else
            index = val_reg(g, op->b);
    }
    if (op->size == 4)
        disp = (int32_t)disp;
    if (!fits32(disp)) {
        int k = scratch_get(g);
        if (index >= 0) {        /* base and index first, then the constant */
            lea(g, op->size, k, base, index, op->sc, 0);
            base = k;
            if (index < N_SCRATCH && pin_of(g, op->b) < 0)
                g->locked &= ~(1 << index), index = -1;
            index = scratch_get(g);
            mov_imm(&g->c, index, (uint64_t)disp);
            lea(g, op->size, k, base, index, 0, 0);
            def_done(g, op->d, k, op->size);
            return;
        }
        mov_imm(&g->c, k, (uint64_t)disp);
        if (base >= 0)
            lea(g, op->size, k, k, base, 0, 0);
        def_done(g, op->d, k, op->size);
        return;
    }
    r = pin_of(g, op->d);
    if (r < 0) {
        r = dying_reg(g, op, op->a, 2);
        if (r < 0)
            r = dying_reg(g, op, op->b, 3);
        if (r < 0)
            r = scratch_get(g);
    }
    if (base < 0 && index >= 0 && op->sc == 0) {
        base = index;
        index = -1;
    }
    lea(g, op->size, r, base, index, op->sc, (int32_t)disp);
    def_done(g, op->d, r, op->size);
}

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

static bool imm_ok(int64_t k, unsigned size) { return size < 8 || fits32(k); }
static int64_t imm_sx(int64_t k, unsigned size) { return (int64_t)sext((uint64_t)k, size); }

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

static void carry_in(struct gen *g, const struct ir_op *op)
{
    if (kept_flags(op) && op->wf) {
        flags_load(g);
    } else {
        if (!op->wf && op->lf)
            flags_save(g);
        if (!g->fl_host) {       /* only C is wanted: bt dword [fl], 8 */
            ins(&g->c, 4, X0F | 0xba, 4, ENV(fl));
            e8(&g->c, 8);
        }
    }
    if (!op->wf)
        g->fl_host = false;
}

static void gen_alu(struct gen *g, const struct ir_op *op0)
{
    struct ir_op sw = *op0;
    const struct ir_op *op = op0;
    int64_t k;
    bool cin = op->opc == IR_ADC || op->opc == IR_SBB;
    unsigned n = alu_no(op->opc);

    /* xor r, r and sub r, r: no need to fetch */
    if ((op->opc == IR_ADD || op->opc == IR_SUB) && try_lea(g, op))
        return;
    if (cin)
        carry_in(g, op);
    else
        flags_prepare(g, op);
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
    if (op->d == op->a && is_global(g, op->d) && pin_of(g, op->d) < 0 && op->size != 4) {
        struct opn m = o_env(g->b->target->globals[op->d].offset);
        if (is_k)
            alu_imm(&g->c, op->size, n, m, k);
        else
            alu_mr(&g->c, op->size, n, m, val_reg(g, op->b));
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
    if (is_k)
        alu_imm(&g->c, op->size, n, o_reg(r), k);
    else
        alu_rm(&g->c, op->size, n, r, mb);
    flags_done(g, op);
    def_done(g, op->d, r, op->size);
}

static void gen_cmp(struct gen *g, const struct ir_op *op)
{
    int64_t k;

    flags_prepare(g, op);
    if (op->opc == IR_CMP && val_const(g, op->b, op, &k) && imm_ok(imm_sx(k, op->size), op->size)) {
        struct opn a = val_const(g, op->a, op, &(int64_t){ 0 }) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        alu_imm(&g->c, op->size, ALU_CMP, a, imm_sx(k, op->size));
    } else if (op->opc == IR_CMP) {
        int a = val_reg(g, op->a);
        struct opn b = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
        alu_rm(&g->c, op->size, ALU_CMP, a, b);
    } else if (val_const(g, op->b, op, &k) && imm_ok(imm_sx(k, op->size), op->size)) {
        struct opn a = val_const(g, op->a, op, &(int64_t){ 0 }) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        ins_sz(&g->c, op->size, 0xf6, 0, a);
        if (op->size == 1)
            e8(&g->c, (unsigned)k);
        else if (op->size == 2)
            e16(&g->c, (unsigned)k);
        else
            e32(&g->c, (uint32_t)k);
    } else {
        int b = val_reg(g, op->b);
        struct opn a = val_const(g, op->a, op, &k) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        ins_sz(&g->c, op->size, 0x84, b, a);
    }
    flags_done(g, op);
}

/* INC DEC NEG NOT */
static void gen_unary(struct gen *g, const struct ir_op *op)
{
    static const struct { uint8_t opc, grp; uint8_t ext; } tab[] = {
        { IR_INC, 0xfe, 0 }, { IR_DEC, 0xfe, 1 }, { IR_NEG, 0xf6, 3 }, { IR_NOT, 0xf6, 2 } };
    unsigned i = 0;

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
        flags_prepare(g, op);
    }
    if (op->d == op->a && is_global(g, op->d) && pin_of(g, op->d) < 0 && op->size != 4) {
        ins_sz(&g->c, op->size, tab[i].grp, tab[i].ext, o_env(g->b->target->globals[op->d].offset));
        flags_done(g, op);
        return;
    }
    int r = start_dest(g, op, -1);
    ins_sz(&g->c, op->size, tab[i].grp, tab[i].ext, o_reg(r));
    if (op->opc != IR_NOT)
        flags_done(g, op);
    def_done(g, op->d, r, op->size);
}

/* Instructions of the form op r, r/m with flags as the IR row: two operands. */
static void gen_rrm(struct gen *g, const struct ir_op *op, uint32_t code, bool reads_d)
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

static void gen_bsf(struct gen *g, const struct ir_op *op)
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

static void gen_imul(struct gen *g, const struct ir_op *op)
{
    int64_t k;

    if (val_const(g, op->b, op, &k) && imm_ok(imm_sx(k, op->size), op->size)) {
        flags_prepare(g, op);
        struct opn m = val_const(g, op->a, op, &(int64_t){ 0 }) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        bool merge = merges(g, op) && pin_of(g, op->d) < 0;
        int r = pin_of(g, op->d);
        if (r < 0)
            r = scratch_get(g);
        (void)merge;
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
static void gen_mul(struct gen *g, const struct ir_op *op)
{
    unsigned ext = op->opc == IR_MULS ? 5 : 4;
    int64_t k;

    flags_prepare(g, op);
    if (op->opc == IR_MULX && op->lf) {   /* MULX proper: flags stay */
        scratch_take(g, RDX);
        scratch_take(g, RAX);
        struct opn m = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
        val_to(g, RDX, op->a);
        vex(&g->c, 2, 3, op->size == 8, 0, 0xf6, RDX, RAX, m);
        def_done(g, op->d, RAX, op->size);
        if (op->e != IR_NONE)
            def_done(g, op->e, RDX, op->size);
        return;
    }
    scratch_take(g, RAX);
    if (op->size > 1)
        scratch_take(g, RDX);
    struct opn m = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
    val_to(g, RAX, op->a);
    ins_sz(&g->c, op->size, 0xf6, (int)ext, m);
    if (op->opc != IR_MULX)
        flags_done(g, op);
    if (op->size == 1) {
        def_done(g, op->d, RAX, 2);
        return;
    }
    /* d may be a's or b's home only now: inputs are consumed */
    def_done(g, op->d, RAX, op->size);
    if (op->e != IR_NONE)
        def_done(g, op->e, RDX, op->size);
}

/* DIV, IDIV: a divide error is the host's #DE, directed to a stub. */
static void gen_div(struct gen *g, const struct ir_op *op)
{
    int64_t k;
    struct stub *s;

    flags_save(g);
    g->fl_host = false;
    scratch_take(g, RAX);
    if (op->size > 1)
        scratch_take(g, RDX);
    struct opn m = val_const(g, op->c, op, &k) ? o_reg(val_reg(g, op->c)) : val_rm(g, op->c);
    val_to(g, RAX, op->a);
    if (op->size > 1)
        val_to(g, RDX, op->b);
    s = stub_new(g, STUB_FAULT);
    s->thunk = TH_DIVIDE;
    s->fpe = true;
    s->op = g->c.p;
    ins_sz(&g->c, op->size, 0xf6, op->opc == IR_DIVU ? 6 : 7, m);
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

/* ---- shifts ------------------------------------------------------------------------ */

static void gen_shift(struct gen *g, const struct ir_op *op)
{
    static const uint8_t ext[] = { [IR_SHL - IR_SHL] = 4, [IR_SHR - IR_SHL] = 5, [IR_SAR - IR_SHL] = 7,
                                   [IR_ROL - IR_SHL] = 0, [IR_ROR - IR_SHL] = 1, [IR_RCL - IR_SHL] = 2,
                                   [IR_RCR - IR_SHL] = 3 };
    unsigned n = ext[op->opc - IR_SHL];
    bool through_c = op->opc == IR_RCL || op->opc == IR_RCR;
    int64_t k;
    bool is_k = val_const(g, op->b, op, &k);

    if (is_k)
        k &= op->size == 8 ? 63 : 31;
    /* BMI2: no flags wanted, none destroyed */
    if (!op->wf && op->size >= 4 && (op->opc == IR_SHL || op->opc == IR_SHR || op->opc == IR_SAR) && !is_k) {
        struct opn m = val_const(g, op->a, op, &(int64_t){ 0 }) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        int cnt = val_reg(g, op->b), r = pin_of(g, op->d);
        if (r < 0)
            r = scratch_get(g);
        vex(&g->c, 2, op->opc == IR_SHL ? 1 : op->opc == IR_SHR ? 3 : 2, op->size == 8, 0, 0xf7, r, cnt, m);
        def_done(g, op->d, r, op->size);
        return;
    }
    if (!op->wf && op->size >= 4 && is_k && op->lf && (op->opc == IR_ROR || op->opc == IR_ROL)) {
        struct opn m = val_const(g, op->a, op, &(int64_t){ 0 }) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        int r = pin_of(g, op->d);
        if (r < 0)
            r = scratch_get(g);
        rorx(&g->c, op->size, r, m, (unsigned)(op->opc == IR_ROR ? k : (int64_t)op->size * 8 - k) & (op->size * 8 - 1));
        def_done(g, op->d, r, op->size);
        return;
    }
    if (through_c) {
        if (op->wf)
            flags_load(g);
        else
            carry_in(g, op);
    } else if (op->wf && !is_k) {
        flags_load(g);       /* a count of 0 keeps F */
    } else {
        flags_prepare(g, op);
    }
    if (is_k && k == 0 && op->wf && !g->fl_host)
        flags_load(g);
    if (is_k) {
        int r = start_dest(g, op, -1);
        if (k == 1) {
            ins_sz(&g->c, op->size, 0xd0, (int)n, o_reg(r));
        } else {
            ins_sz(&g->c, op->size, 0xc0, (int)n, o_reg(r));
            e8(&g->c, (unsigned)k);
        }
        flags_done(g, op);
        def_done(g, op->d, r, op->size);
        return;
    }
    int breg = !is_global(g, op->b) ? g->v[op->b].reg : -1;
    if (breg == RCX)
        g->locked |= 1 << RCX;
    else
        scratch_take(g, RCX);
    if (breg != RCX)
        val_to(g, RCX, op->b);
    int r = start_dest(g, op, RCX);
    ins_sz(&g->c, op->size, 0xd2, (int)n, o_reg(r));
    flags_done(g, op);
    def_done(g, op->d, r, op->size);
}

static void gen_shiftd(struct gen *g, const struct ir_op *op)
{
    bool left = op->opc == IR_SHLD;
    int64_t k;
    bool is_k = val_const(g, op->c, op, &k);

    if (is_k)
        k &= op->size == 8 ? 63 : 31;
    if (op->wf && (!is_k || k == 0))
        flags_load(g);
    else
        flags_prepare(g, op);
    if (!is_k) {
        int creg = !is_global(g, op->c) ? g->v[op->c].reg : -1;
        if (creg == RCX)
            g->locked |= 1 << RCX;
        else {
            scratch_take(g, RCX);
            val_to(g, RCX, op->c);
        }
    }
    int b = val_reg(g, op->b);
    int r = start_dest(g, op, b);
    ins(&g->c, op->size, X0F | (left ? 0xa4 : 0xac) | (is_k ? 0 : 1), b, o_reg(r));
    if (is_k)
        e8(&g->c, (unsigned)k);
    flags_done(g, op);
    def_done(g, op->d, r, op->size);
}

/* ---- bits ------------------------------------------------------------------------------ */

static void gen_bt(struct gen *g, const struct ir_op *op)
{
    static const uint8_t ext[] = { 4, 5, 6, 7 };   /* BT BTS BTR BTC */
    unsigned n = ext[op->opc - IR_BT];
    int64_t k;
    bool is_k = val_const(g, op->b, op, &k);

    flags_prepare(g, op);
    if (op->opc == IR_BT) {
        int a = val_reg(g, op->a);
        if (is_k) {
            ins(&g->c, op->size, X0F | 0xba, 4, o_reg(a));
            e8(&g->c, (unsigned)k & (op->size * 8 - 1));
        } else {
            ins(&g->c, op->size, X0F | 0xa3, val_reg(g, op->b), o_reg(a));
        }
        flags_done(g, op);
        return;
    }
    int b = is_k ? -1 : val_reg(g, op->b);
    int r = start_dest(g, op, b);
    if (is_k) {
        ins(&g->c, op->size, X0F | 0xba, (int)n, o_reg(r));
        e8(&g->c, (unsigned)k & (op->size * 8 - 1));
    } else {
        ins(&g->c, op->size, X0F | 0x83 | n << 3, b, o_reg(r));
    }
    flags_done(g, op);
    def_done(g, op->d, r, op->size);
}

/* VEX.vvvv forms. @ndd: destination in vvvv (BLSR group) */
static void gen_bmi(struct gen *g, const struct ir_op *op)
{
    unsigned w = op->size == 8;
    int64_t k;
    int r;

    if (op->opc == IR_PDEP || op->opc == IR_PEXT) {
        int a = val_reg(g, op->a);
        struct opn m = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
        r = def_reg(g, op->d);
        vex(&g->c, 2, op->opc == IR_PDEP ? 3 : 2, w, 0, 0xf5, r, a, m);
        def_done(g, op->d, r, op->size);
        return;
    }
    flags_prepare(g, op);
    if (op->opc == IR_ANDN) {
        int a = val_reg(g, op->a);
        struct opn m = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
        r = def_reg(g, op->d);
        vex(&g->c, 2, 0, w, 0, 0xf2, r, a, m);
    } else if (op->opc == IR_BEXTR || op->opc == IR_BZHI) {
        int b = val_reg(g, op->b);
        struct opn m = val_const(g, op->a, op, &k) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        r = def_reg(g, op->d);
        vex(&g->c, 2, 0, w, 0, op->opc == IR_BEXTR ? 0xf7 : 0xf5, r, b, m);
    } else {
        struct opn m = val_const(g, op->a, op, &k) ? o_reg(val_reg(g, op->a)) : val_rm(g, op->a);
        r = def_reg(g, op->d);
        vex(&g->c, 2, 0, w, 0, 0xf3, op->opc == IR_BLSR ? 1 : op->opc == IR_BLSMSK ? 2 : 3, r, m);
    }
    flags_done(g, op);
    def_done(g, op->d, r, op->size);
}

static void gen_crc32(struct gen *g, const struct ir_op *op)
{
    int64_t k;
    struct opn m = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
    int r = start_dest(g, op, m.kind == ON_REG ? m.reg : -1);

    unsigned sz = op->sz2;
    if (sz == 1)
        ins(&g->c, 4, XF2 | X0F38 | 0xf0 | XBM, r, m);
    else
        ins(&g->c, sz, XF2 | X0F38 | 0xf1, r, m);
    def_done(g, op->d, r, 8);
}

static void gen_bswap(struct gen *g, const struct ir_op *op)
{
    int r = start_dest(g, op, -1);

    if (op->size == 8 || r >= 8)
        e8(&g->c, 0x40 | (op->size == 8 ? 8 : 0) | r >> 3);
    e8(&g->c, 0x0f);
    e8(&g->c, 0xc8 | (r & 7));
    def_done(g, op->d, r, op->size);
}

/* ---- flags as values ----------------------------------------------------------------------- */

/* F in EFLAGS or, for a condition over one bit, in memory. Returns the host condition;
 * clobbers EFLAGS only when they did not hold F. */
static unsigned need_cc(struct gen *g, unsigned cc)
{
    static const uint8_t bit[8] = { 0, 8, 14, 0, 15, 10, 0, 0 };

    if (g->fl_host)
        return cc;
    switch (cc >> 1) {
    case 0:
        ins(&g->c, 1, 0xf6 | XBM, 0, ENV(fl));
        e8(&g->c, 1);
        return 5 ^ (cc & 1);
    case 1: case 2: case 4: case 5:
        ins(&g->c, 1, 0xf6 | XBM, 0, o_env(offsetof(struct tcg_cpu, fl) + 1));
        e8(&g->c, 1u << (bit[cc >> 1] - 8));
        return 5 ^ (cc & 1);
    case 3:
        ins(&g->c, 1, 0xf6 | XBM, 0, o_env(offsetof(struct tcg_cpu, fl) + 1));
        e8(&g->c, 0x41);
        return 5 ^ (cc & 1);
    default:
        flags_load(g);
        return cc;
    }
}

static void gen_setcc(struct gen *g, const struct ir_op *op)
{
    unsigned cc = need_cc(g, op->cc);
    int p = pin_of(g, op->d), r = p >= 0 ? scratch_get(g) : def_reg(g, op->d);

    ins(&g->c, 1, X0F | 0x90 | cc | XBM, 0, o_reg(r));
    ins(&g->c, 4, X0F | 0xb6 | XBM, r, o_reg(r));
    def_done(g, op->d, r, 8);
}

static void gen_cmov(struct gen *g, const struct ir_op *op)
{
    int64_t k;
    unsigned cc = need_cc(g, op->cc);
    struct opn m = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
    int r = start_dest(g, op, m.kind == ON_REG ? m.reg : -1);

    ins(&g->c, op->size, X0F | 0x40 | cc, r, m);
    def_done(g, op->d, r, op->size);
}

static void gen_getf(struct gen *g, const struct ir_op *op)
{
    flags_save(g);
    g->fl_host = false;
    int r = scratch_get(g), s = scratch_get(g);
    ins(&g->c, 4, X0F | 0xb6 | XBM, r, o_env(offsetof(struct tcg_cpu, fl) + 1));
    alu_imm(&g->c, 4, ALU_AND, o_reg(r), 0xd5);
    ins(&g->c, 4, X0F | 0xb6 | XBM, s, ENV(fl));
    alu_imm(&g->c, 4, ALU_AND, o_reg(s), 1);
    ins(&g->c, 4, 0xc1, 4, o_reg(s));
    e8(&g->c, 11);
    alu_rm(&g->c, 4, ALU_OR, r, o_reg(s));
    def_done(g, op->d, r, 8);
}

/* F bits in wf from a value laid out as GETF gives them: through memory. */
static void gen_setf(struct gen *g, const struct ir_op *op)
{
    static const uint8_t at[6] = { 8, 10, 12, 14, 15, 0 };  /* C P A Z S O in fl */
    static const uint8_t from[6] = { 0, 2, 4, 6, 7, 11 };
    uint32_t keep = 0, take = 0;

    flags_save(g);
    g->fl_host = false;
    for (int i = 0; i < 6; i++) {
        if (!(op->wf >> i & 1))
            keep |= 1u << at[i];
        else if (i < 5)
            take |= 1u << from[i];
    }
    int a = val_reg(g, op->a), r = scratch_get(g);
    ins(&g->c, 4, 0x8b, r, o_reg(a));
    alu_imm(&g->c, 4, ALU_AND, o_reg(r), take);
    ins(&g->c, 4, 0xc1, 4, o_reg(r));
    e8(&g->c, 8);
    alu_imm(&g->c, 4, ALU_AND, ENV(fl), keep);
    alu_mr(&g->c, 4, ALU_OR, ENV(fl), r);
    if (op->wf & IRF_O) {
        ins(&g->c, 4, 0x8b, r, o_reg(a));
        ins(&g->c, 4, 0xc1, 5, o_reg(r));
        e8(&g->c, 11);
        alu_imm(&g->c, 4, ALU_AND, o_reg(r), 1);
        alu_mr(&g->c, 4, ALU_OR, ENV(fl), r);
    }
    g->fl_mem = true;
}

static void gen_carry(struct gen *g, const struct ir_op *op)
{
    if (!op->wf)
        return;
    if (g->fl_host) {
        e8(&g->c, op->opc == IR_CLC ? 0xf8 : op->opc == IR_STC ? 0xf9 : 0xf5);
        g->fl_mem = false;
        return;
    }
    alu_imm(&g->c, 1, op->opc == IR_CLC ? ALU_AND : op->opc == IR_STC ? ALU_OR : ALU_XOR,
            o_env(offsetof(struct tcg_cpu, fl) + 1), op->opc == IR_CLC ? -2 : 1);
}

/* ---- memory ------------------------------------------------------------------------------------ */

static void gen_ld(struct gen *g, const struct ir_op *op)
{
    bool write = op->opc == IR_LDW;
    struct opn m = mem_begin(g, op->a, op->size, true, write, 0);
    int p = pin_of(g, op->d);
    int r;

    if (g->n_stubs)
        g->stubs[g->n_stubs - 1].no_commit = true;
    if (op->opc == IR_LDM && op->size < 4) {
        /* only the low part of d changes */
        if (p >= 0) {
            ins_sz(&g->c, op->size, 0x8a, p, m);
            mem_end(g);
            return;
        }
        ins(&g->c, 4, X0F | (op->size == 1 ? 0xb6u | XBM : 0xb7u), m.index, m);
        mem_end(g);
        def_done(g, op->d, m.index, op->size);
        return;
    }
    r = p >= 0 ? p : m.index;
    if (op->opc == IR_LDS) {
        unsigned sz = op->sz2 == 8 ? 8 : 4;
        if (op->size == 1)
            ins(&g->c, sz, X0F | 0xbe | XBM, r, m);
        else if (op->size == 2)
            ins(&g->c, sz, X0F | 0xbf, r, m);
        else if (op->size == 4 && sz == 8)
            ins(&g->c, 8, 0x63, r, m);
        else
            ins(&g->c, op->size, 0x8b, r, m);
        mem_end(g);
        if (op->sz2 == 2)
            ins(&g->c, 4, X0F | 0xb7, r, o_reg(r));
        def_done(g, op->d, r, 8);
        return;
    }
    if (op->size == 1)
        ins(&g->c, 4, X0F | 0xb6 | XBM, r, m);
    else if (op->size == 2)
        ins(&g->c, 4, X0F | 0xb7, r, m);
    else
        ins(&g->c, op->size, 0x8b, r, m);
    mem_end(g);
    def_done(g, op->d, r, 8);
}

static void gen_st(struct gen *g, const struct ir_op *op)
{
    int64_t k;
    bool is_k = val_const(g, op->b, op, &k);
    struct opn m = mem_begin(g, op->a, op->size, false, true, 0);

    if (is_k && (op->size < 8 || fits32(k))) {
        ins_sz(&g->c, op->size, 0xc6, 0, m);
        if (op->size == 1)
            e8(&g->c, (unsigned)k);
        else if (op->size == 2)
            e16(&g->c, (unsigned)k);
        else
            e32(&g->c, (uint32_t)k);
    } else {
        struct stub *s = &g->stubs[g->n_stubs - 1];
        int v = val_reg(g, op->b);
        s->op = s->op;       /* loading a value before the store is part of the copied range */
        ins_sz(&g->c, op->size, 0x88, v, m);
    }
    mem_end(g);
}

static void gen_rmw(struct gen *g, const struct ir_op *op)
{
    int64_t k = 0;
    bool is_k = op->b != IR_NONE && val_const(g, op->b, op, &k) && imm_ok(imm_sx(k, op->size), op->size);
    uint32_t lk = op->lock ? XLOCK : 0;
    int v = -1;
    struct opn m;

    flags_save(g);
    g->fl_host = false;
    m = mem_begin(g, op->a, op->size, true, true, 0);
    if (op->b != IR_NONE && !is_k)
        v = val_reg(g, op->b);
    bool bitop = op->rmw >= IRM_BTS;
    if (bitop && !is_k) {    /* inside the operand, or the host would reach beyond it */
        int r = scratch_get(g);
        mov_rr(&g->c, 4, r, v);
        alu_imm(&g->c, 4, ALU_AND, o_reg(r), op->size * 8 - 1);
        v = r;
    }
    if (op->rmw == IRM_ADC || op->rmw == IRM_SBB || op->rmw == IRM_INC || op->rmw == IRM_DEC) {
        ins(&g->c, 4, X0F | 0xba, 4, ENV(fl));   /* starts from C, which is in memory now */
        e8(&g->c, 8);
    }
    static const uint8_t alu[] = { ALU_ADD, ALU_SUB, ALU_AND, ALU_OR, ALU_XOR, ALU_ADC, ALU_SBB };
    switch (op->rmw) {
    case IRM_ADD ... IRM_SBB:
        if (is_k) {
            k = imm_sx(k, op->size);
            if (op->size == 1) {
                ins(&g->c, 1, 0x80 | XBM | lk, alu[op->rmw], m);
                e8(&g->c, (unsigned)k);
            } else if (k >= -128 && k <= 127) {
                ins(&g->c, op->size, 0x83 | lk, alu[op->rmw], m);
                e8(&g->c, (unsigned)k);
            } else {
                ins(&g->c, op->size, 0x81 | lk, alu[op->rmw], m);
                if (op->size == 2)
                    e16(&g->c, (unsigned)k);
                else
                    e32(&g->c, (uint32_t)k);
            }
        } else {
            ins_sz(&g->c, op->size, (uint32_t)alu[op->rmw] << 3 | lk, v, m);
        }
        break;
    case IRM_INC: ins_sz(&g->c, op->size, 0xfe | lk, 0, m); break;
    case IRM_DEC: ins_sz(&g->c, op->size, 0xfe | lk, 1, m); break;
    case IRM_NEG: ins_sz(&g->c, op->size, 0xf6 | lk, 3, m); break;
    case IRM_NOT: ins_sz(&g->c, op->size, 0xf6 | lk, 2, m); break;
    default:                 /* bit operations: the index is inside the operand */
        if (is_k) {
            ins(&g->c, op->size, X0F | 0xba | lk, 5 + (op->rmw - IRM_BTS), m);
            e8(&g->c, (unsigned)k & (op->size * 8 - 1));
        } else {
            ins(&g->c, op->size, X0F | 0x83 | (uint32_t)(5 + op->rmw - IRM_BTS) << 3 | lk, v, m);
        }
    }
    if (bitop && op->wf) {   /* only C changes: merge it into F in memory */
        ins(&g->c, 1, X0F | 0x92 | XBM, 0, SLOW(save));
        alu_imm(&g->c, 1, ALU_AND, o_env(offsetof(struct tcg_cpu, fl) + 1), -2);
        ins(&g->c, 4, X0F | 0xb6 | XBM, m.index, SLOW(save));
        alu_mr(&g->c, 1, ALU_OR, o_env(offsetof(struct tcg_cpu, fl) + 1), m.index);
        mem_end(g);
        return;
    }
    mem_end(g);
    if (op->rmw != IRM_NOT && op->wf)
        flags_set(g);
}

/* XCHG, XADD with memory: the register operand is exchanged, so work in a copy. */
static void gen_xchg(struct gen *g, const struct ir_op *op)
{
    struct opn m = mem_begin(g, op->a, op->size, true, true, 0);
    int r = scratch_get(g);

    struct stub *s = &g->stubs[g->n_stubs - 1];
    val_to(g, r, op->b);
    (void)s;
    if (op->opc == IR_XCHGM)
        ins_sz(&g->c, op->size, 0x86, r, m);
    else
        ins_sz(&g->c, op->size, X0F | 0xc0 | (op->lock ? XLOCK : 0), r, m);
    mem_end(g);
    if (op->opc == IR_XADDM && op->wf)
        flags_set(g);
    def_done(g, op->d, r, op->size);
}

static void gen_cmpxchg(struct gen *g, const struct ir_op *op)
{
    struct opn m;
    int v;

    flags_save(g);
    scratch_take(g, RAX);
    val_to(g, RAX, op->c);
    m = mem_begin(g, op->a, op->size, true, true, 0);
    v = pin_of(g, op->b);
    if (v < 0 && !(op->b < IR_MAX_VALS && !is_global(g, op->b) && g->v[op->b].reg >= 0)
        && m.base < N_SCRATCH) {
        /* no scratch left for the new value: fold address and delta together */
        struct stub *st = &g->stubs[g->n_stubs - 1];
        ir_val av = g->owner[m.base];
        st->va_saved = true;
        mov_store(&g->c, SLOW(va), m.base);
        ins(&g->c, 8, 0x03, m.index, o_reg(m.base));
        if (av != IR_NONE) {
            assert(dies(op, 2));
            g->v[av].reg = -1;
            g->owner[m.base] = IR_NONE;
        }
        val_to(g, m.base, op->b);
        ins_sz(&g->c, op->size, X0F | 0xb0 | (op->lock ? XLOCK : 0), m.base,
               (struct opn){ .kind = ON_MEM, .base = m.index, .index = NOREG });
        mem_end(g);
    } else {
        if (v < 0)
            v = val_reg(g, op->b);
        ins_sz(&g->c, op->size, X0F | 0xb0 | (op->lock ? XLOCK : 0), v, m);
        mem_end(g);
    }
    if (op->wf)
        flags_set(g);
    /* equal: the accumulator stays as it is (no zero extension); else it takes [a] */
    if (op->size == 4) {
        uint8_t *skip;
        int p = pin_of(g, op->d);
        if (op->d == op->c && is_global(g, op->d)) {
            e8(&g->c, 0x74);
            skip = g->c.p;
            e8(&g->c, 0);
            if (p >= 0)
                mov_rr(&g->c, 4, p, RAX);
            else
                mov_store(&g->c, o_env(g->b->target->globals[op->d].offset), RAX);
            *skip = (uint8_t)(g->c.p - skip - 1);
            return;
        }
    }
    def_done(g, op->d, RAX, op->size);
}

/* ---- calls, state ---------------------------------------------------------------------------------- */

static void set_arg(struct gen *g, unsigned i, ir_val v)
{
    int64_t k;
    size_t off = SLOW_OFF(arg) + i * 8;

    if (v == IR_NONE)
        return;
    if (val_const(g, v, g->op, &k) && fits32(k)) {
        ins(&g->c, 8, 0xc7, 0, o_env(off));
        e32(&g->c, (uint32_t)k);
    } else {
        int r = val_reg(g, v);
        mov_store(&g->c, o_env(off), r);
        if (r < N_SCRATCH)
            g->locked &= ~(1 << r);
    }
}

static void gen_call(struct gen *g, const struct ir_op *op)
{
    bool sync = op->callf & IRCALL_SYNC, novec = op->callf & IRCALL_NOVEC;

    if (sync || (op->callf & IRCALL_FAULT))
        flags_save(g);
    flags_clobber(g, op->lf);
    mov_env_imm32(&g->c, offsetof(struct tcg_cpu, pcoff), (uint32_t)g->pcoff);
    set_arg(g, 0, op->a);
    set_arg(g, 1, op->b);
    set_arg(g, 2, op->c);
    scratch_spill_all(g);
    mov_imm(&g->c, RAX, (uintptr_t)op->fn);
    e8(&g->c, 0xe8);
    e32(&g->c, 0);
    patch32(g->c.p - 4, thunk_rw(g, (enum thunk)(TH_CALL + (sync ? 2 : 0) + (novec ? 1 : 0))));
    if (!novec)
        g->vec_ok = g->x87_ok = false;
    if (op->callf & IRCALL_FAULT) {
        struct stub *s = stub_new(g, STUB_FAULT);
        alu_imm(&g->c, 4, ALU_CMP, ENV(exception), 0);
        s->from[0] = jcc32(&g->c, 5);
        s->thunk = TH_LEAVE_EXC;
    }
    g->locked = 0;
    if (op->d != IR_NONE) {
        scratch_take(g, RAX);
        def_done(g, op->d, RAX, 8);
    }
    if (sync)
        g->fl_mem = true;
}

static void gen_lde(struct gen *g, const struct ir_op *op)
{
    int r = def_reg(g, op->d);
    struct opn m = o_env((size_t)op->imm);

    switch (op->size) {
    case 1: ins(&g->c, 4, X0F | 0xb6 | XBM, r, m); break;
    case 2: ins(&g->c, 4, X0F | 0xb7, r, m); break;
    default: ins(&g->c, op->size, 0x8b, r, m);
    }
    def_done(g, op->d, r, 8);
}

static void gen_ste(struct gen *g, const struct ir_op *op)
{
    struct opn m = o_env((size_t)op->imm);
    int64_t k;

    if (op->b == IR_IMM2 || (val_const(g, op->b, op, &k) && op->b != IR_IMM && fits32(k))) {
        if (op->b == IR_IMM2)
            k = op->imm2;
        ins_sz(&g->c, op->size, 0xc6, 0, m);
        if (op->size == 1)
            e8(&g->c, (unsigned)k);
        else if (op->size == 2)
            e16(&g->c, (unsigned)k);
        else
            e32(&g->c, (uint32_t)k);
        return;
    }
    ins_sz(&g->c, op->size, 0x88, val_reg(g, op->b), m);
}

/* ---- control ------------------------------------------------------------------------------------------- */

static void branch_to(struct gen *g, uint8_t *at, uint16_t label)
{
    if (g->n_fix >= ARRAY_SIZE(g->fix)) {
        g->fail = true;
        return;
    }
    g->fix[g->n_fix].at = at;
    g->fix[g->n_fix++].label = label;
}

/* Where control meets, every temp is in memory and F too. */
static void settle(struct gen *g)
{
    flags_save(g);
    g->locked = 0;
    vals_settle(g);
}

static void gen_brcc(struct gen *g, const struct ir_op *op)
{
    settle(g);
    bool had = g->fl_host;
    unsigned cc = need_cc(g, op->cc);

    branch_to(g, jcc32(&g->c, cc), op->label);
    if (!had && cc != op->cc)
        g->fl_host = false;
}

static void gen_brcmp(struct gen *g, const struct ir_op *op)
{
    int64_t k;

    settle(g);
    g->fl_host = false;
    if (val_const(g, op->b, op, &k) && imm_ok(imm_sx(k, op->size), op->size)) {
        int a = val_reg(g, op->a);
        alu_imm(&g->c, op->size, ALU_CMP, o_reg(a), imm_sx(k, op->size));
    } else {
        int a = val_reg(g, op->a);
        struct opn m = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
        alu_rm(&g->c, op->size, ALU_CMP, a, m);
    }
    settle(g);               /* what the operands brought into registers */
    branch_to(g, jcc32(&g->c, op->cc), op->label);
}

static void gen_label(struct gen *g, const struct ir_op *op)
{
    g->label[op->imm] = g->c.p;
    g->fl_mem = true;
    g->fl_host = false;
    g->vec_ok = g->x87_ok = false;
}

static void gen_poll(struct gen *g, struct stub *intr)
{
    alu_imm(&g->c, 4, ALU_CMP, ENV(run), 0);
    intr->from[0] = jcc32(&g->c, 4);
}

static void gen_goto_tb(struct gen *g, const struct ir_op *op)
{
    struct code *c = &g->c;
    struct tb_link *l = &g->tb->link[op->aux & 1];
    bool cross = op->imm & ~(int64_t)PAGE_MASK;
    struct stub *s;

    flags_save(g);
    g->fl_host = false;
    if (op->poll) {
        struct stub *i = stub_new(g, STUB_FAULT);
        i->pcoff = (int32_t)op->imm;
        i->thunk = TH_LEAVE_INTR;
        gen_poll(g, i);
    }
    s = stub_new(g, STUB_LINK);
    s->slot = op->aux & 1;
    s->pcoff = (int32_t)op->imm;
    if (cross && !g->tb->flat) {   /* other code segments: always the long way */
        s->from[0] = jmp32(c);
        l->jmp_off = 0;
        return;
    }
    if (cross) {
        int32_t delta = (int32_t)(op->imm & ~(int64_t)PAGE_MASK);
        mov_load(c, RAX, ENV(pcbase));
        alu_imm(c, g->b->pc32 ? 4 : 8, ALU_ADD, o_reg(RAX), delta);
        mov_rr(c, 8, RCX, RAX);
        ins(c, 8, 0xc1, 4, o_reg(RCX));
        e8(c, 16);
        ins(c, 8, 0xc1, 5, o_reg(RCX));
        e8(c, 28);
        ins(c, 8, X0F | 0xba, 5, o_reg(RCX));
        e8(c, MAP_KIND_BIT + 1);
        ins(c, 4, XGS | 0x81, 7, (struct opn){ .kind = ON_MEM, .base = NOREG, .index = RCX, .scale = 3 });
        l->guard_off = (uint32_t)(c->p - g->start);
        e32(c, 0xffffffff);
        s->from[1] = jcc32(c, 5);
        mov_store(c, ENV(pcbase), RAX);
    }
    while (((uintptr_t)c->p + 1) & 3)   /* the displacement is patched while others may run it */
        e8(c, 0x90);
    s->from[0] = jmp32(c);
    l->jmp_off = (uint32_t)(s->from[0] - g->start);
}

static void gen_goto_pc(struct gen *g, const struct ir_op *op)
{
    struct code *c = &g->c;
    struct stub *s, *i;

    flags_save(g);
    g->fl_host = false;
    if (!g->tb->flat) {
        int a = val_reg(g, op->a);
        mov_store(c, ENV(pc), a);
        jmp_to(c, thunk_rw(g, TH_LEAVE_LOOKUP));
        return;
    }
    int64_t k;
    int areg = op->a < IR_MAX_VALS && !is_global(g, op->a) ? g->v[op->a].reg : -1;
    if (areg != RAX) {
        if (g->owner[RAX] != IR_NONE) {
            g->v[g->owner[RAX]].reg = -1;     /* nothing else lives past this */
            g->owner[RAX] = IR_NONE;
        }
        g->locked |= 1 << RAX;
        if (val_const(g, op->a, op, &k))
            mov_imm(c, RAX, (uint64_t)k);
        else
            mov_load(c, RAX, val_rm(g, op->a));
    }
    s = stub_new(g, STUB_JUMP);
    s->t = RAX;
    s->thunk = TH_LEAVE_LOOKUP;
    i = stub_new(g, STUB_JUMP);
    i->t = RAX;
    i->thunk = TH_LEAVE_LOOKUP;
    alu_imm(c, 4, ALU_CMP, ENV(run), 0);
    i->from[0] = jcc32(c, 4);
    ins(c, 4, 0x8b, RCX, o_reg(RAX));
    alu_imm(c, 4, ALU_AND, o_reg(RCX), (1 << JC_BITS) - 1);
    ins(c, 4, 0xc1, 4, o_reg(RCX));
    e8(c, 5);
    ins(c, 8, 0x03, RCX, ENV(jc));
    ins(c, 8, 0x3b, RAX, (struct opn){ .kind = ON_MEM, .base = RCX, .index = NOREG });
    s->from[0] = jcc32(c, 5);
    mov_rr(c, 8, RDX, RAX);
    ins(c, 8, 0xc1, 4, o_reg(RDX));
    e8(c, 16);
    ins(c, 8, 0xc1, 5, o_reg(RDX));
    e8(c, 28);
    ins(c, 8, X0F | 0xba, 5, o_reg(RDX));
    e8(c, MAP_KIND_BIT + 1);
    ins(c, 4, XGS | 0x8b, RDX, (struct opn){ .kind = ON_MEM, .base = NOREG, .index = RDX, .scale = 3 });
    ins(c, 8, 0x0b, RDX, ENV(mode_salt));
    ins(c, 8, 0x3b, RDX, (struct opn){ .kind = ON_MEM, .base = RCX, .index = NOREG, .disp = 8 });
    s->from[1] = jcc32(c, 5);
    alu_imm(c, 8, ALU_AND, o_reg(RAX), -(int64_t)PAGE_SIZE);
    mov_store(c, ENV(pcbase), RAX);
    ins(c, 4, 0xff, 4, (struct opn){ .kind = ON_MEM, .base = RCX, .index = NOREG, .disp = 16 });
}

static void gen_exit(struct gen *g, const struct ir_op *op)
{
    flags_save(g);
    g->fl_host = false;
    if (op->opc == IR_EXIT) {
        mov_env_imm32(&g->c, offsetof(struct tcg_cpu, pcoff), (uint32_t)op->imm);
        jmp_to(&g->c, thunk_rw(g, TH_LEAVE_INTR));
    } else {
        jmp_to(&g->c, thunk_rw(g, TH_LEAVE_PC));
    }
}

/* ---- dispatch --------------------------------------------------------------------------------------------- */

void gen_op(struct gen *g, const struct ir_op *op, unsigned i)
{
    g->op = op;
    switch (op->opc) {
    case IR_MOV: gen_mov(g, op); break;
    case IR_ZEXT: gen_zext(g, op); break;
    case IR_SEXT: gen_sext(g, op); break;
    case IR_EXTH: gen_exth(g, op); break;
    case IR_DEPH: gen_deph(g, op); break;
    case IR_LEA: gen_lea(g, op); break;
    case IR_BSWAP: gen_bswap(g, op); break;
    case IR_ADD: case IR_SUB: case IR_AND: case IR_OR: case IR_XOR: case IR_ADC: case IR_SBB:
        gen_alu(g, op); break;
    case IR_CMP: case IR_TEST: gen_cmp(g, op); break;
    case IR_INC: case IR_DEC: case IR_NEG: case IR_NOT: gen_unary(g, op); break;
    case IR_IMUL: gen_imul(g, op); break;
    case IR_MULU: case IR_MULS: case IR_MULX: gen_mul(g, op); break;
    case IR_DIVU: case IR_DIVS: gen_div(g, op); break;
    case IR_SHL: case IR_SHR: case IR_SAR: case IR_ROL: case IR_ROR: case IR_RCL: case IR_RCR:
        gen_shift(g, op); break;
    case IR_SHLD: case IR_SHRD: gen_shiftd(g, op); break;
    case IR_BT: case IR_BTS: case IR_BTR: case IR_BTC: gen_bt(g, op); break;
    case IR_BSF: case IR_BSR: gen_bsf(g, op); break;
    case IR_TZCNT: gen_rrm(g, op, XF3 | X0F | 0xbc, false); break;
    case IR_LZCNT: gen_rrm(g, op, XF3 | X0F | 0xbd, false); break;
    case IR_POPCNT: gen_rrm(g, op, XF3 | X0F | 0xb8, false); break;
    case IR_ANDN: case IR_BLSR: case IR_BLSMSK: case IR_BLSI: case IR_BEXTR: case IR_BZHI:
    case IR_PDEP: case IR_PEXT: gen_bmi(g, op); break;
    case IR_CRC32C: gen_crc32(g, op); break;
    case IR_ADCX: case IR_ADOX:
        flags_load(g);
        gen_rrm(g, op, (op->opc == IR_ADCX ? X66 : XF3) | X0F38 | 0xf6, true);
        break;
    case IR_SETCC: gen_setcc(g, op); break;
    case IR_CMOV: gen_cmov(g, op); break;
    case IR_GETF: gen_getf(g, op); break;
    case IR_SETF: gen_setf(g, op); break;
    case IR_CLC: case IR_STC: case IR_CMC: gen_carry(g, op); break;
    case IR_LD: case IR_LDS: case IR_LDM: case IR_LDW: gen_ld(g, op); break;
    case IR_ST: gen_st(g, op); break;
    case IR_RMW: gen_rmw(g, op); break;
    case IR_XCHGM: case IR_XADDM: gen_xchg(g, op); break;
    case IR_CMPXCHG: gen_cmpxchg(g, op); break;
    case IR_FENCE:
        e8(&g->c, 0x0f); e8(&g->c, 0xae); e8(&g->c, 0xf0);
        break;
    case IR_VEC: gen_vec(g, op); break;
    case IR_CALL: gen_call(g, op); break;
    case IR_LDE: gen_lde(g, op); break;
    case IR_STE: gen_ste(g, op); break;
    case IR_INSN: g->pcoff = (int32_t)op->imm; break;
    case IR_LABEL:
        if (i && !(ir_op_info(op[-1].opc)->attr & IRA_END))
            settle(g);
        gen_label(g, op);
        break;
    case IR_BR:
        settle(g);
        branch_to(g, jmp32(&g->c), op->label);
        break;
    case IR_BRCC: gen_brcc(g, op); break;
    case IR_BRCMP: gen_brcmp(g, op); break;
    case IR_GOTO_TB: gen_goto_tb(g, op); break;
    case IR_GOTO_PC: gen_goto_pc(g, op); break;
    case IR_EXIT: case IR_EXIT_PC: gen_exit(g, op); break;
    default: assert(!"unknown IR operation");
    }
    vals_die(g, op);
}
