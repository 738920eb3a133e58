/* CPU models, the -cpu argument, CPUID leaves */
#include "tests/target-x86/sys-rig.h"

static int parse(const char *arg, struct x86_model *m, struct err *e)
{
    e->msg[0] = 0;
    return x86_model_parse(arg, m, e);
}

Test(cpuid, unknown_names_get_a_suggestion)
{
    struct x86_model m;
    struct err e;

    cr_assert_eq(parse("quemu64", &m, &e), -EINVAL);
    cr_assert(strstr(e.msg, "qemu64"), "%s", e.msg);
    cr_assert_eq(parse("max,+ssse4.1", &m, &e), -EINVAL);
    cr_assert(strstr(e.msg, "sse4.1"), "%s", e.msg);
    cr_assert_eq(parse("max,nosuchthingatall=on", &m, &e), -EINVAL);
    cr_assert_eq(parse("max,aes=maybe", &m, &e), -EINVAL);
    cr_assert_eq(parse("max,family=banana", &m, &e), -EINVAL);
    cr_assert_eq(parse("max,phys-bits=99", &m, &e), -EINVAL);
    cr_assert_eq(parse(",", &m, &e), -EINVAL);
}

Test(cpuid, kvm_only_flags_are_refused)
{
    struct x86_model m;
    struct err e;

    cr_assert_eq(parse("max,hv-relaxed=on", &m, &e), -EINVAL);
    cr_assert(strstr(e.msg, "KVM"), "%s", e.msg);
    cr_assert_eq(parse("max,+kvm-asyncpf,kvm_poll_control=off", &m, &e), 0, "the accelerator decides");
    cr_assert_str_eq(x86_kvm_feature_name(m.kvm_on), "kvm-asyncpf");
    cr_assert_str_eq(x86_kvm_feature_name(m.kvm_off), "kvm-poll-control");
    cr_assert_null(x86_kvm_feature_name(PV_ALL), "these the translator has, too");
    cr_assert_eq(parse("max,kvm=off", &m, &e), 0);
    cr_assert_eq(m.pv, 0);
    cr_assert_eq(parse("max", &m, &e), 0);
    cr_assert_eq(m.pv, PV_DEFAULT);
    cr_assert_eq(parse("max,-kvmclock", &m, &e), 0);
    cr_assert_eq(m.pv, PV_DEFAULT & ~(PV_CLOCK | PV_CLOCK_OLD));
    cr_assert_eq(parse("max,kvm=off,+kvm_pv_eoi,kvm-steal-time=on", &m, &e), 0, "both spellings");
    cr_assert_eq(m.pv, PV_EOI | PV_STEAL_TIME);
    cr_assert_eq(m.pv_asked, PV_EOI | PV_STEAL_TIME);
    cr_assert_eq(parse("max,kvm_pv_unhalt=off,-kvm-pv-tlb-flush,-kvm_steal_time", &m, &e), 0);
    cr_assert_eq(m.pv, PV_DEFAULT & ~(PV_UNHALT | PV_TLB_FLUSH | PV_STEAL_TIME));
}

Test(cpuid, features_and_properties)
{
    struct x86_model m;
    struct err e;

    cr_assert_eq(parse("qemu64,+sse4.1,-nx,x2apic=on,family=6,model=0x55,vendor=GenuineIntel,"
                       "model-id=Test CPU,phys-bits=36,tsc-frequency=3000000000,check,-invtsc",
                       &m, &e), 0, "%s", e.msg);
    cr_assert_eq(m.feat[FEAT_80000001_EDX] >> 20 & 1, 0);
    cr_assert_eq(m.feat[FEAT_1_ECX] >> 21 & 1, 1);
    cr_assert_eq(m.family, 6);
    cr_assert_eq(m.model, 0x55);
    cr_assert_eq(m.phys_bits, 36);
    cr_assert_eq(m.tsc_hz, 3000000000);
    cr_assert_str_eq(m.brand, "Test CPU");
    cr_assert_str_eq(m.vendor, "GenuineIntel");
}

Test(cpuid, dependents_go_with_what_they_need)
{
    struct x86_model m;
    struct err e;

    cr_assert_eq(parse("max,-xsave", &m, &e), 0);
    cr_assert_eq(m.feat[FEAT_1_ECX] >> 28 & 1, 0, "AVX without XSAVE");
    cr_assert_eq(m.feat[FEAT_7_EBX] >> 5 & 1, 0, "AVX2 without XSAVE");
    cr_assert_eq(m.feat[FEAT_XSAVE], 0);
    cr_assert_eq(m.feat[FEAT_7_EBX] >> 16 & 1, 0, "AVX-512 without XSAVE");
    cr_assert_eq(parse("max,-avx512f", &m, &e), 0);
    cr_assert_eq(m.feat[FEAT_7_EBX] & (1u << 17 | 1u << 30 | 1u << 31), 0, "DQ, BW, VL without F");
    cr_assert_eq(m.feat[FEAT_7_1_EAX] >> 5 & 1, 0, "BF16 without F");
}

Test(cpuid, every_model_parses)
{
    static const char *const names[] = { "max", "host", "qemu64", "x86-64-v2", "x86-64-v3", "" };
    struct x86_model m;
    struct err e;

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        cr_assert_eq(parse(names[i], &m, &e), 0, "%s: %s", names[i], e.msg);
    cr_assert_eq(parse(NULL, &m, &e), 0);
    cr_assert_str_eq(m.name, "max");
}

Test(cpuid, vendor_signature_brand)
{
    struct sys_rig *r = sr_new();
    char text[49] = "";
    uint32_t o[4];

    cr_assert_eq(x86_model_parse("qemu64", &r->model, NULL), 0);
    x86_cpuid(r->cpu, 0, 0, o);
    cr_assert_eq(o[0], 0xd);
    cr_assert(!memcmp(&o[1], "Auth", 4) && !memcmp(&o[3], "enti", 4) && !memcmp(&o[2], "cAMD", 4));
    x86_cpuid(r->cpu, 1, 0, o);
    cr_assert_eq(o[0], 0x00060fb1, "family 15, model 107, stepping 1");
    for (unsigned i = 0; i < 3; i++) {
        x86_cpuid(r->cpu, 0x80000002 + i, 0, o);
        memcpy(text + i * 16, o, 16);
    }
    cr_assert_str_eq(text, "QEMU Virtual CPU version 2.5+");
    sr_free(r);
}

Test(cpuid, osxsave_follows_cr4)
{
    struct sys_rig *r = sr_protected();
    uint32_t o[4];

    x86_cpuid(r->cpu, 1, 0, o);
    cr_assert_eq(o[2] >> 27 & 1, 0);
    h_mov_to_cr(r->tc, 4, CR4_OSXSAVE, 0);
    x86_cpuid(r->cpu, 1, 0, o);
    cr_assert_eq(o[2] >> 27 & 1, 1);
    cr_assert_eq(o[2] >> 31, 1, "a hypervisor is present");
    sr_free(r);
}

Test(cpuid, xsave_sizes)
{
    struct sys_rig *r = sr_new();
    uint32_t o[4];

    x86_cpuid(r->cpu, 0xd, 0, o);
    cr_assert_eq(o[1], 576);
    cr_assert_eq(o[2], x86_xcr0_known(r->cpu) & 0x200 ? 2696 : x86_xcr0_known(r->cpu) & 4 ? 832 : 576);
    r->cpu->xcr0 = 7;
    x86_cpuid(r->cpu, 0xd, 0, o);
    cr_assert_eq(o[1], 832);
    if (x86_xcr0_known(r->cpu) & 4) {
        x86_cpuid(r->cpu, 0xd, 2, o);
        cr_assert_eq(o[0], 256);
        cr_assert_eq(o[1], 576);
    }
    sr_free(r);
}

Test(cpuid, tsc_leaf_fits_linux_arithmetic)
{
    static const uint64_t hz[] = { 1000000000, 2000000000, 2994374123, 3700000001, 2595124000,
                                   800000000, 4294000000, 1000001, 4999999999 };
    struct sys_rig *r = sr_new();
    uint32_t o[4];

    for (unsigned i = 0; i < ARRAY_SIZE(hz); i++) {
        r->model.tsc_hz = hz[i];
        x86_cpuid(r->cpu, 0x15, 0, o);
        cr_assert_neq(o[0], 0);
        double says = (double)o[2] * o[1] / o[0];
        cr_assert_lt(says - (double)hz[i], hz[i] * 2e-6, "%.0f for %llu", says, (unsigned long long)hz[i]);
        cr_assert_gt(says - (double)hz[i], hz[i] * -2e-6, "%.0f for %llu", says, (unsigned long long)hz[i]);
        cr_assert_leq((uint64_t)(o[2] / 1000) * o[1], 0xffffffffu, "kHz times numerator in 32 bits");
    }
    sr_free(r);
}

Test(cpuid, beyond_the_last_leaf)
{
    struct sys_rig *r = sr_new();
    uint32_t o[4];

    x86_cpuid(r->cpu, 0x17, 0, o);
    cr_assert_eq(o[0] | o[1] | o[2] | o[3], 0);
    x86_cpuid(r->cpu, 0x80000009, 0, o);
    cr_assert_eq(o[0] | o[1] | o[2] | o[3], 0);
    x86_cpuid(r->cpu, 0x40000000, 0, o);
    cr_assert(!memcmp(&o[1], r->cpu->model->pv ? "KVMKVMKVM\0\0\0" : "TransomEmul ", 12));
    sr_free(r);
}

Test(cpuid, topology)
{
    struct sys_rig *r = sr_new();
    uint32_t o[4];

    r->model.n_vcpus = 3;
    r->cpu->apic_id = 2;
    x86_cpuid(r->cpu, 0xb, 1, o);
    cr_assert_eq(o[0], 2);
    cr_assert_eq(o[1], 3);
    cr_assert_eq(o[3], 2);
    x86_cpuid(r->cpu, 1, 0, o);
    cr_assert_eq(o[1] >> 16, 2 << 8 | 4, "as many IDs as the field can hold");
    cr_assert_eq(o[3] >> 28 & 1, 1, "HT with more than one");
    sr_free(r);
}

Test(cpuid, topology_with_threads_and_dies)
{
    struct sys_rig *r = sr_new();
    uint32_t o[4];

    r->model.n_vcpus = 36;               /* 2 sockets, 3 dies, 3 cores, 2 threads */
    r->model.dies = 3;
    r->model.cores = 3;
    r->model.threads = 2;
    r->model.level = 0x1f;
    strcpy(r->model.vendor, "GenuineIntel");
    r->cpu->apic_id = 1 << 5 | 2 << 3 | 1 << 1 | 1;
    x86_cpuid(r->cpu, 0xb, 0, o);
    cr_assert_eq(o[0], 1);
    cr_assert_eq(o[1], 2);
    cr_assert_eq(o[2], 1 << 8);
    x86_cpuid(r->cpu, 0xb, 1, o);
    cr_assert_eq(o[0], 5);
    cr_assert_eq(o[1], 18);
    x86_cpuid(r->cpu, 0x1f, 1, o);
    cr_assert_eq(o[0], 3);
    cr_assert_eq(o[1], 6);
    cr_assert_eq(o[2], 2 << 8 | 1);
    x86_cpuid(r->cpu, 0x1f, 2, o);
    cr_assert_eq(o[0], 5);
    cr_assert_eq(o[1], 18);
    cr_assert_eq(o[2], 5 << 8 | 2);
    cr_assert_eq(o[3], r->cpu->apic_id);
    x86_cpuid(r->cpu, 0x1f, 3, o);
    cr_assert_eq(o[2], 3, "an invalid level");
    x86_cpuid(r->cpu, 4, 3, o);
    cr_assert_eq(o[0] >> 14 & 0xfff, 7, "a die shares its last cache");
    cr_assert_eq(o[0] >> 26, 15);
    x86_cpuid(r->cpu, 4, 0, o);
    cr_assert_eq(o[0] >> 14 & 0xfff, 1, "two threads share the first");
    sr_free(r);
}
