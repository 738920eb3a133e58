/*
 * net.h - Ethernet frames between network cards and the outside
 *
 * A port is one end of a cable: a card's, or a back end's (user, tap, socket,
 * hub). Two ports are connected; net_send() on one delivers at the other.
 *
 *  - Frames that the receiver cannot take now wait in its port's queue, which is
 *    bounded; net_flush() delivers them when there is room again.
 *  - A port that is held (net_hold()) receives nothing until it is released:
 *    a card holds its port while it works, so that no frame reaches it in the
 *    middle of a transmission or of a register write.
 *  - Checksums and segmentation that a sender leaves open (struct net_offload)
 *    are completed here unless the receiver says that it does that (NET_CAP_*).
 *
 * All calls and callbacks: machine lock held. Nothing here knows about devices.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "util/util.h"

#define NET_FRAME_MAX   (65536 + 64)  /* with segmentation left open */
#define NET_QUEUE_FRAMES 2048u
#define NET_QUEUE_BYTES  (8u << 20)
#define NET_ETH_HLEN    14u
#define NET_ETH_MIN     60u           /* without FCS; cards pad to it */

/** enum net_gso - what the receiver of the frame has to cut it into */
enum net_gso { NET_GSO_NONE, NET_GSO_TCP4, NET_GSO_TCP6, NET_GSO_UDP };

/**
 * struct net_offload - what the sender left open
 * @csum: the 16-bit sum at csum_start + csum_offset holds the pseudo header's
 *   sum and wants that of all bytes from csum_start on
 * @gso: cut into segments of @gso_size payload bytes; implies @csum
 * @valid: checksums are known to be good (towards a card)
 */
struct net_offload {
    uint8_t gso;
    bool csum, valid, ecn;
    uint16_t gso_size, hdr_len;
    uint16_t csum_start, csum_offset;
};

/** struct net_frame - destination, source, type, payload; no FCS */
struct net_frame {
    const uint8_t *data;
    size_t len;              /* NET_ETH_HLEN..NET_FRAME_MAX */
    uint8_t queue;           /* pair of queues it came through, where an end has several */
    struct net_offload off;
};

/** struct net_rx_filter - what a card lets through */
struct net_rx_filter {
    bool promiscuous, broadcast;
    enum net_rx { NET_RX_NORMAL, NET_RX_NONE, NET_RX_ALL } unicast, multicast, vlan;
    bool unicast_overflow, multicast_overflow;  /* more addresses than the table holds */
    const uint8_t *mac;                         /* 6 bytes */
    const uint8_t (*table)[6];                  /* unicast first */
    unsigned n_unicast, n_multicast;
    const uint32_t *vlans;                      /* 4096 bits */
};

enum { /* what a receiver takes */
    NET_CAP_CSUM = 1,        /* frames with csum */
    NET_CAP_TSO4 = 2, NET_CAP_TSO6 = 4, NET_CAP_UFO = 8, /* with gso */
    NET_CAP_BIG = 16,        /* frames beyond the MTU, complete with checksums */
};

struct net;
struct netport;

struct net_ops {
    const char *kind;        /* "user", "tap", ..., "nic" */
    /** receive() - false: not now; the frame waits, net_flush() offers it again */
    bool (*receive)(void *opaque, const struct net_frame *f);
    /** room() - the other side's queue has emptied: go on sending; may be NULL */
    void (*room)(void *opaque);
    /** link() - the cable was plugged in or out; may be NULL */
    void (*link)(void *opaque, bool up);
    /** close() - end of a back end; may be NULL */
    void (*close)(void *opaque);
    /** set_queues() - the card now uses @n pairs of queues; may be NULL */
    void (*set_queues)(void *opaque, unsigned n);
    /** rx_filter() - what a card lets through, valid until the lock is released; may be NULL */
    void (*rx_filter)(void *opaque, struct net_rx_filter *f);
    /** announce() - have a card's driver tell the network where it is; may be NULL */
    void (*announce)(void *opaque);
};

struct net_queued;

/** struct netport - one end of a cable; embedded in its owner */
struct netport {
    const struct net_ops *ops;
    void *opaque;
    char *id;                /* owned */
    char *model;             /* owned: "e1000", or NULL */
    char *info;              /* owned: one line for "info network" */
    struct net *net;
    struct netport *peer, *next;
    uint32_t caps;           /* NET_CAP_* of receive() */
    const uint8_t *mac;      /* a card's own address, 6 bytes; or NULL */
    unsigned queues;         /* pairs of queues that a back end has; 0: one */
    bool is_card;
    bool filter_told;        /* net.rx_filter_changed() was called; net_rx_filter() clears it */
    bool down;               /* this end's plug is out */
    bool blocked;            /* sender was told to wait */
    unsigned held;
    struct net_queued *head, **tail; /* waiting for this port */
    unsigned n_queued;
    size_t queued_bytes;
    uint64_t frames_out, frames_in, dropped;
    struct net_dump *dump;   /* filter-dump, or NULL */
};

/** struct net - all ports of a machine */
struct net {
    struct loop *loop;
    struct timer_list *timers;
    struct netport *ports;
    /** note() - @p sends a frame of @len bytes; for traces; may be NULL */
    void (*note)(void *opaque, const struct netport *p, size_t len);
    void *note_opaque;
    /** arrive() - @from, no card, sends @f to a card: call net_carry(), now or later; NULL: now.
     *  forget() - @from goes: not any more */
    void (*arrive)(void *opaque, struct netport *from, const struct net_frame *f);
    void (*forget)(void *opaque, struct netport *from);
    void *arrive_opaque;
    /** unlock()/lock() - give the machine lock up around a system call that takes
     *  long, and take it again; from the loop's callbacks only; may be NULL */
    void (*unlock)(void *opaque), (*lock)(void *opaque);
    void *lock_opaque;
    /** rx_filter_changed() - a card's, for the first time since it was asked for; may be NULL */
    void (*rx_filter_changed)(void *opaque, const struct netport *p);
    void *rx_filter_opaque;
    struct net_announce *announce;  /* under way, or NULL */
    uint8_t macs_taken[256 / 8];    /* last bytes of 52:54:00:12:34:xx */
    unsigned next_id;
};

struct net *net_new(struct loop *loop, struct timer_list *timers);
/** net_free() - close all back ends; cards that are still there lose their cable */
void net_free(struct net *n);
/** net_find() - port by id, or NULL */
struct netport *net_find(struct net *n, const char *id);

/**
 * netport_init() - a port without a cable
 * @id: copied; NULL: made up from ops->kind
 */
void netport_init(struct netport *p, struct net *n, const struct net_ops *ops, void *opaque,
                  const char *id);
/** netport_free() - pull the cable and leave; the struct stays the owner's */
void netport_free(struct netport *p);
/** netport_info() - set the description shown by "info network" */
void netport_info(struct netport *p, const char *fmt, ...) PRINTF(2, 3);
/** net_connect() - plug both ends in; -EBUSY with @e when one has a cable */
int net_connect(struct netport *a, struct netport *b, struct err *e) MUST_CHECK;
/** net_set_link() - plug @p's end in or out; both sides are told */
void net_set_link(struct netport *p, bool up);
/** net_link_up() - both ends are plugged in */
bool net_link_up(const struct netport *p);

/**
 * net_send() - @from sends a frame to its peer
 * Returns false when the receiver's queue is full now: @from should wait for
 * its room(). The frame itself was taken (or dropped, as a network does).
 */
bool net_send(struct netport *from, const struct net_frame *f);
/** net_carry() - what net.arrive was told of reaches the other end */
void net_carry(struct netport *from, const struct net_frame *f);
/** net_can_send() - whether @from's peer takes a frame without queueing it far */
bool net_can_send(struct netport *from);
/** net_flush() - @p can receive again: deliver what waits */
void net_flush(struct netport *p);
/** net_purge() - @p forgets what waits (card reset) */
void net_purge(struct netport *p);
void net_hold(struct netport *p);
void net_release(struct netport *p);
/** net_set_queues() - card @p uses @n pairs of queues: its back end is told */
void net_set_queues(struct netport *p, unsigned n);
/** net_rx_filter_changed() - the driver changed what card @p lets through */
void net_rx_filter_changed(struct netport *p);
/** net_rx_filter() - what card @p lets through; false: it does not say */
bool net_rx_filter(struct netport *p, struct net_rx_filter *f) MUST_CHECK;

/** struct net_announce_plan - @rounds times; after the first @initial_ms, then @step_ms longer
 *  each time, up to @max_ms */
struct net_announce_plan {
    long initial_ms, max_ms, step_ms, rounds;
};
/**
 * net_announce() - have all cards announced: their address is broadcast (RARP), and
 * drivers that can are asked to do more
 */
void net_announce(struct net *n, const struct net_announce_plan *plan);
/** net_announce_end() - nothing more is announced */
void net_announce_end(struct net *n);

/* ---- checksums, segmentation (offload.c) ---------------------------------- */

/** net_put16() - 16 bits as networks have them: most significant byte first */
static inline void net_put16(uint8_t *p, uint16_t v)
{
    p[0] = v >> 8;
    p[1] = v;
}

/** net_sum() - ones' complement sum of @len bytes added to @sum (big-endian words) */
uint32_t net_sum(const void *buf, size_t len, uint32_t sum);
/** net_fold() - the 16 bits to store, complemented (host order of a big-endian field) */
uint16_t net_fold(uint32_t sum);
/** net_finish_csum() - carry out off.csum in place; false: offsets do not fit */
bool net_finish_csum(uint8_t *data, size_t len, const struct net_offload *off);
/**
 * net_segment() - cut @f as its gso says and pass on finished frames
 * Returns false when the headers make no sense (nothing was passed on).
 */
bool net_segment(const struct net_frame *f, void (*emit)(void *opaque, const struct net_frame *f),
                 void *opaque);

/* ---- back ends -------------------------------------------------------------- */

/**
 * net_backend_new() - what -netdev says: "user,id=n1,hostfwd=tcp::2222-:22"
 * @spec: TYPE[,id=ID][,prop=value...]
 * @id: when @spec has none; NULL: an id is required
 *
 * Returns the port (owned by @n), or NULL with @e set; messages do not name
 * the option.
 */
struct netport *net_backend_new(struct net *n, const char *spec, const char *id,
                                struct err *e) MUST_CHECK;
/** net_backend_kind() - the names of kinds in turn, NULL after the last */
const char *net_backend_kind(size_t i);
/** net_backend_del() - close a back end; its card's cable is then out */
void net_backend_del(struct netport *p);
/** net_dump_new() - "id=f0,netdev=n1,file=x.pcap[,maxlen=N]" of -object filter-dump */
int net_dump_new(struct net *n, const char *spec, struct err *e) MUST_CHECK;
void net_dump_free(struct net_dump *d);
/** net_dump_frame() - append a frame; @sent: by the recorded end (dump.c) */
void net_dump_frame(struct net_dump *d, const struct net_frame *f, bool sent);
/** net_user_hostfwd() - "tcp:[HOST]:PORT-[GUEST]:PORT" on a user back end; @p
 *  NULL: the first; remove: the part before '-' is enough */
int net_user_hostfwd(struct net *n, const char *id, const char *rule, bool remove,
                     struct err *e) MUST_CHECK;
/** net_user_info() - connections of a user back end as text, to be freed; or NULL */
char *net_user_info(struct netport *p);

/**
 * net_mac_parse() - "52:54:00:12:34:56"
 * Returns 0, or -EINVAL with @e set (multicast addresses are refused).
 */
int net_mac_parse(const char *s, uint8_t mac[6], struct err *e) MUST_CHECK;
/** net_mac_next() - 52:54:00:12:34:56, then ...:57 and so on, without those taken */
void net_mac_next(struct net *n, uint8_t mac[6]);
/** net_mac_taken() - somebody chose @mac */
void net_mac_taken(struct net *n, const uint8_t mac[6]);

#endif
