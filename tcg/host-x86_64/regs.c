/* regs.c - where values live during one block: pinned guest registers, three
 * scratch registers for temps, spill slots */
#include "tcg/host-x86_64/gen-int.h"

const int8_t pin_reg[N_PIN] = { RBX, RBP, RSI, R12, RDI, R8, R13, R14, R9, R15, R10, R11 };

size_t spill_off(int slot) { return offsetof(struct tcg_cpu, spill) + (size_t)slot * 8; }

int spill_slot(struct gen *g)
{
    for (int i = 0; i < TCG_N_SPILL; i++)
        if (!(g->spill_used >> i & 1)) {
            g->spill_used |= 1ull << i;
            return i;
        }
    g->fail = true;
    return 0;
}

static void home_store(struct gen *g, struct tval *tv, int r)
{
    if (tv->in_mem)
        return;
    if (tv->home < 0)
        tv->home = (int8_t)spill_slot(g);
    mov_store(&g->c, o_env(spill_off(tv->home)), r);
    tv->in_mem = true;
}

/* The temp in scratch @r goes to memory (moves only: flags stay). */
static void evict(struct gen *g, int r)
{
    ir_val v = g->owner[r];

    if (v == IR_NONE)
        return;
    if (!is_global(g, v) && !g->v[v].is_const)
        home_store(g, &g->v[v], r);
    g->v[v].reg = -1;
    g->owner[r] = IR_NONE;
}

/* The operation may change scratch @r, whatever was in it. */
void scratch_own(struct gen *g, int r)
{
    evict(g, r);
    g->locked |= 1 << r;
}

void vals_settle(struct gen *g)
{
    scratch_spill_all(g);
    for (ir_val v = g->n_globals; v < g->b->n_vals; v++) {
        struct tval *tv = &g->v[v];
        if (!tv->is_const)
            continue;
        if (tv->home < 0)
            tv->home = (int8_t)spill_slot(g);
        if (fits32(tv->cval)) {
            ins(&g->c, 8, 0xc7, 0, o_env(spill_off(tv->home)));
            e32(&g->c, (uint32_t)tv->cval);
        } else {
            mov_imm(&g->c, RCX, (uint64_t)tv->cval);
            mov_store(&g->c, o_env(spill_off(tv->home)), RCX);
        }
        tv->is_const = false;
        tv->in_mem = true;
    }
}

int scratch_idle(struct gen *g)
{
    static const int8_t order[N_SCRATCH] = { RCX, RDX, RAX };

    for (int i = 0; i < N_SCRATCH; i++) {
        int r = order[i];
        if (!(g->locked >> r & 1) && g->owner[r] == IR_NONE) {
            g->locked |= 1 << r;
            return r;
        }
    }
    return NOREG;
}

int scratch_get(struct gen *g)
{
    int idle = scratch_idle(g);

    if (idle >= 0)
        return idle;
    for (int i = 0; i < N_SCRATCH; i++) {
        int r = (g->rr + i) % N_SCRATCH;
        if (!(g->locked >> r & 1)) {
            g->rr = (uint8_t)(r + 1);
            evict(g, r);
            g->locked |= 1 << r;
            return r;
        }
    }
    assert(!"an operation needs more than three scratch registers");
    return RAX;
}

/* Its temp, if any, moves to another free scratch register or to memory. */
int scratch_take(struct gen *g, int r)
{
    ir_val v = g->owner[r];

    assert(!(g->locked >> r & 1));
    if (v != IR_NONE) {
        for (int o = 0; o < N_SCRATCH; o++)
            if (o != r && !(g->locked >> o & 1) && g->owner[o] == IR_NONE) {
                mov_rr(&g->c, 8, o, r);
                g->owner[o] = v;
                g->v[v].reg = (int8_t)o;
                g->owner[r] = IR_NONE;
                break;
            }
        evict(g, r);
    }
    g->locked |= 1 << r;
    return r;
}

void scratch_spill_all(struct gen *g)
{
    for (int r = 0; r < N_SCRATCH; r++)
        evict(g, r);
}

/* A global without a register of its own is kept in a scratch register as long as
 * nobody wants that; memory always has it too. */
void global_drop(struct gen *g, ir_val v)
{
    int r = g->v[v].reg;

    if (r >= 0)
        g->owner[r] = IR_NONE;
    g->v[v].reg = -1;
}

void globals_drop(struct gen *g)
{
    for (int r = 0; r < N_SCRATCH; r++)
        if (g->owner[r] != IR_NONE && is_global(g, g->owner[r]))
            global_drop(g, g->owner[r]);
}

/* Reached by branches only: what they left is in the slots. */
void vals_at_label(struct gen *g)
{
    globals_drop(g);
    for (int r = 0; r < N_SCRATCH; r++)
        g->owner[r] = IR_NONE;
    for (ir_val v = g->n_globals; v < g->b->n_vals; v++) {
        struct tval *tv = &g->v[v];
        tv->reg = -1;
        if (tv->home >= 0) {
            tv->in_mem = true;
            tv->is_const = false;
        }
    }
}

bool val_const(const struct gen *g, ir_val v, const struct ir_op *op, int64_t *out)
{
    if (v == IR_IMM)
        *out = op->imm;
    else if (v == IR_IMM2)
        *out = op->imm2;
    else if (v != IR_NONE && !is_global(g, v) && g->v[v].is_const)
        *out = g->v[v].cval;
    else
        return false;
    return true;
}

void val_to(struct gen *g, int reg, ir_val v)
{
    int64_t k;

    if (val_const(g, v, g->op, &k)) {
        mov_imm(&g->c, reg, (uint64_t)k);
    } else {
        struct opn m = val_rm(g, v);
        if (m.kind != ON_REG || m.reg != reg)
            mov_load(&g->c, reg, m);
    }
}

int val_scratch(struct gen *g, ir_val v)
{
    int r;

    if (v < IR_MAX_VALS && g->v[v].reg >= 0) {
        g->locked |= 1 << g->v[v].reg;
        return g->v[v].reg;
    }
    r = scratch_get(g);
    val_to(g, r, v);
    if (v < IR_MAX_VALS) {
        g->owner[r] = v;
        g->v[v].reg = (int8_t)r;
    }
    return r;
}

struct opn val_rm(struct gen *g, ir_val v)
{
    int r = pin_of(g, v);

    if (r >= 0)
        return o_reg(r);
    if (g->v[v].reg >= 0) {
        g->locked |= 1 << g->v[v].reg;
        return o_reg(g->v[v].reg);
    }
    if (is_global(g, v))
        return o_env(g->b->target->globals[v].offset);
    if (g->v[v].is_const) {
        int t = scratch_get(g);
        mov_imm(&g->c, t, (uint64_t)g->v[v].cval);
        return o_reg(t);
    }
    assert(g->v[v].in_mem);
    return o_env(spill_off(g->v[v].home));
}

/* Pinned: its own register. Otherwise a scratch register; the caller makes sure that
 * no input still needed is there. */
int def_reg(struct gen *g, ir_val v)
{
    int r = pin_of(g, v);

    return r >= 0 ? r : scratch_get(g);
}

static void forget(struct gen *g, ir_val v)
{
    struct tval *tv = &g->v[v];

    if (tv->stays)
        return;
    if (tv->reg >= 0 && g->owner[tv->reg] == v)
        g->owner[tv->reg] = IR_NONE;
    if (tv->home >= 0)
        g->spill_used &= ~(1ull << tv->home);
    *tv = (struct tval){ .reg = -1, .home = -1 };
}

void def_const(struct gen *g, ir_val v, int64_t k)
{
    struct tval *tv = &g->v[v];

    if (tv->reg >= 0 && g->owner[tv->reg] == v)
        g->owner[tv->reg] = IR_NONE;
    tv->reg = -1;
    tv->in_mem = false;
    tv->is_const = tv->defined = true;
    tv->cval = k;
}

static void def_temp(struct gen *g, ir_val v, int reg, unsigned size)
{
    struct tval *tv = &g->v[v];

    if (tv->reg == reg && g->owner[reg] == v)
        goto out;
    if (size < 4 && tv->defined) {   /* merge into the old value */
        if ((g->locked & 7) == 7)
            g->locked = (uint8_t)(1 << reg);     /* the operation's inputs are consumed */
        int r = val_reg(g, v);
        ins_sz(&g->c, size, 0x8a, r, o_reg(reg));
        goto out;
    }
    if (tv->reg >= 0 && g->owner[tv->reg] == v)
        g->owner[tv->reg] = IR_NONE;
    if (reg >= N_SCRATCH) {
        int r = scratch_get(g);
        mov_rr(&g->c, 8, r, reg);
        reg = r;
    }
    if (g->owner[reg] != IR_NONE)
        g->v[g->owner[reg]].reg = -1;  /* its value died here */
    g->owner[reg] = v;
    tv->reg = (int8_t)reg;
out:
    tv->defined = true;
    tv->is_const = tv->in_mem = false;
}

void def_move(struct gen *g, ir_val v, int reg, unsigned size)
{
    int p = pin_of(g, v);

    if (p >= 0) {
        if (size >= 4)
            mov_rr(&g->c, size, p, reg);
        else
            ins_sz(&g->c, size, 0x8a, p, o_reg(reg));
    } else if (is_global(g, v)) {
        struct opn m = o_env(g->b->target->globals[v].offset);
        if (g->v[v].reg != reg)
            global_drop(g, v);
        if (size >= 4) {
            mov_store(&g->c, m, reg);
            if (reg < N_SCRATCH && g->v[v].reg != reg) {
                if (g->owner[reg] != IR_NONE)
                    g->v[g->owner[reg]].reg = -1;
                g->owner[reg] = v;
                g->v[v].reg = (int8_t)reg;
            }
        } else {
            ins_sz(&g->c, size, 0x88, reg, m);
            global_drop(g, v);
        }
    } else {
        def_temp(g, v, reg, size);
    }
}

void vals_forget(struct gen *g, const struct ir_op *op)
{
    const ir_val v[5] = { op->d, op->e, op->a, op->b, op->c };

    for (unsigned last = op->last; last; last &= last - 1)
        forget(g, v[__builtin_ctz(last)]);
}
