/* RDMSR, WRMSR, the time-stamp counter */
#include "tests/target-x86/sys-rig.h"

static uint64_t rd(struct sys_rig *r, uint32_t msr)
{
    uint64_t v;

    cr_assert(x86_msr_read(r->cpu, msr, &v), "msr %#x", msr);
    return v;
}

Test(msr, instructions)
{
    struct sys_rig *r = sr_protected();

    GPR(r->cpu, R_CX) = 0xc0000081;
    GPR(r->cpu, R_AX) = 0xffffffff11111111ull;
    GPR(r->cpu, R_DX) = 0x22222222;
    cr_assert_eq(h_wrmsr(r->tc, 0, 0, 0), 1);
    cr_assert_eq(r->cpu->star, 0x2222222211111111ull);
    GPR(r->cpu, R_AX) = GPR(r->cpu, R_DX) = 0;
    h_rdmsr(r->tc, 0, 0, 0);
    cr_assert_eq(GPR(r->cpu, R_AX), 0x11111111);
    cr_assert_eq(GPR(r->cpu, R_DX), 0x22222222);
    GPR(r->cpu, R_CX) = 0x12345678;
    h_rdmsr(r->tc, 0, 0, 0);
    sr_expect(r, EXC_GP, 0);
    h_wrmsr(r->tc, 0, 0, 0);
    sr_expect(r, EXC_GP, 0);
    sr_cpl(r, 3);
    GPR(r->cpu, R_CX) = 0x10;
    h_rdmsr(r->tc, 0, 0, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(msr, canonical_values)
{
    static const uint32_t msrs[] = { 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000082, 0x175, 0x176 };
    struct sys_rig *r = sr_protected();

    for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
        cr_assert(x86_msr_write(r->cpu, msrs[i], 0xffff800000000000ull));
        cr_assert_eq(rd(r, msrs[i]), 0xffff800000000000ull);
        cr_assert_not(x86_msr_write(r->cpu, msrs[i], 0x800000000000ull), "msr %#x", msrs[i]);
    }
    sr_free(r);
}

Test(msr, efer)
{
    struct sys_rig *r = sr_long();

    cr_assert_not(x86_msr_write(r->cpu, 0xc0000080, BIT(12)));
    cr_assert_not(x86_msr_write(r->cpu, 0xc0000080, EFER_SCE), "LME fell with paging on");
    cr_assert(x86_msr_write(r->cpu, 0xc0000080, EFER_LME | EFER_SCE));
    cr_assert_eq(rd(r, 0xc0000080), EFER_LME | EFER_LMA | EFER_SCE);
    sr_free(r);
}

Test(msr, tsc_and_adjust)
{
    struct sys_rig *r = sr_protected();

    r->tsc = 1000;
    cr_assert_eq(rd(r, 0x10), 1000);
    cr_assert(x86_msr_write(r->cpu, 0x10, 5000));
    cr_assert_eq(rd(r, 0x3b), 4000);
    cr_assert(x86_msr_write(r->cpu, 0x3b, 0));
    cr_assert_eq(h_rdtsc(r->tc, 0, 0, 0), 1000);
    cr_assert(x86_msr_write(r->cpu, 0xc0000103, 7));
    h_rdtscp(r->tc, 0, 0, 0);
    cr_assert_eq(GPR(r->cpu, R_AX), 1000);
    cr_assert_eq(GPR(r->cpu, R_CX), 7);
    cr_assert_eq(h_rdpid(r->tc, 0, 0, 0), 7);
    r->cpu->cr4 |= CR4_TSD;
    sr_cpl(r, 3);
    h_rdtsc(r->tc, 0, 0, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(msr, apic_goes_to_the_bus)
{
    struct sys_rig *r = sr_protected();

    cr_assert(x86_msr_write(r->cpu, 0x6e0, 99));
    cr_assert_eq(r->apic_msr, 0x6e0);
    cr_assert(x86_msr_write(r->cpu, 0x830, 123));
    cr_assert_eq(rd(r, 0x80b), 123);
    cr_assert_not(x86_msr_write(r->cpu, 0x8ff, 0));
    cr_assert(x86_msr_write(r->cpu, 0x1b, 0xfee00900));
    cr_assert_eq(r->apic_msr, 0x1b);
    sr_free(r);
}

Test(msr, memory_types)
{
    struct sys_rig *r = sr_protected();

    cr_assert_eq(rd(r, 0x277), 0x0007040600070406ull);
    cr_assert_not(x86_msr_write(r->cpu, 0x277, 2));
    cr_assert(x86_msr_write(r->cpu, 0x277, 0x0107040600070406ull));
    cr_assert_eq(rd(r, 0xfe) & 0xff, 8);
    cr_assert(x86_msr_write(r->cpu, 0x20f, 0xffc0000800ull));
    cr_assert_eq(rd(r, 0x20f), 0xffc0000800ull);
    cr_assert_not(x86_msr_write(r->cpu, 0x20f, BIT(60)));
    cr_assert_not(x86_msr_write(r->cpu, 0x2ff, 2));
    cr_assert(x86_msr_write(r->cpu, 0x26f, 0x0606060606060606ull));
    cr_assert_eq(rd(r, 0x26f), 0x0606060606060606ull);
    cr_assert_not(x86_msr_write(r->cpu, 0xfe, 0));
    sr_free(r);
}

Test(msr, mitigations)
{
    struct sys_rig *r = sr_protected();
    uint64_t v;

    cr_assert_eq(rd(r, 0x10a) & 1, 1, "RDCL_NO");
    cr_assert_not(x86_msr_write(r->cpu, 0x10a, 0));
    cr_assert(x86_msr_write(r->cpu, 0x48, 1));
    cr_assert_not(x86_msr_write(r->cpu, 0x48, 8));
    cr_assert(x86_msr_write(r->cpu, 0x49, 1));
    cr_assert_not(x86_msr_read(r->cpu, 0x49, &v));
    sr_free(r);
}

Test(msr, cpuid_faulting)
{
    struct sys_rig *r = sr_protected();

    cr_assert_eq(rd(r, 0xce) >> 31 & 1, 1);
    cr_assert_not(x86_msr_write(r->cpu, 0x140, 2));
    cr_assert(x86_msr_write(r->cpu, 0x140, 1));
    GPR(r->cpu, R_AX) = 0x16;
    h_cpuid(r->tc, 0, 0, 0);
    cr_expect_neq(GPR(r->cpu, R_AX), 0x16, "ring 0 gets an answer");
    sr_cpl(r, 3);
    GPR(r->cpu, R_AX) = 0x16;
    h_cpuid(r->tc, 0, 0, 0);
    cr_expect_eq(sr_exception(r), EXC_GP);
    cr_expect_eq(GPR(r->cpu, R_AX), 0x16);
    sr_free(r);
}

Test(msr, machine_check_banks)
{
    struct sys_rig *r = sr_protected();
    unsigned n = rd(r, 0x179) & 0xff;
    uint64_t v;

    cr_assert(x86_msr_write(r->cpu, 0x400 + (n - 1) * 4, ~0ull));
    cr_assert(x86_msr_write(r->cpu, 0x401, 0));
    cr_assert_not(x86_msr_write(r->cpu, 0x401, 1));
    cr_assert_not(x86_msr_read(r->cpu, 0x400 + n * 4, &v));
    sr_free(r);
}

Test(msr, microcode_revision_survives_the_write)
{
    struct sys_rig *r = sr_protected();

    cr_assert(x86_msr_write(r->cpu, 0x8b, 0));
    cr_assert_neq(rd(r, 0x8b) >> 32, 0);
    sr_free(r);
}
