/* desc.c - GDT, IDT, LDT, TSS of the 32 and 64 bit programs */
#include "lib/desc.h"

#define STACK_BYTES 4096
#ifdef __x86_64__
#define CODE_ATTR D_CODE64
#else
#define CODE_ATTR D_CODE
#endif
#define IDT_WORDS (sizeof(ulong) / 4) /* quadwords a gate */

u64 gdt[GDT_BYTES / 8] __attribute__((aligned(16))), ldt[8];
static u64 idt[256 * IDT_WORDS] __attribute__((aligned(16)));
struct tss tss __attribute__((aligned(128)));
asm(".bss\n.balign 16\n.globl stack0, stack0_top, stack3, stack3_top\n"
    "stack0: .skip 4096\nstack0_top:\nstack3: .skip 4096\nstack3_top:\n.text");
#ifndef __x86_64__
struct tss tss2 __attribute__((aligned(128))), tss_df __attribute__((aligned(128)));
#endif
extern u8 trap_stubs[];

void desc_set(u64 *d, ulong base, u32 limit, u32 attr)
{
    *d = (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)(attr & 0xf0ff) << 40 |
         (u64)(limit >> 16 & 15) << 48 | (u64)(base >> 24 & 0xff) << 56;
}

void gdt_set(u32 sel, ulong base, u32 limit, u32 attr)
{
    desc_set(&gdt[sel / 8], base, limit, attr);
#ifdef __x86_64__
    if (!(attr & 0x10) && (attr & 15)) /* system descriptors have 16 bytes */
        gdt[sel / 8 + 1] = base >> 32;
#endif
}

void gate_set(u64 *d, u32 sel, ulong target, u32 type, u32 extra)
{
    *d = (target & 0xffff) | (u64)(sel & 0xffff) << 16 | (u64)(extra & 31) << 32 |
         (u64)(type & 0xff) << 40 | (u64)(target >> 16 & 0xffff) << 48;
#ifdef __x86_64__
    d[1] = target >> 32;
#endif
}

void idt_set(u32 vec, u32 sel, ulong target, u32 type, u32 extra)
{
    gate_set(&idt[vec * IDT_WORDS], sel, target, type, extra);
}

ulong stub_of(u32 vec) { return (ulong)trap_stubs + vec * 16; }

void idt_default(u32 vec)
{
    u32 dpl3 = vec == LEAVE_VEC || vec == BP || vec == OF ? D_DPL3 : 0;

    idt_set(vec, SEL_CODE, stub_of(vec), G_INT | dpl3, 0);
}

static void fill_gdt(void)
{
    gdt_set(SEL_CODE, 0, 0xfffff, CODE_ATTR);
    gdt_set(SEL_CODE1, 0, 0xfffff, CODE_ATTR | D_DPL1);
    gdt_set(SEL_CODE2, 0, 0xfffff, CODE_ATTR | D_DPL2);
    gdt_set(SEL_DATA1, 0, 0xfffff, D_DATA | D_DPL1);
    gdt_set(SEL_DATA2, 0, 0xfffff, D_DATA | D_DPL2);
    gdt_set(SEL_DATA, 0, 0xfffff, D_DATA);
    gdt_set(SEL_UCODE32, 0, 0xfffff, D_UCODE);
    gdt_set(SEL_UDATA, 0, 0xfffff, D_UDATA);
    gdt_set(SEL_UCODE64, 0, 0xfffff, D_UCODE64);
    gdt_set(SEL_UDATA64, 0, 0xfffff, D_UDATA);
    gdt_set(SEL_CODE32, 0, 0xfffff, D_CODE);
    gdt_set(SEL_CODE16, 0, 0xffff, D_CODE16);
    gdt_set(SEL_DATA16, 0, 0xffff, D_DATA16);
    gdt_set(SEL_LDT, (ulong)ldt, sizeof(ldt) - 1, D_LDT);
    gdt_set(SEL_TSS, (ulong)&tss, sizeof(tss) - 1, D_TSS);
}

void trap_init(void)
{
    struct table_reg gdtr = { sizeof(gdt) - 1, (ulong)gdt };
    struct table_reg idtr = { sizeof(idt) - 1, (ulong)idt };

    fill_gdt();
    for (u32 v = 0; v < 256; v++)
        idt_default(v);
    tss.iomap = sizeof(tss); /* no bitmap */
#ifdef __x86_64__
    tss.rsp[0] = (ulong)stack0_top;
#else
    tss.esp0 = (ulong)stack0_top;
    tss.ss0 = SEL_DATA;
#endif
    asm volatile("lgdt %0\n\tlidt %1" : : "m"(gdtr), "m"(idtr));
#ifdef __x86_64__
    asm volatile("pushq %0\n\tpushq $0f\n\tlretq\n0:" : : "i"(SEL_CODE) : "memory");
#else
    asm volatile("ljmp %0, $0f\n0:" : : "i"(SEL_CODE) : "memory");
#endif
    asm volatile("mov %0, %%ds\n\tmov %0, %%es\n\tmov %0, %%ss\n\tmov %0, %%fs\n\tmov %0, %%gs"
                 : : "r"(SEL_DATA));
    asm volatile("ltr %w0\n\tlldt %w1" : : "r"(SEL_TSS), "r"(SEL_LDT));
}

asm(".pushsection .text\nring3_leave: int $0x80\n\t.popsection");
extern const u8 ring3_leave[];

int ring3_can_leave(void)
{
    in_ring3(ring3_leave);
    check_trap("ring 3: INT arrives", LEAVE_VEC, 0);
    return trap.vec == LEAVE_VEC;
}

int paging_accepted(void)
{
    TRY("mov %0, %%cr0", : : "r"(read_cr0() | CR0_PG) : "memory");
    check_trap("paging can be turned on", -1, 0);
    return trap.vec < 0;
}
