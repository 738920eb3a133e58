/*
 * model-feature.c - CPU features by name, and which of them this host can provide
 */
#include "target-x86/system-int.h"
#include "target-x86/cpu-features.h"
#include "target-x86/model-int.h"
#ifdef __x86_64__
#include <cpuid.h>
#endif

/* ---- features by name ------------------------------------------------------------- */

const struct x86_feature x86_features[X86_FEATURE_COUNT] = {
#define X(w, b, n, k) { n, FEAT_##w, b, KIND_##k },
    X86_FEATURES(X)
#undef X
};

static const struct { const char *alias, *name; } aliases[] = {
#define X(a, n) { a, n },
    X86_FEATURE_ALIASES(X)
#undef X
};

const char *x86_feature_name(unsigned word, unsigned bit)
{
    for (size_t i = 0; i < X86_FEATURE_COUNT; i++)
        if (x86_features[i].word == word && x86_features[i].bit == bit)
            return x86_features[i].name;
    return NULL;
}

const struct x86_feature *x86_find_feature(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++)
        if (!strcmp(aliases[i].alias, name))
            name = aliases[i].name;
    for (unsigned i = 0; i < X86_FEATURE_COUNT; i++)
        if (!strcmp(x86_features[i].name, name))
            return &x86_features[i];
    return NULL;
}

size_t x86_feature_words(const char *words[X86_FEATURE_WORDS])
{
    size_t n = 0;

    _Static_assert(ARRAY_SIZE(aliases) <= X86_FEATURE_WORDS - X86_FEATURE_COUNT, "no room for aliases");
    for (unsigned i = 0; i < X86_FEATURE_COUNT; i++)
        words[n++] = x86_features[i].name;
    for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++)
        words[n++] = aliases[i].alias;
    return n;
}

/* ---- what this host can do ------------------------------------------------------------- */

#ifdef __x86_64__
/* The host's CPUID register that @word is about. */
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

/* The parts that all of AVX-512 here rests on. */
static bool has_avx512(void)
{
    uint32_t need = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;   /* F, DQ, BW, VL */

    return __builtin_cpu_supports("avx512f") && (host_word(FEAT_7_EBX) & need) == need &&
           (host_word(FEAT_XSAVE) & 1 << 2);                     /* XGETBV(1): see vecstate.c */
}

/* The instruction works on this host, its state enabled by the host's kernel. */
static bool host_has(const struct x86_feature *f)
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

void x86_host_identity(struct x86_model *m)
{
    uint32_t r[4] = { 0 };
    char brand[49] = "";

    __get_cpuid(0, &r[0], &r[1], &r[2], &r[3]);
    memcpy(m->vendor, &r[1], 4);
    memcpy(m->vendor + 4, &r[3], 4);
    memcpy(m->vendor + 8, &r[2], 4);
    __get_cpuid(1, &r[0], &r[1], &r[2], &r[3]);
    m->stepping = bits(r[0], 0, 4);
    m->family = bits(r[0], 8, 4);
    m->model = bits(r[0], 4, 4);
    if (m->family == 6 || m->family == 15)
        m->model |= bits(r[0], 16, 4) << 4;
    if (m->family == 15)
        m->family += bits(r[0], 20, 8);
    for (unsigned i = 0; i < 3; i++)
        if (__get_cpuid(0x80000002 + i, &r[0], &r[1], &r[2], &r[3]))
            memcpy(brand + i * 16, r, 16);
    if (*brand)
        memcpy(m->brand, brand, sizeof(brand));
}
#else
static uint32_t host_word(unsigned word)
{
    return ~0u;
}

static bool host_has(const struct x86_feature *f)
{
    return f->kind == KIND_P;
}

void x86_host_identity(struct x86_model *m)
{
}
#endif

bool x86_is_host_feature(const struct x86_feature *f)
{
    static const char *const system[] = {
        "apic", "x2apic", "tsc-deadline", "tsc-adjust", "hypervisor", "pcid", "invpcid", "spec-ctrl",
        "stibp", "ssbd", "flush-l1d", "md-clear", "arch-capabilities", "syscall" };

    for (unsigned i = 0; i < ARRAY_SIZE(system); i++)
        if (!strcmp(system[i], f->name))
            return true;
    return host_word(f->word) >> f->bit & 1;
}

bool x86_feature_offered(const struct x86_feature *f)
{
    return f->kind == KIND_S || f->kind == KIND_O || (f->kind != KIND_N && host_has(f));
}

void x86_feature_put(struct x86_model *m, const struct x86_feature *f, bool on)
{
    uint32_t bit = 1u << f->bit;

    m->feat[f->word] = on ? m->feat[f->word] | bit : m->feat[f->word] & ~bit;
}
