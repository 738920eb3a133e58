/* CPU models by name: what they say they are, what they have, what is refused */
#include "tests/target-x86/sys-rig.h"

static bool x86_host_has_avx512(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#else
    return true;                         /* our own code */
#endif
}

static bool bit(const struct x86_model *m, enum x86_feat_word w, unsigned n)
{
    return m->feat[w] >> n & 1;
}

/* CPUID.1 EAX as the makers' documents print it */
Test(models, signatures)
{
    static const struct { const char *name; char vendor; uint32_t eax; } rows[] = {
        { "qemu64", 'A', 0x60fb1 }, { "Nehalem", 'G', 0x106a5 }, { "Westmere", 'G', 0x206c2 },
        { "SandyBridge", 'G', 0x206a7 }, { "IvyBridge", 'G', 0x306a9 }, { "Haswell", 'G', 0x306c3 },
        { "Broadwell", 'G', 0x306d4 }, { "Skylake-Client", 'G', 0x506e3 },
        { "Skylake-Server,-avx512f", 'G', 0x50654 }, { "Cascadelake-Server,-avx512f", 'G', 0x50657 },
        { "EPYC", 'A', 0x800f12 }, { "EPYC-Rome", 'A', 0x830f10 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sys_rig *r = sr_new();
        struct err e = { .msg = "" };
        uint32_t o[4];
        char text[80];
        snprintf(text, sizeof(text), "%s,check=off", rows[i].name);
        cr_assert_eq(x86_model_parse(text, &r->model, &e), 0, "%s: %s", text, e.msg);
        x86_cpuid(r->cpu, 1, 0, o);
        cr_expect_eq(o[0], rows[i].eax, "%s: %#x", text, o[0]);
        cr_expect_eq(r->model.vendor[0], rows[i].vendor, "%s", text);
        sr_free(r);
    }
}

Test(models, features_by_generation)
{
    struct x86_model m;
    struct err e;

    cr_assert_eq(x86_model_parse("Nehalem", &m, &e), 0);
    cr_expect(bit(&m, FEAT_1_ECX, 20) && !bit(&m, FEAT_1_ECX, 25) && !bit(&m, FEAT_1_ECX, 28), "no AES, AVX");
    cr_expect_eq(m.level, 0xb);
    cr_assert_eq(x86_model_parse("Haswell-noTSX,check=off", &m, &e), 0);
    cr_expect(bit(&m, FEAT_7_EBX, 5) && bit(&m, FEAT_7_EBX, 8) && bit(&m, FEAT_1_ECX, 12), "AVX2, BMI2, FMA");
    cr_expect(!bit(&m, FEAT_7_EBX, 19) && !bit(&m, FEAT_7_EBX, 16), "no ADX, AVX-512");
    cr_expect(!bit(&m, FEAT_7_EBX, 11), "no RTM");
    cr_assert_eq(x86_model_parse("x86-64-v2", &m, &e), 0);
    cr_expect(bit(&m, FEAT_1_ECX, 23) && !bit(&m, FEAT_1_ECX, 28));
    cr_assert_eq(x86_model_parse("x86-64-v3", &m, &e), 0);
    cr_expect(bit(&m, FEAT_1_ECX, 29) && bit(&m, FEAT_80000001_ECX, 5) && !bit(&m, FEAT_7_EBX, 16));
}

/* a host without AVX-512 refuses, one with it provides */
Test(models, avx512_as_the_host_has_it)
{
    static const char *const names[] = { "x86-64-v4", "Skylake-Server,check=off", "max,+avx512vl,+avx512f",
                                         "Skylake-Server-v1,check=off", "qemu64,avx512f=on,xsave=on,avx=on,avx2=on" };
    struct x86_model m;

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        struct err e = { .msg = "" };
        int r = x86_model_parse(names[i], &m, &e);
        if (x86_host_has_avx512()) {
            cr_expect_eq(r, 0, "%s: %s", names[i], e.msg);
            cr_expect(bit(&m, FEAT_7_EBX, 16), "%s", names[i]);
        } else {
            cr_expect_eq(r, -EINVAL, "%s", names[i]);
            cr_expect(strstr(e.msg, "lacks") && strstr(e.msg, "avx512f"), "%s", e.msg);
        }
    }
}

Test(models, what_nobody_provides_is_refused)
{
    static const struct { const char *arg, *named; } rows[] = {
        { "max,+la57", "la57" }, { "qemu64,vmx=on", "vmx" }, { "Haswell,enforce", "hle, rtm" },
        { "max,+avx512-fp16", "avx512-fp16" }, { "Haswell,+hle,check=off", "hle" },
        { "Skylake-Client-v4,enforce", "mpx" }, { "qemu64,+avx2", "'avx', which is off" },
        { "max,+x2apic,-apic", "'apic', which is off" },
    };
    struct x86_model m;

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err e = { .msg = "" };
        cr_expect_eq(x86_model_parse(rows[i].arg, &m, &e), -EINVAL, "%s", rows[i].arg);
        cr_expect(strstr(e.msg, rows[i].named), "%s: %s", rows[i].arg, e.msg);
        cr_expect_null(strchr(e.msg, '\n'));
    }
}

Test(models, enforce_is_satisfied)
{
    static const char *const args[] = { "max,enforce", "host,enforce", "qemu64,enforce", "x86-64-v3,enforce",
                                        "Nehalem,enforce", "IvyBridge-IBRS,enforce", "Haswell-noTSX,enforce",
                                        "Haswell-noTSX-IBRS,enforce", "Haswell-v4,enforce=on",
                                        "Haswell,-hle,-rtm,enforce" };
    struct x86_model m;

    for (unsigned i = 0; i < ARRAY_SIZE(args); i++) {
        struct err e = { .msg = "" };
        cr_expect_eq(x86_model_parse(args[i], &m, &e), 0, "%s: %s", args[i], e.msg);
    }
}

Test(models, suffixes_are_whole_words)
{
    struct x86_model m;
    struct err e;

    cr_expect_eq(x86_model_parse("Haswell-v", &m, &e), -EINVAL);
    cr_expect_eq(x86_model_parse("Haswell-v9", &m, &e), -EINVAL);
    cr_expect_eq(x86_model_parse("Haswell-", &m, &e), -EINVAL);
    cr_expect_eq(x86_model_parse("Haswell-noTSX -v2", &m, &e), -EINVAL);
    cr_expect_eq(x86_model_parse("EPYC-Rome-v1,check=off", &m, &e), 0);
    cr_expect_str_eq(m.name, "EPYC-Rome");
}

Test(models, what_rests_on_a_feature_goes_with_it)
{
    struct x86_model m;
    struct err e;

    cr_assert_eq(x86_model_parse("max,-pcid", &m, &e), 0);
    cr_expect_not(m.feat[FEAT_7_EBX] >> 10 & 1, "INVPCID");
    cr_assert_eq(x86_model_parse("qemu64,-pcid,+invpcid", &m, &e), 0, "but can be had alone");
    cr_expect(m.feat[FEAT_7_EBX] >> 10 & 1);
    cr_expect_not(m.feat[FEAT_1_ECX] >> 17 & 1);
    cr_expect_eq(x86_model_parse("qemu64,-xsave,+avx", &m, &e), -EINVAL);
}

Test(models, amd_says_what_it_is_its_own_way)
{
    struct sys_rig *r = sr_protected();
    uint32_t o[4];
    uint64_t v;

    cr_assert_eq(x86_model_parse("EPYC,check=off", &r->model, NULL), 0);
    cr_expect(x86_msr_write(r->cpu, 0x49, 1), "IBPB");
    cr_expect_not(x86_msr_read(r->cpu, 0x48, &v), "no IBRS, STIBP, SSBD");
    x86_cpuid(r->cpu, 0x8000001e, 0, o);
    cr_expect_eq(o[0], r->cpu->apic_id, "TOPOEXT");
    x86_cpuid(r->cpu, 0x80000008, 0, o);
    cr_expect_eq(o[1] & 1, 1, "CLZERO");
    cr_expect(x86_msr_read(r->cpu, 0xc0010015, &v) && v >> 24 & 1, "HWCR: the TSC counts with P0's frequency");
    cr_expect(x86_msr_write(r->cpu, 0x410, ~0x400ull), "machine-check banks bit by bit");
    cr_assert_eq(x86_model_parse("EPYC-Milan,check=off", &r->model, NULL), 0);
    x86_cpuid(r->cpu, 0x80000021, 0, o);
    cr_expect(o[0] >> 29 & 1 && (o[2] & 6) == 6, "SRSO_NO, TSA_SQ_NO, TSA_L1_NO");
    cr_assert_eq(x86_model_parse("EPYC-Rome,check=off", &r->model, NULL), 0);
    cr_expect(x86_msr_read(r->cpu, 0x48, &v));
    cr_assert_eq(x86_model_parse("max", &r->model, NULL), 0);
    cr_expect_not(r->model.feat[FEAT_80000001_ECX] >> 22 & 1, "Intel's has no TOPOEXT");
    sr_free(r);
}

#ifdef __x86_64__
#include <cpuid.h>
Test(models, host_is_the_hosts)
{
    uint32_t r[4], o[4];
    struct sys_rig *s = sr_new();

    cr_assert_eq(x86_model_parse("host", &s->model, NULL), 0);
    __cpuid(1, r[0], r[1], r[2], r[3]);
    x86_cpuid(s->cpu, 1, 0, o);
    cr_expect_eq(o[0], r[0] & 0x0fff0fff, "%#x", o[0]);
    __cpuid_count(7, 0, r[0], r[1], r[2], r[3]);
    x86_cpuid(s->cpu, 7, 0, o);
    cr_expect_eq(o[1] & ~r[1], o[1] & 1u << 1 & ~r[1], "EBX %#x of %#x: TSC_ADJUST and no more", o[1], r[1]);
    __cpuid(0, r[0], r[1], r[2], r[3]);
    x86_cpuid(s->cpu, 0, 0, o);
    cr_expect_eq(o[1], r[1]);
    sr_free(s);
}
#endif
