/*
 * evex_exec.c - portable execution of EVEX instructions against the host CPU
 *
 * Every row of evex-ops.def runs in each of its encodings - vector lengths, memory,
 * broadcast, embedded rounding, merging and zeroing masks - on random and special
 * operands and must agree with silicon in every bit of the 32 vector registers, the
 * opmasks, memory, the general register, flags and MXCSR. Instructions on opmasks
 * follow. A host without AVX-512 skips, saying so.
 */
#include "target-x86/evexx-int.h"
#include "tests/target-x86/vec-native.h"
#include "tests/target-x86/vec-random.h"
#include <criterion/criterion.h>

#ifdef __x86_64__

struct evex_native {
    struct native n;               /* MXCSR, RAX and flags are used */
    uint8_t zmm[32][64];
    uint64_t k[8];
};

static const struct name { uint8_t map, pp, op, w; const char *name; } names[] = {
#define EOP(map, pp, op, w, form, es, ss, attr, name) { map, pp, op, w, #name },
#define EOLD EOP
#include "target-x86/evex-ops.def"
#undef EOP
#undef EOLD
};

/* ---- the host --------------------------------------------------------------------- */

/* vmovdqu64 zmm<r>, [rbx + off] (0x6f) or the store (0x7f) */
static uint8_t *put_zmm(uint8_t *p, unsigned r, uint8_t op)
{
    uint32_t off = (uint32_t)(offsetof(struct evex_native, zmm) + 64 * r);
    uint8_t b[6] = { 0x62, (uint8_t)(0x61 | (~r & 8) << 4 | (~r & 16)), 0xfe, 0x48, op,
                     (uint8_t)(0x83 | (r & 7) << 3) };

    return put_bytes(put_bytes(p, b, 6), &off, 4);
}

/* kmovq k<r>, [rbx + off] (0x90) or the store (0x91) */
static uint8_t *put_k(uint8_t *p, unsigned r, uint8_t op)
{
    uint32_t off = (uint32_t)(offsetof(struct evex_native, k) + 8 * r);
    uint8_t b[5] = { 0xc4, 0xe1, 0xf8, op, (uint8_t)(0x83 | r << 3) };

    return put_bytes(put_bytes(p, b, 5), &off, 4);
}

/* ldmxcsr [rbx + off] (digit 2) or stmxcsr (3) */
static uint8_t *put_mxcsr(uint8_t *p, unsigned digit)
{
    uint32_t off = (uint32_t)(offsetof(struct evex_native, n.fx.mxcsr));
    uint8_t b[3] = { 0x0f, 0xae, (uint8_t)(0x83 | digit << 3) };

    return put_bytes(put_bytes(p, b, 3), &off, 4);
}

static void emit(const uint8_t *insn, unsigned len)
{
    uint8_t *p = native_code();
    uint32_t off = (uint32_t)(offsetof(struct evex_native, n.flags));

    p = put_bytes(p, "\x53\x48\x89\xfb", 4);                  /* push rbx; mov rbx, rdi */
    p = put_mxcsr(p, 2);
    for (unsigned i = 0; i < 32; i++)
        p = put_zmm(p, i, 0x6f);
    for (unsigned i = 0; i < 8; i++)
        p = put_k(p, i, 0x90);
    p = put_gpr(p, 0, offsetof(struct evex_native, n.ax), 0x8b);
    p = put_bytes(p, "\x6a\x02\x9d", 3);                      /* push 2; popfq */
    p = put_bytes(p, insn, len);
    p = put_bytes(p, "\x9c\x8f\x83", 3);                      /* pushfq; pop [rbx + off] */
    p = put_bytes(p, &off, 4);
    p = put_gpr(p, 0, offsetof(struct evex_native, n.ax), 0x89);
    for (unsigned i = 0; i < 32; i++)
        p = put_zmm(p, i, 0x7f);
    for (unsigned i = 0; i < 8; i++)
        p = put_k(p, i, 0x91);
    p = put_mxcsr(p, 3);
    p = put_bytes(p, "\xc5\xf8\x77\x5b\xc3", 5);              /* vzeroupper; pop rbx; ret */
}

/* ---- encodings ------------------------------------------------------------------------ */

struct form { unsigned l; bool mem, bcast, rc; };

static bool has_form(const struct erow *r, struct form f)
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
static uint8_t digit(const struct name *n, bool bcast)
{
    static const uint8_t d71[] = { 2, 4, 6 }, d72[2][5] = { { 0, 1, 2, 4, 6 }, { 0, 1, 4, 0, 4 } },
                         d73[2][4] = { { 3, 7, 3, 7 }, { 2, 6, 3, 7 } };

    return n->op == 0x71 ? d71[rnd() % 3] : n->op == 0x72 ? d72[n->w][rnd() % 5] : d73[n->w][rnd() % (bcast ? 2 : 4)];
}

static unsigned store_bytes(const struct erow *r, const struct name *n, unsigned l)
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

static void set_mask(struct ir_vec *v, const struct erow *r, bool to_mem)
{
    bool to_k = r->form == EF_KBIN || r->form == EF_KUN;

    if (r->attr & EA_NK || rnd() % 4 == 0)
        return;
    v->aaa = 1 + rnd() % 7;
    v->z = !to_mem && !to_k && !(r->attr & EA_NZ && v->rm_kind == VRM_MEM) && rnd() % 2;
}

static struct ir_vec make_vec(const struct name *n, const struct erow *r, struct form f)
{
    struct ir_vec v = { .enc = VENC_EVEX, .map = n->map, .pp = n->pp, .opcode = n->op, .w = n->w,
                        .l = (uint8_t)f.l, .reg = rnd() & 31, .rm = rnd() & 31 };
    bool vvvv = r->form == EF_BIN || r->form == EF_KBIN || r->form == EF_SHI;

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
        v.reg = digit(n, f.bcast);
    v.imm = (uint8_t)rnd();
    v.has_imm = r->attr & EA_I;
    if (r->attr & EA_1 && !f.rc)
        v.l = rnd() % 3;
    v.bcast = f.bcast;
    v.rc = f.rc ? 1 + rnd() % 4 : 0;
    v.mem_write = f.mem && r->form == EF_ST;
    v.mem_read = f.mem && !v.mem_write;
    if (f.mem)
        v.mem_bytes = v.mem_write ? (uint8_t)store_bytes(r, n, f.l) : f.bcast ? r->ss : 64;
    if (!(n->op == 0x73 && v.reg & 1))         /* shifts by bytes have no mask */
        set_mask(&v, r, v.mem_write);
    return v;
}

static unsigned encode(const struct ir_vec *v, uint8_t *p)
{
    unsigned rm = v->rm_kind == VRM_MEM ? 6 : v->rm;       /* [rsi] */
    const uint8_t b[6] = {
        0x62,
        (uint8_t)((~v->reg & 8) << 4 | (~rm & 16) << 2 | (~rm & 8) << 2 | (~v->reg & 16) | v->map),
        (uint8_t)(v->w << 7 | (~v->vvvv & 15) << 3 | 4 | v->pp),
        (uint8_t)(v->z << 7 | (v->rc ? v->rc - 1 : v->l) << 5 | (v->bcast || v->rc) << 4 |
                  (~v->vvvv & 16) >> 1 | v->aaa),
        v->opcode,
        (uint8_t)((v->rm_kind == VRM_MEM ? 0 : 0xc0) | (v->reg & 7) << 3 | (rm & 7)),
    };

    memcpy(p, b, 6);
    p[6] = v->imm;
    return v->has_imm ? 7 : 6;
}

/* ---- comparison ---------------------------------------------------------------------------- */

static uint64_t half(void)
{
    static const uint16_t s[] = { 0, 0x8000, 1, 0x3ff, 0x400, 0x3c00, 0x7bff, 0x7c00, 0xfc00, 0x7c01, 0x7e00, 0xfe12 };

    return rnd() & 1 ? s[rnd() % ARRAY_SIZE(s)] : rnd() & 0xffff;
}

static uint64_t lane(unsigned kind)
{
    if (kind == 7)
        return half() | half() << 16 | half() << 32 | half() << 48;
    return operand(kind);
}

static void random_state(struct evex_native *s, uint8_t *mem, unsigned trial)
{
    unsigned kind = trial % 8;

    memset(s, 0, sizeof(*s));
    s->n.fx.mxcsr = 0x1f80;
    if (trial % 2)
        s->n.fx.mxcsr = 0x1f80 | (uint32_t)(rnd() & 0xe040);
    if (trial % 5 == 4 && host_is_intel())     /* some exceptions unmasked, some flags set */
        s->n.fx.mxcsr = (uint32_t)rnd() & (rnd() & 1 ? 0xffc0 : 0xffff);
    for (unsigned i = 0; i < 32; i++)
        for (unsigned k = 0; k < 8; k++)
            stl64(s->zmm[i] + 8 * k, lane(rnd() % 4 ? kind : (unsigned)(rnd() % 8)));
    for (unsigned i = 0; i < 32; i++)
        if (rnd() % 4 == 0)                    /* equal operands happen */
            memcpy(s->zmm[i], s->zmm[rnd() & 31], 64);
    for (unsigned k = 0; k < 8; k++)
        stl64(mem + 8 * k, lane(kind));
    for (unsigned i = 0; i < 8; i++)
        s->k[i] = rnd() % 5 == 0 ? ~0ull : rnd() % 5 == 0 ? 0 : rnd() & (rnd() & 1 ? ~0ull : rnd());
    s->n.ax = operand(kind % 7);
}

static struct x86_cpu *new_cpu(const struct evex_native *s)
{
    struct x86_cpu *c = aligned_alloc(64, align_up(sizeof(*c), 64));

    memset(c, 0, sizeof(*c));
    c->cr0 = CR0_NE | CR0_PE;
    c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    c->fx.mxcsr = s->n.fx.mxcsr;
    for (unsigned i = 0; i < 32; i++)
        x86_set_zmm(c, i, s->zmm[i]);
    memcpy(c->z.k, s->k, sizeof(s->k));
    return c;
}

static void show(const char *what, const void *p, unsigned n)
{
    fprintf(stderr, "  %s", what);
    for (unsigned i = n; i-- > 0;)
        fprintf(stderr, i % 8 == 7 ? " %02x" : "%02x", ((const uint8_t *)p)[i]);
    fprintf(stderr, "\n");
}

struct outcome { unsigned ran, ill, bad; };
struct one { struct evex_native before, host; uint8_t mem0[64], mem[64], mem2[64]; };

/* what differs, or NULL; *reg: which vector register */
static const char *difference(const struct one *o, const struct ir_vec *v, enum native_result nr,
                              const struct x86_cpu *c, uint64_t gpr, unsigned *reg)
{
    uint8_t z[64];

    if ((nr == NATIVE_FPE) != (c->tcg.exception != 0))
        return "exception";
    if (o->host.n.fx.mxcsr != c->fx.mxcsr)
        return "MXCSR";
    for (*reg = 0; nr == NATIVE_OK && *reg < 32; ++*reg) {
        x86_get_zmm(c, *reg, z);
        if (memcmp(z, o->host.zmm[*reg], 64))
            return "vector register";
    }
    *reg = 0;
    if (nr == NATIVE_OK && memcmp(c->z.k, o->host.k, sizeof(o->host.k)))
        return "opmask";
    if (nr == NATIVE_OK && memcmp(o->mem, o->mem2, 64))
        return "memory";
    if (nr == NATIVE_OK && (v->reg_gpr || v->rm_kind == VRM_GPR) && gpr != o->host.n.ax)
        return "RAX";
    if (nr == NATIVE_OK && x86_fl_to_eflags(c->tcg.fl) != (o->host.n.flags & EF_ARITH))
        return "flags";
    return NULL;
}

static void report(const char *name, const char *bad, const struct one *o, const struct ir_vec *v,
                   enum native_result nr, const struct x86_cpu *c, uint64_t gpr, unsigned reg)
{
    uint8_t z[64];

    fprintf(stderr, "%s: %s %u differs: map %u pp %u op %02x w %u l %u reg %u vvvv %u rm %u kind %u imm %02x "
            "aaa %u z %u bcast %u rc %u\n", name, bad, reg, v->map, v->pp, v->opcode, v->w, v->l,
            v->reg, v->vvvv, v->rm, v->rm_kind, v->imm, v->aaa, v->z, v->bcast, v->rc);
    fprintf(stderr, "  mxcsr %04x host %04x ours %04x exc %u/%u flags %llx/%x ax %llx host %llx ours %llx\n",
            o->before.n.fx.mxcsr, o->host.n.fx.mxcsr, c->fx.mxcsr, nr, c->tcg.exception,
            (unsigned long long)o->host.n.flags & EF_ARITH, x86_fl_to_eflags(c->tcg.fl),
            (unsigned long long)o->before.n.ax, (unsigned long long)o->host.n.ax, (unsigned long long)gpr);
    fprintf(stderr, "  k before %llx host %llx ours %llx\n", (unsigned long long)o->before.k[v->aaa],
            (unsigned long long)o->host.k[v->reg & 7], (unsigned long long)c->z.k[v->reg & 7]);
    show("reg ", o->before.zmm[v->reg & 31], 64);
    show("vvvv", o->before.zmm[v->vvvv & 31], 64);
    show("rm  ", v->rm_kind == VRM_MEM ? o->mem0 : o->before.zmm[v->rm & 31], 64);
    if (memcmp(o->mem, o->mem2, 64)) {
        show("host", o->mem, 64);
        show("ours", o->mem2, 64);
    } else {
        x86_get_zmm(c, reg, z);
        show("host", o->host.zmm[reg], 64);
        show("ours", z, 64);
    }
}

static void one_case(const char *name, const struct ir_vec *v, unsigned trial, struct outcome *sum)
{
    struct one *o = aligned_alloc(64, align_up(sizeof(*o), 64));
    unsigned reg = 0;

    random_state(&o->before, o->mem0, trial);
    o->host = o->before;
    memcpy(o->mem, o->mem0, 64);
    memcpy(o->mem2, o->mem0, 64);
    enum native_result nr = native_run(&o->host.n, o->mem);
    if (nr == NATIVE_ILL) {
        sum->ill++;
        free(o);
        return;
    }
    struct x86_cpu *c = new_cpu(&o->before);
    uint64_t gpr = o->before.n.ax;
    x86_vec_exec(&c->tcg, v, o->mem2, &gpr);
    const char *bad = difference(o, v, nr, c, gpr, &reg);
    sum->ran++;
    if (bad && ++sum->bad <= 2)
        report(name, bad, o, v, nr, c, gpr, reg);
    free(c);
    free(o);
}

static bool host_fits(void)
{
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        return true;
    cr_skip_test("the host has no AVX-512 F, VL, BW and DQ to compare with");
    return false;
}

/* does every row run here? */
static bool host_has_all(void)
{
    return __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512ifma") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16") &&
           __builtin_cpu_supports("avx512bitalg") && __builtin_cpu_supports("avx512vpopcntdq") &&
           __builtin_cpu_supports("gfni") && __builtin_cpu_supports("vaes") &&
           __builtin_cpu_supports("vpclmulqdq");
}

static void run_row(const struct name *n, unsigned trials, struct outcome *sum)
{
    const struct erow *r = evex_row(n->map, n->pp, n->op, n->w);
    struct outcome row = { 0 };

    for (unsigned i = 0; i < 3 * 8; i++) {
        struct form f = { .l = i % 3, .mem = i / 3 & 1, .bcast = i / 6 & 1, .rc = i / 12 & 1 };
        if (!has_form(r, f))
            continue;
        for (unsigned t = 0; t < trials && !row.ill; t++) {
            struct ir_vec v = make_vec(n, r, f);
            uint8_t insn[8];
            emit(insn, encode(&v, insn));
            one_case(n->name, &v, t, &row);
            if (row.ill)
                fprintf(stderr, "%s: not on this host: map %u pp %u op %02x w %u l %u mem %u bcast %u rc %u "
                        "aaa %u z %u\n", n->name, n->map, n->pp, n->op, n->w, f.l, f.mem, f.bcast, v.rc, v.aaa, v.z);
        }
    }
    if (row.bad)
        fprintf(stderr, "== %s map %u pp %u op %02x w %u: %u of %u bad\n", n->name, n->map, n->pp, n->op,
                n->w, row.bad, row.ran);
    sum->ran += row.ran;
    sum->ill += row.ill != 0;
    sum->bad += row.bad;
}

static unsigned setting(const char *name, unsigned dflt)
{
    const char *v = getenv(name);
    return v ? (unsigned)atoi(v) : dflt;
}

static void run_rows(size_t from, size_t to)
{
    struct outcome o = { 0 };
    const char *only = getenv("EVEX_ONLY");

    if (!host_fits())
        return;
    rng_state = 0x9e3779b97f4a7c15ull + setting("EVEX_SEED", 0);
    for (size_t i = from; i < to; i++)
        if (!only || !strcmp(only, names[i].name))
            run_row(&names[i], setting("EVEX_TRIALS", 40), &o);
    cr_assert_eq(o.bad, 0, "%u of %u differ from the host", o.bad, o.ran);
    cr_assert(!o.ill || !host_has_all(), "%u rows are undefined on the host", o.ill);
    cr_assert_gt(o.ran, only ? 0 : 10000);
}

Test(evex_exec, as_host_1) { run_rows(0, ARRAY_SIZE(names) / 2); }
Test(evex_exec, as_host_2) { run_rows(ARRAY_SIZE(names) / 2, ARRAY_SIZE(names)); }

/* ---- opmask instructions --------------------------------------------------------------------- */

enum { KV = 1, KI = 2, KM = 4, KST = 8, KFROM = 16, KTO = 32, KF = 64 };

/* KV: vvvv is an opmask, KI: imm8, KM: also memory, KST: a store, KFROM, KTO: rm, reg is RAX, KF: flags */
static const struct krow { uint8_t map, pp, op, w, l, f; } krows[] = {
#define KALL(op, l, f) { 1, 0, op, 0, l, f }, { 1, 0, op, 1, l, f }, { 1, 1, op, 0, l, f }, { 1, 1, op, 1, l, f },
    KALL(0x41, 1, KV) KALL(0x42, 1, KV) KALL(0x44, 0, 0) KALL(0x45, 1, KV) KALL(0x46, 1, KV) KALL(0x47, 1, KV)
    KALL(0x4A, 1, KV) { 1, 1, 0x4B, 0, 1, KV }, { 1, 0, 0x4B, 0, 1, KV }, { 1, 0, 0x4B, 1, 1, KV },
    KALL(0x90, 0, KM) KALL(0x91, 0, KM | KST)
    { 1, 0, 0x92, 0, 0, KFROM }, { 1, 1, 0x92, 0, 0, KFROM }, { 1, 3, 0x92, 0, 0, KFROM }, { 1, 3, 0x92, 1, 0, KFROM },
    { 1, 0, 0x93, 0, 0, KTO }, { 1, 1, 0x93, 0, 0, KTO }, { 1, 3, 0x93, 0, 0, KTO }, { 1, 3, 0x93, 1, 0, KTO },
    KALL(0x98, 0, KF) KALL(0x99, 0, KF)
    { 3, 1, 0x30, 0, 0, KI }, { 3, 1, 0x30, 1, 0, KI }, { 3, 1, 0x31, 0, 0, KI }, { 3, 1, 0x31, 1, 0, KI },
    { 3, 1, 0x32, 0, 0, KI }, { 3, 1, 0x32, 1, 0, KI }, { 3, 1, 0x33, 0, 0, KI }, { 3, 1, 0x33, 1, 0, KI },
};

static struct ir_vec make_k(const struct krow *r, bool mem)
{
    struct ir_vec v = { .enc = VENC_VEX, .map = r->map, .pp = r->pp, .opcode = r->op, .w = r->w, .l = r->l,
                        .reg = rnd() & 7, .rm = rnd() & 7, .reg_k = true, .rm_kind = VRM_K };

    if (mem)
        v.rm_kind = VRM_MEM, v.mem_bytes = 8, v.mem_write = r->f & KST, v.mem_read = !v.mem_write;
    if (r->f & KFROM)
        v.rm_kind = VRM_GPR, v.rm = 0;
    if (r->f & KTO)
        v.reg_gpr = true, v.reg_k = false, v.reg = 0;
    v.vvvv = r->f & KV ? rnd() & 7 : 0;
    v.has_imm = r->f & KI;
    v.imm = (uint8_t)(rnd() & 1 ? rnd() : rnd() % 66);
    return v;
}

static unsigned encode_k(const struct ir_vec *v, uint8_t *p)
{
    const uint8_t b[5] = { 0xc4, (uint8_t)(0xe0 | v->map),
                           (uint8_t)(v->w << 7 | (~v->vvvv & 15) << 3 | v->l << 2 | v->pp), v->opcode,
                           (uint8_t)(v->rm_kind == VRM_MEM ? v->reg << 3 | 6 : 0xc0 | v->reg << 3 | v->rm) };
    memcpy(p, b, 5);
    p[5] = v->imm;
    return v->has_imm ? 6 : 5;
}

Test(evex_exec, opmasks_as_host)
{
    struct outcome o = { 0 };

    if (!host_fits())
        return;
    rng_state = 0x2545f4914f6cdd1dull;
    for (size_t i = 0; i < ARRAY_SIZE(krows); i++)
        for (unsigned t = 0; t < 200; t++) {
            bool mem = krows[i].f & KM && (krows[i].f & KST || t & 1);
            struct ir_vec v = make_k(&krows[i], mem);
            uint8_t insn[8];
            emit(insn, encode_k(&v, insn));
            one_case("opmask", &v, t, &o);
        }
    cr_assert_eq(o.bad, 0, "%u of %u differ from the host", o.bad, o.ran);
    cr_assert_eq(o.ill, 0, "%u undefined on the host", o.ill);
    cr_assert_gt(o.ran, 5000);
}
#endif
