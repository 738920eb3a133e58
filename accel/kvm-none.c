/*
 * kvm-none.c - hosts without KVM, or of another kind than the guest
 */
#include "accel/bt-icount.h"

static int probe(const struct accel_options *o, struct err *e)
{
    return err_set(e, -ENOTSUP, "kvm: not on this kind of host");
}

static int open_none(struct accel *a, struct err *e)
{
    return probe(&a->opt, e);
}

const struct accel_ops accel_kvm = {
    .name = "kvm", .help = "the Linux kernel's virtual machines", .probe = probe, .open = open_none,
};

struct kvm_verify *kvm_verify_new(struct bt *bt, struct err *e)
{
    probe(&bt->a->opt, e);
    return NULL;
}

void kvm_verify_before_block(void *opaque, struct tcg_cpu *cpu, const struct tb *tb)
{
}

void kvm_verify_look(struct kvm_verify *v, struct tcg_cpu *cpu)
{
}

void kvm_verify_free(struct kvm_verify *v)
{
}
