/*
 * kvm-none.c - hosts without KVM, or of another kind than the guest
 */
#include "accel/accel-int.h"

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
