/*
 * compare.c - what must be equal; differences for people
 */
#include "tests/fuzz/insn/ifuzz.h"
#include "tcg/tcg-int.h"

#define FLAGS_COMPARED (EF_ARITH | EF_DF | EF_NT | EF_AC | EF_ID)

/* Flags that are undefined where the sequence ended. */
static uint32_t ignored(const struct seq *q, const struct outcome *a)
{
    uint64_t at = a->pc - CODE_VA - q->off;

    if (a->vector == VEC_END)
        return q->taint[q->n];
    for (unsigned i = 0; i < q->n; i++)
        if (q->start[i] == at || (q->start[i + 1] == at && a->vector >= EXC_DB && a->vector <= EXC_OF))
            return q->taint[i];
    return EF_ARITH;              /* at a branch's target */
}

/*
 * A vector or x87 instruction whose operand faults may have marked the MMX state in
 * use or set MXCSR flags already: silicon does for some.
 */
static bool vectors_same(const struct seq *q, const struct outcome *a, const struct outcome *b)
{
    if (a->vec != b->vec)
        return false;
    if (a->vector >= EXC_SS && a->vector <= EXC_PF)
        return true;
    return a->x87 == b->x87 && a->mxcsr == b->mxcsr && a->fcw == b->fcw && a->fsw == b->fsw && a->ftw == b->ftw;
}

/*
 * 32-bit code, an operand that reaches past 4 GiB in a segment without a smaller limit:
 * the manual leaves the fault to the implementation. All registers are as before the
 * instruction, so its address can be told.
 */
static bool wraps_4g(const struct seq *q, const struct outcome *a)
{
    struct x86_insn in;
    uint64_t at = a->pc - CODE_VA - q->off, ea;

    if (q->bits != 32 || a->vector < EXC_SS || a->vector > EXC_PF || at >= q->len ||
        x86_decode_with(q->code + at, q->len - (unsigned)at, 32, NULL, &in) < 1)
        return false;
    if (ROW_HAS(in.row, REPOK))
        return (uint32_t)a->r[R_SI] > 0u - 64 || (uint32_t)a->r[R_DI] > 0u - 64;
    if (!in.mem)
        return false;
    ea = (uint32_t)in.disp + (in.base < 16 ? a->r[in.base] : 0) + (in.index < 16 ? a->r[in.index] << in.scale : 0);
    return (uint32_t)ea > 0u - 64;
}

/* A vector operand in 16-bit code both misaligned and outside its segment: silicon looks
 * at alignment first. */
static bool vector_same(const struct seq *q, const struct outcome *a, const struct outcome *b)
{
    return a->vector == b->vector || (q->fpu && q->bits == 16 && a->vector == EXC_GP && b->vector == EXC_SS);
}

/* The instruction that @o ended at; false: its operand did not fault, or it is not one of the sequence's. */
static bool faulted_at(const struct seq *q, const struct outcome *o, struct x86_insn *in)
{
    uint64_t at = o->pc - CODE_VA - q->off;

    return o->vector >= EXC_SS && o->vector <= EXC_PF && at < q->len &&
           x86_decode_with(q->code + at, q->len - (unsigned)at, q->bits, NULL, in) > 0;
}

/*
 * An x87 or MMX instruction with a memory operand that faults, and an unmasked exception that is
 * pending or its own: silicon reports the exception first, a translation meets the operand
 * first.
 */
static bool x87_order(const struct seq *q, const struct outcome *a, const struct outcome *b)
{
    struct x86_insn in;

    if (!q->fpu || (b->fcw & 0x3f) == 0x3f || b->vector < EXC_SS || b->vector > EXC_PF)
        return false;
    if (a->vector == EXC_MF && a->pc == b->pc)
        return true;
    return faulted_at(q, b, &in) && in.mem && in.enc == ENC_LEGACY && in.map == 0 && (in.opcode & 0xf8) == 0xd8;
}

/* both have faulted at an instruction that silicon does in pieces, or before it looks at its operand */
static bool in_pieces(const struct seq *q, const struct outcome *a, const struct outcome *b)
{
    struct x86_insn in;

    return a->pc == b->pc && (a->vector == b->vector || a->vector == EXC_XM) && faulted_at(q, b, &in) &&
           row_detail(in.row);
}

static bool address_same(const struct seq *q, const struct outcome *a, const struct outcome *b)
{
    uint64_t at = a->pc - CODE_VA - q->off;

    return at >= q->len ? a->cr2 == b->cr2
                        : same_address(q->code + at, q->len - (unsigned)at, q->bits, a->error, a->cr2, b->cr2);
}

bool outcome_same(const struct seq *q, const struct outcome *a, const struct outcome *b)
{
    if (wraps_4g(q, a) || wraps_4g(q, b) || x87_order(q, a, b) || in_pieces(q, a, b))
        return true;
    if (!vector_same(q, a, b) || a->pc != b->pc || a->mem != b->mem || memcmp(a->r, b->r, sizeof(a->r)))
        return false;
    if ((a->flags ^ b->flags) & FLAGS_COMPARED & ~ignored(q, a))
        return false;
    if (a->vector >= 0 && (a->error != b->error || !address_same(q, a, b)))
        return false;
    return !q->fpu || vectors_same(q, a, b);
}

/* ---- showing ------------------------------------------------------------------- */

/* @number: which register, or address */
static void show_bytes(const char *what, unsigned number, const uint8_t *a, const uint8_t *b, unsigned n)
{
    if (!memcmp(a, b, n))
        return;
    printf("    %s %#x:", what, number);
    for (unsigned i = 0; i < n; i++)
        printf(" %02x", a[i]);
    printf(", here");
    for (unsigned i = 0; i < n; i++)
        printf(a[i] == b[i] ? " .." : " %02x", b[i]);
    printf("\n");
}

static void show_vectors(const struct fpu *a, const struct fpu *b)
{
    for (unsigned k = 0; k < 16; k++) {
        show_bytes("xmm", k, a->fx.xmm[k], b->fx.xmm[k], 16);
        show_bytes("upper half of ymm", k, a->ymmh[k], b->ymmh[k], 16);
    }
    for (unsigned k = 0; k < 8; k++)
        show_bytes("st", k, a->fx.st[k], b->fx.st[k], 10);
    if (a->fx.mxcsr != b->fx.mxcsr)
        printf("    mxcsr %#x, here %#x\n", a->fx.mxcsr, b->fx.mxcsr);
    if (a->fx.fcw != b->fx.fcw || a->fx.fsw != b->fx.fsw || a->fx.ftw != b->fx.ftw)
        printf("    fcw fsw ftw %04x %04x %02x, here %04x %04x %02x\n", a->fx.fcw, a->fx.fsw, a->fx.ftw, b->fx.fcw,
               b->fx.fsw, b->fx.ftw);
}

static void show_avx512(const struct x86_avx512 *a, const struct x86_avx512 *b)
{
    for (unsigned k = 0; k < 8; k++)
        if (a->k[k] != b->k[k])
            printf("    k%u %#llx, here %#llx\n", k, (unsigned long long)a->k[k], (unsigned long long)b->k[k]);
    for (unsigned i = 0; i < 16; i++)
        show_bytes("bits 511:256 of zmm", i, a->zmmh[i], b->zmmh[i], 32);
    for (unsigned i = 0; i < 16; i++)
        show_bytes("zmm", 16 + i, a->hi16[i], b->hi16[i], 64);
}

void show_states(const struct state *a, const struct state *b)
{
    typedef unsigned long long ull;

    if (a->vector != b->vector || a->pc != b->pc || a->error != b->error || a->cr2 != b->cr2)
        printf("    end: vector=%d error=%#x cr2=%#llx pc=%#llx, here vector=%d error=%#x cr2=%#llx pc=%#llx\n",
               a->vector, a->error, (ull)a->cr2, (ull)a->pc, b->vector, b->error, (ull)b->cr2, (ull)b->pc);
    else
        printf("    both end: vector=%d error=%#x cr2=%#llx pc=%#llx\n", a->vector, a->error, (ull)a->cr2, (ull)a->pc);
    for (unsigned i = 0; i < 16; i++)
        if (a->r[i] != b->r[i])
            printf("    r%u %#llx, here %#llx\n", i, (ull)a->r[i], (ull)b->r[i]);
    if ((a->flags ^ b->flags) & FLAGS_COMPARED)
        printf("    flags %#x, here %#x (differ %#x)\n", (unsigned)a->flags, (unsigned)b->flags,
               (unsigned)((a->flags ^ b->flags) & FLAGS_COMPARED));
    for (unsigned i = 0; i < DATA_BYTES; i += 16)
        show_bytes("data", DATA_VA + i, a->data + i, b->data + i, 16);
    for (unsigned i = 0; i < STACK_BYTES; i += 16)
        show_bytes("stack", STACK_VA + i, a->stack + i, b->stack + i, 16);
    show_vectors(&a->f, &b->f);
    show_avx512(&a->f.z, &b->f.z);
}

void show_sequence(const struct seq *q)
{
    tcg_disas(stdout, q->code, q->len, CODE_VA + q->off, q->bits);
    printf("  bytes:");
    for (unsigned i = 0; i < q->len; i++)
        printf(" %02x", q->code[i]);
    printf("\n  flags=%#x", q->flags);
    for (unsigned i = 0; i < (q->bits == 64 ? 16u : 8u); i++)
        printf(" r%u=%#llx", i, (unsigned long long)q->r[i]);
    if (q->fpu)
        printf(" mxcsr=%#x fcw=%#x fsw=%#x ftw=%#x", q->f.fx.mxcsr, q->f.fx.fcw, q->f.fx.fsw, q->f.fx.ftw);
    printf("\n");
}
