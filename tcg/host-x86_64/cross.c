/*
 * cross.c - what misses and yet needs no C: accesses that cross a page when the map has both, the stack's and a table's page
 *
 * The beginning of what all miss thunks call, and the thunk COMMIT. The address is in slow.va, what is to be done in
 * words before the stub's call. Where the pages follow each other in the host's memory the
 * operation is done there, as if they were one; a group likewise. Else it works on a buffer in the vCPU
 * struct, into which the ends of both pages are copied before a read, and from which each page takes its
 * bytes after a write, no other bytes being written. Both pages are known to be accessible by then.
 *
 * What lies in one page but beyond the limit that the page map has for accesses of up to 8 bytes is served, too.
 *
 * An access that wraps, or passes a multiple of 4 GiB (the canonical halves end at such), is left to C.
 */
#define _GNU_SOURCE
#include "tcg/host-x86_64/gen-int.h"
#include "tcg/profile-int.h"

static const int8_t used[MISS_PUSHED] = { RAX, RCX, RDX, RSI, RDI };
#define OWN (sizeof(((struct tcg_cpu *)NULL)->cross.buf) / 3)    /* where the operand is in the buffer */

/* a field of the vCPU struct, with the registers of used[] on the stack */
static struct opn env(size_t off) { return o_env(MISS_DEPTH + 8 * ARRAY_SIZE(used) + off); }
static struct opn desc(unsigned byte) { return env(SLOW_OFF(desc) + byte); }
static struct opn cross(size_t off) { return env(offsetof(struct tcg_cpu, cross) + off); }
#define CROSS(f) cross(offsetof(struct tcg_cpu, cross.f) - offsetof(struct tcg_cpu, cross))

static struct opn at(int base, int index, unsigned lg, int disp)
{
    return (struct opn){ .kind = ON_MEM, .base = (int8_t)base, .index = (int8_t)index, .scale = (uint8_t)lg, .disp = disp };
}

static void push_used(struct code *c)
{
    for (unsigned i = 0; i < ARRAY_SIZE(used); i++)
        push(c, used[i]);
}

static void pop_used(struct code *c)
{
    for (unsigned i = ARRAY_SIZE(used); i-- > 0;)
        pop(c, used[i]);
}

/* slow.desc and slow.elems from before the stub's call. RAX and RCX are lost. */
static void load_desc(struct code *c)
{
    mov_load(c, RAX, o_env(8 + 8 * ARRAY_SIZE(used)));
    ins(c, 4, 0x8b, RCX, at(RAX, NOREG, 0, -MISS_DESC));
    ins(c, 4, 0x89, RCX, desc(0));
    ins(c, 4, 0x8b, RCX, at(RAX, NOREG, 0, -MISS_ELEMS));
    ins(c, 4, 0x89, RCX, env(SLOW_OFF(elems)));
}

/* Come back from the thunk with ZF as said and CF = 0. */
static void ret_zf(struct code *c, bool z)
{
    pop_used(c);
    ins(c, 8, z ? 0x3b : 0x85, RSP, o_reg(RSP));     /* cmp or test rsp, rsp */
    e8(c, 0xc3);
}

/* Jump when the address in RCX is not canonical; RAX is lost. */
static uint8_t *check_canonical(struct code *c)
{
    mov_rr(c, 8, RAX, RCX);
    ins(c, 8, 0xc1, 7, o_reg(RAX));                  /* sar rax, 47: 0 or -1 */
    e8(c, 47);
    alu_imm(c, 8, ALU_ADD, o_reg(RAX), 1);
    alu_imm(c, 8, ALU_CMP, o_reg(RAX), 1);
    return jcc32(c, 7);
}

/* RDI = 2 if it writes, 0 else */
static void find_kind(struct code *c)
{
    ins(c, 4, X0F | 0xb6, RDI, desc(0));
    ins(c, 4, 0xc1, 5, o_reg(RDI));                  /* shr: SLOW_LEAD_W */
    e8(c, 6);
    alu_rm(c, 1, ALU_OR, RDI, desc(1));
    alu_imm(c, 4, ALU_AND, o_reg(RDI), SLOW_WRITE >> 8);
}
_Static_assert(ACC_WRITE == ACC_READ + 1 && SLOW_WRITE == 2 << 8 && SLOW_LEAD_W == 2 << 6, "find_kind()");

/* @r = where the page map has the entry of address @at */
static void find_entry(struct code *c, int r, int at_reg)
{
    rorx(c, 8, r, o_reg(at_reg), MAP_SHIFT);
    ins(c, 8, 0x23, r, env(offsetof(struct tcg_cpu, map_mask)));
}

/* @r = host - guest for the entry there, RDI as find_kind() has it; jump when it is not in the map */
static uint8_t *find_delta(struct code *c, int r)
{
    ins(c, 8, XGS | 0x8b, r, at(r, RDI, 2, ACC_READ * 8));
    ins(c, 8, 0x85, r, o_reg(r));
    return jcc32(c, 4);
}

/*
 * RCX, RDX: address of the first and the last byte. Then RSI, RDX: host - guest of both pages, and ZF says
 * whether they are the same; RDI: 2 if it writes, 0 else. Jumps: to @one when the bytes are in the same page, to
 * @none[] when not both pages are in the map.
 */
static void find_both(struct code *c, uint8_t **one, uint8_t *none[4])
{
    mov_rr(c, 8, RAX, RDX);
    alu_rm(c, 8, ALU_XOR, RAX, o_reg(RCX));
    ins(c, 1, 0xf6, 0, o_reg(RAX + 4));              /* test ah */
    e8(c, PAGE_SIZE >> 8);
    *one = jcc32(c, 4);
    ins(c, 8, 0xc1, 5, o_reg(RAX));                  /* shr rax, 32 */
    e8(c, 32);
    none[0] = jcc32(c, 5);
    none[1] = check_canonical(c);
    find_entry(c, RSI, RCX);
    find_entry(c, RDX, RDX);
    find_kind(c);
    none[2] = find_delta(c, RSI);
    none[3] = find_delta(c, RDX);
    alu_rm(c, 8, ALU_CMP, RSI, o_reg(RDX));
}

/*
 * The access, or the group, is in one page, in which RCX is. When that is in the map after all, it was only beyond the
 * limit of accesses of LIMIT_BYTES.
 */
static void try_one(struct code *c)
{
    uint8_t *none[2];

    none[0] = check_canonical(c);
    find_entry(c, RSI, RCX);
    find_kind(c);
    none[1] = find_delta(c, RSI);
    mov_store(c, env(SLOW_OFF(delta)), RSI);
    ret_zf(c, false);
    patch32(none[0], c->p);
    patch32(none[1], c->p);
}

/* For the profile, behind find_both(). RAX and flags are lost. */
static void count(struct code *c)
{
    mov_load(c, RAX, env(offsetof(struct tcg_cpu, prof)));
    ins(c, 8, 0xff, 0, at(RAX, RDI, 2, offsetof(struct cpu_profile, misses[PM_CROSSING])));
}

/* [RAX + RCX] = [@from + RCX], 8 bytes, for RCX from - @down */
static uint8_t *move8(struct code *c, int from)
{
    uint8_t *start = c->p;

    mov_load(c, RDI, at(from, RCX, 0, 0));
    mov_store(c, at(RAX, RCX, 0, 0), RDI);
    return start;
}

/*
 * RCX: address, RSI, RDX: both pages' host - guest. Notes where the parts belong; fills the buffer from whole
 * words up to the first page's end and from the second's start on, more than the operand has.
 */
static void to_buffer(struct code *c)
{
    uint8_t *loop, *skip;

    alu_rm(c, 8, ALU_ADD, RSI, o_reg(RCX));
    mov_rr(c, 8, RAX, RCX);
    alu_imm(c, 8, ALU_OR, o_reg(RAX), PAGE_MASK);
    ins(c, 8, 0x8d, RDX, at(RDX, RAX, 0, 1));        /* lea rdx, [rdx + rax + 1] */
    mov_store(c, CROSS(host[0]), RSI);
    mov_store(c, CROSS(host[1]), RDX);
    alu_rm(c, 4, ALU_SUB, RAX, o_reg(RCX));
    alu_imm(c, 4, ALU_ADD, o_reg(RAX), 1);           /* bytes in the first page */
    ins(c, 4, 0x89, RAX, CROSS(n[0]));
    ins(c, 4, X0F | 0xb6, RCX, desc(0));
    mov_rr(c, 4, RDI, RCX);
    alu_rm(c, 4, ALU_SUB, RDI, o_reg(RAX));
    ins(c, 4, 0x89, RDI, CROSS(n[1]));
    ins(c, 1, 0xf6, 0, desc(1));                     /* test */
    e8(c, SLOW_READ >> 8);
    skip = jcc32(c, 4);
    alu_rm(c, 8, ALU_ADD, RSI, o_reg(RAX));          /* the page's end, in the host's memory and in the buffer */
    struct opn end = CROSS(buf[OWN]);
    ins(c, 8, 0x8d, RAX, at(RSP, RAX, 0, end.disp));
    alu_imm(c, 4, ALU_ADD, o_reg(RCX), 7);
    alu_imm(c, 4, ALU_AND, o_reg(RCX), -8);
    ins(c, 8, 0xf7, 3, o_reg(RCX));                  /* neg */
    loop = move8(c, RSI);
    alu_imm(c, 8, ALU_ADD, o_reg(RCX), 8);
    patch32(jcc32(c, 5), loop);
    ins(c, 4, X0F | 0xb6, RCX, desc(0));
    alu_imm(c, 4, ALU_SUB, o_reg(RCX), 1);
    alu_imm(c, 4, ALU_AND, o_reg(RCX), -8);
    loop = move8(c, RDX);
    alu_imm(c, 4, ALU_SUB, o_reg(RCX), 8);
    patch32(jcc32(c, 9), loop);                      /* jns */
    patch32(skip, c->p);
}

/* Jumps to what it returns when the operand must be aligned and is not: that may be why it is here. */
static uint8_t *check_align(struct code *c)
{
    uint8_t *any, *not;

    ins(c, 4, 0x8b, RCX, desc(0));
    ins(c, 4, 0xc1, 5, o_reg(RCX));                  /* shr: 0 any, else log2 of the alignment less 3 */
    e8(c, SLOW_ALIGN);
    alu_imm(c, 4, ALU_AND, o_reg(RCX), 3);
    any = jcc32(c, 4);
    mov_imm(c, RAX, 8);
    ins(c, 4, 0xd3, 4, o_reg(RAX));                  /* shl eax, cl */
    alu_imm(c, 4, ALU_SUB, o_reg(RAX), 1);
    ins(c, 4, 0x85, RAX, env(SLOW_OFF(va)));         /* test */
    not = jcc32(c, 5);
    patch32(any, c->p);
    return not;
}

/* RCX, RDX = address of the first and the last byte of a group, */
static void load_group(struct code *c)
{
    ins(c, 8, X0F | 0xbf, RCX, env(SLOW_OFF(elems) + 2));            /* movsx: from - address */
    ins(c, 4, 0x8b, RDX, env(SLOW_OFF(elems)));                      /* bytes */
    alu_imm(c, 4, ALU_AND, o_reg(RDX), LEAD_BYTES);
    alu_rm(c, 8, ALU_ADD, RCX, env(SLOW_OFF(va)));
    ins(c, 8, 0x8d, RDX, at(RDX, RCX, 0, -1));
}

/* of a single access */
static void load_alone(struct code *c)
{
    mov_load(c, RCX, env(SLOW_OFF(va)));
    ins(c, 4, X0F | 0xb6, RAX, desc(0));
    ins(c, 8, 0x8d, RDX, at(RCX, RAX, 0, -1));
}

/* A group has one page, or two that are as one; else its block is left. */
static void emit_lead(struct code *c, uint8_t **one, uint8_t **misaligned)
{
    uint8_t *none[4], *two;

    *misaligned = check_align(c);
    load_group(c);
    find_both(c, one, none);
    two = jcc32(c, 5);
    mov_store(c, env(SLOW_OFF(delta)), RSI);
    ret_zf(c, false);
    for (unsigned i = 0; i < 4; i++)
        patch32(none[i], c->p);
    patch32(two, c->p);
    ret_zf(c, true);
}

void cross_slow(struct code *c, const struct tcg *t)
{
    uint8_t *lead, *other, *misaligned, *same, *none[4], *one[2];

    push_used(c);
    load_desc(c);
    if (t->narrow)
        return;
    ins(c, 4, 0xf7, 0, desc(0));                     /* test */
    e32(c, SLOW_LEAD);
    lead = jcc32(c, 5);
    ins(c, 4, 0xf7, 0, desc(0));
    e32(c, SLOW_LOCK | SLOW_MASKED | 3 << SLOW_ALIGN);
    other = jcc32(c, 5);
    load_alone(c);
    find_both(c, &one[0], none);
    same = jcc32(c, 4);
    if (t->profile)
        count(c);
    to_buffer(c);
    struct opn own = CROSS(buf[OWN]);
    ins(c, 8, 0x8d, RAX, own);
    alu_rm(c, 8, ALU_SUB, RAX, env(SLOW_OFF(va)));
    mov_store(c, env(SLOW_OFF(delta)), RAX);
    ret_zf(c, true);
    patch32(same, c->p);
    mov_store(c, env(SLOW_OFF(delta)), RSI);
    if (t->profile)
        count(c);
    ret_zf(c, false);
    patch32(lead, c->p);
    emit_lead(c, &one[1], &misaligned);
    patch32(one[0], c->p);
    patch32(one[1], c->p);
    if (!t->profile)         /* which counts these, too */
        try_one(c);
    patch32(misaligned, c->p);
    patch32(other, c->p);
    for (unsigned i = 0; i < 4; i++)
        patch32(none[i], c->p);
    ins(c, 4, 0xc7, 0, CROSS(n[0]));                 /* what is committed next is C's */
    e32(c, 0);
}

/* Entry at RSI: RDX = its word @k, which is what leads to the page; jump when there is none */
static uint8_t *take_word(struct code *c, enum tcg_access k)
{
    uint8_t *none;

    ins(c, 8, XGS | 0x8b, RDX, at(RSI, NOREG, 0, (int)k * 8));
    ins(c, 8, 0x85, RDX, o_reg(RDX));
    none = jcc32(c, 4);
    mov_store(c, env(SLOW_OFF(delta)), RDX);
    return none;
}

/*
 * The stack is in another page than it was found in last, or the table: when the map has that page it is kept, the stack's if it
 * may be written.
 */
void known_slow(struct code *c, bool table, const uint8_t *slow)
{
    uint8_t *alone, *both, *out[5];
    size_t page = table ? offsetof(struct tcg_cpu, table_page) : offsetof(struct tcg_cpu, stack_page);
    size_t delta = table ? offsetof(struct tcg_cpu, table_delta) : offsetof(struct tcg_cpu, stack_delta);

    push_used(c);
    load_desc(c);
    out[0] = check_align(c);
    ins(c, 4, 0xf7, 0, desc(0));                     /* test */
    e32(c, SLOW_LEAD);
    alone = jcc32(c, 4);
    load_group(c);
    both = jmp32(c);
    patch32(alone, c->p);
    load_alone(c);
    patch32(both, c->p);
    alu_rm(c, 8, ALU_XOR, RDX, o_reg(RCX));
    ins(c, 1, 0xf6, 0, o_reg(RDX + 4));              /* test dh */
    e8(c, PAGE_SIZE >> 8);
    out[1] = jcc32(c, 5);
    out[2] = check_canonical(c);
    find_entry(c, RSI, RCX);
    out[3] = take_word(c, table ? ACC_READ : ACC_WRITE);
    mov_store(c, env(delta), RDX);
    alu_imm(c, 8, ALU_AND, o_reg(RCX), -(int64_t)PAGE_SIZE);
    mov_store(c, env(page), RCX);
    ret_zf(c, false);
    if (!table) {            /* it may be read only */
        patch32(out[3], c->p);
        find_kind(c);
        ins(c, 4, 0x85, RDI, o_reg(RDI));
        out[3] = jcc32(c, 5);
        out[4] = take_word(c, ACC_READ);
        ret_zf(c, false);
        patch32(out[4], c->p);
    }
    for (unsigned i = 0; i < 4; i++)
        patch32(out[i], c->p);
    pop_used(c);
    jmp_to(c, slow);
}

/* RCX bytes from RSI to RDI; both move on; RAX and RCX are lost */
static void copy(struct code *c)
{
    uint8_t *tail, *loop, *skip;

    alu_imm(c, 4, ALU_SUB, o_reg(RCX), 8);
    tail = jcc32(c, 2);
    loop = c->p;
    mov_load(c, RAX, at(RSI, NOREG, 0, 0));
    mov_store(c, at(RDI, NOREG, 0, 0), RAX);
    alu_imm(c, 8, ALU_ADD, o_reg(RSI), 8);
    alu_imm(c, 8, ALU_ADD, o_reg(RDI), 8);
    alu_imm(c, 4, ALU_SUB, o_reg(RCX), 8);
    patch32(jcc32(c, 3), loop);
    patch32(tail, c->p);
    for (unsigned n = 4; n; n >>= 1) {               /* what is left: the low bits are still right */
        ins(c, 1, 0xf6, 0, o_reg(RCX));
        e8(c, n);
        skip = jcc32(c, 4);
        ins_sz(c, n, 0x8a, RAX, at(RSI, NOREG, 0, 0));
        ins_sz(c, n, 0x88, RAX, at(RDI, NOREG, 0, 0));
        alu_imm(c, 8, ALU_ADD, o_reg(RSI), n);
        alu_imm(c, 8, ALU_ADD, o_reg(RDI), n);
        patch32(skip, c->p);
    }
}

void cross_commit(struct code *c)
{
    static const int8_t others[] = { R8, R9, R10, R11 };     /* that a call may change, too */
    uint8_t *not_here, *done;
    struct opn own = CROSS(buf[OWN]);
    unsigned adj = MISS_DEPTH + 8 * (ARRAY_SIZE(used) + ARRAY_SIZE(others) + 1);

    push(c, RAX);            /* as deep as a miss thunk */
    push_used(c);
    e8(c, 0x9f);                                     /* lahf; seto al */
    ins(c, 1, X0F | 0x90, 0, o_reg(RAX));
    ins(c, 4, 0x89, RAX, CROSS(fl));
    alu_imm(c, 4, ALU_CMP, CROSS(n[0]), 0);
    not_here = jcc32(c, 4);
    ins(c, 8, 0x8d, RSI, own);
    for (unsigned i = 0; i < 2; i++) {
        mov_load(c, RDI, i ? CROSS(host[1]) : CROSS(host[0]));
        ins(c, 4, 0x8b, RCX, i ? CROSS(n[1]) : CROSS(n[0]));
        copy(c);
    }
    done = c->p;
    ins(c, 4, 0x8b, RAX, CROSS(fl));
    e8(c, 0x04);                                     /* add al, 127: O from bit 0; sahf */
    e8(c, 0x7f);
    e8(c, 0x9e);
    pop_used(c);
    pop(c, RAX);
    e8(c, 0xc3);
    patch32(not_here, c->p);
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
        push(c, others[i]);
    push(c, RAX);            /* RSP is a multiple of 16 again */
    ins(c, 8, 0x8d, RDI, o_env(adj));
    ins(c, 8, 0x8d, RSI, o_env(adj + offsetof(struct tcg_cpu, slow_area)));
    mov_imm(c, RAX, (uintptr_t)(const void *)tcg_slow_commit);
    e8(c, 0xff);
    e8(c, 0xd0);
    carry_clear(c, TCG_N_CARRY, adj);
    loop_forget(c, adj);
    pop(c, RAX);
    for (unsigned i = ARRAY_SIZE(others); i-- > 0;)
        pop(c, others[i]);
    jmp_to(c, done);
}
