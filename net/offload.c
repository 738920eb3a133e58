/*
 * offload.c - checksums and segmentation that a sender left to the network
 *
 * Source: RFC 1071 (checksum), RFC 791 and RFC 8200 (headers), RFC 9293 (TCP).
 */
#include <stdlib.h>
#include "net/net-int.h"

enum { ETH_IP4 = 0x0800, ETH_IP6 = 0x86dd, ETH_VLAN = 0x8100, PROTO_TCP = 6, PROTO_UDP = 17,
       TCP_FIN_PSH = 0x09, TCP_CWR = 0x80 };

static uint16_t be16(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static void put_be32(uint8_t *p, uint32_t v)
{
    net_put16(p, v >> 16);
    net_put16(p + 2, v);
}

/* Sums words in host order and swaps the result: the sum commutes with that. */
uint32_t net_sum(const void *buf, size_t len, uint32_t sum)
{
    const uint8_t *p = buf;
    uint64_t s = 0;

    for (; len >= 8; p += 8, len -= 8) {
        uint64_t v = ldl64(p);

        s += (v & 0xffffffff) + (v >> 32);
    }
    for (; len >= 2; p += 2, len -= 2)
        s += ldl16(p);
    if (len)
        s += *p;
    s = (s & 0xffffffff) + (s >> 32);
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    s = (s >> 8 | s << 8) & 0xffff;
    s += sum;
    return (s & 0xffff) + (s >> 16 & 0xffff) + (s >> 32);
}

uint16_t net_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

bool net_finish_csum(uint8_t *data, size_t len, const struct net_offload *off)
{
    size_t at = (size_t)off->csum_start + off->csum_offset;
    uint16_t sum;

    if (!off->csum)
        return true;
    if (off->csum_start >= len || at + 2 > len)
        return false;
    sum = net_fold(net_sum(data + off->csum_start, len - off->csum_start, 0));
    net_put16(data + at, sum ? sum : 0xffff);  /* UDP: 0 would mean "none" */
    return true;
}

/* ---- segmentation ------------------------------------------------------------------ */

/** struct headers - where things are in a frame to be cut */
struct headers {
    size_t l3, l4, payload;
    bool v6;
    uint8_t proto;
};

static bool parse(const struct net_frame *f, struct headers *h)
{
    const uint8_t *d = f->data;
    uint16_t type;

    h->l3 = NET_ETH_HLEN;
    if (f->len < h->l3 + 20)
        return false;
    type = be16(d + 12);
    if (type == ETH_VLAN) {
        type = be16(d + 16);
        h->l3 += 4;
    }
    h->v6 = type == ETH_IP6;
    if (!h->v6 && type != ETH_IP4)
        return false;
    h->l4 = h->l3 + (h->v6 ? 40 : (size_t)(d[h->l3] & 15) * 4);
    if (!h->v6 && h->l4 < h->l3 + 20)
        return false;
    h->proto = f->off.gso == NET_GSO_UDP ? PROTO_UDP : PROTO_TCP;
    if (h->l4 + (h->proto == PROTO_TCP ? 20 : 8) > f->len)
        return false;
    h->payload = h->l4 + (h->proto == PROTO_TCP ? (size_t)(d[h->l4 + 12] >> 4) * 4 : 8);
    return h->payload >= h->l4 + 8 && h->payload <= f->len &&
           h->payload <= 256;
}

static void ip4_finish(uint8_t *ip, size_t hlen, size_t total, uint16_t id, uint16_t frag)
{
    net_put16(ip + 2, total);
    net_put16(ip + 4, id);
    net_put16(ip + 6, frag);
    net_put16(ip + 10, 0);
    net_put16(ip + 10, net_fold(net_sum(ip, hlen, 0)));
}

static uint32_t pseudo_sum(const uint8_t *ip, bool v6, uint8_t proto, size_t len)
{
    uint32_t sum = v6 ? net_sum(ip + 8, 32, 0) : net_sum(ip + 12, 8, 0);

    return sum + proto + (len & 0xffff) + (len >> 16);
}

/* Segment @i of TCP, @n payload bytes from @at, into @out; returns its length. */
static size_t tcp_segment(const struct net_frame *f, const struct headers *h, uint8_t *out,
                          size_t at, size_t n, unsigned i)
{
    size_t len = h->payload + n, l4_len = len - h->l4;
    bool last = at + n == f->len;
    uint8_t *ip = out + h->l3, *tcp = out + h->l4;

    memcpy(out, f->data, h->payload);
    memcpy(out + h->payload, f->data + at, n);
    if (h->v6)
        net_put16(ip + 4, l4_len);
    else
        ip4_finish(ip, h->l4 - h->l3, len - h->l3, be16(ip + 4) + i, be16(ip + 6));
    put_be32(tcp + 4, be32(tcp + 4) + (at - h->payload));
    if (!last)
        tcp[13] &= ~TCP_FIN_PSH;
    if (i)
        tcp[13] &= ~TCP_CWR;
    net_put16(tcp + 16, 0);
    net_put16(tcp + 16, net_fold(net_sum(tcp, l4_len, pseudo_sum(ip, h->v6, PROTO_TCP, l4_len))));
    return len;
}

static bool cut_tcp(const struct net_frame *f, const struct headers *h,
                    void (*emit)(void *, const struct net_frame *), void *opaque)
{
    uint8_t *out = xmalloc(NET_FRAME_MAX);
    size_t at = h->payload;
    unsigned i = 0;

    do {
        size_t n = MIN((size_t)f->off.gso_size, f->len - at);
        struct net_frame s = { .data = out, .queue = f->queue, .off.valid = true };

        s.len = tcp_segment(f, h, out, at, n, i++);
        emit(opaque, &s);
        at += n;
    } while (at < f->len);
    free(out);
    return true;
}

/* UFO: one datagram in IPv4 fragments. The checksum is the datagram's. */
static bool cut_udp(const struct net_frame *f, const struct headers *h,
                    void (*emit)(void *, const struct net_frame *), void *opaque)
{
    size_t body = f->len - h->l4, step = align_down(f->off.gso_size, 8), at = 0;
    uint8_t *whole, *out;
    uint16_t sum;

    if (h->v6 || !step || (be16(f->data + h->l3 + 6) & 0x3fff))
        return false;
    whole = xmalloc(f->len);
    out = xmalloc(NET_FRAME_MAX);
    memcpy(whole, f->data, f->len);
    net_put16(whole + h->l4 + 6, 0);
    sum = net_fold(net_sum(whole + h->l4, body, pseudo_sum(whole + h->l3, false, PROTO_UDP, body)));
    net_put16(whole + h->l4 + 6, sum ? sum : 0xffff);
    while (at < body) {
        size_t n = MIN(step, body - at);
        struct net_frame s = { .data = out, .len = h->l4 + n, .queue = f->queue };

        memcpy(out, whole, h->l4);
        memcpy(out + h->l4, whole + h->l4 + at, n);
        ip4_finish(out + h->l3, h->l4 - h->l3, s.len - h->l3, be16(whole + h->l3 + 4),
                   at / 8 | (at + n < body ? 0x2000 : 0));
        emit(opaque, &s);
        at += n;
    }
    free(out);
    free(whole);
    return true;
}

bool net_segment(const struct net_frame *f, void (*emit)(void *opaque, const struct net_frame *f),
                 void *opaque)
{
    struct headers h;

    /* a tiny segment size would make thousands of frames of one */
    if (f->off.gso_size < 64 || !parse(f, &h))
        return false;
    return h.proto == PROTO_TCP ? cut_tcp(f, &h, emit, opaque) : cut_udp(f, &h, emit, opaque);
}
