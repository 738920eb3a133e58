/*
 * evex-case.h - random forms of the rows of evex-ops.def, and states to run them on
 */
#ifndef TESTS_EVEX_CASE_H
#define TESTS_EVEX_CASE_H

#include "target-x86/evexx-int.h"
#include "tests/target-x86/vec-random.h"

/* what an EVEX instruction can see, besides memory */
struct evex_state {
    uint32_t mxcsr;
    uint64_t ax;
    uint8_t zmm[32][64];
    uint64_t k[8];
};

static const struct evex_name { uint8_t map, pp, op, w; const char *name; } evex_names[] = {
#define EOP(map, pp, op, w, form, es, ss, attr, name) { map, pp, op, w, #name },
#define EOLD EOP
#include "target-x86/evex-ops.def"
#undef EOP
#undef EOLD
};

struct evex_form { unsigned l; bool mem, bcast, rc; };

static inline bool evex_has_form(const struct erow *r, struct evex_form f)
{
    bool to_mem_only = r->attr & EA_MEM, to_reg_only = r->attr & EA_REG;

    if (f.mem ? to_reg_only : to_mem_only)
        return false;
    if ((f.bcast && (!f.mem || !(r->attr & EA_B))) || (f.rc && (f.mem || !(r->attr & (EA_R | EA_S)))))
        return false;
    if (f.rc && f.l != 2)
        return false;
    if (r->attr & (EA_128 | EA_1))
        return f.l == (f.rc ? 2 : 0);
    return f.l >= (r->attr & EA_512 ? 2u : r->attr & EA_256 ? 1u : 0u);
}

/* opcode digit of the shift groups 71, 72, 73 */
static inline uint8_t evex_digit(const struct evex_name *n, bool bcast)
{
    static const uint8_t d71[] = { 2, 4, 6 }, d72[2][5] = { { 0, 1, 2, 4, 6 }, { 0, 1, 4, 0, 4 } },
                         d73[2][4] = { { 3, 7, 3, 7 }, { 2, 6, 3, 7 } };

    return n->op == 0x71 ? d71[rnd() % 3] : n->op == 0x72 ? d72[n->w][rnd() % 5] : d73[n->w][rnd() % (bcast ? 2 : 4)];
}

static inline unsigned evex_store_bytes(const struct erow *r, const struct evex_name *n, unsigned l)
{
    unsigned bytes = 16u << l;

    if (r->attr & (EA_MOVD | EA_1))
        return r->es;
    if (r->attr & EA_HALF)
        return bytes * r->es / r->ss;
    if (!strcmp(n->name, "extract"))
        return n->op & 2 ? 32 : 16;
    if (!strncmp(n->name, "movlp", 5) || !strncmp(n->name, "movhp", 5))
        return 8;
    return n->op == 0x7e ? r->es : bytes;
}

static inline void evex_set_mask(struct ir_vec *v, const struct erow *r, bool to_mem)
{
    bool to_k = r->form == EF_KBIN || r->form == EF_KUN;

    if (r->attr & EA_NK || rnd() % 4 == 0)
        return;
    v->aaa = 1 + rnd() % 7;
    v->z = !to_mem && !to_k && !(r->attr & EA_NZ && v->rm_kind == VRM_MEM) && rnd() % 2;
}

static inline struct ir_vec evex_make_vec(const struct evex_name *n, const struct erow *r, struct evex_form f)
{
    struct ir_vec v = { .enc = VENC_EVEX, .map = n->map, .pp = n->pp, .opcode = n->op, .w = n->w,
                        .l = (uint8_t)f.l };
    bool vvvv = r->form == EF_BIN || r->form == EF_KBIN || r->form == EF_SHI;

    v.reg = rnd() & 31;
    v.rm = rnd() & 31;
    v.rm_kind = f.mem ? VRM_MEM : r->attr & EA_GPR ? VRM_GPR : r->form == EF_UNK ? VRM_K : VRM_VEC;
    if (r->attr & EA_NZ)                       /* VMOVSS, VMOVSD */
        vvvv = !f.mem;
    if (f.mem && r->form == EF_BIN && !strcmp(n->name, "movs"))
        vvvv = false;
    v.vvvv = vvvv ? rnd() & 31 : 0;
    if (v.rm_kind == VRM_GPR)
        v.rm = 0;
    if (v.rm_kind == VRM_K)
        v.rm &= 7;
    if (r->attr & EA_RGPR)
        v.reg = 0, v.reg_gpr = true;
    if (r->form == EF_KBIN || r->form == EF_KUN)
        v.reg &= 7;
    if (r->form == EF_SHI)
        v.reg = evex_digit(n, f.bcast);
    v.imm = (uint8_t)rnd();
    v.has_imm = r->attr & EA_I;
    if (r->attr & EA_1 && !f.rc)
        v.l = rnd() % 3;
    v.bcast = f.bcast;
    v.rc = f.rc ? 1 + rnd() % 4 : 0;
    v.mem_write = f.mem && r->form == EF_ST;
    v.mem_read = f.mem && !v.mem_write;
    if (f.mem)
        v.mem_bytes = v.mem_write ? (uint8_t)evex_store_bytes(r, n, f.l) : f.bcast ? r->ss : 64;
    if (!(n->op == 0x73 && v.reg & 1))         /* shifts by bytes have no mask */
        evex_set_mask(&v, r, v.mem_write);
    return v;
}

static inline uint64_t half(void)
{
    static const uint16_t s[] = { 0, 0x8000, 1, 0x3ff, 0x400, 0x3c00, 0x7bff, 0x7c00, 0xfc00, 0x7c01, 0x7e00, 0xfe12 };

    return rnd() & 1 ? s[rnd() % ARRAY_SIZE(s)] : rnd() & 0xffff;
}

static inline uint64_t lane(unsigned kind)
{
    uint64_t v = 0;

    for (unsigned i = 0; kind == 7 && i < 4; i++)
        v = v << 16 | half();
    return kind == 7 ? v : operand(kind);
}

/* @unmask: some exceptions are unmasked in some trials */
static inline void evex_random_state(struct evex_state *s, uint8_t *mem, unsigned trial, bool unmask)
{
    unsigned kind = trial % 8;

    memset(s, 0, sizeof(*s));
    s->mxcsr = 0x1f80;
    if (trial % 2)
        s->mxcsr = 0x1f80 | (uint32_t)(rnd() & 0xe040);
    if (trial % 5 == 4 && unmask)     /* some exceptions unmasked, some flags set */
        s->mxcsr = (uint32_t)rnd() & (s->mxcsr & 0x2000 ? 0xffc0 : 0xffff);
    for (unsigned i = 0; i < 32; i++)
        for (unsigned k = 0; k < 8; k++)
            stl64(s->zmm[i] + 8 * k, lane(rnd() % 4 ? kind : (unsigned)(rnd() % 8)));
    for (unsigned i = 0; i < 32; i++)
        if (rnd() % 4 == 0)                    /* equal operands happen */
            memcpy(s->zmm[i], s->zmm[rnd() & 31], 64);
    for (unsigned k = 0; k < 8; k++)
        stl64(mem + 8 * k, lane(kind));
    for (unsigned i = 0; i < 8; i++) {
        uint64_t kind5 = rnd() % 5, bits = rnd();
        s->k[i] = kind5 == 0 ? ~0ull : kind5 == 1 ? 0 : kind5 == 2 ? bits & rnd() : bits;
    }
    s->ax = operand(kind % 7);
}

static inline struct x86_cpu *evex_new_cpu(const struct evex_state *s)
{
    struct x86_cpu *c = aligned_alloc(64, align_up(sizeof(*c), 64));

    memset(c, 0, sizeof(*c));
    c->cr0 = CR0_NE | CR0_PE;
    c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    c->fx.mxcsr = s->mxcsr;
    for (unsigned i = 0; i < 32; i++)
        x86_set_zmm(c, i, s->zmm[i]);
    memcpy(c->z.k, s->k, sizeof(s->k));
    return c;
}

#endif
