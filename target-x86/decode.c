/*
 * decode.c - bytes of guest code to struct x86_insn, by table
 *
 * prefixes -> REX/VEX/EVEX -> opcode map -> modrm, sib, displacement -> row ->
 * immediates. Nothing asks whether there are bytes left but the loop over prefixes: at most X86_DECODE_ROOM
 * are read, and whoever has fewer gets a copy with room behind it. At the end it shows whether too many were taken.
 */
#include "target-x86/decode-int.h"
#include "target-x86/insn-table.h"

/* Whatever takes it is PART of decode(), so that it lives in registers: a byte stored through `in` could change it otherwise, as
 * far as C knows. */
#define PART static inline __attribute__((always_inline))
struct dec {
    const uint8_t *p, *end;
    struct x86_insn *in;
    const struct x86_model *m;
    uint32_t cond;         /* low attribute bits that describe the instruction */
};

PART uint8_t get8(struct dec *d) { return *d->p++; }

/* @n bytes, zero-extended */
PART uint64_t get_n(struct dec *d, unsigned n)
{
    uint64_t v = ldl64(d->p);

    d->p += n;
    return n < 8 ? v & size_mask(n) : v;
}

/* ---- prefixes --------------------------------------------------------------- */

/* what a byte is as a prefix: 0 none, 1..6 segment + 1, then the others */
enum { PB_66 = 7, PB_67, PB_LOCK, PB_REPNE, PB_REP };
static const uint8_t prefix_byte[256] = {
    [0x26] = S_ES + 1, [0x2e] = S_CS + 1, [0x36] = S_SS + 1, [0x3e] = S_DS + 1,
    [0x64] = S_FS + 1, [0x65] = S_GS + 1, [0x66] = PB_66, [0x67] = PB_67,
    [0xf0] = PB_LOCK, [0xf2] = PB_REPNE, [0xf3] = PB_REP,
};

static void take_prefix(struct x86_insn *in, unsigned pb)
{
    switch (pb) {
    case PB_66:
        in->prefixes |= PFX_OPSIZE;
        break;
    case PB_67:
        in->prefixes |= PFX_ADSIZE;
        break;
    case PB_LOCK:
        in->prefixes |= PFX_LOCK;
        break;
    case PB_REPNE:
        in->prefixes = (in->prefixes & ~PFX_REP) | PFX_REPNE;
        break;
    case PB_REP:
        in->prefixes = (in->prefixes & ~PFX_REPNE) | PFX_REP;
        break;
    default:
        /* 64-bit code ignores ES, CS, SS, DS overrides */
        if (in->bits == 64 && pb - 1 < S_FS)
            break;
        in->prefixes |= PFX_SEG;
        in->seg_ovr = pb - 1;
        break;
    }
}

/* prefixes and REX; returns the byte after them */
PART uint8_t get_prefixes(struct dec *d)
{
    struct x86_insn *in = d->in;
    uint8_t c;

    while (d->p < d->end) {
        c = get8(d);
        if (unlikely(prefix_byte[c])) {
            in->rex = 0;           /* a REX counts only right before the opcode */
            take_prefix(in, prefix_byte[c]);
        } else if (in->bits == 64 && (c & 0xf0) == 0x40) {
            in->rex = c;
        } else {
            return c;
        }
    }
    d->p++;                        /* too short */
    return 0;
}

static inline void set_sizes(struct x86_insn *in)
{
    bool op66 = in->prefixes & PFX_OPSIZE, ad67 = in->prefixes & PFX_ADSIZE;
    unsigned w = in->rex >> 3 & 1;

    in->w = (uint8_t)w;
    if (in->bits == 64) {
        in->opsize = w ? 8 : op66 ? 2 : 4;
        in->addrsize = ad67 ? 4 : 8;
    } else {
        bool big = in->bits == 32;
        in->opsize = big != op66 ? 4 : 2;
        in->addrsize = big != ad67 ? 4 : 2;
    }
}

/* ---- opcode maps ---------------------------------------------------------------- */

/* after C4 or C5; returns false for an encoding that is always #UD */
PART bool get_vex(struct dec *d, uint8_t first)
{
    struct x86_insn *in = d->in;
    uint8_t v = get8(d), rxb, map = MAP_0F;
    bool bad = in->rex || (in->prefixes & (PFX_LOCK | PFX_REP | PFX_REPNE | PFX_OPSIZE));

    if (first == 0xc4) {
        rxb = ~v >> 5 & 7;          /* R X B, inverted in the encoding */
        map = v & 31;
        v = get8(d);
        in->w = v >> 7;
    } else {
        rxb = (~v >> 7 & 1) << 2;
        in->w = 0;
    }
    if (in->bits != 64)
        rxb = 0;
    in->enc = ENC_VEX;
    in->rex = 0x40 | (in->bits == 64 ? in->w << 3 : 0) | rxb;
    in->vvvv = ~v >> 3 & 15;
    if (in->bits != 64)
        in->vvvv &= 7;
    in->l = v >> 2 & 1;
    in->pp = v & 3;
    in->map = map;
    in->opcode = get8(d);
    if (in->bits == 64)
        in->opsize = in->w ? 8 : 4;
    else
        in->opsize = 4;
    return !bad && map >= MAP_0F && map <= MAP_0F3A;
}

/* after 62; returns false for an encoding that is always #UD */
PART bool get_evex(struct dec *d)
{
    struct x86_insn *in = d->in;
    bool bad = in->rex || (in->prefixes & (PFX_LOCK | PFX_REP | PFX_REPNE | PFX_OPSIZE));
    uint8_t p0 = get8(d), p1 = get8(d), p2 = get8(d);
    bool wide = in->bits == 64;

    in->enc = ENC_EVEX;
    in->p0 = p0;
    in->map = p0 & 7;
    in->w = p1 >> 7;
    in->rex = 0x40 | (wide ? in->w << 3 | (~p0 >> 5 & 7) : 0);
    in->vvvv = (~p1 >> 3 & 15) | (~p2 >> 3 & 1) << 4;
    if (!wide)
        in->vvvv &= 7 | 16;         /* V' must be 1, too: set_evex_regs() */
    in->pp = p1 & 3;
    in->z = p2 >> 7;
    in->l = p2 >> 5 & 3;
    in->bcast = p2 >> 4 & 1;
    in->aaa = p2 & 7;
    in->opcode = get8(d);
    in->opsize = wide && in->w ? 8 : 4;
    return !bad && !(p0 & 8) && (p1 & 4) && in->map >= MAP_0F && in->map <= MAP_0F3A;
}

PART void get_legacy_map(struct dec *d, uint8_t c)
{
    struct x86_insn *in = d->in;

    in->map = MAP_1B;
    if (c == 0x0f) {
        c = get8(d);
        in->map = MAP_0F;
        if (c == 0x38 || c == 0x3a) {
            in->map = c == 0x38 ? MAP_0F38 : MAP_0F3A;
            c = get8(d);
        }
    }
    in->opcode = c;
    if (in->prefixes)
        in->pp = in->prefixes & PFX_REPNE ? 3 : in->prefixes & PFX_REP ? 2 :
                 in->prefixes & PFX_OPSIZE ? 1 : 0;
}

/* ---- modrm ------------------------------------------------------------------------ */

PART void modrm16(struct dec *d, unsigned mod, unsigned rm)
{
    static const uint8_t base[8] = { R_BX, R_BX, R_BP, R_BP, R_SI, R_DI, R_BP, R_BX };
    static const uint8_t index[8] = { R_SI, R_DI, R_SI, R_DI, REGNO_NONE, REGNO_NONE,
                                      REGNO_NONE, REGNO_NONE };
    struct x86_insn *in = d->in;

    in->base = base[rm];
    in->index = index[rm];
    if (mod == 0 && rm == 6) {
        in->base = REGNO_NONE;
        in->disp = (int16_t)get_n(d, 2);
    } else if (mod == 1) {
        in->disp = (int8_t)get8(d);
    } else if (mod == 2) {
        in->disp = (int16_t)get_n(d, 2);
    }
    in->seg = in->base == R_BP ? S_SS : S_DS;
}

PART void get_sib(struct dec *d, unsigned mod, unsigned *disp_bytes)
{
    struct x86_insn *in = d->in;
    uint8_t sib = get8(d);
    unsigned index = (sib >> 3 & 7) | (in->rex & 2) << 2;
    unsigned base = sib & 7;

    in->scale = sib >> 6;
    in->index = index;              /* 4: none, but a vector register with VSIB */
    if (base == 5 && mod == 0) {
        *disp_bytes = 4;
        in->base = REGNO_NONE;
    } else {
        in->base = base | (in->rex & 1) << 3;
    }
}

PART void modrm32(struct dec *d, unsigned mod, unsigned rm)
{
    struct x86_insn *in = d->in;
    unsigned disp_bytes = mod == 1 ? 1 : mod == 2 ? 4 : 0;

    in->index = REGNO_NONE;
    if (rm == 4) {
        get_sib(d, mod, &disp_bytes);
    } else if (mod == 0 && rm == 5) {
        disp_bytes = 4;
        in->base = in->bits == 64 ? REGNO_RIP : REGNO_NONE;
    } else {
        in->base = rm | (in->rex & 1) << 3;
    }
    if (disp_bytes == 1)
        in->disp = (int8_t)get8(d);
    else if (disp_bytes == 4)
        in->disp = (int32_t)get_n(d, 4);
    in->seg = in->base == R_SP || in->base == R_BP ? S_SS : S_DS;
}

/* what ModRM says of itself: reg, rm, and mod as if there were a memory operand */
#define COND(n) ((1u << AB_X0) << ((n) >> 3 & 7) | (1u << AB_RM0) << ((n) & 7) | 1u << ((n) < 0xc0 ? AB_MEM : AB_REG))
#define COND4(n) COND(n), COND((n) + 1), COND((n) + 2), COND((n) + 3)
#define COND16(n) COND4(n), COND4((n) + 4), COND4((n) + 8), COND4((n) + 12)
#define COND64(n) COND16(n), COND16((n) + 16), COND16((n) + 32), COND16((n) + 48)
static const uint32_t modrm_cond[256] = { COND64(0), COND64(64), COND64(128), COND64(192) };

PART void get_modrm(struct dec *d)
{
    struct x86_insn *in = d->in;
    uint8_t c = get8(d);
    unsigned mod = c >> 6, rm = c & 7, rex = in->rex;

    in->has_modrm = true;
    in->modrm = c;
    in->reg = (uint8_t)((c >> 3 & 7) | (rex & 4) << 1);
    in->rm = (uint8_t)(rm | (rex & 1) << 3);
    d->cond |= modrm_cond[c];
    if (mod == 3)
        return;
    if (in->map == MAP_0F && (in->opcode & 0xfc) == 0x20) {      /* MOV to and from CR and DR: a register whatever mod says */
        d->cond ^= 1u << AB_MEM | 1u << AB_REG;
        return;
    }
    in->mem = true;
    if (in->addrsize == 2)
        modrm16(d, mod, rm);
    else
        modrm32(d, mod, rm);
    if (in->seg_ovr != REGNO_NONE)
        in->seg = in->seg_ovr;
    else if (in->bits == 64)
        in->seg = S_DS;             /* no limit, no base: SS only matters for #SS */
}

/* EVEX: the register numbers' high bits, what b means, and with it the length */
PART void set_evex_form(struct dec *d)
{
    struct x86_insn *in = d->in;

    if (in->bits == 64) {
        in->reg |= ~in->p0 & 16;
        if (!in->mem)
            in->rm |= (in->rex & 2) << 3;
    }
    if (in->bcast && !in->mem) {
        in->bcast = false;
        in->rc = 1 + in->l;
        in->l = 2;
    }
    d->cond |= in->l < 3 ? 1u << (AB_L0 + in->l) : 0;
}

/* ---- rows ---------------------------------------------------------------------------- */

static inline bool model_has(const struct x86_model *m, unsigned ft)
{
    return !m || (m->feat[x86_ft_bits[ft].word] >> x86_ft_bits[ft].bit & 1);
}

static inline bool has_feature(const struct x86_insn *in, const struct x86_model *m, const struct x86_row *r)
{
    unsigned ft = r->attr >> AB_FT_SHIFT;

    if (unlikely(r->vl) && in->l < 2 && !model_has(m, FT_AVX512VL))
        return false;
    return likely(!ft) || model_has(m, ft);
}

/* Do the prefix's fields fit the registers that @r names? Opmasks are k0..k7: other
 * numbers in reg and vvvv are #UD, in rm the extension bits do not count. */
static bool regs_ok(const struct x86_insn *in, const struct x86_row *r)
{
    const unsigned o[3] = { r->dst, r->a, r->b };

    for (unsigned i = 0; i < 3; i++) {
        enum opnd_kind k = opnd_kind(o[i]);
        if ((k == K_KR && in->reg > 7) || (k == K_KV && in->vvvv > 7) ||
            (k == K_G && in->reg > 15))
            return false;
    }
    return true;
}

/* Intel SDM vol. 2A, 2.7.5 and tables 2-43 to 2-58: what is #UD with this row */
static bool evex_ok(const struct x86_insn *in, const struct x86_row *r)
{
    enum opnd_kind dk = opnd_kind(r->dst);

    if (in->l == 3 || !regs_ok(in, r))
        return false;
    if ((in->bcast && !(r->arg & EV_BC)) || (in->rc && !(r->arg & (EV_RC | EV_SAE))))
        return false;
    if (in->aaa ? !(r->arg & EV_K) : in->z || (r->arg & EV_KREQ))
        return false;
    if (in->z && (!(r->arg & EV_Z) || (in->mem && (dk == K_W || dk == K_M))))
        return false;
    if (ROW_HAS(r, VSIB))           /* V' belongs to the index register */
        return !(in->vvvv & 15) && (in->modrm & 7) == 4 && in->addrsize != 2;
    return r->vvvv ? in->bits == 64 || in->vvvv < 8 : !in->vvvv;
}

static inline bool fits(const struct x86_insn *in, const struct x86_model *m, uint32_t cond, const struct x86_row *r)
{
    if ((cond & r->forbid) || !has_feature(in, m, r))
        return false;
    if (likely(in->enc == ENC_LEGACY))
        return true;
    return in->enc == ENC_EVEX ? evex_ok(in, r) : (r->vvvv || !in->vvvv) && regs_ok(in, r);
}

/* walk the rows of @op backwards from row number @i */
static const struct x86_row *find_in(const struct x86_insn *in, const struct x86_model *m, uint32_t cond, unsigned i, unsigned op)
{
    for (; i; i--) {
        const struct x86_row *r = &x86_rows[i];
        if (op - r->op > r->span)
            break;
        if (fits(in, m, cond, r))
            return r;
    }
    return &x86_rows[0];
}

static const struct x86_row *find_row(const struct x86_insn *in, const struct x86_model *m, uint32_t cond, unsigned op)
{
    const struct x86_row *r = &x86_rows[0];

    if (x86_last_int_row[op])
        r = find_in(in, m, cond, x86_last_int_row[op], op);
    if (r == &x86_rows[0] && x86_last_simd_row[op])
        r = find_in(in, m, cond, x86_last_simd_row[op], op);
    if (r == &x86_rows[0] && x86_last_evex_row[op])
        r = find_in(in, m, cond, x86_last_evex_row[op], op);
    return r;
}

PART void set_conditions(struct dec *d)
{
    const struct x86_insn *in = d->in;

    d->cond = in->bits == 64 ? 1u << AB_ONLY64 : 1u << AB_NO64;
    d->cond |= in->w ? 1u << AB_W1 : 1u << AB_W0;
    if (likely(!in->enc && !in->prefixes)) {
        d->cond |= 1u << AB_PNP | 1u << AB_L0;
        return;
    }
    d->cond |= (1u << AB_PNP) << in->pp;
    if (in->enc != ENC_EVEX)
        d->cond |= (1u << AB_L0) << in->l;
}

/* ---- immediates ------------------------------------------------------------------------ */

PART void get_imm(struct dec *d, const struct x86_row *r)
{
    struct x86_insn *in = d->in;
    unsigned n;

    switch (r->imm) {
    case IMM_B:
        in->imm = (int8_t)get8(d);
        break;
    case IMM_W:
        in->imm = get_n(d, 2);
        break;
    case IMM_Z:
        n = MIN(in->opsize, 4);
        in->imm = sext(get_n(d, n), n);
        break;
    case IMM_V:
        in->imm = sext(get_n(d, in->opsize), in->opsize);
        break;
    case IMM_O:
        in->imm = get_n(d, in->addrsize);
        break;
    case IMM_A:
        in->imm = get_n(d, MIN(in->opsize, 4));
        in->imm2 = get_n(d, 2);
        break;
    }
    if (ROW_HAS(r, IMM8) && ((r->dst | r->a | r->b) >> 10 & 7))
        in->imm2 = get8(d);
}

static inline void row_sizes(struct x86_insn *in, const struct x86_row *r)
{
    if (!(r->attr & (A_(D64) | A_(F64))) || in->bits != 64)
        return;
    if (ROW_HAS(r, F64) || !(in->prefixes & PFX_OPSIZE) || in->w)
        in->opsize = 8;
}

/* a vector index's high bit; disp8 counts in units of the operand (SDM vol. 2A, 2.7.5) */
static void set_evex_mem(struct x86_insn *in)
{
    uint32_t arg = in->row->arg;

    if (ROW_HAS(in->row, VSIB))
        in->index |= in->vvvv & 16;
    if (in->modrm >> 6 == 1)
        in->disp *= (int32_t)(ROW_HAS(in->row, VSIB) || (arg & EV_COMPACT) ? ev_mem_elem(arg)
                                                                           : insn_mem_bytes(in));
}

/* The row that is tried first. */
static inline unsigned first_row(unsigned op)
{
    unsigned i = x86_last_int_row[op];

    if (unlikely(!i))
        i = x86_last_simd_row[op];
    return likely(i) ? i : x86_last_evex_row[op];
}

/* opcode bytes are known; the rest by the table. False: no such instruction */
PART bool get_rest(struct dec *d)
{
    struct x86_insn *in = d->in;
    unsigned op = (in->map | in->enc * MAP_VEX) << 8 | in->opcode;
    const struct x86_row *r = &x86_rows[first_row(op)];

    _Static_assert(ENC_VEX * MAP_VEX == MAP_VEX && ENC_EVEX * MAP_VEX == MAP_EVEX, "maps by encoding");
    set_conditions(d);
    if (r->modrm)
        get_modrm(d);
    if (in->enc == ENC_EVEX)
        set_evex_form(d);
    if (unlikely(!fits(in, d->m, d->cond, r)))
        r = find_row(in, d->m, d->cond, op);
    in->row = r;
    if (unlikely(r == &x86_rows[0]))
        return false;
    row_sizes(in, r);
    if (in->mem && in->index == 4 && !ROW_HAS(r, VSIB))
        in->index = REGNO_NONE;
    if (in->enc == ENC_EVEX && in->mem)
        set_evex_mem(in);
    if (r->imm)
        get_imm(d, r);
    return true;
}

/* C4, C5: VEX in 64-bit code, else only when the next byte looks like mod 3 */
PART bool is_vex(const struct dec *d, uint8_t c)
{
    if (c != 0xc4 && c != 0xc5)
        return false;
    return d->in->bits == 64 || (d->p < d->end && *d->p >= 0xc0);
}

/* 62: BOUND unless in 64-bit code or followed by what looks like mod 3 */
PART bool is_evex(const struct dec *d, uint8_t c)
{
    return c == 0x62 && (d->in->bits == 64 || (d->p < d->end && *d->p >= 0xc0));
}

/* @bytes have X86_DECODE_ROOM behind them, of which @len are code. */
static int decode(const uint8_t *bytes, unsigned len, unsigned bits, const struct x86_model *m, struct x86_insn *in)
{
    struct dec d = { .p = bytes, .end = bytes + MIN(len, 15u), .in = in, .m = m };
    bool ok = true;
    uint8_t c;

    memset(in, 0, sizeof(*in));
    in->row = &x86_rows[0];
    in->bits = (uint8_t)bits;
    in->seg_ovr = REGNO_NONE;
    in->seg = S_DS;
    c = get_prefixes(&d);
    set_sizes(in);
    if (is_vex(&d, c))
        ok = get_vex(&d, c);
    else if (is_evex(&d, c))
        ok = get_evex(&d);
    else
        get_legacy_map(&d, c);
    if (ok && likely(d.p <= d.end))
        ok = get_rest(&d);
    if (unlikely(d.p > d.end)) {
        in->err = len >= 15 ? DEC_LONG : DEC_SHORT;
        in->len = in->err == DEC_LONG ? 15 : 0;
        return in->len;
    }
    in->len = (uint8_t)(d.p - bytes);
    if (!ok)
        in->err = DEC_UD;
    return in->len;
}

/* Likewise, without that room */
static __attribute__((noinline)) int decode_copy(const uint8_t *bytes, unsigned len, unsigned bits, const struct x86_model *m,
                                                 struct x86_insn *in)
{
    uint8_t copy[X86_DECODE_ROOM] = { 0 };

    memcpy(copy, bytes, len);
    return decode(copy, len, bits, m, in);
}

int x86_decode_with(const uint8_t *bytes, unsigned len, unsigned bits,
                    const struct x86_model *m, struct x86_insn *in)
{
    return likely(len >= X86_DECODE_ROOM) ? decode(bytes, len, bits, m, in) : decode_copy(bytes, len, bits, m, in);
}

int x86_decode(const uint8_t *bytes, unsigned len, unsigned bits, struct x86_insn *out)
{
    return x86_decode_with(bytes, len, bits, NULL, out);
}

unsigned opnd_bytes(const struct x86_insn *in, unsigned o)
{
    switch (opnd_size(o)) {
    case Z_b: return 1;
    case Z_w: return 2;
    case Z_d: return 4;
    case Z_q: return 8;
    case Z_v: return in->opsize;
    case Z_z: return MIN(in->opsize, 4);
    case Z_y: return in->opsize == 8 ? 8 : 4;
    case Z_dq: return 16;
    case Z_x: return 16u << in->l;
    case Z_qq: return 32;
    case Z_t: return 10;
    case Z_p: return MIN(in->opsize, 8) + 2;
    case Z_xh: return 8u << in->l;
    case Z_xq: return 4u << in->l;
    case Z_xo: return 2u << in->l;
    case Z_n: break;
    }
    return 0;
}

unsigned insn_mem_bytes(const struct x86_insn *in)
{
    const unsigned o[3] = { in->row->dst, in->row->a, in->row->b };

    if (in->bcast)
        return ev_mem_elem(in->row->arg);
    for (unsigned i = 0; i < 3; i++) {
        enum opnd_kind k = opnd_kind(o[i]);
        if (k == K_E || k == K_M || k == K_W || k == K_Q || k == K_KM)
            return opnd_bytes(in, o[i]);
    }
    return 0;
}
