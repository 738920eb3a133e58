/*
 * state.h - all of a vCPU's state in one form, whoever runs it
 *
 * What an implementation gives (accel_ops.get_state) another can take
 * (put_state). Everything is as the manuals define it: registers with all their
 * bits, the XSAVE area in its standard format. The interrupt chips are not here:
 * they are devices, and an implementation with chips of its own keeps those of hw/intc
 * up to date with the state.
 */
#ifndef ACCEL_STATE_H
#define ACCEL_STATE_H

#include "target-x86/x86.h"

/* MSRs by number, with their place in @msr */
#define X86_STATE_MSRS(M)                                                                 \
    M(TSC_ADJUST, 0x3b) M(SYSENTER_CS, 0x174) M(SYSENTER_ESP, 0x175) M(SYSENTER_EIP, 0x176) \
    M(STAR, 0xc0000081) M(LSTAR, 0xc0000082) M(CSTAR, 0xc0000083) M(SFMASK, 0xc0000084)     \
    M(KERNEL_GS_BASE, 0xc0000102) M(TSC_AUX, 0xc0000103) M(PAT, 0x277)                      \
    M(MISC_ENABLE, 0x1a0) M(SPEC_CTRL, 0x48) M(DEBUGCTL, 0x1d9)                             \
    M(MTRR_DEF, 0x2ff) M(MCG_STATUS, 0x17a) M(MCG_CTL, 0x17b) M(XSS, 0xda0) \
    M(KVM_SYSTEM_TIME, 0x4b564d01) M(KVM_STEAL_TIME, 0x4b564d03) M(KVM_PV_EOI, 0x4b564d04)

enum x86_state_msr {
#define M(name, number) ST_##name,
    X86_STATE_MSRS(M)
#undef M
    ST_MSRS
};

enum x86_mp_state {
    MP_RUNNING, MP_HALTED,
    MP_WAIT_SIPI,           /* after INIT, or not started yet */
    MP_SHUTDOWN,            /* triple fault: until reset, INIT or NMI */
};

#define X86_STATE_XSAVE_BYTES 4096

/**
 * struct x86_state - a vCPU between two instructions
 * @seg: by S_*; the selector, base, limit and attributes count, not what is derived
 * @rflags: all of them
 * @msr: by ST_*
 * @mtrr_fix: in address order; @mtrr_var: base, mask, base, ...
 * @tsc_offset: guest TSC = the machine's TSC (accel_tsc()) + tsc_offset + TSC_ADJUST
 * @exc_pending: the exception @exc_vector is about to be delivered; RIP is where it
 *   will return to, registers are as they were before its instruction (a trap: after)
 * @irq_pending: external interrupt @irq_vector has been acknowledged, not delivered
 * @xsave: standard format; XSTATE_BV names the components that differ from their
 *   initial state. Legacy area in the 64-bit format of FXSAVE64.
 * @fpu_cs, @fpu_ds: x87 code and data segment selectors
 */
struct x86_state {
    uint64_t gpr[16], rip, rflags;
    struct x86_seg seg[S_COUNT], ldt, tr;
    struct x86_dtr gdt, idt;
    uint64_t cr0, cr2, cr3, cr4, cr8, efer, xcr0;
    uint64_t apic_base;
    uint64_t pdpte[4];               /* PAE paging: as loaded last */
    uint64_t dr[8];
    uint64_t msr[ST_MSRS];
    uint64_t mtrr_fix[11], mtrr_var[16];
    uint64_t tsc_offset;
    enum x86_mp_state mp;
    bool shadow, shadow_ss;          /* STI's, MOV SS's interrupt shadow */
    bool nmi_blocked;
    bool exc_pending, exc_has_error, exc_soft;
    uint8_t exc_vector, exc_soft_len;
    uint32_t exc_error;
    uint64_t exc_payload;            /* #PF: address for CR2; #DB: bits for DR6 */
    bool irq_pending, nmi_pending;
    uint8_t irq_vector;
    uint16_t fpu_cs, fpu_ds;
    uint8_t xsave[X86_STATE_XSAVE_BYTES] __attribute__((aligned(64)));
};

/** x86_state_msr_number() - MSR number of place @i */
uint32_t x86_state_msr_number(unsigned i);
/** x86_state_get()/x86_state_put() - from and to the translator's struct; it is parked.
 *  Page maps and mode follow; translations of code that changed meanwhile are the
 *  caller's affair. */
void x86_state_get(struct x86_cpu *cpu, struct x86_state *s);
void x86_state_put(struct x86_cpu *cpu, const struct x86_state *s);

#endif
