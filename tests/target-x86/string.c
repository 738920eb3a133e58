/* String instructions: results, overlap, restart, segments, ports. */
#include "tests/target-x86/helper-rig.h"

static struct helper_rig *r;

static void setup(void) { r = hr_new(); }
static void teardown(void) { hr_free(r); }
TestSuite(string, .init = setup, .fini = teardown);

static uint64_t what(unsigned kind, unsigned size, unsigned asize)
{
    return kind | size << 8 | asize << 16 | (uint64_t)S_DS << 24;
}

/* run to the end as the run loop would; returns how often it was entered */
static unsigned rep(unsigned kind, unsigned size, unsigned asize, unsigned prefix)
{
    unsigned n = 1;

    while (h_rep_string(r->tc, what(kind, size, asize), prefix, 0) && n < 1000)
        n++;
    return n;
}

static void regs(uint64_t si, uint64_t di, uint64_t cx)
{
    GPR(r->cpu, R_SI) = si;
    GPR(r->cpu, R_DI) = di;
    GPR(r->cpu, R_CX) = cx;
}

static void pattern(void)
{
    for (unsigned i = 0; i < HR_BYTES; i++)
        r->ram[i] = (uint8_t)(i * 7 + (i >> 8));
}

/* the definition: one element after the other */
static void reference(uint8_t *m, uint64_t si, uint64_t di, unsigned n, unsigned size, int dir)
{
    while (n--) {
        memmove(m + di, m + si, size);
        si += (uint64_t)(int64_t)(dir * (int)size);
        di += (uint64_t)(int64_t)(dir * (int)size);
    }
}

Test(string, movs_any_overlap_equals_elementwise)
{
    static uint8_t want[HR_BYTES];

    for (unsigned size = 1; size <= 8; size *= 2) {
        for (int dist = -20; dist <= 20; dist++) {
            for (int dir = -1; dir <= 1; dir += 2) {
                uint64_t si = 0x1ff0, n = 3000 / size;
                if (dir < 0)
                    si += n * size;
                pattern();
                memcpy(want, r->ram, HR_BYTES);
                reference(want, si, si + dist, n, size, dir);
                r->cpu->df = dir;
                regs(si, si + dist, n);
                rep(STR_MOVS, size, 8, 1);
                cr_assert_eq(memcmp(want, r->ram, HR_BYTES), 0, "size=%u dist=%d dir=%d", size, dist, dir);
                cr_assert_eq(GPR(r->cpu, R_CX), 0);
                cr_assert_eq(GPR(r->cpu, R_SI), si + dir * (int)(n * size));
            }
        }
    }
}

Test(string, stos_every_size)
{
    GPR(r->cpu, R_AX) = 0x1122334455667788;
    for (unsigned size = 1; size <= 8; size *= 2) {
        memset(r->ram, 0, HR_BYTES);
        regs(0, 0xffd, 1001);
        rep(STR_STOS, size, 8, 1);
        for (unsigned i = 0; i < 1001 * size; i++)
            cr_assert_eq(r->ram[0xffd + i], (uint8_t)(0x1122334455667788ull >> (i % size * 8)));
        cr_assert_eq(r->ram[0xffd + 1001 * size], 0);
        cr_assert_eq(r->ram[0xffc], 0);
        cr_assert_eq(GPR(r->cpu, R_DI), 0xffd + 1001 * size);
    }
}

/* Short runs are not done with the host's REP. */
Test(string, short_runs)
{
    static uint8_t want[HR_BYTES];

    for (unsigned size = 1; size <= 8; size *= 2) {
        for (unsigned n = 1; n * size <= 160; n++) {
            pattern();
            memcpy(want, r->ram, HR_BYTES);
            memmove(want + 0x1003, want + 0x2001, n * size);
            for (unsigned i = 0; i < n * size; i++)
                want[0x1105 + i] = (uint8_t)(0x1122334455667788ull >> (i % size * 8));
            regs(0x2001, 0x1003, n);
            rep(STR_MOVS, size, 8, 1);
            GPR(r->cpu, R_AX) = 0x1122334455667788;
            regs(0, 0x1105, n);
            rep(STR_STOS, size, 8, 1);
            cr_assert_eq(memcmp(want, r->ram, HR_BYTES), 0, "size=%u n=%u", size, n);
        }
    }
}

Test(string, fault_leaves_exact_progress)
{
    GPR(r->cpu, R_AX) = 0xee;
    regs(0, HR_RO - 5, 100);
    cr_assert_eq(h_rep_string(r->tc, what(STR_STOS, 1, 8), 1, 0), 0);
    cr_assert_eq(r->cpu->exc_cr2, HR_RO);
    cr_assert_eq(hr_exception(r), EXC_PF);
    cr_assert_eq(GPR(r->cpu, R_CX), 95);
    cr_assert_eq(GPR(r->cpu, R_DI), HR_RO);
    cr_assert_eq(r->ram[HR_RO - 1], 0xee);
}

Test(string, element_across_the_fault_is_not_begun)
{
    GPR(r->cpu, R_AX) = 0xeeeeeeee;
    regs(0, HR_RO - 6, 3);
    h_rep_string(r->tc, what(STR_STOS, 4, 8), 1, 0);
    cr_assert_eq(hr_exception(r), EXC_PF);
    cr_assert_eq(GPR(r->cpu, R_CX), 2);
    cr_assert_eq(r->ram[HR_RO - 3], 0xee);
    cr_assert_eq(r->ram[HR_RO - 2], 0);
}

Test(string, count_zero_does_nothing)
{
    r->tc->fl = TCG_FL_C | TCG_FL_S;
    regs(0x99999999, 0x99999999, 0);
    for (unsigned k = STR_MOVS; k <= STR_OUTS; k++)
        cr_assert_eq(h_rep_string(r->tc, what(k, 4, 8), 1, 0), 0);
    cr_assert_eq(hr_exception(r), -1);
    cr_assert_eq(r->tc->fl, TCG_FL_C | TCG_FL_S);
    cr_assert_eq(r->port_count, 0);
}

Test(string, work_is_bounded_and_interruptible)
{
    regs(0, 0, 0xe000 * 1000ull);     /* would run into the read-only page */
    GPR(r->cpu, R_CX) = 0xd000;
    r->tc->run = 0;
    cr_assert_eq(h_rep_string(r->tc, what(STR_STOS, 1, 8), 1, 0), 1);
    cr_assert_eq(GPR(r->cpu, R_DI), 0x1000, "%#llx", (unsigned long long)GPR(r->cpu, R_DI));
    cr_assert_eq(GPR(r->cpu, R_CX), 0xc000);
    r->tc->run = 1;
    cr_assert_eq(rep(STR_STOS, 1, 8, 1), 1);
    cr_assert_eq(GPR(r->cpu, R_CX), 0);
}

Test(string, scas_finds_and_sets_flags)
{
    memset(r->ram, 'x', 0x3000);
    r->ram[0x2345] = 0;
    GPR(r->cpu, R_AX) = 0;
    regs(0, 0x10, ~0ull);
    rep(STR_SCAS, 1, 8, 2);
    cr_assert_eq(GPR(r->cpu, R_DI), 0x2346);
    cr_assert_eq(GPR(r->cpu, R_CX), ~0ull - (0x2346 - 0x10));
    cr_assert_eq(r->tc->fl, TCG_FL_Z | TCG_FL_P);
    GPR(r->cpu, R_AX) = 'x';
    regs(0, 0x2340, 100);
    rep(STR_SCAS, 1, 8, 1);           /* stops at the difference: 'x' - 0 */
    cr_assert_eq(GPR(r->cpu, R_DI), 0x2346);
    cr_assert_eq(r->tc->fl & (TCG_FL_Z | TCG_FL_C), 0);
}

Test(string, cmps_stops_at_first_difference)
{
    pattern();
    memcpy(r->ram + 0x5ffe, r->ram + 0x1001, 0x800);
    r->ram[0x5ffe + 0x402] ^= 0x80;
    regs(0x1001, 0x5ffe, 0x200);
    rep(STR_CMPS, 4, 8, 1);
    cr_assert_eq(GPR(r->cpu, R_CX), 0x200 - 0x101);
    cr_assert_eq(GPR(r->cpu, R_SI), 0x1001 + 0x404);
    cr_assert_eq(r->tc->fl & TCG_FL_Z, 0);
}

Test(string, backward_scan)
{
    memset(r->ram, 'a', 0x3000);
    r->ram[0xfff] = 'b';
    GPR(r->cpu, R_AX) = 'b';
    r->cpu->df = -1;
    regs(0, 0x1800, 0x1000);
    rep(STR_SCAS, 1, 8, 2);
    cr_assert_eq(GPR(r->cpu, R_DI), 0xffe);
}

Test(string, address_size_16_wraps_and_keeps_upper_bits)
{
    hr_code16(r, 0);
    r->cpu->mode |= MODE_FLAT_DATA;
    pattern();
    GPR(r->cpu, R_AX) = 0x5a;
    regs(0xaaaa0000, 0xbbbbdffe, 0xcccc0002);
    rep(STR_STOS, 1, 2, 1);
    cr_assert_eq(GPR(r->cpu, R_DI), 0xbbbbe000);
    cr_assert_eq(GPR(r->cpu, R_CX), 0xcccc0000);
    cr_assert_eq(r->ram[0xdfff], 0x5a);
    r->cpu->df = -1;                  /* 0 - 1 wraps to ffff: the device */
    regs(0, 0xbbbb0000, 2);
    rep(STR_STOS, 1, 2, 1);
    cr_assert_eq(GPR(r->cpu, R_DI), 0xbbbbfffe);
    cr_assert_eq(r->device[0xfff], 0x5a);
}

Test(string, segment_limit_stops_and_raises)
{
    hr_code16(r, 0x100);
    r->cpu->seg[S_ES].hi_w = 0x1fff;
    GPR(r->cpu, R_AX) = 0x77;
    regs(0, 0x1ffc, 10);
    h_rep_string(r->tc, what(STR_STOS, 2, 2), 1, 0);
    cr_assert_eq(hr_exception(r), EXC_GP);
    cr_assert_eq(GPR(r->cpu, R_CX), 8);
    cr_assert_eq(GPR(r->cpu, R_DI), 0x2000);
    cr_assert_eq(r->ram[0x20fe], 0x77);
    cr_assert_eq(r->ram[0x2100], 0);
}

Test(string, device_memory_goes_element_by_element)
{
    pattern();
    regs(0x1000, HR_MMIO, 0x800);
    cr_assert_gt(rep(STR_MOVS, 1, 8, 1), 1);
    cr_assert_eq(memcmp(r->device, r->ram + 0x1000, 0x800), 0);
    regs(HR_MMIO, 0x3000, 0x100);
    rep(STR_MOVS, 8, 8, 1);
    cr_assert_eq(memcmp(r->device, r->ram + 0x3000, 0x800), 0);
}

Test(string, lods_keeps_the_last)
{
    pattern();
    GPR(r->cpu, R_AX) = ~0ull;
    regs(0x100, 0, 5);
    rep(STR_LODS, 2, 8, 1);
    cr_assert_eq(GPR(r->cpu, R_AX), 0xffffffffffff0000 | ldl16(r->ram + 0x108));
    cr_assert_eq(GPR(r->cpu, R_SI), 0x10a);
}

/* as hr_port_in() gives them, up to seven at once; after twenty there is an interrupt */
static unsigned port_in_string(void *opaque, uint16_t port, unsigned size, void *buf, unsigned n)
{
    unsigned done = 0;

    while (done < n && done < 7 && r->port_count < 20) {
        uint64_t v = ++r->port_count;
        memcpy((uint8_t *)buf + done++ * size, &v, size);
    }
    if (done && r->port_count == 20)
        r->tc->run = 0;
    return done;
}

Test(string, ins_takes_what_the_port_has)
{
    r->bus.port_in_string = port_in_string;
    GPR(r->cpu, R_DX) = 0x1f0;
    regs(0, 0xff0, 100);              /* over a page's end */
    cr_assert_eq(h_rep_string(r->tc, what(STR_INS, 4, 8), 1, 0), 1, "left for the interrupt");
    cr_assert_eq(r->port_count, 20);
    cr_assert_eq(GPR(r->cpu, R_CX), 80);
    cr_assert_eq(GPR(r->cpu, R_DI), 0xff0 + 20 * 4);
    cr_assert_eq(ldl32(r->ram + 0xff0 + 20 * 4), 0, "no further");
    r->tc->run = 1;
    cr_assert_eq(h_rep_string(r->tc, what(STR_INS, 4, 8), 1, 0), 0, "one by one, if need be");
    for (unsigned i = 0; i < 100; i++)
        cr_assert_eq(ldl32(r->ram + 0xff0 + i * 4), i + 1);
    r->port_count = 0;
    r->cpu->df = -1;
    regs(0, 0x2010, 3);
    rep(STR_INS, 2, 8, 1);
    cr_assert_eq(ldl64(r->ram + 0x200c), 0x0000000100020003);
    r->cpu->df = 1;
    regs(0, HR_RO, 1);
    h_rep_string(r->tc, what(STR_INS, 2, 8), 1, 0);
    cr_assert_eq(hr_exception(r), EXC_PF);
    cr_assert_eq(r->port_count, 3, "nothing is taken from the port");
}

/* whatever the port has */
Test(string, ins_stays_in_the_segment)
{
    hr_code16(r, 0x1000);
    r->bus.port_in_string = port_in_string;
    regs(0, 0x1ffc, 4);
    r->cpu->seg[S_ES].limit = r->cpu->seg[S_ES].hi_w = 0x1fff;
    h_rep_string(r->tc, what(STR_INS, 2, 2), 1, 0);
    cr_assert_eq(hr_exception(r), EXC_GP);
    cr_assert_eq(r->port_count, 2);
    cr_assert_eq(GPR(r->cpu, R_CX), 2);
    cr_assert_eq(GPR(r->cpu, R_DI), 0x2000);
}

Test(string, ports)
{
    GPR(r->cpu, R_DX) = 0x1f0;
    regs(0, 0x500, 4);
    rep(STR_INS, 2, 8, 1);
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(ldl16(r->ram + 0x500 + i * 2), i + 1);
    regs(0, HR_RO, 1);                /* nothing is taken from the port */
    h_rep_string(r->tc, what(STR_INS, 2, 8), 1, 0);
    cr_assert_eq(hr_exception(r), EXC_PF);
    cr_assert_eq(r->port_count, 4);
    regs(0x504, 0, 1);
    cr_assert_eq(h_string1(r->tc, what(STR_OUTS, 4, 8), 0, 0), 0);
    cr_assert_eq(r->port_last, 0x40003);
    cr_assert_eq(r->port_size, 4);
    cr_assert_eq(GPR(r->cpu, R_SI), 0x508);
    cr_assert_eq(GPR(r->cpu, R_CX), 1);
}
