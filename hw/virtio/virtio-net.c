/*
 * virtio-net.c - virtio network device
 *
 * Queues: receive and transmit in pairs, then control. A kick sends at once, up
 * to TX_BUDGET frames: on a busy host, another thread would have to wait for its
 * turn, and with it every acknowledgement. A timer goes on with the rest. Buffers for
 * receiving are taken from the ring as frames need them; those taken for a frame that did
 * not fit yet wait in a stash. A back end with queues of its own (tap) keeps each pair's
 * frames apart; else flows are spread here.
 *
 * virtio-net-ctrl.c: the control queue.
 *
 * Source: VIRTIO 1.2, 5.1.
 */
#include <stdlib.h>
#include "hw/virtio/virtio-net-int.h"

#define MAX_PAIRS    31
#define TX_BUDGET    64
#define HDR_MAX      12u

enum { HDR_NEEDS_CSUM = 1, HDR_DATA_VALID = 2 };
enum { GSO_NONE = 0, GSO_TCP4 = 1, GSO_UDP = 3, GSO_TCP6 = 4, GSO_ECN = 0x80 };
enum { CFG_MAC = 0, CFG_STATUS = 6, CFG_PAIRS = 8, CFG_MTU = 10, CFG_SPEED = 12, CFG_DUPLEX = 16,
       CFG_BYTES = 17 };
enum { STATUS_LINK_UP = 1, STATUS_ANNOUNCE = 2 };
enum { MTU_MIN = 68, MTU_MAX = 65535 };
#define SPEED_UNKNOWN (-1)

static struct virtio_net *net_of(struct virtio *v)
{
    return container_of(v, struct virtio_net, vpci.v);
}

static unsigned hdr_bytes(const struct virtio *v)
{
    return virtio_has(v, F_MRG_RXBUF) || virtio_has(v, VIRTIO_F_VERSION_1) ? 12 : 10;
}

struct virtq_elem *virtio_net_elem(struct virtio_net *s)
{
    return s->n_spare ? s->spare[--s->n_spare] : xzalloc(sizeof(struct virtq_elem));
}

void virtio_net_elem_put(struct virtio_net *s, struct virtq_elem *e)
{
    if (s->n_spare < ARRAY_SIZE(s->spare))
        s->spare[s->n_spare++] = e;
    else
        free(e);
}

/* ---- receiving ------------------------------------------------------------------------- */

static bool in_table(const struct virtio_net *s, const uint8_t *dst)
{
    for (unsigned i = 0; i < s->n_macs; i++)
        if (!memcmp(s->macs[i], dst, 6))
            return true;
    return false;
}

static bool wanted(const struct virtio_net *s, const uint8_t *d, size_t len)
{
    unsigned vid = len >= 18 ? (d[14] << 8 | d[15]) & 0xfff : 0;

    if (s->mode[RX_PROMISC])
        return true;
    if (len >= 18 && d[12] == 0x81 && !d[13] && virtio_has(&s->vpci.v, F_CTRL_VLAN) &&
        !(s->vlans[vid / 32] >> vid % 32 & 1))
        return false;
    if (nic_is_broadcast(d))
        return !s->mode[RX_NOBCAST];
    if (d[0] & 1)
        return !s->mode[RX_NOMULTI] && (s->mode[RX_ALLMULTI] || s->multi_overflow || in_table(s, d));
    return !s->mode[RX_NOUNI] && (s->mode[RX_ALLUNI] || s->uni_overflow ||
                                  !memcmp(d, s->mac, 6) || in_table(s, d));
}

/* The back end's queue, where it has several; else one flow stays on one pair: addresses
 * and ports of IPv4, all others on the first. */
static unsigned pick_pair(const struct virtio_net *s, const struct net_frame *f)
{
    const struct netport *back = s->nic.port.peer;
    const uint8_t *d = f->data;
    size_t len = f->len;
    uint32_t h;

    if (back && back->queues > 1)
        return f->queue < s->active_pairs ? f->queue : 0;
    if (s->active_pairs < 2 || len < 38 || d[12] != 8 || d[13])
        return 0;
    h = ldl32(d + 26) ^ ldl32(d + 30) ^ ldl32(d + 34);
    h ^= h >> 16;
    return (h ^ h >> 8) % s->active_pairs;
}

static void put_hdr(uint8_t *h, const struct net_offload *o, unsigned buffers)
{
    static const uint8_t gso[] = { GSO_NONE, GSO_TCP4, GSO_TCP6, GSO_UDP };

    h[0] = o->csum ? HDR_NEEDS_CSUM : o->valid ? HDR_DATA_VALID : 0;
    h[1] = gso[o->gso] | (o->gso && o->ecn ? GSO_ECN : 0);
    stl16(h + 2, o->hdr_len);
    stl16(h + 4, o->gso_size);
    stl16(h + 6, o->csum_start);
    stl16(h + 8, o->csum_offset);
    stl16(h + 10, buffers);
}

/* Take buffers until they hold @need bytes; false: the ring has no more now. Each has room for a
 * header (5.1.6.3.1): any of them may be the first of a frame, when the one before was dropped. */
static bool gather(struct virtio_net *s, struct virtq *q, struct stash *st, uint64_t need)
{
    bool merge = virtio_has(&s->vpci.v, F_MRG_RXBUF);

    while ((merge || !st->n) && st->bytes < need && st->n < q->size) {
        struct virtq_elem *e = virtio_net_elem(s);

        if (!virtq_pop(q, e)) {
            virtio_net_elem_put(s, e);
            return false;
        }
        st->e[st->n++] = e;
        st->bytes += e->in.bytes;
        if (e->in.bytes < hdr_bytes(&s->vpci.v)) {
            virtio_broken(&s->vpci.v, "receive buffer without room for a header");
            return false;
        }
    }
    return true;
}

/* How many buffers of the stash @need bytes take, and how much goes into each. */
static unsigned spread(const struct stash *st, uint64_t need, uint32_t *bytes)
{
    unsigned n = 0;

    for (; need && n < st->n; n++) {
        bytes[n] = MIN(need, st->e[n]->in.bytes);
        need -= bytes[n];
    }
    return n;
}

static void fill(struct virtio_net *s, struct stash *st, const struct net_frame *f, uint64_t need)
{
    unsigned hdr = hdr_bytes(&s->vpci.v), n;
    uint32_t bytes[VIRTQ_MAX_SIZE];
    uint8_t h[HDR_MAX];
    uint64_t done = 0;

    n = spread(st, need, bytes);
    put_hdr(h, &f->off, n);
    for (unsigned i = 0; i < n; i++) {
        unsigned skip = i ? 0 : hdr;

        if (!i)
            sg_put(&st->e[i]->in, 0, h, hdr);
        sg_put(&st->e[i]->in, skip, f->data + done, bytes[i] - skip);
        done += bytes[i] - skip;
    }
    virtq_push_all(st->e, bytes, n);
    for (unsigned i = 0; i < n; i++)
        virtio_net_elem_put(s, st->e[i]);
    st->n -= n;
    memmove(st->e, st->e + n, st->n * sizeof *st->e);
    st->bytes = 0;
    for (unsigned i = 0; i < st->n; i++)
        st->bytes += st->e[i]->in.bytes;
}

static bool net_receive(void *opaque, const struct net_frame *f)
{
    struct virtio_net *s = opaque;
    struct virtio *v = &s->vpci.v;
    unsigned pair = pick_pair(s, f);
    uint64_t need = f->len + hdr_bytes(v);
    struct stash *st = &s->stash[pair];
    struct virtq *q = &v->q[pair * 2];

    if (!virtio_live(v) || !q->enabled || !wanted(s, f->data, f->len))
        return true;
    if (!gather(s, q, st, need))
        return !virtio_live(v);          /* broken: lost; else until a kick */
    if (st->bytes < need) {
        log_guest(LOG_NET, "virtio-net rx: frame of %zu bytes, buffer of %llu", f->len,
                  (unsigned long long)st->bytes);
        return true;
    }
    fill(s, st, f, need);
    virtq_notify(q);
    return true;
}

/* ---- transmitting ------------------------------------------------------------------------ */

static void get_hdr(const struct virtio *v, const uint8_t *h, struct net_offload *o)
{
    unsigned type = h[1] & ~GSO_ECN;

    *o = (struct net_offload){ .hdr_len = ldl16(h + 2), .gso_size = ldl16(h + 4),
                               .csum_start = ldl16(h + 6), .csum_offset = ldl16(h + 8) };
    o->csum = h[0] & HDR_NEEDS_CSUM && virtio_has(v, F_CSUM);
    if (type == GSO_TCP4 && virtio_has(v, F_HOST_TSO4))
        o->gso = NET_GSO_TCP4;
    else if (type == GSO_TCP6 && virtio_has(v, F_HOST_TSO6))
        o->gso = NET_GSO_TCP6;
    else if (type == GSO_UDP && virtio_has(v, F_HOST_UFO))
        o->gso = NET_GSO_UDP;
    o->ecn = o->gso && h[1] & GSO_ECN;
}

static bool send_one(struct virtio_net *s, struct virtq_elem *e)
{
    struct net_frame f = { .data = s->tx_buf, .queue = e->q->index / 2 };
    unsigned hdr = hdr_bytes(&s->vpci.v);
    uint8_t h[HDR_MAX] = { 0 };

    if (e->out.bytes < hdr + NET_ETH_HLEN || e->out.bytes - hdr > sizeof s->tx_buf) {
        log_guest(LOG_NET, "virtio-net tx: %llu bytes", (unsigned long long)e->out.bytes);
        return true;
    }
    f.len = e->out.bytes - hdr;
    sg_get(&e->out, 0, h, hdr);
    sg_get(&e->out, hdr, s->tx_buf, f.len);
    get_hdr(&s->vpci.v, h, &f.off);
    return net_send(&s->nic.port, &f);
}

/* Returns entries taken, at most @budget. */
static unsigned send_queue(struct virtio_net *s, struct virtq *q, unsigned budget)
{
    unsigned n = 0;

    while (n < budget && !s->tx_blocked) {
        struct virtq_elem *e = virtio_net_elem(s);

        if (!virtq_pop(q, e)) {
            virtio_net_elem_put(s, e);
            break;
        }
        s->tx_blocked = !send_one(s, e);
        virtq_push(e, 0);
        virtio_net_elem_put(s, e);
        n++;
    }
    if (n)
        virtq_notify(q);
    return n;
}

static void send_all(void *opaque)
{
    struct virtio_net *s = opaque;
    bool more = false;

    if (!virtio_live(&s->vpci.v))
        return;
    net_hold(&s->nic.port);
    for (unsigned i = 0; i < s->pairs; i++)
        more |= send_queue(s, &s->vpci.v.q[i * 2 + 1], TX_BUDGET) == TX_BUDGET;
    net_release(&s->nic.port);
    if (more && !s->tx_blocked)
        timer_mod(&s->tx_timer, clock_now_ns(&s->vpci.v.m->clock));
}

static void send_soon(struct virtio_net *s)
{
    if (!s->tx_timer.queued)
        timer_mod(&s->tx_timer, clock_now_ns(&s->vpci.v.m->clock));
}

static void net_room(void *opaque)
{
    struct virtio_net *s = opaque;

    s->tx_blocked = false;
    send_soon(s);
}

/* ---- what the core calls ---------------------------------------------------------------------- */

static void queue_notify(struct virtio *v, struct virtq *q)
{
    struct virtio_net *s = net_of(v);
    unsigned ctrl = virtio_has(v, F_MQ) ? s->pairs * 2 : 2;

    if (q->index == ctrl && virtio_has(v, F_CTRL_VQ))
        virtio_net_control(s, q);
    else if (q->index & 1)
        send_all(s);
    else if (q->index < s->pairs * 2)
        net_flush(&s->nic.port);
}

static void get_config(struct virtio *v, uint8_t *c)
{
    struct virtio_net *s = net_of(v);

    memcpy(c + CFG_MAC, s->mac, 6);
    stl16(c + CFG_STATUS, (net_link_up(&s->nic.port) ? STATUS_LINK_UP : 0) |
                          (s->announce ? STATUS_ANNOUNCE : 0));
    stl16(c + CFG_PAIRS, s->pairs);
    stl16(c + CFG_MTU, s->host_mtu);
    stl32(c + CFG_SPEED, s->speed);
    c[CFG_DUPLEX] = !s->duplex ? 0xff : !strcmp(s->duplex, "full");
}

/* Legacy drivers set the address here. */
static void set_config(struct virtio *v, const uint8_t *c)
{
    struct virtio_net *s = net_of(v);

    if (virtio_has(v, VIRTIO_F_VERSION_1) || virtio_has(v, F_CTRL_MAC_ADDR) ||
        !memcmp(s->mac, c + CFG_MAC, 6))
        return;
    memcpy(s->mac, c + CFG_MAC, 6);
    net_rx_filter_changed(&s->nic.port);
}

static void driver_ok(struct virtio *v)
{
    struct virtio_net *s = net_of(v);

    virtio_net_set_caps(s, v->guest_features);
    net_flush(&s->nic.port);
}

static void drop_stashes(struct virtio_net *s)
{
    for (unsigned i = 0; i < s->pairs; i++) {
        struct stash *st = &s->stash[i];

        while (st->n) {
            struct virtq_elem *e = st->e[--st->n];

            virtq_discard(e);
            virtio_net_elem_put(s, e);
        }
        st->bytes = 0;
    }
}

static void net_reset_queues(struct virtio *v)
{
    struct virtio_net *s = net_of(v);

    timer_del(&s->tx_timer);
    drop_stashes(s);
    s->nic.port.caps = 0;
    net_purge(&s->nic.port);
    memcpy(s->mac, s->nic.mac, 6);
    memset(s->mode, 0, sizeof s->mode);
    s->mode[RX_PROMISC] = true;
    memset(s->vlans, 0, sizeof s->vlans);
    s->n_macs = s->n_unicast = 0;
    s->uni_overflow = s->multi_overflow = s->tx_blocked = s->announce = false;
    s->active_pairs = 1;
    net_set_queues(&s->nic.port, 1);
}

static const struct virtio_ops net_virtio_ops = {
    .id = 1, .name = "virtio-net", .config_len = CFG_BYTES, .get_config = get_config,
    .set_config = set_config, .queue_notify = queue_notify, .driver_ok = driver_ok,
    .reset = net_reset_queues,
};

static void link_changed(void *opaque, bool up)
{
    struct virtio_net *s = opaque;

    virtio_config_changed(&s->vpci.v);
}

static void announce(void *opaque)
{
    struct virtio_net *s = opaque;

    if (!virtio_has(&s->vpci.v, F_GUEST_ANNOUNCE) || !virtio_live(&s->vpci.v))
        return;
    s->announce = true;
    virtio_config_changed(&s->vpci.v);
}

static const struct net_ops net_port_ops = {
    .kind = "nic", .receive = net_receive, .room = net_room, .link = link_changed,
    .rx_filter = virtio_net_rx_filter, .announce = announce,
};

/* ---- life --------------------------------------------------------------------------------------- */

/* What is offered by default and has a property of its own to leave it out. */
static const uint8_t switched[] = {
    F_GUEST_CSUM, F_CTRL_GUEST_OFFLOADS, F_GUEST_TSO4, F_GUEST_TSO6, F_GUEST_ECN, F_GUEST_UFO,
    F_HOST_TSO4, F_HOST_TSO6, F_HOST_ECN, F_HOST_UFO, F_STATUS, F_CTRL_RX, F_CTRL_VLAN,
    F_CTRL_RX_EXTRA, F_GUEST_ANNOUNCE, F_CTRL_MAC_ADDR,
};

/* Features that are offered only with another: 5.1.3.1. */
static uint64_t with_what_it_needs(uint64_t f)
{
    uint64_t sends = BIT(F_HOST_TSO4) | BIT(F_HOST_TSO6) | BIT(F_HOST_UFO);
    uint64_t gets = BIT(F_GUEST_TSO4) | BIT(F_GUEST_TSO6) | BIT(F_GUEST_UFO);

    if (!(f & BIT(F_CSUM)))
        f &= ~sends;
    if (!(f & BIT(F_GUEST_CSUM)))
        f &= ~(gets | BIT(F_CTRL_GUEST_OFFLOADS));
    if (!(f & (BIT(F_HOST_TSO4) | BIT(F_HOST_TSO6))))
        f &= ~BIT(F_HOST_ECN);
    if (!(f & (BIT(F_GUEST_TSO4) | BIT(F_GUEST_TSO6))))
        f &= ~BIT(F_GUEST_ECN);
    if (!(f & BIT(F_CTRL_VQ)))
        f &= ~(BIT(F_CTRL_RX) | BIT(F_CTRL_RX_EXTRA) | BIT(F_CTRL_VLAN) | BIT(F_CTRL_MAC_ADDR) |
               BIT(F_GUEST_ANNOUNCE) | BIT(F_CTRL_GUEST_OFFLOADS) | BIT(F_MQ));
    if (!(f & BIT(F_STATUS)))
        f &= ~BIT(F_GUEST_ANNOUNCE);
    return f;
}

static uint64_t net_features(const struct virtio_net *s)
{
    uint64_t gso = BIT(F_HOST_TSO4) | BIT(F_HOST_TSO6) | BIT(F_HOST_ECN) | BIT(F_HOST_UFO) |
                   BIT(F_GUEST_TSO4) | BIT(F_GUEST_TSO6) | BIT(F_GUEST_ECN) | BIT(F_GUEST_UFO);
    uint64_t f = BIT(F_MAC);

    for (size_t i = 0; i < ARRAY_SIZE(switched); i++)
        f |= (uint64_t)s->offer[switched[i]] << switched[i];
    if (s->csum)
        f |= BIT(F_CSUM);
    else
        f &= ~BIT(F_GUEST_CSUM);
    if (!s->gso)
        f &= ~gso;
    f |= (s->mrg_rxbuf ? BIT(F_MRG_RXBUF) : 0) | (s->ctrl_vq ? BIT(F_CTRL_VQ) : 0) |
         (s->pairs > 1 ? BIT(F_MQ) : 0) | (s->host_mtu ? BIT(F_MTU) : 0) |
         (s->speed != SPEED_UNKNOWN || s->duplex ? BIT(F_SPEED_DUPLEX) : 0);
    return with_what_it_needs(f);
}

/* As many as the back end has queues, or, where that does not matter to it, vCPUs. */
static unsigned default_pairs(const struct virtio_net *s)
{
    const struct netport *back = s->nic.port.peer;
    unsigned n = back && back->queues > 1 ? back->queues : s->vpci.pci.dev.machine->cfg.n_vcpus;

    return s->mq ? MIN(MAX(n, 1u), MAX_PAIRS + 0u) : 1;
}

static int check_props(const struct virtio_net *s, struct err *e)
{
    if (s->host_mtu && (s->host_mtu < MTU_MIN || s->host_mtu > MTU_MAX))
        return err_set(e, -EINVAL, "virtio-net-pci: host_mtu=%u: %d to %d is wanted", s->host_mtu,
                       MTU_MIN, MTU_MAX);
    if (s->duplex && strcmp(s->duplex, "half") && strcmp(s->duplex, "full"))
        return err_set(e, -EINVAL, "virtio-net-pci: duplex=%s: half or full is wanted", s->duplex);
    return 0;
}

static bool power_of_two(uint32_t n)
{
    return n && !(n & (n - 1));
}

static int add_queues(struct virtio_net *s, struct err *e)
{
    if (!power_of_two(s->rx_size) || !power_of_two(s->tx_size))
        return err_set(e, -EINVAL, "virtio-net-pci: %cx_queue_size=%u: a power of two is wanted",
                       power_of_two(s->rx_size) ? 't' : 'r',
                       power_of_two(s->rx_size) ? s->tx_size : s->rx_size);
    s->pairs = s->queue_pairs ? s->queue_pairs : default_pairs(s);
    s->active_pairs = 1;
    s->stash = xzalloc(s->pairs * sizeof *s->stash);
    virtio_init(&s->vpci.v, s->vpci.pci.dev.machine, &net_virtio_ops, net_features(s));
    for (unsigned i = 0; i < s->pairs; i++) {
        virtio_add_queue(&s->vpci.v, s->rx_size);
        virtio_add_queue(&s->vpci.v, s->tx_size);
    }
    virtio_add_queue(&s->vpci.v, 64);
    return 0;
}

static void net_destroy(struct device *d)
{
    struct virtio_net *s = (struct virtio_net *)d;

    timer_del(&s->tx_timer);
    if (s->stash)
        drop_stashes(s);
    if (s->vpci.pci.bus)
        virtio_pci_destroy(&s->vpci);
    while (s->n_spare)
        free(s->spare[--s->n_spare]);
    free(s->stash);
    s->stash = NULL;
    nic_free(&s->nic);
}

static int net_init(struct device *d, struct err *e)
{
    static const struct virtio_pci_id id = { 0x1000, 0x020000 };
    struct virtio_net *s = (struct virtio_net *)d;
    int ret = nic_init(&s->nic, d, &net_port_ops, s, e);

    timer_init(&s->tx_timer, &d->machine->timers, send_all, s);
    memcpy(s->mac, s->nic.mac, 6);
    s->nic.port.mac = s->mac;
    s->mode[RX_PROMISC] = true;
    s->nic.addr = s->vpci.addr;
    if (ret == 0)
        ret = check_props(s, e);
    if (ret == 0)
        ret = nic_slot(&s->nic, &s->vpci.pci, e);
    if (ret == 0)
        ret = add_queues(s, e);
    if (ret == 0)
        ret = virtio_pci_init(&s->vpci, &id, e);
    if (ret == 0)
        ret = nic_rom(&s->nic, &s->vpci.pci, "efi-virtio.rom", e);
    if (ret < 0)
        net_destroy(d);
    return ret;
}

static void net_reset(struct device *d)
{
    virtio_pci_reset(&((struct virtio_net *)d)->vpci);
}

#define OFFER(name, bit) \
    PROP(BOOL, name, struct virtio_net, offer[bit], "on", 0, 0, "offer this feature")
static const struct dev_prop net_props[] = {
    NIC_PROPS(struct virtio_net, nic),
    VIRTIO_PCI_PROPS(struct virtio_net, vpci),
    PROP(BOOL, "mq", struct virtio_net, mq, NULL, 0, 0, "a pair of queues a vCPU"),
    PROP(U32, "queue-pairs", struct virtio_net, queue_pairs, NULL, 0, MAX_PAIRS,
         "pairs of queues (0: as mq says)"),
    PROP(U32, "rx_queue_size", struct virtio_net, rx_size, "256", 64, VIRTQ_MAX_SIZE, "entries"),
    PROP(U32, "tx_queue_size", struct virtio_net, tx_size, "256", 64, VIRTQ_MAX_SIZE, "entries"),
    PROP(BOOL, "csum", struct virtio_net, csum, "on", 0, 0, "offer checksum offload"),
    PROP(BOOL, "gso", struct virtio_net, gso, "on", 0, 0, "offer segmentation offload"),
    PROP(BOOL, "mrg_rxbuf", struct virtio_net, mrg_rxbuf, "on", 0, 0, "offer mergeable buffers"),
    PROP(BOOL, "ctrl_vq", struct virtio_net, ctrl_vq, "on", 0, 0, "offer the control queue"),
    OFFER("guest_csum", F_GUEST_CSUM), OFFER("guest_tso4", F_GUEST_TSO4),
    OFFER("guest_tso6", F_GUEST_TSO6), OFFER("guest_ecn", F_GUEST_ECN),
    OFFER("guest_ufo", F_GUEST_UFO), OFFER("guest_announce", F_GUEST_ANNOUNCE),
    OFFER("host_tso4", F_HOST_TSO4), OFFER("host_tso6", F_HOST_TSO6),
    OFFER("host_ecn", F_HOST_ECN), OFFER("host_ufo", F_HOST_UFO), OFFER("status", F_STATUS),
    OFFER("ctrl_rx", F_CTRL_RX), OFFER("ctrl_rx_extra", F_CTRL_RX_EXTRA),
    OFFER("ctrl_vlan", F_CTRL_VLAN), OFFER("ctrl_mac_addr", F_CTRL_MAC_ADDR),
    OFFER("ctrl_guest_offloads", F_CTRL_GUEST_OFFLOADS),
    PROP(U32, "host_mtu", struct virtio_net, host_mtu, NULL, 0, MTU_MAX,
         "MTU that the guest is told (0: none)"),
    PROP(I32, "speed", struct virtio_net, speed, "-1", 0, 0, "Mbit/s that the guest is told (-1: none)"),
    PROP(STRING, "duplex", struct virtio_net, duplex, NULL, 0, 0, "half or full: what the guest is told"),
    { .name = "tx", .type = PROP_IGNORED, .help = "no effect" },
    { .name = "x-txtimer", .type = PROP_IGNORED, .help = "no effect" },
    { .name = "x-txburst", .type = PROP_IGNORED, .help = "no effect" },
    PROP_END
};

static const struct dev_field net_fields[] = {
    VIRTIO_PCI_FIELDS(struct virtio_net, vpci),
    FIELD(BYTES, struct virtio_net, mac), FIELD(BYTES, struct virtio_net, mode),
    FIELD(BYTES, struct virtio_net, macs), FIELD(BYTES, struct virtio_net, vlans),
    FIELD(U32, struct virtio_net, n_macs), FIELD(U32, struct virtio_net, n_unicast),
    FIELD(BOOL, struct virtio_net, uni_overflow), FIELD(BOOL, struct virtio_net, multi_overflow),
    FIELD(BOOL, struct virtio_net, announce), FIELD(U32, struct virtio_net, active_pairs),
    FIELD_END
};

#define NET_TYPE(suffix, how) { \
    .name = "virtio-net-pci" suffix, .desc = "virtio network device" how, .size = sizeof(struct virtio_net), \
    .init = net_init, .reset = net_reset, .destroy = net_destroy, .fields = net_fields, .props = net_props }

const struct device_type virtio_net_pci_type = NET_TYPE("", "");
const struct device_type virtio_net_pci_transitional_type = NET_TYPE("-transitional", ", with legacy interface");
const struct device_type virtio_net_pci_non_transitional_type = NET_TYPE("-non-transitional", ", virtio 1 only");
