/*
 * reset.c - power-up and INIT state
 *
 * Source: Intel SDM vol. 3, 9.1.1, table 9-1.
 */
#include "target-x86/system-int.h"
#include "target-x86/simd-int.h"

static void reset_segments(struct x86_cpu *cpu)
{
    for (unsigned i = 0; i < S_COUNT; i++) {
        struct x86_seg *s = &cpu->seg[i];
        s->sel = 0;
        s->base = 0;
        s->limit = 0xffff;
        s->attr = SEG_P | SEG_S | 3;
    }
    cpu->seg[S_CS].sel = 0xf000;
    cpu->seg[S_CS].base = 0xffff0000;
    cpu->seg[S_CS].attr = SEG_P | SEG_S | 0xb;
    for (unsigned i = 0; i < S_COUNT; i++)
        x86_seg_derive(&cpu->seg[i], false);
    cpu->ldt = (struct x86_seg){ .limit = 0xffff, .attr = SEG_P | DT_LDT };
    cpu->tr = (struct x86_seg){ .limit = 0xffff, .attr = SEG_P | DT_TSS32_BUSY };
    cpu->gdt = (struct x86_dtr){ 0, 0xffff };
    cpu->idt = (struct x86_dtr){ 0, 0xffff };
}

static void reset_control(struct x86_cpu *cpu, bool init)
{
    /* INIT keeps CD and NW; power-up sets both */
    uint64_t cache = init ? cpu->cr0 & (CR0_CD | CR0_NW) : CR0_CD | CR0_NW;

    cpu->cr0 = cache | CR0_ET;
    cpu->cr2 = cpu->cr3 = cpu->cr4 = 0;
    cpu->efer = 0;
    for (unsigned i = 0; i < 4; i++) {
        cpu->dr[i] = 0;
        cpu->pdpte[i] = 0;
    }
    cpu->dr[6] = DR6_FIXED;
    cpu->dr[7] = DR7_FIXED;
}

static void reset_msrs(struct x86_cpu *cpu)
{
    cpu->star = cpu->lstar = cpu->cstar = cpu->sfmask = cpu->kernel_gs_base = 0;
    cpu->sysenter_cs = cpu->sysenter_esp = cpu->sysenter_eip = 0;
    cpu->pat = 0x0007040600070406ull;
    cpu->misc_enable = 0x1;               /* fast strings */
    cpu->tsc_adjust = cpu->tsc_offset = cpu->tsc_aux = 0;
    cpu->spec_ctrl = cpu->debugctl = cpu->misc_features = 0;
    cpu->mtrr_def = 0;
    memset(cpu->mtrr_fix, 0, sizeof(cpu->mtrr_fix));
    memset(cpu->mtrr_var, 0, sizeof(cpu->mtrr_var));
    memset(cpu->mc_bank, 0, sizeof(cpu->mc_bank));
    cpu->mcg_status = 0;
    cpu->mcg_ctl = ~0ull;
    cpu->smbase = 0x30000;
    cpu->bios_sign = BIT(32);              /* microcode revision 1 */
    cpu->xss = 0;
    cpu->kvm_wall_clock = cpu->kvm_system_time = cpu->kvm_steal_time = cpu->kvm_pv_eoi = 0;
    cpu->pkru = cpu->pkrs = 0;
}

static void reset_events(struct x86_cpu *cpu)
{
    cpu->tcg.exception = 0;
    cpu->exc_has_error = cpu->exc_soft = cpu->exc_ext = cpu->exc_vme = false;
    cpu->delivering = 0;
    cpu->halted = cpu->shutdown = cpu->shadow = cpu->shadow_ss = false;
    cpu->nmi_blocked = cpu->in_smm = cpu->implicit = cpu->tf_trap = false;
    cpu->trap_dr6 = 0;
    cpu->wait_sipi = false;
    cpu->irq_held = true;
}

/** signature() - EDX after reset: family, model, stepping as CPUID.1 EAX gives them */
static uint32_t signature(struct x86_cpu *cpu)
{
    uint32_t r[4];

    x86_cpuid(cpu, 1, 0, r);
    return r[0];
}

/* -d cpu_reset, as QEMU prints it: the registers as they were. */
static void log_reset(struct x86_cpu *cpu, bool init)
{
    FILE *f = log_lock();

    fprintf(f, "CPU Reset (CPU %u)%s\n", cpu->index, init ? " by INIT" : "");
    if (cpu->bus)
        x86_log_cpu(&cpu->tcg, f);
    log_unlock();
}

/**
 * x86_reset() - power-up or INIT state
 * @init: INIT: MSRs, FPU and vector state are kept
 *
 * A vCPU other than the first waits for SIPI after power-up.
 */
void x86_reset(struct x86_cpu *cpu, bool init)
{
    if (log_on(LOG_CPU_RESET))
        log_reset(cpu, init);
    for (unsigned i = 0; i < 16; i++)
        GPR(cpu, i) = 0;
    GPR(cpu, R_DX) = signature(cpu);
    cpu->cpl = 0;
    reset_events(cpu);
    reset_segments(cpu);
    reset_control(cpu, init);
    if (!init) {
        reset_msrs(cpu);
        x86_fpu_reset(cpu);
        cpu->xcr0 = 1;
        cpu->wait_sipi = cpu->index != 0;
    }
    cpu->tcg.fl = 0;
    cpu->eflags = EF_1;
    cpu->df = 1;
    x86_set_pc(cpu, 0xfff0);
    tcg_mmu_switch(&cpu->tcg, 0, true);
    tcg_mmu_flush(&cpu->tcg, true);
    x86_update_mode(cpu);
}
