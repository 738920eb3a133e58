/*
 * loop.c - blocks that jump to their own start, whose accesses are checked all at once (struct ir_loop)
 *
 * refill:                          the block begins here
 *   poll
 *   for each page: where is it, how far is it to its end? host - guest of each goes to a spill slot.
 *   limit = counter + the least of the distances + 1
 *   host - guest of some to registers
 * round:                           where the jump at the end goes
 *   cmp counter, [limit] ; jge refill
 *   the block; what loses its register to something else is loaded from its slot
 *
 * The comparison is signed: an index that counts up to 0 may be the counter, and no pointer passes from the lower half of
 * the addresses to the upper. A limit is at most ROUNDS rounds away, since nobody polls until then. A round whose accesses
 * do not lie in a page each, or in none that the map has, is done by the block without groups.
 */
#define _GNU_SOURCE
#include "tcg/host-x86_64/gen-int.h"
#include <stdlib.h>

#define ROUNDS 256

static const int8_t kept_in[] = { RDX, RCX };    /* by the first pages; RAX is left to flags */
#define N_KEPT(g) MIN((g)->b->loop.n, ARRAY_SIZE(kept_in))

void loop_forget(struct code *c, unsigned adj)
{
    struct opn m = ENV(loop_limit);

    m.disp += (int32_t)adj;
    ins(c, 4, 0xc7, 0, m);
    e32(c, 0);
    m.disp += 4;
    ins(c, 4, 0xc7, 0, m);
    e32(c, 0x80000000);
}

/* @v in a register: its own, or @r */
static int in_reg(struct gen *g, ir_val v, int r)
{
    int p = v == IR_PAGE_PC ? -1 : pin_of(g, v);

    if (p >= 0)
        return p;
    mov_load(&g->c, r, v == IR_PAGE_PC ? ENV(pcbase) : o_env(g->b->target->globals[v].offset));
    return r;
}

static void alone_if(struct gen *g, unsigned cc) { g->alone[g->n_alone++] = jcc32(&g->c, cc); }

/* RCX = the page's first byte; checks alignment. RAX is lost. */
static void first_byte(struct gen *g, const struct ir_page *p)
{
    struct code *c = &g->c;
    int a = in_reg(g, p->a, RCX), b = p->b == IR_NONE ? NOREG : in_reg(g, p->b, RAX);

    lea(g, 8, RCX, a, b, p->sc, p->disp);
    if (p->align > 1) {
        ins(c, 1, 0xf6, 0, o_reg(RCX));              /* test cl */
        e8(c, p->align - 1u);
        alone_if(g, 5);
    }
    if (p->lo)
        lea(g, 8, RCX, RCX, NOREG, 0, p->lo);
}

/* EAX = by how much more the address in RCX may be and the bytes still lie in its page */
static void distance(struct gen *g, const struct ir_page *p)
{
    struct code *c = &g->c;

    mov_rr(c, 4, RAX, RCX);
    ins(c, 4, 0xf7, 2, o_reg(RAX));                  /* not */
    alu_imm(c, 4, ALU_AND, o_reg(RAX), PAGE_MASK);
    if (p->bytes > 1) {
        alu_imm(c, 4, ALU_SUB, o_reg(RAX), p->bytes - 1);
        alone_if(g, 2);
    }
}

/* EDX = the least of it and of what the counter may go up until then: EAX, which is lost */
static void least(struct gen *g, const struct ir_page *p)
{
    struct code *c = &g->c;

    if (p->ratio == IR_PAGE_STAYS)
        return;
    if (p->ratio) {
        ins(c, 4, 0xc1, p->ratio > 0 ? 5 : 4, o_reg(RAX));       /* shr, shl */
        e8(c, (unsigned)abs(p->ratio));
    }
    alu_rm(c, 4, ALU_CMP, RDX, o_reg(RAX));
    ins(c, 4, X0F | 0x47, RDX, o_reg(RAX));          /* cmova */
}

static void find(struct gen *g, const struct ir_page *p)
{
    struct tval *tv = &g->v[p->delta];

    tv->home = (int8_t)spill_slot(g);
    tv->in_mem = tv->defined = tv->stays = true;
    first_byte(g, p);
    distance(g, p);
    least(g, p);
    map_lookup(g, RCX, RAX, p->write ? ACC_WRITE : ACC_READ);
    ins(&g->c, 8, 0x85, RAX, o_reg(RAX));
    alone_if(g, 4);
    mov_store(&g->c, o_env(spill_off(tv->home)), RAX);
}

/* The first pages' values are in their registers. */
static void keep(struct gen *g)
{
    for (unsigned i = 0; i < N_KEPT(g); i++) {
        ir_val v = g->b->loop.page[i].delta;
        int r = kept_in[i];

        if (g->owner[r] == v)
            continue;
        mov_load(&g->c, r, o_env(spill_off(g->v[v].home)));
        if (g->owner[r] != IR_NONE)
            g->v[g->owner[r]].reg = -1;
        if (g->v[v].reg >= 0)
            g->owner[g->v[v].reg] = IR_NONE;
        g->owner[r] = v;
        g->v[v].reg = (int8_t)r;
    }
}

void loop_enter(struct gen *g)
{
    const struct ir_loop *l = &g->b->loop;
    struct stub *s = stub_new(g, STUB_FAULT);
    struct code *c = &g->c;

    g->refill = c->p;
    s->thunk = TH_LEAVE_INTR;
    s->pcoff = g->tb->off;
    alu_imm(c, 4, ALU_CMP, ENV(run), 0);
    s->from[0] = jcc32(c, 4);
    mov_imm(c, RDX, (uint32_t)(ROUNDS * l->step));
    for (unsigned i = 0; i < l->n; i++)
        find(g, &l->page[i]);
    lea(g, 8, RDX, pin_of(g, l->counter), RDX, 0, 1);
    mov_store(c, ENV(loop_limit), RDX);
    keep(g);
    g->tb->loop_off = (uint16_t)(c->p - g->start);
}

void loop_top(struct gen *g)
{
    ins(&g->c, 8, 0x3b, pin_of(g, g->b->loop.counter), ENV(loop_limit));
    patch32(jcc32(&g->c, 13), g->refill);            /* jge */
}

void loop_again(struct gen *g)
{
    if (!g->b->loop.n)
        return;
    g->locked = 0;
    keep(g);
}

void loop_alone(struct gen *g)
{
    for (unsigned i = 0; i < g->n_alone; i++)
        patch32(g->alone[i], g->c.p);
    call_to(&g->c, thunk_rw(g, TH_PAY));             /* F may be owed by the block before, or the round */
    align_link(&g->c, 1);
    link_here(g, g->b->loop.slot, g->tb->off, jmp32(&g->c));
    g->tb->link[g->b->loop.slot].alone = true;
}
