/*
 * rep.c - repeated string operations by the host's own, on memory that the page maps have
 *
 * Called like a thunk: the return address is below the vCPU struct. The host's instruction does what
 * the guest's does, overlapping operands included. Its accesses do not fault: the map's words are those of
 * plain memory, and addresses are looked at, for the map knows nothing of bits 63 to 48.
 *
 * Operands that lie in a page each are found at once. Others are done in runs: as far as the pages of both
 * follow each other in the host's memory, at most RUN_BYTES; between runs registers are as between
 * elements, so that an interrupt, or the helper where a page is missing, goes on from there.
 */
#define _GNU_SOURCE
#include "tcg/host-x86_64/gen-int.h"

#define SLOW_JUMPS 10
#define RUN_BYTES 0x10000
#define AH_Z 0x40            /* ZF, in what LAHF gives */

struct rep {
    struct code *c;
    unsigned op, lg, width;  /* REP_*; log2 of an element's bytes; bytes of an address */
    int count, from, to, value;      /* pinned */
    uint8_t *slow[SLOW_JUMPS];
    unsigned n_slow;
};

static int pinned(const struct tcg *t, ir_val global) { return pin_reg[t->target->globals[global].pin]; }
static struct opn env(size_t off) { return o_env(8 + off); }

/* where a run keeps the source's host address, and its bytes */
#define HOST_FROM env(SLOW_OFF(arg))
#define RUN env(SLOW_OFF(arg) + 8)

static bool scans(const struct rep *r) { return r->op >= REP_SCAS_E; }
static bool has_from(const struct rep *r) { return r->op != REP_STOS && r->op != REP_SCAS_E && r->op != REP_SCAS_NE; }
static bool until_equal(const struct rep *r) { return r->op == REP_SCAS_NE || r->op == REP_CMPS_NE; }
static enum tcg_access to_access(const struct rep *r) { return scans(r) ? ACC_READ : ACC_WRITE; }

static void slow_if(struct rep *r, unsigned cc)
{
    assert(r->n_slow < SLOW_JUMPS);
    r->slow[r->n_slow++] = jcc32(r->c, cc);
}

static void shift(struct code *c, unsigned n, int reg, unsigned by)
{
    if (by) {
        ins(c, 8, 0xc1, (int)n, o_reg(reg));
        e8(c, by);
    }
}

static void shl(struct code *c, int reg, unsigned by) { shift(c, 4, reg, by); }
static void shr(struct code *c, int reg, unsigned by) { shift(c, 5, reg, by); }

static void lea_scaled(struct rep *r, unsigned size, int d, int base, int index, unsigned lg, int disp)
{
    ins(r->c, size, 0x8d, d, (struct opn){ .kind = ON_MEM, .base = (int8_t)base, .index = (int8_t)index,
                                           .scale = (uint8_t)lg, .disp = disp });
}

static struct opn map_word(int at, enum tcg_access acc)
{
    return (struct opn){ .kind = ON_MEM, .base = (int8_t)at, .index = NOREG, .disp = acc * 8 };
}

static void map_index(struct rep *r, int d, int at)
{
    rorx(r->c, 8, d, o_reg(at), MAP_SHIFT);
    ins(r->c, 8, 0x23, d, env(offsetof(struct tcg_cpu, map_mask)));
}

/* @d = host - guest of the page that @at is in; RDX is lost */
static void delta_of(struct rep *r, int d, int at, enum tcg_access acc)
{
    struct code *c = r->c;

    if (r->width == 8) {
        mov_rr(c, 8, RDX, at);
        shift(c, 7, RDX, 47);                        /* sar: 0 or -1 */
        alu_imm(c, 8, ALU_ADD, o_reg(RDX), 1);
        alu_imm(c, 8, ALU_CMP, o_reg(RDX), 1);
        slow_if(r, 7);
    }
    map_index(r, d, at);
    ins(c, 8, XGS | 0x8b, d, map_word(d, acc));
    ins(c, 8, 0x85, d, o_reg(d));
    slow_if(r, 4);
}

/* Jump when not all elements of the operand at @at lie in its page. RDX is lost. */
static uint8_t *unless_in_page(struct rep *r, int at)
{
    struct code *c = r->c;

    lea_scaled(r, 4, RDX, at, r->count, r->lg, -1);
    ins(c, 4, 0x33, RDX, o_reg(at));
    ins(c, 1, 0xf6, 0, o_reg(RDX + 4));              /* test dh */
    e8(c, PAGE_SIZE >> 8);
    return jcc32(c, 5);
}

/* RAX = host address of the operand at @at; RUN becomes less when pages from there on are elsewhere in
 * the host's memory. RCX, RDX are lost. */
static void find_run(struct rep *r, int at, enum tcg_access acc)
{
    struct code *c = r->c;
    uint8_t *next, *enough, *wraps = NULL, *other;

    delta_of(r, RAX, at, acc);
    mov_rr(c, 4, RDX, at);
    alu_imm(c, 4, ALU_OR, o_reg(RDX), -(int64_t)PAGE_SIZE);
    ins(c, 4, 0xf7, 3, o_reg(RDX));                  /* neg: bytes up to the page's end */
    next = c->p;
    alu_rm(c, 8, ALU_CMP, RDX, RUN);
    enough = jcc32(c, 3);
    lea_scaled(r, r->width, RCX, at, RDX, 0, 0);
    if (r->width == 4) {
        ins(c, 4, 0x85, RCX, o_reg(RCX));
        wraps = jcc32(c, 4);
    }
    map_index(r, RCX, RCX);
    ins(c, 8, XGS | 0x3b, RAX, map_word(RCX, acc));
    other = jcc32(c, 5);
    alu_imm(c, 8, ALU_ADD, o_reg(RDX), PAGE_SIZE);
    jmp_to(c, next);
    patch32(other, c->p);
    if (wraps)
        patch32(wraps, c->p);
    mov_store(c, RUN, RDX);
    patch32(enough, c->p);
    alu_rm(c, 8, ALU_ADD, RAX, o_reg(at));
}

/* REP, or REPNE, before what RCX counts elements of */
static void host_op(struct rep *r, unsigned lg)
{
    static const uint8_t opcode[] = { 0xa4, 0xaa, 0xae, 0xae, 0xa6, 0xa6 };
    struct code *c = r->c;

    if (lg == 1)
        e8(c, 0x66);
    e8(c, until_equal(r) ? 0xf2 : 0xf3);
    if (lg == 3)
        e8(c, 0x48);
    e8(c, opcode[r->op] | (lg > 0));
}

/* Jump when bytes may not be moved, or stored, in place of elements. RAX may be lost by MOVS. */
static uint8_t *unless_bytes(struct rep *r)
{
    struct code *c = r->c;

    if (r->op == REP_MOVS) {                         /* the destination begins within the first element */
        alu_rm(c, 8, ALU_SUB, RAX, o_reg(RSI));
        alu_imm(c, 8, ALU_SUB, o_reg(RAX), 1);
        alu_imm(c, 8, ALU_CMP, o_reg(RAX), (1 << r->lg) - 2);
        return jcc32(c, 6);
    }
    if (r->lg == 1) {                                /* cmp al, ah */
        ins(c, 1, 0x3a, RAX, o_reg(RAX + 4));
    } else {
        rorx(c, 1u << r->lg, RDX, o_reg(RAX), 8);
        ins(c, 1u << r->lg, 0x3b, RDX, o_reg(RAX));
    }
    return jcc32(c, 5);
}

/* RAX, RDX, RCX: host addresses of destination and source, bytes. RDX = bytes done.
 * The host moves bytes at the speed of its caches whatever their alignment, wider elements only when aligned. */
static void run(struct rep *r)
{
    struct code *c = r->c;
    uint8_t *wide = NULL;

    e8(c, 0x56);                                     /* push rsi; push rdi */
    e8(c, 0x57);
    mov_rr(c, 8, RDI, RAX);
    mov_rr(c, 8, r->op == REP_MOVS ? RSI : RAX, r->op == REP_MOVS ? RDX : r->value);
    if (r->lg)
        wide = unless_bytes(r);
    mov_rr(c, 8, RDX, RCX);
    host_op(r, 0);
    if (wide) {
        uint8_t *done = jmp32(c);

        patch32(wide, c->p);
        mov_rr(c, 8, RDX, RCX);
        shr(c, RCX, r->lg);
        host_op(r, r->lg);
        patch32(done, c->p);
    }
    e8(c, 0x5f);
    e8(c, 0x5e);
}

/* Can whole vectors tell that the scan goes on? */
static bool scans_vectors(const struct rep *r) { return r->op == REP_CMPS_E || (r->lg == 0 && r->op != REP_CMPS_NE); }

static void sse(struct rep *r, uint32_t op, int reg, struct opn m) { ins(r->c, 4, X0F | X66 | op, reg, m); }
static struct opn at(int base, int disp) { return (struct opn){ .kind = ON_MEM, .base = (int8_t)base, .index = NOREG, .disp = disp }; }

/* XMM0 and XMM1 may be the guest's. */
static void borrow(struct rep *r, bool back)
{
    for (int i = 0; i < 2; i++)
        ins(r->c, 4, X0F | (back ? 0x10 : 0x11), i, at(RSP, 16 * i));            /* movups */
}

/* Skip vectors in which the scan does not stop, while more than one is left: RCX bytes from RDI, and from RSI or with AL.
 * The host's own takes 7 ns to begin and does some 6 bytes a nanosecond. */
static void skip_vectors(struct rep *r)
{
    struct code *c = r->c;
    uint8_t *few, *loop, *stop;

    alu_imm(c, 8, ALU_CMP, o_reg(RCX), 16);
    few = jcc32(c, 6);
    ins(c, 8, 0x8d, RSP, at(RSP, -32));
    borrow(r, false);
    if (!has_from(r)) {                              /* XMM1: AL, 16 times */
        sse(r, 0x6e, 1, o_reg(RAX));
        sse(r, 0x60, 1, o_reg(1));                   /* punpcklbw, pshuflw, punpcklqdq */
        ins(c, 4, X0F | XF2 | 0x70, 1, o_reg(1));
        e8(c, 0);
        sse(r, 0x6c, 1, o_reg(1));
    }
    loop = c->p;
    ins(c, 4, X0F | XF3 | 0x6f, 0, at(RDI, 0));      /* movdqu */
    if (has_from(r))
        ins(c, 4, X0F | XF3 | 0x6f, 1, at(RSI, 0));
    sse(r, 0x74, 0, o_reg(1));                       /* pcmpeqb */
    sse(r, 0xd7, RDX, o_reg(0));                     /* pmovmskb */
    alu_imm(c, 4, ALU_CMP, o_reg(RDX), until_equal(r) ? 0 : 0xffff);
    stop = jcc32(c, 5);
    alu_imm(c, 8, ALU_ADD, o_reg(RDI), 16);
    if (has_from(r))
        alu_imm(c, 8, ALU_ADD, o_reg(RSI), 16);
    alu_imm(c, 8, ALU_SUB, o_reg(RCX), 16);
    alu_imm(c, 8, ALU_CMP, o_reg(RCX), 16);
    patch32(jcc32(c, 7), loop);
    patch32(stop, c->p);
    borrow(r, true);
    ins(c, 8, 0x8d, RSP, at(RSP, 32));
    patch32(few, c->p);
}

/* Likewise for SCAS and CMPS; F is in RAX. */
static void run_scan(struct rep *r)
{
    struct code *c = r->c;

    mov_store(c, RUN, RAX);
    e8(c, 0x56);                                     /* push rsi; push rdi */
    e8(c, 0x57);
    mov_rr(c, 8, RDI, RAX);
    mov_rr(c, 8, has_from(r) ? RSI : RAX, has_from(r) ? RDX : r->value);
    if (scans_vectors(r))
        skip_vectors(r);
    shr(c, RCX, r->lg);
    host_op(r, r->lg);
    mov_rr(c, 8, RDX, RDI);
    e8(c, 0x9f);                                     /* lahf; seto al */
    ins(c, 1, X0F | 0x90, 0, o_reg(RAX));
    e8(c, 0x5f);
    e8(c, 0x5e);
    alu_rm(c, 8, ALU_SUB, RDX, RUN);
}

/* The registers of what is done: RDX bytes. Jumps when that is all, to done[]. */
static void advance(struct rep *r, uint8_t *done[2])
{
    struct code *c = r->c;

    lea_scaled(r, r->width, r->to, r->to, RDX, 0, 0);
    if (has_from(r))
        lea_scaled(r, r->width, r->from, r->from, RDX, 0, 0);
    shr(c, RDX, r->lg);
    alu_rm(c, r->width, ALU_SUB, r->count, o_reg(RDX));
    done[0] = jcc32(c, 4);
    done[1] = NULL;
    if (scans(r)) {
        ins(c, 1, 0xf6, 0, o_reg(RAX + 4));          /* test ah */
        e8(c, AH_Z);
        done[1] = jcc32(c, until_equal(r) ? 5 : 4);
    }
}

/* Operands that lie in a page each: jumps to @others when they do not. */
static void find_in_pages(struct rep *r, uint8_t *others[3])
{
    struct code *c = r->c;

    alu_imm(c, r->width, ALU_CMP, o_reg(r->count), PAGE_SIZE >> r->lg);
    others[0] = jcc32(c, 7);
    others[1] = has_from(r) ? unless_in_page(r, r->from) : NULL;
    others[2] = unless_in_page(r, r->to);
    if (has_from(r)) {
        delta_of(r, RCX, r->from, ACC_READ);
        alu_rm(c, 8, ALU_ADD, RCX, o_reg(r->from));
    }
    delta_of(r, RAX, r->to, to_access(r));
    alu_rm(c, 8, ALU_ADD, RAX, o_reg(r->to));
    if (has_from(r))
        mov_rr(c, 8, RDX, RCX);
    mov_rr(c, 8, RCX, r->count);
    shl(c, RCX, r->lg);
}

/* As far as pages follow each other. */
static void find_runs(struct rep *r)
{
    struct code *c = r->c;
    uint8_t *fits;

    mov_rr(c, r->width, RAX, r->count);
    alu_imm(c, 8, ALU_CMP, o_reg(RAX), RUN_BYTES >> r->lg);
    fits = jcc32(c, 6);
    mov_imm(c, RAX, RUN_BYTES >> r->lg);
    patch32(fits, c->p);
    shl(c, RAX, r->lg);
    mov_store(c, RUN, RAX);
    if (has_from(r)) {
        find_run(r, r->from, ACC_READ);
        mov_store(c, HOST_FROM, RAX);
    }
    find_run(r, r->to, to_access(r));
    mov_load(c, RCX, RUN);
    if (r->lg) {
        alu_imm(c, 8, ALU_AND, o_reg(RCX), -(1 << r->lg));
        slow_if(r, 4);                               /* half an element in either page */
    }
    if (has_from(r))
        mov_load(c, RDX, HOST_FROM);
}

/* Comes back with @result. F is that of the last pair only now: when a fault ends the instruction, silicon shows F
 * as it was before. */
static void come_back(struct rep *r, unsigned result)
{
    if (scans(r))
        ins(r->c, 4, 0x89, RAX, env(offsetof(struct tcg_cpu, fl)));
    mov_imm(r->c, RAX, result);
    e8(r->c, 0xf8);                                  /* clc */
    e8(r->c, 0xc3);
}

void rep_emit(struct code *c, const struct tcg *t, unsigned n)
{
    struct rep r = { .c = c, .op = (n - 1) % REP_OPS, .lg = (n - 1) / REP_OPS & 3,
                     .width = (n - 1) / (REP_OPS * 4) ? 8 : 4, .count = pinned(t, t->target->string.count),
                     .from = pinned(t, t->target->string.from), .to = pinned(t, t->target->string.to),
                     .value = pinned(t, t->target->string.value) };
    uint8_t *none, *others[3], *found, *again, *done[2];

    assert(r.value != RSI && r.value != RDI);
    ins(c, 8, 0x83, 7, env(t->target->string.off_step));            /* cmp [step], 1 */
    e8(c, 1);
    slow_if(&r, 5);
    ins(c, r.width, 0x85, r.count, o_reg(r.count));
    none = jcc32(c, 4);
    find_in_pages(&r, others);
    found = jmp32(c);
    for (unsigned i = 0; i < 3; i++)
        if (others[i])
            patch32(others[i], c->p);
    again = c->p;
    find_runs(&r);
    patch32(found, c->p);
    scans(&r) ? run_scan(&r) : run(&r);
    advance(&r, done);
    alu_imm(c, 4, ALU_CMP, env(offsetof(struct tcg_cpu, run)), 0);
    patch32(jcc32(c, 5), again);
    come_back(&r, 1);
    patch32(done[0], c->p);
    if (done[1])
        patch32(done[1], c->p);
    come_back(&r, 0);
    patch32(none, c->p);
    ins(c, 4, 0x33, RAX, o_reg(RAX));                /* CF = 0 */
    e8(c, 0xc3);
    for (unsigned i = 0; i < r.n_slow; i++)
        patch32(r.slow[i], c->p);
    e8(c, 0xf9);                                     /* stc */
    e8(c, 0xc3);
}
