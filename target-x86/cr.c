/*
 * cr.c - control and debug registers, INVLPG and INVPCID, XCR0, cache control,
 * MONITOR; and the translation mode that follows from all of them
 *
 * Source: Intel SDM vol. 2 (MOV CR, MOV DR, INVPCID, XSETBV), vol. 3, 2.5, 2.6, 17.2.
 */
#include "target-x86/system-int.h"
#include "trace/format.h"
#include "target-x86/xsave-int.h"

/* ---- mode ------------------------------------------------------------------------ */

void x86_update_view(struct x86_cpu *cpu)
{
    tcg_mmu_set_view(&cpu->tcg, x86_view(cpu));
}

static inline bool flat_limits(const struct x86_seg *s)
{
    return s->lo == 0 && s->hi_r == 0xffffffff && s->hi_w == 0xffffffff;
}

/** expands_down() - something can be accessed, but not from offset 0 on */
static inline bool expands_down(const struct x86_seg *s)
{
    return s->lo > 0 && s->hi_r > 0;
}

/** seg_bits() - mode bits of 16- and 32-bit code that follow from the segments */
static uint32_t seg_bits(const struct x86_cpu *cpu)
{
    const struct x86_seg *s = cpu->seg;
    uint32_t m = s[S_CS].attr & SEG_DB ? MODE_CODE32 : MODE_CODE16;

    if (s[S_SS].attr & SEG_DB)
        m |= MODE_SS32;
    if (!(s[S_DS].base | s[S_ES].base | s[S_SS].base) && flat_limits(&s[S_DS]) &&
        flat_limits(&s[S_ES]) && flat_limits(&s[S_SS]))
        m |= MODE_FLAT_DATA;
    if (flat_limits(&s[S_FS]) && flat_limits(&s[S_GS]))
        m |= MODE_FLAT_FSGS;
    if (!s[S_CS].base && s[S_CS].lo == 0 && s[S_CS].limit == 0xffffffff)
        m |= MODE_FLAT_CS;
    for (unsigned i = 0; i < S_COUNT; i++)
        if (expands_down(&s[i]))
            m |= MODE_LOWER;
    return m;
}

/** fpu_bits() - what CR0, CR4, XCR0 say about x87 and vector instructions */
static uint32_t fpu_bits(const struct x86_cpu *cpu)
{
    uint32_t m = 0;

    if (cpu->cr0 & (CR0_TS | CR0_EM))
        m |= MODE_NO_FPU;
    if ((cpu->cr0 & CR0_EM) || !(cpu->cr4 & CR4_OSFXSR))
        m |= MODE_NO_SSE;
    if (cpu->cr0 & CR0_TS)
        m |= MODE_TS;
    if (cpu->cr0 & CR0_EM)
        m |= MODE_EM;
    if ((cpu->cr4 & CR4_OSXSAVE) && (cpu->xcr0 & 6) == 6)
        m |= MODE_AVX;
    if ((m & MODE_AVX) && (cpu->xcr0 & XC_AVX512) == XC_AVX512)
        m |= MODE_AVX512;
    return m;
}

/** privilege_bits() - mode bits that follow from CPL, EFLAGS and the interrupt shadow */
static uint32_t privilege_bits(const struct x86_cpu *cpu)
{
    uint32_t m = 0;

    if (cpu->cpl)
        m |= cpu->cpl == 3 ? MODE_CPL3 : MODE_CPL12;
    if (cpu->eflags & EF_TF)
        m |= MODE_TF;
    if (cpu->cpl <= x86_iopl(cpu))
        m |= MODE_IOPL_OK;
    if (cpu->shadow)
        m |= MODE_SHADOW;
    if (unlikely(cpu->eflags & EF_AC) && cpu->cpl == 3 && (cpu->cr0 & CR0_AM))
        m |= MODE_AC;
    return m;
}

void x86_update_privilege(struct x86_cpu *cpu)
{
    const uint32_t all = MODE_CPL3 | MODE_CPL12 | MODE_TF | MODE_IOPL_OK | MODE_SHADOW | MODE_AC;

    cpu->mode = (cpu->mode & ~all) | privilege_bits(cpu);
    tcg_mode_changed(&cpu->tcg, cpu->mode);
    x86_update_view(cpu);
}

void x86_update_mode(struct x86_cpu *cpu)
{
    uint32_t m = fpu_bits(cpu) | privilege_bits(cpu);
    bool code64 = x86_code64(cpu);

    m |= code64 ? MODE_CODE64 | MODE_FLAT_DATA | MODE_FLAT_FSGS | MODE_FLAT_CS : seg_bits(cpu);
    if (cpu->cr0 & CR0_PE)
        m |= x86_vm86(cpu) ? MODE_VM86 : MODE_PE;
    if (x86_lma(cpu))
        m |= MODE_LONG;
    if (cpu->dr[7] & 0xff)
        m |= MODE_DR;
    if (unlikely(cpu->x87_unmasked))
        m |= MODE_X87;
    cpu->tcg.va_mask = code64 ? ~0ull : 0xffffffff;
    cpu->mode = m;
    tcg_mode_changed(&cpu->tcg, m);
    x86_update_view(cpu);
}

/* ---- CR0 ------------------------------------------------------------------------------ */

#define CR0_KNOWN (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | \
                   CR0_NW | CR0_CD | CR0_PG)

/** paging_on() - what PG 0 -> 1 demands; EFER.LMA follows LME */
static bool paging_on(struct x86_cpu *cpu)
{
    bool tss16 = (cpu->tr.attr & SEG_P) && !(cpu->tr.attr & 8);

    if (cpu->efer & EFER_LME) {
        if (!(cpu->cr4 & CR4_PAE) || (cpu->seg[S_CS].attr & SEG_L) || tss16)
            return x86_gp0(cpu);
        cpu->efer |= EFER_LMA;
        return true;
    }
    if (cpu->cr4 & CR4_PAE)
        return x86_load_pdptes(cpu, cpu->cr3) || x86_gp0(cpu);
    return true;
}

static bool paging_off(struct x86_cpu *cpu)
{
    if (x86_code64(cpu) || (cpu->cr4 & CR4_PCIDE))
        return x86_gp0(cpu);
    cpu->efer &= ~(uint64_t)EFER_LMA;
    return true;
}

/** protection_changed() - PE toggled: the hidden parts stay, their meaning changes */
static void protection_changed(struct x86_cpu *cpu, bool pe)
{
    for (unsigned i = 0; i < S_COUNT; i++)
        x86_seg_derive(&cpu->seg[i], pe);
    cpu->cpl = 0;
}

bool x86_set_cr0(struct x86_cpu *cpu, uint64_t v)
{
    uint64_t diff;

    if (v >> 32)
        return x86_gp0(cpu);
    v = (v & CR0_KNOWN) | CR0_ET;
    diff = v ^ cpu->cr0;
    if (((v & CR0_PG) && !(v & CR0_PE)) || ((v & CR0_NW) && !(v & CR0_CD)))
        return x86_gp0(cpu);
    if (diff & CR0_PG) {
        if (!(v & CR0_PG ? paging_on(cpu) : paging_off(cpu)))
            return false;
    } else if ((v & CR0_PG) && (diff & (CR0_CD | CR0_NW)) && (cpu->cr4 & CR4_PAE) && !x86_lma(cpu)) {
        if (!x86_load_pdptes(cpu, cpu->cr3))
            return x86_gp0(cpu);
    }
    cpu->cr0 = v;
    if (diff & CR0_PE)
        protection_changed(cpu, v & CR0_PE);
    if (diff & (CR0_PG | CR0_WP | CR0_PE))
        tcg_mmu_flush(&cpu->tcg, true);
    x86_update_mode(cpu);
    return true;
}

/* ---- CR3, CR4 --------------------------------------------------------------------------- */

bool x86_set_cr3(struct x86_cpu *cpu, uint64_t v)
{
    bool pcide = cpu->cr4 & CR4_PCIDE, keep = pcide && (v & BIT(63));

    if (pcide)
        v &= ~BIT(63);
    if (!x86_lma(cpu))
        v = (uint32_t)v;
    else if (v >> cpu->model->phys_bits)
        return x86_gp0(cpu);
    if ((cpu->cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE) && !x86_lma(cpu) && !x86_load_pdptes(cpu, v))
        return x86_gp0(cpu);
    cpu->cr3 = v;
    if (trace_on(&cpu->tcg, TRACE_CR3))
        trace_event(&cpu->tcg, TRACE_CR3, &v, 1);
    tcg_mmu_switch(&cpu->tcg, pcide ? v & 0xfff : 0, !keep);
    return true;
}

/** cr4_known() - CR4 bits that the CPU model has */
static uint64_t cr4_known(const struct x86_cpu *cpu)
{
    static const struct { uint64_t cr4; uint8_t word, bit; } map[] = {
        { CR4_VME | CR4_PVI, FEAT_1_EDX, F1D_VME }, { CR4_TSD, FEAT_1_EDX, F1D_TSC },
        { CR4_DE, FEAT_1_EDX, F1D_DE }, { CR4_PSE, FEAT_1_EDX, F1D_PSE },
        { CR4_PAE, FEAT_1_EDX, F1D_PAE }, { CR4_MCE, FEAT_1_EDX, F1D_MCE },
        { CR4_PGE, FEAT_1_EDX, F1D_PGE }, { CR4_OSFXSR, FEAT_1_EDX, F1D_FXSR },
        { CR4_OSXMMEXCPT, FEAT_1_EDX, F1D_SSE }, { CR4_UMIP, FEAT_7_ECX, F7C_UMIP },
        { CR4_FSGSBASE, FEAT_7_EBX, F7B_FSGSBASE }, { CR4_PCIDE, FEAT_1_ECX, F1C_PCID },
        { CR4_OSXSAVE, FEAT_1_ECX, F1C_XSAVE }, { CR4_SMEP, FEAT_7_EBX, F7B_SMEP },
        { CR4_SMAP, FEAT_7_EBX, F7B_SMAP }, { CR4_PKE, FEAT_7_ECX, F7C_PKU },
        { CR4_PKS, FEAT_7_ECX, F7C_PKS },
    };
    uint64_t known = CR4_PCE;

    for (unsigned i = 0; i < ARRAY_SIZE(map); i++)
        if (x86_has(cpu, map[i].word, map[i].bit))
            known |= map[i].cr4;
    return known;
}

bool x86_set_cr4(struct x86_cpu *cpu, uint64_t v)
{
    uint64_t diff = v ^ cpu->cr4;
    bool lma = x86_lma(cpu), paging = cpu->cr0 & CR0_PG;

    if (v & ~cr4_known(cpu))
        return x86_gp0(cpu);
    if (lma && !(v & CR4_PAE))
        return x86_gp0(cpu);
    if ((diff & v & CR4_PCIDE) && (!lma || (cpu->cr3 & 0xfff)))
        return x86_gp0(cpu);
    if (paging && !lma && (v & CR4_PAE) && (diff & (CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP)) &&
        !x86_load_pdptes(cpu, cpu->cr3))
        return x86_gp0(cpu);
    cpu->cr4 = v;
    if (diff & CR4_PCIDE)
        tcg_mmu_switch(&cpu->tcg, 0, true);  /* off: CR3 11:0 are cache bits again, tag 0 */
    if (diff & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP |
                CR4_PKE | CR4_PKS))
        tcg_mmu_flush(&cpu->tcg, true);
    x86_update_mode(cpu);
    return true;
}

/* ---- MOV CR, LMSW, SMSW, CLTS ---------------------------------------------------------------- */

uint64_t h_mov_from_cr(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (!x86_need_cpl0(cpu))
        return 0;
    switch (a) {
    case 0: return cpu->cr0;
    case 2: return cpu->cr2;
    case 3: return cpu->cr3;
    case 4: return cpu->cr4;
    case 8: return cpu->bus->get_tpr(cpu->bus->opaque) >> 4;
    }
    x86_raise(cpu, EXC_UD);
    return 0;
}

static bool set_cr8(struct x86_cpu *cpu, uint64_t v)
{
    if (v > 15)
        return x86_gp0(cpu);
    cpu->bus->set_tpr(cpu->bus->opaque, v << 4);
    x86_irq_recheck(cpu);
    return true;
}

uint64_t h_mov_to_cr(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint64_t v = x86_code64(cpu) ? b : (uint32_t)b;

    if (!x86_need_cpl0(cpu))
        return 0;
    switch (a) {
    case 0: return x86_set_cr0(cpu, v);
    case 2: cpu->cr2 = v; return 1;
    case 3: return x86_set_cr3(cpu, v);
    case 4: return x86_set_cr4(cpu, v);
    case 8: return set_cr8(cpu, v);
    }
    x86_raise(cpu, EXC_UD);
    return 0;
}

uint64_t h_clts(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (!x86_need_cpl0(cpu))
        return 0;
    cpu->cr0 &= ~(uint64_t)CR0_TS;
    x86_update_mode(cpu);
    return 1;
}

/** h_lmsw() - PE, MP, EM, TS; it can set PE but not clear it */
uint64_t h_lmsw(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (!x86_need_cpl0(cpu))
        return 0;
    return x86_set_cr0(cpu, (cpu->cr0 & ~0xeull) | (b & 0xf));
}

uint64_t h_smsw(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if ((cpu->cr4 & CR4_UMIP) && cpu->cpl != 0)
        return x86_gp0(cpu);
    return cpu->cr0;
}

/* ---- debug registers ---------------------------------------------------------------------------- */

/** dr_access() - checks that both directions share; *@n: DR4, DR5 name DR6, DR7 */
static bool dr_access(struct x86_cpu *cpu, uint64_t *n)
{
    if (*n > 7 || ((*n == 4 || *n == 5) && (cpu->cr4 & CR4_DE))) {
        x86_raise(cpu, EXC_UD);
        return false;
    }
    if (!x86_need_cpl0(cpu))
        return false;
    if (cpu->dr[7] & DR7_GD) {
        x86_raise_db(cpu, DR6_BD);
        return false;
    }
    if (*n == 4 || *n == 5)
        *n += 2;
    return true;
}

uint64_t h_mov_from_dr(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    return dr_access(cpu, &a) ? cpu->dr[a] : 0;
}

uint64_t h_mov_to_dr(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (!dr_access(cpu, &a))
        return 0;
    if (!x86_code64(cpu))
        b = (uint32_t)b;
    if (a >= 6 && b >> 32)
        return x86_gp0(cpu);
    if (a == 6)
        b = DR6_FIXED | (b & 0xe00f);
    if (a == 7)
        b = DR7_FIXED | (b & 0xffff2bff);
    cpu->dr[a] = b;
    x86_update_mode(cpu);
    return 1;
}

/** dr_matches() - does breakpoint @n with R/W field @rw cover [@lin, @lin + @size)? */
static bool dr_matches(const struct x86_cpu *cpu, unsigned n, uint64_t lin, unsigned size)
{
    static const uint8_t lens[] = { 1, 2, 8, 4 };
    unsigned len = lens[cpu->dr[7] >> (18 + n * 4) & 3];
    uint64_t at = cpu->dr[n] & ~(uint64_t)(len - 1);

    return at < lin + size && lin < at + len;
}

/** dr_hits() - DR6 B bits of enabled breakpoints whose R/W field is in @kinds (bit set) */
static uint32_t dr_hits(const struct x86_cpu *cpu, uint64_t lin, unsigned size, unsigned kinds)
{
    uint32_t hits = 0;

    for (unsigned n = 0; n < 4; n++) {
        unsigned rw = cpu->dr[7] >> (16 + n * 4) & 3;
        bool on = cpu->dr[7] >> (n * 2) & 3;

        if (on && (kinds >> rw & 1) && dr_matches(cpu, n, lin, size))
            hits |= 1u << n;
    }
    return hits;
}

/* a trap that x86_service() delivers after the instruction */
static void note_trap(struct x86_cpu *cpu, uint32_t hits)
{
    if (!hits)
        return;
    cpu->trap_dr6 |= hits;
    cpu->tf_trap = true;
    tcg_kick(&cpu->tcg);
}

/**
 * h_dr_check() - debug-register breakpoints
 * @a: linear address, @b: size | write << 8, or 1 << 9 for the instruction at @a
 *
 * Data: notes a trap.
 * Instruction: raises #DB unless RF is set; RF is used up by that.
 */
uint64_t h_dr_check(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint32_t hits;

    if (b & 1 << 9) {
        /* SDM vol. 3, 6.8.3: also not behind MOV SS; AMD's do break there */
        bool rf = (cpu->eflags & EF_RF) || (cpu->shadow_ss && x86_is_intel(cpu));
        cpu->eflags &= ~(uint32_t)EF_RF;
        hits = rf ? 0 : dr_hits(cpu, a, 1, BIT(0));
        if (hits)
            x86_raise_db(cpu, hits);
        return 0;
    }
    note_trap(cpu, dr_hits(cpu, a, b & 0xff, b >> 8 & 1 ? BIT(1) | BIT(3) : BIT(3)));
    return 0;
}

/** x86_dr_io() - I/O breakpoints on ports @port..@port+@size-1, which are with CR4.DE only */
void x86_dr_io(struct x86_cpu *cpu, uint16_t port, unsigned size)
{
    if ((cpu->mode & MODE_DR) && (cpu->cr4 & CR4_DE))
        note_trap(cpu, dr_hits(cpu, port, size, BIT(2)));
}

/* ---- TLB ------------------------------------------------------------------------------------------ */

uint64_t h_invlpg(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (!x86_need_cpl0(cpu))
        return 0;
    if (x86_canonical(a))
        tcg_mmu_flush_page(tc, a);
    return 1;
}

/** h_invpcid() - @a type: 0 address, 1 context, 2 all, 3 all but global; @b descriptor */
uint64_t h_invpcid(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint64_t pcid, va;

    if (!x86_need_cpl0(cpu))
        return 0;
    if (!tcg_load(tc, b, 8, &pcid) || !tcg_load(tc, (b + 8) & tc->va_mask, 8, &va))
        return 0;
    if (a > 3 || pcid >> 12 || (a < 2 && pcid && !(cpu->cr4 & CR4_PCIDE)) ||
        (a == 0 && !x86_canonical(va)))
        return x86_gp0(cpu);
    if (a == 0)
        tcg_mmu_flush_tag_page(tc, pcid, va);
    else if (a == 1)
        tcg_mmu_flush_tag(tc, pcid);
    else
        tcg_mmu_flush(tc, a == 2);
    return 1;
}

/* ---- XCR0, caches, MONITOR, SMM ---------------------------------------------------------------------- */

/** osxsave() - XGETBV and XSETBV need CR4.OSXSAVE (#UD) */
static bool osxsave(struct x86_cpu *cpu)
{
    if (cpu->cr4 & CR4_OSXSAVE)
        return true;
    x86_raise(cpu, EXC_UD);
    return false;
}

uint64_t h_xgetbv(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (!osxsave(cpu))
        return 0;
    if ((uint32_t)GPR(cpu, R_CX) > x86_has(cpu, FEAT_XSAVE, 2))
        return x86_gp0(cpu);
    uint64_t v = cpu->xcr0;
    if (GPR(cpu, R_CX) & 1)              /* ECX 1 asks which components are in use */
        v &= xs_in_use(cpu);
    GPR(cpu, R_AX) = (uint32_t)v;
    GPR(cpu, R_DX) = v >> 32;
    return 1;
}

uint64_t h_xsetbv(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint64_t v = (uint32_t)GPR(cpu, R_AX) | GPR(cpu, R_DX) << 32;

    if (!osxsave(cpu) || !x86_need_cpl0(cpu))
        return 0;
    bool avx512 = v & XC_AVX512;

    if ((uint32_t)GPR(cpu, R_CX) != 0 || !(v & 1) || (v & 6) == 4 || (v & ~x86_xcr0_known(cpu)) ||
        (avx512 && (v & (XC_AVX512 | 4)) != (XC_AVX512 | 4)))
        return x86_gp0(cpu);
    cpu->xcr0 = v;
    x86_update_mode(cpu);
    return 1;
}

void x86_set_pkru(struct x86_cpu *cpu, uint32_t v)
{
    bool changed = v != cpu->pkru;

    cpu->pkru = v;
    if (changed && (cpu->cr4 & CR4_PKE))
        tcg_mmu_flush(&cpu->tcg, true);
}

/** pkru_access() - RDPKRU and WRPKRU want CR4.PKE (#UD) and ECX 0 (#GP) */
static bool pkru_access(struct x86_cpu *cpu)
{
    if (cpu->cr4 & CR4_PKE)
        return !(uint32_t)GPR(cpu, R_CX) || x86_gp0(cpu);
    x86_raise(cpu, EXC_UD);
    return false;
}

uint64_t h_rdpkru(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (!pkru_access(cpu))
        return 0;
    GPR(cpu, R_AX) = cpu->pkru;
    GPR(cpu, R_DX) = 0;
    return 1;
}

uint64_t h_wrpkru(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (!pkru_access(cpu))
        return 0;
    if ((uint32_t)GPR(cpu, R_DX))
        return x86_gp0(cpu);
    x86_set_pkru(cpu, GPR(cpu, R_AX));
    return 1;
}

/** h_wbinvd() - INVD, WBINVD: memory is coherent here, only the privilege counts */
uint64_t h_wbinvd(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    return x86_need_cpl0(X86(tc));
}

/**
 * h_monitor(), h_mwait() - checks; a wait may end at any time: here it ends at once
 * Extensions (ECX) are not offered, so that ECX other than 0 is #GP(0); hints are ignored.
 * Source: Intel SDM vol. 2B, MONITOR and MWAIT.
 */
uint64_t h_monitor(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);

    if (cpu->cpl != 0) {
        x86_raise(cpu, EXC_UD);
        return 0;
    }
    return (uint32_t)GPR(cpu, R_CX) == 0 || x86_gp0(cpu);
}

uint64_t h_mwait(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    return h_monitor(tc, a, b, c);
}

/** h_rsm() - outside system-management mode, which is never entered, RSM is invalid */
uint64_t h_rsm(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    x86_raise(X86(tc), EXC_UD);
    return 0;
}
