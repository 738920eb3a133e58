/*
 * Segment loads, descriptor tables, LAR and friends, port permission, far
 * transfers, the privileged flags, SYSCALL and relatives
 */
#include "tests/target-x86/sys-rig.h"

/* ---- loads ----------------------------------------------------------------------- */

Test(seg, data_load_sets_accessed)
{
    struct sys_rig *r = sr_protected();

    sr_set_gdt(r, SEL_FREE, sr_desc(0x12345678, 0x4321, 0x0092));
    cr_assert_eq(h_mov_seg(r->tc, S_DS, SEL_FREE, 0), 1);
    cr_assert_eq(r->cpu->seg[S_DS].base, 0x12345678);
    cr_assert_eq(r->cpu->seg[S_DS].limit, 0x4321);
    cr_assert_eq(r->cpu->seg[S_DS].attr, 0x93);
    cr_assert_eq(sr_get_gdt(r, SEL_FREE) >> 40 & 0xff, 0x93);
    cr_assert_not(r->cpu->mode & MODE_FLAT_DATA);
    sr_free(r);
}

Test(seg, null_data_segment_faults_on_use)
{
    struct sys_rig *r = sr_protected();

    cr_assert_eq(h_lseg(r->tc, S_ES, 3, 0), 1);
    cr_assert_eq(r->cpu->seg[S_ES].sel, 3);
    h_seg_check(r->tc, 0, S_ES | 1 << 8, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(seg, load_faults)
{
    struct sys_rig *r = sr_protected();

    h_mov_seg(r->tc, S_SS, 0, 0);
    sr_expect(r, EXC_GP, 0);
    h_mov_seg(r->tc, S_SS, SEL_DATA3, 0);
    sr_expect(r, EXC_GP, SEL_DATA3 & ~3);
    h_mov_seg(r->tc, S_DS, 0x88, 0);                 /* outside the GDT */
    sr_expect(r, EXC_GP, 0x88);
    h_mov_seg(r->tc, S_DS, SEL_TSS, 0);
    sr_expect(r, EXC_GP, SEL_TSS);
    h_mov_seg(r->tc, S_DS, 0x0c, 0);                 /* LDT, none loaded */
    sr_expect(r, EXC_GP, 0x0c);
    sr_set_gdt(r, SEL_FREE, sr_desc(0, 0xfff, 0x0012));
    h_mov_seg(r->tc, S_DS, SEL_FREE, 0);
    sr_expect(r, EXC_NP, SEL_FREE);
    h_mov_seg(r->tc, S_SS, SEL_FREE, 0);
    sr_expect(r, EXC_SS, SEL_FREE);
    sr_set_gdt(r, SEL_FREE, sr_desc(0, 0xfff, 0x0098));  /* execute-only */
    h_mov_seg(r->tc, S_DS, SEL_FREE, 0);
    sr_expect(r, EXC_GP, SEL_FREE);
    cr_assert_eq(r->cpu->seg[S_DS].sel, SEL_DATA, "a failed load changed DS");
    sr_cpl(r, 3);
    h_mov_seg(r->tc, S_DS, SEL_DATA, 0);
    sr_expect(r, EXC_GP, SEL_DATA);
    sr_free(r);
}

Test(seg, descriptor_not_mapped_is_a_page_fault)
{
    struct sys_rig *r = sr_long();

    r->cpu->gdt.base = 0x200000;
    h_mov_seg(r->tc, S_DS, SEL_DATA, 0);
    sr_expect(r, EXC_PF, 0);
    cr_assert_eq(r->cpu->exc_cr2, 0x200000 + SEL_DATA);
    sr_free(r);
}

Test(seg, expand_down)
{
    struct sys_rig *r = sr_protected();

    sr_set_gdt(r, SEL_FREE, sr_desc(0x1000, 0xfff, 0x4096));
    cr_assert_eq(h_lseg(r->tc, S_ES, SEL_FREE, 0), 1);
    cr_assert_eq(h_seg_check(r->tc, 0x1000, S_ES | 4 << 8 | SEG_CHECK_WRITE, 0), 0x2000);
    h_seg_check(r->tc, 0xfff, S_ES | 1 << 8, 0);
    sr_expect(r, EXC_GP, 0);
    h_seg_check(r->tc, 0xfffffffd, S_ES | 4 << 8, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(seg, checks_type_and_limit)
{
    struct sys_rig *r = sr_protected();

    sr_set_gdt(r, SEL_FREE, sr_desc(0, 0xff, 0x4090));   /* read-only */
    h_lseg(r->tc, S_FS, SEL_FREE, 0);
    cr_assert_eq(h_seg_check(r->tc, 0xfc, S_FS | 4 << 8, 0), 0xfc);
    h_seg_check(r->tc, 0xfd, S_FS | 4 << 8, 0);
    sr_expect(r, EXC_GP, 0);
    h_seg_check(r->tc, 0, S_FS | 1 << 8 | SEG_CHECK_WRITE, 0);
    sr_expect(r, EXC_GP, 0);
    sr_set_gdt(r, SEL_FREE, sr_desc(0, 0xff, 0x4092));
    h_lseg(r->tc, S_SS, SEL_FREE, 0);
    h_seg_check(r->tc, 0x100, S_SS | 1 << 8, 0);
    sr_expect(r, EXC_SS, 0);
    sr_free(r);
}

Test(seg, unreal_mode_keeps_the_limit)
{
    struct sys_rig *r = sr_real();

    cr_assert_eq(h_seg_check(r->tc, 0xffff, S_DS | 1 << 8, 0), 0xffff);
    h_seg_check(r->tc, 0x10000, S_DS | 1 << 8, 0);
    sr_expect(r, EXC_GP, 0);
    sr_tables(r);
    cr_assert_eq(h_mov_to_cr(r->tc, 0, CR0_PE | CR0_ET, 0), 1);
    cr_assert_eq(h_mov_seg(r->tc, S_DS, SEL_DATA, 0), 1);
    cr_assert_eq(h_mov_to_cr(r->tc, 0, CR0_ET, 0), 1);
    h_mov_seg(r->tc, S_DS, 0x1000, 0);
    cr_assert_eq(h_seg_check(r->tc, 0x20000, S_DS | 1 << 8, 0), 0x30000);
    sr_free(r);
}

Test(seg, mov_ss_opens_a_shadow)
{
    struct sys_rig *r = sr_protected();

    h_mov_seg(r->tc, S_SS, SEL_DATA, 0);
    cr_assert(r->cpu->mode & MODE_SHADOW);
    h_step_end(r->tc, r->cpu->mode, 0, 0);
    cr_assert_not(r->cpu->mode & MODE_SHADOW);
    sr_free(r);
}

/* ---- tables ------------------------------------------------------------------------------ */

Test(seg, lgdt_sgdt)
{
    struct sys_rig *r = sr_protected();

    stl16(r->ram + 0x7000, 0x1234);
    stl32(r->ram + 0x7002, 0xaabbccdd);
    cr_assert_eq(h_lgdt(r->tc, 0x7000, 2, 0), 1);
    cr_assert_eq(r->cpu->gdt.base, 0xbbccdd, "16-bit operand: 24 bits of base");
    cr_assert_eq(h_lgdt(r->tc, 0x7000, 4, 1), 1);
    cr_assert_eq(r->cpu->idt.base, 0xaabbccdd);
    cr_assert_eq(h_sgdt(r->tc, 0x7100, 4, 1), 1);
    cr_assert_eq(ldl16(r->ram + 0x7100), 0x1234);
    cr_assert_eq(ldl32(r->ram + 0x7102), 0xaabbccdd);
    sr_tables(r);
    sr_cpl(r, 3);
    h_lgdt(r->tc, 0x7000, 4, 0);
    sr_expect(r, EXC_GP, 0);
    r->cpu->cr4 |= CR4_UMIP;
    h_sgdt(r->tc, 0x7100, 4, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(seg, ltr_lldt)
{
    struct sys_rig *r = sr_protected();

    cr_assert_eq(h_ltr(r->tc, SEL_TSS2, 0, 0), 1);
    cr_assert_eq(sr_get_gdt(r, SEL_TSS2) >> 40 & 15, DT_TSS32_BUSY);
    cr_assert_eq(h_str(r->tc, 0, 0, 0), SEL_TSS2);
    h_ltr(r->tc, SEL_TSS2, 0, 0);
    sr_expect(r, EXC_GP, SEL_TSS2);                     /* busy now */
    h_ltr(r->tc, 0, 0, 0);
    sr_expect(r, EXC_GP, 0);
    cr_assert_eq(h_lldt(r->tc, SEL_LDT, 0, 0), 1);
    stl64(r->ram + SR_LDT + 8, sr_desc(0x777, 1, 0x92));
    cr_assert_eq(h_mov_seg(r->tc, S_DS, 0x0c, 0), 1);
    cr_assert_eq(r->cpu->seg[S_DS].base, 0x777);
    sr_free(r);
}

Test(seg, ltr_reads_16_bytes_in_long_mode)
{
    struct sys_rig *r = sr_long();

    stl64(r->ram + SR_GDT + SEL_TSS2 + 8, 0xffff8000);
    cr_assert_eq(h_ltr(r->tc, SEL_TSS2, 0, 0), 1);
    cr_assert_eq(r->cpu->tr.base, 0xffff800000000000ull | SR_TSS2);
    sr_set_gdt(r, SEL_TSS2, sr_desc(SR_TSS2, 0x67, DA_TSS));
    stl64(r->ram + SR_GDT + SEL_TSS2 + 8, 0x80000000);
    h_ltr(r->tc, SEL_TSS2, 0, 0);
    sr_expect(r, EXC_GP, SEL_TSS2);                     /* not canonical */
    sr_free(r);
}

Test(seg, lar_lsl_verr)
{
    struct sys_rig *r = sr_protected();

    cr_assert_eq(h_lar(r->tc, SEL_CODE, 0, 0), 0x00cf9a00);
    cr_assert(r->tc->fl & TCG_FL_Z);
    cr_assert_eq(h_lsl(r->tc, SEL_DATA, 0, 0), 0xffffffff);
    cr_assert_eq(h_lsl(r->tc, SEL_TSS2, 0, 0), 0x67);
    h_lar(r->tc, 0x88, 0, 0);
    cr_assert_not(r->tc->fl & TCG_FL_Z);
    cr_assert_eq(sr_exception(r), -1);
    h_verr(r->tc, SEL_DATA, 1, 0);
    cr_assert(r->tc->fl & TCG_FL_Z);
    h_verr(r->tc, SEL_CODE, 1, 0);
    cr_assert_not(r->tc->fl & TCG_FL_Z);
    sr_cpl(r, 3);
    h_lar(r->tc, SEL_DATA, 0, 0);
    cr_assert_not(r->tc->fl & TCG_FL_Z, "DPL 0 is hidden from CPL 3");
    cr_assert_eq(h_arpl(r->tc, 0x10, 0x03, 0), 0x13);
    cr_assert(r->tc->fl & TCG_FL_Z);
    sr_free(r);
}

/* ---- ports -------------------------------------------------------------------------------- */

Test(seg, io_bitmap)
{
    struct sys_rig *r = sr_protected();

    sr_cpl(r, 3);
    r->ram[SR_TSS + 0x88 + 0x60 / 8] = 0x10;             /* 0x64 is closed */
    cr_assert_eq(h_in(r->tc, 0x60, 1, 0), 0x5a);
    h_in(r->tc, 0x64, 1, 0);
    sr_expect(r, EXC_GP, 0);
    h_out(r->tc, 0x61, 4, 0);                             /* covers 0x64 */
    sr_expect(r, EXC_GP, 0);
    r->cpu->tr.limit = 0x88 + 0x60 / 8;                   /* the second byte is outside */
    h_in(r->tc, 0x60, 1, 0);
    sr_expect(r, EXC_GP, 0);
    r->cpu->eflags |= EF_IOPL;
    cr_assert_eq(h_in(r->tc, 0x64, 1, 0), 0x5a);
    sr_free(r);
}

/* ---- far transfers ---------------------------------------------------------------------------- */

Test(far, jmp_direct)
{
    struct sys_rig *r = sr_protected();

    cr_assert_eq(h_jmp_far(r->tc, SEL_CODE, 0x1234, 4ull << 32), 1);
    cr_assert_eq(r->tc->pc, 0x1234);
    cr_assert_eq(r->cpu->seg[S_CS].sel, SEL_CODE);
    h_jmp_far(r->tc, SEL_DATA, 0, 4ull << 32);
    sr_expect(r, EXC_GP, SEL_DATA);
    h_jmp_far(r->tc, SEL_CODE3, 0, 4ull << 32);
    sr_expect(r, EXC_GP, SEL_CODE3 & ~3);
    h_jmp_far(r->tc, 0, 0, 4ull << 32);
    sr_expect(r, EXC_GP, 0);
    sr_set_gdt(r, SEL_FREE, sr_desc(0, 0xff, 0x409a));
    h_jmp_far(r->tc, SEL_FREE, 0x100, 4ull << 32);
    sr_expect(r, EXC_GP, 0);                               /* beyond the limit */
    sr_set_gdt(r, SEL_FREE, sr_desc(0, 0xff, 0x401a));
    h_jmp_far(r->tc, SEL_FREE, 0, 4ull << 32);
    sr_expect(r, EXC_NP, SEL_FREE);
    sr_free(r);
}

Test(far, call_and_ret_same_level)
{
    struct sys_rig *r = sr_protected();

    x86_set_pc(r->cpu, SR_CODE);
    cr_assert_eq(h_call_far(r->tc, SEL_CODE, 0x4444, 4ull << 32 | 7), 1);
    cr_assert_eq(GPR(r->cpu, R_SP), SR_STACK0 - 8);
    cr_assert_eq(sr_stack32(r, 0), SR_CODE + 7);
    cr_assert_eq(sr_stack32(r, 1), SEL_CODE);
    cr_assert_eq(h_ret_far(r->tc, 4, 4, 0), 1);
    cr_assert_eq(r->tc->pc, SR_CODE + 7);
    cr_assert_eq(GPR(r->cpu, R_SP), SR_STACK0 + 4);
    sr_free(r);
}

Test(far, call_gate_to_ring_0_and_back)
{
    struct sys_rig *r = sr_protected();

    sr_cpl(r, 3);
    stl32(r->ram + SR_STACK3, 0x11111111);
    stl32(r->ram + SR_STACK3 + 4, 0x22222222);
    sr_set_gdt(r, SEL_FREE, sr_gate(SEL_CODE, 0x5678, 0xec, 2));
    x86_set_pc(r->cpu, SR_CODE);
    cr_assert_eq(h_call_far(r->tc, SEL_FREE | 3, 0xdead, 4ull << 32 | 5), 1);
    cr_assert_eq(r->cpu->cpl, 0);
    cr_assert_eq(r->tc->pc, 0x5678);
    cr_assert_eq(r->cpu->seg[S_CS].sel, SEL_CODE);
    cr_assert_eq(r->cpu->seg[S_SS].sel, SEL_DATA);
    cr_assert_eq(GPR(r->cpu, R_SP), SR_STACK0 - 24);
    cr_assert_eq(sr_stack32(r, 0), SR_CODE + 5);
    cr_assert_eq(sr_stack32(r, 1), SEL_CODE3);
    cr_assert_eq(sr_stack32(r, 2), 0x11111111);
    cr_assert_eq(sr_stack32(r, 3), 0x22222222);
    cr_assert_eq(sr_stack32(r, 4), SR_STACK3);
    cr_assert_eq(sr_stack32(r, 5), SEL_DATA3);
    h_mov_seg(r->tc, S_ES, SEL_DATA, 0);
    cr_assert_eq(h_ret_far(r->tc, 4, 8, 0), 1);
    cr_assert_eq(r->cpu->cpl, 3);
    cr_assert_eq(GPR(r->cpu, R_SP), SR_STACK3 + 8);
    cr_assert_eq(r->cpu->seg[S_ES].sel, 0, "ES of DPL 0 survives the return to CPL 3");
    cr_assert_eq(r->cpu->seg[S_DS].sel, SEL_DATA3);
    sr_free(r);
}

Test(far, call_gate_privilege)
{
    struct sys_rig *r = sr_protected();

    sr_cpl(r, 3);
    sr_set_gdt(r, SEL_FREE, sr_gate(SEL_CODE, 0, 0x8c, 0));   /* DPL 0 gate */
    h_call_far(r->tc, SEL_FREE, 0, 4ull << 32);
    sr_expect(r, EXC_GP, SEL_FREE);
    sr_set_gdt(r, SEL_FREE, sr_gate(SEL_CODE, 0, 0xec, 0));
    h_jmp_far(r->tc, SEL_FREE, 0, 4ull << 32);                 /* JMP stays at its level */
    sr_expect(r, EXC_GP, SEL_CODE);
    sr_set_gdt(r, SEL_FREE, sr_gate(SEL_CODE, 0, 0x6c, 0));
    h_call_far(r->tc, SEL_FREE, 0, 4ull << 32);
    sr_expect(r, EXC_NP, SEL_FREE);
    stl16(r->ram + SR_TSS + 8, SEL_DATA3);                     /* bad inner stack */
    sr_set_gdt(r, SEL_FREE, sr_gate(SEL_CODE, 0, 0xec, 0));
    h_call_far(r->tc, SEL_FREE, 0, 4ull << 32);
    sr_expect(r, EXC_TS, SEL_DATA3 & ~3);
    sr_free(r);
}

Test(far, long_mode_jmp_to_compatibility_mode)
{
    struct sys_rig *r = sr_long();

    cr_assert(r->cpu->mode & MODE_FLAT_CS);
    cr_assert_eq(r->cpu->mode & MODE_CODE_MASK, MODE_CODE64);
    cr_assert_eq(h_jmp_far(r->tc, SEL_CODE, 0x1000, 4ull << 32), 1);
    cr_assert_eq(r->cpu->mode & MODE_CODE_MASK, MODE_CODE32);
    cr_assert(r->cpu->mode & MODE_LONG);
    cr_assert_eq(r->tc->va_mask, 0xffffffff);
    sr_free(r);
}

Test(far, real_mode)
{
    struct sys_rig *r = sr_real();

    cr_assert_eq(h_call_far(r->tc, 0x100, 0x20, 2ull << 32 | 5), 1);
    cr_assert_eq(r->cpu->seg[S_CS].base, 0x1000);
    cr_assert_eq(r->tc->pc, 0x20);
    cr_assert_eq(ldl16(r->ram + SR_STACK0 - 4), SR_CODE + 5);
    cr_assert_eq(h_ret_far(r->tc, 2, 0, 0), 1);
    cr_assert_eq(r->tc->pc, SR_CODE + 5);
    h_jmp_far(r->tc, 0, 0x12345, 4ull << 32);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

/* ---- flags ----------------------------------------------------------------------------------- */

Test(flags_sys, popf_by_privilege)
{
    struct sys_rig *r = sr_protected();

    h_popf(r->tc, 4, EF_IF | EF_IOPL | EF_ID | EF_VM | EF_RF | EF_CF | EF_DF, 0);
    cr_assert_eq(x86_get_eflags(r->cpu), EF_1 | EF_IF | EF_IOPL | EF_ID | EF_CF | EF_DF);
    cr_assert_eq(r->cpu->df, -1);
    x86_set_eflags(r->cpu, 0);
    sr_cpl(r, 3);
    h_popf(r->tc, 4, EF_IF | EF_IOPL | EF_AC, 0);
    cr_assert_eq(x86_get_eflags(r->cpu), EF_1 | EF_AC);
    h_cli(r->tc, 0, 0, 0);
    sr_expect(r, EXC_GP, 0);
    h_sti(r->tc, 0, 0, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(flags_sys, vm86_iopl_and_vme)
{
    struct sys_rig *r = sr_protected();
    static const uint16_t sel[S_COUNT];

    x86_enter_vm86(r->cpu, sel);
    x86_set_eflags(r->cpu, EF_VM | EF_IF);
    h_pushf(r->tc, 2, 0, 0);
    sr_expect(r, EXC_GP, 0);
    r->cpu->cr4 |= CR4_VME;
    cr_assert_eq(h_pushf(r->tc, 2, 0, 0), EF_IOPL | EF_1, "VIF is 0, IOPL reads 3");
    h_sti(r->tc, 0, 0, 0);
    cr_assert_eq(sr_exception(r), -1);
    cr_assert(r->cpu->eflags & EF_VIF);
    cr_assert_eq(h_pushf(r->tc, 2, 0, 0), EF_IOPL | EF_IF | EF_1);
    h_popf(r->tc, 2, EF_CF, 0);
    cr_assert_eq(x86_get_eflags(r->cpu), EF_1 | EF_CF | EF_IF | EF_VM);
    r->cpu->eflags |= EF_VIP;
    h_popf(r->tc, 2, EF_IF, 0);
    sr_expect(r, EXC_GP, 0);
    h_sti(r->tc, 0, 0, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(flags_sys, sti_shadow_delays_interrupt)
{
    struct sys_rig *r = sr_protected();

    r->intr = X86_INTR_PIC;
    r->vector = 0x20;
    h_sti(r->tc, 0, 0, 0);
    cr_assert(r->cpu->mode & MODE_SHADOW);
    cr_assert(sr_deliver(r));
    cr_assert_eq(r->acks, 0);
    h_step_end(r->tc, r->cpu->mode, 0, 0);
    cr_assert_eq(r->tc->run, 0, "the pending interrupt is looked at again");
    cr_assert(sr_deliver(r));
    cr_assert_eq(r->acks, 1);
    cr_assert_eq(r->tc->pc, SR_HANDLER + 0x20);
    sr_free(r);
}

/* ---- SYSCALL ------------------------------------------------------------------------------------- */

Test(syscall, round_trip)
{
    struct sys_rig *r = sr_long();

    r->cpu->star = (uint64_t)0x23 << 48 | (uint64_t)SEL_CODE64 << 32;
    r->cpu->lstar = 0x5555;
    r->cpu->sfmask = EF_IF | EF_TF | EF_DF;
    sr_cpl(r, 3);
    x86_set_eflags(r->cpu, EF_IF | EF_CF | EF_DF);
    x86_set_pc(r->cpu, SR_CODE);
    cr_assert_eq(h_syscall(r->tc, 0, 0, 2), 1);
    cr_assert_eq(r->cpu->cpl, 0);
    cr_assert_eq(r->tc->pc, 0x5555);
    cr_assert_eq(GPR(r->cpu, R_CX), SR_CODE + 2);
    cr_assert_eq(GPR(r->cpu, 11), EF_1 | EF_IF | EF_CF | EF_DF);
    cr_assert_eq(x86_get_eflags(r->cpu), EF_1 | EF_CF);
    cr_assert_eq(r->cpu->df, 1);
    cr_assert_eq(r->cpu->seg[S_SS].sel, SEL_CODE64 + 8);
    cr_assert_eq(h_sysret(r->tc, 8, 0, 0), 1);
    cr_assert_eq(r->cpu->cpl, 3);
    cr_assert_eq(r->tc->pc, SR_CODE + 2);
    cr_assert_eq(r->cpu->seg[S_CS].sel, 0x33);
    cr_assert_eq(r->cpu->seg[S_SS].sel, 0x2b);
    cr_assert_eq(x86_get_eflags(r->cpu), EF_1 | EF_IF | EF_CF | EF_DF);
    cr_assert(r->cpu->mode & MODE_CPL3);
    sr_free(r);
}

Test(syscall, faults)
{
    struct sys_rig *r = sr_long();

    GPR(r->cpu, R_CX) = 0x800000000000;
    h_sysret(r->tc, 8, 0, 0);
    sr_expect(r, EXC_GP, 0);
    h_sysexit(r->tc, 8, 0, 0);
    sr_expect(r, EXC_GP, 0);                              /* SYSENTER_CS is null */
    r->cpu->efer &= ~(uint64_t)EFER_SCE;
    h_syscall(r->tc, 0, 0, 2);
    cr_assert_eq(sr_exception(r), EXC_UD);
    sr_free(r);
}

Test(syscall, sysenter_and_sysexit_32)
{
    struct sys_rig *r = sr_protected();

    r->cpu->sysenter_cs = SEL_CODE;
    r->cpu->sysenter_esp = 0x8765;
    r->cpu->sysenter_eip = 0x4321;
    sr_cpl(r, 3);
    x86_set_eflags(r->cpu, EF_IF);
    cr_assert_eq(h_sysenter(r->tc, 0, 0, 0), 1);
    cr_assert_eq(r->tc->pc, 0x4321);
    cr_assert_eq(GPR(r->cpu, R_SP), 0x8765);
    cr_assert_eq(r->cpu->cpl, 0);
    cr_assert_not(r->cpu->eflags & EF_IF);
    GPR(r->cpu, R_DX) = 0x1111;
    GPR(r->cpu, R_CX) = 0x2222;
    cr_assert_eq(h_sysexit(r->tc, 4, 0, 0), 1);
    cr_assert_eq(r->cpu->seg[S_CS].sel, SEL_CODE + 16 + 3);
    cr_assert_eq(r->cpu->seg[S_SS].sel, SEL_CODE + 24 + 3);
    cr_assert_eq(r->tc->pc, 0x1111);
    cr_assert_eq(GPR(r->cpu, R_SP), 0x2222);
    sr_free(r);
}

Test(syscall, fsgsbase)
{
    struct sys_rig *r = sr_long();

    h_fsgsbase(r->tc, 3, 0x9999, 8);
    cr_assert_eq(sr_exception(r), EXC_UD);               /* CR4.FSGSBASE is 0 */
    cr_assert_eq(h_mov_to_cr(r->tc, 4, r->cpu->cr4 | CR4_FSGSBASE, 0), 1);
    h_fsgsbase(r->tc, 3, 0xfedcba9876543210ull, 4);
    cr_assert_eq(h_fsgsbase(r->tc, 1, 0, 8), 0x76543210);
    h_fsgsbase(r->tc, 2, 0x8000000000000000ull, 8);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}
