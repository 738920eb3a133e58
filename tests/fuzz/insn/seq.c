/*
 * seq.c - random sequences: rows, prefixes, operands, registers, memory
 *
 * Most are guided: two registers are addresses and one an index, no instruction writes
 * them, so operands lie where the sequence wants them (in windows, across cache lines and
 * pages, at the edges of what is mapped, on the read-only page). Some are wild:
 * any register may be an address, and what it holds by then decides.
 */
#include "tests/fuzz/insn/seq-int.h"
#include <stdlib.h>

/* ---- rows -------------------------------------------------------------------------- */

/* what these store before they fault, or where, differs between CPUs */
static const char *const detail[] = { "FBSTP", "ARPL", "VCVTPS2PH", "ENTER", "BOUND", "PUSHA" };
/* they load what was not made for it, or change state that the host does not share */
static const char *const never[] = { "POPF", "POPA", "LEAVE", "RET", "MOVDIR64B", "CLZERO" };
static const char *const slow[] = { "INT3", "INTO", "DIV", "IDIV", "BOUND" };

static unsigned row_shape(const struct x86_row *r)
{
    static const char *const stack[] = { "PUSH", "POP", "CALL", "PUSHF", "PUSHA" };
    const char *n = r->name;

    return (ROW_HAS(r, REPOK) ? ROW_STRING : 0) | (NAMED(n, stack) ? ROW_STACK : 0) |
           (strcmp(n, "XLAT") ? 0 : ROW_XLAT) |
           (strstr(n, "MASKMOVDQU") || !strcmp(n, "MASKMOVQ") ? ROW_MASKMOV : 0) |
           (!strncmp(n, "BT", 2) && opnd_kind(r->b) == K_G ? ROW_BIT : 0) | (strcmp(n, "BSWAP") ? 0 : ROW_BSWAP) |
           (strcmp(n, "ENTER") ? 0 : ROW_ENTER) |
           ((!strcmp(n, "JMP") || !strcmp(n, "CALL")) && opnd_kind(r->a) == K_E ? ROW_AWAY : 0);
}

bool row_detail(const struct x86_row *r)
{
    return NAMED(r->name, detail) || row_shape(r) & ROW_MASKMOV || (opnd_kind(r->dst) == K_M && opnd_size(r->dst) == Z_t);
}

static uint16_t row_kind(unsigned row)
{
    const struct x86_row *r = &x86_rows[row];
    unsigned k = ROW_OK | row_shape(r);

    /* FSTP's alias: build_fstp() */
    if (NAMED(r->name, never) || (r->op == 0xd9 && r->arg && is_vec_row(r)))
        return 0;
    if (ROW_HAS(r, VSIB))
        return ROW_VSIB;
    if (row_detail(r))
        k |= ROW_DETAIL;
    if (NAMED(r->name, slow))
        k |= ROW_SLOW;
    if (case_approximate(row))
        k |= ROW_LAST;
    return (uint16_t)k;
}

static void add_row(struct source *s, unsigned row)
{
    const struct x86_row *r = &x86_rows[row];

    if (s->kind[row] & ROW_VSIB && s->n_vsib < ARRAY_SIZE(s->vsib))
        s->vsib[s->n_vsib++] = (uint16_t)row;
    else if (is_vec_row(r))
        s->vec[s->n_vec++] = (uint16_t)row;
    else
        s->integer[s->n_integer++] = (uint16_t)row;
    if ((!strcmp(r->name, "PUSH") || !strcmp(r->name, "POP")) && s->n_stack < ARRAY_SIZE(s->stack))
        s->stack[s->n_stack++] = (uint16_t)row;
    if (!strcmp(r->name, "Jcc") && s->n_jcc < ARRAY_SIZE(s->jcc))
        s->jcc[s->n_jcc++] = (uint16_t)row;
}

struct source *source_new(unsigned bits, const struct x86_model *m)
{
    static const char *const common[] = { "ADD", "OR", "ADC", "SBB", "AND", "SUB", "XOR", "CMP", "TEST", "MOV", "LEA",
                                          "PUSH", "POP", "INC", "DEC", "SHL", "SHR", "SAR", "ROL", "ROR", "RCL", "RCR",
                                          "SHLD", "SHRD", "Jcc", "J", "SETcc", "CMOV", "MOVZX", "MOVSX", "IMUL",
                                          "MUL", "XCHG", "NEG", "NOT", "BT", "BTS", "BTR", "BTC" };
    struct source *s = xzalloc(sizeof(*s));

    s->bits = bits;
    s->m = m;
    for (unsigned i = 1; i < x86_row_count() && i < MAX_ROWS; i++) {
        if (gen_wanted(i, bits, m) || !(s->kind[i] = row_kind(i)))
            continue;
        add_row(s, i);
        if (!is_vec_row(&x86_rows[i]) && NAMED(x86_rows[i].name, common))
            s->common[s->n_common++] = (uint16_t)i;
    }
    return s;
}

unsigned source_rows(const struct source *s) { return s->n_integer + s->n_vec + s->n_vsib; }

static unsigned pick_row(const struct build *b)
{
    const struct source *s = b->src;

    if (b->chain && one_in(2))
        return s->stack[below(s->n_stack)];
    if (b->branchy && one_in(4))
        return s->jcc[below(s->n_jcc)];
    if (b->vec && !one_in(3))
        return s->vec[below(s->n_vec)];
    return one_in(2) ? s->common[below(s->n_common)] : s->integer[below(s->n_integer)];
}

static bool row_wanted(const struct build *b, unsigned row)
{
    unsigned k = b->src->kind[row];

    if (k & ROW_STRING && !b->string && !(b->wild && one_in(8)))
        return false;
    if (k & ROW_DETAIL && (b->wild || b->edge))
        return false;
    return !(k & ROW_SLOW) || one_in(24);
}

/* ---- prefixes that the row does not ask for ------------------------------------------ */

static void prepend(struct enc *e, uint8_t byte)
{
    memmove(e->b + 1, e->b, e->n);
    e->b[0] = byte;
    e->n++;
    if (e->disp_n)
        e->disp_at++;
}

/* VEX's two-byte form where it says the same */
static void shorten_vex(struct enc *e, unsigned at)
{
    if (e->b[at] != 0xc4 || (e->b[at + 1] & 0x7f) != 0x61 || e->b[at + 2] & 0x80)
        return;
    e->b[at + 1] = (e->b[at + 1] & 0x80) | (e->b[at + 2] & 0x7f);
    e->b[at] = 0xc5;
    memmove(e->b + at + 2, e->b + at + 3, e->n - at - 3);
    e->n--;
    if (e->disp_n)
        e->disp_at--;
}

static bool decorate(struct build *b, struct enc *e, struct x86_insn *in, unsigned row)
{
    static const uint8_t ovr[] = { 0x26, 0x3e, 0x36, 0x2e };
    const struct x86_row *r = in->row;
    unsigned bits = b->rg.bits, before = e->n;

    if (in->enc == ENC_VEX && one_in(2))
        shorten_vex(e, 0);
    if (b->vec && in->mem && e->disp_n && !one_in(24))
        e->b[e->disp_at] &= 0xe0;
    if (in->mem && in->base == b->rg.base[1] && b->rg.seg && !b->wild)
        prepend(e, b->rg.seg);
    else if (b->wild && one_in(16))
        prepend(e, one_in(2) ? 0x64 : 0x65);
    else if (one_in(12) && !(b->src->kind[row] & ROW_DETAIL))
        prepend(e, ovr[below(bits == 16 ? 2 : 4)]);
    if (in->enc == ENC_LEGACY && !is_vec_row(r) && one_in(24) && !ROW_HAS(r, LOCKABLE) && !ROW_HAS(r, REPOK))
        prepend(e, one_in(2) ? 0xf2 : 0xf3);
    if (e->n == before && !(b->vec && in->mem && e->disp_n))
        return true;
    return e->n <= 15 && x86_decode_with(e->b, e->n, bits, b->src->m, in) == (int)e->n && !in->err && in->row == r;
}

/* ---- may this instruction stand here? -------------------------------------------------- */

static uint32_t writes(const struct build *b, const struct x86_insn *in, unsigned kind)
{
    if (kind & ROW_STACK)
        return 1u << R_SP | opnd_reg(in, in->row->dst);
    if (kind & ROW_STRING && b->string)
        return regs_written(in) & ~(1u << R_CX | 1u << R_SI | 1u << R_DI);
    return regs_written(in);
}

/* atomic operands must not straddle cache lines, and not be anywhere */
static bool atomic_ok(const struct build *b, const struct x86_insn *in)
{
    uint64_t ea = b->rg.at[0] + (uint64_t)(int64_t)in->disp;

    if (!in->mem || !is_atomic(in))
        return true;
    if (b->moved)
        return false;
    return !b->wild && in->base == b->rg.base[0] && in->index == REGNO_NONE && (ea & 63) + mem_bytes(in) <= 64;
}

static bool address_ok(const struct build *b, const struct x86_insn *in, unsigned kind)
{
    if (b->wild)
        return true;
    if (kind & ROW_XLAT && b->rg.base[0] != R_BX && b->rg.base[1] != R_BX)
        return false;
    if (kind & ROW_MASKMOV && !b->string)
        return false;
    if ((in->mem || kind & (ROW_STRING | ROW_XLAT | ROW_MASKMOV)) && in->addrsize * 8u != b->rg.bits)
        return b->rg.bits == 64 && !b->rg.seg;
    return true;
}

static bool usable(const struct build *b, const struct x86_insn *in, unsigned kind)
{
    uint32_t w = writes(b, in, kind);

    if (flags_read(in) & b->tainted || !atomic_ok(b, in) || !address_ok(b, in, kind))
        return false;
    if (kind & ROW_BSWAP && in->opsize == 2)
        return false;
    if (kind & ROW_ENTER && (in->imm2 & 31) > 3)
        return false;
    if (ROW_HAS(in->row, F64) && in->prefixes & PFX_OPSIZE)   /* Intel ignores the prefix, AMD does not */
        return false;
    if (in->prefixes & PFX_LOCK && !in->mem && !one_in(16))    /* #UD */
        return false;
    if (kind & ROW_AWAY && !(b->wild && b->rg.bits != 16 && one_in(16)))   /* 16-bit code finds code anywhere */
        return false;
    if (w & b->fixed & ~(1u << R_SP) || opnd_reg(in, in->row->dst) & 1u << R_SP)
        return b->wild && !(w & b->fixed & ~(1u << R_SP));
    return b->wild || !(kind & ROW_BIT && in->mem);
}

/* ---- instructions ---------------------------------------------------------------------- */

void build_append(struct build *b, const struct enc *e, const struct x86_insn *in, unsigned row)
{
    enum opnd_kind k = opnd_kind(in->row->a);
    struct ins *i = build_add(b, e->b, e->n);

    i->row = (uint16_t)row;
    if (in->mem && in->base == REGNO_RIP) {
        i->rip_at = (uint8_t)e->disp_at;
        i->ea = DATA_VA + (one_in(4) ? 0xfc0 : 0x800) + below(64) * (b->vec ? 16 : 1);
        if (b->edge && one_in(4))
            i->ea = RO_VA + below(64) * 16;
        if (is_atomic(in))
            i->ea = align_down(i->ea, 16);
    }
    if (k == K_J || k == K_Jz) {
        unsigned to = b->q->n + 1 + below(4);
        i->rel = k == K_J ? 1 : in->bits == 16 ? 2 : 4;
        i->target = (int8_t)MIN(to, (unsigned)MAX_INS);
        b->joins[MIN(to, MAX_INS)] |= b->tainted;
    }
    b->written |= writes(b, in, b->src->kind[row]);
    b->q->approximate |= (b->src->kind[row] & ROW_LAST) != 0;
    build_settle(b, flags_read(in), flags_written(in), b->q->portable ? flags_undefined(in, -1) : flags_unsettled(in));
    if (b->used)
        b->used[row] = true;
}

bool build_row(struct build *b)
{
    struct x86_insn in;
    struct enc e;

    for (unsigned tries = 0; tries < 60; tries++) {
        unsigned row = pick_row(b);
        if (!row_wanted(b, row) || !encode(&e, &x86_rows[row], &b->rg, b->src->m, &in) || !decorate(b, &e, &in, row) ||
            !usable(b, &in, b->src->kind[row]))
            continue;
        if (b->near && !in.mem && !(b->src->kind[row] & ROW_STACK) && one_in(2))
            continue;
        build_append(b, &e, &in, row);
        return true;
    }
    return false;
}

/* ---- registers ---------------------------------------------------------------------------- */

static uint64_t pointer(bool edge)
{
    if (!edge)
        return one_in(4) ? DATA_VA + 0x1000 - below(40) : DATA_VA + 0x400 + 64 * below(24) + below(64);
    switch (below(8)) {
    case 0: return DATA_VA + DATA_BYTES - below(40);
    case 1: return DATA_VA + below(40) - 20;
    case 2: return RO_VA + 0x100 + below(256);
    case 3: return RO_VA - below(40);
    case 4: return RO_VA + RO_BYTES - below(40);
    case 5: return STACK_VA + below(40) - 20;
    default: return DATA_VA + 0x1000 - below(40);
    }
}

/* around the end of something */
static uint64_t near_pointer(void)
{
    static const uint32_t ends[] = { DATA_VA + 0x1000, DATA_VA + 0x1000, DATA_VA + 0x1000, DATA_VA, DATA_VA + DATA_BYTES,
                                     STACK_VA + STACK_BYTES, RO_VA + RO_BYTES };

    return ends[below(ARRAY_SIZE(ends))] + below(320) - 160;
}

static unsigned reserve(struct build *b)
{
    unsigned r;

    do
        r = below(b->rg.bits == 64 ? 16 : 8);
    while (b->fixed >> r & 1);
    b->fixed |= 1u << r;
    return r;
}

static void choose_counter(struct build *b)
{
    static const uint8_t any[] = { R_CX, R_CX, R_AX, R_DX, R_BX, R_SI, R_DI };

    b->counter = any[below(ARRAY_SIZE(any))];
    if (b->fixed >> b->counter & 1 || (b->rg.bits == 16 && b->counter > R_DX))
        b->counter = -1;
    else
        b->fixed |= 1u << b->counter;
}

static void choose_addresses(struct build *b)
{
    struct regs *rg = &b->rg;
    bool b16 = rg->bits == 16;

    rg->fixed = true;
    rg->aligned = b->vec;
    for (unsigned i = 0; i < 2; i++)
        if (!b16)
            rg->base[i] = (uint8_t)reserve(b);
    if (b16) {
        rg->base[0] = R_BX;
        rg->base[1] = one_in(2) && !b->string ? R_DI : R_BP;
        b->fixed |= 1u << rg->base[0] | 1u << rg->base[1];
    }
    rg->index = b16 ? R_SI : (uint8_t)reserve(b);
    b->fixed |= 1u << rg->index;
    rg->index_value = b->vec ? 32 * below(2) : below(16);
    rg->near = b->near;
    rg->at[0] = b->near ? near_pointer() : pointer(false);
    rg->at[1] = pointer(b->edge);
    if (b->vec && !one_in(16)) {
        rg->at[0] = align_down(rg->at[0], one_in(8) ? 16 : 32);
        rg->at[1] = align_down(rg->at[1], one_in(8) ? 16 : 32);
    }
    if (one_in(8)) {
        rg->seg = one_in(2) ? 0x64 : 0x65;
        rg->at[1] -= b16 ? 0 : rg->seg == 0x64 ? FS_BASE : GS_BASE;
    }
}

static void set_strings(struct build *b)
{
    uint64_t *r = b->q->r, mask = b->rg.bits == 16 ? 0xffff : ~0ull;
    bool down = one_in(4);

    r[R_CX] = one_in(4) ? below(200) : below(20);
    r[R_SI] = pointer(b->edge && one_in(2)) & mask;
    r[R_DI] = pointer(b->edge && one_in(2)) & mask;
    b->q->flags |= down ? EF_DF : 0;
}

static void set_registers(struct build *b)
{
    struct seq *q = b->q;
    bool b16 = q->bits == 16;

    for (unsigned i = 0; i < 16; i++) {
        q->r[i] = value();
        if (b->wild && !one_in(3))
            q->r[i] = one_in(4) ? below(256) : pointer(one_in(3));
    }
    q->flags = ((uint32_t)rng() & EF_ARITH) | EF_1 | EF_IF;
    q->r[R_SP] = b->edge && (b->chain || one_in(4)) ? STACK_VA + below(2) * STACK_BYTES + below(80) - 40
                                                    : STACK_VA + 0x800 + (one_in(4) ? below(64) : 0);
    if (b->chain && !b16 && one_in(2))
        q->r[R_SP] = near_pointer();
    if (b->chain && !one_in(4))
        q->r[R_SP] &= ~7ull;
    if (!b->wild) {
        q->r[b->rg.base[0]] = b->rg.at[0];
        q->r[b->rg.base[1]] = b->rg.at[1];
        q->r[b->rg.index] = b->rg.index_value;
    }
    if (b16 && !b->wild && b->rg.base[1] == R_BP && !b->rg.seg)
        q->r[R_BP] = 0x400 + (b->vec ? below(64) * 32 : below(0x800));
    if (b->string)
        set_strings(b);
    if (b16)
        q->r[R_SP] &= 0xffff;
    for (unsigned i = 0; i < 16 && q->bits != 64; i++)
        q->r[i] = i < 8 ? q->r[i] & 0xffffffff : 0;
}

/* @unmask: one in how many has an exception unmasked */
static void set_vectors(struct seq *q, const struct xstate *pool, unsigned unmask)
{
    q->f = pool[below(POOL_FPU)];
    q->zmm = has_avx512() && one_in(4);
    if (!q->zmm)
        memset(&q->f.z, 0, sizeof(q->f.z));
    q->f.fx.mxcsr = 0x1f80 | below(4) << 13;
    if (one_in(4))
        q->f.fx.mxcsr |= (uint32_t)(rng() & 1) << 15 | (uint32_t)(rng() & 1) << 6 | below(64);
    if (one_in(unmask))
        q->f.fx.mxcsr &= ~(uint32_t)(0x80u << below(6));
    if (one_in(unmask))
        q->f.fx.fcw &= (uint16_t)~(1u << below(6));
    for (unsigned i = 8; i < 16 && q->bits != 64; i++) {   /* VZEROALL leaves them alone there */
        memset(q->f.fx.xmm[i], 0, 16);
        memset(q->f.ymmh[i], 0, 16);
        memset(q->f.z.zmmh[i], 0, 32);
    }
    if (q->bits != 64)
        memset(q->f.z.hi16, 0, sizeof(q->f.z.hi16));
}

/* ---- material of a batch --------------------------------------------------------------------- */

void image_make(struct image *im, uint64_t seed, uint64_t k)
{
    struct fpu f;

    rng_seed(seed * 0x9e3779b97f4a7c15ull + k * 2 + 1);
    for (unsigned i = 0; i < sizeof(*im); i += 64) {
        if (i % 4096 % 256 == 0)
            fpu_random(&f);
        for (unsigned n = 0; n < 64; n += 8)
            if (i & 64)
                stl64((uint8_t *)im + i + n, value());
            else
                memcpy((uint8_t *)im + i + n, f.fx.xmm[i / 64 % 4] + (n & 8), 8);
    }
    image_indices(im);
}

static void zmm_random(struct x86_avx512 *z)
{
    struct fpu f;

    fpu_random(&f);
    for (unsigned i = 0; i < 16; i++) {
        memcpy(z->zmmh[i], f.fx.xmm[i], 16);
        memcpy(z->zmmh[i] + 16, f.ymmh[i], 16);
        for (unsigned k = 0; k < 4; k++)
            memcpy(z->hi16[i] + k * 16, f.fx.xmm[below(16)], 16);
    }
    for (unsigned i = 0; i < 8; i++)
        z->k[i] = one_in(4) ? ~0ull : one_in(2) ? value() : rng() << 32 ^ rng();
}

void fpu_pool_make(struct xstate *pool, uint64_t seed)
{
    struct fpu f;

    rng_seed(seed ^ 0x5eed);
    for (unsigned i = 0; i < POOL_FPU; i++) {
        fpu_random(&f);
        pool[i].fx = f.fx;
        memset(pool[i].header, 0, sizeof(pool[i].header));
        memcpy(pool[i].ymmh, f.ymmh, sizeof(f.ymmh));
        zmm_random(&pool[i].z);
    }
}

/* ---- sequences ----------------------------------------------------------------------------- */

static unsigned length(void)
{
    unsigned k = below(100);

    if (k < 46)
        return 1 + below(3);
    if (k < 87)
        return 4 + below(5);
    return k < 97 ? 9 + below(8) : 17 + below(16);
}

/* Branches behind the last instruction lead to the end. */
static void finish(struct build *b)
{
    struct seq *q = b->q;

    for (unsigned t = q->n; t <= MAX_INS; t++)
        b->tainted |= b->joins[t];
    if (b->counter >= 0 && build_room(b) + 2 >= 4) {
        unsigned n = q->n;
        build_loop(b);
        for (unsigned i = 0; i < q->n && q->n > n; i++)
            q->taint[i] |= b->tainted;
    }
    q->taint[q->n] = b->tainted;
}

void seq_make(struct seq *q, const struct source *src, const struct xstate *pool, uint64_t seed, uint64_t index,
              bool *used)
{
    struct build b = { .q = q, .src = src, .rg = { .bits = src->bits }, .counter = -1, .used = used };

    rng_seed((seed * 0x9e3779b97f4a7c15ull) ^ (index * 0xd1342543de82ef95ull + src->bits));
    q->n = 0;
    q->bits = src->bits;
    q->approximate = false;
    q->portable = src->portable || index % 8 == 5;
    b.vec = one_in(2);
    b.wild = one_in(src->bits == 16 ? 24 : 12);
    b.near = !b.wild && one_in(6);
    b.chain = b.near && one_in(4);
    b.branchy = one_in(6);
    b.edge = b.near || one_in(10);
    b.string = !b.wild && one_in(8);
    b.fixed = b.wild ? 0 : 1u << R_SP;
    if (b.string)
        b.fixed |= 1u << R_CX | 1u << R_SI | 1u << R_DI;
    if (!b.wild) {
        if (!b.string && one_in(4))
            choose_counter(&b);
        choose_addresses(&b);
    }
    set_registers(&b);
    q->fpu = b.vec;
    q->zmm = false;
    if (q->fpu)
        set_vectors(q, pool, b.near ? 6 : 48);
    for (unsigned want = length(); q->n < want && q->n < MAX_SEQ;)
        if (!b.wild && want > 2 && one_in(b.near ? 12 : 24))
            build_item(&b);
        else if (!build_row(&b))
            break;
    if (!q->n) {
        build_add(&b, (uint8_t[]){ 0x90 }, 1);
        build_settle(&b, 0, 0, 0);
    }
    finish(&b);
}

void seq_assemble(struct seq *q)
{
    unsigned at = 0;

    for (unsigned i = 0; i < q->n; i++) {
        q->start[i] = at;
        memcpy(q->code + at, q->in[i].b, q->in[i].n);
        at += q->in[i].n;
    }
    q->start[q->n] = q->len = at;
    for (unsigned i = 0; i < q->n; i++) {
        const struct ins *in = &q->in[i];
        unsigned next = q->start[i + 1];
        if (in->rel) {
            uint32_t to = q->start[MIN((unsigned)in->target, q->n)];
            uint32_t v = in->abs ? (q->bits == 16 ? 0 : CODE_VA) + q->off + to : to - next;
            memcpy(q->code + (in->abs ? q->start[i] + in->abs : next - in->rel), &v, in->rel);
        }
        if (in->rip_at)
            stl32(q->code + q->start[i] + in->rip_at, (uint32_t)(in->ea - (CODE_VA + q->off + next)));
    }
}
