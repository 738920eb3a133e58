/*
 * syscall.c - SYSCALL, SYSRET, SYSENTER, SYSEXIT, FSGSBASE
 *
 * Source: Intel SDM vol. 2; AMD APM vol. 2, 6.1 (legacy and compatibility mode
 * SYSCALL, which exists with AMD's vendor string only).
 */
#include "target-x86/system-int.h"

static uint64_t ud(struct x86_cpu *cpu)
{
    x86_raise(cpu, EXC_UD);
    return 0;
}

/** flat_pair() - CS @cs and SS @cs + @gap, flat, of privilege @cpl */
static void flat_pair(struct x86_cpu *cpu, uint16_t cs, uint16_t ss, unsigned cpl, uint16_t code)
{
    uint16_t dpl = cpl << SEG_DPL_SHIFT;

    x86_seg_flat(&cpu->seg[S_CS], (cs & 0xfffc) | cpl, code | dpl);
    x86_seg_flat(&cpu->seg[S_SS], (ss & 0xfffc) | cpl, SEG_FLAT_DATA | dpl);
    cpu->cpl = cpl;
}

static uint64_t go(struct x86_cpu *cpu, uint64_t pc)
{
    x86_set_pc(cpu, pc);
    x86_update_mode(cpu);
    return 1;
}

/** mask_flags() - RFLAGS &= ~@mask, RF = 0; the mode is the caller's to update */
static void mask_flags(struct x86_cpu *cpu, uint32_t mask)
{
    uint32_t ef = x86_get_eflags(cpu) & ~(mask | EF_RF);

    cpu->tcg.fl = x86_eflags_to_fl(ef);
    cpu->eflags = (ef & ~(uint32_t)EF_ARITH) | EF_1;
    cpu->df = ef & EF_DF ? -1 : 1;
    cpu->no_step = (cpu->mode & MODE_TF) && !(ef & EF_TF);
}

static uint64_t syscall_long(struct x86_cpu *cpu, uint64_t next)
{
    bool code64 = x86_code64(cpu);
    uint16_t cs = cpu->star >> 32;

    if (!code64 && x86_is_intel(cpu))
        return ud(cpu);
    GPR(cpu, R_CX) = next;
    GPR(cpu, 11) = x86_get_eflags(cpu) & ~(uint32_t)EF_RF;
    mask_flags(cpu, cpu->sfmask);
    flat_pair(cpu, cs, (cs & 0xfffc) + 8, 0, SEG_FLAT_CODE64);
    if (!code64)
        return go(cpu, cpu->cstar);
    x86_set_pc(cpu, cpu->lstar);
    x86_update_privilege(cpu);
    return 1;
}

uint64_t h_syscall(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint64_t next = x86_next_pc(cpu, c);
    uint16_t cs = cpu->star >> 32;

    if (!(cpu->efer & EFER_SCE) || !(cpu->cr0 & CR0_PE))
        return ud(cpu);
    if (x86_lma(cpu))
        return syscall_long(cpu, next);
    if (x86_is_intel(cpu))
        return ud(cpu);
    GPR(cpu, R_CX) = (uint32_t)next;
    mask_flags(cpu, EF_IF | EF_VM);
    flat_pair(cpu, cs, (cs & 0xfffc) + 8, 0, SEG_FLAT_CODE32);
    return go(cpu, (uint32_t)cpu->star);
}

/* RFLAGS that SYSRET takes from R11: all but RF, VM and the reserved ones */
#define SYSRET_FLAGS 0x3c7fd7u

/** step_after() - TF counts as SYSRET leaves it: the trap comes before the next
 *  instruction (AMD APM vol. 3, SYSRET) */
static void step_after(struct x86_cpu *cpu)
{
    if (!(cpu->eflags & EF_TF))
        return;
    cpu->tf_trap = true;
    cpu->trap_dr6 |= DR6_BS;
    tcg_kick(&cpu->tcg);
}

/** back_to64() - flags of SYSRET from 64-bit code to 64-bit code */
static void back_to64(struct x86_cpu *cpu)
{
    bool was_if = cpu->eflags & EF_IF;

    x86_put_eflags(cpu, GPR(cpu, 11) & SYSRET_FLAGS);
    x86_update_privilege(cpu);
    if (!was_if && (cpu->eflags & EF_IF) && cpu->irq_held)
        x86_irq_recheck(cpu);
}

uint64_t h_sysret(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint16_t sel = cpu->star >> 48;
    bool to64 = a == 8, from64 = x86_code64(cpu);
    uint64_t pc = to64 ? GPR(cpu, R_CX) : (uint32_t)GPR(cpu, R_CX);

    if (!(cpu->efer & EFER_SCE) || !(cpu->cr0 & CR0_PE) || (!x86_lma(cpu) && x86_is_intel(cpu)))
        return ud(cpu);
    if (!x86_need_cpl0(cpu))
        return 0;
    if (to64 && !x86_canonical(pc))
        return x86_gp0(cpu);
    flat_pair(cpu, to64 ? sel + 16 : sel, sel + 8, 3, to64 ? SEG_FLAT_CODE64 : SEG_FLAT_CODE32);
    x86_set_pc(cpu, pc);
    if (from64 && to64)
        back_to64(cpu);
    else if (x86_lma(cpu))
        x86_set_eflags(cpu, GPR(cpu, 11) & SYSRET_FLAGS);
    else
        x86_set_eflags(cpu, x86_get_eflags(cpu) | EF_IF);
    step_after(cpu);
    return 1;
}

uint64_t h_sysenter(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint16_t cs = cpu->sysenter_cs;
    bool lma = x86_lma(cpu);

    if (lma && !x86_is_intel(cpu))
        return ud(cpu);
    if (!(cpu->cr0 & CR0_PE) || sel_null(cs))
        return x86_gp0(cpu);
    cpu->eflags &= ~(uint32_t)(EF_VM | EF_IF | EF_RF);
    flat_pair(cpu, cs, (cs & 0xfffc) + 8, 0, lma ? SEG_FLAT_CODE64 : SEG_FLAT_CODE32);
    GPR(cpu, R_SP) = lma ? cpu->sysenter_esp : (uint32_t)cpu->sysenter_esp;
    return go(cpu, lma ? cpu->sysenter_eip : (uint32_t)cpu->sysenter_eip);
}

uint64_t h_sysexit(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint16_t cs = cpu->sysenter_cs;
    bool to64 = a == 8;
    uint64_t pc = GPR(cpu, R_DX), sp = GPR(cpu, R_CX);

    if (x86_lma(cpu) && !x86_is_intel(cpu))
        return ud(cpu);
    if (!(cpu->cr0 & CR0_PE) || sel_null(cs) || cpu->cpl != 0)
        return x86_gp0(cpu);
    if (to64 && (!x86_canonical(pc) || !x86_canonical(sp)))
        return x86_gp0(cpu);
    cs = (cs & 0xfffc) + (to64 ? 32 : 16);
    flat_pair(cpu, cs, cs + 8, 3, to64 ? SEG_FLAT_CODE64 : SEG_FLAT_CODE32);
    GPR(cpu, R_SP) = to64 ? sp : (uint32_t)sp;
    return go(cpu, to64 ? pc : (uint32_t)pc);
}

/** h_fsgsbase() - @a: 0 RDFSBASE, 1 RDGSBASE, 2 WRFSBASE, 3 WRGSBASE, @b value, @c opsize */
uint64_t h_fsgsbase(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    struct x86_seg *s = &cpu->seg[a & 1 ? S_GS : S_FS];
    uint64_t v = c == 8 ? b : (uint32_t)b;

    if (!(cpu->cr4 & CR4_FSGSBASE) || !x86_code64(cpu))
        return ud(cpu);
    if (!(a & 2))
        return s->base & size_mask(c);
    if (!x86_canonical(v))
        return x86_gp0(cpu);
    s->base = v;
    return 1;
}
