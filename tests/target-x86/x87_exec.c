/*
 * x87_exec.c - x86_vec_exec() on x87 instructions against the host CPU
 *
 * Every opcode D8..DF with every ModRM that is not an environment load or
 * store, on special and random stacks, control words and pending exceptions.
 * Transcendental results are vendor specific in the last bit: their registers
 * may differ by two units there, and C1, PE and UE, which follow from it, are
 * masked and not compared.
 */
#include "target-x86/x86.h"
#include "target-x86/x87-soft.h"
#include "tests/target-x86/vec-native.h"
#include <criterion/criterion.h>

#ifdef __x86_64__

static uint64_t rng_state;

static uint64_t rnd(void)
{
    rng_state ^= rng_state >> 12;
    rng_state ^= rng_state << 25;
    rng_state ^= rng_state >> 27;
    return rng_state * 0x2545f4914f6cdd1dull;
}

/* where the value of a stack register comes from */
static void special80(uint8_t *st)
{
    static const struct { uint64_t m; uint16_t se; } s[] = {
        { 0, 0 }, { 0, 0x8000 }, { 1ull << 63, 0x3fff }, { 1ull << 63, 0xbfff }, { 1ull << 63, 0x7fff },
        { 1ull << 63, 0xffff }, { 0xc000000000000000, 0x7fff }, { 0xc000000000000000, 0xffff },
        { 0xc123456789abcdef, 0x7fff }, { 0x8123456789abcdef, 0x7fff }, { 0xa000000000000000, 0xffff },
        { 1, 0 }, { 1, 0x8000 }, { 0x7fffffffffffffff, 0 }, { 1ull << 63, 0 }, { 1ull << 63, 1 },
        { ~0ull, 0x7ffe }, { ~0ull, 0xfffe }, { 0, 0x3fff }, { 0x4000000000000000, 0x7fff }, { 1, 0x4000 },
        { 1ull << 63, 0x4000 }, { 0xc000000000000000, 0x4001 }, { 1ull << 63, 0x3ffe }, { 0xc90fdaa22168c235, 0x3fff },
        { 0xffffffff00000000, 0x401d }, { 1ull << 63, 0x401e }, { 1ull << 63, 0x403e }, { 1ull << 63, 0xc03e },
        { 0xfffe000000000000, 0x400d }, { 0xffff000000000000, 0x400d }, { 0xde0b6b3a76400000, 0x403a },
        { 0xb504f333f9de6484, 0x3fff }, { 1ull << 63, 0x4064 }, { 0x8000000000000001, 0x3fff },
        { ~0ull, 0x407e }, { 0xffffff8000000000, 0x407e }, { 1ull << 63, 0x3f80 }, { 0xfffffffffffffc00, 0x43fe },
    };
    uint64_t m = rnd() | 1ull << 63;
    uint16_t se = (uint16_t)(rnd() & 0x8000);

    switch (rnd() % 8) {
    case 0: case 1: {
        size_t i = rnd() % ARRAY_SIZE(s);
        m = s[i].m, se = s[i].se;
        break;
    }
    case 2: se = (uint16_t)rnd(); break;
    case 3: se |= (uint16_t)(0x3fff + rnd() % 65); break;                /* up to 2^64 */
    case 4: se |= (uint16_t)(0x3fff - rnd() % 70); break;
    case 5: se |= (uint16_t)(0x3ffb + rnd() % 8); m &= ~0ull << (rnd() % 64); break;
    case 6: se |= rnd() & 1 ? (uint16_t)(rnd() % 70) : (uint16_t)(0x7ffe - rnd() % 70); break;
    default: se |= (uint16_t)(rnd() & 1 ? 0x3f6a + rnd() % 300 : 0x3bc0 + rnd() % 2150); break;
    }
    if (!(se & 0x7fff))
        m = rnd() & 1 ? m : m >> 1;
    stl64(st, m);
    stl16(st + 8, se);
}

static void random_state(struct native *s, uint8_t *mem, unsigned trial)
{
    memset(s, 0, sizeof(*s));
    s->fx.fcw = 0x37f;
    if (trial & 1)
        s->fx.fcw = 0x7f | (uint16_t)((rnd() & 3) << 10 | (rnd() % 3 == 0 ? 0 : rnd() & 1 ? 0x200 : 0x300));
    if (trial % 4 == 3 && host_is_intel())
        s->fx.fcw &= (uint16_t)~(rnd() & rnd() & 0x3f);
    s->fx.fsw = (uint16_t)(rnd() & 0x7f00);
    if (trial % 8 == 7)
        s->fx.fsw |= (uint16_t)(rnd() & rnd() & 0x7f);
    if (s->fx.fsw & ~s->fx.fcw & 0x3f)
        s->fx.fsw |= 0x8080;
    s->fx.ftw = trial % 5 ? 0x7f : (uint8_t)rnd();
    if (trial % 5)                             /* room for one push */
        s->fx.ftw = (uint8_t)~(1u << (((s->fx.fsw >> 11) + 7) & 7));
    s->fx.mxcsr = 0x1f80;
    for (unsigned i = 0; i < 8; i++)
        special80(s->fx.st[i]);
    if (rnd() % 8 == 0)
        memcpy(s->fx.st[1], s->fx.st[0], 10);
    special80(mem);
    if (rnd() & 1) {                           /* as a float or double instead */
        static const uint64_t exps[] = { 0, 1, 0x3ff, 0x7fe, 0x7ff, 0x400, 0x380, 0x3fe };
        uint64_t v = (rnd() & 0x800fffffffffffff) | exps[rnd() % 8] << 52;
        stl64(mem, rnd() % 8 ? v : v & 0xfff0000000000000);
        if (rnd() & 1)
            stl32(mem, (uint32_t)(rnd() & 0x807fffff) | (uint32_t)(rnd() % 3 ? rnd() & 255 : rnd() & 1 ? 0 : 255) << 23);
    }
    s->ax = rnd();
    s->flags = rnd() & 1;
}

static bool is_trans(uint8_t op, uint8_t modrm)
{
    return op == 0xD9 && (modrm == 0xF0 || modrm == 0xF1 || modrm == 0xF2 || modrm == 0xF3 ||
                          modrm == 0xF9 || modrm == 0xFB || modrm == 0xFE || modrm == 0xFF);
}

/* the architecture leaves the result of this operand open */
static bool undefined(uint8_t op, uint8_t modrm, const struct native *s)
{
    uint16_t se = ldl16(s->fx.st[0] + 8), ex = se & 0x7fff;
    uint64_t m = ldl64(s->fx.st[0]);

    if (op == 0xD9 && modrm == 0xF0)           /* F2XM1 beyond -1..1 */
        return ex > 0x3fff || (ex == 0x3fff && m != 1ull << 63);
    if (op == 0xD9 && modrm == 0xF9)           /* FYL2XP1 beyond 1 - sqrt(1/2) */
        return ex > 0x3ffd || (ex == 0x3ffd && m > 0x95f619980c4336f7);
    if (host_is_intel())
        return false;
    if (op == 0xD9 && (modrm == 0xF5 || modrm == 0xF8)) /* FPREM in several steps */
        return ex > (ldl16(s->fx.st[1] + 8) & 0x7fff) + 63;
    if (op == 0xD9 && (modrm & 0xf8) == 0xd8)  /* FSTPNCE */
        return true;
    if (op == 0xD9 && (modrm == 0xF2 || modrm == 0xFB || modrm >= 0xFE))
        return ex >= 0x3fff;                   /* reduced with another pi */
    return false;
}

static bool near80(const uint8_t *a, const uint8_t *b)
{
    uint64_t d = ldl64(a) - ldl64(b);

    if (ldl16(a + 8) == ldl16(b + 8))
        return d + 2 <= 4;
    return (uint16_t)(ldl16(a + 8) + 1 - ldl16(b + 8)) <= 2 && (d << 1) + 8 <= 16;
}

static bool same_state(const struct x86_cpu *c, const struct native *s, bool trans, bool undef)
{
    uint16_t ignore = trans ? 0x230 : 0;       /* C1, PE, UE */

    if (undef)
        return true;
    if (c->fx.fcw != s->fx.fcw || ((c->fx.fsw ^ s->fx.fsw) & ~ignore) || c->fx.ftw != s->fx.ftw)
        return false;
    for (unsigned i = 0; i < 8; i++)
        if (memcmp(c->fx.st[i], s->fx.st[i], 10) && !(trans && near80(c->fx.st[i], s->fx.st[i])))
            return false;
    return true;
}

static void show_state(const char *what, const struct x86_fxarea *fx)
{
    fprintf(stderr, "  %s fcw %04x fsw %04x ftw %02x", what, fx->fcw, fx->fsw, fx->ftw);
    for (unsigned i = 0; i < 8; i++)
        if (i < 3 || i == 7)
            fprintf(stderr, " %04x:%016llx", ldl16(fx->st[i] + 8), (unsigned long long)ldl64(fx->st[i]));
    fprintf(stderr, "\n");
}

struct tally { unsigned ran, bad, shown; };

static void one_case(uint8_t op, uint8_t modrm, unsigned trial, struct tally *t)
{
    struct native *s = aligned_alloc(64, align_up(sizeof(*s), 64)), before;
    struct x86_cpu *c = aligned_alloc(64, align_up(sizeof(*c), 64));
    uint8_t mem0[64] = { 0 }, mem[64], mem2[64];
    bool is_mem = modrm < 0xc0;
    static const uint8_t bytes[8][8] = {
        { 4, 4, 4, 4, 4, 4, 4, 4 }, { 4, 0, 4, 4, 28, 2, 28, 2 }, { 4, 4, 4, 4, 4, 4, 4, 4 }, { 4, 4, 4, 4, 0, 10, 0, 10 },
        { 8, 8, 8, 8, 8, 8, 8, 8 }, { 8, 8, 8, 8, 0, 0, 0, 2 }, { 2, 2, 2, 2, 2, 2, 2, 2 }, { 2, 2, 2, 2, 10, 8, 10, 8 },
    };
    struct ir_vec v = { .enc = VENC_X87, .opcode = op, .reg = (modrm >> 3) & 7, .is_x87 = true,
                        .rm = modrm & 7, .rm_kind = is_mem ? VRM_MEM : VRM_NONE };
    random_state(s, mem0, trial);
    if (is_trans(op, modrm)) {
        s->fx.fcw |= FE_P | FE_U;
        if (!(s->fx.fsw & ~s->fx.fcw & 0x3f))
            s->fx.fsw &= 0x7f7f;
    }
    if (op == 0xDF && is_mem && v.reg == 4)    /* FBLD: decimal digits */
        for (unsigned i = 0; i < 10; i++)
            mem0[i] = (uint8_t)(rnd() % 10 << 4 | rnd() % 10);
    memcpy(mem, mem0, 64);
    memcpy(mem2, mem0, 64);
    memset(c, 0, sizeof(*c));
    c->cr0 = CR0_NE;
    c->fx = s->fx;
    c->tcg.fl = 0;                             /* native code runs with flags clear */
    uint64_t gpr = s->ax;
    v.mem_bytes = is_mem ? bytes[op & 7][v.reg] : 0;
    before = *s;
    enum native_result nr = native_run(s, mem);
    x86_vec_exec(&c->tcg, &v, mem2, &gpr);
    const char *bad = NULL;
    if (nr == NATIVE_ILL && c->tcg.exception == EXC_MF + 1)
        ;                                      /* undefined opcodes never get past the decoder */
    else if (c->tcg.exception != (nr == NATIVE_ILL ? EXC_UD + 1 : nr == NATIVE_FPE ? EXC_MF + 1 : 0))
        bad = "exception";
    else if (nr == NATIVE_OK) {
        if (!same_state(c, s, is_trans(op, modrm), undefined(op, modrm, &before)))
            bad = "state";
        else if (memcmp(mem, mem2, 64))
            bad = "memory";
        else if (op == 0xDF && modrm == 0xE0 && gpr != s->ax)
            bad = "ax";
        else if (x86_fl_to_eflags(c->tcg.fl) != (s->flags & EF_ARITH))
            bad = "flags";
    }
    t->ran++;
    if (bad) {
        t->bad++;
        if (t->shown++ < 4) {
            fprintf(stderr, "%s differs: %02x %02x native %u ours %u flags %llx %x mem %016llx%016llx host %016llx%016llx ours %016llx%016llx\n", bad, op, modrm, nr,
                    c->tcg.exception, (unsigned long long)s->flags & EF_ARITH, x86_fl_to_eflags(c->tcg.fl),
                    (unsigned long long)ldl64(mem0 + 8), (unsigned long long)ldl64(mem0),
                    (unsigned long long)ldl64(mem + 8), (unsigned long long)ldl64(mem),
                    (unsigned long long)ldl64(mem2 + 8), (unsigned long long)ldl64(mem2));
            show_state("before", &before.fx);
            show_state("host  ", &s->fx);
            show_state("ours  ", &c->fx);
        }
    }
    free(s);
    free(c);
}

/* 9 D9/4, D9/6, DD/4, DD/6: environment and whole state, not here */
static bool is_env(uint8_t op, unsigned modrm)
{
    unsigned digit = modrm >> 3;
    return modrm < 0x40 && (op == 0xD9 || op == 0xDD) && (digit == 4 || digit == 6);
}

Test(x87_exec, as_host)
{
    const char *e = getenv("VEC_TRIALS");
    unsigned trials = e ? (unsigned)atoi(e) : 60, bad = 0, ran = 0;

    rng_state = 0x123456789abcdefull + (getenv("VEC_SEED") ? (uint64_t)atoll(getenv("VEC_SEED")) : 0);
    for (unsigned op = 0xD8; op <= 0xDF; op++)
        for (unsigned modrm = 6; modrm <= 0xFF; modrm++) {
            if ((modrm >= 0x40 && modrm < 0xC0) || (modrm < 0x40 && (modrm & 7) != 6) ||
                is_env((uint8_t)op, modrm))
                continue;                      /* memory operand: [rsi] */
            struct tally t = { 0 };
            uint8_t insn[2] = { (uint8_t)op, (uint8_t)modrm };
            native_emit(insn, 2);
            unsigned n = op == 0xD9 && modrm >= 0xF0 ? trials * 6 : trials;
            for (unsigned i = 0; i < n; i++)
                one_case((uint8_t)op, (uint8_t)modrm, i, &t);
            if (t.bad)
                fprintf(stderr, "== %02x %02x: %u of %u bad\n", op, modrm, t.bad, t.ran);
            bad += t.bad;
            ran += t.ran;
        }
    cr_assert_eq(bad, 0, "%u of %u differ from the host", bad, ran);
}

#endif

/* ---- known answers, for every host ------------------------------------------------ */

static struct x86_cpu *fpu_cpu(void)
{
    struct x86_cpu *c = aligned_alloc(64, align_up(sizeof(*c), 64));

    memset(c, 0, sizeof(*c));
    c->cr0 = CR0_NE;
    c->fx.fcw = 0x37f;
    return c;
}

/* run @op with register-form or (@mem) memory-form @modrm */
static bool fpu_run(struct x86_cpu *c, uint8_t op, uint8_t modrm, void *mem, unsigned bytes)
{
    struct ir_vec v = { .enc = VENC_X87, .opcode = op, .reg = (modrm >> 3) & 7, .rm = modrm & 7,
                        .is_x87 = true, .rm_kind = mem ? VRM_MEM : VRM_NONE, .mem_bytes = (uint8_t)bytes };
    return x86_vec_exec(&c->tcg, &v, mem, NULL);
}

Test(x87_exec, constants_and_arithmetic)
{
    struct x86_cpu *c = fpu_cpu();
    uint8_t out[10];

    fpu_run(c, 0xD9, 0xEB, NULL, 0);                         /* FLDPI */
    cr_assert_eq(ldl64(c->fx.st[0]), 0xc90fdaa22168c235);
    cr_assert_eq(c->fx.fsw >> 11 & 7, 7);
    cr_assert_eq(c->fx.ftw, 0x80);
    fpu_run(c, 0xD9, 0xE8, NULL, 0);                         /* FLD1 */
    fpu_run(c, 0xDE, 0xF9, NULL, 0);                         /* FDIVP: pi / 1 */
    fpu_run(c, 0xD9, 0xFA, NULL, 0);                         /* FSQRT */
    fpu_run(c, 0xDB, 0x3F, out, 10);                         /* FSTP m80 */
    cr_assert_eq(ldl64(out), 0xe2dfc48da77b553d);
    cr_assert_eq(ldl16(out + 8), 0x3fff);
    cr_assert_eq(c->fx.ftw, 0);
    cr_assert_eq(c->fx.fsw, 0x0020 | (c->fx.fsw & 0x200));
    free(c);
}

Test(x87_exec, transcendental)
{
    static const struct { uint8_t modrm; uint64_t st1, st0, want; uint16_t e1, e0, we; } t[] = {
        { 0xFE, 0, 1ull << 63, 0xd76aa47848677021, 0, 0x3fff, 0x3ffe },                 /* sin 1 */
        { 0xFF, 0, 1ull << 63, 0x8a51407da8345c92, 0, 0x3fff, 0x3ffe },                 /* cos 1 */
        { 0xF0, 0, 1ull << 63, 0xd413cccfe7799211, 0, 0x3ffe, 0x3ffd },                 /* sqrt 2 - 1 */
        { 0xF3, 1ull << 63, 1ull << 63, 0xc90fdaa22168c235, 0x3fff, 0x3fff, 0x3ffe },   /* pi / 4 */
        { 0xF1, 1ull << 63, 0xa000000000000000, 0xd49a784bcd1b8afe, 0x3fff, 0x4002, 0x4000 }, /* log2 10 */
    };
    for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
        struct x86_cpu *c = fpu_cpu();
        c->fx.ftw = 0xff;
        stl64(c->fx.st[0], t[i].st0);
        stl16(c->fx.st[0] + 8, t[i].e0);
        stl64(c->fx.st[1], t[i].st1);
        stl16(c->fx.st[1] + 8, t[i].e1);
        cr_assert(fpu_run(c, 0xD9, t[i].modrm, NULL, 0));
        cr_assert_eq(ldl64(c->fx.st[0]), t[i].want, "D9 %02x: %016llx", t[i].modrm,
                     (unsigned long long)ldl64(c->fx.st[0]));
        cr_assert_eq(ldl16(c->fx.st[0] + 8), t[i].we);
        free(c);
    }
}

Test(x87_exec, unmasked_exception_waits)
{
    struct x86_cpu *c = fpu_cpu();

    c->fx.fcw = 0x37f & ~4;                                  /* divide by zero unmasked */
    fpu_run(c, 0xD9, 0xE8, NULL, 0);
    fpu_run(c, 0xD9, 0xEE, NULL, 0);                         /* FLDZ */
    cr_assert(fpu_run(c, 0xDE, 0xF9, NULL, 0));              /* FDIVP */
    cr_assert_eq(c->fx.fsw & 0x80bf, 0x8084);
    cr_assert_eq(c->fx.ftw, 0xc0, "no pop");
    cr_assert_eq(c->tcg.exception, 0);
    cr_assert_not(fpu_run(c, 0xD9, 0xD0, NULL, 0));          /* FNOP waits */
    cr_assert_eq(c->tcg.exception, EXC_MF + 1);
    c->tcg.exception = 0;
    cr_assert(fpu_run(c, 0xDB, 0xE2, NULL, 0));              /* FNCLEX does not */
    cr_assert(fpu_run(c, 0xD9, 0xD0, NULL, 0));
    free(c);
}

Test(x87_exec, stack_faults)
{
    struct x86_cpu *c = fpu_cpu();

    fpu_run(c, 0xD8, 0xC1, NULL, 0);                         /* FADD on an empty stack */
    cr_assert_eq(c->fx.fsw & 0x241, 0x41);
    cr_assert_eq(ldl64(c->fx.st[0]), 0xc000000000000000);
    c->fx.ftw = 0xff;
    fpu_run(c, 0xD9, 0xE8, NULL, 0);                         /* FLD1 on a full one */
    cr_assert_eq(c->fx.fsw & 0x241, 0x241);
    cr_assert_eq(ldl16(c->fx.st[0] + 8), 0xffff);
    free(c);
}

Test(x87_exec, mmx_aliases_mantissas)
{
    struct x86_cpu *c = fpu_cpu();
    struct ir_vec v = { .map = 1, .opcode = 0xFC, .reg = 2, .reg_mmx = true, .rm = 3,
                        .rm_kind = VRM_MMX, .is_mmx = true };    /* PADDB mm2, mm3 */
    c->fx.fsw = 1 << 11;                                     /* TOP = 1: mm2 is ST(1) */
    stl64(c->fx.st[1], 0x01020304050607ff);
    stl64(c->fx.st[2], 0x1010101010101001);
    cr_assert(x86_vec_exec(&c->tcg, &v, NULL, NULL));
    cr_assert_eq(ldl64(c->fx.st[2]), 0x1112131415161700);
    cr_assert_eq(ldl16(c->fx.st[2] + 8), 0xffff);
    cr_assert_eq(c->fx.fsw, 0);
    cr_assert_eq(c->fx.ftw, 0xff);
    free(c);
}
