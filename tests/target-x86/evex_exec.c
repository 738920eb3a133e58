/*
 * evex_exec.c - portable execution of EVEX instructions against the host CPU
 *
 * Every row of evex-ops.def runs in each of its encodings - vector lengths, memory,
 * broadcast, embedded rounding, merging and zeroing masks - on random and special
 * operands and must agree with silicon in every bit of the 32 vector registers, the
 * opmasks, memory, the general register, flags and MXCSR. Instructions on opmasks
 * follow. A host without AVX-512 skips, saying so.
 */
#include "tests/target-x86/evex-case.h"
#include "tests/target-x86/vec-native.h"
#include <criterion/criterion.h>

#ifdef __x86_64__

struct evex_native {
    struct native n;               /* MXCSR, RAX and flags are used */
    struct evex_state s;
};

/* ---- the host --------------------------------------------------------------------- */

/* vmovdqu64 zmm<r>, [rbx + off] (0x6f) or the store (0x7f) */
static uint8_t *put_zmm(uint8_t *p, unsigned r, uint8_t op)
{
    uint32_t off = (uint32_t)(offsetof(struct evex_native, s.zmm) + 64 * r);
    uint8_t b[6] = { 0x62, (uint8_t)(0x61 | (~r & 8) << 4 | (~r & 16)), 0xfe, 0x48, op,
                     (uint8_t)(0x83 | (r & 7) << 3) };

    return put_bytes(put_bytes(p, b, 6), &off, 4);
}

/* kmovq k<r>, [rbx + off] (0x90) or the store (0x91) */
static uint8_t *put_k(uint8_t *p, unsigned r, uint8_t op)
{
    uint32_t off = (uint32_t)(offsetof(struct evex_native, s.k) + 8 * r);
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
        if (memcmp(z, o->host.s.zmm[*reg], 64))
            return "vector register";
    }
    *reg = 0;
    if (nr == NATIVE_OK && memcmp(c->z.k, o->host.s.k, sizeof(o->host.s.k)))
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
    fprintf(stderr, "  k before %llx host %llx ours %llx\n", (unsigned long long)o->before.s.k[v->aaa],
            (unsigned long long)o->host.s.k[v->reg & 7], (unsigned long long)c->z.k[v->reg & 7]);
    show("reg ", o->before.s.zmm[v->reg & 31], 64);
    show("vvvv", o->before.s.zmm[v->vvvv & 31], 64);
    show("rm  ", v->rm_kind == VRM_MEM ? o->mem0 : o->before.s.zmm[v->rm & 31], 64);
    if (memcmp(o->mem, o->mem2, 64)) {
        show("host", o->mem, 64);
        show("ours", o->mem2, 64);
    } else {
        x86_get_zmm(c, reg, z);
        show("host", o->host.s.zmm[reg], 64);
        show("ours", z, 64);
    }
}

static void one_case(const char *name, const struct ir_vec *v, unsigned trial, struct outcome *sum)
{
    struct one *o = aligned_alloc(64, align_up(sizeof(*o), 64));
    unsigned reg = 0;

    memset(o, 0, sizeof(*o));
    evex_random_state(&o->before.s, o->mem0, trial, host_is_intel());
    o->before.n.fx.mxcsr = o->before.s.mxcsr;
    o->before.n.ax = o->before.s.ax;
    o->host = o->before;
    memcpy(o->mem, o->mem0, 64);
    memcpy(o->mem2, o->mem0, 64);
    enum native_result nr = native_run(&o->host.n, o->mem);
    if (nr == NATIVE_ILL) {
        sum->ill++;
        free(o);
        return;
    }
    struct x86_cpu *c = evex_new_cpu(&o->before.s);
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

static void run_row(const struct evex_name *n, unsigned trials, struct outcome *sum)
{
    const struct erow *r = evex_row(n->map, n->pp, n->op, n->w);
    struct outcome row = { 0 };

    for (unsigned i = 0; i < 3 * 8; i++) {
        struct evex_form f = { .l = i % 3, .mem = i / 3 & 1, .bcast = i / 6 & 1, .rc = i / 12 & 1 };
        if (!evex_has_form(r, f))
            continue;
        for (unsigned t = 0; t < trials && !row.ill; t++) {
            struct ir_vec v = evex_make_vec(n, r, f);
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
        if (!only || !strcmp(only, evex_names[i].name))
            run_row(&evex_names[i], setting("EVEX_TRIALS", 40), &o);
    cr_assert_eq(o.bad, 0, "%u of %u differ from the host", o.bad, o.ran);
    cr_assert(!o.ill || !host_has_all(), "%u rows are undefined on the host", o.ill);
    cr_assert_gt(o.ran, only ? 0 : 10000);
}

Test(evex_exec, as_host_1) { run_rows(0, ARRAY_SIZE(evex_names) / 2); }
Test(evex_exec, as_host_2) { run_rows(ARRAY_SIZE(evex_names) / 2, ARRAY_SIZE(evex_names)); }

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
