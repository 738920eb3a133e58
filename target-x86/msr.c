/*
 * msr.c - model-specific registers, RDTSC, RDTSCP, RDPMC, RDPID
 *
 * Source: Intel SDM vol. 4 (registers), vol. 3, 11.11 (MTRR), 15.3 (MCA),
 * 17.17 (TSC); AMD APM vol. 2, appendix A. What firmware and kernels touch; the
 * rest is #GP(0) with a guest_errors line.
 */
#include "target-x86/system-int.h"

enum {
    MC_BANKS = 10,
    MTRR_VAR = 8,
    MTRR_CAP = MTRR_VAR | 1 << 8 | 1 << 10,     /* fixed ranges, write combining */
};

/* how a row's registers behave */
enum {
    M_CANON = 1,     /* #GP for a non-canonical value */
    M_RO = 2,        /* #GP on write */
    M_ZERO = 4,      /* reads 0, writes are dropped */
    M_AMD = 8,       /* exists with AMD's vendor string only */
    M_PV = 16,       /* a paravirtual one */
};

/**
 * struct msr_row - @n registers from @first
 * @off: of their uint64_t in struct x86_cpu, one after the other, when read/write
 *   are NULL
 * @mask: bits that may be set; the others raise #GP
 * @word, @bit: CPU feature they come with; @word FEAT_WORDS: none. With several
 *   rows any of their features is enough
 */
struct msr_row {
    uint32_t first, n;
    uint32_t off;
    uint8_t flags;
    uint64_t mask;
    bool (*read)(struct x86_cpu *cpu, uint32_t msr, uint64_t *v);
    bool (*write)(struct x86_cpu *cpu, uint32_t msr, uint64_t v);
    uint8_t word, bit;
};

/* ---- handlers: false is #GP(0) -------------------------------------------------- */

static bool rd_apic(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    return cpu->bus->apic_msr(cpu->bus->opaque, msr, v, false);
}

static bool wr_apic(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    enum { APIC_BASE = 0x1b, EXTD = 1 << 10 };

    if (msr == APIC_BASE && (v & EXTD) && !x86_has(cpu, FEAT_1_ECX, F1C_X2APIC))
        return false;
    return cpu->bus->apic_msr(cpu->bus->opaque, msr, &v, true);
}

uint64_t x86_tsc(const struct x86_cpu *cpu)
{
    return cpu->bus->tsc(cpu->bus->opaque) + cpu->tsc_offset + cpu->tsc_adjust;
}

static bool rd_tsc(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = x86_tsc(cpu);
    return true;
}

/** wr_tsc() - a write moves TSC_ADJUST by as much (SDM vol. 3, 17.17.3) */
static bool wr_tsc(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    cpu->tsc_adjust += v - x86_tsc(cpu);
    x86_pv_clock_update(cpu);
    return true;
}

static bool wr_tsc_adjust(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    cpu->tsc_adjust = v;
    x86_pv_clock_update(cpu);
    return true;
}

static bool wr_system_time(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    return x86_pv_set_system_time(cpu, v);
}

static bool wr_wall_clock(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    return x86_pv_set_wall_clock(cpu, v);
}

static bool wr_steal_time(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    return x86_pv_set_steal_time(cpu, v);
}

/** wr_pv_eoi() - the local APIC has the other half */
static bool wr_pv_eoi(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    if (!cpu->bus->apic_msr(cpu->bus->opaque, msr, &v, true))
        return false;
    cpu->kvm_pv_eoi = v;
    return true;
}

static bool rd_efer(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = cpu->efer;
    return true;
}

static bool wr_efer(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    uint64_t known = EFER_LMA, diff;

    if (x86_has(cpu, FEAT_80000001_EDX, F81D_SYSCALL))
        known |= EFER_SCE;
    if (x86_has(cpu, FEAT_80000001_EDX, F81D_LM))
        known |= EFER_LME;
    if (x86_has(cpu, FEAT_80000001_EDX, F81D_NX))
        known |= EFER_NXE;
    if (x86_has(cpu, FEAT_80000001_EDX, F81D_FFXSR))
        known |= EFER_FFXSR;
    if (v & ~known)
        return false;
    v = (v & ~(uint64_t)EFER_LMA) | (cpu->efer & EFER_LMA);
    diff = v ^ cpu->efer;
    if ((diff & EFER_LME) && (cpu->cr0 & CR0_PG))
        return false;
    cpu->efer = v;
    if (diff & EFER_NXE)
        tcg_mmu_flush(&cpu->tcg, true);
    x86_update_mode(cpu);
    return true;
}

static bool rd_segbase(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = cpu->seg[msr == 0xc0000100 ? S_FS : S_GS].base;
    return true;
}

static bool wr_segbase(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    if (!x86_canonical(v))
        return false;
    cpu->seg[msr == 0xc0000100 ? S_FS : S_GS].base = v;
    return true;
}

static bool memory_type_ok(uint8_t t)
{
    return t == 0 || t == 1 || t == 4 || t == 5 || t == 6;
}

static bool rd_pat(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = cpu->pat;
    return true;
}

static bool wr_pat(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    for (unsigned i = 0; i < 64; i += 8)
        if (!memory_type_ok(v >> i) && (v >> i & 0xff) != 7)
            return false;
    cpu->pat = v;
    return true;
}

static bool rd_mtrr_cap(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = MTRR_CAP;
    return true;
}

/** mtrr_fix_slot() - fixed-range MTRRs in address order: one of 64K, two of 16K, eight of 4K */
static unsigned mtrr_fix_slot(uint32_t msr)
{
    return msr == 0x250 ? 0 : msr < 0x268 ? msr - 0x258 + 1 : msr - 0x268 + 3;
}

static bool rd_mtrr_fix(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = cpu->mtrr_fix[mtrr_fix_slot(msr)];
    return true;
}

static bool wr_mtrr_fix(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    for (unsigned i = 0; i < 64; i += 8)
        if (!memory_type_ok(v >> i))
            return false;
    cpu->mtrr_fix[mtrr_fix_slot(msr)] = v;
    return true;
}

static bool rd_mtrr_var(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = cpu->mtrr_var[msr - 0x200];
    return true;
}

static bool wr_mtrr_var(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    uint64_t low = msr & 1 ? 0x7ff : 0xf00;    /* reserved: mask V is bit 11; base type 7:0 */

    if ((v & low) || v >> cpu->model->phys_bits || (!(msr & 1) && !memory_type_ok(v)))
        return false;
    cpu->mtrr_var[msr - 0x200] = v;
    return true;
}

static bool rd_mtrr_def(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = cpu->mtrr_def;
    return true;
}

static bool wr_mtrr_def(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    if ((v & ~0xcffull) || !memory_type_ok(v))
        return false;
    cpu->mtrr_def = v;
    return true;
}

static bool rd_mcg_cap(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = MC_BANKS | 1 << 8;              /* MCG_CTL_P */
    return true;
}

static bool rd_mc_bank(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = cpu->mc_bank[msr - 0x400];
    return true;
}

/** wr_mc_bank() - CTL is all on or all off (AMD: bit by bit, APM vol. 2, 9.3.2.1), STATUS can only be cleared,
 *  ADDR and MISC keep anything (SDM vol. 3, 15.3.2) */
static bool wr_mc_bank(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    enum { CTL, STATUS };

    if (((msr & 3) == CTL && v != 0 && v != ~0ull && x86_is_intel(cpu)) || ((msr & 3) == STATUS && v != 0))
        return false;
    cpu->mc_bank[msr - 0x400] = v;
    return true;
}

/** rd_hwcr() - AMD's HWCR: from family 10h on the TSC counts with the frequency of P0 (TscFreqSel) */
static bool rd_hwcr(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = cpu->model->family >= 0x10 ? BIT(24) : 0;
    return true;
}

static bool wr_pkrs(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    bool changed = v != cpu->pkrs;

    if (v >> 32)
        return false;
    cpu->pkrs = v;
    if (changed && (cpu->cr4 & CR4_PKS))
        tcg_mmu_flush(&cpu->tcg, true);
    return true;
}

static bool rd_arch_caps(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = cpu->model->arch_caps;
    return true;
}

static bool rd_platform_info(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    uint64_t ratio = cpu->model->tsc_hz / 100000000;

    *v = (ratio & 0xff) << 8 | (ratio & 0xff) << 40 | BIT(31);   /* CPUID faulting */
    return true;
}

static bool rd_perf_status(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = 1000 | 4ull << 40;
    return true;
}

static bool rd_zero(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = 0;
    return true;
}

/** rd_feat_ctl() - IA32_FEATURE_CONTROL: locked, VMX off */
static bool rd_feat_ctl(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = 1;
    return true;
}

/** wr_command() - PRED_CMD, FLUSH_CMD: bit 0 is a command without effect here */
static bool wr_command(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    return v <= 1;
}

static bool no_read(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    return false;
}

/** wr_bios_sign() - loading microcode: software writes 0 before it asks by CPUID */
static bool wr_ignore(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    return true;
}

/* ---- the table: often used ones first ------------------------------------------------ */

#define AT(field) .off = offsetof(struct x86_cpu, field)
#define ALWAYS .word = FEAT_WORDS
#define WITH(w, b) .word = w, .bit = b
#define WITH_PV(b) .word = FEAT_WORDS, .bit = b      /* bit of model->pv, for M_PV */
#define ANY ~0ull

static const struct msr_row rows[] = {
    { 0x6e0, 1, .read = rd_apic, .write = wr_apic, WITH(FEAT_1_ECX, F1C_TSC_DEADLINE) },
    { 0x800, 0x100, .read = rd_apic, .write = wr_apic, WITH(FEAT_1_ECX, F1C_X2APIC) },
    { 0xc0000100, 2, .read = rd_segbase, .write = wr_segbase, WITH(FEAT_80000001_EDX, F81D_LM) },
    { 0xc0000102, 1, AT(kernel_gs_base), M_CANON, ANY, WITH(FEAT_80000001_EDX, F81D_LM) },
    { 0x48, 1, AT(spec_ctrl), 0, 7, WITH(FEAT_7_EDX, F7D_IBRS) },
    { 0x49, 1, .read = no_read, .write = wr_command, WITH(FEAT_7_EDX, F7D_IBRS) },
    { 0x48, 1, AT(spec_ctrl), 0, 7, WITH(FEAT_80000008_EBX, 14) },      /* AMD's IBRS, STIBP, SSBD */
    { 0x48, 1, AT(spec_ctrl), 0, 7, WITH(FEAT_80000008_EBX, 15) },
    { 0x48, 1, AT(spec_ctrl), 0, 7, WITH(FEAT_80000008_EBX, 24) },
    { 0x49, 1, .read = no_read, .write = wr_command, WITH(FEAT_80000008_EBX, 12) },   /* IBPB */
    { 0x10b, 1, .read = no_read, .write = wr_command, WITH(FEAT_7_EDX, F7D_L1D_FLUSH) },
    { 0x10, 1, .read = rd_tsc, .write = wr_tsc, ALWAYS },
    { 0x3b, 1, AT(tsc_adjust), .write = wr_tsc_adjust, WITH(FEAT_7_EBX, F7B_TSC_ADJUST) },
    { 0xc0000080, 1, .read = rd_efer, .write = wr_efer, ALWAYS },
    { 0xc0000081, 1, AT(star), 0, ANY, ALWAYS },
    { 0xc0000082, 1, AT(lstar), M_CANON, ANY, WITH(FEAT_80000001_EDX, F81D_LM) },
    { 0xc0000083, 1, AT(cstar), M_CANON, ANY, WITH(FEAT_80000001_EDX, F81D_LM) },
    { 0xc0000084, 1, AT(sfmask), 0, 0xffffffff, WITH(FEAT_80000001_EDX, F81D_LM) },
    { 0xc0000103, 1, AT(tsc_aux), 0, 0xffffffff, WITH(FEAT_80000001_EDX, F81D_RDTSCP) },
    { 0x174, 1, AT(sysenter_cs), 0, 0xffffffff, ALWAYS },
    { 0x175, 1, AT(sysenter_esp), M_CANON, ANY, ALWAYS },
    { 0x176, 1, AT(sysenter_eip), M_CANON, ANY, ALWAYS },
    { 0x1b, 1, .read = rd_apic, .write = wr_apic, ALWAYS },
    { 0x277, 1, .read = rd_pat, .write = wr_pat, ALWAYS },
    { 0xfe, 1, .flags = M_RO, .read = rd_mtrr_cap, ALWAYS },
    { 0x200, 2 * MTRR_VAR, .read = rd_mtrr_var, .write = wr_mtrr_var, ALWAYS },
    { 0x250, 1, .read = rd_mtrr_fix, .write = wr_mtrr_fix, ALWAYS },
    { 0x258, 2, .read = rd_mtrr_fix, .write = wr_mtrr_fix, ALWAYS },
    { 0x268, 8, .read = rd_mtrr_fix, .write = wr_mtrr_fix, ALWAYS },
    { 0x2ff, 1, .read = rd_mtrr_def, .write = wr_mtrr_def, ALWAYS },
    { 0x1a0, 1, AT(misc_enable), 0, ANY, ALWAYS },
    { 0x1d9, 1, AT(debugctl), 0, 3, ALWAYS },                   /* LBR, BTF: stored only */
    { 0x8b, 1, AT(bios_sign), .write = wr_ignore, ALWAYS },      /* microcode revision */
    { 0x79, 1, .read = no_read, .write = wr_ignore, ALWAYS },   /* microcode update trigger */
    { 0x17, 1, .flags = M_RO, .read = rd_zero, ALWAYS },        /* PLATFORM_ID */
    { 0x3a, 1, .flags = M_RO, .read = rd_feat_ctl, ALWAYS },
    { 0x9e, 1, .flags = M_RO, AT(smbase), ALWAYS },
    { 0xce, 1, .flags = M_RO, .read = rd_platform_info, ALWAYS },
    { 0x140, 1, AT(misc_features), 0, MISC_CPUID_FAULT, ALWAYS },
    { 0x10a, 1, .flags = M_RO, .read = rd_arch_caps, WITH(FEAT_7_EDX, F7D_ARCH_CAP) },
    { 0x179, 1, .flags = M_RO, .read = rd_mcg_cap, ALWAYS },
    { 0x17a, 1, AT(mcg_status), 0, 7, ALWAYS },
    { 0x17b, 1, AT(mcg_ctl), 0, ANY, ALWAYS },
    { 0x400, MC_BANKS * 4, .read = rd_mc_bank, .write = wr_mc_bank, ALWAYS },
    { 0x0, 2, .flags = M_ZERO, ALWAYS },                        /* P5 machine check */
    { 0x198, 1, .flags = M_RO, .read = rd_perf_status, ALWAYS },
    { 0x199, 1, .flags = M_ZERO, ALWAYS },                      /* PERF_CTL */
    { 0x19a, 3, .flags = M_ZERO, ALWAYS },                      /* thermal */
    { 0x1db, 4, .flags = M_ZERO, ALWAYS },                      /* last branch, last interrupt */
    { 0x6e1, 1, AT(pkrs), .write = wr_pkrs, WITH(FEAT_7_ECX, F7C_PKS) },
    { 0xda0, 1, AT(xss), 0, 0, WITH(FEAT_XSAVE, 3) },           /* no supervisor states */
    { 0x4b564d04, 1, AT(kvm_pv_eoi), M_PV, .write = wr_pv_eoi, WITH_PV(PV_EOI_BIT) },
    { 0x4b564d03, 1, AT(kvm_steal_time), M_PV, .write = wr_steal_time, WITH_PV(PV_STEAL_TIME_BIT) },
    { 0x4b564d01, 1, AT(kvm_system_time), M_PV, .write = wr_system_time, WITH_PV(PV_CLOCK_BIT) },
    { 0x4b564d00, 1, AT(kvm_wall_clock), M_PV, .write = wr_wall_clock, WITH_PV(PV_CLOCK_BIT) },
    { 0x12, 1, AT(kvm_system_time), M_PV, .write = wr_system_time, WITH_PV(PV_CLOCK_OLD_BIT) },
    { 0x11, 1, AT(kvm_wall_clock), M_PV, .write = wr_wall_clock, WITH_PV(PV_CLOCK_OLD_BIT) },
    /* AMD: system configuration, hardware configuration, TOP_MEM, erratum switches */
    { 0xc0010000, 8, .flags = M_ZERO | M_AMD, ALWAYS },
    { 0xc0010010, 1, .flags = M_ZERO | M_AMD, ALWAYS },
    { 0xc0010015, 1, .flags = M_AMD, .read = rd_hwcr, .write = wr_ignore, ALWAYS },
    { 0xc0010016, 15, .flags = M_ZERO | M_AMD, ALWAYS },
    { 0xc0010055, 1, .flags = M_ZERO | M_AMD, ALWAYS },
    { 0xc0010061, 12, .flags = M_ZERO | M_AMD, ALWAYS },
    { 0xc0010111, 7, .flags = M_ZERO | M_AMD, ALWAYS },
    { 0xc0011020, 16, .flags = M_ZERO | M_AMD, ALWAYS },
};

static const struct msr_row *find(const struct x86_cpu *cpu, uint32_t msr)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct msr_row *r = &rows[i];
        bool amd_only = r->flags & M_AMD;
        if (msr - r->first < r->n && (r->word == FEAT_WORDS || x86_has(cpu, r->word, r->bit)) &&
            !(amd_only && x86_is_intel(cpu)) && !((r->flags & M_PV) && !(cpu->model->pv >> r->bit & 1)))
            return r;
    }
    return NULL;
}

static uint64_t *stored(struct x86_cpu *cpu, const struct msr_row *r, uint32_t msr)
{
    return (uint64_t *)((char *)cpu + r->off) + (msr - r->first);
}

static bool msr_read(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    const struct msr_row *r = find(cpu, msr);

    if (!r)
        return false;
    if (r->flags & M_ZERO)
        return rd_zero(cpu, msr, v);
    if (r->read)
        return r->read(cpu, msr, v);
    *v = *stored(cpu, r, msr);
    return true;
}

static bool msr_write(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    const struct msr_row *r = find(cpu, msr);

    if (!r || (r->flags & M_RO))
        return false;
    if (r->flags & M_ZERO)
        return true;
    if (r->write)
        return r->write(cpu, msr, v);
    if ((v & ~r->mask) || ((r->flags & M_CANON) && !x86_canonical(v)))
        return false;
    *stored(cpu, r, msr) = v;
    return true;
}

bool x86_msr_read(struct x86_cpu *cpu, uint32_t msr, uint64_t *v)
{
    *v = 0;
    return msr_read(cpu, msr, v);
}

bool x86_msr_write(struct x86_cpu *cpu, uint32_t msr, uint64_t v)
{
    return msr_write(cpu, msr, v);
}

void x86_firmware_msrs(struct x86_cpu *cpu)
{
    static const uint64_t fix[11] = {
        0x0606060606060606ull, 0x0606060606060606ull, 0,  /* RAM; A0000..BFFFF uncached */
        0x0505050505050505ull, 0x0505050505050505ull, 0x0505050505050505ull, 0x0505050505050505ull,
        0x0505050505050505ull, 0x0505050505050505ull, 0x0505050505050505ull, 0x0505050505050505ull,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(fix); i++)
        cpu->mtrr_fix[i] = fix[i];
    /* everything cached but the 3..4 GiB device window */
    cpu->mtrr_var[0] = 0xc0000000;
    cpu->mtrr_var[1] = ((BIT(cpu->model->phys_bits) - 1) & ~0x3fffffffull) | 1 << 11;
    cpu->mtrr_def = 0xc06;
}

/* ---- instructions ----------------------------------------------------------------------- */

uint64_t h_rdmsr(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint32_t msr = GPR(cpu, R_CX);
    uint64_t v = 0;

    if (!x86_need_cpl0(cpu))
        return 0;
    if (!msr_read(cpu, msr, &v)) {
        log_guest(LOG_UNIMP, "rdmsr msr=%#x pc=%#llx: #GP", msr,
                  (unsigned long long)tcg_cur_pc(tc));
        return x86_gp0(cpu);
    }
    GPR(cpu, R_AX) = (uint32_t)v;
    GPR(cpu, R_DX) = v >> 32;
    return v;
}

uint64_t h_wrmsr(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint32_t msr = GPR(cpu, R_CX);
    uint64_t v = (uint32_t)GPR(cpu, R_AX) | GPR(cpu, R_DX) << 32;

    if (!x86_need_cpl0(cpu))
        return 0;
    if (!msr_write(cpu, msr, v)) {
        log_guest(LOG_UNIMP, "wrmsr msr=%#x val=%#llx pc=%#llx: #GP", msr, (unsigned long long)v,
                  (unsigned long long)tcg_cur_pc(tc));
        return x86_gp0(cpu);
    }
    return 1;
}

#define PROMPT_HZ 1000           /* how often RDTSC looks at the timers */

/** tsc_ok() - CR4.TSD keeps RDTSC from user code */
static bool tsc_ok(struct x86_cpu *cpu)
{
    return !(cpu->cr4 & CR4_TSD) || cpu->cpl == 0 || x86_gp0(cpu);
}

/*
 * The guest's TSC now. Whoever measures its timers by it must not find them late because the host's
 * thread for timers, or this one, had to wait for a CPU: what is due is requested before the guest sees the time.
 */
static uint64_t tsc_seen(struct x86_cpu *cpu)
{
    uint64_t ticks = cpu->bus->tsc(cpu->bus->opaque);

    if (unlikely(ticks - cpu->prompt_tsc > cpu->model->tsc_hz / PROMPT_HZ) && cpu->bus->prompt) {
        cpu->prompt_tsc = ticks;
        cpu->bus->prompt(cpu->bus->opaque);
    }
    return ticks + cpu->tsc_offset + cpu->tsc_adjust;
}

uint64_t h_rdtsc(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    return tsc_ok(cpu) ? tsc_seen(cpu) : 0;
}

uint64_t h_rdtscp(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint64_t t;

    if (!tsc_ok(cpu))
        return 0;
    t = tsc_seen(cpu);
    GPR(cpu, R_AX) = (uint32_t)t;
    GPR(cpu, R_DX) = t >> 32;
    GPR(cpu, R_CX) = (uint32_t)cpu->tsc_aux;
    return t;
}

/** h_rdpmc() - CPUID announces no counters, so no index is valid */
uint64_t h_rdpmc(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    return x86_gp0(X86(tc));
}

uint64_t h_rdpid(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    return (uint32_t)X86(tc)->tsc_aux;
}
