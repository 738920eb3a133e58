/*
 * kvm-debug.c - a debugger outside the guest, by KVM's guest debugging
 *
 * The first four points are the CPU's own debug registers, watchpoints before
 * breakpoints; the guest's are out of force meanwhile, as KVM has it. With more breakpoints
 * the guest goes on step by step, and each instruction's address is compared: nothing is
 * written into the guest's memory.
 */
#include "accel/kvm-int.h"

enum { DR6_HITS = 15, DR6_STEP = 1 << 14 };
enum { DR7_FIXED = 0x400, DR7_EXEC = 0, DR7_WRITE = 1, DR7_ACCESS = 3 };

/* ---- points --------------------------------------------------------------------------- */

static bool add_point(struct kvm *k, uint64_t lin, uint8_t kind, uint8_t len)
{
    if (k->n_hw == KVM_HW_BREAKS)
        return false;
    k->hw[k->n_hw++] = (struct kvm_break){ lin, kind, len };
    return true;
}

/* In pieces as the registers have them: 1, 2, 4, 8 bytes, aligned. */
static void add_watch(struct kvm *k, const struct tcg_watch *w)
{
    uint8_t kind = w->kinds & TCG_WATCH_READ ? DR7_ACCESS : DR7_WRITE;
    uint64_t lin = w->lin, left = w->len;

    for (unsigned n; left; lin += n, left -= n) {
        for (n = 8; n > left || lin % n; n /= 2)
            ;
        if (!add_point(k, lin, kind, (uint8_t)n)) {
            log_write("kvm: watchpoint at %#llx: only four pieces can be watched", (unsigned long long)w->lin);
            return;
        }
    }
}

void kvm_debug_set(struct accel *a, const struct tcg_break *b, unsigned n_breaks,
                   const struct tcg_watch *w, unsigned n_watches)
{
    struct kvm *k = a->kvm;

    k->n_hw = k->n_breaks = 0;
    for (unsigned i = 0; i < n_watches; i++)
        add_watch(k, &w[i]);
    memcpy(k->breaks, b, MIN(n_breaks, (unsigned)TCG_BREAKS_MAX) * sizeof *b);
    k->n_breaks = MIN(n_breaks, (unsigned)TCG_BREAKS_MAX);
    k->compare = n_breaks > KVM_HW_BREAKS - k->n_hw;
    for (unsigned i = 0; !k->compare && i < n_breaks; i++)
        add_point(k, b[i].lin, DR7_EXEC, 1);
}

/* ---- going on --------------------------------------------------------------------------- */

/* A step begins at a breakpoint as often as not: it is not to end there. */
static uint64_t dr7_of(const struct kvm *k, bool step)
{
    static const uint8_t len_bits[9] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };
    uint64_t v = DR7_FIXED;

    for (unsigned i = 0; i < k->n_hw; i++)
        if (!step || k->hw[i].kind != DR7_EXEC)
            v |= 2ull << 2 * i | (uint64_t)(k->hw[i].kind | len_bits[k->hw[i].len] << 2) << (16 + 4 * i);
    return v;
}

static const struct tcg_break *break_at(const struct kvm *k, uint64_t lin)
{
    for (unsigned i = 0; i < k->n_breaks; i++)
        if (!((k->breaks[i].lin ^ lin) & k->breaks[i].mask))
            return &k->breaks[i];
    return NULL;
}

void kvm_debug_step(struct accel_cpu *c, bool step)
{
    struct kvm_cpu *k = kvm_of(c);
    const struct kvm *vm = c->a->kvm;
    struct kvm_guest_debug d = { .control = 0 };
    bool debugged = vm->n_hw || vm->n_breaks || step;

    k->step = step;
    if (!debugged && !k->debugged)
        return;
    k->debugged = debugged;
    if (debugged)
        d.control = KVM_GUESTDBG_ENABLE;
    if (vm->n_hw)
        d.control |= KVM_GUESTDBG_USE_HW_BP;
    if (step || vm->compare)
        d.control |= KVM_GUESTDBG_SINGLESTEP;
#ifdef KVM_GUESTDBG_BLOCKIRQ
    if (c->no_irq && (kvm_cap(vm, KVM_CAP_SET_GUEST_DEBUG2) & KVM_GUESTDBG_BLOCKIRQ))
        d.control |= KVM_GUESTDBG_BLOCKIRQ;
#endif
    for (unsigned i = 0; i < vm->n_hw; i++)
        d.arch.debugreg[i] = vm->hw[i].lin;
    d.arch.debugreg[7] = dr7_of(vm, step);
    kvm_ioctl(k->fd, KVM_SET_GUEST_DEBUG, &d);
}

/* ---- stopping ---------------------------------------------------------------------------- */

static void stop(struct kvm_cpu *k, struct accel_stop why)
{
    k->step = false;
    accel_stop_debugged(k->c, why);
}

static void hit(struct kvm_cpu *k, const struct kvm_break *p, uint64_t pc)
{
    if (p->kind == DR7_EXEC)
        stop(k, (struct accel_stop){ .kind = STOP_BREAK, .lin = pc });
    else
        stop(k, (struct accel_stop){ STOP_WATCH, p->kind == DR7_WRITE ? TCG_WATCH_WRITE
                                     : TCG_WATCH_READ | TCG_WATCH_WRITE, p->lin });
}

/* dr6 and pc: pc is linear. */
void kvm_debug_exit(struct kvm_cpu *k)
{
    const struct kvm *vm = k->c->a->kvm;
    const struct kvm_debug_exit_arch *d = &k->run->debug.arch;

    for (unsigned i = 0; i < vm->n_hw; i++)
        if (d->dr6 >> i & 1) {
            hit(k, &vm->hw[i], d->pc);
            return;
        }
    if (vm->compare && break_at(vm, d->pc))
        stop(k, (struct accel_stop){ .kind = STOP_BREAK, .lin = d->pc });
    else if (k->step)
        stop(k, (struct accel_stop){ .kind = STOP_STEP });
}
