/* desc.h - descriptor tables of the 32 and 64 bit programs */
#ifndef BARE_DESC_H
#define BARE_DESC_H

#include "lib/bare.h"

/* Order as SYSCALL, SYSRET, SYSENTER and SYSEXIT want it */
enum {
    SEL_CODE = 0x08, SEL_DATA = 0x10, SEL_UCODE32 = 0x18 | 3, SEL_UDATA = 0x20 | 3,
    SEL_UCODE64 = 0x28 | 3, SEL_UDATA64 = 0x30 | 3, SEL_CODE32 = 0x38, SEL_CODE16 = 0x40,
    SEL_DATA16 = 0x48, SEL_TSS = 0x50, SEL_LDT = 0x60, SEL_TSS2 = 0x70, SEL_TSS_DF = 0x78,
    SEL_GATE = 0x80, SEL_SCRATCH = 0x90, SEL_SCRATCH2 = 0xa0,
    SEL_CODE1 = 0xb0 | 1, SEL_DATA1 = 0xb8 | 1, SEL_CODE2 = 0xc0 | 2, SEL_DATA2 = 0xc8 | 2, GDT_BYTES = 0xd0,
};
/* bits 55..40 of a descriptor: type, S, DPL, P; L, D/B, G in the upper byte */
enum {
    D_DATA = 0xc093, D_CODE = 0xc09b, D_UDATA = 0xc0f3, D_UCODE = 0xc0fb, D_CODE64 = 0xa09b,
    D_UCODE64 = 0xa0fb, D_CODE16 = 0x009b, D_DATA16 = 0x0093, D_TSS = 0x0089, D_TSS_BUSY = 0x008b,
    D_TSS16 = 0x0081, D_LDT = 0x0082, D_P = 0x80, D_DPL1 = 0x20, D_DPL2 = 0x40, D_DPL3 = 0x60, D_G = 0x8000, D_B = 0x4000,
};
enum { G_INT = 0x8e, G_TRAP = 0x8f, G_CALL = 0x8c, G_CALL16 = 0x84, G_TASK = 0x85 };

extern u64 gdt[GDT_BYTES / 8], ldt[8];
extern u8 stack0[], stack0_top[], stack3[], stack3_top[];

#ifdef __x86_64__
struct tss {
    u32 reserved0;
    u64 rsp[3], reserved1, ist[7], reserved2;
    u16 reserved3, iomap;
    u8 io[260];
} __attribute__((packed));
#else
struct tss {
    u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
    u32 eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt;
    u16 trap, iomap;
    u8 intmap[32], io[260];
};
extern struct tss tss2, tss_df;
#endif
extern struct tss tss;

struct table_reg { u16 limit; ulong base; } __attribute__((packed));

/**
 * desc_set() - fill a code, data or system descriptor
 * @limit: as encoded: 20 bits, in pages when @attr has D_G
 */
void desc_set(u64 *d, ulong base, u32 limit, u32 attr);
void gdt_set(u32 sel, ulong base, u32 limit, u32 attr);

/**
 * gate_set() - fill an interrupt, trap, call or task gate
 * @type: low byte access rights; @extra: parameter count, or the IST in long mode
 */
void gate_set(u64 *d, u32 sel, ulong target, u32 type, u32 extra);
void idt_set(u32 vec, u32 sel, ulong target, u32 type, u32 extra);

/* The handler stub of a vector, as trap_init installed it */
ulong stub_of(u32 vec);
void idt_default(u32 vec);

/**
 * user_run() - go to another ring (or code segment) by IRET, until an exception
 */
void user_run(ulong ip, ulong sp, ulong flags, ulong cs, ulong ss);

/* ring 3 code ends with this interrupt; its gate has DPL 3 */
#define LEAVE_VEC 0x80
#define LEAVE "int $0x80\n"

static inline int in_ring3(const u8 *code)
{
    trap_arm();
#ifdef __x86_64__
    user_run((ulong)code, (ulong)stack3_top, 2, SEL_UCODE64, SEL_UDATA64);
#else
    user_run((ulong)code, (ulong)stack3_top, 2, SEL_UCODE32, SEL_UDATA);
#endif
    return trap.vec;
}

/**
 * ring3_can_leave() - a test: INT in ring 3 arrives. Groups that need it ask first: a KVM without
 * hardware raises #UD for what its emulator lacks.
 */
int ring3_can_leave(void);

/** paging_accepted() - a test: CR0.PG can be set; CR3 and CR4 are ready */
int paging_accepted(void);

#endif
