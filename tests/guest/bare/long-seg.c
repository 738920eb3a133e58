/* long-seg.c - long mode: segments, canonical addresses, bases, gates, IST, IRETQ, compatibility */
#include "lib/desc.h"

#define MEM "memory", "cc"
#define NONCANONICAL 0x0000800000000000ull

static u64 cell[4] __attribute__((aligned(32)));
static u8 ist_stack[1024] __attribute__((aligned(16)));

extern u8 ret_here[];

static void test_canonical(void)
{
    ulong v;

    TRY("mov (%0), %%rax", : : "r"(NONCANONICAL) : "rax", MEM);
    check_trap("non-canonical read", GP, 0);
    TRY("mov %%rax, (%0)", : : "r"(NONCANONICAL) : MEM);
    check_trap("non-canonical write", GP, 0);
    TRY("mov %%rsp, %%rbx\n\tmov %0, %%rbp\n\tmov (%%rbp), %%rax", : : "r"(NONCANONICAL) : "rax", "rbx", "rbp", MEM);
    check_trap("non-canonical through RBP", SS, 0);
    TRY("jmp *%0", : : "r"(NONCANONICAL) : MEM);
    check_trap("non-canonical JMP", GP, 0);
    TRY("push %0\n\tret", : : "r"(NONCANONICAL) : MEM);
    check_trap("non-canonical RET", GP, 0);
    for (int i = 0; i < 3; i++) {        /* known code, too, is left before it */
        TRY("push %1\n\tmov %%rsp, %0\n1:\tret\n\t.globl ret_here\n\t.set ret_here, 1b",
            : "=&r"(v) : "r"(NONCANONICAL) : MEM);   /* memory may be addressed by RSP, which PUSH changes */
        check("RET that faults: RSP", trap.sp, v);
        check("RET that faults: RIP", trap.ip, (ulong)ret_here);
    }
    cell[0] = 1;
    TRY("mov %%rsp, %0\n\tmov %1, -8(%%rsp)\n\tcall *%2", : "=m"(v) : "r"(cell[0]), "r"(NONCANONICAL) : MEM);
    check_trap("non-canonical CALL", GP, 0);
    check("CALL that faults: RSP", trap.sp, v);
    TRY("wrmsr", : : "c"(0xc0000100), "a"(0), "d"(0x8000) : MEM);
    check_trap("non-canonical FS base", GP, 0);
    TRY("invlpg (%0)", : : "r"(NONCANONICAL) : MEM);
    check_trap("INVLPG non-canonical does nothing", -1, 0);
    TRY("lea (%1), %0", : "=r"(v) : "r"(NONCANONICAL) : MEM);
    check_trap("LEA non-canonical", -1, 0);
}

static void test_bases(void)
{
    u64 v;

    wrmsr(0xc0000100, (ulong)cell);
    cell[1] = 0x1122334455667788;
    asm volatile("mov %%fs:8, %0" : "=r"(v));
    check("FS base", v, cell[1]);
    wrmsr(0xc0000101, (ulong)cell);
    wrmsr(0xc0000102, (ulong)cell + 16);
    cell[2] = 0x99;
    asm volatile("swapgs\n\tmov %%gs:0, %0\n\tswapgs" : "=r"(v));
    check("SWAPGS", v, 0x99);
    check("SWAPGS twice", rdmsr(0xc0000101), (ulong)cell);
    asm volatile("mov %0, %%fs" : : "r"(SEL_DATA));
    check("loading FS loads its base", rdmsr(0xc0000100), 0);
    wrmsr(0xc0000100, (u64)cell);
    gdt_set(SEL_SCRATCH, 0x12345678, 0, D_DATA);
    asm volatile("mov %0, %%fs" : : "r"(SEL_SCRATCH));
    check("a 32 bit base from the descriptor", rdmsr(0xc0000100), 0x12345678);
    TRY("mov %%ds:(%1), %0", : "=r"(v) : "r"(cell + 1) : MEM);
    check("DS base and limit are ignored", v, cell[1]);
    TRY("mov %0, %%ss\n\tmov %1, %%ss", : : "r"(0), "r"(SEL_DATA) : MEM);
    check_trap("SS null in ring 0, 64 bit", -1, 0);
    asm volatile("mov %0, %%ds" : : "r"(0));
    TRY("mov %%ds:(%1), %0", : "=r"(v) : "r"(cell + 1) : MEM);
    check_trap("null DS is usable", -1, 0);
    asm volatile("mov %0, %%ds" : : "r"(SEL_DATA));
    if (has_leaf7(0)) {
        TRY("rdfsbase %0", : "=r"(v) : : MEM);
        check_trap("RDFSBASE without CR4.FSGSBASE", UD, 0);
        write_cr4(read_cr4() | CR4_FSGSBASE);
        TRY("wrfsbase %1\n\trdfsbase %0", : "=&r"(v) : "r"((ulong)cell) : MEM);
        check("WRFSBASE, RDFSBASE", v, (ulong)cell);
        TRY("wrgsbase %0", : : "r"(NONCANONICAL) : MEM);
        check_trap("WRGSBASE non-canonical", GP, 0);
        write_cr4(read_cr4() & ~(ulong)CR4_FSGSBASE);
    } else {
        skip("FSGSBASE", "CPUID does not offer it");
    }
    wrmsr(0xc0000100, 0);
    wrmsr(0xc0000101, 0);
}

static void test_removed(void)
{
    TRY(".byte 0x27", : : : MEM);
    check_trap("DAA is undefined", UD, 0);
    TRY(".byte 0x06", : : : MEM);
    check_trap("PUSH ES is undefined", UD, 0);
    TRY(".byte 0xea, 0, 0, 0, 0, 8, 0", : : : MEM);
    check_trap("JMP ptr16:32 is undefined", UD, 0);
    TRY(".byte 0xce", : : : MEM);
    check_trap("INTO is undefined", UD, 0);
    TRY(".byte 0x60", : : : MEM);
    check_trap("PUSHA is undefined", UD, 0);
    NOT_UNDER_QEMU(
    TRY("mov %%cr4, %%rax\n\tbtr $5, %%rax\n\tmov %%rax, %%cr4", : : : "rax", MEM);
    check_trap("clearing PAE in long mode", GP, 0);)
    NOT_UNDER_QEMU(
    TRY("rdmsr\n\tbtr $8, %%eax\n\twrmsr", : : "c"(0xc0000080) : "rax", "rdx", MEM);
    check_trap("clearing LME under paging", GP, 0);)
    NOT_UNDER_QEMU(
    TRY("mov %0, %%cr0", : : "r"(read_cr0() | 1ull << 32) : MEM);
    check_trap("CR0 upper half", GP, 0);)
}

static void test_interrupts(void)
{
    ulong sp, a;

    for (int off = 0; off < 16; off += 8) {
        TRY("mov %%rsp, %%rbx\n\tand $-16, %%rsp\n\tsub %1, %%rsp\n\tmov %%rsp, %0\n\tint $0x21", : "=&r"(sp) : "r"((ulong)off) : "rbx", MEM);
        check(off ? "RSP aligned before the push: misaligned" : "RSP aligned before the push: aligned",
              trap.handler_sp, sp & ~15ul);
        check(off ? "RSP in the frame: misaligned" : "RSP in the frame: aligned", trap.sp, sp);
    }
    check("SS is pushed in the same ring", trap.ss, SEL_DATA);
    tss.ist[0] = (ulong)ist_stack + sizeof(ist_stack);
    idt_set(0x21, SEL_CODE, stub_of(0x21), G_INT, 1);
    TRY("int $0x21", : : : MEM);
    check("IST1", trap.handler_sp, tss.ist[0]);
    tss.ist[0] = NONCANONICAL;
    idt_set(0x21, SEL_CODE, stub_of(0x21), G_INT, 1);
    TRY("int $0x21", : : : MEM);
    check_trap("IST non-canonical", SS, 0);
    tss.ist[0] = (ulong)ist_stack + sizeof(ist_stack);
    idt_set(0x21, SEL_CODE32, stub_of(0x21), G_INT, 0);
    TRY("int $0x21", : : : MEM);
    check_trap("gate to a 32 bit segment", GP, SEL_CODE32);
    idt_set(0x21, SEL_CODE, NONCANONICAL, G_INT, 0);
    TRY("int $0x21", : : : MEM);
    check_trap("gate to a non-canonical address", GP, 0);
    idt_set(0x21, SEL_CODE, 0, G_TASK, 0);
    TRY("int $0x21", : : : MEM);
    check_trap("task gate in long mode", GP, 0x21 * 8 + 2);
    idt_set(0x21, SEL_CODE, stub_of(0x21), G_INT & ~0x80, 0);
    TRY("int $0x21", : : : MEM);
    check_trap("gate not present", NP, 0x21 * 8 + 2);
    idt_default(0x21);
    TRY("mov $1f, %0\n\tint3\n1:", : "=r"(a) : : MEM);
    check("INT3: IP", trap.ip, a);
    TRY("mov %0, %%fs", : : "r"(GDT_BYTES) : MEM);
    check_trap("segment beyond the GDT", GP, GDT_BYTES);
    TRY("ljmp *%0", : : "m"(*(u8 *)&(struct { u32 o; u16 s; } __attribute__((packed))){ 0, SEL_TSS }) : MEM);
    check_trap("JMP to a TSS in long mode", GP, SEL_TSS);
}

CODE(user_int, "mov %cs, %ebx\n\tmov %ss, %ecx\n\tint $0x80");
CODE(user_gp, "hlt");
CODE(compat_code, ".code32\n\tmov %cs, %ebx\n\tmov $-1, %eax\n\tinc %eax\n\t.byte 0x40\n\tmov %esp, %ecx\n\tint $0x80\n\t.code64");
CODE(compat_daa, ".code32\n\tmov $0x79, %al\n\tadd $0x35, %al\n\tdaa\n\tpushl $0x12345678\n\tpop %ebx\n\tint $0x80\n\t.code64");
CODE(compat_limit, ".code32\n\tmov $0x93, %ebx\n\tmov %ebx, %fs\n\tmov %fs:0x10, %eax\n\tint $0x80\n\t.code64");
CODE(compat_call64, ".code32\n\tlcall $0x83, $0\n\tint $0x80\n\t.code64");
CODE(gate64, "mov %cs, %ebx\n\tmov %rsp, %rcx\n\tint $0x22");
CODE(compat16, ".code16\n\tmov $0xffff, %ax\n\tinc %ax\n\tmov %cs, %bx\n\tint $0x80\n\t.code64");

static int run_as(const u8 *code, ulong cs, ulong ss)
{
    trap_arm();
    user_run((ulong)code, (ulong)stack3_top, 2, cs, ss);
    return trap.vec;
}

static void test_rings(void)
{
    in_ring3(user_int);
    check_trap("ring 3, 64 bit", LEAVE_VEC, 0);
    check("its CS and SS", trap.frame.bx << 16 | (trap.frame.cx & 0xffff), (u64)SEL_UCODE64 << 16 | SEL_UDATA64);
    check("RSP0", trap.handler_sp, (ulong)stack0_top);
    in_ring3(user_gp);
    check_trap("ring 3 HLT", GP, 0);
    run_as(compat_code, SEL_UCODE32, SEL_UDATA);
    check_trap("compatibility mode", LEAVE_VEC, 0);
    check("0x40 is INC there", trap.frame.ax, 1);
    check("CS of compatibility mode", trap.frame.bx, SEL_UCODE32);
    run_as(compat_daa, SEL_UCODE32, SEL_UDATA);
    check("DAA and 32 bit PUSH", (trap.frame.ax & 0xff) | trap.frame.bx << 8, 0x1234567814);
    gdt_set(SEL_SCRATCH, (ulong)cell, 15, (D_UDATA & ~D_G));
    run_as(compat_limit, SEL_UCODE32, SEL_UDATA);
    check_trap("limits count in compatibility mode", GP, 0);
    gdt_set(SEL_SCRATCH2, 0, 0xffff, D_CODE16 | D_DPL3);
    if ((ulong)compat16 < 0x10000) {
        run_as(compat16, SEL_SCRATCH2 | 3, SEL_UDATA);
        check_trap("16 bit compatibility mode", LEAVE_VEC, 0);
        check("16 bit operands", trap.frame.ax & 0xffff, 0);
    }
    gate_set(&gdt[SEL_GATE / 8], SEL_CODE, (ulong)gate64, G_CALL | D_DPL3, 0);
    gdt[SEL_GATE / 8 + 1] = (u64)0x1f << 40;
    run_as(compat_call64, SEL_UCODE32, SEL_UDATA);
    check_trap("call gate with a type in its second half", GP, SEL_GATE);
    run_as(user_int, SEL_CODE32, SEL_DATA);
    check_trap("IRETQ to 32 bit ring 0", LEAVE_VEC, 0);
    run_as(user_int, SEL_UCODE64, SEL_DATA);
    check_trap("IRETQ: SS of DPL 0 for ring 3", GP, SEL_DATA);
    run_as(user_int, SEL_UCODE64, 0);
    check_trap("IRETQ: null SS for ring 3", GP, 0);
    run_as(user_int, SEL_CODE, 0);
    check_trap("IRETQ: null SS for ring 0, 64 bit", LEAVE_VEC, 0);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, 0xe0fb); /* L and D */
    run_as(user_int, SEL_SCRATCH | 3, SEL_UDATA);
    check_trap("IRETQ: L and D both set", GP, SEL_SCRATCH);
    trap_arm();
    user_run(NONCANONICAL, (ulong)stack3_top, 2, SEL_UCODE64, SEL_UDATA64);
    check_trap("IRETQ to a non-canonical address", GP, 0);
    trap_arm();
    user_run((ulong)user_int, (ulong)stack3_top, 2 | FL_NT, SEL_UCODE64, SEL_UDATA64);
    check("IRETQ takes NT", trap.flags & FL_NT, FL_NT);
    TRY("pushf\n\torl $0x4000, (%%rsp)\n\tpopf\n\tiretq", : : : MEM);
    check_trap("IRETQ with NT", GP, 0);
}

static void test_call_gate(void)
{
    ulong rsp = (ulong)stack0_top;

    gate_set(&gdt[SEL_GATE / 8], SEL_CODE, (ulong)gate64, G_CALL | D_DPL3, 0);
    gdt[SEL_GATE / 8 + 1] = 0;
    /* 16 bytes: the gate and its upper half */
    run_as(compat_call64, SEL_UCODE32, SEL_UDATA);
    check("64 bit call gate: CS", trap.frame.bx, SEL_CODE);
    check("64 bit call gate: 32 bytes pushed", trap.frame.cx, rsp - 32);
}

static void test_cmpxchg16b(void)
{
    u64 lo, hi;
    u8 zf;

    cell[0] = 1;
    cell[1] = 2;
    asm volatile("lock cmpxchg16b %3\n\tsetz %2" : "=a"(lo), "=d"(hi), "=q"(zf), "+m"(cell) : "0"(1ull), "1"(2ull), "b"(3ull), "c"(4ull) : "cc");
    check("CMPXCHG16B equal", zf && cell[0] == 3 && cell[1] == 4, 1);
    asm volatile("lock cmpxchg16b %3\n\tsetz %2" : "=a"(lo), "=d"(hi), "=q"(zf), "+m"(cell) : "0"(1ull), "1"(2ull), "b"(5ull), "c"(6ull) : "cc");
    check("CMPXCHG16B different", !zf && lo == 3 && hi == 4 && cell[0] == 3, 1);
    TRY("cmpxchg16b (%0)", : : "r"((ulong)cell + 8) : "rax", "rdx", MEM);
    check_trap("CMPXCHG16B misaligned", GP, 0);
}

void test_long_seg(void);
void test_long_seg(void)
{
    test_canonical();
    test_bases();
    test_removed();
    test_interrupts();
    test_rings();
    test_call_gate();
    test_cmpxchg16b();
}
