/*
 * virtio-rng.c - random bytes for the guest
 *
 * A request gets what the source has, at least a byte and at most FILL_BYTES; one for which there is nothing stays
 * in its queue, and the source is asked again a little later. max-bytes= and period= bound what leaves: a period begins
 * with the first byte of it. Neither a reset nor another driver gets round that.
 *
 * Source: VIRTIO 1.2, 5.4.
 */
#include "hw/misc/rng.h"
#include "hw/virtio/virtio.h"

#define QUEUE_SIZE  8
#define FILL_BYTES  65536u
#define RETRY_NS    50000000     /* the source had nothing */
#define BREATH_NS   100000       /* between requests of a guest that asks faster than it is served */
#define UNLIMITED   ((uint64_t)INT64_MAX)

struct virtio_rng {
    struct virtio_pci vpci;
    char *rng_id;
    uint64_t max_bytes;          /* a period; UNLIMITED */
    uint32_t period_ms;
    struct rng own, *source;     /* own: without rng= */
    uint64_t left;               /* bytes of this period */
    struct timer period, again;
};

static struct virtio_rng *rng_of(struct virtio *v)
{
    return container_of(v, struct virtio_rng, vpci.v);
}

static int64_t from_now(const struct virtio_rng *s, int64_t ns)
{
    return clock_now_ns(&s->vpci.v.m->clock) + ns;
}

static void spend(struct virtio_rng *s, uint64_t bytes)
{
    if (!bytes || s->max_bytes == UNLIMITED)
        return;
    if (s->left == s->max_bytes)
        timer_mod(&s->period, from_now(s, s->period_ms * 1000000ll));
    s->left -= bytes;
}

/* Bytes that are in @e now. */
static uint64_t fill(struct virtio_rng *s, struct virtq_elem *e)
{
    uint64_t want = MIN(MIN(e->in.bytes, (uint64_t)FILL_BYTES), s->left), at = 0;
    uint8_t part[1024];

    while (at < want) {
        size_t n = rng_read(s->source, part, MIN(want - at, sizeof part));

        if (!n)
            break;
        at += sg_put(&e->in, at, part, n);
    }
    return at;
}

/* Serves one request; false: there was none, or it has to wait. */
static bool serve_one(struct virtio_rng *s, struct virtq *q)
{
    struct virtq_elem e;
    uint64_t n;

    if (!s->left || !virtq_pop(q, &e))
        return false;
    n = fill(s, &e);
    if (!n && e.in.bytes) {
        virtq_unpop(&e);
        timer_mod(&s->again, from_now(s, RETRY_NS));
        return false;
    }
    spend(s, n);
    virtq_push(&e, (uint32_t)n);
    virtq_notify(q);
    return true;
}

static void serve(void *opaque)
{
    struct virtio_rng *s = opaque;

    for (unsigned n = 0; n < QUEUE_SIZE; n++)
        if (!serve_one(s, &s->vpci.v.q[0]))
            return;
    timer_mod(&s->again, from_now(s, BREATH_NS));
}

static void period_ends(void *opaque)
{
    struct virtio_rng *s = opaque;

    s->left = s->max_bytes;
    serve(s);
}

static void queue_notify(struct virtio *v, struct virtq *q)
{
    serve(rng_of(v));
}

static void reset_queues(struct virtio *v)
{
    timer_del(&rng_of(v)->again);
}

static const struct virtio_ops rng_ops = {
    .id = 4, .name = "virtio-rng", .queue_notify = queue_notify, .reset = reset_queues,
};

/* ---- life ------------------------------------------------------------------------------- */

static int rng_init(struct device *d, struct err *e)
{
    struct virtio_rng *s = (struct virtio_rng *)d;
    static const struct virtio_pci_id id = { 0x1005, 0x00ff00 };
    int ret;

    s->own = (struct rng){ .machine = d->machine, .fd = -1 };
    s->source = s->rng_id ? rng_find(d->machine, s->rng_id) : &s->own;
    if (!s->source)
        return err_set(e, -ENODEV, "%s: there is no source of random bytes '%s'", d->type->name, s->rng_id);
    s->left = s->max_bytes;
    timer_init(&s->period, &d->machine->timers, period_ends, s);
    timer_init(&s->again, &d->machine->timers, serve, s);
    virtio_init(&s->vpci.v, d->machine, &rng_ops, 0);
    virtio_add_queue(&s->vpci.v, QUEUE_SIZE);
    ret = virtio_pci_init(&s->vpci, &id, e);
    if (ret == 0)
        s->source->users++;
    return ret;
}

static void rng_reset(struct device *d)
{
    virtio_pci_reset(&((struct virtio_rng *)d)->vpci);
}

static void rng_destroy(struct device *d)
{
    struct virtio_rng *s = (struct virtio_rng *)d;

    timer_del(&s->period);
    timer_del(&s->again);
    s->source->users--;
    s->vpci.v.status = 0;
    virtio_pci_destroy(&s->vpci);
}

static const struct dev_prop rng_props[] = {
    VIRTIO_PCI_PROPS(struct virtio_rng, vpci),
    PROP(STRING, "rng", struct virtio_rng, rng_id, NULL, 0, 0, "id of an -object rng-random or rng-builtin (none: as rng-builtin)"),
    PROP(U64, "max-bytes", struct virtio_rng, max_bytes, "9223372036854775807", 1, UNLIMITED, "bytes that a period gives at most"),
    PROP(U32, "period", struct virtio_rng, period_ms, "65536", 1, UINT32_MAX, "how long one is, in ms"),
    PROP_END
};

static const struct dev_field rng_fields[] = {
    VIRTIO_PCI_FIELDS(struct virtio_rng, vpci),
    FIELD(U64, struct virtio_rng, left),
    FIELD_END
};

#define RNG_TYPE(suffix, how) { \
    .name = "virtio-rng-pci" suffix, .desc = "virtio source of random bytes" how, .size = sizeof(struct virtio_rng), \
    .init = rng_init, .reset = rng_reset, .destroy = rng_destroy, .fields = rng_fields, .props = rng_props }

const struct device_type virtio_rng_pci_type = RNG_TYPE("", "");
const struct device_type virtio_rng_pci_transitional_type = RNG_TYPE("-transitional", ", with legacy interface");
const struct device_type virtio_rng_pci_non_transitional_type = RNG_TYPE("-non-transitional", ", virtio 1 only");
