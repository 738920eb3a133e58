/*
 * Delivery of exceptions and interrupts, IRET, double and triple faults, traps,
 * NMI, HLT, INIT and SIPI
 */
#include "tests/target-x86/sys-rig.h"

/* ---- real mode ---------------------------------------------------------------------- */

Test(excp, real_mode_int)
{
    struct sys_rig *r = sr_real();

    stl16(r->ram + 0x10 * 4, 0x2222);
    stl16(r->ram + 0x10 * 4 + 2, 0x0300);
    x86_set_eflags(r->cpu, EF_IF | EF_TF | EF_CF);
    h_int(r->tc, 0x10, 2, 0);
    cr_assert(sr_deliver(r));
    cr_assert_eq(r->tc->pc, 0x2222);
    cr_assert_eq(r->cpu->seg[S_CS].base, 0x3000);
    cr_assert_eq(ldl16(r->ram + SR_STACK0 - 6), SR_CODE + 2);
    cr_assert_eq(ldl16(r->ram + SR_STACK0 - 2), EF_1 | EF_IF | EF_TF | EF_CF);
    cr_assert_eq(x86_get_eflags(r->cpu), EF_1 | EF_CF);
    cr_assert_eq(h_iret(r->tc, 2, 0, 0), 1);
    cr_assert_eq(r->tc->pc, SR_CODE + 2);
    cr_assert_eq(x86_get_eflags(r->cpu), EF_1 | EF_IF | EF_TF | EF_CF);
    sr_free(r);
}

Test(excp, real_mode_fault_has_no_error_code)
{
    struct sys_rig *r = sr_real();

    stl16(r->ram + EXC_GP * 4, 0x1111);
    x86_raise_err(r->cpu, EXC_GP, 0);
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, 0x1111);
    cr_assert_eq(GPR(r->cpu, R_SP), SR_STACK0 - 6);
    sr_free(r);
}

/* ---- 32 bit ----------------------------------------------------------------------------- */

Test(excp, fault_in_ring_0)
{
    struct sys_rig *r = sr_protected();

    x86_set_eflags(r->cpu, EF_IF | EF_TF | EF_NT | EF_ZF);
    x86_raise_err(r->cpu, EXC_GP, 0x58);
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_GP);
    cr_assert_eq(GPR(r->cpu, R_SP), SR_STACK0 - 16);
    cr_assert_eq(sr_stack32(r, 0), 0x58);
    cr_assert_eq(sr_stack32(r, 1), SR_CODE);
    cr_assert_eq(sr_stack32(r, 2), SEL_CODE);
    cr_assert_eq(sr_stack32(r, 3), EF_1 | EF_IF | EF_TF | EF_NT | EF_ZF | EF_RF);
    cr_assert_eq(x86_get_eflags(r->cpu), EF_1 | EF_ZF);
    sr_free(r);
}

Test(excp, fault_in_ring_3_switches_stacks)
{
    struct sys_rig *r = sr_protected();

    sr_cpl(r, 3);
    x86_raise(r->cpu, EXC_UD);
    sr_deliver(r);
    cr_assert_eq(r->cpu->cpl, 0);
    cr_assert_eq(r->cpu->seg[S_SS].sel, SEL_DATA);
    cr_assert_eq(GPR(r->cpu, R_SP), SR_STACK0 - 20);
    cr_assert_eq(sr_stack32(r, 0), SR_CODE);
    cr_assert_eq(sr_stack32(r, 1), SEL_CODE3);
    cr_assert_eq(sr_stack32(r, 3), SR_STACK3);
    cr_assert_eq(sr_stack32(r, 4), SEL_DATA3);
    cr_assert_eq(h_iret(r->tc, 4, 0, 0), 1);
    cr_assert_eq(r->cpu->cpl, 3);
    cr_assert_eq(GPR(r->cpu, R_SP), SR_STACK3);
    cr_assert_eq(r->tc->pc, SR_CODE);
    sr_free(r);
}

Test(excp, trap_gate_keeps_if_and_int_needs_dpl)
{
    struct sys_rig *r = sr_protected();

    sr_idt(r, 0x80, SEL_CODE, 0x7777, 0xef);
    sr_cpl(r, 3);
    x86_set_eflags(r->cpu, EF_IF);
    h_int(r->tc, 0x80, 2, 0);
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, 0x7777);
    cr_assert(r->cpu->eflags & EF_IF);
    cr_assert_eq(sr_stack32(r, 0), SR_CODE + 2);
    cr_assert_eq(sr_stack32(r, 2), EF_1 | EF_IF, "RF is not pushed for INT n");
    sr_cpl(r, 3);
    x86_set_pc(r->cpu, SR_CODE);
    h_int(r->tc, 0x81, 2, 0);                    /* gate of DPL 0 */
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_GP);
    cr_assert_eq(sr_stack32(r, 0), 0x81 * 8 + 2);
    cr_assert_eq(sr_stack32(r, 1), SR_CODE, "#GP of INT n is a fault");
    sr_free(r);
}

Test(excp, gate_not_present_and_bad_type)
{
    struct sys_rig *r = sr_protected();

    sr_idt(r, 0x30, SEL_CODE, 0, 0x0e);
    h_int(r->tc, 0x30, 2, 0);
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_NP);
    cr_assert_eq(sr_stack32(r, 0), 0x30 * 8 + 2);
    sr_idt(r, 0x30, SEL_CODE, 0, 0x8c);
    r->vector = 0x30;
    r->intr = X86_INTR_PIC;
    r->cpu->eflags |= EF_IF;
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_GP);
    cr_assert_eq(sr_stack32(r, 0), 0x30 * 8 + 3, "EXT for an external interrupt");
    sr_free(r);
}

Test(excp, page_fault_sets_cr2_at_delivery)
{
    struct sys_rig *r = sr_long();
    uint64_t v;

    r->cpu->cr2 = 0x1111;
    cr_assert_not(tcg_load(r->tc, 0xdead000, 4, &v));
    cr_assert_eq(r->cpu->cr2, 0x1111);
    sr_deliver(r);
    cr_assert_eq(r->cpu->cr2, 0xdead000);
    cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_PF);
    sr_free(r);
}

/* ---- double and triple faults --------------------------------------------------------------- */

Test(excp, contributory_faults_make_a_double_fault)
{
    struct sys_rig *r = sr_protected();

    sr_idt(r, EXC_GP, SEL_CODE, 0, 0);           /* #GP cannot be delivered: #GP */
    x86_raise_err(r->cpu, EXC_GP, 0);
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_DF);
    cr_assert_eq(sr_stack32(r, 0), 0);
    cr_assert_eq(r->triple, 0);
    sr_free(r);
}

Test(excp, benign_then_fault_is_serial)
{
    struct sys_rig *r = sr_protected();

    sr_idt(r, EXC_UD, SEL_CODE, 0, 0);
    x86_raise(r->cpu, EXC_UD);
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_GP);
    cr_assert_eq(sr_stack32(r, 0), EXC_UD * 8 + 3);
    sr_free(r);
}

Test(excp, triple_fault)
{
    struct sys_rig *r = sr_protected();

    r->cpu->idt.limit = 0;
    x86_raise(r->cpu, EXC_UD);
    cr_assert_not(sr_deliver(r), "the machine asked the run loop to leave");
    cr_assert_eq(r->triple, 1);
    sr_free(r);
}

/* ---- 64 bit ---------------------------------------------------------------------------------------- */

Test(excp, frame64_is_aligned)
{
    struct sys_rig *r = sr_long();

    GPR(r->cpu, R_SP) = SR_STACK0 - 3;
    x86_raise_err(r->cpu, EXC_GP, 0x10);
    sr_deliver(r);
    cr_assert_eq(GPR(r->cpu, R_SP), SR_STACK0 - 16 - 48);
    cr_assert_eq(sr_stack64(r, 0), 0x10);
    cr_assert_eq(sr_stack64(r, 1), SR_CODE);
    cr_assert_eq(sr_stack64(r, 4), SR_STACK0 - 3);
    cr_assert_eq(sr_stack64(r, 5), SEL_DATA);
    GPR(r->cpu, R_SP) += 8;
    cr_assert_eq(h_iret(r->tc, 8, 0, 0), 1);
    cr_assert_eq(GPR(r->cpu, R_SP), SR_STACK0 - 3);
    sr_free(r);
}

Test(excp, ring_3_to_0_in_long_mode)
{
    struct sys_rig *r = sr_long();

    sr_cpl(r, 3);
    x86_set_eflags(r->cpu, EF_IF);
    r->vector = 0x40;
    r->intr = X86_INTR_APIC;
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, SR_HANDLER + 0x40);
    cr_assert_eq(r->cpu->seg[S_SS].sel, 0);
    cr_assert_eq(r->cpu->cpl, 0);
    cr_assert_eq(GPR(r->cpu, R_SP), SR_STACK0 - 40);
    cr_assert_eq(sr_stack64(r, 3), SR_STACK3);
    cr_assert_eq(h_iret(r->tc, 8, 0, 0), 1);
    cr_assert_eq(r->cpu->cpl, 3);
    cr_assert_eq(r->cpu->seg[S_SS].sel, SEL_DATA3);
    cr_assert(r->cpu->eflags & EF_IF);
    sr_free(r);
}

Test(excp, ist)
{
    struct sys_rig *r = sr_long();

    stl64(r->ram + SR_TSS + 0x24 + 8, 0xa000);
    stl64(r->ram + SR_IDT + EXC_DF * 16, sr_gate(SEL_CODE64, 0x1234, 0x8e, 2));
    x86_raise(r->cpu, EXC_DF);
    sr_deliver(r);
    cr_assert_eq(GPR(r->cpu, R_SP), 0xa000 - 48);
    cr_assert_eq(r->tc->pc, 0x1234);
    sr_free(r);
}

Test(excp, iret_to_null_ss)
{
    struct sys_rig *r = sr_long();
    uint64_t frame[] = { 0x4000, SEL_CODE64, EF_1, SR_STACK0, 0 };

    memcpy(r->ram + SR_STACK0, frame, sizeof(frame));
    cr_assert_eq(h_iret(r->tc, 8, 0, 0), 1);
    cr_assert_eq(r->cpu->seg[S_SS].sel, 0);
    frame[1] = SEL_CODE64_3;
    memcpy(r->ram + SR_STACK0, frame, sizeof(frame));
    h_iret(r->tc, 8, 0, 0);
    sr_expect(r, EXC_GP, 0);                     /* null SS at CPL 3 */
    r->cpu->eflags |= EF_NT;
    h_iret(r->tc, 8, 0, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(excp, iret_faults)
{
    struct sys_rig *r = sr_protected();
    uint32_t frame[] = { 0x4000, SEL_CODE3, EF_1, SR_STACK3, SEL_DATA };

    memcpy(r->ram + SR_STACK0, frame, sizeof(frame));
    h_iret(r->tc, 4, 0, 0);
    sr_expect(r, EXC_GP, SEL_DATA);              /* SS of another privilege */
    cr_assert_eq(GPR(r->cpu, R_SP), SR_STACK0, "a failed IRET moved ESP");
    frame[1] = 0;
    memcpy(r->ram + SR_STACK0, frame, sizeof(frame));
    h_iret(r->tc, 4, 0, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

/* ---- VM86 ----------------------------------------------------------------------------------------------- */

static struct sys_rig *vm86(uint32_t ef)
{
    struct sys_rig *r = sr_protected();
    uint32_t frame[] = { 0x0100, 0x0200, EF_1 | EF_VM | ef, 0x0400, 0x0500,
                         0x0001, 0x0002, 0x0003, 0x0004 };

    memcpy(r->ram + SR_STACK0, frame, sizeof(frame));
    cr_assert_eq(h_iret(r->tc, 4, 0, 0), 1);
    return r;
}

Test(excp, iret_to_vm86_and_fault_back)
{
    struct sys_rig *r = vm86(EF_IF);

    cr_assert(r->cpu->mode & MODE_VM86);
    cr_assert_eq(r->cpu->cpl, 3);
    cr_assert_eq(r->tc->pc, 0x100);
    cr_assert_eq(r->cpu->seg[S_CS].base, 0x2000);
    cr_assert_eq(r->cpu->seg[S_ES].sel, 1);
    cr_assert_eq(r->cpu->seg[S_GS].sel, 4);
    x86_raise(r->cpu, EXC_UD);
    sr_deliver(r);
    cr_assert_not(r->cpu->mode & MODE_VM86);
    cr_assert_eq(GPR(r->cpu, R_SP), SR_STACK0 - 36);
    cr_assert_eq(sr_stack32(r, 0), 0x100);
    cr_assert_eq(sr_stack32(r, 1), 0x200);
    cr_assert(sr_stack32(r, 2) & EF_VM);
    cr_assert_eq(sr_stack32(r, 3), 0x400);
    cr_assert_eq(sr_stack32(r, 4), 0x500);
    cr_assert_eq(sr_stack32(r, 5), 1);
    cr_assert_eq(sr_stack32(r, 6), 2);
    cr_assert_eq(sr_stack32(r, 8), 4);
    cr_assert_eq(r->cpu->seg[S_DS].sel, 0);
    sr_free(r);
}

Test(excp, vm86_int_needs_iopl_3)
{
    struct sys_rig *r = vm86(0);

    h_int(r->tc, 0x21, 2, 0);
    sr_expect(r, EXC_GP, 0);
    h_int(r->tc, 3, 1, 1);                       /* INT3 does not care, its gate does */
    cr_assert_eq(sr_exception(r), EXC_BP);
    sr_free(r);
}

Test(excp, vme_redirects_int_to_the_program)
{
    struct sys_rig *r = vm86(0);

    r->cpu->cr4 |= CR4_VME;
    r->ram[SR_TSS + 0x88 - 32 + 0x22 / 8] = 1 << (0x22 & 7);
    stl32(r->ram + 0x21 * 4, 0x04000050);        /* 0400:0050 */
    h_int(r->tc, 0x21, 2, 0);
    sr_deliver(r);
    cr_assert(r->cpu->mode & MODE_VM86);
    cr_assert_eq(r->tc->pc, 0x50);
    cr_assert_eq(r->cpu->seg[S_CS].base, 0x4000);
    cr_assert_eq(ldl16(r->ram + 0x5000 + 0x400 - 2) & EF_IOPL, EF_IOPL);
    h_int(r->tc, 0x22, 2, 0);                    /* bit set: the monitor's */
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

/* ---- between blocks -------------------------------------------------------------------------------------------- */

Test(excp, masked_interrupt_waits)
{
    struct sys_rig *r = sr_protected();

    r->intr = X86_INTR_PIC;
    r->vector = 0x20;
    cr_assert(sr_deliver(r));
    cr_assert_eq(r->acks, 0);
    cr_assert_eq(r->tc->run, 1);
    x86_set_eflags(r->cpu, EF_IF);
    cr_assert_eq(r->tc->run, 0, "setting IF looks again");
    x86_service(r->tc);
    cr_assert_eq(r->acks, 1);
    sr_free(r);
}

Test(excp, spurious_request_is_no_interrupt)
{
    struct sys_rig *r = sr_protected();

    r->cpu->eflags |= EF_IF;
    r->intr = X86_INTR_PIC;
    r->vector = -1;
    cr_assert(sr_deliver(r));
    cr_assert_eq(r->tc->pc, SR_CODE);
    sr_free(r);
}

Test(excp, nmi_is_blocked_until_iret)
{
    struct sys_rig *r = sr_protected();

    r->intr = X86_INTR_NMI;
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, SR_HANDLER + 2);
    r->intr = X86_INTR_NMI;
    x86_set_pc(r->cpu, SR_CODE);
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, SR_CODE);
    cr_assert_eq(h_iret(r->tc, 4, 0, 0), 1);
    cr_assert_eq(r->tc->run, 0);
    x86_service(r->tc);
    cr_assert_eq(r->tc->pc, SR_HANDLER + 2);
    sr_free(r);
}

Test(excp, single_step)
{
    struct sys_rig *r = sr_protected();

    x86_set_eflags(r->cpu, EF_TF);
    cr_assert(r->cpu->mode & MODE_TF);
    h_step_end(r->tc, r->cpu->mode, 0, 0);
    cr_assert_eq(r->tc->run, 0);
    x86_service(r->tc);
    cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_DB);
    cr_assert_eq(r->cpu->dr[6], DR6_FIXED | DR6_BS);
    cr_assert_eq(sr_stack32(r, 2), EF_1 | EF_TF, "a trap pushes RF 0");
    cr_assert_not(r->cpu->mode & MODE_TF);
    sr_free(r);
}

Test(excp, data_breakpoint)
{
    struct sys_rig *r = sr_protected();

    h_mov_to_dr(r->tc, 2, 0x7002, 0);
    h_mov_to_dr(r->tc, 7, 1 << 4 | 1u << 24 | 1u << 26, 0);   /* DR2: write, 2 bytes */
    cr_assert(r->cpu->mode & MODE_DR);
    h_dr_check(r->tc, 0x7000, 4, 0);
    cr_assert_not(r->cpu->tf_trap, "a read is no write");
    h_dr_check(r->tc, 0x7000, 2 | 1 << 8, 0);
    cr_assert_not(r->cpu->tf_trap);
    h_dr_check(r->tc, 0x7000, 4 | 1 << 8, 0);
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_DB);
    cr_assert_eq(r->cpu->dr[6] & 0xf, 4);
    sr_free(r);
}

Test(excp, instruction_breakpoint_and_rf)
{
    struct sys_rig *r = sr_protected();

    h_mov_to_dr(r->tc, 0, 0x7000, 0);
    h_mov_to_dr(r->tc, 7, 2, 0);
    r->cpu->eflags |= EF_RF;
    h_dr_check(r->tc, 0x7000, 1 << 9, 0);
    cr_assert_eq(sr_exception(r), -1);
    h_dr_check(r->tc, 0x7000, 1 << 9, 0);
    cr_assert_eq(sr_exception(r), EXC_DB);
    sr_free(r);
}

Test(excp, hlt_waits_and_wakes)
{
    struct sys_rig *r = sr_protected();

    cr_assert_eq(h_hlt(r->tc, 0, 0, 0), 0);
    cr_assert_eq(r->tc->run, 0);
    cr_assert_not(x86_service(r->tc));           /* halt() of the rig asks to leave */
    cr_assert_eq(r->halts, 1);
    r->intr = X86_INTR_PIC;
    r->vector = 0x21;
    r->cpu->eflags |= EF_IF;
    cr_assert(sr_deliver(r));
    cr_assert_eq(r->tc->pc, SR_HANDLER + 0x21);
    cr_assert_not(r->cpu->halted);
    sr_cpl(r, 3);
    h_hlt(r->tc, 0, 0, 0);
    sr_expect(r, EXC_GP, 0);
    sr_free(r);
}

Test(excp, init_and_sipi)
{
    struct sys_rig *r = sr_protected();

    r->cpu->index = 1;
    r->cpu->lstar = 7;
    r->intr = X86_INTR_INIT;
    cr_assert_not(sr_deliver(r));                /* waits for SIPI */
    cr_assert(r->cpu->wait_sipi);
    cr_assert_eq(r->cpu->cr0 & CR0_PE, 0);
    cr_assert_eq(r->cpu->lstar, 7, "INIT keeps the MSRs");
    r->intr = X86_INTR_SIPI;
    cr_assert(sr_deliver(r));
    cr_assert_eq(r->cpu->seg[S_CS].base, 0x12000);
    cr_assert_eq(r->tc->pc, 0);
    sr_free(r);
}

Test(excp, reset_state)
{
    struct sys_rig *r = sr_new();
    uint32_t id[4];

    cr_assert_eq(r->cpu->seg[S_CS].base, 0xffff0000);
    cr_assert_eq(r->tc->pc, 0xfff0);
    cr_assert_eq(r->cpu->cr0, 0x60000010);
    cr_assert_eq(r->cpu->dr[6], 0xffff0ff0);
    cr_assert_eq(r->cpu->dr[7], 0x400);
    cr_assert_eq(x86_get_eflags(r->cpu), 2);
    cr_assert_eq(r->cpu->mode & MODE_CODE_MASK, MODE_CODE16);
    x86_cpuid(r->cpu, 1, 0, id);
    cr_assert_eq(GPR(r->cpu, R_DX), id[0]);
    sr_free(r);
}

Test(excp, nothing_to_do_is_quick)
{
    struct sys_rig *r = sr_protected();

    r->cpu->bus = NULL;                          /* would crash if asked */
    r->tc->run = 1;
    cr_assert(x86_service(r->tc));
    sr_free(r);
}
