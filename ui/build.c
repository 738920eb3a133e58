/*
 * build.c - putting a machine together and taking it apart
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <unistd.h>
#include "net/net.h"
#include "ui/run-int.h"

/* Nothing but monitors, for programs that want to know what there is. */
static int build_none(struct run *r, struct err *e)
{
    int ret = run_consoles(r, e);

    r->m->net = net_new(r->m->loop, &r->m->timers);
    if (ret == 0)
        ret = run_prepare(r, e);
    return ret;
}

int run_build(struct run *r, struct err *e)
{
    const struct options *o = r->opt;
    int ret;

    r->m = machine_new(&o->cfg, e);
    if (!r->m)
        return -ENOMEM;
    clock_pause(&r->m->clock);             /* until the first cont */
    r->m->chars = &run_chars;
    r->m->chars_opaque = r;
    r->m->event = run_event;
    r->m->event_opaque = r;
    r->m->device_deleted = run_device_deleted;
    r->m->device_deleted_opaque = r;
    if (o->no_machine)
        return build_none(r, e);
    if (o->accel.warning[0])
        fprintf(stderr, "transom: warning: %s%s\n", o->accel.warning,
                o->accel.ops == &accel_bt ? " (so the translator runs the CPU)" : "");
    r->accel = accel_new(r->m, &o->model, &o->accel, e);
    if (!r->accel)
        return -EIO;
    ret = run_consoles(r, e);
    if (ret == 0)
        ret = run_gdb_open(r, e);
    if (ret == 0)
        ret = run_netdevs(r, e);
    if (ret == 0)
        ret = run_objects(r, e);
    if (ret == 0)
        ret = run_drives(r, e);
    if (ret == 0)
        ret = pc_board(r->m, e);
    run_console_ids(r);
    if (ret == 0)
        ret = run_nics(r, e);              /* first: people expect the card in slot 3 */
    if (ret == 0)
        ret = run_disks(r, e);
    if (ret == 0)
        ret = pc_boot(r->m, e);
    if (ret == 0)
        run_network_check(r);
    if (ret == 0)
        ret = run_displays(r, e);
    if (ret == 0)
        ret = run_prepare(r, e);
    if (ret == 0)
        ret = accel_start(r->accel, e);
    return ret;
}

/* Devices know their back ends and the CPU: they go first. The loop serves
 * back ends to their end: it goes last. */
void run_tear_down(struct run *r)
{
    struct loop *loop = r->m ? r->m->loop : NULL;
    struct drive *drives;

    if (r->accel)
        accel_stop(r->accel);
    run_displays_free(r);
    run_monitors_free(r);
    run_gdb_free(r);
    if (r->m) {
        net_free(r->m->net);               /* its timers are the machine's */
        r->m->net = NULL;
        r->m->loop = NULL;
    }
    drives = r->m ? r->m->drives : NULL;
    machine_free(r->m);
    run_disks_free(r, drives);
    if (r->accel)
        accel_free(r->accel);
    run_consoles_free(r);
    free(r->trace.file);
    objects_free(r->objects);
    run_jobs_free(r);
    if (r->signal_fd >= 0)
        close(r->signal_fd);
    loop_free(loop);
}
