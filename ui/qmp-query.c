/*
 * qmp-query.c - what programs ask about the emulator and the machine as a whole
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "hw/input/input.h"
#include "ui/commands-int.h"
#include "ui/display.h"
#include "ui/monitor-int.h"
#include "ui/options.h"

/* ---- the emulator ----------------------------------------------------------------- */

static int query_version(struct call *c, struct err *e)
{
    jw_open(c->out, NULL);
    jw_open(c->out, "qemu");
    jw_int(c->out, "micro", 0);
    jw_int(c->out, "minor", 2);
    jw_int(c->out, "major", 7);
    jw_close(c->out);
    jw_str(c->out, "package", "Transom " TRANSOM_VERSION_TEXT);
    jw_close(c->out);
    return 0;
}

static int query_commands_list(struct call *c, struct err *e)
{
    jw_open_array(c->out, NULL);
    for (size_t t = 0; run_commands[t]; t++)
        for (const struct command *k = run_commands[t]; k->hmp || k->qmp; k++) {
            if (!k->qmp)
                continue;
            jw_open(c->out, NULL);
            jw_str(c->out, "name", k->qmp);
            jw_close(c->out);
        }
    jw_close(c->out);
    return 0;
}

static int capabilities_again(struct call *c, struct err *e)
{
    c->class = CLASS_COMMAND_NOT_FOUND;
    return err_set(e, -EINVAL, "Capabilities negotiation is already complete, command ignored");
}

static int query_target(struct call *c, struct err *e)
{
    jw_open(c->out, NULL);
    jw_str(c->out, "arch", "x86_64");
    jw_close(c->out);
    return 0;
}

/* ---- accelerators --------------------------------------------------------------------- */

static bool kvm_present(void)
{
    struct accel_options o;
    struct err e;

    return accel_parse("kvm", &o, &e) == 0;
}

/* Without a machine: what would be taken. */
static bool kvm_enabled(const struct call *c)
{
    return c->run->accel ? !strcmp(accel_name(c->run->accel), "kvm") : c->run->opt->accel.ops == &accel_kvm;
}

static int query_kvm(struct call *c, struct err *e)
{
    jw_open(c->out, NULL);
    jw_bool(c->out, "enabled", kvm_enabled(c));
    jw_bool(c->out, "present", kvm_present());
    jw_close(c->out);
    return 0;
}

static int query_accelerators(struct call *c, struct err *e)
{
    jw_open(c->out, NULL);
    jw_str(c->out, "enabled", kvm_enabled(c) ? "kvm" : "tcg");
    jw_open_array(c->out, "present");
    if (kvm_present())
        jw_str(c->out, NULL, "kvm");
    jw_str(c->out, NULL, "tcg");
    jw_close(c->out);
    jw_close(c->out);
    return 0;
}

/* ---- the machine ------------------------------------------------------------------------ */

static int query_status(struct call *c, struct err *e)
{
    static const char *const names[] = {
        [RUN_PRELAUNCH] = "prelaunch", [RUN_RUNNING] = "running", [RUN_PAUSED] = "paused",
        [RUN_SHUTDOWN] = "shutdown",
    };
    enum run_state s = c->m->run_state;

    jw_open(c->out, NULL);
    jw_bool(c->out, "running", s == RUN_RUNNING);
    jw_str(c->out, "status", s == RUN_PAUSED && c->run->io_error ? "io-error" : names[s]);
    jw_close(c->out);
    return 0;
}

static int query_name(struct call *c, struct err *e)
{
    jw_open(c->out, NULL);
    if (c->run->opt->name)
        jw_str(c->out, "name", c->run->opt->name);
    jw_close(c->out);
    return 0;
}

static int query_uuid(struct call *c, struct err *e)
{
    const char *uuid = c->m->cfg.uuid;

    jw_open(c->out, NULL);
    jw_str(c->out, "UUID", uuid ? uuid : "00000000-0000-0000-0000-000000000000");
    jw_close(c->out);
    return 0;
}

static void machine_row(struct jw *w, const char *name, const char *alias, bool is_default)
{
    jw_open(w, NULL);
    jw_str(w, "name", name);
    jw_str(w, "alias", alias);
    if (is_default)
        jw_bool(w, "is-default", true);
    jw_int(w, "cpu-max", MAX_VCPUS);
    jw_bool(w, "hotpluggable-cpus", false);
    jw_bool(w, "numa-mem-supported", false);
    jw_bool(w, "deprecated", false);
    jw_str(w, "default-cpu-type", "qemu64-x86_64-cpu");
    jw_str(w, "default-ram-id", "pc.ram");
    jw_bool(w, "acpi", true);
    jw_close(w);
}

static int query_machines(struct call *c, struct err *e)
{
    jw_open_array(c->out, NULL);
    machine_row(c->out, "pc-i440fx-transom", "pc", true);
    machine_row(c->out, "pc-q35-transom", "q35", false);
    jw_close(c->out);
    return 0;
}

static int query_memory_size(struct call *c, struct err *e)
{
    jw_open(c->out, NULL);
    jw_uint(c->out, "base-memory", c->m->cfg.ram_bytes);
    jw_close(c->out);
    return 0;
}

static int query_none(struct call *c, struct err *e)
{
    jw_open_array(c->out, NULL);
    jw_close(c->out);
    return 0;
}

/* ---- pointer ---------------------------------------------------------------------------- */

static void write_pointer(void *opaque, const struct input_pointer *p)
{
    struct jw *w = opaque;

    jw_open(w, NULL);
    jw_str(w, "name", p->name);
    jw_int(w, "index", p->number);
    jw_bool(w, "current", p->used);
    jw_bool(w, "absolute", p->absolute);
    jw_close(w);
}

static int query_mice(struct call *c, struct err *e)
{
    jw_open_array(c->out, NULL);
    input_list(c->m, write_pointer, c->out);
    jw_close(c->out);
    return 0;
}

/* ---- options of the command line ------------------------------------------------------------------ */

static const struct { const char *option, *params; } params[] = {
    { "machine", "type:string accel:string acpi:boolean hpet:boolean pit:boolean pflash0:string "
                 "pflash1:string memory-backend:string" },
    { "smp-opts", "cpus:number sockets:number dies:number cores:number threads:number maxcpus:number" },
    { "memory", "size:size" },
    { "boot-opts", "order:string once:string menu:boolean splash:string splash-time:number "
                   "reboot-timeout:number strict:boolean" },
    { "rtc", "base:string clock:string driftfix:string" },
    { "name", "guest:string process:string debug-threads:boolean" },
    { "msg", "timestamp:boolean guest-name:boolean" },
    { "chardev", "backend:string id:string path:string host:string port:string fd:string server:boolean "
                 "wait:boolean telnet:boolean reconnect:number reconnect-ms:number mux:boolean "
                 "logfile:string logappend:boolean append:boolean signal:boolean size:size" },
    { "mon", "mode:string chardev:string pretty:boolean" },
    { "drive", "bus:number unit:number if:string file:string index:number id:string media:string "
               "format:string serial:string rerror:string werror:string read-only:boolean "
               "cache:string aio:string discard:string detect-zeroes:string snapshot:boolean" },
    { "netdev", "type:string id:string" },
    { "object", "qom-type:string id:string" },
    { "overcommit", "mem-lock:boolean" },
};

static void write_params(struct jw *w, const char *text)
{
    while (*text) {
        size_t name = strcspn(text, ":"), type = strcspn(text + name + 1, " ");

        jw_open(w, NULL);
        jw_strf(w, "name", "%.*s", (int)name, text);
        jw_strf(w, "type", "%.*s", (int)type, text + name + 1);
        jw_close(w);
        text += name + 1 + type;
        text += *text == ' ';
    }
}

static int query_options(struct call *c, struct err *e)
{
    const char *only = jv_text(c->args, "option");
    bool found = !only;

    jw_open_array(c->out, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
        if (only && strcmp(only, params[i].option))
            continue;
        found = true;
        jw_open(c->out, NULL);
        jw_str(c->out, "option", params[i].option);
        jw_open_array(c->out, "parameters");
        write_params(c->out, params[i].params);
        jw_close(c->out);
        jw_close(c->out);
    }
    jw_close(c->out);
    return found ? 0 : err_set(e, -EINVAL, "invalid option name: %.64s", only);
}

/* ---- what a client sets up ------------------------------------------------------------------------ */

/* There is no migration, so there is nothing to switch on but the events that it would have. */
static int migrate_set_capabilities(struct call *c, struct err *e)
{
    const struct jv *list = jv_get(c->args, "capabilities");

    if (list->type != JV_ARRAY)
        return err_set(e, -EINVAL, "Invalid parameter type for 'capabilities', expected: array");
    for (const struct jv *v = list->child; v; v = v->next) {
        const char *name = jv_text(v, "capability");

        if (!name || (strcmp(name, "events") && jv_flag(v, "state", false)))
            return err_set(e, -ENOTSUP, "capability '%.64s' is not supported", name ? name : "");
    }
    return 0;
}

static int query_migrate_capabilities(struct call *c, struct err *e)
{
    jw_open_array(c->out, NULL);
    jw_open(c->out, NULL);
    jw_bool(c->out, "state", true);
    jw_str(c->out, "capability", "events");
    jw_close(c->out);
    jw_close(c->out);
    return 0;
}

static int query_migrate(struct call *c, struct err *e)
{
    return 0;
}

static int query_hotpluggable_cpus(struct call *c, struct err *e)
{
    return err_set(e, -ENOTSUP, "machine does not support hot-plugging CPUs");
}

/* What happens by itself can be asked for, nothing else. */
static int set_action(struct call *c, struct err *e)
{
    static const struct { const char *key, *yes; } rows[] = {
        { "reboot", "reset" }, { "shutdown", "poweroff" }, { "panic", "pause" }, { "watchdog", "reset" },
    };
    struct machine_config *cfg = &c->m->cfg;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *v = jv_text(c->args, rows[i].key);
        bool known = !v || !strcmp(v, rows[i].yes) || (i == 0 && !strcmp(v, "shutdown")) ||
                     (i == 1 && !strcmp(v, "pause"));

        if (!known)
            return err_set(e, -ENOTSUP, "%s=%.32s is not supported", rows[i].key, v);
    }
    if (jv_text(c->args, "reboot"))
        cfg->no_reboot = !strcmp(jv_text(c->args, "reboot"), "shutdown");
    if (jv_text(c->args, "shutdown"))
        cfg->no_shutdown = !strcmp(jv_text(c->args, "shutdown"), "pause");
    return 0;
}

/* The answer is one string: at the prompt it is what is printed. */
static int human_monitor_command(struct call *c, struct err *e)
{
    int64_t cpu = jv_number(c->args, "cpu-index", 0);
    char *text;

    if (cpu < 0 || cpu >= (int64_t)MAX(c->m->n_vcpus, 1u))
        return err_set(e, -EINVAL, "there is no vCPU %lld", (long long)cpu);
    text = qmp_capture(c->run, jv_text(c->args, "command-line"), (unsigned)cpu);
    jw_str(c->out, NULL, text);
    free(text);
    c->wait = true;                    /* it may have been "stop" */
    return 0;
}

const struct command query_commands[] = {
    { .qmp = "qmp_capabilities", .args = "enable:j?", .run = capabilities_again },
    { .qmp = "query-version", .returns = "any", .run = query_version },
    { .qmp = "query-commands", .returns = "any", .run = query_commands_list },
    { .qmp = "query-target", .returns = "any", .run = query_target },
    { .qmp = "query-kvm", .returns = "any", .run = query_kvm },
    { .qmp = "query-accelerators", .returns = "any", .run = query_accelerators },
    { .qmp = "query-status", .returns = "any", .run = query_status },
    { .qmp = "query-name", .returns = "any", .run = query_name },
    { .qmp = "query-uuid", .returns = "any", .run = query_uuid },
    { .qmp = "query-machines", .returns = "any", .run = query_machines },
    { .qmp = "query-memory-size-summary", .returns = "any", .run = query_memory_size },
    { .qmp = "query-iothreads", .returns = "any", .run = query_none },
    { .qmp = "query-stats", .args = "target:s,*", .returns = "any", .run = query_none },
    { .qmp = "query-stats-schemas", .args = "provider:s?", .returns = "any", .run = query_none },
    { .qmp = "query-hotpluggable-cpus", .returns = "any", .run = query_hotpluggable_cpus },
    { .qmp = "query-fdsets", .returns = "any", .run = query_none },
    { .qmp = "query-tpm-models", .returns = "any", .run = query_none },
    { .qmp = "query-tpm-types", .returns = "any", .run = query_none },
    { .qmp = "query-mice", .returns = "any", .run = query_mice },
    { .qmp = "query-command-line-options", .args = "option:s?", .returns = "any", .run = query_options },
    { .qmp = "query-migrate", .run = query_migrate },
    { .qmp = "query-migrate-capabilities", .returns = "any", .run = query_migrate_capabilities },
    { .qmp = "migrate-set-capabilities", .args = "capabilities:j", .run = migrate_set_capabilities },
    { .qmp = "set-action", .args = "reboot:s?,shutdown:s?,panic:s?,watchdog:s?", .run = set_action },
    { .qmp = "human-monitor-command", .args = "command-line:s,cpu-index:i?", .returns = "str",
      .run = human_monitor_command },
    { .hmp = NULL }
};
