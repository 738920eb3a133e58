/*
 * e1000-tx.c - 82540EM: transmitting
 *
 * A frame is gathered in tx_buf up to its last descriptor. Checksums and TCP
 * segmentation are described to the back end (struct net_offload), which may
 * have the host do them. One call takes a bounded number of descriptors and
 * bytes; a timer goes on with the rest, so that no ring keeps the machine lock.
 *
 * Source: the manual, 3.3 (transmit descriptors), 3.5 (TCP segmentation).
 */
#include "hw/net/e1000-int.h"

#define DESC_BYTES   16
#define BUDGET_DESCS 512
#define BUDGET_BYTES (1u << 20)

enum { TX_EOP = 1, TX_IC = 4, TX_TSE = 4, TX_RS = 8, TX_DEXT = 0x20, TX_VLE = 0x40 };
enum { TX_CONTEXT = 0, TX_DATA = 1 };
enum { TUCMD_TCP = 1, TUCMD_IP = 2 };
enum { POPTS_IXSM = 1, POPTS_TXSM = 2 };

void e1000_tx_reset(struct e1000 *s)
{
    memset(&s->ctx, 0, sizeof s->ctx);
    s->tx_len = 0;
    s->tx_bad = s->tx_tse = s->tx_ixsm = s->tx_txsm = s->tx_legacy_csum = s->tx_vlan = false;
    timer_del(&s->tx_timer);
}

/* ---- a frame that is complete -------------------------------------------------------------- */

/* The sum over [@css, @cse] (0: to the end) to @cso, as the chip's engine does. */
static void insert_sum(struct e1000 *s, unsigned css, unsigned cso, unsigned cse)
{
    unsigned end = cse && cse < s->tx_len ? cse + 1 : s->tx_len;

    if (css >= end || cso + 2 > s->tx_len) {
        log_guest(LOG_NET, "e1000 checksum css=%u cso=%u cse=%u len=%u", css, cso, cse, s->tx_len);
        return;
    }
    net_put16(s->tx_buf + cso, net_fold(net_sum(s->tx_buf + css, end - css, 0)));
}

/* The card cuts the payload and fills in lengths: make headers say the whole. */
static bool describe_tso(struct e1000 *s, struct net_offload *off)
{
    const struct e1000_context *c = &s->ctx;
    size_t l3 = c->ipcss, l4 = c->tucss, ip_bytes;
    uint8_t *csum;

    if (!c->tcp || c->hdr_len >= s->tx_len || l4 < l3 + 20 || c->tucso < l4 ||
        c->tucso + 2u > s->tx_len || c->hdr_len < l4 + 20)
        return false;
    ip_bytes = s->tx_len - l3 - (c->ip4 ? 0 : 40);
    if (ip_bytes > 0xffff)
        return false;
    net_put16(s->tx_buf + l3 + (c->ip4 ? 2 : 4), ip_bytes);
    if (c->ip4) {
        net_put16(s->tx_buf + l3 + 10, 0);
        insert_sum(s, l3, l3 + 10, l4 - 1);
    }
    /* the driver left the pseudo header's sum without the length */
    csum = s->tx_buf + c->tucso;
    net_put16(csum, ~net_fold((csum[0] << 8 | csum[1]) + (uint32_t)(s->tx_len - l4)));
    *off = (struct net_offload){
        .gso = c->ip4 ? NET_GSO_TCP4 : NET_GSO_TCP6, .gso_size = c->mss, .hdr_len = c->hdr_len,
        .csum = true, .csum_start = l4, .csum_offset = c->tucso - l4,
    };
    return true;
}

static bool describe(struct e1000 *s, struct net_offload *off)
{
    if (s->tx_tse)
        return describe_tso(s, off);
    if (s->tx_legacy_csum)
        insert_sum(s, s->tx_css, s->tx_cso, 0);
    if (s->tx_ixsm)
        insert_sum(s, s->ctx.ipcss, s->ctx.ipcso, s->ctx.ipcse);
    if (s->tx_txsm)
        insert_sum(s, s->ctx.tucss, s->ctx.tucso, s->ctx.tucse);
    return true;
}

static void insert_tag(struct e1000 *s, struct net_offload *off)
{
    if (s->tx_len < 12 || s->tx_len + 4 > sizeof s->tx_buf)
        return;
    memmove(s->tx_buf + 16, s->tx_buf + 12, s->tx_len - 12);
    net_put16(s->tx_buf + 12, *e1000_reg(s, E_VET));
    net_put16(s->tx_buf + 14, s->tx_tag);
    s->tx_len += 4;
    off->csum_start += off->csum ? 4 : 0;
    off->hdr_len += off->hdr_len ? 4 : 0;
}

static void loop_back(void *opaque, const struct net_frame *f)
{
    e1000_receive(opaque, f);            /* without room it is lost */
}

static void put_out(struct e1000 *s, const struct net_frame *f)
{
    bool loopback = (*e1000_reg(s, E_RCTL) & RCTL_LBM) || (s->phy[MII_CTRL] & MII_CTRL_LOOPBACK);

    if (!loopback)
        net_send(&s->nic.port, f);
    else if (!f->off.gso)
        loop_back(s, f);
    else if (!net_segment(f, loop_back, s))
        log_guest(LOG_NET, "e1000: headers of a segmented frame make no sense");
}

static void finish_frame(struct e1000 *s)
{
    struct net_frame f = { .data = s->tx_buf };

    if (s->tx_bad || !describe(s, &f.off)) {
        log_guest(LOG_NET, "e1000 tx: bad frame len=%u", s->tx_len);
        return;
    }
    if (s->tx_vlan)
        insert_tag(s, &f.off);
    if (s->tx_len < NET_ETH_MIN) {
        if (!(*e1000_reg(s, E_TCTL) & TCTL_PSP) && s->tx_len < NET_ETH_HLEN)
            return;
        memset(s->tx_buf + s->tx_len, 0, NET_ETH_MIN - s->tx_len);
        s->tx_len = NET_ETH_MIN;
    }
    f.len = s->tx_len;
    e1000_count(s, E_GPTC, 1);
    e1000_count(s, E_TPT, 1);
    e1000_count64(s, E_GOTCL, f.len + 4);
    e1000_count64(s, E_TOTL, f.len + 4);
    if (s->tx_tse)
        e1000_count(s, E_TSCTC, 1);
    put_out(s, &f);
}

/* ---- descriptors --------------------------------------------------------------------------- */

static void take_context(struct e1000 *s, const uint8_t *d)
{
    s->ctx = (struct e1000_context){
        .ipcss = d[0], .ipcso = d[1], .ipcse = ldl16(d + 2),
        .tucss = d[4], .tucso = d[5], .tucse = ldl16(d + 6),
        .pay_len = ldl32(d + 8) & 0xfffff,
        .tcp = d[11] & TUCMD_TCP, .ip4 = d[11] & TUCMD_IP,
        .hdr_len = d[13], .mss = ldl16(d + 14),
    };
}

static void gather(struct e1000 *s, gpa_t gpa, uint32_t len)
{
    if (s->tx_bad || len > sizeof s->tx_buf - 4 - s->tx_len) { /* 4: room for a tag */
        s->tx_bad = true;
        return;
    }
    dma_get(&s->pci.dma, gpa, s->tx_buf + s->tx_len, len);
    s->tx_len += len;
}

/* What the first descriptor of a frame says about it. */
static void begin_frame(struct e1000 *s, const uint8_t *d, bool ext)
{
    s->tx_tse = ext && d[11] & TX_TSE;
    s->tx_ixsm = ext && d[13] & POPTS_IXSM;
    s->tx_txsm = ext && d[13] & POPTS_TXSM;
    s->tx_legacy_csum = false;
}

/* Returns bytes gathered. */
static uint32_t take_data(struct e1000 *s, const uint8_t *d)
{
    bool ext = d[11] & TX_DEXT;
    uint32_t len = ext ? ldl32(d + 8) & 0xfffff : ldl16(d + 8);

    if (!s->tx_len && !s->tx_bad)
        begin_frame(s, d, ext);
    gather(s, ldl64(d), len);
    if (!ext && d[11] & TX_IC) {
        s->tx_legacy_csum = true;
        s->tx_cso = d[10];
        s->tx_css = d[13];
    }
    if (!(d[11] & TX_EOP))
        return len;
    s->tx_vlan = d[11] & TX_VLE && *e1000_reg(s, E_CTRL) & CTRL_VME;
    s->tx_tag = ldl16(d + 14);
    finish_frame(s);
    s->tx_len = 0;
    s->tx_bad = false;
    return len;
}

/* One descriptor at TDH; returns its cost in bytes, sets @causes. */
static uint32_t take_one(struct e1000 *s, uint32_t *causes)
{
    uint64_t base = (uint64_t)*e1000_reg(s, E_TDBAH) << 32 | (*e1000_reg(s, E_TDBAL) & ~15u);
    gpa_t at = base + (uint64_t)*e1000_reg(s, E_TDH) * DESC_BYTES;
    const struct dma *dma = &s->pci.dma;
    uint8_t d[DESC_BYTES];
    uint32_t cost = 0;

    dma_get(dma, at, d, sizeof d);
    if (d[11] & TX_DEXT && d[10] >> 4 == TX_CONTEXT)
        take_context(s, d);
    else
        cost = take_data(s, d);
    if (d[11] & TX_RS) {
        d[12] |= 1;                      /* DD */
        dma_put(dma, at + 12, d + 12, 1);
        *causes |= ICR_TXDW;
    }
    return cost;
}

static bool runnable(struct e1000 *s, uint32_t n)
{
    return *e1000_reg(s, E_TCTL) & TCTL_EN && *e1000_reg(s, E_TDH) < n &&
           *e1000_reg(s, E_TDT) < n && dma_enabled(&s->pci.dma);
}

void e1000_transmit(struct e1000 *s)
{
    uint32_t n = *e1000_reg(s, E_TDLEN) / DESC_BYTES, causes = 0, bytes = 0;
    uint32_t *head = e1000_reg(s, E_TDH);
    unsigned descs = 0;

    if (s->busy || !runnable(s, n) || *head == *e1000_reg(s, E_TDT))
        return;
    s->busy = true;
    net_hold(&s->nic.port);
    while (*head != *e1000_reg(s, E_TDT) && descs++ < BUDGET_DESCS && bytes < BUDGET_BYTES) {
        bytes += take_one(s, &causes);
        if (++*head >= n)
            *head = 0;
    }
    s->busy = false;
    if (*head == *e1000_reg(s, E_TDT))
        causes |= ICR_TXQE;
    else
        timer_mod(&s->tx_timer, clock_now_ns(&s->pci.dev.machine->clock));
    e1000_interrupt(s, causes);
    net_release(&s->nic.port);
}
