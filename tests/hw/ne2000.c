/* ne2000.c - DP8390 registers, remote DMA, receive ring */
#include "tests/hw/nic.h"

static void out(struct rig *r, unsigned reg, uint8_t v) { port_write(r->m, NIC_IO + reg, v, 1); }
static uint8_t in(struct rig *r, unsigned reg) { return port_read(r->m, NIC_IO + reg, 1); }

static void dma(struct rig *r, uint16_t at, uint16_t n, bool write)
{
    out(r, 8, at);
    out(r, 9, at >> 8);
    out(r, 10, n);
    out(r, 11, n >> 8);
    out(r, 0, write ? 0x12 : 0x0a);
}

static void dma_out(struct rig *r, uint16_t at, const uint8_t *d, unsigned n)
{
    dma(r, at, n, true);
    for (unsigned i = 0; i < n; i += 2)
        port_write(r->m, NIC_IO + 0x10, ldl16(d + i), 2);
}

static void dma_in(struct rig *r, uint16_t at, uint8_t *d, unsigned n)
{
    dma(r, at, n, false);
    for (unsigned i = 0; i < n; i += 2)
        stl16(d + i, port_read(r->m, NIC_IO + 0x10, 2));
}

static struct rig start(void)
{
    extern const struct device_type ne2k_pci_type;
    struct rig r = rig_new(&ne2k_pci_type, 0, -1);

    out(&r, 0, 0x21);
    out(&r, 1, 0x46);
    out(&r, 2, 0x80);
    out(&r, 3, 0x46);
    out(&r, 12, 4);                  /* RCR: broadcast */
    out(&r, 15, 0x7f);
    out(&r, 0, 0x61);
    for (unsigned i = 0; i < 6; i++)
        out(&r, 1 + i, rig_mac[i]);
    out(&r, 7, 0x47);
    out(&r, 0, 0x22);
    out(&r, 7, 0xff);
    return r;
}

static uint8_t curr(struct rig *r)
{
    uint8_t v;

    out(r, 0, 0x60);                 /* page 1, neither start nor stop */
    v = in(r, 7);
    out(r, 0, 0x20);
    return v;
}

Test(ne2000, prom_holds_the_address_twice)
{
    struct rig r = start();
    uint8_t d[32];

    dma_in(&r, 0, d, 32);
    for (unsigned i = 0; i < 6; i++)
        cr_assert(d[2 * i] == rig_mac[i] && d[2 * i + 1] == rig_mac[i]);
    cr_assert_eq(d[28], 0x57);
    cr_assert(in(&r, 7) & 0x40, "RDC");
    rig_free(&r);
}

/* In word mode a byte read takes a word: Linux reads the PROM so. */
Test(ne2000, byte_access_in_word_mode)
{
    struct rig r = start();

    out(&r, 14, 0x49);
    dma(&r, 0, 12, false);
    for (unsigned i = 0; i < 6; i++)
        cr_assert_eq(in(&r, 0x10), rig_mac[i]);
    rig_free(&r);
}

Test(ne2000, sends)
{
    struct rig r = start();
    uint8_t f[100];

    dma_out(&r, 0x4000, f, make_frame(f, 100));
    out(&r, 4, 0x40);
    out(&r, 5, 100);
    out(&r, 6, 0);
    out(&r, 0, 0x26);
    cr_assert_eq(r.peer->n, 1);
    cr_assert_arr_eq(r.peer->data[0], f, 100);
    cr_assert(in(&r, 7) & 2, "PTX");
    cr_assert(irq_pending(&r));
    out(&r, 4, 0x7f);                /* runs past the memory */
    out(&r, 6, 5);
    out(&r, 0, 0x26);
    cr_assert_eq(r.peer->n, 1);
    rig_free(&r);
}

Test(ne2000, receives_round_the_ring)
{
    struct rig r = start();
    uint8_t f[1000], d[1004], next = 0x47;

    make_frame(f, 1000);
    for (unsigned i = 0; i < 40; i++) {
        peer_send(&r, f, 1000);
        dma_in(&r, next << 8, d, 1004);
        cr_assert_eq(d[0] & 1, 1);
        cr_assert_eq(ldl16(d + 2), 1008);
        cr_assert_arr_eq(d + 4, f, 1000);
        next = next + 4 >= 0x80 ? next + 4 - 0x80 + 0x46 : next + 4;
        cr_assert_eq(d[1], next);
        cr_assert_eq(curr(&r), next);
        out(&r, 3, next - 1);        /* 0x45 where the ring begins: as Linux does */
    }
    rig_free(&r);
}

/* Linux selects pages with neither STA nor STP set: the card goes on receiving. */
Test(ne2000, page_selection_does_not_stop_it)
{
    struct rig r = start();
    uint8_t f[64];

    out(&r, 0, 0x60);
    peer_send(&r, f, make_frame(f, 60));
    cr_assert_eq(in(&r, 7), 0x48);
    out(&r, 0, 0x61);
    peer_send(&r, f, 60);
    cr_assert_eq(in(&r, 7), 0x48, "stopped");
    rig_free(&r);
}

Test(ne2000, full_ring_keeps_frames)
{
    struct rig r = start();
    uint8_t f[1500];

    for (unsigned i = 0; i < 12; i++)
        peer_send(&r, f, make_frame(f, 1500));
    cr_assert_eq(curr(&r), 0x47 + 9 * 6, "nine frames of six pages");
    out(&r, 3, 0x47 + 5);
    cr_assert_eq(curr(&r), 0x47 + 10 * 6 - 0x3a, "one more");
    rig_free(&r);
}

Test(ne2000, random_register_writes)
{
    struct rig r = start();

    storm(&r, 100000, 32, 0);
    rig_free(&r);
}
