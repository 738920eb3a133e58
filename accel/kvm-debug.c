/*
 * kvm-debug.c - a debugger outside the guest, by KVM's guest debugging
 *
 * Breakpoints and watchpoints are the CPU's own four; the guest's debug registers are
 * out of force meanwhile, as KVM has it.
 */
#include "accel/kvm-int.h"

void kvm_debug_set(struct accel *a, const struct tcg_break *b, unsigned n_breaks,
                   const struct tcg_watch *w, unsigned n_watches)
{
}

void kvm_debug_step(struct accel_cpu *c, bool step)
{
}

void kvm_debug_exit(struct kvm_cpu *k)
{
}
