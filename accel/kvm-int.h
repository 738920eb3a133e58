/*
 * kvm-int.h - KVM as an accelerator: what its files share
 *
 * Source: the kernel's Documentation/virt/kvm/api.rst and its uapi headers.
 */
#ifndef ACCEL_KVM_INT_H
#define ACCEL_KVM_INT_H

#include <linux/kvm.h>
#include "accel/accel-int.h"

#define KVM_SLOTS 256
#define KVM_HW_BREAKS 4
#define KVM_MSI_ROUTES 64

/** struct kvm_slot - a stretch of guest memory that KVM knows */
struct kvm_slot {
    gpa_t base;
    uint64_t len;               /* 0: unused */
    uint8_t *host;
    bool readonly;
    struct mem_region *tracked; /* writes are logged for it, or NULL */
};

/** struct kvm_msi_route - a message that devices send (kvm-msi.c) */
struct kvm_msi_route {
    uint64_t addr;
    uint32_t data;
    int fd;                     /* eventfd of its route; -1: none */
    uint32_t sent, wanted;      /* before it had one; its place by others since it was last sent */
};

struct kvm_bell;

struct kvm_cpu {
    struct accel_cpu *c;
    int fd;
    struct kvm_run *run;
    uint32_t in_run;            /* a kick needs a signal; atomic */
    enum x86_mp_state mp;       /* local APIC in user space */
    bool io_pending;            /* the access just served is completed by the next entry */
    bool lapic_due;             /* hw/ has the state of its local APIC */
    bool unmasked;              /* the thread lets the kick's signal through */
    bool step;                  /* debugger: one instruction */
    bool debugged;              /* KVM has been told of a debugger */
    uint64_t apic_base;         /* as run->apic_base was last */
};

/** struct kvm - the virtual machine */
struct kvm {
    struct accel *a;
    int sys_fd, vm_fd;
    enum accel_irqchip irqchip;
    struct kvm_cpu *cpus;
    size_t run_bytes, xsave_bytes;
    struct kvm_slot slot[KVM_SLOTS];
    struct kvm_bell *bells;     /* kvm-bell.c */
    struct kvm_msi_route msi[KVM_MSI_ROUTES];
    bool ioeventfd, bell_any_len, irqfd;
    unsigned max_slots;
    bool readonly_mem, sregs2, xsave2, debugregs, events, payload, tsc_offset, x2api, msr_exits, tells_failure;
    bool msr_known[ST_MSRS];
    bool mtrrs_known;
    uint64_t tsc_base;          /* struct accel's, as the offsets in force were made with */
    uint64_t stepped;           /* instructions that the translator had to execute */
    struct tcg_break breaks[TCG_BREAKS_MAX];
    unsigned n_breaks;
    bool compare;               /* breakpoints are compared with, step by step */
    struct kvm_break { uint64_t lin; uint8_t kind, len; } hw[KVM_HW_BREAKS];
    unsigned n_hw;
};

static inline struct kvm_cpu *kvm_of(const struct accel_cpu *c)
{
    return &c->a->kvm->cpus[c->vcpu.index];
}

/** kvm_ioctl() - like ioctl(), with -errno */
int kvm_ioctl(int fd, unsigned long request, void *arg);
/** kvm_cap() - KVM_CHECK_EXTENSION of the virtual machine; 0: not there */
int kvm_cap(const struct kvm *k, int cap);

/* kvm-mem.c */
void kvm_map_changed(struct accel *a);
void kvm_dirty_sync(struct accel *a, struct mem_region *r);

/* kvm-bell.c */
/** kvm_bells_follow() - the machine's doorbells or the maps have changed; machine lock held */
void kvm_bells_follow(struct accel *a);
/** kvm_bells_placed() - addresses and ports at which KVM takes writes */
unsigned kvm_bells_placed(const struct kvm *k);

/* kvm-msi.c: machine lock held */
/** kvm_message() - struct machine_chips' */
bool kvm_message(struct machine *m, uint64_t addr, uint32_t data);
/** kvm_messages_forget() - no message has a route; those under way have arrived */
void kvm_messages_forget(struct kvm *k);
/** kvm_messages_routed() - how many have one */
unsigned kvm_messages_routed(const struct kvm *k);
/** kvm_routes_set() - KVM learns all routes anew; false: it refuses */
bool kvm_routes_set(struct kvm *k);

/* kvm-state.c */
/** kvm_state_init() - which parts of the state this KVM has; vCPU 0 exists */
void kvm_state_init(struct kvm *k);
int kvm_get_state(struct accel_cpu *c, struct x86_state *s, struct err *e);
/** kvm_get_msr()/kvm_set_msr() - one of them; false: KVM does not know it, or refuses */
bool kvm_get_msr(const struct kvm_cpu *k, uint32_t msr, uint64_t *v);
bool kvm_set_msr(const struct kvm_cpu *k, uint32_t msr, uint64_t v);
int kvm_put_state(struct accel_cpu *c, const struct x86_state *s, struct err *e);
/** kvm_before_run() - guest TSC and clock follow the machine's */
void kvm_before_run(struct accel *a);

/* kvm-cpuid.c */
/** kvm_filter_model() - take from @m the features that KVM does not support
 *  @gone: room for the names of what was taken away, or NULL */
int kvm_filter_model(int sys_fd, struct x86_model *m, char *gone, size_t len, struct err *e);
int kvm_set_cpuid(struct kvm_cpu *k, struct err *e);
/** kvm_check_pv() - whether it has the paravirtual interfaces that the user or a running guest wants */
int kvm_check_pv(const struct kvm *k, struct err *e);
/** kvm_limit_pv() - take from @m the paravirtual interfaces that cannot be moved */
void kvm_limit_pv(int sys_fd, struct x86_model *m);

/* kvm-exit.c */
/** kvm_handle_exit() - serve what KVM_RUN came back for; on the vCPU's thread */
void kvm_handle_exit(struct kvm_cpu *k);
/** kvm_complete() - finish an access that is half done; the vCPU is about to stop */
void kvm_complete(struct kvm_cpu *k);
/** kvm_edit() - change the state as a whole: @change works on the translator's struct */
void kvm_edit(struct kvm_cpu *k, void (*change)(struct x86_cpu *cpu, void *arg), void *arg);

/* kvm-irq.c */
int kvm_irqchip_create(struct kvm *k, struct err *e);
void kvm_choose_irqchip(struct accel *a, bool on);
/** kvm_irqchip_reset() - the chips of hw/ have been reset */
void kvm_irqchip_reset(struct accel *a);
/** kvm_refresh_chips()/kvm_lapic_page() - struct accel_ops' */
void kvm_refresh_chips(struct accel *a);
bool kvm_lapic_page(struct accel_cpu *c, uint8_t page[ACCEL_LAPIC_BYTES]);
/** kvm_reset() - the machine is reset: the chips, and what the common form does not have */
void kvm_reset(struct accel *a);
/** kvm_lapic_out() - the kernel's local APIC takes hw/'s state over; IA32_APIC_BASE is set */
void kvm_lapic_out(struct kvm_cpu *k);
/** kvm_before_entry() - interrupts and the like; false: the vCPU is to stop */
bool kvm_before_entry(struct kvm_cpu *k);
/** kvm_after_exit() - what the guest did to its local APIC without an exit of its own */
void kvm_after_exit(struct kvm_cpu *k);

/* kvm-debug.c */
void kvm_debug_set(struct accel *a, const struct tcg_break *b, unsigned n_breaks,
                   const struct tcg_watch *w, unsigned n_watches);
void kvm_debug_step(struct accel_cpu *c, bool step);
void kvm_debug_exit(struct kvm_cpu *k);

/* kvm-probe.c */
/** kvm_probe_guest() - run the built-in guest: does KVM give right answers, how fast?
 *  Returns instructions a second, or -errno with @e. */
int64_t kvm_probe_guest(struct err *e);

#endif
