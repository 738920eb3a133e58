/*
 * command.h - commands with typed arguments, for people (monitor.c) and programs (qmp.c)
 *
 * A row of a table is one command: what it is called at the prompt and in the machine
 * protocol, what it takes, what it does. Prompt, protocol, help, completion and
 * query-qmp-schema read only that. For commands that exist at the prompt only and parse
 * their line themselves there is struct monitor_cmd (ui.h).
 *
 *   { .hmp = "eject", .qmp = "eject", .args = "force:f?,device:B?,id:D?!",
 *     .help = "take out a CD or floppy", .run = cmd_eject },
 */
#ifndef UI_COMMAND_H
#define UI_COMMAND_H

#include "ui/json.h"
#include "ui/ui.h"

struct run;
struct qmp;

/** enum error_class - of a failure, in the protocol's reply */
enum error_class { CLASS_GENERIC, CLASS_COMMAND_NOT_FOUND, CLASS_DEVICE_NOT_ACTIVE,
                   CLASS_DEVICE_NOT_FOUND, CLASS_KVM_MISSING_CAP };

/** struct call - one execution of a command; main thread, machine lock held */
struct call {
    struct machine *m;
    struct run *run;             /* NULL where nothing is run (unit tests) */
    const struct monitor_hooks *hooks;
    struct monitor *mon;         /* at a prompt: what is printed goes there; else NULL */
    struct qmp *qmp;             /* in the protocol; else NULL */
    const struct jv *args;       /* an object, checked against the row's list */
    struct jw *out;              /* the answer; nothing written: an empty object */
    enum error_class class;      /* of the failure being returned */
    bool wait;                   /* set: answer once the main loop has carried out requests */
};

/**
 * struct command - a row
 * @hmp: at the prompt, "cont|c": names separated by '|'; NULL: not there
 * @qmp: in the protocol; NULL: not there
 * @args: "NAME:TYPE[?][!][^],...", in the order of the prompt. ?: may be left out;
 *   !: not at the prompt; ^: not in the protocol. TYPE:
 *     s word, F file, B drive, D device, N netdev, C character device, K keys, T device type
 *     S the rest of the line (in the protocol a string like the others)
 *     i integer, b on or off, f switch (at the prompt a dash and the name's first letter)
 *     j any JSON value (protocol only)
 *   "*" at the end: any other members, too (protocol only). NULL: none
 * @returns: what query-qmp-schema says about the answer: NULL an empty object, else the
 *   name of a type there ("any", "str", "[any]")
 * @run: 0, or -errno with @e set to one line
 */
struct command {
    const char *hmp, *qmp, *args, *returns, *help;
    int (*run)(struct call *c, struct err *e);
};

/** struct cmd_arg - one piece of args */
struct cmd_arg {
    char name[32];
    char type;
    bool optional, no_hmp, no_qmp;
};

/** cmd_next_arg() - take the next piece off *@args; false at the end */
bool cmd_next_arg(const char **args, struct cmd_arg *a);
/** cmd_usage() - "eject [-f] device" into @text */
void cmd_usage(const struct command *c, char *text, size_t size);
/** cmd_parse_line() - an object for the words after the command's name; @line is cut up.
 *  NULL with @e set. */
struct jv *cmd_parse_line(struct monitor *mon, const struct command *c, char *line, struct err *e);
/** cmd_check_args() - whether @args, an object, fits the row; 0 or -EINVAL with @e set */
int cmd_check_args(const struct command *c, const struct jv *args, struct err *e) MUST_CHECK;

/** cmd_not_found() - err_set() with class DeviceNotFound */
int cmd_not_found(struct call *c, struct err *e, const char *fmt, ...) PRINTF(3, 4);

/** run_commands - all tables of a machine being run, NULL-terminated; each ends with a row
 *  without names (commands.c) */
extern const struct command *const run_commands[];
/** basic_commands - those of any machine, run or not (monitor-basic.c) */
extern const struct command basic_commands[];

#endif
