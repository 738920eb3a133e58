/* Every row of insn-simd.def is encoded, decoded again, and compared with Capstone. */
#include "tests/target-x86/simd-encode.h"

/* names that differ for reasons of taste */
static bool same_name(const char *row, const char *cs)
{
    static const char *const alias[][2] = {
        { "pclmulqdq", "pclmullqlqdq" }, { "vpclmulqdq", "vpclmullqlqdq" },
        { "movq", "movd" }, { "feni", "feni8087_nop" }, { "fdisi", "fdisi8087_nop" },
        { "vcvtpd2ps", "vcvtpd2psx" }, { "vcvtpd2dq", "vcvtpd2dqx" },
        { "vcvttpd2dq", "vcvttpd2dqx" },
    };
    char name[32];
    size_t n = 0;

    for (; row[n] && n < sizeof(name) - 1; n++)
        name[n] = (char)tolower((unsigned char)row[n]);
    name[n] = 0;
    if (!strcmp(name, cs))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(alias); i++)
        if (!strcmp(name, alias[i][0]) && !strcmp(cs, alias[i][1]))
            return true;
    /* Capstone spells the predicate: cmpeqps */
    const char *base = name[0] == 'v' ? name + 1 : name;
    const char *cbase = cs[0] == 'v' ? cs + 1 : cs;
    return !strncmp(base, "cmp", 3) && !strncmp(cbase, "cmp", 3) &&
           !strcmp(base + 3, cs + strlen(cs) - 2);
}

static void check_row(csh cs, unsigned i, bool mem, unsigned *n)
{
    const struct x86_row *r = &x86_rows[i];
    struct code c = encode(r, mem, false);
    struct x86_insn in;
    cs_insn *ci;

    cr_expect_eq(x86_decode(c.b, c.n, 64, &in), (int)c.n, "%s mem=%d: length %u, want %u",
                 r->name, mem, in.len, c.n);
    cr_expect_eq(in.err, DEC_OK, "%s mem=%d", r->name, mem);
    cr_expect_str_eq(in.row->name, r->name, "mem=%d", mem);
    for (unsigned k = 0; k < c.n; k++)
        cr_expect_eq(x86_decode(c.b, k, 64, &in), 0, "%s cut at %u", r->name, k);
    ++*n;
    if (capstone_lacks(r, mem))
        return;
    size_t got = cs_disasm(cs, c.b, c.n, 0, 1, &ci);
    cr_expect_eq(got, 1, "%s mem=%d: Capstone refuses %02x %02x %02x %02x %02x", r->name, mem,
                 c.b[0], c.b[1], c.b[2], c.b[3], c.b[4]);
    if (!got)
        return;
    cr_expect_eq(ci->size, c.n, "%s mem=%d: %u bytes, Capstone %u", r->name, mem, c.n, ci->size);
    cr_expect(same_name(r->name, ci->mnemonic), "%s mem=%d: Capstone says %s", r->name, mem,
              ci->mnemonic);
    cs_free(ci, got);
}

Test(decode_simd, every_row_decodes_as_capstone_does)
{
    unsigned n = 0;
    csh cs;

    cr_assert_eq(cs_open(CS_ARCH_X86, CS_MODE_64, &cs), CS_ERR_OK);
    for (unsigned i = first_simd_row(); i <= x86_last_avx_row(); i++) {
        const struct x86_row *r = &x86_rows[i];
        if (!ROW_HAS(r, MEM))
            check_row(cs, i, false, &n);
        if (row_takes_mem(r))
            check_row(cs, i, true, &n);
    }
    cs_close(&cs);
    cr_assert_gt(n, 1000);
}

static const char *name_of(const char *bytes, unsigned len, unsigned bits)
{
    struct x86_insn in;

    x86_decode((const uint8_t *)bytes, len, bits, &in);
    return in.err == DEC_OK ? in.row->name : "#UD";
}

Test(decode_simd, undefined_forms)
{
    /* VEX.vvvv used where it must be 1111 */
    cr_expect_str_eq(name_of("\xc5\xf0\x28\xc1", 4, 64), "#UD");
    cr_expect_str_eq(name_of("\xc5\xf8\x28\xc1", 4, 64), "VMOVAPS");
    /* VEX.L = 1 where illegal: VMOVHLPS, VPEXTRW */
    cr_expect_str_eq(name_of("\xc5\xf4\x12\xc1", 4, 64), "#UD");
    cr_expect_str_eq(name_of("\xc5\xfd\xc5\xc1\x00", 5, 64), "#UD");
    /* legacy prefixes before VEX */
    cr_expect_str_eq(name_of("\x66\xc5\xf8\x28\xc1", 5, 64), "#UD");
    cr_expect_str_eq(name_of("\xf2\xc5\xf8\x28\xc1", 5, 64), "#UD");
    /* memory-only and register-only */
    cr_expect_str_eq(name_of("\x0f\x13\xc1", 3, 64), "#UD");
    cr_expect_str_eq(name_of("\x66\x0f\xd7\x01", 4, 64), "#UD");
    /* VEX.W = 1 on a W0 instruction: VPERMD */
    cr_expect_str_eq(name_of("\xc4\xe2\xf5\x36\xc1", 5, 64), "#UD");
    cr_expect_str_eq(name_of("\xc4\xe2\x75\x36\xc1", 5, 64), "VPERMD");
}

Test(decode_simd, prefixes_choose_the_row)
{
    cr_expect_str_eq(name_of("\x0f\x58\xc1", 3, 32), "ADDPS");
    cr_expect_str_eq(name_of("\x66\x0f\x58\xc1", 4, 32), "ADDPD");
    cr_expect_str_eq(name_of("\xf3\x0f\x58\xc1", 4, 32), "ADDSS");
    cr_expect_str_eq(name_of("\x66\xf2\x0f\x58\xc1", 5, 32), "ADDSD");
    /* C5 with mod != 3 is LDS outside 64-bit code */
    cr_expect_str_neq(name_of("\xc5\x78\x28\xc1", 4, 32), "VMOVAPS");
}

Test(decode_simd, operand_sizes)
{
    struct x86_insn in;

    x86_decode((const uint8_t *)"\xf3\x0f\x58\x00", 4, 64, &in);       /* addss xmm0, [rax] */
    cr_expect_eq(opnd_bytes(&in, in.row->b), 4);
    x86_decode((const uint8_t *)"\xf3\x48\x0f\x2a\x00", 5, 64, &in);   /* cvtsi2ss xmm0, qword */
    cr_expect_eq(opnd_bytes(&in, in.row->b), 8);
    x86_decode((const uint8_t *)"\xc4\xe2\x7d\x33\x00", 5, 64, &in);   /* vpmovzxwd ymm0, [rax] */
    cr_expect_eq(opnd_bytes(&in, in.row->a), 16);
    x86_decode((const uint8_t *)"\xdb\x28", 2, 64, &in);               /* fld tbyte [rax] */
    cr_expect_eq(opnd_bytes(&in, in.row->a), 10);
}
