/*
 * raise.c - making an exception pending; the flags register as a whole
 *
 * Built with -mgeneral-regs-only: page walks raise while the host's vector
 * registers hold the guest's.
 */
#include "target-x86/system-int.h"

/* SDM vol. 3, 6.13: #DF, #TS, #NP, #SS, #GP, #PF, #AC push an error code */
#define HAS_ERROR (BIT(EXC_DF) | BIT(EXC_TS) | BIT(EXC_NP) | BIT(EXC_SS) | BIT(EXC_GP) | \
                   BIT(EXC_PF) | BIT(EXC_AC))
#define HAS_EXT (BIT(EXC_TS) | BIT(EXC_NP) | BIT(EXC_SS) | BIT(EXC_GP))

static void raise(struct x86_cpu *cpu, unsigned vector, uint32_t error)
{
    if (cpu->tcg.exception)
        return;
    if (cpu->exc_ext && (HAS_EXT >> vector & 1))
        error |= 1;
    cpu->exc_has_error = HAS_ERROR >> vector & 1;
    cpu->exc_error = cpu->exc_has_error ? error : 0;
    cpu->exc_soft = cpu->exc_canon = false;
    cpu->exc_soft_len = 0;
    cpu->exc_vme = false;
    cpu->exc_dr6 = 0;
    cpu->tcg.exception = vector + 1;
}

void x86_raise(struct x86_cpu *cpu, unsigned vector)
{
    raise(cpu, vector, 0);
}

void x86_raise_err(struct x86_cpu *cpu, unsigned vector, uint32_t error)
{
    raise(cpu, vector, error);
}

void x86_raise_pf(struct x86_cpu *cpu, uint64_t va, uint32_t error)
{
    if (cpu->tcg.exception)
        return;
    raise(cpu, EXC_PF, error);
    cpu->exc_cr2 = va;
}

void x86_raise_db(struct x86_cpu *cpu, uint64_t dr6_bits)
{
    if (cpu->tcg.exception)
        return;
    raise(cpu, EXC_DB, 0);
    cpu->exc_dr6 = dr6_bits;
}

void x86_raise_soft(struct x86_cpu *cpu, unsigned vector, unsigned len)
{
    if (cpu->tcg.exception)
        return;
    cpu->exc_has_error = false;
    cpu->exc_error = 0;
    cpu->exc_soft = true;
    cpu->exc_soft_len = len;
    cpu->exc_vme = false;
    cpu->exc_dr6 = 0;
    cpu->tcg.exception = (vector & 0xff) + 1;
}

uint32_t x86_get_eflags(const struct x86_cpu *cpu)
{
    return (cpu->eflags & ~(uint32_t)(EF_ARITH | EF_DF)) | EF_1 | x86_fl_to_eflags(cpu->tcg.fl) |
           (cpu->df < 0 ? EF_DF : 0);
}

#define EF_KNOWN (EF_ARITH | EF_TF | EF_IF | EF_DF | EF_IOPL | EF_NT | EF_RF | EF_VM | EF_AC | \
                  EF_VIF | EF_VIP | EF_ID)

void x86_put_eflags(struct x86_cpu *cpu, uint32_t ef)
{
    cpu->tcg.fl = x86_eflags_to_fl(ef);
    cpu->eflags = (ef & EF_KNOWN & ~(uint32_t)EF_ARITH) | EF_1;
    cpu->df = ef & EF_DF ? -1 : 1;
}

void x86_set_eflags(struct x86_cpu *cpu, uint32_t ef)
{
    bool was_if = cpu->eflags & EF_IF;

    x86_put_eflags(cpu, ef);
    x86_update_mode(cpu);
    if (!was_if && (ef & EF_IF))
        x86_irq_recheck(cpu);
}

void x86_irq_recheck(struct x86_cpu *cpu)
{
    if (cpu->bus->intr(cpu->bus->opaque) & ~(uint32_t)X86_INTR_UNHALT)
        tcg_kick(&cpu->tcg);
}
