/*
 * item.c - what takes several instructions: branches through memory and registers,
 * calls, flags from the stack, loops
 *
 * All but the closing loop lead forward, so every sequence ends. A target is named by an
 * instruction's number, which may lie behind the last: then it is the end.
 */
#include "tests/fuzz/insn/seq-int.h"

struct ins *build_add(struct build *b, const uint8_t *bytes, unsigned n)
{
    struct seq *q = b->q;

    if (q->n >= MAX_SEQ + 2)
        return NULL;
    struct ins *i = &q->in[q->n];
    *i = (struct ins){ .n = (uint8_t)n, .target = -1 };
    memcpy(i->b, bytes, n);
    q->glue[q->n] = 0;
    q->taint[q->n] = b->tainted;
    q->n++;
    return i;
}

void build_settle(struct build *b, uint32_t read, uint32_t killed, uint32_t undef)
{
    unsigned n = b->q->n;

    b->read_early |= read;
    b->q->in[n - 1].undef = undef;
    b->tainted = (b->tainted & ~killed) | undef;
    b->tainted |= b->joins[MIN(n, MAX_INS)];
    b->q->taint[n] = b->tainted;
}

void build_glue(struct build *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        b->q->glue[b->q->n - n + i] = (uint8_t)((n - 1 - i) | (i ? GLUED : 0));
}

/* A branch from the last instruction to @target carries its undefined flags there. */
static void joins(struct build *b, unsigned target)
{
    b->joins[MIN(target, MAX_INS)] |= b->tainted;
}

static unsigned free_reg(const struct build *b)
{
    unsigned r;

    do
        r = below(8);
    while (r == R_SP || b->fixed >> r & 1);
    return r;
}

static unsigned ahead(const struct build *b) { return b->q->n + 1 + below(4); }

/*
 * Pairs that must stay together are one instruction to the rest: no branch comes
 * between them.
 */
static void add_pair(struct build *b, const uint8_t *bytes, unsigned n, const uint8_t *tail, unsigned tail_n,
                     unsigned target)
{
    unsigned imm = b->rg.bits == 16 ? 2 : 4;
    uint8_t buf[16] = { 0 };
    struct ins *i;

    memcpy(buf, bytes, n);
    memcpy(buf + n + imm, tail, tail_n);
    i = build_add(b, buf, n + imm + tail_n);
    i->target = (int8_t)MIN(target, (unsigned)MAX_INS);
    i->rel = (uint8_t)imm;
    i->abs = (uint8_t)n;
    joins(b, target);
    build_settle(b, 0, 0, 0);
}

/* PUSH imm; RET */
static void item_ret(struct build *b)
{
    add_pair(b, (uint8_t[]){ 0x68 }, 1, (uint8_t[]){ 0xc3 }, 1, ahead(b));
}

/* MOV reg, imm; JMP or CALL reg */
static void item_indirect(struct build *b)
{
    unsigned r = free_reg(b);

    b->written |= 1u << r;
    add_pair(b, (uint8_t[]){ (uint8_t)(0xb8 | r) }, 1,
             (uint8_t[]){ 0xff, (uint8_t)((one_in(2) ? 0xe0 : 0xd0) | r) }, 2, ahead(b));
}

/* 16-bit code: a jump to just before the segment's end */
static void item_limit(struct build *b)
{
    unsigned r = free_reg(b);

    build_add(b, (uint8_t[]){ (uint8_t)(0xb8 | r), (uint8_t)(0x100 - 1 - below(RING_TAIL)), 0xff, 0xff,
                              (uint8_t)(0xe0 | r) }, 5);
    b->written |= 1u << r;
    build_settle(b, 0, 0, 0);
}

/* CALL rel */
static void item_call(struct build *b)
{
    unsigned n = b->rg.bits == 16 ? 2 : 4, to = ahead(b);
    struct ins *i = build_add(b, (uint8_t[]){ 0xe8, 0, 0, 0, 0 }, 1 + n);

    i->rel = (uint8_t)n;
    i->target = (int8_t)MIN(to, (unsigned)MAX_INS);
    joins(b, to);
    build_settle(b, 0, 0, 0);
}

/* PUSH imm; POPF: any flags but TF */
static void item_popf(struct build *b)
{
    uint32_t fl = (uint32_t)rng() & (EF_ARITH | EF_DF);
    bool w = b->rg.bits == 16;

    if (b->string)
        fl &= ~(uint32_t)EF_DF;
    if (!w && one_in(8))
        fl |= (uint32_t)rng() & (EF_ID | EF_NT);
    /* one instruction, or a branch between them could bring TF */
    if (w)
        build_add(b, (uint8_t[]){ 0x68, (uint8_t)fl, (uint8_t)(fl >> 8 | 2), 0x9d }, 4);
    else
        build_add(b, (uint8_t[]){ 0x68, (uint8_t)fl, (uint8_t)(fl >> 8 | 2), (uint8_t)(fl >> 16), 0, 0x9d }, 6);
    build_settle(b, 0, EF_ARITH, 0);
}

/* ADD base, imm8; or by way of another register: MOV r, base; LEA base, [r + disp8] */
void build_move(struct build *b)
{
    unsigned base = b->rg.base[0], r = free_reg(b), wide = b->rg.bits == 64 ? 0x48 : 0;
    int by = (int)below(80) - 40;

    if (b->vec)
        by &= ~15;
    b->moved = true;
    if (b->rg.bits == 16 || one_in(2)) {
        uint8_t add[] = { (uint8_t)(wide | base >> 3), 0x83, (uint8_t)(0xc0 | (base & 7)), (uint8_t)by };
        build_add(b, add + !wide, 4 - !wide);
        build_settle(b, 0, EF_ARITH, 0);
        return;
    }
    uint8_t mov[] = { (uint8_t)(wide | base >> 3 << 2), 0x89, (uint8_t)(0xc0 | (base & 7) << 3 | r) };
    uint8_t lea[] = { (uint8_t)(wide | base >> 3 << 2), 0x8d, (uint8_t)(0x40 | (base & 7) << 3 | r), (uint8_t)by };
    b->written |= 1u << r;
    build_add(b, mov + !wide, 3 - !wide);
    build_settle(b, 0, 0, 0);
    build_add(b, lea + !wide, 4 - !wide);
    build_settle(b, 0, 0, 0);
    build_glue(b, 2);
}

void build_item(struct build *b)
{
    static void (*const items[])(struct build *) = { item_ret, item_indirect, item_call, item_popf };
    static void (*const vec_items[])(struct build *) = { build_gather, build_gather, build_fstp, build_image };

    if (b->rg.bits == 16 && one_in(16))
        item_limit(b);
    else if (build_room(b) < 2)
        return;
    else if (b->near && one_in(2))
        build_move(b);
    else if (b->vec && one_in(2))
        vec_items[below(ARRAY_SIZE(vec_items))](b);
    else
        items[below(ARRAY_SIZE(items))](b);
}

/* ---- the closing loop ----------------------------------------------------------- */

/* LEA counter, [counter - 1]: flags pass from one round into the next */
static void count_down(struct build *b, unsigned r)
{
    if (b->rg.bits == 64)
        build_add(b, (uint8_t[]){ (uint8_t)(0x48 | r >> 3 | (r >> 3) << 2), 0x8d,
                                  (uint8_t)(0x40 | (r & 7) << 3 | (r & 7)), 0xff }, 4);
    else if (b->rg.bits == 32)
        build_add(b, (uint8_t[]){ 0x8d, (uint8_t)(0x40 | r << 3 | r), 0xff }, 3);
    else
        build_add(b, (uint8_t[]){ 0x67, 0x8d, (uint8_t)(0x40 | r << 3 | r), 0xff }, 4);
    build_settle(b, 0, 0, 0);
}

static struct ins *jump_back(struct build *b, const uint8_t *op, unsigned op_n, unsigned rel)
{
    struct ins *i;
    uint8_t buf[8] = { 0 };

    memcpy(buf, op, op_n);
    i = build_add(b, buf, op_n + rel);
    i->rel = (uint8_t)rel;
    i->target = 0;
    build_settle(b, 0, 0, 0);
    return i;
}

void build_loop(struct build *b)
{
    unsigned far_n = b->rg.bits == 16 ? 2 : 4, r = (unsigned)b->counter, bytes = 0, last = b->q->n;

    if (b->tainted & b->read_early)
        return;                   /* the next round would read what is undefined */
    for (unsigned i = 0; i < b->q->n; i++)
        bytes += b->q->in[i].n;
    for (unsigned i = 0; i < b->q->n; i++)    /* no way around the counter */
        if (b->q->in[i].target > (int)last)
            b->q->in[i].target = (int8_t)last;
    b->q->r[r] = 1 + below(6);
    if (r == R_CX && bytes < 100) {
        jump_back(b, (uint8_t[]){ 0xe2 }, 1, 1);              /* LOOP */
    } else if (r == R_CX) {                                   /* LEA; JRCXZ out; JMP */
        count_down(b, r);
        struct ins *i = build_add(b, (uint8_t[]){ 0xe3, 0 }, 2);
        i->rel = 1;
        i->target = MAX_INS;
        build_settle(b, 0, 0, 0);
        jump_back(b, (uint8_t[]){ 0xe9 }, 1, far_n);
    } else {                                                  /* DEC; JNZ */
        if (b->rg.bits == 64)
            build_add(b, (uint8_t[]){ (uint8_t)(0x48 | r >> 3), 0xff, (uint8_t)(0xc8 | (r & 7)) }, 3);
        else
            build_add(b, (uint8_t[]){ 0xff, (uint8_t)(0xc8 | r) }, 2);
        build_settle(b, 0, EF_ARITH & ~EF_CF, 0);
        jump_back(b, (uint8_t[]){ 0x0f, 0x85 }, 2, far_n);
    }
}
