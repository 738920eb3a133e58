/*
 * virtio-net-int.h - what the parts of the virtio network device share
 */
#ifndef HW_VIRTIO_VIRTIO_NET_INT_H
#define HW_VIRTIO_VIRTIO_NET_INT_H

#include "hw/net/nic.h"
#include "hw/virtio/virtio.h"

#define VIRTIO_NET_MACS 64       /* addresses in both tables */

/** enum - feature bits, 5.1.3 */
enum { F_CSUM = 0, F_GUEST_CSUM = 1, F_CTRL_GUEST_OFFLOADS = 2, F_MTU = 3, F_MAC = 5, F_GUEST_TSO4 = 7,
       F_GUEST_TSO6 = 8, F_GUEST_ECN = 9, F_GUEST_UFO = 10, F_HOST_TSO4 = 11, F_HOST_TSO6 = 12,
       F_HOST_ECN = 13, F_HOST_UFO = 14, F_MRG_RXBUF = 15, F_STATUS = 16, F_CTRL_VQ = 17,
       F_CTRL_RX = 18, F_CTRL_VLAN = 19, F_CTRL_RX_EXTRA = 20, F_GUEST_ANNOUNCE = 21,
       F_MQ = 22, F_CTRL_MAC_ADDR = 23, F_SPEED_DUPLEX = 63 };
/** enum - what the driver lets through beside its tables, 5.1.6.5.1 */
enum { RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST, RX_MODES };

/** struct stash - receive buffers taken and not used yet, oldest first */
struct stash {
    struct virtq_elem *e[VIRTQ_MAX_SIZE];
    unsigned n;
    uint64_t bytes;
};

/** struct virtio_net - the device */
struct virtio_net {
    struct virtio_pci vpci;
    struct nic nic;
    bool mq, csum, gso, mrg_rxbuf, ctrl_vq;
    bool offer[24];                      /* properties named after one feature, by its bit */
    uint32_t queue_pairs, rx_size, tx_size, host_mtu;
    int32_t speed;                       /* Mbit/s, or SPEED_UNKNOWN */
    char *duplex;                        /* "half", "full" or NULL */
    unsigned pairs, active_pairs;
    struct timer tx_timer;
    bool tx_blocked;                     /* until the back end's room() */
    struct stash *stash;                 /* [pairs] */
    struct virtq_elem *spare[VIRTQ_MAX_SIZE]; /* kept for use again */
    unsigned n_spare;
    uint8_t mac[6];
    bool mode[RX_MODES];
    uint8_t macs[VIRTIO_NET_MACS][6];
    unsigned n_macs, n_unicast;          /* unicast first */
    bool uni_overflow, multi_overflow;
    bool announce;                       /* the driver was asked to, and has not acknowledged */
    uint32_t vlans[4096 / 32];
    uint8_t tx_buf[NET_FRAME_MAX];
};

/** virtio_net_elem() - room for one chain of buffers; virtio_net_elem_put() gives it back */
struct virtq_elem *virtio_net_elem(struct virtio_net *s);
void virtio_net_elem_put(struct virtio_net *s, struct virtq_elem *e);

/** virtio_net_control() - serve the requests in control queue @q */
void virtio_net_control(struct virtio_net *s, struct virtq *q);
/** virtio_net_set_caps() - what @features (F_GUEST_*) let the back end leave undone */
void virtio_net_set_caps(struct virtio_net *s, uint64_t features);
/** virtio_net_rx_filter() - net_ops.rx_filter: what the driver lets through; @opaque: struct virtio_net */
void virtio_net_rx_filter(void *opaque, struct net_rx_filter *f);

#endif
