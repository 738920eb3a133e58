/*
 * flags-sys.c - the privileged half of EFLAGS: PUSHF, POPF, CLI, STI, CLAC, STAC
 *
 * Source: Intel SDM vol. 2 (each instruction), vol. 3, 20.3-20.4 (VME, PVI).
 */
#include "target-x86/system-int.h"

/** vme_ok() - VM86 with IOPL < 3 may go on through VME with a 16-bit operand; else #GP(0) */
static bool vme_ok(struct x86_cpu *cpu, unsigned size)
{
    return ((cpu->cr4 & CR4_VME) && size == 2) || x86_gp0(cpu);
}

uint64_t h_pushf(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint32_t ef = x86_get_eflags(cpu);

    if (x86_vm86(cpu) && x86_iopl(cpu) < 3) {
        if (!vme_ok(cpu, a))
            return 0;
        ef = (ef & ~EF_IF) | EF_IOPL | (ef & EF_VIF ? EF_IF : 0);
    }
    return ef & ~(uint32_t)(EF_VM | EF_RF) & size_mask(a);
}

/** popf_vme() - POPF of a VM86 program whose IF is virtual */
static uint64_t popf_vme(struct x86_cpu *cpu, uint32_t v)
{
    uint32_t old = x86_get_eflags(cpu), mask = EF_ARITH | EF_DF | EF_NT;

    if ((v & EF_TF) || ((v & EF_IF) && (old & EF_VIP)))
        return x86_gp0(cpu);
    old = (old & ~(mask | EF_VIF | EF_TF)) | (v & mask);
    x86_set_eflags(cpu, old | (v & EF_IF ? EF_VIF : 0));
    return 1;
}

uint64_t h_popf(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint32_t old = x86_get_eflags(cpu), mask = EF_ARITH | EF_TF | EF_DF | EF_NT;

    if (x86_vm86(cpu) && x86_iopl(cpu) < 3)
        return vme_ok(cpu, a) && popf_vme(cpu, b);
    if (cpu->cpl <= x86_iopl(cpu))
        mask |= EF_IF;
    if (cpu->cpl == 0)
        mask |= EF_IOPL;
    if (a > 2) {
        mask |= EF_AC | EF_ID;
        old &= ~(uint32_t)EF_RF;
    }
    x86_set_eflags(cpu, (old & ~mask) | ((uint32_t)b & mask));
    return 1;
}

/** virtual_if() - CLI, STI act on VIF: VM86 with VME, or CPL 3 with PVI */
static bool virtual_if(const struct x86_cpu *cpu)
{
    return x86_vm86(cpu) ? cpu->cr4 & CR4_VME : cpu->cpl == 3 && (cpu->cr4 & CR4_PVI);
}

uint64_t h_cli(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (cpu->cpl <= x86_iopl(cpu))
        cpu->eflags &= ~(uint32_t)EF_IF;
    else if (virtual_if(cpu))
        cpu->eflags &= ~(uint32_t)EF_VIF;
    else
        return x86_gp0(cpu);
    return 1;
}

uint64_t h_sti(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (cpu->cpl <= x86_iopl(cpu)) {
        if (!(cpu->eflags & EF_IF) && !cpu->shadow) {
            cpu->shadow = true;
            x86_update_mode(cpu);
        }
        cpu->eflags |= EF_IF;
    } else if (virtual_if(cpu) && !(cpu->eflags & EF_VIP)) {
        cpu->eflags |= EF_VIF;
    } else {
        return x86_gp0(cpu);
    }
    return 1;
}

/** set_ac() - CLAC, STAC: only the view changes, not the mode */
static uint64_t set_ac(struct x86_cpu *cpu, uint32_t ac)
{
    if (cpu->cpl != 0) {
        x86_raise(cpu, EXC_UD);
        return 0;
    }
    cpu->eflags = (cpu->eflags & ~(uint32_t)EF_AC) | ac;
    x86_update_view(cpu);
    return 1;
}

uint64_t h_clac(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    return set_ac(X86(tc), 0);
}

uint64_t h_stac(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    return set_ac(X86(tc), EF_AC);
}
