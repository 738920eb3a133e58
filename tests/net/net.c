/* net.c - ports: queues, holding, links, flow control; segmentation */
#include <stdlib.h>
#include "tests/hw/nic.h"

struct pair {
    struct net *n;
    struct clock clock;
    struct timer_list timers;
    struct peer *a, *b;
};

static struct pair pair_new(void)
{
    struct pair p = { .a = xzalloc(sizeof *p.a), .b = xzalloc(sizeof *p.b) };
    struct err e;

    p.n = net_new(NULL, NULL);
    netport_init(&p.a->port, p.n, &peer_ops, p.a, "a");
    netport_init(&p.b->port, p.n, &peer_ops, p.b, "b");
    cr_assert_eq(net_connect(&p.a->port, &p.b->port, &e), 0);
    return p;
}

static void pair_free(struct pair *p)
{
    net_free(p->n);
    free(p->a);
    free(p->b);
}

static bool say(struct peer *from, size_t len)
{
    static const uint8_t data[2048];
    struct net_frame f = { .data = data, .len = len };

    return net_send(&from->port, &f);
}

Test(net, delivers_and_checks_lengths)
{
    struct pair p = pair_new();

    say(p.a, 60);
    say(p.a, 13);
    cr_assert_eq(p.b->n, 1);
    pair_free(&p);
}

Test(net, a_taken_port_is_named)
{
    struct pair p = pair_new();
    struct peer c = { 0 };
    struct err e = { "" };

    netport_init(&c.port, p.n, &peer_ops, &c, "c");
    cr_assert_eq(net_connect(&c.port, &p.b->port, &e), -EBUSY);
    cr_assert_str_eq(e.msg, "netdev 'b' is in use by a");
    netport_free(&c.port);
    pair_free(&p);
}

Test(net, queue_is_bounded_and_room_is_told)
{
    struct pair p = pair_new();
    bool go = true;

    p.b->refuse = true;
    for (unsigned i = 0; i < 10000; i++)
        go = say(p.a, 60) && go;
    cr_assert_not(go, "the sender is told to wait");
    cr_assert_eq(p.b->port.n_queued, NET_QUEUE_FRAMES);
    cr_assert_eq(p.b->port.dropped, 10000 - NET_QUEUE_FRAMES);
    p.b->refuse = false;
    net_flush(&p.b->port);
    cr_assert_eq(p.b->n, NET_QUEUE_FRAMES);
    cr_assert_eq(p.a->room_calls, 1);
    pair_free(&p);
}

Test(net, a_held_port_receives_on_release)
{
    struct pair p = pair_new();

    net_hold(&p.b->port);
    net_hold(&p.b->port);
    say(p.a, 60);
    net_release(&p.b->port);
    cr_assert_eq(p.b->n, 0);
    net_release(&p.b->port);
    cr_assert_eq(p.b->n, 1);
    pair_free(&p);
}

/* Two ends that answer everything must not keep each other busy for ever. */
Test(net, echo_at_both_ends_ends)
{
    struct pair p = pair_new();

    p.a->echo = p.b->echo = true;
    say(p.a, 60);
    cr_assert_gt(p.b->n, 1);
    cr_assert_leq(p.b->n, 4 * NET_QUEUE_FRAMES);
    pair_free(&p);
}

Test(net, a_cable_that_is_out_loses_frames)
{
    struct pair p = pair_new();

    net_set_link(&p.b->port, false);
    cr_assert_not(net_link_up(&p.a->port));
    cr_assert(say(p.a, 60));
    cr_assert_eq(p.b->n, 0);
    net_set_link(&p.b->port, true);
    say(p.a, 60);
    cr_assert_eq(p.b->n, 1);
    netport_free(&p.b->port);
    cr_assert(say(p.a, 60));
    pair_free(&p);
}

/* ---- segmentation ------------------------------------------------------------------ */

static struct {
    unsigned n;
    size_t len[16];
    uint8_t data[16][2048];
} cut;

static void keep(void *opaque, const struct net_frame *f)
{
    cr_assert_leq(f->len, 2048);
    cut.len[cut.n % 16] = f->len;
    memcpy(cut.data[cut.n++ % 16], f->data, f->len);
}

static size_t udp_datagram(uint8_t *d, size_t payload)
{
    memset(d, 0, 42);
    d[12] = 8;
    d[14] = 0x45;
    d[23] = 17;
    memcpy(d + 26, "\x0a\x00\x02\x0f\x0a\x00\x02\x02", 8);
    for (size_t i = 0; i < payload; i++)
        d[42 + i] = i * 3;
    return 42 + payload;
}

Test(net, ufo_is_cut_into_fragments)
{
    uint8_t d[4042];
    struct net_frame f = { .data = d, .len = udp_datagram(d, 4000),
                           .off = { .gso = NET_GSO_UDP, .gso_size = 1480 } };

    cut.n = 0;
    cr_assert(net_segment(&f, keep, NULL));
    cr_assert_eq(cut.n, 3);
    for (unsigned i = 0; i < 3; i++) {
        int frag = cut.data[i][20] << 8 | cut.data[i][21];

        cr_assert_eq(net_fold(net_sum(cut.data[i] + 14, 20, 0)), 0);
        cr_assert_eq(frag, (int)(185 * i) | (i < 2 ? 0x2000 : 0));
    }
    cr_assert_eq(cut.len[2], 34 + 4008 - 2960);
}

Test(net, headers_that_make_no_sense_are_refused)
{
    uint8_t d[200];
    struct net_frame f = { .data = d, .len = udp_datagram(d, 100),
                           .off = { .gso = NET_GSO_TCP4, .gso_size = 1000 } };

    cut.n = 0;
    for (unsigned len = 14; len < 54; len++) {
        f.len = len;
        cr_assert_not(net_segment(&f, keep, NULL), "length %u", len);
    }
    f.len = 142;
    d[14] = 0x4f;                    /* options, and then no room */
    d[86] = 0xf0;
    f.off.gso_size = 1;
    cr_assert_not(net_segment(&f, keep, NULL), "a segment of one byte");
    d[14] = 0x41;
    f.off.gso_size = 1000;
    cr_assert_not(net_segment(&f, keep, NULL), "a header of four bytes");
    cr_assert_eq(cut.n, 0);
}

Test(net, addresses_that_are_taken_are_left_out)
{
    struct net *n = net_new(NULL, NULL);
    static const uint8_t second[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x57 };
    uint8_t mac[6];

    net_mac_taken(n, second);
    net_mac_next(n, mac);
    cr_assert_eq(mac[5], 0x56);
    net_mac_next(n, mac);
    cr_assert_eq(mac[5], 0x58);
    net_free(n);
}

Test(net, sums_of_odd_and_even_lengths)
{
    static const uint8_t d[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0xab };

    cr_assert_eq(net_fold(net_sum(d, 8, 0)), 0x220d);  /* RFC 1071, 3 */
    cr_assert_eq(net_fold(net_sum(d, 9, 0)), (uint16_t)~((0xddf2 + 0xab00) % 0xffff));
}
