/*
 * ui.h - everything through which people and tools reach a machine:
 * character back ends and the human monitor
 *
 * All callbacks run with the machine lock held: those from the loop because
 * loop_run_once() takes it, those from devices because devices hold it.
 */
#ifndef UI_UI_H
#define UI_UI_H

#include "hw/hw.h"

struct kv_list;

/* ---- character back ends -------------------------------------------------- */

/**
 * chardev_new() - open a back end by its command line spelling
 * @loop: that will serve it; must outlive it
 * @spec: stdio[,signal=on|off]  null  file:PATH  pipe:PATH  pty  ringbuf  /dev/TTY
 *   unix:PATH[,server=on|off][,wait=on|off]...
 *   tcp:[HOST]:PORT[,...], telnet:[HOST]:PORT[,...]
 *   mon:SPEC: SPEC behind a multiplexer (Ctrl-A keys); the first port of it
 *   is returned, chardev_mux_add() gives the monitor's. "none" is the
 *   caller's to understand.
 * @label: for messages and the monitor, e.g. "serial0"; copied
 *
 * A server that waits blocks here until somebody connects. Output while
 * nobody is connected is dropped. Returns a back end for chardev_free(), or
 * NULL with @e set to "SPEC: why"; the caller prefixes its option name.
 */
struct chardev *chardev_new(struct loop *loop, const char *spec, const char *label,
                            struct err *e) MUST_CHECK;

/**
 * chardev_open() - open a back end as -chardev says it
 * @kv: the kind (without key, or backend=) and its options; id= is ignored here
 * @what: how the user wrote it, for messages
 * With mux=on it is behind a multiplexer. Returns as chardev_new().
 */
struct chardev *chardev_open(struct loop *loop, const struct kv_list *kv, const char *what,
                             const char *label, struct err *e) MUST_CHECK;
/** chardev_kind_name() - kind @n of -chardev, or NULL at the end of the list */
const char *chardev_kind_name(size_t n);

/** chardev_free() - write what is buffered (waiting at most a second for the
 *  reader), close; NULL is allowed */
void chardev_free(struct chardev *c);
/** chardev_flush() - write what is buffered, as far as that does not block */
void chardev_flush(struct chardev *c);
/** chardev_desc() - what it is, e.g. "pty:/dev/pts/3"; valid until freed */
const char *chardev_desc(const struct chardev *c);
/** chardev_is_open() - somebody is at the other side, as far as the kind can tell */
bool chardev_is_open(const struct chardev *c);
/** chardev_take_fd() - the oldest descriptor that the peer sent along and nobody took
 *  yet, the caller's from now on; -1: none */
int chardev_take_fd(struct chardev *c);
/** chardev_ringbuf_read() - take up to @len bytes, oldest first, out of a ring buffer;
 *  chardev_ringbuf_write() - add some. How many, or -EINVAL with @e set: it is none */
int chardev_ringbuf_read(struct chardev *c, uint8_t *buf, size_t len, struct err *e) MUST_CHECK;
int chardev_ringbuf_write(struct chardev *c, const uint8_t *buf, size_t len, struct err *e) MUST_CHECK;

/**
 * chardev_mux_new() - put @backend behind a multiplexer and return its first port
 * Owns @backend from now on; it goes with the last port. The first port has
 * the focus: input goes to it until Ctrl-A c.
 */
struct chardev *chardev_mux_new(struct chardev *backend, const char *label);
/** chardev_mux_add() - another port of the multiplexer of @port, to be freed
 *  like it; NULL when @port is no multiplexer's or there are four already */
struct chardev *chardev_mux_add(struct chardev *port, const char *label);
/** chardev_has_focus() - whether input comes to @c; always, without multiplexer */
bool chardev_has_focus(const struct chardev *c);
/** chardev_mux_on_quit() - what Ctrl-A x does; without it, nothing */
void chardev_mux_on_quit(struct chardev *port, void (*quit)(void *opaque), void *opaque);

/**
 * ui_tty_restore() - give the terminal back its modes
 * Runs at exit by itself; safe in a signal handler and when nothing was changed.
 */
void ui_tty_restore(void);
/** chardev_no_stdio() - nobody gets standard input and output from here on; @why, a constant, is told */
void chardev_no_stdio(const char *why);

/* ---- human monitor ----------------------------------------------------------- */

struct monitor;

/** struct monitor_hooks - what the monitor needs from run control and the
 *  CPU; any may be NULL, the command then says that it is not available.
 *  stop and cont are called with the machine lock held and must therefore
 *  only request: waiting for a vCPU here would deadlock. */
struct monitor_hooks {
    void *opaque;
    void (*stop)(void *opaque);
    void (*cont)(void *opaque);
    /** print with monitor_printf(), those of monitor_cpu() or of all vCPUs */
    void (*registers)(void *opaque, struct monitor *mon, bool all);
    /** virtual to physical, as vCPU @cpu sees it; false: not mapped */
    bool (*translate)(void *opaque, unsigned cpu, gva_t va, gpa_t *pa);
    /** value of a register named as in expressions, without '$' */
    bool (*reg)(void *opaque, unsigned cpu, const char *name, uint64_t *val);
    /** list the instruction at @addr, whose first @n bytes are @code; returns its length, 0: bad */
    unsigned (*list)(void *opaque, unsigned cpu, uint64_t addr, const uint8_t *code, unsigned n, char *buf,
                     size_t size);
    /** other items are logged than before; returns a line for the user, or NULL. May be NULL. */
    const char *(*log_changed)(void *opaque);
    /** trace(), symbols() - as the commands say; 0, or -errno with @e set. tracing() - something is recorded */
    int (*trace)(void *opaque, const char *what, struct err *e);
    bool (*tracing)(void *opaque);
    int (*symbols)(void *opaque, const char *path, struct err *e);
    /** the main loop calls monitor_resume() once it has carried out what stop, cont and
     *  requests to the machine ask for: the prompt comes after that */
    bool resumes;
};

/**
 * struct monitor_cmd - a row of a command table
 * @name: "cont|c": names separated by '|', the first is shown first
 * @args: shown in help, e.g. "/FMT ADDR"; "" for none
 * @run: @rest is the line after the command, blanks trimmed; may be changed
 */
struct monitor_cmd {
    const char *name, *args, *help;
    void (*run)(struct monitor *mon, char *rest);
};

/**
 * monitor_new() - a human monitor talking through @chr
 * @chr: stays the caller's; must outlive the monitor
 * @hooks: copied; may be NULL
 */
struct monitor *monitor_new(struct machine *m, struct chardev *chr,
                            const struct monitor_hooks *hooks);
void monitor_free(struct monitor *mon);
/** monitor_add_commands()/monitor_add_info() - extend the command table, or
 *  the table of "info"; tables end with a NULL name and stay the caller's */
void monitor_add_commands(struct monitor *mon, const struct monitor_cmd *table);
void monitor_add_info(struct monitor *mon, const struct monitor_cmd *table);

/** monitor_printf() - print; a newline becomes CR LF */
void monitor_printf(struct monitor *mon, const char *fmt, ...) PRINTF(2, 3);
/** monitor_machine()/monitor_hooks() - whose monitor it is, and its hooks */
struct machine *monitor_machine(struct monitor *mon);
const struct monitor_hooks *monitor_hooks(const struct monitor *mon);
/** monitor_resume() - the requests of the last command are done; returns whether another
 *  command waits now */
bool monitor_resume(struct monitor *mon);
/** monitor_cpu() - which vCPU "cpu N" has chosen */
unsigned monitor_cpu(const struct monitor *mon);
/** monitor_command() - run one line as if typed; @line is changed */
void monitor_command(struct monitor *mon, char *line);

#endif
