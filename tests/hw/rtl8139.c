/* rtl8139.c - RTL8139C+, both ways of receiving and sending */
#include "tests/hw/nic.h"

enum { BUF = 0x20000, RING = 0x40000, DESCS = 0x10000, RXDESCS = 0x11000 };
enum { TSD0 = 0x10, TSAD0 = 0x20, RBSTART = 0x30, CR = 0x37, CAPR = 0x38, CBR = 0x3a, IMR = 0x3c,
       ISR = 0x3e, RCR = 0x44, TNPDS = 0x20, TPPOLL = 0xd9, CPCR = 0xe0, RDSAR = 0xe4 };

static void p8(struct rig *r, unsigned reg, uint8_t v) { port_write(r->m, NIC_IO + reg, v, 1); }
static void p16(struct rig *r, unsigned reg, uint16_t v) { port_write(r->m, NIC_IO + reg, v, 2); }
static void p32(struct rig *r, unsigned reg, uint32_t v) { port_write(r->m, NIC_IO + reg, v, 4); }
static uint32_t g(struct rig *r, unsigned reg, unsigned n) { return port_read(r->m, NIC_IO + reg, n); }

static struct rig start(void)
{
    extern const struct device_type rtl8139_type;
    struct rig r = rig_new(&rtl8139_type, 0, 1);

    p8(&r, CR, 0x10);
    p32(&r, RBSTART, RING);
    p8(&r, CR, 0x0c);
    p32(&r, RCR, 0xe);               /* 8 KiB ring; ours, multicast, broadcast */
    p16(&r, IMR, 0xffff);
    return r;
}

Test(rtl8139, address_and_empty_buffer_after_reset)
{
    struct rig r = start();

    for (unsigned i = 0; i < 6; i++)
        cr_assert_eq(g(&r, i, 1), rig_mac[i]);
    cr_assert(g(&r, CR, 1) & 1, "BUFE");
    cr_assert_eq(rd32(&r, 0), ldl32(rig_mac), "the same in memory");
    rig_free(&r);
}

Test(rtl8139, reserved_registers_keep_nothing)
{
    struct rig r = start();

    p16(&r, 0xda, 1526);             /* a register of the 8169, which drivers probe */
    cr_assert_eq(g(&r, 0xda, 2), 0);
    p16(&r, CPCR, 0x0b);
    cr_assert_eq(g(&r, CPCR, 4), 0x0b);
    rig_free(&r);
}

Test(rtl8139, sends_from_tsd)
{
    struct rig r = start();
    uint8_t f[300];

    ram_put(&r, BUF, f, make_frame(f, 300));
    p32(&r, TSAD0 + 4, BUF);
    p32(&r, TSD0 + 4, 300);
    cr_assert_eq(r.peer->n, 1);
    cr_assert_arr_eq(r.peer->data[0], f, 300);
    cr_assert_eq(g(&r, TSD0 + 4, 4) & 0xa000, 0xa000, "OWN, TOK");
    cr_assert_eq(g(&r, ISR, 2), 4);
    cr_assert(irq_pending(&r));
    p16(&r, ISR, 4);
    cr_assert_not(irq_pending(&r));
    p32(&r, TSD0, 0x1fff);           /* longer than a frame can be */
    cr_assert_eq(r.peer->n, 1);
    rig_free(&r);
}

Test(rtl8139, receives_into_the_ring_and_wraps)
{
    struct rig r = start();
    uint8_t f[1514], h[4];
    unsigned at = 0;

    make_frame(f, 1514);
    for (unsigned i = 0; i < 40; i++) {
        peer_send(&r, f, 1514);
        cr_assert_not(g(&r, CR, 1) & 1, "frame %u", i);
        ram_get(&r, RING + at, h, 4);
        cr_assert_eq(ldl16(h) & 1, 1);
        cr_assert_eq(ldl16(h + 2), 1518);
        at = (at + 4 + 1518 + 3) / 4 * 4 % 8192;
        cr_assert_eq(g(&r, CBR, 2), at);
        p16(&r, CAPR, at - 16);
        cr_assert(g(&r, CR, 1) & 1);
    }
    rig_free(&r);
}

Test(rtl8139, full_ring_keeps_frames)
{
    struct rig r = start();
    uint8_t f[1514];
    unsigned cbr;

    for (unsigned i = 0; i < 10; i++)
        peer_send(&r, f, make_frame(f, 1514));
    cbr = g(&r, CBR, 2);
    cr_assert_eq(cbr, 5 * 1524);
    p16(&r, CAPR, cbr - 16);
    cr_assert_eq(g(&r, CBR, 2), 10 * 1524 % 8192);
    rig_free(&r);
}

static void desc(struct rig *r, gpa_t at, uint32_t w, uint64_t addr)
{
    uint8_t d[16] = { 0 };

    stl32(d, w);
    stl64(d + 8, addr);
    ram_put(r, at, d, 16);
}

Test(rtl8139, cplus_descriptors)
{
    struct rig r = start();
    uint8_t f[200], d[16];

    p16(&r, CPCR, 3);
    p32(&r, TNPDS, DESCS);
    p32(&r, TNPDS + 4, 0);
    p32(&r, RDSAR, RXDESCS);
    ram_put(&r, BUF, f, make_frame(f, 200));
    desc(&r, DESCS, 1u << 31 | 1 << 29 | 120, BUF);
    desc(&r, DESCS + 16, 1u << 31 | 1 << 28 | 80, BUF + 120);
    desc(&r, RXDESCS, 1u << 31 | 1536, BUF + 0x1000);
    p8(&r, TPPOLL, 0x40);
    cr_assert_eq(r.peer->n, 1);
    cr_assert_arr_eq(r.peer->data[0], f, 200);
    ram_get(&r, DESCS + 16, d, 16);
    cr_assert_not(d[3] & 0x80, "OWN is the driver's");
    peer_send(&r, f, 200);
    ram_get(&r, RXDESCS, d, 16);
    cr_assert_eq(ldl32(d) >> 28, 3, "FS, LS, no OWN");
    cr_assert_eq(ldl32(d) & 0x1fff, 204);
    rig_free(&r);
}

Test(rtl8139, endless_ring_is_bounded)
{
    struct rig r = start();

    p16(&r, CPCR, 3);
    p32(&r, TNPDS, NIC_MMIO);        /* its own registers: reads as zeros */
    p8(&r, TPPOLL, 0x40);
    cr_assert_eq(r.peer->n, 0);
    rig_free(&r);
}

Test(rtl8139, random_register_writes)
{
    struct rig r = start();

    storm(&r, 100000, 256, 256);
    rig_free(&r);
}
