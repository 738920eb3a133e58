/*
 * simd-int.h - what the string, FPU-state and SIMD files share with each other
 *
 * Private to target-x86: packed operands of the helpers that tr-simd.c calls,
 * segment arithmetic for helpers, and views of the vector register file.
 */
#ifndef TARGET_X86_SIMD_INT_H
#define TARGET_X86_SIMD_INT_H

#include "target-x86/x86.h"

/** x86_io_allowed() - seg.c: may the current code use ports @port..@port+@size-1?
 *  Checks CPL against IOPL and the TSS's I/O bitmap; false: #GP(0) is raised. */
bool x86_io_allowed(struct x86_cpu *cpu, uint16_t port, unsigned size) MUST_CHECK;
/** x86_dr_io() - cr.c: note the trap of an I/O breakpoint on @port..@port+@size-1 */
void x86_dr_io(struct x86_cpu *cpu, uint16_t port, unsigned size);

/** x86_fpu_reset() - power-up state of x87, MMX, XMM, YMM and MXCSR
 *  (INIT leaves all of them alone: do not call it then).
 *  Source: Intel SDM vol. 3A, table 9-1. */
void x86_fpu_reset(struct x86_cpu *cpu);

HELPER(h_stmxcsr);        /* returns MXCSR; vector state must be in memory */
HELPER(h_movdir64b);      /* a, b = linear addresses: 64 bytes from b to a, which must be aligned */
HELPER(h_clzero);         /* a = linear address: 64 bytes of zeros */
HELPER(h_rdrand);         /* a = size 2, 4, 8: random value; C = 1, other flags 0 */
HELPER(h_mmx_enter);      /* MMX state transition: TOP = 0, all tags valid */
HELPER(h_pcmpstr);       /* a = linear address of a memory operand, b = PCMPSTR_PACK() */
#define PCMPSTR_PACK(opcode, imm, reg, rm, mem, w, vex)                          \
    ((uint64_t)(opcode) | (uint64_t)(imm) << 8 | (uint64_t)(reg) << 16 |          \
     (uint64_t)(rm) << 20 | (uint64_t)(mem) << 24 | (uint64_t)(w) << 25 |         \
     (uint64_t)(vex) << 26)

/* h_vmaskmov: b; check: against the limit of segment seg, as elements are selected */
#define VMASKMOV_PACK(reg, mask, esize, l, store, seg, check) \
    ((uint64_t)(reg) | (uint64_t)(mask) << 8 | (uint64_t)(esize) << 16 | (uint64_t)(l) << 24 |   \
     (uint64_t)(store) << 25 | (uint64_t)(check) << 26 | (uint64_t)(seg) << 28)
/* h_vgather: a = base register + displacement (offset, not linear); b */
#define VGATHER_PACK(dst, idx, mask, scale, esize, isize, l, asize, seg)          \
    ((uint64_t)(dst) | (uint64_t)(idx) << 4 | (uint64_t)(mask) << 8 |             \
     (uint64_t)(scale) << 12 | (uint64_t)(esize) << 16 | (uint64_t)(isize) << 20 | \
     (uint64_t)(l) << 24 | (uint64_t)(asize) << 28 | (uint64_t)(seg) << 32)

/* h_evgather, h_evscatter: a = as h_vgather's; b */
HELPER(h_evgather);
HELPER(h_evscatter);
#define EVGATHER_PACK(reg, idx, k, scale, esize, isize, l, asize, seg)            \
    ((uint64_t)(reg) | (uint64_t)(idx) << 5 | (uint64_t)(k) << 10 |               \
     (uint64_t)(scale) << 13 | (uint64_t)(esize) << 16 | (uint64_t)(isize) << 20 | \
     (uint64_t)(l) << 24 | (uint64_t)(asize) << 28 | (uint64_t)(seg) << 32)

enum { MXCSR_RESET = 0x1f80, MXCSR_VALID = 0xffff };
enum { FCW_INIT = 0x37f, FSW_ES = 1 << 7, FSW_B = 1 << 15, FSW_TOP_SHIFT = 11,
       FSW_EXC = 0x3f };

/** fpu_top() - x87 stack top, 0..7 */
static inline unsigned fpu_top(const struct x86_cpu *cpu)
{
    return (cpu->fx.fsw >> FSW_TOP_SHIFT) & 7;
}

/** in_code64() - running 64-bit code: no limits, bases of FS and GS only */
static inline bool in_code64(const struct x86_cpu *cpu)
{
    return (cpu->mode & MODE_CODE_MASK) == MODE_CODE64;
}

/** seg_base_of() - base that an access through @seg adds in the current mode */
static inline uint64_t seg_base_of(const struct x86_cpu *cpu, unsigned seg)
{
    return in_code64(cpu) && seg != S_FS && seg != S_GS ? 0 : cpu->seg[seg].base;
}

/** seg_is_flat() - no limit of @seg can be hit by any offset */
static inline bool seg_is_flat(const struct x86_cpu *cpu, unsigned seg, bool write)
{
    const struct x86_seg *s = &cpu->seg[seg];

    return in_code64(cpu) ||
           (s->lo == 0 && (write ? s->hi_w : s->hi_r) == 0xffffffffu);
}

/**
 * seg_to_linear() - linear address of @n bytes at @seg:@off
 * Returns false with #SS(0) or #GP(0) raised when they are outside the limit or
 * the access is of a forbidden kind.
 */
static inline bool seg_to_linear(struct x86_cpu *cpu, unsigned seg, uint64_t off,
                                 unsigned n, bool write, uint64_t *lin)
{
    const struct x86_seg *s = &cpu->seg[seg];

    if (!seg_is_flat(cpu, seg, write) &&
        (off < (write ? s->lo_w : s->lo) || off + n - 1 > (write ? s->hi_w : s->hi_r))) {
        x86_raise_err(cpu, seg == S_SS ? EXC_SS : EXC_GP, 0);
        return false;
    }
    *lin = (off + seg_base_of(cpu, seg)) & cpu->tcg.va_mask;
    return true;
}

/** reg_merge() - write the low @size bytes of general register @r as the
 *  hardware does: 4 zero-extends, 1 and 2 keep the rest */
static inline void reg_merge(struct x86_cpu *cpu, unsigned r, unsigned size, uint64_t v)
{
    uint64_t keep = size >= 4 ? 0 : ~size_mask(size);

    GPR(cpu, r) = (GPR(cpu, r) & keep) | (v & size_mask(size));
}

#endif
