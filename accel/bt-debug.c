/*
 * bt-debug.c - a debugger outside the guest: vCPUs that stop by themselves
 *
 * All is set by the main thread while the vCPUs are parked, and looked at by a
 * vCPU's own thread between blocks.
 */
#include "accel/bt-int.h"

/* ---- vCPU threads ------------------------------------------------------------------ */

static void stop_here(struct bt_cpu *c, struct accel_stop why)
{
    struct tcg_cpu *tc = &c->cpu->tcg;

    c->stopped = why;
    c->no_irq = false;
    tc->watch_kinds = 0;
    tcg_debug_step(tc, false);
    bt_stop_self(c);
    machine_request_stop(c->bt->m);
}

/* Is it behind what was to be watched, or behind its step? */
static bool stop_due(struct bt_cpu *c)
{
    const struct tcg_cpu *tc = &c->cpu->tcg;
    struct accel_stop why = { .kind = STOP_STEP };

    if (tc->exception || !(tc->watch_kinds || tc->stepped))
        return false;
    if (tc->watch_kinds)
        why = (struct accel_stop){ STOP_WATCH, tc->watch_kinds, tc->watch_lin };
    stop_here(c, why);
    return true;
}

/*
 * A fault of the instruction just executed is delivered first: the vCPU stops at the
 * handler. An interrupt is not, nor does a vCPU stay in HLT: the step over it ends.
 */
bool bt_debug_service(struct bt_cpu *c)
{
    struct tcg_cpu *tc = &c->cpu->tcg;
    bool run;

    if (tc->exception == TCG_EXC_DEBUG) {
        tc->exception = 0;
        stop_here(c, (struct accel_stop){ .kind = STOP_BREAK, .lin = x86_linear_pc(c->cpu) });
        return false;
    }
    if (stop_due(c))
        return false;
    run = x86_service(tc);
    return !stop_due(c) && run;
}

/* ---- main thread --------------------------------------------------------------------- */

static struct bt *bt_from(struct accel *a)
{
    return container_of(a, struct bt, accel);
}

static struct x86_cpu *debug_cpu(struct accel *a, unsigned i)
{
    return bt_from(a)->cpus[i].cpu;
}

static void debug_set(struct accel *a, const struct tcg_break *b, unsigned n_breaks,
                      const struct tcg_watch *w, unsigned n_watches)
{
    struct bt *bt = bt_from(a);

    tcg_debug_set(bt->tcg, b, n_breaks, w, n_watches);
    for (unsigned i = 0; i < bt->n_cpus; i++) {
        bt->cpus[i].debugged = n_breaks || n_watches;
        bt->cpus[i].cpu->tcg.watch_kinds = 0;
    }
}

/* Time goes on when something waits for it. */
static bool wants_clocks(const struct bt_cpu *c, enum accel_go go, unsigned flags)
{
    return go == GO_RUN || (go == GO_STEP && (c->cpu->halted || !(flags & GO_NOTIMER)));
}

static void debug_resume(struct accel *a, const enum accel_go *go, unsigned flags)
{
    struct bt *bt = bt_from(a);
    bool clocks = false;

    for (unsigned i = 0; i < bt->n_cpus; i++) {
        struct bt_cpu *c = &bt->cpus[i];
        bool step = go[i] == GO_STEP;

        c->held = go[i] == GO_HOLD;
        c->stopped.kind = STOP_NONE;
        c->no_irq = step && (flags & GO_NOIRQ) && !c->cpu->halted;
        c->debugged |= step;
        c->cpu->tcg.watch_kinds = 0;
        tcg_debug_step(&c->cpu->tcg, step);
        clocks |= wants_clocks(c, go[i], flags);
    }
    bt_go(bt, clocks);
}

void bt_debug_forget(struct bt_cpu *c)
{
    c->held = c->no_irq = false;
    tcg_debug_step(&c->cpu->tcg, false);
}

static struct accel_stop debug_stopped(struct accel *a, unsigned i)
{
    struct bt_cpu *c = &bt_from(a)->cpus[i];
    struct accel_stop s = c->stopped;

    c->stopped.kind = STOP_NONE;
    return s;
}

const struct accel_debug_ops bt_debug_ops = {
    .cpu = debug_cpu, .set = debug_set, .resume = debug_resume, .stopped = debug_stopped,
};
