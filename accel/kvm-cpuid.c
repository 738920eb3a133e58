/*
 * kvm-cpuid.c - what CPUID answers under KVM: the model, less what this KVM cannot do
 */
#include <stdlib.h>
#include <asm/kvm_para.h>
#include "accel/kvm-int.h"

enum { MAX_ENTRIES = 256, EAX = 0, EBX, ECX, EDX };
enum { HYPERVISOR = 31, X2APIC = 21, TSC_DEADLINE = 24, APIC = 9, MONITOR = 3 };

struct cpuid_list {
    struct kvm_cpuid2 h;
    struct kvm_cpuid_entry2 e[MAX_ENTRIES];
};

/* Where CPUID shows a word of features. */
static const struct { uint32_t leaf, sub; uint8_t reg; } words[FEAT_WORDS] = {
    [FEAT_1_EDX] = { 1, 0, EDX }, [FEAT_1_ECX] = { 1, 0, ECX }, [FEAT_7_EBX] = { 7, 0, EBX },
    [FEAT_7_ECX] = { 7, 0, ECX }, [FEAT_7_EDX] = { 7, 0, EDX },
    [FEAT_80000001_EDX] = { 0x80000001, 0, EDX }, [FEAT_80000001_ECX] = { 0x80000001, 0, ECX },
    [FEAT_XSAVE] = { 0xd, 1, EAX }, [FEAT_7_1_EAX] = { 7, 1, EAX },
    [FEAT_80000008_EBX] = { 0x80000008, 0, EBX },
};

static struct cpuid_list *supported(int sys_fd, struct err *e)
{
    struct cpuid_list *l = xzalloc(sizeof *l);
    int ret;

    l->h.nent = MAX_ENTRIES;
    ret = kvm_ioctl(sys_fd, KVM_GET_SUPPORTED_CPUID, l);
    if (ret == 0)
        return l;
    err_set(e, ret, "kvm: supported CPUID: %s", strerror(-ret));
    free(l);
    return NULL;
}

static const struct kvm_cpuid_entry2 *find(const struct cpuid_list *l, uint32_t leaf, uint32_t sub)
{
    for (unsigned i = 0; i < l->h.nent; i++)
        if (l->e[i].function == leaf && l->e[i].index == sub)
            return &l->e[i];
    return NULL;
}

static uint32_t reg_of(const struct kvm_cpuid_entry2 *e, unsigned reg)
{
    const uint32_t r[4] = { e->eax, e->ebx, e->ecx, e->edx };

    return r[reg];
}

/* What the machine's own chips provide, KVM need not. */
static uint32_t always(unsigned word)
{
    switch (word) {
    case FEAT_1_EDX: return 1u << APIC;
    case FEAT_1_ECX: return 1u << HYPERVISOR | 1u << X2APIC | 1u << TSC_DEADLINE;
    }
    return 0;
}

static void note_gone(char *out, size_t len, unsigned word, uint32_t bits)
{
    for (unsigned i = 0; i < 32; i++)
        if (bits >> i & 1) {
            const char *name = x86_feature_name(word, i);
            size_t n = strlen(out);

            if (name && n + strlen(name) + 2 < len)
                snprintf(out + n, len - n, "%s%s", n ? " " : "", name);
        }
}

int kvm_filter_model(int sys_fd, struct x86_model *m, char *gone, size_t len, struct err *e)
{
    struct cpuid_list *l = supported(sys_fd, e);

    if (!l)
        return -EIO;
    if (gone)
        gone[0] = 0;
    for (unsigned w = 0; w < FEAT_WORDS; w++) {
        const struct kvm_cpuid_entry2 *s = find(l, words[w].leaf, words[w].sub);
        uint32_t can = (s ? reg_of(s, words[w].reg) : 0) | always(w), lost = m->feat[w] & ~can;

        if (gone)
            note_gone(gone, len, w, lost);
        m->feat[w] &= can;
    }
    free(l);
    return 0;
}

/* ---- a vCPU's leaves -------------------------------------------------------------------- */

static void add(struct cpuid_list *l, const struct x86_cpu *cpu, uint32_t leaf, uint32_t sub, bool has_sub)
{
    uint32_t r[4];

    if (l->h.nent == MAX_ENTRIES)
        return;
    x86_cpuid(cpu, leaf, sub, r);
    l->e[l->h.nent++] = (struct kvm_cpuid_entry2){
        .function = leaf, .index = sub, .flags = has_sub ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
        .eax = r[0], .ebx = r[1], .ecx = r[2], .edx = r[3],
    };
}

/* How many subleaves of @leaf say something; 0: it has none. */
static unsigned subleaves(uint32_t leaf)
{
    switch (leaf) {
    case 4: case 0x8000001d: return 5;
    case 7: return 2;
    case 0xb: return 3;
    case 0x1f: return 4;
    case 0xd: return 10;
    }
    return 0;
}

static void add_leaf(struct cpuid_list *l, const struct x86_cpu *cpu, uint32_t leaf)
{
    unsigned n = subleaves(leaf);

    if (!n)
        add(l, cpu, leaf, 0, false);
    for (unsigned i = 0; i < n; i++)
        add(l, cpu, leaf, i, true);
}

/* Of KVM's paravirtual interfaces these are its own local APIC's. */
enum { NEEDS_LAPIC = 1 << KVM_FEATURE_PV_EOI | 1 << KVM_FEATURE_PV_UNHALT | 1 << KVM_FEATURE_PV_SEND_IPI
                     | 1 << KVM_FEATURE_ASYNC_PF | 1 << KVM_FEATURE_ASYNC_PF_VMEXIT | 1 << KVM_FEATURE_ASYNC_PF_INT };

/* Leaf 0x40000001 of a guest: what KVM offers and -cpu leaves; what can be moved, where that is wanted. */
static uint32_t pv_features(const struct cpuid_list *can, const struct kvm *k)
{
    const struct kvm_cpuid_entry2 *f = find(can, KVM_CPUID_FEATURES, 0);
    const struct x86_model *m = &k->a->model;
    uint32_t bits = f ? f->eax & (m->pv | ~(uint32_t)PV_ALL) & ~m->kvm_off : 0;

    if (k->irqchip == IRQCHIP_OFF)
        bits &= ~(uint32_t)NEEDS_LAPIC;
    if (k->a->opt.switchable)
        bits &= PV_MOVABLE;
    return bits;
}

/* KVM's own leaves, unless they are hidden (kvm=off). The model says how fast the TSC is. */
static void add_kvm_leaves(struct cpuid_list *l, const struct cpuid_list *can, const struct accel_cpu *c)
{
    const struct x86_cpu *cpu = c->cpu;
    const struct kvm_cpuid_entry2 *s = find(can, KVM_CPUID_SIGNATURE, 0);

    if (!s || !(cpu->model->feat[FEAT_1_ECX] >> HYPERVISOR & 1) || l->h.nent + 3 > MAX_ENTRIES)
        return;
    if (!cpu->model->pv) {
        add(l, cpu, 0x40000000, 0, false);
        add(l, cpu, 0x40000010, 0, false);
        return;
    }
    l->e[l->h.nent] = *s;
    l->e[l->h.nent++].eax = 0x40000010;
    l->e[l->h.nent++] = (struct kvm_cpuid_entry2){ .function = KVM_CPUID_FEATURES, .eax = pv_features(can, c->a->kvm) };
    add(l, cpu, 0x40000010, 0, false);
}

int kvm_check_pv(const struct kvm *k, struct err *e)
{
    struct cpuid_list *can = supported(k->sys_fd, e);
    const char *name;
    uint32_t bits;

    if (!can)
        return -EIO;
    bits = pv_features(can, k);
    free(can);
    name = x86_kvm_feature_name(k->a->model.kvm_on & ~bits);
    if (name)
        return err_set(e, -ENOTSUP, "-cpu: this KVM has no '%s'%s", name,
                       k->irqchip == IRQCHIP_OFF ? " with kernel-irqchip=off" : "");
    if (k->a->m->vcpus && (k->a->model.pv & ~bits))
        return err_set(e, -ENOTSUP, "kvm: this KVM lacks paravirtual interfaces that the guest has (%#x)",
                       k->a->model.pv & ~bits);
    return 0;
}

void kvm_limit_pv(int sys_fd, struct x86_model *m)
{
    struct cpuid_list *can = supported(sys_fd, NULL);
    const struct kvm_cpuid_entry2 *f = can ? find(can, KVM_CPUID_FEATURES, 0) : NULL;

    m->pv &= f ? f->eax & PV_MOVABLE : 0;
    free(can);
}

int kvm_set_cpuid(struct kvm_cpu *k, struct err *e)
{
    const struct x86_cpu *cpu = k->c->cpu;
    struct cpuid_list *l, *can = supported(k->c->a->kvm->sys_fd, e);
    int ret;

    if (!can)
        return -EIO;
    l = xzalloc(sizeof *l);
    for (uint32_t leaf = 0; leaf <= cpu->model->level; leaf++)
        add_leaf(l, cpu, leaf);
    for (uint32_t leaf = 0x80000000; cpu->model->xlevel && leaf <= cpu->model->xlevel; leaf++)
        add_leaf(l, cpu, leaf);
    add_kvm_leaves(l, can, k->c);
    ret = kvm_ioctl(k->fd, KVM_SET_CPUID2, l);
    free(l);
    free(can);
    return ret < 0 ? err_set(e, ret, "kvm: CPUID of vCPU %u: %s", k->c->vcpu.index, strerror(-ret)) : 0;
}
