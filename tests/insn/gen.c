/*
 * gen.c - random encodings of rows of the instruction table
 *
 * Drawn from what the row allows and decoded again: it must come out as that row.
 */
#include "tests/insn/gen-int.h"

static uint64_t rng_state;

void rng_seed(uint64_t seed)
{
    rng_state = (seed + 1) * 0x9e3779b97f4a7c15ull;
    for (int i = 0; i < 4; i++)
        rng();
}

uint64_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state * 0x2545f4914f6cdd1dull >> 8;
}

unsigned below(unsigned n) { return (unsigned)(rng() % n); }
bool one_in(unsigned n) { return below(n) == 0; }

uint64_t value(void)
{
    static const uint64_t corner[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
                                       0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
                                       0x8000000000000000, ~0ull, 31, 32, 63, 64, 8 };
    if (one_in(2))
        return corner[below(ARRAY_SIZE(corner))];
    if (one_in(4))
        return (uint64_t)(int64_t)((int)below(512) - 256);
    return rng() << 32 ^ rng();
}

/* ---- rows ---------------------------------------------------------------------- */

bool named(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(name, list[i]))
            return true;
    return false;
}

/* not the same twice, or the host kernel's answer rather than the CPU's */
static const char *const host_bound[] = {
    "CPUID", "RDTSC", "RDTSCP", "RDPMC", "RDRAND", "RDSEED", "RDPID", "XGETBV", "LSL", "LAR", "VERR",
    "VERW", "SLDT", "STR", "SMSW", "SGDT", "SIDT", "MONITOR", "MWAIT", "RDFSBASE", "RDGSBASE",
    "WRFSBASE", "WRGSBASE", "LSS", "LFS", "LGS", "LDS", "LES", "CALLF", "JMPF", "RETF", "IRET", "RSM",
    "INT", "INT1", "SYSCALL", "SYSRET", "SYSENTER", "SYSEXIT", "INS", "OUTS", "IN", "OUT", "CLI", "STI",
    "CLAC", "STAC", "UD2", "VMCALL", "VMMCALL", "RDPKRU", "WRPKRU",
};
/* results that are not defined to the last bit, or need an image with pointers in it */
static const char *const images[] = {
    "FXSAVE", "FXRSTOR", "XSAVE", "XRSTOR", "XSAVEOPT", "XSAVEC", "XSAVES", "XRSTORS", "FNSTENV",
    "FLDENV", "FNSAVE", "FRSTOR",
};

const char *gen_wanted(unsigned row, unsigned bits, const struct x86_model *m)
{
    const struct x86_row *r = &x86_rows[row];
    unsigned ft = r->attr >> AB_FT_SHIFT & 255;
    const unsigned ops[3] = { r->dst, r->a, r->b };

    if (r->attr & A_(CPL0))
        return "privileged";
    if (r->attr & (bits == 64 ? A_(NO64) : A_(ONLY64)))
        return "not in this mode";
    if (bits != 64 && r->attr & A_(W1) && !(r->attr & (A_(VEX) | A_(EVEX))))
        return "not in this mode";
    if (bits == 16 && r->attr & A_(VSIB))   /* 32-bit addresses only */
        return "not in this mode";
    if (NAMED(r->name, host_bound))
        return "system";
    if (NAMED(r->name, images))
        return "state image";
    for (unsigned i = 0; i < 3; i++)
        if (opnd_kind(ops[i]) == K_S || opnd_kind(ops[i]) == K_Cr || opnd_kind(ops[i]) == K_Dr)
            return "system";
    if (!r->dst && !r->a && (!strcmp(r->name, "POP") || !strcmp(r->name, "PUSH")))
        return "segment register";
    if (ft && m) {
        extern const struct x86_ft_bit { uint8_t word, bit; } x86_ft_bits[];
        if (!(m->feat[x86_ft_bits[ft].word] >> x86_ft_bits[ft].bit & 1))
            return "host lacks it";
    }
    return NULL;
}

static bool intel(void)
{
#ifdef __x86_64__
    return __builtin_cpu_is("intel");
#else
    return true;                         /* our own code does as Intel's */
#endif
}

bool has_avx512(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx512bw");
#else
    return true;                         /* our own code */
#endif
}

bool case_approximate(unsigned row)
{
    static const char *const names[] = {
        "F2XM1", "FYL2X", "FPTAN", "FPATAN", "FYL2XP1", "FSINCOS", "FSIN", "FCOS",
    };
    /* the portable ones are Intel's */
    static const char *const by_vendor[] = {
        "RSQRTPS", "RSQRTSS", "RCPPS", "RCPSS", "VRSQRTPS", "VRSQRTSS", "VRCPPS", "VRCPSS", "VRCP14PS",
        "VRCP14PD", "VRCP14SS", "VRCP14SD", "VRSQRT14PS", "VRSQRT14PD", "VRSQRT14SS", "VRSQRT14SD",
    };

    return NAMED(x86_rows[row].name, names) ||
           (!intel() && NAMED(x86_rows[row].name, by_vendor));
}

bool same_address(const uint8_t *code, unsigned n, unsigned bits, uint32_t error, uint64_t a, uint64_t b)
{
    struct x86_insn in;

    if (a == b)
        return true;
    return !intel() && error & PF_W && a >> 12 == b >> 12 && x86_decode_with(code, n, bits, NULL, &in) > 0 &&
           in.enc != ENC_LEGACY;
}

bool is_vec_row(const struct x86_row *r)
{
    return r > &x86_rows[x86_last_integer_row()];
}

/* ---- encoding ------------------------------------------------------------------- */

static unsigned pick(const struct x86_row *r, unsigned first, unsigned n)
{
    unsigned have[16], k = 0;

    for (unsigned i = 0; i < n; i++)
        if (row_has(r, first + i))
            have[k++] = i;
    return k ? have[below(k)] : below(n);
}

static bool names_any(const struct x86_row *r, unsigned first, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (row_has(r, first + i))
            return true;
    return false;
}

static void put(struct enc *e, unsigned byte) { e->b[e->n++] = (uint8_t)byte; }

static void put_disp(struct enc *e, unsigned n, int32_t v)
{
    e->disp_at = e->n;
    e->disp_n = n;
    stl32(e->b + e->n, (uint32_t)v);
    e->n += n;
}

/* memory operand; @rex: REX bits given (B 1, X 2); bits of addressing registers are set here */
static unsigned put_mem(struct enc *e, const struct x86_row *r, unsigned reg, const struct regs *rg, bool vsib)
{
    unsigned n_regs = rg->bits == 64 ? 16 : 8;
    unsigned mod = below(3), base = below(n_regs), index = below(n_regs), scale = below(4);
    int32_t rip = rg->bits == 64 ? 0 : (int32_t)(DATA_VA + 0x800 + below(64));
    unsigned rex;

    if (!vsib && one_in(rg->near ? 32 : 8)) {   /* [rip + disp32], in 32-bit code [disp32] */
        put(e, 0x05 | reg << 3);
        put_disp(e, 4, rip);
        return 0;
    }
    if (rg->fixed) {
        e->base = (uint8_t)below(rg->near ? 1 : 2);
        base = rg->base[e->base];
        index = (rg->near ? !one_in(12) : one_in(2)) ? 4 : rg->index;
        mod = (base & 7) == 5 && mod == 0 ? 1 : mod;
    }
    rex = base >> 3 | (index >> 3) << 1;
    if (!vsib && (rg->fixed ? index == 4 : one_in(2)) && (base & 7) != 4) {
        put(e, mod << 6 | reg << 3 | (base & 7));
        rex &= 1;
        if (mod == 0 && (base & 7) == 5) {      /* RIP after all */
            put_disp(e, 4, rip);
            return rex;
        }
    } else {
        e->sib = true;
        put(e, mod << 6 | reg << 3 | 4);
        put(e, scale << 6 | (index & 7) << 3 | (base & 7));
        if (mod == 0 && (base & 7) == 5) {
            put_disp(e, 4, (int32_t)(DATA_VA + 0x800 + below(64)));
            return rex;
        }
    }
    if (mod == 1)
        put_disp(e, 1, (int)below(256) - 128);
    else if (mod == 2)
        put_disp(e, 4, one_in(2) ? (int)below(512) - 256 : (int32_t)rng());
    if (rg->fixed && e->disp_n == 4)
        stl32(e->b + e->disp_at, (uint32_t)(rg->near && one_in(2) ? (int)below(1400) - 700 : (int)below(256) - 128));
    if (rg->aligned && e->disp_n && !one_in(8))
        e->b[e->disp_at] &= 0xf0;
    return rex;
}

/* the same with 16-bit addressing; segments start at the data and at the stack */
static void put_mem16(struct enc *e, unsigned reg, const struct regs *rg)
{
    unsigned mod = below(3), rm = below(8);

    if (rg->fixed) {
        e->base = (uint8_t)below(rg->near ? 1 : 2);
        rm = rg->base[e->base] == R_BX ? 7 : rg->base[e->base] == R_DI ? 5 : 6;
        mod = 1;
    }
    put(e, mod << 6 | reg << 3 | rm);
    if (mod == 1)
        put_disp(e, 1, (int)below(256) - 128);
    else if (mod == 2)
        put_disp(e, 2, one_in(2) ? (int)below(512) - 256 : (int32_t)rng());
    else if (rm == 6)
        put_disp(e, 2, (int)(0x800 + below(64)));
}

static void put_legacy_prefixes(struct enc *e, const struct x86_row *r, unsigned bits)
{
    unsigned pp = pick(r, AB_PNP, 4);
    bool free66 = !names_any(r, AB_PNP, 4) || (ROW_HAS(r, PNP) && ROW_HAS(r, P66));

    if (names_any(r, AB_PNP, 4)) {
        if (pp == 1 || (ROW_HAS(r, P66) && free66 && one_in(3)))
            put(e, 0x66);
        if (pp >= 2) {
            if (one_in(6) && !is_vec_row(r))
                put(e, 0x66);
            put(e, pp == 2 ? 0xf3 : 0xf2);
        }
    } else {
        if (one_in(4))
            put(e, 0x66);
        if (ROW_HAS(r, REPOK) && one_in(2))
            put(e, one_in(2) ? 0xf3 : 0xf2);
    }
    if (ROW_HAS(r, LOCKABLE) && one_in(6))
        put(e, 0xf0);
    if (one_in(24) && bits == 64)
        put(e, 0x67);
}

static unsigned put_imm(struct enc *e, const struct x86_row *r, unsigned opsize, unsigned bits)
{
    static const unsigned bytes[] = { 0, 1, 2, 4, 8, 8, 0 };
    unsigned n = bytes[r->imm];
    uint64_t v = value();

    if (r->imm == IMM_Z)
        n = opsize == 2 ? 2 : 4;
    if (r->imm == IMM_V)
        n = opsize;
    if (r->imm == IMM_O)
        n = bits / 8;
    if (r->imm == IMM_O)
        v = (bits == 16 ? 0 : DATA_VA) + 0x700 + below(512);
    memcpy(e->b + e->n, &v, 8);
    e->n += n;
    if (r->imm != IMM_B && ROW_HAS(r, IMM8)) {
        e->b[e->n++] = (uint8_t)below(3);
    }
    return n;
}

/* ModRM and what follows of an EVEX instruction; returns the prefix's X (2) and B (1) */
static unsigned put_evex_modrm(struct enc *m, const struct x86_row *r, const struct regs *rg, bool mem)
{
    unsigned reg = pick(r, AB_X0, 8);

    if (mem && rg->bits == 16 && !ROW_HAS(r, VSIB)) {
        put_mem16(m, reg, rg);
        return 0;
    }
    if (mem)
        return put_mem(m, r, reg, rg, ROW_HAS(r, VSIB));
    put(m, 0xc0 | reg << 3 | below(8));
    return rg->bits == 64 ? below(4) : 0;
}

/* mask, zeroing, L'L, broadcast or rounding as the row allows */
static unsigned evex_p2(const struct x86_row *r, bool mem)
{
    unsigned l = r->arg & EV_SCALAR ? below(3) : pick(r, AB_L0, 3), aaa = 0, z = 0, b = 0;

    if (r->arg & EV_K)
        aaa = one_in(3) && !(r->arg & EV_KREQ) ? 0 : 1 + below(7);
    if (aaa && r->arg & EV_Z)
        z = below(2);
    if (mem ? r->arg & EV_BC : r->arg & (EV_RC | EV_SAE))
        b = one_in(3);
    if (b && !mem)
        l = below(4);
    return z << 7 | l << 5 | b << 4 | aaa;
}

static bool encode_evex(struct enc *e, const struct x86_row *r, const struct regs *rg,
                        const struct x86_model *m, struct x86_insn *in)
{
    bool mem = pick(r, AB_MEM, 2) == 0, wide = rg->bits == 64;
    unsigned vvvv = r->vvvv ? wide ? below(32) : below(8) : 0;
    struct enc modrm = { .n = 0 };
    unsigned xb = put_evex_modrm(&modrm, r, rg, mem);

    if (ROW_HAS(r, VSIB) && wide)
        vvvv = below(2) << 4;                   /* bit 4 of the index */
    put(e, 0x62);
    put(e, (wide ? below(4) << 7 & 0x80 : 0x80) | (~xb & 3) << 5 | (wide ? below(2) << 4 : 0x10) |
           (r->op >> 8 & 3));
    put(e, pick(r, AB_W0, 2) << 7 | (~vvvv & 15) << 3 | 4 | pick(r, AB_PNP, 4));
    put(e, evex_p2(r, mem) | (vvvv & 16 ? 0 : 8));
    put(e, r->op & 0xff);
    modrm.disp_at += modrm.disp_n ? e->n : 0;
    memcpy(e->b + e->n, modrm.b, modrm.n);
    e->n += modrm.n;
    e->disp_at = modrm.disp_at;
    e->disp_n = modrm.disp_n;
    e->base = modrm.base;
    put_imm(e, r, 4, rg->bits);
    return e->n <= 15 && x86_decode_with(e->b, e->n, rg->bits, m, in) == (int)e->n && !in->err && in->row == r;
}

/* A random encoding of @r into @e; decoded into @in. */
bool encode(struct enc *e, const struct x86_row *r, const struct regs *rg,
                   const struct x86_model *m, struct x86_insn *in)
{
    unsigned map = r->op >> 8 & 3, reg = pick(r, AB_X0, 8), rm = pick(r, AB_RM0, 8);
    bool vex = ROW_HAS(r, VEX), mem = r->modrm && pick(r, AB_MEM, 2) == 0, vsib = ROW_HAS(r, VSIB);
    unsigned rex = below(16), want_w = pick(r, AB_W0, 2), ext = 0, opsize = 4;
    struct enc modrm = { .n = 0 };

    *e = (struct enc){ .n = 0 };
    if (ROW_HAS(r, EVEX))
        return encode_evex(e, r, rg, m, in);
    if (rg->bits != 64)
        rex = vex ? rex & 8 : 0;
    if (names_any(r, AB_W0, 2))
        rex = (rex & 7) | want_w << 3;
    if (rex && rg->bits != 64 && !vex)
        return false;
    if (r->modrm) {
        if (mem) {
            if (rg->bits == 16 && !vsib)
                put_mem16(&modrm, reg, rg), ext = 0;
            else
                ext = put_mem(&modrm, r, reg, rg, vsib);
            rex = (rex & ~3u) | ext;
        } else {
            put(&modrm, 0xc0 | reg << 3 | rm);
            rex &= ~2u;
        }
        if (names_any(r, AB_X0, 8) && one_in(4))
            rex &= ~4u;
    }
    if (vex) {
        put(e, 0xc4);
        put(e, (~rex & 7) << 5 | map);
        put(e, (rex >> 3) << 7 | (r->vvvv ? (rg->bits == 64 ? below(16) : 8 + below(8)) : 15) << 3 | pick(r, AB_L0, 2) << 2 |
               pick(r, AB_PNP, 4));
    } else {
        put_legacy_prefixes(e, r, rg->bits);
        if ((rex && one_in(2)) || (mem && ext) || (rex && names_any(r, AB_W0, 2)))
            put(e, 0x40 | rex);
        else
            rex = 0;
        for (unsigned i = 0; i < e->n; i++)
            if (e->b[i] == 0x66)
                opsize = 2;
        if (rg->bits == 16)
            opsize = 6 - opsize;
        if (rex & 8)
            opsize = 8;
        if (map)
            put(e, 0x0f);
        if (map > 1)
            put(e, map == 2 ? 0x38 : 0x3a);
    }
    if (ROW_HAS(r, PLUSC) || ROW_HAS(r, PLUSR))
        put(e, r->op + below(r->span + 1u));
    else
        put(e, r->op);
    modrm.disp_at += modrm.disp_n ? e->n : 0;
    memcpy(e->b + e->n, modrm.b, modrm.n);
    e->n += modrm.n;
    e->disp_at = modrm.disp_at;
    e->disp_n = modrm.disp_n;
    e->base = modrm.base;
    put_imm(e, r, opsize, rg->bits);
    return e->n <= 15 && x86_decode_with(e->b, e->n, rg->bits, m, in) == (int)e->n && !in->err && in->row == r;
}

/* ---- facts about an instruction ----------------------------------------------------- */

/* what the name of a row says; found once a row, names are slow to compare */
enum { FACT_KNOWN = 1, FACT_STACK = 2, FACT_BOTH = 4, FACT_AX = 8, FACT_AX_DX = 16, FACT_CX = 32, FACT_XCHG = 64 };

static unsigned find_facts(const char *name)
{
    static const char *const stack[] = { "PUSH", "POP", "CALL", "RET", "ENTER", "LEAVE", "PUSHF", "POPF",
                                         "PUSHA", "POPA" };
    static const char *const both[] = { "XCHG", "XADD", "MULX" };
    static const char *const ax[] = { "CMPXCHG", "CMPXCHG8B", "CMPXCHG16B", "XLAT", "LAHF", "CBW", "FNSTSW", "DAA", "DAS",
                                      "AAA", "AAS", "AAM", "AAD", "SALC" };
    static const char *const ax_dx[] = { "MUL", "IMUL", "DIV", "IDIV", "CWD", "CMPXCHG8B", "CMPXCHG16B" };
    static const char *const cx[] = { "LOOP", "LOOPE", "LOOPNE", "PCMPESTRI", "PCMPISTRI", "VPCMPESTRI",
                                      "VPCMPISTRI" };

    return FACT_KNOWN | (NAMED(name, stack) ? FACT_STACK : 0) | (NAMED(name, both) ? FACT_BOTH : 0) |
           (NAMED(name, ax) ? FACT_AX : 0) | (NAMED(name, ax_dx) ? FACT_AX_DX : 0) |
           (NAMED(name, cx) ? FACT_CX : 0) | (strcmp(name, "XCHG") ? 0 : FACT_XCHG);
}

static unsigned facts(const struct x86_row *r)
{
    static uint8_t known[4096];
    size_t i = (size_t)(r - x86_rows);

    if (i >= ARRAY_SIZE(known))
        return find_facts(r->name);
    if (!known[i])
        known[i] = (uint8_t)find_facts(r->name);
    return known[i];
}

bool is_push_pop(const struct x86_insn *in)
{
    return facts(in->row) & FACT_STACK;
}

static unsigned byte_reg(const struct x86_insn *in, unsigned n, unsigned o)
{
    return opnd_size(o) == Z_b && !in->rex && n >= 4 && n < 8 ? n - 4 : n;
}

uint32_t opnd_reg(const struct x86_insn *in, unsigned o)
{
    switch (opnd_kind(o)) {
    case K_E: return in->mem ? 0 : 1u << byte_reg(in, in->rm & 15, o);
    case K_R: return 1u << (in->rm & 15);
    case K_G: return 1u << byte_reg(in, in->reg, o);
    case K_Z: return 1u << byte_reg(in, (in->opcode & 7) | (in->rex & 1) << 3, o);
    case K_A: return 1u << R_AX;
    case K_B: return 1u << in->vvvv;
    default: return 0;
    }
}

/* registers that may change */
uint32_t regs_written(const struct x86_insn *in)
{
    const struct x86_row *r = in->row;
    uint32_t w = opnd_reg(in, r->dst), f = facts(r);

    if (is_vec_row(r) && opnd_kind(r->dst) == K_E && !in->mem)
        w |= 1u << in->rm;        /* PEXTRB: EBP, not CH */
    if (f & FACT_BOTH)
        w |= opnd_reg(in, r->a) | opnd_reg(in, r->b);
    if (f & FACT_AX)
        w |= 1u << R_AX;
    if (f & FACT_AX_DX)
        w |= 1u << R_AX | 1u << R_DX;
    if (f & FACT_CX)
        w |= 1u << R_CX;
    if (ROW_HAS(r, REPOK))
        w |= 1u << R_AX | 1u << R_CX | 1u << R_SI | 1u << R_DI;
    if (is_push_pop(in))
        w |= 1u << R_SP | 1u << R_BP;
    return w;
}

/* bytes of the memory operand, as far as known */
unsigned mem_bytes(const struct x86_insn *in)
{
    const unsigned ops[3] = { in->row->dst, in->row->a, in->row->b };
    unsigned n = 0;

    if (in->bcast)
        return insn_mem_bytes(in);
    for (unsigned i = 0; i < 3; i++)
        switch (opnd_kind(ops[i])) {
        case K_E: case K_M: case K_W: case K_Q: case K_KM: n = MAX(n, opnd_bytes(in, ops[i])); break;
        default: break;
        }
    return n ? n : 16;
}

bool is_atomic(const struct x86_insn *in)
{
    return in->prefixes & PFX_LOCK || (facts(in->row) & FACT_XCHG && in->mem);
}
