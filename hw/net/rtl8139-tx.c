/*
 * rtl8139-tx.c - RTL8139C+: transmitting, from the four registers TSD or, in C+
 * mode, by descriptors
 */
#include "hw/net/rtl8139-int.h"

enum { DESC_BYTES = 16, RING_DESCS = 64, BUDGET_DESCS = 256 };
#define D_OWN  (1u << 31)
#define D_EOR  (1u << 30)
#define D_FS   (1u << 29)
#define D_LS   (1u << 28)
#define D_LGSEN (1u << 27)
#define D_IPCS (1u << 18)
#define D_UDPCS (1u << 17)
#define D_TCPCS (1u << 16)
#define D_TAGC (1u << 17)        /* second word */

static void loop_back(void *opaque, const struct net_frame *f)
{
    rtl_receive(opaque, f);              /* without room it is lost */
}

static void put_out(struct rtl8139 *s, struct net_frame *f)
{
    if (f->len < NET_ETH_HLEN)
        return;
    if (bits(rtl32(s, R_TCR), 17, 2) != 3)
        net_send(&s->nic.port, f);
    else if (!f->off.gso)
        loop_back(s, f);
    else
        net_segment(f, loop_back, s);
}

/** rtl_transmit() - TSD register @n was written with OWN clear */
void rtl_transmit(struct rtl8139 *s, unsigned n)
{
    uint32_t tsd = rtl32(s, R_TSD0 + n * 4), len = tsd & 0x1fff;
    struct net_frame f = { .data = s->tx_buf, .len = len };

    if (s->busy || !(s->reg[R_CR] & CR_TE) || !dma_enabled(&s->pci.dma))
        return;
    if (len > RTL_FRAME_MAX) {
        log_guest(LOG_NET, "rtl8139 tx: tsd=%u len=%u", n, len);
        return;
    }
    s->busy = true;
    net_hold(&s->nic.port);
    dma_get(&s->pci.dma, rtl32(s, R_TSAD0 + n * 4), s->tx_buf, len);
    if (len < NET_ETH_MIN) {             /* the chip pads */
        memset(s->tx_buf + len, 0, NET_ETH_MIN - len);
        f.len = NET_ETH_MIN;
    }
    put_out(s, &f);
    stl32(s->reg + R_TSD0 + n * 4, tsd | TSD_OWN | TSD_TOK);
    s->busy = false;
    rtl_interrupt(s, ISR_TOK);
    net_release(&s->nic.port);
}

/* ---- C+ mode --------------------------------------------------------------------------- */

static void insert_tag(struct rtl8139 *s, struct net_frame *f, const uint8_t *desc)
{
    if (!(ldl32(desc + 4) & D_TAGC) || s->tx_len < 12 || s->tx_len + 4 > sizeof s->tx_buf)
        return;
    memmove(s->tx_buf + 16, s->tx_buf + 12, s->tx_len - 12);
    s->tx_buf[12] = 0x81;
    s->tx_buf[13] = 0;
    memcpy(s->tx_buf + 14, desc + 4, 2); /* the driver swapped it */
    f->len += 4;
    f->off.csum_start += f->off.csum ? 4 : 0;
    f->off.hdr_len += f->off.hdr_len ? 4 : 0;
}

static void finish_frame(struct rtl8139 *s, const uint8_t *desc)
{
    uint32_t w = ldl32(desc);
    uint16_t mss = w & D_LGSEN ? bits(w, 16, 11) : 0;
    bool l4 = !mss && w & (D_UDPCS | D_TCPCS);
    struct net_frame f = { .data = s->tx_buf, .len = s->tx_len };

    if ((mss || w & (D_IPCS | D_UDPCS | D_TCPCS)) &&
        !nic_ip4_offload(s->tx_buf, s->tx_len, w & D_IPCS || mss, l4, mss, &f.off)) {
        log_guest(LOG_NET, "rtl8139 tx: offload of what is no IPv4 packet, len=%u", s->tx_len);
        if (mss)
            return;
    }
    insert_tag(s, &f, desc);
    if (f.len < NET_ETH_MIN) {
        memset(s->tx_buf + f.len, 0, NET_ETH_MIN - f.len);
        f.len = NET_ETH_MIN;
    }
    put_out(s, &f);
}

/* One descriptor; false: it is still the driver's. */
static bool take_one(struct rtl8139 *s)
{
    const struct dma *dma = &s->pci.dma;
    gpa_t at = (ldl64(s->reg + R_TNPDS) & ~255ull) + s->tx_desc * DESC_BYTES;
    uint8_t desc[DESC_BYTES];
    uint32_t w, len;

    dma_get(dma, at, desc, sizeof desc);
    w = ldl32(desc);
    len = w & 0xffff;
    if (!(w & D_OWN))
        return false;
    if (w & D_FS) {
        s->tx_len = 0;
        s->tx_bad = false;
    }
    if (len > sizeof s->tx_buf - 4 - s->tx_len)
        s->tx_bad = true;
    if (!s->tx_bad) {
        dma_get(dma, ldl64(desc + 8), s->tx_buf + s->tx_len, len);
        s->tx_len += len;
    }
    if (w & D_LS) {
        if (!s->tx_bad)
            finish_frame(s, desc);
        s->tx_len = 0;
    }
    stl32(desc, w & ~D_OWN);
    dma_put(dma, at, desc, 4);
    s->tx_desc = w & D_EOR || s->tx_desc == RING_DESCS - 1 ? 0 : s->tx_desc + 1;
    return true;
}

/** rtl_transmit_cplus() - TPPoll: frames wait in the normal priority ring */
void rtl_transmit_cplus(struct rtl8139 *s)
{
    unsigned n = 0;

    if (s->busy || !(s->reg[R_CR] & CR_TE) || !(rtl16(s, R_CPCR) & CPCR_TXEN) || !dma_enabled(&s->pci.dma))
        return;
    s->busy = true;
    net_hold(&s->nic.port);
    while (n < BUDGET_DESCS && take_one(s))
        n++;
    s->busy = false;
    if (n == BUDGET_DESCS)
        timer_mod(&s->tx_timer, clock_now_ns(&s->pci.dev.machine->clock));
    rtl_interrupt(s, n ? ISR_TOK | (n < BUDGET_DESCS ? ISR_TDU : 0) : 0);
    net_release(&s->nic.port);
}
