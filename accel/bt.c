/*
 * bt.c - the translator as an accelerator: its vCPUs, their threads, run control
 */
#define _GNU_SOURCE 1
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include "accel/bt-int.h"
#include "hw/intc/intc.h"

#define HOLD_NS 100000000

/* ---- vCPU threads ----------------------------------------------------------------- */

bool bt_self(const struct bt_cpu *c)
{
    return c->started && pthread_equal(c->thread, pthread_self());
}

/* vcpu.kick: after a request line went up. Cheap when the CPU is at work. */
static void bt_kick(struct vcpu *v)
{
    struct bt_cpu *c = container_of(v, struct bt_cpu, vcpu);

    tcg_kick(&c->cpu->tcg);
    if (!__atomic_load_n(&c->sleeping, __ATOMIC_SEQ_CST))
        return;
    pthread_mutex_lock(&c->lock);
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

/* "sleeping" is set before the lines are looked at, and they are set before it
 * is looked at: one of the two sees the other. */
void bt_halt(struct bt_cpu *c)
{
    tcg_offline(&c->cpu->tcg);
    pthread_mutex_lock(&c->lock);
    __atomic_store_n(&c->sleeping, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&c->vcpu.intr, __ATOMIC_SEQ_CST))
        pthread_cond_wait(&c->wake, &c->lock);
    __atomic_store_n(&c->sleeping, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&c->lock);
    tcg_online(&c->cpu->tcg);
    if (unlikely(__atomic_load_n(&c->work, __ATOMIC_RELAXED)))
        bt_do_work(c);
}

/* tcg_target.service: what was left for us comes first, and again after a halt. */
static bool bt_service(struct tcg_cpu *tc)
{
    struct bt_cpu *c = container_of(X86(tc)->bus, struct bt_cpu, bus);
    bool run;

    if (unlikely(__atomic_load_n(&c->work, __ATOMIC_RELAXED)))
        bt_do_work(c);
    run = unlikely(c->debugged) ? bt_debug_service(c) : x86_service(tc);
    if (unlikely(__atomic_load_n(&c->work, __ATOMIC_RELAXED)))
        bt_do_work(c);
    return run;
}

/* Stand still while asked to; false: the thread ends. */
static bool bt_park(struct bt_cpu *c)
{
    bool quit;

    pthread_mutex_lock(&c->lock);
    while ((c->stop || c->hold) && !c->quit) {
        c->parked = true;
        pthread_cond_broadcast(&c->parked_cond);
        pthread_cond_wait(&c->wake, &c->lock);
    }
    quit = c->quit;
    c->parked = quit;
    if (!quit)
        vcpu_intr_lower(&c->vcpu, VCPU_INTR_EXIT);
    tcg_kick(&c->cpu->tcg);      /* it may have been halted: service() looks first */
    pthread_mutex_unlock(&c->lock);
    return !quit;
}

static void *bt_thread(void *opaque)
{
    struct bt_cpu *c = opaque;

    while (bt_park(c))
        tcg_run(&c->cpu->tcg);
    return NULL;
}

static void ask_to_stop(struct bt_cpu *c)
{
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    vcpu_intr_lower(&c->vcpu, VCPU_INTR_EXIT);  /* so that raising it kicks */
    pthread_mutex_unlock(&c->lock);
    vcpu_intr_raise(&c->vcpu, VCPU_INTR_EXIT);
}

void bt_stop_self(struct bt_cpu *c)
{
    ask_to_stop(c);
}

static void wait_parked(struct bt_cpu *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->started && !c->parked)
        pthread_cond_wait(&c->parked_cond, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

/* ---- run control: main thread, machine lock not held --------------------------------- */

static void bt_pause_all(struct machine *m)
{
    struct bt *bt = bt_of(m);

    for (unsigned i = 0; i < bt->n_cpus; i++)
        ask_to_stop(&bt->cpus[i]);
    for (unsigned i = 0; i < bt->n_cpus; i++)
        wait_parked(&bt->cpus[i]);
    machine_lock(m);
    clock_pause(&m->clock);
    bt_tsc_pause(bt);
    machine_unlock(m);
}

void bt_go(struct bt *bt, bool clocks)
{
    if (clocks) {
        machine_lock(bt->m);
        clock_resume(&bt->m->clock);
        bt_tsc_resume(bt);
        machine_unlock(bt->m);
    }
    for (unsigned i = 0; i < bt->n_cpus; i++) {
        struct bt_cpu *c = &bt->cpus[i];

        if (c->held)
            continue;
        pthread_mutex_lock(&c->lock);
        c->stop = c->parked = false;
        pthread_cond_signal(&c->wake);
        pthread_mutex_unlock(&c->lock);
    }
}

static void bt_resume_all(struct machine *m)
{
    struct bt *bt = bt_of(m);

    for (unsigned i = 0; i < bt->n_cpus; i++)
        bt_debug_forget(&bt->cpus[i]);
    bt_go(bt, true);
}

static void bt_reset_all(struct machine *m)
{
    struct bt *bt = bt_of(m);

    bt_tsc_reset(bt);
    if (tcg_get_stats(bt->tcg)->translations)
        tcg_flush_all(bt->tcg);            /* another boot runs other code */
    for (unsigned i = 0; i < bt->n_cpus; i++) {
        vcpu_intr_lower(&bt->cpus[i].vcpu, VCPU_INTR_NMI | VCPU_INTR_SMI | VCPU_INTR_INIT
                        | VCPU_INTR_SIPI | VCPU_INTR_MCE);
        bt_cpu_start_state(&bt->cpus[i]);
    }
}

static const struct machine_accel bt_machine_accel = {
    .pause_all = bt_pause_all, .resume_all = bt_resume_all, .reset_all = bt_reset_all,
};

/* ---- construction ------------------------------------------------------------------------ */

static struct vcpu *bt_accessing(struct machine *m)
{
    return bt_of(m)->accessing;
}

static int bt_cpu_init(struct bt *bt, unsigned n, struct err *e)
{
    struct bt_cpu *c = &bt->cpus[n];
    struct tcg_cpu *tc = tcg_cpu_alloc(bt->tcg, e);

    if (!tc)
        return -ENOMEM;
    c->bt = bt;
    c->cpu = X86(tc);
    c->stop = c->parked = true;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, NULL);
    pthread_cond_init(&c->parked_cond, NULL);
    c->vcpu = (struct vcpu){ .machine = bt->m, .index = n, .apic_id = machine_apic_id(bt->m, n),
                             .cpu = c->cpu, .kick = bt_kick };
    bt_bus_init(c);
    c->cpu->model = &bt->model;
    c->cpu->bus = &c->bus;
    c->cpu->index = n;
    c->cpu->apic_id = c->vcpu.apic_id;
    bt->vcpus[n] = &c->vcpu;
    return 0;
}

static int bt_cpus_init(struct bt *bt, struct err *e)
{
    int ret = 0;

    bt->cpus = xzalloc(bt->n_cpus * sizeof *bt->cpus);
    bt->vcpus = xzalloc(bt->n_cpus * sizeof(struct vcpu *));
    for (unsigned i = 0; ret == 0 && i < bt->n_cpus; i++)
        ret = bt_cpu_init(bt, i, e);
    return ret;
}

static int bt_tcg_init(struct bt *bt, struct err *e)
{
    struct tcg_config cfg = { .backend = bt->opt.backend, .optimise = bt->opt.optimise,
                              .one_insn = bt->opt.one_insn, .perf_map = bt->opt.perf_map,
                              .cache_bytes = bt->opt.tb_bytes, .n_cpus = bt->n_cpus };
    struct phys_ops phys = { .lookup = bt_lookup, .mmio_read = bt_mmio_read,
                             .mmio_write = bt_mmio_write, .opaque = bt };

    bt_phys_init(&bt->phys, bt->m);
    phys.n_ram_pages = bt->phys.max_pages;
    phys.note_write = bt_note_write;
    phys.first_noted = bt->phys.n_pages;   /* beyond RAM: video memory */
    bt->target = x86_target;
    bt->target.service = bt_service;
    bt->tcg = tcg_new(&bt->target, &cfg, &phys, e);
    return bt->tcg ? 0 : -ENOMEM;
}

/* What firmware tables say of the CPU. */
static void bt_describe(struct bt *bt)
{
    uint32_t r[4];

    x86_cpuid(bt->cpus[0].cpu, 1, 0, r);
    bt->m->cfg.cpu_signature = r[0];
    bt->m->cfg.cpu_features_edx = r[3];
    bt->m->cfg.tsc_hz = bt->model.tsc_hz;
}

/* Leaf 0x1F is there when it has more to say than 0xB. */
static void bt_topology(struct bt *bt)
{
    const struct machine_config *cfg = &bt->m->cfg;
    enum { LEAF_DIES = 0x1f };

    bt->model.n_vcpus = MAX(bt->n_cpus, cfg->max_vcpus);
    bt->model.dies = cfg->dies;
    bt->model.cores = cfg->cores;
    bt->model.threads = cfg->threads;
    if (cfg->dies > 1 && bt->model.vendor[0] == 'G')
        bt->model.level = MAX(bt->model.level, (uint32_t)LEAF_DIES);
}

static void bt_destroy(struct accel *a);

static struct accel *bt_create(struct machine *m, const struct x86_model *model,
                               const struct accel_options *o, struct err *e)
{
    struct bt *bt = xzalloc(sizeof *bt);

    bt->accel.ops = &accel_bt;
    bt->m = m;
    bt->opt = *o;
    bt->n_cpus = MAX(m->cfg.n_vcpus, 1u);
    bt->model = *model;
    bt_topology(bt);
    bt_tsc_init(bt);
    if (bt_tcg_init(bt, e) < 0 || bt_cpus_init(bt, e) < 0) {
        bt_destroy(&bt->accel);
        return NULL;
    }
    m->vcpus = bt->vcpus;
    m->n_vcpus = bt->n_cpus;
    m->accel = &bt_machine_accel;
    m->accel_opaque = bt;
    bt_describe(bt);
    bt_listen(bt);
    return &bt->accel;
}

/* Signals belong to the main thread; a host fault in translated code comes to
 * the thread that runs it, blocked or not. */
static int spawn(struct bt_cpu *c)
{
    sigset_t all, old;
    int ret;

    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGTRAP);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_mutex_lock(&c->lock);      /* thread and started are seen together */
    ret = pthread_create(&c->thread, NULL, bt_thread, c);
    c->started = ret == 0;
    pthread_mutex_unlock(&c->lock);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ret;
}

static int bt_start(struct accel *a, struct err *e)
{
    struct bt *bt = container_of(a, struct bt, accel);

    lapic_route_by_vcpu(bt->m, bt_accessing);
    bt_ferr_port(bt->m);
    for (unsigned i = 0; i < bt->n_cpus; i++) {
        int ret = spawn(&bt->cpus[i]);

        if (ret)
            return err_set(e, -ret, "cannot start a vCPU thread: %s", strerror(ret));
    }
    return 0;
}

static void bt_stop(struct accel *a)
{
    struct bt *bt = container_of(a, struct bt, accel);

    for (unsigned i = 0; i < bt->n_cpus; i++) {
        struct bt_cpu *c = &bt->cpus[i];

        if (!c->started)
            continue;
        ask_to_stop(c);
        pthread_mutex_lock(&c->lock);
        c->quit = true;
        pthread_cond_signal(&c->wake);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
        c->started = false;
        c->parked = true;
    }
}

static void bt_destroy(struct accel *a)
{
    struct bt *bt = container_of(a, struct bt, accel);

    for (unsigned i = 0; bt->cpus && i < bt->n_cpus; i++) {
        struct bt_cpu *c = &bt->cpus[i];

        if (!c->cpu)
            continue;
        tcg_cpu_free(&c->cpu->tcg);
        pthread_cond_destroy(&c->wake);
        pthread_cond_destroy(&c->parked_cond);
        pthread_mutex_destroy(&c->lock);
    }
    if (bt->tcg)
        tcg_free(bt->tcg);
    bt_phys_free(&bt->phys);
    free(bt->cpus);
    free(bt->vcpus);
    free(bt);
}

static void bt_info(struct accel *a, FILE *f)
{
    struct bt *bt = container_of(a, struct bt, accel);
    const struct tcg_stats *s = tcg_get_stats(bt->tcg);

    fprintf(f, "accelerator: bt (tcg), %s code%s\n",
            bt->opt.backend == TCG_BACKEND_HOST ? "host" : "interpreted",
            bt->opt.optimise ? "" : ", not optimised");
    fprintf(f, "translations %llu, look-ups %llu, invalidations %llu, flushes %llu\n",
            (unsigned long long)s->translations, (unsigned long long)s->lookups,
            (unsigned long long)s->invalidations, (unsigned long long)s->flushes);
    fprintf(f, "guest bytes %llu, host bytes %llu, of them out of line %llu, cache %llu MiB\n",
            (unsigned long long)s->guest_bytes, (unsigned long long)s->host_bytes,
            (unsigned long long)s->cold_bytes,
            (unsigned long long)(bt->opt.tb_bytes / MiB));
}

static void ask_to_hold(struct bt_cpu *c)
{
    pthread_mutex_lock(&c->lock);
    c->hold = true;
    vcpu_intr_lower(&c->vcpu, VCPU_INTR_EXIT);  /* so that raising it kicks */
    pthread_mutex_unlock(&c->lock);
    vcpu_intr_raise(&c->vcpu, VCPU_INTR_EXIT);
}

static bool wait_held(struct bt_cpu *c, const struct timespec *until)
{
    bool parked;

    pthread_mutex_lock(&c->lock);
    while (c->started && !c->parked)
        if (pthread_cond_timedwait(&c->parked_cond, &c->lock, until) == ETIMEDOUT)
            break;
    parked = c->parked;
    pthread_mutex_unlock(&c->lock);
    return parked;
}

static bool bt_hold(struct accel *a)
{
    struct bt *bt = container_of(a, struct bt, accel);
    struct timespec until;
    bool all = true;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += HOLD_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    for (unsigned i = 0; i < bt->n_cpus; i++)
        ask_to_hold(&bt->cpus[i]);
    for (unsigned i = 0; i < bt->n_cpus; i++)
        all &= wait_held(&bt->cpus[i], &until);
    return all;
}

static void bt_release(struct accel *a)
{
    struct bt *bt = container_of(a, struct bt, accel);

    for (unsigned i = 0; i < bt->n_cpus; i++) {
        struct bt_cpu *c = &bt->cpus[i];

        pthread_mutex_lock(&c->lock);
        c->hold = false;
        if (!c->stop)
            c->parked = false;
        pthread_cond_signal(&c->wake);
        pthread_mutex_unlock(&c->lock);
    }
}

static struct x86_cpu *bt_cpu0(struct accel *a)
{
    return container_of(a, struct bt, accel)->cpus[0].cpu;
}

static int bt_probe(const struct accel_options *o, struct err *e)
{
#ifdef CONFIG_TSAN
    if (o->backend == TCG_BACKEND_HOST)
        return err_set(e, -ENOTSUP, "a build with the thread sanitizer interprets: "
                       "use -accel tcg,backend=interp");
#endif
#if !defined(__x86_64__)
    if (o->backend == TCG_BACKEND_HOST)
        return err_set(e, -ENOTSUP, "no translation to this host's code yet: "
                       "use -accel tcg,backend=interp");
#endif
    return 0;
}

const struct accel_ops accel_bt = {
    .name = "tcg", .alias = "bt", .help = "binary translator of our own",
    .probe = bt_probe, .create = bt_create, .start = bt_start, .stop = bt_stop,
    .destroy = bt_destroy, .info = bt_info, .cpu = bt_cpu0, .hold = bt_hold, .release = bt_release,
    .debug = &bt_debug_ops,
};
