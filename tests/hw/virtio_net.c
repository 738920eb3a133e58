/* virtio_net.c - virtio-net driven as a guest's driver would */
#include "hw/virtio/virtio.h"
#include "tests/hw/nic.h"

#define NOTIFY 0x3000
#define QBASE  0x10000           /* rings of queue n: QBASE + n * 0x4000 */
#define RXBUF  0x40000
#define TXBUF  0x60000
#define CTLBUF 0x78000
#define QSIZE  64
#define HDR    12

enum { NEXT = 1, WRITE = 2 };
enum { CSUM = 0, HOST_TSO4 = 11, MRG = 15, CTRL = 17, CTRL_VLAN = 19, ANNOUNCE = 21 };

struct guest {
    struct rig r;
    uint16_t avail[8];
};

static void wr(struct guest *g, unsigned off, uint32_t v, unsigned size)
{
    mmio_write(&g->r.m->mem, NIC_MMIO + off, v, size);
}

static uint32_t rd(struct guest *g, unsigned off, unsigned size)
{
    return mmio_read(&g->r.m->mem, NIC_MMIO + off, size);
}

static void set_queue(struct guest *g, unsigned n)
{
    static const gpa_t part[3] = { 0, 0x1000, 0x2000 };

    wr(g, 0x16, n, 2);
    wr(g, 0x18, QSIZE, 2);
    for (unsigned i = 0; i < 3; i++) {
        wr(g, 0x20 + 8 * i, QBASE + n * 0x4000 + part[i], 4);
        wr(g, 0x24 + 8 * i, 0, 4);
    }
    wr(g, 0x1c, 1, 2);
}

static void start(struct guest *g, uint64_t features)
{
    memset(g, 0, sizeof *g);
    g->r = rig_new(&virtio_net_pci_type, -1, 4);
    wr(g, 0x14, 3, 1);
    features |= BIT(VIRTIO_F_VERSION_1);
    for (unsigned i = 0; i < 2; i++) {
        wr(g, 0x08, i, 4);
        wr(g, 0x0c, features >> 32 * i, 4);
    }
    wr(g, 0x14, 11, 1);
    cr_assert_eq(rd(g, 0x14, 1), 11);
    for (unsigned n = 0; n < 3; n++)
        set_queue(g, n);
    wr(g, 0x14, 15, 1);
}

static void desc(struct guest *g, unsigned q, unsigned i, gpa_t addr, uint32_t len, uint16_t flags,
                 uint16_t next)
{
    uint8_t *p = g->r.m->ram + QBASE + q * 0x4000 + 16 * i;

    stl64(p, addr);
    stl32(p + 8, len);
    stl16(p + 12, flags);
    stl16(p + 14, next);
}

static void offer(struct guest *g, unsigned q, unsigned head)
{
    uint8_t *ring = g->r.m->ram + QBASE + q * 0x4000 + 0x1000;

    stl16(ring + 4 + 2 * (g->avail[q] % QSIZE), head);
    stl16(ring + 2, ++g->avail[q]);
}

static void kick(struct guest *g, unsigned q)
{
    wr(g, NOTIFY + q * 4, q, 2);
    clock_step(&g->r.m->clock, &g->r.m->timers, 1000);
}

static uint16_t used(struct guest *g, unsigned q)
{
    return ldl16(g->r.m->ram + QBASE + q * 0x4000 + 0x2002);
}

static uint32_t used_len(struct guest *g, unsigned q, unsigned i)
{
    return ldl32(g->r.m->ram + QBASE + q * 0x4000 + 0x2004 + 8 * (i % QSIZE) + 4);
}

static void offer_rx(struct guest *g, unsigned n, uint32_t len)
{
    for (unsigned i = 0; i < n; i++) {
        desc(g, 0, i, RXBUF + i * 2048, len, WRITE, 0);
        offer(g, 0, i);
    }
    kick(g, 0);
}

/* Header and frame in two descriptors. */
static void tx(struct guest *g, const uint8_t *hdr, const uint8_t *f, size_t len)
{
    uint8_t *ram = g->r.m->ram;

    memcpy(ram + TXBUF, hdr, HDR);
    memcpy(ram + TXBUF + HDR, f, len);
    desc(g, 1, 0, TXBUF, HDR, NEXT, 1);
    desc(g, 1, 1, TXBUF + HDR, len, 0, 0);
    offer(g, 1, 0);
    kick(g, 1);
}

static uint8_t control(struct guest *g, const void *d, size_t len)
{
    uint8_t *ram = g->r.m->ram;

    memcpy(ram + CTLBUF, d, len);
    ram[CTLBUF + 0x1000] = 0xee;
    desc(g, 2, 0, CTLBUF, len, NEXT, 1);
    desc(g, 2, 1, CTLBUF + 0x1000, 1, WRITE, 0);
    offer(g, 2, 0);
    kick(g, 2);
    return ram[CTLBUF + 0x1000];
}

static const uint8_t no_hdr[HDR];

Test(virtio_net, sends)
{
    struct guest g;
    uint8_t f[1514];

    start(&g, 0);
    make_frame(f, 1514);
    tx(&g, no_hdr, f, 1514);
    cr_assert_eq(g.r.peer->n, 1);
    cr_assert_eq(g.r.peer->len[0], 1514);
    cr_assert_arr_eq(g.r.peer->data[0], f, 1514);
    cr_assert_eq(used(&g, 1), 1);
    cr_assert(irq_pending(&g.r));
    rig_free(&g.r);
}

Test(virtio_net, receives_and_waits_for_buffers)
{
    struct guest g;
    uint8_t f[200];

    start(&g, 0);
    peer_send(&g.r, f, make_frame(f, 200));
    cr_assert_eq(used(&g, 0), 0);
    offer_rx(&g, 2, 2048);
    cr_assert_eq(used(&g, 0), 1, "what waited has come");
    cr_assert_eq(used_len(&g, 0, 0), 212);
    cr_assert_arr_eq(g.r.m->ram + RXBUF + HDR, f, 200);
    cr_assert_eq(ldl16(g.r.m->ram + RXBUF + 10), 1, "num_buffers");
    rig_free(&g.r);
}

Test(virtio_net, mergeable_buffers)
{
    struct guest g;
    uint8_t f[1000];

    start(&g, BIT(MRG));
    make_frame(f, 1000);
    peer_send(&g.r, f, 1000);
    offer_rx(&g, 2, 300);
    cr_assert_eq(used(&g, 0), 0, "not enough yet: nothing is used");
    for (unsigned i = 2; i < 4; i++) {
        desc(&g, 0, i, RXBUF + i * 2048, 300, WRITE, 0);
        offer(&g, 0, i);
    }
    kick(&g, 0);
    cr_assert_eq(used(&g, 0), 4);
    cr_assert_eq(ldl16(g.r.m->ram + RXBUF + 10), 4);
    cr_assert_eq(used_len(&g, 0, 3), 112);
    cr_assert_arr_eq(g.r.m->ram + RXBUF + HDR, f, 288);
    cr_assert_arr_eq(g.r.m->ram + RXBUF + 3 * 2048, f + 888, 112);
    rig_free(&g.r);
}

/* A frame that all buffers together cannot hold is dropped, and they wait for the next: any can be its first. */
Test(virtio_net, mergeable_buffer_without_room_for_a_header_breaks_the_device)
{
    struct guest g;
    uint8_t f[1000];

    start(&g, BIT(MRG));
    desc(&g, 0, 0, RXBUF, 80, WRITE, 0);
    offer(&g, 0, 0);
    for (unsigned i = 1; i < QSIZE; i++) {
        desc(&g, 0, i, RXBUF + i * 2048, 4, WRITE, 0);
        offer(&g, 0, i);
    }
    kick(&g, 0);
    for (unsigned i = 0; i < 3; i++)
        peer_send(&g.r, f, make_frame(f, i ? 60 : 1000));
    cr_assert_eq(rd(&g, 0x14, 1) & VIRTIO_NEEDS_RESET, VIRTIO_NEEDS_RESET);
    cr_assert_eq(used(&g, 0), 0);
    rig_free(&g.r);
}

Test(virtio_net, frame_too_long_for_its_buffer_is_dropped)
{
    struct guest g;
    uint8_t f[1000];

    start(&g, 0);
    offer_rx(&g, 1, 500);
    peer_send(&g.r, f, make_frame(f, 1000));
    cr_assert_eq(used(&g, 0), 0);
    peer_send(&g.r, f, make_frame(f, 100));
    cr_assert_eq(used(&g, 0), 1, "the buffer serves the next");
    rig_free(&g.r);
}

Test(virtio_net, checksum_is_completed_for_a_peer_that_wants_it)
{
    struct guest g;
    uint8_t f[60], h[HDR] = { 1 };

    start(&g, BIT(CSUM));
    make_frame(f, 60);
    memset(f + 34, 0, 26);
    f[40] = 0x12, f[41] = 0x34;
    stl16(h + 6, 34);
    stl16(h + 8, 16);
    tx(&g, h, f, 60);
    cr_assert_eq(g.r.peer->data[0][50], 0xed);
    cr_assert_eq(g.r.peer->data[0][51], 0xcb);
    stl16(h + 6, 60000);             /* outside the frame */
    tx(&g, h, f, 60);
    cr_assert_eq(g.r.peer->n, 1, "dropped");
    cr_assert_eq(used(&g, 1), 2);
    rig_free(&g.r);
}

Test(virtio_net, control_queue)
{
    struct guest g;
    uint8_t f[64], mac[8] = { 1, 1, 2, 4, 6, 8, 10, 12 };

    start(&g, BIT(CTRL));
    offer_rx(&g, 8, 2048);
    cr_assert_eq(control(&g, "\0\0\0", 3), 0, "promiscuous off");
    make_frame(f, 60);
    f[5]++;
    peer_send(&g.r, f, 60);
    cr_assert_eq(used(&g, 0), 0);
    cr_assert_eq(control(&g, mac, 8), 0, "another address");
    memcpy(f, mac + 2, 6);
    peer_send(&g.r, f, 60);
    cr_assert_eq(used(&g, 0), 1);
    cr_assert_eq(control(&g, "\1\0\xff\xff\xff\xff", 6), 1, "a count past the end");
    cr_assert_eq(control(&g, "\1", 1), 1);
    cr_assert_eq(control(&g, "\2\0\xff\xff", 4), 1, "no such VLAN");
    cr_assert_eq(control(&g, "\4\0\2\0", 4), 1, "MQ was not negotiated");
    rig_free(&g.r);
}

static void count_changes(void *opaque, const struct netport *p)
{
    ++*(unsigned *)opaque;
}

/* What is let through can be asked for; a change is told once until then. */
Test(virtio_net, filters_are_told)
{
    struct guest g;
    struct netport *p;
    struct net_rx_filter f;
    unsigned changes = 0;
    uint8_t table[2 + 4 + 6 + 4 + 12] = { 1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0,
                                          0x33, 0x33, 0, 0, 0, 1, 0x33, 0x33, 0, 0, 0, 2 };
    uint8_t many[2 + 4 + 65 * 6 + 4] = { 1, 0, 65 };

    start(&g, BIT(CTRL) | BIT(CTRL_VLAN));
    p = g.r.peer->port.peer;
    p->net->rx_filter_changed = count_changes;
    p->net->rx_filter_opaque = &changes;
    cr_assert(net_rx_filter(p, &f));
    cr_assert(f.promiscuous && f.broadcast);
    cr_assert_eq(f.vlan, NET_RX_NONE);
    cr_assert_eq(control(&g, "\0\0\0", 3), 0);
    cr_assert_eq(control(&g, "\0\1\1", 3), 0, "all multicast");
    cr_assert_eq(changes, 1);
    cr_assert_eq(control(&g, table, sizeof table), 0);
    cr_assert_eq(control(&g, "\2\0\5\0", 4), 0);
    cr_assert_eq(changes, 1, "nobody has asked since");
    cr_assert(net_rx_filter(p, &f));
    cr_assert(!f.promiscuous);
    cr_assert_eq(f.multicast, NET_RX_ALL);
    cr_assert_eq(f.unicast, NET_RX_NORMAL);
    cr_assert_eq(f.vlan, NET_RX_NORMAL);
    cr_assert_eq(f.vlans[0], 1u << 5);
    cr_assert(f.n_unicast == 1 && f.n_multicast == 2);
    cr_assert_eq(f.table[2][5], 2);
    cr_assert_arr_eq(f.mac, rig_mac, 6);
    cr_assert_eq(control(&g, "\1\1\2\4\6\10\12\14", 8), 0);
    cr_assert_eq(changes, 2);
    cr_assert_eq(control(&g, many, sizeof many), 0, "more than fit: all pass");
    cr_assert(net_rx_filter(p, &f));
    cr_assert(f.unicast_overflow && !f.multicast_overflow && !f.n_unicast);
    cr_assert_eq(f.mac[5], 12);
    rig_free(&g.r);
}

Test(virtio_net, announces_when_asked)
{
    struct net_announce_plan plan = { .initial_ms = 50, .max_ms = 500, .step_ms = 100, .rounds = 2 };
    struct guest g;

    start(&g, BIT(CTRL) | BIT(16) | BIT(ANNOUNCE));
    net_announce(g.r.peer->port.net, &plan);
    cr_assert_eq(g.r.peer->n, 1);
    cr_assert_eq(g.r.peer->len[0], 60);
    cr_assert_arr_eq(g.r.peer->data[0] + 6, rig_mac, 6);
    cr_assert(g.r.peer->data[0][12] == 0x80 && g.r.peer->data[0][13] == 0x35, "RARP");
    cr_assert_arr_eq(g.r.peer->data[0] + 32, rig_mac, 6);
    cr_assert_eq(rd(&g, 0x2006, 2), 3);
    cr_assert_eq(control(&g, "\3\1", 2), 1, "no such command");
    cr_assert_eq(control(&g, "\3\0", 2), 0);
    cr_assert_eq(rd(&g, 0x2006, 2), 1, "acknowledged");
    clock_step(&g.r.m->clock, &g.r.m->timers, 49000000);
    cr_assert_eq(g.r.peer->n, 1);
    clock_step(&g.r.m->clock, &g.r.m->timers, 2000000);
    cr_assert_eq(g.r.peer->n, 2, "the second round");
    clock_step(&g.r.m->clock, &g.r.m->timers, 2000000000);
    cr_assert_eq(g.r.peer->n, 2);
    rig_free(&g.r);
}

/* Features of a card with these properties; offers come in two halves. */
static uint64_t features_with(const char *prop, const char *val, uint64_t *config)
{
    struct dev_global gl = { "virtio-net-pci", (char *)prop, (char *)val };
    struct machine *m = board_machine();
    struct err e = { "" };
    uint64_t f = 0;

    m->cfg.globals = &gl;
    m->cfg.n_globals = 1;
    cr_assert_not_null(nic_add(m, &virtio_net_pci_type, NULL, NULL, &e), "%s", e.msg);
    machine_reset(m);
    cfg_wr(m, NIC_SLOT, 0x20, NIC_MMIO, 4);
    cfg_wr(m, NIC_SLOT, PCI_COMMAND, 7, 2);
    for (unsigned half = 0; half < 2; half++) {
        mmio_write(&m->mem, NIC_MMIO, half, 4);
        f |= mmio_read(&m->mem, NIC_MMIO + 4, 4) << half * 32;
    }
    *config = mmio_read(&m->mem, NIC_MMIO + 0x200a, 2) | mmio_read(&m->mem, NIC_MMIO + 0x200c, 4) << 32;
    net_free(m->net);
    m->net = NULL;
    machine_free(m);
    return f;
}

Test(virtio_net, properties_choose_features)
{
    uint64_t all, config;
    const uint64_t gso = BIT(7) | BIT(8) | BIT(9) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14);

    all = features_with("csum", "on", &config);
    cr_assert_eq(all & (gso | BIT(ANNOUNCE) | BIT(CTRL)), gso | BIT(ANNOUNCE) | BIT(CTRL));
    cr_assert(!(all & BIT(3)) && !(all >> 63));
    cr_assert_eq(features_with("host_mtu", "9000", &config), all | BIT(3));
    cr_assert_eq(config & 0xffff, 9000);
    cr_assert_eq(features_with("speed", "10000", &config), all | 1ull << 63);
    cr_assert_eq(config >> 32, 10000);
    cr_assert_eq(features_with("csum", "off", &config), all & ~(gso | BIT(0) | BIT(1) | BIT(2)));
    cr_assert_eq(features_with("guest_csum", "off", &config),
                 all & ~(BIT(1) | BIT(2) | BIT(7) | BIT(8) | BIT(9) | BIT(10)), "and what builds on it");
    cr_assert_eq(features_with("host_tso6", "off", &config), all & ~BIT(12));
    cr_assert_eq(features_with("status", "off", &config), all & ~(BIT(16) | BIT(ANNOUNCE)));
    cr_assert_eq(features_with("ctrl_vq", "off", &config),
                 all & ~(BIT(2) | BIT(17) | BIT(18) | BIT(19) | BIT(20) | BIT(ANNOUNCE) | BIT(23)));
}

Test(virtio_net, receive_buffer_without_header_room_breaks_the_device)
{
    struct guest g;
    uint8_t f[64];

    start(&g, 0);
    offer_rx(&g, 1, 4);
    peer_send(&g.r, f, make_frame(f, 60));
    cr_assert(rd(&g, 0x14, 1) & VIRTIO_NEEDS_RESET);
    wr(&g, 0x14, 0, 1);
    cr_assert_eq(rd(&g, 0x14, 1), 0);
    rig_free(&g.r);
}

Test(virtio_net, short_and_endless_transmissions)
{
    struct guest g;
    uint8_t f[64];

    start(&g, 0);
    make_frame(f, 60);
    desc(&g, 1, 0, TXBUF, 5, 0, 0);
    offer(&g, 1, 0);
    kick(&g, 1);
    cr_assert_eq(used(&g, 1), 1);
    cr_assert_eq(g.r.peer->n, 0);
    desc(&g, 1, 0, TXBUF, 0xffffffff, 0, 0);
    offer(&g, 1, 0);
    kick(&g, 1);
    cr_assert_eq(g.r.peer->n, 0);
    rig_free(&g.r);
}

Test(virtio_net, link_and_address_in_configuration)
{
    struct guest g;

    start(&g, BIT(16));
    for (unsigned i = 0; i < 6; i++)
        cr_assert_eq(rd(&g, 0x2000 + i, 1), rig_mac[i]);
    cr_assert_eq(rd(&g, 0x2006, 2), 1);
    net_set_link(&g.r.peer->port, false);
    cr_assert_eq(rd(&g, 0x2006, 2), 0);
    rig_free(&g.r);
}

Test(virtio_net, random_register_writes)
{
    struct guest g;

    start(&g, BIT(MRG) | BIT(CTRL) | BIT(CSUM) | BIT(HOST_TSO4));
    offer_rx(&g, 16, 1500);
    storm(&g.r, 100000, 0, 0x4000);
    rig_free(&g.r);
}
