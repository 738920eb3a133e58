/*
 * interp-alu.c - the interpreter's arithmetic, logic and shifts
 *
 * Flags that a row leaves undefined are computed as Intel's processors do where
 * that is known, since real programs were only ever run on those.
 *
 * Source: Intel SDM vol. 2, the instructions that the rows are named after.
 */
#include "tcg/interp-int.h"

typedef unsigned __int128 u128;

/* ---- flags -------------------------------------------------------------------- */

uint32_t fl_add(unsigned size, uint64_t a, uint64_t b, unsigned carry)
{
    uint64_t r = (a + b + carry) & size_mask(size);
    bool c = carry ? r <= a : r < a;

    return fl_szp(size, r) | ((a ^ b ^ r) & 0x10) << 8 |
           fl_co(c, top_bit(size, (a ^ r) & (b ^ r)));
}

uint32_t fl_sub(unsigned size, uint64_t a, uint64_t b, unsigned borrow)
{
    uint64_t r = (a - b - borrow) & size_mask(size);
    bool c = borrow ? a <= b : a < b;

    return fl_szp(size, r) | ((a ^ b ^ r) & 0x10) << 8 |
           fl_co(c, top_bit(size, (a ^ b) & (a ^ r)));
}

bool fl_test(uint32_t fl, enum ir_cc cc)
{
    bool s = fl & TCG_FL_S, o = fl & TCG_FL_O, z = fl & TCG_FL_Z, t;

    switch (cc >> 1) {
    case 0: t = o; break;
    case 1: t = fl & TCG_FL_C; break;
    case 2: t = z; break;
    case 3: t = fl & (TCG_FL_C | TCG_FL_Z); break;
    case 4: t = s; break;
    case 5: t = fl & TCG_FL_P; break;
    case 6: t = s != o; break;
    default: t = z || s != o; break;
    }
    return t != (cc & 1);
}

bool ir_compare(enum ir_cc cc, unsigned size, uint64_t a, uint64_t b)
{
    int64_t sa = (int64_t)sext(a, size), sb = (int64_t)sext(b, size);

    a &= size_mask(size);
    b &= size_mask(size);
    switch (cc) {
    case IRC_LTU: return a < b;
    case IRC_GEU: return a >= b;
    case IRC_LEU: return a <= b;
    case IRC_GTU: return a > b;
    case IRC_EQ: return a == b;
    case IRC_NE: return a != b;
    case IRC_LT: return sa < sb;
    case IRC_GE: return sa >= sb;
    case IRC_LE: return sa <= sb;
    case IRC_GT: return sa > sb;
    default: return false;    /* the verifier lets no other pass */
    }
}

/* ---- sums and logic -------------------------------------------------------------- */

static const struct ir_op *do_add(struct ir_run *r, const struct ir_op *op, uint64_t b, unsigned c)
{
    uint64_t a = ir_in_sz(r, op, op->a);

    if (op->wf)
        fl_set(r->cpu, op->wf, fl_add(op->size, a, b, c));
    ir_out(r, op->d, op->size, a + b + c);
    return op + 1;
}

static const struct ir_op *do_sub(struct ir_run *r, const struct ir_op *op, uint64_t a, uint64_t b,
                                  unsigned c)
{
    if (op->wf)
        fl_set(r->cpu, op->wf, fl_sub(op->size, a, b, c));
    ir_out(r, op->d, op->size, a - b - c);
    return op + 1;
}

static const struct ir_op *do_logic(struct ir_run *r, const struct ir_op *op, uint64_t v)
{
    v &= size_mask(op->size);
    if (op->wf)
        fl_set(r->cpu, op->wf, fl_szp(op->size, v));
    ir_out(r, op->d, op->size, v);
    return op + 1;
}

DO(ADD) { return do_add(r, op, ir_in_sz(r, op, op->b), 0); }
DO(ADC) { return do_add(r, op, ir_in_sz(r, op, op->b), fl_carry(r->cpu)); }
DO(SUB) { return do_sub(r, op, ir_in_sz(r, op, op->a), ir_in_sz(r, op, op->b), 0); }
DO(CMP) { return ir_do_SUB(r, op); }
DO(SBB) { return do_sub(r, op, ir_in_sz(r, op, op->a), ir_in_sz(r, op, op->b), fl_carry(r->cpu)); }
DO(NEG) { return do_sub(r, op, 0, ir_in_sz(r, op, op->a), 0); }
DO(AND) { return do_logic(r, op, ir_in(r, op, op->a) & ir_in(r, op, op->b)); }
DO(TEST) { return ir_do_AND(r, op); }
DO(OR) { return do_logic(r, op, ir_in(r, op, op->a) | ir_in(r, op, op->b)); }
DO(XOR) { return do_logic(r, op, ir_in(r, op, op->a) ^ ir_in(r, op, op->b)); }
DO(ANDN) { return do_logic(r, op, ~ir_in(r, op, op->a) & ir_in(r, op, op->b)); }

DO(INC)
{
    uint64_t a = ir_in_sz(r, op, op->a);

    if (op->wf)
        fl_set(r->cpu, op->wf & ~IRF_C, fl_add(op->size, a, 1, 0));
    ir_out(r, op->d, op->size, a + 1);
    return op + 1;
}

DO(DEC)
{
    uint64_t a = ir_in_sz(r, op, op->a);

    if (op->wf)
        fl_set(r->cpu, op->wf & ~IRF_C, fl_sub(op->size, a, 1, 0));
    ir_out(r, op->d, op->size, a - 1);
    return op + 1;
}

DO(NOT)
{
    ir_out(r, op->d, op->size, ~ir_in(r, op, op->a));
    return op + 1;
}

DO(ADCX)
{
    uint64_t a = ir_in_sz(r, op, op->a), b = ir_in_sz(r, op, op->b);
    unsigned c = fl_carry(r->cpu);

    fl_set(r->cpu, op->wf & IRF_C, fl_add(op->size, a, b, c));
    ir_out(r, op->d, op->size, a + b + c);
    return op + 1;
}

DO(ADOX)
{
    uint64_t a = ir_in_sz(r, op, op->a), b = ir_in_sz(r, op, op->b);
    unsigned c = r->cpu->fl & TCG_FL_O ? 1 : 0;
    bool carry = fl_add(op->size, a, b, c) & TCG_FL_C;

    fl_set(r->cpu, op->wf & IRF_O, fl_co(false, carry));
    ir_out(r, op->d, op->size, a + b + c);
    return op + 1;
}

/* ---- products and quotients ---------------------------------------------------------- */

static void mul_flags(struct ir_run *r, const struct ir_op *op, uint64_t low, bool overflow)
{
    if (op->wf)
        fl_set(r->cpu, op->wf, fl_szp(op->size, low & size_mask(op->size)) | fl_co(overflow, overflow));
}

DO(IMUL)
{
    __int128 p = (__int128)(int64_t)sext(ir_in(r, op, op->a), op->size) *
                 (int64_t)sext(ir_in(r, op, op->b), op->size);
    uint64_t low = (uint64_t)p;

    mul_flags(r, op, low, p != (int64_t)sext(low, op->size));
    ir_out(r, op->d, op->size, low);
    return op + 1;
}

/* the high half last: where both results name one register, it stays */
static void mul_out(struct ir_run *r, const struct ir_op *op, u128 p)
{
    if (op->size == 1) {
        ir_out(r, op->d, 2, (uint64_t)p);
        return;
    }
    ir_out(r, op->d, op->size, (uint64_t)p);
    ir_out(r, op->e, op->size, (uint64_t)(p >> (op->size * 8)));
}

DO(MULX)
{
    mul_out(r, op, (u128)ir_in_sz(r, op, op->a) * ir_in_sz(r, op, op->b));
    return op + 1;
}

DO(MULU)
{
    u128 p = (u128)ir_in_sz(r, op, op->a) * ir_in_sz(r, op, op->b);

    mul_flags(r, op, (uint64_t)p, (p >> (op->size * 8)) != 0);
    mul_out(r, op, p);
    return op + 1;
}

DO(MULS)
{
    __int128 p = (__int128)(int64_t)sext(ir_in(r, op, op->a), op->size) *
                 (int64_t)sext(ir_in(r, op, op->b), op->size);

    mul_flags(r, op, (uint64_t)p, p != (int64_t)sext((uint64_t)p, op->size));
    mul_out(r, op, (u128)p);
    return op + 1;
}

static const struct ir_op *divide_error(struct ir_run *r)
{
    r->target->raise_divide(r->cpu);
    r->cpu->exit_tb = NULL;
    r->cpu->exit_reason = TCG_EXIT_EXCEPTION;
    return NULL;
}

static u128 dividend(struct ir_run *r, const struct ir_op *op)
{
    if (op->size == 1)
        return (uint16_t)ir_in(r, op, op->a);
    return (u128)ir_in_sz(r, op, op->b) << (op->size * 8) | ir_in_sz(r, op, op->a);
}

DO(DIVU)
{
    u128 n = dividend(r, op), q;
    uint64_t c = ir_in_sz(r, op, op->c);

    if (!c)
        return divide_error(r);
    q = n / c;
    if (q > size_mask(op->size))
        return divide_error(r);
    ir_out(r, op->d, op->size, (uint64_t)q);
    ir_out(r, op->e, op->size, (uint64_t)(n - q * c));
    return op + 1;
}

/* by magnitudes: the most negative dividend has no positive counterpart */
DO(DIVS)
{
    unsigned bits = op->size * 16;      /* of the dividend */
    u128 n = dividend(r, op), q;
    uint64_t c = sext(ir_in(r, op, op->c), op->size), rem;
    bool neg_n = (n >> (bits - 1)) & 1, neg_c = c >> 63;

    if (!c)
        return divide_error(r);
    if (neg_n)
        n = bits == 128 ? -n : ((u128)1 << bits) - n;
    if (neg_c)
        c = -c;
    q = n / c;
    rem = (uint64_t)(n - q * c);
    if (q > (size_mask(op->size) >> 1) + (neg_n != neg_c))
        return divide_error(r);
    ir_out(r, op->d, op->size, neg_n != neg_c ? -(uint64_t)q : (uint64_t)q);
    ir_out(r, op->e, op->size, neg_n ? -rem : rem);
    return op + 1;
}

/* ---- shifts --------------------------------------------------------------------------- */

static unsigned count_of(struct ir_run *r, const struct ir_op *op, ir_val v)
{
    return ir_in(r, op, v) & (op->size == 8 ? 63 : 31);
}

static const struct ir_op *shifted(struct ir_run *r, const struct ir_op *op, uint64_t v, uint32_t co)
{
    v &= size_mask(op->size);
    if (op->wf)
        fl_set(r->cpu, op->wf, fl_szp(op->size, v) | co);
    ir_out(r, op->d, op->size, v);
    return op + 1;
}

/* a count of 0: the result is written (4 bytes zero-extend), F is kept */
static const struct ir_op *unshifted(struct ir_run *r, const struct ir_op *op, uint64_t a)
{
    ir_out(r, op->d, op->size, a);
    return op + 1;
}

/* O of a right shift or rotate: whether the two top bits of the result differ */
static bool top_two_differ(unsigned size, uint64_t v)
{
    return top_bit(size, v ^ v << 1);
}

DO(SHL)
{
    uint64_t a = ir_in_sz(r, op, op->a), v;
    unsigned n = count_of(r, op, op->b), bits = op->size * 8;
    bool c;

    if (!n)
        return unshifted(r, op, a);
    v = a << n;
    c = n <= bits && (a >> (bits - n)) & 1;
    return shifted(r, op, v, fl_co(c, c != top_bit(op->size, v)));
}

DO(SHR)
{
    uint64_t a = ir_in_sz(r, op, op->a), v;
    unsigned n = count_of(r, op, op->b);

    if (!n)
        return unshifted(r, op, a);
    v = a >> n;
    return shifted(r, op, v, fl_co((a >> (n - 1)) & 1, top_two_differ(op->size, v)));
}

DO(SAR)
{
    int64_t a = (int64_t)sext(ir_in(r, op, op->a), op->size);
    unsigned n = count_of(r, op, op->b);

    if (!n)
        return unshifted(r, op, (uint64_t)a);
    return shifted(r, op, (uint64_t)(a >> n), fl_co((a >> (n - 1)) & 1, false));
}

static const struct ir_op *rotated(struct ir_run *r, const struct ir_op *op, uint64_t v, bool c, bool o)
{
    if (op->wf)
        fl_set(r->cpu, op->wf & (IRF_C | IRF_O), fl_co(c, o));
    ir_out(r, op->d, op->size, v);
    return op + 1;
}

static uint64_t rol(unsigned bits, uint64_t a, unsigned n)
{
    n %= bits;
    return (n ? a << n | a >> (bits - n) : a) & size_mask(bits / 8);
}

DO(ROL)
{
    uint64_t a = ir_in_sz(r, op, op->a), v;
    unsigned n = count_of(r, op, op->b);

    if (!n)
        return unshifted(r, op, a);
    v = rol(op->size * 8, a, n);
    return rotated(r, op, v, v & 1, (v & 1) != top_bit(op->size, v));
}

DO(ROR)
{
    uint64_t a = ir_in_sz(r, op, op->a), v;
    unsigned n = count_of(r, op, op->b), bits = op->size * 8;

    if (!n)
        return unshifted(r, op, a);
    v = rol(bits, a, bits - n % bits);
    return rotated(r, op, v, top_bit(op->size, v), top_two_differ(op->size, v));
}

/* rotate C:@a left by @n, all @size * 8 + 1 bits of it; *@c in and out */
static uint64_t rcl(unsigned size, uint64_t a, bool *c, unsigned n)
{
    unsigned w = size * 8 + 1;
    u128 t = (u128)*c << (w - 1) | a;

    t = t << n | t >> (w - n);
    *c = (t >> (w - 1)) & 1;
    return (uint64_t)t & size_mask(size);
}

DO(RCL)
{
    uint64_t a = ir_in_sz(r, op, op->a), v;
    unsigned n = count_of(r, op, op->b) % (op->size * 8 + 1);
    bool c = fl_carry(r->cpu);

    if (!n)
        return unshifted(r, op, a);
    v = rcl(op->size, a, &c, n);
    return rotated(r, op, v, c, c != top_bit(op->size, v));
}

DO(RCR)
{
    uint64_t a = ir_in_sz(r, op, op->a), v;
    unsigned w = op->size * 8 + 1, n = count_of(r, op, op->b) % w;
    bool c = fl_carry(r->cpu);

    if (!n)
        return unshifted(r, op, a);
    v = rcl(op->size, a, &c, w - n);
    return rotated(r, op, v, c, top_two_differ(op->size, v));
}

/* 16 bits by more than 16: the register pair is filled from a once more */
DO(SHLD)
{
    uint64_t a = ir_in_sz(r, op, op->a), b = ir_in_sz(r, op, op->b), v;
    unsigned n = count_of(r, op, op->c), bits = op->size * 8;
    bool c;

    if (!n)
        return unshifted(r, op, a);
    if (op->size == 2) {
        uint64_t t = (a << 32 | b << 16 | a) << n;
        v = (t >> 32) & 0xffff;
        c = (t >> 48) & 1;
    } else {
        v = a << n | b >> (bits - n);
        c = (a >> (bits - n)) & 1;
    }
    return shifted(r, op, v, fl_co(c, c != top_bit(op->size, v)));
}

DO(SHRD)
{
    uint64_t a = ir_in_sz(r, op, op->a), b = ir_in_sz(r, op, op->b), v;
    unsigned n = count_of(r, op, op->c), bits = op->size * 8;
    bool c;

    if (!n)
        return unshifted(r, op, a);
    if (op->size == 2) {
        uint64_t t = a << 32 | b << 16 | a;
        v = (t >> n) & 0xffff;
        c = (t >> (n - 1)) & 1;
    } else {
        v = (a >> n | b << (bits - n)) & size_mask(op->size);
        c = (a >> (n - 1)) & 1;
    }
    return shifted(r, op, v, fl_co(c, top_two_differ(op->size, v)));
}
