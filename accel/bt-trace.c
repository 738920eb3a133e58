/*
 * bt-trace.c - the binary trace of the vCPUs and devices (-trace)
 *
 * vCPUs note what they execute and what happens to them (tcg/trace.c); devices' lines, disk
 * requests and packets come through struct machine_trace into a stream of their own.
 */
#include <stdlib.h>
#include "accel/bt-icount.h"
#include "tcg/trace.h"

#define PAYLOAD (TRACE_SLOT - sizeof(struct trace_chunk))
#define DEVICE_CHUNK (64 * KiB)  /* what is written at once: it can be looked at soon */
#define EVENT_MAX (16 + 10 * TRACE_FIELDS)

/** struct bt_trace - one machine's */
struct bt_trace {
    struct trace_file *file;
    struct trace_options opt;
    struct bt *bt;
    /* the devices' stream; machine lock */
    struct trace_chunk chunk;
    struct bit_out out;
    uint8_t *payload;
    uint64_t last;               /* instructions at the last event */
};

/* ---- vCPUs ------------------------------------------------------------------------------- */

void bt_trace_before(struct bt_cpu *c)
{
    trace_drain(&c->ac.cpu->tcg, c->bt->icount ? bt_icount_ns(c->bt) : clock_now_ns(&c->bt->m->clock));
}

void bt_trace_after(struct bt_cpu *c)
{
    struct tcg_cpu *tc = &c->ac.cpu->tcg;

    tcg_count_until(tc, tcg_count(tc) + trace_room(tc));
}

uint64_t bt_trace_room(struct bt *bt)
{
    const struct tcg_cpu *tc = &bt->cpus[0].ac.cpu->tcg;
    uint64_t used = (uint64_t)(tc->note - (tc->note_end - 2 * TRACE_UNITS)) / 2;
    uint64_t room = trace_room(tc);

    return room > used ? room - used : 0;
}

void bt_trace_access(struct bt_cpu *c, unsigned kind, uint64_t at, unsigned size, bool write, uint64_t v)
{
    trace_event(&c->ac.cpu->tcg, kind, (uint64_t[]){ at, size | write << 8, v }, 3);
}

/* ---- devices ------------------------------------------------------------------------------- */

static uint64_t bits_used(const struct bt_trace *t)
{
    return (uint64_t)(t->out.p - t->payload) * 8 + t->out.n;
}

static uint64_t now(struct bt_trace *t)
{
    const struct tcg_cpu *tc = &t->bt->cpus[0].ac.cpu->tcg;

    /* another thread's count, about right */
    return accel_self(&t->bt->cpus[0].ac) ? tcg_count(tc)
           : __atomic_load_n(&tc->count_end, __ATOMIC_RELAXED) - (uint64_t)__atomic_load_n(&tc->count_left, __ATOMIC_RELAXED);
}

static void chunk_begin(struct bt_trace *t)
{
    t->chunk = (struct trace_chunk){ .stream = TRACE_DEVICES, .first = t->last,
                                     .ns = (uint64_t)clock_now_ns(&t->bt->m->clock) };
    t->out = (struct bit_out){ .p = t->payload };
}

static void chunk_end(struct bt_trace *t)
{
    if (!bits_used(t))
        return;
    t->chunk.bits = bits_used(t);
    t->chunk.insns = t->last - t->chunk.first;
    stl64(t->out.p, t->out.acc);
    (void)trace_file_write(t->file, &t->chunk, t->payload);
    chunk_begin(t);
}

/* machine_trace.event */
static void device_event(void *opaque, unsigned kind, const uint64_t *field, unsigned n)
{
    struct bt_trace *t = opaque;
    uint64_t count = MAX(now(t), t->last);

    if (!(t->opt.kinds & TRACE_HAS(kind)))
        return;
    put_var(&t->out, count - t->last);
    put_bits(&t->out, kind, 5);
    put_bits(&t->out, n, 5);
    for (unsigned i = 0; i < n; i++)
        put_var(&t->out, field[i]);
    t->last = count;
    if (bits_used(t) > (DEVICE_CHUNK - EVENT_MAX) * 8)
        chunk_end(t);
}

/* ---- life ------------------------------------------------------------------------------------- */

static struct tcg_notes notes_of(const struct accel_options *o, uint32_t kinds)
{
    return (struct tcg_notes){ .count = o->icount.on || kinds, .note = kinds, .note_regs = kinds & TRACE_HAS(TRACE_REG),
                               .note_mem = kinds & TRACE_HAS(TRACE_MEM) };
}

void bt_trace_config(const struct accel_options *o, struct tcg_config *cfg)
{
    struct tcg_notes n = notes_of(o, o->trace.kinds);

    cfg->count = n.count;
    cfg->note = n.note;
    cfg->note_regs = n.note_regs;
    cfg->note_mem = n.note_mem;
}

int bt_trace_open(struct bt *bt, const struct trace_options *opt, struct err *e)
{
    const struct accel_options *o = &bt->a->opt;
    struct bt_trace *t;

    if (!opt->kinds)
        return 0;
    t = bt->trace = xzalloc(sizeof *t);
    t->bt = bt;
    t->opt = *opt;
    t->payload = xmalloc(DEVICE_CHUNK + EVENT_MAX);
    t->file = trace_file_open(opt, bt->n_cpus, o->icount.on && !o->icount.automatic ? o->icount.shift : -1, e);
    return t->file ? 0 : -EIO;
}

int bt_trace_start(struct bt *bt, struct err *e)
{
    struct bt_trace *t = bt->trace;

    for (unsigned i = 0; i < bt->n_cpus; i++)
        if (!trace_cpu_new(&bt->cpus[i].ac.cpu->tcg, i, t->file, t->opt.kinds))
            return err_set(e, -ENOMEM, "-trace: no memory");
    bt->m->trace = (struct machine_trace){ .event = device_event, .opaque = t };
    t->last = now(t);
    chunk_begin(t);
    return 0;
}

void bt_trace_end_cpu(struct bt_cpu *c)
{
    if (c->ac.cpu->tcg.trace)
        trace_cpu_free(c->ac.cpu->tcg.trace);
}

void bt_trace_close(struct bt *bt)
{
    struct bt_trace *t = bt->trace;

    if (!t)
        return;
    if (t->file && t->out.p)
        chunk_end(t);
    trace_file_close(t->file);
    free(t->payload);
    free(t);
    bt->trace = NULL;
}

/* ---- while the machine exists ------------------------------------------------------------------- */

static void stop(struct bt *bt)
{
    for (unsigned i = 0; i < bt->n_cpus; i++)
        bt_trace_end_cpu(&bt->cpus[i]);
    bt->m->trace.event = NULL;
    bt_trace_close(bt);
}

static int start(struct bt *bt, const struct trace_options *o, struct err *e)
{
    int ret = bt_trace_open(bt, o, e);

    if (ret == 0)
        ret = bt_trace_start(bt, e);
    if (ret < 0)
        stop(bt);
    return ret;
}

int accel_trace(struct accel *a, const struct trace_options *o, struct err *e)
{
    struct bt *bt = a->bt;
    struct tcg_notes n;
    int ret = 0;

    if (a->ops != &accel_bt)
        return err_set(e, -ENOTSUP, "KVM tells nothing of what the CPU does; only the translator can record");
    if (a->opt.verify.shared || a->opt.verify.kvm)
        return err_set(e, -ENOTSUP, "not together with -verify");
    machine_lock(a->m);
    if (bt->trace)
        stop(bt);
    if (o)
        ret = start(bt, o, e);
    n = notes_of(&a->opt, ret == 0 && o ? o->kinds : 0);
    tcg_set_notes(bt->tcg, &n);
    machine_unlock(a->m);
    return ret;
}

bool accel_traces(const struct accel *a)
{
    return a->bt->trace != NULL;
}
