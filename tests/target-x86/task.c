/* Hardware task switches */
#include "tests/target-x86/sys-rig.h"

enum { EIP2 = 0x6600, ESP2 = 0xb000 };

static struct sys_rig *two_tasks(void)
{
    struct sys_rig *r = sr_protected();
    uint8_t *t = r->ram + SR_TSS2;

    stl32(t + 0x1c, SR_TABLES);
    stl32(t + 0x20, EIP2);
    stl32(t + 0x24, EF_1 | EF_ZF);
    stl32(t + 0x28, 0xaaaa);
    stl32(t + 0x38, ESP2);
    stl32(t + 0x48, SEL_DATA);
    stl32(t + 0x4c, SEL_CODE);
    stl32(t + 0x50, SEL_DATA);
    stl32(t + 0x54, SEL_DATA);
    stl32(t + 0x60, SEL_LDT);
    GPR(r->cpu, R_AX) = 0x1234;
    return r;
}

static unsigned type_of(struct sys_rig *r, uint16_t sel)
{
    return sr_get_gdt(r, sel) >> 40 & 15;
}

Test(task, jmp)
{
    struct sys_rig *r = two_tasks();

    x86_set_pc(r->cpu, SR_CODE);
    cr_assert_eq(h_jmp_far(r->tc, SEL_TSS2, 0, 4ull << 32 | 7), 1);
    cr_assert_eq(r->tc->pc, EIP2);
    cr_assert_eq(GPR(r->cpu, R_AX), 0xaaaa);
    cr_assert_eq(GPR(r->cpu, R_SP), ESP2);
    cr_assert_eq(x86_get_eflags(r->cpu), EF_1 | EF_ZF);
    cr_assert_eq(r->cpu->tr.sel, SEL_TSS2);
    cr_assert_eq(r->cpu->ldt.base, SR_LDT);
    cr_assert(r->cpu->cr0 & CR0_TS);
    cr_assert_eq(type_of(r, SEL_TSS), DT_TSS32);
    cr_assert_eq(type_of(r, SEL_TSS2), DT_TSS32_BUSY);
    cr_assert_eq(ldl32(r->ram + SR_TSS + 0x20), SR_CODE + 7);
    cr_assert_eq(ldl32(r->ram + SR_TSS + 0x28), 0x1234);
    cr_assert_eq(ldl16(r->ram + SR_TSS2), 0, "JMP leaves no link");
    sr_free(r);
}

Test(task, call_and_iret)
{
    struct sys_rig *r = two_tasks();

    x86_set_pc(r->cpu, SR_CODE);
    cr_assert_eq(h_call_far(r->tc, SEL_TSS2, 0, 4ull << 32 | 7), 1);
    cr_assert(r->cpu->eflags & EF_NT);
    cr_assert_eq(ldl16(r->ram + SR_TSS2), SEL_TSS);
    cr_assert_eq(type_of(r, SEL_TSS), DT_TSS32_BUSY);
    cr_assert_eq(h_iret(r->tc, 4, 0, 2), 1);
    cr_assert_eq(r->tc->pc, SR_CODE + 7);
    cr_assert_eq(GPR(r->cpu, R_AX), 0x1234);
    cr_assert_eq(r->cpu->tr.sel, SEL_TSS);
    cr_assert_eq(type_of(r, SEL_TSS2), DT_TSS32);
    cr_assert_not(ldl32(r->ram + SR_TSS2 + 0x24) & EF_NT, "NT is cleared in the saved image");
    sr_free(r);
}

Test(task, interrupt_through_a_task_gate)
{
    struct sys_rig *r = two_tasks();

    stl64(r->ram + SR_IDT + EXC_DF * 8, sr_gate(SEL_TSS2, 0, 0x85, 0));
    x86_raise(r->cpu, EXC_DF);
    sr_deliver(r);
    cr_assert_eq(r->tc->pc, EIP2);
    cr_assert_eq(GPR(r->cpu, R_SP), ESP2 - 4);
    cr_assert_eq(sr_stack32(r, 0), 0);
    cr_assert_eq(ldl32(r->ram + SR_TSS + 0x20), SR_CODE);
    sr_free(r);
}

Test(task, faults_before_the_switch)
{
    struct sys_rig *r = two_tasks();

    h_jmp_far(r->tc, SEL_TSS, 0, 4ull << 32);
    sr_expect(r, EXC_GP, SEL_TSS);                       /* busy */
    sr_set_gdt(r, SEL_TSS2, sr_desc(SR_TSS2, 0x66, DA_TSS));
    h_jmp_far(r->tc, SEL_TSS2, 0, 4ull << 32);
    sr_expect(r, EXC_TS, SEL_TSS2);
    sr_set_gdt(r, SEL_TSS2, sr_desc(SR_TSS2, 0x67, 0x09));
    h_jmp_far(r->tc, SEL_TSS2, 0, 4ull << 32);
    sr_expect(r, EXC_NP, SEL_TSS2);
    cr_assert_eq(r->cpu->tr.sel, SEL_TSS);
    sr_free(r);
}

Test(task, faults_in_the_new_task)
{
    struct sys_rig *r = two_tasks();

    stl32(r->ram + SR_TSS2 + 0x50, SEL_DATA3);            /* SS */
    cr_assert_eq(h_jmp_far(r->tc, SEL_TSS2, 0, 4ull << 32), 0);
    cr_assert_eq(r->cpu->tr.sel, SEL_TSS2);
    cr_assert_eq(tcg_cur_pc(r->tc), EIP2);
    sr_expect(r, EXC_TS, SEL_DATA3 & ~3);
    sr_free(r);
}

Test(task, debug_bit)
{
    struct sys_rig *r = two_tasks();

    stl16(r->ram + SR_TSS2 + 0x64, 1);
    cr_assert_eq(h_jmp_far(r->tc, SEL_TSS2, 0, 4ull << 32), 1);
    cr_assert_eq(r->tc->run, 0);
    x86_service(r->tc);
    cr_assert_eq(r->tc->pc, SR_HANDLER + EXC_DB);
    cr_assert(r->cpu->dr[6] & DR6_BT);
    sr_free(r);
}

Test(task, tss16)
{
    struct sys_rig *r = two_tasks();
    uint8_t *t = r->ram + SR_TSS2;

    memset(t, 0, 0x68);
    stl16(t + 0x0e, 0x4321);
    stl16(t + 0x10, EF_1);
    stl16(t + 0x12, 0xbbbb);
    stl16(t + 0x22, SEL_DATA);
    stl16(t + 0x24, SEL_CODE);
    stl16(t + 0x26, SEL_DATA);
    stl16(t + 0x28, SEL_DATA);
    sr_set_gdt(r, SEL_TSS2, sr_desc(SR_TSS2, 0x2b, DA_TSS16));
    cr_assert_eq(h_jmp_far(r->tc, SEL_TSS2, 0, 4ull << 32), 1);
    cr_assert_eq(r->tc->pc, 0x4321);
    cr_assert_eq(GPR(r->cpu, R_AX) & 0xffff, 0xbbbb);
    cr_assert_eq(r->cpu->seg[S_FS].sel, 0);
    sr_free(r);
}

Test(task, vm86_task)
{
    struct sys_rig *r = two_tasks();
    uint8_t *t = r->ram + SR_TSS2;

    stl32(t + 0x24, EF_1 | EF_VM);
    stl32(t + 0x4c, 0x0600);
    stl32(t + 0x60, 0);
    cr_assert_eq(h_jmp_far(r->tc, SEL_TSS2, 0, 4ull << 32), 1);
    cr_assert_eq(r->cpu->cpl, 3);
    cr_assert_eq(r->cpu->seg[S_CS].base, 0x6000);
    cr_assert(r->cpu->mode & MODE_VM86);
    sr_free(r);
}
