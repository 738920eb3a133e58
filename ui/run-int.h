/*
 * run-int.h - a machine being run: its consoles, its main loop
 */
#ifndef UI_RUN_INT_H
#define UI_RUN_INT_H

#include "ui/display.h"
#include "ui/gdb.h"
#include "ui/options.h"
#include "ui/ui.h"

#define RUN_CHARDEVS 64

enum { WANT_STOP = 1, WANT_CONT = 2, WANT_DEBUG = 4 };

/** struct run_chr - a character device, or another port of a multiplexer (id NULL) */
struct run_chr {
    struct chardev *chr;
    char *id;                            /* owned */
    bool used;                           /* somebody is its front end */
};

/** struct run_mon - a monitor: for people or, control, for programs */
struct run_mon {
    struct chardev *chr;
    bool control, pretty;
    struct monitor *mon;
    struct qmp *qmp;
};

/** struct run_dump - a dump of memory, as query-dump has it; bytes of RAM */
struct run_dump {
    enum { DUMP_NONE, DUMP_ACTIVE, DUMP_COMPLETED, DUMP_FAILED } status;
    uint64_t completed, total;
};

/** struct run - everything between command line and exit */
struct run {
    const struct options *opt;
    struct trace_options trace;      /* what the monitor had recorded last */
    struct options *nodes;               /* the same, for block nodes that come and go */
    struct machine *m;
    struct accel *accel;
    struct run_chr chr[RUN_CHARDEVS];    /* freed after the machine */
    struct run_mon mon[RUN_CHARDEVS];
    unsigned n_chr, n_mon;
    struct opt_object *objects;          /* made while it runs */
    struct run_dump dump;                /* the last one */
    struct job *jobs;                    /* not dismissed yet; run_jobs_free() */
    struct displays *displays;           /* goes before the machine */
    struct chardev *gdb_chr;             /* NULL: no debugger */
    struct gdb *gdb;
    struct gdb_console *gdb_console;
    struct block_ctx *block_ctx;         /* NULL: no disks */
    int64_t wake_at_ns;   /* virtual time the loop wakes by itself; machine lock */
    uint32_t want;        /* WANT_*, from monitor and debugger; atomic */
    int signal_fd;
    bool quit, io_error;  /* io_error: stopped because of werror=, rerror= */
    int exit_code;
};

/** run_build() - from @r->opt to a machine that stands still; monitors come after it. 0 or
 *  -errno with @e set; run_tear_down() either way */
int run_build(struct run *r, struct err *e) MUST_CHECK;
void run_tear_down(struct run *r);

/**
 * run_consoles() - open serial ports, debug console and monitors (console.c)
 * Between machine_new() and pc_build(). 0 or -errno with @e set.
 */
int run_consoles(struct run *r, struct err *e) MUST_CHECK;
/** run_console_ids() - give serial ports the ids of their -device, once they are there */
void run_console_ids(struct run *r);
/** run_monitors() - start the monitors, once the machine is built; 0 or -errno with @e set */
int run_monitors(struct run *r, struct err *e) MUST_CHECK;
/** run_monitors_resume() - requests of their commands are done; whether there are new ones */
bool run_monitors_resume(struct run *r);
void run_monitors_free(struct run *r);
void run_consoles_free(struct run *r);
/** run_monitor_new() - a monitor with all commands at @chr, for monitor_free() */
struct monitor *run_monitor_new(struct run *r, struct chardev *chr);
struct monitor_hooks run_monitor_hooks(struct run *r);
/** run_event() - tell programs; @opaque: struct run; @data: JSON object, or NULL. Any thread */
void run_event(void *opaque, const char *name, const char *data);

/** run_device_deleted() - m->device_deleted: DEVICE_DELETED */
void run_device_deleted(void *opaque, const struct device *d);

/* character devices by id (console.c); machine lock held; -errno with @e set */
struct run_chr *run_chr_find(struct run *r, const char *id);
int run_chr_add(struct run *r, const struct kv_list *kv, const char *what, struct err *e) MUST_CHECK;
int run_chr_remove(struct run *r, const char *id, struct err *e) MUST_CHECK;
/** run_chr_claim() - become the front end of @id, or of another port when it is multiplexed */
struct chardev *run_chr_claim(struct run *r, const char *id, struct err *e) MUST_CHECK;
/** run_chr_release() - @chr, which that gave, has no front end any more */
void run_chr_release(struct run *r, struct chardev *chr);
/** run_chars - m->chars; its opaque: struct run */
extern const struct machine_chars run_chars;

/* what monitors ask of the vCPUs (monitor-cpu.c): struct monitor_hooks */
void run_hook_registers(void *opaque, struct monitor *mon, bool all);
bool run_hook_translate(void *opaque, unsigned cpu, gva_t va, gpa_t *pa);
unsigned run_hook_list(void *opaque, unsigned cpu, uint64_t addr, const uint8_t *code, unsigned n, char *buf,
                       size_t size);
const char *run_hook_log_changed(void *opaque);
/** run_while_held() - all vCPUs stand still for @change; the machine lock, held, is given back meanwhile.
 *  Returns what @change does, or -EBUSY with @e set (monitor-trace.c) */
int run_while_held(struct run *r, int (*change)(struct run *r, const void *arg, struct err *e), const void *arg,
                   struct err *e) MUST_CHECK;
int run_hook_trace(void *opaque, const char *what, struct err *e);
bool run_hook_tracing(void *opaque);
int run_hook_symbols(void *opaque, const char *path, struct err *e);
bool run_hook_reg(void *opaque, unsigned cpu, const char *name, uint64_t *val);
/** run_hold_cpu() - vCPU @n standing still, for a look; run_release_cpu() goes with it */
struct x86_cpu *run_hold_cpu(struct run *r, unsigned n);
void run_release_cpu(struct run *r);
extern const struct monitor_cmd cpu_infos[], machine_infos[], bus_infos[], machine_commands[],
    vcpu_commands[];
/** run_want() - ask the main loop for WANT_*; any thread */
void run_want(struct run *r, uint32_t what);

/** run_gdb_open()/run_gdb() - the debugger's connection, then, once the machine is
 *  built, the stub; 0 or -errno with @e set (gdb-open.c) */
int run_gdb_open(struct run *r, struct err *e) MUST_CHECK;
int run_gdb(struct run *r, struct err *e) MUST_CHECK;
void run_gdb_free(struct run *r);

/** run_netdevs() - open back ends of networks, before pc_build() (network.c) */
int run_netdevs(struct run *r, struct err *e) MUST_CHECK;
/** run_nics() - add network cards, after pc_build() */
int run_nics(struct run *r, struct err *e) MUST_CHECK;
/** run_network_check() - warn about cables with one end */
void run_network_check(const struct run *r);
extern const struct monitor_cmd network_infos[], network_commands[], trace_commands[];

/** run_objects() - make those that are part of the machine, before its devices; run_object_made() - @o alone
 *  0 or -errno with @e set (qmp-object.c) */
int run_objects(struct run *r, struct err *e) MUST_CHECK;
int run_object_made(struct run *r, const struct opt_object *o, struct err *e) MUST_CHECK;

/** run_drives() - open drives, before pc_build() (firmware may be on one); 0 or
 *  -errno with @e set */
int run_drives(struct run *r, struct err *e) MUST_CHECK;
/**
 * run_disks() - construct disk controllers and devices (disks.c)
 * After pc_build(). 0 or -errno with @e set.
 */
int run_disks(struct run *r, struct err *e) MUST_CHECK;
/** run_open_drive() - the image of one drive; 0 or -errno with @e set */
int run_open_drive(struct run *r, const struct opt_drive *o, struct err *e) MUST_CHECK;
extern const struct monitor_cmd disk_infos[], disk_commands[];
/** run_disks_free() - after the machine: close the images of @drives */
void run_disks_free(struct run *r, struct drive *drives);

/**
 * run_device_add() - device_add: @l as -device has it; the device is there at once, the guest
 *   notices when it does
 * run_device_del() - device_del: a card goes when the guest lets it go (m->device_deleted tells)
 * Machine lock held, main thread; 0 or -errno with @e set.
 */
int run_device_add(struct machine *m, struct kv_list *l, struct err *e) MUST_CHECK;
int run_device_del(struct machine *m, const char *id, struct err *e) MUST_CHECK;
extern const struct monitor_cmd device_infos[], balloon_infos[], state_infos[];

/** run_jobs_free() - forget jobs that nobody dismissed (qmp-job.c) */
void run_jobs_free(struct run *r);

/** run_displays() - open windows and the VNC server, once the machine is built (display.c) */
int run_displays(struct run *r, struct err *e) MUST_CHECK;
/** run_displays_free() - before the machine; its lock is not held */
void run_displays_free(struct run *r);
extern const struct monitor_cmd display_infos[], display_commands[];

/** run_prepare() - what the loop needs of machine and signals; 0 or -errno */
int run_prepare(struct run *r, struct err *e) MUST_CHECK;
/** run_requests() - do what devices and monitors asked for since; main thread, without the lock */
void run_requests(struct run *r);
/** run_loop() - reset, start, serve until the end; returns the exit code */
int run_loop(struct run *r);

#endif
