/*
 * triple.c - every way into a triple fault resets the machine; built for 32 and for 64 bit mode
 *
 * RAM outlives the reset. A word in it says which cause is under way; the run after it
 * prints the result and goes on with the next. First faults while a fault is delivered: SDM vol. 3, table 6-5;
 * "Shutdown" in 6.15, "Double Fault Exception".
 */
#include "lib/desc.h"

#define MEM "memory", "cc"
#define MAGIC 0x33746c66u
static volatile u32 *const saved = (u32 *)0x600ul; /* magic, cause under way */

static void bad_gate(u32 vec, u32 sel, u32 type) { idt_set(vec, sel, stub_of(vec), type, 0); }

/* #GP meets #GP, which makes #DF */
static void double_fault(void)
{
    bad_gate(GP, 0, G_INT);
    asm volatile("mov %0, %%fs" : : "r"(GDT_BYTES) : "memory");
}

static void no_idt(void)
{
    static const struct table_reg none;

    asm volatile("lidt %0\n\tint3" : : "m"(none));
}
static void df_absent(void)
{
    bad_gate(DF, SEL_CODE, G_INT & ~0x80);
    double_fault();
}
static void df_type(void)
{
    bad_gate(DF, SEL_CODE, 0x8a);
    double_fault();
}
static void df_null(void)
{
    bad_gate(DF, 0, G_INT);
    double_fault();
}
static void df_data(void)
{
    bad_gate(DF, SEL_DATA, G_INT);
    double_fault();
}
static void df_outside(void)
{
    bad_gate(DF, GDT_BYTES, G_INT);
    double_fault();
}
static void df_code_absent(void)
{
    gdt_set(SEL_SCRATCH, 0, 0xfffff, D_CODE & ~D_P);
    bad_gate(DF, SEL_SCRATCH, G_INT);
    double_fault();
}
static void df_outer(void)
{
    bad_gate(DF, SEL_UCODE64, G_INT);
    double_fault();
}
static void empty_tables(void)
{
    bytes_set((void *)0x100000ul, 0, 4096);
    write_cr3(0x100000);
    write_cr0(read_cr0() | CR0_PG);
    asm volatile("nop");
}

#ifdef __x86_64__
static void df_ist(ulong sp)
{
    tss.ist[0] = sp;
    idt_set(DF, SEL_CODE, stub_of(DF), G_INT, 1);
    double_fault();
}
static void df_ist_not_canonical(void) { df_ist(1ul << 47); }
static void df_ist_missing(void) { df_ist(1ul << 46); }
static void df_tss_short(void)
{
    gdt_set(SEL_TSS, (ulong)&tss, 0x24, D_TSS);
    asm volatile("ltr %w0" : : "r"(SEL_TSS));
    df_ist((ulong)stack0_top);
}
static void df_ip(void)
{
    idt_set(DF, SEL_CODE, 1ul << 47, G_INT, 0);
    double_fault();
}
static void df_32_bit(void)
{
    bad_gate(DF, SEL_CODE32, G_INT);
    double_fault();
}
static void idt_missing(void)
{
    struct table_reg far = { 0xfff, 1ul << 46 };

    asm volatile("lidt %0\n\tud2" : : "m"(far));
}
CODE(ring3_int, "int $0x80");
static void no_stack(void)
{
    tss.rsp[0] = 1ul << 47;
    in_ring3(ring3_int);
}
#else
static void df_task(u32 sel)
{
    idt_set(DF, sel, 0, G_TASK, 0);
    double_fault();
}
static void df_task_busy(void) { df_task(SEL_TSS); }
static void df_task_short(void)
{
    gdt_set(SEL_TSS_DF, (ulong)&tss_df, 50, D_TSS);
    df_task(SEL_TSS_DF);
}
static void df_task_absent(void)
{
    gdt_set(SEL_TSS_DF, (ulong)&tss_df, 103, D_TSS & ~D_P);
    df_task(SEL_TSS_DF);
}
static void df_task_bad_cs(void)
{
    bytes_set(&tss_df, 0, 104);
    gdt_set(SEL_TSS_DF, (ulong)&tss_df, 103, D_TSS);
    df_task(SEL_TSS_DF);
}
CODE(ring3_int, "int $0x80");
static void stack(u32 sel)
{
    tss.ss0 = sel;
    in_ring3(ring3_int);
}
static void stack_null(void) { stack(0); }
static void stack_outer(void) { stack(SEL_UDATA); }
static void stack_absent(void)
{
    gdt_set(SEL_SCRATCH, 0, 0xfffff, D_DATA & ~D_P);
    stack(SEL_SCRATCH);
}
static void stack_room(void)
{
    gdt_set(SEL_SCRATCH, 0, 7, D_DATA & ~D_G);
    tss.esp0 = 8;
    stack(SEL_SCRATCH);
}
#endif

static const struct {
    const char *name;
    void (*cause)(void);
    u32 limits;                          /* QEMU does not see it */
} causes[] = {
    { "no IDT", no_idt, 0 },
    { "#DF's gate is absent", df_absent, 0 },
    { "#DF's gate is none", df_type, 0 },
    { "#DF's gate leads to null", df_null, 0 },
    { "#DF's gate leads to data", df_data, 0 },
    { "#DF's gate leads outside the GDT", df_outside, 0 },
    { "#DF's code is absent", df_code_absent, 0 },
    { "#DF's code is of an outer ring", df_outer, 0 },
    { "empty page tables", empty_tables, 0 },
#ifdef __x86_64__
    { "#DF's IST is not canonical", df_ist_not_canonical, 0 },
    { "#DF's IST is not mapped", df_ist_missing, 0 },
    { "#DF's IST is outside the TSS", df_tss_short, 0 },
    { "#DF's address is not canonical", df_ip, 1 },
    { "#DF's code is not 64-bit", df_32_bit, 0 },
    { "the IDT is not mapped", idt_missing, 0 },
    { "RSP0 is not canonical", no_stack, 0 },
#else
    { "#DF's task is busy", df_task_busy, 0 },
    { "#DF's TSS is short", df_task_short, 0 },
    { "#DF's TSS is absent", df_task_absent, 0 },
    { "#DF's task has no CS", df_task_bad_cs, 0 },
    { "SS0 is null", stack_null, 0 },
    { "SS0 is of an outer ring", stack_outer, 0 },
    { "SS0 is absent", stack_absent, 0 },
    { "SS0 has no room", stack_room, 1 },
#endif
};
#define N_CAUSES (sizeof(causes) / sizeof(causes[0]))

/* What the runs have found */
enum { NOT_RUN, RESET, SURVIVED, LEFT_OUT };
static volatile int *const result = (int *)0x640ul;

int main(void)
{
    u32 n = 0;

    if (saved[0] == MAGIC) {
        result[saved[1]] = RESET;
        n = saved[1] + 1;
    } else {
        bytes_set((void *)result, 0, N_CAUSES * sizeof(int));
        saved[0] = MAGIC;
    }
    trap_init();
    for (; n < N_CAUSES; n++) {
        saved[1] = n;
        if (causes[n].limits && under_qemu_tcg()) {
            result[n] = LEFT_OUT;
            continue;
        }
        trap_arm();
        trap.resume_ip = (ulong)&&still_here;
        asm volatile("mov %%" SP_REG ", %0" : "=m"(trap.resume_sp));
        causes[n].cause();
still_here:
        result[n] = SURVIVED;            /* handled, or nothing happened: no later one can be trusted */
        break;
    }
    saved[0] = 0;
    for (n = 0; n < N_CAUSES; n++)
        if (result[n] == LEFT_OUT)
            skip(causes[n].name, "QEMU does not look at it");
        else
            check(causes[n].name, (u32)result[n], RESET);
    finish();
}
