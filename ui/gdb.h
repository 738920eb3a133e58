/*
 * gdb.h - a debugger outside the guest, through gdb's remote protocol
 */
#ifndef UI_GDB_H
#define UI_GDB_H

#include "accel/accel.h"
#include "ui/ui.h"

struct gdb;

/** struct gdb_hooks - what the stub needs from run control; called with the machine
 *  lock held, so they only ask the main thread */
struct gdb_hooks {
    void *opaque;
    /** stop() - pause the machine; gdb_stopped() follows */
    void (*stop)(void *opaque);
    /** go() - gdb_resume() is wanted */
    void (*go)(void *opaque);
    /** quit() - end the emulator */
    void (*quit)(void *opaque);
    /** command() - run a monitor command; what it prints, malloc'ed, or NULL */
    char *(*command)(void *opaque, char *line);
};

/**
 * gdb_new() - serve a debugger that connects to @chr
 * @chr: stays the caller's; must outlive the stub
 * The machine stops when somebody connects and goes on when he detaches. Returns NULL
 * with @e set when @accel cannot be debugged.
 */
struct gdb *gdb_new(struct machine *m, struct accel *accel, struct chardev *chr,
                    const struct gdb_hooks *hooks, struct err *e) MUST_CHECK;
void gdb_free(struct gdb *g);
/** gdb_stopped() - the machine has just been paused; machine lock held */
void gdb_stopped(struct gdb *g);
/** gdb_resume() - let the machine go on as the debugger wants it; its run state is
 *  RUN_RUNNING. Main thread, machine lock not held. */
void gdb_resume(struct gdb *g);
/** gdb_exited() - the emulator ends with @code */
void gdb_exited(struct gdb *g, int code);

#endif
