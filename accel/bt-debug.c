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
    struct tcg_cpu *tc = &c->ac.cpu->tcg;

    tc->watch_kinds = 0;
    tcg_debug_step(tc, false);
    accel_stop_debugged(&c->ac, why);
}

/* Is it behind what was to be watched, or behind its step? */
static bool stop_due(struct bt_cpu *c)
{
    const struct tcg_cpu *tc = &c->ac.cpu->tcg;
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
    struct tcg_cpu *tc = &c->ac.cpu->tcg;
    bool run;

    if (tc->exception == TCG_EXC_DEBUG) {
        tc->exception = 0;
        stop_here(c, (struct accel_stop){ .kind = STOP_BREAK, .lin = x86_linear_pc(c->ac.cpu) });
        return false;
    }
    if (stop_due(c))
        return false;
    run = x86_service(tc);
    return !stop_due(c) && run;
}

/* ---- main thread --------------------------------------------------------------------- */

void bt_debug_set(struct accel *a, const struct tcg_break *b, unsigned n_breaks,
                  const struct tcg_watch *w, unsigned n_watches)
{
    tcg_debug_set(a->bt->tcg, b, n_breaks, w, n_watches);
    for (unsigned i = 0; i < a->n_cpus; i++)
        a->cpus[i]->cpu->tcg.watch_kinds = 0;
}

void bt_debug_step(struct accel_cpu *c, bool step)
{
    c->cpu->tcg.watch_kinds = 0;
    tcg_debug_step(&c->cpu->tcg, step);
}

void accel_retranslate(struct accel *a)
{
    tcg_flush_all(a->bt->tcg, TCG_FLUSH_BREAKS);
}
