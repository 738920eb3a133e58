/* prot-gate.c - interrupt and trap gates, call gates, stack switches */
#include "lib/desc.h"

#define MEM "memory", "cc"

static void test_int_gates(void)
{
    ulong want;

    TRY("mov $1f, %0\n\tsti\n\tint $0x21\n1:", : "=r"(want) : : MEM);
    check("INT n pushes the next EIP", trap.ip, want);
    check("interrupt gate clears IF", trap.handler_flags & FL_IF, 0);
    check("the image keeps IF", trap.flags & FL_IF, FL_IF);
    idt_set(0x21, SEL_CODE, stub_of(0x21), G_TRAP, 0);
    TRY("sti\n\tint $0x21", : : : MEM);
    check("trap gate keeps IF", trap.handler_flags & FL_IF, FL_IF);
    idt_default(0x21);
    asm volatile("cli");
    idt_set(0x21, SEL_CODE, stub_of(0x21), G_INT & ~0x80, 0);
    TRY("int $0x21", : : : MEM);
    check_trap("gate not present", NP, 0x21 * 8 + 2);
    idt_set(0x21, SEL_CODE, stub_of(0x21), 0x92, 0);
    TRY("int $0x21", : : : MEM);
    check_trap("gate of a wrong type", GP, 0x21 * 8 + 2);
    idt_set(0x21, 0, stub_of(0x21), G_INT, 0);
    TRY("int $0x21", : : : MEM);
    check_trap("gate with null selector", GP, 0);
    idt_set(0x21, SEL_DATA, stub_of(0x21), G_INT, 0);
    TRY("int $0x21", : : : MEM);
    check_trap("gate to data", GP, SEL_DATA);
    idt_set(0x21, 0xfff8, stub_of(0x21), G_INT, 0);
    TRY("int $0x21", : : : MEM);
    check_trap("gate beyond the GDT", GP, 0xfff8);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, D_CODE & ~D_P);
    idt_set(0x21, SEL_SCRATCH, stub_of(0x21), G_INT, 0);
    TRY("int $0x21", : : : MEM);
    check_trap("gate to code not present", NP, SEL_SCRATCH);
    /* an exception that meets a bad gate: EXT is set, and the return is the instruction */
    idt_set(UD, SEL_SCRATCH, stub_of(UD), G_INT, 0);
    TRY("ud2", : : : MEM);
    check_trap("#UD through a bad gate has EXT", NP, SEL_SCRATCH | 1);
    idt_set(UD, SEL_CODE, stub_of(UD), G_INT & ~0x80, 0);
    TRY("ud2", : : : MEM);
    check_trap("#UD through an absent gate has EXT", NP, UD * 8 + 3);
    idt_default(UD);
    idt_set(0x21, SEL_UCODE32, stub_of(0x21), G_INT, 0);
    TRY("int $0x21", : : : MEM);
    check_trap("gate to an outer ring", GP, SEL_UCODE32 & ~3);
    idt_default(0x21);
    TRY("int3", : : : MEM);
    check_trap("INT3", BP, 0);
}

static void test_idt_limit(void)
{
    struct table_reg old, low;

    asm volatile("sidt %0" : "=m"(old));
    low = old;
    low.limit = 0x20 * 8 - 1;
    asm volatile("lidt %0" : : "m"(low));
    TRY("int $0x20", : : : MEM);
    check_trap("INT beyond the IDT limit", GP, 0x20 * 8 + 2);
    asm volatile("lidt %0" : : "m"(old));
}

CODE(ring3_int, "movl $0x1234, %eax\n\tint $0x80");
CODE(ring3_int3, "int3");
CODE(ring3_into, "mov $0x7f, %al\n\tinc %al\n\tinto");
CODE(ring3_icebp, ".byte 0xf1");
CODE(ring3_int_db, "int $1");

static void test_ring_change(void)
{
    in_ring3(ring3_int);
    check_trap("ring 3 INT", LEAVE_VEC, 0);
    check("switches to ESP0", trap.handler_sp, (u32)stack0_top);
    check("switches to SS0", trap.handler_ss, SEL_DATA);
    check("pushes the old ESP", trap.sp, (u32)stack3_top);
    check("pushes the old SS", trap.ss, SEL_UDATA);
    check("pushes the old CS", trap.cs, SEL_UCODE32);
    in_ring3(ring3_int3);
    check_trap("ring 3 INT3 through DPL 3", BP, 0);
    in_ring3(ring3_into);
    check_trap("ring 3 INTO through DPL 3", OF, 0);
    in_ring3(ring3_icebp);
    check_trap("ring 3 INT1 ignores the DPL", DB, 0);
    in_ring3(ring3_int_db);
    check_trap("ring 3 INT 1 does not", GP, DB * 8 + 2);
}

/* The gate leads here: hands out its parameters, then leaves */
CODE(gate_target, "mov %esp, %ebx\n\tmov 8(%esp), %ecx\n\tmov 12(%esp), %edx\n\tmov 16(%esp), %esi\n\tmov 20(%esp), %edi\n\tint $0x22");
CODE(gate_ret, "lret $8");
CODE(ring3_gate, "pushl $0x1111\n\tpushl $0x2222\n\tmov %esp, %ebp\n\tlcall $0x83, $0x12345678");
CODE(ring3_gate_ret, "pushl $0x1111\n\tpushl $0x2222\n\tmov $0x23, %eax\n\tmov %eax, %fs\n\tlcall $0x83, $0\n\tmov %esp, %ebx\n\tmov %cs, %ecx\n\tmov %ds, %esi\n\tint $0x80");
CODE(ring3_gate_jmp, "ljmp $0x83, $0");

static void gate(u32 sel, const void *target, u32 type, u32 params)
{
    gate_set(&gdt[SEL_GATE / 8], sel, (ulong)target, type, params);
}

static void test_call_gates(void)
{
    gate(SEL_CODE, gate_target, G_CALL | D_DPL3, 2);
    in_ring3(ring3_gate);
    check_trap("CALL through a gate to ring 0", 0x22, 0);
    check("its CS", trap.cs, SEL_CODE);
    check("its stack: SS, ESP, 2 parameters, CS, EIP", trap.frame.bx, (u32)stack0_top - 24);
    check("parameter copied: last", trap.frame.cx, 0x2222);
    check("parameter copied: first", trap.frame.dx, 0x1111);
    check("old ESP behind the parameters", trap.frame.si, (u32)stack3_top - 8);
    check("old SS behind it", trap.frame.di & 0xffff, SEL_UDATA);
    gate(SEL_CODE, gate_ret, G_CALL | D_DPL3, 2);
    in_ring3(ring3_gate_ret);
    check_trap("RETF n back to ring 3", LEAVE_VEC, 0);
    check("releases the parameters on both stacks", trap.frame.bx, (u32)stack3_top);
    check("CPL 3 again", trap.frame.cx & 0xffff, SEL_UCODE32);
    gate(SEL_CODE, gate_ret, G_CALL, 2);
    in_ring3(ring3_gate);
    check_trap("gate of DPL 0 from ring 3", GP, SEL_GATE);
    gate(SEL_CODE, gate_ret, (G_CALL | D_DPL3) & ~0x80, 2);
    in_ring3(ring3_gate);
    check_trap("gate not present", NP, SEL_GATE);
    gate(SEL_DATA, gate_ret, G_CALL | D_DPL3, 0);
    in_ring3(ring3_gate);
    check_trap("gate to data", GP, SEL_DATA);
    gate(0, gate_ret, G_CALL | D_DPL3, 0);
    in_ring3(ring3_gate);
    check_trap("gate to null", GP, 0);
    gate(SEL_CODE, gate_ret, G_CALL | D_DPL3, 0);
    in_ring3(ring3_gate_jmp);
    check_trap("JMP through a gate to an inner ring", GP, SEL_CODE);
    gate(SEL_CODE, gate_target, G_CALL, 0);
    TRY("lcall $0x80, $0", : : : "ebx", "ecx", "edx", "esi", "edi", MEM);
    check_trap("CALL gate in the same ring", 0x22, 0);
    check("no stack switch", trap.frame.bx != (u32)stack0_top - 16 && trap.frame.bx < 0x8000, 1);
    TRY("ljmp $0x80, $0", : : : "ebx", "ecx", "edx", "esi", "edi", MEM);
    check_trap("JMP gate in the same ring", 0x22, 0);
    gate(SEL_CODE, gate_target, G_CALL16 | D_DPL3, 2);
    in_ring3(ring3_gate);
    check_trap("16 bit call gate", 0x22, 0);
    check("16 bit call gate pushes words", trap.frame.bx, (u32)stack0_top - 12);
}

CODE(sysenter_target, "mov %cs, %eax\n\tmov %ss, %ebx\n\tmov %esp, %ecx\n\tpushf\n\tpop %edx\n\tint $0x22");
CODE(ring3_sysenter, "sysenter");
CODE(sysexit_back, "mov $sysexit_done, %edx\n\tmov $stack3_top, %ecx\n\tsysexit");
CODE(sysexit_done, "mov %cs, %eax\n\tmov %ss, %ebx\n\tmov %esp, %ecx\n\tint $0x80");

static void test_sysenter(void)
{
    wrmsr(0x174, 0);
    in_ring3(ring3_sysenter);
    check_trap("SYSENTER with CS 0", GP, 0);
    wrmsr(0x174, SEL_CODE);
    wrmsr(0x175, (u32)stack0_top - 64);
    wrmsr(0x176, (u32)sysenter_target);
    trap_arm();
    user_run((u32)ring3_sysenter, (u32)stack3_top, 0x202, SEL_UCODE32, SEL_UDATA);
    check_trap("SYSENTER", 0x22, 0);
    check("SYSENTER CS, SS", trap.frame.ax << 16 | (trap.frame.bx & 0xffff), SEL_CODE << 16 | SEL_DATA);
    check("SYSENTER ESP", trap.frame.cx, (u32)stack0_top - 64);
    check("SYSENTER clears IF", trap.frame.dx & FL_IF, 0);
    wrmsr(0x176, (u32)sysexit_back);
    in_ring3(ring3_sysenter);
    check_trap("SYSEXIT", LEAVE_VEC, 0);
    check("SYSEXIT CS, SS", trap.frame.ax << 16 | (trap.frame.bx & 0xffff), SEL_UCODE32 << 16 | SEL_UDATA);
    check("SYSEXIT ESP", trap.frame.cx, (u32)stack3_top);
}

void test_prot_gate(void);
void test_prot_gate(void)
{
    test_int_gates();
    test_idt_limit();
    test_ring_change();
    test_call_gates();
    test_sysenter();
}
