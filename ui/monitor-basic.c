/*
 * monitor-basic.c - the commands that every monitor has: help, info, run control, log
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "hw/acpi/pm.h"
#include "hw/display/vga.h"
#include "ui/monitor-int.h"
#include "ui/options.h"

/* ---- run control, for people and programs ----------------------------------------- */

static int run_hook(struct call *c, const char *name, void (*hook)(void *), struct err *e)
{
    if (!hook)
        return err_set(e, -ENOTSUP, "%s: not available", name);
    hook(c->hooks->opaque);
    c->wait = true;
    return 0;
}

static int cmd_stop(struct call *c, struct err *e)
{
    return run_hook(c, "stop", c->hooks->stop, e);
}

static int cmd_cont(struct call *c, struct err *e)
{
    return run_hook(c, "cont", c->hooks->cont, e);
}

static int cmd_quit(struct call *c, struct err *e)
{
    machine_request_shutdown(c->m, CAUSE_MONITOR, 0);
    return 0;
}

static int cmd_system_reset(struct call *c, struct err *e)
{
    machine_request_reset(c->m, CAUSE_MONITOR);
    c->wait = true;
    return 0;
}

static int cmd_system_powerdown(struct call *c, struct err *e)
{
    machine_request_powerdown(c->m);
    c->wait = true;
    return 0;
}

static int cmd_system_wakeup(struct call *c, struct err *e)
{
    if (!pm_wakeup(c->m))
        return err_set(e, -EINVAL, "Unable to wake up: guest is not in suspended state");
    c->wait = true;
    return 0;
}

const struct command basic_commands[] = {
    { .hmp = "quit|q", .qmp = "quit", .help = "end the emulator", .run = cmd_quit },
    { .hmp = "stop|s", .qmp = "stop", .help = "stop the virtual CPUs", .run = cmd_stop },
    { .hmp = "cont|c", .qmp = "cont", .help = "let them run", .run = cmd_cont },
    { .hmp = "system_reset", .qmp = "system_reset", .help = "reset the machine", .run = cmd_system_reset },
    { .hmp = "system_powerdown", .qmp = "system_powerdown", .help = "press the power button",
      .run = cmd_system_powerdown },
    { .hmp = "system_wakeup", .qmp = "system_wakeup", .help = "end the sleep of a guest suspended to RAM",
      .run = cmd_system_wakeup },
    { .hmp = NULL }
};

/* ---- help, info, log ------------------------------------------------------------------ */

static void cmd_info(struct monitor *mon, char *rest)
{
    if (*rest)
        monitor_info(mon, rest);
    else
        monitor_help_info(mon);
}

static void cmd_cpu(struct monitor *mon, char *rest)
{
    char *end;
    unsigned long n = strtoul(rest, &end, 0);

    if (!*rest || *end || n >= MAX(mon->machine->n_vcpus, 1u))
        monitor_printf(mon, "cpu: a vCPU from 0 to %u is wanted\n", MAX(mon->machine->n_vcpus, 1u) - 1);
    else
        mon->cpu = (unsigned)n;
}

static void cmd_log(struct monitor *mon, char *rest)
{
    const struct monitor_hooks *hooks = monitor_hooks(mon);
    const char *advice = NULL;
    struct err e = { "" };

    if (!*rest)
        monitor_printf(mon, "log: which items? (none, all, or as -d help lists them)\n");
    else if (log_set_items(rest, &e) < 0)
        monitor_printf(mon, "log: %s\n", e.msg);
    else if (hooks->log_changed)
        advice = hooks->log_changed(hooks->opaque);
    if (advice)
        monitor_printf(mon, "log: %s\n", advice);
}

static void cmd_logfile(struct monitor *mon, char *rest)
{
    struct err e = { "" };

    if (!*rest)
        monitor_printf(mon, "logfile: which file?\n");
    else if (log_set_file(rest, &e) < 0)
        monitor_printf(mon, "logfile: %s\n", e.msg);
}

const struct monitor_cmd monitor_basics[] = {
    { "help|?", "[COMMAND]", "list commands", cmd_help },
    { "info", "[ITEM]", "show state; alone: list the items", cmd_info },
    { "cpu", "N", "the vCPU that x, print and info registers look at", cmd_cpu },
    { "log", "ITEM[,...]", "choose what is logged, as with -d", cmd_log },
    { "logfile", "FILE", "log to FILE, as with -D", cmd_logfile },
    { "x", "/FMT ADDR", "dump virtual memory", cmd_x },
    { "xp", "/FMT ADDR", "dump physical memory", cmd_xp },
    { "print|p", "/FMT EXPR", "calculate", cmd_print },
    { "gva2gpa", "ADDR", "physical address of a virtual one", cmd_gva2gpa },
    { NULL, NULL, NULL, NULL }
};

/* ---- info ------------------------------------------------------------------------- */

static void info_version(struct monitor *mon, char *rest)
{
    monitor_printf(mon, "Transom %s\n", TRANSOM_VERSION_TEXT);
}

static void info_status(struct monitor *mon, char *rest)
{
    static const char *const names[] = {
        [RUN_PRELAUNCH] = "paused (prelaunch)", [RUN_RUNNING] = "running",
        [RUN_PAUSED] = "paused", [RUN_SHUTDOWN] = "paused (shutdown)",
    };

    monitor_printf(mon, "VM status: %s\n", names[mon->machine->run_state]);
}

static void info_registers(struct monitor *mon, char *rest)
{
    bool all = !strcmp(rest, "-a");

    if (*rest && !all)
        monitor_printf(mon, "usage: info registers [-a]\n");
    else if (mon->hooks.registers)
        mon->hooks.registers(mon->hooks.opaque, mon, all);
    else
        monitor_printf(mon, "info registers: not available\n");
}

static void info_mtree(struct monitor *mon, char *rest)
{
    static const char *const kinds[] = { "ram", "rom", "i/o" };
    const struct mem_map *mm = &mon->machine->mem;

    monitor_printf(mon, "memory, as it answers:\n");
    for (size_t i = 0; i < mm->n_flat; i++) {
        const struct mem_flat *f = &mm->flat[i];

        monitor_printf(mon, "  %016llx-%016llx (prio %d, %s): %s @%016llx\n",
                       (unsigned long long)f->base,
                       (unsigned long long)(f->base + f->len - 1), f->region->prio,
                       kinds[f->region->kind], f->region->name,
                       (unsigned long long)f->offset);
    }
}

static void info_screen(struct monitor *mon, char *rest)
{
    struct vga_text *t = xmalloc(sizeof(*t));
    char row[260];

    if (!mon->machine->vga)
        monitor_printf(mon, "no VGA\n");
    else if (vga_text_snapshot(mon->machine->vga, t) < 0)
        monitor_printf(mon, "no text mode\n");
    else
        for (unsigned r = 0; r < t->rows; r++) {
            vga_text_row(t, r, row, sizeof(row));
            monitor_printf(mon, "%s\n", row);
        }
    free(t);
}

static void info_history(struct monitor *mon, char *rest)
{
    const struct line *l = &mon->line;
    unsigned n = 0;

    while (n < HISTORY_LINES && l->history[n])
        n++;
    for (unsigned i = 0; i < n; i++)
        monitor_printf(mon, "%u: '%s'\n", i, l->history[n - 1 - i]);
}

const struct monitor_cmd monitor_basic_infos[] = {
    { "version", "", "version of the emulator", info_version },
    { "status", "", "whether the machine runs", info_status },
    { "registers", "[-a]", "CPU registers; -a: of all vCPUs", info_registers },
    { "mtree", "", "memory map", info_mtree },
    { "screen", "", "the text screen", info_screen },
    { "history", "", "lines typed", info_history },
    { NULL, NULL, NULL, NULL }
};
