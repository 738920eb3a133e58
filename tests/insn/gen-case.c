/*
 * gen-case.c - cases: registers and memory for random instructions, short
 * sequences, loops
 *
 * Registers are set so that a memory operand lies where the case wants it.
 */
#include "tests/insn/gen-int.h"

/* ---- states ----------------------------------------------------------------------------- */

/* doubles and singles with few bits: results that are exact, rounded, special */
static void float_bytes(uint8_t *p, unsigned n)
{
    static const uint32_t f32[] = { 0, 0x80000000, 0x3f800000, 0xbf800000, 0x40490fdb, 0x7f800000, 0xff800000,
                                    0x7fc00000, 0x7f800001, 0x00000001, 0x00800000, 0x7f7fffff, 0x4f000000,
                                    0xcf000000, 0x3effffff, 0x40000000 };
    static const uint64_t f64[] = { 0, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000000,
                                    0x400921fb54442d18, 0x7ff0000000000000, 0xfff8000000000000,
                                    0x7ff0000000000001, 1, 0x0010000000000000, 0x7fefffffffffffff,
                                    0x41dfffffffc00000, 0xc1e0000000000000, 0x43e0000000000000,
                                    0x4000000000000000, 0x3fe0000000000000 };
    unsigned kind = below(4);

    for (unsigned i = 0; i < n; i += 8) {
        uint64_t v = rng() << 32 ^ rng();
        if (kind == 0)
            v = one_in(4) ? v : f64[below(16)];
        else if (kind == 1)
            v = (uint64_t)f32[below(16)] << 32 | f32[below(16)];
        else if (kind == 2)
            v = value();
        memcpy(p + i, &v, MIN(8u, n - i));
    }
}

static void fpu_default(struct fpu *f)
{
    memset(f, 0, sizeof(*f));
    f->fx.fcw = 0x37f;
    f->fx.mxcsr = 0x1f80;
    f->fx.mxcsr_mask = 0xffff;
}

void fpu_random(struct fpu *f)
{
    struct x86_fxarea *fx = &f->fx;
    static const uint16_t fcw[] = { 0x37f, 0x37f, 0x27f, 0x77f, 0xb7f, 0xf7f, 0x07f };

    fpu_default(f);
    fx->mxcsr |= below(4) << 13;
    if (one_in(4))
        fx->mxcsr |= (rng() & 1) << 15 | (rng() & 1) << 6;
    if (one_in(16))
        fx->mxcsr &= ~(uint32_t)(BIT(7) << below(6));
    for (unsigned i = 0; i < 16; i++) {
        float_bytes(fx->xmm[i], 16);
        if (one_in(2))
            float_bytes(f->ymmh[i], 16);
    }
    fx->fcw = fcw[below(ARRAY_SIZE(fcw))];
    fx->fsw = (uint16_t)(below(8) << 11 | below(2) << 8 | below(2) << 14);
    fx->ftw = one_in(2) ? 0xff : (uint8_t)rng();
    for (unsigned i = 0; i < 8; i++) {
        uint64_t man = rng() << 20 | BIT(63);
        uint16_t se = (uint16_t)(0x3fff - 20 + below(60)) | (uint16_t)(below(2) << 15);
        if (one_in(8))
            se = one_in(2) ? 0x7fff : 0, man = one_in(2) ? BIT(63) : BIT(63) | BIT(62);
        if (one_in(8))
            se = 0, man = one_in(2) ? 0 : rng() >> 8;
        if (one_in(4))
            man = (BIT(63) | BIT(62) * below(2)) & ~0ull;
        memcpy(fx->st[i], &man, 8);
        memcpy(fx->st[i] + 8, &se, 2);
    }
}

static void random_state(struct tcase *c)
{
    struct state *s = &c->init;

    for (unsigned i = 0; i < 16; i++)
        s->r[i] = value();
    s->flags = (rng() & EF_ARITH) | EF_1 | EF_IF;
    for (unsigned i = 0; i < DATA_BYTES; i += 64) {
        if (c->fpu)
            float_bytes(s->data + i, 64);
        else
            for (unsigned k = 0; k < 64; k += 8)
                stl64(s->data + i + k, value());
    }
    for (unsigned i = 0; i < STACK_BYTES; i += 8)
        stl64(s->stack + i, (i & 63) == 0 ? rng() : i);
    if (c->fpu)
        fpu_random(&c->init.f);
    else
        fpu_default(&c->init.f);
    for (unsigned i = 0; i < c->n; i++)
        if (!strcmp(x86_rows[c->in[i].row].name, "FSTP"))
            c->init.f.fx.ftw = 0xff;   /* its alias with empty registers: known to differ */
}

/* where a memory operand of @n bytes shall lie */
static uint64_t choose_ea(const struct x86_insn *in, unsigned n)
{
    /* what these store before they fault, or where, differs between CPUs */
    static const char *const partial[] = { "FBSTP", "ARPL", "VCVTPS2PH" };
    uint64_t mid = DATA_VA + 0x800 + 64 * below(8);

    if (NAMED(in->row->name, partial) || opnd_size(in->row->dst) == Z_t)
        return one_in(4) ? DATA_VA + 0x1000 - below(40) : mid + below(64);

    if (is_atomic(in))              /* within a cache line: split locks are another matter */
        return one_in(16) ? DATA_VA + DATA_BYTES : mid + below(64 / n) * n;
    switch (below(16)) {
    case 0: return DATA_VA + 0x1000 - 1 - below(n + 1);
    case 1: return one_in(2) ? DATA_VA + DATA_BYTES - below(n + 1) : DATA_VA - 1 - below(n);
    case 2: return one_in(4) ? 0x1234567812345678ull : mid;   /* upper half: Linux edits its error code */
    case 3: case 4: case 5: return mid + below(64);
    case 6: return mid + 60 + below(8);
    default: return mid + below(4) * MAX(n, 1u);
    }
}

static uint64_t low_part(uint64_t v, uint64_t with, unsigned n)
{
    uint64_t mask = n >= 8 ? ~0ull : BIT(n * 8) - 1;

    return (v & mask) | (with & ~mask);
}

/* Set registers (or the displacement) so that the operand of @in is at @ea. */
static bool aim(struct tcase *c, struct ins *i, const struct enc *e, const struct x86_insn *in, uint64_t ea)
{
    uint64_t *r = c->init.r, idx = 0;
    bool vsib = ROW_HAS(in->row, VSIB);

    i->ea = ea;
    if (in->base == REGNO_RIP) {
        i->rip_at = (uint8_t)e->disp_at;
        if (ea - CODE_VA > 0x60000000)
            i->ea = DATA_VA + 0x800;
        return true;
    }
    if (in->base == REGNO_NONE) {
        if (in->index == REGNO_NONE || vsib)
            return true;                /* disp32: put_mem() chose it */
        r[in->index] = below(16) >> in->scale;
        return true;
    }
    if (in->index != REGNO_NONE && !vsib) {
        if (in->index == in->base) {
            r[in->base] = (ea - (uint64_t)(int64_t)in->disp) / (1 + (1ull << in->scale));
            if (in->addrsize == 4)
                r[in->base] &= 0xffffffff;
            return true;
        }
        r[in->index] = one_in(2) ? below(64) : value();
        idx = r[in->index] << in->scale;
    }
    r[in->base] = ea - idx - (uint64_t)(int64_t)in->disp;
    if (in->addrsize == 2)
        r[in->base] = low_part(r[in->base], rng() << 16, 2);
    if (in->addrsize == 4)
        r[in->base] = low_part(r[in->base], rng() << 32, 4);
    return true;
}

/* bytes @at..@at+7 of vector register @reg */
static uint8_t *vec_qword(struct fpu *f, unsigned reg, unsigned at)
{
    if (reg >= 16)
        return f->z.hi16[reg & 15] + at;
    return at < 16 ? f->fx.xmm[reg] + at : at < 32 ? f->ymmh[reg] + at - 16 : f->z.zmmh[reg] + at - 32;
}

/* the same for EVEX */
static void set_evex_index(struct tcase *c, const struct x86_insn *in)
{
    for (unsigned at = 0; at < 64; at += 8) {
        uint64_t lo = (uint64_t)(int64_t)((int)below(64) - 16), hi = below(64) - 16;
        if (!(in->row->arg & 16 /* VA_INDEX8 */))
            lo = (lo & 0xffffffff) | hi << 32;
        stl64(vec_qword(&c->init.f, in->index, at), lo);
    }
}

/* vector index of a gather: small elements */
static void set_vector_index(struct tcase *c, const struct x86_insn *in)
{
    bool wide = (in->opcode & 1) != 0;  /* 91, 93: qword indices */
    unsigned reg = in->index & 15;

    for (unsigned k = 0; k < 4; k++) {
        int64_t v = (int64_t)below(64) - 16;
        uint8_t *p = k < 2 ? c->init.f.fx.xmm[reg] + k * 8 : c->init.f.ymmh[reg] + (k - 2) * 8;
        if (wide)
            stl64(p, (uint64_t)v);
        else {
            stl32(p, (uint32_t)v);
            stl32(p + 4, (uint32_t)((int)below(64) - 16));
        }
    }
}

/* operands beyond the modrm one: stack, strings, counts, bit offsets */
static void set_implicit(struct tcase *c, const struct x86_insn *in)
{
    uint64_t *r = c->init.r;
    const char *n = in->row->name;

    if (is_push_pop(in)) {
        r[R_SP] = STACK_VA + 0x800 + (one_in(4) ? below(16) : 8 * below(8));
        if (one_in(12) && strcmp(n, "RET") && strcmp(n, "PUSHA") && strcmp(n, "POPA"))
            r[R_SP] = STACK_VA + (one_in(2) ? below(9) : STACK_BYTES - below(9));
        if (!strcmp(n, "LEAVE") || !strcmp(n, "ENTER"))
            r[R_BP] = STACK_VA + 0x900 + below(64);
    }
    if (ROW_HAS(in->row, REPOK)) {
        if (one_in(3))
            c->init.flags |= EF_DF;
        r[R_SI] = DATA_VA + 0x400 + below(64);
        r[R_DI] = DATA_VA + (one_in(2) ? 0x440 : 0x900) + below(64);
        if (one_in(6))
            r[one_in(2) ? R_SI : R_DI] = DATA_VA + 0x1000 - below(32);
        if (one_in(12))
            r[one_in(2) ? R_SI : R_DI] = one_in(2) ? DATA_VA + 0x2000 - below(32) : DATA_VA + below(32);
        /* RCX = 0 with a 32-bit count: whether upper halves are cleared is nobody's promise */
        r[R_CX] = (one_in(4) ? below(200) : below(9)) + (in->addrsize == 4);
        if (one_in(3))
            memset(c->init.data, 0x11, DATA_BYTES);
        if (in->addrsize == 2)
            for (unsigned k = 0; k < 16; k++)
                if (k == R_SI || k == R_DI || k == R_CX)
                    r[k] = low_part(r[k], rng() << 16, 2);
        if (in->addrsize == 4)
            for (unsigned k = 0; k < 16; k++)
                if (k == R_SI || k == R_DI || k == R_CX)
                    r[k] |= rng() << 32;
    }
    if (!strcmp(n, "XLAT"))
        r[R_BX] = DATA_VA + 0x800 + below(64);
    if (!strncmp(n, "MASKMOV", 7) || !strncmp(n, "VMASKMOVDQU", 11))
        r[R_DI] = DATA_VA + (one_in(4) ? 0xff8 : 0x800) + below(16);
    if (!strcmp(n, "CLZERO"))
        r[R_AX] = DATA_VA + 0x800 + below(64);
    if (!strcmp(n, "MOVDIR64B") && in->reg != in->base && in->reg != in->index)
        r[in->reg] = DATA_VA + 64 * below(16) + (one_in(4) ? below(64) : 0);
    if (!strncmp(n, "LOOP", 4) || !strcmp(n, "JCXZ"))
        r[R_CX] = below(3) | (one_in(2) ? rng() << 32 : 0);
    if (!strcmp(n, "POPF"))
        memset(c->init.stack, 0x02, STACK_BYTES);   /* no TF, no AC */
    if (!strcmp(n, "POPF") && r[R_SP] - STACK_VA <= STACK_BYTES - 8)
        stl64(c->init.stack + (r[R_SP] - STACK_VA), (rng() & (EF_ARITH | EF_DF)) | EF_IF | EF_1);
    if (!strncmp(n, "PCMPEST", 7) || !strncmp(n, "VPCMPEST", 8)) {
        r[R_AX] = one_in(8) ? value() : (uint64_t)((int64_t)below(40) - 20);
        r[R_DX] = one_in(8) ? value() : (uint64_t)((int64_t)below(40) - 20);
    }
}

static bool is_bit_string(const struct x86_insn *in)
{
    return in->mem && !strncmp(in->row->name, "BT", 2) && opnd_kind(in->row->b) == K_G;
}

/* BSWAP of 16 bits is undefined; POP to a 16-bit stack pointer and the like are left out */
static bool avoid(const struct x86_insn *in)
{
    if (!strcmp(in->row->name, "BSWAP") && in->opsize == 2)
        return true;
    if (!strcmp(in->row->name, "ENTER") && (in->imm2 & 31) > 3)
        return true;
    /* near branches of 16 bits: Intel ignores the prefix, AMD does not */
    return ROW_HAS(in->row, F64) && in->prefixes & PFX_OPSIZE;
}

/* ---- cases ------------------------------------------------------------------------------------ */

static void set_insn(struct ins *i, const struct enc *e, const struct x86_insn *in, unsigned row)
{
    enum opnd_kind k = opnd_kind(in->row->a);

    *i = (struct ins){ .n = (uint8_t)e->n, .target = -1, .row = (uint16_t)row };
    memcpy(i->b, e->b, e->n);
    if (k == K_J || k == K_Jz) {
        i->rel = k == K_J ? 1 : in->bits == 16 ? 2 : 4;
        i->target = 1;
    }
}

void case_assemble(struct tcase *c)
{
    unsigned at = 0;

    for (unsigned i = 0; i < c->n; i++) {
        c->start[i] = at;
        memcpy(c->code + at, c->in[i].b, c->in[i].n);
        at += c->in[i].n;
    }
    c->start[c->n] = c->len = at;
    for (unsigned i = 0; i < c->n; i++) {
        const struct ins *in = &c->in[i];
        unsigned next = c->start[i + 1];
        if (in->rel) {
            uint32_t to = c->start[MIN((unsigned)in->target, c->n)];
            uint32_t v = in->abs ? (c->bits == 16 ? 0 : CODE_VA) + c->off + to : to - next;
            memcpy(c->code + (in->abs ? c->start[i] + in->abs : next - in->rel), &v, in->rel);
        }
        if (in->ea_ins)             /* its operand is the immediate of another instruction */
            c->in[i].ea = CODE_VA + c->off + c->start[MIN(in->ea_ins - 1u, c->n - 1)] + 2;
        if (in->rip_at)
            stl32(c->code + c->start[i] + in->rip_at,
                  (uint32_t)(in->ea - (c->bits == 64 ? CODE_VA + c->off + next : 0)));
    }
}

static void aim_indirect_branch(struct tcase *c, const struct x86_insn *in)
{
    uint64_t to = CODE_VA + c->off + c->len;
    const char *n = in->row->name;

    uint64_t sp = c->init.r[R_SP] - STACK_VA;

    if (c->bits == 16) {
        sp = c->init.r[R_SP] & 0xffff;
        to -= CODE_VA;
    }
    if (!strcmp(n, "RET") && sp <= STACK_BYTES - 8)
        memcpy(c->init.stack + sp, &to, c->bits / 8);
    if ((strcmp(n, "JMP") && strcmp(n, "CALL")) || opnd_kind(in->row->a) != K_E)
        return;
    if (!in->mem) {
        c->init.r[in->rm] = to;
        return;
    }
    uint64_t ea = in->base == REGNO_RIP ? c->in[0].ea : (uint64_t)(int64_t)in->disp;
    ea += in->base < 16 ? c->init.r[in->base] : 0;
    ea += in->index < 16 ? c->init.r[in->index] << in->scale : 0;
    if (in->addrsize == 4)
        ea &= 0xffffffff;
    if (c->bits == 16 && in->seg == S_SS) {
        ea &= in->addrsize == 2 ? 0xffff : 0xffffffff;
        if (ea <= STACK_BYTES - 2)
            memcpy(c->init.stack + ea, &to, 2);
        return;
    }
    if (c->bits == 16)
        ea = (in->addrsize == 2 ? ea & 0xffff : ea) + DATA_VA;
    if (ea - DATA_VA <= DATA_BYTES - c->bits / 8)
        memcpy(c->init.data + (ea - DATA_VA), &to, c->bits / 8);
}

/* 32-bit code sees the low halves */
static void narrow(struct tcase *c)
{
    if (c->bits == 16)
        c->init.r[R_SP] &= 0xffff;
    for (unsigned i = 0; i < 16 && c->bits != 64; i++)
        c->init.r[i] = i < 8 ? c->init.r[i] & 0xffffffff : 0;
}

/* AVX-512 state; from numbers of its own, so that other rows' cases stay what they are */
static void random_avx512(struct tcase *c)
{
    uint64_t keep = rng(), seed = c->init.r[R_AX] ^ c->init.r[R_SI] << 7 ^ keep;
    struct x86_avx512 *z = &c->init.f.z;

    if (!c->fpu || !has_avx512())
        return;
    rng_seed(seed);
    for (unsigned i = 0; i < 8; i++) {
        unsigned kind = below(4);
        z->k[i] = kind == 0 ? ~0ull : kind == 1 ? rng() << 32 ^ rng() : kind == 2 ? rng() & rng() & 0xff : value();
    }
    if (one_in(2))
        for (unsigned i = 0; i < 16; i++)
            if (one_in(2))
                float_bytes(z->zmmh[i], 32);
    for (unsigned i = 0; i < 16; i++)
        float_bytes(z->hi16[i], 64);
}

bool gen_single(struct tcase *c, unsigned row, unsigned bits, const struct x86_model *m)
{
    const struct regs any = { .bits = bits };
    const struct x86_row *r = &x86_rows[row];
    struct x86_insn in;
    struct enc e;

    c->n = 1;
    c->bits = bits;
    c->fpu = is_vec_row(r);
    c->approximate = case_approximate(row);
    c->off = one_in(4) ? 0xff0 + below(16) : 0x100 + below(16);
    if (!encode(&e, r, &any, m, &in) || avoid(&in))
        return false;
    set_insn(&c->in[0], &e, &in, row);
    random_state(c);
    set_implicit(c, &in);
    if (in.mem) {
        uint64_t ea = choose_ea(&in, mem_bytes(&in));
        if (bits == 16 && in.seg == S_SS)
            ea = !c->fpu && one_in(8) ? STACK_BYTES - below(20) : 0x100 + below(0xc00) / 64 * 64;
        if (ROW_HAS(r, VSIB) || is_bit_string(&in))
            ea = DATA_VA + 0x1000 - below(64);
        if (ROW_HAS(r, EVEX) && ROW_HAS(r, VSIB) && one_in(4))
            ea += 0xf80;
        if (c->fpu && !one_in(8))
            ea &= ROW_HAS(r, EVEX) && one_in(2) ? ~63ull : ~15ull;
        aim(c, &c->in[0], &e, &in, ea);
        if (is_bit_string(&in) && in.reg != in.base && in.reg != in.index)
            c->init.r[in.reg] = low_part(below(1024) - 512ull, value(), in.opsize);
        if (ROW_HAS(r, VSIB) && !ROW_HAS(r, EVEX))
            set_vector_index(c, &in);
    }
    case_assemble(c);
    aim_indirect_branch(c, &in);
    random_avx512(c);
    narrow(c);
    if (ROW_HAS(r, EVEX) && ROW_HAS(r, VSIB))
        set_evex_index(c, &in);
    if (in.mem && (is_atomic(&in) || ROW_HAS(r, F64)) && in.base < 16 && in.base == in.index)
        return false;
    c->ignore = c->in[0].undef = flags_undefined(&in, (int)(c->init.r[R_CX] & 0xff));
    c->ignore_host = c->ignore & flags_unsettled(&in);
    return true;
}

/* ---- sequences ------------------------------------------------------------------------------------ */

static void choose_regs(struct regs *rg, bool vec)
{
    uint32_t used = 1u << R_SP;
    uint8_t *slot[3] = { &rg->base[0], &rg->base[1], &rg->index };

    rg->fixed = true;
    for (unsigned i = 0; i < 3; i++) {
        unsigned r;
        do
            r = below(rg->bits == 64 ? 16 : 8);
        while (used >> r & 1);
        used |= 1u << r;
        *slot[i] = (uint8_t)r;
    }
    if (rg->bits == 16) {
        rg->base[0] = R_BX;
        rg->base[1] = one_in(2) ? R_DI : R_BP;
        rg->index = R_SI;
    }
    rg->at[0] = DATA_VA + 0x800 + below(64) * (one_in(2) ? 8 : 1);
    rg->at[1] = one_in(8) ? DATA_VA + DATA_BYTES - below(100) : DATA_VA + 0x1000 - below(32);
    rg->index_value = below(16);
    if (vec) {
        rg->aligned = true;
        rg->at[0] = align_down(rg->at[0], 32);
        rg->at[1] = align_down(rg->at[1], 16);
        rg->index_value = 16 * below(3);
    }
}

static bool usable(const struct x86_insn *in, const struct enc *e, const struct regs *rg, uint32_t tainted,
                   uint32_t written)
{
    uint32_t fixed = 1u << rg->base[0] | 1u << rg->base[1] | 1u << rg->index;
    uint32_t w = regs_written(in);

    if (opnd_reg(in, in->row->dst) & 1u << R_SP)
        return false;
    if (avoid(in) || in->addrsize * 8 != rg->bits || flags_read(in) & tainted)
        return false;
    if (ROW_HAS(in->row, REPOK) && written & (1u << R_CX | 1u << R_SI | 1u << R_DI))
        return false;               /* which of two faults comes first is nobody's promise */
    if (!strcmp(in->row->name, "XLAT") && rg->base[0] != R_BX && rg->base[1] != R_BX)
        return false;               /* elsewhere the host may have memory, as sanitizers do */
    if (is_push_pop(in) ? w & fixed : w & (fixed | 1u << R_SP))
        return false;
    if (in->mem && is_atomic(in) && (in->base != rg->base[0] || in->index != REGNO_NONE))
        return false;
    return !is_bit_string(in);
}

static bool seq_row_ok(const struct x86_row *r)
{
    static const char *const not[] = { "RET", "JMP", "CALL", "POPF", "PUSHF", "LOOP", "LOOPE", "LOOPNE", "JCXZ",
                                       "ENTER", "LEAVE", "INT3", "DIV", "IDIV", "LAHF", "BOUND", "INTO", "POPA", "PUSHA", "ARPL", "VCVTPS2PH", "MOVDIR64B",
                                       "CLZERO" };

    /* fault details of these are their own subject */
    if (ROW_HAS(r, VSIB) || strstr(r->name, "MASKMOVDQU") || !strcmp(r->name, "MASKMOVQ"))
        return false;
    if (ROW_HAS(r, REPOK) && !one_in(6))
        return false;
    if (opnd_kind(r->dst) == K_M && opnd_size(r->dst) == Z_t)   /* stored in two pieces */
        return false;
    if (r->op == 0xd9 && r->arg)            /* FSTP's alias pops empty registers silently */
        return false;
    if (!strcmp(r->name, "JMP") || !strcmp(r->name, "JCXZ"))
        return opnd_kind(r->a) == K_J || opnd_kind(r->a) == K_Jz;
    return !NAMED(r->name, not) || (strcmp(r->name, "DIV") == 0 && one_in(4)) ||
           (!strcmp(r->name, "LAHF"));
}

/* atomic operands must not straddle cache lines */
static bool line_ok(const struct x86_insn *in, const struct regs *rg)
{
    uint64_t ea = rg->at[0] + (uint64_t)(int64_t)in->disp;

    return !is_atomic(in) || !in->mem || (ea & 63) + mem_bytes(in) <= 64;
}

/* DEC reg; JNZ back to the start, with a small count */
static void close_loop(struct tcase *c, const struct regs *rg, uint32_t written)
{
    unsigned r;

    for (r = 0; r < (rg->bits == 64 ? 16u : 8u); r++)
        if (!(written >> r & 1) && r != R_SP && r != rg->base[0] && r != rg->base[1] && r != rg->index)
            break;
    if (r >= (rg->bits == 64 ? 16u : 8u) || c->n + 2 > MAX_INS)
        return;
    for (unsigned i = 0; i < c->n; i++)
        if (c->in[i].target > (int)c->n)    /* none past the DEC */
            c->in[i].target = (int8_t)c->n;
    c->init.r[r] = 1 + below(6);
    c->in[c->n++] = (struct ins){ .b = { 0x48 | r >> 3, 0xff, (uint8_t)(0xc8 | (r & 7)) }, .n = 3, .target = -1 };
    if (rg->bits != 64)
        c->in[c->n - 1] = (struct ins){ .b = { 0xff, (uint8_t)(0xc8 | r) }, .n = 2, .target = -1 };
    c->in[c->n++] = (struct ins){ .b = { 0x0f, 0x85 }, .n = rg->bits == 16 ? 4 : 6,
                                    .rel = rg->bits == 16 ? 2 : 4, .target = 0 };
}

static void add_bytes(struct tcase *c, const uint8_t *b, unsigned n, unsigned rel, int target)
{
    struct ins *i = &c->in[c->n++];

    *i = (struct ins){ .n = (uint8_t)n, .rel = (uint8_t)rel, .target = (int8_t)target };
    memcpy(i->b, b, n);
}

/* a store into the first instruction's immediate */
static void add_self_store(struct tcase *c)
{
    static const struct { uint8_t b[12], n, at; } forms[] = {
        { { 0xc6, 0x05, 0, 0, 0, 0, 0x5a }, 7, 2 },                          /* MOV byte */
        { { 0xc7, 0x05, 0, 0, 0, 0, 1, 0, 0, 0x80 }, 10, 2 },                /* MOV dword */
        { { 0x66, 0xc7, 0x05, 0, 0, 0, 0, 0xcd, 0xab }, 9, 3 },              /* MOV word */
        { { 0x81, 0x05, 0, 0, 0, 0, 0x78, 0x56, 0x34, 0x12 }, 10, 2 },       /* ADD dword */
        { { 0xfe, 0x05, 0, 0, 0, 0 }, 6, 2 },                                /* INC byte */
        { { 0xf0, 0x01, 0x05, 0, 0, 0, 0 }, 7, 3 },                          /* LOCK ADD dword, eax */
        { { 0x88, 0x25, 0, 0, 0, 0 }, 6, 2 },                                /* MOV byte, ah */
        { { 0x0f, 0xc1, 0x15, 0, 0, 0, 0 }, 7, 3 },                          /* XADD dword, edx */
    };
    unsigned f = below(ARRAY_SIZE(forms));

    add_bytes(c, forms[f].b, forms[f].n, 0, -1);
    c->in[c->n - 1].rip_at = forms[f].at;
    c->in[c->n - 1].ea_ins = 1;
}

/* Up to @want instructions of @rows appended to the case; those of the stack too, or not. */
static void add_plain(struct tcase *c, const uint16_t *rows, unsigned n_rows, const struct regs *rg,
                      const struct x86_model *m, unsigned want, uint32_t *written)
{
    struct x86_insn in;
    struct enc e;

    for (unsigned tries = 0; want && tries < 200; tries++) {
        unsigned row = rows[below(n_rows)];
        if (one_in(8)) {
            add_self_store(c);
            want--;
            continue;
        }
        if (!seq_row_ok(&x86_rows[row]) || ROW_HAS(&x86_rows[row], REPOK) ||
            !encode(&e, &x86_rows[row], rg, m, &in) || is_push_pop(&in) || is_atomic(&in) ||
            !usable(&in, &e, rg, EF_ARITH, *written))
            continue;
        struct ins *i = &c->in[c->n];
        set_insn(i, &e, &in, row);
        if (i->rel)
            continue;
        if (in.mem && in.base == REGNO_RIP) {
            i->rip_at = (uint8_t)e.disp_at;
            i->ea = DATA_VA + 0x800 + below(64);
            if (mem_bytes(&in) <= 4 && one_in(2))
                i->ea_ins = 1;
        }
        i->undef = flags_undefined(&in, -1);
        c->ignore |= i->undef;
        *written |= regs_written(&in);
        c->n++;
        want--;
    }
}

/*
 *   0: add patched, imm32
 *      ...   call f   ...   dec counter   jnz 0   jmp end
 *   f: ...   ret
 * Instructions with a RIP-relative operand may store into the first one.
 */
bool gen_program(struct tcase *c, const uint16_t *rows, unsigned n_rows, unsigned bits,
                 const struct x86_model *m)
{
    struct regs rg = { .bits = bits, .fixed = true };
    unsigned n_regs = bits == 64 ? 16 : 8, counter, patched, call;
    uint32_t written = 0, fixed;

    c->n = 0;
    c->bits = bits;
    c->fpu = c->approximate = false;
    c->ignore = 0;
    c->off = one_in(4) ? 0xfc0 + below(64) : 0x100 + below(16);
    choose_regs(&rg, false);
    random_state(c);
    fixed = 1u << rg.base[0] | 1u << rg.base[1] | 1u << rg.index | 1u << R_SP;
    do
        counter = below(8);
    while ((fixed | 1u << R_DX) >> counter & 1);
    if (fixed >> R_DX & 1 || (c->off & 63) > 54)     /* XADD's; no split locks */
        return false;
    rg.index = (uint8_t)counter;               /* nothing else writes it then */
    fixed |= 1u << counter;
    do
        patched = below(8);
    while (fixed >> patched & 1);
    add_bytes(c, (uint8_t[]){ 0x81, (uint8_t)(0xc0 | patched), 1, 2, 3, 4 }, 6, 0, -1);
    add_plain(c, rows, n_rows, &rg, m, below(4), &written);
    call = c->n;
    add_bytes(c, (uint8_t[]){ 0xe8, 0, 0, 0, 0 }, 5, 4, 0);
    add_plain(c, rows, n_rows, &rg, m, below(3), &written);
    add_bytes(c, (uint8_t[]){ 0xff, (uint8_t)(0xc8 | counter) }, 2, 0, -1);
    add_bytes(c, (uint8_t[]){ 0x0f, 0x85, 0, 0, 0, 0 }, 6, 4, 0);
    add_bytes(c, (uint8_t[]){ 0xe9, 0, 0, 0, 0 }, 5, 4, MAX_INS);
    c->in[call].target = (int8_t)c->n;
    add_plain(c, rows, n_rows, &rg, m, below(3), &written);
    add_bytes(c, (uint8_t[]){ 0xc3 }, 1, 0, -1);
    for (unsigned i = 0; i < n_regs; i++)
        if (i == counter)
            c->init.r[i] = 1 + below(5);
    c->init.r[rg.base[0]] = rg.at[0];
    c->init.r[rg.base[1]] = rg.at[1];
    c->init.r[R_SP] = STACK_VA + 0x800;
    c->ignore = EF_ARITH;
    narrow(c);
    case_assemble(c);
    return true;
}

bool gen_sequence(struct tcase *c, const uint16_t *rows, unsigned n_rows, unsigned bits,
                  const struct x86_model *m)
{
    uint32_t tainted = 0, written = 0, read = 0;
    unsigned want = 2 + below(7);
    struct regs rg = { .bits = bits, .fixed = true };
    struct x86_insn in;
    struct enc e;

    c->n = 0;
    c->bits = bits;
    c->fpu = c->approximate = false;
    c->ignore = 0;
    c->off = one_in(6) ? 0xfc0 + below(64) : 0x100 + below(16);
    for (unsigned i = 0; i < n_rows && !c->fpu; i++)
        c->fpu = is_vec_row(&x86_rows[rows[i]]);
    choose_regs(&rg, c->fpu);
    random_state(c);
    for (unsigned tries = 0; c->n < want && tries < 200; tries++) {
        unsigned row = rows[below(n_rows)];
        if (!seq_row_ok(&x86_rows[row]) || !encode(&e, &x86_rows[row], &rg, m, &in) ||
            !usable(&in, &e, &rg, tainted, written) || !line_ok(&in, &rg))
            continue;
        struct ins *i = &c->in[c->n];
        set_insn(i, &e, &in, row);
        if (in.mem && in.base == REGNO_RIP) {
            i->rip_at = (uint8_t)e.disp_at;
            i->ea = DATA_VA + 0x800 + below(64) * (rg.aligned ? 16 : 1);
            if (is_atomic(&in))
                continue;
        }
        if (i->rel)
            i->target = (int8_t)(c->n + 1 + below(3));
        i->undef = flags_undefined(&in, -1);
        tainted = (tainted & ~flags_written(&in)) | i->undef;
        c->ignore |= tainted;
        read |= flags_read(&in);
        written |= regs_written(&in) | opnd_reg(&in, in.row->a) | opnd_reg(&in, in.row->b) | opnd_reg(&in, in.row->dst);
        c->n++;
    }
    /* branches may skip what would have cleared an undefined flag: once there are
     * both, nothing may have read one */
    for (unsigned i = 0; i < c->n; i++)
        if (c->in[i].rel && read & c->ignore)
            return false;
    for (unsigned i = 0; i < c->n; i++)
        if (ROW_HAS(&x86_rows[c->in[i].row], REPOK)) {
            c->init.r[R_CX] = below(20);
            c->init.r[R_SI] = DATA_VA + 0x400;
            c->init.r[R_DI] = DATA_VA + 0xc00;
            written |= 0xffff;
        }
    c->init.r[rg.base[0]] = rg.at[0];
    c->init.r[rg.base[1]] = rg.at[1];
    c->init.r[rg.index] = rg.index_value;
    c->init.r[R_SP] = STACK_VA + 0x800 + (one_in(4) ? below(16) : 0);
    if (one_in(3) && !(read & c->ignore))
        close_loop(c, &rg, written);
    random_avx512(c);
    narrow(c);
    case_assemble(c);
    return c->n >= 2;
}
