/*
 * model.c - the -cpu argument: models and their features
 *
 * "max" takes what cpu-features.h can provide on this host. Its signature is one
 * that kernels know as free of speculation faults, which is true of a translated
 * CPU: no mitigation is switched on that would cost time and protect nothing.
 */
#include <stdlib.h>
#include "target-x86/system-int.h"
#include "target-x86/cpu-features.h"
#ifdef __x86_64__
#include <cpuid.h>
#endif

/* ---- features by name ------------------------------------------------------------- */

enum feature_kind { KIND_S, KIND_P, KIND_H, KIND_O, KIND_N };
struct feature {
    const char *name;
    uint8_t word, bit, kind;
};
static const struct feature features[] = {
#define X(w, b, n, k) { n, FEAT_##w, b, KIND_##k },
    X86_FEATURES(X)
#undef X
};

static const struct { const char *alias, *name; } aliases[] = {
#define X(a, n) { a, n },
    X86_FEATURE_ALIASES(X)
#undef X
};

static const struct feature *find_feature(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++)
        if (!strcmp(aliases[i].alias, name))
            name = aliases[i].name;
    for (unsigned i = 0; i < ARRAY_SIZE(features); i++)
        if (!strcmp(features[i].name, name))
            return &features[i];
    return NULL;
}

/* ---- what this host can do ------------------------------------------------------------- */

#ifdef __x86_64__
/** host_word() - the host's CPUID register that @word is about */
static uint32_t host_word(unsigned word)
{
    static const struct { uint32_t leaf; uint8_t sub, reg; } where[FEAT_WORDS] = {
        [FEAT_1_EDX] = { 1, 0, 3 }, [FEAT_1_ECX] = { 1, 0, 2 }, [FEAT_7_EBX] = { 7, 0, 1 },
        [FEAT_7_ECX] = { 7, 0, 2 }, [FEAT_7_EDX] = { 7, 0, 3 },
        [FEAT_80000001_EDX] = { 0x80000001, 0, 3 }, [FEAT_80000001_ECX] = { 0x80000001, 0, 2 },
        [FEAT_XSAVE] = { 0xd, 1, 0 }, [FEAT_7_1_EAX] = { 7, 1, 0 },
        [FEAT_80000008_EBX] = { 0x80000008, 0, 1 },
    };
    uint32_t r[4] = { 0 };

    if (!__get_cpuid_count(where[word].leaf, where[word].sub, &r[0], &r[1], &r[2], &r[3]))
        return 0;
    return r[where[word].reg];
}

/** has_avx512() - the parts that all of AVX-512 here rests on */
static bool has_avx512(void)
{
    uint32_t need = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;   /* F, DQ, BW, VL */

    return __builtin_cpu_supports("avx512f") && (host_word(FEAT_7_EBX) & need) == need &&
           (host_word(FEAT_XSAVE) & 1 << 2);                     /* XGETBV(1): see vecstate.c */
}

/** host_has() - the instruction works on this host, its state enabled by the host's kernel */
static bool host_has(const struct feature *f)
{
    bool vex = (f->word == FEAT_1_ECX && (f->bit == 12 || f->bit == 28 || f->bit == 29)) ||
               (f->word == FEAT_7_EBX && f->bit == 5) ||
               (f->word == FEAT_7_ECX && (f->bit == 9 || f->bit == 10)) ||
               (f->word == FEAT_7_1_EAX && f->bit == 4);

    if (!strncmp(f->name, "avx512", 6) && !has_avx512())
        return false;
    if (vex && !__builtin_cpu_supports("avx"))
        return false;
    return host_word(f->word) >> f->bit & 1;
}
#else
static bool host_has(const struct feature *f)
{
    return f->kind == KIND_P;
}
#endif

static bool offered(const struct feature *f)
{
    return f->kind == KIND_S || f->kind == KIND_O || (f->kind != KIND_N && host_has(f));
}

static void feature_put(struct x86_model *m, const struct feature *f, bool on)
{
    uint32_t bit = 1u << f->bit;

    m->feat[f->word] = on ? m->feat[f->word] | bit : m->feat[f->word] & ~bit;
}

static void feature_on(struct x86_model *m, const char *name)
{
    const struct feature *f = find_feature(name);

    assert(f);
    if (offered(f))
        feature_put(m, f, true);
}

/* ---- models -------------------------------------------------------------------------------- */

#define QEMU64_FEATURES \
    "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse " \
    "sse2 pni cx16 hypervisor syscall nx lm lahf-lm"
/* of the emulated system rather than of an instruction set */
#define SYSTEM_FEATURES \
    QEMU64_FEATURES " vme pcid x2apic tsc-deadline fsgsbase tsc-adjust smep erms invpcid smap umip " \
    "fsrm spec-ctrl stibp ssbd flush-l1d md-clear arch-capabilities pdpe1gb rdtscp rdpid ss"
#define V2_FEATURES SYSTEM_FEATURES " popcnt ssse3 sse4.1 sse4.2"
#define V3_FEATURES \
    V2_FEATURES " xsave avx avx2 bmi1 bmi2 f16c fma abm movbe xsaveopt xsavec xgetbv1 xsaves"

/* SDM vol. 4 table 2-1 names 06_36H; see the head of this file */
enum { MAX_FAMILY = 6, MAX_MODEL = 0x36, MAX_STEPPING = 1 };

/**
 * struct model_row - a name -cpu accepts
 * @features: words; NULL: all that are offered
 */
struct model_row {
    const char *name, *vendor, *brand, *help, *features;
    uint8_t family, model, stepping;
    uint32_t level, xlevel;
};

static const struct model_row models[] = {
    { "max", "GenuineIntel", "Transom Virtual CPU (max)", "all that this host allows", NULL,
      MAX_FAMILY, MAX_MODEL, MAX_STEPPING, 0x16, 0x80000008 },
    { "host", "GenuineIntel", "Transom Virtual CPU (max)", "the same as max", NULL,
      MAX_FAMILY, MAX_MODEL, MAX_STEPPING, 0x16, 0x80000008 },
    { "qemu64", "AuthenticAMD", "QEMU Virtual CPU version 2.5+", "plain 64-bit CPU with SSE3",
      QEMU64_FEATURES, 15, 107, 1, 0xd, 0x8000000a },
    { "Opteron_G1", "AuthenticAMD", "AMD Opteron 240 (Gen 1 Class Opteron)", "2003: SSE3",
      QEMU64_FEATURES, 15, 6, 1, 5, 0x80000008 },
    { "IvyBridge", "GenuineIntel", "Intel Xeon E3-12xx v2 (Ivy Bridge)", "2012: AVX, F16C, SMEP",
      QEMU64_FEATURES " vme tsc-deadline x2apic pclmulqdq ssse3 sse4.1 sse4.2 popcnt aes xsave avx "
      "f16c rdrand rdtscp fsgsbase smep erms xsaveopt", 6, 58, 9, 0xd, 0x80000008 },
    { "x86-64-v2", "GenuineIntel", "Transom Virtual CPU (x86-64-v2)", "SSE4.2, POPCNT",
      V2_FEATURES, MAX_FAMILY, MAX_MODEL, MAX_STEPPING, 0x16, 0x80000008 },
    { "x86-64-v3", "GenuineIntel", "Transom Virtual CPU (x86-64-v3)", "AVX2, FMA, BMI",
      V3_FEATURES, MAX_FAMILY, MAX_MODEL, MAX_STEPPING, 0x16, 0x80000008 },
};

/* IA32_ARCH_CAPABILITIES (SDM vol. 4): what a translated CPU is not affected by */
#define ARCH_CAPS                                                                         \
    (BIT(0) /* RDCL_NO */ | BIT(1) /* IBRS_ALL */ | BIT(3) /* SKIP_L1DFL_VMENTRY */ |     \
     BIT(4) /* SSB_NO */ | BIT(5) /* MDS_NO */ | BIT(6) /* PSCHANGE_MC_NO */ |            \
     BIT(8) /* TAA_NO */ | BIT(13) /* SBDR_SSDP_NO */ | BIT(14) /* FBSDP_NO */ |          \
     BIT(15) /* PSDP_NO */ | BIT(20) /* BHI_NO */ | BIT(24) /* PBRSB_NO */ |              \
     BIT(26) /* GDS_NO */ | BIT(27) /* RFDS_NO */ | BIT(62) /* ITS_NO */)

enum { DEFAULT_PHYS_BITS = 40 };
#define DEFAULT_TSC_HZ 2000000000ull

static void put_words(struct x86_model *m, const char *words)
{
    char *copy = xstrdup(words), *save, *w;

    for (w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        feature_on(m, w);
    free(copy);
}

static void model_init(struct x86_model *m, const struct model_row *r)
{
    memset(m, 0, sizeof(*m));
    m->name = r->name;
    snprintf(m->vendor, sizeof(m->vendor), "%s", r->vendor);
    snprintf(m->brand, sizeof(m->brand), "%s", r->brand);
    m->family = r->family;
    m->model = r->model;
    m->stepping = r->stepping;
    m->level = r->level;
    m->xlevel = r->xlevel;
    m->phys_bits = DEFAULT_PHYS_BITS;
    m->tsc_hz = DEFAULT_TSC_HZ;
    m->n_vcpus = 1;
    m->arch_caps = ARCH_CAPS;
    if (r->features) {
        put_words(m, r->features);
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(features); i++)
        if (offered(&features[i]) && features[i].kind != KIND_O)
            feature_put(m, &features[i], true);
    m->feat[FEAT_1_EDX] &= ~(1u << 28);   /* HT: follows the number of vCPUs */
}

/** without() - clear the features in @words unless @need is there */
static void without(struct x86_model *m, const char *need, const char *words)
{
    const struct feature *f = find_feature(need);
    char *copy, *save, *w;

    if (m->feat[f->word] >> f->bit & 1)
        return;
    copy = xstrdup(words);
    for (w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        feature_put(m, find_feature(w), false);
    free(copy);
}

/** drop_dependents() - no feature without what it rests on */
static void drop_dependents(struct x86_model *m)
{
    without(m, "apic", "x2apic tsc-deadline");
    without(m, "fxsr", "sse");
    without(m, "sse", "sse2");
    without(m, "sse2", "pni ssse3 sse4.1 sse4.2 aes pclmulqdq sha-ni gfni");
    without(m, "ssse3", "sse4.1 sse4.2");
    without(m, "sse4.1", "sse4.2");
    without(m, "xsave", "avx xsaveopt xsavec xgetbv1 xsaves pku");
    without(m, "avx", "avx2 f16c fma vaes vpclmulqdq avx-vnni avx512f");
    without(m, "avx2", "avx-vnni avx512f");
    without(m, "avx512f", "avx512dq avx512ifma avx512cd avx512bw avx512vl avx512vbmi avx512vbmi2 "
            "avx512vnni avx512bitalg avx512-vpopcntdq avx512-bf16");
    without(m, "avx512bw", "avx512vbmi avx512vbmi2 avx512bitalg avx512-bf16");
    without(m, "lm", "pcid fsgsbase lahf-lm syscall pku pks");
    without(m, "pcid", "invpcid");
}

/* ---- the argument ------------------------------------------------------------------------------- */

static int suggest(struct err *e, const char *what, const char *w, const char *const *words, size_t n)
{
    const char *near = nearest_word(w, words, n);

    return err_set(e, -EINVAL, "-cpu: unknown %s '%s'%s%s%s", what, w,
                   near ? ": did you mean '" : " (-cpu help lists them)", near ? near : "",
                   near ? "'?" : "");
}

static int unknown_model(struct err *e, const char *w)
{
    const char *words[ARRAY_SIZE(models)];

    for (unsigned i = 0; i < ARRAY_SIZE(models); i++)
        words[i] = models[i].name;
    return suggest(e, "model", w, words, ARRAY_SIZE(models));
}

static int unknown_feature(struct err *e, const char *w)
{
    const char *words[ARRAY_SIZE(features) + ARRAY_SIZE(aliases)];
    unsigned n = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(features); i++)
        words[n++] = features[i].name;
    for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++)
        words[n++] = aliases[i].alias;
    return suggest(e, "feature", w, words, n);
}

/** kvm_only() - flags that configure KVM's paravirtual interfaces */
static bool kvm_only(const char *w)
{
    return !strncmp(w, "kvm", 3) || !strncmp(w, "hv-", 3) || !strncmp(w, "hv_", 3) ||
           !strcmp(w, "vmware-cpuid-freq") || !strcmp(w, "host-cache-info");
}

static int set_feature(struct x86_model *m, const char *name, bool on, struct err *e)
{
    const struct feature *f = find_feature(name);

    if (kvm_only(name)) {
        /* switching them off asks for what we do anyway */
        return on ? err_set(e, -EINVAL, "-cpu: '%s' needs KVM", name) : 0;
    }
    if (!f)
        return unknown_feature(e, name);
    if (on && !offered(f)) {
        fprintf(stderr, "warning: -cpu: '%s' is not available here and stays off\n", name);
        return 0;
    }
    feature_put(m, f, on);
    return 0;
}

/** set_number() - family=, model=, ... ; -ENOENT: no such property */
static int set_number(struct x86_model *m, const char *name, const char *val, struct err *e)
{
    struct { const char *name; uint64_t max; uint32_t *u32; uint64_t *u64; uint8_t *u8; } props[] = {
        { "family", 0xff + 15, &m->family, NULL, NULL }, { "model", 0xff, &m->model, NULL, NULL },
        { "stepping", 15, &m->stepping, NULL, NULL }, { "level", 0x1f, &m->level, NULL, NULL },
        { "xlevel", 0x80000021, &m->xlevel, NULL, NULL },
        { "phys-bits", 52, NULL, NULL, &m->phys_bits },
        { "tsc-frequency", 1ull << 40, NULL, &m->tsc_hz, NULL },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(props); i++) {
        char *end;
        if (strcmp(props[i].name, name))
            continue;
        errno = 0;
        uint64_t v = strtoull(val, &end, 0);
        bool low = (props[i].u8 && v < 32) || (props[i].u64 && v < 1000000);
        if (*end || end == val || errno || v > props[i].max || low)
            return err_set(e, -EINVAL, "-cpu: '%s' is out of range for %s", val, name);
        if (props[i].u32)
            *props[i].u32 = v;
        else if (props[i].u64)
            *props[i].u64 = v;
        else
            *props[i].u8 = v;
        return 0;
    }
    return -ENOENT;
}

static int set_text(struct x86_model *m, const char *name, const char *val, struct err *e)
{
    if (!strcmp(name, "vendor")) {
        if (strlen(val) != 12)
            return err_set(e, -EINVAL, "-cpu: vendor '%s' is not 12 characters long", val);
        memcpy(m->vendor, val, 13);
        return 0;
    }
    if (!strcmp(name, "model-id")) {
        memset(m->brand, 0, sizeof(m->brand));
        snprintf(m->brand, sizeof(m->brand), "%s", val);
        return 0;
    }
    return -ENOENT;
}

/** ignored() - QEMU's switches about checking and migration, without effect here */
static bool ignored(const char *name)
{
    static const char *const names[] = { "check", "enforce", "migratable", "host-phys-bits",
                                         "l3-cache", "pmu", "invtsc", "arat" };

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

/** to_switch() - *@on from on, yes, true, y or off, no, false, n */
static bool to_switch(const char *val, bool *on)
{
    static const char *const words[] = { "off", "on", "no", "yes", "false", "true", "n", "y" };

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        if (!strcmp(words[i], val)) {
            *on = i & 1;
            return true;
        }
    return false;
}

static int set_property(struct x86_model *m, const char *name, const char *val, struct err *e)
{
    int r = set_number(m, name, val, e);
    bool on;

    if (r == -ENOENT)
        r = set_text(m, name, val, e);
    if (r != -ENOENT)
        return r;
    if (!to_switch(val, &on))
        return find_feature(name) || ignored(name)
                   ? err_set(e, -EINVAL, "-cpu: %s=%s: on or off expected", name, val)
                   : unknown_feature(e, name);
    if (ignored(name))
        return 0;
    return set_feature(m, name, on, e);
}

static int apply(struct x86_model *m, char *w, struct err *e)
{
    char *eq = strchr(w, '=');

    if (eq) {
        *eq = 0;
        return set_property(m, w, eq + 1, e);
    }
    if (*w == '+' || *w == '-')
        return ignored(w + 1) ? 0 : set_feature(m, w + 1, *w == '+', e);
    return ignored(w) ? 0 : set_feature(m, w, true, e);
}

/**
 * x86_model_parse() - "-cpu MODEL[,+FEATURE][,-FEATURE][,NAME=VALUE]..."
 * @arg: NULL or "" means "max"
 *
 * Returns 0 or -EINVAL with @e set. Features that exist but cannot be provided
 * are a warning on stderr, as with QEMU.
 */
int x86_model_parse(const char *arg, struct x86_model *m, struct err *e)
{
    char *copy = xstrdup(arg && *arg ? arg : "max"), *save, *w;
    const struct model_row *row = NULL;
    int r = 0;

    w = strtok_r(copy, ",", &save);
    for (unsigned i = 0; w && i < ARRAY_SIZE(models); i++)
        if (!strcmp(models[i].name, w))
            row = &models[i];
    if (!row)
        r = unknown_model(e, w ? w : "");
    else
        model_init(m, row);
    while (!r && (w = strtok_r(NULL, ",", &save)))
        r = apply(m, w, e);
    if (!r)
        drop_dependents(m);
    free(copy);
    return r;
}

void x86_model_help(FILE *f)
{
    unsigned col = 0;

    fprintf(f, "Models:\n");
    for (unsigned i = 0; i < ARRAY_SIZE(models); i++)
        fprintf(f, "  %-12s %s\n", models[i].name, models[i].help);
    fprintf(f, "Features (+NAME, -NAME, NAME=on|off):\n");
    for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
        if (features[i].kind == KIND_N)
            continue;
        col += fprintf(f, "%s%s", col ? " " : "  ", features[i].name);
        if (col > 66) {
            fputc('\n', f);
            col = 0;
        }
    }
    fprintf(f, "%sProperties: family= model= stepping= level= xlevel= vendor= model-id= "
               "phys-bits= tsc-frequency=\n", col ? "\n" : "");
}
