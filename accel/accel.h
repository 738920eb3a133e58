/*
 * accel.h - what runs the vCPUs: the translator, later also KVM
 *
 * The rest of the program sees one struct accel, chosen from the -accel
 * options. It owns the vCPUs and their threads, and serves the machine's run
 * control through struct machine_accel.
 */
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H

#include "hw/hw.h"
#include "target-x86/x86.h"

struct accel;

/** struct accel_options - one -accel argument, parsed */
struct accel_options {
    const struct accel_ops *ops;
    enum tcg_backend backend;  /* backend=host|interp */
    bool optimise;             /* optimise=on|off */
    bool one_insn;             /* one-insn-per-tb=on|off */
    uint64_t tb_bytes;         /* tb-size=MiB */
    bool perf_map;             /* perf-map=on|off */
};

/** struct accel_ops - one implementation */
struct accel_ops {
    const char *name, *alias;  /* on the command line; alias may be NULL */
    const char *help;
    /** probe() - can it work on this host? 0, or -errno with @e saying why not */
    int (*probe)(const struct accel_options *o, struct err *e);
    /**
     * create() - the vCPUs of @m, stopped, and everything they share
     * @model: copied; tsc_hz 0 is the host's rate
     * Installs m->vcpus, m->accel and what the CPU decides in m->cfg; comes
     * before pc_build(). Returns NULL with @e set.
     */
    struct accel *(*create)(struct machine *m, const struct x86_model *model,
                            const struct accel_options *o, struct err *e);
    /** start() - the vCPU threads, which wait until the first resume_all() */
    int (*start)(struct accel *a, struct err *e);
    /** stop() - end the threads; the vCPUs stay for the devices that know them */
    void (*stop)(struct accel *a);
    /** destroy() - after machine_free() */
    void (*destroy)(struct accel *a);
    /** info() - statistics for the monitor */
    void (*info)(struct accel *a, FILE *f);
    /** cpu() - vCPU 0, for the monitor; its state is true while it is held or
     *  paused, else as it last was in memory */
    struct x86_cpu *(*cpu)(struct accel *a);
    /** hold() - have the vCPUs stand still for a look, unlike pause_all() not seen
     *  by the guest's clocks; the machine lock is not held. Gives up after 100 ms
     *  and returns false. release() goes with it either way. */
    bool (*hold)(struct accel *a);
    void (*release)(struct accel *a);
    /** debug - for a debugger; NULL: there is no way */
    const struct accel_debug_ops *debug;
};

/* ---- debugging: main thread, all vCPUs paused ------------------------------------ */

/** enum accel_go - what a vCPU is to do when the machine goes on */
enum accel_go { GO_HOLD, GO_RUN, GO_STEP };
enum { GO_NOIRQ = 1, GO_NOTIMER = 2 };

/** struct accel_stop - why a vCPU stopped by itself */
struct accel_stop {
    enum accel_stop_kind { STOP_NONE, STOP_STEP, STOP_BREAK, STOP_WATCH } kind;
    unsigned watch_kinds;   /* STOP_WATCH: TCG_WATCH_* of the watchpoint */
    uint64_t lin;           /* breakpoint, or data that was accessed; linear */
};

/**
 * struct accel_debug_ops - breakpoints, watchpoints, single steps
 * A vCPU that meets one stops, and all others are made to by machine_request_stop().
 */
struct accel_debug_ops {
    /** cpu() - vCPU @i, whose registers and memory may be looked at and changed */
    struct x86_cpu *(*cpu)(struct accel *a, unsigned i);
    /** set() - instead of those before; see tcg_debug_set() */
    void (*set)(struct accel *a, const struct tcg_break *b, unsigned n_breaks,
                const struct tcg_watch *w, unsigned n_watches);
    /**
     * resume() - instead of the machine's resume_all()
     * @go: one for each vCPU. @flags: GO_NOIRQ: those that step take no interrupts
     * (unless halted); GO_NOTIMER: when none runs the clocks stand still.
     * The machine lock is not held.
     */
    void (*resume)(struct accel *a, const enum accel_go *go, unsigned flags);
    /** stopped() - why vCPU @i stopped last; asked once, then STOP_NONE */
    struct accel_stop (*stopped)(struct accel *a, unsigned i);
};

/** struct accel - first member of the implementation's own struct */
struct accel {
    const struct accel_ops *ops;
};

extern const struct accel_ops accel_bt;

/**
 * accel_parse() - one -accel argument: NAME[:NAME...][,key=value...]
 * Of several names the first that is known and works here is taken. Returns 0,
 * or -errno with @e set, without the option's name in front.
 */
int accel_parse(const char *arg, struct accel_options *o, struct err *e) MUST_CHECK;
/** accel_default() - what is used without -accel */
void accel_default(struct accel_options *o);
/** accel_help() - list implementations and their options */
void accel_help(FILE *f);

/**
 * accel_tsc_hz() - rate of the host counter that guests' TSC follows, in Hz
 * @fixed: set when the host has such a counter; else the virtual clock at
 *   1 GHz takes its place
 * May take up to 2 ms of measuring.
 */
uint64_t accel_tsc_hz(bool *fixed);
/** accel_host_tsc() - that counter now; no system call */
uint64_t accel_host_tsc(void);

#endif
