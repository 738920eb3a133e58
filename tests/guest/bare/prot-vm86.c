/* prot-vm86.c - virtual 8086 mode, without and with VME */
#include "lib/desc.h"

#define MEM "memory", "cc"
#define SEG 0x3000u             /* code of the guest: linear 0x30000 */
#define REAL_IVT_HANDLER 0x200u /* its own INT handler, for VME */

void vm86_run(const u32 frame[9]);

/* Copy 16 bit code to SEG:0 and run it there with these flags */
static int vm(const u8 *code, const u8 *end, u32 flags)
{
    u32 frame[9] = { 0, SEG, flags | FL_VM | 2, 0x1000, SEG, 0x1111, 0x2222, 0x3333, 0x4444 };

    bytes_copy((void *)(SEG << 4), code, (u32)(end - code));
    trap_arm();
    vm86_run(frame);
    return trap.vec;
}

#define CODE16(name, text) \
    CODE(name, ".code16\n\t" text "\n\t.code32\n\t.globl " #name "_end\n" #name "_end:"); \
    extern u8 name##_end[]
#define RUN(name, flags) vm(name, name##_end, flags)

CODE16(vm_regs, "mov %es, %ax\n\tmov %gs, %bx\n\tmov %cs, %cx\n\tmov %ss, %dx\n\thlt");
CODE16(vm_int, "int $0x80");
CODE16(vm_int3, "int3");
CODE16(vm_cli, "cli\n\thlt");
CODE16(vm_sti, "sti\n\thlt");
CODE16(vm_pushf, "pushf\n\tpop %bx\n\thlt");
CODE16(vm_popf, "push $0x202\n\tpopf\n\thlt");
CODE16(vm_popf0, "push $0\n\tpopf\n\thlt");
CODE16(vm_iret, "iret");
CODE16(vm_seg, "mov $0x4000, %ax\n\tmov %ax, %ds\n\tmovw $0x5aa5, 0x10\n\tmov %ds, %bx\n\thlt");
CODE16(vm_limit, "movw 0xffff, %ax");
CODE16(vm_in, "in $0x61, %al\n\thlt");
CODE16(vm_lldt, "lldt %ax");
CODE16(vm_mov_cr, "mov %cr0, %eax");
CODE16(vm_ud, "ud2");
CODE16(vm_int21, "mov $0x55, %ax\n\tint $0x21\n\thlt");
CODE16(vm_popfl, "pushl $0x202\n\tpopfl\n\thlt");
CODE16(vm_popf_tf, "push $0x102\n\tpopf\n\tnop\n\thlt");

static int hook_iret(struct frame *f)
{
    if (f->vec != LEAVE_VEC)
        return 0;
    f->ax = 0x77;
    return 1;
}
CODE16(vm_round, "int $0x80\n\tmov %ds, %bx\n\thlt");

static void test_plain(void)
{
    RUN(vm_regs, 0);
    check_trap("VM86: HLT", GP, 0);
    check("VM86: ES and GS", trap.frame.ax << 16 | (trap.frame.bx & 0xffff), 0x11114444);
    check("VM86: CS and SS", trap.frame.cx << 16 | (trap.frame.dx & 0xffff), 0x30003000);
    check("VM flag in the image", trap.flags & FL_VM, FL_VM);
    check("VM86: CS pushed", trap.cs, SEG);
    check("VM86: ESP pushed", trap.sp, 0x1000);
    check("VM86: DS pushed", trap.frame.vm_ds & 0xffff, 0x2222);
    check("VM86: ES, FS, GS pushed", (trap.frame.vm_es & 0xffff) == 0x1111 && (trap.frame.vm_fs & 0xffff) == 0x3333 &&
          (trap.frame.vm_gs & 0xffff) == 0x4444, 1);
    check("data segments are null in the handler", (trap.frame.ds | trap.frame.es | trap.frame.fs | trap.frame.gs) & 0xffff, 0);
    check("handler stack: 9 dwords from ESP0", trap.handler_sp, (u32)stack0_top);
    check("handler CPL 0", trap.handler_cs, SEL_CODE);
    RUN(vm_int, 0);
    check_trap("INT n, IOPL 0", GP, 0);
    RUN(vm_int, 0x3000);
    check_trap("INT n, IOPL 3", LEAVE_VEC, 0);
    RUN(vm_int3, 0);
    check_trap("INT3 does not look at IOPL", BP, 0);
    RUN(vm_cli, 0);
    check_trap("CLI, IOPL 0", GP, 0);
    check("CLI: IP", trap.ip, 0);
    RUN(vm_cli, 0x3200);
    check("CLI, IOPL 3", trap.flags & FL_IF, 0);
    check("CLI, IOPL 3: ran", trap.ip, 1);
    RUN(vm_sti, 0);
    check("STI, IOPL 0: IP", trap.ip, 0);
    RUN(vm_pushf, 0);
    check("PUSHF, IOPL 0: IP", trap.ip, 0);
    RUN(vm_pushf, 0x3000);
    check("PUSHF, IOPL 3", trap.frame.bx & 0x7202, 0x3002);
    RUN(vm_popf, 0);
    check("POPF, IOPL 0: IP", trap.ip, 3); /* behind PUSH imm16 */
    RUN(vm_popf, 0x3000);
    check("POPF, IOPL 3: IF, IOPL stays", trap.flags & 0x3200, 0x3200);
    RUN(vm_iret, 0);
    check_trap("IRET, IOPL 0", GP, 0);
    RUN(vm_seg, 0);
    check("segment = selector << 4", *(volatile u16 *)0x40010, 0x5aa5);
    check("DS read back", trap.frame.bx & 0xffff, 0x4000);
    RUN(vm_limit, 0);
    check_trap("limit 0xffff", GP, 0);
    RUN(vm_in, 0x3000);
    check_trap("IN: bitmap even with IOPL 3", GP, 0);
    RUN(vm_lldt, 0);
    check_trap("LLDT", UD, 0);
    RUN(vm_mov_cr, 0);
    check_trap("MOV from CR0", GP, 0);
    RUN(vm_ud, 0);
    check_trap("#UD", UD, 0);
    trap.hook = hook_iret;
    RUN(vm_round, 0x3000);
    trap.hook = 0;
    check_trap("IRET back to VM86", GP, 0);
    check("registers come back", trap.frame.ax, 0x77);
    check("DS comes back", trap.frame.bx & 0xffff, 0x2222);
}

static void test_vme(void)
{
    volatile u16 *ivt = (volatile u16 *)0;
    static const u8 handler[] = { 0xbb, 0x99, 0x00, 0xf4 }; /* mov $0x99, %bx; hlt */

    if (!(cpuid(1, 0).d & 2)) {
        skip("VME", "CPUID does not offer it");
        return;
    }
    write_cr4(read_cr4() | CR4_VME);
    ivt[0x21 * 2] = REAL_IVT_HANDLER;
    ivt[0x21 * 2 + 1] = SEG;
    bytes_copy((void *)((SEG << 4) + REAL_IVT_HANDLER), handler, sizeof(handler));
    tss.iomap = 104 + 32;
    bytes_set(tss.intmap, 0, 32);
    RUN(vm_int21, FL_VIF);
    check("VME: redirected INT", trap.frame.bx & 0xffff, 0x99);
    check("VME: at its handler", trap.ip, REAL_IVT_HANDLER + 3);
    check("VME: pushed IP on the 16 bit stack", *(volatile u16 *)((SEG << 4) + 0xffa), 5);
    check("VME: pushed flags: IF is VIF, IOPL reads 3", *(volatile u16 *)((SEG << 4) + 0xffe) & 0x3200, 0x3200);
    check("VME: the INT clears VIF", trap.flags & FL_VIF, 0);
    tss.intmap[0x21 / 8] |= 1 << (0x21 & 7);
    RUN(vm_int21, 0);
    check_trap("VME: bitmap 1, IOPL 0", GP, 0);
    idt_set(0x21, SEL_CODE, stub_of(0x21), G_INT | D_DPL3, 0);
    RUN(vm_int21, 0x3000);
    check_trap("VME: bitmap 1, IOPL 3", 0x21, 0);
    idt_default(0x21);
    RUN(vm_sti, 0);
    check("VME: STI sets VIF", trap.flags & (FL_VIF | FL_IF), FL_VIF);
    check("VME: STI ran", trap.ip, 1);
    RUN(vm_cli, FL_VIF | FL_IF);
    check("VME: CLI clears VIF only", trap.flags & (FL_VIF | FL_IF), FL_IF);
    RUN(vm_sti, FL_VIP);
    check_trap("VME: STI with VIP", GP, 0);
    check("VME: STI with VIP: IP", trap.ip, 0);
    RUN(vm_pushf, FL_VIF);
    check("VME: PUSHF shows VIF, IOPL 3", trap.frame.bx & 0x3200, 0x3200);
    RUN(vm_popf, 0);
    check("VME: POPF sets VIF", trap.flags & (FL_VIF | FL_IF), FL_VIF);
    RUN(vm_popf0, FL_VIF | FL_IF);
    check("VME: POPF clears VIF", trap.flags & (FL_VIF | FL_IF), FL_IF);
    RUN(vm_popfl, 0);
    check_trap("VME: POPFD traps", GP, 0);
    RUN(vm_popf_tf, 0);
    check_trap("VME: POPF with TF traps", GP, 0);
    check("VME: POPF with TF: IP", trap.ip, 3);
    bytes_set(tss.intmap, 0xff, 32);
    tss.iomap = sizeof(tss);
    write_cr4(read_cr4() & ~CR4_VME);
}

CODE(ring3_sti, "sti\n\tint $0x80");
CODE(ring3_pvi_cli, "cli\n\tint $0x80");

static void test_pvi(void)
{
    if (!(cpuid(1, 0).d & 2))
        return;
    write_cr4(read_cr4() | CR4_PVI);
    in_ring3(ring3_sti);
    check_trap("PVI: STI", LEAVE_VEC, 0);
    check("PVI: STI sets VIF", trap.flags & (FL_VIF | FL_IF), FL_VIF);
    trap_arm();
    user_run((u32)ring3_pvi_cli, (u32)stack3_top, FL_VIF | 2, SEL_UCODE32, SEL_UDATA);
    check("PVI: CLI clears VIF", trap.flags & FL_VIF, 0);
    write_cr4(read_cr4() & ~CR4_PVI);
}

void test_prot_vm86(void);
void test_prot_vm86(void)
{
    test_plain();
    test_vme();
    test_pvi();
}
