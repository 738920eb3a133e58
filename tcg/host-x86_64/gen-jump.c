/*
 * gen-jump.c - jumps to addresses that a register or memory has
 *
 * The jump cache knows blocks by linear address; what it finds is compared with the page that is mapped
 * there and with the mode. Returns of flat code mostly need not ask it: a call has left its return address
 * and a piece of its own block in the table of return addresses (returns.c), in the slot of its place on
 * the stack. That piece, the landing, is an exit of the block like others, chained to what follows the call.
 */
#include "tcg/host-x86_64/gen-int.h"

#define JC_ENTRY_LOG2 5
_Static_assert(sizeof(struct jump_cache_entry) == 1 << JC_ENTRY_LOG2, "entries are indexed by shifts");

/* A field of the jump cache's entry at offset RCX. RSP is the vCPU struct. */
static struct opn jc_entry(const struct tcg *t, size_t field)
{
    return (struct opn){ .kind = ON_MEM, .base = RSP, .index = RCX, .disp = (int32_t)(jc_offset(t) + field) };
}

/*
 * Goes on with RCX the offset of the jump cache's entry when that is for linear RAX, else by @miss. The entry's
 * check has @mark, too. RDX is lost.
 */
static void jc_probe(struct code *c, const struct tcg *t, uint32_t mark, uint8_t *miss[2])
{
    ins(c, 4, 0x69, RCX, o_reg(RAX));            /* jc_index(), times the size of an entry */
    e32(c, JC_MULTIPLIER);
    ins(c, 4, 0xc1, 5, o_reg(RCX));
    e8(c, 32 - JC_BITS - JC_ENTRY_LOG2);
    alu_imm(c, 4, ALU_AND, o_reg(RCX), -(1 << JC_ENTRY_LOG2));
    ins(c, 8, 0x3b, RAX, jc_entry(t, offsetof(struct jump_cache_entry, lin)));
    miss[0] = jcc32(c, 5);
    map_entry(c, t, RAX, RDX, ACC_EXEC);
    if (mark)
        alu_imm(c, 4, ALU_OR, o_reg(RDX), (int32_t)mark);
    ins(c, 8, 0x0b, RDX, ENV(mode_salt));
    ins(c, 8, 0x3b, RDX, jc_entry(t, offsetof(struct jump_cache_entry, check)));
    miss[1] = jcc32(c, 5);
}

/* Flat code goes on where RAX says and RCX leads. */
static void jc_go_flat(struct code *c, const struct tcg *t)
{
    alu_imm(c, 8, ALU_AND, o_reg(RAX), -(int64_t)PAGE_SIZE);
    mov_store(c, ENV(pcbase), RAX);
    ins(c, 4, 0xff, 4, jc_entry(t, offsetof(struct jump_cache_entry, code)));
}

/* An entry that was found is of this block's code segment: RAX = pcbase there. */
static void segment_pcbase(struct gen *g, struct stub *s)
{
    struct code *c = &g->c;
    struct opn found = { .kind = ON_MEM, .base = RDX, .index = NOREG };

    mov_load(c, RDX, jc_entry(g->t, offsetof(struct jump_cache_entry, tb)));
    found.disp = offsetof(struct tb, cs_base);
    alu_imm(c, 4, ALU_CMP, found, (int32_t)g->tb->cs_base);
    s->from[3] = jcc32(c, 5);
    found.disp = offsetof(struct tb, cs_limit);
    alu_imm(c, 4, ALU_CMP, found, (int32_t)g->tb->cs_limit);
    s->from[4] = jcc32(c, 5);
    found.disp = offsetof(struct tb, pcbase);
    mov_load(c, RAX, found);
}

static bool goes_by_itself(const struct gen *g) { return !g->tb->once && !log_on(LOG_NOCHAIN); }

/*
 * RAX = pc: through the jump cache. Whatever does not match leaves to the run loop
 * with @thunk, which knows pc from memory; so does a poll that says so.
 * @near: in the block's code segment; else the target's must be flat.
 */
static void jump_cached(struct gen *g, enum thunk thunk, uint32_t branch, bool near)
{
    struct code *c = &g->c;
    bool segment = near && !g->tb->flat;
    struct stub *s;

    if (!goes_by_itself(g)) {
        mov_store(c, ENV(pc), RAX);
        if (branch)
            mov_env_imm32(c, offsetof(struct tcg_cpu, branch), branch);
        jmp_to(c, thunk_rw(g, thunk));
        return;
    }
    s = stub_new(g, STUB_JUMP);
    s->t = RAX;
    s->thunk = (uint8_t)thunk;
    s->branch = branch;
    s->linear = segment && g->tb->cs_base;
    if (s->linear)
        alu_imm(c, 4, ALU_ADD, o_reg(RAX), (int32_t)g->tb->cs_base);
    alu_imm(c, 4, ALU_CMP, ENV(run), 0);
    s->from[2] = jcc32(c, 4);
    jc_probe(c, g->t, segment ? JC_SEGMENT : 0, s->from);
    if (!segment) {
        jc_go_flat(c, g->t);
        return;
    }
    segment_pcbase(g, s);
    mov_store(c, ENV(pcbase), RAX);
    ins(c, 4, 0xff, 4, jc_entry(g->t, offsetof(struct jump_cache_entry, code)));
}

/* ---- returns ------------------------------------------------------------------------------------ */

/* @r = where the table has the slot of the place on the stack that is in @r; EFLAGS are lost. */
static void slot_of(struct code *c, int r)
{
    alu_imm(c, 4, ALU_AND, o_reg(r), (RETURN_SLOTS - 1) * 8);
    ins(c, 8, 0x03, r, ENV(returns));
}

static struct opn slot_pc(int r) { return (struct opn){ .kind = ON_MEM, .base = (int8_t)r, .index = NOREG }; }

static struct opn slot_code(int r)
{
    return (struct opn){ .kind = ON_MEM, .base = (int8_t)r, .index = NOREG,
                         .disp = offsetof(struct return_table, code) - offsetof(struct return_table, pc) };
}

/* A call leaves its return address and its landing. */
void gen_returns(struct gen *g, const struct ir_op *op)
{
    struct code *c = &g->c;
    struct stub *s;
    int pc, r, at;

    if (!goes_by_itself(g) || !g->tb->flat)
        return;
    flags_clobber(g, op->lf);
    pc = val_reg(g, op->a);
    r = scratch_get(g);
    ins(c, 4, 0x8b, r, val_rm(g, op->c));
    slot_of(c, r);
    mov_store(c, slot_pc(r), pc);
    at = dying_reg(g, op, op->a, 2);
    if (at < 0)
        at = scratch_get(g);
    s = stub_new(g, STUB_LANDING);
    s->slot = op->aux;
    s->pcoff = (int32_t)op->imm;
    s->from[0] = lea_rip(c, at);
    mov_store(c, slot_code(r), at);
}

/* A return has come to it with RAX = pc. */
void landing_emit(struct gen *g, struct stub *s)
{
    struct code *c = &g->c;

    patch32(s->from[0], c->p);
    alu_imm(c, 8, ALU_AND, o_reg(RAX), -(int64_t)PAGE_SIZE);
    mov_store(c, ENV(pcbase), RAX);
    align_link(c, 1);
    link_here(g, s->slot, s->pcoff, jmp32(c));
}

/* RAX = pc. Of no use is a slot of another call's: thunk RETURN asks the jump cache, and polls. */
static void gen_return(struct gen *g, const struct ir_op *op, uint32_t branch)
{
    struct code *c = &g->c;
    struct stub *s = stub_new(g, STUB_JUMP);
    int sp = pin_of(g, op->c);

    s->t = RAX;
    s->thunk = TH_RETURN;
    s->branch = branch;
    if (sp < 0)
        mov_load(c, sp = RCX, val_rm(g, op->c));
    lea(g, 4, RCX, sp, NOREG, 0, -(int32_t)op->imm);
    slot_of(c, RCX);
    ins(c, 8, 0x3b, RAX, slot_pc(RCX));
    s->from[0] = jcc32(c, 5);
    alu_imm(c, 4, ALU_CMP, ENV(run), 0);
    s->from[1] = jcc32(c, 4);
    ins(c, 4, 0xff, 4, slot_code(RCX));
}

/* RAX = pc, of flat code; what an empty slot leads to. */
void return_emit(struct code *c, const struct tcg *t, const uint8_t *leave_lookup)
{
    uint8_t *miss[3];

    mov_store(c, ENV(pc), RAX);
    alu_imm(c, 4, ALU_CMP, ENV(run), 0);
    miss[2] = jcc32(c, 4);
    jc_probe(c, t, 0, miss);
    jc_go_flat(c, t);
    for (unsigned i = 0; i < ARRAY_SIZE(miss); i++)
        patch32(miss[i], leave_lookup);
}

void gen_goto_pc(struct gen *g, const struct ir_op *op)
{
    struct code *c = &g->c;
    uint32_t branch;

    flags_save(g);
    flags_lost(g);
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
    branch = op->imm2 ? (uint32_t)g->pcoff << 16 | (uint16_t)op->imm2 : 0;
    if (op->c != IR_NONE && g->tb->flat && goes_by_itself(g))
        gen_return(g, op, branch);
    else
        jump_cached(g, TH_LEAVE_LOOKUP, branch, true);
}

void gen_exit(struct gen *g, const struct ir_op *op)
{
    flags_save(g);
    flags_lost(g);
    if (op->opc == IR_EXIT) {
        mov_env_imm32(&g->c, offsetof(struct tcg_cpu, pcoff), (uint32_t)op->imm);
        jmp_to(&g->c, thunk_rw(g, TH_LEAVE_INTR));
    } else {                 /* the mode may be another: the cache's check includes it */
        mov_load(&g->c, RAX, ENV(pc));
        jump_cached(g, TH_LEAVE_PC, 0, false);
    }
}
