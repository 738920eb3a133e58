/* Helpers for rare instructions. */
#include "tests/target-x86/helper-rig.h"

static struct helper_rig *r;

static void setup(void) { r = hr_new(); }
static void teardown(void) { hr_free(r); }
TestSuite(misc, .init = setup, .fini = teardown);

enum { DAA, DAS, AAA, AAS, AAM, AAD };

static void bcd(unsigned kind, unsigned ax, uint32_t fl, unsigned imm)
{
    GPR(r->cpu, R_AX) = 0xabcd0000 | ax;
    r->tc->fl = fl;
    h_bcd(r->tc, kind, imm, 0);
}

#define expect_ax(v) cr_expect_eq(GPR(r->cpu, R_AX), 0xabcd0000u | (v), "%llx", \
                                  (unsigned long long)GPR(r->cpu, R_AX))
#define expect_c(v) cr_expect_eq(!!(r->tc->fl & TCG_FL_C), v)

Test(misc, decimal_adjust_known_answers)
{
    bcd(DAA, 0x3c, 0, 0);             /* 19 + 23 */
    expect_ax(0x42);
    expect_c(0);
    bcd(DAA, 0x9a, 0, 0);
    expect_ax(0x00);
    expect_c(1);
    cr_expect(r->tc->fl & TCG_FL_Z);
    bcd(DAA, 0x12, TCG_FL_C | TCG_FL_A, 0);
    expect_ax(0x78);
    expect_c(1);
    bcd(DAS, 0x2f, 0, 0);
    expect_ax(0x29);
    bcd(DAS, 0x05, TCG_FL_A, 0);      /* borrows below zero */
    expect_ax(0xff);
    expect_c(1);
    bcd(AAA, 0x010b, 0, 0);
    expect_ax(0x0201);
    expect_c(1);
    bcd(AAA, 0x0135, 0, 0);
    expect_ax(0x0105);
    expect_c(0);
    bcd(AAS, 0x02ff, 0, 0);
    expect_ax(0x0109);
    expect_c(1);
    bcd(AAM, 0x0063, 0, 10);
    expect_ax(0x0909);
    bcd(AAD, 0x0905, 0, 10);
    expect_ax(0x005f);
    cr_expect_eq(hr_exception(r), -1);
    bcd(AAM, 0x0063, 0, 0);
    expect_ax(0x0063);
    cr_expect_eq(hr_exception(r), EXC_DE);
}

Test(misc, clzero_and_movdir64b)
{
    memset(r->ram + 0x1000, 0xaa, 0x100);
    h_clzero(r->tc, 0x1047, 0, 0);
    cr_expect_eq(r->ram[0x103f], 0xaa);
    cr_expect(r->ram[0x1040] == 0 && !memcmp(r->ram + 0x1040, r->ram + 0x1041, 63));
    cr_expect_eq(r->ram[0x1080], 0xaa);
    for (unsigned i = 0; i < 64; i++)
        r->ram[0x2001 + i] = (uint8_t)i;
    h_movdir64b(r->tc, 0x1080, 0x2001, 0);
    cr_expect(!memcmp(r->ram + 0x1080, r->ram + 0x2001, 64));
    cr_expect_eq(hr_exception(r), -1);
    h_movdir64b(r->tc, 0x1088, 0x2001, 0);
    cr_expect_eq(hr_exception(r), EXC_GP, "not aligned");
    h_movdir64b(r->tc, 0x1088, HR_BYTES, 0);
    cr_expect_eq(hr_exception(r), EXC_PF, "the source comes first");
    h_clzero(r->tc, HR_RO, 0, 0);
    cr_expect_eq(hr_exception(r), EXC_PF);
}

Test(misc, into_and_bound)
{
    h_into(r->tc, 0, 1, 0);
    cr_expect_eq(hr_exception(r), -1);
    r->tc->fl = TCG_FL_O;
    h_into(r->tc, 0, 1, 0);
    cr_expect_eq(hr_exception(r), EXC_OF);
    h_bound(r->tc, (uint64_t)-5, (uint64_t)-5, 0);
    cr_expect_eq(hr_exception(r), -1);
    h_bound(r->tc, (uint64_t)-6, (uint64_t)-5, 0);
    cr_expect_eq(hr_exception(r), EXC_BR);
}

Test(misc, pusha_popa_round_trip)
{
    hr_code16(r, 0);
    for (unsigned i = 0; i < 8; i++)
        GPR(r->cpu, i) = 0x11110000 * i + i;
    GPR(r->cpu, R_SP) = 0x33330100;
    h_pusha(r->tc, 2, 0, 0);
    cr_expect_eq(GPR(r->cpu, R_SP), 0x333300f0);
    cr_expect_eq(ldl16(r->ram + 0xfe), 0);
    cr_expect_eq(ldl16(r->ram + 0xf6), 0x0100);     /* SP before */
    cr_expect_eq(ldl16(r->ram + 0xf0), 7);
    stl16(r->ram + 0xf0, 0x4444);
    h_popa(r->tc, 2, 0, 0);
    cr_expect_eq(GPR(r->cpu, R_DI), 0x77774444);
    cr_expect_eq(GPR(r->cpu, R_SP), 0x33330100);
}

Test(misc, pusha_checks_everything_first)
{
    hr_code16(r, 0);
    r->cpu->seg[S_SS].lo = r->cpu->seg[S_SS].lo_w = 0x100;   /* expand-down */
    GPR(r->cpu, R_AX) = 0x5555;
    GPR(r->cpu, R_SP) = 0x108;
    h_pusha(r->tc, 2, 0, 0);
    cr_expect_eq(hr_exception(r), EXC_SS);
    cr_expect_eq(GPR(r->cpu, R_SP), 0x108);
    cr_expect_eq(ldl16(r->ram + 0x106), 0);
}

Test(misc, enter_builds_nested_frame)
{
    GPR(r->cpu, R_SP) = 0x2000;
    GPR(r->cpu, R_BP) = 0x3000;
    stl64(r->ram + 0x2ff8, 0xaaaa);
    stl64(r->ram + 0x2ff0, 0xbbbb);
    h_enter(r->tc, 0x20, 3, 8);
    cr_expect_eq(ldl64(r->ram + 0x1ff8), 0x3000);
    cr_expect_eq(ldl64(r->ram + 0x1ff0), 0xaaaa);
    cr_expect_eq(ldl64(r->ram + 0x1fe8), 0xbbbb);
    cr_expect_eq(ldl64(r->ram + 0x1fe0), 0x1ff8);
    cr_expect_eq(GPR(r->cpu, R_BP), 0x1ff8);
    cr_expect_eq(GPR(r->cpu, R_SP), 0x1fe0 - 0x20);
    GPR(r->cpu, R_SP) = HR_RO + 4;                  /* fault: nothing changes */
    h_enter(r->tc, 0, 0, 8);
    cr_expect_eq(hr_exception(r), EXC_PF);
    cr_expect_eq(GPR(r->cpu, R_BP), 0x1ff8);
}

Test(misc, cmpxchg8b_equal_and_not)
{
    for (unsigned at = 0x100; at <= 0x103; at += 3) {   /* aligned and not */
        stl64(r->ram + at, 0x1111222233334444);
        GPR(r->cpu, R_AX) = 0x33334444;
        GPR(r->cpu, R_DX) = 0x11112222;
        GPR(r->cpu, R_BX) = 0x77778888;
        GPR(r->cpu, R_CX) = 0x55556666;
        r->tc->fl = TCG_FL_C;
        h_cmpxchg8b(r->tc, at, 0, 0);
        cr_expect_eq(r->tc->fl, TCG_FL_C | TCG_FL_Z);
        cr_expect_eq(ldl64(r->ram + at), 0x5555666677778888);
        h_cmpxchg8b(r->tc, at, 0, 0);
        cr_expect_eq(r->tc->fl, TCG_FL_C);
        cr_expect_eq(GPR(r->cpu, R_AX), 0x77778888);
        cr_expect_eq(GPR(r->cpu, R_DX), 0x55556666);
    }
    h_cmpxchg8b(r->tc, HR_RO, 0, 0);                /* a write even when not equal */
    cr_expect_eq(hr_exception(r), EXC_PF);
}

Test(misc, cmpxchg16b)
{
    stl64(r->ram + 0x100, 1);
    stl64(r->ram + 0x108, 2);
    GPR(r->cpu, R_AX) = 1;
    GPR(r->cpu, R_DX) = 2;
    GPR(r->cpu, R_BX) = 3;
    GPR(r->cpu, R_CX) = 4;
    h_cmpxchg16b(r->tc, 0x100, 0, 0);
    cr_expect(r->tc->fl & TCG_FL_Z);
    cr_expect_eq(ldl64(r->ram + 0x108), 4);
    h_cmpxchg16b(r->tc, 0x100, 0, 0);
    cr_expect_not(r->tc->fl & TCG_FL_Z);
    cr_expect_eq(GPR(r->cpu, R_DX), 4);
    h_cmpxchg16b(r->tc, 0x108, 0, 0);
    cr_expect_eq(hr_exception(r), EXC_GP);
}

Test(misc, rdrand_sets_carry)
{
    r->tc->fl = TCG_FL_Z | TCG_FL_O;
    uint64_t a = h_rdrand(r->tc, 8, 0, 0), b = h_rdrand(r->tc, 8, 0, 0);
    cr_expect_eq(r->tc->fl & ~TCG_FL_C, 0);
    if (r->tc->fl)
        cr_expect_neq(a, b);
    cr_expect_eq(h_rdrand(r->tc, 2, 0, 0) >> 16, 0);
}

Test(misc, maskmov_touches_selected_bytes_only)
{
    memset(r->cpu->fx.xmm[1], 0xaa, 16);
    memset(r->cpu->fx.xmm[2], 0, 16);
    r->cpu->fx.xmm[2][3] = 0x80;
    r->cpu->fx.xmm[2][9] = 0xff;
    h_maskmov(r->tc, HR_RO - 10, 1 | 2 << 8, 0);    /* the last bytes are read-only */
    cr_expect_eq(hr_exception(r), -1);
    cr_expect_eq(r->ram[HR_RO - 7], 0xaa);
    cr_expect_eq(r->ram[HR_RO - 1], 0xaa);
    cr_expect_eq(r->ram[HR_RO - 6], 0);
    r->cpu->fx.xmm[2][0] = 0x80;
    h_maskmov(r->tc, HR_RO - 9, 1 | 2 << 8, 0);     /* byte 9 would fault: nothing moves */
    cr_expect_eq(hr_exception(r), EXC_PF);
    cr_expect_eq(r->ram[HR_RO - 9], 0);
}

Test(misc, vmaskmov_load_zeroes_and_does_not_touch)
{
    for (unsigned i = 0; i < 8; i++)
        stl32(r->ram + HR_BYTES - 0x2000 - 16 + i * 4, i + 1);
    stl32(r->cpu->fx.xmm[3], 0x80000000);
    stl32(r->cpu->fx.xmm[3] + 12, 0x80000000);
    h_vmaskmov(r->tc, HR_RO - 16, VMASKMOV_PACK(4, 3, 4, 1, 0, S_DS, 0), 0);
    cr_expect_eq(ldl32(r->cpu->fx.xmm[4]), 1);
    cr_expect_eq(ldl32(r->cpu->fx.xmm[4] + 4), 0);
    cr_expect_eq(ldl32(r->cpu->fx.xmm[4] + 12), 4);
    cr_expect_eq(ldl32(r->cpu->ymmh[4]), 0);
    h_vmaskmov(r->tc, HR_RO - 12, VMASKMOV_PACK(4, 3, 4, 1, 1, S_DS, 0), 0);
    cr_expect_eq(hr_exception(r), EXC_PF);          /* element 3 is read-only */
    cr_expect_eq(ldl32(r->ram + HR_RO - 12), 2);
}

Test(misc, gather_keeps_progress_on_a_fault)
{
    static const uint32_t index[4] = { 1, 0, 0x100000, 2 };
    uint64_t how = VGATHER_PACK(1, 2, 3, 2, 4, 4, 0, 8, S_DS);

    for (unsigned i = 0; i < 4; i++) {
        stl32(r->ram + 0x400 + i * 4, 100 + i);
        stl32(r->cpu->fx.xmm[2] + i * 4, index[i]);
        stl32(r->cpu->fx.xmm[3] + i * 4, i == 1 ? 0 : 0x80000000);
        stl32(r->cpu->fx.xmm[1] + i * 4, 7);
    }
    memset(r->cpu->ymmh[1], 0xff, 16);
    h_vgather(r->tc, 0x400, how, 0);
    cr_expect_eq(hr_exception(r), EXC_PF);
    cr_expect_eq(ldl32(r->cpu->fx.xmm[1]), 101);
    cr_expect_eq(ldl32(r->cpu->fx.xmm[1] + 4), 7);
    cr_expect_eq(ldl32(r->cpu->fx.xmm[1] + 8), 7);
    cr_expect_eq(ldl32(r->cpu->fx.xmm[3]), 0);
    cr_expect_eq(ldl32(r->cpu->fx.xmm[3] + 8), 0xffffffff);
    stl32(r->cpu->fx.xmm[2] + 8, 3);                /* mended: goes on */
    h_vgather(r->tc, 0x400, how, 0);
    cr_expect_eq(hr_exception(r), -1);
    cr_expect_eq(ldl32(r->cpu->fx.xmm[1] + 8), 103);
    cr_expect_eq(ldl32(r->cpu->fx.xmm[1] + 12), 102);
    cr_expect_eq(ldl32(r->cpu->fx.xmm[3] + 8), 0);
    cr_expect_eq(ldl32(r->cpu->ymmh[1]), 0);
}

Test(misc, pcmpstri_through_the_helper)
{
    memcpy(r->cpu->fx.xmm[1], "xyz", 3);
    memcpy(r->ram + 0x200, "abcdefgzabcdefgh", 16);
    GPR(r->cpu, R_AX) = 3;
    GPR(r->cpu, R_DX) = 16;
    GPR(r->cpu, R_CX) = ~0ull;
    h_pcmpstr(r->tc, 0x200, PCMPSTR_PACK(0x61, 0, 1, 0, 1, 0, 0), 0);   /* equal any */
    cr_expect_eq(GPR(r->cpu, R_CX), 7);
    cr_expect(r->tc->fl & TCG_FL_C);
    memcpy(r->cpu->fx.xmm[2], "abcdefg\0y", 9);      /* implicit: ends at the NUL */
    h_pcmpstr(r->tc, 0, PCMPSTR_PACK(0x63, 0, 1, 2, 0, 0, 0), 0);
    cr_expect_eq(GPR(r->cpu, R_CX), 16);
    cr_expect_eq(r->tc->fl & (TCG_FL_C | TCG_FL_Z), TCG_FL_Z);
}
