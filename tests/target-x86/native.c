/*
 * Integer instructions, 64-bit and 32-bit code: random encodings of every unprivileged row
 * run on the host CPU and through translation and the interpreter (plain and optimised IR),
 * and must leave the same registers, flags and memory. Only on x86-64 hosts.
 */
#include "tests/target-x86/guest.h"
#include "target-x86/tr-int.h"

#ifdef __x86_64__
#include <setjmp.h>
#include <signal.h>

#define WINDOW 1024u                      /* bytes of guest data compared */
#define DATA (GUEST_DATA + 0x800u)        /* registers point here */

struct state {
    uint64_t r[16];
    uint64_t flags;
    uint8_t mem[WINDOW], stack[64];
};

/* what the host routine reads and writes, at a low address */
struct slots {
    uint64_t r[16], flags, host_sp;
    uint32_t to32;
    uint16_t cs32;
};
#define SLOTS ((struct slots *)(uintptr_t)0x20000000u)
#define NATIVE ((uint8_t *)(uintptr_t)0x20001000u)

static uint64_t rng = 0x123456789abcdefull;

static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng * 0x2545f4914f6cdd1dull >> 7;
}

static uint64_t rnd_value(void)
{
    static const uint64_t corner[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
                                       0x80000000, 0xffffffff, 0x7fffffffffffffff,
                                       0x8000000000000000, ~0ull };
    if (rnd() % 3 == 0)
        return corner[rnd() % ARRAY_SIZE(corner)];
    return rnd() ^ rnd() << 32;
}

/* ---- the host side ----------------------------------------------------------------------- */

static sigjmp_buf fault_jmp;

static void on_fault(int sig)
{
    siglongjmp(fault_jmp, sig);
}

static uint8_t *mov_abs(uint8_t *p, unsigned opcode, unsigned reg, void *at)
{
    *p++ = 0x48 | (reg >> 3) << 2;
    *p++ = opcode;
    *p++ = 0x04 | (reg & 7) << 3;
    *p++ = 0x25;
    stl32(p, (uint32_t)(uintptr_t)at);
    return p + 4;
}

/* push/pop [abs] */
static uint8_t *abs_op(uint8_t *p, uint8_t opcode, uint8_t modrm, void *at)
{
    *p++ = opcode;
    *p++ = modrm;
    *p++ = 0x25;
    stl32(p, (uint32_t)(uintptr_t)at);
    return p + 4;
}

/* 32-bit code goes between far jumps into and out of a compatibility-mode segment */
static uint8_t *put_code(uint8_t *p, const uint8_t *code, unsigned n, unsigned bits)
{
    uint8_t *at;

    if (bits == 64) {
        memcpy(p, code, n);
        return p + n;
    }
    p = abs_op(p, 0xff, 0x2c, &SLOTS->to32);    /* jmp far [to32] */
    SLOTS->to32 = (uint32_t)(uintptr_t)p;
    SLOTS->cs32 = 0x23;
    memcpy(p, code, n);
    p += n;
    *p++ = 0xea;                                /* jmp 33:at */
    at = p + 6;
    stl32(p, (uint32_t)(uintptr_t)at);
    stl16(p + 4, 0x33);
    return at;
}

/* void f(void): load the slots, run @code, store the slots */
static void build_native(const uint8_t *code, unsigned n, unsigned bits)
{
    static const uint8_t save[] = { 0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57 };
    static const uint8_t segs[] = { 0xb8, 0x2b, 0, 0, 0, 0x8e, 0xd8, 0x8e, 0xc0 };
    static const uint8_t rest[] = { 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3 };
    uint8_t *p = NATIVE;

    memcpy(p, save, sizeof(save));
    p += sizeof(save);
    memcpy(p, segs, sizeof(segs));
    p += sizeof(segs);
    p = mov_abs(p, 0x89, 4, &SLOTS->host_sp);
    p = abs_op(p, 0xff, 0x34, &SLOTS->flags);
    *p++ = 0x9d;
    for (unsigned i = 0; i < 16; i++)
        p = mov_abs(p, 0x8b, i, &SLOTS->r[i]);
    p = put_code(p, code, n, bits);
    for (unsigned i = 0; i < 16; i++)
        p = mov_abs(p, 0x89, i, &SLOTS->r[i]);
    p = mov_abs(p, 0x8b, 4, &SLOTS->host_sp);
    *p++ = 0x9c;
    p = abs_op(p, 0x8f, 0x04, &SLOTS->flags);
    memcpy(p, rest, sizeof(rest));
}

static void put_state(struct guest *g, const struct state *s)
{
    memcpy(g->ram + (DATA - WINDOW / 2 - GUEST_BASE), s->mem, WINDOW);
    memcpy(g->ram + (GUEST_STACK - 32 - GUEST_BASE), s->stack, sizeof(s->stack));
}

static void get_memory(const struct guest *g, struct state *s)
{
    memcpy(s->mem, g->ram + (DATA - WINDOW / 2 - GUEST_BASE), WINDOW);
    memcpy(s->stack, g->ram + (GUEST_STACK - 32 - GUEST_BASE), sizeof(s->stack));
}

/* The translator has handlers of its own for the same signals: only borrow them. They run
 * on a stack of their own: SP is the guest's, and what is below it is compared. */
static const int fault_signals[3] = { SIGFPE, SIGILL, SIGSEGV };

static void take_signals(struct sigaction old[3], stack_t *old_stack)
{
    struct sigaction sa = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK };
    static uint8_t stack[64 * 1024];
    const stack_t ss = { .ss_sp = stack, .ss_size = sizeof stack };

    sigaltstack(&ss, old_stack);
    for (unsigned i = 0; i < 3; i++)
        sigaction(fault_signals[i], &sa, &old[i]);
}

static void give_signals(const struct sigaction old[3], const stack_t *old_stack)
{
    sigaltstack(old_stack, NULL);
    for (unsigned i = 0; i < 3; i++)
        sigaction(fault_signals[i], &old[i], NULL);
}

/* returns 0 or the signal */
static int run_native(struct guest *g, const uint8_t *code, unsigned n, unsigned bits, struct state *s)
{
    struct sigaction old[3];
    stack_t old_stack;
    int sig;

    put_state(g, s);
    memcpy(SLOTS->r, s->r, sizeof(s->r));
    SLOTS->flags = s->flags | 0x202;
    build_native(code, n, bits);
    take_signals(old, &old_stack);
    sig = sigsetjmp(fault_jmp, 1);
    if (!sig)
        ((void (*)(void))NATIVE)();
    give_signals(old, &old_stack);
    if (sig)
        return sig;
    memcpy(s->r, SLOTS->r, sizeof(s->r));
    s->flags = SLOTS->flags & EF_ARITH;
    get_memory(g, s);
    return 0;
}

/* ---- the guest side ---------------------------------------------------------------------------- */

/* segments have base 0 and no limit in every mode; what differs is whether translation knows */
static void open_segments(struct guest *g)
{
    for (unsigned i = 0; i < S_COUNT; i++) {
        g->cpu->seg[i].base = 0;
        g->cpu->seg[i].limit = g->cpu->seg[i].hi_r = g->cpu->seg[i].hi_w = 0xffffffff;
    }
}

struct way {
    uint32_t mode;
    bool opt, host;           /* optimised; host code instead of the interpreter */
    unsigned insns;           /* instructions in the code */
};

/* the whole path: cache, host code, run loop; HLT behind the instruction ends it */
static uint32_t run_translated(struct guest *g, unsigned n, const struct way *w)
{
    struct tcg_cpu *tc = &g->cpu->tcg;
    struct tb_key k;

    g->ram[0x100 + n] = 0xf4;
    guest_key(g, &k, w->mode, 0x100);
    open_segments(g);
    tc->pc = GUEST_CODE + 0x100;       /* CS has base 0 too, now */
    tcg_invalidate_phys(g->tcg, 0, 0x100, 64);
    tcg_mode_changed(tc, w->mode);
    tc->va_mask = w->mode & MODE_LONG ? ~0ull : 0xffffffff;
    tc->exception = 0;
    tc->run = 1;
    g->cpu->halted = g->cpu->shutdown = g->faulted = false;
    g->cpu->idt.limit = 0;
    tcg_run(tc);
    return g->faulted ? EXC_DE + 1 : 0;
}

static uint32_t run_guest(struct guest *g, const uint8_t *code, unsigned n, const struct way *w,
                          struct state *s)
{
    uint32_t exc;

    put_state(g, s);
    memcpy(g->ram + 0x100, code, n);
    memcpy(g->cpu->tcg.regs, s->r, sizeof(s->r));
    g->cpu->tcg.fl = x86_eflags_to_fl((uint32_t)s->flags);
    if (w->host) {
        exc = run_translated(g, n, w);
    } else {
        cr_assert_gt(guest_translate(g, w->mode, 0x100, w->insns), 0);
        open_segments(g);
        ir_optimise(g->b, w->opt, true);
        ir_interp(&g->cpu->tcg, g->b);
        exc = g->cpu->tcg.exception;
    }
    memcpy(s->r, g->cpu->tcg.regs, sizeof(s->r));
    s->flags = x86_fl_to_eflags(g->cpu->tcg.fl) & EF_ARITH;
    get_memory(g, s);
    return exc;
}

/* ---- instructions ---------------------------------------------------------------------------------- */

/* flags that the manual leaves undefined after a row */
static uint32_t undefined_flags(const struct x86_insn *in, const struct state *before)
{
    static const struct { const char *name; uint32_t mask; } table[] = {
        { "AND", EF_AF }, { "OR", EF_AF }, { "XOR", EF_AF }, { "TEST", EF_AF }, { "ANDN", EF_AF | EF_PF },
        { "MUL", EF_ARITH & ~(EF_CF | EF_OF) }, { "IMUL", EF_ARITH & ~(EF_CF | EF_OF) },
        { "DIV", EF_ARITH }, { "IDIV", EF_ARITH },
        { "BSF", EF_ARITH & ~EF_ZF }, { "BSR", EF_ARITH & ~EF_ZF },
        { "BT", EF_ARITH & ~(EF_CF | EF_ZF) }, { "BTS", EF_ARITH & ~(EF_CF | EF_ZF) },
        { "BTR", EF_ARITH & ~(EF_CF | EF_ZF) }, { "BTC", EF_ARITH & ~(EF_CF | EF_ZF) },
        { "TZCNT", EF_ARITH & ~(EF_CF | EF_ZF) }, { "LZCNT", EF_ARITH & ~(EF_CF | EF_ZF) },
        { "BLSR", EF_AF | EF_PF }, { "BLSMSK", EF_AF | EF_PF }, { "BLSI", EF_AF | EF_PF },
        { "DAA", EF_OF }, { "DAS", EF_OF }, { "AAA", EF_OF | EF_SF | EF_ZF | EF_PF },
        { "AAS", EF_OF | EF_SF | EF_ZF | EF_PF }, { "AAM", EF_OF | EF_AF | EF_CF },
        { "AAD", EF_OF | EF_AF | EF_CF },
        { "BZHI", EF_AF | EF_PF }, { "BEXTR", EF_AF | EF_PF | EF_SF },
    };
    static const char *const shifts[] = { "SHL", "SHR", "SAR", "ROL", "ROR", "RCL", "RCR", "SHLD", "SHRD" };
    const char *n = in->row->name;

    for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
        if (!strcmp(n, table[i].name))
            return table[i].mask;
    for (unsigned i = 0; i < ARRAY_SIZE(shifts); i++) {
        unsigned size = opnd_bytes(in, in->row->dst), count;
        if (strcmp(n, shifts[i]))
            continue;
        count = opnd_kind(in->row->b) == K_C || (i >= 7 && !ROW_HAS(in->row, IMM8))
                ? before->r[R_CX] : opnd_kind(in->row->b) == K_One ? 1 : (uint64_t)in->imm;
        count &= size == 8 ? 63 : 31;
        if (!count)
            return 0;
        if (i >= 3 && i < 7)
            return count == 1 ? 0 : EF_OF;
        return EF_AF | (count == 1 ? 0 : EF_OF) | (count >= size * 8 ? EF_CF : 0) |
               (i >= 7 && count >= size * 8 ? EF_ARITH : 0);
    }
    return 0;
}

static const char *const skip[] = {
    /* another file's, or the host kernel's, or not the same twice */
    "INS", "OUTS", "IN", "OUT", "Jcc", "JMP", "CALL", "RET", "LOOP", "LOOPE", "LOOPNE", "JCXZ", "INT",
    "INT1", "INT3", "IRET", "RETF", "JMPF", "CALLF", "SYSCALL", "SYSRET", "SYSENTER", "SYSEXIT",
    "UD2", "VMCALL", "VMMCALL", "RSM", "POPF", "PUSHF", "ENTER", "CPUID", "RDTSC", "RDTSCP", "RDPMC", "RDRAND", "RDSEED",
    "RDPID", "LSL", "LAR", "VERR", "VERW", "SLDT", "STR", "SMSW", "SGDT", "SIDT", "LSS", "LFS", "LGS",
    "XGETBV", "RDFSBASE", "RDGSBASE", "WRFSBASE", "WRGSBASE", "CLI", "STI", "MONITOR", "MWAIT",
    "CLAC", "STAC", "CLFLUSH", "CLFLUSHOPT", "CLWB", "CMPXCHG8B", "CMPXCHG16B", "LEAVE", "XLAT",
    "CLD", "STD", "FENCE", "BOUND", "INTO", "LES", "LDS", "RDPKRU", "WRPKRU",
    "CLZERO", "MOVDIR64B",
};

static bool wanted(const struct x86_row *r, unsigned bits)
{
    if (r->attr & (A_(CPL0) | (bits == 64 ? A_(NO64) : A_(ONLY64))))
        return false;
    if (!r->dst && !r->a && (!strcmp(r->name, "POP") || !strcmp(r->name, "PUSH")))
        return false;                  /* segment registers */
    for (unsigned i = 0; i < ARRAY_SIZE(skip); i++)
        if (!strcmp(r->name, skip[i]))
            return false;
    for (unsigned i = 0; i < 3; i++) {
        enum opnd_kind k = opnd_kind(i == 0 ? r->dst : i == 1 ? r->a : r->b);
        if (k == K_O || k == K_S || k == K_Cr || k == K_Dr)
            return false;
    }
    return true;
}

static bool have(const char *name)
{
    static const char *const adx[] = { "ADCX", "ADOX" }, *const bmi2[] = { "BZHI", "PEXT", "PDEP",
        "MULX", "SHLX", "SARX", "SHRX", "RORX" }, *const bmi1[] = { "ANDN", "BLSR", "BLSI", "BLSMSK",
        "BEXTR", "TZCNT" };

    __builtin_cpu_init();
    for (unsigned i = 0; i < ARRAY_SIZE(bmi2); i++)
        if (!strcmp(name, bmi2[i]))
            return __builtin_cpu_supports("bmi2");
    for (unsigned i = 0; i < ARRAY_SIZE(bmi1); i++)
        if (!strcmp(name, bmi1[i]))
            return __builtin_cpu_supports("bmi");
    /* no name for them; they came with or after BMI2 */
    for (unsigned i = 0; i < ARRAY_SIZE(adx); i++)
        if (!strcmp(name, adx[i]))
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    return true;
}

static unsigned pick(const struct x86_row *r, unsigned first, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (row_has(r, first + i))
            return i;
    return (unsigned)rnd() % n;
}

static uint8_t *put_modrm(uint8_t *p, const struct x86_row *r)
{
    unsigned reg = pick(r, AB_X0, 8), rm = pick(r, AB_RM0, 8);
    bool mem = pick(r, AB_MEM, 2) == 0;

    if (!mem) {
        *p++ = 0xc0 | reg << 3 | rm;
    } else if (rnd() % 3) {            /* [rsi or rdi + disp8] */
        *p++ = 0x40 | reg << 3 | (rnd() & 1 ? 6 : 7);
        *p++ = (uint8_t)(rnd() % 64 - 32);
    } else {                           /* [rsi + rax * 1 + disp8]: rax is made small */
        *p++ = 0x44 | reg << 3;
        *p++ = 0x06 | (rnd() & 1 ? 0x08 : 0);   /* index rax or rcx */
        *p++ = (uint8_t)(rnd() % 32 - 16);
    }
    return p;
}

/* a random encoding of @r; returns its length, or 0 when it came out as something else */
static unsigned make_insn(const struct x86_row *r, unsigned bits, uint8_t *code, struct x86_insn *in)
{
    uint8_t *p = code;
    unsigned map = r->op >> 8 & 3;

    memset(code, 0, 15);
    if (!(r->attr & A_(VEX))) {
        if (rnd() % 4 == 0 || (ROW_HAS(r, P66) && !ROW_HAS(r, PNP)))
            *p++ = 0x66;
        if (ROW_HAS(r, PF3) || (ROW_HAS(r, REPOK) && rnd() % 2 == 0))
            *p++ = 0xf3;
        if (ROW_HAS(r, PF2))
            *p++ = 0xf2;
        if (ROW_HAS(r, LOCKABLE) && rnd() % 8 == 0)
            *p++ = 0xf0;
        if (bits == 64 && rnd() % 8 == 0)
            *p++ = 0x67;
        if (bits == 64 && rnd() % 2)
            *p++ = 0x40 | (rnd() & 0xf);
        if (map)
            *p++ = 0x0f;
        if (map > 1)
            *p++ = map == 2 ? 0x38 : 0x3a;
    } else {
        *p++ = 0xc4;
        *p++ = bits == 64 ? 0x40 | (rnd() & 1) << 7 | (rnd() & 1) << 5 | map : 0xe0 | map;
        *p++ = (rnd() & 1) << 7 | (r->vvvv ? (rnd() & 15) | (bits == 64 ? 0 : 8) : 15) << 3 | pick(r, AB_PNP, 4);
    }
    *p++ = (uint8_t)(r->op + rnd() % (r->span + 1u));
    if (r->modrm)
        p = put_modrm(p, r);
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)rnd();
    if (x86_decode(code, 15, bits, in) <= 0 || in->err || in->row != r)
        return 0;
    return in->len;
}

/* registers that must keep their value for the sake of addresses or the host stack */
static bool names_sp(const struct x86_insn *in)
{
    const unsigned ops[3] = { in->row->dst, in->row->a, in->row->b };

    for (unsigned i = 0; i < 3; i++) {
        enum opnd_kind k = opnd_kind(ops[i]);
        if ((k == K_E && !in->mem && in->rm == R_SP) || (k == K_R && in->rm == R_SP) ||
            (k == K_G && in->reg == R_SP) || (k == K_B && in->vvvv == R_SP) ||
            (k == K_Z && ((in->opcode & 7) | (in->rex & 1) << 3) == R_SP))
            return true;
    }
    return false;
}

static void random_state(struct state *s, const struct x86_insn *in)
{
    static const unsigned regs[] = { R_SI, R_DI };

    for (unsigned i = 0; i < 16; i++)
        s->r[i] = rnd_value();
    for (unsigned i = 0; i < 2; i++)
        s->r[regs[i]] = DATA + rnd() % 16;
    s->r[R_SP] = GUEST_STACK;
    if (in->mem) {
        s->r[in->base] = DATA + rnd() % 16;
        if (in->addrsize == 4 && in->bits == 64)
            s->r[in->base] |= rnd() << 32;
        if (in->index != REGNO_NONE)
            s->r[in->index] = (rnd() % 8) >> in->scale;
        if (!strncmp(in->row->name, "BT", 2) && opnd_kind(in->row->b) == K_G)
            s->r[in->reg] = (uint64_t)((int64_t)(rnd() % 512) - 256);
    }
    if (in->prefixes & PFX_REP && ROW_HAS(in->row, REPOK))
        s->r[R_CX] = rnd() % 6;
    for (unsigned i = 0; i < 16 && in->bits == 32; i++)
        s->r[i] = i < 8 ? (uint32_t)s->r[i] : 0;
    s->flags = rnd() & EF_ARITH;
    for (unsigned i = 0; i < sizeof(s->mem); i++)
        s->mem[i] = (uint8_t)rnd_value();
    for (unsigned i = 0; i < sizeof(s->stack); i++)
        s->stack[i] = (uint8_t)rnd();
}

static void show(const struct x86_insn *in, const uint8_t *code, const struct state *before,
                 const struct state *host, const struct state *guest)
{
    fprintf(stderr, "%s:", in->row->name);
    for (unsigned i = 0; i < in->len; i++)
        fprintf(stderr, " %02x", code[i]);
    fprintf(stderr, "\nflags before=%#x host=%#x guest=%#x\n", (unsigned)before->flags,
            (unsigned)host->flags, (unsigned)guest->flags);
    for (unsigned i = 0; i < 16; i++)
        if (host->r[i] != guest->r[i])
            fprintf(stderr, "r%u before=%#llx host=%#llx guest=%#llx\n", i,
                    (unsigned long long)before->r[i], (unsigned long long)host->r[i],
                    (unsigned long long)guest->r[i]);
    for (unsigned i = 0; i < WINDOW; i++)
        if (host->mem[i] != guest->mem[i])
            fprintf(stderr, "mem[%d] before=%02x host=%02x guest=%02x\n", (int)i - (int)WINDOW / 2,
                    before->mem[i], host->mem[i], guest->mem[i]);
}

static bool same(const struct state *a, const struct state *b, uint32_t ignore)
{
    return !memcmp(a->r, b->r, sizeof(a->r)) && !((a->flags ^ b->flags) & ~(uint64_t)ignore) &&
           !memcmp(a->mem, b->mem, sizeof(a->mem)) && !memcmp(a->stack, b->stack, sizeof(a->stack));
}

/* 1: compared, 0: no such encoding, -1: different */
static int one_case(struct guest *g, const struct x86_row *r, unsigned bits, const struct way *w)
{
    struct state before, host, guest;
    uint8_t code[24];
    struct x86_insn in;
    unsigned n = make_insn(r, bits, code, &in);
    uint32_t exc;
    int sig;

    if (!n || names_sp(&in) || (bits == 32 && in.addrsize != 4))
        return 0;
    random_state(&before, &in);
    host = guest = before;
    sig = run_native(g, code, n, bits, &host);
    exc = run_guest(g, code, n, w, &guest);
    if (sig == SIGSEGV)
        return 0;
    if (sig || exc) {
        bool ok = (w->host && sig && exc) || (sig == SIGFPE && exc == EXC_DE + 1) || (sig == SIGILL && exc == EXC_UD + 1);
        if (!ok)
            fprintf(stderr, "%s: signal %d, exception %d\n", r->name, sig, (int)exc - 1);
        return ok ? 1 : -1;
    }
    /* BSF, BSR of 0 in 32 bits: makers differ on the upper half */
    if (!strncmp(r->name, "BS", 2) && in.opsize == 4 && (host.flags & EF_ZF))
        return 0;
    if (same(&host, &guest, undefined_flags(&in, &before)))
        return 1;
    show(&in, code, &before, &host, &guest);
    return -1;
}

/* some sandboxes have no 32-bit code segment */
static bool host_runs(struct guest *g, unsigned bits)
{
    static const uint8_t nop = 0x90;
    struct state s = { .r = { [R_SP] = GUEST_STACK } };

    return run_native(g, &nop, 1, bits, &s) == 0;
}

static void check_rows(unsigned bits, uint32_t mode, bool opt, bool host)
{
    const struct way w = { mode, opt, host, 1 };
    struct guest *g = guest_new_on(host ? TCG_BACKEND_HOST : TCG_BACKEND_INTERP, opt);
    unsigned rows = 0, bad = 0, cases = 0;

    mmap(SLOTS, 0x3000, PROT_READ | PROT_WRITE | PROT_EXEC,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (!host_runs(g, bits))
        return;
    for (unsigned i = 1; i <= x86_last_integer_row(); i++) {
        unsigned done = 0;
        if (!wanted(&x86_rows[i], bits) || !have(x86_rows[i].name))
            continue;
        for (unsigned round = 0; round < 400 && done < 60; round++) {
            int c = one_case(g, &x86_rows[i], bits, &w);
            if (c < 0 && ++bad > 20)
                cr_assert(false, "too many differences");
            done += c != 0;
        }
        cr_assert_gt(done, 0, "row %u %s never ran", i, x86_row_name(i));
        rows++;
        cases += done;
    }
    cr_assert_eq(bad, 0, "%u of %u cases differ", bad, cases);
    cr_assert_gt(rows, 150, "%u rows", rows);
    guest_free(g);
}

Test(native, rows64_plain)
{
    check_rows(64, GUEST_LONG, false, false);
}

Test(native, rows64_optimised)
{
    rng ^= 0x5555;
    check_rows(64, GUEST_LONG, true, false);
}

Test(native, rows32_flat)
{
    check_rows(32, GUEST_PROT, false, false);
}

Test(native, rows32_flat_optimised)
{
    rng ^= 0x77777;
    check_rows(32, GUEST_PROT, true, false);
}

Test(native, rows32_compatibility_mode)
{
    check_rows(32, GUEST_PROT | MODE_LONG, true, false);
}

Test(native, rows32_checked_segments)
{
    check_rows(32, GUEST_PROT_SEG, true, false);
}

Test(native, rows64_host_code)
{
    rng ^= 0x3333333;
    check_rows(64, GUEST_LONG, true, true);
}

Test(native, rows64_host_code_plain)
{
    check_rows(64, GUEST_LONG, false, true);
}

Test(native, rows32_host_code)
{
    check_rows(32, GUEST_PROT, true, true);
}

Test(native, rows32_host_code_checked_segments)
{
    check_rows(32, GUEST_PROT_SEG, true, true);
}

/* ---- sequences: what optimisation and register allocation make of several together ----- */

/* No operand is a register that addresses need, and the data address stays put. Addresses
 * use those registers only: elsewhere, what the host has mapped decides what is read. */
static bool sequence_ok(const struct x86_insn *in)
{
    static const char *const no[] = { "DIV", "IDIV", "PUSHA", "POPA", "AAM", "BSF", "BSR" };
    const unsigned ops[3] = { in->row->dst, in->row->a, in->row->b };

    if (ROW_HAS(in->row, REPOK) || (in->mem && (in->index != REGNO_NONE || in->addrsize != in->bits / 8)))
        return false;
    if (in->mem && in->base != R_SI && in->base != R_DI)
        return false;
    if (!strncmp(in->row->name, "BT", 2) && in->mem && opnd_kind(in->row->b) == K_G)
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(no); i++)
        if (!strcmp(in->row->name, no[i]))
            return false;
    for (unsigned i = 0; i < 3; i++) {
        enum opnd_kind k = opnd_kind(ops[i]);
        unsigned r = k == K_G ? in->reg : k == K_E && !in->mem ? in->rm : k == K_B ? in->vvvv :
                     k == K_Z ? (in->opcode & 7u) | (in->rex & 1u) << 3 : 0;
        if (r == R_SI || r == R_DI || r == R_SP)
            return false;
    }
    return true;
}

/* flags that are undefined after @in when @undef were before; false: it reads one of them */
static bool next_undefined(const struct x86_insn *in, uint32_t *undef)
{
    const struct state none = { .r = { 0 } };
    uint32_t wf = 0, rf = 0, u;
    static const uint32_t ef[6] = { EF_CF, EF_PF, EF_AF, EF_ZF, EF_SF, EF_OF };

    for (unsigned i = 0; i < 6; i++) {
        wf |= in->row->wf >> i & 1 ? ef[i] : 0;
        rf |= in->row->rf >> i & 1 ? ef[i] : 0;
    }
    if (!strcmp(in->row->name, "LAHF"))
        rf = EF_ARITH & ~EF_OF;
    if (rf & *undef)
        return false;
    u = undefined_flags(in, &none);
    if (opnd_kind(in->row->b) == K_C || in->row->op == (MAP_0F << 8 | 0xa5) ||
        in->row->op == (MAP_0F << 8 | 0xad))
        *undef |= wf;                     /* the count decides */
    else if (in->row->tr == tr_shift || in->row->tr == tr_shld)
        *undef |= wf;                     /* so it does when it masks to 0 */
    else
        *undef = (*undef & ~wf) | (u & wf);
    return true;
}

/* up to @want instructions into @code; returns bytes, *n instructions */
static unsigned make_sequence(unsigned bits, unsigned want, uint8_t *code, unsigned *n, uint32_t *undef)
{
    unsigned len = 0, last = x86_last_integer_row();

    *n = 0;
    *undef = 0;
    while (*n < want) {
        const struct x86_row *r = &x86_rows[1 + rnd() % last];
        struct x86_insn in;
        uint32_t u = *undef;
        unsigned k;
        if (!wanted(r, bits) || !have(r->name))
            continue;
        k = make_insn(r, bits, code + len, &in);
        if (!k || (in.prefixes & (PFX_LOCK | PFX_ADSIZE)) || !sequence_ok(&in) || !next_undefined(&in, &u))
            continue;
        *undef = u;
        len += k;
        ++*n;
    }
    return len;
}

static bool one_sequence(struct guest *g, unsigned bits, struct way *w, unsigned *compared)
{
    struct state before, host, guest;
    struct x86_insn in;
    uint8_t code[15 * 8 + 16];
    uint32_t undef;
    unsigned n = make_sequence(bits, 2 + (unsigned)rnd() % 6, code, &w->insns, &undef);

    x86_decode(code, n, bits, &in);
    in.mem = false;
    random_state(&before, &in);
    host = guest = before;
    if (run_native(g, code, n, bits, &host) || run_guest(g, code, n, w, &guest))
        return true;                      /* PMODE, and other faults */
    ++*compared;
    if (same(&host, &guest, undef))
        return true;
    for (unsigned at = 0; at < n; at += in.len) {
        x86_decode(code + at, n - at, bits, &in);
        fprintf(stderr, "%s; ", in.row->name);
    }
    in.len = n < 120 ? n : 120;
    show(&in, code, &before, &host, &guest);
    return false;
}

static void check_sequences(unsigned bits, uint32_t mode, bool host, uint64_t seed)
{
    struct way w = { mode, true, host, 0 };
    struct guest *g = guest_new_on(host ? TCG_BACKEND_HOST : TCG_BACKEND_INTERP, true);
    unsigned bad = 0, compared = 0;

    rng = seed;
    mmap(SLOTS, 0x3000, PROT_READ | PROT_WRITE | PROT_EXEC,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (!host_runs(g, bits))
        return;
    for (unsigned i = 0; i < 3000 && bad < 10; i++)
        bad += !one_sequence(g, bits, &w, &compared);
    cr_assert_eq(bad, 0);
    cr_assert_gt(compared, 1500, "%u", compared);
    guest_free(g);
}

Test(native, sequences64)
{
    check_sequences(64, GUEST_LONG, false, 0x9e3779b97f4a7c15);
}

Test(native, sequences64_host_code)
{
    check_sequences(64, GUEST_LONG, true, 0xbf58476d1ce4e5b9);
}

Test(native, sequences32_host_code)
{
    check_sequences(32, GUEST_PROT, true, 0x94d049bb133111eb);
}

Test(native, sequences32_checked_segments)
{
    check_sequences(32, GUEST_PROT_SEG, true, 0xd6e8feb86659fd93);
}
#endif
