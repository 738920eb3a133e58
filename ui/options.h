/*
 * options.h - the command line, with QEMU's spelling and meaning
 */
#ifndef UI_OPTIONS_H
#define UI_OPTIONS_H

#include "accel/accel.h"
#include "ui/opt-drive.h"

#define OPT_SERIALS 4
#define OPT_ROM_DIRS 16
#define OPT_ACCELS 8
#define OPT_NETS 32
#define OPT_MONS 16

#ifdef CONFIG_VERSION
#define TRANSOM_VERSION_TEXT CONFIG_VERSION
#else
#define TRANSOM_VERSION_TEXT "0.1"
#endif

/** enum opt_action - what to do instead of running a machine */
enum opt_action { ACT_RUN, ACT_HELP, ACT_VERSION, ACT_CPU_HELP, ACT_LOG_HELP, ACT_ACCEL_HELP,
                  ACT_MACHINE_HELP, ACT_DEVICE_HELP, ACT_ROM_HELP, ACT_DISPLAY_HELP, ACT_CHARDEV_HELP,
                  ACT_TRACE_HELP, ACT_NETDEV_HELP, ACT_NIC_HELP };

/** struct opt_net - an option about networks; @val as given (network.c) */
enum opt_net_kind { NET_NETDEV, NET_NIC, NET_LEGACY, NET_DUMP };
struct opt_net {
    enum opt_net_kind kind;
    const char *val;
    char *own;                       /* @val when it was made here, or NULL */
};

/** struct opt_chardev - a -chardev */
struct opt_chardev {
    struct kv_list kv;
    char *text;                      /* as given, for messages */
    struct opt_chardev *next;
};

/** struct opt_object - a -object of the kinds that are only kept */
struct opt_object {
    const char *type;
    char *id;
    uint64_t bytes;                  /* of memory */
    char *filename;                  /* of rng-random */
    struct opt_object *next;
};

/** struct opt_mon - a monitor: -monitor, -mon, -qmp */
struct opt_mon {
    const char *option;
    char *spec;                      /* "chardev:ID" or a short spelling; owned */
    bool control, pretty;
};

/** struct options - the command line; "const" strings are those of argv */
struct options {
    enum opt_action action;
    struct machine_config cfg;       /* without back ends; rom_dirs is ours */
    struct x86_model model;
    struct accel_options accel;
    enum accel_irqchip irqchip;      /* -machine kernel-irqchip= */
    bool irqchip_given;
    char *accels[OPT_ACCELS];        /* -accel arguments, tried in order */
    unsigned n_accels;
    const char *serial[OPT_SERIALS]; /* chardev specs; "none", NULL: no port */
    unsigned n_serial;               /* the last that was named + 1 */
    char *serial_own[OPT_SERIALS], *debugcon_own; /* those that are not argv's */
    char serial_id[OPT_SERIALS][64]; /* of -device isa-serial */
    const char *monitor;             /* chardev spec, "none", or NULL: default */
    const char *debugcon;
    struct opt_chardev *chardevs;
    struct opt_mon mon[OPT_MONS];    /* @monitor is among them after options_parse() */
    unsigned n_mon;
    struct opt_object *objects;
    char *memory_backend;            /* -machine memory-backend= */
    bool no_machine;                 /* -machine none: a monitor to ask what there is */
    const char *gdb;                 /* chardev spec, "none" or NULL */
    const char *rom_dirs[OPT_ROM_DIRS + 2]; /* -L, then configure's */
    unsigned n_rom_dirs;
    struct opt_net net[OPT_NETS];
    unsigned n_net;
    const char *pidfile;
    const char *vnc;                 /* -vnc's argument, or NULL */
    const char *sdl;                 /* a window: its -display argument, or NULL */
    const char *vga;                 /* std, none, or NULL: default */
    char *name;
    char *pflash[2];                 /* cfg's */
    char *boot_order, *boot_once, *boot_splash; /* cfg's */
    struct opt_disks disks;
    struct icount_options icount;    /* copied to accel, like trace */
    struct trace_options trace;
    bool magic_break;                /* -magic-break */
    bool verify, verify_kvm;         /* -verify interp, -verify kvm */
    struct guest_symbols *symbols;   /* -symbols; the monitor adds to them */
    const char *log_items, *log_file, *log_filter;
    bool nographic, display_given, nodefaults, paused, daemonize, timestamps;
};

enum opt_group { GRP_STANDARD, GRP_KERNEL, GRP_DISKS, GRP_DEVICES, GRP_DISPLAY, GRP_RUN, GRP_DEBUG,
                 GRP_COUNT };

/** struct opt_row - one option; a row without @set is known but not built yet */
struct opt_row {
    const char *name;                /* without dash */
    const char *arg;                 /* as help shows it; NULL: takes none */
    enum opt_group group;
    const char *help;
    /** @val is NULL for options without argument; -errno with @e complete */
    int (*set)(struct options *o, const char *val, struct err *e);
};

/** options_table() - all rows, in the order of help */
const struct opt_row *options_table(size_t *n);

/**
 * options_parse() - read a command line
 * @o: filled in; points into @argv; for options_free(), also after an error
 * Returns 0, or -EINVAL with @e set to one line that names the option.
 */
int options_parse(struct options *o, int argc, char **argv, struct err *e) MUST_CHECK;

/** options_free() - what options_parse() allocated; not @o */
void options_free(struct options *o);

/** options_log() - carry out -d, -D and -dfilter; 0 or -errno with @e set */
int options_log(const struct options *o, struct err *e) MUST_CHECK;

/** options_info() - print what @o->action asks for (help.c) */
void options_info(const struct options *o, FILE *f);

/* options with a syntax of their own (opt-values.c); same contract as set() */
int opt_memory(struct options *o, const char *val, struct err *e);
int opt_smp(struct options *o, const char *val, struct err *e);
int opt_overcommit(struct options *o, const char *val, struct err *e);
int opt_machine(struct options *o, const char *val, struct err *e);
int opt_device(struct options *o, const char *val, struct err *e);
/* -global (opt-global.c) */
int opt_global(struct options *o, const char *val, struct err *e);
void opt_global_free(struct options *o);
int opt_usbdevice(struct options *o, const char *val, struct err *e);
int opt_rtc(struct options *o, const char *val, struct err *e);
int opt_boot(struct options *o, const char *val, struct err *e);
int opt_name(struct options *o, const char *val, struct err *e);
int opt_uuid(struct options *o, const char *val, struct err *e);
/* looking at execution (opt-debug.c) */
int opt_icount(struct options *o, const char *val, struct err *e);
int opt_trace(struct options *o, const char *val, struct err *e);
int opt_symbols(struct options *o, const char *val, struct err *e);
int opt_verify(struct options *o, const char *val, struct err *e);
/** trace_parse() - what -trace takes, added to @t; trace_complete() - is it all that is needed?
 *  0, or -errno with @e set, without the option's name */
int trace_parse(struct trace_options *t, const char *val, struct err *e) MUST_CHECK;
int trace_complete(struct trace_options *t, struct err *e) MUST_CHECK;
/** opt_verify_start() - with -verify: become two processes; @o is then what each is to run */
int opt_verify_start(struct options *o, struct err *e);
/** opt_trace_help() - list the events of -trace */
void opt_trace_help(FILE *f);
/** opt_debug_finish() - what of them depends on others; accel is chosen */
int opt_debug_finish(struct options *o, struct err *e);
void opt_debug_free(struct options *o);
/* networks (opt-net.c) */
int opt_netdev(struct options *o, const char *val, struct err *e);
int opt_nic(struct options *o, const char *val, struct err *e);
int opt_net(struct options *o, const char *val, struct err *e);
void opt_net_free(struct options *o);
/** net_list_text() - @l as net_backend_new() reads it, type first, commas doubled; to be freed.
 *  In lists of objects, as of hostfwd, the name in front is the key */
char *net_list_text(const struct kv_list *l);
int opt_filter_dump(struct options *o, const char *val, struct err *e);
int opt_msg(struct options *o, const char *val, struct err *e);
/* character devices and monitors (opt-chardev.c) */
int opt_chardev(struct options *o, const char *val, struct err *e);
int opt_monitor(struct options *o, const char *val, struct err *e);
int opt_mon(struct options *o, const char *val, struct err *e);
int opt_qmp(struct options *o, const char *val, struct err *e);
int opt_qmp_pretty(struct options *o, const char *val, struct err *e);
/* objects (opt-object.c) */
int opt_object(struct options *o, const char *val, struct err *e);
/** object_add() - check and append one to @list; @what: for messages. -errno with @e set */
int object_add(struct opt_object **list, const struct kv_list *kv, const char *what, struct err *e);
struct opt_object *object_find(struct opt_object *list, const char *id);
void objects_free(struct opt_object *list);
/** object_is_rng() - whether it is one of hw/misc/rng.h's */
bool object_is_rng(const struct opt_object *o);
/** objects_check() - whether what -machine names is there and fits */
int objects_check(const struct options *o, struct err *e) MUST_CHECK;
/** opt_char_device() - -device isa-serial and isa-debugcon; 1 when it is neither */
int opt_char_device(struct options *o, const char *val, struct err *e);
int opt_mon_add(struct options *o, const char *option, const char *spec, bool control, bool pretty,
                    struct err *e);
void opt_chardev_free(struct options *o);

#endif
