/*
 * group.c - accesses near each other share one address translation
 *
 * Accesses relative to one register value are a group while they stay within GROUP_SPAN
 * bytes. The first of them, the leader, checks that the whole span lies in one page of plain
 * memory and keeps what leads from guest to host addresses in a temp; the others, the followers,
 * use it and check nothing. A leader that finds no such page leaves the block before its
 * instruction, for one that is translated without groups. So it must be its instruction's first
 * access: what came before, at a device, would be done twice.
 *
 * A load leads stores, too, if nothing leaves the block between, or on the stack: then its page must be writable.
 *
 * Addresses relative to the stack pointer are marked: the page that the stack is in is known across blocks. So are those
 * relative to the program counter that are known to lie in one page.
 *
 * In a block that jumps to its own start accesses whose address grows by a constant, or stays, are followers of a
 * page (struct ir_page) that is looked up for as many rounds as all such accesses stay in their pages: a counter, one of the
 * registers, says how many that are. Where there is no such register, they may each keep
 * what leads to their page for the next round: they are marked as carried. So is the first load from a table that
 * stays where it is, by an index of a byte: nearly always it is in the page of the round before.
 *
 * A value is known as an identity and a distance: copies, sums with constants and pushes only
 * change the distance; sums of the same two values are the same. Calls end all groups, because a helper may change the address
 * space; so do labels, because control may come from elsewhere.
 */
#include "tcg/ir-int.h"
#include "tcg/tcg-int.h"

#define GROUP_SPAN 512
#define N_GROUPS 4           /* their temps compete for scratch registers: a page costs a load from the stack */
#define N_LOADS 4
#define N_SUMS 16
#define N_SITES 16
#define N_SMALL 8
#define LOOP_MAX_STEP 512    /* in a round: a page is looked up for some rounds at least */

struct sym {
    uint32_t id;
    int64_t off;
};

#define ID_PC UINT32_MAX     /* pcbase: the start of a page */

/* a + (b << sc) of two values */
struct sum {
    uint32_t a, b, id;
    uint8_t sc;
};

struct group {
    uint32_t id;             /* 0: none */
    struct ir_op *leader;
    int64_t at;              /* the leader's address: distance from the value */
    int64_t lo, hi;          /* span, likewise */
    unsigned align;          /* the leader's address is known to be a multiple */
    bool write;
    unsigned leaves;         /* of the block, before the leader */
    uint32_t used;
    ir_val own;              /* the leader's address */
    ir_val base;             /* a register that it could address from; IR_NONE */
    int64_t base_at;         /* what is in it: distance from the value */
    struct ir_op *load[N_LOADS]; /* of it, to other registers: the first */
    unsigned n_loads;
};

/* an access that is no follower */
struct site {
    struct ir_op *op;
    struct sym at;
    ir_val base;             /* a register that it could address from, with disp */
    int32_t disp;
    uint8_t bytes, align;
    bool write;
};

struct grouper {
    struct ir_block *b;
    struct sym sym[IR_ALL_VALS];
    struct group g[N_GROUPS];
    struct sum sum[N_SUMS];  /* the latest */
    unsigned n_sums, leaves, n_sites, n_small;
    struct site site[N_SITES];
    uint32_t small[N_SMALL]; /* identities of values below 256, the latest */
    uint32_t ids, clock;
    bool touched;            /* the instruction has had an access, or may have */
    bool loop;               /* the block may jump to its own start: sites and small values are wanted */
};

static bool is_global(const struct ir_block *b, ir_val v) { return v < b->target->n_globals; }

/* @v may be what is no value */
static void fresh(struct grouper *s, ir_val v) { s->sym[v] = (struct sym){ ++s->ids, 0 }; }

/* What every register has at the block's start: its number + 1, distance 0. */
#define ENTRY4(n) { (n) + 1, 0 }, { (n) + 2, 0 }, { (n) + 3, 0 }, { (n) + 4, 0 }
static const struct sym at_entry[IR_MAX_GLOBALS] = { ENTRY4(0), ENTRY4(4), ENTRY4(8), ENTRY4(12), ENTRY4(16), ENTRY4(20) };

static void all_fresh(struct grouper *s)
{
    for (unsigned v = 0; v < s->b->target->n_globals; v++)
        fresh(s, (ir_val)v);
}

static void end_groups(struct grouper *s)
{
    for (unsigned i = 0; i < N_GROUPS; i++)
        s->g[i].id = 0;
}

/** access_bytes() - size of @op's memory operand if it can be in a group, else 0 */
static unsigned access_bytes(const struct ir_block *b, const struct ir_op *op, bool *write, unsigned *align)
{
    const struct ir_vec *v;

    *align = 1;
    *write = op->opc == IR_ST || op->opc == IR_RMW || op->opc == IR_LDW;
    switch (op->opc) {
    case IR_LD: case IR_LDS: case IR_LDM: case IR_LDW: case IR_ST:
        return op->size;
    case IR_RMW:
        return op->lock || op->rmw >= IRM_BTS ? 0 : op->size;
    case IR_VEC:             /* not what needs more registers, nor elements of their own */
        v = &b->vec[op->imm];
        *write = v->mem_write;
        *align = MAX(v->mem_align, 1);
        if (v->is_mmx || v->gpr_in || v->gpr_out || v->mem_masked)
            return 0;
        return v->mem_bytes;
    default:
        return 0;
    }
}

/* a register that has the value with this identity, to address from; else IR_NONE */
static ir_val base_for(const struct grouper *s, uint32_t id, ir_val hint)
{
    const struct tcg_target *t = s->b->target;

    if (is_global(s->b, hint) && s->sym[hint].id == id && t->globals[hint].pin >= 0)
        return hint;
    for (unsigned v = 0; v < t->n_globals; v++)
        if (s->sym[v].id == id && t->globals[v].pin >= 0)
            return (ir_val)v;
    return IR_NONE;
}

/* Do these bytes, relative to the start of a page, lie in one? */
static bool one_page(int64_t lo, int64_t hi) { return !((lo ^ (hi - 1)) & ~(int64_t)PAGE_MASK); }

/* What the leader addresses from: a register, if its slow path can tell where the access itself is, else its own address. */
static void address_leader(struct group *g)
{
    struct ir_op *op = g->leader;
    int64_t disp = g->at - g->base_at, lo = g->lo - g->base_at;
    bool near = op->carry == CARRY_STACK ? lead_fits(disp) : lead_fits(g->at - g->lo);

    if (g->base == IR_NONE || g->align > 1 || !near || disp != (int32_t)disp || lo != (int16_t)lo) {
        op->a = g->own;
        disp = 0;
    } else {
        op->a = g->base;
    }
    op->disp = (int32_t)disp;
    op->span_lo = (int16_t)(g->lo - g->at + disp);
    op->span_hi = (int16_t)(g->hi - g->at + disp);
}

/*
 * @op is in the group. A load of the next pointer to where this one was (p = p->next) is what all that comes later waits for, and of two
 * loads that miss the same cache line in the same cycle one is delayed: the others then begin a cycle later.
 */
static void note_load(struct group *g, struct ir_op *op)
{
    if (op->opc != IR_LD)
        return;
    if (g->base == IR_NONE || op->d != g->base) {
        if (g->n_loads < N_LOADS)
            g->load[g->n_loads++] = op;
        return;
    }
    for (unsigned i = 0; i < g->n_loads; i++)
        g->load[i]->gives_way = true;
    g->n_loads = 0;
}

static bool join(struct grouper *s, struct group *g, struct ir_op *op, unsigned bytes, bool write, unsigned align)
{
    const struct sym *a = &s->sym[op->a];
    int64_t lo = MIN(g->lo, a->off), hi = MAX(g->hi, a->off + bytes), disp;
    ir_val base = base_for(s, g->id, op->a);

    if (hi - lo > GROUP_SPAN || align > g->align || ((a->off - g->at) & (align - 1))
        || (g->id == ID_PC && !one_page(lo, hi)))
        return false;
    if (base == IR_NONE)
        base = op->a;
    disp = a->off - s->sym[base].off;
    if (disp != (int32_t)disp)
        return false;
    if (g->leader->grp == GRP_NONE) {
        if (s->b->n_vals >= IR_MAX_VALS || s->b->n_exits >= TB_LINKS)
            return false;
        g->leader->grp = GRP_LEAD;
        g->leader->aux = (uint8_t)s->b->n_exits++;
        g->leader->e = ir_temp(s->b);
    }
    if (write && !g->write) {
        g->leader->grp = GRP_LEAD_W;
        g->write = true;
    }
    g->lo = lo;
    g->hi = hi;
    address_leader(g);
    op->grp = GRP_USE;
    op->c = g->leader->e;
    op->a = base;
    op->disp = (int32_t)disp;
    g->used = ++s->clock;
    note_load(g, op);
    return true;
}

static void lead(struct grouper *s, struct ir_op *op, unsigned bytes, bool write, unsigned align)
{
    const struct sym *a = &s->sym[op->a];
    struct group *g = &s->g[0];

    for (unsigned i = 0; i < N_GROUPS; i++) {
        if (s->g[i].id == a->id) {
            g = &s->g[i];
            break;
        }
        if (!s->g[i].id || (g->id && s->g[i].used < g->used))
            g = &s->g[i];
    }
    *g = (struct group){ a->id, op, a->off, a->off, a->off + bytes, align, write, s->leaves,
                         ++s->clock, op->a, base_for(s, a->id, op->a), 0, { NULL }, 0 };
    if (g->base != IR_NONE)
        g->base_at = s->sym[g->base].off;
    note_load(g, op);
}

/* May what @g's leader finds serve the access? */
static bool serves(const struct grouper *s, const struct group *g, const struct ir_op *op, bool write)
{
    if (g->id != s->sym[op->a].id)
        return false;
    return !write || g->write
           || (g->leader->opc == IR_LD && (g->leaves == s->leaves || g->leader->carry == CARRY_STACK));
}

/* Is the address with this identity relative to what the stack pointer is, or was at the start? */
static bool is_stack(const struct grouper *s, uint32_t id)
{
    unsigned stack = s->b->target->stack;

    return stack && (id == stack || id == s->sym[stack - 1].id);
}

static void note_site(struct grouper *s, struct ir_op *op, unsigned bytes, bool write, unsigned align)
{
    const struct sym *a = &s->sym[op->a];
    ir_val base = base_for(s, a->id, op->a);
    int64_t disp = base == IR_NONE ? 0 : a->off - s->sym[base].off;

    if (base == IR_NONE || disp != (int32_t)disp)
        base = op->a, disp = 0;
    s->site[s->n_sites++] = (struct site){ op, *a, base, (int32_t)disp, (uint8_t)bytes, (uint8_t)align, write };
}

/* A push's address is not computed. */
static void address_push(struct grouper *s, struct ir_op *op)
{
    ir_val sp = (ir_val)(s->b->target->stack - 1);
    const struct sym *a = &s->sym[op->a], *at = &s->sym[sp];

    if (op->opc == IR_ST && op->size == PUSH_BYTES && at->id == a->id && a->off == at->off - PUSH_BYTES
        && s->b->target->globals[sp].pin >= 0) {
        op->a = sp;
        op->disp = -PUSH_BYTES;
    }
}

static void place(struct grouper *s, struct ir_op *op)
{
    bool write;
    unsigned align, bytes = access_bytes(s->b, op, &write, &align);

    if (!bytes || op->a >= IR_IMM2)
        return;
    for (unsigned i = 0; i < N_GROUPS; i++) {
        struct group *g = &s->g[i];
        if (serves(s, g, op, write) && join(s, g, op, bytes, write, align))
            return;
    }
    if (is_stack(s, s->sym[op->a].id))
        op->carry = CARRY_STACK;
    else if (s->sym[op->a].id == ID_PC && one_page(s->sym[op->a].off, s->sym[op->a].off + bytes))
        op->carry = CARRY_INSIDE;
    if (!s->touched)
        lead(s, op, bytes, write, align);
    if (s->loop && s->n_sites < N_SITES)
        note_site(s, op, bytes, write, align);
    if (op->carry == CARRY_STACK)
        address_push(s, op);
}

/* d = a + (b << sc) + imm */
static void learn_sum(struct grouper *s, const struct ir_op *op)
{
    const struct sym *a = &s->sym[op->a], *b = &s->sym[op->b];
    int64_t off = a->off + b->off * (1 << op->sc) + op->imm;
    struct sum *m = NULL;

    for (unsigned i = 0; i < MIN(s->n_sums, N_SUMS) && !m; i++)
        if (s->sum[i].a == a->id && s->sum[i].b == b->id && s->sum[i].sc == op->sc)
            m = &s->sum[i];
    if (!m) {
        m = &s->sum[s->n_sums++ % N_SUMS];
        *m = (struct sum){ a->id, b->id, ++s->ids, op->sc };
    }
    if (off == (int32_t)off)
        s->sym[op->d] = (struct sym){ m->id, off };
    else
        fresh(s, op->d);
}

/* Does @op give a value below 256? */
static bool gives_small(const struct ir_op *op)
{
    if (op->opc == IR_ZEXT || op->opc == IR_LD)
        return op->size == 1;
    return op->opc == IR_AND && op->size >= 4 && op->b == IR_IMM && op->imm >= 0 && op->imm < 256;
}

/* @op has made @from + @add of it. */
static void learn_step(struct grouper *s, const struct ir_op *op, ir_val from, int64_t add)
{
    struct sym to = { s->sym[from].id, s->sym[from].off + add };

    if (add != (int32_t)add || to.off != (int32_t)to.off) {
        fresh(s, op->d);
        return;
    }
    s->b->steps |= !op->wf && is_global(s->b, op->d) && s->sym[op->d].id == to.id;
    s->sym[op->d] = to;
}

static void learn(struct grouper *s, const struct ir_op *op)
{
    if (op->size == 8)
        switch (op->opc) {
        case IR_LEA:
            if (op->a >= IR_IMM2)
                break;
            if (op->b < IR_IMM2)
                return learn_sum(s, op);
            return learn_step(s, op, op->a, op->imm);
        case IR_LDE:
            if (op->imm != offsetof(struct tcg_cpu, pcbase))
                break;
            s->sym[op->d] = (struct sym){ ID_PC, 0 };
            return;
        case IR_MOV:
            if (op->b >= IR_IMM2)
                break;
            return learn_step(s, op, op->b, 0);
        case IR_ADD: case IR_SUB:
            if (op->a >= IR_IMM2 || op->b != IR_IMM)
                break;
            return learn_step(s, op, op->a, op->opc == IR_ADD ? op->imm : (int64_t)-(uint64_t)op->imm);
        case IR_INC: case IR_DEC:
            if (op->a >= IR_IMM2)
                break;
            return learn_step(s, op, op->a, op->opc == IR_INC ? 1 : -1);
        default:
            break;
        }
    fresh(s, op->d);
    if (s->loop && op->d < IR_IMM2 && gives_small(op))
        s->small[s->n_small++ % N_SMALL] = s->sym[op->d].id;
    fresh(s, op->e);
}

/* ---- loops ----------------------------------------------------------------------- */

static bool is_entry(const struct grouper *s, uint32_t id) { return id - 1 < s->b->target->n_globals; }

/* How much more the register whose value at the start is @id has at the end; false: who knows */
static bool step_of(const struct grouper *s, uint32_t id, int64_t *step)
{
    if (!is_entry(s, id) || s->sym[id - 1].id != id)
        return false;
    *step = s->sym[id - 1].off;
    return true;
}

/* How much higher is the address in the next round? */
static bool address_step(const struct grouper *s, uint32_t id, int64_t *step)
{
    int64_t a, b;

    if (id == ID_PC) {
        *step = 0;
        return true;
    }
    if (step_of(s, id, step))
        return true;
    for (unsigned i = 0; i < MIN(s->n_sums, N_SUMS); i++) {
        const struct sum *m = &s->sum[i];
        if (m->id == id && step_of(s, m->a, &a) && step_of(s, m->b, &b)) {
            *step = a + b * (1 << m->sc);
            return true;
        }
    }
    return false;
}

static bool is_small(const struct grouper *s, uint32_t id)
{
    for (unsigned i = 0; i < MIN(s->n_small, N_SMALL); i++)
        if (s->small[i] == id)
            return true;
    return false;
}

/* Is the address that of a table, which stays, and a byte's multiple? */
static bool in_table(const struct grouper *s, uint32_t id)
{
    int64_t step;

    for (unsigned i = 0; i < MIN(s->n_sums, N_SUMS); i++) {
        const struct sum *m = &s->sum[i];
        if (m->id == id)
            return (is_small(s, m->b) && step_of(s, m->a, &step) && !step)
                   || (!m->sc && is_small(s, m->a) && step_of(s, m->b, &step) && !step);
    }
    return false;
}

static bool is_load(const struct ir_op *op)
{
    return op->opc == IR_LD || op->opc == IR_LDS || op->opc == IR_LDM;
}

static const struct ir_op *first_insn(const struct ir_block *b)
{
    const struct ir_op *first = b->ops;

    while (first < &b->ops[b->n_ops - 1] && first->opc != IR_INSN)
        first++;
    return first;
}

/* Where the block's end begins if that may jump to its start; else n_ops */
static unsigned loop_end(const struct ir_block *b)
{
    const struct ir_op *e = &b->ops[b->n_ops - 1], *first = first_insn(b);

    if (b->n_ops > 4 && e->opc == IR_GOTO_TB && e[-1].opc == IR_LABEL && e[-2].opc == IR_GOTO_TB
        && (e[-3].opc == IR_BRCC || e[-3].opc == IR_BRCMP))
        return e->imm == first->imm || e[-2].imm == first->imm ? b->n_ops - 4 : b->n_ops;
    return e->opc == IR_GOTO_TB && e->imm == first->imm ? b->n_ops - 1 : b->n_ops;
}

/* Nothing in a carrying block changes maps but slow paths, and every round does all of it. */
static bool may_carry(const struct ir_block *b, unsigned end)
{
    for (unsigned i = 0; i < end; i++)
        switch (b->ops[i].opc) {
        case IR_CALL: case IR_FENCE: case IR_NOTE: case IR_LABEL: case IR_BR: case IR_BRCC: case IR_BRCMP:
            return false;
        default:
            break;
        }
    return true;
}

/* The address of @t in terms of what globals are when a round begins; false: it has none. */
static bool address_at_start(const struct grouper *s, const struct site *t, struct ir_page *p)
{
    const struct sum *m = NULL;

    *p = (struct ir_page){ .b = IR_NONE, .disp = (int32_t)t->at.off };
    if (t->at.off != (int32_t)t->at.off)
        return false;
    if (t->at.id == ID_PC || is_entry(s, t->at.id)) {
        p->a = t->at.id == ID_PC ? IR_PAGE_PC : (ir_val)(t->at.id - 1);
        return true;
    }
    for (unsigned i = 0; i < MIN(s->n_sums, N_SUMS) && !m; i++)
        if (s->sum[i].id == t->at.id)
            m = &s->sum[i];
    if (!m || !is_entry(s, m->a) || !is_entry(s, m->b))
        return false;
    p->a = (ir_val)(m->a - 1);
    p->b = (ir_val)(m->b - 1);
    p->sc = m->sc;
    return true;
}

/* A global that moves on by a constant, by which the rounds until @p leaves its page can be counted */
static bool find_counter(struct grouper *s, const struct ir_page *p)
{
    const ir_val from[2] = { p->a, p->b };
    int64_t step;

    for (unsigned i = 0; i < 2; i++)
        if (is_global(s->b, from[i]) && s->b->target->globals[from[i]].pin >= 0 && step_of(s, from[i] + 1u, &step)
            && step > 0 && step <= LOOP_MAX_STEP) {
            s->b->loop.counter = from[i];
            s->b->loop.step = (int32_t)step;
            return true;
        }
    return false;
}

/* log2 of @step / that of the counter */
static bool ratio_of(int64_t step, int64_t counter, int8_t *ratio)
{
    int n = __builtin_ctzll((unsigned long long)step) - __builtin_ctzll((unsigned long long)counter);

    *ratio = (int8_t)n;
    return (n >= 0 ? counter << n == step : step << -n == counter);
}

/* Can @t be checked, for a whole round, before that begins? Then @p says how. */
static bool checked_early(struct grouper *s, const struct site *t, struct ir_page *p)
{
    int64_t step;

    if (!address_step(s, t->at.id, &step) || step < 0 || step > LOOP_MAX_STEP || step & (t->align - 1)
        || !address_at_start(s, t, p))
        return false;
    p->align = t->align;
    p->write = t->write || t->op->grp == GRP_LEAD_W;
    p->lo = t->op->grp >= GRP_LEAD ? (int16_t)(t->op->span_lo - t->op->disp) : 0;
    p->bytes = (uint16_t)(t->op->grp >= GRP_LEAD ? t->op->span_hi - t->op->span_lo : t->bytes);
    p->ratio = IR_PAGE_STAYS;
    if (!step)
        return true;
    if (!s->b->loop.step && !find_counter(s, p))
        return false;
    return ratio_of(step, s->b->loop.step, &p->ratio);
}

/* From now on the access at @t is one that follows. */
static void follow_page(struct grouper *s, struct site *t, const struct ir_page *p)
{
    struct ir_page *to = &s->b->loop.page[s->b->loop.n++];
    struct ir_op *op = t->op;

    *to = *p;
    to->delta = op->grp >= GRP_LEAD ? op->e : ir_temp(s->b);
    op->e = IR_NONE;
    op->grp = GRP_USE;
    op->carry = 0;
    op->c = to->delta;
    op->a = t->base;
    op->disp = t->disp;
}

/*
 * What moves on in step with a counter, or stays, is looked at before a round begins, all at once. First a counter is looked
 * for: where everything stays there are no rounds to be counted.
 */
static void check_early(struct grouper *s, unsigned end)
{
    struct ir_block *b = s->b;
    struct ir_page p;

    b->loop.step = 0;
    if (b->n_exits >= TB_LINKS)
        return;
    for (unsigned i = 0; i < s->n_sites && !b->loop.step; i++)
        checked_early(s, &s->site[i], &p);
    if (!b->loop.step)
        return;
    for (unsigned i = 0; i < s->n_sites && b->loop.n < IR_N_PAGES && b->n_vals < IR_MAX_VALS; i++)
        if (checked_early(s, &s->site[i], &p))
            follow_page(s, &s->site[i], &p);
    if (!b->loop.n)
        return;
    b->loop.slot = b->n_exits++;
    for (unsigned i = end; i < b->n_ops; i++)    /* whoever looks for pages polls */
        if (b->ops[i].opc == IR_GOTO_TB && b->ops[i].imm == first_insn(b)->imm)
            b->ops[i].poll = false;
}

/* At the end of a block that jumps to its start: which accesses go on from where they were? */
static void carry(struct grouper *s, unsigned end)
{
    int64_t step;

    if (!may_carry(s->b, end))
        return;
    check_early(s, end);
    for (unsigned i = 0; i < s->n_sites && s->b->n_carry < TCG_N_CARRY; i++) {
        struct site *t = &s->site[i];
        if (t->op->grp != GRP_USE && address_step(s, t->at.id, &step) && step >= 0 && step <= CARRY_MAX_STEP)
            t->op->carry = (uint8_t)++s->b->n_carry;
    }
    for (unsigned i = 0; i < s->n_sites; i++) {
        struct site *t = &s->site[i];
        if (!t->op->carry && t->op->grp != GRP_USE && is_load(t->op) && in_table(s, t->at.id)) {
            t->op->carry = CARRY_TABLE;
            break;           /* another one would take it turn and turn about */
        }
    }
}

/* What else matters to groups: calls, labels, ways out */
static void passes_by(struct grouper *s, const struct ir_op *op)
{
    if (op->opc == IR_LABEL || op->opc == IR_CALL || op->opc == IR_FENCE)
        end_groups(s);
    if (op->opc == IR_LABEL || (op->opc == IR_CALL && (op->callf & IRCALL_SYNC)))
        all_fresh(s);
    s->leaves += op->opc == IR_LEAVECC;
    s->touched |= op->opc == IR_CALL;
}

/**
 * ir_group() - find groups of accesses
 *
 * Wants addresses folded (ir_fold()); leaves address sums without readers to ir_liveness().
 */
void ir_group(struct ir_block *b)
{
    struct grouper s;        /* not cleared: temps are written before they are read */
    unsigned end = loop_end(b);

    b->steps = true;
    if (b->pc32)
        return;              /* address sums may wrap at 4 GiB */
    b->steps = false;
    s.b = b;
    memcpy(s.sym, at_entry, sizeof(at_entry));
    s.ids = b->target->n_globals;
    s.clock = 0;
    s.n_sums = s.leaves = s.n_sites = s.n_small = 0;
    s.touched = false;
    s.loop = end < b->n_ops;
    end_groups(&s);
    for (struct ir_op *op = b->ops, *stop = op + b->n_ops, *last = op + end; op < stop; op++) {
        unsigned attr = ir_op_attr(op);

        if (op->opc == IR_INSN) {
            s.touched = false;
            continue;
        }
        if (op == last)
            carry(&s, end);
        if (attr & IRA_MEM) {
            place(&s, op);
            s.touched = true;
        } else if (attr & IRA_SIDE) {
            passes_by(&s, op);
        }
        if (op->d != IR_NONE || op->e != IR_NONE)
            learn(&s, op);
    }
}
