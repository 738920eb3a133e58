/* What a public test suite found: non-canonical addresses, held-back debug traps, segments that
 * a return to an outer level drops, the APIC bit of CPUID */
#include "tests/target-x86/sys-rig.h"

/* ---- non-canonical addresses ----------------------------------------------------------------- */

#define NOT_CANONICAL 0x800000000000ull

static void access_with(struct sys_rig *r, const char *code, size_t n, unsigned vector)
{
    uint64_t v;

    sr_cpl(r, 0);
    x86_set_pc(r->cpu, SR_CODE);
    memcpy(r->ram + SR_CODE, code, n);
    cr_assert_not(tcg_load(r->tc, NOT_CANONICAL, 8, &v));
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, SR_HANDLER + vector, "%02x %02x: handler %#llx", code[0] & 0xff,
                 code[1] & 0xff, (unsigned long long)r->tc->pc);
}
#define ACCESS(code, vector) access_with(r, code, sizeof code - 1, vector)

Test(canonical, stack_segment_is_ss)
{
    struct sys_rig *r = sr_long();

    ACCESS("\x48\x8b\x00", EXC_GP);              /* mov rax, [rax] */
    ACCESS("\x48\x8b\x04\x24", EXC_SS);          /* mov rax, [rsp] */
    ACCESS("\x48\x8b\x45\x00", EXC_SS);          /* mov rax, [rbp] */
    ACCESS("\x64\x48\x8b\x45\x00", EXC_GP);      /* mov rax, fs:[rbp] */
    ACCESS("\x48\x8b\x04\x05\0\0\0\0", EXC_GP);  /* mov rax, [0 + rax] */
    ACCESS("\x50\x90", EXC_SS);                  /* push rax */
    ACCESS("\xc3\x90", EXC_SS);                  /* ret */
    ACCESS("\xff\x30", EXC_GP);                  /* push [rax]: the operand, RSP is far away */
    sr_free(r);
}

Test(canonical, push_of_memory_with_bad_stack)
{
    struct sys_rig *r = sr_long();

    sr_cpl(r, 0);
    x86_set_pc(r->cpu, SR_CODE);
    memcpy(r->ram + SR_CODE, "\xff\x30", 2);
    GPR(r->cpu, R_SP) = NOT_CANONICAL + 8;
    cr_assert(x86_stack_access(r->cpu, NOT_CANONICAL));
    cr_assert_not(x86_stack_access(r->cpu, NOT_CANONICAL << 1));
    sr_free(r);
}

Test(canonical, branch_target)
{
    struct sys_rig *r = sr_long();

    h_seg_check(r->tc, NOT_CANONICAL, SEG_CHECK_CANONICAL, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

/* ---- debug traps -------------------------------------------------------------------------------- */

static void watch(struct sys_rig *r)
{
    h_mov_to_dr(r->tc, 0, 0x7000, 0);
    h_mov_to_dr(r->tc, 7, 2 | 3u << 16 | 3u << 18, 0);       /* DR0: read or write, 4 bytes */
    h_dr_check(r->tc, 0x7000, 4, 0);
    h_mov_seg(r->tc, S_SS, SEL_DATA, 0);
    h_step_end(r->tc, MODE_DR, 0, 0);
    x86_service(r->tc);
    cr_assert_eq(r->tc->pc, SR_CODE, "MOV SS holds the trap back");
}

Test(debug, mov_ss_and_int1_make_one_trap)
{
    struct sys_rig *r = sr_protected();

    x86_set_pc(r->cpu, SR_CODE);
    watch(r);
    h_int(r->tc, EXC_DB, 1, 3);
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_DB);
    cr_assert_eq(r->cpu->dr[6] & 0xf, 1);
    cr_assert_not(r->cpu->tf_trap);
    sr_free(r);
}

Test(debug, mov_ss_and_int3_trap_in_the_handler)
{
    struct sys_rig *r = sr_protected();

    x86_set_pc(r->cpu, SR_CODE);
    sr_idt(r, EXC_BP, SEL_CODE, SR_HANDLER + EXC_BP, 0xee);
    watch(r);
    h_int(r->tc, EXC_BP, 1, 1);
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_DB);
    cr_assert_eq(sr_stack32(r, 0), SR_HANDLER + EXC_BP, "at the handler's first instruction");
    sr_free(r);
}

Test(debug, stepping_over_hlt_ends_it)
{
    struct sys_rig *r = sr_protected();

    x86_set_eflags(r->cpu, EF_TF);
    h_hlt(r->tc, 0, 0, 0);
    h_step_end(r->tc, r->cpu->mode, 0, 0);
    cr_assert(x86_service(r->tc));
    cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_DB);
    cr_assert_not(r->cpu->halted);
    cr_assert_eq(r->halts, 0);
    sr_free(r);
}

Test(debug, syscall_masks_the_step_and_sysret_brings_it)
{
    struct sys_rig *r = sr_long();

    r->cpu->efer |= EFER_SCE;
    r->cpu->star = (uint64_t)(SEL_CODE64 - 0) << 32 | (uint64_t)SEL_CODE << 48;
    r->cpu->lstar = SR_CODE + 0x100;
    r->cpu->sfmask = EF_TF;
    sr_cpl(r, 3);
    x86_set_eflags(r->cpu, EF_TF);
    h_syscall(r->tc, 0, 0, 2);
    h_step_end(r->tc, MODE_TF, 0, 0);
    cr_assert_not(r->cpu->tf_trap);
    cr_assert(GPR(r->cpu, 11) & EF_TF);
    GPR(r->cpu, R_CX) = SR_CODE + 0x200;
    h_sysret(r->tc, 8, 0, 0);
    cr_assert_eq(r->tc->run, 0);
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_DB);
    cr_assert_eq(ldl64(r->ram + GPR(r->cpu, R_SP)), SR_CODE + 0x200, "before its first instruction");
    sr_free(r);
}

Test(debug, no_instruction_breakpoint_behind_mov_ss)
{
    struct sys_rig *r = sr_protected();

    h_mov_to_dr(r->tc, 0, 0x7000, 0);
    h_mov_to_dr(r->tc, 7, 2, 0);
    h_mov_seg(r->tc, S_SS, SEL_DATA, 0);
    h_dr_check(r->tc, 0x7000, 1 << 9, 0);
    cr_assert_eq(sr_exception(r), -1);
    h_step_end(r->tc, r->cpu->mode, 0, 0);
    h_dr_check(r->tc, 0x7000, 1 << 9, 0);
    cr_assert_eq(sr_exception(r), EXC_DB);
    memcpy(r->model.vendor, "AuthenticAMD", 13);
    h_mov_seg(r->tc, S_SS, SEL_DATA, 0);
    h_dr_check(r->tc, 0x7000, 1 << 9, 0);
    cr_assert_eq(sr_exception(r), EXC_DB);
    sr_free(r);
}

Test(align, mode_and_check)
{
    struct sys_rig *r = sr_protected();

    r->cpu->cr0 |= CR0_AM;
    x86_set_eflags(r->cpu, EF_AC);
    cr_assert_not(r->cpu->mode & MODE_AC, "CPL 0");
    sr_cpl(r, 3);
    cr_assert(r->cpu->mode & MODE_AC);
    h_align_check(r->tc, 0x7004, 4, 0);
    cr_assert_eq(sr_exception(r), -1);
    h_align_check(r->tc, 0x7002, 4 | 1 << 8, 0);
    sr_expect(r, EXC_AC, 0);
    r->cpu->cr0 &= ~(uint64_t)CR0_AM;
    x86_update_mode(r->cpu);
    cr_assert_not(r->cpu->mode & MODE_AC);
    sr_free(r);
}

/* ---- protection keys ------------------------------------------------------------------------------ */

/* one page at 0x200000 with key 2, and its rights */
static struct sys_rig *keyed(uint64_t pte_bits)
{
    struct sys_rig *r = sr_long();
    uint64_t pml4 = r->cpu->cr3, pdpt = ldl64(r->ram + pml4) & ~0xfffull;
    uint64_t pd = ldl64(r->ram + pdpt) & ~0xfffull;

    stl64(r->ram + pml4, ldl64(r->ram + pml4) | 7);
    stl64(r->ram + pdpt, ldl64(r->ram + pdpt) | 7);
    stl64(r->ram + pd + 8, 0x80 | 3 | pte_bits | 2ull << 59);
    r->cpu->cr4 |= CR4_PKE | CR4_PKS;
    r->cpu->cr0 |= CR0_WP;
    return r;
}

static int access_key(struct sys_rig *r, enum tcg_access acc, bool user)
{
    struct tcg_fill f;

    r->tc->exception = 0;
    if (x86_walk(r->tc, 0x200000, acc, user, false, &f) == FILL_OK)
        return 0;
    r->tc->exception = 0;
    return r->cpu->exc_error;
}

Test(keys, user_pages_obey_pkru)
{
    struct sys_rig *r = keyed(4);

    cr_assert_eq(access_key(r, ACC_WRITE, true), 0);
    r->cpu->pkrs = ~0u;
    cr_assert_eq(access_key(r, ACC_WRITE, true), 0, "PKRS is for supervisor pages");
    x86_set_pkru(r->cpu, 2u << 4);                    /* no writes */
    cr_assert_eq(access_key(r, ACC_READ, true), 0);
    cr_assert_eq(access_key(r, ACC_WRITE, true), PF_P | PF_W | PF_U | PF_PK);
    cr_assert_eq(access_key(r, ACC_WRITE, false), PF_P | PF_W | PF_PK);
    r->cpu->cr0 &= ~(uint64_t)CR0_WP;
    cr_assert_eq(access_key(r, ACC_WRITE, false), 0);
    x86_set_pkru(r->cpu, 1u << 4);                    /* nothing but fetches */
    cr_assert_eq(access_key(r, ACC_READ, false), PF_P | PF_PK);
    cr_assert_eq(access_key(r, ACC_EXEC, true), 0);
    sr_free(r);
}

Test(keys, supervisor_pages_obey_pkrs)
{
    struct sys_rig *r = keyed(0);

    x86_set_pkru(r->cpu, ~0u);
    cr_assert_eq(access_key(r, ACC_WRITE, false), 0);
    cr_assert_not(x86_msr_write(r->cpu, 0x6e1, BIT(32)));
    cr_assert(x86_msr_write(r->cpu, 0x6e1, 1u << 4));
    cr_assert_eq(access_key(r, ACC_READ, false), PF_P | PF_PK);
    cr_assert_eq(access_key(r, ACC_READ, true), PF_P | PF_U | PF_PK);
    sr_free(r);
}

Test(keys, instructions)
{
    struct sys_rig *r = sr_long();

    h_rdpkru(r->tc, 0, 0, 0);
    cr_assert_eq(sr_exception(r), EXC_UD);
    r->cpu->cr4 |= CR4_PKE;
    GPR(r->cpu, R_CX) = GPR(r->cpu, R_DX) = 0;
    GPR(r->cpu, R_AX) = 0x55555554;
    h_wrpkru(r->tc, 0, 0, 0);
    cr_assert_eq(r->cpu->pkru, 0x55555554);
    GPR(r->cpu, R_AX) = GPR(r->cpu, R_DX) = ~0ull;
    h_rdpkru(r->tc, 0, 0, 0);
    cr_assert_eq(GPR(r->cpu, R_AX), 0x55555554);
    cr_assert_eq(GPR(r->cpu, R_DX), 0);
    GPR(r->cpu, R_DX) = 1;
    h_wrpkru(r->tc, 0, 0, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(keys, xsave_component)
{
    struct sys_rig *r = sr_long();
    uint32_t out[4];

    r->cpu->cr4 |= CR4_PKE | CR4_OSXSAVE;
    r->cpu->xcr0 = 0x201;
    r->cpu->pkru = 0x12345678;
    GPR(r->cpu, R_AX) = 0x200, GPR(r->cpu, R_DX) = 0;
    memset(r->ram + 0x20000, 0, 4096);
    h_xsave(r->tc, 0x20000, 8, 0);
    cr_assert_eq(ldl32(r->ram + 0x20000 + 2688), 0x12345678);
    cr_assert_eq(ldl64(r->ram + 0x20000 + 512), 0x200);
    r->cpu->pkru = 0;
    h_xrstor(r->tc, 0x20000, 8, 0);
    cr_assert_eq(r->cpu->pkru, 0x12345678);
    h_xsave(r->tc, 0x22000, 8 | 2 << 8, 0);
    cr_assert_eq(ldl32(r->ram + 0x22000 + 576), 0x12345678, "compacted");
    r->cpu->pkru = 0;
    h_xrstor(r->tc, 0x22000, 8, 0);
    cr_assert_eq(r->cpu->pkru, 0x12345678);
    stl64(r->ram + 0x22000 + 512, 0);
    h_xrstor(r->tc, 0x22000, 8, 0);
    cr_assert_eq(r->cpu->pkru, 0, "initial");
    x86_cpuid(r->cpu, 0xd, 9, out);
    cr_assert_eq(out[0], 8);
    cr_assert_eq(out[1], 2688);
    x86_cpuid(r->cpu, 0xd, 0, out);
    cr_assert_eq(out[1], 2696);
    sr_free(r);
}

/* ---- segments, CPUID, MSRs ------------------------------------------------------------------------ */

Test(far, dropped_segments_keep_their_base)
{
    struct sys_rig *r = sr_long();
    uint64_t frame[] = { SR_CODE, SEL_CODE64_3, EF_1, SR_STACK3, SEL_DATA3 };

    memcpy(r->ram + SR_STACK0, frame, sizeof frame);
    GPR(r->cpu, R_SP) = SR_STACK0;
    r->cpu->seg[S_GS].base = 0x123456789000ull;
    cr_assert_eq(h_iret(r->tc, 8, 0, 0), 1);
    cr_assert_eq(r->cpu->cpl, 3);
    cr_assert_eq(r->cpu->seg[S_GS].sel, 0);
    cr_assert_eq(r->cpu->seg[S_GS].base, 0x123456789000ull);
    sr_free(r);
}

Test(cpuid, apic_bit_follows_its_enable)
{
    struct sys_rig *r = sr_protected();
    uint32_t out[4];

    r->apic_value = 0xfee00900;
    x86_cpuid(r->cpu, 1, 0, out);
    cr_assert(out[3] & 1 << 9);
    r->apic_value = 0xfee00100;
    x86_cpuid(r->cpu, 1, 0, out);
    cr_assert_not(out[3] & 1 << 9);
    sr_free(r);
}

Test(msr, x2apic_only_where_cpuid_has_it)
{
    struct sys_rig *r = sr_protected();

    cr_assert(x86_msr_write(r->cpu, 0x1b, 0xfee00d00));
    r->model.feat[FEAT_1_ECX] &= ~(1u << 21);
    cr_assert_not(x86_msr_write(r->cpu, 0x1b, 0xfee00d00));
    cr_assert(x86_msr_write(r->cpu, 0x1b, 0xfee00900));
    sr_free(r);
}

Test(msr, machine_check_values)
{
    struct sys_rig *r = sr_protected();

    cr_assert_not(x86_msr_write(r->cpu, 0x400, 1), "CTL is all or nothing");
    cr_assert(x86_msr_write(r->cpu, 0x402, 0xaaaaaaaaaaaaaaaaull));
    cr_assert(x86_msr_write(r->cpu, 0x403, ~0ull));
    sr_free(r);
}
