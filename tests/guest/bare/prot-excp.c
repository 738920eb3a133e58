/* prot-excp.c - faults and traps: debug registers, TF, RF, shadows, #AC, #DF, BOUND, LOCK */
#include "lib/desc.h"

#define MEM "memory", "cc"

static volatile u32 cell[4] __attribute__((aligned(16), used));
static ulong hits[8];
static int nhits;
static ulong hit_dr6[8];

static int hook_db(struct frame *f)
{
    if (f->vec != DB)
        return 0;
    if (nhits < 8) {
        hits[nhits] = f->ip;
        hit_dr6[nhits] = read_dr6();
    }
    nhits++;
    write_dr6(0);
    f->flags |= FL_RF; /* an instruction breakpoint would be hit again */
    return 1;
}

static void test_debug_regs(void)
{
    ulong a, b;

    trap.hook = hook_db;
    nhits = 0;
    write_dr0((u32)cell + 4);
    write_dr7(0x000d0002 | 0x400); /* G0, write, 4 bytes */
    TRY("movl $1, cell\n\tmovl $1, cell+4\n1:\tmov $1b, %0\n\tmov cell+4, %1", : "=&r"(a), "=&r"(b) : "m"(cell) : MEM);
    check("write watchpoint hits once", nhits, 1);
    check("it is a trap", hits[0], a);
    check("DR6.B0", hit_dr6[0] & 0xf, 1);
    nhits = 0;
    write_dr7(0x00070002 | 0x400); /* read or write, 2 bytes */
    TRY("movb cell+6, %%al\n\tmovb cell+5, %%al\n1:\tmov $1b, %0\n\tmovl cell+2, %%eax", : "=&r"(a) : "m"(cell) : "eax", MEM);
    check("read watchpoint, overlapping", nhits, 2);
    check("read watchpoint IP", hits[0], a);
    nhits = 0;
    asm volatile("mov $1f, %0\n\tjmp 2f\n1:\tnop\n\tret\n2:" : "=r"(a));
    write_dr0(a);
    write_dr7(0x402);
    TRY("call *%0", : : "r"(a) : MEM);
    check("instruction breakpoint hits once with RF", nhits, 1);
    check("it is a fault", hits[0], a);
    check("RF is clear afterwards", read_flags() & FL_RF, 0);
    write_dr7(0x400);
    TRY("mov $0, %%eax\n\tmov %%eax, %%dr7\n\tmov %%dr7, %%eax", : : : "eax", MEM);
    check("DR7 bit 10 is one", read_dr7(), 0x400);
    write_dr6(0);
    check("DR6 fixed bits", read_dr6(), 0xffff0ff0);
    trap.hook = 0;
    write_dr7(0x2400); /* GD */
    TRY("mov %%dr0, %%eax", : : : "eax", MEM);
    check_trap("DR7.GD", DB, 0);
    check("DR6.BD", trap.dr6 & 0x2000, 0x2000);
    check("GD is off in the handler", read_dr7() & 0x2000, 0);
    write_dr6(0);
    write_cr4(read_cr4() | CR4_DE);
    TRY("mov %%db4, %%eax", : : : "eax", MEM);
    check_trap("DR4 with CR4.DE", UD, 0);
    write_cr4(read_cr4() & ~CR4_DE);
    TRY("mov %%db4, %%eax", : : : "eax", MEM);
    check_trap("DR4 without", -1, 0);
}

static int hook_step(struct frame *f)
{
    if (f->vec != DB)
        return 0;
    if (nhits < 8)
        hits[nhits] = f->ip;
    nhits++;
    return 1;
}

#define STEP(text) "pushf\n\tpushf\n\torl $0x100, (%%esp)\n\tpopf\n\t" text "\n\tpopf"

static void test_step(void)
{
    ulong a;

    trap.hook = hook_step;
    nhits = 0;
    TRY("mov $1f, %0\n\t" STEP("nop\n1:\tnop"), : "=&r"(a) : : MEM);
    check("TF: 3 traps", nhits, 3);
    check("TF: first IP", hits[0], a);
    check("DR6.BS", trap.dr6 & 0x4000, 0x4000);
    nhits = 0;
    TRY("mov $1f, %0\n\tmov %%ss, %%ecx\n\t" STEP("mov %%ecx, %%ss\n\tnop\n1:"), : "=&r"(a) : : "ecx", MEM);
    check("MOV SS: no trap until the next", nhits, 2);
    check("MOV SS: IP", hits[0], a);
    nhits = 0;
    TRY("mov $1f, %0\n\t" STEP("push %%ss\n\tpop %%ss\n\tnop\n1:"), : "=&r"(a) : : MEM);
    check("POP SS likewise", nhits, 3);
    nhits = 0;
    TRY(STEP("int $0x21"), : : : MEM);
    check("INT n clears TF: no trap in the handler", nhits, 0);
    check_trap("INT n under TF", 0x21, 0);
    check("its flags image has TF", trap.flags & FL_TF, FL_TF);
    nhits = 0;
    TRY("mov $3, %%ecx\n\tmov %0, %%esi\n\tmov %0, %%edi\n\t" STEP("rep movsb"), : : "r"(cell) : "ecx", "esi", "edi", MEM);
    check("REP MOVSB: a trap an iteration", nhits, 4);
    nhits = 0;
    TRY(STEP("jmp 1f\n\tnop\n1:\tcall 2f\n\tjmp 3f\n2:\tret\n3:"), : : : MEM);
    check("TF over JMP, CALL, RET", nhits, 5);
    nhits = 0;
    TRY(STEP("ud2"), : : : MEM);
    check("a fault under TF leaves no trap", nhits, 0);
    check_trap("it is the fault that arrives", UD, 0);
    trap.hook = 0;
    write_dr6(0);
}

static void test_misc(void)
{
    static const u32 bounds[2] = { 5, 9 };
    ulong a;

    TRY("boundl %0, (%1)", : : "r"(10), "r"(bounds) : MEM);
    check_trap("BOUND", BR, 0);
    TRY("boundl %0, (%1)", : : "r"(9), "r"(bounds) : MEM);
    check_trap("BOUND inside", -1, 0);
    TRY("mov $1f, %0\n\tmov $0x7fffffff, %%eax\n\tinc %%eax\n\tinto\n1:", : "=&r"(a) : : "eax", MEM);
    check_trap("INTO", OF, 0);
    check("INTO is a trap", trap.ip, a);
    TRY("mov $1f, %0\n\txor %%edx, %%edx\n\txor %%ecx, %%ecx\n1:\tdiv %%ecx", : "=&r"(a) : : "eax", "ecx", "edx", MEM);
    check("#DE is a fault", trap.ip, a);
    TRY("mov $1, %%edx\n\tmov $1, %%ecx\n\tdiv %%ecx", : : : "eax", "ecx", "edx", MEM);
    check_trap("DIV overflow", DE, 0);
    TRY(".byte 0xf0, 0x01, 0xc0", : : : MEM);
    check_trap("LOCK ADD register", UD, 0);
    TRY(".byte 0xf0, 0x8b, 0x05, 0, 0, 0, 0", : : : MEM);
    check_trap("LOCK MOV", UD, 0);
    TRY(".byte 0x0f, 0x0b", : : : MEM);
    check_trap("UD2", UD, 0);
    TRY(".byte 0x0f, 0xff, 0xc0", : : : MEM);
    check_trap("UD0", UD, 0);
    TRY(".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90", : : : MEM);
    check_trap("15 bytes", -1, 0);
    TRY(".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90", : : : MEM);
    check_trap("16 bytes", GP, 0);
    NOT_UNDER_QEMU(
    TRY("mov $0x80000000, %%eax\n\tmov %%eax, %%cr0", : : : "eax", MEM);
    check_trap("CR0.PG without PE", GP, 0);)
    NOT_UNDER_QEMU(
    TRY("mov %%cr0, %%eax\n\tand $~0x40000000, %%eax\n\tor $0x20000000, %%eax\n\tmov %%eax, %%cr0", : : : "eax", MEM);
    check_trap("CR0.NW without CD", GP, 0);)
    NOT_UNDER_QEMU(
    TRY("mov %%cr4, %%eax\n\tor $0x80000000, %%eax\n\tmov %%eax, %%cr4", : : : "eax", MEM);
    check_trap("CR4 reserved bit", GP, 0);)
    TRY("mov %%cr1, %%eax", : : : "eax", MEM);
    check_trap("MOV from CR1", UD, 0);
    TRY("rdmsr", : : "c"(0x12345678) : "eax", "edx", MEM);
    check_trap("RDMSR of an unknown MSR", GP, 0);
    TRY("mov $8, %%eax\n\tltr %%ax", : : : "eax", MEM);
    check_trap("LTR with code", GP, 8);
    TRY("mov %0, %%eax\n\tltr %%ax", : : "i"(SEL_TSS) : "eax", MEM);
    check_trap("LTR of a busy TSS", GP, SEL_TSS);
    NOT_UNDER_QEMU(
    TRY("mov $0, %%eax\n\tltr %%ax", : : : "eax", MEM);
    check_trap("LTR null", GP, 0);)
    TRY("mov %0, %%eax\n\tlldt %%ax", : : "i"(SEL_DATA) : "eax", MEM);
    check_trap("LLDT with data", GP, SEL_DATA);
}

CODE(ring3_ac, "pushf\n\torl $0x40000, (%esp)\n\tpopf\n\tmov $stack3, %ebx\n\tmov (%ebx), %eax\n\tmovw 1(%ebx), %ax\n\tint $0x80");

static void test_alignment(void)
{
    in_ring3(ring3_ac);
    check_trap("no #AC without CR0.AM", LEAVE_VEC, 0);
    write_cr0(read_cr0() | CR0_AM);
    in_ring3(ring3_ac);
    if (trap.vec == LEAVE_VEC) /* a gap of ours, and of QEMU's: goes when it is closed */
        skip("#AC in ring 3", "alignment is never checked");
    else
        check_trap("#AC in ring 3", AC, 0);
    TRY("pushf\n\torl $0x40000, (%%esp)\n\tpopf\n\tmovl cell+1, %%eax", : : "m"(cell) : "eax", MEM);
    check_trap("no #AC in ring 0", -1, 0);
    asm volatile("push $2\n\tpopf" : : : "cc");
    write_cr0(read_cr0() & ~CR0_AM);
}

/* A fault while delivering #GP, #NP or another contributory one: #DF, error 0 */
static void test_double(void)
{
    idt_set(GP, SEL_CODE, stub_of(GP), G_INT & ~0x80, 0);
    TRY("mov %0, %%fs", : : "r"(GDT_BYTES) : MEM);
    check_trap("#NP while delivering #GP is #DF", DF, 0);
    idt_default(GP);
    idt_set(0x21, SEL_CODE, stub_of(0x21), G_INT & ~0x80, 0);
    TRY("int $0x21", : : : MEM);
    check_trap("#NP while delivering INT n is #NP", NP, 0x21 * 8 + 2);
    idt_default(0x21);
    idt_set(UD, SEL_CODE, stub_of(UD), G_INT & ~0x80, 0);
    TRY("ud2", : : : MEM);
    check_trap("#NP while delivering #UD is #NP", NP, UD * 8 + 3);
    idt_default(UD);
}

void test_prot_excp(void);
void test_prot_excp(void)
{
    test_debug_regs();
    test_step();
    test_misc();
    test_alignment();
    test_double();
}
