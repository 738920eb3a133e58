/*
 * accel.h - what runs the vCPUs: the translator or KVM
 *
 * The rest of the program sees one struct accel, chosen from the -accel
 * options. It owns the vCPUs and their threads, serves the machine's run
 * control through struct machine_accel, and can hand a paused machine from one
 * implementation to the other. Who implements is behind struct accel_ops
 * (accel-int.h).
 */
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H

#include "hw/hw.h"
#include "target-x86/x86.h"
#include "accel/icount.h"
#include "trace/file.h"
#include "accel/verify.h"

struct accel;
struct accel_ops;

/** enum accel_irqchip - interrupt chips that are the kernel's: none, the local APICs, all */
enum accel_irqchip { IRQCHIP_OFF, IRQCHIP_SPLIT, IRQCHIP_ON };

#define ACCEL_WHY 200
#define ACCEL_LAPIC_BYTES 1024

/** struct accel_options - one -accel argument, parsed */
struct accel_options {
    const struct accel_ops *ops;
    enum tcg_backend backend;  /* backend=host|interp */
    bool optimise;             /* optimise=on|off */
    bool one_insn;             /* one-insn-per-tb=on|off */
    uint64_t tb_bytes;         /* tb-size=MiB */
    char tb_cache[256];        /* tb-cache=FILE: translations kept from run to run; "": none */
    bool perf_map;             /* perf-map=on|off */
    bool jitdump;              /* jitdump=on|off */
    bool profile;              /* profile=on|off */
    unsigned profile_top;      /* profile-top=N: hottest blocks in the report */
    unsigned profile_disas;    /* profile-disas=N: of them with their code */
    char profile_file[256];    /* profile-file=FILE: where the report goes; "stderr" */
    struct icount_options icount; /* -icount */
    struct trace_options trace; /* -trace */
    bool magic_break;          /* -magic-break */
    const struct guest_symbols *symbols; /* -symbols, or NULL */
    struct verify_options verify; /* -verify */
    enum tcg_bug bug;          /* x-seed-bug=sbb|sar: host code is wrong on purpose, for tests */
    enum accel_irqchip irqchip; /* kernel-irqchip=on|split|off; default split where there is such a thing */
    bool irqchip_given;
    bool switchable;           /* switch=on: CPU features that both have, so that it can be moved */
    char why[ACCEL_WHY];       /* reason of the choice, for "info accel" */
    char warning[ACCEL_WHY];   /* for the user, when he gets other than he asked for */
};

/* ---- one machine's accelerator: main thread unless said otherwise ---------------------- */

/**
 * accel_new() - the vCPUs of @m, stopped, and everything they share
 * @model: copied; tsc_hz 0 is the host's rate
 * Installs m->vcpus, m->accel and what the CPU decides in m->cfg; comes
 * before pc_build(). Returns NULL with @e set.
 */
struct accel *accel_new(struct machine *m, const struct x86_model *model,
                        const struct accel_options *o, struct err *e) MUST_CHECK;
/** accel_start() - the vCPU threads, which wait until the first resume_all() */
int accel_start(struct accel *a, struct err *e) MUST_CHECK;
/** accel_stop() - end the threads; the vCPUs stay for the devices that know them */
void accel_stop(struct accel *a);
/** accel_free() - after machine_free() */
void accel_free(struct accel *a);
/** accel_info() - who runs, why, and statistics, for the monitor */
void accel_info(struct accel *a, FILE *f);
/** accel_profile() - where the translator's time went, see tcg_profile_report(); false: not counted */
bool accel_profile(struct accel *a, FILE *f, unsigned top, unsigned disas);
/** accel_profile_restart() - it begins now; false: not counted */
bool accel_profile_restart(struct accel *a);
/** accel_name() - "tcg" or "kvm" */
const char *accel_name(const struct accel *a);
/** accel_why() - why that was chosen: a line for people, without a full stop */
const char *accel_why(const struct accel *a);
/** accel_switches() - how often the machine was handed over */
unsigned accel_switches(const struct accel *a);
/**
 * accel_cpu() - vCPU @i as the translator keeps it, whoever runs
 * Its state is true while the vCPU is held or paused, else as it last was in
 * memory; what is changed while it stands still counts when it goes on.
 */
struct x86_cpu *accel_cpu(struct accel *a, unsigned i);
/**
 * accel_hold() - have the vCPUs stand still for a look, unlike pause_all() not seen
 * by the guest's clocks; the machine lock is not held. Gives up after 100 ms
 * and returns false. accel_release() goes with it either way.
 */
bool accel_hold(struct accel *a);
void accel_release(struct accel *a);
/** accel_refresh_chips() - hw/intc's 8259s and I/O APIC show the present state, whose they are; lock held */
void accel_refresh_chips(struct accel *a);
/**
 * accel_lapic_page() - registers of vCPU @i's local APIC where it is the accelerator's, as at its xAPIC page
 * Between accel_hold() and accel_release(). Returns false when hw/intc's counts, or the vCPU runs.
 */
bool accel_lapic_page(struct accel *a, unsigned i, uint8_t page[ACCEL_LAPIC_BYTES]);
/** accel_retranslate() - forget all translations; between accel_hold(), which succeeded, and
 *  accel_release() */
void accel_retranslate(struct accel *a);
/** accel_trace() - record as @o says from now on, instead of what was recorded; NULL: nothing. Likewise
 *  between accel_hold() and accel_release(). 0, or -errno with @e set: nothing is recorded. */
int accel_trace(struct accel *a, const struct trace_options *o, struct err *e) MUST_CHECK;
/** accel_traces() - whether something is recorded */
bool accel_traces(const struct accel *a);

/**
 * accel_switch() - another implementation takes the machine over, as it is
 * @name: as on the command line
 * All vCPUs are paused. With the one that it is already, the state goes to the common form
 * and back. Returns 0, or -errno with
 * @e saying why not; the machine is unchanged then.
 */
int accel_switch(struct accel *a, const char *name, struct err *e) MUST_CHECK;

/* ---- debugging: all vCPUs paused ---------------------------------------------------- */

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
 * accel_debug_set() - breakpoints and watchpoints, instead of those before
 * A vCPU that meets one stops, and all others are made to by machine_request_stop().
 * See tcg_debug_set() for the points.
 */
void accel_debug_set(struct accel *a, const struct tcg_break *b, unsigned n_breaks,
                     const struct tcg_watch *w, unsigned n_watches);
/**
 * accel_debug_resume() - instead of the machine's resume_all()
 * @go: one for each vCPU. @flags: GO_NOIRQ: those that step take no interrupts
 * (unless halted); GO_NOTIMER: when none runs the clocks stand still.
 * The machine lock is not held.
 */
void accel_debug_resume(struct accel *a, const enum accel_go *go, unsigned flags);
/** accel_debug_stopped() - why vCPU @i stopped last; asked once, then STOP_NONE */
struct accel_stop accel_debug_stopped(struct accel *a, unsigned i);

/* ---- choice --------------------------------------------------------------------------- */

extern const struct accel_ops accel_bt, accel_kvm;

/**
 * accel_parse() - one -accel argument: NAME[:NAME...][,key=value...]
 * Of several names the first that is known and works here is taken. Returns 0,
 * or -errno with @e set, without the option's name in front.
 */
int accel_parse(const char *arg, struct accel_options *o, struct err *e) MUST_CHECK;
/**
 * accel_choose() - all -accel arguments: the first accelerator of the first that works
 * A KVM that works, but slower than the translator, is passed over when there is
 * anything else, and taken with a warning when there is not.
 * @irqchip: what -machine says of kernel-irqchip, or NULL
 */
int accel_choose(char *const *args, unsigned n, const enum accel_irqchip *irqchip,
                 struct accel_options *o, struct err *e) MUST_CHECK;
/** accel_irqchip_parse() - "on", "split", "off"; false: something else */
bool accel_irqchip_parse(const char *val, enum accel_irqchip *out) MUST_CHECK;
/** accel_log_wants() - whether only the translator can tell something of log categories @mask */
bool accel_log_wants(uint32_t mask);
/** accel_default() - what is used without -accel: the best that works here */
void accel_default(struct accel_options *o);
/** accel_help() - list implementations and their options, and what would be chosen */
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
