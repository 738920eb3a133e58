/* The instruction table's own rules; lengths against Capstone; particular encodings by hand. */
#define x86_insn cs_x86_insn   /* both have a tag of this name */
#include <capstone/capstone.h>
#undef x86_insn
#include <criterion/criterion.h>

#include "target-x86/decode-int.h"
#include "target-x86/insn-table.h"

/* ---- the table -------------------------------------------------------------------- */

static bool covers(const struct x86_row *r, unsigned op)
{
    return (unsigned)op - r->op <= r->span;
}

static bool reachable(unsigned i, unsigned last)
{
    const struct x86_row *r = &x86_rows[i];

    for (unsigned j = last; j > i; j--)
        if (!covers(&x86_rows[j], r->op) && !covers(&x86_rows[j], r->op + r->span))
            return false;
    return last >= i;
}

Test(decode_table, rows_of_an_opcode_stand_together)
{
    for (unsigned i = 1; i < x86_row_count(); i++) {
        unsigned op = x86_rows[i].op, end = op + x86_rows[i].span;
        cr_assert(reachable(i, x86_last_int_row[op]) || reachable(i, x86_last_simd_row[op]) ||
                  reachable(i, x86_last_int_row[end]) || reachable(i, x86_last_evex_row[op]),
                  "row %u %s op=%#x can't be found", i, x86_row_name(i), op);
    }
}

Test(decode_table, rows_of_an_opcode_agree_on_modrm)
{
    for (unsigned op = 0; op < MAP_COUNT * 256; op++) {
        unsigned a = x86_last_int_row[op], b = x86_last_simd_row[op];
        for (unsigned i = a; i && covers(&x86_rows[i], op); i--)
            cr_assert_eq(x86_rows[i].modrm, x86_rows[a].modrm, "op=%#x row %u", op, i);
        for (unsigned i = b; i && covers(&x86_rows[i], op); i--)
            cr_assert_eq(x86_rows[i].modrm, x86_rows[a ? a : b].modrm, "op=%#x row %u", op, i);
    }
}

Test(decode_table, every_row_has_name_and_handler)
{
    cr_assert_gt(x86_row_count(), 400);
    for (unsigned i = 1; i < x86_row_count(); i++) {
        cr_assert_not_null(x86_row_name(i));
        cr_assert_not_null(x86_rows[i].tr);
    }
    cr_assert_null(x86_row_name(x86_row_count()));
}

/* ---- by hand ------------------------------------------------------------------------ */

struct vector {
    uint8_t bits, n;
    uint8_t b[15];
    const char *name;     /* NULL: undefined */
};

static const struct vector vectors[] = {
    { 64, 3, { 0x48, 0x01, 0xd8 }, "ADD" },
    { 64, 10, { 0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8 }, "MOV" },
    { 32, 5, { 0xb8, 1, 2, 3, 4 }, "MOV" },
    { 16, 3, { 0xb8, 1, 2 }, "MOV" },
    { 16, 6, { 0x66, 0xb8, 1, 2, 3, 4 }, "MOV" },
    { 64, 9, { 0xa0, 1, 2, 3, 4, 5, 6, 7, 8 }, "MOV" },
    { 64, 6, { 0x67, 0xa0, 1, 2, 3, 4 }, "MOV" },
    { 32, 1, { 0x40 }, "INC" },
    { 64, 2, { 0x40, 0x90 }, "XCHG" },
    { 64, 2, { 0xf3, 0x90 }, "PAUSE" },
    { 32, 7, { 0x9a, 1, 2, 3, 4, 5, 6 }, "CALLF" },
    { 64, 1, { 0x9a }, NULL },
    { 64, 4, { 0xc8, 0x10, 0, 1 }, "ENTER" },
    { 32, 6, { 0xc4, 0x80, 1, 2, 3, 4 }, "LES" },
    { 64, 5, { 0xc4, 0xe2, 0x70, 0xf2, 0xc2 }, "ANDN" },
    { 64, 5, { 0xc4, 0xe2, 0x73, 0xf6, 0xc2 }, "MULX" },
    { 64, 6, { 0xc4, 0xe3, 0x7b, 0xf0, 0xc2, 7 }, "RORX" },
    { 64, 4, { 0x0f, 0xa4, 0xd8, 5 }, "SHLD" },
    { 64, 4, { 0xf3, 0x0f, 0xb8, 0xc1 }, "POPCNT" },
    { 64, 3, { 0x0f, 0xb8, 0xc1 }, NULL },
    { 64, 4, { 0xf3, 0x0f, 0xbc, 0xc1 }, "TZCNT" },
    { 64, 3, { 0x0f, 0xbc, 0xc1 }, "BSF" },
    { 64, 5, { 0xf2, 0x0f, 0x38, 0xf1, 0xc1 }, "CRC32" },
    { 64, 5, { 0x0f, 0x38, 0xf1, 0x41, 0x10 }, "MOVBE" },
    { 64, 3, { 0x0f, 0x20, 0x00 }, "MOV" },       /* mod is ignored */
    { 64, 3, { 0x0f, 0x01, 0xf8 }, "SWAPGS" },
    { 32, 3, { 0x0f, 0x01, 0xf8 }, NULL },
    { 64, 3, { 0x0f, 0x01, 0xca }, "CLAC" },
    { 64, 4, { 0x48, 0x0f, 0xc7, 0x08 }, "CMPXCHG16B" },
    { 64, 3, { 0x0f, 0xc7, 0x08 }, "CMPXCHG8B" },
    { 64, 6, { 0xe8, 1, 2, 3, 4 , 0 }, "CALL" },
    { 16, 3, { 0xe8, 1, 2 }, "CALL" },
    { 64, 2, { 0x0f, 0x0b }, "UD2" },
};

Test(decode, particular_encodings)
{
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct x86_insn in;
        int n = x86_decode(v->b, v->n, v->bits, &in);
        if (!v->name) {
            cr_assert_eq(in.err, DEC_UD, "vector %u", i);
            continue;
        }
        cr_assert_eq(in.err, DEC_OK, "vector %u err %d", i, in.err);
        cr_assert_str_eq(in.row->name, v->name, "vector %u is %s", i, in.row->name);
        cr_assert(n == v->n || !strcmp(v->name, "CALL"), "vector %u length %d", i, n);
    }
}

Test(decode, operand_fields)
{
    /* add qword [r8 + r9*4 - 0x10], r10 */
    static const uint8_t add[] = { 0x4f, 0x01, 0x54, 0x88, 0xf0 };
    /* mov ax, ss:[bp + si + 0x1234] */
    static const uint8_t mov16[] = { 0x8b, 0x82, 0x34, 0x12 };
    /* lea rax, [rip - 4] */
    static const uint8_t rip[] = { 0x48, 0x8d, 0x05, 0xfc, 0xff, 0xff, 0xff };
    struct x86_insn in;

    cr_assert_eq(x86_decode(add, sizeof(add), 64, &in), 5);
    cr_assert(in.mem && in.base == 8 && in.index == 9 && in.scale == 2 && in.disp == -16);
    cr_assert(in.reg == 10 && in.opsize == 8 && in.addrsize == 8);
    cr_assert_eq(x86_decode(mov16, sizeof(mov16), 16, &in), 4);
    cr_assert(in.base == R_BP && in.index == R_SI && in.disp == 0x1234 && in.seg == S_SS);
    cr_assert_eq(x86_decode(rip, sizeof(rip), 64, &in), 7);
    cr_assert(in.base == REGNO_RIP && in.disp == -4 && in.index == REGNO_NONE);
}

Test(decode, prefixes)
{
    static const uint8_t rep[] = { 0xf2, 0xf3, 0xa4 };
    static const uint8_t lost_rex[] = { 0x48, 0x66, 0x01, 0xd8 };
    static const uint8_t fs[] = { 0x2e, 0x64, 0x8b, 0x00 };
    struct x86_insn in;

    x86_decode(rep, sizeof(rep), 64, &in);
    cr_assert_eq(in.prefixes, PFX_REP);
    x86_decode(lost_rex, sizeof(lost_rex), 64, &in);
    cr_assert(in.rex == 0 && in.opsize == 2);
    x86_decode(fs, sizeof(fs), 64, &in);
    cr_assert_eq(in.seg, S_FS);
    x86_decode(fs, sizeof(fs), 32, &in);
    cr_assert_eq(in.seg, S_FS);
}

Test(decode, at_most_fifteen_bytes)
{
    uint8_t b[16];
    struct x86_insn in;

    memset(b, 0x66, sizeof(b));
    x86_decode(b, 16, 32, &in);
    cr_assert_eq(in.err, DEC_LONG);
    b[14] = 0x90;
    cr_assert_eq(x86_decode(b, 16, 32, &in), 15);
    cr_assert_eq(in.err, DEC_OK);
}

Test(decode, short_input_is_told)
{
    static const uint8_t mov[] = { 0x48, 0xc7, 0x84, 0x88, 1, 2, 3, 4, 5, 6, 7, 8 };
    struct x86_insn in;

    for (unsigned n = 0; n < sizeof(mov); n++) {
        cr_assert_eq(x86_decode(mov, n, 64, &in), 0);
        cr_assert_eq(in.err, DEC_SHORT);
    }
    cr_assert_eq(x86_decode(mov, sizeof(mov), 64, &in), 12);
}

Test(decode, features_decide)
{
    static const uint8_t tzcnt[] = { 0xf3, 0x0f, 0xbc, 0xc1 };
    struct x86_model m = { .name = "none" };
    struct x86_insn in;

    x86_decode_with(tzcnt, sizeof(tzcnt), 64, &m, &in);
    cr_assert_str_eq(in.row->name, "BSF");
    m.feat[FEAT_7_EBX] = 1 << 3;
    x86_decode_with(tzcnt, sizeof(tzcnt), 64, &m, &in);
    cr_assert_str_eq(in.row->name, "TZCNT");
}

/* ---- against Capstone ------------------------------------------------------------------ */

static uint64_t rng = 88172645463325252ull;

static unsigned rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (unsigned)(rng >> 20);
}

static void random_bytes(uint8_t b[16], unsigned bits)
{
    for (unsigned i = 0; i < 16; i++)
        b[i] = (uint8_t)rnd();
    switch (rnd() % 8) {
    case 0: case 1: case 2:
        b[0] = 0x0f;
        break;
    case 3:
        b[0] = 0x66;
        break;
    case 4:
        b[0] = bits == 64 ? 0x48 | (rnd() & 7) : 0xf3;
        break;
    }
}

/* Intel ignores 66 on near branches in 64-bit code, Capstone does not (nor 67); and it
 * keeps a REX that is followed by another prefix */
static bool capstone_differs(const struct x86_insn *in, const uint8_t *b)
{
    if (in->bits != 64)
        return false;
    if (ROW_HAS(in->row, F64) && (in->prefixes & (PFX_OPSIZE | PFX_ADSIZE)))
        return true;
    for (unsigned i = 0; i + 1 < in->len; i++)
        if ((b[i] & 0xf0) == 0x40 && (b[i + 1] == 0x66 || (b[i + 1] & 0xf0) == 0x40))
            return true;
    return false;
}

static void compare_random(csh h, unsigned bits, unsigned rounds)
{
    unsigned both = 0;
    struct x86_insn in;
    uint8_t b[16];

    while (rounds--) {
        cs_insn *ci = NULL;
        size_t n;
        random_bytes(b, bits);
        x86_decode(b, 15, bits, &in);
        n = cs_disasm(h, b, 15, 0x1000, 1, &ci);
        if (n && !in.err && !capstone_differs(&in, b)) {
            both++;
            cr_assert_eq(ci->size, in.len, "%u-bit %02x %02x %02x %02x %02x %02x: %s %s: %u, not %u",
                         bits, b[0], b[1], b[2], b[3], b[4], b[5], ci->mnemonic, ci->op_str,
                         in.len, ci->size);
        }
        if (n)
            cs_free(ci, n);
    }
    cr_assert_gt(both, 10000, "only %u instructions compared", both);
}

Test(decode, lengths_match_capstone)
{
    static const cs_mode mode[3] = { CS_MODE_16, CS_MODE_32, CS_MODE_64 };

    for (unsigned i = 0; i < 3; i++) {
        csh h;
        cr_assert_eq(cs_open(CS_ARCH_X86, mode[i], &h), CS_ERR_OK);
        compare_random(h, 16u << i, 40000);
        cs_close(&h);
    }
}
