/* prot-task.c - hardware task switches: JMP, CALL, IRET, INT, faults, busy and NT bits */
#include "lib/desc.h"

#define MEM "memory", "cc"
#define CLOB "eax", "ebx", "ecx", "edx", "esi", "edi", MEM

#define LOW_CODE ((u8 *)0x2000) /* free below the image */

static u8 task_stack[1024] __attribute__((aligned(16)));

/* Each leaves through an interrupt, in the new task */
CODE(task_leave, "pushf\n\tpop %ebx\n\tmov %cr0, %ecx\n\tint $0x22");
/* 16 bit TSS: the upper halves of the registers are undefined */
CODE(task_leave16, "movzwl %sp, %esp\n\tmovzwl %ax, %eax\n\tint $0x22");
CODE(task_iret, "pushf\n\tpop %edi\n\tincl %esi\n\tiret\n\tincl %esi\n\tjmp task_iret");
CODE(task_fault, "pop %eax\n\tint $0x22");

static void task_set(struct tss *t, const u8 *code)
{
    bytes_set(t, 0, 104);
    t->eip = (u32)code;
    t->eflags = 2;
    t->esp = (u32)(task_stack + sizeof(task_stack));
    t->cs = SEL_CODE;
    t->es = t->ss = t->ds = t->fs = t->gs = SEL_DATA;
    t->esp0 = (u32)stack0_top;
    t->ss0 = SEL_DATA;
    t->eax = 0xa0a0a0a0;
    t->edx = 0xd0d0d0d0;
    t->ldt = 0;
    t->iomap = sizeof(*t);
    t->cr3 = read_cr3();
}

static u32 busy(u32 sel) { return gdt[sel / 8] >> 41 & 1; }
static u32 str(void)
{
    u32 v;
    asm volatile("str %0" : "=r"(v));
    return v & 0xffff;
}

/* Back to the task of the program, whatever the test left */
static void task_home(void)
{
    asm volatile("pushfl\n\tandl $~0x4000, (%%esp)\n\tpopfl" : : : "cc");
    gdt_set(SEL_TSS, (ulong)&tss, sizeof(tss) - 1, D_TSS);
    gdt_set(SEL_TSS2, (ulong)&tss2, sizeof(tss2) - 1, D_TSS);
    gdt_set(SEL_TSS_DF, (ulong)&tss_df, sizeof(tss_df) - 1, D_TSS);
    asm volatile("ltr %w0\n\tlldt %w1" : : "r"(SEL_TSS), "r"(SEL_LDT));
    write_cr0(read_cr0() & ~CR0_TS);
}

static void test_jump(void)
{
    task_set(&tss2, task_leave);
    task_home();
    TRY("mov $0x5151, %%esi\n\tljmp %0, $0", : : "i"(SEL_TSS2) : CLOB);
    check_trap("JMP to a TSS", 0x22, 0);
    check("new EAX", trap.frame.ax, 0xa0a0a0a0);
    check("new EDX", trap.frame.dx, 0xd0d0d0d0);
    check("old ESI saved", tss.esi, 0x5151);
    check("JMP leaves NT clear", trap.frame.bx & FL_NT, 0);
    check("JMP: old not busy, new busy", busy(SEL_TSS) << 1 | busy(SEL_TSS2), 1);
    check("CR0.TS is set", trap.frame.cx & CR0_TS, CR0_TS);
    check("TR is the new one", str(), SEL_TSS2);
    task_home();
    TRY("ljmp %0, $0", : : "i"(SEL_TSS) : CLOB);
    check_trap("JMP to the busy task", GP, SEL_TSS);
    gdt_set(SEL_TSS2, (ulong)&tss2, 102, D_TSS);
    TRY("ljmp %0, $0", : : "i"(SEL_TSS2) : CLOB);
    check_trap("TSS limit below 103", TS, SEL_TSS2);
    gdt_set(SEL_TSS2, (ulong)&tss2, 103, D_TSS & ~D_P);
    TRY("ljmp %0, $0", : : "i"(SEL_TSS2) : CLOB);
    check_trap("TSS not present", NP, SEL_TSS2);
    task_home();
}

static void test_nested(void)
{
    u32 nt;

    task_set(&tss2, task_iret);
    task_home();
    TRY("mov $0x77, %%esi\n\tlcall %1, $0\n\tmov %%esi, %0", : "=&r"(nt) : "i"(SEL_TSS2) : "eax", "ecx", "edx", "esi", "edi", MEM);
    check_trap("CALL to a TSS and IRET back", -1, 0);
    check("ESI of the caller is back", nt, 0x77);
    check("the nested task ran", tss2.esi, 1);
    check("NT in the nested task", tss2.edi & FL_NT, FL_NT);
    check("IRET clears NT in the saved image", tss2.eflags & FL_NT, 0);
    check("back link", tss2.link & 0xffff, SEL_TSS);
    check("busy bits after IRET", busy(SEL_TSS) << 1 | busy(SEL_TSS2), 2);
    check("TR after IRET", str(), SEL_TSS);
    TRY("lcall %0, $0", : : "i"(SEL_TSS2) : CLOB);
    check("the task goes on where it left", tss2.esi, 3);
    write_cr0(read_cr0() & ~CR0_TS);
    gate_set(&gdt[SEL_GATE / 8], SEL_TSS2, 0, G_TASK, 0);
    TRY("lcall %0, $0", : : "i"(SEL_GATE) : CLOB);
    check_trap("CALL through a task gate", -1, 0);
    check("it went on", tss2.esi, 5);
    idt_set(0x40, SEL_TSS2, 0, G_TASK, 0);
    TRY("int $0x40", : : : CLOB);
    check_trap("INT through a task gate", -1, 0);
    check("INT: it went on", tss2.esi, 7);
    TRY("pushfl\n\torl $0x4000, (%%esp)\n\tpopfl\n\tmovw $0, tss\n\tiret", : : : CLOB);
    check_trap("IRET with NT and a null link", TS, 0);
    task_home();
    tss.link = SEL_TSS2;
    TRY("pushfl\n\torl $0x4000, (%%esp)\n\tpopfl\n\tiret", : : : CLOB);
    check_trap("IRET with NT to a task not busy", TS, SEL_TSS2);
    task_home();
}

static void test_faults(void)
{
    /* a fault with an error code through a task gate: the code is on the new stack */
    task_set(&tss_df, task_fault);
    task_home();
    idt_set(GP, SEL_TSS_DF, 0, G_TASK, 0);
    TRY("mov %0, %%fs", : : "r"(GDT_BYTES) : CLOB);
    check_trap("#GP through a task gate", 0x22, 0);
    check("error code on the new stack", trap.frame.ax, GDT_BYTES);
    check("link to the interrupted task", tss_df.link & 0xffff, SEL_TSS);
    check("the old task stays busy", busy(SEL_TSS), 1);
    idt_default(GP);
    task_home();
    /* bad segments of the new task fault in the new task */
    task_set(&tss2, task_leave);
    tss2.ds = GDT_BYTES;
    task_home();
    TRY("ljmp %0, $0", : : "i"(SEL_TSS2) : CLOB);
    check_trap("new DS beyond the GDT", TS, GDT_BYTES);
    check("it faults in the new task", trap.ip, (u32)task_leave);
    task_set(&tss2, task_leave);
    tss2.cs = SEL_DATA;
    task_home();
    idt_set(TS, SEL_TSS_DF, 0, G_TASK, 0);
    task_set(&tss_df, task_fault);
    TRY("ljmp %0, $0", : : "i"(SEL_TSS2) : CLOB);
    check("new CS is data: #TS", trap.frame.ax, SEL_DATA);
    /* the LDT comes before SS, so that only another task has a stack for the fault */
    task_set(&tss2, task_leave);
    tss2.ldt = SEL_DATA;
    task_home();
    task_set(&tss_df, task_fault);
    TRY("ljmp %0, $0", : : "i"(SEL_TSS2) : CLOB);
    check("new LDT is data: #TS", trap.frame.ax, SEL_DATA);
    idt_default(TS);
    task_home();
    /* the T flag: #DB before the first instruction */
    task_set(&tss2, task_leave);
    tss2.trap = 1;
    write_dr6(0);
    TRY("ljmp %0, $0", : : "i"(SEL_TSS2) : CLOB);
    check_trap("TSS.T", DB, 0);
    check("DR6.BT", trap.dr6 & 0x8000, 0x8000);
    check("TSS.T: IP of the new task", trap.ip, (u32)task_leave);
    task_home();
    write_dr6(0);
}

CODE(ring3_int80, "int $0x80");

static void test_stack_absent(void)
{
    idt_set(SS, SEL_TSS_DF, 0, G_TASK, 0);
    gdt_set(SEL_SCRATCH, 0, 0xfffff, D_DATA & ~D_P);
    tss.ss0 = SEL_SCRATCH;
    in_ring3(ring3_int80);
    check("SS0 not present", trap.frame.ax, SEL_SCRATCH);
    idt_default(SS);
    task_set(&tss_df, task_fault);
    task_home();
    /* #SS, then #TS cannot be delivered in ring 0 either: #DF, by a task */
    idt_set(DF, SEL_TSS_DF, 0, G_TASK, 0);
    in_ring3(ring3_int80);
    check_trap("contributory twice: #DF task", 0x22, 0);
    check("its error code", trap.frame.ax, 0);
    check("its link", tss_df.link & 0xffff, SEL_TSS);
    idt_default(DF);
}

static void test_stack_faults(void)
{
    /* ring 3 enters ring 0 while SS0 is bad: #TS, itself delivered by a task */
    task_set(&tss_df, task_fault);
    task_home();
    idt_set(TS, SEL_TSS_DF, 0, G_TASK, 0);
    tss.ss0 = 0;
    in_ring3(ring3_int80);
    check("SS0 null", trap.frame.ax, 0);
    task_set(&tss_df, task_fault);
    task_home();
    tss.ss0 = SEL_UDATA;
    in_ring3(ring3_int80);
    check("SS0 with RPL 3", trap.frame.ax, SEL_UDATA & ~3);
    task_set(&tss_df, task_fault);
    task_home();
    idt_default(TS);
    if (!under_qemu_tcg()) /* it raises #TS for a stack that is not present */
        test_stack_absent();
    tss.ss0 = SEL_DATA;
    task_home();
}

static void test_tss16(void)
{
    u16 *t = (u16 *)&tss2;

    bytes_set(t, 0, 44);
    bytes_copy(LOW_CODE, task_leave16, 16); /* IP and SP have 16 bits */
    t[7] = (u16)(u32)LOW_CODE;
    t[8] = 2;
    t[9] = 0xa1a1;                                          /* AX */
    t[13] = 0x3000;                                         /* SP */
    t[17] = t[19] = t[20] = SEL_DATA;                       /* ES, SS, DS */
    t[18] = SEL_CODE;
    task_home();
    gdt_set(SEL_TSS2, (ulong)t, 43, D_TSS16);
    TRY("ljmp %0, $0", : : "i"(SEL_TSS2) : CLOB);
    check_trap("16 bit TSS", 0x22, 0);
    check("its AX", trap.frame.ax & 0xffff, 0xa1a1);
    task_home();
}

void test_prot_task(void);
void test_prot_task(void)
{
    test_jump();
    test_nested();
    test_tss16();
    test_stack_faults();
    test_faults();
    task_home();
}
