/*
 * frames.c - malformed frames from a peer on a socket, to every network card
 *
 * A case is a seed: a board with one card, a driver's set-up of it (rings, modes, features at
 * random), then FRAMES frames, most of them cut, stretched or changed at random. Even seeds
 * send them through a stream socket, length before each, as another emulator would; odd
 * ones hand them over with offloads left open, as a tap with vnet_hdr does. In the end the card
 * has to take a proper frame. Made for SAN=1.
 *
 *   frames [--seed N] [--count N] [--seconds N]
 */
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "hw/net/nic.h"
#include "tests/fuzz/rig.h"

enum { RAM_BYTES = 8 << 20, FRAMES = 2000, CASE_SECONDS = 300, PER_CHILD = 25 };
enum { IO = 0xc000, DEVFN = PCI_DEVFN(3, 0), RING = 0x10000, BUFS = 0x100000, SLOTS = 64 };
#define MMIO 0xe0000000u

static struct fuzz_run run;      /* shown[1]: frames sent, [2]: taken by a card */
static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };

struct fuzz {
    struct machine *m;
    struct device *card;
    struct netport *back;        /* what the card's cable leads to */
    struct netport peer;         /* odd seeds: ours */
    int fd;                      /* even seeds: the far end of the socket */
    uint64_t rng;
    unsigned kind;
    uint16_t rx_flags;
};

static void die(const char *why) { fuzz_die("fuzz-frames", why); }

static void wr32(struct fuzz *f, unsigned reg, uint32_t v) { mmio_write(&f->m->mem, MMIO + reg, v, 4); }
static void out(struct fuzz *f, unsigned reg, uint32_t v, unsigned size) { port_write(f->m, IO + reg, v, size); }
static uint32_t in(struct fuzz *f, unsigned reg, unsigned size) { return port_read(f->m, IO + reg, size); }

/* ---- drivers: as little as a card needs to receive --------------------------------------- */

/* @random: with modes that refuse, lengths that make no sense and so on */
static void e1000_start(struct fuzz *f, bool random)
{
    for (unsigned i = 0; i < SLOTS; i++)
        stl64(f->m->ram + RING + i * 16, random && !pick(f, 8) ? r64(f) : BUFS + i * 16384);
    wr32(f, 0x2800, RING);
    wr32(f, 0x2804, 0);
    wr32(f, 0x2808, SLOTS * 16);
    wr32(f, 0x2810, 0);
    wr32(f, 0x2818, SLOTS - 1);
    wr32(f, 0x5000, random ? (uint32_t)r64(f) : 0);              /* RXCSUM */
    wr32(f, 0x100, random ? (uint32_t)r64(f) | 2 : 0x8002 | 8);  /* RCTL: EN, BAM, UPE */
}

static void e1000_refill(struct fuzz *f)
{
    wr32(f, 0x2818, (uint32_t)mmio_read(&f->m->mem, MMIO + 0x2810, 4) + SLOTS - 1 - pick(f, 4));
}

static void rtl8139_start(struct fuzz *f, bool random)
{
    bool plus = random && pick(f, 2);

    out(f, 0x37, 0x10, 1);
    out(f, 0xe0, plus ? 0x02 | pick(f, 4) << 5 : 0, 2);
    out(f, 0x30, BUFS, 4);
    for (unsigned i = 0; plus && i < SLOTS; i++) {
        stl32(f->m->ram + RING + i * 16, 1u << 31 | (i == SLOTS - 1) << 30 | pick(f, 0x2000));
        stl64(f->m->ram + RING + i * 16 + 8, pick(f, 8) ? BUFS + i * 16384 : r64(f));
    }
    out(f, 0xe4, RING, 4);
    out(f, 0xe8, 0, 4);
    out(f, 0x37, 0x0c, 1);
    out(f, 0x44, random ? (uint32_t)r64(f) : 0x1f, 4);
    f->rx_flags = plus;
}

static void rtl8139_refill(struct fuzz *f)
{
    if (!f->rx_flags)
        out(f, 0x38, in(f, 0x3a, 2) - 16, 2);
    for (unsigned i = 0; f->rx_flags && i < SLOTS; i++)
        f->m->ram[RING + i * 16 + 3] |= 0x80;
    out(f, 0x3e, 0xffff, 2);
}

static void ne2000_start(struct fuzz *f, bool random)
{
    static const uint8_t set[][2] = { { 0, 0x21 }, { 14, 0x49 }, { 10, 0 }, { 11, 0 }, { 13, 0 },
                                      { 1, 0x46 }, { 2, 0x80 }, { 3, 0x46 }, { 7, 0xff }, { 0, 0x61 },
                                      { 7, 0x47 }, { 0, 0x22 } };

    for (unsigned i = 0; i < ARRAY_SIZE(set); i++)
        out(f, set[i][0], set[i][1], 1);
    out(f, 12, random ? r64(f) & 0xff : 0x1f, 1);
    for (unsigned n = random ? pick(f, 4) : 0; n > 0; n--)
        out(f, pick(f, 16), r64(f) & 0xff & ~(uint64_t)1, 1);
}

static void ne2000_refill(struct fuzz *f)
{
    out(f, 0, 0x62, 1);
    f->rx_flags = in(f, 7, 1);
    out(f, 0, 0x22, 1);
    out(f, 3, f->rx_flags == 0x46 ? 0x7f : f->rx_flags - 1, 1);
}

/* Legacy interface: descriptors, avail at +16 * size, used on the next page. */
enum { VQ = 256, AVAIL = RING + 16 * VQ, USED = RING + 2 * 4096 };

static void virtio_start(struct fuzz *f, bool random)
{
    out(f, 18, 0, 1);
    out(f, 18, 3, 1);
    out(f, 4, random ? (uint32_t)r64(f) & in(f, 0, 4) : 1u << 15, 4);
    out(f, 14, 0, 2);
    memset(f->m->ram + RING, 0, 4 * 4096);
    for (unsigned i = 0; i < VQ; i++) {
        uint8_t *d = f->m->ram + RING + i * 16;

        stl64(d, random && !pick(f, 64) ? r64(f) : BUFS + i * 16384);
        stl32(d + 8, random ? 64 + pick(f, 16000) : 16384);
        stl16(d + 12, random && !pick(f, 256) ? pick(f, 8) : 2);
        stl16(d + 14, pick(f, VQ));
        stl16(f->m->ram + AVAIL + 4 + i * 2, i);
    }
    stl16(f->m->ram + AVAIL + 2, VQ);
    out(f, 8, RING >> 12, 4);
    out(f, 18, 7, 1);
    out(f, 16, 0, 2);
}

static void virtio_refill(struct fuzz *f)
{
    stl16(f->m->ram + AVAIL + 2, ldl16(f->m->ram + USED + 2) + VQ);
    out(f, 16, 0, 2);
}

static const struct driver {
    const struct device_type *type;
    int io_bar, mem_bar;
    void (*start)(struct fuzz *f, bool random);
    void (*refill)(struct fuzz *f);
} drivers[] = {
    { &e1000_type, -1, 0, e1000_start, e1000_refill },
    { &rtl8139_type, 0, -1, rtl8139_start, rtl8139_refill },
    { &ne2k_pci_type, 0, -1, ne2000_start, ne2000_refill },
    { &virtio_net_pci_type, 0, -1, virtio_start, virtio_refill },
};

/* ---- the board ------------------------------------------------------------------------------ */

static void cfg_wr(struct fuzz *f, unsigned reg, uint32_t v) { fuzz_cfg_wr(f->m, DEVFN, reg, v, 4); }

static bool peer_receive(void *opaque, const struct net_frame *f) { return true; }
static const struct net_ops peer_ops = { .kind = "peer", .receive = peer_receive };

static void make_cable(struct fuzz *f, bool by_socket)
{
    struct err e = { "" };
    char spec[40];
    int sv[2];

    f->m->net = net_new(f->m->loop, &f->m->timers);
    f->fd = -1;
    if (!by_socket) {
        netport_init(&f->peer, f->m->net, &peer_ops, f, "p");
        f->back = &f->peer;
        return;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
        die("socketpair");
    snprintf(spec, sizeof spec, "socket,id=p,fd=%d", sv[0]);
    f->fd = sv[1];
    f->back = net_backend_new(f->m->net, spec, NULL, &e);
    if (!f->back)
        die(e.msg);
}

static void make_board(struct fuzz *f, bool by_socket)
{
    const struct driver *d = &drivers[f->kind];
    struct err e = { "" };

    f->m = fuzz_machine("fuzz-frames", RAM_BYTES);
    make_cable(f, by_socket);
    if (!(f->card = nic_add(f->m, d->type, "p", "52:54:00:01:02:03", &e)) && by_socket)
        die(e.msg);
    machine_reset(f->m);
    if (d->io_bar >= 0)
        cfg_wr(f, 0x10 + d->io_bar * 4, IO);
    if (d->mem_bar >= 0)
        cfg_wr(f, 0x10 + d->mem_bar * 4, MMIO);
    cfg_wr(f, 4, 7);
}

static void free_board(struct fuzz *f)
{
    struct net *net = f->m->net;

    if (f->fd >= 0)
        close(f->fd);
    else
        netport_free(&f->peer);
    net_free(net);
    f->m->net = NULL;
    machine_free(f->m);
}

/* ---- frames ------------------------------------------------------------------------------------ */

/* The start of something sensible: addresses, then VLAN, ARP, IPv4 or IPv6 with TCP, UDP or ICMP */
static void sensible(struct fuzz *f, uint8_t *d)
{
    static const uint8_t types[][2] = { { 8, 0 }, { 8, 6 }, { 0x86, 0xdd }, { 0x81, 0 }, { 0x88, 0xcc } };
    static const uint8_t protocols[] = { 6, 17, 1, 58, 2, 44 };
    unsigned at = 12;

    memcpy(d, mac, 6);
    if (pick(f, 4) == 0)
        memset(d, pick(f, 2) ? 0xff : 0x33, 6);
    if (pick(f, 8) == 0) {
        memcpy(d + at, types[3], 2);
        at += 4;
    }
    memcpy(d + at, types[pick(f, ARRAY_SIZE(types))], 2);
    at += 2;
    d[at] = d[at - 2] == 8 ? 0x45 : 0x60;
    d[at + 2] &= 7;
    d[at + (d[at] == 0x45 ? 9 : 6)] = protocols[pick(f, ARRAY_SIZE(protocols))];
}

static size_t make_frame(struct fuzz *f, uint8_t *d)
{
    static const unsigned edges[] = { 14, 15, 17, 18, 33, 34, 53, 54, 59, 60, 61, 1513, 1514, 1515, 1518,
                                      1522, 2048, 4096, 8192, 16384, 65535, 65536, NET_FRAME_MAX };
    size_t len = pick(f, 3) ? 14 + pick(f, 1600) : edges[pick(f, ARRAY_SIZE(edges))], noise;

    for (size_t i = 0; i < MIN(len, 256u); i++)
        d[i] = r64(f);
    if (pick(f, 8))
        sensible(f, d);
    for (noise = pick(f, 4); noise > 0; noise--)
        d[pick(f, MIN(len, 80u))] ^= 1u << pick(f, 8);
    return len;
}

static struct net_offload make_offload(struct fuzz *f)
{
    struct net_offload o = { .gso = pick(f, 4), .csum = pick(f, 2), .valid = pick(f, 2), .ecn = pick(f, 2),
                             .gso_size = pick(f, 4) ? pick(f, 2000) : r64(f), .hdr_len = r64(f) % 200,
                             .csum_start = pick(f, 4) ? pick(f, 80) : r64(f),
                             .csum_offset = pick(f, 4) ? 16 : r64(f) };

    return pick(f, 3) ? (struct net_offload){ .gso = 0 } : o;
}

static void turn(struct fuzz *f)
{
    loop_run_once(f->m->loop, 0, NULL, NULL, NULL);
}

/* What the back end has not read yet: a card that takes nothing holds it up. */
static int unread(struct fuzz *f)
{
    int n = 0;

    if (f->fd >= 0 && ioctl(f->fd, SIOCOUTQ, &n))
        die("SIOCOUTQ");
    return n;
}

static void send_by_socket(struct fuzz *f, const uint8_t *d, size_t len)
{
    uint32_t head = htonl(len);

    turn(f);
    if (unread(f))
        return;
    if (send(f->fd, &head, 4, MSG_NOSIGNAL) != 4 || send(f->fd, d, len, MSG_NOSIGNAL) != (ssize_t)len)
        die("the back end has hung up");
    run.shown[1]++;
    turn(f);
}

static void send_frame(struct fuzz *f, const uint8_t *d, size_t len)
{
    struct net_frame fr = { .data = d, .len = len, .off = make_offload(f) };

    if (f->fd >= 0)
        send_by_socket(f, d, len);
    else
        net_send(&f->peer, &fr);
    run.shown[1] += f->fd < 0;
}

/* The card, set up properly, takes a proper frame. */
static void still_serving(struct fuzz *f)
{
    const struct netport *card = f->back->peer;
    uint8_t d[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 2, 2, 2, 2, 2, 8, 6 };
    struct net_frame fr = { .data = d, .len = sizeof d };
    uint64_t before;

    machine_reset(f->m);
    if (drivers[f->kind].io_bar >= 0)
        cfg_wr(f, 0x10, IO);
    else
        cfg_wr(f, 0x10, MMIO);
    cfg_wr(f, 4, 7);
    drivers[f->kind].start(f, false);
    for (unsigned i = 0; i < 100000 && (f->back->peer->head || unread(f)); i++) {
        turn(f);
        drivers[f->kind].refill(f);
    }
    before = card->frames_in;
    if (f->fd >= 0)
        send_by_socket(f, d, sizeof d);
    else
        net_send(&f->peer, &fr);
    for (unsigned i = 0; i < 100 && card->frames_in == before; i++) {
        drivers[f->kind].refill(f);
        turn(f);
    }
    if (card->frames_in == before)
        die("a proper frame is not taken");
}

static void one(uint64_t seed)
{
    static uint8_t d[NET_FRAME_MAX];
    struct fuzz f = { .rng = seed, .kind = seed / 2 % ARRAY_SIZE(drivers) };

    alarm(CASE_SECONDS);
    make_board(&f, seed % 2 == 0);
    drivers[f.kind].start(&f, true);
    for (unsigned i = 0; i < FRAMES; i++) {
        send_frame(&f, d, make_frame(&f, d));
        if (pick(&f, 4) == 0)
            drivers[f.kind].refill(&f);
        if (pick(&f, 300) == 0)
            drivers[f.kind].start(&f, pick(&f, 4));
        if (pick(&f, 16) == 0)
            clock_step(&f.m->clock, &f.m->timers, pick(&f, 1000000));
    }
    run.shown[2] += f.back->peer->frames_in;
    still_serving(&f);
    free_board(&f);
}

int main(int argc, char **argv)
{
    int ret;

    run = (struct fuzz_run){ .name = "fuzz-frames", .one = one, .count = 48, .per_child = PER_CHILD,
                             .shown = fuzz_shared() };
    ret = fuzz_main(&run, argc, argv);
    printf("fuzz-frames: %llu frames, %llu taken by a card\n", (unsigned long long)run.shown[1],
           (unsigned long long)run.shown[2]);
    return ret;
}
