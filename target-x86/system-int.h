/*
 * system-int.h - what the files of the system side share: descriptors, stacks,
 * task switches, event delivery
 *
 * Everything here runs inside helpers or x86_service(): a function that raised
 * an exception returns false and has changed nothing that the guest can see,
 * unless its comment says otherwise.
 */
#ifndef TARGET_X86_SYSTEM_INT_H
#define TARGET_X86_SYSTEM_INT_H

#include "target-x86/x86.h"

/* What x86_bus.intr() reports: the values of hw.h's enum vcpu_intr, repeated
 * because the CPU does not include the machine. */
enum {
    X86_INTR_PIC = 1 << 0, X86_INTR_APIC = 1 << 1, X86_INTR_NMI = 1 << 2, X86_INTR_SMI = 1 << 3,
    X86_INTR_INIT = 1 << 4, X86_INTR_SIPI = 1 << 5, X86_INTR_MCE = 1 << 6, X86_INTR_EXIT = 1 << 7,
    X86_INTR_STPCLK = 1 << 8, X86_INTR_UNHALT = 1 << 9,
};

/* DR6 and DR7 */
enum {
    DR6_BD = 1u << 13, DR6_BS = 1u << 14, DR6_BT = 1u << 15,
    DR6_FIXED = 0xffff0ff0u, DR7_FIXED = 1u << 10, DR7_GD = 1u << 13,
};

/* CPUID feature bits that the system side asks for, by word */
enum { F1C_PCID = 17, F1C_X2APIC = 21, F1C_TSC_DEADLINE = 24, F1C_XSAVE = 26, F1C_AVX = 28, F1C_MONITOR = 3 };
enum { F1D_PSE = 3, F1D_PAE = 6, F1D_MCE = 7, F1D_SEP = 11, F1D_PGE = 13, F1D_PSE36 = 17,
       F1D_FXSR = 24, F1D_SSE = 25, F1D_VME = 1, F1D_DE = 2, F1D_TSC = 4 };
enum { F7B_FSGSBASE = 0, F7B_TSC_ADJUST = 1, F7B_SMEP = 7, F7B_INVPCID = 10, F7B_AVX512F = 16,
       F7B_SMAP = 20 };
enum { F7C_UMIP = 2, F7C_PKU = 3, F7C_RDPID = 22, F7C_PKS = 31 };
enum { F7D_IBRS = 26, F7D_STIBP = 27, F7D_L1D_FLUSH = 28, F7D_ARCH_CAP = 29, F7D_SSBD = 31 };
enum { F81D_SYSCALL = 11, F81D_NX = 20, F81D_FFXSR = 25, F81D_PDPE1GB = 26, F81D_RDTSCP = 27, F81D_LM = 29 };

/* system descriptor types */
enum {
    DT_TSS16 = 1, DT_LDT = 2, DT_TSS16_BUSY = 3, DT_CALL16 = 4, DT_TASK = 5, DT_INT16 = 6,
    DT_TRAP16 = 7, DT_TSS32 = 9, DT_TSS32_BUSY = 11, DT_CALL32 = 12, DT_INT32 = 14, DT_TRAP32 = 15,
};

/**
 * struct x86_desc - a descriptor taken apart
 * @at: linear address of its first byte
 * @attr: as struct x86_seg's
 * @limit: byte granular; meaningless for gates
 * A gate's fields are taken from @raw with the desc_gate_*() functions.
 */
struct x86_desc {
    uint64_t raw, at, base;
    uint32_t limit;
    uint16_t attr;
};

static inline unsigned desc_type(const struct x86_desc *d) { return d->attr & SEG_TYPE; }
static inline unsigned desc_dpl(const struct x86_desc *d) { return d->attr >> SEG_DPL_SHIFT & 3; }
static inline bool desc_present(const struct x86_desc *d) { return d->attr & SEG_P; }
static inline bool desc_system(const struct x86_desc *d) { return !(d->attr & SEG_S); }
static inline bool desc_code(const struct x86_desc *d) { return (d->attr & (SEG_S | 8)) == (SEG_S | 8); }
static inline bool desc_conforming(const struct x86_desc *d) { return d->attr & 4; }
static inline bool desc_writable_data(const struct x86_desc *d)
{
    return (d->attr & (SEG_S | 8 | 2)) == (SEG_S | 2);
}
static inline uint16_t desc_gate_sel(const struct x86_desc *d) { return d->raw >> 16; }
static inline uint32_t desc_gate_off(const struct x86_desc *d)
{
    return (d->raw & 0xffff) | (d->raw >> 32 & 0xffff0000u);
}

/* selector as error code: RPL replaced by EXT and IDT (0) */
static inline uint32_t sel_err(uint16_t sel) { return sel & 0xfffcu; }
static inline bool sel_null(uint16_t sel) { return !(sel & 0xfffc); }

static inline bool x86_lma(const struct x86_cpu *cpu) { return cpu->efer & EFER_LMA; }
static inline bool x86_vm86(const struct x86_cpu *cpu) { return cpu->eflags & EF_VM; }
/** x86_pe() - protected mode and not VM86 */
static inline bool x86_pe(const struct x86_cpu *cpu) { return (cpu->cr0 & CR0_PE) && !x86_vm86(cpu); }
static inline bool x86_code64(const struct x86_cpu *cpu)
{
    return x86_lma(cpu) && (cpu->seg[S_CS].attr & SEG_L);
}
static inline unsigned x86_iopl(const struct x86_cpu *cpu)
{
    return cpu->eflags >> EF_IOPL_SHIFT & 3;
}
static inline bool x86_canonical(uint64_t a)
{
    return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

/** x86_set_pc() - execution goes on (or faults) at @pc; used inside blocks and outside */
static inline void x86_set_pc(struct x86_cpu *cpu, uint64_t pc)
{
    cpu->tcg.pc = pc;
    cpu->tcg.pcbase = pc; /* so that tcg_cur_pc() agrees when the helper faults after this */
    cpu->tcg.pcoff = 0;
}
/** x86_next_pc() - program counter of the next instruction from its pcoff */
static inline uint64_t x86_next_pc(const struct x86_cpu *cpu, uint32_t next_off)
{
    uint64_t pc = cpu->tcg.pcbase + (int64_t)(int32_t)next_off;
    return x86_code64(cpu) ? pc : (uint32_t)pc;
}

static inline void x86_set_zf(struct x86_cpu *cpu, bool z)
{
    cpu->tcg.fl = (cpu->tcg.fl & ~TCG_FL_Z) | (z ? TCG_FL_Z : 0);
}

/** x86_gp0() - #GP(0); returns false, for "return x86_gp0(cpu)" */
static inline bool x86_gp0(struct x86_cpu *cpu)
{
    x86_raise_err(cpu, EXC_GP, 0);
    return false;
}
static inline bool x86_fault(struct x86_cpu *cpu, unsigned vector, uint32_t err)
{
    x86_raise_err(cpu, vector, err);
    return false;
}
/** x86_need_cpl0() - #GP(0) unless the CPL is 0 */
static inline bool x86_need_cpl0(struct x86_cpu *cpu)
{
    return cpu->cpl == 0 || x86_gp0(cpu);
}

/* ---- system tables: implicit supervisor accesses (SDM vol. 3, 4.6.1) ------ */

/** x86_sys_load()/x86_sys_store() - access to GDT, LDT, IDT, TSS or an inner
 *  stack at linear @va, size 1, 2, 4, 8, as supervisor whatever the CPL */
bool x86_sys_load(struct x86_cpu *cpu, uint64_t va, unsigned size, uint64_t *v) MUST_CHECK;
bool x86_sys_store(struct x86_cpu *cpu, uint64_t va, unsigned size, uint64_t v) MUST_CHECK;

/* ---- descriptors (desc.c) ------------------------------------------------- */

/** x86_desc_parse() - take the 8 bytes @raw apart */
void x86_desc_parse(struct x86_desc *d, uint64_t raw);
/** x86_desc_read() - descriptor of non-null @sel from the GDT or LDT; outside the
 *  table: raises @vector with the selector as error code */
bool x86_desc_read(struct x86_cpu *cpu, uint16_t sel, struct x86_desc *d, unsigned vector) MUST_CHECK;
/** x86_desc_peek() - likewise, but outside the table is no fault: *@found = false */
bool x86_desc_peek(struct x86_cpu *cpu, uint16_t sel, struct x86_desc *d, bool *found) MUST_CHECK;
/** x86_desc_upper() - long mode: second half of a 16-byte system descriptor */
bool x86_desc_upper(struct x86_cpu *cpu, uint16_t sel, const struct x86_desc *d, uint64_t *upper) MUST_CHECK;
/** x86_desc_accessed() - set the accessed bit in memory and in @d */
bool x86_desc_accessed(struct x86_cpu *cpu, struct x86_desc *d) MUST_CHECK;
/** x86_desc_set_type() - store @d's type field (TSS busy bit) */
bool x86_desc_set_type(struct x86_cpu *cpu, struct x86_desc *d, unsigned type) MUST_CHECK;
/** x86_seg_fill() - segment register from a descriptor; no checks */
void x86_seg_fill(struct x86_seg *s, uint16_t sel, const struct x86_desc *d);
/** x86_stack_access() - the instruction at RIP, whose access to @va faulted, meant the
 *  stack segment (excp-stack.c) */
bool x86_stack_access(struct x86_cpu *cpu, uint64_t va);
/** x86_seg_null() - unusable segment that keeps selector @sel */
void x86_seg_null(struct x86_seg *s, uint16_t sel);
/** x86_seg_flat() - fixed flat segment as SYSCALL and SYSENTER load: @attr as x86_seg */
void x86_seg_flat(struct x86_seg *s, uint16_t sel, uint16_t attr);
enum { SEG_FLAT_CODE64 = 0xa09b, SEG_FLAT_CODE32 = 0xc09b, SEG_FLAT_DATA = 0xc093 };
/** x86_check_code() - rules for a CS loaded by JMP, CALL or a gate at @cpl:
 *  code, privilege (@gate: DPL <= @cpl; else as a direct transfer with RPL), present, L/D */
bool x86_check_code(struct x86_cpu *cpu, uint16_t sel, const struct x86_desc *d, bool gate) MUST_CHECK;
/** x86_check_stack() - rules for an SS of privilege @dpl; @vector for all but not-present (#SS) */
bool x86_check_stack(struct x86_cpu *cpu, uint16_t sel, struct x86_desc *d, unsigned dpl,
                     unsigned vector) MUST_CHECK;
/** x86_load_data_seg() - protected-mode load of DS, ES, FS, GS (@vector: EXC_GP, EXC_TS) */
bool x86_load_data_seg(struct x86_cpu *cpu, unsigned seg, uint16_t sel, unsigned vector) MUST_CHECK;
/** x86_drop_inner_segs() - after a return outwards: null data segments of more privilege */
void x86_drop_inner_segs(struct x86_cpu *cpu);
/** x86_code_limit() - #GP(0) when @pc is no address of code segment @cs (64: canonical) */
bool x86_code_limit(struct x86_cpu *cpu, const struct x86_seg *cs, uint64_t pc) MUST_CHECK;
/** x86_seg_masked() - may the elements that @m selects, from linear address @lin on, be accessed through
 *  segment register @seg (S_*), outside 64-bit code? Raises #SS(0) or #GP(0) */
bool x86_seg_masked(struct x86_cpu *cpu, unsigned seg, uint64_t lin, struct tcg_mask m, bool write) MUST_CHECK;

/* ---- stacks --------------------------------------------------------------- */

/**
 * struct x86_stack - a stack that may not be the CPU's yet
 * @mask: width of the stack pointer
 * @err: error code of #SS when a push or pop leaves the segment
 * @sys: accessed as supervisor (inner stack), else in the current view
 */
struct x86_stack {
    struct x86_seg ss;
    uint64_t sp, mask;
    uint32_t err;
    bool long_mode, sys;
};

/** x86_stack_current() - the stack of SS:SP as it is */
void x86_stack_current(struct x86_cpu *cpu, struct x86_stack *st);
/** x86_stack_new() - a 16/32-bit stack in segment @ss at @sp */
void x86_stack_new(struct x86_stack *st, const struct x86_seg *ss, uint64_t sp, uint32_t err);
/** x86_stack_room() - #SS now when one of @n pushes of @size bytes would leave the segment (or
 *  not be canonical): that comes before the checks of the target's address */
bool x86_stack_room(struct x86_cpu *cpu, const struct x86_stack *st, unsigned n, unsigned size) MUST_CHECK;
bool x86_push(struct x86_cpu *cpu, struct x86_stack *st, unsigned size, uint64_t v) MUST_CHECK;
bool x86_pop(struct x86_cpu *cpu, struct x86_stack *st, unsigned size, uint64_t *v) MUST_CHECK;
/**
 * x86_frame_store()/x86_frame_load() - @n quadwords at linear @va, the stack of 64-bit code
 * @sys: as supervisor; else (and for loads) in the current view
 * Returns false with nothing raised when they are not simply RAM of one page: do it
 * with x86_push() or x86_pop(), which find the exact fault.
 */
bool x86_frame_store(struct x86_cpu *cpu, bool sys, uint64_t va, const uint64_t *v, unsigned n) MUST_CHECK;
bool x86_frame_load(struct x86_cpu *cpu, uint64_t va, uint64_t *v, unsigned n) MUST_CHECK;
/** x86_stack_commit() - write @st's pointer into RSP/ESP/SP of the current stack width */
void x86_stack_commit(struct x86_cpu *cpu, const struct x86_stack *st);
/** x86_tss_stack() - SS:SP for privilege @dpl from a 16- or 32-bit TSS, checked (#TS, #SS) */
bool x86_tss_stack(struct x86_cpu *cpu, unsigned dpl, struct x86_stack *st) MUST_CHECK;
/** x86_tss_rsp() - RSP@n (@n 0..2) or, @ist not 0, IST@ist from the 64-bit TSS */
bool x86_tss_rsp(struct x86_cpu *cpu, unsigned n, unsigned ist, uint64_t *rsp) MUST_CHECK;

/* ---- transfers -------------------------------------------------------------- */

enum x86_task_reason { TASK_JMP, TASK_CALL, TASK_INT, TASK_IRET };
/**
 * x86_task_switch() - switch to the task of TSS @sel (descriptor @d, checked for
 *   presence and type by the caller per @why)
 * @next_pc: EIP to save in the old TSS
 * Returns false when an exception was raised; from the point of no return on it
 * belongs to the new task (cpu->tcg.pc is the new task's then).
 */
bool x86_task_switch(struct x86_cpu *cpu, uint16_t sel, struct x86_desc *d,
                     enum x86_task_reason why, uint64_t next_pc) MUST_CHECK;
/** x86_task_tss() - read and check the TSS that a task gate's or an instruction's @sel names */
bool x86_task_tss(struct x86_cpu *cpu, uint16_t sel, struct x86_desc *d) MUST_CHECK;

/** x86_enter_vm86() - load the six segments of a VM86 task, CPL 3; EFLAGS.VM is set already */
void x86_enter_vm86(struct x86_cpu *cpu, const uint16_t sel[S_COUNT]);
/** x86_set_cs() - load CS and the CPL that goes with it */
static inline void x86_set_cs(struct x86_cpu *cpu, const struct x86_seg *cs, unsigned cpl)
{
    cpu->seg[S_CS] = *cs;
    cpu->cpl = cpl;
}
/** x86_io_allowed() - #GP(0) unless the port may be accessed (IOPL, TSS bitmap) */
bool x86_io_allowed(struct x86_cpu *cpu, uint16_t port, unsigned size) MUST_CHECK;
/** x86_dr_io() - cr.c: note the trap of an I/O breakpoint on @port..@port+@size-1 */
void x86_dr_io(struct x86_cpu *cpu, uint16_t port, unsigned size);
/** x86_irq_recheck() - IF was set or a block ended: have x86_service() look if
 *  something is pending */
void x86_irq_recheck(struct x86_cpu *cpu);
/** x86_tsc() - the guest's time-stamp counter now */
uint64_t x86_tsc(const struct x86_cpu *cpu);
/** x86_msr_read()/x86_msr_write() - as RDMSR and WRMSR at CPL 0; false: #GP, none raised */
bool x86_msr_read(struct x86_cpu *cpu, uint32_t msr, uint64_t *v) MUST_CHECK;
bool x86_msr_write(struct x86_cpu *cpu, uint32_t msr, uint64_t v) MUST_CHECK;
/** x86_pv_ram() - guest RAM of @len bytes at @gpa, aligned to 4, to be written, or NULL; bus->ram_done()
 *  after it */
void *x86_pv_ram(struct x86_cpu *cpu, uint64_t gpa, uint64_t len);
/** x86_update_view() - only CPL or EFLAGS.AC changed */
void x86_update_view(struct x86_cpu *cpu);
/** x86_view() - the view that CPL and EFLAGS.AC make */
static inline enum tcg_view x86_view(const struct x86_cpu *cpu)
{
    if (cpu->cpl == 3)
        return VIEW_USER;
    return (cpu->cr4 & CR4_SMAP) && (cpu->eflags & EF_AC) ? VIEW_KERNEL_AC : VIEW_KERNEL;
}
/** x86_update_privilege() - x86_update_mode() when nothing has changed but EFLAGS without VM and, if 64-bit
 *  code goes on in 64-bit code, CPL */
void x86_update_privilege(struct x86_cpu *cpu);
/** x86_iret_quick() - IRETQ of 64-bit code, when nothing about it is unusual; see x86_event_quick() */
bool x86_iret_quick(struct x86_cpu *cpu) MUST_CHECK;
/** x86_iret_flags() - EFLAGS after IRET at privilege @cpl with IOPL @iopl, operand @size, from @old and
 *  the image @v */
uint32_t x86_iret_flags(uint32_t old, uint32_t v, unsigned cpl, unsigned iopl, unsigned size);
/** x86_xcr0_known() - XCR0 bits that the CPU model has */
uint64_t x86_xcr0_known(const struct x86_cpu *cpu);
enum { MISC_CPUID_FAULT = 1 };   /* MISC_FEATURES_ENABLES: CPUID above ring 0 is #GP */
/** x86_is_intel() - vendor rules where Intel's and AMD's differ */
static inline bool x86_is_intel(const struct x86_cpu *cpu)
{
    return cpu->model->vendor[0] == 'G';
}

/** x86_set_cr0()/x86_set_cr4()/x86_set_cr3() - checked loads as MOV CR does; raise #GP */
bool x86_set_cr0(struct x86_cpu *cpu, uint64_t v) MUST_CHECK;
bool x86_set_cr3(struct x86_cpu *cpu, uint64_t v) MUST_CHECK;
bool x86_set_cr4(struct x86_cpu *cpu, uint64_t v) MUST_CHECK;

#endif
