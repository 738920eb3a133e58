/*
 * virtio.c - negotiation, device status, configuration space
 */
#include "hw/virtio/virtio.h"

void virtio_init(struct virtio *v, struct machine *m, const struct virtio_ops *ops,
                 uint64_t host_features)
{
    assert(ops->config_len <= VIRTIO_CONFIG_MAX);
    v->m = m;
    v->dma = (struct dma){ .m = m, .bypass = true };
    v->ops = ops;
    v->host_features = host_features;
    v->config_vector = VIRTIO_NO_VECTOR;
}

struct virtq *virtio_add_queue(struct virtio *v, uint16_t size)
{
    struct virtq *q = &v->q[v->n_queues];

    assert(v->n_queues < VIRTIO_MAX_QUEUES && size <= VIRTQ_MAX_SIZE);
    q->vd = v;
    q->index = v->n_queues++;
    q->size_max = size;
    virtq_reset(q);
    return q;
}

void virtio_reset(struct virtio *v)
{
    v->status = 0;               /* nothing is popped from here on */
    if (v->ops->reset)
        v->ops->reset(v);
    v->guest_features = 0;
    v->isr = 0;
    v->legacy = false;
    v->config_vector = VIRTIO_NO_VECTOR;
    for (unsigned i = 0; i < v->n_queues; i++)
        virtq_reset(&v->q[i]);
}

/* A modern driver must take VERSION_1; one without it must be legacy. One that
 * does not take ACCESS_PLATFORM would give addresses that mean something else: 6. */
static bool features_ok(const struct virtio *v)
{
    if ((v->host_features >> VIRTIO_F_ACCESS_PLATFORM & 1) &&
        !virtio_has(v, VIRTIO_F_ACCESS_PLATFORM))
        return false;
    return v->legacy || virtio_has(v, VIRTIO_F_VERSION_1);
}

void virtio_set_status(struct virtio *v, uint8_t status)
{
    uint8_t rises = status & ~v->status;

    if (!status) {
        virtio_reset(v);
        return;
    }
    if ((rises & VIRTIO_FEATURES_OK) && !features_ok(v)) {
        log_guest(LOG_PCI, "%s features=%#llx refused", v->ops->name,
                  (unsigned long long)v->guest_features);
        status &= ~VIRTIO_FEATURES_OK;
    }
    /* bits are only ever added; the device's own bit stays */
    v->status |= status & ~VIRTIO_NEEDS_RESET;
    if (!(rises & VIRTIO_DRIVER_OK) || !(v->status & VIRTIO_DRIVER_OK))
        return;
    if (v->ops->driver_ok)
        v->ops->driver_ok(v);
    for (unsigned i = 0; i < v->n_queues; i++)  /* kicks from before DRIVER_OK */
        virtio_kick(v, i);
}

void virtio_set_features(struct virtio *v, unsigned half, uint32_t bits)
{
    unsigned frozen = v->legacy ? VIRTIO_DRIVER_OK : VIRTIO_FEATURES_OK;
    uint64_t mask = half ? 0xffffffffull << 32 : 0xffffffffull;

    if (half > 1 || (v->status & frozen)) {
        log_guest(LOG_PCI, "%s features written late", v->ops->name);
        return;
    }
    v->guest_features = (v->guest_features & ~mask) | ((uint64_t)bits << (half * 32));
    v->guest_features &= v->host_features;
}

bool virtio_live(const struct virtio *v)
{
    /* legacy drivers may use a queue before they say DRIVER_OK: 3.1.1 */
    return !(v->status & (VIRTIO_NEEDS_RESET | VIRTIO_FAILED)) &&
           ((v->status & VIRTIO_DRIVER_OK) || (v->legacy && (v->status & VIRTIO_DRIVER)));
}

void virtio_kick(struct virtio *v, unsigned n)
{
    struct virtq *q;

    if (n >= v->n_queues || !virtio_live(v) || v->busy || !dma_enabled(&v->dma))
        return;
    q = &v->q[n];
    if (!q->enabled)
        return;
    v->busy = true;
    v->ops->queue_notify(v, q);
    v->busy = false;
}

void virtio_config_changed(struct virtio *v)
{
    v->config_gen++;
    if (v->status & VIRTIO_DRIVER_OK)
        v->interrupt(v, v->config_vector, true);
}

void virtio_broken(struct virtio *v, const char *why)
{
    log_guest(LOG_PCI, "%s broken: %s", v->ops->name, why);
    v->status |= VIRTIO_NEEDS_RESET;
    if (virtio_has(v, VIRTIO_F_VERSION_1)) {
        v->config_gen++;
        v->interrupt(v, v->config_vector, true);
    }
}

uint32_t virtio_config_read(struct virtio *v, unsigned off, unsigned size)
{
    uint8_t config[VIRTIO_CONFIG_MAX] = { 0 };
    uint32_t val = 0;

    if (off >= v->ops->config_len || size > v->ops->config_len - off)
        return (uint32_t)size_mask(size);
    v->ops->get_config(v, config);
    memcpy(&val, config + off, size);
    return val;
}

void virtio_config_write(struct virtio *v, unsigned off, uint32_t val, unsigned size)
{
    uint8_t config[VIRTIO_CONFIG_MAX] = { 0 };

    if (off >= v->ops->config_len || size > v->ops->config_len - off || !v->ops->set_config)
        return;
    v->ops->get_config(v, config);
    memcpy(config + off, &val, size);
    v->ops->set_config(v, config);
}
