/*
 * virtq.h - a driver of virtio 1 devices in small: split rings in the rig's RAM, descriptors one a request
 *
 * Queue n of the device lies at QBASE + n * QSTRIDE: descriptors, available and used ring.
 */
#ifndef TESTS_HW_VIRTQ_H
#define TESTS_HW_VIRTQ_H

#include "hw/virtio/virtio.h"
#include "tests/hw/disk.h"

#define VQ_DEV      PCI_DEVFN(4, 0)
#define VQ_MODERN   0x90000000u
#define VQ_CONFIG   0x2000
#define VQ_BASE     0x10000
#define VQ_STRIDE   0x1000
#define VQ_SIZE     8
#define VQ_MAX      16
#define VQ_WRITE    2              /* the device writes */

struct vdriver {
    struct rig r;
    struct device *d;
    uint16_t avail[VQ_MAX];
    uint16_t seen[VQ_MAX];         /* used entries that were looked at */
};

static inline void vd_wr(struct vdriver *g, unsigned off, uint32_t v, unsigned size)
{
    mmio_write(&g->r.m->mem, VQ_MODERN + off, v, size);
}

static inline uint32_t vd_rd(struct vdriver *g, unsigned off, unsigned size)
{
    return mmio_read(&g->r.m->mem, VQ_MODERN + off, size);
}

static inline uint8_t *vd_ring(struct vdriver *g, unsigned q)
{
    return g->r.m->ram + VQ_BASE + q * VQ_STRIDE;
}

/* Negotiation up to DRIVER_OK with @n queues; again after a reset. */
static inline void vd_drive(struct vdriver *g, uint64_t features, unsigned n)
{
    memset(g->avail, 0, sizeof g->avail);
    memset(g->seen, 0, sizeof g->seen);
    memset(vd_ring(g, 0), 0, n * VQ_STRIDE);
    cfg_wr(g->r.m, VQ_DEV, PCI_BAR0 + 16, VQ_MODERN, 4);
    cfg_wr(g->r.m, VQ_DEV, PCI_COMMAND, 7, 2);
    vd_wr(g, 0x14, 3, 1);
    for (unsigned i = 0; i < 2; i++) {
        vd_wr(g, 0x08, i, 4);
        vd_wr(g, 0x0c, (features | BIT(VIRTIO_F_VERSION_1)) >> (32 * i), 4);
    }
    vd_wr(g, 0x14, 11, 1);
    cr_assert_eq(vd_rd(g, 0x14, 1), 11);
    for (unsigned q = 0; q < n; q++) {
        vd_wr(g, 0x16, q, 2);
        vd_wr(g, 0x18, VQ_SIZE, 2);
        vd_wr(g, 0x20, VQ_BASE + q * VQ_STRIDE, 4);
        vd_wr(g, 0x28, VQ_BASE + q * VQ_STRIDE + 0x400, 4);
        vd_wr(g, 0x30, VQ_BASE + q * VQ_STRIDE + 0x800, 4);
        vd_wr(g, 0x1c, 1, 2);
    }
    vd_wr(g, 0x14, 15, 1);
}

static inline void vd_start(struct vdriver *g, const struct device_type *t, const char *const *props)
{
    memset(g, 0, sizeof *g);
    rig_init(&g->r);
    g->d = rig_add(&g->r, t, VQ_DEV, props);
}

static inline uint16_t vd_used(struct vdriver *g, unsigned q)
{
    return ldl16(vd_ring(g, q) + 0x802);
}

/* One more request of one buffer; the device is not told. */
static inline void vd_add(struct vdriver *g, unsigned q, gpa_t addr, uint32_t len, uint16_t flags)
{
    uint8_t *ring = vd_ring(g, q), *p = ring + 16 * (g->avail[q] % VQ_SIZE);

    stl64(p, addr);
    stl32(p + 8, len);
    stl16(p + 12, flags);
    stl16(ring + 0x404 + 2 * (g->avail[q] % VQ_SIZE), g->avail[q] % VQ_SIZE);
    stl16(ring + 0x402, ++g->avail[q]);
}

static inline void vd_kick(struct vdriver *g, unsigned q)
{
    vd_wr(g, 0x3000 + 4 * q, q, 2);
}

static inline void vd_give(struct vdriver *g, unsigned q, gpa_t addr, uint32_t len, uint16_t flags)
{
    vd_add(g, q, addr, len, flags);
    vd_kick(g, q);
}

/* Bytes in the next used entry that was not looked at; -1: there is none. */
static inline int vd_next(struct vdriver *g, unsigned q)
{
    if (g->seen[q] == vd_used(g, q))
        return -1;
    return (int)ldl32(vd_ring(g, q) + 0x804 + 8 * (g->seen[q]++ % VQ_SIZE) + 4);
}

static inline void vd_step(struct vdriver *g, int64_t ns)
{
    clock_step(&g->r.m->clock, &g->r.m->timers, ns);
}

#endif
