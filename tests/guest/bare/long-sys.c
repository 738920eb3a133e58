/* long-sys.c - SYSCALL, SYSRET, SYSENTER, SYSEXIT */
#include "lib/desc.h"

#define MEM "memory", "cc"
enum { EFER = 0xc0000080, STAR = 0xc0000081, LSTAR, CSTAR, SFMASK };

/* the kernel side leaves through INT 0x22 with what it saw */
CODE(sc_entry, "mov %cs, %eax\n\tmov %ss, %ebx\n\tpushf\n\tpop %rdx\n\tmov %rsp, %rsi\n\tint $0x22");
CODE(sc_centry, "mov $0xc0de, %eax\n\tint $0x22");
CODE(user_syscall, "syscall\n\tint $0x80");
CODE(compat_syscall, ".code32\n\tsyscall\n\tint $0x80\n\t.code64");
CODE(sc_sysret, "mov $stack3_top, %rsp\n\tsysretq");
CODE(sc_sysret32, "mov $sc_back32, %ecx\n\tmov $0x202, %r11d\n\tsysretl");
CODE(sc_back32, ".code32\n\tmov %cs, %eax\n\tmov %ss, %ebx\n\tpushf\n\tpop %edx\n\tint $0x80\n\t.code64");
CODE(user_round, "mov $stack3_top - 64, %rsp\n\tsyscall\n\tmov %cs, %eax\n\tmov %ss, %ebx\n\tpushf\n\tpop %rdx\n\tint $0x80");
CODE(sc_bad_sysret, "mov $0x800000000000, %rcx\n\tsysretq");
CODE(user_sysret, "sysretq");
CODE(user_sysenter, "sysenter");
CODE(se_entry, "mov %cs, %eax\n\tmov %ss, %ebx\n\tmov %rsp, %rcx\n\tint $0x22");
CODE(se_sysexitq, "mov $se_back, %rdx\n\tmov $stack3_top, %rcx\n\trex.W sysexit");
CODE(se_sysexitl, "mov $se_back32, %edx\n\tmov $stack3_top, %ecx\n\tsysexitl");
CODE(se_back, "mov %cs, %eax\n\tmov %ss, %ebx\n\tmov %rsp, %rcx\n\tint $0x80");
CODE(se_back32, ".code32\n\tmov %cs, %eax\n\tmov %ss, %ebx\n\tmov %esp, %ecx\n\tint $0x80\n\t.code64");

static void test_syscall(void)
{
    /* SYSCALL: CS 8, SS 0x10; SYSRET: CS 0x18 + 0 or + 16, SS 0x20 */
    wrmsr(STAR, (u64)(SEL_UCODE32 & ~3) << 48 | (u64)SEL_CODE << 32);
    wrmsr(LSTAR, (ulong)sc_entry);
    wrmsr(CSTAR, (ulong)sc_centry);
    wrmsr(SFMASK, FL_IF | FL_TF | FL_DF | FL_CF);
    trap_arm();
    user_run((ulong)user_syscall, (ulong)stack3_top, 0x603, SEL_UCODE64, SEL_UDATA64);
    check_trap("SYSCALL", 0x22, 0);
    check("SYSCALL: CS, SS", trap.frame.ax << 16 | trap.frame.bx, SEL_CODE << 16 | SEL_DATA);
    check("SYSCALL: RCX", trap.frame.cx, (ulong)user_syscall + 2);
    check("SYSCALL: R11", trap.frame.r11, 0x603);
    check("SYSCALL: flags masked", trap.frame.dx & (FL_IF | FL_DF | FL_CF), 0);
    check("SYSCALL: RSP stays", trap.frame.si, (ulong)stack3_top);
    trap_arm();
    user_run((ulong)compat_syscall, (ulong)stack3_top, 2, SEL_UCODE32, SEL_UDATA);
    /* Intel CPUs have no SYSCALL outside 64 bit mode, AMD's have: the vendor decides */
    if (cpuid(0, 0).b == 0x756e6547)
        check_trap("SYSCALL in compatibility mode (Intel)", UD, 0);
    else
        check_trap("SYSCALL in compatibility mode (AMD)", 0x22, 0);
    wrmsr(LSTAR, (ulong)sc_sysret);
    trap_arm();
    user_run((ulong)user_round, (ulong)stack3_top, 0x202, SEL_UCODE64, SEL_UDATA64);
    check_trap("SYSRETQ", LEAVE_VEC, 0);
    check("SYSRETQ: CS, SS", trap.frame.ax << 16 | trap.frame.bx, SEL_UCODE64 << 16 | SEL_UDATA);
    check("SYSRETQ: IF is back", trap.frame.dx & FL_IF, FL_IF);
    wrmsr(LSTAR, (ulong)sc_sysret32);
    in_ring3(user_round);
    check_trap("SYSRETL", LEAVE_VEC, 0);
    check("SYSRETL: CS, SS", trap.frame.ax << 16 | trap.frame.bx, SEL_UCODE32 << 16 | SEL_UDATA);
    wrmsr(LSTAR, (ulong)sc_bad_sysret);
    in_ring3(user_round);
    if (cpuid(0, 0).b == 0x756e6547) {
        check_trap("SYSRET to a non-canonical address (Intel)", GP, 0);
        check("it faults in ring 0", trap.cs, SEL_CODE);
    }
    in_ring3(user_sysret);
    check_trap("SYSRET in ring 3", GP, 0);
    wrmsr(EFER, rdmsr(EFER) & ~1ull);
    in_ring3(user_syscall);
    check_trap("SYSCALL without SCE", UD, 0);
    wrmsr(EFER, rdmsr(EFER) | 1);
    TRY("wrmsr", : : "c"(LSTAR), "a"(0), "d"(0x8000) : MEM);
    check_trap("LSTAR non-canonical", GP, 0);
    NOT_UNDER_QEMU(
    TRY("wrmsr", : : "c"(EFER), "a"(0x501 | 1 << 20), "d"(0) : MEM);
    check_trap("EFER reserved bit", GP, 0);)
}

static void test_sysenter(void)
{
    wrmsr(0x174, 0);
    in_ring3(user_sysenter);
    if (trap.vec == UD && cpuid(0, 0).b != 0x756e6547) {
        skip("SYSENTER", "AMD CPUs have none in long mode");
        return;
    }
    check_trap("SYSENTER with CS 0", GP, 0);
    wrmsr(0x174, SEL_CODE);
    wrmsr(0x175, (ulong)stack0_top - 32);
    wrmsr(0x176, (ulong)se_entry);
    in_ring3(user_sysenter);
    check_trap("SYSENTER", 0x22, 0);
    check("SYSENTER: CS, SS", trap.frame.ax << 16 | trap.frame.bx, SEL_CODE << 16 | SEL_DATA);
    check("SYSENTER: RSP", trap.frame.cx, (ulong)stack0_top - 32);
    wrmsr(0x176, (ulong)se_sysexitq);
    in_ring3(user_sysenter);
    check_trap("SYSEXIT to 64 bit", LEAVE_VEC, 0);
    check("SYSEXIT: CS, SS", trap.frame.ax << 16 | trap.frame.bx, SEL_UCODE64 << 16 | SEL_UDATA64);
    wrmsr(0x176, (ulong)se_sysexitl);
    in_ring3(user_sysenter);
    check_trap("SYSEXIT to 32 bit", LEAVE_VEC, 0);
    check("SYSEXIT 32: CS, SS", trap.frame.ax << 16 | trap.frame.bx, SEL_UCODE32 << 16 | SEL_UDATA);
}

void test_long_sys(void);
void test_long_sys(void)
{
    test_syscall();
    test_sysenter();
}
