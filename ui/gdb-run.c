/*
 * gdb-run.c - stopping and going on
 *
 * All-stop: while gdb looks every vCPU stands still. A vCPU that meets a breakpoint
 * stops the machine; others may meet theirs before they stand. A breakpoint is
 * met again when its vCPU goes on, so only one is told; an access to watched data
 * would be lost and is told before anything moves.
 *
 * gdb reads a target description once, and again after exec(). When the CPU stops in
 * a mode that needs another description than gdb has, it is told of an exec first; it
 * reads the new one and resumes, and then is told the reason of the stop.
 */
#include "ui/gdb-int.h"

enum { SIGNAL_INT = 2, SIGNAL_QUIT = 3, SIGNAL_TRAP = 5 };

/* ---- telling ----------------------------------------------------------------------------- */

/* Is the breakpoint at @addr one of hbreak's? */
static bool is_hard(const struct gdb *g, uint64_t addr)
{
    for (unsigned i = 0; i < g->n_points; i++)
        if (g->points[i].kind == 1 && addr == g->points[i].addr)
            return true;
    return false;
}

static void out_reason(struct gdb *g, const struct accel_stop *why)
{
    static const char *const names[4] = { [TCG_WATCH_READ] = "rwatch", [TCG_WATCH_WRITE] = "watch",
                                          [TCG_WATCH_READ | TCG_WATCH_WRITE] = "awatch" };
    bool hard = is_hard(g, why->lin);

    if (why->kind == STOP_WATCH)
        out_fmt(&g->out, "%s:%llx;", names[why->watch_kinds & 3], (unsigned long long)why->lin);
    else if (why->kind == STOP_BREAK && (hard ? g->hwbreak : g->swbreak))
        out_str(&g->out, hard ? "hwbreak:;" : "swbreak:;");
}

void gdb_stop_reply(struct gdb *g)
{
    const struct gdb_stop *s = &g->last_stop;

    out_fmt(&g->out, "T%02xthread:", s->signal);
    out_thread(g, s->cpu);
    out_str(&g->out, ";");
    out_reason(g, &s->why);
}

static void out_exec(struct gdb *g, enum gdb_arch arch)
{
    const char *name = gdb_arch_name(arch);

    out_fmt(&g->out, "T%02xexec:", SIGNAL_TRAP);
    out_hex(&g->out, name, strlen(name));
    out_str(&g->out, ";thread:");
    out_thread(g, g->last_stop.cpu);
    out_str(&g->out, ";");
}

static void tell(struct gdb *g)
{
    enum gdb_arch arch = gdb_arch_now(accel_cpu(g->accel, g->last_stop.cpu));

    g->waiting = false;
    g->out.len = 0;
    g->told_exec = g->follow && g->exec_events && arch != g->regs.arch;
    if (g->told_exec)
        out_exec(g, arch);
    else
        gdb_stop_reply(g);
    gdb_put(g);
}

/* ---- choosing --------------------------------------------------------------------------------- */

/* The next vCPU that stopped by itself, the one told of last first; false: none. */
static bool pick(struct gdb *g, enum accel_stop_kind only)
{
    for (unsigned k = 0; k < g->n_cpus; k++) {
        unsigned i = (g->last_stop.cpu + k) % g->n_cpus;
        struct accel_stop *s = &g->stop[i];

        if (s->kind == STOP_NONE || (only && s->kind != only))
            continue;
        g->last_stop = (struct gdb_stop){ i, SIGNAL_TRAP, *s };
        s->kind = STOP_NONE;
        return true;
    }
    return false;
}

static void choose(struct gdb *g)
{
    bool dead = g->m->run_state == RUN_SHUTDOWN;

    for (unsigned i = 0; i < g->n_cpus; i++) {
        struct accel_stop s = accel_debug_stopped(g->accel, i);

        if (s.kind != STOP_NONE)
            g->stop[i] = s;
    }
    if (!pick(g, STOP_NONE))
        g->last_stop = (struct gdb_stop){ g->last_stop.cpu, dead ? SIGNAL_QUIT : SIGNAL_INT,
                                          { .kind = STOP_NONE } };
    for (unsigned i = 0; i < g->n_cpus; i++)
        if (g->stop[i].kind != STOP_WATCH)
            g->stop[i].kind = STOP_NONE;
    g->cpu = g->last_stop.cpu;
}

void gdb_note_stop(struct gdb *g)
{
    choose(g);
    if (g->waiting)
        tell(g);
    else
        g->last_stop.signal = SIGNAL_TRAP;   /* nobody interrupted: he has just come */
}

/* ---- going on ------------------------------------------------------------------------------------ */

static bool untold(struct gdb *g)
{
    for (unsigned i = 0; i < g->n_cpus; i++)
        if (g->stop[i].kind != STOP_WATCH)
            g->stop[i].kind = STOP_NONE;
    return pick(g, STOP_WATCH);
}

void gdb_go(struct gdb *g)
{
    bool dead = g->m->run_state == RUN_SHUTDOWN;   /* only a reset brings it back */

    if (g->told_exec || dead) {
        g->told_exec = false;
        g->out.len = 0;
        gdb_stop_reply(g);
        gdb_put(g);
        return;
    }
    if (untold(g)) {
        tell(g);
        return;
    }
    gdb_points_apply(g);
    g->waiting = g->connected;
    g->going = true;
    g->hooks.go(g->hooks.opaque);
}

void gdb_go_all(struct gdb *g, enum accel_go how)
{
    for (unsigned i = 0; i < g->n_cpus; i++)
        g->go[i] = how;
}

void gdb_resume(struct gdb *g)
{
    unsigned flags = (g->sstep & SSTEP_NOIRQ ? GO_NOIRQ : 0) | (g->sstep & SSTEP_NOTIMER ? GO_NOTIMER : 0);

    for (unsigned i = 0; i < g->n_cpus; i++)
        if (g->go[i] == GO_STEP && !(g->sstep & SSTEP_ENABLE))
            g->go[i] = GO_RUN;
    g->going = false;
    accel_debug_resume(g->accel, g->go, flags);
}

/* ---- vCont ------------------------------------------------------------------------------------------ */

/* "c", "s", "t", or "C" and "S" with a signal, which a machine has no use for */
static bool take_action(const char **s, enum accel_go *how)
{
    char c = **s;
    uint64_t signal;

    switch (c) {
    case 'c': case 'C': *how = GO_RUN; break;
    case 's': case 'S': *how = GO_STEP; break;
    case 't': *how = GO_HOLD; break;
    default: return false;
    }
    ++*s;
    return (c != 'C' && c != 'S') || take_hex(s, &signal);
}

bool gdb_vcont(struct gdb *g, const char *s)
{
    enum accel_go go[GDB_CPUS];
    bool set[GDB_CPUS] = { false };

    for (unsigned i = 0; i < g->n_cpus; i++)
        go[i] = GO_HOLD;
    do {
        enum accel_go how;
        int cpu = -1;

        if (!take_action(&s, &how) || (take_char(&s, ':') && !take_thread(g, &s, &cpu)))
            return false;
        for (unsigned i = 0; i < g->n_cpus; i++) {
            if (set[i] || (cpu >= 0 && (unsigned)cpu != i))
                continue;                 /* the leftmost that fits counts */
            go[i] = how;
            set[i] = true;
        }
    } while (take_char(&s, ';'));
    if (*s)
        return false;
    memcpy(g->go, go, sizeof(go));
    return true;
}
