/*
 * rep.c - repeated string operations by the host's own, when operands lie in a page each
 *
 * Called like a thunk: the return address is below the vCPU struct. The host's instruction does what
 * the guest's does, overlapping operands included. Its accesses do not fault: the map's words are those of
 * plain memory, and addresses are looked at, for the map knows nothing of bits 63 to 48.
 */
#define _GNU_SOURCE
#include "tcg/host-x86_64/gen-int.h"

#define SLOW_JUMPS 9

struct rep {
    struct code *c;
    const struct tcg *t;
    unsigned lg, wide;       /* log2 of an element's bytes; 64-bit addresses */
    int count;               /* pinned */
    uint8_t *slow[SLOW_JUMPS];
    unsigned n_slow;
};

static int pinned(const struct tcg *t, ir_val global) { return pin_reg[t->target->globals[global].pin]; }

static void slow_if(struct rep *r, unsigned cc)
{
    assert(r->n_slow < SLOW_JUMPS);
    r->slow[r->n_slow++] = jcc32(r->c, cc);
}

static void lea_end(struct rep *r, unsigned size, int d, int from, int count, int disp)
{
    ins(r->c, size, 0x8d, d, (struct opn){ .kind = ON_MEM, .base = (int8_t)from, .index = (int8_t)count,
                                           .scale = (uint8_t)r->lg, .disp = disp });
}

/* @d = host address of the operand at guest address @at; RDX is lost */
static void find(struct rep *r, int d, int at, enum tcg_access acc)
{
    struct code *c = r->c;

    lea_end(r, 4, RDX, at, r->count, -1);
    ins(c, 4, 0x33, RDX, o_reg(at));
    ins(c, 1, 0xf6, 0, o_reg(RDX + 4));              /* test dh: the last byte's page is another */
    e8(c, PAGE_SIZE >> 8);
    slow_if(r, 5);
    if (r->wide) {
        mov_rr(c, 8, RDX, at);
        ins(c, 8, 0xc1, 7, o_reg(RDX));              /* sar rdx, 47: 0 or -1 */
        e8(c, 47);
        alu_imm(c, 8, ALU_ADD, o_reg(RDX), 1);
        alu_imm(c, 8, ALU_CMP, o_reg(RDX), 1);
        slow_if(r, 7);
    }
    rorx(c, 8, d, o_reg(at), MAP_SHIFT);
    ins(c, 8, 0x23, d, o_env(8 + offsetof(struct tcg_cpu, map_mask)));
    ins(c, 8, XGS | 0x8b, d, (struct opn){ .kind = ON_MEM, .base = (int8_t)d, .index = NOREG, .disp = acc * 8 });
    ins(c, 8, 0x85, d, o_reg(d));
    slow_if(r, 4);
    alu_rm(c, 8, ALU_ADD, d, o_reg(at));
}

/* RAX, RCX: host addresses of destination and source, or RCX the value to store. */
static void run(struct rep *r, bool movs)
{
    struct code *c = r->c;

    e8(c, 0x56);                                     /* push rsi; push rdi */
    e8(c, 0x57);
    mov_rr(c, 8, RDX, r->count);
    mov_rr(c, 8, RDI, RAX);
    mov_rr(c, 8, movs ? RSI : RAX, RCX);
    mov_rr(c, 8, RCX, RDX);
    if (r->lg == 1)
        e8(c, 0x66);
    e8(c, 0xf3);
    if (r->lg == 3)
        e8(c, 0x48);
    e8(c, (movs ? 0xa4u : 0xaau) | (r->lg > 0));
    e8(c, 0x5f);
    e8(c, 0x5e);
}

void rep_emit(struct code *c, const struct tcg *t, unsigned n)
{
    struct rep r = { .c = c, .t = t, .lg = (n - 1) / REP_OPS & 3, .wide = (n - 1) / (REP_OPS * 4),
                     .count = pinned(t, t->target->string.count) };
    bool movs = (n - 1) % REP_OPS == REP_MOVS;
    unsigned width = r.wide ? 8 : 4;
    int from = pinned(t, t->target->string.from), to = pinned(t, t->target->string.to);
    uint8_t *none;

    ins(c, 8, 0x83, 7, o_env(8 + t->target->string.off_step));      /* cmp [step], 1 */
    e8(c, 1);
    slow_if(&r, 5);
    alu_imm(c, width, ALU_CMP, o_reg(r.count), PAGE_SIZE >> r.lg);
    slow_if(&r, 7);
    ins(c, width, 0x85, r.count, o_reg(r.count));
    none = jcc32(c, 4);
    if (movs)
        find(&r, RCX, from, ACC_READ);
    find(&r, RAX, to, ACC_WRITE);
    if (!movs)
        mov_rr(c, 8, RCX, pinned(t, t->target->string.value));
    run(&r, movs);
    lea_end(&r, width, to, to, RDX, 0);
    if (movs)
        lea_end(&r, width, from, from, RDX, 0);
    ins(c, 4, 0x33, r.count, o_reg(r.count));
    patch32(none, c->p);
    ins(c, 4, 0x33, RAX, o_reg(RAX));                /* CF = 0 */
    e8(c, 0xc3);
    for (unsigned i = 0; i < r.n_slow; i++)
        patch32(r.slow[i], c->p);
    e8(c, 0xf9);                                     /* stc */
    e8(c, 0xc3);
}
