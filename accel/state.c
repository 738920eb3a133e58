/*
 * state.c - a vCPU's state between the translator's struct and the common form
 */
#include "accel/state.h"
#include "hw/hw.h"

_Static_assert(X86_XSAVE_BYTES <= X86_STATE_XSAVE_BYTES, "the image fits");

enum { DR6_FIXED = 0xffff0ff0u };

uint32_t x86_state_msr_number(unsigned i)
{
    static const uint32_t numbers[ST_MSRS] = {
#define M(name, number) [ST_##name] = number,
        X86_STATE_MSRS(M)
#undef M
    };

    return numbers[i];
}

/* Where the translator keeps it. */
static uint64_t *msr_home(struct x86_cpu *cpu, unsigned i)
{
    uint64_t *const homes[ST_MSRS] = {
        [ST_TSC_ADJUST] = &cpu->tsc_adjust, [ST_SYSENTER_CS] = &cpu->sysenter_cs,
        [ST_SYSENTER_ESP] = &cpu->sysenter_esp, [ST_SYSENTER_EIP] = &cpu->sysenter_eip,
        [ST_STAR] = &cpu->star, [ST_LSTAR] = &cpu->lstar, [ST_CSTAR] = &cpu->cstar,
        [ST_SFMASK] = &cpu->sfmask, [ST_KERNEL_GS_BASE] = &cpu->kernel_gs_base,
        [ST_TSC_AUX] = &cpu->tsc_aux, [ST_PAT] = &cpu->pat, [ST_MISC_ENABLE] = &cpu->misc_enable,
        [ST_SPEC_CTRL] = &cpu->spec_ctrl, [ST_DEBUGCTL] = &cpu->debugctl,
        [ST_MTRR_DEF] = &cpu->mtrr_def, [ST_MCG_STATUS] = &cpu->mcg_status,
        [ST_MCG_CTL] = &cpu->mcg_ctl, [ST_XSS] = &cpu->xss,
        [ST_KVM_SYSTEM_TIME] = &cpu->kvm_system_time,
        [ST_KVM_STEAL_TIME] = &cpu->kvm_steal_time, [ST_KVM_PV_EOI] = &cpu->kvm_pv_eoi,
    };

    return homes[i];
}

/* ---- to the common form -------------------------------------------------------------- */

static void get_control(struct x86_cpu *cpu, struct x86_state *s)
{
    memcpy(s->gpr, cpu->tcg.regs, sizeof s->gpr);
    s->rip = cpu->tcg.pc;
    s->rflags = x86_get_eflags(cpu);
    memcpy(s->seg, cpu->seg, sizeof s->seg);
    /* SS.DPL is where the manuals have the CPL */
    s->seg[S_SS].attr = (s->seg[S_SS].attr & ~(3u << SEG_DPL_SHIFT)) | cpu->cpl << SEG_DPL_SHIFT;
    s->ldt = cpu->ldt;
    s->tr = cpu->tr;
    s->gdt = cpu->gdt;
    s->idt = cpu->idt;
    s->cr0 = cpu->cr0;
    s->cr2 = cpu->cr2;
    s->cr3 = cpu->cr3;
    s->cr4 = cpu->cr4;
    s->efer = cpu->efer;
    s->xcr0 = cpu->xcr0;
    memcpy(s->pdpte, cpu->pdpte, sizeof s->pdpte);
    memcpy(s->dr, cpu->dr, sizeof s->dr);
}

static void get_events(struct x86_cpu *cpu, struct x86_state *s)
{
    s->mp = cpu->shutdown ? MP_SHUTDOWN : cpu->wait_sipi ? MP_WAIT_SIPI
          : cpu->halted ? MP_HALTED : MP_RUNNING;
    s->shadow = cpu->shadow;
    s->shadow_ss = cpu->shadow_ss;
    s->nmi_blocked = cpu->nmi_blocked;
    if (cpu->tf_trap) {
        s->exc_pending = true;
        s->exc_vector = EXC_DB;
        s->exc_payload = cpu->trap_dr6;
    }
}

void x86_state_get(struct x86_cpu *cpu, struct x86_state *s)
{
    memset(s, 0, sizeof *s);
    get_control(cpu, s);
    get_events(cpu, s);
    s->cr8 = cpu->bus->get_tpr(cpu->bus->opaque) >> 4;
    if (!cpu->bus->apic_msr(cpu->bus->opaque, 0x1b, &s->apic_base, false))
        s->apic_base = 0;
    for (unsigned i = 0; i < ST_MSRS; i++)
        s->msr[i] = *msr_home(cpu, i);
    memcpy(s->mtrr_fix, cpu->mtrr_fix, sizeof s->mtrr_fix);
    memcpy(s->mtrr_var, cpu->mtrr_var, sizeof s->mtrr_var);
    s->tsc_offset = cpu->tsc_offset;
    s->fpu_cs = cpu->fpu_cs;
    s->fpu_ds = cpu->fpu_ds;
    x86_xsave_get(cpu, s->xsave);
}

/* ---- from it ----------------------------------------------------------------------------- */

static void put_control(struct x86_cpu *cpu, const struct x86_state *s)
{
    bool pe = (s->cr0 & CR0_PE) && !(s->rflags & EF_VM);

    memcpy(cpu->tcg.regs, s->gpr, sizeof s->gpr);
    cpu->cr0 = s->cr0;
    cpu->cr2 = s->cr2;
    cpu->cr3 = s->cr3;
    cpu->cr4 = s->cr4;
    cpu->efer = s->efer;
    cpu->xcr0 = s->xcr0;
    memcpy(cpu->pdpte, s->pdpte, sizeof s->pdpte);
    memcpy(cpu->seg, s->seg, sizeof cpu->seg);
    for (unsigned i = 0; i < S_COUNT; i++)
        x86_seg_derive(&cpu->seg[i], pe);
    cpu->ldt = s->ldt;
    cpu->tr = s->tr;
    cpu->gdt = s->gdt;
    cpu->idt = s->idt;
    cpu->cpl = pe ? s->seg[S_SS].attr >> SEG_DPL_SHIFT & 3 : s->rflags & EF_VM ? 3 : 0;
    memcpy(cpu->dr, s->dr, sizeof s->dr);
    cpu->tcg.fl = x86_eflags_to_fl(s->rflags);
    cpu->eflags = (s->rflags & ~(uint32_t)EF_ARITH) | EF_1;
    cpu->df = s->rflags & EF_DF ? -1 : 1;
    cpu->tcg.pc = cpu->tcg.pcbase = s->rip;
    cpu->tcg.pcoff = 0;
}

static void put_events(struct x86_cpu *cpu, const struct x86_state *s)
{
    cpu->halted = s->mp == MP_HALTED;
    cpu->wait_sipi = s->mp == MP_WAIT_SIPI;
    cpu->shutdown = s->mp == MP_SHUTDOWN;
    cpu->shadow = s->shadow;
    cpu->shadow_ss = s->shadow_ss;
    cpu->nmi_blocked = s->nmi_blocked;
    cpu->tf_trap = s->exc_pending && s->exc_vector == EXC_DB;
    cpu->trap_dr6 = cpu->tf_trap ? s->exc_payload & ~(uint64_t)DR6_FIXED : 0;
    cpu->tcg.exception = 0;
    if (!s->exc_pending || cpu->tf_trap)
        return;
    if (s->exc_vector == EXC_PF)
        x86_raise_pf(cpu, s->exc_payload, s->exc_error);
    else if (s->exc_soft)
        x86_raise_soft(cpu, s->exc_vector, s->exc_soft_len);
    else
        x86_raise_err(cpu, s->exc_vector, s->exc_error);
}

void x86_state_put(struct x86_cpu *cpu, const struct x86_state *s)
{
    put_control(cpu, s);
    for (unsigned i = 0; i < ST_MSRS; i++)
        *msr_home(cpu, i) = s->msr[i];
    memcpy(cpu->mtrr_fix, s->mtrr_fix, sizeof s->mtrr_fix);
    memcpy(cpu->mtrr_var, s->mtrr_var, sizeof s->mtrr_var);
    cpu->tsc_offset = s->tsc_offset;
    x86_xsave_put(cpu, s->xsave);
    cpu->fpu_cs = s->fpu_cs;
    cpu->fpu_ds = s->fpu_ds;
    cpu->steal_seen_ns = PV_STEAL_UNSEEN;
    put_events(cpu, s);
    tcg_mmu_switch(&cpu->tcg, s->cr4 & CR4_PCIDE ? s->cr3 & 0xfff : 0, true);
    tcg_mmu_flush(&cpu->tcg, true);
    x86_update_mode(cpu);
    tcg_kick(&cpu->tcg);
    if (s->irq_pending)
        x86_deliver_irq(cpu, s->irq_vector);
}
