/*
 * model.c - the -cpu argument: models (model-table.c) and their features (model-feature.c)
 *
 * What is asked for, by a model or by name, is there or the argument is refused. What a
 * real CPU of a model's name has and nobody provides here is a warning ("enforce":
 * refused, too; "check=off": silence).
 *
 * "max" takes what cpu-features.h can provide on this host. Its signature is one
 * that kernels know as free of speculation faults, which is true of a translated
 * CPU: no mitigation is switched on that would cost time and protect nothing.
 */
#include <stdlib.h>
#include "target-x86/system-int.h"
#include "target-x86/cpu-features.h"
#include "target-x86/model-int.h"

/* ---- models -------------------------------------------------------------------------------- */

/** struct request - what an argument asks for: @m, and what is checked at its end */
struct request {
    struct x86_model *m;
    struct x86_model absent;     /* feat: the real model's that nobody provides */
    struct x86_model asked;      /* feat: switched on by name */
    bool check, enforce;
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

static void put_words(struct x86_model *m, const char *words, bool on)
{
    char *copy = xstrdup(words ? words : ""), *save, *w;

    for (w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        const struct x86_feature *f = x86_find_feature(w);
        assert(f);
        x86_feature_put(m, f, on);
    }
    free(copy);
}

/** all_offered() - features of "max"; @like_host: no instruction set that the host lacks */
static void all_offered(struct x86_model *m, bool like_host)
{
    for (unsigned i = 0; i < X86_FEATURE_COUNT; i++)
        if (x86_feature_offered(&x86_features[i]) && x86_features[i].kind != KIND_O &&
            (!like_host || x86_is_host_feature(&x86_features[i])))
            x86_feature_put(m, &x86_features[i], true);
    m->feat[FEAT_1_EDX] &= ~(1u << 28);   /* HT: follows the number of vCPUs */
}

static void model_init(struct request *q, const struct model_row *r)
{
    struct x86_model *m = q->m;

    memset(m, 0, sizeof(*m));
    m->name = r->name;
    m->pv = PV_DEFAULT;
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
    if (r->like_host)
        x86_host_identity(m);
    if (r->features)
        put_words(m, r->features, true);
    else
        all_offered(m, r->like_host);
    put_words(&q->absent, r->absent, true);
}

/** has_word() - @w is one of @words, which may be NULL */
static bool has_word(const char *words, const char *w)
{
    size_t n = strlen(w);

    for (const char *p = words; p; p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL)
        if (!strncmp(p, w, n) && (!p[n] || p[n] == ' '))
            return true;
    return false;
}

/** find_model() - the row that @name means; *@no_tsx: in the variant without TSX */
static const struct model_row *find_model(const char *name, bool *no_tsx)
{
    *no_tsx = false;
    for (const struct model_row *r = x86_models; r->name; r++) {
        size_t n = strlen(r->name);
        if (!strcmp(r->name, name))
            return r;
        if (strncmp(r->name, name, n))
            continue;
        *no_tsx = has_word(r->no_tsx, name + n);
        if (*no_tsx || has_word(r->suffixes, name + n))
            return r;
    }
    return NULL;
}

/* no feature of @what without @need; @or_asked: unless it is asked for by name, which QEMU's machines may be, too */
static const struct { const char *need, *what; bool or_asked; } dependents[] = {
    { "apic", "x2apic tsc-deadline", false },
    { "fxsr", "sse", false },
    { "sse", "sse2", false },
    { "sse2", "pni ssse3 sse4.1 sse4.2 aes pclmulqdq sha-ni gfni", false },
    { "xsave", "avx xsaveopt xsavec xgetbv1 xsaves pku", false },
    { "avx", "avx2 f16c fma vaes vpclmulqdq avx-vnni avx512f", false },
    { "avx2", "avx-vnni avx512f", false },
    { "avx512f", "avx512dq avx512ifma avx512cd avx512bw avx512vl avx512vbmi avx512vbmi2 "
                 "avx512vnni avx512bitalg avx512-vpopcntdq avx512-bf16", false },
    { "avx512bw", "avx512vbmi avx512vbmi2 avx512bitalg avx512-bf16", false },
    { "lm", "pcid fsgsbase lahf-lm syscall pku pks", false },
    { "pcid", "invpcid", true },
};

static bool has_feature(const struct x86_model *m, const struct x86_feature *f)
{
    return m->feat[f->word] >> f->bit & 1;
}

/** drop_dependents() - no feature without what it rests on; asking for one is an error */
static int drop_dependents(const struct request *q, struct err *e)
{
    for (unsigned i = 0; i < ARRAY_SIZE(dependents); i++) {
        struct x86_model what = { 0 };
        if (has_feature(q->m, x86_find_feature(dependents[i].need)))
            continue;
        put_words(&what, dependents[i].what, true);
        for (unsigned k = 0; k < X86_FEATURE_COUNT; k++) {
            const struct x86_feature *f = &x86_features[k];
            if (!has_feature(&what, f))
                continue;
            if (!has_feature(&q->asked, f))
                q->m->feat[f->word] &= ~BIT(f->bit);
            else if (!dependents[i].or_asked)
                return err_set(e, -EINVAL, "-cpu: '%s' needs '%s', which is off", f->name, dependents[i].need);
        }
    }
    return 0;
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
    enum { MAX_NAMES = 64 };
    const char *words[MAX_NAMES];
    unsigned n = 0;

    for (const struct model_row *r = x86_models; r->name && n < MAX_NAMES; r++)
        words[n++] = r->name;
    return suggest(e, "model", w, words, n);
}

static int unknown_feature(struct err *e, const char *w)
{
    const char *words[X86_FEATURE_WORDS];

    return suggest(e, "feature", w, words, x86_feature_words(words));
}

/** kvm_only() - flags that configure KVM's paravirtual interfaces */
static bool kvm_only(const char *w)
{
    return !strncmp(w, "kvm", 3) || !strncmp(w, "hv-", 3) || !strncmp(w, "hv_", 3) ||
           !strcmp(w, "vmware-cpuid-freq") || !strcmp(w, "host-cache-info");
}

/** same_words() - @a is @b, which may have _ for - */
static bool same_words(const char *a, const char *b)
{
    for (; *a && (*a == *b || (*a == '-' && *b == '_')); a++, b++)
        ;
    return *a == *b;
}

/** set_pv() - "kvm", or one of what the translator has of it, too; false: neither */
static bool set_pv(struct x86_model *m, const char *name, bool on)
{
    static const struct { const char *name; uint32_t bits; } names[] = {
        { "kvmclock", PV_CLOCK_OLD | PV_CLOCK }, { "kvm-nopiodelay", PV_NOP_IO_DELAY },
        { "kvmclock-stable-bit", PV_CLOCK_STABLE }, { "kvm-steal-time", PV_STEAL_TIME }, { "kvm-pv-eoi", PV_EOI },
        { "kvm-pv-unhalt", PV_UNHALT }, { "kvm-pv-tlb-flush", PV_TLB_FLUSH }, { "kvm-pv-ipi", PV_SEND_IPI },
        { "kvm-pv-sched-yield", PV_SCHED_YIELD },
    };

    if (!strcmp(name, "kvm")) {
        m->pv = on ? PV_DEFAULT : 0;
        return true;
    }

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (same_words(names[i].name, name)) {
            m->pv = on ? m->pv | names[i].bits : m->pv & ~names[i].bits;
            m->pv_asked = on ? m->pv_asked | names[i].bits : m->pv_asked & ~names[i].bits;
            return true;
        }
    return false;
}

/* What the translator has not; whether KVM runs the vCPUs is known later. */
static const struct { const char *name; uint32_t bit; } kvm_features[] = {
    { "kvm-mmu", 1 << 2 }, { "kvm-asyncpf", 1 << 4 }, { "kvm-asyncpf-vmexit", 1 << 10 },
    { "kvm-poll-control", 1 << 12 }, { "kvm-asyncpf-int", 1 << 14 }, { "kvm-msi-ext-dest-id", 1 << 15 },
};

const char *x86_kvm_feature_name(uint32_t bits)
{
    for (unsigned i = 0; i < ARRAY_SIZE(kvm_features); i++)
        if (bits & kvm_features[i].bit)
            return kvm_features[i].name;
    return NULL;
}

static bool set_kvm_feature(struct x86_model *m, const char *name, bool on)
{
    for (unsigned i = 0; i < ARRAY_SIZE(kvm_features); i++)
        if (same_words(kvm_features[i].name, name)) {
            m->kvm_on = (m->kvm_on & ~kvm_features[i].bit) | (on ? kvm_features[i].bit : 0);
            m->kvm_off = (m->kvm_off & ~kvm_features[i].bit) | (on ? 0 : kvm_features[i].bit);
            return true;
        }
    return false;
}

static int set_feature(struct request *q, const char *name, bool on, struct err *e)
{
    const struct x86_feature *f = x86_find_feature(name);

    if (set_pv(q->m, name, on) || set_kvm_feature(q->m, name, on))
        return 0;
    if (kvm_only(name)) {
        /* switching them off asks for what we do anyway */
        return on ? err_set(e, -EINVAL, "-cpu: '%s' needs KVM", name) : 0;
    }
    if (!f)
        return unknown_feature(e, name);
    x86_feature_put(q->m, f, on);
    x86_feature_put(&q->asked, f, on);
    x86_feature_put(&q->absent, f, false);
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

/** ignored() - QEMU's switches about migration and the like, without effect here */
static bool ignored(const char *name)
{
    static const char *const names[] = { "migratable", "host-phys-bits", "l3-cache", "pmu", "invtsc",
                                         "arat" };

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

/** set_switch() - a feature, or one of the words about the argument itself */
static int set_switch(struct request *q, const char *name, bool on, struct err *e)
{
    if (!strcmp(name, "check"))
        q->check = on;
    else if (!strcmp(name, "enforce"))
        q->enforce = on;
    else if (!ignored(name))
        return set_feature(q, name, on, e);
    return 0;
}

static int set_property(struct request *q, const char *name, const char *val, struct err *e)
{
    int r = set_number(q->m, name, val, e);
    bool on;

    if (r == -ENOENT)
        r = set_text(q->m, name, val, e);
    if (r != -ENOENT)
        return r;
    if (to_switch(val, &on))
        return set_switch(q, name, on, e);
    return x86_find_feature(name) || ignored(name) || !strcmp(name, "check") || !strcmp(name, "enforce")
               ? err_set(e, -EINVAL, "-cpu: %s=%s: on or off expected", name, val)
               : unknown_feature(e, name);
}

static int apply(struct request *q, char *w, struct err *e)
{
    char *eq = strchr(w, '=');

    if (eq) {
        *eq = 0;
        return set_property(q, w, eq + 1, e);
    }
    if (*w == '+' || *w == '-')
        return set_switch(q, w + 1, *w == '+', e);
    return set_switch(q, w, true, e);
}

/* ---- is it all there? ------------------------------------------------------------------------ */

/** list_missing() - into @s the names of @m's features that are not provided;
 *  @never: those that no host provides, else those that this host lacks */
static bool list_missing(const struct x86_model *m, bool never, char *s, size_t n)
{
    size_t len = 0;

    *s = 0;
    for (unsigned i = 0; i < X86_FEATURE_COUNT; i++) {
        const struct x86_feature *f = &x86_features[i];
        if (has_feature(m, f) && !x86_feature_offered(f) && (f->kind == KIND_N) == never && len < n)
            len += snprintf(s + len, n - len, "%s%s", len ? ", " : "", f->name);
    }
    return len;
}

/** refuse_missing() - -EINVAL and one line when @m has what is not provided here */
static int refuse_missing(const char *model, const struct x86_model *m, struct err *e)
{
    char names[400];

    if (list_missing(m, true, names, sizeof(names)))
        return err_set(e, -EINVAL, "-cpu: not emulated: %s", names);
    if (list_missing(m, false, names, sizeof(names)))
        return err_set(e, -EINVAL, "-cpu %s: this host's CPU lacks %s", model, names);
    return 0;
}

/** check_request() - refuse what cannot be provided, warn of what a model goes without */
static int check_request(const struct request *q, struct err *e)
{
    char names[400];

    if (refuse_missing(q->m->name, q->m, e) < 0)
        return -EINVAL;
    if (!list_missing(&q->absent, true, names, sizeof(names)))
        return 0;
    if (q->enforce)
        return err_set(e, -EINVAL, "-cpu %s,enforce: not emulated: %s", q->m->name, names);
    if (q->check)
        fprintf(stderr, "warning: -cpu %s: goes without %s (check=off: no warning)\n", q->m->name, names);
    return 0;
}

const char *x86_model_name(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!x86_models[i].name)
            return NULL;
    return x86_models[n].name;
}

char *x86_model_missing(unsigned n)
{
    char names[3][400];
    struct x86_model m;
    struct request q = { .m = &m };

    model_init(&q, &x86_models[n]);
    list_missing(&q.absent, true, names[0], sizeof(names[0]));
    list_missing(&m, true, names[1], sizeof(names[1]));
    list_missing(&m, false, names[2], sizeof(names[2]));
    return xasprintf("%s%s%s%s%s", names[0], *names[0] && *names[1] ? ", " : "", names[1],
                     (*names[0] || *names[1]) && *names[2] ? ", " : "", names[2]);
}

/**
 * x86_model_parse() - "-cpu MODEL[,+FEATURE][,-FEATURE][,NAME=VALUE]..."
 * @arg: NULL or "" means "max"
 *
 * Returns 0 or -EINVAL with @e set: a name is unknown, a value out of range, or a
 * feature cannot be provided. May print a warning on stderr, see check_request().
 */
int x86_model_parse(const char *arg, struct x86_model *m, struct err *e)
{
    char *copy = xstrdup(arg && *arg ? arg : "max"), *save, *w;
    struct request q = { .m = m, .check = true };
    const struct model_row *row;
    bool no_tsx;
    int r = 0;

    w = strtok_r(copy, ",", &save);
    row = find_model(w ? w : "", &no_tsx);
    if (!row) {
        r = unknown_model(e, w ? w : "");
    } else {
        model_init(&q, row);
        if (no_tsx)
            put_words(&q.absent, "hle rtm", false);
    }
    while (!r && (w = strtok_r(NULL, ",", &save)))
        r = apply(&q, w, e);
    if (!r)
        r = refuse_missing(m->name, &q.asked, e);
    if (!r)
        r = drop_dependents(&q, e);
    if (!r)
        r = check_request(&q, e);
    free(copy);
    return r;
}

/* ---- help ------------------------------------------------------------------------------------- */

static void help_model(FILE *f, const struct model_row *r)
{
    struct x86_model m;
    struct request q = { .m = &m };
    char names[400];

    model_init(&q, r);
    fprintf(f, "  %-18s %s", r->name, r->help);
    if (list_missing(&m, false, names, sizeof(names)))
        fprintf(f, " (not here: this host's CPU lacks %s)", names);
    fputc('\n', f);
    if (r->suffixes)
        fprintf(f, "  %-18s also %s%s%s\n", "", r->suffixes, r->no_tsx ? " " : "",
                r->no_tsx ? r->no_tsx : "");
}

void x86_model_help(FILE *f)
{
    unsigned col = 0;

    fprintf(f, "Models:\n");
    for (const struct model_row *r = x86_models; r->name; r++)
        help_model(f, r);
    fprintf(f, "Features (+NAME, -NAME, NAME=on|off):\n");
    for (unsigned i = 0; i < X86_FEATURE_COUNT; i++) {
        if (!x86_feature_offered(&x86_features[i]))
            continue;
        col += fprintf(f, "%s%s", col ? " " : "  ", x86_features[i].name);
        if (col > 66) {
            fputc('\n', f);
            col = 0;
        }
    }
    fprintf(f, "%sProperties: family= model= stepping= level= xlevel= vendor= model-id= "
               "phys-bits= tsc-frequency=\n", col ? "\n" : "");
}
