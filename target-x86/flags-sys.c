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
    x86_put_eflags(cpu, (old & ~mask) | ((uint32_t)b & mask));
    x86_update_privilege(cpu);
    if (~old & cpu->eflags & EF_IF)
        x86_irq_recheck(cpu);
    return 1;
}

/** h_popf_stay() - h_popf(), and whether the block has to be left: what it was translated for
 *  has changed, or there may be an interrupt to take */
uint64_t h_popf_stay(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint64_t map = tc->map_base;
    uint32_t mode = cpu->mode;

    h_popf(tc, a, b, c);
    return cpu->mode != mode || tc->map_base != map || !__atomic_load_n(&tc->run, __ATOMIC_RELAXED);
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

/** h_view() - EFLAGS.AC has changed: CLAC, STAC */
uint64_t h_view(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    x86_update_view(X86(tc));
    return 0;
}
