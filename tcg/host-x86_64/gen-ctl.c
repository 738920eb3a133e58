/* gen-ctl.c - flags as values, helper calls, branches and block ends */
#define _GNU_SOURCE
#include "tcg/host-x86_64/gen-int.h"
#include "tcg/tb-cache-int.h"

/* ---- flags as values ----------------------------------------------------------------------- */

/* F in EFLAGS or, for a condition over one bit, in memory. Returns the host condition;
 * clobbers EFLAGS only when they did not hold F. */
unsigned need_cc(struct gen *g, unsigned cc)
{
    static const uint8_t bit[8] = { 0, 8, 14, 0, 15, 10, 0, 0 };

    if (!g->fl_host && !g->fl_mem && (ir_cc_flags(cc) & ~g->fl_part))
        flags_load(g);
    if (g->fl_host || !g->fl_mem)
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

void gen_setcc(struct gen *g, const struct ir_op *op)
{
    unsigned cc = need_cc(g, op->cc);
    int p = pin_of(g, op->d), r = p >= 0 ? scratch_get(g) : def_reg(g, op->d);

    ins(&g->c, 1, X0F | 0x90 | cc | XBM, 0, o_reg(r));
    ins(&g->c, 4, X0F | 0xb6 | XBM, r, o_reg(r));
    def_done(g, op->d, r, 8);
}

void gen_cmov(struct gen *g, const struct ir_op *op)
{
    int64_t k;
    unsigned cc = need_cc(g, op->cc);
    struct opn m = val_const(g, op->b, op, &k) ? o_reg(val_reg(g, op->b)) : val_rm(g, op->b);
    int r = start_dest(g, op, m.kind == ON_REG ? m.reg : -1);

    ins(&g->c, op->size, X0F | 0x40 | cc, r, m);
    def_done(g, op->d, r, op->size);
}

void gen_getf(struct gen *g, const struct ir_op *op)
{
    flags_save(g);
    flags_lost(g);
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
void gen_setf(struct gen *g, const struct ir_op *op)
{
    static const uint8_t at[6] = { 8, 10, 12, 14, 15, 0 };  /* C P A Z S O in fl */
    static const uint8_t from[6] = { 0, 2, 4, 6, 7, 11 };
    uint32_t keep = 0, take = 0;

    flags_save(g);
    flags_lost(g);
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
    g->rec.kind = REC_NONE;
}

void gen_carry(struct gen *g, const struct ir_op *op)
{
    if (!op->wf)
        return;
    if (!g->fl_mem)
        flags_load(g);
    g->rec.kind = REC_NONE;
    if (g->fl_host) {
        e8(&g->c, op->opc == IR_CLC ? 0xf8 : op->opc == IR_STC ? 0xf9 : 0xf5);
        g->fl_mem = false;
        return;
    }
    alu_imm(&g->c, 1, op->opc == IR_CLC ? ALU_AND : op->opc == IR_STC ? ALU_OR : ALU_XOR,
            o_env(offsetof(struct tcg_cpu, fl) + 1), op->opc == IR_CLC ? -2 : 1);
}

/* Leaves EFLAGS alone. */
void gen_note(struct gen *g, const struct ir_op *op)
{
    int r = scratch_get(g), s = scratch_get(g);
    struct opn at = { .kind = ON_MEM, .base = (int8_t)r, .index = NOREG };

    mov_load(&g->c, r, ENV(note));
    mov_load(&g->c, s, ENV(pcbase));
    ins(&g->c, 8, 0xc7, 0, at);
    e32(&g->c, (uint32_t)op->imm);
    at.disp = 8;
    mov_store(&g->c, at, s);
    at.disp = 16;
    ins(&g->c, 8, 0x8d, r, at);
    mov_store(&g->c, ENV(note), r);
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

/* @op's helper, done without it: returns a jump over the call. */
static uint8_t *try_rep(struct gen *g, const struct ir_op *op)
{
    if (!op->aux || g->t->narrow)
        return NULL;
    scratch_spill_all(g);
    call_to(&g->c, thunk_rw(g, (enum thunk)(TH_REP + op->aux - 1)));
    return jcc32(&g->c, 3);
}

/* A program that is not loaded anywhere has short addresses, which need not be noted. */
static void mov_program(struct code *c, int r, const void *fn)
{
    mov_imm(c, r, (uintptr_t)fn);
    if (!fits32((int64_t)(uintptr_t)fn) && (uintptr_t)fn > 0xffffffffu)
        rel_note(c, c->p - 8, TR_PROGRAM);
}

void gen_call(struct gen *g, const struct ir_op *op)
{
    uint8_t *done;
    bool sync = op->callf & IRCALL_SYNC, novec = (op->callf & IRCALL_NOVEC) && !log_mask;  /* logging uses libc */

    if (sync || (op->callf & IRCALL_FAULT))
        flags_save(g);
    flags_clobber(g, op->lf);
    done = try_rep(g, op);
    mov_env_imm32(&g->c, offsetof(struct tcg_cpu, pcoff), (uint32_t)g->pcoff);
    set_arg(g, 0, op->a);
    set_arg(g, 1, op->b);
    set_arg(g, 2, op->c);
    scratch_spill_all(g);
    mov_program(&g->c, RAX, op->fn);
    call_to(&g->c, thunk_rw(g, (enum thunk)(TH_CALL + (sync ? 2 : 0) + (novec ? 1 : 0))));
    if (!novec)
        g->vec_ok = g->zmm_ok = g->x87_ok = false;
    globals_drop(g);
    if (sync)
        g->rec.kind = REC_NONE;
    if (op->callf & IRCALL_FAULT) {
        struct stub *s = stub_new(g, STUB_FAULT);
        alu_imm(&g->c, 4, ALU_CMP, ENV(exception), 0);
        s->from[0] = jcc32(&g->c, 5);
        s->after_call = true;
        s->thunk = TH_LEAVE_EXC;
    }
    if (done)
        patch32(done, g->c.p);
    g->locked = 0;
    if (op->d != IR_NONE) {
        scratch_take(g, RAX);
        def_done(g, op->d, RAX, 8);
    }
    if (sync)
        g->fl_mem = true;
}

void gen_lde(struct gen *g, const struct ir_op *op)
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

void gen_ste(struct gen *g, const struct ir_op *op)
{
    struct opn m = o_env((size_t)op->imm);
    int64_t k;

    if (op->b == IR_IMM2 || (val_const(g, op->b, op, &k) && op->b != IR_IMM && fits32(k))) {
        if (op->b == IR_IMM2)
            k = op->imm2;
        ins_sz(&g->c, op->size, 0xc6, 0, m);
        imm_sz(&g->c, op->size, k);
        return;
    }
    ins_sz(&g->c, op->size, 0x88, val_reg(g, op->b), m);
}

/* ---- control ------------------------------------------------------------------------------------------- */

void branch_to(struct gen *g, uint8_t *at, uint16_t label)
{
    if (g->n_fix >= ARRAY_SIZE(g->fix)) {
        g->fail = true;
        return;
    }
    g->fix[g->n_fix].at = at;
    g->fix[g->n_fix++].label = label;
}

/* Where control meets, every temp is in memory and F too. */
void settle(struct gen *g)
{
    flags_save(g);
    g->locked = 0;
    vals_settle(g);
}

/* The displacement that starts @before bytes further on is patched while others may
 * run it: it must not straddle words. What comes next gets prefixes without a meaning, so it must be an
 * instruction that has no prefix and no REX: they cost less than an instruction of their own. */
void align_link(struct code *c, unsigned before)
{
    for (unsigned n = -((uintptr_t)c->p + before) & 3; n; n--)
        e8(c, PREFIX_CS);
}

struct stub *link_here(struct gen *g, unsigned slot, int64_t pcoff, uint8_t *rel32)
{
    struct stub *s = stub_new(g, STUB_LINK);

    s->slot = (uint8_t)slot;
    s->pcoff = (int32_t)pcoff;
    s->from[0] = rel32;
    assert(((uintptr_t)rel32 & 3) == 0);
    g->tb->link[s->slot].jmp_off = (uint32_t)(rel32 - g->start);
    return s;
}

void link_owes(struct gen *g, struct stub *s, const struct recipe *r)
{
    s->rec = *r;
    g->tb->link[s->slot].f_from = recipe_globals(r);
    recipe_code(r, &g->tb->link[s->slot].owed);
}

static void goto_tb(struct gen *g, const struct ir_op *op, const struct recipe *owed);

static bool stays_in_page(const struct ir_op *go)
{
    return !(go->imm & ~(int64_t)PAGE_MASK);
}

/* May the conditional jump before it be this exit's link? */
static bool is_plain(const struct ir_op *go) { return !go->poll && stays_in_page(go); }

/* BRCC L; GOTO_TB; L: GOTO_TB, where L has no other way in: the conditional jump
 * itself can be the link, that of the second exit, or inverted that of the first. */
static bool is_branch_pair(const struct gen *g, const struct ir_op *op)
{
    const struct ir_block *b = g->b;

    if (op + 3 != b->ops + b->n_ops - 1 || op[1].opc != IR_GOTO_TB || op[2].opc != IR_LABEL
        || op[2].imm != op->label || op[3].opc != IR_GOTO_TB || !(is_plain(&op[3]) || is_plain(&op[1])))
        return false;
    for (unsigned i = 0; i < g->n_fix; i++)
        if (g->fix[i].label == op->label)
            return false;
    return true;
}

static void gen_branch_pair(struct gen *g, const struct ir_op *op)
{
    const struct ir_op *by_jcc = is_plain(&op[3]) ? &op[3] : &op[1];

    loop_again(g);
    unsigned cc = need_cc(g, op->cc) ^ (by_jcc == &op[1]);
    struct recipe r;
    bool owes = flags_leave(g, &r);
    struct stub *s;

    if (owes)
        owed_stretch(g, 2);
    align_link(&g->c, 2);
    s = link_here(g, by_jcc->aux, by_jcc->imm, jcc32(&g->c, cc));
    if (owes)
        link_owes(g, s, &r);
    g->skip = 3;
    goto_tb(g, by_jcc == &op[1] ? &op[3] : &op[1], owes ? &r : NULL);
}

void gen_brcc(struct gen *g, const struct ir_op *op)
{
    if (is_branch_pair(g, op)) {
        gen_branch_pair(g, op);
        return;
    }
    settle(g);
    bool had = g->fl_host;
    unsigned cc = need_cc(g, op->cc);

    branch_to(g, jcc32(&g->c, cc), op->label);
    if (!had && cc != op->cc)
        flags_lost(g);
}

void gen_brcmp(struct gen *g, const struct ir_op *op)
{
    int64_t k;

    settle(g);
    flags_lost(g);
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

void gen_label(struct gen *g, const struct ir_op *op)
{
    g->label[op->imm] = g->c.p;
    flags_lost(g);
    g->fl_mem = true;
    g->rec.kind = REC_NONE;
    g->vec_ok = g->zmm_ok = g->x87_ok = false;
}

static void gen_poll(struct gen *g, struct stub *intr)
{
    alu_imm(&g->c, 4, ALU_CMP, ENV(run), 0);
    intr->from[0] = jcc32(&g->c, 4);
}

/* The conditional jump is the link itself when F is in memory already; else it leads
 * behind the main line, where F is saved on this way out only. */
void gen_leavecc(struct gen *g, const struct ir_op *op)
{
    bool had = g->fl_host;
    unsigned cc = need_cc(g, op->cc);
    struct stub *s;

    if (g->fl_mem) {
        align_link(&g->c, 2);
        link_here(g, op->aux, op->imm, jcc32(&g->c, cc));
    } else {
        s = stub_new(g, STUB_SIDE);
        s->slot = op->aux;
        s->pcoff = (int32_t)op->imm;
        s->save_host = g->fl_host;
        s->rec = g->rec;
        s->from[0] = jcc32(&g->c, cc);
    }
    if (!had && cc != op->cc)
        flags_lost(g);
}

void sides_emit(struct gen *g)
{
    unsigned n = g->n_stubs;

    for (unsigned i = 0; i < n && !g->fail; i++) {
        struct stub *s = &g->stubs[i];
        if (g->c.p + GEN_MARGIN > g->end) {
            g->fail = true;
            return;
        }
        if (s->kind == STUB_MEM && s->carry && s->carry <= TCG_N_CARRY)
            mem_refill(g, s);
        if (s->kind == STUB_LANDING)
            landing_emit(g, s);
        if (s->kind != STUB_SIDE)
            continue;
        patch32(s->from[0], g->c.p);
        bool owes = recipe_leave(g, &s->rec);
        if (!owes && s->save_host)
            flags_store(g);
        else if (!owes)
            recipe_save(g, &s->rec);
        align_link(&g->c, 1);
        struct stub *l = link_here(g, s->slot, s->pcoff, jmp32(&g->c));
        if (owes)
            link_owes(g, l, &s->rec);
    }
}

static struct stub *intr_stub(struct gen *g, const struct ir_op *op)
{
    struct stub *s = stub_new(g, STUB_FAULT);

    s->pcoff = (int32_t)op->imm;
    s->thunk = TH_LEAVE_INTR;
    return s;
}

/* The end of a loop, most often: the poll's jump is the link. */
static void goto_if_running(struct gen *g, const struct ir_op *op, const struct recipe *owed)
{
    struct stub *s, *i = intr_stub(g, op);

    align_link(&g->c, 5 + 2);
    alu_imm(&g->c, 4, ALU_CMP, ENV(run), 0);
    s = link_here(g, op->aux, op->imm, jcc32(&g->c, 5));
    i->from[0] = jmp32(&g->c);
    if (owed)
        link_owes(g, s, owed);
}

/* RAX = linear address of the page that @op goes to, whose pcbase that is in a flat segment. */
static void load_target_page(struct gen *g, const struct ir_op *op)
{
    int32_t delta = (int32_t)(op->imm & ~(int64_t)PAGE_MASK);

    if (g->tb->flat) {
        mov_load(&g->c, RAX, ENV(pcbase));
        alu_imm(&g->c, g->b->pc32 ? 4 : 8, ALU_ADD, o_reg(RAX), delta);
    } else {
        mov_imm(&g->c, RAX, (uint32_t)(g->tb->pcbase + (uint64_t)op->imm + g->tb->cs_base) & ~PAGE_MASK);
    }
}

/* pcbase there, in other segments. */
static uint64_t target_pcbase(const struct tb *tb, int64_t pcoff)
{
    uint32_t pc = (uint32_t)(tb->pcbase + (uint64_t)pcoff);

    return pc - ((pc + tb->cs_base) & PAGE_MASK);
}

/* @owed: env->fl holds this recipe; NULL: it holds F */
static void goto_tb(struct gen *g, const struct ir_op *op, const struct recipe *owed)
{
    struct code *c = &g->c;
    struct tb_link *l = &g->tb->link[op->aux];
    bool cross = !stays_in_page(op);
    struct stub *s;

    flags_lost(g);
    if (op->poll && !cross) {
        goto_if_running(g, op, owed);
        return;
    }
    if (op->poll)
        gen_poll(g, intr_stub(g, op));
    s = stub_new(g, STUB_LINK);
    s->slot = op->aux;
    s->pcoff = (int32_t)op->imm;
    if (cross) {
        load_target_page(g, op);
        map_lookup(g, RAX, RCX, ACC_EXEC);
        if (g->t->smp)
            align_link(c, 2);
        alu_imm(c, 4, ALU_CMP, o_reg(RCX), 0x7fffffff);
        l->guard_off = (uint32_t)(c->p - 4 - g->start);
        stl32(c->p - 4, 0xffffffff);
        s->from[1] = jcc32(c, 5);
        if (!g->tb->flat)
            mov_imm(c, RAX, target_pcbase(g->tb, op->imm));
        mov_store(c, ENV(pcbase), RAX);
    }
    align_link(c, 1);
    s->from[0] = jmp32(c);
    l->jmp_off = (uint32_t)(s->from[0] - g->start);
    if (owed)
        link_owes(g, s, owed);
}

void gen_goto_tb(struct gen *g, const struct ir_op *op)
{
    struct recipe r;

    loop_again(g);
    if (flags_leave(g, &r))
        goto_tb(g, op, &r);
    else
        goto_tb(g, op, NULL);
}
