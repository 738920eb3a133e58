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
