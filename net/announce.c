/*
 * announce.c - telling the network where cards are now, after a move or when asked to
 *
 * A RARP request from a card's address makes every switch on the way learn it; a driver that can
 * do so says more (gratuitous ARP, for all its addresses).
 *
 * Source: RFC 903 (RARP).
 */
#include <stdlib.h>
#include "net/net-int.h"

#define NS_PER_MS 1000000ll
enum { ETH_RARP = 0x8035, HW_ETHERNET = 1, OP_REQUEST_REVERSE = 3 };

struct net_announce {
    struct net *net;
    struct net_announce_plan plan;
    struct timer timer;
    long delay_ms;
};

static void send_rarp(struct netport *card)
{
    uint8_t d[NET_ETH_MIN] = {
        [12] = ETH_RARP >> 8, ETH_RARP & 0xff, 0, HW_ETHERNET, 8, 0, 6, 4, 0, OP_REQUEST_REVERSE,
    };
    struct net_frame f = { .data = d, .len = sizeof d };

    memset(d, 0xff, 6);
    memcpy(d + 6, card->mac, 6);
    memcpy(d + 22, card->mac, 6);        /* sender; its IP address stays 0 */
    memcpy(d + 32, card->mac, 6);        /* target */
    net_send(card, &f);
}

static void one_round(void *opaque)
{
    struct net_announce *a = opaque;
    struct net *n = a->net;

    for (struct netport *p = n->ports; p; p = p->next) {
        if (!p->is_card || !p->mac)
            continue;
        send_rarp(p);
        if (p->ops->announce)
            p->ops->announce(p->opaque);
    }
    if (--a->plan.rounds <= 0) {
        net_announce_end(n);
        return;
    }
    timer_mod(&a->timer, clock_now_ns(n->timers->clock) + a->delay_ms * NS_PER_MS);
    a->delay_ms = MIN(a->delay_ms + a->plan.step_ms, a->plan.max_ms);
}

void net_announce(struct net *n, const struct net_announce_plan *plan)
{
    struct net_announce *a;

    net_announce_end(n);
    a = n->announce = xzalloc(sizeof *a);
    a->net = n;
    a->plan = *plan;
    a->delay_ms = plan->initial_ms;
    timer_init(&a->timer, n->timers, one_round, a);
    one_round(a);
}

void net_announce_end(struct net *n)
{
    if (!n->announce)
        return;
    timer_del(&n->announce->timer);
    free(n->announce);
    n->announce = NULL;
}
