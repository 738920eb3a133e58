/*
 * monitor-accel.c - who runs the vCPUs, at the prompt and for programs: tell, or have another take over
 */
#include "accel/accel.h"
#include "ui/commands-int.h"
#include "ui/monitor-int.h"

#define STOP_TRIES 300      /* of 100 ms: a busy host may not run the vCPU's thread for a while */

/* The vCPUs stand still for a look, which tells whether they can be stopped for more. */
static bool hold(struct accel *a)
{
    for (int tries = STOP_TRIES; tries; tries--)
        if (accel_hold(a))
            return true;
    return false;
}

/* As stop, another accelerator, cont. The lock is let go: vCPUs may need it to come to a stand. */
static int change(struct run *r, const char *name, struct err *e)
{
    bool running = r->m->run_state == RUN_RUNNING;
    int ret = -EBUSY;

    machine_unlock(r->m);
    if (hold(r->accel)) {
        if (running)
            r->m->accel->pause_all(r->m);
        ret = accel_switch(r->accel, name, e);
        if (running)
            r->m->accel->resume_all(r->m);
    } else {
        err_set(e, ret, "a vCPU does not stop; try again");
    }
    accel_release(r->accel);
    machine_lock(r->m);
    return ret;
}

static int cmd_accel(struct call *c, struct err *e)
{
    const char *name = jv_text(c->args, "accel");
    struct accel *a = c->run ? c->run->accel : NULL;
    int ret = 0;

    if (!a)
        return err_set(e, -ENODEV, "there are no vCPUs");
    if (name)
        ret = change(c->run, name, e);
    if (ret < 0)
        return ret;
    if (!name && c->mon)
        monitor_printf(c->mon, "%s\n", accel_name(a));
    if (c->mon)
        return 0;
    jw_open(c->out, NULL);
    jw_str(c->out, "name", accel_name(a));
    jw_str(c->out, "reason", accel_why(a));
    jw_int(c->out, "switches", accel_switches(a));
    jw_close(c->out);
    return 0;
}

const struct command accel_commands[] = {
    { .hmp = "accel", .qmp = "x-accel", .args = "accel:s?", .returns = "any",
      .help = "what runs the vCPUs: tell, or have another (tcg, kvm) take over", .run = cmd_accel },
    { .hmp = NULL }
};
