/* interp.c - every row of ops.def against the host CPU or the manual's words */
#include "tests/tcg/rig.h"

#define FL(c, p, a, z, s, o) \
    ((c) << 8 | (p) << 10 | (a) << 12 | (z) << 14 | (s) << 15 | (o))
#define FL_ALL 0xd501u

static struct rig *rig;

static void setup(void)
{
    rig = rig_new();
}

static void teardown(void)
{
    rig_free(rig);
}

TestSuite(interp, .init = setup, .fini = teardown);

/* run one operation g0 = g1 op g2 (e = g3, c = g4) with flags @fl before */
static struct ir_op *emit(enum ir_opc opc, unsigned size)
{
    const struct ir_info *i = ir_op_info(opc);
    struct ir_op *op = ir_emit(rig->b, opc, size, i->outs & IRO_D ? G0 : IR_NONE,
                               i->ins & IRO_A ? G1 : IR_NONE, i->ins & IRO_B ? G2 : IR_NONE);

    if (i->outs & IRO_E)
        op->e = G3;
    if (i->ins & IRO_C)
        op->c = G4;
    op->wf = IRF_ALL;
    return op;
}

static uint64_t *g(void)
{
    return rig->cpu->tcg.regs;
}

static uint32_t fl(void)
{
    return rig->cpu->tcg.fl & FL_ALL;
}

/* ---- against the host CPU ------------------------------------------------------------- */

#ifdef __x86_64__
#define AX_FLAGS 0x8d5u    /* C P A Z S O in RFLAGS */

static uint64_t to_rflags(uint32_t f)
{
    return ((f >> 8) & 0xd5) | (f & 1) << 11;
}

/* d = old d, a in rdx, b in rcx; flags in and out */
#define NATIVE(name, insn)                                                          \
    static uint64_t name(uint64_t d, uint64_t a, uint64_t c, uint64_t *flags)       \
    {                                                                               \
        uint64_t f = *flags;                                                        \
        __asm__ volatile("lea -256(%%rsp), %%rsp\n\t"                               \
                         "push %1\n\tpopf\n\t" insn "\n\tpushf\n\tpop %1\n\t"       \
                         "lea 256(%%rsp), %%rsp"                                    \
                         : "+a"(d), "+&r"(f), "+d"(a)                               \
                         : "c"(c) : "cc", "memory");                                \
        *flags = f & AX_FLAGS;                                                      \
        return d;                                                                   \
    }
typedef uint64_t native_fn(uint64_t d, uint64_t a, uint64_t c, uint64_t *flags);

/* rax = rax op cl/rcx, four widths */
#define BINARY(op)                             \
    NATIVE(op##_1, #op " %%cl, %%al")          \
    NATIVE(op##_2, #op " %%cx, %%ax")          \
    NATIVE(op##_4, #op " %%ecx, %%eax")        \
    NATIVE(op##_8, #op " %%rcx, %%rax")
#define UNARY(op)                              \
    NATIVE(op##_1, #op " %%al")                \
    NATIVE(op##_2, #op " %%ax")                \
    NATIVE(op##_4, #op " %%eax")               \
    NATIVE(op##_8, #op " %%rax")
#define SHIFT(op)                              \
    NATIVE(op##_1, #op " %%cl, %%al")          \
    NATIVE(op##_2, #op " %%cl, %%ax")          \
    NATIVE(op##_4, #op " %%cl, %%eax")         \
    NATIVE(op##_8, #op " %%cl, %%rax")
#define WIDE(op)                               \
    NATIVE(op##_2, #op " %%cx, %%ax")          \
    NATIVE(op##_4, #op " %%ecx, %%eax")        \
    NATIVE(op##_8, #op " %%rcx, %%rax")
#define DOUBLE(op)                             \
    NATIVE(op##_2, #op " %%cl, %%dx, %%ax")    \
    NATIVE(op##_4, #op " %%cl, %%edx, %%eax")  \
    NATIVE(op##_8, #op " %%cl, %%rdx, %%rax")
BINARY(add) BINARY(sub) BINARY(and) BINARY(or) BINARY(xor) BINARY(adc) BINARY(sbb)
BINARY(cmp) BINARY(test) UNARY(inc) UNARY(dec) UNARY(neg) UNARY(not)
SHIFT(shl) SHIFT(shr) SHIFT(sar) SHIFT(rol) SHIFT(ror) SHIFT(rcl) SHIFT(rcr)
WIDE(imul) WIDE(bt) WIDE(bts) WIDE(btr) WIDE(btc) WIDE(bsf) WIDE(bsr)
DOUBLE(shld) DOUBLE(shrd)

enum { F_SHIFT = 1, F_ROTATE = 2, F_DOUBLE = 4, F_SCAN = 8, F_LOGIC = 16, F_MUL = 32, F_BIT = 64 };

static const struct native_row {
    enum ir_opc opc;
    native_fn *fn[4];      /* by log2 of the width */
    unsigned kind;
} native_rows[] = {
#define ROW4(N, n, k) { IR_##N, { n##_1, n##_2, n##_4, n##_8 }, k }
#define ROW3(N, n, k) { IR_##N, { NULL, n##_2, n##_4, n##_8 }, k }
    ROW4(ADD, add, 0), ROW4(SUB, sub, 0), ROW4(AND, and, F_LOGIC), ROW4(OR, or, F_LOGIC),
    ROW4(XOR, xor, F_LOGIC), ROW4(ADC, adc, 0), ROW4(SBB, sbb, 0), ROW4(CMP, cmp, 0),
    ROW4(TEST, test, F_LOGIC), ROW4(INC, inc, 0), ROW4(DEC, dec, 0), ROW4(NEG, neg, 0),
    ROW4(NOT, not, 0), ROW4(SHL, shl, F_SHIFT), ROW4(SHR, shr, F_SHIFT), ROW4(SAR, sar, F_SHIFT),
    ROW4(ROL, rol, F_ROTATE), ROW4(ROR, ror, F_ROTATE), ROW4(RCL, rcl, F_ROTATE),
    ROW4(RCR, rcr, F_ROTATE), ROW3(IMUL, imul, F_MUL), ROW3(BT, bt, F_BIT), ROW3(BTS, bts, F_BIT),
    ROW3(BTR, btr, F_BIT), ROW3(BTC, btc, F_BIT), ROW3(BSF, bsf, F_SCAN), ROW3(BSR, bsr, F_SCAN),
    ROW3(SHLD, shld, F_DOUBLE | F_SHIFT), ROW3(SHRD, shrd, F_DOUBLE | F_SHIFT),
};

/* flags that the manual defines after this operation with this count */
static uint64_t defined(const struct native_row *r, unsigned size, uint64_t count)
{
    unsigned n = count & (size == 8 ? 63 : 31);
    uint64_t all = AX_FLAGS, a = 1 << 4, o = 1 << 11, c = 1;

    if (r->kind & (F_SHIFT | F_ROTATE)) {
        if (!n)
            return all;
        if (r->kind & F_SHIFT) {
            all &= ~a;
            if (n > size * 8)
                all &= ~c;
        }
        if ((r->opc == IR_RCL || r->opc == IR_RCR) && size < 4 && n % (size * 8 + 1) == 0)
            return all & ~o;
        return n == 1 ? all : all & ~o;
    }
    if (r->kind & F_LOGIC)
        return all & ~a;
    if (r->kind & F_MUL)
        return c | o;
    if (r->kind & F_SCAN)
        return 1 << 6;
    if (r->kind & F_BIT)
        return c | 1 << 6;
    return all;
}

static void compare_row(const struct native_row *r, unsigned lg, uint64_t *seed)
{
    unsigned size = 1u << lg;
    uint64_t d = rig_random(seed), b = rig_random(seed), c = rig_random(seed), flags, want, m;
    bool keeps = r->opc == IR_CMP || r->opc == IR_TEST || r->opc == IR_BT;
    struct ir_op *op = emit(r->opc, size);

    if (!(rig_random(seed) & 0x700))
        c = rig_random(seed) & 1 ? 0 : d;
    if (r->kind & (F_SHIFT | F_ROTATE))
        c &= 0x7f;
    if ((r->kind & F_DOUBLE) && size == 2 && (c & 31) > 16)
        c &= 15;                       /* the result is undefined */
    flags = rig_random(seed) & AX_FLAGS;
    rig->cpu->tcg.fl = (uint32_t)((flags & 0xd5) << 8 | ((flags >> 11) & 1));
    g()[0] = g()[1] = d;
    g()[2] = r->kind & F_DOUBLE ? b : c;
    g()[4] = c;
    if (r->kind & F_SCAN) {            /* a = source, b = old result */
        g()[1] = c;
        g()[2] = d;
    }
    m = defined(r, size, c);
    want = r->fn[lg](d, b, c, &flags);
    if ((r->kind & F_SCAN) && !(c & size_mask(size)))
        want = d;    /* documented by AMD only */
    rig_run(rig);
    if (!keeps)
        cr_assert_eq(g()[0], want, "%s.%u d=%#lx b=%#lx c=%#lx: %#lx, host %#lx",
                     ir_op_info(op->opc)->name, size, d, b, c, g()[0], want);
    cr_assert_eq(to_rflags(fl()) & m, flags & m, "%s.%u d=%#lx b=%#lx c=%#lx: F %#lx, host %#lx",
                 ir_op_info(r->opc)->name, size, d, b, c, to_rflags(fl()) & m, flags & m);
}

Test(interp, arithmetic_as_the_host_does)
{
    uint64_t seed = 42;

    for (unsigned i = 0; i < ARRAY_SIZE(native_rows); i++)
        for (unsigned lg = 0; lg < 4; lg++)
            for (unsigned k = 0; native_rows[i].fn[lg] && k < 400; k++)
                compare_row(&native_rows[i], lg, &seed);
}
#endif

/* ---- results by hand --------------------------------------------------------------------- */

Test(interp, moves)
{
    g()[0] = 0x1111111111111111;
    g()[1] = 0xfedcba9876543280;
    emit(IR_MOV, 1)->b = G1;
    rig_run(rig);
    cr_assert_eq(g()[0], 0x1111111111111180);
    emit(IR_MOV, 4)->b = G1;
    rig_run(rig);
    cr_assert_eq(g()[0], 0x76543280);
    emit(IR_ZEXT, 2);
    rig_run(rig);
    cr_assert_eq(g()[0], 0x3280);
    emit(IR_SEXT, 4)->sz2 = 1;
    rig_run(rig);
    cr_assert_eq(g()[0], 0xffffff80);
    emit(IR_EXTH, 0);
    rig_run(rig);
    cr_assert_eq(g()[0], 0x32);
    g()[0] = 0x1234567890;
    emit(IR_DEPH, 0);
    rig_run(rig);
    cr_assert_eq(g()[0], 0x1234568090);
    emit(IR_BSWAP, 4);
    rig_run(rig);
    cr_assert_eq(g()[0], 0x80325476);
    g()[2] = 3;
    ir_lea(rig->b, 4, G0, G1, G2, 3, -1);
    rig_run(rig);
    cr_assert_eq(g()[0], 0x76543297);
}

Test(interp, products)
{
    g()[1] = 0xffffffffffffffff;
    g()[2] = 0xfffffffffffffffe;
    emit(IR_MULU, 8);
    rig_run(rig);
    cr_assert_eq(g()[0], 2);
    cr_assert_eq(g()[3], 0xfffffffffffffffd);
    cr_assert(fl() & TCG_FL_C);
    cr_assert(fl() & TCG_FL_O);
    emit(IR_MULS, 8);
    rig_run(rig);
    cr_assert_eq(g()[0], 2);
    cr_assert_eq(g()[3], 0);
    cr_assert_not(fl() & TCG_FL_C);
    g()[0] = 0xaaaaaaaa;
    emit(IR_MULU, 1)->e = IR_NONE;
    rig_run(rig);
    cr_assert_eq(g()[0], 0xaaaafd02);
    rig->cpu->tcg.fl = 0;
    emit(IR_MULX, 4)->wf = 0;
    rig_run(rig);
    cr_assert_eq(g()[0], 2);
    cr_assert_eq(g()[3], 0xfffffffd);
    cr_assert_eq(fl(), 0);
}

static void divide(enum ir_opc opc, unsigned size, uint64_t hi, uint64_t lo, uint64_t by)
{
    struct ir_op *op = emit(opc, size);

    if (size == 1)
        op->b = IR_NONE;
    g()[0] = g()[3] = 0;
    g()[1] = lo;
    g()[2] = hi;
    g()[4] = by;
    rig_run(rig);
}

Test(interp, quotients)
{
    divide(IR_DIVU, 8, 1, 0, 3);
    cr_assert_eq(g()[0], 0x5555555555555555);
    cr_assert_eq(g()[3], 1);
    divide(IR_DIVS, 4, 0xffffffff, (uint32_t)-7, 2);
    cr_assert_eq(g()[0], (uint32_t)-3);
    cr_assert_eq(g()[3], (uint32_t)-1);
    divide(IR_DIVS, 1, 0, 0xff80, 0xff);            /* -128 / -1 does not fit */
    cr_assert_eq(rig->cpu->tcg.exception, RIG_EXC_DIVIDE);
    divide(IR_DIVS, 1, 0, 0xff80, 1);
    cr_assert_eq(g()[0], 0x80);
    cr_assert_eq(rig->cpu->tcg.exception, 0);
    divide(IR_DIVU, 2, 1, 0, 1);                    /* 10000h does not fit */
    cr_assert_eq(rig->cpu->tcg.exit_reason, TCG_EXIT_EXCEPTION);
    divide(IR_DIVU, 4, 0, 5, 0);
    cr_assert_eq(rig->cpu->tcg.exception, RIG_EXC_DIVIDE);
    divide(IR_DIVS, 8, 1ull << 63, 0, (uint64_t)-1);
    cr_assert_eq(rig->cpu->tcg.exception, RIG_EXC_DIVIDE);
    divide(IR_DIVS, 8, ~0ull, 1ull << 63, 1);
    cr_assert_eq(g()[0], 1ull << 63);
}

static uint64_t bits_op(enum ir_opc opc, unsigned size, uint64_t a, uint64_t b)
{
    emit(opc, size);
    g()[1] = a;
    g()[2] = b;
    rig_run(rig);
    return g()[0];
}

Test(interp, counts_and_bmi)
{
    cr_assert_eq(bits_op(IR_TZCNT, 4, 0x100, 0), 8);
    cr_assert_eq(bits_op(IR_TZCNT, 4, 1ull << 40, 0), 32);
    cr_assert(fl() & TCG_FL_C);
    cr_assert_eq(bits_op(IR_LZCNT, 4, 1, 0), 31);
    cr_assert_eq(bits_op(IR_LZCNT, 8, 0, 0), 64);
    cr_assert(fl() & TCG_FL_C);
    cr_assert_eq(bits_op(IR_POPCNT, 4, 0xff00ff, 0), 16);
    cr_assert_eq(fl(), 0);
    cr_assert_eq(bits_op(IR_ANDN, 4, 0xf0, 0xff), 0x0f);
    cr_assert_eq(bits_op(IR_BLSR, 8, 0x18, 0), 0x10);
    cr_assert_eq(bits_op(IR_BLSR, 4, 0, 0), 0);
    cr_assert(fl() & TCG_FL_C);
    cr_assert_eq(bits_op(IR_BLSMSK, 8, 0x18, 0), 0x0f);
    cr_assert_eq(bits_op(IR_BLSI, 4, 0x18, 0), 0x08);
    cr_assert(fl() & TCG_FL_C);
    cr_assert_eq(bits_op(IR_BEXTR, 8, 0x123456, 0x0c04), 0x345);
    cr_assert_eq(bits_op(IR_BEXTR, 8, 0x123456, 0x0c40), 0);
    cr_assert_eq(bits_op(IR_BZHI, 4, 0xffffffff, 8), 0xff);
    cr_assert_not(fl() & TCG_FL_C);
    cr_assert_eq(bits_op(IR_BZHI, 4, 0xffffffff, 32), 0xffffffff);
    cr_assert(fl() & TCG_FL_C);
    cr_assert_eq(bits_op(IR_PDEP, 8, 0x5, 0xf0f0), 0x50);
    cr_assert_eq(bits_op(IR_PEXT, 8, 0x1250, 0xf0f0), 0x15);
}

/* the CRC catalogue's check value: CRC-32C of "123456789" is E3069283h */
Test(interp, crc32c)
{
    g()[0] = 0xffffffff;
    for (const char *p = "123456789"; *p; p++) {
        struct ir_op *op = emit(IR_CRC32C, 4);
        op->sz2 = 1;
        op->wf = 0;
        g()[1] = g()[0];
        g()[2] = (uint8_t)*p;
        rig_run(rig);
    }
    cr_assert_eq(g()[0] ^ 0xffffffff, 0xe3069283);
}

Test(interp, adcx_adox_use_one_flag_each)
{
    rig->cpu->tcg.fl = TCG_FL_O | TCG_FL_Z;
    cr_assert_eq(bits_op(IR_ADCX, 4, 0xffffffff, 1), 0);
    cr_assert_eq(fl(), TCG_FL_C | TCG_FL_O | TCG_FL_Z);
    cr_assert_eq(bits_op(IR_ADOX, 4, 5, 1), 7);
    cr_assert_eq(fl(), TCG_FL_C | TCG_FL_Z);
}

Test(interp, wf_limits_what_changes)
{
    rig->cpu->tcg.fl = FL_ALL;
    g()[1] = 1;
    g()[2] = 2;
    emit(IR_ADD, 4)->wf = IRF_Z;
    rig_run(rig);
    cr_assert_eq(fl(), FL_ALL & ~TCG_FL_Z);
    emit(IR_ADD, 4)->wf = 0;
    rig_run(rig);
    cr_assert_eq(fl(), FL_ALL & ~TCG_FL_Z);
}

Test(interp, conditions)
{
    for (unsigned f = 0; f < 64; f++) {
        bool c = f & 1, p = f & 2, z = f & 8, s = f & 16, o = f & 32;
        bool want[8] = { o, c, z, c || z, s, p, s != o, z || s != o };

        for (unsigned cc = 0; cc < 16; cc++) {
            rig->cpu->tcg.fl = FL(c, p, (f >> 2) & 1, z, s, o);
            struct ir_op *op = emit(IR_SETCC, 0);
            op->cc = cc;
            op->wf = 0;
            rig_run(rig);
            cr_assert_eq(g()[0], want[cc >> 1] != (cc & 1), "cc %u flags %#x", cc, f);
        }
    }
}

Test(interp, flags_as_a_value)
{
    struct ir_op *op;

    rig->cpu->tcg.fl = TCG_FL_C | TCG_FL_A | TCG_FL_O;
    emit(IR_GETF, 0)->wf = 0;
    rig_run(rig);
    cr_assert_eq(g()[0], 0x811);
    g()[1] = 0x44;
    op = emit(IR_SETF, 0);
    op->wf = IRF_ALL & ~IRF_O;
    rig_run(rig);
    cr_assert_eq(fl(), TCG_FL_P | TCG_FL_Z | TCG_FL_O);
    ir_emit(rig->b, IR_STC, 0, IR_NONE, IR_NONE, IR_NONE);
    rig_run(rig);
    cr_assert(fl() & TCG_FL_C);
    ir_emit(rig->b, IR_CMC, 0, IR_NONE, IR_NONE, IR_NONE);
    rig_run(rig);
    cr_assert_not(fl() & TCG_FL_C);
}

Test(interp, cmov_of_four_bytes_always_extends)
{
    struct ir_op *op = emit(IR_CMOV, 4);

    op->cc = IRC_Z;
    op->wf = 0;
    op->a = G0;
    rig->cpu->tcg.fl = 0;
    g()[0] = 0x1122334455667788;
    rig_run(rig);
    cr_assert_eq(g()[0], 0x55667788);
}

/* ---- memory -------------------------------------------------------------------------------- */

Test(interp, loads_and_stores)
{
    stl64(rig->ram + 0x1ffc, 0x8877665544332281);      /* across two pages */
    g()[1] = 0x1ffc;
    g()[0] = ~0ull;
    emit(IR_LD, 1)->wf = 0;
    rig_run(rig);
    cr_assert_eq(g()[0], 0x81);
    emit(IR_LD, 8)->wf = 0;
    rig_run(rig);
    cr_assert_eq(g()[0], 0x8877665544332281);
    struct ir_op *op = emit(IR_LDS, 1);
    op->sz2 = 4;
    op->wf = 0;
    rig_run(rig);
    cr_assert_eq(g()[0], 0xffffff81);
    emit(IR_LDM, 1)->wf = 0;
    g()[0] = 0x1234;
    rig_run(rig);
    cr_assert_eq(g()[0], 0x1281);
    g()[2] = 0xabcdef;
    emit(IR_ST, 2)->wf = 0;
    rig_run(rig);
    cr_assert_eq(ldl64(rig->ram + 0x1ffc), 0x887766554433cdef);
}

Test(interp, a_fault_changes_nothing)
{
    struct ir_op *op;

    g()[0] = 7;
    g()[1] = RIG_BYTES;
    rig->cpu->tcg.fl = TCG_FL_Z;
    ir_insn(rig->b, 0x33, 2);
    emit(IR_LD, 4)->wf = 0;
    rig_run(rig);
    cr_assert_eq(g()[0], 7);
    cr_assert_eq(rig->cpu->tcg.exit_reason, TCG_EXIT_EXCEPTION);
    cr_assert_eq(rig->cpu->tcg.pcoff, 0x33);
    g()[1] = RIG_RO;                     /* readable, not writable */
    op = emit(IR_RMW, 4);
    op->rmw = IRM_ADD;
    rig_run(rig);
    cr_assert_eq(rig->cpu->tcg.exception, RIG_EXC_PAGE);
    cr_assert_eq(fl(), TCG_FL_Z);
    emit(IR_LDW, 4)->wf = 0;
    rig_run(rig);
    cr_assert_eq(rig->cpu->tcg.exception, RIG_EXC_PAGE);
    cr_assert_eq(g()[0], 7);
}

/* bits 47..12 name a page that is mapped; the address is still not canonical */
Test(interp, address_outside_the_canonical_range)
{
    g()[1] = 0x1000;
    emit(IR_LD, 4)->wf = 0;
    rig_run(rig);
    cr_assert_eq(rig->cpu->tcg.exception, 0);
    g()[0] = 7;
    g()[1] = 0x1000 | 1ull << 63;
    emit(IR_LD, 4)->wf = 0;
    rig_run(rig);
    cr_assert_eq(rig->cpu->tcg.exception, RIG_EXC_PAGE);
    cr_assert_eq(g()[0], 7);
    emit(IR_RMW, 4)->rmw = IRM_ADD;
    rig_run(rig);
    cr_assert_eq(rig->cpu->tcg.exception, RIG_EXC_PAGE);
}

static uint64_t rmw_on(uint64_t va, enum ir_rmw how, unsigned size, bool lock, uint64_t b)
{
    struct ir_op *op = emit(IR_RMW, size);

    op->rmw = how;
    op->lock = lock;
    if (how >= IRM_INC && how <= IRM_NOT)
        op->b = IR_NONE;
    g()[1] = va;
    g()[2] = b;
    rig_run(rig);
    return ldl64(rig->ram + va);
}

Test(interp, read_modify_write)
{
    for (unsigned lock = 0; lock < 2; lock++) {
        stl64(rig->ram + 0x2000, 0x10000000f);
        cr_assert_eq(rmw_on(0x2000, IRM_ADD, 4, lock, 0xfffffff1), 0x100000000);
        cr_assert(fl() & TCG_FL_C);
        cr_assert(fl() & TCG_FL_Z);
        cr_assert_eq(rmw_on(0x2000, IRM_ADC, 1, lock, 1), 0x100000002);
        cr_assert_eq(rmw_on(0x2000, IRM_SUB, 8, lock, 3), 0xffffffff);
        cr_assert_eq(rmw_on(0x2000, IRM_NOT, 2, lock, 0), 0xffff0000);
        cr_assert_eq(rmw_on(0x2000, IRM_BTS, 4, lock, 1), 0xffff0002);
        cr_assert_eq(rmw_on(0x2000, IRM_BTR, 4, lock, 33), 0xffff0000);
        cr_assert(fl() & TCG_FL_C);
        cr_assert_eq(rmw_on(0x2000, IRM_INC, 4, lock, 0), 0xffff0001);
        cr_assert(fl() & TCG_FL_C);              /* INC keeps it */
        cr_assert_eq(rmw_on(0x2000, IRM_NEG, 4, lock, 0), 0x0000ffff);
        cr_assert_eq(rmw_on(0x2000, IRM_XOR, 8, lock, 0xffff), 0);
        cr_assert_eq(rmw_on(0x2ffd, IRM_OR, 8, lock, ~0ull), ~0ull);   /* split */
    }
    cr_assert_eq(rmw_on(RIG_MMIO, IRM_ADD, 4, true, 1), 0);
    cr_assert_eq(rig->cpu->last_write, 0x55667789);
}

Test(interp, exchanges)
{
    struct ir_op *op;

    stl64(rig->ram + 0x3000, 0x55);
    g()[0] = 0x1111;
    g()[1] = 0x3000;
    g()[2] = 0xaa;
    emit(IR_XCHGM, 1)->wf = 0;
    rig_run(rig);
    cr_assert_eq(g()[0], 0x1155);
    cr_assert_eq(rig->ram[0x3000], 0xaa);
    emit(IR_XADDM, 4)->lock = true;
    rig_run(rig);
    cr_assert_eq(g()[0], 0xaa);
    cr_assert_eq(rig->ram[0x3000], 0x54);
    cr_assert_eq(rig->ram[0x3001], 1);

    stl64(rig->ram + 0x3000, 9);
    g()[0] = 0xffffffff00000009;
    op = emit(IR_CMPXCHG, 4);
    op->c = G0;
    op->lock = true;
    rig_run(rig);
    cr_assert_eq(ldl64(rig->ram + 0x3000), 0xaa);
    cr_assert_eq(g()[0], 0xffffffff00000009, "equal: the accumulator is not written");
    cr_assert(fl() & TCG_FL_Z);
    op = emit(IR_CMPXCHG, 4);
    op->c = G0;
    rig_run(rig);
    cr_assert_eq(g()[0], 0xaa);
    cr_assert_not(fl() & TCG_FL_Z);
    cr_assert_eq(ldl64(rig->ram + 0x3000), 0xaa);
}

/* ---- calls, vectors, control ------------------------------------------------------------------ */

static uint64_t sum3(struct tcg_cpu *cpu, uint64_t a, uint64_t b, uint64_t c)
{
    if (a == 99)
        cpu->exception = RIG_EXC_ALIGN;
    return a + b + c;
}

Test(interp, calls)
{
    g()[0] = 0;
    g()[1] = 1;
    ir_call(rig->b, (void *)(uintptr_t)sum3, IRCALL_FAULT, G0, G1, IR_IMM, IR_NONE)->imm = 5;
    rig_run(rig);
    cr_assert_eq(g()[0], 6);
    g()[1] = 99;
    ir_call(rig->b, (void *)(uintptr_t)sum3, IRCALL_FAULT, G0, G1, G1, IR_NONE);
    rig_run(rig);
    cr_assert_eq(g()[0], 6);
    cr_assert_eq(rig->cpu->tcg.exit_reason, TCG_EXIT_EXCEPTION);
}

Test(interp, state_outside_the_globals)
{
    size_t off = offsetof(struct rig_cpu, extra);

    rig->cpu->extra[0] = 0x1122334455667788;
    ir_lde(rig->b, 2, G0, off);
    ir_stei(rig->b, 8, off + 8, -2);
    ir_ste(rig->b, 1, off, G1);
    g()[1] = 0xff;
    rig_run(rig);
    cr_assert_eq(g()[0], 0x7788);
    cr_assert_eq(rig->cpu->extra[1], (uint64_t)-2);
    cr_assert_eq(rig->cpu->extra[0], 0x11223344556677ff);
}

static void vec(uint64_t va, struct ir_vec v)
{
    struct ir_op *op = ir_emit_imm(rig->b, IR_VEC, 8, G0, G1, 0);

    rig->b->vec[0] = v;
    rig->b->n_vec = 1;
    op->b = G2;
    g()[1] = va;
    rig_run(rig);
}

Test(interp, vectors)
{
    struct ir_vec v = { .mem_bytes = 16, .mem_align = 16, .mem_read = true, .mem_write = true,
                        .gpr_out = true };

    rig->ram[0x1000] = 5;
    g()[2] = 3;
    vec(0x1000, v);
    cr_assert_eq(rig->ram[0x1000], 8);
    cr_assert_eq(rig->ram[0x100f], 3);
    cr_assert_eq(g()[0], 8);
    vec(0x1008, v);
    cr_assert_eq(rig->cpu->tcg.exception, RIG_EXC_ALIGN);
    vec(RIG_RO, v);
    cr_assert_eq(rig->cpu->tcg.exception, RIG_EXC_PAGE);
    cr_assert_eq(rig->ram[RIG_RO], 0);
}

Test(interp, branches)
{
    uint16_t loop = ir_label(rig->b), out = ir_label(rig->b);

    g()[0] = 0;
    g()[1] = 10;
    ir_set_label(rig->b, loop);
    ir_emit(rig->b, IR_ADD, 8, G0, G0, G1);
    ir_emit(rig->b, IR_DEC, 8, G1, G1, IR_NONE)->wf = IRF_ALL & ~IRF_C;
    ir_brcc(rig->b, IRC_Z, out);
    ir_br(rig->b, loop);
    ir_set_label(rig->b, out);
    rig_run(rig);
    cr_assert_eq(g()[0], 55);
}

Test(interp, compare_and_branch)
{
    static const struct { unsigned cc, size; uint64_t a, b; bool taken; } rows[] = {
        { IRC_LTU, 4, 0xff00000001, 2, true },    { IRC_LT, 1, 0x80, 1, true },
        { IRC_LTU, 1, 0x80, 1, false },           { IRC_GE, 8, 1, (uint64_t)-1, true },
        { IRC_GEU, 8, 1, (uint64_t)-1, false },   { IRC_EQ, 2, 0x10005, 5, true },
        { IRC_NE, 4, 5, 5, false },               { IRC_LEU, 4, 5, 5, true },
        { IRC_GTU, 4, 6, 5, true },               { IRC_LE, 2, 0x8000, 0x7fff, true },
        { IRC_GT, 2, 0x8000, 0x7fff, false },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint16_t l = ir_label(rig->b);
        ir_movi(rig->b, G0, 1);
        ir_brcmp(rig->b, rows[i].cc, rows[i].size, G1, G2, l);
        ir_movi(rig->b, G0, 0);
        ir_set_label(rig->b, l);
        g()[1] = rows[i].a;
        g()[2] = rows[i].b;
        rig_run(rig);
        cr_assert_eq(g()[0], rows[i].taken, "row %u", i);
    }
}

Test(interp, ways_out)
{
    struct tcg_cpu *cpu = &rig->cpu->tcg;
    struct ir_block *b = rig->b;

    cpu->cur_tb = (struct tb *)rig;      /* only handed on */
    ir_emit_imm(b, IR_GOTO_TB, 0, IR_NONE, IR_NONE, 0x42)->aux = 1;
    ir_interp(cpu, b);
    cr_assert_eq(cpu->exit_reason, TCG_EXIT_NEXT);
    cr_assert_eq(cpu->exit_tb, (struct tb *)rig);
    cr_assert_eq(cpu->exit_slot, 1);
    cr_assert_eq(cpu->pcoff, 0x42);

    b->ops[0].poll = true;
    tcg_kick(cpu);
    ir_interp(cpu, b);
    cr_assert_eq(cpu->exit_reason, TCG_EXIT_INTR);
    cr_assert_eq(cpu->pcoff, 0x42);

    ir_begin(b, &rig_target);
    g()[1] = 0x1234;
    ir_emit(b, IR_GOTO_PC, 0, IR_NONE, G1, IR_NONE);
    ir_interp(cpu, b);
    cr_assert_eq(cpu->exit_reason, TCG_EXIT_LOOKUP);
    cr_assert_eq(cpu->pc, 0x1234);

    ir_begin(b, &rig_target);
    ir_emit_imm(b, IR_EXIT, 0, IR_NONE, IR_NONE, 7);
    ir_interp(cpu, b);
    cr_assert_eq(cpu->exit_reason, TCG_EXIT_NEXT);
    cr_assert_null(cpu->exit_tb);
    cr_assert_eq(cpu->pcoff, 7);

    ir_begin(b, &rig_target);
    ir_emit(b, IR_EXIT_PC, 0, IR_NONE, IR_NONE, IR_NONE);
    ir_interp(cpu, b);
    cr_assert_eq(cpu->exit_reason, TCG_EXIT_LOOKUP);
}
