/*
 * bt.c - the translator as an accelerator
 */
#define _GNU_SOURCE 1
#include <stdlib.h>
#include <time.h>
#include "accel/bt-icount.h"
#include "hw/intc/intc.h"

/* ---- vCPU threads ----------------------------------------------------------------- */

static void bt_kick(struct accel_cpu *c)
{
    tcg_kick(&c->cpu->tcg);
}

void bt_halt(struct bt_cpu *c, uint32_t masked)
{
    static const struct timespec nap = { 0, 2000000 };

    tcg_offline(&c->ac.cpu->tcg);
    if (c->bt->icount && masked)
        nanosleep(&nap, NULL);       /* counted time stands still */
    else if (c->bt->icount)
        bt_icount_halt(c);
    else
        accel_halt(&c->ac, masked);
    tcg_online(&c->ac.cpu->tcg);
    if (unlikely(__atomic_load_n(&c->work, __ATOMIC_RELAXED)))
        bt_do_work(c);
}

/* The exception of the instruction just executed is delivered before it ends. */
static bool single_service(struct bt_cpu *c)
{
    struct tcg_cpu *tc = &c->ac.cpu->tcg;

    if (!tc->exception && tc->stepped)
        return false;
    x86_service(tc);
    return !tc->stepped;
}

/* tcg_target.service: what was left for us comes first, and again after a halt. */
static bool bt_service(struct tcg_cpu *tc)
{
    struct bt_cpu *c = container_of(X86(tc)->bus, struct bt_cpu, bus);
    bool run;

    if (unlikely(__atomic_load_n(&c->work, __ATOMIC_RELAXED)))
        bt_do_work(c);
    if (unlikely(c->single))
        return single_service(c);
    if (unlikely(c->bt->verify || c->bt->kvm_verify))
        bt_verify_before(c);
    if (unlikely(c->bt->trace))
        bt_trace_before(c);
    if (unlikely(c->bt->icount))
        bt_icount_before(c);
    run = unlikely(c->ac.debugged) ? bt_debug_service(c) : x86_service(tc);
    if (unlikely(__atomic_load_n(&c->work, __ATOMIC_RELAXED)))
        bt_do_work(c);
    if (unlikely(c->bt->icount))
        bt_icount_after(c);
    else if (unlikely(c->bt->trace))
        bt_trace_after(c);
    return run;
}

/* What a step or the debugger kept back is looked at again. */
static void bt_run(struct accel_cpu *c)
{
    c->cpu->irq_held = true;
    tcg_run(&c->cpu->tcg);
}

void accel_bt_step(struct accel_cpu *c)
{
    struct bt_cpu *b = bt_of(c);

    b->single = true;
    tcg_debug_step(&c->cpu->tcg, true);
    tcg_run(&c->cpu->tcg);
    tcg_debug_step(&c->cpu->tcg, false);
    b->single = false;
}

/* ---- state -------------------------------------------------------------------------- */

static int bt_get_state(struct accel_cpu *c, struct x86_state *s, struct err *e)
{
    if (c->vcpu.lapic)
        lapic_pv_stop(c->vcpu.lapic);
    x86_state_get(c->cpu, s);
    return 0;
}

/* Whoever ran meanwhile has written to memory and told nobody. */
static int bt_put_state(struct accel_cpu *c, const struct x86_state *s, struct err *e)
{
    if (c->vcpu.index == 0)
        tcg_flush_all(c->a->bt->tcg, TCG_FLUSH_HANDOVER);
    x86_state_put(c->cpu, s);
    x86_pv_clock_update(c->cpu);
    x86_pv_wait_end(c->cpu);             /* as whoever ran it left the page */
    return c->vcpu.lapic && !lapic_set_pv_eoi(c->vcpu.lapic, c->cpu->kvm_pv_eoi) ?
           err_set(e, -EINVAL, "vCPU %u: reserved bits of MSR_KVM_PV_EOI_EN", c->vcpu.index) : 0;
}

/* Another boot runs other code. */
static void bt_reset(struct accel *a)
{
    const struct tcg_stats *s = tcg_get_stats(a->bt->tcg);

    if (s->translations + s->taken)
        tcg_flush_all(a->bt->tcg, TCG_FLUSH_RESET);
}

static void bt_before_run(struct accel *a)
{
    if (a->bt->icount)
        bt_icount_start(a->bt);
}

/* ---- construction ------------------------------------------------------------------------ */

static int bt_create_vcpu(struct accel_cpu *c, struct err *e)
{
    return 0;                /* made with the translator: see bt_cpu_init() */
}

static void bt_free_vcpu(struct accel_cpu *c)
{
    if (c->cpu) {
        bt_trace_end_cpu(bt_of(c));
        bt_pv_free(bt_of(c));
        tcg_cpu_free(&c->cpu->tcg);
        accel_cpu_free(c);
    }
}

static int bt_cpu_init(struct bt *bt, unsigned n, struct err *e)
{
    struct bt_cpu *c = &bt->cpus[n];
    struct tcg_cpu *tc = tcg_cpu_alloc(bt->tcg, e);

    if (!tc)
        return -ENOMEM;
    c->bt = bt;
    c->ac.cpu = X86(tc);
    accel_cpu_init(&c->ac, bt->a, n);
    bt_bus_init(c);
    c->ac.cpu->model = &bt->a->model;
    c->ac.cpu->bus = &c->bus;
    c->ac.cpu->index = n;
    c->ac.cpu->apic_id = c->ac.vcpu.apic_id;
    bt->a->cpus[n] = &c->ac;
    return 0;
}

static int bt_tcg_init(struct bt *bt, struct err *e)
{
    const struct accel_options *o = &bt->a->opt;
    struct tcg_config cfg = { .backend = o->backend, .optimise = o->optimise,
                              .one_insn = o->one_insn, .perf_map = o->perf_map, .profile = o->profile,
                              .cache_bytes = o->tb_bytes, .n_cpus = bt->n_cpus,
                              .jitdump = o->jitdump, .bug = o->bug, .symbols = o->symbols };
    struct phys_ops phys = { .lookup = bt_lookup, .mmio_read = bt_mmio_read,
                             .mmio_write = bt_mmio_write, .window = bt_window,
                             .map_changes = &bt->phys.changes, .opaque = bt };
    struct x86_translate_env env;

    if (*o->tb_cache) {
        x86_translate_env(&bt->a->model, o->magic_break, &env);
        cfg.tb_cache = o->tb_cache;
        cfg.tb_cache_env = &env;
        cfg.tb_cache_env_bytes = sizeof(env);
    }
    bt_trace_config(o, &cfg);
    if (bt_verify_config(bt, &cfg, e) < 0)
        return -EIO;
    bt_phys_init(&bt->phys, bt->m);
    phys.n_ram_pages = bt->phys.max_pages;
    phys.note_write = bt_note_write;
    phys.first_noted = bt->n_hashed ? 0 : bt->phys.n_pages;   /* beyond RAM: video memory */
    bt->target = x86_target;
    bt->target.service = bt_service;
    if (!bt->icount && !bt->trace && !bt->verify && !bt->kvm_verify)   /* who look between blocks */
        bt->target.deliver = bt_deliver;
    bt->tcg = tcg_new(&bt->target, &cfg, &phys, e);
    if (bt->tcg && tcg_cache_note(bt->tcg))
        fprintf(stderr, "transom: info: tb-cache: %s; it is made anew\n", tcg_cache_note(bt->tcg));
    return bt->tcg ? 0 : -ENOMEM;
}

static int bt_open(struct accel *a, struct err *e)
{
    struct bt *bt = a->bt = xzalloc(sizeof *bt);
    int ret;

    bt->a = a;
    bt->m = a->m;
    bt->n_cpus = a->n_cpus;
    bt->cpus = xzalloc(bt->n_cpus * sizeof *bt->cpus);
    ret = bt_profile_open(bt, e);
    if (ret == 0 && a->opt.icount.on)
        ret = bt_icount_new(bt, &a->opt.icount, e);
    if (ret == 0)
        ret = bt_trace_open(bt, &a->opt.trace, e);
    if (ret == 0)
        ret = bt_tcg_init(bt, e);
    for (unsigned i = 0; ret == 0 && i < bt->n_cpus; i++)
        ret = bt_cpu_init(bt, i, e);
    if (ret == 0 && bt->trace)
        ret = bt_trace_start(bt, e);
    return ret;
}

static void bt_close(struct accel *a)
{
    struct bt *bt = a->bt;

    if (!bt)
        return;
    bt_verify_close(bt);
    if (bt->tcg)
        tcg_free(bt->tcg);
    bt_phys_free(&bt->phys);
    bt_icount_free(bt);
    bt_trace_close(bt);
    free(bt->cpus);
    free(bt);
}

static void bt_info_causes(FILE *f, const struct tcg_stats *s)
{
#define X(N, text) text,
    static const char *const drops[] = { TCG_DROPS(X) }, *const flushes[] = { TCG_FLUSHES(X) };
#undef X

    for (unsigned i = 0; i < TCG_DROP_COUNT; i++)
        if (s->dropped[i])
            fprintf(f, "  invalidations by %s: %llu\n", drops[i], (unsigned long long)s->dropped[i]);
    for (unsigned i = 0; i < TCG_FLUSH_COUNT; i++)
        if (s->flushed[i])
            fprintf(f, "  flushes, %s: %llu\n", flushes[i], (unsigned long long)s->flushed[i]);
}

static void bt_info(struct accel *a, FILE *f)
{
    const struct tcg_stats *s = tcg_get_stats(a->bt->tcg);
    size_t bytes, kept = tcg_cache_kept(a->bt->tcg, &bytes);

    fprintf(f, "%s code%s\n", a->opt.backend == TCG_BACKEND_HOST ? "host" : "interpreted",
            a->opt.optimise ? "" : ", not optimised");
    fprintf(f, "translations %llu, look-ups %llu, invalidations %llu, flushes %llu\n",
            (unsigned long long)s->translations, (unsigned long long)s->lookups,
            (unsigned long long)s->invalidations, (unsigned long long)s->flushes);
    bt_info_causes(f, s);
    fprintf(f, "guest bytes %llu, host bytes %llu, of them out of line %llu, cache %llu MiB\n",
            (unsigned long long)s->guest_bytes, (unsigned long long)s->host_bytes,
            (unsigned long long)s->cold_bytes,
            (unsigned long long)(a->opt.tb_bytes / MiB));
    if (*a->opt.tb_cache)
        fprintf(f, "cache file: %llu blocks of %llu guest bytes taken from it; %zu blocks in %zu KiB kept for it\n",
                (unsigned long long)s->taken, (unsigned long long)s->taken_bytes,
                kept, bytes / 1024);
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
    .probe = bt_probe, .open = bt_open, .close = bt_close, .create_vcpu = bt_create_vcpu,
    .free_vcpu = bt_free_vcpu, .run = bt_run, .kick = bt_kick, .get_state = bt_get_state,
    .put_state = bt_put_state, .reset = bt_reset, .before_run = bt_before_run, .map_changed = bt_map_changed,
    .ram_written = bt_ram_written, .watch = bt_watch, .watching = bt_watching,
    .debug_set = bt_debug_set, .debug_step = bt_debug_step, .info = bt_info,
};
