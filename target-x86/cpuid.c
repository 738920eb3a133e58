/*
 * cpuid.c - what CPUID answers
 *
 * Source: Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E; leaves
 * 0x40000000.. by the convention that hypervisors share.
 */
#include "target-x86/system-int.h"
#include "target-x86/xsave-int.h"

enum { LAPIC_HZ = 1000000000 };

uint64_t x86_xcr0_known(const struct x86_cpu *cpu)
{
    uint64_t known = XC_X87 | XC_SSE;

    if (x86_has(cpu, FEAT_1_ECX, F1C_AVX))
        known |= XC_AVX;
    if (x86_has(cpu, FEAT_7_EBX, F7B_AVX512F))
        known |= XC_AVX512;
    return known | (x86_has(cpu, FEAT_7_ECX, F7C_PKU) ? XC_PKRU : 0);
}

static bool amd(const struct x86_cpu *cpu)
{
    return cpu->model->vendor[0] == 'A';
}

static void set(uint32_t out[4], uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
}

/* ---- basic leaves ------------------------------------------------------------------ */

static void leaf_vendor(const struct x86_cpu *cpu, uint32_t level, uint32_t out[4])
{
    const char *v = cpu->model->vendor;

    set(out, level, ldl32(v), ldl32(v + 8), ldl32(v + 4));
}

/** signature() - family, model, stepping as CPUID.1 EAX encodes display values */
static uint32_t signature(const struct x86_model *m)
{
    uint32_t base = MIN(m->family, 15u), ext = m->family - base;

    return (m->stepping & 15) | (m->model & 15) << 4 | base << 8 | (m->model >> 4 & 15) << 16 |
           (ext & 0xff) << 20;
}

/** apic_off() - the APIC bit follows IA32_APIC_BASE.EN (SDM vol. 3, 10.4.3) */
static bool apic_off(const struct x86_cpu *cpu)
{
    uint64_t base;

    return cpu->bus && cpu->bus->apic_msr &&
           cpu->bus->apic_msr(cpu->bus->opaque, 0x1b, &base, false) && !(base & 1 << 11);
}

/** log2_up() - smallest k with 1 << k >= @n */
static unsigned log2_up(unsigned n)
{
    unsigned k = 0;

    while (k < 31 && (1u << k) < n)
        k++;
    return k;
}

/** struct topology - counts at each level, and the bits of the APIC ID below the next */
struct topology {
    unsigned threads, cores, dies;       /* a core, a die, a socket */
    unsigned core_at, die_at, socket_at; /* where their numbers start */
};

static struct topology topology(const struct x86_model *m)
{
    struct topology t = { .threads = MAX(m->threads, 1u), .dies = MAX(m->dies, 1u),
                          .cores = m->cores ? m->cores : MAX(m->n_vcpus, 1u) };

    t.core_at = log2_up(t.threads);
    t.die_at = t.core_at + log2_up(t.cores);
    t.socket_at = t.die_at + log2_up(t.dies);
    return t;
}

static void leaf_1(const struct x86_cpu *cpu, uint32_t out[4])
{
    const struct x86_model *m = cpu->model;
    uint32_t c = m->feat[FEAT_1_ECX], d = m->feat[FEAT_1_EDX];
    uint32_t n = MIN(1u << topology(m).socket_at, 255u);

    if (cpu->cr4 & CR4_OSXSAVE)
        c |= 1u << 27;
    if (apic_off(cpu))
        d &= ~(1u << 9);
    if (n > 1)
        d |= 1u << 28;                   /* EBX 23:16 counts logical processors */
    set(out, signature(m), 8 << 8 | n << 16 | (cpu->apic_id & 0xff) << 24, c, d);
}

/** struct cache - a level as leaf 4 describes it; line 64 bytes */
struct cache {
    uint8_t type, level, ways;
    uint32_t sets;
    bool shared;
};
static const struct cache caches[] = {
    { 1, 1, 8, 64, false }, { 2, 1, 8, 64, false },        /* 32 KiB data, instructions */
    { 3, 2, 16, 1024, false },                             /* 1 MiB */
    { 3, 3, 16, 16384, true },                             /* 16 MiB */
};

/** leaf_cache() - leaf 4, and 0x8000001D whose EAX has no core count */
static void leaf_cache(const struct x86_cpu *cpu, uint32_t sub, bool cores, uint32_t out[4])
{
    struct topology t = topology(cpu->model);
    uint32_t socket_cores = 1u << (t.socket_at - t.core_at);

    if (sub >= ARRAY_SIZE(caches))
        return;
    const struct cache *c = &caches[sub];
    out[0] = c->type | c->level << 5 | 1 << 8;
    out[0] |= ((1u << (c->shared ? t.die_at : t.core_at)) - 1) << 14;
    if (cores)
        out[0] |= MIN(socket_cores - 1, 63u) << 26;
    out[1] = 63 | (uint32_t)(c->ways - 1) << 22;
    out[2] = c->sets - 1;
    out[3] = c->level == 3 ? 0 : 1;      /* WBINVD acts on all below it */
}

static void leaf_7(const struct x86_cpu *cpu, uint32_t sub, uint32_t out[4])
{
    const uint32_t *f = cpu->model->feat;

    if (sub == 0)
        set(out, 1, f[FEAT_7_EBX], f[FEAT_7_ECX] | (cpu->cr4 & CR4_PKE ? 1u << 4 : 0),
            f[FEAT_7_EDX]);
    else if (sub == 1)
        set(out, f[FEAT_7_1_EAX], 0, 0, 0);
}

/** leaf_topology() - leaves 0xB and, which knows @dies, 0x1F: SMT, core, die */
static void leaf_topology(const struct x86_cpu *cpu, uint32_t sub, bool dies, uint32_t out[4])
{
    enum { SMT = 1, CORE = 2, DIE = 5 };
    struct topology t = topology(cpu->model);
    unsigned all = t.dies * t.cores * t.threads;

    out[2] = sub & 0xff;
    out[3] = cpu->apic_id;
    if (sub == 0)
        set(out, t.core_at, t.threads, SMT << 8, cpu->apic_id);
    else if (sub == 1 && dies)
        set(out, t.die_at, t.cores * t.threads, CORE << 8 | 1, cpu->apic_id);
    else if (sub == 1)
        set(out, t.socket_at, all, CORE << 8 | 1, cpu->apic_id);
    else if (sub == 2 && dies)
        set(out, t.socket_at, all, DIE << 8 | 2, cpu->apic_id);
}

static void leaf_xsave(const struct x86_cpu *cpu, uint32_t sub, uint32_t out[4])
{
    uint64_t known = x86_xcr0_known(cpu);

    if (!x86_has(cpu, FEAT_1_ECX, F1C_XSAVE))
        return;
    if (sub == 0)
        set(out, known, xs_end(cpu->xcr0, 0), xs_end(known, 0), 0);
    else if (sub == 1)
        set(out, cpu->model->feat[FEAT_XSAVE],
            cpu->model->feat[FEAT_XSAVE] & 0xa ? xs_end(cpu->xcr0, cpu->xcr0) : 0, 0, 0);
    else if (sub >= 2 && sub < 64 && (known >> sub & 1))
        set(out, xs_bytes(sub), xs_offset(sub, 0), 0, 0);
}

/**
 * ratio() - closest fraction *@num / *@den to @a / @b with numerator <= @max
 *
 * Continued fraction; the last step is cut short where the whole one would pass
 * @max. @a, @b not 0.
 */
static void ratio(uint64_t a, uint64_t b, uint64_t max, uint32_t *num, uint32_t *den)
{
    uint64_t p0 = 0, q0 = 1, p1 = 1, q1 = 0;

    while (b) {
        uint64_t k = a / b, t = a % b;
        if (p0 + k * p1 > max)
            k = (max - p0) / p1;
        uint64_t p2 = p0 + k * p1, q2 = q0 + k * q1;
        bool cut = k != a / b;
        if (cut && k * 2 < a / b)        /* a cut step helps from the half on */
            break;
        p0 = p1, q0 = q1, p1 = p2, q1 = q2;
        if (cut)
            break;
        a = b;
        b = t;
    }
    *num = p1;
    *den = q1;
}

/**
 * leaf_tsc() - leaf 0x15: TSC over a crystal that is the local APIC timer's clock
 *
 * Linux multiplies crystal kHz and numerator in 32 bits, so a numerator that
 * would overflow is rounded: by less than a millionth.
 */
static void leaf_tsc(const struct x86_cpu *cpu, uint32_t out[4])
{
    uint64_t hz = cpu->model->tsc_hz, max = 0xffffffffu / (LAPIC_HZ / 1000);
    uint32_t num, den;

    if (!hz || hz / LAPIC_HZ > max)
        return;
    ratio(hz, LAPIC_HZ, max, &num, &den);
    set(out, den, num, LAPIC_HZ, 0);
}

static void basic_leaf(const struct x86_cpu *cpu, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    uint32_t mhz = (cpu->model->tsc_hz + 500000) / 1000000;

    switch (leaf) {
    case 0: leaf_vendor(cpu, cpu->model->level, out); break;
    case 1: leaf_1(cpu, out); break;
    case 2:                              /* "see leaf 4" */
        if (!amd(cpu))
            set(out, 0x00feff01, 0, 0, 0);
        break;
    case 4:
        if (!amd(cpu))
            leaf_cache(cpu, sub, true, out);
        break;
    case 5:                              /* MONITOR: lines of 64 bytes; no C-states */
        if (x86_has(cpu, FEAT_1_ECX, F1C_MONITOR))
            set(out, 64, 64, 1, 0);
        break;
    case 6: set(out, 1 << 2, 0, 0, 0); break;    /* ARAT: APIC timer always runs */
    case 7: leaf_7(cpu, sub, out); break;
    case 0xb: leaf_topology(cpu, sub, false, out); break;
    case 0x1f: leaf_topology(cpu, sub, true, out); break;
    case 0xd: leaf_xsave(cpu, sub, out); break;
    case 0x15: leaf_tsc(cpu, out); break;
    case 0x16: set(out, mhz, mhz, 100, 0); break;
    }
}

/* ---- hypervisor leaves ----------------------------------------------------------------- */

static void hypervisor_leaf(const struct x86_cpu *cpu, uint32_t leaf, uint32_t out[4])
{
    static const char own[13] = "TransomEmul ", kvm[13] = "KVMKVMKVM\0\0\0";
    const char *sig = cpu->model->pv ? kvm : own;

    if (!x86_has(cpu, FEAT_1_ECX, 31))
        return;
    if (leaf == 0x40000000)
        set(out, 0x40000010, ldl32(sig), ldl32(sig + 4), ldl32(sig + 8));
    else if (leaf == 0x40000001)
        set(out, cpu->model->pv, 0, 0, 0);
    else if (leaf == 0x40000010)         /* TSC and local APIC clock in kHz */
        set(out, cpu->model->tsc_hz / 1000, LAPIC_HZ / 1000, 0, 0);
}

/* ---- extended leaves --------------------------------------------------------------------- */

static void leaf_ext_features(const struct x86_cpu *cpu, uint32_t out[4])
{
    const uint32_t *f = cpu->model->feat;
    uint32_t edx = f[FEAT_80000001_EDX];

    if (amd(cpu))
        edx |= f[FEAT_1_EDX] & 0x0183f3ff;   /* AMD repeats the basic ones */
    set(out, amd(cpu) ? signature(cpu->model) : 0, 0, f[FEAT_80000001_ECX], edx);
}

static void leaf_address_sizes(const struct x86_cpu *cpu, uint32_t out[4])
{
    bool lm = x86_has(cpu, FEAT_80000001_EDX, F81D_LM);
    struct topology t = topology(cpu->model);
    unsigned n = t.dies * t.cores * t.threads;

    set(out, cpu->model->phys_bits | (lm ? 48 : 32) << 8, cpu->model->feat[FEAT_80000008_EBX],
        amd(cpu) ? ((n - 1) & 0xff) | t.socket_at << 12 : 0, 0);
}

/** leaf_core_ids() - 0x8000001E: APIC ID; core in its socket, threads a core; die (AMD's
 *  "node") and how many. Source: APM vol. 3, appendix E.4. */
static void leaf_core_ids(const struct x86_cpu *cpu, uint32_t out[4])
{
    struct topology t = topology(cpu->model);
    uint32_t id = cpu->apic_id;

    set(out, id, bits(id, t.core_at, t.socket_at - t.core_at) | (t.threads - 1) << 8,
        (id >> t.die_at & 0xff) | (t.dies - 1) << 8, 0);
}

static void extended_leaf(const struct x86_cpu *cpu, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    const char *b = cpu->model->brand;

    switch (leaf) {
    case 0x80000000:
        leaf_vendor(cpu, cpu->model->xlevel, out);
        if (!amd(cpu))
            out[1] = out[2] = out[3] = 0;
        break;
    case 0x80000001: leaf_ext_features(cpu, out); break;
    case 0x80000002: case 0x80000003: case 0x80000004:
        b += (leaf - 0x80000002) * 16;
        set(out, ldl32(b), ldl32(b + 4), ldl32(b + 8), ldl32(b + 12));
        break;
    case 0x80000005:                     /* AMD: TLBs, L1 in KiB << 24 | ways | lines | line */
        if (amd(cpu))
            set(out, 0x01ff01ff, 0x01ff01ff, 32u << 24 | 8 << 16 | 1 << 8 | 64,
                32u << 24 | 8 << 16 | 1 << 8 | 64);
        break;
    case 0x80000006:                     /* L2 1 MiB 16-way, L3 16 MiB in 512 KiB units */
        set(out, 0, amd(cpu) ? 0x42004200 : 0, 1024u << 16 | 8 << 12 | 1 << 8 | 64,
            amd(cpu) ? 32u << 18 | 8 << 12 | 1 << 8 | 64 : 0);
        break;
    case 0x80000007: set(out, 0, 0, 0, 1 << 8); break;   /* invariant TSC */
    case 0x80000008: leaf_address_sizes(cpu, out); break;
    case 0x8000001d:
        if (x86_has(cpu, FEAT_80000001_ECX, 22))
            leaf_cache(cpu, sub, false, out);
        break;
    case 0x8000001e:
        if (x86_has(cpu, FEAT_80000001_ECX, 22))
            leaf_core_ids(cpu, out);
        break;
    case 0x80000021:                     /* SRSO_NO; TSA_SQ_NO, TSA_L1_NO: see model-table.c */
        if (amd(cpu))
            set(out, 1u << 29, 0, 1 << 1 | 1 << 2, 0);
        break;
    }
}

/**
 * x86_cpuid() - the answer to CPUID with EAX = @leaf, ECX = @sub
 * @out: EAX, EBX, ECX, EDX; zeros for a leaf beyond the highest
 *
 * Reads CR4.OSXSAVE and XCR0; changes nothing.
 */
void x86_cpuid(const struct x86_cpu *cpu, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    set(out, 0, 0, 0, 0);
    if (leaf <= cpu->model->level)
        basic_leaf(cpu, leaf, sub, out);
    else if (leaf >> 16 == 0x4000)
        hypervisor_leaf(cpu, leaf, out);
    else if (leaf >= 0x80000000 && leaf <= cpu->model->xlevel)
        extended_leaf(cpu, leaf, sub, out);
}

uint64_t h_cpuid(struct tcg_cpu *tc, uint64_t a, uint64_t b, uint64_t c)
{
    struct x86_cpu *cpu = X86(tc);
    uint32_t r[4];

    if ((cpu->misc_features & MISC_CPUID_FAULT) && cpu->cpl) {
        x86_raise_err(cpu, EXC_GP, 0);
        return 0;
    }
    x86_cpuid(cpu, GPR(cpu, R_AX), GPR(cpu, R_CX), r);
    GPR(cpu, R_AX) = r[0];
    GPR(cpu, R_BX) = r[1];
    GPR(cpu, R_CX) = r[2];
    GPR(cpu, R_DX) = r[3];
    return 0;
}
