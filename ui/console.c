/*
 * console.c - serial ports, debug console and monitors of a machine
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "ui/run-int.h"

/* ---- monitor hooks -------------------------------------------------------------- */

void run_want(struct run *r, uint32_t what)
{
    __atomic_fetch_or(&r->want, what, __ATOMIC_SEQ_CST);
    loop_wake(r->m->loop);
}

static void hook_stop(void *opaque)
{
    run_want(opaque, WANT_STOP);
}

static void hook_cont(void *opaque)
{
    run_want(opaque, WANT_CONT);
}

static struct x86_cpu *cpu_of(struct run *r)
{
    return accel_cpu(r->accel, 0);
}

/*
 * The vCPU may need the machine lock to come to a stand, so it gets it for that
 * long: this is a callback of the loop, which took the lock once. If somebody
 * took it again, hold() gives up and the values are a little old.
 */
static struct x86_cpu *hold_cpu(struct run *r)
{
    machine_unlock(r->m);
    accel_hold(r->accel);
    machine_lock(r->m);
    return cpu_of(r);
}

static void release_cpu(struct run *r)
{
    accel_release(r->accel);
}

static void hook_registers(void *opaque, struct monitor *mon)
{
    struct run *r = opaque;
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return;
    x86_log_cpu(&hold_cpu(r)->tcg, f);
    release_cpu(r);
    fclose(f);
    monitor_printf(mon, "%s", text);
    free(text);
}

static bool hook_translate(void *opaque, gva_t va, gpa_t *pa)
{
    bool ok = x86_debug_walk(hold_cpu(opaque), va, pa);

    release_cpu(opaque);
    return ok;
}

static bool find_reg(const struct x86_cpu *cpu, const char *name, uint64_t *val)
{
    static const char *const names[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                           "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
    static const char *const seg[S_COUNT] = { "es", "cs", "ss", "ds", "fs", "gs" };
    const struct { const char *name; uint64_t val; } others[] = {
        { "rip", cpu->tcg.pc }, { "pc", cpu->tcg.pc }, { "cr0", cpu->cr0 }, { "cr2", cpu->cr2 },
        { "cr3", cpu->cr3 }, { "cr4", cpu->cr4 }, { "efer", cpu->efer },
        { "eip", (uint32_t)cpu->tcg.pc }, { "eflags", x86_get_eflags(cpu) },
    };

    for (unsigned i = 0; i < 16; i++) {
        bool low = i < 8 && name[0] == 'e' && !strcmp(name + 1, names[i] + 1);

        if (low || !strcmp(name, names[i])) {
            *val = low ? (uint32_t)GPR(cpu, i) : GPR(cpu, i);
            return true;
        }
    }
    for (unsigned i = 0; i < S_COUNT; i++)
        if (!strcmp(name, seg[i])) {
            *val = cpu->seg[i].sel;
            return true;
        }
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
        if (!strcmp(name, others[i].name)) {
            *val = others[i].val;
            return true;
        }
    return false;
}

static bool hook_reg(void *opaque, const char *name, uint64_t *val)
{
    bool ok = find_reg(hold_cpu(opaque), name, val);

    release_cpu(opaque);
    return ok;
}

static void info_jit(struct monitor *mon, char *rest)
{
    struct run *r = monitor_hooks(mon)->opaque;
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return;
    accel_info(r->accel, f);
    fclose(f);
    monitor_printf(mon, "%s", text);
    free(text);
}

/* "info profile [TOP [DISAS]]" */
static void info_profile(struct monitor *mon, char *rest)
{
    struct run *r = monitor_hooks(mon)->opaque;
    unsigned top = 20, disas = 0;
    char *text = NULL;
    size_t len;
    FILE *f;

    if (*rest && sscanf(rest, "%u %u", &top, &disas) < 1) {
        monitor_printf(mon, "info profile: how many blocks, how many of them with their code?\n");
        return;
    }
    f = open_memstream(&text, &len);
    if (!f)
        return;
    bool counted = accel_profile(r->accel, f, top, disas);
    fclose(f);
    if (counted)
        monitor_printf(mon, "%s", text);
    else
        monitor_printf(mon, "nothing is counted without -accel tcg,profile=on\n");
    free(text);
}

/* As stop, another accelerator, cont; the vCPUs may need the lock to come to a stand. */
static void cmd_accel(struct monitor *mon, char *rest)
{
    struct run *r = monitor_hooks(mon)->opaque;
    bool running = r->m->run_state == RUN_RUNNING;
    struct err e = { "" };

    if (!*rest) {
        monitor_printf(mon, "%s\n", accel_name(r->accel));
        return;
    }
    machine_unlock(r->m);
    if (!accel_hold(r->accel)) {
        monitor_printf(mon, "accel %s: a vCPU does not stop; try again\n", rest);
    } else {
        if (running)
            r->m->accel->pause_all(r->m);
        if (accel_switch(r->accel, rest, &e) < 0)
            monitor_printf(mon, "accel %s: %s\n", rest, e.msg);
        if (running)
            r->m->accel->resume_all(r->m);
    }
    accel_release(r->accel);
    machine_lock(r->m);
}

static void info_chardev(struct monitor *mon, char *rest)
{
    struct run *r = monitor_hooks(mon)->opaque;

    for (unsigned i = 0; i < r->n_chr; i++)
        monitor_printf(mon, "%s: filename=%s\n", r->chr[i]->label, chardev_desc(r->chr[i]));
}

static const struct monitor_cmd commands[] = {
    { "accel", "[tcg|kvm]", "what runs the vCPUs: tell, or have another take over", cmd_accel },
    { NULL, NULL, NULL, NULL }
};

static const struct monitor_cmd infos[] = {
    { "accel", "", "what runs the vCPUs, and why", info_jit },
    { "jit", "", "accelerator and its statistics", info_jit },
    { "profile", "[TOP [DISAS]]", "where the time goes: TOP hottest blocks, DISAS of them with code", info_profile },
    { "chardev", "", "character devices", info_chardev },
    { NULL, NULL, NULL, NULL }
};

/* ---- opening ------------------------------------------------------------------------ */

static void mux_quit(void *opaque)
{
    struct run *r = opaque;

    machine_request_shutdown(r->m, CAUSE_MONITOR, 0);
}

/* A monitor at the other port of a mon: multiplexer, or NULL in @port for none. */
static void add_mux_monitor(struct run *r, struct chardev *chr)
{
    struct chardev *port = r->n_chr < RUN_CHARDEVS ? chardev_mux_add(chr, "monitor") : NULL;

    chardev_mux_on_quit(chr, mux_quit, r);
    if (port)
        r->chr[r->n_chr++] = port;
}

/* Back end for option @opt; in *@out, NULL for "none". */
static int open_one(struct run *r, const char *opt, const char *spec, const char *label,
                    struct chardev **out, struct err *e)
{
    struct err why = { "" };

    *out = NULL;
    if (!strcmp(spec, "none"))
        return 0;
    if (r->n_chr == RUN_CHARDEVS)
        return err_set(e, -ENOSPC, "%s %s: too many", opt, spec);
    *out = chardev_new(r->m->loop, spec, label, &why);
    if (!*out)
        return err_set(e, -EINVAL, "%s %s", opt, why.msg);
    r->chr[r->n_chr++] = *out;
    if (!strncmp(spec, "mon:", 4))
        add_mux_monitor(r, *out);
    return 0;
}

int run_consoles(struct run *r, struct err *e)
{
    const struct options *o = r->opt;
    struct chardev *mon;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < o->n_serial; i++) {
        char label[24];

        snprintf(label, sizeof label, "serial%u", i);
        ret = open_one(r, "-serial", o->serial[i], label, &r->m->cfg.serial[i], e);
    }
    if (ret == 0 && o->debugcon)
        ret = open_one(r, "-debugcon", o->debugcon, "debugcon", &r->m->cfg.debugcon, e);
    if (ret == 0 && o->monitor)
        ret = open_one(r, "-monitor", o->monitor, "monitor", &mon, e);
    return ret;
}

struct monitor *run_monitor_new(struct run *r, struct chardev *chr)
{
    const struct monitor_hooks hooks = {
        .opaque = r, .stop = hook_stop, .cont = hook_cont, .registers = hook_registers,
        .translate = hook_translate, .reg = hook_reg,
    };
    struct monitor *mon = monitor_new(r->m, chr, &hooks);

    monitor_add_commands(mon, network_commands);
    monitor_add_info(mon, network_infos);
    monitor_add_commands(mon, disk_commands);
    monitor_add_info(mon, disk_infos);
    monitor_add_commands(mon, display_commands);
    monitor_add_info(mon, display_infos);
    monitor_add_commands(mon, device_commands);
    monitor_add_info(mon, device_infos);
    monitor_add_info(mon, infos);
    monitor_add_commands(mon, commands);
    return mon;
}

void run_monitors(struct run *r)
{
    for (unsigned i = 0; i < r->n_chr; i++)
        if (!strcmp(r->chr[i]->label, "monitor"))
            r->mon[r->n_mon++] = run_monitor_new(r, r->chr[i]);
}

void run_consoles_free(struct run *r)
{
    for (unsigned i = r->n_chr; i-- > 0; )
        chardev_free(r->chr[i]);
    r->n_chr = 0;
}
