/* real.c - real mode: interrupts, segments, stack, strings, A20, single step */
#include "lib/bare.h"

#define MEM "memory", "cc"
#define BUF 0x1000u /* free memory within segment 0 */

static u32 peek(u32 a) { return *(volatile u32 *)a; }
static u8 scratch[64] __attribute__((aligned(16)));
struct idtr { u16 limit; u32 base; } __attribute__((packed));

static void test_reset_state(void)
{
    check("reset EAX", peek(0x500), 0);
    check("reset EDX has a family", (peek(0x504) & 0xf00) != 0, 1);
    check("reset CR0", peek(0x508), 0x60000010);
    check("reset EFLAGS", peek(0x50c) & ~0x44u, 2); /* XOR ran since: ZF, PF */
}

static void test_interrupts(void)
{
    ulong sp, want;

    TRY("mov %%esp, %0\n\tclc\n\tstd\n\tint $0x21", : "=&r"(sp) : : MEM);
    check_trap("INT n vector", 0x21, 0);
    check("INT pushes 6 bytes", sp - (trap.handler_sp - 6), 6);
    check("INT flags pushed", trap.flags & (FL_DF | FL_CF | 0x8002), FL_DF | 2);
    check("INT CS pushed", trap.cs, 0);
    TRY("sti\n\tint $0x22", : : : MEM);
    check("INT keeps IF in the image", trap.flags & FL_IF, FL_IF);
    check("INT clears IF", trap.handler_flags & (FL_IF | FL_TF), 0);
    asm volatile("cli");
    TRY("mov $1f, %0\n\tint $0x23\n1:", : "=r"(want) : : MEM);
    check("INT n IP is the next instruction", trap.ip, want);
    TRY("mov $1f, %0\n\tint3\n1:", : "=r"(want) : : MEM);
    check_trap("INT3", BP, 0);
    check("INT3 IP is the next instruction", trap.ip, want);
    TRY("mov $1f, %0\n\tmovb $0x7f, %%al\n\taddb $1, %%al\n\tinto\n1:", : "=&d"(want) : : "eax", MEM);
    check_trap("INTO with OF", OF, 0);
    check("INTO IP is the next instruction", trap.ip, want);
    TRY("xor %%al, %%al\n\tinto", : : : "eax", MEM);
    check_trap("INTO without OF", -1, 0);
    TRY("mov $1f, %0\n\txor %%cx, %%cx\n1:\tdiv %%cx", : "=&b"(want) : : "eax", "edx", "ecx", MEM);
    check_trap("#DE", DE, 0);
    check("#DE IP is the instruction", trap.ip, want);
    TRY("mov $0x8000, %%ax\n\tcwd\n\tmov $-1, %%cx\n\tidiv %%cx", : : : "eax", "edx", "ecx", MEM);
    check_trap("IDIV overflow", DE, 0);
    *(u16 *)scratch = 5;
    *(u16 *)(scratch + 2) = 9;
    TRY("mov $1f, %0\n1:\tboundw %%ax, (%2)", : "=&d"(want) : "a"(10), "b"(scratch) : MEM);
    check_trap("BOUND above", BR, 0);
    check("#BR IP is the instruction", trap.ip, want);
    TRY("boundw %%ax, (%1)", : : "a"(9), "b"(scratch) : MEM);
    check_trap("BOUND at the upper bound", -1, 0);
    TRY("boundw %%ax, (%1)", : : "a"(4), "b"(scratch) : MEM);
    check_trap("BOUND below", BR, 0);
}

static int hook_iret(struct frame *f)
{
    f->flags |= FL_CF | 0x8000;
    return 1;
}

static void test_iret(void)
{
    ulong fl, sp0, sp1;

    trap.hook = hook_iret;
    TRY("mov %%esp, %1\n\tclc\n\tint $0x21\n\tmov %%esp, %2\n\tpushfl\n\tpopl %0",
        : "=&r"(fl), "=&r"(sp0), "=&r"(sp1) : : MEM);
    trap.hook = 0;
    check("IRET takes flags", fl & (FL_CF | 0x8002), FL_CF | 2);
    check("IRET balances the stack", sp1, sp0);
    TRY("pushw $0x7ed7\n\tpushw $0\n\tpushw $1f\n\tiretw\n1:\tpushfl\n\tpopl %0\n\tpushl $2\n\tpopfl", : "=r"(fl) : : MEM);
    check("IRETW flags, IOPL and NT too", fl & 0x7ed7, 0x7ed7);
}

static void test_lidt(void)
{
    struct idtr low = { 0x20 * 4 - 1, 0 }, moved = { 0x3ff, BUF }, normal = { 0x3ff, 0 };
    u16 got[3] = { 0 };

    asm volatile("lidtl %0" : : "m"(low));
    TRY("int $0x1f", : : : MEM);
    check_trap("INT within the IDT limit", 0x1f, 0);
    TRY("int $0x20", : : : MEM); /* SDM vol. 2 INT: real mode, #GP beyond the limit */
    check_trap("INT beyond the IDT limit", GP, 0);
    for (u32 i = 0; i < 64; i++)
        *(volatile u32 *)(BUF + 4 * i) = peek(4 * (i ^ 1));
    asm volatile("lidtl %0" : : "m"(moved));
    TRY("int $0x30", : : : MEM);
    check_trap("IVT elsewhere", 0x31, 0);
    asm volatile("lidtl %0" : : "m"(normal));
    asm volatile("sidtl %0" : "=m"(got));
    check("SIDT limit", got[0], 0x3ff);
}

static void test_limits(void)
{
    u32 v;

    TRY("movw %%ds:0xfffe, %%ax", : : : "eax", MEM);
    check_trap("word at 0xfffe", -1, 0);
    TRY("movw %%ds:0xffff, %%ax", : : : "eax", MEM);
    check_trap("word at 0xffff", GP, 0);
    TRY("movl %%ds:0xfffd, %%eax", : : : "eax", MEM);
    check_trap("dword at 0xfffd", GP, 0);
    TRY("movb %%ds:0xffff, %%al", : : : "eax", MEM);
    check_trap("byte at 0xffff", -1, 0);
    TRY("movb (%0), %%al", : : "r"(0x10000) : "eax", MEM);
    check_trap("32 bit address beyond 64 KiB", GP, 0);
    TRY("movw %%ss:0xffff, %%ax", : : : "eax", MEM);
    check_trap("word at SS:0xffff", SS, 0);
    TRY("movl $0x12345678, %%ds:0xfffe", : : : MEM);
    check_trap("store across the limit", GP, 0);
    TRY("mov $0x20, %%bx\n\tmov %%ds:0xfff0(%%bx), %%al", : : : "eax", "ebx", MEM);
    check_trap("16 bit address sum wraps", -1, 0);
    /* at 0x2000:0: the sum wraps to offset 0x10 of the segment */
    *(volatile u8 *)0x610 = 0x5a;
    TRY("mov $0x60, %%ax\n\tmov %%ax, %%fs\n\tmov $0x20, %%bx\n\tmovzbl %%fs:0xfff0(%%bx), %0\n\txor %%ax, %%ax\n\tmov %%ax, %%fs",
        : "=r"(v) : : "eax", "ebx", MEM);
    check("wrapped address reads offset 0x10", v, 0x5a);
    TRY("mov $0x2000, %%ax\n\tmov %%ax, %%ss\n\txor %%sp, %%sp\n\tpushw $0x1234\n\tmovzwl %%sp, %0\n\tmov $0, %%ax\n\tmov %%ax, %%ss\n\tmov trap+4, %%esp",
        : "=r"(v) : : "eax", MEM);
    check("PUSH wraps SP from 0 to 0xfffe", v, 0xfffe);
    /* a jump beyond the end: IP keeps 16 bits with 16 bit operands */
    TRY("mov $0x3000, %%ax\n\tmov %%ax, %%fs\n\tmovw $0x10eb, %%fs:0xfffc\n\tmovb $0xcb, %%fs:0x0e\n\t"
        "movzwl %%sp, %%ebx\n\tpushw %%cs\n\tpushw $1f\n\tljmp $0x3000, $0xfffc\n1:\n\txor %%ax, %%ax\n\tmov %%ax, %%fs", : : : "eax", "ebx", MEM);
    check_trap("JMP SHORT wraps IP", -1, 0);
    /* behind the end: INT 0x2F, for CPUs that do not look at the limit */
    TRY("mov $0x4000, %%ax\n\tmov %%ax, %%fs\n\tmovl $0x2fcd2fcd, %%fs:0\n\tmov $0x1000, %%ax\n\tmov %%ax, %%fs\n\tmovl $0x2fcd2fcd, %%fs:0", : : : "eax", MEM);
    TRY("mov $0x3000, %%ax\n\tmov %%ax, %%fs\n\tmovb $0x90, %%fs:0xffff\n\tljmp $0x3000, $0xffff", : : : "eax", MEM);
    check_trap("code runs past the limit", GP, 0);
    TRY("mov $0x3000, %%ax\n\tmov %%ax, %%fs\n\tmovl $0x2fcd2fcd, %%fs:0\n\tmovb $0xb0, %%fs:0xffff\n\tljmp $0x3000, $0xffff", : : : "eax", MEM);
    check_trap("instruction crosses the limit", GP, 0);
    check("IP of the crossing instruction", trap.ip, 0xffff);
    TRY("ljmpl $0, $0x10000", : : : MEM);
    check_trap("JMP to an offset beyond the limit", GP, 0);
}

static u64 unreal_gdt[3] = { 0, 0x00cf93000000ffff, 0x000093000000ffff };

/* Load FS with descriptor @sel in protected mode, then come back. */
static void load_fs(u32 sel)
{
    struct { u16 limit; u32 base; } __attribute__((packed)) gdtr = { 23, (u32)unreal_gdt };

    asm volatile("lgdtl %1\n\tmov %%cr0, %%eax\n\tor $1, %%al\n\tmov %%eax, %%cr0\n\tmov %0, %%fs\n\t"
                 "and $0xfe, %%al\n\tmov %%eax, %%cr0"
                 : : "r"(sel), "m"(gdtr) : "eax", "memory");
}

static void test_unreal(void)
{
    u32 v = 0;

    load_fs(8);
    TRY("movl $0x600df00d, %%fs:(%1)\n\tmovl %%fs:(%1), %0", : "=r"(v) : "r"(0x200000) : MEM);
    check_trap("unreal mode reaches 2 MiB", -1, 0);
    check("unreal mode reads back", v, 0x600df00d);
    asm volatile("mov %0, %%fs" : : "r"(0)); /* SDM vol. 3 9.9.2: the limit stays */
    TRY("movl %%fs:(%1), %0", : "=r"(v) : "r"(0x200000) : MEM);
    check_trap("a real mode load keeps the limit", -1, 0);
    load_fs(16);
    TRY("movl %%fs:(%1), %0", : "=r"(v) : "r"(0x200000) : MEM);
    check_trap("a 64 KiB descriptor ends unreal mode", GP, 0);
    TRY("mov %%cr0, %%eax\n\tand $0xfe, %%al\n\tmov %%eax, %%cr0", : : : "eax", MEM);
    check_trap("MOV CR0 in real mode", -1, 0);
    asm volatile("mov %0, %%fs" : : "r"(0));
}

static void test_strings(void)
{
    u32 si, di, cx;

    bytes_copy(scratch, "abcdefgh", 9);
    asm volatile("std\n\trep movsb\n\tcld" : "=S"(si), "=D"(di), "=c"(cx)
                 : "0"(scratch + 3), "1"(scratch + 13), "2"(4) : "memory");
    check("REP MOVSB with DF: data", *(u32 *)(scratch + 10), 0x64636261);
    check("REP MOVSB with DF: SI", si, (u32)scratch - 1);
    check("REP MOVSB with DF: DI, CX", di << 16 | cx, ((u32)scratch + 9) << 16);
    asm volatile("rep stosw" : "=D"(di), "=c"(cx) : "0"(scratch + 32), "1"(0xabc0000), "a"(7) : "memory");
    check("REP with CX 0: upper ECX and DI stay", di == (u32)scratch + 32 && cx == 0xabc0000, 1);
    asm volatile("repne scasb" : "=D"(di), "=c"(cx) : "0"(scratch), "1"(8), "a"('c') : "cc");
    check("REPNE SCASB stops behind the match", di - (u32)scratch, 3);
    check("REPNE SCASB count", cx, 5);
    asm volatile("lodsb" : "=S"(si) : "0"(0xabcdffff) : "eax");
    check("LODSB wraps SI, upper ESI stays", si, 0xabcd0000);
    asm volatile("addr32 lodsb" : "=S"(si) : "0"(scratch) : "eax");
    check("LODSB with 32 bit address", si, (u32)scratch + 1);
    TRY("mov $0x5000, %%ax\n\tmov %%ax, %%es\n\tmov $0xfffc, %%di\n\tmov $3, %%cx\n\trep stosl\n\txor %%ax, %%ax\n\tmov %%ax, %%es", : : : "edi", "ecx", "eax", MEM);
    check_trap("REP STOSD past the limit", -1, 0); /* 0xfffc, then 0, 4: no access crosses */
    TRY("mov $0x5000, %%ax\n\tmov %%ax, %%es\n\tmov $0xfffa, %%di\n\tmov $3, %%cx\n\trep stosl\n\txor %%ax, %%ax\n\tmov %%ax, %%es", : : : MEM);
    check_trap("REP STOSD across the limit", GP, 0);
    check("REP STOSD count at the fault", trap.frame.cx & 0xffff, 2);
    check("REP STOSD DI at the fault", trap.frame.di & 0xffff, 0xfffe);
    bytes_copy(scratch, "same1", 5);
    bytes_copy(scratch + 16, "same2", 5);
    asm volatile("repe cmpsb" : "=S"(si), "=c"(cx) : "0"(scratch), "D"(scratch + 16), "1"(9) : "cc");
    check("REPE CMPSB", si - (u32)scratch + cx * 256, 5 + 4 * 256);
}

static void test_a20(void)
{
    u32 with, without;
    u8 p92 = inb(0x92);

    *(volatile u32 *)0x540 = 0x11111111;
    load_fs(8);
#define AT_1M(insn) asm volatile("mov $0xffff, %%ax\n\tmov %%ax, %%gs\n\t" insn : "=r"(with) : : "eax", "memory")
    AT_1M("movl $0x22222222, %%gs:0x550\n\tmovl %%gs:0x550, %0");
    check("A20 on: 1 MiB is not 0", peek(0x540), 0x11111111);
    outb(0x92, p92 & ~3);
    AT_1M("movl %%gs:0x550, %0");
    without = with;
    outb(0x92, (p92 & ~1) | 2);
    AT_1M("movl %%gs:0x550, %0");
    check("A20 off: 1 MiB is 0", without, 0x11111111);
    check("A20 on again", with, 0x22222222);
    load_fs(16);
    asm volatile("mov %0, %%fs\n\tmov %0, %%gs" : : "r"(0));
}

static void test_privileged(void)
{
    u32 v;

    TRY("sldt %%ax", : : : "eax", MEM);
    check_trap("SLDT in real mode", UD, 0);
    TRY("str %%ax", : : : "eax", MEM);
    check_trap("STR in real mode", UD, 0);
    TRY("xor %%ax, %%ax\n\tlldt %%ax", : : : "eax", MEM);
    check_trap("LLDT in real mode", UD, 0);
    TRY("verr %%ax", : : : "eax", MEM);
    check_trap("VERR in real mode", UD, 0);
    TRY("lar %%ax, %%ax", : : : "eax", MEM);
    check_trap("LAR in real mode", UD, 0);
    TRY("arpl %%ax, %%ax", : : : "eax", MEM);
    check_trap("ARPL in real mode", UD, 0);
    TRY(".byte 0xf0, 0x89, 0xc0", : : : MEM);
    check_trap("LOCK MOV", UD, 0);
    TRY(".byte 0x8e, 0xc8", : : : MEM); /* mov %ax, %cs */
    check_trap("MOV to CS", UD, 0);
    TRY(".byte 0x0f, 0x05", : : : MEM);
    check_trap("SYSCALL without SCE", UD, 0);
    TRY(".byte 0x0f, 0x34", : : : MEM);
    check_trap("SYSENTER in real mode", GP, 0);
    TRY("smsw %%ax\n\tmovzwl %%ax, %0", : "=r"(v) : : "eax", MEM);
    check("SMSW", v & 0xf, 0);
}

static void test_stack(void)
{
    u32 a, b, c;

    TRY("mov %%sp, %%bx\n\tpush %%sp\n\tpop %%cx\n\tmovzwl %%bx, %0\n\tmovzwl %%cx, %1", : "=&r"(a), "=&r"(b) : : "ebx", "ecx", MEM);
    check("PUSH SP pushes the old value", a, b);
    TRY("mov %%sp, %%bx\n\tpushaw\n\tmov %%sp, %%bp\n\tmovzwl 6(%%bp), %%ecx\n\tadd $16, %%sp\n\tmovzwl %%bx, %0\n\tmov %%ecx, %1",
        : "=&S"(a), "=&D"(b) : : "ebx", "ecx", "ebp", MEM);
    check("PUSHA stores the SP before", a, b);
    TRY("mov %%sp, %%bx\n\tmov $0x1111, %%bp\n\tpush %%bp\n\tenterw $8, $1\n\tmov %%sp, %%cx\n\tmov (%%bp), %%dx\n\tleavew\n\tpop %%bp\n\tsub %%cx, %%bx\n\tmovzwl %%bx, %0\n\tmovzwl %%dx, %1",
        : "=&S"(a), "=&D"(b) : : "ebx", "ecx", "edx", "ebp", MEM);
    check("ENTER 8,1 room", a, 2 + 2 + 2 + 8);
    check("ENTER saves BP", b, 0x1111);
    TRY("pushw %%cs\n\tpushw $1f\n\tpushw $0x55aa\n\tmov %%sp, %%bx\n\tadd $2, %%sp\n\tlretw\n1:\tmov %%sp, %%cx\n\tsub %%bx, %%cx\n\tmovzwl %%cx, %0",
        : "=r"(a) : : "ebx", "ecx", MEM);
    check("RETF pops 4", a, 6);
    TRY("mov %%sp, %%bx\n\tpushw $1\n\tpushw $2\n\tpushw %%cs\n\tpushw $1f\n\tlretw $4\n1:\tmov %%sp, %%cx\n\tsub %%bx, %%cx\n\tmovzwl %%cx, %0",
        : "=r"(a) : : "ebx", "ecx", MEM);
    check("RETF n drops parameters", a, 0);
    TRY("lcallw $0x0100, $1f-0x1000\n1:\tmov %%cs, %%cx\n\tpop %%ax\n\tpop %%dx\n\tljmp $0, $2f\n2:\tmovzwl %%cx, %0\n\tmovzwl %%dx, %1\n\tmovzwl %%ax, %2\n",
        : "=&S"(a), "=&D"(b), "=&b"(c) : : "eax", "ecx", "edx", MEM);
    check("far CALL changes CS", a, 0x100);
    check("far CALL pushes CS", b, 0);
    TRY("mov $0x1234, %%ax\n\tpush %%ax\n\tpopw %%ds:0x5f0\n\tpushw %%ds:0x5f0\n\tpopw %%ax\n\tmovzwl %%ax, %0", : "=r"(a) : : "eax", MEM);
    check("PUSH and POP memory", a, 0x1234);
    TRY("pushw %%ds\n\tmov %%sp, %%bx\n\tpushl %%ds\n\tmov %%sp, %%cx\n\tadd $6, %%sp\n\tsub %%cx, %%bx\n\tmovzwl %%bx, %0", : "=r"(a) : : "ebx", "ecx", MEM);
    check("PUSHL of a segment takes 4 bytes", a, 4);
    *(u32 *)scratch = 0x00601234;
    TRY("les (%2), %%ax\n\tmov %%es, %%cx\n\tmovzwl %%ax, %0\n\tmovzwl %%cx, %1\n\txor %%ax, %%ax\n\tmov %%ax, %%es", : "=&S"(a), "=&D"(b) : "b"((u32)scratch) : "eax", "ecx", MEM);
    check("LES", a << 16 | b, 0x12340060);
}

static int step_count;
static ulong step_ip[8];
static int hook_step(struct frame *f)
{
    if (f->vec != DB)
        return 0;
    if (step_count < 8)
        step_ip[step_count] = f->ip;
    step_count++;
    asm volatile("mov %0, %%dr6" : : "r"(0));
    return 1;
}

static void test_step(void)
{
    ulong a, b;

    trap.hook = hook_step;
    step_count = 0;
    TRY("mov $1f, %0\n\tmov $2f, %1\n\tpushfw\n\tpushfw\n\tpop %%ax\n\tor $0x100, %%ax\n\tpush %%ax\n\tpopfw\n\tnop\n1:\tnop\n2:\tpopfw\n\tnop",
        : "=&S"(a), "=&D"(b) : : "eax", MEM);
    check("TF: a trap after each of 3", step_count, 3); /* not after the POPF that sets it */
    check("TF: first IP", step_ip[0], a);
    check("TF: second IP", step_ip[1], b);
    check("TF: DR6.BS", trap.dr6 & 0x4000, 0x4000);
    check("TF: clear in the handler", trap.handler_flags & FL_TF, 0);
    step_count = 0;
    TRY("mov %%ss, %%cx\n\tmov $1f, %0\n\tpushfw\n\tpushfw\n\tpop %%ax\n\tor $0x100, %%ax\n\tpush %%ax\n\tpopfw\n\tmov %%cx, %%ss\n\tnop\n1:\tpopfw",
        : "=&S"(a) : : "eax", "ecx", MEM);
    check("MOV SS holds off the trap", step_count, 2);
    check("MOV SS: IP of the trap", step_ip[0], a);
    step_count = 0;
    TRY("pushfw\n\tpushfw\n\tpop %%ax\n\tor $0x100, %%ax\n\tpush %%ax\n\tmov $3, %%cx\n\tmov %2, %%esi\n\tmov %2, %%edi\n\tpopfw\n\trep movsb\n\tpopfw",
        : "=&S"(a), "=&D"(b) : "b"((u32)scratch) : "eax", "ecx", MEM);
    check("TF: REP MOVSB traps each iteration", step_count, 4);
    trap.hook = 0;
}

static void test_arith(void)
{
    u32 v;

    asm("mov $0x0105, %%ax\n\taad\n\tmovzwl %%ax, %0" : "=r"(v) : : "eax", "cc");
    check("AAD", v, 15);
    asm("mov $0x3f, %%ax\n\taam\n\tmovzwl %%ax, %0" : "=r"(v) : : "eax", "cc");
    check("AAM", v, 0x0603);
    asm("mov $0x79, %%al\n\tadd $0x35, %%al\n\tdaa\n\tmovzbl %%al, %0" : "=r"(v) : : "eax", "cc");
    check("DAA", v, 0x14);
    asm("mov $0x35, %%al\n\tsub $0x47, %%al\n\tdas\n\tmovzbl %%al, %0" : "=r"(v) : : "eax", "cc");
    check("DAS", v, 0x88);
    asm("mov $0x020f, %%ax\n\tadd $1, %%al\n\taaa\n\tmovzwl %%ax, %0" : "=r"(v) : : "eax", "cc");
    check("AAA", v, 0x0306);
    TRY("aam $0", : : : "eax", MEM);
    check_trap("AAM 0", DE, 0);
    scratch[5] = 0x77;
    asm("mov $5, %%al\n\txlatb\n\tmovzbl %%al, %0" : "=r"(v) : "b"(scratch) : "eax");
    check("XLAT", v, 0x77);
    asm("mov $0x10000, %%ecx\n\tjcxz 1f\n\tmov $0, %0\n\tjmp 2f\n1:\tmov $1, %0\n2:" : "=r"(v) : : "ecx");
    check("JCXZ looks at CX only", v, 1);
    asm("mov $0x50001, %%ecx\n1:\tloop 1b\n\tmov %%ecx, %0" : "=r"(v) : : "ecx");
    check("LOOP counts in CX", v, 0x50000);
    asm("xor %%al, %%al\n\tstc\n\t.byte 0xd6\n\tmovzbl %%al, %0" : "=r"(v) : : "eax", "cc");
    check("SALC", v, 0xff);
}

static int hook_irq(struct frame *f) { outb(0x20, 0x20); return 1; }

/* The PIC's requests come through LINT0, which reset leaves masked */
static void lint0_init(void)
{
    load_fs(8);
    asm volatile("movl $0x1ff, %%fs:(%0)\n\tmovl $0x700, %%fs:(%1)"
                 : : "r"(0xfee000f0), "r"(0xfee00350) : "memory");
    load_fs(16);
    asm volatile("mov %0, %%fs" : : "r"(0));
}

static void test_pit_irq(void)
{
    lint0_init();
    outb(0x20, 0x11);
    outb(0x21, 0x30);       /* vectors 0x30.. */
    outb(0x21, 4);
    outb(0x21, 1);
    outb(0xa0, 0x11);
    outb(0xa1, 0x38);
    outb(0xa1, 2);
    outb(0xa1, 1);
    outb(0xa1, 0xff);
    outb(0x21, 0xfe);       /* only the timer */
    outb(0x43, 0x34);       /* counter 0, rate generator */
    outb(0x40, 0xff);
    outb(0x40, 0x0f);
    trap.hook = hook_irq;
    TRY("sti\n\thlt\n\tcli", : : : MEM);
    check("PIT interrupt ends HLT", trap.vec, 0x30);
    TRY("sti\n\thlt\n\tcli", : : : MEM);
    check("and again", trap.vec, 0x30);
    trap.hook = 0;
    outb(0x21, 0xff);
}

int main(void)
{
    trap_init();
    test_reset_state();
    test_interrupts();
    test_iret();
    test_lidt();
    test_step();
    test_arith();
    test_limits(); /* emulators without limits do not come out of it unharmed */
    test_unreal();
    test_strings();
    test_a20();
    test_stack();
    test_pit_irq();
    test_privileged();
    finish();
}
