/*
 * Vector and x87 rows, 64-bit code: random encodings of every row of insn-simd.def run
 * on the host CPU and through decoding, translation and either the interpreter or the
 * host back end, and must leave the same registers, flags and memory. Only on x86-64
 * hosts with AVX.
 */
#include "tests/target-x86/guest.h"

#ifdef __x86_64__
#include "tests/target-x86/vec-native.h"

#define OPERAND (GUEST_DATA + 0x800u)     /* what RSI points at; 64-byte aligned */
#define WINDOW 256u                       /* bytes compared around it */

/* the interpreter's rounding of these is documented to differ */
static const char *const approximate[] = {
    "FSIN", "FCOS", "FPTAN", "FPATAN", "F2XM1", "FYL2X", "FBLD",
};
/* the interpreter gives what Intel's processors do */
static const char *const by_vendor[] = { "RSQRT", "RCP", "VRSQRT", "VRCP" };
/* pointers in their images, host registers as operands, or state that would fault here */
static const char *const skip[] = {
    "FXSAVE", "FXRSTOR", "XSAVE", "XRSTOR", "FNSTENV", "FLDENV", "FNSAVE", "FRSTOR", "FLDCW",
    "LDMXCSR", "VLDMXCSR", "MASKMOV", "VMASKMOVDQU", "FWAIT", "WAIT", "FENI", "FDISI", "FSETPM",
};

struct sim {
    struct guest *g;
    bool host;                            /* the host back end, else the interpreter */
};

static uint64_t rng = 0x2545f4914f6cdd1dull;

static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng * 0x9e3779b97f4a7c15ull >> 5 | rng << 59;
}

static bool in_list(const char *name, const char *const *list, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!strncmp(name, list[i], strlen(list[i])))
            return true;
    return false;
}

/* ---- the guest side ------------------------------------------------------------------ */

static unsigned entries;

/* one run through the blocks, then stop */
static bool once(struct tcg_cpu *tc)
{
    return !tc->exception && !entries++;
}

static struct sim sim_new(bool host)
{
    static struct tcg_target target;
    struct sim s = { .g = guest_new(), .host = host };
    struct guest *g = s.g;
    struct phys_ops phys = { .lookup = guest_lookup, .mmio_read = guest_mmio_read,
                             .mmio_write = guest_mmio_write, .n_ram_pages = GUEST_PAGES,
                             .opaque = g };
    struct tcg_config cfg = { .backend = TCG_BACKEND_HOST, .optimise = true,
                              .cache_bytes = 4 << 20 };
    const struct x86_model *model = g->cpu->model;
    const struct x86_bus *bus = g->cpu->bus;
    struct err e;

    if (!host)
        return s;
    target = x86_target;
    target.service = once;
    tcg_cpu_free(&g->cpu->tcg);
    tcg_free(g->tcg);
    g->tcg = tcg_new(&target, &cfg, &phys, &e);
    cr_assert(g->tcg, "%s", e.msg);
    g->cpu = (struct x86_cpu *)tcg_cpu_alloc(g->tcg, &e);
    cr_assert(g->cpu, "%s", e.msg);
    g->cpu->model = model;
    g->cpu->bus = bus;
    g->cpu->df = 1;
    g->cpu->eflags = EF_1;
    return s;
}

/* guest state from @n */
static void set_guest(struct guest *g, const struct native *n)
{
    struct x86_cpu *cpu = g->cpu;

    memset(cpu->tcg.regs, 0, sizeof(cpu->tcg.regs));
    memcpy(&cpu->fx, &n->fx, sizeof(cpu->fx));
    for (unsigned i = 0; i < 16; i++)
        memcpy(cpu->ymmh[i], n->ymm[i] + 16, 16);
    GPR(cpu, R_AX) = n->ax;
    GPR(cpu, R_CX) = n->cx;
    GPR(cpu, R_DX) = n->dx;
    GPR(cpu, R_SI) = OPERAND;
    GPR(cpu, R_SP) = GUEST_STACK;
    cpu->tcg.fl = 0;
    cpu->cr0 = CR0_PE | CR0_NE;
    cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    cpu->xcr0 = 7;
    cpu->halted = false;
}

static void get_guest(const struct guest *g, struct native *n)
{
    const struct x86_cpu *cpu = g->cpu;

    memcpy(&n->fx, &cpu->fx, sizeof(n->fx));
    for (unsigned i = 0; i < 16; i++) {
        memcpy(n->ymm[i], cpu->fx.xmm[i], 16);
        memcpy(n->ymm[i] + 16, cpu->ymmh[i], 16);
    }
    n->ax = GPR(cpu, R_AX);
    n->cx = GPR(cpu, R_CX);
    n->flags = x86_fl_to_eflags(cpu->tcg.fl);
}

static uint32_t run_guest(const struct sim *s, const uint8_t *code, unsigned len, struct native *n)
{
    struct guest *g = s->g;
    struct tcg_cpu *tc = &g->cpu->tcg;
    uint32_t mode = GUEST_LONG | MODE_AVX;
    struct tb_key k;

    set_guest(g, n);
    memcpy(g->ram + 0x100, code, len);
    g->ram[0x100 + len] = 0xf4;           /* HLT: leaves the block */
    if (s->host) {
        tcg_invalidate_phys(g->tcg, 0, 0x100, 32);
        guest_key(g, &k, mode, 0x100);
        tc->exception = 0;
        tc->run = 1;
        entries = 0;
        tcg_run(tc);
    } else {
        cr_assert_gt(guest_translate(g, mode, 0x100, 1), 0);
        ir_optimise(g->b, true, true);
        ir_interp(tc, g->b);
    }
    get_guest(g, n);
    return tc->exception;
}

/* ---- instructions ------------------------------------------------------------------------ */

static unsigned pick(const struct x86_row *r, unsigned first, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (row_has(r, first + i))
            return i;
    return (unsigned)rnd() % n;
}

static bool has_kind(const struct x86_row *r, enum opnd_kind k)
{
    return opnd_kind(r->dst) == k || opnd_kind(r->a) == k || opnd_kind(r->b) == k;
}

/* general registers among operands are RAX or RCX, memory is [rsi] */
static uint8_t *put_modrm(uint8_t *p, const struct x86_row *r)
{
    unsigned reg = pick(r, AB_X0, 8), rm = pick(r, AB_RM0, 8);

    if (has_kind(r, K_G))
        reg = (unsigned)rnd() & 1;
    if (ROW_HAS(r, VSIB)) {
        *p++ = 0x44 | reg << 3;
        *p++ = (uint8_t)(rnd() & 0xf8) | 6;
        *p++ = 0x10;
    } else if (pick(r, AB_MEM, 2) == 0) {
        *p++ = 0x06 | reg << 3;
    } else {
        if (has_kind(r, K_E) || has_kind(r, K_R))
            rm = (unsigned)rnd() & 1;
        *p++ = 0xc0 | reg << 3 | rm;
    }
    return p;
}

static unsigned make_insn(const struct x86_row *r, uint8_t *code, struct x86_insn *in)
{
    static const uint8_t legacy[4] = { 0, 0x66, 0xf3, 0xf2 };
    unsigned map = r->op >> 8 & 3, pp = pick(r, AB_PNP, 4), w = pick(r, AB_W0, 2);
    bool gpr = has_kind(r, K_E) || has_kind(r, K_R) || has_kind(r, K_G);
    bool high_reg = !has_kind(r, K_G) && (rnd() & 1), high_rm = !gpr && (rnd() & 1);
    uint8_t *p = code;

    if (ROW_HAS(r, VEX)) {
        *p++ = 0xc4;
        *p++ = !high_reg << 7 | 0x40 | 0x20 | map;
        if (high_rm && !ROW_HAS(r, MEM))
            p[-1] &= ~0x20;
        *p++ = w << 7 | (r->vvvv ? rnd() & 15 : 15) << 3 | pick(r, AB_L0, 2) << 2 | pp;
    } else if (map) {
        if (legacy[pp])
            *p++ = legacy[pp];
        *p++ = 0x40 | w << 3 | high_reg << 2;
        *p++ = 0x0f;
        if (map > 1)
            *p++ = map == 2 ? 0x38 : 0x3a;
    }
    *p++ = (uint8_t)r->op;
    if (r->modrm)
        p = put_modrm(p, r);
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)rnd();
    if (x86_decode(code, 15, 64, in) <= 0 || in->err || in->row != r)
        return 0;
    /* base RSI, whatever REX.B or VEX.B said */
    return !in->mem || in->base == R_SI ? in->len : 0;
}

static uint64_t rnd_lane(unsigned kind)
{
    static const uint64_t corner[] = {
        0, 0x3ff0000000000000, 0x7ff0000000000000, 0x3f8000003f800000, 0x7f8000007f800000,
        0x7ff8000000000000, 0x8000000080000000, 0x00000001ffffffff,
    };

    switch (kind % 4) {
    case 0: return rnd();
    case 1: return corner[rnd() % ARRAY_SIZE(corner)];
    case 2: return 0x4000000040000000 | (rnd() & 0x00ffffff00ffffff);   /* tame numbers */
    default: return rnd() & 0x000f000f00ff000f;
    }
}

/* empty registers: D9 D8 (an undocumented FSTP) is made of one that looks */
static bool checks_less(const struct x86_insn *in)
{
    return in->opcode == 0xd9 && in->row->arg;
}

static void random_state(struct native *n, const struct x86_insn *in)
{
    memset(n, 0, sizeof(*n));
    n->fx.fcw = 0x37f | (rnd() & 0xc00);
    n->fx.fsw = (uint16_t)((rnd() & 7) << 11);
    n->fx.ftw = rnd() % 4 || checks_less(in) ? 0xff : (uint8_t)rnd();
    n->fx.mxcsr = 0x1f80 | (uint32_t)(rnd() & 0xe040);
    for (unsigned i = 0; i < 8; i++) {
        stl64(n->fx.st[i], rnd() | BIT(63));
        stl16(n->fx.st[i] + 8, (uint16_t)(0x3ff8 + rnd() % 16 + (rnd() & 0x8000)));
    }
    for (unsigned i = 0; i < 16; i++) {
        unsigned kind = (unsigned)rnd();
        for (unsigned k = 0; k < 4; k++)
            stl64(n->ymm[i] + 8 * k, rnd_lane(kind));
    }
    if (ROW_HAS(in->row, VSIB))           /* indices that stay in the window */
        for (unsigned k = 0; k < 4; k++)
            stl64(n->ymm[in->index] + 8 * k, (in->opcode & 1) ? rnd() % 8 : rnd() & 0x700000007);
    for (unsigned i = 0; i < 16; i++)
        memcpy(n->fx.xmm[i], n->ymm[i], 16);
    n->ax = rnd_lane((unsigned)rnd());
    n->cx = rnd_lane((unsigned)rnd());
    n->dx = rnd() % 20;
}

static bool same_x87(const struct native *a, const struct native *b)
{
    unsigned top = a->fx.fsw >> 11 & 7;

    if (a->fx.fcw != b->fx.fcw || a->fx.fsw != b->fx.fsw || a->fx.ftw != b->fx.ftw)
        return false;
    for (unsigned i = 0; i < 8; i++)      /* what an empty register holds is nobody's business */
        if ((a->fx.ftw >> ((i + top) & 7) & 1) && memcmp(a->fx.st[i], b->fx.st[i], 10))
            return false;
    return true;
}

static const char *difference(const struct native *a, const struct native *b)
{
    if (memcmp(a->ymm, b->ymm, sizeof(a->ymm)))
        return "vector registers";
    if (a->fx.mxcsr != b->fx.mxcsr)
        return "MXCSR";
    if (a->ax != b->ax || a->cx != b->cx)
        return "RAX or RCX";
    if ((a->flags ^ b->flags) & EF_ARITH)
        return "flags";
    return same_x87(a, b) ? NULL : "x87 state";
}

/* 1: compared, 0: no such encoding here, -1: different */
static int one_case(const struct sim *s, const struct x86_row *r)
{
    static struct native before, host, guest;
    uint8_t mem[WINDOW], after[WINDOW], code[32], *window = s->g->ram + (OPERAND - GUEST_BASE) - 64;
    struct x86_insn in;
    unsigned len = make_insn(r, code, &in);
    enum native_result nr;
    const char *why;
    uint32_t exc;

    if (!len)
        return 0;
    random_state(&before, &in);
    for (unsigned i = 0; i < WINDOW; i += 8)
        stl64(mem + i, rnd_lane((unsigned)rnd()));
    host = guest = before;
    memcpy(window, mem, WINDOW);
    native_emit(code, len);
    nr = native_run(&host, (void *)(uintptr_t)OPERAND);
    memcpy(after, window, WINDOW);
    memcpy(window, mem, WINDOW);
    exc = run_guest(s, code, len, &guest);
    if (nr == NATIVE_ILL)                 /* a feature that this host lacks */
        return exc == EXC_UD + 1 || !exc ? 1 : -1;
    why = exc ? "exception" : difference(&host, &guest);
    if (!why && memcmp(after, window, WINDOW))
        why = "memory";
    if (!why)
        return 1;
    fprintf(stderr, "%s (%s):", r->name, why);
    for (unsigned i = 0; i < len; i++)
        fprintf(stderr, " %02x", code[i]);
    fprintf(stderr, " exception=%d fsw=%04x/%04x ftw=%02x/%02x mxcsr=%x/%x\n", (int)exc - 1,
            host.fx.fsw, guest.fx.fsw, host.fx.ftw, guest.fx.ftw, host.fx.mxcsr, guest.fx.mxcsr);
    return -1;
}

static void check_rows(bool host)
{
    struct sim s = sim_new(host);
    unsigned i = x86_last_integer_row() + 1, rows = 0, bad = 0, cases = 0;

    if (!__builtin_cpu_supports("avx"))
        cr_skip_test("the host has no AVX");
    for (; i <= x86_last_avx_row(); i++) {
        const char *name = x86_row_name(i);
        unsigned done = 0;
        if (in_list(name, skip, ARRAY_SIZE(skip)) ||
            (!host && in_list(name, approximate, ARRAY_SIZE(approximate))) ||
            (!host && !host_is_intel() && in_list(name, by_vendor, ARRAY_SIZE(by_vendor))))
            continue;
        for (unsigned round = 0; round < 200 && done < 16; round++) {
            int c = one_case(&s, &x86_rows[i]);
            if (c < 0 && ++bad > 80)
                cr_assert(false, "too many differences");
            done += c != 0;
        }
        cr_expect_gt(done, 0, "row %u %s never ran", i, name);
        rows++;
        cases += done;
    }
    cr_assert_eq(bad, 0, "%u of %u cases differ", bad, cases);
    cr_assert_gt(rows, 900, "%u rows", rows);
    guest_free(s.g);
}

Test(native_simd, rows_interpreted)
{
    check_rows(false);
}

Test(native_simd, rows_on_the_host_back_end)
{
    rng ^= 0x5555;
    check_rows(true);
}
#endif
