/*
 * console.c - character devices of a machine and who uses them: serial ports, debug
 * console, monitors
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include "ui/chardev-int.h"
#include "ui/commands-int.h"
#include "ui/monitor-int.h"
#include "ui/qmp.h"
#include "ui/run-int.h"

/* ---- requests to the main loop ---------------------------------------------------- */

void run_want(struct run *r, uint32_t what)
{
    __atomic_fetch_or(&r->want, what, __ATOMIC_SEQ_CST);
    loop_wake(r->m->loop);
}

/* ---- the list ---------------------------------------------------------------------- */

struct run_chr *run_chr_find(struct run *r, const char *id)
{
    for (unsigned i = 0; i < r->n_chr; i++)
        if (r->chr[i].id && !strcmp(r->chr[i].id, id))
            return &r->chr[i];
    return NULL;
}

static int list(struct run *r, struct chardev *chr, const char *id, bool used, struct err *e)
{
    if (r->n_chr == RUN_CHARDEVS) {
        chardev_free(chr);
        return err_set(e, -ENOSPC, "more than %d character devices", RUN_CHARDEVS);
    }
    r->chr[r->n_chr++] = (struct run_chr){ .chr = chr, .id = id ? xstrdup(id) : NULL, .used = used };
    return 0;
}

int run_chr_add(struct run *r, const struct kv_list *kv, const char *what, struct err *e)
{
    const char *id = kv_get(kv, "id");
    struct chardev *chr;

    if (!id || !*id)
        return err_set(e, -EINVAL, "%s: id= is wanted", what);
    if (run_chr_find(r, id))
        return err_set(e, -EEXIST, "%s: id '%s' is taken", what, id);
    chr = chardev_open(r->m->loop, kv, what, id, e);
    return chr ? list(r, chr, id, false, e) : -EINVAL;
}

int run_chr_remove(struct run *r, const char *id, struct err *e)
{
    struct run_chr *c = run_chr_find(r, id);

    if (!c)
        return err_set(e, -ENODEV, "Chardev '%s' not found", id);
    if (c->used)
        return err_set(e, -EBUSY, "Chardev '%s' is busy", id);
    chardev_free(c->chr);
    free(c->id);
    *c = r->chr[--r->n_chr];
    return 0;
}

struct chardev *run_chr_claim(struct run *r, const char *id, struct err *e)
{
    struct run_chr *c = run_chr_find(r, id);
    struct chardev *port;

    if (!c) {
        err_set(e, -ENODEV, "there is no character device '%s'", id);
        return NULL;
    }
    if (!c->used) {
        c->used = true;
        return c->chr;
    }
    port = chardev_mux_add(c->chr, id);
    if (!port)
        err_set(e, -EBUSY, "character device '%s' is in use (mux=on lets several share it)", id);
    else if (list(r, port, NULL, true, e) < 0)
        port = NULL;
    return port;
}

/* Another port of a multiplexer goes; the device itself waits for the next. */
void run_chr_release(struct run *r, struct chardev *chr)
{
    for (unsigned i = 0; i < r->n_chr; i++) {
        struct run_chr *c = &r->chr[i];

        if (c->chr != chr)
            continue;
        c->used = false;
        if (!c->id) {
            chardev_free(chr);
            *c = r->chr[--r->n_chr];
        }
        return;
    }
}

static struct chardev *chars_claim(void *opaque, const char *id, struct err *e)
{
    return run_chr_claim(opaque, id, e);
}

static void chars_release(void *opaque, struct chardev *c)
{
    run_chr_release(opaque, c);
}

const struct machine_chars run_chars = { chars_claim, chars_release, chardev_is_open };

/* ---- opening ------------------------------------------------------------------------ */

static void mux_quit(void *opaque)
{
    struct run *r = opaque;

    machine_request_shutdown(r->m, CAUSE_MONITOR, 0);
}

static void add_monitor(struct run *r, struct chardev *chr, bool control, bool pretty)
{
    struct run_mon *m = &r->mon[r->n_mon++];   /* no more of them than character devices */

    m->chr = chr;
    m->control = control;
    m->pretty = pretty;
}

/* A monitor at the other port of a mon: multiplexer. */
static int add_mux_monitor(struct run *r, struct chardev *chr, struct err *e)
{
    struct chardev *port = chardev_mux_add(chr, "monitor");

    if (!port || list(r, port, NULL, true, e) < 0)
        return -ENOSPC;
    add_monitor(r, port, false, false);
    return 0;
}

/* Back end for option @opt; in *@out, NULL for "none". */
static int open_one(struct run *r, const char *opt, const char *spec, const char *label,
                    struct chardev **out, struct err *e)
{
    struct err why = { "" };
    int ret = 0;

    *out = NULL;
    if (!strcmp(spec, "none"))
        return 0;
    if (!strncmp(spec, "chardev:", 8)) {
        *out = run_chr_claim(r, spec + 8, &why);
        return *out ? 0 : err_set(e, -EINVAL, "%s %s: %s", opt, spec, why.msg);
    }
    *out = chardev_new(r->m->loop, spec, label, &why);
    if (!*out)
        return err_set(e, -EINVAL, "%s %s", opt, why.msg);
    ret = list(r, *out, label, true, &why);
    if (ret == 0 && !strncmp(spec, "mon:", 4))
        ret = add_mux_monitor(r, *out, &why);
    return ret < 0 ? err_set(e, ret, "%s %s: %s", opt, spec, why.msg) : 0;
}

static int open_chardevs(struct run *r, struct err *e)
{
    for (const struct opt_chardev *c = r->opt->chardevs; c; c = c->next) {
        struct err why = { "" };

        if (run_chr_add(r, &c->kv, c->text, &why) < 0)
            return err_set(e, -EINVAL, "-chardev %s", why.msg);
    }
    return 0;
}

static int open_monitors(struct run *r, struct err *e)
{
    const struct options *o = r->opt;

    for (unsigned i = 0; i < o->n_mon; i++) {
        const struct opt_mon *m = &o->mon[i];
        struct chardev *chr;
        char label[32];

        snprintf(label, sizeof(label), "compat_monitor%u", i);
        if (open_one(r, m->option, m->spec, label, &chr, e) < 0)
            return -EINVAL;
        if (chr)
            add_monitor(r, chr, m->control, m->pretty);
    }
    return 0;
}

/* Ctrl-A x, whichever way the multiplexer came about. */
static void set_quit(struct run *r)
{
    for (unsigned i = 0; i < r->n_chr; i++)
        chardev_mux_on_quit(r->chr[i].chr, mux_quit, r);
}

int run_consoles(struct run *r, struct err *e)
{
    const struct options *o = r->opt;
    int ret = open_chardevs(r, e);

    for (unsigned i = 0; ret == 0 && i < o->n_serial; i++) {
        char label[32];

        snprintf(label, sizeof label, "serial%u", i);
        if (o->serial[i])
            ret = open_one(r, "-serial", o->serial[i], label, &r->m->cfg.serial[i], e);
    }
    if (ret == 0 && o->debugcon)
        ret = open_one(r, "-debugcon", o->debugcon, "debugcon", &r->m->cfg.debugcon, e);
    if (ret == 0)
        ret = open_monitors(r, e);
    set_quit(r);
    return ret;
}

void run_console_ids(struct run *r)
{
    static const uint16_t ports[OPT_SERIALS] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 };

    for (struct device *d = r->m->devices; d; d = d->next)
        for (unsigned i = 0; i < OPT_SERIALS; i++)
            if (d->port == ports[i] && !d->id && *r->opt->serial_id[i])
                d->id = xstrdup(r->opt->serial_id[i]);
}

/* ---- monitors ------------------------------------------------------------------------- */

static void hook_stop(void *opaque)
{
    run_want(opaque, WANT_STOP);
}

static void hook_cont(void *opaque)
{
    run_want(opaque, WANT_CONT);
}

struct monitor_hooks run_monitor_hooks(struct run *r)
{
    struct monitor_hooks hooks = { .opaque = r, .stop = hook_stop, .cont = hook_cont };

    if (r->accel) {
        hooks.registers = run_hook_registers;
        hooks.translate = run_hook_translate;
        hooks.reg = run_hook_reg;
        hooks.list = run_hook_list;
        hooks.log_changed = run_hook_log_changed;
        hooks.trace = run_hook_trace;
        hooks.tracing = run_hook_tracing;
        hooks.symbols = run_hook_symbols;
    }
    return hooks;
}

static void add_tables(struct monitor *mon, bool with_vcpus)
{
    static const struct monitor_cmd *const commands[] = {
        network_commands, disk_commands, display_commands, machine_commands, trace_commands,
    }, *const infos[] = {
        network_infos, disk_infos, display_infos, device_infos, balloon_infos, machine_infos, bus_infos,
        state_infos,
    };

    if (with_vcpus) {
        monitor_add_commands(mon, vcpu_commands);
        monitor_add_info(mon, cpu_infos);
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        monitor_add_commands(mon, commands[i]);
    for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
        monitor_add_info(mon, infos[i]);
    for (size_t i = 0; run_commands[i]; i++)
        if (run_commands[i] != basic_commands)
            monitor_add_typed(mon, run_commands[i]);
}

struct monitor *run_monitor_new(struct run *r, struct chardev *chr)
{
    struct monitor_hooks hooks = run_monitor_hooks(r);
    struct monitor *mon = monitor_new(r->m, chr, &hooks);

    add_tables(mon, r->accel);
    return mon;
}

int run_monitors(struct run *r, struct err *e)
{
    for (unsigned i = 0; i < r->n_mon; i++) {
        struct run_mon *m = &r->mon[i];

        if (m->control) {
            m->qmp = qmp_new(r, m->chr, m->pretty, e);
            if (!m->qmp)
                return -ENOTSUP;
        } else {
            m->mon = run_monitor_new(r, m->chr);
            m->mon->hooks.resumes = true;
        }
    }
    return 0;
}

bool run_monitors_resume(struct run *r)
{
    bool again = false;

    for (unsigned i = 0; i < r->n_mon; i++) {
        if (r->mon[i].mon)
            again |= monitor_resume(r->mon[i].mon);
        if (r->mon[i].qmp)
            again |= qmp_resume(r->mon[i].qmp);
    }
    return again;
}

void run_event(void *opaque, const char *name, const char *data)
{
    struct run *r = opaque;

    machine_lock(r->m);
    for (unsigned i = 0; i < r->n_mon; i++)
        if (r->mon[i].qmp)
            qmp_event(r->mon[i].qmp, name, data);
    machine_unlock(r->m);
}

static void tell_deleted(struct run *r, const struct device *d, const char *id, const char *suffix)
{
    struct jw w = { .text = NULL };
    char *path = device_path(r->m, d, suffix);

    jw_open(&w, NULL);
    if (id)
        jw_str(&w, "device", id);
    jw_str(&w, "path", path);
    jw_close(&w);
    run_event(r, "DEVICE_DELETED", w.text);
    jw_free(&w);
    free(path);
}

/* @opaque: struct run; programs think of a virtio device as two, the card and what is behind it */
void run_device_deleted(void *opaque, const struct device *d)
{
    if (!strncmp(d->type->name, "virtio-", 7))
        tell_deleted(opaque, d, NULL, "/virtio-backend");
    tell_deleted(opaque, d, d->id, "");
}

void run_monitors_free(struct run *r)
{
    for (unsigned i = 0; i < r->n_mon; i++) {
        monitor_free(r->mon[i].mon);
        qmp_free(r->mon[i].qmp);
    }
    r->n_mon = 0;
}

void run_consoles_free(struct run *r)
{
    for (unsigned i = r->n_chr; i-- > 0; ) {
        chardev_free(r->chr[i].chr);
        free(r->chr[i].id);
    }
    r->n_chr = 0;
}
