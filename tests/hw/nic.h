/*
 * nic.h - a machine with one network card whose cable ends in the test
 */
#ifndef TESTS_HW_NIC_H
#define TESTS_HW_NIC_H

#include <stdlib.h>
#include "hw/net/nic.h"
#include "tests/hw/board.h"

#define NIC_SLOT PCI_DEVFN(3, 0)
#define NIC_IO   0xc000
#define NIC_MMIO 0xe0000000u

/** struct peer - the far end: keeps the last frames, sends what the test says */
struct peer {
    struct netport port;
    uint8_t data[8][NET_FRAME_MAX];
    size_t len[8];
    struct net_offload off[8];
    unsigned n;              /* frames seen; the last eight are kept */
    bool refuse;
    bool echo;               /* answer each frame at once, from within receive() */
    unsigned room_calls;
};

static inline bool peer_receive(void *opaque, const struct net_frame *f)
{
    struct peer *p = opaque;

    if (p->refuse)
        return false;
    memcpy(p->data[p->n % 8], f->data, f->len);
    p->len[p->n % 8] = f->len;
    p->off[p->n++ % 8] = f->off;
    if (p->echo)
        net_send(&p->port, f);
    return true;
}

static inline void peer_room(void *opaque)
{
    ((struct peer *)opaque)->room_calls++;
}

static const struct net_ops peer_ops = { .kind = "peer", .receive = peer_receive,
                                         .room = peer_room };

struct rig {
    struct machine *m;
    struct peer *peer;
    struct device *card;
};

static const uint8_t rig_mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };

/* BARs at NIC_IO and NIC_MMIO, bus master on. @io_bar, @mem_bar: which, or -1. */
static inline struct rig rig_new(const struct device_type *t, int io_bar, int mem_bar)
{
    struct rig r = { .m = board_machine(), .peer = xzalloc(sizeof *r.peer) };
    struct err e = { "" };

    r.m->net = net_new(r.m->loop, &r.m->timers);
    netport_init(&r.peer->port, r.m->net, &peer_ops, r.peer, "peer");
    r.peer->port.caps = NET_CAP_BIG;
    r.card = nic_add(r.m, t, "peer", "52:54:00:01:02:03", &e);
    cr_assert_not_null(r.card, "%s", e.msg);
    machine_reset(r.m);
    if (io_bar >= 0)
        cfg_wr(r.m, NIC_SLOT, PCI_BAR0 + 4 * io_bar, NIC_IO, 4);
    if (mem_bar >= 0)
        cfg_wr(r.m, NIC_SLOT, PCI_BAR0 + 4 * mem_bar, NIC_MMIO, 4);
    cfg_wr(r.m, NIC_SLOT, PCI_COMMAND, 7, 2);
    return r;
}

static inline void rig_free(struct rig *r)
{
    net_free(r->m->net);
    r->m->net = NULL;
    machine_free(r->m);
    free(r->peer);
}

static inline uint32_t rd32(struct rig *r, uint32_t off)
{
    return mmio_read(&r->m->mem, NIC_MMIO + off, 4);
}

static inline void wr32(struct rig *r, uint32_t off, uint32_t v)
{
    mmio_write(&r->m->mem, NIC_MMIO + off, v, 4);
}

static inline void ram_put(struct rig *r, gpa_t at, const void *buf, size_t n)
{
    mem_write(&r->m->mem, at, buf, n);
}

static inline void ram_get(struct rig *r, gpa_t at, void *buf, size_t n)
{
    mem_read(&r->m->mem, at, buf, n);
}

static inline void peer_send(struct rig *r, const void *buf, size_t len)
{
    struct net_frame f = { .data = buf, .len = len };

    net_send(&r->peer->port, &f);
}

/* A frame to the card, filled with a pattern. */
static inline size_t make_frame(uint8_t *d, size_t len)
{
    memcpy(d, rig_mac, 6);
    memset(d + 6, 0x22, 6);
    d[12] = 0x88;
    d[13] = 0xb5;
    for (size_t i = 14; i < len; i++)
        d[i] = i * 7;
    return len;
}

static inline bool irq_pending(struct rig *r)
{
    return cfg_rd(r->m, NIC_SLOT, PCI_STATUS, 2) & PCI_STATUS_INTX;
}

/* Deterministic numbers for register writes at random. */
static inline uint32_t rnd(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return *seed >> 32;
}

/* Writes and reads all over the card, frames from the far end, time passing.
 * STORM_ROUNDS in the environment makes it longer. */
static inline void storm(struct rig *r, unsigned rounds, uint32_t io_bytes, uint32_t mmio_bytes)
{
    uint64_t seed = 20261120;
    uint8_t *frame = xzalloc(2048);
    const char *longer = getenv("STORM_ROUNDS");

    rounds = longer ? strtoul(longer, NULL, 0) : rounds;
    for (unsigned i = 0; i < rounds; i++) {
        unsigned size = 1u << rnd(&seed) % 3, what = rnd(&seed) % 8;
        /* small values and addresses in RAM reach further than noise */
        uint32_t v = rnd(&seed) % 3 ? rnd(&seed) % 0x2000 : rnd(&seed);

        if (io_bytes && what < 4)
            port_write(r->m, NIC_IO + rnd(&seed) % (io_bytes - 3), v, size);
        else if (io_bytes && what == 4)
            port_read(r->m, NIC_IO + rnd(&seed) % (io_bytes - 3), size);
        else if (mmio_bytes && what < 7)
            mmio_write(&r->m->mem, NIC_MMIO + (rnd(&seed) % mmio_bytes & ~3u), v, 4);
        else
            peer_send(r, frame, make_frame(frame, 14 + rnd(&seed) % 2000));
        if (i % 64 == 0)
            clock_step(&r->m->clock, &r->m->timers, 1000);
        if (i % 1024 == 0)           /* descriptors that are no zeros */
            for (unsigned k = 0; k < 64; k++) {
                uint64_t word = (uint64_t)rnd(&seed) << 32 | rnd(&seed) % 0x4000;

                ram_put(r, rnd(&seed) % 0x2000 & ~7u, &word, 8);
            }
    }
    free(frame);
}

#endif
