/*
 * virtio-net-ctrl.c - virtio network device: the control queue, and what it has set
 *
 * Source: VIRTIO 1.2, 5.1.6.5.
 */
#include "hw/virtio/virtio-net-int.h"

#define CTRL_MAX 16u             /* a request but for tables of addresses */

enum { CTRL_RX = 0, CTRL_MAC = 1, CTRL_VLAN = 2, CTRL_ANNOUNCE = 3, CTRL_MQ = 4,
       CTRL_OFFLOADS = 5 };

void virtio_net_set_caps(struct virtio_net *s, uint64_t features)
{
    s->nic.port.caps = (features & BIT(F_GUEST_CSUM) ? NET_CAP_CSUM : 0) |
                       (features & BIT(F_GUEST_TSO4) ? NET_CAP_TSO4 : 0) |
                       (features & BIT(F_GUEST_TSO6) ? NET_CAP_TSO6 : 0) |
                       (features & BIT(F_GUEST_UFO) ? NET_CAP_UFO : 0);
}

/* One table of MAC_TABLE_SET at @*at of @sg: a count and addresses. Those that find no room
 * are not read: then all are let through. */
static bool take_macs(struct virtio_net *s, const struct sg *sg, uint64_t *at, bool *overflow)
{
    uint8_t count[4];
    uint32_t n;

    if (sg->bytes - *at < sizeof count)
        return false;
    sg_get(sg, *at, count, sizeof count);
    *at += sizeof count;
    n = ldl32(count);
    if (n > (sg->bytes - *at) / 6)
        return false;
    *overflow = n > VIRTIO_NET_MACS - s->n_macs;
    if (!*overflow) {
        sg_get(sg, *at, s->macs[s->n_macs], n * 6);
        s->n_macs += n;
    }
    *at += (uint64_t)n * 6;
    return true;
}

static bool ctrl_mac(struct virtio_net *s, uint8_t cmd, const uint8_t *d, size_t len,
                     const struct sg *sg)
{
    uint64_t at = 2;

    if (cmd == 1 && len == 6) {
        memcpy(s->mac, d, 6);
        return true;
    }
    if (cmd != 0)
        return false;
    s->n_macs = s->n_unicast = 0;
    s->uni_overflow = s->multi_overflow = false;
    if (!take_macs(s, sg, &at, &s->uni_overflow))
        return false;
    s->n_unicast = s->n_macs;
    return take_macs(s, sg, &at, &s->multi_overflow);
}

static bool ctrl_vlan(struct virtio_net *s, uint8_t cmd, const uint8_t *d, size_t len)
{
    unsigned id = len >= 2 ? ldl16(d) : 4096;

    if (cmd > 1 || id > 4095)
        return false;
    s->vlans[id / 32] &= ~(1u << id % 32);
    s->vlans[id / 32] |= (uint32_t)(cmd == 0) << id % 32;
    return true;
}

static bool ctrl_offloads(struct virtio_net *s, uint8_t cmd, const uint8_t *d, size_t len)
{
    uint64_t all = BIT(F_GUEST_CSUM) | BIT(F_GUEST_TSO4) | BIT(F_GUEST_TSO6) | BIT(F_GUEST_ECN) |
                   BIT(F_GUEST_UFO);

    if (cmd != 0 || len < 8 || ldl64(d) & ~(all & s->vpci.v.guest_features) ||
        !virtio_has(&s->vpci.v, F_CTRL_GUEST_OFFLOADS))
        return false;
    virtio_net_set_caps(s, ldl64(d));
    return true;
}

static bool ctrl_pairs(struct virtio_net *s, uint8_t cmd, const uint8_t *d, size_t len)
{
    unsigned n = len >= 2 ? ldl16(d) : 0;

    if (cmd != 0 || !n || n > s->pairs || !virtio_has(&s->vpci.v, F_MQ))
        return false;
    s->active_pairs = n;
    net_set_queues(&s->nic.port, n);
    return true;
}

static bool ctrl_rx(struct virtio_net *s, uint8_t cmd, const uint8_t *d, size_t len)
{
    if (cmd >= RX_MODES || !len)
        return false;
    s->mode[cmd] = d[0] & 1;
    return true;
}

static bool ctrl_announce(struct virtio_net *s, uint8_t cmd)
{
    if (cmd != 0 || !virtio_has(&s->vpci.v, F_GUEST_ANNOUNCE))
        return false;
    s->announce = false;
    return true;
}

/* @sg: the request; its class, command and first bytes are read once. */
static bool control(struct virtio_net *s, const struct sg *sg)
{
    uint8_t head[CTRL_MAX], cmd;
    const uint8_t *d = head + 2;
    size_t len = MIN(sg->bytes, sizeof head);
    bool ok;

    if (len < 2)
        return false;
    sg_get(sg, 0, head, len);
    cmd = head[1];
    len -= 2;
    switch (head[0]) {
    case CTRL_RX: ok = ctrl_rx(s, cmd, d, len); break;
    case CTRL_MAC: ok = ctrl_mac(s, cmd, d, len, sg); break;
    case CTRL_VLAN: ok = ctrl_vlan(s, cmd, d, len); break;
    case CTRL_ANNOUNCE: return ctrl_announce(s, cmd);
    case CTRL_MQ: return ctrl_pairs(s, cmd, d, len);
    case CTRL_OFFLOADS: return ctrl_offloads(s, cmd, d, len);
    default: return false;
    }
    if (ok)
        net_rx_filter_changed(&s->nic.port);
    return ok;
}

void virtio_net_control(struct virtio_net *s, struct virtq *q)
{
    struct virtq_elem *e = virtio_net_elem(s);
    uint8_t ack;

    for (unsigned n = 0; n < q->size && virtq_pop(q, e); n++) {
        if (!e->in.bytes) {
            virtq_discard(e);
            virtio_broken(&s->vpci.v, "control request without room for the answer");
            break;
        }
        ack = !control(s, &e->out);
        sg_put(&e->in, 0, &ack, 1);
        virtq_push(e, 1);
        virtq_notify(q);
    }
    virtio_net_elem_put(s, e);
}

void virtio_net_rx_filter(void *opaque, struct net_rx_filter *f)
{
    struct virtio_net *s = opaque;
    bool any_vlan = false;

    for (size_t i = 0; i < ARRAY_SIZE(s->vlans); i++)
        any_vlan |= s->vlans[i] != 0;
    *f = (struct net_rx_filter){
        .promiscuous = s->mode[RX_PROMISC], .broadcast = !s->mode[RX_NOBCAST],
        .unicast = s->mode[RX_NOUNI] ? NET_RX_NONE : s->mode[RX_ALLUNI] ? NET_RX_ALL : NET_RX_NORMAL,
        .multicast = s->mode[RX_NOMULTI] ? NET_RX_NONE
                   : s->mode[RX_ALLMULTI] ? NET_RX_ALL : NET_RX_NORMAL,
        .vlan = !virtio_has(&s->vpci.v, F_CTRL_VLAN) ? NET_RX_ALL
              : any_vlan ? NET_RX_NORMAL : NET_RX_NONE,
        .unicast_overflow = s->uni_overflow, .multicast_overflow = s->multi_overflow,
        .mac = s->mac, .table = s->macs, .n_unicast = s->n_unicast,
        .n_multicast = s->n_macs - s->n_unicast, .vlans = s->vlans,
    };
}
