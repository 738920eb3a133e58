/* e1000.c - 82540EM, driven through its registers and rings */
#include "tests/hw/nic.h"

enum { TX_RING = 0x10000, RX_RING = 0x11000, BUF = 0x20000, RXBUF = 0x30000, N = 8 };
enum { CTRL = 0, STATUS = 8, EERD = 0x14, MDIC = 0x20, ICR = 0xc0, ITR = 0xc4, IMS = 0xd0,
       RCTL = 0x100, TCTL = 0x400, RDBAL = 0x2800, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818,
       TDBAL = 0x3800, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818 };

static void rx_desc(struct rig *r, unsigned i, uint64_t addr)
{
    uint8_t d[16] = { 0 };

    stl64(d, addr);
    ram_put(r, RX_RING + i * 16, d, 16);
}

static struct rig start(void)
{
    extern const struct device_type e1000_type;
    struct rig r = rig_new(&e1000_type, 1, 0);

    wr32(&r, TDBAL, TX_RING);
    wr32(&r, TDLEN, N * 16);
    wr32(&r, TCTL, 2 | 8);
    for (unsigned i = 0; i < N; i++)
        rx_desc(&r, i, RXBUF + i * 2048);
    wr32(&r, RDBAL, RX_RING);
    wr32(&r, RDLEN, N * 16);
    wr32(&r, RDT, N - 1);
    wr32(&r, RCTL, 2 | 0x8000);
    return r;
}

/* A legacy descriptor at the tail. */
static void tx(struct rig *r, uint64_t addr, uint16_t len, uint8_t cmd)
{
    unsigned i = rd32(r, TDT);
    uint8_t d[16] = { 0 };

    stl64(d, addr);
    stl16(d + 8, len);
    d[11] = cmd;
    ram_put(r, TX_RING + i * 16, d, 16);
    wr32(r, TDT, (i + 1) % N);
}

Test(e1000, eeprom_holds_address_and_sum)
{
    struct rig r = start();
    uint16_t sum = 0, w[64];

    for (unsigned i = 0; i < 64; i++) {
        wr32(&r, EERD, i << 8 | 1);
        cr_assert(rd32(&r, EERD) & 0x10);
        w[i] = rd32(&r, EERD) >> 16;
        sum += w[i];
    }
    cr_assert_eq(sum, 0xbaba);
    cr_assert_arr_eq(w, rig_mac, 6);
    rig_free(&r);
}

Test(e1000, phy_reports_link)
{
    struct rig r = start();

    wr32(&r, MDIC, 2u << 26 | 1 << 21 | 1 << 16);
    cr_assert(rd32(&r, MDIC) & 4, "link in the PHY");
    cr_assert(rd32(&r, STATUS) & 2, "link in STATUS");
    net_set_link(&r.peer->port, false);
    cr_assert_not(rd32(&r, STATUS) & 2);
    cr_assert(rd32(&r, ICR) & 4, "LSC");
    wr32(&r, MDIC, 2u << 26 | 7 << 21 | 1 << 16);
    cr_assert(rd32(&r, MDIC) >> 30 & 1, "no PHY at address 7");
    rig_free(&r);
}

Test(e1000, sends_and_pads)
{
    struct rig r = start();
    uint8_t f[1514];

    make_frame(f, 1514);
    ram_put(&r, BUF, f, 1514);
    tx(&r, BUF, 700, 8);
    tx(&r, BUF + 700, 814, 9);
    cr_assert_eq(r.peer->n, 1);
    cr_assert_eq(r.peer->len[0], 1514);
    cr_assert_arr_eq(r.peer->data[0], f, 1514);
    tx(&r, BUF, 20, 9);
    cr_assert_eq(r.peer->len[1], 60);
    cr_assert_eq(r.peer->data[1][30], 0);
    cr_assert_eq(rd32(&r, TDH), 3);
    ram_get(&r, TX_RING + 32 + 12, f, 1);
    cr_assert(f[0] & 1, "DD");
    rig_free(&r);
}

Test(e1000, receives_pads_and_interrupts)
{
    struct rig r = start();
    uint8_t f[1514], d[16];

    wr32(&r, IMS, 0x80);
    peer_send(&r, f, make_frame(f, 42));
    ram_get(&r, RX_RING, d, 16);
    cr_assert_eq(ldl16(d + 8), 64, "60 bytes and FCS");
    cr_assert_eq(d[12] & 3, 3, "DD, EOP");
    cr_assert(irq_pending(&r));
    cr_assert(rd32(&r, ICR) & 0x80);
    cr_assert_not(irq_pending(&r), "reading ICR ends it");
    f[0] = 0x54;
    peer_send(&r, f, 60);
    cr_assert_eq(rd32(&r, RDH), 1, "not ours");
    memset(f, 0xff, 6);
    peer_send(&r, f, 60);
    cr_assert_eq(rd32(&r, RDH), 2, "broadcast");
    rig_free(&r);
}

Test(e1000, full_ring_keeps_frames_until_there_is_room)
{
    struct rig r = start();
    uint8_t f[64];

    for (unsigned i = 0; i < 12; i++)
        peer_send(&r, f, make_frame(f, 60));
    cr_assert_eq(rd32(&r, RDH), N - 1);
    wr32(&r, RDT, 3);
    cr_assert_eq(rd32(&r, RDH), 3);
    wr32(&r, RDT, 6);
    cr_assert_eq(rd32(&r, RDH), 4, "12 frames in all");
    rig_free(&r);
}

Test(e1000, interrupts_are_throttled)
{
    struct rig r = start();
    uint8_t f[64];

    wr32(&r, IMS, 0x80);
    wr32(&r, ITR, 1000);             /* 256 us */
    make_frame(f, 60);
    peer_send(&r, f, 60);
    cr_assert(irq_pending(&r));
    rd32(&r, ICR);
    peer_send(&r, f, 60);
    cr_assert_not(irq_pending(&r), "too soon");
    clock_step(&r.m->clock, &r.m->timers, 300000);
    cr_assert(irq_pending(&r));
    rig_free(&r);
}

/* Loopback takes the way of every frame: a short one is padded. */
Test(e1000, loopback_pads_short_frames)
{
    struct rig r = start();
    uint8_t f[64], d[16];

    ram_put(&r, BUF, f, make_frame(f, 20));
    wr32(&r, RCTL, 2 | 0x8000 | 0xc0);
    tx(&r, BUF, 20, 9);
    cr_assert_eq(r.peer->n, 0);
    ram_get(&r, RX_RING, d, 16);
    cr_assert_eq(ldl16(d + 8), 64);
    rig_free(&r);
}

/* The answer comes back while the card is still sending. */
Test(e1000, an_answer_from_within_waits)
{
    struct rig r = start();
    uint8_t f[64];

    r.peer->echo = true;
    ram_put(&r, BUF, f, make_frame(f, 60));
    tx(&r, BUF, 60, 9);
    cr_assert_eq(rd32(&r, RDH), 1);
    cr_assert_eq(rd32(&r, TDH), 1);
    rig_free(&r);
}

Test(e1000, tso_describes_the_whole)
{
    struct rig r = start();
    uint8_t f[54 + 3000], c[16] = { 0 }, d[16] = { 0 };
    uint16_t sum;

    memset(f, 0, sizeof f);
    make_frame(f, 54);
    memset(f + 14, 0, 40);
    f[12] = 8, f[13] = 0;
    f[14] = 0x45, f[23] = 6;
    memcpy(f + 26, "\x0a\x00\x02\x0f\x0a\x00\x02\x02", 8);
    f[46] = 0x50;
    sum = ~net_fold(net_sum(f + 26, 8, 6));  /* as a driver leaves it: no length */
    f[50] = sum >> 8, f[51] = sum;
    for (unsigned i = 54; i < sizeof f; i++)
        f[i] = i;
    ram_put(&r, BUF, f, sizeof f);
    c[0] = 14, c[1] = 24, stl16(c + 2, 33);
    c[4] = 34, c[5] = 50;
    stl32(c + 8, 3000 | 0x27u << 24);  /* DEXT, TSE, IP, TCP */
    c[13] = 54, stl16(c + 14, 1460);
    ram_put(&r, TX_RING, c, 16);
    stl64(d, BUF);
    stl32(d + 8, (uint32_t)sizeof f | 1 << 20 | 0x2du << 24); /* DEXT, RS, TSE, EOP */
    d[13] = 3;
    ram_put(&r, TX_RING + 16, d, 16);
    r.peer->port.caps = 0;           /* wants it cut */
    wr32(&r, TDT, 2);
    cr_assert_eq(r.peer->n, 3);
    cr_assert_eq(r.peer->len[0], 54 + 1460);
    cr_assert_eq(r.peer->len[2], 54 + 80);
    for (unsigned i = 0; i < 3; i++) {
        const uint8_t *p = r.peer->data[i];
        size_t l4 = r.peer->len[i] - 34;

        cr_assert_eq(net_fold(net_sum(p + 14, 20, 0)), 0, "IP header");
        cr_assert_eq(net_fold(net_sum(p + 34, l4, net_sum(p + 26, 8, 6 + l4))), 0, "TCP");
        cr_assert_eq(p[16] << 8 | p[17], (int)l4 + 20);
        cr_assert_eq(p[40] << 8 | p[41], (int)(1460 * i), "sequence");
    }
    rig_free(&r);
}

/* Rings over the card's own registers, buffers in nowhere, absurd lengths. */
Test(e1000, malformed_descriptors)
{
    struct rig r = start();
    uint8_t f[64];

    tx(&r, NIC_MMIO, 60, 9);
    tx(&r, ~0ull - 10, 60, 9);
    for (unsigned i = 0; i < 3; i++)
        tx(&r, BUF, 0xffff, 0);
    tx(&r, BUF, 0xffff, 9);
    cr_assert_leq(r.peer->n, 2, "the over-long frame is dropped");
    wr32(&r, TDBAL, NIC_MMIO + TDBAL);
    wr32(&r, TDH, 0);
    wr32(&r, TDT, 7);
    wr32(&r, RDBAL, NIC_MMIO + RCTL);
    peer_send(&r, f, make_frame(f, 60));
    cr_assert_eq(rd32(&r, RCTL), 2 | 0x8000);
    rig_free(&r);
}

Test(e1000, random_register_writes)
{
    struct rig r = start();

    storm(&r, 100000, 64, 0x6000);
    rig_free(&r);
}
