/*
 * run.c - an accelerator's life, the machine's run control, who runs the vCPUs
 *
 * The translator is always there; with another implementation in charge its structs
 * are what monitor and debugger look at, and its blocks are void when it comes back.
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <time.h>
#include "accel/accel-int.h"
#include "hw/intc/intc.h"

#define HOLD_NS 100000000

/* ---- the view ------------------------------------------------------------------------ */

static bool has_view(const struct accel *a)
{
    return a->ops != &accel_bt;
}

/* A vCPU that neither stands still nor belongs to the translator shows what it was. */
struct x86_cpu *accel_cpu(struct accel *a, unsigned i)
{
    struct accel_cpu *c = a->cpus[i];
    struct x86_state *s;
    struct err e = { "" };

    if (!has_view(a) || !c->parked)
        return c->cpu;
    if (c->view == VIEW_OLD) {
        s = xmalloc(sizeof *s);
        if (a->ops->get_state(c, s, &e) == 0)
            x86_state_put(c->cpu, s);
        else
            log_write("accel: cpu=%u %s", i, e.msg);
        free(s);
    }
    c->view = VIEW_NEWER;          /* whoever asked may change it */
    return c->cpu;
}

/* What was changed in the view, or by a reset, is the vCPU's state. */
static int push_view(struct accel *a, unsigned i, struct err *e)
{
    struct accel_cpu *c = a->cpus[i];
    struct x86_state *s;
    int ret = 0;

    if (c->view == VIEW_NEWER) {
        s = xmalloc(sizeof *s);
        x86_state_get(c->cpu, s);
        ret = a->ops->put_state(c, s, e);
        free(s);
    }
    c->view = VIEW_OLD;
    return ret;
}

static void push_views(struct accel *a)
{
    struct err e = { "" };

    for (unsigned i = 0; has_view(a) && i < a->n_cpus; i++)
        if (a->cpus[i]->parked && push_view(a, i, &e) < 0)
            log_write("accel: cpu=%u %s", i, e.msg);
}

/* ---- run control: main thread, machine lock not held --------------------------------- */

static void pause_all(struct machine *m)
{
    struct accel *a = accel_of(m);

    for (unsigned i = 0; i < a->n_cpus; i++)
        accel_ask_to_stop(a->cpus[i]);
    for (unsigned i = 0; i < a->n_cpus; i++)
        accel_wait_parked(a->cpus[i]);
    machine_lock(m);
    clock_pause(&m->clock);
    accel_tsc_pause(a);
    a->paused = true;
    machine_unlock(m);
}

/* Let the vCPUs go that are not held; @clocks: those of the guest, too. */
static void go(struct accel *a, bool clocks)
{
    if (clocks) {
        machine_lock(a->m);
        clock_resume(&a->m->clock);
        accel_tsc_resume(a);
        machine_unlock(a->m);
    }
    push_views(a);
    if (a->ops->before_run)
        a->ops->before_run(a);
    a->paused = false;
    for (unsigned i = 0; i < a->n_cpus; i++)
        if (!a->cpus[i]->held)
            accel_let_go(a->cpus[i], false);
}

/* The machine goes on as a whole: no step, nobody held back. */
static void resume_all(struct machine *m)
{
    struct accel *a = accel_of(m);

    for (unsigned i = 0; i < a->n_cpus; i++) {
        a->cpus[i]->held = a->cpus[i]->no_irq = false;
        a->ops->debug_step(a->cpus[i], false);
    }
    go(a, true);
}

static void reset_all(struct machine *m)
{
    struct accel *a = accel_of(m);

    accel_tsc_reset(a);
    if (a->ops->reset)
        a->ops->reset(a);
    for (unsigned i = 0; i < a->n_cpus; i++) {
        struct accel_cpu *c = a->cpus[i];

        vcpu_intr_lower(&c->vcpu, VCPU_INTR_NMI | VCPU_INTR_SMI | VCPU_INTR_INIT
                        | VCPU_INTR_SIPI | VCPU_INTR_MCE);
        accel_cpu_start_state(c);
        c->view = VIEW_NEWER;
    }
}

/* Also while another implementation runs: a doorbell that went is not to be remembered. */
static void doorbells(struct machine *m)
{
    struct accel *a = accel_of(m);

    if (a->kvm)
        accel_kvm.doorbells_changed(a);
}

static const struct machine_accel machine_ops = {
    .doorbells_changed = doorbells,
    .pause_all = pause_all, .resume_all = resume_all, .reset_all = reset_all,
};

bool accel_hold(struct accel *a)
{
    struct timespec until;
    bool all = true;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += HOLD_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    for (unsigned i = 0; i < a->n_cpus; i++)
        accel_ask_to_hold(a->cpus[i]);
    for (unsigned i = 0; i < a->n_cpus; i++)
        all &= accel_wait_held(a->cpus[i], &until);
    return all;
}

void accel_release(struct accel *a)
{
    if (!a->paused)
        push_views(a);
    for (unsigned i = 0; i < a->n_cpus; i++)
        accel_let_go(a->cpus[i], true);
}

/* ---- debugging ------------------------------------------------------------------------- */

void accel_debug_set(struct accel *a, const struct tcg_break *b, unsigned n_breaks,
                     const struct tcg_watch *w, unsigned n_watches)
{
    a->ops->debug_set(a, b, n_breaks, w, n_watches);
    for (unsigned i = 0; i < a->n_cpus; i++)
        a->cpus[i]->debugged = n_breaks || n_watches;
}

/* Time goes on when something waits for it. */
static bool wants_clocks(const struct accel_cpu *c, enum accel_go how, unsigned flags)
{
    return how == GO_RUN || (how == GO_STEP && (c->cpu->halted || !(flags & GO_NOTIMER)));
}

void accel_debug_resume(struct accel *a, const enum accel_go *how, unsigned flags)
{
    bool clocks = false;

    for (unsigned i = 0; i < a->n_cpus; i++) {
        struct accel_cpu *c = a->cpus[i];
        bool step = how[i] == GO_STEP;

        c->held = how[i] == GO_HOLD;
        c->stopped.kind = STOP_NONE;
        c->no_irq = step && (flags & GO_NOIRQ) && !accel_cpu(a, i)->halted;
        c->debugged |= step;
        a->ops->debug_step(c, step);
        clocks |= wants_clocks(c, how[i], flags);
    }
    go(a, clocks);
}

struct accel_stop accel_debug_stopped(struct accel *a, unsigned i)
{
    struct accel_stop s = a->cpus[i]->stopped;

    a->cpus[i]->stopped.kind = STOP_NONE;
    return s;
}

/* ---- accesses -------------------------------------------------------------------------- */

/* The vCPU's own local APIC answers at its register page, not somebody else's. */
void accel_enter_access(struct accel_cpu *c, gpa_t gpa)
{
    struct lapic *l = c->vcpu.lapic;

    machine_lock(c->a->m);
    if (l && ((lapic_get_base(l) ^ gpa) & 0xffffff000ull) == 0)
        c->a->accessing = &c->vcpu;
}

void accel_leave_access(struct accel_cpu *c)
{
    c->a->accessing = NULL;
    machine_unlock(c->a->m);
}

static struct vcpu *accessing(struct machine *m)
{
    return accel_of(m)->accessing;
}

/* ---- memory ------------------------------------------------------------------------------ */

/* The translator always follows the map: addresses are looked up through it. */
static void map_changed(void *opaque)
{
    struct accel *a = opaque;

    accel_bt.map_changed(a);
    if (has_view(a))
        a->ops->map_changed(a);
}

static void ram_written(void *opaque, gpa_t gpa, uint64_t len)
{
    struct accel *a = opaque;

    a->ops->ram_written(a, gpa, len);
}

static uint64_t watch(void *opaque)
{
    struct accel *a = opaque;

    return a->ops->watch(a);
}

static bool watching(void *opaque, uint64_t ticket)
{
    struct accel *a = opaque;

    return a->ops->watching(a, ticket);
}

static void dirty_sync(void *opaque, struct mem_region *r)
{
    struct accel *a = opaque;

    if (a->ops->dirty_sync)
        a->ops->dirty_sync(a, r);
}

void accel_sync_dirty(struct accel *a)
{
    for (struct mem_region *r = a->m->mem.regions; r; r = r->next)
        if (r->dirty)
            a->ops->dirty_sync(a, r);
}

static void listen(struct accel *a)
{
    a->listener = (struct mem_listener){ .map_changed = map_changed, .ram_written = ram_written,
                                         .watch = watch, .watching = watching,
                                         .dirty_sync = dirty_sync, .opaque = a };
    mem_listen(&a->m->mem, &a->listener);
    map_changed(a);
}

/* ---- life ---------------------------------------------------------------------------------- */

/* What firmware tables say of the CPU. */
static void describe(struct accel *a)
{
    uint32_t r[4];

    x86_cpuid(a->cpus[0]->cpu, 1, 0, r);
    a->m->cfg.cpu_signature = r[0];
    a->m->cfg.cpu_features_edx = r[3];
    a->m->cfg.tsc_hz = a->model.tsc_hz;
}

/* Leaf 0x1F is there when it has more to say than 0xB. */
static void set_topology(struct accel *a)
{
    const struct machine_config *cfg = &a->m->cfg;
    enum { LEAF_DIES = 0x1f };

    a->model.n_vcpus = MAX(a->n_cpus, cfg->max_vcpus);
    a->model.dies = cfg->dies;
    a->model.cores = cfg->cores;
    a->model.threads = cfg->threads;
    if (cfg->dies > 1 && a->model.vendor[0] == 'G')
        a->model.level = MAX(a->model.level, (uint32_t)LEAF_DIES);
}

void accel_close(struct accel *a, const struct accel_ops *ops)
{
    for (unsigned i = 0; i < a->n_cpus; i++)
        if (a->cpus[i])
            ops->free_vcpu(a->cpus[i]);
    ops->close(a);
}

int accel_open(struct accel *a, const struct accel_ops *ops, struct err *e)
{
    int ret = ops->open(a, e);

    for (unsigned i = 0; ret == 0 && i < a->n_cpus; i++)
        ret = ops->create_vcpu(a->cpus[i], e);
    return ret;
}

struct accel *accel_new(struct machine *m, const struct x86_model *model,
                        const struct accel_options *o, struct err *e)
{
    struct accel *a = xzalloc(sizeof *a);

    a->ops = &accel_bt;
    a->m = m;
    a->opt = *o;
    if (o->verify.kvm)
        a->opt.irqchip = IRQCHIP_OFF;
    a->n_cpus = MAX(m->cfg.n_vcpus, 1u);
    a->model = *model;
    if (o->icount.on)
        a->model.pv = 0;         /* whose time is another */
    if (o->ops == &accel_bt)
        a->model.pv &= ~PV_SLOWER | a->model.pv_asked;
    a->paused = true;
    set_topology(a);
    accel_tsc_init(a);
    a->cpus = xzalloc(a->n_cpus * sizeof *a->cpus);
    a->vcpus = xzalloc(a->n_cpus * sizeof(struct vcpu *));
    m->accel_opaque = a;
    if ((o->switchable && accel_kvm.limit_model && accel_kvm.limit_model(&a->model, e) < 0)
        || accel_open(a, &accel_bt, e) < 0
        || (o->ops != &accel_bt && accel_open(a, o->ops, e) < 0)
        || (o->verify.kvm && accel_open(a, &accel_kvm, e) < 0)) {
        accel_free(a);
        return NULL;
    }
    a->ops = o->ops;
    if (a->ops->choose_irqchip)
        a->ops->choose_irqchip(a, true);
    for (unsigned i = 0; i < a->n_cpus; i++)
        a->vcpus[i] = &a->cpus[i]->vcpu;
    m->vcpus = a->vcpus;
    m->n_vcpus = a->n_cpus;
    m->accel = &machine_ops;
    describe(a);
    listen(a);
    return a;
}

int accel_start(struct accel *a, struct err *e)
{
    lapic_route_by_vcpu(a->m, accessing);
    bt_ferr_port(a->m);
    for (unsigned i = 0; i < a->n_cpus; i++) {
        int ret = accel_cpu_spawn(a->cpus[i]);

        if (ret)
            return err_set(e, -ret, "cannot start a vCPU thread: %s", strerror(ret));
    }
    return 0;
}

void accel_stop(struct accel *a)
{
    for (unsigned i = 0; i < a->n_cpus; i++)
        accel_cpu_join(a->cpus[i]);
}

void accel_free(struct accel *a)
{
    bt_profile_close(a);
    if (a->kvm)
        accel_close(a, &accel_kvm);
    accel_close(a, &accel_bt);
    free(a->cpus);
    free(a->vcpus);
    free(a);
}

const char *accel_name(const struct accel *a)
{
    return a->ops->name;
}

void accel_refresh_chips(struct accel *a)
{
    if (a->ops->refresh_chips)
        a->ops->refresh_chips(a);
}

bool accel_lapic_page(struct accel *a, unsigned i, uint8_t page[ACCEL_LAPIC_BYTES])
{
    return a->ops->lapic_page && a->cpus[i]->parked && a->ops->lapic_page(a->cpus[i], page);
}

const char *accel_why(const struct accel *a)
{
    return a->opt.why[0] ? a->opt.why : "asked for";
}

unsigned accel_switches(const struct accel *a)
{
    return a->switches;
}

void accel_info(struct accel *a, FILE *f)
{
    fprintf(f, "accelerator: %s (%s)\n", a->ops->name, accel_why(a));
    if (a->switches)
        fprintf(f, "handed over %u times\n", a->switches);
    a->ops->info(a, f);
}
