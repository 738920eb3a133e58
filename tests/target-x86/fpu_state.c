/* FSTENV, FSAVE, FXSAVE, XSAVE images: formats, checks, what is left alone. */
#include "tests/target-x86/helper-rig.h"

enum { AT = 0x1000, XSAVE = 0, XSAVEOPT = 1 << 8, XSAVEC = 2 << 8, XSAVES = 3 << 8 };

static struct helper_rig *r;

static void setup(void)
{
    r = hr_new();
    r->cpu->cr4 = CR4_OSXSAVE | CR4_OSFXSR;
    r->cpu->xcr0 = 7;
}
static void teardown(void) { hr_free(r); }
TestSuite(fpu_state, .init = setup, .fini = teardown);

static void set_st(unsigned i, uint16_t expo, uint64_t mant)
{
    stl64(r->cpu->fx.st[i], mant);
    stl16(r->cpu->fx.st[i] + 8, expo);
}

/* TOP = 3; ST(0) 1.0, ST(1) zero, ST(2) NaN, ST(3) denormal, ST(4) empty ... */
static void interesting_state(void)
{
    struct x86_cpu *cpu = r->cpu;

    for (unsigned i = 0; i < 8; i++)
        set_st(i, 0x4000 + i, BIT(63) | i);
    set_st(0, 0x3fff, BIT(63));
    set_st(1, 0, 0);
    set_st(2, 0x7fff, 3ull << 62);
    set_st(3, 0, 5);
    cpu->fx.fcw = 0x27f;
    cpu->fx.fsw = 3 << 11 | 0x4100;
    cpu->fx.ftw = (uint8_t)~(1u << 7);      /* ST(4) is physical 7 */
    cpu->fx.fip = 0x12345678;
    cpu->fx.fdp = 0x9abcdef0;
    cpu->fx.fop = 0x5a5;
    cpu->fpu_cs = 0x1111;
    cpu->fpu_ds = 0x2222;
    cpu->fx.mxcsr = 0x1fa0;
    for (unsigned i = 0; i < 16; i++) {
        memset(cpu->fx.xmm[i], (int)i + 1, 16);
        memset(cpu->ymmh[i], (int)i + 0x81, 16);
    }
}

Test(fpu_state, reset_values)
{
    interesting_state();
    x86_fpu_reset(r->cpu);
    cr_expect_eq(r->cpu->fx.fcw, 0x40);
    cr_expect_eq(r->cpu->fx.mxcsr, 0x1f80);
    h_fninit(r->tc, 0, 0, 0);
    cr_expect_eq(r->cpu->fx.fcw, 0x37f);
    cr_expect_eq(r->cpu->fx.ftw, 0);
}

Test(fpu_state, fninit_keeps_physical_registers)
{
    interesting_state();
    h_fninit(r->tc, 0, 0, 0);
    cr_expect_eq(ldl64(r->cpu->fx.st[3]), BIT(63));   /* ST(0) was physical 3 */
    cr_expect_eq(ldl64(r->cpu->fx.st[6]), 5);
}

Test(fpu_state, fstenv_protected_32)
{
    interesting_state();
    h_fstenv(r->tc, AT, 4, 0);
    cr_expect_eq(ldl32(r->ram + AT), 0xffff027f);
    cr_expect_eq(ldl32(r->ram + AT + 4), 0xffff5900);
    /* physical 3 valid 0, 4 zero 1, 5 special 2, 6 special 2, 7 empty 3, 0-2 valid */
    cr_expect_eq(ldl32(r->ram + AT + 8), 0xffff0000u | 1 << 8 | 2 << 10 | 2 << 12 | 3 << 14);
    cr_expect_eq(ldl32(r->ram + AT + 12), 0x12345678);
    cr_expect_eq(ldl32(r->ram + AT + 16), 0x05a51111);
    cr_expect_eq(ldl32(r->ram + AT + 20), 0x9abcdef0);
    cr_expect_eq(ldl32(r->ram + AT + 24), 0xffff2222);
    cr_expect_eq(r->cpu->fx.fcw, 0x27f | 0x3f);
}

Test(fpu_state, fstenv_real_16)
{
    interesting_state();
    r->cpu->fx.fip = 0x0010;
    r->cpu->fx.fdp = 0xfffe;
    h_fstenv(r->tc, AT, 2, 1);
    cr_expect_eq(ldl16(r->ram + AT + 6), 0x1120);                 /* 1111:0010 */
    cr_expect_eq(ldl16(r->ram + AT + 8), 1 << 12 | 0x5a5);
    cr_expect_eq(ldl16(r->ram + AT + 10), (0x22220 + 0xfffe) & 0xffff);
    cr_expect_eq(ldl16(r->ram + AT + 12), 3 << 12);
    cr_expect_eq(ldl16(r->ram + AT + 14), 0);
}

Test(fpu_state, environment_round_trips_in_every_format)
{
    for (unsigned real = 0; real < 2; real++) {
        for (unsigned size = 2; size <= 4; size += 2) {
            interesting_state();
            struct x86_fxarea want = r->cpu->fx;
            h_fsave(r->tc, AT, size, real);
            cr_expect_eq(r->cpu->fx.ftw, 0);
            cr_expect_eq(r->cpu->fx.fcw, 0x37f);
            h_frstor(r->tc, AT, size, real);
            cr_expect_eq(memcmp(want.st, r->cpu->fx.st, sizeof(want.st)), 0);
            cr_expect_eq(r->cpu->fx.fcw, want.fcw);
            cr_expect_eq(r->cpu->fx.fsw, want.fsw);
            cr_expect_eq(r->cpu->fx.ftw, want.ftw);
        }
    }
}

Test(fpu_state, fldenv_moves_top_not_registers_and_summarises)
{
    interesting_state();
    h_fstenv(r->tc, AT, 4, 0);
    stl16(r->ram + AT, 0x37e);               /* invalid unmasked */
    stl16(r->ram + AT + 4, 5 << 11 | 1);     /* and pending; TOP 5 */
    h_fldenv(r->tc, AT, 4, 0);
    cr_expect_eq(r->cpu->fx.fsw, 5 << 11 | 1 | 0x8080);
    cr_expect_eq(ldl64(r->cpu->fx.st[6]), BIT(63));   /* physical 3 */
    h_fwait(r->tc, 0, 0, 0);
    cr_expect_eq(hr_exception(r), EXC_MF);
    r->cpu->cr0 &= ~CR0_NE;
    h_fwait(r->tc, 0, 0, 0);
    cr_expect_eq(hr_exception(r), -1);
    cr_expect(r->ferr);
}

Test(fpu_state, fault_changes_nothing)
{
    interesting_state();
    struct x86_fxarea want = r->cpu->fx;
    h_fsave(r->tc, HR_RO - 20, 4, 0);
    cr_expect_eq(hr_exception(r), EXC_PF);
    h_fxsave(r->tc, HR_RO - 256, 8, 0);
    cr_expect_eq(hr_exception(r), EXC_PF);
    h_fxrstor(r->tc, HR_BYTES - 256, 8, 0);
    cr_expect_eq(hr_exception(r), EXC_PF);
    cr_expect_eq(memcmp(&want, &r->cpu->fx, sizeof(want)), 0);
    cr_expect_eq(r->ram[HR_RO - 20], 0);
    cr_expect_eq(r->ram[HR_RO - 256], 0);
}

Test(fpu_state, fxsave_forms)
{
    interesting_state();
    memset(r->ram + AT, 0xcc, 512);
    h_fxsave(r->tc, AT, 8, 0);
    cr_expect_eq(ldl64(r->ram + AT + 8), 0x12345678);
    cr_expect_eq(r->ram[AT + 160 + 15 * 16], 16);
    cr_expect_eq(r->ram[AT + 416], 0xcc);
    cr_expect_eq(ldl32(r->ram + AT + 28), 0xffff);
    memset(r->ram + AT, 0xcc, 512);
    r->cpu->mode = MODE_CODE32 | MODE_PE;
    h_fxsave(r->tc, AT, 4, 0);
    cr_expect_eq(ldl32(r->ram + AT + 12), 0x1111);
    cr_expect_eq(ldl32(r->ram + AT + 20), 0x2222);
    cr_expect_eq(r->ram[AT + 160 + 7 * 16], 8);
    cr_expect_eq(r->ram[AT + 160 + 8 * 16], 0xcc);
    h_fxsave(r->tc, AT + 8, 4, 0);
    cr_expect_eq(hr_exception(r), EXC_GP);
}

Test(fpu_state, fxrstor_restores_and_checks)
{
    interesting_state();
    struct x86_fxarea want = r->cpu->fx;
    h_fxsave(r->tc, AT, 8, 0);
    x86_fpu_reset(r->cpu);
    h_fxrstor(r->tc, AT, 8, 0);
    cr_expect_eq(memcmp(&want, &r->cpu->fx, 416), 0);
    stl32(r->ram + AT + 24, 0x10000);
    x86_fpu_reset(r->cpu);
    h_fxrstor(r->tc, AT, 8, 0);
    cr_expect_eq(hr_exception(r), EXC_GP);
    cr_expect_eq(r->cpu->fx.fcw, 0x40);
    h_ldmxcsr(r->tc, 0x10000, 0, 0);
    cr_expect_eq(hr_exception(r), EXC_GP);
    h_ldmxcsr(r->tc, 0x1f00, 0, 0);
    cr_expect_eq(h_stmxcsr(r->tc, 0, 0, 0), 0x1f00);
}

static void xmask(uint64_t m)
{
    GPR(r->cpu, R_AX) = (uint32_t)m;
    GPR(r->cpu, R_DX) = m >> 32;
}

Test(fpu_state, xsave_round_trip_each_form)
{
    static const unsigned save[4] = { XSAVE, XSAVEOPT, XSAVEC, XSAVES };

    for (unsigned i = 0; i < 4; i++) {
        interesting_state();
        struct x86_fxarea want = r->cpu->fx;
        memset(r->ram + AT, 0, 832);
        xmask(~0ull);
        h_xsave(r->tc, AT, 8 | save[i], 0);
        cr_expect_eq(ldl64(r->ram + AT + 512), 7);
        cr_expect_eq(ldl64(r->ram + AT + 520), i >= 2 ? BIT(63) | 7 : 0);
        x86_fpu_reset(r->cpu);
        h_xrstor(r->tc, AT, 8 | (i == 3 ? XSAVES : 0), 0);
        cr_expect_eq(hr_exception(r), -1);
        cr_expect_eq(memcmp(&want, &r->cpu->fx, 416), 0, "form %u", i);
        cr_expect_eq(r->cpu->ymmh[15][15], 0x90);
    }
}

enum { AREA_BYTES = 832 };   /* without AVX-512 */

/* what XSAVE writes for interesting_state() */
static void area_want(uint8_t want[AREA_BYTES])
{
    interesting_state();
    xmask(~0ull);
    memset(r->ram + AT, 0, AREA_BYTES);
    h_xsave(r->tc, AT, 8, 0);
    memcpy(want, r->ram + AT, AREA_BYTES);
}

/* Restoring from @va gives the same again. */
static void area_restores(uint64_t va, const uint8_t want[AREA_BYTES])
{
    uint8_t *again = r->ram + (AT ^ r->swap);

    x86_fpu_reset(r->cpu);
    h_xrstor(r->tc, va, 8, 0);
    cr_expect_eq(hr_exception(r), -1);
    memset(again, 0, AREA_BYTES);
    h_xsave(r->tc, AT, 8, 0);
    cr_expect_eq(memcmp(again, want, AREA_BYTES), 0, "from %#llx", (unsigned long long)va);
}

/* The pages of an area need not be neighbours on the host; the end of the first is tried everywhere. */
Test(fpu_state, xsave_area_in_two_pages)
{
    uint8_t want[AREA_BYTES];

    area_want(want);
    tcg_mmu_flush(r->tc, true);
    r->swap = 0x1000;
    for (unsigned first = 64; first < AREA_BYTES; first += 64) {
        unsigned at = 0x9000 - first;

        memset(r->ram + 0x8000, 0, 0x2000);
        interesting_state();
        h_xsave(r->tc, at, 8, 0);
        cr_expect_eq(hr_exception(r), -1);
        cr_expect_eq(memcmp(r->ram + 0xa000 - first, want, first), 0, "first %u", first);
        cr_expect_eq(memcmp(r->ram + 0x8000, want + first, AREA_BYTES - first), 0, "first %u", first);
        area_restores(at, want);
    }
}

Test(fpu_state, xsave_area_partly_or_all_on_a_device)
{
    uint8_t want[AREA_BYTES];

    area_want(want);
    h_xsave(r->tc, HR_MMIO, 8, 0);
    cr_expect_eq(hr_exception(r), -1);
    cr_expect_eq(memcmp(r->device, want, AREA_BYTES), 0);
    area_restores(HR_MMIO, want);
    memcpy(r->ram + HR_MMIO - 192, want, 192);         /* a page that may be read only */
    memcpy(r->device, want + 192, AREA_BYTES - 192);
    area_restores(HR_MMIO - 192, want);
}

Test(fpu_state, xsave_area_faults_before_it_changes)
{
    uint8_t want[AREA_BYTES];

    area_want(want);
    h_xsave(r->tc, HR_RO - 256, 8, 0);
    cr_expect_eq(r->cpu->exc_cr2, HR_RO);
    cr_expect_eq(hr_exception(r), EXC_PF);
    for (unsigned i = 0; i < 256; i++)
        cr_expect_eq(r->ram[HR_RO - 256 + i], 0);
    h_xrstor(r->tc, HR_BYTES - 256, 8, 0);
    cr_expect_eq(r->cpu->exc_cr2, HR_BYTES);
    cr_expect_eq(hr_exception(r), EXC_PF);
    h_xsave(r->tc, AT, 8, 0);
    cr_expect_eq(memcmp(r->ram + AT, want, AREA_BYTES), 0, "the state has changed");
}

Test(fpu_state, xsave_header_keeps_components_not_asked_for)
{
    interesting_state();
    stl64(r->ram + AT + 512, 4);
    memset(r->ram + AT + 576, 0x33, 256);
    xmask(3);
    h_xsave(r->tc, AT, 8, 0);
    cr_expect_eq(ldl64(r->ram + AT + 512), 7);
    cr_expect_eq(r->ram[AT + 576], 0x33);
}

Test(fpu_state, init_optimisation)
{
    h_fninit(r->tc, 0, 0, 0);                /* all three components initial */
    memset(r->ram + AT, 0x33, 832);
    memset(r->ram + AT + 512, 0, 64);
    xmask(7);
    h_xsave(r->tc, AT, 8 | XSAVEOPT, 0);
    cr_expect_eq(ldl64(r->ram + AT + 512), 0);
    cr_expect_eq(r->ram[AT + 160], 0x33);
    cr_expect_eq(ldl32(r->ram + AT + 24), 0x1f80);
    interesting_state();
    h_xrstor(r->tc, AT, 8, 0);
    cr_expect_eq(hr_exception(r), -1);
    cr_expect_eq(r->cpu->fx.fcw, 0x37f);
    cr_expect_eq(r->cpu->fx.xmm[3][3], 0);
    cr_expect_eq(r->cpu->ymmh[3][3], 0);
}

Test(fpu_state, xrstor_refuses_malformed_headers)
{
    interesting_state();
    xmask(7);
    h_xsave(r->tc, AT, 8, 0);
    struct { unsigned off; uint64_t v; unsigned kind; } bad[] = {
        { 512, 8, 0 },                       /* unknown component */
        { 520, 1, 0 },                       /* standard form: must be 0 */
        { 528, 1, 0 },
        { 520, BIT(63) | 3, 0 },             /* compact: XSTATE_BV beyond XCOMP_BV */
        { 520, BIT(63) | 15, 0 },
        { 520, 0, XSAVES },                  /* XRSTORS wants the compact form */
        { 24, 0xffff0000, 0 },               /* MXCSR */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        uint64_t old = ldl64(r->ram + AT + bad[i].off);
        stl64(r->ram + AT + bad[i].off, bad[i].v);
        h_xrstor(r->tc, AT, 8 | bad[i].kind, 0);
        cr_expect_eq(hr_exception(r), EXC_GP, "case %u", i);
        stl64(r->ram + AT + bad[i].off, old);
    }
    h_xrstor(r->tc, AT, 8, 0);
    cr_expect_eq(hr_exception(r), -1);
    h_xrstor(r->tc, AT + 32, 8, 0);
    cr_expect_eq(hr_exception(r), EXC_GP);
    r->cpu->cpl = 3;
    h_xsave(r->tc, AT, 8 | XSAVES, 0);
    cr_expect_eq(hr_exception(r), EXC_GP);
    r->cpu->cr0 |= CR0_TS;
    h_xsave(r->tc, AT, 8, 0);
    cr_expect_eq(hr_exception(r), EXC_NM);
    r->cpu->cr4 = 0;
    h_xsave(r->tc, AT, 8, 0);
    cr_expect_eq(hr_exception(r), EXC_UD);
}

#ifdef __x86_64__
/* the same state in silicon: its tag word, status and registers agree */
Test(fpu_state, fsave_agrees_with_the_host)
{
    uint8_t img[512] __attribute__((aligned(16))), host[108];

    interesting_state();
    h_fxsave(r->tc, AT, 8, 0);
    h_fsave(r->tc, AT + 1024, 4, 0);
    memcpy(img, r->ram + AT, 512);
    __asm__ volatile("fxrstor64 %1\n\tfnsave %0" : "=m"(host) : "m"(img)
                     : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",
                       "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    __asm__ volatile("ldmxcsr %0" : : "m"((uint32_t){ 0x1f80 }));
    cr_expect_eq(memcmp(host, r->ram + AT + 1024, 12), 0);
    cr_expect_eq(memcmp(host + 28, r->ram + AT + 1024 + 28, 80), 0);
}
#endif
