/* Page walks in all formats: permissions, reserved bits, accessed and dirty bits */
#include "tests/target-x86/sys-rig.h"

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
#define NX BIT(63)

static bool walk(struct sys_rig *r, uint64_t va, enum tcg_access acc, bool user, struct tcg_fill *f)
{
    return x86_walk(r->tc, va, acc, user, false, f) == FILL_OK;
}

static void expect_pf(struct sys_rig *r, uint64_t va, enum tcg_access acc, bool user, uint32_t err)
{
    struct tcg_fill f;

    cr_assert_not(walk(r, va, acc, user, &f), "no fault at %#llx", (unsigned long long)va);
    cr_assert_eq(r->cpu->exc_cr2, va);
    sr_expect(r, EXC_PF, err);
}

static uint64_t pte(struct sys_rig *r, unsigned level, uint64_t va)
{
    uint64_t at = SR_TABLES;

    for (unsigned i = 0; i < level; i++)
        at = ldl64(r->ram + at + (va >> (39 - 9 * i) & 511) * 8) & 0xffffffffff000;
    return ldl64(r->ram + at + (va >> (39 - 9 * level) & 511) * 8);
}

Test(mmu, without_paging)
{
    struct sys_rig *r = sr_protected();
    struct tcg_fill f;

    cr_assert(walk(r, 0x100123456, ACC_WRITE, true, &f));
    cr_assert_eq(f.gpa, 0x123456);
    cr_assert(f.writable && f.readable && f.executable);
    r->a20 = ~(uint64_t)BIT(20);
    cr_assert(walk(r, 0x123456, ACC_READ, true, &f));
    cr_assert_eq(f.gpa, 0x023456);
    cr_assert_eq(f.page_shift, 12, "a larger page would hide the mask");
    sr_free(r);
}

Test(mmu, long_mode_a_and_d_bits)
{
    struct sys_rig *r = sr_long();
    struct tcg_fill f;

    cr_assert(walk(r, 0x7123, ACC_READ, false, &f));
    cr_assert_eq(f.gpa, 0x7123);
    cr_assert_not(f.writable, "not dirty yet");
    cr_assert_eq(pte(r, 3, 0x7000) & (A | D), A);
    cr_assert_eq(pte(r, 0, 0x7000) & A, A);
    cr_assert(walk(r, 0x7123, ACC_WRITE, false, &f));
    cr_assert(f.writable);
    cr_assert_eq(pte(r, 3, 0x7000) & (A | D), A | D);
    cr_assert_eq(pte(r, 2, 0x7000) & D, 0, "D only in the last entry");
    sr_free(r);
}

Test(mmu, failed_walk_sets_no_bits)
{
    struct sys_rig *r = sr_long();

    sr_map(r, 0x200000, 0x7000, P);
    expect_pf(r, 0x200000, ACC_READ, true, PF_P | PF_U);
    cr_assert_eq(pte(r, 3, 0x200000) & A, 0);
    sr_free(r);
}

Test(mmu, error_codes)
{
    struct sys_rig *r = sr_long();

    sr_map(r, 0x200000, 0x7000, P);                 /* supervisor, read-only */
    sr_map(r, 0x201000, 0x7000, P | U | NX);
    expect_pf(r, 0x300000, ACC_READ, false, 0);
    expect_pf(r, 0x300000, ACC_WRITE, true, PF_W | PF_U);
    expect_pf(r, 0x300000, ACC_EXEC, true, PF_U | PF_I);
    expect_pf(r, 0x200000, ACC_READ, true, PF_P | PF_U);
    expect_pf(r, 0x200000, ACC_WRITE, false, PF_P | PF_W);
    expect_pf(r, 0x201000, ACC_WRITE, true, PF_P | PF_W | PF_U);
    expect_pf(r, 0x201000, ACC_EXEC, true, PF_P | PF_U | PF_I);
    sr_free(r);
}

static void set_entry(struct sys_rig *r, unsigned level, uint64_t va, uint64_t flags)
{
    uint64_t at = SR_TABLES;
    uint8_t *e;

    for (unsigned i = 0; i < level; i++)
        at = ldl64(r->ram + at + (va >> (39 - 9 * i) & 511) * 8) & 0xffffffffff000;
    e = r->ram + at + (va >> (39 - 9 * level) & 511) * 8;
    stl64(e, (ldl64(e) & 0xffffffffff000) | flags);
}

/* The second walk of 2 MiB begins at their page table: rights of all levels count as in the first. */
Test(mmu, known_tables_have_their_rights)
{
    static const uint64_t rights[] = { P | W | U, P | U, P | W, P | W | U | NX };
    struct sys_rig *r = sr_long();
    struct tcg_fill f;

    sr_map(r, 0x200000, 0x7000, P | W | U | A | D);
    sr_map(r, 0x201000, 0x8000, P | W | U | A | D);
    for (unsigned n = 0; n < 64 * 12; n++) {
        enum tcg_access acc = n / 64 % 3;
        bool user = n / 192, ok;
        uint32_t error;

        for (unsigned level = 0; level < 3; level++)
            set_entry(r, level, 0x200000, rights[n >> level * 2 & 3] | A);
        tcg_mmu_flush(r->tc, true);
        ok = walk(r, 0x201000, acc, user, &f);
        error = r->cpu->exc_error;
        sr_exception(r);
        tcg_mmu_flush(r->tc, true);
        if (!walk(r, 0x200000, ACC_READ, false, &f))
            cr_assert(false, "the supervisor may read");
        cr_assert_eq(walk(r, 0x201000, acc, user, &f), ok, "case %u", n);
        if (ok)
            cr_assert_eq(f.gpa, 0x8000);
        else
            cr_assert_eq(r->cpu->exc_error, error, "case %u", n);
        sr_exception(r);
    }
    sr_free(r);
}

/* What INVLPG, MOV CR3 and the others forget is not only what the page maps have. */
Test(mmu, flushes_forget_known_tables)
{
    struct sys_rig *r = sr_long();
    struct tcg_fill f;

    sr_map(r, 0x200000, 0x7000, P | W | U);
    for (unsigned how = 0; how < 5; how++) {
        set_entry(r, 2, 0x200000, P | W | U);
        tcg_mmu_flush(r->tc, true);
        cr_assert(walk(r, 0x200000, ACC_READ, true, &f));
        set_entry(r, 2, 0x200000, 0);
        switch (how) {
        case 0: h_invlpg(r->tc, 0x5000, 0, 0); break;       /* of any page */
        case 1: h_mov_to_cr(r->tc, 3, r->cpu->cr3, 0); break;
        case 2: tcg_mmu_flush_tag(r->tc, 0); break;
        case 3: tcg_mmu_flush_tag_page(r->tc, 0, 0x200000); break;
        default: tcg_mmu_flush(r->tc, false); break;
        }
        expect_pf(r, 0x200000, ACC_READ, true, PF_U);
    }
    sr_free(r);
}

/* A bits of the upper levels are set again after a flush, and a table that is not there is no known one. */
Test(mmu, known_tables_have_been_accessed)
{
    struct sys_rig *r = sr_long();
    struct tcg_fill f;

    sr_map(r, 0x200000, 0x7000, P | W | U);
    set_entry(r, 2, 0x200000, 0);
    expect_pf(r, 0x200000, ACC_READ, true, PF_U);
    set_entry(r, 2, 0x200000, P | W | U);
    cr_assert(walk(r, 0x200000, ACC_READ, true, &f), "needs no flush");
    cr_assert_eq(pte(r, 2, 0x200000) & A, A);
    set_entry(r, 2, 0x200000, P | W | U);
    h_invlpg(r->tc, 0x200000, 0, 0);
    cr_assert(walk(r, 0x200000, ACC_READ, true, &f));
    cr_assert_eq(pte(r, 2, 0x200000) & A, A);
    sr_free(r);
}

Test(mmu, wp_off_lets_the_supervisor_write)
{
    struct sys_rig *r = sr_long();
    struct tcg_fill f;

    sr_map(r, 0x200000, 0x7000, P | U);
    r->cpu->cr0 &= ~(uint64_t)CR0_WP;
    cr_assert(walk(r, 0x200000, ACC_WRITE, false, &f));
    cr_assert(f.writable);
    expect_pf(r, 0x200000, ACC_WRITE, true, PF_P | PF_W | PF_U);
    sr_free(r);
}

Test(mmu, smep_and_smap)
{
    struct sys_rig *r = sr_long();
    struct tcg_fill f;

    r->cpu->cr4 |= CR4_SMEP | CR4_SMAP;
    expect_pf(r, 0x7000, ACC_EXEC, false, PF_P | PF_I);
    cr_assert(walk(r, 0x7000, ACC_EXEC, true, &f));
    expect_pf(r, 0x7000, ACC_READ, false, PF_P);
    expect_pf(r, 0x7000, ACC_WRITE, false, PF_P | PF_W);
    r->cpu->eflags |= EF_AC;
    cr_assert(walk(r, 0x7000, ACC_READ, false, &f));
    r->cpu->implicit = true;
    expect_pf(r, 0x7000, ACC_READ, false, PF_P);
    r->cpu->implicit = false;
    r->cpu->cpl = 3;
    expect_pf(r, 0x7000, ACC_READ, false, PF_P);    /* AC counts below CPL 3 only */
    sr_free(r);
}

Test(mmu, descriptor_access_ignores_ac)
{
    struct sys_rig *r = sr_long();
    uint64_t v;

    r->cpu->cr4 |= CR4_SMAP;
    r->cpu->eflags |= EF_AC;
    x86_update_mode(r->cpu);
    cr_assert(tcg_load(r->tc, 0x7000, 8, &v));
    cr_assert_not(x86_sys_load(r->cpu, 0x7000, 8, &v));
    sr_expect(r, EXC_PF, PF_P);
    sr_free(r);
}

Test(mmu, reserved_bits)
{
    struct sys_rig *r = sr_long();

    sr_map(r, 0x200000, 0x7000 | BIT(45), P | W | U);
    expect_pf(r, 0x200000, ACC_READ, false, PF_P | PF_RSVD);
    sr_map(r, 0x201000, 0x7000, P | W | U | NX);
    r->cpu->efer &= ~(uint64_t)EFER_NXE;
    expect_pf(r, 0x201000, ACC_READ, true, PF_P | PF_RSVD | PF_U);
    stl64(r->ram + SR_TABLES + 8, P | PS | 0x20000);      /* PML4E with bit 7 */
    expect_pf(r, BIT(39), ACC_READ, false, PF_P | PF_RSVD);
    sr_free(r);
}

Test(mmu, large_pages)
{
    struct sys_rig *r = sr_long();
    struct tcg_fill f;
    uint64_t pdpt = SR_TABLES + 0x1000, pd = SR_TABLES + 0x2000;

    r->cpu->cr4 |= CR4_PGE;
    stl64(r->ram + pd + 8 * 8, 0x40000000 | P | W | PS | G);
    cr_assert(walk(r, 0x1012345, ACC_WRITE, false, &f));
    cr_assert_eq(f.gpa, 0x40012345);
    cr_assert_eq(f.page_shift, 21);
    cr_assert(f.global && f.writable);
    cr_assert(ldl64(r->ram + pd + 8 * 8) & D);
    stl64(r->ram + pd + 9 * 8, 0x40002000 | P | W | PS);
    expect_pf(r, 9 << 21, ACC_READ, false, PF_P | PF_RSVD);
    stl64(r->ram + pdpt + 8, 0x80000000 | P | W | PS);
    cr_assert(walk(r, 0x4abcdef0, ACC_READ, false, &f));
    cr_assert_eq(f.gpa, 0x8abcdef0);
    cr_assert_eq(f.page_shift, 30);
    sr_free(r);
}

static struct sys_rig *paging32(uint64_t cr4)
{
    struct sys_rig *r = sr_protected();

    r->cpu->cr3 = SR_TABLES;
    r->cpu->cr4 = cr4;
    r->cpu->cr0 |= CR0_PG | CR0_WP;
    return r;
}

Test(mmu, two_level_and_pse36)
{
    struct sys_rig *r = paging32(CR4_PSE);
    struct tcg_fill f;

    stl32(r->ram + SR_TABLES + 4, (SR_TABLES + 0x1000) | P | W | U);
    stl32(r->ram + SR_TABLES + 0x1000 + 4, 0x7000 | P | W | U);
    cr_assert(walk(r, 0x401234, ACC_WRITE, true, &f));
    cr_assert_eq(f.gpa, 0x7234);
    cr_assert_eq(ldl32(r->ram + SR_TABLES + 0x1000 + 4), 0x7000 | P | W | U | A | D);
    stl32(r->ram + SR_TABLES + 8, 0x00c00000 | 0x12 << 13 | P | W | PS);
    cr_assert(walk(r, 0x00812345, ACC_READ, false, &f));
    cr_assert_eq(f.gpa, 0x1200c12345);
    cr_assert_eq(f.page_shift, 22);
    stl32(r->ram + SR_TABLES + 8, 0x00c00000 | 1 << 21 | P | PS);
    expect_pf(r, 0x00800000, ACC_READ, false, PF_P | PF_RSVD);
    expect_pf(r, 0x00c00000, ACC_EXEC, true, PF_U);      /* no NX, no SMEP: I stays 0 */
    sr_free(r);
}

Test(mmu, pae)
{
    struct sys_rig *r = paging32(CR4_PAE);
    struct tcg_fill f;

    stl64(r->ram + SR_TABLES + 8, (SR_TABLES + 0x1000) | P);
    stl64(r->ram + SR_TABLES + 0x1000, (SR_TABLES + 0x2000) | P | W | U);
    stl64(r->ram + SR_TABLES + 0x2000, 0x7000 | P | W | U);
    cr_assert(x86_load_pdptes(r->cpu, SR_TABLES));
    cr_assert(walk(r, 0x40000abc, ACC_READ, true, &f));
    cr_assert_eq(f.gpa, 0x7abc);
    expect_pf(r, 0, ACC_READ, false, 0);
    stl64(r->ram + SR_TABLES + 0x2000, 0x7000 | P | BIT(55));
    expect_pf(r, 0x40000000, ACC_READ, false, PF_P | PF_RSVD);
    stl64(r->ram + SR_TABLES + 16, 0x1000 | P | 2);       /* reserved bit in a PDPTE */
    cr_assert_not(x86_load_pdptes(r->cpu, SR_TABLES));
    h_mov_to_cr(r->tc, 3, SR_TABLES, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(mmu, debug_walk_has_no_effects)
{
    struct sys_rig *r = sr_long();
    gpa_t gpa;

    cr_assert(x86_debug_walk(r->cpu, 0x7fff, &gpa));
    cr_assert_eq(gpa, 0x7fff);
    cr_assert_eq(pte(r, 3, 0x7000) & A, 0);
    cr_assert_not(x86_debug_walk(r->cpu, 0x300000, &gpa));
    cr_assert_not(x86_debug_walk(r->cpu, 0x800000000000, &gpa));
    cr_assert_eq(sr_exception(r), -1);
    sr_free(r);
}

/* ---- control registers -------------------------------------------------------------------- */

Test(cr, illegal_values)
{
    struct sys_rig *r = sr_protected();

    h_mov_to_cr(r->tc, 0, CR0_PG, 0);
    sr_expect(r, EXC_GP, 0);                        /* PG without PE */
    h_mov_to_cr(r->tc, 0, CR0_PE | CR0_NW, 0);
    sr_expect(r, EXC_GP, 0);
    h_mov_to_cr(r->tc, 4, CR4_LA57, 0);
    sr_expect(r, EXC_GP, 0);
    h_mov_to_cr(r->tc, 4, CR4_PCIDE, 0);
    sr_expect(r, EXC_GP, 0);                        /* not in long mode */
    h_mov_to_cr(r->tc, 8, 16, 0);
    sr_expect(r, EXC_GP, 0);
    h_mov_to_cr(r->tc, 1, 0, 0);
    cr_assert_eq(sr_exception(r), EXC_UD);
    cr_assert_eq(h_mov_to_cr(r->tc, 8, 5, 0), 1);
    cr_assert_eq(r->tpr, 0x50);
    cr_assert_eq(h_mov_from_cr(r->tc, 8, 0, 0), 5);
    sr_cpl(r, 3);
    h_mov_from_cr(r->tc, 0, 0, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(cr, way_into_long_mode)
{
    struct sys_rig *r = sr_protected();

    for (unsigned p = 0; p < SR_BYTES; p += 4096)
        sr_map(r, p, p, 7);
    GPR(r->cpu, R_CX) = 0xc0000080;
    GPR(r->cpu, R_AX) = EFER_LME;
    GPR(r->cpu, R_DX) = 0;
    cr_assert_eq(h_wrmsr(r->tc, 0, 0, 0), 1);
    h_mov_to_cr(r->tc, 3, SR_TABLES, 0);
    h_mov_to_cr(r->tc, 0, CR0_PE | CR0_PG, 0);
    sr_expect(r, EXC_GP, 0);                        /* needs PAE */
    cr_assert_eq(h_mov_to_cr(r->tc, 4, CR4_PAE, 0), 1);
    cr_assert_eq(h_mov_to_cr(r->tc, 0, CR0_PE | CR0_PG, 0), 1);
    cr_assert_eq(r->cpu->efer, EFER_LME | EFER_LMA);
    cr_assert(r->cpu->mode & MODE_LONG);
    cr_assert_eq(r->cpu->mode & MODE_CODE_MASK, MODE_CODE32);
    cr_assert_eq(h_jmp_far(r->tc, SEL_CODE64, 0x1000, 4ull << 32), 1);
    cr_assert_eq(r->cpu->mode & MODE_CODE_MASK, MODE_CODE64);
    h_mov_to_cr(r->tc, 4, 0, 0);
    sr_expect(r, EXC_GP, 0);                        /* PAE stays */
    h_mov_to_cr(r->tc, 0, CR0_PE, 0);
    sr_expect(r, EXC_GP, 0);                        /* PG stays in 64-bit code */
    h_mov_to_cr(r->tc, 3, BIT(50), 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(cr, pcid)
{
    struct sys_rig *r = sr_long();
    uint64_t v;

    cr_assert_eq(h_mov_to_cr(r->tc, 4, r->cpu->cr4 | CR4_PCIDE, 0), 1);
    sr_map(r, 0x200000, 0x7000, 7);
    stl64(r->ram + 0x7000, 77);
    stl64(r->ram + 0x9000, 99);
    cr_assert_eq(h_mov_to_cr(r->tc, 3, SR_TABLES | 5, 0), 1);
    cr_assert(tcg_load(r->tc, 0x200000, 8, &v) && v == 77);
    cr_assert_eq(h_mov_to_cr(r->tc, 3, SR_TABLES | 6, 0), 1);
    sr_map(r, 0x200000, 0x9000, 7);
    cr_assert(tcg_load(r->tc, 0x200000, 8, &v) && v == 99);
    cr_assert_eq(h_mov_to_cr(r->tc, 3, SR_TABLES | 5, 0), 1);   /* flushes tag 5 */
    cr_assert(tcg_load(r->tc, 0x200000, 8, &v) && v == 99);
    cr_assert_eq(r->cpu->cr3, SR_TABLES | 5);
    cr_assert_eq(h_mov_to_cr(r->tc, 3, BIT(63) | SR_TABLES | 5, 0), 1);
    cr_assert_eq(r->cpu->cr3, SR_TABLES | 5, "bit 63 is not kept");
    stl64(r->ram + 0x7100, 5);
    stl64(r->ram + 0x7108, 0x200000);
    cr_assert_eq(h_invpcid(r->tc, 0, 0x7100, 0), 1);
    stl64(r->ram + 0x7100, 0x1000);
    h_invpcid(r->tc, 0, 0x7100, 0);
    sr_expect(r, EXC_GP, 0);
    h_invpcid(r->tc, 4, 0x7100, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(cr, debug_registers)
{
    struct sys_rig *r = sr_protected();

    cr_assert_eq(h_mov_to_dr(r->tc, 4, 0, 0), 1);
    cr_assert_eq(sr_exception(r), -1, "DR4 is DR6 while CR4.DE is 0");
    h_mov_to_cr(r->tc, 4, CR4_DE, 0);
    h_mov_from_dr(r->tc, 5, 0, 0);
    cr_assert_eq(sr_exception(r), EXC_UD);
    h_mov_to_dr(r->tc, 7, DR7_GD, 0);
    h_mov_from_dr(r->tc, 0, 0, 0);
    cr_assert_eq(r->tc->exception, EXC_DB + 1);
    sr_deliver(r);
    cr_assert(r->cpu->dr[6] & DR6_BD);
    cr_assert_not(r->cpu->dr[7] & DR7_GD, "GD is cleared on the way to the handler");
    sr_free(r);
}

Test(cr, xcr0)
{
    struct sys_rig *r = sr_protected();

    GPR(r->cpu, R_CX) = GPR(r->cpu, R_DX) = 0;
    GPR(r->cpu, R_AX) = 3;
    h_xsetbv(r->tc, 0, 0, 0);
    cr_assert_eq(sr_exception(r), EXC_UD);
    h_mov_to_cr(r->tc, 4, CR4_OSXSAVE, 0);
    h_xsetbv(r->tc, 0, 0, 0);
    cr_assert_eq(sr_exception(r), -1);
    cr_assert_eq(r->cpu->xcr0, 3);
    GPR(r->cpu, R_AX) = 2;
    h_xsetbv(r->tc, 0, 0, 0);
    sr_expect(r, EXC_GP, 0);
    GPR(r->cpu, R_AX) = 5;
    h_xsetbv(r->tc, 0, 0, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(cr, lmsw_cannot_leave_protected_mode)
{
    struct sys_rig *r = sr_protected();

    cr_assert_eq(h_lmsw(r->tc, 0, CR0_TS, 0), 1);
    cr_assert(r->cpu->cr0 & CR0_PE);
    cr_assert(r->cpu->mode & MODE_TS);
    h_clts(r->tc, 0, 0, 0);
    cr_assert_not(r->cpu->mode & MODE_TS);
    sr_free(r);
}
