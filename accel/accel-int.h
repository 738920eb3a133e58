/*
 * accel-int.h - what the implementations of an accelerator share with its core
 *
 * The core (vcpu.c, run.c) has the threads, run control and the guest's TSC; an
 * implementation runs guest code on such a thread until asked to stop. A vCPU always
 * has the translator's struct x86_cpu: monitor and debugger look at it, CPUID and
 * reset states come from it. While another implementation runs, it is a copy that
 * struct accel_cpu.view tells the age of.
 *
 * Threads: each vCPU has one. It takes the machine lock only inside port and
 * device accesses, never while it waits. Others reach it through vcpu->intr,
 * followed by a kick; it is never awaited with the machine lock held.
 */
#ifndef ACCEL_ACCEL_INT_H
#define ACCEL_ACCEL_INT_H

#include "accel/accel.h"
#include "accel/state.h"

struct bt;
struct kvm;

/** enum accel_view - how the translator's struct relates to the vCPU's state */
enum accel_view {
    VIEW_OLD,               /* somebody else has newer */
    VIEW_SAME,
    VIEW_NEWER,             /* it may have been changed: it counts when the vCPU goes on */
};

struct accel_cpu {
    struct vcpu vcpu;
    struct accel *a;
    struct x86_cpu *cpu;        /* the translator's */
    enum accel_view view;       /* changed while parked; the translator itself: not used */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;       /* what follows */
    pthread_cond_t wake;        /* thread waits: stopped, or halted */
    pthread_cond_t parked_cond; /* others wait for the thread */
    bool stop;                  /* asked to stand still, until resume_all() */
    bool hold;                  /* likewise, for a look at the registers */
    bool parked;                /* does */
    bool quit;
    bool held;                  /* resume_all() leaves it alone: the debugger's wish */
    bool debugged;              /* the debugger has set something; changed while parked */
    bool no_irq;                /* single step: interrupts wait; changed while parked */
    struct accel_stop stopped;  /* why it stands still; its thread, then whoever waited */
    uint32_t sleeping;          /* halted; atomic */
};

/** struct accel_ops - one implementation */
struct accel_ops {
    const char *name, *alias;   /* on the command line; alias may be NULL */
    const char *help;
    /** probe() - can it work on this host? 0, or -errno with @e saying why not */
    int (*probe)(const struct accel_options *o, struct err *e);
    /**
     * measure() - what a small guest makes of it; may be NULL: as fast as the translator
     * Returns instructions a second, or -errno with @e when its answers are wrong.
     */
    int64_t (*measure)(struct err *e);
    /** limit_model() - take from @m the features it does not have; may be NULL */
    int (*limit_model)(struct x86_model *m, struct err *e);
    /** open() - what the vCPUs of @a will share; close() undoes it; both may be NULL */
    int (*open)(struct accel *a, struct err *e);
    void (*close)(struct accel *a);
    /** create_vcpu() - @c has machine, index, model */
    int (*create_vcpu)(struct accel_cpu *c, struct err *e);
    void (*free_vcpu)(struct accel_cpu *c);
    /** run() - on the vCPU's thread: execute guest code until VCPU_INTR_EXIT is up */
    void (*run)(struct accel_cpu *c);
    /** kick() - have run() look at vcpu->intr soon; any thread */
    void (*kick)(struct accel_cpu *c);
    /** get_state()/put_state() - all of a parked vCPU, as state.h has it; -errno with @e.
     *  The interrupt chips that are the implementation's come and go with vCPU 0's. */
    int (*get_state)(struct accel_cpu *c, struct x86_state *s, struct err *e);
    int (*put_state)(struct accel_cpu *c, const struct x86_state *s, struct err *e);
    /** reset() - the machine is reset: whatever is not in the state; paused; may be NULL */
    void (*reset)(struct accel *a);
    /** before_run() - the vCPUs are about to go on; may be NULL */
    void (*before_run)(struct accel *a);
    /* struct mem_listener's, while it runs; dirty_sync() may be NULL */
    void (*map_changed)(struct accel *a);
    void (*ram_written)(struct accel *a, gpa_t gpa, uint64_t len);
    uint64_t (*watch)(struct accel *a);
    bool (*watching)(struct accel *a, uint64_t ticket);
    void (*dirty_sync)(struct accel *a, struct mem_region *r);
    /** doorbells_changed() - as struct machine_accel's, once it is open; may be NULL */
    void (*doorbells_changed)(struct accel *a);
    /** choose_irqchip() - whose interrupt chips count: @on when it takes the machine
     *  over, !@on when it hands it on; may be NULL: those of hw/ */
    void (*choose_irqchip)(struct accel *a, bool on);
    /** refresh_chips() - hw/'s 8259s and I/O APIC show what its own hold; any time, machine
     *  lock held. lapic_page() - registers of a parked vCPU's local APIC; false: hw/'s. Both may be NULL. */
    void (*refresh_chips)(struct accel *a);
    bool (*lapic_page)(struct accel_cpu *c, uint8_t page[ACCEL_LAPIC_BYTES]);
    /** debug_set(), debug_step() - parts of accel_debug_*() */
    void (*debug_set)(struct accel *a, const struct tcg_break *b, unsigned n_breaks,
                      const struct tcg_watch *w, unsigned n_watches);
    void (*debug_step)(struct accel_cpu *c, bool step);
    void (*info)(struct accel *a, FILE *f);
};

struct accel {
    const struct accel_ops *ops;  /* who runs the vCPUs; changed while paused; atomic */
    struct machine *m;
    struct x86_model model;
    struct accel_options opt;
    struct accel_cpu **cpus;      /* owned by the translator */
    struct vcpu **vcpus;
    unsigned n_cpus;
    struct bt *bt;                /* always there */
    struct kvm *kvm;              /* NULL: not opened */
    struct mem_listener listener;
    struct vcpu *accessing;       /* vCPU whose access to its local APIC is carried out */
    uint32_t switches;            /* how often the machine was handed over */
    bool paused;                  /* between pause_all() and what ends it */
    bool tsc_fixed;               /* host TSC, else the virtual clock */
    bool tsc_running;
    uint64_t tsc_base;            /* host TSC when the guest's was 0; stopped: guest's value */
    uint64_t tsc_mul;             /* guest ticks a host tick, 32.32 fixed point; 0: one */
};

/** accel_of() - the accelerator of @m */
static inline struct accel *accel_of(struct machine *m)
{
    return m->accel_opaque;
}

/* ---- vcpu.c ------------------------------------------------------------------------- */

int accel_cpu_init(struct accel_cpu *c, struct accel *a, unsigned index);
void accel_cpu_free(struct accel_cpu *c);
/** accel_cpu_spawn()/accel_cpu_join() - its thread; 0 or an errno value */
int accel_cpu_spawn(struct accel_cpu *c);
void accel_cpu_join(struct accel_cpu *c);
/** accel_self() - whether the calling thread is @c's */
bool accel_self(const struct accel_cpu *c);
/** accel_stop_self() - the vCPU stands still before its next block but one, until
 *  resume_all(); its own thread */
void accel_stop_self(struct accel_cpu *c);
/** accel_stop_when_requested() - a reset or power-off takes effect at the access that
 *  caused it; after each, on the vCPU's thread */
void accel_stop_when_requested(struct accel_cpu *c);
/** accel_halt() - wait until a request line is up that is not in @masked */
void accel_halt(struct accel_cpu *c, uint32_t masked);
/** accel_ask_to_stop()/accel_wait_parked() - together: the vCPU stands still */
void accel_ask_to_stop(struct accel_cpu *c);
void accel_wait_parked(struct accel_cpu *c);
/** accel_ask_to_hold()/accel_wait_held() - likewise for a look */
void accel_ask_to_hold(struct accel_cpu *c);
bool accel_wait_held(struct accel_cpu *c, const struct timespec *until);
/** accel_let_go() - undo stop, or with @hold hold */
void accel_let_go(struct accel_cpu *c, bool hold);
/** accel_stop_debugged() - stop for the debugger; the vCPU's own thread */
void accel_stop_debugged(struct accel_cpu *c, struct accel_stop why);

/* ---- run.c ---------------------------------------------------------------------------- */

/** accel_open()/accel_close() - an implementation's share of @a; close() also after half an open() */
int accel_open(struct accel *a, const struct accel_ops *ops, struct err *e);
void accel_close(struct accel *a, const struct accel_ops *ops);
/** accel_sync_dirty() - what was written while somebody else ran counts; lock held */
void accel_sync_dirty(struct accel *a);
/** accel_cpu_start_state() - registers at power-up, or for a direct kernel entry (boot.c) */
void accel_cpu_start_state(struct accel_cpu *c);
/** bt_ferr_port() - port 0xF0 lowers FERR# (bt-bus.c) */
void bt_ferr_port(struct machine *m);
/** bt_profile_close() - write the translator's profile, if one is wanted; the vCPUs are
 *  still there, stopped (bt-profile.c) */
void bt_profile_close(struct accel *a);
/** accel_enter_access()/accel_leave_access() - around an access of @c to device memory:
 *  takes the machine lock; its own local APIC answers at the register page */
void accel_enter_access(struct accel_cpu *c, gpa_t gpa);
void accel_leave_access(struct accel_cpu *c);

/**
 * accel_bt_step() - the translator executes one instruction of @c, whose state is in
 * its struct, and delivers the exception that it raises (bt.c)
 * On the vCPU's own thread, while another implementation runs the machine.
 */
void accel_bt_step(struct accel_cpu *c);

/* ---- tsc.c ---------------------------------------------------------------------------- */

/** accel_tsc()/accel_tsc_pause()/accel_tsc_resume() - guest TSC before the guest's own
 *  adjustment; it stands still while paused */
void accel_tsc_init(struct accel *a);
uint64_t accel_tsc(struct accel *a);
void accel_tsc_pause(struct accel *a);
void accel_tsc_resume(struct accel *a);
void accel_tsc_reset(struct accel *a);

#endif
